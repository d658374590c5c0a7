//! Attention of one query over keys and values kept as rows: scaled dot-product and additive.

use super::elementwise::softmax_generic;
use super::math;
use super::relative_bias::RelativeBias;
use super::simd::{Element, InstructionSet, LANES, Simd, dispatch};
use half::f16;

/// Keys and values kept as rows of `f32` or [`struct@f16`] in blocks, so that there can be more of them at any time without any of
/// them being moved.
#[derive(Clone, Copy, Debug)]
pub struct KeysAndValues<'a, E> {
    /// Each holds the keys of so many rows, `[block_rows, width]`, and their values, and perhaps those of other layers.
    pub blocks: &'a [Box<[E]>],
    /// Rows in a block, a power of two.
    pub block_rows: usize,
    /// Where the keys begin in a block.
    pub keys: usize,
    /// Where the values begin in a block.
    pub values: usize,
    /// The rows that are attended to, in order: the ancestors of a beam hypothesis. Row `r` is the one with number
    /// `r % block_rows` in block `r / block_rows`.
    pub rows: &'a [u32],
    /// What products of queries and keys are multiplied by, `1/√d_head` as a rule.
    pub scale: f32,
    /// What is added then, the query standing where the last key stands.
    pub bias: Option<RelativeBias<'a>>,
}

impl<'a, E> KeysAndValues<'a, E> {
    /// A row of what begins at `start` in its block.
    #[inline(always)]
    fn row(&self, row: u32, start: usize, width: usize) -> &'a [E] {
        let (row, within) = (row as usize, self.block_rows - 1);
        &self.blocks[row >> within.count_ones()][start + (row & within) * width..][..width]
    }
}

/// Attention of one query over `memory`, for every head: `softmax(scale · q Kᵀ + bias) V` (Vaswani et al. 2017, equation 1;
/// without a bias there).
///
/// `query` and `out` are `[width]` with head `h` in columns `h·d_head .. (h+1)·d_head`. `weights` receives the
/// attention, `[heads, memory.rows.len()]`.
///
/// # Panics
/// If a slice is too short for this.
pub fn attend(query: &[f32], memory: KeysAndValues<'_, f32>, heads: usize, weights: &mut [f32], out: &mut [f32]) {
    attend_on(InstructionSet::detect(), query, memory, heads, weights, out);
}

/// [`attend`] over keys and values in half precision: half the memory to read, and with 11 significant bits each far more
/// precise than the 8-bit products they come from.
///
/// # Panics
/// If a slice is too short for this.
pub fn attend_f16(query: &[f32], memory: KeysAndValues<'_, f16>, heads: usize, weights: &mut [f32], out: &mut [f32]) {
    attend_f16_on(InstructionSet::detect(), query, memory, heads, weights, out);
}

/// Rounds to half precision; magnitudes above 65,504 are held there.
///
/// # Panics
/// If the slices differ in length.
pub fn to_f16(x: &[f32], out: &mut [f16]) {
    to_f16_on(InstructionSet::detect(), x, out);
}

/// Additive attention (Bahdanau et al. 2015) of one query over consecutive rows of a memory:
/// `e_i = v · tanh(q + k_i)`, `α = softmax(e)`, `context = Σ α_i m_i`.
///
/// `query` `[hidden]` is the projected state with its bias; `keys` `[length, hidden]` the projected memory; `memory`
/// `[length, width]`; `weights` `[length]` receives α and `context` `[width]` the result.
///
/// # Panics
/// If a slice is too short for this.
pub fn attend_additive(
    query: &[f32],
    keys: &[f32],
    energy: &[f32],
    memory: &[f32],
    weights: &mut [f32],
    context: &mut [f32],
) {
    attend_additive_on(InstructionSet::detect(), query, keys, energy, memory, weights, context);
}

