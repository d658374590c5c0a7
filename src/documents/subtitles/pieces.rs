//! What is said in a cue, by whom, and which sentences go on in the next cue.

use std::ops::Range;

use super::cues::Cue;
use super::tokens::{Kind, Token, tokens};
use super::{Syntax, columns};
use crate::documents::source::has_letters;

/// A part of a cue that is spoken by one person, sung, or says what is heard.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Which cue it is in.
    pub(super) cue: usize,
    /// What is translated: without the dash, the name and the tags around it.
    pub(super) tokens: Vec<Token>,
    /// For each token that is a tag: the other one of its pair.
    pub(super) pairs: Vec<Option<usize>>,
    /// The columns before it in its line.
    pub(super) lead: usize,
    /// Most lines it may have.
    pub(super) lines: usize,
    kind: PieceKind,
    /// Who speaks, as a tag says it.
    voice: Option<Range<usize>>,
    /// It begins with a dash or a name.
    is_new: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PieceKind {
    Speech,
    /// In brackets: [a door slams].
    Sound,
    /// Between notes of music.
    Song,
}

impl Piece {
    /// Its bytes.
    pub(super) fn range(&self) -> Range<usize> {
        self.tokens[0].range.start..self.tokens[self.tokens.len() - 1].range.end
    }

    /// What is said, without tags and entities.
    pub(super) fn text<'t>(&self, source: &'t str) -> impl Iterator<Item = &'t str> {
        self.tokens.iter().filter(|token| token.kind == Kind::Word).map(|token| &source[token.range.clone()])
    }
}

/// Longest silence within a sentence, in milliseconds.
const LONGEST_GAP: u64 = 2500;
/// Cues may overlap by this much and still be read one after the other, in milliseconds.
const LONGEST_OVERLAP: u64 = 500;
/// Text without full stops is not joined for ever: most cues of a sentence, and most bytes.
const MOST_CUES: usize = 8;
const MOST_BYTES: usize = 400;

/// All pieces, grouped by sentence, and the columns of the longest line that is shown.
pub(super) fn sentences(source: &str, cues: &[Cue], syntax: Syntax) -> (Vec<Vec<Piece>>, usize) {
    let mut longest = 0;
    let mut groups: Vec<Vec<Piece>> = Vec::new();
    // The group whose sentence may go on.
    let mut going_on: Option<usize> = None;
    for (number, cue) in cues.iter().enumerate() {
        let tokens = tokens(source, &cue.text, syntax);
        let leads = leads(source, &tokens);
        longest = longest.max(leads.iter().copied().max().unwrap_or(0));
        for (place, piece) in pieces(source, number, &tokens, &leads).into_iter().enumerate() {
            if piece.kind == PieceKind::Sound {
                groups.push(vec![piece]);
                continue;
            }
            let joined = going_on.filter(|group| place == 0 && goes_on(source, cues, &groups[*group], &piece));
            match joined {
                Some(group) => groups[group].push(piece),
                None => {
                    going_on = (piece.kind == PieceKind::Speech).then_some(groups.len());
                    groups.push(vec![piece]);
                }
            }
        }
    }
    groups.retain(|group| group.iter().any(|piece| piece.text(source).any(has_letters)));
    groups.sort_by_key(|group| group[0].tokens[0].range.start);
    (groups, longest)
}

/// Whether a sentence goes on in `piece`, the first of its cue.
fn goes_on(source: &str, cues: &[Cue], group: &[Piece], piece: &Piece) -> bool {
    let last = &group[group.len() - 1];
    let (before, after) = (&cues[last.cue], &cues[piece.cue]);
    let voice = |piece: &Piece| piece.voice.clone().map(|range| &source[range]);
    let is_loud = |piece: &Piece| {
        let mut letters = piece.text(source).flat_map(str::chars).filter(|c| c.is_alphabetic());
        letters.all(|c| !c.is_lowercase())
    };
    piece.kind == PieceKind::Speech
        && last.cue + 1 == piece.cue
        && before.look == after.look
        && after.start + LONGEST_OVERLAP >= before.end
        && after.start >= before.start
        && after.start <= before.end + LONGEST_GAP
        && !piece.is_new
        && (piece.voice.is_none() || voice(piece) == voice(last))
        && !ends(source, last)
        && is_loud(last) == is_loud(piece)
        && group.len() < MOST_CUES
        && group.iter().chain([piece]).map(|piece| piece.range().len()).sum::<usize>() < MOST_BYTES
}

