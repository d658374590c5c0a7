//! The inner loops of the packed products: a tile of `M` rows by `P` panels of sixteen outputs held in registers.
//!
//! Whatever the tile, an output element is accumulated by the same chain of operations over the inputs in index order,
//! so results do not depend on how many rows or outputs are computed together.

use super::Activation;
use super::math::{self, LaneFunction, Relu, Swish, Tanh};
use super::simd::{LANES, Simd, dispatch};
use std::ops::Range;

/// Panels whose weights are used for all rows before moving on, so that they are read once from memory and then from
/// the second-level cache. A multiple of every tile's `P`.
pub(super) const PANEL_BLOCK: usize = 24;

/// One operand pair: rows of activations and the packed weights.
pub(super) trait Operands: Copy {
    /// Vectors of sums that make one vector of the product.
    const SUMS: usize = 1;

    /// The products of rows `row..row + M` with panels `panel..panel + P`, without bias.
    ///
    /// While it computes, the lines of `upcoming` are brought into the second-level cache: weights needed soon.
    ///
    /// # Safety
    /// Those rows and panels must exist.
    unsafe fn tile<S: Simd, const M: usize, const P: usize>(
        self,
        simd: S,
        row: usize,
        panel: usize,
        upcoming: Upcoming,
    ) -> [[S::F; P]; M];

    /// Where a panel begins; only to be prefetched.
    fn address(self, panel: usize) -> *const u8;

    /// Cache lines of a panel; a tile asks for one of [`Upcoming::line`] for each.
    fn lines(self) -> usize;
}

/// Bytes of a cache line.
const LINE: usize = 64;

/// Weights to fetch while a tile is computed: one line every `2^shift` steps. Memory is then asked for them all the time, and
/// not by the first tiles of a group alone, which would wait for it while the others leave it idle.
#[derive(Clone, Copy)]
pub(super) struct Upcoming {
    address: *const u8,
    shift: u32,
}

impl Upcoming {
    /// What strip `strip` of `strips` fetches, so that together they fetch `width` panels from `panel` on.
    #[inline(always)]
    fn new(operands: impl Operands, panel: usize, width: usize, strip: usize, strips: usize) -> Self {
        let shift = (strips / width).max(1).ilog2();
        let address = operands.address(panel).wrapping_add(strip * (operands.lines() >> shift) * LINE);
        Self { address, shift }
    }

    #[inline(always)]
    pub(super) fn line(self, step: usize) -> *const u8 {
        self.address.wrapping_add((step >> self.shift) * LINE)
    }
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
    unsafe fn tile<S: Simd, const M: usize, const P: usize>(
        self,
        simd: S,
        row: usize,
        panel: usize,
        upcoming: Upcoming,
    ) -> [[S::F; P]; M] {
        debug_assert!((row + M) * self.inputs <= self.x.len());
        debug_assert!((panel + P) * self.inputs * LANES <= self.weights.len());
        let stride = self.inputs * LANES;
        let mut acc = [[simd.splat(0.0); P]; M];
        // SAFETY: the rows and panels exist, and `input` stays below `inputs`.
        unsafe {
            let x = self.x.as_ptr().add(row * self.inputs);
            let weights = self.weights.as_ptr().add(panel * stride);
            for input in 0..self.inputs {
                simd.prefetch(upcoming.line(input));
                let mut w = [simd.splat(0.0); P];
                for (p, w) in w.iter_mut().enumerate() {
                    *w = simd.load(weights.add(p * stride + input * LANES));
                }
                for (m, row) in acc.iter_mut().enumerate() {
                    let x = simd.splat(*x.add(m * self.inputs + input));
                    for (sum, &w) in row.iter_mut().zip(&w) {
                        *sum = simd.fma(x, w, *sum);
                    }
                }
            }
        }
        acc
    }

    #[inline(always)]
    fn address(self, panel: usize) -> *const u8 {
        self.weights.as_ptr().wrapping_add(panel * self.inputs * LANES).cast()
    }

