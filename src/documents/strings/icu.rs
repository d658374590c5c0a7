//! ICU's choices in messages: `{count, plural, one {# dog} other {# dogs}}`.

use std::ops::Range;

/// The bytes in which `count, plural,` ends after its brace.
const LONGEST_NAME: usize = 150;

/// What choices a message has.
pub(super) enum Found {
    Nothing,
    /// The message is a choice: the texts to choose from, without the choices that these may be again.
    Branches(Vec<Range<usize>>),
    /// A choice with text around it, of which no part is a sentence.
    WithinText,
}

/// A choice that was begun: how deep its braces are, and whether texts follow.
struct Open {
    is_choice: bool,
    /// Where the text began.
    start: usize,
    has_choice: bool,
}

/// Looks for choices in a message.
pub(super) fn branches(text: &str) -> Found {
    let is_choice_at = |at: usize| {
        let near = text.as_bytes()[at + 1..].iter().take(LONGEST_NAME).copied().collect::<Vec<u8>>();
        let near = String::from_utf8_lossy(&near);
        let mut parts = near.splitn(3, ',');
        let name = parts.next().unwrap_or("").trim();
        let kind = parts.next().unwrap_or("").trim();
        !name.is_empty()
            && !name.contains(['{', '}'])
            && ["plural", "select", "selectordinal"].contains(&kind)
            && parts.next().is_some()
    };
    let has_choice = ["plural", "select"].iter().any(|kind| text.contains(kind)) && text.contains('{');
    if !has_choice {
        return Found::Nothing;
    }
    let mut open: Vec<Open> = Vec::new();
    let mut branches: Vec<Range<usize>> = Vec::new();
    let (mut choices, mut is_mixed) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            '{' => {
                let in_choice = open.last().is_some_and(|open| open.is_choice);
                let is_choice = !in_choice && is_choice_at(at);
                if is_choice {
                    choices += 1;
                    if let Some(open) = open.last_mut() {
                        open.has_choice = true;
                    }
                }
                // The braces of a branch, or a placeholder within one.
                let start = if in_choice { at + 1 } else { usize::MAX };
                open.push(Open { is_choice, start, has_choice: false });
            }
            '}' => {
                let Some(closed) = open.pop() else { return Found::Nothing };
                if closed.start == usize::MAX {
                    continue;
                }
                // A branch that is a choice itself has its texts further in.
                if closed.has_choice {
                    let inner = text[closed.start..at].trim();
                    is_mixed |= !(inner.starts_with('{') && inner.ends_with('}'));
                } else {
                    branches.push(closed.start..at);
                }
            }
            _ => {}
        }
    }
    let whole = text.trim();
    match choices {
        0 => Found::Nothing,
        _ if !open.is_empty() => Found::WithinText,
        _ if is_mixed || !whole.starts_with('{') || closing(whole) != Some(whole.len() - 1) => Found::WithinText,
        _ => Found::Branches(branches),
    }
}

/// The brace that closes the first.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}
