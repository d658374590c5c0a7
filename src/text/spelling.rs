//! What each piece adds to a text, for those who show pieces to people: real spaces, and whole characters of bytes.

use super::{Vocabulary, is_special};

/// What each of the pieces adds to the text they stand for together, `[ids.len()]`: a space where a word begins, and a character
/// that was cut into bytes at its last byte. A piece that ends within a character adds nothing yet; a special token is as
/// the vocabulary writes it.
pub fn spelled(vocabulary: &dyn Vocabulary, ids: &[u32]) -> Vec<String> {
    let mut texts: Vec<String> = Vec::with_capacity(ids.len());
    // Bytes of a character that is not complete.
    let mut begun: Vec<u8> = Vec::new();
    let mut ends_word = false;
    for &id in ids {
        let piece = vocabulary.piece(id).unwrap_or_default();
        if is_special(vocabulary, id) {
            interrupt(&mut begun, texts.last_mut());
            texts.push(vocabulary.piece(id).map_or_else(|| format!("<{id}>"), str::to_owned));
            ends_word = true;
            continue;
        }
        let written = vocabulary.written(piece);
        let begins = ends_word || vocabulary.begins_word(id);
        if begins && !texts.is_empty() && !written.starts_with(b" ") {
            begun.push(b' ');
        }
        begun.extend(written);
        let (text, rest) = complete(&begun);
        texts.push(text);
        begun = rest;
        ends_word = vocabulary.ends_word(piece);
    }
    interrupt(&mut begun, texts.last_mut());
    texts
}

/// Bytes that no other will complete become U+FFFD.
fn interrupt(begun: &mut Vec<u8>, last: Option<&mut String>) {
    if let Some(last) = last.filter(|_| !begun.is_empty()) {
        last.push('\u{fffd}');
    }
    begun.clear();
}

/// The characters that are there, and the bytes at the end that wait for more.
fn complete(bytes: &[u8]) -> (String, Vec<u8>) {
    let mut text = String::new();
    let mut chunks = bytes.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        text.push_str(chunk.valid());
        let broken = chunk.invalid();
        // At the end of the bytes, the beginning of a character may only want the rest.
        let waits =
            chunks.peek().is_none() && std::str::from_utf8(broken).is_err_and(|error| error.error_len().is_none());
        if waits {
            return (text, broken.to_vec());
        }
        if !broken.is_empty() {
            text.push('\u{fffd}');
        }
    }
    (text, Vec::new())
}

/// The byte that `<0xE4>` stands for.
pub(super) fn byte_of(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>').filter(|digits| digits.len() == 2)?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Utf8Bytes, WordList};

    #[test]
    fn bytes_become_a_character_once_it_is_complete() {
        let vocabulary = Utf8Bytes::new(0);
        let ids = |text: &str| vocabulary.encode(text);
        assert_eq!(spelled(&vocabulary, &ids("a é大")), ["a", " ", "", "é", "", "", "大"]);
        // Cut short, and interrupted by the sentence end.
        assert_eq!(spelled(&vocabulary, &ids("大")[..2]), ["", "\u{fffd}"]);
        assert_eq!(spelled(&vocabulary, &[ids("大")[0], 1]), ["\u{fffd}", "</s>"]);
        // A lone continuation byte, then a letter.
        assert_eq!(spelled(&vocabulary, &[3 + 0x80, 3 + u32::from(b'a')]), ["\u{fffd}", "a"]);
    }

    #[test]
    fn words_stand_apart() {
        let vocabulary = WordList::parse(b"<unk>\n</s>\nein\nhund\n", "vocab.txt").unwrap();
        let ids: Vec<u32> = ["ein", "hund", "</s>"].iter().map(|piece| vocabulary.id(piece).unwrap()).collect();
        assert_eq!(spelled(&vocabulary, &ids), ["ein", " hund", "</s>"]);
    }

    #[test]
    fn a_byte_is_two_digits() {
        assert_eq!(
            (byte_of("<0xE4>"), byte_of("<0xE>"), byte_of("<0xZZ>"), byte_of("x")),
            (Some(0xe4), None, None, None)
        );
    }
}
