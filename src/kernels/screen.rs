//! The best outputs of an `f32` matrix with a quarter of its memory traffic: 8-bit products rule out, provably, almost all
//! outputs, and only the few that are left are computed in `f32`.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::matrix::{LeftHandSide, Packer, at_least, each_row};
use super::ranking::{EMPTY, ban, fill_up, insert};
use super::screen_buffers::{Candidate, List, RowNorms, ScreenBuffers};
use super::simd::{InstructionSet, LANES, Simd, dispatch};
use super::tile::Output;
use super::top_k::{BLOCK, Block, Shared};
use super::{Activation, LogSumExp, PackedMatrix, Precision, Scored, Workspace};

/// An 8-bit copy of an `f32` matrix `[outputs, inputs]`, and how far its products can be from the true ones.
///
/// With a row `x`, its rounded copy `x̂`, a weight row `w` and its rounded copy `ŵ`, the triangle and Cauchy-Schwarz
/// inequalities give `|x·w - x̂·ŵ| ≤ ‖x‖·‖w - ŵ‖ + ‖x - x̂‖·‖ŵ‖`. All four norms are computed from the numbers themselves, not
/// estimated, so an output whose 8-bit score plus this bound stays below a score already found cannot be among the best.
///
/// Where that leaves too many outputs, because the scores are flat or `x` has a few large numbers that make its steps coarse,
/// what rounding took from `x` is rounded in turn and multiplied too, which all but removes the second term; and where even
/// that does not help, the screen stands aside. Only the time depends on it, never a result.
#[derive(Debug)]
pub struct Screen {
    rounded: PackedMatrix,
    /// `‖w - ŵ‖` of each output and what `f32` sums may be off by, for a row of norm 1; up to whole panels.
    weight_error: Vec<f32>,
    /// `‖ŵ‖` of each output, likewise.
    weight_norm: Vec<f32>,
    /// Searches that left most of their rows crowded, less those that did not: see [`Screen::effort`].
    crowded: AtomicUsize,
}

/// What a search does to rule outputs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// Multiplies `x̂`.
    OneDigit,
    /// Multiplies `x̂` and the rounded `x - x̂`.
    TwoDigits,
    /// Nothing.
    None,
}

/// What is searched for: the arguments of [`Screen::top_k`] that its steps share.
#[derive(Clone, Copy)]
struct Query<'a> {
    x: &'a [f32],
    bias: Option<&'a [f32]>,
    k: usize,
    banned: &'a [u32],
}

/// Crowded searches after which the effort changes.
const PATIENCE: usize = 8;
const TWICE_PATIENCE: usize = 2 * PATIENCE;
/// A row is crowded if more panels than these, or than one in so many, are left of it.
const CROWD: (usize, usize) = (16, 128);

/// Relative room for the rounding of a few `f32` operations, far more than they need.
const ROOM: f32 = 1.0 / (1 << 20) as f32;
/// Relative room for norms, sums of up to thousands of squares in `f32`.
const NORM_ROOM: f32 = 1.0 + 1e-3;

/// The least magnitude, of the largest number of a row, at which squares are safe.
const SMALLEST: f32 = 1e-12;

impl Screen {
    /// Rounds `matrix`.
    ///
    /// # Panics
    /// If the matrix is not in `f32`.
    pub fn new(matrix: &PackedMatrix) -> Self {
        assert_eq!(matrix.precision(), Precision::F32, "only f32 products are worth screening");
        let read = |first: usize, into: &mut [f32]| -> Result<(), Infallible> {
            into.chunks_exact_mut(matrix.inputs()).zip(first..).for_each(|(row, output)| matrix.row(output, row));
            Ok(())
        };
        let Ok(screen) = Self::of_rows(matrix.outputs(), matrix.inputs(), read);
        screen
    }

