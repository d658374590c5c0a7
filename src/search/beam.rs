//! Beam search with Hugging Face's `generate()` semantics, and the other engines' stopping rules.

use super::history::{Finished, History};
use super::proposals::Proposals;
use super::step::{Choice, Step};
use super::{EarlyStopping, Hypothesis, SearchOptions, Source};
use crate::Result;
use crate::compute::Workspace;
use crate::model::{Candidate, Normalise, Record, Seq2Seq, best_candidates};

/// The widest beam that waits for as many finished hypotheses as it is wide.
const WIDE: usize = 64;

/// A hypothesis still being extended: the last node of its path and the sum of its log-probabilities.
#[derive(Clone, Copy, Debug)]
struct Running {
    node: Option<u32>,
    log_prob: f32,
    /// Its row in the decoder.
    row: usize,
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
    let record = options.record(record);
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
        })
        .collect();
    let normalise = if options.renormalise { Normalise::Allowed } else { Normalise::All };
    // 2·beam candidates leave `beam` to go on with when all of the first half end (one end token exists).
    let width = 2 * options.beam_size;
    let mut proposals = Proposals::new(width);
    let mut tokens: Vec<u32> = sources.iter().map(|source| options.beginning(source).start).collect();
    let mut rows = Vec::new();
    let mut extensions = Vec::new();

    for at in 0.. {
        if beams.is_empty() {
            break;
        }
        decoder.step(&tokens, workspace)?;
        history.record_step(&*decoder);
        if options.needs_logits() {
            let rows = beams.iter().flat_map(|beam| {
                let step = Step::new(options, beam.source, at);
                beam.running.iter().map(move |running| (running.node, step, ()))
            });
            let choose = |logits: &[f32], (), best: &mut Vec<Candidate>| best_candidates(logits, width, best);
            proposals.chosen(&mut *decoder, rows, choose, &history, options, workspace)?;
        } else {
            let steps =
                beams.iter().flat_map(|beam| beam.running.iter().map(move |_| Step::new(options, beam.source, at)));
            proposals.best(&mut *decoder, steps, options, normalise, workspace)?;
        }
        tokens.clear();
        rows.clear();
        beams.retain_mut(|beam| {
            let step = Step::new(options, beam.source, at);
            beam.extend(&proposals, &mut extensions, step, width);
            if beam.advance(&extensions, &mut history, options, step) {
                let best = beam.finished.iter().take(options.n_best);
                let attention = decoder.encoder_attention(beam.index);
                results[beam.index] = best.map(|finished| history.hypothesis(finished, attention)).collect();
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
    }
    Ok(results)
}

impl Beam<'_> {
    /// The best continuations of this sentence's running hypotheses, best first, at most `width`.
    fn extend(&self, proposals: &Proposals, extensions: &mut Vec<Extension>, step: Step, width: usize) {
        // Stable: equal sums keep the order of beam, then token.
        let keep_best = |extensions: &mut Vec<Extension>| {
            extensions.sort_by(|a, b| b.log_prob.total_cmp(&a.log_prob));
            extensions.truncate(width);
        };
        extensions.clear();
        // What this or less cannot be among the best any more.
        let mut hopeless = f32::NEG_INFINITY;
        for &parent in &self.running {
            let extend = |Candidate { token, log_prob }| {
                let extended = parent.log_prob + log_prob;
                Extension { parent, token, token_log_prob: log_prob, log_prob: extended }
            };
            match step.choice {
                Choice::Prefix(token) | Choice::Forced(token) => {
                    extensions.push(extend(Candidate { token, log_prob: 0.0 }));
                }
                Choice::Free => {
                    // Best first, so that a wide beam looks at few of them: the time is not that of its square.
                    let candidates = proposals.of(parent.row).iter().filter(|c| c.log_prob > f32::NEG_INFINITY);
                    let hopeful = candidates.map(|&candidate| extend(candidate));
                    extensions.extend(hopeful.take_while(|extension| extension.log_prob > hopeless));
                }
            }
            if extensions.len() >= 2 * width {
                keep_best(extensions);
                hopeless = extensions[width - 1].log_prob;
            }
        }
        keep_best(extensions);
    }

    /// Finishes and continues hypotheses; says whether the sentence is done.
    fn advance(
        &mut self,
        extensions: &[Extension],
        history: &mut History,
        options: &SearchOptions,
        step: Step,
    ) -> bool {
        self.running.clear();
        let width = match options.early_stopping {
            EarlyStopping::Shrink => options.beam_size - self.finished.len(),
            _ => options.beam_size,
        };
        for (rank, extension) in extensions.iter().enumerate() {
            let &Extension { parent, token, token_log_prob, log_prob } = extension;
            let mut push = || history.push(parent.node, token, token_log_prob, step.is_prefix(), parent.row);
            if let Some(ending) = step.ending(token) {
                // Only candidates in the first half may finish; the second half stands by to fill the beam.
                if rank < width {
                    let node = push();
                    self.keep(step.finish(node, ending, log_prob, history), options);
                }
            } else if self.running.len() < width {
                self.running.push(Running { node: Some(push()), log_prob, row: parent.row });
            }
        }
        if options.early_stopping == EarlyStopping::Shrink {
            self.running.truncate(options.beam_size - self.finished.len());
        }
        self.running.is_empty()
            || (!step.is_prefix() && (self.may_stop(options, step) || self.is_decided(options, step)))
    }

    /// Keeps a finished hypothesis if it is among the best.
    fn keep(&mut self, finished: Finished, options: &SearchOptions) {
        let at = self.finished.partition_point(|other| other.score >= finished.score);
        self.finished.insert(at, finished);
        self.finished.truncate(options.beam_size);
    }

    /// Whether nothing that comes can be among the hypotheses that are returned: the sum of log-probabilities only falls, so
    /// even at the length that favours the best running one most it is no better than the last of them. Such steps change
    /// nothing. A beam wider than [`WIDE`] takes the present length for that, as Hugging Face's rule does once as many have
    /// finished as the beam is wide: waiting for hundreds of them takes hundreds of steps, up to the length limit.
    fn is_decided(&self, options: &SearchOptions, step: Step) -> bool {
        let ([best, ..], Some(last)) = (self.running.as_slice(), self.finished.get(options.n_best.max(1) - 1)) else {
            return false;
        };
        // Either may raise a score again.
        if options.coverage_penalty.is_some() || options.exponential_decay.is_some() {
            return false;
        }
        let is_patient = options.beam_size <= WIDE || options.early_stopping == EarlyStopping::Never;
        let grows = options.length_penalty > 0.0 && is_patient;
        step.score_at(if grows { step.limit } else { step.length }, best.log_prob) <= last.score
    }

    fn may_stop(&self, options: &SearchOptions, step: Step) -> bool {
        let [best, ..] = self.running.as_slice() else { return true };
        let Some(worst) = self.finished.get(options.beam_size - 1) else { return false };
        let length = match options.early_stopping {
            EarlyStopping::WhenFull => return true,
            EarlyStopping::Shrink => return false,
            EarlyStopping::Never if options.length_penalty > 0.0 => step.limit,
            EarlyStopping::Never | EarlyStopping::Heuristic => step.length,
        };
        step.score_at(length, best.log_prob) <= worst.score
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::Ending;
    use super::*;

    #[test]
    fn a_very_wide_beam_does_not_wait_for_hundreds_of_hypotheses() {
        let source = Source { ids: vec![5, 6, 2], ..Source::default() };
        let decided = |beam_size, early_stopping, log_prob| {
            let options =
                SearchOptions { beam_size, early_stopping, max_length: 256, length_penalty: 1.0, ..Default::default() };
            let finished =
                Finished { node: 0, ending: Ending { ended: true, truncated: false }, log_prob: -5.0, score: -1.0 };
            let running = vec![Running { node: None, log_prob, row: 0 }];
            let beam = Beam { index: 0, source: &source, running, finished: vec![finished] };
            // The sixth token.
            beam.is_decided(&options, Step::new(&options, &source, 5))
        };
        // -12 over six tokens is less than -1, over 256 it would be more.
        assert!(!decided(WIDE, EarlyStopping::Heuristic, -12.0));
        assert!(decided(WIDE + 1, EarlyStopping::Heuristic, -12.0));
        assert!(!decided(WIDE + 1, EarlyStopping::Heuristic, -3.0), "it is better even now");
        assert!(!decided(WIDE + 1, EarlyStopping::Never, -12.0), "who asks for it, gets it");
    }
}
