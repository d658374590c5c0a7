//! The spans of a text that have to come back as they are.

use std::ops::Range;

use regex::Regex;

use super::patterns;

/// What a span is to its sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A word of it, which another word can stand in for: an address, a name of a file, a placeholder.
    Word,
    /// A number.
    Number,
    /// What it does without: markup, emoji, signs, characters the vocabulary does not have.
    Mark,
    /// A quotation mark or a bracket around a word or around everything, which models leave untranslated or take for
    /// something else. The sentence does without it, too, but it is translated.
    Quote,
    /// A quotation mark around several words, which is left to the model as long as it makes two of two.
    Quotation,
}

impl Role {
    /// Whether the span itself has to come back.
    pub(super) fn is_copied(self) -> bool {
        !matches!(self, Self::Quote | Self::Quotation)
    }
}

/// Where a mark belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Before what follows it.
    Opens,
    /// Behind what is before it.
    Closes,
    /// Beside the word before it.
    Alone,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where it stands.
    pub bytes: Range<usize>,
    /// What it is to its sentence.
    pub role: Role,
}

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Everything of [`patterns`] but numbers.
    pub(super) common: bool,
    pub(super) numbers: bool,
    /// The user's own patterns, and whether each has to be a whole word.
    pub(super) own: Vec<(Regex, bool)>,
}

impl Wanted {
    /// The spans of a text, in order and without overlap. `knows` says whether the vocabulary has a character.
    pub(super) fn spans(&self, text: &str, knows: impl Fn(char) -> bool) -> Vec<Span> {
        let mut found: Vec<Span> = Vec::new();
        let mut add =
            |role, ranges: Vec<Range<usize>>| found.extend(ranges.into_iter().map(|bytes| Span { bytes, role }));
        for (pattern, is_whole) in &self.own {
            let ranges = pattern.find_iter(text).map(|found| found.range());
            add(
                Role::Word,
                ranges.filter(|range| !range.is_empty() && (!is_whole || is_whole_word(text, range))).collect(),
            );
        }
        let own = found.len();
        if self.common {
            let mut add = |role, ranges: Vec<Range<usize>>| {
                found.extend(ranges.into_iter().map(|bytes| Span { bytes, role }));
            };
            add(Role::Word, patterns::words(text));
            add(Role::Mark, patterns::marks(text));
            for (range, is_word) in unknown(text, knows) {
                add(if is_word { Role::Word } else { Role::Mark }, vec![range]);
            }
            for (range, role) in quotes(text) {
                add(role, vec![range]);
            }
        }
        if self.numbers {
            found.extend(patterns::numbers(text).into_iter().map(|bytes| Span { bytes, role: Role::Number }));
        }
        // The user's own spans first; then the one that begins first, the longer of two.
        let rest = found.split_off(own);
        let own = without_overlap(found, &[]);
        let mut kept = without_overlap(rest, &own);
        kept.extend(own);
        kept.sort_by_key(|span| span.bytes.start);
        with_brackets(text, kept)
    }
}

/// The spans in order, of those that overlap the one that begins first, the longer of two; and none that overlaps `others`.
fn without_overlap(mut spans: Vec<Span>, others: &[Span]) -> Vec<Span> {
    spans.sort_by_key(|span| (span.bytes.start, std::cmp::Reverse(span.bytes.end)));
    let mut end = 0;
    spans.retain(|Span { bytes, .. }| {
        let next = others.partition_point(|other| other.bytes.end <= bytes.start);
        let is_free = bytes.start >= end && others.get(next).is_none_or(|other| other.bytes.start >= bytes.end);
        end = if is_free { bytes.end } else { end };
        is_free
    });
    spans
}

