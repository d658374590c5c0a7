//! Recurrent networks of every kind against PyTorch, and what no network can be.
//!
//! `tests/reference/recurrent_reference.py` wrote the grid: configurations, the shapes of their tensors, and what the formulas
//! give. The values of the tensors come from a generator that both sides have.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{Device, Tensor};
use serde::Deserialize;
use serde_json::{Value, json};
use translate::Error;
use translate::checkpoint::ModelFiles;
use translate::compute::{BackendName, Compute, Precision, Workspace};
use translate::layouts::Opened;
use translate::model::{self, Record, Seq2Seq};
use translate::search::{Hypothesis, SearchOptions, Source, force_decode, search};

/// One network and what the reference computes with it.
#[derive(Deserialize)]
pub(crate) struct Combination {
    pub(crate) name: String,
    pub(crate) config: Value,
    pub(crate) tensors: BTreeMap<String, Vec<usize>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
pub(crate) struct Case {
    source: Vec<u32>,
    /// Of greedy search, the sentence end included.
    tokens: Vec<u32>,
    log_prob: f32,
    /// `[layers, heads, steps, source length]` of greedy search, if there is attention.
    shape: Option<Vec<usize>>,
    attention: Option<Vec<f32>>,
    /// Of a beam of 4, best first.
    beam: Vec<(Vec<u32>, f32)>,
}

const CROSS: Record = Record { cross: true, encoder: false, decoder: false };
const END: u32 = 3;

pub(crate) fn grid() -> Vec<Combination> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recurrent/grid.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Numbers in [-1, 1) that a name stands for: 24 bits of SplitMix64, seeded by the name's FNV-1a hash.
fn values(name: &str, count: usize) -> Vec<f32> {
    let seed = name
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325u64, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
    let value = |index: u64| {
        let step = |index: u64| seed.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut mixed = step(index).wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count as u64).map(value).collect()
}

/// Writes a combination as a model directory.
pub(crate) fn write(combination: &Combination, directory: &Path) -> ModelFiles {
    let tensor = |(name, shape): (&String, &Vec<usize>)| {
        let values = values(&format!("{}/{name}", combination.name), shape.iter().product());
        (name.clone(), Tensor::from_vec(values, shape.as_slice(), &Device::Cpu).unwrap())
    };
    let tensors: HashMap<String, Tensor> = combination.tensors.iter().map(tensor).collect();
    candle_core::safetensors::save(&tensors, directory.join("model.safetensors")).unwrap();
    let mut config = combination.config.clone();
    config["model_type"] = json!("recurrent-attention");
    std::fs::write(directory.join("config.json"), config.to_string()).unwrap();
    ModelFiles::Directory(directory.to_owned())
}

fn load(files: &ModelFiles, backend: BackendName, precision: Precision) -> Result<Box<dyn Seq2Seq>, Error> {
    let opened = Opened::open(files)?;
    let mut compute = Compute::kernels(precision);
    compute.backend = Some(backend);
    model::load(&opened.spec, &opened.parameters, &compute)
}

fn options(beam: usize) -> SearchOptions {
    let mut options = SearchOptions::default();
    (options.beam_size, options.n_best, options.max_length) = (beam, beam, 9);
    (options.start_token, options.end_token) = (2, END);
    options
}

/// Searches in batches of so many, on so many threads.
fn run(model: &dyn Seq2Seq, cases: &[Case], beam: usize, batch: usize, threads: usize) -> Vec<Vec<Hypothesis>> {
    let sources: Vec<Source> =
        cases.iter().map(|case| Source { ids: case.source.clone(), ..Source::default() }).collect();
    let mut workspace = Workspace::new(threads);
    sources
        .chunks(batch)
        .flat_map(|batch| search(model, batch, &options(beam), CROSS, &mut workspace).unwrap())
        .collect()
}

fn tokens(hypothesis: &Hypothesis) -> Vec<u32> {
    let mut tokens = hypothesis.ids.clone();
    tokens.extend(hypothesis.ended.then_some(END));
    tokens
}

fn assert_near(found: f32, expected: f32, what: &str) {
    assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{what}: {found}, not {expected}");
}

/// Greedy search, its attention and a beam of 4, in batches of so many.
fn assert_as_the_reference(model: &dyn Seq2Seq, combination: &Combination, batch: usize, what: &str) {
    let what = format!("{}, {what}, batches of {batch}", combination.name);
    let greedy = run(model, &combination.cases, 1, batch, 1);
    for (case, found) in combination.cases.iter().zip(&greedy) {
        let found = &found[0];
        assert_eq!(tokens(found), case.tokens, "{what}: greedy");
        assert_near(found.log_prob, case.log_prob, &what);
        let Some((shape, expected)) = case.shape.as_ref().zip(case.attention.as_ref()) else {
            assert!(found.cross_attention.is_none(), "{what}: attention of none");
            continue;
        };
        let attention = found.cross_attention.as_ref().unwrap();
        assert_eq!(*shape, [attention.layers, attention.heads, attention.rows, attention.columns], "{what}");
        for (at, (found, expected)) in attention.weights.iter().zip(expected).enumerate() {
            assert!((found - expected).abs() <= 1e-5, "{what}: attention {at} is {found}, not {expected}");
        }
    }
    for (case, found) in combination.cases.iter().zip(run(model, &combination.cases, 4, batch, 1)) {
        let found: Vec<(Vec<u32>, f32)> = found.iter().map(|found| (tokens(found), found.score)).collect();
        let ids = |list: &[(Vec<u32>, f32)]| list.iter().map(|(tokens, _)| tokens.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&found), ids(&case.beam), "{what}: beam");
        found.iter().zip(&case.beam).for_each(|(found, expected)| assert_near(found.1, expected.1, &what));
    }
}

