//! Bidirectional GRU encoder and GRU decoder with additive attention (Bahdanau, Cho and Bengio 2015), in the layout of the
//! widely used PyTorch tutorial.

use std::sync::Arc;

use super::config::GruConfig;
use super::{Attention, Candidate, Decoder, Proposer, Record, Seq2Seq, TopK};
use crate::Result;
use crate::checkpoint::Weights;
use crate::kernels::{Activation, PackedMatrix, Precision, Workspace, attend_additive};
use crate::nn::{Embedding, GruCell, Linear};

/// A loaded GRU model.
///
/// With encoder outputs `H` `[source_len, 2·hidden]`:
/// - `s_0 = tanh(W_fc [h_forward; h_backward] + b)`;
/// - `e_i = vᵀ tanh(W_a [s_{t-1}; H_i] + b_a)`, `α = softmax(e)`, `w = Σ α_i H_i`;
/// - `s_t = GRU([E(y_{t-1}); w], s_{t-1})`, logits `W_o [s_t; w; E(y_{t-1})] + b_o`.
///
/// `W_a` is kept as its two halves: the memory's share `W_a H_i` is computed once per sentence.
#[derive(Debug)]
pub struct Gru {
    source_embedding: Embedding,
    forward: GruCell,
    backward: GruCell,
    bridge: Linear,
    attention_query: Linear,
    attention_key: Linear,
    energy: Vec<f32>,
    target_embedding: Embedding,
    decoder: GruCell,
    output: Linear,
    hidden: usize,
    decoder_hidden: usize,
}

/// What the encoder computes for a batch of sentences laid end to end.
#[derive(Clone, Debug, PartialEq)]
pub struct GruEncoded {
    /// `H`, `[Σ source lengths, 2·hidden]`: the forward state, then the backward state, at each position.
    pub outputs: Vec<f32>,
    /// `h_n`, `[2, batch, hidden]`: last forward states, last backward states.
    pub last: Vec<f32>,
    /// `s_0`, `[batch, decoder_hidden]`.
    pub initial: Vec<f32>,
}

impl Gru {
    /// Builds the model from a checkpoint.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape than the configuration says.
    pub fn load(config: &GruConfig, weights: &Weights, precision: Precision) -> Result<Self> {
        let (width, hidden) = (config.embedding_dim, config.hidden_dim);
        let (target_width, decoder_hidden) = (config.target_embedding_dim, config.decoder_hidden_dim);
        let memory = 2 * hidden;
        let embedding = |name: &str, size: usize, width: usize| -> Result<Embedding> {
            Ok(Embedding::new(Arc::new(weights.pack(name, size, width, precision)?), 1.0))
        };
        let attention_inputs = decoder_hidden + memory;
        let attention = weights.tensor("decoder.attention.attn_fc.weight", &[decoder_hidden, attention_inputs])?;
        let half = |columns: std::ops::Range<usize>, bias: Option<Vec<f32>>| {
            let rows = attention.chunks_exact(attention_inputs);
            let part: Vec<f32> = rows.flat_map(|row| &row[columns.clone()]).copied().collect();
            let matrix = PackedMatrix::pack(&part, decoder_hidden, columns.len(), precision);
            Linear::new(Arc::new(matrix), bias)
        };
        let attention_bias = weights.tensor("decoder.attention.attn_fc.bias", &[decoder_hidden])?;
        Ok(Self {
            source_embedding: embedding("encoder.embedding.weight", config.source_vocab_size, width)?,
            forward: GruCell::load(weights, "encoder.rnn", "", width, hidden, precision)?,
            backward: GruCell::load(weights, "encoder.rnn", "_reverse", width, hidden, precision)?,
            bridge: Linear::load(weights, "encoder.fc", memory, decoder_hidden, precision)?,
            attention_query: half(0..decoder_hidden, Some(attention_bias)),
            attention_key: half(decoder_hidden..attention_inputs, None),
            energy: weights.tensor("decoder.attention.v_fc.weight", &[1, decoder_hidden])?,
            target_embedding: embedding("decoder.embedding.weight", config.target_vocab_size, target_width)?,
            decoder: GruCell::load(weights, "decoder.rnn", "", target_width + memory, decoder_hidden, precision)?,
            output: Linear::load(
                weights,
                "decoder.fc_out",
                decoder_hidden + memory + target_width,
                config.target_vocab_size,
                precision,
            )?,
            hidden,
            decoder_hidden,
        })
    }

