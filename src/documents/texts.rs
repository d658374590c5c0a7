//! What a translator is given of a segment, and what it gave, made fit for the segment again.

use std::ops::Range;

use super::{Part, Segment, Shown, Translated};

/// The text of a segment as a translator gets it: what has to come back as it is has a stand-in, `{0}`, which translators and
/// the protection of spans take for a placeholder, whatever characters the thing itself is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text with stand-ins.
    pub text: String,
    /// Bytes of `text` that a stand-in takes, and what it stands for; in order.
    stand_ins: Vec<(Range<usize>, String)>,
}

impl Text {
    /// The text of a segment; `None` if there is no word in it to translate.
    pub fn of(segment: &Segment) -> Option<Self> {
        let whole = segment.text();
        let mut text = String::with_capacity(whole.len());
        let mut stand_ins = Vec::new();
        let mut has_letters = false;
        let mut number = 0;
        for part in &segment.parts {
            match part {
                Part::Text(part) => {
                    has_letters |= part.chars().any(char::is_alphabetic);
                    text.push_str(part);
                }
                Part::Alone(_, Shown::Space) if !text.ends_with(' ') => text.push(' '),
                Part::Alone(_, Shown::Text(shown)) if !shown.is_empty() => {
                    // One that the text does not have itself.
                    let stand_in = loop {
                        let stand_in = format!("{{{number}}}");
                        number += 1;
                        if !whole.contains(&stand_in) {
                            break stand_in;
                        }
                    };
                    stand_ins.push((text.len()..text.len() + stand_in.len(), shown.clone()));
                    text.push_str(&stand_in);
                }
                _ => {}
            }
        }
        has_letters.then_some(Self { text, stand_ins })
    }

    /// The translation with everything in its place again, its links as bytes of [`Segment::text`]; and what did not come back.
    pub fn restore(&self, translated: &Translated) -> (Translated, Vec<String>) {
        let mut found: Vec<(Range<usize>, String)> = Vec::new();
        let mut missing = Vec::new();
        for (bytes, shown) in &self.stand_ins {
            match translated.text.find(&self.text[bytes.clone()]) {
                Some(at) => found.push((at..at + bytes.len(), shown.clone())),
                None => missing.push(shown.clone()),
            }
        }
        found.sort_by_key(|(bytes, _)| bytes.start);
        let mut text = translated.text.clone();
        for (bytes, shown) in found.iter().rev() {
            text.replace_range(bytes.clone(), shown);
        }
        let links =
            translated.links.iter().map(|(source, target)| (moved(&self.stand_ins, source), moved(&found, target)));
        (Translated { text, links: links.collect() }, missing)
    }
}

/// Where a range is once the given ranges were replaced.
fn moved(replaced: &[(Range<usize>, String)], range: &Range<usize>) -> Range<usize> {
    let place = |at: usize, is_end: bool| {
        let mut place = at;
        for (bytes, text) in replaced.iter().filter(|(bytes, _)| bytes.start < at) {
            // Inside what was replaced there is only its beginning and its end.
            place = if at >= bytes.end {
                place + text.len() - bytes.len()
            } else {
                place + bytes.start - at + if is_end { text.len() } else { 0 }
            };
        }
        place
    };
    place(range.start, false)..place(range.end, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(mark: usize, text: &str) -> Part {
        Part::Alone(mark, Shown::Text(text.to_owned()))
    }

    fn segment(parts: Vec<Part>) -> Segment {
        Segment { parts, ..Segment::default() }
    }

    #[test]
    fn what_stands_for_itself_comes_back_and_links_keep_their_words() {
        let text = |text: &str| Part::Text(text.to_owned());
        let segment = segment(vec![text("Der Befehl "), code(0, "ls -l"), text(" hilft {0} nicht.")]);
        let given = Text::of(&segment).unwrap();
        assert_eq!(given.text, "Der Befehl {1} hilft {0} nicht.");
        let word = |text: &str, word: &str| text.find(word).map(|at| at..at + word.len()).unwrap();
        let english = "The {1} command does not help {0}.";
        let links = ["Befehl", "{1}", "hilft", "nicht."].iter().zip(["command", "{1}", "help", "not"]);
        let links = links.map(|(source, target)| (word(&given.text, source), word(english, target))).collect();
        let (restored, missing) = given.restore(&Translated { text: english.to_owned(), links });
        assert_eq!(restored.text, "The ls -l command does not help {0}.");
        assert!(missing.is_empty());
        let source = segment.text();
        let words: Vec<_> =
            restored.links.iter().map(|(s, t)| (&source[s.clone()], &restored.text[t.clone()])).collect();
        let expected = [("Befehl", "command"), ("ls -l", "ls -l"), ("hilft", "help"), ("nicht.", "not")];
        assert_eq!(words, expected);
    }

    #[test]
    fn what_did_not_come_back_is_named() {
        let given = Text::of(&segment(vec![Part::Text("Hallo ".to_owned()), code(0, "%s")])).unwrap();
        let (restored, missing) = given.restore(&Translated { text: "Hello".to_owned(), links: Vec::new() });
        assert_eq!((restored.text, missing), ("Hello".to_owned(), vec!["%s".to_owned()]));
    }

    #[test]
    fn where_there_is_no_word_there_is_nothing_to_translate() {
        assert_eq!(Text::of(&segment(vec![Part::Text("12,50 € – ".to_owned()), code(0, "abc")])), None);
    }
}
