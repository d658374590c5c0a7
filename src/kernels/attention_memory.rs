//! Attention of many queries over a memory that is written once: a sentence as the encoder's layers and the decoder see it.
//!
//! The keys of each sentence and head are stored with positions side by side and the values as rows, so that a query
//! reads one contiguous stretch and no sum goes across lanes; the queries of a sentence's hypotheses are computed together,
//! so that a beam reads the memory once.

use super::Precision;
use super::attention::to_f16;
use super::elementwise::softmax_generic;
use super::relative_bias::RelativeBias;
use super::simd::{Element, InstructionSet, LANES, Simd, dispatch};
use half::f16;

/// Keys and values of all sentences of a batch, for one layer.
///
/// In [`Precision::F32`] and [`Precision::Int16`] they are stored as they are, in [`Precision::Int8`] in half precision: this
/// memory is read once for every token, and half of it is read twice as fast.
#[derive(Debug)]
pub struct AttentionMemory {
    heads: usize,
    head_dim: usize,
    /// Where each sentence begins in the store, and its length.
    sentences: Vec<(usize, usize)>,
    store: Store,
}

#[derive(Debug)]
enum Store {
    F32(Vec<f32>),
    F16(Vec<f16>),
}

/// One sentence: for each head the keys `[head_dim, length rounded up to 16]`, zeros beyond the length, then the values
/// `[length, head_dim]`.
#[derive(Clone, Copy)]
pub(super) struct Sentence<'a, E> {
    store: &'a [E],
    heads: usize,
    head_dim: usize,
    scale: f32,
    /// What is added to the scores, and where the first query stands.
    bias: Option<(RelativeBias<'a>, usize)>,
    length: usize,
}

impl AttentionMemory {
    /// Lays out `projected` `[Σ lengths, at least 2 · width]`: the last columns of each row are a key and then a value, with
    /// head `h` in columns `h·d_head .. (h+1)·d_head` of either.
    ///
    /// # Panics
    /// If `projected` has another size, or `heads` does not divide its width.
    pub fn new(precision: Precision, heads: usize, width: usize, lengths: &[usize], projected: &[f32]) -> Self {
        let head_dim = width / heads;
        assert_eq!(head_dim * heads, width, "heads do not divide the width");
        let rows = lengths.iter().sum::<usize>();
        let stride = projected.len() / rows.max(1);
        assert_eq!(projected.len(), rows * stride, "projected is not whole rows");
        assert!(rows == 0 || stride >= 2 * width, "projected has fewer columns than 2 width");
        let size = |length: usize| width * (length.next_multiple_of(LANES) + length);
        let total = lengths.iter().map(|&length| size(length)).sum();
        // In half precision one sentence after the other is laid out, and rounded while it is in a near cache.
        let is_half = precision == Precision::Int8;
        let largest = lengths.iter().map(|&length| size(length)).max().unwrap_or(0);
        let mut whole = vec![0.0; if is_half { largest } else { total }];
        let mut half = Vec::with_capacity(if is_half { total } else { 0 });
        let mut sentences = Vec::with_capacity(lengths.len());
        let (mut begin, mut first_row) = (0, 0);
        for &length in lengths {
            let padded = length.next_multiple_of(LANES);
            let place = if is_half { 0 } else { begin };
            let sentence = &mut whole[place..place + size(length)];
            let heads = sentence.chunks_exact_mut(head_dim * (padded + length));
            for (head, part) in heads.enumerate() {
                let (keys, values) = part.split_at_mut(head_dim * padded);
                for position in 0..length {
                    let row = &projected[(first_row + position + 1) * stride - 2 * width..][..2 * width];
                    let key = &row[head * head_dim..][..head_dim];
                    key.iter().enumerate().for_each(|(i, &key)| keys[i * padded + position] = key);
                    values[position * head_dim..][..head_dim]
                        .copy_from_slice(&row[width + head * head_dim..][..head_dim]);
                }
                if is_half {
                    // Another sentence may have left something there.
                    keys.chunks_exact_mut(padded).for_each(|key| key[length..].fill(0.0));
                }
            }
            if is_half {
                half.resize(begin + size(length), f16::ZERO);
                to_f16(sentence, &mut half[begin..]);
            }
            sentences.push((begin, length));
            begin += size(length);
            first_row += length;
        }
        let store = if is_half { Store::F16(half) } else { Store::F32(whole) };
        Self { heads, head_dim, sentences, store }
    }

    /// Number of positions of a sentence.
    pub fn length(&self, sentence: usize) -> usize {
        self.sentences[sentence].1
    }

