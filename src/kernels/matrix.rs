//! Weight matrices packed once at load, multiplied many times.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::digits::{self, Int8Operands};
use super::simd::{InstructionSet, LANES};
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use super::simd::{amx::AmxTiles, tiles::TILE_GROUPS};
use super::tile::{self, F32Operands, Output};
#[cfg(any(test, all(target_arch = "x86_64", target_os = "linux")))]
use super::tile_products;
use super::workspace::Scratch;
use super::{Activation, Workspace};

/// The arithmetic a packed matrix is stored and multiplied in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats: the reference.
    #[default]
    F32,
    /// 8-bit weights with one scale per output, 8-bit activations with one scale per row, exact 32-bit sums.
    Int8,
    /// The same with 16 bits: weights and activations are integers of two 8-bit digits, and sums are as exact.
    Int16,
}

impl Precision {
    /// 8-bit digits of an integer; none of floats.
    const fn digits(self) -> usize {
        match self {
            Self::F32 => 0,
            Self::Int8 => 1,
            Self::Int16 => 2,
        }
    }

    /// Bytes of an element.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Int8 => 1,
            Self::Int16 => 2,
        }
    }

    /// The most inputs a matrix may have: with more, exact sums would not fit 32 bits.
    pub const fn most_inputs(self) -> usize {
        match self {
            Self::F32 => usize::MAX,
            Self::Int8 | Self::Int16 => digits::most_inputs(self.digits()),
        }
    }
}

/// A weight matrix `[outputs, inputs]` (the layout of a PyTorch `Linear`), packed for `y = x Wᵀ`.
///
/// There is one copy of the weights: panels of sixteen outputs, in which the inputs follow one another (for int8 in
/// groups of four, for int16 first the high digits and then the low ones). The same copy serves one row, many rows, and
/// embedding look-ups. In `f32` each output element is one chain of fused multiply-adds over the inputs in index order,
/// whatever the number of rows or threads and whatever the instruction set; in int8 and int16 the sums are exact integers.
#[derive(Debug)]
pub struct PackedMatrix {
    outputs: usize,
    inputs: usize,
    weights: Weights,
    /// Whether activations of one digit are rounded in steps from zero, and not from the middle of their row.
    rounds_from_zero: bool,
}

#[derive(Debug)]
enum Weights {
    /// Panels `[panel][input][lane]`, zeros beyond the last output.
    F32(Vec<Line>),
    /// Integers of one or two digits in panels `[panel][digit][group of 4 inputs][lane][4]`, zeros beyond the last output and
    /// input.
    Integers {
        digits: usize,
        lines: Panels,
        /// One for each output, zeros up to whole panels.
        scales: Vec<f32>,
        /// `-128 · Σ weights` likewise, `[panel][digit][lane]`.
        corrections: Vec<i32>,
    },
}

/// Bytes that several matrices take their panels from: a file in memory.
pub type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Where the panels of integers lie.
enum Panels {
    Own(Vec<Line>),
    Shared(SharedBytes, Range<usize>),
}

impl Panels {
    fn as_i8(&self) -> &[i8] {
        let bytes = match self {
            Self::Own(lines) => return as_i8(lines),
            Self::Shared(bytes, range) => &(**bytes).as_ref()[range.clone()],
        };
        // SAFETY: signed bytes of the same length.
        unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
    }
}

impl fmt::Debug for Panels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if matches!(self, Self::Own(_)) { "own" } else { "shared" };
        write!(f, "Panels({kind}, {} bytes)", self.as_i8().len())
    }
}

/// An int8 matrix `[outputs, inputs]` as a file keeps it, or a part of one: the rows above or below another's.
#[derive(Clone)]
pub struct StoredInt8 {
    /// Number of rows.
    pub outputs: usize,
    /// The values, each in -127..=127, in panels `[outputs / 16][inputs / 4][16][4]`, both rounded up, zeros beyond: value
    /// `(o, i)` is at `[o / 16][i / 4][o % 16][i % 4]`.
    pub values: (SharedBytes, Range<usize>),
    /// Whether they are not in panels but row-major, `[outputs][inputs]`.
    pub row_major: bool,
    /// What the values of each row are multiplied by, `[outputs]`.
    pub scales: Vec<f32>,
    /// The sum of each row's values, `[outputs]`.
    pub sums: Vec<i32>,
}

