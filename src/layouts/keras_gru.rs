//! A sequence-to-sequence model of Keras's GRU layers, whose tensors somebody put into safetensors under the names of a `.keras` file.
//!
//! Kernels are `[inputs, 3·hidden]` with the gates z, r, h; with `reset_after` (the default since TensorFlow 2) a bias has two
//! rows, that of the input and that of the state, else one. The layers have the names that Keras gives them when they are the
//! first of their kind; `tensor_names` says others.

use serde_json::{Map, Value};

use super::plain_pytorch;
use super::recurrent;
use super::rules::{Of, Rule};
use super::toolkits::{self, PIECES};
use super::{Layout, Lists};
use crate::Result;
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights};
use crate::spec::Spec;
use crate::spec::recurrent::{Attention, Cell, Output, Part, Query, Recurrent, Start, StartFrom};
use crate::text::Frame;

/// The family.
pub(super) struct KerasGru;

impl Layout for KerasGru {
    fn name(&self) -> &'static str {
        "keras-gru"
    }

    fn network(&self) -> &'static str {
        "recurrent"
    }

    fn toolkit(&self, _files: &ModelFiles, _weights: &Weights) -> (&'static str, Option<String>) {
        ("Keras", None)
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        tensors.contains(&"layers/gru/cell/vars/0") && tensors.contains(&"layers/embedding_1/vars/0")
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            Rule::Copy("layers/embedding/vars/0", &["encoder.embedding.weight"]),
            Rule::Copy("layers/embedding_1/vars/0", &["decoder.embedding.weight"]),
            Rule::Rename("layers/bidirectional/forward_layer/cell/vars/{part}", "encoder.l0.{part}"),
            Rule::Rename("layers/bidirectional/backward_layer/cell/vars/{part}", "encoder.l0_reverse.{part}"),
            Rule::Rename("layers/gru/cell/vars/{part}", "decoder.l0.{part}"),
            Rule::Stack("{side}.rnn.weight_ih_{cell}", &[Of::Columns("{side}.{cell}.0", &[1, 0, 2], 3)]),
            Rule::Stack("{side}.rnn.weight_hh_{cell}", &[Of::Columns("{side}.{cell}.1", &[1, 0, 2], 3)]),
            Rule::Stack("{side}.rnn.bias_ih_{cell}", &[Of::Row(0, "{side}.{cell}.2", &[1, 0, 2], 3)]),
            Rule::Stack("{side}.rnn.bias_hh_{cell}", &[Of::Row(1, "{side}.{cell}.2", &[1, 0, 2], 3)]),
            Rule::Copy("layers/additive_attention/vars/0", &["decoder.attention.v_fc.weight"]),
            // What is made of the encoder's states is compared, and looked up.
            Rule::Stack(
                "decoder.attention.key.weight",
                &[Of::Columns("layers/time_distributed/layer/vars/0", &[0], 1)],
            ),
            Rule::Stack(
                "decoder.attention.value.weight",
                &[Of::Columns("layers/time_distributed/layer/vars/0", &[0], 1)],
            ),
            Rule::Copy(
                "layers/time_distributed/layer/vars/1",
                &["decoder.attention.key.bias", "decoder.attention.value.bias"],
            ),
            Rule::Transpose("layers/dense/vars/0", "decoder.fc_out.weight"),
            Rule::Copy("layers/dense/vars/1", &["decoder.fc_out.bias"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        // The older form has one bias a cell.
        let is_after = parameters.contains("decoder.rnn.bias_hh_l0");
        let network = recurrent::network(parameters, if is_after { Cell::Gru } else { Cell::GruResetBefore })?;
        let score = match keys.string("attention")?.as_deref() {
            None if parameters.contains("decoder.attention.v_fc.weight") => Some(recurrent::ADDITIVE),
            None | Some("none") => None,
            Some("additive") => Some(recurrent::ADDITIVE),
            Some("dot") => Some(recurrent::DOT),
            Some(other) => {
                keys.refuse(format!("`attention` {other:?} is not supported; additive, dot and none are"));
                None
            }
        };
        let place = match keys.string("query")?.as_deref() {
            None | Some("after") => Query::After,
            Some("before") => Query::Before,
            Some(other) => {
                keys.refuse(format!("`query` {other:?} is not supported; after and before are"));
                Query::After
            }
        };
        let from = match keys.string("start")?.as_deref() {
            None | Some("zero") => StartFrom::Zero,
            Some("last") => StartFrom::TopLayer,
            Some(other) => {
                keys.refuse(format!("`start` {other:?} is not supported; zero and last are"));
                StartFrom::Zero
            }
        };
        let attention: Option<Attention> = score.map(|score| recurrent::attention(&network, parameters, place, score));
        let parts = if attention.is_some() { vec![Part::State, Part::Context] } else { vec![Part::State] };
        let output = Output { parts, ..network.output };
        recurrent::checked(keys, Recurrent { attention, output, start: Start { from, ..network.start }, ..network })
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        plain_pytorch::frame(keys, spec)
    }

    /// Keras keeps its vocabularies in the author's script; they may be spelt out in config.json.
    fn lists(&self, _files: &ModelFiles, keys: &Keys) -> Result<Option<Lists>> {
        let [source, target] = PIECES;
        let Some(source) = toolkits::listed(keys, source)? else { return Ok(None) };
        Ok(Some((source, toolkits::listed(keys, target)?)))
    }
}
