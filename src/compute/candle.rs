//! candle as a backend: its tensors and layers on the processor, an NVIDIA or an Apple GPU.
//!
//! Ragged batches are padded here to rectangles, with a mask, and nobody above knows. A GPU library chooses its
//! algorithms by shape, so the last bits of a result may depend on the batch; the kernels' promise does not hold here.

use std::ops::Range;

use candle_core::{D, DType, Device as CandleDevice, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, Module, RmsNorm, ops};

use super::{
    Activation, Backend, Comparison, Compute, Device, LogSumExp, NormKind, Precision, Recorder, Relative, RelativeBias,
    RelativeVectors, RowSink, Score, Scored, Workspace, log_sum_exp,
};
use crate::{Error, Result};

/// Positions of each sentence whose attention is computed at a time: bounds the memory that long sentences take.
const QUERIES: usize = 256;

/// A device of candle's and the numbers it computes with.
#[derive(Clone, Debug)]
pub struct Candle {
    device: CandleDevice,
    name: Device,
    dtype: DType,
}

/// Activations, once something was written.
#[derive(Clone, Debug, Default)]
pub struct Rows(Option<Tensor>);

impl Rows {
    /// The tensor `[rows, width]`.
    fn get(&self) -> &Tensor {
        self.0.as_ref().expect("rows are read after they were written")
    }
}

/// Keys and values of whole sentences, padded to the longest.
#[derive(Debug)]
pub struct Memory {
    /// `[sentences, heads, width of a head, longest]`, or `[sentences, longest, width]` of a plain memory.
    keys: Tensor,
    /// `[sentences, heads, longest, width of a head]`, or `[sentences, longest, width]`.
    values: Tensor,
    /// 0 where a sentence has a position, negative infinity beyond: `[sentences, 1, 1, longest]`.
    mask: Tensor,
    /// Lengths of all sentences there ever were.
    lengths: Vec<usize>,
    /// The sentences the tensors still hold, in order: those that have ended are left out.
    present: Vec<usize>,
}

/// Keys and values of every layer, each `[rows, heads, tokens, width of a head]`.
#[derive(Debug)]
pub struct Past {
    layers: Vec<Option<(Tensor, Tensor)>>,
    length: usize,
    heads: usize,
    head_width: usize,
}

impl Memory {
    /// The length of the sentence at a place of the tensors.
    fn length(&self, place: usize) -> usize {
        self.lengths[self.present[place]]
    }

    /// Positions the tensors have room for.
    fn longest(&self) -> usize {
        self.mask.dims()[3]
    }
}

/// Rows that belong to sentences, those of one following one another.
struct Runs {
    /// The sentence of each run.
    sentences: Vec<usize>,
    /// Rows of each run.
    counts: Vec<usize>,
    /// The most rows of a run.
    most: usize,
}

impl Runs {
    fn of(sentences: &[usize]) -> Self {
        let runs = || sentences.chunk_by(|a, b| a == b);
        let counts: Vec<usize> = runs().map(<[usize]>::len).collect();
        let most = counts.iter().copied().max().unwrap_or(0);
        Self { sentences: runs().map(|run| run[0]).collect(), counts, most }
    }

    /// The run of each row, and its place there.
    fn rows(&self) -> impl Iterator<Item = (usize, usize)> {
        self.counts.iter().enumerate().flat_map(|(run, &count)| (0..count).map(move |row| (run, row)))
    }

    /// Numbers `[heads, length]` of each row as `[runs, heads, most, longest]`, zeros where there are none.
    fn rectangle(&self, heads: usize, longest: usize, ragged: &[&[f32]]) -> Vec<f32> {
        let mut all = vec![0.0; self.counts.len() * heads * self.most * longest];
        for ((run, row), own) in self.rows().zip(ragged) {
            let length = own.len() / heads;
            for (head, own) in own.chunks_exact(length).enumerate() {
                all[((run * heads + head) * self.most + row) * longest..][..length].copy_from_slice(own);
            }
        }
        all
    }
}

