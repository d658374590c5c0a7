//! Decoding along a given target: its score, and where the model looks on the way.

use super::history::History;
use super::{Hypothesis, SearchOptions};
use crate::Result;
use crate::compute::{Workspace, log_sum_exp};
use crate::model::{Record, Seq2Seq};

/// Feeds each target to the model and returns it as a hypothesis with its log-probabilities and attention.
///
/// `pairs` are source ids (sentence end included) and target ids (sentence end left out; it is added and scored). The
/// score is that of [`super::search`] with the same options; banned tokens are not banned here, but count in
/// `renormalise`d sums as there.
///
/// # Errors
/// If the device cannot compute it.
///
/// # Panics
/// If a source is empty.
pub fn force_decode(
    model: &dyn Seq2Seq,
    pairs: &[(&[u32], &[u32])],
    options: &SearchOptions,
    record: Record,
    workspace: &mut Workspace,
) -> Result<Vec<Hypothesis>> {
    let sources: Vec<&[u32]> = pairs.iter().map(|(source, _)| *source).collect();
    let mut decoder = model.start(&sources, record, workspace)?;
    let mut history = History::new(record, &*decoder);
    let mut results = vec![Hypothesis::default(); pairs.len()];
    // (pair, last node, log-probability so far) of each decoder row.
    let mut rows: Vec<(usize, Option<u32>, f32)> = (0..pairs.len()).map(|pair| (pair, None, 0.0)).collect();
    let mut tokens = vec![options.start_token; rows.len()];
    let mut logits = Vec::new();
    let mut survivors = Vec::new();
    let mut step = 0;
    while !rows.is_empty() {
        decoder.step(&tokens, workspace)?;
        history.record_step(&*decoder);
        decoder.logits(&mut logits, workspace)?;
        let vocabulary = logits.len() / rows.len();
        tokens.clear();
        survivors.clear();
        let mut at = 0;
        rows.retain_mut(|(pair, node, log_prob)| {
            let row = at;
            at += 1;
            let target = pairs[*pair].1;
            let token = target.get(step).copied().unwrap_or(options.end_token);
            let logits = &mut logits[row * vocabulary..][..vocabulary];
            let score = logits[token as usize];
            if options.renormalise {
                options.banned.iter().filter(|&&b| b != token).for_each(|&b| logits[b as usize] = f32::NEG_INFINITY);
            }
            let token_log_prob = score - log_sum_exp(logits);
            *log_prob += token_log_prob;
            let last = history.push(*node, token, token_log_prob, false, row);
            *node = Some(last);
            if step == target.len() {
                let score = *log_prob / ((step + 1) as f32).powf(options.length_penalty);
                results[*pair] = Hypothesis {
                    encoder_attention: decoder.encoder_attention(*pair).cloned(),
                    ..history.hypothesis(last, true, *log_prob, score)
                };
                return false;
            }
            tokens.push(token);
            survivors.push(row);
            true
        });
        if survivors.len() < at {
            decoder.select(&survivors)?;
        }
        step += 1;
    }
    Ok(results)
}
