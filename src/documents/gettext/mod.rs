//! gettext's catalogues, PO and POT.
//!
//! | in the file | here |
//! |---|---|
//! | `msgid`, `msgid_plural` | the texts: what `msgid` says is translated, and the form or forms of `msgstr` get it |
//! | `msgstr ""`, `#, fuzzy` | what is translated; with [`Options::all`] everything |
//! | `#, c-format` and the like | which placeholders there are |
//! | `Plural-Forms: nplurals=3` | how many forms an entry with `msgid_plural` gets: the first from `msgid`, the others from `msgid_plural` |
//! | `#~`, comments, `msgctxt` | stay as they are |
//!
//! Where something was translated the header gets what it lacks: `Language`, a charset for `CHARSET`, plural forms for `INTEGER`.

mod header;
mod parse;
mod wrap;

use std::ops::Range;

use self::header::{Header, plural_forms};
use self::parse::{Entry, Text};
use super::messages::{Braces, Message, Percent, Syntax, Written};
use super::source::Source;
use super::{Document, Format, Options, Part, Segment};
use crate::Result;

/// gettext's catalogues.
pub(super) struct Gettext;

impl Format for Gettext {
    fn name(&self) -> &'static str {
        "po"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["po", "pot"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        let start = String::from_utf8_lossy(start);
        let mut lines = start.lines().map(|line| line.trim_start_matches('\u{feff}'));
        lines
            .find(|line| !line.trim().is_empty() && !line.starts_with('#'))
            .is_some_and(|line| ["msgid \"", "msgctxt \"", "domain \""].iter().any(|keyword| line.starts_with(keyword)))
    }

    fn read(&self, bytes: &[u8], options: &Options) -> Result<Box<dyn Document>> {
        let source = Source::read(bytes, declared(bytes).as_deref())?;
        let (entries, unknown) = parse::entries(&source.text);
        let mut notes: Vec<String> =
            unknown.iter().map(|line| format!("line {line}: not understood, left as it is")).collect();
        notes.truncate(20);
        let mut catalogue = Catalogue {
            header: Header::of(&source.text, &entries),
            line_end: if source.text.contains("\r\n") { "\r\n" } else { "\n" },
            source,
            segments: Vec::new(),
            places: Vec::new(),
            options: options.clone(),
            notes,
        };
        let language = options.target_language.as_deref();
        if catalogue.header.plural.is_some() && language.and_then(plural_forms).is_none() {
            let line = "the header has no rule for plural forms and none is known for the language: add `Plural-Forms`";
            catalogue.notes.push(line.to_owned());
        }
        for entry in entries {
            catalogue.entry(entry);
        }
        Ok(Box::new(catalogue))
    }
}

/// The charset that the header names.
fn declared(bytes: &[u8]) -> Option<String> {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(16_384)]);
    let name =
        start[start.find("charset=")? + 8..].split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').next();
    name.filter(|name| *name != "CHARSET").map(str::to_owned)
}

struct Catalogue {
    source: Source,
    header: Header,
    segments: Vec<Segment>,
    places: Vec<Place>,
    options: Options,
    line_end: &'static str,
    notes: Vec<String>,
}

/// An entry with something to translate.
struct Place {
    entry: Entry,
    /// `msgid`, and `msgid_plural`.
    messages: Vec<Message>,
    /// For each form that is written, which of the messages it is the translation of.
    forms: Vec<(usize, usize)>,
}

/// Which placeholders an entry has, by its flags.
fn syntax(entry: &Entry) -> Syntax {
    let has = |names: &[&str]| entry.flags.iter().any(|flag| names.contains(&&flag[..]));
    let c = [
        "c-format",
        "objc-format",
        "php-format",
        "perl-format",
        "ruby-format",
        "awk-format",
        "lua-format",
        "pascal-format",
        "gcc-internal-format",
        "tcl-format",
        "boost-format",
        "librep-format",
    ];
    let percent = match () {
        () if has(&["python-format"]) => Percent::Python,
        () if has(&c) => Percent::Format,
        () if has(&["qt-format", "qt-plural-format", "kde-format"]) => Percent::Qt,
        () if has(&["no-c-format", "no-python-format"]) => Percent::Text,
        () => Percent::Guess,
    };
    let braces = match has(&[
        "python-brace-format",
        "perl-brace-format",
        "csharp-format",
        "java-format",
        "rust-format",
        "c++-format",
    ]) {
        true => Braces::Format,
        false => Braces::Guess,
    };
    Syntax { percent, braces, has_keys: true }
}

