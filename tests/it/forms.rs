//! `translate convert` of checkpoints of other toolkits: in this program's own form, and in those of Hugging Face's classes.

use std::path::{Path, PathBuf};

use serde_json::json;
use translate::checkpoint::{Dtype, ModelFiles};
use translate::compute::Workspace;
use translate::layouts::{Form, Opened, convert};
use translate::model::Record;
use translate::{Precision, Request, Translation, Translator};

use crate::program::run;

/// Directories of models below `tests/fixtures/PARENT`.
fn models(parent: &str) -> Vec<PathBuf> {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(parent);
    let entries = std::fs::read_dir(&parent).unwrap().map(|entry| entry.unwrap().path());
    let model = |path: PathBuf| if path.join("model").is_dir() { path.join("model") } else { path };
    let mut models: Vec<PathBuf> = entries.filter(|path| path.is_dir()).map(model).collect();
    models.sort();
    models
}

/// What a model makes of some pieces of its own source vocabulary, in beams of 2.
fn translations(directory: &Path, precision: Precision) -> Vec<Translation> {
    let files = ModelFiles::Directory(directory.to_owned());
    let translator = Translator::builder().files(files).precision(precision).pieces(true).build();
    let translator = translator.unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let source = &translator.vocabularies().source;
    let special = source.specials();
    let pieces = (0..source.size() as u32).filter(|&id| !special.contains(id)).filter_map(|id| source.piece(id));
    let pieces: Vec<&str> = pieces.filter(|piece| !piece.contains(char::is_whitespace) && !piece.is_empty()).collect();
    let texts: Vec<String> = (1..6)
        .map(|length| pieces.iter().skip(length).step_by(3).take(length).copied().collect::<Vec<_>>().join(" "))
        .collect();
    let requests: Vec<Request> = texts.iter().map(|text| text.as_str().into()).collect();
    let mut options = translator.search_options();
    (options.beam_size, options.max_length) = (2, 10);
    translator.translate(&requests, &options, Record::default(), &mut Workspace::new(1)).unwrap()
}

/// Tokens and scores of the best translations.
fn best(translations: &[Translation]) -> Vec<(Vec<u32>, f32)> {
    let one = |translation: &Translation| {
        let best = &translation.best().unwrap().hypothesis;
        (best.ids.clone(), best.score)
    };
    translations.iter().map(one).collect()
}

fn converted(directory: &Path, out: &Path, dtype: Dtype, form: Form) {
    let files = ModelFiles::Directory(directory.to_owned());
    convert(&files, out, dtype, form).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
}

#[test]
fn a_checkpoint_of_any_toolkit_translates_the_same_once_it_is_converted() {
    let scratch = tempfile::tempdir().unwrap();
    let all = ["toolkits", "ctranslate2", "marian", "recurrent-layouts"].map(models).concat();
    assert!(all.len() > 50, "{} models", all.len());
    for (index, model) in all.iter().enumerate() {
        let (whole, small) = (scratch.path().join(format!("{index}")), scratch.path().join(format!("{index}-int8")));
        converted(model, &whole, Dtype::F32, Form::Own);
        let what = model.display();
        assert_eq!(best(&translations(model, Precision::F32)), best(&translations(&whole, Precision::F32)), "{what}");
        converted(model, &small, Dtype::I8, Form::Own);
        assert_eq!(
            best(&translations(model, Precision::Int8)),
            best(&translations(&small, Precision::Int8)),
            "{what}, int8"
        );
    }
}

#[test]
fn a_converted_directory_holds_what_tells_of_the_model_and_its_licence() {
    let scratch = tempfile::tempdir().unwrap();
    let model = scratch.path().join("model");
    std::fs::create_dir(&model).unwrap();
    let from = models("toolkits").into_iter().find(|path| path.ends_with("joeynmt_pre/model")).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, model.join(path.file_name().unwrap())).unwrap();
    }
    for (name, text) in [("README.md", "card"), ("LICENSE", "free"), ("notice.txt", "whose"), ("training.log", "no")] {
        std::fs::write(model.join(name), text).unwrap();
    }
    let out = scratch.path().join("out");
    let outcome = run(&["convert", model.to_str().unwrap(), out.to_str().unwrap(), "--dtype", "f16"], "");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    assert_eq!(std::fs::read_to_string(out.join("README.md")).unwrap(), "card");
    assert_eq!(std::fs::read_to_string(out.join("LICENSE")).unwrap(), "free");
    assert!(out.join("notice.txt").exists() && !out.join("training.log").exists());
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("config.json")).unwrap()).unwrap();
    assert_eq!(
        (&config["model_type"], &config["converted_from"]),
        (&json!("transformer"), &json!("joeynmt-transformer"))
    );
}

