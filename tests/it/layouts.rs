//! Families besides Marian and the GRU, through the real program: directories as they are published.
//!
//! `found_models` uses real checkpoints that lie beside the project in `../shared/found-models`, and says that it skips
//! where that folder is absent.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::program::run;

/// What `expected.json` of a directory holds.
#[derive(Deserialize)]
struct Expected {
    lines: Vec<String>,
    source_ids: Vec<Vec<u32>>,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    arguments: Vec<String>,
    generation_config: Option<Value>,
    text: Vec<String>,
    score: Vec<f32>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A copy of a directory that a test may change.
fn copy_of(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("expected.json") && !path.ends_with("expected.safetensors") {
            std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    copy
}

#[test]
fn a_bart_directory_gets_the_tokens_its_tokenizer_puts_around_a_sentence() {
    let directory = fixture("directories/bart_tokenizer");
    let expected: Expected = serde_json::from_slice(&std::fs::read(directory.join("expected.json")).unwrap()).unwrap();
    let translator = translate::Translator::builder().model(directory.to_str().unwrap()).build().unwrap();
    for (line, ids) in expected.lines.iter().zip(&expected.source_ids) {
        assert_eq!(&translator.source_ids(line).0, ids, "{line}");
    }
    for backend in ["kernels", "candle"] {
        for wanted in &expected.runs {
            let copy = copy_of("directories/bart_tokenizer");
            if let Some(generation) = &wanted.generation_config {
                std::fs::write(copy.path().join("generation_config.json"), generation.to_string()).unwrap();
            }
            let mut arguments =
                vec!["--model", copy.path().to_str().unwrap(), "--backend", backend, "--format", "json"];
            arguments.extend(wanted.arguments.iter().map(String::as_str));
            let outcome = run(&arguments, &(expected.lines.join("\n") + "\n"));
            assert_eq!(outcome.status, 0, "{}", outcome.stderr);
            let found: Vec<Value> = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let texts: Vec<&str> = found.iter().map(|line| line["translation"].as_str().unwrap()).collect();
            let trimmed: Vec<&str> = wanted.text.iter().map(|text| text.trim()).collect();
            assert_eq!(texts, trimmed, "{backend} {:?}", wanted.arguments);
            for (line, score) in found.iter().zip(&wanted.score) {
                let difference = (line["score"].as_f64().unwrap() as f32 - score).abs();
                assert!(difference < 1e-4, "{backend} {:?}: {line}, score {score}", wanted.arguments);
            }
        }
    }
}

#[test]
fn pieces_go_in_and_come_out_with_spaces_between_them() {
    let directory = fixture("models/tutorial_transformer");
    let model = directory.to_str().unwrap();
    let words = std::fs::read_to_string(directory.join("source_vocab.txt")).unwrap();
    let words: Vec<&str> = words.lines().skip(4).take(3).collect();
    let plain = format!("{}\n", words.join("  "));
    let framed = format!("<sos> {} <eos>\n", words.join(" "));
    let translate = |line: &str| run(&["--model", model, "--pieces", "--format", "json"], line);
    // What stands around a sentence may be written out; it is not added twice.
    let (plain, framed) = (translate(&plain), translate(&framed));
    assert_eq!((plain.status, &plain.stdout), (0, &framed.stdout), "{}", plain.stderr);
    let line: Value = serde_json::from_str(&plain.stdout).unwrap();
    let pieces: Vec<&str> = line["pieces"].as_array().unwrap().iter().map(|piece| piece.as_str().unwrap()).collect();
    assert_eq!(line["translation"], pieces[..pieces.len() - 1].join(" "));
}

#[test]
fn a_word_that_cannot_be_said_fails_its_line_and_no_other() {
    let copy = copy_of("models/tutorial_transformer");
    let list = std::fs::read_to_string(copy.path().join("source_vocab.txt")).unwrap();
    std::fs::write(copy.path().join("source_vocab.txt"), list.replace("<unk>", "nobody-writes-this")).unwrap();
    let word = list.lines().nth(7).unwrap();
    let outcome = run(&["--model", copy.path().to_str().unwrap()], &format!("{word}\nnever-heard-of\n{word}\n"));
    assert_eq!(outcome.status, 1);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[1]), (3, lines[2], ""));
    assert!(outcome.stderr.contains("line 2: `never-heard-of` is not in the source vocabulary"), "{}", outcome.stderr);
}

