//! The normaliser written down as its definition reads, for tests and fuzzing to compare the fast one with.

use std::collections::BTreeMap;

use super::normalizer::{Normalizer, SPACE_SYMBOL};
use super::{PieceKind, SentencePiece};

/// Every rule in a map; every position looked at on its own.
pub struct PlainNormalizer<'m> {
    rules: BTreeMap<Vec<u8>, String>,
    normalizer: &'m Normalizer,
    user_defined: Vec<&'m str>,
}

impl SentencePiece {
    #[doc(hidden)]
    pub fn plain_normalizer(&self) -> PlainNormalizer<'_> {
        let is_user_defined = |(_, piece, kind)| (kind == PieceKind::UserDefined).then_some(piece);
        PlainNormalizer {
            rules: self.normalizer.rules(),
            normalizer: &self.normalizer,
            user_defined: self.pieces.iter().filter_map(is_user_defined).collect(),
        }
    }
}

impl PlainNormalizer<'_> {
    /// What [`SentencePiece::normalize`] gives.
    pub fn normalize(&self, text: &str) -> String {
        let mut bytes = text.as_bytes();
        let mut parts: Vec<String> = Vec::new();
        while !bytes.is_empty() {
            let (part, length) = self.prefix(bytes);
            parts.push(part);
            bytes = &bytes[length..];
        }
        let flags = self.normalizer.flags();
        let mut text = String::new();
        if flags.remove_extra_whitespaces {
            let blanks = parts.iter().take_while(|part| *part == " ").count();
            parts.drain(..blanks);
            let mut after_space = true;
            for part in &parts {
                let part = if after_space { part.trim_start_matches(' ') } else { part };
                text.push_str(part);
                after_space = if part.is_empty() { after_space } else { part.ends_with(' ') };
            }
        } else {
            text = parts.concat();
        }
        if parts.is_empty() {
            return String::new();
        }
        let space = if flags.escape_whitespaces { SPACE_SYMBOL } else { " " };
        let mut text = text.replace(' ', space);
        if flags.add_dummy_prefix && !flags.treat_whitespace_as_suffix {
            text.insert_str(0, space);
        }
        if flags.remove_extra_whitespaces {
            text.truncate(text.trim_end_matches(space).len());
        }
        if flags.add_dummy_prefix && flags.treat_whitespace_as_suffix {
            text.push_str(space);
        }
        text
    }

    fn prefix(&self, bytes: &[u8]) -> (String, usize) {
        let whole = self.user_defined.iter().filter(|piece| bytes.starts_with(piece.as_bytes()));
        if let Some(piece) = whole.max_by_key(|piece| piece.len()) {
            return ((*piece).to_owned(), piece.len());
        }
        for length in (1..=bytes.len().min(64)).rev() {
            if let Some(replacement) = self.rules.get(&bytes[..length]) {
                return (replacement.clone(), length);
            }
        }
        for length in 1..=bytes.len().min(4) {
            if let Ok(character) = std::str::from_utf8(&bytes[..length]) {
                return (character.to_owned(), length);
            }
        }
        ("\u{fffd}".to_owned(), 1)
    }
}
