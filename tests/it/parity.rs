//! Every layout, on both backends, against PyTorch and Hugging Face's `generate()`.
//!
//! `models_reference.py`, `layouts_reference.py` and `families_reference.py` in `tests/reference/` wrote the fixtures: small model directories, and what the reference computes with them.

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{Device, Tensor};
use serde::Deserialize;
use serde_json::Value;
use translate::checkpoint::ModelFiles;
use translate::compute::{BackendName, Compute, Workspace};
use translate::layouts::{GenerationConfig, Opened};
use translate::model::{self, Attention, Record, Seq2Seq};
use translate::search::{CoveragePenalty, EarlyStopping, Hypothesis, SearchOptions, Source, force_decode, search};
use translate::spec::Spec;
use translate::text::Part;

/// Attention of every kind.
const EVERYTHING: Record = Record { cross: true, encoder: true, decoder: true };
/// The kind both families have.
const CROSS: Record = Record { cross: true, encoder: false, decoder: false };

/// What `expected.json` holds.
#[derive(Deserialize)]
struct Expected {
    sources: Vec<Vec<u32>>,
    forced: Vec<Forced>,
    searches: Vec<Search>,
}

/// A target to decode along.
#[derive(Deserialize)]
struct Forced {
    /// Sentence end included.
    tokens: Vec<u32>,
    log_prob: f32,
}

/// A search over the first sources and what it must find.
#[derive(Deserialize)]
struct Search {
    name: String,
    options: Generate,
    /// For each source the hypotheses, best first: tokens (sentence end included) and score.
    hypotheses: Vec<Vec<(Vec<u32>, f32)>>,
}

/// Arguments of `generate()`.
#[derive(Deserialize)]
struct Generate {
    num_beams: usize,
    length_penalty: f32,
    early_stopping: Value,
    min_length: usize,
    max_length: usize,
    renormalize_logits: bool,
    bad_words_ids: Option<Vec<[u32; 1]>>,
    forced_eos_token_id: Option<u32>,
    forced_bos_token_id: Option<u32>,
}

/// A model and what the reference computes with it.
struct Fixture {
    model: Box<dyn Seq2Seq>,
    spec: Spec,
    start: u32,
    end: u32,
    generation: GenerationConfig,
    expected: Expected,
    arrays: HashMap<String, Tensor>,
}

impl Fixture {
    fn load(name: &str, backend: BackendName) -> Self {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name);
        let files = ModelFiles::Directory(directory.clone());
        let Opened { spec, frame, parameters, generation, .. } = Opened::open(&files).unwrap();
        let mut compute = Compute::default();
        compute.backend = Some(backend);
        let model = model::load(&spec, &parameters, &compute).unwrap();
        let start = match frame.start {
            Part::Id(start) => start,
            _ => frame.target.expect("the start token of one direction"),
        };
        let end = frame.end;
        let expected = serde_json::from_slice(&std::fs::read(directory.join("expected.json")).unwrap()).unwrap();
        let arrays = candle_core::safetensors::load(directory.join("expected.safetensors"), &Device::Cpu).unwrap();
        Self { model, spec, start, end, generation, expected, arrays }
    }

    fn array(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let tensor = &self.arrays[name];
        (tensor.dims().to_vec(), tensor.flatten_all().unwrap().to_vec1().unwrap())
    }

    /// `generate()`'s arguments as search options: its lengths count the start token, ours do not.
    fn options(&self, generate: &Generate) -> SearchOptions {
        let mut banned: Vec<u32> = generate.bad_words_ids.iter().flatten().map(|[token]| *token).collect();
        banned.sort_unstable();
        let mut options = SearchOptions::default();
        options.beam_size = generate.num_beams;
        options.n_best = generate.num_beams;
        options.length_penalty = generate.length_penalty;
        options.early_stopping = match &generate.early_stopping {
            Value::Bool(false) => EarlyStopping::Heuristic,
            Value::Bool(true) => EarlyStopping::WhenFull,
            _ => EarlyStopping::Never,
        };
        options.max_length = generate.max_length - 1;
        options.min_length = generate.min_length;
        (options.start_token, options.end_token) = (self.start, self.end);
        options.force_end = generate.forced_eos_token_id.is_some();
        options.force_begin = generate.forced_bos_token_id;
        options.banned = banned;
        options.renormalise = generate.renormalize_logits;
        options
    }

    fn search(&self, name: &str) -> &Search {
        self.expected.searches.iter().find(|search| search.name == name).unwrap()
    }

    fn sources(&self, count: usize) -> Vec<Source> {
        let sources = self.expected.sources[..count].iter();
        sources.map(|ids| Source { ids: ids.clone(), ..Source::default() }).collect()
    }

    /// Searches in batches of `batch_size`.
    fn run(&self, expected: &Search, record: Record, batch_size: usize, threads: usize) -> Vec<Vec<Hypothesis>> {
        let options = self.options(&expected.options);
        let mut workspace = Workspace::new(threads);
        let sources = self.sources(expected.hypotheses.len());
        sources
            .chunks(batch_size)
            .flat_map(|batch| search(&*self.model, batch, &options, record, &mut workspace).unwrap())
            .collect()
    }

    /// Decodes along each of `targets` (sentence end left out) with the sources of the same index.
    fn force(&self, targets: &[(usize, &[u32])], record: Record) -> Vec<Hypothesis> {
        let mut options = SearchOptions::default();
        (options.start_token, options.end_token) = (self.start, self.end);
        let pairs: Vec<(&[u32], &[u32])> =
            targets.iter().map(|&(source, target)| (self.expected.sources[source].as_slice(), target)).collect();
        force_decode(&*self.model, &pairs, &options, record, &mut Workspace::new(1)).unwrap()
    }

    fn forced_targets(&self) -> Vec<(usize, &[u32])> {
        let targets = self.expected.forced.iter().enumerate();
        targets.map(|(index, forced)| (index, &forced.tokens[..forced.tokens.len() - 1])).collect()
    }
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    for (at, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance, "{what}: value {at} is {a}, expected {b}");
    }
}