    /// Rounds a matrix that need not be in memory: `read` brings its rows from a given one on, `[any number, inputs]`.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn of_rows<E>(
        outputs: usize,
        inputs: usize,
        read: impl Fn(usize, &mut [f32]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let (set, mut packer) = (InstructionSet::detect(), Packer::new(outputs, inputs, Precision::Int8));
        let mut weight_error = vec![0.0; outputs.next_multiple_of(LANES)];
        let mut weight_norm = weight_error.clone();
        // An f32 sum of `n` products is off by at most `n · 2⁻²³ · ‖x‖ · ‖w‖`, fused or not.
        let summing = inputs as f64 / f64::from(1 << 23);
        let mut near = vec![0.0; inputs];
        each_row(outputs, inputs, read, |output, exact| {
            packer.push(exact);
            packer.last_row(&mut near);
            let [error, length, rounded_length] = weight_norms(set, exact, &near);
            let error = error + summing * length + f64::from(ROOM) * rounded_length;
            weight_error[output] = error as f32 * (1.0 + ROOM);
            weight_norm[output] = rounded_length as f32 * (1.0 + 4.0 * ROOM);
        })?;
        let rounded = packer.finish().rounding_from_zero();
        Ok(Self { rounded, weight_error, weight_norm, crowded: AtomicUsize::new(0) })
    }

    /// What to do now, by what came of it so far.
    pub(super) fn effort(&self) -> Effort {
        match self.crowded.load(Ordering::Relaxed) {
            0..PATIENCE => Effort::OneDigit,
            PATIENCE..TWICE_PATIENCE => Effort::TwoDigits,
            _ => Effort::None,
        }
    }

    /// Remembers whether most rows of a search were crowded.
    fn remember(&self, effort: Effort, crowded: bool) {
        let least = if effort == Effort::OneDigit { 0 } else { PATIENCE };
        let change = |count: usize| Some(if crowded { count + 1 } else { count.saturating_sub(1).max(least) });
        // Other threads may have changed it meanwhile; it is a hint.
        let _ = self.crowded.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }

    /// What [`PackedMatrix::top_k`] of `matrix`, the one this screen was made from, gives without normalisation, bit for
    /// bit: the `k` best outputs of each row of `x` `[rows, inputs]` into `best`, `[rows, k]`.
    ///
    /// # Panics
    /// As [`PackedMatrix::top_k`], and if `matrix` has another size.
    #[allow(clippy::too_many_arguments)]
    pub fn top_k(
        &self,
        matrix: &PackedMatrix,
        workspace: &mut Workspace,
        x: &[f32],
        bias: Option<&[f32]>,
        k: usize,
        banned: &[u32],
        best: &mut Vec<Scored>,
    ) {
        assert_eq!(
            (matrix.outputs(), matrix.inputs()),
            (self.rounded.outputs(), self.rounded.inputs()),
            "another matrix"
        );
        let effort = self.effort();
        if effort == Effort::None {
            return matrix.top_k(workspace, x, bias, k, banned, LogSumExp::None, best, &mut Vec::new());
        }
        let rows = matrix.rows_of(x, bias);
        let mut buffers = std::mem::take(&mut workspace.scratch.screen);
        let query = Query { x, bias, k, banned };
        self.collect(effort, workspace, query, best, &mut buffers);
        let crowded = self.choose(matrix, workspace, query, best, &mut buffers);
        self.remember(effort, crowded * 2 > rows);
        workspace.scratch.screen = buffers;
    }

    /// [`Screen::top_k`] where the rows of the matrix are not in memory: `read` brings the few that are not ruled out, each
    /// into its `[inputs]`. `false`, and nothing found, where so many are left that the whole matrix is needed.
    ///
    /// # Errors
    /// Those of `read`.
    ///
    /// # Panics
    /// As [`Screen::top_k`].
    #[allow(clippy::too_many_arguments)]
    pub fn top_k_by_rows<E>(
        &self,
        workspace: &mut Workspace,
        x: &[f32],
        bias: Option<&[f32]>,
        k: usize,
        banned: &[u32],
        best: &mut Vec<Scored>,
        read: impl Fn(usize, &mut [f32]) -> Result<(), E>,
    ) -> Result<bool, E> {
        let rows = self.rounded.rows_of(x, bias);
        let tasks = self.rounded.rank_tasks(workspace);
        let query = Query { x, bias, k, banned };
        let mut buffers = std::mem::take(&mut workspace.scratch.screen);
        let mut is_found = false;
        // More effort at once where it is needed, because the whole matrix is worth it.
        let efforts = match self.effort() {
            Effort::OneDigit => &[Effort::OneDigit, Effort::TwoDigits][..],
            Effort::TwoDigits => &[Effort::TwoDigits],
            Effort::None => &[],
        };
        for (attempt, &effort) in efforts.iter().enumerate() {
            self.collect(effort, workspace, query, best, &mut buffers);
            is_found = !buffers.lists[..tasks * rows].iter().any(|list| list.overflowed);
            let crowded =
                if is_found { self.choose_by_rows(workspace, query, best, &mut buffers, &read)? } else { rows };
            if attempt == 0 {
                self.remember(effort, crowded * 2 > rows);
            }
            if is_found {
                break;
            }
        }
        workspace.scratch.screen = buffers;
        Ok(is_found)
    }

