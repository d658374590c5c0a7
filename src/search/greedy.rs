//! The best next token at every step, or a random one.

use super::history::History;
use super::proposals::Proposals;
use super::step::{Choice, Step};
use super::{Hypothesis, Sampling, SearchOptions, Source, start};
use crate::Result;
use crate::compute::Workspace;
use crate::model::{Candidate, Normalise, Record, Seq2Seq, best_candidates};

/// One hypothesis of one sentence.
struct Row<'s> {
    /// Where the hypothesis goes: sentence, then sample.
    index: usize,
    source: &'s Source,
    node: Option<u32>,
    log_prob: f32,
    random: Random,
}

pub(super) fn search(
    model: &dyn Seq2Seq,
    sources: &[Source],
    options: &SearchOptions,
    record: Record,
    workspace: &mut Workspace,
) -> Result<Vec<Vec<Hypothesis>>> {
    let samples = if options.sampling.is_some() { options.n_best.max(1) } else { 1 };
    let record = options.record(record);
    let mut decoder = start(model, &sources.iter().collect::<Vec<_>>(), record, workspace)?;
    let mut history = History::new(record, &*decoder);
    let mut results: Vec<Vec<(usize, Hypothesis)>> = vec![Vec::new(); sources.len()];
    let mut rows: Vec<Row> = (0..sources.len() * samples)
        .map(|index| {
            let source = &sources[index / samples];
            let random =
                Random::new(options.sampling.map_or(0, |sampling| sampling.seed), &source.ids, index % samples);
            Row { index, source, node: None, log_prob: 0.0, random }
        })
        .collect();
    if samples > 1 {
        decoder.select(&(0..rows.len()).map(|row| row / samples).collect::<Vec<_>>())?;
    }

    let normalise = match (options.scores, options.renormalise) {
        (false, _) => Normalise::Raw,
        (true, true) => Normalise::Allowed,
        (true, false) => Normalise::All,
    };
    let mut proposals = Proposals::new(1);
    let mut tokens: Vec<u32> = rows.iter().map(|row| options.beginning(row.source).start).collect();
    let mut survivors = Vec::new();
    for at in 0.. {
        if rows.is_empty() {
            break;
        }
        decoder.step(&tokens, workspace)?;
        history.record_step(&*decoder);
        if options.needs_logits() {
            let rows = rows.iter_mut().map(|row| (row.node, Step::new(options, row.source, at), &mut row.random));
            let choose = |logits: &[f32], random: &mut Random, chosen: &mut Vec<Candidate>| match options.sampling {
                Some(sampling) => chosen.push(sample(logits, sampling, random)),
                None => best_candidates(logits, 1, chosen),
            };
            proposals.chosen(&mut *decoder, rows, choose, &history, options, workspace)?;
        } else {
            let steps = rows.iter().map(|row| Step::new(options, row.source, at));
            proposals.best(&mut *decoder, steps, options, normalise, workspace)?;
        }

        tokens.clear();
        survivors.clear();
        let mut next_row = 0;
        rows.retain_mut(|row| {
            let at_row = next_row;
            next_row += 1;
            let step = Step::new(options, row.source, at);
            let Candidate { token, log_prob } = match step.choice {
                Choice::Prefix(token) | Choice::Forced(token) => Candidate { token, log_prob: 0.0 },
                Choice::Free => proposals.of(at_row)[0],
            };
            let node = history.push(row.node, token, log_prob, step.is_prefix(), at_row);
            row.node = Some(node);
            row.log_prob += log_prob;
            if let Some(ending) = step.ending(token) {
                let finished = step.finish(node, ending, row.log_prob, &history);
                let sentence = row.index / samples;
                let hypothesis = history.hypothesis(&finished, decoder.encoder_attention(sentence));
                results[sentence].push((row.index % samples, hypothesis));
                return false;
            }
            tokens.push(token);
            survivors.push(at_row);
            true
        });
        if survivors.len() < decoder.rows() {
            decoder.select(&survivors)?;
        }
    }
    // In the order they were drawn, so that drawing more of them does not change the first.
    let in_order = |mut samples: Vec<(usize, Hypothesis)>| {
        samples.sort_by_key(|&(draw, _)| draw);
        samples.into_iter().map(|(_, hypothesis)| hypothesis).collect()
    };
    Ok(results.into_iter().map(in_order).collect())
}

/// Draws a token from `log_probs` after temperature, top-k and top-p (Holtzman et al. 2020); its reported log-probability
/// is the model's own.
fn sample(log_probs: &[f32], sampling: Sampling, random: &mut Random) -> Candidate {
    let mut candidates = Vec::new();
    let k = if sampling.top_k == 0 { log_probs.len() } else { sampling.top_k.min(log_probs.len()) };
    best_candidates(log_probs, k, &mut candidates);
    let best = candidates[0].log_prob;
    let weight = |log_prob: f32| f64::from((log_prob - best) / sampling.temperature).exp();
    let total: f64 = candidates.iter().map(|candidate| weight(candidate.log_prob)).sum();
    let mut sum = 0.0;
    let mut kept = 0;
    for candidate in &candidates {
        sum += weight(candidate.log_prob);
        kept += 1;
        if sum >= f64::from(sampling.top_p) * total {
            break;
        }
    }
    let mut left = random.uniform() * sum;
    for candidate in &candidates[..kept] {
        left -= weight(candidate.log_prob);
        if left < 0.0 {
            return *candidate;
        }
    }
    candidates[kept - 1]
}

/// SplitMix64 (Steele, Lea and Flood 2014), seeded by the sentence so that batches do not matter.
struct Random(u64);

impl Random {
    fn new(seed: u64, ids: &[u32], sample: usize) -> Self {
        let mut random = Self(seed);
        for value in ids.iter().map(|&id| u64::from(id)).chain([sample as u64]) {
            random.0 ^= random.next().wrapping_add(value);
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
