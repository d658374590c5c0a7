//! A vocabulary of single characters, as some configurations spell it out.

use super::{Specials, Vocabulary};

/// One character an id; the first ids may be special tokens.
#[derive(Debug)]
pub(super) struct Characters {
    pieces: Vec<String>,
    specials: Specials,
}

impl Characters {
    /// The characters in the order of their ids; those that stand for the special tokens of `other` take its names.
    pub(super) fn new(characters: &str, other: &dyn Vocabulary) -> Self {
        let specials = other.specials();
        let piece = |(id, character): (usize, char)| match other.piece(id as u32) {
            Some(name) if specials.contains(id as u32) => name.to_owned(),
            _ => character.to_string(),
        };
        Self { pieces: characters.chars().enumerate().map(piece).collect(), specials }
    }
}

impl Vocabulary for Characters {
    fn encode(&self, text: &str) -> Vec<u32> {
        let mut buffer = [0; 4];
        text.chars().filter_map(|c| self.id(c.encode_utf8(&mut buffer)).or(self.specials.unknown)).collect()
    }

    fn decode(&self, ids: &[u32]) -> String {
        ids.iter().filter(|&&id| !self.specials.contains(id)).filter_map(|&id| self.piece(id)).collect()
    }

    fn piece(&self, id: u32) -> Option<&str> {
        self.pieces.get(id as usize).map(String::as_str)
    }

    fn id(&self, piece: &str) -> Option<u32> {
        self.pieces.iter().position(|other| other == piece).map(|id| id as u32)
    }

    fn size(&self) -> usize {
        self.pieces.len()
    }

    fn begins_word(&self, _id: u32) -> bool {
        true
    }

    fn specials(&self) -> Specials {
        self.specials
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::WordList;

    #[test]
    fn characters_have_the_ids_of_their_places_and_special_tokens_keep_their_names() {
        let other = WordList::parse(b"<pad>\n<s>\n</s>\n<unk>\nA", "vocab.txt").unwrap();
        let phonemes = Characters::new("____\u{e6}\u{14b}", &other);
        assert_eq!(phonemes.decode(&[1, 4, 5, 2]), "\u{e6}\u{14b}");
        assert_eq!((phonemes.piece(2), phonemes.id("\u{14b}"), phonemes.size()), (Some("</s>"), Some(5), 6));
        assert_eq!(phonemes.encode("\u{14b}x"), [5, 3]);
    }
}
