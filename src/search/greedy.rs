//! The best next token at every step, or a random one.

use std::rc::Rc;

use super::flow::{Begun, Flow};
use super::history::History;
use super::proposals::Proposals;
use super::step::{Choice, Step};
use super::{Finish, Hypothesis, Sampling, SearchOptions, Source};
use crate::Result;
use crate::compute::Workspace;
use crate::model::{Candidate, Normalise, Record, Seq2Seq, best_candidates};

/// One hypothesis of one sentence.
struct Row {
    /// Where the hypothesis goes.
    sentence: usize,
    /// The place of its sentence in the decoder.
    place: usize,
    sample: usize,
    source: Rc<Source>,
    /// Steps so far.
    at: usize,
    node: Option<u32>,
    log_prob: f32,
    random: Random,
}

pub(super) fn search(
    model: &dyn Seq2Seq,
    sources: Vec<Source>,
    options: &SearchOptions,
    record: Record,
    workspace: &mut Workspace,
    finish: &mut Finish<'_>,
) -> Result<()> {
    let samples = if options.sampling.is_some() { options.n_best.max(1) } else { 1 };
    let record = options.record(record);
    let (mut flow, mut next) = Flow::new(model, sources, options, record, samples, workspace)?;
    let mut history = History::new(record, &*flow.decoder);
    let mut results: Vec<(usize, Vec<(usize, Hypothesis)>)> = Vec::new();
    let normalise = match (options.scores, options.renormalise) {
        (false, _) => Normalise::Raw,
        (true, true) => Normalise::Allowed,
        (true, false) => Normalise::All,
    };
    let mut proposals = Proposals::new(1);
    let (mut rows, mut tokens): (Vec<Row>, Vec<u32>) = Default::default();
    let mut survivors = Vec::new();
    while !rows.is_empty() || !next.is_empty() {
        for (begun, sample) in next.iter().flat_map(|begun| (0..samples).map(move |sample| (begun, sample))) {
            let &Begun { number: sentence, place, ref source } = begun;
            let source = Rc::clone(source);
            let random = Random::new(options.sampling.map_or(0, |sampling| sampling.seed), &source.ids, sample);
            tokens.push(options.beginning(&source).start);
            rows.push(Row { sentence, place, sample, source, at: 0, node: None, log_prob: 0.0, random });
        }
        let decoder = &mut *flow.decoder;
        decoder.step(&tokens, workspace)?;
        history.record_step(decoder, rows.iter().map(|row| options.keeps_attention(&row.source)));
        if options.needs_logits() {
            let rows = rows.iter_mut().map(|row| (row.node, Step::new(options, &row.source, row.at), &mut row.random));
            let choose = |logits: &[f32], random: &mut Random, chosen: &mut Vec<Candidate>| match options.sampling {
                Some(sampling) => chosen.push(sample(logits, sampling, random)),
                None => best_candidates(logits, 1, chosen),
            };
            proposals.chosen(decoder, rows, choose, &history, options, workspace)?;
        } else {
            let steps = rows.iter().map(|row| Step::new(options, &row.source, row.at));
            proposals.best(decoder, steps, options, normalise, workspace)?;
        }

        tokens.clear();
        survivors.clear();
        let mut next_row = 0;
        rows.retain_mut(|row| {
            let at_row = next_row;
            next_row += 1;
            let step = Step::new(options, &row.source, row.at);
            row.at += 1;
            let Candidate { token, log_prob } = match step.choice {
                Choice::Prefix(token) | Choice::Forced(token) => Candidate { token, log_prob: 0.0 },
                Choice::Free => proposals.of(at_row)[0],
            };
            let node = history.push(row.node, token, log_prob, step.is_prefix(), at_row);
            row.node = Some(node);
            row.log_prob += log_prob;
            if let Some(ending) = step.ending(token) {
                let finished = step.finish(node, ending, row.log_prob, &history);
                let mut hypothesis = history.hypothesis(&finished, flow.decoder.encoder_attention(row.place));
                hypothesis.cross_attention.take_if(|_| row.source.unrecorded);
                match results.iter_mut().find(|(sentence, _)| *sentence == row.sentence) {
                    Some((_, drawn)) => drawn.push((row.sample, hypothesis)),
                    None => results.push((row.sentence, vec![(row.sample, hypothesis)])),
                }
                return false;
            }
            tokens.push(token);
            survivors.push(at_row);
            true
        });
        if survivors.len() < flow.decoder.rows() {
            flow.decoder.select(&survivors)?;
        }
        for (sentence, mut drawn) in results.extract_if(.., |(_, drawn)| drawn.len() == samples) {
            // In the order they were drawn, so that drawing more of them does not change the first.
            drawn.sort_by_key(|&(sample, _)| sample);
            flow.add(finish(sentence, drawn.into_iter().map(|(_, hypothesis)| hypothesis).collect())?);
        }
        history.tidy(|visit| rows.iter_mut().filter_map(|row| row.node.as_mut()).for_each(visit));
        next = flow.begin(rows.iter().map(|row| &row.source), workspace)?;
    }
    Ok(())
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
