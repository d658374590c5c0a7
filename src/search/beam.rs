//! Beam search with Hugging Face's `generate()` semantics, and the other engines' stopping rules; with words that have to appear
//! (`constraints.rs`) and in groups.

mod hypotheses;

use self::hypotheses::{Beam, Offers};
use std::rc::Rc;

use super::flow::Flow;
use super::history::History;
use super::proposals::Proposals;
use super::step::Step;
use super::{Finish, Hypothesis, SearchOptions, Source};
use crate::Result;
use crate::compute::Workspace;
use crate::model::{Candidate, Normalise, Record, Seq2Seq, best_candidates};

/// Searches with sentences that all have constraints, or none of which has any.
pub(super) fn search(
    model: &dyn Seq2Seq,
    sources: Vec<Source>,
    options: &SearchOptions,
    record: Record,
    workspace: &mut Workspace,
    finish: &mut Finish<'_>,
) -> Result<()> {
    let record = options.record(record);
    let is_constrained = sources.iter().any(|source| !source.constraints.is_empty());
    let groups = options.groups();
    let (mut flow, mut next) = Flow::new(model, sources, options, record, groups, workspace)?;
    let mut history = History::new(record, &*flow.decoder);
    // Sentences with the groups of them that have ended, and the best of those.
    let mut results: Vec<(usize, usize, Vec<Hypothesis>)> = Vec::new();
    let mut beams: Vec<Beam> = Vec::new();
    let normalise = if options.renormalise { Normalise::Allowed } else { Normalise::All };
    // 2·beam candidates leave `beam` to go on with when all of the first half end (one end token exists); tokens of other groups
    // may fall behind as many more.
    let width = 2 * options.beam_size / groups + if groups > 1 { options.beam_size } else { 0 };
    let mut proposals = Proposals::new(width);
    let mut tokens: Vec<u32> = Vec::new();
    let mut rows = Vec::new();
    let mut extensions = Vec::new();
    let mut offers: Vec<Offers> = Vec::new();

    while !beams.is_empty() || !next.is_empty() {
        for begun in next.iter().flat_map(|begun| std::iter::repeat_n(begun, groups)) {
            let start = options.beginning(&begun.source).start;
            beams.push(Beam::new(begun, tokens.len(), options));
            tokens.push(start);
        }
        let decoder = &mut *flow.decoder;
        decoder.step(&tokens, workspace)?;
        let wanted = beams.iter().flat_map(|beam| beam.running.iter().map(|_| options.keeps_attention(&beam.source)));
        history.record_step(decoder, wanted);
        if is_constrained {
            offers.resize_with(decoder.rows(), Offers::default);
            let mut free = offers.iter_mut();
            let rows = beams.iter().flat_map(|beam| {
                let step = Step::new(options, &beam.source, beam.at);
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
            proposals.chosen(decoder, rows, choose, &history, options, workspace)?;
        } else if options.needs_logits() {
            let rows = beams.iter().flat_map(|beam| {
                let step = Step::new(options, &beam.source, beam.at);
                beam.running.iter().map(move |running| (running.node, step, ()))
            });
            let choose = |logits: &[f32], (), best: &mut Vec<Candidate>| best_candidates(logits, width, best);
            proposals.chosen(decoder, rows, choose, &history, options, workspace)?;
        } else {
            let steps = beams
                .iter()
                .flat_map(|beam| beam.running.iter().map(move |_| Step::new(options, &beam.source, beam.at)));
            proposals.best(decoder, steps, options, normalise, workspace)?;
        }
        // What the groups before one have chosen in this step for the same sentence.
        let (mut sentence, mut others) = (None, 0);
        tokens.clear();
        rows.clear();
        beams.retain_mut(|beam| {
            let source = Rc::clone(&beam.source);
            let step = Step::new(options, &source, beam.at);
            beam.at += 1;
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
                let attention = flow.decoder.encoder_attention(beam.place);
                let best = best.map(|finished| {
                    let mut hypothesis = history.hypothesis(finished, attention);
                    hypothesis.cross_attention.take_if(|_| source.unrecorded);
                    hypothesis
                });
                match results.iter_mut().find(|(sentence, ..)| *sentence == beam.index) {
                    Some((_, ended, found)) => {
                        *ended += 1;
                        found.extend(best);
                    }
                    None => results.push((beam.index, 1, best.collect())),
                }
                return false;
            }
            for running in &mut beam.running {
                rows.push(running.row);
                running.row = tokens.len();
                tokens.push(history.last_token(running.node));
            }
            true
        });
        flow.decoder.select(&rows)?;
        for (sentence, _, mut found) in results.extract_if(.., |(_, ended, _)| *ended == groups) {
            if groups > 1 {
                found.sort_by(|a, b| b.score.total_cmp(&a.score));
                found.truncate(options.n_best);
            }
            flow.add(finish(sentence, found)?);
        }
        history.tidy(|visit| beams.iter_mut().for_each(|beam| beam.nodes().for_each(&mut *visit)));
        next = flow.begin(beams.iter().map(|beam| &beam.source), workspace)?;
    }
    Ok(())
}
