//! Every operation once, run on every backend and held against arithmetic written out.

mod recurrent;
mod stored_rows;

use super::{
    Activation, Backend, BackendName, Candle, Compute, Device, Kernels, LogSumExp, NormKind, Precision, Recorder,
    Relative, RelativeBias, RelativeVectors, Score, Workspace,
};
use crate::Result;
use recurrent::{
    lstm_gates_are_pytorchs, rows_are_activated_and_averaged_by_sentence,
    scores_come_to_the_host_and_weights_sum_the_values,
};

/// Numbers between -1 and 1, the same for the same seed.
fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: length");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{what} at {at}: {found}, not {expected}");
    }
}

fn matrix<B: Backend>(backend: &B, values: &[f32], inputs: usize) -> B::Matrix {
    // In two parts, as a large tensor is read.
    let half = values.len() / inputs / 2 * inputs;
    let read = |sink: super::RowSink<'_>| {
        sink(&values[..half]);
        sink(&values[half..]);
        Ok(())
    };
    let mut read = read;
    backend.matrix(values.len() / inputs, inputs, &mut read).unwrap()
}

/// `x Wᵀ + b`.
fn product(x: &[f32], weight: &[f32], bias: &[f32], inputs: usize) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    x.chunks(inputs)
        .flat_map(|x| weight.chunks(inputs).zip(bias).map(|(w, b)| dot(x, w) + b).collect::<Vec<_>>())
        .collect()
}

fn softmax(scores: &[f32]) -> Vec<f32> {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = scores.iter().map(|score| (score - most).exp()).sum();
    scores.iter().map(|score| (score - most).exp() / sum).collect()
}

fn embeddings_are_scaled_and_added_to<B: Backend>(backend: &B) -> Result<()> {
    let table = random(5 * 3, 1);
    let mut out = B::Rows::default();
    let mut add = |row: usize, x: &mut [f32]| x[1] += row as f32;
    backend.embed(&matrix(backend, &table, 3), 2.0, &[4, 0, 4], &mut add, &mut out)?;
    let expected: Vec<f32> = [4, 0, 4]
        .iter()
        .enumerate()
        .flat_map(|(row, token)| (0..3).map(move |i| (row, token * 3 + i, i)))
        .map(|(row, at, i)| 2.0 * table[at] + if i == 1 { row as f32 } else { 0.0 })
        .collect();
    assert_close(&backend.values(&out)?, &expected, "embed");
    Ok(())
}

fn linear_layers_have_a_bias_and_an_activation<B: Backend>(backend: &B) -> Result<()> {
    let (x, weight, bias) = (random(4 * 6, 2), random(5 * 6, 3), random(5, 4));
    let (rows, layer, vector) = (backend.rows(&x, 6)?, matrix(backend, &weight, 6), backend.vector(bias.clone())?);
    assert_eq!((backend.outputs(&layer), backend.inputs(&layer)), (5, 6));
    let (workspace, mut out) = (&mut Workspace::new(1), B::Rows::default());
    let sums = product(&x, &weight, &bias, 6);
    type Function = fn(f32) -> f32;
    let gelu_tanh: Function = |x| 0.5 * x * (1.0 + (0.797_884_6 * (x + 0.044_715 * x * x * x)).tanh());
    let gelu: Function = |x| (0.5 * f64::from(x) * (1.0 + libm::erf(f64::from(x) / 2f64.sqrt()))) as f32;
    let functions: [(Activation, Function); 8] = [
        (Activation::Identity, |x| x),
        (Activation::Relu, |x| x.max(0.0)),
        (Activation::Swish, |x| x / (1.0 + (-x).exp())),
        (Activation::Gelu, gelu),
        (Activation::GeluTanh, gelu_tanh),
        (Activation::Tanh, f32::tanh),
        (Activation::QuickGelu, |x| x / (1.0 + (-1.702 * x).exp())),
        (Activation::Sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
    ];
    for (activation, function) in functions {
        backend.linear(workspace, &rows, &layer, Some(&vector), activation, &mut out)?;
        let expected: Vec<f32> = sums.iter().map(|&sum| function(sum)).collect();
        assert_close(&backend.values(&out)?, &expected, &format!("{activation:?}"));
    }
    backend.linear(workspace, &rows, &layer, None, Activation::Identity, &mut out)?;
    assert_close(&backend.values(&out)?, &product(&x, &weight, &[0.0; 5], 6), "without a bias");
    Ok(())
}

fn rows_are_normalised_alone_or_with_a_residual<B: Backend>(backend: &B) -> Result<()> {
    let (x, residual, weight, bias) = (random(3 * 7, 5), random(3 * 7, 6), random(7, 7), random(7, 8));
    let (w, b) = (backend.vector(weight.clone())?, backend.vector(bias.clone())?);
    let kinds = [NormKind::Layer, NormKind::Rms, NormKind::Deviation];
    for (kind, with_residual) in kinds.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let added = backend.rows(&residual, 7)?;
        let mut rows = backend.rows(&x, 7)?;
        backend.norm(kind, 1e-5, &w, &b, with_residual.then_some(&added), &mut rows)?;
        let sums: Vec<f32> = x.iter().zip(&residual).map(|(x, r)| if with_residual { x + r } else { *x }).collect();
        let expected: Vec<f32> = sums
            .chunks(7)
            .flat_map(|row| {
                let mean = if kind == NormKind::Rms { 0.0 } else { row.iter().sum::<f32>() / 7.0 };
                let squares = row.iter().map(|x| (x - mean).powi(2)).sum::<f32>();
                let spread = match kind {
                    NormKind::Deviation => (squares / 6.0).sqrt() + 1e-5,
                    _ => (squares / 7.0 + 1e-5).sqrt(),
                };
                let scaled = row.iter().map(move |x| (x - mean) / spread);
                let bias = bias.iter().map(|b| if kind == NormKind::Rms { 0.0 } else { *b });
                scaled.zip(&weight).zip(bias).map(|((x, w), b)| x * w + b).collect::<Vec<_>>()
            })
            .collect();
        assert_close(&backend.values(&rows)?, &expected, &format!("{kind:?}, residual {with_residual}"));
    }
    Ok(())
}

