//! Activations, softmax and layer normalisation over one row at a time.

use serde::{Deserialize, Serialize};

use super::math::{self, GeluTanh, QuickGelu, Relu, Sigmoid, Swish, Tanh};
use super::simd::{InstructionSet, LANES, Simd, dispatch};

/// The function applied after a linear layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum Activation {
    /// None: `x`.
    #[default]
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x · sigmoid(x)`, also called SiLU.
    Swish,
    /// `x · Φ(x)` with the exact normal distribution function (Hendrycks and Gimpel 2016).
    Gelu,
    /// GELU in its tanh approximation (`gelu_new`).
    GeluTanh,
    /// GELU in its other approximation, `x · sigmoid(1.702 x)`.
    QuickGelu,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + e⁻ˣ)`.
    Sigmoid,
}

impl Activation {
    /// Applies the function to every element.
    pub fn apply(self, values: &mut [f32]) {
        self.apply_with(InstructionSet::detect(), values);
    }

    pub(super) fn apply_with(self, set: InstructionSet, values: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Relu => relu_on(set, values),
            Self::Swish => swish_on(set, values),
            Self::Gelu => values.iter_mut().for_each(|x| {
                let wide = f64::from(*x);
                let erf = libm::erf(wide * std::f64::consts::FRAC_1_SQRT_2);
                *x = (0.5 * wide * (1.0 + erf)) as f32;
            }),
            Self::GeluTanh => gelu_tanh_on(set, values),
            Self::QuickGelu => quick_gelu_on(set, values),
            Self::Tanh => tanh_on(set, values),
            Self::Sigmoid => sigmoid_on(set, values),
        }
    }
}

/// Hyperbolic tangent of every element, in place.
pub fn tanh(values: &mut [f32]) {
    tanh_on(InstructionSet::detect(), values);
}

/// Logistic function of every element, in place.
pub fn sigmoid(values: &mut [f32]) {
    sigmoid_on(InstructionSet::detect(), values);
}

/// Softmax over the whole slice, in place. Elements of negative infinity become exactly zero.
pub fn softmax(values: &mut [f32]) {
    softmax_on(InstructionSet::detect(), values);
}

/// `log Σ exp(x)` over the slice.
pub fn log_sum_exp(values: &[f32]) -> f32 {
    log_sum_exp_on(InstructionSet::detect(), values)
}

/// Layer normalisation (Ba et al. 2016) of each row of `x` `[rows, weight.len()]`, in place.
pub fn layer_norm(x: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    layer_norm_on(InstructionSet::detect(), x, None, weight, bias, epsilon, false);
}

/// `(x − mean) / (σ + ε) ⊙ weight + bias` of each row of `x` `[rows, weight.len()]` after adding `residual`, if there is one,
/// with `σ² = Σ (x − mean)² / (width − 1)`: the norm of the Annotated Transformer.
pub fn deviation_norm(x: &mut [f32], residual: Option<&[f32]>, weight: &[f32], bias: &[f32], epsilon: f32) {
    layer_norm_on(InstructionSet::detect(), x, residual, weight, bias, epsilon, true);
}

/// Root-mean-square normalisation (Zhang and Sennrich 2019) of each row of `x` `[rows, weight.len()]` after adding
/// `residual`, if there is one, in place: no mean is taken off and nothing is added.
pub fn rms_norm(x: &mut [f32], residual: Option<&[f32]>, weight: &[f32], epsilon: f32) {
    rms_norm_on(InstructionSet::detect(), x, residual, weight, epsilon);
}

