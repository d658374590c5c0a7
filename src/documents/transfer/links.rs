//! Links between words, out of links between ranges of bytes.

use std::collections::HashMap;
use std::ops::Range;

use super::refine::Refining;
use super::words::Words;

/// Links of ranges that hold more words than this go from the first to the first and from the last to the last.
const MOST_WORDS: usize = 8;

/// What each word of the translation came from, and what each word of the source became.
pub(super) struct Links {
    /// For each word of the translation: words of the source and how much of it they are, at most 1 together.
    pub(super) sources: Vec<Vec<(usize, f32)>>,
    /// For each word of the source: words of the translation, and how much of those it is.
    pub(super) targets: Vec<Vec<(usize, f32)>>,
}

impl Links {
    /// `links` by words. `sure` are pairs of words that are known to be the same.
    pub(super) fn new(
        source: &Words<'_>,
        target: &Words<'_>,
        links: &[(Range<usize>, Range<usize>)],
        sure: &[(usize, usize)],
    ) -> Self {
        let mut sources: Vec<Vec<(usize, f32)>> = vec![Vec::new(); target.ranges.len()];
        let (mut known_source, mut known_target) = (vec![false; source.ranges.len()], vec![false; target.ranges.len()]);
        let mut know = |sources: &mut Vec<Vec<(usize, f32)>>, s: usize, t: usize| {
            if !known_source[s] && !known_target[t] {
                (known_source[s], known_target[t]) = (true, true);
                sources[t] = vec![(s, 1.0)];
            }
        };
        for &(s, t) in sure {
            know(&mut sources, s, t);
        }
        // All that one range of the source became, together.
        let mut groups: Vec<(Range<usize>, Vec<usize>)> = Vec::new();
        for (from, to) in links {
            let (from, to) = (source.within(from), target.within(to));
            match groups.last_mut() {
                Some((last, words)) if *last == from => words.extend(to),
                _ if from.is_empty() => {}
                _ => groups.push((from, to.collect())),
            }
        }
        for (from, to) in &mut groups {
            to.sort_unstable();
            to.dedup();
            // Within them, words that are equal belong together.
            if from.len() <= MOST_WORDS && to.len() <= MOST_WORDS {
                let mut left: Vec<usize> = from.clone().collect();
                for &t in to.iter() {
                    if let Some(index) = left.iter().position(|&s| same(source.get(s), target.get(t))) {
                        know(&mut sources, left.remove(index), t);
                    }
                }
            }
        }
        for (s, t) in alike(source, target, &groups) {
            know(&mut sources, s, t);
        }
        for (from, to) in &groups {
            let to: Vec<usize> = to.iter().copied().filter(|&t| !known_target[t]).collect();
            let free: Vec<usize> = from.clone().filter(|&s| !known_source[s]).collect();
            // All of its words are known elsewhere: it is about one of them.
            let from = if free.is_empty() { from.clone().collect() } else { free };
            spread(&mut sources, source, target, &from, &to);
        }
        let refining = Refining {
            source,
            target,
            sources: &mut sources,
            known_source: &known_source,
            known_target: &known_target,
        };
        refining.refine();
        let mut targets: Vec<Vec<(usize, f32)>> = vec![Vec::new(); source.ranges.len()];
        for (t, from) in sources.iter_mut().enumerate() {
            let sum: f32 = from.iter().map(|(_, weight)| weight).sum();
            for (s, weight) in from {
                *weight /= sum;
                targets[*s].push((t, *weight));
            }
        }
        Self { sources, targets }
    }

    /// The word of the source that a word of the translation mostly is.
    pub(super) fn main(&self, target: usize) -> Option<usize> {
        let best =
            self.sources[target].iter().copied().reduce(|best, other| if other.1 > best.1 { other } else { best });
        best.map(|(source, _)| source)
    }
}

fn same(a: &str, b: &str) -> bool {
    a == b || a.len() == b.len() && a.to_lowercase() == b.to_lowercase()
}

/// Words that stand in both texts equally often, if they are numbers or the source's has no link: names mostly.
fn alike(source: &Words<'_>, target: &Words<'_>, groups: &[(Range<usize>, Vec<usize>)]) -> Vec<(usize, usize)> {
    let mut is_linked = vec![false; source.ranges.len()];
    groups.iter().filter(|(_, to)| !to.is_empty()).for_each(|(from, _)| is_linked[from.clone()].fill(true));
    let speaks = |word: &str| word.contains(|c: char| c.is_numeric()) || word.chars().nth(3).is_some();
    let mut places: HashMap<&str, (Vec<usize>, Vec<usize>)> = HashMap::new();
    for word in (0..source.ranges.len()).filter(|&word| speaks(source.get(word))) {
        places.entry(source.get(word)).or_default().0.push(word);
    }
    for word in 0..target.ranges.len() {
        if let Some(places) = places.get_mut(target.get(word)) {
            places.1.push(word);
        }
    }
    let mut found = Vec::new();
    for (word, (from, to)) in places {
        let is_number = word.contains(|c: char| c.is_numeric());
        if from.len() == to.len() && from.iter().all(|&s| is_number || !is_linked[s]) {
            found.extend(from.into_iter().zip(to));
        }
    }
    found.sort_unstable();
    found
}

/// Links the words `from` with the words `to`, in order and by their lengths: the halves of a compound with the words it became.
fn spread(sources: &mut [Vec<(usize, f32)>], source: &Words<'_>, target: &Words<'_>, from: &[usize], to: &[usize]) {
    if from.is_empty() || to.is_empty() {
        return;
    }
    let lengths = |words: &Words<'_>, indices: &[usize]| -> Vec<usize> {
        indices.iter().map(|&i| words.ranges[i].len()).collect()
    };
    let (from_lengths, to_lengths) = (lengths(source, from), lengths(target, to));
    let (from_sum, to_sum) = (from_lengths.iter().sum::<usize>() as f32, to_lengths.iter().sum::<usize>() as f32);
    let (mut s, mut s_start, mut t_start) = (0, 0.0, 0.0);
    for (&t, &length) in to.iter().zip(&to_lengths) {
        let t_end = t_start + length as f32 / to_sum;
        loop {
            let s_end = s_start + from_lengths[s] as f32 / from_sum;
            let share = s_end.min(t_end) - f32::max(s_start, t_start);
            if share > 0.0 {
                sources[t].push((from[s], share / (t_end - t_start)));
            }
            if s_end > t_end || s + 1 == from.len() {
                break;
            }
            s += 1;
            s_start = s_end;
        }
        t_start = t_end;
    }
}
