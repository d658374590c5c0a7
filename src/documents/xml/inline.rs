//! A text with inline codes, put together from pieces of a file: codes that belong together become pairs, white space at the
//! ends and codes around the whole stay outside the segment.

use std::collections::HashMap;
use std::ops::Range;

use crate::documents::source::has_letters;
use crate::documents::{Part, Shown};

/// What is written for a mark.
#[derive(Clone, Debug, Default)]
pub(crate) enum Code {
    #[default]
    Nothing,
    /// What stands there in the source; texts within it may be translated by themselves.
    Source(Range<usize>),
    Made(String),
    /// White space at an end of a text, written as text is.
    Text(String),
    Many(Vec<Self>),
}

/// What a code with this content shows, in one line.
pub(crate) fn shown(text: &str) -> Shown {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() { Shown::Nothing } else { Shown::Text(text) }
}

/// A piece of a text, in order.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Text(String),
    /// An element begins or ends: these nest by themselves.
    Open(Code),
    Close(Code),
    /// Something begins or ends that has this key. It becomes a pair if it nests with the others and stands by itself otherwise.
    Begin(String, Code),
    End(String, Code),
    Alone(Code, Shown),
    /// A paragraph ends, and what is written there.
    Break(Code),
}

/// What white space means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// A run of it is one space.
    Collapses,
    /// It is as it is: line ends become marks.
    Counts,
}

/// A text and the codes of its marks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inline {
    pub(crate) parts: Vec<Part>,
    /// What is written where a mark begins and where it ends, by the mark's number.
    pub(crate) marks: Vec<(Code, Code)>,
    /// What stands before and behind all parts.
    pub(crate) before: Vec<Code>,
    pub(crate) after: Vec<Code>,
    /// For each mark the item that it came from.
    pub(crate) items: Vec<usize>,
}

/// An item whose partner is known.
enum Role {
    Text(String),
    Open(usize),
    Close(usize),
    Alone(usize, Shown),
}

impl Inline {
    /// Puts a text together; `None` if there is nothing to translate in it: no letter.
    pub(crate) fn new(items: Vec<Item>, space: Space) -> Option<Self> {
        if !items.iter().any(|item| matches!(item, Item::Text(text) if has_letters(text))) {
            return None;
        }
        let (first, items, last) = without_white_space(items);
        let (roles, mut marks) = pairs(items, space);
        let (mut before, roles, mut after) = without_ends(roles, &mut marks);
        before.insert(0, first);
        after.push(last);
        let mut inline = Self { before, after, ..Self::default() };
        let mut numbers = HashMap::new();
        for role in roles {
            let mut number = |mark: usize| {
                *numbers.entry(mark).or_insert_with(|| {
                    let (open, close, item) = std::mem::take(&mut marks[mark]);
                    inline.marks.push((open, close));
                    inline.items.push(item);
                    inline.marks.len() - 1
                })
            };
            let part = match role {
                Role::Text(text) if text.is_empty() => continue,
                Role::Text(text) => {
                    if let Some(Part::Text(before)) = inline.parts.last_mut() {
                        before.push_str(&text);
                        continue;
                    }
                    Part::Text(text)
                }
                Role::Open(mark) => Part::Open(number(mark)),
                Role::Close(mark) => Part::Close(number(mark)),
                Role::Alone(mark, shown) => Part::Alone(number(mark), shown),
            };
            inline.parts.push(part);
        }
        Some(inline)
    }
}

/// Takes off white space with which the whole begins and ends, as it is.
fn without_white_space(mut items: Vec<Item>) -> (Code, Vec<Item>, Code) {
    let (mut first, mut last) = (Code::Nothing, Code::Nothing);
    if let Some(Item::Text(text)) = items.first_mut() {
        let length = text.len() - text.trim_start().len();
        first = Code::Text(text.drain(..length).collect());
    }
    if let Some(Item::Text(text)) = items.last_mut() {
        last = Code::Text(text.split_off(text.trim_end().len()));
    }
    (first, items, last)
}

type Marks = Vec<(Code, Code, usize)>;

