//! What is written for a line.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write;

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use translate::inspect::pharaoh;
use translate::pipeline::{Done, Line};
use translate::text::word_ranges;

use super::job::{Translated, TranslationJob};
use super::request::{Fields, InputFormat, LineRequest, fields_of_failed};

/// Formats of translations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// The translation, nothing else
    Text,
    /// One JSON object a line: translation, score, pieces, flags, and the fields of the input object
    Json,
    /// Line number, rank, score and translation, separated by tabs
    Tsv,
    /// Marian's n-best list: line number from 0 ||| translation ||| features ||| score
    MarianNbest,
}

/// What is written of the line itself beside its translation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beside {
    /// The source, before the translation.
    pub(super) source: bool,
    /// The other columns, where they stood.
    pub(super) columns: bool,
    /// In JSON the file, as there are several.
    pub(super) file: bool,
}

impl Beside {
    /// What stands before and after the translation in plain text.
    fn around(self, job: &TranslationJob, line: &Line) -> (String, String) {
        match job.input {
            InputFormat::Column(column) if self.columns => {
                let mut columns = line.text.split('\t');
                let mut before: Vec<&str> = columns.by_ref().take(column - 1).collect();
                if columns.next().is_none() {
                    // There is no such column, which has been reported; the line stays what it was.
                    return (line.text.clone(), String::new());
                }
                before.push("");
                (before.join("\t"), columns.flat_map(|column| ["\t", column]).collect())
            }
            _ if self.source => (format!("{}\t", one_field(&source(job, line))), String::new()),
            _ => Default::default(),
        }
    }
}

/// What was to be translated; empty for a line that could not be read.
fn source(job: &TranslationJob, line: &Line) -> String {
    LineRequest::parse(line, job.input).map(|request| request.text).unwrap_or_default()
}

/// How results are written.
pub(super) struct Formatter {
    pub(super) beside: Beside,
    pub(super) format: Format,
    pub(super) n_best: usize,
    pub(super) scores: bool,
    pub(super) word_scores: bool,
    /// Fields of JSON input that were left out because results have their names.
    pub(super) left_out: RefCell<BTreeSet<String>>,
}

impl Formatter {
    /// Whether a line of input may give several lines of output.
    pub(super) fn several_lines(&self) -> bool {
        self.n_best > 1 && self.format != Format::Json
    }

    /// Appends what is written for `line` to `buffer`, without the last line end.
    pub(super) fn write(&self, job: &TranslationJob, line: &Line, done: &Done<'_, Translated>, buffer: &mut Vec<u8>) {
        let mut text = String::new();
        let (before, after) = self.beside.around(job, line);
        let in_columns = self.beside.source || self.beside.columns;
        match (self.format, done) {
            (Format::Json, done) => text = self.json(job, line, done),
            (Format::Text, Done::Translated(translated)) => self.each(translated, &mut text, |text, rank| {
                text.push_str(&before);
                if self.scores {
                    let _ = write!(text, "{:.6}\t", translated.score(rank));
                }
                let translation = translated.text(rank);
                text.push_str(&if in_columns { one_field(&translation) } else { one_line(&translation) });
                if self.word_scores {
                    let _ = write!(text, "\t{}", word_scores(translated, rank));
                }
                if let Some(links) = translated.alignments.get(rank) {
                    let _ = write!(text, " ||| {}", pharaoh::render(links));
                }
                text.push_str(&after);
            }),
            (Format::Text, _) => text = before + &after,
            (Format::Tsv, Done::Translated(translated)) => self.each(translated, &mut text, |text, rank| {
                let translation = one_field(&translated.text(rank));
                let _ = write!(
                    text,
                    "{}\t{}\t{:.6}\t{before}{translation}",
                    line.position() + 1,
                    rank + 1,
                    translated.score(rank)
                );
                if self.word_scores {
                    let _ = write!(text, "\t{}", word_scores(translated, rank));
                }
                if let Some(links) = translated.alignments.get(rank) {
                    let _ = write!(text, "\t{}", pharaoh::render(links));
                }
            }),
            (Format::Tsv, _) => drop(write!(text, "{}\t1\t0\t{before}", line.position() + 1)),
            (Format::MarianNbest, Done::Translated(translated)) => self.each(translated, &mut text, |text, rank| {
                let sum: f32 = translated.hypotheses(rank).map(|hypothesis| hypothesis.log_prob).sum();
                let _ = write!(text, "{} ||| {} |||", line.position(), one_line(&translated.text(rank)));
                if let Some(links) = translated.alignments.get(rank) {
                    let _ = write!(text, " {} |||", pharaoh::render(links));
                }
                if self.word_scores {
                    let _ = write!(text, " WordScores= {} |||", word_scores(translated, rank));
                }
                let _ = write!(text, " F0= {sum:.6} ||| {:.6}", translated.score(rank));
            }),
            (Format::MarianNbest, _) => drop(write!(text, "{} |||  ||| F0= 0 ||| 0", line.position())),
        }
        buffer.extend_from_slice(text.as_bytes());
    }

