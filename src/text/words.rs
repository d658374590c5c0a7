//! The words of a text, as the person who wrote it counts them, and the pieces they were cut into.

use std::ops::Range;

use super::{Piece, Vocabulary};

/// A word of a text and the pieces it was cut into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// The word as it stands in the text.
    pub text: String,
    /// Where it stands there.
    pub bytes: Range<usize>,
    /// Which of the ids belong to it. None do if the vocabulary sees nothing in it, as in a lone zero-width space, or if the
    /// text was truncated before it.
    pub pieces: Range<usize>,
}

/// The bytes of each word of a text: what stands between ASCII white space, as `wc`, `awk` and the tools that read alignments
/// count words. A no-break space joins two parts of a word, as it does for them, and where a writing system puts no spaces
/// (Chinese, Japanese, Thai) a line is often one word.
pub fn word_ranges(text: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut ranges = Vec::new();
    for part in text.split(|character: char| character.is_ascii_whitespace()) {
        if !part.is_empty() {
            ranges.push(start..start + part.len());
        }
        start += part.len() + 1;
    }
    ranges
}

/// Whether an id is a token that stands for no text: a sentence's end, padding, a target language, or nothing the
/// vocabulary knows. `<unk>` stands for text.
pub fn is_special(vocabulary: &dyn Vocabulary, id: u32) -> bool {
    let specials = vocabulary.specials();
    let is_language = || vocabulary.languages().iter().any(|language| language.id == id);
    specials.unknown != Some(id) && (specials.contains(id) || vocabulary.piece(id).is_none() || is_language())
}

/// The words of `text`, which was encoded after `prefix`, among the `ids` that came of it; tokens may stand around them.
///
/// Vocabularies normalise: they join, drop and rewrite characters, and none says where a piece came from. But they do so
/// within words, so the letters of the pieces, counted, are those of the words, one word after the other.
pub fn source_words(vocabulary: &dyn Vocabulary, prefix: &str, text: &str, ids: &[u32]) -> Vec<Word> {
    let whole = [prefix, text].concat();
    let segments = vocabulary.segment(&whole);
    let common =
        |shift: usize| ids[shift..].iter().zip(&segments).take_while(|(id, segment)| **id == segment.id).count();
    // Tokens that the translator puts before the sentence shift its pieces.
    let shift = (0..=ids.len().min(8)).rev().max_by_key(|&shift| common(shift)).unwrap_or(0);
    let count_of = |segment: &Piece| letters(&vocabulary.readable(&segment.text));
    let count = |text: &str| -> usize { vocabulary.segment(text).iter().map(count_of).sum() };
    let ranges = word_ranges(text);
    let first = count(prefix);
    let mut ends = running_sum(first, ranges.iter().map(|range| count(&text[range.clone()])));
    if ends.last().copied().unwrap_or(first) != segments.iter().map(count_of).sum::<usize>() {
        // What stands before a word changed how it is written.
        ends = ranges.iter().map(|range| count(&whole[..prefix.len() + range.end])).collect();
    }
    let pieces = segments.iter().take(common(shift)).enumerate();
    let pieces = pieces.map(|(at, segment)| (shift + at..shift + at + 1, count_of(segment)));
    place(vocabulary, text, ids, ranges, first, &ends, pieces)
}

/// The words of a translation's `text`, which was decoded from `ids`; `replaced` says what stands in it for unknown pieces,
/// which decoding leaves out.
pub fn target_words(
    vocabulary: &dyn Vocabulary,
    text: &str,
    ids: &[u32],
    replaced: impl Fn(usize) -> Option<String>,
) -> Vec<Word> {
    let segments = vocabulary.segment(text);
    let written = (0..=ids.len().min(1)).any(|shift| ids[shift..].iter().copied().eq(segments.iter().map(|s| s.id)));
    if written {
        // A target that was given, not generated, may be normalised, too.
        return source_words(vocabulary, "", text, ids);
    }
    let ranges = word_ranges(text);
    let ends = running_sum(0, ranges.iter().map(|range| letters(&text[range.clone()])));
    let pieces = runs(vocabulary, ids).into_iter().filter_map(|run| {
        let is_unknown = vocabulary.specials().unknown == Some(ids[run.start]);
        let written = if is_unknown { replaced(run.start)? } else { vocabulary.decode(&ids[run.clone()]) };
        Some((run, letters(&written)))
    });
    place(vocabulary, text, ids, ranges, 0, &ends, pieces)
}

