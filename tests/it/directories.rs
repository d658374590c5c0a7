//! Complete Marian directories, as they are published, through the real program: text in, text out.
//!
//! `tests/reference/directory_reference.py` wrote them, and what Hugging Face, CTranslate2 and Marian's rules make of them.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::program::{Outcome, Program, run};

const NO_ARGUMENTS: &[&str] = &[];

/// What `expected.json` holds.
#[derive(Deserialize)]
struct Expected {
    lines: Vec<String>,
    runs: Vec<Run>,
}

/// One run over all lines.
#[derive(Deserialize)]
struct Run {
    engine: String,
    arguments: Vec<String>,
    generation_config: Option<Value>,
    /// Of each line, sentence end left out.
    pieces: Vec<Vec<String>>,
    text: Vec<String>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/directories").join(name)
}

fn expected(name: &str) -> Expected {
    serde_json::from_slice(&std::fs::read(fixture(name).join("expected.json")).unwrap()).unwrap()
}

/// A copy of a directory that a test may change.
struct Copy(tempfile::TempDir);

impl Copy {
    fn of(name: &str) -> Self {
        let copy = Self(tempfile::tempdir().unwrap());
        copy.add_all(name);
        std::fs::remove_file(copy.path("expected.json")).unwrap();
        copy
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// Copies the files of a fixture directory, not those of directories in it.
    fn add_all(&self, name: &str) {
        for entry in std::fs::read_dir(fixture(name)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                std::fs::copy(&path, self.path(path.file_name().unwrap().to_str().unwrap())).unwrap();
            }
        }
    }

    fn write(&self, file: &str, contents: impl AsRef<[u8]>) {
        std::fs::write(self.path(file), contents).unwrap();
    }

    fn remove(&self, file: &str) {
        std::fs::remove_file(self.path(file)).unwrap();
    }

    fn json(&self, file: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(file)).unwrap()).unwrap()
    }

    /// Changes one JSON file; `null` removes a key.
    fn change(&self, file: &str, changes: Value) {
        let mut value = self.json(file);
        for (key, change) in changes.as_object().unwrap() {
            match change {
                Value::Null => value.as_object_mut().unwrap().shift_remove(key),
                change => value.as_object_mut().unwrap().insert(key.clone(), change.clone()),
            };
        }
        self.write(file, value.to_string());
    }

    fn translate<A: AsRef<str>>(&self, arguments: &[A], lines: &[String]) -> Outcome {
        let mut program = Program::with_model(self.0.path());
        let arguments = arguments.iter().map(AsRef::as_ref);
        program.args(["--threads", "1"]).args(arguments).run(lines.join("\n") + "\n")
    }

    /// Translates one line and gives the one line of the error.
    fn error(&self, arguments: &[&str]) -> String {
        let outcome = self.translate(arguments, &["der hund".to_owned()]);
        assert_ne!(outcome.status, 0);
        outcome.error().to_owned()
    }
}

/// Translates all lines with the settings of a run and compares every piece and every character.
fn assert_equals(copy: &Copy, lines: &[String], run: &Run) {
    if let Some(generation) = &run.generation_config {
        copy.write("generation_config.json", generation.to_string());
    }
    let mut arguments = vec!["--format".to_owned(), "json".to_owned()];
    arguments.extend(run.arguments.iter().cloned());
    let outcome = copy.translate(&arguments, lines);
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let what = format!("{} {:?} {:?}", run.engine, run.arguments, run.generation_config);
    assert_eq!(outcome.stdout.lines().count(), lines.len(), "{what}");
    for (index, line) in outcome.stdout.lines().enumerate() {
        let found: Value = serde_json::from_str(line).unwrap();
        let mut pieces: Vec<String> = serde_json::from_value(found["pieces"].clone()).unwrap();
        pieces.pop_if(|last| last == "</s>");
        assert_eq!(pieces, run.pieces[index], "{what}: {:?}", lines[index]);
        assert_eq!(found["translation"], run.text[index], "{what}: {:?}", lines[index]);
    }
}

fn every_run_equals(name: &str, engine: &str) {
    let expected = expected(name);
    let runs: Vec<&Run> = expected.runs.iter().filter(|run| run.engine == engine).collect();
    assert!(!runs.is_empty() && expected.lines.len() >= 40);
    for run in runs {
        assert_equals(&Copy::of(name), &expected.lines, run);
    }
}

#[test]
fn a_multilingual_directory_translates_as_hugging_face_does() {
    every_run_equals("shared", "huggingface");
}

#[test]
fn separate_vocabularies_translate_as_hugging_face_does() {
    every_run_equals("separate", "huggingface");
}

#[test]
fn compat_ctranslate2_translates_as_ctranslate2_does() {
    every_run_equals("shared", "ctranslate2");
}

