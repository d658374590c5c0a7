//! Beam search with Hugging Face's `generate()` semantics, and the other engines' stopping rules; with words that have to appear
//! (`constraints.rs`) and in groups.

mod hypotheses;

use self::hypotheses::{Beam, Offers};
use super::history::History;
use super::proposals::Proposals;
use super::step::Step;
use super::{Hypothesis, SearchOptions, Source, start};
use crate::Result;
use crate::compute::Workspace;
use crate::model::{Candidate, Normalise, Record, Seq2Seq, best_candidates};

/// Searches with sentences that all have constraints, or none of which has any.
pub(super) fn search(
    model: &dyn Seq2Seq,
    sources: &[Source],
    options: &SearchOptions,
    record: Record,
    workspace: &mut Workspace,
) -> Result<Vec<Vec<Hypothesis>>> {
    let record = options.record(record);
    let mut decoder = start(model, &sources.iter().collect::<Vec<_>>(), record, workspace)?;
    let mut history = History::new(record, &*decoder);
    let is_constrained = sources.iter().any(|source| !source.constraints.is_empty());
    let groups = options.groups();
    let mut results: Vec<Vec<Hypothesis>> = vec![Vec::new(); sources.len()];
    let mut beams: Vec<Beam> =
        (0..sources.len() * groups).map(|row| Beam::new(row / groups, row, &sources[row / groups], options)).collect();
    if groups > 1 {
        decoder.select(&beams.iter().map(|beam| beam.index).collect::<Vec<_>>())?;
    }
    let normalise = if options.renormalise { Normalise::Allowed } else { Normalise::All };
    // 2·beam candidates leave `beam` to go on with when all of the first half end (one end token exists); tokens of other groups
    // may fall behind as many more.
    let width = 2 * options.beam_size / groups + if groups > 1 { options.beam_size } else { 0 };
    let mut proposals = Proposals::new(width);
    let mut tokens: Vec<u32> = beams.iter().map(|beam| options.beginning(beam.source).start).collect();
    let mut rows = Vec::new();
    let mut extensions = Vec::new();
    let mut offers: Vec<Offers> = Vec::new();

    for at in 0.. {
        if beams.is_empty() {
            break;
        }
        decoder.step(&tokens, workspace)?;
        history.record_step(&*decoder);
        if is_constrained {
            offers.resize_with(decoder.rows(), Offers::default);
            let mut free = offers.iter_mut();
            let rows = beams.iter().flat_map(|beam| {
                let step = Step::new(options, beam.source, at);
                beam.running.iter().map(move |running| (beam, running, step))
            });
            let rows = rows.filter_map(|(beam, running, step)| {
                let own = free.next()?;
                beam.source.constraints.next(&beam.progress[running.progress], &mut own.constrained);
                Some((running.node, step, (own, 2 * beam.width)))
            });
            let choose = |logits: &[f32], (own, width): (&mut Offers, usize), _: &mut Vec<Candidate>| {
                own.choose(logits, width);
            };
            proposals.chosen(&mut *decoder, rows, choose, &history, options, workspace)?;
        } else if options.needs_logits() {
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
        // What the groups before one have chosen in this step for the same sentence.
        let (mut sentence, mut others) = (None, 0);
        tokens.clear();
        rows.clear();
        beams.retain_mut(|beam| {
            let step = Step::new(options, beam.source, at);
            if sentence != Some(beam.index) {
                (sentence, others) = (Some(beam.index), tokens.len());
            }
            if is_constrained {
                beam.allocate(&offers, &mut extensions, step, options.end_token);
            } else {
                let width = 2 * beam.width;
                beam.extend(&proposals, &mut extensions, step, width, &tokens[others..], options.diversity);
            }
            if beam.advance(&extensions, &mut history, options, step) {
                let best = beam.finished.iter().take(options.n_best);
                let attention = decoder.encoder_attention(beam.index);
                results[beam.index].extend(best.map(|finished| history.hypothesis(finished, attention)));
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
    if groups > 1 {
        for hypotheses in &mut results {
            hypotheses.sort_by(|a, b| b.score.total_cmp(&a.score));
            hypotheses.truncate(options.n_best);
        }
    }
    Ok(results)
}