fn shape(attention: &Attention) -> Vec<usize> {
    vec![attention.layers, attention.heads, attention.rows, attention.columns]
}

fn assert_attention(found: Option<&Attention>, fixture: &Fixture, name: &str) {
    let found = found.unwrap_or_else(|| panic!("{name} was recorded"));
    let (dims, values) = fixture.array(name);
    assert_eq!(shape(found), dims, "{name}: shape");
    assert_close(&found.weights, &values, 1e-5, name);
}

fn assert_rows_sum_to_one(attention: &Attention, what: &str) {
    for (row, weights) in attention.weights.chunks_exact(attention.columns).enumerate() {
        let sum: f32 = weights.iter().sum();
        assert!((sum - 1.0).abs() < 1e-5, "{what}: row {row} sums to {sum}");
    }
}

/// Ids without the sentence end, and whether there was one.
fn without_end(tokens: &[u32], end: u32) -> (&[u32], bool) {
    match tokens.split_last() {
        Some((&last, rest)) if last == end => (rest, true),
        _ => (tokens, false),
    }
}

fn logits_equal_the_reference(fixture: &Fixture) {
    let mut workspace = Workspace::new(1);
    for (index, forced) in fixture.expected.forced.iter().enumerate() {
        let source = fixture.expected.sources[index].as_slice();
        let mut decoder = fixture.model.start(&[source], Record::default(), &mut workspace).unwrap();
        let mut token = fixture.start;
        let (mut logits, mut all) = (Vec::new(), Vec::new());
        for &next in &forced.tokens {
            decoder.step(&[token], &mut workspace).unwrap();
            decoder.logits(&mut logits, &mut workspace).unwrap();
            all.extend_from_slice(&logits);
            token = next;
        }
        let name = format!("forced.{index}.logits");
        let (dims, values) = fixture.array(&name);
        assert_eq!(dims, [forced.tokens.len(), fixture.model.target_vocabulary_size()], "{name}: shape");
        assert_close(&all, &values, 1e-4, &name);
    }
}

fn forced_attention_equals_the_reference(fixture: &Fixture) {
    for (index, hypothesis) in fixture.force(&fixture.forced_targets(), EVERYTHING).iter().enumerate() {
        assert_attention(hypothesis.cross_attention.as_ref(), fixture, &format!("forced.{index}.cross"));
        if matches!(fixture.spec, Spec::Transformer(_)) {
            assert_attention(hypothesis.encoder_attention.as_ref(), fixture, &format!("forced.{index}.encoder"));
            assert_attention(hypothesis.decoder_attention.as_ref(), fixture, &format!("forced.{index}.decoder"));
        }
    }
}

