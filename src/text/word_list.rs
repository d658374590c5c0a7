//! Plain word lists: one word a line, its id the line's number counted from 0.

use std::collections::HashMap;
use std::path::Path;

use super::{Piece, Specials, Vocabulary, specials_by_name};
use crate::{Error, Result};

/// A plain word list (`vocab.txt`).
///
/// Text is cut at white space, and punctuation is split off words that are not listed with it: `z.B.` stays whole if
/// the list has it, `(Hund),` becomes `(`, `Hund`, `)`, `,`. Words not listed become `<unk>`, and a text with one cannot
/// be encoded where the list has none. If no listed word has a
/// capital letter, text is lower-cased first.
#[derive(Debug)]
pub struct WordList {
    words: Vec<Box<str>>,
    ids: HashMap<Box<str>, u32>,
    specials: Specials,
    lower_case: bool,
}

impl WordList {
    /// Reads the contents of a word list; `path` names it in messages.
    ///
    /// Special tokens are found by name: `<unk>`, `<pad>`, `<sos>`, `<s>` or `<bos>`, `<eos>` or `</s>`. An empty line
    /// counts as an id that no text has. Of a word listed twice the first line counts.
    ///
    /// # Errors
    /// If it is not valid UTF-8 or is empty.
    pub fn parse(bytes: &[u8], path: impl AsRef<Path>) -> Result<Self> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Error::model(&path, "not a usable word list: it is not valid UTF-8; save it as UTF-8"))?;
        let words: Vec<Box<str>> = text.trim_start_matches('\u{feff}').lines().map(Box::from).collect();
        let mut ids = HashMap::new();
        for (id, word) in words.iter().enumerate().filter(|(_, word)| !word.is_empty()) {
            ids.entry(word.clone()).or_insert(id as u32);
        }
        let specials = specials_by_name(|name| ids.get(name).copied());
        if ids.is_empty() {
            return Err(Error::model(path, "not a usable word list: it is empty; put one word on each line"));
        }
        let is_special = |id: usize| specials.contains(id as u32);
        let lower_case =
            !words.iter().enumerate().any(|(id, word)| !is_special(id) && word.chars().any(char::is_uppercase));
        Ok(Self { words, ids, specials, lower_case })
    }

    /// The id of a word, else that of `<unk>`.
    fn id_or_unknown(&self, word: &str) -> Option<u32> {
        self.ids.get(word).copied().or(self.specials.unknown)
    }

    fn is_listed(&self, word: &str) -> bool {
        self.ids.contains_key(word)
    }

    /// Calls `emit` with every word of a text, in the spelling it is looked up in.
    fn tokenize(&self, text: &str, mut emit: impl FnMut(&str)) {
        let lowered;
        let text = if self.lower_case {
            lowered = text.to_lowercase();
            &lowered
        } else {
            text
        };
        for mut word in text.split_whitespace() {
            let mut after = Vec::new();
            while !self.is_listed(word) {
                let (first, last) = (word.chars().next(), word.chars().next_back());
                if let Some(first) = first.filter(|&first| is_punctuation(first)) {
                    let (mark, rest) = word.split_at(first.len_utf8());
                    emit(mark);
                    word = rest;
                } else if let Some(last) = last.filter(|&last| is_punctuation(last)) {
                    let (rest, mark) = word.split_at(word.len() - last.len_utf8());
                    after.push(mark);
                    word = rest;
                } else {
                    break;
                }
            }
            if self.is_listed(word) {
                emit(word);
            } else {
                self.split_inside(word, &mut emit);
            }
            after.iter().rev().for_each(|mark| emit(mark));
        }
    }

    /// Cuts an unlisted word at punctuation (`well-known`) if that yields listed words.
    fn split_inside(&self, word: &str, emit: &mut impl FnMut(&str)) {
        let parts = || {
            word.split_inclusive(is_punctuation).flat_map(|part| {
                let mark = part.chars().next_back().filter(|&last| is_punctuation(last)).map_or(0, char::len_utf8);
                let (before, mark) = part.split_at(part.len() - mark);
                [before, mark]
            })
        };
        if parts().any(|part| self.is_listed(part) && !part.chars().all(is_punctuation)) {
            parts().filter(|part| !part.is_empty()).for_each(emit);
        } else if !word.is_empty() {
            emit(word);
        }
    }
}

/// Punctuation and currency signs, which are words of their own.
fn is_punctuation(character: char) -> bool {
    character.is_ascii_punctuation()
        || matches!(
            character,
            '\u{a1}'..='\u{a9}' | '\u{ab}' | '\u{ae}' | '\u{b0}' | '\u{b1}' | '\u{b6}' | '\u{b7}' | '\u{bb}' | '\u{bf}'
        )
        || matches!(character, '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{20a0}'..='\u{20cf}')
        || matches!(character, '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}' | '\u{30fb}')
        || matches!(character, '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{964}' | '\u{965}' | '\u{60c}' | '\u{61b}' | '\u{61f}')
}