    #[inline(always)]
    fn lines(self) -> usize {
        self.inputs
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

impl<'a> Output<'a> {
    /// All of a product: `out` is `[rows, outputs]`.
    pub(super) fn whole(out: &mut [f32], outputs: usize, bias: Option<&'a [f32]>, activation: Activation) -> Self {
        Self { pointer: out.as_mut_ptr(), stride: outputs, first_row: 0, first_output: 0, outputs, bias, activation }
    }

    /// Where element `(row, output)` goes.
    ///
    /// # Safety
    /// It must lie in the destination.
    #[inline(always)]
    pub(super) unsafe fn at(&self, row: usize, output: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.pointer.add((row - self.first_row) * self.stride + output - self.first_output) }
    }
}

// SAFETY: tasks write disjoint outputs through the pointer.
unsafe impl Send for Output<'_> {}
// SAFETY: as above.
unsafe impl Sync for Output<'_> {}

dispatch!(pub(super) unsafe fn product_f32(operands: F32Operands<'_>, rows: Range<usize>, panels: Range<usize>, output: Output<'_>) = product);

/// The largest tile, in panels times rows.
const LARGEST_TILE: usize = 24;

/// Tiles (rows, panels) where so many registers hold one vector of sums for each vector of the product, tallest first: rows
/// left over go to the next shape.
const fn shapes(registers: usize) -> &'static [(usize, usize)] {
    match registers {
        32 => &[(8, 3), (4, 6), (2, 8), (1, 8)],
        10 => &[(8, 1), (4, 2), (2, 4), (1, 8)],
        8 => &[(6, 1), (2, 2), (1, 4)],
        _ => &[(2, 1), (1, 2)],
    }
}

/// Computes `rows` by `panels` of a product.
///
/// # Safety
/// The rows and panels must exist in the operands, and `output` must be valid for writing them, by nobody else
/// meanwhile.
#[inline(always)]
pub(super) unsafe fn product<S: Simd, O: Operands>(
    simd: S,
    operands: O,
    rows: Range<usize>,
    panels: Range<usize>,
    output: Output<'_>,
) {
    let mut buffer = [0.0; LARGEST_TILE * LANES];
    let mut first = panels.start;
    while first < panels.end {
        let block = first..panels.end.min(first + PANEL_BLOCK);
        first = block.end;
        let mut row = rows.start;
        for &(height, width) in shapes(S::REGISTERS / O::SUMS) {
            // Each group of panels is used for all strips of this height in turn.
            let end = row + (rows.end - row) / height * height;
            let mut panel = block.start;
            while panel < block.end && row < end {
                let width = if panel + width <= block.end { width } else { 1 };
                let strips = (end - row) / height;
                for (strip, row) in (row..end).step_by(height).enumerate() {
                    let upcoming = Upcoming::new(operands, panel + width, width, strip, strips);
                    // SAFETY: rows and panels exist, and `output` takes them, by the caller's promise.
                    unsafe { tile(simd, operands, row, panel, (height, width), upcoming, &mut buffer, output) };
                }
                panel += width;
            }
            row = end;
        }
    }
}

