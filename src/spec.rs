//! What a network is made of, as plain data: the layouts fill it in, the models are built from it.

mod check;
pub mod recurrent;
mod widths;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use recurrent::Recurrent;

use crate::compute::{Activation, NormKind};

/// A network.
#[derive(Clone, Debug, PartialEq)]
pub enum Spec {
    /// A Transformer encoder-decoder (Vaswani et al. 2017).
    Transformer(Transformer),
    /// A recurrent encoder-decoder, with attention as a rule (Bahdanau, Cho and Bengio 2015; Luong, Pham and Manning 2015).
    Recurrent(Recurrent),
}

impl Spec {
    /// Sizes of the source and the target vocabulary: rows of their embeddings.
    pub fn vocabulary_sizes(&self) -> (usize, usize) {
        match self {
            Self::Transformer(spec) => (spec.source_vocabulary, spec.target_vocabulary),
            Self::Recurrent(spec) => (spec.source_vocabulary, spec.target_vocabulary),
        }
    }

    /// Layers and heads of the encoder-decoder attention.
    pub fn attention_shape(&self) -> (usize, usize) {
        match self {
            Self::Transformer(spec) => (spec.decoder.layers, spec.decoder.heads),
            Self::Recurrent(spec) => spec.attention_shape(),
        }
    }

    /// Tokens a position table has room for; `None` where any length can be computed.
    pub fn position_limit(&self) -> Option<usize> {
        match self {
            Self::Transformer(Transformer { positions: Positions::Learned { rows, .. }, .. }) => Some(*rows),
            Self::Recurrent(Recurrent { attention: Some(attention), .. }) => match attention.score {
                recurrent::Score::Location { positions, .. } => Some(positions),
                _ => None,
            },
            _ => None,
        }
    }
}

/// A Transformer encoder-decoder.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Transformer {
    /// Width of the residual stream.
    pub width: usize,
    /// The encoder's layers.
    pub encoder: Stack,
    /// The decoder's layers.
    pub decoder: Stack,
    /// The normalisation of every sublayer.
    pub norm: Norm,
    /// The non-linearity between the feed-forward layers.
    pub activation: Activation,
    /// Whether the feed-forward layer is gated: `W_2 (f(W_1 x) ⊙ W_g x)` (Shazeer 2020).
    pub gated: bool,
    /// What products of queries and keys are multiplied by; `None` for `1/√head_width`.
    pub attention_scale: Option<f32>,
    /// Whether every layer of attention and feed-forward has a bias; otherwise those have one that store it.
    pub bias: bool,
    /// What a decoder layer knows of the tokens before.
    pub past: Past,
    /// Whether the first vector the decoder is fed is zero and no token's.
    pub starts_from_zero: bool,
    /// What embeddings are multiplied by.
    pub embedding_scale: f32,
    /// Whether embeddings are normalised, positions included.
    pub embedding_norm: bool,
    /// Where a token stands.
    pub positions: Positions,
    /// What self-attention adds to its scores for the distance of key and query.
    pub relative_bias: Option<RelativeBias>,
    /// What the decoder's output is multiplied by before the output layer.
    pub output_scale: f32,
    /// Tokens the model was made for (`max_position_embeddings`); sinusoids extend beyond it.
    pub trained_length: Option<usize>,
    /// Rows of the source embedding.
    pub source_vocabulary: usize,
    /// Rows of the target embedding.
    pub target_vocabulary: usize,
}

impl Transformer {
    /// Whether these are sizes a network can have; the tensors are compared with them later.
    ///
    /// # Errors
    /// What is wrong, in a few words.
    pub fn check(&self) -> Result<(), String> {
        const LARGEST: usize = 1 << 24;
        let sizes = [
            ("width", self.width),
            ("source_vocabulary", self.source_vocabulary),
            ("target_vocabulary", self.target_vocabulary),
        ];
        let of_side = |side, stack: &Stack| {
            let Stack { layers, heads, head_width, inner, .. } = *stack;
            [("layers", layers), ("heads", heads), ("head_width", head_width), ("inner", inner)]
                .map(|(name, size)| (format!("{side}.{name}"), size))
        };
        let sizes = sizes.map(|(name, size)| (name.to_owned(), size)).into_iter();
        let mut sizes = sizes.chain(of_side("encoder", &self.encoder)).chain(of_side("decoder", &self.decoder));
        if let Some((name, size)) = sizes.find(|&(_, size)| size == 0 || size > LARGEST) {
            return Err(format!("{name} is {size}, which no network has"));
        }
        Ok(())
    }
}

