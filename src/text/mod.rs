//! Vocabularies: text to piece ids and back.
//!
//! Read are a `tokenizer.json` and byte-level byte-pair encoding (through the `tokenizers` crate), SentencePiece models
//! with a `vocab.json` or the numbering of a family, bytes, Moses tokens with byte-pair encoding, plain
//! word lists, and lists of pieces whose text is cut by what lies with them (`segmentation.rs`). None of them adds or removes
//! sentence-end tokens; the translator does.

mod boundaries;
mod capitals;
mod characters;
mod clock_times;
mod commas;
pub mod compact;
mod frame;
pub mod glossary;
pub mod languages;
pub mod moses;
mod normalize;
mod numbering;
mod numerals;
mod paragraphs;
mod piece_list;
mod pieces;
mod segmentation;
mod segmenter;
pub mod sentencepiece;
mod sentencepiece_vocabulary;
mod sentences;
mod shortlist;
mod spelling;
mod spellings;
pub mod subwords;
pub mod tokenizer_json;
mod utf8_bytes;
mod vocabularies;
mod vocabulary_table;
pub mod word_list;
mod words;

use serde::{Deserialize, Serialize};

pub use self::boundaries::{Place, TokenBoundaries};
pub use self::capitals::{is_in_capitals, without_capitals};
pub use self::clock_times::with_clock_times;
pub use self::commas::Commas;
pub use self::frame::{Frame, Part};
pub use self::glossary::Glossary;
pub use self::languages::{Language, Languages, ModelLanguages, Side, Task, language_tag, same_language};
pub use self::moses::MosesVocabulary;
pub use self::normalize::{Normalized, Offsets, normalize};
pub use self::numbering::Numbering;
pub use self::numerals::with_numbers;
pub use self::paragraphs::append_line;
pub use self::piece_list::{PieceList, word_level};
pub use self::segmentation::{Pretokenizer, Segmentation, SideSegmentation, Unit};
pub use self::sentencepiece_vocabulary::SentencePieceVocabulary;
pub use self::sentences::{join_sentences, join_sentences_at, split_sentences};
pub use self::shortlist::Shortlist;
pub use self::spelling::spelled;
pub use self::spellings::Spellings;
pub use self::tokenizer_json::TokenizerJson;
pub use self::utf8_bytes::Utf8Bytes;
pub use self::vocabularies::{Kind, Vocabularies};
pub use self::vocabulary_table::VocabularyTable;
pub use self::word_list::WordList;
pub use self::words::{Word, is_special, source_words, target_words, word_ranges};

/// One side's vocabulary: cuts text into pieces, numbers them, and puts pieces back together.
pub trait Vocabulary: Send + Sync {
    /// The ids of `text`'s pieces, without any sentence-end token. Unknown pieces become the unknown id.
    fn encode(&self, text: &str) -> Vec<u32>;
    /// The text of `ids` with normal spacing; special tokens (sentence end, padding, unknown) are left out, and so are
    /// ids outside the vocabulary.
    fn decode(&self, ids: &[u32]) -> String;
    /// The piece with this id as it is written in the vocabulary (`▁dog`), or `None` outside the vocabulary.
    fn piece(&self, id: u32) -> Option<&str>;
    /// The id of a piece as it is written in the vocabulary.
    fn id(&self, piece: &str) -> Option<u32>;
    /// Number of ids: one more than the highest.
    fn size(&self) -> usize;
    /// Whether a piece starts a new word (the first piece of a sentence always does).
    fn begins_word(&self, id: u32) -> bool;

    /// Whether a piece, as the vocabulary writes it, ends its word, where a vocabulary marks the ends of words.
    fn ends_word(&self, _piece: &str) -> bool {
        false
    }

    /// A word as a person reads it, from its pieces as the vocabulary writes them, put end to end.
    fn readable(&self, word: &str) -> String {
        word.trim_start_matches('\u{2581}').to_owned()
    }

    /// The bytes that a piece, as the vocabulary writes it, adds to a text, with the spaces it marks itself; not always whole
    /// characters.
    fn written(&self, piece: &str) -> Vec<u8> {
        let space = if piece.starts_with('\u{2581}') { " " } else { "" };
        spelling::byte_of(piece).map_or_else(|| [space, &self.readable(piece)].concat().into_bytes(), |byte| vec![byte])
    }

    /// The pieces of `text`, in the order and with the ids of [`Vocabulary::encode`]; an unknown piece carries the text
    /// it stands for instead of `<unk>`.
    fn segment(&self, text: &str) -> Vec<Piece> {
        let piece = |id| Piece { id, text: self.piece(id).unwrap_or_default().to_owned() };
        self.encode(text).into_iter().map(piece).collect()
    }

    /// The ids of the special tokens, found by their usual names.
    fn specials(&self) -> Specials {
        specials_by_name(|name| self.id(name))
    }

    /// What stands before and after every text, where the vocabulary says so (a tokenizer.json's template).
    fn template(&self) -> Option<(Vec<u32>, Vec<u32>)> {
        None
    }

    /// A word of `text` that has no id, where there is no `<unk>` to stand for it: such a text cannot be encoded whole.
    fn unencodable(&self, _text: &str) -> Option<String> {
        None
    }

    /// The languages that have a token, by code.
    fn languages(&self) -> &[Language] {
        &[]
    }
}

/// One piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its id in the vocabulary.
    pub id: u32,
    /// The piece as it is written in the vocabulary, or the text an unknown piece stands for.
    pub text: String,
}

/// The ids of a vocabulary's special tokens, where it has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Specials {
    /// Stands for every piece that is not in the vocabulary.
    pub unknown: Option<u32>,
    /// Fills up batches.
    pub padding: Option<u32>,
    /// Starts a sentence.
    pub begin: Option<u32>,
    /// Ends a sentence.
    pub end: Option<u32>,
}

impl Specials {
    /// Whether `id` is one of them.
    pub fn contains(&self, id: u32) -> bool {
        [self.unknown, self.padding, self.begin, self.end].contains(&Some(id))
    }
}

/// The special tokens under the names common tools give them.
fn specials_by_name(id: impl Fn(&str) -> Option<u32>) -> Specials {
    let first = |names: &[&str]| names.iter().find_map(|name| id(name));
    Specials {
        unknown: first(&["<unk>", "[UNK]"]),
        padding: first(&["<pad>", "[PAD]"]),
        begin: first(&["<s>", "<sos>", "<bos>", "[BOS]"]),
        end: first(&["</s>", "<eos>", "[EOS]"]),
    }
}

/// Takes out the spaces that `clean_up_tokenization_spaces` means in Hugging Face transformers, in this order.
fn clean_up_spaces(mut text: String) -> String {
    const CLEAN_UP: [(&str, &str); 10] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    for (spaced, clean) in CLEAN_UP {
        if text.contains(spaced) {
            text = text.replace(spaced, clean);
        }
    }
    text
}

/// How many ids a vocabulary file may skip: its tables are as long as its highest id.
fn check_density(highest: u32, entries: usize) -> Result<(), String> {
    if highest as usize > 2 * entries + 65_536 {
        return Err(format!("it has {entries} entries, but one has the id {highest}; ids must count up from 0"));
    }
    Ok(())
}
