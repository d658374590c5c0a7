//! BART as Hugging Face publishes it (`BartForConditionalGeneration`; Lewis et al. 2020).
//!
//! Normalised after each sublayer, embeddings normalised too, learned positions that begin at row 2. Where the norms
//! stand is the class's affair: keys like `normalize_before` in published configurations are not read.

use serde_json::{Map, Value, json};

use super::hugging_face::{self, Class, Ids};
use super::{Layout, rules::Rule};
use crate::Result;
use crate::checkpoint::{Keys, Parameters};
use crate::compute::Activation;
use crate::spec::{Positions, Spec, Transformer};
use crate::text::{Frame, Kind};

/// The family.
pub(super) struct Bart;

impl Layout for Bart {
    fn name(&self) -> &'static str {
        "bart"
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        // mBART and Pegasus store a final norm, which BART has not.
        let (mut embeds, mut is_other) = (false, false);
        for name in tensors {
            embeds |= name.ends_with("encoder.layernorm_embedding.weight");
            is_other |= name.ends_with("encoder.layer_norm.weight");
        }
        embeds && !is_other
    }

    fn rules(&self) -> &'static [Rule] {
        &hugging_face::WITHOUT_HEAD
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        let class = Class {
            vocabularies: hugging_face::vocabulary_sizes(keys, parameters, 50265)?,
            before: false,
            final_norm: false,
            embedding_norm: true,
            positions: hugging_face::learned_positions(keys)?,
            activation: Activation::Gelu,
            scale_embedding: false,
        };
        class.spec(keys, parameters)
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        let (source_size, size) = spec.vocabulary_sizes();
        let begin = keys.id("bos_token_id")?.unwrap_or(0);
        let mut frame = Ids { padding: 1, end: 2, start: 2 }.frame(keys, size, None)?;
        // `<s> X </s>`, which a tokenizer.json says itself.
        frame.source = hugging_face::source_frame(keys, source_size, begin, frame.end)?;
        frame.forced_end = Some(frame.end);
        Ok(frame)
    }

    fn vocabulary(&self) -> &'static [Kind] {
        &[Kind::TokenizerJson, Kind::ByteLevel, Kind::WordList]
    }

    fn target_characters(&self, keys: &Keys) -> Result<Option<String>> {
        // Models from letters to sounds have their own; tokenizer.json is that of the letters.
        keys.string("phoneme_chars")
    }

    fn complete(&self, spec: &Spec, frame: &Frame, config: &mut Map<String, Value>) {
        let Spec::Transformer(spec) = spec else { return };
        config.insert("architectures".to_owned(), json!(["BartForConditionalGeneration"]));
        hugging_face::complete(spec, frame, config);
    }
}

/// Why Hugging Face's class cannot compute a network, if it cannot.
pub(super) fn differs(spec: &Transformer) -> Option<&'static str> {
    hugging_face::differs(spec).or(match &spec.positions {
        Positions::Learned { offset: 2, .. } if !spec.embedding_norm => Some("it does not normalise embeddings"),
        Positions::Learned { offset: 2, .. } if spec.encoder.final_norm || spec.decoder.final_norm => {
            Some("it has a normalisation after the last layer")
        }
        Positions::Learned { offset: 2, .. } if spec.starts_from_zero => Some("its decoder begins with no token"),
        Positions::Learned { offset: 2, .. } => None,
        _ => Some("its positions are not learned ones that begin at the third row"),
    })
}
