//! Sentences that begin as others end, so that every step has about as many rows.

use std::collections::VecDeque;
use std::rc::Rc;

use super::{SearchOptions, Source, start};
use crate::Result;
use crate::compute::Workspace;
use crate::model::{Decoder, Record, Seq2Seq};

/// Sentences join others once there is room for a quarter of all: what is encoded a few at a time takes longer.
pub const WORTH_JOINING: usize = 4;

/// Sentences on their way, and the decoder of those that have begun. Nothing is kept of those that have ended.
pub(super) struct Flow<'m> {
    model: &'m dyn Seq2Seq,
    record: Record,
    /// The most sentences that are under way, and the most tokens of theirs.
    most: usize,
    most_tokens: usize,
    /// Rows that each sentence begins with.
    copies: usize,
    /// Those that have not begun with their numbers, the next first.
    waiting: VecDeque<(usize, Rc<Source>)>,
    pub(super) decoder: Box<dyn Decoder + 'm>,
    /// Sentences so far, and those that the decoder has had.
    count: usize,
    begun: usize,
}

/// A sentence that begins.
pub(super) struct Begun {
    /// Its number.
    pub(super) number: usize,
    /// Its place in the decoder.
    pub(super) place: usize,
    pub(super) source: Rc<Source>,
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
    ) -> Result<(Self, Vec<Begun>)> {
        let count = sources.len();
        let (most, most_tokens) = (options.most_sentences.max(1), options.most_tokens);
        let mut waiting: VecDeque<(usize, Rc<Source>)> = sources.into_iter().map(Rc::new).enumerate().collect();
        let first: Vec<(usize, Rc<Source>)> = waiting.drain(..fitting(&waiting, most, most_tokens, 0).0).collect();
        let decoder = start_copies(model, &first, copies, record, workspace)?;
        let mut flow = Self { model, record, most, most_tokens, copies, waiting, decoder, count, begun: 0 };
        let begun = flow.give_places(first);
        Ok((flow, begun))
    }

    /// Adds sentences, which go before those that wait: what has to be done again would else be what is left over at the end.
    pub(super) fn add(&mut self, sources: Vec<Source>) {
        let numbers = self.count..;
        self.count += sources.len();
        for own in numbers.zip(sources.into_iter().map(Rc::new)).collect::<Vec<_>>().into_iter().rev() {
            self.waiting.push_front(own);
        }
    }

    /// The sentences that begin now, while rows or groups of those of `sources` are under way; their rows follow those of the others.
    pub(super) fn begin<'s>(
        &mut self,
        sources: impl ExactSizeIterator<Item = &'s Rc<Source>>,
        workspace: &mut Workspace,
    ) -> Result<Vec<Begun>> {
        if self.waiting.is_empty() {
            return Ok(Vec::new());
        }
        let under_way = sources.len().div_ceil(self.copies);
        let tokens = sources.map(|source| source.ids.len()).sum::<usize>() / self.copies;
        let (count, more) = fitting(&self.waiting, self.most.saturating_sub(under_way), self.most_tokens, tokens);
        // A few that are left over wait until there are about as few others.
        let is_worth_it = count >= self.most.div_ceil(WORTH_JOINING)
            || more >= self.most_tokens.div_ceil(WORTH_JOINING)
            || count == self.waiting.len() && 2 * count >= under_way;
        let can_join = self.copies == 1 && self.model.joins();
        if count == 0 || under_way > 0 && !(can_join && is_worth_it) {
            return Ok(Vec::new());
        }
        let next: Vec<(usize, Rc<Source>)> = self.waiting.drain(..count).collect();
        if under_way == 0 {
            self.decoder = start_copies(self.model, &next, self.copies, self.record, workspace)?;
            self.begun = 0;
        } else {
            let ids: Vec<&[u32]> = next.iter().map(|(_, source)| &source.ids[..]).collect();
            self.decoder.join(&ids, workspace)?;
        }
        Ok(self.give_places(next))
    }

    /// Gives sentences that the decoder has got their places.
    fn give_places(&mut self, sentences: Vec<(usize, Rc<Source>)>) -> Vec<Begun> {
        let places = self.begun..;
        self.begun += sentences.len();
        places.zip(sentences).map(|(place, (number, source))| Begun { number, place, source }).collect()
    }
}

/// How many of those that wait, `most` of them, fit beside so many tokens, and how many tokens they have.
fn fitting(
    waiting: &VecDeque<(usize, Rc<Source>)>,
    most: usize,
    most_tokens: usize,
    under_way: usize,
) -> (usize, usize) {
    let (mut count, mut tokens) = (0, 0);
    for (_, source) in waiting.iter().take(most) {
        let more = tokens + source.ids.len();
        if under_way + more > most_tokens && under_way + tokens > 0 {
            break;
        }
        (count, tokens) = (count + 1, more);
    }
    (count, tokens)
}

/// Starts decoding sentences with so many rows of each.
fn start_copies<'m>(
    model: &'m dyn Seq2Seq,
    sentences: &[(usize, Rc<Source>)],
    copies: usize,
    record: Record,
    workspace: &mut Workspace,
) -> Result<Box<dyn Decoder + 'm>> {
    let sources: Vec<&Source> = sentences.iter().map(|(_, source)| &**source).collect();
    let mut decoder = start(model, &sources, record, workspace)?;
    if copies > 1 {
        decoder.select(&(0..sources.len() * copies).map(|row| row / copies).collect::<Vec<_>>())?;
    }
    Ok(decoder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sentences_take_the_room_of_several_and_one_always_fits() {
        let source = |length: usize| (0, Rc::new(Source { ids: vec![0; length], ..Source::default() }));
        let waiting: VecDeque<_> = [9, 2, 2, 2].into_iter().map(source).collect();
        assert_eq!(fitting(&waiting, 8, usize::MAX, 0), (4, 15));
        assert_eq!(fitting(&waiting, 3, usize::MAX, 100), (3, 13));
        assert_eq!(fitting(&waiting, 8, 12, 0), (2, 11));
        assert_eq!(fitting(&waiting, 8, 5, 0), (1, 9));
        assert_eq!(fitting(&waiting, 8, 5, 1), (0, 0));
    }
}
