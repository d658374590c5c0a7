//! Translation quality: BLEU, chrF and TER with the numbers, line format and signatures of sacreBLEU.
//!
//! Every metric turns one sentence into a handful of counts ([`Statistics`]), counts of many sentences add up, and a
//! [`Score`] is computed from the sum, so a corpus of any size is scored in constant memory.
//!
//! ```
//! use translate::metrics::{Bleu, Metric};
//!
//! let bleu = Bleu::default();
//! let score = bleu.corpus_score(&["the cat sat on the mat"], &[vec!["the cat sat on a mat"]])?;
//! assert_eq!(score.format(1, None), "BLEU = 53.7 83.3/60.0/50.0/33.3 (BP = 1.000 ratio = 1.000 hyp_len = 6 ref_len = 6)");
//! # Ok::<(), translate::Error>(())
//! ```
//!
//! Signatures are sacreBLEU's, except that `version` names this program (`version:translate-0.1.0`): the digits are
//! equal to those of sacreBLEU 2.x with the same other fields.

mod bleu;
mod chrf;
mod minimum_risk;
mod significance;
mod ter;
mod tokenize;

pub use bleu::{Bleu, BleuScore, Smoothing};
pub use chrf::Chrf;
pub use minimum_risk::rank_by_agreement;
pub use significance::{PairedBootstrap, Resampled};
pub use ter::Ter;
pub use tokenize::Tokenizer;

use crate::{Error, Result};

/// What a signature says in the place of sacreBLEU's version.
const VERSION: &str = concat!("translate-", env!("CARGO_PKG_VERSION"));

/// A metric that compares hypotheses with one or more references.
pub trait Metric {
    /// The counts of one hypothesis against its references. Without any reference nothing matches.
    fn statistics(&self, hypothesis: &str, references: &[&str]) -> Statistics;

    /// The score of summed counts. The sum over no sentences scores 0.
    fn score(&self, statistics: &Statistics) -> Score;

    /// sacreBLEU's signature for `references` references a sentence: `nrefs:1|case:mixed|…|version:translate-0.1.0`.
    fn signature(&self, references: usize) -> String;

    /// The score of one sentence. BLEU should have [`Bleu::effective_order`] on for this.
    fn sentence_score(&self, hypothesis: &str, references: &[&str]) -> Score {
        self.score(&self.statistics(hypothesis, references))
    }

    /// The score of a whole corpus: `references` holds complete sets, each with one line for every hypothesis.
    ///
    /// # Errors
    /// When there is no hypothesis or no reference set, or a set has another number of lines.
    fn corpus_score(&self, hypotheses: &[&str], references: &[Vec<&str>]) -> Result<Score> {
        if hypotheses.is_empty() || references.is_empty() {
            return Err(Error::Usage("scoring needs at least one hypothesis and one set of references".into()));
        }
        for (number, set) in references.iter().enumerate() {
            if set.len() != hypotheses.len() {
                return Err(Error::Usage(format!(
                    "reference set {} has {} lines but there are {} hypotheses: line N must translate line N",
                    number + 1,
                    set.len(),
                    hypotheses.len()
                )));
            }
        }
        let mut sum = Statistics::default();
        let mut line_references = Vec::with_capacity(references.len());
        for (line, hypothesis) in hypotheses.iter().enumerate() {
            line_references.clear();
            line_references.extend(references.iter().map(|set| set[line]));
            sum.add(&self.statistics(hypothesis, &line_references));
        }
        Ok(self.score(&sum))
    }
}

/// Counts of one sentence, or summed over many; what they mean is known to the metric that made them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics(Vec<u64>);

impl Statistics {
    /// Adds the counts of another sentence scored by the same metric.
    pub fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (sum, count) in self.0.iter_mut().zip(&other.0) {
            *sum += count;
        }
    }

    /// The count at `index`; sums over no sentences are 0 everywhere.
    fn get(&self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }
}

/// A metric's result, ready to be printed in sacreBLEU's form.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// `BLEU`, `chrF2`, `chrF2++` or `TER`.
    pub name: String,
    /// From 0 to 100, and the higher the better; TER is an error rate, so lower is better, and may be above 100.
    pub value: f64,
    /// What is printed after the number (BLEU's precisions, brevity penalty and lengths), or empty.
    pub detail: String,
}

/// A corpus signature with how many resamples were drawn from which seed, where sacreBLEU puts that.
pub fn resampled_signature(signature: &str, bootstrap: PairedBootstrap) -> String {
    let (references, rest) = signature.split_once('|').unwrap_or((signature, ""));
    format!("{references}|bs:{}|seed:{}|{rest}", bootstrap.resamples, bootstrap.seed)
}

impl Score {
    /// sacreBLEU's line with `width` decimals: `BLEU = 38.21 68.1/45.0/…`, or with a signature
    /// `BLEU|nrefs:1|… = 38.21 68.1/45.0/…`.
    pub fn format(&self, width: usize, signature: Option<&str>) -> String {
        let mut line = self.name.clone();
        if let Some(signature) = signature {
            line.push('|');
            line.push_str(signature);
        }
        line.push_str(&format!(" = {:.width$}", self.value));
        if !self.detail.is_empty() {
            line.push(' ');
            line.push_str(&self.detail);
        }
        line
    }

    /// The value rounded to `width` decimals, as JSON output carries it.
    pub fn rounded(&self, width: usize) -> f64 {
        format!("{:.width$}", self.value).parse().unwrap_or(self.value)
    }
}

/// Python's idea of white space, which sacreBLEU splits on: Unicode's, and the four ASCII separators.
fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

/// The words of a line; no empty ones.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(is_space).filter(|word| !word.is_empty())
}

/// `lc` or `mixed`, as signatures name the treatment of case.
fn case(lowercase: bool) -> &'static str {
    if lowercase { "lc" } else { "mixed" }
}

/// How often every n-gram of order `n` occurs in `items`.
fn count_ngrams<T: std::hash::Hash + Eq>(items: &[T], n: usize) -> std::collections::HashMap<&[T], u64> {
    let mut counts = std::collections::HashMap::new();
    for ngram in items.windows(n) {
        *counts.entry(ngram).or_insert(0) += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unequal_line_counts_name_the_reference_set() {
        let error = Bleu::default().corpus_score(&["a", "b"], &[vec!["a", "b"], vec!["a"]]).unwrap_err().to_string();
        assert_eq!(error, "reference set 2 has 1 lines but there are 2 hypotheses: line N must translate line N");
    }

    #[test]
    fn scoring_nothing_is_refused() {
        assert!(Bleu::default().corpus_score(&[], &[vec![]]).is_err());
        assert!(Chrf::default().corpus_score(&["a"], &[]).is_err());
    }

    #[test]
    fn a_sentence_without_references_scores_zero() {
        assert_eq!(Bleu::default().sentence_score("a b c d", &[]).value, 0.0);
        assert_eq!(Chrf::default().sentence_score("a b c d", &[]).value, 0.0);
        assert_eq!(Chrf::default().score(&Statistics::default()).value, 0.0);
    }

    #[test]
    fn counts_of_sentences_add_up_to_the_corpus() {
        let (bleu, pairs) = (Bleu::default(), [("a b c d e", "a b c d f"), ("x y", "x z y")]);
        let mut sum = Statistics::default();
        for (hypothesis, reference) in pairs {
            sum.add(&bleu.statistics(hypothesis, &[reference]));
        }
        let corpus = bleu.corpus_score(&[pairs[0].0, pairs[1].0], &[vec![pairs[0].1, pairs[1].1]]).unwrap();
        assert_eq!(bleu.score(&sum), corpus);
    }
}