fn forced_log_probability_equals_the_reference(fixture: &Fixture) {
    let found = fixture.force(&fixture.forced_targets(), Record::default());
    for (index, (hypothesis, forced)) in found.iter().zip(&fixture.expected.forced).enumerate() {
        assert_close(&[hypothesis.log_prob], &[forced.log_prob], 1e-4, &format!("forced {index}"));
        assert_eq!(hypothesis.cross_attention, None, "nothing is recorded unasked");
    }
}

fn every_search_finds_the_reference_hypotheses(fixture: &Fixture) {
    let end = fixture.end;
    for expected in &fixture.expected.searches {
        let found = fixture.run(expected, Record::default(), 32, 1);
        for (index, (found, wanted)) in found.iter().zip(&expected.hypotheses).enumerate() {
            let what = format!("{}, source {index}", expected.name);
            let tokens: Vec<(&[u32], bool)> = found.iter().map(|h| (h.ids.as_slice(), h.ended)).collect();
            let wanted_tokens: Vec<(&[u32], bool)> = wanted.iter().map(|(ids, _)| without_end(ids, end)).collect();
            assert_eq!(tokens, wanted_tokens, "{what}");
            let scores: Vec<f32> = found.iter().map(|hypothesis| hypothesis.score).collect();
            let wanted_scores: Vec<f32> = wanted.iter().map(|(_, score)| *score).collect();
            assert_close(&scores, &wanted_scores, 1e-4, &format!("{what}, scores"));
        }
    }
}

fn attention_of_a_search_is_that_of_the_reference(fixture: &Fixture) {
    for name in ["beam_1", "beam_4"] {
        let found = fixture.run(fixture.search(name), CROSS, 32, 1);
        let mut compared = 0;
        for (index, hypotheses) in found.iter().enumerate() {
            for (rank, hypothesis) in hypotheses.iter().enumerate() {
                let key = format!("{name}.{index}.{rank}.cross");
                if fixture.arrays.contains_key(&key) {
                    assert_attention(hypothesis.cross_attention.as_ref(), fixture, &key);
                    compared += 1;
                }
            }
        }
        assert!(compared >= 4, "{name}: attention of {compared} hypotheses compared");
    }
}

fn attention_of_a_search_is_that_of_decoding_along_its_result(fixture: &Fixture) {
    for name in ["beam_1", "beam_4"] {
        let found = fixture.run(fixture.search(name), EVERYTHING, 32, 1);
        // Decoding along a target ends it; some searches do not end by themselves.
        let best: Vec<(usize, &Hypothesis)> =
            found.iter().map(|hypotheses| &hypotheses[0]).enumerate().filter(|(_, best)| best.ended).collect();
        assert!(best.len() > 2, "{name}: {} translations ended", best.len());
        let targets: Vec<(usize, &[u32])> = best.iter().map(|&(index, best)| (index, best.ids.as_slice())).collect();
        for (&(index, best), forced) in best.iter().zip(fixture.force(&targets, EVERYTHING)) {
            let what = format!("{name}, source {index}");
            let cross = best.cross_attention.as_ref().unwrap();
            assert_rows_sum_to_one(cross, &what);
            let again = forced.cross_attention.as_ref().unwrap();
            assert_eq!(shape(cross), shape(again), "{what}: shape");
            assert_close(&cross.weights, &again.weights, 1e-6, &what);
            match (&best.encoder_attention, &forced.encoder_attention) {
                (Some(encoder), Some(again)) => assert_close(&encoder.weights, &again.weights, 1e-6, &what),
                (encoder, again) => assert_eq!(encoder, again, "{what}: encoder attention"),
            }
            match (&best.decoder_attention, &forced.decoder_attention) {
                (Some(decoder), Some(again)) => {
                    assert_rows_sum_to_one(decoder, &what);
                    assert_close(&decoder.weights, &again.weights, 1e-6, &what);
                }
                (decoder, again) => assert_eq!(decoder, again, "{what}: decoder attention"),
            }
        }
    }
}

fn a_search_and_decoding_along_its_result_score_the_same(fixture: &Fixture) {
    let sources = fixture.sources(fixture.expected.sources.len());
    let mut compared = 0;
    for beam_size in [1, 4] {
        let mut options = fixture.options(&fixture.search("beam_4").options);
        (options.beam_size, options.n_best) = (beam_size, 1);
        options.length_penalty = 0.7;
        options.coverage_penalty = Some(CoveragePenalty { weight: 0.5 });
        options.renormalise = true;
        let workspace = &mut Workspace::new(1);
        let found = search(&*fixture.model, &sources, &options, Record::default(), workspace).unwrap();
        let pairs: Vec<(&[u32], &[u32])> =
            sources.iter().zip(&found).map(|(source, best)| (&source.ids[..], &best[0].ids[..])).collect();
        let forced = force_decode(&*fixture.model, &pairs, &options, Record::default(), workspace).unwrap();
        // An end that the length limit forced costs a search nothing.
        for (best, forced) in found.iter().map(|best| &best[0]).zip(forced).filter(|(best, _)| !best.truncated) {
            assert_close(&[best.score], &[forced.score], 1e-4, "score");
            compared += 1;
        }
    }
    assert!(compared > 0, "no translation ended by itself");
}

