//! Several models that choose every token together.

use std::sync::Arc;

use super::{Attention, Decoder, MemberSource, Record, Seq2Seq};
use crate::compute::{Workspace, log_sum_exp};
use crate::{Error, Result};

/// What of the models' distributions is averaged; with weights `w` that sum to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Average {
    /// `p(y) = Σ_i w_i p_i(y)`.
    #[default]
    Probabilities,
    /// `p(y) ∝ exp Σ_i w_i log p_i(y)`, normalised again by whoever takes logarithms of it.
    LogProbabilities,
}

/// Models over one target vocabulary. Attention is that of the first.
pub struct Ensemble {
    members: Vec<Arc<dyn Seq2Seq>>,
    /// One a member; they sum to 1.
    weights: Vec<f32>,
    average: Average,
    vocabulary: usize,
}

impl Ensemble {
    /// `weights` are one for each member, or none for equal ones; only their proportions count.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no member, a weight for each is missing, or one is not above 0.
    pub fn new(members: Vec<Arc<dyn Seq2Seq>>, weights: &[f32], average: Average) -> Result<Self> {
        let weights = if weights.is_empty() { vec![1.0; members.len()] } else { weights.to_vec() };
        if weights.len() != members.len() {
            return Err(Error::Usage(format!(
                "an ensemble of {} models needs as many weights, not {}",
                members.len(),
                weights.len()
            )));
        }
        let sum: f32 = weights.iter().sum();
        if !weights.iter().all(|&weight| weight > 0.0) || !sum.is_finite() {
            return Err(Error::Usage("the weights of an ensemble must be numbers above 0".to_owned()));
        }
        // A model may have more rows than its vocabulary has pieces.
        let vocabulary = members.iter().map(|member| member.target_vocabulary_size()).min();
        let vocabulary = vocabulary.ok_or_else(|| Error::Usage("an ensemble needs a model".to_owned()))?;
        let weights = weights.into_iter().map(|weight| weight / sum).collect();
        Ok(Self { members, weights, average, vocabulary })
    }

    /// Puts the log-probabilities of one row together: `log Σ w_i p_i`, or `Σ w_i log p_i`, of each token.
    fn combine(&self, rows: &[Vec<f32>], at: usize, combined: &mut Vec<f32>) {
        let own = |member: usize| &rows[member][at * self.sizes(member)..][..self.sizes(member)];
        let norms: Vec<f32> = (0..rows.len()).map(|member| log_sum_exp(own(member))).collect();
        let log_weights: Vec<f32> = self.weights.iter().map(|weight| weight.ln()).collect();
        let log_prob = |member: usize, token: usize| own(member)[token] - norms[member];
        for token in 0..self.vocabulary {
            let members = 0..rows.len();
            combined.push(match self.average {
                Average::LogProbabilities => members.map(|member| self.weights[member] * log_prob(member, token)).sum(),
                Average::Probabilities => {
                    let weighted = |member| log_prob(member, token) + log_weights[member];
                    let highest = members.clone().map(weighted).fold(f32::NEG_INFINITY, f32::max);
                    if highest == f32::NEG_INFINITY {
                        f32::NEG_INFINITY
                    } else {
                        members.map(|member| (weighted(member) - highest).exp()).sum::<f32>().ln() + highest
                    }
                }
            });
        }
    }

    fn sizes(&self, member: usize) -> usize {
        self.members[member].target_vocabulary_size()
    }
}

impl Seq2Seq for Ensemble {
    fn target_vocabulary_size(&self) -> usize {
        self.vocabulary
    }

    fn start<'m>(
        &'m self,
        sources: &[&[u32]],
        record: Record,
        workspace: &mut Workspace,
    ) -> Result<Box<dyn Decoder + 'm>> {
        let same: Vec<Vec<MemberSource>> =
            sources.iter().map(|ids| vec![MemberSource { ids, start: None }; self.members.len()]).collect();
        self.start_each(&same, record, workspace)
    }

    fn start_each<'m>(
        &'m self,
        sources: &[Vec<MemberSource>],
        record: Record,
        workspace: &mut Workspace,
    ) -> Result<Box<dyn Decoder + 'm>> {
        let mut decoders = Vec::with_capacity(self.members.len());
        let mut starts = Vec::with_capacity(self.members.len());
        for (member, model) in self.members.iter().enumerate() {
            let ids: Vec<&[u32]> = sources.iter().map(|own| own[member].ids).collect();
            let record = if member == 0 { record } else { Record::default() };
            decoders.push(model.start(&ids, record, workspace)?);
            starts.push(sources.iter().map(|own| own[member].start).collect());
        }
        Ok(Box::new(EnsembleDecoder { model: self, decoders, starts, logits: vec![Vec::new(); self.members.len()] }))
    }
}

