//! HTML and XHTML: texts between tags, and attributes that people read.
//!
//! A page is read as html5gum's tokens, never as a tree, so that what is broken stays as it was. Blocks end a text; inline elements are
//! marks in it. Code within a sentence, and what says `translate="no"`, is a mark that shows its text; scripts, pictures and comments are
//! marks that show nothing. Only the bytes from the first word of a text to its last are ever written anew.

mod elements;
mod language;
mod read;
mod tokens;
mod write;

use super::inline::{Edit, Text};
use super::source::Source;
use super::{Document, Encoding, Format, Options, Part, Segment};
use crate::Result;

/// The format.
pub(super) struct Html;

impl Format for Html {
    fn name(&self) -> &'static str {
        "html"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["html", "htm", "xhtml", "xht"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        let start = String::from_utf8_lossy(&start[..start.len().min(4096)]).to_ascii_lowercase();
        let start = start.trim_start_matches('\u{feff}').trim_start();
        let is_tag = |name: &str| {
            let rest = start.strip_prefix('<').and_then(|rest| rest.strip_prefix(name));
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == ':'))
        };
        const FIRST: &[&str] =
            &["html", "head", "body", "title", "div", "p", "h1", "table", "article", "section", "span", "ul"];
        start.starts_with("<!doctype html")
            || FIRST.iter().any(|name| is_tag(name))
            || start.starts_with("<?xml") && start.contains("<html")
            || start.starts_with("<!--") && start.contains("<html")
    }

    fn read(&self, bytes: &[u8], options: &Options) -> Result<Box<dyn Document>> {
        let declared = language::declared_encoding(bytes);
        let Source { text, encoding } = Source::read(bytes, declared.as_deref())?;
        let is_xml = text.starts_with("<?xml");
        Ok(Box::new(Page { encoding, markup: read_markup(text, options, is_xml) }))
    }
}

/// A page of a file.
struct Page {
    encoding: Encoding,
    markup: Markup,
}

impl Document for Page {
    fn segments(&self) -> &[Segment] {
        self.markup.segments()
    }

    fn write(&self, translations: &[Option<Vec<Part>>]) -> Result<Vec<u8>> {
        let text = self.markup.write(translations);
        Ok(self.encoding.encode(&text, |c| format!("&#{};", u32::from(c))))
    }
}

/// A page or a piece of one, taken apart.
pub(crate) struct Markup {
    source: String,
    is_xml: bool,
    segments: Vec<Segment>,
    texts: Vec<Text>,
    /// What is changed in its tags if it is translated: its language.
    language: Vec<Edit>,
}

/// Takes a page apart, or a piece of one. `is_xml` says that it is XHTML.
pub(crate) fn read_markup(source: String, options: &Options, is_xml: bool) -> Markup {
    let (tokens, mut texts) = read::read(&source, is_xml);
    let language = language::edits(&source, &tokens, options);
    let segments = texts.iter_mut().map(|text| std::mem::take(&mut text.segment)).collect();
    Markup { source, is_xml, segments, texts, language }
}

impl Markup {
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The page with translations in the place of its texts, as [`Document::write`] has them.
    pub(crate) fn write(&self, translations: &[Option<Vec<Part>>]) -> String {
        let is_changed = self
            .segments
            .iter()
            .zip(translations)
            .any(|(segment, parts)| parts.as_ref().is_some_and(|parts| *parts != segment.parts));
        write::write(self, translations, if is_changed { self.language.clone() } else { Vec::new() })
    }
}
