//! Where each mark goes: elements from the outside in, then what stands by itself.

use std::collections::HashSet;
use std::ops::Range;

use super::links::Links;
use super::tree::Tree;
use super::words::Words;
use super::words::{class, is_stop};

/// What a word that belongs to something else costs an element that goes around it; a word of its own is worth 1.
const FOREIGN: f32 = 0.75;
/// Bytes of a word that is worth half beyond a word of something else.
const LIGHT: usize = 3;
/// What a word without link costs.
const UNLINKED: f32 = 0.05;
/// Elements in one another beyond this go around the same words.
const DEEPEST: usize = 64;
/// Words to either side among which a place for a mark is looked for.
pub(super) const WINDOW: usize = 30;

pub(super) struct Placing<'a> {
    pub(super) tree: &'a Tree<'a>,
    pub(super) source: &'a Words<'a>,
    pub(super) target: &'a Words<'a>,
    pub(super) links: &'a Links,
    pub(super) found: &'a [Option<Range<usize>>],
    /// For each word of the translation the word of the source that it mostly is.
    pub(super) main: Vec<Option<usize>>,
    /// What the words before each cost an element that does not own them, together.
    pub(super) cost: Vec<f32>,
    /// For each node its words in the source and the translation, and its bytes in the translation.
    pub(super) words: Vec<Range<usize>>,
    pub(super) target_words: Vec<Range<usize>>,
    pub(super) bytes: Vec<Range<usize>>,
    /// For each word of the translation, which child has the largest share of it; only good for the parent that is being placed.
    pub(super) owner: Vec<(usize, f32)>,
    pub(super) share: Vec<f32>,
}

impl<'a> Placing<'a> {
    pub(super) fn new(
        tree: &'a Tree<'a>,
        source: &'a Words<'a>,
        target: &'a Words<'a>,
        links: &'a Links,
        found: &'a [Option<Range<usize>>],
    ) -> Self {
        let words_of_target = target.ranges.len();
        let mut cost = vec![0.0];
        for sources in &links.sources {
            cost.push(cost[cost.len() - 1] + if sources.is_empty() { UNLINKED } else { FOREIGN });
        }
        let mut placing = Self {
            tree,
            source,
            target,
            links,
            found,
            main: (0..words_of_target).map(|word| links.main(word)).collect(),
            cost,
            words: tree.nodes.iter().map(|node| source.within(&node.source)).collect(),
            target_words: vec![0..0; tree.nodes.len()],
            bytes: vec![0..0; tree.nodes.len()],
            owner: vec![(0, 0.0); words_of_target],
            share: vec![0.0; words_of_target],
        };
        placing.target_words[0] = 0..words_of_target;
        placing.bytes[0] = 0..target.text.len();
        for node in 0..tree.nodes.len() {
            if tree.nodes[node].alone.is_none() && !tree.nodes[node].children.is_empty() {
                placing.place_children(node);
            }
        }
        placing
    }

    fn is_element(&self, node: usize) -> bool {
        self.tree.nodes[node].alone.is_none()
    }

