//! `config.json`: what a model is made of.
//!
//! Transformer directories are Hugging Face Marian directories, so the keys and their defaults are those of
//! `MarianConfig`; configs of 2020 lack half of them. Unknown keys are ignored.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::checkpoint::layout::Family;
use crate::checkpoint::{ModelFiles, Weights};
use crate::kernels::Activation;
use crate::{Error, Result};

/// The configuration of either family.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelConfig {
    /// An encoder-decoder Transformer (`"model_type": "marian"`).
    Transformer(TransformerConfig),
    /// A bidirectional GRU encoder and a GRU decoder with additive attention (`"model_type": "gru-attention"`).
    Gru(GruConfig),
}

/// Which cross-attention describes word alignment best, as measured for this model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlignmentHead {
    /// Decoder layer, counted from 0.
    pub layer: usize,
    /// Head in that layer, or `None` for their average.
    pub head: Option<usize>,
}

/// An encoder-decoder Transformer.
#[derive(Clone, Debug, PartialEq)]
pub struct TransformerConfig {
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of encoder layers.
    pub encoder_layers: usize,
    /// Number of decoder layers.
    pub decoder_layers: usize,
    /// Attention heads of every encoder layer.
    pub encoder_attention_heads: usize,
    /// Attention heads of every decoder layer.
    pub decoder_attention_heads: usize,
    /// Width between the feed-forward layers of the encoder.
    pub encoder_ffn_dim: usize,
    /// Width between the feed-forward layers of the decoder.
    pub decoder_ffn_dim: usize,
    /// Their non-linearity.
    pub activation_function: Activation,
    /// Whether embeddings are multiplied by √d_model.
    pub scale_embedding: bool,
    /// Sinusoidal positions if set, learned ones (a stored tensor) otherwise.
    pub static_position_embeddings: bool,
    /// LayerNorm before each sublayer (pre-norm) instead of after the residual sum (post-norm).
    pub normalize_before: bool,
    /// LayerNorm on the embeddings.
    pub normalize_embedding: bool,
    /// One more LayerNorm after the last layer of each stack.
    pub add_final_layer_norm: bool,
    /// Rows of a learned position table; sinusoids extend beyond it.
    pub max_position_embeddings: usize,
    /// Source vocabulary size.
    pub vocab_size: usize,
    /// Target vocabulary size.
    pub decoder_vocab_size: usize,
    /// What the config says of source and target sharing one embedding; the stored tensors decide.
    pub share_encoder_decoder_embeddings: bool,
    /// What the config says of the output projection being the target embedding; the stored tensors decide.
    pub tie_word_embeddings: bool,
    /// Padding; never produced.
    pub pad_token_id: u32,
    /// Sentence end.
    pub eos_token_id: u32,
    /// What the decoder is fed first.
    pub decoder_start_token_id: u32,
    /// Directory of the vocabulary relative to the model's, if not the same.
    pub vocabulary: Option<String>,
    /// The cross-attention to read alignments from, if it was measured.
    pub alignment: Option<AlignmentHead>,
}

/// A recurrent encoder-decoder with additive attention.
#[derive(Clone, Debug, PartialEq)]
pub struct GruConfig {
    /// Source vocabulary size.
    pub source_vocab_size: usize,
    /// Target vocabulary size.
    pub target_vocab_size: usize,
    /// Width of the source embeddings.
    pub embedding_dim: usize,
    /// Width of the target embeddings (key `target_embedding_dim`; usually the same).
    pub target_embedding_dim: usize,
    /// Hidden width of each encoder direction.
    pub hidden_dim: usize,
    /// Hidden width of the decoder (key `decoder_hidden_dim`; usually the same).
    pub decoder_hidden_dim: usize,
    /// Padding; never produced.
    pub pad_token_id: u32,
    /// Sentence end.
    pub eos_token_id: u32,
    /// What the decoder is fed first.
    pub decoder_start_token_id: u32,
    /// What unknown words are read as.
    pub unk_token_id: u32,
    /// Put before every source sentence, if the model was trained so.
    pub source_bos_token_id: Option<u32>,
    /// Directory of the vocabulary relative to the model's, if not the same.
    pub vocabulary: Option<String>,
    /// Longest translation in tokens.
    pub max_length: usize,
}

impl ModelConfig {
    /// Reads `config.json` of a model. Sizes it does not give are taken from the tensors' shapes.
    ///
    /// # Errors
    /// If the file is missing or no JSON object, a key has the wrong type or an impossible value, or the architecture
    /// is not supported.
    pub fn read(files: &ModelFiles, weights: &Weights) -> Result<Self> {
        let keys = Keys::read(files, "config.json")?.ok_or_else(|| {
            Error::model(files.path("config.json"), "is missing; a model directory needs it (see `translate convert`)")
        })?;
        let family = match keys.string("model_type")? {
            Some(name) => Family::from_model_type(&name).ok_or_else(|| keys.error(Family::unsupported(&name)))?,
            None => weights.family(),
        };
        match family {
            Family::Transformer => TransformerConfig::from_keys(&keys, weights).map(Self::Transformer),
            Family::Gru => GruConfig::from_keys(&keys, weights).map(Self::Gru),
        }
    }

