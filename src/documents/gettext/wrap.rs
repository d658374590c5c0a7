//! Strings in lines of 79 columns, as gettext's own programs write them.

use unicode_width::UnicodeWidthChar;

/// The columns of a line.
const WIDTH: usize = 79;

/// Whether a file has longer lines than gettext writes, so that whoever wrote it does not break them.
pub(super) fn is_wide(source: &str) -> bool {
    let is_string = |line: &&str| line.starts_with('"') || line.starts_with("msg");
    // A word may be too long for any line.
    source.lines().filter(is_string).any(|line| {
        let length = line.chars().count();
        length > WIDTH + 20 && line.chars().take(length * 2 / 3).skip(length / 3).any(|c| c == ' ')
    })
}

/// A text in quotation marks, after `prefix` columns of its keyword; over several lines if it is long or has several.
pub(super) fn strings(text: &str, prefix: usize, is_wide: bool, line_end: &str) -> String {
    let lines: Vec<Vec<(String, usize)>> = text.split_inclusive('\n').map(words).collect();
    let columns = |words: &[(String, usize)]| words.iter().map(|(_, columns)| columns).sum::<usize>();
    let is_short = lines.len() <= 1 && (is_wide || lines.first().map_or(0, |line| columns(line)) + prefix + 2 <= WIDTH);
    if is_short {
        return format!("\"{}\"", lines.concat().into_iter().map(|(word, _)| word).collect::<String>());
    }
    let mut written = "\"\"".to_owned();
    for line in lines {
        let mut column = usize::MAX;
        for (word, length) in line {
            if column == usize::MAX || (!is_wide && column + length + 2 > WIDTH && column > 0) {
                if column != usize::MAX {
                    written.push('"');
                }
                written.push_str(line_end);
                written.push('"');
                column = 0;
            }
            written.push_str(&word);
            column += length;
        }
        written.push('"');
    }
    written
}

/// The words of a line with the spaces after them, escaped, and their columns.
fn words(line: &str) -> Vec<(String, usize)> {
    line.split_inclusive(' ')
        .map(|word| {
            let mut written = String::with_capacity(word.len());
            for c in word.chars() {
                match c {
                    '\n' => written.push_str("\\n"),
                    '\t' => written.push_str("\\t"),
                    '\r' => written.push_str("\\r"),
                    '"' => written.push_str("\\\""),
                    '\\' => written.push_str("\\\\"),
                    '\u{7}' => written.push_str("\\a"),
                    '\u{8}' => written.push_str("\\b"),
                    '\u{c}' => written.push_str("\\f"),
                    '\u{b}' => written.push_str("\\v"),
                    c if c.is_ascii_control() => written.push_str(&format!("\\{:03o}", u32::from(c))),
                    c => written.push(c),
                }
            }
            let columns = written.chars().map(|c| c.width().unwrap_or(0)).sum();
            (written, columns)
        })
        .collect()
}
