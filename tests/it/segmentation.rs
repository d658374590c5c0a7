//! How text is cut for models whose vocabulary is a list of pieces: against sacremoses and subword-nmt, and through the
//! program.
//!
//! `tests/reference/segmentation_reference.py` writes the fixture, says what is in it, and writes the same of many lines for
//! `TRANSLATE_SEGMENTATION=FILE`.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use regex::RegexBuilder;
use serde::Deserialize;
use serde_json::{Value, json};
use translate::checkpoint::ModelFiles;
use translate::text::moses::{Moses, Normalization, Truecaser, detruecase};
use translate::text::subwords::Codes;
use translate::text::{PieceList, Pretokenizer, Segmentation, SideSegmentation, Unit, Vocabularies, source_words};

use crate::program::{Program, model};

#[derive(Deserialize)]
struct Reference {
    protected_patterns: Vec<String>,
    truecase_models: HashMap<String, String>,
    codes: HashMap<String, String>,
    vocabulary: String,
    threshold: u64,
    glossary: Vec<String>,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    language: String,
    text: String,
    punctuation: String,
    tokens: String,
    argos: String,
    bare: String,
    protected: String,
    truecased: String,
    detruecased: String,
    detokenized: Option<String>,
    second: String,
    first: String,
    limited: String,
    glossary: String,
}