fn rows_are_copied_added_scaled_multiplied_and_put_together<B: Backend>(backend: &B) -> Result<()> {
    let (a, b) = (random(4 * 2, 9), random(4 * 3, 10));
    let (x, y) = (backend.rows(&a, 2)?, backend.rows(&b, 3)?);
    let mut out = B::Rows::default();
    backend.copy(&x, &mut out)?;
    backend.add(&mut out, &x)?;
    assert_close(&backend.values(&out)?, &a.iter().map(|a| 2.0 * a).collect::<Vec<_>>(), "add");
    backend.multiply(&mut out, &x)?;
    assert_close(&backend.values(&out)?, &a.iter().map(|a| 2.0 * a * a).collect::<Vec<_>>(), "multiply");
    backend.scale(&mut out, -0.25)?;
    assert_close(&backend.values(&out)?, &a.iter().map(|a| -0.5 * a * a).collect::<Vec<_>>(), "scale");
    assert_close(&backend.values(&x)?, &a, "the original of a copy");
    backend.concat(&[(&x, 0..2), (&y, 1..3)], &mut out)?;
    let side_by_side: Vec<f32> = a.chunks(2).zip(b.chunks(3)).flat_map(|(a, b)| [a, &b[1..]].concat()).collect();
    assert_close(&backend.values(&out)?, &side_by_side, "concat");
    backend.truncate(&mut out, 3)?;
    assert_close(&backend.values(&out)?, &side_by_side[..3 * 4], "truncate");
    backend.gather(&y, &[3, 0, 3], &mut out)?;
    assert_close(&backend.values(&out)?, &[&b[9..], &b[..3], &b[9..]].concat(), "gather");

    let mut scattered = B::Rows::default();
    let rows = backend.rows(&[1.0, 2.0, 3.0, 4.0], 2)?;
    backend.scatter(&rows, &[2, 0], 1, (3, 4), &mut scattered)?;
    let once = [0.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0];
    assert_close(&backend.values(&scattered)?, &once, "scatter");
    backend.scatter(&rows, &[1, 0], 0, (3, 4), &mut scattered)?;
    let twice = [3.0, 4.0, 4.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0];
    assert_close(&backend.values(&scattered)?, &twice, "scatter once more");
    Ok(())
}

