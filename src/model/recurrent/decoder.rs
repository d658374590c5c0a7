//! A step of the decoder.

use super::attention::{Attending, Standing};
use super::{Recurrent, draws, start};
use crate::Result;
use crate::compute::{Backend, Recorder, Workspace};
use crate::model::{Attention, Candidate, Decoder, Proposer, TopK};
use crate::nn::{CellScratch, CellState};
use crate::spec::recurrent::{Choice, Feed, Part, Query, Recurrent as Spec};

/// Generation in progress.
#[derive(Debug)]
pub(super) struct Generation<'m, B: Backend> {
    model: &'m Recurrent<B>,
    lengths: Vec<usize>,
    /// The sentence each row translates.
    sentences: Vec<usize>,
    spare_sentences: Vec<usize>,
    /// Tokens each row was fed.
    steps: usize,
    /// The state of each layer.
    states: Vec<CellState<B>>,
    attending: Vec<Attending<B>>,
    /// What each row's draws are made of, if attention is sampled.
    draws: Vec<u64>,
    spare_draws: Vec<u64>,
    /// α of each row in the last step, `[layers, heads, length]`, if recorded.
    attention: Vec<Vec<f32>>,
    is_recorded: bool,
    /// What is fed beside the next embedding, `[rows, feed]`.
    feed: B::Rows,
    /// The encoder's last states, `[sentences, memory width]`, and those of each row, if anybody reads them.
    summaries: Option<(B::Rows, B::Rows)>,
    step: Step<B>,
    /// What `select` writes to before swapping.
    spare: B::Rows,
    proposer: Proposer,
}

/// What a step computes.
#[derive(Debug)]
struct Step<B: Backend> {
    /// `E(y_{t-1})`, `[rows, embedding]`.
    embedded: B::Rows,
    /// `[E(y_{t-1}); feed]`.
    fed: B::Rows,
    /// The last context; before it, where the query is [`Query::Before`], the input of the layer that reads it.
    context: B::Rows,
    /// `[h; context]`, for a layer above.
    joined: B::Rows,
    /// What the first cell reads, behind a layer of its own.
    entered: B::Rows,
    gates: B::Rows,
    scratch: CellScratch<B>,
    /// The output of each layer that its input is added to.
    outputs: Vec<B::Rows>,
    parts: B::Rows,
    hidden: B::Rows,
    extra: B::Rows,
    /// Zeros, as many as there are rows.
    nothing: Vec<usize>,
}

impl<B: Backend> Step<B> {
    fn new(layers: usize) -> Self {
        Self {
            embedded: B::Rows::default(),
            fed: B::Rows::default(),
            context: B::Rows::default(),
            joined: B::Rows::default(),
            entered: B::Rows::default(),
            gates: B::Rows::default(),
            scratch: CellScratch::default(),
            outputs: (0..layers).map(|_| B::Rows::default()).collect(),
            parts: B::Rows::default(),
            hidden: B::Rows::default(),
            extra: B::Rows::default(),
            nothing: Vec::new(),
        }
    }

    /// What is above a layer: its state, or the sum of that and its input.
    fn output<'a>(&'a self, spec: &Spec, states: &'a [CellState<B>], layer: usize) -> &'a B::Rows {
        if spec.is_residual(layer) { &self.outputs[layer] } else { &states[layer].hidden }
    }
}