#[test]
fn all_that_is_not_supported_is_named_at_once() {
    let copy = copy_of("models/pytorch_transformer_written_out");
    let path = copy.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["activation"] = json!("mish");
    config["positions"] = json!("rotary");
    std::fs::write(&path, config.to_string()).unwrap();
    let outcome = run(&["--model", copy.path().to_str().unwrap()], "a\n");
    assert_eq!((outcome.status, outcome.stderr.lines().count()), (1, 1));
    for part in ["config.json", "\"mish\" is not supported", "\"rotary\" is not supported"] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
    config["activation"] = json!("gelu");
    config["positions"] = json!("learned");
    config["tensor_names"]["nowhere.weight"] = json!("output.weight");
    std::fs::write(&path, config.to_string()).unwrap();
    let outcome = run(&["--model", copy.path().to_str().unwrap()], "a\n");
    assert!(
        outcome.stderr.contains("`tensor_names` has \"nowhere.weight\", but no stored tensor"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_source_longer_than_a_learned_table_is_cut_there_and_said_so() {
    let model = fixture("models/tutorial_transformer");
    let words = std::fs::read_to_string(model.join("source_vocab.txt")).unwrap();
    let long = vec![words.lines().nth(9).unwrap(); 60].join(" ");
    let outcome = run(&["--model", model.to_str().unwrap()], &format!("{long}\n"));
    assert_eq!((outcome.status, outcome.stdout.lines().count()), (0, 1));
    // A table of 40, and two tokens around the sentence.
    assert!(outcome.stderr.contains("only the first 38 source pieces"), "{}", outcome.stderr);
}

#[test]
fn a_converted_model_of_any_layout_translates_the_same() {
    let names = [
        "pytorch_transformer",
        "pytorch_transformer_written_out",
        "tutorial_transformer",
        "bart",
        "m2m_100",
        "mbart",
        "pegasus",
        "fsmt",
        "t5",
        "t5_gated_silu",
        "mt5",
        "umt5",
        "byt5",
    ];
    for name in names {
        let copy = copy_of(&format!("models/{name}"));
        let model = copy.path().to_str().unwrap().to_owned();
        let out = copy.path().join("out").to_str().unwrap().to_owned();
        let outcome = run(&["convert", &model, &out, "--dtype", "f32"], "");
        assert_eq!(outcome.status, 0, "{name}: {}", outcome.stderr);
        let words = std::fs::read_to_string(copy.path().join("source_vocab.txt")).unwrap();
        let lines =
            words.lines().skip(5).collect::<Vec<_>>().chunks(4).map(|words| words.join(" ") + "\n").collect::<String>();
        let translate = |model: &str| run(&["--model", model, "--format", "json"], &lines).stdout;
        assert_eq!(translate(&model), translate(&out), "{name}");
    }
}

mod found_models {
    use super::*;

    /// A found model with a configuration of ours where it has none, or `None`, said so, where the folder is absent.
    fn found(name: &str, config: Option<Value>) -> Option<tempfile::TempDir> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/found-models").join(name);
        if !folder.is_dir() {
            eprintln!("skipped: there is no ../shared/found-models/{name}");
            return None;
        }
        let copy = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
            }
        }
        if let Some(config) = config {
            std::fs::write(copy.path().join("config.json"), config.to_string()).unwrap();
        }
        Some(copy)
    }

    /// Every line of `expected` (score, tab, pieces), scores within 1e-5 of it.
    fn gives(model: &Path, arguments: &[&str], cases: &str, expected: &str) {
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/found-models").join(cases);
        let input = std::fs::read_to_string(cases.join("input.txt")).unwrap();
        let expected = std::fs::read_to_string(cases.join(expected)).unwrap();
        let mut all = vec!["--model", model.to_str().unwrap(), "--pieces", "--format", "tsv"];
        all.extend(arguments);
        let outcome = run(&all, &input);
        assert_eq!(outcome.status, 0, "{}", outcome.stderr);
        assert_eq!(outcome.stdout.lines().count(), expected.lines().count());
        for (number, (found, wanted)) in outcome.stdout.lines().zip(expected.lines()).enumerate() {
            let fields: Vec<&str> = found.split('\t').collect();
            let (score, pieces) = wanted.split_once('\t').unwrap();
            assert_eq!(fields[fields.len() - 1], pieces, "line {}: {found}", number + 1);
            let found_score = fields[fields.len() - 2].parse::<f64>().unwrap();
            let difference = (found_score - score.parse::<f64>().unwrap()).abs();
            assert!(difference <= 1e-5 + 1e-6, "line {}: {found}, score {score}", number + 1);
        }
    }

    #[test]
    fn khmer_to_latin_letters_by_nn_transformer() {
        let config = json!({
            "model_type": "pytorch-transformer", "nhead": 8, "scale_embedding": false,
            "pad_token_id": 0, "decoder_start_token_id": 1, "eos_token_id": 2, "add_source_bos": true,
            "tensor_names": {
                "src_word_embedding.": "source_embedding.", "src_position_embedding.": "source_positions.",
                "trg_word_embedding.": "target_embedding.", "trg_position_embedding.": "target_positions.",
                "fc_out.": "output.",
            },
        });
        let Some(model) = found("interscript-khmer/with-punct", Some(config)) else { return };
        for backend in ["kernels", "candle"] {
            let arguments = ["--beam-size", "1", "--backend", backend];
            gives(model.path(), &arguments, "interscript-khmer/cases", "expected-greedy-with-punct.tsv");
        }
    }

    #[test]
    fn molecules_by_the_tutorials_transformer() {
        let config = json!({"model_type": "tutorial-transformer", "add_source_bos": true});
        let Some(model) = found("annalog", Some(config)) else { return };
        for backend in ["kernels", "candle"] {
            gives(model.path(), &["--beam-size", "1", "--backend", backend], "annalog/cases", "expected-greedy.tsv");
        }
    }

    #[test]
    fn words_to_sounds_by_bart_as_it_lies_there() {
        let Some(model) = found("misaki-bart", None) else { return };
        gives(model.path(), &["--beam-size", "1"], "misaki-bart/cases", "expected-greedy.tsv");
        gives(model.path(), &["--beam-size", "4"], "misaki-bart/cases", "expected-beam4.tsv");
        gives(model.path(), &["--beam-size", "4", "--backend", "candle"], "misaki-bart/cases", "expected-beam4.tsv");
    }
}
