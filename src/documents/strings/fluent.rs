//! Fluent: messages, terms and attributes, with placeables and choices.
//!
//! ```text
//! # comment
//! hello = Hallo { $name }!
//!     .title = Ein Titel
//! dogs = { $count ->
//!     [one] Ein Hund
//!    *[other] { $count } Hunde
//! }
//! ```
//!
//! A value over several lines keeps its line ends. A choice within a sentence stays as it is, and is said.

use std::ops::Range;

use super::super::messages::{Braces, Percent, Syntax};
use super::super::source::{Source, lines};
use super::super::{Document, Format, Options};
use super::Catalogue;
use crate::Result;

/// Fluent.
pub(in crate::documents) struct Fluent;

impl Format for Fluent {
    fn name(&self) -> &'static str {
        "ftl"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["ftl"]
    }

    fn recognises(&self, _start: &[u8]) -> bool {
        false
    }

    fn read(&self, bytes: &[u8], _options: &Options) -> Result<Box<dyn Document>> {
        let source = Source::read(bytes, None)?;
        let text = source.text.clone();
        let mut catalogue = Catalogue::new(source, None);
        let lines = lines(&text);
        let mut name = String::new();
        let mut at = 0;
        while at < lines.len() {
            let line = &text[lines[at].range()];
            let is_attribute = line.starts_with([' ', '\t']) && line.trim_start().starts_with('.');
            let Some((key, after)) = line.split_once('=').filter(|(key, _)| is_key(key.trim(), is_attribute)) else {
                at += 1;
                continue;
            };
            if is_attribute {
                name = format!("{}{}", name.split('.').next().unwrap_or(""), key.trim());
            } else {
                name = key.trim().to_owned();
            }
            let start = lines[at].end - after.len();
            // The value goes on in lines that are indented, and as long as braces are open.
            let mut depth = depth(after);
            at += 1;
            let mut last = at - 1;
            while at < lines.len() {
                let next = &text[lines[at].range()];
                let is_indented = next.starts_with(' ');
                let begins = next.trim_start().starts_with(['.', '*', '[', '}']);
                let goes_on = if depth > 0 {
                    is_indented || next.is_empty() || next.starts_with('}')
                } else {
                    next.trim().is_empty() || (is_indented && !begins)
                };
                if !goes_on {
                    break;
                }
                depth = (depth + self::depth(next)).max(0);
                if !next.trim().is_empty() {
                    last = at;
                }
                at += 1;
            }
            at = last + 1;
            pattern(&mut catalogue, &text, start..lines[last].end, &name, 0);
        }
        Ok(Box::new(catalogue))
    }
}

fn is_key(key: &str, is_attribute: bool) -> bool {
    let key = if is_attribute { key.strip_prefix('.').unwrap_or("") } else { key.strip_prefix('-').unwrap_or(key) };
    key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// How many braces more are opened than closed, outside of strings within them.
fn depth(line: &str) -> isize {
    let (mut depth, mut in_string) = (0, false);
    let mut bytes = line.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if depth > 0 => in_string = !in_string,
            b'\\' if in_string => drop(bytes.next().is_some()),
            b'{' if !in_string => depth += 1,
            b'}' if !in_string => depth -= 1,
            _ => {}
        }
    }
    depth
}

/// Choices within one another.
const DEEPEST: usize = 8;

/// A value: one text, or a choice of several, which may be choices themselves.
fn pattern(catalogue: &mut Catalogue, text: &str, range: Range<usize>, name: &str, depth: usize) {
    let whole = &text[range.clone()];
    let start = range.start + (whole.len() - whole.trim_start().len());
    let end = range.start + whole.trim_end().len();
    if start >= end {
        return;
    }
    let whole = &text[start..end];
    if whole.contains("->") {
        match variants(text, start..end).filter(|_| depth < DEEPEST) {
            Some(variants) => {
                variants.into_iter().for_each(|variant| pattern(catalogue, text, variant, name, depth + 1));
            }
            None => {
                let line = catalogue.numbers.line(start);
                catalogue.note(line, "a choice of forms within a sentence is left as it is; translate it by hand");
            }
        }
        return;
    }
    value(catalogue, text, start..end, name);
}

/// The texts of a choice, if that is all a value is: what stands after `[one]` up to the next.
fn variants(text: &str, range: Range<usize>) -> Option<Vec<Range<usize>>> {
    let inner = text[range.clone()].strip_prefix('{')?.strip_suffix('}')?;
    let begin = range.start + 1;
    let mut variants: Vec<Range<usize>> = Vec::new();
    let mut depth = 0;
    for line in lines(inner) {
        let content = &inner[line.range()];
        let trimmed = content.trim_start();
        let key = trimmed.strip_prefix('*').unwrap_or(trimmed);
        if depth == 0 && key.starts_with('[') {
            let close = key.find(']')?;
            let start = line.end - (key.len() - close - 1);
            variants.push(begin + start..begin + line.end);
        } else if let Some(last) = variants.last_mut().filter(|_| !trimmed.is_empty()) {
            last.end = begin + line.end;
        } else if !trimmed.is_empty() && !trimmed.ends_with("->") && !variants.is_empty() {
            return None;
        }
        depth += self::depth(content);
        if depth < 0 {
            return None;
        }
    }
    let trimmed = variants.into_iter().map(|range| {
        let whole = &text[range.clone()];
        range.start + (whole.len() - whole.trim_start().len()).min(whole.trim_end().len())
            ..range.start + whole.trim_end().len()
    });
    Some(trimmed.filter(|range| !range.is_empty()).collect())
}

/// One text, over one or several lines.
fn value(catalogue: &mut Catalogue, text: &str, range: Range<usize>, name: &str) {
    let whole = &text[range.clone()];
    let inner = lines(whole);
    if inner.iter().any(|line| depth(&whole[line.range()]) != 0) {
        let line = catalogue.numbers.line(range.start);
        catalogue.note(line, "a placeable over several lines is not understood, its text is left as it is");
        return;
    }
    let indentation = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let indents = inner.iter().skip(1).map(|line| &whole[line.range()]).filter(|line| !line.trim().is_empty());
    // The first line may be indented itself.
    let begin = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
    let first = text[begin..range.start].bytes().all(|byte| byte == b' ').then_some(range.start - begin);
    let indent = indents.map(indentation).chain(first).min().unwrap_or(4);
    let mut said = String::with_capacity(whole.len());
    for (number, line) in inner.iter().enumerate() {
        let content = &whole[line.range()];
        if number > 0 {
            said.push('\n');
        }
        said.push_str(if number > 0 { content.get(indent..).unwrap_or("") } else { content });
    }
    let line_end = catalogue.line_end;
    let written = move |text: &str| {
        let mut written = String::with_capacity(text.len());
        for (number, line) in text.split('\n').enumerate() {
            if number > 0 {
                written.push_str(line_end);
                if !line.is_empty() {
                    written.push_str(&" ".repeat(indent));
                }
            }
            // What would begin something else.
            if line.trim_start().starts_with(['.', '*', '[']) && (number > 0 || first.is_some()) {
                written.push_str("{\"\"}");
            }
            written.push_str(line);
        }
        written
    };
    let syntax = Syntax { percent: Percent::Text, braces: Braces::Fluent, has_keys: false };
    catalogue.add(name, range, said, syntax, Box::new(written));
}