/// The fixture, or the file that the environment names.
fn reference() -> Reference {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/segmentation.json");
    let path = std::env::var_os("TRANSLATE_SEGMENTATION").map_or(fixture, PathBuf::from);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn split(tokens: &str) -> Vec<String> {
    tokens.split_whitespace().map(str::to_owned).collect()
}

/// What differs, by kind; few lines of each are shown.
#[derive(Default)]
struct Differences(BTreeMap<(String, String), (usize, usize)>);

impl Differences {
    fn check(&mut self, kind: &str, line: &Line, found: &str, expected: &str) {
        let counts = self.0.entry((kind.to_owned(), line.language.clone())).or_default();
        counts.1 += 1;
        if found != expected {
            counts.0 += 1;
            if counts.0 <= 3 {
                println!("{kind}, {}: {:?}\n  found    {found:?}\n  expected {expected:?}", line.language, line.text);
            }
        }
    }
}

#[test]
fn texts_are_cut_and_put_together_as_by_sacremoses_and_subword_nmt() {
    let reference = reference();
    let pattern = |pattern: &String| RegexBuilder::new(pattern).case_insensitive(true).build().unwrap();
    let patterns: Vec<_> = reference.protected_patterns.iter().map(pattern).collect();
    let truecasers: HashMap<&str, Truecaser> = reference
        .truecase_models
        .iter()
        .map(|(language, model)| (language.as_str(), Truecaser::parse(model.as_bytes(), "truecase model").unwrap()))
        .collect();
    let codes = |name: &str| Codes::parse(reference.codes[name].as_bytes(), name).unwrap();
    let limited =
        codes("second").with_vocabulary(reference.vocabulary.as_bytes(), Some(reference.threshold), "vocabulary");
    let codes = [
        ("second", codes("second")),
        ("counted", codes("counted")),
        ("first", codes("first")),
        ("limited", limited.unwrap()),
        ("glossary", codes("second").with_glossary(&reference.glossary).unwrap()),
    ];
    let mut differences = Differences::default();
    let mut rules: HashMap<&str, [Moses; 4]> = HashMap::new();
    for line in &reference.lines {
        let [plain, argos, bare, protected] = rules.entry(&line.language).or_insert_with(|| {
            let moses = || Moses::new(&line.language).with_normalization(Normalization::None);
            [
                moses().with_hyphens_split(false),
                moses().with_normalization(Normalization::Punctuation).with_hyphens_split(false),
                moses().with_escapes(false),
                moses().with_protected(patterns.clone()),
            ]
        });
        differences.check("punctuation", line, &argos.normalize(&line.text), &line.punctuation);
        let mut tokens = plain.tokenize(&line.text);
        differences.check("tokens", line, &tokens.join(" "), &line.tokens);
        differences.check("argos", line, &argos.tokenize(&line.text).join(" "), &line.argos);
        differences.check("bare", line, &bare.tokenize(&line.text).join(" "), &line.bare);
        differences.check("protected", line, &protected.tokenize(&line.text).join(" "), &line.protected);
        tokens = split(&line.tokens);
        truecasers[line.language.as_str()].truecase(&mut tokens);
        differences.check("truecased", line, &tokens.join(" "), &line.truecased);
        tokens = split(&line.truecased);
        detruecase(&mut tokens);
        differences.check("detruecased", line, &tokens.join(" "), &line.detruecased);
        if let Some(detokenized) = &line.detokenized {
            let tokens: Vec<&str> = line.detruecased.split_whitespace().collect();
            differences.check("detokenized", line, &plain.detokenize(&tokens), detokenized);
        }
        for (name, codes) in &codes {
            let mut pieces = Vec::new();
            for word in line.tokens.split(' ') {
                codes.cut(word, |piece, is_last| pieces.push(format!("{piece}{}", if is_last { "" } else { "@@" })));
            }
            let expected = match *name {
                "second" | "counted" => &line.second,
                "first" => &line.first,
                "limited" => &line.limited,
                _ => &line.glossary,
            };
            differences.check(name, line, &pieces.join(" "), expected);
        }
    }
    for ((kind, language), (different, all)) in &differences.0 {
        println!("{kind}, {language}: {different} of {all} lines differ");
    }
    assert!(reference.lines.len() > 50);
    assert!(differences.0.values().all(|(different, _)| *different == 0), "see the lines above");
}

/// Pieces of a list and a text whose codes and truecase model lie in a directory.
fn directory(files: &[(&str, &str)]) -> (tempfile::TempDir, ModelFiles) {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let files = ModelFiles::Directory(directory.path().to_owned());
    (directory, files)
}

fn list(pieces: &str) -> PieceList {
    PieceList::new(pieces.split(' ').map(str::to_owned).collect(), "list")
}

fn open(files: &ModelFiles, pieces: &str, segmentation: &Segmentation) -> translate::Result<Vocabularies> {
    Vocabularies::of_lists(files, list(pieces), None, segmentation)
}

const CODES: &str = "#version: 0.2\nl o\nlo w\ne r</w>\n@ -\n@- @</w>\n\
    & a\n&a p\n&ap o\n&apo s\n&apos ;\n&apos; s</w>\n& q\n&q u\n&qu o\n&quo t\n&quot ;</w>\n";

#[test]
fn codes_that_lie_with_a_list_cut_moses_tokens() {
    let (_directory, files) = directory(&[("bpe.codes", CODES)]);
    let english = Segmentation::both(SideSegmentation { language: Some("en".into()), ..SideSegmentation::default() });
    let found = open(&files, "<unk> </s> low@@ er w@@ e@@ l@@ l @-@ &apos;s . &quot; lo@@ w", &english).unwrap();
    assert!(found.notes.is_empty());
    let (source, text) = (found.source, "\"Lower well-lower's.\"");
    let pieces: Vec<String> = source.segment("\"lower well-lower's .\"").into_iter().map(|piece| piece.text).collect();
    assert_eq!(pieces.join(" "), "&quot; low@@ er w@@ e@@ l@@ l @-@ low@@ er &apos;s . &quot;");
    // Of `&lt; / s &gt;` the list has one piece.
    assert_eq!(source.encode("lower's </s> lower"), [2, 3, 9, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3]);
    assert_eq!(found.target.decode(&[11, 2, 3, 4, 5, 6, 7, 8, 2, 3, 9, 11, 10, 1]), "\"lower well-lower's\".");
    assert_eq!(found.target.decode(&[2, 3, 12]), "lower lo");
    let ids = source.encode("well-lower's. low");
    let words = source_words(&*source, "", "well-lower's. low", &[&ids[..], &[1]].concat());
    let words: Vec<_> = words.iter().map(|word| (word.text.as_str(), word.pieces.clone())).collect();
    assert_eq!(words, [("well-lower's.", 0..10), ("low", 10..12)]);
    assert!(source.unencodable(text).is_none());
    // Nobody says the languages.
    let note = &open(&files, "<unk> low", &Segmentation::default()).unwrap().notes;
    assert!(note.len() == 1 && note[0].contains("--pretokenize moses:de-en"), "{note:?}");
}

#[test]
fn the_codes_of_the_sides_differ_and_lists_may_mark_the_ends_of_words() {
    let (_directory, files) = directory(&[("source.bpe", "l o 5\nlo w</w> 3\n"), ("target.bpe", CODES)]);
    let none = SideSegmentation { pretokenize: Some(Pretokenizer::None), ..SideSegmentation::default() };
    let found = open(&files, "<unk> low</w> lo w er</w>", &Segmentation::both(none)).unwrap();
    assert_eq!((found.source.encode("low lower"), found.target.encode("lower")), (vec![1, 2, 3, 0, 0], vec![0, 4]));
    assert_eq!(found.target.decode(&[2, 3, 4, 1]), "lower low");
    assert!(found.source.ends_word("low</w>") && found.source.readable("lower</w>") == "lower");
}

#[test]
fn an_argos_package_has_its_codes_and_languages_one_level_up() {
    let metadata = r#"{"from_code": "fr", "to_code": "en"}"#;
    let (directory, _) = directory(&[("bpe.model", CODES), ("metadata.json", metadata), ("model/list.txt", "")]);
    let files = ModelFiles::Directory(directory.path().join("model"));
    let found = open(&files, "<unk> l&apos; eau a-b", &Segmentation::default()).unwrap();
    let pieces: Vec<String> = found.source.segment("l’eau a-b").into_iter().map(|piece| piece.text).collect();
    assert_eq!((pieces.join(" ").as_str(), found.notes.len()), ("l@@ &apos@@ ; e@@ a@@ u a@@ -@@ b", 0));
}

#[test]
fn unusable_segmentation_is_an_error_that_says_what_to_do() {
    let (_directory, files) = directory(&[("a.bpe", CODES), ("b.bpe", CODES), ("source.spm", "")]);
    let error = |side: SideSegmentation| open(&files, "a", &Segmentation::both(side)).err().unwrap().to_string();
    let side = SideSegmentation::default;
    let missing = error(SideSegmentation { codes: Some("c".into()), ..side() });
    assert!(missing.contains("c: no such file, but text is to be cut with it"), "{missing}");
    let several = error(SideSegmentation { unit: Some(Unit::Codes), ..side() });
    assert!(
        several.contains("has several files that could cut text, a.bpe, b.bpe; name one as `source.bpe`"),
        "{several}"
    );
    let protected_patterns = Some(vec!["(".to_owned()]);
    let pattern = error(SideSegmentation { protected_patterns, unit: Some(Unit::Words), ..side() });
    assert!(pattern.contains("`protected_patterns`: \"(\" is no regular expression"), "{pattern}");
    let empty = error(side());
    assert!(empty.contains("source.spm: not a usable SentencePiece model"), "{empty}");
}

/// The first pieces of the model below.
const SOURCE: &str = "low@@ er w@@ e@@ l@@ l lo@@ w . &apos;s @-@";

/// A small trained model, its words renamed, with further keys in its configuration and further files.
fn renamed(keys: &[(&str, Value)], files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let tutorial = model("tutorial_transformer");
    for entry in tutorial.read_dir().unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), directory.path().join(entry.file_name())).unwrap();
    }
    let rename = |name: &str, piece: &dyn Fn(usize, &str) -> String| {
        let path = directory.path().join(name);
        let words = std::fs::read_to_string(&path).unwrap();
        let renamed =
            words.lines().enumerate().map(|(id, word)| if id < 4 { word.to_owned() } else { piece(id, word) });
        std::fs::write(&path, renamed.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    };
    rename("source_vocab.txt", &|id, word| SOURCE.split(' ').nth(id - 4).unwrap_or(word).to_owned());
    rename("target_vocab.txt", &|id, word| if id % 2 == 0 { format!("{word}@@") } else { word.to_owned() });
    let path = directory.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (key, value) in keys {
        config[*key] = value.clone();
    }
    std::fs::write(path, config.to_string()).unwrap();
    for (name, content) in files {
        std::fs::write(directory.path().join(name), content).unwrap();
    }
    directory
}

