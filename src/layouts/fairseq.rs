//! fairseq's Transformer (Ott et al. 2019): `checkpoint_best.pt` with its options inside, and `dict.LANGUAGE.txt`.
//!
//! Options are in `args` or, since 0.10, in `cfg`; what an architecture's name stands for was written into them when training
//! began. Beside each sublayer or before it, sinusoids or learned positions: whatever the options say. The files do not hold how
//! text is cut; it is as for any list of pieces (docs/models.md).

use serde_json::{Map, Value};

use super::hugging_face::first;
use super::rules::Rule;
use super::toolkits::{self, Tokens};
use super::{GenerationConfig, Layout, Lists};
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights};
use crate::compute::{Activation, NormKind};
use crate::spec::{Frequencies, Norm, Order, Positions, Spec, Stack, Transformer};
use crate::text::{Frame, Part, PieceList};
use crate::{Error, Result};

/// The ids that every dictionary begins with.
const TOKENS: Tokens = Tokens { begin: 0, padding: 1, end: 2, unknown: 3 };

/// The first lines of every dictionary, which its file leaves out.
const IMPLIED: [&str; 4] = ["<s>", "<pad>", "</s>", "<unk>"];

/// Options that change the network and are not supported where they are on.
const REFUSED: [&str; 9] = [
    "cross_self_attention",
    "no_cross_attention",
    "adaptive_input",
    "scale_attn",
    "scale_fc",
    "scale_heads",
    "scale_resids",
    "base_layers",
    "char_inputs",
];

/// Tensors that other networks have, and what they are.
const REFUSED_TENSORS: [(&str, &str); 3] = [
    ("adaptive_softmax", "the output layer is an adaptive softmax, which is not supported"),
    ("project_in_dim", "embeddings of another width than the decoder's (`decoder_input_dim`) are not supported"),
    ("project_out_dim", "an output layer of another width than the decoder's (`decoder_output_dim`) is not supported"),
];

/// The family.
pub(super) struct Fairseq;