impl Candle {
    /// The device and precision that are asked for.
    ///
    /// # Errors
    /// If the device is not there, was not built in, or does not compute in that precision.
    pub fn new(compute: &Compute) -> Result<Self> {
        let name = compute.device;
        let dtype = match (compute.precision, name) {
            (Precision::F32, _) => DType::F32,
            (precision @ (Precision::Int8 | Precision::Int16), _) => {
                let problem = format!(
                    "--precision {precision} is computed by the kernels only: leave out --backend and --device"
                );
                return Err(Error::Usage(problem));
            }
            (precision, Device::Cpu) => {
                let problem = format!("--precision {precision} is for GPUs; candle computes in f32 on the CPU");
                return Err(Error::Usage(problem));
            }
            (Precision::F16, _) => DType::F16,
            (Precision::Bf16, _) => DType::BF16,
        };
        let not_built = |feature: &str| {
            Error::Usage(format!(
                "--device {name} was not built in; build with: cargo install --path . --features {feature}"
            ))
        };
        let failed = |error: candle_core::Error| Error::device(name, first_line(&error));
        let device = match name {
            Device::Cpu => CandleDevice::Cpu,
            Device::Cuda(_) if !candle_core::utils::cuda_is_available() => return Err(not_built("cuda")),
            Device::Metal(_) if !candle_core::utils::metal_is_available() => return Err(not_built("metal")),
            Device::Cuda(index) => CandleDevice::new_cuda(index).map_err(failed)?,
            Device::Metal(index) => CandleDevice::new_metal(index).map_err(failed)?,
        };
        if compute.threads > 0 {
            // The first model of a process decides; candle's products share one pool of threads.
            let _ = rayon::ThreadPoolBuilder::new().num_threads(compute.threads).build_global();
        }
        Ok(Self { device, name, dtype })
    }

    fn failed(&self, error: candle_core::Error) -> Error {
        Error::device(self.name, first_line(&error))
    }

    /// Runs tensor operations and says on which device they failed.
    fn run<T>(&self, operations: impl FnOnce() -> candle_core::Result<T>) -> Result<T> {
        operations().map_err(|error| self.failed(error))
    }

    fn indices(&self, indices: impl IntoIterator<Item = usize>) -> candle_core::Result<Tensor> {
        let indices: Vec<u32> = indices.into_iter().map(|index| index as u32).collect();
        let count = indices.len();
        Tensor::from_vec(indices, count, &self.device)
    }

    fn tensor(&self, values: Vec<f32>, shape: &[usize]) -> candle_core::Result<Tensor> {
        Tensor::from_vec(values, shape, &self.device)?.to_dtype(self.dtype)
    }

    /// Rows laid end to end as a rectangle `[sentences, longest, width]`; what is beyond a sentence is its neighbour's.
    fn padded(&self, rows: &Tensor, lengths: &[usize]) -> candle_core::Result<Tensor> {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let places =
            super::spans(lengths).flat_map(|span| (0..longest).map(move |at| (span.start + at).min(span.end - 1)));
        rows.index_select(&self.indices(places)?, 0)?.reshape((lengths.len(), longest, rows.dim(1)?))
    }

    fn mask(&self, lengths: &[usize]) -> candle_core::Result<Tensor> {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let value = |at: usize, length: usize| if at < length { 0.0 } else { f32::NEG_INFINITY };
        let values: Vec<f32> =
            lengths.iter().flat_map(|&length| (0..longest).map(move |at| value(at, length))).collect();
        Tensor::from_vec(values, (lengths.len(), 1, 1, longest), &self.device)
    }

    /// Leaves out of a memory the sentences that no row belongs to any more.
    fn keep(&self, memory: &mut Memory, wanted: &[usize]) -> candle_core::Result<()> {
        if memory.present == wanted {
            return Ok(());
        }
        let place = |sentence: &usize| memory.present.iter().position(|present| present == sentence).unwrap_or(0);
        let places = self.indices(wanted.iter().map(place))?;
        for tensor in [&mut memory.keys, &mut memory.values, &mut memory.mask] {
            *tensor = tensor.index_select(&places, 0)?;
        }
        memory.present = wanted.to_vec();
        Ok(())
    }

    /// What a bias adds to the scores of the queries at `positions` and the first `keys` keys, `[heads, positions, keys]`.
    fn bias(
        &self,
        bias: &RelativeBias<Self>,
        positions: std::ops::Range<usize>,
        keys: usize,
    ) -> candle_core::Result<Tensor> {
        let by_head = bias.values.reshape(((), 2 * bias.reach + 1))?;
        let places = self.indices(places(bias.reach, positions.clone(), keys))?;
        by_head.index_select(&places, 1)?.reshape(((), positions.len(), keys))?.to_dtype(DType::F32)
    }

    /// The vectors `[positions, keys, width of a head]` for the distances of queries at `positions` and the first `keys` keys.
    fn distances(
        &self,
        table: &Tensor,
        reach: usize,
        positions: Range<usize>,
        keys: usize,
    ) -> candle_core::Result<Tensor> {
        let table = table.reshape((2 * reach + 1, ()))?;
        let places = self.indices(places(reach, positions.clone(), keys))?;
        table.index_select(&places, 0)?.reshape((positions.len(), keys, ()))
    }