fn gru_gates_are_pytorchs<B: Backend>(backend: &B) -> Result<()> {
    let hidden = 5;
    let (x, h, old) = (random(2 * 3 * hidden, 11), random(2 * 3 * hidden, 12), random(2 * hidden, 13));
    let mut state = backend.rows(&old, hidden)?;
    backend.gru_gates(&backend.rows(&x, 3 * hidden)?, &backend.rows(&h, 3 * hidden)?, &mut state)?;
    let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
    let expected: Vec<f32> = (0..2 * hidden)
        .map(|at| {
            let gate = |values: &[f32], gate: usize| values[(at / hidden * 3 + gate) * hidden + at % hidden];
            let (reset, update) = (sigmoid(gate(&x, 0) + gate(&h, 0)), sigmoid(gate(&x, 1) + gate(&h, 1)));
            let new = (gate(&x, 2) + reset * gate(&h, 2)).tanh();
            (1.0 - update) * new + update * old[at]
        })
        .collect();
    assert_close(&backend.values(&state)?, &expected, "state");
    Ok(())
}

/// α and result of one query with heads side by side; `bias` gives what is added for a head and a key.
fn attend(
    query: &[f32],
    keys: &[&[f32]],
    values: &[&[f32]],
    heads: usize,
    scale: f32,
    bias: impl Fn(usize, usize) -> f32,
) -> (Vec<f32>, Vec<f32>) {
    let width = query.len() / heads;
    let (mut all, mut out) = (Vec::new(), Vec::new());
    for head in 0..heads {
        let part = head * width..(head + 1) * width;
        let dot = |key: &&[f32]| query[part.clone()].iter().zip(&key[part.clone()]).map(|(q, k)| q * k).sum::<f32>();
        let score = |(at, key)| scale * dot(key) + bias(head, at);
        let weights = softmax(&keys.iter().enumerate().map(score).collect::<Vec<_>>());
        out.extend(part.clone().map(|at| weights.iter().zip(values).map(|(w, v)| w * v[at]).sum::<f32>()));
        all.extend(weights);
    }
    (all, out)
}

