//! A model of a handful of tokens, small enough to look at everything it could say.

use translate::compute::Workspace;
use translate::model::{Attention, Decoder, Record, Seq2Seq};
use translate::{Result, search};

/// Scores that depend on the source and on everything generated, and on nothing else.
pub(crate) struct TinyModel {
    pub(crate) vocabulary: usize,
    pub(crate) seed: u64,
}

/// The token that ends a sentence.
pub(crate) const END: u32 = 0;

impl TinyModel {
    /// The score of each token behind `generated`.
    pub(crate) fn scores(&self, source: &[u32], generated: &[u32]) -> Vec<f32> {
        let mix = |hash: u64, value: u64| (hash ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        let past = source
            .iter()
            .chain(&[u32::MAX])
            .chain(generated)
            .fold(self.seed, |hash, &token| mix(hash, u64::from(token)));
        let score = |token: usize| (mix(mix(past, token as u64), 1) >> 40) as f32 / (1u64 << 22) as f32;
        (0..self.vocabulary).map(score).collect()
    }

    /// The log-probability of each of the tokens.
    pub(crate) fn log_probs(&self, source: &[u32], generated: &[u32]) -> Vec<f32> {
        let scores = self.scores(source, generated);
        let norm = scores.iter().map(|score| score.exp()).sum::<f32>().ln();
        scores.iter().map(|score| score - norm).collect()
    }

    /// Everything that can be said in at most `limit` tokens, with its log-probability and its number of tokens: sentences that
    /// end, and those that the limit cuts off.
    pub(crate) fn everything(&self, source: &[u32], limit: usize) -> Vec<(Vec<u32>, f32, usize)> {
        let mut done = Vec::new();
        let mut open = vec![(Vec::new(), 0.0)];
        for length in 1..=limit {
            for (generated, sum) in std::mem::take(&mut open) {
                for (token, log_prob) in (0..).zip(self.log_probs(source, &generated)) {
                    let sum: f32 = sum + log_prob;
                    let longer = [&generated[..], &[token]].concat();
                    match token == END {
                        true => done.push((generated.clone(), sum, length)),
                        false if length == limit => done.push((longer, sum, length)),
                        false => open.push((longer, sum)),
                    }
                }
            }
        }
        done
    }

    /// Sentences to translate, all of them different.
    pub(crate) fn sources(count: u32) -> Vec<search::Source> {
        (0..count).map(|index| search::Source { ids: vec![index + 1, END], ..search::Source::default() }).collect()
    }
}

struct TinyDecoder<'m> {
    model: &'m TinyModel,
    /// The source of each row and what it was fed after the start token.
    rows: Vec<(Vec<u32>, Vec<u32>)>,
    is_started: bool,
}

impl Seq2Seq for TinyModel {
    fn target_vocabulary_size(&self) -> usize {
        self.vocabulary
    }

    fn start<'m>(&'m self, sources: &[&[u32]], _: Record, _: &mut Workspace) -> Result<Box<dyn Decoder + 'm>> {
        let rows = sources.iter().map(|source| (source.to_vec(), Vec::new())).collect();
        Ok(Box::new(TinyDecoder { model: self, rows, is_started: false }))
    }
}

impl Decoder for TinyDecoder<'_> {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn step(&mut self, tokens: &[u32], _: &mut Workspace) -> Result<()> {
        assert_eq!(tokens.len(), self.rows.len());
        if self.is_started {
            self.rows.iter_mut().zip(tokens).for_each(|((_, generated), &token)| generated.push(token));
        }
        self.is_started = true;
        Ok(())
    }

    fn logits(&mut self, logits: &mut Vec<f32>, _: &mut Workspace) -> Result<()> {
        logits.clear();
        self.rows.iter().for_each(|(source, generated)| logits.extend(self.model.scores(source, generated)));
        Ok(())
    }

    fn cross_attention(&self, _: usize) -> Option<&[f32]> {
        None
    }

    fn self_attention(&self, _: usize) -> Option<&[f32]> {
        None
    }

    fn encoder_attention(&self, _: usize) -> Option<&Attention> {
        None
    }

    fn attention_shape(&self) -> (usize, usize) {
        (1, 1)
    }

    fn select(&mut self, rows: &[usize]) -> Result<()> {
        self.rows = rows.iter().map(|&row| self.rows[row].clone()).collect();
        Ok(())
    }
}
