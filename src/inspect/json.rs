//! JSON lines: one self-describing object for each sentence, layer and head.

use serde::Serialize;

use super::select::{Choice, Matrix, Selected};
use crate::text::Word;

#[derive(Serialize)]
struct Object<'a> {
    line: u64,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    meaning: Option<&'static str>,
    source: &'a str,
    translation: &'a str,
    score: Option<f32>,
    source_pieces: &'a [String],
    target_pieces: &'a [String],
    source_words: Vec<WordObject<'a>>,
    target_words: Vec<WordObject<'a>>,
    layers: usize,
    heads: usize,
    layer: Choice,
    head: Choice,
    unit: &'static str,
    align_on: &'static str,
    eos: &'static str,
    rows: &'a [String],
    columns: &'a [String],
    matrix: Vec<&'a [f32]>,
}

#[derive(Serialize)]
struct WordObject<'a> {
    text: &'a str,
    /// First byte in the sentence and one past the last.
    bytes: [usize; 2],
    /// First piece and one past the last.
    pieces: [usize; 2],
}

/// One line for each selected matrix, each ending in a newline.
///
/// | key | value |
/// |---|---|
/// | `line` | line of the input, from 1 |
/// | `kind` | `cross`, `encoder` or `decoder` |
/// | `meaning` | only where the numbers are not weights that sum to 1: `partial weights`, or `probabilities of a hard choice` |
/// | `source`, `translation` | the two sentences |
/// | `score` | the model's score, or null |
/// | `source_pieces`, `target_pieces` | all pieces, the sentence end included |
/// | `source_words`, `target_words` | `{"text", "bytes": [first, past the last], "pieces": likewise}`; the words between white space, their bytes in `source` and `translation` |
/// | `layers`, `heads` | how many the model has |
/// | `layer`, `head` | the number (from 0), or `"mean"` or `"max"` |
/// | `unit` | `pieces` or `words`: what rows and columns are |
/// | `align_on` | `output` or `input`: the target token a row belongs to |
/// | `eos` | `kept`, or `masked` where the column of the sentence end was left out and the rest rescaled |
/// | `rows`, `columns` | the labels of the matrix |
/// | `matrix` | a list of rows; each row sums to 1, or to less where `meaning` says so |
pub fn render(selected: &Selected) -> String {
    let mut text = String::new();
    for matrix in &selected.matrices {
        // Strings, numbers and lists only: serialising cannot fail.
        text.push_str(&serde_json::to_string(&object(selected, matrix)).unwrap_or_default());
        text.push('\n');
    }
    text
}

fn object<'a>(selected: &'a Selected, matrix: &'a Matrix) -> Object<'a> {
    let map = selected.map;
    let words = |words: &'a [Word]| {
        let word = |word: &'a Word| WordObject {
            text: &word.text,
            bytes: [word.bytes.start, word.bytes.end],
            pieces: [word.pieces.start, word.pieces.end],
        };
        words.iter().map(word).collect()
    };
    Object {
        line: map.line,
        kind: map.kind.name(),
        meaning: map.meaning.note().map(|_| map.meaning.name()),
        source: &map.source,
        translation: &map.translation,
        score: map.score,
        source_pieces: &map.source_pieces,
        target_pieces: &map.target_pieces,
        source_words: words(&map.source_words),
        target_words: words(&map.target_words),
        layers: map.attention.layers,
        heads: map.attention.heads,
        layer: matrix.layer,
        head: matrix.head,
        unit: selected.unit(),
        align_on: selected.selection.align_on.name(),
        eos: selected.eos(),
        rows: &selected.rows.labels,
        columns: &selected.columns.labels,
        matrix: matrix.weights.chunks_exact(selected.columns.len().max(1)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use crate::inspect::{HeadChoice, LayerChoice, Selection, fixture};

    #[test]
    fn an_object_says_everything_about_its_matrix() {
        let map = fixture::dog();
        let selection = Selection {
            layer: LayerChoice::Index(0),
            head: HeadChoice::Index(0),
            words: true,
            mask_eos: true,
            ..Selection::default()
        };
        let line = super::render(&map.select(&selection).unwrap());
        assert_eq!(line.matches('\n').count(), 1);
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["line"], 1);
        assert_eq!(object["kind"], "cross");
        assert_eq!(object["source_pieces"].as_array().unwrap().len(), 6);
        assert_eq!(object["source_words"][1], serde_json::json!({"text": "Hund", "bytes": [4, 8], "pieces": [1, 3]}));
        assert_eq!((&object["layer"], &object["head"]), (&serde_json::json!(0), &serde_json::json!(0)));
        assert_eq!(object["eos"], "masked");
        assert_eq!(object["columns"], serde_json::json!(["Ein", "Hund", "läuft."]));
        assert_eq!(object["matrix"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn all_layers_and_heads_are_a_line_each() {
        let map = fixture::dog();
        let selection = Selection { layer: LayerChoice::All, head: HeadChoice::All, ..Selection::default() };
        let lines = super::render(&map.select(&selection).unwrap());
        assert_eq!(lines.lines().count(), 4);
    }

    #[test]
    fn weights_keep_their_shortest_exact_form() {
        let map = fixture::dog();
        let selection = Selection { layer: LayerChoice::Index(0), head: HeadChoice::Index(0), ..Selection::default() };
        let line = super::render(&map.select(&selection).unwrap());
        assert!(line.contains("[0.7,0.06,0.06,0.06,0.06,0.06]"), "{line}");
    }
}
