//! The kernels written as their formulas: what the fast ones are tested against.

use super::{Activation, Scored};

/// `y = x Wᵀ + b`, one chain of fused multiply-adds over the inputs for each output.
pub(super) fn multiply(
    x: &[f32],
    weight: &[f32],
    inputs: usize,
    bias: Option<&[f32]>,
    activation: Activation,
) -> Vec<f32> {
    let mut out = Vec::new();
    for x in x.chunks_exact(inputs) {
        for (o, weight) in weight.chunks_exact(inputs).enumerate() {
            let sum = x.iter().zip(weight).fold(0.0f32, |sum, (x, w)| x.mul_add(*w, sum));
            out.push(activate(activation, sum + bias.map_or(0.0, |bias| bias[o])));
        }
    }
    out
}

/// The same in 8 bits: weights are rounded to 127 steps of the largest magnitude of their row, activations to 127 steps on either side of
/// the middle of their row.
pub(super) fn multiply_int8(x: &[f32], weight: &[f32], inputs: usize, bias: Option<&[f32]>) -> Vec<f32> {
    let mut out = Vec::new();
    for x in x.chunks_exact(inputs) {
        let (x, x_scale, shift) = quantise_shifted(x);
        for (o, weight) in weight.chunks_exact(inputs).enumerate() {
            let (weight, scale) = quantise(weight);
            let sum: i32 = x.iter().zip(&weight).map(|(x, w)| x * w).sum();
            let weight_sum = weight.iter().sum::<i32>() as f32 * scale;
            let added = shift.mul_add(weight_sum, bias.map_or(0.0, |bias| bias[o]));
            out.push((sum as f32).mul_add(scale * x_scale, added));
        }
    }
    out
}

/// The same in 16 bits: 32,512 steps, each integer cut into two digits of base 255.
pub(super) fn multiply_int16(x: &[f32], weight: &[f32], inputs: usize, bias: Option<&[f32]>) -> Vec<f32> {
    let rows = |matrix: &[f32]| matrix.chunks_exact(inputs).map(quantise_int16).collect::<Vec<_>>();
    let (x, weight) = (rows(x), rows(weight));
    let mut out = Vec::new();
    for (x, x_scale) in &x {
        for (o, (weight, scale)) in weight.iter().enumerate() {
            let (mut high, mut cross, mut low) = (0_i64, 0_i64, 0_i64);
            for ([x_high, x_low], [high_weight, low_weight]) in x.iter().zip(weight) {
                high += x_high * high_weight;
                cross += x_high * low_weight + x_low * high_weight;
                low += x_low * low_weight;
            }
            let value = (high as f32 * 255.0 + cross as f32) * 255.0 + low as f32;
            out.push(value * (scale * x_scale) + bias.map_or(0.0, |bias| bias[o]));
        }
    }
    out
}

/// Integers in -32512..=32512 as the digits of base 255 nearest to zero, high and low, and their scale.
pub(super) fn quantise_int16(row: &[f32]) -> (Vec<[i64; 2]>, f32) {
    let max = row.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    let inverse = if max > 0.0 { 32_512.0 / max } else { 0.0 };
    let digits = |x: &f32| {
        let integer = (x * inverse).round_ties_even() as i64;
        let high = (integer as f64 / 255.0).round() as i64;
        [high, integer - 255 * high]
    };
    (row.iter().map(digits).collect(), max / 32_512.0)
}

/// Integers in -127..=127 and their scale.
pub(super) fn quantise(row: &[f32]) -> (Vec<i32>, f32) {
    let max = row.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    let inverse = if max > 0.0 { 127.0 / max } else { 0.0 };
    (row.iter().map(|x| (x * inverse).round_ties_even() as i32).collect(), max / 127.0)
}

/// Integers in -127..=127, their scale, and what they are added to.
pub(super) fn quantise_shifted(row: &[f32]) -> (Vec<i32>, f32, f32) {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let min = row.iter().copied().fold(f32::INFINITY, f32::min);
    let (shift, reach) = (0.5 * (max + min), 0.5 * (max - min));
    if reach <= shift.abs() / 4096.0 {
        return (vec![0; row.len()], 0.0, shift);
    }
    let inverse = 127.0 / reach;
    let integers = row.iter().map(|x| x.mul_add(inverse, -shift * inverse).round_ties_even() as i32).collect();
    (integers, reach / 127.0, shift)
}

/// An activation of one value, in double precision.
pub(super) fn activate(activation: Activation, x: f32) -> f32 {
    let wide = f64::from(x);
    (match activation {
        Activation::Identity => wide,
        Activation::Relu => wide.max(0.0),
        Activation::Swish => wide / (1.0 + (-wide).exp()),
        Activation::Gelu => 0.5 * wide * (1.0 + libm::erf(wide / std::f64::consts::SQRT_2)),
        Activation::GeluTanh => {
            0.5 * wide * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (wide + 0.044715 * wide.powi(3))).tanh())
        }
        Activation::QuickGelu => wide / (1.0 + (-1.702 * wide).exp()),
        Activation::Tanh => wide.tanh(),
        Activation::Sigmoid => 1.0 / (1.0 + (-wide).exp()),
    }) as f32
}

/// Softmax, in double precision.
pub(super) fn softmax(x: &[f32]) -> Vec<f32> {
    let log_sum_exp = log_sum_exp(x);
    x.iter().map(|&x| (f64::from(x) - log_sum_exp).exp() as f32).collect()
}