impl fmt::Debug for StoredInt8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredInt8({} rows at {:?})", self.outputs, self.values.1)
    }
}

/// One cache line: sixteen `f32` or sixty-four `i8`.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([f32; LANES]);

const ZERO_LINE: Line = Line([0.0; LANES]);

/// Lines of zeros, in pages of two megabytes where the system has them: a decoding step walks through all weights, and with
/// small pages each of them costs a look-up of its address.
fn zero_lines(count: usize) -> Vec<Line> {
    let mut lines = Vec::with_capacity(count);
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 1 << 12;
        let start = lines.as_ptr() as usize;
        let (first, end) = (start.next_multiple_of(PAGE), (start + count * size_of::<Line>()) / PAGE * PAGE);
        if end > first {
            // SAFETY: the pages lie wholly inside this allocation, and the advice changes nothing about their contents.
            // Where it is refused nothing is lost.
            unsafe { libc::madvise(first as *mut libc::c_void, end - first, libc::MADV_HUGEPAGE) };
        }
    }
    lines.resize(count, ZERO_LINE);
    lines
}

fn as_f32(lines: &[Line]) -> &[f32] {
    // SAFETY: a `Line` is exactly sixteen `f32`.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * LANES) }
}

fn as_i8(lines: &[Line]) -> &[i8] {
    // SAFETY: a `Line` is exactly 64 initialised bytes.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * LANES * 4) }
}

fn as_i8_mut(lines: &mut [Line]) -> &mut [i8] {
    // SAFETY: as above, and any bytes make an `f32`.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * LANES * 4) }
}

impl PackedMatrix {
    /// Packs `weight`, row-major `[outputs, inputs]`.
    ///
    /// # Panics
    /// If `weight.len() != outputs * inputs` or either is zero.
    pub fn pack(weight: &[f32], outputs: usize, inputs: usize, precision: Precision) -> Self {
        assert_eq!(weight.len(), outputs * inputs, "weight is not [outputs, inputs]");
        let mut packer = Packer::new(outputs, inputs, precision);
        packer.push(weight);
        packer.finish()
    }

    /// Packs a matrix that need not be in memory: `read` brings its rows from a given one on, `[any number, inputs]`.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn of_rows<E>(
        outputs: usize,
        inputs: usize,
        precision: Precision,
        read: impl Fn(usize, &mut [f32]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut packer = Packer::new(outputs, inputs, precision);
        each_row(outputs, inputs, read, |_, row| packer.push(row))?;
        Ok(packer.finish())
    }