    /// Runs the encoder over `sources` laid end to end. The backward direction starts at each sentence's own last token.
    pub fn encode(&self, sources: &[&[u32]], workspace: &mut Workspace) -> GruEncoded {
        let (width, hidden) = (self.source_embedding.width(), self.hidden);
        let total: usize = sources.iter().map(|source| source.len()).sum();
        let mut embedded = vec![0.0; total * width];
        for (&token, row) in sources.iter().flat_map(|source| source.iter()).zip(embedded.chunks_exact_mut(width)) {
            self.source_embedding.look_up(token, row);
        }
        let starts: Vec<usize> = sources
            .iter()
            .scan(0, |next, source| {
                let start = *next;
                *next += source.len();
                Some(start)
            })
            .collect();
        // Longest first, so that the sentences still running at any step are a prefix of the state's rows.
        let mut order: Vec<usize> = (0..sources.len()).collect();
        order.sort_by_key(|&sentence| std::cmp::Reverse(sources[sentence].len()));

        let mut outputs = vec![0.0; total * 2 * hidden];
        let mut last = vec![0.0; 2 * sources.len() * hidden];
        let (mut gates, mut projected, mut recurrent) = (Vec::new(), Vec::new(), Vec::new());
        for (direction, cell) in [&self.forward, &self.backward].into_iter().enumerate() {
            cell.project(workspace, &embedded, &mut gates);
            let mut state = vec![0.0; sources.len() * hidden];
            let longest = order.first().map_or(0, |&sentence| sources[sentence].len());
            for step in 0..longest {
                let running = order.partition_point(|&sentence| sources[sentence].len() > step);
                let row_of = |sentence: usize| {
                    let length = sources[sentence].len();
                    starts[sentence] + if direction == 0 { step } else { length - 1 - step }
                };
                projected.clear();
                for &sentence in &order[..running] {
                    projected.extend_from_slice(&gates[row_of(sentence) * 3 * hidden..][..3 * hidden]);
                }
                cell.step(workspace, &projected, &mut state[..running * hidden], &mut recurrent);
                for (&sentence, state) in order[..running].iter().zip(state.chunks_exact(hidden)) {
                    let at = row_of(sentence) * 2 * hidden + direction * hidden;
                    outputs[at..at + hidden].copy_from_slice(state);
                }
            }
            for (&sentence, state) in order.iter().zip(state.chunks_exact(hidden)) {
                last[(direction * sources.len() + sentence) * hidden..][..hidden].copy_from_slice(state);
            }
        }

        let (forward, backward) = last.split_at(sources.len() * hidden);
        let both: Vec<f32> = forward
            .chunks_exact(hidden)
            .zip(backward.chunks_exact(hidden))
            .flat_map(|(forward, backward)| forward.iter().chain(backward).copied())
            .collect();
        let mut initial = Vec::new();
        self.bridge.forward(workspace, &both, Activation::Tanh, &mut initial);
        GruEncoded { outputs, last, initial }
    }
}

impl Seq2Seq for Gru {
    fn target_vocabulary_size(&self) -> usize {
        self.output.matrix().outputs()
    }

    fn start<'m>(
        &'m self,
        sources: &[&[u32]],
        record: Record,
        workspace: &mut Workspace,
    ) -> Result<Box<dyn Decoder + 'm>> {
        let encoded = self.encode(sources, workspace);
        let mut keys = Vec::new();
        self.attention_key.forward(workspace, &encoded.outputs, Activation::Identity, &mut keys);
        let mut start = 0;
        let spans = sources
            .iter()
            .map(|source| {
                start += source.len();
                start - source.len()..start
            })
            .collect();
        Ok(Box::new(GruDecoder {
            model: self,
            memory: encoded.outputs,
            keys,
            spans,
            state: encoded.initial,
            record: record.cross,
            attention: vec![Vec::new(); sources.len()],
            input: Vec::new(),
            features: Vec::new(),
            query: Vec::new(),
            gates: Vec::new(),
            recurrent: Vec::new(),
            spare: Vec::new(),
            spare_spans: Vec::new(),
            proposer: Proposer::default(),
        }))
    }
}

