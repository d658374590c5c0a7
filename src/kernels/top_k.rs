//! The best tokens of an output layer, found while its products are in the cache.

use std::cmp::Ordering;

use super::elementwise::{max_of, sum_of_exp};
use super::matrix::at_least;
use super::ranking::{EMPTY, LogSumExp, MERGED, Scored, ban, fill_up, insert, merge};
use super::simd::{LANES, Simd, dispatch};
use super::tile::{Output, PANEL_BLOCK};
use super::{Activation, PackedMatrix, Workspace};

/// Outputs scored and searched together.
pub(super) const BLOCK: usize = PANEL_BLOCK * LANES;
/// Rows scored together; with more, their scores would push the weights out of the cache.
const ROWS: usize = 64;

impl PackedMatrix {
    /// The `k` best outputs of each row of `x` `[rows, inputs]`, best first, equal scores by the lower token, without
    /// ever holding all scores: `best` becomes `[rows, k]` and, if asked for, `log_sum_exp` becomes `[rows]`.
    ///
    /// The scores are those of [`PackedMatrix::multiply`] with `bias` and no activation, bit for bit. A token in
    /// `banned` (outside the vocabulary: ignored) is never chosen while others are left; where fewer than `k` tokens
    /// have a score above negative infinity, the lowest tokens not chosen fill up with that score.
    ///
    /// # Panics
    /// If `k` is zero or above the number of outputs, or a slice has the wrong size.
    #[allow(clippy::too_many_arguments)]
    pub fn top_k(
        &self,
        workspace: &mut Workspace,
        x: &[f32],
        bias: Option<&[f32]>,
        k: usize,
        banned: &[u32],
        normalise: LogSumExp,
        best: &mut Vec<Scored>,
        log_sum_exp: &mut Vec<f32>,
    ) {
        let rows = self.rows_of(x, bias);
        let blocks = self.outputs().div_ceil(BLOCK);
        let mut sums_buffer = std::mem::take(&mut workspace.scratch.partial_sums);
        let sums = at_least(&mut sums_buffer, if normalise == LogSumExp::None { 0 } else { rows * blocks });
        let shared = Shared(sums.as_mut_ptr());
        let set = workspace.set;
        self.rank_blocks(workspace, x, bias, k, best, |Block { row, first, scores, ranking, .. }| {
            let sum = |scores: &[f32]| {
                // SAFETY: `(row, block)` is visited once.
                unsafe { *shared.get().add(row * blocks + first / BLOCK) = sum_block(set, scores) };
            };
            if normalise == LogSumExp::All {
                sum(scores);
            }
            ban(scores, first, banned);
            if normalise == LogSumExp::Allowed {
                sum(scores);
            }
            rank_block(set, scores, first as u32, ranking);
        });
        log_sum_exp.clear();
        if normalise != LogSumExp::None {
            log_sum_exp.extend(sums.chunks_exact(blocks).map(merge_sums));
        }
        workspace.scratch.partial_sums = sums_buffer;
    }

    /// How many tasks [`PackedMatrix::rank_blocks`] splits its work into.
    pub(super) fn rank_tasks(&self, workspace: &Workspace) -> usize {
        workspace.threads().min(self.outputs().div_ceil(BLOCK))
    }

    /// Computes the product block by block and calls `visit` for each row of each block; `best` becomes what the rankings
    /// hold at the end, `[rows, k]`, best first.
    ///
    /// # Panics
    /// If `k` is zero or above the number of outputs, or a slice has the wrong size.
    pub(super) fn rank_blocks(
        &self,
        workspace: &mut Workspace,
        x: &[f32],
        bias: Option<&[f32]>,
        k: usize,
        best: &mut Vec<Scored>,
        visit: impl Fn(Block<'_>) + Sync,
    ) {
        let rows = self.rows_of(x, bias);
        assert!((1..=self.outputs()).contains(&k), "k is not in 1..=outputs");
        let tasks = self.rank_tasks(workspace);
        let mut block_buffer = std::mem::take(&mut workspace.scratch.block);
        let mut ranking_buffer = std::mem::take(&mut workspace.scratch.best);
        let Workspace { set, pool, scratch, .. } = workspace;
        let (set, lhs) = (*set, self.prepare(*set, x, rows, scratch));
        let blocks = self.outputs().div_ceil(BLOCK);

        at_least(&mut block_buffer, tasks * ROWS * BLOCK);
        let ranking = at_least(&mut ranking_buffer, tasks * rows * k);
        ranking.fill(EMPTY);
        let (shared_scores, shared_ranking) = (Shared(block_buffer.as_mut_ptr()), Shared(ranking.as_mut_ptr()));
        pool.run(tasks, |task| {
            // SAFETY: each task has its own stretch of the scores and rankings, as sized above.
            let scores =
                unsafe { std::slice::from_raw_parts_mut(shared_scores.get().add(task * ROWS * BLOCK), ROWS * BLOCK) };
            // SAFETY: as above.
            let ranking =
                unsafe { std::slice::from_raw_parts_mut(shared_ranking.get().add(task * rows * k), rows * k) };
            for block in blocks * task / tasks..blocks * (task + 1) / tasks {
                let first = block * BLOCK;
                let width = BLOCK.min(self.outputs() - first);
                let panels = first / LANES..(first + width).div_ceil(LANES);
                for first_row in (0..rows).step_by(ROWS) {
                    let count = ROWS.min(rows - first_row);
                    let output = Output {
                        pointer: scores.as_mut_ptr(),
                        stride: BLOCK,
                        first_row,
                        first_output: first,
                        outputs: self.outputs(),
                        bias,
                        activation: Activation::Identity,
                    };
                    // SAFETY: `scores` holds ROWS rows of BLOCK outputs.
                    unsafe { self.product(set, lhs, first_row..first_row + count, panels.clone(), output) };
                    for (row, scores) in scores.chunks_exact_mut(BLOCK).take(count).enumerate() {
                        let row = first_row + row;
                        let scores = &mut scores[..width];
                        visit(Block { task, row, first, scores, ranking: &mut ranking[row * k..][..k] });
                    }
                }
            }
        });

        best.clear();
        for row in 0..rows {
            best.extend_from_slice(&ranking[row * k..][..k]);
            let merged = &mut best[row * k..];
            for task in 1..tasks {
                let found = &ranking[(task * rows + row) * k..][..k];
                if k >= MERGED {
                    merge(merged, found);
                } else {
                    found.iter().for_each(|&scored| insert(merged, scored));
                }
            }
            fill_up(merged);
        }
        workspace.scratch.block = block_buffer;
        workspace.scratch.best = ranking_buffer;
    }
}

/// The scores of one row over one block of outputs.
pub(super) struct Block<'a> {
    /// Which task computed them; a task computes its blocks in increasing order.
    pub(super) task: usize,
    pub(super) row: usize,
    /// The output that `scores[0]` belongs to.
    pub(super) first: usize,
    pub(super) scores: &'a mut [f32],
    /// The task's `k` best of this row so far, best first.
    pub(super) ranking: &'a mut [Scored],
}