dispatch!(pub(super) fn attend_f16_on(query: &[f32], memory: KeysAndValues<'_, f16>, heads: usize, weights: &mut [f32], out: &mut [f32]) = attend_generic);
dispatch!(pub(super) fn to_f16_on(x: &[f32], out: &mut [f16]) = to_f16_generic);
dispatch!(pub(super) fn attend_on(query: &[f32], memory: KeysAndValues<'_, f32>, heads: usize, weights: &mut [f32], out: &mut [f32]) = attend_generic);
dispatch!(pub(super) fn attend_additive_on(query: &[f32], keys: &[f32], energy: &[f32], memory: &[f32], weights: &mut [f32], context: &mut [f32]) = attend_additive_generic);

/// The products of two rows, summed within each lane.
#[inline(always)]
pub(super) fn dot_lanes<S: Simd, E: Element>(simd: S, a: &[f32], b: &[E]) -> S::F {
    let (a, a_tail) = a.as_chunks::<LANES>();
    let (b, b_tail) = b.as_chunks::<LANES>();
    let mut sum = simd.splat(0.0);
    for (a, b) in a.iter().zip(b) {
        sum = simd.fma(simd.read(a), E::read(simd, b), sum);
    }
    if !a_tail.is_empty() {
        sum = simd.fma(simd.read_tail(a_tail, 0.0), E::read_tail(simd, b_tail), sum);
    }
    sum
}

#[inline(always)]
fn attend_generic<S: Simd, E: Element>(
    simd: S,
    query: &[f32],
    memory: KeysAndValues<'_, E>,
    heads: usize,
    weights: &mut [f32],
    out: &mut [f32],
) {
    let rows = memory.rows;
    let (width, length) = (query.len(), rows.len());
    let head_dim = width / heads;
    let weights = &mut weights[..heads * length];
    scores(simd, query, memory, head_dim, weights);
    if let Some(bias) = memory.bias {
        weights.chunks_exact_mut(length).enumerate().for_each(|(head, scores)| bias.add(head, length - 1, scores));
    }
    for weights in weights.chunks_exact_mut(length) {
        softmax_generic(simd, weights);
    }
    if !head_dim.is_multiple_of(LANES) || !width.is_multiple_of(WIDE * LANES) {
        for (head, (weights, out)) in weights.chunks_exact(length).zip(out.chunks_exact_mut(head_dim)).enumerate() {
            let row = |at: usize| &memory.row(rows[at], memory.values, width)[head * head_dim..][..head_dim];
            weighted_sum(simd, weights, row, out);
        }
        return;
    }
    // Many columns at a time, of several heads: short sums would wait for each of their additions.
    for column in (0..width).step_by(WIDE * LANES) {
        let head = |vector: usize| &weights[(column + vector * LANES) / head_dim * length..][..length];
        let head_weights: [&[f32]; WIDE] = std::array::from_fn(head);
        let mut sums = [simd.splat(0.0); WIDE];
        for (position, &row) in rows.iter().enumerate() {
            let row = &memory.row(row, memory.values, width)[column..][..WIDE * LANES];
            for (vector, (sum, weights)) in sums.iter_mut().zip(head_weights).enumerate() {
                *sum = simd.fma(simd.splat(weights[position]), E::read(simd, &row[vector * LANES..]), *sum);
            }
        }
        for (sum, out) in sums.into_iter().zip(out[column..].chunks_exact_mut(LANES)) {
            simd.write(out, sum);
        }
    }
}

/// Vectors of columns whose sums are computed together.
const WIDE: usize = 8;

/// `weights[h, i] = scale · q_h · k_i,h`.
#[inline(always)]
fn scores<S: Simd, E: Element>(
    simd: S,
    query: &[f32],
    memory: KeysAndValues<'_, E>,
    head_dim: usize,
    weights: &mut [f32],
) {
    let KeysAndValues { keys, rows, .. } = memory;
    let (width, length) = (query.len(), rows.len());
    let heads = width / head_dim;
    let scale = simd.splat(memory.scale);
    // Sixteen pairs of a key and a head at a time, so that the sums across lanes are shared.
    let (mut position, mut head) = (0, 0);
    let mut pairs = [(0, 0); LANES];
    let mut left = heads * length;
    let mut row = rows.first().map_or(&[][..], |&row| memory.row(row, keys, width));
    while left > 0 {
        let count = left.min(LANES);
        left -= count;
        let mut products = [simd.splat(0.0); LANES];
        for (product, pair) in products.iter_mut().zip(&mut pairs).take(count) {
            let columns = head * head_dim..(head + 1) * head_dim;
            *product = dot_lanes(simd, &query[columns.clone()], &row[columns]);
            *pair = (head, position);
            head += 1;
            if head == heads {
                (position, head) = (position + 1, 0);
                row = rows.get(position).map_or(row, |&row| memory.row(row, keys, width));
            }
        }
        let mut sums = [0.0; LANES];
        simd.write(&mut sums, simd.mul(simd.reduce_add_each(products), scale));
        for (sum, &(head, position)) in sums.iter().zip(&pairs).take(count) {
            weights[head * length + position] = *sum;
        }
    }
}

/// `out = Σ_i weights[i] · row(i)`, one chain of fused multiply-adds for each element.
#[inline(always)]
pub(super) fn weighted_sum<'a, S: Simd, E: Element + 'a>(
    simd: S,
    weights: &[f32],
    row: impl Fn(usize) -> &'a [E],
    out: &mut [f32],
) {
    const BLOCK: usize = 4 * LANES;
    let width = out.len();
    let mut start = 0;
    while start + BLOCK <= width {
        let mut sums = [simd.splat(0.0); 4];
        for (position, &weight) in weights.iter().enumerate() {
            let values = &row(position)[start..start + BLOCK];
            let weight = simd.splat(weight);
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = simd.fma(weight, E::read(simd, &values[i * LANES..]), *sum);
            }
        }
        for (i, sum) in sums.into_iter().enumerate() {
            simd.write(&mut out[start + i * LANES..], sum);
        }
        start += BLOCK;
    }
    while start < width {
        let end = width.min(start + LANES);
        let mut sum = simd.splat(0.0);
        for (position, &weight) in weights.iter().enumerate() {
            let values = &row(position)[start..end];
            let values = if end - start == LANES { E::read(simd, values) } else { E::read_tail(simd, values) };
            sum = simd.fma(simd.splat(weight), values, sum);
        }
        if end - start == LANES {
            simd.write(&mut out[start..], sum);
        } else {
            simd.write_tail(&mut out[start..], sum);
        }
        start = end;
    }
}

#[inline(always)]
fn to_f16_generic<S: Simd>(simd: S, x: &[f32], out: &mut [f16]) {
    assert_eq!(x.len(), out.len(), "out is not as long as x");
    let (chunks, tail) = x.as_chunks::<LANES>();
    let (out_chunks, out_tail) = out.as_chunks_mut::<LANES>();
    for (x, out) in chunks.iter().zip(out_chunks) {
        // SAFETY: `out` is an array of sixteen values.
        unsafe { simd.store_f16(out.as_mut_ptr(), simd.read(x)) };
    }
    if !tail.is_empty() {
        let mut lanes = [f16::ZERO; LANES];
        // SAFETY: as above.
        unsafe { simd.store_f16(lanes.as_mut_ptr(), simd.read_tail(tail, 0.0)) };
        out_tail.copy_from_slice(&lanes[..tail.len()]);
    }
}

#[inline(always)]
fn attend_additive_generic<S: Simd>(
    simd: S,
    query: &[f32],
    keys: &[f32],
    energy: &[f32],
    memory: &[f32],
    weights: &mut [f32],
    context: &mut [f32],
) {
    let hidden = query.len();
    let whole = hidden / LANES * LANES;
    for (weight, key) in weights.iter_mut().zip(keys.chunks_exact(hidden)) {
        let mut sum = simd.splat(0.0);
        for start in (0..whole).step_by(LANES) {
            let x = simd.add(simd.read(&query[start..]), simd.read(&key[start..]));
            sum = simd.fma(simd.read(&energy[start..]), math::tanh(simd, x), sum);
        }
        if whole < hidden {
            let x = simd.add(simd.read_tail(&query[whole..], 0.0), simd.read_tail(&key[whole..], 0.0));
            sum = simd.fma(simd.read_tail(&energy[whole..], 0.0), math::tanh(simd, x), sum);
        }
        *weight = simd.reduce_add(sum);
    }
    softmax_generic(simd, weights);
    let width = context.len();
    weighted_sum(simd, weights, |position| &memory[position * width..][..width], context);
}
