//! T5 (Raffel et al. 2020), T5 1.1, Flan-T5, MADLAD-400, ByT5, mT5 and umT5 as Hugging Face publishes them
//! (`T5ForConditionalGeneration`, `MT5…`, `UMT5…`).
//!
//! Root-mean-square norms before each sublayer and after the last, no biases, unscaled attention with a relative position
//! bias, and no other positions. umT5 has a bias for every layer.

use serde_json::{Map, Value};

use super::hugging_face::Ids;
use super::t5_network::Class;
use super::{Layout, rules::Rule};
use crate::Result;
use crate::checkpoint::{Keys, Parameters};
use crate::spec::Spec;
use crate::text::{Frame, Kind, Numbering, Part, Task};

/// The table that umT5 has and the others have not.
const SECOND_BIAS: &str = "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight";

impl Layout for Class {
    fn name(&self) -> &'static str {
        match self {
            Self::T5 => "t5",
            Self::Mt5 => "mt5",
            Self::Umt5 => "umt5",
        }
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        let has_second = tensors.contains(&SECOND_BIAS);
        tensors.contains(&"encoder.block.0.layer.0.SelfAttention.q.weight")
            && match self {
                Self::T5 => !has_second,
                // Its tensors are those of T5 1.1.
                Self::Mt5 => false,
                Self::Umt5 => has_second,
            }
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            // Never used; the first T5 files hold it.
            Rule::Ignore("decoder.block.{layer}.layer.1.EncDecAttention.relative_attention_bias.weight"),
            Rule::Copy("shared.weight", &["model.shared.weight"]),
            Rule::Copy("{side}.embed_tokens.weight", &["model.{side}.embed_tokens.weight"]),
            Rule::Copy("{side}.final_layer_norm.weight", &["model.{side}.layer_norm.weight"]),
            // Shorter names for the rules that follow.
            Rule::Rename("{side}.block.{layer}.layer.0.SelfAttention.{rest}", "{side}.{layer}.self_attn.{rest}"),
            Rule::Rename("{side}.block.{layer}.layer.1.EncDecAttention.{rest}", "{side}.{layer}.encoder_attn.{rest}"),
            Rule::Rename("{side}.block.{layer}.layer.{part}.DenseReluDense.{rest}", "{side}.{layer}.{rest}"),
            Rule::Rename(
                "{side}.block.{layer}.layer.0.layer_norm.{rest}",
                "{side}.{layer}.self_attn_layer_norm.{rest}",
            ),
            Rule::Rename("encoder.block.{layer}.layer.1.layer_norm.{rest}", "encoder.{layer}.final_layer_norm.{rest}"),
            Rule::Rename(
                "decoder.block.{layer}.layer.1.layer_norm.{rest}",
                "decoder.{layer}.encoder_attn_layer_norm.{rest}",
            ),
            Rule::Rename("decoder.block.{layer}.layer.2.layer_norm.{rest}", "decoder.{layer}.final_layer_norm.{rest}"),
            Rule::Rename("{side}.{layer}.{attention}.q.weight", "{side}.{layer}.{attention}.q_proj.weight"),
            Rule::Rename("{side}.{layer}.{attention}.k.weight", "{side}.{layer}.{attention}.k_proj.weight"),
            Rule::Rename("{side}.{layer}.{attention}.v.weight", "{side}.{layer}.{attention}.v_proj.weight"),
            Rule::Rename("{side}.{layer}.{attention}.o.weight", "{side}.{layer}.{attention}.out_proj.weight"),
            Rule::Rename("{side}.{layer}.wi.weight", "{side}.{layer}.fc1.weight"),
            Rule::Rename("{side}.{layer}.wi_0.weight", "{side}.{layer}.fc1.weight"),
            Rule::Rename("{side}.{layer}.wi_1.weight", "{side}.{layer}.fc1_gate.weight"),
            Rule::Rename("{side}.{layer}.wo.weight", "{side}.{layer}.fc2.weight"),
            Rule::Copy("{side}.{layer}.{rest}", &["model.{side}.layers.{layer}.{rest}"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        self.network(keys, parameters)
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        let padding = keys.id("pad_token_id")?.unwrap_or(0);
        let mut frame = Ids { padding, end: 1, start: padding }.frame(keys, spec.vocabulary_sizes().1, None)?;
        frame.source = Some((Vec::new(), vec![Part::Id(frame.end)]));
        Ok(frame)
    }

    fn vocabulary(&self) -> &'static [Kind] {
        &[Kind::TokenizerJson, Kind::SentencePiece(Numbering::Own), Kind::Bytes]
    }

    fn tasks(&self, keys: &Keys) -> Vec<Task> {
        super::hugging_face::tasks(keys)
    }

    fn complete(&self, spec: &Spec, frame: &Frame, config: &mut Map<String, Value>) {
        self.complete_keys(spec, frame, config);
    }
}
