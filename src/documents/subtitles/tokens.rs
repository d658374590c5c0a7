//! The text of a cue in its smallest parts: words, line breaks, tags, and what stands around speech.
//!
//! | | SubRip | WebVTT | SubStation Alpha |
//! |---|---|---|---|
//! | element | `<i> <b> <u> <s> <font …>` | `<i> <b> <u> <c.class> <lang de> <ruby> <rt>` | `{\i1}…{\i0}`, `b`, `u`, `s` |
//! | stands alone | `{\an8}`, `{y:i}` | `<00:01.000>` and unknown tags | other `{…}`, drawings between `{\p1}` and `{\p0}` |
//! | speaker | `JOHN:` `-` | `<v John>` and those | those |
//! | character | | `&amp; &#233;` | `\h` |

use std::ops::Range;

use super::Syntax;
use crate::documents::source::is_no_break;

/// A part of a cue's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) range: Range<usize>,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text without white space, as it stands.
    Word,
    /// A character that is written as an entity or an escape.
    Character(char),
    /// White space.
    Space,
    /// A line ends.
    Break,
    /// A dash at the beginning of a line: somebody speaks.
    Dash,
    /// `JOHN:` at the beginning of a line.
    Speaker,
    /// `<v John>`.
    Voice,
    /// ♪
    Music,
    OpenBracket,
    CloseBracket,
    /// A tag, with the number of its name.
    Open(usize),
    Close(usize),
    /// A tag or an override that stands by itself.
    Alone,
}

impl Kind {
    /// Whether it is part of what is said.
    pub(super) fn is_text(self) -> bool {
        match self {
            Self::Character(c) => !c.is_whitespace(),
            Self::Word | Self::OpenBracket | Self::CloseBracket => true,
            _ => false,
        }
    }
}

/// Names of elements; a tag has the number of its name.
const NAMES: [&str; 9] = ["i", "b", "u", "s", "font", "c", "lang", "ruby", "rt"];
/// The elements of SubRip are the first of them, those of SubStation Alpha the first four.
const SUBRIP_NAMES: usize = 5;
/// Longest name of a speaker, in bytes.
const LONGEST_SPEAKER: usize = 40;

/// Where the next of some byte is; each byte of the text is looked at once.
struct Next {
    byte: u8,
    at: Option<usize>,
}

impl Next {
    fn after(&mut self, text: &str, from: usize) -> Option<usize> {
        if self.at.is_none_or(|at| at < from) {
            let rest = text.as_bytes()[from..].iter().position(|byte| *byte == self.byte);
            self.at = Some(rest.map_or(usize::MAX, |at| from + at));
        }
        self.at.filter(|at| *at < usize::MAX)
    }
}

/// Takes the text of a cue apart.
pub(super) fn tokens(source: &str, cue: &Range<usize>, syntax: Syntax) -> Vec<Token> {
    let text = &source[..cue.end];
    let mut tokens: Vec<Token> = Vec::new();
    let (mut brace, mut angle) = (Next { byte: b'}', at: None }, Next { byte: b'>', at: None });
    // Nothing was said in this line yet; a drawing is not said at all.
    let (mut is_fresh, mut is_drawing) = (true, false);
    // A line may begin with a sound in brackets before somebody speaks.
    let mut is_sound = false;
    let mut at = cue.start;
    while at < cue.end {
        let rest = &text[at..];
        let first = rest.chars().next().expect("more text");
        let (kind, length) = match first {
            '\r' | '\n' if syntax != Syntax::Substation => (Kind::Break, if rest.starts_with("\r\n") { 2 } else { 1 }),
            '\\' if syntax == Syntax::Substation => match rest.as_bytes().get(1) {
                Some(b'N' | b'n') => (Kind::Break, 2),
                Some(b'h') => (Kind::Character('\u{a0}'), 2),
                _ => (Kind::Word, 1),
            },
            '{' if syntax != Syntax::WebVtt => match brace.after(text, at).map(|end| &text[at..=end]) {
                Some(block) if syntax == Syntax::Substation || is_override(block) => {
                    is_drawing = draws(block).unwrap_or(is_drawing);
                    (toggle(block), block.len())
                }
                _ => (Kind::Word, 1),
            },
            '<' if syntax != Syntax::Substation => match angle.after(text, at).map(|end| &text[at..=end]) {
                Some(tag) => tag_kind(tag, syntax).map_or((Kind::Word, 1), |kind| (kind, tag.len())),
                None => (Kind::Word, 1),
            },
            '&' if syntax == Syntax::WebVtt => match entity(rest) {
                Some((c, length)) if c.is_whitespace() && !is_no_break(c) => (Kind::Space, length),
                Some((c, length)) => (Kind::Character(c), length),
                None => (Kind::Word, 1),
            },
            c if c.is_whitespace() => (if is_no_break(c) { Kind::Character(c) } else { Kind::Space }, c.len_utf8()),
            '♪' | '♫' | '♬' | '♩' => (Kind::Music, first.len_utf8()),
            '#' if is_hash_of_a_song(rest, is_fresh, tokens.last()) => (Kind::Music, 1),
            '[' | '(' | '（' | '【' => (Kind::OpenBracket, first.len_utf8()),
            ']' | ')' | '）' | '】' => (Kind::CloseBracket, first.len_utf8()),
            '-' | '–' | '—' | '‐' if is_fresh && is_dash_of_a_speaker(&rest[first.len_utf8()..]) => {
                (Kind::Dash, first.len_utf8())
            }
            _ => match speaker(rest).filter(|_| is_fresh && !is_drawing) {
                Some(length) => (Kind::Speaker, length),
                None => (Kind::Word, word(rest)),
            },
        };
        let was_sound = is_sound;
        is_sound = kind != Kind::CloseBracket && (is_sound || (kind == Kind::OpenBracket && is_fresh));
        is_fresh = match kind {
            Kind::Break => true,
            Kind::CloseBracket if was_sound => true,
            kind => is_fresh && !kind.is_text() && kind != Kind::Speaker,
        };
        let kind = match kind {
            Kind::Open(_) | Kind::Close(_) | Kind::Alone => kind,
            _ if is_drawing => Kind::Alone,
            kind => kind,
        };
        match tokens.last_mut() {
            Some(last) if last.kind == kind && matches!(kind, Kind::Word | Kind::Space) => last.range.end += length,
            _ => tokens.push(Token { range: at..at + length, kind }),
        }
        at += length;
    }
    tokens
}

