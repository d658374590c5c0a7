//! Numbers as integers of one or two signed 8-bit digits, which is what 8-bit products of exact sums are made of.
//!
//! A row is scaled so that its largest magnitude becomes the largest integer of so many digits. With one digit that is 127;
//! with two, `q = 255 · high + low`, it is 127 · 256 = 32,512. The base is odd so that digits are symmetric: both lie in
//! -127..=127, every integer has one representation, and no digit is -128, which some instructions cannot negate.
//!
//! The product of two rows of two digits is `255² Σ high·high + 255 Σ (high·low + low·high) + Σ low·low`. Each of the three
//! sums is an exact 32-bit integer; they are put together in `f32` in one order of operations, so that the result is the same
//! whoever computed them.
//!
//! Activations of one digit are seen from the middle between the least and the largest of their row, `x = shift + scale · q`: after
//! a rectifier or where one number stands out on one side, steps are up to half as large. The product then has `shift · Σ w` added,
//! where `Σ w` is that of the integers the weights were rounded to.

use super::simd::{InstructionSet, LANES, Simd, dispatch};
use super::tile::{Operands, Output, Upcoming, product};
use std::ops::Range;

/// What the digit before counts more.
const BASE: f32 = 255.0;
/// The largest integer of one digit.
const LARGEST_DIGIT: f32 = 127.0;

/// The largest integer of so many digits.
pub(super) const fn largest(digits: usize) -> f32 {
    if digits == 1 { LARGEST_DIGIT } else { LARGEST_DIGIT * BASE + LARGEST_DIGIT }
}

/// Inputs up to which the sums of products of so many digits fit 32 bits, with the corrections of unsigned activations:
/// `high·low + low·high` is at most `2 · 128 · 127` for each input.
pub(super) const fn most_inputs(digits: usize) -> usize {
    (1 << 17) / digits
}

/// How the integers of a row are read: `x = shift + scale · q`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Steps {
    pub(super) scale: f32,
    pub(super) shift: f32,
}

/// The integer of these digits.
pub(super) fn integer(digits: impl Iterator<Item = i8>) -> f32 {
    digits.fold(0.0, |integer, digit| integer * BASE + f32::from(digit))
}

/// The number that sums of digit products make: of one digit the first sum; of two, the sums of `high·high`,
/// `high·low + low·high` and `low·low`.
#[inline(always)]
pub(super) fn value<S: Simd>(simd: S, sums: &[S::I]) -> S::F {
    let mut value = simd.convert(sums[0]);
    for &sum in &sums[1..] {
        value = simd.add(simd.mul(value, simd.splat(BASE)), simd.convert(sum));
    }
    value
}

/// Rows of integers and packed weights: `x` `[row][digit][inputs rounded up to 4]` and panels
/// `[panel][digit][group of 4 inputs][lane][4]`.
#[derive(Clone, Copy)]
pub(super) struct Int8Operands<'a> {
    /// Digits of a number: one or two.
    pub(super) digits: usize,
    pub(super) x: &'a [u8],
    /// One for each row.
    pub(super) steps: &'a [Steps],
    pub(super) weights: &'a [i8],
    /// One for each output of a whole number of panels.
    pub(super) scales: &'a [f32],
    /// `-128 · Σ weights` of each output, `[panel][digit][lane]`: undoes the offset of unsigned activations.
    pub(super) corrections: &'a [i32],
    /// Number of groups of four inputs.
    pub(super) groups: usize,
    /// What each output has added; here and not in [`Output`], because it is part of the same rounding.
    pub(super) bias: Option<&'a [f32]>,
}

impl Int8Operands<'_> {
    /// Where a panel begins; only to be prefetched.
    #[inline(always)]
    pub(super) fn address(self, panel: usize) -> *const u8 {
        self.weights.as_ptr().wrapping_add(panel * self.digits * self.groups * 4 * LANES).cast()
    }
}

/// What makes numbers of the exact sums of sixteen outputs.
#[derive(Clone, Copy)]
pub(super) struct Outputs<F> {
    scale: F,
    /// Zeros where there is none.
    bias: F,
    /// `Σ w` of the rounded weights, of one digit.
    weight_sum: F,
}

