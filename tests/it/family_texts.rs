//! Published families from text to text: vocabularies, languages and instructions, through the library.
//!
//! The checkpoints and what Hugging Face transformers makes of them lie beside the project in `../shared/families`; where
//! that folder is absent the tests say that they skip.

use std::path::{Path, PathBuf};

use serde_json::Value;
use translate::model::Record;
use translate::{Precision, Request, Translator, Workspace};

use crate::program::Program;

fn families() -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/families");
    if !found.is_dir() {
        eprintln!("skipped: ../shared/families is not there");
        return None;
    }
    Some(found)
}

fn expected(directory: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(directory.join(name)).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| u32::try_from(id.as_u64().unwrap()).unwrap()).collect()
}

/// Whether a text says something, and nothing that Hugging Face takes for a special token.
fn is_plain(case: &Value) -> bool {
    case["special_tokens_in_text"] != true && !case["text"].as_str().unwrap().trim().is_empty()
}

fn translator(directory: &Path, expected: &Value) -> Translator {
    let mut builder = Translator::builder().model(directory.to_str().unwrap()).precision(Precision::F32);
    if let Some(prefix) = expected["prefix"].as_str().filter(|prefix| !prefix.contains("{}")) {
        builder = builder.source_prefix(prefix);
    }
    builder.build().unwrap()
}

/// The tokens of every text, and the text of every translation, in one batch of all languages.
fn every_case_from_text_to_text(name: &str) {
    let Some(families) = families() else { return };
    let directory = families.join(name);
    let file = if name == "t5-tie-contradiction" { "expected-separate-scaled.json" } else { "expected.json" };
    let expected = expected(&directory, file);
    let translator = translator(&directory, &expected);
    let plain: Vec<&Value> = expected["cases"].as_array().unwrap().iter().filter(|case| is_plain(case)).collect();
    let requests: Vec<Request> = plain
        .iter()
        .map(|case| Request {
            text: case["text"].as_str().unwrap().to_owned(),
            languages: match translator.languages().codes(translate::text::Side::Target)[..] {
                [] => None,
                _ => translator.languages().choose(case["src_lang"].as_str(), case["tgt_lang"].as_str()).ok(),
            },
            max_length: Some(case["max_length"].as_u64().unwrap() as usize - 1),
            ..Request::default()
        })
        .collect();
    let mut options = translator.search_options();
    (options.beam_size, options.n_best, options.length_penalty) = (1, 1, 1.0);
    // The cases were searched without the directory's own settings of these.
    (options.no_repeat_ngram, options.min_length, options.max_length) = (0, 0, 1000);
    let translations = translator.translate(&requests, &options, Record::default(), &mut Workspace::new(1)).unwrap();
    let mut compared = 0;
    for (case, translation) in plain.iter().zip(&translations) {
        let text = &case["text"];
        if case.get("greedy").is_none() {
            continue;
        }
        if let Some(newer) = case.get("source_ids_transformers_5") {
            // The directory was saved anew by transformers 5, whose tokenizer.json it is.
            assert_eq!(translation.source, ids(newer), "{name}: source ids of {text}");
            continue;
        }
        assert_eq!(translation.source, ids(&case["source_ids"]), "{name}: source ids of {text}");
        let is_no_tie = || case["greedy"]["min_gap"].as_f64().unwrap() > 1e-3;
        if !case["greedy"]["same_in_f64"].as_bool().unwrap_or_else(is_no_tie) {
            continue;
        }
        let best = &translation.candidates[0];
        let mut found = best.hypothesis.ids.clone();
        found.extend(best.hypothesis.ended.then_some(options.end_token));
        assert_eq!(found, ids(&case["greedy"]["ids"])[1..], "{name}: translation of {text}");
        // transformers 4.57 leaves M2M100's language in some texts; a reader has no use for it.
        let wanted = case["greedy"]["text"].as_str().unwrap();
        let language = format!("__{}__", case["tgt_lang"].as_str().unwrap_or_default());
        // Python's strip takes separators of ASCII for spaces.
        let strip =
            |text: &str| text.trim_matches(|c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)).to_owned();
        let wanted = strip(wanted.strip_prefix(&language).unwrap_or(wanted));
        assert_eq!(strip(&best.text), wanted, "{name}: text of {text}");
        let wanted = case["greedy"]["sum_logprob"].as_f64().unwrap();
        assert!((f64::from(best.hypothesis.log_prob) - wanted).abs() < 2e-4 * wanted.abs().max(1.0), "{name}: {text}");
        compared += 1;
    }
    assert!(compared > 10, "{name}: only {compared} cases compared");
}

