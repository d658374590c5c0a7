//! The Transformer of the well-known PyTorch sequence-to-sequence tutorials (part 6): post-norm, learned positions, and
//! `fc_q`, `fc_k`, `fc_v`, `fc_o` for the projections. Keys and defaults are those of `pytorch-transformer`.

use serde_json::{Map, Value};

use super::plain_pytorch::{frame, transformer};
use super::{Layout, rules::Rule};
use crate::Result;
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights};
use crate::spec::Spec;
use crate::text::Frame;

/// The family.
pub(super) struct TutorialTransformer;

impl Layout for TutorialTransformer {
    fn name(&self) -> &'static str {
        "tutorial-transformer"
    }

    fn toolkit(&self, _files: &ModelFiles, _weights: &Weights) -> (&'static str, Option<String>) {
        ("PyTorch", None)
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        tensors.contains(&"decoder.layers.0.encoder_attention.fc_q.weight")
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            Rule::Copy("{side}.tok_embedding.weight", &["model.{side}.embed_tokens.weight"]),
            Rule::Copy("{side}.pos_embedding.weight", &["model.{side}.embed_positions.weight"]),
            Rule::Copy("decoder.fc_out.weight", &["lm_head.weight"]),
            Rule::Copy("decoder.fc_out.bias", &["lm_head.bias"]),
            Rule::Copy(
                "{side}.layers.{layer}.self_attention.fc_o.{part}",
                &["model.{side}.layers.{layer}.self_attn.out_proj.{part}"],
            ),
            Rule::Copy(
                "{side}.layers.{layer}.encoder_attention.fc_o.{part}",
                &["model.{side}.layers.{layer}.encoder_attn.out_proj.{part}"],
            ),
            Rule::Copy(
                "{side}.layers.{layer}.self_attention.fc_{which}.{part}",
                &["model.{side}.layers.{layer}.self_attn.{which}_proj.{part}"],
            ),
            Rule::Copy(
                "{side}.layers.{layer}.encoder_attention.fc_{which}.{part}",
                &["model.{side}.layers.{layer}.encoder_attn.{which}_proj.{part}"],
            ),
            Rule::Copy(
                "{side}.layers.{layer}.positionwise_feedforward.fc_{which}.{part}",
                &["model.{side}.layers.{layer}.fc{which}.{part}"],
            ),
            Rule::Copy(
                "{side}.layers.{layer}.enc_attn_layer_norm.{part}",
                &["model.{side}.layers.{layer}.encoder_attn_layer_norm.{part}"],
            ),
            Rule::Copy(
                "{side}.layers.{layer}.ff_layer_norm.{part}",
                &["model.{side}.layers.{layer}.final_layer_norm.{part}"],
            ),
            Rule::Copy("{side}.layers.{layer}.{norm}.{part}", &["model.{side}.layers.{layer}.{norm}.{part}"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        transformer(keys, parameters, "learned")
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        frame(keys, spec)
    }
}