/// `x = layer_norm(x + residual)`: the end of a post-norm sublayer.
pub fn add_layer_norm(x: &mut [f32], residual: &[f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    layer_norm_on(InstructionSet::detect(), x, Some(residual), weight, bias, epsilon, false);
}

/// `x += y`, element by element.
pub fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

/// The end of a GRU step for each row: gates from `projected` and `recurrent` `[rows, 3·hidden]` (r, z, n) into `state`
/// `[rows, hidden]`, in place. The formula is at [`crate::spec::recurrent::Cell::Gru`].
///
/// # Panics
/// If the slices do not have these sizes.
pub fn gru_gates(projected: &[f32], recurrent: &[f32], state: &mut [f32], hidden: usize) {
    assert_eq!(state.len() % hidden, 0, "state is not [rows, hidden]");
    assert_eq!(projected.len(), 3 * state.len(), "projected is not [rows, 3 hidden]");
    assert_eq!(recurrent.len(), 3 * state.len(), "recurrent is not [rows, 3 hidden]");
    gru_gates_on(InstructionSet::detect(), projected, recurrent, state, hidden);
}

/// The end of an LSTM step for each row: gates i, f, g, o from `projected` and `recurrent` `[rows, 4·hidden]` into `state` and
/// `cell` `[rows, hidden]`, in place: `c = σ(f) ⊙ c + σ(i) ⊙ tanh(g)`, `h = σ(o) ⊙ tanh(c)`.
///
/// # Panics
/// If the slices do not have these sizes.
pub fn lstm_gates(projected: &[f32], recurrent: &[f32], state: &mut [f32], cell: &mut [f32], hidden: usize) {
    assert_eq!(state.len() % hidden, 0, "state is not [rows, hidden]");
    assert_eq!(cell.len(), state.len(), "cell is not [rows, hidden]");
    assert_eq!(projected.len(), 4 * state.len(), "projected is not [rows, 4 hidden]");
    assert_eq!(recurrent.len(), 4 * state.len(), "recurrent is not [rows, 4 hidden]");
    lstm_gates_on(InstructionSet::detect(), projected, recurrent, state, cell, hidden);
}

/// One step of a simpler simple recurrent unit (Kim et al. 2019) for each row: with `x` and `g` side by side in `projected`
/// `[rows, 2·width]` and `f = σ(g)`, `state = f ⊙ state + (1 − f) ⊙ x` `[rows, width]`, in place, and `out = max(state, 0)`.
///
/// # Panics
/// If the slices do not have these sizes.
pub fn ssru(projected: &[f32], state: &mut [f32], out: &mut [f32], width: usize) {
    assert_eq!(state.len() % width, 0, "state is not [rows, width]");
    assert_eq!(projected.len(), 2 * state.len(), "projected is not [rows, 2 width]");
    assert_eq!(out.len(), state.len(), "out is not [rows, width]");
    ssru_on(InstructionSet::detect(), projected, state, out, width);
}

dispatch!(pub(super) fn ssru_on(projected: &[f32], state: &mut [f32], out: &mut [f32], width: usize) = ssru_generic);

#[inline(always)]
fn ssru_generic<S: Simd>(simd: S, projected: &[f32], state: &mut [f32], out: &mut [f32], width: usize) {
    let whole = width / LANES * LANES;
    let zero = simd.splat(0.0);
    // f c + (1 − f) x = x + f (c − x).
    let step = |x: S::F, gate: S::F, old: S::F| simd.fma(math::sigmoid(simd, gate), simd.sub(old, x), x);
    let rows = projected.chunks_exact(2 * width).zip(state.chunks_exact_mut(width)).zip(out.chunks_exact_mut(width));
    for ((projected, state), out) in rows {
        let (x, gates) = projected.split_at(width);
        for i in (0..whole).step_by(LANES) {
            let new = step(simd.read(&x[i..]), simd.read(&gates[i..]), simd.read(&state[i..]));
            simd.write(&mut state[i..], new);
            simd.write(&mut out[i..], simd.max(zero, new));
        }
        if whole < width {
            let tail = |values: &[f32]| simd.read_tail(&values[whole..], 0.0);
            let new = step(tail(x), tail(gates), tail(state));
            simd.write_tail(&mut state[whole..], new);
            simd.write_tail(&mut out[whole..], simd.max(zero, new));
        }
    }
}

dispatch!(pub(super) fn relu_on(values: &mut [f32]) = relu_generic);
dispatch!(pub(super) fn swish_on(values: &mut [f32]) = swish_generic);
dispatch!(pub(super) fn gelu_tanh_on(values: &mut [f32]) = gelu_tanh_generic);
dispatch!(pub(super) fn quick_gelu_on(values: &mut [f32]) = quick_gelu_generic);
dispatch!(pub(super) fn tanh_on(values: &mut [f32]) = tanh_generic);
dispatch!(pub(super) fn sigmoid_on(values: &mut [f32]) = sigmoid_generic);
dispatch!(pub(super) fn softmax_on(values: &mut [f32]) = softmax_generic);
dispatch!(pub(super) fn log_sum_exp_on(values: &[f32]) -> f32 = log_sum_exp_generic);
dispatch!(pub(super) fn layer_norm_on(x: &mut [f32], residual: Option<&[f32]>, weight: &[f32], bias: &[f32], epsilon: f32, by_deviation: bool) = layer_norm_generic);
dispatch!(pub(super) fn rms_norm_on(x: &mut [f32], residual: Option<&[f32]>, weight: &[f32], epsilon: f32) = rms_norm_generic);

dispatch!(pub(super) fn gru_gates_on(projected: &[f32], recurrent: &[f32], state: &mut [f32], hidden: usize) = gru_gates_generic);

#[inline(always)]
fn gru_gates_generic<S: Simd>(simd: S, projected: &[f32], recurrent: &[f32], state: &mut [f32], hidden: usize) {
    let rows = projected.chunks_exact(3 * hidden).zip(recurrent.chunks_exact(3 * hidden));
    for ((x, h), state) in rows.zip(state.chunks_exact_mut(hidden)) {
        let whole = hidden / LANES * LANES;
        for i in (0..whole).step_by(LANES) {
            let part = |gate: usize| (simd.read(&x[gate * hidden + i..]), simd.read(&h[gate * hidden + i..]));
            let new = gru_cell(simd, [part(0), part(1), part(2)], simd.read(&state[i..]));
            simd.write(&mut state[i..], new);
        }
        if whole < hidden {
            let tail = |gate: usize| gate * hidden + whole..(gate + 1) * hidden;
            let part = |gate| (simd.read_tail(&x[tail(gate)], 0.0), simd.read_tail(&h[tail(gate)], 0.0));
            let new = gru_cell(simd, [part(0), part(1), part(2)], simd.read_tail(&state[whole..], 0.0));
            simd.write_tail(&mut state[whole..], new);
        }
    }
}

dispatch!(pub(super) fn lstm_gates_on(projected: &[f32], recurrent: &[f32], state: &mut [f32], cell: &mut [f32], hidden: usize) = lstm_gates_generic);

#[inline(always)]
fn lstm_gates_generic<S: Simd>(
    simd: S,
    projected: &[f32],
    recurrent: &[f32],
    state: &mut [f32],
    cell: &mut [f32],
    hidden: usize,
) {
    let rows = projected.chunks_exact(4 * hidden).zip(recurrent.chunks_exact(4 * hidden));
    let rows = rows.zip(state.chunks_exact_mut(hidden).zip(cell.chunks_exact_mut(hidden)));
    for ((x, h), (state, cell)) in rows {
        let whole = hidden / LANES * LANES;
        for i in (0..whole).step_by(LANES) {
            let part = |gate: usize| simd.add(simd.read(&x[gate * hidden + i..]), simd.read(&h[gate * hidden + i..]));
            let (c, new) = lstm_cell(simd, [part(0), part(1), part(2), part(3)], simd.read(&cell[i..]));
            simd.write(&mut cell[i..], c);
            simd.write(&mut state[i..], new);
        }
        if whole < hidden {
            let tail = |gate: usize| gate * hidden + whole..(gate + 1) * hidden;
            let part = |gate| simd.add(simd.read_tail(&x[tail(gate)], 0.0), simd.read_tail(&h[tail(gate)], 0.0));
            let gates = [part(0), part(1), part(2), part(3)];
            let (c, new) = lstm_cell(simd, gates, simd.read_tail(&cell[whole..], 0.0));
            simd.write_tail(&mut cell[whole..], c);
            simd.write_tail(&mut state[whole..], new);
        }
    }
}

/// The new cell state and state from the sums of i, f, g and o.
#[inline(always)]
fn lstm_cell<S: Simd>(simd: S, gates: [S::F; 4], cell: S::F) -> (S::F, S::F) {
    let written = simd.mul(math::sigmoid(simd, gates[0]), math::tanh(simd, gates[2]));
    let cell = simd.fma(math::sigmoid(simd, gates[1]), cell, written);
    (cell, simd.mul(math::sigmoid(simd, gates[3]), math::tanh(simd, cell)))
}

/// The new state from the (input, recurrent) parts of r, z and n.
#[inline(always)]
fn gru_cell<S: Simd>(simd: S, gates: [(S::F, S::F); 3], state: S::F) -> S::F {
    let reset = math::sigmoid(simd, simd.add(gates[0].0, gates[0].1));
    let update = math::sigmoid(simd, simd.add(gates[1].0, gates[1].1));
    let new = math::tanh(simd, simd.fma(reset, gates[2].1, gates[2].0));
    let kept = simd.mul(update, state);
    simd.fma(simd.sub(simd.splat(1.0), update), new, kept)
}

#[inline(always)]
fn relu_generic<S: Simd>(simd: S, values: &mut [f32]) {
    math::map(simd, Relu, values);
}

#[inline(always)]
fn swish_generic<S: Simd>(simd: S, values: &mut [f32]) {
    math::map(simd, Swish, values);
}

#[inline(always)]
fn gelu_tanh_generic<S: Simd>(simd: S, values: &mut [f32]) {
    math::map(simd, GeluTanh, values);
}

#[inline(always)]
fn quick_gelu_generic<S: Simd>(simd: S, values: &mut [f32]) {
    math::map(simd, QuickGelu, values);
}

#[inline(always)]
fn tanh_generic<S: Simd>(simd: S, values: &mut [f32]) {
    math::map(simd, Tanh, values);
}

#[inline(always)]
fn sigmoid_generic<S: Simd>(simd: S, values: &mut [f32]) {
    math::map(simd, Sigmoid, values);
}

/// The largest element; negative infinity of an empty slice.
#[inline(always)]
pub(super) fn max_of<S: Simd>(simd: S, values: &[f32]) -> f32 {
    let mut max = simd.splat(f32::NEG_INFINITY);
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        max = simd.max(max, simd.read(chunk));
    }
    if !chunks.remainder().is_empty() {
        max = simd.max(max, simd.read_tail(chunks.remainder(), f32::NEG_INFINITY));
    }
    simd.reduce_max(max)
}

