//! A text as the model gets it, some of its spans cut out or stood in for, and the way back.

use std::ops::Range;

use super::spans::{Side, Span};

/// What is done about a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// The model gets it as it is.
    Keep,
    /// The model gets the sentence without it.
    Cut,
    /// The model gets another word in its place, and writes the second of these for it.
    StandIn(&'static str, &'static str),
}

/// A text with changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Variant {
    pub(super) text: String,
    /// For each changed span its number, where it was in the old text, with the white space that went with it, and what came
    /// of it in the new.
    pub(super) changes: Vec<Change>,
}

#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) span: usize,
    pub(super) old: Range<usize>,
    pub(super) new: Range<usize>,
}

impl Variant {
    /// Treats each span of a text as it is said.
    pub(super) fn new(text: &str, spans: &[Span], sides: &[Side], treatments: &[Treatment]) -> Self {
        let mut variant = Self::default();
        let mut at = 0;
        let mut next = 0;
        while next < spans.len() {
            let span = &spans[next].bytes;
            match treatments[next] {
                Treatment::Keep => next += 1,
                Treatment::StandIn(word, _) => {
                    variant.text.push_str(&text[at..span.start]);
                    let start = variant.text.len();
                    variant.text.push_str(word);
                    variant.changes.push(Change { span: next, old: span.clone(), new: start..variant.text.len() });
                    at = span.end;
                    next += 1;
                }
                Treatment::Cut => {
                    let blank = |a: &Span, b: &Span| text[a.bytes.end..b.bytes.start].trim().is_empty();
                    let last = (next + 1..spans.len())
                        .take_while(|&other| {
                            treatments[other] == Treatment::Cut && blank(&spans[other - 1], &spans[other])
                        })
                        .last()
                        .unwrap_or(next);
                    at = variant.cut(text, at, spans, sides, next..last + 1);
                    next = last + 1;
                }
            }
        }
        variant.text.push_str(&text[at..]);
        variant
    }

    /// Copies from `at` up to a group of spans with nothing but white space between them, and leaves the group out. Returns
    /// where the text goes on.
    fn cut(&mut self, text: &str, at: usize, spans: &[Span], sides: &[Side], group: Range<usize>) -> usize {
        let (first, last) = (&spans[group.start].bytes, &spans[group.end - 1].bytes);
        let before = text[at..first.start].trim_end();
        let start = at + before.len();
        self.text.push_str(before);
        let rest = text[last.end..].trim_start();
        let end = text.len() - rest.len();
        let (left, right) = (self.text.chars().next_back(), rest.chars().next());
        let space_before = start < first.start;
        let is_spaced = text[start..end].contains(char::is_whitespace);
        let is_within = group.clone().all(|span| sides[span] != Side::Alone);
        let joint = match (left, right) {
            (None, _) | (_, None) => "",
            // Of `Bild 👍!` the mark is the word's.
            (_, Some(c)) if space_before && last.end == end && ".,;:!?)]”…".contains(c) => "",
            (Some(c), _) if "([„".contains(c) => "",
            _ if is_spaced => " ",
            (Some(left), Some(right)) if !is_within && left.is_alphanumeric() && right.is_alphanumeric() => " ",
            _ => "",
        };
        let (behind, ahead) = (self.text.len(), self.text.len() + joint.len());
        let mut is_ahead = space_before;
        for span in group.clone() {
            // Behind the space once there was one, or where it belongs to what follows.
            let bytes = &spans[span].bytes;
            let place = if is_ahead || (!is_spaced && sides[span] == Side::Opens) { ahead } else { behind };
            is_ahead |= text[bytes.end..].starts_with(char::is_whitespace);
            let new_end = if span + 1 == group.end { ahead } else { place };
            self.changes.push(Change { span, old: start..end, new: place..new_end });
        }
        self.text.push_str(joint);
        end
    }

    /// Where a byte of the new text was in the old one.
    pub(super) fn origin(&self, byte: usize) -> usize {
        let passed = self.changes.iter().rev().find(|change| change.new.start <= byte);
        passed.map_or(byte, |change| match byte < change.new.end {
            true => change.old.start,
            false => change.old.end + byte - change.new.end,
        })
    }
}

