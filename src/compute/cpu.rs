//! The CPU kernels as a backend: thin, nothing but shapes.

use std::ops::{Range, RangeInclusive};

use half::f16;

use super::buffer::Buffer;
use super::matrix::Matrix;
use super::profile::{self, Step};
use super::slots::Slots;
use super::{
    Activation, Backend, Comparison, LogSumExp, NormKind, Precision, ReadRows, Recorder, Relative, RelativeBias,
    RelativeVectors, RowSink, Score, Scored, StoredInt8, Workspace, spans,
};
use crate::kernels::{self, AttentionMemory, KeysAndValues, PackedMatrix, Packer};
use crate::{Error, Result};

/// Positions whose attention is computed at a time: bounds the memory that a long sentence's weights take.
const QUERIES: usize = 64;

/// The CPU kernels of this crate.
#[derive(Clone, Copy, Debug)]
pub struct Kernels {
    precision: kernels::Precision,
}

impl Kernels {
    /// Kernels that multiply in the given precision.
    ///
    /// # Errors
    /// If the precision is for GPUs.
    pub fn new(precision: Precision) -> Result<Self> {
        let precision = match precision {
            Precision::F32 => kernels::Precision::F32,
            Precision::Int8 => kernels::Precision::Int8,
            Precision::Int16 => kernels::Precision::Int16,
            Precision::F16 | Precision::Bf16 => {
                let problem =
                    format!("--precision {precision} is for GPUs; on the CPU use f32, or int16 or int8 for speed");
                return Err(Error::Usage(problem));
            }
        };
        Ok(Self { precision })
    }
}

/// Row-major activations.
#[derive(Debug, Default)]
pub struct Rows {
    values: Buffer,
    width: usize,
}

impl Rows {
    /// Gives it that shape, for somebody who writes all of it.
    fn overwrite(&mut self, rows: usize, width: usize) {
        self.values.overwrite(rows * width);
        self.width = width;
    }

    /// Gives it that shape; numbers that are new are zero.
    fn resize(&mut self, rows: usize, width: usize) {
        self.values.resize(rows * width);
        self.width = width;
    }

    fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width.max(1))
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..][..self.width]
    }

    fn count(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// Puts the columns of `other` before one's own.
    fn put_before(&mut self, other: &Rows) {
        let (count, own, wide) = (self.count(), self.width, other.width + self.width);
        self.overwrite(count, wide);
        // From the last row on, so that nothing is written over before it has moved.
        for row in (0..count).rev() {
            self.values.copy_within(row * own..(row + 1) * own, row * wide + other.width);
            self.values[row * wide..][..other.width].copy_from_slice(other.row(row));
        }
    }
}

/// Keys and values of whole sentences.
#[derive(Debug)]
pub enum Memory {
    /// For [`Score::Dot`].
    Dot {
        /// Keys and values as the kernels read them, of the sentences that began together, with the number of the first of them.
        /// Where all of them have ended nothing is left.
        memories: Vec<(usize, AttentionMemory)>,
        /// Number of sentences.
        count: usize,
        /// Number of heads.
        heads: usize,
        /// Width of keys and of values, all heads together.
        width: usize,
    },
    /// For everything else.
    Plain {
        /// Where each sentence lies.
        spans: Vec<Range<usize>>,
        /// Keys of all sentences.
        keys: Rows,
        /// Values of all sentences.
        values: Rows,
    },
}

/// The past of a decoder: which slots belong to which hypothesis, and what each layer has in them.
#[derive(Debug)]
pub struct Past {
    slots: Slots,
    cache: Cache,
    layers: usize,
    heads: usize,
    width: usize,
}

/// The self-attention keys and values of all layers: for each block of slots and each layer the keys `[block, width]` and then the
/// values. In int8 models in half precision, since all of a hypothesis' past is read at every step.
#[derive(Debug)]
struct Cache {
    /// Slots in a block.
    block: usize,
    blocks: Blocks,
}

#[derive(Debug)]
enum Blocks {
    F32(Vec<Box<[f32]>>),
    F16(Vec<Box<[f16]>>),
}

/// Bytes from which on a block is long enough to be read at full speed.
const BLOCK_BYTES: usize = 16 << 10;
/// Slots in a block: each hypothesis that branches off begins a block, most of which stays empty where it ends soon.
const BLOCK_SLOTS: RangeInclusive<usize> = 2..=8;

