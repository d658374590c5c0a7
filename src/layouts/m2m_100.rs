//! M2M100 (Fan et al. 2021), NLLB-200 (NLLB Team 2022) and SMaLL-100 (Mohammadshahi et al. 2022) as Hugging Face publishes
//! them (`M2M100ForConditionalGeneration`).
//!
//! Normalised before each sublayer and after the last, with fairseq's sinusoids. Languages are tokens: that of the source
//! stands before or after it, that of the target is the first token of every translation.

use serde_json::{Map, Value, json};

use super::hugging_face::{self, Class, Ids};
use super::{Layout, rules::Rule};
use crate::Result;
use crate::checkpoint::{Keys, Parameters};
use crate::compute::Activation;
use crate::spec::Spec;
use crate::text::{Frame, Kind, Numbering, Part};

/// The family.
pub(super) struct M2M100;

impl Layout for M2M100 {
    fn name(&self) -> &'static str {
        "m2m_100"
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        // The class's own name for its sinusoids, which not every file holds.
        tensors.iter().any(|name| name.ends_with("encoder.embed_positions.weights"))
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            Rule::Ignore("model.{side}.embed_positions.weights"),
            Rule::Ignore("{side}.embed_positions.weights"),
            Rule::Copy("shared.{rest}", &["model.shared.{rest}"]),
            Rule::Copy("encoder.{rest}", &["model.encoder.{rest}"]),
            Rule::Copy("decoder.{rest}", &["model.decoder.{rest}"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        let class = Class {
            vocabularies: hugging_face::vocabulary_sizes(keys, parameters, 128112)?,
            before: true,
            final_norm: true,
            embedding_norm: false,
            positions: hugging_face::fairseq_positions(keys)?,
            activation: Activation::Relu,
            scale_embedding: true,
        };
        class.spec(keys, parameters)
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        let mut frame = Ids { padding: 1, end: 2, start: 2 }.frame(keys, spec.vocabulary_sizes().1, None)?;
        let end = Part::Id(frame.end);
        let class = keys.tokenizer_string("tokenizer_class")?.unwrap_or_default();
        if class.to_uppercase().starts_with("SMALL100") {
            frame.source = Some((vec![Part::TargetLanguage], vec![end]));
            return Ok(frame);
        }
        frame.first = Some(Part::TargetLanguage);
        // NLLB as it was first published put the language last.
        frame.source = Some(match keys.tokenizer_flag("legacy_behaviour", false)? {
            true => (Vec::new(), vec![end, Part::SourceLanguage]),
            false => (vec![Part::SourceLanguage], vec![end]),
        });
        Ok(frame)
    }

    fn vocabulary(&self) -> &'static [Kind] {
        &[Kind::TokenizerJson, Kind::SentencePiece(Numbering::Table), Kind::SentencePiece(Numbering::Nllb)]
    }

    fn complete(&self, spec: &Spec, frame: &Frame, config: &mut Map<String, Value>) {
        let Spec::Transformer(spec) = spec else { return };
        config.insert("architectures".to_owned(), json!(["M2M100ForConditionalGeneration"]));
        hugging_face::complete(spec, frame, config);
        match &frame.source {
            _ if frame.first.is_none() => config.insert("tokenizer_class".to_owned(), json!("SMALL100Tokenizer")),
            Some((before, _)) => config.insert("legacy_behaviour".to_owned(), json!(before.is_empty())),
            None => None,
        };
    }
}
