//! Recurrent cells.

use std::sync::Arc;

use crate::Result;
use crate::checkpoint::Parameters;
use crate::compute::{Activation, Backend, Workspace};
use crate::nn::{Linear, load_matrix};
use crate::spec::recurrent::Cell;

/// One recurrent cell of one layer and direction; the formulas are at [`Cell`].
///
/// The input's share of a step needs no state, so that of a whole sequence can be computed at once.
#[derive(Debug)]
pub struct RecurrentCell<B: Backend> {
    kind: Cell,
    width: usize,
    input: Input<B>,
    /// `U` of all gates; of a [`Cell::GruResetBefore`] only r and z.
    hidden: Linear<B>,
    /// `U` of n, of a [`Cell::GruResetBefore`].
    candidate: Option<Linear<B>>,
}

/// The input's share of the gates.
#[derive(Debug)]
enum Input<B: Backend> {
    /// `W x + b`.
    Product(Linear<B>),
    /// `b`, one row: the cell reads no input.
    Constant(B::Rows),
}

/// The state of a cell, `[rows, hidden]`.
#[derive(Debug)]
pub struct CellState<B: Backend> {
    /// `h`.
    pub hidden: B::Rows,
    /// `c` of an LSTM.
    pub cell: Option<B::Rows>,
}

impl<B: Backend> Default for CellState<B> {
    fn default() -> Self {
        Self { hidden: B::Rows::default(), cell: None }
    }
}

impl<B: Backend> CellState<B> {
    /// Zeros, for cells of this kind.
    ///
    /// # Errors
    /// As [`Backend`].
    pub fn zeros(backend: &B, kind: Cell, rows: usize, width: usize) -> Result<Self> {
        let zeros = || backend.rows(&vec![0.0; rows * width], width);
        Ok(Self { hidden: zeros()?, cell: if kind == Cell::Lstm { Some(zeros()?) } else { None } })
    }

    /// The rows of `h` and, if there is one, of `c`.
    pub fn parts_mut(&mut self) -> impl Iterator<Item = &mut B::Rows> {
        [Some(&mut self.hidden), self.cell.as_mut()].into_iter().flatten()
    }
}

/// What a step of a cell computes between; kept by the caller so that a step allocates nothing.
#[derive(Debug)]
pub struct CellScratch<B: Backend> {
    recurrent: B::Rows,
    parts: [B::Rows; 3],
}

impl<B: Backend> Default for CellScratch<B> {
    fn default() -> Self {
        Self { recurrent: B::Rows::default(), parts: Default::default() }
    }
}

impl<B: Backend> RecurrentCell<B> {
    /// Reads `PREFIX.weight_ihSUFFIX` `[gates·width, inputs]` (if the cell has inputs), `weight_hh` `[gates·width, width]`,
    /// `bias_ih` and `bias_hh` `[gates·width]`, these two only where they are stored unless `bias` asks for them.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    #[allow(clippy::too_many_arguments)]
    pub fn load(
        backend: &B,
        parameters: &Parameters,
        kind: Cell,
        prefix: &str,
        suffix: &str,
        inputs: Option<usize>,
        width: usize,
        bias: bool,
    ) -> Result<Self> {
        let rows = kind.gates() * width;
        let bias = |side: &str| -> Result<Option<Vec<f32>>> {
            let name = format!("{prefix}.bias_{side}{suffix}");
            let wanted = bias || parameters.contains(&name);
            wanted.then(|| parameters.tensor(&name, &[rows])).transpose()
        };
        let vector = |values: Option<Vec<f32>>| values.map(|values| backend.vector(values)).transpose();
        let (of_input, of_hidden) = (bias("ih")?, bias("hh")?);
        let input = match inputs {
            Some(inputs) => {
                let matrix = load_matrix(backend, parameters, &[&format!("{prefix}.weight_ih{suffix}")], rows, inputs)?;
                Input::Product(Linear::new(Arc::new(matrix), vector(of_input)?))
            }
            None => Input::Constant(backend.rows(&of_input.unwrap_or_else(|| vec![0.0; rows]), rows)?),
        };
        let name = format!("{prefix}.weight_hh{suffix}");
        let (hidden, candidate) = if kind == Cell::GruResetBefore {
            let weight = parameters.tensor(&name, &[rows, width])?;
            let part = |gates: std::ops::Range<usize>| -> Result<Linear<B>> {
                let from = gates.start * width..gates.end * width;
                let values = &weight[from.start * width..from.end * width];
                let matrix = backend.matrix(from.len(), width, &mut |sink| {
                    sink(values);
                    Ok(())
                })?;
                Ok(Linear::new(Arc::new(matrix), vector(of_hidden.as_ref().map(|bias| bias[from].to_vec()))?))
            };
            (part(0..2)?, Some(part(2..3)?))
        } else {
            let matrix = load_matrix(backend, parameters, &[&name], rows, width)?;
            (Linear::new(Arc::new(matrix), vector(of_hidden)?), None)
        };
        Ok(Self { kind, width, input, hidden, candidate })
    }

