//! Words that a translation must have, and how far a hypothesis has come with them.
//!
//! Each word is given as token sequences, any of which will do. A hypothesis keeps which words it has, and the tokens at its end
//! that may become one: the path in the trie of the sequences it still lacks. A word counts once no letter goes on with it.

use std::sync::Arc;

use crate::text::{Place, TokenBoundaries};

/// Words of one sentence beyond this many are left out (and so are not met).
const MOST_WORDS: usize = 128;

/// A way to write a word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Its tokens; not empty.
    pub tokens: Vec<u32>,
    /// Where it may stand.
    pub place: Place,
}

/// The words that the translation of one sentence must have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Constraints {
    /// Each form and the word it is one of.
    forms: Vec<(usize, Form)>,
    /// The tokens of each word's shortest form.
    shortest: Vec<usize>,
    boundaries: Arc<TokenBoundaries>,
}

/// How far a hypothesis has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Progress {
    /// The words it has, one bit each.
    met: u128,
    /// The last of them, if nothing stands behind it yet.
    pending: Option<usize>,
    /// The tokens at its end that are, or begin, a word it had not.
    path: Vec<Passed>,
    /// The place of the next token, and the token before it.
    place: Place,
    last: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Passed {
    token: u32,
    place: Place,
    /// Whether it goes on with a word.
    joined: bool,
}

impl Constraints {
    /// `words` are the forms of each word; one without forms is left out, and so are those beyond `most_tokens` in all.
    pub fn new(words: Vec<Vec<Form>>, boundaries: Arc<TokenBoundaries>, most_tokens: usize) -> Self {
        let mut constraints = Self { boundaries, ..Self::default() };
        let mut sum = 0;
        for forms in words {
            let Some(shortest) = forms.iter().map(|form| form.tokens.len()).min().filter(|&shortest| shortest > 0)
            else {
                continue;
            };
            if sum + shortest > most_tokens || constraints.shortest.len() == MOST_WORDS {
                break;
            }
            sum += shortest;
            let word = constraints.shortest.len();
            constraints.forms.extend(forms.into_iter().map(|form| (word, form)));
            constraints.shortest.push(shortest);
        }
        constraints
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.shortest.is_empty()
    }

    /// Only the words that a hypothesis has.
    pub(super) fn met_by(&self, progress: &Progress) -> Self {
        let mut words = vec![Vec::new(); self.shortest.len()];
        for (word, form) in self.forms.iter().filter(|(word, _)| progress.has(*word)) {
            words[*word].push(form.clone());
        }
        Self::new(words, Arc::clone(&self.boundaries), usize::MAX)
    }

    /// Before the first token.
    pub(super) fn start(&self) -> Progress {
        Progress { place: Place::Beginning, ..Progress::default() }
    }

    /// How far a hypothesis of these tokens has come.
    pub(super) fn along(&self, tokens: &[u32]) -> Progress {
        tokens.iter().fold(self.start(), |progress, &token| self.advance(&progress, token))
    }

    /// One token further.
    pub(super) fn advance(&self, progress: &Progress, token: u32) -> Progress {
        let mut next = progress.clone();
        let joined = progress.last.is_some_and(|last| self.boundaries.joins(last, token));
        if let Some(word) = next.pending.take() {
            if joined {
                // It was only the beginning of a longer one.
                next.met &= !(1 << word);
            } else {
                next.path.clear();
            }
        }
        next.path.push(Passed { token, place: progress.place, joined });
        while !next.path.is_empty() && !self.open(&next).any(|(_, form)| is_path(&next.path, &form.tokens)) {
            next.path.remove(0);
        }
        let completed = self
            .open(&next)
            .find(|(_, form)| form.tokens.len() == next.path.len() && is_path(&next.path, &form.tokens));
        if let Some(word) = completed.map(|(word, _)| *word) {
            next.met |= 1 << word;
            next.pending = Some(word);
        }
        next.place = self.boundaries.place_after(progress.place, token);
        next.last = Some(token);
        next
    }

    /// The forms of the words a hypothesis lacks that may stand where its path begins.
    fn open<'c>(&'c self, progress: &Progress) -> impl Iterator<Item = &'c (usize, Form)> {
        let met = progress.met;
        let first = progress.path.first().copied();
        let may_stand = move |form: &Form| first.is_none_or(|first| first.place >= form.place && !first.joined);
        self.forms.iter().filter(move |(word, form)| met & (1 << word) == 0 && may_stand(form))
    }

    /// The fewest tokens that a hypothesis lacks.
    pub(super) fn needed(&self, progress: &Progress) -> usize {
        let lacking = self.shortest.iter().enumerate().filter(|(word, _)| !progress.has(*word));
        let needed: usize = lacking.map(|(_, shortest)| shortest).sum();
        if progress.pending.is_some() || progress.path.is_empty() {
            return needed;
        }
        let begun = self.open(progress).filter(|(_, form)| is_path(&progress.path, &form.tokens));
        let saved =
            begun.map(|(word, form)| (self.shortest[*word] + progress.path.len()).saturating_sub(form.tokens.len()));
        needed - saved.max().unwrap_or(0)
    }

    /// The words that a hypothesis lacks.
    pub(super) fn unmet(&self, progress: &Progress) -> usize {
        self.shortest.len() - progress.met.count_ones() as usize
    }

    /// The tokens that bring a hypothesis further, into `tokens`.
    pub(super) fn next(&self, progress: &Progress, tokens: &mut Vec<u32>) {
        tokens.clear();
        // What ends the path may begin another; what was complete may go on.
        let path = &progress.path[..];
        for start in 0..=path.len() {
            let path = &path[start..];
            let open = self.forms.iter().filter(|(word, _)| !progress.has(*word) || progress.pending == Some(*word));
            for (_, form) in open {
                let first = path.first().map_or((progress.place, false), |first| (first.place, first.joined));
                if first.0 < form.place || first.1 || !is_path(path, &form.tokens) {
                    continue;
                }
                let Some(&token) = form.tokens.get(path.len()) else { continue };
                let joined = progress.last.is_some_and(|last| self.boundaries.joins(last, token));
                if !(tokens.contains(&token) || path.is_empty() && joined) {
                    tokens.push(token);
                }
            }
        }
    }
}

