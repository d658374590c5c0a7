//! The decoder: one token a row and step, over a cache that beams share through ancestor tables.

use super::encoder::Span;
use super::{FeedForward, Scratch, Transformer, sublayer};
use crate::Result;
use crate::checkpoint::Weights;
use crate::kernels::{Activation, AttentionMemory, KeysAndValues, Precision, Workspace, attend, attend_f16, to_f16};
use crate::model::config::TransformerConfig;
use crate::model::{Attention, Candidate, Decoder, Proposer, Record, TopK};
use crate::nn::{LayerNorm, Linear, Slots};
use half::f16;

/// Masked self-attention, encoder-decoder attention and feed-forward.
#[derive(Debug)]
pub(super) struct DecoderLayer {
    /// Query, key and value in one product.
    self_projection: Linear,
    self_output: Linear,
    self_norm: LayerNorm,
    cross_query: Linear,
    /// Keys and values over the encoder's output in one product.
    cross_memory: Linear,
    cross_output: Linear,
    cross_norm: LayerNorm,
    feed_forward: FeedForward,
    pre_norm: bool,
}

impl DecoderLayer {
    pub fn load(config: &TransformerConfig, weights: &Weights, prefix: &str, precision: Precision) -> Result<Self> {
        let width = config.d_model;
        let linear = |name: &str| Linear::load(weights, &format!("{prefix}.{name}"), width, width, precision);
        let parts = ["q_proj", "k_proj", "v_proj"].map(|part| format!("{prefix}.self_attn.{part}"));
        let parts = [parts[0].as_str(), &parts[1], &parts[2]];
        let cross = ["k_proj", "v_proj"].map(|part| format!("{prefix}.encoder_attn.{part}"));
        Ok(Self {
            self_projection: Linear::load_fused(weights, &parts, width, width, precision)?,
            self_output: linear("self_attn.out_proj")?,
            self_norm: LayerNorm::load(weights, &format!("{prefix}.self_attn_layer_norm"), width)?,
            cross_query: linear("encoder_attn.q_proj")?,
            cross_memory: Linear::load_fused(weights, &[&cross[0], &cross[1]], width, width, precision)?,
            cross_output: linear("encoder_attn.out_proj")?,
            cross_norm: LayerNorm::load(weights, &format!("{prefix}.encoder_attn_layer_norm"), width)?,
            feed_forward: FeedForward::load(
                weights,
                prefix,
                width,
                config.decoder_ffn_dim,
                config.activation_function,
                precision,
            )?,
            pre_norm: config.normalize_before,
        })
    }
}

/// Generation in progress.
#[derive(Debug)]
pub(super) struct TransformerDecoder<'m> {
    model: &'m Transformer,
    /// For each layer the cross-attention keys and values, once per sentence.
    memory: Vec<AttentionMemory>,
    /// The sentence each row translates.
    sentences: Vec<usize>,
    spare_sentences: Vec<usize>,
    encoder_attention: Vec<Attention>,
    /// For each layer the keys and values of the tokens fed so far.
    cache: Vec<Cache>,
    slots: Slots,
    /// Output of the last layer, `[rows, width]`.
    hidden: Vec<f32>,
    record: Record,
    cross: Vec<Vec<f32>>,
    own: Vec<Vec<f32>>,
    scratch: Scratch,
    proposer: Proposer,
}

/// The self-attention keys and the values of one layer, each `[slots, width]`: in int8 models in half precision, since all of
/// a hypothesis' past is read at every step.
#[derive(Debug)]
enum Cache {
    F32(Vec<f32>, Vec<f32>),
    F16(Vec<f16>, Vec<f16>),
}

impl Cache {
    fn new(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32(Vec::new(), Vec::new()),
            Precision::Int8 => Self::F16(Vec::new(), Vec::new()),
        }
    }

    /// Makes room for `size` elements of keys and of values.
    fn resize(&mut self, size: usize) {
        match self {
            Self::F32(keys, values) => [keys, values].into_iter().for_each(|store| store.resize(size, 0.0)),
            Self::F16(keys, values) => [keys, values].into_iter().for_each(|store| store.resize(size, f16::ZERO)),
        }
    }

    /// Puts a key and a value, each `[width]`, into a slot.
    fn write(&mut self, slot: usize, key: &[f32], value: &[f32]) {
        let place = slot * key.len()..(slot + 1) * key.len();
        match self {
            Self::F32(keys, values) => {
                keys[place.clone()].copy_from_slice(key);
                values[place].copy_from_slice(value);
            }
            Self::F16(keys, values) => {
                to_f16(key, &mut keys[place.clone()]);
                to_f16(value, &mut values[place]);
            }
        }
    }

    /// [`attend`] to the given slots.
    fn attend(&self, query: &[f32], slots: &[u32], heads: usize, weights: &mut [f32], out: &mut [f32]) {
        let (stride, rows) = (query.len(), slots);
        match self {
            Self::F32(keys, values) => attend(query, KeysAndValues { keys, values, stride, rows }, heads, weights, out),
            Self::F16(keys, values) => {
                attend_f16(query, KeysAndValues { keys, values, stride, rows }, heads, weights, out);
            }
        }
    }
}

