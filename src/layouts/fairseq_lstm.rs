//! fairseq's `lstm` (Ott et al. 2019): Luong's order with a projected query, and the attentional state fed to the next step.

use serde_json::{Map, Value};

use super::fairseq::Fairseq;
use super::recurrent;
use super::rules::Rule;
use super::{GenerationConfig, Layout, Lists};
use crate::Result;
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights};
use crate::compute::Activation;
use crate::spec::Spec;
use crate::spec::recurrent::{Bridge, BridgeForm, Cell, Output, Part, Recurrent, Start};
use crate::text::Frame;

/// The family.
pub(super) struct FairseqLstm;

impl Layout for FairseqLstm {
    fn name(&self) -> &'static str {
        "fairseq-lstm"
    }

    fn network(&self) -> &'static str {
        "recurrent"
    }

    fn toolkit(&self, files: &ModelFiles, weights: &Weights) -> (&'static str, Option<String>) {
        Fairseq.toolkit(files, weights)
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        tensors.contains(&"encoder.lstm.weight_ih_l0") && tensors.contains(&"decoder.layers.0.weight_ih")
    }

    fn options(&self, files: &ModelFiles, weights: &Weights) -> Result<Option<Map<String, Value>>> {
        Fairseq.options(files, weights)
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            Rule::Ignore("{side}.version"),
            Rule::Copy("{side}.embed_tokens.weight", &["{side}.embedding.weight"]),
            Rule::Copy("encoder.lstm.{rest}", &["encoder.rnn.{rest}"]),
            Rule::Copy("decoder.layers.{layer}.{part}", &["decoder.rnn.{part}_l{layer}"]),
            Rule::Copy("decoder.encoder_hidden_proj.{part}", &["encoder.fc.{part}"]),
            Rule::Copy("decoder.encoder_cell_proj.{part}", &["encoder.fc_cell.{part}"]),
            Rule::Copy("decoder.attention.input_proj.{part}", &["decoder.attention.query.{part}"]),
            Rule::Copy("decoder.attention.output_proj.{part}", &["decoder.hidden_fc.{part}"]),
            Rule::Copy("decoder.additional_fc.{part}", &["decoder.extra_fc.{part}"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        if parameters.names().any(|name| name.contains("adaptive_softmax")) {
            keys.refuse("the output layer is an adaptive softmax, which is not supported");
        }
        let network = recurrent::network(parameters, Cell::Lstm)?;
        let bridge = Bridge { activation: Activation::Identity, form: BridgeForm::Shared };
        let extra = parameters.shape("decoder.extra_fc.weight").and_then(|shape| shape.first().copied());
        let score = parameters.contains("decoder.attention.query.weight").then_some(recurrent::DOT);
        let network = Recurrent {
            start: Start { bridge: parameters.contains("encoder.fc.weight").then_some(bridge), ..network.start },
            output: Output { extra, tied: !parameters.contains("decoder.fc_out.weight"), ..network.output },
            ..network
        };
        let parts = [Part::Context, Part::State];
        recurrent::checked(keys, recurrent::luong(network, parameters, score, Activation::Tanh, parts))
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        Fairseq.frame(keys, spec)
    }

    fn lists(&self, files: &ModelFiles, keys: &Keys) -> Result<Option<Lists>> {
        Fairseq.lists(files, keys)
    }

    fn search(&self, keys: &Keys, generation: &mut GenerationConfig) -> Result<()> {
        Fairseq.search(keys, generation)
    }
}
