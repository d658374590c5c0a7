//! Marian as Hugging Face publishes it (`MarianMTModel`): every OPUS-MT directory, and the built-in Transformer.
//!
//! Defaults are those of `MarianConfig`; configurations of 2020 lack half of the keys.

use serde_json::{Map, Value, json};

use super::hugging_face::{self, Class, Ids};
use super::{Layout, rules::Rule};
use crate::Result;
use crate::checkpoint::{Keys, Parameters};
use crate::compute::Activation;
use crate::spec::{Positions, Spec, Transformer};
use crate::text::{Frame, Part};

/// The family.
pub(super) struct Marian;

impl Layout for Marian {
    fn name(&self) -> &'static str {
        "marian"
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        // BART has the same names and a normalisation of its embeddings, M2M100 and Pegasus one after the last layer, and
        // FSMT an output layer of another name.
        let other = ["layernorm_embedding", "encoder.layer_norm", "output_projection"];
        tensors.iter().any(|name| name.ends_with("encoder.layers.0.self_attn.q_proj.weight"))
            && !tensors.iter().any(|name| other.iter().any(|other| name.contains(other)))
    }

    fn rules(&self) -> &'static [Rule] {
        &hugging_face::WITHOUT_HEAD
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        // Every converted Marian model has sinusoids; old configs may not say so, but then store no table either.
        let is_stored = parameters.contains("model.encoder.embed_positions.weight");
        let positions = if keys.flag("static_position_embeddings", !is_stored)? {
            hugging_face::SINUSOIDS
        } else {
            Positions::Learned { rows: hugging_face::trained_length(keys)?, offset: 0 }
        };
        let class = Class {
            vocabularies: hugging_face::vocabulary_sizes(keys, parameters, 58101)?,
            before: keys.flag("normalize_before", false)?,
            final_norm: keys.flag("add_final_layer_norm", false)?,
            embedding_norm: keys.flag("normalize_embedding", false)?,
            positions,
            activation: Activation::Gelu,
            scale_embedding: false,
        };
        class.spec(keys, parameters)
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        let (source_size, size) = spec.vocabulary_sizes();
        let padding = u32::try_from(source_size - 1).unwrap_or(u32::MAX);
        let padding = keys.id("pad_token_id")?.unwrap_or(padding);
        // A directory may number the sentence end differently on the two sides.
        let source = Some((Vec::new(), vec![Part::SourceEnd]));
        let mut frame = Ids { padding, end: 0, start: padding }.frame(keys, size, source)?;
        frame.forced_end = Some(frame.end);
        frame.bans_padding = true;
        Ok(frame)
    }

    fn complete(&self, spec: &Spec, frame: &Frame, config: &mut Map<String, Value>) {
        let Spec::Transformer(spec) = spec else { return };
        config.insert("architectures".to_owned(), json!(["MarianMTModel"]));
        hugging_face::complete(spec, frame, config);
    }
}

/// Why Hugging Face's class cannot compute a network, if it cannot. Sinusoids of any kind can be stored as a table.
pub(super) fn differs(spec: &Transformer, frame: &Frame) -> Option<&'static str> {
    let learned_from = |offset: &usize| *offset != 0;
    let around = frame.source.as_ref().is_none_or(|(before, after)| before.is_empty() && after.len() == 1);
    hugging_face::differs(spec).or(match &spec.positions {
        Positions::Learned { offset, .. } if learned_from(offset) => {
            Some("its positions begin further down their table")
        }
        Positions::None => Some("it adds no positions"),
        _ if spec.embedding_norm => Some("it normalises embeddings"),
        _ if spec.encoder.final_norm || spec.decoder.final_norm => Some("it has a normalisation after the last layer"),
        _ if !around => Some("something else than a sentence end stands around its sources"),
        _ => None,
    })
}