/// Brackets around nothing but a word that is copied are copied with it.
fn with_brackets(text: &str, mut spans: Vec<Span>) -> Vec<Span> {
    for at in 0..spans.len() {
        while spans[at].role == Role::Word {
            let Range { start, end } = spans[at].bytes;
            let is_pair = |pair: &[u8; 2]| {
                text[..start].ends_with(char::from(pair[0])) && text[end..].starts_with(char::from(pair[1]))
            };
            if ![b"()", b"[]", b"<>"].into_iter().any(is_pair) {
                break;
            }
            spans[at].bytes = start - 1..end + 1;
            // What was a mark of its own may have been longer.
            if let Some(before) = at.checked_sub(1).filter(|&before| spans[before].bytes.end == start) {
                spans[before].bytes.end -= 1;
            }
            if let Some(after) = spans.get_mut(at + 1).filter(|after| after.bytes.start == end) {
                after.bytes.start += 1;
            }
        }
    }
    spans.retain(|span| !span.bytes.is_empty());
    spans
}

fn is_whole_word(text: &str, range: &Range<usize>) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let inside = &text[range.clone()];
    let continues_before = is_letter(text[..range.start].chars().next_back()) && is_letter(inside.chars().next());
    let continues_after = is_letter(text[range.end..].chars().next()) && is_letter(inside.chars().next_back());
    !continues_before && !continues_after
}

/// Runs of characters that the vocabulary does not have, and whether they are a word in the letters of the language around it.
fn unknown(text: &str, knows: impl Fn(char) -> bool) -> Vec<(Range<usize>, bool)> {
    let mut found: Vec<(Range<usize>, bool)> = Vec::new();
    for (at, character) in text.char_indices() {
        let end = at + character.len_utf8();
        if character.is_ascii() || character.is_whitespace() || knows(character) {
            continue;
        }
        if let Some((last, _)) = found.last_mut()
            && last.end >= at
        {
            last.end = last.end.max(end);
            continue;
        }
        let is_latin = |c: char| c.is_alphabetic() && (c as u32) < 0x250;
        let belongs = |c: char| match character {
            _ if is_latin(character) => c.is_alphanumeric(),
            _ if character.is_alphabetic() => c.is_alphabetic() && !is_latin(c),
            // What modifies or joins a sign.
            _ => matches!(c, '\u{300}'..='\u{36f}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}'),
        };
        let start = at - text[..at].chars().rev().take_while(|&c| belongs(c)).map(char::len_utf8).sum::<usize>();
        let end = end + text[end..].chars().take_while(|&c| belongs(c)).map(char::len_utf8).sum::<usize>();
        match found.last_mut() {
            // The parts of one word: `Санкт-Петербург`.
            Some((last, latin))
                if *latin == is_latin(character)
                    && matches!(text.get(last.end..start), Some("-" | "'" | "’"))
                    && text[..last.end].ends_with(char::is_alphabetic)
                    && character.is_alphabetic() =>
            {
                last.end = end;
            }
            _ => found.push((start..end, is_latin(character))),
        }
    }
    found
}

/// The most characters between a quotation mark and the other of its pair.
const FARTHEST: usize = 2000;

/// Quotation marks, and brackets around one word or around the whole text, in pairs.
fn quotes(text: &str) -> Vec<(Range<usize>, Role)> {
    const PAIRS: [(char, &str); 8] =
        [('„', "“”"), ('“', "”"), ('"', "\""), ('»', "«"), ('«', "»"), ('‚', "‘’"), ('\'', "'"), ('(', ")")];
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((start, open)) = text[at..].char_indices().find(|&(_, c)| PAIRS.iter().any(|pair| pair.0 == c)) {
        let start = at + start;
        let inner = start + open.len_utf8();
        at = inner;
        let opens = text[..start].chars().next_back().is_none_or(|c| c.is_whitespace() || "([\"„“".contains(c))
            && text[inner..].chars().next().is_some_and(|c| !c.is_whitespace());
        let closing = PAIRS.iter().find(|pair| pair.0 == open).map_or("", |pair| pair.1);
        // A bracket that nothing closes must not cost a search to the end each time.
        let close = text[inner..].char_indices().take(FARTHEST).find(|&(place, c)| {
            let next = text[inner + place + c.len_utf8()..].chars().next();
            closing.contains(c) && next.is_none_or(|next| !next.is_alphanumeric())
        });
        let Some((place, close)) = close.filter(|_| opens) else { continue };
        let (place, end) = (inner + place, inner + place + close.len_utf8());
        let content = &text[inner..place];
        let is_word = !content.contains(char::is_whitespace);
        let is_all = text[..start].trim().is_empty() && !text[end..].contains(char::is_alphanumeric);
        // Numbers and abbreviations in brackets are no words of the sentence.
        let is_aside = open == '(' && (!content.contains(char::is_lowercase) || content.contains(char::is_numeric));
        let role = match open {
            _ if is_all || (is_word && !is_aside) => Role::Quote,
            '(' | '\'' | '‚' => continue,
            _ => Role::Quotation,
        };
        found.extend([(start..inner, role), (place..end, role)]);
    }
    found.sort_by_key(|(range, _)| range.start);
    found
}

