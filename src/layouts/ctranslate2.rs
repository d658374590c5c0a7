//! CTranslate2's directories: `model.bin`, from version 4 of its binary format on `config.json`, and lists of pieces.
//!
//! Whatever a converter found is in the file: where norms stand, scales, activations. Nothing is put around a source but what
//! `add_source_bos` and `add_source_eos` say, as there.

use serde_json::{Map, Value, json};

use super::hugging_face;
use super::rules::Rule;
use super::toolkits;
use super::{EarlyStopping, GenerationConfig, Layout, Lists};
use crate::Result;
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights};
use crate::compute::{Activation, NormKind};
use crate::spec::{Frequencies, Norm, Order, Positions, RelativeBias, Spec, Stack, Transformer};
use crate::text::{Frame, Part, PieceList, Specials};

/// The specification of a translation model; the first files had none, or one that says how many heads there are.
const SPECS: [&str; 4] = ["TransformerSpec", "TransformerBase", "TransformerBig", ""];

/// What a network may have here that is not supported, by a part of a tensor's name.
const REFUSED: [(&str, &str); 10] = [
    ("embeddings_1/", "features beside the words of the source"),
    ("project_in", "a layer between embeddings and decoder"),
    ("project_out", "a layer between decoder and output"),
    ("shared_layer_norm", "attention and feed-forward side by side"),
    ("input_layer_norm", "attention and feed-forward side by side"),
    ("post_attention_layer_norm", "norms after attention"),
    ("q_norm", "norms of queries"),
    ("relative_asymmetric_position_keys", "distances that count further to one side"),
    ("memory_kv", "several parts of the memory's keys"),
    ("weight_packed", "packed matrices"),
];

/// The family.
pub(super) struct CTranslate2;

