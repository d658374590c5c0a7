//! Bidirectional GRU encoder and GRU decoder with additive attention (Bahdanau, Cho and Bengio 2015), in the layout of the
//! widely used PyTorch tutorial.

use std::sync::Arc;

use super::{Attention, Candidate, Decoder, Proposer, Record, Seq2Seq, TopK};
use crate::Result;
use crate::checkpoint::Parameters;
use crate::compute::{Activation, Backend, Recorder, Score, Workspace, spans};
use crate::nn::{Embedding, GruCell, Linear, load_matrix};
use crate::spec::Recurrent;

/// A loaded GRU model.
///
/// With encoder outputs `H` `[source_len, 2·hidden]`:
/// - `s_0 = tanh(W_fc [h_forward; h_backward] + b)`;
/// - `e_i = vᵀ tanh(W_a [s_{t-1}; H_i] + b_a)`, `α = softmax(e)`, `w = Σ α_i H_i`;
/// - `s_t = GRU([E(y_{t-1}); w], s_{t-1})`, logits `W_o [s_t; w; E(y_{t-1})] + b_o`.
///
/// `W_a` is kept as its two halves: the memory's share `W_a H_i` is computed once per sentence.
#[derive(Debug)]
pub(super) struct Gru<B: Backend> {
    backend: B,
    source_embedding: Embedding<B>,
    forward: GruCell<B>,
    backward: GruCell<B>,
    bridge: Linear<B>,
    attention_query: Linear<B>,
    attention_key: Linear<B>,
    energy: B::Vector,
    target_embedding: Embedding<B>,
    decoder: GruCell<B>,
    output: Linear<B>,
    spec: Recurrent,
}

/// What the encoder computes for a batch of sentences laid end to end.
struct Encoded<B: Backend> {
    /// `H`, `[Σ source lengths, 2·hidden]`: the forward state, then the backward state, at each position.
    outputs: B::Rows,
    /// `s_0`, `[batch, decoder_hidden]`.
    initial: B::Rows,
}

impl<B: Backend> Gru<B> {
    /// Builds the model from its tensors.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape than the spec says.
    pub(super) fn load(spec: &Recurrent, parameters: &Parameters, backend: B) -> Result<Self> {
        let Recurrent { source_embedding: width, target_embedding: target_width, .. } = *spec;
        let (hidden, decoder_hidden) = (spec.encoder.hidden, spec.decoder.hidden);
        let memory = 2 * hidden;
        let embedding = |name: &str, size: usize, width: usize| -> Result<Embedding<B>> {
            Ok(Embedding::new(Arc::new(load_matrix(&backend, parameters, &[name], size, width)?), 1.0))
        };
        let attention_inputs = decoder_hidden + memory;
        let attention = parameters.tensor("decoder.attention.attn_fc.weight", &[decoder_hidden, attention_inputs])?;
        let half = |columns: std::ops::Range<usize>, bias: Option<B::Vector>| -> Result<Linear<B>> {
            let rows = attention.chunks_exact(attention_inputs);
            let part: Vec<f32> = rows.flat_map(|row| &row[columns.clone()]).copied().collect();
            let matrix = backend.matrix(decoder_hidden, columns.len(), &mut |sink| {
                sink(&part);
                Ok(())
            })?;
            Ok(Linear::new(Arc::new(matrix), bias))
        };
        let attention_bias = parameters.tensor("decoder.attention.attn_fc.bias", &[decoder_hidden])?;
        let attention_bias = backend.vector(attention_bias)?;
        let cell = |prefix: &str, suffix: &str, inputs: usize, hidden: usize| {
            GruCell::load(&backend, parameters, prefix, suffix, inputs, hidden)
        };
        let linear = |prefix: &str, inputs: usize, outputs: usize| {
            Linear::load(&backend, parameters, prefix, inputs, outputs, true)
        };
        Ok(Self {
            source_embedding: embedding("encoder.embedding.weight", spec.source_vocabulary, width)?,
            forward: cell("encoder.rnn", "", width, hidden)?,
            backward: cell("encoder.rnn", "_reverse", width, hidden)?,
            bridge: linear("encoder.fc", memory, decoder_hidden)?,
            attention_query: half(0..decoder_hidden, Some(attention_bias))?,
            attention_key: half(decoder_hidden..attention_inputs, None)?,
            energy: backend.vector(parameters.tensor("decoder.attention.v_fc.weight", &[1, decoder_hidden])?)?,
            target_embedding: embedding("decoder.embedding.weight", spec.target_vocabulary, target_width)?,
            decoder: cell("decoder.rnn", "", target_width + memory, decoder_hidden)?,
            output: linear("decoder.fc_out", decoder_hidden + memory + target_width, spec.target_vocabulary)?,
            spec: spec.clone(),
            backend,
        })
    }

