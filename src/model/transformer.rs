//! The Transformer encoder-decoder (Vaswani et al. 2017).

mod decoder;
mod encoder;
mod past;

use std::sync::Arc;

use super::{Decoder, Record, Seq2Seq};
use crate::Result;
use crate::checkpoint::Parameters;
use crate::compute::{Activation, Backend, Workspace};
use crate::nn::{Embedding, Linear, Norm, Positions, RelativeBias, load_matrix, load_output};
use crate::spec::{self, Stack};
use decoder::{DecoderLayer, TransformerDecoder};
use encoder::EncoderLayer;

/// A loaded Transformer.
#[derive(Debug)]
pub(super) struct Transformer<B: Backend> {
    backend: B,
    encoder_input: Input<B>,
    encoder_bias: RelativeBias<B>,
    encoder_layers: Vec<EncoderLayer<B>>,
    encoder_norm: Option<Norm<B>>,
    decoder_input: Input<B>,
    decoder_bias: RelativeBias<B>,
    decoder_layers: Vec<DecoderLayer<B>>,
    decoder_norm: Option<Norm<B>>,
    output: Linear<B>,
    /// What the decoder's output is multiplied by before `output`.
    output_scale: f32,
    encoder: Stack,
    decoder: Stack,
    /// What products of queries and keys are multiplied by, in the encoder and the decoder.
    scales: (f32, f32),
    /// Whether the decoder is fed a vector of zeros first.
    starts_from_zero: bool,
}

/// Embedding, position and optional normalisation: what a token becomes before the first layer.
#[derive(Debug)]
struct Input<B: Backend> {
    embedding: Embedding<B>,
    positions: Positions,
    /// A token without a position.
    padding: Option<u32>,
    norm: Option<Norm<B>>,
}

impl<B: Backend> Input<B> {
    /// The position of each token of a sentence.
    fn places<'a>(&'a self, sentence: &'a [u32]) -> impl Iterator<Item = usize> + 'a {
        sentence.iter().scan(0, |next, &token| {
            let place = *next;
            *next += usize::from(self.padding != Some(token));
            Some(place)
        })
    }

    /// The vector of each token at its position in its sentence, `[tokens, width]`.
    fn forward(&self, backend: &B, tokens: &[u32], position: impl Fn(usize) -> usize, out: &mut B::Rows) -> Result<()> {
        let mut add = |row: usize, x: &mut [f32]| {
            if self.padding != Some(tokens[row]) {
                self.positions.add(position(row), x);
            }
        };
        self.embedding.look_up(backend, tokens, &mut add, out)?;
        self.normalise(backend, out)
    }

    /// The same of vectors of zeros at the first position, whatever the tokens.
    fn zeros(&self, backend: &B, tokens: &[u32], out: &mut B::Rows) -> Result<()> {
        self.embedding.zeros(backend, tokens, &mut |_, x| self.positions.add(0, x), out)?;
        self.normalise(backend, out)
    }

    fn normalise(&self, backend: &B, out: &mut B::Rows) -> Result<()> {
        self.norm.as_ref().map_or(Ok(()), |norm| norm.forward(backend, out, None))
    }
}

/// The tensors of a network, for its layers.
struct Loader<'a, B> {
    backend: &'a B,
    parameters: &'a Parameters,
    spec: &'a spec::Transformer,
}

