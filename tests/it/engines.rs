//! Checkpoints of CTranslate2 and Marian as they lie, through the real program: what their own engines, or references written
//! from the published formats, translate with them.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::program::run;

/// What `expected.json` of a directory holds.
#[derive(Deserialize)]
struct Expected {
    lines: Vec<String>,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    arguments: Vec<String>,
    text: Vec<String>,
    score: Vec<f64>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Runs all that a directory expects, on a backend.
fn translates_as_expected(name: &str, backend: &str, tolerance: f64) {
    let directory = fixture(name);
    let expected: Expected = serde_json::from_slice(&std::fs::read(directory.join("expected.json")).unwrap()).unwrap();
    translates(&directory, &expected, backend, tolerance, name);
}

fn translates(directory: &Path, expected: &Expected, backend: &str, tolerance: f64, name: &str) {
    let input: String = expected.lines.iter().map(|line| line.clone() + "\n").collect();
    for wanted in &expected.runs {
        // candle has no 8-bit products, and reads the same numbers as F32.
        let is_int8 = wanted.arguments.windows(2).any(|pair| pair == ["--precision", "int8"]);
        if is_int8 && backend == "candle" {
            continue;
        }
        let mut arguments = vec!["--model", directory.to_str().unwrap(), "--backend", backend, "--format", "json"];
        arguments.extend(wanted.arguments.iter().map(String::as_str));
        let outcome = run(&arguments, &input);
        assert_eq!(outcome.status, 0, "{name} {:?}: {}", wanted.arguments, outcome.stderr);
        let found: Vec<Value> = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let texts: Vec<&str> = found.iter().map(|line| line["translation"].as_str().unwrap().trim()).collect();
        let trimmed: Vec<&str> = wanted.text.iter().map(|text| text.trim()).collect();
        assert_eq!(texts, trimmed, "{name}, {backend}, {:?}: {}", wanted.arguments, outcome.stderr);
        for (line, score) in found.iter().zip(&wanted.score) {
            let difference = (line["score"].as_f64().unwrap() - score).abs();
            assert!(difference < tolerance, "{name}, {backend}, {:?}: {line}, score {score}", wanted.arguments);
        }
    }
}

/// The directories in a folder of fixtures.
fn directories(folder: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(fixture(folder))
        .unwrap()
        .map(|entry| format!("{folder}/{}", entry.unwrap().file_name().into_string().unwrap()))
        .collect();
    names.sort();
    names
}

#[test]
fn what_ctranslate2_translates_with_its_directories() {
    for name in directories("ctranslate2") {
        // Products of 8 bits round the activations, in one way here and in another there.
        let tolerance = if name.ends_with("int8") || name.ends_with("relative_positions") { 0.05 } else { 1e-4 };
        translates_as_expected(&name, "kernels", tolerance);
        translates_as_expected(&name, "candle", tolerance);
    }
}

#[test]
fn what_marian_would_translate_with_its_files() {
    for name in directories("marian") {
        for backend in ["kernels", "candle"] {
            translates_as_expected(&name, backend, 1e-4);
        }
    }
}

#[test]
fn a_converted_directory_translates_the_same() {
    for name in directories("ctranslate2").into_iter().chain(directories("marian")) {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out").to_str().unwrap().to_owned();
        let model = fixture(&name).to_str().unwrap().to_owned();
        let outcome = run(&["convert", &model, &out, "--dtype", "f32"], "");
        assert_eq!(outcome.status, 0, "{name}: {}", outcome.stderr);
        let expected: Expected =
            serde_json::from_slice(&std::fs::read(fixture(&name).join("expected.json")).unwrap()).unwrap();
        let lines: String = expected.lines.iter().map(|line| line.clone() + "\n").collect();
        let translate = |model: &str| {
            let pieces: &[&str] = if name.ends_with("student") { &[] } else { &["--pieces"] };
            let arguments = [&["--model", model, "--format", "json", "--precision", "f32"], pieces].concat();
            run(&arguments, &lines)
        };
        let (before, after) = (translate(&model), translate(&out));
        assert_eq!((before.stdout, after.status), (after.stdout, 0), "{name}: {}", after.stderr);
    }
}

#[test]
fn a_converter_without_its_options_or_vocabulary_is_told_so_in_one_line() {
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(fixture("ctranslate2/zero/model.bin"), copy.path().join("model.bin")).unwrap();
    let outcome = run(&["--model", copy.path().to_str().unwrap()], "a\n");
    assert_eq!((outcome.status, outcome.stderr.lines().count()), (1, 1), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("source_vocabulary.json") && outcome.stderr.contains("missing"),
        "{}",
        outcome.stderr
    );
    std::fs::remove_file(copy.path().join("model.bin")).unwrap();
    std::fs::copy(fixture("marian/ssru/model.bin"), copy.path().join("model.bin")).unwrap();
    let outcome = run(&["--model", copy.path().to_str().unwrap()], "a\n");
    assert!(outcome.stderr.contains("vocab.yml") && outcome.stderr.contains("missing"), "{}", outcome.stderr);
}

mod found_models {
    use super::*;

