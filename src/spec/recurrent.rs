//! A recurrent encoder-decoder with attention, of any kind: every part of a step is a setting.
//!
//! ```text
//! x_t   = E(y_{t-1}) [; feed]                    feed: nothing, the last context, the last attentional state, a fixed summary
//! query = s_{t-1}, s_t, or a state between       Query
//! e_i   = score(query, H_i)                      Score
//! α     = softmax(e) over what is in reach       Reach
//! c     = Σ α_i V_i, or one V_i                  Choice
//! s_t   = cell(x_t [; c], s_{t-1})               Cell
//! h̃     = f(W [s; c; …])                         Hidden, or nothing
//! logits = W_o h̃ + b                             Output
//! ```
//!
//! # Names of the tensors
//!
//! Shapes are `[outputs, inputs]`. A bias is read where it is stored, unless [`Recurrent::bias`] asks for all of them.
//! `N` counts layers from 0. With `G` the gates of a cell (1, 3, 4: [`Cell::gates`]) and `u` its width:
//!
//! | tensor | shape | read where |
//! |---|---|---|
//! | `encoder.embedding.weight` | `[source_vocabulary, source_embedding]` | always |
//! | `encoder.rnn.weight_ih_lN`, `weight_hh_lN`, `bias_ih_lN`, `bias_hh_lN` | `[G·u, inputs]`, `[G·u, u]`, `[G·u]` | always; with `_reverse` after it for the backward direction |
//! | `encoder.rnn.weight_hh_lN_cellJ`, `bias_ih_…`, `bias_hh_…` | `[G·u, u]`, `[G·u]` | `J` from 2 on: transitions ([`Layers::transitions`]), before `_reverse` |
//! | `encoder.fc.{weight,bias}` | `[decoder width, …]` | [`Start::bridge`]; per layer `encoder.fc_lN.…` |
//! | `encoder.fc_cell.{weight,bias}` | likewise | the bridge of an LSTM's cell state, where it is [`CellStart::Own`]; per layer `encoder.fc_cell_lN.…` |
//! | `decoder.embedding.weight` | `[target_vocabulary, target_embedding]` | always |
//! | `decoder.input_fc.{weight,bias}` | `[width, embedding + feed + context]` | [`InputLayer`] with a width |
//! | `decoder.rnn.…` | as `encoder.rnn.…` | always |
//! | `decoder.rnn.weight_ih_lN_cell2` | `[G·u, context]` | [`Query::BetweenCells`]: the second cell, which reads the context; transitions are then from `_cell3` on |
//! | `decoder.attention.query.{weight,bias}` | `[width, decoder width]` | [`Attention::query`] |
//! | `decoder.attention.key.{weight,bias}` | `[width, memory width]` | [`Attention::key`] |
//! | `decoder.attention.attn_fc.{weight,bias}` | `[width, decoder width + memory width]` | both in one, in place of `query` and `key`, where stored |
//! | `decoder.attention.value.{weight,bias}` | `[value width, memory width]` | [`Attention::value`] |
//! | `decoder.attention.output.{weight,bias}` | `[context width, value width]` | [`Attention::output`] |
//! | `decoder.attention.v_fc.weight` | `[1, width]` | [`Score::Additive`], head after head |
//! | `decoder.attention.scale` | `[1]` | [`Scale::Stored`], and `g` of a normalised additive score |
//! | `decoder.attention.coverage.weight` | `[width, 1]` | [`Attention::coverage`] |
//! | `decoder.attention.location.{weight,bias}` | `[positions, decoder width]` or `[positions, embedding + decoder width]` | [`Score::Location`] |
//! | `decoder.attention.position_fc.{weight,bias}`, `position_v.weight` | `[any, decoder width]`, `[1, any]` | [`Reach::LocalPredictive`] |
//! | `decoder.attention.N.…` | as above | in place of `decoder.attention.…`, with [`Attention::every_layer`] |
//! | `decoder.hidden_fc.{weight,bias}` | `[hidden width, Σ parts]` | [`Output::hidden`]; if it is stored apart, `decoder.hidden_fc_{state,context,embedding,summary}.{weight,bias}` `[hidden width, part]`, whose sum it is |
//! | `decoder.extra_fc.{weight,bias}` | `[extra, …]` | [`Output::extra`] |
//! | `decoder.fc_out.weight`, `decoder.fc_out.bias` | `[target_vocabulary, …]` | always; the weight not if [`Output::tied`] |