    /// The panels of each row that may hold one of its best into `buffers.lists` `[tasks, rows]`, and into `best` the `k`
    /// highest lower bounds of each row.
    fn collect(
        &self,
        effort: Effort,
        workspace: &mut Workspace,
        query: Query<'_>,
        best: &mut Vec<Scored>,
        buffers: &mut ScreenBuffers,
    ) {
        let Query { x, bias, k, banned } = query;
        let inputs = self.rounded.inputs();
        let rows = x.len() / inputs;
        let (set, tasks) = (workspace.set, self.rounded.rank_tasks(workspace));
        let ScreenBuffers { norms, lists, digits, first_digit, .. } = buffers;
        let lists = at_least(lists, tasks * rows);
        lists.iter_mut().for_each(List::clear);
        // The rankings hold lower bounds, so their last place is what a candidate must be able to reach.
        let shared = Shared(lists.as_mut_ptr());
        let visit = |task: usize, row: usize, first, scores: &mut [f32], ranking: &mut [Scored], norms: RowNorms| {
            ban(scores, first, banned);
            // SAFETY: a list belongs to one task.
            let list = unsafe { &mut *shared.get().add(task * rows + row) };
            let bounds = Bounds { error: &self.weight_error[first..], norm: &self.weight_norm[first..], row: norms };
            collect(set, scores, first, bounds, ranking, list);
        };
        if effort == Effort::OneDigit {
            let norms = at_least(norms, rows);
            row_norms(set, x, inputs, norms);
            let norms = &*norms;
            self.rounded.rank_blocks(workspace, x, bias, k, best, |Block { task, row, first, scores, ranking }| {
                visit(task, row, first, scores, ranking, norms[row]);
            });
            return;
        }

        // Every row is followed by what rounding takes from it.
        let (norms, digits) = (at_least(norms, 2 * rows), at_least(digits, 2 * x.len()));
        split_rows(set, x, inputs, digits);
        row_norms(set, digits, inputs, norms);
        let (norms, digits) = (&*norms, &*digits);
        let shared_digit = Shared(at_least(first_digit, tasks * BLOCK).as_mut_ptr());
        self.rounded.rank_blocks(workspace, digits, None, k, best, |Block { task, row, first, scores, ranking }| {
            // SAFETY: each task has its own stretch.
            let first_digit = unsafe { std::slice::from_raw_parts_mut(shared_digit.get().add(task * BLOCK), BLOCK) };
            let first_digit = &mut first_digit[..scores.len()];
            if row.is_multiple_of(2) {
                return first_digit.copy_from_slice(scores);
            }
            scores.iter_mut().zip(first_digit).for_each(|(score, first)| *score += *first);
            if let Some(bias) = bias {
                scores.iter_mut().zip(&bias[first..]).for_each(|(score, bias)| *score += bias);
            }
            let (x, rest) = (norms[row - 1].x, norms[row].error);
            // The parts are rounded in proportion to themselves, which may exceed their sum.
            visit(task, row / 2, first, scores, ranking, RowNorms { x, error: rest + 4.0 * ROOM * x });
        });
        for row in 0..rows {
            best.copy_within((2 * row + 1) * k..(2 * row + 2) * k, row * k);
        }
        best.truncate(rows * k);
    }

