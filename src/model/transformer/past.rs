//! What a decoder layer knows of the tokens before: self-attention, or one vector for each hypothesis that follows them.

use super::Loader;
use crate::Result;
use crate::compute::{Activation, Backend, RelativeVectors, Workspace};
use crate::nn::{Linear, load_relative_vectors};
use crate::spec;

/// The first sublayer of a decoder layer.
#[derive(Debug)]
pub(super) enum Past<B: Backend> {
    /// Masked self-attention.
    Attention {
        /// Query, key and value in one product.
        projection: Linear<B>,
        relative: Option<RelativeVectors<B>>,
        output: Linear<B>,
    },
    Ssru(Ssru<B>),
    Average(Average<B>),
}

impl<B: Backend> Past<B> {
    pub(super) fn load(loader: &Loader<'_, B>, prefix: &str) -> Result<Self> {
        let (width, stack) = (loader.spec.width, loader.spec.decoder);
        match loader.spec.past {
            spec::Past::Attention => {
                let (prefix, inner) = (format!("{prefix}.self_attn"), stack.heads * stack.head_width);
                Ok(Self::Attention {
                    projection: loader.fused(&prefix, &["q_proj", "k_proj", "v_proj"], width, inner)?,
                    relative: load_relative_vectors(loader.backend, loader.parameters, &prefix, stack.head_width)?,
                    output: loader.linear(&format!("{prefix}.out_proj"), inner, width)?,
                })
            }
            spec::Past::Ssru => Ok(Self::Ssru(Ssru::load(loader, &format!("{prefix}.ssru"))?)),
            spec::Past::Average { activation } => {
                Ok(Self::Average(Average::load(loader, &format!("{prefix}.average"), activation)?))
            }
        }
    }

    /// Whether it is self-attention, which can be looked at.
    pub(super) fn is_attention(&self) -> bool {
        matches!(self, Self::Attention { .. })
    }
}

/// A simpler simple recurrent unit (Kim et al. 2019): `c = f ⊙ c + (1 − f) ⊙ W x`, `f = σ(W_f x + b_f)`, seen as `max(c, 0)`
/// and perhaps through one more layer.
#[derive(Debug)]
pub(super) struct Ssru<B: Backend> {
    /// `W` and `W_f` in one product.
    projection: Linear<B>,
    output: Option<Linear<B>>,
}

impl<B: Backend> Ssru<B> {
    fn load(loader: &Loader<'_, B>, prefix: &str) -> Result<Self> {
        let width = loader.spec.width;
        let names = [format!("{prefix}.input"), format!("{prefix}.forget")];
        let output = format!("{prefix}.output");
        let has_output = loader.parameters.contains(&format!("{output}.weight"));
        Ok(Self {
            // The input has no bias.
            projection: Linear::load_fused(
                loader.backend,
                loader.parameters,
                &names.each_ref().map(String::as_str),
                width,
                width,
                false,
            )?,
            output: has_output.then(|| loader.linear(&output, width, width)).transpose()?,
        })
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn forward(
        &self,
        backend: &B,
        workspace: &mut Workspace,
        x: &B::Rows,
        state: &mut B::Rows,
        projected: &mut B::Rows,
        seen: &mut B::Rows,
        out: &mut B::Rows,
    ) -> Result<()> {
        self.projection.forward(backend, workspace, x, Activation::Identity, projected)?;
        match &self.output {
            None => backend.ssru(projected, state, out),
            Some(output) => {
                backend.ssru(projected, state, seen)?;
                output.forward(backend, workspace, seen, Activation::Identity, out)
            }
        }
    }
}

/// The mean of everything so far (Zhang, Xiong and Su 2018), through layers, as a rule `y = W_2 f(W_1 mean)`, and gates,
/// `σ(W_i x) ⊙ x + σ(W_f y) ⊙ y`; those that are stored.
#[derive(Debug)]
pub(super) struct Average<B: Backend> {
    layers: Vec<(Linear<B>, Activation)>,
    /// Those of the input and of the mean.
    gates: Option<[Linear<B>; 2]>,
}

impl<B: Backend> Average<B> {
    fn load(loader: &Loader<'_, B>, prefix: &str, activation: Activation) -> Result<Self> {
        let width = loader.spec.width;
        let shape = |layer: usize| loader.parameters.shape(&format!("{prefix}.fc{layer}.weight"));
        let mut layers = Vec::new();
        let mut inputs = width;
        for layer in (1..).take_while(|&layer| shape(layer).is_some()) {
            let outputs = shape(layer).and_then(|shape| shape.first().copied()).unwrap_or(width);
            // The layer that brings it back to the model's width is followed by nothing.
            let activation = if inputs != width && outputs == width { Activation::Identity } else { activation };
            layers.push((loader.linear(&format!("{prefix}.fc{layer}"), inputs, outputs)?, activation));
            inputs = outputs;
        }
        let gate = |name: &str| loader.linear(&format!("{prefix}.{name}"), width, width);
        let has_gates = loader.parameters.contains(&format!("{prefix}.input_gate.weight"));
        let gates = || Ok([gate("input_gate")?, gate("forget_gate")?]);
        Ok(Self { layers, gates: has_gates.then(gates).transpose()? })
    }

    /// `count` is that of the steps, this one included.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn forward(
        &self,
        backend: &B,
        workspace: &mut Workspace,
        x: &B::Rows,
        count: usize,
        sum: &mut B::Rows,
        [inner, other, gate]: [&mut B::Rows; 3],
        out: &mut B::Rows,
    ) -> Result<()> {
        backend.running_mean(x, count, sum, out)?;
        for (layer, activation) in &self.layers {
            layer.forward(backend, workspace, out, *activation, inner)?;
            std::mem::swap(inner, out);
        }
        let Some([of_input, of_mean]) = &self.gates else { return Ok(()) };
        of_mean.forward(backend, workspace, out, Activation::Sigmoid, gate)?;
        backend.multiply(out, gate)?;
        of_input.forward(backend, workspace, x, Activation::Sigmoid, other)?;
        backend.multiply(other, x)?;
        backend.add(out, other)
    }
}

/// One vector a row for each layer of a decoder without self-attention.
#[derive(Debug)]
pub(super) struct States<B: Backend> {
    /// Empty where there is self-attention.
    layers: Vec<B::Rows>,
    /// Whether there was a step, so that they have rows.
    has_rows: bool,
    spare: B::Rows,
}

impl<B: Backend> States<B> {
    /// For a decoder of so many layers that keep such a vector.
    pub(super) fn new(layers: usize) -> Self {
        let layers = (0..layers).map(|_| B::Rows::default()).collect();
        Self { layers, has_rows: false, spare: B::Rows::default() }
    }

    /// The state of a layer, which it is about to change.
    pub(super) fn of(&mut self, layer: usize) -> &mut B::Rows {
        self.has_rows = true;
        &mut self.layers[layer]
    }

    /// Keeps the given rows in the given order.
    pub(super) fn select(&mut self, backend: &B, rows: &[usize]) -> Result<()> {
        if !self.has_rows {
            return Ok(());
        }
        for state in &mut self.layers {
            backend.gather(state, rows, &mut self.spare)?;
            std::mem::swap(state, &mut self.spare);
        }
        Ok(())
    }
}
