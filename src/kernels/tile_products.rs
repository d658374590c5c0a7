//! 8-bit products of many rows in tiles: which tiles, in which order, and what becomes of their sums.

use super::Activation;
use super::digits::{self, Int8Operands, Outputs, Steps};
use super::math::{LaneFunction, Relu};
use super::simd::tiles::{Factors, SUMS, TILE_GROUPS, TILE_ROWS, Tiles};
use super::simd::{InstructionSet, LANES, Simd, dispatch};
use super::tile::{Operands, Output, Upcoming, product};
use std::ops::Range;

/// Exact sums of two panels as [`Tiles::multiply`] leaves them: of up to 32 rows; or of the digits
/// of up to sixteen rows, one panel after the other.
#[derive(Clone, Copy)]
struct TileSums<'a> {
    digits: usize,
    sums: &'a [i32; 2 * SUMS],
    first_row: usize,
    first_panel: usize,
    steps: &'a [Steps],
    scales: &'a [f32],
    corrections: &'a [i32],
    bias: Option<&'a [f32]>,
}

impl TileSums<'_> {
    /// The sum of a row and the outputs of a panel, each counted from the first, as a number without its scale.
    #[inline(always)]
    fn value<S: Simd, const DIGITS: usize>(self, simd: S, row: usize, panel: usize) -> S::F {
        let sums = |tile: usize| {
            let at = (tile * TILE_ROWS + row % TILE_ROWS) * LANES;
            // SAFETY: a slice of sixteen numbers.
            unsafe { simd.load_i32(self.sums[at..at + LANES].as_ptr()) }
        };
        // The same operations as after any other 8-bit product.
        if DIGITS == 1 {
            digits::value(simd, &[sums(row / TILE_ROWS * 2 + panel)])
        } else {
            let first = 4 * panel;
            digits::value(simd, &[sums(first), simd.add_i32(sums(first + 1), sums(first + 2)), sums(first + 3)])
        }
    }
}

impl Operands for TileSums<'_> {
    #[inline(always)]
    unsafe fn tile<S: Simd, const M: usize, const P: usize>(
        self,
        simd: S,
        row: usize,
        panel: usize,
        _upcoming: Upcoming,
    ) -> [[S::F; P]; M] {
        let mut out = [[simd.splat(0.0); P]; M];
        for p in 0..P {
            let Self { scales, corrections, bias, .. } = self;
            let outputs = Outputs::new(simd, panel + p, self.digits, scales, corrections, bias);
            for (m, out) in out.iter_mut().enumerate() {
                let (r, column, steps) = (row + m - self.first_row, panel + p - self.first_panel, self.steps[row + m]);
                out[p] = if self.digits == 1 {
                    outputs.of_row::<S, 1>(simd, steps, self.value::<S, 1>(simd, r, column))
                } else {
                    outputs.of_row::<S, 2>(simd, steps, self.value::<S, 2>(simd, r, column))
                };
            }
        }
        out
    }

    #[inline(always)]
    fn address(self, _panel: usize) -> *const u8 {
        std::ptr::null()
    }

    #[inline(always)]
    fn lines(self) -> usize {
        0
    }
}

dispatch!(unsafe fn scale_sums(sums: TileSums<'_>, rows: Range<usize>, output: Output<'_>) = scale_sums_generic);

/// Makes outputs of exact sums.
///
/// # Safety
/// As for [`product`].
#[inline(always)]
unsafe fn scale_sums_generic<S: Simd>(simd: S, sums: TileSums<'_>, rows: Range<usize>, output: Output<'_>) {
    let panels = sums.first_panel..sums.first_panel + 2;
    let whole = panels.end * LANES <= output.outputs;
    match (output.activation, sums.digits) {
        // SAFETY: the caller's promise; both panels are whole.
        (Activation::Identity, 1) if whole => unsafe { store_sums::<S, 1>(simd, sums, rows, output, |x| x) },
        // SAFETY: as above.
        (Activation::Identity, _) if whole => unsafe { store_sums::<S, 2>(simd, sums, rows, output, |x| x) },
        // SAFETY: as above.
        (Activation::Relu, 1) if whole => unsafe {
            store_sums::<S, 1>(simd, sums, rows, output, |x| Relu.apply(simd, x));
        },
        // SAFETY: as above.
        (Activation::Relu, _) if whole => unsafe {
            store_sums::<S, 2>(simd, sums, rows, output, |x| Relu.apply(simd, x));
        },
        // SAFETY: the caller's promise.
        _ => unsafe { product(simd, sums, rows, panels, output) },
    }
}

