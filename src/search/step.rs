//! The rules of one step, the same for every search: what may come next, when a hypothesis ends, and what it scores.

use super::history::{Ending, Finished, History};
use super::{SearchOptions, Source, scores};

/// Who chooses a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The search, among what the model proposes.
    Free,
    /// The options force this token, at no cost.
    Forced(u32),
    /// The sentence's prefix has this token, which neither costs nor counts.
    Prefix(u32),
}

/// The choice of one token. All hypotheses of a sentence are equally long, so they share it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'o> {
    options: &'o SearchOptions,
    /// The source tokens.
    pub(super) source: &'o [u32],
    /// Whether this is the first token that the search is free to choose.
    begins: bool,
    pub(super) choice: Choice,
    /// Tokens generated once this one is chosen, prefix excluded.
    pub(super) length: usize,
    /// The most tokens the sentence may generate.
    pub(super) limit: usize,
    /// What the decoder was fed first.
    pub(super) start: u32,
}

impl<'o> Step<'o> {
    /// The choice of the `step`-th token of a sentence, counted from 0 with the prefix.
    pub(super) fn new(options: &'o SearchOptions, source: &'o Source, step: usize) -> Self {
        let (limit, beginning) = (options.limit(source), options.beginning(source));
        let length = (step + 1).saturating_sub(source.prefix.len());
        let choice = match (source.prefix.get(step), beginning.first) {
            (Some(&token), _) => Choice::Prefix(token),
            (None, Some(token)) if step == 0 => Choice::Forced(token),
            _ if options.force_end && length == limit => Choice::Forced(options.end_token),
            _ => Choice::Free,
        };
        let forced = usize::from(source.prefix.is_empty() && beginning.first.is_some());
        Self {
            options,
            source: &source.ids,
            begins: length == 1 + forced,
            choice,
            length,
            limit,
            start: beginning.start,
        }
    }

    /// The `step`-th token of a given target, which has no prefix and no limit.
    pub(super) fn along_target(options: &'o SearchOptions, step: usize) -> Self {
        let (choice, length, limit) = (Choice::Free, step + 1, usize::MAX);
        Self { options, source: &[], begins: false, choice, length, limit, start: options.start_token }
    }

    /// Whether the token belongs to the prefix.
    pub(super) fn is_prefix(&self) -> bool {
        matches!(self.choice, Choice::Prefix(_))
    }

    /// The tokens that may not come next, sorted, into `banned`: within the minimum length the sentence end is one.
    pub(super) fn banned(&self, banned: &mut Vec<u32>) {
        banned.clone_from(&self.options.banned);
        if self.length < self.options.min_length
            && let Err(at) = banned.binary_search(&self.options.end_token)
        {
            banned.insert(at, self.options.end_token);
        }
        if self.begins && !self.options.banned_at_begin.is_empty() {
            banned.extend(&self.options.banned_at_begin);
            banned.sort_unstable();
            banned.dedup();
        }
    }

    /// How a hypothesis ends with `token`, if it does.
    pub(super) fn ending(&self, token: u32) -> Option<Ending> {
        if self.is_prefix() {
            return None;
        }
        let (ended, at_limit) = (token == self.options.end_token, self.length >= self.limit);
        // A sentence end that was forced at the limit is the limit's work, one that the model chose there its own.
        let truncated = at_limit && (!ended || self.options.force_end);
        (ended || at_limit).then_some(Ending { ended, truncated })
    }

    /// What the hypothesis that ends in `node` comes to.
    pub(super) fn finish(&self, node: u32, ending: Ending, log_prob: f32, history: &History) -> Finished {
        let mut score = self.score_at(self.length, log_prob);
        if let Some(penalty) = self.options.coverage_penalty {
            score += scores::coverage(&history.coverage(node), penalty);
        }
        Finished { node, ending, log_prob, score, unmet: 0 }
    }

    /// What a log-probability would score, coverage aside, if it were that of a hypothesis of `length` tokens.
    pub(super) fn score_at(&self, length: usize, log_prob: f32) -> f32 {
        log_prob / (length as f32).powf(self.options.length_penalty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> SearchOptions {
        SearchOptions { end_token: 2, max_length: 3, ..SearchOptions::default() }
    }

    fn source(prefix: &[u32]) -> Source {
        Source { ids: vec![5, 2], prefix: prefix.to_vec(), ..Source::default() }
    }

    fn ending(options: &SearchOptions, source: &Source, step: usize, token: u32) -> Option<(bool, bool)> {
        Step::new(options, source, step).ending(token).map(|ending| (ending.ended, ending.truncated))
    }

    #[test]
    fn a_prefix_is_given_and_does_not_count() {
        let (options, source) = (SearchOptions { force_begin: Some(9), ..options() }, source(&[7, 2]));
        let steps = [0, 1, 2].map(|step| Step::new(&options, &source, step));
        assert_eq!(steps.map(|step| step.choice), [Choice::Prefix(7), Choice::Prefix(2), Choice::Free]);
        assert_eq!(steps.map(|step| step.length), [0, 0, 1]);
        assert_eq!(ending(&options, &source, 1, 2), None, "an end token in the prefix ends nothing");
    }

    #[test]
    fn the_first_and_the_last_token_may_be_forced() {
        let options = SearchOptions { force_begin: Some(9), force_end: true, ..options() };
        let choices = [0, 1, 2].map(|step| Step::new(&options, &source(&[]), step).choice);
        assert_eq!(choices, [Choice::Forced(9), Choice::Free, Choice::Forced(2)]);
    }

    #[test]
    fn a_sentence_ends_with_its_end_token_or_at_its_limit() {
        let (options, source) = (options(), source(&[]));
        assert_eq!(ending(&options, &source, 1, 8), None);
        assert_eq!(ending(&options, &source, 1, 2), Some((true, false)));
        assert_eq!(ending(&options, &source, 2, 8), Some((false, true)));
        assert_eq!(ending(&options, &source, 2, 2), Some((true, false)), "the model's own choice");
        let forcing = SearchOptions { force_end: true, ..options };
        assert_eq!(ending(&forcing, &source, 2, 2), Some((true, true)), "the limit's");
    }

    #[test]
    fn the_sentence_end_is_banned_within_the_minimum() {
        let options = SearchOptions { min_length: 2, banned: vec![1, 4], ..options() };
        let mut banned = Vec::new();
        Step::new(&options, &source(&[7]), 1).banned(&mut banned);
        assert_eq!(banned, [1, 2, 4], "the first token after the prefix");
        Step::new(&options, &source(&[7]), 2).banned(&mut banned);
        assert_eq!(banned, [1, 4]);
    }

    #[test]
    fn some_tokens_are_banned_at_the_beginning_alone() {
        let options = SearchOptions { banned_at_begin: vec![7, 3], banned: vec![5], ..options() };
        let banned = |options: &SearchOptions, prefix: &[u32], at: usize| {
            let mut banned = Vec::new();
            Step::new(options, &source(prefix), at).banned(&mut banned);
            banned
        };
        assert_eq!([0, 1].map(|at| banned(&options, &[], at)), [vec![3, 5, 7], vec![5]]);
        assert_eq!([1, 2].map(|at| banned(&options, &[8], at)), [vec![3, 5, 7], vec![5]], "after a prefix");
        let forced = SearchOptions { force_begin: Some(9), ..options };
        assert_eq!(
            [0, 1, 2].map(|at| banned(&forced, &[], at)),
            [vec![5], vec![3, 5, 7], vec![5]],
            "after what is forced"
        );
    }
}
