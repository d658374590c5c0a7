//! Catalogues in JSON: values that are strings, at any depth; ARB of Flutter; messages of browsers' extensions.

use std::ops::Range;

use super::super::source::Source;
use super::super::{Document, Format, Options};
use super::escapes::{common, numbered, resolved};
use super::{Catalogue, guess};
use crate::{Error, Result};

/// JSON.
pub(in crate::documents) struct Json;
/// Flutter's ARB: JSON, in which keys with `@` tell about others.
pub(in crate::documents) struct Arb;

impl Format for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["json"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        let start = String::from_utf8_lossy(start);
        let start = start.trim_start_matches('\u{feff}').trim_start();
        start.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with(['"', '}']))
    }

    fn read(&self, bytes: &[u8], options: &Options) -> Result<Box<dyn Document>> {
        read(bytes, options, false)
    }
}

impl Format for Arb {
    fn name(&self) -> &'static str {
        "arb"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["arb"]
    }

    fn recognises(&self, _start: &[u8]) -> bool {
        false
    }

    fn read(&self, bytes: &[u8], options: &Options) -> Result<Box<dyn Document>> {
        read(bytes, options, true)
    }
}

/// A string in the place of a value: its bytes between the quotation marks, and its keys.
struct Found {
    range: Range<usize>,
    path: Vec<String>,
}

/// Most keys in the name of a value: the last ones.
const MOST_KEYS: usize = 8;

fn read(bytes: &[u8], options: &Options, is_arb: bool) -> Result<Box<dyn Document>> {
    let source = Source::read(bytes, None)?;
    let text = source.text.clone();
    let mut catalogue = Catalogue::new(source, Some(escaped));
    let found = strings(&text, |at| catalogue.numbers.line(at))?;
    let writes_ascii = text.is_ascii() && text.contains("\\u");
    let writes_slashes = text.contains("\\/");
    // Messages of a browser's extension have a text and a description.
    let is_extension = !found.is_empty()
        && found.iter().all(|found| found.path.len() > 1)
        && found.iter().any(|found| found.path.len() == 2 && found.path[1] == "message")
        && found.iter().all(|found| {
            ["message", "description", "placeholders"].contains(&found.path[1].as_str())
                || found.path[1].starts_with('@')
        });
    for Found { range, path } in found {
        let last = path.last().map_or("", String::as_str);
        if is_arb && last == "@@locale" && path.len() == 1 {
            if let Some(language) = &options.target_language {
                catalogue.renamed.push((range, language.replace('-', "_")));
            }
            continue;
        }
        let is_metadata = path.iter().any(|key| key.starts_with('@')) || last == "$schema";
        if (is_arb && is_metadata) || last == "$schema" || (is_extension && path[1..] != ["message"]) {
            continue;
        }
        let said = unescaped(&text[range.clone()]);
        let name = path[path.len().saturating_sub(MOST_KEYS)..].join(".");
        // Slashes are escaped as in this value, or as in the file.
        let raw = &text[range.clone()];
        let slashes = raw.contains("\\/") || (writes_slashes && !raw.contains('/'));
        let written = move |text: &str| write(text, writes_ascii, slashes);
        catalogue.add(&name, range, said, guess(), Box::new(written));
    }
    Ok(Box::new(catalogue))
}

/// What is open: an object with the key of the value that comes next, or an array with its place.
enum Open {
    Object(Option<String>),
    Array(usize),
}

/// All strings that are values. Comments are skipped, and commas may be missing or too many.
fn strings(text: &str, line: impl Fn(usize) -> usize) -> Result<Vec<Found>> {
    let error = |at: usize, what: &str| Error::Text(format!("line {}: {what}", line(at)));
    let bytes = text.as_bytes();
    let (mut open, mut found, mut at): (Vec<Open>, Vec<Found>, usize) = (Vec::new(), Vec::new(), 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                let end = end_of_string(bytes, at)
                    .ok_or_else(|| error(at, "a string does not end; close its quotation marks"))?;
                let is_key = matches!(open.last(), Some(Open::Object(None)));
                if is_key {
                    let key = unescaped(&text[at + 1..end - 1]);
                    if let Some(Open::Object(slot)) = open.last_mut() {
                        *slot = Some(key);
                    }
                } else {
                    // Of a value that lies deep, the last keys and the first.
                    let first = open.len().min(3);
                    let last = first.max(open.len().saturating_sub(MOST_KEYS));
                    let keys = open[..first].iter().chain(&open[last..]);
                    let path = keys.map(|open| match open {
                        Open::Object(key) => key.clone().unwrap_or_default(),
                        Open::Array(place) => place.to_string(),
                    });
                    found.push(Found { range: at + 1..end - 1, path: path.collect() });
                }
                at = end;
                continue;
            }
            b'{' => open.push(Open::Object(None)),
            b'[' => open.push(Open::Array(0)),
            b'}' => match open.pop() {
                Some(Open::Object(_)) => {}
                _ => return Err(error(at, "`}` without `{`; mend the file")),
            },
            b']' => match open.pop() {
                Some(Open::Array(_)) => {}
                _ => return Err(error(at, "`]` without `[`; mend the file")),
            },
            b',' => match open.last_mut() {
                Some(Open::Object(key)) => *key = None,
                Some(Open::Array(place)) => *place += 1,
                None => {}
            },
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = text[at..].find('\n').map_or(bytes.len(), |end| at + end);
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = text[at..].find("*/").map_or(bytes.len(), |end| at + end + 2);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    match open.is_empty() {
        true => Ok(found),
        false => {
            Err(error(text.len().saturating_sub(1), "the file ends before all brackets are closed; it is cut off"))
        }
    }
}

/// Where a string ends that begins here. It ends in its line.
fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            b'\n' | b'\r' => return None,
            _ => at += 1,
        }
    }
}

/// A character as `\u`.
fn escaped(c: char) -> String {
    numbered("\\u", c)
}

fn unescaped(text: &str) -> String {
    resolved(text, &["\\u"], |c, _| match c {
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        c => Some(common(c)),
    })
}

fn write(text: &str, writes_ascii: bool, writes_slashes: bool) -> String {
    let mut written = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\t' => written.push_str("\\t"),
            '\r' => written.push_str("\\r"),
            '\u{8}' => written.push_str("\\b"),
            '\u{c}' => written.push_str("\\f"),
            '/' if writes_slashes => written.push_str("\\/"),
            c if c < ' ' || (writes_ascii && !c.is_ascii()) => written.push_str(&escaped(c)),
            c => written.push(c),
        }
    }
    written
}
