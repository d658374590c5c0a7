//! mBART (Liu et al. 2020) and mBART-50 (Tang et al. 2020) as Hugging Face publishes them (`MBartForConditionalGeneration`).
//!
//! BART normalised before each sublayer and after the last. In mBART the source's language follows it and the decoder is
//! fed the target's first; in mBART-50 the source's language precedes it, and the target's is the first token of every
//! translation.

use serde_json::{Map, Value, json};

use super::hugging_face::{self, Class, Ids};
use super::{Layout, rules::Rule};
use crate::Result;
use crate::checkpoint::{Keys, Parameters};
use crate::compute::Activation;
use crate::spec::Spec;
use crate::text::{Frame, Kind, Numbering, Part};

/// The family.
pub(super) struct MBart;

impl Layout for MBart {
    fn name(&self) -> &'static str {
        "mbart"
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        // BART has no norm after the last layer.
        let has = |end: &str| tensors.iter().any(|name| name.ends_with(end));
        has("encoder.layernorm_embedding.weight") && has("encoder.layer_norm.weight")
    }

    fn rules(&self) -> &'static [Rule] {
        &hugging_face::WITHOUT_HEAD
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        let class = Class {
            vocabularies: hugging_face::vocabulary_sizes(keys, parameters, 50265)?,
            before: true,
            final_norm: true,
            embedding_norm: true,
            positions: hugging_face::learned_positions(keys)?,
            activation: Activation::Gelu,
            scale_embedding: false,
        };
        class.spec(keys, parameters)
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        let mut frame = Ids { padding: 1, end: 2, start: 2 }.frame(keys, spec.vocabulary_sizes().1, None)?;
        let end = Part::Id(frame.end);
        let class = keys.tokenizer_string("tokenizer_class")?;
        let starts_with_end = keys.id("decoder_start_token_id")? == Some(frame.end);
        if class.map_or(starts_with_end, |class| class.starts_with("MBart50")) {
            frame.source = Some((vec![Part::SourceLanguage], vec![end]));
            frame.first = Some(Part::TargetLanguage);
        } else {
            frame.source = Some((Vec::new(), vec![end, Part::SourceLanguage]));
            frame.start = Part::TargetLanguage;
        }
        frame.forced_end = Some(frame.end);
        Ok(frame)
    }

    fn vocabulary(&self) -> &'static [Kind] {
        &[Kind::TokenizerJson, Kind::SentencePiece(Numbering::MBart)]
    }

    fn complete(&self, spec: &Spec, frame: &Frame, config: &mut Map<String, Value>) {
        let Spec::Transformer(spec) = spec else { return };
        config.insert("architectures".to_owned(), json!(["MBartForConditionalGeneration"]));
        let class = if frame.first.is_some() { "MBart50Tokenizer" } else { "MBartTokenizer" };
        config.insert("tokenizer_class".to_owned(), json!(class));
        hugging_face::complete(spec, frame, config);
    }
}
