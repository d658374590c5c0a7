//! The operations of recurrent networks and of attention whose parts are decided between them.

use super::{assert_close, random, softmax};
use crate::Result;
use crate::compute::{Activation, Backend, Comparison, Coverage};

pub(super) fn lstm_gates_are_pytorchs<B: Backend>(backend: &B) -> Result<()> {
    // One more than the lanes of a vector.
    let hidden = 17;
    let (x, h) = (random(2 * 4 * hidden, 71), random(2 * 4 * hidden, 72));
    let (old, old_cell) = (random(2 * hidden, 73), random(2 * hidden, 74));
    let (mut state, mut cell) = (backend.rows(&old, hidden)?, backend.rows(&old_cell, hidden)?);
    let (projected, recurrent) = (backend.rows(&x, 4 * hidden)?, backend.rows(&h, 4 * hidden)?);
    backend.lstm_gates(&projected, &recurrent, &mut state, &mut cell)?;
    let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
    let (mut expected, mut expected_cell) = (Vec::new(), Vec::new());
    for (at, old) in old_cell.iter().enumerate() {
        let gate = |gate: usize| {
            let place = (at / hidden * 4 + gate) * hidden + at % hidden;
            x[place] + h[place]
        };
        let new = sigmoid(gate(1)) * old + sigmoid(gate(0)) * gate(2).tanh();
        expected_cell.push(new);
        expected.push(sigmoid(gate(3)) * new.tanh());
    }
    assert_close(&backend.values(&cell)?, &expected_cell, "cell");
    assert_close(&backend.values(&state)?, &expected, "state");
    Ok(())
}

pub(super) fn rows_are_activated_and_averaged_by_sentence<B: Backend>(backend: &B) -> Result<()> {
    let x = random(4 * 3, 75);
    let mut rows = backend.rows(&x, 3)?;
    let mut means = B::Rows::default();
    backend.mean(&rows, &[3, 1], &mut means)?;
    let mean = |column: usize| (0..3).map(|row| x[row * 3 + column]).sum::<f32>() / 3.0;
    let expected = [mean(0), mean(1), mean(2), x[9], x[10], x[11]];
    assert_close(&backend.values(&means)?, &expected, "mean");
    backend.activate(Activation::Tanh, &mut rows)?;
    assert_close(&backend.values(&rows)?, &x.iter().map(|x| x.tanh()).collect::<Vec<_>>(), "activate");
    Ok(())
}

pub(super) fn scores_come_to_the_host_and_weights_sum_the_values<B: Backend>(backend: &B) -> Result<()> {
    let (heads, width, value_width, lengths) = (2, 6, 4, [2usize, 5, 1]);
    let total: usize = lengths.iter().sum();
    let (keys, values, energy) = (random(total * width, 76), random(total * value_width, 77), random(width, 78));
    let mut memory =
        backend.plain_memory(&lengths, backend.rows(&keys, width)?, backend.rows(&values, value_width)?)?;
    // Two hypotheses of the second sentence, and one of the last.
    let sentences = [1, 1, 2];
    let queries = random(sentences.len() * width, 79);
    let rows = backend.rows(&queries, width)?;
    let starts = [0, 2, 7];
    let vector = backend.vector(energy.clone())?;
    let counted: usize = sentences.iter().map(|&sentence| lengths[sentence]).sum();
    let (weight, sums) = (random(width, 80), random(counted, 81));
    let covered = backend.vector(weight.clone())?;
    for kind in ["dot", "cosine", "additive", "coverage"] {
        let heads = if kind == "coverage" { 1 } else { heads };
        let comparison = match kind {
            "dot" => Comparison::Dot,
            "cosine" => Comparison::Cosine,
            "additive" => Comparison::Additive { energy: &vector, coverage: None },
            _ => Comparison::Additive { energy: &vector, coverage: Some(Coverage { weight: &covered, sums: &sums }) },
        };
        let mut expected = Vec::new();
        let mut first = 0;
        for (row, &sentence) in sentences.iter().enumerate() {
            for head in 0..heads {
                for at in 0..lengths[sentence] {
                    let columns = head * width / heads..(head + 1) * width / heads;
                    let pairs = columns.map(|column| {
                        (queries[row * width + column], keys[(starts[sentence] + at) * width + column], column)
                    });
                    let pairs: Vec<(f32, f32, usize)> = pairs.collect();
                    let dot: f32 = pairs.iter().map(|(q, k, _)| q * k).sum();
                    let norm = |of: &dyn Fn(&(f32, f32, usize)) -> f32| {
                        pairs.iter().map(|pair| of(pair).powi(2)).sum::<f32>().sqrt()
                    };
                    let so_far = if kind == "coverage" { sums[first + at] } else { 0.0 };
                    let inner =
                        |&(q, k, column): &(f32, f32, usize)| energy[column] * (q + k + weight[column] * so_far).tanh();
                    expected.push(match kind {
                        "dot" => dot,
                        "cosine" => dot / (norm(&|pair| pair.0) * norm(&|pair| pair.1)),
                        _ => pairs.iter().map(inner).sum(),
                    });
                }
            }
            first += lengths[sentence];
        }
        let mut scores = Vec::new();
        backend.scores(comparison, heads, &mut memory, &sentences, &rows, &mut scores)?;
        assert_close(&scores, &expected, kind);
    }

    let mut weights = Vec::new();
    for (row, &sentence) in sentences.iter().enumerate() {
        for head in 0..heads {
            weights.extend(softmax(&random(lengths[sentence], (82 + row * heads + head) as u64)));
        }
    }
    let beside = random(sentences.len(), 90);
    let mut expected = Vec::new();
    let mut first = 0;
    for (row, &sentence) in sentences.iter().enumerate() {
        expected.push(beside[row]);
        let length = lengths[sentence];
        for column in 0..value_width {
            let own = &weights[first + column / (value_width / heads) * length..][..length];
            let value = |at: usize| values[(starts[sentence] + at) * value_width + column];
            expected.push(own.iter().enumerate().map(|(at, weight)| weight * value(at)).sum());
        }
        first += heads * length;
    }
    let mut out = B::Rows::default();
    let before = backend.rows(&beside, 1)?;
    backend.weigh(&weights, heads, &mut memory, &sentences, Some(&before), &mut out)?;
    assert_close(&backend.values(&out)?, &expected, "weigh");
    backend.weigh(&weights, heads, &mut memory, &sentences, None, &mut out)?;
    let alone: Vec<f32> = expected.chunks(1 + value_width).flat_map(|row| row[1..].to_vec()).collect();
    assert_close(&backend.values(&out)?, &alone, "weigh alone");
    Ok(())
}