/// `Σ exp(x - shift)`.
#[inline(always)]
pub(super) fn sum_of_exp<S: Simd>(simd: S, values: &[f32], shift: f32) -> f32 {
    let shift = simd.splat(shift);
    let mut sum = simd.splat(0.0);
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        sum = simd.add(sum, math::exp(simd, simd.sub(simd.read(chunk), shift)));
    }
    if !chunks.remainder().is_empty() {
        let x = simd.read_tail(chunks.remainder(), f32::NEG_INFINITY);
        sum = simd.add(sum, math::exp(simd, simd.sub(x, shift)));
    }
    simd.reduce_add(sum)
}

#[inline(always)]
pub(super) fn softmax_generic<S: Simd>(simd: S, values: &mut [f32]) {
    let shift = simd.splat(max_of(simd, values));
    let mut sum = simd.splat(0.0);
    let mut chunks = values.chunks_exact_mut(LANES);
    for chunk in &mut chunks {
        let e = math::exp(simd, simd.sub(simd.read(chunk), shift));
        sum = simd.add(sum, e);
        simd.write(chunk, e);
    }
    let tail = chunks.into_remainder();
    if !tail.is_empty() {
        let e = math::exp(simd, simd.sub(simd.read_tail(tail, f32::NEG_INFINITY), shift));
        sum = simd.add(sum, e);
        simd.write_tail(tail, e);
    }
    math::map(simd, math::Scale(1.0 / simd.reduce_add(sum)), values);
}