    fn each(&self, translated: &Translated, text: &mut String, mut write: impl FnMut(&mut String, usize)) {
        for rank in 0..self.n_best.min(translated.candidates().max(1)) {
            if rank > 0 {
                text.push('\n');
            }
            write(text, rank);
        }
    }

    /// The warning about fields that were left out, if any were.
    pub(super) fn warning(&self) -> Option<String> {
        let names: Vec<String> = self.left_out.borrow().iter().map(|name| format!("\"{name}\"")).collect();
        let names = names.join(", ");
        (!names.is_empty()).then(|| format!("fields of the input are left out, as results have their names: {names}"))
    }

    /// One object: the fields of the input as they were written, then the results.
    fn json(&self, job: &TranslationJob, line: &Line, done: &Done<'_, Translated>) -> String {
        let mut object = Map::new();
        let mut fields = Fields::default();
        match done {
            Done::Blank => {
                object.insert("translation".into(), "".into());
            }
            Done::Failed(error) => {
                if job.input == InputFormat::Json {
                    fields = fields_of_failed(line);
                }
                object.insert("error".into(), error.to_string().into());
            }
            Done::Translated(translated) => {
                fields = translated.fields.clone();
                self.candidate(job, translated, 0, &mut object);
                if self.n_best > 1 {
                    let candidates = (0..self.n_best.min(translated.candidates())).map(|rank| {
                        let mut candidate = Map::new();
                        self.candidate(job, translated, rank, &mut candidate);
                        Value::Object(candidate)
                    });
                    object.insert("translations".into(), candidates.collect());
                }
                let lists = [
                    ("protected", &translated.protected),
                    ("lost", &translated.lost),
                    ("constraints_unmet", &translated.unmet),
                ];
                for (name, spans) in lists.into_iter().filter(|(_, spans)| !spans.is_empty()) {
                    object.insert(name.into(), json!(spans));
                }
                object.insert("truncated".into(), translated.truncated().into());
                object.insert("looping".into(), translated.looping().into());
                object.insert("unlikely_length".into(), translated.has_unlikely_length().into());
            }
        }
        if self.beside.source {
            object.insert("source".into(), source(job, line).into());
        }
        // Where the line stands is no result, so fields of the input with these names stay.
        if self.beside.file && fields.get("file").is_none() {
            object.insert("file".into(), (*line.name).into());
        }
        if fields.get("line").is_none() {
            object.insert("line".into(), line.number.into());
        }
        let is_failed = matches!(done, Done::Failed(_));
        let mut text = String::from("{");
        fields.write(&mut text, |name| {
            // A field of that name in the input is not what this program made of the line.
            let is_ours = object.contains_key(name) || (is_failed && name == "translation");
            if is_ours {
                self.left_out.borrow_mut().insert(name.to_owned());
            }
            !is_ours
        });
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&Value::Object(object).to_string()[1..]);
        text
    }

    fn candidate(&self, job: &TranslationJob, translated: &Translated, rank: usize, object: &mut Map<String, Value>) {
        object.insert("translation".into(), translated.text(rank).into());
        object.insert("score".into(), number(translated.score(rank)));
        let pieces: Vec<String> =
            translated.hypotheses(rank).flat_map(|hypothesis| job.translator.target_pieces(hypothesis)).collect();
        object.insert("pieces".into(), json!(pieces));
        if let Some(links) = translated.alignments.get(rank) {
            let ranges = |text: &str| word_ranges(text).iter().map(|word| json!([word.start, word.end])).collect();
            object.insert("alignment".into(), links.iter().map(|link| json!([link.source, link.target])).collect());
            object.insert("source_words".into(), ranges(&translated.text));
            object.insert("target_words".into(), ranges(&translated.text(rank)));
        }
        if self.word_scores {
            let scores = translated.hypotheses(rank).flat_map(|hypothesis| &hypothesis.token_log_probs);
            object.insert("word_scores".into(), scores.map(|&score| number(score)).collect());
        }
    }
}

/// A score with the digits a 32-bit float has, or null when it is none.
pub(super) fn number(score: f32) -> Value {
    // The shortest decimal that reads back as the same f32, so that 0.1 is not printed as 0.10000000149.
    score.to_string().parse::<f64>().ok().filter(|score| score.is_finite()).map_or(Value::Null, |score| json!(score))
}

/// The log-probability of each generated piece, sentence end included.
fn word_scores(translated: &Translated, rank: usize) -> String {
    let scores = translated.hypotheses(rank).flat_map(|hypothesis| &hypothesis.token_log_probs);
    scores.map(|score| format!("{score:.5}")).collect::<Vec<_>>().join(" ")
}

/// Line breaks inside a translation become spaces: one line stays one line.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// Nor does it become two fields.
fn one_field(text: &str) -> String {
    one_line(text).replace('\t', " ")
}