impl<'m, B: Backend> Generation<'m, B> {
    /// Encodes `sources` and stands before the first step, with one row for each.
    pub(super) fn start(
        model: &'m Recurrent<B>,
        sources: &[&[u32]],
        is_recorded: bool,
        workspace: &mut Workspace,
    ) -> Result<Self> {
        let Recurrent { backend, spec, .. } = model;
        let mut encoded = model.encoder.encode(backend, sources, workspace)?;
        let lengths: Vec<usize> = sources.iter().map(|source| source.len()).collect();
        let states = model.bridge.start(backend, workspace, spec, &encoded, &lengths)?;
        let summaries = match spec.reads_summary() {
            false => None,
            true => {
                let (mut all, mut each) = (B::Rows::default(), B::Rows::default());
                start::last(backend, spec, &encoded, spec.encoder.layers - 1, false, false, &mut all)?;
                backend.copy(&all, &mut each)?;
                Some((all, each))
            }
        };
        let count = model.attentions.len();
        let attending =
            model.attentions.iter().enumerate().map(|(layer, attention)| {
                attention.begin(backend, workspace, &mut encoded, &lengths, layer + 1 == count)
            });
        let attending = attending.collect::<Result<_>>()?;
        let draws = match spec.attention.map(|attention| attention.choice) {
            Some(Choice::Sampled { seed }) => sources.iter().map(|source| draws::of_sentence(seed, source)).collect(),
            _ => Vec::new(),
        };
        let is_recorded = is_recorded && count > 0;
        let feed = match spec.feed {
            Feed::Context | Feed::Attentional | Feed::State => {
                let width = spec.feed_width();
                backend.rows(&vec![0.0; sources.len() * width], width)?
            }
            Feed::Nothing | Feed::Summary => B::Rows::default(),
        };
        Ok(Self {
            model,
            sentences: (0..sources.len()).collect(),
            spare_sentences: Vec::new(),
            steps: 0,
            states,
            attending,
            draws,
            spare_draws: Vec::new(),
            attention: vec![Vec::new(); if is_recorded { sources.len() } else { 0 }],
            is_recorded,
            feed,
            summaries,
            step: Step::new(spec.decoder.layers),
            spare: B::Rows::default(),
            proposer: Proposer::default(),
            lengths,
        })
    }

