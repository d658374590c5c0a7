//! What is said on stderr. A message that cannot be written is lost, and nothing else is.

use std::fmt::Display;
use std::io::Write;

/// Says something about the run in one line.
pub(super) fn say(message: impl Display) {
    line(format_args!("translate: {message}"));
}

/// Writes a line that is meant for programs, too.
pub(super) fn line(text: impl Display) {
    let line = one_line(&text.to_string()) + "\n";
    // Whoever reads it may be gone, or the disk of the log full: no reason to end a run.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// `text` as a terminal shows it unharmed: control characters, and those that turn the direction of writing, are spelt out.
pub(super) fn one_line(text: &str) -> String {
    let is_harmful = |c: char| c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmful(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_spelt_out() {
        assert_eq!(one_line("a\u{1b}[31m\nb\u{9b}\u{202e}ü"), "a\\u{1b}[31m\\nb\\u{9b}\\u{202e}ü");
    }
}
