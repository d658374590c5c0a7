//! Links that a model has wrong as a rule, put right by what can be seen in the words.
//!
//! Attention of the last word of a sentence often rests on the full stop, which belongs to the last word of the source; a number draws
//! the attention of words beside it; and a word that was written down as it is (`Passwort`, `Winter`) may be passed over.

use std::ops::Range;

use super::words::{Words, class, is_stop};

/// Letters of a word that carries meaning, as a rule.
const LONG: usize = 4;
/// Likeness from which words are taken for the same, if they begin alike and if they do not.
const ALIKE: f32 = 0.6;
const VERY_ALIKE: f32 = 0.8;
/// Words to either side among which a like one is looked for, and before the end of a sentence.
const WINDOW: usize = 30;
/// Words before the last one among which a lost one is looked for, and a lost one of few letters.
const FAR: usize = 8;
const NEAR: usize = 3;

/// Links while they are put right.
pub(super) struct Refining<'a> {
    pub(super) source: &'a Words<'a>,
    pub(super) target: &'a Words<'a>,
    /// For each word of the translation: words of the source and how much of it they are.
    pub(super) sources: &'a mut [Vec<(usize, f32)>],
    /// Words that are known to be the same as one of the other text.
    pub(super) known_source: &'a [bool],
    pub(super) known_target: &'a [bool],
}

impl Refining<'_> {
    pub(super) fn refine(mut self) {
        self.numbers();
        let mut uses = self.uses();
        self.alike(&mut uses);
        self.between(&mut uses);
        self.ends(&mut uses);
    }

    /// How many words each word of the source became.
    fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.source.ranges.len()];
        self.sources.iter().flatten().for_each(|(source, _)| uses[*source] += 1);
        uses
    }

    fn main(&self, target: usize) -> Option<usize> {
        let largest = |a: (usize, f32), b: (usize, f32)| if b.1 > a.1 { b } else { a };
        self.sources[target].iter().copied().reduce(largest).map(|(source, _)| source)
    }

    fn relink(&mut self, target: usize, source: usize, uses: &mut [usize]) {
        self.unlink(target, uses);
        self.sources[target].push((source, 1.0));
        uses[source] += 1;
    }

    fn unlink(&mut self, target: usize, uses: &mut [usize]) {
        for (source, _) in self.sources[target].drain(..) {
            uses[source] -= 1;
        }
    }

    /// A number that is the same in the translation became nothing else.
    fn numbers(&mut self) {
        let is_number = |word: usize| self.source.get(word).starts_with(|c: char| c.is_numeric());
        for (target, sources) in self.sources.iter_mut().enumerate() {
            if !self.known_target[target] {
                sources.retain(|(source, _)| !(self.known_source[*source] && is_number(*source)));
            }
        }
    }

    /// Words without link that look like a word near their place.
    fn alike(&mut self, uses: &mut [usize]) {
        let scale = self.target.ranges.len() as f32 / self.source.ranges.len().max(1) as f32;
        let lower = |word: &str| -> Vec<char> { word.to_lowercase().chars().take(24).collect() };
        let targets: Vec<Vec<char>> = (0..self.sources.len()).map(|target| lower(self.target.get(target))).collect();
        let mut only: Vec<Option<usize>> = vec![None; self.source.ranges.len()];
        for target in 0..self.sources.len() {
            self.sources[target].iter().for_each(|(source, _)| only[*source] = Some(target));
        }
        for source in 0..self.source.ranges.len() {
            // A long word that became a short one only, an article as a rule, may be like another.
            let article = only[source].filter(|&target| uses[source] == 1 && !is_long(self.target.get(target)));
            if uses[source] > 0 && article.is_none() || !is_long(self.source.get(source)) {
                continue;
            }
            let middle = (source as f32 * scale) as usize;
            let near = middle.saturating_sub(WINDOW)..(middle + WINDOW).min(self.target.ranges.len());
            let own = lower(self.source.get(source));
            let mut best: Option<(f32, usize)> = None;
            for target in near.filter(|&target| !self.known_target[target]) {
                let word = &targets[target];
                let least = if initial(word) == initial(&own) { ALIKE } else { VERY_ALIKE };
                let (shorter, longer) = (word.len().min(own.len()), word.len().max(own.len()));
                if shorter < LONG || (shorter as f32) < longer as f32 * least {
                    continue;
                }
                let value = likeness(&own, word);
                if value >= least && best.is_none_or(|(best, _)| value > best) {
                    best = Some((value, target));
                }
            }
            let Some((value, target)) = best else { continue };
            let rival =
                self.main(target).map_or(0.0, |other| likeness(&lower(self.source.get(other)), &targets[target]));
            if value > rival + 0.2 {
                self.relink(target, source, uses);
                if let Some(article) = article.filter(|&article| article != target) {
                    self.unlink(article, uses);
                }
            }
        }
    }

    /// A word that stands between what two words of the source became, with a lost one between those: it is that one, if the one it is
    /// said to be is elsewhere and has another word.
    fn between(&mut self, uses: &mut [usize]) {
        for target in 1..self.target.ranges.len().saturating_sub(1) {
            if self.known_target[target] {
                continue;
            }
            let around = (self.main(target - 1), self.main(target), self.main(target + 1));
            let (Some(before), Some(own), Some(after)) = around else { continue };
            if uses[own] < 2 || before >= after || after - before > WINDOW {
                continue;
            }
            let is_long_target = is_long(self.target.get(target));
            let mut lost = (before + 1..after).filter(|&word| uses[word] == 0);
            let lost = if own == before {
                // Two of one word, and a noun without any, or both of them short.
                let is_short = |word| !is_long_target && !is_long(self.source.get(word));
                lost.find(|&word| is_long_target && self.is_noun(word) || is_short(word))
            } else {
                lost.find(|&word| is_long_target && is_long(self.source.get(word)) && !(before..=after).contains(&own))
            };
            if let Some(word) = lost {
                self.relink(target, word, uses);
            }
        }
    }

    /// The last word of a sentence that is said to be the source's last one, which is another word already: it is the nearest before that
    /// has no link, or only short words beside it.
    fn ends(&mut self, uses: &mut [usize]) {
        for target in 1..self.target.ranges.len() {
            if self.known_target[target] || !ends_sentence(self.target, target) {
                continue;
            }
            let Some(last) = self.main(target).filter(|&source| ends_sentence(self.source, source)) else { continue };
            if uses[last] < 2 {
                continue;
            }
            let sentence = sentence_before(self.source, last);
            let is_lost = |word: &usize| uses[*word] == 0 && is_long(self.source.get(*word));
            let beside = last.checked_sub(1).filter(|word| sentence.contains(word));
            if let Some(word) = beside.filter(is_lost) {
                self.relink(target, word, uses);
            } else if let Some((word, short)) =
                beside.and_then(|word| Some((word, self.only_short(word, target, uses)?)))
            {
                self.relink(target, word, uses);
                self.unlink(short, uses);
            } else if let Some(word) = sentence.clone().rev().take(FAR).find(is_lost) {
                self.relink(target, word, uses);
            } else if let Some(word) =
                sentence.clone().rev().take(NEAR).find(|&word| uses[word] == 0 && self.is_noun(word))
            {
                self.relink(target, word, uses);
            } else if let Some(word) =
                self.main(target - 1).filter(|word| sentence.contains(word) && is_meaning(self.source.get(*word)))
            {
                // Short words before it that are all of a long word; one alone is an article.
                let before = (target.saturating_sub(WINDOW)..target).rev();
                let short = before.filter(|&t| self.main(t) == Some(word) && !is_long(self.target.get(t))).count();
                if uses[word] == short {
                    self.relink(target, word, uses);
                    if short == 1 {
                        self.unlink(target - 1, uses);
                    }
                }
            }
        }
    }

    /// The short word before `target` that is all that a long word of the source became.
    fn only_short(&self, word: usize, target: usize, uses: &[usize]) -> Option<usize> {
        let is_short = |t: &usize| self.main(*t) == Some(word) && !is_long(self.target.get(*t));
        let could = uses[word] == 1 && is_long(self.source.get(word));
        (target.saturating_sub(WINDOW)..target).find(is_short).filter(|_| could)
    }

    /// Whether a word with a capital letter stands within a sentence.
    fn is_noun(&self, word: usize) -> bool {
        let text = self.source.get(word);
        text.chars().nth(2).is_some()
            && text.starts_with(char::is_uppercase)
            && word.checked_sub(1).is_some_and(|before| !ends_sentence(self.source, before))
    }
}

