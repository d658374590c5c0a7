//! Marian's recurrent models (Junczys-Dowmunt et al. 2018), types `s2s`, `nematus` and `amun`, and the `.npz` of Nematus itself (Sennrich
//! et al. 2017), as Edinburgh's systems of WMT16 and WMT17 were published.
//!
//! The decoder starts from the mean of the memory and from a zero vector; the query stands between its first two cells; the output
//! is deep. Cells are GRUs with the matrices `W` and `U` (r, z) and `Wx` and `Ux` (the rest), `[inputs, outputs]`, or LSTMs (f, i, c, o).
//! In cells of the decoder's base after the first the bias `bx` stands within the reset.

use serde_json::{Map, Value, json};

use super::marian_native::{self, MarianNative};
use super::marian_vocabulary;
use super::recurrent;
use super::rules::{Of, Rule};
use super::{GenerationConfig, Layout, Lists};
use crate::Result;
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights};
use crate::compute::Activation;
use crate::spec::Spec;
use crate::spec::recurrent::{
    Bridge, BridgeForm, Cell, CellStart, Directions, Hidden, Layers, Output, Part, Query, Recurrent, Start, StartFrom,
};
use crate::text::Frame;

/// Options that change the network and are not supported where they are on.
const REFUSED: [&str; 6] = ["layer-normalization", "skip", "right-left", "ulr", "lemma-dim-emb", "char-highway"];

/// The family.
pub(super) struct MarianRecurrent;

