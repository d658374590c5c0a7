//! `translate convert` and `translate models`.

use std::path::Path;

use translate::Workspace;
use translate::checkpoint::{ModelFiles, Weights};
use translate::compute::{Compute, Precision};
use translate::layouts::Opened;
use translate::model::{self, Record};

use super::checkpoint_errors::Scratch;
use super::program::run;

/// Runs `convert` on a copy of a fixture with a word list; returns the result's directory.
fn converted(test: &str, fixture: &str, dtype: &str) -> Scratch {
    let scratch = Scratch::copy(test, fixture);
    scratch.write("vocab.txt", "<unk>\n<pad>\n<sos>\n<eos>\n");
    let out = scratch.0.join("out");
    let outcome = run(&["convert", scratch.0.to_str().unwrap(), out.to_str().unwrap(), "--dtype", dtype], "");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "");
    scratch
}

#[test]
fn a_converted_model_is_the_same_model() {
    for (fixture, dtype) in [("old", "f32"), ("zip_half", "f16"), ("gru_first", "f16"), ("sharded_bin", "f32")] {
        let scratch = converted(&format!("convert-{fixture}"), fixture, dtype);
        let out = translate::checkpoint::ModelFiles::Directory(scratch.0.join("out"));
        let (before, after) = (Opened::open(&scratch.files()).unwrap(), Opened::open(&out).unwrap());
        for name in after.parameters.names() {
            let shape = after.parameters.shape(name).unwrap();
            assert_eq!(after.parameters.dtype(name).unwrap().name().to_lowercase(), dtype);
            let values = |opened: &Opened| opened.parameters.tensor(name, &shape).unwrap();
            assert_eq!(values(&after), values(&before), "{fixture}: {name}");
        }
        assert_eq!((&after.spec, &after.frame), (&before.spec, &before.frame), "{fixture}");
        assert!(scratch.0.join("out/vocab.txt").exists());
        assert!(after.generation.eos_token_id.is_some());
        let left: Vec<_> = std::fs::read_dir(&scratch.0)
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        assert!(!left.iter().any(|name| name.contains("partial")), "{left:?}");
    }
}

#[test]
fn spellings_and_commas_go_along() {
    let scratch = Scratch::copy("convert-text-files", "safetensors");
    let config = std::fs::read_to_string(scratch.files().path("config.json")).unwrap();
    let with = r#"{"text_defaults": {"normalize": true, "spellings": "lists/own.txt", "commas": "lists/own.bin"},"#;
    scratch.write("config.json", config.replacen('{', with, 1));
    scratch.write("vocab.txt", "<unk>\n<pad>\n<sos>\n<eos>\n");
    std::fs::create_dir(scratch.0.join("lists")).unwrap();
    scratch.write("lists/own.txt", "am\nfür\n");
    scratch.write("lists/own.bin", include_bytes!("../../vocab/commas.bin"));
    let out = scratch.0.join("out");
    let outcome = run(&["convert", scratch.0.to_str().unwrap(), out.to_str().unwrap()], "");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let files = ModelFiles::Directory(out);
    let opened = Opened::open(&files).unwrap();
    assert_eq!(opened.text_defaults.spellings.as_deref(), Some("spellings.txt"));
    assert!(opened.spellings(&files).unwrap().is_some());
    assert_eq!(opened.text_defaults.commas.as_deref(), Some("commas.bin"));
    assert!(opened.commas(&files).unwrap().is_some());
}

/// What the program makes of two lines of pieces, with their scores, and what it says.
fn translated(directory: &std::path::Path, options: &[&str]) -> (String, String) {
    let model = ["--model", directory.to_str().unwrap(), "--pieces", "--format", "json", "--max-length", "12"];
    let outcome = run(&[&model[..], options].concat(), "w5 w6 w7\nw9\n");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    (outcome.stdout, outcome.stderr)
}