/// The written-out form of a BART of Hugging Face's, and back.
#[test]
fn a_network_that_fits_goes_back_to_the_form_of_bart() {
    let scratch = tempfile::tempdir().unwrap();
    let bart = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/bart");
    let (own, back) = (scratch.path().join("own"), scratch.path().join("back"));
    std::fs::create_dir(&own).unwrap();
    std::fs::copy(bart.join("model.safetensors"), own.join("model.safetensors")).unwrap();
    std::fs::copy(bart.join("generation_config.json"), own.join("generation_config.json")).unwrap();
    let opened = Opened::open(&ModelFiles::Directory(bart.clone())).unwrap();
    let translate::spec::Spec::Transformer(spec) = &opened.spec else { panic!("a Transformer") };
    let config = json!({"model_type": "transformer", "network": spec, "frame": opened.frame});
    std::fs::write(own.join("config.json"), config.to_string()).unwrap();
    let words = std::fs::read_to_string(bart.join("source_vocab.txt")).unwrap();
    let specials = json!({"begin": 0, "padding": 1, "end": 2, "unknown": 3});
    let list = json!({"pieces": words.lines().collect::<Vec<_>>(), "specials": specials});
    std::fs::write(own.join("pieces.json"), json!({ "source": list }).to_string()).unwrap();

    converted(&own, &back, Dtype::F32, Form::Bart);
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(back.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["architectures"], json!(["BartForConditionalGeneration"]));
    let expected = best(&translations(&bart, Precision::F32));
    assert_eq!(best(&translations(&own, Precision::F32)), expected);
    assert_eq!(best(&translations(&back, Precision::F32)), expected);
}

#[test]
fn a_network_that_does_not_fit_a_form_says_where_it_differs() {
    let scratch = tempfile::tempdir().unwrap();
    for (model, form, problem) in [
        ("joeynmt_pre/model", "marian", "its normalisations stand before the sublayers"),
        ("fairseq_args/model", "bart", "its positions are not learned ones that begin at the third row"),
        ("fairseq_args/model", "marian", "needs text to be cut by SentencePiece models"),
    ] {
        let path = models("toolkits").into_iter().find(|path| path.ends_with(model)).unwrap();
        let out = scratch.path().join("out");
        let outcome = run(&["convert", path.to_str().unwrap(), out.to_str().unwrap(), "--form", form], "");
        assert_eq!(outcome.status, 2, "{model}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(problem), "{model}: {}", outcome.stderr);
        assert!(!out.exists());
    }
}

/// Marian's own checkpoints, whose decoder begins with no token, get a token of zeros.
#[test]
fn a_checkpoint_of_marian_goes_to_the_form_of_hugging_face() {
    let scratch = tempfile::tempdir().unwrap();
    let spm = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sentencepiece/unigram.spm");
    let mut compared = 0;
    for (index, model) in models("marian").iter().enumerate() {
        let copy = scratch.path().join(format!("{index}"));
        std::fs::create_dir(&copy).unwrap();
        for entry in std::fs::read_dir(model).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
        }
        for side in ["source.spm", "target.spm"] {
            std::fs::copy(&spm, copy.join(side)).unwrap();
        }
        let out = scratch.path().join(format!("{index}-marian"));
        // SSRU, average attention and the like have no class.
        if let Err(error) = convert(&ModelFiles::Directory(copy.clone()), &out, Dtype::F32, Form::Marian) {
            assert!(error.to_string().contains("cannot be written in the form of marian"), "{error}");
            continue;
        }
        // Hugging Face takes no vector of one row.
        let opened = Opened::open(&ModelFiles::Directory(out.clone())).unwrap();
        let bias = opened.parameters.weights().shape("model.encoder.layers.0.fc1.bias").unwrap().len();
        assert_eq!(bias, 1, "{}", model.display());
        let (before, after) = (best(&translations(&copy, Precision::F32)), best(&translations(&out, Precision::F32)));
        // The class has another ε in its normalisations.
        for ((ids, score), (other_ids, other_score)) in before.iter().zip(&after) {
            assert_eq!(ids, other_ids, "{}", model.display());
            assert!((score - other_score).abs() < 1e-3, "{}: {score} and {other_score}", model.display());
        }
        compared += 1;
    }
    assert!(compared >= 1, "no model has the form");
}
