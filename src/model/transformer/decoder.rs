//! The decoder: one token a row and step, over a cache that beams share through ancestor tables.

use super::encoder::groups;
use super::past::{Past, States};
use super::{Around, FeedForward, Loader, Scratch, Transformer};
use crate::Result;
use crate::compute::{Activation, Backend, Recorder, Relative, Score, Workspace};
use crate::model::{Attention, Candidate, Decoder, Proposer, Record, TopK};
use crate::nn::{Linear, Norm};

/// Masked self-attention or what stands in its place, encoder-decoder attention and feed-forward.
#[derive(Debug)]
pub(super) struct DecoderLayer<B: Backend> {
    past: Past<B>,
    self_norm: Norm<B>,
    cross_query: Linear<B>,
    /// Keys and values over the encoder's output in one product.
    cross_memory: Linear<B>,
    cross_output: Linear<B>,
    cross_norm: Norm<B>,
    feed_forward: FeedForward<B>,
    pre_norm: bool,
    residual_weight: f32,
}

impl<B: Backend> DecoderLayer<B> {
    pub(super) fn load(loader: &Loader<'_, B>, prefix: &str) -> Result<Self> {
        let (width, stack) = (loader.spec.width, loader.spec.decoder);
        let inner = stack.heads * stack.head_width;
        let cross = format!("{prefix}.encoder_attn");
        Ok(Self {
            past: Past::load(loader, prefix)?,
            self_norm: loader.norm(&format!("{prefix}.self_attn_layer_norm"))?,
            cross_query: loader.linear(&format!("{cross}.q_proj"), width, inner)?,
            cross_memory: loader.fused(&cross, &["k_proj", "v_proj"], width, inner)?,
            cross_output: loader.linear(&format!("{cross}.out_proj"), inner, width)?,
            cross_norm: loader.norm(&format!("{prefix}.encoder_attn_layer_norm"))?,
            feed_forward: FeedForward::load(loader, prefix, &stack)?,
            pre_norm: stack.norm_before,
            residual_weight: stack.residual_weight,
        })
    }

    /// Whether a row may be at another position than its neighbours.
    pub(super) fn joins(&self) -> bool {
        self.past.is_attention()
    }

    fn around<'a>(&self, norm: &'a Norm<B>) -> Around<'a, B> {
        Around { norm, pre_norm: self.pre_norm, residual_weight: self.residual_weight }
    }
}

/// Generation in progress.
#[derive(Debug)]
pub(super) struct TransformerDecoder<'m, B: Backend> {
    model: &'m Transformer<B>,
    /// For each layer the cross-attention keys and values, once per sentence.
    memory: Vec<B::Memory>,
    /// Sentences so far.
    begun: usize,
    /// The sentence each row translates.
    sentences: Vec<usize>,
    spare_sentences: Vec<usize>,
    /// How many tokens each row was fed.
    positions: Vec<usize>,
    spare_positions: Vec<usize>,
    encoder_attention: Vec<Attention>,
    /// The keys and values of the tokens fed so far.
    past: B::Past,
    /// What layers without self-attention keep.
    states: States<B>,
    /// Output of the last layer, `[rows, width]`.
    hidden: B::Rows,
    record: Record,
    cross: Vec<Vec<f32>>,
    own: Vec<Vec<f32>>,
    scratch: Scratch<B>,
    proposer: Proposer,
}