impl<F: Copy> Outputs<F> {
    /// Those of a panel, which has this scale and these corrections for each output.
    #[inline(always)]
    pub(super) fn new<S: Simd<F = F>>(
        simd: S,
        panel: usize,
        digits: usize,
        scales: &[f32],
        corrections: &[i32],
        bias: Option<&[f32]>,
    ) -> Self {
        let first = panel * LANES;
        let scale = simd.read(&scales[first..]);
        let bias = match bias.map(|bias| &bias[first..]) {
            Some(bias) if bias.len() >= LANES => simd.read(bias),
            Some(bias) => simd.read_tail(bias, 0.0),
            None => simd.splat(0.0),
        };
        let weight_sum = if digits == 1 {
            let corrections = &corrections[first..first + LANES];
            // SAFETY: a slice of sixteen numbers.
            let sums = simd.convert(unsafe { simd.load_i32(corrections.as_ptr()) });
            simd.mul(simd.mul(sums, simd.splat(-1.0 / 128.0)), scale)
        } else {
            simd.splat(0.0)
        };
        Self { scale, bias, weight_sum }
    }

    /// The numbers of exact sums of `DIGITS` digits ([`value`]) of a row: `scale · sum + (shift · Σ w + bias)` of one digit, each `+`
    /// rounded once with its product; `scale · sum + bias` of two.
    #[inline(always)]
    pub(super) fn of_row<S: Simd<F = F>, const DIGITS: usize>(&self, simd: S, steps: Steps, sum: F) -> F {
        let scale = simd.mul(self.scale, simd.splat(steps.scale));
        if DIGITS == 1 {
            simd.fused(sum, scale, simd.fused(simd.splat(steps.shift), self.weight_sum, self.bias))
        } else {
            simd.add(simd.mul(sum, scale), self.bias)
        }
    }
}

/// Computes `rows` by `panels` of a product.
///
/// # Safety
/// As for [`product`].
pub(super) unsafe fn product_int8(
    set: InstructionSet,
    operands: Int8Operands<'_>,
    rows: Range<usize>,
    panels: Range<usize>,
    output: Output<'_>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        match operands.digits {
            1 => product_of_one_digit(set, OfDigits(operands), rows, panels, output),
            _ => product_of_two_digits(set, OfDigits(operands), rows, panels, output),
        }
    }
}

dispatch!(unsafe vnni fn product_of_one_digit(operands: OfDigits<'_, 1>, rows: Range<usize>, panels: Range<usize>, output: Output<'_>) = product);
dispatch!(unsafe vnni fn product_of_two_digits(operands: OfDigits<'_, 2>, rows: Range<usize>, panels: Range<usize>, output: Output<'_>) = product);

/// Operands whose number of digits the compiler knows.
#[derive(Clone, Copy)]
struct OfDigits<'a, const DIGITS: usize>(Int8Operands<'a>);

