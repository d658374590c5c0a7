//! Transformers in Marian's own files (Junczys-Dowmunt et al. 2018): `.npz` and `.bin` with the options inside, as OPUS-MT publishes them and
//! Firefox uses them, with vocabularies in YAML, one piece a line, or SentencePiece.
//!
//! Matrices are stored `[inputs, outputs]`. What stands around a sublayer is an option of letters, executed in their order: `n`
//! a norm, `r` one by the root mean square, `a` the residual, `d` nothing at inference. The first vector the decoder gets is
//! zero, `<unk>` is never produced, and ε is 1e-6, unlike what Hugging Face does with the same weights.

use serde_json::{Map, Value, json};

use super::marian_vocabulary;
use super::rules::Rule;
use super::toolkits;
use super::{EarlyStopping, GenerationConfig, Layout, Lists};
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights, read_yaml};
use crate::compute::{Activation, NormKind};
use crate::spec::{Frequencies, Norm, Order, Past, Positions, Spec, Stack, Transformer};
use crate::text::{Frame, Part};
use crate::{Error, Result};

/// Options that change the network in a way that is not supported where they are on.
const REFUSED: [&str; 7] = [
    "transformer-no-projection",
    "transformer-pool",
    "ulr",
    "lemma-dim-emb",
    "transformer-no-bias",
    "transformer-no-affine",
    "right-left",
];

/// The files in which a decoder's options may lie beside the weights.
const DECODERS: [&str; 2] = ["decoder.yml", "config.yml"];

/// The family.
pub(super) struct MarianNative;

