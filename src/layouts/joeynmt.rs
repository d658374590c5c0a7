//! JoeyNMT's Transformer (Kreutzer, Bastings and Riezler 2019): a directory with `config.yaml`, `best.ckpt` and the vocabularies.
//!
//! Where the normalisation stands is an option of each side; that after the last layer is there where it is stored, because its
//! default differed from that of the layers in version 2. A residual may have a weight (`alpha`).

use serde_json::{Map, Value, json};

use super::rules::Rule;
use super::toolkits::{self, Tokens};
use super::{GenerationConfig, Layout, Lists, hugging_face};
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights, read_yaml};
use crate::compute::{Activation, NormKind};
use crate::spec::{Frequencies, Norm, Order, Positions, Spec, Transformer};
use crate::text::{Frame, Part, PieceList};
use crate::{Error, Result};

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
        let data = options.get("data").cloned().unwrap_or_default();
        let level = data.pointer("/src/level").or(data.get("level")).and_then(Value::as_str);
        if level == Some("char") {
            options.insert("segmentation".to_owned(), json!({"unit": "characters"}));
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
        let (source_vocabulary, target_vocabulary) = hugging_face::vocabulary_sizes(keys, parameters, 1)?;
        let width = toolkits::width(parameters)?;
        let scale = |side: &Keys| -> Result<bool> {
            side.section("embeddings")?.map_or(Ok(false), |embeddings| embeddings.flag("scale", false))
        };
        let stack = |name: &str, side: &Keys, default_before: bool| {
            let final_norm = parameters.contains(&format!("model.{name}.layer_norm.weight"));
            let before = side.string("layer_norm")?.map_or(default_before || final_norm, |place| place == "pre");
            let stack = toolkits::stack(keys, parameters, name, width, side.size("num_heads", 8)?, final_norm)?;
            Ok::<_, Error>((stack, before))
        };
        // Before 2.0 there was no choice: before each sublayer, and after the last.
        let (encoder_stack, before) = stack("encoder", &encoder, true)?;
        let (decoder_stack, decoder_before) = stack("decoder", &decoder, false)?;
        let scaled = toolkits::same_side(keys, "`embeddings.scale`", scale(&encoder)?, scale(&decoder)?);
        let alpha = |side: &Keys| Ok::<_, Error>(side.float("alpha")?.unwrap_or(1.0));
        for side in [&encoder, &decoder] {
            if alpha(side)? != 1.0 {
                keys.refuse("`alpha` other than 1 is not supported");
            }
        }
        Ok(Spec::Transformer(Transformer {
            encoder: encoder_stack,
            decoder: decoder_stack,
            norm: Norm {
                kind: NormKind::Layer,
                epsilon: 1e-6,
                before: toolkits::same_side(keys, "`layer_norm`", before, decoder_before),
            },
            activation: activation(keys, &encoder)?,
            embedding_scale: if scaled { (width as f32).sqrt() } else { 1.0 },
            positions: Positions::Sinusoidal {
                order: Order::Interleaved,
                first_index: 0,
                frequencies: Frequencies::ByWidth,
                padding: None,
            },
            ..toolkits::transformer(parameters, width, source_vocabulary, target_vocabulary)?
        }))
    }

    fn frame(&self, keys: &Keys, _spec: &Spec) -> Result<Frame> {
        let data = keys.section("data")?;
        let id = |key: &str, default: u32| -> Result<u32> {
            let special = data.as_ref().map(|data| data.section("special_symbols")).transpose()?.flatten();
            Ok(special.map(|special| special.id(key)).transpose()?.flatten().unwrap_or(default))
        };
        let tokens = Tokens {
            unknown: id("unk_id", 0)?,
            padding: id("pad_id", 1)?,
            begin: id("bos_id", 2)?,
            end: id("eos_id", 3)?,
        };
        let mut frame = tokens.frame(tokens.begin);
        frame.source = Some((Vec::new(), vec![Part::Id(tokens.end)]));
        Ok(frame)
    }

    fn lists(&self, files: &ModelFiles, keys: &Keys) -> Result<Option<Lists>> {
        let list = |side: &str, usual: &str| -> Result<PieceList> {
            let data = keys.section("data")?;
            let side = data.map(|data| data.section(side)).transpose()?.flatten();
            let named = side.map(|side| side.string("voc_file")).transpose()?.flatten();
            // The directory of a model holds copies; the names in its options are paths on its author's machine.
            let named = named.and_then(|name| name.rsplit('/').next().map(str::to_owned));
            let name = if files.read(usual)?.is_some() { usual.to_owned() } else { named.unwrap_or(usual.to_owned()) };
            let text = toolkits::text(files, &name)?;
            Ok(PieceList::new(text.lines().map(str::to_owned).collect(), files.path(&name)))
        };
        Ok(Some((list("src", "src_vocab.txt")?, Some(list("trg", "trg_vocab.txt")?))))
    }

    fn search(&self, keys: &Keys, generation: &mut GenerationConfig) -> Result<()> {
        if let Some(testing) = keys.section("testing")? {
            generation.num_beams = testing.size("beam_size", 1)?;
        }
        Ok(())
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
