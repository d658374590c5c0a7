//! What was done to documents: counted, and what a person should look at.

use std::fmt;
use std::path::Path;

use serde_json::{Value, json};
use translate::documents::Segment;
use translate::pipeline::{Output, Sink};
use translate::text::word_ranges;
use translate::{Error, Result};

use super::job::Outcome;

/// Segments that are named on stderr for each document.
const MOST_NAMED: usize = 5;

/// A segment that a person should look at.
#[derive(Clone, Debug)]
pub(super) struct Suspicion {
    line: usize,
    name: Option<String>,
    text: String,
    translation: Option<String>,
    problem: String,
}

/// What was done to one document.
#[derive(Clone, Debug, Default)]
pub(super) struct DocumentReport {
    name: String,
    format: &'static str,
    segments: usize,
    words: usize,
    protected: usize,
    /// Segments without a word to translate, and such as could not be translated.
    kept: usize,
    suspicious: Vec<Suspicion>,
    notes: Vec<String>,
}

impl DocumentReport {
    pub(super) fn new(name: String, format: &'static str, notes: &[String]) -> Self {
        Self { name, format, notes: notes.to_vec(), ..Self::default() }
    }

    /// A segment that stays as it is, for want of words.
    pub(super) fn keep(&mut self) {
        self.segments += 1;
        self.kept += 1;
    }

    /// A segment with words.
    pub(super) fn count(&mut self, segment: &Segment, outcome: &Outcome) {
        self.segments += 1;
        self.words += word_ranges(&segment.text()).len();
        self.protected += outcome.protected;
        if outcome.translated.is_none() {
            self.kept += 1;
            let problem = outcome.problem.clone().unwrap_or_default();
            self.suspect(segment, None, format!("kept as it was: {problem}"));
        }
    }

    /// Looks for what may be wrong with a translation in which `missing` did not come back.
    pub(super) fn look_at(&mut self, segment: &Segment, translation: &str, missing: &[String], outcome: &Outcome) {
        let (source, target) = (word_ranges(&segment.text()).len(), word_ranges(translation).len());
        let mut lost: Vec<&str> = missing.iter().map(String::as_str).collect();
        // A stand-in that is lost is named by what it stands for.
        lost.extend(outcome.lost.iter().map(String::as_str).filter(|lost| !is_stand_in(lost)));
        let problem = if !lost.is_empty() {
            format!("protected text is missing from the translation: {}", lost.join(", "))
        } else if let Some(problem) = &outcome.problem {
            problem.clone()
        } else if translation.trim().is_empty() {
            "the translation is empty".to_owned()
        } else if source >= 6 && target * 3 < source || target >= 9 && source * 3 < target {
            format!("{source} words became {target}")
        } else {
            return;
        };
        self.suspect(segment, Some(translation.to_owned()), problem);
    }

    fn suspect(&mut self, segment: &Segment, translation: Option<String>, problem: String) {
        let Segment { line, name, .. } = segment;
        self.suspicious.push(Suspicion { line: *line, name: name.clone(), text: segment.text(), translation, problem });
    }

    /// The segments to look at, in words, one a line; of many the first.
    fn warnings(&self) -> Vec<String> {
        let place = |suspicion: &Suspicion| match (&suspicion.name, suspicion.line) {
            (Some(name), 0) => name.clone(),
            (Some(name), line) => format!("line {line} ({name})"),
            (None, line) => format!("line {line}"),
        };
        let warning = |suspicion: &Suspicion| format!("{}: {}: {}", self.name, place(suspicion), suspicion.problem);
        let mut warnings: Vec<String> = self.suspicious.iter().take(MOST_NAMED).map(warning).collect();
        if let Some(more) = self.suspicious.len().checked_sub(MOST_NAMED + 1) {
            warnings.push(format!("{}: {} more segments to look at; --report FILE names them", self.name, more + 1));
        }
        warnings.extend(self.notes.iter().map(|note| format!("{}: {note}", self.name)));
        warnings
    }

    fn to_json(&self) -> Value {
        let suspicious = self.suspicious.iter().map(|suspicion| {
            let Suspicion { line, name, text, translation, problem } = suspicion;
            json!({ "line": line, "name": name, "text": text, "translation": translation, "problem": problem })
        });
        json!({
            "document": self.name, "type": self.format, "segments": self.segments, "words": self.words,
            "protected": self.protected, "kept": self.kept, "suspicious": suspicious.collect::<Vec<_>>(), "notes": self.notes,
        })
    }
}

fn is_stand_in(text: &str) -> bool {
    text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).is_some_and(|number| number.parse::<usize>().is_ok())
}

impl fmt::Display for DocumentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, format, segments, words, protected, kept, suspicious, .. } = self;
        write!(f, "{name} ({format}): {segments} segments, {words} words; {protected} things protected")?;
        write!(f, ", {kept} segments kept as they were, {} to look at", suspicious.len())
    }
}

/// What was done to all documents of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    documents: Vec<DocumentReport>,
}

impl Report {
    pub(super) fn add(&mut self, document: DocumentReport) {
        self.documents.push(document);
    }

    /// What a person should look at.
    pub(super) fn warnings(&self) -> Vec<String> {
        self.documents.iter().flat_map(DocumentReport::warnings).collect()
    }

    /// Writes all of it as JSON.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let documents: Vec<Value> = self.documents.iter().map(DocumentReport::to_json).collect();
        let (mut sink, _) = Sink::open(Output::File(path.to_owned()))?;
        let text = serde_json::to_string_pretty(&json!({ "documents": documents }));
        let text = text.map_err(|error| Error::io(path, error.into()))?;
        sink.pending().extend_from_slice(text.as_bytes());
        sink.pending().push(b'\n');
        sink.finish()
    }
}
