//! From everything recorded to the matrices a person asked for.
//!
//! The order is fixed: layers and heads are chosen, the sentence end is masked, then pieces become words. Every step
//! keeps rows summing to 1.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::map::{AttentionMap, Kind};
use crate::spec::{AlignmentHeads, HeadSet};
use crate::text::Word;
use crate::{Error, Result};

/// Which layers to show. Layers are counted from 0, the one nearest the embeddings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LayerChoice {
    /// One layer.
    Index(usize),
    /// Each layer in a matrix of its own.
    All,
    /// The mean over all layers.
    #[default]
    Mean,
    /// The last layer, the one nearest the output.
    Last,
}

/// Which heads to show. Heads are counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeadChoice {
    /// One head.
    Index(usize),
    /// Each head in a matrix of its own.
    All,
    /// The mean over some heads.
    Several(HeadSet),
    /// The mean over all heads.
    #[default]
    Mean,
    /// The largest weight of any head, every row then scaled to sum to 1 again.
    Max,
}

impl FromStr for LayerChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "all" => Ok(Self::All),
            "mean" => Ok(Self::Mean),
            "last" => Ok(Self::Last),
            _ => match text.parse() {
                Ok(index) => Ok(Self::Index(index)),
                Err(_) => Err(Error::Usage(format!("`{text}` is no layer: use a number from 0, all, mean or last"))),
            },
        }
    }
}

impl FromStr for HeadChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "all" => Ok(Self::All),
            "mean" => Ok(Self::Mean),
            "max" => Ok(Self::Max),
            _ => {
                let heads = text.split(',').map(|head| head.parse().ok()).collect::<Option<Vec<usize>>>();
                match heads.as_deref() {
                    Some(&[head]) => Ok(Self::Index(head)),
                    heads => heads.and_then(|heads| HeadSet::new(heads.iter().copied())).map(Self::Several).ok_or_else(|| {
                        Error::Usage(format!(
                            "`{text}` is no head: use a number from 0, several with commas between them for their mean, all, mean \
                             or max"
                        ))
                    }),
                }
            }
        }
    }
}

impl From<Option<HeadSet>> for HeadChoice {
    /// The mean of these heads, of all where none are named.
    fn from(heads: Option<HeadSet>) -> Self {
        match heads.map(|heads| (heads, heads.single())) {
            None => Self::Mean,
            Some((_, Some(head))) => Self::Index(head),
            Some((heads, None)) => Self::Several(heads),
        }
    }
}

/// Which target token a decoder row belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlignOn {
    /// The token the step predicted: row `t` holds the weights used while predicting token `t`. The usual reading.
    #[default]
    Output,
    /// The token the step was fed: row `t` holds the weights of the step that read token `t`, one step later. The first
    /// step (which reads the start token) and the row of the sentence end (which is never read) fall away.
    Input,
}

impl AlignOn {
    /// The name used on the command line and in every output format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Input => "input",
        }
    }
}

impl FromStr for AlignOn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "output" => Ok(Self::Output),
            "input" => Ok(Self::Input),
            _ => Err(Error::Usage(format!("`{text}` is no reading of the rows: use output or input"))),
        }
    }
}

/// What to show of a map. The default is the mean over all layers and heads, piece by piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Which layers.
    pub layer: LayerChoice,
    /// Which heads.
    pub head: HeadChoice,
    /// Merge pieces into words: the sum over a word's columns, the mean over its rows.
    pub words: bool,
    /// Leave out the column of the source's sentence end and scale the rest to sum to 1 again.
    pub mask_eos: bool,
    /// Which target token a row belongs to.
    pub align_on: AlignOn,
}

impl Selection {
    /// The layer and heads that align best, as the model says, or the mean of all.
    pub fn aligning(alignment: Option<AlignmentHeads>) -> Self {
        let choice = |own: AlignmentHeads| (LayerChoice::Index(own.layer), own.heads.into());
        let (layer, head) = alignment.map(choice).unwrap_or_default();
        Self { layer, head, ..Self::default() }
    }

