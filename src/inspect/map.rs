//! One sentence's recorded attention with everything needed to read it.

use std::fmt;
use std::str::FromStr;

use crate::model::Attention;
use crate::text::{Offsets, Word, word_ranges};
use crate::{Error, Result};

/// How far a row of attention may be from summing to 1.
const ROW_SUM_TOLERANCE: f32 = 1e-4;

/// Which attention of an encoder-decoder model a map shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Encoder-decoder attention: rows are target steps, columns source pieces.
    #[default]
    Cross,
    /// Self-attention of the encoder: rows and columns are source pieces.
    Encoder,
    /// Masked self-attention of the decoder: rows are target steps, columns the tokens fed in so far.
    Decoder,
}

impl Kind {
    /// The name used on the command line and in every output format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cross => "cross",
            Self::Encoder => "encoder",
            Self::Decoder => "decoder",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "cross" => Ok(Self::Cross),
            "encoder" => Ok(Self::Encoder),
            "decoder" => Ok(Self::Decoder),
            _ => Err(Error::Usage(format!("`{name}` is no kind of attention: use cross, encoder or decoder"))),
        }
    }
}

/// What the weights of a map are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Meaning {
    /// What the values are weighed by; every row sums to 1.
    #[default]
    Weights,
    /// What the values are weighed by; a row may sum to less than 1, what is missing being weighed by nothing (a bell over a window,
    /// scores for positions beyond the sentence).
    Partial,
    /// What one position is chosen by, whose value alone is used (hard attention); every row sums to at most 1.
    Probabilities,
}

impl Meaning {
    /// What a reader should be told, if it is not what attention usually is.
    pub fn note(self) -> Option<&'static str> {
        match self {
            Self::Weights => None,
            Self::Partial => Some("rows may sum to less than 1"),
            Self::Probabilities => Some("probabilities by which one position is chosen"),
        }
    }

    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Partial => "partial weights",
            Self::Probabilities => "probabilities of a hard choice",
        }
    }
}

/// The attention of one kind over one sentence pair, with the pieces and words its rows and columns stand for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttentionMap {
    /// The line of the input the sentence came from, counted from 1.
    pub line: u64,
    /// Which attention this is.
    pub kind: Kind,
    /// The source sentence as it was given.
    pub source: String,
    /// The target sentence: what the model produced, or the target it was forced to follow.
    pub translation: String,
    /// The model's score of the target, if it was computed.
    pub score: Option<f32>,
    /// Source pieces as the encoder saw them, the sentence end included.
    pub source_pieces: Vec<String>,
    /// Target pieces, one a decoder step, the sentence end included (absent where the length limit truncated them).
    pub target_pieces: Vec<String>,
    /// What each source piece adds to the text, with its real spaces ([`crate::text::spelled`]); empty where nobody needs it, else
    /// one a piece.
    pub source_texts: Vec<String>,
    /// The same of each target piece.
    pub target_texts: Vec<String>,
    /// Words of the source. Pieces in none of them (the sentence end, a language tag) stand for themselves.
    pub source_words: Vec<Word>,
    /// Words of the target, likewise.
    pub target_words: Vec<Word>,
    /// How the vocabulary writes the token fed to the decoder before anything else.
    pub start_piece: String,
    /// How the vocabulary writes the sentence end.
    pub end_piece: String,
    /// Weights `[layers, heads, rows, columns]`.
    pub attention: Attention,
    /// What they are.
    pub meaning: Meaning,
}

impl AttentionMap {
    /// The map of a text that was normalised before it was translated: its words are those of `original`, and `offsets` lead there.
    #[must_use]
    pub fn of_original(self, original: &str, offsets: &Offsets) -> Self {
        let mut normal = self.source_words.into_iter().peekable();
        let mut end = 0;
        let mut word = |bytes: std::ops::Range<usize>| {
            let mut pieces = end..end;
            while let Some(part) = normal.next_if(|part| offsets.original(part.bytes.start) < bytes.end) {
                if pieces.is_empty() {
                    pieces.start = part.pieces.start;
                }
                pieces.end = part.pieces.end;
            }
            end = pieces.end;
            Word { text: original[bytes.clone()].to_owned(), bytes, pieces }
        };
        let source_words = word_ranges(original).into_iter().map(&mut word).collect();
        Self { source: original.to_owned(), source_words, ..self }
    }

    /// The kind, and what the weights are if they are not what they usually are: `cross attention`.
    pub fn title(&self) -> String {
        match self.meaning.note() {
            None => format!("{} attention", self.kind),
            Some(note) => format!("{} attention ({note})", self.kind),
        }
    }