#[inline(always)]
fn log_sum_exp_generic<S: Simd>(simd: S, values: &[f32]) -> f32 {
    let max = max_of(simd, values);
    max + sum_of_exp(simd, values, max).ln()
}

#[inline(always)]
fn layer_norm_generic<S: Simd>(
    simd: S,
    x: &mut [f32],
    residual: Option<&[f32]>,
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
    by_deviation: bool,
) {
    let width = weight.len();
    assert_eq!(bias.len(), width, "bias is not as wide as the weight");
    if let Some(residual) = residual {
        assert_eq!(x.len(), residual.len(), "residual is not as large as x");
    }
    for (index, row) in x.chunks_exact_mut(width).enumerate() {
        let residual = residual.map(|residual| &residual[index * width..][..width]);
        normalise(simd, row, residual, weight, bias, epsilon, by_deviation);
    }
}

#[inline(always)]
fn rms_norm_generic<S: Simd>(simd: S, x: &mut [f32], residual: Option<&[f32]>, weight: &[f32], epsilon: f32) {
    let width = weight.len();
    if let Some(residual) = residual {
        assert_eq!(x.len(), residual.len(), "residual is not as large as x");
        x.iter_mut().zip(residual).for_each(|(x, residual)| *x += residual);
    }
    let whole = width / LANES * LANES;
    for row in x.chunks_exact_mut(width) {
        let mut squares = simd.splat(0.0);
        for start in (0..whole).step_by(LANES) {
            let x = simd.read(&row[start..]);
            squares = simd.fma(x, x, squares);
        }
        if whole < width {
            let x = simd.read_tail(&row[whole..], 0.0);
            squares = simd.fma(x, x, squares);
        }
        let scale = simd.splat(1.0 / (simd.reduce_add(squares) / width as f32 + epsilon).sqrt());
        for start in (0..whole).step_by(LANES) {
            let x = simd.mul(simd.read(&row[start..]), scale);
            simd.write(&mut row[start..], simd.mul(x, simd.read(&weight[start..])));
        }
        if whole < width {
            let x = simd.mul(simd.read_tail(&row[whole..], 0.0), scale);
            let x = simd.mul(x, simd.read_tail(&weight[whole..], 0.0));
            simd.write_tail(&mut row[whole..], x);
        }
    }
}