/// What is changed in a translation: pieces of it are replaced, in the order of their places.
#[derive(Clone, Debug, Default)]
pub(super) struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// Replaces `old`. Of several insertions in one place the first comes first.
    pub(super) fn push(&mut self, old: Range<usize>, new: impl Into<String>) {
        let at = self.0.partition_point(|(other, _)| (other.start, other.end) <= (old.start, old.end));
        self.0.insert(at, (old, new.into()));
    }

    /// The changed text.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut changed = String::with_capacity(text.len() + 64);
        let mut at = 0;
        for (old, new) in &self.0 {
            let start = old.start.max(at);
            changed.push_str(&text[at..start]);
            changed.push_str(new);
            at = old.end.max(start);
        }
        changed + &text[at..]
    }

    /// Where a byte of the text is in the changed one.
    pub(super) fn place(&self, byte: usize) -> usize {
        let mut place = byte;
        for (old, new) in self.0.iter().filter(|(old, _)| old.start <= byte && (old.end <= byte || !old.is_empty())) {
            if old.end <= byte {
                place = place + new.len() - old.len();
            } else {
                return place + old.start - byte;
            }
        }
        place
    }
}

/// A translation of a variant, and which of its words belong to which of the variant's.
#[derive(Clone, Debug)]
pub(super) struct Aligned<'t> {
    pub(super) source: &'t str,
    pub(super) target: &'t str,
    pub(super) source_words: Vec<Range<usize>>,
    pub(super) target_words: Vec<Range<usize>>,
    /// Numbers of words, source and target.
    pub(super) links: Vec<(usize, usize)>,
}

/// Characters that close a word or a sentence and are not letters of it.
const CLOSING: &[char] = &['.', ',', ';', ':', '!', '?', '…', '"', '”', '“', '’', ')', ']'];

