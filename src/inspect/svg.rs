//! One picture a sentence, as SVG: crisp at any size, self-contained, and fit for a printed page.
//!
//! A single matrix is drawn large with its labels. Several are drawn as panels, layers downwards and heads across,
//! below the one list of words they share.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use super::printable;
use super::select::{Matrix, Selected};

/// Side of a cell of a single matrix, in pixels (as of all lengths below).
const CELL: f32 = 24.0;
/// Side of a cell where there are several matrices.
const SMALL_CELL: f32 = 7.0;
/// Height of the label text, and the width one terminal column of it takes at most.
const FONT: f32 = 13.0;
const CHARACTER: f32 = 7.6;
/// White space around the picture and between panels.
const MARGIN: f32 = 20.0;
const FAMILY: &str = "'Noto Sans','Helvetica Neue',Arial,'DejaVu Sans',sans-serif";

/// The selected matrices of one sentence as a complete SVG document.
pub fn render(selected: &Selected) -> String {
    let caption = caption(selected);
    let mut body = String::new();
    let (width, height) = match selected.matrices.as_slice() {
        [matrix] => single(&mut body, selected, matrix),
        matrices => panels(&mut body, selected, matrices),
    };
    let caption_width = width_of(&caption) * 0.85;
    let (width, height) = (width.max(caption_width) + 2.0 * MARGIN, height + 2.0 * MARGIN + 24.0);
    let map = selected.map;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" font-family=\"{FAMILY}\" font-size=\"{FONT}\">\n"
    );
    let _ = writeln!(svg, "<title>{} – {}</title>", escape(&map.source), escape(&map.translation));
    let _ = writeln!(svg, "<desc>{}</desc>", escape(&caption));
    let _ = writeln!(svg, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>");
    let _ = writeln!(svg, "<g transform=\"translate({MARGIN} {MARGIN})\">\n{body}</g>");
    let baseline = height - MARGIN;
    let _ = writeln!(
        svg,
        "<text x=\"{MARGIN}\" y=\"{baseline:.0}\" font-size=\"11\" fill=\"#6b6b76\">{}</text>\n</svg>",
        escape(&caption)
    );
    svg
}

/// What the picture shows, in one line.
fn caption(selected: &Selected) -> String {
    let map = selected.map;
    let mut text = format!("{} attention", map.kind);
    if let [matrix] = selected.matrices.as_slice() {
        let _ = write!(text, ", layer {}, head {}", matrix.layer, matrix.head);
    }
    if selected.selection.align_on.name() == "input" {
        text.push_str(", rows aligned on the token read");
    }
    if selected.selection.mask_eos {
        let _ = write!(text, ", {} masked and rows rescaled", map.end_piece);
    }
    text
}

/// Draws one matrix with its labels; returns its width and height.
fn single(body: &mut String, selected: &Selected, matrix: &Matrix) -> (f32, f32) {
    let longest = |labels: &[String]| labels.iter().map(|label| width_of(label)).fold(0.0, f32::max);
    let left = longest(&selected.rows.labels) + 10.0;
    // Column labels rise at 50 degrees: their height is the sine of it.
    let rise = longest(&selected.columns.labels);
    let top = rise * 0.77 + FONT;
    let overhang = selected.columns.labels.last().map_or(0.0, |label| width_of(label) * 0.65);
    for (number, label) in selected.columns.labels.iter().enumerate() {
        let (x, y) = (left + (number as f32 + 0.6) * CELL, top - 6.0);
        let _ = writeln!(
            body,
            "<text transform=\"translate({x:.1} {y:.1}) rotate(-50)\" fill=\"#1c1c22\">{}</text>",
            escape(label)
        );
    }
    for (number, label) in selected.rows.labels.iter().enumerate() {
        let (x, y) = (left - 8.0, top + (number as f32 + 0.5) * CELL + FONT * 0.35);
        let _ = writeln!(
            body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\" fill=\"#1c1c22\">{}</text>",
            escape(label)
        );
    }
    let (width, height) = cells(body, selected, matrix, (left, top), CELL);
    (left + width + overhang, top + height)
}

/// Draws several matrices as panels, one row of panels a layer; returns the width and height of all.
fn panels(body: &mut String, selected: &Selected, matrices: &[Matrix]) -> (f32, f32) {
    let across = matrices.iter().take_while(|matrix| matrix.layer == matrices[0].layer).count().max(1);
    // A single column of panels (all layers, one head) reads better as a row.
    let across = if across == 1 { matrices.len() } else { across };
    let title = 16.0;
    let (mut right, mut bottom) = (0.0_f32, 0.0_f32);
    let panel_width = (selected.columns.len() as f32 * SMALL_CELL).max(84.0);
    let panel_height = selected.rows.len() as f32 * SMALL_CELL;
    for (number, matrix) in matrices.iter().enumerate() {
        let x = (number % across) as f32 * (panel_width + MARGIN);
        let y = (number / across) as f32 * (panel_height + MARGIN + title);
        let _ = writeln!(
            body,
            "<text x=\"{x:.1}\" y=\"{:.1}\" font-size=\"10.5\" fill=\"#6b6b76\">layer {} head {}</text>",
            y + 10.0,
            matrix.layer,
            matrix.head
        );
        cells(body, selected, matrix, (x, y + title), SMALL_CELL);
        right = right.max(x + panel_width);
        bottom = bottom.max(y + title + panel_height);
    }
    for (name, axis) in [("columns", &selected.columns), ("rows", &selected.rows)] {
        bottom += 20.0;
        let text = format!("{name}: {}", axis.labels.join(" "));
        let _ = writeln!(body, "<text x=\"0\" y=\"{bottom:.1}\" fill=\"#1c1c22\">{}</text>", escape(&text));
        right = right.max(width_of(&text));
    }
    (right, bottom)
}

