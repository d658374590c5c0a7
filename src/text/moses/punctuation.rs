//! Normalising punctuation: one form for each mark, no control characters.

use std::sync::LazyLock;

use regex::Regex;

use super::characters::is_space;

/// Spaces and brackets.
const BRACKETS: [(&str, &str); 3] = [("\r", ""), ("(", " ("), (")", ") ")];
const AFTER_BRACKETS: [(&str, &str); 8] = [
    (") .", ")."),
    (") !", ")!"),
    (") :", "):"),
    (") ?", ")?"),
    (") ;", ");"),
    (") ,", "),"),
    ("( ", "("),
    (" )", ")"),
];
/// The Penn Treebank's quotation marks, curly ones, and dashes.
const QUOTES_AND_DASHES: [(&str, &str); 9] = [
    (" :", ":"),
    (" ;", ";"),
    ("`", "'"),
    ("''", " \" "),
    ("„", "\""),
    ("“", "\""),
    ("”", "\""),
    ("–", "-"),
    ("—", " - "),
];
/// Apostrophes, the ellipsis, French quotation marks, and no-break spaces around marks and units.
const APOSTROPHES_AND_NO_BREAK_SPACES: [(&str, &str); 21] = [
    ("´", "'"),
    ("‘", "'"),
    ("‚", "'"),
    ("’", "'"),
    ("''", "\""),
    ("…", "..."),
    ("\u{a0}«\u{a0}", "\""),
    ("«\u{a0}", "\""),
    ("«", "\""),
    ("\u{a0}»\u{a0}", "\""),
    ("\u{a0}»", "\""),
    ("»", "\""),
    ("\u{a0}%", "%"),
    ("nº\u{a0}", "nº "),
    ("\u{a0}:", ":"),
    ("\u{a0}ºC", " ºC"),
    ("\u{a0}cm", " cm"),
    ("\u{a0}?", "?"),
    ("\u{a0}!", "!"),
    ("\u{a0};", ";"),
    (",\u{a0}", ", "),
];

static NUMBER_BEFORE_PERCENT: LazyLock<Regex> = LazyLock::new(|| expression(r"(\d) %"));
static SPACE_IN_NUMBER: LazyLock<Regex> = LazyLock::new(|| expression(r"(\d)\x{a0}(\d)"));
static QUOTE_BEFORE_STOP: LazyLock<Regex> = LazyLock::new(|| expression(r#""([,.]+)"#));
static STOP_BEFORE_QUOTE: LazyLock<Regex> = LazyLock::new(|| expression(r#"(\.+)"([\s\x1c-\x1f]*[^<])"#));
/// Characters that print nothing: control, format, private use, unassigned.
static NOT_PRINTED: LazyLock<Regex> = LazyLock::new(|| expression(r"\p{C}+"));

fn expression(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the patterns of this file are sound")
}

/// How punctuation is normalised before text is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalization {
    /// Not at all.
    None,
    /// Quotation marks, dashes, spaces around marks (`normalize-punctuation.perl`).
    Punctuation,
    /// Wide punctuation too, and characters that print nothing are taken out (`replace-unicode-punctuation.perl`,
    /// `remove-non-printing-char.perl`).
    All,
}

/// The text with punctuation in one form and no spaces around it.
pub(super) fn normalize(text: &str, language: &str, kind: Normalization) -> String {
    let text = if kind == Normalization::All { replace_wide(text) } else { text.to_owned() };
    let text = one_space(replace(text, &BRACKETS));
    let text = substitute(&NUMBER_BEFORE_PERCENT, replace(text, &AFTER_BRACKETS), "$1%");
    let text = one_space(replace(text, &QUOTES_AND_DASHES));
    let mut text = one_space(replace(text, &APOSTROPHES_AND_NO_BREAK_SPACES));
    match language {
        "en" => text = substitute(&QUOTE_BEFORE_STOP, text, "$1\""),
        "de" | "es" | "fr" => {
            text = substitute(&STOP_BEFORE_QUOTE, replace(text, &[(",\"", "\",")]), "\"$1$2");
        }
        _ => {}
    }
    let mark = if matches!(language, "de" | "es" | "cz" | "cs" | "fr") { "$1,$2" } else { "$1.$2" };
    let text = substitute(&SPACE_IN_NUMBER, text, mark);
    let text = text.trim_matches(is_space).to_owned();
    if kind == Normalization::All { substitute(&NOT_PRINTED, text, "") } else { text }
}

/// Wide (Chinese, Japanese) punctuation and digits as narrow ones; a full stop has one space after it.
fn replace_wide(text: &str) -> String {
    let mut narrow = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let mark = match character {
            '。' | '．' => {
                while characters.next_if(|&next| is_space(next)).is_some() {}
                narrow.push('.');
                ' '
            }
            '…' => {
                narrow.push_str("..");
                '.'
            }
            '，' | '、' => ',',
            '“' | '”' | '《' | '》' | '「' | '」' => '"',
            '∶' | '：' => ':',
            '？' => '?',
            '！' => '!',
            '；' => ';',
            '（' => '(',
            '）' => ')',
            '〈' => '<',
            '〉' => '>',
            '【' => '[',
            '】' => ']',
            '～' => '~',
            '’' => '\'',
            '━' => '-',
            '％' => '%',
            '０'..='９' => char::from(b'0' + (u32::from(character) - u32::from('０')) as u8),
            _ => character,
        };
        narrow.push(mark);
    }
    narrow
}

/// Makes the replacements one after the other, each everywhere.
fn replace(mut text: String, table: &[(&str, &str)]) -> String {
    for (from, to) in table {
        if text.contains(from) {
            text = text.replace(from, to);
        }
    }
    text
}

fn substitute(expression: &Regex, text: String, replacement: &str) -> String {
    match expression.replace_all(&text, replacement) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(text) => text,
    }
}

/// One space for several.
fn one_space(mut text: String) -> String {
    let mut before = None;
    text.retain(|character| before.replace(character) != Some(' ') || character != ' ');
    text
}
