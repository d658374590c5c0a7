//! The hypotheses of one sentence: which go on, which are finished, and when that is enough.

use std::rc::Rc;

use crate::model::{Candidate, best_candidates};
use crate::search::constraints::{Progress, allocation};
use crate::search::flow::Begun;
use crate::search::history::{Finished, History};
use crate::search::proposals::Proposals;
use crate::search::step::{Choice, Step};
use crate::search::{EarlyStopping, SearchOptions, Source};

/// The widest beam that waits for as many finished hypotheses as it is wide.
const WIDE: usize = 64;

/// The most places that the tokens of constraints add to a beam.
const MOST_CONSTRAINED: usize = 32;

/// A hypothesis still being extended: the last node of its path and the sum of its log-probabilities.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub(super) node: Option<u32>,
    log_prob: f32,
    /// What was taken off that sum for tokens of other groups.
    penalty: f32,
    /// Its row in the decoder.
    pub(super) row: usize,
    /// Which of the beam's `progress` is its own.
    pub(super) progress: usize,
}

/// The beam of one sentence, or of one group of its hypotheses.
#[derive(Debug)]
pub(super) struct Beam {
    /// The number of its sentence, and its place in the decoder.
    pub(super) index: usize,
    pub(super) place: usize,
    pub(super) source: Rc<Source>,
    /// Steps so far.
    pub(super) at: usize,
    /// How many run, and how many finished ones are kept.
    pub(super) width: usize,
    capacity: usize,
    /// Best first, but for those with constraints.
    pub(super) running: Vec<Running>,
    /// Best first, at most `capacity`.
    pub(super) finished: Vec<Finished>,
    /// How far with its constraints each extension is, if the sentence has any.
    pub(super) progress: Vec<Progress>,
    /// Tokens of the longest finished hypothesis.
    longest: usize,
}

/// A continuation of one running hypothesis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extension {
    parent: Running,
    token: u32,
    token_log_prob: f32,
    penalty: f32,
    log_prob: f32,
}

impl Extension {
    fn new(parent: Running, Candidate { token, log_prob }: Candidate) -> Self {
        Self { parent, token, token_log_prob: log_prob, penalty: parent.penalty, log_prob: parent.log_prob + log_prob }
    }
}

/// What one row of a sentence with constraints proposes.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// The best tokens, best first, then those that constraints need.
    candidates: Vec<Candidate>,
    /// How many of them are the best.
    best: usize,
    pub(super) constrained: Vec<u32>,
}

impl Offers {
    /// The `width` best tokens, and those that constraints need.
    pub(super) fn choose(&mut self, log_probs: &[f32], width: usize) {
        self.candidates.clear();
        best_candidates(log_probs, width, &mut self.candidates);
        self.best = self.candidates.len();
        for &token in &self.constrained {
            let is_known = self.candidates[..self.best].iter().any(|candidate| candidate.token == token);
            if let Some(&log_prob) = log_probs.get(token as usize).filter(|_| !is_known) {
                self.candidates.push(Candidate { token, log_prob });
            }
        }
    }
}

impl Beam {
    pub(super) fn new(begun: &Begun, row: usize, options: &SearchOptions) -> Self {
        let &Begun { number: index, place, ref source } = begun;
        let constraints = &source.constraints;
        let start = constraints.start();
        // Every token of a constraint gets a place of its own, so that as many others run as without.
        let width = options.beam_size / options.groups() + constraints.needed(&start).min(MOST_CONSTRAINED);
        Self {
            index,
            place,
            at: 0,
            width,
            capacity: options.capacity(),
            running: vec![Running { node: None, log_prob: 0.0, penalty: 0.0, row, progress: 0 }],
            finished: Vec::new(),
            progress: vec![start],
            source: Rc::clone(source),
            longest: 0,
        }
    }

    /// What its hypotheses are in the history.
    pub(super) fn nodes(&mut self) -> impl Iterator<Item = &mut u32> {
        let running = self.running.iter_mut().filter_map(|running| running.node.as_mut());
        running.chain(self.finished.iter_mut().map(|finished| &mut finished.node))
    }

