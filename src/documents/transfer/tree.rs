//! The marks of a segment as a tree over its text.

use std::collections::HashMap;
use std::ops::Range;

use super::words::{Words, class};
use crate::documents::{Part, Segment, Shown, Translated};

/// An element, or a mark that stands by itself.
pub(super) struct Node<'s> {
    pub(super) mark: usize,
    /// Elements around it.
    pub(super) depth: usize,
    /// Bytes of the text.
    pub(super) source: Range<usize>,
    /// `None` for an element.
    pub(super) alone: Option<&'s Shown>,
    pub(super) children: Vec<usize>,
}

/// Node 0 is the whole text; parents come before their children, and children are in the order of the text.
pub(super) struct Tree<'s> {
    pub(super) text: String,
    pub(super) nodes: Vec<Node<'s>>,
}

impl<'s> Tree<'s> {
    pub(super) fn new(segment: &'s Segment) -> Self {
        let root = Node { mark: 0, depth: 0, source: 0..0, alone: None, children: Vec::new() };
        let mut tree = Tree { text: String::new(), nodes: vec![root] };
        let mut open = vec![0];
        for part in &segment.parts {
            let start = tree.text.len();
            match part {
                Part::Text(text) => tree.text.push_str(text),
                Part::Open(mark) => {
                    let node = tree.add(*mark, *open.last().unwrap_or(&0), start..start, None);
                    open.push(node);
                }
                Part::Close(_) => {
                    if open.len() > 1 {
                        let node = open.pop().unwrap_or(0);
                        tree.nodes[node].source.end = start;
                    }
                }
                Part::Alone(mark, shown) => {
                    match shown {
                        Shown::Text(text) => tree.text.push_str(text),
                        Shown::Space if !tree.text.ends_with(' ') => tree.text.push(' '),
                        _ => {}
                    }
                    tree.add(*mark, *open.last().unwrap_or(&0), start..tree.text.len(), Some(shown));
                }
            }
        }
        for node in open {
            tree.nodes[node].source.end = tree.text.len();
        }
        tree
    }

    fn add(&mut self, mark: usize, parent: usize, source: Range<usize>, alone: Option<&'s Shown>) -> usize {
        let node = self.nodes.len();
        let depth = self.nodes[parent].depth + 1;
        self.nodes.push(Node { mark, depth, source, alone, children: Vec::new() });
        self.nodes[parent].children.push(node);
        node
    }

    /// The marks with a text of their own, if it is not empty.
    fn shown(&self) -> impl Iterator<Item = (usize, &'s str)> {
        self.nodes.iter().enumerate().filter_map(|(index, node)| match node.alone {
            Some(Shown::Text(text)) if !text.is_empty() => Some((index, &text[..])),
            _ => None,
        })
    }

    /// Their places in the text.
    pub(super) fn shown_ranges(&self) -> Vec<Range<usize>> {
        self.shown().map(|(node, _)| self.nodes[node].source.clone()).collect()
    }

    /// Where elements begin and end.
    pub(super) fn borders(&self) -> Vec<usize> {
        let mut borders: Vec<usize> = self.nodes.iter().flat_map(|node| [node.source.start, node.source.end]).collect();
        borders.sort_unstable();
        borders.dedup();
        borders
    }

    /// Where the texts of marks stand in the translation, a place for each node that has one.
    pub(super) fn find_shown(&self, translated: &Translated) -> Vec<Option<Range<usize>>> {
        let mut found = vec![None; self.nodes.len()];
        let mut same: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut order = Vec::new();
        for (node, text) in self.shown() {
            let nodes = same.entry(text).or_default();
            if nodes.is_empty() {
                order.push(text);
            }
            nodes.push(node);
        }
        // Longer ones first: one may stand in another.
        order.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let mut taken: std::collections::BTreeMap<usize, usize> = std::collections::BTreeMap::new();
        for text in order {
            let is_free = |range: &Range<usize>| {
                taken.range(..range.end).next_back().is_none_or(|(_, end)| *end <= range.start)
                    && is_whole(&translated.text, range)
            };
            let mut places: Vec<Range<usize>> = Vec::new();
            for (start, _) in translated.text.match_indices(text) {
                let range = start..start + text.len();
                if is_free(&range) {
                    places.push(range);
                }
            }
            let nodes = &same[text];
            let chosen = self.choose(nodes, places, translated);
            for (node, range) in nodes.iter().zip(chosen) {
                taken.extend(range.iter().map(|range| (range.start, range.end)));
                found[*node] = range;
            }
        }
        found
    }

