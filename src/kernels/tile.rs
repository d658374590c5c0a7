//! The inner loops of the packed products: a tile of `M` rows by `P` panels of sixteen outputs held in registers.
//!
//! Whatever the tile, an output element is accumulated by the same chain of operations over the inputs in index order,
//! so results do not depend on how many rows or outputs are computed together.

use super::Activation;
use super::math::{self, Relu, Swish, Tanh};
use super::simd::{LANES, Simd, dispatch};
use std::ops::Range;

/// Panels whose weights are used for all rows before moving on, so that they are read once from memory and then from
/// the second-level cache. A multiple of every tile's `P`.
pub(super) const PANEL_BLOCK: usize = 24;

/// One operand pair: rows of activations and the packed weights.
pub(super) trait Operands: Copy {
    /// The products of rows `row..row + M` with panels `panel..panel + P`, without bias.
    ///
    /// # Safety
    /// Those rows and panels must exist.
    unsafe fn tile<S: Simd, const M: usize, const P: usize>(self, simd: S, row: usize, panel: usize) -> [[S::F; P]; M];
}

/// `f32` rows and panels `[panel][input][lane]`.
#[derive(Clone, Copy)]
pub(super) struct F32Operands<'a> {
    pub(super) x: &'a [f32],
    pub(super) weights: &'a [f32],
    pub(super) inputs: usize,
}

impl Operands for F32Operands<'_> {
    #[inline(always)]
    unsafe fn tile<S: Simd, const M: usize, const P: usize>(self, simd: S, row: usize, panel: usize) -> [[S::F; P]; M] {
        debug_assert!((row + M) * self.inputs <= self.x.len());
        debug_assert!((panel + P) * self.inputs * LANES <= self.weights.len());
        let stride = self.inputs * LANES;
        let mut acc = [[simd.splat(0.0); P]; M];
        // SAFETY: the rows and panels exist, and `input` stays below `inputs`.
        unsafe {
            let x = self.x.as_ptr().add(row * self.inputs);
            let weights = self.weights.as_ptr().add(panel * stride);
            for input in 0..self.inputs {
                let mut w = [simd.splat(0.0); P];
                for p in 0..P {
                    w[p] = simd.load(weights.add(p * stride + input * LANES));
                }
                for m in 0..M {
                    let x = simd.splat(*x.add(m * self.inputs + input));
                    for p in 0..P {
                        acc[m][p] = simd.fma(x, w[p], acc[m][p]);
                    }
                }
            }
        }
        acc
    }
}

/// Quantised rows `[row][inputs rounded up to 4]` and panels `[panel][group of 4 inputs][lane][4]`.
#[derive(Clone, Copy)]
pub(super) struct Int8Operands<'a> {
    pub(super) x: &'a [u8],
    /// One for each row.
    pub(super) row_scales: &'a [f32],
    pub(super) weights: &'a [i8],
    /// One for each output of a whole number of panels.
    pub(super) scales: &'a [f32],
    /// `-128 · Σ weights` of each output: undoes the offset of unsigned activations.
    pub(super) corrections: &'a [i32],
    /// Number of groups of four inputs.
    pub(super) groups: usize,
}

impl Operands for Int8Operands<'_> {
    #[inline(always)]
    unsafe fn tile<S: Simd, const M: usize, const P: usize>(self, simd: S, row: usize, panel: usize) -> [[S::F; P]; M] {
        debug_assert!((row + M) * self.groups * 4 <= self.x.len() && row + M <= self.row_scales.len());
        debug_assert!((panel + P) * self.groups * 4 * LANES <= self.weights.len());
        let stride = self.groups * 4 * LANES;
        let mut acc = [[simd.splat_i32(0); P]; M];
        let mut out = [[simd.splat(0.0); P]; M];
        // SAFETY: the rows and panels exist, `group` stays below `groups`, and scales and corrections cover every panel.
        unsafe {
            if S::ACTIVATION_OFFSET != 0 {
                for p in 0..P {
                    let correction = simd.load_i32(self.corrections.as_ptr().add((panel + p) * LANES));
                    for row in &mut acc {
                        row[p] = correction;
                    }
                }
            }
            let x = self.x.as_ptr().add(row * self.groups * 4);
            let weights = self.weights.as_ptr().add(panel * stride);
            for group in 0..self.groups {
                for m in 0..M {
                    let x = x.add((m * self.groups + group) * 4).cast::<i32>().read_unaligned();
                    for p in 0..P {
                        acc[m][p] = simd.dot4(acc[m][p], x, weights.add(p * stride + group * 4 * LANES));
                    }
                }
            }
            for p in 0..P {
                let scale = simd.load(self.scales.as_ptr().add((panel + p) * LANES));
                for m in 0..M {
                    let row_scale = simd.splat(*self.row_scales.get_unchecked(row + m));
                    out[m][p] = simd.mul(simd.convert(acc[m][p]), simd.mul(scale, row_scale));
                }
            }
        }
        out
    }
}

