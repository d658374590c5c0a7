//! Greedy, beam and sampled search over [`Seq2Seq`]; forced decoding of a given target.
//!
//! Every sentence has its own beam, its own limits and its own end: a finished sentence leaves the batch at once, and no
//! number depends on what else was in it.

mod beam;
mod constraints;
mod flow;
mod forced;
mod greedy;
mod history;
mod options;
mod proposals;
mod scores;
mod step;

pub use constraints::{Constraints, Form};
pub use flow::WORTH_JOINING;
pub use forced::{Forced, force_decode, force_decode_with};
pub use options::{CoveragePenalty, GREEDY_BEAM, Sampling, SearchOptions};

use crate::Result;
use crate::compute::Workspace;
pub use crate::layouts::EarlyStopping;
use crate::model::{Attention, Decoder, MemberSource, Record, Seq2Seq};

/// One sentence to translate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// Piece ids, sentence end included; not empty.
    pub ids: Vec<u32>,
    /// Target pieces the translation must start with. They are part of the output but not of its score or length.
    pub prefix: Vec<u32>,
    /// At most this many generated tokens, sentence end included; the smaller of this and the options' limits counts.
    pub max_length: Option<usize>,
    /// How the translation begins, where it is not as the options say.
    pub beginning: Option<Beginning>,
    /// Words the translation must have.
    pub constraints: Constraints,
    /// The source as the other members of an ensemble get it.
    pub others: Vec<OtherSource>,
    /// Whether its attention is not kept, even if that of others is recorded.
    pub unrecorded: bool,
}

/// A source as another member of an ensemble gets it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtherSource {
    /// Its ids, sentence end included; not empty.
    pub ids: Vec<u32>,
    /// What the member's decoder is fed first.
    pub start: u32,
}

/// Starts decoding a batch.
fn start<'m>(
    model: &'m dyn Seq2Seq,
    sources: &[&Source],
    record: Record,
    workspace: &mut Workspace,
) -> Result<Box<dyn Decoder + 'm>> {
    if sources.iter().all(|source| source.others.is_empty()) {
        let ids: Vec<&[u32]> = sources.iter().map(|source| source.ids.as_slice()).collect();
        return model.start(&ids, record, workspace);
    }
    let mut members = Vec::with_capacity(sources.len());
    for source in sources {
        let others = source.others.iter().map(|other| MemberSource { ids: &other.ids, start: Some(other.start) });
        members.push(std::iter::once(MemberSource { ids: &source.ids, start: None }).chain(others).collect());
    }
    model.start_each(&members, record, workspace)
}

/// The tokens a translation begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beginning {
    /// What the decoder is fed first.
    pub start: u32,
    /// The first token of a translation without a prefix, whatever the model says.
    pub first: Option<u32>,
}

/// One finished translation of one sentence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hypothesis {
    /// Target piece ids, forced prefix included, sentence end left out.
    pub ids: Vec<u32>,
    /// Whether the sentence end was generated; if so it has a row in the attention and a log-probability.
    pub ended: bool,
    /// Whether the length limit ended the sentence, as it was or with a forced end.
    pub truncated: bool,
    /// Log-probability of each generated token, `[ids.len() − prefix + ended]`: the sentence end is the last.
    pub token_log_probs: Vec<f32>,
    /// Sum of `token_log_probs`.
    pub log_prob: f32,
    /// What hypotheses are ranked by: `log_prob / length^length_penalty` plus the coverage penalty.
    pub score: f32,
    /// Encoder-decoder attention, if recorded: rows are target steps (sentence end included), columns source tokens.
    pub cross_attention: Option<Attention>,
    /// Masked decoder self-attention, if recorded.
    pub decoder_attention: Option<Attention>,
    /// Encoder self-attention, if recorded.
    pub encoder_attention: Option<Attention>,
}

impl Hypothesis {
    /// Whether the tail of the hypothesis is one run of 1 to 8 tokens repeated at least four times over (eight times for
    /// a single token): the mark of a decoder that has lost its way.
    pub fn is_looping(&self) -> bool {
        (1..=8).any(|period| {
            let needed = if period == 1 { 8 } else { 4 * period };
            self.ids.len().checked_sub(needed).is_some_and(|start| {
                let tail = &self.ids[start..];
                tail.iter().zip(&tail[period..]).all(|(a, b)| a == b)
            })
        })
    }
}

/// Takes the hypotheses of a sentence, by its number, and says which further sentences come of them.
pub type Finish<'f> = dyn FnMut(usize, Vec<Hypothesis>) -> Result<Vec<Source>> + 'f;

