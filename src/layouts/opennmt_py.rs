//! OpenNMT-py's Transformer, versions 0.x to 3 (Klein et al. 2017): one `.pt` with the network, its options and both
//! vocabularies, or since 3.4 a `.pt` with the latter beside safetensors.
//!
//! Normalised before each sublayer and after the last. Positions are added, and embeddings scaled, only where
//! `position_encoding` says so; relative positions (Shaw, Uszkoreit and Vaswani 2018) take their place. Nothing stands around a
//! source. Attention has biases where they are stored.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::rules::Rule;
use super::toolkits::{self, PIECES};
use super::{GenerationConfig, Layout, Lists};
use crate::Result;
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights};
use crate::compute::{Activation, NormKind};
use crate::spec::{Frequencies, Norm, Order, Positions, Spec, Transformer};
use crate::text::Frame;

/// The key under which the token is handed on that the decoder is fed first.
const START: &str = "decoder_start_token";

/// Options that change the network and are not supported where they are on.
const REFUSED: [&str; 10] = [
    "copy_attn",
    "coverage_attn",
    "parallel_residual",
    "num_kv",
    "multiquery",
    "relative_positions_buckets",
    "num_experts",
    "sliding_window",
    "lora_layers",
    "lora_embedding",
];

/// The family.
pub(super) struct OpenNmtPy;

