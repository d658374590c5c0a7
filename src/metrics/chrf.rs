//! chrF (Popović 2015) and chrF++ (Popović 2017): F-score over character and word n-grams.

use super::{Metric, Score, Statistics, VERSION, case, count_ngrams, words};

/// chrF, or with [`Chrf::word_order`] 2 chrF++. The default is sacreBLEU's chrF2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chrf {
    /// Longest character n-gram.
    pub char_order: usize,
    /// Longest word n-gram: 0 for chrF, 2 for chrF++.
    pub word_order: usize,
    /// How many times more recall counts than precision.
    pub beta: u32,
    /// Ignores case.
    pub lowercase: bool,
    /// Counts white space as characters.
    pub whitespace: bool,
}

impl Default for Chrf {
    fn default() -> Self {
        Self { char_order: 6, word_order: 0, beta: 2, lowercase: false, whitespace: false }
    }
}

/// Counts of one n-gram order: in the hypothesis, in the reference, and in both.
#[derive(Clone, Copy, Default)]
struct Counts {
    hypothesis: u64,
    reference: u64,
    matches: u64,
}

/// A sentence cut up for counting.
struct Units {
    characters: Vec<char>,
    words: Vec<String>,
}

impl Chrf {
    /// chrF++: word n-grams up to order 2 beside the character n-grams.
    pub fn plus_plus() -> Self {
        Self { word_order: 2, ..Self::default() }
    }

    /// `chrF2`, `chrF2++`: beta, and a plus sign for every word order.
    pub fn name(&self) -> String {
        format!("chrF{}{}", self.beta, "+".repeat(self.word_order))
    }

    /// Characters and words of a line.
    fn units(&self, line: &str) -> Units {
        let lowered;
        let line = if self.lowercase {
            lowered = line.to_lowercase();
            &lowered
        } else {
            line
        };
        Units {
            characters: line.chars().filter(|&character| self.whitespace || !super::is_space(character)).collect(),
            words: if self.word_order == 0 { Vec::new() } else { words(line).flat_map(split_punctuation).collect() },
        }
    }

    /// Counts for every order, character orders first.
    fn compare(&self, hypothesis: &Units, reference: &Units) -> Vec<Counts> {
        let characters = (1..=self.char_order).map(|n| compare(&hypothesis.characters, &reference.characters, n));
        let words = (1..=self.word_order).map(|n| compare(&hypothesis.words, &reference.words, n));
        characters.chain(words).collect()
    }

    /// F-score of precision and recall, each averaged over the orders that both sides have, from 0 to 100.
    fn f_score(&self, counts: impl Iterator<Item = Counts>) -> f64 {
        let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0.0);
        for count in counts.filter(|count| count.hypothesis > 0 && count.reference > 0) {
            precision += count.matches as f64 / count.hypothesis as f64;
            recall += count.matches as f64 / count.reference as f64;
            orders += 1.0;
        }
        if precision + recall == 0.0 {
            return 0.0;
        }
        precision /= orders;
        recall /= orders;
        let factor = f64::from(self.beta) * f64::from(self.beta);
        100.0 * ((1.0 + factor) * precision * recall / (factor * precision + recall))
    }
}

impl Metric for Chrf {
    /// Against several references: the counts of the one with the best F-score for this sentence.
    fn statistics(&self, hypothesis: &str, references: &[&str]) -> Statistics {
        let hypothesis = self.units(hypothesis);
        let mut best = (-1.0, vec![Counts::default(); self.char_order + self.word_order]);
        for reference in references {
            let counts = self.compare(&hypothesis, &self.units(reference));
            let score = self.f_score(counts.iter().copied());
            if score > best.0 {
                best = (score, counts);
            }
        }
        Statistics(best.1.iter().flat_map(|count| [count.hypothesis, count.reference, count.matches]).collect())
    }

    fn score(&self, statistics: &Statistics) -> Score {
        let counts = (0..self.char_order + self.word_order).map(|order| Counts {
            hypothesis: statistics.get(3 * order),
            reference: statistics.get(3 * order + 1),
            matches: statistics.get(3 * order + 2),
        });
        Score { name: self.name(), value: self.f_score(counts), detail: String::new() }
    }

    fn signature(&self, references: usize) -> String {
        format!(
            "nrefs:{references}|case:{}|eff:yes|nc:{}|nw:{}|space:{}|version:{VERSION}",
            case(self.lowercase),
            self.char_order,
            self.word_order,
            if self.whitespace { "yes" } else { "no" }
        )
    }
}

/// n-grams of one order on both sides.
fn compare<T: std::hash::Hash + Eq>(hypothesis: &[T], reference: &[T], n: usize) -> Counts {
    let reference = count_ngrams(reference, n);
    let mut counts = Counts { reference: reference.values().sum(), ..Counts::default() };
    // An order that the reference is too short for counts for neither side.
    if counts.reference > 0 {
        for (ngram, count) in count_ngrams(hypothesis, n) {
            counts.hypothesis += count;
            counts.matches += reference.get(ngram).map_or(0, |&most| count.min(most));
        }
    }
    counts
}

/// Cuts one ASCII punctuation mark off a word: the last character or else the first, as in the original chrF++
/// (`(yes)` gives `(yes` and `)`).
fn split_punctuation(word: &str) -> Vec<String> {
    let mut rest = word.chars();
    let last = rest.next_back();
    if rest.as_str().is_empty() {
        return vec![word.to_owned()];
    }
    if let Some(mark) = last.filter(char::is_ascii_punctuation) {
        return vec![rest.as_str().to_owned(), mark.into()];
    }
    let mut rest = word.chars();
    match rest.next().filter(char::is_ascii_punctuation) {
        Some(mark) => vec![mark.into(), rest.as_str().to_owned()],
        None => vec![word.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identical_sentence_scores_one_hundred() {
        for metric in [Chrf::default(), Chrf::plus_plus()] {
            assert!((metric.sentence_score("Guten Tag.", &["Guten Tag."]).value - 100.0).abs() < 1e-9);
        }
    }

    #[test]
    fn white_space_counts_only_when_asked() {
        let (with, without) = (Chrf { whitespace: true, ..Chrf::default() }, Chrf::default());
        assert!((without.sentence_score("ab cd", &["abcd"]).value - 100.0).abs() < 1e-9);
        assert!(with.sentence_score("ab cd", &["abcd"]).value < 90.0);
    }

    #[test]
    fn the_best_reference_of_a_sentence_counts() {
        let metric = Chrf::default();
        let one = metric.sentence_score("kleiner Hund", &["kleiner Hund"]).value;
        assert_eq!(metric.sentence_score("kleiner Hund", &["Katze", "kleiner Hund"]).value, one);
    }

    #[test]
    fn punctuation_is_cut_off_at_one_end() {
        assert_eq!(split_punctuation("(yes)"), ["(yes", ")"]);
        assert_eq!(split_punctuation("(yes"), ["(", "yes"]);
        assert_eq!(split_punctuation("."), ["."]);
        assert_eq!(split_punctuation("«ja»"), ["«ja»"]);
    }

    #[test]
    fn names_say_beta_and_word_order() {
        assert_eq!(Chrf::default().name(), "chrF2");
        assert_eq!(Chrf::plus_plus().name(), "chrF2++");
    }
}
