//! One picture a sentence, as SVG: crisp at any size, self-contained, and fit for a printed page.
//!
//! A single matrix is drawn large with its labels, or as two lines of words with links between them. Several are drawn as
//! panels, layers downwards and heads across, below the one list of words they share. Text from right to left has its columns
//! from right to left and its row labels on the right.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use super::select::{Axis, Matrix, Selected};
use super::{is_right_to_left, printable};

/// Side of a cell of a single matrix, in pixels (as of all lengths below).
const CELL: f32 = 24.0;
/// Width that a panel has where there are several matrices, and the sides of its cells, least and most.
const PANEL: f32 = 84.0;
const SMALL_CELL: (f32, f32) = (7.0, 12.0);
/// Height of the label text, and the width one terminal column of it takes at most.
const FONT: f32 = 13.0;
const CHARACTER: f32 = 7.6;
/// White space around the picture and between panels.
const MARGIN: f32 = 20.0;
/// Height of the links between two lines of words.
const LINKS: f32 = 96.0;
const FAMILY: &str = "'Noto Sans','Helvetica Neue',Arial,'DejaVu Sans',sans-serif";

/// What is drawn of one matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drawing {
    /// A heat map.
    #[default]
    Matrix,
    /// The two lines of words with a curve for each weight of at least 0.04.
    Links,
}

/// How a picture looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// What stands above it, if anything.
    pub title: Option<String>,
    /// Height of its text in pixels; everything grows and shrinks with it.
    pub font_size: f32,
    /// Light text on a dark ground.
    pub dark: bool,
    /// What is drawn.
    pub drawing: Drawing,
}

impl Default for Options {
    fn default() -> Self {
        Self { title: None, font_size: FONT, dark: false, drawing: Drawing::Matrix }
    }
}

/// The colours of a picture.
struct Theme {
    paper: &'static str,
    ground: Rgb,
    accent: Rgb,
    ink: &'static str,
    soft: &'static str,
    rule: &'static str,
}

type Rgb = (f32, f32, f32);

const LIGHT: Theme = Theme {
    paper: "#fff",
    ground: (246.0, 247.0, 250.0),
    accent: (28.0, 63.0, 170.0),
    ink: "#1c1c22",
    soft: "#6b6b76",
    rule: "#c9ccd6",
};
const DARK: Theme = Theme {
    paper: "#121317",
    ground: (29.0, 31.0, 38.0),
    accent: (134.0, 176.0, 255.0),
    ink: "#e9eaee",
    soft: "#a0a2ad",
    rule: "#3a3d49",
};

/// A picture being drawn.
struct Canvas<'s> {
    selected: &'s Selected<'s>,
    theme: &'static Theme,
    body: String,
}

/// The selected matrices of one sentence as a complete SVG document.
pub fn render(selected: &Selected, options: &Options) -> String {
    let caption = caption(selected);
    let theme = if options.dark { &DARK } else { &LIGHT };
    let mut canvas = Canvas { selected, theme, body: String::new() };
    let (width, height) = match (selected.matrices.as_slice(), options.drawing) {
        ([matrix], Drawing::Matrix) => canvas.single(matrix),
        ([matrix], Drawing::Links) => canvas.links(matrix),
        (matrices, _) => canvas.panels(matrices),
    };
    let body = canvas.body;
    let above = if options.title.is_some() { 30.0 } else { 0.0 };
    let title_width = options.title.as_deref().map_or(0.0, |title| width_of(title) * 1.2);
    let wide = width.max(width_of(&caption) * 0.85).max(title_width) + 2.0 * MARGIN;
    let high = height + 2.0 * MARGIN + 24.0 + above;
    let scale = options.font_size / FONT;
    let map = selected.map;
    let Theme { paper, ink, soft, .. } = theme;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0}\" height=\"{:.0}\" \
         viewBox=\"0 0 {wide:.0} {high:.0}\" role=\"img\" font-family=\"{FAMILY}\" font-size=\"{FONT}\">\n",
        wide * scale,
        high * scale
    );
    let _ = writeln!(svg, "<title>{} – {}</title>", escape(&map.source), escape(&map.translation));
    let _ = writeln!(svg, "<desc>{}</desc>", escape(&caption));
    let _ = writeln!(svg, "<rect width=\"100%\" height=\"100%\" fill=\"{paper}\"/>");
    if let Some(title) = &options.title {
        let _ = writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"{:.0}\" font-size=\"16\" fill=\"{ink}\">{}</text>",
            MARGIN + 14.0,
            escape(title)
        );
    }
    let _ = writeln!(svg, "<g transform=\"translate({MARGIN} {})\">\n{body}</g>", MARGIN + above);
    let baseline = high - MARGIN;
    let _ = writeln!(
        svg,
        "<text x=\"{MARGIN}\" y=\"{baseline:.0}\" font-size=\"11\" fill=\"{soft}\">{}</text>\n</svg>",
        escape(&caption)
    );
    svg
}

