//! Tiles of 8-bit products: sixteen rows by sixteen outputs at a time (Intel AMX, Sapphire Rapids and later).
//!
//! The compiler knows nothing of tile registers. So they are configured, used and released within one product, and no tile
//! lives across two blocks of assembly.

#![cfg(target_os = "linux")]

use super::tiles::{Factors, SUMS, TILE_GROUPS, Tiles};
use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};

/// The request to `arch_prctl` for more register state.
const REQUEST_PERMISSION: libc::c_long = 0x1023;

/// Whether this processor has 8-bit tiles of the usual size and the system lets this process use them.
///
/// Linux gives the larger register state to processes that ask for it, and for all their threads at once; it refuses, among
/// others, where a thread has too small a stack for signals.
pub(super) fn is_permitted() -> bool {
    const TILE_DATA: libc::c_long = 18;
    let (tiles, int8) = (1 << 24, 1 << 25);
    // SAFETY: every x86-64 processor has the instruction. (It needs no `unsafe` in later versions of Rust.)
    #[allow(unused_unsafe)]
    let (highest, features, palette) = unsafe { (__cpuid(0).eax, __cpuid_count(7, 0).edx, __cpuid_count(0x1d, 1)) };
    // Palette 1: eight tiles of sixteen rows of 64 bytes.
    let usual = palette.eax >> 16 == 1024 && palette.ebx == (8 << 16 | 64) && palette.ecx & 0xffff == 16;
    if highest < 0x1d || features & (tiles | int8) != tiles | int8 || !usual {
        return false;
    }
    // SAFETY: the call takes two numbers and changes nothing but what this process may use.
    unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0 }
}

/// Tiles ready for use by this thread, until dropped.
pub(in crate::kernels) struct AmxTiles(());

/// Eight tiles of sixteen rows of 64 bytes.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_per_row: [u16; 16],
    rows: [u8; 16],
}

impl AmxTiles {
    /// Makes them ready.
    ///
    /// # Safety
    /// [`is_permitted`] must have said so.
    pub(in crate::kernels) unsafe fn configure() -> Self {
        static CONFIGURATION: Configuration = Configuration {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            bytes_per_row: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
            rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
        };
        // SAFETY: the instruction reads the 64 bytes of a valid configuration; the caller vouches for it being there.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &CONFIGURATION, options(nostack, readonly, preserves_flags)) };
        Self(())
    }
}

impl Tiles for AmxTiles {
    #[inline]
    unsafe fn multiply(&self, factors: Factors, sums: &mut [i32; SUMS]) {
        let Factors { two, x, below, stride, panels, steps, corrections, upcoming } = factors;
        let sums = sums.as_mut_ptr();
        let second = panels.wrapping_add(steps * TILE_GROUPS * 64);
        macro_rules! prefetch {
            ($($line:literal)*) => { concat!($("prefetcht1 [{upcoming} + ", $line, " * 64]\n"),*) };
        }
        macro_rules! run {
            (($($ahead:literal)*), ($($further:literal)*), $begin:literal, $first:literal, $second:literal, $end:literal) => {
                // SAFETY: the caller's promise; the tiles are configured while `self` lives.
                unsafe {
                    asm!(
                        "tileloadd tmm0, [{corrections} + {zero}]",
                        "tileloadd tmm1, [{corrections} + {zero} + 64]",
                        $begin,
                        "2:",
                        "tileloadd tmm4, [{x} + {stride}]",
                        "tileloadd tmm6, [{panels} + {line}]",
                        "tileloadd tmm7, [{second} + {line}]",
                        prefetch!($($ahead)*),
                        "tdpbusd tmm0, tmm4, tmm6",
                        $first,
                        "tdpbusd tmm1, tmm4, tmm7",
                        prefetch!($($further)*),
                        $second,
                        "add {x}, 64",
                        "add {panels}, 1024",
                        "add {second}, 1024",
                        "add {upcoming}, 2048",
                        "dec {steps}",
                        "jnz 2b",
                        "tilestored [{sums} + {line}], tmm0",
                        "tilestored [{sums} + {line} + 1024], tmm1",
                        $end,
                        corrections = in(reg) corrections,
                        zero = in(reg) 0usize,
                        x = inout(reg) x => _,
                        below = inout(reg) x.wrapping_add(below) => _,
                        stride = in(reg) stride,
                        panels = inout(reg) panels => _,
                        second = inout(reg) second => _,
                        line = in(reg) 64usize,
                        upcoming = inout(reg) upcoming.unwrap_or(std::ptr::null()) => _,
                        steps = inout(reg) steps => _,
                        sums = in(reg) sums,
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack),
                    );
                }
            };
        }
        macro_rules! with {
            ($ahead:tt, $further:tt) => {
                if two {
                    run!(
                        $ahead,
                        $further,
                        "tileloadd tmm2, [{corrections} + {zero}]
                         tileloadd tmm3, [{corrections} + {zero} + 64]",
                        "tileloadd tmm5, [{below} + {stride}]",
                        "tdpbusd tmm2, tmm5, tmm6
                         tdpbusd tmm3, tmm5, tmm7
                         add {below}, 64",
                        "tilestored [{sums} + {line} + 2048], tmm2
                         tilestored [{sums} + {line} + 3072], tmm3"
                    );
                } else {
                    run!($ahead, $further, "/* one tile of rows: {below} is not looked at */", "", "", "");
                }
            };
        }
        match upcoming {
            Some(_) => {
                with!((0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15), (16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31))
            }
            None => with!((), ()),
        }
    }

    /// Two lines from the address on.
    #[inline(always)]
    fn prefetch_to_write(&self, address: *const f32) {
        // SAFETY: the instruction neither reads nor writes.
        unsafe {
            asm!("prefetchw [{0}]", "prefetchw [{0} + 64]", in(reg) address, options(nostack, preserves_flags, readonly))
        };
    }
}

impl Drop for AmxTiles {
    fn drop(&mut self) {
        // SAFETY: gives up what `configure` made ready.
        unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has the system refuse this thread the request from now on, and nothing else: by a filter of system calls, as containers and
    /// services are run with (seccomp(2)).
    fn refuse_permission() {
        const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
        const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
        const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
        // Where the number of a call and its first argument lie in `seccomp_data`.
        const NUMBER: u32 = 0;
        const FIRST: u32 = 16;
        let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
        let mut steps = [
            step(LOAD, 0, 0, NUMBER),
            step(IF_EQUAL, 0, 3, libc::SYS_arch_prctl as u32),
            step(LOAD, 0, 0, FIRST),
            step(IF_EQUAL, 0, 1, REQUEST_PERMISSION as u32),
            step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
            step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
        // SAFETY: both calls concern this thread alone; the system copies the program.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
        };
        assert!(done, "no filter: {}", std::io::Error::last_os_error());
    }

    #[test]
    fn there_are_no_tiles_where_the_system_refuses_them() {
        let refused = std::thread::spawn(|| {
            refuse_permission();
            !is_permitted()
        });
        assert!(refused.join().unwrap());
    }
}