/// A buffer that tasks write disjoint parts of.
pub(super) struct Shared<T>(pub(super) *mut T);

impl<T> Shared<T> {
    pub(super) fn get(&self) -> *mut T {
        self.0
    }
}

// SAFETY: the parts that tasks write are disjoint.
unsafe impl<T> Sync for Shared<T> {}

/// `log Σ exp` from the parts of each block, in the order of the blocks.
fn merge_sums(parts: &[(f32, f32)]) -> f32 {
    let max = parts.iter().fold(f32::NEG_INFINITY, |max, part| max.max(part.0));
    if max == f32::NEG_INFINITY {
        return max;
    }
    max + parts.iter().map(|part| part.1 * (part.0 - max).exp()).sum::<f32>().ln()
}

dispatch!(fn sum_block(scores: &[f32]) -> (f32, f32) = sum_block_generic);
dispatch!(fn rank_block(scores: &[f32], first: u32, ranking: &mut [Scored]) = rank_block_generic);

/// The largest score and `Σ exp(score - largest)`.
#[inline(always)]
fn sum_block_generic<S: Simd>(simd: S, scores: &[f32]) -> (f32, f32) {
    let max = max_of(simd, scores);
    if max == f32::NEG_INFINITY {
        return (max, 0.0);
    }
    (max, sum_of_exp(simd, scores, max))
}

/// Inserts into `ranking` what beats its last place; `scores[0]` belongs to token `first`.
#[inline(always)]
fn rank_block_generic<S: Simd>(simd: S, scores: &[f32], first: u32, ranking: &mut [Scored]) {
    let last = ranking.len() - 1;
    let (chunks, tail) = scores.as_chunks::<LANES>();
    if ranking.len() >= MERGED {
        let mut found = [EMPTY; BLOCK];
        let mut count = 0;
        let worst = ranking[last].value;
        for (index, chunk) in chunks.iter().enumerate() {
            let mut beaten = simd.greater_mask(simd.read(chunk), simd.splat(worst));
            while beaten != 0 {
                let lane = beaten.trailing_zeros();
                beaten &= beaten - 1;
                found[count] = Scored { value: chunk[lane as usize], token: first + (index * LANES) as u32 + lane };
                count += 1;
            }
        }
        for (index, &value) in tail.iter().enumerate().filter(|(_, value)| **value > worst) {
            found[count] = Scored { value, token: first + (chunks.len() * LANES + index) as u32 };
            count += 1;
        }
        let found = &mut found[..count];
        // None is NaN, and zeros are equal whatever their sign.
        found.sort_unstable_by(|a, b| {
            b.value.partial_cmp(&a.value).unwrap_or(Ordering::Equal).then(a.token.cmp(&b.token))
        });
        merge(ranking, found);
        return;
    }
    for (index, chunk) in chunks.iter().enumerate() {
        let mut beaten = simd.greater_mask(simd.read(chunk), simd.splat(ranking[last].value));
        while beaten != 0 {
            let lane = beaten.trailing_zeros();
            beaten &= beaten - 1;
            insert(ranking, Scored { value: chunk[lane as usize], token: first + (index * LANES) as u32 + lane });
        }
    }
    for (index, &value) in tail.iter().enumerate() {
        insert(ranking, Scored { value, token: first + (chunks.len() * LANES + index) as u32 });
    }
}
