//! Vocabularies: text to piece ids and back.
//!
//! Three kinds are read: a `tokenizer.json` (through the `tokenizers` crate), SentencePiece models with a Marian
//! `vocab.json`, and plain word lists. None of them adds or removes sentence-end tokens; the translator does.

/// One side's vocabulary: cuts text into pieces, numbers them, and puts pieces back together.
pub trait Vocabulary: Send + Sync {
    /// The ids of `text`'s pieces, without any sentence-end token. Unknown pieces become the unknown id.
    fn encode(&self, text: &str) -> Vec<u32>;
    /// The text of `ids` with normal spacing; special tokens (sentence end, padding) are left out.
    fn decode(&self, ids: &[u32]) -> String;
    /// The piece with this id as it is written in the vocabulary (`▁dog`), or `None` outside the vocabulary.
    fn piece(&self, id: u32) -> Option<&str>;
    /// The id of a piece as it is written in the vocabulary.
    fn id(&self, piece: &str) -> Option<u32>;
    /// Number of ids.
    fn size(&self) -> usize;
    /// Whether a piece starts a new word (the first piece of a sentence always does).
    fn begins_word(&self, id: u32) -> bool;
}
