//! The vocabulary of a Marian (OPUS-MT) directory: SentencePiece models for the pieces, `vocab.json` for their ids.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::sentencepiece::{PieceKind, SentencePiece};
use super::{Piece, Specials, Vocabulary, check_density};
use crate::{Error, Result};

/// What `clean_up_tokenization_spaces` means in Hugging Face transformers, in this order.
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

/// The piece-to-id table of a `vocab.json`.
#[derive(Debug)]
pub struct VocabularyTable {
    ids: HashMap<String, u32>,
    /// The piece of every id; a gap has none.
    pieces: Vec<Option<Box<str>>>,
    unknown: u32,
}

impl VocabularyTable {
    /// Reads the contents of a `vocab.json`; `path` names it in messages.
    ///
    /// # Errors
    /// If it is not a JSON object from pieces to ids that count up from 0 (with few gaps), or has no `<unk>`.
    pub fn parse(bytes: &[u8], path: impl AsRef<Path>) -> Result<Self> {
        let problem = |problem: String| Error::model(&path, format!("not a usable vocabulary: {problem}"));
        let ids: HashMap<String, u32> = serde_json::from_slice(bytes)
            .map_err(|error| problem(format!("{error}; it should be a JSON object from pieces to ids")))?;
        let highest = ids.values().copied().max().unwrap_or_default();
        check_density(highest, ids.len()).map_err(problem)?;
        let unknown = *ids.get("<unk>").ok_or_else(|| problem("it has no `<unk>`".to_owned()))?;
        let mut pieces: Vec<Option<Box<str>>> = vec![None; highest as usize + 1];
        for (piece, &id) in &ids {
            // Should two pieces share an id, the choice must not depend on the hash map's order.
            let slot = &mut pieces[id as usize];
            if slot.as_deref().is_none_or(|other| piece.as_str() < other) {
                *slot = Some(Box::from(piece.as_str()));
            }
        }
        Ok(Self { ids, pieces, unknown })
    }

    /// The id that stands for every piece without one.
    pub fn unknown(&self) -> u32 {
        self.unknown
    }

    /// Number of ids: one more than the highest.
    pub fn size(&self) -> usize {
        self.pieces.len()
    }

    /// The id of a piece.
    pub fn id(&self, piece: &str) -> Option<u32> {
        self.ids.get(piece).copied()
    }

    /// The piece with this id.
    pub fn piece(&self, id: u32) -> Option<&str> {
        self.pieces.get(id as usize)?.as_deref()
    }
}

/// One side of a Marian directory.
///
/// Pieces are numbered by looking them up, as strings, in the table; the SentencePiece model's own ids are not used.
/// A source text may start with one target-language token such as `>>fra<<`, which is split off before SentencePiece
/// sees the text, even one the table does not have (it becomes `<unk>`). Ids equal those of the `MarianTokenizer` of
/// Hugging Face transformers, with two exceptions in favour of the text: special tokens written in it (`</s>`) are
/// ordinary text, never tokens, and so is a quotation that starts with `>>` and has a `<<` somewhere.
#[derive(Debug)]
pub struct MarianVocabulary {
    model: Arc<SentencePiece>,
    table: Arc<VocabularyTable>,
    /// The table's id for every piece of the model.
    ids: Vec<u32>,
    specials: Specials,
    clean_up_spaces: bool,
}

impl MarianVocabulary {
    /// Joins a SentencePiece model and the table that numbers its pieces; a piece the table lacks becomes `<unk>`.
    pub fn new(model: Arc<SentencePiece>, table: Arc<VocabularyTable>) -> Self {
        let id_of = |id| model.piece(id).and_then(|piece| table.id(piece)).unwrap_or(table.unknown);
        let ids = (0..model.size() as u32).map(id_of).collect();
        let specials = Specials {
            unknown: Some(table.unknown),
            padding: table.id("<pad>"),
            begin: table.id("<s>"),
            end: table.id("</s>"),
        };
        Self { model, table, ids, specials, clean_up_spaces: false }
    }

    /// Whether decoding takes out spaces before English punctuation and clitics, as a `tokenizer_config.json` with
    /// `"clean_up_tokenization_spaces": true` asks for. Off unless said here.
    #[must_use]
    pub fn with_clean_up_spaces(mut self, clean_up_spaces: bool) -> Self {
        self.clean_up_spaces = clean_up_spaces;
        self
    }

    /// Splits `>>xxx<<` off the start of a text.
    fn split_language_token<'t>(&self, text: &'t str) -> (Option<&'t str>, &'t str) {
        let end = text.find("<<").map_or(0, |start| start + 2);
        let (token, rest) = text.split_at(end);
        let is_code_character = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.@".contains(&byte);
        let is_code = || token.bytes().skip(2).take(token.len() - 4).all(is_code_character);
        if is_language_token(token) && (self.table.id(token).is_some() || is_code()) {
            (Some(token), rest)
        } else {
            (None, text)
        }
    }

    /// Calls `emit` with the id of every piece and the piece itself.
    fn encode_with(&self, text: &str, mut emit: impl FnMut(u32, &str)) {
        let (language, text) = self.split_language_token(text);
        if let Some(language) = language {
            emit(self.table.id(language).unwrap_or(self.table.unknown), language);
        }
        self.model.encode_with(text, |id, piece| {
            let id = match self.model.kind(id) {
                // The table may know a piece the model does not.
                Some(PieceKind::Unknown) | None => self.table.id(piece).unwrap_or(self.table.unknown),
                Some(_) => self.ids.get(id as usize).copied().unwrap_or(self.table.unknown),
            };
            emit(id, piece);
        });
    }
}

/// Takes out spaces as `clean_up_tokenization_spaces` asks for.
pub(super) fn clean_up_spaces(mut text: String) -> String {
    for (spaced, clean) in CLEAN_UP {
        if text.contains(spaced) {
            text = text.replace(spaced, clean);
        }
    }
    text
}

fn is_language_token(piece: &str) -> bool {
    piece.len() > 4 && piece.starts_with(">>") && piece.ends_with("<<")
}

impl Vocabulary for MarianVocabulary {
    fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        self.encode_with(text, |id, _| ids.push(id));
        ids
    }

    fn decode(&self, ids: &[u32]) -> String {
        let kept = ids.iter().filter(|&&id| !self.specials.contains(id));
        let text = self.model.decode_pieces(kept.filter_map(|&id| self.table.piece(id)));
        // A piece this side's model does not have keeps its space symbol up to here.
        let text = text.replace('\u{2581}', " ").trim().to_owned();
        if self.clean_up_spaces { clean_up_spaces(text) } else { text }
    }

    fn piece(&self, id: u32) -> Option<&str> {
        self.table.piece(id)
    }

    fn id(&self, piece: &str) -> Option<u32> {
        self.table.id(piece)
    }

    fn size(&self) -> usize {
        self.table.pieces.len()
    }

    fn begins_word(&self, id: u32) -> bool {
        self.piece(id).is_some_and(|piece| piece.starts_with('\u{2581}') || is_language_token(piece))
    }

    fn segment(&self, text: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        self.encode_with(text, |id, piece| pieces.push(Piece { id, text: piece.to_owned() }));
        pieces
    }

    fn specials(&self) -> Specials {
        self.specials
    }

    fn target_languages(&self) -> Vec<&str> {
        let mut tokens: Vec<&str> =
            self.table.ids.keys().map(String::as_str).filter(|piece| is_language_token(piece)).collect();
        tokens.sort_unstable();
        tokens
    }
}
