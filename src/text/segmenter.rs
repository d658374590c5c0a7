//! What cuts a text into pieces before they are looked up in a list, and puts pieces together again.

use std::sync::Arc;

use super::sentencepiece::SentencePiece;

/// Cuts and joins the text of one side.
#[derive(Debug)]
pub(super) struct Segmenter {
    cut: Cut,
    marks: Marks,
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
}

/// How pieces show where a word begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marks {
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
/// The mark after a piece that another follows.
pub(super) const CONTINUED: &str = "@@";
/// The mark after a word's last piece.
pub(super) const END: &str = "</w>";
/// The mark of a side that has no space.
const JOINED: char = '\u{ffed}';

impl Marks {
    /// The marks that the pieces of a list have.
    pub(super) fn of(pieces: &[String]) -> Self {
        let any = |has: &dyn Fn(&str) -> bool| pieces.iter().any(|piece| has(piece));
        let is_marked = |piece: &str, mark: &str| piece.len() > mark.len() && piece.ends_with(mark);
        if any(&|piece| is_marked(piece, CONTINUED)) {
            Self::Continued
        } else if any(&|piece| is_marked(piece, END)) {
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

impl Segmenter {
    /// One that cuts so, for a list of these pieces.
    pub(super) fn new(cut: Cut, pieces: &[String]) -> Self {
        let marks = match cut {
            Cut::Spaces => Marks::of(pieces),
            Cut::Characters(_) => Marks::None,
            Cut::SentencePiece(_) => Marks::Begin,
        };
        Self { cut, marks }
    }

    /// Calls `emit` with every piece of a text.
    pub(super) fn cut(&self, text: &str, emit: &mut dyn FnMut(&str)) {
        match &self.cut {
            Cut::Spaces => text.split_whitespace().for_each(emit),
            Cut::Characters(space) => {
                let mut buffer = [0; 4];
                text.trim().chars().for_each(|character| match character.is_whitespace() {
                    true => emit(space),
                    false => emit(character.encode_utf8(&mut buffer)),
                });
            }
            Cut::SentencePiece(model) => model.encode_with(text, |_, piece| emit(piece)),
        }
    }

    /// The text of pieces, none of which is a special token.
    pub(super) fn join(&self, pieces: &[&str]) -> String {
        match &self.cut {
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
        }
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
            Marks::End => piece.ends_with(END),
        }
    }

    /// A word as a person reads it, from its pieces put end to end.
    pub(super) fn readable(&self, word: &str) -> String {
        match self.marks {
            Marks::None => word.to_owned(),
            Marks::Begin => word.trim_start_matches(BEGIN).to_owned(),
            Marks::Continued => word.replace(CONTINUED, ""),
            Marks::End => word.replace(END, ""),
            Marks::Joined => word.replace(JOINED, ""),
        }
    }
}