impl<const DIGITS: usize> Operands for OfDigits<'_, DIGITS> {
    const SUMS: usize = 2 * DIGITS - 1;

    #[inline(always)]
    unsafe fn tile<S: Simd, const M: usize, const P: usize>(
        self,
        simd: S,
        row: usize,
        panel: usize,
        upcoming: Upcoming,
    ) -> [[S::F; P]; M] {
        let Int8Operands { x, steps, weights, scales, corrections, groups, bias, .. } = self.0;
        debug_assert!((row + M) * DIGITS * groups * 4 <= x.len() && row + M <= steps.len());
        debug_assert!((panel + P) * DIGITS * groups * 4 * LANES <= weights.len());
        let stride = groups * 4 * LANES;
        // Of one digit there is but the first sum.
        let mut acc = [[[simd.splat_i32(0); 3]; P]; M];
        let mut out = [[simd.splat(0.0); P]; M];
        // SAFETY: the rows and panels exist, `group` stays below `groups`, and scales and corrections cover every panel.
        unsafe {
            if S::ACTIVATION_OFFSET != 0 {
                for p in 0..P {
                    for digit in 0..DIGITS {
                        let at = ((panel + p) * DIGITS + digit) * LANES;
                        let correction = simd.load_i32(corrections.as_ptr().add(at));
                        for row in &mut acc {
                            for sum in &mut row[p][digit..digit + DIGITS] {
                                *sum = simd.add_i32(*sum, correction);
                            }
                        }
                    }
                }
            }
            let x = x.as_ptr().add(row * DIGITS * groups * 4);
            let weights = weights.as_ptr().add(panel * DIGITS * stride);
            for group in 0..groups {
                for line in 0..DIGITS {
                    simd.prefetch(upcoming.line(group * DIGITS + line));
                }
                for (m, row) in acc.iter_mut().enumerate() {
                    for digit in 0..DIGITS {
                        let x = x.add(((m * DIGITS + digit) * groups + group) * 4).cast::<i32>().read_unaligned();
                        for (p, sums) in row.iter_mut().enumerate() {
                            for other in 0..DIGITS {
                                let weights = weights.add((p * DIGITS + other) * stride + group * 4 * LANES);
                                sums[digit + other] = simd.dot4(sums[digit + other], x, weights);
                            }
                        }
                    }
                }
            }
            for p in 0..P {
                let outputs = Outputs::new(simd, panel + p, DIGITS, scales, corrections, bias);
                for (m, (out, sums)) in out.iter_mut().zip(&acc).enumerate() {
                    let sum = value(simd, &sums[p][..Self::SUMS]);
                    out[p] = outputs.of_row::<S, DIGITS>(simd, *steps.get_unchecked(row + m), sum);
                }
            }
        }
        out
    }

    #[inline(always)]
    fn address(self, panel: usize) -> *const u8 {
        self.0.address(panel)
    }

    #[inline(always)]
    fn lines(self) -> usize {
        DIGITS * self.0.groups
    }
}

dispatch!(pub(super) fn quantise_rows(x: &[f32], inputs: usize, digits: usize, offset: u8, quantised: &mut [u8], steps: &mut [Steps]) = quantise_rows_generic);
dispatch!(pub(super) fn quantise_shifted_rows(x: &[f32], inputs: usize, offset: u8, quantised: &mut [u8], steps: &mut [Steps]) = quantise_shifted_rows_generic);

/// Quantises each row of `x` `[rows, inputs]` to `round(largest · x / max |x|)`, in digits
/// `[rows, digits, inputs rounded up to 4]` with zeros behind the last input in `quantised`; keeps `max |x| / largest`, and no shift,
/// in `steps` `[rows]`.
#[inline(always)]
fn quantise_rows_generic<S: Simd>(
    simd: S,
    x: &[f32],
    inputs: usize,
    digits: usize,
    offset: u8,
    quantised: &mut [u8],
    steps: &mut [Steps],
) {
    let padded = inputs.next_multiple_of(4);
    for ((x, quantised), steps) in x.chunks_exact(inputs).zip(quantised.chunks_exact_mut(digits * padded)).zip(steps) {
        let (chunks, tail) = x.as_chunks::<LANES>();
        let mut max = simd.splat(0.0);
        for chunk in chunks {
            max = simd.max(max, simd.abs(simd.read(chunk)));
        }
        if !tail.is_empty() {
            max = simd.max(max, simd.abs(simd.read_tail(tail, 0.0)));
        }
        let max = simd.reduce_max(max);
        *steps = Steps { scale: max / largest(digits), shift: 0.0 };
        let inverse = simd.splat(if max > 0.0 { largest(digits) / max } else { 0.0 });
        if digits == 1 {
            write_digit(simd, x, 0.0, quantised, offset, |x| simd.mul(x, inverse));
        } else {
            let (high, low) = quantised.split_at_mut(padded);
            write_digit(simd, x, 0.0, high, offset, |x| split(simd, simd.mul(x, inverse))[0]);
            write_digit(simd, x, 0.0, low, offset, |x| split(simd, simd.mul(x, inverse))[1]);
        }
    }
}

