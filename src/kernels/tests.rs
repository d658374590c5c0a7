//! Every fast kernel against the plain one, on every instruction set this processor has.

use super::attention::{attend_additive_on, attend_f16_on, attend_on, to_f16_on};
use super::elementwise::{gru_gates_on, layer_norm_on, log_sum_exp_on, rms_norm_on, sigmoid_on, softmax_on, ssru_on};
use super::screen::Effort;
use super::{
    Activation, AttentionMemory, InstructionSet, KeysAndValues, LogSumExp, PackedMatrix, Precision, RelativeBias,
    Scored, Screen, SharedBytes, StoredInt8, Workspace, plain,
};
use std::convert::Infallible;
use std::sync::Arc;

mod int16;
mod tiles;

/// A fixed pseudo-random sequence (SplitMix64) in -1..1.
fn random(length: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) >> 40
    };
    (0..length).map(|_| next() as f32 / 8_388_608.0 - 1.0).collect()
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs() / expected.abs().max(1.0);
        assert!(error <= tolerance, "{what}: element {index} is {found}, expected {expected}");
    }
}

const SHAPES: [(usize, usize); 10] =
    [(1, 1), (3, 5), (16, 16), (17, 31), (48, 64), (70, 192), (130, 33), (200, 100), (400, 19), (1000, 7)];
const ROWS: [usize; 13] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 32, 49, 70];

#[test]
fn product_is_one_chain_of_fused_multiply_adds() {
    // Without the fused instruction the portable kernels round twice.
    let exact = |set| set != InstructionSet::Portable || cfg!(target_arch = "aarch64");
    for set in InstructionSet::available() {
        let mut workspace = Workspace::with_instruction_set(1, set);
        for (outputs, inputs) in SHAPES {
            let weight = random(outputs * inputs, 1);
            let bias = random(outputs, 2);
            let matrix = PackedMatrix::pack(&weight, outputs, inputs, Precision::F32);
            for rows in ROWS {
                let x = random(rows * inputs, 3);
                let mut out = vec![f32::NAN; rows * outputs];
                matrix.multiply(&mut workspace, &x, Some(&bias), Activation::Identity, &mut out);
                let expected = plain::multiply(&x, &weight, inputs, Some(&bias), Activation::Identity);
                let what = format!("{set}: {rows} rows, {outputs} x {inputs}");
                assert_close(&out, &expected, 1e-5, &what);
                assert!(!exact(set) || out == expected, "{what}: not the same bits");
            }
        }
    }
}

#[test]
fn int8_product_has_exact_sums() {
    for set in InstructionSet::available() {
        let mut workspace = Workspace::with_instruction_set(1, set);
        for (outputs, inputs) in SHAPES {
            let weight = random(outputs * inputs, 4);
            let bias = random(outputs, 5);
            let matrix = PackedMatrix::pack(&weight, outputs, inputs, Precision::Int8);
            for rows in ROWS {
                let x = random(rows * inputs, 6);
                let mut out = vec![f32::NAN; rows * outputs];
                matrix.multiply(&mut workspace, &x, Some(&bias), Activation::Identity, &mut out);
                let expected = plain::multiply_int8(&x, &weight, inputs, Some(&bias));
                assert_eq!(out, expected, "{set}: {rows} rows, {outputs} x {inputs}");
            }
        }
    }
}

#[test]
fn many_rows_are_multiplied_in_blocks_with_the_same_sums() {
    // More rows than an instruction set with tiles takes at a time.
    let (outputs, inputs, rows) = (33, 8192, 150);
    let weight = random(outputs * inputs, 40);
    let x = random(rows * inputs, 41);
    let matrix = PackedMatrix::pack(&weight, outputs, inputs, Precision::Int8);
    let expected = plain::multiply_int8(&x, &weight, inputs, None);
    for set in InstructionSet::available() {
        let mut out = vec![f32::NAN; rows * outputs];
        matrix.multiply(&mut Workspace::with_instruction_set(2, set), &x, None, Activation::Identity, &mut out);
        assert_eq!(out, expected, "{set}");
    }
}

#[test]
fn a_stored_int8_matrix_is_the_packed_one_whether_it_is_shared_or_copied() {
    let inputs = 20;
    for sizes in [vec![40], vec![32, 16, 5], vec![17, 30]] {
        let outputs: usize = sizes.iter().sum();
        let weight = random(outputs * inputs, 42);
        let whole = PackedMatrix::pack(&weight, outputs, inputs, Precision::Int8);
        let mut bytes = vec![0u8; 64];
        let mut rows = weight.as_slice();
        let parts: Vec<_> = sizes
            .iter()
            .map(|&outputs| {
                let part =
                    PackedMatrix::pack(rows.split_off(..outputs * inputs).unwrap(), outputs, inputs, Precision::Int8);
                let (panels, scales, sums) = part.stored().unwrap();
                let start = bytes.len();
                bytes.extend(panels.iter().map(|&value| value as u8));
                (outputs, start..bytes.len(), scales.to_vec(), sums)
            })
            .collect();
        let bytes: SharedBytes = Arc::new(bytes);
        let stored = |(outputs, range, scales, sums)| {
            let values = (Arc::clone(&bytes), range);
            StoredInt8 { outputs, values, row_major: false, scales, sums }
        };
        let parts: Vec<StoredInt8> = parts.into_iter().map(stored).collect();
        let x = random(9 * inputs, 43);
        let product = |matrix: &PackedMatrix| {
            let mut out = vec![0.0; 9 * outputs];
            matrix.multiply(&mut Workspace::new(1), &x, None, Activation::Identity, &mut out);
            out
        };
        assert_eq!(product(&PackedMatrix::from_stored(inputs, &parts)), product(&whole), "{sizes:?}");
    }
}

