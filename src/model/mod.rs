//! The models and the one trait search sees them through.

mod ensemble;
mod recurrent;
mod transformer;

pub use ensemble::{Average, Ensemble};
pub use transformer::EmbeddingNames;

use crate::Result;
use crate::checkpoint::Parameters;
use crate::compute::{Backend, BackendName, Candle, Compute, Kernels, LogSumExp, Scored, Workspace, log_sum_exp};
use crate::nn::Linear;
use crate::spec::{AlignmentHeads, Spec};

/// Builds the network of a spec from its tensors, on the backend that is asked for.
///
/// # Errors
/// If a tensor is missing or has another shape than the spec says, or the backend or device cannot be used.
pub fn load(spec: &Spec, parameters: &Parameters, compute: &Compute) -> Result<Box<dyn Seq2Seq>> {
    match compute.backend()? {
        BackendName::Kernels => load_on(spec, parameters, Kernels::new(compute.precision)?),
        BackendName::Candle => load_on(spec, parameters, Candle::new(compute)?),
    }
}

fn load_on<B: Backend + 'static>(spec: &Spec, parameters: &Parameters, backend: B) -> Result<Box<dyn Seq2Seq>> {
    Ok(match spec {
        Spec::Transformer(spec) => Box::new(transformer::Transformer::load(spec, parameters, backend)?),
        Spec::Recurrent(spec) => Box::new(recurrent::Recurrent::load(spec, parameters, backend)?),
    })
}

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

    /// The mean `[rows, columns]` of the heads that `alignment` names, over all of its layer if it names none, and over all layers and
    /// heads without it.
    pub fn mean(&self, alignment: Option<AlignmentHeads>) -> Vec<f32> {
        let layers = alignment.map_or(0..self.layers, |alignment| alignment.layer..alignment.layer + 1);
        let heads = alignment.and_then(|alignment| alignment.heads);
        let heads: Vec<usize> = heads.map_or_else(|| (0..self.heads).collect(), |heads| heads.iter().collect());
        let count = (layers.len() * heads.len()) as f32;
        let mut mean = vec![0.0; self.rows * self.columns];
        for (layer, &head) in layers.flat_map(|layer| heads.iter().map(move |head| (layer, head))) {
            mean.iter_mut().zip(self.matrix(layer, head)).for_each(|(mean, weight)| *mean += weight / count);
        }
        mean
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

/// What [`Decoder::top_k`] should return.
#[derive(Clone, Copy, Debug)]
pub struct TopK<'a> {
    /// How many candidates a row.
    pub k: usize,
    /// Tokens that must not be proposed, in increasing order.
    pub banned: &'a [u32],
    /// What the log-probabilities are normalised over.
    pub normalise: Normalise,
}

/// The sum a log-probability is taken against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalise {
    /// Every token, banned ones too: Hugging Face without `renormalize_logits`.
    #[default]
    All,
    /// Only the tokens that may be proposed: Hugging Face with `renormalize_logits`.
    Allowed,
    /// Nothing: candidates carry raw scores (enough for an argmax, and cheaper).
    Raw,
}

/// An encoder-decoder model. Sentences are kept ragged, never padded, so none can see another.
pub trait Seq2Seq: Send + Sync {
    /// Size of the target vocabulary, `V` below.
    fn target_vocabulary_size(&self) -> usize;

    /// Runs the encoder over `sources` (ids with sentence-end tokens, none empty) and prepares a decoder with one row
    /// for each source, in order.
    ///
    /// # Errors
    /// If the device cannot compute it, for want of memory for example. On the CPU kernels that never happens.
    fn start<'m>(
        &'m self,
        sources: &[&[u32]],
        record: Record,
        workspace: &mut Workspace,
    ) -> Result<Box<dyn Decoder + 'm>>;

    /// The same with a source for each member of an ensemble, `[sources][members]`; a single model takes the first.
    ///
    /// # Errors
    /// As [`Seq2Seq::start`].
    fn start_each<'m>(
        &'m self,
        sources: &[Vec<MemberSource>],
        record: Record,
        workspace: &mut Workspace,
    ) -> Result<Box<dyn Decoder + 'm>> {
        let first: Vec<&[u32]> = sources.iter().filter_map(|own| Some(own.first()?.ids)).collect();
        self.start(&first, record, workspace)
    }

    /// Whether further sentences can join those under way ([`Decoder::join`]).
    fn joins(&self) -> bool {
        false
    }
}

/// A source as one member of an ensemble gets it.
#[derive(Clone, Copy, Debug)]
pub struct MemberSource<'s> {
    /// Its ids, as of [`Seq2Seq::start`].
    pub ids: &'s [u32],
    /// What the member's decoder is fed first, if not what the search feeds the first.
    pub start: Option<u32>,
}

/// A decoder in the middle of generating: `rows` hypotheses, each over the encoder memory of its own sentence.
///
/// The encoder memory and everything computed from it is stored once per sentence, never once per row.
pub trait Decoder {
    /// Number of rows.
    fn rows(&self) -> usize;