    fn place_children(&mut self, parent: usize) {
        let children: &'a [usize] = &self.tree.nodes[parent].children;
        let with_words: Vec<usize> =
            children.iter().copied().filter(|&child| self.is_element(child) && !self.words[child].is_empty()).collect();
        let within = self.target_words[parent].clone();
        let is_whole = |child: &&usize| self.words[**child] == self.words[parent];
        let whole = match self.tree.nodes[parent].depth < DEEPEST {
            true => with_words.iter().find(is_whole).copied(),
            false => with_words.first().copied(),
        };
        let mut placed: Vec<(Range<usize>, usize)> = match whole {
            Some(child) => vec![(within.clone(), child)],
            None => self.own_words(&with_words, &within),
        };
        placed.retain(|(words, _)| !words.is_empty());
        placed.sort_unstable_by_key(|(words, _)| words.start);
        let mut lost: HashSet<usize> = HashSet::new();
        if placed.len() < with_words.len() {
            let has_place: HashSet<usize> = placed.iter().map(|(_, child)| *child).collect();
            for child in with_words.into_iter().filter(|child| !has_place.contains(child)) {
                match self.second_choice(child, parent, &placed) {
                    Some(words) => {
                        let at = placed.partition_point(|(other, _)| other.start < words.start);
                        placed.insert(at, (words, child));
                    }
                    None => drop(lost.insert(child)),
                }
            }
        }
        self.absorb(&mut placed, &within);
        // From words to bytes, with the punctuation that belongs to them.
        let mut end = self.bytes[parent].start;
        let mut taken: Vec<Range<usize>> = Vec::with_capacity(placed.len());
        for (index, (words, child)) in placed.iter().enumerate() {
            let next =
                placed.get(index + 1).map_or(self.bytes[parent].end, |(next, _)| self.target.ranges[next.start].start);
            self.bytes[*child] = match self.tree.nodes[*child].source == self.tree.nodes[parent].source {
                true => self.bytes[parent].clone(),
                false => self.with_punctuation(*child, words, end..next),
            };
            end = self.bytes[*child].end;
            self.target_words[*child] = words.clone();
            taken.push(self.bytes[*child].clone());
        }
        // What has no words, and what lost them.
        for &child in children {
            let is_placed = self.is_element(child) && !self.words[child].is_empty() && !lost.contains(&child);
            if is_placed || self.found[child].is_some() {
                continue;
            }
            let bytes = self.place_point(child, parent, &taken);
            self.target_words[child] = self.target.within(&bytes);
            if !bytes.is_empty() {
                let at = taken.partition_point(|other| other.start < bytes.start);
                taken.insert(at, bytes.clone());
            }
            self.bytes[child] = bytes;
        }
    }

    /// For each child the words of the translation that it goes around. They do not overlap; empty for a child whose words were lost.
    fn own_words(&mut self, children: &[usize], within: &Range<usize>) -> Vec<(Range<usize>, usize)> {
        self.owner[within.clone()].fill((0, 0.0));
        let mut shares: Vec<Vec<(usize, f32)>> = Vec::with_capacity(children.len());
        for &child in children {
            let mut touched = Vec::new();
            for source in self.words[child].clone() {
                for &(target, weight) in &self.links.targets[source] {
                    if within.contains(&target) {
                        if self.share[target] == 0.0 {
                            touched.push(target);
                        }
                        self.share[target] += weight;
                    }
                }
            }
            touched.sort_unstable();
            let own: Vec<(usize, f32)> = touched.iter().map(|&target| (target, self.share[target])).collect();
            for &(target, share) in &own {
                self.share[target] = 0.0;
                if share > self.owner[target].1 {
                    self.owner[target] = (child, share);
                }
            }
            shares.push(own);
        }
        for (child, own) in children.iter().zip(&mut shares) {
            own.retain(|(target, _)| self.owner[*target].0 == *child);
            // Half of a word is no reason to go around it if there are whole ones.
            if own.iter().any(|(_, share)| *share > 0.5) {
                own.retain(|(_, share)| *share >= 0.5);
            }
        }
        // First what each would like, so that words far from the others do not divide somebody else's.
        for (child, own) in children.iter().zip(&mut shares) {
            let run = self.best_run(own, |_, _| false);
            for (target, _) in own.iter().filter(|(target, _)| !run.contains(target)) {
                if self.owner[*target].0 == *child {
                    self.owner[*target] = (0, 0.0);
                }
            }
            own.retain(|(target, _)| run.contains(target));
        }
        let mut owned = vec![0];
        for (_, share) in &self.owner[within.clone()] {
            owned.push(owned[owned.len() - 1] + u32::from(*share > 0.0));
        }
        let is_divided = |from: usize, to: usize| owned[to - within.start] > owned[from + 1 - within.start];
        children.iter().zip(&shares).map(|(child, own)| (self.best_run(own, is_divided), *child)).collect()
    }

    /// The run of words that has most of `own` and least of others; `is_divided` says that two words cannot be in one.
    fn best_run(&self, own: &[(usize, f32)], is_divided: impl Fn(usize, usize) -> bool) -> Range<usize> {
        let (mut best, mut best_value) = (0..0, 0.0);
        let (mut start, mut value) = (0, 0.0);
        let mut last: Option<usize> = None;
        for &(target, share) in own {
            let between = last.map(|last| self.cost[target] - self.cost[last + 1]);
            match between {
                Some(cost) if cost < value && last.is_none_or(|last| !is_divided(last, target)) => {
                    // `is`, `of`, `to` look at anything: no reason to go around a word of something else.
                    let is_light = cost >= FOREIGN && self.target.get(target).len() <= LIGHT;
                    value += if is_light { share / 2.0 } else { share } - cost
                }
                _ => (start, value) = (target, share),
            }
            last = Some(target);
            if value > best_value + 1e-4 {
                (best, best_value) = (start..target + 1, value);
            }
        }
        best
    }

