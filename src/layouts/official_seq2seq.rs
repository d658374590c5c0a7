//! The official PyTorch tutorial "Translation with a Sequence to Sequence Network and Attention", in both generations, and its decoder
//! without attention: one GRU on each side.
//!
//! The newer one has additive attention. The older scores `MAX_LENGTH` positions from embedding and state alone, and those beyond the
//! sentence, where the memory is zero, have their share of the probability. Vocabularies begin with `SOS` and `EOS`.

use serde_json::{Map, Value};

use super::Layout;
use super::hugging_face::{self, Ids};
use super::recurrent;
use super::rules::Rule;
use crate::Result;
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights};
use crate::compute::Activation;
use crate::spec::Spec;
use crate::spec::recurrent::{Cell, InputLayer, Query, Recurrent, Score, Start, StartFrom};
use crate::text::{Frame, Part};

/// The family.
pub(super) struct OfficialSeq2Seq;

impl Layout for OfficialSeq2Seq {
    fn name(&self) -> &'static str {
        "pytorch-seq2seq"
    }

    fn network(&self) -> &'static str {
        "recurrent"
    }

    fn toolkit(&self, _files: &ModelFiles, _weights: &Weights) -> (&'static str, Option<String>) {
        ("PyTorch", None)
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        ["encoder.gru.weight_ih_l0", "decoder.gru.weight_ih_l0", "decoder.out.weight"]
            .iter()
            .all(|name| tensors.contains(name))
    }

    fn options(&self, _files: &ModelFiles, _weights: &Weights) -> Result<Option<Map<String, Value>>> {
        Ok(Some(Map::new()))
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            Rule::Copy("{side}.gru.{rest}", &["{side}.rnn.{rest}"]),
            Rule::Copy("decoder.attention.Wa.{part}", &["decoder.attention.query.{part}"]),
            Rule::Copy("decoder.attention.Ua.{part}", &["decoder.attention.key.{part}"]),
            // The same for every position, so that no weight depends on it.
            Rule::Ignore("decoder.attention.Va.bias"),
            Rule::Copy("decoder.attention.Va.weight", &["decoder.attention.v_fc.weight"]),
            Rule::Copy("decoder.attn.{part}", &["decoder.attention.location.{part}"]),
            Rule::Copy("decoder.attn_combine.{part}", &["decoder.input_fc.{part}"]),
            Rule::Copy("decoder.out.{part}", &["decoder.fc_out.{part}"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        let rows = |name: &str| parameters.shape(name).and_then(|shape| shape.first().copied());
        let network = recurrent::network(parameters, Cell::Gru)?;
        let score = match rows("decoder.attention.location.weight") {
            Some(positions) => Some(Score::Location { positions, embedding: true, beyond: true }),
            None => parameters.contains("decoder.attention.v_fc.weight").then_some(recurrent::ADDITIVE),
        };
        let width = rows("decoder.input_fc.weight");
        let attention = score.map(|score| recurrent::attention(&network, parameters, Query::Before, score));
        // Only the newer attention has nothing before the cell.
        let input =
            (width.is_some() || attention.is_none()).then_some(InputLayer { width, activation: Activation::Relu });
        let start = Start { from: StartFrom::TopLayer, ..network.start };
        recurrent::checked(keys, Recurrent { attention, input, start, ..network })
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        let (source_size, size) = spec.vocabulary_sizes();
        let frame = Ids { padding: 1, end: 1, start: 0 }.frame(keys, size, None)?;
        let said = hugging_face::source_frame(keys, source_size, 0, frame.end)?;
        let source = said.or_else(|| Some((Vec::new(), vec![Part::Id(frame.end)])));
        Ok(Frame { source, ..frame })
    }
}