impl Layout for OpenNmtPy {
    fn name(&self) -> &'static str {
        "opennmt-py-transformer"
    }

    fn toolkit(&self, _files: &ModelFiles, _weights: &Weights) -> (&'static str, Option<String>) {
        ("OpenNMT-py", None)
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        tensors.iter().any(|name| name.starts_with("encoder.transformer.0.self_attn.linear_"))
    }

    fn options(&self, _files: &ModelFiles, weights: &Weights) -> Result<Option<Map<String, Value>>> {
        let said = weights.said();
        let Some(mut options) = said.get("opt").and_then(Value::as_object).cloned() else { return Ok(None) };
        for (key, side) in PIECES.into_iter().zip(["src", "tgt"]) {
            if let Some(pieces) = said.get("vocab").and_then(|vocabulary| pieces(vocabulary, side)) {
                options.insert(key.to_owned(), each_once(pieces));
            }
        }
        if let Some(start) = said.get("vocab").and_then(|vocabulary| vocabulary.get(START)) {
            options.insert(START.to_owned(), start.clone());
        }
        // What transforms of its training data put before a text, empty as a rule, and no languages of the model.
        options.remove("src_lang");
        options.remove("tgt_lang");
        Ok(Some(options))
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            Rule::Ignore("{side}.embeddings.make_embedding.pe.{rest}"),
            // The names of the first versions.
            Rule::Rename("{side}.layer_norm.a_2", "{side}.layer_norm.weight"),
            Rule::Rename("{side}.layer_norm.b_2", "{side}.layer_norm.bias"),
            Rule::Rename("{side}.{stack}.{layer}.{norm}.a_2", "{side}.{stack}.{layer}.{norm}.weight"),
            Rule::Rename("{side}.{stack}.{layer}.{norm}.b_2", "{side}.{stack}.{layer}.{norm}.bias"),
            Rule::Rename(
                "{side}.{stack}.{layer}.feed_forward.{norm}.a_2",
                "{side}.{stack}.{layer}.feed_forward.{norm}.weight",
            ),
            Rule::Rename(
                "{side}.{stack}.{layer}.feed_forward.{norm}.b_2",
                "{side}.{stack}.{layer}.feed_forward.{norm}.bias",
            ),
            Rule::Copy("{side}.embeddings.make_embedding.emb_luts.0.weight", &["model.{side}.embed_tokens.weight"]),
            Rule::Copy("generator.0.{part}", &["lm_head.{part}"]),
            Rule::Copy("generator.{part}", &["lm_head.{part}"]),
            Rule::Rename("encoder.transformer.{layer}.{rest}", "model.encoder.layers.{layer}.{rest}"),
            Rule::Rename("decoder.transformer_layers.{layer}.{rest}", "model.decoder.layers.{layer}.{rest}"),
            Rule::Rename(
                "model.{side}.layers.{layer}.context_attn.{rest}",
                "model.{side}.layers.{layer}.encoder_attn.{rest}",
            ),
            Rule::Copy(
                "model.{side}.layers.{layer}.{attention}.relative_positions_embeddings.weight",
                &[
                    "model.{side}.layers.{layer}.{attention}.relative_keys.weight",
                    "model.{side}.layers.{layer}.{attention}.relative_values.weight",
                ],
            ),
            Rule::Rename(
                "model.{side}.layers.{layer}.{attention}.linear_query.{part}",
                "model.{side}.layers.{layer}.{attention}.q_proj.{part}",
            ),
            Rule::Rename(
                "model.{side}.layers.{layer}.{attention}.linear_keys.{part}",
                "model.{side}.layers.{layer}.{attention}.k_proj.{part}",
            ),
            Rule::Rename(
                "model.{side}.layers.{layer}.{attention}.linear_values.{part}",
                "model.{side}.layers.{layer}.{attention}.v_proj.{part}",
            ),
            Rule::Rename(
                "model.{side}.layers.{layer}.{attention}.final_linear.{part}",
                "model.{side}.layers.{layer}.{attention}.out_proj.{part}",
            ),
            Rule::Rename(
                "model.{side}.layers.{layer}.feed_forward.w_1.{part}",
                "model.{side}.layers.{layer}.fc1.{part}",
            ),
            Rule::Rename(
                "model.{side}.layers.{layer}.feed_forward.w_2.{part}",
                "model.{side}.layers.{layer}.fc2.{part}",
            ),
            Rule::Rename(
                "model.{side}.layers.{layer}.feed_forward.w_3.{part}",
                "model.{side}.layers.{layer}.fc1_gate.{part}",
            ),
            Rule::Rename(
                "model.{side}.layers.{layer}.feed_forward.layer_norm.{part}",
                "model.{side}.layers.{layer}.final_layer_norm.{part}",
            ),
            Rule::Rename(
                "model.encoder.layers.{layer}.layer_norm.{part}",
                "model.encoder.layers.{layer}.self_attn_layer_norm.{part}",
            ),
            Rule::Rename(
                "model.decoder.layers.{layer}.layer_norm_1.{part}",
                "model.decoder.layers.{layer}.self_attn_layer_norm.{part}",
            ),
            Rule::Rename(
                "model.decoder.layers.{layer}.layer_norm_2.{part}",
                "model.decoder.layers.{layer}.encoder_attn_layer_norm.{part}",
            ),
            Rule::Rename("encoder.layer_norm.{part}", "model.encoder.layer_norm.{part}"),
            Rule::Rename("decoder.layer_norm.{part}", "model.decoder.layer_norm.{part}"),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        for key in REFUSED {
            if toolkits::is_on(keys, key) {
                keys.refuse(format!("`{key}` is not supported"));
            }
        }
        if let Some(kind) = keys.string("self_attn_type")?.filter(|kind| kind == "average") {
            keys.refuse(format!("`self_attn_type` {kind:?} is not supported"));
        }
        match keys.value("max_relative_positions").and_then(Value::as_i64) {
            Some(-1) => keys.refuse("rotary positions (`max_relative_positions` -1) are not supported"),
            Some(-2) => keys.refuse("ALiBi positions (`max_relative_positions` -2) are not supported"),
            _ => {}
        }
        if parameters.names().any(|name| name.contains("emb_luts.1")) {
            keys.refuse("the source has features beside its words, which are not supported");
        }
        let network = toolkits::transformer(keys, parameters)?;
        let width = network.width;
        let heads = keys.size("heads", 8)?;
        let stack = |side| toolkits::stack(keys, parameters, side, width, heads, true, true);
        let has_positions = keys.flag("position_encoding", false)?;
        let concatenated = keys.string("position_encoding_type")?.as_deref() == Some("SinusoidalConcat");
        let positions = match (has_positions, concatenated) {
            (false, _) => Positions::None,
            (true, false) => toolkits::INTERLEAVED,
            (true, true) => Positions::Sinusoidal {
                order: Order::Halves,
                first_index: 0,
                frequencies: Frequencies::ByLastIndex,
                padding: None,
            },
        };
        let is_rms = keys.string("layer_norm")?.as_deref() == Some("rms");
        Ok(Spec::Transformer(Transformer {
            encoder: stack("encoder")?,
            decoder: stack("decoder")?,
            norm: Norm {
                kind: if is_rms { NormKind::Rms } else { NormKind::Layer },
                epsilon: keys.float("norm_eps")?.unwrap_or(1e-6),
            },
            activation: activation(keys)?,
            bias: false,
            embedding_scale: if has_positions { (width as f32).sqrt() } else { 1.0 },
            positions,
            ..network
        }))
    }

    fn frame(&self, keys: &Keys, _spec: &Spec) -> Result<Frame> {
        let target = toolkits::listed(keys, PIECES[1])?.unwrap_or_default();
        let id = |names: &[&str]| {
            let found = names.iter().find_map(|name| target.pieces.iter().position(|piece| piece == name));
            let missing = || keys.error(format!("the target vocabulary has no {}", names[0]));
            found.map(|id| id as u32).ok_or_else(missing)
        };
        let tokens = toolkits::Tokens {
            begin: id(&["<s>"])?,
            padding: id(&["<blank>", "<pad>"])?,
            end: id(&["</s>"])?,
            unknown: id(&["<unk>"]).unwrap_or(0),
        };
        let start = keys.string(START)?.map_or(Ok(tokens.begin), |start| id(&[&start]))?;
        Ok(tokens.frame(start))
    }

    fn lists(&self, _files: &ModelFiles, keys: &Keys) -> Result<Option<Lists>> {
        let missing = |side| keys.error(format!("has no {side} vocabulary"));
        let source = toolkits::listed(keys, PIECES[0])?.ok_or_else(|| missing("source"))?;
        let target = toolkits::listed(keys, PIECES[1])?.ok_or_else(|| missing("target"))?;
        Ok(Some((source, Some(target))))
    }

    fn search(&self, keys: &Keys, generation: &mut GenerationConfig) -> Result<()> {
        toolkits::beam_of_five(generation, 251);
        // Version 3 divides a score by its length, those before did not.
        let is_third = keys.value("transforms").is_some() && keys.value("hidden_size").is_some();
        generation.length_penalty = if is_third { 1.0 } else { 0.0 };
        Ok(())
    }
}

