//! The network of the T5 family: what its three classes read from a configuration, and write into one.

use serde_json::{Map, Value, json};

use super::hugging_face;
use crate::Result;
use crate::checkpoint::{Keys, Parameters};
use crate::compute::{Activation, NormKind};
use crate::model::EmbeddingNames;
use crate::spec::{Norm, Past, Positions, RelativeBias, Spec, Stack, Transformer};
use crate::text::Frame;

/// The family's classes.
pub(super) enum Class {
    /// T5, T5 1.1, Flan-T5, MADLAD-400, ByT5.
    T5,
    /// mT5.
    Mt5,
    /// umT5.
    Umt5,
}

/// The largest `relative_attention_max_distance`: biases are computed up to there.
const FURTHEST: usize = 1 << 16;

impl Class {
    /// The network of a configuration.
    pub(super) fn network(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        let (rows, width_default, inner, layers, heads) = match self {
            Self::T5 => (32128, 512, 2048, 6, 8),
            Self::Mt5 | Self::Umt5 => (250_112, 512, 1024, 8, 6),
        };
        let (source_vocabulary, target_vocabulary) = hugging_face::vocabulary_sizes(keys, parameters, rows)?;
        let width = hugging_face::width(keys, parameters, width_default)?;
        let layers = keys.size("num_layers", layers)?;
        let stack = Stack {
            layers,
            heads: keys.size("num_heads", heads)?,
            head_width: keys.size("d_kv", 64)?,
            inner: keys.size("d_ff", inner)?,
            norm_before: true,
            final_norm: true,
            residual_weight: 1.0,
        };
        let feed_forward = keys.string("feed_forward_proj")?;
        let feed_forward = feed_forward.as_deref().unwrap_or(if let Self::T5 = self { "relu" } else { "gated-gelu" });
        let (gated, activation) = match feed_forward.strip_prefix("gated-") {
            // Whose gelu has always been the approximation.
            Some("gelu") => (true, Activation::GeluTanh),
            Some(name) => (true, hugging_face::named_activation(keys, "feed_forward_proj", name)),
            None => (false, hugging_face::named_activation(keys, "feed_forward_proj", feed_forward)),
        };
        Ok(Spec::Transformer(Transformer {
            width,
            encoder: stack,
            decoder: Stack { layers: keys.size("num_decoder_layers", layers)?, ..stack },
            norm: Norm { kind: NormKind::Rms, epsilon: keys.float("layer_norm_epsilon")?.unwrap_or(1e-6) },
            activation,
            gated,
            attention_scale: Some(1.0),
            bias: false,
            embedding_scale: 1.0,
            embedding_norm: false,
            positions: Positions::None,
            relative_bias: Some(self.relative_bias(keys)?),
            past: Past::Attention,
            starts_from_zero: false,
            output_scale: if self.scales_output(keys, parameters)? { (width as f32).sqrt().recip() } else { 1.0 },
            trained_length: None,
            source_vocabulary,
            target_vocabulary,
        }))
    }

    /// The keys of a network and its frame, every one spelt out.
    pub(super) fn complete_keys(&self, spec: &Spec, frame: &Frame, config: &mut Map<String, Value>) {
        let Spec::Transformer(spec) = spec else { return };
        let Some(bias) = spec.relative_bias else { return };
        let activation = match (spec.gated, spec.activation) {
            (true, Activation::GeluTanh) => "gated-gelu".to_owned(),
            (true, activation) => format!("gated-{}", hugging_face::activation_name(activation)),
            (false, activation) => hugging_face::activation_name(activation).to_owned(),
        };
        let class = match self {
            Self::T5 => "T5ForConditionalGeneration",
            Self::Mt5 => "MT5ForConditionalGeneration",
            Self::Umt5 => "UMT5ForConditionalGeneration",
        };
        let keys = json!({
            "architectures": [class],
            "is_encoder_decoder": true,
            "d_model": spec.width,
            "num_layers": spec.encoder.layers,
            "num_decoder_layers": spec.decoder.layers,
            "num_heads": spec.encoder.heads,
            "d_kv": spec.encoder.head_width,
            "d_ff": spec.encoder.inner,
            "feed_forward_proj": activation,
            "layer_norm_epsilon": spec.norm.epsilon,
            "relative_attention_num_buckets": bias.buckets,
            "relative_attention_max_distance": bias.max_distance,
            "scale_decoder_outputs": spec.output_scale != 1.0,
            "vocab_size": spec.source_vocabulary,
            "pad_token_id": frame.padding,
            "eos_token_id": frame.end,
            "use_cache": true,
        });
        hugging_face::write_keys(keys, frame, config);
    }

    fn relative_bias(&self, keys: &Keys) -> Result<RelativeBias> {
        let buckets = keys.size("relative_attention_num_buckets", 32)?;
        let max_distance = keys.size("relative_attention_max_distance", 128)?;
        if buckets < 4 || max_distance <= buckets / 2 || max_distance > FURTHEST {
            keys.refuse(format!(
                "`relative_attention_num_buckets` {buckets} with `relative_attention_max_distance` {max_distance} is not \
                 supported; there are at least 4 buckets, and a distance of more than half of them, at most {FURTHEST}"
            ));
        }
        Ok(RelativeBias { buckets, max_distance, every_layer: matches!(self, Self::Umt5) })
    }

    /// Whether the decoder's output is multiplied by `1/√width`, as in the first T5, whose output layer is the embedding.
    ///
    /// What is decided here is what Hugging Face transformers does since 5.0: the configuration decides, not the tensors,
    /// and the output layer is `lm_head.weight` wherever that is stored. `tie_word_embeddings` of T5 1.1 means no scaling;
    /// mT5 has never been scaled.
    fn scales_output(&self, keys: &Keys, parameters: &Parameters) -> Result<bool> {
        if keys.value("scale_decoder_outputs").is_some() {
            return keys.flag("scale_decoder_outputs", true);
        }
        let is_tied = keys.flag("tie_word_embeddings", true)? && !matches!(self, Self::Mt5);
        if is_tied && parameters.contains("lm_head.weight") {
            let names = EmbeddingNames::decide(parameters)?;
            if names.output != names.target {
                keys.note(
                    "does not say `tie_word_embeddings` false, but the weights hold an lm_head.weight of their own: it is \
                     used and its input scaled by 1/√d_model, as in Hugging Face; `scale_decoder_outputs` decides",
                );
            }
        }
        Ok(is_tied)
    }
}
