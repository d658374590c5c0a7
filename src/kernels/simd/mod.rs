//! Sixteen `f32` lanes on every machine: one trait, implemented with AVX-512, AVX2 and plain Rust.
//!
//! Kernels are written once against [`Simd`] and compiled for every instruction set; [`InstructionSet::detect`] picks
//! one at run time. A vector is always sixteen lanes (one AVX-512 register, two AVX2 registers, or an array), and sums
//! across lanes use one fixed tree, so wherever fused multiply-add exists all of them give the same bits.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(super) mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
#[cfg(any(test, all(target_arch = "x86_64", target_os = "linux")))]
pub(super) mod tiles;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::Avx512;
pub(super) use portable::Portable;

use half::f16;
use std::fmt;
use std::sync::OnceLock;

/// Lanes of a vector.
pub(super) const LANES: usize = 16;

/// An instruction set the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// [`InstructionSet::Avx512Vnni`] with tiles for 8-bit products of many rows (Sapphire Rapids and later, on Linux).
    Amx,
    /// 512-bit vectors with the 8-bit dot product (Ice Lake, Zen 4 and later).
    Avx512Vnni,
    /// 256-bit vectors with the 8-bit dot product (Alder Lake and later).
    AvxVnni,
    /// 256-bit vectors with fused multiply-add and half-precision conversion (Haswell, Zen and later).
    Avx2,
    /// Plain Rust, vectorised by the compiler for the target's baseline (NEON on 64-bit Arm).
    Portable,
}

/// What [`InstructionSet::detect`] gives, once it is decided.
static IN_USE: OnceLock<InstructionSet> = OnceLock::new();

impl InstructionSet {
    /// The best instruction set of this processor, found once; or the one that was chosen before.
    pub fn detect() -> Self {
        *IN_USE.get_or_init(|| Self::available().next().unwrap_or(Self::Portable))
    }

    /// Makes the kernels use this one, so that what another machine does can be repeated here. False if this processor cannot
    /// run it, or if kernels already ran with another.
    pub fn choose(self) -> bool {
        self.runs_here() && *IN_USE.get_or_init(|| self) == self
    }

