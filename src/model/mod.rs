//! The models and the one trait search sees them through.

pub mod config;
pub mod generation;

use crate::kernels::Workspace;

/// Which attention a pass keeps. Nothing is stored, and nothing allocated, for what is not asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Encoder-decoder attention of every decoder layer and head.
    pub cross: bool,
    /// Self-attention of every encoder layer and head.
    pub encoder: bool,
    /// Masked self-attention of every decoder layer and head.
    pub decoder: bool,
}

/// The attention of one kind over one sentence: weights `[layers, heads, rows, columns]`, row-major.
///
/// Cross-attention: rows are target steps (the sentence end included), columns source pieces (likewise).
/// Encoder attention: source by source. Decoder attention: target step by fed-in token, zero above the diagonal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attention {
    /// Number of layers.
    pub layers: usize,
    /// Number of heads in each layer.
    pub heads: usize,
    /// Number of queries.
    pub rows: usize,
    /// Number of keys.
    pub columns: usize,
    /// `[layers, heads, rows, columns]`; every row over the keys it may see sums to 1.
    pub weights: Vec<f32>,
}

impl Attention {
    /// The matrix `[rows, columns]` of one layer and head.
    pub fn matrix(&self, layer: usize, head: usize) -> &[f32] {
        let size = self.rows * self.columns;
        &self.weights[(layer * self.heads + head) * size..][..size]
    }
}

/// One proposed continuation of a decoder row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The proposed token.
    pub token: u32,
    /// Its log-probability given everything before it.
    pub log_prob: f32,
}

/// An encoder-decoder model. Sentences are kept ragged, never padded, so none can see another.
pub trait Seq2Seq: Send + Sync {
    /// Size of the target vocabulary, `V` below.
    fn target_vocabulary_size(&self) -> usize;

    /// Runs the encoder over `sources` (ids with sentence-end tokens, none empty) and prepares a decoder with one row
    /// for each source, in order.
    fn start<'m>(&'m self, sources: &[&[u32]], record: Record, workspace: &mut Workspace) -> Box<dyn Decoder + 'm>;
}

/// A decoder in the middle of generating: `rows` hypotheses, each over the encoder memory of its own sentence.
///
/// The encoder memory and everything computed from it is stored once per sentence, never once per row.
pub trait Decoder {
    /// Number of rows.
    fn rows(&self) -> usize;

    /// Feeds each row its next token, `[rows]`, and computes what follows it.
    fn step(&mut self, tokens: &[u32], workspace: &mut Workspace);

    /// Raw scores of every token after the last step into `logits`, resized to `[rows, V]`.
    fn logits(&mut self, logits: &mut Vec<f32>, workspace: &mut Workspace);

    /// The encoder-decoder attention of `row` in the last step, `[layers, heads, source length]`, if recorded.
    fn cross_attention(&self, row: usize) -> Option<&[f32]>;

    /// The masked self-attention of `row` in the last step, `[layers, heads, steps so far]`, if recorded.
    fn self_attention(&self, row: usize) -> Option<&[f32]>;

    /// The encoder's self-attention over the `source`-th sentence, if recorded.
    fn encoder_attention(&self, source: usize) -> Option<&Attention>;

    /// Layers and heads of the attention this decoder reports.
    fn attention_shape(&self) -> (usize, usize);

    /// Keeps the given rows in the given order; a row named several times is continued several ways, one not named
    /// is dropped. Nothing of the past is copied: rows point at their ancestors' entries.
    fn select(&mut self, rows: &[usize]);
}