#[test]
fn an_int8_directory_translates_as_the_original_does_in_int8() {
    for fixture in ["zip", "gru_first", "safetensors"] {
        let scratch = Scratch::copy(&format!("convert-int8-{fixture}"), fixture);
        let (_, size) = Opened::open(&scratch.files()).unwrap().spec.vocabulary_sizes();
        let words: String = (0..size).map(|n| if n == 1 { "<unk>\n".into() } else { format!("w{n}\n") }).collect();
        scratch.write("vocab.txt", words);
        let out = scratch.0.join("out");
        let outcome = run(&["convert", scratch.0.to_str().unwrap(), out.to_str().unwrap(), "--dtype", "int8"], "");
        assert_eq!(outcome.status, 0, "{}", outcome.stderr);
        let weights = Weights::open(&translate::checkpoint::ModelFiles::Directory(out.clone())).unwrap();
        assert!(weights.names().any(|name| weights.dtype(name).unwrap() == translate::checkpoint::Dtype::I8));
        for beam in ["1", "3"] {
            let expected = translated(&scratch.0, &["--precision", "int8", "--beam-size", beam]).0;
            assert_eq!(translated(&out, &["--beam-size", beam]).0, expected, "{fixture}: int8 is its default");
            // Into int8 once more, and its values in floats on both backends.
            let again = scratch.0.join(format!("again-{beam}"));
            let outcome = run(&["convert", out.to_str().unwrap(), again.to_str().unwrap(), "--dtype", "int8"], "");
            assert_eq!(outcome.status, 0, "{}", outcome.stderr);
            assert_eq!(translated(&again, &["--beam-size", beam]).0, expected, "{fixture}: converted twice");
        }
        for backend in ["kernels", "candle"] {
            translated(&out, &["--precision", "f32", "--backend", backend]);
        }
    }
}

/// The scores of all tokens behind the first, `[V]`, in int8.
fn scores(opened: &Opened) -> Vec<f32> {
    let compute = Compute::kernels(Precision::Int8);
    let model = model::load(&opened.spec, &opened.parameters, &compute).unwrap();
    let mut workspace = Workspace::new(1);
    let mut decoder = model.start(&[&[5, 7, 4, 2]], Record::default(), &mut workspace).unwrap();
    let mut logits = Vec::new();
    decoder.step(&[3], &mut workspace).unwrap();
    decoder.logits(&mut logits, &mut workspace).unwrap();
    logits
}

#[test]
fn the_int8_directory_of_every_family_computes_the_same_bits() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
    let mut families = 0;
    for entry in std::fs::read_dir(fixtures).unwrap() {
        let fixture = entry.unwrap().path();
        if !fixture.join("config.json").exists() {
            continue;
        }
        let scratch = Scratch::empty(&format!("convert-family-{}", fixture.file_name().unwrap().to_str().unwrap()));
        for entry in std::fs::read_dir(&fixture).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, scratch.0.join(path.file_name().unwrap())).unwrap();
        }
        // What `expected.safetensors` says is another test's; here it would be a second file of weights.
        let _ = std::fs::remove_file(scratch.0.join("expected.safetensors"));
        scratch.write("vocab.txt", "<unk>\n");
        let out = scratch.0.join("out");
        let outcome = run(&["convert", scratch.0.to_str().unwrap(), out.to_str().unwrap(), "--dtype", "int8"], "");
        assert_eq!(outcome.status, 0, "{}: {}", fixture.display(), outcome.stderr);
        let converted = Opened::open(&ModelFiles::Directory(out)).unwrap();
        assert!(converted.parameters.weights().is_int8(), "{}", fixture.display());
        let original = Opened::open(&scratch.files()).unwrap();
        assert_eq!(scores(&converted), scores(&original), "{}", fixture.display());
        families += 1;
    }
    assert!(families >= 8, "only {families} fixtures");
}

