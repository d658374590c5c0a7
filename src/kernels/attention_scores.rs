//! Scores of one query over keys kept as rows, and sums of values by given weights: attention whose parts are decided between
//! the two, such as windows and hard choices.

use super::attention::{dot_lanes, weighted_sum};
use super::math;
use super::simd::{InstructionSet, LANES, Simd, dispatch};

/// `q · k` of every head and row: `query` `[width]`, `keys` `[length, width]`, `scores` `[heads, length]`.
///
/// # Panics
/// If a slice is too short for this.
pub fn dot_scores(query: &[f32], keys: &[f32], heads: usize, scores: &mut [f32]) {
    dot_scores_on(InstructionSet::detect(), query, keys, heads, scores);
}

/// Turns products `q · k` `[heads, length]` into cosines: each is divided by the lengths of both vectors, of which none counts
/// as shorter than 1e-8.
///
/// # Panics
/// If a slice is too short for this.
pub fn divide_by_lengths(query: &[f32], keys: &[f32], heads: usize, scores: &mut [f32]) {
    divide_by_lengths_on(InstructionSet::detect(), query, keys, heads, scores);
}

/// What was attended to so far, as an additive score knows it: `w` `[width]` and the sums `[length]`.
#[derive(Clone, Copy, Debug)]
pub struct Coverage<'a> {
    /// What one unit of attention adds to the key.
    pub weight: &'a [f32],
    /// Attention so far, by position.
    pub sums: &'a [f32],
}

/// `v · tanh(q + k (+ w Σα))` of every head and row: `query`, `energy` `[width]`, `keys` `[length, width]`, `scores`
/// `[heads, length]`.
///
/// # Panics
/// If a slice is too short for this.
pub fn additive_scores(
    query: &[f32],
    keys: &[f32],
    energy: &[f32],
    coverage: Option<Coverage<'_>>,
    heads: usize,
    scores: &mut [f32],
) {
    additive_scores_on(InstructionSet::detect(), query, keys, energy, coverage, heads, scores);
}

/// `Σ_i weights[h, i] · values[i, h]`: `weights` `[heads, length]`, `values` `[length, width]`, `out` `[width]`.
///
/// # Panics
/// If a slice is too short for this.
pub fn weigh(weights: &[f32], values: &[f32], heads: usize, out: &mut [f32]) {
    weigh_on(InstructionSet::detect(), weights, values, heads, out);
}

dispatch!(pub(super) fn dot_scores_on(query: &[f32], keys: &[f32], heads: usize, scores: &mut [f32]) = dot_scores_generic);
dispatch!(pub(super) fn divide_by_lengths_on(query: &[f32], keys: &[f32], heads: usize, scores: &mut [f32]) = divide_by_lengths_generic);
dispatch!(pub(super) fn additive_scores_on(query: &[f32], keys: &[f32], energy: &[f32], coverage: Option<Coverage<'_>>, heads: usize, scores: &mut [f32]) = additive_scores_generic);
dispatch!(pub(super) fn weigh_on(weights: &[f32], values: &[f32], heads: usize, out: &mut [f32]) = weigh_generic);

#[inline(always)]
fn dot_scores_generic<S: Simd>(simd: S, query: &[f32], keys: &[f32], heads: usize, scores: &mut [f32]) {
    let (width, length) = (query.len(), scores.len() / heads);
    let head_width = width / heads;
    for (head, scores) in scores.chunks_exact_mut(length).enumerate() {
        let columns = head * head_width..(head + 1) * head_width;
        let query = &query[columns.clone()];
        for (score, key) in scores.iter_mut().zip(keys.chunks_exact(width)) {
            *score = simd.reduce_add(dot_lanes(simd, query, &key[columns.clone()]));
        }
    }
}

#[inline(always)]
fn divide_by_lengths_generic<S: Simd>(simd: S, query: &[f32], keys: &[f32], heads: usize, scores: &mut [f32]) {
    let (width, length) = (query.len(), scores.len() / heads);
    let head_width = width / heads;
    let norm = |x: &[f32]| simd.reduce_add(dot_lanes(simd, x, x)).sqrt().max(1e-8);
    for (head, scores) in scores.chunks_exact_mut(length).enumerate() {
        let columns = head * head_width..(head + 1) * head_width;
        let of_query = norm(&query[columns.clone()]);
        for (score, key) in scores.iter_mut().zip(keys.chunks_exact(width)) {
            *score /= of_query * norm(&key[columns.clone()]);
        }
    }
}

#[inline(always)]
fn additive_scores_generic<S: Simd>(
    simd: S,
    query: &[f32],
    keys: &[f32],
    energy: &[f32],
    coverage: Option<Coverage<'_>>,
    heads: usize,
    scores: &mut [f32],
) {
    let (width, length) = (query.len(), scores.len() / heads);
    let head_width = width / heads;
    for (head, scores) in scores.chunks_exact_mut(length).enumerate() {
        let columns = head * head_width..(head + 1) * head_width;
        let (query, energy) = (&query[columns.clone()], &energy[columns.clone()]);
        for (at, (score, key)) in scores.iter_mut().zip(keys.chunks_exact(width)).enumerate() {
            let key = &key[columns.clone()];
            let covered = coverage.map(|Coverage { weight, sums }| (&weight[columns.clone()], simd.splat(sums[at])));
            let mut sum = simd.splat(0.0);
            let mut start = 0;
            while start < head_width {
                let count = LANES.min(head_width - start);
                let part = |x: &[f32]| match count {
                    LANES => simd.read(&x[start..]),
                    _ => simd.read_tail(&x[start..], 0.0),
                };
                let mut x = simd.add(part(query), part(key));
                if let Some((weight, so_far)) = covered {
                    x = simd.fma(part(weight), so_far, x);
                }
                sum = simd.fma(part(energy), math::tanh(simd, x), sum);
                start += LANES;
            }
            *score = simd.reduce_add(sum);
        }
    }
}

#[inline(always)]
fn weigh_generic<S: Simd>(simd: S, weights: &[f32], values: &[f32], heads: usize, out: &mut [f32]) {
    let (width, length) = (out.len(), weights.len() / heads);
    let head_width = width / heads;
    for (head, (weights, out)) in weights.chunks_exact(length).zip(out.chunks_exact_mut(head_width)).enumerate() {
        weighted_sum(simd, weights, |position| &values[position * width + head * head_width..][..head_width], out);
    }
}