    /// The best continuations of this sentence's running hypotheses, best first, at most `width`. Tokens that `others` have chosen
    /// cost `diversity` for each time (Vijayakumar et al. 2018, Hamming diversity).
    pub(super) fn extend(
        &self,
        proposals: &Proposals,
        extensions: &mut Vec<Extension>,
        step: Step,
        width: usize,
        others: &[u32],
        diversity: f32,
    ) {
        // Stable: equal sums keep the order of beam, then token.
        let keep_best = |extensions: &mut Vec<Extension>| {
            extensions.sort_by(|a, b| b.log_prob.total_cmp(&a.log_prob));
            extensions.truncate(width);
        };
        extensions.clear();
        // What this or less cannot be among the best any more.
        let mut hopeless = f32::NEG_INFINITY;
        for &parent in &self.running {
            match step.choice {
                Choice::Prefix(token) | Choice::Forced(token) => {
                    extensions.push(Extension::new(parent, Candidate { token, log_prob: 0.0 }));
                }
                Choice::Free => {
                    // Best first, so that a wide beam looks at few of them: the time is not that of its square.
                    let candidates = proposals.of(parent.row).iter().filter(|c| c.log_prob > f32::NEG_INFINITY);
                    let hopeful = candidates.map(|&candidate| Extension::new(parent, candidate));
                    let hopeful = hopeful.take_while(|extension| extension.log_prob > hopeless);
                    if others.is_empty() {
                        extensions.extend(hopeful);
                    } else {
                        extensions.extend(hopeful.map(|extension| extension.away_from(others, diversity)));
                    }
                }
            }
            if extensions.len() >= 2 * width {
                keep_best(extensions);
                hopeless = extensions[width - 1].log_prob;
            }
        }
        keep_best(extensions);
    }

    /// The continuations of this sentence's running hypotheses in the order in which they take places of the beam, at most twice
    /// its width, and how far each is with the constraints: the best of all, each row's own best and those that the constraints
    /// need, bank by bank. None ends before it has what it must have; one that the model would end is the last to go on.
    pub(super) fn allocate(&mut self, offers: &[Offers], extensions: &mut Vec<Extension>, step: Step, end_token: u32) {
        let (constraints, width) = (&self.source.constraints, 2 * self.width);
        // Each with whether it is kept whatever its rank, and whether it goes on where the model would have ended.
        let mut pool: Vec<(Extension, bool, bool)> = Vec::new();
        for &parent in &self.running {
            match step.choice {
                Choice::Prefix(token) | Choice::Forced(token) => {
                    pool.push((Extension::new(parent, Candidate { token, log_prob: 0.0 }), true, false));
                }
                Choice::Free => {
                    let Offers { candidates, best, constrained } = &offers[parent.row];
                    let may_end = constraints.unmet(&self.progress[parent.progress]) == 0;
                    let is_possible = |candidate: &Candidate| {
                        candidate.log_prob > f32::NEG_INFINITY && (may_end || candidate.token != end_token)
                    };
                    let is_over = !may_end && candidates.first().is_some_and(|best| best.token == end_token);
                    let own_best = candidates[..*best].iter().position(is_possible);
                    pool.extend(candidates.iter().enumerate().filter(|(_, candidate)| is_possible(candidate)).map(
                        |(at, &candidate)| {
                            let is_kept = Some(at) == own_best || constrained.contains(&candidate.token);
                            (Extension::new(parent, candidate), is_kept, is_over)
                        },
                    ));
                }
            }
        }
        pool.sort_by(|a, b| b.0.log_prob.total_cmp(&a.0.log_prob));
        let mut rank = 0;
        pool.retain(|(_, is_kept, _)| {
            rank += 1;
            rank <= width || *is_kept
        });
        let progress: Vec<Progress> = pool
            .iter()
            .map(|(extension, ..)| constraints.advance(&self.progress[extension.parent.progress], extension.token))
            .collect();
        let banks: Vec<usize> = progress.iter().map(|progress| constraints.needed(progress)).collect();
        let mut order = allocation(&banks);
        // Words behind the end of a translation are words nobody asked for: they come last.
        order.sort_by_key(|&at| pool[at].2);
        let order = order.into_iter().take(width);
        extensions.clear();
        self.progress.clear();
        for at in order {
            extensions.push(pool[at].0);
            self.progress.push(progress[at].clone());
        }
    }

