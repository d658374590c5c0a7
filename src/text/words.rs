//! From pieces to words, for people to look at.

use std::ops::Range;

use super::Vocabulary;

/// A word and the pieces it was cut into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word as it is read; for a special token, the token (`</s>`).
    pub text: String,
    /// Which of the ids belong to it.
    pub pieces: Range<usize>,
}

/// Groups ids into words. Special tokens are words of their own, except `<unk>`, which is part of the word around it;
/// together the words cover all ids, in order.
///
/// Where a writing system puts no spaces between words (Chinese, Japanese, Thai), the words are what the vocabulary
/// says begins one: often a whole phrase.
pub fn words(vocabulary: &dyn Vocabulary, ids: &[u32]) -> Vec<Word> {
    let stands_alone = |id| is_special(vocabulary, id);
    let mut words = Vec::new();
    let mut start = 0;
    for end in 1..=ids.len() {
        let is_whole = end == ids.len()
            || stands_alone(ids[end - 1])
            || stands_alone(ids[end])
            || vocabulary.begins_word(ids[end])
            || vocabulary.piece(ids[end - 1]).is_some_and(|piece| vocabulary.ends_word(piece));
        if is_whole {
            let pieces = start..end;
            words.push(Word { text: text_of(vocabulary, &ids[pieces.clone()], stands_alone(ids[start])), pieces });
            start = end;
        }
    }
    words
}

/// Whether an id is a token that stands for no text: a sentence's end, padding, a target language, or nothing the
/// vocabulary knows. `<unk>` stands for text.
pub fn is_special(vocabulary: &dyn Vocabulary, id: u32) -> bool {
    let specials = vocabulary.specials();
    let is_language = || vocabulary.languages().iter().any(|language| language.id == id);
    specials.unknown != Some(id) && (specials.contains(id) || vocabulary.piece(id).is_none() || is_language())
}

fn text_of(vocabulary: &dyn Vocabulary, ids: &[u32], stands_alone: bool) -> String {
    let unknown = vocabulary.specials().unknown;
    let mut text = String::new();
    // Decoding leaves out what is unknown; a reader wants to see where it was.
    for run in ids.chunk_by(|a, b| (Some(*a) == unknown) == (Some(*b) == unknown)) {
        if stands_alone || Some(run[0]) == unknown {
            run.iter().for_each(|&id| text.push_str(vocabulary.piece(id).unwrap_or("<?>")));
        } else {
            text.push_str(&vocabulary.decode(run));
        }
    }
    text
}