/// Whether a sentence ends with a piece.
fn ends(source: &str, piece: &Piece) -> bool {
    let closing = |c: char| "\"'”’“»«)]".contains(c);
    let end = piece
        .tokens
        .iter()
        .rev()
        .filter(|token| token.kind.is_text())
        .map(|token| source[token.range.clone()].trim_end_matches(closing));
    let Some(end) = end.into_iter().find(|text| !text.is_empty()) else { return true };
    if let Some(number) =
        end.strip_suffix('.').map(|rest| rest.rsplit(|c: char| c.is_whitespace()).next().unwrap_or(rest))
    {
        // An ordinal number: am 3. Mai.
        return !(1..=2).contains(&number.len()) || !number.bytes().all(|byte| byte.is_ascii_digit());
    }
    end.ends_with(['!', '?', '…', ':', '–', '—', '。', '！', '？', '؟', '।', '።']) || end.ends_with("--")
}

/// The pieces of a cue.
fn pieces(source: &str, cue: usize, tokens: &[Token], leads: &[usize]) -> Vec<Piece> {
    let brackets = bracket_pairs(tokens);
    let mut cutter = Cutter {
        source,
        tokens,
        leads,
        cue,
        pieces: Vec::new(),
        start: 0,
        has_words: false,
        voice: None,
        is_new: false,
    };
    let mut is_song = false;
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].kind {
            Kind::Dash | Kind::Speaker => {
                cutter.cut_before(at, PieceKind::Speech);
                (cutter.is_new, is_song) = (true, false);
            }
            Kind::Voice => {
                cutter.cut_before(at, PieceKind::Speech);
                cutter.voice = Some(tokens[at].range.clone());
            }
            Kind::Music => {
                let had_words = cutter.has_words;
                cutter.cut_before(
                    at,
                    if is_song || is_end(&tokens[at + 1..]) { PieceKind::Song } else { PieceKind::Speech },
                );
                // The note after a line ends it, or is the note before the next.
                is_song = !had_words || !is_song;
            }
            Kind::Break if is_blank_line(&tokens[at + 1..]) => {
                cutter.cut_before(at, if is_song { PieceKind::Song } else { PieceKind::Speech });
            }
            Kind::OpenBracket => {
                let end = brackets[at].filter(|end| {
                    let is_edge =
                        tokens[..at].last().is_none_or(|before| !before.kind.is_text()) && is_end(&tokens[end + 1..]);
                    (!cutter.has_words || is_edge) && tokens[at + 1..*end].iter().any(|token| token.kind.is_text())
                });
                if let Some(end) = end {
                    cutter.cut_before(at, if is_song { PieceKind::Song } else { PieceKind::Speech });
                    let (is_new, voice) = (cutter.is_new, cutter.voice.clone());
                    cutter.start = at + 1;
                    cutter.has_words = true;
                    cutter.cut_before(end, PieceKind::Sound);
                    cutter.start = end + 1;
                    (cutter.is_new, cutter.voice) = (is_new, voice);
                    at = end;
                } else {
                    cutter.has_words = true;
                }
            }
            kind => cutter.has_words |= kind.is_text(),
        }
        at += 1;
    }
    cutter.cut_before(tokens.len(), if is_song { PieceKind::Song } else { PieceKind::Speech });
    let mut pieces = cutter.pieces;
    let total: usize = pieces.iter().map(|piece| piece.lines).sum();
    for piece in &mut pieces {
        piece.lines = piece.lines.max((2 + piece.lines).saturating_sub(total));
    }
    pieces
}

/// The columns before each token in its line, and before the end.
fn leads(source: &str, tokens: &[Token]) -> Vec<usize> {
    let mut lead = 0;
    let mut leads = Vec::with_capacity(tokens.len() + 1);
    for token in tokens {
        leads.push(lead);
        lead = match token.kind {
            Kind::Break => 0,
            Kind::Open(_) | Kind::Close(_) | Kind::Alone | Kind::Voice => lead,
            Kind::Character(_) => lead + 1,
            _ => lead + columns(&source[token.range.clone()]),
        };
    }
    leads.push(lead);
    leads
}

