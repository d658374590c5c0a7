//! The encoder: every sentence of a batch at once, laid end to end without padding.

use super::{Around, FeedForward, Loader, Scratch, Transformer};
use crate::Result;
use crate::compute::{Activation, Backend, Recorder, Relative, RelativeVectors, Score, Workspace, spans};
use crate::model::Attention;
use crate::nn::{Linear, Norm, load_relative_vectors};

/// Self-attention and feed-forward.
#[derive(Debug)]
pub(super) struct EncoderLayer<B: Backend> {
    /// Query, key and value in one product.
    projection: Linear<B>,
    output: Linear<B>,
    relative: Option<RelativeVectors<B>>,
    norm: Norm<B>,
    feed_forward: FeedForward<B>,
    pre_norm: bool,
    residual_weight: f32,
}

impl<B: Backend> EncoderLayer<B> {
    pub(super) fn load(loader: &Loader<'_, B>, prefix: &str) -> Result<Self> {
        let (width, stack) = (loader.spec.width, loader.spec.encoder);
        let (prefix_attention, inner) = (format!("{prefix}.self_attn"), stack.heads * stack.head_width);
        Ok(Self {
            projection: loader.fused(&prefix_attention, &["q_proj", "k_proj", "v_proj"], width, inner)?,
            output: loader.linear(&format!("{prefix_attention}.out_proj"), inner, width)?,
            relative: load_relative_vectors(loader.backend, loader.parameters, &prefix_attention, stack.head_width)?,
            norm: loader.norm(&format!("{prefix}.self_attn_layer_norm"))?,
            feed_forward: FeedForward::load(loader, prefix, &stack)?,
            pre_norm: stack.norm_before,
            residual_weight: stack.residual_weight,
        })
    }
}

impl<B: Backend> Transformer<B> {
    /// Encodes `sources` laid end to end: the encoder's output `[Σ lengths, width]`, each sentence's length, and the recorded
    /// self-attention of each sentence (none unless `record`).
    pub(super) fn encode(
        &self,
        sources: &[&[u32]],
        record: bool,
        scratch: &mut Scratch<B>,
        workspace: &mut Workspace,
    ) -> Result<(B::Rows, Vec<usize>, Vec<Attention>)> {
        let lengths: Vec<usize> = sources.iter().map(|source| source.len()).collect();
        let tokens: Vec<u32> = sources.iter().flat_map(|source| source.iter().copied()).collect();
        // Of each row its sentence, and its position there.
        let sentence_of = |(sentence, source): (usize, &&[u32])| std::iter::repeat_n(sentence, source.len());
        let sentences: Vec<usize> = sources.iter().enumerate().flat_map(sentence_of).collect();
        let positions: Vec<usize> = sources.iter().flat_map(|source| self.encoder_input.places(source)).collect();
        let backend = &self.backend;
        let mut x = B::Rows::default();
        self.encoder_input.forward(backend, &tokens, |row| positions[row], &mut x)?;

        let (layers, heads) = (self.encoder_layers.len(), self.encoder.heads);
        let empty = |&length: &usize| Attention {
            layers,
            heads,
            rows: length,
            columns: length,
            weights: vec![0.0; layers * heads * length * length],
        };
        let mut attention: Vec<Attention> = if record { lengths.iter().map(empty).collect() } else { Vec::new() };
        let starts: Vec<usize> = spans(&lengths).map(|span| span.start).collect();

        for (layer_index, layer) in self.encoder_layers.iter().enumerate() {
            let Scratch { normed, projected, context, out, .. } = scratch;
            let (pre_norm, residual_weight) = (layer.pre_norm, layer.residual_weight);
            let around = Around { norm: &layer.norm, pre_norm, residual_weight };
            around.sublayer(backend, &mut x, normed, out, |x, out| {
                layer.projection.forward(backend, workspace, x, Activation::Identity, projected)?;
                let mut memory = backend.dot_memory(heads, self.encoder.head_width, &lengths, projected, false)?;
                let mut keep = |row: usize, weights: &[f32]| {
                    let (sentence, length) = (sentences[row], lengths[sentences[row]]);
                    for (head, weights) in weights.chunks_exact(length).enumerate() {
                        let matrix = (layer_index * heads + head) * length + row - starts[sentence];
                        attention[sentence].weights[matrix * length..][..length].copy_from_slice(weights);
                    }
                };
                let keep = record.then_some(&mut keep as Recorder<'_>);
                let relative = match (&layer.relative, self.encoder_bias.of(layer_index)) {
                    (Some(vectors), _) => Relative::Vectors(vectors),
                    (None, Some(bias)) => Relative::Bias(bias),
                    (None, None) => Relative::None,
                };
                let score = Score::Dot { scale: self.scales.0, relative };
                backend.attend(workspace, score, &mut memory, &sentences, projected, None, context, keep)?;
                layer.output.forward(backend, workspace, context, Activation::Identity, out)
            })?;
            layer.feed_forward.forward(backend, layer.pre_norm, &mut x, scratch, workspace)?;
        }
        if let Some(norm) = &self.encoder_norm {
            norm.forward(backend, &mut x, None)?;
        }
        Ok((x, lengths, attention))
    }
}

/// Neighbouring sentences in groups of about as many tokens, with few more than `most`; one at least.
pub(super) fn groups<'s, 't>(sources: &'s [&'t [u32]], most: usize) -> Vec<&'s [&'t [u32]]> {
    let tokens: usize = sources.iter().map(|source| source.len()).sum();
    let share = tokens.div_ceil(tokens.div_ceil(most).max(1));
    let (mut groups, mut first, mut count) = (Vec::new(), 0, 0);
    for (at, source) in sources.iter().enumerate() {
        count += source.len();
        if count >= share || at + 1 == sources.len() {
            groups.push(&sources[first..=at]);
            (first, count) = (at + 1, 0);
        }
    }
    if groups.is_empty() { vec![sources] } else { groups }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_about_equal_and_hold_every_sentence_once() {
        let sentences: Vec<Vec<u32>> = (1..=40).map(|length| vec![0; length]).collect();
        let sources: Vec<&[u32]> = sentences.iter().map(Vec::as_slice).collect();
        let groups = groups(&sources, 100);
        let tokens: Vec<usize> = groups.iter().map(|group| group.iter().map(|source| source.len()).sum()).collect();
        assert_eq!(groups.concat(), sources);
        assert_eq!(tokens.len(), 8, "{tokens:?}");
        assert!(tokens.iter().all(|&tokens| tokens < 140), "{tokens:?}");
    }

    #[test]
    fn few_sentences_are_one_group() {
        let sources: Vec<&[u32]> = vec![&[1, 2], &[3]];
        assert_eq!(groups(&sources, 3).len(), 1);
        assert_eq!(groups(&sources, usize::MAX).len(), 1);
        assert_eq!(groups(&[], 3), [&[] as &[&[u32]]]);
    }
}
