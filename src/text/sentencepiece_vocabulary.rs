//! A SentencePiece model for the pieces, and a table for their ids: most published translation models.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::sentencepiece::{PieceKind, SentencePiece};
use super::{Language, Piece, Specials, Vocabulary, VocabularyTable, clean_up_spaces};

/// A vocabulary that cuts text with a SentencePiece model and numbers the pieces by a table.
///
/// Pieces are looked up, as strings, in the table; the SentencePiece model's own ids are not used. In a Marian directory a
/// source text may start with one target-language token such as `>>fra<<`, which is split off before SentencePiece sees
/// the text, even one the table does not have (it becomes `<unk>`). Ids equal those of the tokenizers of Hugging Face
/// transformers, with two exceptions in favour of the text: special tokens written in it (`</s>`) are ordinary text, never
/// tokens, and so is a quotation that starts with `>>` and has a `<<` somewhere.
#[derive(Debug)]
pub struct SentencePieceVocabulary {
    model: Arc<SentencePiece>,
    table: Arc<VocabularyTable>,
    /// The table's id for every piece of the model.
    ids: Vec<u32>,
    specials: Specials,
    languages: Vec<Language>,
    /// Further tokens that are no text.
    hidden: BTreeSet<u32>,
    splits_language: bool,
    clean_up_spaces: bool,
}

impl SentencePieceVocabulary {
    /// Joins a SentencePiece model and the table that numbers its pieces; a piece the table lacks becomes `<unk>`.
    pub fn new(model: Arc<SentencePiece>, table: Arc<VocabularyTable>) -> Self {
        let id_of = |id| model.piece(id).and_then(|piece| table.id(piece)).unwrap_or(table.unknown());
        let ids = (0..model.size() as u32).map(id_of).collect();
        let specials = table.specials();
        let languages = Language::all(table.pieces().filter(|&(_, piece)| piece.starts_with(['<', '>'])));
        let (hidden, splits_language, clean_up_spaces) = (BTreeSet::new(), false, false);
        Self { model, table, ids, specials, languages, hidden, splits_language, clean_up_spaces }
    }

    /// The same with tokens that were added to the table and are no text; those that name languages are languages.
    #[must_use]
    pub fn with_added_tokens(mut self, added: impl IntoIterator<Item = u32>) -> Self {
        self.hidden.extend(added);
        let added = self.hidden.iter().filter_map(|&id| Some((id, self.table.piece(id)?)));
        let mut languages = Language::all(added);
        languages.retain(|language| !self.languages.contains(language));
        self.languages.extend(languages);
        self
    }

    /// Whether a text may start with a language token such as `>>fra<<`. Off unless said here.
    #[must_use]
    pub fn with_language_in_text(mut self) -> Self {
        self.splits_language = true;
        self
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
        if !self.splits_language {
            return (None, text);
        }
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
        let unknown = self.table.unknown();
        if let Some(language) = language {
            emit(self.table.id(language).unwrap_or(unknown), language);
        }
        self.model.encode_with(text, |id, piece| {
            let id = match self.model.kind(id) {
                // The table may know a piece the model does not.
                Some(PieceKind::Unknown) | None => self.table.id(piece).unwrap_or(unknown),
                Some(_) => self.ids.get(id as usize).copied().unwrap_or(unknown),
            };
            emit(id, piece);
        });
    }
}

fn is_language_token(piece: &str) -> bool {
    piece.len() > 4 && piece.starts_with(">>") && piece.ends_with("<<")
}

impl Vocabulary for SentencePieceVocabulary {
    fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        self.encode_with(text, |id, _| ids.push(id));
        ids
    }

    fn decode(&self, ids: &[u32]) -> String {
        let kept = ids.iter().filter(|&&id| !self.specials.contains(id) && !self.hidden.contains(&id));
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
        self.table.size()
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

    fn languages(&self) -> &[Language] {
        &self.languages
    }
}