    /// Feeds each row its next token, `[rows]`, and computes what follows it.
    ///
    /// # Errors
    /// As [`Seq2Seq::start`].
    fn step(&mut self, tokens: &[u32], workspace: &mut Workspace) -> Result<()>;

    /// Raw scores of every token after the last step into `logits`, resized to `[rows, V]`.
    ///
    /// # Errors
    /// As [`Seq2Seq::start`].
    fn logits(&mut self, logits: &mut Vec<f32>, workspace: &mut Workspace) -> Result<()>;

    /// The `request.k` best next tokens of every row after the last step, best first, ties by the lower token, into
    /// `candidates`, resized to `[rows, k]`. A row with fewer allowed tokens ends in candidates of `-inf`.
    ///
    /// # Errors
    /// As [`Seq2Seq::start`].
    fn top_k(&mut self, request: TopK<'_>, candidates: &mut Vec<Candidate>, workspace: &mut Workspace) -> Result<()> {
        let mut logits = Vec::new();
        self.logits(&mut logits, workspace)?;
        candidates.clear();
        if self.rows() == 0 {
            return Ok(());
        }
        let vocabulary = logits.len() / self.rows();
        for row in logits.chunks_exact_mut(vocabulary) {
            let all = if request.normalise == Normalise::All { log_sum_exp(row) } else { 0.0 };
            for &token in request.banned {
                row[token as usize] = f32::NEG_INFINITY;
            }
            let norm = if request.normalise == Normalise::Allowed { log_sum_exp(row) } else { all };
            let first = candidates.len();
            best_candidates(row, request.k, candidates);
            candidates[first..].iter_mut().for_each(|candidate| candidate.log_prob -= norm);
        }
        Ok(())
    }

    /// The encoder-decoder attention of `row` in the last step, `[layers, heads, source length]`, if recorded.
    fn cross_attention(&self, row: usize) -> Option<&[f32]>;

    /// The masked self-attention of `row` in the last step, `[layers, heads, steps so far]`, if recorded.
    fn self_attention(&self, row: usize) -> Option<&[f32]>;

    /// The encoder's self-attention over the `source`-th sentence, if recorded.
    fn encoder_attention(&self, source: usize) -> Option<&Attention>;

    /// Layers and heads of the attention this decoder reports.
    fn attention_shape(&self) -> (usize, usize);

    /// Begins further sentences: their rows follow those under way, and their numbers those of the sentences so far.
    ///
    /// # Errors
    /// As [`Seq2Seq::start`].
    ///
    /// # Panics
    /// If the model is none that [`Seq2Seq::joins`].
    fn join(&mut self, _sources: &[&[u32]], _workspace: &mut Workspace) -> Result<()> {
        unreachable!("nothing joins where `joins` is false")
    }

    /// Keeps the given rows in the given order; a row named several times is continued several ways, one not named
    /// is dropped.
    ///
    /// # Errors
    /// As [`Seq2Seq::start`].
    fn select(&mut self, rows: &[usize]) -> Result<()>;
}

/// Appends the `k` highest of `scores` `[V]` to `candidates`, best first, ties by the lower token; with fewer than `k`
/// tokens the rest are `-inf`.
pub fn best_candidates(scores: &[f32], k: usize, candidates: &mut Vec<Candidate>) {
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    let compare = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
    if k < order.len() {
        order.select_nth_unstable_by(k, compare);
        order.truncate(k);
    }
    order.sort_unstable_by(compare);
    candidates.extend(order.iter().map(|&token| Candidate { token, log_prob: scores[token as usize] }));
    candidates.extend((order.len()..k).map(|_| Candidate { token: 0, log_prob: f32::NEG_INFINITY }));
}

/// Scratch of [`Proposer::top_k`].
#[derive(Debug, Default)]
struct Proposer {
    best: Vec<Scored>,
    log_sum_exp: Vec<f32>,
}

impl Proposer {
    /// [`Decoder::top_k`] of the output layer over `hidden` `[rows, inputs]`, without computing all scores of a row at once.
    fn top_k<B: Backend>(
        &mut self,
        backend: &B,
        output: &Linear<B>,
        hidden: &B::Rows,
        request: TopK<'_>,
        candidates: &mut Vec<Candidate>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let k = request.k.min(output.outputs(backend));
        let normalise = match request.normalise {
            Normalise::All => LogSumExp::All,
            Normalise::Allowed => LogSumExp::Allowed,
            Normalise::Raw => LogSumExp::None,
        };
        let Self { best, log_sum_exp } = self;
        output.top_k(backend, workspace, hidden, k, request.banned, normalise, best, log_sum_exp)?;
        candidates.clear();
        for (row, best) in self.best.chunks_exact(k).enumerate() {
            let norm = self.log_sum_exp.get(row).copied().unwrap_or(0.0);
            candidates.extend(best.iter().map(|best| Candidate { token: best.token, log_prob: best.value - norm }));
            candidates.extend((k..request.k).map(|_| Candidate { token: 0, log_prob: f32::NEG_INFINITY }));
        }
        Ok(())
    }
}
