//! What the configurations of Hugging Face's BART-like classes have in common, and the plain PyTorch layouts borrow.

use serde_json::{Map, Value, json};

use super::rules::Rule;
use crate::Result;
use crate::checkpoint::{Keys, Parameters};
use crate::compute::{Activation, NormKind};
use crate::spec::{Frequencies, Norm, Order, Past, Positions, Spec, Stack, Transformer};
use crate::text::{Frame, Part, Task};

/// The names of a model that was saved without its language-model head.
pub(super) const WITHOUT_HEAD: [Rule; 3] = [
    Rule::Copy("shared.{rest}", &["model.shared.{rest}"]),
    Rule::Copy("encoder.{rest}", &["model.encoder.{rest}"]),
    Rule::Copy("decoder.{rest}", &["model.decoder.{rest}"]),
];

/// The first of several keys that is there.
pub(super) fn first<'k>(keys: &Keys, names: &[&'k str]) -> &'k str {
    names.iter().copied().find(|name| keys.value(name).is_some()).unwrap_or(names[0])
}

/// An activation by its usual name; another is noted as not supported.
pub(super) fn activation(keys: &Keys, names: &[&str], default: Activation) -> Result<Activation> {
    let key = first(keys, names);
    Ok(keys.string(key)?.map_or(default, |name| named_activation(keys, key, &name)))
}

/// The activation of a name that a key has; another is noted as not supported.
pub(super) fn named_activation(keys: &Keys, key: &str, name: &str) -> Activation {
    match name {
        "relu" => Activation::Relu,
        "swish" | "silu" => Activation::Swish,
        "gelu" => Activation::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" => Activation::GeluTanh,
        "quick_gelu" => Activation::QuickGelu,
        other => {
            keys.refuse(format!("`{key}` {other:?} is not supported; relu, swish, silu, gelu and gelu_new are"));
            Activation::Identity
        }
    }
}

/// The name of an activation in a configuration.
pub(super) fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Relu => "relu",
        Activation::Swish => "swish",
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_new",
        Activation::QuickGelu => "quick_gelu",
        Activation::Tanh => "tanh",
        Activation::Sigmoid => "sigmoid",
        Activation::Identity => "linear",
    }
}

/// Sizes of the source and the target vocabulary: the keys', else those of the stored embeddings.
pub(super) fn vocabulary_sizes(keys: &Keys, parameters: &Parameters, default: usize) -> Result<(usize, usize)> {
    let rows = |names: &[&str]| names.iter().find_map(|name| parameters.shape(name)?.first().copied());
    let [shared, encoder, decoder, head] = crate::model::EmbeddingNames::ALL;
    let source = keys.size("vocab_size", rows(&[encoder, shared, decoder]).unwrap_or(default))?;
    let target = keys.size("decoder_vocab_size", rows(&[head, decoder, shared]).unwrap_or(source))?;
    Ok((source, target))
}

/// The width of the model: the key's, else that of the stored embedding.
pub(super) fn width(keys: &Keys, parameters: &Parameters, default: usize) -> Result<usize> {
    let stored = crate::model::EmbeddingNames::ALL.iter().find_map(|name| parameters.shape(name)?.last().copied());
    keys.size("d_model", stored.unwrap_or(default))
}

/// Why no class for a post-norm Transformer can compute a network, if none can.
pub(super) fn differs(spec: &Transformer) -> Option<&'static str> {
    let sides = [&spec.encoder, &spec.decoder];
    let is_false = [
        (sides.iter().any(|side| side.norm_before), "its normalisations stand before the sublayers"),
        (spec.norm.kind != NormKind::Layer, "its normalisation is another"),
        (spec.gated, "its feed-forward layers are gated"),
        (spec.past != Past::Attention, "its decoder has no self-attention"),
        (spec.relative_bias.is_some(), "its attention knows distances"),
        (spec.attention_scale.is_some() || spec.output_scale != 1.0, "it scales attention or output in another way"),
        (sides.iter().any(|side| side.heads * side.head_width != spec.width), "its heads do not share the width"),
        (sides.iter().any(|side| side.residual_weight != 1.0), "its residuals have weights"),
    ];
    is_false.into_iter().find(|(is, _)| *is).map(|(_, problem)| problem)
}

