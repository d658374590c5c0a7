//! Documents: files whose texts are translated and whose everything else stays as it is, byte for byte.
//!
//! ```text
//! bytes ─► Format::read ─► Document: segments (text and inline marks)
//!                              │ text without marks ─► a translator (not known here) ─► translation and word links
//!                              │ transfer: the marks go to the words that their words became
//! bytes ◄─ Document::write ◄───┘
//! ```
//!
//! A format knows its syntax and nothing of models; a translation that is equal to its segment leaves the bytes of the segment
//! untouched, so a document that is not translated comes back as it was.

mod encoding;
#[cfg(feature = "catalogues")]
mod gettext;
#[cfg(feature = "html")]
mod html;
#[cfg(any(feature = "html", feature = "markdown"))]
mod inline;
#[cfg(feature = "markdown")]
mod markdown;
#[cfg(feature = "catalogues")]
mod messages;
#[cfg(feature = "office")]
mod office;
mod plain;
mod source;
#[cfg(feature = "catalogues")]
mod strings;
#[cfg(feature = "subtitles")]
mod subtitles;
mod texts;
mod transfer;
// With one of the two features some of it is idle.
#[cfg(any(feature = "catalogues", feature = "office"))]
#[cfg_attr(not(all(feature = "catalogues", feature = "office")), allow(dead_code))]
mod xml;
#[cfg(feature = "catalogues")]
mod xml_catalogues;

pub use encoding::Encoding;
pub use texts::Text;
pub use transfer::{Transferred, transfer};

use std::ops::Range;

use crate::Result;

/// A text of a document: a paragraph, a cell, a message, the sentence of some subtitles.
///
/// White space that means nothing in its format is one space here, and there is none at the ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Text and marks, in order. Marks nest: what was opened last is closed first, and all are closed.
    pub parts: Vec<Part>,
    /// The line of the file it begins in, counted from 1; 0 where a file has no lines.
    pub line: usize,
    /// What it is called in its file, if it has a name: a key, a cell, a part of an archive.
    pub name: Option<String>,
}

/// A piece of a segment. Marks are numbered by their format, which knows the bytes that stand for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text, with entities and escapes resolved.
    Text(String),
    /// An inline element begins.
    Open(usize),
    /// The inline element with this number ends.
    Close(usize),
    /// Something that stands by itself.
    Alone(usize, Shown),
}

/// What a translator sees in the place of a mark that stands by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Nothing: it belongs to the word before it or after it (a reference to a footnote, a picture).
    Nothing,
    /// A space: the words around it are two (a line break).
    Space,
    /// This text, which comes back as it is, with the mark around it (code, a placeholder, a name).
    Text(String),
}

impl Segment {
    /// The text that is translated: all parts without their marks.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) | Part::Alone(_, Shown::Text(part)) => text.push_str(part),
                Part::Alone(_, Shown::Space) if !text.ends_with(' ') => text.push(' '),
                _ => {}
            }
        }
        text
    }

    /// Whether there are marks in it.
    pub fn has_marks(&self) -> bool {
        self.parts.iter().any(|part| !matches!(part, Part::Text(_)))
    }
}

/// What a translator made of a segment's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Translated {
    /// The translation of [`Segment::text`].
    pub text: String,
    /// Words that belong together: bytes of the source text, bytes of the translation. Sorted by source.
    pub links: Vec<(Range<usize>, Range<usize>)>,
}

/// What a document is to be read for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The source language as BCP 47 writes it, if it is known.
    pub source_language: Option<String>,
    /// The target language.
    pub target_language: Option<String>,
    /// Catalogues: whether what is translated already is translated again.
    pub all: bool,
    /// Catalogues: whether translations are marked as not yet looked at by a person (fuzzy, needs-review, unfinished).
    pub mark_for_review: bool,
    /// Subtitles: most characters in a line; `None` keeps to the longest line of the file.
    pub cue_width: Option<usize>,
}

/// A document that was taken apart.
pub trait Document {
    /// Its texts, in the order of the file.
    fn segments(&self) -> &[Segment];

