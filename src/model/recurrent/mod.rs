//! Recurrent encoder-decoders with attention, of any kind that [`spec::recurrent`](crate::spec::recurrent) describes: written
//! once, over the spec and a backend.

mod attention;
mod decoder;
mod draws;
mod encoder;
mod output;
mod start;
mod weighing;

use std::sync::Arc;

use super::{Decoder, Record, Seq2Seq};
use crate::Result;
use crate::checkpoint::Parameters;
use crate::compute::{Activation, Backend, Workspace};
use crate::nn::{Embedding, Linear, RecurrentCell, load_matrix};
use crate::spec::recurrent::{Attention as AttentionSpec, Layers, Query, Recurrent as Spec};
use attention::Attention;
use decoder::Generation;
use encoder::{Encoder, load_cell};
use output::Output;
use start::Bridge;

/// A loaded recurrent model.
#[derive(Debug)]
pub(super) struct Recurrent<B: Backend> {
    backend: B,
    spec: Spec,
    encoder: Encoder<B>,
    bridge: Bridge<B>,
    /// One, or one for each layer of the decoder; none without attention.
    attentions: Vec<Attention<B>>,
    target_embedding: Embedding<B>,
    /// What stands before the first cell.
    input: Option<(Option<Linear<B>>, Activation)>,
    layers: Vec<DecoderLayer<B>>,
    output: Output<B>,
}

/// The cells of one layer of the decoder.
#[derive(Debug)]
struct DecoderLayer<B: Backend> {
    first: RecurrentCell<B>,
    /// The cell that reads the context, where the query stands between two.
    second: Option<RecurrentCell<B>>,
    transitions: Vec<RecurrentCell<B>>,
}

impl<B: Backend> Recurrent<B> {
    /// Builds the model from its tensors.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape than the spec says.
    pub(super) fn load(spec: &Spec, parameters: &Parameters, backend: B) -> Result<Self> {
        let encoder = Encoder::load(spec, parameters, &backend)?;
        let bridge = Bridge::load(spec, parameters, &backend)?;
        let prefixes = match spec.attention {
            None => Vec::new(),
            Some(AttentionSpec { every_layer: false, .. }) => vec!["decoder.attention.".to_owned()],
            Some(_) => (0..spec.decoder.layers).map(|layer| format!("decoder.attention.{layer}.")).collect(),
        };
        let attentions = prefixes.iter().filter_map(|prefix| {
            let attention = spec.attention.as_ref()?;
            Some(Attention::load(spec, attention, parameters, &backend, prefix))
        });
        let attentions = attentions.collect::<Result<_>>()?;
        let (vocabulary, width) = (spec.target_vocabulary, spec.target_embedding);
        let table = load_embedding(&backend, parameters, "decoder.embedding.weight", vocabulary, width)?;
        let input = spec.input.map(|input| {
            let linear = input.width.map(|width| {
                let inputs = spec.step_width();
                Linear::load(&backend, parameters, "decoder.input_fc", inputs, width, spec.bias)
            });
            Ok::<_, crate::Error>((linear.transpose()?, input.activation))
        });
        let input = input.transpose()?;
        let layers = (0..spec.decoder.layers).map(|layer| DecoderLayer::load(spec, parameters, &backend, layer));
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
            output: Output::load(spec, parameters, &backend, &table)?,
            target_embedding: Embedding::new(table, 1.0),
            spec: spec.clone(),
            encoder,
            bridge,
            attentions,
            input,
            backend,
        })
    }
}

impl<B: Backend> DecoderLayer<B> {
    fn load(spec: &Spec, parameters: &Parameters, backend: &B, layer: usize) -> Result<Self> {
        let Layers { cell, hidden, transitions, .. } = spec.decoder;
        let load = |suffix: &str, inputs: Option<usize>| {
            let suffix = format!("_l{layer}{suffix}");
            load_cell(spec, parameters, backend, cell, "decoder.rnn", &suffix, inputs, hidden)
        };
        let between = spec.attention.filter(|attention| attention.query_place == Query::BetweenCells);
        let has_second = between.is_some_and(|attention| layer == 0 || attention.every_layer);
        let further = if has_second { 3 } else { 2 };
        // Around a query between cells only the layers that have one are deep.
        let transitions = if between.is_some() && !has_second { 0 } else { transitions };
        let transitions = (further..further + transitions).map(|number| load(&format!("_cell{number}"), None));
        Ok(Self {
            first: load("", Some(spec.layer_input(layer)))?,
            second: if has_second { Some(load("_cell2", Some(spec.context()))?) } else { None },
            transitions: transitions.collect::<Result<_>>()?,
        })
    }
}

/// A table of vectors, one a token, which may be the output matrix, too.
fn load_embedding<B: Backend>(
    backend: &B,
    parameters: &Parameters,
    name: &str,
    vocabulary: usize,
    width: usize,
) -> Result<Arc<B::Matrix>> {
    Ok(Arc::new(load_matrix(backend, parameters, &[name], vocabulary, width)?))
}

impl<B: Backend> Seq2Seq for Recurrent<B> {
    fn target_vocabulary_size(&self) -> usize {
        self.spec.target_vocabulary
    }

    fn start<'m>(
        &'m self,
        sources: &[&[u32]],
        record: Record,
        workspace: &mut Workspace,
    ) -> Result<Box<dyn Decoder + 'm>> {
        Ok(Box::new(Generation::start(self, sources, record.cross, workspace)?))
    }
}
