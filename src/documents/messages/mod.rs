//! Messages of programs: one text of a catalogue, with placeholders, markup and line ends.
//!
//! A message is cut where its layout is (blank lines, indentation, tabs, columns of a help text); what is between is a segment.
//! Line ends within a paragraph, markup and placeholders are marks of it.

mod layout;
mod piece;
mod placeholders;

pub(crate) use piece::Piece;
pub(crate) use placeholders::{Braces, Percent, Syntax};

use self::layout::chunks;
use self::piece::piece;
use self::placeholders::numbered;
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
    /// Characters that are written in another way, as `%%` or `&amp;`.
    escapes: Vec<(char, String)>,
}

/// A message in another language.
pub(crate) struct Written {
    pub(crate) text: String,
    /// Whether its placeholders are in another order, where a program goes by their order alone.
    pub(crate) is_reordered: bool,
}

impl Message {
    /// Takes a text apart whose escapes are resolved.
    pub(crate) fn of(text: &str, syntax: Syntax) -> Self {
        let mut message = Self { pieces: Vec::new(), glue: Vec::new(), syntax, is_format: false, escapes: Vec::new() };
        let mut glue = String::new();
        let chunks = chunks(text);
        for (number, chunk) in chunks.iter().enumerate() {
            glue.push_str(&text[chunk.before.clone()]);
            let words = &text[chunk.text.clone()];
            // The column of options in a help text.
            let is_option = words.starts_with('-') && chunks.get(number + 1).is_some_and(|next| next.is_cell);
            let mut piece = piece(words, syntax, &mut message.escapes);
            message.is_format |= piece.parts.iter().any(|part| matches!(part, Part::Alone(_, Shown::Text(_))));
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
    pub(crate) fn translated(&self, translations: &[Option<Vec<Part>>]) -> Option<Written> {
        let pieces = self.pieces.iter().zip(translations);
        let pieces = pieces.map(|(piece, parts)| (piece, parts.as_ref().unwrap_or(&piece.parts)));
        if !pieces.clone().any(|(piece, parts)| piece.parts != *parts) {
            return None;
        }
        // `%s of %d` as `%d … %s` has to say which is which.
        let is_reordered = pieces.clone().any(|(piece, parts)| !piece.counted(parts).is_sorted());
        let can_number = self.syntax.percent != Percent::Python && !self.pieces.iter().any(Piece::has_star);
        let (mut text, mut number) = (String::new(), 1);
        for ((piece, parts), glue) in pieces.zip(&self.glue) {
            text.push_str(glue);
            let first = (is_reordered && can_number).then_some(number);
            self.write(piece, parts, first, &mut text);
            number += piece.counted(&piece.parts).len();
        }
        self.glue[self.pieces.len()..].iter().for_each(|glue| text.push_str(glue));
        Some(Written { text, is_reordered: is_reordered && !can_number })
    }

    /// Writes a piece; its placeholders get numbers from `first` on, if they need some.
    fn write(&self, piece: &Piece, parts: &[Part], first: Option<usize>, written: &mut String) {
        let start = written.len();
        let mut key = None;
        let order = piece.counted(&piece.parts);
        for part in parts {
            match part {
                Part::Text(text) => {
                    // The space that a line end stood for.
                    let text = if written[start..].ends_with('\n') { text.trim_start_matches(' ') } else { text };
                    for c in text.chars() {
                        match c {
                            '\n' | '\r' => written.push(' '),
                            c => self.syntax.escape(c, &self.escapes, self.is_format, written),
                        }
                    }
                }
                Part::Open(mark) => written.push_str(piece.marks.get(*mark).map_or("", |(open, _)| open)),
                Part::Close(mark) => written.push_str(piece.marks.get(*mark).map_or("", |(_, close)| close)),
                Part::Alone(mark, _) => {
                    let raw = piece.marks.get(*mark).map_or("", |(raw, _)| raw);
                    let place = first.and_then(|first| Some(first + order.binary_search(mark).ok()?));
                    match (raw, place) {
                        // Line ends are between words: a message ends with one only if its source does.
                        ("\n", _) => {
                            written.truncate(start + written[start..].trim_end_matches([' ', '\n']).len());
                            if written.len() > start {
                                written.push('\n');
                            }
                        }
                        ("_" | "&", _) => key = Some((written.len(), raw)),
                        (raw, Some(place)) => written.push_str(&numbered(raw, place)),
                        (raw, None) => written.push_str(raw),
                    }
                }
            }
        }
        if written[start..].ends_with('\n') {
            written.pop();
        }
        // The sign for a key stands before a letter: the next one, or the first.
        if let Some((at, sign)) = key {
            let letter = |from: usize| written[from..].find(char::is_alphanumeric).map(|place| from + place);
            let place = letter(at.min(written.len())).or_else(|| letter(start)).unwrap_or(written.len());
            written.insert_str(place, sign);
        }
    }
}

fn is_translatable(parts: &[Part]) -> bool {
    parts.iter().any(|part| matches!(part, Part::Text(text) if has_letters(text)))
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
        assert!(message.translated(&same).is_none());
        let mut written = String::new();
        for (piece, glue) in message.pieces.iter().zip(&message.glue) {
            written.push_str(glue);
            message.write(piece, &piece.parts, None, &mut written);
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
        assert_eq!(drawn("Zu 50%% %1$-5.2lf und %s fertig", Syntax::c()), ["Zu 50% ⟨%1$-5.2lf⟩ und ⟨%s⟩ fertig"]);
        assert_eq!(drawn("%(name)s hat {x} und 100% davon", Syntax::guess()), ["⟨%(name)s⟩ hat ⟨{x}⟩ und 100% davon"]);
        assert_eq!(drawn("<b>Fett</b><br/>und <i>schief", Syntax::guess()), ["⟨0⟩Fett⟨/0⟩⟨⟩und ⟨⟩schief"]);
        assert_eq!(drawn("a 100%% > b &amp; c", Syntax::guess()), ["a 100% > b & c"]);
    }

    #[test]
    fn marks_and_spaces_at_the_ends_stay_outside() {
        assert_eq!(drawn(" <p> <b>Eins</b> <br> zwei <x> </p> ", Syntax::guess()), ["⟨0⟩Eins⟨/0⟩ ⟨⟩ zwei"]);
        assert_eq!(drawn("Otto <otto@example.org>", Syntax::guess()), ["Otto"]);
    }

    #[test]
    fn placeholders_in_another_order_get_numbers() {
        let turned = |text: &str, syntax: Syntax| {
            let message = Message::of(text, syntax);
            let mut parts = message.pieces[0].parts.clone();
            parts.reverse();
            let written = message.translated(&[Some(parts)]).unwrap();
            (written.text, written.is_reordered)
        };
        let python = Syntax { percent: Percent::Python, ..Syntax::c() };
        assert_eq!(turned("%s von %.2f", Syntax::c()), ("%2$.2f von %1$s".to_owned(), false));
        assert_eq!(turned("%s von %d", python), ("%d von %s".to_owned(), true));
        assert_eq!(turned("%(a)s von %(b)d", python), ("%(b)d von %(a)s".to_owned(), false));
        assert_eq!(turned("%*d von %s", Syntax::c()), ("%s von %*d".to_owned(), true));
        assert_eq!(turned("{} von {:>5}", Syntax::guess()), ("{1:>5} von {0}".to_owned(), false));
    }

    #[test]
    fn the_sign_of_a_key_stands_before_a_letter() {
        let translated = |text: &str, after: usize| {
            let message = Message::of(text, Syntax::c());
            let mut parts = message.pieces[0].parts.clone();
            parts.retain(|part| !matches!(part, Part::Text(_)));
            parts.insert(after, Part::Text("Save as".to_owned()));
            message.translated(&[Some(parts)]).unwrap().text
        };
        assert_eq!(translated("Speichern _unter", 0), "Save as".replace("S", "_S"));
        assert_eq!(translated("Speichern _unter", 1), "_Save as");
        assert_eq!(translated("_Datei", 0), "_Save as");
        assert_eq!(translated("Sichern &als", 1), "&Save as");
        assert_eq!(drawn("foo_bar und a_b &amp; c", Syntax::c()), ["foo_bar und a_b & c"]);
    }

    #[test]
    fn a_line_end_at_the_end_is_none() {
        let message = Message::of("Das ist eine Zeile, die so lang ist, dass sie\numbrochen ist", Syntax::guess());
        let [first, line_end, _] = &message.pieces[0].parts[..] else { panic!("three parts") };
        let at_end = vec![first.clone(), line_end.clone()];
        assert_eq!(message.translated(&[Some(at_end)]).unwrap().text, "Das ist eine Zeile, die so lang ist, dass sie");
        let at_start = vec![line_end.clone(), first.clone()];
        assert_eq!(
            message.translated(&[Some(at_start)]).unwrap().text,
            "Das ist eine Zeile, die so lang ist, dass sie"
        );
    }

    #[test]
    fn signs_of_placeholders_are_written_twice_where_they_are_none() {
        let message = Message::of("%d Prozent", Syntax::c());
        let parts = vec![message.pieces[0].parts[0].clone(), Part::Text(" % or\nso".to_owned())];
        assert_eq!(message.translated(&[Some(parts)]).unwrap().text, "%d %% or so");
        let message = Message::of("Hund &amp; Katze", Syntax::guess());
        let parts = vec![Part::Text("a < b & 50% \"c\"".to_owned())];
        assert_eq!(message.translated(&[Some(parts)]).unwrap().text, "a &lt; b &amp; 50% \"c\"");
    }
}
