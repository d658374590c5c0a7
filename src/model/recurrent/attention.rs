//! Attention over the encoder's memory: what is compared, what is in reach, and what is made of the probabilities.
//!
//! Soft and global attention by a dot product or, with one head, an additive score is one operation of the backend. For all
//! others the scores come to the host, where reach and choice make weights of them, and the backend sums the values.

use super::draws;
use super::encoder::Encoded;
use super::weighing::{Window, choose, probabilities};
use crate::Result;
use crate::checkpoint::Parameters;
use crate::compute::{self, Activation, Backend, Comparison, Coverage, Recorder, Relative, Workspace};
use crate::nn::Linear;
use crate::spec::recurrent::{self as spec, Choice, Reach, Recurrent, Scale, Score};

/// One attention of a recurrent network.
#[derive(Debug)]
pub(super) struct Attention<B: Backend> {
    spec: spec::Attention,
    query: Option<Linear<B>>,
    key: Option<Linear<B>>,
    value: Option<Linear<B>>,
    output: Option<Linear<B>>,
    /// `v` of an additive score.
    energy: Option<B::Vector>,
    /// What a unit of coverage adds.
    coverage: Option<B::Vector>,
    /// `W` of a location score.
    location: Option<Linear<B>>,
    /// From the state to the centre of a window, as a share of the source: both layers.
    centre: Option<[Linear<B>; 2]>,
    /// What products or cosines are multiplied by.
    scale: f32,
    /// Widths of the memory, the state and the embedding.
    widths: (usize, usize, usize),
}

/// How the backend computes an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `attend` over a memory of keys and values of one width.
    Dot,
    /// `attend` with an additive score.
    Additive,
    /// Scores, weights made of them here, and a sum.
    Parts,
}

/// What one attention of a decoder keeps while it generates.
#[derive(Debug)]
pub(super) struct Attending<B: Backend> {
    memory: B::Memory,
    /// Attention so far of each row, if it counts.
    covered: Vec<Vec<f32>>,
    query: B::Rows,
    joined: B::Rows,
    seen: B::Rows,
    context: B::Rows,
    weights: Vec<f32>,
    scores: Vec<f32>,
    centres: Vec<f32>,
    sums: Vec<f32>,
}

/// The rows of a decoder and where they stand.
#[derive(Clone, Copy)]
pub(super) struct Standing<'a> {
    /// The sentence of each row.
    pub sentences: &'a [usize],
    /// The length of each sentence.
    pub lengths: &'a [usize],
    /// How many tokens each row was fed before.
    pub step: usize,
    /// What each row's draws are made of.
    pub draws: &'a [u64],
    /// Which attention of the network this is.
    pub layer: usize,
}

