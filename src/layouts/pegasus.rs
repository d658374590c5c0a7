//! Pegasus as Hugging Face publishes it (`PegasusForConditionalGeneration`; Zhang et al. 2020), fine-tuned for translation or
//! not: normalised before each sublayer and after the last, with Marian's sinusoids.

use serde_json::{Map, Value, json};

use super::hugging_face::{self, Class, Ids};
use super::{Layout, rules::Rule};
use crate::Result;
use crate::checkpoint::{Keys, Parameters};
use crate::compute::Activation;
use crate::spec::Spec;
use crate::text::{Frame, Kind, Numbering, Part};

/// The family.
pub(super) struct Pegasus;

impl Layout for Pegasus {
    fn name(&self) -> &'static str {
        "pegasus"
    }

    fn recognises(&self, _tensors: &[&str], _said: &Map<String, Value>) -> bool {
        // Its tensors have the names and shapes of M2M100's, whose positions are others.
        false
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            // Sinusoids, which files of some years hold.
            Rule::Ignore("model.{side}.embed_positions.weight"),
            Rule::Ignore("{side}.embed_positions.weight"),
            Rule::Copy("shared.{rest}", &["model.shared.{rest}"]),
            Rule::Copy("encoder.{rest}", &["model.encoder.{rest}"]),
            Rule::Copy("decoder.{rest}", &["model.decoder.{rest}"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        let class = Class {
            vocabularies: hugging_face::vocabulary_sizes(keys, parameters, 50265)?,
            before: true,
            final_norm: true,
            embedding_norm: false,
            positions: hugging_face::SINUSOIDS,
            activation: Activation::Gelu,
            scale_embedding: false,
        };
        class.spec(keys, parameters)
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        let mut frame = Ids { padding: 0, end: 1, start: 0 }.frame(keys, spec.vocabulary_sizes().1, None)?;
        frame.source = Some((Vec::new(), vec![Part::Id(frame.end)]));
        frame.forced_end = Some(frame.end);
        Ok(frame)
    }

    fn vocabulary(&self) -> &'static [Kind] {
        &[Kind::TokenizerJson, Kind::SentencePiece(Numbering::Reserved)]
    }

    fn complete(&self, spec: &Spec, frame: &Frame, config: &mut Map<String, Value>) {
        let Spec::Transformer(spec) = spec else { return };
        config.insert("architectures".to_owned(), json!(["PegasusForConditionalGeneration"]));
        hugging_face::complete(spec, frame, config);
    }
}
