//! Fully connected layers.

use std::sync::{Arc, OnceLock};

use crate::Result;
use crate::checkpoint::Weights;
use crate::kernels::{Activation, LogSumExp, PackedMatrix, Precision, Scored, Screen, Workspace};

/// `y = activation(x Wᵀ + b)` with `W` `[outputs, inputs]`.
#[derive(Debug)]
pub struct Linear {
    matrix: Arc<PackedMatrix>,
    bias: Option<Vec<f32>>,
    /// Made when [`Linear::top_k`] first has a use for it.
    screen: OnceLock<Screen>,
}

/// Outputs from which on an `f32` layer is screened.
const WORTH_SCREENING: usize = 1024;

impl Linear {
    /// Reads `PREFIX.weight` `[outputs, inputs]` and `PREFIX.bias` `[outputs]`.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(weights: &Weights, prefix: &str, inputs: usize, outputs: usize, precision: Precision) -> Result<Self> {
        Self::load_fused(weights, &[prefix], inputs, outputs, precision)
    }

    /// Several layers over the same input as one product: their outputs follow one another, `[prefixes · outputs]`.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load_fused(
        weights: &Weights,
        prefixes: &[&str],
        inputs: usize,
        outputs: usize,
        precision: Precision,
    ) -> Result<Self> {
        let names: Vec<String> = prefixes.iter().map(|prefix| format!("{prefix}.weight")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let matrix = weights.pack_all(&names, outputs, inputs, precision)?;
        let mut bias = Vec::with_capacity(matrix.outputs());
        for prefix in prefixes {
            bias.extend_from_slice(&weights.tensor(&format!("{prefix}.bias"), &[outputs])?);
        }
        Ok(Self::new(Arc::new(matrix), Some(bias)))
    }

    /// A layer over a matrix that is already packed (and may be shared with an embedding).
    pub fn new(matrix: Arc<PackedMatrix>, bias: Option<Vec<f32>>) -> Self {
        Self { matrix, bias, screen: OnceLock::new() }
    }

    /// The weight.
    pub fn matrix(&self) -> &PackedMatrix {
        &self.matrix
    }

    /// The bias, `[outputs]`, if there is one.
    pub fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }

    /// `x` `[rows, inputs]` to `out`, resized to `[rows, outputs]`.
    pub fn forward(&self, workspace: &mut Workspace, x: &[f32], activation: Activation, out: &mut Vec<f32>) {
        out.resize(x.len() / self.matrix.inputs() * self.matrix.outputs(), 0.0);
        self.matrix.multiply(workspace, x, self.bias(), activation, out);
    }

    /// The `k` best outputs of each row of `x` `[rows, inputs]` into `best` `[rows, k]`, and what their scores are to be
    /// normalised by into `log_sum_exp`: see [`PackedMatrix::top_k`].
    #[allow(clippy::too_many_arguments)]
    pub fn top_k(
        &self,
        workspace: &mut Workspace,
        x: &[f32],
        k: usize,
        banned: &[u32],
        normalise: LogSumExp,
        best: &mut Vec<Scored>,
        log_sum_exp: &mut Vec<f32>,
    ) {
        let worth_screening = self.matrix.precision() == Precision::F32 && self.matrix.outputs() >= WORTH_SCREENING;
        if worth_screening && normalise == LogSumExp::None {
            log_sum_exp.clear();
            let screen = self.screen.get_or_init(|| Screen::new(&self.matrix));
            screen.top_k(&self.matrix, workspace, x, self.bias(), k, banned, best);
        } else {
            self.matrix.top_k(workspace, x, self.bias(), k, banned, normalise, best, log_sum_exp);
        }
    }
}