impl Cache {
    /// For slots of so many numbers, those of all layers.
    fn new(precision: kernels::Precision, numbers: usize) -> Self {
        let (blocks, size) = match precision {
            kernels::Precision::F32 | kernels::Precision::Int16 => (Blocks::F32(Vec::new()), 4),
            kernels::Precision::Int8 => (Blocks::F16(Vec::new()), 2),
        };
        let wanted = BLOCK_BYTES.div_ceil((size * numbers).max(1)).next_power_of_two();
        Self { block: wanted.clamp(*BLOCK_SLOTS.start(), *BLOCK_SLOTS.end()), blocks }
    }

    /// Where in a block the keys and the values of a layer begin.
    fn places(&self, layer: usize, width: usize) -> [usize; 2] {
        [2 * layer * self.block * width, (2 * layer + 1) * self.block * width]
    }

    /// Makes it so many blocks, of `size` elements each.
    fn extend(&mut self, blocks: usize, size: usize) {
        match &mut self.blocks {
            Blocks::F32(store) => store.resize_with(blocks, || vec![0.0; size].into()),
            Blocks::F16(store) => store.resize_with(blocks, || vec![f16::ZERO; size].into()),
        }
    }

    /// Puts a key and a value of a layer, each `[width]`, into a slot.
    fn write(&mut self, layer: usize, slot: usize, key: &[f32], value: &[f32]) {
        let (width, block) = (key.len(), self.block);
        for (start, x) in self.places(layer, width).into_iter().zip([key, value]) {
            let place = start + slot % block * width;
            match &mut self.blocks {
                Blocks::F32(store) => store[slot / block][place..place + width].copy_from_slice(x),
                Blocks::F16(store) => kernels::to_f16(x, &mut store[slot / block][place..place + width]),
            }
        }
    }

    /// Attention of a layer to the given slots.
    #[allow(clippy::too_many_arguments)]
    fn attend(
        &self,
        layer: usize,
        query: &[f32],
        rows: &[u32],
        heads: usize,
        scale: f32,
        bias: Option<kernels::RelativeBias<'_>>,
        weights: &mut [f32],
        out: &mut [f32],
    ) {
        let ([keys, values], block_rows) = (self.places(layer, query.len()), self.block);
        match &self.blocks {
            Blocks::F32(blocks) => {
                let memory = KeysAndValues { blocks, block_rows, keys, values, rows, scale, bias };
                kernels::attend(query, memory, heads, weights, out);
            }
            Blocks::F16(blocks) => {
                let memory = KeysAndValues { blocks, block_rows, keys, values, rows, scale, bias };
                kernels::attend_f16(query, memory, heads, weights, out);
            }
        }
    }
}

impl<'a> From<&'a RelativeBias<Kernels>> for kernels::RelativeBias<'a> {
    fn from(bias: &'a RelativeBias<Kernels>) -> Self {
        Self { values: &bias.values, reach: bias.reach }
    }
}

impl<'a> From<&'a RelativeVectors<Kernels>> for kernels::RelativeVectors<'a> {
    fn from(vectors: &'a RelativeVectors<Kernels>) -> Self {
        Self { keys: &vectors.keys, values: &vectors.values, reach: vectors.reach }
    }
}

impl Backend for Kernels {
    type Matrix = Matrix;
    type Vector = Vec<f32>;
    type Rows = Rows;
    type Memory = Memory;
    type Past = Past;

