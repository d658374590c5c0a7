//! The sixteen lanes as arrays: loops the compiler turns into NEON or SSE2.

use half::f16;

use super::{LANES, Simd};

/// Plain Rust for the target's baseline instruction set.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Portable;

/// `n + SHIFT` has the integer `n` in its low mantissa bits.
const SHIFT: f32 = 12_582_912.0;

impl Portable {
    #[inline(always)]
    fn map(a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
        std::array::from_fn(|i| f(a[i], b[i]))
    }
}

impl Simd for Portable {
    type F = [f32; LANES];
    type I = [i32; LANES];

    const REGISTERS: usize = if cfg!(target_arch = "aarch64") { 8 } else { 4 };
    const ACTIVATION_OFFSET: u8 = 0;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F {
        [value; LANES]
    }
    #[inline(always)]
    fn splat_i32(self, value: i32) -> Self::I {
        [value; LANES]
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        Self::map(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        Self::map(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        Self::map(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        Self::map(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // Without the instruction `mul_add` is a slow library call.
        if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
            std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
        } else {
            std::array::from_fn(|i| a[i] * b[i] + c[i])
        }
    }
    #[inline(always)]
    fn fused(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        Self::map(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        Self::map(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn copy_sign(self, x: Self::F, sign: Self::F) -> Self::F {
        Self::map(x, sign, |x, sign| f32::from_bits(x.to_bits() ^ (sign.to_bits() & 0x8000_0000)))
    }
    #[inline(always)]
    fn abs(self, x: Self::F) -> Self::F {
        x.map(f32::abs)
    }
    #[inline(always)]
    fn zero_where_less(self, a: Self::F, b: Self::F, value: Self::F) -> Self::F {
        std::array::from_fn(|i| if a[i] < b[i] { 0.0 } else { value[i] })
    }
    #[inline(always)]
    fn greater_mask(self, a: Self::F, b: Self::F) -> u16 {
        (0..LANES).fold(0, |mask, i| mask | (u16::from(a[i] > b[i]) << i))
    }
    #[inline(always)]
    fn scale_by_power(self, value: Self::F, shifted: Self::F) -> Self::F {
        Self::map(value, shifted, |value, n| f32::from_bits(value.to_bits().wrapping_add(n.to_bits() << 23)))
    }
    #[inline(always)]
    fn reduce_add(self, x: Self::F) -> f32 {
        let x: [f32; 8] = std::array::from_fn(|i| x[i] + x[i + 8]);
        let x: [f32; 4] = std::array::from_fn(|i| x[i] + x[i + 4]);
        (x[0] + x[2]) + (x[1] + x[3])
    }
    #[inline(always)]
    fn reduce_max(self, x: Self::F) -> f32 {
        x.iter().fold(f32::NEG_INFINITY, |max, &x| if x > max { x } else { max })
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::F {
        // SAFETY: the caller promises sixteen readable values.
        unsafe { from.cast::<[f32; LANES]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, x: Self::F) {
        // SAFETY: the caller promises room for sixteen values.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const f16) -> Self::F {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<[f16; LANES]>().read() }.map(f16::to_f32)
    }
    #[inline(always)]
    unsafe fn store_f16(self, to: *mut f16, x: Self::F) {
        let limit = f16::MAX.to_f32();
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f16; LANES]>().write(x.map(|x| f16::from_f32(x.clamp(-limit, limit)))) }
    }
    #[inline(always)]
    fn add_i32(self, a: Self::I, b: Self::I) -> Self::I {
        std::array::from_fn(|i| a[i].wrapping_add(b[i]))
    }
    #[inline(always)]
    fn convert(self, x: Self::I) -> Self::F {
        x.map(|x| x as f32)
    }
    #[inline(always)]
    unsafe fn store_quantised(self, to: *mut u8, x: Self::F, offset: u8) {
        // Adding SHIFT rounds to the nearest integer, ties to even, and leaves it in the low bits.
        let bytes = x.map(|x| (x + SHIFT).to_bits() as u8 ^ offset);
        // SAFETY: the caller promises room for sixteen bytes.
        unsafe { to.cast::<[u8; LANES]>().write_unaligned(bytes) }
    }
    #[inline(always)]
    unsafe fn dot4(self, acc: Self::I, activations: i32, weights: *const i8) -> Self::I {
        // SAFETY: the caller promises 64 readable bytes.
        let weights = unsafe { weights.cast::<[[i8; 4]; LANES]>().read_unaligned() };
        let activations = activations.to_ne_bytes().map(|byte| i32::from(byte as i8));
        std::array::from_fn(|i| acc[i] + (0..4).map(|j| activations[j] * i32::from(weights[i][j])).sum::<i32>())
    }
    #[inline(always)]
    fn prefetch(self, _address: *const u8) {}
    #[inline(always)]
    unsafe fn load_i32(self, from: *const i32) -> Self::I {
        // SAFETY: the caller promises sixteen readable values.
        unsafe { from.cast::<[i32; LANES]>().read_unaligned() }
    }
}
