//! Sets of characters, as the Perl of Moses knew them: what later versions of Unicode added is in none.

use std::collections::HashMap;
use std::sync::LazyLock;

/// The sets: hexadecimal code points and ranges of them.
const SETS: &str = include_str!("characters.txt");

/// A set of characters.
#[derive(Debug)]
pub(super) struct CharacterSet(Vec<(char, char)>);

impl CharacterSet {
    pub(super) fn contains(&self, character: char) -> bool {
        let after = self.0.partition_point(|&(first, _)| first <= character);
        after > 0 && character <= self.0[after - 1].1
    }
}

/// A set by the name of its section.
pub(super) fn set(name: &str) -> &'static CharacterSet {
    static ALL: LazyLock<HashMap<&'static str, CharacterSet>> = LazyLock::new(|| {
        let character = |code: &str| u32::from_str_radix(code, 16).ok().and_then(char::from_u32).unwrap_or_default();
        let range = |entry: &'static str| {
            let (first, last) = entry.split_once('-').unwrap_or((entry, entry));
            (character(first), character(last))
        };
        sections(SETS).map(|(name, entries)| (name, CharacterSet(entries.map(range).collect()))).collect()
    });
    &ALL[name]
}

/// The headings (`[name]`) of a data file, and the entries below each.
pub(super) fn sections(data: &str) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
    let sections = data.split("\n[").skip(1).filter_map(|section| section.split_once("]\n"));
    sections.map(|(name, entries)| (name, entries.split_ascii_whitespace()))
}

/// White space as Python knows it, which counts four separators among the control characters.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// Whether no spaces stand around a character in Chinese and Japanese text. The ends of the ranges are outside.
pub(super) fn is_cjk(character: char) -> bool {
    matches!(character,
        '\u{1101}'..='\u{11fe}' | '\u{2e81}'..='\u{a4ce}' | '\u{a841}'..='\u{a87e}' | '\u{ac01}'..='\u{d7ae}'
        | '\u{f901}'..='\u{fafe}' | '\u{fe31}'..='\u{fe4e}' | '\u{ff66}'..='\u{ffdb}' | '\u{17001}'..='\u{18afe}'
        | '\u{1b001}'..='\u{1b12e}' | '\u{1b171}'..='\u{1b2fe}' | '\u{20001}'..='\u{2fffe}')
}