    /// The cross-attention to read alignments from, if it was measured.
    pub fn alignment(&self) -> Option<AlignmentHead> {
        match self {
            Self::Transformer(config) => config.alignment,
            Self::Gru(_) => None,
        }
    }

    /// The directory of the vocabulary relative to the model's, if not the same.
    pub fn vocabulary(&self) -> Option<&str> {
        match self {
            Self::Transformer(config) => config.vocabulary.as_deref(),
            Self::Gru(config) => config.vocabulary.as_deref(),
        }
    }

    /// Source and target vocabulary sizes.
    pub fn vocabulary_sizes(&self) -> (usize, usize) {
        match self {
            Self::Transformer(config) => (config.vocab_size, config.decoder_vocab_size),
            Self::Gru(config) => (config.source_vocab_size, config.target_vocab_size),
        }
    }

    /// The sentence-end token.
    pub fn eos_token_id(&self) -> u32 {
        match self {
            Self::Transformer(config) => config.eos_token_id,
            Self::Gru(config) => config.eos_token_id,
        }
    }

    /// The padding token.
    pub fn pad_token_id(&self) -> u32 {
        match self {
            Self::Transformer(config) => config.pad_token_id,
            Self::Gru(config) => config.pad_token_id,
        }
    }

    /// The token the decoder is fed first.
    pub fn decoder_start_token_id(&self) -> u32 {
        match self {
            Self::Transformer(config) => config.decoder_start_token_id,
            Self::Gru(config) => config.decoder_start_token_id,
        }
    }

    /// The complete `config.json` of this model, every key spelt out.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Transformer(config) => config.to_json(),
            Self::Gru(config) => config.to_json(),
        }
    }
}

impl TransformerConfig {
    fn from_keys(keys: &Keys, weights: &Weights) -> Result<Self> {
        let rows = |names: &[&str]| names.iter().find_map(|name| weights.shape(name)?.first().copied());
        let stored_source =
            rows(&["model.encoder.embed_tokens.weight", "model.shared.weight", "model.decoder.embed_tokens.weight"]);
        let stored_target = rows(&["lm_head.weight", "model.decoder.embed_tokens.weight", "model.shared.weight"]);
        let vocab_size = keys.size("vocab_size", stored_source.unwrap_or(58101))?;
        let decoder_vocab_size = keys.size("decoder_vocab_size", stored_target.unwrap_or(vocab_size))?;
        let stored_width = weights.shape("model.shared.weight").and_then(|shape| shape.last().copied());
        let d_model = keys.size("d_model", stored_width.unwrap_or(1024))?;
        let heads = |key: &str| -> Result<usize> {
            let heads = keys.size(key, 16)?;
            if !d_model.is_multiple_of(heads) {
                return Err(keys.error(format!("d_model {d_model} cannot be divided among {heads} {key}")));
            }
            Ok(heads)
        };
        let pad_token_id = keys.id("pad_token_id")?.unwrap_or(u32::try_from(vocab_size - 1).unwrap_or(u32::MAX));
        let positions = keys.size("max_position_embeddings", 1024)?;
        let alignment = match keys.section("alignment")? {
            None => None,
            Some(alignment) => Some(AlignmentHead {
                layer: alignment.number("layer")?.ok_or_else(|| alignment.error("`layer` is missing"))?,
                head: alignment.number("head")?,
            }),
        };
        let config = Self {
            d_model,
            encoder_layers: keys.size("encoder_layers", 12)?,
            decoder_layers: keys.size("decoder_layers", 12)?,
            encoder_attention_heads: heads("encoder_attention_heads")?,
            decoder_attention_heads: heads("decoder_attention_heads")?,
            encoder_ffn_dim: keys.size("encoder_ffn_dim", 4096)?,
            decoder_ffn_dim: keys.size("decoder_ffn_dim", 4096)?,
            activation_function: keys.activation("activation_function")?,
            scale_embedding: keys.flag("scale_embedding", false)?,
            // Every converted Marian model has sinusoids; old configs may not say so, but then store no table either.
            static_position_embeddings: keys
                .flag("static_position_embeddings", !weights.contains("model.encoder.embed_positions.weight"))?,
            normalize_before: keys.flag("normalize_before", false)?,
            normalize_embedding: keys.flag("normalize_embedding", false)?,
            add_final_layer_norm: keys.flag("add_final_layer_norm", false)?,
            max_position_embeddings: positions,
            vocab_size,
            decoder_vocab_size,
            share_encoder_decoder_embeddings: keys.flag("share_encoder_decoder_embeddings", true)?,
            tie_word_embeddings: keys.flag("tie_word_embeddings", true)?,
            pad_token_id,
            eos_token_id: keys.id("eos_token_id")?.unwrap_or(0),
            decoder_start_token_id: keys.id("decoder_start_token_id")?.unwrap_or(pad_token_id),
            vocabulary: keys.string("vocabulary")?,
            alignment,
        };
        keys.in_vocabulary("eos_token_id", config.eos_token_id, decoder_vocab_size)?;
        keys.in_vocabulary("decoder_start_token_id", config.decoder_start_token_id, decoder_vocab_size)?;
        if let Some(alignment) = config.alignment {
            let head = alignment.head.unwrap_or(0);
            if alignment.layer >= config.decoder_layers || head >= config.decoder_attention_heads {
                return Err(keys.error("`alignment` names a layer or head the decoder does not have"));
            }
        }
        Ok(config)
    }