#[test]
fn rows_of_int8_values_as_other_tools_store_them_are_packed_as_they_are() {
    for (inputs, sizes) in [(20, vec![40]), (7, vec![32, 5]), (1, vec![3])] {
        let outputs: usize = sizes.iter().sum();
        let values: Vec<i8> = random(outputs * inputs, 44).iter().map(|x| (x * 127.0) as i8).collect();
        let scales: Vec<f32> = random(outputs, 45).iter().map(|x| x.abs() + 0.01).collect();
        let bytes: SharedBytes = Arc::new(values.iter().map(|&value| value as u8).collect::<Vec<u8>>());
        let mut first = 0;
        let parts: Vec<StoredInt8> = sizes
            .iter()
            .map(|&rows| {
                let range = first * inputs..(first + rows) * inputs;
                let sum = |row: &[i8]| row.iter().map(|&value| i32::from(value)).sum();
                let sums = values[range.clone()].chunks(inputs).map(sum).collect();
                let scales = scales[first..first + rows].to_vec();
                first += rows;
                StoredInt8 { outputs: rows, values: (Arc::clone(&bytes), range), row_major: true, scales, sums }
            })
            .collect();
        let matrix = PackedMatrix::from_stored(inputs, &parts);
        let mut row = vec![0.0; inputs];
        for (output, (values, scale)) in values.chunks(inputs).zip(&scales).enumerate() {
            matrix.row(output, &mut row);
            assert_eq!(row, values.iter().map(|&value| f32::from(value) * scale).collect::<Vec<_>>());
        }
        let x = random(2 * inputs, 46);
        let mut out = vec![0.0; 2 * outputs];
        matrix.multiply(&mut Workspace::new(1), &x, None, Activation::Identity, &mut out);
        let expected = x.chunks(inputs).flat_map(|x| {
            let (x, x_scale, shift) = plain::quantise_shifted(x);
            let dot = move |row: &[i8]| x.iter().zip(row).map(|(x, &w)| x * i32::from(w)).sum::<i32>() as f32;
            let sum = |row: &[i8]| row.iter().map(|&w| i32::from(w)).sum::<i32>() as f32;
            values
                .chunks(inputs)
                .zip(&scales)
                .map(move |(row, scale)| dot(row).mul_add(scale * x_scale, shift * (sum(row) * scale)))
        });
        assert_eq!(out, expected.collect::<Vec<_>>(), "{sizes:?}");
    }
}

#[test]
fn int8_activations_of_one_sign_are_rounded_in_steps_half_as_large() {
    // Each output is one of the inputs, which are whole steps of 255 that cover them.
    let inputs = 255;
    let weight: Vec<f32> = (0..inputs * inputs).map(|at| f32::from(at % inputs == at / inputs)).collect();
    let x: Vec<f32> = (0..inputs).map(|step| step as f32 / 254.0).collect();
    let matrix = PackedMatrix::pack(&weight, inputs, inputs, Precision::Int8);
    for set in InstructionSet::available() {
        let mut out = vec![f32::NAN; inputs];
        matrix.multiply(&mut Workspace::with_instruction_set(1, set), &x, None, Activation::Identity, &mut out);
        assert_close(&out, &x, 1e-6, &set.to_string());
    }
}

#[test]
fn int8_product_does_not_saturate() {
    for set in InstructionSet::available() {
        let matrix = PackedMatrix::pack(&vec![-1.0; 16 * 64], 16, 64, Precision::Int8);
        for sign in [1.0, -1.0] {
            let mut out = vec![0.0; 16];
            let mut workspace = Workspace::with_instruction_set(1, set);
            matrix.multiply(&mut workspace, &[sign; 64], None, Activation::Identity, &mut out);
            assert_close(&out, &[-64.0 * sign; 16], 1e-6, &set.to_string());
        }
    }
}

#[test]
fn zero_rows_stay_zero_in_integers() {
    for precision in [Precision::Int8, Precision::Int16] {
        let matrix = PackedMatrix::pack(&random(40 * 30, 7), 40, 30, precision);
        let mut out = vec![1.0; 40];
        matrix.multiply(&mut Workspace::new(1), &[0.0; 30], None, Activation::Identity, &mut out);
        assert_eq!(out, [0.0; 40], "{precision:?}");
    }
}