#[test]
fn a_damaged_int8_directory_is_refused_by_the_name_of_the_matrix() {
    let scratch = converted("convert-int8-damaged", "zip", "int8");
    let path = scratch.0.join("out/model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let header =
        String::from_utf8_lossy(&bytes[8..8 + usize::from(bytes[8 - 8]) + 256 * usize::from(bytes[1])]).into_owned();
    let name = header.split('"').find(|name| name.ends_with("fc1.weight")).unwrap();
    let begin = header.find(&format!("\"{name}\"")).unwrap();
    let shape = begin + header[begin..].find(",16,4]").unwrap();
    let mut damaged = bytes.clone();
    damaged[8 + shape..8 + shape + 6].copy_from_slice(b",4,16]");
    std::fs::write(&path, damaged).unwrap();
    let outcome = run(&["--model", scratch.0.join("out").to_str().unwrap()], "a\n");
    assert_eq!(outcome.status, 1);
    assert!(outcome.stderr.contains(name) && outcome.stderr.contains("convert the model again"), "{}", outcome.stderr);
}

#[test]
fn one_matrix_is_written_for_a_tied_embedding() {
    let scratch = converted("convert-tied", "zip", "f16");
    let weights = Weights::open(&translate::checkpoint::ModelFiles::Directory(scratch.0.join("out"))).unwrap();
    assert!(weights.contains("model.shared.weight"));
    assert!(!weights.contains("lm_head.weight") && !weights.contains("model.encoder.embed_tokens.weight"));
}

#[test]
fn an_existing_directory_is_never_overwritten_and_a_failure_leaves_nothing() {
    let scratch = Scratch::copy("convert-exists", "safetensors");
    let (model, out) = (scratch.0.to_str().unwrap().to_owned(), scratch.0.join("out"));
    let outcome = run(&["convert", &model, out.to_str().unwrap()], "");
    assert_eq!((outcome.status, out.exists()), (1, false), "no vocabulary: {}", outcome.stderr);
    assert!(outcome.stderr.contains("no vocabulary here to copy"), "{}", outcome.stderr);
    assert_eq!(std::fs::read_dir(&scratch.0).unwrap().count(), 2, "nothing is left of the attempt");

    std::fs::create_dir(&out).unwrap();
    let outcome = run(&["convert", &model, out.to_str().unwrap()], "");
    assert!(outcome.stderr.contains("already exists"), "{}", outcome.stderr);
}

#[test]
fn models_lists_what_a_directory_holds_and_what_is_wrong_with_it() {
    let good = converted("models-good", "old", "f16");
    good.write("tokenizer_config.json", r#"{"source_lang": "de", "target_lang": "en"}"#);
    good.write("out/pytorch_model.bin", "never looked at: safetensors come first");
    let outcome = run(&["models", "--json", good.0.to_str().unwrap()], "");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let models: Vec<serde_json::Value> =
        outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let find = |suffix: &str| {
        models
            .iter()
            .find(|model| model["model"].as_str().unwrap().ends_with(suffix))
            .unwrap_or_else(|| panic!("{models:?}"))
    };
    let original = find(good.0.file_name().unwrap().to_str().unwrap());
    assert_eq!((&original["family"], &original["precision"]), (&"transformer".into(), &"f32".into()));
    assert_eq!((&original["source_language"], &original["target_language"]), (&"de".into(), &"en".into()));
    assert_eq!(find("out")["precision"], "f16");

    good.write("pytorch_model.bin", "x");
    let outcome = run(&["models", "--json", good.0.to_str().unwrap()], "");
    assert!(outcome.stdout.contains("truncated"), "{}", outcome.stdout);
}

#[test]
fn a_path_that_is_not_there_is_no_empty_list() {
    let outcome = run(&["models", "no/such/model"], "");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (1, ""));
    assert!(outcome.stderr.contains("no/such/model: no such file or directory"), "{}", outcome.stderr);
}
