//! `torch.nn.Transformer`, or its encoder and decoder used apart, in a state dict of any author: the names inside the
//! layers are PyTorch's, those around them the author's (`tensor_names` in config.json). The weights do not say how many
//! heads there are, where the norms stand or which positions are added; docs/models.md lists the keys that do.

use super::hugging_face::{self, Ids, first};
use super::{Layout, rules::Rule};
use crate::Result;
use crate::checkpoint::{Keys, Parameters};
use crate::compute::{Activation, NormKind};
use crate::spec::{Frequencies, Norm, Order, Positions, Spec, Stack, Transformer};
use crate::text::{Frame, Part};

/// The family.
pub(super) struct PytorchTransformer;

/// The table of learned positions, if there is one.
const TABLE: &str = "model.encoder.embed_positions.weight";

impl Layout for PytorchTransformer {
    fn name(&self) -> &'static str {
        "pytorch-transformer"
    }

    fn recognises(&self, tensors: &[&str]) -> bool {
        tensors.iter().any(|&name| name.ends_with("decoder.layers.0.multihead_attn.in_proj_weight"))
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            Rule::Rename("transformer.{rest}", "{rest}"),
            Rule::Ignore("positional_encoding.{rest}"),
            Rule::Copy("source_embedding.weight", &["model.encoder.embed_tokens.weight"]),
            Rule::Copy("target_embedding.weight", &["model.decoder.embed_tokens.weight"]),
            Rule::Copy("embedding.weight", &["model.shared.weight"]),
            Rule::Copy("source_positions.weight", &["model.encoder.embed_positions.weight"]),
            Rule::Copy("target_positions.weight", &["model.decoder.embed_positions.weight"]),
            Rule::Copy(
                "positions.weight",
                &["model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight"],
            ),
            Rule::Copy("output.weight", &["lm_head.weight"]),
            Rule::Copy("output.bias", &["lm_head.bias"]),
            // The names of the official tutorial.
            Rule::Copy("src_tok_emb.embedding.weight", &["model.encoder.embed_tokens.weight"]),
            Rule::Copy("tgt_tok_emb.embedding.weight", &["model.decoder.embed_tokens.weight"]),
            Rule::Copy("generator.weight", &["lm_head.weight"]),
            Rule::Copy("generator.bias", &["lm_head.bias"]),
            Rule::Split(
                "{side}.layers.{layer}.self_attn.in_proj_{part}",
                &[
                    "model.{side}.layers.{layer}.self_attn.q_proj.{part}",
                    "model.{side}.layers.{layer}.self_attn.k_proj.{part}",
                    "model.{side}.layers.{layer}.self_attn.v_proj.{part}",
                ],
            ),
            Rule::Split(
                "decoder.layers.{layer}.multihead_attn.in_proj_{part}",
                &[
                    "model.decoder.layers.{layer}.encoder_attn.q_proj.{part}",
                    "model.decoder.layers.{layer}.encoder_attn.k_proj.{part}",
                    "model.decoder.layers.{layer}.encoder_attn.v_proj.{part}",
                ],
            ),
            Rule::Rename("{side}.layers.{layer}.multihead_attn.{rest}", "{side}.layers.{layer}.encoder_attn.{rest}"),
            Rule::Rename("{side}.layers.{layer}.linear1.{part}", "{side}.layers.{layer}.fc1.{part}"),
            Rule::Rename("{side}.layers.{layer}.linear2.{part}", "{side}.layers.{layer}.fc2.{part}"),
            Rule::Rename("{side}.layers.{layer}.norm1.{part}", "{side}.layers.{layer}.self_attn_layer_norm.{part}"),
            Rule::Rename("encoder.layers.{layer}.norm2.{part}", "encoder.layers.{layer}.final_layer_norm.{part}"),
            Rule::Rename("decoder.layers.{layer}.norm2.{part}", "decoder.layers.{layer}.encoder_attn_layer_norm.{part}"),
            Rule::Rename("decoder.layers.{layer}.norm3.{part}", "decoder.layers.{layer}.final_layer_norm.{part}"),
            Rule::Rename("{side}.norm.{part}", "{side}.layer_norm.{part}"),
            Rule::Copy("encoder.{rest}", &["model.encoder.{rest}"]),
            Rule::Copy("decoder.{rest}", &["model.decoder.{rest}"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        if parameters.names().any(|name| name.ends_with(".bias_k") || name.ends_with(".bias_v")) {
            keys.refuse("the weights have bias_k and bias_v (add_bias_kv), which is not supported");
        }
        plain_transformer(keys, parameters, "sinusoidal-interleaved")
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        plain_frame(keys, spec)
    }
}

/// The spec of a state dict with our names, by the keys of docs/models.md; sizes are those of the tensors.
pub(super) fn plain_transformer(keys: &Keys, parameters: &Parameters, default_positions: &str) -> Result<Spec> {
    let (source_vocabulary, target_vocabulary) = hugging_face::vocabulary_sizes(keys, parameters, 1)?;
    let width = hugging_face::width(keys, parameters, 512)?;
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
            final_norm: parameters.contains(&format!("model.{side}.layer_norm.weight")),
        })
    };
    let (encoder, decoder) = (stack("encoder")?, stack("decoder")?);
    let table = parameters.shape(TABLE).and_then(|shape| shape.first().copied());
    let offset = keys.number("position_offset")?.unwrap_or(0);
    let default = if table.is_some() { "learned" } else { default_positions };
    let named = keys.string("positions")?;
    let sinusoid = |order| Positions::Sinusoidal { order, first_index: offset, frequencies: Frequencies::ByWidth };
    let positions = match named.as_deref().unwrap_or(default) {
        "learned" => {
            let rows = table.ok_or_else(|| parameters.missing(TABLE))?;
            let rows = rows.checked_sub(offset).filter(|&rows| rows > 0);
            Positions::Learned { rows: rows.ok_or_else(|| keys.error("`position_offset` leaves no positions"))?, offset }
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
    let before = keys.flag(first(keys, &["norm_first", "normalize_before"]), false)?;
    Ok(Spec::Transformer(Transformer {
        width,
        encoder,
        decoder,
        norm: Norm { kind: NormKind::Layer, epsilon, before },
        activation: hugging_face::activation(keys, &["activation", "activation_function"], Activation::Relu)?,
        gated: false,
        attention_scale: None,
        bias: parameters.contains("model.encoder.layers.0.fc1.bias"),
        embedding_scale: hugging_face::embedding_scale(keys, width, true)?,
        embedding_norm: false,
        positions,
        trained_length: table.map(|rows| rows - offset.min(rows)),
        source_vocabulary,
        target_vocabulary,
    }))
}

/// The frame of such a state dict: the tutorials' ids unless keys say otherwise.
pub(super) fn plain_frame(keys: &Keys, spec: &Spec) -> Result<Frame> {
    let (source_size, size) = spec.vocabulary_sizes();
    let mut frame = Ids { padding: 1, end: 3, start: 2 }.frame(keys, size, None)?;
    let Part::Id(start) = frame.start else { return Ok(frame) };
    frame.source = hugging_face::source_frame(keys, source_size, start, frame.end)?;
    Ok(frame)
}