fn is_meaning(word: &str) -> bool {
    is_long(word) || word.starts_with(char::is_uppercase)
}

fn is_long(word: &str) -> bool {
    word.chars().nth(LONG - 1).is_some()
}

/// Whether a sentence or a part of it ends behind a word.
fn ends_sentence(words: &Words<'_>, word: usize) -> bool {
    let end = words.ranges.get(word + 1).map_or(words.text.len(), |next| next.start);
    word + 1 == words.ranges.len() || words.text[words.ranges[word].end..end].chars().any(|c| is_stop(class(c)))
}

/// The words before a word in its sentence, as far as is looked.
fn sentence_before(words: &Words<'_>, last: usize) -> Range<usize> {
    let first =
        (last.saturating_sub(WINDOW)..last).rev().find(|&word| ends_sentence(words, word)).map_or(0, |word| word + 1);
    first.max(last.saturating_sub(WINDOW))..last
}

/// The first letter, where languages spell it differently one for all.
fn initial(word: &[char]) -> Option<char> {
    word.first().map(|&c| if matches!(c, 'k' | 'z' | 'q') { 'c' } else { c })
}

/// How much of the longer word is in both, in order: from 0 to 1.
fn likeness(a: &[char], b: &[char]) -> f32 {
    let longest = a.len().max(b.len());
    // The longest common subsequence, a row at a time.
    let mut row = vec![0_u32; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    let common = row[b.len()];
    if common < LONG as u32 { 0.0 } else { common as f32 / longest as f32 }
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_of_related_languages_are_alike() {
        let likeness =
            |a: &str, b: &str| super::likeness(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        for (a, b) in [("passwort", "password"), ("winter", "winter"), ("datei", "date"), ("computer", "computers")] {
            assert!(likeness(a, b) >= super::ALIKE, "{a} {b} {}", likeness(a, b));
        }
        for (a, b) in [("schnee", "snow"), ("haus", "dog"), ("tasche", "the"), ("sich", "such")] {
            assert!(likeness(a, b) < super::ALIKE, "{a} {b} {}", likeness(a, b));
        }
    }
}
