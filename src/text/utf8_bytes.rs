//! The bytes of the text themselves as a vocabulary (ByT5; Xue et al. 2022).

use super::{Piece, Specials, Vocabulary};

/// `<pad>`, `</s>`, `<unk>`, the 256 bytes, and tokens reserved for training.
#[derive(Debug)]
pub struct Utf8Bytes {
    pieces: Vec<String>,
}

/// The tokens before that of byte 0.
const FIRST: u32 = 3;

impl Utf8Bytes {
    /// With this many `<extra_id_…>` after the bytes.
    pub fn new(extra: usize) -> Self {
        let named = ["<pad>", "</s>", "<unk>"].map(str::to_owned).into_iter();
        let bytes = (0..=255_u8).map(|byte| match byte {
            b'!'..=b'~' => char::from(byte).to_string(),
            _ => format!("<0x{byte:02X}>"),
        });
        let extra = (0..extra).map(|number| format!("<extra_id_{number}>"));
        Self { pieces: named.chain(bytes).chain(extra).collect() }
    }
}

impl Vocabulary for Utf8Bytes {
    fn encode(&self, text: &str) -> Vec<u32> {
        text.bytes().map(|byte| FIRST + u32::from(byte)).collect()
    }

    fn decode(&self, ids: &[u32]) -> String {
        let byte = |&id: &u32| u8::try_from(id.checked_sub(FIRST)?).ok();
        let bytes: Vec<u8> = ids.iter().filter_map(byte).collect();
        // As the reference does, what is no UTF-8 is left out.
        bytes.utf8_chunks().map(|chunk| chunk.valid()).collect::<String>().trim().to_owned()
    }

    fn piece(&self, id: u32) -> Option<&str> {
        self.pieces.get(id as usize).map(String::as_str)
    }

    fn id(&self, piece: &str) -> Option<u32> {
        self.pieces.iter().position(|own| own == piece).map(|id| id as u32)
    }

    fn size(&self) -> usize {
        self.pieces.len()
    }

    fn begins_word(&self, id: u32) -> bool {
        id == FIRST + u32::from(b' ')
    }

    fn segment(&self, text: &str) -> Vec<Piece> {
        let piece = |id| Piece { id, text: self.piece(id).unwrap_or_default().to_owned() };
        self.encode(text).into_iter().map(piece).collect()
    }

    fn specials(&self) -> Specials {
        Specials { unknown: Some(2), padding: Some(0), begin: None, end: Some(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_its_bytes_and_broken_ones_are_left_out() {
        let bytes = Utf8Bytes::new(125);
        assert_eq!(bytes.encode("a\u{e9}"), [100, 198, 172]);
        assert_eq!(bytes.decode(&[0, 100, 198, 172, 198, 100, 1, 259]), "a\u{e9}a");
        assert_eq!((bytes.size(), bytes.piece(100), bytes.piece(3)), (384, Some("a"), Some("<0x00>")));
        assert_eq!((bytes.piece(35), bytes.id("<extra_id_0>")), (Some("<0x20>"), Some(259)));
    }
}