#[inline(always)]
fn normalise<S: Simd>(
    simd: S,
    row: &mut [f32],
    residual: Option<&[f32]>,
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
    by_deviation: bool,
) {
    let width = row.len();
    let whole = width / LANES * LANES;
    let mut sum = simd.splat(0.0);
    for start in (0..whole).step_by(LANES) {
        let mut x = simd.read(&row[start..]);
        if let Some(residual) = residual {
            x = simd.add(x, simd.read(&residual[start..]));
            simd.write(&mut row[start..], x);
        }
        sum = simd.add(sum, x);
    }
    if whole < width {
        let mut x = simd.read_tail(&row[whole..], 0.0);
        if let Some(residual) = residual {
            x = simd.add(x, simd.read_tail(&residual[whole..], 0.0));
            simd.write_tail(&mut row[whole..], x);
        }
        sum = simd.add(sum, x);
    }
    let mean = simd.splat(simd.reduce_add(sum) / width as f32);
    let mut squares = simd.splat(0.0);
    for start in (0..whole).step_by(LANES) {
        let centred = simd.sub(simd.read(&row[start..]), mean);
        squares = simd.fma(centred, centred, squares);
    }
    if whole < width {
        // Lanes past the end read the mean, so that they add nothing.
        let mut tail = [0.0; LANES];
        simd.write(&mut tail, mean);
        tail[..width - whole].copy_from_slice(&row[whole..]);
        let centred = simd.sub(simd.read(&tail), mean);
        squares = simd.fma(centred, centred, squares);
    }
    let squares = simd.reduce_add(squares);
    let spread = match by_deviation {
        false => (squares / width as f32 + epsilon).sqrt(),
        true => (squares / (width as f32 - 1.0)).sqrt() + epsilon,
    };
    let scale = simd.splat(1.0 / spread);
    for start in (0..whole).step_by(LANES) {
        let x = simd.mul(simd.sub(simd.read(&row[start..]), mean), scale);
        simd.write(&mut row[start..], simd.fma(x, simd.read(&weight[start..]), simd.read(&bias[start..])));
    }
    if whole < width {
        let x = simd.mul(simd.sub(simd.read_tail(&row[whole..], 0.0), mean), scale);
        let x = simd.fma(x, simd.read_tail(&weight[whole..], 0.0), simd.read_tail(&bias[whole..], 0.0));
        simd.write_tail(&mut row[whole..], x);
    }
}
