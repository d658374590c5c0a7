//! The entries of a PO file, by the bytes of their parts.

use std::ops::Range;

use crate::documents::source::{Line, lines};

/// An entry that is in use.
pub(super) struct Entry {
    /// Where its first keyword begins.
    pub(super) start: usize,
    pub(super) flags: Vec<String>,
    /// The lines with flags, and those that tell what was translated before, with their line ends.
    pub(super) flag_lines: Vec<Range<usize>>,
    pub(super) previous: Vec<Range<usize>>,
    pub(super) context: Option<String>,
    pub(super) id: Text,
    pub(super) plural: Option<Text>,
    /// The translations with their numbers.
    pub(super) forms: Vec<(usize, Text)>,
}

/// The strings after a keyword.
#[derive(Clone, Default)]
pub(super) struct Text {
    /// What they say, without escapes.
    pub(super) text: String,
    /// From the first quotation mark to the last.
    pub(super) strings: Range<usize>,
    /// The line of the keyword, from 1.
    pub(super) line: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keyword {
    Context,
    Id,
    Plural,
    Form(usize),
}

/// What is read of an entry so far.
#[derive(Default)]
struct Reader {
    start: Option<usize>,
    flags: Vec<String>,
    flag_lines: Vec<Range<usize>>,
    previous: Vec<Range<usize>>,
    texts: Vec<(Option<Keyword>, Text)>,
    is_broken: bool,
}

/// The entries of a file, and the lines that are none.
pub(super) fn entries(source: &str) -> (Vec<Entry>, Vec<usize>) {
    let (mut entries, mut unknown) = (Vec::new(), Vec::new());
    let mut reader = Reader::default();
    for (number, line) in lines(source).iter().enumerate() {
        let text = source[line.range()].trim();
        let has_form = reader.texts.iter().any(|(keyword, _)| matches!(keyword, Some(Keyword::Form(_))));
        // A comment or a first keyword after a translation begins the next entry.
        let begins = text.starts_with('#') || text.starts_with("msgctxt") || is_id(text);
        if begins && has_form || text.is_empty() && !reader.texts.is_empty() {
            entries.extend(std::mem::take(&mut reader).end());
        }
        if let Some(flags) = text.strip_prefix("#,") {
            let flags = flags.split(',').map(|flag| flag.trim().to_owned());
            reader.flags.extend(flags.filter(|flag| !flag.is_empty()));
            reader.flag_lines.push(line.start..line.next);
        } else if text.starts_with("#|") {
            reader.previous.push(line.start..line.next);
        } else if !text.is_empty() && !text.starts_with('#') && !reader.line(source, line, number + 1) {
            reader.is_broken = true;
            unknown.push(number + 1);
        }
    }
    entries.extend(reader.end());
    (entries, unknown)
}

fn is_id(text: &str) -> bool {
    text.strip_prefix("msgid").is_some_and(|rest| rest.starts_with([' ', '\t', '"']))
}

/// A keyword at the beginning of a line, and what follows it.
fn keyword(text: &str) -> Option<(Keyword, &str)> {
    let (keyword, rest) = if let Some(rest) = text.strip_prefix("msgctxt") {
        (Keyword::Context, rest)
    } else if let Some(rest) = text.strip_prefix("msgid_plural") {
        (Keyword::Plural, rest)
    } else if let Some(rest) = text.strip_prefix("msgid") {
        (Keyword::Id, rest)
    } else if let Some(rest) = text.strip_prefix("msgstr[") {
        let (number, rest) = rest.split_once(']')?;
        (Keyword::Form(number.trim().parse().ok()?), rest)
    } else {
        (Keyword::Form(0), text.strip_prefix("msgstr")?)
    };
    Some((keyword, rest.trim_start()))
}

impl Reader {
    /// A line with a keyword or another string; `false` if it is neither.
    fn line(&mut self, source: &str, line: &Line, number: usize) -> bool {
        let text = source[line.range()].trim();
        let (keyword, strings) = keyword(text).map_or((None, text), |(keyword, rest)| (Some(keyword), rest));
        let start = strings.as_ptr() as usize - source.as_ptr() as usize;
        let Some(said) = unescaped(strings) else { return false };
        match (keyword, self.texts.last_mut()) {
            (Some(_), _) => {
                self.start.get_or_insert(line.start);
                let text = Text { text: said, strings: start..start + strings.len(), line: number };
                self.texts.push((keyword, text));
            }
            (None, Some((_, text))) => {
                text.text.push_str(&said);
                text.strings.end = start + strings.len();
            }
            (None, None) => return false,
        }
        true
    }

    fn end(self) -> Option<Entry> {
        let mut entry = Entry {
            start: self.start?,
            flags: self.flags,
            flag_lines: self.flag_lines,
            previous: self.previous,
            context: None,
            id: Text::default(),
            plural: None,
            forms: Vec::new(),
        };
        let mut has_id = false;
        for (keyword, text) in self.texts {
            match keyword? {
                Keyword::Context => entry.context = Some(text.text),
                Keyword::Id => (entry.id, has_id) = (text, true),
                Keyword::Plural => entry.plural = Some(text),
                Keyword::Form(number) if entry.forms.iter().all(|(other, _)| *other != number) => {
                    entry.forms.push((number, text))
                }
                Keyword::Form(_) => return None,
            }
        }
        (has_id && !self.is_broken).then_some(entry)
    }
}

/// What strings in quotation marks say; `None` if they are none.
fn unescaped(strings: &str) -> Option<String> {
    let mut said = String::with_capacity(strings.len());
    let mut rest = strings;
    loop {
        rest = rest.strip_prefix('"')?;
        let mut characters = rest.char_indices();
        let end = loop {
            let (at, c) = characters.next()?;
            match c {
                '"' => break at + 1,
                '\\' => {
                    let (at, c) = characters.next()?;
                    let number = |radix: u32, from: usize, most: usize| {
                        let digits = rest[from..].chars().take(most).take_while(|c| c.is_digit(radix)).count();
                        (u8::from_str_radix(&rest[from..from + digits], radix).unwrap_or(0), digits)
                    };
                    match c {
                        'n' => said.push('\n'),
                        't' => said.push('\t'),
                        'r' => said.push('\r'),
                        'a' => said.push('\u{7}'),
                        'b' => said.push('\u{8}'),
                        'f' => said.push('\u{c}'),
                        'v' => said.push('\u{b}'),
                        '0'..='7' | 'x' => {
                            let (value, digits) = if c == 'x' { number(16, at + 1, 2) } else { number(8, at, 3) };
                            said.push(char::from(value));
                            let skipped = if c == 'x' { digits } else { digits - 1 };
                            for _ in 0..skipped {
                                characters.next();
                            }
                        }
                        other => said.push(other),
                    }
                }
                c => said.push(c),
            }
        };
        rest = rest[end..].trim_start();
        if rest.is_empty() {
            return Some(said);
        }
    }
}
