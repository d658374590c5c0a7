//! One 512-bit register.

#![allow(clippy::undocumented_unsafe_blocks, reason = "the implementation has one argument for all of its blocks")]

use std::arch::x86_64::*;

use half::f16;

use super::{LANES, Simd};

/// AVX-512 F, BW, DQ, VL and VNNI.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Avx512(());

impl Avx512 {
    /// # Safety
    /// The processor must have AVX-512 F, BW, DQ, VL, VNNI and FMA.
    #[inline(always)]
    pub(in crate::kernels) unsafe fn new() -> Self {
        Self(())
    }
}

// SAFETY of every block in this implementation: `self` proves that the processor has the instructions (see `new`), and
// the functions that take pointers pass on their caller's promise about them.
impl Simd for Avx512 {
    type F = __m512;
    type I = __m512i;

    const REGISTERS: usize = 32;
    const ACTIVATION_OFFSET: u8 = 128;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F {
        unsafe { _mm512_set1_ps(value) }
    }
    #[inline(always)]
    fn splat_i32(self, value: i32) -> Self::I {
        unsafe { _mm512_set1_epi32(value) }
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    fn copy_sign(self, x: Self::F, sign: Self::F) -> Self::F {
        unsafe { _mm512_xor_ps(x, _mm512_and_ps(sign, _mm512_set1_ps(-0.0))) }
    }
    #[inline(always)]
    fn abs(self, x: Self::F) -> Self::F {
        unsafe { _mm512_abs_ps(x) }
    }
    #[inline(always)]
    fn zero_where_less(self, a: Self::F, b: Self::F, value: Self::F) -> Self::F {
        unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(a, b), value) }
    }
    #[inline(always)]
    fn greater_mask(self, a: Self::F, b: Self::F) -> u16 {
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) }
    }
    #[inline(always)]
    fn scale_by_power(self, value: Self::F, shifted: Self::F) -> Self::F {
        unsafe {
            let n = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(value), n))
        }
    }
    #[inline(always)]
    fn reduce_add(self, x: Self::F) -> f32 {
        unsafe {
            let x = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps::<1>(x));
            let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
        }
    }
    #[inline(always)]
    fn reduce_add_each(self, x: [Self::F; LANES]) -> Self::F {
        // Quarter `i` of the result comes from vectors 4 i .. 4 i + 4; `quads[j]` holds vectors j, j + 4, j + 8, j + 12,
        // one in each quarter, folded to four lanes.
        let mut quads = [self.splat(0.0); 4];
        unsafe {
            for j in 0..4 {
                let (a, b, c, d) = (x[j], x[j + 4], x[j + 8], x[j + 12]);
                let ab = _mm512_add_ps(_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0xee>(a, b));
                let cd = _mm512_add_ps(_mm512_shuffle_f32x4::<0x44>(c, d), _mm512_shuffle_f32x4::<0xee>(c, d));
                quads[j] = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(ab, cd), _mm512_shuffle_f32x4::<0xdd>(ab, cd));
            }
            let [a, b, c, d] = quads;
            let ab = _mm512_add_ps(_mm512_shuffle_ps::<0x44>(a, b), _mm512_shuffle_ps::<0xee>(a, b));
            let cd = _mm512_add_ps(_mm512_shuffle_ps::<0x44>(c, d), _mm512_shuffle_ps::<0xee>(c, d));
            _mm512_add_ps(_mm512_shuffle_ps::<0x88>(ab, cd), _mm512_shuffle_ps::<0xdd>(ab, cd))
        }
    }
    #[inline(always)]
    fn reduce_max(self, x: Self::F) -> f32 {
        unsafe {
            let x = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps::<1>(x));
            let x = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)))
        }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::F {
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, x: Self::F) {
        unsafe { _mm512_storeu_ps(to, x) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const f16) -> Self::F {
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store_f16(self, to: *mut f16, x: Self::F) {
        unsafe {
            let limit = f16::MAX.to_f32_const();
            let x = self.max(self.splat(-limit), self.min(self.splat(limit), x));
            _mm256_storeu_si256(to.cast(), _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x));
        }
    }
    #[inline(always)]
    fn add_i32(self, a: Self::I, b: Self::I) -> Self::I {
        unsafe { _mm512_add_epi32(a, b) }
    }
    #[inline(always)]
    fn convert(self, x: Self::I) -> Self::F {
        unsafe { _mm512_cvtepi32_ps(x) }
    }
    #[inline(always)]
    unsafe fn store_quantised(self, to: *mut u8, x: Self::F, offset: u8) {
        unsafe {
            let bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x));
            _mm_storeu_si128(to.cast(), _mm_xor_si128(bytes, _mm_set1_epi8(offset as i8)));
        }
    }
    #[inline(always)]
    unsafe fn dot4(self, acc: Self::I, activations: i32, weights: *const i8) -> Self::I {
        unsafe { _mm512_dpbusd_epi32(acc, _mm512_set1_epi32(activations), _mm512_loadu_si512(weights.cast())) }
    }
    #[inline(always)]
    fn prefetch(self, address: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) }
    }
    #[inline(always)]
    unsafe fn load_i32(self, from: *const i32) -> Self::I {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    fn read_tail(self, from: &[f32], fill: f32) -> Self::F {
        assert!(from.len() < LANES);
        unsafe { _mm512_mask_loadu_ps(_mm512_set1_ps(fill), (1u16 << from.len()) - 1, from.as_ptr()) }
    }
    #[inline(always)]
    fn write_tail(self, to: &mut [f32], x: Self::F) {
        assert!(to.len() < LANES);
        unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), (1u16 << to.len()) - 1, x) }
    }
}
