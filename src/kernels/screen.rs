//! The best outputs of an `f32` matrix with a quarter of its memory traffic: 8-bit products rule out, provably, almost all
//! outputs, and only the few that are left are computed in `f32`.

use super::matrix::{LeftHandSide, Packer, at_least};
use super::ranking::{EMPTY, ban, fill_up, insert};
use super::screen_buffers::{CAPACITY, Candidate, List, RowNorms};
use super::simd::{LANES, Simd, dispatch};
use super::tile::Output;
use super::top_k::{Block, Shared};
use super::{Activation, LogSumExp, PackedMatrix, Precision, Scored, Workspace};

/// An 8-bit copy of an `f32` matrix `[outputs, inputs]`, and how far its products can be from the true ones.
///
/// With a row `x`, its rounded copy `x̂`, a weight row `w` and its rounded copy `ŵ`, the triangle and Cauchy-Schwarz
/// inequalities give `|x·w - x̂·ŵ| ≤ ‖x‖·‖w - ŵ‖ + ‖x - x̂‖·‖ŵ‖`. All four norms are computed from the numbers themselves, not
/// estimated, so an output whose 8-bit score plus this bound stays below a score already found cannot be among the best.
#[derive(Debug)]
pub struct Screen {
    rounded: PackedMatrix,
    /// `‖w - ŵ‖` of each output and what `f32` sums may be off by, for a row of norm 1; up to whole panels.
    weight_error: Vec<f32>,
    /// `‖ŵ‖` of each output, likewise.
    weight_norm: Vec<f32>,
}

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
        let (outputs, inputs) = (matrix.outputs(), matrix.inputs());
        let mut packer = Packer::new(outputs, inputs, Precision::Int8);
        let (mut exact, mut near) = (vec![0.0; inputs], vec![0.0; inputs]);
        for output in 0..outputs {
            matrix.row(output, &mut exact);
            packer.push(&exact);
        }
        let rounded = packer.finish();
        let mut weight_error = vec![0.0; matrix.panels() * LANES];
        let mut weight_norm = weight_error.clone();
        // An f32 sum of `n` products is off by at most `n · 2⁻²³ · ‖x‖ · ‖w‖`, fused or not.
        let summing = inputs as f64 / f64::from(1 << 23);
        for output in 0..outputs {
            matrix.row(output, &mut exact);
            rounded.row(output, &mut near);
            let error = norm(exact.iter().zip(&near).map(|(&w, &near)| f64::from(w) - f64::from(near)));
            let length = norm(exact.iter().copied().map(f64::from));
            let rounded_length = norm(near.iter().copied().map(f64::from));
            weight_error[output] = (error + summing * length + f64::from(ROOM) * rounded_length) as f32 * (1.0 + ROOM);
            weight_norm[output] = rounded_length as f32 * (1.0 + 4.0 * ROOM);
        }
        Self { rounded, weight_error, weight_norm }
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
        let inputs = matrix.inputs();
        assert_eq!((matrix.outputs(), inputs), (self.rounded.outputs(), self.rounded.inputs()), "another matrix");
        let rows = matrix.rows_of(x, bias);
        let (set, tasks) = (workspace.set, self.rounded.rank_tasks(workspace));
        let mut buffers = std::mem::take(&mut workspace.scratch.screen);
        let norms = at_least(&mut buffers.norms, rows);
        row_norms(set, x, inputs, norms);
        let norms = &*norms;
        let lists = at_least(&mut buffers.lists, tasks * rows);
        lists.iter_mut().for_each(List::clear);

        // The rankings hold lower bounds, so their last place is what a candidate must be able to reach.
        let shared = Shared(lists.as_mut_ptr());
        self.rounded.rank_blocks(workspace, x, bias, k, best, |Block { task, row, first, scores, ranking }| {
            ban(scores, first, banned);
            // SAFETY: a list belongs to one task.
            let list = unsafe { &mut *shared.get().add(task * rows + row) };
            let bounds =
                Bounds { error: &self.weight_error[first..], norm: &self.weight_norm[first..], row: norms[row] };
            collect(set, scores, first, bounds, ranking, list);
        });

        for (row, best) in best.chunks_exact_mut(k).enumerate() {
            let x = &x[row * inputs..][..inputs];
            let lists = (0..tasks).map(|task| &lists[task * rows + row]);
            if lists.clone().any(|list| list.overflowed) {
                matrix.top_k(workspace, x, bias, k, banned, LogSumExp::None, &mut buffers.best, &mut Vec::new());
                best.copy_from_slice(&buffers.best);
                continue;
            }
            let reach = best[k - 1].value;
            let candidates = &mut buffers.candidates;
            candidates.clear();
            candidates.reserve(tasks * CAPACITY);
            candidates.extend(lists.flat_map(|list| list.candidates()).filter(|candidate| candidate.at_most >= reach));
            candidates.sort_unstable_by(|a, b| b.at_most.total_cmp(&a.at_most));
            best.fill(EMPTY);
            for candidate in candidates.iter() {
                if candidate.at_most < best[k - 1].value {
                    break;
                }
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
            }
            fill_up(best);
        }
        workspace.scratch.screen = buffers;
    }
}

/// The Euclidean norm.
fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
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
        if simd.greater_mask(simd.splat(reach), at_most) == u16::MAX {
            continue;
        }
        let mut lanes = [0.0; LANES];
        simd.write(&mut lanes, at_most);
        let best =
            lanes.iter().fold(f32::NEG_INFINITY, |best, &x| if x.is_nan() { f32::INFINITY } else { best.max(x) });
        list.push(Candidate { at_most: best, panel: ((first + start) / LANES) as u32 }, reach);
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

/// `‖x‖` and `‖x - x̂‖` of each row of `x` `[rows, inputs]`, where `x̂` is what the 8-bit product makes of it.
#[inline(always)]
fn row_norms_generic<S: Simd>(simd: S, x: &[f32], inputs: usize, norms: &mut [RowNorms]) {
    // Added and taken away again, it rounds to the nearest integer, ties to even.
    let rounder = simd.splat(1.5 * (1 << 23) as f32);
    for (x, norms) in x.chunks_exact(inputs).zip(norms) {
        let (chunks, tail) = x.as_chunks::<LANES>();
        let mut last = [0.0; LANES];
        last[..tail.len()].copy_from_slice(tail);
        let max = chunks.iter().chain([&last]).fold(simd.splat(0.0), |max, x| simd.max(max, simd.abs(simd.read(x))));
        let max = simd.reduce_max(max);
        let (inverse, scale) = (simd.splat(if max > 0.0 { 127.0 / max } else { 0.0 }), simd.splat(max / 127.0));
        let (mut squares, mut errors) = (simd.splat(0.0), simd.splat(0.0));
        for x in chunks.iter().chain([&last]) {
            let x = simd.read(x);
            let rounded = simd.sub(simd.add(simd.mul(x, inverse), rounder), rounder);
            let error = simd.sub(x, simd.mul(rounded, scale));
            squares = simd.fma(x, x, squares);
            errors = simd.fma(error, error, errors);
        }
        let norm = |squares: S::F| simd.reduce_add(squares).sqrt() * NORM_ROOM;
        // The squares of such numbers are too small to be told from zero: nothing can be ruled out.
        let too_small = max > 0.0 && max < SMALLEST;
        *norms = RowNorms { x: if too_small { f32::INFINITY } else { norm(squares) }, error: norm(errors) };
    }
}
