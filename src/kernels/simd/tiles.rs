//! Tiles of 8-bit products, as a processor with AMX multiplies them.

/// Rows of a tile, and outputs of a tile of sums.
pub(in crate::kernels) const TILE_ROWS: usize = 16;
/// Groups of four inputs that one tile of weights holds.
pub(in crate::kernels) const TILE_GROUPS: usize = 16;
/// The sums of two tiles of rows by two panels, one tile after the other: the first rows by both panels, then the others.
pub(in crate::kernels) const SUMS: usize = 4 * TILE_ROWS * 16;

/// Two tiles of rows, or one, and two panels.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Factors {
    /// Whether there are two tiles of rows.
    pub(in crate::kernels) two: bool,
    /// Unsigned bytes of the first row.
    pub(in crate::kernels) x: *const u8,
    /// Bytes from the first row of the first tile to that of the second.
    pub(in crate::kernels) below: usize,
    /// Bytes from row to row.
    pub(in crate::kernels) stride: usize,
    /// Two panels `[group][lane][4]` of `16 · steps` groups, one behind the other.
    pub(in crate::kernels) panels: *const i8,
    /// Tiles side by side, at least one.
    pub(in crate::kernels) steps: usize,
    /// Two times sixteen numbers.
    pub(in crate::kernels) corrections: *const i32,
    /// As many bytes as the two panels hold, to be brought into the second-level cache meanwhile.
    #[cfg_attr(
        not(all(target_arch = "x86_64", target_os = "linux")),
        expect(dead_code, reason = "plain tiles do not prefetch")
    )]
    pub(in crate::kernels) upcoming: Option<*const u8>,
}

/// What multiplies tiles.
pub(in crate::kernels) trait Tiles {
    /// `sums = corrections + x · w`, exact integers.
    ///
    /// # Safety
    /// The factors must be readable.
    unsafe fn multiply(&self, factors: Factors, sums: &mut [i32; SUMS]);

    /// Asks for the two lines from `address` on, to be written; nothing is written, and any address will do.
    fn prefetch_to_write(&self, address: *const f32);
}

/// Tiles in plain Rust, so that what is around them is tested on every machine.
#[cfg(test)]
pub(in crate::kernels) struct PlainTiles;

#[cfg(test)]
impl Tiles for PlainTiles {
    unsafe fn multiply(&self, factors: Factors, sums: &mut [i32; SUMS]) {
        let Factors { two, x, below, stride, panels, steps, corrections, .. } = factors;
        for tile in 0..if two { 4 } else { 2 } {
            let panel = tile % 2;
            for row in 0..TILE_ROWS {
                for lane in 0..16 {
                    // SAFETY: the caller's promise.
                    let mut sum = unsafe { *corrections.add(panel * 16 + lane) };
                    for input in 0..steps * TILE_GROUPS * 4 {
                        let (group, of_four) = (input / 4, input % 4);
                        let at = ((panel * steps * TILE_GROUPS + group) * 16 + lane) * 4 + of_four;
                        // SAFETY: the caller's promise.
                        let (x, w) = unsafe { (*x.add(tile / 2 * below + row * stride + input), *panels.add(at)) };
                        sum += i32::from(x) * i32::from(w);
                    }
                    sums[(tile * TILE_ROWS + row) * 16 + lane] = sum;
                }
            }
        }
    }

    fn prefetch_to_write(&self, _address: *const f32) {}
}
