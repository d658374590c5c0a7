//! The published families on ids, below the tokenizer: networks, start and forced tokens, against Hugging Face transformers.
//!
//! The directories lie beside the project in `../shared/families`, each with the truth in `expected.json` and
//! `teacher_forced.safetensors`; where that folder is absent the tests say that they skip. What a plain clone tests of
//! the same networks is in `parity.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde::Deserialize;
use translate::checkpoint::ModelFiles;
use translate::compute::{BackendName, Compute, Workspace};
use translate::layouts::Opened;
use translate::model::{self, Record, Seq2Seq};
use translate::search::{Hypothesis, SearchOptions, Source, search};
use translate::spec::Spec;

/// What `expected.json` holds.
#[derive(Deserialize)]
struct Expected {
    cases: Vec<Case>,
}

#[derive(Clone, Deserialize)]
struct Case {
    n: usize,
    source_ids: Vec<u32>,
    decoder_start_token_id: u32,
    forced_bos_token_id: Option<u32>,
    forced_eos_token_id: Option<u32>,
    eos_token_id: u32,
    /// The start token counted.
    max_length: usize,
    /// Absent where transformers fails: the source is longer than the table of positions.
    greedy: Option<Greedy>,
    #[serde(default)]
    beam4: Vec<Beam>,
    #[serde(default)]
    beam4_same_in_f64: bool,
    #[serde(default)]
    beam4_best_same_in_f64: bool,
    /// The same with the source cut to the table.
    truncated: Option<Truncated>,
}

#[derive(Clone, Deserialize)]
struct Greedy {
    /// From the start token on.
    ids: Vec<u32>,
    sum_logprob: f32,
    /// Smallest distance of the two best log-probabilities.
    min_gap: f32,
    same_in_f64: Option<bool>,
}

#[derive(Clone, Deserialize)]
struct Beam {
    ids: Vec<u32>,
    score: f32,
}

#[derive(Clone, Deserialize)]
struct Truncated {
    greedy: Greedy,
}

/// A folder of `../shared`, or `None`, said so.
fn shared(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    if !folder.is_dir() {
        eprintln!("skipped: there is no ../shared/{name}");
        return None;
    }
    Some(folder)
}

fn load(directory: &Path, backend: BackendName) -> (Opened, Box<dyn Seq2Seq>) {
    let opened = Opened::open(&ModelFiles::Directory(directory.to_owned())).unwrap();
    let mut compute = Compute::default();
    compute.backend = Some(backend);
    let model = model::load(&opened.spec, &opened.parameters, &compute).unwrap();
    (opened, model)
}

