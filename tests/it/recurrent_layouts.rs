//! Recurrent checkpoints of tutorials and toolkits, as these save them, against what their own code or their formulas compute.
//!
//! `recurrent_layouts_reference.py` in `tests/reference/` wrote the fixtures: `model` is the directory, `expected.json` what is made of it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use translate::checkpoint::ModelFiles;
use translate::compute::{BackendName, Workspace};
use translate::layouts::EarlyStopping;
use translate::model::Record;
use translate::search::SearchOptions;
use translate::{Precision, Request, Translation, Translator};

use crate::program::run;

/// Every fixture, and its network in the words of `translate models`.
const ALL: [(&str, &str); 23] = [
    (
        "fairseq_lstm",
        "bidirectional LSTM encoder 2 layers of 8 + 8, LSTM decoder 2 layers of 12, embeddings 12 and 12, general attention after the cells, input feeding",
    ),
    (
        "fairseq_lstm_plain",
        "LSTM encoder 12, LSTM decoder 12, embeddings 12 and 12, no attention, input feeding, target embedding and output layer are one",
    ),
    (
        "joeynmt_bahdanau",
        "bidirectional GRU encoder 8 + 8, GRU decoder 12, embeddings 10 and 10, additive attention after the cells, input feeding",
    ),
    (
        "joeynmt_luong",
        "bidirectional LSTM encoder 2 layers of 12 + 12, LSTM decoder 2 layers of 12, embeddings 12 and 12, general attention after the cells, input feeding",
    ),
    (
        "joeynmt_zero",
        "bidirectional GRU encoder 8 + 8, GRU decoder 12, embeddings 10 and 10, general attention after the cells",
    ),
    (
        "keras",
        "bidirectional GRU encoder 8 + 8, GRU decoder 8, embeddings 10 and 10, additive attention after the cells",
    ),
    (
        "keras_before",
        "bidirectional GRU encoder 8 + 8, GRU decoder 8, embeddings 10 and 10, additive attention after the cells",
    ),
    (
        "marian_amun",
        "bidirectional GRU encoder 12 + 12, GRU decoder 12, embeddings 10 and 10, additive attention between two cells",
    ),
    (
        "marian_nematus",
        "bidirectional GRU encoder 12 + 12, GRU decoder 12, embeddings 10 and 10, additive attention between two cells",
    ),
    (
        "marian_s2s",
        "bidirectional GRU encoder 12 + 12, GRU decoder 12, embeddings 10 and 10, additive attention between two cells",
    ),
    (
        "marian_s2s_deep",
        "bidirectional GRU encoder 2 layers of 12 + 12, GRU decoder 2 layers of 12, embeddings 10 and 10, additive attention between two cells, target embedding and output layer are one",
    ),
    (
        "marian_s2s_lstm",
        "bidirectional LSTM encoder 2 layers of 12 + 12, LSTM decoder 12, embeddings 10 and 10, additive attention between two cells",
    ),
    ("official_new", "GRU encoder 12, GRU decoder 12, embeddings 12 and 12, additive attention"),
    ("official_old", "GRU encoder 12, GRU decoder 12, embeddings 12 and 12, location attention"),
    ("official_plain", "GRU encoder 12, GRU decoder 12, embeddings 12 and 12, no attention"),
    (
        "opennmt_py_1_rnn",
        "bidirectional LSTM encoder 2 layers of 6 + 6, LSTM decoder 2 layers of 12, embeddings 10 and 10, dot attention after the cells, input feeding",
    ),
    ("opennmt_py_1_rnn_plain", "GRU encoder 12, GRU decoder 12, embeddings 10 and 10, no attention"),
    (
        "opennmt_py_3_rnn",
        "bidirectional LSTM encoder 2 layers of 6 + 6, LSTM decoder 2 layers of 12, embeddings 10 and 10, general attention after the cells, input feeding",
    ),
    (
        "opennmt_py_3_rnn_mlp",
        "GRU encoder 12, GRU decoder 12, embeddings 10 and 10, additive attention after the cells",
    ),
    (
        "opennmt_py_oldest_rnn",
        "bidirectional GRU encoder 6 + 6, GRU decoder 12, embeddings 10 and 10, general attention after the cells, input feeding",
    ),
    ("tutorial_1", "LSTM encoder 2 layers of 12, LSTM decoder 2 layers of 12, embeddings 10 and 10, no attention"),
    (
        "tutorial_2",
        "GRU encoder 12, GRU decoder 12, embeddings 10 and 10, no attention, the encoder's last state is fed",
    ),
    ("tutorial_4", "bidirectional GRU encoder 12 + 12, GRU decoder 12, embeddings 10 and 10, additive attention"),
];

