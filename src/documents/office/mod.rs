//! Documents of office programs and books: zip archives in which only the texts' own parts are written anew.

mod archive;
mod epub;
mod fields;
mod odf;
mod ooxml;
mod runs;

pub(super) use epub::Epub;
pub(super) use odf::OpenDocument;
pub(super) use ooxml::{Docx, Pptx, Xlsx};

use archive::Archive;

use super::xml::Xml;
use super::xml::escape;
use super::xml::patch::{Patch, Writing};
use super::{Document, Part, Segment};
use crate::{Error, Result};

/// How deep paragraphs lie within others, as in text boxes and notes.
const DEEPEST: usize = 30;
/// What is said of sheets.
const SHEETS: &str = "names of sheets and the results of formulas stay as they are, since formulas refer to them";

/// What is said of paragraphs that lie deeper.
fn too_deep(paragraphs: usize) -> Option<String> {
    let note = || format!("paragraphs that lie more than {DEEPEST} deep in others stay as they are: {paragraphs}");
    (paragraphs > 0).then(note)
}

/// An archive and the documents in it.
struct Bundle {
    archive: Archive,
    /// The file of a book that says its language, which is written anew when anything is; its texts come first.
    package: Option<(usize, Patch)>,
    /// Entries that have texts.
    parts: Vec<(usize, Box<dyn Document>)>,
    segments: Vec<Segment>,
    notes: Vec<String>,
}

impl Bundle {
    fn new(archive: Archive) -> Self {
        Self { archive, package: None, parts: Vec::new(), segments: Vec::new(), notes: Vec::new() }
    }

    /// Adds the texts of an entry, named by it.
    fn add_segments(&mut self, entry: usize, segments: &[Segment]) {
        let name = self.archive.names().nth(entry).unwrap_or_default().to_owned();
        self.segments.extend(segments.iter().map(|segment| Segment {
            name: Some(segment.name.as_ref().map_or_else(|| name.clone(), |own| format!("{name}: {own}"))),
            ..segment.clone()
        }));
    }

    /// Adds an entry, read.
    fn add(&mut self, entry: usize, document: Box<dyn Document>) {
        self.add_segments(entry, document.segments());
        for note in document.notes() {
            if !self.notes.contains(note) {
                self.notes.push(note.clone());
            }
        }
        if !document.segments().is_empty() {
            self.parts.push((entry, document));
        }
    }
}

impl Document for Bundle {
    fn segments(&self) -> &[Segment] {
        &self.segments
    }

    fn write(&self, translations: &[Option<Vec<Part>>]) -> Result<Vec<u8>> {
        let is_changed =
            |own: &Option<Vec<Part>>, segment: &Segment| own.as_ref().is_some_and(|own| *own != segment.parts);
        if !translations.iter().zip(&self.segments).any(|(own, segment)| is_changed(own, segment)) {
            return self.archive.write(Vec::new());
        }
        let (mut changed, mut rest) = (Vec::new(), translations);
        if let Some((entry, package)) = &self.package {
            let (own, others) = rest.split_at(package.segments.len());
            changed.push((*entry, package.written(own)));
            rest = others;
        }
        for (entry, document) in &self.parts {
            let (own, others) = rest.split_at(document.segments().len());
            rest = others;
            if own.iter().zip(document.segments()).any(|(own, segment)| is_changed(own, segment)) {
                changed.push((*entry, document.write(own)?));
            }
        }
        self.archive.write(changed)
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// Text that is written as it is, escaped.
struct Plain;

impl Writing for Plain {
    fn text(&self, _: &Xml, text: &str, _: &[usize], written: &mut String) {
        written.push_str(&escape(text));
    }
}

/// An error in an entry, which it names.
fn within(entry: &str, error: Error) -> Error {
    match error {
        Error::Text(problem) => Error::Text(format!("{entry}: {problem}")),
        other => other,
    }
}

/// Whether a file begins as an archive in which an entry of such a name comes early.
fn begins_with_entry(start: &[u8], name: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04") && start.windows(name.len()).any(|window| window == name)
}