#[test]
fn compat_marian_translates_by_its_rules() {
    every_run_equals("shared", "marian");
}

#[test]
fn every_form_weights_are_published_in_translates_alike() {
    let expected = expected("shared");
    for form in ["sharded", "bin", "old_bin", "float16", "bfloat16"] {
        let copy = Copy::of("shared");
        copy.remove("model.safetensors");
        copy.add_all(&format!("shared/{form}"));
        assert_equals(&copy, &expected.lines, &expected.runs[0]);
    }
}

#[test]
fn a_config_of_2020_translates_alike() {
    let expected = expected("shared");
    let copy = Copy::of("shared");
    // Search settings stood in config.json then, and what shares which embedding was not written down.
    let generation = copy.json("generation_config.json");
    copy.remove("generation_config.json");
    copy.remove("tokenizer_config.json");
    copy.change("config.json", generation);
    let missing = [
        "forced_eos_token_id",
        "use_cache",
        "share_encoder_decoder_embeddings",
        "tie_word_embeddings",
        "decoder_vocab_size",
        "is_encoder_decoder",
        "dtype",
        "torch_dtype",
        "transformers_version",
        "architectures",
    ];
    copy.change("config.json", missing.into_iter().map(|key| (key.to_owned(), Value::Null)).collect());
    assert_equals(&copy, &expected.lines, &expected.runs[0]);
}

#[test]
fn a_converted_directory_translates_alike() {
    let expected = expected("shared");
    for (form, dtype) in [("old_bin", "f32"), ("sharded", "f16"), ("bfloat16", "f16")] {
        let (copy, converted) = (Copy::of("shared"), Copy(tempfile::tempdir().unwrap()));
        copy.remove("model.safetensors");
        copy.add_all(&format!("shared/{form}"));
        let out = converted.path("out");
        let outcome = run(&["convert", copy.0.path().to_str().unwrap(), out.to_str().unwrap(), "--dtype", dtype], "");
        assert_eq!(outcome.status, 0, "{}", outcome.stderr);
        for entry in std::fs::read_dir(out).unwrap() {
            let path = entry.unwrap().path();
            std::fs::rename(&path, converted.path(path.file_name().unwrap().to_str().unwrap())).unwrap();
        }
        assert_equals(&converted, &expected.lines, &expected.runs[0]);
    }
}

#[test]
fn an_unknown_target_language_is_refused_with_those_there_are() {
    let message = Copy::of("shared").error(&["--target-lang", "nld"]);
    assert!(message.contains("--to nld") && message.contains("it has deu, fra"), "{message}");
    let message = Copy::of("separate").error(&["--target-lang", "deu"]);
    assert!(message.contains("one target language, cyr"), "{message}");
}

#[test]
fn a_target_language_may_be_written_in_any_way() {
    let copy = Copy::of("shared");
    let line = ["der hund läuft".to_owned()];
    let french = copy.translate(NO_ARGUMENTS, &[format!(">>fra<< {}", line[0])]).stdout;
    for code in ["fra", ">>fra<<"] {
        assert_eq!(copy.translate(&["--target-lang", code], &line).stdout, french);
    }
    assert_ne!(copy.translate(&["--target-lang", "deu"], &line).stdout, french);
}

#[test]
fn every_form_is_listed_with_its_languages_and_precision() {
    let all = tempfile::tempdir().unwrap();
    let forms = [("sharded", "f32"), ("bin", "f32"), ("old_bin", "f32"), ("float16", "f16"), ("bfloat16", "bf16")];
    for (form, _) in forms {
        let copy = Copy::of("shared");
        copy.remove("model.safetensors");
        copy.add_all(&format!("shared/{form}"));
        std::fs::rename(copy.0.keep(), all.path().join(form)).unwrap();
    }
    let outcome = run(&["models", "--json", all.path().to_str().unwrap()], "");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let listed: Vec<Value> = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (form, precision) in forms {
        let is_it = |model: &&Value| Path::new(model["model"].as_str().unwrap()).ends_with(form);
        let model = listed.iter().find(is_it).unwrap_or_else(|| panic!("{form} is not in {listed:?}"));
        assert_eq!((&model["family"], &model["precision"]), (&json!("transformer"), &json!(precision)));
        assert_eq!((&model["source_language"], &model["target_language"]), (&json!("lat"), &json!("cyr")));
    }
}

#[test]
fn a_language_token_holds_for_every_sentence_of_its_line() {
    let copy = Copy::of("shared");
    let alone = [">>fra<< Der hund.".to_owned(), ">>fra<< Ein kind!".to_owned()];
    let alone = copy.translate(NO_ARGUMENTS, &alone).stdout;
    let together = copy.translate(&["--split-sentences"], &[">>fra<< Der hund. Ein kind!".to_owned()]).stdout;
    assert_eq!(alone.lines().collect::<Vec<_>>().join(" "), together.trim_end());
}