    /// The matrix of the given parts `[…, inputs]`, one below the other. Parts whose panels follow one another in the same
    /// bytes are used where they lie; others are copied.
    ///
    /// # Panics
    /// If a part is not of that size.
    pub fn from_stored(inputs: usize, parts: &[StoredInt8]) -> Self {
        let groups = inputs.div_ceil(4);
        let outputs: usize = parts.iter().map(|part| part.outputs).sum();
        assert!(outputs > 0 && inputs > 0, "an empty matrix cannot be used");
        let mut scales = vec![0.0; outputs.next_multiple_of(LANES)];
        let mut corrections = vec![0; outputs.next_multiple_of(LANES)];
        let mut first = 0;
        for part in parts {
            let size = if part.row_major { part.outputs * inputs } else { part.outputs.div_ceil(LANES) * groups * 64 };
            assert_eq!(part.values.1.len(), size, "values of another size");
            scales[first..first + part.outputs].copy_from_slice(&part.scales);
            let sums = corrections[first..first + part.outputs].iter_mut().zip(&part.sums);
            sums.for_each(|(correction, sum)| *correction = sum.wrapping_mul(-128));
            first += part.outputs;
        }
        let address = |part: &StoredInt8| (*part.values.0).as_ref().as_ptr();
        let follows = |pair: &[StoredInt8]| {
            pair[0].outputs.is_multiple_of(LANES)
                && address(&pair[0]) == address(&pair[1])
                && pair[0].values.1.end == pair[1].values.1.start
        };
        let lines = if parts.windows(2).all(follows) && !parts.iter().any(|part| part.row_major) {
            let range = parts[0].values.1.start..parts[parts.len() - 1].values.1.end;
            Panels::Shared(Arc::clone(&parts[0].values.0), range)
        } else {
            let mut lines = zero_lines(outputs.div_ceil(LANES) * groups);
            let to = as_i8_mut(&mut lines);
            let mut first = 0;
            for part in parts {
                let from = Panels::Shared(Arc::clone(&part.values.0), part.values.1.clone());
                let from = from.as_i8();
                for row in 0..part.outputs {
                    let start = |row: usize| row / LANES * groups * 64 + row % LANES * 4;
                    let to = to[start(first + row)..].chunks_mut(64).take(groups);
                    if part.row_major {
                        let values = from[row * inputs..][..inputs].chunks(4);
                        to.zip(values).for_each(|(to, from)| to[..from.len()].copy_from_slice(from));
                    } else {
                        let groups = from[start(row)..].chunks(64);
                        to.zip(groups).for_each(|(to, from)| to[..4].copy_from_slice(&from[..4]));
                    }
                }
                first += part.outputs;
            }
            Panels::Own(lines)
        };
        let weights = Weights::Integers { digits: 1, lines, scales, corrections };
        Self { outputs, inputs, weights, rounds_from_zero: false }
    }

    /// What a file is to keep of an int8 matrix: panels, scales and sums as in [`StoredInt8`]; `None` of any other.
    pub fn stored(&self) -> Option<(&[i8], &[f32], Vec<i32>)> {
        let Weights::Integers { digits: 1, lines, scales, corrections } = &self.weights else { return None };
        let sums = corrections[..self.outputs].iter().map(|correction| correction / -128).collect();
        Some((lines.as_i8(), &scales[..self.outputs], sums))
    }

    /// Number of output features.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Number of input features.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Number of its elements.
    pub fn elements(&self) -> usize {
        self.outputs * self.inputs
    }

    /// Bytes of its elements as they are stored; a product reads all of them.
    pub fn bytes(&self) -> usize {
        self.precision().bytes() * self.elements()
    }

    /// The arithmetic of this matrix.
    pub fn precision(&self) -> Precision {
        match self.weights {
            Weights::F32(_) => Precision::F32,
            Weights::Integers { digits: 1, .. } => Precision::Int8,
            Weights::Integers { .. } => Precision::Int16,
        }
    }

    /// Copies row `output` of the weight, `[inputs]`, into `into`: an embedding look-up in a tied matrix. A matrix
    /// of integers gives back the values its products use.
    ///
    /// # Panics
    /// If there is no such output or `into.len() != inputs`.
    pub fn row(&self, output: usize, into: &mut [f32]) {
        assert!(output < self.outputs, "no such output");
        assert_eq!(into.len(), self.inputs, "into is not [inputs]");
        let (panel, lane) = (output / LANES, output % LANES);
        match &self.weights {
            Weights::F32(lines) => {
                let panel = &lines[panel * self.inputs..][..self.inputs];
                into.iter_mut().zip(panel).for_each(|(into, line)| *into = line.0[lane]);
            }
            &Weights::Integers { digits, ref lines, ref scales, .. } => {
                let groups = self.inputs.div_ceil(4);
                let panel = &lines.as_i8()[panel * digits * groups * 64..][..digits * groups * 64];
                for (input, into) in into.iter_mut().enumerate() {
                    let at = input / 4 * 64 + lane * 4 + input % 4;
                    let integer = digits::integer((0..digits).map(|digit| panel[digit * groups * 64 + at]));
                    *into = integer * scales[output];
                }
            }
        }
    }