impl<B: Backend> Loader<'_, B> {
    fn linear(&self, prefix: &str, inputs: usize, outputs: usize) -> Result<Linear<B>> {
        Linear::load(self.backend, self.parameters, prefix, inputs, outputs, self.spec.bias)
    }

    /// Layers `PREFIX.PART` over the same input.
    fn fused(&self, prefix: &str, parts: &[&str], inputs: usize, outputs: usize) -> Result<Linear<B>> {
        let names: Vec<String> = parts.iter().map(|part| format!("{prefix}.{part}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Linear::load_fused(self.backend, self.parameters, &names, inputs, outputs, self.spec.bias)
    }

    fn norm(&self, prefix: &str) -> Result<Norm<B>> {
        Norm::load(self.backend, self.parameters, prefix, self.spec.width, &self.spec.norm)
    }
}

/// The feed-forward sublayer: `W_2 f(W_1 x + b_1) + b_2`, or gated `W_2 (f(W_1 x) ⊙ W_g x)`. There may be more layers, each
/// but the last followed by `f`.
#[derive(Debug)]
struct FeedForward<B: Backend> {
    first: Linear<B>,
    gate: Option<Linear<B>>,
    /// Layers between the first and the last.
    middle: Vec<Linear<B>>,
    last: Linear<B>,
    activation: Activation,
    norm: Norm<B>,
    residual_weight: f32,
}

impl<B: Backend> FeedForward<B> {
    fn load(loader: &Loader<'_, B>, prefix: &str, stack: &Stack) -> Result<Self> {
        let (width, inner) = (loader.spec.width, stack.inner);
        let gate = || loader.linear(&format!("{prefix}.fc1_gate"), width, inner);
        let is_stored = |layer: usize| loader.parameters.contains(&format!("{prefix}.fc{layer}.weight"));
        let last = (2..).find(|layer| !is_stored(layer + 1)).unwrap_or(2);
        Ok(Self {
            first: loader.linear(&format!("{prefix}.fc1"), width, inner)?,
            gate: loader.spec.gated.then(gate).transpose()?,
            middle: (2..last)
                .map(|layer| loader.linear(&format!("{prefix}.fc{layer}"), inner, inner))
                .collect::<Result<_>>()?,
            last: loader.linear(&format!("{prefix}.fc{last}"), inner, width)?,
            activation: loader.spec.activation,
            norm: loader.norm(&format!("{prefix}.final_layer_norm"))?,
            residual_weight: stack.residual_weight,
        })
    }

    fn forward(
        &self,
        backend: &B,
        pre_norm: bool,
        x: &mut B::Rows,
        scratch: &mut Scratch<B>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let Scratch { normed, inner, gate, out, .. } = scratch;
        let around = Around { norm: &self.norm, pre_norm, residual_weight: self.residual_weight };
        around.sublayer(backend, x, normed, out, |input, out| {
            self.first.forward(backend, workspace, input, self.activation, inner)?;
            if let Some(layer) = &self.gate {
                layer.forward(backend, workspace, input, Activation::Identity, gate)?;
                backend.multiply(inner, gate)?;
            }
            for layer in &self.middle {
                layer.forward(backend, workspace, inner, self.activation, gate)?;
                std::mem::swap(inner, gate);
            }
            self.last.forward(backend, workspace, inner, Activation::Identity, out)
        })
    }
}

/// Buffers a pass writes again and again.
#[derive(Debug)]
struct Scratch<B: Backend> {
    normed: B::Rows,
    projected: B::Rows,
    context: B::Rows,
    inner: B::Rows,
    gate: B::Rows,
    out: B::Rows,
}

impl<B: Backend> Default for Scratch<B> {
    fn default() -> Self {
        Self {
            normed: B::Rows::default(),
            projected: B::Rows::default(),
            context: B::Rows::default(),
            inner: B::Rows::default(),
            gate: B::Rows::default(),
            out: B::Rows::default(),
        }
    }
}

/// What stands around a sublayer.
#[derive(Debug)]
struct Around<'a, B: Backend> {
    norm: &'a Norm<B>,
    pre_norm: bool,
    residual_weight: f32,
}

impl<B: Backend> Around<'_, B> {
    /// Residual connection and normalisation around `f`: `x = norm(x + f(x))` (post-norm, the original) or
    /// `x = x + f(norm(x))` (pre-norm).
    fn sublayer(
        &self,
        backend: &B,
        x: &mut B::Rows,
        normed: &mut B::Rows,
        out: &mut B::Rows,
        f: impl FnOnce(&B::Rows, &mut B::Rows) -> Result<()>,
    ) -> Result<()> {
        if self.pre_norm {
            backend.copy(x, normed)?;
            self.norm.forward(backend, normed, None)?;
            f(normed, out)?;
        } else {
            f(x, out)?;
        }
        if self.residual_weight != 1.0 {
            backend.scale(x, self.residual_weight)?;
        }
        if self.pre_norm { backend.add(x, out) } else { self.norm.forward(backend, x, Some(out)) }
    }
}