    /// Checks that attention of `kind` with so many layers and heads offers what is selected, before there is any.
    ///
    /// # Errors
    /// If a layer or head is out of range (the message gives the range), or an option does not apply to this kind.
    pub fn check(&self, kind: Kind, layers: usize, heads: usize) -> Result<()> {
        if let LayerChoice::Index(index) = self.layer
            && index >= layers
        {
            return Err(out_of_range("layer", index, layers));
        }
        let last = match self.head {
            HeadChoice::Index(index) => Some(index),
            HeadChoice::Several(set) => set.iter().next_back(),
            _ => None,
        };
        if let Some(index) = last.filter(|&index| index >= heads) {
            return Err(out_of_range("head", index, heads));
        }
        if self.align_on == AlignOn::Input && kind == Kind::Encoder {
            return Err(Error::Usage("--align-on input is about decoder steps; the encoder has none".to_owned()));
        }
        if self.mask_eos && kind == Kind::Decoder {
            return Err(Error::Usage(
                "--mask-eos does not apply to decoder attention: the sentence end is never read there".to_owned(),
            ));
        }
        Ok(())
    }
}

/// The layer or head one matrix shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This one, counted from 0.
    Index(usize),
    /// The mean over some heads.
    Several(HeadSet),
    /// The mean over all.
    Mean,
    /// The largest of all.
    Max,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "{index}"),
            Self::Several(heads) => write!(f, "{heads}"),
            Self::Mean => f.write_str("mean"),
            Self::Max => f.write_str("max"),
        }
    }
}

impl serde::Serialize for Choice {
    /// A number where it is one layer or head, otherwise `"mean"`, `"max"` or the heads with commas between them.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Index(index) => serializer.serialize_u64(*index as u64),
            other => serializer.collect_str(other),
        }
    }
}

/// What the rows or the columns of a matrix stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Axis {
    /// The piece or word of each row or column.
    pub labels: Vec<String>,
    /// The same as a person reads it: what it adds to the text, with its real spaces; empty for a part of a character.
    pub texts: Vec<String>,
    /// Which of the sentence's words each belongs to; `None` for the sentence end and other special tokens.
    pub words: Vec<Option<usize>>,
    /// Which of them is the sentence end, if it is there.
    pub end: Option<usize>,
}

/// One matrix `[rows, columns]`, row-major; every row sums to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// The layer it shows.
    pub layer: Choice,
    /// The head it shows.
    pub head: Choice,
    /// The weights.
    pub weights: Vec<f32>,
}

/// The matrices selected from one map, with their common rows and columns.
#[derive(Clone, Debug)]
pub struct Selected<'m> {
    /// The map they were taken from.
    pub map: &'m AttentionMap,
    /// How they were selected.
    pub selection: Selection,
    /// What the rows stand for.
    pub rows: Axis,
    /// What the columns stand for.
    pub columns: Axis,
    /// Layer by layer, head by head.
    pub matrices: Vec<Matrix>,
}

impl Selected<'_> {
    /// `pieces` or `words`, as every output format calls it.
    pub fn unit(&self) -> &'static str {
        if self.selection.words { "words" } else { "pieces" }
    }

    /// `kept` or `masked`: what happened to the column of the sentence end.
    pub fn eos(&self) -> &'static str {
        if self.selection.mask_eos { "masked" } else { "kept" }
    }
}

