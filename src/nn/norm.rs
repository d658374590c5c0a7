//! Layer normalisation.

use crate::Result;
use crate::checkpoint::Weights;
use crate::kernels::{add_layer_norm, layer_norm};

/// Layer normalisation with PyTorch's default epsilon (Ba et al. 2016).
#[derive(Debug)]
pub struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

const EPSILON: f32 = 1e-5;

impl LayerNorm {
    /// Reads `PREFIX.weight` and `PREFIX.bias`, both `[width]`.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(weights: &Weights, prefix: &str, width: usize) -> Result<Self> {
        Ok(Self {
            weight: weights.tensor(&format!("{prefix}.weight"), &[width])?,
            bias: weights.tensor(&format!("{prefix}.bias"), &[width])?,
        })
    }

    /// Normalises each row of `x` `[rows, width]` in place.
    pub fn forward(&self, x: &mut [f32]) {
        layer_norm(x, &self.weight, &self.bias, EPSILON);
    }

    /// `x = norm(x + residual)`, both `[rows, width]`.
    pub fn forward_residual(&self, x: &mut [f32], residual: &[f32]) {
        add_layer_norm(x, residual, &self.weight, &self.bias, EPSILON);
    }
}
