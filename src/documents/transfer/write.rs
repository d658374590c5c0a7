//! The translation with its marks, once it is known where they go.

use std::ops::Range;

use super::Transferred;
use super::place::Placing;
use super::tree::Tree;
use super::words::class;
use crate::documents::{Part, Shown};

impl Placing<'_> {
    /// Text and marks, in the order of the translation.
    pub(super) fn parts(self) -> Transferred {
        let mut shown: Vec<(Range<usize>, usize)> =
            self.found.iter().enumerate().filter_map(|(node, range)| Some((range.clone()?, node))).collect();
        shown.sort_unstable_by_key(|(range, _)| range.start);
        let mut out =
            Writing { text: self.target.text, at: 0, shown: shown.into(), parts: Vec::new(), tree: self.tree };
        let mut missing = Vec::new();
        let in_order = |node: usize| {
            let unplaced = |child: &&usize| self.found[**child].is_none();
            let mut children: Vec<usize> = self.tree.nodes[node].children.iter().filter(unplaced).copied().collect();
            children.sort_by_key(|&child| (self.bytes[child].start, self.bytes[child].end));
            children.into_iter()
        };
        let mut open = vec![(0, in_order(0))];
        while let Some((node, children)) = open.last_mut() {
            let node = *node;
            let Some(child) = children.next() else {
                out.text_until(self.bytes[node].end);
                open.pop();
                if node != 0 {
                    out.parts.push(Part::Close(self.tree.nodes[node].mark));
                }
                continue;
            };
            let mark = self.tree.nodes[child].mark;
            out.text_until(self.bytes[child].start);
            match self.tree.nodes[child].alone {
                None => {
                    out.parts.push(Part::Open(mark));
                    open.push((child, in_order(child)));
                }
                Some(Shown::Text(text)) if !text.is_empty() => {
                    missing.push(mark);
                    let source = &self.tree.text[..self.tree.nodes[child].source.start];
                    out.put_in(mark, text, source.ends_with(char::is_whitespace));
                }
                Some(shown) => {
                    out.at = out.at.max(self.bytes[child].end);
                    out.parts.push(Part::Alone(mark, shown.clone()));
                }
            }
        }
        Transferred { parts: out.parts, missing }
    }
}

struct Writing<'a> {
    text: &'a str,
    at: usize,
    shown: std::collections::VecDeque<(Range<usize>, usize)>,
    parts: Vec<Part>,
    tree: &'a Tree<'a>,
}

impl Writing<'_> {
    /// The text up to a byte, with the marks whose text it holds.
    fn text_until(&mut self, end: usize) {
        while let Some((range, node)) = self.shown.front().filter(|(range, _)| range.end <= end).cloned() {
            self.shown.pop_front();
            self.push(range.start);
            self.at = range.end;
            let node = &self.tree.nodes[node];
            self.parts.extend(node.alone.map(|shown| Part::Alone(node.mark, shown.clone())));
        }
        self.push(end);
    }

    fn push(&mut self, end: usize) {
        if end > self.at {
            let text = &self.text[self.at..end];
            self.at = end;
            self.push_text(text);
        }
    }

    fn push_text(&mut self, text: &str) {
        match self.parts.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ => self.parts.push(Part::Text(text.to_owned())),
        }
    }

    /// A mark whose text the translation lacks, with the spaces that it needs.
    fn put_in(&mut self, mark: usize, text: &str, after_space: bool) {
        let last = self.parts.iter().rev().find_map(|part| match part {
            Part::Text(text) | Part::Alone(_, Shown::Text(text)) => text.chars().next_back(),
            Part::Alone(_, Shown::Space) => Some(' '),
            _ => None,
        });
        if last.is_some_and(|c| c.is_alphanumeric() || after_space && !c.is_whitespace() && class(c) != '(') {
            self.push_text(" ");
        }
        self.parts.push(Part::Alone(mark, Shown::Text(text.to_owned())));
        if self.text[self.at..].chars().next().is_some_and(char::is_alphanumeric) {
            self.push_text(" ");
        }
    }
}
