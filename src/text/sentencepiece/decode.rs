//! From pieces back to text.

use super::normalizer::SPACE_SYMBOL;
use super::{PieceKind, SentencePiece, byte_of, into_text};

impl SentencePiece {
    /// The text of these ids; ids outside the model are left out.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.join(ids.iter().filter_map(|&id| Some((self.piece(id)?, Some(id)))))
    }

    /// The text of these pieces; one the model does not know stays as it is.
    pub fn decode_pieces<'p>(&self, pieces: impl IntoIterator<Item = &'p str>) -> String {
        self.join(pieces.into_iter().map(|piece| (piece, self.id(piece).or(self.unknown))))
    }

    fn join<'p>(&self, pieces: impl Iterator<Item = (&'p str, Option<u32>)>) -> String {
        let mut text = String::new();
        // Byte pieces, until it is known where they end.
        let mut bytes = Vec::new();
        // Whether nothing has been written yet that a leading space could be in front of.
        let mut at_start = true;
        for (piece, id) in pieces {
            let kind = id.and_then(|id| self.kind(id)).unwrap_or(PieceKind::Unknown);
            if kind == PieceKind::Byte {
                bytes.extend(byte_of(piece));
                continue;
            }
            flush(&mut bytes, &mut text);
            at_start &= text.is_empty();
            if kind == PieceKind::Control {
                continue;
            }
            let stripped =
                piece.strip_prefix(SPACE_SYMBOL).filter(|_| at_start && self.normalizer.drops_leading_space());
            match kind {
                PieceKind::Unknown if id.is_some_and(|id| self.piece(id) == Some(piece)) => {
                    text.push_str(&self.unknown_surface);
                }
                PieceKind::Unknown => text.push_str(piece),
                _ => push_with_spaces(stripped.unwrap_or(piece), &mut text),
            }
            let was_the_dummy = stripped.is_some() && !self.normalizer.drops_all_leading_spaces();
            at_start &= text.is_empty() && !was_the_dummy;
        }
        flush(&mut bytes, &mut text);
        match &self.denormalizer {
            Some(denormalizer) => into_text(denormalizer.normalize(&text)),
            None => text,
        }
    }
}

/// Writes bytes as text, every byte that is part of no character as U+FFFD.
fn flush(bytes: &mut Vec<u8>, text: &mut String) {
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        match std::str::from_utf8(rest) {
            Ok(valid) => {
                text.push_str(valid);
                break;
            }
            Err(error) => {
                let (valid, broken) = rest.split_at(error.valid_up_to());
                text.push_str(std::str::from_utf8(valid).unwrap_or_default());
                text.push('\u{fffd}');
                rest = &broken[1..];
            }
        }
    }
    bytes.clear();
}

fn push_with_spaces(piece: &str, text: &mut String) {
    for (index, part) in piece.split(SPACE_SYMBOL).enumerate() {
        if index > 0 {
            text.push(' ');
        }
        text.push_str(part);
    }
}