impl Vocabulary for WordList {
    fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        self.tokenize(text, |word| ids.extend(self.id_or_unknown(word)));
        ids
    }

    fn decode(&self, ids: &[u32]) -> String {
        let kept = ids.iter().filter(|&&id| !self.specials.contains(id));
        let words: Vec<&str> = kept.filter_map(|&id| self.piece(id)).collect();
        detokenize(&words)
    }

    fn piece(&self, id: u32) -> Option<&str> {
        self.words.get(id as usize).map(|word| &**word)
    }

    fn id(&self, piece: &str) -> Option<u32> {
        self.ids.get(piece).copied()
    }

    fn size(&self) -> usize {
        self.words.len()
    }

    fn begins_word(&self, id: u32) -> bool {
        self.piece(id).is_some()
    }

    fn segment(&self, text: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        self.tokenize(text, |word| {
            pieces.extend(self.id_or_unknown(word).map(|id| Piece { id, text: word.to_owned() }));
        });
        pieces
    }

    fn specials(&self) -> Specials {
        self.specials
    }

    fn unencodable(&self, text: &str) -> Option<String> {
        let mut missing = None;
        if self.specials.unknown.is_none() {
            self.tokenize(text, |word| {
                if missing.is_none() && self.id_or_unknown(word).is_none() {
                    missing = Some(word.to_owned());
                }
            });
        }
        missing
    }
}

/// Joins words with the spacing of Western typography: none before closing punctuation and clitics (`'s`, `n't`), none
/// after opening brackets. Straight quotation marks open and close in turn, and `“` closes what `„` has opened.
pub(super) fn detokenize(words: &[&str]) -> String {
    let mut text = String::new();
    // The straight or low quotation mark that is open.
    let mut open_quote = None;
    let mut glue_next = true;
    for &word in words {
        let closes_quote = matches!((open_quote, word), (Some("\""), "\"") | (Some("\u{201e}"), "\u{201c}"));
        let opens_quote = !closes_quote && matches!(word, "\"" | "\u{201e}" | "\u{201c}");
        let is_clitic = word == "n't" || word.starts_with(['\'', '\u{2019}']) && word.chars().any(char::is_alphabetic);
        let is_closing = ".,;:!?)]}%\u{2026}\u{201d}\u{2019}\u{bb}".contains(word) && !word.is_empty() || word == "...";
        if !(glue_next || closes_quote || is_clitic || is_closing) {
            text.push(' ');
        }
        text.push_str(word);
        if closes_quote {
            open_quote = None;
        } else if opens_quote {
            open_quote = Some(word);
        }
        glue_next = opens_quote || matches!(word, "(" | "[" | "{" | "\u{201a}" | "\u{ab}" | "\u{bf}" | "\u{a1}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &str) -> WordList {
        WordList::parse(words.as_bytes(), "vocab.txt").unwrap()
    }

    fn pieces_of(list: &WordList, text: &str) -> Vec<String> {
        list.segment(text).into_iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn punctuation_is_split_off_unless_listed() {
        let german = list("<unk>\nHund\nz.B.\n.\n,\n(\n)\nT-Shirt\nwell\nknown\n-\n");
        assert_eq!(pieces_of(&german, "(Hund), z.B. T-Shirt."), ["(", "Hund", ")", ",", "z.B.", "T-Shirt", "."]);
        assert_eq!(pieces_of(&german, "well-known x-y ..."), ["well", "-", "known", "x-y", ".", ".", "."]);
        assert_eq!(german.encode(" Hund  Katze\t."), [1, 0, 3]);
        assert!(german.encode(" \n").is_empty());
    }

    #[test]
    fn a_list_without_capitals_lowers_the_text() {
        assert_eq!(list("<unk>\nhund\n<EOS>").encode("HUND"), [0]);
        assert_eq!(list("<unk>\nhund\n</s>").encode("HUND"), [1]);
    }

    #[test]
    fn ids_are_line_numbers() {
        let words = list("\u{feff}<pad>\r\n<unk>\r\n\r\n<sos>\r\n<eos>\r\nder\r\nder\r\n");
        assert_eq!(words.size(), 7);
        assert_eq!((words.id("der"), words.piece(6)), (Some(5), Some("der")));
        let specials = Specials { unknown: Some(1), padding: Some(0), begin: Some(3), end: Some(4) };
        assert_eq!(words.specials(), specials);
        assert_eq!(words.decode(&[3, 5, 1, 4, 0, 99]), "der");
    }

    #[test]
    fn unusable_lists_are_errors() {
        for (bytes, problem) in [(&b"\n\n"[..], "is empty"), (b"", "is empty"), (b"\xff\n", "UTF-8")] {
            let error = WordList::parse(bytes, "m/vocab.txt").unwrap_err().to_string();
            assert!(error.starts_with("m/vocab.txt: ") && error.contains(problem), "{error}");
        }
    }

    #[test]
    fn without_an_unknown_word_a_text_with_one_is_not_encodable() {
        let plain = list("<pad>\nder\nHund");
        assert_eq!(plain.unencodable("der Hund"), None);
        assert_eq!(plain.unencodable("der Kater, Hund"), Some("Kater".to_owned()));
        assert_eq!(plain.encode("der Hund"), [1, 2]);
        assert_eq!(list("<unk>\nder").unencodable("Kater"), None);
    }

    #[test]
    fn decoding_restores_spacing() {
        for (words, text) in [
            ("Hello , world ! ( It 's \" quoted \" . )", "Hello, world! (It's \"quoted\".)"),
            ("Er sagte : „ Ja “ , und ging .", "Er sagte: „Ja“, und ging."),
            ("I do n't know ... 5 % of it ?", "I don't know... 5% of it?"),
            ("She said “ no ” [ sic ] .", "She said “no” [sic]."),
            ("", ""),
        ] {
            assert_eq!(detokenize(&words.split_whitespace().collect::<Vec<_>>()), text);
        }
    }
}
