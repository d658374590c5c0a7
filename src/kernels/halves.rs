//! The larger halves of 8-bit integers, two to a byte: what a screen reads in the place of the integers, in half the time where
//! memory is the limit.

use std::ops::Range;

use super::digits::Int8Operands;
use super::simd::{LANES, Simd, dispatch};
use super::tile::{Operands, Output, Upcoming, product};

/// Bytes of sixteen outputs by four inputs.
const LINE: usize = 4 * LANES;
/// What a larger half counts.
const UNIT: i32 = 16;

/// The larger half of an integer in -127..=127: the nearest sixteenth, in -7..=7.
fn larger_half(integer: i8) -> i32 {
    ((i32::from(integer) + UNIT / 2) >> 4).clamp(-7, 7)
}

/// What is known of the integers of an output whose larger halves were packed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts {
    /// Sum of the larger halves, as numbers.
    pub(super) sum: i32,
    /// Sum of the squares of what is left.
    pub(super) rest: i64,
    /// Sum of the squares of the integers.
    pub(super) whole: i64,
}

/// Packs the larger halves of `integers`, panels `[panel][group of 4 inputs][lane][4]`, an even number of groups, into `halves`
/// `[panel][two groups][lane][4]`: of each byte the lower four bits are of the first group. `parts` has one for each lane.
pub(super) fn pack(integers: &[i8], groups: usize, halves: &mut [i8], parts: &mut [Parts]) {
    debug_assert!(groups.is_multiple_of(2));
    let panels = integers.chunks_exact(groups * LINE).zip(halves.chunks_exact_mut(groups / 2 * LINE));
    for ((integers, halves), parts) in panels.zip(parts.chunks_exact_mut(LANES)) {
        let (mut sums, mut rests, mut wholes) = ([0; LINE], [0; LINE], [0; LINE]);
        for (pair, halves) in integers.chunks_exact(2 * LINE).zip(halves.as_chunks_mut::<LINE>().0) {
            let (first, second) = pair.split_at(LINE);
            for place in 0..LINE {
                let (a, b) = (larger_half(first[place]), larger_half(second[place]));
                halves[place] = (b << 4 | a & 0xf) as i8;
                let (first, second) = (i32::from(first[place]), i32::from(second[place]));
                sums[place] += UNIT * (a + b);
                rests[place] += (first - UNIT * a).pow(2) + (second - UNIT * b).pow(2);
                wholes[place] += first * first + second * second;
            }
        }
        for (lane, parts) in parts.iter_mut().enumerate() {
            let of_lane = 4 * lane..4 * lane + 4;
            let total = |of: &[i32; LINE]| of[of_lane.clone()].iter().map(|&x| i64::from(x)).sum::<i64>();
            *parts = Parts { sum: total(&sums) as i32, rest: total(&rests), whole: total(&wholes) };
        }
    }
}

/// Operands whose weights are larger halves; their `groups` are still groups of four inputs.
#[derive(Clone, Copy)]
pub(super) struct OfHalves<'a>(pub(super) Int8Operands<'a>);

dispatch!(pub(super) unsafe vnni fn product_of_halves(operands: OfHalves<'_>, rows: Range<usize>, panels: Range<usize>, output: Output<'_>) = product);

impl Operands for OfHalves<'_> {
    #[inline(always)]
    unsafe fn tile<S: Simd, const M: usize, const P: usize>(
        self,
        simd: S,
        row: usize,
        panel: usize,
        upcoming: Upcoming,
    ) -> [[S::F; P]; M] {
        let Int8Operands { x, row_scales, weights, scales, corrections, groups, .. } = self.0;
        debug_assert!((row + M) * groups * 4 <= x.len() && row + M <= row_scales.len());
        debug_assert!((panel + P) * groups / 2 * LINE <= weights.len());
        let stride = groups / 2 * LINE;
        let mut acc = [[simd.splat_i32(0); P]; M];
        let mut out = [[simd.splat(0.0); P]; M];
        // SAFETY: the rows and panels exist, `pair` stays below half of `groups`, and scales and corrections cover every panel.
        unsafe {
            if S::ACTIVATION_OFFSET != 0 {
                for p in 0..P {
                    let correction = simd.load_i32(corrections.as_ptr().add((panel + p) * LANES));
                    acc.iter_mut().for_each(|row| row[p] = correction);
                }
            }
            let x = x.as_ptr().add(row * groups * 4);
            let weights = weights.as_ptr().add(panel * stride);
            for pair in 0..groups / 2 {
                simd.prefetch(upcoming.line(pair));
                for p in 0..P {
                    let line = &*weights.add(p * stride + pair * LINE).cast::<[i8; LINE]>();
                    // Numbers again, sixteen times the half: their bits are where those of 8-bit integers are.
                    let (mut first, mut second) = ([0; LINE], [0; LINE]);
                    for place in 0..LINE {
                        first[place] = line[place] << 4;
                        second[place] = line[place] & !0xf;
                    }
                    for (m, row) in acc.iter_mut().enumerate() {
                        let x = x.add((m * groups + 2 * pair) * 4).cast::<i32>();
                        row[p] = simd.dot4(row[p], x.read_unaligned(), first.as_ptr());
                        row[p] = simd.dot4(row[p], x.add(1).read_unaligned(), second.as_ptr());
                    }
                }
            }
            for p in 0..P {
                let scale = simd.load(scales.as_ptr().add((panel + p) * LANES));
                for (m, (out, sums)) in out.iter_mut().zip(&acc).enumerate() {
                    let row_scale = simd.splat(*row_scales.get_unchecked(row + m));
                    out[p] = simd.mul(simd.convert(sums[p]), simd.mul(scale, row_scale));
                }
            }
        }
        out
    }

    #[inline(always)]
    fn address(self, panel: usize) -> *const u8 {
        self.0.weights.as_ptr().wrapping_add(panel * self.lines() * LINE).cast()
    }

    #[inline(always)]
    fn lines(self) -> usize {
        self.0.groups / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_half_is_the_nearest_sixteenth_that_four_bits_hold_without_the_least() {
        for integer in -127..=127_i8 {
            let half = larger_half(integer);
            let rest = i32::from(integer) - UNIT * half;
            assert!((-7..=7).contains(&half), "{integer}");
            assert!((-8..8).contains(&rest) || half.abs() == 7 && rest.abs() <= 15, "{integer}: {half} and {rest}");
        }
    }

    #[test]
    fn packed_halves_are_unpacked_to_what_they_count() {
        let integers: Vec<i8> = (0..2 * LINE).map(|place| ((place * 37) % 255) as i8).map(|w| w.max(-127)).collect();
        let (mut halves, mut parts) = (vec![0; LINE], vec![Parts::default(); LANES]);
        pack(&integers, 2, &mut halves, &mut parts);
        for place in 0..LINE {
            assert_eq!(i32::from(halves[place] << 4), UNIT * larger_half(integers[place]));
            assert_eq!(i32::from(halves[place] & !0xf), UNIT * larger_half(integers[LINE + place]));
        }
        let of_lane = |at: &usize| (at % LINE) / 4 == 3;
        let own: Vec<i32> = (0..2 * LINE).filter(of_lane).map(|at| i32::from(integers[at])).collect();
        let half = |w: &i32| UNIT * larger_half(*w as i8);
        assert_eq!(parts[3].sum, own.iter().map(half).sum::<i32>());
        assert_eq!(parts[3].rest, own.iter().map(|w| i64::from(w - half(w)).pow(2)).sum::<i64>());
        assert_eq!(parts[3].whole, own.iter().map(|&w| i64::from(w).pow(2)).sum::<i64>());
    }
}