/// Tokens a translation has at most in the fixtures, sentence end included.
const LONGEST: usize = 12;

#[derive(Deserialize)]
struct Expected {
    greedy: Vec<Greedy>,
    forced: Vec<Forced>,
    beam: Vec<Beam>,
}

/// A sentence and the most likely next pieces, one after the other.
#[derive(Deserialize)]
struct Greedy {
    source: Vec<String>,
    pieces: Vec<String>,
    /// Summed, the sentence end's counted if there is one.
    log_probability: f32,
    ended: bool,
}

/// Logits along what the decoder is fed, the start token first, and the attention.
#[derive(Deserialize)]
struct Forced {
    source_ids: Vec<u32>,
    fed: Vec<u32>,
    logits: Vec<Vec<f32>>,
    attention: Option<Vec<Vec<f32>>>,
}

/// What a beam of four finds.
#[derive(Deserialize)]
struct Beam {
    source: Vec<String>,
    pieces: Vec<String>,
    score: f32,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recurrent-layouts").join(name)
}

fn expected(name: &str) -> Expected {
    serde_json::from_slice(&std::fs::read(fixture(name).join("expected.json")).unwrap()).unwrap()
}

fn open(name: &str, backend: BackendName) -> Translator {
    let files = ModelFiles::Directory(fixture(name).join("model"));
    let translator = Translator::builder().files(files).precision(Precision::F32).backend(backend).build();
    translator.unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn translate(translator: &Translator, texts: &[String], options: &SearchOptions, threads: usize) -> Vec<Translation> {
    let requests: Vec<Request> = texts.iter().map(|text| text.as_str().into()).collect();
    let record = Record { cross: true, encoder: false, decoder: false };
    translator.translate(&requests, options, record, &mut Workspace::new(threads)).unwrap()
}

/// The search of the fixtures: whatever a model's own is, but for what it never writes.
fn options(translator: &Translator, beam_size: usize) -> SearchOptions {
    let mut options = translator.search_options();
    (options.beam_size, options.max_length) = (beam_size, LONGEST);
    (options.length_penalty, options.early_stopping) = (1.0, EarlyStopping::Never);
    options.banned_at_begin = Vec::new();
    options
}

#[test]
fn greedy_translations_are_those_of_the_toolkit_alone_and_in_a_batch() {
    for (name, _) in ALL {
        let cases = expected(name).greedy;
        let texts: Vec<String> = cases.iter().map(|case| case.source.join(" ")).collect();
        for backend in [BackendName::Kernels, BackendName::Candle] {
            let translator = open(name, backend);
            let options = options(&translator, 1);
            let together = translate(&translator, &texts, &options, 2);
            for (case, found) in cases.iter().zip(&together) {
                let what = format!("{name}, {backend:?}, {:?}", case.source);
                let best = &found.best().unwrap().hypothesis;
                assert_eq!(found.text(), case.pieces.join(" "), "{what}");
                assert_eq!(best.ended, case.ended, "{what}");
                assert!((best.log_prob - case.log_probability).abs() < 1e-4, "{what}: {}", best.log_prob);
            }
            if backend == BackendName::Kernels {
                let alone: Vec<Translation> = texts
                    .iter()
                    .flat_map(|text| translate(&translator, std::slice::from_ref(text), &options, 1))
                    .collect();
                assert!(alone == together, "{name}: a batch on two threads differs from single sentences");
            }
        }
    }
}

#[test]
fn beams_find_what_the_reference_finds() {
    let mut compared = 0;
    for (name, _) in ALL {
        for backend in [BackendName::Kernels, BackendName::Candle] {
            let translator = open(name, backend);
            let options = options(&translator, 4);
            let cases = expected(name).beam;
            let texts: Vec<String> = cases.iter().map(|case| case.source.join(" ")).collect();
            for (case, found) in cases.iter().zip(translate(&translator, &texts, &options, 1)) {
                let what = format!("{name}, {backend:?}, {:?}", case.source);
                let best = &found.best().unwrap().hypothesis;
                // The reference knows no translation that the length limit ends.
                if !best.ended {
                    continue;
                }
                let score = best.score;
                assert!((score - case.score).abs() < 1e-4, "{what}: {score}, not {}: {}", case.score, found.text());
                assert_eq!(found.text(), case.pieces.join(" "), "{what}");
                compared += 1;
            }
        }
    }
    assert!(compared > 700, "{compared} searches compared");
}

#[test]
fn logits_and_attention_along_a_target_are_those_of_the_toolkit() {
    for (name, _) in ALL {
        for backend in [BackendName::Kernels, BackendName::Candle] {
            let translator = open(name, backend);
            for forced in expected(name).forced {
                let mut workspace = Workspace::new(1);
                let source = forced.source_ids.as_slice();
                let record = Record { cross: true, encoder: false, decoder: false };
                let mut decoder = translator.model().start(&[source], record, &mut workspace).unwrap();
                let mut found = Vec::new();
                for (step, (&token, wanted)) in forced.fed.iter().zip(&forced.logits).enumerate() {
                    decoder.step(&[token], &mut workspace).unwrap();
                    decoder.logits(&mut found, &mut workspace).unwrap();
                    close(&found, wanted, 1e-4, &format!("{name}, {backend:?}, step {step}, logits"));
                    let attention = decoder.cross_attention(0);
                    let wanted = forced.attention.as_ref().map(|rows| rows[step].as_slice());
                    // A model without attention has none to show.
                    let Some(wanted) = wanted else {
                        assert!(attention.is_none_or(<[f32]>::is_empty), "{name}");
                        continue;
                    };
                    close(attention.unwrap(), wanted, 1e-5, &format!("{name}, {backend:?}, step {step}, attention"));
                }
            }
        }
    }
}

fn close(found: &[f32], wanted: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (at, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((found - wanted).abs() < tolerance, "{what}, {at}: {found}, not {wanted}");
    }
}

#[test]
fn a_sentence_becomes_the_ids_of_the_toolkit() {
    for (name, _) in ALL {
        let (cases, translator) = (expected(name), open(name, BackendName::Kernels));
        for (case, forced) in cases.greedy.iter().skip(2).step_by(5).zip(&cases.forced) {
            assert_eq!(translator.source_ids(&case.source.join(" ")).0, forced.source_ids, "{name}, {:?}", case.source);
            assert_eq!(translator.search_options().start_token, forced.fed[0], "{name}");
        }
    }
}

#[test]
fn the_program_says_what_a_checkpoint_is() {
    for (name, network) in ALL {
        let directory = fixture(name).join("model");
        let outcome = run(&["models", directory.to_str().unwrap()], "");
        assert_eq!(outcome.status, 0, "{name}: {}", outcome.stderr);
        assert!(outcome.stdout.contains(network), "{name}: {network}\n{}", outcome.stdout);
        assert!(!outcome.stdout.contains("usable      no"), "{name}: {}", outcome.stdout);
    }
}

#[test]
fn a_converted_checkpoint_translates_the_same() {
    for (name, _) in ALL {
        let directory = fixture(name).join("model");
        let lines: String = expected(name).greedy.iter().map(|case| case.source.join(" ") + "\n").collect();
        let scratch = tempfile::tempdir().unwrap();
        let out = scratch.path().join("out");
        let (model, out) = (directory.to_str().unwrap(), out.to_str().unwrap());
        let outcome = run(&["convert", model, out, "--dtype", "f32"], "");
        assert_eq!(outcome.status, 0, "{name}: {}", outcome.stderr);
        let translate = |model: &str| run(&["--model", model, "--format", "json", "--max-length", "12"], &lines).stdout;
        let translated = translate(model);
        assert_eq!(translated.lines().count(), lines.lines().count(), "{name}");
        assert_eq!(translated, translate(out), "{name}");
        let config = std::fs::read_to_string(Path::new(out).join("config.json")).unwrap();
        let wanted = if name == "tutorial_4" { "gru-attention" } else { "recurrent-attention" };
        assert!(config.contains(&format!("\"model_type\": \"{wanted}\"")), "{name}: {config}");
    }
}

#[test]
fn what_is_not_supported_is_said_all_of_it_at_once() {
    let scratch = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixture("opennmt_py_1_rnn").join("model")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, scratch.path().join(path.file_name().unwrap())).unwrap();
    }
    let config =
        r#"{"context_gate": "both", "copy_attn": true, "rnn_type": "SRU", "global_attention_function": "sparsemax"}"#;
    std::fs::write(scratch.path().join("config.json"), config).unwrap();
    let outcome = run(&["--model", scratch.path().to_str().unwrap()], "ba\n");
    assert_eq!(outcome.status, 1);
    for part in ["`context_gate`", "`copy_attn`", "`rnn_type` \"SRU\"", "`global_attention_function`"] {
        assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
    }
}

