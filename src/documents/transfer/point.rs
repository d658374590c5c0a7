//! Places between words: punctuation at the edges of elements, and marks that have no words.

use std::ops::Range;

use super::place::{Placing, WINDOW};
use super::words::{class, is_stop};
use crate::documents::Shown;

/// What it costs a place for a mark to be on the other side of a space.
const WRONG_SIDE: f32 = 50.0;

impl Placing<'_> {
    /// The bytes of words with the punctuation before and after them that stood within the element in the source.
    pub(super) fn with_punctuation(&self, child: usize, words: &Range<usize>, limits: Range<usize>) -> Range<usize> {
        let (mut before, mut after) = self.tree.edges(child, self.source, &self.words[child]);
        let mut bytes = self.target.ranges[words.start].start..self.target.ranges[words.end - 1].end;
        let text = self.target.text;
        let word_before = words.start.checked_sub(1).map_or(0, |word| self.target.ranges[word].end);
        let word_after = self.target.ranges.get(words.end).map_or(text.len(), |word| word.start);
        let gap = limits.start.max(word_before).min(bytes.start)..bytes.start;
        let mut at = gap.end;
        for c in text[gap].chars().rev() {
            at -= c.len_utf8();
            if c.is_whitespace() && !before.is_empty() {
                continue;
            }
            match before.iter().rposition(|wanted| *wanted == class(c)) {
                Some(found) => before.truncate(found),
                None => break,
            }
            bytes.start = at;
        }
        let gap = bytes.end..limits.end.min(word_after).max(bytes.end);
        let mut at = gap.start;
        let mut rest = text[gap].chars().peekable();
        // A stop before a closing quotation mark, where the source has it behind.
        let mut held_back = false;
        while let Some(c) = rest.next() {
            at += c.len_utf8();
            if c.is_whitespace() && !after.is_empty() {
                continue;
            }
            let wanted = class(c);
            let same = |other: &char| *other == wanted;
            let found = after
                .iter()
                .position(same)
                .or_else(|| after.iter().position(|other| is_stop(*other) && is_stop(wanted)));
            match found {
                // Dots and the like may be several.
                Some(found) if wanted == '.' && rest.peek().is_some_and(|c| class(*c) == '.') => {
                    drop(after.drain(..found))
                }
                Some(found) => drop(after.drain(..=found)),
                None if is_stop(wanted) && !held_back && rest.peek().is_some_and(|c| after.contains(&class(*c))) => {
                    held_back = true;
                    continue;
                }
                None => break,
            }
            bytes.end = at;
        }
        bytes
    }

    /// The bytes of something without words: those of the same punctuation, or of a space, or none.
    pub(super) fn place_point(&self, child: usize, parent: usize, taken: &[Range<usize>]) -> Range<usize> {
        let node = &self.tree.nodes[child];
        let is_space = matches!(node.alone, Some(Shown::Space));
        let at = self.point(&node.source, parent, taken, is_space);
        let text = self.target.text;
        if is_space {
            let length =
                text[at..self.bytes[parent].end].chars().next().filter(|c| c.is_whitespace()).map_or(0, char::len_utf8);
            return at..at + length;
        }
        let mut signs = self.tree.text[node.source.clone()].chars().filter(|c| !c.is_whitespace()).map(class);
        let Some(first) = signs.next().filter(|_| node.alone.is_none() && self.words[child].is_empty()) else {
            return at..at;
        };
        // The nearest of the same kind that is not part of a word.
        let within = &self.bytes[parent];
        let is_free = |place: usize| {
            let next = taken.partition_point(|other| other.end <= place);
            let word = self.target.ranges.partition_point(|word| word.end <= place);
            taken.get(next).is_none_or(|other| other.start > place)
                && self.target.ranges.get(word).is_none_or(|word| word.start > place)
        };
        let fits = |(place, c): &(usize, char)| class(*c) == first && is_free(*place);
        let after = text[at..within.end].char_indices().take(WINDOW * 4).map(|(i, c)| (at + i, c)).find(fits);
        let before =
            text[within.start..at].char_indices().rev().take(WINDOW * 4).map(|(i, c)| (within.start + i, c)).find(fits);
        let nearest = match (before, after) {
            (Some(before), Some(after)) if at - before.0 <= after.0 - at => Some(before),
            (before, after) => after.or(before),
        };
        let Some((start, c)) = nearest else { return at..at };
        let mut end = start + c.len_utf8();
        for c in text[end..within.end].chars() {
            if signs.next() != Some(class(c)) || !is_free(end) {
                break;
            }
            end += c.len_utf8();
        }
        start..end
    }

    /// The byte of the translation where something stands that stood at `source` and has no words: where the fewest words change sides,
    /// beside what its neighbours became, at the same punctuation. Never within what is `taken`.
    fn point(&self, source: &Range<usize>, parent: usize, taken: &[Range<usize>], is_space: bool) -> usize {
        let text = self.target.text;
        let within = self.bytes[parent].clone();
        let words = self.target_words[parent].clone();
        let around = &self.tree.nodes[parent].source;
        let left = |text: &str| text.trim_end().chars().next_back().map_or('^', side);
        let right = |text: &str| text.trim_start().chars().next().map_or('$', side);
        let (before, after) = (&self.tree.text[around.start..source.start], &self.tree.text[source.end..around.end]);
        let (source_left, source_right) = (left(before), right(after));
        let hangs_on = before.chars().next_back().is_some_and(|c| !c.is_whitespace());
        // Words of the source before it, and what those beside it became.
        let gap = self.source.ranges.partition_point(|word| word.end <= source.start);
        let next = self.source.ranges.partition_point(|word| word.start < source.end);
        let targets =
            |word: usize| self.links.targets[word].iter().map(|(target, _)| *target).filter(|t| words.contains(t));
        let anchor_left = gap.checked_sub(1).and_then(|word| targets(word).max());
        let anchor_right = (next < self.source.ranges.len()).then(|| targets(next).min()).flatten();
        let share = (gap.saturating_sub(self.words[parent].start)) as f32 / self.words[parent].len().max(1) as f32;
        let expected = anchor_left.map(|word| word + 1).or(anchor_right);
        let expected = expected.unwrap_or(words.start + (share * words.len() as f32) as usize);
        let first = expected.saturating_sub(WINDOW).max(words.start);
        let last = (expected + WINDOW).min(words.end);
        let is_foreign = |word: usize| self.main[word].is_some_and(|source| source >= gap);
        let is_own = |word: usize| self.main[word].is_some_and(|source| source < gap);
        let is_free = |place: usize| {
            let next = taken.partition_point(|other| other.end <= place);
            taken.get(next).is_none_or(|other| other.start >= place)
        };
        // How many words would change sides, for a place before each word.
        let mut crossing = vec![(first..last).filter(|&word| is_own(word)).count() as i32];
        for word in first..last {
            crossing.push(crossing[word - first] + i32::from(is_foreign(word)) - i32::from(is_own(word)));
        }
        let fewest = crossing.iter().copied().min().unwrap_or(0);
        let (mut best, mut best_cost) = (within.end, f32::INFINITY);
        // Most places need not be looked at closely.
        let near = (first..=last).filter(|word| crossing[word - first] <= fewest + 3);
        let far = (first..=last).filter(|word| crossing[word - first] > fewest + 3);
        for (word, is_far) in near.map(|word| (word, false)).chain(far.map(|word| (word, true))) {
            if is_far && best_cost < WRONG_SIDE {
                break;
            }
            let crossing = crossing[word - first] as f32;
            let start = if word == words.start { within.start } else { self.target.ranges[word - 1].end };
            let end = if word == words.end { within.end } else { self.target.ranges[word].start };
            let (start, end) = (start.max(within.start), end.max(start).min(within.end).max(within.start));
            let gap_text = text.get(start..end).unwrap_or("");
            let places = gap_text.char_indices().map(|(i, _)| start + i).chain([end]).take(WINDOW);
            for place in places.filter(|&place| is_free(place)) {
                let (before, after) = (&text[within.start..place], &text[place..within.end]);
                let is_beside_space = |c: Option<char>| c.is_none_or(char::is_whitespace);
                let (touches_left, touches_right) =
                    (is_beside_space(before.chars().next_back()), is_beside_space(after.chars().next()));
                let is_wrong_side = match is_space {
                    true => !touches_right || after.is_empty(),
                    false if hangs_on => touches_left && !before.is_empty(),
                    false => touches_right && !after.is_empty(),
                };
                let mut cost = crossing + if is_wrong_side { WRONG_SIDE } else { 0.0 };
                cost += differ(source_left, left(before)) + differ(source_right, right(after));
                let is_anchored = match hangs_on {
                    true => {
                        source_left == 'w' && !is_end(source_right) && anchor_left.is_some_and(|left| left + 1 == word)
                    }
                    false => source_right == 'w' && !is_end(source_left) && anchor_right == Some(word),
                };
                cost -= if is_anchored && !is_space { 1.5 } else { 0.0 };
                cost += 0.001 * word.abs_diff(expected) as f32;
                if cost < best_cost {
                    (best, best_cost) = (place, cost);
                }
            }
        }
        best
    }
}

/// The class of a character beside a mark: `w` for a word's.
fn side(c: char) -> char {
    if c.is_alphanumeric() { 'w' } else { class(c) }
}

/// Whether a class of a neighbour is an end, of a sentence or of the text.
fn is_end(class: char) -> bool {
    matches!(class, '^' | '$' | '.')
}

fn differ(a: char, b: char) -> f32 {
    match a == b {
        true => 0.0,
        false if is_stop(a) && is_stop(b) || is_end(a) && is_end(b) => 0.3,
        false => 0.8,
    }
}