#[test]
fn a_row_does_not_depend_on_its_batch_or_the_threads() {
    let (outputs, inputs, rows) = (700, 300, 21);
    let weight = random(outputs * inputs, 8);
    let x = random(rows * inputs, 9);
    for set in InstructionSet::available() {
        for precision in [Precision::F32, Precision::Int8, Precision::Int16] {
            let matrix = PackedMatrix::pack(&weight, outputs, inputs, precision);
            let product = |threads, x: &[f32]| {
                let mut out = vec![0.0; x.len() / inputs * outputs];
                let mut workspace = Workspace::with_instruction_set(threads, set);
                matrix.multiply(&mut workspace, x, None, Activation::Swish, &mut out);
                out
            };
            let together = product(1, &x);
            assert_eq!(together, product(3, &x), "{set} {precision:?}: threads");
            let apart: Vec<f32> = x.chunks(inputs).flat_map(|row| product(1, row)).collect();
            assert_eq!(together, apart, "{set} {precision:?}: one row at a time");
            let pieces: Vec<f32> = x.chunks(5 * inputs).flat_map(|rows| product(2, rows)).collect();
            assert_eq!(together, pieces, "{set} {precision:?}: five rows at a time");
        }
    }
}

#[test]
fn instruction_sets_with_fused_multiply_add_agree_bit_for_bit() {
    let (outputs, inputs) = (100, 77);
    let matrix = PackedMatrix::pack(&random(outputs * inputs, 10), outputs, inputs, Precision::F32);
    let x = random(9 * inputs, 11);
    let mut results = InstructionSet::available().filter(|set| *set != InstructionSet::Portable).map(|set| {
        let mut out = vec![0.0; 9 * outputs];
        matrix.multiply(&mut Workspace::with_instruction_set(1, set), &x, None, Activation::Tanh, &mut out);
        out.iter_mut().for_each(|x| *x *= 20.0);
        softmax_on(set, &mut out);
        out
    });
    if let Some(first) = results.next() {
        results.for_each(|other| assert!(first == other));
    }
}

#[test]
fn activations_follow_the_product() {
    let (outputs, inputs) = (50, 20);
    let weight: Vec<f32> = random(outputs * inputs, 12).iter().map(|w| w * 3.0).collect();
    let x = random(3 * inputs, 13);
    let matrix = PackedMatrix::pack(&weight, outputs, inputs, Precision::F32);
    let others = [Activation::QuickGelu, Activation::Sigmoid];
    let usual = [Activation::Relu, Activation::Swish, Activation::Gelu, Activation::GeluTanh, Activation::Tanh];
    for activation in usual.into_iter().chain(others) {
        let mut out = vec![0.0; 3 * outputs];
        matrix.multiply(&mut Workspace::new(1), &x, None, activation, &mut out);
        assert_close(&out, &plain::multiply(&x, &weight, inputs, None, activation), 1e-6, &format!("{activation:?}"));
    }
}

#[test]
fn row_gives_the_weights_back() {
    let (outputs, inputs) = (37, 21);
    let weight = random(outputs * inputs, 14);
    let mut row = vec![0.0; inputs];
    for output in 0..outputs {
        let expected = &weight[output * inputs..][..inputs];
        PackedMatrix::pack(&weight, outputs, inputs, Precision::F32).row(output, &mut row);
        assert_eq!(row, expected);
        PackedMatrix::pack(&weight, outputs, inputs, Precision::Int8).row(output, &mut row);
        assert_close(&row, expected, 0.5 / 127.0 + 1e-6, "int8 row");
        PackedMatrix::pack(&weight, outputs, inputs, Precision::Int16).row(output, &mut row);
        let (digits, scale) = plain::quantise_int16(expected);
        let used: Vec<f32> = digits.iter().map(|[high, low]| (255 * high + low) as f32 * scale).collect();
        assert_eq!(row, used, "int16 row");
    }
}

#[test]
fn top_k_is_the_head_of_the_sorted_scores() {
    let (outputs, inputs, rows) = (1000, 24, 70);
    // Coarse values, so that many scores are equal.
    let coarse = |length, seed| random(length, seed).iter().map(|x| (x * 2.0).round()).collect::<Vec<_>>();
    let (weight, x, bias) = (coarse(outputs * inputs, 15), coarse(rows * inputs, 16), coarse(outputs, 17));
    let banned = [3, 500, 999, 5000];
    let matrix = PackedMatrix::pack(&weight, outputs, inputs, Precision::F32);
    let scores = plain::multiply(&x, &weight, inputs, Some(&bias), Activation::Identity);
    for set in InstructionSet::available() {
        for (threads, k) in [(1, 1), (1, 8), (2, 5), (3, 1000)] {
            let mut workspace = Workspace::with_instruction_set(threads, set);
            let (mut best, mut sums) = (Vec::new(), Vec::new());
            matrix.top_k(&mut workspace, &x, Some(&bias), k, &banned, LogSumExp::All, &mut best, &mut sums);
            for (row, scores) in scores.chunks_exact(outputs).enumerate() {
                assert_eq!(best[row * k..][..k], plain::top_k(scores, k, &banned), "{set}: {threads} threads, k {k}");
                assert_close(&[sums[row]], &[plain::log_sum_exp(scores) as f32], 1e-6, "log sum exp");
            }
        }
    }
}