    /// Runs the encoder over `sources` laid end to end. The backward direction starts at each sentence's own last token.
    fn encode(&self, sources: &[&[u32]], workspace: &mut Workspace) -> Result<Encoded<B>> {
        let (backend, hidden) = (&self.backend, self.spec.encoder.hidden);
        let tokens: Vec<u32> = sources.iter().flat_map(|source| source.iter().copied()).collect();
        let mut embedded = B::Rows::default();
        self.source_embedding.look_up(backend, &tokens, &mut |_, _| {}, &mut embedded)?;
        let lengths: Vec<usize> = sources.iter().map(|source| source.len()).collect();
        let spans: Vec<_> = spans(&lengths).collect();
        // Longest first, so that the sentences still running at any step are a prefix of the state's rows.
        let mut order: Vec<usize> = (0..sources.len()).collect();
        order.sort_by_key(|&sentence| std::cmp::Reverse(lengths[sentence]));
        let longest = order.first().map_or(0, |&sentence| lengths[sentence]);

        let mut outputs = B::Rows::default();
        let mut last: [B::Rows; 2] = Default::default();
        let (mut gates, mut projected, mut recurrent) = Default::default();
        let (mut rows, mut ended) = (Vec::new(), B::Rows::default());
        for (direction, cell) in [&self.forward, &self.backward].into_iter().enumerate() {
            cell.project(backend, workspace, &embedded, &mut gates)?;
            let mut state = backend.rows(&vec![0.0; sources.len() * hidden], hidden)?;
            let shape = (sources.len(), hidden);
            let mut running = sources.len();
            for step in 0..longest {
                let still = order.partition_point(|&sentence| lengths[sentence] > step);
                if still < running {
                    // The state of a sentence that has ended is its last.
                    let ends: Vec<usize> = (still..running).collect();
                    backend.gather(&state, &ends, &mut ended)?;
                    backend.scatter(&ended, &order[still..running], 0, shape, &mut last[direction])?;
                    backend.truncate(&mut state, still)?;
                    running = still;
                }
                rows.clear();
                rows.extend(order[..running].iter().map(|&sentence| {
                    spans[sentence].start + if direction == 0 { step } else { lengths[sentence] - 1 - step }
                }));
                backend.gather(&gates, &rows, &mut projected)?;
                cell.step(backend, workspace, &projected, &mut state, &mut recurrent)?;
                backend.scatter(&state, &rows, direction * hidden, (tokens.len(), 2 * hidden), &mut outputs)?;
            }
            backend.scatter(&state, &order[..running], 0, shape, &mut last[direction])?;
        }
        let (mut both, mut initial) = Default::default();
        backend.concat(&[(&last[0], 0..hidden), (&last[1], 0..hidden)], &mut both)?;
        self.bridge.forward(backend, workspace, &both, Activation::Tanh, &mut initial)?;
        Ok(Encoded { outputs, initial })
    }
}

impl<B: Backend> Seq2Seq for Gru<B> {
    fn target_vocabulary_size(&self) -> usize {
        self.output.outputs(&self.backend)
    }

    fn start<'m>(
        &'m self,
        sources: &[&[u32]],
        record: Record,
        workspace: &mut Workspace,
    ) -> Result<Box<dyn Decoder + 'm>> {
        let Encoded { outputs, initial } = self.encode(sources, workspace)?;
        let mut keys = B::Rows::default();
        self.attention_key.forward(&self.backend, workspace, &outputs, Activation::Identity, &mut keys)?;
        let lengths: Vec<usize> = sources.iter().map(|source| source.len()).collect();
        Ok(Box::new(GruDecoder {
            model: self,
            memory: self.backend.additive_memory(&lengths, keys, outputs)?,
            sentences: (0..sources.len()).collect(),
            spare_sentences: Vec::new(),
            state: initial,
            attention: vec![Vec::new(); if record.cross { sources.len() } else { 0 }],
            embedded: B::Rows::default(),
            input: B::Rows::default(),
            features: B::Rows::default(),
            query: B::Rows::default(),
            gates: B::Rows::default(),
            scratch: B::Rows::default(),
            spare: B::Rows::default(),
            proposer: Proposer::default(),
        }))
    }
}

