//! The encoder: recurrent layers over whole sentences, one way or both.

use std::cmp::Reverse;
use std::ops::Range;

use super::load_embedding;
use crate::Result;
use crate::checkpoint::Parameters;
use crate::compute::{Backend, Workspace, spans};
use crate::nn::{CellScratch, CellState, Embedding, RecurrentCell};
use crate::spec::recurrent::{Cell, Directions, Join, Layers, Recurrent};

/// The encoder of a recurrent network.
#[derive(Debug)]
pub(super) struct Encoder<B: Backend> {
    embedding: Embedding<B>,
    /// For each layer the cells that read forward and, if it reads both ways, backward.
    layers: Vec<(Chain<B>, Option<Chain<B>>)>,
    spec: Layers,
    directions: Directions,
    join: Join,
}

/// The cells of one layer and direction: the first reads the input, the others nothing but the state.
#[derive(Debug)]
pub(super) struct Chain<B: Backend> {
    first: RecurrentCell<B>,
    transitions: Vec<RecurrentCell<B>>,
}

/// What the encoder computes for a batch of sentences laid end to end.
pub(super) struct Encoded<B: Backend> {
    /// `H`, `[Σ source lengths, memory width]`.
    pub memory: B::Rows,
    /// The last state of each layer and direction, `[batch, hidden]`.
    pub last: Vec<(CellState<B>, Option<CellState<B>>)>,
}

/// How the sentences of a batch lie.
struct Batch {
    lengths: Vec<usize>,
    spans: Vec<Range<usize>>,
    /// Longest first, so that the sentences still running at any step are a prefix of the state's rows.
    order: Vec<usize>,
    tokens: usize,
}

/// Where a pass writes: its columns of rows so wide.
struct Target<'a, B: Backend> {
    column: usize,
    width: usize,
    rows: &'a mut B::Rows,
}

impl<B: Backend> Encoder<B> {
    pub(super) fn load(spec: &Recurrent, parameters: &Parameters, backend: &B) -> Result<Self> {
        let name = "encoder.embedding.weight";
        let table = load_embedding(backend, parameters, name, spec.source_vocabulary, spec.source_embedding)?;
        let Layers { layers, hidden, .. } = spec.encoder;
        let mut inputs = spec.source_embedding;
        // The towers of one layer meet at once.
        let directions = match spec.directions {
            Directions::Towers if layers == 1 => Directions::EachLayer,
            directions => directions,
        };
        let chains = (0..layers).map(|layer| {
            let both = match directions {
                Directions::Forward => false,
                Directions::EachLayer | Directions::Towers => true,
                Directions::FirstLayer => layer == 0,
            };
            let chain = |direction: &str| Chain::load(spec, parameters, backend, layer, direction, inputs);
            let chains = (chain("")?, if both { Some(chain("_reverse")?) } else { None });
            inputs = if both && directions != Directions::Towers { spec.joined() } else { hidden };
            Ok(chains)
        });
        Ok(Self {
            embedding: Embedding::new(table, 1.0),
            layers: chains.collect::<Result<_>>()?,
            spec: spec.encoder,
            directions,
            join: spec.join,
        })
    }

    /// Whether the input of a layer is added to its output.
    fn is_residual(&self, layer: usize) -> bool {
        self.spec.residual_from.is_some_and(|from| layer >= from)
    }

    /// Runs the layers over `sources` laid end to end. The backward direction starts at each sentence's own last token.
    pub(super) fn encode(&self, backend: &B, sources: &[&[u32]], workspace: &mut Workspace) -> Result<Encoded<B>> {
        let tokens: Vec<u32> = sources.iter().flat_map(|source| source.iter().copied()).collect();
        let mut embedded = B::Rows::default();
        self.embedding.look_up(backend, &tokens, &mut |_, _| {}, &mut embedded)?;
        let lengths: Vec<usize> = sources.iter().map(|source| source.len()).collect();
        let mut order: Vec<usize> = (0..sources.len()).collect();
        order.sort_by_key(|&sentence| Reverse(lengths[sentence]));
        let batch = Batch { spans: spans(&lengths).collect(), lengths, order, tokens: tokens.len() };
        let mut pass = Pass { encoder: self, backend, workspace, batch };
        if self.directions == Directions::Towers { pass.towers(embedded) } else { pass.layers(embedded) }
    }
}

/// The encoder at work on one batch.
struct Pass<'a, B: Backend> {
    encoder: &'a Encoder<B>,
    backend: &'a B,
    workspace: &'a mut Workspace,
    batch: Batch,
}

