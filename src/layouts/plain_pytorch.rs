//! What the layouts of plain PyTorch state dicts share: sizes are those of the tensors, and what tensors do not say is in
//! keys whose defaults are the tutorials' (docs/models.md).

use super::hugging_face::{self, Ids, first};
use crate::Result;
use crate::checkpoint::{Keys, Parameters};
use crate::compute::{Activation, NormKind};
use crate::spec::{Frequencies, Norm, Order, Past, Positions, Spec, Stack, Transformer};
use crate::text::{Frame, Part};

/// The table of learned positions, if there is one.
const TABLE: &str = "model.encoder.embed_positions.weight";

/// What a source may be filled up to.
const LONGEST_PADDING: usize = 1024;

/// The spec of a state dict with our names, by the keys of docs/models.md; sizes are those of the tensors.
pub(super) fn transformer(keys: &Keys, parameters: &Parameters, default_positions: &str) -> Result<Spec> {
    let (source_vocabulary, target_vocabulary) = hugging_face::vocabulary_sizes(keys, parameters, 1)?;
    let width = hugging_face::width(keys, parameters, 512)?;
    let norm_before = keys.flag(first(keys, &["norm_first", "normalize_before"]), false)?;
    let stack = |side: &str| -> Result<Stack> {
        let first_layer = format!("model.{side}.layers.0.fc1.weight");
        let inner = parameters.shape(&first_layer).and_then(|shape| shape.first().copied());
        let heads = keys.size(first(keys, &["nhead", &format!("{side}_attention_heads")]), 8)?;
        let layers = parameters.count(&format!("model.{side}.layers.*.fc1.weight"));
        Ok(Stack {
            layers,
            heads,
            head_width: hugging_face::head_width(keys, width, heads, side)?,
            inner: inner.ok_or_else(|| parameters.missing(&first_layer))?,
            norm_before,
            final_norm: parameters.contains(&format!("model.{side}.layer_norm.weight")),
            residual_weight: 1.0,
        })
    };
    let (encoder, decoder) = (stack("encoder")?, stack("decoder")?);
    let table = parameters.shape(TABLE).and_then(|shape| shape.first().copied());
    let offset = keys.number("position_offset")?.unwrap_or(0);
    let default = if table.is_some() { "learned" } else { default_positions };
    let named = keys.string("positions")?;
    let frequencies = Frequencies::ByWidth;
    let sinusoid = |order| Positions::Sinusoidal { order, first_index: offset, frequencies, padding: None };
    let positions = match named.as_deref().unwrap_or(default) {
        "learned" => {
            let rows = table.ok_or_else(|| parameters.missing(TABLE))?;
            let rows = rows.checked_sub(offset).filter(|&rows| rows > 0);
            Positions::Learned {
                rows: rows.ok_or_else(|| keys.error("`position_offset` leaves no positions"))?,
                offset,
            }
        }
        "sinusoidal-interleaved" => sinusoid(Order::Interleaved),
        "sinusoidal" => sinusoid(Order::Halves),
        "none" => Positions::None,
        other => {
            let known = "learned, sinusoidal-interleaved, sinusoidal and none";
            keys.refuse(format!("`positions` {other:?} is not supported; {known} are"));
            Positions::None
        }
    };
    let epsilon = keys.float("layer_norm_eps")?.unwrap_or(1e-5);
    Ok(Spec::Transformer(Transformer {
        width,
        encoder,
        decoder,
        norm: Norm { kind: NormKind::Layer, epsilon },
        activation: hugging_face::activation(keys, &["activation", "activation_function"], Activation::Relu)?,
        gated: false,
        attention_scale: None,
        bias: parameters.contains("model.encoder.layers.0.fc1.bias"),
        embedding_scale: hugging_face::embedding_scale(keys, width, true)?,
        embedding_norm: false,
        positions,
        relative_bias: None,
        past: Past::Attention,
        starts_from_zero: false,
        output_scale: 1.0,
        trained_length: table.map(|rows| rows - offset.min(rows)),
        source_vocabulary,
        target_vocabulary,
    }))
}

/// The frame of such a state dict: the tutorials' ids unless keys say otherwise.
pub(super) fn frame(keys: &Keys, spec: &Spec) -> Result<Frame> {
    let (source_size, size) = spec.vocabulary_sizes();
    let mut frame = Ids { padding: 1, end: 3, start: 2 }.frame(keys, size, None)?;
    frame.bans_padding = true;
    frame.padded_length = keys.number("pad_source_to")?;
    if frame.padded_length.is_some_and(|length| length > LONGEST_PADDING) {
        return Err(keys.error(format!("`pad_source_to` is more than {LONGEST_PADDING}")));
    }
    let Part::Id(start) = frame.start else { return Ok(frame) };
    frame.source = hugging_face::source_frame(keys, source_size, start, frame.end)?;
    Ok(frame)
}