impl<B: Backend> Attention<B> {
    /// The attention whose tensors begin with `prefix`, a dot included.
    pub(super) fn load(
        spec: &Recurrent,
        attention: &spec::Attention,
        parameters: &Parameters,
        backend: &B,
        prefix: &str,
    ) -> Result<Self> {
        let (hidden, memory, width) = (spec.decoder.hidden, spec.memory(), attention.width);
        let bias = spec.bias;
        let linear = |name: &str, inputs: usize, outputs: usize| {
            Linear::load(backend, parameters, &format!("{prefix}{name}"), inputs, outputs, bias)
        };
        let both = format!("{prefix}attn_fc.weight");
        let is_one = parameters.contains(&both) || bias && !parameters.contains(&format!("{prefix}query.weight"));
        let (query, key) = if attention.query && attention.key && is_one {
            let bias = format!("{prefix}attn_fc.bias");
            let (query, key) = halves(backend, parameters, &both, &bias, (hidden, memory), width, spec.bias)?;
            (Some(query), Some(key))
        } else {
            let query = attention.query.then(|| linear("query", hidden, width)).transpose()?;
            (query, attention.key.then(|| linear("key", memory, width)).transpose()?)
        };
        let stored = |scale: Scale| match scale {
            Scale::Fixed(scale) => Ok(scale),
            Scale::Stored => Ok(parameters.tensor(&format!("{prefix}scale"), &[1])?[0]),
        };
        let (mut energy, mut scale, mut location) = (None, 1.0, None);
        match attention.score {
            Score::Dot { scale: factor } | Score::Cosine { scale: factor } => scale = stored(factor)?,
            Score::Additive { normalised } => {
                let mut v = parameters.tensor(&format!("{prefix}v_fc.weight"), &[1, width])?;
                if normalised {
                    let norm = v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt() as f32;
                    let factor = stored(Scale::Stored)? / norm;
                    v.iter_mut().for_each(|v| *v *= factor);
                }
                energy = Some(backend.vector(v)?);
            }
            Score::Location { positions, embedding, .. } => {
                let inputs = hidden + if embedding { spec.target_embedding } else { 0 };
                location = Some(linear("location", inputs, positions)?);
            }
        }
        let coverage = match attention.coverage {
            true => Some(backend.vector(parameters.tensor(&format!("{prefix}coverage.weight"), &[width, 1])?)?),
            false => None,
        };
        let centre = match attention.reach {
            Reach::LocalPredictive { .. } => {
                let name = format!("{prefix}position_fc.weight");
                let shape = parameters.shape(&name).ok_or_else(|| parameters.missing(&name))?;
                let inner = shape.first().copied().unwrap_or(0);
                Some([
                    linear("position_fc", hidden, inner)?,
                    Linear::load(backend, parameters, &format!("{prefix}position_v"), inner, 1, false)?,
                ])
            }
            _ => None,
        };
        let values = attention.value.unwrap_or(memory);
        Ok(Self {
            query,
            key,
            value: attention.value.map(|value| linear("value", memory, value)).transpose()?,
            output: attention.output.map(|output| linear("output", values, output)).transpose()?,
            energy,
            coverage,
            location,
            centre,
            scale,
            widths: (memory, hidden, spec.target_embedding),
            spec: *attention,
        })
    }

    /// How this attention is computed.
    fn form(&self) -> Form {
        let plain = self.spec.reach == Reach::Global && self.spec.choice == Choice::Soft && !self.spec.coverage;
        match self.spec.score {
            Score::Dot { .. } if plain && self.spec.width == self.spec.value.unwrap_or(self.widths.0) => Form::Dot,
            Score::Additive { .. } if plain && self.spec.heads == 1 => Form::Additive,
            _ => Form::Parts,
        }
    }

    /// Keys and values of the sentences; the memory is given away with the last attention that reads it.
    pub(super) fn begin(
        &self,
        backend: &B,
        workspace: &mut Workspace,
        encoded: &mut Encoded<B>,
        lengths: &[usize],
        is_last: bool,
    ) -> Result<Attending<B>> {
        let (mut keys, mut values) = (B::Rows::default(), B::Rows::default());
        match &self.key {
            Some(key) => key.forward(backend, workspace, &encoded.memory, Activation::Identity, &mut keys)?,
            None => backend.copy(&encoded.memory, &mut keys)?,
        }
        match &self.value {
            Some(value) => value.forward(backend, workspace, &encoded.memory, Activation::Identity, &mut values)?,
            None if is_last => std::mem::swap(&mut values, &mut encoded.memory),
            None => backend.copy(&encoded.memory, &mut values)?,
        }
        let memory = if self.form() == Form::Dot {
            let (heads, width) = (self.spec.heads, self.spec.width);
            let mut both = B::Rows::default();
            backend.concat(&[(&keys, 0..width), (&values, 0..width)], &mut both)?;
            backend.dot_memory(heads, width / heads, lengths, &both, true)?
        } else {
            backend.plain_memory(lengths, keys, values)?
        };
        let covered =
            if self.spec.coverage { lengths.iter().map(|&length| vec![0.0; length]).collect() } else { vec![] };
        Ok(Attending {
            memory,
            covered,
            query: B::Rows::default(),
            joined: B::Rows::default(),
            seen: B::Rows::default(),
            context: B::Rows::default(),
            weights: Vec::new(),
            scores: Vec::new(),
            centres: Vec::new(),
            sums: Vec::new(),
        })
    }