/// What the picture shows, in one line.
fn caption(selected: &Selected) -> String {
    let map = selected.map;
    let mut text = map.title();
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

/// The labels of an axis as a person reads them, and whether they run from right to left.
fn labels(axis: &Axis) -> (Vec<String>, bool) {
    let shown = |(text, label): (&String, &String)| match text.trim() {
        "" if text.is_empty() => "·".to_owned(),
        "" => label.clone(),
        text => text.to_owned(),
    };
    let words: String =
        axis.texts.iter().zip(&axis.words).filter(|(_, word)| word.is_some()).map(|(text, _)| &**text).collect();
    (axis.texts.iter().zip(&axis.labels).map(shown).collect(), is_right_to_left(&words))
}

impl Canvas<'_> {
    /// Draws one matrix with its labels; returns its width and height.
    fn single(&mut self, matrix: &Matrix) -> (f32, f32) {
        let (rows, rows_right) = labels(&self.selected.rows);
        let (columns, turned) = labels(&self.selected.columns);
        let longest = |labels: &[String]| labels.iter().map(|label| width_of(label)).fold(0.0, f32::max);
        // Column labels rise at 50 degrees: their height is the sine of it.
        let top = longest(&columns) * 0.77 + FONT;
        let overhang = columns.last().map_or(0.0, |label| width_of(label) * 0.65);
        let beside = longest(&rows) + 10.0;
        let (left, right) = match (rows_right, turned) {
            (false, false) => (beside, overhang),
            (false, true) => (beside.max(overhang), 0.0),
            (true, false) => (0.0, beside.max(overhang)),
            (true, true) => (overhang, beside),
        };
        let ink = self.theme.ink;
        let width = columns.len() as f32 * CELL;
        for (number, text) in columns.iter().enumerate() {
            let place = if turned { columns.len() - 1 - number } else { number } as f32;
            let (x, angle) =
                if turned { (left + (place + 0.4) * CELL, 50) } else { (left + (place + 0.6) * CELL, -50) };
            let _ = writeln!(
                self.body,
                "<text transform=\"translate({x:.1} {:.1}) rotate({angle})\" text-anchor=\"{}\" fill=\"{ink}\">{}</text>",
                top - 6.0,
                if turned { "end" } else { "start" },
                label(text)
            );
        }
        for (number, text) in rows.iter().enumerate() {
            let y = top + (number as f32 + 0.5) * CELL + FONT * 0.35;
            let x = if rows_right { left + width + 8.0 } else { left - 8.0 };
            let _ = writeln!(
                self.body,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{}\" fill=\"{ink}\">{}</text>",
                if rows_right { "start" } else { "end" },
                label(text)
            );
        }
        let (width, height) = self.cells(matrix, (left, top), CELL, turned);
        (left + width + right, top + height)
    }

    /// Draws two lines of words and a curve for each weight; returns its width and height.
    fn links(&mut self, matrix: &Matrix) -> (f32, f32) {
        let lines = [&self.selected.columns, &self.selected.rows].map(labels);
        let gap = 11.0;
        let wide = |labels: &[String]| labels.iter().map(|label| width_of(label) + gap).sum::<f32>();
        let width = lines.iter().map(|(labels, _)| wide(labels)).fold(0.0, f32::max);
        let middles = lines.each_ref().map(|(labels, turned)| {
            let mut x = (width - wide(labels)) / 2.0;
            let middle = |label: &String| {
                let own = width_of(label) + gap;
                x += own;
                x - own / 2.0
            };
            let middles: Vec<f32> = labels.iter().map(middle).collect();
            if *turned { middles.into_iter().map(|x| width - x).collect() } else { middles }
        });
        let (first, second) = (FONT + 2.0, FONT + 2.0 + LINKS + FONT);
        for (((labels, _), middles), y) in lines.iter().zip(&middles).zip([first, second]) {
            for (text, x) in labels.iter().zip(middles) {
                let ink = self.theme.ink;
                let _ = writeln!(
                    self.body,
                    "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" fill=\"{ink}\">{}</text>",
                    label(text)
                );
            }
        }
        let columns = self.selected.columns.len().max(1);
        let mut links: Vec<(usize, f32)> =
            matrix.weights.iter().copied().enumerate().filter(|&(_, weight)| weight >= 0.04).collect();
        // The strongest lie on top.
        links.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (from, to) = (first + 6.0, second - FONT - 3.0);
        let middle = (from + to) / 2.0;
        for (at, weight) in links {
            let (x, y) = (middles[0][at % columns], middles[1][at / columns]);
            let _ = writeln!(
                self.body,
                "<path d=\"M{x:.1} {from:.1}C{x:.1} {middle:.1} {y:.1} {middle:.1} {y:.1} {to:.1}\" fill=\"none\" \
                 stroke=\"{}\" stroke-linecap=\"round\" stroke-width=\"{:.2}\" stroke-opacity=\"{:.2}\"/>",
                hex(self.theme.accent),
                0.75 + 2.75 * weight,
                weight.powf(0.75)
            );
        }
        (width, second + 6.0)
    }

    /// Draws several matrices as panels, one row of panels a layer; returns the width and height of all.
    fn panels(&mut self, matrices: &[Matrix]) -> (f32, f32) {
        let selected = self.selected;
        let across = matrices.iter().take_while(|matrix| matrix.layer == matrices[0].layer).count().max(1);
        // A single column of panels (all layers, one head) reads better as a row.
        let across = if across == 1 { matrices.len() } else { across };
        let title = 16.0;
        let (mut right, mut bottom) = (0.0_f32, 0.0_f32);
        let side = (PANEL / selected.columns.len().max(1) as f32).clamp(SMALL_CELL.0, SMALL_CELL.1);
        let panel_width = (selected.columns.len() as f32 * side).max(PANEL);
        let panel_height = selected.rows.len() as f32 * side;
        let turned = labels(&selected.columns).1;
        let Theme { ink, soft, .. } = self.theme;
        for (number, matrix) in matrices.iter().enumerate() {
            let x = (number % across) as f32 * (panel_width + MARGIN);
            let y = (number / across) as f32 * (panel_height + MARGIN + title);
            let _ = writeln!(
                self.body,
                "<text x=\"{x:.1}\" y=\"{:.1}\" font-size=\"10.5\" fill=\"{soft}\">layer {} head {}</text>",
                y + 10.0,
                matrix.layer,
                matrix.head
            );
            self.cells(matrix, (x, y + title), side, turned);
            right = right.max(x + panel_width);
            bottom = bottom.max(y + title + panel_height);
        }
        bottom += 8.0;
        for (name, axis) in [("columns", &selected.columns), ("rows", &selected.rows)] {
            bottom += 20.0;
            let text = format!("{name}: {}", labels(axis).0.join(" "));
            let _ = writeln!(self.body, "<text x=\"0\" y=\"{bottom:.1}\" fill=\"{ink}\">{}</text>", escape(&text));
            right = right.max(width_of(&text));
        }
        (right, bottom)
    }

    /// Draws the cells and a hairline around them; returns the width and height.
    fn cells(&mut self, matrix: &Matrix, origin: (f32, f32), side: f32, turned: bool) -> (f32, f32) {
        let selected = self.selected;
        let columns = selected.columns.len().max(1);
        let (width, height) = (columns as f32 * side, selected.rows.len() as f32 * side);
        let body = &mut self.body;
        let _ = writeln!(
            body,
            "<g transform=\"translate({:.1} {:.1})\" shape-rendering=\"crispEdges\">\n\
             <rect width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{}\"/>",
            origin.0,
            origin.1,
            hex(self.theme.ground)
        );
        for (row, weights) in matrix.weights.chunks_exact(columns).enumerate() {
            for (column, &weight) in weights.iter().enumerate().filter(|&(_, &weight)| weight >= 0.004) {
                let place = if turned { columns - 1 - column } else { column };
                let (x, y) = (place as f32 * side, row as f32 * side);
                let fill = fill(weight, self.theme);
                let _ = write!(body, "<rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" fill=\"{fill}\"");
                if side == CELL {
                    let (row, column) = (selected.rows.texts[row].trim(), selected.columns.texts[column].trim());
                    let title = format!("{row} → {column}: {:.1}%", weight * 100.0);
                    let _ = writeln!(body, "><title>{}</title></rect>", escape(&title));
                } else {
                    body.push_str("/>\n");
                }
            }
        }
        let rule = self.theme.rule;
        let _ =
            writeln!(body, "<rect width=\"{width:.1}\" height=\"{height:.1}\" fill=\"none\" stroke=\"{rule}\"/>\n</g>");
        (width, height)
    }
}