use serde::{Deserialize, Serialize};

use crate::compute::Activation;

/// A recurrent encoder-decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Recurrent {
    /// Rows of the source embedding.
    pub source_vocabulary: usize,
    /// Rows of the target embedding.
    pub target_vocabulary: usize,
    /// Width of the source embeddings.
    pub source_embedding: usize,
    /// Width of the target embeddings.
    pub target_embedding: usize,
    /// Whether every bias must be stored; otherwise those are read that are.
    pub bias: bool,
    /// The encoder's layers.
    pub encoder: Layers,
    /// Which ways the encoder reads.
    pub directions: Directions,
    /// How the two directions become one memory.
    pub join: Join,
    /// The decoder's layers.
    pub decoder: Layers,
    /// The state a decoder starts with.
    pub start: Start,
    /// Whether the first target embedding is zero and no token's (Marian, Nematus).
    pub starts_from_zero: bool,
    /// What stands between the input of a step and the first cell.
    pub input: Option<InputLayer>,
    /// What is fed beside the target embedding, from the step before.
    pub feed: Feed,
    /// The attention, if there is any.
    pub attention: Option<Attention>,
    /// From the state to the scores of the vocabulary.
    pub output: Output,
}

/// Recurrent layers one above the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers {
    /// Their cells.
    pub cell: Cell,
    /// How many there are.
    pub layers: usize,
    /// Width of the state of each (and each direction).
    pub hidden: usize,
    /// The first layer, counted from 0, to whose output its input (without context or feed) is added; `None` for nowhere.
    pub residual_from: Option<usize>,
    /// Further cells of each layer, which read nothing but the state of the one before (Miceli Barone et al. 2017). Of a
    /// decoder whose query stands between two cells only the layers with a query have them.
    pub transitions: usize,
}

/// A recurrent cell. Rows of stored matrices are the gates in the given order, as in PyTorch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cell {
    /// `h' = tanh(W x + U h + b)` (Elman 1990).
    RnnTanh,
    /// `h' = max(W x + U h + b, 0)`.
    RnnRelu,
    /// r, z, n with `n = tanh(W x + b + r ⊙ (U h + c))`: PyTorch, cuDNN, Keras with `reset_after`.
    Gru,
    /// r, z, n with `n = tanh(W x + b + U (r ⊙ h) + c)` (Cho et al. 2014).
    GruResetBefore,
    /// i, f, g, o: `c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g)`, `h' = σ(o) ⊙ tanh(c')` (Hochreiter and Schmidhuber 1997; Gers et al. 2000).
    Lstm,
}

impl Cell {
    /// Blocks of rows in its matrices.
    pub fn gates(self) -> usize {
        match self {
            Self::RnnTanh | Self::RnnRelu => 1,
            Self::Gru | Self::GruResetBefore => 3,
            Self::Lstm => 4,
        }
    }
}

/// Which ways an encoder reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Directions {
    /// From the first token to the last.
    Forward,
    /// Both ways in every layer, and each layer reads what the one below made of both (PyTorch's `bidirectional`).
    EachLayer,
    /// Two towers, one each way, that meet at the top (Marian's `bidirectional`).
    Towers,
    /// Both ways in the first layer, forward in those above (GNMT, Wu et al. 2016; Marian's `bi-unidirectional`).
    FirstLayer,
}