    /// The exact `k` best of each row out of `buffers.lists`; returns how many rows were crowded.
    fn choose(
        &self,
        matrix: &PackedMatrix,
        workspace: &mut Workspace,
        query: Query<'_>,
        best: &mut [Scored],
        buffers: &mut ScreenBuffers,
    ) -> usize {
        let Query { x, bias, k, banned } = query;
        let inputs = matrix.inputs();
        let rows = x.len() / inputs;
        let (set, tasks) = (workspace.set, self.rounded.rank_tasks(workspace));
        let ScreenBuffers { lists, candidates, overflowed, rows: left, best: found, .. } = buffers;
        let mut crowded = 0;
        overflowed.clear();
        left.clear();
        for (row, best) in best.chunks_exact_mut(k).enumerate() {
            let x = &x[row * inputs..][..inputs];
            let lists = (0..tasks).map(|task| &lists[task * rows + row]);
            if lists.clone().any(|list| list.overflowed) {
                overflowed.push(row);
                left.extend_from_slice(x);
                continue;
            }
            let Ok(is_crowded) =
                self.choose_row(lists, candidates, best, |candidate, best| -> Result<(), Infallible> {
                    let panel = candidate.panel as usize;
                    let mut exact = [0.0; LANES];
                    let output = Output {
                        pointer: exact.as_mut_ptr(),
                        stride: LANES,
                        first_row: 0,
                        first_output: panel * LANES,
                        outputs: matrix.outputs(),
                        bias,
                        activation: Activation::Identity,
                    };
                    // SAFETY: `exact` holds the one row and panel.
                    unsafe { matrix.product(set, LeftHandSide::F32(x), 0..1, panel..panel + 1, output) };
                    let exact = &mut exact[..LANES.min(matrix.outputs() - panel * LANES)];
                    ban(exact, panel * LANES, banned);
                    for (token, &value) in (candidate.panel * LANES as u32..).zip(exact.iter()) {
                        insert(best, Scored { value, token });
                    }
                    Ok(())
                });
            crowded += usize::from(is_crowded);
        }
        if !overflowed.is_empty() {
            // Together: one at a time each of them would read the whole matrix.
            matrix.top_k(workspace, left, bias, k, banned, LogSumExp::None, found, &mut Vec::new());
            for (&row, found) in overflowed.iter().zip(found.chunks_exact(k)) {
                best[row * k..][..k].copy_from_slice(found);
            }
        }
        crowded + overflowed.len()
    }

    /// [`Self::choose`] with rows that are read.
    fn choose_by_rows<E>(
        &self,
        workspace: &mut Workspace,
        query: Query<'_>,
        best: &mut [Scored],
        buffers: &mut ScreenBuffers,
        read: impl Fn(usize, &mut [f32]) -> Result<(), E>,
    ) -> Result<usize, E> {
        let Query { x, bias, k, banned } = query;
        let (outputs, inputs) = (self.rounded.outputs(), self.rounded.inputs());
        let (rows, tasks) = (x.len() / inputs, self.rounded.rank_tasks(workspace));
        let ScreenBuffers { lists, candidates, weights, .. } = buffers;
        let weights = at_least(weights, inputs);
        let mut crowded = 0;
        for (row, best) in best.chunks_exact_mut(k).enumerate() {
            let x = &x[row * inputs..][..inputs];
            let lists = (0..tasks).map(|task| &lists[task * rows + row]);
            let is_crowded = self.choose_row(lists, candidates, best, |candidate, best| {
                let is_wanted = |output: &u32| (*output as usize) < outputs && !banned.contains(output);
                for token in candidate.outputs().filter(is_wanted) {
                    read(token as usize, weights)?;
                    let product = dot(workspace.set, x, weights);
                    let value = bias.map_or(product, |bias| product + bias[token as usize]);
                    insert(best, Scored { value, token });
                }
                Ok(())
            })?;
            crowded += usize::from(is_crowded);
        }
        Ok(crowded)
    }

    /// The exact best of a row into `best`, which holds its highest lower bounds; `compute` puts the outputs of a candidate in their
    /// places. Returns whether the row was crowded.
    fn choose_row<'a, E>(
        &self,
        lists: impl Iterator<Item = &'a List>,
        candidates: &mut Vec<Candidate>,
        best: &mut [Scored],
        mut compute: impl FnMut(Candidate, &mut [Scored]) -> Result<(), E>,
    ) -> Result<bool, E> {
        let last = best.len() - 1;
        let reach = best[last].value;
        candidates.clear();
        candidates.extend(lists.flat_map(|list| list.candidates()).filter(|candidate| candidate.at_most >= reach));
        candidates.sort_unstable_by(|a, b| b.at_most.total_cmp(&a.at_most));
        best.fill(EMPTY);
        let mut computed = 0;
        for &candidate in candidates.iter() {
            if candidate.at_most < best[last].value {
                break;
            }
            computed += 1;
            compute(candidate, best)?;
        }
        fill_up(best);
        Ok(computed > CROWD.0.max(self.rounded.panels() / CROWD.1))
    }
}