impl<B: Backend> Transformer<B> {
    /// Builds the model from its tensors.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape than the spec says.
    pub(super) fn load(spec: &spec::Transformer, parameters: &Parameters, backend: B) -> Result<Self> {
        let loader = Loader { backend: &backend, parameters, spec };
        // Packing weights is most of a start: the encoder's and all others are packed at the same time.
        let (encoder_layers, others) = std::thread::scope(|scope| {
            let encoder = scope.spawn(|| {
                (0..spec.encoder.layers)
                    .map(|layer| EncoderLayer::load(&loader, &format!("model.encoder.layers.{layer}")))
                    .collect::<Result<Vec<_>>>()
            });
            let others = Others::load(&loader);
            (encoder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), others)
        });
        // If both fail, it is the others' problem that is told.
        let others = others?;
        let scale = |stack: &Stack| spec.attention_scale.unwrap_or_else(|| 1.0 / (stack.head_width as f32).sqrt());
        Ok(Self {
            encoder_input: others.encoder_input,
            encoder_bias: others.encoder_bias,
            encoder_layers: encoder_layers?,
            encoder_norm: others.encoder_norm,
            decoder_input: others.decoder_input,
            decoder_bias: others.decoder_bias,
            decoder_layers: others.decoder_layers,
            decoder_norm: others.decoder_norm,
            output: others.output,
            output_scale: spec.output_scale,
            encoder: spec.encoder,
            decoder: spec.decoder,
            scales: (scale(&spec.encoder), scale(&spec.decoder)),
            starts_from_zero: spec.starts_from_zero,
            backend,
        })
    }
}

/// Everything but the encoder's layers.
struct Others<B: Backend> {
    encoder_input: Input<B>,
    encoder_bias: RelativeBias<B>,
    encoder_norm: Option<Norm<B>>,
    decoder_input: Input<B>,
    decoder_bias: RelativeBias<B>,
    decoder_layers: Vec<DecoderLayer<B>>,
    decoder_norm: Option<Norm<B>>,
    output: Linear<B>,
}

impl<B: Backend> Others<B> {
    fn load(loader: &Loader<'_, B>) -> Result<Self> {
        let Loader { backend, parameters, spec } = *loader;
        let width = spec.width;
        let embeddings = EmbeddingNames::decide(parameters)?;
        let pack = |name: &str, rows: usize| -> Result<Arc<B::Matrix>> {
            Ok(Arc::new(match name == embeddings.output {
                true => load_output(backend, parameters, name, rows, width)?,
                false => load_matrix(backend, parameters, &[name], rows, width)?,
            }))
        };
        let source = pack(embeddings.source, spec.source_vocabulary)?;
        let target_size = spec.target_vocabulary;
        let target =
            if embeddings.target == embeddings.source { source.clone() } else { pack(embeddings.target, target_size)? };
        let output = if embeddings.output == embeddings.target {
            target.clone()
        } else if embeddings.output == embeddings.source {
            source.clone()
        } else {
            pack(embeddings.output, target_size)?
        };
        let mut logits_bias: Option<Vec<f32>> = None;
        for name in ["final_logits_bias", "lm_head.bias"].into_iter().filter(|name| parameters.contains(name)) {
            let values = parameters.tensor(name, &[target_size])?;
            match &mut logits_bias {
                Some(sum) => sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
                None => logits_bias = Some(values),
            }
        }
        let logits_bias = logits_bias.map(|bias| backend.vector(bias)).transpose()?;
        let padding = match spec.positions {
            spec::Positions::Sinusoidal { padding, .. } => padding,
            _ => None,
        };
        let input = |side: &str, matrix: Arc<B::Matrix>| -> Result<Input<B>> {
            let name = format!("model.{side}.embed_positions.weight");
            let norm = || loader.norm(&format!("model.{side}.layernorm_embedding"));
            Ok(Input {
                embedding: Embedding::new(matrix, spec.embedding_scale),
                positions: Positions::load(&spec.positions, parameters, &name, width)?,
                padding,
                norm: spec.embedding_norm.then(norm).transpose()?,
            })
        };
        let final_norm = |side: &str, stack: &Stack| {
            stack.final_norm.then(|| loader.norm(&format!("model.{side}.layer_norm"))).transpose()
        };
        let bias = |side: &str, stack: &Stack, bidirectional: bool| {
            let (prefix, spec) = (format!("model.{side}"), spec.relative_bias.as_ref());
            RelativeBias::load(backend, parameters, &prefix, stack, spec, bidirectional)
        };
        Ok(Self {
            encoder_input: input("encoder", source)?,
            encoder_bias: bias("encoder", &spec.encoder, true)?,
            encoder_norm: final_norm("encoder", &spec.encoder)?,
            decoder_input: input("decoder", target)?,
            decoder_bias: bias("decoder", &spec.decoder, false)?,
            decoder_layers: (0..spec.decoder.layers)
                .map(|layer| DecoderLayer::load(loader, &format!("model.decoder.layers.{layer}")))
                .collect::<Result<_>>()?,
            decoder_norm: final_norm("decoder", &spec.decoder)?,
            output: Linear::new(output, logits_bias),
        })
    }
}

