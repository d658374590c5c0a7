//! Products of integers of two 8-bit digits.

use super::super::{Activation, InstructionSet, PackedMatrix, Precision, Workspace, plain};
use super::{ROWS, SHAPES, random};

fn product(set: InstructionSet, matrix: &PackedMatrix, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let mut out = vec![f32::NAN; x.len() / matrix.inputs() * matrix.outputs()];
    matrix.multiply(&mut Workspace::with_instruction_set(1, set), x, bias, Activation::Identity, &mut out);
    out
}

#[test]
fn the_product_has_exact_sums() {
    for (outputs, inputs) in SHAPES.into_iter().chain([(40, 128)]) {
        let weight = random(outputs * inputs, 80);
        let bias = random(outputs, 81);
        let matrix = PackedMatrix::pack(&weight, outputs, inputs, Precision::Int16);
        for rows in ROWS {
            let x = random(rows * inputs, 82);
            let expected = plain::multiply_int16(&x, &weight, inputs, Some(&bias));
            for set in InstructionSet::available() {
                let out = product(set, &matrix, &x, Some(&bias));
                assert_eq!(out, expected, "{set}: {rows} rows, {outputs} x {inputs}");
            }
        }
    }
}

#[test]
fn many_rows_are_multiplied_in_blocks_with_the_same_sums() {
    // More rows than an instruction set with tiles takes at a time.
    let (outputs, inputs, rows) = (17, 4096, 150);
    let (weight, x) = (random(outputs * inputs, 83), random(rows * inputs, 84));
    let matrix = PackedMatrix::pack(&weight, outputs, inputs, Precision::Int16);
    let expected = plain::multiply_int16(&x, &weight, inputs, None);
    for set in InstructionSet::available() {
        assert_eq!(product(set, &matrix, &x, None), expected, "{set}");
    }
}

#[test]
fn every_integer_is_cut_into_two_digits() {
    // The first input sets the scale, so that each other one is an integer. One weight of 1 gives each of them back.
    let inputs = 64;
    let mut weight = vec![0.0; inputs * inputs];
    weight.iter_mut().step_by(inputs + 1).for_each(|w| *w = 1.0);
    let matrix = PackedMatrix::pack(&weight, inputs, inputs, Precision::Int16);
    let x: Vec<f32> = (-32_512..=32_512_i32)
        .collect::<Vec<_>>()
        .chunks(inputs - 1)
        .flat_map(|others| {
            let others = others.iter().copied().chain(std::iter::repeat(0)).take(inputs - 1);
            std::iter::once(32_512).chain(others).map(|integer| integer as f32)
        })
        .collect();
    for set in InstructionSet::available() {
        let out = product(set, &matrix, &x, None);
        let error = out.iter().zip(&x).map(|(out, x)| (out - x).abs()).fold(0.0, f32::max);
        assert!(error < 0.01, "{set}: {error}");
    }
}

#[test]
fn the_largest_sums_fit() {
    let inputs = Precision::Int16.most_inputs();
    let matrix = PackedMatrix::pack(&vec![-1.0; inputs], 1, inputs, Precision::Int16);
    for set in InstructionSet::available() {
        for sign in [1.0, -1.0] {
            let out = product(set, &matrix, &vec![sign; 8 * inputs], None);
            let error = out.iter().map(|out| (out / (-sign * inputs as f32) - 1.0).abs()).fold(0.0, f32::max);
            assert!(error < 1e-6, "{set}: {out:?}");
        }
    }
}

#[test]
#[should_panic(expected = "too many inputs")]
fn more_inputs_are_refused() {
    PackedMatrix::pack(&vec![1.0; (1 << 16) + 1], 1, (1 << 16) + 1, Precision::Int16);
}

#[test]
fn the_error_is_a_hundred_times_smaller_than_that_of_int8() {
    // As measured: relative to the result, 100 times smaller with even numbers and with a few that are 30 times larger.
    let (outputs, inputs, rows) = (64, 512, 16);
    for outliers in [1.0, 30.0] {
        let weight = random(outputs * inputs, 85);
        let mut x = random(rows * inputs, 86);
        x.chunks_mut(inputs).flat_map(|x| x.iter_mut().step_by(171)).for_each(|x| *x *= outliers);
        let exact: Vec<f64> = x
            .chunks(inputs)
            .flat_map(|x| {
                let dot = |w: &[f32]| x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                weight.chunks(inputs).map(dot).collect::<Vec<f64>>()
            })
            .collect();
        let error = |precision| {
            let matrix = PackedMatrix::pack(&weight, outputs, inputs, precision);
            let out = product(InstructionSet::detect(), &matrix, &x, None);
            let squares: f64 = out.iter().zip(&exact).map(|(out, exact)| (f64::from(*out) - exact).powi(2)).sum();
            (squares / exact.iter().map(|exact| exact * exact).sum::<f64>()).sqrt()
        };
        let (int8, int16) = (error(Precision::Int8), error(Precision::Int16));
        assert!(int16 < int8 / 100.0, "{outliers}: {int16} against {int8}");
    }
}