    /// `out[r, o] = activation(Σ_i x[r, i] · W[o, i] + bias[o])` for `x` `[rows, inputs]` and `out` `[rows, outputs]`.
    ///
    /// # Panics
    /// If a slice has another size.
    pub fn multiply(
        &self,
        workspace: &mut Workspace,
        x: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        out: &mut [f32],
    ) {
        let rows = self.rows_of(x, bias);
        assert_eq!(out.len(), rows * self.outputs, "out is not [rows, outputs]");
        let Workspace { set, pool, scratch, .. } = workspace;
        let lhs = self.prepare(*set, x, rows, scratch);
        let output = Output::whole(out, self.outputs, bias, activation);
        let panels = self.panels();
        let tasks = match rows * self.outputs * self.inputs {
            0..WORTH_FORKING => 1,
            _ => pool.threads().min(panels.div_ceil(8)),
        };
        pool.run(tasks, |task| {
            // Whole groups of eight panels to each task.
            let bound = |task: usize| (panels.div_ceil(8) * task / tasks * 8).min(panels);
            // SAFETY: `out` is `[rows, outputs]`, and the tasks' panels are disjoint.
            unsafe { self.product(*set, lhs, 0..rows, bound(task)..bound(task + 1), output) };
        });
    }

    /// Number of rows of `x`, after checking the sizes.
    pub(super) fn rows_of(&self, x: &[f32], bias: Option<&[f32]>) -> usize {
        assert_eq!(x.len() % self.inputs, 0, "x is not [rows, inputs]");
        assert!(bias.is_none_or(|bias| bias.len() == self.outputs), "bias is not [outputs]");
        x.len() / self.inputs
    }

    /// Panels of sixteen outputs, the last one perhaps partial.
    pub(super) fn panels(&self) -> usize {
        self.outputs.div_ceil(LANES)
    }

    /// The left-hand side of a product in the form this matrix takes it: as it is, or quantised into `scratch`.
    pub(super) fn prepare<'a>(
        &self,
        set: InstructionSet,
        x: &'a [f32],
        rows: usize,
        scratch: &'a mut Scratch,
    ) -> LeftHandSide<'a> {
        let Weights::Integers { digits, .. } = self.weights else { return LeftHandSide::F32(x) };
        // Tiles read whole sixteens of rows.
        let behind = if set == InstructionSet::Amx { 16 } else { 0 };
        let size = (rows + behind) * digits * self.inputs.next_multiple_of(4);
        let quantised = at_least(&mut scratch.quantised, size);
        let steps = at_least(&mut scratch.steps, rows);
        self.quantise(set, x, digits, set.activation_offset(), quantised, steps);
        LeftHandSide::Integers(quantised, steps)
    }

    /// Activations as integers of so many digits.
    fn quantise(
        &self,
        set: InstructionSet,
        x: &[f32],
        digits: usize,
        offset: u8,
        quantised: &mut [u8],
        steps: &mut [digits::Steps],
    ) {
        if digits == 1 && !self.rounds_from_zero {
            digits::quantise_shifted_rows(set, x, self.inputs, offset, quantised, steps);
        } else {
            digits::quantise_rows(set, x, self.inputs, digits, offset, quantised, steps);
        }
    }

    /// The same matrix, but for activations of one digit, which are rounded in steps from zero: of those, bounds are known.
    pub(super) fn rounding_from_zero(self) -> Self {
        Self { rounds_from_zero: true, ..self }
    }

    /// Computes `rows` by `panels` of the product into `output`.
    ///
    /// # Safety
    /// `output` must be valid for writing those rows and outputs, by nobody else meanwhile; `lhs` must come from
    /// [`Self::prepare`] with at least `rows.end` rows.
    pub(super) unsafe fn product(
        &self,
        set: InstructionSet,
        lhs: LeftHandSide<'_>,
        rows: Range<usize>,
        panels: Range<usize>,
        output: Output<'_>,
    ) {
        match (&self.weights, lhs) {
            (Weights::F32(lines), LeftHandSide::F32(x)) => {
                let operands = F32Operands { x, weights: as_f32(lines), inputs: self.inputs };
                // SAFETY: the caller's promise; there are `panels()` panels.
                unsafe { tile::product_f32(set, operands, rows, panels, output) }
            }
            (
                &Weights::Integers { digits, ref lines, ref scales, ref corrections },
                LeftHandSide::Integers(x, steps),
            ) => {
                let groups = self.inputs.div_ceil(4);
                let (weights, bias) = (lines.as_i8(), output.bias);
                let operands = Int8Operands { digits, x, steps, weights, scales, corrections, groups, bias };
                let output = Output { bias: None, ..output };
                #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
                if set == InstructionSet::Amx
                    && rows.len() >= tile_products::WORTH_TILES
                    && groups.is_multiple_of(TILE_GROUPS)
                {
                    // SAFETY: the instruction set was detected.
                    let tiles = unsafe { AmxTiles::configure() };
                    // SAFETY: the caller's promise.
                    return unsafe { tile_products::product_in_tiles(&tiles, set, operands, rows, panels, output) };
                }
                // SAFETY: as above.
                unsafe { digits::product_int8(set, operands, rows, panels, output) }
            }
            _ => unreachable!("the left-hand side was prepared for another matrix"),
        }
    }
}

