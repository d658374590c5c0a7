//! Exponential and friends on sixteen lanes.
//!
//! `exp` reduces its argument to `n ln 2 + r` with |r| ≤ ln 2 / 2 and evaluates `eʳ - 1 = r + r² q(r)`; `q` is a
//! degree-5 polynomial interpolated at Chebyshev nodes. The errors are below one unit in the last place for `exp` and
//! below three for the functions built on it.

use super::simd::Simd;

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// `LN_2_HIGH + LN_2_LOW = ln 2`; the high part has nine trailing zero bits, so `n · LN_2_HIGH` is exact.
const LN_2_HIGH: f32 = 0.693_145_75;
const LN_2_LOW: f32 = 1.428_606_8e-6;
/// 1.5 · 2²³: added to a small number it leaves the nearest integer in the low mantissa bits.
const SHIFT: f32 = 12_582_912.0;
/// Above this `exp` is held at its value here, about 2.4e38.
const EXP_MAX: f32 = 88.37;
/// Below this `exp` is zero (1.6e-38; no subnormal results).
const EXP_MIN: f32 = -87.0;
const Q: [f32; 6] = [0.5, 0.166_666_67, 0.041_666_456, 0.008_333_310_5, 0.001_393_454_1, 0.000_198_919_8];

/// A function applied to each lane.
pub(super) trait LaneFunction: Copy {
    fn apply<S: Simd>(self, simd: S, x: S::F) -> S::F;
}

/// `(2ⁿ, eʳ - 1)` with `x = n ln 2 + r`, for `x` within `EXP_MIN..=EXP_MAX`.
#[inline(always)]
fn exp_parts<S: Simd>(simd: S, x: S::F) -> (S::F, S::F) {
    let shift = simd.splat(SHIFT);
    let shifted = simd.fma(x, simd.splat(LOG2_E), shift);
    let n = simd.sub(shifted, shift);
    let r = simd.fma(n, simd.splat(-LN_2_HIGH), x);
    let r = simd.fma(n, simd.splat(-LN_2_LOW), r);
    let mut q = simd.splat(Q[5]);
    q = simd.fma(q, r, simd.splat(Q[4]));
    q = simd.fma(q, r, simd.splat(Q[3]));
    q = simd.fma(q, r, simd.splat(Q[2]));
    q = simd.fma(q, r, simd.splat(Q[1]));
    q = simd.fma(q, r, simd.splat(Q[0]));
    (simd.power(shifted), simd.fma(simd.mul(r, r), q, r))
}

/// `eˣ`; zero below -87, not a number stays so.
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::F) -> S::F {
    let clamped = simd.max(simd.splat(EXP_MIN), simd.min(simd.splat(EXP_MAX), x));
    let (power, p) = exp_parts(simd, clamped);
    simd.zero_where_less(x, simd.splat(EXP_MIN), simd.fma(power, p, power))
}

/// `tanh x = -t / (2 + t)` with `t = e^(-2|x|) - 1`, which loses nothing near zero.
#[inline(always)]
pub(super) fn tanh<S: Simd>(simd: S, x: S::F) -> S::F {
    let y = simd.max(simd.splat(EXP_MIN), simd.mul(simd.abs(x), simd.splat(-2.0)));
    let (power, p) = exp_parts(simd, y);
    let t = simd.fma(power, p, simd.sub(power, simd.splat(1.0)));
    let magnitude = simd.div(simd.sub(simd.splat(0.0), t), simd.add(simd.splat(2.0), t));
    simd.copy_sign(magnitude, x)
}

/// `1 / (1 + e⁻ˣ)`.
#[inline(always)]
pub(super) fn sigmoid<S: Simd>(simd: S, x: S::F) -> S::F {
    let one = simd.splat(1.0);
    simd.div(one, simd.add(one, exp(simd, simd.sub(simd.splat(0.0), x))))
}

/// [`tanh`] as a [`LaneFunction`].
#[derive(Clone, Copy)]
pub(super) struct Tanh;
/// [`sigmoid`] as a [`LaneFunction`].
#[derive(Clone, Copy)]
pub(super) struct Sigmoid;
/// `x · sigmoid(1.702 x)`.
#[derive(Clone, Copy)]
pub(super) struct QuickGelu;
/// `max(x, 0)`.
#[derive(Clone, Copy)]
pub(super) struct Relu;
/// `x · sigmoid(x)`.
#[derive(Clone, Copy)]
pub(super) struct Swish;
/// `x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2`.
#[derive(Clone, Copy)]
pub(super) struct GeluTanh;
/// `x · factor`.
#[derive(Clone, Copy)]
pub(super) struct Scale(pub f32);

impl LaneFunction for Tanh {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: S::F) -> S::F {
        tanh(simd, x)
    }
}
impl LaneFunction for Sigmoid {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: S::F) -> S::F {
        sigmoid(simd, x)
    }
}
impl LaneFunction for QuickGelu {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: S::F) -> S::F {
        let exponential = exp(simd, simd.mul(simd.splat(-1.702), x));
        simd.div(x, simd.add(simd.splat(1.0), exponential))
    }
}
impl LaneFunction for Relu {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: S::F) -> S::F {
        simd.max(simd.splat(0.0), x)
    }
}
impl LaneFunction for Swish {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: S::F) -> S::F {
        let exponential = exp(simd, simd.sub(simd.splat(0.0), x));
        simd.div(x, simd.add(simd.splat(1.0), exponential))
    }
}
impl LaneFunction for GeluTanh {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: S::F) -> S::F {
        let cube = simd.mul(simd.mul(x, x), x);
        let inner = simd.mul(simd.splat(0.797_884_6), simd.fma(cube, simd.splat(0.044_715), x));
        let half = simd.mul(x, simd.splat(0.5));
        simd.fma(half, tanh(simd, inner), half)
    }
}
impl LaneFunction for Scale {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: S::F) -> S::F {
        simd.mul(x, simd.splat(self.0))
    }
}

/// Applies `function` to every element in place.
#[inline(always)]
pub(super) fn map<S: Simd, L: LaneFunction>(simd: S, function: L, values: &mut [f32]) {
    let mut chunks = values.chunks_exact_mut(super::simd::LANES);
    for chunk in &mut chunks {
        let x = simd.read(chunk);
        simd.write(chunk, function.apply(simd, x));
    }
    let tail = chunks.into_remainder();
    if !tail.is_empty() {
        let x = simd.read_tail(tail, 0.0);
        simd.write_tail(tail, function.apply(simd, x));
    }
}
