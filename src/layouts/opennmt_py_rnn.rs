//! OpenNMT-py's recurrent models, versions 0.x to 3 (Klein et al. 2017): Luong's order, with or without input feeding.
//!
//! The states of several encoder layers go through the bridge as versions since 3 and a batch of one sentence view them:
//! [`BridgeForm::Viewed`]. The additive score has an attentional state without a tanh.

use serde_json::{Map, Value};

use super::opennmt_py::OpenNmtPy;
use super::recurrent;
use super::rules::Rule;
use super::{GenerationConfig, Layout, Lists};
use crate::Result;
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights};
use crate::compute::Activation;
use crate::spec::Spec;
use crate::spec::recurrent::{Bridge, BridgeForm, Cell, Part, Recurrent, Start};
use crate::text::Frame;

/// Options that change the network and are not supported where they are on.
const REFUSED: [&str; 3] = ["copy_attn", "coverage_attn", "context_gate"];

/// The family.
pub(super) struct OpenNmtPyRnn;

impl Layout for OpenNmtPyRnn {
    fn name(&self) -> &'static str {
        "opennmt-py-rnn"
    }

    fn network(&self) -> &'static str {
        "recurrent"
    }

    fn toolkit(&self, files: &ModelFiles, weights: &Weights) -> (&'static str, Option<String>) {
        OpenNmtPy.toolkit(files, weights)
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        tensors.iter().any(|name| name.starts_with("encoder.embeddings.") && name.ends_with("emb_luts.0.weight"))
            && tensors.contains(&"encoder.rnn.weight_ih_l0")
    }

    fn options(&self, files: &ModelFiles, weights: &Weights) -> Result<Option<Map<String, Value>>> {
        OpenNmtPy.options(files, weights)
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            Rule::Copy("{side}.embeddings.make_embedding.emb_luts.0.weight", &["{side}.embedding.weight"]),
            // The name of the first versions.
            Rule::Copy("{side}.embeddings.emb_luts.0.weight", &["{side}.embedding.weight"]),
            Rule::Copy("encoder.bridge.0.{part}", &["encoder.fc.{part}"]),
            Rule::Copy("encoder.bridge.1.{part}", &["encoder.fc_cell.{part}"]),
            // Cells of their own, where something is fed.
            Rule::Copy("decoder.rnn.layers.{layer}.{part}", &["decoder.rnn.{part}_l{layer}"]),
            Rule::Copy("decoder.attn.linear_in.{part}", &["decoder.attention.query.{part}"]),
            Rule::Copy("decoder.attn.linear_query.{part}", &["decoder.attention.query.{part}"]),
            Rule::Copy("decoder.attn.linear_context.{part}", &["decoder.attention.key.{part}"]),
            Rule::Copy("decoder.attn.v.{part}", &["decoder.attention.v_fc.{part}"]),
            Rule::Copy("decoder.attn.linear_out.{part}", &["decoder.hidden_fc.{part}"]),
            Rule::Copy("generator.0.{part}", &["decoder.fc_out.{part}"]),
            Rule::Copy("generator.{part}", &["decoder.fc_out.{part}"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        recurrent::refuse(keys, &REFUSED);
        for (key, known) in [("encoder_type", &["rnn", "brnn"][..]), ("decoder_type", &["rnn"])] {
            if let Some(kind) = keys.string(key)?.filter(|kind| !known.contains(&kind.as_str())) {
                keys.refuse(format!("`{key}` {kind:?} is not supported with a recurrent encoder"));
            }
        }
        if keys.string("global_attention_function")?.is_some_and(|function| function != "softmax") {
            keys.refuse("`global_attention_function` is not supported but for softmax");
        }
        if parameters.names().any(|name| name.contains("emb_luts.1")) {
            keys.refuse("the source has features beside its words, which are not supported");
        }
        let cell = match keys.string("rnn_type")?.as_deref() {
            None | Some("LSTM") => Cell::Lstm,
            Some("GRU") => Cell::Gru,
            Some("RNN") => Cell::RnnTanh,
            Some(other) => {
                keys.refuse(format!("`rnn_type` {other:?} is not supported; LSTM, GRU and RNN are"));
                Cell::Lstm
            }
        };
        let network = recurrent::network(parameters, cell)?;
        let bridge = Bridge { activation: Activation::Relu, form: BridgeForm::Viewed };
        let start = Start { bridge: parameters.contains("encoder.fc.weight").then_some(bridge), ..network.start };
        let is_additive = parameters.contains("decoder.attention.v_fc.weight");
        let (score, activation) = match is_additive {
            true => (recurrent::ADDITIVE, Activation::Identity),
            false => (recurrent::DOT, Activation::Tanh),
        };
        let score = parameters.contains("decoder.hidden_fc.weight").then_some(score);
        let network = Recurrent { start, ..network };
        let parts = [Part::Context, Part::State];
        recurrent::checked(keys, recurrent::luong(network, parameters, score, activation, parts))
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        OpenNmtPy.frame(keys, spec)
    }

    fn lists(&self, files: &ModelFiles, keys: &Keys) -> Result<Option<Lists>> {
        OpenNmtPy.lists(files, keys)
    }

    fn search(&self, keys: &Keys, generation: &mut GenerationConfig) -> Result<()> {
        OpenNmtPy.search(keys, generation)
    }
}
