//! Placeholders of the formats that programs are translated in.
//!
//! | | examples |
//! |---|---|
//! | C, PHP, Objective-C | `%s` `%-5.2lf` `%1$s` `%@` `%<PRIu64>`, `%%` for `%` |
//! | Python, Ruby | `%(name)s` `%{name}` `%<name>d` |
//! | Qt, KDE | `%1` `%L1` `%n` |
//! | braces | `{}` `{0}` `{name!r:>5}` `{{name}}` `${name}` `#{name}` |
//! | markup | `<b>` `</b>` `<br/>`, `&amp;` |

/// Which placeholders a message may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Syntax {
    pub(crate) percent: Percent,
    pub(crate) braces: Braces,
    /// Whether `_` or `&` may mark the letter of a key: `_Datei`, `&Datei`.
    pub(crate) has_keys: bool,
}

/// What begins with `%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Percent {
    /// Nothing is known: what can hardly be anything else.
    Guess,
    /// A format of C or PHP, where `%%` is `%`.
    Format,
    /// A format of Python, in which placeholders without a name have no numbers either.
    Python,
    /// `%1`
    Qt,
    /// A sign like any other.
    Text,
}

impl Percent {
    fn is_format(self) -> bool {
        matches!(self, Self::Format | Self::Python)
    }
}

/// What stands in braces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Braces {
    Guess,
    /// A format of Python, Rust or C#, where `{{` is `{`.
    Format,
    /// A text of a choice in ICU's messages, where `#` is the number.
    Branch,
    /// Fluent's placeables, whatever is in them.
    Fluent,
}

impl Syntax {
    /// For messages that say nothing about themselves.
    #[cfg(test)]
    pub(crate) const fn guess() -> Self {
        Self { percent: Percent::Guess, braces: Braces::Guess, has_keys: false }
    }

    /// For formats of C and its relatives.
    #[cfg(test)]
    pub(crate) const fn c() -> Self {
        Self { percent: Percent::Format, braces: Braces::Guess, has_keys: true }
    }

    /// Writes a character of a text so that it begins nothing else. `escapes` are the characters that the message writes in
    /// another way; where there are placeholders, their signs are written twice.
    pub(crate) fn escape(self, c: char, escapes: &[(char, String)], is_format: bool, written: &mut String) {
        if c.is_alphanumeric() || c == ' ' {
            written.push(c);
            return;
        }
        if let Some((_, escape)) = escapes.iter().find(|(escaped, _)| *escaped == c) {
            written.push_str(escape);
            return;
        }
        let is_doubled = match c {
            '%' => self.percent.is_format() && is_format,
            '{' | '}' => self.braces == Braces::Format && is_format,
            _ => false,
        };
        let has_entities = || escapes.iter().any(|(_, escape)| escape.starts_with('&'));
        match c {
            '{' if self.braces == Braces::Fluent => written.push_str("{\"{\"}"),
            '}' if self.braces == Braces::Fluent => written.push_str("{\"}\"}"),
            '&' if has_entities() => written.push_str("&amp;"),
            '<' if has_entities() => written.push_str("&lt;"),
            c if is_doubled => written.extend([c, c]),
            c => written.push(c),
        }
    }
}

/// Something in a text that is not what it looks like.
pub(super) enum Found {
    /// Stands for a character of the text.
    Character(char),
    /// Comes back as it is; a translator sees this.
    Shown(String),
    /// Begins or ends an element, or stands alone.
    Tag,
    LineEnd,
    /// Marks the letter after it.
    Key,
}

/// Whether a program fills a placeholder by its place among the others.
pub(super) fn is_counted(raw: &str) -> bool {
    match raw.as_bytes() {
        [b'%', b'%' | b'(' | b'{' | b'<', ..] => false,
        [b'%', .., last] => !raw.contains('$') && last.is_ascii_alphabetic() && !raw.starts_with("%L") && raw != "%n",
        [b'{', b'}' | b':', ..] => true,
        _ => false,
    }
}