impl AttentionMap {
    /// Checks the map and takes from it what `selection` asks for.
    ///
    /// # Errors
    /// If the map is defective (see [`AttentionMap::check`]), a layer or head is out of range, or an option does not
    /// apply to this kind of attention.
    pub fn select(&self, selection: &Selection) -> Result<Selected<'_>> {
        selection.check(self.kind, self.attention.layers, self.attention.heads)?;
        self.check()?;
        let mut matrices = self.reduce(selection);
        let mut rows = self.rows();
        let mut columns = self.columns();
        if selection.align_on == AlignOn::Input {
            let width = columns.len();
            for matrix in &mut matrices {
                matrix.weights.drain(..width.min(matrix.weights.len()));
            }
            rows.truncate(rows.len().saturating_sub(1));
        }
        // A source without a sentence end has nothing to mask.
        if selection.mask_eos
            && let Some(end) = columns.end
        {
            for matrix in &mut matrices {
                matrix.weights = without_column(&matrix.weights, columns.len(), end);
            }
            columns.remove(end);
        }
        let (rows, columns) = if selection.words {
            let (row_groups, column_groups) = (rows.groups(), columns.groups());
            for matrix in &mut matrices {
                matrix.weights = merge(&matrix.weights, columns.len(), &row_groups, &column_groups);
            }
            (self.merged(rows, &row_groups, true), self.merged(columns, &column_groups, false))
        } else {
            (rows, columns)
        };
        Ok(Selected { map: self, selection: *selection, rows, columns, matrices })
    }

    /// The matrices of the chosen layers and heads, over all pieces.
    fn reduce(&self, selection: &Selection) -> Vec<Matrix> {
        let attention = &self.attention;
        let (layers, heads) = (attention.layers, attention.heads);
        let single = |layer: usize| (Choice::Index(layer), layer..layer + 1);
        let layer_choices: Vec<(Choice, Range<usize>)> = match selection.layer {
            LayerChoice::Index(index) => vec![single(index)],
            LayerChoice::Last => vec![single(layers - 1)],
            LayerChoice::All => (0..layers).map(single).collect(),
            LayerChoice::Mean => vec![(Choice::Mean, 0..layers)],
        };
        let head_choices: Vec<Choice> = match selection.head {
            HeadChoice::Index(index) => vec![Choice::Index(index)],
            HeadChoice::All => (0..heads).map(Choice::Index).collect(),
            HeadChoice::Several(heads) => vec![Choice::Several(heads)],
            HeadChoice::Mean => vec![Choice::Mean],
            HeadChoice::Max => vec![Choice::Max],
        };
        let mut matrices = Vec::with_capacity(layer_choices.len() * head_choices.len());
        for (layer, range) in layer_choices {
            for &head in &head_choices {
                let of_layers: Vec<Vec<f32>> = range.clone().map(|layer| self.heads_of(layer, head)).collect();
                matrices.push(Matrix { layer, head, weights: mean(of_layers) });
            }
        }
        matrices
    }

    /// One layer's chosen head, or its heads reduced to one.
    fn heads_of(&self, layer: usize, head: Choice) -> Vec<f32> {
        let matrix = |head| self.attention.matrix(layer, head).to_vec();
        match head {
            Choice::Index(head) => matrix(head),
            Choice::Several(heads) => mean(heads.iter().map(matrix).collect()),
            Choice::Mean => mean((0..self.attention.heads).map(matrix).collect()),
            Choice::Max => {
                let mut largest = matrix(0);
                for head in 1..self.attention.heads {
                    for (kept, &weight) in largest.iter_mut().zip(self.attention.matrix(layer, head)) {
                        *kept = kept.max(weight);
                    }
                }
                largest.chunks_exact_mut(self.attention.columns).for_each(normalise);
                largest
            }
        }
    }

    /// What the rows of the recorded weights stand for.
    fn rows(&self) -> Axis {
        match self.kind {
            Kind::Encoder => self.source_axis(),
            Kind::Cross | Kind::Decoder => self.target_axis(),
        }
    }

    /// What the columns of the recorded weights stand for.
    fn columns(&self) -> Axis {
        match self.kind {
            Kind::Cross | Kind::Encoder => self.source_axis(),
            Kind::Decoder => {
                // The tokens fed in: the start token, then every target piece but the last.
                let mut axis = self.target_axis();
                axis.truncate(axis.len().saturating_sub(1));
                axis.labels.insert(0, self.start_piece.clone());
                axis.texts.insert(0, self.start_piece.clone());
                axis.words.insert(0, None);
                axis
            }
        }
    }

    fn source_axis(&self) -> Axis {
        Axis::of(&self.source_pieces, &self.source_texts, &self.source_words, &self.end_piece)
    }

    fn target_axis(&self) -> Axis {
        Axis::of(&self.target_pieces, &self.target_texts, &self.target_words, &self.end_piece)
    }

    /// The axis of word groups over a piece axis.
    fn merged(&self, pieces: Axis, groups: &[Range<usize>], is_row: bool) -> Axis {
        let of_source = self.kind == Kind::Encoder || (self.kind == Kind::Cross && !is_row);
        let words = if of_source { &self.source_words } else { &self.target_words };
        let label = |group: &Range<usize>| match pieces.words[group.start] {
            Some(word) => words[word].text.clone(),
            None => pieces.labels[group.start].clone(),
        };
        let labels: Vec<String> = groups.iter().map(label).collect();
        Axis {
            texts: labels.clone(),
            labels,
            words: groups.iter().map(|group| pieces.words[group.start]).collect(),
            end: pieces.end.and_then(|end| groups.iter().position(|group| group.start == end)),
        }
    }
}