/// Text of a label. What ends one from right to left, as a full stop does, is kept at its left by a mark of direction: not
/// every program that draws SVG knows `direction`.
fn label(text: &str) -> String {
    let mark = if is_right_to_left(text) && !text.ends_with(char::is_alphabetic) { "\u{200f}" } else { "" };
    escape(text) + mark
}

/// The colour of a weight: from the panel's own ground to its accent, even to the eye.
fn fill(weight: f32, theme: &Theme) -> String {
    let amount = weight.clamp(0.0, 1.0).powf(0.7);
    let mix = |from: f32, to: f32| from + (to - from) * amount;
    let (ground, accent) = (theme.ground, theme.accent);
    hex((mix(ground.0, accent.0), mix(ground.1, accent.1), mix(ground.2, accent.2)))
}

fn hex((red, green, blue): Rgb) -> String {
    format!("#{:02x}{:02x}{:02x}", red.round() as u8, green.round() as u8, blue.round() as u8)
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
        let svg = render(&map.select(&FIRST).unwrap(), &Options::default());
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
        let svg = render(&map.select(&Selection { mask_eos: true, ..FIRST }).unwrap(), &Options::default());
        assert!(svg.contains("&lt;script&gt;&amp;␇"));
        assert!(!svg.contains("<script") && !svg.contains("href") && !svg.contains("url("));
        assert!(svg.contains("&lt;/s&gt; masked and rows rescaled"));
    }

    #[test]
    fn several_matrices_become_panels() {
        let map = fixture::dog();
        let svg = render(
            &map.select(&Selection { layer: LayerChoice::All, head: HeadChoice::All, ..FIRST }).unwrap(),
            &Options::default(),
        );
        for panel in ["layer 0 head 0", "layer 0 head 1", "layer 1 head 0", "layer 1 head 1"] {
            assert_eq!(svg.matches(panel).count(), 1, "{panel}");
        }
    }

    #[test]
    fn a_title_a_size_and_a_dark_ground_can_be_asked_for() {
        let map = fixture::dog();
        let draw = |options: &Options| render(&map.select(&FIRST).unwrap(), options);
        let options =
            Options { title: Some("Dog & run".to_owned()), font_size: 26.0, dark: true, ..Options::default() };
        let (usual, large) = (draw(&Options::default()), draw(&options));
        assert!(large.contains(">Dog &amp; run</text>") && large.contains("fill=\"#121317\""), "{large}");
        let width =
            |svg: &str| svg.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse::<f32>().unwrap();
        assert!((width(&large) / width(&usual) - 2.0).abs() < 0.02);
    }

    #[test]
    fn links_join_the_words_that_belong_together() {
        let map = fixture::dog();
        let svg = render(&map.select(&FIRST).unwrap(), &Options { drawing: Drawing::Links, ..Options::default() });
        // 0.7 or 0.76 on one word, 0.12 on words of two pieces, 0.06 on the rest: all are drawn.
        assert_eq!(svg.matches("<path").count(), 16);
        assert_eq!(svg.matches("text-anchor=\"middle\"").count(), 8);
    }

    #[test]
    fn text_from_right_to_left_has_its_columns_so() {
        let mut map = fixture::dog();
        for (word, text) in map.source_words.iter_mut().zip(["כלב", "רץ", "כאן"]) {
            word.text = text.to_owned();
        }
        let svg = render(&map.select(&FIRST).unwrap(), &Options::default());
        // The first word's own cell is the fourth from the left.
        let own = svg.lines().find(|line| line.contains("A → כלב")).unwrap();
        assert!(own.contains("x=\"72\" y=\"0\""), "{own}");
        assert!(svg.contains("rotate(50)\" text-anchor=\"end\""), "{svg}");
        // A full stop stays at the left of its word.
        assert_eq!((label("שלג."), label("שלג")), ("שלג.\u{200f}".to_owned(), "שלג".to_owned()));
    }

    #[test]
    fn more_weight_is_darker() {
        let brightness = |weight| u32::from_str_radix(&fill(weight, &LIGHT)[1..3], 16).unwrap();
        assert!((0..100).all(|i| brightness(i as f32 / 100.0) >= brightness((i + 1) as f32 / 100.0)));
    }
}