/// `log Σ exp(x)`, in double precision.
pub(super) fn log_sum_exp(x: &[f32]) -> f64 {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    f64::from(max) + x.iter().map(|&x| f64::from(x - max).exp()).sum::<f64>().ln()
}

/// Layer normalisation of one row, in double precision.
pub(super) fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32) -> Vec<f32> {
    let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / x.len() as f64;
    let scale = 1.0 / (variance + f64::from(epsilon)).sqrt();
    let normalised = x.iter().map(|&x| (f64::from(x) - mean) * scale);
    normalised.zip(weight).zip(bias).map(|((x, &w), &b)| (x * f64::from(w) + f64::from(b)) as f32).collect()
}

/// Normalisation of one row by its standard deviation, that of a sample, in double precision.
pub(super) fn deviation_norm(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32) -> Vec<f32> {
    let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / (x.len() - 1) as f64;
    let scale = 1.0 / (variance.sqrt() + f64::from(epsilon));
    let normalised = x.iter().map(|&x| (f64::from(x) - mean) * scale);
    normalised.zip(weight).zip(bias).map(|((x, &w), &b)| (x * f64::from(w) + f64::from(b)) as f32).collect()
}

/// Root-mean-square normalisation of one row, in double precision.
pub(super) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32) -> Vec<f32> {
    let mean_square = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / x.len() as f64;
    let scale = 1.0 / (mean_square + f64::from(epsilon)).sqrt();
    x.iter().zip(weight).map(|(&x, &w)| (f64::from(x) * scale * f64::from(w)) as f32).collect()
}

/// The `k` largest, ties by the lower token.
pub(super) fn top_k(scores: &[f32], k: usize, banned: &[u32]) -> Vec<Scored> {
    let mut ranking: Vec<Scored> = (0..)
        .zip(scores)
        .map(|(token, &value)| Scored { value: if banned.contains(&token) { f32::NEG_INFINITY } else { value }, token })
        .collect();
    ranking.sort_by(|a, b| b.value.total_cmp(&a.value).then(a.token.cmp(&b.token)));
    ranking.truncate(k);
    ranking
}

/// Dot-product attention of one query: the weights `[heads, rows]` and the result `[width]`. `bias` gives what is added to
/// the score of a head and a row of the list.
#[allow(clippy::too_many_arguments)]
pub(super) fn attend(
    query: &[f32],
    keys: &[f32],
    values: &[f32],
    stride: usize,
    rows: &[u32],
    heads: usize,
    scale: f32,
    bias: &dyn Fn(usize, usize) -> f32,
) -> (Vec<f32>, Vec<f32>) {
    let rows: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
    let head_dim = query.len() / heads;
    let (mut all_weights, mut out) = (Vec::new(), vec![0.0; query.len()]);
    for head in 0..heads {
        let columns = head * head_dim..(head + 1) * head_dim;
        let energies: Vec<f32> = rows
            .iter()
            .enumerate()
            .map(|(at, row)| {
                let key = &keys[row * stride..][columns.clone()];
                query[columns.clone()].iter().zip(key).map(|(q, k)| q * k).sum::<f32>() * scale + bias(head, at)
            })
            .collect();
        let weights = softmax(&energies);
        for (weight, row) in weights.iter().zip(&rows) {
            for column in columns.clone() {
                out[column] += weight * values[row * stride + column];
            }
        }
        all_weights.extend(weights);
    }
    (all_weights, out)
}

/// Additive attention: the weights and the context.
pub(super) fn attend_additive(
    query: &[f32],
    keys: &[f32],
    energy: &[f32],
    memory: &[f32],
    width: usize,
) -> (Vec<f32>, Vec<f32>) {
    let energies: Vec<f32> = keys
        .chunks_exact(query.len())
        .map(|key| query.iter().zip(key).zip(energy).map(|((q, k), v)| v * (q + k).tanh()).sum())
        .collect();
    let weights = softmax(&energies);
    let mut context = vec![0.0; width];
    for (weight, row) in weights.iter().zip(memory.chunks_exact(width)) {
        context.iter_mut().zip(row).for_each(|(c, m)| *c += weight * m);
    }
    (weights, context)
}

/// One GRU step of one row: gates in PyTorch's order r, z, n.
pub(super) fn gru_gates(x: &[f32], h: &[f32], state: &[f32]) -> Vec<f32> {
    let hidden = state.len();
    let logistic = |x: f32| 1.0 / (1.0 + (-x).exp());
    (0..hidden)
        .map(|i| {
            let reset = logistic(x[i] + h[i]);
            let update = logistic(x[hidden + i] + h[hidden + i]);
            let new = (x[2 * hidden + i] + reset * h[2 * hidden + i]).tanh();
            (1.0 - update) * new + update * state[i]
        })
        .collect()
}

/// One step of a simpler simple recurrent unit of one row: the new state and what is seen of it.
pub(super) fn ssru(projected: &[f32], state: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (x, gates) = projected.split_at(state.len());
    let new = |((x, gate), state): ((&f32, &f32), &f32)| {
        let forget = 1.0 / (1.0 + (-gate).exp());
        forget * state + (1.0 - forget) * x
    };
    let state: Vec<f32> = x.iter().zip(gates).zip(state).map(new).collect();
    let seen = state.iter().map(|&c| c.max(0.0)).collect();
    (state, seen)
}