impl Catalogue {
    fn entry(&mut self, entry: Entry) {
        let is_header = entry.id.text.is_empty();
        let is_fuzzy = entry.flags.iter().any(|flag| flag == "fuzzy");
        let is_translated = |form: &(usize, Text)| !form.1.text.is_empty();
        if is_header || entry.forms.is_empty() || entry.forms.len() > 10 {
            return;
        }
        let whole = self.options.all || is_fuzzy;
        let count = match entry.plural {
            None => 1,
            Some(_) => {
                let by_language =
                    self.options.target_language.as_deref().and_then(plural_forms).map(|(forms, _)| forms);
                // A template says nothing; then the language does.
                let forms = self.header.forms.or(self.header.plural.as_ref().and(by_language));
                forms.unwrap_or(entry.forms.len())
            }
        };
        let missing = (0..count)
            .filter(|number| whole || !entry.forms.iter().any(|form| form.0 == *number && is_translated(form)));
        let syntax = syntax(&entry);
        let placeholders = |text: &Text| Message::of(&text.text, syntax).placeholders();
        // Where the first form is not for 1 alone, it needs the number: "one page", "%d pages".
        let first_is_plural = entry.plural.as_ref().is_some_and(|plural| {
            count == 1 || (!self.header.first_is_one && placeholders(&entry.id) < placeholders(plural))
        });
        let message = |form: usize| usize::from(entry.plural.is_some() && (form > 0 || first_is_plural));
        let forms: Vec<(usize, usize)> = missing.map(|form| (form, message(form))).collect();
        let mut messages = Vec::new();
        for (number, text) in [Some(&entry.id), entry.plural.as_ref()].into_iter().flatten().enumerate() {
            let is_wanted = forms.iter().any(|(_, message)| *message == number);
            let message = Message::of(if is_wanted { &text.text } else { "" }, syntax);
            for piece in &message.pieces {
                self.segments.push(Segment {
                    parts: piece.parts.clone(),
                    line: text.line,
                    name: entry.context.clone(),
                });
            }
            messages.push(message);
        }
        if messages.iter().any(|message| !message.pieces.is_empty()) {
            self.places.push(Place { entry, messages, forms });
        }
    }

    /// The edits of an entry, if one of its messages was translated.
    fn edits(&self, place: &Place, texts: &[Option<Written>], is_wide: bool) -> Vec<(Range<usize>, String)> {
        let entry = &place.entry;
        let mut edits = Vec::new();
        if texts.iter().all(Option::is_none) {
            return edits;
        }
        let line_end = self.line_end;
        edits.extend(entry.previous.iter().map(|range| (range.clone(), String::new())));
        let flags: Vec<&str> = entry.flags.iter().map(String::as_str).filter(|flag| *flag != "fuzzy").collect();
        let is_fuzzy = flags.len() < entry.flags.len();
        // A program would put the wrong things into placeholders, so somebody must look at it first.
        let is_for_review = self.options.mark_for_review || texts.iter().flatten().any(|text| text.is_reordered);
        if is_fuzzy && !is_for_review {
            edits.extend(entry.flag_lines.iter().enumerate().map(|(number, range)| {
                let is_kept = number == 0 && !flags.is_empty();
                (range.clone(), if is_kept { format!("#, {}{line_end}", flags.join(", ")) } else { String::new() })
            }));
        } else if !is_fuzzy && is_for_review {
            match entry.flag_lines.first() {
                Some(range) => {
                    // Before the first flag.
                    let line = &self.source.text[range.clone()];
                    let at = range.start + line.find("#,").map_or(0, |at| at + 2);
                    edits.push((at..at, " fuzzy,".to_owned()));
                }
                None => edits.push((entry.start..entry.start, format!("#, fuzzy{line_end}"))),
            }
        }
        let mut added = String::new();
        for (form, message) in &place.forms {
            let Some(text) = &texts[*message] else { continue };
            let keyword = if entry.plural.is_some() { format!("msgstr[{form}]") } else { "msgstr".to_owned() };
            let written = |prefix: usize| wrap::strings(&text.text, prefix, is_wide, line_end);
            match entry.forms.iter().find(|(number, _)| number == form) {
                Some((_, old)) => edits.push((old.strings.clone(), written(keyword.len() + 1))),
                None => added.push_str(&format!("{line_end}{keyword} {}", written(keyword.len() + 1))),
            }
        }
        if !added.is_empty() {
            let end = entry.forms.iter().map(|(_, form)| form.strings.end).max().unwrap_or(entry.start);
            edits.push((end..end, added));
        }
        edits
    }
}

impl Document for Catalogue {
    fn segments(&self) -> &[Segment] {
        &self.segments
    }

    fn write(&self, translations: &[Option<Vec<Part>>]) -> Result<Vec<u8>> {
        let is_wide = wrap::is_wide(&self.source.text);
        let mut edits = Vec::new();
        let mut at = 0;
        for place in &self.places {
            let mut texts = Vec::new();
            for message in &place.messages {
                texts.push(message.translated(&translations[at..at + message.pieces.len()]));
                at += message.pieces.len();
            }
            edits.extend(self.edits(place, &texts, is_wide));
        }
        if edits.is_empty() {
            return Ok(self.source.encoding.encode(&self.source.text, String::from));
        }
        let lacks = edits.iter().any(|(_, text)| !self.source.encoding.has(text));
        let language = self.options.target_language.as_deref();
        self.header.edits(&self.source.text, language, lacks, self.line_end, &mut edits);
        // What replaces comes after what is put before it.
        edits.sort_by_key(|(range, _)| (range.start, range.end));
        let text = self.source.edited(edits);
        // gettext wants no byte order mark.
        Ok(if lacks { text.into_bytes() } else { self.source.encoding.encode(&text, String::from) })
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }
}