    /// What vectors of distances add to the scores of `queries` `[rows, heads, positions, width of a head]`, not yet scaled,
    /// `[rows, heads, positions, keys]`.
    fn distance_scores(
        &self,
        vectors: &RelativeVectors<Self>,
        positions: Range<usize>,
        keys: usize,
        queries: &Tensor,
    ) -> candle_core::Result<Tensor> {
        let (rows, heads, count, width) = queries.dims4()?;
        let table = self.distances(&vectors.keys, vectors.reach, positions, keys)?;
        let by_position = queries.permute((2, 0, 1, 3))?.reshape((count, rows * heads, width))?.contiguous()?;
        let scores = by_position.matmul(&table.transpose(1, 2)?.contiguous()?)?;
        scores.reshape((count, rows, heads, keys))?.permute((1, 2, 0, 3))?.contiguous()
    }

    /// What queries see of the values' vectors of distances, by their `weights` `[rows, heads, positions, keys]`:
    /// `[rows, heads, positions, width of a head]`.
    fn distances_seen(
        &self,
        vectors: &RelativeVectors<Self>,
        positions: Range<usize>,
        weights: &Tensor,
    ) -> candle_core::Result<Tensor> {
        let (rows, heads, count, keys) = weights.dims4()?;
        let table = self.distances(&vectors.values, vectors.reach, positions, keys)?;
        let by_position = weights.permute((2, 0, 1, 3))?.reshape((count, rows * heads, keys))?.contiguous()?;
        let seen = by_position.matmul(&table.contiguous()?)?;
        seen.reshape((count, rows, heads, ()))?.permute((1, 2, 0, 3))?.contiguous()
    }

    /// α of queries `[sentences, queries, width]`, which begin at position `first`, over a memory,
    /// `[sentences, heads, queries, longest]`, and what they see, `[sentences, queries, width of the values]`.
    fn attention(
        &self,
        score: &Score<'_, Self>,
        memory: &Memory,
        first: usize,
        queries: &Tensor,
    ) -> candle_core::Result<(Tensor, Tensor)> {
        let (sentences, count, width) = queries.dims3()?;
        match score {
            Score::Dot { scale, relative } => {
                let (_, heads, head_width, longest) = memory.keys.dims4()?;
                let queries = queries.reshape((sentences, count, heads, head_width))?.transpose(1, 2)?.contiguous()?;
                let positions = first..first + count;
                let mut scores = queries.matmul(&memory.keys)?;
                if let Relative::Vectors(vectors) = relative {
                    scores = (scores + self.distance_scores(vectors, positions.clone(), longest, &queries)?)?;
                }
                let mut scores = (scores * f64::from(*scale))?.to_dtype(DType::F32)?;
                if let Relative::Bias(bias) = relative {
                    scores = scores.broadcast_add(&self.bias(bias, positions.clone(), longest)?)?;
                }
                let weights = ops::softmax_last_dim(&scores.broadcast_add(&memory.mask)?)?;
                let converted = weights.to_dtype(self.dtype)?;
                let mut seen = converted.matmul(&memory.values)?;
                if let Relative::Vectors(vectors) = relative {
                    seen = (seen + self.distances_seen(vectors, positions, &converted)?)?;
                }
                Ok((weights, seen.transpose(1, 2)?.reshape((sentences, count, width))?))
            }
            Score::Additive { energy } => {
                let sums = queries.unsqueeze(2)?.broadcast_add(&memory.keys.unsqueeze(1)?)?;
                let scores = sums.tanh()?.broadcast_mul(energy)?.sum(D::Minus1)?.to_dtype(DType::F32)?;
                let weights = ops::softmax_last_dim(&scores.broadcast_add(&memory.mask.squeeze(1)?)?)?;
                let seen = weights.to_dtype(self.dtype)?.matmul(&memory.values)?;
                Ok((weights.unsqueeze(1)?, seen))
            }
        }
    }

    fn activated(&self, x: Tensor, activation: Activation) -> candle_core::Result<Tensor> {
        match activation {
            Activation::Identity => Ok(x),
            Activation::Relu => x.relu(),
            Activation::Swish => ops::silu(&x),
            Activation::Gelu => x.gelu_erf(),
            Activation::GeluTanh => x.gelu(),
            Activation::QuickGelu => &x * ops::sigmoid(&(&x * 1.702)?)?,
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => ops::sigmoid(&x),
        }
    }