    /// The context of every row, behind `beside` if there is something to put before it, into `out`; its probabilities are
    /// handed to `record`.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn attend(
        &self,
        backend: &B,
        workspace: &mut Workspace,
        attending: &mut Attending<B>,
        standing: Standing<'_>,
        state: &B::Rows,
        embedded: &B::Rows,
        beside: Option<(&B::Rows, usize)>,
        out: &mut B::Rows,
        record: Option<Recorder<'_>>,
    ) -> Result<()> {
        let Some(output) = &self.output else {
            let beside = beside.map(|(beside, _)| beside);
            return self.see(backend, workspace, attending, standing, state, embedded, beside, out, record);
        };
        let mut seen = std::mem::take(&mut attending.seen);
        self.see(backend, workspace, attending, standing, state, embedded, None, &mut seen, record)?;
        let Attending { context, .. } = attending;
        match beside {
            None => output.forward(backend, workspace, &seen, Activation::Identity, out)?,
            Some((beside, width)) => {
                output.forward(backend, workspace, &seen, Activation::Identity, context)?;
                let columns = output.outputs(backend);
                backend.concat(&[(beside, 0..width), (&*context, 0..columns)], out)?;
            }
        }
        attending.seen = seen;
        Ok(())
    }

    /// What every row sees of the values.
    #[allow(clippy::too_many_arguments)]
    fn see(
        &self,
        backend: &B,
        workspace: &mut Workspace,
        attending: &mut Attending<B>,
        standing: Standing<'_>,
        state: &B::Rows,
        embedded: &B::Rows,
        beside: Option<&B::Rows>,
        out: &mut B::Rows,
        record: Option<Recorder<'_>>,
    ) -> Result<()> {
        if let Some(query) = &self.query {
            query.forward(backend, workspace, state, Activation::Identity, &mut attending.query)?;
        }
        let score = match (self.form(), &self.energy) {
            (Form::Additive, Some(energy)) => compute::Score::Additive { energy },
            (Form::Dot, _) => compute::Score::Dot { scale: self.scale, relative: Relative::None },
            _ => {
                self.weigh(backend, workspace, attending, standing, state, embedded, record)?;
                let Attending { memory, weights, .. } = attending;
                return backend.weigh(weights, self.spec.heads, memory, standing.sentences, beside, out);
            }
        };
        let Attending { memory, query, .. } = attending;
        let query = if self.query.is_some() { &*query } else { state };
        backend.attend(workspace, score, memory, standing.sentences, query, beside, out, record)
    }

    /// The weights of every row, `[heads, length]` one after the other: its scores within reach, made probabilities, and what
    /// is chosen by them.
    #[allow(clippy::too_many_arguments)]
    fn weigh(
        &self,
        backend: &B,
        workspace: &mut Workspace,
        attending: &mut Attending<B>,
        standing: Standing<'_>,
        state: &B::Rows,
        embedded: &B::Rows,
        mut record: Option<Recorder<'_>>,
    ) -> Result<()> {
        self.centres(backend, workspace, attending, standing, state)?;
        let columns = self.scores(backend, workspace, attending, standing, state, embedded)?;
        let Attending { weights, scores, centres, covered, .. } = attending;
        let heads = self.spec.heads;
        weights.clear();
        let mut first = 0;
        for (row, &sentence) in standing.sentences.iter().enumerate() {
            let length = standing.lengths[sentence];
            let window = Window::of(self.spec.reach, standing.step, length, centres.get(row).copied());
            let start = weights.len();
            for _ in 0..heads {
                let own = &mut scores[first..first + columns.unwrap_or(length)];
                first += own.len();
                probabilities(own, self.spec.score, window, length);
                // A sentence may be longer than there are scores for.
                weights.extend((0..length).map(|at| own.get(at).copied().unwrap_or(0.0)));
            }
            let own = &mut weights[start..];
            if let Some(record) = &mut record {
                record(row, own);
            }
            if let Some(covered) = covered.get_mut(row) {
                covered.iter_mut().zip(own.iter()).for_each(|(sum, weight)| *sum += weight);
            }
            let draw = |head: usize| draws::uniform(standing.draws[row], standing.layer, head);
            own.chunks_exact_mut(length)
                .enumerate()
                .for_each(|(head, own)| choose(self.spec.choice, own, &|| draw(head)));
        }
        Ok(())
    }

    /// Scores of every row and head into `attending.scores`: over the positions of its sentence, or over as many columns as is
    /// returned.
    fn scores(
        &self,
        backend: &B,
        workspace: &mut Workspace,
        attending: &mut Attending<B>,
        standing: Standing<'_>,
        state: &B::Rows,
        embedded: &B::Rows,
    ) -> Result<Option<usize>> {
        let Attending { memory, covered, query, joined, scores, sums, .. } = attending;
        if let Some(location) = &self.location {
            let (_, hidden, embedding) = self.widths;
            let state = match self.spec.score {
                Score::Location { embedding: true, .. } => {
                    backend.concat(&[(embedded, 0..embedding), (state, 0..hidden)], joined)?;
                    &*joined
                }
                _ => state,
            };
            location.logits(backend, workspace, state, scores)?;
            return Ok(Some(location.outputs(backend)));
        }
        let query = if self.query.is_some() { &*query } else { state };
        let comparison = match (self.spec.score, &self.energy) {
            (Score::Cosine { .. }, _) => Comparison::Cosine,
            (Score::Additive { .. }, Some(energy)) => {
                sums.clear();
                covered.iter().for_each(|covered| sums.extend_from_slice(covered));
                let coverage = self.coverage.as_ref().map(|weight| Coverage { weight, sums });
                Comparison::Additive { energy, coverage }
            }
            _ => Comparison::Dot,
        };
        backend.scores(comparison, self.spec.heads, memory, standing.sentences, query, scores)?;
        if self.scale != 1.0 {
            scores.iter_mut().for_each(|score| *score *= self.scale);
        }
        Ok(None)
    }

    /// The centre of every row's window, from 0 to its sentence's length, if the state says where it is.
    fn centres(
        &self,
        backend: &B,
        workspace: &mut Workspace,
        attending: &mut Attending<B>,
        standing: Standing<'_>,
        state: &B::Rows,
    ) -> Result<()> {
        let Some([inner, outer]) = &self.centre else { return Ok(()) };
        let Attending { joined, centres, .. } = attending;
        inner.forward(backend, workspace, state, Activation::Tanh, joined)?;
        outer.logits(backend, workspace, joined, centres)?;
        for (centre, &sentence) in centres.iter_mut().zip(standing.sentences) {
            *centre = standing.lengths[sentence] as f32 / (1.0 + (-*centre).exp());
        }
        Ok(())
    }
}