/// What the class of a BART-like model decides by itself, and the defaults of its configuration.
pub(super) struct Class {
    /// Rows of the source and the target embedding.
    pub vocabularies: (usize, usize),
    /// Whether norms stand before each sublayer.
    pub before: bool,
    /// Whether there is a norm after the last layer of each stack.
    pub final_norm: bool,
    /// Whether embeddings are normalised.
    pub embedding_norm: bool,
    /// Where a token stands.
    pub positions: Positions,
    /// The activation, unless the configuration has another.
    pub activation: Activation,
    /// Whether embeddings are multiplied by the root of the width, unless the configuration says otherwise.
    pub scale_embedding: bool,
}

impl Class {
    /// The network of a configuration.
    pub(super) fn spec(self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        let width = width(keys, parameters, 1024)?;
        Ok(Spec::Transformer(Transformer {
            width,
            encoder: stack(keys, "encoder", width, &self)?,
            decoder: stack(keys, "decoder", width, &self)?,
            norm: Norm { kind: NormKind::Layer, epsilon: 1e-5 },
            activation: activation(keys, &["activation_function"], self.activation)?,
            gated: false,
            attention_scale: None,
            bias: true,
            embedding_scale: embedding_scale(keys, width, self.scale_embedding)?,
            embedding_norm: self.embedding_norm,
            positions: self.positions,
            relative_bias: None,
            past: Past::Attention,
            starts_from_zero: false,
            output_scale: 1.0,
            trained_length: Some(trained_length(keys)?),
            source_vocabulary: self.vocabularies.0,
            target_vocabulary: self.vocabularies.1,
        }))
    }
}

/// Tokens a model was made for.
pub(super) fn trained_length(keys: &Keys) -> Result<usize> {
    keys.size("max_position_embeddings", 1024)
}

/// BART's positions: learned, the first token's after two rows that were once for padding.
pub(super) fn learned_positions(keys: &Keys) -> Result<Positions> {
    Ok(Positions::Learned { rows: trained_length(keys)?, offset: 2 })
}

/// fairseq's positions, computed, the first token's number being that after the padding's.
pub(super) fn fairseq_positions(keys: &Keys) -> Result<Positions> {
    let padding = keys.id("pad_token_id")?.unwrap_or(1);
    Ok(Positions::Sinusoidal {
        order: Order::Halves,
        first_index: padding as usize + 1,
        frequencies: Frequencies::ByLastIndex,
        padding: Some(padding),
    })
}

/// Marian's positions as Hugging Face computes them, for Pegasus too.
pub(super) const SINUSOIDS: Positions =
    Positions::Sinusoidal { order: Order::Halves, first_index: 0, frequencies: Frequencies::ByWidth, padding: None };

/// The layers of one side under Hugging Face's keys.
fn stack(keys: &Keys, side: &str, width: usize, class: &Class) -> Result<Stack> {
    let layers = keys.size(&format!("{side}_layers"), 12)?;
    let heads = keys.size(&format!("{side}_attention_heads"), 16)?;
    let inner = keys.size(&format!("{side}_ffn_dim"), 4096)?;
    let head_width = head_width(keys, width, heads, side)?;
    let (norm_before, final_norm) = (class.before, class.final_norm);
    Ok(Stack { layers, heads, head_width, inner, norm_before, final_norm, residual_weight: 1.0 })
}

/// The width of a head where heads share the width of the model.
pub(super) fn head_width(keys: &Keys, width: usize, heads: usize, side: &str) -> Result<usize> {
    if !width.is_multiple_of(heads) {
        return Err(keys.error(format!("d_model {width} cannot be divided among {heads} {side}_attention_heads")));
    }
    Ok(width / heads)
}

/// What embeddings are multiplied by.
pub(super) fn embedding_scale(keys: &Keys, width: usize, default: bool) -> Result<f32> {
    Ok(if keys.flag("scale_embedding", default)? { (width as f32).sqrt() } else { 1.0 })
}

/// The ids every configuration of this kind names, with the defaults of its class.
pub(super) struct Ids {
    pub padding: u32,
    pub end: u32,
    pub start: u32,
}