/// Whether a line or the cue ends here.
fn is_end(rest: &[Token]) -> bool {
    let mut rest = rest.iter().map(|token| token.kind);
    rest.find(|kind| !matches!(kind, Kind::Space | Kind::Alone | Kind::Close(_))).is_none_or(|kind| kind == Kind::Break)
}

/// Whether nothing stands in the line that begins here.
fn is_blank_line(rest: &[Token]) -> bool {
    rest.iter().find(|token| token.kind != Kind::Space).is_some_and(|token| token.kind == Kind::Break)
}

/// For each bracket that opens, the one that closes it.
fn bracket_pairs(tokens: &[Token]) -> Vec<Option<usize>> {
    let (mut pairs, mut open) = (vec![None; tokens.len()], Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::OpenBracket => open.push(at),
            Kind::CloseBracket => {
                if let Some(begin) = open.pop() {
                    pairs[begin] = Some(at);
                }
            }
            // What one says does not end the bracket of another.
            Kind::Dash | Kind::Speaker | Kind::Voice => open.clear(),
            _ => {}
        }
    }
    pairs
}

struct Cutter<'t> {
    source: &'t str,
    tokens: &'t [Token],
    leads: &'t [usize],
    cue: usize,
    pieces: Vec<Piece>,
    start: usize,
    has_words: bool,
    voice: Option<Range<usize>>,
    is_new: bool,
}

impl Cutter<'_> {
    /// Ends a piece before a token, if anything was said.
    fn cut_before(&mut self, end: usize, kind: PieceKind) {
        if !self.has_words {
            return;
        }
        let start = std::mem::replace(&mut self.start, end);
        self.has_words = false;
        let is_new = std::mem::take(&mut self.is_new);
        let (kept, pairs) = trimmed(&self.tokens[start..end]);
        let kept = start + kept.start..start + kept.end;
        let tokens = &self.tokens[kept.clone()];
        if !tokens
            .iter()
            .any(|token| token.kind.is_text() && self.source[token.range.clone()].contains(char::is_alphanumeric))
        {
            return;
        }
        let lead = self.leads[kept.start];
        let lines = 1 + tokens.iter().filter(|token| token.kind == Kind::Break).count();
        let (cue, voice, tokens) = (self.cue, self.voice.clone(), tokens.to_vec());
        self.pieces.push(Piece { cue, tokens, pairs, lead, lines, kind, voice, is_new });
    }
}

/// What of a piece is translated, with the pairs of its tags: not the space, the dash and the tags around it.
fn trimmed(tokens: &[Token]) -> (Range<usize>, Vec<Option<usize>>) {
    let pairs = tag_pairs(tokens);
    let (mut start, mut end) = (0, tokens.len());
    let is_around = |at: usize| match tokens[at].kind {
        Kind::Open(_) | Kind::Close(_) => pairs[at].is_none(),
        kind => !kind.is_text(),
    };
    loop {
        if start < end && is_around(start) {
            start += 1;
        } else if start < end && is_around(end - 1) {
            end -= 1;
        } else if start + 1 < end && pairs[start] == Some(end - 1) {
            (start, end) = (start + 1, end - 1);
        } else {
            break;
        }
    }
    let inner = pairs[start..end].iter().map(|pair| pair.map(|at| at - start)).collect();
    (start..end, inner)
}

/// For each tag the other one of its pair, where both are here and nest.
fn tag_pairs(tokens: &[Token]) -> Vec<Option<usize>> {
    let mut pairs = vec![None; tokens.len()];
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut counts = [0_usize; 16];
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open(name) => {
                open.push((at, name));
                counts[name] += 1;
            }
            Kind::Close(name) if counts[name] > 0 => {
                while let Some((begin, other)) = open.pop() {
                    counts[other] -= 1;
                    if other == name {
                        (pairs[begin], pairs[at]) = (Some(at), Some(begin));
                        break;
                    }
                }
            }
            _ => {}
        }
    }
    pairs
}
