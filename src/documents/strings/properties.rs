//! Java's properties: `key = value`, in Latin-1 with `\u00e4` or in UTF-8.

use super::super::source::{Source, lines};
use super::super::{Document, Format, Options};
use super::escapes::{common, numbered, resolved};
use super::{Catalogue, guess};
use crate::Result;

/// Java's properties.
pub(in crate::documents) struct Properties;

impl Format for Properties {
    fn name(&self) -> &'static str {
        "properties"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["properties"]
    }

    fn recognises(&self, _start: &[u8]) -> bool {
        false
    }

    fn read(&self, bytes: &[u8], _options: &Options) -> Result<Box<dyn Document>> {
        let source = Source::read(bytes, None)?;
        let text = source.text.clone();
        // Only a file that has other characters as they are can have more of them.
        let is_ascii = text.is_ascii();
        let mut catalogue = Catalogue::new(source, Some(escaped));
        let line_end = catalogue.line_end;
        let lines = lines(&text);
        let mut at = 0;
        while at < lines.len() {
            let first = at;
            let begin = lines[first].start + indentation(&text[lines[first].range()]);
            let is_comment = text[begin..lines[first].end].starts_with(['#', '!']);
            // A line that ends in a backslash goes on in the next.
            while !is_comment && at + 1 < lines.len() && goes_on(&text[lines[at].range()]) {
                at += 1;
            }
            let end = lines[at].end;
            at += 1;
            let (key_end, start) = key(&text[begin..end]);
            let (key, start) = (&text[begin..begin + key_end], begin + start);
            if is_comment || start >= end {
                continue;
            }
            let raw = &text[start..end];
            let said = unescaped(raw);
            // In formats of messages an apostrophe is two.
            let is_format = has_argument(&said);
            let doubled = is_format && !said.replace("''", "").contains('\'');
            let said = if doubled { said.replace("''", "'") } else { said };
            let width =
                (at - first > 1).then(|| lines[first..at].iter().map(|line| line.end - line.start).max().unwrap_or(0));
            let hanging = lines[first..at].get(1).map_or(0, |line| indentation(&text[line.range()]));
            let lead = start - lines[first].start;
            let written = move |text: &str| {
                let text = if doubled { text.replace('\'', "''") } else { text.to_owned() };
                write(&text, is_ascii, width.map(|width| (width, lead, hanging)), line_end)
            };
            let name = unescaped(key);
            catalogue.add(&name, start..end, said, guess(), Box::new(written));
        }
        Ok(Box::new(catalogue))
    }
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t', '\u{c}']).len()
}

fn goes_on(line: &str) -> bool {
    (line.len() - line.trim_end_matches('\\').len()) % 2 == 1
}

/// Where a key ends, and where its value begins.
fn key(line: &str) -> (usize, usize) {
    let mut characters = line.char_indices();
    let mut end = line.len();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => drop(characters.next().is_some()),
            '=' | ':' | ' ' | '\t' | '\u{c}' => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    let space = |from: usize| from + indentation(&line[from..]);
    let sign = space(end);
    let start = if line[sign..].starts_with(['=', ':']) { space(sign + 1) } else { sign };
    // A separator may be followed by a line end and the value in the next line.
    let rest = &line[start..];
    let next = rest.strip_prefix("\\\r\n").or_else(|| rest.strip_prefix("\\\n")).map(|rest| line.len() - rest.len());
    (end, next.map_or(start, space))
}

/// Whether there is `{0}` in a text.
fn has_argument(text: &str) -> bool {
    text.match_indices('{').any(|(at, _)| text[at + 1..].starts_with(|c: char| c.is_ascii_digit()))
}

/// A character as `\u`.
fn escaped(c: char) -> String {
    numbered("\\u", c)
}

/// What a value says.
fn unescaped(value: &str) -> String {
    resolved(value, &["\\u"], |c, rest| match c {
        'f' => Some('\u{c}'),
        // The value goes on in the next line.
        '\n' | '\r' => {
            *rest = rest.strip_prefix('\n').filter(|_| c == '\r').unwrap_or(rest);
            *rest = &rest[indentation(rest)..];
            None
        }
        c => Some(common(c)),
    })
}

/// A value, over several lines if the one before was: the columns of these, of what stands before the first and before others.
fn write(text: &str, is_ascii: bool, lines: Option<(usize, usize, usize)>, line_end: &str) -> String {
    let mut written = String::with_capacity(text.len() + 8);
    let mut column = lines.map_or(0, |(_, lead, _)| lead);
    for (number, word) in text.split_inclusive([' ', '\n']).enumerate() {
        let mut piece = String::with_capacity(word.len());
        for (at, c) in word.char_indices() {
            match c {
                '\\' => piece.push_str("\\\\"),
                '\n' => piece.push_str("\\n"),
                '\r' => piece.push_str("\\r"),
                '\t' => piece.push_str("\\t"),
                '\u{c}' => piece.push_str("\\f"),
                // White space at the beginning belongs to what is before it.
                ' ' if number == 0 && at == 0 => piece.push_str("\\ "),
                c if (is_ascii && !c.is_ascii()) || c.is_control() => piece.push_str(&escaped(c)),
                c => piece.push(c),
            }
        }
        if let Some((width, _, hanging)) = lines
            && number > 0
            && (column + piece.trim_end().len() > width || written.ends_with("\\n"))
            && !piece.starts_with(' ')
        {
            written.push('\\');
            written.push_str(line_end);
            written.push_str(&" ".repeat(hanging));
            column = hanging;
        }
        column += piece.chars().count();
        written.push_str(&piece);
    }
    written
}
