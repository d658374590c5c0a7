//! Which layer and head align best, measured on given sentence pairs.
//!
//! A head that aligns well is sure of itself in both directions: the source word a target word looks at most is, more
//! often than not, looked at most by that same target word. [`Rank::agreement`] counts this: with `T` the links of
//! each target word to its strongest source word, and `S` those of each source word to its strongest target word,
//! summed over all sentences, it is `2 |T ∩ S| / (|T| + |S|)`. It needs no hand-made alignments; the idea of choosing a
//! layer by the agreement of two directions is that of Chen et al. 2020, "Accurate Word Alignment Induction from Neural
//! Machine Translation" (there with a second model for the other direction).
//!
//! [`Rank::entropy`] is the mean entropy of a target word's row over the logarithm of the number of source words (the
//! sentence end counts as one): 0 is all weight on one word, 1 is even weight on all. Where hand-made sure links are
//! given, [`Rank::f1`] is the F1 of the links `T` against them, and decides. For sure links alone, F1 is 1 minus the
//! alignment error rate of Och and Ney 2003.

use std::collections::HashSet;
use std::fmt::Write;

use super::align::{Link, Rule, argmax, links, target_words};
use super::map::AttentionMap;
use super::select::{AlignOn, Choice, HeadChoice, LayerChoice, Matrix, Selected, Selection};
use crate::spec::{AlignmentHeads, HeadSet};
use crate::{Error, Result};

/// How well one layer and head aligns.
#[derive(Clone, Debug, PartialEq)]
pub struct Rank {
    /// The layer, or the mean of all.
    pub layer: Choice,
    /// The head, or the mean of all.
    pub head: Choice,
    /// Which target token rows belong to.
    pub align_on: AlignOn,
    /// Agreement of both directions, 0 to 1.
    pub agreement: f64,
    /// Mean entropy of a row relative to an even one, 0 to 1.
    pub entropy: f64,
    /// F1 against the given links, if any were given.
    pub f1: Option<f64>,
}

#[derive(Clone, Default)]
struct Tally {
    forward: usize,
    backward: usize,
    mutual: usize,
    entropy: f64,
    rows: usize,
    correct: usize,
}

/// Sums over sentences, one for each layer and head.
pub struct Ranking {
    mask_eos: bool,
    /// Several heads whose mean takes part, of each layer.
    several: Option<HeadSet>,
    candidates: Vec<(LayerChoice, HeadChoice, AlignOn)>,
    tallies: Vec<Tally>,
    labels: Vec<(Choice, Choice)>,
    gold_links: Option<usize>,
}

impl Ranking {
    /// An empty ranking. With `mask_eos`, the sentence end takes no part; with `several`, the mean of these heads does.
    pub fn new(mask_eos: bool, several: Option<HeadSet>) -> Self {
        Self { mask_eos, several, candidates: Vec::new(), tallies: Vec::new(), labels: Vec::new(), gold_links: None }
    }

    /// Adds one sentence pair, with its true links if they are known (for all sentences or for none).
    ///
    /// # Errors
    /// As [`AttentionMap::align`]; also if a link names a word that is not there.
    pub fn add(&mut self, map: &AttentionMap, gold: Option<&[Link]>) -> Result<()> {
        if self.candidates.is_empty() {
            self.candidates = candidates(map.attention.layers, map.attention.heads, self.several);
            self.tallies = vec![Tally::default(); self.candidates.len()];
            self.labels = vec![(Choice::Mean, Choice::Mean); self.candidates.len()];
        }
        let gold: Option<HashSet<Link>> = gold.map(|links| links.iter().copied().collect());
        for link in gold.iter().flatten() {
            if link.source >= map.source_words.len() || link.target >= map.target_words.len() {
                return Err(Error::Input {
                    name: "alignments".to_owned(),
                    line: map.line,
                    problem: format!(
                        "{}-{} is outside the {} source and {} target words",
                        link.source,
                        link.target,
                        map.source_words.len(),
                        map.target_words.len()
                    ),
                });
            }
        }
        if let Some(gold) = &gold {
            *self.gold_links.get_or_insert(0) += gold.len();
        }
        for (index, &(layer, head, align_on)) in self.candidates.iter().enumerate() {
            let selection = Selection { layer, head, words: true, mask_eos: self.mask_eos, align_on };
            let selected = map.select(&selection)?;
            let matrix = &selected.matrices[0];
            self.labels[index] = (matrix.layer, matrix.head);
            self.tallies[index].add(&selected, matrix, gold.as_ref())?;
        }
        Ok(())
    }