/// Generation in progress.
struct EnsembleDecoder<'m> {
    model: &'m Ensemble,
    decoders: Vec<Box<dyn Decoder + 'm>>,
    /// For each member and row what it is fed first, where that is not what the search says; empty after the first step.
    starts: Vec<Vec<Option<u32>>>,
    /// `[rows, V]` of each member.
    logits: Vec<Vec<f32>>,
}

impl Decoder for EnsembleDecoder<'_> {
    fn rows(&self) -> usize {
        self.decoders[0].rows()
    }

    fn step(&mut self, tokens: &[u32], workspace: &mut Workspace) -> Result<()> {
        let starts = std::mem::take(&mut self.starts);
        for (member, decoder) in self.decoders.iter_mut().enumerate() {
            match starts.get(member) {
                None => decoder.step(tokens, workspace)?,
                Some(starts) => {
                    let own: Vec<u32> = tokens.iter().zip(starts).map(|(&token, own)| own.unwrap_or(token)).collect();
                    decoder.step(&own, workspace)?;
                }
            }
        }
        Ok(())
    }

    fn logits(&mut self, logits: &mut Vec<f32>, workspace: &mut Workspace) -> Result<()> {
        for (decoder, own) in self.decoders.iter_mut().zip(&mut self.logits) {
            decoder.logits(own, workspace)?;
        }
        logits.clear();
        (0..self.rows()).for_each(|row| self.model.combine(&self.logits, row, logits));
        Ok(())
    }

    fn cross_attention(&self, row: usize) -> Option<&[f32]> {
        self.decoders[0].cross_attention(row)
    }

    fn self_attention(&self, row: usize) -> Option<&[f32]> {
        self.decoders[0].self_attention(row)
    }

    fn encoder_attention(&self, source: usize) -> Option<&Attention> {
        self.decoders[0].encoder_attention(source)
    }

    fn attention_shape(&self) -> (usize, usize) {
        self.decoders[0].attention_shape()
    }

    fn select(&mut self, rows: &[usize]) -> Result<()> {
        for starts in &mut self.starts {
            *starts = rows.iter().map(|&row| starts[row]).collect();
        }
        self.decoders.iter_mut().try_for_each(|decoder| decoder.select(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says the same scores whatever it is fed.
    struct Says(Vec<f32>);

    impl Seq2Seq for Says {
        fn target_vocabulary_size(&self) -> usize {
            self.0.len()
        }

        fn start<'m>(&'m self, _: &[&[u32]], _: Record, _: &mut Workspace) -> Result<Box<dyn Decoder + 'm>> {
            Err(Error::Usage("it is never asked".to_owned()))
        }
    }

    fn combined(weights: &[f32], average: Average) -> Vec<f32> {
        // Three tokens, and one more that only the second has.
        let scores: [&[f32]; 2] = [&[0.0, 1.0, -1.0], &[2.0, 0.0, 0.0, -9.0]];
        let members = scores.map(|scores| Arc::new(Says(scores.to_vec())) as Arc<dyn Seq2Seq>);
        let ensemble = Ensemble::new(members.into(), weights, average).unwrap();
        let mut combined = Vec::new();
        ensemble.combine(&scores.map(<[f32]>::to_vec), 0, &mut combined);
        combined
    }

    fn softmax(scores: &[f64]) -> Vec<f64> {
        let sum: f64 = scores.iter().map(|score| score.exp()).sum();
        scores.iter().map(|score| score.exp() / sum).collect()
    }

    fn assert_close(found: &[f32], expected: impl Iterator<Item = f64>) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} and {expected}");
        }
    }

    #[test]
    fn probabilities_or_their_logarithms_are_averaged_by_weight() {
        let (first, second) = (softmax(&[0.0, 1.0, -1.0]), softmax(&[2.0, 0.0, 0.0, -9.0]));
        let pairs = || first.iter().zip(&second);
        assert_close(&combined(&[], Average::Probabilities), pairs().map(|(a, b)| (0.5 * a + 0.5 * b).ln()));
        assert_close(&combined(&[3.0, 1.0], Average::Probabilities), pairs().map(|(a, b)| (0.75 * a + 0.25 * b).ln()));
        let logarithms = pairs().map(|(a, b)| 0.75 * a.ln() + 0.25 * b.ln());
        assert_close(&combined(&[3.0, 1.0], Average::LogProbabilities), logarithms);
    }

    #[test]
    fn weights_that_are_none_are_refused() {
        let problem = |weights: &[f32]| {
            let members: Vec<Arc<dyn Seq2Seq>> = vec![Arc::new(Says(vec![0.0])), Arc::new(Says(vec![0.0]))];
            Ensemble::new(members, weights, Average::default()).err().unwrap().to_string()
        };
        assert!(problem(&[1.0]).contains("2 models needs as many weights, not 1"));
        assert!(problem(&[1.0, 0.0]).contains("above 0") && problem(&[1.0, f32::NAN]).contains("above 0"));
    }
}