impl<B: Backend> Seq2Seq for Transformer<B> {
    fn target_vocabulary_size(&self) -> usize {
        self.output.outputs(&self.backend)
    }

    fn start<'m>(
        &'m self,
        sources: &[&[u32]],
        record: Record,
        workspace: &mut Workspace,
    ) -> Result<Box<dyn Decoder + 'm>> {
        Ok(Box::new(TransformerDecoder::new(self, sources, record, workspace)?))
    }

    fn joins(&self) -> bool {
        B::JOINS && !self.starts_from_zero && self.decoder_layers.iter().all(DecoderLayer::joins)
    }
}

/// The tensors a Transformer takes its three vocabulary-sized matrices from. Equal names mean one shared matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddingNames {
    /// Source embedding, `[source vocabulary, width]`.
    pub source: &'static str,
    /// Target embedding, `[target vocabulary, width]`.
    pub target: &'static str,
    /// Output projection, `[target vocabulary, width]`.
    pub output: &'static str,
}

impl EmbeddingNames {
    /// The four names such a matrix may be stored under.
    pub const ALL: [&'static str; 4] = [
        "model.shared.weight",
        "model.encoder.embed_tokens.weight",
        "model.decoder.embed_tokens.weight",
        "lm_head.weight",
    ];

    /// Decides from the stored tensors which embedding each side uses.
    ///
    /// A tensor stored for a purpose is used for it, so a checkpoint whose `lm_head` differs from its embeddings is not
    /// tied whatever its config says; copies with equal values are recognised and kept once. A matrix that is not stored
    /// is taken from the one it is tied to.
    ///
    /// # Errors
    /// If no embedding is stored at all, or two cannot be compared.
    pub fn decide(parameters: &Parameters) -> Result<Self> {
        let [shared, encoder, decoder, head] = Self::ALL;
        let first = |candidates: &[&'static str]| candidates.iter().copied().find(|name| parameters.contains(name));
        let Some(source) = first(&[encoder, shared, decoder, head]) else {
            return Err(parameters.missing(shared));
        };
        let target = match first(&[decoder, shared, head]) {
            Some(target) if target != source && !parameters.same(target, source)? => target,
            _ => source,
        };
        let output = match first(&[head]) {
            Some(head) if head != target && !parameters.same(head, target)? => head,
            _ => target,
        };
        Ok(Self { source, target, output })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::{Kernels, Precision};
    use crate::spec::{Frequencies, Order};

    #[test]
    fn padding_that_is_written_out_has_no_position_and_is_not_counted() {
        let backend = Kernels::new(Precision::F32).unwrap();
        let mut read = |sink: crate::compute::RowSink<'_>| {
            sink(&[0.0; 8]);
            Ok(())
        };
        let zeros = backend.matrix(4, 2, &mut read).unwrap();
        let positions = Positions::sinusoidal(2, Order::Halves, 2, Frequencies::ByLastIndex);
        let input = Input { embedding: Embedding::new(zeros.into(), 1.0), positions, padding: Some(1), norm: None };
        let sentence = [3, 1, 3, 1, 1, 3];
        let places: Vec<usize> = input.places(&sentence).collect();
        let mut out = Default::default();
        input.forward(&backend, &sentence, |row| places[row], &mut out).unwrap();
        let expected = [Some(2f64), None, Some(3.0), None, None, Some(4.0)];
        let vector = |place: Option<f64>| place.map_or([0.0; 2], |place| [place.sin() as f32, place.cos() as f32]);
        assert_eq!(backend.values(&out).unwrap(), expected.map(vector).concat());
    }
}
