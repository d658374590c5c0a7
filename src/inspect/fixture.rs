//! Small maps for this module's tests, with weights simple enough to check by hand.

use super::{AttentionMap, Kind, Meaning};
use crate::model::Attention;
use crate::text::Word;

/// Words from `(text, first piece, one past the last piece)`, with a space between them.
pub(super) fn words(list: &[(&str, usize, usize)]) -> Vec<Word> {
    let mut at = 0;
    let word = |&(text, start, end): &(&str, usize, usize)| {
        let bytes = at..at + text.len();
        at = bytes.end + 1;
        Word { text: text.to_owned(), bytes, pieces: start..end }
    };
    list.iter().map(word).collect()
}

/// Owned strings.
pub(super) fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|&s| s.to_owned()).collect()
}

/// `Ein Hund läuft .` to `A dog runs .`, two layers of two heads. `Hund` is two pieces, `läuft` two.
///
/// Layer 0, head 0 follows the words: each row puts 0.7 on one column and 0.06 on the five others. Head 1 of layer 0
/// and head 0 of layer 1 are uniform; head 1 of layer 1 sees only the sentence end.
pub(super) fn dog() -> AttentionMap {
    let (rows, columns) = (5, 6);
    let mut weights = Vec::new();
    for peak in [0, 1, 3, 4, 5] {
        weights.extend((0..columns).map(|column| if column == peak { 0.7 } else { 0.06 }));
    }
    weights.extend(std::iter::repeat_n(1.0 / columns as f32, 2 * rows * columns));
    for _ in 0..rows {
        weights.extend([0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    }
    AttentionMap {
        line: 1,
        kind: Kind::Cross,
        source: "Ein Hund läuft.".to_owned(),
        translation: "A dog runs.".to_owned(),
        score: Some(-0.5),
        source_pieces: strings(&["▁Ein", "▁Hu", "nd", "▁läu", "ft.", "</s>"]),
        target_pieces: strings(&["▁A", "▁dog", "▁run", "s.", "</s>"]),
        source_texts: strings(&[" Ein", " Hu", "nd", " läu", "ft.", "</s>"]),
        target_texts: strings(&[" A", " dog", " run", "s.", "</s>"]),
        source_words: words(&[("Ein", 0, 1), ("Hund", 1, 3), ("läuft.", 3, 5)]),
        target_words: words(&[("A", 0, 1), ("dog", 1, 2), ("runs.", 2, 4)]),
        start_piece: "<s>".to_owned(),
        end_piece: "</s>".to_owned(),
        attention: Attention { layers: 2, heads: 2, rows, columns, weights },
        meaning: Meaning::Weights,
    }
}

/// The decoder's self-attention of [`dog`]'s target: each step attends evenly to all it may see.
pub(super) fn dog_decoder() -> AttentionMap {
    let size = 5;
    let weights = (0..size)
        .flat_map(|row| (0..size).map(move |column| if column <= row { 1.0 / (row + 1) as f32 } else { 0.0 }))
        .collect();
    AttentionMap {
        kind: Kind::Decoder,
        attention: Attention { layers: 1, heads: 1, rows: size, columns: size, weights },
        ..dog()
    }
}
