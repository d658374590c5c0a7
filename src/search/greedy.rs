//! The best next token at every step, or a random one.

use super::beam::ban;
use super::history::History;
use super::{Hypothesis, Sampling, SearchOptions, Source, scores};
use crate::Result;
use crate::compute::Workspace;
use crate::model::{Normalise, Record, Seq2Seq, TopK, best_candidates};

/// One hypothesis of one sentence.
struct Row<'s> {
    /// Where the hypothesis goes: sentence, then sample.
    index: usize,
    source: &'s Source,
    node: Option<u32>,
    log_prob: f32,
    generated: usize,
    limit: usize,
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
    let record = Record { cross: record.cross || options.coverage_penalty.is_some(), ..record };
    let ids: Vec<&[u32]> = sources.iter().map(|source| source.ids.as_slice()).collect();
    let mut decoder = model.start(&ids, record, workspace)?;
    let mut history = History::new(record, &*decoder);
    let mut results: Vec<Vec<(usize, Hypothesis)>> = vec![Vec::new(); sources.len()];
    let mut rows: Vec<Row> = (0..sources.len() * samples)
        .map(|index| {
            let source = &sources[index / samples];
            let random =
                Random::new(options.sampling.map_or(0, |sampling| sampling.seed), &source.ids, index % samples);
            Row { index, source, node: None, log_prob: 0.0, generated: 0, limit: options.limit(source), random }
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
    let mut tokens = vec![options.start_token; rows.len()];
    let (mut candidates, mut logits, mut banned) = (Vec::new(), Vec::new(), Vec::new());
    let (mut generated, mut survivors) = (Vec::new(), Vec::new());
    let mut step = 0;
    while !rows.is_empty() {
        decoder.step(&tokens, workspace)?;
        history.record_step(&*decoder);
        let needs_logits =
            options.needs_logits() || (options.min_length > 0 && rows.iter().any(|row| !row.source.prefix.is_empty()));
        if needs_logits {
            decoder.logits(&mut logits, workspace)?;
            let vocabulary = logits.len() / rows.len();
            candidates.clear();
            for (row, logits) in rows.iter_mut().zip(logits.chunks_exact_mut(vocabulary)) {
                history.tokens(row.node, &mut generated);
                banned.clone_from(&options.banned);
                if row.generated + 1 < options.min_length {
                    ban(&mut banned, options.end_token);
                }
                scores::process(logits, options, &generated, &banned);
                match options.sampling {
                    Some(sampling) => candidates.push(sample(logits, sampling, &mut row.random)),
                    None => best_candidates(logits, 1, &mut candidates),
                }
            }
        } else {
            banned.clone_from(&options.banned);
            if step + 1 < options.min_length {
                ban(&mut banned, options.end_token);
            }
            decoder.top_k(TopK { k: 1, banned: &banned, normalise }, &mut candidates, workspace)?;
        }

        tokens.clear();
        survivors.clear();
        let mut at = 0;
        rows.retain_mut(|row| {
            let forced = row.source.prefix.get(step).copied();
            let (token, log_prob) = match forced {
                Some(token) => (token, 0.0),
                None => match options.force_begin {
                    Some(token) if step == 0 => (token, 0.0),
                    _ if options.force_end && row.generated + 1 == row.limit => (options.end_token, 0.0),
                    _ => (candidates[at].token, candidates[at].log_prob),
                },
            };
            let node = history.push(row.node, token, log_prob, forced.is_some(), at);
            row.node = Some(node);
            row.log_prob += log_prob;
            row.generated += usize::from(forced.is_none());
            at += 1;
            let ended = forced.is_none() && token == options.end_token;
            let at_limit = forced.is_none() && row.generated >= row.limit;
            if ended || at_limit {
                let mut score = row.log_prob / (row.generated as f32).powf(options.length_penalty);
                if let Some(penalty) = options.coverage_penalty {
                    score += scores::coverage(&history.coverage(node), penalty);
                }
                let hypothesis = Hypothesis {
                    limited: at_limit && (!ended || options.force_end),
                    encoder_attention: decoder.encoder_attention(row.index / samples).cloned(),
                    ..history.hypothesis(node, ended, row.log_prob, score)
                };
                results[row.index / samples].push((row.index % samples, hypothesis));
                return false;
            }
            tokens.push(token);
            survivors.push(at - 1);
            true
        });
        if survivors.len() < at {
            decoder.select(&survivors)?;
        }
        step += 1;
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
fn sample(log_probs: &[f32], sampling: Sampling, random: &mut Random) -> crate::model::Candidate {
    let mut candidates = Vec::new();
    let k = if sampling.top_k == 0 { log_probs.len() } else { sampling.top_k };
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