    fn matrix(&self, outputs: usize, inputs: usize, read: &mut dyn FnMut(RowSink<'_>) -> Result<()>) -> Result<Matrix> {
        let most = self.precision.most_inputs();
        if inputs > most {
            let precision = format!("{:?}", self.precision).to_lowercase();
            let problem = format!(
                "--precision {precision} takes matrices of up to {most} inputs, and the model has one of {inputs}: use f32"
            );
            return Err(Error::Usage(problem));
        }
        let mut packer = Packer::new(outputs, inputs, self.precision);
        read(&mut |rows| packer.push(rows))?;
        Ok(Matrix::new(packer.finish()))
    }

    fn stored_int8(&self, inputs: usize, parts: &[StoredInt8]) -> Option<Matrix> {
        let wanted = self.precision == kernels::Precision::Int8 && inputs <= self.precision.most_inputs();
        wanted.then(|| Matrix::new(PackedMatrix::from_stored(inputs, parts)))
    }

    fn vector(&self, values: Vec<f32>) -> Result<Vec<f32>> {
        Ok(values)
    }

    fn rows(&self, values: &[f32], width: usize) -> Result<Rows> {
        Ok(Rows { values: values.into(), width })
    }

    fn values(&self, rows: &Rows) -> Result<Vec<f32>> {
        Ok(rows.values.to_vec())
    }

    fn stored_rows(&self, outputs: usize, inputs: usize, read: ReadRows) -> Option<Matrix> {
        Matrix::stored(outputs, inputs, self.precision, read)
    }

    fn outputs(&self, matrix: &Matrix) -> usize {
        matrix.outputs
    }

    fn inputs(&self, matrix: &Matrix) -> usize {
        matrix.inputs
    }

    fn embed(
        &self,
        table: &Matrix,
        scale: f32,
        tokens: &[u32],
        add: &mut dyn FnMut(usize, &mut [f32]),
        out: &mut Rows,
    ) -> Result<()> {
        let _running = profile::running(Step::Embedding);
        let (width, reader) = (table.inputs, table.reader());
        out.overwrite(tokens.len(), width);
        for (row, (&token, x)) in tokens.iter().zip(out.values.chunks_exact_mut(width)).enumerate() {
            match reader {
                Some(read) => read(token as usize, x)?,
                None => table.packed()?.row(token as usize, x),
            }
            if scale != 1.0 {
                x.iter_mut().for_each(|x| *x *= scale);
            }
            add(row, x);
        }
        Ok(())
    }

    fn linear(
        &self,
        workspace: &mut Workspace,
        x: &Rows,
        matrix: &Matrix,
        bias: Option<&Vec<f32>>,
        activation: Activation,
        out: &mut Rows,
    ) -> Result<()> {
        let running = profile::running(Step::Products);
        matrix.count_product(&running, x.count());
        out.overwrite(x.count(), matrix.outputs);
        matrix.packed()?.multiply(workspace, &x.values, bias.map(Vec::as_slice), activation, &mut out.values);
        Ok(())
    }

    fn norm(
        &self,
        kind: NormKind,
        epsilon: f32,
        weight: &Vec<f32>,
        bias: &Vec<f32>,
        residual: Option<&Rows>,
        x: &mut Rows,
    ) -> Result<()> {
        let _running = profile::running(Step::Norms);
        match (kind, residual) {
            (NormKind::Layer, None) => kernels::layer_norm(&mut x.values, weight, bias, epsilon),
            (NormKind::Layer, Some(residual)) => {
                kernels::add_layer_norm(&mut x.values, &residual.values, weight, bias, epsilon);
            }
            (NormKind::Rms, residual) => {
                kernels::rms_norm(&mut x.values, residual.map(|residual| &*residual.values), weight, epsilon);
            }
            (NormKind::Deviation, residual) => {
                let residual = residual.map(|residual| &*residual.values);
                kernels::deviation_norm(&mut x.values, residual, weight, bias, epsilon);
            }
        }
        Ok(())
    }

    fn activate(&self, activation: Activation, x: &mut Rows) -> Result<()> {
        activation.apply(&mut x.values);
        Ok(())
    }

    fn mean(&self, x: &Rows, lengths: &[usize], out: &mut Rows) -> Result<()> {
        out.values.clear();
        out.resize(lengths.len(), x.width);
        for (span, mean) in spans(lengths).zip(out.values.chunks_exact_mut(x.width)) {
            let share = 1.0 / span.len() as f32;
            span.for_each(|row| kernels::add(mean, x.row(row)));
            mean.iter_mut().for_each(|mean| *mean *= share);
        }
        Ok(())
    }

    fn copy(&self, x: &Rows, out: &mut Rows) -> Result<()> {
        out.values.clear();
        out.values.extend_from_slice(&x.values);
        out.width = x.width;
        Ok(())
    }

    fn add(&self, x: &mut Rows, y: &Rows) -> Result<()> {
        kernels::add(&mut x.values, &y.values);
        Ok(())
    }

    fn scale(&self, x: &mut Rows, factor: f32) -> Result<()> {
        x.values.iter_mut().for_each(|x| *x *= factor);
        Ok(())
    }

    fn multiply(&self, x: &mut Rows, y: &Rows) -> Result<()> {
        x.values.iter_mut().zip(&*y.values).for_each(|(x, y)| *x *= y);
        Ok(())
    }

    fn concat(&self, parts: &[(&Rows, Range<usize>)], out: &mut Rows) -> Result<()> {
        let rows = parts.first().map_or(0, |(part, _)| part.count());
        out.values.clear();
        out.width = parts.iter().map(|(_, columns)| columns.len()).sum();
        for row in 0..rows {
            parts.iter().for_each(|(part, columns)| out.values.extend_from_slice(&part.row(row)[columns.clone()]));
        }
        Ok(())
    }

    fn truncate(&self, x: &mut Rows, rows: usize) -> Result<()> {
        x.values.truncate(rows * x.width);
        Ok(())
    }

    fn gather(&self, x: &Rows, rows: &[usize], out: &mut Rows) -> Result<()> {
        out.values.clear();
        out.width = x.width;
        rows.iter().for_each(|&row| out.values.extend_from_slice(x.row(row)));
        Ok(())
    }

    fn scatter(&self, x: &Rows, rows: &[usize], column: usize, shape: (usize, usize), out: &mut Rows) -> Result<()> {
        if (out.count(), out.width) != shape {
            out.values.clear();
            out.resize(shape.0, shape.1);
        }
        for (&row, x) in rows.iter().zip(x.iter()) {
            out.values[row * shape.1 + column..][..x.len()].copy_from_slice(x);
        }
        Ok(())
    }

    fn gru_gates(&self, projected: &Rows, recurrent: &Rows, state: &mut Rows) -> Result<()> {
        let _running = profile::running(Step::Gates);
        kernels::gru_gates(&projected.values, &recurrent.values, &mut state.values, state.width);
        Ok(())
    }

    fn lstm_gates(&self, projected: &Rows, recurrent: &Rows, state: &mut Rows, cell: &mut Rows) -> Result<()> {
        let _running = profile::running(Step::Gates);
        let width = state.width;
        kernels::lstm_gates(&projected.values, &recurrent.values, &mut state.values, &mut cell.values, width);
        Ok(())
    }

    fn ssru(&self, projected: &Rows, state: &mut Rows, out: &mut Rows) -> Result<()> {
        let _running = profile::running(Step::Gates);
        let (rows, width) = (projected.count(), projected.width / 2);
        state.resize(rows, width);
        out.overwrite(rows, width);
        kernels::ssru(&projected.values, &mut state.values, &mut out.values, width);
        Ok(())
    }

    fn running_mean(&self, x: &Rows, count: usize, sum: &mut Rows, mean: &mut Rows) -> Result<()> {
        sum.resize(x.count(), x.width);
        kernels::add(&mut sum.values, &x.values);
        self.copy(sum, mean)?;
        self.scale(mean, 1.0 / count as f32)
    }

    fn dot_memory(
        &self,
        heads: usize,
        head_width: usize,
        lengths: &[usize],
        projected: &Rows,
        often: bool,
    ) -> Result<Memory> {
        let _running = profile::running(Step::Memory);
        let precision = if often { self.precision } else { kernels::Precision::F32 };
        let width = heads * head_width;
        let memory = AttentionMemory::new(precision, heads, width, lengths, &projected.values);
        Ok(Memory::Dot { memories: vec![(0, memory)], count: lengths.len(), heads, width })
    }

    fn plain_memory(&self, lengths: &[usize], keys: Rows, values: Rows) -> Result<Memory> {
        Ok(Memory::Plain { spans: spans(lengths).collect(), keys, values })
    }

    fn attend(
        &self,
        workspace: &mut Workspace,
        score: Score<'_, Self>,
        memory: &mut Memory,
        sentences: &[usize],
        queries: &Rows,
        beside: Option<&Rows>,
        out: &mut Rows,
        mut record: Option<Recorder<'_>>,
    ) -> Result<()> {
        let _running = profile::running(Step::Sentences);
        let (weights, distances) = workspace.attention();
        match (score, memory) {
            (Score::Dot { scale, relative }, Memory::Dot { memories, heads, width, .. }) => {
                let (heads, width, stride) = (*heads, *width, queries.width);
                out.overwrite(sentences.len(), width);
                let mut first = 0;
                // Vectors of distances make of every query its own bias.
                let together = if let Relative::Vectors(_) = relative { 1 } else { QUERIES };
                let blocks = sentences.chunk_by(|a, b| a == b).flat_map(|rows| rows.chunks(together).enumerate());
                for (block_of_sentence, block) in blocks {
                    let (sentence, rows) = (block[0], first..first + block.len());
                    let group = memories.partition_point(|&(first, _)| first <= sentence) - 1;
                    let (first_sentence, memory) = &memories[group];
                    let sentence = sentence - first_sentence;
                    let position = block_of_sentence * together;
                    let queries = &queries.values[rows.start * stride..rows.end * stride];
                    let out = &mut out.values[rows.start * width..rows.end * width];
                    match relative {
                        Relative::None => memory.attend(sentence, scale, None, queries, weights, out),
                        Relative::Bias(bias) => {
                            memory.attend(sentence, scale, Some((bias.into(), position)), queries, weights, out);
                        }
                        Relative::Vectors(vectors) => {
                            let vectors = kernels::RelativeVectors::from(vectors);
                            vectors.scores(&queries[..width], heads, scale, distances);
                            let bias = kernels::RelativeBias { values: distances, reach: vectors.reach };
                            memory.attend(sentence, scale, Some((bias, position)), queries, weights, out);
                            vectors.add_seen(weights, heads, position, out);
                        }
                    }
                    if let Some(record) = &mut record {
                        let each = weights.chunks_exact(heads * memory.length(sentence));
                        each.enumerate().for_each(|(row, weights)| record(rows.start + row, weights));
                    }
                    first = rows.end;
                }
                if let Some(beside) = beside {
                    out.put_before(beside);
                }
            }
            (Score::Additive { energy }, Memory::Plain { spans, keys, values }) => {
                let before = beside.map_or(0, |beside| beside.width);
                out.overwrite(sentences.len(), before + values.width);
                let rows = out.values.chunks_exact_mut(before + values.width).zip(queries.iter());
                for (row, ((out, query), &sentence)) in rows.zip(sentences).enumerate() {
                    let span = &spans[sentence];
                    let (first, context) = out.split_at_mut(before);
                    if let Some(beside) = beside {
                        first.copy_from_slice(beside.row(row));
                    }
                    weights.resize(span.len(), 0.0);
                    kernels::attend_additive(
                        query,
                        &keys.values[span.start * keys.width..span.end * keys.width],
                        energy,
                        &values.values[span.start * values.width..span.end * values.width],
                        weights,
                        context,
                    );
                    if let Some(record) = &mut record {
                        record(row, weights);
                    }
                }
            }
            _ => unreachable!("the memory was made for another score"),
        }
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
        let Memory::Plain { spans, keys, .. } = memory else { unreachable!("the memory was made for another score") };
        out.clear();
        let mut first = 0;
        for (query, &sentence) in queries.iter().zip(sentences) {
            let span = &spans[sentence];
            let keys = &keys.values[span.start * keys.width..span.end * keys.width];
            let start = out.len();
            out.resize(start + heads * span.len(), 0.0);
            let scores = &mut out[start..];
            match &comparison {
                Comparison::Dot => kernels::dot_scores(query, keys, heads, scores),
                Comparison::Cosine => {
                    kernels::dot_scores(query, keys, heads, scores);
                    kernels::divide_by_lengths(query, keys, heads, scores);
                }
                Comparison::Additive { energy, coverage } => {
                    let coverage = coverage.as_ref().map(|coverage| kernels::Coverage {
                        weight: coverage.weight,
                        sums: &coverage.sums[first..first + span.len()],
                    });
                    kernels::additive_scores(query, keys, energy, coverage, heads, scores);
                }
            }
            first += span.len();
        }
        Ok(())
    }

    fn weigh(
        &self,
        mut weights: &[f32],
        heads: usize,
        memory: &mut Memory,
        sentences: &[usize],
        beside: Option<&Rows>,
        out: &mut Rows,
    ) -> Result<()> {
        let Memory::Plain { spans, values, .. } = memory else { unreachable!("the memory was made for another score") };
        let before = beside.map_or(0, |beside| beside.width);
        out.overwrite(sentences.len(), before + values.width);
        let rows = out.values.chunks_exact_mut(before + values.width).enumerate();
        for ((row, out), &sentence) in rows.zip(sentences) {
            let span = &spans[sentence];
            let (first, context) = out.split_at_mut(before);
            if let Some(beside) = beside {
                first.copy_from_slice(beside.row(row));
            }
            let (own, rest) = weights.split_at(heads * span.len());
            weights = rest;
            kernels::weigh(own, &values.values[span.start * values.width..span.end * values.width], heads, context);
        }
        Ok(())
    }

    fn past(&self, layers: usize, rows: usize, heads: usize, head_width: usize) -> Past {
        let width = heads * head_width;
        let cache = Cache::new(self.precision, 2 * layers * width);
        Past { slots: Slots::new(rows, cache.block), cache, layers, heads, width }
    }

    // Their activations, of some megabytes, stay in the cache from one product to the next.
    const ENCODED_TOGETHER: usize = 512;
    const JOINS: bool = true;

    fn join_memory(&self, memory: &mut Memory, more: Memory) {
        let (Memory::Dot { memories, count, .. }, Memory::Dot { memories: more, count: further, .. }) = (memory, more)
        else {
            unreachable!("only what dot products read is joined");
        };
        memories.extend(more.into_iter().map(|(first, memory)| (*count + first, memory)));
        *count += further;
    }

    fn forget(&self, memory: &mut Memory, used: &[usize]) {
        let Memory::Dot { memories, count, .. } = memory else { return };
        // From the last, which reaches to the end, to the first.
        let mut end = *count;
        for at in (0..memories.len()).rev() {
            let first = memories[at].0;
            if !used.iter().any(|sentence| (first..end).contains(sentence)) {
                memories.remove(at);
            }
            end = first;
        }
    }

    fn join_past(&self, past: &mut Past, rows: usize) {
        past.slots.join(rows);
    }

    fn advance(&self, past: &mut Past) {
        past.slots.push();
    }

    fn attend_past(
        &self,
        workspace: &mut Workspace,
        past: &mut Past,
        layer: usize,
        scale: f32,
        relative: Relative<'_, Self>,
        projected: &Rows,
        out: &mut Rows,
        mut record: Option<Recorder<'_>>,
    ) -> Result<()> {
        let _running = profile::running(Step::Past);
        let Past { slots, cache, layers, heads, width } = past;
        let (heads, width) = (*heads, *width);
        let (weights, distances) = workspace.attention();
        // Here, because a decoder without self-attention needs none.
        cache.extend(slots.blocks(), *layers * 2 * cache.block * width);
        out.overwrite(projected.count(), width);
        for (row, (projected, out)) in projected.iter().zip(out.values.chunks_exact_mut(width)).enumerate() {
            let (query, key_value) = projected.split_at(width);
            let (key, value) = key_value.split_at(width);
            let past = slots.past(row);
            let length = past.len();
            weights.resize(heads * length, 0.0);
            cache.write(layer, past[length - 1] as usize, key, value);
            match relative {
                Relative::None => cache.attend(layer, query, past, heads, scale, None, weights, out),
                Relative::Bias(bias) => cache.attend(layer, query, past, heads, scale, Some(bias.into()), weights, out),
                Relative::Vectors(vectors) => {
                    let vectors = kernels::RelativeVectors::from(vectors);
                    vectors.scores(query, heads, scale, distances);
                    let bias = kernels::RelativeBias { values: distances, reach: vectors.reach };
                    cache.attend(layer, query, past, heads, scale, Some(bias), weights, out);
                    vectors.add_seen(weights, heads, length - 1, out);
                }
            }
            if let Some(record) = &mut record {
                record(row, weights);
            }
        }
        Ok(())
    }

    fn select_past(&self, past: &mut Past, rows: &[usize]) -> Result<()> {
        past.slots.select(rows);
        Ok(())
    }

    fn logits(
        &self,
        workspace: &mut Workspace,
        x: &Rows,
        matrix: &Matrix,
        bias: Option<&Vec<f32>>,
        logits: &mut Vec<f32>,
    ) -> Result<()> {
        let running = profile::running(Step::Output);
        matrix.count_product(&running, x.count());
        logits.resize(x.count() * matrix.outputs, 0.0);
        matrix.packed()?.multiply(workspace, &x.values, bias.map(Vec::as_slice), Activation::Identity, logits);
        Ok(())
    }

    fn top_k(
        &self,
        workspace: &mut Workspace,
        x: &Rows,
        matrix: &Matrix,
        bias: Option<&Vec<f32>>,
        k: usize,
        banned: &[u32],
        normalise: LogSumExp,
        best: &mut Vec<Scored>,
        log_sum_exp: &mut Vec<f32>,
    ) -> Result<()> {
        let running = profile::running(Step::Output);
        matrix.count_product(&running, x.count());
        let bias = bias.map(Vec::as_slice);
        let is_screened = normalise == LogSumExp::None;
        log_sum_exp.clear();
        if is_screened
            && let Some((screen, read)) = matrix.screened_rows(x.count())?
            && screen.top_k_by_rows(workspace, &x.values, bias, k, banned, best, read)?
        {
            return Ok(());
        }
        let packed = matrix.packed()?;
        match if is_screened { matrix.screen(packed) } else { None } {
            Some(screen) => screen.top_k(packed, workspace, &x.values, bias, k, banned, best),
            None => packed.top_k(workspace, &x.values, bias, k, banned, normalise, best, log_sum_exp),
        }
        Ok(())
    }
}