const TEXTS: &str = "Lower well-lower.\nlow lower's.\nLOW low low low lower\n";
const PIECES: &str =
    "low@@ er w@@ e@@ l@@ l @-@ low@@ er .\nlo@@ w low@@ er &apos;s .\nlo@@ w lo@@ w lo@@ w lo@@ w low@@ er\n";
const TRUECASE: &str = "lower (3/3)\nlow (3/3)\n";

/// What the program writes for the pieces, put together by the detokenizer.
fn expected(directory: &tempfile::TempDir, detruecases: bool) -> String {
    let pieces = Program::with_model(directory.path()).arg("--pieces").run(PIECES).success();
    let moses = Moses::new("de");
    let text = |line: &str| {
        // Unknown pieces are no text.
        let words = split(line).into_iter().filter(|piece| piece != "<unk>").collect::<Vec<_>>().join(" ");
        let words = words.replace("@@ ", "");
        let mut tokens = split(words.strip_suffix("@@").unwrap_or(&words));
        if detruecases {
            detruecase(&mut tokens);
        }
        moses.detokenize(&tokens.iter().map(String::as_str).collect::<Vec<_>>()) + "\n"
    };
    assert!(pieces.contains("@@ ") && pieces.lines().count() == 3, "{pieces}");
    pieces.lines().map(text).collect()
}