    fn to_json(&self) -> Value {
        let mut json = json!({
            "architectures": ["MarianMTModel"],
            "model_type": "marian",
            "is_encoder_decoder": true,
            "d_model": self.d_model,
            "encoder_layers": self.encoder_layers,
            "decoder_layers": self.decoder_layers,
            "num_hidden_layers": self.encoder_layers,
            "encoder_attention_heads": self.encoder_attention_heads,
            "decoder_attention_heads": self.decoder_attention_heads,
            "encoder_ffn_dim": self.encoder_ffn_dim,
            "decoder_ffn_dim": self.decoder_ffn_dim,
            "activation_function": match self.activation_function {
                Activation::Relu => "relu",
                Activation::Swish => "swish",
                Activation::Gelu => "gelu",
                Activation::GeluTanh => "gelu_new",
                Activation::Tanh => "tanh",
                Activation::Identity => "linear",
            },
            "scale_embedding": self.scale_embedding,
            "static_position_embeddings": self.static_position_embeddings,
            "normalize_before": self.normalize_before,
            "normalize_embedding": self.normalize_embedding,
            "add_final_layer_norm": self.add_final_layer_norm,
            "max_position_embeddings": self.max_position_embeddings,
            "vocab_size": self.vocab_size,
            "decoder_vocab_size": self.decoder_vocab_size,
            "share_encoder_decoder_embeddings": self.share_encoder_decoder_embeddings,
            "tie_word_embeddings": self.tie_word_embeddings,
            "pad_token_id": self.pad_token_id,
            "eos_token_id": self.eos_token_id,
            "decoder_start_token_id": self.decoder_start_token_id,
            "use_cache": true,
        });
        if let Some(vocabulary) = &self.vocabulary {
            json["vocabulary"] = json!(vocabulary);
        }
        if let Some(AlignmentHead { layer, head }) = self.alignment {
            json["alignment"] = json!({ "layer": layer, "head": head });
        }
        json
    }
}

impl GruConfig {
    fn from_keys(keys: &Keys, weights: &Weights) -> Result<Self> {
        // A size that neither the config nor a tensor gives is asked of the tensor, which says what is missing.
        let size = |key: &str, tensor: &str, axis: usize, divisor: usize| -> Result<usize> {
            let stored = weights.shape(tensor).and_then(|shape| shape.get(axis).map(|size| size / divisor));
            match (keys.number(key)?, stored) {
                (Some(0), _) => Err(keys.error(format!("`{key}` is 0"))),
                (Some(size), _) | (None, Some(size)) => Ok(size),
                (None, None) => Err(weights.missing(tensor)),
            }
        };
        let embedding_dim = size("embedding_dim", "encoder.embedding.weight", 1, 1)?;
        let hidden_dim = size("hidden_dim", "encoder.rnn.weight_hh_l0", 1, 1)?;
        let config = Self {
            source_vocab_size: size("source_vocab_size", "encoder.embedding.weight", 0, 1)?,
            target_vocab_size: size("target_vocab_size", "decoder.embedding.weight", 0, 1)?,
            embedding_dim,
            target_embedding_dim: size("target_embedding_dim", "decoder.embedding.weight", 1, 1)?,
            hidden_dim,
            decoder_hidden_dim: size("decoder_hidden_dim", "decoder.rnn.weight_hh_l0", 1, 1)?,
            pad_token_id: keys.id("pad_token_id")?.unwrap_or(1),
            eos_token_id: keys.id("eos_token_id")?.unwrap_or(3),
            decoder_start_token_id: keys.id("decoder_start_token_id")?.unwrap_or(2),
            unk_token_id: keys.id("unk_token_id")?.unwrap_or(0),
            source_bos_token_id: keys.id("source_bos_token_id")?,
            vocabulary: keys.string("vocabulary")?,
            max_length: keys.size("max_length", 256)?,
        };
        keys.in_vocabulary("eos_token_id", config.eos_token_id, config.target_vocab_size)?;
        keys.in_vocabulary("decoder_start_token_id", config.decoder_start_token_id, config.target_vocab_size)?;
        if let Some(bos) = config.source_bos_token_id {
            keys.in_vocabulary("source_bos_token_id", bos, config.source_vocab_size)?;
        }
        Ok(config)
    }

