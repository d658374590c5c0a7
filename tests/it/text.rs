//! Vocabularies against the reference libraries, and against damaged files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use translate::Error;
use translate::checkpoint::ModelFiles;
use translate::text::sentencepiece::{ModelType, SentencePiece};
use translate::text::{
    Kind, Numbering, SentencePieceVocabulary, Vocabularies, Vocabulary, VocabularyTable, source_words,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sentencepiece").join(name)
}

fn read_json_lines<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let text = std::fs::read_to_string(fixture(name)).unwrap();
    text.split_terminator('\n').map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How the reference library cuts and decodes one line; `sentencepiece_reference.py` says what is left out when.
#[derive(Deserialize)]
struct Expected {
    ids: String,
    #[serde(default)]
    unknown: Vec<String>,
    text: Option<String>,
    text_of_pieces: Option<String>,
}

fn equals_the_reference(name: &str) {
    let model = SentencePiece::open(fixture(&format!("{name}.spm"))).unwrap();
    let lines: Vec<String> = read_json_lines("lines.jsonl");
    let expected: Vec<Expected> = read_json_lines(&format!("{name}.jsonl"));
    assert!(lines.len() >= 2000 && lines.len() == expected.len());
    for (line, expected) in lines.iter().zip(expected) {
        let ids: Vec<u32> = expected.ids.chars().map(|id| u32::from(id) - 0x100).collect();
        let mut unknown = expected.unknown.into_iter();
        let piece_of = |&id: &u32| match model.unknown() == Some(id) {
            true => unknown.next().unwrap(),
            false => model.piece(id).unwrap().to_owned(),
        };
        let pieces: Vec<String> = ids.iter().map(piece_of).collect();
        let text = expected.text.unwrap_or_else(|| line.clone());
        let text_of_pieces = expected.text_of_pieces.unwrap_or_else(|| text.clone());

        assert_eq!(model.encode(line), ids, "ids of {line:?}");
        let found: Vec<String> = model.segment(line).into_iter().map(|segment| segment.piece).collect();
        assert_eq!(found, pieces, "pieces of {line:?}");
        assert_eq!(model.decode(&ids), text, "decoded ids of {line:?}");
        let decoded = model.decode_pieces(pieces.iter().map(String::as_str));
        assert_eq!(decoded, text_of_pieces, "decoded pieces of {line:?}");
    }
}

#[test]
fn unigram_equals_the_reference() {
    equals_the_reference("unigram");
}

#[test]
fn unigram_with_byte_fallback_equals_the_reference() {
    equals_the_reference("unigram-bytes");
}

#[test]
fn byte_pair_encoding_equals_the_reference() {
    equals_the_reference("bpe");
}

#[test]
fn byte_pair_encoding_with_byte_fallback_equals_the_reference() {
    equals_the_reference("bpe-bytes");
}

#[test]
fn a_model_tells_its_type_and_pieces() {
    let model = SentencePiece::open(fixture("unigram.spm")).unwrap();
    assert_eq!(model.model_type(), ModelType::Unigram);
    assert_eq!((model.piece(0), model.unknown()), (Some("<unk>"), Some(0)));
    assert_eq!(model.piece(model.size() as u32), None);
    for id in 0..model.size() as u32 {
        assert_eq!(model.id(model.piece(id).unwrap()), Some(id));
    }
}

/// A quadratic step anywhere would take hours for these, not seconds.
#[test]
fn endless_lines_take_linear_time() {
    let (done, all) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for name in ["unigram.spm", "bpe-bytes.spm"] {
            let model = SentencePiece::open(fixture(name)).unwrap();
            let mixed = "der Hund läuft über die Straße, 狗在街上跑。 e\u{301}\u{323} ☃☃☃ ".repeat(10_000);
            let alike = [("x", 500_000), ("☃", 200_000), (" ", 500_000), ("\u{301}", 300_000)];
            for line in alike.map(|(text, times)| text.repeat(times)).into_iter().chain([mixed]) {
                model.decode(&model.encode(&line));
            }
        }
        done.send(()).unwrap();
    });
    // No measure of speed, only so long that no machine needs it for the ten lines.
    all.recv_timeout(Duration::from_secs(1800)).expect("a line that takes for ever, or a panic");
}

