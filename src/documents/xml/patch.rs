//! A file of XML of which some places are written anew when the texts that belong to them are translated.

use std::ops::Range;

use super::Xml;
use super::inline::{Code, Inline};
use crate::Result;
use crate::documents::{Document, Part, Segment};

/// How the text of a translation is written.
pub(crate) trait Writing {
    /// Writes text that lies within the marks `open`, of which the last is the innermost.
    fn text(&self, xml: &Xml, text: &str, open: &[usize], written: &mut String);

    /// The parts of a translation as they are to be written.
    fn prepared(&self, parts: &[Part]) -> Vec<Part> {
        parts.to_vec()
    }
}

/// A text of a file.
pub(crate) struct Text {
    pub(crate) marks: Vec<(Code, Code)>,
    pub(crate) before: Vec<Code>,
    pub(crate) after: Vec<Code>,
    pub(crate) writing: Box<dyn Writing>,
}

/// A piece of what replaces a place.
pub(crate) enum Chunk {
    Code(Code),
    /// A text by its number.
    Text(usize),
}

impl Chunk {
    pub(crate) fn made(text: impl Into<String>) -> Self {
        Self::Code(Code::Made(text.into()))
    }
}

/// Texts that are written together, with the places of all that is written anew if one of them is translated.
pub(crate) struct Unit {
    pub(crate) texts: Range<usize>,
    pub(crate) edits: Vec<(Range<usize>, Vec<Chunk>)>,
}

/// A file, its texts and its places.
pub(crate) struct Patch {
    pub(crate) xml: Xml,
    pub(crate) segments: Vec<Segment>,
    pub(crate) texts: Vec<Text>,
    pub(crate) units: Vec<Unit>,
    /// What is written anew if anything is.
    pub(crate) always: Vec<(Range<usize>, String)>,
}

impl Patch {
    pub(crate) fn new(xml: Xml) -> Self {
        Self { xml, segments: Vec::new(), texts: Vec::new(), units: Vec::new(), always: Vec::new() }
    }

    /// Adds a text, and says which number it has.
    pub(crate) fn add(&mut self, inline: Inline, writing: Box<dyn Writing>, at: usize, name: Option<String>) -> usize {
        let Inline { parts, marks, before, after, .. } = inline;
        self.segments.push(Segment { parts, line: self.xml.line(at), name });
        self.texts.push(Text { marks, before, after, writing });
        self.texts.len() - 1
    }

    /// Adds the places that belong to the texts added since there were `from`.
    pub(crate) fn unit(&mut self, from: usize, edits: Vec<(Range<usize>, Vec<Chunk>)>) {
        if self.texts.len() > from {
            self.units.push(Unit { texts: from..self.texts.len(), edits });
        }
    }

    /// Takes texts out that are not to be translated, each a unit of its own, and says how many there were.
    #[cfg(feature = "office")]
    pub(crate) fn remove(&mut self, is_fixed: impl Fn(&Segment) -> bool) -> usize {
        let before = self.texts.len();
        let all = std::mem::take(&mut self.segments).into_iter().zip(std::mem::take(&mut self.texts));
        for ((segment, text), mut unit) in all.zip(std::mem::take(&mut self.units)) {
            if is_fixed(&segment) {
                continue;
            }
            let number = self.texts.len();
            unit.texts = number..number + 1;
            unit.edits.iter_mut().flat_map(|(_, chunks)| chunks).for_each(|chunk| *chunk = Chunk::Text(number));
            self.units.push(unit);
            self.segments.push(segment);
            self.texts.push(text);
        }
        before - self.texts.len()
    }

    /// Whether a translation says something else than its segment.
    fn is_changed(&self, text: usize, translations: &[Option<Vec<Part>>]) -> bool {
        translations[text].as_ref().is_some_and(|parts| *parts != self.segments[text].parts)
    }

    /// The file with these translations.
    pub(crate) fn write(&self, translations: &[Option<Vec<Part>>]) -> Vec<u8> {
        match (0..self.texts.len()).any(|text| self.is_changed(text, translations)) {
            true => self.written(translations),
            false => self.xml.write(Vec::new()),
        }
    }

