//! Text that is cut into pieces already.

use std::sync::Arc;

use super::{Language, Piece, Specials, Vocabulary};

/// A vocabulary whose texts are pieces between spaces, as it writes them itself.
pub(super) struct Pieces(pub(super) Arc<dyn Vocabulary>);

impl Pieces {
    fn unknown(&self) -> Option<u32> {
        self.0.specials().unknown
    }
}

impl Vocabulary for Pieces {
    fn encode(&self, text: &str) -> Vec<u32> {
        text.split_whitespace().filter_map(|piece| self.0.id(piece).or(self.unknown())).collect()
    }

    fn decode(&self, ids: &[u32]) -> String {
        let specials = self.0.specials();
        let shown = |&&id: &&u32| specials.unknown == Some(id) || !specials.contains(id);
        ids.iter().filter(shown).filter_map(|&id| self.0.piece(id)).collect::<Vec<_>>().join(" ")
    }

    fn piece(&self, id: u32) -> Option<&str> {
        self.0.piece(id)
    }

    fn id(&self, piece: &str) -> Option<u32> {
        self.0.id(piece)
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn begins_word(&self, id: u32) -> bool {
        self.0.piece(id).is_some()
    }

    fn segment(&self, text: &str) -> Vec<Piece> {
        let piece = |piece: &str| Some(Piece { id: self.0.id(piece).or(self.unknown())?, text: piece.to_owned() });
        text.split_whitespace().filter_map(piece).collect()
    }

    fn specials(&self) -> Specials {
        self.0.specials()
    }

    fn template(&self) -> Option<(Vec<u32>, Vec<u32>)> {
        self.0.template()
    }

    fn unencodable(&self, text: &str) -> Option<String> {
        if self.unknown().is_some() {
            return None;
        }
        text.split_whitespace().find(|piece| self.0.id(piece).is_none()).map(str::to_owned)
    }

    fn languages(&self) -> &[Language] {
        self.0.languages()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::WordList;

    fn pieces(list: &str) -> Pieces {
        Pieces(Arc::new(WordList::parse(list.as_bytes(), "vocab.txt").unwrap()))
    }

    #[test]
    fn pieces_stand_between_spaces_and_come_back_so() {
        let pieces = pieces("<unk>\n<s>\n</s>\na.\nb\n.");
        assert_eq!(pieces.encode("<s> a. b  x . "), [1, 3, 4, 0, 5]);
        assert_eq!(pieces.decode(&[1, 3, 4, 0, 5, 2]), "a. b <unk> .");
        assert_eq!(pieces.unencodable("x"), None);
    }

    #[test]
    fn a_piece_without_an_id_is_named() {
        let pieces = pieces("<s>\na");
        assert_eq!(pieces.unencodable("a b"), Some("b".to_owned()));
        assert_eq!(pieces.unencodable("a <s>"), None);
    }
}