    /// One of the found directories with a `config.json` that asks for the sentence end, as its expected lines were made.
    fn found(name: &str) -> Option<tempfile::TempDir> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/found-models/ct2-aren").join(name);
        if !folder.is_dir() {
            eprintln!("skipped: there is no ../shared/found-models/ct2-aren/{name}");
            return None;
        }
        let copy = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
        std::fs::write(copy.path().join("config.json"), json!({"add_source_eos": true}).to_string()).unwrap();
        Some(copy)
    }

    fn expected(file: &str, beam: &str) -> Expected {
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/found-models/ct2-aren/cases");
        let input = std::fs::read_to_string(cases.join("input.txt")).unwrap();
        let table = std::fs::read_to_string(cases.join(file)).unwrap();
        let rows = table.lines().map(|line| line.split_once('\t').unwrap());
        let (score, text) = rows.map(|(score, text)| (score.parse::<f64>().unwrap(), text.to_owned())).unzip();
        let arguments = ["--pieces", "--compat", "ctranslate2", "--beam-size", beam].map(str::to_owned).to_vec();
        Expected { lines: input.lines().map(str::to_owned).collect(), runs: vec![Run { arguments, text, score }] }
    }

    #[test]
    fn arabic_to_latin_letters_in_every_version_and_number_format() {
        for (name, tolerance) in [
            ("v1/aren-transliteration", 1e-5),
            ("v2/aren-transliteration", 1e-5),
            ("v1/aren-transliteration-i16", 2e-2),
            ("v2/aren-transliteration-i16", 2e-2),
            ("v2/aren-transliteration-i8", 0.5),
        ] {
            let Some(model) = found(name) else { return };
            for (file, beam) in [("expected-greedy.tsv", "1"), ("expected-beam4.tsv", "4")] {
                let expected = expected(file, beam);
                if tolerance < 1e-4 {
                    translates(model.path(), &expected, "kernels", tolerance, name);
                    translates(model.path(), &expected, "candle", tolerance, name);
                    continue;
                }
                // Rounded weights are other weights: most lines are the same, and say so.
                let input: String = expected.lines.iter().map(|line| line.clone() + "\n").collect();
                let model = model.path().to_str().unwrap();
                let mut arguments = vec!["--model", model];
                arguments.extend(expected.runs[0].arguments.iter().map(String::as_str));
                let outcome = run(&arguments, &input);
                assert_eq!(outcome.status, 0, "{}", outcome.stderr);
                let same = outcome.stdout.lines().zip(&expected.runs[0].text).filter(|(a, b)| a == b).count();
                let (part, lines) = (if name.ends_with("i8") { 90 } else { 98 }, expected.lines.len());
                println!("{name}, beam {beam}: {same} of {lines} as in f32");
                assert!(same * 100 >= lines * part, "{name}, beam {beam}: {same} of {lines}");
            }
        }
    }

    #[test]
    fn without_a_configuration_nothing_is_put_after_a_source() {
        let Some(model) = found("v2/aren-transliteration") else { return };
        std::fs::remove_file(model.path().join("config.json")).unwrap();
        let outcome = run(&["--model", model.path().to_str().unwrap(), "--pieces"], "آ ت ز م و ن\n");
        assert_eq!((outcome.status, outcome.stdout.as_str()), (0, "a t z m o n\n"), "{}", outcome.stderr);
    }
}
