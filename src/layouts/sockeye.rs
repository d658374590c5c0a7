//! Sockeye 3's Transformer (Hieber et al. 2022): a directory with `params.best`, `config` and `vocab.{src,trg}.0.json`.
//!
//! Attention has no biases; its keys and values are stored in turn, head by head. The positions are those that are stored.

use serde_json::{Map, Value, json};

use super::rules::Rule;
use super::toolkits::{self, Tokens};
use super::{GenerationConfig, Layout, Lists};
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights, read_yaml};
use crate::compute::{Activation, NormKind};
use crate::spec::{Norm, Positions, Spec, Stack, Transformer};
use crate::text::{Frame, Part, PieceList};
use crate::{Error, Result};

/// The ids that every vocabulary begins with.
const TOKENS: Tokens = Tokens { padding: 0, unknown: 1, begin: 2, end: 3 };

/// The key of the number of heads, which [`Sockeye::options`] copies out of the sections.
const HEADS: [&str; 2] = ["encoder_heads", "decoder_heads"];

/// The family.
pub(super) struct Sockeye;

impl Layout for Sockeye {
    fn name(&self) -> &'static str {
        "sockeye-transformer"
    }

    fn toolkit(&self, files: &ModelFiles, _weights: &Weights) -> (&'static str, Option<String>) {
        let version = files.read("version").ok().flatten();
        ("Sockeye", version.map(|bytes| String::from_utf8_lossy(&bytes).trim().chars().take(20).collect()))
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        tensors.contains(&"encoder.layers.0.self_attention.ff_in.weight")
    }

    fn options(&self, files: &ModelFiles, _weights: &Weights) -> Result<Option<Map<String, Value>>> {
        let Some(mut options) = read_yaml(files, "config")? else { return Ok(None) };
        for (key, section) in HEADS.into_iter().zip(["config_encoder", "config_decoder"]) {
            let heads = options.get(section).and_then(|side| side.get("attention_heads")).cloned();
            options.insert(key.to_owned(), heads.unwrap_or(json!(8)));
        }
        Ok(Some(options))
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            // These are for scores and shortlists that are not used here.
            Rule::Ignore("length_ratio.{rest}"),
            Rule::Ignore("nvs.{rest}"),
            Rule::Copy("embedding_source.embedding.weight", &["model.encoder.embed_tokens.weight"]),
            Rule::Copy("embedding_target.embedding.weight", &["model.decoder.embed_tokens.weight"]),
            Rule::Copy("output_layer.{part}", &["lm_head.{part}"]),
            Rule::Copy("{side}.pos_embedding.weight", &["model.{side}.embed_positions.weight"]),
            Rule::Copy("{side}.final_process.layer_norm.{part}", &["model.{side}.layer_norm.{part}"]),
            Rule::SplitByHead(
                "encoder.layers.{layer}.self_attention.ff_in.weight",
                HEADS[0],
                1,
                &[
                    "model.encoder.layers.{layer}.self_attn.q_proj.weight",
                    "model.encoder.layers.{layer}.self_attn.k_proj.weight",
                    "model.encoder.layers.{layer}.self_attn.v_proj.weight",
                ],
            ),
            Rule::SplitByHead(
                "decoder.layers.{layer}.autoregr_layer.ff_in.weight",
                HEADS[1],
                1,
                &[
                    "model.decoder.layers.{layer}.self_attn.q_proj.weight",
                    "model.decoder.layers.{layer}.self_attn.k_proj.weight",
                    "model.decoder.layers.{layer}.self_attn.v_proj.weight",
                ],
            ),
            Rule::SplitByHead(
                "decoder.layers.{layer}.enc_attention.ff_kv.weight",
                HEADS[1],
                0,
                &[
                    "model.decoder.layers.{layer}.encoder_attn.k_proj.weight",
                    "model.decoder.layers.{layer}.encoder_attn.v_proj.weight",
                ],
            ),
            Rule::Rename(
                "decoder.layers.{layer}.enc_attention.ff_q.weight",
                "decoder.layers.{layer}.encoder_attn.q_proj.weight",
            ),
            Rule::Rename(
                "decoder.layers.{layer}.enc_attention.ff_out.weight",
                "decoder.layers.{layer}.encoder_attn.out_proj.weight",
            ),
            Rule::Rename(
                "encoder.layers.{layer}.self_attention.ff_out.weight",
                "encoder.layers.{layer}.self_attn.out_proj.weight",
            ),
            Rule::Rename(
                "decoder.layers.{layer}.autoregr_layer.ff_out.weight",
                "decoder.layers.{layer}.self_attn.out_proj.weight",
            ),
            Rule::Rename("{side}.layers.{layer}.ff.ff1.{part}", "{side}.layers.{layer}.fc1.{part}"),
            Rule::Rename("{side}.layers.{layer}.ff.ff2.{part}", "{side}.layers.{layer}.fc2.{part}"),
            Rule::Rename("{side}.layers.{layer}.ff.linear.{part}", "{side}.layers.{layer}.fc1_gate.{part}"),
            // A normalisation before a sublayer or after it.
            Rule::Rename(
                "{side}.layers.{layer}.post_{name}.layer_norm.{part}",
                "{side}.layers.{layer}.pre_{name}.layer_norm.{part}",
            ),
            Rule::Rename(
                "encoder.layers.{layer}.pre_self_attention.layer_norm.{part}",
                "encoder.layers.{layer}.self_attn_layer_norm.{part}",
            ),
            Rule::Rename(
                "decoder.layers.{layer}.pre_autoregr_layer.layer_norm.{part}",
                "decoder.layers.{layer}.self_attn_layer_norm.{part}",
            ),
            Rule::Rename(
                "decoder.layers.{layer}.pre_enc_attention.layer_norm.{part}",
                "decoder.layers.{layer}.encoder_attn_layer_norm.{part}",
            ),
            Rule::Rename(
                "{side}.layers.{layer}.pre_ff.layer_norm.{part}",
                "{side}.layers.{layer}.final_layer_norm.{part}",
            ),
            Rule::Copy("encoder.{rest}", &["model.encoder.{rest}"]),
            Rule::Copy("decoder.{rest}", &["model.decoder.{rest}"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        let section = |name: &str| {
            keys.section(name)?
                .ok_or_else(|| keys.error(format!("`{name}` is missing, so it is no Transformer of Sockeye 3")))
        };
        let (encoder, decoder) = (section("config_encoder")?, section("config_decoder")?);
        for side in [&encoder, &decoder] {
            if toolkits::is_on(side, "use_lhuc") || toolkits::is_on(keys, "lhuc") {
                keys.refuse("learned hidden unit contributions (`lhuc`) are not supported");
            }
            if side.string("decoder_type")?.is_some_and(|kind| kind != "transformer") {
                keys.refuse("a decoder of SSRU layers is not supported");
            }
        }
        for name in ["config_embed_source", "config_embed_target"] {
            if keys.section(name)?.is_some_and(|embedding| embedding.number("num_factors").is_ok_and(|n| n > Some(1))) {
                keys.refuse("factors of words are not supported");
            }
        }
        let before = |side: &Keys| -> Result<bool> {
            let place = (side.string("preprocess_sequence")?, side.string("postprocess_sequence")?);
            Ok(match (place.0.as_deref(), place.1.as_deref()) {
                (Some("n"), Some("dr" | "r")) => true,
                (Some("" | "none") | None, Some("drn" | "rn")) => false,
                (pre, post) => {
                    keys.refuse(format!(
                        "sublayers between {pre:?} and {post:?} are not supported; n and dr, or none and drn are"
                    ));
                    true
                }
            })
        };
        let network = toolkits::transformer(keys, parameters)?;
        let width = network.width;
        let stack = |name: &str, heads: &str, section: &Keys| -> Result<Stack> {
            let final_norm = parameters.contains(&format!("model.{name}.layer_norm.weight"));
            toolkits::stack(keys, parameters, name, width, keys.size(heads, 8)?, before(section)?, final_norm)
        };
        let table = "model.encoder.embed_positions.weight";
        let rows = parameters.shape(table).and_then(|shape| shape.first().copied());
        Ok(Spec::Transformer(Transformer {
            encoder: stack("encoder", HEADS[0], &encoder)?,
            decoder: stack("decoder", HEADS[1], &decoder)?,
            norm: Norm { kind: NormKind::Layer, epsilon: 1e-6 },
            bias: false,
            activation: activation(keys, &encoder)?,
            positions: match rows {
                Some(rows) => Positions::Learned { rows, offset: 0 },
                None => Positions::None,
            },
            trained_length: rows,
            ..network
        }))
    }

    fn frame(&self, _keys: &Keys, _spec: &Spec) -> Result<Frame> {
        let mut frame = TOKENS.frame(TOKENS.begin);
        frame.source = Some((Vec::new(), vec![Part::Id(TOKENS.end)]));
        Ok(frame)
    }

    fn lists(&self, files: &ModelFiles, _keys: &Keys) -> Result<Option<Lists>> {
        let list = |name: &str| -> Result<PieceList> {
            let (text, path) = (toolkits::text(files, name)?, files.path(name));
            let pieces = numbered(&text)
                .map_err(|problem| Error::model(&path, format!("not a usable vocabulary: {problem}")))?;
            Ok(TOKENS.list(pieces, path))
        };
        Ok(Some((list("vocab.src.0.json")?, Some(list("vocab.trg.0.json")?))))
    }

    fn search(&self, _keys: &Keys, generation: &mut GenerationConfig) -> Result<()> {
        toolkits::beam_of_five(generation, generation.max_length);
        Ok(())
    }
}

/// The pieces of a JSON object from pieces to ids, in the order of these.
fn numbered(text: &str) -> Result<Vec<String>, String> {
    let ids: std::collections::HashMap<String, usize> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut pieces = vec![String::new(); ids.len()];
    for (piece, id) in ids {
        match pieces.get_mut(id) {
            Some(slot) if slot.is_empty() => *slot = piece,
            _ => return Err(format!("the id {id} of {piece:?} is not one of a row from 0")),
        }
    }
    Ok(pieces)
}

fn activation(keys: &Keys, side: &Keys) -> Result<Activation> {
    Ok(match side.string("act_type")?.as_deref() {
        None | Some("relu") => Activation::Relu,
        Some("swish1" | "silu") => Activation::Swish,
        Some("gelu") => Activation::Gelu,
        Some(other) => {
            keys.refuse(format!("`act_type` {other:?} is not supported; relu, swish1 and gelu are"));
            Activation::Identity
        }
    })
}