    /// The ranks, best first: by F1 where links were given, else by agreement; equals by lower entropy.
    pub fn finish(self) -> Vec<Rank> {
        let share = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let rows = self.tallies.iter().zip(&self.labels).zip(&self.candidates);
        let mut ranks: Vec<Rank> = rows
            .map(|((tally, &(layer, head)), &(_, _, align_on))| Rank {
                layer,
                head,
                align_on,
                agreement: share(2 * tally.mutual, tally.forward + tally.backward),
                entropy: if tally.rows == 0 { 0.0 } else { tally.entropy / tally.rows as f64 },
                f1: self.gold_links.map(|gold| share(2 * tally.correct, tally.forward + gold)),
            })
            .collect();
        let key = |rank: &Rank| rank.f1.unwrap_or(rank.agreement);
        ranks.sort_by(|a, b| key(b).total_cmp(&key(a)).then(a.entropy.total_cmp(&b.entropy)));
        ranks
    }
}

/// Every layer and head, the mean of each layer's heads and of several, and the mean of all; in both readings of the rows.
fn candidates(layers: usize, heads: usize, several: Option<HeadSet>) -> Vec<(LayerChoice, HeadChoice, AlignOn)> {
    let mut list = Vec::new();
    for align_on in [AlignOn::Output, AlignOn::Input] {
        for layer in 0..layers {
            list.extend((0..heads).map(|head| (LayerChoice::Index(layer), HeadChoice::Index(head), align_on)));
            if heads > 1 {
                list.push((LayerChoice::Index(layer), HeadChoice::Mean, align_on));
            }
            list.extend(several.map(|heads| (LayerChoice::Index(layer), HeadChoice::Several(heads), align_on)));
        }
        if layers > 1 {
            list.push((LayerChoice::Mean, HeadChoice::Mean, align_on));
        }
    }
    list
}

impl Tally {
    fn add(&mut self, selected: &Selected, matrix: &Matrix, gold: Option<&HashSet<Link>>) -> Result<()> {
        let forward = links(selected, Rule::Argmax)?;
        let columns = selected.columns.len();
        let rows = selected.rows.len();
        for (column, word) in selected.columns.words.iter().enumerate() {
            let Some(source) = *word else { continue };
            let weights: Vec<f32> = (0..rows).map(|row| matrix.weights[row * columns + column]).collect();
            if let Some(target) = argmax(&weights).and_then(|row| selected.rows.words[row]) {
                self.backward += 1;
                self.mutual += usize::from(forward.binary_search(&Link { source, target }).is_ok());
            }
        }
        self.forward += forward.len();
        if let Some(gold) = gold {
            self.correct += forward.iter().filter(|link| gold.contains(link)).count();
        }
        if columns > 1 {
            for (_, row) in target_words(selected, matrix) {
                let nats: f32 = row.iter().filter(|&&weight| weight > 0.0).map(|weight| -weight * weight.ln()).sum();
                self.entropy += f64::from(nats) / (columns as f64).ln();
                self.rows += 1;
            }
        }
        Ok(())
    }
}

