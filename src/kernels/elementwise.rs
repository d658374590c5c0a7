//! Activations, softmax and layer normalisation over one row at a time.

/// The function applied after a linear layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// Hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// Applies the function to every element.
    pub fn apply(self, values: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Relu => values.iter_mut().for_each(|x| *x = x.max(0.0)),
            Self::Swish => values.iter_mut().for_each(|x| *x /= 1.0 + (-*x).exp()),
            Self::Gelu => values.iter_mut().for_each(|x| {
                *x = (0.5
                    * f64::from(*x)
                    * (1.0 + candle_core::cpu::erf::erf_f64(f64::from(*x) / std::f64::consts::SQRT_2)))
                    as f32
            }),
            Self::GeluTanh => values.iter_mut().for_each(|x| {
                let inner = (2.0 / std::f32::consts::PI).sqrt() * (*x + 0.044_715 * *x * *x * *x);
                *x = 0.5 * *x * (1.0 + inner.tanh());
            }),
            Self::Tanh => tanh(values),
        }
    }
}

/// Hyperbolic tangent of every element, in place.
pub fn tanh(values: &mut [f32]) {
    values.iter_mut().for_each(|x| *x = x.tanh());
}

/// Logistic function of every element, in place.
pub fn sigmoid(values: &mut [f32]) {
    values.iter_mut().for_each(|x| *x = 1.0 / (1.0 + (-*x).exp()));
}

/// Softmax over the whole slice, in place.
pub fn softmax(values: &mut [f32]) {
    let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for x in values.iter_mut() {
        *x = (*x - max).exp();
        sum += *x;
    }
    values.iter_mut().for_each(|x| *x /= sum);
}

/// `log Σ exp(x)` over the slice.
pub fn log_sum_exp(values: &[f32]) -> f32 {
    let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    max + values.iter().map(|x| (x - max).exp()).sum::<f32>().ln()
}

/// Layer normalisation (Ba et al. 2016) of each row of `x` `[rows, weight.len()]`, in place.
pub fn layer_norm(x: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    for row in x.chunks_exact_mut(weight.len()) {
        let width = row.len() as f32;
        let mean = row.iter().sum::<f32>() / width;
        let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / width;
        let scale = 1.0 / (variance + epsilon).sqrt();
        for ((x, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
            *x = (*x - mean) * scale * weight + bias;
        }
    }
}

/// `x = layer_norm(x + residual)`: the end of a post-norm sublayer.
pub fn add_layer_norm(x: &mut [f32], residual: &[f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    x.iter_mut().zip(residual).for_each(|(x, r)| *x += r);
    layer_norm(x, weight, bias, epsilon);
}

/// The end of a GRU step for each row: gates from `projected` and `recurrent` `[rows, 3·hidden]` (r, z, n) into `state`
/// `[rows, hidden]`, in place. The formula is at [`crate::nn::GruCell`].
pub fn gru_gates(projected: &[f32], recurrent: &[f32], state: &mut [f32], hidden: usize) {
    for ((x, h), state) in
        projected.chunks_exact(3 * hidden).zip(recurrent.chunks_exact(3 * hidden)).zip(state.chunks_exact_mut(hidden))
    {
        for (i, state) in state.iter_mut().enumerate() {
            let logistic = |x: f32| 1.0 / (1.0 + (-x).exp());
            let reset = logistic(x[i] + h[i]);
            let update = logistic(x[hidden + i] + h[hidden + i]);
            let new = (x[2 * hidden + i] + reset * h[2 * hidden + i]).tanh();
            *state = (1.0 - update) * new + update * *state;
        }
    }
}