    /// The places for equal texts: in order, and if there are too many or too few, those that the links speak for.
    fn choose(&self, nodes: &[usize], places: Vec<Range<usize>>, translated: &Translated) -> Vec<Option<Range<usize>>> {
        if nodes.len() == places.len() {
            return places.into_iter().map(Some).collect();
        }
        let scale = translated.text.len() as f64 / self.text.len().max(1) as f64;
        let links = &translated.links;
        let near = |node: &usize| -> usize {
            let source = &self.nodes[*node].source;
            let from = links.partition_point(|(link, _)| link.end <= source.start);
            match links.get(from).filter(|(link, _)| link.start < source.end) {
                Some((_, to)) => to.start,
                None => (source.start as f64 * scale) as usize,
            }
        };
        let wanted: Vec<usize> = nodes.iter().map(near).collect();
        let starts: Vec<usize> = places.iter().map(|place| place.start).collect();
        let mut chosen = vec![None; nodes.len()];
        if nodes.len() < places.len() {
            for (chosen, place) in chosen.iter_mut().zip(nearest_in_order(&wanted, &starts)) {
                *chosen = Some(places[place].clone());
            }
        } else {
            for (place, node) in places.into_iter().zip(nearest_in_order(&starts, &wanted)) {
                chosen[node] = Some(place);
            }
        }
        chosen
    }

    /// Words that are the same for certain: texts of marks, words that marks divide and that are the same in the translation, and
    /// punctuation is no word.
    pub(super) fn sure(
        &self,
        source: &Words<'_>,
        target: &Words<'_>,
        found: &[Option<Range<usize>>],
    ) -> Vec<(usize, usize)> {
        let mut sure = Vec::new();
        for (node, range) in self.nodes.iter().zip(found) {
            if let Some(range) = range {
                let (from, to) = (source.within(&node.source), target.within(range));
                sure.extend(from.zip(to));
            }
        }
        sure
    }

    /// The text of a node before its first word and after its last, without spaces.
    pub(super) fn edges(&self, node: usize, source: &Words<'_>, words: &Range<usize>) -> (Vec<char>, Vec<char>) {
        let range = &self.nodes[node].source;
        let classes = |text: &str| text.chars().filter(|c| !c.is_whitespace()).map(class).collect();
        let start = range.start.min(source.ranges[words.start].start);
        let end = range.end.max(source.ranges[words.end - 1].end);
        let (before, after) = (start..source.ranges[words.start].start, source.ranges[words.end - 1].end..end);
        (classes(&self.text[before]), classes(&self.text[after]))
    }
}

/// For each of `few` the index of one of `many` that is near, in order, each once.
fn nearest_in_order(few: &[usize], many: &[usize]) -> Vec<usize> {
    let mut next = 0;
    let mut chosen = Vec::with_capacity(few.len());
    for (index, &wanted) in few.iter().enumerate() {
        let last = many.len() - (few.len() - index);
        while next < last && many[next + 1].abs_diff(wanted) < many[next].abs_diff(wanted) {
            next += 1;
        }
        chosen.push(next);
        next += 1;
    }
    chosen
}

/// Whether a name is not a piece of a longer word.
fn is_whole(text: &str, range: &Range<usize>) -> bool {
    let joins =
        |a: Option<char>, b: Option<char>| a.is_some_and(char::is_alphanumeric) && b.is_some_and(char::is_alphanumeric);
    let inner = &text[range.clone()];
    !joins(text[..range.start].chars().next_back(), inner.chars().next())
        && !joins(inner.chars().next_back(), text[range.end..].chars().next())
}
