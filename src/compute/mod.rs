//! Where models are computed: the operations the model code is written in, once for every backend.
//!
//! A [`Backend`] works on *rows*: activations `[rows, width]`, where a row is a position of a sentence or a hypothesis.
//! Batches are ragged, the rows of one sentence following those of another; a backend that needs rectangles pads
//! inside, and nobody above knows. The cut is at the height of a linear layer, an attention or the gates of a recurrent
//! cell, so that the CPU kernels stay fused.
//!
//! - [`Kernels`] is thin, over [`crate::kernels`], and the only backend that promises the same bits for a sentence in
//!   any batch and on any number of threads.
//! - [`Candle`] computes with candle tensors and layers, on the processor or a GPU.

mod buffer;
mod candle;
mod cpu;
mod matrix;
pub mod profile;
mod slots;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use candle::Candle;
pub use cpu::Kernels;

pub use crate::kernels::{Activation, LogSumExp, Scored, StoredInt8, Workspace, log_sum_exp, softmax};
use crate::{Error, Result};

/// The arithmetic of the matrix products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats: the reference.
    #[default]
    F32,
    /// IEEE half precision, on GPUs.
    F16,
    /// The upper half of a 32-bit float, on GPUs.
    Bf16,
    /// 8-bit weights and activations with exact sums, on the CPU kernels.
    Int8,
    /// 16-bit weights and activations, each of two 8-bit digits, with exact sums, on the CPU kernels.
    Int16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
        })
    }
}

/// Which implementation of [`Backend`] computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendName {
    /// The kernels of this crate, on the CPU.
    #[default]
    Kernels,
    /// candle, on the CPU or a GPU.
    Candle,
}

impl fmt::Display for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernels => "kernels",
            Self::Candle => "candle",
        })
    }
}

/// What computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU, counted from 0.
    Cuda(usize),
    /// An Apple GPU, counted from 0.
    Metal(usize),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Metal(index) => write!(f, "metal:{index}"),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, index) = text.split_once(':').unwrap_or((text, "0"));
        let index = index.parse().map_err(|_| format!("{index:?} is no number of a device"))?;
        match kind {
            "cpu" if !text.contains(':') => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(index)),
            "metal" => Ok(Self::Metal(index)),
            _ => Err("devices are cpu, cuda, cuda:N, metal and metal:N".to_owned()),
        }
    }
}

/// How and where a model is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compute {
    /// The implementation; `None` for the kernels on the CPU and candle elsewhere.
    pub backend: Option<BackendName>,
    /// What computes.
    pub device: Device,
    /// The arithmetic.
    pub precision: Precision,
    /// Processor threads candle may use; 0 for all cores. (The kernels use those of their [`Workspace`].)
    pub threads: usize,
}

impl Compute {
    /// The CPU kernels in the given precision.
    pub fn kernels(precision: Precision) -> Self {
        Self { precision, ..Self::default() }
    }

    /// The implementation that is asked for.
    ///
    /// # Errors
    /// If the kernels are asked for on a GPU, which they do not know.
    pub fn backend(&self) -> Result<BackendName> {
        match (self.backend, self.device) {
            (Some(BackendName::Kernels), device) if device != Device::Cpu => {
                Err(Error::Usage(format!("the kernels compute on the CPU only; for {device} use --backend candle")))
            }
            (Some(backend), _) => Ok(backend),
            (None, Device::Cpu) => Ok(BackendName::Kernels),
            (None, _) => Ok(BackendName::Candle),
        }
    }

    /// What computes, for people: `AMX kernels, int8`; `candle on cuda:0, f16`.
    pub fn describe(&self) -> String {
        match self.backend() {
            Ok(BackendName::Candle) => format!("candle on {}, {}", self.device, self.precision),
            _ => format!("{} kernels, {}", crate::kernels::describe(), self.precision),
        }
    }
}