#[cfg(test)]
impl PackedMatrix {
    /// [`Self::multiply`] with tiles in plain Rust. There must be whole tiles of inputs, and panels in pairs.
    pub(super) fn multiply_in_plain_tiles(&self, x: &[f32], bias: &[f32], activation: Activation) -> Vec<f32> {
        let Weights::Integers { digits, ref lines, ref scales, ref corrections } = self.weights else {
            unreachable!("tiles are of integers")
        };
        assert!(self.panels().is_multiple_of(2), "what is left over would not be in tiles");
        let (rows, set) = (x.len() / self.inputs, InstructionSet::detect());
        let mut quantised = vec![0; (rows + 16) * digits * self.inputs];
        let mut steps = vec![digits::Steps::default(); rows];
        self.quantise(set, x, digits, 128, &mut quantised, &mut steps);
        let (x, steps, weights) = (&quantised[..], &steps[..], lines.as_i8());
        let (groups, bias) = (self.inputs / 4, Some(bias));
        let operands = Int8Operands { digits, x, steps, weights, scales, corrections, groups, bias };
        let mut out = vec![f32::NAN; rows * self.outputs];
        let output = Output::whole(&mut out, self.outputs, None, activation);
        let tiles = super::simd::tiles::PlainTiles;
        // SAFETY: `out` is `[rows, outputs]`.
        unsafe { tile_products::product_in_tiles(&tiles, set, operands, 0..rows, 0..self.panels(), output) };
        out
    }
}

/// Multiplications below which forking costs more than it saves.
pub(super) const WORTH_FORKING: usize = 1 << 16;

/// Activations ready for a product.
#[derive(Clone, Copy)]
pub(super) enum LeftHandSide<'a> {
    /// `[rows, inputs]`.
    F32(&'a [f32]),
    /// `[rows, digits, inputs rounded up to 4]` and how each row is read.
    Integers(&'a [u8], &'a [digits::Steps]),
}

/// The first `size` elements of a buffer that grows as needed and never shrinks.
pub(super) fn at_least<T: Clone + Default>(buffer: &mut Vec<T>, size: usize) -> &mut [T] {
    if buffer.len() < size {
        buffer.resize(size, T::default());
    }
    &mut buffer[..size]
}

/// Reads a matrix `[outputs, inputs]` a few rows at a time, as [`PackedMatrix::of_rows`] does, and hands on each with its number.
pub(super) fn each_row<E>(
    outputs: usize,
    inputs: usize,
    read: impl Fn(usize, &mut [f32]) -> Result<(), E>,
    mut visit: impl FnMut(usize, &[f32]),
) -> Result<(), E> {
    /// Few enough for the cache.
    const TOGETHER: usize = 32;
    let mut rows = vec![0.0; TOGETHER * inputs];
    for first in (0..outputs).step_by(TOGETHER) {
        let rows = &mut rows[..TOGETHER.min(outputs - first) * inputs];
        read(first, rows)?;
        (first..).zip(rows.chunks_exact(inputs)).for_each(|(output, row)| visit(output, row));
    }
    Ok(())
}