    /// The document with `translations`, one for each segment, in the place of its texts. `None`, and what is equal to the
    /// segment's own parts, leaves its bytes as they were. The marks of a translation are those of its segment, each once and nested.
    ///
    /// # Errors
    /// If the document cannot be put together again.
    fn write(&self, translations: &[Option<Vec<Part>>]) -> Result<Vec<u8>>;

    /// What is to be said of it: what was not understood, and what is not translated though somebody might expect it.
    fn notes(&self) -> &[String] {
        &[]
    }
}

/// A kind of document.
pub trait Format: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// Endings of its files, in lower case, without the dot; such as are several (`wxl.xml`) count more than one.
    fn endings(&self) -> &'static [&'static str];

    /// Whether a file that begins with these bytes is one, for files whose ending says nothing.
    fn recognises(&self, start: &[u8]) -> bool;

    /// Takes a document apart.
    ///
    /// # Errors
    /// [`crate::Error::Text`] that says what is wrong and in which line, if it is not of this kind or damaged.
    fn read(&self, bytes: &[u8], options: &Options) -> Result<Box<dyn Document>>;
}

/// All formats. What is recognised by content is asked in this order, so plain text comes last.
pub static FORMATS: &[&dyn Format] = &[
    #[cfg(feature = "subtitles")]
    &subtitles::WebVtt,
    #[cfg(feature = "subtitles")]
    &subtitles::Substation,
    #[cfg(feature = "subtitles")]
    &subtitles::SubRip,
    #[cfg(feature = "catalogues")]
    &xml_catalogues::Xliff,
    #[cfg(feature = "catalogues")]
    &xml_catalogues::Tmx,
    #[cfg(feature = "catalogues")]
    &xml_catalogues::Qt,
    #[cfg(feature = "catalogues")]
    &xml_catalogues::Android,
    #[cfg(feature = "catalogues")]
    &gettext::Gettext,
    #[cfg(feature = "catalogues")]
    &strings::Properties,
    #[cfg(feature = "catalogues")]
    &strings::Apple,
    #[cfg(feature = "catalogues")]
    &strings::Arb,
    #[cfg(feature = "catalogues")]
    &strings::Json,
    #[cfg(feature = "catalogues")]
    &strings::Yaml,
    #[cfg(feature = "catalogues")]
    &strings::Fluent,
    #[cfg(feature = "office")]
    &office::Docx,
    #[cfg(feature = "office")]
    &office::Pptx,
    #[cfg(feature = "office")]
    &office::Xlsx,
    #[cfg(feature = "office")]
    &office::OpenDocument,
    #[cfg(feature = "office")]
    &office::Epub,
    #[cfg(feature = "html")]
    &html::Html,
    #[cfg(feature = "markdown")]
    &markdown::Markdown,
    &plain::Plain,
];

/// The format of a name on the command line.
pub fn format(name: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}

/// The format of a file: by its ending, of which the longest counts, otherwise by its first bytes.
pub fn format_of(file: &str, start: &[u8]) -> Option<&'static dyn Format> {
    let file = file.to_lowercase();
    let length = |format: &&'static dyn Format| {
        let endings = format.endings().iter();
        endings
            .filter(|ending| file.strip_suffix(**ending).is_some_and(|rest| rest.ends_with('.')))
            .map(|e| e.len())
            .max()
    };
    let by_ending = FORMATS.iter().copied().filter_map(|format| Some((length(&format)?, format)));
    // The first of those whose endings are equally long.
    let by_ending = by_ending.reduce(|best, other| if other.0 > best.0 { other } else { best });
    by_ending.map(|(_, format)| format).or_else(|| FORMATS.iter().copied().find(|format| format.recognises(start)))
}

/// `source` with the bytes of each range replaced. Ranges are in order and do not overlap.
pub(crate) fn replace(source: &[u8], edits: impl IntoIterator<Item = (Range<usize>, Vec<u8>)>) -> Vec<u8> {
    let mut written = Vec::with_capacity(source.len() + source.len() / 8);
    let mut end = 0;
    for (range, bytes) in edits {
        debug_assert!(end <= range.start && range.start <= range.end, "edits are in order");
        written.extend_from_slice(&source[end..range.start]);
        written.extend_from_slice(&bytes);
        end = range.end;
    }
    written.extend_from_slice(&source[end..]);
    written
}