impl Layout for Fairseq {
    fn name(&self) -> &'static str {
        "fairseq-transformer"
    }

    fn toolkit(&self, _files: &ModelFiles, _weights: &Weights) -> (&'static str, Option<String>) {
        ("fairseq", None)
    }

    fn recognises(&self, tensors: &[&str], said: &Map<String, Value>) -> bool {
        let is_transformer = || tensors.iter().any(|name| name.starts_with("encoder.layers.0.self_attn."));
        (said.contains_key("args") || said.contains_key("cfg")) && is_transformer()
            || tensors.contains(&"encoder.version") && is_transformer()
    }

    fn options(&self, _files: &ModelFiles, weights: &Weights) -> Result<Option<Map<String, Value>>> {
        let said = |key| weights.said().get(key).map(plain).and_then(|value| value.as_object().cloned());
        let Some(cfg) = said("cfg") else { return Ok(said("args")) };
        // The task's options tell the languages.
        let mut options = Map::new();
        for part in ["task", "model"] {
            options.extend(cfg.get(part).and_then(Value::as_object).cloned().unwrap_or_default());
        }
        if let Some(task) = cfg.get("task").and_then(|task| task.get("_name")) {
            options.insert("task".to_owned(), task.clone());
        }
        Ok(Some(options))
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            Rule::Ignore("{side}.version"),
            Rule::Ignore("{side}.embed_positions._float_tensor"),
            Rule::Ignore("{side}.embed_positions.weights"),
            Rule::Split(
                "{side}.layers.{layer}.{attention}.in_proj_{part}",
                &[
                    "model.{side}.layers.{layer}.{attention}.q_proj.{part}",
                    "model.{side}.layers.{layer}.{attention}.k_proj.{part}",
                    "model.{side}.layers.{layer}.{attention}.v_proj.{part}",
                ],
            ),
            Rule::Rename(
                "{side}.layers.{layer}.layer_norms.0.{part}",
                "{side}.layers.{layer}.self_attn_layer_norm.{part}",
            ),
            Rule::Rename(
                "decoder.layers.{layer}.layer_norms.1.{part}",
                "decoder.layers.{layer}.encoder_attn_layer_norm.{part}",
            ),
            Rule::Rename(
                "encoder.layers.{layer}.layer_norms.1.{part}",
                "encoder.layers.{layer}.final_layer_norm.{part}",
            ),
            Rule::Rename(
                "decoder.layers.{layer}.layer_norms.2.{part}",
                "decoder.layers.{layer}.final_layer_norm.{part}",
            ),
            Rule::Copy("decoder.output_projection.weight", &["lm_head.weight"]),
            Rule::Copy("decoder.embed_out", &["lm_head.weight"]),
            Rule::Copy("encoder.{rest}", &["model.encoder.{rest}"]),
            Rule::Copy("decoder.{rest}", &["model.decoder.{rest}"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        for key in REFUSED {
            if toolkits::is_on(keys, key) {
                keys.refuse(format!("`{key}` is not supported"));
            }
        }
        for (part, what) in REFUSED_TENSORS {
            if parameters.names().any(|name| name.contains(part)) {
                keys.refuse(what);
            }
        }
        // Their dictionaries go on with languages, and one of these stands beside every sentence.
        let speaks_many = ["encoder_langtok", "decoder_langtok"].iter().any(|key| toolkits::is_on(keys, key));
        let task = keys.string("task")?.unwrap_or_default();
        if speaks_many || task == "translation_from_pretrained_bart" {
            let advice = "convert it to a Hugging Face directory (transformers has scripts for mBART and M2M100)";
            keys.refuse(format!(
                "sentences with language tokens (task {task:?}) are not supported in this form; {advice}"
            ));
        }
        let network = toolkits::transformer(keys, parameters)?;
        let width = network.width;
        let stack = |side: &str| -> Result<Stack> {
            let heads = keys.size(&format!("{side}_attention_heads"), 8)?;
            // The first versions had no last normalisation, wherever the others stood.
            let final_norm = parameters.contains(&format!("model.{side}.layer_norm.weight"));
            toolkits::stack(
                keys,
                parameters,
                side,
                width,
                heads,
                keys.flag(&format!("{side}_normalize_before"), false)?,
                final_norm,
            )
        };
        let positions = if keys.flag("no_token_positional_embeddings", false)? {
            Positions::None
        } else if keys.flag(first(keys, &["encoder_learned_pos", "decoder_learned_pos"]), false)? {
            let rows =
                parameters.shape("model.encoder.embed_positions.weight").and_then(|shape| shape.first().copied());
            let offset = TOKENS.padding as usize + 1;
            let rows = rows.and_then(|rows| rows.checked_sub(offset)).filter(|&rows| rows > 0);
            let rows = rows.ok_or_else(|| parameters.missing("model.encoder.embed_positions.weight"))?;
            Positions::Learned { rows, offset }
        } else {
            Positions::Sinusoidal {
                order: Order::Halves,
                first_index: TOKENS.padding as usize + 1,
                frequencies: Frequencies::ByLastIndex,
                padding: Some(TOKENS.padding),
            }
        };
        let trained_length = keys.number("max_source_positions")?.filter(|&length| length > 0);
        Ok(Spec::Transformer(Transformer {
            encoder: stack("encoder")?,
            decoder: stack("decoder")?,
            norm: Norm { kind: NormKind::Layer, epsilon: 1e-5 },
            activation: activation(keys)?,
            embedding_scale: if keys.flag("no_scale_embedding", false)? { 1.0 } else { (width as f32).sqrt() },
            embedding_norm: parameters.contains("model.encoder.layernorm_embedding.weight"),
            positions,
            trained_length,
            ..network
        }))
    }

    fn frame(&self, _keys: &Keys, _spec: &Spec) -> Result<Frame> {
        let mut frame = TOKENS.frame(TOKENS.end);
        frame.source = Some((Vec::new(), vec![Part::Id(TOKENS.end)]));
        frame.bans_padding = true;
        Ok(frame)
    }

    fn lists(&self, files: &ModelFiles, keys: &Keys) -> Result<Option<Lists>> {
        let named = |key: &str| -> Result<Option<String>> {
            let name = keys.string(key)?.map(|language| format!("dict.{language}.txt"));
            Ok(match name {
                Some(name) if files.read(&name)?.is_some() => Some(name),
                _ => None,
            })
        };
        let names: Vec<String> = files.names()?.into_iter().filter(|name| is_dictionary(name)).collect();
        let (source, target) = match (named("source_lang")?, named("target_lang")?, names.as_slice()) {
            (Some(source), Some(target), _) => (source, target),
            (_, _, [both]) => (both.clone(), both.clone()),
            (_, _, []) => {
                let problem = "no dictionary here: dict.LANGUAGE.txt of the source and the target language are needed";
                return Err(Error::model(files.path(""), problem));
            }
            (_, _, names) => {
                return Err(keys.error(format!(
                    "does not say the languages; say in config.json which of {} they are: \"source_lang\", \"target_lang\"",
                    names.join(", ")
                )));
            }
        };
        let target = (target != source).then(|| dictionary(files, &target)).transpose()?;
        Ok(Some((dictionary(files, &source)?, target)))
    }

    fn search(&self, _keys: &Keys, generation: &mut GenerationConfig) -> Result<()> {
        toolkits::beam_of_five(generation, 201);
        Ok(())
    }
}

/// A value without the objects of OmegaConf, in which version 0.10 kept its configuration: a container with what it holds as
/// `_content`, a value as `_val`, and a choice of several as a list of its name.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => match (map.get("_content"), map.get("_val")) {
            (Some(content), _) => plain(content),
            (None, Some(Value::Array(choice))) if choice.len() == 1 => choice[0].clone(),
            (None, Some(value)) => value.clone(),
            (None, None) => map.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
        },
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