impl Layout for CTranslate2 {
    fn name(&self) -> &'static str {
        "ctranslate2"
    }

    fn toolkit(&self, _files: &ModelFiles, weights: &Weights) -> (&'static str, Option<String>) {
        let said = |key: &str| weights.said().get(key).map(ToString::to_string).unwrap_or_default();
        let (binary, spec, revision) = (said("binary_version"), said("spec"), said("revision"));
        let version = format!("(binary version {binary}, {} revision {revision})", spec.trim_matches('"'));
        ("CTranslate2", Some(version))
    }

    fn recognises(&self, _tensors: &[&str], said: &Map<String, Value>) -> bool {
        said.contains_key("binary_version") && said.contains_key("spec")
    }

    fn options(&self, files: &ModelFiles, weights: &Weights) -> Result<Option<Map<String, Value>>> {
        let mut options = weights.said().clone();
        if options.is_empty() {
            return Ok(None);
        }
        // Before version 6 of the binary format the file itself said what config.json says since.
        for (key, old) in [("add_source_bos", "with_source_bos"), ("add_source_eos", "with_source_eos")] {
            options.insert(key.to_owned(), json!(options.get(old).is_some_and(|flag| *flag != json!(0))));
        }
        let starts = options.get("with_target_bos").is_none_or(|flag| *flag != json!(0));
        let start = if options.get("user_decoder_start_tokens").is_some_and(|flag| *flag != json!(0)) {
            Value::Null
        } else {
            let name = if starts { "bos_token" } else { "eos_token" };
            options.get(name).cloned().unwrap_or(json!(if starts { "<s>" } else { "</s>" }))
        };
        options.insert("decoder_start_token".to_owned(), start);
        if let Some(alignment) = alignment(weights) {
            options.insert("alignment".to_owned(), alignment);
        }
        let keys = Keys::of(files.path("config.json"), options.clone());
        let keys = match Keys::read(files, "config.json")? {
            Some(config) => config.over(options.clone()),
            None => keys,
        };
        let (source, target) = lists(files, &keys)?;
        let target = target.as_ref().unwrap_or(&source);
        let start = keys.string("decoder_start_token")?;
        // The ids of tokens, so that nothing but the lists themselves is needed to number pieces.
        let ids = [
            ("source_begin_id", source.specials.begin),
            ("source_end_id", source.specials.end),
            ("start_id", start.and_then(|token| position(target, &token).or(target.specials.unknown))),
            ("end_id", target.specials.end),
            ("padding_id", target.specials.padding),
        ];
        options.extend(ids.map(|(key, id)| (key.to_owned(), json!(id))));
        Ok(Some(options))
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            Rule::Rename("{any}/gamma", "{any}/weight"),
            Rule::Rename("{any}/beta", "{any}/bias"),
            Rule::Rename("{side}/embeddings_0/{rest}", "{side}/embeddings/{rest}"),
            Rule::Rename("{side}/layer_{layer}/{rest}", "model.{side}.layers.{layer}.{rest}"),
            Rule::Split(
                "model.{side}.layers.{layer}.self_attention/linear_0/{part}",
                &[
                    "model.{side}.layers.{layer}.self_attn.q_proj.{part}",
                    "model.{side}.layers.{layer}.self_attn.k_proj.{part}",
                    "model.{side}.layers.{layer}.self_attn.v_proj.{part}",
                ],
            ),
            Rule::Split(
                "model.decoder.layers.{layer}.attention/linear_1/{part}",
                &[
                    "model.decoder.layers.{layer}.encoder_attn.k_proj.{part}",
                    "model.decoder.layers.{layer}.encoder_attn.v_proj.{part}",
                ],
            ),
            Rule::Copy(
                "model.{side}.layers.{layer}.self_attention/linear_1/{part}",
                &["model.{side}.layers.{layer}.self_attn.out_proj.{part}"],
            ),
            Rule::Copy(
                "model.{side}.layers.{layer}.self_attention/layer_norm/{part}",
                &["model.{side}.layers.{layer}.self_attn_layer_norm.{part}"],
            ),
            Rule::Copy(
                "model.{side}.layers.{layer}.self_attention/relative_position_{which}",
                &["model.{side}.layers.{layer}.self_attn.relative_{which}.weight"],
            ),
            Rule::Copy(
                "model.{side}.layers.{layer}.self_attention/relative_attention_bias",
                &["model.{side}.layers.{layer}.self_attn.relative_attention_bias.weight"],
            ),
            Rule::Copy(
                "model.decoder.layers.{layer}.attention/linear_0/{part}",
                &["model.decoder.layers.{layer}.encoder_attn.q_proj.{part}"],
            ),
            Rule::Copy(
                "model.decoder.layers.{layer}.attention/linear_2/{part}",
                &["model.decoder.layers.{layer}.encoder_attn.out_proj.{part}"],
            ),
            Rule::Copy(
                "model.decoder.layers.{layer}.attention/layer_norm/{part}",
                &["model.decoder.layers.{layer}.encoder_attn_layer_norm.{part}"],
            ),
            Rule::Copy(
                "model.{side}.layers.{layer}.ffn/layer_norm/{part}",
                &["model.{side}.layers.{layer}.final_layer_norm.{part}"],
            ),
            Rule::Copy("model.{side}.layers.{layer}.ffn/linear_0/{part}", &["model.{side}.layers.{layer}.fc1.{part}"]),
            Rule::Copy("model.{side}.layers.{layer}.ffn/linear_1/{part}", &["model.{side}.layers.{layer}.fc2.{part}"]),
            Rule::Copy(
                "model.{side}.layers.{layer}.ffn/linear_0_noact/{part}",
                &["model.{side}.layers.{layer}.fc1_gate.{part}"],
            ),
            Rule::Copy("{side}/embeddings/weight", &["model.{side}.embed_tokens.weight"]),
            Rule::Copy("{side}/position_encodings/encodings", &["model.{side}.embed_positions.weight"]),
            Rule::Copy("{side}/layernorm_embedding/{part}", &["model.{side}.layernorm_embedding.{part}"]),
            Rule::Copy("decoder/projection/{part}", &["lm_head.{part}"]),
            Rule::Copy("{side}/layer_norm/{part}", &["model.{side}.layer_norm.{part}"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        let specification = keys.string("spec")?.unwrap_or_default();
        if !SPECS.contains(&specification.as_str()) {
            keys.refuse(format!("{specification:?} is no translation model with an encoder and a decoder"));
            keys.supported()?;
        }
        for (part, what) in REFUSED {
            if parameters.names().any(|name| name.contains(part)) {
                keys.refuse(format!("{what} ({part}) is not supported"));
            }
        }
        for key in ["alibi", "rotary_dim", "sliding_window", "final_logit_softcapping"] {
            if ["encoder", "decoder"].iter().any(|side| toolkits::is_on(keys, &format!("{side}/{key}"))) {
                keys.refuse(format!("`{key}` is not supported"));
            }
        }
        let network = toolkits::transformer(keys, parameters)?;
        let width = network.width;
        let default_heads = if specification == "TransformerBig" { 16 } else { 8 };
        let flag = |name: &str, default: i64| -> Result<bool> {
            let of = |side: &str| Ok::<_, crate::Error>(number(keys, side, name)?.unwrap_or(default));
            Ok(toolkits::same_side(keys, &format!("`{name}`"), of("encoder")? != 0, of("decoder")? != 0))
        };
        let norm_before = flag("pre_norm", 1)?;
        let stack = |side: &str| -> Result<Stack> {
            let heads = number(keys, side, "num_heads")?.map_or(default_heads, |heads| heads.max(1) as usize);
            let final_norm = parameters.contains(&format!("model.{side}.layer_norm.weight"));
            // Heads need not share the model's width: T5's do not.
            let rows = parameters.shape(&format!("model.{side}.layers.0.self_attn.q_proj.weight"));
            let inner = rows.and_then(|shape| shape.first().copied()).unwrap_or(width);
            let stack = toolkits::stack(keys, parameters, side, inner, heads, norm_before, final_norm)?;
            Ok(Stack { head_width: inner / heads, ..stack })
        };
        if number(keys, "encoder", "activation")? != number(keys, "decoder", "activation")? {
            keys.refuse("`activation` differs between encoder and decoder, which is not supported");
        }
        let first = "model.encoder.layers.0";
        let is_rms = !parameters.contains(&format!("{first}.final_layer_norm.bias"));
        let bias_name = |layer: usize| format!("model.encoder.layers.{layer}.self_attn.relative_attention_bias.weight");
        let relative_bias = match parameters.shape(&bias_name(0)) {
            Some(shape) => Some(RelativeBias {
                buckets: shape[0],
                max_distance: number(keys, "encoder", "layer_0/self_attention/relative_attention_max_distance")?
                    .map_or(128, |distance| distance.clamp(0, 1 << 16) as usize),
                every_layer: own_biases(parameters)?,
            }),
            None => None,
        };
        if relative_bias.is_some_and(|bias| bias.buckets < 4 || bias.max_distance <= bias.buckets / 2) {
            keys.refuse("a relative attention bias of such a number of buckets and distances is not supported");
        }
        let is_relative =
            relative_bias.is_some() || parameters.contains(&format!("{first}.self_attn.relative_keys.weight"));
        let table = parameters.shape("model.encoder.embed_positions.weight").and_then(|shape| shape.first().copied());
        let positions = match table {
            _ if is_relative => Positions::None,
            Some(rows) => Positions::Learned { rows, offset: 0 },
            None => Positions::Sinusoidal {
                order: Order::Halves,
                first_index: 1,
                frequencies: Frequencies::ByLastIndex,
                padding: None,
            },
        };
        let scale = embedding_scale(keys, "encoder", width)?;
        if scale != embedding_scale(keys, "decoder", width)? {
            keys.refuse("`scale_embeddings` differs between encoder and decoder, which is not supported");
        }
        let epsilon = keys.float("layer_norm_epsilon")?.unwrap_or(if is_rms { 1e-6 } else { 1e-5 });
        Ok(Spec::Transformer(Transformer {
            encoder: stack("encoder")?,
            decoder: stack("decoder")?,
            norm: Norm { kind: if is_rms { NormKind::Rms } else { NormKind::Layer }, epsilon },
            activation: activation(keys)?,
            attention_scale: keys.float("encoder/layer_0/self_attention/queries_scale")?,
            bias: false,
            embedding_scale: scale,
            embedding_norm: parameters.contains("model.encoder.layernorm_embedding.weight"),
            positions,
            relative_bias,
            output_scale: keys.float("decoder/scale_outputs")?.unwrap_or(1.0),
            starts_from_zero: number(keys, "decoder", "start_from_zero_embedding")?.unwrap_or(0) != 0,
            ..network
        }))
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        let (source_size, target_size) = spec.vocabulary_sizes();
        let missing = |token: &str| keys.error(format!("the vocabulary has no {token}, which the model needs"));
        let around = |flag: &str, id: &str, token: &str| -> Result<Vec<Part>> {
            if !keys.flag(flag, false)? {
                return Ok(Vec::new());
            }
            let found = keys.id(id)?.ok_or_else(|| missing(token))?;
            keys.in_vocabulary(id, found, source_size)?;
            Ok(vec![Part::Id(found)])
        };
        let before = around("add_source_bos", "source_begin_id", "begin of a sentence (`bos_token`)")?;
        let after = around("add_source_eos", "source_end_id", "end of a sentence (`eos_token`)")?;
        if after.is_empty() && matches!(spec, Spec::Transformer(spec) if spec.starts_from_zero) {
            keys.note(
                "nothing is appended to a source, as in CTranslate2; a Marian model that was converted from Hugging Face needs \
                 \"add_source_eos\": true",
            );
        }
        let end = keys.id("end_id")?.ok_or_else(|| missing("sentence end (`eos_token`)"))?;
        // A caller who has to say it says the language of the translation.
        let start = keys.id("start_id")?;
        keys.in_vocabulary("end_id", end.max(start.unwrap_or(0)), target_size)?;
        let padding = keys.id("padding_id")?.unwrap_or(end);
        Ok(Frame::new(Some((before, after)), start.map_or(Part::TargetLanguage, Part::Id), end, padding))
    }

    fn lists(&self, files: &ModelFiles, keys: &Keys) -> Result<Option<Lists>> {
        lists(files, keys).map(Some)
    }

    fn search(&self, _keys: &Keys, generation: &mut GenerationConfig) -> Result<()> {
        // Its translation options: a beam of two, no empty translation, at most 256 tokens.
        generation.num_beams = 2;
        generation.max_length = 257;
        generation.min_length = 2;
        generation.early_stopping = EarlyStopping::WhenFull;
        generation.renormalize_logits = true;
        Ok(())
    }
}

/// A whole number of one side; before revision 5 both sides had those of the model.
fn number(keys: &Keys, side: &str, name: &str) -> Result<Option<i64>> {
    let own = format!("{side}/{name}");
    let key = if keys.value(&own).is_some() { own } else { name.to_owned() };
    let Some(value) = keys.value(&key) else { return Ok(None) };
    value.as_i64().map(Some).ok_or_else(|| keys.wrong(&key, value, "a whole number"))
}

/// Whether any layer has a relative attention bias that is not that of the first.
fn own_biases(parameters: &Parameters) -> Result<bool> {
    for side in ["encoder", "decoder"] {
        let name = |layer: usize| format!("model.{side}.layers.{layer}.self_attn.relative_attention_bias.weight");
        for other in (1..).map(name).take_while(|other| parameters.contains(other)) {
            if !parameters.same(&name(0), &other)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// What embeddings are multiplied by: a flag, or since revision 6 perhaps the number itself.
fn embedding_scale(keys: &Keys, side: &str, width: usize) -> Result<f32> {
    let names = [format!("{side}/scale_embeddings"), format!("{side}/embeddings/multiply_by_sqrt_depth")];
    let key = hugging_face::first(keys, &names.each_ref().map(String::as_str)).to_owned();
    Ok(match keys.value(&key) {
        Some(Value::Number(flag)) if flag.is_i64() || flag.is_u64() => {
            if flag.as_i64() == Some(0) {
                1.0
            } else {
                (width as f32).sqrt()
            }
        }
        None => (width as f32).sqrt(),
        _ => keys.float(&key)?.unwrap_or(1.0),
    })
}

fn activation(keys: &Keys) -> Result<Activation> {
    Ok(match number(keys, "encoder", "activation")?.unwrap_or(0) {
        0 => Activation::Relu,
        1 => Activation::GeluTanh,
        2 => Activation::Swish,
        3 => Activation::Gelu,
        4 => Activation::QuickGelu,
        5 => Activation::Tanh,
        6 => Activation::Sigmoid,
        other => {
            keys.refuse(format!("activation number {other} is not known"));
            Activation::Identity
        }
    })
}

/// The decoder layer, and its head, whose attention the converter holds for the alignment.
fn alignment(weights: &Weights) -> Option<Value> {
    let said = |name: &str| {
        let own = weights.said().get(&format!("decoder/{name}"));
        own.or_else(|| weights.said().get(name))?.as_i64()
    };
    let layers =
        (0..).take_while(|layer| weights.contains(&format!("decoder/layer_{layer}/ffn/linear_0/weight"))).count();
    let layer = said("alignment_layer")?;
    let layer = if layer < 0 { layer + layers as i64 } else { layer };
    let heads = said("alignment_heads").unwrap_or(1);
    let layer = usize::try_from(layer).ok().filter(|&layer| layer < layers)?;
    // The mean of so many is taken, from the first; of all, where it is none.
    Some(match heads {
        0 => json!({"layer": layer}),
        heads => {
            let heads = heads.min(said("num_heads").unwrap_or(heads));
            json!({"layer": layer, "head": (0..heads).collect::<Vec<_>>()})
        }
    })
}

/// The lists of pieces of both sides.
fn lists(files: &ModelFiles, keys: &Keys) -> Result<Lists> {
    if files.has("source_1_vocabulary.json") || files.has("source_1_vocabulary.txt") {
        return Err(keys.error("the source has features beside its words, which are not supported"));
    }
    let read = |side: &str| -> Result<Option<PieceList>> {
        for (name, is_json) in [(format!("{side}_vocabulary.json"), true), (format!("{side}_vocabulary.txt"), false)] {
            if files.has(&name) {
                let pieces = pieces(&toolkits::text(files, &name)?, is_json);
                let pieces =
                    pieces.ok_or_else(|| crate::Error::model(files.path(&name), "is no list of pieces in JSON"))?;
                return list(pieces, files.path(&name), keys).map(Some);
            }
        }
        Ok(None)
    };
    if let Some(shared) = read("shared")? {
        return Ok((shared, None));
    }
    let missing = |side: &str| {
        let problem = "this vocabulary is missing; CTranslate2's converters write it beside model.bin";
        crate::Error::model(files.path(format!("{side}_vocabulary.json")), problem)
    };
    let source = read("source")?.ok_or_else(|| missing("source"))?;
    Ok((source, Some(read("target")?.ok_or_else(|| missing("target"))?)))
}

/// The pieces of a file: a JSON list, or a line each, of which carriage returns are part unless all have one.
fn pieces(text: &str, is_json: bool) -> Option<Vec<String>> {
    if is_json {
        return serde_json::from_str(text).ok();
    }
    let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
    let ending = if lines.iter().all(|line| line.ends_with('\r')) { "\r" } else { "" };
    Some(lines.iter().map(|line| line.strip_suffix(ending).unwrap_or(line).to_owned()).collect())
}

fn position(list: &PieceList, token: &str) -> Option<u32> {
    list.pieces.iter().position(|piece| piece == token).map(|id| id as u32)
}

/// A list with its special tokens; the unknown one follows it if it is not there.
fn list(mut pieces: Vec<String>, path: std::path::PathBuf, keys: &Keys) -> Result<PieceList> {
    let token = |key: &str, default: &str| Ok::<_, crate::Error>(keys.string(key)?.unwrap_or(default.to_owned()));
    let unknown = token("unk_token", "<unk>")?;
    if !pieces.contains(&unknown) {
        pieces.push(unknown.clone());
    }
    let list = PieceList::new(pieces, path);
    let id = |token: String| position(&list, &token);
    let (begin, end) = (id(token("bos_token", "<s>")?), id(token("eos_token", "</s>")?));
    let specials = Specials { unknown: id(unknown), padding: list.specials.padding, begin, end };
    Ok(PieceList { specials, ..list })
}
