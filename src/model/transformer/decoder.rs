//! The decoder: one token a row and step, over a cache that beams share through ancestor tables.

use super::encoder::Span;
use super::{FeedForward, Scratch, Transformer, sublayer};
use crate::Result;
use crate::checkpoint::Weights;
use crate::kernels::{Activation, KeyRows, Precision, Workspace, attend};
use crate::model::config::TransformerConfig;
use crate::model::{Attention, Decoder, Record};
use crate::nn::{LayerNorm, Linear};

/// Masked self-attention, encoder-decoder attention and feed-forward.
#[derive(Debug)]
pub(super) struct DecoderLayer {
    /// Query, key and value in one product.
    self_projection: Linear,
    self_output: Linear,
    self_norm: LayerNorm,
    cross_query: Linear,
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
        Ok(Self {
            self_projection: Linear::load_fused(weights, &parts, width, width, precision)?,
            self_output: linear("self_attn.out_proj")?,
            self_norm: LayerNorm::load(weights, &format!("{prefix}.self_attn_layer_norm"), width)?,
            cross_query: linear("encoder_attn.q_proj")?,
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
    /// Cross-attention keys and values of every layer, `[Σ source lengths, layers · 2 · width]`, once per sentence.
    memory: Vec<f32>,
    /// The sentence each row translates, as its span of `memory`.
    spans: Vec<Span>,
    encoder_attention: Vec<Attention>,
    /// For each layer the keys and values of every token fed so far, `[slots, 2 · width]`.
    cache: Vec<Vec<f32>>,
    slots: usize,
    /// For each row the slots of its own past, oldest first.
    ancestors: Vec<Vec<u32>>,
    /// Output of the last layer, `[rows, width]`.
    hidden: Vec<f32>,
    record: Record,
    cross: Vec<Vec<f32>>,
    own: Vec<Vec<f32>>,
    scratch: Scratch,
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
        let mut memory = Vec::new();
        model.memory_projection.forward(workspace, encoded, Activation::Identity, &mut memory);
        Self {
            model,
            memory,
            ancestors: vec![Vec::new(); spans.len()],
            cross: vec![Vec::new(); if record.cross { spans.len() } else { 0 }],
            own: vec![Vec::new(); if record.decoder { spans.len() } else { 0 }],
            spans,
            encoder_attention,
            cache: vec![Vec::new(); model.decoder_layers.len()],
            slots: 0,
            hidden: Vec::new(),
            record,
            scratch: Scratch::default(),
        }
    }
}

impl Decoder for TransformerDecoder<'_> {
    fn rows(&self) -> usize {
        self.spans.len()
    }

    fn step(&mut self, tokens: &[u32], workspace: &mut Workspace) {
        let Self { model, memory, spans, cache, ancestors, hidden, cross, own, scratch, .. } = self;
        let width = model.width;
        let heads = model.decoder_heads;
        hidden.resize(tokens.len() * width, 0.0);
        for (row, (&token, ancestors)) in tokens.iter().zip(ancestors.iter_mut()).enumerate() {
            model.decoder_input.write(token, ancestors.len(), &mut hidden[row * width..(row + 1) * width]);
            ancestors.push((self.slots + row) as u32);
        }
        self.slots += tokens.len();
        cross.iter_mut().chain(own.iter_mut()).for_each(Vec::clear);

        for (layer_index, (layer, cache)) in model.decoder_layers.iter().zip(cache.iter_mut()).enumerate() {
            let Scratch { normed, projected, context, out, weights, .. } = scratch;
            sublayer(&layer.self_norm, layer.pre_norm, hidden, normed, out, |x, out| {
                layer.self_projection.forward(workspace, x, Activation::Identity, projected);
                for row in projected.chunks_exact(3 * width) {
                    cache.extend_from_slice(&row[width..]);
                }
                context.resize(x.len(), 0.0);
                for (row, ancestors) in ancestors.iter().enumerate() {
                    weights.resize(heads * ancestors.len(), 0.0);
                    attend(
                        &projected[row * 3 * width..][..width],
                        cache,
                        &cache[width..],
                        2 * width,
                        KeyRows::Listed(ancestors),
                        heads,
                        weights,
                        &mut context[row * width..(row + 1) * width],
                    );
                    if let Some(own) = own.get_mut(row) {
                        own.extend_from_slice(weights);
                    }
                }
                layer.self_output.forward(workspace, context, Activation::Identity, out);
            });
            sublayer(&layer.cross_norm, layer.pre_norm, hidden, normed, out, |x, out| {
                layer.cross_query.forward(workspace, x, Activation::Identity, projected);
                context.resize(x.len(), 0.0);
                let stride = model.decoder_layers.len() * 2 * width;
                let keys = &memory[layer_index * 2 * width..];
                for (row, span) in spans.iter().enumerate() {
                    weights.resize(heads * span.length, 0.0);
                    attend(
                        &projected[row * width..(row + 1) * width],
                        keys,
                        &keys[width..],
                        stride,
                        KeyRows::Span { start: span.start, length: span.length },
                        heads,
                        weights,
                        &mut context[row * width..(row + 1) * width],
                    );
                    if let Some(cross) = cross.get_mut(row) {
                        cross.extend_from_slice(weights);
                    }
                }
                layer.cross_output.forward(workspace, context, Activation::Identity, out);
            });
            layer.feed_forward.forward(layer.pre_norm, hidden, scratch, workspace);
        }
        if let Some(norm) = &model.decoder_norm {
            norm.forward(hidden);
        }
    }

    fn logits(&mut self, logits: &mut Vec<f32>, workspace: &mut Workspace) {
        self.model.output.forward(workspace, &self.hidden, Activation::Identity, logits);
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

    fn select(&mut self, rows: &[usize]) {
        self.spans = rows.iter().map(|&row| self.spans[row]).collect();
        self.ancestors = rows.iter().map(|&row| self.ancestors[row].clone()).collect();
        if self.record.cross {
            self.cross.resize(rows.len(), Vec::new());
        }
        if self.record.decoder {
            self.own.resize(rows.len(), Vec::new());
        }
    }
}