/// A placeholder with its place, counted from 1.
pub(super) fn numbered(raw: &str, place: usize) -> String {
    match raw.strip_prefix('{') {
        Some(rest) => format!("{{{}{rest}", place - 1),
        None => format!("%{place}${}", &raw[1..]),
    }
}

/// Longest placeholder in bytes: what is longer is text in brackets.
const LONGEST: usize = 100;
/// Longest tag, which may have an address in it.
const LONGEST_TAG: usize = 2000;

/// What begins at a byte of a text, and its length.
pub(super) fn find(text: &str, at: usize, syntax: Syntax) -> Option<(usize, Found)> {
    let rest = &text[at..];
    let as_it_is = |length: usize| (length, Found::Shown(rest[..length].to_owned()));
    match rest.as_bytes()[0] {
        b'\n' => Some((1, Found::LineEnd)),
        b'%' => percent(rest, syntax.percent),
        b'$' | b'#' if rest[1..].starts_with('{') => within(rest, 1, '}').map(as_it_is),
        b'#' if syntax.braces == Braces::Branch => Some(as_it_is(1)),
        b'$' if rest.starts_with("$t(") => within(rest, 2, ')').map(as_it_is),
        b'{' if syntax.braces == Braces::Fluent => placeable(rest).map(as_it_is),
        b'{' | b'}' => braces(rest, syntax.braces),
        b'<' => tag(rest).map(|length| (length, Found::Tag)),
        b'_' | b'&' if syntax.has_keys && is_key(text, at) => Some((1, Found::Key)),
        b'&' => entity(rest),
        _ => None,
    }
}

/// Whether the sign at a byte marks the letter of a key: the only one, at the beginning of a word.
fn is_key(text: &str, at: usize) -> bool {
    let sign = char::from(text.as_bytes()[at]);
    let rest = &text[at + 1..];
    let word = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
    text.len() <= LONGEST
        && rest.starts_with(char::is_alphabetic)
        && !rest[word..].starts_with(';')
        && !text[..at].ends_with(char::is_alphanumeric)
        && text.matches(sign).count() == 1
}

/// The length of a placeholder whose name begins after `prefix` and one bracket, and ends with `close`.
fn within(text: &str, prefix: usize, close: char) -> Option<usize> {
    let inner = &text.as_bytes()[prefix + 1..];
    let length = inner.iter().take(LONGEST).position(|byte| *byte == close as u8 || *byte == b'\n')?;
    (inner[length] == close as u8 && length > 0).then_some(prefix + length + 2)
}

fn percent(text: &str, kind: Percent) -> Option<(usize, Found)> {
    if kind == Percent::Text {
        return None;
    }
    let bytes = text.as_bytes();
    let shown = |length: usize| Some((length, Found::Shown(text[..length].to_owned())));
    let name_end = |close: char| within(text, 1, close);
    match bytes.get(1)? {
        b'%' if kind != Percent::Qt => return Some((2, Found::Character('%'))),
        b'{' => return name_end('}').and_then(shown),
        b'(' => {
            let end = name_end(')')?;
            return conversion(&text[end..], kind).and_then(|length| shown(end + length));
        }
        b'<' => {
            let end = name_end('>')?;
            // `%<PRIu64>` ends here, `%<name>d` does not.
            let length = if text[2..].starts_with("PRI") { 0 } else { conversion(&text[end..], kind).unwrap_or(0) };
            return shown(end + length);
        }
        _ => {}
    }
    if kind == Percent::Qt {
        let local = usize::from(bytes[1] == b'L');
        let digits = bytes[1 + local..].iter().take(2).take_while(|byte| byte.is_ascii_digit()).count();
        return match (digits, bytes[1]) {
            (0, b'n') => shown(2),
            (0, _) => None,
            (digits, _) => shown(1 + local + digits),
        };
    }
    let digits = bytes[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let position = if digits > 0 && bytes.get(1 + digits) == Some(&b'$') { digits + 1 } else { 0 };
    conversion(&text[1 + position..], kind).and_then(|length| shown(1 + position + length))
}

/// The length of flags, width, precision, size and the letter of a conversion.
fn conversion(text: &str, kind: Percent) -> Option<usize> {
    let bytes = text.as_bytes();
    let run = |from: usize, set: &[u8]| bytes[from..].iter().take_while(|byte| set.contains(byte)).count();
    let flags: &[u8] = if kind.is_format() { b"-+ #0'I" } else { b"-+#0'" };
    let mut at = run(0, flags);
    at += run(at, b"0123456789*$");
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        at += run(at, b"0123456789*$");
    }
    at += run(at, b"hlLqjzt");
    let letter = *bytes.get(at)?;
    let letters: &[u8] = if kind.is_format() { b"diouxXeEfFgGaAcrspnCSmb@" } else { b"diouxXeEfFgGcrs@" };
    if !letters.contains(&letter) {
        return None;
    }
    // `100%ige`: a letter goes on.
    let goes_on = kind == Percent::Guess && text[at + 1..].starts_with(char::is_alphanumeric);
    (!goes_on).then_some(at + 1)
}