    /// `softmax(scale · q Kᵀ + bias) V` (Vaswani et al. 2017, equation 1) of every query over one sentence, for every head,
    /// into `out` `[queries, width]`; `weights` becomes `[queries, heads, length]`. The queries are the first columns of
    /// `queries` `[queries, at least width]`; with a bias, which tells the position of the first of them, they stand at one
    /// position of the sentence after the other.
    ///
    /// What is computed for a query does not depend on the others.
    ///
    /// # Panics
    /// If there is no such sentence or a slice has another size.
    pub fn attend(
        &self,
        sentence: usize,
        scale: f32,
        bias: Option<(RelativeBias<'_>, usize)>,
        queries: &[f32],
        weights: &mut Vec<f32>,
        out: &mut [f32],
    ) {
        self.attend_on(InstructionSet::detect(), sentence, scale, bias, queries, weights, out);
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn attend_on(
        &self,
        set: InstructionSet,
        sentence: usize,
        scale: f32,
        bias: Option<(RelativeBias<'_>, usize)>,
        queries: &[f32],
        weights: &mut Vec<f32>,
        out: &mut [f32],
    ) {
        let Self { heads, head_dim, .. } = *self;
        let (begin, length) = self.sentences[sentence];
        let width = heads * head_dim;
        let count = out.len() / width;
        assert_eq!(out.len(), count * width, "out is not [queries, width]");
        assert!(queries.len() >= out.len() && queries.len().is_multiple_of(count.max(1)), "queries are not whole rows");
        let size = heads * head_dim * (length.next_multiple_of(LANES) + length);
        weights.resize(count * heads * length, 0.0);
        match &self.store {
            Store::F32(store) => {
                let sentence = Sentence { store: &store[begin..begin + size], heads, head_dim, scale, bias, length };
                attend_f32_on(set, sentence, queries, weights, out);
            }
            Store::F16(store) => {
                let sentence = Sentence { store: &store[begin..begin + size], heads, head_dim, scale, bias, length };
                attend_f16_on(set, sentence, queries, weights, out);
            }
        }
    }
}

dispatch!(fn attend_f32_on(sentence: Sentence<'_, f32>, queries: &[f32], weights: &mut [f32], out: &mut [f32]) = attend_generic);
dispatch!(fn attend_f16_on(sentence: Sentence<'_, f16>, queries: &[f32], weights: &mut [f32], out: &mut [f32]) = attend_generic);

/// Queries computed together where the registers allow it.
const QUERIES: usize = 4;

#[inline(always)]
fn attend_generic<S: Simd, E: Element>(
    simd: S,
    sentence: Sentence<'_, E>,
    queries: &[f32],
    weights: &mut [f32],
    out: &mut [f32],
) {
    let width = sentence.heads * sentence.head_dim;
    let most = if S::REGISTERS == 32 { QUERIES } else { 1 };
    let mut first = 0;
    let count = out.len() / width;
    let stride = queries.len() / count.max(1);
    while first < count {
        let together = if count - first >= most { most } else { 1 };
        let queries = &queries[first * stride..][..together * stride];
        let size = sentence.heads * sentence.length;
        let weights = &mut weights[first * size..][..together * size];
        let out = &mut out[first * width..][..together * width];
        if together == QUERIES {
            attend_together::<S, E, QUERIES>(simd, sentence, first, queries, weights, out);
        } else {
            attend_together::<S, E, 1>(simd, sentence, first, queries, weights, out);
        }
        first += together;
    }
}

/// `M` queries at once, from the one that is `first` in its sentence's queries.
#[inline(always)]
fn attend_together<S: Simd, E: Element, const M: usize>(
    simd: S,
    sentence: Sentence<'_, E>,
    first: usize,
    queries: &[f32],
    weights: &mut [f32],
    out: &mut [f32],
) {
    let Sentence { store, heads, head_dim, length, .. } = sentence;
    let stride = queries.len() / M;
    let (width, padded) = (heads * head_dim, length.next_multiple_of(LANES));
    let scale = simd.splat(sentence.scale);
    for (head, part) in store.chunks_exact(head_dim * (padded + length)).enumerate() {
        let (keys, values) = part.split_at(head_dim * padded);
        let mut query: [&[f32]; M] = [&[]; M];
        for (m, query) in query.iter_mut().enumerate() {
            *query = &queries[m * stride + head * head_dim..][..head_dim];
        }
        let mut start = 0;
        while start < padded {
            if start + 2 * LANES <= padded {
                let sums = scores::<S, E, M, 2>(simd, query, &keys[start..], padded);
                for (m, sums) in sums.into_iter().enumerate() {
                    let to = &mut weights[(m * heads + head) * length + start..][..(length - start).min(2 * LANES)];
                    simd.write(to, simd.mul(sums[0], scale));
                    write_some(simd, &mut to[LANES..], simd.mul(sums[1], scale));
                }
                start += 2 * LANES;
            } else {
                let sums = scores::<S, E, M, 1>(simd, query, &keys[start..], padded);
                for (m, sums) in sums.into_iter().enumerate() {
                    let to = &mut weights[(m * heads + head) * length + start..][..length - start];
                    write_some(simd, to, simd.mul(sums[0], scale));
                }
                start += LANES;
            }
        }
        for m in 0..M {
            let scores = &mut weights[(m * heads + head) * length..][..length];
            if let Some((bias, position)) = sentence.bias {
                bias.add(head, position + first + m, scores);
            }
            softmax_generic(simd, scores);
        }
        let mut head_weights: [&[f32]; M] = [&[]; M];
        for (m, head_weights) in head_weights.iter_mut().enumerate() {
            *head_weights = &weights[(m * heads + head) * length..][..length];
        }
        let mut column = 0;
        while column < head_dim {
            let at = head * head_dim + column;
            let (values, left) = (&values[column..], head_dim - column);
            column += match left {
                64.. => store_sums::<S, E, M, 4>(simd, head_weights, values, head_dim, 64, &mut out[at..], width),
                32.. => store_sums::<S, E, M, 2>(simd, head_weights, values, head_dim, 32, &mut out[at..], width),
                _ => {
                    store_sums::<S, E, M, 1>(simd, head_weights, values, head_dim, left.min(16), &mut out[at..], width)
                }
            };
        }
    }
}

/// [`weighted_sums`] of `count` columns to `out` `[M, width]` from the first of them; returns `count`.
#[inline(always)]
fn store_sums<S: Simd, E: Element, const M: usize, const V: usize>(
    simd: S,
    weights: [&[f32]; M],
    values: &[E],
    stride: usize,
    count: usize,
    out: &mut [f32],
    width: usize,
) -> usize {
    let sums = weighted_sums::<S, E, M, V>(simd, weights, values, stride, count % LANES);
    for (m, sums) in sums.into_iter().enumerate() {
        for (to, sum) in out[m * width..][..count].chunks_mut(LANES).zip(sums) {
            write_some(simd, to, sum);
        }
    }
    count
}

/// Writes as many lanes as `to` has room for, at most sixteen.
#[inline(always)]
fn write_some<S: Simd>(simd: S, to: &mut [f32], x: S::F) {
    if to.len() >= LANES { simd.write(to, x) } else { simd.write_tail(to, x) }
}

/// `q · k` of `M` queries and `P` vectors of positions; `keys` `[head_dim, stride]` from the first of them. Even and odd
/// components are summed apart, because one chain of additions would wait for itself.
#[inline(always)]
fn scores<S: Simd, E: Element, const M: usize, const P: usize>(
    simd: S,
    query: [&[f32]; M],
    keys: &[E],
    stride: usize,
) -> [[S::F; P]; M] {
    let (mut even, mut odd) = ([[simd.splat(0.0); P]; M], [[simd.splat(0.0); P]; M]);
    let components = query[0].len();
    for component in (0..components).step_by(2) {
        accumulate(simd, &mut even, query, component, &keys[component * stride..]);
        if component + 1 < components {
            accumulate(simd, &mut odd, query, component + 1, &keys[(component + 1) * stride..]);
        }
    }
    for (even, odd) in even.iter_mut().zip(odd) {
        for (even, odd) in even.iter_mut().zip(odd) {
            *even = simd.add(*even, odd);
        }
    }
    even
}

/// Adds the products of one component to the sums.
#[inline(always)]
fn accumulate<S: Simd, E: Element, const M: usize, const P: usize>(
    simd: S,
    sums: &mut [[S::F; P]; M],
    query: [&[f32]; M],
    component: usize,
    keys: &[E],
) {
    let mut key = [simd.splat(0.0); P];
    for (p, key) in key.iter_mut().enumerate() {
        *key = E::read(simd, &keys[p * LANES..]);
    }
    for (sums, query) in sums.iter_mut().zip(query) {
        let query = simd.splat(query[component]);
        for (sum, key) in sums.iter_mut().zip(key) {
            *sum = simd.fma(query, key, *sum);
        }
    }
}

/// `Σ_i weights[i] · value_i` of `M` queries and `V` vectors of columns, one chain of fused multiply-adds each; `values`
/// `[length, stride]` from the first of the columns, `tail` of the last vector's columns exist (0: all).
#[inline(always)]
fn weighted_sums<S: Simd, E: Element, const M: usize, const V: usize>(
    simd: S,
    weights: [&[f32]; M],
    values: &[E],
    stride: usize,
    tail: usize,
) -> [[S::F; V]; M] {
    let mut sums = [[simd.splat(0.0); V]; M];
    for (position, values) in values.chunks(stride).enumerate().take(weights[0].len()) {
        let mut value = [simd.splat(0.0); V];
        for (v, value) in value.iter_mut().enumerate() {
            *value = if v + 1 < V || tail == 0 {
                E::read(simd, &values[v * LANES..])
            } else {
                E::read_tail(simd, &values[v * LANES..][..tail])
            };
        }
        for (sums, weights) in sums.iter_mut().zip(&weights) {
            let weight = simd.splat(weights[position]);
            for (sum, value) in sums.iter_mut().zip(value) {
                *sum = simd.fma(weight, value, *sum);
            }
        }
    }
    sums
}