/// Translates sentences: for each source up to `options.n_best` hypotheses, best first; sampled ones in the order of drawing, and
/// without constraints.
///
/// # Errors
/// If the device cannot compute it.
///
/// # Panics
/// If a source is empty.
pub fn search(
    model: &dyn Seq2Seq,
    sources: &[Source],
    options: &SearchOptions,
    record: Record,
    workspace: &mut Workspace,
) -> Result<Vec<Vec<Hypothesis>>> {
    let mut results = vec![Vec::new(); sources.len()];
    search_on(model, sources.to_vec(), options, record, workspace, &mut |sentence, found| {
        results[sentence] = found;
        Ok(Vec::new())
    })?;
    Ok(results)
}

/// The same, sentence by sentence: each goes to `finish` when it has ended, and what `finish` returns is translated, too, numbered
/// on from the sentences so far.
///
/// # Errors
/// As [`search`], and those of `finish`.
///
/// # Panics
/// If a source is empty.
pub fn search_on(
    model: &dyn Seq2Seq,
    sources: Vec<Source>,
    options: &SearchOptions,
    record: Record,
    workspace: &mut Workspace,
    finish: &mut Finish<'_>,
) -> Result<()> {
    let is_plain = |source: &Source| source.constraints.is_empty() || options.sampling.is_some();
    let mut count = sources.len();
    let mut waiting: Vec<(usize, Source)> = sources.into_iter().enumerate().collect();
    while !waiting.is_empty() {
        let (plain, constrained): (Vec<_>, Vec<_>) = waiting.drain(..).partition(|(_, source)| is_plain(source));
        let (mut numbers, sources): (Vec<usize>, Vec<Source>) = plain.into_iter().unzip();
        let mut take = |number: usize, found: Vec<Hypothesis>, numbers: &mut Vec<usize>| -> Result<Vec<Source>> {
            let further = finish(number, found)?.into_iter().zip(count..).map(|(source, number)| (number, source));
            let further: Vec<(usize, Source)> = further.collect();
            count += further.len();
            let (plain, constrained): (Vec<_>, Vec<_>) = further.into_iter().partition(|(_, source)| is_plain(source));
            waiting.extend(constrained);
            let (own, sources): (Vec<usize>, Vec<Source>) = plain.into_iter().unzip();
            numbers.extend(own);
            Ok(sources)
        };
        if !sources.is_empty() {
            let search =
                if options.beam_size <= 1 || options.sampling.is_some() { greedy::search } else { beam::search };
            let take = &mut |sentence: usize, found| take(numbers[sentence], found, &mut numbers);
            search(model, sources, options, record, workspace, take)?;
        }
        let (numbers, sources): (Vec<usize>, Vec<Source>) = constrained.into_iter().unzip();
        let found = search_constrained(model, sources, &options.constrained(), record, workspace)?;
        let mut next = Vec::new();
        for (number, found) in numbers.into_iter().zip(found) {
            let mut own = Vec::new();
            let plain = take(number, found, &mut own)?;
            next.extend(own.into_iter().zip(plain));
        }
        waiting.extend(next);
    }
    Ok(())
}

/// Searches with constraints. Where some cannot be met, the search went on to the limit in vain, so it is done again without them.
fn search_constrained(
    model: &dyn Seq2Seq,
    mut sources: Vec<Source>,
    options: &SearchOptions,
    record: Record,
    workspace: &mut Workspace,
) -> Result<Vec<Vec<Hypothesis>>> {
    let mut results = vec![Vec::new(); sources.len()];
    let mut waiting: Vec<usize> = (0..sources.len()).collect();
    while !waiting.is_empty() {
        let (with, without): (Vec<usize>, Vec<usize>) =
            waiting.iter().partition(|&&at| !sources[at].constraints.is_empty());
        waiting.clear();
        for places in [with, without] {
            let own: Vec<Source> = places.iter().map(|&at| sources[at].clone()).collect();
            if own.is_empty() {
                continue;
            }
            let mut all = vec![Vec::new(); own.len()];
            beam::search(model, own, options, record, workspace, &mut |sentence, found| {
                all[sentence] = found;
                Ok(Vec::new())
            })?;
            for (at, found) in places.into_iter().zip(all) {
                let constraints = &sources[at].constraints;
                let tokens = found.first().map_or(&[][..], |best: &Hypothesis| &best.ids);
                let progress = constraints.along(tokens);
                if constraints.unmet(&progress) > 0 {
                    sources[at].constraints = constraints.met_by(&progress);
                    waiting.push(at);
                } else {
                    results[at] = found;
                }
            }
        }
        waiting.sort_unstable();
    }
    Ok(results)
}
