//! The state a decoder starts with, made of what the encoder ends with.

use super::encoder::Encoded;
use crate::Result;
use crate::checkpoint::Parameters;
use crate::compute::{Activation, Backend, Workspace};
use crate::nn::{CellState, Linear};
use crate::spec::recurrent::{BridgeForm, Cell, CellStart, Join, Recurrent, StartFrom};

/// From the encoder's last states to the decoder's first.
#[derive(Debug)]
pub(super) struct Bridge<B: Backend> {
    /// Of the state: one for all layers or one for each; none for a copy.
    state: Vec<Linear<B>>,
    /// Of an LSTM's cell state.
    cell: Vec<Linear<B>>,
}

impl<B: Backend> Bridge<B> {
    pub(super) fn load(spec: &Recurrent, parameters: &Parameters, backend: &B) -> Result<Self> {
        let Some(bridge) = spec.start.bridge.filter(|_| spec.start.from != StartFrom::Zero) else {
            return Ok(Self { state: Vec::new(), cell: Vec::new() });
        };
        let load = |prefix: &str| -> Result<Vec<Linear<B>>> {
            let linear =
                |prefix: &str, inputs, outputs| Linear::load(backend, parameters, prefix, inputs, outputs, spec.bias);
            let (inputs, outputs) = (spec.start_width(), spec.decoder.hidden);
            match bridge.form {
                BridgeForm::Shared => Ok(vec![linear(prefix, inputs, outputs)?]),
                BridgeForm::PerLayer => {
                    let layers = 0..spec.decoder.layers;
                    layers.map(|layer| linear(&format!("{prefix}_l{layer}"), inputs, outputs)).collect()
                }
                BridgeForm::Viewed => {
                    let row = spec.encoder.layers * spec.encoder.hidden;
                    Ok(vec![linear(prefix, row, row)?])
                }
            }
        };
        let has_cell = spec.decoder.cell == Cell::Lstm && spec.start.cell == CellStart::Own;
        Ok(Self { state: load("encoder.fc")?, cell: if has_cell { load("encoder.fc_cell")? } else { Vec::new() } })
    }

    /// The first state of every layer of the decoder, `[batch, decoder hidden]`.
    pub(super) fn start(
        &self,
        backend: &B,
        workspace: &mut Workspace,
        spec: &Recurrent,
        encoded: &Encoded<B>,
        lengths: &[usize],
    ) -> Result<Vec<CellState<B>>> {
        let layers = spec.decoder.layers;
        let zeros = || CellState::zeros(backend, spec.decoder.cell, lengths.len(), spec.decoder.hidden);
        if spec.start.from == StartFrom::Zero {
            return (0..layers).map(|_| zeros()).collect();
        }
        let states = self.of(backend, workspace, spec, &self.state, encoded, lengths, false)?;
        let mut cells = Vec::new();
        if spec.decoder.cell == Cell::Lstm && spec.start.cell == CellStart::Own {
            cells = self.of(backend, workspace, spec, &self.cell, encoded, lengths, true)?;
        }
        let mut cells = cells.into_iter();
        let state = |hidden: B::Rows| {
            let cell = match (spec.decoder.cell, spec.start.cell) {
                (Cell::Lstm, CellStart::Own) => cells.next(),
                (Cell::Lstm, CellStart::State) => {
                    let mut copy = B::Rows::default();
                    backend.copy(&hidden, &mut copy)?;
                    Some(copy)
                }
                (Cell::Lstm, CellStart::Zero) => zeros()?.cell,
                _ => None,
            };
            Ok(CellState { hidden, cell })
        };
        states.into_iter().map(state).collect()
    }

    /// For every layer of the decoder what the bridges make of the encoder's states, or of its cell states.
    #[allow(clippy::too_many_arguments)]
    fn of(
        &self,
        backend: &B,
        workspace: &mut Workspace,
        spec: &Recurrent,
        bridges: &[Linear<B>],
        encoded: &Encoded<B>,
        lengths: &[usize],
        cells: bool,
    ) -> Result<Vec<B::Rows>> {
        let activation = spec.start.bridge.map_or(Activation::Identity, |bridge| bridge.activation);
        if spec.start.bridge.is_some_and(|bridge| bridge.form == BridgeForm::Viewed) {
            return self.viewed(backend, workspace, spec, &bridges[0], activation, encoded, cells);
        }
        let layer = |layer: usize| {
            let mut from = B::Rows::default();
            match spec.start.from {
                StartFrom::Mean => backend.mean(&encoded.memory, lengths, &mut from)?,
                StartFrom::EachLayer => last(backend, spec, encoded, layer, cells, spec.start.forward_only, &mut from)?,
                _ => last(backend, spec, encoded, encoded.last.len() - 1, cells, spec.start.forward_only, &mut from)?,
            }
            let Some(bridge) = bridges.get(layer).or(bridges.first()) else { return Ok(from) };
            let mut made = B::Rows::default();
            bridge.forward(backend, workspace, &from, activation, &mut made)?;
            Ok(made)
        };
        (0..spec.decoder.layers).map(layer).collect()
    }

    /// [`BridgeForm::Viewed`].
    #[allow(clippy::too_many_arguments)]
    fn viewed(
        &self,
        backend: &B,
        workspace: &mut Workspace,
        spec: &Recurrent,
        bridge: &Linear<B>,
        activation: Activation,
        encoded: &Encoded<B>,
        cells: bool,
    ) -> Result<Vec<B::Rows>> {
        let hidden = spec.encoder.hidden;
        let states: Vec<_> = encoded
            .last
            .iter()
            .flat_map(|(ahead, back)| [Some(ahead), back.as_ref()])
            .flatten()
            .map(|state| (part(state, cells), 0..hidden))
            .collect();
        let (mut all, mut made) = (B::Rows::default(), B::Rows::default());
        backend.concat(&states, &mut all)?;
        // The same numbers in rows of another length.
        let rows = backend.rows(&backend.values(&all)?, spec.encoder.layers * hidden)?;
        bridge.forward(backend, workspace, &rows, activation, &mut made)?;
        let made = backend.rows(&backend.values(&made)?, states.len() * hidden)?;
        let width = spec.decoder.hidden;
        let layer = |layer: usize| {
            let mut own = B::Rows::default();
            backend.concat(&[(&made, layer * width..(layer + 1) * width)], &mut own)?;
            Ok(own)
        };
        (0..spec.decoder.layers).map(layer).collect()
    }
}

/// The state, or the cell state.
fn part<B: Backend>(state: &CellState<B>, cells: bool) -> &B::Rows {
    if cells { state.cell.as_ref().unwrap_or(&state.hidden) } else { &state.hidden }
}

/// The last states of a layer of the encoder, its directions joined or only those of the forward one.
#[allow(clippy::too_many_arguments)]
pub(super) fn last<B: Backend>(
    backend: &B,
    spec: &Recurrent,
    encoded: &Encoded<B>,
    layer: usize,
    cells: bool,
    forward_only: bool,
    out: &mut B::Rows,
) -> Result<()> {
    let (ahead, back) = &encoded.last[layer];
    let (ahead, u) = (part(ahead, cells), 0..spec.encoder.hidden);
    match back.as_ref().filter(|_| !forward_only) {
        None => backend.copy(ahead, out),
        Some(back) if spec.join == Join::Concatenated => {
            backend.concat(&[(ahead, u.clone()), (part(back, cells), u)], out)
        }
        Some(back) => {
            backend.copy(ahead, out)?;
            backend.add(out, part(back, cells))
        }
    }
}