#[test]
fn options_say_how_text_is_cut_where_the_directory_does_not() {
    let directory = renamed(&[], &[("words.codes", CODES), ("words.truecase", TRUECASE)]);
    let path = |name| directory.path().join(name);
    let mut program = Program::with_model(directory.path());
    program.args(["--pretokenize", "moses:en-de", "--codes"]).arg(path("words.codes"));
    program.arg("--truecase-model").arg(path("words.truecase"));
    assert_eq!(program.run(TEXTS).success(), expected(&directory, true));
    // Named from where the command runs.
    let mut program = Program::with_model(".");
    program.current_dir(directory.path()).args(["--codes", "words.codes", "--pretokenize", "moses:en"]);
    let lower = TEXTS.to_lowercase();
    assert_eq!(program.run(&lower).success(), expected(&directory, false));
    let mut program = Program::with_model(directory.path());
    let without_languages = program.arg("--codes").arg(path("words.codes")).run(&lower);
    assert!(without_languages.stderr.contains("the Moses rules of no language"), "{}", without_languages.stderr);
    assert_eq!(without_languages.status, 0);
}

#[test]
fn a_configuration_says_how_text_is_cut() {
    let segmentation = json!({
        "codes": "words.codes", "lowercase": true, "source": {"language": "en"}, "target": {"language": "de"},
    });
    let directory = renamed(&[("segmentation", segmentation)], &[("words.codes", CODES)]);
    let expected = expected(&directory, false);
    assert_eq!(Program::with_model(directory.path()).run(TEXTS).success(), expected);
    // A clean directory says the same, and has the codes.
    let out = directory.path().join("clean");
    Program::new().arg("convert").arg(directory.path()).arg(&out).run("").success();
    assert_eq!(Program::with_model(&out).run(TEXTS).success(), expected);
    // An option goes before it.
    let mut program = Program::with_model(directory.path());
    let pieces = program.args(["--pretokenize", "none"]).run("lower low .\n").success();
    assert!(!pieces.is_empty() && pieces.lines().count() == 1);
}

#[test]
fn what_a_model_cannot_do_with_text_is_refused_in_one_line() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/directories/bart_tokenizer");
    let refused = Program::with_model(directory).args(["--codes", "x"]).run("a\n");
    assert_eq!(refused.status, 2);
    assert!(refused.error().contains("are for models whose vocabulary is a list of pieces"), "{}", refused.error());
    for (value, problem) in
        [("penn", "must be moses or none"), ("moses:d", "two ISO 639 codes"), ("moses:de-", "two ISO 639 codes")]
    {
        let refused = Program::new().args(["--pretokenize", value]).run("");
        assert!(refused.status == 2 && refused.stderr.contains(problem), "{}", refused.stderr);
    }
    for (segmentation, problem) in [
        (json!({"unit": "syllables"}), "`unit` of `segmentation` is \"syllables\"; it can be words, characters"),
        (json!({"code": "x"}), "`segmentation` has no key `code`; its keys are unit, model, codes"),
        (json!({"glossary": [1]}), "`glossary` is [1], but a list of at most 64 texts is expected"),
        (json!({"codes": "x"}), "x: no such file, but text is to be cut with it"),
        (json!({"source": {"source": {}}}), "`segmentation` has no key `source`"),
    ] {
        let directory = renamed(&[("segmentation", segmentation)], &[]);
        let refused = Program::with_model(directory.path()).run("low\n");
        assert_eq!(refused.status, 1);
        assert!(refused.error().contains(problem), "{}", refused.error());
    }
}