impl Layout for MarianRecurrent {
    fn name(&self) -> &'static str {
        "marian-recurrent"
    }

    fn network(&self) -> &'static str {
        "recurrent"
    }

    fn toolkit(&self, files: &ModelFiles, weights: &Weights) -> (&'static str, Option<String>) {
        match weights.said().contains_key("dim-emb") {
            true => MarianNative.toolkit(files, weights),
            false => ("Nematus", None),
        }
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        tensors.contains(&"decoder_W_comb_att")
    }

    fn options(&self, files: &ModelFiles, weights: &Weights) -> Result<Option<Map<String, Value>>> {
        if weights.said().contains_key("dim-emb") {
            return MarianNative.options(files, weights);
        }
        // Nematus keeps its options in a file of their own; of the network the tensors say enough.
        let mut options = json!({"type": "nematus"}).as_object().cloned().unwrap_or_default();
        let names = files.names()?;
        let beside = names.iter().find(|name| name.ends_with(".npz.json"));
        let said = beside.map(|name| Keys::read(files, name)).transpose()?.flatten();
        if let Some(vocabularies) = said.as_ref().and_then(|said| said.value("dictionaries")) {
            options.insert("vocabs".to_owned(), vocabularies.clone());
        }
        marian_vocabulary::options(files, weights, &mut options)?;
        Ok(Some(options))
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            // Other names for the same, Nematus's first.
            Rule::Ignore("decoder_c_tt"),
            Rule::Ignore("uidx"),
            Rule::Ignore("history_errs"),
            Rule::Rename("decoder_{part}_nl_drt_{number}", "decoder.base{number}.{part}"),
            Rule::Rename("decoder_{part}_nl", "decoder.l0_cell2.{part}"),
            Rule::Rename("decoder_Wcx", "decoder.l0_cell2.Wx"),
            Rule::Rename("decoder_Wc", "decoder.l0_cell2.W"),
            Rule::Rename("ff_logit_prev_{part}", "decoder_ff_logit_l1_{part}0"),
            Rule::Rename("ff_logit_lstm_{part}", "decoder_ff_logit_l1_{part}1"),
            Rule::Rename("ff_logit_ctx_{part}", "decoder_ff_logit_l1_{part}2"),
            Rule::Rename("ff_logit_{part}", "decoder_ff_logit_l2_{part}"),
            Rule::Rename("ff_state_{part}", "decoder_ff_state_{part}"),
            Rule::Copy("Wemb_dec", &["decoder.embedding.weight"]),
            Rule::Copy("{side}_Wemb", &["{side}.embedding.weight"]),
            Rule::Copy("Wemb", &["encoder.embedding.weight", "decoder.embedding.weight"]),
            Rule::Transpose("decoder_W_comb_att", "decoder.attention.query.weight"),
            Rule::Transpose("decoder_Wc_att", "decoder.attention.key.weight"),
            Rule::Copy("decoder_b_att", &["decoder.attention.key.bias"]),
            Rule::Transpose("decoder_U_att", "decoder.attention.v_fc.weight"),
            Rule::Transpose("decoder_ff_state_W", "encoder.fc.weight"),
            Rule::Copy("decoder_ff_state_b", &["encoder.fc.bias"]),
            Rule::Transpose("decoder_ff_logit_l1_W0", "decoder.hidden_fc_embedding.weight"),
            Rule::Transpose("decoder_ff_logit_l1_W1", "decoder.hidden_fc_state.weight"),
            Rule::Transpose("decoder_ff_logit_l1_W2", "decoder.hidden_fc_context.weight"),
            Rule::Copy("decoder_ff_logit_l1_b0", &["decoder.hidden_fc_embedding.bias"]),
            Rule::Copy("decoder_ff_logit_l1_b1", &["decoder.hidden_fc_state.bias"]),
            Rule::Copy("decoder_ff_logit_l1_b2", &["decoder.hidden_fc_context.bias"]),
            Rule::Transpose("decoder_ff_logit_l2_W", "decoder.fc_out.weight"),
            Rule::Copy("decoder_ff_logit_l2_Wt", &["decoder.fc_out.weight"]),
            Rule::Copy("decoder_ff_logit_l2_b", &["decoder.fc_out.bias"]),
            // One name a cell: its layer, its number in it, its direction.
            Rule::Rename("encoder_r_{part}", "encoder_bi_r_{part}"),
            Rule::Rename("encoder_bi_r_l{number}_cell1_{part}", "encoder.l{number}_reverse.{part}"),
            Rule::Rename("encoder_bi_r_{part}", "encoder.l0_reverse.{part}"),
            Rule::Rename("encoder_bi_l{number}_cell1_{part}", "encoder.l{number}.{part}"),
            Rule::Rename("encoder_bi_{part}", "encoder.l0.{part}"),
            Rule::Rename("{side}_l{number}_cell1_{part}", "{side}.l{number}.{part}"),
            Rule::Rename("decoder_cell1_{part}", "decoder.l0.{part}"),
            Rule::Rename("decoder_cell{layer}_{part}", "decoder.l0_cell{layer}.{part}"),
            Rule::Rename("encoder_{part}", "encoder.l0.{part}"),
            Rule::Rename("decoder_{part}", "decoder.l0.{part}"),
            Rule::Rename("decoder.base0.{part}", "decoder.l0_cell3.{part}"),
            Rule::Rename("decoder.base1.{part}", "decoder.l0_cell4.{part}"),
            Rule::Rename("decoder.base2.{part}", "decoder.l0_cell5.{part}"),
            Rule::Rename("decoder.base3.{part}", "decoder.l0_cell6.{part}"),
            // Further cells of the base have their bias within the reset, the state's side.
            Rule::Rename("decoder.l0_cell{layer}.b", "decoder.l0_cell{layer}.state_b"),
            Rule::Rename("decoder.l0_cell{layer}.bx", "decoder.l0_cell{layer}.state_bx"),
            // GRUs, whose `Wx`, `Ux` and `bx` are there.
            Rule::Stack(
                "{side}.rnn.weight_ih_{cell}",
                &[Of::Columns("{side}.{cell}.W", &[0, 1], 2), Of::Columns("{side}.{cell}.Wx", &[0], 1)],
            ),
            Rule::Stack(
                "{side}.rnn.weight_hh_{cell}",
                &[Of::Columns("{side}.{cell}.U", &[0, 1], 2), Of::Columns("{side}.{cell}.Ux", &[0], 1)],
            ),
            Rule::Stack(
                "{side}.rnn.bias_ih_{cell}",
                &[Of::Columns("{side}.{cell}.b", &[0, 1], 2), Of::Columns("{side}.{cell}.bx", &[0], 1)],
            ),
            Rule::Stack(
                "{side}.rnn.bias_hh_{cell}",
                &[Of::Columns("{side}.{cell}.state_b", &[0, 1], 2), Of::Columns("{side}.{cell}.state_bx", &[0], 1)],
            ),
            // LSTMs.
            Rule::Stack("{side}.rnn.weight_ih_{cell}", &[Of::Columns("{side}.{cell}.W", &[1, 0, 2, 3], 4)]),
            Rule::Stack("{side}.rnn.weight_hh_{cell}", &[Of::Columns("{side}.{cell}.U", &[1, 0, 2, 3], 4)]),
            Rule::Stack("{side}.rnn.bias_ih_{cell}", &[Of::Columns("{side}.{cell}.b", &[1, 0, 2, 3], 4)]),
            Rule::Stack("{side}.rnn.bias_hh_{cell}", &[Of::Columns("{side}.{cell}.state_b", &[1, 0, 2, 3], 4)]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        marian_native::one_model(keys)?;
        recurrent::refuse(keys, &REFUSED);
        // What the options do not say the tensors do.
        if parameters.names().any(|name| name.contains("gamma") || name.contains("_ln")) {
            keys.refuse("layer normalisation inside of recurrent cells is not supported");
        }
        if parameters.names().any(|name| name.starts_with("encoder") && name.contains("_drt")) {
            keys.refuse("encoder cells of more than one (`enc_recurrence_transition_depth`) are not supported");
        }
        for (key, most) in [("enc-cell-depth", 1), ("dec-cell-high-depth", 1)] {
            if keys.number(key)?.is_some_and(|depth| depth > most) {
                keys.refuse(format!("`{key}` of more than {most} is not supported"));
            }
        }
        let cell = |key: &str| -> Result<Cell> {
            Ok(match keys.string(key)?.as_deref() {
                None | Some("gru" | "gru-nematus") => Cell::Gru,
                Some("lstm") => Cell::Lstm,
                Some("tanh") => Cell::RnnTanh,
                Some("relu") => Cell::RnnRelu,
                Some(other) => {
                    keys.refuse(format!("`{key}` {other:?} is not supported; gru and lstm are"));
                    Cell::Gru
                }
            })
        };
        let directions = match keys.string("enc-type")?.as_deref() {
            None | Some("bidirectional") => Directions::Towers,
            Some("bi-unidirectional") => Directions::FirstLayer,
            Some(other) => {
                keys.refuse(format!("`enc-type` {other:?} is not supported; bidirectional and bi-unidirectional are"));
                Directions::Towers
            }
        };
        keys.supported()?;
        let network = recurrent::network(parameters, cell("enc-cell")?)?;
        // The cells of the base after the second, which reads the context.
        let deeper = (3..).take_while(|cell| parameters.contains(&format!("decoder.rnn.weight_hh_l0_cell{cell}")));
        let decoder = Layers { cell: cell("dec-cell")?, transitions: deeper.count(), ..network.decoder };
        let network = Recurrent { directions, decoder, starts_from_zero: true, ..network };
        let attention = recurrent::attention(&network, parameters, Query::BetweenCells, recurrent::ADDITIVE);
        let bridge = Bridge { activation: Activation::Tanh, form: BridgeForm::Shared };
        let hidden = parameters.shape("decoder.hidden_fc_state.weight").and_then(|shape| shape.first().copied());
        let hidden = hidden.ok_or_else(|| parameters.missing("decoder.hidden_fc_state.weight"))?;
        let output = Output {
            parts: vec![Part::Embedding, Part::State, Part::Context],
            hidden: Some(Hidden { width: hidden, activation: Activation::Tanh }),
            extra: None,
            tied: !parameters.contains("decoder.fc_out.weight"),
        };
        let start = Start { from: StartFrom::Mean, forward_only: false, bridge: Some(bridge), cell: CellStart::State };
        recurrent::checked(keys, Recurrent { attention: Some(attention), start, output, ..network })
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        MarianNative.frame(keys, spec)
    }

    fn lists(&self, files: &ModelFiles, keys: &Keys) -> Result<Option<Lists>> {
        MarianNative.lists(files, keys)
    }

    fn search(&self, keys: &Keys, generation: &mut GenerationConfig) -> Result<()> {
        MarianNative.search(keys, generation)
    }
}