impl Layout for MarianNative {
    fn name(&self) -> &'static str {
        "marian-native"
    }

    fn toolkit(&self, _files: &ModelFiles, weights: &Weights) -> (&'static str, Option<String>) {
        let version = weights.said().get("version").and_then(Value::as_str);
        ("Marian", version.map(|version| version.chars().take(40).collect()))
    }

    fn recognises(&self, tensors: &[&str], said: &Map<String, Value>) -> bool {
        said.contains_key("dim-emb") || tensors.contains(&"encoder_l1_self_Wq")
    }

    fn options(&self, files: &ModelFiles, weights: &Weights) -> Result<Option<Map<String, Value>>> {
        let mut options = weights.said().clone();
        if !options.contains_key("dim-emb") {
            return Ok(None);
        }
        // Whether a decoder writes it is not the model's affair, and ours is another key.
        options.shift_remove("alignment");
        for name in DECODERS {
            if let Some(decoder) = read_yaml(files, name)? {
                if let Some(vocabularies) = decoder.get("vocabs") {
                    options.insert("vocabs".to_owned(), vocabularies.clone());
                }
                options.insert("decoder".to_owned(), Value::Object(decoder));
                break;
            }
        }
        // The programs for which matrices are stored in 8 bits search greedily.
        options.insert("student".to_owned(), json!(weights.is_int8()));
        if options.get("guided-alignment").and_then(Value::as_str).is_some_and(|kind| kind != "none") {
            let layers = options.get("dec-depth").and_then(Value::as_u64).unwrap_or(1);
            let layer = options.get("transformer-guided-alignment-layer");
            let layer =
                layer.and_then(|layer| layer.as_u64().or_else(|| layer.as_str()?.parse().ok())).unwrap_or(layers);
            options.insert("alignment".to_owned(), json!({"layer": layer.saturating_sub(1), "head": 0}));
        }
        marian_vocabulary::options(files, weights, &mut options)?;
        Ok(Some(options))
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            Rule::Ignore("{any}_QuantMultA"),
            Rule::Rename("{any}_ln_scale_pre", "{any}_ln.weight"),
            Rule::Rename("{any}_ln_bias_pre", "{any}_ln.bias"),
            Rule::Rename("{any}_ln_scale", "{any}_ln.weight"),
            Rule::Rename("{any}_ln_bias", "{any}_ln.bias"),
            Rule::Rename("{side}_l{number}_{rest}", "{side}.layers.{number}.{rest}"),
            Rule::Copy(
                "{side}.layers.{layer}.self_Wo_ln.{part}",
                &["model.{side}.layers.{layer}.self_attn_layer_norm.{part}"],
            ),
            Rule::Copy(
                "{side}.layers.{layer}.rnn_ffn_ln.{part}",
                &["model.{side}.layers.{layer}.self_attn_layer_norm.{part}"],
            ),
            Rule::Copy(
                "{side}.layers.{layer}.rnn_ln.{part}",
                &["model.{side}.layers.{layer}.self_attn_layer_norm.{part}"],
            ),
            Rule::Copy(
                "{side}.layers.{layer}.aan_ffn_ln.{part}",
                &["model.{side}.layers.{layer}.self_attn_layer_norm.{part}"],
            ),
            Rule::Copy(
                "{side}.layers.{layer}.context_Wo_ln.{part}",
                &["model.{side}.layers.{layer}.encoder_attn_layer_norm.{part}"],
            ),
            Rule::Copy(
                "{side}.layers.{layer}.ffn_ffn_ln.{part}",
                &["model.{side}.layers.{layer}.final_layer_norm.{part}"],
            ),
            Rule::Rename("{side}.layers.{layer}.self_{rest}", "{side}.layers.{layer}.self_attn.{rest}"),
            Rule::Rename("{side}.layers.{layer}.context_{rest}", "{side}.layers.{layer}.encoder_attn.{rest}"),
            Rule::Transpose(
                "{side}.layers.{layer}.{attention}.Wo",
                "model.{side}.layers.{layer}.{attention}.out_proj.weight",
            ),
            Rule::Copy(
                "{side}.layers.{layer}.{attention}.bo",
                &["model.{side}.layers.{layer}.{attention}.out_proj.bias"],
            ),
            Rule::Transpose(
                "{side}.layers.{layer}.{attention}.W{which}",
                "model.{side}.layers.{layer}.{attention}.{which}_proj.weight",
            ),
            Rule::Copy(
                "{side}.layers.{layer}.{attention}.b{which}",
                &["model.{side}.layers.{layer}.{attention}.{which}_proj.bias"],
            ),
            Rule::Transpose("{side}.layers.{layer}.ffn_W{which}", "model.{side}.layers.{layer}.fc{which}.weight"),
            Rule::Copy("{side}.layers.{layer}.ffn_b{which}", &["model.{side}.layers.{layer}.fc{which}.bias"]),
            Rule::Transpose("{side}.layers.{layer}.rnn_W", "model.{side}.layers.{layer}.ssru.input.weight"),
            Rule::Transpose("{side}.layers.{layer}.rnn_Wf", "model.{side}.layers.{layer}.ssru.forget.weight"),
            Rule::Copy("{side}.layers.{layer}.rnn_bf", &["model.{side}.layers.{layer}.ssru.forget.bias"]),
            Rule::Transpose("{side}.layers.{layer}.rnn_Wo", "model.{side}.layers.{layer}.ssru.output.weight"),
            Rule::Copy("{side}.layers.{layer}.rnn_bo", &["model.{side}.layers.{layer}.ssru.output.bias"]),
            Rule::Transpose("{side}.layers.{layer}.aan_Wi", "model.{side}.layers.{layer}.average.input_gate.weight"),
            Rule::Copy("{side}.layers.{layer}.aan_bi", &["model.{side}.layers.{layer}.average.input_gate.bias"]),
            Rule::Transpose("{side}.layers.{layer}.aan_Wf", "model.{side}.layers.{layer}.average.forget_gate.weight"),
            Rule::Copy("{side}.layers.{layer}.aan_bf", &["model.{side}.layers.{layer}.average.forget_gate.bias"]),
            Rule::Transpose(
                "{side}.layers.{layer}.aan_W{which}",
                "model.{side}.layers.{layer}.average.fc{which}.weight",
            ),
            Rule::Copy("{side}.layers.{layer}.aan_b{which}", &["model.{side}.layers.{layer}.average.fc{which}.bias"]),
            Rule::Copy("{side}_emb_ln.{part}", &["model.{side}.layernorm_embedding.{part}"]),
            Rule::Copy("{side}_top_ln.{part}", &["model.{side}.layer_norm.{part}"]),
            Rule::Copy("Wemb", &["model.shared.weight"]),
            Rule::Copy("{side}_Wemb", &["model.{side}.embed_tokens.weight"]),
            Rule::Copy("Wpos", &["model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight"]),
            Rule::Transpose("decoder_ff_logit_out_W", "lm_head.weight"),
            Rule::Copy("decoder_ff_logit_out_Wt", &["lm_head.weight"]),
            Rule::Copy("decoder_ff_logit_out_b", &["final_logits_bias"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        let kind = keys.string("type")?.unwrap_or_default();
        if kind != "transformer" {
            keys.refuse(format!("`type` {kind:?} is not supported; transformer is"));
            keys.supported()?;
        }
        one_model(keys)?;
        for key in REFUSED {
            if is_on(keys, key) {
                keys.refuse(format!("`{key}` is not supported"));
            }
        }
        if parameters.names().any(|name| name.contains("_enc2")) {
            keys.refuse("a second encoder is not supported");
        }
        let tied = keys.value("transformer-tied-layers").and_then(Value::as_array);
        if tied.is_some_and(|layers| (1..).zip(layers).any(|(own, layer)| layer.as_u64() != Some(own))) {
            keys.refuse("`transformer-tied-layers` is not supported");
        }
        let letters = |key: &str| Ok::<_, Error>(keys.string(key)?.unwrap_or_default().replace('d', ""));
        let (before, after) = (letters("transformer-preprocess")?, letters("transformer-postprocess")?);
        let is_rms = before == "r" || after == "ar";
        let before = match (before.as_str(), after.as_str()) {
            ("n" | "r", "a") => true,
            ("", "an" | "ar") => false,
            _ => {
                keys.refuse(format!(
                    "`transformer-preprocess` {before:?} with `transformer-postprocess` {after:?} is not supported; \"\" with \
                     \"an\", \"n\" with \"a\", and the same with r are"
                ));
                false
            }
        };
        let has_norm = |key: &str| -> Result<bool> {
            let found = letters(key)?;
            if !["", "n", "r"].contains(&found.as_str()) {
                keys.refuse(format!("`{key}` {found:?} is not supported; \"n\" is"));
            }
            Ok(!found.is_empty())
        };
        let (embedding_norm, final_norm) =
            (has_norm("transformer-postprocess-emb")?, has_norm("transformer-postprocess-top")?);
        let network = toolkits::transformer(keys, parameters)?;
        let width = network.width;
        let heads = keys.size("transformer-heads", 8)?;
        let stack = |side: &str| -> Result<Stack> {
            if !parameters.contains(&format!("model.{side}.layers.0.fc2.weight")) {
                keys.refuse("`transformer-ffn-depth` less than 2 is not supported");
                keys.supported()?;
            }
            toolkits::stack(keys, parameters, side, width, heads, before, final_norm)
        };
        let table = parameters.shape("model.encoder.embed_positions.weight").and_then(|shape| shape.first().copied());
        let positions = match table {
            Some(rows) => Positions::Learned { rows, offset: 0 },
            None => Positions::Sinusoidal {
                order: Order::Halves,
                first_index: 0,
                frequencies: Frequencies::ByLastIndex,
                padding: None,
            },
        };
        let past = match keys.string("transformer-decoder-autoreg")?.as_deref() {
            None | Some("self-attention") => Past::Attention,
            Some("rnn") => {
                let cell = keys.string("dec-cell")?.unwrap_or_default();
                if cell != "ssru" {
                    keys.refuse(format!("`dec-cell` {cell:?} in a Transformer is not supported; ssru is"));
                }
                if is_on(keys, "layer-normalization") {
                    keys.refuse("`layer-normalization` inside of `dec-cell` ssru is not supported");
                }
                Past::Ssru
            }
            Some("average-attention") => {
                if before {
                    keys.refuse(
                        "`transformer-decoder-autoreg` average-attention with norms before sublayers is not supported",
                    );
                }
                Past::Average { activation: activation(keys, "transformer-aan-activation", Activation::Swish)? }
            }
            Some(other) => {
                keys.refuse(format!("`transformer-decoder-autoreg` {other:?} is not supported"));
                Past::Attention
            }
        };
        Ok(Spec::Transformer(Transformer {
            encoder: stack("encoder")?,
            decoder: stack("decoder")?,
            norm: Norm { kind: if is_rms { NormKind::Rms } else { NormKind::Layer }, epsilon: 1e-6 },
            activation: activation(keys, "transformer-ffn-activation", Activation::Swish)?,
            gated: false,
            embedding_scale: if table.is_some() { 1.0 } else { (width as f32).sqrt() },
            embedding_norm,
            positions,
            past,
            starts_from_zero: true,
            ..network
        }))
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        let (_, target_size) = spec.vocabulary_sizes();
        let end = keys.id("end_id")?.unwrap_or(0);
        keys.in_vocabulary("end_id", end, target_size)?;
        // Whatever the decoder is fed first, a vector of zeros takes its place.
        Ok(Frame::new(Some((Vec::new(), vec![Part::SourceEnd])), Part::Id(end), end, end))
    }

    fn lists(&self, files: &ModelFiles, keys: &Keys) -> Result<Option<Lists>> {
        marian_vocabulary::lists(files, keys).map(Some)
    }

    fn search(&self, keys: &Keys, generation: &mut GenerationConfig) -> Result<()> {
        let decoder = keys.section("decoder")?;
        let decoder = decoder.as_ref();
        let said = |key: &str| Ok::<_, Error>(decoder.map(|decoder| decoder.float(key)).transpose()?.flatten());
        let is_student = keys.flag("student", false)?;
        let beams = decoder.map(|decoder| decoder.number("beam-size")).transpose()?.flatten();
        generation.num_beams = beams.filter(|&beams| beams > 0).unwrap_or(if is_student { 1 } else { 12 });
        generation.length_penalty = said("normalize")?.unwrap_or(if is_student { 1.0 } else { 0.0 });
        generation.early_stopping = EarlyStopping::Shrink;
        generation.renormalize_logits = true;
        if let Some(unknown) = keys.id("unknown_id")? {
            generation.banned_tokens.push(unknown);
        }
        if said("word-penalty")?.is_some_and(|penalty| penalty != 0.0) {
            generation.ignored.push("`word-penalty`".to_owned());
        }
        Ok(())
    }
}

/// Says so where a decoder's options name several models.
///
/// # Errors
/// If the options have the wrong type.
pub(super) fn one_model(keys: &Keys) -> Result<()> {
    let models = keys.section("decoder")?.and_then(|decoder| Some(decoder.value("models")?.as_array()?.len()));
    if models.is_some_and(|models| models > 1) {
        keys.note("decoder.yml names several models that vote on every token; only the first is used");
    }
    Ok(())
}

/// The file of weights that a decoder's options name, if it lies with them; of several the first.
///
/// # Errors
/// If the options cannot be read.
pub(super) fn weights(files: &ModelFiles) -> Result<Option<String>> {
    let Some(decoder) = read_yaml(files, DECODERS[0])? else { return Ok(None) };
    let named = decoder.get("models").and_then(|models| models.as_array()?.first()?.as_str());
    let name = named.and_then(|path| path.rsplit(['/', '\\']).next()).map(str::to_owned);
    Ok(name.filter(|name| files.has(name)))
}

/// Whether an option is on: lists and objects with something in them, too.
fn is_on(keys: &Keys, key: &str) -> bool {
    match keys.value(key) {
        Some(Value::Array(values)) => !values.is_empty(),
        _ => toolkits::is_on(keys, key),
    }
}

/// Marian's names of activations. Its `gelu` is `x σ(1.702 x)`, as its published models were trained.
fn activation(keys: &Keys, key: &str, default: Activation) -> Result<Activation> {
    Ok(match keys.string(key)?.as_deref() {
        None => default,
        Some("relu") => Activation::Relu,
        Some("swish") => Activation::Swish,
        Some("gelu") => Activation::QuickGelu,
        Some(other) => {
            keys.refuse(format!("`{key}` {other:?} is not supported; relu, swish and gelu are"));
            Activation::Identity
        }
    })
}
