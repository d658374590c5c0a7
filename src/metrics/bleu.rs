//! BLEU (Papineni et al. 2002): n-gram precision against a brevity penalty.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use super::{Metric, Score, Statistics, Tokenizer, VERSION, case, count_ngrams, is_space, words};
use crate::{Error, Result};

/// What stands in for an n-gram precision of zero (Chen and Cherry 2014, "A Systematic Comparison of Smoothing
/// Techniques for Sentence-Level BLEU").
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Smoothing {
    /// `none`: nothing; one order without a match makes BLEU zero.
    None,
    /// `floor`: this many matches in place of none (usually 0.1).
    Floor(f64),
    /// `add-k`: this much (usually 1) added to matches and totals of every order above 1.
    AddK(f64),
    /// `exp`: 1/2, 1/4, 1/8, … matches for the first, second, third … order without any. The default.
    #[default]
    Exp,
}

impl fmt::Display for Smoothing {
    /// As signatures write it: `exp`, `floor[0.10]`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(formatter, "none"),
            Self::Floor(value) => write!(formatter, "floor[{value:.2}]"),
            Self::AddK(value) => write!(formatter, "add-k[{value:.2}]"),
            Self::Exp => write!(formatter, "exp"),
        }
    }
}

impl FromStr for Smoothing {
    type Err = Error;

    /// Reads `none`, `exp`, `floor`, `add-k`, and the last two with a value: `floor=0.05`.
    fn from_str(text: &str) -> Result<Self> {
        let wrong =
            || Error::Usage(format!("unknown smoothing '{text}': use exp, none, floor[=VALUE] or add-k[=VALUE]"));
        let (method, value) = match text.split_once('=') {
            Some((method, value)) => {
                let value = value.parse::<f64>().ok().filter(|value| value.is_finite() && *value > 0.0);
                (method, Some(value.ok_or_else(wrong)?))
            }
            None => (text, None),
        };
        match (method, value) {
            ("none", None) => Ok(Self::None),
            ("exp", None) => Ok(Self::Exp),
            ("floor", value) => Ok(Self::Floor(value.unwrap_or(0.1))),
            ("add-k", value) => Ok(Self::AddK(value.unwrap_or(1.0))),
            _ => Err(wrong()),
        }
    }
}

/// BLEU over n-grams of orders 1 to 4. The default is sacreBLEU's corpus BLEU.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bleu {
    /// Cuts lines into tokens.
    pub tokenizer: Tokenizer,
    /// Ignores case.
    pub lowercase: bool,
    /// Treatment of orders without a match.
    pub smoothing: Smoothing,
    /// Averages only over the orders that the hypothesis is long enough to have. On for single sentences, off for
    /// corpora.
    pub effective_order: bool,
}

/// The numbers behind a BLEU score.
#[derive(Debug, Clone, PartialEq)]
pub struct BleuScore {
    /// From 0 to 100.
    pub score: f64,
    /// Precision of the orders 1 to 4 in per cent, after smoothing.
    pub precisions: [f64; MAX_ORDER],
    /// e^(1 − reference / hypothesis length) for hypotheses that are too short, otherwise 1.
    pub brevity_penalty: f64,
    /// Tokens in the hypotheses.
    pub hypothesis_length: u64,
    /// Tokens in the references (the one nearest in length, where there are several).
    pub reference_length: u64,
}

impl BleuScore {
    /// Hypothesis length over reference length; 0 without references.
    pub fn ratio(&self) -> f64 {
        if self.reference_length == 0 { 0.0 } else { self.hypothesis_length as f64 / self.reference_length as f64 }
    }
}

impl fmt::Display for BleuScore {
    /// What sacreBLEU prints after the score.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, two, three, four] = self.precisions;
        write!(
            formatter,
            "{one:.1}/{two:.1}/{three:.1}/{four:.1} (BP = {:.3} ratio = {:.3} hyp_len = {} ref_len = {})",
            self.brevity_penalty,
            self.ratio(),
            self.hypothesis_length,
            self.reference_length
        )
    }
}

const MAX_ORDER: usize = 4;

/// Where [`Statistics`] keeps what: both lengths, then matches and totals by order.
const HYPOTHESIS_LENGTH: usize = 0;
const REFERENCE_LENGTH: usize = 1;
const MATCHES: usize = 2;
const TOTALS: usize = MATCHES + MAX_ORDER;

impl Bleu {
    /// The settings for single sentences: effective order on.
    pub fn for_sentences() -> Self {
        Self { effective_order: true, ..Self::default() }
    }

    /// The line as the tokeniser leaves it.
    fn tokenize(&self, line: &str) -> String {
        if self.lowercase {
            self.tokenizer.apply(line.to_lowercase().trim_end_matches(is_space)).into_owned()
        } else {
            self.tokenizer.apply(line.trim_end_matches(is_space)).into_owned()
        }
    }

