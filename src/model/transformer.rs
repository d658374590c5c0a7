//! The Transformer encoder-decoder (Vaswani et al. 2017) as Hugging Face Marian stores it.

mod decoder;
mod encoder;

use std::sync::Arc;

use super::config::TransformerConfig;
use super::{Decoder, Record, Seq2Seq};
use crate::Result;
use crate::checkpoint::Weights;
use crate::checkpoint::layout::embedding_names;
use crate::kernels::{Activation, PackedMatrix, Precision, Workspace};
use crate::nn::{Embedding, LayerNorm, Linear, Positions};
use decoder::{DecoderLayer, TransformerDecoder};
use encoder::EncoderLayer;

/// A loaded Transformer.
#[derive(Debug)]
pub struct Transformer {
    encoder_input: Input,
    encoder_layers: Vec<EncoderLayer>,
    encoder_norm: Option<LayerNorm>,
    decoder_input: Input,
    decoder_layers: Vec<DecoderLayer>,
    decoder_norm: Option<LayerNorm>,
    output: Linear,
    width: usize,
    encoder_heads: usize,
    decoder_heads: usize,
}

/// Embedding, position and optional normalisation: what a token becomes before the first layer.
#[derive(Debug)]
struct Input {
    embedding: Embedding,
    positions: Positions,
    norm: Option<LayerNorm>,
}

impl Input {
    /// Writes the vector of `token` at `position` into `x` `[width]`.
    fn write(&self, token: u32, position: usize, x: &mut [f32]) {
        self.embedding.look_up(token, x);
        self.positions.add(position, x);
        if let Some(norm) = &self.norm {
            norm.forward(x);
        }
    }
}

/// The feed-forward sublayer: `W_2 f(W_1 x + b_1) + b_2`.
#[derive(Debug)]
struct FeedForward {
    first: Linear,
    second: Linear,
    activation: Activation,
    norm: LayerNorm,
}

impl FeedForward {
    fn load(
        weights: &Weights,
        prefix: &str,
        width: usize,
        inner: usize,
        activation: Activation,
        precision: Precision,
    ) -> Result<Self> {
        Ok(Self {
            first: Linear::load(weights, &format!("{prefix}.fc1"), width, inner, precision)?,
            second: Linear::load(weights, &format!("{prefix}.fc2"), inner, width, precision)?,
            activation,
            norm: LayerNorm::load(weights, &format!("{prefix}.final_layer_norm"), width)?,
        })
    }

    fn forward(&self, pre_norm: bool, x: &mut [f32], scratch: &mut Scratch, workspace: &mut Workspace) {
        sublayer(&self.norm, pre_norm, x, &mut scratch.normed, &mut scratch.out, |input, out| {
            self.first.forward(workspace, input, self.activation, &mut scratch.inner);
            self.second.forward(workspace, &scratch.inner, Activation::Identity, out);
        });
    }
}

/// Buffers a pass writes again and again.
#[derive(Debug, Default)]
struct Scratch {
    normed: Vec<f32>,
    projected: Vec<f32>,
    context: Vec<f32>,
    inner: Vec<f32>,
    out: Vec<f32>,
    weights: Vec<f32>,
}

/// Residual connection and normalisation around `f`: `x = norm(x + f(x))` (post-norm, the original) or
/// `x = x + f(norm(x))` (pre-norm).
fn sublayer(
    norm: &LayerNorm,
    pre_norm: bool,
    x: &mut [f32],
    normed: &mut Vec<f32>,
    out: &mut Vec<f32>,
    f: impl FnOnce(&[f32], &mut Vec<f32>),
) {
    if pre_norm {
        normed.clear();
        normed.extend_from_slice(x);
        norm.forward(normed);
        f(normed, out);
        x.iter_mut().zip(out.iter()).for_each(|(x, out)| *x += out);
    } else {
        f(x, out);
        norm.forward_residual(x, out);
    }
}