impl<'m, B: Backend> TransformerDecoder<'m, B> {
    pub(super) fn new(
        model: &'m Transformer<B>,
        sources: &[&[u32]],
        record: Record,
        workspace: &mut Workspace,
    ) -> Result<Self> {
        let (backend, heads, head_width) = (&model.backend, model.decoder.heads, model.decoder.head_width);
        let mut memory = Vec::new();
        let encoder_attention = encode_into(model, sources, record.encoder, &mut memory, workspace)?;
        let rows = sources.len();
        // What stands in the place of self-attention cannot be looked at.
        let without = model.decoder_layers.iter().filter(|layer| !layer.past.is_attention()).count();
        let record = Record { decoder: record.decoder && without == 0, ..record };
        let recorded = |wanted: bool| vec![Vec::new(); if wanted { rows } else { 0 }];
        Ok(Self {
            model,
            memory,
            past: backend.past(model.decoder_layers.len(), rows, heads, head_width),
            states: States::new(without),
            cross: recorded(record.cross),
            own: recorded(record.decoder),
            begun: rows,
            sentences: (0..rows).collect(),
            positions: vec![0; rows],
            spare_positions: Vec::new(),
            spare_sentences: Vec::new(),
            encoder_attention,
            hidden: B::Rows::default(),
            record,
            scratch: Scratch::default(),
            proposer: Proposer::default(),
        })
    }
}

/// Encodes sentences, a group at a time, and adds what the cross-attention of each layer reads of them to `memory`, which has one
/// for each layer or is empty. Returns the self-attention of each sentence (none unless `record`).
fn encode_into<B: Backend>(
    model: &Transformer<B>,
    sources: &[&[u32]],
    record: bool,
    memory: &mut Vec<B::Memory>,
    workspace: &mut Workspace,
) -> Result<Vec<Attention>> {
    let (backend, heads, head_width) = (&model.backend, model.decoder.heads, model.decoder.head_width);
    let (mut scratch, mut projected, mut attention) = (Scratch::default(), B::Rows::default(), Vec::new());
    for group in groups(sources, B::ENCODED_TOGETHER) {
        let (encoded, lengths, recorded) = model.encode(group, record, &mut scratch, workspace)?;
        attention.extend(recorded);
        for (index, layer) in model.decoder_layers.iter().enumerate() {
            layer.cross_memory.forward(backend, workspace, &encoded, Activation::Identity, &mut projected)?;
            let more = backend.dot_memory(heads, head_width, &lengths, &projected, true)?;
            match memory.get_mut(index) {
                Some(memory) => backend.join_memory(memory, more),
                None => memory.push(more),
            }
        }
    }
    Ok(attention)
}

/// Appends the weights of each row to what is kept of it.
fn keeper(kept: &mut [Vec<f32>]) -> impl FnMut(usize, &[f32]) {
    |row, weights| kept[row].extend_from_slice(weights)
}