fn read(path: &Path) -> Expected {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

impl Case {
    fn options(&self, beams: usize) -> SearchOptions {
        let mut options = SearchOptions::default();
        (options.beam_size, options.n_best) = (beams, beams);
        options.max_length = self.max_length - 1;
        (options.start_token, options.end_token) = (self.decoder_start_token_id, self.eos_token_id);
        options.force_begin = self.forced_bos_token_id;
        options.force_end = self.forced_eos_token_id.is_some();
        options
    }

    fn source(&self) -> Source {
        Source { ids: self.source_ids.clone(), ..Source::default() }
    }

    /// The ids of a hypothesis as transformers writes them.
    fn written(&self, hypothesis: &Hypothesis) -> Vec<u32> {
        let end = hypothesis.ended.then_some(self.eos_token_id);
        [self.decoder_start_token_id].into_iter().chain(hypothesis.ids.iter().copied()).chain(end).collect()
    }

    fn check_greedy(&self, greedy: &Greedy, found: &Hypothesis, what: &str) {
        assert_eq!(self.written(found), greedy.ids, "{what}: greedy ids of case {}", self.n);
        let difference = (found.log_prob - greedy.sum_logprob).abs() / found.token_log_probs.len() as f32;
        assert!(difference < 1e-4, "{what}: case {}: {} is not {}", self.n, found.log_prob, greedy.sum_logprob);
    }

    fn check_beams(&self, found: &[Hypothesis], what: &str) {
        let count = if self.beam4_same_in_f64 { 4 } else { usize::from(self.beam4_best_same_in_f64) };
        assert!(found.len() >= count.min(self.beam4.len()), "{what}: case {}", self.n);
        for (rank, (found, wanted)) in found.iter().zip(&self.beam4).take(count).enumerate() {
            assert_eq!(self.written(found), wanted.ids, "{what}: case {}, rank {rank}", self.n);
            let difference = (found.score - wanted.score).abs();
            assert!(difference < 1e-4, "{what}: case {}, rank {rank}: {} is not {}", self.n, found.score, wanted.score);
        }
    }
}

/// Every case, one by one and in mixed batches, greedy and with a beam of 4.
fn finds_what_transformers_finds(directory: &str, expected: &str, backend: BackendName) {
    let Some(folder) = shared(&format!("families/{directory}")) else { return };
    let (_, model) = load(&folder, backend);
    let expected = read(&folder.join(expected));
    // What the options of a search say is the same for all of its batch.
    let mut groups: BTreeMap<_, Vec<Case>> = BTreeMap::new();
    for case in expected.cases {
        let key = (case.decoder_start_token_id, case.forced_bos_token_id, case.forced_eos_token_id, case.max_length);
        groups.entry(key).or_default().push(case);
    }
    let workspace = &mut Workspace::new(1);
    let mut compared = 0;
    for cases in groups.values() {
        let cases: Vec<&Case> = cases.iter().filter(|case| case.greedy.is_some()).collect();
        let Some(first) = cases.first() else { continue };
        let sources: Vec<Source> = cases.iter().map(|case| case.source()).collect();
        for beams in [1, 4] {
            let options = first.options(beams);
            let mut find = |batch: &[Source], threads: usize| {
                if threads == 1 {
                    search(&*model, batch, &options, Record::default(), workspace).unwrap()
                } else {
                    search(&*model, batch, &options, Record::default(), &mut Workspace::new(threads)).unwrap()
                }
            };
            let alone: Vec<_> = sources.iter().flat_map(|source| find(std::slice::from_ref(source), 1)).collect();
            let batched: Vec<_> = sources.chunks(16).flat_map(|batch| find(batch, 2)).collect();
            if backend == BackendName::Kernels {
                assert!(alone == batched, "{directory}: not the same bits in a batch");
            }
            for (found, what) in [(&alone, "alone"), (&batched, "in a batch")] {
                for (case, found) in cases.iter().zip(found) {
                    let greedy = case.greedy.as_ref().unwrap();
                    if beams == 4 {
                        case.check_beams(found, what);
                    } else if greedy.same_in_f64 == Some(true) {
                        case.check_greedy(greedy, &found[0], what);
                    }
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 100, "{directory}: {compared} searches compared");
}

/// The logits along a given target, each within 1e-4 of its size.
fn logits_are_those_of_transformers(directory: &str, backend: BackendName) {
    let Some(folder) = shared(&format!("families/{directory}")) else { return };
    let (_, model) = load(&folder, backend);
    let arrays = candle_core::safetensors::load(folder.join("teacher_forced.safetensors"), &Device::Cpu).unwrap();
    let ids = |tensor: &Tensor| -> Vec<u32> {
        tensor.to_dtype(candle_core::DType::U32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    };
    let (source, fed) = (ids(&arrays["source_ids"]), ids(&arrays["decoder_input_ids"]));
    let expected: Vec<f32> = arrays["logits"].flatten_all().unwrap().to_vec1().unwrap();
    let workspace = &mut Workspace::new(1);
    let mut decoder = model.start(&[&source], Record::default(), workspace).unwrap();
    let mut logits = Vec::new();
    let expected = expected.chunks(model.target_vocabulary_size());
    assert_eq!(expected.len(), fed.len());
    for (at, (&token, expected)) in fed.iter().zip(expected).enumerate() {
        decoder.step(&[token], workspace).unwrap();
        decoder.logits(&mut logits, workspace).unwrap();
        for (token, (found, expected)) in logits.iter().zip(expected).enumerate() {
            let error = (found - expected).abs() / expected.abs().max(1.0);
            assert!(error < 1e-4, "{directory}: step {at}, token {token}: {found} is not {expected}");
        }
    }
}

macro_rules! families {
    ($($family:ident = $directory:literal)*) => {$(
        mod $family {
            use super::*;

            #[test]
            fn kernels() {
                finds_what_transformers_finds($directory, "expected.json", BackendName::Kernels);
            }

            #[test]
            fn candle() {
                finds_what_transformers_finds($directory, "expected.json", BackendName::Candle);
            }

            #[test]
            fn logits() {
                logits_are_those_of_transformers($directory, BackendName::Kernels);
                logits_are_those_of_transformers($directory, BackendName::Candle);
            }
        }
    )*};
}

families! {
    bart_forced_bos = "bart-forced-bos"
    bart_short_table = "bart-short-table"
    m2m100_real = "m2m100-real"
    m2m100_untied = "m2m100-untied"
    madlad_400 = "madlad-400"
    mbart_25 = "mbart-25"
    mbart_50 = "mbart-50"
    mt5_bin = "mt5-bin"
    nllb_200 = "nllb-200"
    nllb_200_legacy = "nllb-200-legacy"
    nllb_200_v5 = "nllb-200-v5"
    t5_small_real = "t5-small-real"
    t5_v1_1 = "t5-v1-1"
    umt5_layer_bias = "umt5-layer-bias"
}

/// The searches of this directory were made with transformers 4.57.3, whose `generate()` tells every step of FSMT's decoder
/// the position of the first (mended in 5.24). The logits, made without a cache, are those of the model; `parity.rs` holds
/// the searches against 5.24.
#[test]
fn fsmt_en_de() {
    logits_are_those_of_transformers("fsmt-en-de", BackendName::Kernels);
    logits_are_those_of_transformers("fsmt-en-de", BackendName::Candle);
}

mod t5_tie_contradiction {
    use super::*;

    /// Of three readings, that of transformers 5.24: the stored output layer, scaled; and it is said.
    #[test]
    fn a_head_that_the_configuration_does_not_expect_is_used_scaled_and_named() {
        for backend in [BackendName::Kernels, BackendName::Candle] {
            finds_what_transformers_finds("t5-tie-contradiction", "expected-separate-scaled.json", backend);
        }
        let Some(folder) = shared("families/t5-tie-contradiction") else { return };
        let notes = Opened::open(&ModelFiles::Directory(folder)).unwrap().notes;
        assert_eq!(notes.len(), 1);
        assert!(notes[0].contains("config.json") && notes[0].contains("lm_head.weight"), "{notes:?}");
    }
}

#[test]
fn a_source_cut_to_the_table_of_positions_is_translated_as_far() {
    let Some(folder) = shared("families/bart-short-table") else { return };
    let (opened, model) = load(&folder, BackendName::Kernels);
    let rows = opened.spec.position_limit().unwrap();
    let mut compared = 0;
    for case in read(&folder.join("expected.json")).cases {
        let Some(truncated) = case.truncated.clone().filter(|truncated| truncated.greedy.min_gap > 1e-3) else {
            continue;
        };
        let mut source = case.source();
        source.ids.truncate(rows - 1);
        source.ids.push(case.eos_token_id);
        let found = search(&*model, &[source], &case.options(1), Record::default(), &mut Workspace::new(1)).unwrap();
        case.check_greedy(&truncated.greedy, &found[0][0], "truncated");
        compared += 1;
    }
    assert!(compared > 0);
}

#[test]
fn a_t5_that_was_made_elsewhere() {
    let Some(folder) = shared("found-models/t5x-tiny") else { return };
    for backend in [BackendName::Kernels, BackendName::Candle] {
        let (opened, model) = load(&folder, backend);
        assert_eq!(opened.notes, Vec::<String>::new(), "`scale_decoder_outputs` says how the output layer is meant");
        let workspace = &mut Workspace::new(1);
        let source = vec![37, 1712, 19, 1633, 1];
        let mut decoder = model.start(&[&source], Record::default(), workspace).unwrap();
        let mut logits = Vec::new();
        for (fed, best) in [(0, 25810), (644, 2208), (4598, 5097), (229, 3853)] {
            decoder.step(&[fed], workspace).unwrap();
            decoder.logits(&mut logits, workspace).unwrap();
            let found = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
            assert_eq!(found, Some(best));
        }
        // Its README names the first of the twenty tokens that transformers generates unless told otherwise.
        for (beams, expected) in [(1, [25810; 6]), (4, [30043, 30043, 30043, 14896, 2208, 14791])] {
            let mut options = SearchOptions::default();
            (options.beam_size, options.max_length, options.start_token, options.end_token) = (beams, 19, 0, 1);
            let sources = [Source { ids: source.clone(), ..Source::default() }];
            let found = search(&*model, &sources, &options, Record::default(), workspace).unwrap();
            assert_eq!(found[0][0].ids[..6], expected, "{beams} beams");
        }
    }
}

#[test]
fn every_real_configuration_is_read() {
    let Some(folder) = shared("families/real-configs") else { return };
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let copy = tempfile::tempdir().unwrap();
        let directory = entry.unwrap().path();
        for file in std::fs::read_dir(&directory).unwrap() {
            let file = file.unwrap().path();
            std::fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
        }
        let one = Tensor::zeros(1, candle_core::DType::F32, &Device::Cpu).unwrap();
        let weights = copy.path().join("model.safetensors");
        candle_core::safetensors::save(&[("none.of.its.own", one)].into_iter().collect(), weights).unwrap();
        let opened = Opened::open(&ModelFiles::Directory(copy.path().to_owned()));
        let opened = opened.unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        let Spec::Transformer(spec) = &opened.spec else { panic!("{}", directory.display()) };
        assert!(spec.encoder.layers >= 3 && spec.width >= 512 && spec.source_vocabulary > 30_000 - 1);
        assert!(opened.generation.max_length > 20, "{}: {}", directory.display(), opened.generation.max_length);
        read += 1;
    }
    assert!(read >= 10, "{read} configurations");
}