    fn to_json(&self) -> Value {
        let mut json = json!({
            "model_type": "gru-attention",
            "is_encoder_decoder": true,
            "source_vocab_size": self.source_vocab_size,
            "target_vocab_size": self.target_vocab_size,
            "embedding_dim": self.embedding_dim,
            "target_embedding_dim": self.target_embedding_dim,
            "hidden_dim": self.hidden_dim,
            "decoder_hidden_dim": self.decoder_hidden_dim,
            "pad_token_id": self.pad_token_id,
            "eos_token_id": self.eos_token_id,
            "decoder_start_token_id": self.decoder_start_token_id,
            "unk_token_id": self.unk_token_id,
            "source_bos_token_id": self.source_bos_token_id,
            "max_length": self.max_length,
        });
        if let Some(vocabulary) = &self.vocabulary {
            json["vocabulary"] = json!(vocabulary);
        }
        json
    }
}

/// The keys of a JSON file, read with errors that name the file and the key. `null` counts as absent.
pub(super) struct Keys {
    path: PathBuf,
    map: Map<String, Value>,
}

impl Keys {
    /// Reads a JSON object; `None` if there is no such file.
    pub(super) fn read(files: &ModelFiles, name: &str) -> Result<Option<Self>> {
        let path = files.path(name);
        let Some(bytes) = files.read(name)? else { return Ok(None) };
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(map)) => Ok(Some(Self { path, map })),
            Ok(_) => Err(Error::model(path, "is not a JSON object")),
            Err(error) => Err(Error::model(path, format!("is not valid JSON ({error})"))),
        }
    }

    pub(super) fn error(&self, problem: impl Into<String>) -> Error {
        Error::model(&self.path, problem)
    }

    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// The error for a key of the wrong type.
    pub(super) fn wrong(&self, key: &str, value: &Value, expected: &str) -> Error {
        let mut shown = value.to_string();
        if shown.chars().count() > 60 {
            shown = shown.chars().take(60).chain("…".chars()).collect();
        }
        self.error(format!("`{key}` is {shown}, but {expected} is expected"))
    }

    fn typed<T>(&self, key: &str, expected: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.value(key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.wrong(key, value, expected))
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<usize>> {
        // No size in a model needs more than 31 bits; larger ones would only overflow later.
        self.typed(key, "a whole number", |value| value.as_u64().filter(|&n| n < 1 << 31).map(|n| n as usize))
    }

    /// A positive number.
    fn size(&self, key: &str, default: usize) -> Result<usize> {
        match self.number(key)?.unwrap_or(default) {
            0 => Err(self.error(format!("`{key}` is 0"))),
            size => Ok(size),
        }
    }

    pub(super) fn float(&self, key: &str) -> Result<Option<f32>> {
        self.typed(key, "a number", |value| value.as_f64().map(|n| n as f32))
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        Ok(self.typed(key, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    fn string(&self, key: &str) -> Result<Option<String>> {
        self.typed(key, "text", |value| value.as_str().map(str::to_owned))
    }

    /// A token id. Some configs list several sentence ends; the first is the one the model writes.
    pub(super) fn id(&self, key: &str) -> Result<Option<u32>> {
        self.typed(key, "a token id", |value| {
            let first = value.as_array().map_or(Some(value), |list| list.first())?;
            first.as_u64().and_then(|id| u32::try_from(id).ok())
        })
    }

    fn section(&self, key: &str) -> Result<Option<Self>> {
        let map = self.typed(key, "an object", |value| value.as_object().cloned())?;
        Ok(map.map(|map| Self { path: self.path.clone(), map }))
    }

    fn activation(&self, key: &str) -> Result<Activation> {
        match self.string(key)?.as_deref() {
            Some("relu") => Ok(Activation::Relu),
            Some("swish" | "silu") => Ok(Activation::Swish),
            None | Some("gelu") => Ok(Activation::Gelu),
            Some("gelu_new" | "gelu_pytorch_tanh") => Ok(Activation::GeluTanh),
            Some(other) => {
                Err(self.error(format!("`{key}` {other:?} is not supported; relu, swish, silu and gelu are")))
            }
        }
    }

    fn in_vocabulary(&self, key: &str, id: u32, size: usize) -> Result<()> {
        if (id as usize) < size {
            return Ok(());
        }
        Err(self.error(format!("`{key}` {id} is outside the vocabulary of {size}")))
    }
}
