//! Two 256-bit registers.

#![allow(clippy::undocumented_unsafe_blocks, reason = "the implementation has one argument for all of its blocks")]

use std::arch::x86_64::*;

use half::f16;

use super::Simd;

/// AVX2 and FMA; with `VNNI`, AVX-VNNI too.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Avx2<const VNNI: bool>(());

impl<const VNNI: bool> Avx2<VNNI> {
    /// # Safety
    /// The processor must have AVX2 and FMA, and AVX-VNNI if `VNNI`.
    #[inline(always)]
    pub(in crate::kernels) unsafe fn new() -> Self {
        Self(())
    }
}

// SAFETY of every block in this implementation: `self` proves that the processor has the instructions (see `new`), and
// the functions that take pointers pass on their caller's promise about them.
impl<const VNNI: bool> Simd for Avx2<VNNI> {
    type F = [__m256; 2];
    type I = [__m256i; 2];

    const REGISTERS: usize = 8;
    const ACTIVATION_OFFSET: u8 = if VNNI { 128 } else { 0 };

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F {
        unsafe { [_mm256_set1_ps(value); 2] }
    }
    #[inline(always)]
    fn splat_i32(self, value: i32) -> Self::I {
        unsafe { [_mm256_set1_epi32(value); 2] }
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn copy_sign(self, x: Self::F, sign: Self::F) -> Self::F {
        unsafe {
            let bit = _mm256_set1_ps(-0.0);
            [_mm256_xor_ps(x[0], _mm256_and_ps(sign[0], bit)), _mm256_xor_ps(x[1], _mm256_and_ps(sign[1], bit))]
        }
    }
    #[inline(always)]
    fn abs(self, x: Self::F) -> Self::F {
        unsafe {
            let bit = _mm256_set1_ps(-0.0);
            [_mm256_andnot_ps(bit, x[0]), _mm256_andnot_ps(bit, x[1])]
        }
    }
    #[inline(always)]
    fn zero_where_less(self, a: Self::F, b: Self::F, value: Self::F) -> Self::F {
        unsafe {
            [
                _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLT_UQ>(a[0], b[0]), value[0]),
                _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLT_UQ>(a[1], b[1]), value[1]),
            ]
        }
    }
    #[inline(always)]
    fn greater_mask(self, a: Self::F, b: Self::F) -> u16 {
        unsafe {
            let low = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a[0], b[0])) as u16;
            let high = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a[1], b[1])) as u16;
            low | (high << 8)
        }
    }
    #[inline(always)]
    fn scale_by_power(self, value: Self::F, shifted: Self::F) -> Self::F {
        unsafe {
            let n = [
                _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted[0])),
                _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted[1])),
            ];
            [
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(value[0]), n[0])),
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(value[1]), n[1])),
            ]
        }
    }
    #[inline(always)]
    fn reduce_add(self, x: Self::F) -> f32 {
        unsafe {
            let x = _mm256_add_ps(x[0], x[1]);
            let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
        }
    }
    #[inline(always)]
    fn reduce_max(self, x: Self::F) -> f32 {
        unsafe {
            let x = _mm256_max_ps(x[0], x[1]);
            let x = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)))
        }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::F {
        unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, x: Self::F) {
        unsafe {
            _mm256_storeu_ps(to, x[0]);
            _mm256_storeu_ps(to.add(8), x[1]);
        }
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const f16) -> Self::F {
        unsafe {
            let half = |at: usize| _mm256_cvtph_ps(_mm_loadu_si128(from.add(at).cast()));
            [half(0), half(8)]
        }
    }
    #[inline(always)]
    unsafe fn store_f16(self, to: *mut f16, x: Self::F) {
        unsafe {
            let limit = f16::MAX.to_f32_const();
            let x = self.max(self.splat(-limit), self.min(self.splat(limit), x));
            for (half, x) in x.into_iter().enumerate() {
                _mm_storeu_si128(to.add(half * 8).cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x));
            }
        }
    }
    #[inline(always)]
    fn add_i32(self, a: Self::I, b: Self::I) -> Self::I {
        unsafe { [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])] }
    }
    #[inline(always)]
    fn convert(self, x: Self::I) -> Self::F {
        unsafe { [_mm256_cvtepi32_ps(x[0]), _mm256_cvtepi32_ps(x[1])] }
    }
    #[inline(always)]
    unsafe fn store_quantised(self, to: *mut u8, x: Self::F, offset: u8) {
        unsafe {
            let words = _mm256_packs_epi32(_mm256_cvtps_epi32(x[0]), _mm256_cvtps_epi32(x[1]));
            // Packing works within 128-bit halves; put the quarters back in order.
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
            let bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            _mm_storeu_si128(to.cast(), _mm_xor_si128(bytes, _mm_set1_epi8(offset as i8)));
        }
    }
    #[inline(always)]
    unsafe fn dot4(self, acc: Self::I, activations: i32, weights: *const i8) -> Self::I {
        unsafe {
            let activations = _mm256_set1_epi32(activations);
            let weights = [_mm256_loadu_si256(weights.cast()), _mm256_loadu_si256(weights.add(32).cast())];
            if VNNI {
                [
                    _mm256_dpbusd_avx_epi32(acc[0], activations, weights[0]),
                    _mm256_dpbusd_avx_epi32(acc[1], activations, weights[1]),
                ]
            } else {
                // |a| · (w · sign a): a pair sums to at most 2 · 127 · 127, which fits 16 bits, so nothing saturates.
                let magnitudes = _mm256_abs_epi8(activations);
                let ones = _mm256_set1_epi16(1);
                let low = _mm256_maddubs_epi16(magnitudes, _mm256_sign_epi8(weights[0], activations));
                let high = _mm256_maddubs_epi16(magnitudes, _mm256_sign_epi8(weights[1], activations));
                [
                    _mm256_add_epi32(acc[0], _mm256_madd_epi16(low, ones)),
                    _mm256_add_epi32(acc[1], _mm256_madd_epi16(high, ones)),
                ]
            }
        }
    }
    #[inline(always)]
    fn prefetch(self, address: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) }
    }
    #[inline(always)]
    unsafe fn load_i32(self, from: *const i32) -> Self::I {
        unsafe { [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(8).cast())] }
    }
}
