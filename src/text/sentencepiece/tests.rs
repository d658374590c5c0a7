//! The fast normaliser against the plain one, and what a model file may and may not say.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::SentencePiece;
use super::plain::PlainNormalizer;

/// The models of `tests/fixtures/sentencepiece/`: all kinds of normalisers between them.
static MODELS: LazyLock<Vec<SentencePiece>> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sentencepiece/");
    ["unigram", "unigram-bytes", "bpe", "bpe-bytes"]
        .iter()
        .map(|name| SentencePiece::open(format!("{folder}{name}.spm")).unwrap())
        .collect()
});

static PLAIN: LazyLock<Vec<PlainNormalizer<'static>>> =
    LazyLock::new(|| MODELS.iter().map(SentencePiece::plain_normalizer).collect());

/// Text with what normalisers stumble over far more often than chance has it.
const TEXT: &str = "(\\PC|[a-zA-Z ,.]{1,9}|[\u{0}-\u{20}]|[\u{300}-\u{345}]|[\u{1100}-\u{11ff}]|[\u{ff00}-\u{ffef}]|[\u{fb00}-\u{fb06}]\
                    |[\u{2000}-\u{200f}]|[\u{ac00}-\u{ac20}]|[\u{900}-\u{94d}]|  |\u{2581}|\u{3000}|<sep>|C\\+\\+|\u{2603}|e\u{301}){0,60}";

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn the_fast_normaliser_equals_the_plain_one(texts in prop::collection::vec(TEXT, 4)) {
        for (model, plain) in MODELS.iter().zip(PLAIN.iter()) {
            for text in &texts {
                prop_assert_eq!(model.normalize(text), plain.normalize(text));
            }
        }
    }
}

/// A protobuf field of wire type 2.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 128);
    [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
}

/// A piece of the given type (1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte) with score -1.
fn piece(text: &str, kind: u8) -> Vec<u8> {
    let score = [&[0x15][..], &(-1.0_f32).to_le_bytes()].concat();
    field(1, &[field(1, text.as_bytes()), score, vec![0x18, kind]].concat())
}

fn problem(parts: &[Vec<u8>]) -> String {
    SentencePiece::parse(&parts.concat(), "x.spm").unwrap_err().to_string()
}

#[test]
fn a_model_needs_sound_pieces() {
    let unknown = piece("<unk>", 2);
    assert!(SentencePiece::parse(&[unknown.clone(), piece("a", 1)].concat(), "x.spm").is_ok());
    for (parts, message) in [
        (vec![piece("a", 1)], "no unknown piece"),
        (vec![unknown.clone()], "no pieces"),
        (vec![unknown.clone(), piece("a", 1), piece("a", 4)], "two pieces `a`"),
        (vec![unknown.clone(), piece("<u>", 2)], "two unknown pieces"),
        (vec![unknown.clone(), piece("", 1)], "piece 1 is empty"),
        (vec![unknown.clone(), piece("a\0b", 1)], "NUL"),
        (vec![unknown.clone(), piece("<0x41>", 6)], "no byte piece"),
        // Byte fallback without the bytes.
        (vec![unknown.clone(), piece("a", 1), field(2, &[0x98, 0x02, 1])], "256 byte pieces"),
        // A character map of four bytes; one whose trie is longer than the file.
        (vec![unknown.clone(), piece("a", 1), field(3, &field(2, &[0, 0, 0, 0]))], "impossible size"),
        (vec![unknown.clone(), piece("a", 1), field(3, &field(2, &[0, 0, 0, 0xfc, 1]))], "cut short"),
    ] {
        let found = problem(&parts);
        assert!(found.contains(message), "{found}");
    }
}

#[test]
fn unknown_neighbours_are_one_piece() {
    let model =
        SentencePiece::parse(&[piece("<unk>", 2), piece("a", 1), piece("\u{2581}", 1)].concat(), "x.spm").unwrap();
    let pieces: Vec<(u32, String)> = model.segment("xyaz").into_iter().map(|s| (s.id, s.piece)).collect();
    let expected = [(2, "\u{2581}"), (0, "xy"), (1, "a"), (0, "z")];
    assert_eq!(pieces, expected.map(|(id, piece)| (id, piece.to_owned())));
    assert_eq!(model.decode(&[2, 0, 1]), " \u{2047} a");
    assert_eq!(model.decode_pieces(["\u{2581}", "xy", "a"]), "xya");
}