    /// Checks that the weights fit the pieces and that every row sums to 1 within 1e-4, or to less where [`Meaning`] allows it.
    ///
    /// # Errors
    /// If a shape does not fit, a weight is not a number, or a row does not sum to 1; the message names the sentence
    /// and the place.
    pub fn check(&self) -> Result<()> {
        let Attention { layers, heads, rows, columns, ref weights } = self.attention;
        let (expected_rows, expected_columns) = match self.kind {
            Kind::Cross => (self.target_pieces.len(), self.source_pieces.len()),
            Kind::Encoder => (self.source_pieces.len(), self.source_pieces.len()),
            Kind::Decoder => (self.target_pieces.len(), self.target_pieces.len()),
        };
        if (rows, columns) != (expected_rows, expected_columns) {
            return Err(
                self.defect(format!("{rows} x {columns} weights for {expected_rows} x {expected_columns} pieces"))
            );
        }
        if layers == 0 || heads == 0 || weights.is_empty() {
            return Err(self.defect("the model recorded none".to_owned()));
        }
        if weights.len() != layers * heads * rows * columns {
            return Err(
                self.defect(format!("{} weights do not fill {layers} x {heads} x {rows} x {columns}", weights.len()))
            );
        }
        for (number, row) in weights.chunks_exact(columns).enumerate() {
            let sum: f32 = row.iter().sum();
            let is_short = self.meaning != Meaning::Weights && sum < 1.0;
            // Written so that a NaN fails too.
            if !((is_short || (sum - 1.0).abs() <= ROW_SUM_TOLERANCE) && row.iter().all(|&weight| weight >= 0.0)) {
                let (layer, head, row) = (number / (heads * rows), number / rows % heads, number % rows);
                return Err(self.defect(format!("layer {layer}, head {head}, row {row} sums to {sum}, not to 1")));
            }
        }
        check_words(&self.source_words, self.source_pieces.len()).map_err(|problem| self.defect(problem))?;
        check_words(&self.target_words, self.target_pieces.len()).map_err(|problem| self.defect(problem))
    }

    fn defect(&self, problem: String) -> Error {
        Error::Attention(format!("line {}: {} attention: {problem}", self.line, self.kind))
    }
}

/// Words must lie within the pieces, in order, without overlap.
fn check_words(words: &[Word], pieces: usize) -> Result<(), String> {
    let mut end = 0;
    for word in words {
        if word.pieces.start < end || word.pieces.end < word.pieces.start || word.pieces.end > pieces {
            return Err(format!("word `{}` claims pieces {:?} of {pieces}", word.text, word.pieces));
        }
        end = word.pieces.end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::inspect::Meaning;
    use crate::inspect::fixture;

    #[test]
    fn a_row_may_sum_to_less_where_the_map_says_so() {
        let mut map = fixture::dog();
        map.attention.weights[0] = 0.1;
        assert!(map.check().is_err());
        assert_eq!(map.title(), "cross attention");
        map.meaning = Meaning::Partial;
        map.check().unwrap();
        assert_eq!(map.title(), "cross attention (rows may sum to less than 1)");
        map.attention.weights[0] = 1.7;
        assert!(map.check().is_err());
    }

    #[test]
    fn a_map_with_fitting_weights_passes() {
        fixture::dog().check().unwrap();
    }

    #[test]
    fn a_row_that_does_not_sum_to_one_is_named() {
        let mut map = fixture::dog();
        let columns = map.attention.columns;
        map.attention.weights[columns] = 0.5;
        let message = map.check().unwrap_err().to_string();
        assert!(message.contains("layer 0, head 0, row 1 sums to 1.4"), "{message}");
    }

    #[test]
    fn not_a_number_is_an_error() {
        let mut map = fixture::dog();
        map.attention.weights[0] = f32::NAN;
        assert!(map.check().is_err());
    }

    #[test]
    fn weights_that_do_not_fit_the_pieces_are_an_error() {
        let mut map = fixture::dog();
        map.source_pieces.pop();
        let message = map.check().unwrap_err().to_string();
        assert!(message.contains("line 1: cross attention: 5 x 6 weights for 5 x 5 pieces"), "{message}");
    }

    #[test]
    fn missing_attention_is_an_error_not_zeros() {
        let mut map = fixture::dog();
        map.attention.weights.clear();
        map.attention.layers = 0;
        assert!(map.check().unwrap_err().to_string().contains("recorded none"));
    }

    #[test]
    fn overlapping_words_are_an_error() {
        let mut map = fixture::dog();
        map.source_words[1].pieces = 0..3;
        assert!(map.check().unwrap_err().to_string().contains("word `Hund`"));
    }
}
