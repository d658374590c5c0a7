//! Beam search with Hugging Face's `generate()` semantics, and the other engines' stopping rules.

use super::history::History;
use super::{EarlyStopping, Hypothesis, SearchOptions, Source, scores};
use crate::Result;
use crate::compute::Workspace;
use crate::model::{Candidate, Decoder, Normalise, Record, Seq2Seq, TopK, best_candidates};

/// A hypothesis still being extended: the last node of its path and the sum of its log-probabilities.
#[derive(Clone, Copy, Debug)]
struct Running {
    node: Option<u32>,
    log_prob: f32,
    /// Its row in the decoder.
    row: usize,
}

/// A finished hypothesis.
#[derive(Clone, Copy, Debug)]
struct Finished {
    node: u32,
    ended: bool,
    limited: bool,
    log_prob: f32,
    score: f32,
}

/// The beam of one sentence.
#[derive(Debug)]
struct Beam<'s> {
    index: usize,
    source: &'s Source,
    /// Best first.
    running: Vec<Running>,
    /// Best first, at most `beam_size`.
    finished: Vec<Finished>,
    /// Tokens generated so far, prefix excluded.
    generated: usize,
    limit: usize,
}

/// A continuation of one running hypothesis.
#[derive(Clone, Copy, Debug)]
struct Extension {
    parent: Running,
    token: u32,
    token_log_prob: f32,
    log_prob: f32,
}

pub(super) fn search(
    model: &dyn Seq2Seq,
    sources: &[Source],
    options: &SearchOptions,
    record: Record,
    workspace: &mut Workspace,
) -> Result<Vec<Vec<Hypothesis>>> {
    let record = Record { cross: record.cross || options.coverage_penalty.is_some(), ..record };
    let ids: Vec<&[u32]> = sources.iter().map(|source| source.ids.as_slice()).collect();
    let mut decoder = model.start(&ids, record, workspace)?;
    let mut history = History::new(record, &*decoder);
    let mut results: Vec<Vec<Hypothesis>> = vec![Vec::new(); sources.len()];
    let mut beams: Vec<Beam> = sources
        .iter()
        .enumerate()
        .map(|(index, source)| Beam {
            index,
            source,
            running: vec![Running { node: None, log_prob: 0.0, row: index }],
            finished: Vec::new(),
            generated: 0,
            limit: options.limit(source),
        })
        .collect();
    let mut tokens: Vec<u32> = vec![options.start_token; sources.len()];
    let mut rows = Vec::new();
    let mut extensions = Vec::new();
    let mut proposals = Proposals::default();
    let mut step = 0;

    while !beams.is_empty() {
        decoder.step(&tokens, workspace)?;
        history.record_step(&*decoder);
        proposals.compute(&mut *decoder, &beams, &history, options, step, workspace)?;
        tokens.clear();
        rows.clear();
        beams.retain_mut(|beam| {
            beam.extend(&proposals, &mut extensions, options, step);
            let done = beam.advance(&extensions, &mut history, options, step);
            if done {
                results[beam.index] = beam.results(&history, &*decoder, options);
                return false;
            }
            for running in &mut beam.running {
                rows.push(running.row);
                running.row = tokens.len();
                tokens.push(history.last_token(running.node));
            }
            true
        });
        decoder.select(&rows)?;
        step += 1;
    }
    Ok(results)
}

/// The best next tokens of every decoder row.
#[derive(Debug, Default)]
struct Proposals {
    k: usize,
    candidates: Vec<Candidate>,
    logits: Vec<f32>,
    generated: Vec<u32>,
    banned: Vec<u32>,
}

impl Proposals {
    fn compute(
        &mut self,
        decoder: &mut dyn Decoder,
        beams: &[Beam],
        history: &History,
        options: &SearchOptions,
        step: usize,
        workspace: &mut Workspace,
    ) -> Result<()> {
        // 2·beam candidates leave `beam` to go on with when all of the first half end (one end token exists).
        self.k = 2 * options.beam_size;
        self.banned.clone_from(&options.banned);
        // Within the minimum the sentence end is banned. A prefix lies before a sentence's own count, so it is per row.
        let uniform = beams.iter().all(|beam| beam.source.prefix.is_empty());
        if uniform && !options.needs_logits() {
            if step + 1 < options.min_length {
                ban(&mut self.banned, options.end_token);
            }
            let normalise = if options.renormalise { Normalise::Allowed } else { Normalise::All };
            decoder.top_k(TopK { k: self.k, banned: &self.banned, normalise }, &mut self.candidates, workspace)?;
            return Ok(());
        }
        decoder.logits(&mut self.logits, workspace)?;
        self.candidates.clear();
        let vocabulary = self.logits.len() / decoder.rows();
        for beam in beams {
            for running in &beam.running {
                let logits = &mut self.logits[running.row * vocabulary..][..vocabulary];
                history.tokens(running.node, &mut self.generated);
                self.banned.clone_from(&options.banned);
                if beam.generated + 1 < options.min_length {
                    ban(&mut self.banned, options.end_token);
                }
                scores::process(logits, options, &self.generated, &self.banned);
                best_candidates(logits, self.k, &mut self.candidates);
            }
        }
        Ok(())
    }