    fn product(&self, x: &Rows, matrix: &Tensor, bias: Option<&Tensor>) -> candle_core::Result<Tensor> {
        Linear::new(matrix.clone(), bias.cloned()).forward(x.get())
    }
}

/// For queries at some positions and the first `keys` keys, the place of their distance in a table that begins with a key
/// `reach` places before its query.
fn places(reach: usize, positions: Range<usize>, keys: usize) -> impl Iterator<Item = usize> {
    let place = move |position: usize, key: usize| (key + reach).saturating_sub(position).min(2 * reach);
    positions.flat_map(move |position| (0..keys).map(move |key| place(position, key)))
}

/// An error of candle's without what it went through.
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

impl Backend for Candle {
    type Matrix = Tensor;
    type Vector = Tensor;
    type Rows = Rows;
    type Memory = Memory;
    type Past = Past;

    fn matrix(&self, outputs: usize, inputs: usize, read: &mut dyn FnMut(RowSink<'_>) -> Result<()>) -> Result<Tensor> {
        let mut values = Vec::with_capacity(outputs * inputs);
        read(&mut |rows| values.extend_from_slice(rows))?;
        self.run(|| self.tensor(values, &[outputs, inputs]))
    }

    fn vector(&self, values: Vec<f32>) -> Result<Tensor> {
        let length = values.len();
        self.run(|| self.tensor(values, &[length]))
    }

    fn rows(&self, values: &[f32], width: usize) -> Result<Rows> {
        self.run(|| Ok(Rows(Some(self.tensor(values.to_vec(), &[values.len() / width, width])?))))
    }

    fn values(&self, rows: &Rows) -> Result<Vec<f32>> {
        self.run(|| rows.get().to_dtype(DType::F32)?.flatten_all()?.to_vec1())
    }

    fn outputs(&self, matrix: &Tensor) -> usize {
        matrix.dims()[0]
    }

    fn inputs(&self, matrix: &Tensor) -> usize {
        matrix.dims()[1]
    }

    fn embed(
        &self,
        table: &Tensor,
        scale: f32,
        tokens: &[u32],
        add: &mut dyn FnMut(usize, &mut [f32]),
        out: &mut Rows,
    ) -> Result<()> {
        let width = self.inputs(table);
        let mut added = vec![0.0; tokens.len() * width];
        added.chunks_exact_mut(width).enumerate().for_each(|(row, x)| add(row, x));
        *out = self.run(|| {
            let tokens = Tensor::new(tokens, &self.device)?;
            let vectors = (Embedding::new(table.clone(), width).forward(&tokens)? * f64::from(scale))?;
            Ok(Rows(Some((vectors + self.tensor(added, &[tokens.dim(0)?, width])?)?)))
        })?;
        Ok(())
    }

    fn linear(
        &self,
        _: &mut Workspace,
        x: &Rows,
        matrix: &Tensor,
        bias: Option<&Tensor>,
        activation: Activation,
        out: &mut Rows,
    ) -> Result<()> {
        out.0 = Some(self.run(|| self.activated(self.product(x, matrix, bias)?, activation))?);
        Ok(())
    }

    fn norm(
        &self,
        kind: NormKind,
        epsilon: f32,
        weight: &Tensor,
        bias: &Tensor,
        residual: Option<&Rows>,
        x: &mut Rows,
    ) -> Result<()> {
        x.0 = Some(self.run(|| {
            let sum = residual.map_or_else(|| Ok(x.get().clone()), |residual| x.get() + residual.get())?;
            match kind {
                NormKind::Layer => LayerNorm::new(weight.clone(), bias.clone(), f64::from(epsilon)).forward(&sum),
                NormKind::Rms => RmsNorm::new(weight.clone(), f64::from(epsilon)).forward(&sum),
                NormKind::Deviation => {
                    let centred = sum.broadcast_sub(&sum.mean_keepdim(D::Minus1)?)?;
                    let degrees = sum.dim(D::Minus1)? as f64 - 1.0;
                    let deviation = (centred.sqr()?.sum_keepdim(D::Minus1)? / degrees)?.sqrt()?;
                    let scaled = centred.broadcast_div(&(deviation + f64::from(epsilon))?)?;
                    scaled.broadcast_mul(weight)?.broadcast_add(bias)
                }
            }
        })?);
        Ok(())
    }

    fn activate(&self, activation: Activation, x: &mut Rows) -> Result<()> {
        x.0 = Some(self.run(|| self.activated(x.get().clone(), activation))?);
        Ok(())
    }

    fn mean(&self, x: &Rows, lengths: &[usize], out: &mut Rows) -> Result<()> {
        out.0 = Some(self.run(|| {
            let means = super::spans(lengths).map(|span| x.get().narrow(0, span.start, span.len())?.mean_keepdim(0));
            Tensor::cat(&means.collect::<candle_core::Result<Vec<_>>>()?, 0)
        })?);
        Ok(())
    }

    fn copy(&self, x: &Rows, out: &mut Rows) -> Result<()> {
        // A tensor is never changed once it is made, save by `scatter`, which makes its own.
        *out = x.clone();
        Ok(())
    }

    fn add(&self, x: &mut Rows, y: &Rows) -> Result<()> {
        x.0 = Some(self.run(|| x.get() + y.get())?);
        Ok(())
    }

    fn scale(&self, x: &mut Rows, factor: f32) -> Result<()> {
        x.0 = Some(self.run(|| x.get() * f64::from(factor))?);
        Ok(())
    }

    fn multiply(&self, x: &mut Rows, y: &Rows) -> Result<()> {
        x.0 = Some(self.run(|| x.get() * y.get())?);
        Ok(())
    }

    fn concat(&self, parts: &[(&Rows, Range<usize>)], out: &mut Rows) -> Result<()> {
        out.0 = Some(self.run(|| {
            let columns = |(part, columns): &(&Rows, Range<usize>)| part.get().narrow(1, columns.start, columns.len());
            Tensor::cat(&parts.iter().map(columns).collect::<candle_core::Result<Vec<_>>>()?, 1)?.contiguous()
        })?);
        Ok(())
    }

    fn truncate(&self, x: &mut Rows, rows: usize) -> Result<()> {
        x.0 = Some(self.run(|| x.get().narrow(0, 0, rows)?.contiguous())?);
        Ok(())
    }

    fn gather(&self, x: &Rows, rows: &[usize], out: &mut Rows) -> Result<()> {
        out.0 = Some(self.run(|| {
            if rows.is_empty() {
                // No operation of candle's makes a tensor of no rows on every device.
                return x.get().narrow(0, 0, 0);
            }
            x.get().index_select(&self.indices(rows.iter().copied())?, 0)
        })?);
        Ok(())
    }

    fn scatter(&self, x: &Rows, rows: &[usize], column: usize, shape: (usize, usize), out: &mut Rows) -> Result<()> {
        self.run(|| {
            let fits = out.0.as_ref().is_some_and(|tensor| tensor.dims() == [shape.0, shape.1]);
            if !fits {
                out.0 = Some(Tensor::zeros(shape, self.dtype, &self.device)?);
            }
            let width = x.get().dim(1)?;
            let places = rows.iter().flat_map(|&row| (0..width).map(move |at| row * shape.1 + column + at));
            let flat = out.get().flatten_all()?;
            flat.scatter_set(&self.indices(places)?, &x.get().flatten_all()?, 0)?;
            out.0 = Some(flat.reshape(shape)?);
            Ok(())
        })
    }

    fn gru_gates(&self, projected: &Rows, recurrent: &Rows, state: &mut Rows) -> Result<()> {
        state.0 = Some(self.run(|| {
            let (x, h, old) = (projected.get().chunk(3, 1)?, recurrent.get().chunk(3, 1)?, state.get());
            let reset = ops::sigmoid(&(&x[0] + &h[0])?)?;
            let update = ops::sigmoid(&(&x[1] + &h[1])?)?;
            let new = (&x[2] + (reset * &h[2])?)?.tanh()?;
            // (1 − z) n + z h
            &new + (update * (old - &new)?)?
        })?);
        Ok(())
    }

    fn lstm_gates(&self, projected: &Rows, recurrent: &Rows, state: &mut Rows, cell: &mut Rows) -> Result<()> {
        (state.0, cell.0) = self.run(|| {
            let gates = (projected.get() + recurrent.get())?.chunk(4, 1)?;
            let written = (ops::sigmoid(&gates[0])? * gates[2].tanh()?)?;
            let new = ((ops::sigmoid(&gates[1])? * cell.get())? + written)?;
            Ok((Some((ops::sigmoid(&gates[3])? * new.tanh()?)?), Some(new)))
        })?;
        Ok(())
    }

    fn ssru(&self, projected: &Rows, state: &mut Rows, out: &mut Rows) -> Result<()> {
        let new = self.run(|| {
            let parts = projected.get().chunk(2, 1)?;
            let (x, forget) = (&parts[0], ops::sigmoid(&parts[1])?);
            // f c + (1 − f) x
            match &state.0 {
                None => x - (forget * x)?,
                Some(old) => x + (forget * (old - x)?)?,
            }
        })?;
        out.0 = Some(self.run(|| new.relu())?);
        state.0 = Some(new);
        Ok(())
    }

    fn running_mean(&self, x: &Rows, count: usize, sum: &mut Rows, mean: &mut Rows) -> Result<()> {
        let new = self.run(|| match &sum.0 {
            None => Ok(x.get().clone()),
            Some(sum) => sum + x.get(),
        })?;
        mean.0 = Some(self.run(|| &new * (1.0 / count as f64))?);
        sum.0 = Some(new);
        Ok(())
    }

    fn dot_memory(
        &self,
        heads: usize,
        head_width: usize,
        lengths: &[usize],
        projected: &Rows,
        _often: bool,
    ) -> Result<Memory> {
        self.run(|| {
            let (width, columns) = (heads * head_width, projected.get().dim(1)?);
            let rows = self.padded(projected.get(), lengths)?;
            let (sentences, longest, _) = rows.dims3()?;
            let part = |from: usize| rows.narrow(2, from, width)?.reshape((sentences, longest, heads, head_width));
            Ok(Memory {
                keys: part(columns - 2 * width)?.permute((0, 2, 3, 1))?.contiguous()?,
                values: part(columns - width)?.transpose(1, 2)?.contiguous()?,
                mask: self.mask(lengths)?,
                lengths: lengths.to_vec(),
                present: (0..lengths.len()).collect(),
            })
        })
    }

    fn plain_memory(&self, lengths: &[usize], keys: Rows, values: Rows) -> Result<Memory> {
        self.run(|| {
            Ok(Memory {
                keys: self.padded(keys.get(), lengths)?,
                values: self.padded(values.get(), lengths)?,
                mask: self.mask(lengths)?,
                lengths: lengths.to_vec(),
                present: (0..lengths.len()).collect(),
            })
        })
    }

    fn attend(
        &self,
        _: &mut Workspace,
        score: Score<'_, Self>,
        memory: &mut Memory,
        sentences: &[usize],
        queries: &Rows,
        beside: Option<&Rows>,
        out: &mut Rows,
        mut record: Option<Recorder<'_>>,
    ) -> Result<()> {
        let runs: Vec<&[usize]> = sentences.chunk_by(|a, b| a == b).collect();
        let counts: Vec<usize> = runs.iter().map(|run| run.len()).collect();
        let most = counts.iter().copied().max().unwrap_or(0);
        let starts: Vec<usize> = super::spans(&counts).map(|span| span.start).collect();
        out.0 = Some(self.run(|| {
            self.keep(memory, &runs.iter().map(|run| run[0]).collect::<Vec<_>>())?;
            let width = match score {
                Score::Dot { .. } => memory.keys.dim(1)? * memory.keys.dim(2)?,
                Score::Additive { .. } => memory.keys.dim(2)?,
            };
            let padded = self.padded(&queries.get().narrow(1, 0, width)?.contiguous()?, &counts)?;
            let mut seen = Vec::new();
            for first in (0..most).step_by(QUERIES) {
                let count = QUERIES.min(most - first);
                let queries = padded.narrow(1, first, count)?.contiguous()?;
                let (weights, part) = self.attention(&score, memory, first, &queries)?;
                seen.push(part);
                let Some(record) = &mut record else { continue };
                let (_, heads, _, longest) = weights.dims4()?;
                let weights: Vec<f32> = weights.flatten_all()?.to_vec1()?;
                let mut row_weights = Vec::new();
                for (at, &sentence) in memory.present.iter().enumerate() {
                    let length = memory.lengths[sentence];
                    for query in first..counts[at].min(first + count) {
                        row_weights.clear();
                        for head in 0..heads {
                            let start = ((at * heads + head) * count + query - first) * longest;
                            row_weights.extend_from_slice(&weights[start..start + length]);
                        }
                        record(starts[at] + query, &row_weights);
                    }
                }
            }
            let seen = Tensor::cat(&seen, 1)?;
            let flat = seen.reshape((runs.len() * most, seen.dim(2)?))?;
            let flat = if counts.iter().all(|&count| count == most) {
                flat
            } else {
                let rows =
                    counts.iter().enumerate().flat_map(|(at, &count)| (0..count).map(move |row| at * most + row));
                flat.index_select(&self.indices(rows)?, 0)?
            };
            match beside {
                Some(beside) => Tensor::cat(&[beside.get(), &flat], 1)?.contiguous(),
                None => Ok(flat),
            }
        })?);
        Ok(())
    }

    fn scores(
        &self,
        comparison: Comparison<'_, Self>,
        heads: usize,
        memory: &mut Memory,
        sentences: &[usize],
        queries: &Rows,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        let runs = Runs::of(sentences);
        let scores: Vec<f32> = self.run(|| {
            self.keep(memory, &runs.sentences)?;
            let keys = &memory.keys;
            let (count, longest, width) = keys.dims3()?;
            let queries = self.padded(queries.get(), &runs.counts)?;
            let by_head = |x: &Tensor| x.reshape((count, (), heads, width / heads))?.transpose(1, 2)?.contiguous();
            let scores = match comparison {
                Comparison::Dot => by_head(&queries)?.matmul(&by_head(keys)?.transpose(2, 3)?)?,
                Comparison::Cosine => {
                    let unit = |x: Tensor| {
                        let norm = x.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?.maximum(1e-8)?;
                        x.broadcast_div(&norm)
                    };
                    unit(by_head(&queries)?)?.matmul(&unit(by_head(keys)?)?.transpose(2, 3)?)?
                }
                Comparison::Additive { energy, coverage } => {
                    let mut sums = queries.unsqueeze(2)?.broadcast_add(&keys.unsqueeze(1)?)?;
                    if let Some(coverage) = coverage {
                        let lengths: Vec<usize> = runs.rows().map(|(run, _)| memory.length(run)).collect();
                        let ragged: Vec<&[f32]> = super::spans(&lengths).map(|span| &coverage.sums[span]).collect();
                        let so_far = runs.rectangle(1, longest, &ragged);
                        let so_far = self.tensor(so_far, &[count, runs.most, longest, 1])?;
                        sums = (sums + so_far.broadcast_mul(coverage.weight)?)?;
                    }
                    let parts = sums.tanh()?.broadcast_mul(energy)?;
                    let parts = parts.reshape((count, runs.most, longest, heads, width / heads))?;
                    parts.sum(D::Minus1)?.permute((0, 3, 1, 2))?
                }
            };
            scores.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
        })?;
        out.clear();
        let longest = memory.longest();
        for (run, query) in runs.rows() {
            for head in 0..heads {
                let start = ((run * heads + head) * runs.most + query) * longest;
                out.extend_from_slice(&scores[start..start + memory.length(run)]);
            }
        }
        Ok(())
    }

    fn weigh(
        &self,
        weights: &[f32],
        heads: usize,
        memory: &mut Memory,
        sentences: &[usize],
        beside: Option<&Rows>,
        out: &mut Rows,
    ) -> Result<()> {
        let runs = Runs::of(sentences);
        out.0 = Some(self.run(|| {
            self.keep(memory, &runs.sentences)?;
            let (count, longest, width) = memory.values.dims3()?;
            let lengths: Vec<usize> = runs.rows().map(|(run, _)| heads * memory.length(run)).collect();
            let ragged: Vec<&[f32]> = super::spans(&lengths).map(|span| &weights[span]).collect();
            let weights = self.tensor(runs.rectangle(heads, longest, &ragged), &[count, heads, runs.most, longest])?;
            let values =
                memory.values.reshape((count, longest, heads, width / heads))?.transpose(1, 2)?.contiguous()?;
            let seen = weights.matmul(&values)?.transpose(1, 2)?.reshape((count * runs.most, width))?;
            let rows = runs.rows().map(|(run, query)| run * runs.most + query);
            let seen = seen.index_select(&self.indices(rows)?, 0)?;
            match beside {
                Some(beside) => Tensor::cat(&[beside.get(), &seen], 1)?.contiguous(),
                None => Ok(seen),
            }
        })?);
        Ok(())
    }

    fn past(&self, layers: usize, _rows: usize, heads: usize, head_width: usize) -> Past {
        Past { layers: vec![None; layers], length: 0, heads, head_width }
    }

    fn advance(&self, past: &mut Past) {
        past.length += 1;
    }

    fn attend_past(
        &self,
        _: &mut Workspace,
        past: &mut Past,
        layer: usize,
        scale: f32,
        relative: Relative<'_, Self>,
        projected: &Rows,
        out: &mut Rows,
        record: Option<Recorder<'_>>,
    ) -> Result<()> {
        let Past { layers, length, heads, head_width } = past;
        let (length, heads, head_width) = (*length, *heads, *head_width);
        let (cache, width) = (&mut layers[layer], heads * head_width);
        let weights = self.run(|| {
            let rows = projected.get().dim(0)?;
            let part = |index: usize| {
                projected.get().narrow(1, index * width, width)?.contiguous()?.reshape((rows, heads, 1, head_width))
            };
            let (query, mut keys, mut values) = (part(0)?, part(1)?, part(2)?);
            if let Some((old_keys, old_values)) = cache.take() {
                keys = Tensor::cat(&[&old_keys, &keys], 2)?;
                values = Tensor::cat(&[&old_values, &values], 2)?;
            }
            let position = length - 1..length;
            let mut scores = query.matmul(&keys.transpose(2, 3)?)?;
            if let Relative::Vectors(vectors) = relative {
                scores = (scores + self.distance_scores(vectors, position.clone(), length, &query)?)?;
            }
            let mut scores = (scores * f64::from(scale))?.to_dtype(DType::F32)?;
            if let Relative::Bias(bias) = relative {
                scores = scores.broadcast_add(&self.bias(bias, position.clone(), length)?)?;
            }
            let weights = ops::softmax_last_dim(&scores)?;
            let converted = weights.to_dtype(self.dtype)?;
            let mut seen = converted.matmul(&values)?;
            if let Relative::Vectors(vectors) = relative {
                seen = (seen + self.distances_seen(vectors, position, &converted)?)?;
            }
            out.0 = Some(seen.reshape((rows, width))?);
            *cache = Some((keys, values));
            Ok(weights)
        })?;
        if let Some(record) = record {
            let per_row = heads * weights.dims()[3];
            let weights: Vec<f32> = self.run(|| weights.flatten_all()?.to_vec1())?;
            weights.chunks_exact(per_row).enumerate().for_each(|(row, weights)| record(row, weights));
        }
        Ok(())
    }

    fn select_past(&self, past: &mut Past, rows: &[usize]) -> Result<()> {
        self.run(|| {
            let indices = self.indices(rows.iter().copied())?;
            for (keys, values) in past.layers.iter_mut().flatten() {
                if rows.is_empty() {
                    (*keys, *values) = (keys.narrow(0, 0, 0)?, values.narrow(0, 0, 0)?);
                } else if rows.len() != keys.dim(0)? || rows.iter().enumerate().any(|(at, &row)| at != row) {
                    (*keys, *values) = (keys.index_select(&indices, 0)?, values.index_select(&indices, 0)?);
                }
            }
            Ok(())
        })
    }

    fn logits(
        &self,
        _: &mut Workspace,
        x: &Rows,
        matrix: &Tensor,
        bias: Option<&Tensor>,
        logits: &mut Vec<f32>,
    ) -> Result<()> {
        *logits = self.run(|| self.product(x, matrix, bias)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1())?;
        Ok(())
    }

    fn top_k(
        &self,
        workspace: &mut Workspace,
        x: &Rows,
        matrix: &Tensor,
        bias: Option<&Tensor>,
        k: usize,
        banned: &[u32],
        normalise: LogSumExp,
        best: &mut Vec<Scored>,
        sums: &mut Vec<f32>,
    ) -> Result<()> {
        let mut logits = Vec::new();
        self.logits(workspace, x, matrix, bias, &mut logits)?;
        best.clear();
        sums.clear();
        for row in logits.chunks_exact_mut(self.outputs(matrix)) {
            if normalise == LogSumExp::All {
                sums.push(log_sum_exp(row));
            }
            for &token in banned {
                if let Some(score) = row.get_mut(token as usize) {
                    *score = f32::NEG_INFINITY;
                }
            }
            if normalise == LogSumExp::Allowed {
                sums.push(log_sum_exp(row));
            }
            rank(row, k, best);
        }
        Ok(())
    }
}

/// Appends the `k` highest scores, best first, equal ones by the lower token.
fn rank(scores: &[f32], k: usize, best: &mut Vec<Scored>) {
    let order = |a: &Scored, b: &Scored| b.value.total_cmp(&a.value).then(a.token.cmp(&b.token));
    let first = best.len();
    // What is below the worst of the first k so far need not be looked at again.
    let mut worst = f32::NEG_INFINITY;
    for (token, &value) in scores.iter().enumerate() {
        let scored = Scored { value, token: token as u32 };
        if best.len() - first < k {
            best.push(scored);
            if best.len() - first == k {
                best[first..].sort_unstable_by(order);
                worst = best[first + k - 1].value;
            }
        } else if value > worst {
            let at = first + best[first..].partition_point(|other| order(other, &scored).is_lt());
            best.pop();
            best.insert(at, scored);
            worst = best[first + k - 1].value;
        }
    }
}
