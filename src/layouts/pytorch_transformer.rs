//! `torch.nn.Transformer`, or its encoder and decoder used apart, in a state dict of any author: the names inside the
//! layers are PyTorch's, those around them the author's (`tensor_names` in config.json). The weights do not say how many
//! heads there are, where the norms stand or which positions are added; docs/models.md lists the keys that do.

use serde_json::{Map, Value};

use super::plain_pytorch::{frame, transformer};
use super::{Layout, rules::Rule};
use crate::Result;
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights};
use crate::spec::Spec;
use crate::text::Frame;

/// The family.
pub(super) struct PytorchTransformer;

impl Layout for PytorchTransformer {
    fn name(&self) -> &'static str {
        "pytorch-transformer"
    }

    fn toolkit(&self, _files: &ModelFiles, _weights: &Weights) -> (&'static str, Option<String>) {
        ("PyTorch", None)
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
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
            Rule::Rename(
                "decoder.layers.{layer}.norm2.{part}",
                "decoder.layers.{layer}.encoder_attn_layer_norm.{part}",
            ),
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
        transformer(keys, parameters, "sinusoidal-interleaved")
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        frame(keys, spec)
    }
}