/// Packs a matrix a few rows at a time, so that the whole of it need not be in memory unpacked.
#[derive(Debug)]
pub struct Packer {
    matrix: PackedMatrix,
    /// Rows packed so far.
    filled: usize,
    /// One row in digits.
    quantised: Vec<u8>,
}

impl Packer {
    /// Begins a matrix of the given size.
    ///
    /// # Panics
    /// If a size is zero or there are more than [`Precision::most_inputs`].
    pub fn new(outputs: usize, inputs: usize, precision: Precision) -> Self {
        assert!(outputs > 0 && inputs > 0, "an empty matrix cannot be packed");
        assert!(inputs <= precision.most_inputs(), "too many inputs for exact sums");
        let digits = precision.digits();
        let (panels, groups) = (outputs.div_ceil(LANES), inputs.div_ceil(4));
        let weights = match precision {
            Precision::F32 => Weights::F32(zero_lines(panels * inputs)),
            Precision::Int8 | Precision::Int16 => Weights::Integers {
                digits,
                lines: Panels::Own(zero_lines(panels * digits * groups)),
                scales: vec![0.0; panels * LANES],
                corrections: vec![0; panels * digits * LANES],
            },
        };
        let matrix = PackedMatrix { outputs, inputs, weights, rounds_from_zero: false };
        Self { matrix, filled: 0, quantised: vec![0; digits * groups * 4] }
    }

    /// Adds the next rows, `[any number, inputs]`.
    ///
    /// # Panics
    /// If `rows` is not whole rows or there are more of them than outputs.
    pub fn push(&mut self, rows: &[f32]) {
        let inputs = self.matrix.inputs;
        assert_eq!(rows.len() % inputs, 0, "not whole rows");
        assert!(self.filled + rows.len() / inputs <= self.matrix.outputs, "more rows than outputs");
        for row in rows.chunks_exact(inputs) {
            let (panel_index, lane) = (self.filled / LANES, self.filled % LANES);
            match &mut self.matrix.weights {
                Weights::F32(lines) => {
                    let panel = &mut lines[panel_index * inputs..][..inputs];
                    panel.iter_mut().zip(row).for_each(|(line, &w)| line.0[lane] = w);
                }
                &mut Weights::Integers { digits, ref mut lines, ref mut scales, ref mut corrections } => {
                    let (set, mut steps) = (InstructionSet::detect(), [digits::Steps::default()]);
                    digits::quantise_rows(set, row, inputs, digits, 0, &mut self.quantised, &mut steps);
                    scales[self.filled] = steps[0].scale;
                    let Panels::Own(lines) = lines else { unreachable!("a packer packs into lines of its own") };
                    let panel = &mut as_i8_mut(lines)[panel_index * self.quantised.len() * LANES..];
                    let mut groups = panel.as_chunks_mut::<64>().0.iter_mut();
                    for (digit, values) in self.quantised.chunks_exact(self.quantised.len() / digits).enumerate() {
                        let mut sum = 0;
                        for (values, group) in values.as_chunks::<4>().0.iter().zip(&mut groups) {
                            let values = values.map(|byte| byte as i8);
                            group[lane * 4..][..4].copy_from_slice(&values);
                            sum += values.iter().map(|&value| i32::from(value)).sum::<i32>();
                        }
                        corrections[(panel_index * digits + digit) * LANES + lane] = -128 * sum;
                    }
                }
            }
            self.filled += 1;
        }
    }

    /// The row of a matrix of integers that was packed last, `[inputs]`, as its products use it.
    pub(super) fn last_row(&self, into: &mut [f32]) {
        let Weights::Integers { digits, scales, .. } = &self.matrix.weights else { unreachable!("it rounds nothing") };
        let (scale, length) = (scales[self.filled - 1], self.quantised.len() / digits);
        for (input, into) in into.iter_mut().enumerate() {
            let integer = digits::integer((0..*digits).map(|digit| self.quantised[digit * length + input] as i8));
            *into = integer * scale;
        }
    }

    /// The matrix.
    ///
    /// # Panics
    /// If rows are missing.
    pub fn finish(self) -> PackedMatrix {
        assert_eq!(self.filled, self.matrix.outputs, "rows are missing");
        self.matrix
    }
}
