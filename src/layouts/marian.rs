//! Marian as Hugging Face publishes it (`MarianMTModel`): every OPUS-MT directory, and the built-in Transformer.
//!
//! Defaults are those of `MarianConfig`; configurations of 2020 lack half of the keys.

use serde_json::{Map, Value, json};

use super::hugging_face::{self, Ids};
use super::{Layout, rules::Rule};
use crate::Result;
use crate::checkpoint::{Keys, Parameters};
use crate::compute::{Activation, NormKind};
use crate::spec::{Frequencies, Norm, Order, Positions, Spec, Transformer};
use crate::text::{Frame, Part};

/// The family.
pub(super) struct Marian;

impl Layout for Marian {
    fn name(&self) -> &'static str {
        "marian"
    }

    fn recognises(&self, tensors: &[&str]) -> bool {
        // BART has the same names and a normalisation of its embeddings.
        let (mut attends, mut is_bart) = (false, false);
        for name in tensors {
            attends |= name.ends_with("encoder.layers.0.self_attn.q_proj.weight");
            is_bart |= name.contains("layernorm_embedding");
        }
        attends && !is_bart
    }

    fn rules(&self) -> &'static [Rule] {
        // A model saved without its language-model head.
        &[
            Rule::Copy("shared.{rest}", &["model.shared.{rest}"]),
            Rule::Copy("encoder.{rest}", &["model.encoder.{rest}"]),
            Rule::Copy("decoder.{rest}", &["model.decoder.{rest}"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        let (source_vocabulary, target_vocabulary) = hugging_face::vocabulary_sizes(keys, parameters, 58101)?;
        let width = hugging_face::width(keys, parameters, 1024)?;
        let final_norm = keys.flag("add_final_layer_norm", false)?;
        let rows = keys.size("max_position_embeddings", 1024)?;
        // Every converted Marian model has sinusoids; old configs may not say so, but then store no table either.
        let is_stored = parameters.contains("model.encoder.embed_positions.weight");
        let positions = if keys.flag("static_position_embeddings", !is_stored)? {
            Positions::Sinusoidal { order: Order::Halves, first_index: 0, frequencies: Frequencies::ByWidth }
        } else {
            Positions::Learned { rows, offset: 0 }
        };
        Ok(Spec::Transformer(Transformer {
            width,
            encoder: hugging_face::stack(keys, "encoder", width, final_norm)?,
            decoder: hugging_face::stack(keys, "decoder", width, final_norm)?,
            norm: Norm { kind: NormKind::Layer, epsilon: 1e-5, before: keys.flag("normalize_before", false)? },
            activation: hugging_face::activation(keys, &["activation_function"], Activation::Gelu)?,
            gated: false,
            attention_scale: None,
            bias: true,
            embedding_scale: hugging_face::embedding_scale(keys, width, false)?,
            embedding_norm: keys.flag("normalize_embedding", false)?,
            positions,
            trained_length: Some(rows),
            source_vocabulary,
            target_vocabulary,
        }))
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        let (source_size, size) = spec.vocabulary_sizes();
        let padding = u32::try_from(source_size - 1).unwrap_or(u32::MAX);
        let padding = keys.id("pad_token_id")?.unwrap_or(padding);
        // A directory may number the sentence end differently on the two sides.
        let source = Some((Vec::new(), vec![Part::SourceEnd]));
        let mut frame = Ids { padding, end: 0, start: padding }.frame(keys, size, source)?;
        frame.forced_end = Some(frame.end);
        Ok(frame)
    }

    fn complete(&self, spec: &Spec, frame: &Frame, config: &mut Map<String, Value>) {
        let Spec::Transformer(spec) = spec else { return };
        config.insert("architectures".to_owned(), json!(["MarianMTModel"]));
        hugging_face::complete(spec, frame, config);
    }
}