/// The layers of one side of a Transformer.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Stack {
    /// Number of layers.
    pub layers: usize,
    /// Attention heads in each layer.
    pub heads: usize,
    /// Width of one head; `heads · head_width` need not be the model's width.
    pub head_width: usize,
    /// Width between the feed-forward layers.
    pub inner: usize,
    /// Normalisation before each sublayer (pre-norm) instead of after the residual sum (post-norm).
    pub norm_before: bool,
    /// One more normalisation after the last layer.
    pub final_norm: bool,
    /// What a residual is multiplied by before a sublayer's output is added (Wang et al. 2022); 1 as a rule.
    pub residual_weight: f32,
}

/// What a decoder layer knows of the tokens before, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Past {
    /// Masked self-attention.
    Attention,
    /// A simpler simple recurrent unit (Kim et al. 2019): `c = f ⊙ c + (1 − f) ⊙ W x` with `f = σ(W_f x + b_f)`, seen as
    /// `max(c, 0)`.
    Ssru,
    /// The mean of everything so far through layers and gates, those that are stored (Zhang, Xiong and Su 2018).
    Average {
        /// The non-linearity between the layers.
        activation: Activation,
    },
}

/// How rows are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Norm {
    /// Which normalisation.
    pub kind: NormKind,
    /// ε, under the root or beside it.
    pub epsilon: f32,
}

/// How a token's place in its sentence is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Positions {
    /// Sines and cosines, added to the embedding.
    Sinusoidal {
        /// How they follow one another.
        order: Order,
        /// The number of the first token.
        first_index: usize,
        /// ω.
        frequencies: Frequencies,
        /// A token that has no place and is not counted: padding that is written out, in fairseq's models.
        padding: Option<u32>,
    },
    /// A stored vector for each place, added to the embedding.
    Learned {
        /// Places there are.
        rows: usize,
        /// Rows of the stored table before that of the first token.
        offset: usize,
    },
    /// None.
    None,
}

/// Relative position bias of self-attention (Raffel et al. 2020, section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct RelativeBias {
    /// Kinds of distances that are told apart; at least 4.
    pub buckets: usize,
    /// The distance from which on all are of the last kind; more than half the buckets.
    pub max_distance: usize,
    /// Whether every layer has its own; else all have that of the first.
    pub every_layer: bool,
}

/// How sines and cosines follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Order {
    /// All sines, then all cosines.
    Halves,
    /// In turn.
    Interleaved,
}

/// The rule of the frequencies ω_k of sinusoidal positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Frequencies {
    /// `10000^(−2k/width)` (Vaswani et al. 2017).
    ByWidth,
    /// `10000^(−k/(width/2 − 1))`: tensor2tensor, fairseq, Marian. Of an odd width the last column is 0.
    ByLastIndex,
}

/// Which cross-attention describes word alignment best, as measured for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlignmentHeads {
    /// Decoder layer, counted from 0.
    pub layer: usize,
    /// The heads of that layer whose mean is taken, or `None` for all.
    pub heads: Option<HeadSet>,
}

/// One or more heads of a layer, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadSet(u128);

impl HeadSet {
    /// These heads; `None` if there is none of them, or one that is 128 or more.
    pub fn new(heads: impl IntoIterator<Item = usize>) -> Option<Self> {
        let bit = |head: usize| 1u128.checked_shl(u32::try_from(head).ok()?);
        let set = heads.into_iter().try_fold(0, |set, head| Some(set | bit(head)?))?;
        (set != 0).then_some(Self(set))
    }

    /// Its heads, in order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = usize> {
        (0..128).filter(move |head| self.0 >> head & 1 == 1)
    }

    /// Its head, if there is but one.
    pub fn single(self) -> Option<usize> {
        (self.0.count_ones() == 1).then(|| self.0.trailing_zeros() as usize)
    }
}

impl fmt::Display for HeadSet {
    /// With commas between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads: Vec<String> = self.iter().map(|head| head.to_string()).collect();
        f.write_str(&heads.join(","))
    }
}