/// How forward and backward states become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Join {
    /// `[forward; backward]`.
    Concatenated,
    /// `forward + backward`.
    Summed,
}

/// The state a decoder starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// What it is made from.
    pub from: StartFrom,
    /// Whether of a bidirectional encoder only the forward direction's last state is taken; else both are, joined as
    /// [`Recurrent::join`] says.
    pub forward_only: bool,
    /// What is made of it; `None` for a copy.
    pub bridge: Option<Bridge>,
    /// The cell state of an LSTM.
    pub cell: CellStart,
}

/// What a decoder's first state is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartFrom {
    /// Zeros.
    Zero,
    /// For each layer of the decoder the last states of that layer of the encoder.
    EachLayer,
    /// For every layer of the decoder the last states of the encoder's top layer.
    TopLayer,
    /// For every layer of the decoder the mean of the memory over all positions (Sennrich et al. 2017: Nematus, Marian).
    Mean,
}

/// From the encoder's states to the decoder's: `f(W h + b)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// `f`.
    pub activation: Activation,
    /// How it is laid over the states.
    pub form: BridgeForm,
}

/// How a bridge is laid over the states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BridgeForm {
    /// One bridge, over the state of each layer.
    Shared,
    /// One bridge for each layer of the decoder.
    PerLayer,
    /// OpenNMT-py's: a sentence's last states laid end to end, `[layers · directions · hidden]` (layer by layer, forward
    /// before backward), are cut into rows of `layers · hidden`, and each row goes through one square matrix.
    Viewed,
}

/// The cell state an LSTM decoder starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CellStart {
    /// Made of the encoder's cell states in the way the state is made of its states.
    Own,
    /// The decoder's first state (JoeyNMT, Marian).
    State,
    /// Zeros.
    Zero,
}

/// A layer between the input of a step and the first cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputLayer {
    /// Its width; `None` if there is no matrix and only the activation is applied.
    pub width: Option<usize>,
    /// Its non-linearity.
    pub activation: Activation,
}

/// What is fed to the first cell beside the target embedding. Before the first step it is zero, save a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feed {
    /// Nothing.
    Nothing,
    /// The context of the step before.
    Context,
    /// The attentional state h̃ of the step before ([`Output::hidden`]; Luong et al. 2015, section 3.3, input feeding).
    Attentional,
    /// The top layer's state of the step before: what OpenNMT-py and fairseq feed where there is no attention.
    State,
    /// The last states of the encoder's top layer, the same in every step (Cho et al. 2014).
    Summary,
}

/// Where in a step the query stands, and where the context goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Query {
    /// The top layer's state of the step before; the first layer reads `[x; c]` (Bahdanau et al. 2015).
    Before,
    /// The top layer's new state; no cell reads the context, save by [`Feed`] (Luong et al. 2015).
    After,
    /// Within the first layer: one cell reads `x`, its state is the query, a second cell goes on from it and reads `c`
    /// (Sennrich et al. 2017: Nematus).
    BetweenCells,
    /// The new state of the first layer; all layers above read `[h; c]` (Wu et al. 2016: GNMT).
    BetweenLayers,
}

/// Attention over the encoder's memory `H`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// Where in a step the query stands.
    pub query_place: Query,
    /// What a query and a key are compared by.
    pub score: Score,
    /// Which positions are in reach.
    pub reach: Reach,
    /// What is made of the probabilities.
    pub choice: Choice,
    /// Heads: queries, keys and values are cut into as many parts, each with weights of its own.
    pub heads: usize,
    /// Width of queries and keys, all heads together.
    pub width: usize,
    /// Whether the query is projected; else it is the decoder's state.
    pub query: bool,
    /// Whether the keys are projected; else they are the memory.
    pub key: bool,
    /// Width of the projected values, all heads together; `None` if they are the memory.
    pub value: Option<usize>,
    /// Width of the projected context; `None` if it is what is seen of the values.
    pub output: Option<usize>,
    /// Whether an additive score knows how much a position was attended to so far: `+ w Σ α_{t'}` beside query and key (See,
    /// Liu and Manning 2017).
    pub coverage: bool,
    /// Whether every layer of the decoder has an attention of its own, as if it were the only one: its query is that layer's
    /// state and the layer above reads `[h; c]` (with [`Query::Before`] each layer its own context instead). The context of the
    /// output is that of the top layer. Else there is one.
    pub every_layer: bool,
}

