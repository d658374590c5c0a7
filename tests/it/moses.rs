//! Moses tokens and the vocabularies of FSMT, against sacremoses and Hugging Face's FSMTTokenizer.
//!
//! `tests/reference/moses_reference.py` writes the fixture and says what is in it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use translate::checkpoint::ModelFiles;
use translate::text::moses::Moses;
use translate::text::{Kind, Vocabularies, source_words};

#[derive(Deserialize)]
struct Fixture {
    lines: Vec<Line>,
    #[serde(default)]
    detokenized: Vec<Detokenized>,
    #[serde(default)]
    vocabulary: HashMap<String, Value>,
    #[serde(default)]
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Line {
    text: String,
    tokens: String,
    detokenized: String,
    #[serde(default)]
    unlike: HashMap<String, (String, String)>,
}

#[derive(Deserialize)]
struct Detokenized {
    tokens: String,
    text: String,
    #[serde(default)]
    unlike: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    lower_case_ids: Vec<u32>,
    target_ids: Vec<u32>,
    decoded: String,
}

fn fixture() -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/moses.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The rules of every language of the fixture; Moses knows nothing about `xx`.
static LANGUAGES: LazyLock<Vec<(&str, Moses)>> = LazyLock::new(|| {
    let names = ["en", "de", "ru", "fr", "es", "it", "pt", "nl", "cs", "pl", "ja", "zh", "ko", "fi", "xx"];
    names.into_iter().map(|name| (name, Moses::new(name))).collect()
});

fn split(tokens: &str) -> Vec<&str> {
    tokens.split(' ').filter(|token| !token.is_empty()).collect()
}

#[test]
fn tokens_and_the_text_they_give_equal_those_of_sacremoses() {
    let fixture = fixture();
    assert!(fixture.lines.len() > 200 && fixture.detokenized.len() > 15);
    for (language, moses) in &*LANGUAGES {
        for line in &fixture.lines {
            let common = (&line.tokens, &line.detokenized);
            let (tokens, text) = line.unlike.get(*language).map_or(common, |(tokens, text)| (tokens, text));
            assert_eq!(moses.tokenize(&line.text), split(tokens), "{language}: {:?}", line.text);
            assert_eq!(moses.detokenize(&split(tokens)), *text, "{language}: {tokens:?}");
        }
        for case in &fixture.detokenized {
            let text = case.unlike.get(*language).unwrap_or(&case.text);
            assert_eq!(moses.detokenize(&split(&case.tokens)), *text, "{language}: {:?}", case.tokens);
        }
    }
}

#[test]
fn dashes_of_czech_words_are_kept() {
    // Moses has them so; sacremoses fails.
    let moses = Moses::new("cs");
    assert_eq!(moses.detokenize(&split("x e&apos; - mail y")), "x e'-mail y");
    assert_eq!(moses.detokenize(&split("x e&apos; - y")), "x e' - y");
}

proptest! {
    #[test]
    fn any_text_has_tokens_without_spaces(text in "(\\PC|[\u{0}-\u{20}]|[.,'\"&@\\-\u{a0}\u{e000}]| de|es ){0,40}") {
        for (_, moses) in &*LANGUAGES {
            let tokens = moses.tokenize(&text);
            prop_assert!(tokens.iter().all(|token| !token.is_empty() && !token.contains(char::is_whitespace)));
            let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
            moses.detokenize(&tokens);
            moses.detokenize(&split(&text));
        }
    }
}

/// A directory with the vocabulary of the fixture, changed files in place of its own.
fn directory(vocabulary: &HashMap<String, Value>, changed: &[(&str, Option<&str>)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in vocabulary {
        let text = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    for (name, content) in changed {
        match content {
            Some(content) => std::fs::write(directory.path().join(name), content).unwrap(),
            None => std::fs::remove_file(directory.path().join(name)).unwrap(),
        }
    }
    directory
}

fn open(directory: &Path) -> translate::Result<Vocabularies> {
    Vocabularies::open(&ModelFiles::Directory(directory.to_owned()), &[Kind::Moses])
}

#[test]
fn ids_and_decoded_texts_equal_those_of_hugging_face() {
    let fixture = fixture();
    assert!(fixture.cases.len() > 50);
    let lower_case = r#"{"langs": ["en", "de"], "do_lower_case": true}"#;
    let plain = open(directory(&fixture.vocabulary, &[]).path()).unwrap();
    let lower = open(directory(&fixture.vocabulary, &[("tokenizer_config.json", Some(lower_case))]).path()).unwrap();
    for case in fixture.cases {
        assert_eq!(plain.source.encode(&case.text), case.ids, "{:?}", case.text);
        assert_eq!(lower.source.encode(&case.text), case.lower_case_ids, "{:?}", case.text);
        assert_eq!(plain.target.decode(&case.target_ids), case.decoded, "{:?}", case.target_ids);
        let ids: Vec<u32> = plain.source.segment(&case.text).into_iter().map(|piece| piece.id).collect();
        assert_eq!(ids, case.ids);
    }
}

#[test]
fn pieces_are_grouped_into_words_and_unknown_ones_carry_their_text() {
    let changed = [
        (
            "vocab-src.json",
            r#"{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "ab": 4, "c</w>": 5, "&": 6, "am": 7, "p;</w>": 8}"#,
        ),
        ("merges.txt", "a b\na m\np ;</w>\n"),
    ]
    .map(|(name, text)| (name, Some(text)));
    let source = open(directory(&fixture().vocabulary, &changed).path()).unwrap().source;
    let pieces = source.segment("abc x & abc");
    let texts: Vec<&str> = pieces.iter().map(|piece| piece.text.as_str()).collect();
    assert_eq!(texts, ["ab", "c</w>", "x</w>", "&", "am", "p;</w>", "ab", "c</w>"]);
    assert_eq!(source.encode("abc x & abc"), [4, 5, 3, 6, 7, 8, 4, 5]);
    let words = source_words(&*source, "", "abc x& abc", &[4, 5, 3, 6, 7, 8, 4, 5, 2]);
    let found: Vec<(&str, std::ops::Range<usize>)> =
        words.iter().map(|w| (w.text.as_str(), w.pieces.clone())).collect();
    assert_eq!(found, [("abc", 0..2), ("x&", 2..6), ("abc", 6..8)]);
    assert_eq!((source.readable("&amp;</w>"), source.size()), ("&".to_owned(), 9));
    assert!(source.ends_word("x</w>") && !source.begins_word(4));
}

#[test]
fn incomplete_directories_are_errors_that_say_what_to_add() {
    let vocabulary = fixture().vocabulary;
    for (name, content, problem) in [
        ("merges.txt", None, "merges.txt: this file of the vocabulary is missing; add it"),
        ("vocab-tgt.json", None, "vocab-tgt.json: this file of the vocabulary is missing; add it"),
        ("tokenizer_config.json", None, "tokenizer_config.json: needs `langs`, the source and the target language"),
        ("tokenizer_config.json", Some(r#"{"langs": ["en"]}"#), "tokenizer_config.json: needs `langs`"),
        ("merges.txt", Some("a b\nab"), "merges.txt: not a usable list of merges: line 2 is \"ab\""),
        ("vocab-src.json", Some("[]"), "vocab-src.json: not a usable vocabulary: "),
    ] {
        let directory = directory(&vocabulary, &[(name, content)]);
        let error = open(directory.path()).err().unwrap().to_string();
        assert!(error.contains(problem) && !error.contains('\n'), "{error}");
    }
}

/// `../shared/families/fsmt-en-de`; skipped, said so, where the folder is absent.
#[test]
fn a_published_directory_has_the_ids_and_texts_of_hugging_face() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/families/fsmt-en-de");
    if !folder.is_dir() {
        eprintln!("skipped: there is no ../shared/families/fsmt-en-de");
        return;
    }
    let expected: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("expected.json")).unwrap()).unwrap();
    let vocabularies = open(&folder).unwrap();
    let ids = |value: &Value| -> Vec<u32> {
        value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
    };
    for case in expected["cases"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        // There special tokens written in a text become tokens, here they are text.
        if case["special_tokens_in_text"] != true {
            let mut found = vocabularies.source.encode(text);
            found.extend(vocabularies.source.specials().end);
            assert_eq!(found, ids(&case["source_ids"]), "{text:?}");
        }
        for hypothesis in [&case["greedy"]].into_iter().chain(case["beam4"].as_array().unwrap()) {
            assert_eq!(vocabularies.target.decode(&ids(&hypothesis["ids"])), hypothesis["text"], "{text:?}");
        }
    }
}
