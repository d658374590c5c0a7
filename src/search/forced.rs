//! Decoding along a given target: its score, and where the model looks on the way.

use super::history::{Ending, History};
use super::step::Step;
use super::{Hypothesis, SearchOptions, Source, start};
use crate::Result;
use crate::compute::{Workspace, log_sum_exp};
use crate::model::{Candidate, Record, Seq2Seq, best_candidates};

/// Feeds each target to the model and returns it as a hypothesis with its log-probabilities and attention.
///
/// `pairs` are source ids (sentence end included) and target ids (sentence end left out; it is added and scored). A token
/// that every translation is forced to begin with is put before targets without it, at no cost, as in a search. The
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
    let sources: Vec<Source> = pairs.iter().map(|(ids, _)| Source { ids: ids.to_vec(), ..Source::default() }).collect();
    let pairs: Vec<(&Source, &[u32])> =
        sources.iter().zip(pairs).map(|(source, (_, target))| (source, *target)).collect();
    let forced = force_decode_with(model, &pairs, options, record, 0, workspace)?;
    Ok(forced.into_iter().map(|forced| forced.hypothesis).collect())
}

/// A target that was followed, and what else the model would have said at each of its tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forced {
    /// The target with its log-probabilities and attention.
    pub hypothesis: Hypothesis,
    /// The most probable tokens of each step, best first, `[ids.len() + 1, alternatives]`: the sentence end is the last step.
    pub alternatives: Vec<Vec<Candidate>>,
}

/// [`force_decode`] that also keeps the `alternatives` most probable tokens of each step; of the sources their pieces count.
///
/// # Errors
/// If the device cannot compute it.
///
/// # Panics
/// If a source is empty.
pub fn force_decode_with(
    model: &dyn Seq2Seq,
    pairs: &[(&Source, &[u32])],
    options: &SearchOptions,
    record: Record,
    alternatives: usize,
    workspace: &mut Workspace,
) -> Result<Vec<Forced>> {
    let record = options.record(record);
    let sources: Vec<&Source> = pairs.iter().map(|(source, _)| *source).collect();
    let begun = |target: &[u32]| match options.force_begin {
        Some(token) if target.first() != Some(&token) => [&[token], target].concat(),
        _ => target.to_vec(),
    };
    let targets: Vec<Vec<u32>> = pairs.iter().map(|(_, target)| begun(target)).collect();
    let mut decoder = start(model, &sources, record, workspace)?;
    let mut history = History::new(record, &*decoder);
    let mut results = vec![Forced::default(); pairs.len()];
    // (pair, last node, log-probability so far) of each decoder row.
    let mut rows: Vec<(usize, Option<u32>, f32)> = (0..pairs.len()).map(|pair| (pair, None, 0.0)).collect();
    let mut tokens = vec![options.start_token; rows.len()];
    let mut logits = Vec::new();
    let mut survivors = Vec::new();
    for at in 0.. {
        if rows.is_empty() {
            break;
        }
        let step = Step::along_target(options, at);
        decoder.step(&tokens, workspace)?;
        history.record_step(&*decoder, std::iter::repeat(true));
        decoder.logits(&mut logits, workspace)?;
        let vocabulary = logits.len() / rows.len();
        tokens.clear();
        survivors.clear();
        let mut next_row = 0;
        rows.retain_mut(|(pair, node, log_prob)| {
            let row = next_row;
            next_row += 1;
            let target = &targets[*pair];
            let token = target.get(at).copied().unwrap_or(options.end_token);
            let logits = &mut logits[row * vocabulary..][..vocabulary];
            let score = logits[token as usize];
            if options.renormalise {
                options.banned.iter().filter(|&&b| b != token).for_each(|&b| logits[b as usize] = f32::NEG_INFINITY);
            }
            let is_forced = at == 0 && options.force_begin == Some(token);
            let norm = log_sum_exp(logits);
            let token_log_prob = if is_forced { 0.0 } else { score - norm };
            if alternatives > 0 {
                let mut best = Vec::with_capacity(alternatives);
                best_candidates(logits, alternatives, &mut best);
                best.iter_mut().for_each(|candidate| candidate.log_prob -= norm);
                best.retain(|candidate| candidate.log_prob > f32::NEG_INFINITY);
                results[*pair].alternatives.push(best);
            }
            *log_prob += token_log_prob;
            let last = history.push(*node, token, token_log_prob, false, row);
            *node = Some(last);
            if at == target.len() {
                let finished = step.finish(last, Ending { ended: true, truncated: false }, *log_prob, &history);
                results[*pair].hypothesis = history.hypothesis(&finished, decoder.encoder_attention(*pair));
                return false;
            }
            tokens.push(token);
            survivors.push(row);
            true
        });
        if survivors.len() < decoder.rows() {
            decoder.select(&survivors)?;
        }
    }
    Ok(results)
}