impl<'m> TransformerDecoder<'m> {
    /// `encoded` is the encoder's output `[Σ source lengths, width]`.
    pub fn new(
        model: &'m Transformer,
        encoded: &[f32],
        spans: Vec<Span>,
        encoder_attention: Vec<Attention>,
        record: Record,
        workspace: &mut Workspace,
    ) -> Self {
        let lengths: Vec<usize> = spans.iter().map(|span| span.length).collect();
        let mut projected = Vec::new();
        let project = |layer: &DecoderLayer| {
            layer.cross_memory.forward(workspace, encoded, Activation::Identity, &mut projected);
            let precision = layer.cross_memory.matrix().precision();
            AttentionMemory::new(precision, model.decoder_heads, model.width, &lengths, &projected)
        };
        let memory = model.decoder_layers.iter().map(project).collect();
        let recorded = |wanted: bool| vec![Vec::new(); if wanted { spans.len() } else { 0 }];
        Self {
            model,
            memory,
            slots: Slots::new(spans.len()),
            cross: recorded(record.cross),
            own: recorded(record.decoder),
            sentences: (0..spans.len()).collect(),
            spare_sentences: Vec::new(),
            encoder_attention,
            cache: model
                .decoder_layers
                .iter()
                .map(|layer| Cache::new(layer.self_projection.matrix().precision()))
                .collect(),
            hidden: Vec::new(),
            record,
            scratch: Scratch::default(),
            proposer: Proposer::default(),
        }
    }
}

impl Decoder for TransformerDecoder<'_> {
    fn rows(&self) -> usize {
        self.sentences.len()
    }

    fn step(&mut self, tokens: &[u32], workspace: &mut Workspace) -> Result<()> {
        let Self { model, memory, sentences, cache, slots, hidden, cross, own, scratch, .. } = self;
        let width = model.width;
        let heads = model.decoder_heads;
        hidden.resize(tokens.len() * width, 0.0);
        for (&token, hidden) in tokens.iter().zip(hidden.chunks_exact_mut(width)) {
            model.decoder_input.write(token, slots.length(), hidden);
        }
        slots.push();
        let length = slots.length();
        cross.iter_mut().chain(own.iter_mut()).for_each(Vec::clear);

        for ((layer, cache), memory) in model.decoder_layers.iter().zip(cache.iter_mut()).zip(memory) {
            let Scratch { normed, projected, context, out, weights, .. } = scratch;
            sublayer(&layer.self_norm, layer.pre_norm, hidden, normed, out, |x, out| {
                layer.self_projection.forward(workspace, x, Activation::Identity, projected);
                cache.resize(slots.count() * width);
                context.resize(x.len(), 0.0);
                weights.resize(heads * length, 0.0);
                let rows = projected.chunks_exact(3 * width).zip(context.chunks_exact_mut(width));
                for (row, (projected, context)) in rows.enumerate() {
                    let (query, key_value) = projected.split_at(width);
                    let (key, value) = key_value.split_at(width);
                    let past = slots.past(row);
                    cache.write(past[length - 1] as usize, key, value);
                    cache.attend(query, past, heads, weights, context);
                    if let Some(own) = own.get_mut(row) {
                        own.extend_from_slice(weights);
                    }
                }
                layer.self_output.forward(workspace, context, Activation::Identity, out);
            });
            sublayer(&layer.cross_norm, layer.pre_norm, hidden, normed, out, |x, out| {
                layer.cross_query.forward(workspace, x, Activation::Identity, projected);
                context.resize(x.len(), 0.0);
                // The hypotheses of a sentence follow one another, and read its memory together.
                let mut row = 0;
                for hypotheses in sentences.chunk_by(|a, b| a == b) {
                    let rows = row * width..(row + hypotheses.len()) * width;
                    memory.attend(hypotheses[0], &projected[rows.clone()], weights, &mut context[rows]);
                    let size = heads * memory.length(hypotheses[0]);
                    for (cross, weights) in cross.iter_mut().skip(row).zip(weights.chunks_exact(size)) {
                        cross.extend_from_slice(weights);
                    }
                    row += hypotheses.len();
                }
                layer.cross_output.forward(workspace, context, Activation::Identity, out);
            });
            layer.feed_forward.forward(layer.pre_norm, hidden, scratch, workspace);
        }
        if let Some(norm) = &model.decoder_norm {
            norm.forward(hidden);
        }
        Ok(())
    }

    fn logits(&mut self, logits: &mut Vec<f32>, workspace: &mut Workspace) -> Result<()> {
        self.model.output.forward(workspace, &self.hidden, Activation::Identity, logits);
        Ok(())
    }

    fn top_k(&mut self, request: TopK<'_>, candidates: &mut Vec<Candidate>, workspace: &mut Workspace) -> Result<()> {
        self.proposer.top_k(&self.model.output, &self.hidden, request, candidates, workspace);
        Ok(())
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
        (self.model.decoder_layers.len(), self.model.decoder_heads)
    }

    fn select(&mut self, rows: &[usize]) -> Result<()> {
        self.spare_sentences.clear();
        self.spare_sentences.extend(rows.iter().map(|&row| self.sentences[row]));
        std::mem::swap(&mut self.sentences, &mut self.spare_sentences);
        self.slots.select(rows);
        if self.record.cross {
            self.cross.resize(rows.len(), Vec::new());
        }
        if self.record.decoder {
            self.own.resize(rows.len(), Vec::new());
        }
        Ok(())
    }
}
