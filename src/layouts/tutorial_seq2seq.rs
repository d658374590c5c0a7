//! Parts 1 and 2 of the well-known PyTorch sequence-to-sequence tutorials, which have no attention: an LSTM whose decoder goes on from
//! the encoder's states (Sutskever, Vinyals and Le 2014), and a GRU that also reads the encoder's last state at every step (Cho et
//! al. 2014). Parts 3 and 4 are [`super::gru_attention`].

use serde_json::{Map, Value, json};

use super::Layout;
use super::plain_pytorch;
use super::recurrent;
use super::rules::Rule;
use crate::Result;
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights};
use crate::spec::Spec;
use crate::spec::recurrent::{Cell, Feed, Output, Part, Recurrent, Start, StartFrom};
use crate::text::Frame;

/// The family.
pub(super) struct TutorialSeq2Seq;

impl Layout for TutorialSeq2Seq {
    fn name(&self) -> &'static str {
        "tutorial-seq2seq"
    }

    fn network(&self) -> &'static str {
        "recurrent"
    }

    fn toolkit(&self, _files: &ModelFiles, _weights: &Weights) -> (&'static str, Option<String>) {
        ("PyTorch", None)
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        let has = |name: &str| tensors.contains(&name);
        has("encoder.rnn.weight_ih_l0")
            && has("decoder.rnn.weight_ih_l0")
            && !tensors.iter().any(|name| name.contains("attention"))
    }

    /// `<sos>` and `<eos>` stand around a source.
    fn options(&self, _files: &ModelFiles, _weights: &Weights) -> Result<Option<Map<String, Value>>> {
        Ok(json!({"add_source_bos": true}).as_object().cloned())
    }

    fn rules(&self) -> &'static [Rule] {
        &[Rule::Copy("decoder.out.{part}", &["decoder.fc_out.{part}"])]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        let rows = |name: &str| parameters.shape(name).and_then(|shape| shape.first().copied()).unwrap_or(0);
        let hidden = parameters.shape("decoder.rnn.weight_hh_l0").and_then(|shape| shape.get(1).copied()).unwrap_or(0);
        let cell = if rows("decoder.rnn.weight_hh_l0") == 4 * hidden { Cell::Lstm } else { Cell::Gru };
        let network = recurrent::network(parameters, cell)?;
        let features = parameters.shape("decoder.fc_out.weight").and_then(|shape| shape.get(1).copied());
        if features == Some(network.decoder.hidden) {
            return recurrent::checked(keys, network);
        }
        recurrent::checked(
            keys,
            Recurrent {
                feed: Feed::Summary,
                start: Start { from: StartFrom::TopLayer, ..network.start },
                output: Output { parts: vec![Part::Embedding, Part::State, Part::Summary], ..network.output },
                ..network
            },
        )
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        let frame = plain_pytorch::frame(keys, spec)?;
        // The first notebook reverses what it reads, in its first generation.
        Ok(Frame { reverses_source: keys.flag("reverse_source", false)?, ..frame })
    }
}