fn is_dictionary(name: &str) -> bool {
    name.starts_with("dict.") && name.ends_with(".txt") || name == "dict.txt"
}

/// fairseq's names of activations.
fn activation(keys: &Keys) -> Result<Activation> {
    Ok(match keys.string("activation_fn")?.as_deref() {
        None | Some("relu") => Activation::Relu,
        Some("gelu") => Activation::Gelu,
        Some("gelu_accurate" | "gelu_fast") => Activation::GeluTanh,
        Some("tanh") => Activation::Tanh,
        Some("linear") => Activation::Identity,
        Some("swish") => Activation::Swish,
        Some(other) => {
            keys.refuse(format!(
                "`activation_fn` {other:?} is not supported; relu, gelu, gelu_accurate, swish, tanh and linear are"
            ));
            Activation::Identity
        }
    })
}

/// A dictionary: a piece and how often it was seen on each line, after the four tokens that go without saying.
fn dictionary(files: &ModelFiles, name: &str) -> Result<PieceList> {
    let (text, path) = (toolkits::text(files, name)?, files.path(name));
    let mut pieces: Vec<String> = IMPLIED.iter().map(|piece| (*piece).to_owned()).collect();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        let (line, overwrites) = match line.strip_suffix(" #fairseq:overwrite") {
            Some(line) => (line, true),
            None => (line, false),
        };
        let entry = line.rsplit_once(' ').filter(|(_, count)| count.parse::<i64>().is_ok());
        let Some((piece, _)) = entry else {
            let number = index + 1;
            return Err(Error::model(
                &path,
                format!("line {number} is {line:?}; it should be a piece, a space and a count"),
            ));
        };
        // Every line has an id of its own; one that overwrites takes the name of the piece before it.
        if overwrites && let Some(before) = pieces.iter_mut().find(|known| *known == piece) {
            before.push_str(" #fairseq:overwritten");
        }
        pieces.push(piece.to_owned());
    }
    Ok(TOKENS.list(pieces, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_dictionary_has_an_id() {
        let directory = tempfile::tempdir().unwrap();
        let lines = "a 5\n<unk> 4 #fairseq:overwrite\nb c 3\nmadeupword0000 0\n";
        std::fs::write(directory.path().join("dict.xx.txt"), lines).unwrap();
        let files = ModelFiles::Directory(directory.path().to_owned());
        let pieces = dictionary(&files, "dict.xx.txt").unwrap().pieces;
        let expected = ["<s>", "<pad>", "</s>", "<unk> #fairseq:overwritten", "a", "<unk>", "b c", "madeupword0000"];
        assert_eq!(pieces, expected);
        std::fs::write(directory.path().join("dict.xx.txt"), "a 5\nb\n").unwrap();
        let error = dictionary(&files, "dict.xx.txt").unwrap_err().to_string();
        assert!(error.contains("dict.xx.txt: line 2 is \"b\"; it should be a piece, a space and a count"), "{error}");
    }

    #[test]
    fn objects_of_omegaconf_are_what_they_hold() {
        let value = |value: Value| serde_json::json!({"_metadata": {"key": "x"}, "_parent": null, "_val": value});
        let model = serde_json::json!({"_content": {
            "encoder_layers": value(2.into()),
            "activation_fn": value(serde_json::json!(["gelu"])),
            "betas": {"_content": [value(1.into()), value(2.into())], "_metadata": null},
        }});
        let expected = serde_json::json!({"encoder_layers": 2, "activation_fn": "gelu", "betas": [1, 2]});
        assert_eq!(plain(&model), expected);
    }
}