    /// The score with everything it is made of.
    pub fn breakdown(&self, statistics: &Statistics) -> BleuScore {
        let hypothesis_length = statistics.get(HYPOTHESIS_LENGTH);
        let reference_length = statistics.get(REFERENCE_LENGTH);
        let brevity_penalty = match hypothesis_length {
            length if length >= reference_length => 1.0,
            0 => 0.0,
            length => (1.0 - reference_length as f64 / length as f64).exp(),
        };
        let mut result = BleuScore {
            score: 0.0,
            precisions: [0.0; MAX_ORDER],
            brevity_penalty,
            hypothesis_length,
            reference_length,
        };
        if (0..MAX_ORDER).all(|order| statistics.get(MATCHES + order) == 0) {
            return result;
        }

        let mut orders = MAX_ORDER;
        let mut stand_in = 1.0;
        for order in 0..MAX_ORDER {
            let mut matches = statistics.get(MATCHES + order) as f64;
            let mut total = statistics.get(TOTALS + order) as f64;
            if let (Smoothing::AddK(value), 1..) = (self.smoothing, order) {
                matches += value;
                total += value;
            }
            if total == 0.0 {
                break;
            }
            if self.effective_order {
                orders = order + 1;
            }
            result.precisions[order] = if matches > 0.0 {
                100.0 * matches / total
            } else {
                match self.smoothing {
                    Smoothing::Exp => {
                        stand_in *= 2.0;
                        100.0 / (stand_in * total)
                    }
                    Smoothing::Floor(value) => 100.0 * value / total,
                    Smoothing::None | Smoothing::AddK(_) => 0.0,
                }
            };
        }
        // The logarithm of a zero precision is minus infinity, which makes the score 0.
        let log_sum: f64 = result.precisions[..orders].iter().map(|precision| precision.ln()).sum();
        result.score = brevity_penalty * (log_sum / orders as f64).exp();
        result
    }
}

impl Metric for Bleu {
    fn statistics(&self, hypothesis: &str, references: &[&str]) -> Statistics {
        let hypothesis = self.tokenize(hypothesis);
        let hypothesis: Vec<&str> = words(&hypothesis).collect();
        let references: Vec<String> = references.iter().map(|reference| self.tokenize(reference)).collect();
        let references: Vec<Vec<&str>> = references.iter().map(|reference| words(reference).collect()).collect();

        let mut counts = vec![0; TOTALS + MAX_ORDER];
        counts[HYPOTHESIS_LENGTH] = hypothesis.len() as u64;
        // The reference nearest in length; the shorter one of two equally near.
        counts[REFERENCE_LENGTH] = references
            .iter()
            .map(|reference| reference.len() as u64)
            .min_by_key(|&length| (length.abs_diff(hypothesis.len() as u64), length))
            .unwrap_or(0);
        for order in 0..MAX_ORDER {
            // An n-gram may be used as often as the reference that has most of it does.
            let mut allowed: HashMap<&[&str], u64> = HashMap::new();
            for reference in &references {
                for (ngram, count) in count_ngrams(reference, order + 1) {
                    let most = allowed.entry(ngram).or_insert(0);
                    *most = count.max(*most);
                }
            }
            for (ngram, count) in count_ngrams(&hypothesis, order + 1) {
                counts[TOTALS + order] += count;
                counts[MATCHES + order] += allowed.get(ngram).map_or(0, |&most| count.min(most));
            }
        }
        Statistics(counts)
    }

    fn score(&self, statistics: &Statistics) -> Score {
        let result = self.breakdown(statistics);
        Score { name: "BLEU".into(), value: result.score, detail: result.to_string() }
    }

    fn signature(&self, references: usize) -> String {
        format!(
            "nrefs:{references}|case:{}|eff:{}|tok:{}|smooth:{}|version:{VERSION}",
            case(self.lowercase),
            if self.effective_order { "yes" } else { "no" },
            self.tokenizer,
            self.smoothing
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identical_sentence_scores_one_hundred() {
        let score = Bleu::default().sentence_score("one two three four five", &["one two three four five"]);
        assert!((score.value - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_short_hypothesis_needs_effective_order() {
        assert_eq!(Bleu::default().sentence_score("Hallo Welt", &["Hallo Welt"]).value, 0.0);
        assert!((Bleu::for_sentences().sentence_score("Hallo Welt", &["Hallo Welt"]).value - 100.0).abs() < 1e-9);
    }

    #[test]
    fn repeated_words_are_clipped_to_the_reference_with_most() {
        let statistics = Bleu::default().statistics("the the the", &["the", "the the cat"]);
        assert_eq!(statistics.get(MATCHES), 2);
        assert_eq!(statistics.get(TOTALS), 3);
    }

    #[test]
    fn the_nearest_reference_gives_the_length_and_ties_go_to_the_shorter() {
        let statistics = Bleu::default().statistics("a b c", &["a b c d", "a b", "a b c d e f"]);
        assert_eq!(statistics.get(REFERENCE_LENGTH), 2);
    }

    #[test]
    fn smoothing_reads_and_writes_its_names() {
        for (text, signature) in [
            ("exp", "exp"),
            ("none", "none"),
            ("floor", "floor[0.10]"),
            ("add-k", "add-k[1.00]"),
            ("floor=0.5", "floor[0.50]"),
        ] {
            assert_eq!(text.parse::<Smoothing>().unwrap().to_string(), signature);
        }
        for wrong in ["", "exp=1", "floor=-1", "floor=nan", "add-k=", "linear"] {
            assert!(wrong.parse::<Smoothing>().is_err(), "{wrong}");
        }
    }
}