/// Finds what belongs together and settles white space.
fn pairs(items: Vec<Item>, space: Space) -> (Vec<Role>, Marks) {
    let (mut roles, mut marks): (Vec<Role>, Marks) = (Vec::with_capacity(items.len()), Vec::new());
    // Marks that are open: their key, if they may stand alone, and the role that opened them.
    let mut open: Vec<(Option<String>, usize, usize)> = Vec::new();
    let alone = |roles: &mut Vec<Role>, (_, mark, role): (Option<String>, usize, usize)| {
        roles[role] = Role::Alone(mark, Shown::Nothing);
    };
    for (index, item) in items.into_iter().enumerate() {
        let mark = marks.len();
        match item {
            Item::Text(text) => spaced(&text, space, &mut roles, &mut marks, index),
            Item::Open(code) => {
                open.push((None, mark, roles.len()));
                roles.push(Role::Open(mark));
                marks.push((code, Code::Nothing, index));
            }
            Item::Begin(key, code) => {
                open.push((Some(key), mark, roles.len()));
                roles.push(Role::Open(mark));
                marks.push((code, Code::Nothing, index));
            }
            Item::Close(code) => {
                while let Some(last) = open.pop() {
                    if last.0.is_some() {
                        alone(&mut roles, last);
                        continue;
                    }
                    close(last.1, code, &mut roles, &mut marks);
                    break;
                }
            }
            Item::End(key, code) => match open.pop_if(|last| last.0.as_ref() == Some(&key)) {
                Some(last) => close(last.1, code, &mut roles, &mut marks),
                None => {
                    marks.push((code, Code::Nothing, index));
                    roles.push(Role::Alone(mark, Shown::Nothing));
                }
            },
            Item::Alone(code, shown) => {
                marks.push((code, Code::Nothing, index));
                roles.push(Role::Alone(mark, shown));
            }
            Item::Break(code) => {
                marks.push((code, Code::Nothing, index));
                roles.push(Role::Alone(mark, Shown::Space));
            }
        }
    }
    open.into_iter().for_each(|last| alone(&mut roles, last));
    (roles, marks)
}

/// Ends a mark. What has no words in it stands by itself.
fn close(mark: usize, code: Code, roles: &mut Vec<Role>, marks: &mut Marks) {
    let blank = match roles.as_slice() {
        [.., Role::Open(open)] if *open == mark => Some(0),
        [.., Role::Open(open), Role::Text(text)] if *open == mark && is_blank(text) => Some(1),
        _ => None,
    };
    let Some(blank) = blank else {
        marks[mark].1 = code;
        roles.push(Role::Close(mark));
        return;
    };
    let (mut codes, mut shown) = (vec![std::mem::take(&mut marks[mark].0)], Shown::Nothing);
    for role in roles.drain(roles.len() - blank..) {
        if let Role::Text(text) = role {
            shown = if text.is_empty() { Shown::Nothing } else { Shown::Space };
            codes.push(Code::Text(text));
        }
    }
    codes.push(code);
    marks[mark].0 = Code::Many(codes);
    roles.pop();
    roles.push(Role::Alone(mark, shown));
}

fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

fn is_space(character: char) -> bool {
    character.is_ascii_whitespace()
}

/// A text with its white space as a segment has it.
fn spaced(text: &str, space: Space, roles: &mut Vec<Role>, marks: &mut Marks, index: usize) {
    let mut rest = text;
    let mut settled = String::with_capacity(text.len());
    while let Some(at) = rest.find(is_space) {
        settled.push_str(&rest[..at]);
        let run = &rest[at..rest[at..].find(|c| !is_space(c)).map_or(rest.len(), |length| at + length)];
        rest = &rest[at + run.len()..];
        match space {
            Space::Collapses => settled.push(' '),
            Space::Counts if !run.contains(['\n', '\r']) => settled.push_str(run),
            Space::Counts => {
                roles.push(Role::Text(std::mem::take(&mut settled)));
                roles.push(Role::Alone(marks.len(), Shown::Space));
                marks.push((Code::Made(run.replace('\r', "&#13;")), Code::Nothing, index));
            }
        }
    }
    settled.push_str(rest);
    roles.push(Role::Text(settled));
}