    /// Finishes and continues hypotheses; says whether the sentence is done.
    pub(super) fn advance(
        &mut self,
        extensions: &[Extension],
        history: &mut History,
        options: &SearchOptions,
        step: Step,
    ) -> bool {
        self.running.clear();
        let width = match options.stopping() {
            EarlyStopping::Shrink => self.width - self.finished.len(),
            _ => self.width,
        };
        for (rank, extension) in extensions.iter().enumerate() {
            let &Extension { parent, token, token_log_prob, penalty, log_prob } = extension;
            let mut push = || history.push(parent.node, token, token_log_prob, step.is_prefix(), parent.row);
            if let Some(ending) = step.ending(token) {
                // Only candidates in the first half may finish; the second half stands by to fill the beam.
                if rank < width {
                    let node = push();
                    let mut finished = step.finish(node, ending, log_prob, history);
                    if penalty != 0.0 {
                        finished.log_prob += penalty;
                    }
                    if !self.source.constraints.is_empty() {
                        finished.unmet = self.source.constraints.unmet(&self.progress[rank]);
                    }
                    self.longest = self.longest.max(step.length);
                    self.keep(finished);
                }
            } else if self.running.len() < width {
                let node = Some(push());
                self.running.push(Running { node, log_prob, penalty, row: parent.row, progress: rank });
            }
        }
        if options.stopping() == EarlyStopping::Shrink {
            self.running.truncate(self.width - self.finished.len());
        }
        self.running.is_empty()
            || (!step.is_prefix() && (self.may_stop(options, step) || self.is_decided(options, step)))
    }

    /// Keeps a finished hypothesis if it is among the best; none that lacks a word is better than one that does not.
    fn keep(&mut self, finished: Finished) {
        let is_better = |other: &Finished| {
            other.unmet < finished.unmet || (other.unmet == finished.unmet && other.score >= finished.score)
        };
        let at = self.finished.partition_point(is_better);
        self.finished.insert(at, finished);
        self.finished.truncate(self.capacity);
    }

    /// The best sum of a running hypothesis. One that lacks a word goes on past its own end until it has it, so it no longer
    /// counts once it is twice as long as those that have all.
    fn best(&self, step: Step) -> Option<f32> {
        let constraints = &self.source.constraints;
        if constraints.is_empty() {
            return self.running.first().map(|best| best.log_prob);
        }
        let is_late = self.longest > 0 && step.length > 2 * self.longest + 10;
        let counts = |running: &&Running| !is_late || constraints.unmet(&self.progress[running.progress]) == 0;
        self.running.iter().filter(counts).map(|running| running.log_prob).max_by(f32::total_cmp)
    }

    /// Whether nothing that comes can be among the hypotheses that are returned: the sum of log-probabilities only falls, so
    /// even at the length that favours the best running one most it is no better than the last of them. Such steps change
    /// nothing. A beam wider than [`WIDE`] takes the present length for that, as Hugging Face's rule does once as many have
    /// finished as the beam is wide: waiting for hundreds of them takes hundreds of steps, up to the length limit.
    fn is_decided(&self, options: &SearchOptions, step: Step) -> bool {
        let (Some(best), Some(last)) = (self.best(step), self.finished.get(options.n_best.max(1) - 1)) else {
            return false;
        };
        // Either may raise a score again; and a group that goes on keeps others away from its tokens.
        if options.coverage_penalty.is_some() || options.exponential_decay.is_some() || options.groups() > 1 {
            return false;
        }
        let is_patient = options.beam_size <= WIDE || options.stopping() == EarlyStopping::Never;
        let grows = options.length_penalty > 0.0 && is_patient;
        step.score_at(if grows { step.limit } else { step.length }, best) <= last.score
    }

    fn may_stop(&self, options: &SearchOptions, step: Step) -> bool {
        let Some(best) = self.best(step) else { return true };
        let Some(worst) = self.finished.get(self.capacity - 1) else { return false };
        let length = match options.stopping() {
            EarlyStopping::WhenFull => return true,
            EarlyStopping::Shrink => return false,
            EarlyStopping::Never if options.length_penalty > 0.0 => step.limit,
            EarlyStopping::Never | EarlyStopping::Heuristic => step.length,
        };
        step.score_at(length, best) <= worst.score
    }
}

impl Extension {
    /// The same at the cost of having its token from `others`.
    fn away_from(mut self, others: &[u32], diversity: f32) -> Self {
        let times = others.iter().filter(|&&token| token == self.token).count();
        let penalty = diversity * times as f32;
        self.log_prob -= penalty;
        self.penalty += penalty;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::history::Ending;

    #[test]
    fn a_very_wide_beam_does_not_wait_for_hundreds_of_hypotheses() {
        let source = Rc::new(Source { ids: vec![5, 6, 2], ..Source::default() });
        let decided = |beam_size, early_stopping, log_prob| {
            let options =
                SearchOptions { beam_size, early_stopping, max_length: 256, length_penalty: 1.0, ..Default::default() };
            let ending = Ending { ended: true, truncated: false };
            let begun = Begun { number: 0, place: 0, source: Rc::clone(&source) };
            let mut beam = Beam::new(&begun, 0, &options);
            beam.finished.push(Finished { node: 0, ending, log_prob: -5.0, score: -1.0, unmet: 0 });
            beam.running[0].log_prob = log_prob;
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
