//! What is fuzzed: one function for each kind of input that somebody else wrote. Bad input must give an error of one line,
//! never a panic.
//!
//! libFuzzer drives these through `fuzz_targets/`; `tests/it/fuzz.rs` compiles this file too and drives them in every test
//! run.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::thread::ThreadId;

use translate::Translator;
use translate::checkpoint::{ModelFiles, Weights, read_yaml};
use translate::documents::{self, Document, Options, Part, Text, Translated};
use translate::layouts::Opened;
use translate::pipeline::Line;
use translate::text::VocabularyTable;
use translate::text::moses::{Merges, Moses, MosesVocabulary, Normalization, Truecaser, detruecase};
use translate::text::sentencepiece::{PlainNormalizer, SentencePiece};
use translate::text::subwords::Codes;
use translate::text::{TokenizerJson, Vocabulary};
use translate::{Precision, Workspace};

#[path = "../../src/cli/request.rs"]
mod request;

use request::{InputFormat, LineRequest};

/// A target by its name.
pub(super) type Target = (&'static str, fn(&[u8]));

/// Every target.
pub(super) const TARGETS: [Target; 13] = [
    ("config", config),
    ("safetensors", safetensors),
    ("pickle", pickle),
    ("ctranslate2", ctranslate2),
    ("marian", marian),
    ("marian_vocabulary", marian_vocabulary),
    ("yaml", yaml),
    ("sentencepiece", sentencepiece),
    ("normalizer", normalizer),
    ("tokenizer_json", tokenizer_json),
    ("moses", moses),
    ("json_input", json_input),
    ("documents", documents),
];

/// Sentences of all kinds for whatever vocabulary comes out.
const TEXTS: [&str; 6] = [
    "w010 w011, w012.",
    "Ein Hund läuft.",
    "",
    " \u{3000}a\u{301}\u{301}  ﬁ①",
    ">>fra<< 狗\u{0}☃👩‍👩‍👧",
    "\u{10fffd}\u{feff}",
];

/// `config.json` and `generation_config.json` beside the weights of a Transformer, a T5 and a GRU.
pub(super) fn config(data: &[u8]) {
    thread_local! {
        static TRANSFORMER: Scratch = Scratch::new("transformer", &[
            ("model.safetensors", include_bytes!("../../tests/fixtures/models/marian_relu/model.safetensors")),
            ("source_vocab.txt", include_bytes!("../../tests/fixtures/models/marian_relu/source_vocab.txt")),
            ("target_vocab.txt", include_bytes!("../../tests/fixtures/models/marian_relu/target_vocab.txt")),
        ]);
        static T5: Scratch = Scratch::new("t5", &[
            ("model.safetensors", include_bytes!("../../tests/fixtures/models/t5/model.safetensors")),
            ("source_vocab.txt", include_bytes!("../../tests/fixtures/models/t5/source_vocab.txt")),
            ("target_vocab.txt", include_bytes!("../../tests/fixtures/models/t5/target_vocab.txt")),
        ]);
        static GRU: Scratch = Scratch::new("gru", &[
            ("model.safetensors", include_bytes!("../../tests/fixtures/models/gru/model.safetensors")),
            ("source_vocab.txt", include_bytes!("../../tests/fixtures/models/gru/source_vocab.txt")),
            ("target_vocab.txt", include_bytes!("../../tests/fixtures/models/gru/target_vocab.txt")),
        ]);
    }
    for directory in [&TRANSFORMER, &T5, &GRU] {
        directory.with(|directory| {
            directory.write("config.json", data);
            directory.write("generation_config.json", data);
            if let Some(translator) = checked(Translator::open(&directory.files(), Precision::F32)) {
                let mut options = translator.search_options();
                // What is allowed may take long.
                options.max_length = options.max_length.min(5);
                let requests = ["w010 w011".into()];
                checked(translator.translate(&requests, &options, Default::default(), &mut Workspace::new(1)));
            }
        });
    }
}

/// `model.safetensors`.
pub(super) fn safetensors(data: &[u8]) {
    thread_local!(static DIRECTORY: Scratch = Scratch::new("safetensors", &[]));
    DIRECTORY.with(|directory| {
        directory.write("model.safetensors", data);
        read_weights(&directory.files());
    });
}

/// `pytorch_model.bin`.
pub(super) fn pickle(data: &[u8]) {
    thread_local!(static DIRECTORY: Scratch = Scratch::new("pickle", &[]));
    DIRECTORY.with(|directory| {
        directory.write("pytorch_model.bin", data);
        read_weights(&directory.files());
    });
}

/// CTranslate2's `model.bin`.
pub(super) fn ctranslate2(data: &[u8]) {
    thread_local!(static DIRECTORY: Scratch = Scratch::new("ctranslate2", &[
        ("config.json", br#"{"add_source_eos": true}"#),
        ("shared_vocabulary.json", br#"["<s>", "</s>", "<unk>"]"#),
    ]));
    DIRECTORY.with(|directory| {
        directory.write("model.bin", data);
        read_weights(&directory.files());
    });
}

/// Marian's `model.bin` and `model.npz`.
pub(super) fn marian(data: &[u8]) {
    thread_local! {
        static BINARY: Scratch = Scratch::new("marian-bin", &[("vocab.yml", b"</s>: 0\n<unk>: 1\n")]);
        static ARCHIVE: Scratch = Scratch::new("marian-npz", &[("vocab.yml", b"</s>: 0\n<unk>: 1\n")]);
    }
    for (name, directory) in [("model.bin", &BINARY), ("model.npz", &ARCHIVE)] {
        directory.with(|directory| {
            directory.write(name, data);
            read_weights(&directory.files());
        });
    }
}

/// Marian's `vocab.yml`.
pub(super) fn marian_vocabulary(data: &[u8]) {
    thread_local!(static DIRECTORY: Scratch = Scratch::new("marian-vocabulary", &[
        ("model.bin", include_bytes!("../seeds/marian/model.bin")),
    ]));
    DIRECTORY.with(|directory| {
        directory.write("vocab.yml", data);
        checked(Opened::open(&directory.files()));
    });
}

/// A configuration in YAML.
pub(super) fn yaml(data: &[u8]) {
    thread_local!(static DIRECTORY: Scratch = Scratch::new("yaml", &[]));
    DIRECTORY.with(|directory| {
        directory.write("config.yaml", data);
        checked(read_yaml(&directory.files(), "config.yaml"));
    });
}

/// Reads every tensor, and what a config would take from their shapes.
fn read_weights(files: &ModelFiles) {
    let Some(weights) = checked(Weights::open(files)) else { return };
    weights.size();
    let names: Vec<&str> = weights.names().collect();
    for name in &names {
        let shape = weights.shape(name).unwrap_or_default();
        if let Some(values) = checked(weights.tensor(name, shape)) {
            assert_eq!(values.len(), shape.iter().product::<usize>());
        }
        checked(weights.same(name, names[0]));
    }
    checked(Opened::open(files));
}

/// `source.spm` and `target.spm`.
pub(super) fn sentencepiece(data: &[u8]) {
    let Some(model) = checked(SentencePiece::parse(data, "fuzz.spm")) else { return };
    for text in TEXTS {
        let ids = model.encode(text);
        assert!(ids.iter().all(|&id| model.piece(id).is_some()), "an id without a piece");
        let pieces: String = model.segment(text).into_iter().map(|segment| segment.piece).collect();
        assert!(model.size() > 0);
        drop((pieces, model.decode(&ids), model.normalize(text)));
    }
}

/// The two SentencePiece normalisers, the fast one and the one written as its definition reads, on any text.
pub(super) fn normalizer(data: &[u8]) {
    static MODELS: LazyLock<Vec<SentencePiece>> = LazyLock::new(|| {
        let files: [&[u8]; 4] = [
            include_bytes!("../../tests/fixtures/sentencepiece/unigram.spm"),
            include_bytes!("../../tests/fixtures/sentencepiece/unigram-bytes.spm"),
            include_bytes!("../../tests/fixtures/sentencepiece/bpe.spm"),
            include_bytes!("../../tests/fixtures/sentencepiece/bpe-bytes.spm"),
        ];
        let open = |bytes| SentencePiece::parse(bytes, "fixture.spm").expect("the fixtures are sound");
        files.into_iter().map(open).collect()
    });
    thread_local!(static PLAIN: Vec<PlainNormalizer<'static>> = MODELS.iter().map(SentencePiece::plain_normalizer).collect());
    let text = String::from_utf8_lossy(data);
    PLAIN.with(|plain| {
        for (model, plain) in MODELS.iter().zip(plain) {
            assert_eq!(model.normalize(&text), plain.normalize(&text));
            model.decode(&model.encode(&text));
        }
    });
}

/// `tokenizer.json`.
pub(super) fn tokenizer_json(data: &[u8]) {
    let Some(tokenizer) = checked(TokenizerJson::parse(data, "tokenizer.json")) else { return };
    for text in TEXTS {
        let ids = tokenizer.encode(text);
        tokenizer.segment(text);
        tokenizer.decode(&ids);
        for id in ids {
            assert!(tokenizer.begins_word(id) <= tokenizer.piece(id).is_some());
        }
    }
}

/// `merges.txt`, `vocab-src.json` and text for Moses vocabularies, codes with a vocabulary, and a truecase model.
pub(super) fn moses(data: &[u8]) {
    checked(VocabularyTable::parse(data, "vocab-src.json"));
    let merges = Arc::new(checked(Merges::parse(data, "merges.txt")).unwrap_or_default());
    let text = String::from_utf8_lossy(data);
    for language in ["en", "de", "fr", "cs", "ja"] {
        let table = VocabularyTable::parse(br#"{"<unk>": 0, "a": 1, "b</w>": 2}"#, "vocab-src.json");
        let table = table.expect("the table is sound");
        let vocabulary = MosesVocabulary::new(Moses::new(language), Arc::clone(&merges), table);
        for text in TEXTS.into_iter().chain([&*text]) {
            vocabulary.decode(&vocabulary.encode(text));
            let tokens = vocabulary.segment(text).into_iter().map(|piece| vocabulary.readable(&piece.text));
            Moses::new(language).detokenize(&tokens.collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
    let truecaser = checked(Truecaser::parse(data, "truecase model")).unwrap_or_default();
    checked(Codes::default().with_vocabulary(data, Some(2), "vocabulary"));
    let codes = || checked(Codes::parse(data, "codes"));
    let limited = codes().and_then(|codes| checked(codes.with_vocabulary(b"lo@@ 9\ner 2\n", None, "vocabulary")));
    let codes = [codes(), limited];
    let moses = Moses::new("en").with_normalization(Normalization::None).with_escapes(false);
    for text in TEXTS.into_iter().chain([&*text]) {
        let mut tokens = moses.tokenize(text);
        truecaser.truecase(&mut tokens);
        detruecase(&mut tokens);
        for (codes, token) in codes.iter().flatten().flat_map(|codes| tokens.iter().map(move |token| (codes, token))) {
            let mut whole = String::new();
            codes.cut(token, |piece, _| whole.push_str(piece));
            assert_eq!(whole, *token, "pieces are what a word was cut into");
        }
    }
}

/// A line of `--json-input`, of a table and of plain text.
pub(super) fn json_input(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let line =
        Line { index: 0, before: 0, name: "fuzz".into(), number: 1, text, replaced: false, truncated: false, end: 0 };
    let plain = checked(LineRequest::parse(&line, InputFormat::Text)).expect("any line is text");
    assert_eq!(plain.text, line.text);
    for column in [0, 1, 2, usize::MAX] {
        checked(LineRequest::parse(&line, InputFormat::Column(column)));
    }
    if let Some(request) = checked(LineRequest::parse(&line, InputFormat::Json)) {
        assert!(request.max_length != Some(0));
        assert!(request.force.iter().all(|forms| !forms.is_empty()));
        let (source, target) = request.languages;
        let texts = [request.prefix, source, target];
        assert!(texts.iter().flatten().all(|text| text.len() <= 3 * line.text.len()));
        let text = request.fields.get("text").expect("there is a text");
        assert_eq!(serde_json::from_str::<String>(text).expect("it is a string"), request.text);
        // What is passed through can be read again.
        let mut written = String::from("{");
        request.fields.write(&mut written, |_| true);
        written.push('}');
        serde_json::from_str::<serde::de::IgnoredAny>(&written).expect("what was written can be read");
        request::fields_of_failed(&line);
    }
}

/// A document of the kind that the first line names: it comes back as it was, and what is written of it can be read.
pub(super) fn documents(data: &[u8]) {
    let Some(end) = data.iter().position(|&byte| byte == b'\n') else { return };
    let (name, bytes) = (String::from_utf8_lossy(&data[..end]), &data[end + 1..]);
    let Some(format) = documents::format(&name) else { return };
    let options = Options {
        source_language: Some("de".to_owned()),
        target_language: Some("en".to_owned()),
        all: true,
        mark_for_review: true,
        cue_width: None,
    };
    let Some(document) = checked(format.read(bytes, &options)) else { return };
    let same: Vec<_> = document.segments().iter().map(|_| None).collect();
    assert!(document.write(&same).expect("nothing was changed") == bytes, "{name}: not the same bytes");
    // Every word twice, at the other end of its sentence.
    let turned = |document: &dyn Document| -> Vec<Option<Vec<Part>>> {
        let turn = |segment| {
            let text = Text::of(segment)?;
            let words: Vec<&str> = text.text.split(' ').rev().collect();
            let links = vec![(0..text.text.len(), 0..text.text.len())];
            let (turned, _) = text.restore(&Translated { text: words.join(" "), links });
            Some(documents::transfer(segment, &turned).parts)
        };
        document.segments().iter().map(turn).collect()
    };
    if let Some(written) = checked(document.write(&turned(&*document))) {
        assert!(format.read(&written, &options).is_ok(), "{name}: what was written cannot be read");
    }
}

/// The value, or `None` after a look at the error: one line.
fn checked<T>(result: translate::Result<T>) -> Option<T> {
    result
        .map_err(|error| {
            let message = error.to_string();
            assert!(!message.contains('\n'), "more than one line: {message}");
        })
        .ok()
}

/// A model directory of one thread, removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, files: &[(&str, &[u8])]) -> Self {
        let thread: ThreadId = std::thread::current().id();
        let path = std::env::temp_dir().join(format!("translate-fuzz-{name}-{}-{thread:?}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary directory can be written");
        let scratch = Self(path);
        for (name, contents) in files {
            scratch.write(name, contents);
        }
        scratch
    }

    fn write(&self, name: &str, contents: &[u8]) {
        fs::write(self.0.join(name), contents).expect("the temporary directory can be written");
    }

    fn files(&self) -> ModelFiles {
        ModelFiles::Directory(self.0.clone())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