/// Generation in progress.
#[derive(Debug)]
struct GruDecoder<'m> {
    model: &'m Gru,
    /// `H` of all sentences, `[Σ source lengths, 2·hidden]`.
    memory: Vec<f32>,
    /// `W_a H`, `[Σ source lengths, decoder_hidden]`.
    keys: Vec<f32>,
    /// The sentence each row translates, as its rows of `memory`.
    spans: Vec<std::ops::Range<usize>>,
    /// `s_{t-1}`, `[rows, decoder_hidden]`.
    state: Vec<f32>,
    record: bool,
    /// α of each row in the last step.
    attention: Vec<Vec<f32>>,
    /// `[E(y_{t-1}); w]`, `[rows, embedding + 2·hidden]`.
    input: Vec<f32>,
    /// `[s_t; w; E(y_{t-1})]`, `[rows, decoder_hidden + 2·hidden + embedding]`.
    features: Vec<f32>,
    query: Vec<f32>,
    gates: Vec<f32>,
    recurrent: Vec<f32>,
    /// What `select` writes to before swapping.
    spare: Vec<f32>,
    spare_spans: Vec<std::ops::Range<usize>>,
    proposer: Proposer,
}

impl GruDecoder<'_> {
    /// Puts `[s_t; w; E(y_{t-1})]` of every row together in `features`.
    fn gather_features(&mut self) {
        let (width, hidden) = (self.model.target_embedding.width(), self.model.decoder_hidden);
        self.features.clear();
        for (state, input) in
            self.state.chunks_exact(hidden).zip(self.input.chunks_exact(width + 2 * self.model.hidden))
        {
            let (embedded, context) = input.split_at(width);
            self.features.extend_from_slice(state);
            self.features.extend_from_slice(context);
            self.features.extend_from_slice(embedded);
        }
    }
}

impl Decoder for GruDecoder<'_> {
    fn rows(&self) -> usize {
        self.spans.len()
    }

    fn step(&mut self, tokens: &[u32], workspace: &mut Workspace) -> Result<()> {
        let model = self.model;
        let (width, hidden, memory) = (model.target_embedding.width(), model.decoder_hidden, 2 * model.hidden);
        model.attention_query.forward(workspace, &self.state, Activation::Identity, &mut self.query);
        self.input.resize(tokens.len() * (width + memory), 0.0);
        let rows = self.input.chunks_exact_mut(width + memory).zip(self.query.chunks_exact(hidden));
        for (row, (input, query)) in rows.enumerate() {
            let span = self.spans[row].clone();
            let weights = &mut self.attention[row];
            weights.resize(span.len(), 0.0);
            let (embedded, context) = input.split_at_mut(width);
            model.target_embedding.look_up(tokens[row], embedded);
            attend_additive(
                query,
                &self.keys[span.start * hidden..span.end * hidden],
                &model.energy,
                &self.memory[span.start * memory..span.end * memory],
                weights,
                context,
            );
        }
        model.decoder.project(workspace, &self.input, &mut self.gates);
        model.decoder.step(workspace, &self.gates, &mut self.state, &mut self.recurrent);
        Ok(())
    }

    fn logits(&mut self, logits: &mut Vec<f32>, workspace: &mut Workspace) -> Result<()> {
        self.gather_features();
        self.model.output.forward(workspace, &self.features, Activation::Identity, logits);
        Ok(())
    }

    fn top_k(&mut self, request: TopK<'_>, candidates: &mut Vec<Candidate>, workspace: &mut Workspace) -> Result<()> {
        self.gather_features();
        self.proposer.top_k(&self.model.output, &self.features, request, candidates, workspace);
        Ok(())
    }

    fn cross_attention(&self, row: usize) -> Option<&[f32]> {
        self.record.then(|| self.attention[row].as_slice())
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
        let hidden = self.model.decoder_hidden;
        self.spare.clear();
        rows.iter().for_each(|&row| self.spare.extend_from_slice(&self.state[row * hidden..(row + 1) * hidden]));
        std::mem::swap(&mut self.state, &mut self.spare);
        self.spare_spans.clear();
        self.spare_spans.extend(rows.iter().map(|&row| self.spans[row].clone()));
        std::mem::swap(&mut self.spans, &mut self.spare_spans);
        self.attention.resize(rows.len(), Vec::new());
        Ok(())
    }
}
