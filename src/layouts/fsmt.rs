//! FSMT: fairseq's WMT models as Hugging Face publishes them (`FSMTForConditionalGeneration`; Ng et al. 2019).
//!
//! Normalised after each sublayer, with fairseq's sinusoids. The two vocabularies differ, and the output layer is the
//! decoder's embedding, whatever `tie_word_embeddings` (which means the two embeddings) says.

use serde_json::{Map, Value, json};

use super::hugging_face::{self, Class, Ids};
use super::{Layout, rules::Rule};
use crate::Result;
use crate::checkpoint::{Keys, Parameters};
use crate::compute::Activation;
use crate::spec::Spec;
use crate::text::{Frame, Kind, Part};

/// The family.
pub(super) struct Fsmt;

impl Layout for Fsmt {
    fn name(&self) -> &'static str {
        "fsmt"
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        tensors.iter().any(|name| name.ends_with("decoder.output_projection.weight"))
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            // Sinusoids.
            Rule::Ignore("model.{side}.embed_positions.weight"),
            // The decoder's embedding once more; some files hold it under this name alone.
            Rule::Copy("model.decoder.output_projection.weight", &["model.decoder.embed_tokens.weight"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        let size = |key: &str, side: &str| {
            let rows = parameters.shape(&format!("model.{side}.embed_tokens.weight"));
            keys.size(key, rows.and_then(|shape| shape.first().copied()).unwrap_or(42024))
        };
        let class = Class {
            vocabularies: (size("src_vocab_size", "encoder")?, size("tgt_vocab_size", "decoder")?),
            before: false,
            final_norm: false,
            embedding_norm: false,
            positions: hugging_face::fairseq_positions(keys)?,
            activation: Activation::Relu,
            scale_embedding: true,
        };
        class.spec(keys, parameters)
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        let mut frame = Ids { padding: 1, end: 2, start: 2 }.frame(keys, spec.vocabulary_sizes().1, None)?;
        frame.source = Some((Vec::new(), vec![Part::Id(frame.end)]));
        frame.forced_end = Some(frame.end);
        Ok(frame)
    }

    fn vocabulary(&self) -> &'static [Kind] {
        &[Kind::Moses, Kind::TokenizerJson]
    }

    fn complete(&self, spec: &Spec, frame: &Frame, config: &mut Map<String, Value>) {
        let Spec::Transformer(spec) = spec else { return };
        config.insert("architectures".to_owned(), json!(["FSMTForConditionalGeneration"]));
        hugging_face::complete(spec, frame, config);
        config.insert("src_vocab_size".to_owned(), json!(spec.source_vocabulary));
        config.insert("tgt_vocab_size".to_owned(), json!(spec.target_vocabulary));
    }
}