fn batches_and_threads_change_no_bit(fixture: &Fixture) {
    for name in ["beam_1", "beam_4"] {
        let expected = fixture.search(name);
        let alone = fixture.run(expected, EVERYTHING, 1, 1);
        for (batch_size, threads) in [(3, 1), (32, 1), (1, 2), (3, 2), (32, 2)] {
            let found = fixture.run(expected, EVERYTHING, batch_size, threads);
            assert!(
                found == alone,
                "{name}: batches of {batch_size} on {threads} threads differ from single sentences"
            );
        }
        // Sentences that begin as others end, or when all have.
        let mut options = fixture.options(&expected.options);
        for most in [1, 2, 3, 5] {
            options.most_sentences = most;
            let sources = fixture.sources(expected.hypotheses.len());
            let found = search(&*fixture.model, &sources, &options, EVERYTHING, &mut Workspace::new(1)).unwrap();
            assert!(found == alone, "{name}: {most} sentences at once differ from single ones");
        }
    }
}

fn generation_settings_are_those_of_the_files(fixture: &Fixture) {
    let generate = &fixture.search("beam_4").options;
    let banned: Vec<u32> = generate.bad_words_ids.iter().flatten().map(|[token]| *token).collect();
    assert_eq!(fixture.generation.num_beams, 4);
    assert_eq!(fixture.generation.max_length, generate.max_length);
    assert_eq!(fixture.generation.banned_tokens, banned);
    assert_eq!(fixture.generation.forced_eos_token_id, generate.forced_eos_token_id);
    assert_eq!(fixture.generation.forced_bos_token_id, generate.forced_bos_token_id);
    assert_eq!(fixture.generation.renormalize_logits, generate.renormalize_logits);
}

macro_rules! parity {
    ($backend:ident: $($module:ident = $model:ident: $($property:ident)*;)*) => {$(
        mod $module {
            $(
                #[test]
                fn $property() {
                    super::$property(&super::Fixture::load(stringify!($model), super::BackendName::$backend));
                }
            )*
        }
    )*};
    (on both: $($model:ident and $candle:ident),*) => {
        parity! {Kernels: $(
            $model = $model:
                logits_equal_the_reference
                forced_attention_equals_the_reference
                forced_log_probability_equals_the_reference
                every_search_finds_the_reference_hypotheses
                attention_of_a_search_is_that_of_the_reference
                attention_of_a_search_is_that_of_decoding_along_its_result
                a_search_and_decoding_along_its_result_score_the_same
                batches_and_threads_change_no_bit
                generation_settings_are_those_of_the_files;
        )*}
        parity! {Candle: $(
            $candle = $model:
                logits_equal_the_reference
                forced_attention_equals_the_reference
                forced_log_probability_equals_the_reference
                every_search_finds_the_reference_hypotheses
                attention_of_a_search_is_that_of_the_reference
                attention_of_a_search_is_that_of_decoding_along_its_result;
        )*}
    };
}

parity!(on both:
    gru and gru_candle,
    marian_relu and marian_relu_candle,
    marian_swish_untied and marian_swish_untied_candle,
    marian_gelu_bias and marian_gelu_bias_candle,
    marian_unscaled and marian_unscaled_candle,
    bart and bart_candle,
    pytorch_transformer and pytorch_transformer_candle,
    pytorch_transformer_written_out and pytorch_transformer_written_out_candle,
    tutorial_transformer and tutorial_transformer_candle,
    m2m_100 and m2m_100_candle,
    mbart and mbart_candle,
    pegasus and pegasus_candle,
    fsmt and fsmt_candle,
    t5 and t5_candle,
    t5_gated_gelu and t5_gated_gelu_candle,
    t5_gated_silu and t5_gated_silu_candle,
    mt5 and mt5_candle,
    umt5 and umt5_candle,
    byt5 and byt5_candle
);
