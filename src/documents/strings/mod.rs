//! Catalogues of names and texts: Java properties, Apple's strings, JSON, ARB, YAML and Fluent.
//!
//! Each format finds its values by their bytes, says what they say and how another text is written in their place. All values of a
//! file are texts in its source language; there is no other language in it.

mod apple;
mod escapes;
mod fluent;
mod icu;
mod json;
mod properties;
mod yaml;

use std::ops::Range;

pub(super) use apple::Apple;
pub(super) use fluent::Fluent;
pub(super) use json::{Arb, Json};
pub(super) use properties::Properties;
pub(super) use yaml::Yaml;

use super::messages::{Braces, Message, Percent, Syntax};
use super::source::{LineNumbers, Source, has_letters};
use super::{Document, Part, Segment};
use crate::{Error, Result};

/// A value of a catalogue.
struct Value {
    /// Its bytes.
    range: Range<usize>,
    /// What it says, without escapes.
    text: String,
    /// The parts of the text that are translated, in order.
    messages: Vec<(Range<usize>, Message)>,
    /// How a text is written in its place.
    written: Box<dyn Fn(&str) -> String>,
}

/// A catalogue.
struct Catalogue {
    source: Source,
    values: Vec<Value>,
    segments: Vec<Segment>,
    /// What changes beside the values if something is translated: the name of the language.
    renamed: Vec<(Range<usize>, String)>,
    /// How a character is written that the encoding lacks, if there is a way.
    escape: Option<fn(char) -> String>,
    notes: Vec<String>,
    numbers: LineNumbers,
    line_end: &'static str,
}

/// Most notes about single values.
const MOST_NOTES: usize = 20;

impl Catalogue {
    fn new(source: Source, escape: Option<fn(char) -> String>) -> Self {
        let numbers = LineNumbers::of(&source.text);
        let (values, segments, renamed, notes) = Default::default();
        let line_end = if source.text.contains("\r\n") { "\r\n" } else { "\n" };
        Self { source, values, segments, renamed, escape, notes, numbers, line_end }
    }

    /// Adds a value with its name. Text that is none (addresses, dates' formats) is left out.
    fn add(
        &mut self,
        name: &str,
        range: Range<usize>,
        text: String,
        syntax: Syntax,
        written: Box<dyn Fn(&str) -> String>,
    ) {
        let line = self.numbers.line(range.start);
        if !has_letters(&text) || is_code(&text) {
            return;
        }
        let (ranges, syntax) = match icu::branches(&text) {
            icu::Found::Nothing => (std::iter::once(0..text.len()).collect::<Vec<_>>(), syntax),
            icu::Found::Branches(branches) => (branches, Syntax { braces: Braces::Branch, ..syntax }),
            icu::Found::WithinText => {
                self.note(line, "a choice of forms within a sentence is left as it is; translate it by hand");
                return;
            }
        };
        let messages: Vec<_> =
            ranges.into_iter().map(|range| (range.clone(), Message::of(&text[range], syntax))).collect();
        for piece in messages.iter().flat_map(|(_, message)| &message.pieces) {
            self.segments.push(Segment { parts: piece.parts.clone(), line, name: Some(name.to_owned()) });
        }
        self.values.push(Value { range, text, messages, written });
    }

    fn note(&mut self, line: usize, what: &str) {
        match self.notes.len() {
            ..MOST_NOTES => self.notes.push(format!("line {line}: {what}")),
            MOST_NOTES => self.notes.push("… and more of the kind".to_owned()),
            _ => {}
        }
    }
}

/// Whether a text is for programs: an address, a format of dates, a name with colon.
fn is_code(text: &str) -> bool {
    let text = text.trim();
    let is_word = !text.contains(char::is_whitespace);
    let is_address = is_word && (text.contains("://") || text.starts_with("mailto:"));
    let is_symbol = is_word && text.starts_with(':') && text[1..].chars().all(|c| c.is_ascii_lowercase() || c == '_');
    // %d.%m.%Y
    let mut rest = text;
    let mut is_date = text.contains('%');
    while let Some((before, after)) = rest.split_once('%').filter(|_| is_date) {
        let after = after.trim_start_matches(['-', '^', '0', '_', '#', ' ']);
        is_date = !has_letters(before) && after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '%');
        rest = after.get(1..).unwrap_or("");
    }
    is_address || is_symbol || (is_date && !has_letters(rest))
}

/// What messages have where nothing more is known.
fn guess() -> Syntax {
    Syntax { percent: Percent::Guess, braces: Braces::Guess, has_keys: false }
}

impl Document for Catalogue {
    fn segments(&self) -> &[Segment] {
        &self.segments
    }

    fn write(&self, translations: &[Option<Vec<Part>>]) -> Result<Vec<u8>> {
        let mut edits = Vec::new();
        let mut at = 0;
        for value in &self.values {
            let (mut text, mut end, mut is_changed) = (String::new(), 0, false);
            for (range, message) in &value.messages {
                let translated = message.translated(&translations[at..at + message.pieces.len()]);
                at += message.pieces.len();
                is_changed |= translated.is_some();
                text.push_str(&value.text[end..range.start]);
                text.push_str(translated.as_ref().map_or(&value.text[range.clone()], |written| &written.text));
                end = range.end;
            }
            text.push_str(&value.text[end..]);
            if is_changed {
                edits.push((value.range.clone(), (value.written)(&text)));
            }
        }
        if !edits.is_empty() {
            edits.extend(self.renamed.iter().cloned());
            edits.sort_by_key(|(range, _)| range.start);
        }
        let text = self.source.edited(edits);
        let encoding = self.source.encoding;
        match self.escape {
            Some(escape) => Ok(encoding.encode(&text, escape)),
            None if encoding.has(&text) => Ok(encoding.encode(&text, String::from)),
            None => {
                let name = encoding.name();
                Err(Error::Text(format!("a translation has characters that {name} lacks; convert the file to UTF-8")))
            }
        }
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }
}