impl Progress {
    fn has(&self, word: usize) -> bool {
        self.met & (1 << word) != 0
    }
}

/// Whether a form begins with the tokens of a path.
fn is_path(path: &[Passed], form: &[u32]) -> bool {
    path.len() <= form.len() && path.iter().zip(form).all(|(passed, token)| passed.token == *token)
}

/// Dynamic beam allocation in the vectorised form (Hu et al. 2019; Post and Vilar 2018): every number of tokens still needed is a
/// bank. Of continuations, each with its bank and best first, the order in which they are taken: the best of each bank, that
/// which needs least before the others, then the second best of each, and so on.
pub(super) fn allocation(banks: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..banks.len()).collect();
    // Stable, so that a bank stays in order.
    order.sort_by_key(|&at| banks[at]);
    let mut rank = 0;
    let mut keyed = Vec::with_capacity(order.len());
    for (at, &own) in order.iter().enumerate() {
        let is_next = at > 0 && banks[order[at - 1]] == banks[own];
        rank = if is_next { rank + 1 } else { 0 };
        keyed.push((rank, banks[own], own));
    }
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, _, own)| own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(tokens: &[u32]) -> Form {
        Form { tokens: tokens.to_vec(), ..Form::default() }
    }

    fn constraints(words: &[&[&[u32]]]) -> Constraints {
        let words = words.iter().map(|forms| forms.iter().map(|tokens| form(tokens)).collect()).collect();
        Constraints::new(words, Arc::default(), 100)
    }

    fn unmet(constraints: &Constraints, tokens: &[u32]) -> usize {
        constraints.unmet(&constraints.along(tokens))
    }

    #[test]
    fn a_word_is_met_by_any_of_its_forms_wherever_they_stand() {
        let constraints = constraints(&[&[&[5, 6], &[7]], &[&[8]]]);
        assert_eq!(unmet(&constraints, &[1, 5, 2]), 2);
        assert_eq!(unmet(&constraints, &[5, 5, 6, 8]), 0, "a path may begin anew");
        assert_eq!(unmet(&constraints, &[8, 7]), 0);
    }

    #[test]
    fn a_word_asked_for_twice_is_there_twice() {
        let constraints = constraints(&[&[&[5]], &[&[5]]]);
        assert_eq!([&[5][..], &[5, 5]].map(|tokens| unmet(&constraints, tokens)), [1, 0]);
    }

    #[test]
    fn needed_tokens_fall_along_a_path_and_rise_when_it_is_left() {
        let constraints = constraints(&[&[&[5, 6, 7]], &[&[8]]]);
        let needed = |tokens: &[u32]| constraints.needed(&constraints.along(tokens));
        assert_eq!([&[][..], &[5], &[5, 6], &[5, 6, 9], &[5, 6, 7], &[5, 6, 7, 8]].map(needed), [4, 3, 2, 4, 1, 0]);
        let mut next = Vec::new();
        constraints.next(&constraints.along(&[5]), &mut next);
        assert_eq!(next, [6, 5, 8], "go on, or begin a word");
    }

    #[test]
    fn a_long_form_counts_once_it_is_as_near_as_the_short_one() {
        let constraints = constraints(&[&[&[5, 6, 7], &[8]]]);
        let needed = |tokens: &[u32]| constraints.needed(&constraints.along(tokens));
        assert_eq!([&[][..], &[5], &[5, 6], &[5, 6, 7]].map(needed), [1, 1, 1, 0]);
    }

    #[test]
    fn what_is_too_much_is_left_out() {
        let words = vec![vec![form(&[1, 2])], Vec::new(), vec![form(&[3])], vec![form(&[4])]];
        assert_eq!(Constraints::new(words, Arc::default(), 3).shortest, [2, 1]);
    }

    #[test]
    fn banks_take_turns() {
        // Best first: two that need 2 tokens, three that need 0, one that needs 1.
        assert_eq!(allocation(&[2, 0, 2, 0, 1, 0]), [1, 4, 0, 3, 2, 5]);
    }
}
