//! What the model proposes in one step, after the rules for single tokens.

use super::history::History;
use super::scores::Past;
use super::step::Step;
use super::{SearchOptions, scores};
use crate::Result;
use crate::compute::Workspace;
use crate::model::{Candidate, Decoder, Normalise, TopK};

/// The best next tokens of every decoder row, and buffers for finding them.
#[derive(Debug, Default)]
pub(super) struct Proposals {
    /// How many there are for each row.
    k: usize,
    candidates: Vec<Candidate>,
    logits: Vec<f32>,
    generated: Vec<u32>,
    banned: Vec<u32>,
    /// Rows that wait for another pass, the bans of one of them, and what that pass found.
    waiting: Vec<usize>,
    other_bans: Vec<u32>,
    found: Vec<Candidate>,
}

impl Proposals {
    pub(super) fn new(k: usize) -> Self {
        Self { k, ..Self::default() }
    }

    /// The candidates of a row, best first.
    pub(super) fn of(&self, row: usize) -> &[Candidate] {
        &self.candidates[row * self.k..][..self.k]
    }

    /// The best tokens of the output layer, where no rule needs more than the bans of each row's step. Rows whose bans differ,
    /// as a prefix shifts the minimum length, take a pass of their own, so that none of them depends on its neighbours.
    pub(super) fn best<'o>(
        &mut self,
        decoder: &mut dyn Decoder,
        steps: impl Iterator<Item = Step<'o>> + Clone,
        options: &SearchOptions,
        normalise: Normalise,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let Some(first) = steps.clone().next() else { return Ok(()) };
        first.banned(&mut self.banned);
        decoder.top_k(TopK { k: self.k, banned: &self.banned, normalise }, &mut self.candidates, workspace)?;
        if !options.bans_depend_on_length() {
            return Ok(());
        }
        let Self { k, candidates, banned, waiting, other_bans, found, .. } = self;
        let k = *k;
        waiting.clear();
        for (row, step) in steps.clone().enumerate() {
            step.banned(other_bans);
            if other_bans != banned {
                waiting.push(row);
            }
        }
        while let Some(&row) = waiting.first() {
            let Some(step) = steps.clone().nth(row) else { break };
            step.banned(banned);
            decoder.top_k(TopK { k, banned, normalise }, found, workspace)?;
            let mut steps = steps.clone().enumerate();
            waiting.retain(|&row| {
                let Some((_, step)) = steps.find(|&(at, _)| at == row) else { return false };
                step.banned(other_bans);
                if other_bans == banned {
                    candidates[row * k..][..k].copy_from_slice(&found[row * k..][..k]);
                }
                other_bans != banned
            });
        }
        Ok(())
    }

    /// What `choose` takes from each row's log-probabilities after all rules. `rows` are the last node and the step of each
    /// decoder row, and what `choose` is to know of it.
    pub(super) fn chosen<'o, R>(
        &mut self,
        decoder: &mut dyn Decoder,
        rows: impl Iterator<Item = (Option<u32>, Step<'o>, R)>,
        choose: impl Fn(&[f32], R, &mut Vec<Candidate>),
        history: &History,
        options: &SearchOptions,
        workspace: &mut Workspace,
    ) -> Result<()> {
        decoder.logits(&mut self.logits, workspace)?;
        self.candidates.clear();
        let vocabulary = self.logits.len() / decoder.rows();
        for (logits, (node, step, row)) in self.logits.chunks_exact_mut(vocabulary).zip(rows) {
            history.tokens(node, &mut self.generated);
            step.banned(&mut self.banned);
            let past = Past { source: step.source, start: step.start, generated: &self.generated, length: step.length };
            scores::process(logits, options, past, &self.banned);
            choose(logits, row, &mut self.candidates);
        }
        Ok(())
    }
}
