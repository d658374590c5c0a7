//! JoeyNMT's recurrent models (Kreutzer, Bastings and Riezler 2019): Luong's order with either score.
//!
//! The decoder's layers all start from the encoder's top layer, an LSTM's cell states from the same vector as its states.

use serde_json::{Map, Value};

use super::hugging_face;
use super::joeynmt::JoeyNmt;
use super::recurrent;
use super::rules::Rule;
use super::{GenerationConfig, Layout, Lists};
use crate::Result;
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights};
use crate::compute::Activation;
use crate::spec::Spec;
use crate::spec::recurrent::{Bridge, BridgeForm, Cell, CellStart, Layers, Part, Recurrent, Start, StartFrom};
use crate::text::Frame;

/// The family.
pub(super) struct JoeyNmtRnn;

impl Layout for JoeyNmtRnn {
    fn name(&self) -> &'static str {
        "joeynmt-rnn"
    }

    fn network(&self) -> &'static str {
        "recurrent"
    }

    fn toolkit(&self, files: &ModelFiles, weights: &Weights) -> (&'static str, Option<String>) {
        JoeyNmt.toolkit(files, weights)
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        tensors.contains(&"src_embed.lut.weight") && tensors.contains(&"encoder.rnn.weight_ih_l0")
    }

    fn options(&self, files: &ModelFiles, weights: &Weights) -> Result<Option<Map<String, Value>>> {
        JoeyNmt.options(files, weights)
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            Rule::Copy("src_embed.lut.weight", &["encoder.embedding.weight"]),
            Rule::Copy("trg_embed.lut.weight", &["decoder.embedding.weight"]),
            Rule::Copy("decoder.bridge_layer.{part}", &["encoder.fc.{part}"]),
            Rule::Copy("decoder.attention.energy_layer.{part}", &["decoder.attention.v_fc.{part}"]),
            Rule::Copy("decoder.attention.{which}_layer.{part}", &["decoder.attention.{which}.{part}"]),
            Rule::Copy("decoder.att_vector_layer.{part}", &["decoder.hidden_fc.{part}"]),
            Rule::Copy("decoder.output_layer.{part}", &["decoder.fc_out.{part}"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        let missing = |name: &str| keys.error(format!("`{name}` is missing"));
        let model = keys.section("model")?.ok_or_else(|| missing("model"))?;
        let side = |name: &str| model.section(name)?.ok_or_else(|| missing(&format!("model.{name}")));
        let (encoder, decoder) = (side("encoder")?, side("decoder")?);
        for side in [&encoder, &decoder] {
            if side.section("embeddings")?.map_or(Ok(false), |embeddings| embeddings.flag("scale", false))? {
                keys.refuse("`embeddings.scale` is not supported with recurrent layers");
            }
        }
        let cell = |side: &Keys| -> Result<Cell> {
            let kind = side.string("rnn_type")?;
            Ok(if kind.is_some_and(|kind| kind == "lstm") { Cell::Lstm } else { Cell::Gru })
        };
        let network = recurrent::network(parameters, cell(&encoder)?)?;
        let network = Recurrent { decoder: Layers { cell: cell(&decoder)?, ..network.decoder }, ..network };
        let activation = match decoder.string("activation")? {
            None => Activation::Tanh,
            Some(name) if name == "tanh" => Activation::Tanh,
            Some(name) => hugging_face::named_activation(keys, "activation", &name),
        };
        let bridge = Bridge { activation, form: BridgeForm::Shared };
        let bridge = parameters.contains("encoder.fc.weight").then_some(bridge);
        let from = match (bridge, decoder.string("init_hidden")?.as_deref()) {
            (Some(_), _) | (None, Some("last")) => StartFrom::TopLayer,
            _ => StartFrom::Zero,
        };
        // `last` of an encoder that is twice as wide is its forward half.
        let forward_only = bridge.is_none() && network.memory() != network.decoder.hidden;
        let network = Recurrent { start: Start { from, forward_only, bridge, cell: CellStart::State }, ..network };
        let is_additive = parameters.contains("decoder.attention.v_fc.weight");
        let score = if is_additive { recurrent::ADDITIVE } else { recurrent::DOT };
        let parts = [Part::State, Part::Context];
        recurrent::checked(keys, recurrent::luong(network, parameters, Some(score), activation, parts))
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        JoeyNmt.frame(keys, spec)
    }

    fn lists(&self, files: &ModelFiles, keys: &Keys) -> Result<Option<Lists>> {
        JoeyNmt.lists(files, keys)
    }

    fn search(&self, keys: &Keys, generation: &mut GenerationConfig) -> Result<()> {
        JoeyNmt.search(keys, generation)
    }
}