/// [`scale_sums_generic`] for two whole panels, which are two lines of a row side by side.
///
/// # Safety
/// As for [`product`].
#[inline(always)]
unsafe fn store_sums<S: Simd, const DIGITS: usize>(
    simd: S,
    sums: TileSums<'_>,
    rows: Range<usize>,
    output: Output<'_>,
    activation: impl Fn(S::F) -> S::F,
) {
    let TileSums { first_panel: first, scales, corrections, bias, .. } = sums;
    // Not in a closure, which would be compiled without the instruction set.
    let outputs = [
        Outputs::new(simd, first, DIGITS, scales, corrections, bias),
        Outputs::new(simd, first + 1, DIGITS, scales, corrections, bias),
    ];
    for (row, &steps) in rows.clone().zip(&sums.steps[rows]) {
        for (panel, outputs) in outputs.iter().enumerate() {
            let exact = sums.value::<S, DIGITS>(simd, row - sums.first_row, panel);
            let value = outputs.of_row::<S, DIGITS>(simd, steps, exact);
            // SAFETY: the caller's promise.
            unsafe { simd.store(output.at(row, (first + panel) * LANES), activation(value)) };
        }
    }
}

/// Rows from which on tiles are faster than vectors; below, both wait for the weights.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(super) const WORTH_TILES: usize = 8;

/// Bytes of quantised rows used for all panels before moving on, so that they stay in the second-level cache.
const ROW_BLOCK: usize = 512 << 10;

/// [`digits::product_int8`] in tiles, bit for bit. The number of groups must be one of whole tiles, the rows in `operands` must
/// be followed by sixteen more, of any content, and stored as unsigned numbers; `set` computes what is left over.
///
/// # Safety
/// As for [`product`].
pub(super) unsafe fn product_in_tiles(
    tiles: &impl Tiles,
    set: InstructionSet,
    operands: Int8Operands<'_>,
    rows: Range<usize>,
    panels: Range<usize>,
    output: Output<'_>,
) {
    #[repr(align(64))]
    struct Sums([i32; 2 * SUMS]);
    let Int8Operands { digits, x, steps, weights, scales, corrections, groups, bias } = operands;
    // Two tiles of rows by two panels at a time, or the digits of one tile of rows by those of one panel.
    let (strip_rows, width) = (2 * TILE_ROWS / digits, 2 / digits);
    let stride = digits * groups * 4;
    let below = if digits == 1 { TILE_ROWS * stride } else { groups * 4 };
    assert!(groups.is_multiple_of(TILE_GROUPS) && (rows.end + TILE_ROWS) * stride <= x.len());
    assert!(panels.end * LANES * stride <= weights.len() && panels.end * digits * LANES <= corrections.len());
    let mut sums = Sums([0; 2 * SUMS]);
    let pairs = panels.start..panels.start + panels.len() / 2 * 2;
    let block_rows = (ROW_BLOCK / stride).max(1).next_multiple_of(strip_rows);
    for block in rows.clone().step_by(block_rows) {
        let block = block..rows.end.min(block + block_rows);
        for panel in pairs.clone().step_by(2) {
            for row in block.clone().step_by(strip_rows) {
                let strip = row..block.end.min(row + strip_rows);
                // Lines of one column lie far apart; without this each of them is waited for when it is written.
                for row in strip.clone() {
                    // SAFETY: the row and the first output of a panel lie in the destination.
                    tiles.prefetch_to_write(unsafe { output.at(row, panel * LANES) });
                }
                let of_panels = (panel..panel + 2).step_by(width);
                for (sums, panel) in sums.0.as_chunks_mut::<SUMS>().0.iter_mut().zip(of_panels) {
                    let factors = Factors {
                        two: digits == 2 || strip.len() > TILE_ROWS,
                        x: x[row * stride..].as_ptr(),
                        below,
                        stride,
                        panels: weights[panel * LANES * stride..].as_ptr(),
                        steps: groups / TILE_GROUPS,
                        corrections: corrections[panel * digits * LANES..].as_ptr(),
                        // Once is enough, while there is time until they are needed.
                        upcoming: (row == block.start).then(|| operands.address(panel + 2)),
                    };
                    // SAFETY: the rows, with those behind the last, and the panels exist, as asserted above.
                    unsafe { tiles.multiply(factors, sums) };
                }
                let (first_row, first_panel) = (row, panel);
                let sums = &sums.0;
                let sums = TileSums { digits, sums, first_row, first_panel, steps, scales, corrections, bias };
                // SAFETY: the caller's promise about `output`.
                unsafe { scale_sums(set, sums, strip, output) };
            }
        }
    }
    if pairs.end < panels.end {
        // SAFETY: the caller's promise.
        unsafe { digits::product_int8(set, operands, rows, pairs.end..panels.end, output) };
    }
}
