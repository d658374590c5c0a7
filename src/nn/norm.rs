//! Normalisation of rows.

use crate::Result;
use crate::checkpoint::Parameters;
use crate::compute::{Backend, NormKind};
use crate::spec;

/// Layer or root-mean-square normalisation; the formulas are at [`NormKind`].
#[derive(Debug)]
pub struct Norm<B: Backend> {
    kind: NormKind,
    epsilon: f32,
    weight: B::Vector,
    bias: B::Vector,
}

impl<B: Backend> Norm<B> {
    /// Reads `PREFIX.weight` and, but for [`NormKind::Rms`], `PREFIX.bias`, both `[width]`.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(backend: &B, parameters: &Parameters, prefix: &str, width: usize, spec: &spec::Norm) -> Result<Self> {
        let bias = match spec.kind {
            NormKind::Layer | NormKind::Deviation => parameters.tensor(&format!("{prefix}.bias"), &[width])?,
            NormKind::Rms => vec![0.0; width],
        };
        Ok(Self {
            kind: spec.kind,
            epsilon: spec.epsilon,
            weight: backend.vector(parameters.tensor(&format!("{prefix}.weight"), &[width])?)?,
            bias: backend.vector(bias)?,
        })
    }

    /// `x = norm(x + residual)`, both `[rows, width]`, or `norm(x)` without a residual.
    ///
    /// # Errors
    /// As [`Backend`].
    pub fn forward(&self, backend: &B, x: &mut B::Rows, residual: Option<&B::Rows>) -> Result<()> {
        backend.norm(self.kind, self.epsilon, &self.weight, &self.bias, residual, x)
    }
}
