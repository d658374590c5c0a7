//! A heat map for the terminal: one row a target token, one column a source token.
//!
//! In colour, each cell is a square of background colour with its weight in per cent. Without, shade characters stand
//! for the weight, so a map survives a pipe, a file or a mail. Sentences wider than the page continue in further
//! blocks below. Wide (CJK) characters and combining marks keep the columns straight.

use std::fmt::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::select::{Axis, Matrix, Selected};
use super::{is_right_to_left, printable};

/// How colours are written, if at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// None: shade characters.
    #[default]
    Plain,
    /// The 256-colour palette.
    Ansi256,
    /// 24-bit colours.
    Truecolor,
}

/// How to lay the map out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Colours, or shade characters.
    pub colour: Colour,
    /// Whether the terminal's background is light; weights fade into it.
    pub light: bool,
    /// Width of the page in terminal columns.
    pub width: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { colour: Colour::Plain, light: false, width: 100 }
    }
}

impl Options {
    /// What suits this process: colour as `wanted`, else only on a terminal and never with `NO_COLOR`; 24-bit where `COLORTERM`
    /// offers it; light where `COLORFGBG` says so; the given width, else 100.
    pub fn from_environment(wanted: Option<bool>, is_terminal: bool, width: Option<usize>) -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let suits = is_terminal && variable("NO_COLOR").is_empty() && variable("TERM") != "dumb";
        let colour = if !wanted.unwrap_or(suits) {
            Colour::Plain
        } else if matches!(variable("COLORTERM").as_str(), "truecolor" | "24bit") {
            Colour::Truecolor
        } else {
            Colour::Ansi256
        };
        let light = matches!(variable("COLORFGBG").rsplit(';').next(), Some("7" | "15"));
        Self { colour, light, width: width.unwrap_or(100) }
    }
}

/// The narrowest cell: room for `100` and a gap.
const CELL: usize = 3;
/// Longer labels are truncated, with an ellipsis.
const LABEL: usize = 24;

/// The selected matrices, one below the other, with a heading each and an empty line after each.
pub fn render(selected: &Selected, options: &Options) -> String {
    let mut text = String::new();
    let map = selected.map;
    let _ = write!(text, "{}  {}", map.line, map.title());
    if let Some(score) = map.score {
        let _ = write!(text, "  score {score:.4}");
    }
    if selected.selection.align_on.name() == "input" {
        text.push_str("  rows aligned on the token read");
    }
    if selected.selection.mask_eos {
        let _ = write!(text, "  {} masked, rows rescaled", printable(&map.end_piece));
    }
    text.push('\n');
    for sentence in [&map.source, &map.translation] {
        for line in wrapped(&printable(sentence), options.width.saturating_sub(3)) {
            let _ = writeln!(text, "   {line}");
        }
    }
    if [&map.source, &map.translation].iter().any(|sentence| is_right_to_left(sentence)) {
        text.push_str("   (right-to-left text: rows and columns stand in the order in which it is read)\n");
    }
    text.push('\n');
    for matrix in &selected.matrices {
        let layer = format!("layer {} of {}", matrix.layer, map.attention.layers);
        let _ = writeln!(text, "   {layer}, head {} of {}", matrix.head, map.attention.heads);
        blocks(&mut text, selected, matrix, options);
        text.push('\n');
    }
    text
}

