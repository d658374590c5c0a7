//! Scaled dot-product attention of single queries over keys and values kept as rows.

use super::softmax;

/// Which rows of a key and value store one query attends to, in order.
#[derive(Clone, Copy, Debug)]
pub enum KeyRows<'a> {
    /// `length` consecutive rows from `start`: an encoder memory.
    Span {
        /// First row.
        start: usize,
        /// Number of rows.
        length: usize,
    },
    /// The listed rows: the ancestors of a beam hypothesis in the self-attention cache.
    Listed(&'a [u32]),
}

impl KeyRows<'_> {
    /// Number of rows attended to.
    pub fn len(&self) -> usize {
        match self {
            Self::Span { length, .. } => *length,
            Self::Listed(rows) => rows.len(),
        }
    }

    /// True when there is nothing to attend to.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn row(&self, position: usize) -> usize {
        match self {
            Self::Span { start, .. } => start + position,
            Self::Listed(rows) => rows[position] as usize,
        }
    }
}

/// Attention of one query over `rows`, for every head: `softmax(q Kᵀ / √d_head) V` (Vaswani et al. 2017, equation 1).
///
/// `query` and `out` are `[width]` with head `h` in columns `h·d_head .. (h+1)·d_head`; row `r` of the keys (values)
/// is the `width` elements from `r · stride` of `keys` (`values`). `weights` receives the attention, `[heads, rows.len()]`.
#[allow(clippy::too_many_arguments)]
pub fn attend(
    query: &[f32],
    keys: &[f32],
    values: &[f32],
    stride: usize,
    rows: KeyRows<'_>,
    heads: usize,
    weights: &mut [f32],
    out: &mut [f32],
) {
    let head_dim = query.len() / heads;
    let scale = 1.0 / (head_dim as f32).sqrt();
    for head in 0..heads {
        let columns = head * head_dim..(head + 1) * head_dim;
        let query = &query[columns.clone()];
        let weights = &mut weights[head * rows.len()..(head + 1) * rows.len()];
        for (position, weight) in weights.iter_mut().enumerate() {
            let key = &keys[rows.row(position) * stride..][columns.clone()];
            *weight = query.iter().zip(key).map(|(q, k)| q * k).sum::<f32>() * scale;
        }
        softmax(weights);
        let out = &mut out[columns.clone()];
        out.fill(0.0);
        for (position, weight) in weights.iter().enumerate() {
            let value = &values[rows.row(position) * stride..][columns.clone()];
            out.iter_mut().zip(value).for_each(|(out, v)| *out += weight * v);
        }
    }
}

/// Additive attention (Bahdanau et al. 2015) of one query over consecutive rows of a memory:
/// `e_i = v · tanh(q + k_i)`, `α = softmax(e)`, `context = Σ α_i m_i`.
///
/// `query` `[hidden]` is the projected state with its bias; `keys` `[length, hidden]` the projected memory; `memory`
/// `[length, width]`; `weights` `[length]` receives α and `context` `[width]` the result.
pub fn attend_additive(
    query: &[f32],
    keys: &[f32],
    energy: &[f32],
    memory: &[f32],
    weights: &mut [f32],
    context: &mut [f32],
) {
    for (weight, key) in weights.iter_mut().zip(keys.chunks_exact(query.len())) {
        *weight = query.iter().zip(key).zip(energy).map(|((q, k), v)| v * (q + k).tanh()).sum();
    }
    softmax(weights);
    context.fill(0.0);
    for (weight, row) in weights.iter().zip(memory.chunks_exact(context.len())) {
        context.iter_mut().zip(row).for_each(|(c, m)| *c += weight * m);
    }
}
