//! Relative position bias: what self-attention adds to its scores for the distance of a key from its query.

use crate::Result;
use crate::checkpoint::Parameters;
use crate::compute::{self, Backend};
use crate::spec;

/// The biases of a stack of layers (Raffel et al. 2020, section 2.1): one table for all of them, one for each, or none.
#[derive(Debug)]
pub struct RelativeBias<B: Backend>(Vec<compute::RelativeBias<B>>);

impl<B: Backend> RelativeBias<B> {
    /// Reads `STACK.layers.N.self_attn.relative_attention_bias.weight` `[buckets, heads]`, of layer 0 or of every layer.
    /// `bidirectional` says that queries see the keys after them, as in an encoder.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(
        backend: &B,
        parameters: &Parameters,
        stack: &str,
        shape: &spec::Stack,
        spec: Option<&spec::RelativeBias>,
        bidirectional: bool,
    ) -> Result<Self> {
        let Some(spec) = spec else { return Ok(Self(Vec::new())) };
        let tables = if spec.every_layer { shape.layers } else { 1 };
        // Distances beyond the first with the last bucket have it too.
        let reach = spec.max_distance;
        let buckets: Vec<usize> =
            (-(reach as i64)..=reach as i64).map(|distance| bucket(distance, spec, bidirectional)).collect();
        let load = |layer: usize| -> Result<compute::RelativeBias<B>> {
            let name = format!("{stack}.layers.{layer}.self_attn.relative_attention_bias.weight");
            let table = parameters.tensor(&name, &[spec.buckets, shape.heads])?;
            let by_head = (0..shape.heads).flat_map(|head| buckets.iter().map(move |&bucket| (bucket, head)));
            let values = by_head.map(|(bucket, head)| table[bucket * shape.heads + head]).collect();
            Ok(compute::RelativeBias { values: backend.vector(values)?, reach })
        };
        Ok(Self((0..tables).map(load).collect::<Result<_>>()?))
    }

    /// The bias of a layer, if it has one.
    pub fn of(&self, layer: usize) -> Option<&compute::RelativeBias<B>> {
        self.0.get(layer).or(self.0.first())
    }
}

/// Reads `PREFIX.relative_keys.weight` and `PREFIX.relative_values.weight`, both `[2·reach + 1, head_width]`, where they are
/// stored (Shaw, Uszkoreit and Vaswani 2018).
///
/// # Errors
/// If only one is there, or a tensor has another shape.
pub fn load_relative_vectors<B: Backend>(
    backend: &B,
    parameters: &Parameters,
    prefix: &str,
    head_width: usize,
) -> Result<Option<compute::RelativeVectors<B>>> {
    let [keys, values] = ["relative_keys", "relative_values"].map(|part| format!("{prefix}.{part}.weight"));
    if !parameters.contains(&keys) && !parameters.contains(&values) {
        return Ok(None);
    }
    let rows = parameters.shape(&keys).and_then(|shape| shape.first().copied()).unwrap_or(1) | 1;
    let load = |name: &str| backend.vector(parameters.tensor(name, &[rows, head_width])?);
    Ok(Some(compute::RelativeVectors { keys: load(&keys)?, values: load(&values)?, reach: rows / 2 }))
}

/// The bucket of the distance `key − query`. Half of the buckets of a direction hold one distance each, the others
/// logarithmically more, up to `max_distance`; all that is further has the last one. In an encoder the upper half of all
/// buckets is for keys after the query; a decoder's queries see none. In `f32`, as the models were trained.
fn bucket(distance: i64, spec: &spec::RelativeBias, bidirectional: bool) -> usize {
    let buckets = if bidirectional { spec.buckets / 2 } else { spec.buckets };
    let base = if bidirectional && distance > 0 { buckets } else { 0 };
    let distance = if bidirectional { distance.unsigned_abs() } else { distance.min(0).unsigned_abs() } as usize;
    let exact = buckets / 2;
    if distance < exact {
        return base + distance;
    }
    let ratio = (distance as f32 / exact as f32).ln() / (spec.max_distance as f64 / exact as f64).ln() as f32;
    base + (exact + (ratio * (buckets - exact) as f32) as usize).min(buckets - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the bucket changes, as PyTorch and Hugging Face transformers compute it: each bucket's smallest distance.
    fn starts(buckets: usize, max_distance: usize, bidirectional: bool) -> Vec<usize> {
        let spec = spec::RelativeBias { buckets, max_distance, every_layer: false };
        let of = |distance: i64| bucket(-distance, &spec, bidirectional);
        (0..2000).filter(|&distance| distance == 0 || of(distance) != of(distance - 1)).map(|at| at as usize).collect()
    }

    #[test]
    fn buckets_are_those_of_the_reference() {
        let encoder = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91];
        assert_eq!(starts(32, 128, true), encoder);
        let decoder = [
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77,
            87, 99, 113,
        ];
        assert_eq!(starts(32, 128, false), decoder);
        assert_eq!(starts(12, 20, true), [0, 1, 2, 3, 6, 11]);
        assert_eq!(starts(12, 20, false), [0, 1, 2, 3, 4, 5, 6, 8, 9, 11, 14, 17]);
    }

    #[test]
    fn an_encoder_tells_before_from_after_and_a_decoder_sees_nothing_after() {
        let spec = spec::RelativeBias { buckets: 32, max_distance: 128, every_layer: false };
        assert_eq!([-1, 0, 1, 500].map(|distance| bucket(distance, &spec, true)), [1, 0, 17, 31]);
        assert_eq!([-1, 0, 1, -500].map(|distance| bucket(distance, &spec, false)), [1, 0, 0, 31]);
    }
}
