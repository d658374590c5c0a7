//! Hard word alignments: which source words each target word came from.

use super::map::{AttentionMap, Kind};
use super::select::{Matrix, Selected, Selection};
use crate::{Error, Result};

/// A source word and a target word that belong together, both counted from 0. The sentence end is no word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// Position among the source words.
    pub source: usize,
    /// Position among the target words.
    pub target: usize,
}

/// When a weight is strong enough for a link.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Rule {
    /// Each target word is linked to the source word it looked at most; to none where that is the sentence end.
    #[default]
    Argmax,
    /// Every pair of words with at least this weight is linked.
    Threshold(f32),
}

impl Rule {
    /// A threshold.
    ///
    /// # Errors
    /// If it is not above 0 and at most 1.
    pub fn threshold(value: f32) -> Result<Self> {
        if value > 0.0 && value <= 1.0 {
            Ok(Self::Threshold(value))
        } else {
            Err(Error::Usage(format!("the threshold {value} must be above 0 and at most 1")))
        }
    }
}

impl AttentionMap {
    /// The hard alignment of the map's words, sorted by source word, then target word.
    ///
    /// `selection` is used with `words` set, whatever it says.
    ///
    /// # Errors
    /// As [`AttentionMap::select`]; also if the map is no cross-attention or `selection` leaves several matrices.
    pub fn align(&self, selection: &Selection, rule: Rule) -> Result<Vec<Link>> {
        links(&self.select(&Selection { words: true, ..*selection })?, rule)
    }
}

/// The links of the one matrix selected by words, sorted by source word, then target word.
///
/// # Errors
/// If the map is no cross-attention, shows pieces, or several matrices are selected.
pub fn links(selected: &Selected, rule: Rule) -> Result<Vec<Link>> {
    if selected.map.kind != Kind::Cross {
        return Err(Error::Usage(format!(
            "hard alignments link source and target: {} attention has only one of them, use --kind cross",
            selected.map.kind
        )));
    }
    let (true, [matrix]) = (selected.selection.words, selected.matrices.as_slice()) else {
        return Err(Error::Usage(
            "hard alignments need words, and one layer and one head (or their mean), not all".to_owned(),
        ));
    };
    let mut links = Vec::new();
    for (target, weights) in target_words(selected, matrix) {
        match rule {
            Rule::Argmax => {
                if let Some(source) = argmax(weights).and_then(|column| selected.columns.words[column]) {
                    links.push(Link { source, target });
                }
            }
            Rule::Threshold(least) => {
                for (&weight, &word) in weights.iter().zip(&selected.columns.words) {
                    if let Some(source) = word.filter(|_| weight >= least) {
                        links.push(Link { source, target });
                    }
                }
            }
        }
    }
    links.sort_unstable();
    Ok(links)
}

/// Each target word with its row of weights.
pub(super) fn target_words<'a>(selected: &'a Selected, matrix: &'a Matrix) -> impl Iterator<Item = (usize, &'a [f32])> {
    let rows = matrix.weights.chunks_exact(selected.columns.len().max(1));
    selected.rows.words.iter().zip(rows).filter_map(|(word, row)| word.map(|word| (word, row)))
}

/// The position of the largest value, the first of equals.
pub(super) fn argmax(values: &[f32]) -> Option<usize> {
    (0..values.len()).reduce(|best, position| if values[position] > values[best] { position } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::{HeadChoice, LayerChoice, fixture};

    const FIRST: Selection = Selection {
        layer: LayerChoice::Index(0),
        head: HeadChoice::Index(0),
        words: false,
        mask_eos: false,
        align_on: crate::inspect::AlignOn::Output,
    };

    fn pairs(links: &[Link]) -> Vec<(usize, usize)> {
        links.iter().map(|link| (link.source, link.target)).collect()
    }

    #[test]
    fn argmax_links_each_target_word_once() {
        assert_eq!(pairs(&fixture::dog().align(&FIRST, Rule::Argmax).unwrap()), [(0, 0), (1, 1), (2, 2)]);
    }

    #[test]
    fn a_word_that_looks_at_the_sentence_end_has_no_link_until_it_is_masked() {
        let eos_only = Selection { layer: LayerChoice::Index(1), head: HeadChoice::Index(1), ..FIRST };
        assert_eq!(fixture::dog().align(&eos_only, Rule::Argmax).unwrap(), []);
        let masked = Selection { mask_eos: true, ..eos_only };
        assert_eq!(fixture::dog().align(&masked, Rule::Argmax).unwrap().len(), 3);
    }

    #[test]
    fn a_threshold_may_link_a_word_to_several() {
        let uniform = Selection { head: HeadChoice::Index(1), ..FIRST };
        // By words the uniform head gives 1/6, 2/6, 2/6.
        let links = fixture::dog().align(&uniform, Rule::threshold(0.3).unwrap()).unwrap();
        assert_eq!(pairs(&links), [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]);
    }

    #[test]
    fn special_tokens_do_not_shift_the_words() {
        let mut map = fixture::dog();
        // A language tag before the sentence: words begin at piece 1.
        map.source_words = fixture::words(&[("Hund", 1, 3), ("läuft.", 3, 5)]);
        assert_eq!(pairs(&map.align(&FIRST, Rule::Argmax).unwrap()), [(0, 1), (1, 2)]);
    }

    #[test]
    fn several_matrices_and_self_attention_are_refused() {
        let all = Selection { head: HeadChoice::All, ..FIRST };
        assert!(matches!(fixture::dog().align(&all, Rule::Argmax), Err(Error::Usage(_))));
        assert!(matches!(fixture::dog_decoder().align(&FIRST, Rule::Argmax), Err(Error::Usage(_))));
    }

    #[test]
    fn a_threshold_outside_its_range_is_refused() {
        for value in [0.0, -1.0, 1.5, f32::NAN] {
            assert!(Rule::threshold(value).is_err());
        }
    }
}