impl Ids {
    /// The frame with these ids, checked against the vocabulary.
    ///
    /// # Errors
    /// If a key has the wrong type, or the end or the start is outside the target vocabulary.
    pub(super) fn frame(self, keys: &Keys, size: usize, source: Option<(Vec<Part>, Vec<Part>)>) -> Result<Frame> {
        let padding = keys.id("pad_token_id")?.unwrap_or(self.padding);
        let end = keys.id("eos_token_id")?.unwrap_or(self.end);
        let start = keys.id("decoder_start_token_id")?.unwrap_or(self.start);
        keys.in_vocabulary("eos_token_id", end, size)?;
        keys.in_vocabulary("decoder_start_token_id", start, size)?;
        Ok(Frame::new(source, Part::Id(start), end, padding))
    }
}

/// What stands around a source sentence by the keys `add_source_bos` (with `source_bos_token_id`, else the token that the
/// decoder is fed first) and `add_source_eos` (with `source_eos_token_id`, else the target's); `None` where no key says anything.
///
/// # Errors
/// If a key has the wrong type, or names a token outside the source vocabulary.
pub(super) fn source_frame(keys: &Keys, size: usize, start: u32, end: u32) -> Result<Option<(Vec<Part>, Vec<Part>)>> {
    let (begin, own_end) = (keys.id("source_bos_token_id")?, keys.id("source_eos_token_id")?);
    let is_said = ["add_source_bos", "add_source_eos"].iter().any(|key| keys.value(key).is_some());
    if begin.is_none() && own_end.is_none() && !is_said {
        return Ok(None);
    }
    let end = own_end.unwrap_or(end);
    if own_end.is_some() {
        keys.in_vocabulary("source_eos_token_id", end, size)?;
    }
    let begin_id = begin.unwrap_or(start);
    let has_begin = keys.flag("add_source_bos", begin.is_some())?;
    if has_begin {
        keys.in_vocabulary("source_bos_token_id", begin_id, size)?;
    }
    let before = if has_begin { vec![Part::Id(begin_id)] } else { Vec::new() };
    let after = if keys.flag("add_source_eos", true)? { vec![Part::Id(end)] } else { Vec::new() };
    Ok(Some((before, after)))
}

/// The instructions before texts that `task_specific_params` names `translation_en_to_de`.
pub(super) fn tasks(keys: &Keys) -> Vec<Task> {
    let tasks = keys.value("task_specific_params").and_then(Value::as_object);
    let task = |(name, settings): (&String, &Value)| {
        let (source, target) = name.strip_prefix("translation_")?.split_once("_to_")?;
        let prefix = settings["prefix"].as_str()?.to_owned();
        Some(Task { source: source.to_owned(), target: target.to_owned(), prefix })
    };
    tasks.into_iter().flatten().filter_map(task).collect()
}

/// The keys of a Transformer and its frame, every one spelt out.
pub(super) fn complete(spec: &Transformer, frame: &Frame, config: &mut Map<String, Value>) {
    let keys = json!({
        "is_encoder_decoder": true,
        "d_model": spec.width,
        "encoder_layers": spec.encoder.layers,
        "decoder_layers": spec.decoder.layers,
        "num_hidden_layers": spec.encoder.layers,
        "encoder_attention_heads": spec.encoder.heads,
        "decoder_attention_heads": spec.decoder.heads,
        "encoder_ffn_dim": spec.encoder.inner,
        "decoder_ffn_dim": spec.decoder.inner,
        "activation_function": activation_name(spec.activation),
        "scale_embedding": spec.embedding_scale != 1.0,
        "static_position_embeddings": matches!(spec.positions, Positions::Sinusoidal { .. }),
        "normalize_before": spec.encoder.norm_before,
        "normalize_embedding": spec.embedding_norm,
        "add_final_layer_norm": spec.encoder.final_norm,
        "max_position_embeddings": spec.trained_length,
        "vocab_size": spec.source_vocabulary,
        "decoder_vocab_size": spec.target_vocabulary,
        "pad_token_id": frame.padding,
        "eos_token_id": frame.end,
        "use_cache": true,
    });
    write_keys(keys, frame, config);
}

/// Puts keys into a configuration, and what the decoder is fed first, where that is fixed.
pub(super) fn write_keys(keys: Value, frame: &Frame, config: &mut Map<String, Value>) {
    if let Value::Object(keys) = keys {
        config.extend(keys);
    }
    if let Part::Id(start) = frame.start {
        config.insert("decoder_start_token_id".to_owned(), json!(start));
    }
}