fn assert_grid(backend: BackendName) {
    for combination in grid() {
        let directory = tempfile::tempdir().unwrap();
        let files = write(&combination, directory.path());
        let model =
            load(&files, backend, Precision::F32).unwrap_or_else(|error| panic!("{}: {error}", combination.name));
        for batch in [1, combination.cases.len()] {
            assert_as_the_reference(&*model, &combination, batch, &format!("{backend}"));
        }
    }
}

#[test]
fn every_combination_is_the_references_on_the_kernels() {
    assert!(grid().len() >= 60);
    assert_grid(BackendName::Kernels);
}

#[test]
fn every_combination_is_the_references_on_candle() {
    assert_grid(BackendName::Candle);
}

#[test]
fn bits_depend_on_no_batch_and_no_thread() {
    let bits = |found: Vec<Vec<Hypothesis>>| -> Vec<(Vec<u32>, u32, Vec<u32>)> {
        let bits = |found: Hypothesis| {
            let attention = found.cross_attention.map_or_else(Vec::new, |attention| attention.weights);
            (found.ids, found.log_prob.to_bits(), attention.into_iter().map(f32::to_bits).collect())
        };
        found.into_iter().flatten().map(bits).collect()
    };
    for combination in grid() {
        let directory = tempfile::tempdir().unwrap();
        let files = write(&combination, directory.path());
        let model = load(&files, BackendName::Kernels, Precision::F32).unwrap();
        for beam in [1, 3] {
            let alone = bits(run(&*model, &combination.cases, beam, 1, 1));
            assert_eq!(bits(run(&*model, &combination.cases, beam, 9, 2)), alone, "{}, beam {beam}", combination.name);
        }
    }
}

#[test]
fn every_combination_translates_in_integers() {
    let precisions = [Precision::Int8, Precision::Int16];
    for (combination, precision) in
        grid().iter().flat_map(|combination| precisions.map(|precision| (combination, precision)))
    {
        let directory = tempfile::tempdir().unwrap();
        let files = write(combination, directory.path());
        let model = load(&files, BackendName::Kernels, precision).unwrap();
        for (case, found) in combination.cases.iter().zip(run(&*model, &combination.cases, 2, 9, 1)) {
            assert_eq!(found.len(), 2, "{}", combination.name);
            let rows = found[0].cross_attention.as_ref().map(|attention| (attention.rows, attention.columns));
            let expected = case.shape.as_ref().map(|_| (tokens(&found[0]).len(), case.source.len()));
            assert_eq!(rows, expected, "{}", combination.name);
            assert!(found[0].log_prob.is_finite() && found[0].log_prob < 0.0, "{}", combination.name);
        }
    }
}

#[test]
fn a_forced_target_gets_the_scores_that_search_gave_it() {
    for combination in grid() {
        let directory = tempfile::tempdir().unwrap();
        let model = load(&write(&combination, directory.path()), BackendName::Kernels, Precision::F32).unwrap();
        let ended = combination.cases.iter().filter(|case| case.tokens.last() == Some(&END));
        let cases: Vec<&Case> = ended.collect();
        let pair = |case: &&'_ Case| (case.source.clone(), case.tokens[..case.tokens.len() - 1].to_vec());
        let pairs: Vec<(Vec<u32>, Vec<u32>)> = cases.iter().map(pair).collect();
        let pairs: Vec<_> = pairs.iter().map(|(source, target)| (&source[..], &target[..])).collect();
        if pairs.is_empty() {
            continue;
        }
        let found = force_decode(&*model, &pairs, &options(1), CROSS, &mut Workspace::new(1)).unwrap();
        for (case, found) in cases.iter().zip(found) {
            assert_near(found.log_prob, case.log_prob, &combination.name);
        }
    }
}
