//! The gated recurrent unit.

use crate::Result;
use crate::checkpoint::Parameters;
use crate::compute::{Activation, Backend, Workspace};
use crate::nn::Linear;

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
pub struct GruCell<B: Backend> {
    input: Linear<B>,
    hidden: Linear<B>,
}

impl<B: Backend> GruCell<B> {
    /// Reads `PREFIX.weight_ih_l0SUFFIX` `[3·hidden, inputs]`, `weight_hh` `[3·hidden, hidden]` and both biases
    /// `[3·hidden]`; the suffix `_reverse` names the backward direction.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(
        backend: &B,
        parameters: &Parameters,
        prefix: &str,
        suffix: &str,
        inputs: usize,
        hidden: usize,
    ) -> Result<Self> {
        let part = |kind: &str, inputs: usize| -> Result<Linear<B>> {
            let weight = format!("{prefix}.weight_{kind}_l0{suffix}");
            let matrix = super::load_matrix(backend, parameters, &[&weight], 3 * hidden, inputs)?;
            let bias = parameters.tensor(&format!("{prefix}.bias_{kind}_l0{suffix}"), &[3 * hidden])?;
            Ok(Linear::new(matrix.into(), Some(backend.vector(bias)?)))
        };
        Ok(Self { input: part("ih", inputs)?, hidden: part("hh", hidden)? })
    }

    /// The input's share of the gates, `x` `[rows, inputs]` to `gates` `[rows, 3·hidden]`: it needs no state, so a whole
    /// sequence can be projected at once.
    ///
    /// # Errors
    /// As [`Backend`].
    pub fn project(&self, backend: &B, workspace: &mut Workspace, x: &B::Rows, gates: &mut B::Rows) -> Result<()> {
        self.input.forward(backend, workspace, x, Activation::Identity, gates)
    }

    /// Advances `state` `[rows, hidden]` in place, given the projected input `[rows, 3·hidden]`.
    ///
    /// # Errors
    /// As [`Backend`].
    pub fn step(
        &self,
        backend: &B,
        workspace: &mut Workspace,
        projected: &B::Rows,
        state: &mut B::Rows,
        scratch: &mut B::Rows,
    ) -> Result<()> {
        self.hidden.forward(backend, workspace, state, Activation::Identity, scratch)?;
        backend.gru_gates(projected, scratch, state)
    }
}