/// Computes the tile of the given shape (rows, panels); `buffer` is scratch.
///
/// # Safety
/// As for [`product`].
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the body of one loop")]
unsafe fn tile<S: Simd, O: Operands>(
    simd: S,
    operands: O,
    row: usize,
    panel: usize,
    shape: (usize, usize),
    upcoming: Upcoming,
    buffer: &mut [f32; LARGEST_TILE * LANES],
    output: Output<'_>,
) {
    let whole = (panel + shape.1) * LANES <= output.outputs;
    macro_rules! compute {
        ($rows:literal, $panels:literal) => {{
            // SAFETY: the caller's promise.
            let tile = unsafe { operands.tile::<S, $rows, $panels>(simd, row, panel, upcoming) };
            match output.activation {
                // SAFETY: the caller's promise; the panels are whole.
                Activation::Identity if whole => unsafe { store(simd, tile, row, panel, output, |x| x) },
                // SAFETY: as above.
                Activation::Relu if whole => unsafe {
                    store(simd, tile, row, panel, output, |x| Relu.apply(simd, x));
                },
                _ => {
                    for (row, to) in tile.iter().zip(buffer.chunks_exact_mut($panels * LANES)) {
                        for (values, to) in row.iter().zip(to.chunks_exact_mut(LANES)) {
                            simd.write(to, *values);
                        }
                    }
                    // SAFETY: the caller's promise.
                    unsafe { finish(simd, buffer, row..row + $rows, panel..panel + $panels, output) }
                }
            }
        }};
    }
    // The arms of other instruction sets and operands are not even compiled.
    match const { S::REGISTERS / O::SUMS } {
        32 => match shape {
            (8, 3) => compute!(8, 3),
            (8, 1) => compute!(8, 1),
            (4, 6) => compute!(4, 6),
            (4, 1) => compute!(4, 1),
            (2, 8) => compute!(2, 8),
            (2, 1) => compute!(2, 1),
            (1, 8) => compute!(1, 8),
            _ => compute!(1, 1),
        },
        10 => match shape {
            (8, 1) => compute!(8, 1),
            (4, 2) => compute!(4, 2),
            (4, 1) => compute!(4, 1),
            (2, 4) => compute!(2, 4),
            (2, 1) => compute!(2, 1),
            (1, 8) => compute!(1, 8),
            _ => compute!(1, 1),
        },
        8 => match shape {
            (6, 1) => compute!(6, 1),
            (2, 2) => compute!(2, 2),
            (2, 1) => compute!(2, 1),
            (1, 4) => compute!(1, 4),
            _ => compute!(1, 1),
        },
        _ => match shape {
            (2, 1) => compute!(2, 1),
            (1, 2) => compute!(1, 2),
            _ => compute!(1, 1),
        },
    }
}

/// Adds the bias to a tile of whole panels, applies `activation` and stores it.
///
/// # Safety
/// As for [`product`].
#[inline(always)]
unsafe fn store<S: Simd, const M: usize, const P: usize>(
    simd: S,
    tile: [[S::F; P]; M],
    row: usize,
    panel: usize,
    output: Output<'_>,
    activation: impl Fn(S::F) -> S::F,
) {
    for p in 0..P {
        let first = (panel + p) * LANES;
        let bias = output.bias.map(|bias| simd.read(&bias[first..]));
        for (m, sums) in tile.iter().enumerate() {
            let value = bias.map_or(sums[p], |bias| simd.add(sums[p], bias));
            // SAFETY: the caller's promise.
            unsafe { simd.store(output.at(row + m, first), activation(value)) };
        }
    }
}

/// [`store`] for everything else: a last panel that is not whole, and activations too long to repeat for each tile shape.
///
/// # Safety
/// As for [`product`].
#[inline(always)]
unsafe fn finish<S: Simd>(
    simd: S,
    buffer: &[f32; LARGEST_TILE * LANES],
    rows: Range<usize>,
    panels: Range<usize>,
    output: Output<'_>,
) {
    let outputs = panels.start * LANES..output.outputs.min(panels.end * LANES);
    let bias = output.bias.map(|bias| &bias[outputs.clone()]);
    for (values, row) in buffer.chunks_exact(panels.len() * LANES).zip(rows) {
        // SAFETY: the row and the outputs lie in the destination by the caller's promise.
        let to = unsafe { std::slice::from_raw_parts_mut(output.at(row, outputs.start), outputs.len()) };
        for start in (0..to.len()).step_by(LANES) {
            let mut value = simd.read(&values[start..]);
            if to.len() - start >= LANES {
                if let Some(bias) = bias {
                    value = simd.add(value, simd.read(&bias[start..]));
                }
                simd.write(&mut to[start..], value);
            } else {
                if let Some(bias) = bias {
                    value = simd.add(value, simd.read_tail(&bias[start..], 0.0));
                }
                simd.write_tail(&mut to[start..], value);
            }
        }
        match output.activation {
            Activation::Identity => {}
            Activation::Relu => math::map(simd, Relu, to),
            Activation::Swish => math::map(simd, Swish, to),
            Activation::Tanh => math::map(simd, Tanh, to),
            Activation::Gelu | Activation::GeluTanh | Activation::QuickGelu | Activation::Sigmoid => {
                output.activation.apply(to);
            }
        }
    }
}
