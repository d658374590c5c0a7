//! What a line holds and nobody sees: invisible characters, spaces that look like spaces, accents in two parts.
//!
//! Text from pages and word processors is full of soft hyphens, joiners and marks of direction. No vocabulary has pieces with
//! them inside, so that one breaks the word around it. Here
//! - characters that are invisible by themselves (`Default_Ignorable_Code_Point` of the Unicode Character Database) are taken
//!   out, but for those that carry meaning where they stand: joiners and selectors in scripts whose letters change their form
//!   (Arabic, Mongolian, those of India and South-East Asia), and whatever holds an emoji together;
//! - every space of general category `Zs` becomes U+0020;
//! - a letter and its accent become one character where there is one (Normalization Form C of Unicode Standard Annex #15).
//!
//! Tabs, line ends and control characters stay. The result remembers where each of its characters came from.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization_alignments::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// A text without what nobody sees, and where each of its characters stood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Normalized {
    /// The text.
    pub text: String,
    /// Where its characters stood in the text as it was given.
    pub offsets: Offsets,
}

/// Byte offsets into a text and where they lay in the text it was made of. Holds the places of change alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// From the first on, the second and what follows it; ascending.
    steps: Vec<(usize, usize)>,
}

impl Normalized {
    /// The same with other text in the place of some bytes, which are in order and not empty. The first character of what is new
    /// stands where they stood, the others at their end.
    pub(super) fn replaced(&self, edits: &[(Range<usize>, String)]) -> Self {
        let mut new = Self::default();
        let mut done = 0;
        let keep = |new: &mut Self, bytes: Range<usize>| {
            for (place, character) in self.text[bytes.clone()].char_indices() {
                new.offsets.push(new.text.len(), self.offsets.original(bytes.start + place));
                new.text.push(character);
            }
        };
        for (bytes, text) in edits {
            keep(&mut new, done..bytes.start);
            new.offsets.push(new.text.len(), self.offsets.original(bytes.start));
            let first = text.chars().next().map_or(0, char::len_utf8);
            new.text.push_str(&text[..first]);
            if first < text.len() {
                new.offsets.push(new.text.len(), self.offsets.original(bytes.end));
                new.text.push_str(&text[first..]);
            }
            done = bytes.end;
        }
        keep(&mut new, done..self.text.len());
        new.offsets.push(new.text.len(), self.offsets.original(self.text.len()));
        new
    }
}

impl Offsets {
    /// The byte offset in the original of a byte offset at a character boundary of the new text. What was taken out before a
    /// character lies before its offset, and what was taken out at the very end before that of the end.
    pub fn original(&self, offset: usize) -> usize {
        let next = self.steps.partition_point(|&(at, _)| at <= offset);
        match next.checked_sub(1).map(|last| self.steps[last]) {
            Some((at, original)) => original + (offset - at),
            None => offset,
        }
    }

    fn push(&mut self, at: usize, original: usize) {
        if self.original_at_end(at) != original {
            if self.steps.last().is_some_and(|&(last, _)| last == at) {
                self.steps.pop();
            }
            self.steps.push((at, original));
        }
    }

    /// [`Offsets::original`] of an offset after all steps.
    fn original_at_end(&self, offset: usize) -> usize {
        self.steps.last().map_or(offset, |&(at, original)| original + (offset - at))
    }
}

/// Takes out of a text what nobody sees. Time and memory are linear in its length.
pub fn normalize(text: &str) -> Normalized {
    let shown = without_invisible(text);
    if text.is_ascii() || is_nfc_quick(shown.text.chars()) == IsNormalized::Yes {
        return shown;
    }
    let mut composed = Normalized::default();
    let mut starts = shown.text.char_indices().map(|(start, _)| start);
    let end = shown.text.len();
    let mut start = starts.next().unwrap_or(end);
    for (character, change) in shown.text.nfc() {
        composed.offsets.push(composed.text.len(), shown.offsets.original(start));
        composed.text.push(character);
        // It took the place of so many; one that a character was taken apart into, of none.
        for _ in 0..1 - change {
            start = starts.next().unwrap_or(end);
        }
    }
    composed.offsets.push(composed.text.len(), text.len());
    composed
}