impl Aligned<'_> {
    /// Where a span that was cut out at `place` goes, and whether it goes behind a word and not before one. A pair encloses
    /// what stands between its `places`.
    pub(super) fn place(&self, place: usize, side: Side, pair: Option<Range<usize>>) -> (usize, bool) {
        let is_word = |text: &str| text.contains(char::is_alphanumeric);
        let (before, after) = self.source.split_at(place);
        let left = self.source_words.iter().rposition(|word| word.start < place);
        let right = self.source_words.iter().position(|word| word.start >= place);
        // What a pair encloses, if that is not everything.
        let content: Option<Vec<usize>> = pair.as_ref().map(|pair| {
            let inside = |&word: &usize| {
                let word = &self.source_words[word];
                word.start < pair.end && word.end > pair.start
            };
            (0..self.source_words.len()).filter(inside).collect()
        });
        let is_whole = |pair: &Range<usize>| !is_word(&self.source[..pair.start]) && !is_word(&self.source[pair.end..]);
        let at_edge = pair.as_ref().is_none_or(is_whole);
        if at_edge && !is_word(before) {
            return (0, false);
        }
        if at_edge && !is_word(after) {
            let is_before_end = !after.trim().is_empty();
            let end = if is_before_end { self.target.trim_end_matches(CLOSING).len() } else { self.target.len() };
            return (end, true);
        }
        let linked = |words: &[usize]| -> Vec<usize> {
            let mut targets: Vec<usize> =
                self.links.iter().filter(|(source, _)| words.contains(source)).map(|&(_, target)| target).collect();
            targets.sort_unstable();
            targets.dedup();
            // One far from all others is an error of the alignment.
            if let Some(&middle) = targets.get(targets.len() / 2) {
                targets.retain(|target| target.abs_diff(middle) <= words.len() + 2);
            }
            targets
        };
        let around = |word: Option<usize>| word.map(|word| vec![word]).unwrap_or_default();
        if let Some(content) = content.filter(|content| !content.is_empty()) {
            let mut targets = linked(&content);
            if targets.is_empty() {
                // Nothing was made of it; the word behind what comes before it is as good as any.
                let before = content[0].checked_sub(1).and_then(|word| linked(&[word]).last().copied());
                let next = before.map_or(0, |word| word + 1).min(self.target_words.len().saturating_sub(1));
                targets.extend((next < self.target_words.len()).then_some(next));
            }
            if let (Some(&first), Some(&last)) = (targets.first(), targets.last()) {
                return match side {
                    Side::Opens => (self.target_words[first].start, false),
                    _ => (self.behind(last, before), true),
                };
            }
        }
        if side == Side::Opens
            && let Some(&target) = linked(&around(right)).first()
        {
            return (self.target_words[target].start, false);
        }
        let mut words = around(left);
        loop {
            if let Some(&target) = linked(&words).last() {
                return (self.behind(target, before), true);
            }
            match words.first().copied() {
                Some(first) if first > 0 => words = vec![first - 1],
                _ => break,
            }
        }
        match right.and_then(|right| linked(&[right]).first().copied()) {
            Some(target) => (self.target_words[target].start, false),
            None => (self.target.len(), true),
        }
    }

    /// The place behind a word: behind its punctuation, if the source has some before that place.
    fn behind(&self, target: usize, before: &str) -> usize {
        let word = &self.target_words[target];
        let bare = self.target[word.clone()].trim_end_matches(CLOSING).len();
        let is_punctuated = before.trim_end().ends_with(CLOSING);
        if is_punctuated || bare == 0 { word.end } else { word.start + bare }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protect::spans::Role;

    fn spans(text: &str, parts: &[&str]) -> Vec<Span> {
        let mut at = 0;
        let span = |part: &&str| {
            let start = at + text[at..].find(part).unwrap();
            at = start + part.len();
            Span { bytes: start..at, role: Role::Mark }
        };
        parts.iter().map(span).collect()
    }

    fn cut(text: &str, parts: &[&str]) -> String {
        let spans = spans(text, parts);
        Variant::new(text, &spans, &vec![Side::Alone; spans.len()], &vec![Treatment::Cut; spans.len()]).text
    }

    #[test]
    fn what_is_cut_out_leaves_ordinary_spacing() {
        assert_eq!(cut("• Ein Hund", &["•"]), "Ein Hund");
        assert_eq!(cut("Ein Hund 👍!", &["👍"]), "Ein Hund!");
        assert_eq!(cut("Ein 👍 Hund.  🎉", &["👍", "🎉"]), "Ein Hund.");
        assert_eq!(cut("Ein👍🎉Hund", &["👍", "🎉"]), "Ein Hund");
        assert_eq!(cut("👍", &["👍"]), "");
    }

    #[test]
    fn a_stand_in_takes_the_place_of_a_span_and_bytes_find_back() {
        let text = "Ein a.txt und 👍 mehr";
        let spans = spans(text, &["a.txt", "👍"]);
        let treatments = [Treatment::StandIn("Kyoto", "Kyoto"), Treatment::Cut];
        let variant = Variant::new(text, &spans, &[Side::Alone; 2], &treatments);
        assert_eq!(variant.text, "Ein Kyoto und mehr");
        for word in ["Ein", "und", "mehr"] {
            assert_eq!(variant.origin(variant.text.find(word).unwrap()), text.find(word).unwrap(), "{word}");
        }
        assert_eq!(variant.origin(5), 4);
    }

    #[test]
    fn edits_are_made_in_order_and_bytes_find_their_places() {
        let mut edits = Edits::default();
        edits.push(5..5, " !");
        edits.push(5..5, "?");
        edits.push(0..1, "The");
        assert_eq!(edits.apply("A dog runs"), "The dog !? runs");
        assert_eq!((edits.place(2), edits.place(6)), (4, 11));
    }

    #[test]
    fn a_mark_goes_beside_the_word_it_stood_with() {
        let words = |text: &str| crate::text::word_ranges(text);
        let (source, target) = ("Heute spielen Kinder.", "Children play today.");
        let links = vec![(0, 2), (1, 1), (2, 0)];
        let aligned = Aligned { source, target, source_words: words(source), target_words: words(target), links };
        // Behind `Kinder`, behind `Heute`, around `Kinder`, before everything and behind it.
        assert_eq!(aligned.place(13, Side::Alone, None), (13, true));
        assert_eq!(aligned.place(5, Side::Alone, None), (19, true));
        assert_eq!(aligned.place(14, Side::Opens, Some(14..20)), (0, false));
        assert_eq!(aligned.place(20, Side::Closes, Some(14..20)), (8, true));
        assert_eq!(aligned.place(0, Side::Alone, None), (0, false));
        assert_eq!(aligned.place(21, Side::Alone, None), (20, true));
        assert_eq!(aligned.place(20, Side::Alone, None), (19, true));
    }
}
