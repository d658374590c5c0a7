//! Vectors for the distance between key and query (Shaw, Uszkoreit and Vaswani 2018).

/// A vector for every distance, added to the keys and another to the values: the scores of a query become
/// `scale · q (k + r_key)`, and what it sees `Σ α (v + r_value)`.
#[derive(Clone, Copy, Debug)]
pub struct RelativeVectors<'a> {
    /// `[2·reach + 1, head_width]`, from a key `reach` places before its query to one `reach` places after it.
    pub keys: &'a [f32],
    /// The same for the values.
    pub values: &'a [f32],
    /// The largest distance with vectors of its own; keys further away have those of this one.
    pub reach: usize,
}

impl RelativeVectors<'_> {
    /// What the distances add to the scores of `query` `[heads · head_width]`, `[heads, 2·reach + 1]`, in the form of a
    /// [`super::RelativeBias`].
    pub fn scores(&self, query: &[f32], heads: usize, scale: f32, scores: &mut Vec<f32>) {
        let head_width = query.len() / heads;
        scores.clear();
        for query in query.chunks_exact(head_width) {
            let dot = |key: &[f32]| scale * query.iter().zip(key).map(|(q, k)| q * k).sum::<f32>();
            scores.extend(self.keys.chunks_exact(head_width).map(dot));
        }
    }

    /// Adds to `out` `[heads · head_width]` what a query at `position` sees of the distances, by its attention `weights`
    /// `[heads, keys]`.
    pub fn add_seen(&self, weights: &[f32], heads: usize, position: usize, out: &mut [f32]) {
        let (head_width, keys) = (out.len() / heads, weights.len() / heads);
        let most = 2 * self.reach;
        for (weights, out) in weights.chunks_exact(keys.max(1)).zip(out.chunks_exact_mut(head_width)) {
            for (key, weight) in weights.iter().enumerate() {
                let distance = (key + self.reach).saturating_sub(position).min(most);
                let value = &self.values[distance * head_width..][..head_width];
                out.iter_mut().zip(value).for_each(|(out, value)| *out += weight * value);
            }
        }
    }
}