/// What [`Backend::attend`] compares a query with a key by.
#[derive(Debug)]
pub enum Score<'a, B: Backend> {
    /// `scale · q · k` for every head (Luong et al. 2015; Vaswani et al. 2017, equation 1).
    Dot {
        /// `1/√head_width` in a Transformer as a rule, 1 in others.
        scale: f32,
        /// What the distance of key and query does; with it, the rows of a sentence are its positions in order.
        relative: Relative<'a, B>,
    },
    /// `v · tanh(q + k)` (Bahdanau et al. 2015), with one head.
    Additive {
        /// `v`, `[width of queries and keys]`.
        energy: &'a B::Vector,
    },
}

/// What [`Backend::scores`] compares a query with a key by, for every head.
#[derive(Debug)]
pub enum Comparison<'a, B: Backend> {
    /// `q · k`.
    Dot,
    /// `q · k / (‖q‖ ‖k‖)`; no vector counts as shorter than 1e-8.
    Cosine,
    /// `v · tanh(q + k)`.
    Additive {
        /// `v`, `[width of queries and keys]`, head after head.
        energy: &'a B::Vector,
        /// What attention so far adds to the sum of query and key.
        coverage: Option<Coverage<'a, B>>,
    },
}

/// How much was attended to so far, for an additive score with one head (See, Liu and Manning 2017).
#[derive(Debug)]
pub struct Coverage<'a, B: Backend> {
    /// What one unit of attention adds, `[width of queries and keys]`.
    pub weight: &'a B::Vector,
    /// The sums so far, for each row as long as its sentence, laid end to end.
    pub sums: &'a [f32],
}

/// What the distance of key and query does in self-attention.
#[derive(Debug)]
pub enum Relative<'a, B: Backend> {
    /// Nothing.
    None,
    /// A number is added to the score.
    Bias(&'a RelativeBias<B>),
    /// A vector is added to the key and one to the value.
    Vectors(&'a RelativeVectors<B>),
}

impl<B: Backend> Clone for Relative<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: Backend> Copy for Relative<'_, B> {}

/// Vectors for how far a key stands from its query (Shaw, Uszkoreit and Vaswani 2018), the same for every head.
#[derive(Debug)]
pub struct RelativeVectors<B: Backend> {
    /// What is added to keys, `[(2·reach + 1) · head_width]`, from one `reach` places before the query on.
    pub keys: B::Vector,
    /// What is added to values, likewise.
    pub values: B::Vector,
    /// The largest distance with vectors of its own; keys further away have those of this one.
    pub reach: usize,
}

/// What self-attention adds to a score for how far the key stands from the query (Raffel et al. 2020, section 2.1).
#[derive(Debug)]
pub struct RelativeBias<B: Backend> {
    /// `[heads · (2·reach + 1)]`: for each head from a key `reach` places before its query to one `reach` places after it.
    pub values: B::Vector,
    /// The largest distance with a value of its own; keys further away get that of this one.
    pub reach: usize,
}

/// Which normalisation of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum NormKind {
    /// `(x − mean) / √(variance + ε) ⊙ weight + bias` (Ba et al. 2016).
    Layer,
    /// `x / √(mean(x²) + ε) ⊙ weight` (Zhang and Sennrich 2019).
    Rms,
    /// `(x − mean) / (σ + ε) ⊙ weight + bias` with the deviation of a sample, `σ² = Σ (x − mean)² / (width − 1)`: the
    /// Annotated Transformer.
    Deviation,
}

/// Takes over the attention weights of one row: its index and `[heads, keys]`.
pub type Recorder<'a> = &'a mut dyn FnMut(usize, &[f32]);

/// Takes rows of a matrix as they are read, a few at a time.
pub type RowSink<'a> = &'a mut dyn FnMut(&[f32]);

/// Reads the rows of a matrix from a given one on, as many as there is room for, `[any number, inputs]`.
pub type ReadRows = Box<dyn Fn(usize, &mut [f32]) -> Result<()> + Send + Sync>;

