//! Apple's strings: `"key" = "value";`, in UTF-8 or UTF-16.

use super::super::source::Source;
use super::super::{Document, Format, Options};
use super::escapes::{common, numbered, resolved};
use super::{Catalogue, guess};
use crate::{Error, Result};

/// Apple's strings.
pub(in crate::documents) struct Apple;

impl Format for Apple {
    fn name(&self) -> &'static str {
        "strings"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["strings"]
    }

    fn recognises(&self, _start: &[u8]) -> bool {
        false
    }

    fn read(&self, bytes: &[u8], _options: &Options) -> Result<Box<dyn Document>> {
        if bytes.starts_with(b"bplist") {
            let advice = "convert it with `plutil -convert xml1` or take the file it was made of";
            return Err(Error::Text(format!("a compiled file of strings; {advice}")));
        }
        let source = Source::read(bytes, None)?;
        if source.text.contains('\0') {
            return Err(Error::Text("line 1: UTF-16 without a byte order mark; convert the file to UTF-8".to_owned()));
        }
        let text = source.text.clone();
        let mut catalogue = Catalogue::new(source, Some(escaped));
        let mut at = 0;
        // The string or word before an equals sign.
        let mut key: Option<String> = None;
        let mut is_value = false;
        while at < text.len() {
            let rest = &text[at..];
            let c = rest.chars().next().expect("more text");
            let skipped = if rest.starts_with("/*") {
                rest.find("*/").map_or(rest.len(), |end| end + 2)
            } else if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if c == '"' {
                let line = catalogue.numbers.line(at);
                let Some(end) = end_of_string(rest) else {
                    return Err(Error::Text(format!("line {line}: a string does not end; close its quotation marks")));
                };
                let said = unescaped(&rest[1..end - 1]);
                if is_value {
                    let name = key.take().unwrap_or_default();
                    catalogue.add(&name, at + 1..at + end - 1, said, guess(), Box::new(write));
                } else {
                    key = Some(said);
                }
                end
            } else if c.is_alphanumeric() || "_.-$/:".contains(c) {
                let end = rest
                    .find(|c: char| !(c.is_alphanumeric() || "_.-$:".contains(c)))
                    .unwrap_or(rest.len())
                    .max(c.len_utf8());
                key = Some(rest[..end].to_owned());
                end
            } else {
                is_value = match c {
                    '=' => key.is_some(),
                    ';' | '{' | '}' => false,
                    _ => is_value,
                };
                c.len_utf8()
            };
            at += skipped;
        }
        Ok(Box::new(catalogue))
    }
}

/// Where a string ends that begins here.
fn end_of_string(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at + 1),
            b'\\' => drop(bytes.next().is_some()),
            _ => {}
        }
    }
    None
}

/// A character as `\U`.
fn escaped(c: char) -> String {
    numbered("\\U", c)
}

fn unescaped(text: &str) -> String {
    resolved(text, &["\\U", "\\u"], |c, _| Some(common(c)))
}

fn write(text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\t' => written.push_str("\\t"),
            '\r' => written.push_str("\\r"),
            c if c.is_control() => written.push_str(&escaped(c)),
            c => written.push(c),
        }
    }
    written
}