    fn of(&self, row: usize) -> &[Candidate] {
        &self.candidates[row * self.k..][..self.k]
    }
}

/// Adds `token` to a sorted list.
pub(super) fn ban(banned: &mut Vec<u32>, token: u32) {
    if let Err(at) = banned.binary_search(&token) {
        banned.insert(at, token);
    }
}

impl Beam<'_> {
    /// The best continuations of this sentence's running hypotheses, best first, at most `2 · beam_size`.
    fn extend(&self, proposals: &Proposals, extensions: &mut Vec<Extension>, options: &SearchOptions, step: usize) {
        extensions.clear();
        for &parent in &self.running {
            let mut push = |candidate: Candidate| {
                extensions.push(Extension {
                    parent,
                    token: candidate.token,
                    token_log_prob: candidate.log_prob,
                    log_prob: parent.log_prob + candidate.log_prob,
                });
            };
            if let Some(&token) = self.source.prefix.get(step) {
                push(Candidate { token, log_prob: 0.0 });
            } else if let Some(token) = options.force_begin
                && step == 0
            {
                push(Candidate { token, log_prob: 0.0 });
            } else if options.force_end && self.generated + 1 == self.limit {
                push(Candidate { token: options.end_token, log_prob: 0.0 });
            } else {
                proposals.of(parent.row).iter().copied().filter(|c| c.log_prob > f32::NEG_INFINITY).for_each(push);
            }
        }
        // Stable: equal sums keep the order of beam, then token.
        extensions.sort_by(|a, b| b.log_prob.total_cmp(&a.log_prob));
        extensions.truncate(2 * options.beam_size);
    }

    /// Finishes and continues hypotheses; says whether the sentence is done.
    fn advance(
        &mut self,
        extensions: &[Extension],
        history: &mut History,
        options: &SearchOptions,
        step: usize,
    ) -> bool {
        let forced = step < self.source.prefix.len();
        if !forced {
            self.generated += 1;
        }
        let at_limit = !forced && self.generated >= self.limit;
        self.running.clear();
        let width = match options.early_stopping {
            EarlyStopping::Shrink => options.beam_size - self.finished.len(),
            _ => options.beam_size,
        };
        for (rank, extension) in extensions.iter().enumerate() {
            let ended = !forced && extension.token == options.end_token;
            // Only candidates in the first half may finish; the second half stands by to fill the beam.
            if ended || at_limit {
                if rank < width {
                    let node = push(history, extension, forced);
                    let limited = at_limit && (!ended || options.force_end);
                    self.finish(
                        Finished { node, ended, limited, log_prob: extension.log_prob, score: 0.0 },
                        history,
                        options,
                    );
                }
            } else if self.running.len() < width {
                let node = push(history, extension, forced);
                self.running.push(Running {
                    node: Some(node),
                    log_prob: extension.log_prob,
                    row: extension.parent.row,
                });
            }
        }
        if options.early_stopping == EarlyStopping::Shrink {
            self.running.truncate(options.beam_size - self.finished.len());
        }
        self.running.is_empty() || (!forced && self.may_stop(options))
    }

    /// Scores a finished hypothesis and keeps it if it is among the best.
    fn finish(&mut self, mut finished: Finished, history: &History, options: &SearchOptions) {
        finished.score = finished.log_prob / (self.generated as f32).powf(options.length_penalty);
        if let Some(penalty) = options.coverage_penalty {
            finished.score += scores::coverage(&history.coverage(finished.node), penalty);
        }
        let at = self.finished.partition_point(|other| other.score >= finished.score);
        self.finished.insert(at, finished);
        self.finished.truncate(options.beam_size);
    }

    fn may_stop(&self, options: &SearchOptions) -> bool {
        let [best, ..] = self.running.as_slice() else { return true };
        let Some(worst) = self.finished.get(options.beam_size - 1) else { return false };
        let length = match options.early_stopping {
            EarlyStopping::WhenFull => return true,
            EarlyStopping::Shrink => return false,
            EarlyStopping::Never if options.length_penalty > 0.0 => self.limit,
            EarlyStopping::Never | EarlyStopping::Heuristic => self.generated,
        };
        best.log_prob / (length as f32).powf(options.length_penalty) <= worst.score
    }

    fn results(&self, history: &History, decoder: &dyn Decoder, options: &SearchOptions) -> Vec<Hypothesis> {
        self.finished
            .iter()
            .take(options.n_best)
            .map(|finished| Hypothesis {
                limited: finished.limited,
                encoder_attention: decoder.encoder_attention(self.index).cloned(),
                ..history.hypothesis(finished.node, finished.ended, finished.log_prob, finished.score)
            })
            .collect()
    }
}

fn push(history: &mut History, extension: &Extension, forced: bool) -> u32 {
    let Extension { parent, token, token_log_prob, .. } = *extension;
    history.push(parent.node, token, token_log_prob, forced, parent.row)
}
