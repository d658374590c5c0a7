//! Where words begin and end, in a text and between the tokens of a vocabulary.

use super::Vocabulary;

/// Whether a character joins others to one word: letters and digits do, but not those of scripts that put no spaces between words.
pub(super) fn is_of_word(character: char) -> bool {
    let is_unspaced = matches!(character,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{2e80}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}');
    character.is_alphanumeric() && !is_unspaced
}

/// Whether a text ends where a sentence may begin: it is empty, or the last mark before spaces, quotes and brackets ends one.
pub(super) fn ends_before_sentence(text: &str) -> bool {
    let is_opening = |c: char| !c.is_alphanumeric() && !SENTENCE_ENDS.contains(&c);
    text.trim_end_matches(is_opening).chars().next_back().is_none_or(|last| SENTENCE_ENDS.contains(&last))
}

/// Marks after which a sentence may begin.
const SENTENCE_ENDS: [char; 9] = ['.', '!', '?', ':', '…', '。', '！', '？', '：'];

/// Where a word of a translation stands. Each of them is one of the places before it, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Wherever it is.
    #[default]
    Anywhere,
    /// Where a sentence begins.
    SentenceStart,
    /// With nothing before it.
    Beginning,
}

/// What each token of a vocabulary does at its ends. Without a vocabulary each token is a word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenBoundaries {
    tokens: Vec<Ends>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ends {
    /// Whether it goes on with a word before it.
    continues: bool,
    /// Whether a word that it ends with may go on.
    is_open: bool,
    /// The place behind it, if that is another than before.
    place: Option<Place>,
}

impl TokenBoundaries {
    /// Those of all tokens of a vocabulary.
    pub fn of(vocabulary: &dyn Vocabulary) -> Self {
        let specials = vocabulary.specials();
        let ends = |id: u32| {
            let Some(piece) = vocabulary.piece(id).filter(|_| !specials.contains(id)) else { return Ends::default() };
            let written = vocabulary.written(piece);
            let text = String::from_utf8_lossy(&written);
            // Part of a character is part of a word.
            let is_of_word = |c: char| is_of_word(c) || c == char::REPLACEMENT_CHARACTER;
            let own = text.trim();
            Ends {
                continues: !vocabulary.begins_word(id) && text.chars().next().is_some_and(is_of_word),
                is_open: !vocabulary.ends_word(piece) && text.chars().next_back().is_some_and(is_of_word),
                place: match own {
                    "" => None,
                    _ if !own.contains(char::is_alphanumeric) && !own.contains(SENTENCE_ENDS) => None,
                    _ if ends_before_sentence(own) => Some(Place::SentenceStart),
                    _ => Some(Place::Anywhere),
                },
            }
        };
        Self { tokens: (0..vocabulary.size() as u32).map(ends).collect() }
    }

    fn ends(&self, token: u32) -> Ends {
        let word = Ends { place: Some(Place::Anywhere), ..Ends::default() };
        self.tokens.get(token as usize).copied().unwrap_or(word)
    }

    /// Whether two tokens, one after the other, are part of one word.
    pub fn joins(&self, before: u32, token: u32) -> bool {
        self.ends(before).is_open && self.ends(token).continues
    }

    /// The place behind a token that stands at a place.
    pub fn place_after(&self, place: Place, token: u32) -> Place {
        self.ends(token).place.unwrap_or(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces that mark the beginnings of words.
    struct Marked(Vec<&'static str>);

    impl Vocabulary for Marked {
        fn encode(&self, _: &str) -> Vec<u32> {
            Vec::new()
        }

        fn decode(&self, _: &[u32]) -> String {
            String::new()
        }

        fn piece(&self, id: u32) -> Option<&str> {
            self.0.get(id as usize).copied()
        }

        fn id(&self, piece: &str) -> Option<u32> {
            self.0.iter().position(|own| *own == piece).map(|id| id as u32)
        }

        fn size(&self) -> usize {
            self.0.len()
        }

        fn begins_word(&self, id: u32) -> bool {
            self.0[id as usize].starts_with('\u{2581}')
        }
    }

    #[test]
    fn tokens_join_within_words_and_sentences_begin_after_full_stops() {
        let vocabulary = Marked(vec!["▁dog", "s", ".", "▁", "▁“", "▁cat.", "犬"]);
        let boundaries = TokenBoundaries::of(&vocabulary);
        let id = |piece| vocabulary.id(piece).unwrap();
        let joins = |a, b| boundaries.joins(id(a), id(b));
        assert!(joins("▁dog", "s") && !joins("▁dog", ".") && !joins("▁", "s") && !joins("s", "▁dog"));
        assert!(!joins("▁dog", "犬"), "no spaces tell words of this script apart");
        let after = |place, piece| boundaries.place_after(place, id(piece));
        assert_eq!(after(Place::Beginning, "▁“"), Place::Beginning);
        assert_eq!(after(Place::Beginning, "▁dog"), Place::Anywhere);
        assert_eq!(after(Place::Anywhere, "."), Place::SentenceStart);
        assert_eq!(after(Place::Anywhere, "▁cat."), Place::SentenceStart);
    }

    #[test]
    fn a_sentence_begins_at_the_start_and_behind_its_end() {
        for text in ["", "„", "He ran. ", "He ran. “", "Note: "] {
            assert!(ends_before_sentence(text), "{text:?}");
        }
        assert!(!ends_before_sentence("He ran, "));
    }
}
