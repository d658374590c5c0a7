//! Translations in the place of the texts of a page.

use super::Markup;
use crate::documents::Part;
use crate::documents::inline::{Edit, NO_BREAK, Text, WriteTag, plain, translated};

/// The page with its translations; `more` are changes of tags.
pub(super) fn write(markup: &Markup, translations: &[Option<Vec<Part>>], more: Vec<Edit>) -> String {
    let source = &markup.source;
    let changed: Vec<Option<&[Part]>> = markup
        .segments
        .iter()
        .enumerate()
        .map(|(index, segment)| translations.get(index)?.as_deref().filter(|parts| **parts != segment.parts))
        .collect();
    translated(
        source,
        &markup.texts,
        &changed,
        more,
        |text, translation| value(source, text, translation, markup.is_xml),
        |index, parts, tag| {
            let raw = &source[markup.texts[index].range.clone()];
            content(no_break(raw, markup.is_xml), &markup.texts[index], parts, &markup.segments[index].parts, tag)
        },
    )
}

/// How the text on some bytes writes a space that does not break.
fn no_break(raw: &str, is_xml: bool) -> &'static str {
    if raw.contains('\u{a0}') {
        return "\u{a0}";
    }
    let used = NO_BREAK.iter().copied().find(|entity| raw.contains(entity));
    used.unwrap_or(if is_xml { "&#160;" } else { "&nbsp;" })
}

fn escape(text: &str, no_break: &str, quote: Option<char>, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if quote == Some('"') => out.push_str("&quot;"),
            '\'' if quote == Some('\'') => out.push_str("&#39;"),
            '\u{a0}' => out.push_str(no_break),
            // Neither HTML nor XML can hold them.
            c if c.is_control() && !c.is_whitespace() => {}
            c => out.push(c),
        }
    }
}

/// The edit of an attribute's value, which keeps its quotes, or gets some if it needs them.
fn value(source: &str, text: &Text, translation: &str, is_xml: bool) -> Edit {
    let range = text.range.clone();
    let quote = source[..range.start].chars().next_back().filter(|c| matches!(c, '"' | '\''));
    let is_quoted = quote.is_some_and(|quote| source[range.end..].starts_with(quote));
    let needs_quotes =
        translation.is_empty() || translation.contains(|c: char| c.is_whitespace() || "\"'=<>`/".contains(c));
    let mut written = String::with_capacity(translation.len() + 8);
    let (quote, mark) = match is_quoted {
        true => (quote, ""),
        false if needs_quotes => (Some('"'), "\""),
        false => (None, ""),
    };
    written.push_str(mark);
    escape(translation, no_break(&source[range.clone()], is_xml), quote, &mut written);
    written.push_str(mark);
    (range, written)
}

/// The text of a translation with the tags of its marks.
fn content(no_break: &str, text: &Text, parts: &[Part], original: &[Part], tag: WriteTag<'_>) -> String {
    let original = plain(original);
    let numbers = numbers(&original);
    let mut out = String::with_capacity(text.range.len() * 5 / 4);
    for part in parts {
        match part {
            Part::Text(part) if numbers.is_empty() => escape(part, no_break, None, &mut out),
            Part::Text(part) => escape(&held_together(part, &numbers), no_break, None, &mut out),
            Part::Open(mark) | Part::Alone(mark, _) => tag(&text.marks[*mark].0, &mut out),
            Part::Close(mark) => tag(&text.marks[*mark].1, &mut out),
        }
    }
    out
}

/// Numbers that a space which does not break holds together with the next word: `10 km`.
fn numbers(text: &str) -> Vec<&str> {
    let place = |(at, _): (usize, &str)| {
        let start = text[..at]
            .rfind(char::is_whitespace)
            .map_or(0, |space| space + text[space..].chars().next().map_or(1, char::len_utf8));
        Some(&text[start..at]).filter(|word| word.contains(|c: char| c.is_ascii_digit()))
    };
    text.match_indices('\u{a0}').filter_map(place).collect()
}

/// The translation with such spaces after those numbers.
fn held_together(text: &str, numbers: &[&str]) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    let last = words.pop().unwrap_or("");
    let mut out = String::with_capacity(text.len() + 8);
    for word in words {
        out.push_str(word);
        out.push(if numbers.contains(&word) { '\u{a0}' } else { ' ' });
    }
    out.push_str(last);
    out
}