macro_rules! families {
    ($($test:ident: $name:literal,)*) => { $(#[test] fn $test() { every_case_from_text_to_text($name); })* };
}

families! {
    bart_with_byte_level_files: "bart-forced-bos",
    bart_with_a_short_table: "bart-short-table",
    m2m100_with_its_published_vocabulary: "m2m100-real",
    m2m100_without_a_tokenizer_json: "m2m100-untied",
    madlad_with_languages_in_the_text: "madlad-400",
    mbart_with_its_language_last: "mbart-25",
    mbart_50_with_its_language_first: "mbart-50",
    mt5_with_byte_pieces: "mt5-bin",
    nllb: "nllb-200",
    nllb_in_the_first_published_order: "nllb-200-legacy",
    nllb_saved_by_transformers_5: "nllb-200-v5",
    t5_with_its_published_tokenizer: "t5-small-real",
    t5_with_a_head_of_its_own: "t5-tie-contradiction",
    t5_1_1: "t5-v1-1",
    umt5: "umt5-layer-bias",
}

/// The tokens of published tokenizers, without a model around them.
#[test]
fn published_sentencepiece_models_are_numbered_as_their_family_does() {
    use translate::checkpoint::ModelFiles;
    use translate::text::{Kind, Numbering, Vocabularies};
    let Some(families) = families() else { return };
    let models = [("legal_t5_small_trans_fr_en", Numbering::Own), ("pegasus-cnn_dailymail", Numbering::Reserved)];
    for (name, numbering) in models {
        let directory = families.join("real-tokenizers").join(name);
        let files = ModelFiles::Directory(directory.clone());
        let vocabularies = Vocabularies::open(&files, &[Kind::SentencePiece(numbering)]).unwrap();
        for case in expected(&directory, "expected-tokens.json")["cases"].as_array().unwrap() {
            if !is_plain(case) {
                continue;
            }
            let mut found = vocabularies.source.encode(case["text"].as_str().unwrap());
            found.push(1);
            assert_eq!(found, ids(&case["source_ids"]), "{name}: {}", case["text"]);
        }
    }
}

/// Its searches are not compared: transformers 4.57 gives every step of its decoder the position of the first.
#[test]
fn fsmt_cuts_text_into_moses_tokens_and_puts_them_together() {
    let Some(families) = families() else { return };
    let directory = families.join("fsmt-en-de");
    let expected = expected(&directory, "expected.json");
    let translator = translator(&directory, &expected);
    for case in expected["cases"].as_array().unwrap().iter().filter(|case| is_plain(case)) {
        let text = case["text"].as_str().unwrap();
        assert_eq!(translator.source_ids(text).0, ids(&case["source_ids"]), "{text}");
        let found = translator.vocabularies().target.decode(&ids(&case["greedy"]["ids"])[1..]);
        assert_eq!(found, case["greedy"]["text"].as_str().unwrap().trim(), "{text}");
    }
}

#[test]
fn every_family_shows_its_attention_and_takes_what_every_model_takes() {
    let Some(families) = families() else { return };
    let mut seen = 0;
    for entry in std::fs::read_dir(families).unwrap() {
        let directory = entry.unwrap().path();
        let Ok(text) = std::fs::read(directory.join("expected.json")) else { continue };
        if !directory.join("config.json").exists() {
            continue;
        }
        let expected: Value = serde_json::from_slice(&text).unwrap();
        let case = &expected["cases"].as_array().unwrap().iter().find(|case| is_plain(case)).unwrap();
        let mut languages = Vec::new();
        for (option, key) in [("--from", "src_lang"), ("--to", "tgt_lang")] {
            languages.extend(case[key].as_str().into_iter().flat_map(|code| [option, code]));
        }
        let program = |arguments: &[&str], input: &str| {
            let mut program = Program::new();
            program.args(arguments).arg("--model").arg(&directory).args(&languages);
            let outcome = program.run(input);
            assert_eq!(outcome.status, 0, "{}, {arguments:?}: {}", directory.display(), outcome.stderr);
            outcome.stdout
        };
        let text = "A small dog.\n";
        let best = program(&["--n-best", "3", "--beam-size", "4", "--max-length", "12"], text);
        assert_eq!(best.lines().count(), 3, "{}", directory.display());
        program(&["--prefix", "a", "--max-length", "12"], text);
        let json: Value =
            serde_json::from_str(&program(&["--format", "json", "--alignments", "--max-length", "12"], text)).unwrap();
        assert!(json["alignment"].is_array(), "{json}");
        let score: f64 =
            program(&["score"], "A small dog.\ta dog\n").split('\t').next().unwrap().trim().parse().unwrap();
        assert!(score < 0.0, "{}: {score}", directory.display());
        for kind in ["cross", "encoder", "decoder"] {
            let shown = program(&["attn-dump", "--kind", kind, "--format", "json", "--max-length", "12"], text);
            let shown: Value = serde_json::from_str(&shown).unwrap();
            let rows = shown["matrix"].as_array().unwrap();
            assert_eq!(rows.len(), shown["rows"].as_array().unwrap().len());
            for row in rows {
                let sum: f64 = row.as_array().unwrap().iter().map(|weight| weight.as_f64().unwrap()).sum();
                assert!((sum - 1.0).abs() < 1e-3, "{}, {kind}: a row sums to {sum}", directory.display());
            }
        }
        seen += 1;
    }
    assert!(seen >= 16, "{seen} families");
}
