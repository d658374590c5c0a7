//! Sentences that begin as others end, so that every step has about as many rows.

use std::collections::VecDeque;
use std::rc::Rc;

use super::{SearchOptions, Source, start};
use crate::Result;
use crate::compute::Workspace;
use crate::model::{Decoder, Record, Seq2Seq};

/// Sentences join others once there is room for a quarter of all: what is encoded a few at a time takes longer.
const WORTH_JOINING: usize = 4;

/// Sentences on their way, and the decoder of those that have begun.
pub(super) struct Flow<'m> {
    model: &'m dyn Seq2Seq,
    record: Record,
    /// The most sentences that are under way.
    most: usize,
    /// Rows that each sentence begins with.
    copies: usize,
    sources: Vec<Rc<Source>>,
    /// Those that have not begun, the next first.
    waiting: VecDeque<usize>,
    /// The place of each in the decoder that it began with.
    places: Vec<usize>,
    pub(super) decoder: Box<dyn Decoder + 'm>,
    /// Sentences that the decoder has had.
    begun: usize,
    can_join: bool,
}

impl<'m> Flow<'m> {
    /// Begins with as many of the sentences, of which there is one at least, as `options` let; each with `copies` rows. Where that is
    /// one row others may join.
    pub(super) fn new(
        model: &'m dyn Seq2Seq,
        sources: Vec<Source>,
        options: &SearchOptions,
        record: Record,
        copies: usize,
        workspace: &mut Workspace,
    ) -> Result<Self> {
        let sources: Vec<Rc<Source>> = sources.into_iter().map(Rc::new).collect();
        let most = options.most_sentences.max(1);
        let begun = sources.len().min(most);
        let first: Vec<&Source> = sources[..begun].iter().map(|source| &**source).collect();
        let decoder = start_copies(model, &first, copies, record, workspace)?;
        let waiting = (begun..sources.len()).collect();
        Ok(Self {
            model,
            record,
            most,
            copies,
            waiting,
            places: (0..sources.len()).collect(),
            sources,
            decoder,
            begun,
            can_join: copies == 1,
        })
    }

    /// The first sentences to begin.
    pub(super) fn first(&self) -> std::ops::Range<usize> {
        0..self.begun
    }

    /// A sentence by its number.
    pub(super) fn source(&self, number: usize) -> Rc<Source> {
        Rc::clone(&self.sources[number])
    }

    /// The place of a sentence in the decoder.
    pub(super) fn place(&self, number: usize) -> usize {
        self.places[number]
    }

    /// Adds sentences, which go before those that wait: what has to be done again would else be what is left over at the end.
    pub(super) fn add(&mut self, sources: Vec<Source>) {
        for source in sources {
            self.waiting.push_front(self.sources.len());
            self.places.push(0);
            self.sources.push(Rc::new(source));
        }
    }

    /// The sentences that begin now, while `rows` or groups of them are under way; their rows follow those of the others.
    pub(super) fn begin(&mut self, rows: usize, workspace: &mut Workspace) -> Result<Vec<usize>> {
        let under_way = rows.div_ceil(self.copies);
        let count = self.waiting.len().min(self.most.saturating_sub(under_way));
        // A few that are left over wait until there are about as few others.
        let is_worth_it =
            count >= self.most.div_ceil(WORTH_JOINING) || count == self.waiting.len() && 2 * count >= under_way;
        if count == 0 || under_way > 0 && !(self.can_join && is_worth_it) {
            return Ok(Vec::new());
        }
        let next: Vec<usize> = self.waiting.iter().copied().take(count).collect();
        let sources: Vec<&Source> = next.iter().map(|&number| &*self.sources[number]).collect();
        if under_way == 0 {
            self.decoder = start_copies(self.model, &sources, self.copies, self.record, workspace)?;
            self.begun = 0;
        } else {
            let ids: Vec<&[u32]> = sources.iter().map(|source| &source.ids[..]).collect();
            let is_simple = sources.iter().all(|source| source.others.is_empty());
            self.can_join = is_simple && self.decoder.join(&ids, workspace)?;
            if !self.can_join {
                return Ok(Vec::new());
            }
        }
        for &number in &next {
            self.places[number] = self.begun;
            self.begun += 1;
        }
        self.waiting.drain(..count);
        Ok(next)
    }
}

/// Starts decoding sentences with so many rows of each.
fn start_copies<'m>(
    model: &'m dyn Seq2Seq,
    sources: &[&Source],
    copies: usize,
    record: Record,
    workspace: &mut Workspace,
) -> Result<Box<dyn Decoder + 'm>> {
    let mut decoder = start(model, sources, record, workspace)?;
    if copies > 1 {
        decoder.select(&(0..sources.len() * copies).map(|row| row / copies).collect::<Vec<_>>())?;
    }
    Ok(decoder)
}
