//! JoeyNMT's Transformer (Kreutzer, Bastings and Riezler 2019): a directory with `config.yaml`, `best.ckpt` and the vocabularies.
//!
//! Where the normalisation stands is an option of each side; that after the last layer is there where it is stored, because its
//! default differed from that of the layers in version 2. A residual may have a weight (`alpha`).

use serde_json::{Map, Value, json};

use super::rules::Rule;
use super::toolkits::{self, Tokens};
use super::{GenerationConfig, Layout, Lists};
use crate::Result;
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights, read_yaml};
use crate::compute::{Activation, NormKind};
use crate::spec::{Norm, Spec, Stack, Transformer};
use crate::text::{Frame, Part, PieceList};

/// The family.
pub(super) struct JoeyNmt;

impl Layout for JoeyNmt {
    fn name(&self) -> &'static str {
        "joeynmt-transformer"
    }

    fn toolkit(&self, _files: &ModelFiles, _weights: &Weights) -> (&'static str, Option<String>) {
        ("JoeyNMT", None)
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        tensors.contains(&"encoder.layers.0.src_src_att.k_layer.weight")
    }

    fn options(&self, files: &ModelFiles, _weights: &Weights) -> Result<Option<Map<String, Value>>> {
        let Some(mut options) = read_yaml(files, "config.yaml")? else { return Ok(None) };
        let sides =
            [("source", "src"), ("target", "trg")].map(|(side, theirs)| (side, segmentation(files, &options, theirs)));
        let said: Map<String, Value> =
            sides.into_iter().filter_map(|(side, said)| Some((side.to_owned(), said?))).collect();
        if !said.is_empty() {
            options.insert("segmentation".to_owned(), Value::Object(said));
        }
        Ok(Some(options))
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            Rule::Ignore("{side}.pe.{rest}"),
            Rule::Copy("src_embed.lut.weight", &["model.encoder.embed_tokens.weight"]),
            Rule::Copy("trg_embed.lut.weight", &["model.decoder.embed_tokens.weight"]),
            Rule::Copy("decoder.output_layer.{part}", &["lm_head.{part}"]),
            Rule::Rename("encoder.layers.{layer}.src_src_att.{rest}", "encoder.layers.{layer}.self_attn.{rest}"),
            Rule::Rename("decoder.layers.{layer}.trg_trg_att.{rest}", "decoder.layers.{layer}.self_attn.{rest}"),
            Rule::Rename("decoder.layers.{layer}.src_trg_att.{rest}", "decoder.layers.{layer}.encoder_attn.{rest}"),
            Rule::Rename(
                "{side}.layers.{layer}.{attention}.output_layer.{part}",
                "{side}.layers.{layer}.{attention}.out_proj.{part}",
            ),
            Rule::Rename(
                "{side}.layers.{layer}.{attention}.{which}_layer.{part}",
                "{side}.layers.{layer}.{attention}.{which}_proj.{part}",
            ),
            Rule::Rename("{side}.layers.{layer}.feed_forward.pwff_layer.0.{part}", "{side}.layers.{layer}.fc1.{part}"),
            Rule::Rename("{side}.layers.{layer}.feed_forward.pwff_layer.3.{part}", "{side}.layers.{layer}.fc2.{part}"),
            Rule::Rename(
                "{side}.layers.{layer}.feed_forward.layer_norm.{part}",
                "{side}.layers.{layer}.final_layer_norm.{part}",
            ),
            Rule::Rename(
                "encoder.layers.{layer}.layer_norm.{part}",
                "encoder.layers.{layer}.self_attn_layer_norm.{part}",
            ),
            Rule::Rename(
                "decoder.layers.{layer}.x_layer_norm.{part}",
                "decoder.layers.{layer}.self_attn_layer_norm.{part}",
            ),
            Rule::Rename(
                "decoder.layers.{layer}.dec_layer_norm.{part}",
                "decoder.layers.{layer}.encoder_attn_layer_norm.{part}",
            ),
            Rule::Copy("encoder.{rest}", &["model.encoder.{rest}"]),
            Rule::Copy("decoder.{rest}", &["model.decoder.{rest}"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        let missing = |name: &str| keys.error(format!("`{name}` is missing"));
        let model = keys.section("model")?.ok_or_else(|| missing("model"))?;
        let section = |name: &str| model.section(name)?.ok_or_else(|| missing(&format!("model.{name}")));
        let (encoder, decoder) = (section("encoder")?, section("decoder")?);
        let network = toolkits::transformer(keys, parameters)?;
        let width = network.width;
        let scale = |side: &Keys| -> Result<bool> {
            side.section("embeddings")?.map_or(Ok(false), |embeddings| embeddings.flag("scale", false))
        };
        let stack = |name: &str, side: &Keys, default: bool| -> Result<Stack> {
            let final_norm = parameters.contains(&format!("model.{name}.layer_norm.weight"));
            // Before 2.0 there was no choice: before each sublayer, and after the last.
            let norm_before = side.string("layer_norm")?.map_or(default || final_norm, |place| place == "pre");
            let heads = side.size("num_heads", 8)?;
            let stack = toolkits::stack(keys, parameters, name, width, heads, norm_before, final_norm)?;
            Ok(Stack { residual_weight: side.float("alpha")?.unwrap_or(1.0), ..stack })
        };
        let scaled = toolkits::same_side(keys, "`embeddings.scale`", scale(&encoder)?, scale(&decoder)?);
        let (of_encoder, of_decoder) = (activation(keys, &encoder)?, activation(keys, &decoder)?);
        if of_encoder != of_decoder {
            keys.refuse("`activation` differs between encoder and decoder, which is not supported");
        }
        Ok(Spec::Transformer(Transformer {
            // In 2.x the layers of an encoder are normalised before unless said, but those of a decoder after.
            encoder: stack("encoder", &encoder, true)?,
            decoder: stack("decoder", &decoder, false)?,
            norm: Norm { kind: NormKind::Layer, epsilon: 1e-6 },
            activation: of_encoder,
            embedding_scale: if scaled { (width as f32).sqrt() } else { 1.0 },
            positions: toolkits::INTERLEAVED,
            ..network
        }))
    }

    fn frame(&self, keys: &Keys, _spec: &Spec) -> Result<Frame> {
        let tokens = tokens(keys)?;
        let mut frame = tokens.frame(tokens.begin);
        frame.source = Some((Vec::new(), vec![Part::Id(tokens.end)]));
        Ok(frame)
    }

    fn lists(&self, files: &ModelFiles, keys: &Keys) -> Result<Option<Lists>> {
        let tokens = tokens(keys)?;
        let list = |side: &str, usual: &str| -> Result<PieceList> {
            let data = keys.section("data")?;
            let side = data.map(|data| data.section(side)).transpose()?.flatten();
            let named = side.map(|side| side.string("voc_file")).transpose()?.flatten();
            // The directory of a model holds copies; the names in its options are paths on its author's machine.
            let named = named.as_deref().map(file_name).filter(|name| !files.has(usual) && files.has(name));
            let name = named.unwrap_or(usual);
            let text = toolkits::text(files, name)?;
            // A line break alone ends a piece: others may be one.
            let lines = text.strip_suffix('\n').unwrap_or(&text).split('\n').map(str::to_owned);
            Ok(tokens.list(lines.collect(), files.path(name)))
        };
        Ok(Some((list("src", "src_vocab.txt")?, Some(list("trg", "trg_vocab.txt")?))))
    }

    /// Its search never gives the start token, nor the end at once.
    fn search(&self, keys: &Keys, generation: &mut GenerationConfig) -> Result<()> {
        let tokens = tokens(keys)?;
        generation.banned_tokens = vec![tokens.begin];
        generation.begin_banned_tokens = vec![tokens.end];
        if let Some(testing) = keys.section("testing")? {
            generation.num_beams = testing.size("beam_size", 1)?;
        }
        Ok(())
    }
}

/// The ids of the special tokens.
fn tokens(keys: &Keys) -> Result<Tokens> {
    let data = keys.section("data")?;
    let special = data.map(|data| data.section("special_symbols")).transpose()?.flatten();
    let id = |key: &str, default: u32| -> Result<u32> {
        Ok(special.as_ref().map(|special| special.id(key)).transpose()?.flatten().unwrap_or(default))
    };
    Ok(Tokens { unknown: id("unk_id", 0)?, padding: id("pad_id", 1)?, begin: id("bos_id", 2)?, end: id("eos_id", 3)? })
}

/// The last part of a path of somebody's machine.
fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// How the text of one side is cut, as far as its options say it and the files are there.
fn segmentation(files: &ModelFiles, options: &Map<String, Value>, side: &str) -> Option<Value> {
    let data = options.get("data")?;
    let side = data.get(side)?;
    // Before 2.0 both sides had the same.
    if side.get("level").or(data.get("level"))?.as_str()? == "char" {
        return Some(json!({"unit": "characters"}));
    }
    let tokenizer = side.get("tokenizer_cfg")?;
    let beside = |key: &str| tokenizer.get(key).and_then(Value::as_str).map(file_name).filter(|name| files.has(name));
    match (beside("model_file"), beside("codes")) {
        (Some(model), _) => Some(json!({"model": model})),
        (None, Some(codes)) => Some(json!({"codes": codes})),
        (None, None) => None,
    }
}

fn activation(keys: &Keys, side: &Keys) -> Result<Activation> {
    Ok(match side.string("activation")?.as_deref() {
        None | Some("relu") => Activation::Relu,
        Some("gelu") => Activation::Gelu,
        Some("tanh") => Activation::Tanh,
        Some("swish") => Activation::Swish,
        Some(other) => {
            keys.refuse(format!("`activation` {other:?} is not supported; relu, gelu, tanh and swish are"));
            Activation::Identity
        }
    })
}