    /// The attention of a layer, and what its query is: the context of every row into `step.context`, behind what the layer reads
    /// if that is to read it, too.
    fn attend(&mut self, workspace: &mut Workspace, layer: usize, place: Query) -> Result<()> {
        let Self { model, attending, states, step, attention, .. } = self;
        let Recurrent { backend, spec, attentions, .. } = model;
        let index = if attentions.len() > 1 { layer } else { 0 };
        let is_first = index == 0;
        let mut record = |row: usize, weights: &[f32]| {
            if is_first {
                attention[row].clear();
            }
            attention[row].extend_from_slice(weights);
        };
        let record = self.is_recorded.then_some(&mut record as Recorder<'_>);
        let standing = Standing {
            sentences: &self.sentences,
            lengths: &self.lengths,
            step: self.steps,
            draws: &self.draws,
            layer: index,
        };
        let mut context = std::mem::take(&mut step.context);
        let query = match place {
            Query::Before if attentions.len() == 1 => &states[states.len() - 1].hidden,
            Query::Before | Query::BetweenCells => &states[layer].hidden,
            Query::After | Query::BetweenLayers => step.output(spec, states, layer),
        };
        let below = match (place, layer) {
            (Query::Before, 0) if spec.feed != Feed::Nothing => {
                Some((&step.fed, spec.target_embedding + spec.feed_width()))
            }
            (Query::Before, 0) => Some((&step.embedded, spec.target_embedding)),
            (Query::Before, _) => Some((step.output(spec, states, layer - 1), spec.decoder.hidden)),
            _ => None,
        };
        let (own, of_layer) = (&mut attending[index], &attentions[index]);
        of_layer.attend(backend, workspace, own, standing, query, &step.embedded, below, &mut context, record)?;
        step.context = context;
        Ok(())
    }

    /// The first cell of a layer over what it reads.
    fn enter(&mut self, workspace: &mut Workspace, layer: usize, place: Option<Query>) -> Result<()> {
        let Self { model, states, step, .. } = self;
        let Recurrent { backend, spec, .. } = model;
        let cell = &model.layers[layer].first;
        let (lower, upper) = states.split_at_mut(layer);
        let Step { embedded, fed, context, joined, entered, gates, scratch, outputs, .. } = step;
        let below = match layer {
            0 if spec.feed != Feed::Nothing => &*fed,
            0 => &*embedded,
            _ if spec.is_residual(layer - 1) => &outputs[layer - 1],
            _ => &lower[layer - 1].hidden,
        };
        let mut x = below;
        if place == Some(Query::Before) && (layer == 0 || spec.has_every_attention()) {
            x = context;
        } else if layer > 0 && spec.reads_context_of_below() {
            backend.concat(&[(below, 0..spec.decoder.hidden), (&*context, 0..spec.context())], joined)?;
            x = joined;
        }
        if let (0, Some((linear, activation))) = (layer, &model.input) {
            match linear {
                Some(linear) => linear.forward(backend, workspace, x, *activation, entered)?,
                None => {
                    backend.copy(x, entered)?;
                    backend.activate(*activation, entered)?;
                }
            }
            x = entered;
        }
        cell.project(backend, workspace, x, gates)?;
        cell.step(backend, workspace, gates, &mut upper[0], scratch)
    }

    /// The other cells of a layer, and its residual.
    fn leave(&mut self, workspace: &mut Workspace, layer: usize) -> Result<()> {
        let Self { model, states, step, .. } = self;
        let Recurrent { backend, spec, .. } = model;
        let Step { embedded, context, entered, gates, scratch, outputs, nothing, .. } = step;
        let (lower, upper) = states.split_at_mut(layer);
        let (cells, state) = (&model.layers[layer], &mut upper[0]);
        if let Some(second) = &cells.second {
            second.project(backend, workspace, context, gates)?;
            second.step(backend, workspace, gates, state, scratch)?;
        }
        for transition in &cells.transitions {
            nothing.resize(self.sentences.len(), 0);
            transition.project_nothing(backend, nothing, gates)?;
            transition.step(backend, workspace, gates, state, scratch)?;
        }
        if !spec.is_residual(layer) {
            return Ok(());
        }
        let (below, above) = outputs.split_at_mut(layer);
        backend.copy(&state.hidden, &mut above[0])?;
        let input = match layer {
            0 if model.input.is_some() => &*entered,
            0 => &*embedded,
            _ if spec.is_residual(layer - 1) => &below[layer - 1],
            _ => &lower[layer - 1].hidden,
        };
        backend.add(&mut above[0], input)
    }

    /// The output's parts put together, and the hidden layer over them, if there is one.
    fn gather_parts(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Self { model, states, step, summaries, .. } = self;
        let Recurrent { backend, spec, output, .. } = model;
        let mut parts = std::mem::take(&mut step.parts);
        let top = step.output(spec, states, states.len() - 1);
        let first = spec.columns_before_context();
        let part = |part: Part| match (part, &summaries) {
            (Part::State, _) => (top, 0..spec.decoder.hidden),
            (Part::Context, _) => (&step.context, first..first + spec.context()),
            (Part::Summary, Some((_, summary))) => (summary, 0..spec.memory()),
            (Part::Embedding | Part::Summary, _) => (&step.embedded, 0..spec.target_embedding),
        };
        // At most one of each part.
        let mut list = [part(Part::State), part(Part::State), part(Part::State), part(Part::State)];
        let count = spec.output.parts.len();
        list.iter_mut().zip(&spec.output.parts).for_each(|(place, &named)| *place = part(named));
        backend.concat(&list[..count], &mut parts)?;
        step.parts = parts;
        output.hidden(backend, workspace, &step.parts, &mut step.hidden)?;
        Ok(())
    }

    /// What the output matrix reads.
    fn gather_features(&mut self, workspace: &mut Workspace) -> Result<()> {
        if self.model.spec.feed != Feed::Attentional {
            self.gather_parts(workspace)?;
        }
        let Self { model, step, .. } = self;
        let before = if model.spec.output.hidden.is_some() { &step.hidden } else { &step.parts };
        model.output.extra(&model.backend, workspace, before, &mut step.extra)?;
        Ok(())
    }

    fn features(&self) -> &B::Rows {
        let output = &self.model.spec.output;
        match (output.extra, output.hidden) {
            (Some(_), _) => &self.step.extra,
            (None, Some(_)) => &self.step.hidden,
            (None, None) => &self.step.parts,
        }
    }
}

impl<B: Backend> Decoder for Generation<'_, B> {
    fn rows(&self) -> usize {
        self.sentences.len()
    }