/// The pieces of one side in what a checkpoint has under `vocab`: a list (version 3), a torchtext field or several of them
/// (1 and 2), or pairs of a name and a torchtext vocabulary (0.x).
fn pieces<'v>(vocabulary: &'v Value, side: &str) -> Option<&'v Value> {
    let found = match vocabulary {
        Value::Array(pairs) => pairs.iter().find(|pair| pair.get(0).and_then(Value::as_str) == Some(side))?.get(1)?,
        vocabulary => vocabulary.get(side)?,
    };
    let inside = [
        "/fields/0/1/vocab/itos",
        "/0/1/vocab/itos",
        "/base_field/vocab/itos",
        "/vocab/itos",
        "/itos",
        "/ids_to_tokens",
    ];
    let found = if found.get(0).is_some_and(Value::is_string) {
        found
    } else {
        inside.iter().find_map(|path| found.pointer(path))?
    };
    found.is_array().then_some(found)
}

/// A list in which every piece has one number: of one that is listed several times (special tokens were in the first versions)
/// torchtext looks up the last, save that what is unknown is the first.
fn each_once(pieces: &Value) -> Value {
    let mut pieces = pieces.as_array().cloned().unwrap_or_default();
    let mut seen = HashSet::new();
    let unknown = pieces.iter().position(|piece| piece == "<unk>");
    for at in (0..pieces.len()).rev() {
        let piece = pieces[at].as_str().unwrap_or_default().to_owned();
        let counts = if piece == "<unk>" { unknown == Some(at) } else { seen.insert(piece.clone()) };
        if !counts {
            pieces[at] = format!("{piece} #repeated").into();
        }
    }
    Value::Array(pieces)
}

fn activation(keys: &Keys) -> Result<Activation> {
    Ok(match keys.string("pos_ffn_activation_fn")?.as_deref() {
        None | Some("relu") => Activation::Relu,
        Some("gelu" | "gated-gelu") => Activation::Gelu,
        Some("silu" | "gated-silu") => Activation::Swish,
        Some(other) => {
            keys.refuse(format!(
                "`pos_ffn_activation_fn` {other:?} is not supported; relu, gelu, silu and gated-gelu are"
            ));
            Activation::Identity
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_pieces_that_are_listed_several_times_the_last_counts_and_the_first_unknown() {
        let listed = serde_json::json!(["<unk>", "<blank>", "</s>", "a", "</s>", "<unk>"]);
        let expected = serde_json::json!(["<unk>", "<blank>", "</s> #repeated", "a", "</s>", "<unk> #repeated"]);
        assert_eq!(each_once(&listed), expected);
    }
}
