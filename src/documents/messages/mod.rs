//! Messages of programs: one text of a catalogue, with placeholders, markup and line ends.
//!
//! A message is cut where its layout is (blank lines, indentation, tabs, columns of a help text); what is between is a segment.
//! Line ends within a paragraph, markup and placeholders are marks of it.

mod layout;
mod placeholders;

use std::collections::HashMap;

pub(crate) use placeholders::{Braces, Percent, Syntax};
use placeholders::{Found, find};

use self::layout::chunks;
use super::source::has_letters;
use super::{Part, Shown};

/// A message that was taken apart.
pub(crate) struct Message {
    /// The texts to translate.
    pub(crate) pieces: Vec<Piece>,
    /// What stands before each of them, and after the last.
    glue: Vec<String>,
    syntax: Syntax,
    /// Whether a sign that begins a placeholder is written twice where it is none.
    is_format: bool,
}

/// A text of a message.
pub(crate) struct Piece {
    pub(crate) parts: Vec<Part>,
    /// What stands for each mark: for elements where they begin and where they end.
    marks: Vec<(String, String)>,
}

impl Piece {
    /// Leaves out white space and marks at the ends, which are not translated: gives what stands before and after the rest.
    fn trim(&mut self) -> (String, String) {
        let (mut before, mut after) = (String::new(), Vec::new());
        let (mut start, mut end) = (0, self.parts.len());
        while start < end {
            let raw = |mark: &usize| self.marks[*mark].0.clone();
            match (&self.parts[start], &self.parts[end - 1]) {
                (Part::Text(text), _) if text.trim_start().is_empty() => {
                    before.push_str(text);
                    start += 1;
                }
                (_, Part::Text(text)) if text.trim_end().is_empty() => {
                    after.push(text.clone());
                    end -= 1;
                }
                (Part::Alone(mark, Shown::Nothing | Shown::Space), _) => {
                    before.push_str(&raw(mark));
                    start += 1;
                }
                (_, Part::Alone(mark, Shown::Nothing | Shown::Space)) => {
                    after.push(raw(mark));
                    end -= 1;
                }
                (Part::Open(open), Part::Close(close)) if open == close => {
                    before.push_str(&raw(open));
                    after.push(self.marks[*close].1.clone());
                    (start, end) = (start + 1, end - 1);
                }
                (Part::Text(text), _) if text.starts_with(char::is_whitespace) => {
                    let rest = text.trim_start().to_owned();
                    before.push_str(&text[..text.len() - rest.len()]);
                    self.parts[start] = Part::Text(rest);
                }
                (_, Part::Text(text)) if text.ends_with(char::is_whitespace) => {
                    let rest = text.trim_end().to_owned();
                    after.push(text[rest.len()..].to_owned());
                    self.parts[end - 1] = Part::Text(rest);
                }
                _ => break,
            }
        }
        self.parts.truncate(end);
        self.parts.drain(..start);
        self.trim_within();
        after.reverse();
        (before, after.concat())
    }

    /// Leaves out the white space that is first or last for a translator, but stands within an element.
    fn trim_within(&mut self) {
        for part in &mut self.parts {
            match part {
                Part::Text(text) => {
                    *text = text.trim_start().to_owned();
                    if !text.is_empty() {
                        break;
                    }
                }
                Part::Alone(_, Shown::Text(_)) => break,
                _ => {}
            }
        }
        for part in self.parts.iter_mut().rev() {
            match part {
                Part::Text(text) => {
                    text.truncate(text.trim_end().len());
                    if !text.is_empty() {
                        break;
                    }
                }
                Part::Alone(_, Shown::Text(_)) => break,
                _ => {}
            }
        }
        self.parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
    }
}

impl Message {
    /// Takes a text apart whose escapes are resolved.
    pub(crate) fn of(text: &str, syntax: Syntax) -> Self {
        let mut message = Self { pieces: Vec::new(), glue: Vec::new(), syntax, is_format: false };
        let mut glue = String::new();
        let chunks = chunks(text);
        for (number, chunk) in chunks.iter().enumerate() {
            glue.push_str(&text[chunk.before.clone()]);
            let words = &text[chunk.text.clone()];
            // The column of options in a help text.
            let is_option = words.starts_with('-') && chunks.get(number + 1).is_some_and(|next| next.is_cell);
            let (mut piece, is_format) = piece(words, syntax);
            message.is_format |= is_format;
            if !is_option && is_translatable(&piece.parts) {
                let (before, after) = piece.trim();
                message.glue.push(std::mem::replace(&mut glue, after) + &before);
                message.pieces.push(piece);
            } else {
                glue.push_str(words);
            }
        }
        let end = chunks.last().map_or(0, |chunk| chunk.text.end);
        glue.push_str(&text[end..]);
        message.glue.push(glue);
        message
    }