impl Axis {
    pub(super) fn of(pieces: &[String], texts: &[String], words: &[Word], end_piece: &str) -> Self {
        let mut of_word = vec![None; pieces.len()];
        for (number, word) in words.iter().enumerate() {
            of_word[word.pieces.clone()].fill(Some(number));
        }
        let ends = pieces.last().is_some_and(|last| last == end_piece) && of_word.last() == Some(&None);
        let spaced = |piece: &String| piece.replace('\u{2581}', " ");
        let texts = if texts.len() == pieces.len() { texts.to_vec() } else { pieces.iter().map(spaced).collect() };
        Self { labels: pieces.to_vec(), texts, words: of_word, end: ends.then(|| pieces.len() - 1) }
    }

    /// Number of rows or columns.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    fn truncate(&mut self, len: usize) {
        self.labels.truncate(len);
        self.texts.truncate(len);
        self.words.truncate(len);
        self.end = self.end.filter(|&end| end < len);
    }

    fn remove(&mut self, position: usize) {
        self.labels.remove(position);
        self.texts.remove(position);
        self.words.remove(position);
        self.end = self.end.filter(|&end| end != position);
    }

    /// Runs of pieces that belong to one word; a piece outside every word is a run of its own.
    fn groups(&self) -> Vec<Range<usize>> {
        let mut groups: Vec<Range<usize>> = Vec::new();
        for position in 0..self.len() {
            match groups.last_mut() {
                Some(group) if self.words[position].is_some() && self.words[group.start] == self.words[position] => {
                    group.end = position + 1;
                }
                _ => groups.push(position..position + 1),
            }
        }
        groups
    }
}

fn out_of_range(what: &str, index: usize, count: usize) -> Error {
    let range = if count == 1 { "there is only 0".to_owned() } else { format!("this model has 0 to {}", count - 1) };
    Error::Usage(format!("{what} {index} does not exist: {range}"))
}

/// The mean of equally shaped matrices.
fn mean(mut matrices: Vec<Vec<f32>>) -> Vec<f32> {
    let count = matrices.len() as f32;
    let Some(mut sum) = matrices.pop() else { return Vec::new() };
    if matrices.is_empty() {
        return sum;
    }
    for matrix in &matrices {
        for (total, weight) in sum.iter_mut().zip(matrix) {
            *total += weight;
        }
    }
    sum.iter_mut().for_each(|total| *total /= count);
    sum
}

/// Scales a row to sum to 1; one without any weight becomes uniform.
fn normalise(row: &mut [f32]) {
    let sum: f32 = row.iter().sum();
    if sum > 0.0 {
        row.iter_mut().for_each(|weight| *weight /= sum);
    } else {
        let even = 1.0 / row.len() as f32;
        row.fill(even);
    }
}

/// A matrix without one of its columns, each row scaled to sum to 1 again.
fn without_column(weights: &[f32], columns: usize, column: usize) -> Vec<f32> {
    let mut kept = Vec::with_capacity(weights.len() / columns * (columns - 1));
    for row in weights.chunks_exact(columns) {
        let start = kept.len();
        kept.extend(row.iter().enumerate().filter(|&(position, _)| position != column).map(|(_, weight)| weight));
        normalise(&mut kept[start..]);
    }
    kept
}