/// The length of a piece of text in which nothing stands that means something.
fn word(text: &str) -> usize {
    let mut rest = text.char_indices().skip(1);
    let ends = |c: char| c.is_whitespace() || "{<&\\#♪♫♬♩[(（【])）】".contains(c);
    rest.find(|(_, c)| ends(*c)).map_or(text.len(), |(at, _)| at)
}

/// Whether SubRip's players take a block in braces for more than text: `{\an8}`, `{y:i}`.
fn is_override(block: &str) -> bool {
    let inner = block.as_bytes();
    inner[1] == b'\\' || (inner.len() > 3 && inner[2] == b':' && b"yYcCfFsSpPoO".contains(&inner[1]))
}

/// Whether a block begins or ends a drawing: `\p1`, `\p0`.
fn draws(block: &str) -> Option<bool> {
    let commands = block.split('\\').skip(1).filter_map(|command| command.strip_prefix('p'));
    commands.filter_map(|scale| scale.bytes().next()).filter(u8::is_ascii_digit).map(|scale| scale != b'0').last()
}

/// `{\i1}` begins an element and `{\i0}` ends it, as `<i>` and `</i>` do.
fn toggle(block: &str) -> Kind {
    match block.as_bytes() {
        [b'{', b'\\', name @ (b'i' | b'b' | b'u' | b's'), state @ (b'0' | b'1'), b'}'] => {
            let name = NAMES.iter().position(|other| other.as_bytes() == [*name]).expect("one of the names");
            if *state == b'1' { Kind::Open(name) } else { Kind::Close(name) }
        }
        _ => Kind::Alone,
    }
}

/// What a tag is; `None` if it is text: `<3`.
fn tag_kind(tag: &str, syntax: Syntax) -> Option<Kind> {
    let inner = &tag[1..tag.len() - 1];
    let (inner, is_end) = inner.strip_prefix('/').map_or((inner, false), |inner| (inner, true));
    let name = inner.split([' ', '\t', '\n', '\r', '.']).next().unwrap_or_default().trim().to_ascii_lowercase();
    let number = NAMES.iter().position(|other| *other == name);
    match syntax {
        Syntax::WebVtt if name == "v" && !is_end => Some(Kind::Voice),
        Syntax::SubRip if number.is_none_or(|number| number >= SUBRIP_NAMES) || inner.contains(['\n', '\r']) => None,
        _ => Some(match number {
            Some(number) if is_end => Kind::Close(number),
            Some(number) => Kind::Open(number),
            None => Kind::Alone,
        }),
    }
}

/// The character that an entity at the beginning of `text` stands for, and the entity's length.
fn entity(text: &str) -> Option<(char, usize)> {
    let length = text.bytes().take(12).position(|byte| byte == b';')?;
    let name = text.get(1..length)?;
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "lrm" => '\u{200e}',
        "rlm" => '\u{200f}',
        _ => {
            let number = name.strip_prefix('#')?;
            let number = match number.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => number.parse(),
            };
            char::from_u32(number.ok()?).filter(|c| !c.is_control() || c.is_whitespace())?
        }
    };
    Some((c, length + 1))
}

/// `# La, la #`: how songs are marked where there is no ♪.
fn is_hash_of_a_song(rest: &str, is_fresh: bool, before: Option<&Token>) -> bool {
    let after = rest[1..].trim_start_matches([' ', '\t']);
    let is_last = after.is_empty() || after.starts_with(['\n', '\r', '\\', '<']);
    (is_fresh && !is_last && rest[1..].starts_with(' '))
        || (!is_fresh && is_last && before.is_some_and(|token| token.kind == Kind::Space))
}

/// Whether a dash at the beginning of a line says that somebody speaks: not `--` and not `-5`.
fn is_dash_of_a_speaker(after: &str) -> bool {
    !after.starts_with(|c: char| c.is_ascii_digit() || "-–—‐".contains(c)) && !after.is_empty()
}

/// The length of `JOHN:` at the beginning of `text`.
fn speaker(text: &str) -> Option<usize> {
    let colon = text.bytes().take(LONGEST_SPEAKER).position(|byte| byte == b':')?;
    let name = text.get(..colon)?;
    let is_of_names = |c: char| (c.is_alphanumeric() && !c.is_lowercase()) || " .-'’#&".contains(c);
    let is_name = name.chars().all(is_of_names) && name.chars().filter(|c| c.is_alphabetic()).count() > 1;
    let after = &text[colon + 1..];
    (is_name && (after.is_empty() || after.starts_with([' ', '\n', '\r', '\\', '<', '{']))).then_some(colon + 1)
}
