//! Tab-separated values, one weight a line: the tidy form that data frames and spreadsheets read directly.

use std::fmt::Write;

use super::select::Selected;

/// The names of the columns, with a newline; written once, before the first sentence.
pub const HEADER: &str = "line\tkind\tlayer\thead\teos\trow\trow_label\tcolumn\tcolumn_label\tweight\n";

/// One line for each weight of each selected matrix.
///
/// Rows and columns are counted from 0. `eos` says `masked` where the sentence end's column was left out and the rest
/// rescaled, otherwise `kept`. Tabs, newlines and backslashes inside labels are written `\t`, `\n`, `\r` and `\\`.
pub fn render(selected: &Selected) -> String {
    let rows: Vec<String> = selected.rows.labels.iter().map(|label| escape(label)).collect();
    let columns: Vec<String> = selected.columns.labels.iter().map(|label| escape(label)).collect();
    let mut text = String::new();
    for matrix in &selected.matrices {
        let weights = matrix.weights.chunks_exact(columns.len().max(1));
        for ((row, row_label), weights) in rows.iter().enumerate().zip(weights) {
            for ((column, column_label), weight) in columns.iter().enumerate().zip(weights) {
                let _ = writeln!(
                    text,
                    "{}\t{}\t{}\t{}\t{}\t{row}\t{row_label}\t{column}\t{column_label}\t{weight}",
                    selected.map.line,
                    selected.map.kind,
                    matrix.layer,
                    matrix.head,
                    selected.eos(),
                );
            }
        }
    }
    text
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

#[cfg(test)]
mod tests {
    use crate::inspect::{HeadChoice, LayerChoice, Selection, fixture};

    const FIRST: Selection = Selection {
        layer: LayerChoice::Index(0),
        head: HeadChoice::Index(0),
        words: true,
        mask_eos: false,
        align_on: crate::inspect::AlignOn::Output,
    };

    #[test]
    fn every_weight_is_a_line_with_the_columns_of_the_header() {
        let map = fixture::dog();
        let text = super::render(&map.select(&FIRST).unwrap());
        let fields = super::HEADER.split('\t').count();
        assert_eq!(text.lines().count(), 16);
        assert!(text.lines().all(|line| line.split('\t').count() == fields));
        assert_eq!(text.lines().next(), Some("1\tcross\t0\t0\tkept\t0\tA\t0\tEin\t0.7"));
    }

    #[test]
    fn a_tab_in_a_label_does_not_make_a_column() {
        let mut map = fixture::dog();
        map.source_words[0].text = "a\tb\\".to_owned();
        let text = super::render(&map.select(&FIRST).unwrap());
        assert!(text.contains("\ta\\tb\\\\\t"), "{text}");
    }
}
