//! What the layouts of training toolkits share: sizes come from the tensors, ids from their own lists of pieces.

use std::path::PathBuf;

use serde_json::Value;

use super::hugging_face;
use super::{EarlyStopping, GenerationConfig};
use crate::checkpoint::{Keys, ModelFiles, Parameters};
use crate::compute::{Activation, NormKind};
use crate::spec::{Frequencies, Norm, Order, Past, Positions, Stack, Transformer};
use crate::text::{Frame, Part, PieceList, Specials};
use crate::{Error, Result};

/// The ids of a toolkit's special tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens {
    pub begin: u32,
    pub padding: u32,
    pub end: u32,
    pub unknown: u32,
}

impl Tokens {
    /// A frame with nothing around the source, whose decoder is fed `start` first.
    pub(super) fn frame(self, start: u32) -> Frame {
        Frame::new(Some((Vec::new(), Vec::new())), Part::Id(start), self.end, self.padding)
    }

    /// A list of pieces with these special tokens.
    pub(super) fn list(self, pieces: Vec<String>, path: PathBuf) -> PieceList {
        let Self { begin, padding, end, unknown } = self;
        let specials = Specials { unknown: Some(unknown), padding: Some(padding), begin: Some(begin), end: Some(end) };
        PieceList { specials, ..PieceList::new(pieces, path) }
    }
}

/// The text of a file that has to be there.
///
/// # Errors
/// If it is missing or is not UTF-8.
pub(super) fn text(files: &ModelFiles, name: &str) -> Result<String> {
    let bytes =
        files.read(name)?.ok_or_else(|| Error::model(files.path(name), "this file of the model is missing; add it"))?;
    String::from_utf8(bytes.into_owned()).map_err(|_| Error::model(files.path(name), "is not valid UTF-8"))
}

/// The keys that spell out the pieces of both vocabularies.
pub(super) const PIECES: [&str; 2] = ["source_pieces", "target_pieces"];

/// The pieces that a key spells out, in the order of their ids.
///
/// # Errors
/// If one is no text.
pub(super) fn listed(keys: &Keys, key: &str) -> Result<Option<PieceList>> {
    let Some(pieces) = keys.value(key).and_then(Value::as_array) else { return Ok(None) };
    let piece = |piece: &Value| piece.as_str().map(str::to_owned).ok_or_else(|| keys.wrong(key, piece, "text"));
    let pieces = pieces.iter().map(piece).collect::<Result<Vec<_>>>()?;
    Ok(Some(PieceList::new(pieces, keys.path())))
}

/// Whether an option is on: true, or a number or text other than 0 and the empty one.
pub(super) fn is_on(keys: &Keys, key: &str) -> bool {
    match keys.value(key) {
        Some(Value::Bool(on)) => *on,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        _ => false,
    }
}

/// The layers of one side, their number and inner width from the tensors.
///
/// # Errors
/// If there is no layer, or heads do not divide the width.
pub(super) fn stack(
    keys: &Keys,
    parameters: &Parameters,
    side: &str,
    width: usize,
    heads: usize,
    norm_before: bool,
    final_norm: bool,
) -> Result<Stack> {
    let first_layer = format!("model.{side}.layers.0.fc1.weight");
    let inner = parameters.shape(&first_layer).and_then(|shape| shape.first().copied());
    Ok(Stack {
        layers: parameters.count(&format!("model.{side}.layers.*.fc1.weight")),
        heads,
        head_width: hugging_face::head_width(keys, width, heads, side)?,
        inner: inner.ok_or_else(|| parameters.missing(&first_layer))?,
        norm_before,
        final_norm,
        residual_weight: 1.0,
    })
}

/// Sines and cosines in turn, from 0.
pub(super) const INTERLEAVED: Positions = Positions::Sinusoidal {
    order: Order::Interleaved,
    first_index: 0,
    frequencies: Frequencies::ByWidth,
    padding: None,
};

/// A post-norm Transformer without layers, to be changed where a toolkit differs: its width and vocabularies are those of the
/// stored embeddings, and it has the biases and gates that are stored.
///
/// # Errors
/// If no embedding is stored, or a key has the wrong type.
pub(super) fn transformer(keys: &Keys, parameters: &Parameters) -> Result<Transformer> {
    let (source_vocabulary, target_vocabulary) = hugging_face::vocabulary_sizes(keys, parameters, 1)?;
    let names = crate::model::EmbeddingNames::ALL;
    let stored = names.iter().find_map(|name| parameters.shape(name)?.last().copied());
    let width = stored.filter(|&width| width > 0).ok_or_else(|| parameters.missing(names[0]))?;
    let none = Stack {
        layers: 0,
        heads: 1,
        head_width: width,
        inner: 1,
        norm_before: false,
        final_norm: false,
        residual_weight: 1.0,
    };
    Ok(Transformer {
        width,
        encoder: none,
        decoder: none,
        norm: Norm { kind: NormKind::Layer, epsilon: 1e-6 },
        activation: Activation::Relu,
        gated: parameters.contains("model.encoder.layers.0.fc1_gate.weight"),
        attention_scale: None,
        bias: parameters.contains("model.encoder.layers.0.fc1.bias"),
        embedding_scale: (width as f32).sqrt(),
        embedding_norm: false,
        positions: Positions::None,
        relative_bias: None,
        past: Past::Attention,
        starts_from_zero: false,
        output_scale: 1.0,
        trained_length: None,
        source_vocabulary,
        target_vocabulary,
    })
}

/// What both sides of a network have to have in common.
pub(super) fn same_side(keys: &Keys, what: &str, encoder: bool, decoder: bool) -> bool {
    if encoder != decoder {
        keys.refuse(format!("{what} differs between encoder and decoder, which is not supported"));
    }
    encoder
}

/// A beam of five that ends when five hypotheses have ended, scores divided by length: the default of most toolkits.
pub(super) fn beam_of_five(generation: &mut GenerationConfig, max_length: usize) {
    generation.num_beams = 5;
    generation.max_length = max_length;
    generation.early_stopping = EarlyStopping::WhenFull;
}
