//! What cuts a text into pieces before they are looked up in a list, and puts pieces together again.

use std::borrow::Cow;
use std::sync::Arc;

use super::moses::{Moses, Truecaser, WORD_END, detruecase};
use super::sentencepiece::SentencePiece;
use super::subwords::{CONTINUED, Codes};

/// Cuts and joins the text of one side.
#[derive(Debug)]
pub(super) struct Segmenter {
    pub(super) words: Words,
    cut: Cut,
    marks: Marks,
}

/// What is done to words before they are cut into pieces.
#[derive(Debug)]
pub(super) struct Words {
    /// Normalises text, whether it cuts it or not.
    pub(super) moses: Moses,
    /// Whether text is cut into Moses tokens.
    pub(super) tokenizes: bool,
    pub(super) truecaser: Option<Arc<Truecaser>>,
    /// Whether the first word of a sentence that comes out gets a capital.
    pub(super) detruecases: bool,
    pub(super) lower_case: bool,
}

/// How words become pieces.
#[derive(Clone, Debug)]
pub(super) enum Cut {
    /// They stand between spaces already.
    Spaces,
    /// Every character is one; a space is this piece.
    Characters(&'static str),
    /// By a SentencePiece model.
    SentencePiece(Arc<SentencePiece>),
    /// By the codes of a byte pair encoding.
    Codes(Arc<Codes>),
}

/// How pieces show where a word begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marks {
    /// Not at all: each is a word.
    None,
    /// `▁` before the first piece of a word (SentencePiece).
    Begin,
    /// `@@` after every piece but a word's last (subword-nmt, fastBPE).
    Continued,
    /// `</w>` after the last piece of a word.
    End,
    /// `￭` where a piece joins its neighbour (the OpenNMT Tokenizer).
    Joined,
}

/// The mark before the first piece of a word.
const BEGIN: char = '\u{2581}';
/// The mark on a side that has no space.
const JOINED: char = '\u{ffed}';

impl Marks {
    /// The marks that the pieces of a list have.
    fn of(pieces: &[String]) -> Self {
        let any = |has: &dyn Fn(&str) -> bool| pieces.iter().any(|piece| has(piece));
        let is_marked = |piece: &str, mark: &str| piece.len() > mark.len() && piece.ends_with(mark);
        if any(&|piece| is_marked(piece, CONTINUED)) {
            Self::Continued
        } else if any(&|piece| is_marked(piece, WORD_END)) {
            Self::End
        } else if any(&|piece| piece.chars().count() > 1 && (piece.starts_with(JOINED) || piece.ends_with(JOINED))) {
            Self::Joined
        } else if any(&|piece| piece.starts_with(BEGIN)) {
            Self::Begin
        } else {
            Self::None
        }
    }
}

impl Words {
    /// The text whose words are cut.
    fn prepare<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = self.moses.normalize(text);
        if self.tokenizes || self.truecaser.is_some() {
            let mut tokens: Vec<String> = match self.tokenizes {
                true => self.moses.tokenize_normalized(&text),
                false => text.split_whitespace().map(str::to_owned).collect(),
            };
            if let Some(truecaser) = &self.truecaser {
                truecaser.truecase(&mut tokens);
            }
            text = tokens.join(" ").into();
        }
        if self.lower_case { text.to_lowercase().into() } else { text }
    }

    /// The text that words with spaces between them stand for.
    fn put_together(&self, words: String) -> String {
        if !self.tokenizes && !self.detruecases {
            return words;
        }
        let mut tokens: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        if self.detruecases {
            detruecase(&mut tokens);
        }
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        if self.tokenizes { self.moses.detokenize(&tokens) } else { tokens.join(" ") }
    }
}

impl Segmenter {
    /// One that cuts so, for a list of these pieces.
    pub(super) fn new(words: Words, cut: Cut, pieces: &[String]) -> Self {
        let marks = match (&cut, Marks::of(pieces)) {
            (Cut::Spaces, marks) => marks,
            (Cut::Characters(_), _) => Marks::None,
            (Cut::SentencePiece(_), _) => Marks::Begin,
            (Cut::Codes(_), Marks::End) => Marks::End,
            (Cut::Codes(_), _) => Marks::Continued,
        };
        Self { words, cut, marks }
    }

    /// Calls `emit` with every piece of a text.
    pub(super) fn cut(&self, text: &str, emit: &mut dyn FnMut(&str)) {
        let text = self.words.prepare(text);
        match &self.cut {
            Cut::Spaces => text.split_whitespace().for_each(emit),
            Cut::Characters(space) => {
                let mut buffer = [0; 4];
                text.trim().chars().for_each(|character| match character.is_whitespace() {
                    true => emit(space),
                    false => emit(character.encode_utf8(&mut buffer)),
                });
            }
            Cut::SentencePiece(model) => model.encode_with(&text, |_, piece| emit(piece)),
            Cut::Codes(codes) => {
                for word in text.trim_matches(['\r', '\n']).split(' ') {
                    codes.cut(word, |piece, is_last| match (self.marks, is_last) {
                        (Marks::End, true) => emit(&[piece, WORD_END].concat()),
                        (Marks::End, false) | (_, true) => emit(piece),
                        (_, false) => emit(&[piece, CONTINUED].concat()),
                    });
                }
            }
        }
    }

    /// The text of pieces, none of which is a special token.
    pub(super) fn join(&self, pieces: &[&str]) -> String {
        let words = match &self.cut {
            Cut::Spaces => pieces.join(" "),
            Cut::Characters(space) => pieces
                .iter()
                .map(|piece| if piece == space { " " } else { piece })
                .collect::<String>()
                .trim()
                .to_owned(),
            // A piece that the model does not have keeps its mark up to here.
            Cut::SentencePiece(model) => {
                model.decode_pieces(pieces.iter().copied()).replace(BEGIN, " ").trim().to_owned()
            }
            Cut::Codes(_) if self.marks == Marks::End => pieces.concat().replace(WORD_END, " ").trim().to_owned(),
            Cut::Codes(_) => {
                let words = pieces.join(" ").replace("@@ ", "");
                words.strip_suffix(CONTINUED).unwrap_or(&words).to_owned()
            }
        };
        self.words.put_together(words)
    }

    /// Whether a piece of text is the first of its word by its own mark.
    pub(super) fn begins_word(&self, piece: &str) -> bool {
        match self.marks {
            Marks::None => true,
            Marks::Begin => piece.starts_with(BEGIN),
            Marks::Joined => !piece.starts_with(JOINED),
            Marks::Continued | Marks::End => false,
        }
    }

    /// Whether a piece is the last of its word by its own mark.
    pub(super) fn ends_word(&self, piece: &str) -> bool {
        match self.marks {
            Marks::None | Marks::Begin | Marks::Joined => false,
            Marks::Continued => !piece.ends_with(CONTINUED),
            Marks::End => piece.ends_with(WORD_END),
        }
    }

    /// A word as a person reads it, from its pieces put end to end.
    pub(super) fn readable(&self, word: &str) -> String {
        let word = match self.marks {
            Marks::None => word.to_owned(),
            Marks::Begin => word.trim_start_matches(BEGIN).to_owned(),
            Marks::Continued => word.replace(CONTINUED, ""),
            Marks::End => word.replace(WORD_END, ""),
            Marks::Joined => word.replace(JOINED, ""),
        };
        match self.words.tokenizes {
            true if word == "@-@" => "-".to_owned(),
            true => self.words.moses.unescape(word),
            false => word,
        }
    }
}