    fn step(&mut self, tokens: &[u32], workspace: &mut Workspace) -> Result<()> {
        let model = self.model;
        let Recurrent { backend, spec, .. } = model;
        let embedded = &mut self.step.embedded;
        match spec.starts_from_zero && self.steps == 0 {
            true => model.target_embedding.zeros(backend, tokens, &mut |_, _| {}, embedded)?,
            false => model.target_embedding.look_up(backend, tokens, &mut |_, _| {}, embedded)?,
        }
        self.draws.iter_mut().zip(tokens).for_each(|(draws, &token)| *draws = draws::after(*draws, token));
        if spec.feed != Feed::Nothing {
            let Self { step: Step { embedded, fed, .. }, feed, summaries, .. } = self;
            let feed = match summaries {
                Some((_, summary)) if spec.feed == Feed::Summary => &*summary,
                _ => &*feed,
            };
            backend.concat(&[(&*embedded, 0..spec.target_embedding), (feed, 0..spec.feed_width())], fed)?;
        }
        let layers = model.layers.len();
        let place = spec.attention.map(|attention| attention.query_place);
        let every = spec.has_every_attention();
        for layer in 0..layers {
            if place == Some(Query::Before) && (layer == 0 || every) {
                self.attend(workspace, layer, Query::Before)?;
            }
            self.enter(workspace, layer, place)?;
            if place == Some(Query::BetweenCells) && (layer == 0 || every) {
                self.attend(workspace, layer, Query::BetweenCells)?;
            }
            self.leave(workspace, layer)?;
            match place {
                Some(Query::After) if layer + 1 == layers || every => self.attend(workspace, layer, Query::After)?,
                Some(Query::BetweenLayers) if layer == 0 => self.attend(workspace, layer, Query::BetweenLayers)?,
                _ => {}
            }
        }
        self.steps += 1;
        match spec.feed {
            Feed::Context => {
                let first = spec.columns_before_context();
                backend.concat(&[(&self.step.context, first..first + spec.context())], &mut self.feed)
            }
            Feed::Attentional => {
                self.gather_parts(workspace)?;
                backend.copy(&self.step.hidden, &mut self.feed)
            }
            Feed::State => backend.copy(self.step.output(spec, &self.states, layers - 1), &mut self.feed),
            Feed::Nothing | Feed::Summary => Ok(()),
        }
    }

    fn logits(&mut self, logits: &mut Vec<f32>, workspace: &mut Workspace) -> Result<()> {
        self.gather_features(workspace)?;
        self.model.output.last.logits(&self.model.backend, workspace, self.features(), logits)
    }

    fn top_k(&mut self, request: TopK<'_>, candidates: &mut Vec<Candidate>, workspace: &mut Workspace) -> Result<()> {
        self.gather_features(workspace)?;
        let mut proposer = std::mem::take(&mut self.proposer);
        let Recurrent { backend, output, .. } = self.model;
        let proposed = proposer.top_k(backend, &output.last, self.features(), request, candidates, workspace);
        self.proposer = proposer;
        proposed
    }

    fn cross_attention(&self, row: usize) -> Option<&[f32]> {
        self.attention.get(row).map(Vec::as_slice)
    }

    fn self_attention(&self, _row: usize) -> Option<&[f32]> {
        None
    }

    fn encoder_attention(&self, _source: usize) -> Option<&Attention> {
        None
    }

    fn attention_shape(&self) -> (usize, usize) {
        self.model.spec.attention_shape()
    }

    fn select(&mut self, rows: &[usize]) -> Result<()> {
        let Self { model, states, feed, spare, .. } = self;
        let (backend, spec) = (&model.backend, &model.spec);
        for part in states.iter_mut().flat_map(CellState::parts_mut) {
            backend.gather(part, rows, spare)?;
            std::mem::swap(part, spare);
        }
        if matches!(spec.feed, Feed::Context | Feed::Attentional | Feed::State) {
            backend.gather(feed, rows, spare)?;
            std::mem::swap(feed, spare);
        }
        self.attending.iter_mut().for_each(|attending| attending.select(rows));
        self.spare_sentences.clear();
        self.spare_sentences.extend(rows.iter().map(|&row| self.sentences[row]));
        std::mem::swap(&mut self.sentences, &mut self.spare_sentences);
        if let Some((all, each)) = &mut self.summaries {
            backend.gather(all, &self.sentences, each)?;
        }
        if !self.draws.is_empty() {
            self.spare_draws.clear();
            self.spare_draws.extend(rows.iter().map(|&row| self.draws[row]));
            std::mem::swap(&mut self.draws, &mut self.spare_draws);
        }
        if self.is_recorded {
            self.attention.resize(rows.len(), Vec::new());
        }
        Ok(())
    }
}