    /// How many placeholders it has.
    pub(crate) fn placeholders(&self) -> usize {
        let shown = |part: &&Part| matches!(part, Part::Alone(_, Shown::Text(_)));
        self.pieces.iter().map(|piece| piece.parts.iter().filter(shown).count()).sum()
    }

    /// The message with the translations of its pieces. `None` if none of them has one of its own.
    pub(crate) fn translated(&self, translations: &[Option<Vec<Part>>]) -> Option<String> {
        let is_changed =
            |(piece, parts): (&Piece, &Option<Vec<Part>>)| parts.as_ref().is_some_and(|parts| *parts != piece.parts);
        if !self.pieces.iter().zip(translations).any(is_changed) {
            return None;
        }
        let mut written = String::new();
        for ((piece, glue), parts) in self.pieces.iter().zip(&self.glue).zip(translations) {
            written.push_str(glue);
            self.write(piece, parts.as_ref().unwrap_or(&piece.parts), &mut written);
        }
        self.glue[self.pieces.len()..].iter().for_each(|glue| written.push_str(glue));
        Some(written)
    }

    fn write(&self, piece: &Piece, parts: &[Part], written: &mut String) {
        for part in parts {
            match part {
                Part::Text(text) => {
                    // The space that a line end stood for.
                    let text = if written.ends_with('\n') { text.trim_start_matches(' ') } else { text };
                    for c in text.chars() {
                        match c {
                            '\n' | '\r' => written.push(' '),
                            c => self.syntax.escape(c, self.is_format, written),
                        }
                    }
                }
                Part::Open(mark) => written.push_str(piece.marks.get(*mark).map_or("", |(open, _)| open)),
                Part::Close(mark) => written.push_str(piece.marks.get(*mark).map_or("", |(_, close)| close)),
                Part::Alone(mark, _) => {
                    let raw = piece.marks.get(*mark).map_or("", |(raw, _)| raw);
                    if raw == "\n" {
                        written.truncate(written.trim_end_matches(' ').len());
                    }
                    written.push_str(raw);
                }
            }
        }
    }
}

fn is_translatable(parts: &[Part]) -> bool {
    parts.iter().any(|part| matches!(part, Part::Text(text) if has_letters(text)))
}

/// A stretch of text with its placeholders and its markup as marks, and whether it has placeholders.
fn piece(text: &str, syntax: Syntax) -> (Piece, bool) {
    // What is in it, and for tags which of them belong together.
    let mut found: Vec<(usize, usize, Found)> = Vec::new();
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < text.len() {
        let special = bytes[at..].iter().position(|byte| b"%{}$<&\n#@".contains(byte));
        let Some(special) = special else { break };
        at += special;
        match find(text, at, syntax) {
            Some((length, what)) => {
                found.push((at, length, what));
                at += length;
            }
            None => at += 1,
        }
    }
    let pairs = pairs(text, &found);
    let mut piece = Piece { parts: Vec::new(), marks: Vec::new() };
    let mut numbers = vec![0; found.len()];
    let (mut at, mut is_format) = (0, false);
    for (index, (start, length, what)) in found.into_iter().enumerate() {
        let mut end = start;
        let raw = text[start..start + length].to_owned();
        let number = piece.marks.len();
        let part = match (what, pairs[index]) {
            (Found::Tag, Some((pair, close))) if pair > index => {
                numbers[pair] = number;
                piece.marks.push((raw, close.to_owned()));
                Part::Open(number)
            }
            (Found::Tag, Some(_)) => Part::Close(numbers[index]),
            (what, _) => {
                piece.marks.push((raw, String::new()));
                match what {
                    Found::Shown(shown) => {
                        is_format = true;
                        Part::Alone(number, Shown::Text(shown))
                    }
                    Found::LineEnd => {
                        end = at + text[at..start].trim_end_matches(' ').len();
                        Part::Alone(number, Shown::Space)
                    }
                    Found::Tag => Part::Alone(number, Shown::Nothing),
                }
            }
        };
        push(&mut piece.parts, &text[at..end]);
        piece.parts.push(part);
        at = start + length;
    }
    push(&mut piece.parts, &text[at..]);
    (piece, is_format)
}