/// Generation in progress.
#[derive(Debug)]
struct GruDecoder<'m, B: Backend> {
    model: &'m Gru<B>,
    /// `H` of all sentences and `W_a H`.
    memory: B::Memory,
    /// The sentence each row translates.
    sentences: Vec<usize>,
    spare_sentences: Vec<usize>,
    /// `s_{t-1}`, `[rows, decoder_hidden]`.
    state: B::Rows,
    /// α of each row in the last step, if recorded.
    attention: Vec<Vec<f32>>,
    /// `E(y_{t-1})`, `[rows, embedding]`.
    embedded: B::Rows,
    /// `[E(y_{t-1}); w]`, `[rows, embedding + 2·hidden]`.
    input: B::Rows,
    features: B::Rows,
    query: B::Rows,
    gates: B::Rows,
    scratch: B::Rows,
    /// What `select` writes to before swapping.
    spare: B::Rows,
    proposer: Proposer,
}

impl<B: Backend> GruDecoder<'_, B> {
    /// Puts `[s_t; w; E(y_{t-1})]` of every row together in `features`.
    fn gather_features(&mut self) -> Result<()> {
        let Recurrent { encoder, decoder, target_embedding: width, .. } = &self.model.spec;
        let (encoder_hidden, decoder_hidden, width) = (encoder.hidden, decoder.hidden, *width);
        let (state, input) = (&self.state, &self.input);
        let parts = [(state, 0..decoder_hidden), (input, width..width + 2 * encoder_hidden), (input, 0..width)];
        self.model.backend.concat(&parts, &mut self.features)
    }
}

impl<B: Backend> Decoder for GruDecoder<'_, B> {
    fn rows(&self) -> usize {
        self.sentences.len()
    }

    fn step(&mut self, tokens: &[u32], workspace: &mut Workspace) -> Result<()> {
        let model = self.model;
        let backend = &model.backend;
        model.attention_query.forward(backend, workspace, &self.state, Activation::Identity, &mut self.query)?;
        model.target_embedding.look_up(backend, tokens, &mut |_, _| {}, &mut self.embedded)?;
        let is_recorded = !self.attention.is_empty();
        let attention = &mut self.attention;
        let mut record = |row: usize, weights: &[f32]| {
            attention[row].clear();
            attention[row].extend_from_slice(weights);
        };
        let record = is_recorded.then_some(&mut record as Recorder<'_>);
        backend.attend(
            workspace,
            Score::Additive { energy: &model.energy },
            &mut self.memory,
            &self.sentences,
            &self.query,
            Some(&self.embedded),
            &mut self.input,
            record,
        )?;
        model.decoder.project(backend, workspace, &self.input, &mut self.gates)?;
        model.decoder.step(backend, workspace, &self.gates, &mut self.state, &mut self.scratch)
    }

    fn logits(&mut self, logits: &mut Vec<f32>, workspace: &mut Workspace) -> Result<()> {
        self.gather_features()?;
        self.model.output.logits(&self.model.backend, workspace, &self.features, logits)
    }

    fn top_k(&mut self, request: TopK<'_>, candidates: &mut Vec<Candidate>, workspace: &mut Workspace) -> Result<()> {
        self.gather_features()?;
        let Self { model, proposer, features, .. } = self;
        proposer.top_k(&model.backend, &model.output, features, request, candidates, workspace)
    }

    fn cross_attention(&self, row: usize) -> Option<&[f32]> {
        self.attention.get(row).map(Vec::as_slice)
    }

    fn self_attention(&self, _row: usize) -> Option<&[f32]> {
        None
    }

    fn encoder_attention(&self, _source: usize) -> Option<&Attention> {
        None
    }

    fn attention_shape(&self) -> (usize, usize) {
        (1, 1)
    }

    fn select(&mut self, rows: &[usize]) -> Result<()> {
        self.model.backend.gather(&self.state, rows, &mut self.spare)?;
        std::mem::swap(&mut self.state, &mut self.spare);
        self.spare_sentences.clear();
        self.spare_sentences.extend(rows.iter().map(|&row| self.sentences[row]));
        std::mem::swap(&mut self.sentences, &mut self.spare_sentences);
        if !self.attention.is_empty() {
            self.attention.resize(rows.len(), Vec::new());
        }
        Ok(())
    }
}
