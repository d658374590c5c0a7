//! Weight matrices packed once at load, multiplied many times.

use super::{Activation, Workspace};

/// The arithmetic a packed matrix is stored and multiplied in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats: the reference.
    #[default]
    F32,
    /// 8-bit weights with one scale per output, 8-bit activations with one scale per row, exact 32-bit sums.
    Int8,
}

/// A weight matrix `[outputs, inputs]` (the layout of a PyTorch `Linear`), packed for `y = x Wᵀ`.
///
/// Each output element is one sum over `inputs` in index order, whatever the number of rows or threads.
#[derive(Debug)]
pub struct PackedMatrix {
    outputs: usize,
    inputs: usize,
    rows: Vec<f32>,
}

impl PackedMatrix {
    /// Packs `weight`, row-major `[outputs, inputs]`.
    ///
    /// # Panics
    /// If `weight.len() != outputs * inputs`.
    pub fn pack(weight: &[f32], outputs: usize, inputs: usize, precision: Precision) -> Self {
        assert_eq!(weight.len(), outputs * inputs, "weight is not [outputs, inputs]");
        let _ = precision;
        Self { outputs, inputs, rows: weight.to_vec() }
    }

    /// Number of output features.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Number of input features.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Copies row `output` of the weight, `[inputs]`, into `into`: an embedding look-up in a tied matrix.
    pub fn row(&self, output: usize, into: &mut [f32]) {
        into.copy_from_slice(&self.rows[output * self.inputs..(output + 1) * self.inputs]);
    }

    /// `out[r, o] = activation(Σ_i x[r, i] · W[o, i] + bias[o])` for `x` `[rows, inputs]` and `out` `[rows, outputs]`.
    pub fn multiply(
        &self,
        workspace: &mut Workspace,
        x: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        out: &mut [f32],
    ) {
        let _ = workspace;
        for (x, out) in x.chunks_exact(self.inputs).zip(out.chunks_exact_mut(self.outputs)) {
            for (o, (out, weight)) in out.iter_mut().zip(self.rows.chunks_exact(self.inputs)).enumerate() {
                let sum: f32 = x.iter().zip(weight).map(|(x, w)| x * w).sum();
                *out = sum + bias.map_or(0.0, |bias| bias[o]);
            }
            activation.apply(out);
        }
    }
}