#[test]
fn top_k_does_not_depend_on_batch_or_threads() {
    let (outputs, inputs, rows, k) = (2000, 40, 11, 4);
    let x = random(rows * inputs, 18);
    for precision in [Precision::F32, Precision::Int8, Precision::Int16] {
        let matrix = PackedMatrix::pack(&random(outputs * inputs, 19), outputs, inputs, precision);
        let run = |threads, x: &[f32]| {
            let (mut best, mut sums) = (Vec::new(), Vec::new());
            let workspace = &mut Workspace::new(threads);
            matrix.top_k(workspace, x, None, k, &[7], LogSumExp::Allowed, &mut best, &mut sums);
            (best, sums)
        };
        let (best, sums) = run(1, &x);
        assert_eq!((best.clone(), sums.clone()), run(3, &x));
        for (row, x) in x.chunks(inputs).enumerate() {
            assert_eq!(run(2, x), (best[row * k..][..k].to_vec(), vec![sums[row]]));
        }
    }
}

#[test]
fn top_k_of_unusable_scores_still_names_tokens() {
    let matrix = PackedMatrix::pack(&[f32::NAN; 20], 20, 1, Precision::F32);
    let (mut best, mut sums) = (Vec::new(), Vec::new());
    matrix.top_k(&mut Workspace::new(1), &[1.0], None, 2, &[], LogSumExp::None, &mut best, &mut sums);
    assert_eq!(best.iter().map(|scored: &Scored| scored.token).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_screen_changes_nothing() {
    let random_bias = random(1001, 63);
    // Rows in which one output stands out, rows of equal weights, and weights of very different sizes.
    let (outputs, inputs, rows) = (1001, 83, 70);
    let mut weight = random(outputs * inputs, 61);
    weight.chunks_mut(inputs).step_by(7).for_each(|row| row.iter_mut().for_each(|w| *w *= 30.0));
    weight.copy_within(0..4 * inputs, 500 * inputs);
    let x: Vec<f32> = random(rows * inputs, 62).iter().map(|x| x * 4.0).collect();
    let matrix = PackedMatrix::pack(&weight, outputs, inputs, Precision::F32);
    let screen = Screen::new(&matrix);
    for set in InstructionSet::available() {
        for (threads, k, bias) in [(1, 1, None), (2, 1, Some(&random_bias)), (1, 3, None), (3, 20, Some(&random_bias))]
        {
            let bias = bias.map(|bias| bias.as_slice());
            let mut workspace = Workspace::with_instruction_set(threads, set);
            let (mut screened, mut plain) = (Vec::new(), Vec::new());
            let banned = [0, 7, 1000, 5000];
            screen.top_k(&matrix, &mut workspace, &x, bias, k, &banned, &mut screened);
            matrix.top_k(&mut workspace, &x, bias, k, &banned, LogSumExp::None, &mut plain, &mut Vec::new());
            assert_eq!(screened, plain, "{set}: {threads} threads, k {k}");
        }
    }
}

/// Reads rows of a weight `[outputs, inputs]`.
fn reader(weight: &[f32], inputs: usize) -> impl Fn(usize, &mut [f32]) -> Result<(), Infallible> {
    move |first, into| {
        into.copy_from_slice(&weight[first * inputs..][..into.len()]);
        Ok(())
    }
}

#[test]
fn rows_that_are_read_when_they_are_needed_change_nothing() {
    // Rows in which one output stands out, rows of equal weights, and flat scores that ask for more effort.
    let (outputs, inputs, rows) = (20_001, 70, 9);
    let mut weight = random(outputs * inputs, 68);
    weight.chunks_mut(inputs).step_by(700).for_each(|row| row.iter_mut().for_each(|w| *w *= 3.0));
    weight.copy_within(0..4 * inputs, 500 * inputs);
    let (x, random_bias) = (random(rows * inputs, 69), random(outputs, 70));
    let matrix = PackedMatrix::pack(&weight, outputs, inputs, Precision::F32);
    for set in InstructionSet::available() {
        for (threads, k, bias) in [(1, 1, None), (2, 1, Some(&random_bias)), (1, 3, None), (3, 20, Some(&random_bias))]
        {
            let bias = bias.map(|bias| bias.as_slice());
            let Ok(screen) = Screen::of_rows(outputs, inputs, reader(&weight, inputs));
            let mut workspace = Workspace::with_instruction_set(threads, set);
            let (mut read, mut plain) = (Vec::new(), Vec::new());
            let banned = [0, 7, 1000, 50_000];
            let Ok(is_found) =
                screen.top_k_by_rows(&mut workspace, &x, bias, k, &banned, &mut read, reader(&weight, inputs));
            matrix.top_k(&mut workspace, &x, bias, k, &banned, LogSumExp::None, &mut plain, &mut Vec::new());
            assert!(is_found && read == plain, "{set}: {threads} threads, k {k}");
        }
    }
}

#[test]
fn rows_are_not_read_where_the_whole_matrix_is_needed() {
    // All scores are the same.
    let (outputs, inputs) = (20_000, 16);
    let weight = vec![0.5; outputs * inputs];
    let Ok(screen) = Screen::of_rows(outputs, inputs, reader(&weight, inputs));
    let (mut workspace, mut best) = (Workspace::new(1), Vec::new());
    let never = |_: usize, _: &mut [f32]| Err("read");
    let x = random(inputs, 71);
    assert_eq!(screen.top_k_by_rows(&mut workspace, &x, None, 1, &[], &mut best, never), Ok(false));
}

#[test]
fn a_screen_changes_nothing_whatever_its_effort() {
    // Flat scores, and one large number in each row: nearly every panel is left at first.
    let (outputs, inputs, rows) = (20_001, 70, 5);
    let matrix = PackedMatrix::pack(&random(outputs * inputs, 65), outputs, inputs, Precision::F32);
    let mut x = random(rows * inputs, 66);
    x.chunks_mut(inputs).for_each(|row| row[3] = 40.0);
    let bias = random(outputs, 67);
    for set in InstructionSet::available() {
        for (threads, k, bias) in [(1, 1, None), (2, 3, Some(bias.as_slice()))] {
            let mut workspace = Workspace::with_instruction_set(threads, set);
            let (mut screened, mut plain) = (Vec::new(), Vec::new());
            matrix.top_k(&mut workspace, &x, bias, k, &[5], LogSumExp::None, &mut plain, &mut Vec::new());
            let screen = Screen::new(&matrix);
            let mut efforts = Vec::new();
            for _ in 0..20 {
                efforts.push(screen.effort());
                screen.top_k(&matrix, &mut workspace, &x, bias, k, &[5], &mut screened);
                assert_eq!(screened, plain, "{set}: {threads} threads, k {k}, {:?}", efforts.last());
            }
            efforts.dedup();
            assert!(efforts.starts_with(&[Effort::OneDigit, Effort::TwoDigits]), "{set}: {efforts:?}");
        }
    }
}

#[test]
fn a_screen_keeps_what_is_not_a_number_or_too_small_to_square() {
    let mut weight = random(2000 * 8, 64);
    weight[800] = f32::NAN;
    weight[1600] = f32::INFINITY;
    let mut bias = vec![0.0; 2000];
    bias[3] = f32::NEG_INFINITY;
    let matrix = PackedMatrix::pack(&weight, 2000, 8, Precision::F32);
    let screen = Screen::new(&matrix);
    let mut workspace = Workspace::new(1);
    for x in [[1.0; 8], [0.0; 8], [f32::NAN; 8], [f32::INFINITY; 8], [f32::MAX; 8], [1e-25; 8]] {
        let (mut screened, mut plain) = (Vec::new(), Vec::new());
        screen.top_k(&matrix, &mut workspace, &x, Some(&bias), 4, &[], &mut screened);
        matrix.top_k(&mut workspace, &x, Some(&bias), 4, &[], LogSumExp::None, &mut plain, &mut Vec::new());
        assert_eq!(screened, plain, "{x:?}");
    }
}

#[test]
fn softmax_and_log_sum_exp_match() {
    for set in InstructionSet::available() {
        for length in [1, 2, 15, 16, 17, 100, 1001] {
            let x: Vec<f32> = random(length, 20).iter().map(|x| x * 30.0).collect();
            let mut found = x.clone();
            softmax_on(set, &mut found);
            assert_close(&found, &plain::softmax(&x), 3e-7, &format!("{set}: softmax of {length}"));
            assert_close(
                &[log_sum_exp_on(set, &x)],
                &[plain::log_sum_exp(&x) as f32],
                1e-6,
                &format!("{set}: {length}"),
            );
        }
        let mut masked = [1.0, f32::NEG_INFINITY, 1.0];
        softmax_on(set, &mut masked);
        assert_eq!(masked, [0.5, 0.0, 0.5]);
    }
}

#[test]
fn layer_norm_matches() {
    for set in InstructionSet::available() {
        for width in [1, 7, 16, 33, 512] {
            let (weight, bias) = (random(width, 21), random(width, 22));
            let (x, residual) = (random(3 * width, 23), random(3 * width, 24));
            let mut found = x.clone();
            layer_norm_on(set, &mut found, Some(&residual), &weight, &bias, 1e-5, false);
            let sum: Vec<f32> = x.iter().zip(&residual).map(|(x, r)| x + r).collect();
            let expected: Vec<f32> =
                sum.chunks(width).flat_map(|row| plain::layer_norm(row, &weight, &bias, 1e-5)).collect();
            assert_close(&found, &expected, 2e-5, &format!("{set}: width {width}"));
        }
    }
}

#[test]
fn rms_norm_matches() {
    for set in InstructionSet::available() {
        for width in [1, 7, 16, 33, 512] {
            let (weight, x, residual) = (random(width, 21), random(3 * width, 23), random(3 * width, 24));
            let mut found = x.clone();
            rms_norm_on(set, &mut found, Some(&residual), &weight, 1e-6);
            let sum: Vec<f32> = x.iter().zip(&residual).map(|(x, r)| x + r).collect();
            let expected: Vec<f32> = sum.chunks(width).flat_map(|row| plain::rms_norm(row, &weight, 1e-6)).collect();
            assert_close(&found, &expected, 2e-5, &format!("{set}: width {width}"));
            let (mut alone, mut added) = (sum.clone(), x.clone());
            rms_norm_on(set, &mut alone, None, &weight, 1e-6);
            rms_norm_on(set, &mut added, Some(&residual), &weight, 1e-6);
            assert_eq!(alone, added, "{set}: width {width}");
        }
    }
}

/// Distances with values of their own in the tests of relative biases.
const REACH: usize = 9;

/// What a head adds for a query and a key.
fn distance_value(values: &[f32], head: usize, query: usize, key: usize) -> f32 {
    let distance = (key as isize - query as isize).clamp(-(REACH as isize), REACH as isize);
    values[head * (2 * REACH + 1) + (distance + REACH as isize) as usize]
}

/// Rows in a block of keys and values.
const BLOCK: usize = 8;

/// Rows of keys and of values in blocks, behind something else.
fn in_blocks<E: Copy + Default>(keys: &[E], values: &[E], width: usize, behind: usize) -> Vec<Box<[E]>> {
    let block = |(keys, values): (&[E], &[E])| {
        let mut block = vec![E::default(); behind + 2 * BLOCK * width];
        block[behind..][..keys.len()].copy_from_slice(keys);
        block[behind + BLOCK * width..][..values.len()].copy_from_slice(values);
        block.into()
    };
    keys.chunks(BLOCK * width).zip(values.chunks(BLOCK * width)).map(block).collect()
}

#[test]
fn attention_matches_over_listed_rows() {
    for set in InstructionSet::available() {
        // Widths of whole blocks of columns and others, the last of them with heads of whole vectors.
        for (width, heads, behind) in [(64, 4, 0), (512, 8, 1536), (12, 2, 20), (96, 1, 0), (192, 2, 0)] {
            let stored = 40;
            let (query, keys, values) = (random(width, 25), random(stored * width, 26), random(stored * width, 27));
            let blocks = &in_blocks(&keys, &values, width, behind)[..];
            let (span, list): (Vec<u32>, _) = ((3..36).collect(), [39, 0, 17, 17, 5]);
            // The last width is not scaled but has a bias, as in T5.
            let scale = if width == 192 { 1.0 } else { ((width / heads) as f32).sqrt().recip() };
            let by_distance = random(heads * (2 * REACH + 1), 48);
            let bias = (width == 192).then_some(RelativeBias { values: &by_distance, reach: REACH });
            for rows in [&span[..], &list, &list[..1]] {
                let added = |head, at| bias.map_or(0.0, |_| distance_value(&by_distance, head, rows.len() - 1, at));
                let (weights, expected) = plain::attend(&query, &keys, &values, width, rows, heads, scale, &added);
                let mut found = (vec![0.0; weights.len()], vec![f32::NAN; width]);
                let (keys, values) = (behind, behind + BLOCK * width);
                let memory = KeysAndValues { blocks, block_rows: BLOCK, keys, values, rows, scale, bias };
                attend_on(set, &query, memory, heads, &mut found.0, &mut found.1);
                assert_close(&found.0, &weights, 1e-6, &format!("{set}: weights"));
                assert_close(&found.1, &expected, 1e-6, &format!("{set}: result"));
            }
        }
    }
}

/// Rounds to half precision and back.
fn halved(x: &[f32]) -> (Vec<half::f16>, Vec<f32>) {
    let half: Vec<half::f16> = x.iter().map(|&x| half::f16::from_f32(x)).collect();
    let back = half.iter().map(|x| x.to_f32()).collect();
    (half, back)
}

#[test]
fn half_precision_rounds_to_nearest_and_holds_the_limits() {
    let mut x = random(1003, 40);
    x.extend([0.0, -0.0, 1e-7, 65_504.0, 1e6, f32::INFINITY, -1e6]);
    let expected: Vec<f32> = x.iter().map(|x| half::f16::from_f32(x.clamp(-65_504.0, 65_504.0)).to_f32()).collect();
    for set in InstructionSet::available() {
        let mut found = vec![half::f16::ZERO; x.len()];
        to_f16_on(set, &x, &mut found);
        assert_eq!(found.iter().map(|x| x.to_f32()).collect::<Vec<_>>(), expected, "{set}");
    }
}

#[test]
fn half_precision_attention_is_that_of_the_rounded_store() {
    for set in InstructionSet::available() {
        for (width, heads) in [(64, 4), (512, 8), (12, 2), (96, 1)] {
            let (query, rows) = (random(width, 41), &[7, 0, 3, 3, 19]);
            let (keys, rounded_keys) = halved(&random(20 * width, 42));
            let (values, rounded_values) = halved(&random(20 * width, 43));
            let scale = ((width / heads) as f32).sqrt().recip();
            let (keys_seen, values_seen) = (&rounded_keys, &rounded_values);
            let (weights, expected) =
                plain::attend(&query, keys_seen, values_seen, width, rows, heads, scale, &|_, _| 0.0);
            let mut found = (vec![0.0; weights.len()], vec![f32::NAN; width]);
            let blocks = &in_blocks(&keys, &values, width, 0)[..];
            let (values, block_rows, bias) = (BLOCK * width, BLOCK, None);
            let memory = KeysAndValues { blocks, block_rows, keys: 0, values, rows, scale, bias };
            attend_f16_on(set, &query, memory, heads, &mut found.0, &mut found.1);
            assert_close(&found.0, &weights, 1e-6, &format!("{set}: weights"));
            assert_close(&found.1, &expected, 1e-6, &format!("{set}: result"));
        }
    }
}

#[test]
fn memory_attention_matches_and_does_not_depend_on_other_queries() {
    let lengths = [1, 3, 16, 17, 32, 33, 50];
    for set in InstructionSet::available() {
        for (width, heads) in [(64, 4), (512, 8), (256, 8), (12, 2), (96, 2), (80, 1), (70, 1)] {
            let projected = random(lengths.iter().sum::<usize>() * 2 * width, 44);
            let scale = if width == 96 { 1.0 } else { ((width / heads) as f32).sqrt().recip() };
            let by_distance = random(heads * (2 * REACH + 1), 49);
            let bias = (width == 96).then_some(RelativeBias { values: &by_distance, reach: REACH });
            for precision in [Precision::F32, Precision::Int8] {
                let memory = AttentionMemory::new(precision, heads, width, &lengths, &projected);
                let stored = if precision == Precision::Int8 { halved(&projected).1 } else { projected.clone() };
                let mut start = 0;
                for (sentence, &length) in lengths.iter().enumerate() {
                    let queries = random(6 * width, 45);
                    let (mut weights, mut out) = (Vec::new(), vec![f32::NAN; 6 * width]);
                    // The queries stand at the positions from 2 on.
                    let bias_from = |query: usize| bias.map(|bias| (bias, 2 + query));
                    memory.attend_on(set, sentence, scale, bias_from(0), &queries, &mut weights, &mut out);
                    for (row, query) in queries.chunks(width).enumerate() {
                        let what = format!("{set} {precision:?}: width {width}, length {length}, query {row}");
                        let rows: Vec<u32> = (start as u32..(start + length) as u32).collect();
                        let added = |head, key| bias.map_or(0.0, |_| distance_value(&by_distance, head, 2 + row, key));
                        let (keys, values) = (&stored, &stored[width..]);
                        let expected = plain::attend(query, keys, values, 2 * width, &rows, heads, scale, &added);
                        let found = (&weights[row * heads * length..][..heads * length], &out[row * width..][..width]);
                        assert_close(found.0, &expected.0, 1e-6, &what);
                        assert_close(found.1, &expected.1, 1e-6, &what);
                        let (mut alone_weights, mut alone) = (Vec::new(), vec![f32::NAN; width]);
                        let from = bias_from(row);
                        memory.attend_on(set, sentence, scale, from, query, &mut alone_weights, &mut alone);
                        assert_eq!((&alone_weights[..], &alone[..]), found, "{what}: not the same bits alone");
                    }
                    start += length;
                }
            }
        }
    }
}

#[test]
fn queries_keys_and_values_may_lie_side_by_side() {
    let (width, heads, length) = (64, 4, 21);
    let fused = random(length * 3 * width, 46);
    let columns = |from: usize, to: usize| -> Vec<f32> {
        fused.chunks(3 * width).flat_map(|row| row[from * width..to * width].to_vec()).collect()
    };
    let attend = |projected: &[f32], queries: &[f32]| {
        let memory = AttentionMemory::new(Precision::F32, heads, width, &[length], projected);
        let (mut weights, mut out) = (Vec::new(), vec![f32::NAN; length * width]);
        memory.attend(0, 0.25, None, queries, &mut weights, &mut out);
        (weights, out)
    };
    assert_eq!(attend(&fused, &fused), attend(&columns(1, 3), &columns(0, 1)));
}

#[test]
fn additive_attention_and_gru_match() {
    for set in InstructionSet::available() {
        for (hidden, width, length) in [(5, 9, 1), (32, 64, 7), (50, 100, 33)] {
            let (query, energy) = (random(hidden, 28), random(hidden, 29));
            let (keys, memory) = (random(length * hidden, 30), random(length * width, 31));
            let (weights, context) = plain::attend_additive(&query, &keys, &energy, &memory, width);
            let mut found = (vec![0.0; length], vec![0.0; width]);
            attend_additive_on(set, &query, &keys, &energy, &memory, &mut found.0, &mut found.1);
            assert_close(&found.0, &weights, 1e-6, &format!("{set}: weights"));
            assert_close(&found.1, &context, 1e-6, &format!("{set}: context"));

            let (x, h, mut state) = (random(3 * hidden, 32), random(3 * hidden, 33), random(hidden, 34));
            let expected = plain::gru_gates(&x, &h, &state);
            gru_gates_on(set, &x, &h, &mut state, hidden);
            assert_close(&state, &expected, 1e-6, &format!("{set}: state"));
        }
    }
}

/// Largest error in units in the last place over a sweep of arguments.
fn worst_error(found: impl Fn(&mut [f32]), expected: impl Fn(f64) -> f64, range: f32) -> f64 {
    let x: Vec<f32> = (-20_000..=20_000).map(|i| i as f32 / 20_000.0 * range).collect();
    let mut y = x.clone();
    found(&mut y);
    let errors = x.iter().zip(&y).map(|(&x, &y)| {
        let expected = expected(f64::from(x));
        let unit = f64::from((expected as f32).abs().max(f32::MIN_POSITIVE).next_up())
            - f64::from((expected as f32).abs().max(f32::MIN_POSITIVE));
        (f64::from(y) - expected).abs() / unit
    });
    errors.fold(0.0, f64::max)
}

#[test]
fn functions_are_accurate_to_three_units_in_the_last_place() {
    for set in InstructionSet::available() {
        for range in [1e-3, 1.0, 12.0, 80.0] {
            let tanh = worst_error(|x| Activation::Tanh.apply_with(set, x), f64::tanh, range);
            let sigmoid = worst_error(|x| sigmoid_on(set, x), |x| 1.0 / (1.0 + (-x).exp()), range);
            let swish = worst_error(|x| Activation::Swish.apply_with(set, x), |x| x / (1.0 + (-x).exp()), range);
            assert!(tanh < 3.0 && sigmoid < 3.0 && swish < 3.0, "{set} to {range}: {tanh} {sigmoid} {swish}");
        }
    }
}

#[test]
fn functions_keep_limits_and_nan() {
    for set in InstructionSet::available() {
        let mut x = [f32::NEG_INFINITY, f32::INFINITY, f32::NAN, 0.0];
        Activation::Tanh.apply_with(set, &mut x);
        assert_eq!((x[0], x[1], x[2].is_nan(), x[3]), (-1.0, 1.0, true, 0.0));
        let mut x = [-1000.0, 1000.0, f32::NAN, 0.0];
        sigmoid_on(set, &mut x);
        assert!(x[0] < 1e-37 && x[1] == 1.0 && x[2].is_nan() && x[3] == 0.5, "{x:?}");
    }
}

#[test]
fn a_row_is_normalised_by_its_deviation_where_the_norm_says_so() {
    for set in InstructionSet::available() {
        for width in [2, 16, 33, 64] {
            let (x, residual) = (random(3 * width, 61), random(3 * width, 62));
            let (weight, bias) = (random(width, 63), random(width, 64));
            let mut found = x.clone();
            layer_norm_on(set, &mut found, Some(&residual), &weight, &bias, 1e-6, true);
            let sums: Vec<f32> = x.iter().zip(&residual).map(|(x, residual)| x + residual).collect();
            let expected = sums.chunks(width).flat_map(|row| plain::deviation_norm(row, &weight, &bias, 1e-6));
            assert_close(&found, &expected.collect::<Vec<_>>(), 2e-6, &format!("{set}: width {width}"));
        }
    }
}

#[test]
fn a_simpler_recurrent_unit_keeps_what_its_gate_says() {
    for set in InstructionSet::available() {
        for width in [1, 16, 37] {
            let (projected, old) = (random(2 * 2 * width, 65), random(2 * width, 66));
            let (mut state, mut out) = (old.clone(), vec![f32::NAN; 2 * width]);
            ssru_on(set, &projected, &mut state, &mut out, width);
            for row in 0..2 {
                let columns = row * width..(row + 1) * width;
                let (new, seen) = plain::ssru(&projected[row * 2 * width..][..2 * width], &old[columns.clone()]);
                assert_close(&state[columns.clone()], &new, 1e-6, &format!("{set}: state"));
                assert_close(&out[columns], &seen, 1e-6, &format!("{set}: out"));
            }
        }
    }
}
