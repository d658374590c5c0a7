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

mod parse;
mod wrap;

use std::ops::Range;

use self::parse::{Entry, Text};
use super::messages::{Braces, Message, Percent, Syntax};
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
            header: Header::of(&source.text, &entries).for_entries(&entries),
            line_end: if source.text.contains("\r\n") { "\r\n" } else { "\n" },
            source,
            segments: Vec::new(),
            places: Vec::new(),
            options: options.clone(),
            notes,
        };
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

/// What of the header may be filled in.
#[derive(Default)]
struct Header {
    /// The number of forms that `msgid_plural` has translations in.
    forms: Option<usize>,
    /// Where a language is missing.
    language: Option<Range<usize>>,
    /// The name of the charset.
    charset: Option<Range<usize>>,
    /// `nplurals=INTEGER; plural=EXPRESSION;`, or the end of a header that has not even that.
    plural: Option<Range<usize>>,
    /// Whether the first form is for the number 1 alone.
    first_is_one: bool,
}

impl Header {
    fn of(source: &str, entries: &[Entry]) -> Self {
        let mut header = Self::default();
        let entry =
            entries.iter().find(|entry| entry.context.is_none() && entry.id.text.is_empty() && entry.plural.is_none());
        let Some(range) = entry.and_then(|entry| entry.forms.first()).map(|form| form.1.strings.clone()) else {
            return header;
        };
        let raw = &source[range.clone()];
        let field = |name: &str| {
            let start = raw.find(&format!("\"{name}:"))? + name.len() + 2;
            let end = raw[start..].find("\\n").map(|at| start + at)?;
            (!raw[start..end].contains('"')).then(|| range.start + start..range.start + end)
        };
        header.language = field("Language").filter(|range| source[range.clone()].trim().is_empty());
        header.charset = field("Content-Type").and_then(|range| {
            let at = source[range.clone()].find("charset=")?;
            Some(range.start + at + 8..range.end)
        });
        let plural = field("Plural-Forms");
        header.forms = plural.clone().and_then(|range| {
            let text = &source[range];
            let number = text[text.find("nplurals=")? + 9..].trim_start();
            number[..number.bytes().take_while(u8::is_ascii_digit).count()]
                .parse()
                .ok()
                .filter(|forms| (1..=10).contains(forms))
        });
        if let Some(range) = &plural {
            let rule = source[range.clone()].replace(' ', "");
            header.first_is_one =
                ["plural=(n!=1)", "plural=n!=1", "plural=n==1?0", "plural=(n==1?0", "plural=(n==1)?0"]
                    .iter()
                    .any(|one| rule.contains(one));
        }
        header.plural = match plural {
            Some(range) => Some(range).filter(|range| source[range.clone()].contains("INTEGER")),
            None => Some(range.end..range.end),
        };
        header
    }

    /// Forms are added only to a file that has use for them.
    fn for_entries(mut self, entries: &[Entry]) -> Self {
        let has_plurals = entries.iter().any(|entry| entry.plural.is_some());
        self.plural = self.plural.filter(|range| has_plurals || !range.is_empty());
        self
    }

    /// What is filled in once something was translated. The text is written in another encoding if `is_utf8`.
    fn edits(
        &self,
        source: &str,
        language: Option<&str>,
        is_utf8: bool,
        line_end: &str,
        edits: &mut Vec<(Range<usize>, String)>,
    ) {
        if let (Some(range), Some(language)) = (&self.language, language) {
            edits.push((range.clone(), format!(" {}", language.replace('-', "_"))));
        }
        if let Some(range) = &self.charset
            && (is_utf8 || &source[range.clone()] == "CHARSET")
        {
            edits.push((range.clone(), "UTF-8".to_owned()));
        }
        if let (Some(range), Some((_, plural))) = (&self.plural, language.and_then(plural_forms)) {
            let is_added = range.is_empty();
            edits.push((
                range.clone(),
                if is_added { format!("{line_end}\"Plural-Forms: {plural}\\n\"") } else { format!(" {plural}") },
            ));
        }
    }
}

/// How many plural forms a language has, and gettext's rule for them.
fn plural_forms(language: &str) -> Option<(usize, &'static str)> {
    let primary = language.split(['-', '_']).next().unwrap_or(language);
    Some(match primary {
        "pt" if language.len() > 2 && language[3..].eq_ignore_ascii_case("br") => (2, "nplurals=2; plural=(n > 1);"),
        "fr" => (2, "nplurals=2; plural=(n > 1);"),
        "en" | "de" | "nl" | "sv" | "da" | "nb" | "nn" | "no" | "it" | "es" | "pt" | "fi" | "et" | "el" | "he"
        | "hu" | "bg" | "ca" | "eu" | "eo" | "tr" | "hi" | "sq" => (2, "nplurals=2; plural=(n != 1);"),
        "ja" | "zh" | "ko" | "vi" | "th" | "id" => (1, "nplurals=1; plural=0;"),
        "ru" | "uk" | "be" | "sr" | "hr" | "bs" => (
            3,
            "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);",
        ),
        "pl" => (3, "nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);"),
        "cs" | "sk" => (3, "nplurals=3; plural=(n==1) ? 0 : (n>=2 && n<=4) ? 1 : 2;"),
        "ro" => (3, "nplurals=3; plural=(n==1 ? 0 : (n==0 || (n%100 > 0 && n%100 < 20)) ? 1 : 2);"),
        "lt" => (3, "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && (n%100<10 || n%100>=20) ? 1 : 2);"),
        "ar" => {
            (6, "nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5);")
        }
        _ => return None,
    })
}

/// Which placeholders an entry has, by its flags.
fn syntax(entry: &Entry) -> Syntax {
    let has = |names: &[&str]| entry.flags.iter().any(|flag| names.contains(&&flag[..]));
    let c = [
        "c-format",
        "objc-format",
        "python-format",
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
    Syntax { percent, braces }
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
    fn edits(&self, place: &Place, texts: &[Option<String>], is_wide: bool) -> Vec<(Range<usize>, String)> {
        let entry = &place.entry;
        let mut edits = Vec::new();
        if texts.iter().all(Option::is_none) {
            return edits;
        }
        let line_end = self.line_end;
        edits.extend(entry.previous.iter().map(|range| (range.clone(), String::new())));
        let flags: Vec<&str> = entry.flags.iter().map(String::as_str).filter(|flag| *flag != "fuzzy").collect();
        let is_fuzzy = flags.len() < entry.flags.len();
        if is_fuzzy && !self.options.mark_for_review {
            edits.extend(entry.flag_lines.iter().enumerate().map(|(number, range)| {
                let is_kept = number == 0 && !flags.is_empty();
                (range.clone(), if is_kept { format!("#, {}{line_end}", flags.join(", ")) } else { String::new() })
            }));
        } else if !is_fuzzy && self.options.mark_for_review {
            match entry.flag_lines.first() {
                Some(range) => {
                    // Before the first flag.
                    let at = range.start + 2;
                    edits.push((at..at, " fuzzy,".to_owned()));
                }
                None => edits.push((entry.start..entry.start, format!("#, fuzzy{line_end}"))),
            }
        }
        let mut added = String::new();
        for (form, message) in &place.forms {
            let Some(text) = &texts[*message] else { continue };
            let keyword = if entry.plural.is_some() { format!("msgstr[{form}]") } else { "msgstr".to_owned() };
            let written = |prefix: usize| wrap::strings(text, prefix, is_wide, line_end);
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