fn braces(text: &str, kind: Braces) -> Option<(usize, Found)> {
    let doubled = text.as_bytes().get(1) == text.as_bytes().first();
    if doubled && kind == Braces::Format {
        return Some((2, Found::Character(char::from(text.as_bytes()[0]))));
    }
    if !text.starts_with('{') {
        return None;
    }
    let inner = &text.as_bytes()[1..];
    if doubled {
        let end = text.as_bytes().windows(2).take(LONGEST).position(|pair| pair == b"}}")?;
        return (!text[..end].contains('\n')).then(|| (end + 2, Found::Shown(text[..end + 2].to_owned())));
    }
    let length = inner.iter().take(LONGEST).position(|byte| *byte == b'}')?;
    let name = text.get(1..1 + length)?;
    let is_name = |c: char| c.is_alphanumeric() || "_-.:!<>=^+#%[],$@/".contains(c);
    // `{0, number}`: what comes after a comma may have spaces.
    let is_placeholder = name.split_once(',').map_or(name.chars().all(is_name), |(name, kind)| {
        name.trim().chars().all(is_name) && !name.is_empty() && !kind.contains(['{', '\n'])
    });
    is_placeholder.then(|| (length + 2, Found::Shown(text[..length + 2].to_owned())))
}

/// The length of a placeable of Fluent, which may have strings and placeables in it.
fn placeable(text: &str) -> Option<usize> {
    let (mut depth, mut in_string) = (0_usize, false);
    let mut bytes = text.bytes().enumerate().take(LONGEST_TAG);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => drop(bytes.next().is_some()),
            b'{' if !in_string => depth += 1,
            b'}' if !in_string => {
                depth -= 1;
                if depth == 0 {
                    return (!text[..at].contains('\n')).then_some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The length of a tag of HTML or the like.
fn tag(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let name = if bytes.get(1) == Some(&b'/') { 2 } else { 1 };
    if !bytes.get(name)?.is_ascii_alphanumeric() {
        return None;
    }
    let end = bytes.iter().take(LONGEST_TAG).skip(1).position(|byte| matches!(byte, b'>' | b'<'))? + 1;
    (bytes[end] == b'>').then_some(end + 1)
}

/// An entity of HTML.
fn entity(text: &str) -> Option<(usize, Found)> {
    let end = text.bytes().take(8).position(|byte| byte == b';')?;
    let character = match &text[..=end] {
        "&amp;" => '&',
        "&lt;" => '<',
        "&gt;" => '>',
        "&quot;" => '"',
        "&hellip;" => '…',
        "&ndash;" => '–',
        "&mdash;" => '—',
        entity @ "&nbsp;" => return Some((end + 1, Found::Shown(entity.to_owned()))),
        _ => return None,
    };
    Some((end + 1, Found::Character(character)))
}