/// Runs of ids in which no word begins but at their start; special tokens and unknown pieces are runs of their own.
fn runs(vocabulary: &dyn Vocabulary, ids: &[u32]) -> Vec<Range<usize>> {
    let stands_alone = |id| is_special(vocabulary, id) || vocabulary.specials().unknown == Some(id);
    let mut runs = Vec::new();
    let mut start = 0;
    for end in 1..=ids.len() {
        let is_whole = end == ids.len()
            || stands_alone(ids[end - 1])
            || stands_alone(ids[end])
            || vocabulary.begins_word(ids[end])
            || vocabulary.piece(ids[end - 1]).is_some_and(|piece| vocabulary.ends_word(piece));
        if is_whole {
            runs.push(start..end);
            start = end;
        }
    }
    runs
}

/// Gives each word the pieces whose letters are its own. `ends` counts the letters up to the end of each word, those of the
/// first beginning at `first`; `pieces` come in order with the number of their letters. What has none, such as a space, is
/// of the word after it.
fn place(
    vocabulary: &dyn Vocabulary,
    text: &str,
    ids: &[u32],
    ranges: Vec<Range<usize>>,
    first: usize,
    ends: &[usize],
    pieces: impl Iterator<Item = (Range<usize>, usize)>,
) -> Vec<Word> {
    let word = |bytes: Range<usize>| Word { text: text[bytes.clone()].to_owned(), bytes, pieces: 0..0 };
    let mut words: Vec<Word> = ranges.into_iter().map(word).collect();
    let last = (0..words.len()).rev().find(|&at| ends[at] > at.checked_sub(1).map_or(first, |before| ends[before]));
    let mut passed = 0;
    for (piece, letters) in pieces {
        let at = ends.partition_point(|&end| end <= passed);
        let is_before = passed < first;
        passed += letters;
        let Some(at) = Some(at).filter(|&at| at < words.len()).or(last) else { break };
        if is_before || ids[piece.clone()].iter().any(|&id| is_special(vocabulary, id)) {
            continue;
        }
        if words[at].pieces.is_empty() {
            words[at].pieces.start = piece.start;
        }
        words[at].pieces.end = piece.end;
    }
    // Where a word without pieces would have had them.
    let mut end = 0;
    for word in &mut words {
        if word.pieces.is_empty() {
            word.pieces = end..end;
        }
        end = word.pieces.end;
    }
    words
}

fn running_sum(start: usize, lengths: impl Iterator<Item = usize>) -> Vec<usize> {
    lengths
        .scan(start, |sum, length| {
            *sum += length;
            Some(*sum)
        })
        .collect()
}

/// How many characters are neither white space nor what vocabularies write in its place.
fn letters(text: &str) -> usize {
    text.chars().filter(|&character| !character.is_whitespace() && !"\u{2581}\u{120}".contains(character)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::WordList;

    fn placed(words: &[Word]) -> Vec<(&str, Range<usize>)> {
        words.iter().map(|word| (word.text.as_str(), word.pieces.clone())).collect()
    }

    #[test]
    fn words_stand_between_ascii_white_space_alone() {
        let text = " Ein\u{a0}Hund  \u{200b}\trennt\u{3000}weg ";
        let words: Vec<&str> = word_ranges(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(words, ["Ein\u{a0}Hund", "\u{200b}", "rennt\u{3000}weg"]);
        assert!(word_ranges(" ").is_empty());
    }

    #[test]
    fn a_word_has_the_pieces_of_its_letters_and_tokens_around_a_sentence_are_of_none() {
        let list = WordList::parse(b"<unk>\n<s>\n</s>\nein\nhund\n.\n,", "vocab.txt").unwrap();
        // An unknown word in the middle, a comma that stands alone, and a full stop that does not.
        let text = "ein wauwau , hund.";
        let ids = [vec![1], list.encode(text), vec![2]].concat();
        let words = source_words(&list, "", text, &ids);
        assert_eq!(placed(&words), [("ein", 1..2), ("wauwau", 2..3), (",", 3..4), ("hund.", 4..6)]);
        assert_eq!(words[3].bytes, 13..18);
        // Behind an instruction, and truncated.
        let ids = [list.encode("hund ein"), vec![2]].concat();
        assert_eq!(placed(&source_words(&list, "hund ", "ein hund", &ids)), [("ein", 1..2), ("hund", 2..2)]);
    }

    #[test]
    fn what_decoding_leaves_out_is_of_no_word_unless_something_took_its_place() {
        let list = WordList::parse(b"<unk>\n</s>\na\ndog\n.", "vocab.txt").unwrap();
        let ids = [2, 0, 3, 4];
        assert_eq!(placed(&target_words(&list, "a dog.", &ids, |_| None)), [("a", 0..1), ("dog.", 2..4)]);
        let replaced = target_words(&list, "a Wauwau dog.", &ids, |at| (at == 1).then(|| "Wauwau".to_owned()));
        assert_eq!(placed(&replaced), [("a", 0..1), ("Wauwau", 1..2), ("dog.", 2..4)]);
    }
}