/// Where a product goes: element `(r, o)` to `pointer + (r - first_row) · stride + (o - first_output)`.
#[derive(Clone, Copy)]
pub(super) struct Output<'a> {
    /// Start of the destination.
    pub(super) pointer: *mut f32,
    /// Distance between rows.
    pub(super) stride: usize,
    /// The row that goes to the start.
    pub(super) first_row: usize,
    /// The output that goes into column 0.
    pub(super) first_output: usize,
    /// Outputs of the whole matrix; the last panel may reach beyond.
    pub(super) outputs: usize,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) activation: Activation,
}

impl Output<'_> {
    /// Where element `(row, output)` goes.
    ///
    /// # Safety
    /// It must lie in the destination.
    #[inline(always)]
    unsafe fn at(&self, row: usize, output: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.pointer.add((row - self.first_row) * self.stride + output - self.first_output) }
    }
}

// SAFETY: tasks write disjoint outputs through the pointer.
unsafe impl Send for Output<'_> {}
// SAFETY: as above.
unsafe impl Sync for Output<'_> {}

dispatch!(pub(super) unsafe fn product_f32(operands: F32Operands<'_>, rows: Range<usize>, panels: Range<usize>, output: Output<'_>) = product);
dispatch!(pub(super) unsafe fn product_int8(operands: Int8Operands<'_>, rows: Range<usize>, panels: Range<usize>, output: Output<'_>) = product);

/// Computes `rows` by `panels` of a product.
///
/// # Safety
/// The rows and panels must exist in the operands, and `output` must be valid for writing them, by nobody else
/// meanwhile.
#[inline(always)]
unsafe fn product<S: Simd, O: Operands>(
    simd: S,
    operands: O,
    rows: Range<usize>,
    panels: Range<usize>,
    output: Output<'_>,
) {
    let mut first = panels.start;
    while first < panels.end {
        let block = first..panels.end.min(first + PANEL_BLOCK);
        let mut row = rows.start;
        // SAFETY (of each call): the caller's promise; a strip covers rows `row..row + M` within `rows`.
        unsafe {
            macro_rules! strips {
                ($m:literal, $p:literal) => {
                    strips::<S, O, $m, $p>(simd, operands, &mut row, rows.end, block.clone(), output)
                };
            }
            match S::REGISTERS {
                32 => {
                    strips!(8, 3);
                    match rows.end - row {
                        1 => strips!(1, 8),
                        2 => strips!(2, 8),
                        3 => strips!(3, 6),
                        4 => strips!(4, 6),
                        5 => strips!(5, 4),
                        6 => strips!(6, 4),
                        7 => strips!(7, 3),
                        _ => {}
                    }
                }
                8 => {
                    strips!(6, 1);
                    match rows.end - row {
                        1 => strips!(1, 4),
                        2 => strips!(2, 2),
                        3 => strips!(3, 1),
                        4 => strips!(4, 1),
                        5 => strips!(5, 1),
                        _ => {}
                    }
                }
                _ => {
                    strips!(2, 1);
                    strips!(1, 2);
                }
            }
        }
        first = block.end;
    }
}

/// All strips of exactly `M` rows that fit from `*row` on: each panel group is used for all of them in turn.
///
/// # Safety
/// As for [`product`].
#[inline(always)]
unsafe fn strips<S: Simd, O: Operands, const M: usize, const P: usize>(
    simd: S,
    operands: O,
    row: &mut usize,
    end: usize,
    panels: Range<usize>,
    output: Output<'_>,
) {
    let count = (end - *row) / M;
    if count == 0 {
        return;
    }
    let mut panel = panels.start;
    while panel < panels.end {
        let width = if panel + P <= panels.end { P } else { 1 };
        for strip in 0..count {
            let row = *row + strip * M;
            // SAFETY: the caller's promise.
            unsafe {
                if width == P {
                    let acc = operands.tile::<S, M, P>(simd, row, panel);
                    finish(simd, acc, row, panel, output);
                } else {
                    let acc = operands.tile::<S, M, 1>(simd, row, panel);
                    finish(simd, acc, row, panel, output);
                }
            }
        }
        panel += width;
    }
    *row += count * M;
}