/// Takes codes and white space off both ends.
fn without_ends(roles: Vec<Role>, marks: &mut Marks) -> (Vec<Code>, Vec<Role>, Vec<Code>) {
    let mut roles: Vec<Option<Role>> = roles.into_iter().map(Some).collect();
    let (mut from, mut to) = (0, roles.len());
    let (mut before, mut after) = (Vec::new(), Vec::new());
    loop {
        match (&roles[from], &roles[to - 1]) {
            (Some(Role::Text(text)), _) if is_blank(text) => before.push(Code::Text(text.clone())),
            (Some(Role::Alone(mark, Shown::Nothing | Shown::Space)), _) => {
                before.push(std::mem::take(&mut marks[*mark].0))
            }
            (_, Some(Role::Text(text))) if is_blank(text) => {
                after.push(Code::Text(text.clone()));
                to -= 1;
                continue;
            }
            (_, Some(Role::Alone(mark, Shown::Nothing | Shown::Space))) => {
                after.push(std::mem::take(&mut marks[*mark].0));
                to -= 1;
                continue;
            }
            (Some(Role::Open(open)), Some(Role::Close(close))) if open == close => {
                let (open, close, _) = std::mem::take(&mut marks[*open]);
                before.push(open);
                after.push(close);
                to -= 1;
            }
            _ => break,
        }
        from += 1;
    }
    // What is left may begin with white space within a mark.
    for role in roles[from..to].iter_mut().flatten() {
        match role {
            Role::Text(text) => {
                let length = text.len() - text.trim_start().len();
                before.push(Code::Text(text.drain(..length).collect()));
                if !text.is_empty() {
                    break;
                }
            }
            Role::Alone(_, Shown::Text(_)) => break,
            Role::Alone(_, shown) => *shown = Shown::Nothing,
            Role::Open(_) | Role::Close(_) => {}
        }
    }
    for role in roles[from..to].iter_mut().flatten().rev() {
        match role {
            Role::Text(text) => {
                after.push(Code::Text(text.split_off(text.trim_end().len())));
                if !text.is_empty() {
                    break;
                }
            }
            Role::Alone(_, Shown::Text(_)) => break,
            Role::Alone(_, shown) => *shown = Shown::Nothing,
            Role::Open(_) | Role::Close(_) => {}
        }
    }
    after.reverse();
    (before, roles.drain(from..to).flatten().collect(), after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(items: Vec<Item>) -> Vec<Part> {
        Inline::new(items, Space::Collapses).unwrap().parts
    }

    #[test]
    fn what_is_at_the_ends_stays_outside() {
        let (open, close) = (|| Item::Open(Code::Nothing), || Item::Close(Code::Nothing));
        let text = |text: &str| Item::Text(text.to_owned());
        let alone = || Item::Alone(Code::Nothing, Shown::Space);
        let word = vec![Part::Text("Wort".to_owned())];
        assert_eq!(drawn(vec![alone(), open(), text(" Wort "), alone(), close(), text(" ")]), word);
        assert_eq!(drawn(vec![text("Wort"), open(), text(" "), close(), open(), close()]), word);
        // Within a text, what has only a space is one.
        let within = drawn(vec![text("ein"), open(), text(" "), close(), text("Wort")]);
        assert_eq!(within[1], Part::Alone(0, Shown::Space));
        assert!(Inline::new(vec![text("12"), alone()], Space::Collapses).is_none());
    }

    #[test]
    fn what_begins_and_does_not_end_stands_by_itself() {
        let text = |text: &str| Item::Text(text.to_owned());
        let begin = |key: &str| Item::Begin(key.to_owned(), Code::Nothing);
        let end = |key: &str| Item::End(key.to_owned(), Code::Nothing);
        let parts = drawn(vec![
            text("a"),
            begin("1"),
            text("b"),
            begin("2"),
            text("c"),
            end("1"),
            text("d"),
            end("2"),
            text("e"),
        ]);
        let kinds: Vec<bool> = parts.iter().map(|part| matches!(part, Part::Open(_) | Part::Close(_))).collect();
        assert_eq!(kinds, [false, false, false, true, false, false, false, true, false]);
    }
}
