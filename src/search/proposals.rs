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
}

impl Proposals {
    pub(super) fn new(k: usize) -> Self {
        Self { k, ..Self::default() }
    }

    /// The candidates of a row, best first.
    pub(super) fn of(&self, row: usize) -> &[Candidate] {
        &self.candidates[row * self.k..][..self.k]
    }

    /// The best tokens of the output layer, where no rule needs more than `step`'s bans, which are then every row's.
    pub(super) fn best(
        &mut self,
        decoder: &mut dyn Decoder,
        step: Step,
        normalise: Normalise,
        workspace: &mut Workspace,
    ) -> Result<()> {
        step.banned(&mut self.banned);
        decoder.top_k(TopK { k: self.k, banned: &self.banned, normalise }, &mut self.candidates, workspace)
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