/// Adds the bias, stores the tile and applies the activation to it.
///
/// # Safety
/// As for [`product`].
#[inline(always)]
unsafe fn finish<S: Simd, const M: usize, const P: usize>(
    simd: S,
    acc: [[S::F; P]; M],
    row: usize,
    panel: usize,
    output: Output<'_>,
) {
    let first = panel * LANES;
    let whole = (panel + P) * LANES <= output.outputs;
    for p in 0..P {
        let first = first + p * LANES;
        let left = LANES.min(output.outputs - first);
        let mut bias = simd.splat(0.0);
        if let Some(values) = output.bias {
            bias = if left == LANES { simd.read(&values[first..]) } else { simd.read_tail(&values[first..], 0.0) };
        }
        for (m, acc) in acc.iter().enumerate() {
            // SAFETY: row and outputs lie in the destination by the caller's promise; `left` keeps to the last output.
            unsafe {
                let to = output.at(row + m, first);
                let value = simd.add(acc[p], bias);
                if left == LANES {
                    simd.store(to, value);
                } else {
                    simd.write_tail(std::slice::from_raw_parts_mut(to, left), value);
                }
            }
        }
    }
    if output.activation != Activation::Identity {
        let width = if whole { P * LANES } else { output.outputs - first };
        for m in 0..M {
            // SAFETY: as above.
            let values = unsafe {
                let from = output.at(row + m, first);
                std::slice::from_raw_parts_mut(from, width)
            };
            match output.activation {
                Activation::Identity => {}
                Activation::Relu => math::map(simd, Relu, values),
                Activation::Swish => math::map(simd, Swish, values),
                Activation::Tanh => math::map(simd, Tanh, values),
                Activation::Gelu | Activation::GeluTanh => output.activation.apply(values),
            }
        }
    }
}

dispatch!(pub(super) fn quantise_rows(x: &[f32], inputs: usize, quantised: &mut [u8], scales: &mut [f32]) = quantise_rows_generic);

/// Quantises each row of `x` `[rows, inputs]` to `round(127 · x / max |x|)`, padded with zeros to whole groups of four
/// in `quantised`, and keeps `max |x| / 127` in `scales` `[rows]`.
#[inline(always)]
fn quantise_rows_generic<S: Simd>(simd: S, x: &[f32], inputs: usize, quantised: &mut [u8], scales: &mut [f32]) {
    let padded = inputs.next_multiple_of(4);
    for ((x, quantised), scale) in x.chunks_exact(inputs).zip(quantised.chunks_exact_mut(padded)).zip(scales) {
        let (chunks, tail) = x.as_chunks::<LANES>();
        let mut max = simd.splat(0.0);
        for chunk in chunks {
            max = simd.max(max, simd.abs(simd.read(chunk)));
        }
        if !tail.is_empty() {
            max = simd.max(max, simd.abs(simd.read_tail(tail, 0.0)));
        }
        let max = simd.reduce_max(max);
        *scale = max / 127.0;
        let inverse = simd.splat(if max > 0.0 { 127.0 / max } else { 0.0 });
        let (bytes, bytes_tail) = quantised.as_chunks_mut::<LANES>();
        for (chunk, bytes) in chunks.iter().zip(bytes) {
            // SAFETY: `bytes` is an array of sixteen bytes.
            unsafe { simd.store_quantised(bytes.as_mut_ptr(), simd.mul(simd.read(chunk), inverse)) };
        }
        if !tail.is_empty() {
            let mut bytes = [0; LANES];
            // SAFETY: as above.
            unsafe { simd.store_quantised(bytes.as_mut_ptr(), simd.mul(simd.read_tail(tail, 0.0), inverse)) };
            if bytes_tail.is_empty() {
                // Thirteen to fifteen inputs are left, and their padding completes sixteen bytes.
                let start = quantised.len() - LANES;
                quantised[start..].copy_from_slice(&bytes);
            } else {
                let length = bytes_tail.len();
                bytes_tail.copy_from_slice(&bytes[..length]);
            }
        }
    }
}