/// The matrix in as many blocks of columns as the page width asks for.
fn blocks(text: &mut String, selected: &Selected, matrix: &Matrix, options: &Options) {
    let (rows, columns) = (labels(&selected.rows), labels(&selected.columns));
    let margin = rows.iter().map(|label| label.width()).max().unwrap_or(0);
    let widths: Vec<usize> = columns.iter().map(|label| label.width().max(CELL)).collect();
    let mut start = 0;
    while start < columns.len() {
        let mut end = start + 1;
        let mut used = margin + 1 + widths[start];
        while end < columns.len() && used + 1 + widths[end] <= options.width {
            used += 1 + widths[end];
            end += 1;
        }
        if start > 0 {
            text.push('\n');
        }
        let mut line = " ".repeat(margin);
        for column in start..end {
            line.push(' ');
            line.push_str(&columns[column]);
            line.push_str(&" ".repeat(widths[column] - columns[column].width()));
        }
        let _ = writeln!(text, "{}", line.trim_end());
        for (number, row) in rows.iter().enumerate() {
            let weights = &matrix.weights[number * columns.len()..][start..end];
            let mut line = format!("{}{row}", " ".repeat(margin - row.width()));
            for (&weight, &width) in weights.iter().zip(&widths[start..end]) {
                line.push(' ');
                cell(&mut line, weight, width, options);
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
        start = end;
    }
}

/// The labels of an axis: characters in place of the bytes and symbols that stand for them, and `▁` where a piece has a space.
fn labels(axis: &Axis) -> Vec<String> {
    let shown = |(text, label): (&String, &String)| match text.as_str() {
        "" => label.clone(),
        text => text.replace(' ', "\u{2581}"),
    };
    let shown =
        |(both, word): ((&String, &String), &Option<usize>)| if word.is_some() { shown(both) } else { both.1.clone() };
    let all = axis.texts.iter().zip(&axis.labels).zip(&axis.words).map(shown);
    all.map(|label| clip(&printable(&label), LABEL)).collect()
}

/// A text in lines of at most `width` terminal columns, cut between words; a longer word has a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.width() + 1 + word.width() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// One cell, `width` terminal columns wide.
fn cell(line: &mut String, weight: f32, width: usize, options: &Options) {
    let weight = weight.clamp(0.0, 1.0);
    let (background, foreground) = match options.colour {
        Colour::Plain => {
            let shade = match weight {
                w if w < 0.05 => ' ',
                w if w < 0.25 => '░',
                w if w < 0.5 => '▒',
                w if w < 0.75 => '▓',
                _ => '█',
            };
            line.extend(std::iter::repeat_n(shade, width));
            return;
        }
        _ if weight < 0.01 => {
            line.extend(std::iter::repeat_n(' ', width));
            return;
        }
        _ => shade(weight, options.light),
    };
    let colour = |(red, green, blue): (u8, u8, u8)| match options.colour {
        Colour::Truecolor => format!("2;{red};{green};{blue}"),
        _ => format!("5;{}", palette(red, green, blue)),
    };
    let percent = (weight * 100.0).round();
    let _ = write!(line, "\x1b[48;{};38;{}m{percent:^width$}\x1b[0m", colour(background), colour(foreground));
}

/// Background and text colour of a weight: one blue that fades into the terminal's own background.
fn shade(weight: f32, light: bool) -> ((u8, u8, u8), (u8, u8, u8)) {
    type Rgb = (u8, u8, u8);
    let (low, high): (Rgb, Rgb) =
        if light { ((240, 245, 252), (18, 74, 158)) } else { ((24, 30, 42), (118, 180, 255)) };
    // The square root lifts small weights so that they can be told from none.
    let amount = weight.sqrt();
    let mix = |from: u8, to: u8| (f32::from(from) + (f32::from(to) - f32::from(from)) * amount).round() as u8;
    let background = (mix(low.0, high.0), mix(low.1, high.1), mix(low.2, high.2));
    let strong = amount > 0.55;
    let foreground = if strong == light { (255, 255, 255) } else { (8, 16, 32) };
    let faint = if light { (70, 86, 110) } else { (150, 166, 190) };
    (background, if strong { foreground } else { faint })
}

/// The nearest colour of the 256-colour palette's 6 x 6 x 6 cube or its grey ramp.
fn palette(red: u8, green: u8, blue: u8) -> u8 {
    let step = |value: u8| match value {
        0..=47 => 0,
        48..=114 => 1,
        value => (value - 35) / 40,
    };
    let spread = red.max(green).max(blue) - red.min(green).min(blue);
    if spread < 20 && (8..=238).contains(&green) {
        return 232 + (green - 8) / 10;
    }
    16 + 36 * step(red) + 6 * step(green) + step(blue)
}

/// The text truncated to at most `width` terminal columns, with an ellipsis in the place of the rest.
fn clip(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(character);
    }
    kept.push('…');
    kept
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

    fn plain(width: usize) -> Options {
        Options { width, ..Options::default() }
    }

    #[test]
    fn a_plain_map_uses_shade_characters() {
        let map = fixture::dog();
        let text = render(&map.select(&FIRST).unwrap(), &plain(80));
        let expected = "\
1  cross attention  score -0.5000
   Ein Hund läuft.
   A dog runs.

   layer 0 of 2, head 0 of 2
      Ein Hund läuft. </s>
    A ▓▓▓ ░░░░ ░░░░░░ ░░░░
  dog ░░░ ████ ░░░░░░ ░░░░
runs. ░░░ ░░░░ ██████ ░░░░
 </s> ░░░ ░░░░ ░░░░░░ ▓▓▓▓

";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_wide_sentence_continues_in_blocks_within_the_page() {
        let map = fixture::dog();
        let text = render(&map.select(&FIRST).unwrap(), &plain(16));
        let lines: Vec<&str> = text.lines().skip_while(|line| !line.contains("layer")).skip(1).collect();
        assert!(lines.iter().all(|line| line.width() <= 16), "{text}");
        assert_eq!(lines.iter().filter(|line| line.starts_with("  dog")).count(), 3, "{text}");
        let headings = "      Ein Hund\n|      läuft.\n|      </s>\n";
        assert!(headings.split('|').all(|heading| text.matches(heading).count() == 1), "{text}");
    }

    #[test]
    fn a_long_sentence_is_wrapped_between_words() {
        assert_eq!(wrapped("Ein Hund läuft schnell.", 12), ["Ein Hund", "läuft", "schnell."]);
        assert_eq!(wrapped("Donaudampfschifffahrt ist", 6), ["Donaudampfschifffahrt", "ist"]);
        assert_eq!(wrapped("", 6), [""]);
    }

    #[test]
    fn text_from_right_to_left_stands_in_its_own_order_with_a_note() {
        let mut map = fixture::dog();
        assert!(!render(&map.select(&FIRST).unwrap(), &plain(80)).contains("right-to-left"));
        map.source = "כלב רץ כאן".to_owned();
        for (word, text) in map.source_words.iter_mut().zip(["כלב", "רץ", "כאן"]) {
            word.text = text.to_owned();
        }
        let text = render(&map.select(&FIRST).unwrap(), &plain(80));
        assert!(
            text.contains("(right-to-left text: rows and columns stand in the order in which it is read)"),
            "{text}"
        );
        assert!(text.contains(" כלב רץ  כאן </s>"), "{text}");
    }

    #[test]
    fn bytes_are_shown_as_the_character_once_it_is_complete() {
        let mut map = fixture::dog();
        map.source_texts = ["▁Ein", " 犬", "", "x", "ft.", "</s>"].map(|text| text.replace('▁', " ")).to_vec();
        let text = render(&map.select(&Selection { words: false, ..FIRST }).unwrap(), &plain(80));
        assert!(text.contains("▁Ein ▁犬 nd  x   ft. </s>"), "{text}");
    }

    #[test]
    fn masking_is_said() {
        let map = fixture::dog();
        let text = render(&map.select(&Selection { mask_eos: true, ..FIRST }).unwrap(), &plain(80));
        assert!(text.contains("</s> masked, rows rescaled"), "{text}");
    }

    #[test]
    fn wide_and_combining_characters_keep_columns_straight() {
        let mut map = fixture::dog();
        map.source_words[1].text = "犬小屋".to_owned();
        map.target_words[1].text = "cafe\u{301}".to_owned();
        let text = render(&map.select(&FIRST).unwrap(), &plain(80));
        let lines: Vec<&str> = text.lines().skip(5).take(5).collect();
        assert!(lines.iter().all(|line| line.width() == lines[0].width()), "{text}");
    }

    #[test]
    fn colours_carry_per_cent_and_are_reset() {
        let map = fixture::dog();
        for colour in [Colour::Ansi256, Colour::Truecolor] {
            let options = Options { colour, light: false, width: 80 };
            let text = render(&map.select(&FIRST).unwrap(), &options);
            assert!(text.contains(" 76 "), "{text:?}");
            assert_eq!(text.matches("\x1b[48;").count(), text.matches("\x1b[0m").count());
            assert_eq!(text.contains("48;2;"), colour == Colour::Truecolor);
        }
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let mut map = fixture::dog();
        map.source_words[0].text = "\x1b[31m".to_owned();
        map.source = "\x1b]0;title\x07".to_owned();
        let text = render(&map.select(&FIRST).unwrap(), &plain(80));
        assert!(!text.contains('\x1b') && !text.contains('\x07'));
        assert!(text.contains('␛'));
    }

    #[test]
    fn long_labels_are_cut_with_an_ellipsis() {
        assert_eq!(clip("Donaudampfschifffahrt", 6), "Donau…");
        assert_eq!(clip("犬小屋犬", 6), "犬小…");
        assert_eq!(clip("short", 6), "short");
    }

    #[test]
    fn the_palette_stays_in_its_range() {
        for value in 0..=255 {
            assert!(palette(value, value / 2, 255 - value) >= 16);
            assert!(palette(value, value, value) >= 16);
        }
    }
}