dispatch!(fn dot(x: &[f32], weights: &[f32]) -> f32 = dot_generic);

/// The product of two rows, by the chain of operations that each lane of a panel's product is.
#[inline(always)]
fn dot_generic<S: Simd>(simd: S, x: &[f32], weights: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let add = |sum, (&x, &weight)| simd.fma(simd.splat(x), simd.splat(weight), sum);
    simd.write(&mut lanes, x.iter().zip(weights).fold(simd.splat(0.0), add));
    lanes[0]
}

dispatch!(fn weight_norms(exact: &[f32], rounded: &[f32]) -> [f64; 3] = weight_norms_generic);

/// `‖w - ŵ‖`, `‖w‖` and `‖ŵ‖` of a row of weights.
#[inline(always)]
fn weight_norms_generic<S: Simd>(_: S, exact: &[f32], rounded: &[f32]) -> [f64; 3] {
    // Several sums each, which do not wait for one another.
    let mut sums = [[0.0; LANES]; 3];
    let mut add = |exact: &[f32], rounded: &[f32]| {
        for (lane, (&w, &near)) in exact.iter().zip(rounded).enumerate() {
            let (w, near) = (f64::from(w), f64::from(near));
            sums[0][lane] += (w - near) * (w - near);
            sums[1][lane] += w * w;
            sums[2][lane] += near * near;
        }
    };
    let ((exact, exact_tail), (rounded, rounded_tail)) = (exact.as_chunks::<LANES>(), rounded.as_chunks::<LANES>());
    exact.iter().zip(rounded).for_each(|(exact, rounded)| add(exact, rounded));
    add(exact_tail, rounded_tail);
    sums.map(|sums| sums.iter().sum::<f64>().sqrt())
}

/// What the bound of a score is computed from.
#[derive(Clone, Copy)]
struct Bounds<'a> {
    /// [`Screen::weight_error`] of the block's outputs and those behind.
    error: &'a [f32],
    /// [`Screen::weight_norm`], likewise.
    norm: &'a [f32],
    row: RowNorms,
}

