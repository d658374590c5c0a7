//! The requests of a job, a batch at a time, and those that come of their translations.

use std::cmp::Reverse;

use translate::metrics::{Chrf, rank_by_agreement};
use translate::model::Record;
use translate::pipeline::{BATCH_WEIGHT, BatchTranslator, in_batches};
use translate::protect::{Finish, FinishProtected};
use translate::{Request, Result, Translation, Workspace};

use super::job::TranslationJob;

/// So many hypotheses take a step together in about the time that one alone takes: weights are read once for all.
const WORTH_ONE: usize = 16;

/// What a token usually has at least, in bytes.
const LETTERS_OF_A_TOKEN: usize = 4;

impl TranslationJob {
    /// Whether the search lets sentences begin as others end, so that it may get any number of them.
    pub(super) fn flows(&self) -> bool {
        self.options.sampling.is_none() && self.options.beam_groups <= 1
    }

    /// Translates requests: each result goes to `done` with the number of its request, and the requests that `done` returns are
    /// translated, too, numbered on from those so far.
    pub(super) fn translate_requests(
        &self,
        requests: Vec<Request>,
        record: Record,
        workspace: &mut Workspace,
        done: &mut FinishProtected<'_>,
    ) -> Result<()> {
        let Some(protection) = &self.protection else {
            let done = &mut |number, translation: Translation| done(number, translation.into());
            return self.translate_all(requests, record, workspace, done);
        };
        let together = (WORTH_ONE / self.options.beam_size.max(1)).min(self.batch_size);
        let translate = |requests, finish: &mut Finish<'_>| self.translate_all(requests, record, workspace, finish);
        protection.translate(&self.translator, requests, together, translate, &mut |number, mut protected| {
            if record == Record::default() {
                // It has done its work, and many translations may wait for an earlier one to be written.
                protected.translation.forget_attention();
            }
            done(number, protected)
        })
    }

    /// Translates requests and those that `finish` makes of their translations, numbered on from those so far.
    fn translate_all(
        &self,
        requests: Vec<Request>,
        record: Record,
        workspace: &mut Workspace,
        finish: &mut Finish<'_>,
    ) -> Result<()> {
        let mut options = self.options.clone();
        (options.most_sentences, options.most_tokens) = (self.batch_size, BATCH_WEIGHT / LETTERS_OF_A_TOKEN);
        let flows = self.flows();
        // Whoever asks for attention asks for all of it.
        let is_asked = record != Record::default();
        let as_asked = |own: Request| Request { unrecorded: own.unrecorded && !is_asked, ..own };
        let keep = |texts: &mut Vec<String>, requests: &[Request]| {
            if self.replace_unknown {
                texts.extend(requests.iter().map(|own| own.text.clone()));
            }
        };
        // With their numbers.
        let mut waiting: Vec<(usize, Request)> = requests.into_iter().map(as_asked).enumerate().collect();
        let mut count = waiting.len();
        while !waiting.is_empty() {
            let mut next = Vec::new();
            for batch in self.batches(waiting, is_asked) {
                let (mut numbers, batch): (Vec<usize>, Vec<Request>) = batch.into_iter().unzip();
                let mut texts = Vec::new();
                keep(&mut texts, &batch);
                // What is put back by attention needs it, whether it is asked for or not; so may what joins the search later.
                let is_wanted = || flows || batch.iter().any(|own| !own.unrecorded);
                let cross = record.cross || (self.protection.is_some() && is_wanted());
                let record = Record { cross, ..record };
                self.translator.translate_on(batch, &options, record, workspace, &mut |own, mut translation| {
                    if let Some(count) = self.n_best {
                        keep_agreed(&mut translation, count);
                    }
                    if self.replace_unknown {
                        self.replace_unknown(&texts[own], &mut translation);
                    }
                    let further: Vec<Request> = finish(numbers[own], translation)?.into_iter().map(as_asked).collect();
                    let new = count..count + further.len();
                    count = new.end;
                    if flows {
                        numbers.extend(new);
                        keep(&mut texts, &further);
                        return Ok(further);
                    }
                    next.extend(new.zip(further));
                    Ok(Vec::new())
                })?;
            }
            waiting = next;
        }
        Ok(())
    }

    /// Requests of about the same length, a batch at a time; those whose attention is recorded are together. Those that
    /// can flow are one batch, unless attention is asked for, as that of all would be kept.
    fn batches(&self, mut waiting: Vec<(usize, Request)>, is_asked: bool) -> Vec<Vec<(usize, Request)>> {
        waiting.sort_by_key(|(_, own)| Reverse(own.text.len()));
        if self.flows() && !is_asked {
            return vec![waiting];
        }
        waiting.sort_by_key(|(_, own)| own.unrecorded);
        let weighed = waiting.into_iter().map(|own| {
            let weight = self.weigh(&own.1.text);
            (own, weight)
        });
        in_batches(weighed, self.batch_size, BATCH_WEIGHT)
    }
}

/// Keeps the translations that the others agree with most, best first.
fn keep_agreed(translation: &mut Translation, count: usize) {
    let texts: Vec<&str> = translation.candidates.iter().map(|candidate| candidate.text.as_str()).collect();
    let ranked = rank_by_agreement(&Chrf::default(), &texts);
    let kept = ranked.iter().take(count).map(|&(place, _)| translation.candidates[place].clone());
    translation.candidates = kept.collect();
}