/// The same in one digit, from the middle of each row's numbers.
#[inline(always)]
fn quantise_shifted_rows_generic<S: Simd>(
    simd: S,
    x: &[f32],
    inputs: usize,
    offset: u8,
    quantised: &mut [u8],
    steps: &mut [Steps],
) {
    let padded = inputs.next_multiple_of(4);
    for ((x, quantised), steps) in x.chunks_exact(inputs).zip(quantised.chunks_exact_mut(padded)).zip(steps) {
        let (chunks, tail) = x.as_chunks::<LANES>();
        // Two of each, since one would wait for itself.
        let (mut max, mut min) = (simd.splat(x[0]), simd.splat(x[0]));
        let (mut other_max, mut other_min) = (max, min);
        let (pairs, left) = chunks.as_chunks::<2>();
        for [first, second] in pairs {
            let (x, y) = (simd.read(first), simd.read(second));
            (max, min) = (simd.max(max, x), simd.min(min, x));
            (other_max, other_min) = (simd.max(other_max, y), simd.min(other_min, y));
        }
        for chunk in left {
            let x = simd.read(chunk);
            (max, min) = (simd.max(max, x), simd.min(min, x));
        }
        (max, min) = (simd.max(max, other_max), simd.min(min, other_min));
        if !tail.is_empty() {
            let x = simd.read_tail(tail, x[0]);
            (max, min) = (simd.max(max, x), simd.min(min, x));
        }
        let (max, min) = (simd.reduce_max(max), -simd.reduce_max(simd.sub(simd.splat(0.0), min)));
        let (middle, reach) = (0.5 * (max + min), 0.5 * (max - min));
        // Nearer together than this, what `middle · inverse` is rounded by could carry a number beyond the largest digit; and 12 bits
        // of such numbers are told by the middle alone.
        let inverse = if reach > middle.abs() * (1.0 / 4096.0) { LARGEST_DIGIT / reach } else { 0.0 };
        *steps = Steps { scale: if inverse > 0.0 { reach / LARGEST_DIGIT } else { 0.0 }, shift: middle };
        let (inverse, start) = (simd.splat(inverse), simd.splat(-middle * inverse));
        write_digit(simd, x, middle, quantised, offset, |x| simd.fused(x, inverse, start));
    }
}

/// The digits of the nearest integer: high and low.
#[inline(always)]
fn split<S: Simd>(simd: S, x: S::F) -> [S::F; 2] {
    // Added and taken away again, it rounds to the nearest integer, ties to even.
    let rounder = simd.splat(1.5 * (1 << 23) as f32);
    let round = |x| simd.sub(simd.add(x, rounder), rounder);
    // An integer is never half-way between two multiples of an odd base; the rest is exact.
    let integer = round(x);
    let high = round(simd.mul(integer, simd.splat(1.0 / BASE)));
    [high, simd.sub(integer, simd.mul(high, simd.splat(BASE)))]
}

/// Writes one digit of each number of a row, `digit(x)` rounded, and that of `behind` in what is left of `bytes`.
#[inline(always)]
fn write_digit<S: Simd>(simd: S, x: &[f32], behind: f32, bytes: &mut [u8], offset: u8, digit: impl Fn(S::F) -> S::F) {
    let (chunks, tail) = x.as_chunks::<LANES>();
    for (chunk, bytes) in chunks.iter().zip(bytes.as_chunks_mut::<LANES>().0) {
        // SAFETY: `bytes` is an array of sixteen bytes.
        unsafe { simd.store_quantised(bytes.as_mut_ptr(), digit(simd.read(chunk)), offset) };
    }
    if !tail.is_empty() {
        let mut last = [0; LANES];
        // SAFETY: as above.
        unsafe { simd.store_quantised(last.as_mut_ptr(), digit(simd.read_tail(tail, behind)), offset) };
        let bytes = &mut bytes[x.len() - tail.len()..];
        bytes.copy_from_slice(&last[..bytes.len()]);
    }
}