fn a_memory_is_attended_to_by_the_rows_of_its_sentences<B: Backend>(backend: &B) -> Result<()> {
    let (heads, head_width, lengths) = (2, 3, [2, 5, 1]);
    let width = heads * head_width;
    // Query, key and value side by side, as an encoder has them.
    let projected = random(8 * 3 * width, 14);
    let row = |row: usize, part: usize| &projected[(row * 3 + part) * width..][..width];
    let rows = backend.rows(&projected, 3 * width)?;
    let mut memory = backend.dot_memory(heads, head_width, &lengths, &rows, false)?;
    let starts = [0, 2, 7];
    // All positions at first, then hypotheses of which a sentence has several, then one sentence less.
    for sentences in [vec![0, 0, 1, 1, 1, 1, 1, 2], vec![0, 1, 1, 1, 2, 2], vec![1, 1, 2]] {
        let queries: Vec<f32> =
            (0..sentences.len()).flat_map(|at| projected[at * 3 * width..][..3 * width].to_vec()).collect();
        let queries = backend.rows(&queries, 3 * width)?;
        let mut recorded = vec![Vec::new(); sentences.len()];
        let mut record = |row: usize, weights: &[f32]| recorded[row].extend_from_slice(weights);
        let mut out = B::Rows::default();
        let (workspace, score) = (&mut Workspace::new(1), Score::Dot { scale: 0.7, relative: Relative::None });
        let record = Some(&mut record as Recorder<'_>);
        backend.attend(workspace, score, &mut memory, &sentences, &queries, None, &mut out, record)?;
        let found = backend.values(&out)?;
        for (at, &sentence) in sentences.iter().enumerate() {
            let positions = starts[sentence]..starts[sentence] + lengths[sentence];
            let keys: Vec<&[f32]> = positions.clone().map(|position| row(position, 1)).collect();
            let values: Vec<&[f32]> = positions.map(|position| row(position, 2)).collect();
            let (weights, expected) = attend(row(at, 0), &keys, &values, heads, 0.7, |_, _| 0.0);
            assert_close(&recorded[at], &weights, &format!("weights of row {at} of {sentences:?}"));
            assert_close(&found[at * width..][..width], &expected, &format!("row {at} of {sentences:?}"));
        }
        let (beside, score) = (random(sentences.len() * 2, 19), Score::Dot { scale: 0.7, relative: Relative::None });
        let columns = backend.rows(&beside, 2)?;
        backend.attend(workspace, score, &mut memory, &sentences, &queries, Some(&columns), &mut out, None)?;
        let both: Vec<f32> = beside.chunks(2).zip(found.chunks(width)).flat_map(|(a, b)| [a, b].concat()).collect();
        assert_close(&backend.values(&out)?, &both, "with columns put before");
    }
    Ok(())
}

/// A bias of two heads, and what it adds for a head, a query and a key.
fn relative_bias<B: Backend>(backend: &B) -> (RelativeBias<B>, impl Fn(usize, usize, usize) -> f32) {
    let reach = 4;
    let values = random(2 * (2 * reach + 1), 22);
    let bias = RelativeBias { values: backend.vector(values.clone()).unwrap(), reach };
    let value = move |head: usize, query: usize, key: usize| {
        let distance = (key as isize - query as isize).clamp(-(reach as isize), reach as isize);
        values[head * (2 * reach + 1) + (distance + reach as isize) as usize]
    };
    (bias, value)
}

fn a_relative_bias_is_added_for_the_distance_of_key_and_query<B: Backend>(backend: &B) -> Result<()> {
    // More positions than a backend computes at a time, and than the bias tells apart.
    let (heads, head_width, lengths) = (2, 3, [2, 300, 7]);
    let width = heads * head_width;
    let rows: usize = lengths.iter().sum();
    let projected = random(rows * 3 * width, 23);
    let part = |row: usize, part: usize| &projected[(row * 3 + part) * width..][..width];
    let queries = backend.rows(&projected, 3 * width)?;
    let mut memory = backend.dot_memory(heads, head_width, &lengths, &queries, false)?;
    let (bias, value) = relative_bias(backend);
    let sentences: Vec<usize> = lengths.iter().enumerate().flat_map(|(at, &length)| vec![at; length]).collect();
    let mut recorded = vec![Vec::new(); rows];
    let mut record = |row: usize, weights: &[f32]| recorded[row].extend_from_slice(weights);
    let (mut out, workspace) = (B::Rows::default(), &mut Workspace::new(1));
    let score = Score::Dot { scale: 1.0, relative: Relative::Bias(&bias) };
    let record = Some(&mut record as Recorder<'_>);
    backend.attend(workspace, score, &mut memory, &sentences, &queries, None, &mut out, record)?;
    let found = backend.values(&out)?;
    for span in super::spans(&lengths) {
        let keys: Vec<&[f32]> = span.clone().map(|row| part(row, 1)).collect();
        let values: Vec<&[f32]> = span.clone().map(|row| part(row, 2)).collect();
        for (position, row) in span.enumerate() {
            let added = |head, key| value(head, position, key);
            let (weights, expected) = attend(part(row, 0), &keys, &values, heads, 1.0, added);
            assert_close(&recorded[row], &weights, &format!("weights of row {row}"));
            assert_close(&found[row * width..][..width], &expected, &format!("row {row}"));
        }
    }
    Ok(())
}

fn additive_attention_is_bahdanaus<B: Backend>(backend: &B) -> Result<()> {
    let (lengths, hidden, width) = ([3, 1], 4, 6);
    let (keys, values, queries, energy) =
        (random(4 * hidden, 15), random(4 * width, 16), random(3 * hidden, 17), random(hidden, 18));
    let mut memory = backend.plain_memory(&lengths, backend.rows(&keys, hidden)?, backend.rows(&values, width)?)?;
    let vector = backend.vector(energy.clone())?;
    let (sentences, starts) = ([0, 0, 1], [0, 3]);
    let mut recorded = vec![Vec::new(); 3];
    let mut record = |row: usize, weights: &[f32]| recorded[row].extend_from_slice(weights);
    let (mut out, rows) = (B::Rows::default(), backend.rows(&queries, hidden)?);
    let score = Score::Additive { energy: &vector };
    let record = Some(&mut record as Recorder<'_>);
    backend.attend(&mut Workspace::new(1), score, &mut memory, &sentences, &rows, None, &mut out, record)?;
    let found = backend.values(&out)?;
    for (at, &sentence) in sentences.iter().enumerate() {
        let (start, length) = (starts[sentence], lengths[sentence]);
        let query = &queries[at * hidden..][..hidden];
        let energy_of = |key: &[f32]| query.iter().zip(key).zip(&energy).map(|((q, k), v)| v * (q + k).tanh()).sum();
        let keys = keys[start * hidden..(start + length) * hidden].chunks(hidden);
        let weights = softmax(&keys.map(energy_of).collect::<Vec<f32>>());
        let context: Vec<f32> = (0..width)
            .map(|column| (0..length).map(|i| weights[i] * values[(start + i) * width + column]).sum())
            .collect();
        assert_close(&recorded[at], &weights, &format!("weights of row {at}"));
        assert_close(&found[at * width..][..width], &context, &format!("row {at}"));
    }
    Ok(())
}

fn a_past_follows_its_hypothesis<B: Backend>(backend: &B) -> Result<()> {
    past_attention(backend, Relative::None, |_, _, _| 0.0)
}

fn a_relative_bias_is_added_to_what_the_past_scores<B: Backend>(backend: &B) -> Result<()> {
    let (bias, value) = relative_bias(backend);
    past_attention(backend, Relative::Bias(&bias), value)
}

fn past_attention<B: Backend>(
    backend: &B,
    relative: Relative<'_, B>,
    added: impl Fn(usize, usize, usize) -> f32,
) -> Result<()> {
    let (heads, head_width, scale) = (2, 3, 0.5);
    let width = heads * head_width;
    let workspace = &mut Workspace::new(1);
    let mut past = backend.past(1, 2, heads, head_width);
    // What each hypothesis was fed: rows of [query, key, value].
    let mut histories: Vec<Vec<Vec<f32>>> = vec![Vec::new(); 2];
    for (step, survivors) in
        [vec![0, 0, 1], vec![2, 0, 1], vec![1, 1], vec![0], vec![0], vec![0], vec![0]].into_iter().enumerate()
    {
        backend.advance(&mut past);
        let projected = random(histories.len() * 3 * width, 30 + step as u64);
        for (history, row) in histories.iter_mut().zip(projected.chunks(3 * width)) {
            history.push(row.to_vec());
        }
        let mut recorded = vec![Vec::new(); histories.len()];
        let mut record = |row: usize, weights: &[f32]| recorded[row].extend_from_slice(weights);
        let (mut out, rows) = (B::Rows::default(), backend.rows(&projected, 3 * width)?);
        let record = Some(&mut record as Recorder<'_>);
        backend.attend_past(workspace, &mut past, 0, scale, relative, &rows, &mut out, record)?;
        let found = backend.values(&out)?;
        for (row, history) in histories.iter().enumerate() {
            let part = |part: usize| history.iter().map(|fed| &fed[part * width..][..width]).collect::<Vec<_>>();
            let query = part(0)[step];
            let added = |head, key| added(head, step, key);
            let (weights, expected) = attend(query, &part(1), &part(2), heads, scale, added);
            assert_close(&recorded[row], &weights, &format!("step {step}, weights of row {row}"));
            assert_close(&found[row * width..][..width], &expected, &format!("step {step}, row {row}"));
        }
        backend.select_past(&mut past, &survivors)?;
        histories = survivors.iter().map(|&row| histories[row].clone()).collect();
    }
    Ok(())
}

/// Keys and values with the vectors of their distances from a query at `position` added to every head.
fn with_distances(
    vectors: &[Vec<f32>; 2],
    reach: usize,
    position: usize,
    rows: [&[&[f32]]; 2],
    head_width: usize,
) -> [Vec<Vec<f32>>; 2] {
    let added = |part: usize| {
        let row = |(key, row): (usize, &&[f32])| {
            let distance = (key as i64 - position as i64).clamp(-(reach as i64), reach as i64) + reach as i64;
            let vector = &vectors[part][distance as usize * head_width..][..head_width];
            row.iter().enumerate().map(|(column, x)| x + vector[column % head_width]).collect()
        };
        rows[part].iter().enumerate().map(row).collect()
    };
    [added(0), added(1)]
}

fn vectors_of_distances_are_added_to_keys_and_values<B: Backend>(backend: &B) -> Result<()> {
    let (heads, head_width, reach, scale) = (2, 3, 2, 0.6);
    let width = heads * head_width;
    let tables = [random((2 * reach + 1) * head_width, 50), random((2 * reach + 1) * head_width, 51)];
    let vectors =
        RelativeVectors { keys: backend.vector(tables[0].clone())?, values: backend.vector(tables[1].clone())?, reach };
    let relative = Relative::Vectors(&vectors);
    let workspace = &mut Workspace::new(1);
    let expected = |query: &[f32], keys: &[&[f32]], values: &[&[f32]], position: usize| {
        let [keys, values] = with_distances(&tables, reach, position, [keys, values], head_width);
        let (keys, values): (Vec<&[f32]>, Vec<&[f32]>) =
            (keys.iter().map(Vec::as_slice).collect(), values.iter().map(Vec::as_slice).collect());
        attend(query, &keys, &values, heads, scale, |_, _| 0.0)
    };

    let lengths = [1, 7, 4];
    let projected = random(12 * 3 * width, 52);
    let part = |row: usize, part: usize| &projected[(row * 3 + part) * width..][..width];
    let queries = backend.rows(&projected, 3 * width)?;
    let mut memory = backend.dot_memory(heads, head_width, &lengths, &queries, false)?;
    let sentences: Vec<usize> = lengths.iter().enumerate().flat_map(|(at, &length)| vec![at; length]).collect();
    let mut out = B::Rows::default();
    let score = Score::Dot { scale, relative };
    backend.attend(workspace, score, &mut memory, &sentences, &queries, None, &mut out, None)?;
    let found = backend.values(&out)?;
    for span in super::spans(&lengths) {
        let keys: Vec<&[f32]> = span.clone().map(|row| part(row, 1)).collect();
        let values: Vec<&[f32]> = span.clone().map(|row| part(row, 2)).collect();
        for (position, row) in span.enumerate() {
            let (_, expected) = expected(part(row, 0), &keys, &values, position);
            assert_close(&found[row * width..][..width], &expected, &format!("row {row}"));
        }
    }

    let mut past = backend.past(1, 2, heads, head_width);
    let mut fed: Vec<Vec<f32>> = Vec::new();
    for step in 0..6 {
        backend.advance(&mut past);
        fed.push(random(2 * 3 * width, 53 + step as u64));
        let rows = backend.rows(&fed[step], 3 * width)?;
        backend.attend_past(workspace, &mut past, 0, scale, relative, &rows, &mut out, None)?;
        let found = backend.values(&out)?;
        for row in 0..2 {
            let part = |part: usize| -> Vec<&[f32]> {
                fed.iter().map(|step| &step[(row * 3 + part) * width..][..width]).collect()
            };
            let (_, expected) = expected(part(0)[step], &part(1), &part(2), step);
            assert_close(&found[row * width..][..width], &expected, &format!("step {step}, row {row}"));
        }
    }
    Ok(())
}

fn a_simpler_recurrent_unit_and_a_running_mean_keep_one_vector_a_row<B: Backend>(backend: &B) -> Result<()> {
    let width = 5;
    let (mut state, mut sum): (B::Rows, B::Rows) = Default::default();
    let (mut seen, mut mean): (B::Rows, B::Rows) = Default::default();
    let (mut cells, mut sums) = (vec![0.0; 2 * width], vec![0.0; 2 * width]);
    for step in 1..4 {
        let projected = random(2 * 2 * width, 70 + step as u64);
        backend.ssru(&backend.rows(&projected, 2 * width)?, &mut state, &mut seen)?;
        let x = random(2 * width, 80 + step as u64);
        backend.running_mean(&backend.rows(&x, width)?, step, &mut sum, &mut mean)?;
        for (at, (cell, sum)) in cells.iter_mut().zip(&mut sums).enumerate() {
            let input = |part: usize| projected[(at / width * 2 + part) * width + at % width];
            let forget = 1.0 / (1.0 + (-input(1)).exp());
            *cell = forget * *cell + (1.0 - forget) * input(0);
            *sum += x[at];
        }
        assert_close(&backend.values(&state)?, &cells, "state");
        assert_close(&backend.values(&seen)?, &cells.iter().map(|cell| cell.max(0.0)).collect::<Vec<_>>(), "seen");
        assert_close(&backend.values(&mean)?, &sums.iter().map(|sum| sum / step as f32).collect::<Vec<_>>(), "mean");
    }
    Ok(())
}

fn the_best_tokens_are_those_of_the_logits<B: Backend>(backend: &B) -> Result<()> {
    let (x, mut weight, bias) = (random(3 * 4, 19), random(40 * 4, 20), random(40, 21));
    // Two tokens that always score the same.
    weight.copy_within(4 * 4..5 * 4, 7 * 4);
    let mut bias = bias;
    (bias[4], bias[7]) = (2.0, 2.0);
    let (rows, layer, vector) = (backend.rows(&x, 4)?, matrix(backend, &weight, 4), backend.vector(bias.clone())?);
    let (workspace, mut logits) = (&mut Workspace::new(1), Vec::new());
    backend.logits(workspace, &rows, &layer, Some(&vector), &mut logits)?;
    assert_close(&logits, &product(&x, &weight, &bias, 4), "logits");
    for banned in [&[][..], &[4, 39]] {
        for normalise in [LogSumExp::All, LogSumExp::Allowed, LogSumExp::None] {
            let (mut best, mut sums) = (Vec::new(), Vec::new());
            backend.top_k(workspace, &rows, &layer, Some(&vector), 3, banned, normalise, &mut best, &mut sums)?;
            for (row, logits) in logits.chunks(40).enumerate() {
                let allowed = |token: &usize| !banned.contains(&(*token as u32));
                let mut order: Vec<usize> = (0..40).filter(allowed).collect();
                order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
                let tokens: Vec<usize> = best[row * 3..][..3].iter().map(|best| best.token as usize).collect();
                assert_eq!(tokens, order[..3], "banned {banned:?}");
                let all = |allowed: &dyn Fn(&usize) -> bool| {
                    (0..40).filter(|token| allowed(token)).map(|token| logits[token].exp()).sum::<f32>().ln()
                };
                match normalise {
                    LogSumExp::None => assert!(sums.is_empty()),
                    LogSumExp::All => assert_close(&[sums[row]], &[all(&|_| true)], "all"),
                    LogSumExp::Allowed => assert_close(&[sums[row]], &[all(&allowed)], "allowed"),
                }
            }
        }
    }
    Ok(())
}

macro_rules! on_every_backend {
    ($($operation:ident),* $(,)?) => {
        mod kernels {
            $(#[test]
            fn $operation() {
                super::$operation(&super::Kernels::new(super::Precision::F32).unwrap()).unwrap();
            })*
        }
        mod candle {
            $(#[test]
            fn $operation() {
                super::$operation(&super::Candle::new(&super::Compute::default()).unwrap()).unwrap();
            })*
        }
    };
}

on_every_backend!(
    embeddings_are_scaled_and_added_to,
    linear_layers_have_a_bias_and_an_activation,
    rows_are_normalised_alone_or_with_a_residual,
    rows_are_copied_added_scaled_multiplied_and_put_together,
    gru_gates_are_pytorchs,
    lstm_gates_are_pytorchs,
    rows_are_activated_and_averaged_by_sentence,
    scores_come_to_the_host_and_weights_sum_the_values,
    a_memory_is_attended_to_by_the_rows_of_its_sentences,
    a_relative_bias_is_added_for_the_distance_of_key_and_query,
    additive_attention_is_bahdanaus,
    a_past_follows_its_hypothesis,
    a_relative_bias_is_added_to_what_the_past_scores,
    vectors_of_distances_are_added_to_keys_and_values,
    a_simpler_recurrent_unit_and_a_running_mean_keep_one_vector_a_row,
    the_best_tokens_are_those_of_the_logits,
);

#[test]
fn what_a_backend_does_not_compute_is_refused_in_words() {
    let candle = |precision, device| Compute { precision, device, ..Compute::default() };
    let refused = |compute: Compute| Candle::new(&compute).unwrap_err().to_string();
    assert!(refused(candle(Precision::Int8, Device::Cpu)).contains("int8 is computed by the kernels only"));
    assert!(refused(candle(Precision::Int16, Device::Cpu)).contains("int16 is computed by the kernels only"));
    assert!(refused(candle(Precision::F16, Device::Cpu)).contains("f16 is for GPUs"));
    assert!(Kernels::new(Precision::Bf16).unwrap_err().to_string().contains("bf16 is for GPUs"));
    if !cfg!(feature = "cuda") {
        assert!(refused(candle(Precision::F32, Device::Cuda(0))).contains("--features cuda"));
    }
    let kernels = Compute { backend: Some(BackendName::Kernels), device: Device::Cuda(1), ..Compute::default() };
    assert!(kernels.backend().unwrap_err().to_string().contains("for cuda:1 use --backend candle"));
    assert_eq!(candle(Precision::F32, Device::Metal(0)).backend().unwrap(), BackendName::Candle);
}

#[test]
fn devices_are_read_as_they_are_written() {
    for text in ["cpu", "cuda:0", "cuda:3", "metal:0"] {
        assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
    }
    assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
    for text in ["gpu", "cuda:x", "cpu:1", ""] {
        assert!(text.parse::<Device>().is_err(), "{text}");
    }
}