impl Transformer {
    /// Builds the model from a checkpoint.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape than the configuration says.
    pub fn load(config: &TransformerConfig, weights: &Weights, precision: Precision) -> Result<Self> {
        // Packing weights is most of a start: the encoder's and all others are packed at the same time.
        std::thread::scope(|scope| {
            let encoder = scope.spawn(|| {
                (0..config.encoder_layers)
                    .map(|layer| {
                        EncoderLayer::load(config, weights, &format!("model.encoder.layers.{layer}"), precision)
                    })
                    .collect::<Result<Vec<_>>>()
            });
            let others = Self::load_all_but_encoder_layers(config, weights, precision);
            let encoder_layers = encoder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            // If both fail, it is the others' problem that is told.
            let mut model = others?;
            model.encoder_layers = encoder_layers?;
            Ok(model)
        })
    }

    fn load_all_but_encoder_layers(
        config: &TransformerConfig,
        weights: &Weights,
        precision: Precision,
    ) -> Result<Self> {
        let width = config.d_model;
        let embeddings = embedding_names(weights)?;
        let pack = |name: &str, rows: usize| -> Result<Arc<PackedMatrix>> {
            Ok(Arc::new(weights.pack(name, rows, width, precision)?))
        };
        let source = pack(embeddings.source, config.vocab_size)?;
        let target_size = config.decoder_vocab_size;
        let target =
            if embeddings.target == embeddings.source { source.clone() } else { pack(embeddings.target, target_size)? };
        let output = if embeddings.output == embeddings.target {
            target.clone()
        } else if embeddings.output == embeddings.source {
            source.clone()
        } else {
            pack(embeddings.output, target_size)?
        };
        let bias = if weights.contains("final_logits_bias") {
            Some(weights.tensor("final_logits_bias", &[1, target_size])?)
        } else {
            None
        };
        let scale = if config.scale_embedding { (width as f32).sqrt() } else { 1.0 };
        let input = |side: &str, matrix: Arc<PackedMatrix>| -> Result<Input> {
            let positions = if config.static_position_embeddings {
                Positions::sinusoidal(width)
            } else {
                let name = format!("model.{side}.embed_positions.weight");
                Positions::learned(weights, &name, config.max_position_embeddings, width)?
            };
            let norm = config
                .normalize_embedding
                .then(|| LayerNorm::load(weights, &format!("model.{side}.layernorm_embedding"), width))
                .transpose()?;
            Ok(Input { embedding: Embedding::new(matrix, scale), positions, norm })
        };
        let final_norm = |side: &str| {
            config
                .add_final_layer_norm
                .then(|| LayerNorm::load(weights, &format!("model.{side}.layer_norm"), width))
                .transpose()
        };
        Ok(Self {
            encoder_input: input("encoder", source)?,
            encoder_layers: Vec::new(),
            encoder_norm: final_norm("encoder")?,
            decoder_input: input("decoder", target)?,
            decoder_layers: (0..config.decoder_layers)
                .map(|layer| DecoderLayer::load(config, weights, &format!("model.decoder.layers.{layer}"), precision))
                .collect::<Result<_>>()?,
            decoder_norm: final_norm("decoder")?,
            output: Linear::new(output, bias),
            width,
            encoder_heads: config.encoder_attention_heads,
            decoder_heads: config.decoder_attention_heads,
        })
    }
}

impl Seq2Seq for Transformer {
    fn target_vocabulary_size(&self) -> usize {
        self.output.matrix().outputs()
    }

    fn start<'m>(
        &'m self,
        sources: &[&[u32]],
        record: Record,
        workspace: &mut Workspace,
    ) -> Result<Box<dyn Decoder + 'm>> {
        let (memory, spans, attention) = self.encode(sources, record.encoder, workspace);
        Ok(Box::new(TransformerDecoder::new(self, &memory, spans, attention, record, workspace)))
    }
}
