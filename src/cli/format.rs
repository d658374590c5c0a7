//! What is written for a line.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write;

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use translate::inspect::pharaoh;
use translate::pipeline::{Done, Line};

use super::job::{Translated, TranslationJob};
use super::request::{Fields, InputFormat, fields_of_failed};

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

/// How results are written.
pub(super) struct Formatter {
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
        match (self.format, done) {
            (Format::Json, done) => text = self.json(job, line, done),
            (Format::Text, Done::Translated(translated)) => self.each(translated, &mut text, |text, rank| {
                if self.scores {
                    let _ = write!(text, "{:.6}\t", translated.score(rank));
                }
                text.push_str(&one_line(&translated.text(rank)));
                if self.word_scores {
                    let _ = write!(text, "\t{}", word_scores(translated, rank));
                }
                if let Some(links) = translated.alignments.get(rank) {
                    let _ = write!(text, " ||| {}", pharaoh::render(links));
                }
            }),
            (Format::Text, _) => {}
            (Format::Tsv, Done::Translated(translated)) => self.each(translated, &mut text, |text, rank| {
                let translation = one_line(&translated.text(rank)).replace('\t', " ");
                let _ = write!(text, "{}\t{}\t{:.6}\t{translation}", line.index + 1, rank + 1, translated.score(rank));
                if self.word_scores {
                    let _ = write!(text, "\t{}", word_scores(translated, rank));
                }
                if let Some(links) = translated.alignments.get(rank) {
                    let _ = write!(text, "\t{}", pharaoh::render(links));
                }
            }),
            (Format::Tsv, _) => drop(write!(text, "{}\t1\t0\t", line.index + 1)),
            (Format::MarianNbest, Done::Translated(translated)) => self.each(translated, &mut text, |text, rank| {
                let sum: f32 = translated.hypotheses(rank).map(|hypothesis| hypothesis.log_prob).sum();
                let _ = write!(text, "{} ||| {} |||", line.index, one_line(&translated.text(rank)));
                if let Some(links) = translated.alignments.get(rank) {
                    let _ = write!(text, " {} |||", pharaoh::render(links));
                }
                if self.word_scores {
                    let _ = write!(text, " WordScores= {} |||", word_scores(translated, rank));
                }
                let _ = write!(text, " F0= {sum:.6} ||| {:.6}", translated.score(rank));
            }),
            (Format::MarianNbest, _) => drop(write!(text, "{} |||  ||| F0= 0 ||| 0", line.index)),
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
                object.insert("truncated".into(), translated.truncated().into());
                object.insert("looping".into(), translated.looping().into());
            }
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
            object.insert("alignment".into(), links.iter().map(|link| json!([link.source, link.target])).collect());
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