/// Takes the invisible characters out and makes the spaces alike.
fn without_invisible(text: &str) -> Normalized {
    let is_visible =
        |character: char| !is_ignorable(character) && !is_other_space(character) && !is_control_code(character);
    let Some(first) = text.find(|character| !is_visible(character)) else {
        return Normalized { text: text.to_owned(), offsets: Offsets::default() };
    };
    let mut shown = Normalized { text: String::with_capacity(text.len()), offsets: Offsets::default() };
    shown.text.push_str(&text[..first]);
    let mut previous = text[..first].chars().next_back();
    let mut characters = text[first..].char_indices().peekable();
    while let Some((position, character)) = characters.next() {
        let next = characters.peek().map(|&(_, next)| next);
        let written = match character {
            _ if is_other_space(character) => ' ',
            _ if is_control_code(character) => continue,
            _ if is_ignorable(character) && !has_meaning(character, previous, next) => continue,
            _ => character,
        };
        shown.offsets.push(shown.text.len(), first + position);
        shown.text.push(written);
        previous = Some(written);
    }
    shown.offsets.push(shown.text.len(), text.len());
    shown
}

/// Whether a character has the property `Default_Ignorable_Code_Point`.
fn is_ignorable(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character is a control code, as copying out of a PDF leaves them in words, and no white space.
fn is_control_code(character: char) -> bool {
    character.is_control() && !character.is_whitespace()
}

/// Whether a character is a space of general category `Zs`, but not the usual one.
fn is_other_space(character: char) -> bool {
    matches!(character, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// Whether an ignorable character says something between the characters kept before it and those after it.
fn has_meaning(character: char, previous: Option<char>, next: Option<char>) -> bool {
    let is = |pattern: &Regex, character: Option<char>| {
        character.is_some_and(|character| pattern.is_match(character.encode_utf8(&mut [0; 4])))
    };
    match character {
        // In an emoji the joiner may come after a selector.
        '\u{200d}' if is(&EMOJI, next) && (is(&EMOJI, previous) || previous == Some('\u{fe0f}')) => true,
        '\u{200c}' | '\u{200d}' | '\u{180b}'..='\u{180f}' => is(&JOINING, previous),
        '\u{fe00}'..='\u{fe0f}' => is(&EMOJI, previous),
        // The flag of a region is a black flag and the letters of its name.
        '\u{e0020}'..='\u{e007f}' => matches!(previous, Some('\u{1f3f4}' | '\u{e0020}'..='\u{e007e}')),
        _ => false,
    }
}

/// One character that may be part of an emoji.
static EMOJI: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\p{Emoji}$"));

/// One character of a script whose letters a joiner gives another form.
static JOINING: LazyLock<Regex> = LazyLock::new(|| {
    let scripts = [
        "Arabic",
        "Syriac",
        "Mandaic",
        "Nko",
        "Mongolian",
        "Phags_Pa",
        "Devanagari",
        "Bengali",
        "Gurmukhi",
        "Gujarati",
        "Oriya",
        "Tamil",
        "Telugu",
        "Kannada",
        "Malayalam",
        "Sinhala",
        "Tibetan",
        "Myanmar",
        "Khmer",
        "Balinese",
        "Javanese",
    ];
    let any: String = scripts.iter().map(|script| format!(r"\p{{scx={script}}}")).collect();
    pattern(&format!(r"^[[{any}]--[\p{{scx=Latin}}\p{{Common}}]]$"))
});

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is constant, and a test compiles it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        normalize(text).text
    }

    #[test]
    fn invisible_characters_in_and_around_words_are_taken_out() {
        for hidden in [
            "Haus\u{ad}tür",
            "Haus\u{200b}tür",
            "Haus\u{200c}tür",
            "Haus\u{200d}tür",
            "Haus\u{2060}tür",
            "Haus\u{feff}tür",
            "\u{202a}Haustür\u{202c}",
            "\u{2066}Haus\u{2069}tür",
            "\u{200e}Haustür\u{200f}",
            "\u{61c}Haustür",
            "Haustür\u{fe0f}",
            "Haustür\u{e0041}",
            "Haus\u{ad}\u{ad}\u{ad}tür",
            "Haustu\u{308}r",
            "Haustu\u{ad}\u{308}r",
            "Haustu\u{34f}\u{308}r",
        ] {
            assert_eq!(shown(hidden), "Haustür", "{hidden:?}");
        }
        assert_eq!(shown("\u{ad}\u{200b}"), "");
    }

    #[test]
    fn control_codes_are_taken_out_but_not_tabs_and_line_ends() {
        assert_eq!(shown("Haupt\u{2}straße\0 \u{1b}und\t\u{9f}Weg\r\n"), "Hauptstraße und\tWeg\r\n");
    }

    #[test]
    fn every_space_becomes_the_usual_one_and_line_ends_stay() {
        assert_eq!(
            shown("a\u{a0}b\u{202f}c\u{2009}d\u{3000}e\u{2003}\tf\u{2028}g\u{85}h"),
            "a b c d e \tf\u{2028}g\u{85}h"
        );
    }

    #[test]
    fn what_carries_meaning_stays() {
        for kept in [
            // Persian "I go", with a non-joiner; Malayalam and Sinhala with joiners; a Mongolian selector.
            "می\u{200c}روم",
            "അവന\u{d4d}\u{200d}",
            "ශ\u{dca}\u{200d}රී",
            "ᠠ\u{180b}",
            // A family, a heart, a rainbow flag, a key cap, the flag of Scotland, a skin tone.
            "👨\u{200d}👩\u{200d}👧",
            "❤\u{fe0f}",
            "🏳\u{fe0f}\u{200d}🌈",
            "1\u{fe0f}\u{20e3}",
            "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
            "👍🏽",
        ] {
            assert_eq!(shown(kept), kept, "{kept:?}");
        }
        assert_eq!(shown("👍\u{200d} gut\u{200d}👍"), "👍 gut👍");
    }

    #[test]
    fn the_lists_are_those_of_the_unicode_character_database() {
        let [ignorable, space] = [r"^\p{Default_Ignorable_Code_Point}$", r"^[\p{Zs}--\x20]$"].map(pattern);
        for character in '\0'..=char::MAX {
            let text = character.encode_utf8(&mut [0; 4]).to_owned();
            assert_eq!(is_ignorable(character), ignorable.is_match(&text), "{character:?}");
            assert_eq!(is_other_space(character), space.is_match(&text), "{character:?}");
        }
        assert!(JOINING.is_match("ی") && !JOINING.is_match("a") && !JOINING.is_match(" "));
    }

    #[test]
    fn offsets_lead_back_to_the_text_as_it_was_given() {
        let text = "\u{feff}Die Kin\u{ad}\u{ad}der\u{a0}u\u{308}ben\u{200b}.\u{202c}";
        let Normalized { text: normal, offsets } = normalize(text);
        assert_eq!(normal, "Die Kinder üben.");
        for (word, original) in
            [("Die", "Die"), ("Kin", "Kin"), ("der", "der"), ("üb", "u\u{308}b"), ("ben", "ben"), (".", ".")]
        {
            let start = offsets.original(normal.find(word).unwrap());
            assert!(text[start..].starts_with(original), "{word}: {:?}", &text[start..]);
        }
        assert_eq!(offsets.original(normal.len()), text.len());
        assert_eq!(normalize("Schöne Grüße").offsets, Offsets::default());
    }

    proptest! {
        #[test]
        fn normalizing_is_done_once_and_offsets_never_go_back(
            text in "(\\PC|[\u{ad}\u{200b}-\u{200f}\u{2060}\u{feff}\u{a0}\u{300}-\u{330}\u{fe0f}aouä❤]){0,40}",
        ) {
            let Normalized { text: normal, offsets } = normalize(&text);
            let again = normalize(&normal);
            prop_assert_eq!(&again.text, &normal);
            let mut last = 0;
            for (position, _) in normal.char_indices() {
                let original = offsets.original(position);
                prop_assert!(original >= last && text.is_char_boundary(original), "{} {}", original, last);
                last = original;
            }
            prop_assert_eq!(offsets.original(normal.len()), text.len());
        }
    }
}
