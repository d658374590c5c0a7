//! Rules that change the scores of single tokens before the best are chosen.

use super::{CoveragePenalty, SearchOptions};
use crate::compute::log_sum_exp;

/// What a hypothesis stands on when its next token is scored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past<'a> {
    /// The source tokens.
    pub(super) source: &'a [u32],
    /// What the decoder was fed first.
    pub(super) start: u32,
    /// Everything after it, a prefix included.
    pub(super) generated: &'a [u32],
    /// Which token this will be, from 1, a prefix not counted.
    pub(super) length: usize,
}

/// Turns a row of logits `[V]` into log-probabilities and applies `options`' rules in Hugging Face's order: what a shortlist
/// leaves out is left out before everything else, then log-softmax and
/// repetition penalty (which comes first when there is no beam), repeated n-grams, banned tokens and sequences, minimum length, and a second log-softmax when
/// renormalising.
///
/// `banned` are the tokens that may not come next.
pub(super) fn process(logits: &mut [f32], options: &SearchOptions, past: Past<'_>, banned: &[u32]) {
    let Past { source, start: start_token, generated, length } = past;
    if let Some(shortlist) = &options.shortlist {
        let mut allowed = Vec::new();
        shortlist.allowed(source, logits.len(), &mut allowed);
        logits.iter_mut().zip(allowed).filter(|(_, allowed)| !allowed).for_each(|(x, _)| *x = f32::NEG_INFINITY);
    }
    let penalise = options.repetition_penalty != 1.0;
    // Hugging Face hands beam search log-probabilities, greedy search and sampling the logits themselves.
    let before_softmax = options.beam_size <= 1 || options.sampling.is_some();
    if penalise && before_softmax {
        repetition_penalty(logits, options.repetition_penalty, start_token, generated);
    }
    if before_softmax {
        favour_end(logits, options, length);
    }
    let norm = log_sum_exp(logits);
    logits.iter_mut().for_each(|x| *x -= norm);
    if penalise && !before_softmax {
        repetition_penalty(logits, options.repetition_penalty, start_token, generated);
    }
    if !before_softmax {
        favour_end(logits, options, length);
    }
    if options.encoder_no_repeat_ngram > 0 {
        let n = options.encoder_no_repeat_ngram;
        for ngram in source.windows(n) {
            if ends_with(start_token, generated, &ngram[..n - 1])
                && let Some(score) = logits.get_mut(ngram[n - 1] as usize)
            {
                *score = f32::NEG_INFINITY;
            }
        }
    }
    if options.no_repeat_ngram > 0 {
        for token in repeated_ngram_ends(generated, options.no_repeat_ngram) {
            logits[token as usize] = f32::NEG_INFINITY;
        }
    }
    for &token in banned {
        logits[token as usize] = f32::NEG_INFINITY;
    }
    for sequence in &options.banned_sequences {
        if let Some((&last, start)) = sequence.split_last()
            && ends_with(start_token, generated, start)
        {
            logits[last as usize] = f32::NEG_INFINITY;
        }
    }
    if options.renormalise {
        let norm = log_sum_exp(logits);
        logits.iter_mut().for_each(|x| *x -= norm);
    }
}

/// Raises the score of the sentence end once more tokens are generated than `exponential_decay` says; this one is the
/// `length`-th.
fn favour_end(scores: &mut [f32], options: &SearchOptions, length: usize) {
    let Some((start, factor)) = options.exponential_decay else { return };
    let score = &mut scores[options.end_token as usize];
    if let Some(beyond) = (length - 1).checked_sub(start).filter(|&beyond| beyond > 0)
        && score.is_finite()
    {
        *score += score.abs() * (factor.powi(beyond.min(1 << 20) as i32) - 1.0);
    }
}

/// Whether the start token and everything generated after it end with `tail`.
fn ends_with(start_token: u32, generated: &[u32], tail: &[u32]) -> bool {
    generated.ends_with(tail)
        || tail.split_first().is_some_and(|(&first, rest)| first == start_token && generated == rest)
}

/// `β · Σ_j log(min(c_j, 1))` over the source tokens that received any attention.
pub(super) fn coverage(coverage: &[f32], penalty: CoveragePenalty) -> f32 {
    penalty.weight * coverage.iter().filter(|&&sum| sum > 0.0).map(|sum| sum.min(1.0).ln()).sum::<f32>()
}

/// Keskar et al. 2019, section 4.1: a score of a token seen before is divided by the penalty when positive and multiplied
/// by it when negative, once however often it was seen. The start token counts as seen.
fn repetition_penalty(scores: &mut [f32], penalty: f32, start_token: u32, generated: &[u32]) {
    let mut seen: Vec<u32> = generated.to_vec();
    seen.push(start_token);
    seen.sort_unstable();
    seen.dedup();
    for token in seen {
        let score = &mut scores[token as usize];
        *score = if *score < 0.0 { *score * penalty } else { *score / penalty };
    }
}

/// The tokens that would complete an n-gram already generated.
fn repeated_ngram_ends(generated: &[u32], n: usize) -> impl Iterator<Item = u32> {
    let context = generated.len().checked_sub(n - 1).map(|start| &generated[start..]);
    generated.windows(n).filter(move |window| Some(&window[..n - 1]) == context).map(move |window| window[n - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bigram_may_not_occur_twice() {
        let ends: Vec<u32> = repeated_ngram_ends(&[5, 6, 7, 5], 2).collect();
        assert_eq!(ends, [6], "5 6 was generated before, so 6 may not follow the last 5");
    }

    #[test]
    fn too_short_a_past_bans_nothing() {
        assert_eq!(repeated_ngram_ends(&[5], 3).count(), 0);
    }

    #[test]
    fn the_sentence_end_grows_beyond_the_start_of_the_decay() {
        let options = SearchOptions { end_token: 1, exponential_decay: Some((2, 2.0)), ..SearchOptions::default() };
        let score = |length| {
            let mut scores = [-1.0, -4.0];
            favour_end(&mut scores, &options, length);
            scores[1]
        };
        assert_eq!([1, 3, 4, 5].map(score), [-4.0, -4.0, 0.0, 8.0], "s + |s| (2^n - 1)");
    }

    #[test]
    fn runs_of_source_tokens_may_be_forbidden() {
        let options = SearchOptions { encoder_no_repeat_ngram: 2, beam_size: 2, ..SearchOptions::default() };
        let mut scores = [0.0; 4];
        process(&mut scores, &options, Past { source: &[1, 2, 3], start: 0, generated: &[2], length: 2 }, &[]);
        assert!(scores[3] == f32::NEG_INFINITY && scores[..3].iter().all(|score| score.is_finite()), "{scores:?}");
    }

    #[test]
    fn the_start_token_counts_in_a_banned_sequence() {
        assert!(ends_with(9, &[1, 2], &[1, 2]) && ends_with(9, &[1, 2], &[9, 1, 2]) && ends_with(9, &[], &[9]));
        assert!(!ends_with(9, &[1, 2], &[2, 1]) && !ends_with(9, &[3, 1], &[9, 1]));
    }

    #[test]
    fn repetition_makes_a_seen_token_less_likely() {
        let mut scores = [-1.0, -1.0, -1.0];
        repetition_penalty(&mut scores, 2.0, 0, &[2]);
        assert_eq!(scores, [-2.0, -1.0, -2.0], "tokens 0 (start) and 2 were seen");
    }
}