/// The ranking as tab-separated values with a heading.
pub fn render(ranks: &[Rank]) -> String {
    let with_f1 = ranks.iter().any(|rank| rank.f1.is_some());
    let mut text = String::from("rank\tlayer\thead\talign_on\tagreement\tentropy");
    text.push_str(if with_f1 { "\tf1\n" } else { "\n" });
    for (number, rank) in ranks.iter().enumerate() {
        let (layer, head, align_on) = (rank.layer, rank.head, rank.align_on.name());
        let _ = write!(text, "{}\t{layer}\t{head}\t{align_on}", number + 1);
        let _ = write!(text, "\t{:.4}\t{:.4}", rank.agreement, rank.entropy);
        if let Some(f1) = rank.f1 {
            let _ = write!(text, "\t{f1:.4}");
        }
        text.push('\n');
    }
    text
}

/// The best of a ranking that is of one layer and read on the output: what a model's config can name as its alignment.
pub fn best_of_a_layer(ranks: &[Rank]) -> Option<AlignmentHeads> {
    ranks.iter().find_map(|rank| match (rank.layer, rank.align_on) {
        (Choice::Index(layer), AlignOn::Output) => {
            let heads = match rank.head {
                Choice::Index(head) => HeadSet::new([head]),
                Choice::Several(heads) => Some(heads),
                Choice::Mean | Choice::Max => None,
            };
            Some(AlignmentHeads { layer, heads })
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::fixture;

    fn gold() -> Vec<Link> {
        (0..3).map(|word| Link { source: word, target: word }).collect()
    }

    #[test]
    fn the_head_that_follows_the_words_ranks_first() {
        let mut ranking = Ranking::new(false, None);
        ranking.add(&fixture::dog(), None).unwrap();
        let ranks = ranking.finish();
        let best = &ranks[0];
        assert_eq!((best.layer, best.head, best.align_on), (Choice::Index(0), Choice::Index(0), AlignOn::Output));
        assert_eq!(best.agreement, 1.0);
        assert!(best.entropy < 0.7, "{}", best.entropy);
        assert_eq!(best.f1, None);
        assert_eq!(best_of_a_layer(&ranks), Some(AlignmentHeads { layer: 0, heads: HeadSet::new([0]) }));
    }

    #[test]
    fn an_even_head_has_entropy_one_over_equal_words() {
        let mut map = fixture::dog();
        map.source_words.clear();
        let mut ranking = Ranking::new(false, None);
        ranking.add(&map, None).unwrap();
        let ranks = ranking.finish();
        let even = ranks.iter().find(|r| r.layer == Choice::Index(0) && r.head == Choice::Index(1)).unwrap();
        assert!((even.entropy - 1.0).abs() < 1e-6);
    }

    #[test]
    fn known_links_give_f1_and_decide() {
        let mut ranking = Ranking::new(false, None);
        ranking.add(&fixture::dog(), Some(&gold())).unwrap();
        let ranks = ranking.finish();
        assert_eq!(ranks[0].f1, Some(1.0));
        let eos = ranks.iter().find(|r| r.layer == Choice::Index(1) && r.head == Choice::Index(1)).unwrap();
        assert_eq!(eos.f1, Some(0.0));
    }

    #[test]
    fn links_outside_the_sentence_are_named() {
        let mut ranking = Ranking::new(false, None);
        let message = ranking.add(&fixture::dog(), Some(&[Link { source: 0, target: 9 }])).unwrap_err().to_string();
        assert_eq!(message, "alignments: line 1: 0-9 is outside the 3 source and 3 target words");
    }

    #[test]
    fn the_table_has_a_line_for_every_candidate() {
        let mut ranking = Ranking::new(true, None);
        ranking.add(&fixture::dog(), None).unwrap();
        let table = render(&ranking.finish());
        // Two layers of two heads and a mean each, and the mean of all; in both readings.
        assert_eq!(table.lines().count(), 1 + 2 * 7);
        let mut ranking = Ranking::new(true, HeadSet::new([0, 1]));
        ranking.add(&fixture::dog(), None).unwrap();
        let several = render(&ranking.finish());
        assert_eq!(several.lines().count(), 1 + 2 * 9);
        assert_eq!(several.lines().filter(|line| line.split('\t').nth(2) == Some("0,1")).count(), 4);
        assert!(table.lines().all(|line| line.split('\t').count() == 6));
    }
}