    /// The input's share of the gates, `x` `[rows, inputs]` to `gates` `[rows, gates·width]`.
    ///
    /// # Errors
    /// As [`Backend`].
    ///
    /// # Panics
    /// If the cell reads no input.
    pub fn project(&self, backend: &B, workspace: &mut Workspace, x: &B::Rows, gates: &mut B::Rows) -> Result<()> {
        let Input::Product(input) = &self.input else { panic!("the cell reads no input") };
        input.forward(backend, workspace, x, Activation::Identity, gates)
    }

    /// The share of an input that there is none of, for as many rows as `rows` is long; its elements are zeros.
    ///
    /// # Errors
    /// As [`Backend`].
    ///
    /// # Panics
    /// If the cell reads an input.
    pub fn project_nothing(&self, backend: &B, rows: &[usize], gates: &mut B::Rows) -> Result<()> {
        let Input::Constant(constant) = &self.input else { panic!("the cell reads an input") };
        backend.gather(constant, rows, gates)
    }

    /// Advances `state` in place, given the projected input `[rows, gates·width]`.
    ///
    /// # Errors
    /// As [`Backend`].
    pub fn step(
        &self,
        backend: &B,
        workspace: &mut Workspace,
        projected: &B::Rows,
        state: &mut CellState<B>,
        scratch: &mut CellScratch<B>,
    ) -> Result<()> {
        let CellScratch { recurrent, parts } = scratch;
        let CellState { hidden, cell } = state;
        self.hidden.forward(backend, workspace, hidden, Activation::Identity, recurrent)?;
        match (self.kind, cell) {
            (Cell::Gru, _) => backend.gru_gates(projected, recurrent, hidden),
            (Cell::Lstm, Some(cell)) => backend.lstm_gates(projected, recurrent, hidden, cell),
            (Cell::Lstm, None) => unreachable!("the state of an LSTM has a cell"),
            (Cell::RnnTanh | Cell::RnnRelu, _) => {
                let activation = if self.kind == Cell::RnnTanh { Activation::Tanh } else { Activation::Relu };
                backend.copy(recurrent, hidden)?;
                backend.add(hidden, projected)?;
                backend.activate(activation, hidden)
            }
            (Cell::GruResetBefore, _) => {
                let (u, [reset, new, end]) = (self.width, parts);
                backend.concat(&[(projected, 0..2 * u)], reset)?;
                backend.add(reset, recurrent)?;
                // z as it is before its function: a simpler recurrent unit's gate, whose step is the end of this one's.
                backend.concat(&[(reset, u..2 * u)], end)?;
                std::mem::swap(recurrent, end);
                backend.concat(&[(reset, 0..u)], new)?;
                backend.activate(Activation::Sigmoid, new)?;
                backend.multiply(new, hidden)?;
                if let Some(candidate) = &self.candidate {
                    candidate.forward(backend, workspace, new, Activation::Identity, reset)?;
                }
                backend.concat(&[(projected, 2 * u..3 * u)], new)?;
                backend.add(new, reset)?;
                backend.activate(Activation::Tanh, new)?;
                backend.concat(&[(new, 0..u), (recurrent, 0..u)], end)?;
                backend.ssru(end, hidden, new)
            }
        }
    }
}