/// The operations of the models. Rows are row-major `[rows, width]`; `out` is overwritten, whatever it held.
///
/// # Errors
/// Every operation may fail where a device can, for want of memory above all; [`Kernels`] never does.
///
/// # Panics
/// If shapes do not fit, which is a defect of the model code.
pub trait Backend: fmt::Debug + Send + Sync + Sized {
    /// A weight matrix `[outputs, inputs]`, which may also be a table of vectors.
    type Matrix: fmt::Debug + Send + Sync;
    /// A weight vector.
    type Vector: fmt::Debug + Send + Sync;
    /// Activations `[rows, width]`. The default has no rows.
    type Rows: fmt::Debug + Default + Send + Sync;
    /// Keys and values of whole sentences, written once.
    type Memory: fmt::Debug;
    /// Keys and values of the tokens that each hypothesis has been fed, for all layers of a decoder.
    type Past: fmt::Debug;

    /// A matrix `[outputs, inputs]` of the rows that `read` hands on in order.
    fn matrix(
        &self,
        outputs: usize,
        inputs: usize,
        read: &mut dyn FnMut(RowSink<'_>) -> Result<()>,
    ) -> Result<Self::Matrix>;

    /// A matrix `[…, inputs]` of the given parts, one below the other, used where they lie; `None` if this backend computes
    /// in another precision, for which the values are to be read as any others.
    fn stored_int8(&self, _inputs: usize, _parts: &[StoredInt8]) -> Option<Self::Matrix> {
        None
    }

    /// The matrix of an output layer `[outputs, inputs]`, which may be a table of vectors, too, left where `read` finds its rows at any
    /// time; `None` if this backend wants them in memory.
    fn stored_rows(&self, _outputs: usize, _inputs: usize, _read: ReadRows) -> Option<Self::Matrix> {
        None
    }

    /// A vector.
    fn vector(&self, values: Vec<f32>) -> Result<Self::Vector>;

    /// Rows of the given values.
    fn rows(&self, values: &[f32], width: usize) -> Result<Self::Rows>;

    /// The values of rows, for whoever looks at them.
    fn values(&self, rows: &Self::Rows) -> Result<Vec<f32>>;

    /// Number of outputs of a matrix.
    fn outputs(&self, matrix: &Self::Matrix) -> usize;

    /// Number of inputs of a matrix.
    fn inputs(&self, matrix: &Self::Matrix) -> usize;

    /// `scale · table[token]` for each token, to which `add` adds what it wants: it gets the index of the row and the
    /// row.
    fn embed(
        &self,
        table: &Self::Matrix,
        scale: f32,
        tokens: &[u32],
        add: &mut dyn FnMut(usize, &mut [f32]),
        out: &mut Self::Rows,
    ) -> Result<()>;

    /// `activation(x Wᵀ + b)`, `x` `[rows, inputs]` to `[rows, outputs]`.
    fn linear(
        &self,
        workspace: &mut Workspace,
        x: &Self::Rows,
        matrix: &Self::Matrix,
        bias: Option<&Self::Vector>,
        activation: Activation,
        out: &mut Self::Rows,
    ) -> Result<()>;

    /// `x = norm(x + residual)`, or `norm(x)` without one. The bias of a [`NormKind::Rms`] is not looked at.
    fn norm(
        &self,
        kind: NormKind,
        epsilon: f32,
        weight: &Self::Vector,
        bias: &Self::Vector,
        residual: Option<&Self::Rows>,
        x: &mut Self::Rows,
    ) -> Result<()>;

    /// `x = activation(x)`.
    fn activate(&self, activation: Activation, x: &mut Self::Rows) -> Result<()>;

    /// The mean of the rows of each sentence, `[sentences, width]`.
    fn mean(&self, x: &Self::Rows, lengths: &[usize], out: &mut Self::Rows) -> Result<()>;

    /// `out = x`.
    fn copy(&self, x: &Self::Rows, out: &mut Self::Rows) -> Result<()>;

    /// `x += y`.
    fn add(&self, x: &mut Self::Rows, y: &Self::Rows) -> Result<()>;

    /// `x *= factor`.
    fn scale(&self, x: &mut Self::Rows, factor: f32) -> Result<()>;

    /// `x ⊙= y`.
    fn multiply(&self, x: &mut Self::Rows, y: &Self::Rows) -> Result<()>;

    /// The given columns of all parts side by side.
    fn concat(&self, parts: &[(&Self::Rows, Range<usize>)], out: &mut Self::Rows) -> Result<()>;

    /// Keeps the first rows.
    fn truncate(&self, x: &mut Self::Rows, rows: usize) -> Result<()>;

    /// The given rows of `x`, in the given order; a row may be named several times.
    fn gather(&self, x: &Self::Rows, rows: &[usize], out: &mut Self::Rows) -> Result<()>;

    /// Writes the rows of `x` `[rows, width]` into the given rows of `out`, from `column` on. `out` is first made
    /// `shape` `[rows, width]`, of zeros, if it has another.
    fn scatter(
        &self,
        x: &Self::Rows,
        rows: &[usize],
        column: usize,
        shape: (usize, usize),
        out: &mut Self::Rows,
    ) -> Result<()>;

    /// The end of a GRU step in PyTorch's form, for each row: `projected` and `recurrent` `[rows, 3·hidden]` (r, z, n)
    /// into `state` `[rows, hidden]`. The formula is at [`crate::spec::recurrent::Cell::Gru`].
    fn gru_gates(&self, projected: &Self::Rows, recurrent: &Self::Rows, state: &mut Self::Rows) -> Result<()>;

    /// The end of an LSTM step in PyTorch's form, for each row: `projected` and `recurrent` `[rows, 4·hidden]` (i, f, g, o) into
    /// `state` and `cell` `[rows, hidden]`. The formula is at [`crate::spec::recurrent::Cell::Lstm`].
    fn lstm_gates(
        &self,
        projected: &Self::Rows,
        recurrent: &Self::Rows,
        state: &mut Self::Rows,
        cell: &mut Self::Rows,
    ) -> Result<()>;

    /// A step of a simpler simple recurrent unit (Kim et al. 2019) for each row: with `x` and `g` side by side in `projected`
    /// `[rows, 2·width]` and `f = σ(g)`, `state = f ⊙ state + (1 − f) ⊙ x` `[rows, width]` and `out = max(state, 0)`. A state
    /// without rows is one of zeros.
    fn ssru(&self, projected: &Self::Rows, state: &mut Self::Rows, out: &mut Self::Rows) -> Result<()>;

    /// Adds `x` to the running sum of each row, and makes `mean` that of all `count` that were added. A sum without rows is
    /// one of zeros.
    fn running_mean(&self, x: &Self::Rows, count: usize, sum: &mut Self::Rows, mean: &mut Self::Rows) -> Result<()>;

    /// A memory for [`Score::Dot`]: the last `2·heads·head_width` columns of each row of `projected`
    /// `[Σ lengths, …]` are a key and then a value. `often` says that it will be read at every step of a search, and may
    /// be kept in fewer bytes.
    fn dot_memory(
        &self,
        heads: usize,
        head_width: usize,
        lengths: &[usize],
        projected: &Self::Rows,
        often: bool,
    ) -> Result<Self::Memory>;

    /// A memory for [`Score::Additive`], [`Backend::scores`] and [`Backend::weigh`]: `keys` `[Σ lengths, width of the query]`,
    /// `values` `[Σ lengths, any width]`.
    fn plain_memory(&self, lengths: &[usize], keys: Self::Rows, values: Self::Rows) -> Result<Self::Memory>;

    /// Attention of each row over the memory of its sentence: `α = softmax(score(q, K))`, `out = α V`, or
    /// `out = [beside; α V]` where there is something to put before it.
    ///
    /// `sentences` `[rows]` says which sentence each row belongs to; rows of one sentence follow one another. The queries
    /// are the first columns of `queries`. Each row's α is handed to `record`, if there is one.
    #[allow(clippy::too_many_arguments)]
    fn attend(
        &self,
        workspace: &mut Workspace,
        score: Score<'_, Self>,
        memory: &mut Self::Memory,
        sentences: &[usize],
        queries: &Self::Rows,
        beside: Option<&Self::Rows>,
        out: &mut Self::Rows,
        record: Option<Recorder<'_>>,
    ) -> Result<()>;

    /// Scores of each row's query over the memory of its sentence, on the host: `[heads, length]` for one row after the other.
    /// `sentences` as in [`Backend::attend`]; queries, and keys likewise, have heads side by side.
    fn scores(
        &self,
        comparison: Comparison<'_, Self>,
        heads: usize,
        memory: &mut Self::Memory,
        sentences: &[usize],
        queries: &Self::Rows,
        out: &mut Vec<f32>,
    ) -> Result<()>;

    /// Sums of the values of each row's sentence by weights that were made of [`Backend::scores`] and are laid out as they are:
    /// `out = α V`, or `out = [beside; α V]`.
    fn weigh(
        &self,
        weights: &[f32],
        heads: usize,
        memory: &mut Self::Memory,
        sentences: &[usize],
        beside: Option<&Self::Rows>,
        out: &mut Self::Rows,
    ) -> Result<()>;

    /// An empty past of `rows` hypotheses.
    fn past(&self, layers: usize, rows: usize, heads: usize, head_width: usize) -> Self::Past;

    /// Source tokens that an encoder works through at a time, about: where more only take more memory. Fewer than all need
    /// [`Self::join_memory`].
    const ENCODED_TOGETHER: usize = usize::MAX;

    /// Whether sentences can join others that are under way ([`Self::join_memory`], [`Self::join_past`]); pasts are of different
    /// lengths then.
    const JOINS: bool = false;

    /// Adds the sentences of `more` behind those of a memory.
    fn join_memory(&self, _memory: &mut Self::Memory, _more: Self::Memory) {
        unreachable!("nothing joins where `JOINS` is false");
    }

    /// Says that a memory is asked for no other sentences than `used` any more.
    fn forget(&self, _memory: &mut Self::Memory, _used: &[usize]) {}

    /// Adds `rows` hypotheses with nothing in their past behind the others.
    fn join_past(&self, _past: &mut Self::Past, _rows: usize) {
        unreachable!("nothing joins where `JOINS` is false");
    }

    /// Makes room for one more token in every hypothesis' past, before the layers of a step.
    fn advance(&self, past: &mut Self::Past);

    /// Masked self-attention of one layer: writes the keys and values of this step into the past and attends to all of
    /// it. `projected` `[rows, 3·heads·head_width]` holds query, key and value of each row.
    #[allow(clippy::too_many_arguments)]
    fn attend_past(
        &self,
        workspace: &mut Workspace,
        past: &mut Self::Past,
        layer: usize,
        scale: f32,
        relative: Relative<'_, Self>,
        projected: &Self::Rows,
        out: &mut Self::Rows,
        record: Option<Recorder<'_>>,
    ) -> Result<()>;

    /// Keeps the pasts of the given rows in the given order; a row may be named several times.
    fn select_past(&self, past: &mut Self::Past, rows: &[usize]) -> Result<()>;

    /// `x Wᵀ + b` on the host, into `logits`, resized to `[rows, outputs]`.
    fn logits(
        &self,
        workspace: &mut Workspace,
        x: &Self::Rows,
        matrix: &Self::Matrix,
        bias: Option<&Self::Vector>,
        logits: &mut Vec<f32>,
    ) -> Result<()>;

    /// The `k` best outputs of `x Wᵀ + b` for each row, best first, equal ones by the lower token, into `best`
    /// `[rows, k]`, and what their scores are normalised by into `log_sum_exp` `[rows]` (empty if not asked for). Tokens
    /// in `banned` are chosen only when no others are left.
    #[allow(clippy::too_many_arguments)]
    fn top_k(
        &self,
        workspace: &mut Workspace,
        x: &Self::Rows,
        matrix: &Self::Matrix,
        bias: Option<&Self::Vector>,
        k: usize,
        banned: &[u32],
        normalise: LogSumExp,
        best: &mut Vec<Scored>,
        log_sum_exp: &mut Vec<f32>,
    ) -> Result<()>;
}

/// Where each sentence lies among rows laid end to end.
pub fn spans(lengths: &[usize]) -> impl Iterator<Item = Range<usize>> {
    let mut end = 0;
    lengths.iter().map(move |&length| {
        end += length;
        end - length..end
    })
}
