//! Plain word lists: one word a line, its id the line's number counted from 0.

use std::collections::HashMap;
use std::path::Path;

use super::{Piece, Specials, Vocabulary, specials_by_name};
use crate::{Error, Result};

/// A plain word list (`vocab.txt`).
///
/// Text is cut at white space, and punctuation is split off words that are not listed with it: `z.B.` stays whole if
/// the list has it, `(Hund),` becomes `(`, `Hund`, `)`, `,`. Words not listed become `<unk>`. If no listed word has a
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
    /// If it is not valid UTF-8, is empty, or has no `<unk>`.
    pub fn parse(bytes: &[u8], path: impl AsRef<Path>) -> Result<Self> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Error::model(&path, "not a usable word list: it is not valid UTF-8; save it as UTF-8"))?;
        let words: Vec<Box<str>> = text.trim_start_matches('\u{feff}').lines().map(Box::from).collect();
        let mut ids = HashMap::new();
        for (id, word) in words.iter().enumerate().filter(|(_, word)| !word.is_empty()) {
            ids.entry(word.clone()).or_insert(id as u32);
        }
        let specials = specials_by_name(|name| ids.get(name).copied());
        if specials.unknown.is_none() {
            let problem = "not a usable word list: it has no line `<unk>` for words that are not listed; add one";
            return Err(Error::model(path, problem));
        }
        let is_special = |id: usize| specials.contains(id as u32);
        let lower_case =
            !words.iter().enumerate().any(|(id, word)| !is_special(id) && word.chars().any(char::is_uppercase));
        Ok(Self { words, ids, specials, lower_case })
    }

    fn unknown(&self) -> u32 {
        self.specials.unknown.unwrap_or_default()
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

/// Neither letter, digit, combining mark nor white space.
fn is_punctuation(character: char) -> bool {
    let is_mark = || matches!(character, '\u{300}'..='\u{36f}' | '\u{200c}' | '\u{200d}');
    let is_symbol_of_another_script = || {
        !character.is_ascii()
            && !matches!(character, '\u{a0}'..='\u{bf}' | '\u{2000}'..='\u{2bff}' | '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ff0f}')
    };
    !(character.is_alphanumeric() || character.is_whitespace() || is_mark() || is_symbol_of_another_script())
}

impl Vocabulary for WordList {
    fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        self.tokenize(text, |word| ids.push(self.id(word).unwrap_or(self.unknown())));
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
            pieces.push(Piece { id: self.id(word).unwrap_or(self.unknown()), text: word.to_owned() });
        });
        pieces
    }

    fn specials(&self) -> Specials {
        self.specials
    }
}

/// Joins words with the spacing of Western typography: none before closing punctuation, none after opening brackets;
/// straight quotes open and close in turn.
pub(super) fn detokenize(words: &[&str]) -> String {
    let mut text = String::new();
    let mut quotes_are_open = false;
    let mut glue_next = true;
    for &word in words {
        let closes_quote = word == "\"" && quotes_are_open;
        let is_clitic = word.starts_with(['\'', '\u{2019}']) && word.chars().count() > 1 || word == "n't";
        let sticks_left = closes_quote
            || is_clitic
            || matches!(
                word,
                "." | ","
                    | ";"
                    | ":"
                    | "!"
                    | "?"
                    | ")"
                    | "]"
                    | "}"
                    | "%"
                    | "\u{2026}"
                    | "..."
                    | "\u{201d}"
                    | "\u{2019}"
                    | "\u{bb}"
            );
        if !glue_next && !sticks_left {
            text.push(' ');
        }
        text.push_str(word);
        let opens_quote = word == "\"" && !quotes_are_open;
        quotes_are_open ^= word == "\"";
        glue_next =
            opens_quote || matches!(word, "(" | "[" | "{" | "\u{201e}" | "\u{201a}" | "\u{ab}" | "\u{bf}" | "\u{a1}");
    }
    text
}