/// Draws the cells and a hairline around them; returns the width and height.
fn cells(body: &mut String, selected: &Selected, matrix: &Matrix, origin: (f32, f32), side: f32) -> (f32, f32) {
    let columns = selected.columns.len().max(1);
    let (width, height) = (columns as f32 * side, selected.rows.len() as f32 * side);
    let _ = writeln!(
        body,
        "<g transform=\"translate({:.1} {:.1})\" shape-rendering=\"crispEdges\">\n\
         <rect width=\"{width:.1}\" height=\"{height:.1}\" fill=\"#f6f7fa\"/>",
        origin.0, origin.1
    );
    for (row, weights) in matrix.weights.chunks_exact(columns).enumerate() {
        for (column, &weight) in weights.iter().enumerate().filter(|&(_, &weight)| weight >= 0.004) {
            let (x, y) = (column as f32 * side, row as f32 * side);
            let _ =
                write!(body, "<rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" fill=\"{}\"", fill(weight));
            if side == CELL {
                let (row, column) = (&selected.rows.labels[row], &selected.columns.labels[column]);
                let title = format!("{row} → {column}: {:.1}%", weight * 100.0);
                let _ = writeln!(body, "><title>{}</title></rect>", escape(&title));
            } else {
                body.push_str("/>\n");
            }
        }
    }
    let _ =
        writeln!(body, "<rect width=\"{width:.1}\" height=\"{height:.1}\" fill=\"none\" stroke=\"#c9ccd6\"/>\n</g>");
    (width, height)
}

/// The colour of a weight: from the panel's own pale ground to a deep blue, even to the eye.
fn fill(weight: f32) -> String {
    let amount = weight.clamp(0.0, 1.0).powf(0.7);
    let mix = |from: f32, to: f32| (from + (to - from) * amount).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(246.0, 28.0), mix(247.0, 63.0), mix(250.0, 170.0))
}

/// An upper estimate of how wide a label is drawn.
fn width_of(text: &str) -> f32 {
    text.width() as f32 * CHARACTER
}

/// Text for XML: markup escaped, control characters (which XML forbids) replaced.
pub(super) fn escape(text: &str) -> String {
    let text = printable(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::{HeadChoice, LayerChoice, Selection, fixture};

    const FIRST: Selection = Selection {
        layer: LayerChoice::Index(0),
        head: HeadChoice::Index(0),
        words: true,
        mask_eos: false,
        align_on: crate::inspect::AlignOn::Output,
    };

    #[test]
    fn a_picture_has_a_cell_for_every_weight_and_a_text_for_every_label() {
        let map = fixture::dog();
        let svg = render(&map.select(&FIRST).unwrap());
        assert_eq!(svg.matches("<rect x=").count(), 16);
        for label in ["Ein", "Hund", "läuft.", "A", "dog", "runs."] {
            assert!(svg.contains(&format!(">{label}</text>")), "{label}");
        }
        assert!(svg.contains("<title>dog → Hund: 76.0%</title>"), "{svg}");
    }

    #[test]
    fn text_is_escaped_and_needs_nothing_from_outside() {
        let mut map = fixture::dog();
        map.source_words[0].text = "<script>&\x07".to_owned();
        let svg = render(&map.select(&Selection { mask_eos: true, ..FIRST }).unwrap());
        assert!(svg.contains("&lt;script&gt;&amp;␇"));
        assert!(!svg.contains("<script") && !svg.contains("href") && !svg.contains("url("));
        assert!(svg.contains("&lt;/s&gt; masked and rows rescaled"));
    }

    #[test]
    fn several_matrices_become_panels() {
        let map = fixture::dog();
        let svg = render(&map.select(&Selection { layer: LayerChoice::All, head: HeadChoice::All, ..FIRST }).unwrap());
        for panel in ["layer 0 head 0", "layer 0 head 1", "layer 1 head 0", "layer 1 head 1"] {
            assert_eq!(svg.matches(panel).count(), 1, "{panel}");
        }
    }

    #[test]
    fn more_weight_is_darker() {
        let brightness = |weight| u32::from_str_radix(&fill(weight)[1..3], 16).unwrap();
        assert!((0..100).all(|i| brightness(i as f32 / 100.0) >= brightness((i + 1) as f32 / 100.0)));
    }
}