#[test]
fn a_first_notebook_that_reverses_its_source_does_so_where_its_config_says_it() {
    let scratch = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixture("tutorial_1").join("model")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, scratch.path().join(path.file_name().unwrap())).unwrap();
    }
    std::fs::write(scratch.path().join("config.json"), r#"{"reverse_source": true}"#).unwrap();
    let translate = |model: &Path, line: &str| run(&["--model", model.to_str().unwrap(), "--quiet"], line).stdout;
    let plain = translate(&fixture("tutorial_1").join("model"), "ba ce di\n");
    assert_eq!(translate(scratch.path(), "di ce ba\n"), plain);
}

/// Real checkpoints that lie beside the project in `../shared/found-models`, as they lie there, each with a `config.json` written by hand.
mod found_models {
    use serde_json::{Value, json};

    use super::*;

    /// A directory with the files of a found model and a config.json; nothing, which is said, where there are none.
    fn with_config(name: &str, config: &Value) -> Option<tempfile::TempDir> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/found-models").join(name);
        if !folder.is_dir() {
            eprintln!("skipped: there is no ../shared/found-models/{name}");
            return None;
        }
        let copy = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // Of the same weights in two forms one.
            if path.is_file() && path.extension().is_none_or(|ending| ending != "npz") {
                std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
            }
        }
        std::fs::write(copy.path().join("config.json"), config.to_string()).unwrap();
        Some(copy)
    }

    fn lines(name: &str, file: &str) -> Vec<String> {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/found-models").join(name).join("cases").join(file);
        std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    /// Compares greedy translations and, where there are any, their summed log-probabilities. Everything that differs is listed.
    fn compare(name: &str, directory: &Path, texts: &[String], expected: &[(String, Option<f32>)], max_length: usize) {
        assert_eq!(texts.len(), expected.len(), "{name}");
        for backend in [BackendName::Kernels, BackendName::Candle] {
            let files = ModelFiles::Directory(directory.to_owned());
            let translator =
                Translator::builder().files(files).precision(Precision::F32).backend(backend).build().unwrap();
            let mut options = translator.search_options();
            (options.beam_size, options.max_length) = (1, max_length);
            let found = translate(&translator, texts, &options, 2);
            let differs = |at: usize| {
                let (text, log_prob) = (found[at].text(), found[at].best().unwrap().hypothesis.log_prob);
                let (wanted, probability) = &expected[at];
                let is_close = probability.is_none_or(|wanted| (wanted - log_prob).abs() < 2e-4 + 1e-5 * wanted.abs());
                let problem = format!("{}: {text:?} {log_prob}, not {wanted:?} {probability:?}", texts[at]);
                (text != *wanted || !is_close).then_some(problem)
            };
            let problems: Vec<String> = (0..texts.len()).filter_map(differs).collect();
            let count = problems.len();
            assert!(problems.is_empty(), "{name}, {backend:?}: {count} of {}\n{}", texts.len(), problems.join("\n"));
        }
    }

    /// Lines of a word, its translation and the log-probability.
    fn words(name: &str) -> (Vec<String>, Vec<(String, Option<f32>)>) {
        let cases = lines(name, "expected-greedy.txt");
        let case = |line: &String| {
            let (source, rest) = line.split_once(' ').unwrap();
            let (target, probability) = rest.rsplit_once(' ').unwrap();
            (source.to_owned(), (target.to_owned(), Some(probability.parse().unwrap())))
        };
        cases.iter().map(case).unzip()
    }

    #[test]
    fn opennmt_py_of_2017() {
        let name = "opennmt-py-test";
        let Some(model) = with_config(name, &json!({"segmentation": {"unit": "characters"}})) else { return };
        let (texts, expected) = words(name);
        compare(name, model.path(), &texts, &expected, 100);
    }

    #[test]
    fn a_gru_of_keras_that_attends_to_padding() {
        let name = "netra-transliterate";
        let Some(model) = with_config(name, &json!({})) else { return };
        let path = model.path().join("vocabularies.json");
        let vocabularies: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let mut source = vec!["<pad>".to_owned(); 28];
        for (piece, id) in vocabularies["source"].as_object().unwrap() {
            source[id.as_u64().unwrap() as usize].clone_from(piece);
        }
        let mut target = vec!["<pad>".to_owned(); 81];
        for (id, piece) in vocabularies["target"].as_object().unwrap() {
            piece.as_str().unwrap().clone_into(&mut target[id.parse::<usize>().unwrap()]);
        }
        let config = json!({
            "model_type": "keras-gru",
            "add_source_eos": false,
            "pad_source_to": vocabularies["source_length"],
            "pad_token_id": 0,
            "decoder_start_token_id": 79,
            "eos_token_id": 80,
            "source_pieces": source,
            "target_pieces": target,
            "segmentation": {"unit": "characters"},
        });
        std::fs::write(model.path().join("config.json"), config.to_string()).unwrap();
        let (texts, expected) = words(name);
        compare(name, model.path(), &texts, &expected, 60);
    }

    #[test]
    fn the_official_tutorial_without_attention() {
        let name = "cn2en";
        let segmentation = json!({"source": {"unit": "characters"}, "target": {"unit": "words"}});
        let Some(model) = with_config(name, &json!({"segmentation": segmentation})) else { return };
        let case = |line: &String| {
            let (probability, target) = line.split_once('\t').unwrap();
            (target.to_owned(), Some(probability.parse().unwrap()))
        };
        let expected: Vec<_> = lines(name, "expected-greedy.tsv").iter().map(case).collect();
        compare(name, model.path(), &lines(name, "input.txt"), &expected, 60);
    }

    #[test]
    fn a_model_from_letters_to_sounds_with_names_of_its_own() {
        let name = "g2p-en";
        let config = json!({
            "model_type": "tutorial-seq2seq",
            "tensor_names": {
                "enc_emb": "encoder.embedding.weight",
                "enc_w_{kind}": "encoder.rnn.weight_{kind}_l0",
                "enc_b_{kind}": "encoder.rnn.bias_{kind}_l0",
                "dec_emb": "decoder.embedding.weight",
                "dec_w_{kind}": "decoder.rnn.weight_{kind}_l0",
                "dec_b_{kind}": "decoder.rnn.bias_{kind}_l0",
                "fc_w": "decoder.fc_out.weight",
                "fc_b": "decoder.fc_out.bias",
            },
            "add_source_bos": false,
            "source_eos_token_id": 2,
            "pad_token_id": 0,
            "decoder_start_token_id": 2,
            "eos_token_id": 3,
            "segmentation": {"source": {"unit": "characters"}, "target": {"unit": "words"}},
        });
        let Some(model) = with_config(name, &config) else { return };
        let case = |line: &String| {
            let (source, target) = line.split_once(' ').unwrap();
            (source.to_owned(), (target.to_owned(), None))
        };
        let (texts, expected): (Vec<_>, Vec<_>) = lines(name, "expected-greedy.txt").iter().map(case).unzip();
        compare(name, model.path(), &texts, &expected, 20);
    }
}