/// What a query `q` and a key `k` are compared by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Score {
    /// `scale · q · k`: dot (1), scaled dot (1/√width); general if a projection makes one of them (Luong et al. 2015, equation 8).
    Dot {
        /// The factor.
        scale: Scale,
    },
    /// `v · tanh(q + k)` (Bahdanau et al. 2015); the concat of Luong et al. is the same, its matrix cut in two.
    Additive {
        /// Whether `v` is replaced by `g v / ‖v‖` (Salimans and Kingma 2016); with heads, the norm is that of the whole.
        normalised: bool,
    },
    /// `β · q · k / (‖q‖ ‖k‖)` (Graves, Wayne and Danihelka 2014).
    Cosine {
        /// β.
        scale: Scale,
    },
    /// Row i of `W q + b` (Luong et al. 2015, equation 9); there are no keys.
    Location {
        /// Rows of `W`: positions there are scores for.
        positions: usize,
        /// Whether the query is `[E(y_{t-1}); s]` and no state alone.
        embedding: bool,
        /// Whether the softmax goes over all positions, those beyond the sentence too, where the memory is zero (the older
        /// PyTorch tutorial).
        beyond: bool,
    },
}

/// A factor of scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// This number.
    Fixed(f32),
    /// The tensor `scale`.
    Stored,
}

/// Which positions a query can attend to. A window holds the positions within `half` of its centre, those there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of the sentence.
    Global,
    /// A window whose centre is the number of the step, from 0, and stays at the sentence's last position (Luong et al.
    /// 2015: local-m).
    LocalMonotone {
        /// D.
        half: usize,
    },
    /// A window around `p = S σ(v · tanh(W s + b))`, `S` the source's length and `s` the state that makes the query; α is
    /// multiplied by `exp(−(i − p)² / (2 (D/2)²))` and not made to sum to 1 again (Luong et al. 2015: local-p). Positions
    /// count from 0.
    LocalPredictive {
        /// D.
        half: usize,
    },
}

/// What is made of the probabilities α.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// `Σ α_i V_i`.
    Soft,
    /// The value of the likeliest position, the first of equals (Xu et al. 2015: hard attention).
    Argmax,
    /// The value of a position drawn with the probabilities α, for each head; the draws depend on the seed, the sentence, the
    /// step and the tokens so far alone.
    Sampled {
        /// Makes the draws repeatable.
        seed: u64,
    },
}

/// From the decoder's state to scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// What the first layer reads, in order.
    pub parts: Vec<Part>,
    /// A layer between: Luong's attentional state (tanh over `[c; s]`), the deep output of Nematus (tanh over `[E; s; c]`).
    pub hidden: Option<Hidden>,
    /// Width of one more layer without a non-linearity, if there is one (fairseq's `additional_fc`).
    pub extra: Option<usize>,
    /// Whether the output matrix is the target embedding.
    pub tied: bool,
}

/// What the output reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// `s_t`, the top layer's new state.
    State,
    /// The context.
    Context,
    /// `E(y_{t-1})`.
    Embedding,
    /// The summary of [`Feed::Summary`].
    Summary,
}

impl Part {
    /// Its name in a configuration and in tensors' names.
    pub fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Context => "context",
            Self::Embedding => "embedding",
            Self::Summary => "summary",
        }
    }
}

/// A layer between the decoder's state and the output matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// Its width.
    pub width: usize,
    /// Its non-linearity.
    pub activation: Activation,
}
