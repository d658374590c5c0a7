//! Micro-benchmarks of the kernels at the sizes of an OPUS-MT model: `cargo bench`, or `cargo bench -- top_k` for some.

use divan::Bencher;
use divan::counter::ItemsCount;
use translate::kernels::{
    Activation, KeysAndValues, LogSumExp, PackedMatrix, Precision, Screen, Workspace, attend, attend_additive,
    gru_gates, layer_norm, softmax,
};

fn main() {
    println!("kernels in use: {}", translate::kernels::describe());
    divan::main();
}

/// Width of the residual stream.
const WIDTH: usize = 512;
const HEADS: usize = 8;
const VOCABULARY: usize = 65_001;

/// Numbers in -1..1 without a pattern.
fn numbers(length: usize) -> Vec<f32> {
    (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn product(bencher: Bencher, precision: Precision, rows: usize, inputs: usize, outputs: usize) {
    let matrix = PackedMatrix::pack(&numbers(outputs * inputs), outputs, inputs, precision);
    let (x, bias) = (numbers(rows * inputs), numbers(outputs));
    let (mut out, mut workspace) = (vec![0.0; rows * outputs], Workspace::new(1));
    // Items are multiplications: the items a second are half the operations a second.
    bencher.counter(ItemsCount::new(rows * inputs * outputs)).bench_local(|| {
        matrix.multiply(&mut workspace, &x, Some(&bias), Activation::Relu, &mut out);
    });
}

#[divan::bench(args = [1, 4, 16, 64, 256])]
fn product_f32_512_by_2048(bencher: Bencher, rows: usize) {
    product(bencher, Precision::F32, rows, WIDTH, 4 * WIDTH);
}

#[divan::bench(args = [1, 4, 16, 64, 256])]
fn product_int8_512_by_2048(bencher: Bencher, rows: usize) {
    product(bencher, Precision::Int8, rows, WIDTH, 4 * WIDTH);
}

#[divan::bench(args = [1, 64])]
fn product_int8_2048_by_512(bencher: Bencher, rows: usize) {
    product(bencher, Precision::Int8, rows, 4 * WIDTH, WIDTH);
}

#[divan::bench(args = [1, 4, 16, 64, 256])]
fn product_int16_512_by_2048(bencher: Bencher, rows: usize) {
    product(bencher, Precision::Int16, rows, WIDTH, 4 * WIDTH);
}

fn top_k(bencher: Bencher, precision: Precision, rows: usize, k: usize, normalise: LogSumExp) {
    let matrix = PackedMatrix::pack(&numbers(VOCABULARY * WIDTH), VOCABULARY, WIDTH, precision);
    let (x, bias) = (numbers(rows * WIDTH), numbers(VOCABULARY));
    let mut workspace = Workspace::new(1);
    let (mut best, mut sums) = (Vec::new(), Vec::new());
    bencher.counter(ItemsCount::new(rows * WIDTH * VOCABULARY)).bench_local(|| {
        matrix.top_k(&mut workspace, &x, Some(&bias), k, &[0], normalise, &mut best, &mut sums);
    });
}

#[divan::bench(args = [1, 64], sample_count = 20)]
fn greedy_output_layer_f32(bencher: Bencher, rows: usize) {
    top_k(bencher, Precision::F32, rows, 1, LogSumExp::None);
}

#[divan::bench(args = [1, 64], sample_count = 20)]
fn greedy_output_layer_f32_screened(bencher: Bencher, rows: usize) {
    let matrix = PackedMatrix::pack(&numbers(VOCABULARY * WIDTH), VOCABULARY, WIDTH, Precision::F32);
    let (screen, x, bias) = (Screen::new(&matrix), numbers(rows * WIDTH), numbers(VOCABULARY));
    let (mut workspace, mut best) = (Workspace::new(1), Vec::new());
    bencher.counter(ItemsCount::new(rows * WIDTH * VOCABULARY)).bench_local(|| {
        screen.top_k(&matrix, &mut workspace, &x, Some(&bias), 1, &[0], &mut best);
    });
}

#[divan::bench(args = [1, 64], sample_count = 20)]
fn greedy_output_layer_int8(bencher: Bencher, rows: usize) {
    top_k(bencher, Precision::Int8, rows, 1, LogSumExp::None);
}

#[divan::bench(args = [4, 128], sample_count = 20)]
fn beam_output_layer_int8(bencher: Bencher, rows: usize) {
    top_k(bencher, Precision::Int8, rows, 8, LogSumExp::All);
}

#[divan::bench(args = [8, 32, 128])]
fn attention(bencher: Bencher, length: usize) {
    let query = numbers(WIDTH);
    const BLOCK: usize = 8;
    let blocks: Vec<Box<[f32]>> = (0..length.div_ceil(BLOCK)).map(|_| numbers(2 * BLOCK * WIDTH).into()).collect();
    let (mut weights, mut out) = (vec![0.0; HEADS * length], vec![0.0; WIDTH]);
    let rows: Vec<u32> = (0..length as u32).collect();
    bencher.bench_local(|| {
        let scale = 1.0 / ((WIDTH / HEADS) as f32).sqrt();
        let (blocks, rows, values) = (&blocks[..], &rows[..], BLOCK * WIDTH);
        let memory = KeysAndValues { blocks, block_rows: BLOCK, keys: 0, values, rows, scale, bias: None };
        attend(&query, memory, HEADS, &mut weights, &mut out);
    });
}

#[divan::bench(args = [8, 32])]
fn additive_attention(bencher: Bencher, length: usize) {
    let (query, energy) = (numbers(WIDTH), numbers(WIDTH));
    let (keys, memory) = (numbers(length * WIDTH), numbers(length * 2 * WIDTH));
    let (mut weights, mut context) = (vec![0.0; length], vec![0.0; 2 * WIDTH]);
    bencher.bench_local(|| attend_additive(&query, &keys, &energy, &memory, &mut weights, &mut context));
}

#[divan::bench]
fn layer_norm_of_64_rows(bencher: Bencher) {
    let (mut x, weight, bias) = (numbers(64 * WIDTH), numbers(WIDTH), numbers(WIDTH));
    bencher.bench_local(|| layer_norm(&mut x, &weight, &bias, 1e-5));
}

#[divan::bench]
fn gru_gates_of_64_rows(bencher: Bencher) {
    let (projected, recurrent) = (numbers(64 * 3 * WIDTH), numbers(64 * 3 * WIDTH));
    let mut state = numbers(64 * WIDTH);
    bencher.bench_local(|| gru_gates(&projected, &recurrent, &mut state, WIDTH));
}

#[divan::bench]
fn softmax_of_the_vocabulary(bencher: Bencher) {
    let mut x = numbers(VOCABULARY);
    bencher.bench_local(|| softmax(&mut x));
}
