//! One side of a directory of Moses vocabularies.

use std::sync::Arc;

use super::merges::WORD_END;
use super::{Merges, Moses};
use crate::text::{Piece, Specials, Vocabulary};
use crate::text::{VocabularyTable, clean_up_spaces};

/// One side of an FSMT directory (`vocab-src.json` or `vocab-tgt.json`, with `merges.txt`).
///
/// Ids equal those of Hugging Face's `FSMTTokenizer`, tabs and other control characters dropped as there, with one
/// exception in favour of the text: special tokens written in it (`</s>`) are ordinary text, never tokens.
#[derive(Debug)]
pub struct MosesVocabulary {
    moses: Moses,
    merges: Arc<Merges>,
    table: VocabularyTable,
    specials: Specials,
    lower_case: bool,
    clean_up_spaces: bool,
}

impl MosesVocabulary {
    /// Joins the rules of a language, the merges, and the table that numbers the pieces.
    pub fn new(moses: Moses, merges: Arc<Merges>, table: VocabularyTable) -> Self {
        let specials = table.specials();
        Self { moses, merges, table, specials, lower_case: false, clean_up_spaces: false }
    }

    /// Whether text is lower-cased first (`do_lower_case`). Off unless said here.
    #[must_use]
    pub fn with_lower_case(self, lower_case: bool) -> Self {
        Self { lower_case, ..self }
    }

    /// Whether decoding takes out spaces before English punctuation and clitics (`clean_up_tokenization_spaces`). Off
    /// unless said here.
    #[must_use]
    pub fn with_clean_up_spaces(self, clean_up_spaces: bool) -> Self {
        Self { clean_up_spaces, ..self }
    }

    /// Calls `emit` with the id of every piece and the piece itself.
    fn encode_with(&self, text: &str, mut emit: impl FnMut(u32, &str)) {
        let tokens = match self.lower_case {
            true => self.moses.tokenize(&text.to_lowercase()),
            false => self.moses.tokenize(text),
        };
        for token in tokens {
            self.merges.split(&token, |piece| emit(self.table.id(piece).unwrap_or(self.table.unknown()), piece));
        }
    }
}

impl Vocabulary for MosesVocabulary {
    fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        self.encode_with(text, |id, _| ids.push(id));
        ids
    }

    fn decode(&self, ids: &[u32]) -> String {
        let kept = ids.iter().filter(|&&id| !self.specials.contains(id));
        let text: String = kept.filter_map(|&id| self.piece(id)).collect();
        let text = text.replace(WORD_END, " ");
        let text = self.moses.detokenize(&text.split_whitespace().collect::<Vec<_>>());
        if self.clean_up_spaces { clean_up_spaces(text) } else { text }
    }

    fn piece(&self, id: u32) -> Option<&str> {
        self.table.piece(id)
    }

    fn id(&self, piece: &str) -> Option<u32> {
        self.table.id(piece)
    }

    fn size(&self) -> usize {
        self.table.size()
    }

    fn begins_word(&self, _id: u32) -> bool {
        false
    }

    fn ends_word(&self, piece: &str) -> bool {
        piece.ends_with(WORD_END)
    }

    fn readable(&self, word: &str) -> String {
        self.moses.unescape(word.replace(WORD_END, ""))
    }

    fn segment(&self, text: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        self.encode_with(text, |id, piece| pieces.push(Piece { id, text: piece.to_owned() }));
        pieces
    }

    fn specials(&self) -> Specials {
        self.specials
    }
}