/// Sums the columns of each column group and averages the rows of each row group.
fn merge(weights: &[f32], columns: usize, row_groups: &[Range<usize>], column_groups: &[Range<usize>]) -> Vec<f32> {
    let mut merged = Vec::with_capacity(row_groups.len() * column_groups.len());
    for rows in row_groups {
        for group in column_groups {
            let total: f32 = rows.clone().map(|row| weights[row * columns..][group.clone()].iter().sum::<f32>()).sum();
            merged.push(total / rows.len() as f32);
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::fixture;

    fn select(map: &AttentionMap, selection: Selection) -> Selected<'_> {
        let selected = map.select(&selection).unwrap();
        for matrix in &selected.matrices {
            assert_eq!(matrix.weights.len(), selected.rows.len() * selected.columns.len());
            for row in matrix.weights.chunks_exact(selected.columns.len()) {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{row:?}");
            }
        }
        selected
    }

    fn usage(map: &AttentionMap, selection: Selection) -> String {
        match map.select(&selection) {
            Err(Error::Usage(message)) => message,
            other => panic!("no usage error: {other:?}"),
        }
    }

    const FIRST: Selection = Selection {
        layer: LayerChoice::Index(0),
        head: HeadChoice::Index(0),
        words: false,
        mask_eos: false,
        align_on: AlignOn::Output,
    };

    #[test]
    fn one_layer_and_head_is_the_recorded_matrix() {
        let map = fixture::dog();
        let selected = select(&map, FIRST);
        assert_eq!(selected.matrices[0].weights, map.attention.matrix(0, 0));
        assert_eq!(selected.rows.labels, ["▁A", "▁dog", "▁run", "s.", "</s>"]);
        assert_eq!(selected.columns.labels, ["▁Ein", "▁Hu", "nd", "▁läu", "ft.", "</s>"]);
    }

    #[test]
    fn all_gives_every_layer_and_head_in_order() {
        let map = fixture::dog();
        let selected = select(&map, Selection { layer: LayerChoice::All, head: HeadChoice::All, ..FIRST });
        let order: Vec<_> = selected.matrices.iter().map(|m| (m.layer, m.head)).collect();
        let index = Choice::Index;
        assert_eq!(order, [(index(0), index(0)), (index(0), index(1)), (index(1), index(0)), (index(1), index(1))]);
    }

    #[test]
    fn several_heads_are_averaged_and_named() {
        let map = fixture::dog();
        let several: HeadChoice = "1,0,1".parse().unwrap();
        let selected = select(&map, Selection { head: several, ..FIRST });
        let mean = select(&map, Selection { head: HeadChoice::Mean, ..FIRST });
        assert_eq!(selected.matrices[0].weights, mean.matrices[0].weights);
        assert_eq!(selected.matrices[0].head.to_string(), "0,1");
        assert_eq!("1".parse::<HeadChoice>().unwrap(), HeadChoice::Index(1));
        assert!(usage(&map, Selection { head: "0,2".parse().unwrap(), ..FIRST }).contains("head 2 does not exist"));
        for none in ["0,", "0,x", "0,128", ""] {
            assert!(none.parse::<HeadChoice>().unwrap_err().to_string().contains("is no head"), "{none}");
        }
    }

    #[test]
    fn mean_averages_layers_and_heads() {
        let map = fixture::dog();
        let selected = select(&map, Selection { layer: LayerChoice::Mean, head: HeadChoice::Mean, ..FIRST });
        let expected = (0.7 + 1.0 / 6.0 + 1.0 / 6.0 + 0.0) / 4.0;
        assert!((selected.matrices[0].weights[0] - expected).abs() < 1e-6);
        assert_eq!(selected.matrices[0].layer, Choice::Mean);
    }

    #[test]
    fn max_takes_the_largest_head_and_renormalises() {
        let map = fixture::dog();
        let selected = select(&map, Selection { head: HeadChoice::Max, ..FIRST });
        let sixth = 1.0 / 6.0;
        assert!((selected.matrices[0].weights[0] - 0.7 / (0.7 + 5.0 * sixth)).abs() < 1e-6);
    }

    #[test]
    fn last_is_the_highest_layer() {
        let map = fixture::dog();
        let selected = select(&map, Selection { layer: LayerChoice::Last, head: HeadChoice::Index(1), ..FIRST });
        assert_eq!(selected.matrices[0].layer, Choice::Index(1));
        assert_eq!(selected.matrices[0].weights[5], 1.0);
    }

    #[test]
    fn words_sum_source_pieces_and_average_target_pieces() {
        let map = fixture::dog();
        let selected = select(&map, Selection { words: true, ..FIRST });
        assert_eq!(selected.rows.labels, ["A", "dog", "runs.", "</s>"]);
        assert_eq!(selected.columns.labels, ["Ein", "Hund", "läuft.", "</s>"]);
        // Row `dog` puts 0.7 + 0.06 on the two pieces of `Hund`; `runs.` is two rows with 0.76 on `läuft.` each.
        let expected = [0.06, 0.76, 0.12, 0.06, 0.06, 0.12, 0.76, 0.06];
        for (weight, expected) in selected.matrices[0].weights[4..].iter().zip(expected) {
            assert!((weight - expected).abs() < 1e-6);
        }
        assert_eq!((selected.rows.end, selected.columns.end), (Some(3), Some(3)));
    }

    #[test]
    fn masking_the_sentence_end_drops_its_column_and_renormalises() {
        let map = fixture::dog();
        let selected = select(&map, Selection { mask_eos: true, ..FIRST });
        assert_eq!(selected.columns.labels, ["▁Ein", "▁Hu", "nd", "▁läu", "ft."]);
        assert_eq!(selected.rows.len(), 5, "the target's sentence end stays");
        assert!((selected.matrices[0].weights[0] - 0.7 / 0.94).abs() < 1e-6);
        assert_eq!(selected.eos(), "masked");
    }

    #[test]
    fn a_row_that_saw_only_the_sentence_end_becomes_uniform_when_it_is_masked() {
        let map = fixture::dog();
        let selection = Selection { layer: LayerChoice::Index(1), head: HeadChoice::Index(1), mask_eos: true, ..FIRST };
        assert_eq!(select(&map, selection).matrices[0].weights[..5], [0.2; 5]);
    }

    #[test]
    fn aligning_on_the_input_shifts_by_one_step() {
        let map = fixture::dog();
        let selected = select(&map, Selection { align_on: AlignOn::Input, ..FIRST });
        assert_eq!(selected.rows.labels, ["▁A", "▁dog", "▁run", "s."]);
        // `▁A` is read by the second step, which looked at `▁Hu`.
        assert_eq!(selected.matrices[0].weights[..6], [0.06, 0.7, 0.06, 0.06, 0.06, 0.06]);
    }

    #[test]
    fn decoder_columns_are_the_tokens_fed_in() {
        let map = fixture::dog_decoder();
        let selected = select(&map, FIRST);
        assert_eq!(selected.columns.labels, ["<s>", "▁A", "▁dog", "▁run", "s."]);
        let selected = select(&map, Selection { words: true, ..FIRST });
        assert_eq!(selected.columns.labels, ["<s>", "A", "dog", "runs."]);
    }

    #[test]
    fn layers_and_heads_out_of_range_name_the_range() {
        let map = fixture::dog();
        let message = usage(&map, Selection { layer: LayerChoice::Index(2), ..FIRST });
        assert_eq!(message, "layer 2 does not exist: this model has 0 to 1");
        let message = usage(&map, Selection { head: HeadChoice::Index(7), ..FIRST });
        assert_eq!(message, "head 7 does not exist: this model has 0 to 1");
    }

    #[test]
    fn options_that_do_not_apply_are_refused() {
        let decoder = fixture::dog_decoder();
        assert!(usage(&decoder, Selection { mask_eos: true, ..FIRST }).contains("does not apply to decoder attention"));
        let encoder = AttentionMap { kind: Kind::Encoder, ..fixture::dog_decoder() };
        let encoder =
            AttentionMap { source_pieces: encoder.target_pieces.clone(), source_words: Vec::new(), ..encoder };
        assert!(usage(&encoder, Selection { align_on: AlignOn::Input, ..FIRST }).contains("--align-on input"));
    }

    #[test]
    fn a_truncated_target_has_no_sentence_end() {
        let mut map = fixture::dog();
        map.target_pieces.pop();
        map.attention.rows -= 1;
        let size = map.attention.rows * map.attention.columns;
        map.attention = crate::model::Attention {
            layers: 1,
            heads: 1,
            weights: map.attention.weights[..size].to_vec(),
            ..map.attention
        };
        assert_eq!(select(&map, FIRST).rows.end, None);
    }

    #[test]
    fn choices_parse_from_the_command_line() {
        assert_eq!("3".parse::<LayerChoice>().unwrap(), LayerChoice::Index(3));
        assert_eq!("last".parse::<LayerChoice>().unwrap(), LayerChoice::Last);
        assert_eq!("max".parse::<HeadChoice>().unwrap(), HeadChoice::Max);
        assert!("-1".parse::<LayerChoice>().unwrap_err().to_string().contains("number from 0"));
        assert!("last".parse::<HeadChoice>().is_err());
    }
}