fn push(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

/// For each tag the other of its pair, and how that is written.
fn pairs<'t>(text: &'t str, found: &[(usize, usize, Found)]) -> Vec<Option<(usize, &'t str)>> {
    let mut pairs = vec![None; found.len()];
    let mut open: Vec<(usize, &str)> = Vec::new();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (index, (start, length, what)) in found.iter().enumerate() {
        let tag = &text[*start..start + length];
        if !matches!(what, Found::Tag) || tag.ends_with("/>") {
            continue;
        }
        let inner = &tag[1..tag.len() - 1];
        let name = |inner: &'t str| inner.split(|c: char| c.is_whitespace()).next().unwrap_or(inner);
        match inner.strip_prefix('/') {
            None => {
                open.push((index, name(inner)));
                *counts.entry(name(inner)).or_default() += 1;
            }
            Some(inner) if counts.get(name(inner)).is_some_and(|count| *count > 0) => {
                while let Some((begin, other)) = open.pop() {
                    *counts.entry(other).or_default() -= 1;
                    if other == name(inner) {
                        pairs[begin] = Some((index, tag));
                        pairs[index] = Some((begin, ""));
                        break;
                    }
                }
            }
            Some(_) => {}
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str, syntax: Syntax) -> Vec<String> {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Open(_) => "⟨0⟩".to_owned(),
            Part::Close(_) => "⟨/0⟩".to_owned(),
            Part::Alone(_, Shown::Nothing) => "⟨⟩".to_owned(),
            Part::Alone(_, Shown::Space) => "⟨ ⟩".to_owned(),
            Part::Alone(_, Shown::Text(text)) => format!("⟨{text}⟩"),
        };
        let message = Message::of(text, syntax);
        let same: Vec<_> = message.pieces.iter().map(|piece| Some(piece.parts.clone())).collect();
        assert_eq!(message.translated(&same), None);
        let mut written = String::new();
        for (piece, glue) in message.pieces.iter().zip(&message.glue) {
            written.push_str(glue);
            message.write(piece, &piece.parts, &mut written);
        }
        written.push_str(&message.glue[message.pieces.len()..].concat());
        assert_eq!(written, text);
        message.pieces.iter().map(|piece| piece.parts.iter().map(part).collect()).collect()
    }

    #[test]
    fn messages_are_cut_where_their_layout_is() {
        let guess = Syntax::guess();
        assert_eq!(drawn("\n  Hallo du.\n\nUnd du\n", guess), ["Hallo du.", "Und du"]);
        assert_eq!(drawn("  -h, --help\tzeigt dies\n  -o DATEI    wohin\n", guess), ["zeigt dies", "wohin"]);
        let full = "Das ist eine Zeile, die so lang ist, dass sie\numbrochen wurde.";
        assert_eq!(drawn(full, guess), ["Das ist eine Zeile, die so lang ist, dass sie⟨ ⟩umbrochen wurde."]);
        assert_eq!(drawn("%s: %d\n", Syntax::c()), [""; 0]);
    }

    #[test]
    fn placeholders_and_markup_are_marks() {
        assert_eq!(drawn("Zu 50%% %1$-5.2lf und %s fertig", Syntax::c()), ["Zu 50⟨%⟩ ⟨%1$-5.2lf⟩ und ⟨%s⟩ fertig"]);
        assert_eq!(drawn("%(name)s hat {x} und 100% davon", Syntax::guess()), ["⟨%(name)s⟩ hat ⟨{x}⟩ und 100% davon"]);
        assert_eq!(drawn("<b>Fett</b><br/>und <i>schief", Syntax::guess()), ["⟨0⟩Fett⟨/0⟩⟨⟩und ⟨⟩schief"]);
        assert_eq!(drawn("a < b & c &amp; 3 > 2", Syntax::guess()), ["a < b & c ⟨&⟩ 3 > 2"]);
    }

    #[test]
    fn marks_and_spaces_at_the_ends_stay_outside() {
        assert_eq!(drawn(" <p> <b>Eins</b> <br> zwei <x> </p> ", Syntax::guess()), ["⟨0⟩Eins⟨/0⟩ ⟨⟩ zwei"]);
        assert_eq!(drawn("Otto <otto@example.org>", Syntax::guess()), ["Otto"]);
    }

    #[test]
    fn signs_of_placeholders_are_written_twice_where_they_are_none() {
        let message = Message::of("%d Prozent", Syntax::c());
        let parts = vec![message.pieces[0].parts[0].clone(), Part::Text(" % or\nso".to_owned())];
        assert_eq!(message.translated(&[Some(parts)]).unwrap(), "%d %% or so");
    }
}