#[test]
fn every_missing_file_is_named() {
    for file in ["config.json", "model.safetensors", "source.spm", "target.spm", "vocab.json"] {
        let copy = Copy::of("shared");
        copy.remove(file);
        let message = copy.error(&[]);
        assert!(message.contains(file), "{message}");
        assert!(message.contains("missing") || message.contains("no weights here"), "{message}");
    }
}

#[test]
fn a_git_lfs_pointer_is_recognised_in_place_of_every_file() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 310000000\n";
    let files =
        ["config.json", "generation_config.json", "model.safetensors", "source.spm", "target.spm", "vocab.json"];
    for file in files {
        let copy = Copy::of("shared");
        copy.write(file, pointer);
        let message = copy.error(&[]);
        assert!(message.contains(file) && message.contains("Git LFS pointer"), "{message}");
    }
    let copy = Copy::of("shared");
    copy.remove("model.safetensors");
    copy.write("pytorch_model.bin", pointer);
    assert!(copy.error(&[]).contains("pytorch_model.bin: is a Git LFS pointer"));
}

#[test]
fn whatever_is_wrong_with_a_directory_is_one_line() {
    let spm = std::fs::read(fixture("shared").join("source.spm")).unwrap();
    let hostile = std::fs::read(fixture("../checkpoint/hostile/pytorch_model.bin")).unwrap();
    let no_weights = |copy: &Copy| copy.remove("model.safetensors");
    type Break<'a> = &'a dyn Fn(&Copy);
    let cases: [(Break, &[&str]); 13] = [
        (
            &|copy| copy.change("config.json", json!({"model_type": "opt"})),
            &["config.json", "\"opt\" is not supported", "\"marian\""],
        ),
        (&|copy| copy.write("config.json", "{"), &["config.json", "not valid JSON"]),
        (&|copy| copy.change("vocab.json", json!({"one": 400, "more": 401})), &["vocabulary has 402 entries", "rows"]),
        (&|copy| copy.write("vocab.json", "[]"), &["vocab.json", "JSON object"]),
        (&|copy| copy.write("source.spm", &spm[..spm.len() / 2]), &["source.spm", "not a usable SentencePiece model"]),
        (&|copy| copy.write("target.spm", "<html>"), &["target.spm", "not a usable SentencePiece model"]),
        (&|copy| copy.write("tokenizer_config.json", "nothing"), &["tokenizer_config.json", "not valid JSON"]),
        (
            &|copy| {
                no_weights(copy);
                copy.write("pytorch_model.bin", &hostile);
            },
            &["pytorch_model.bin", "nothing was executed"],
        ),
        (
            &|copy| {
                no_weights(copy);
                copy.add_all("shared/sharded");
                copy.remove("model-00002-of-00002.safetensors");
            },
            &["model-00002-of-00002.safetensors", "missing"],
        ),
        (&|copy| copy.write("model.safetensors", "short"), &["model.safetensors", "truncated"]),
        (
            &|copy| copy.change("config.json", json!({"encoder_layers": 2})),
            &["model.safetensors", "layers.1", "missing"],
        ),
        (
            &|copy| copy.change("generation_config.json", json!({"eos_token_id": 99999})),
            &["generation_config.json", "`eos_token_id` 99999 is outside the vocabulary"],
        ),
        (&|copy| copy.change("generation_config.json", json!({"num_beams": "four"})), &["`num_beams` is \"four\""]),
    ];
    for (damage, wanted) in cases {
        let copy = Copy::of("shared");
        damage(&copy);
        let message = copy.error(&[]);
        for part in wanted {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    }
}

#[test]
fn banned_tokens_the_vocabulary_does_not_have_are_no_error() {
    let expected = expected("shared");
    let copy = Copy::of("shared");
    let mut banned = copy.json("generation_config.json")["bad_words_ids"].clone();
    banned.as_array_mut().unwrap().extend([json!([70_000]), json!([5, 70_000])]);
    copy.change("generation_config.json", json!({"bad_words_ids": banned}));
    assert_equals(&copy, &expected.lines, &expected.runs[0]);
}

#[test]
fn input_longer_than_the_model_was_made_for_is_translated_with_one_warning() {
    let copy = Copy::of("shared");
    let lines = vec!["der hund läuft ".repeat(40); 3];
    let made_for = copy.translate(&["--quiet"], &lines).stdout;
    copy.change("config.json", json!({"max_position_embeddings": 8}));
    let outcome = copy.translate(NO_ARGUMENTS, &lines);
    assert_eq!(outcome.stdout, made_for, "sinusoidal positions extend to any length");
    assert_eq!(outcome.stderr.matches("more than the 8 this model was made for").count(), 1, "{}", outcome.stderr);
}