    /// Words for an element whose words became none: such as have no link, between what its neighbours became.
    fn second_choice(&self, child: usize, parent: usize, placed: &[(Range<usize>, usize)]) -> Option<Range<usize>> {
        let within = &self.target_words[parent];
        let words = &self.words[child];
        let is_free = |target: usize| {
            within.contains(&target) && {
                let next = placed.partition_point(|(other, _)| other.end <= target);
                placed.get(next).is_none_or(|(other, _)| other.start > target)
            }
        };
        let targets =
            |source: usize| self.links.targets[source].iter().map(|(target, _)| *target).filter(|t| within.contains(t));
        // Words that it shares with a brother.
        if let Some(target) = words.clone().flat_map(targets).find(|&target| is_free(target)) {
            return Some(target..target + 1);
        }
        let near = |mut words: Box<dyn Iterator<Item = usize> + '_>| words.find(|&word| targets(word).next().is_some());
        let before = near(Box::new((self.words[parent].start..words.start).rev().take(WINDOW)));
        let after = near(Box::new((words.end..self.words[parent].end).take(WINDOW)));
        let is_unlinked = |target: usize| is_free(target) && self.links.sources[target].is_empty();
        // Behind the word before it, in front of the word behind it.
        let behind = before.and_then(|word| targets(word).max()).map_or(within.start, |target| target + 1);
        let in_front = after.and_then(|word| targets(word).min()).unwrap_or(within.end);
        let count = |range: &mut dyn Iterator<Item = usize>| {
            range.take_while(|&t| is_unlinked(t)).take(words.len() + 1).count()
        };
        let (right, left) = (count(&mut (behind..within.end)), count(&mut (within.start..in_front).rev()));
        if right > 0 && right >= left {
            return Some(behind..behind + right);
        }
        if left > 0 {
            return Some(in_front - left..in_front);
        }
        // The word that took up its meaning: of the neighbour that became more words, or is longer.
        let weight =
            |word: Option<usize>| word.map_or((0, 0), |word| (targets(word).count(), self.source.get(word).len()));
        let is_beside = |word: &usize| *word + 1 == words.start || *word == words.end;
        let (before, after) = (before.filter(is_beside), after.filter(is_beside));
        let neighbour = if weight(before) > weight(after) { before } else { after.or(before) };
        let length: usize = words.clone().map(|word| self.source.ranges[word].len()).sum();
        let target = targets(neighbour?).filter(|&target| is_free(target));
        let target = target.min_by_key(|&target| self.target.ranges[target].len().abs_diff(length))?;
        Some(target..target + 1)
    }

    /// Words without link at the edge of an element belong to it if the words at the edge of its source have no link either.
    fn absorb(&self, placed: &mut [(Range<usize>, usize)], within: &Range<usize>) {
        let is_loose = |target: usize| self.links.sources[target].is_empty();
        for index in 0..placed.len() {
            let lower = if index == 0 { within.start } else { placed[index - 1].0.end };
            let upper = placed.get(index + 1).map_or(within.end, |(next, _)| next.start);
            let (range, child) = &mut placed[index];
            let is_lost = |word: &usize| self.links.targets[*word].is_empty();
            let mut first = self.words[*child].clone().take_while(is_lost).count();
            while first > 0 && range.start > lower && is_loose(range.start - 1) && !self.is_stopped(range.start) {
                range.start -= 1;
                first -= 1;
            }
            let mut last = self.words[*child].clone().rev().take_while(is_lost).count();
            while last > 0 && range.end < upper && is_loose(range.end) && !self.is_stopped(range.end) {
                range.end += 1;
                last -= 1;
            }
        }
    }

    /// Whether a stop is between a word and the one before it.
    fn is_stopped(&self, word: usize) -> bool {
        let gap = self.target.ranges[word - 1].end..self.target.ranges[word].start;
        self.target.text[gap].chars().any(|c| is_stop(class(c)))
    }
}
