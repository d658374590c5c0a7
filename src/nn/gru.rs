//! The gated recurrent unit.

use crate::Result;
use crate::checkpoint::Weights;
use crate::kernels::{Activation, Precision, Workspace, gru_gates};
use crate::nn::Linear;
use std::sync::Arc;

/// One direction of one GRU layer, in PyTorch's form (Cho et al. 2014, with the reset gate after the product):
///
/// ```text
/// r  = σ(W_ir x + b_ir + W_hr h + b_hr)
/// z  = σ(W_iz x + b_iz + W_hz h + b_hz)
/// n  = tanh(W_in x + b_in + r ⊙ (W_hn h + b_hn))
/// h' = (1 − z) ⊙ n + z ⊙ h
/// ```
///
/// The rows of the stored matrices `[3·hidden, ·]` are r, z, n.
#[derive(Debug)]
pub struct GruCell {
    input: Linear,
    hidden: Linear,
}

impl GruCell {
    /// Reads `PREFIX.weight_ih_l0SUFFIX` `[3·hidden, inputs]`, `weight_hh` `[3·hidden, hidden]` and both biases
    /// `[3·hidden]`; the suffix `_reverse` names the backward direction.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(
        weights: &Weights,
        prefix: &str,
        suffix: &str,
        inputs: usize,
        hidden: usize,
        precision: Precision,
    ) -> Result<Self> {
        let part = |kind: &str, inputs: usize| -> Result<Linear> {
            let weight = format!("{prefix}.weight_{kind}_l0{suffix}");
            let matrix = weights.pack(&weight, 3 * hidden, inputs, precision)?;
            let bias = weights.tensor(&format!("{prefix}.bias_{kind}_l0{suffix}"), &[3 * hidden])?;
            Ok(Linear::new(Arc::new(matrix), Some(bias)))
        };
        Ok(Self { input: part("ih", inputs)?, hidden: part("hh", hidden)? })
    }

    /// The input's share of the gates, `x` `[rows, inputs]` to `gates` `[rows, 3·hidden]`: it needs no state, so a whole
    /// sequence can be projected at once.
    pub fn project(&self, workspace: &mut Workspace, x: &[f32], gates: &mut Vec<f32>) {
        self.input.forward(workspace, x, Activation::Identity, gates);
    }

    /// Advances `state` `[rows, hidden]` in place, given the projected input `[rows, 3·hidden]`.
    pub fn step(&self, workspace: &mut Workspace, projected: &[f32], state: &mut [f32], scratch: &mut Vec<f32>) {
        self.hidden.forward(workspace, state, Activation::Identity, scratch);
        gru_gates(projected, scratch, state, self.hidden.matrix().inputs());
    }
}