dispatch!(fn collect(scores: &[f32], first: usize, bounds: Bounds<'_>, ranking: &mut [Scored], list: &mut List) = collect_generic);
dispatch!(fn row_norms(x: &[f32], inputs: usize, norms: &mut [RowNorms]) = row_norms_generic);
dispatch!(fn split_rows(x: &[f32], inputs: usize, digits: &mut [f32]) = split_rows_generic);

/// Inserts the least that each output can score into `ranking`, and into `list` the panels whose best output can reach the
/// last place of `ranking`, or is not a number. `scores[0]` belongs to output `first`.
#[inline(always)]
fn collect_generic<S: Simd>(
    simd: S,
    scores: &[f32],
    first: usize,
    bounds: Bounds<'_>,
    ranking: &mut [Scored],
    list: &mut List,
) {
    let (row_norm, row_error) = (simd.splat(bounds.row.x), simd.splat(bounds.row.error));
    let (room, most) = (simd.splat(ROOM), simd.splat(1e30));
    for start in (0..scores.len()).step_by(LANES) {
        let left = &scores[start..];
        let scores = if left.len() >= LANES { simd.read(left) } else { simd.read_tail(left, f32::NEG_INFINITY) };
        let (error, norm) = (simd.read(&bounds.error[start..]), simd.read(&bounds.norm[start..]));
        let bound = simd.fma(row_norm, error, simd.mul(row_error, norm));
        // The bias is added to both scores; that rounding is relative to the sum.
        let bound = simd.fma(simd.min(simd.abs(scores), most), room, bound);
        let at_most = simd.add(scores, bound);
        let reach = ranking[ranking.len() - 1].value;
        let too_low = simd.greater_mask(simd.splat(reach), at_most);
        if too_low == u16::MAX {
            continue;
        }
        let mut lanes = [0.0; LANES];
        simd.write(&mut lanes, at_most);
        let best =
            lanes.iter().fold(f32::NEG_INFINITY, |best, &x| if x.is_nan() { f32::INFINITY } else { best.max(x) });
        list.push(Candidate { at_most: best, panel: ((first + start) / LANES) as u32, lanes: !too_low }, reach);
        // Held below infinity, which a sum may reach that the exact one does not.
        let at_least = simd.min(most, simd.sub(scores, bound));
        let mut higher = simd.greater_mask(at_least, simd.splat(reach));
        simd.write(&mut lanes, at_least);
        while higher != 0 {
            let lane = higher.trailing_zeros();
            higher &= higher - 1;
            insert(ranking, Scored { value: lanes[lane as usize], token: (first + start) as u32 + lane });
        }
    }
}

/// How the 8-bit product rounds a row.
#[derive(Clone, Copy)]
struct Rounding<F> {
    inverse: F,
    scale: F,
    /// Added and taken away again, it rounds to the nearest integer, ties to even.
    rounder: F,
}

impl<F: Copy> Rounding<F> {
    #[inline(always)]
    fn new<S: Simd<F = F>>(simd: S, max: f32) -> Self {
        Self {
            inverse: simd.splat(if max > 0.0 { 127.0 / max } else { 0.0 }),
            scale: simd.splat(max / 127.0),
            rounder: simd.splat(1.5 * (1 << 23) as f32),
        }
    }

    /// `x - x̂`.
    #[inline(always)]
    fn error<S: Simd<F = F>>(self, simd: S, x: F) -> F {
        let rounded = simd.sub(simd.add(simd.mul(x, self.inverse), self.rounder), self.rounder);
        simd.sub(x, simd.mul(rounded, self.scale))
    }
}

/// The numbers of a row in lanes, zeros behind the last.
#[inline(always)]
fn lanes_of(x: &[f32]) -> (&[[f32; LANES]], [f32; LANES]) {
    let (chunks, tail) = x.as_chunks::<LANES>();
    let mut last = [0.0; LANES];
    last[..tail.len()].copy_from_slice(tail);
    (chunks, last)
}

#[inline(always)]
fn largest<S: Simd>(simd: S, chunks: &[[f32; LANES]], last: &[f32; LANES]) -> f32 {
    let max = chunks.iter().chain([last]).fold(simd.splat(0.0), |max, x| simd.max(max, simd.abs(simd.read(x))));
    simd.reduce_max(max)
}

/// `‖x‖` and `‖x - x̂‖` of each row of `x` `[rows, inputs]`, where `x̂` is what the 8-bit product makes of it.
#[inline(always)]
fn row_norms_generic<S: Simd>(simd: S, x: &[f32], inputs: usize, norms: &mut [RowNorms]) {
    for (x, norms) in x.chunks_exact(inputs).zip(norms) {
        let (chunks, last) = lanes_of(x);
        let max = largest(simd, chunks, &last);
        let rounding = Rounding::new(simd, max);
        let (mut squares, mut errors) = (simd.splat(0.0), simd.splat(0.0));
        for x in chunks.iter().chain([&last]) {
            let x = simd.read(x);
            let error = rounding.error(simd, x);
            squares = simd.fma(x, x, squares);
            errors = simd.fma(error, error, errors);
        }
        let norm = |squares: S::F| simd.reduce_add(squares).sqrt() * NORM_ROOM;
        // The squares of such numbers are too small to be told from zero: nothing can be ruled out.
        let too_small = max > 0.0 && max < SMALLEST;
        *norms = RowNorms { x: if too_small { f32::INFINITY } else { norm(squares) }, error: norm(errors) };
    }
}

/// Each row of `x` `[rows, inputs]` and behind it `x - x̂` into `digits` `[rows, 2, inputs]`.
#[inline(always)]
fn split_rows_generic<S: Simd>(simd: S, x: &[f32], inputs: usize, digits: &mut [f32]) {
    for (x, digits) in x.chunks_exact(inputs).zip(digits.chunks_exact_mut(2 * inputs)) {
        let (first, rest) = digits.split_at_mut(inputs);
        first.copy_from_slice(x);
        let (chunks, last) = lanes_of(x);
        let rounding = Rounding::new(simd, largest(simd, chunks, &last));
        let mut error = [0.0; LANES];
        for (x, rest) in chunks.iter().chain([&last]).zip(rest.chunks_mut(LANES)) {
            simd.write(&mut error, rounding.error(simd, simd.read(x)));
            rest.copy_from_slice(&error[..rest.len()]);
        }
    }
}