impl<B: Backend> Pass<'_, B> {
    /// Each layer reads what the one below made of its directions.
    fn layers(&mut self, mut input: B::Rows) -> Result<Encoded<B>> {
        let (backend, u) = (self.backend, self.encoder.spec.hidden);
        let mut last = Vec::new();
        for (layer, (forward, backward)) in self.encoder.layers.iter().enumerate() {
            let mut out = B::Rows::default();
            let both = backward.is_some() && self.encoder.join == Join::Concatenated;
            let width = if both { 2 * u } else { u };
            let ahead = self.run(forward, false, &input, Target { column: 0, width, rows: &mut out })?;
            let back = match backward {
                None => None,
                Some(backward) if both => {
                    Some(self.run(backward, true, &input, Target { column: u, width, rows: &mut out })?)
                }
                Some(backward) => {
                    let mut other = B::Rows::default();
                    let state = self.run(backward, true, &input, Target { column: 0, width, rows: &mut other })?;
                    backend.add(&mut out, &other)?;
                    Some(state)
                }
            };
            if self.encoder.is_residual(layer) {
                backend.add(&mut out, &input)?;
            }
            last.push((ahead, back));
            input = out;
        }
        Ok(Encoded { memory: input, last })
    }

    /// Each direction reads what itself made in the layer below, and they meet at the top.
    fn towers(&mut self, embedded: B::Rows) -> Result<Encoded<B>> {
        let (backend, u) = (self.backend, self.encoder.spec.hidden);
        let mut copy = B::Rows::default();
        backend.copy(&embedded, &mut copy)?;
        let mut inputs = [embedded, copy];
        let mut last = Vec::new();
        for (layer, (forward, backward)) in self.encoder.layers.iter().enumerate() {
            let mut states = [None, None];
            for (at, chain) in [Some(forward), backward.as_ref()].into_iter().enumerate() {
                let Some(chain) = chain else { continue };
                let mut out = B::Rows::default();
                let state = self.run(chain, at == 1, &inputs[at], Target { column: 0, width: u, rows: &mut out })?;
                if self.encoder.is_residual(layer) {
                    backend.add(&mut out, &inputs[at])?;
                }
                (inputs[at], states[at]) = (out, Some(state));
            }
            let [ahead, back] = states;
            last.extend(ahead.map(|ahead| (ahead, back)));
        }
        let [mut ahead, back] = inputs;
        if self.encoder.join == Join::Summed {
            backend.add(&mut ahead, &back)?;
            return Ok(Encoded { memory: ahead, last });
        }
        let mut memory = B::Rows::default();
        backend.concat(&[(&ahead, 0..u), (&back, 0..u)], &mut memory)?;
        Ok(Encoded { memory, last })
    }

    /// Runs one layer one way, and returns the state each sentence ends with.
    fn run(
        &mut self,
        chain: &Chain<B>,
        backwards: bool,
        input: &B::Rows,
        target: Target<'_, B>,
    ) -> Result<CellState<B>> {
        let (backend, workspace) = (self.backend, &mut *self.workspace);
        let Layers { cell: kind, hidden, .. } = self.encoder.spec;
        let Batch { lengths, spans, order, tokens } = &self.batch;
        let longest = order.first().map_or(0, |&sentence| lengths[sentence]);
        let (mut gates, mut projected, mut ended) = Default::default();
        let mut scratch = CellScratch::default();
        let (mut rows, mut nothing) = (Vec::new(), Vec::new());
        chain.first.project(backend, workspace, input, &mut gates)?;
        let mut state = CellState::zeros(backend, kind, order.len(), hidden)?;
        let mut last = CellState { hidden: B::Rows::default(), cell: state.cell.as_ref().map(|_| B::Rows::default()) };
        let shape = (order.len(), hidden);
        let mut running = order.len();
        for step in 0..longest {
            let still = order.partition_point(|&sentence| lengths[sentence] > step);
            if still < running {
                // The state of a sentence that has ended is its last.
                let ends: Vec<usize> = (still..running).collect();
                for (state, last) in state.parts_mut().zip(last.parts_mut()) {
                    backend.gather(state, &ends, &mut ended)?;
                    backend.scatter(&ended, &order[still..running], 0, shape, last)?;
                    backend.truncate(state, still)?;
                }
                running = still;
            }
            rows.clear();
            rows.extend(
                order[..running].iter().map(|&sentence| {
                    spans[sentence].start + if backwards { lengths[sentence] - 1 - step } else { step }
                }),
            );
            backend.gather(&gates, &rows, &mut projected)?;
            chain.first.step(backend, workspace, &projected, &mut state, &mut scratch)?;
            nothing.resize(running, 0);
            for transition in &chain.transitions {
                transition.project_nothing(backend, &nothing, &mut projected)?;
                transition.step(backend, workspace, &projected, &mut state, &mut scratch)?;
            }
            backend.scatter(&state.hidden, &rows, target.column, (*tokens, target.width), target.rows)?;
        }
        for (state, last) in state.parts_mut().zip(last.parts_mut()) {
            backend.scatter(state, &order[..running], 0, shape, last)?;
        }
        Ok(last)
    }
}

impl<B: Backend> Chain<B> {
    fn load(
        spec: &Recurrent,
        parameters: &Parameters,
        backend: &B,
        layer: usize,
        direction: &str,
        inputs: usize,
    ) -> Result<Self> {
        let Layers { cell, hidden, transitions, .. } = spec.encoder;
        let load = |suffix: &str, inputs: Option<usize>| {
            let suffix = format!("_l{layer}{suffix}{direction}");
            load_cell(spec, parameters, backend, cell, "encoder.rnn", &suffix, inputs, hidden)
        };
        let transitions = (2..2 + transitions).map(|number| load(&format!("_cell{number}"), None));
        Ok(Self { first: load("", Some(inputs))?, transitions: transitions.collect::<Result<_>>()? })
    }
}

/// A cell whose biases are read as the spec says.
#[allow(clippy::too_many_arguments)]
pub(super) fn load_cell<B: Backend>(
    spec: &Recurrent,
    parameters: &Parameters,
    backend: &B,
    kind: Cell,
    prefix: &str,
    suffix: &str,
    inputs: Option<usize>,
    width: usize,
) -> Result<RecurrentCell<B>> {
    RecurrentCell::load(backend, parameters, kind, prefix, suffix, inputs, width, spec.bias)
}