impl<B: Backend> Decoder for TransformerDecoder<'_, B> {
    fn rows(&self) -> usize {
        self.sentences.len()
    }

    fn step(&mut self, tokens: &[u32], workspace: &mut Workspace) -> Result<()> {
        let Self { model, memory, sentences, positions, past, states, hidden, record, cross, own, scratch, .. } = self;
        let backend = &model.backend;
        // Where nothing joins it is the same for all rows.
        let position = positions.first().copied().unwrap_or_default();
        match position {
            0 if model.starts_from_zero => model.decoder_input.zeros(backend, tokens, hidden)?,
            _ => model.decoder_input.forward(backend, tokens, |row| positions[row], hidden)?,
        }
        positions.iter_mut().for_each(|position| *position += 1);
        backend.advance(past);
        cross.iter_mut().chain(own.iter_mut()).for_each(Vec::clear);

        let scale = model.scales.1;
        for (index, (layer, memory)) in model.decoder_layers.iter().zip(memory).enumerate() {
            let Scratch { normed, projected, context, gate, out, .. } = scratch;
            layer.around(&layer.self_norm).sublayer(backend, hidden, normed, out, |x, out| match &layer.past {
                Past::Attention { projection, relative, output } => {
                    projection.forward(backend, workspace, x, Activation::Identity, projected)?;
                    let mut keep = keeper(own);
                    let keep = record.decoder.then_some(&mut keep as Recorder<'_>);
                    let relative = match (relative, model.decoder_bias.of(index)) {
                        (Some(vectors), _) => Relative::Vectors(vectors),
                        (None, Some(bias)) => Relative::Bias(bias),
                        (None, None) => Relative::None,
                    };
                    backend.attend_past(workspace, past, index, scale, relative, projected, context, keep)?;
                    output.forward(backend, workspace, context, Activation::Identity, out)
                }
                Past::Ssru(unit) => unit.forward(backend, workspace, x, states.of(index), projected, context, out),
                Past::Average(mean) => {
                    mean.forward(backend, workspace, x, position + 1, states.of(index), [projected, context, gate], out)
                }
            })?;
            layer.around(&layer.cross_norm).sublayer(backend, hidden, normed, out, |x, out| {
                layer.cross_query.forward(backend, workspace, x, Activation::Identity, projected)?;
                let mut keep = keeper(cross);
                let keep = record.cross.then_some(&mut keep as Recorder<'_>);
                let score = Score::Dot { scale, relative: Relative::None };
                backend.attend(workspace, score, memory, sentences, projected, None, context, keep)?;
                layer.cross_output.forward(backend, workspace, context, Activation::Identity, out)
            })?;
            layer.feed_forward.forward(backend, layer.pre_norm, hidden, scratch, workspace)?;
        }
        if let Some(norm) = &model.decoder_norm {
            norm.forward(backend, hidden, None)?;
        }
        if model.output_scale == 1.0 { Ok(()) } else { backend.scale(hidden, model.output_scale) }
    }

    fn logits(&mut self, logits: &mut Vec<f32>, workspace: &mut Workspace) -> Result<()> {
        self.model.output.logits(&self.model.backend, workspace, &self.hidden, logits)
    }

    fn top_k(&mut self, request: TopK<'_>, candidates: &mut Vec<Candidate>, workspace: &mut Workspace) -> Result<()> {
        let Self { model, proposer, hidden, .. } = self;
        proposer.top_k(&model.backend, &model.output, hidden, request, candidates, workspace)
    }

    fn cross_attention(&self, row: usize) -> Option<&[f32]> {
        self.cross.get(row).map(Vec::as_slice)
    }

    fn self_attention(&self, row: usize) -> Option<&[f32]> {
        self.own.get(row).map(Vec::as_slice)
    }

    fn encoder_attention(&self, source: usize) -> Option<&Attention> {
        self.encoder_attention.get(source)
    }

    fn attention_shape(&self) -> (usize, usize) {
        (self.model.decoder.layers, self.model.decoder.heads)
    }

    fn join(&mut self, sources: &[&[u32]], workspace: &mut Workspace) -> Result<()> {
        let model = self.model;
        let attention = encode_into(model, sources, self.record.encoder, &mut self.memory, workspace)?;
        model.backend.join_past(&mut self.past, sources.len());
        self.sentences.extend(self.begun..self.begun + sources.len());
        self.positions.resize(self.sentences.len(), 0);
        self.begun += sources.len();
        self.encoder_attention.extend(attention);
        for (kept, wanted) in [(&mut self.cross, self.record.cross), (&mut self.own, self.record.decoder)] {
            kept.resize(if wanted { self.sentences.len() } else { 0 }, Vec::new());
        }
        Ok(())
    }

    fn select(&mut self, rows: &[usize]) -> Result<()> {
        self.spare_positions.clear();
        self.spare_positions.extend(rows.iter().map(|&row| self.positions[row]));
        std::mem::swap(&mut self.positions, &mut self.spare_positions);
        self.spare_sentences.clear();
        self.spare_sentences.extend(rows.iter().map(|&row| self.sentences[row]));
        std::mem::swap(&mut self.sentences, &mut self.spare_sentences);
        if self.sentences.len() < self.spare_sentences.len() {
            self.memory.iter_mut().for_each(|memory| self.model.backend.forget(memory, &self.sentences));
        }
        self.model.backend.select_past(&mut self.past, rows)?;
        self.states.select(&self.model.backend, rows)?;
        if self.record.cross {
            self.cross.resize(rows.len(), Vec::new());
        }
        if self.record.decoder {
            self.own.resize(rows.len(), Vec::new());
        }
        Ok(())
    }
}
