//! The bidirectional GRU with additive attention of the well-known PyTorch sequence-to-sequence tutorials (part 3), in
//! every generation of its names, and the built-in GRU.

use serde_json::{Map, Value, json};

use super::{Layout, plain_pytorch, rules::Rule};
use crate::Result;
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights};
use crate::compute::Activation;
use crate::spec::Spec;
use crate::spec::recurrent::{
    self, Attention, Bridge, BridgeForm, Cell, CellStart, Choice, Directions, Feed, Join, Layers, Output, Query, Reach,
    Recurrent, Score, Start, StartFrom,
};
use crate::text::{Frame, Part};

/// The family.
pub(super) struct GruAttention;

impl Layout for GruAttention {
    fn name(&self) -> &'static str {
        "gru-attention"
    }

    fn network(&self) -> &'static str {
        "gru"
    }

    fn toolkit(&self, _files: &ModelFiles, _weights: &Weights) -> (&'static str, Option<String>) {
        ("translate", None)
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        tensors.iter().any(|&name| name.starts_with("encoder.rnn."))
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            // The first generation kept v as a bare parameter [hidden].
            Rule::Copy("decoder.attention.v", &["decoder.attention.v_fc.weight"]),
            Rule::Copy("decoder.attention.attn.{rest}", &["decoder.attention.attn_fc.{rest}"]),
            Rule::Copy("decoder.attention.v.{rest}", &["decoder.attention.v_fc.{rest}"]),
            Rule::Copy("decoder.out.{rest}", &["decoder.fc_out.{rest}"]),
            Rule::Copy("attention.attn.{rest}", &["decoder.attention.attn_fc.{rest}"]),
            Rule::Copy("attention.v.{rest}", &["decoder.attention.v_fc.{rest}"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        // A size that neither the config nor a tensor gives is asked of the tensor, which says what is missing.
        let size = |key: &str, tensor: &str, axis: usize| -> Result<usize> {
            let stored = parameters.shape(tensor).and_then(|shape| shape.get(axis).copied());
            match (keys.number(key)?, stored) {
                (Some(0), _) => Err(keys.error(format!("`{key}` is 0"))),
                (Some(size), _) | (None, Some(size)) => Ok(size),
                (None, None) => Err(parameters.missing(tensor)),
            }
        };
        let source_embedding = size("embedding_dim", "encoder.embedding.weight", 1)?;
        let encoder_hidden = size("hidden_dim", "encoder.rnn.weight_hh_l0", 1)?;
        let source_vocabulary = size("source_vocab_size", "encoder.embedding.weight", 0)?;
        let target_vocabulary = size("target_vocab_size", "decoder.embedding.weight", 0)?;
        let target_embedding = size("target_embedding_dim", "decoder.embedding.weight", 1)?;
        let decoder_hidden = size("decoder_hidden_dim", "decoder.rnn.weight_hh_l0", 1)?;
        let layers = |hidden| Layers { cell: Cell::Gru, layers: 1, hidden, residual_from: None, transitions: 0 };
        Ok(Spec::Recurrent(Recurrent {
            source_vocabulary,
            target_vocabulary,
            source_embedding,
            target_embedding,
            bias: true,
            encoder: layers(encoder_hidden),
            directions: Directions::EachLayer,
            join: Join::Concatenated,
            decoder: layers(decoder_hidden),
            start: Start {
                from: StartFrom::TopLayer,
                forward_only: false,
                bridge: Some(Bridge { activation: Activation::Tanh, form: BridgeForm::Shared }),
                cell: CellStart::Zero,
            },
            starts_from_zero: false,
            input: None,
            feed: Feed::Nothing,
            attention: Some(Attention {
                query_place: Query::Before,
                score: Score::Additive { normalised: false },
                reach: Reach::Global,
                choice: Choice::Soft,
                heads: 1,
                width: decoder_hidden,
                query: true,
                key: true,
                value: None,
                output: None,
                coverage: false,
                every_layer: false,
            }),
            output: Output {
                parts: vec![recurrent::Part::State, recurrent::Part::Context, recurrent::Part::Embedding],
                hidden: None,
                extra: None,
                tied: false,
            },
        }))
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        plain_pytorch::frame(keys, spec)
    }

    fn complete(&self, spec: &Spec, frame: &Frame, config: &mut Map<String, Value>) {
        let Spec::Recurrent(spec) = spec else { return };
        let keys = json!({
            "is_encoder_decoder": true,
            "source_vocab_size": spec.source_vocabulary,
            "target_vocab_size": spec.target_vocabulary,
            "embedding_dim": spec.source_embedding,
            "target_embedding_dim": spec.target_embedding,
            "hidden_dim": spec.encoder.hidden,
            "decoder_hidden_dim": spec.decoder.hidden,
            "pad_token_id": frame.padding,
            "eos_token_id": frame.end,
            "decoder_start_token_id": if let Part::Id(start) = frame.start { json!(start) } else { Value::Null },
        });
        if let Value::Object(keys) = keys {
            config.extend(keys);
        }
        config.entry("unk_token_id").or_insert(json!(0));
    }
}
