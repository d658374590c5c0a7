//! Translating the texts of documents, and the journal that an interrupted run goes on from.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use translate::documents;
use translate::pipeline::{BatchTranslator, Done, Exchange, Line, Tokens};
use translate::text::word_ranges;
use translate::{Error, Result, Workspace};

use crate::cli::job::{Translated, TranslationJob};

/// Translates texts, each in the name of the place where it stands in its document.
pub(super) struct SegmentJob {
    pub(super) job: TranslationJob,
    /// Document and line of each text.
    pub(super) places: Vec<(Arc<str>, u64)>,
    /// Whether the links of words are wanted for each text.
    pub(super) linked: Vec<bool>,
}

impl SegmentJob {
    /// The text where it stands in its document.
    pub(super) fn place(&self, line: &Line) -> Line {
        let (name, number) = &self.places[line.index as usize];
        Line { name: name.clone(), number: *number, ..line.clone() }
    }

    /// Whether texts may join others, of which none wants its attention.
    fn may_go_on(&self) -> bool {
        self.job.may_go_on() && !self.linked.contains(&true)
    }
}

impl BatchTranslator for SegmentJob {
    type Output = Translated;

    fn weigh(&self, text: &str) -> usize {
        self.job.weigh(text)
    }

    fn batches_at_once(&self) -> usize {
        if self.may_go_on() { 1 } else { self.job.batches_at_once() }
    }

    fn translate(
        &self,
        lines: Vec<Line>,
        exchange: &mut dyn Exchange<Translated>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let mut placed = Placed { job: self, exchange };
        let lines = placed.place(lines);
        let is_linked = |line: &Line| self.linked[line.index as usize];
        self.job.translate_attending(lines, is_linked, self.may_go_on(), &mut placed, workspace)
    }

    fn tokens(&self, output: &Translated) -> Tokens {
        self.job.tokens(output)
    }
}

/// An exchange of texts where they stand in their documents.
struct Placed<'e> {
    job: &'e SegmentJob,
    exchange: &'e mut dyn Exchange<Translated>,
}

impl Placed<'_> {
    fn place(&self, lines: Vec<Line>) -> Vec<Line> {
        lines.iter().map(|line| self.job.place(line)).collect()
    }
}

impl Exchange<Translated> for Placed<'_> {
    fn more(&mut self, most: usize) -> Vec<Line> {
        let lines = self.exchange.more(most);
        self.place(lines)
    }

    fn done(&mut self, index: u64, result: Result<Translated>) {
        self.exchange.done(index, result);
    }
}

/// What became of a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Outcome {
    /// Its translation, if there is one.
    pub(super) translated: Option<documents::Translated>,
    /// How many spans were to come back as they are.
    pub(super) protected: usize,
    /// Those of them that did not.
    pub(super) lost: Vec<String>,
    /// What else is odd about it.
    pub(super) problem: Option<String>,
}

/// A line of the journal.
#[derive(Debug, Deserialize, Serialize)]
struct Entry {
    text: String,
    translation: Option<String>,
    links: Vec<[usize; 4]>,
    protected: usize,
    lost: Vec<String>,
    problem: Option<String>,
}

impl Outcome {
    pub(super) fn of(done: &Done<'_, Translated>) -> Self {
        let translated = match done {
            Done::Translated(translated) => translated,
            Done::Blank => return Self::default(),
            Done::Failed(error) => return Self { problem: Some(problem_of(error)), ..Self::default() },
        };
        let text = translated.text(0);
        let (source, target) = (word_ranges(&translated.text), word_ranges(&text));
        let links = translated.alignments.first().map(Vec::as_slice).unwrap_or_default().iter();
        let links = links.filter_map(|link| Some((source.get(link.source)?.clone(), target.get(link.target)?.clone())));
        let problem = match translated {
            translated if translated.truncated() => Some("the translation is truncated at a length limit"),
            translated if translated.looping() => Some("the translation repeats itself over and over"),
            translated if translated.has_unlikely_length() => Some("the translation is empty or far too long"),
            _ => None,
        };
        let unmet = &translated.unmet;
        let unmet = (!unmet.is_empty()).then(|| format!("it lacks words of the glossary: {}", unmet.join(", ")));
        Self {
            translated: Some(documents::Translated { links: links.collect(), text }),
            protected: translated.protected.len(),
            lost: translated.lost.clone(),
            problem: problem.map(str::to_owned).or(unmet),
        }
    }

    /// Appends the line of the journal for a text.
    pub(super) fn write(&self, text: &str, buffer: &mut Vec<u8>) {
        let translated = self.translated.as_ref();
        let links = translated.map(|translated| translated.links.as_slice()).unwrap_or_default().iter();
        let entry = Entry {
            text: text.to_owned(),
            translation: translated.map(|translated| translated.text.clone()),
            links: links.map(|(source, target)| [source.start, source.end, target.start, target.end]).collect(),
            protected: self.protected,
            lost: self.lost.clone(),
            problem: self.problem.clone(),
        };
        // Plain data of strings and numbers always can be written.
        let _ = serde_json::to_writer(buffer, &entry);
    }

    fn read(entry: Entry) -> Self {
        let links = entry.links.iter().map(|&[start, end, to, last]| (start..end, to..last)).collect();
        Self {
            translated: entry.translation.map(|text| documents::Translated { text, links }),
            protected: entry.protected,
            lost: entry.lost,
            problem: entry.problem,
        }
    }
}

/// What is wrong, without the place, which a report has already.
fn problem_of(error: &Error) -> String {
    match error {
        Error::Input { problem, .. } => problem.clone(),
        other => other.to_string(),
    }
}

/// The outcomes that an earlier run of the same documents wrote down, as far as its lines are whole.
///
/// # Errors
/// If it cannot be read, or is of other documents.
pub(super) fn read_journal(path: &Path, texts: &[String]) -> Result<Vec<Outcome>> {
    let journal = match std::fs::read(path) {
        Ok(journal) => journal,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(path, error)),
    };
    let whole = journal.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let lines = journal[..whole].split_inclusive(|&byte| byte == b'\n');
    let mut outcomes = Vec::new();
    for (line, number) in lines.zip(1..) {
        let entry: Option<Entry> = serde_json::from_slice(line).ok();
        let text = texts.get(outcomes.len());
        match entry.filter(|entry| text == Some(&entry.text)) {
            Some(entry) => outcomes.push(Outcome::read(entry)),
            None => {
                let problem = format!(
                    "line {number} is not of a run with these documents; remove the file to begin anew, or leave out --resume"
                );
                return Err(Error::model(path, problem));
            }
        }
    }
    Ok(outcomes)
}