    /// The file with these translations and what is written anew if anything is.
    pub(crate) fn written(&self, translations: &[Option<Vec<Part>>]) -> Vec<u8> {
        let is_changed = |unit: &&Unit| unit.texts.clone().any(|text| self.is_changed(text, translations));
        let units: Vec<&Unit> = self.units.iter().filter(is_changed).collect();
        let made: Vec<(Range<usize>, Vec<Chunk>)> =
            self.always.iter().map(|(range, text)| (range.clone(), vec![Chunk::made(text)])).collect();
        let mut edits: Vec<(&Range<usize>, &[Chunk])> = units
            .iter()
            .flat_map(|unit| &unit.edits)
            .chain(&made)
            .map(|(range, chunks)| (range, &chunks[..]))
            .collect();
        // What contains others comes before them.
        edits.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let renderer = Renderer { patch: self, edits, translations };
        let mut written = Vec::new();
        renderer.outermost(0..self.xml.text.len(), |range, text| written.push((range, text)));
        self.xml.write(written)
    }
}

/// A document that is one file of XML.
pub(crate) struct Patched {
    pub(crate) patch: Patch,
    pub(crate) notes: Vec<String>,
}

impl Document for Patched {
    fn segments(&self) -> &[Segment] {
        &self.patch.segments
    }

    fn write(&self, translations: &[Option<Vec<Part>>]) -> Result<Vec<u8>> {
        Ok(self.patch.write(translations))
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }
}

struct Renderer<'p> {
    patch: &'p Patch,
    edits: Vec<(&'p Range<usize>, &'p [Chunk])>,
    translations: &'p [Option<Vec<Part>>],
}

impl Renderer<'_> {
    /// What replaces the outermost places in a range.
    fn outermost(&self, range: Range<usize>, mut found: impl FnMut(Range<usize>, String)) {
        let mut at = range.start;
        let first = self.edits.partition_point(|(edit, _)| edit.start < range.start);
        for (edit, chunks) in &self.edits[first..] {
            if edit.start >= range.end && edit.end > range.end {
                break;
            }
            if edit.start < at || edit.end > range.end {
                continue;
            }
            at = edit.end;
            let mut text = String::new();
            chunks.iter().for_each(|chunk| self.chunk(chunk, &mut text));
            found((*edit).clone(), text);
        }
    }

    fn chunk(&self, chunk: &Chunk, written: &mut String) {
        match chunk {
            Chunk::Code(Code::Source(range)) => self.source(range, written),
            Chunk::Code(Code::Made(text) | Code::Text(text)) => written.push_str(text),
            Chunk::Code(Code::Nothing) => {}
            Chunk::Code(Code::Many(_)) => unreachable!("these are of texts"),
            Chunk::Text(text) => self.text(*text, written),
        }
    }

    /// A part of the source, with the places in it.
    fn source(&self, range: &Range<usize>, written: &mut String) {
        let source = &self.patch.xml.text;
        let mut at = range.start;
        self.outermost(range.clone(), |edit, text| {
            written.push_str(&source[at..edit.start]);
            written.push_str(&text);
            at = edit.end;
        });
        written.push_str(&source[at..range.end]);
    }

    fn code(&self, code: &Code, text: &Text, written: &mut String) {
        match code {
            Code::Nothing => {}
            Code::Source(range) => self.source(range, written),
            Code::Made(made) => written.push_str(made),
            Code::Text(space) if space.is_empty() => {}
            Code::Text(space) => text.writing.text(&self.patch.xml, space, &[], written),
            Code::Many(codes) => codes.iter().for_each(|code| self.code(code, text, written)),
        }
    }

    /// A text: its translation, or itself where there is none.
    fn text(&self, number: usize, written: &mut String) {
        let text = &self.patch.texts[number];
        let parts = match &self.translations[number] {
            Some(parts) => text.writing.prepared(parts),
            None => text.writing.prepared(&self.patch.segments[number].parts),
        };
        let mut open = Vec::new();
        text.before.iter().for_each(|code| self.code(code, text, written));
        for part in &parts {
            match part {
                Part::Text(part) if part.is_empty() => {}
                Part::Text(part) => text.writing.text(&self.patch.xml, part, &open, written),
                Part::Open(mark) => {
                    self.code(&text.marks[*mark].0, text, written);
                    open.push(*mark);
                }
                Part::Close(mark) => {
                    open.pop();
                    self.code(&text.marks[*mark].1, text, written);
                }
                Part::Alone(mark, _) => self.code(&text.marks[*mark].0, text, written),
            }
        }
        text.after.iter().for_each(|code| self.code(code, text, written));
    }
}