impl<B: Backend> Attending<B> {
    /// Keeps the given rows in the given order.
    pub(super) fn select(&mut self, rows: &[usize]) {
        if !self.covered.is_empty() {
            self.covered = rows.iter().map(|&row| self.covered[row].clone()).collect();
        }
    }
}

/// A matrix over `[query; memory]` as two layers: the first, with the bias, over the query, the second over the memory.
fn halves<B: Backend>(
    backend: &B,
    parameters: &Parameters,
    weight: &str,
    bias: &str,
    (query, memory): (usize, usize),
    width: usize,
    must: bool,
) -> Result<(Linear<B>, Linear<B>)> {
    let values = parameters.tensor(weight, &[width, query + memory])?;
    let half = |columns: std::ops::Range<usize>, bias: Option<B::Vector>| -> Result<Linear<B>> {
        let part: Vec<f32> =
            values.chunks_exact(query + memory).flat_map(|row| &row[columns.clone()]).copied().collect();
        let matrix = backend.matrix(width, columns.len(), &mut |sink| {
            sink(&part);
            Ok(())
        })?;
        Ok(Linear::new(matrix.into(), bias))
    };
    let bias = match must || parameters.contains(bias) {
        true => Some(backend.vector(parameters.tensor(bias, &[width])?)?),
        false => None,
    };
    Ok((half(0..query, bias)?, half(query..query + memory, None)?))
}