/// Where each span belongs, and for those of a pair which the other is.
pub(super) fn sides(text: &str, spans: &[Span]) -> Vec<(Side, Option<usize>)> {
    let mut sides: Vec<(Side, Option<usize>)> = Vec::with_capacity(spans.len());
    for (at, span) in spans.iter().enumerate() {
        let own = &text[span.bytes.clone()];
        let is_tag = own.starts_with('<') && own.ends_with('>') && own.len() > 2;
        let is_picture = own.starts_with(|c: char| !c.is_ascii() && !c.is_alphanumeric() && !"„“”»«‚‘’".contains(c));
        let near = |from: usize, forward: bool| {
            // Past neighbouring marks, to the text or the space around them.
            let mut place = from;
            loop {
                let next = spans.iter().find(|other| {
                    other.role != Role::Word
                        && other.role != Role::Number
                        && if forward { other.bytes.start == place } else { other.bytes.end == place }
                });
                match next {
                    Some(other) => place = if forward { other.bytes.end } else { other.bytes.start },
                    None if forward => return text[place..].chars().next(),
                    None => return text[..place].chars().next_back(),
                }
            }
        };
        let is_space = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || "([„“\"-–".contains(c));
        let is_end = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || ".,;:!?()]“”\"…-–".contains(c));
        let side = match span.role {
            Role::Word | Role::Number => Side::Alone,
            _ if is_tag && own.starts_with("</") => Side::Closes,
            _ if is_tag && patterns::is_single_tag(own) || is_picture => Side::Alone,
            _ if is_tag => Side::Opens,
            _ => match (is_space(near(span.bytes.start, false)), is_end(near(span.bytes.end, true))) {
                (true, false) => Side::Opens,
                (false, true) => Side::Closes,
                _ => Side::Alone,
            },
        };
        let name = |text: &str| -> String {
            match text.trim_start_matches(['<', '/']).split([' ', '>', '/']).next() {
                Some(name) if text.starts_with('<') && text.len() > 2 => name.to_lowercase(),
                _ => text.chars().rev().map(mirrored).collect(),
            }
        };
        let opener = (side == Side::Closes).then(|| {
            let is_match = |&other: &usize| {
                let opened = &text[spans[other].bytes.clone()];
                let opened = if is_tag { name(opened) } else { opened.to_owned() };
                sides[other] == (Side::Opens, None) && (opened == name(own) || is_quote_pair(&opened, own))
            };
            (0..at).rev().find(is_match)
        });
        let opener = opener.flatten();
        if let Some(opener) = opener {
            sides[opener].1 = Some(at);
        }
        sides.push((side, opener));
    }
    sides
}

fn mirrored(character: char) -> char {
    match character {
        ')' => '(',
        ']' => '[',
        '}' => '{',
        '>' => '<',
        '«' => '»',
        '»' => '«',
        other => other,
    }
}

fn is_quote_pair(open: &str, close: &str) -> bool {
    matches!((open, close), ("„" | "“", "“" | "”") | ("‚" | "‘", "‘" | "’"))
}

/// A quotation mark as English writes it.
pub(super) fn english_quote(quote: &str, side: Side) -> &str {
    match (quote, side) {
        ("„" | "“" | "”" | "»" | "«", Side::Opens) => "“",
        ("„" | "“" | "”" | "»" | "«", _) => "”",
        ("‚" | "‘" | "’", Side::Opens) => "‘",
        ("‚" | "‘" | "’", _) => "’",
        (other, _) => other,
    }
}