fn problem(bytes: &[u8]) -> String {
    match SentencePiece::parse(bytes, "some/source.spm") {
        Err(error @ Error::Model { .. }) => error.to_string(),
        Err(error) => panic!("unexpected kind of error: {error}"),
        Ok(_) => panic!("no error"),
    }
}

#[test]
fn damaged_models_are_named_in_one_line() {
    let bytes = std::fs::read(fixture("unigram.spm")).unwrap();
    for damaged in [&b""[..], b"version https://git-lfs.github.com/spec/v1\n", &bytes[..bytes.len() / 2], &bytes[1..]] {
        let message = problem(damaged);
        assert!(message.starts_with("some/source.spm: not a usable SentencePiece model: "), "{message}");
        assert!(!message.contains('\n'));
    }
    assert!(matches!(SentencePiece::open("no/such.spm"), Err(Error::Io { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Flipping bytes anywhere in a model gives an error or a model that still cuts every text.
    #[test]
    fn damaged_models_never_panic(
        name in prop::sample::select(vec!["bpe.spm", "unigram-bytes.spm"]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        text in "(\\PC|der|Hund| |\u{301}){0,30}",
    ) {
        let mut bytes = std::fs::read(fixture(name)).unwrap();
        for (position, byte) in damage {
            *position.get_mut(&mut bytes[..]) = byte;
        }
        if let Ok(model) = SentencePiece::parse(&bytes, name) {
            let ids = model.encode(&text);
            prop_assert!(ids.iter().all(|&id| model.piece(id).is_some()));
            model.decode(&ids);
        }
    }

    /// What the pieces say is the normalised text, whatever the text.
    #[test]
    fn pieces_put_together_are_the_normalised_text(text in "(\\PC|[\u{0}-\u{20}]|[\u{300}-\u{30f}]|der | ){0,60}") {
        for name in ["unigram.spm", "bpe.spm"] {
            let model = SentencePiece::open(fixture(name)).unwrap();
            let pieces: String = model.segment(&text).into_iter().map(|segment| segment.piece).collect();
            prop_assert_eq!(pieces, model.normalize(&text));
        }
    }
}

/// A Marian vocabulary over the unigram fixture whose table leaves out some pieces and has two languages.
fn marian() -> SentencePieceVocabulary {
    let model = Arc::new(SentencePiece::open(fixture("unigram.spm")).unwrap());
    let mut table = serde_json::Map::new();
    let pieces = (3..model.size() as u32).filter_map(|id| model.piece(id)).filter(|piece| *piece != "☃");
    for piece in ["</s>", "<unk>", ">>fra<<", ">>deu<<", "⛄"].into_iter().chain(pieces).chain(["<pad>"]) {
        table.insert(piece.to_owned(), table.len().into());
    }
    let table = VocabularyTable::parse(serde_json::to_string(&table).unwrap().as_bytes(), "vocab.json").unwrap();
    SentencePieceVocabulary::new(model, Arc::new(table)).with_language_in_text()
}

fn pieces_of(vocabulary: &dyn Vocabulary, text: &str) -> Vec<String> {
    vocabulary.encode(text).into_iter().map(|id| vocabulary.piece(id).unwrap().to_owned()).collect()
}

#[test]
fn a_leading_language_token_is_one_piece() {
    let vocabulary = marian();
    let languages: Vec<&str> = vocabulary.languages().iter().map(|language| language.code.as_str()).collect();
    assert_eq!(languages, ["deu", "fra"]);
    let plain = pieces_of(&vocabulary, "der hund");
    assert_eq!(pieces_of(&vocabulary, ">>fra<< der hund"), [&[">>fra<<".to_owned()], &plain[..]].concat());
    assert_eq!(pieces_of(&vocabulary, ">>xyz<< der hund"), [&["<unk>".to_owned()], &plain[..]].concat());
    for text in ["der >>fra<< hund", " >>fra<< der hund", ">>fra der hund", ">> der >>fra<< hund"] {
        assert!(!pieces_of(&vocabulary, text).contains(&">>fra<<".to_owned()), "{text}");
    }
}

#[test]
fn pieces_are_numbered_by_the_table() {
    let vocabulary = marian();
    let unknown = vocabulary.specials().unknown.unwrap();
    // Not in the table, though in the model; and the other way round.
    assert!(vocabulary.encode("☃").contains(&unknown));
    assert_eq!(pieces_of(&vocabulary, "der⛄").last().unwrap(), "⛄");
    // Control tokens written in a text stay text.
    assert!(!vocabulary.encode("</s>").contains(&vocabulary.specials().end.unwrap()));
    let unknown_piece = vocabulary.segment("der ☃").pop().unwrap();
    assert_eq!((unknown_piece.id, unknown_piece.text.as_str()), (unknown, "☃"));
}

#[test]
fn decoding_leaves_out_special_tokens() {
    let vocabulary = marian();
    let specials = vocabulary.specials();
    let mut ids = vocabulary.encode(">>deu<< der hund läuft");
    assert_eq!(vocabulary.decode(&ids[1..]), "der hund läuft");
    ids.extend([specials.end, specials.padding, Some(1_000_000)].into_iter().flatten());
    assert_eq!(vocabulary.decode(&ids[1..]), "der hund läuft");
    assert_eq!(vocabulary.decode(&[]), "");
}

#[test]
fn a_quotation_in_angle_marks_is_no_language_token() {
    let vocabulary = marian();
    let pieces = pieces_of(&vocabulary, ">>der hund<< spielt");
    assert!(pieces.iter().any(|piece| piece.contains("hund")), "{pieces:?}");
}

#[test]
fn spaces_are_cleaned_up_where_the_configuration_says_so() {
    let vocabulary = marian();
    let ids = vocabulary.encode("der hund .");
    assert_eq!(vocabulary.decode(&ids), "der hund .");
    assert_eq!(marian().with_clean_up_spaces(true).decode(&ids), "der hund.");
}

#[test]
fn words_are_those_of_the_text_whatever_the_vocabulary_makes_of_it() {
    let vocabulary = marian();
    // A language token, an unknown character within a word, a no-break space, and a word that is none to the vocabulary.
    let text = ">>deu<< der hundder\u{2603}\u{a0}l\u{e4}uft \u{2581} weg";
    let mut ids = vocabulary.encode(text);
    ids.extend(vocabulary.specials().end);
    let words = source_words(&vocabulary, "", text, &ids);
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    assert_eq!(texts, text.split(' ').collect::<Vec<_>>());
    assert!(words.iter().all(|word| text[word.bytes.clone()] == word.text));
    assert!(words[0].pieces.is_empty(), "a language's token is no word's piece");
    assert!(words[3].pieces.is_empty(), "nothing is left of a lone space symbol");
    assert_eq!((words[1].pieces.start, words[4].pieces.end), (1, ids.len() - 1), "all others are some word's");
    assert!(words.windows(2).all(|pair| pair[0].pieces.end <= pair[1].pieces.start));
}

#[test]
fn unusable_tables_are_errors() {
    for (table, problem) in [
        ("[]", "JSON object"),
        ("{\"a\": -1}", "JSON object"),
        ("{\"a\": 0}", "no `<unk>`"),
        ("{\"<unk>\": 4000000000}", "count up from 0"),
    ] {
        let error = VocabularyTable::parse(table.as_bytes(), "m/vocab.json").unwrap_err().to_string();
        assert!(error.starts_with("m/vocab.json: ") && error.contains(problem), "{error}");
    }
}

/// A model directory with these files, removed when it is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str, files: &[(&str, &[u8])]) -> Self {
        let path = std::env::temp_dir().join(format!("translate-text-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        for (file, bytes) in files {
            std::fs::write(path.join(file), bytes).unwrap();
        }
        Self(path)
    }

    fn open(&self) -> translate::Result<Vocabularies> {
        Vocabularies::open(&ModelFiles::Directory(self.0.clone()), &[Kind::Marian, Kind::TokenizerJson, Kind::WordList])
    }

    fn problem(&self) -> String {
        self.open().err().expect("an error").to_string()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_directory_with_spm_files_is_a_marian_vocabulary() {
    let spm = std::fs::read(fixture("bpe.spm")).unwrap();
    let shared = br#"{"</s>": 0, "<unk>": 1, "the": 2, "<pad>": 3}"#;
    let separate = br#"{"<unk>": 0, "the": 1, "</s>": 2}"#;
    let both = [("source.spm", &spm[..]), ("target.spm", &spm[..]), ("vocab.json", &shared[..])];

    let vocabularies = Directory::new("shared", &both).open().unwrap();
    assert_eq!((vocabularies.source.encode("the"), vocabularies.target.encode("the")), (vec![2], vec![2]));

    let separated = Directory::new("separate", &[&both[..], &[("target_vocab.json", &separate[..])]].concat());
    let vocabularies = separated.open().unwrap();
    assert_eq!((vocabularies.source.encode("the"), vocabularies.target.encode("the")), (vec![2], vec![1]));
    assert_eq!((vocabularies.source.size(), vocabularies.target.size()), (4, 3));
    assert_eq!(vocabularies.target.specials().end, Some(2));

    for missing in 0..3 {
        let mut files = both.to_vec();
        let (name, _) = files.remove(missing);
        let problem = Directory::new("missing", &files).problem();
        let wanted = if name == "vocab.json" { "vocab.json" } else { name };
        assert!(problem.contains(&format!("{wanted}: ")) && problem.contains("missing"), "{problem}");
    }
}

#[test]
fn a_directory_with_word_lists_or_tokenizers_is_recognised() {
    let lists = [("source_vocab.txt", &b"<unk>\nein\nHund\n"[..]), ("target_vocab.txt", b"<unk>\na\ndog\n.\n")];
    let vocabularies = Directory::new("lists", &lists).open().unwrap();
    assert_eq!(vocabularies.source.encode("ein Hund."), [1, 2, 0]);
    assert_eq!(vocabularies.target.decode(&[1, 2, 3]), "a dog.");
    assert!(Directory::new("one-list", &lists[..1]).problem().contains("target_vocab.txt"));

    let tokenizer = br#"{"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": {"<unk>": 0, "dog": 1}, "unk_token": "<unk>"}}"#;
    let vocabularies = Directory::new("tokenizer", &[("tokenizer.json", &tokenizer[..])]).open().unwrap();
    assert_eq!(vocabularies.source.encode("cat dog"), [0, 1]);

    let nothing = Directory::new("nothing", &[]).problem();
    assert!(nothing.contains("source.spm") && nothing.contains("tokenizer.json"), "{nothing}");
}

#[test]
fn pieces_are_numbered_as_the_published_families_do() {
    let kinds = |name: &str| match name {
        "t5" | "mt5" => Kind::SentencePiece(Numbering::Own),
        "pegasus" => Kind::SentencePiece(Numbering::Reserved),
        "mbart" | "mbart50" => Kind::SentencePiece(Numbering::MBart),
        "nllb" => Kind::SentencePiece(Numbering::Nllb),
        "m2m100" => Kind::SentencePiece(Numbering::Table),
        "byt5" => Kind::Bytes,
        _ => Kind::ByteLevel,
    };
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let expected = std::fs::read(fixtures.join("numbering.json")).unwrap();
    let expected: serde_json::Map<String, Value> = serde_json::from_slice(&expected).unwrap();
    assert_eq!(expected.len(), 9);
    for (name, wanted) in expected {
        let directory = tempfile::tempdir().unwrap();
        for (file, content) in wanted["files"].as_object().unwrap() {
            std::fs::write(directory.path().join(file), content.as_str().unwrap()).unwrap();
        }
        if let (Some(model), Some(file)) = (wanted["model"][0].as_str(), wanted["model"][1].as_str()) {
            std::fs::copy(fixtures.join("sentencepiece").join(model), directory.path().join(file)).unwrap();
        }
        let files = ModelFiles::Directory(directory.path().to_owned());
        let vocabulary = Vocabularies::open(&files, &[kinds(&name)]).unwrap().target;
        for (token, id) in wanted["tokens"].as_object().unwrap() {
            assert_eq!(vocabulary.id(token).map(Value::from), Some(id.clone()), "{name}: {token}");
        }
        for case in wanted["cases"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let ids = vocabulary.encode(text);
            assert_eq!(Value::from(ids.clone()), case["ids"], "{name}: {text}");
            assert_eq!(vocabulary.decode(&ids), case["decoded"].as_str().unwrap().trim(), "{name}: {text}");
        }
    }
}