    /// A name to be typed: `amx`, `avx512-vnni`, `avx-vnni`, `avx2`, `portable`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amx => "amx",
            Self::Avx512Vnni => "avx512-vnni",
            Self::AvxVnni => "avx-vnni",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }

    /// The instruction sets this processor can run, best first. Always ends with [`InstructionSet::Portable`].
    pub fn available() -> impl Iterator<Item = Self> {
        [Self::Amx, Self::Avx512Vnni, Self::AvxVnni, Self::Avx2, Self::Portable]
            .into_iter()
            .filter(|set| set.runs_here())
    }

    /// [`Simd::ACTIVATION_OFFSET`] of the 8-bit products.
    pub(super) fn activation_offset(self) -> u8 {
        match self {
            Self::Amx | Self::Avx512Vnni | Self::AvxVnni => 128,
            Self::Avx2 | Self::Portable => 0,
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn runs_here(self) -> bool {
        let avx2 =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        match self {
            #[cfg(target_os = "linux")]
            Self::Amx => {
                static PERMITTED: OnceLock<bool> = OnceLock::new();
                Self::Avx512Vnni.runs_here() && *PERMITTED.get_or_init(amx::is_permitted)
            }
            #[cfg(not(target_os = "linux"))]
            Self::Amx => false,
            Self::Avx512Vnni => {
                avx2 && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
            Self::AvxVnni => avx2 && is_x86_feature_detected!("avxvnni"),
            Self::Avx2 => avx2,
            Self::Portable => true,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn runs_here(self) -> bool {
        self == Self::Portable
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Amx => "AMX",
            Self::Avx512Vnni => "AVX-512 VNNI",
            Self::AvxVnni => "AVX2 with AVX-VNNI",
            Self::Avx2 => "AVX2",
            Self::Portable if cfg!(target_arch = "aarch64") => "NEON",
            Self::Portable => "portable",
        })
    }
}

/// Sixteen-lane arithmetic of one instruction set.
///
/// A value of an implementing type is a proof that the processor has the instruction set: the x86 ones are made only
/// by the `unsafe` constructors that [`dispatch!`] calls after detection. That is why the arithmetic here is safe.
pub(super) trait Simd: Copy {
    /// Sixteen `f32`.
    type F: Copy;
    /// Sixteen `i32`.
    type I: Copy;

    /// Vectors of sixteen lanes the register file holds; it decides the shape of matrix tiles.
    const REGISTERS: usize;
    /// What is added to a signed 8-bit activation to store it: 128 where the dot product wants unsigned activations.
    const ACTIVATION_OFFSET: u8;

    fn splat(self, value: f32) -> Self::F;
    fn splat_i32(self, value: i32) -> Self::I;
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a · b + c`, rounded once where the machine can.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `a · b + c`, rounded once on every machine, however long that takes.
    #[inline(always)]
    fn fused(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        self.fma(a, b, c)
    }
    /// The larger of each pair; `b` where either is not a number.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// The smaller of each pair; `b` where either is not a number.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// `x` with its sign flipped where `sign` is negative.
    fn copy_sign(self, x: Self::F, sign: Self::F) -> Self::F;
    /// `|x|`.
    fn abs(self, x: Self::F) -> Self::F;
    /// Zero where `a < b`, `value` elsewhere.
    fn zero_where_less(self, a: Self::F, b: Self::F, value: Self::F) -> Self::F;
    /// Bit `i` is set where `a[i] > b[i]`.
    fn greater_mask(self, a: Self::F, b: Self::F) -> u16;
    /// `value · 2ⁿ` with `n` taken from the low bits of `shifted = n + 1.5 · 2²³`; the result must stay normal.
    fn scale_by_power(self, value: Self::F, shifted: Self::F) -> Self::F;
    /// `2ⁿ` with `n` given as in [`Simd::scale_by_power`].
    fn power(self, shifted: Self::F) -> Self::F {
        self.scale_by_power(self.splat(1.0), shifted)
    }
    /// Sum of the lanes: lane `i` with `i + 8`, then `+ 4`, `+ 2`, `+ 1`.
    fn reduce_add(self, x: Self::F) -> f32;
    /// The sums of sixteen vectors, each over the tree of [`Simd::reduce_add`].
    #[inline(always)]
    fn reduce_add_each(self, x: [Self::F; LANES]) -> Self::F {
        let mut sums = [0.0; LANES];
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum = self.reduce_add(x);
        }
        self.read(&sums)
    }
    /// Largest lane.
    fn reduce_max(self, x: Self::F) -> f32;

    /// Reads sixteen values.
    ///
    /// # Safety
    /// `from` must be valid for reading sixteen `f32`.
    unsafe fn load(self, from: *const f32) -> Self::F;
    /// Writes sixteen values.
    ///
    /// # Safety
    /// `to` must be valid for writing sixteen `f32`.
    unsafe fn store(self, to: *mut f32, x: Self::F);

    /// Reads sixteen half-precision values.
    ///
    /// # Safety
    /// `from` must be valid for reading sixteen `f16`.
    unsafe fn load_f16(self, from: *const f16) -> Self::F;
    /// Writes sixteen values, rounded to the nearest half-precision number; larger ones than 65,504 are held there.
    ///
    /// # Safety
    /// `to` must be valid for writing sixteen `f16`.
    unsafe fn store_f16(self, to: *mut f16, x: Self::F);

    /// Sums of integers, wrapping around.
    fn add_i32(self, a: Self::I, b: Self::I) -> Self::I;
    /// Sixteen `f32` from sixteen `i32`.
    fn convert(self, x: Self::I) -> Self::F;
    /// Rounds to the nearest integer (ties to even), which must fit `i8`, flips the bits of `offset` (0, or 128 to make
    /// signed values unsigned) and writes sixteen bytes.
    ///
    /// # Safety
    /// `to` must be valid for writing sixteen bytes.
    unsafe fn store_quantised(self, to: *mut u8, x: Self::F, offset: u8);
    /// `acc[i] + Σ_{j<4} activation[j] · weights[4 i + j]`, exactly. `activations` holds four bytes as
    /// [`Simd::store_quantised`] wrote them with [`Simd::ACTIVATION_OFFSET`], which the caller corrects for; weights lie in -127..=127.
    ///
    /// # Safety
    /// `weights` must be valid for reading 64 bytes.
    unsafe fn dot4(self, acc: Self::I, activations: i32, weights: *const i8) -> Self::I;
    /// Reads sixteen integers.
    ///
    /// # Safety
    /// `from` must be valid for reading sixteen `i32`.
    unsafe fn load_i32(self, from: *const i32) -> Self::I;

    /// Asks for the line at `address` in the second-level cache. Any address will do; nothing is read.
    fn prefetch(self, address: *const u8);

    /// The first sixteen values of a slice.
    #[inline(always)]
    fn read(self, from: &[f32]) -> Self::F {
        assert!(from.len() >= LANES);
        // SAFETY: the slice holds at least sixteen values.
        unsafe { self.load(from.as_ptr()) }
    }

    /// Writes over the first sixteen values of a slice.
    #[inline(always)]
    fn write(self, to: &mut [f32], x: Self::F) {
        assert!(to.len() >= LANES);
        // SAFETY: the slice holds at least sixteen values.
        unsafe { self.store(to.as_mut_ptr(), x) }
    }

    /// A slice of fewer than sixteen values, filled up with `fill`.
    #[inline(always)]
    fn read_tail(self, from: &[f32], fill: f32) -> Self::F {
        let mut lanes = [fill; LANES];
        lanes[..from.len()].copy_from_slice(from);
        self.read(&lanes)
    }

    /// Writes the first `to.len()` lanes, fewer than sixteen.
    #[inline(always)]
    fn write_tail(self, to: &mut [f32], x: Self::F) {
        let mut lanes = [0.0; LANES];
        self.write(&mut lanes, x);
        to.copy_from_slice(&lanes[..to.len()]);
    }
}

/// Numbers that keys and values are stored as.
pub(super) trait Element: Copy {
    /// The first sixteen values of a slice.
    fn read<S: Simd>(simd: S, from: &[Self]) -> S::F;
    /// A slice of fewer than sixteen values, filled up with zeros.
    fn read_tail<S: Simd>(simd: S, from: &[Self]) -> S::F;
}

impl Element for f32 {
    #[inline(always)]
    fn read<S: Simd>(simd: S, from: &[Self]) -> S::F {
        simd.read(from)
    }
    #[inline(always)]
    fn read_tail<S: Simd>(simd: S, from: &[Self]) -> S::F {
        simd.read_tail(from, 0.0)
    }
}

impl Element for f16 {
    #[inline(always)]
    fn read<S: Simd>(simd: S, from: &[Self]) -> S::F {
        assert!(from.len() >= LANES);
        // SAFETY: the slice holds at least sixteen values.
        unsafe { simd.load_f16(from.as_ptr()) }
    }
    #[inline(always)]
    fn read_tail<S: Simd>(simd: S, from: &[Self]) -> S::F {
        let mut lanes = [f16::ZERO; LANES];
        lanes[..from.len()].copy_from_slice(from);
        Self::read(simd, &lanes)
    }
}

/// Defines `fn name(set, arguments...)` that runs the generic function `generic(simd, arguments...)` compiled for the
/// instruction set `set`.
///
/// The generic function and everything it calls in a loop must be `#[inline(always)]`, so that it is compiled with the
/// features of the wrapper it ends up in. AVX-VNNI differs from AVX2 only in the 8-bit dot product, so it is compiled
/// apart only where `vnni` is written before `fn`.
macro_rules! dispatch {
    ($visibility:vis fn $($rest:tt)*) => { dispatch!(@ [$visibility] [] false $($rest)*); };
    ($visibility:vis unsafe fn $($rest:tt)*) => { dispatch!(@ [$visibility] [unsafe] false $($rest)*); };
    ($visibility:vis unsafe vnni fn $($rest:tt)*) => { dispatch!(@ [$visibility] [unsafe] true $($rest)*); };
    (@ [$visibility:vis] [$($unsafe:tt)?] $vnni:literal $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $output:ty)? = $generic:path) => {
        #[allow(clippy::too_many_arguments, clippy::missing_safety_doc, clippy::undocumented_unsafe_blocks, unused_unsafe)]
        $visibility $($unsafe)? fn $name(set: $crate::kernels::simd::InstructionSet, $($argument: $type),*) $(-> $output)? {
            // SAFETY of every block: an `InstructionSet` other than `Portable` comes from detection on this processor,
            // so the features exist; what else the generic function asks for is the caller's promise.
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::kernels::simd::{Avx2, Avx512, InstructionSet};
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
                $($unsafe)? fn avx512($($argument: $type),*) $(-> $output)? {
                    unsafe { $generic(Avx512::new(), $($argument),*) }
                }
                #[target_feature(enable = "avx2,fma,f16c,avxvnni")]
                $($unsafe)? fn avx_vnni($($argument: $type),*) $(-> $output)? {
                    unsafe { $generic(Avx2::<$vnni>::new(), $($argument),*) }
                }
                #[target_feature(enable = "avx2,fma,f16c")]
                $($unsafe)? fn avx2($($argument: $type),*) $(-> $output)? {
                    unsafe { $generic(Avx2::<false>::new(), $($argument),*) }
                }
                match set {
                    InstructionSet::Amx | InstructionSet::Avx512Vnni => return unsafe { avx512($($argument),*) },
                    InstructionSet::AvxVnni if $vnni => return unsafe { avx_vnni($($argument),*) },
                    InstructionSet::AvxVnni | InstructionSet::Avx2 => return unsafe { avx2($($argument),*) },
                    InstructionSet::Portable => {}
                }
            }
            let _ = set;
            unsafe { $generic($crate::kernels::simd::Portable, $($argument),*) }
        }
    };
}
pub(super) use dispatch;
