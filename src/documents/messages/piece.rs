//! A stretch of a message: text, with its placeholders and its markup as marks.

use std::collections::HashMap;

use super::placeholders::{Found, Syntax, find, is_counted};
use crate::documents::{Part, Shown};

/// A text of a message.
pub(crate) struct Piece {
    pub(crate) parts: Vec<Part>,
    /// What stands for each mark: for elements where they begin and where they end.
    pub(super) marks: Vec<(String, String)>,
}

impl Piece {
    /// The marks, in the order of `parts`, of the placeholders that a program fills one after the other.
    pub(super) fn counted(&self, parts: &[Part]) -> Vec<usize> {
        let is_counted = |part: &Part| match part {
            Part::Alone(mark, Shown::Text(_)) => {
                Some(*mark).filter(|mark| self.marks.get(*mark).is_some_and(|(raw, _)| is_counted(raw)))
            }
            _ => None,
        };
        parts.iter().filter_map(is_counted).collect()
    }

    /// Whether a placeholder takes its width from what it is filled with.
    pub(super) fn has_star(&self) -> bool {
        self.counted(&self.parts).iter().any(|mark| self.marks[*mark].0.contains('*'))
    }

    /// Leaves out white space and marks at the ends, which are not translated: gives what stands before and after the rest.
    pub(super) fn trim(&mut self) -> (String, String) {
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

/// A stretch of text with its placeholders and its markup as marks. What is written in another way is added to `escapes`.
pub(super) fn piece(text: &str, syntax: Syntax, escapes: &mut Vec<(char, String)>) -> Piece {
    // What is in it, and for tags which of them belong together.
    let mut found: Vec<(usize, usize, Found)> = Vec::new();
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < text.len() {
        let special = bytes[at..].iter().position(|byte| b"%{}$<&\n#_".contains(byte));
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
    let mut at = 0;
    for (index, (start, length, what)) in found.into_iter().enumerate() {
        let mut end = start;
        let raw = text[start..start + length].to_owned();
        let number = piece.marks.len();
        let part = match (what, pairs[index]) {
            (Found::Character(c), _) => {
                if !escapes.iter().any(|(escaped, _)| *escaped == c) {
                    escapes.push((c, raw));
                }
                Part::Text(c.to_string())
            }
            (Found::Tag, Some((pair, close))) if pair > index => {
                numbers[pair] = number;
                piece.marks.push((raw, close.to_owned()));
                Part::Open(number)
            }
            (Found::Tag, Some(_)) => Part::Close(numbers[index]),
            (what, _) => {
                piece.marks.push((raw, String::new()));
                match what {
                    Found::Shown(shown) => Part::Alone(number, Shown::Text(shown)),
                    Found::LineEnd => {
                        end = at + text[at..start].trim_end_matches(' ').len();
                        Part::Alone(number, Shown::Space)
                    }
                    _ => Part::Alone(number, Shown::Nothing),
                }
            }
        };
        push(&mut piece.parts, &text[at..end]);
        match part {
            Part::Text(text) => push(&mut piece.parts, &text),
            part => piece.parts.push(part),
        }
        at = start + length;
    }
    push(&mut piece.parts, &text[at..]);
    piece
}

fn push(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Text(last)) => last.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
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
