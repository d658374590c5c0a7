//! Cutting a text into tokens.

use super::Moses;
use super::characters::{CharacterSet, is_space, set};

/// Stands for a full stop beside another; control characters are taken out of the text first.
const DOT_OF_MANY: char = '\u{1}';

/// The most places that patterns protect in one text.
const MOST_PROTECTED: usize = 1000;

impl Moses {
    /// The tokens of a text as models are trained on them: normalised, hyphens inside words cut out as `@-@`, special
    /// characters written as `&apos;` and the like. No token is empty or has a space.
    pub fn tokenize(&self, text: &str) -> Vec<String> {
        self.tokenize_normalized(&self.normalize(text))
    }

    /// The tokens of a text that is normalised already.
    pub(in crate::text) fn tokenize_normalized(&self, text: &str) -> Vec<String> {
        let mut text = clean(text);
        let protected = self.protect(&mut text);
        let mut text = self.cut_out_marks(&text);
        self.cut_out_commas(&mut text);
        self.cut_out_apostrophes(&mut text);
        let text: String = text.into_iter().collect();
        let words: Vec<&str> = text.split_whitespace().collect();
        let mut tokens = Vec::with_capacity(words.len());
        for (at, &word) in words.iter().enumerate() {
            let next = words.get(at + 1).copied();
            match word.strip_suffix('.').filter(|stem| !stem.is_empty() && !self.keeps_stop(stem, next)) {
                Some(stem) => tokens.extend([stem, "."]),
                None => tokens.push(word),
            }
        }
        // A quotation that ends a sentence and the text.
        if let Some(stem) = tokens.last().and_then(|last| last.strip_suffix(".'")) {
            tokens.pop();
            tokens.extend([stem, ".", "'"].iter().filter(|token| !token.is_empty()));
        }
        let finish = |token: &str| match self.escapes {
            true => escape(token),
            false => token.replace(DOT_OF_MANY, "."),
        };
        if protected.is_empty() {
            return tokens.into_iter().map(finish).collect();
        }
        // What was protected may have spaces, which are where tokens end all the same.
        let mut text = tokens.join(" ");
        for (number, found) in protected.iter().enumerate() {
            text = text.replace(&stand_in(number), found);
        }
        text.split_whitespace().map(finish).collect()
    }

    /// Puts stand-ins in the place of what the patterns find, the longest first.
    fn protect(&self, text: &mut String) -> Vec<String> {
        let found = self.protected.iter().flat_map(|pattern| pattern.find_iter(text));
        let found = found.map(|found| found.as_str().to_owned()).filter(|found| !found.is_empty());
        let found: Vec<String> = found.take(MOST_PROTECTED).collect();
        let mut order: Vec<usize> = (0..found.len()).collect();
        order.sort_by_key(|&number| std::cmp::Reverse(found[number].chars().count()));
        for number in order {
            *text = text.replace(&found[number], &stand_in(number));
        }
        found
    }

    /// Puts spaces around all but letters, digits and some marks, around hyphens inside words, and around several full
    /// stops.
    fn cut_out_marks(&self, text: &str) -> Vec<char> {
        let text: Vec<char> = text.trim_matches(is_space).chars().collect();
        let is_inside = |at: usize| text.get(at).is_some_and(|&character| self.is_letter_or_digit(character));
        let is_dot = |at: usize| text.get(at) == Some(&'.');
        let mut cut = Vec::with_capacity(2 * text.len());
        for (at, &character) in text.iter().enumerate() {
            let before = at.wrapping_sub(1);
            match character {
                '.' if is_dot(before) || is_dot(at + 1) => {
                    let (first, last) = (!is_dot(before), !is_dot(at + 1));
                    cut.extend(first.then_some(' ').into_iter().chain([DOT_OF_MANY]).chain(last.then_some(' ')));
                }
                '-' if self.splits_hyphens && is_inside(before) && is_inside(at + 1) => cut.extend(" @-@ ".chars()),
                ' ' | '.' | '\'' | '`' | ',' | '-' => cut.push(character),
                _ if self.is_letter_or_digit(character) => cut.push(character),
                _ => cut.extend([' ', character, ' ']),
            }
        }
        cut
    }

    /// Puts spaces around commas, except inside numbers.
    fn cut_out_commas(&self, text: &mut Vec<char>) {
        let numbers = set("numbers");
        let other = |character: char| !numbers.contains(character);
        space_out(text, Some(&other), ',', None, [true, true]);
        space_out(text, None, ',', Some(&other), [true, true]);
        if let [.., before, ','] = text[..]
            && numbers.contains(before)
        {
            text.insert(text.len() - 1, ' ');
        }
    }

    /// Puts spaces around apostrophes as the language has them: `don 't`, `l' eau`.
    fn cut_out_apostrophes(&self, text: &mut Vec<char>) {
        let numbers: &CharacterSet = set("numbers");
        let letter = |character: char| self.is_letter(character);
        let other = |character: char| !self.is_letter(character);
        match self.language.as_str() {
            "en" => {
                let neither = |character: char| !self.is_letter(character) && !numbers.contains(character);
                let number = |character: char| numbers.contains(character);
                space_out(text, Some(&other), '\'', Some(&other), [true, true]);
                space_out(text, Some(&neither), '\'', Some(&letter), [true, true]);
                space_out(text, Some(&letter), '\'', Some(&other), [true, true]);
                space_out(text, Some(&letter), '\'', Some(&letter), [true, false]);
                space_out(text, Some(&number), '\'', Some(&|character| character == 's'), [true, false]);
            }
            "fr" | "it" => {
                space_out(text, Some(&other), '\'', Some(&other), [true, true]);
                space_out(text, Some(&other), '\'', Some(&letter), [true, true]);
                space_out(text, Some(&letter), '\'', Some(&other), [true, true]);
                space_out(text, Some(&letter), '\'', Some(&letter), [false, true]);
            }
            _ => space_out(text, None, '\'', None, [true, true]),
        }
    }

    /// Whether the full stop after `stem` belongs to it: `U.S`, an abbreviation, or no capital follows.
    fn keeps_stop(&self, stem: &str, next: Option<&str>) -> bool {
        let next = next.and_then(|next| next.chars().next());
        let before_number = self.before_numbers.is_some_and(|words| words.contains(stem));
        stem.contains('.') && stem.chars().any(|character| self.is_letter(character))
            || self.abbreviations.is_some_and(|words| words.contains(stem)) && !before_number
            || next.is_some_and(|next| set("lower case").contains(next))
            || before_number && next.is_some_and(|next| next.is_ascii_digit())
    }

    fn is_letter(&self, character: char) -> bool {
        self.letters.iter().any(|set| set.contains(character))
    }

    fn is_letter_or_digit(&self, character: char) -> bool {
        self.is_letter(character) || set("digits").contains(character)
    }
}

/// One space for white space, and no control characters.
fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut before = None;
    for character in text.chars().map(|character| if is_space(character) { ' ' } else { character }) {
        if before.replace(character) != Some(' ') || character != ' ' {
            clean.extend((character >= ' ').then_some(character));
        }
    }
    clean
}

/// What stands for a protected part while the rest is cut: a word of letters and digits, as sacremoses has it.
fn stand_in(number: usize) -> String {
    format!("THISISPROTECTED{number:03}")
}

/// What may stand beside a mark.
type Neighbour<'a> = Option<&'a dyn Fn(char) -> bool>;

/// Puts spaces before and after a mark between these neighbours. A neighbour belongs to one mark alone: of `a'b'c` with
/// letters on both sides only the first apostrophe counts.
fn space_out(text: &mut Vec<char>, before: Neighbour, mark: char, after: Neighbour, [left, right]: [bool; 2]) {
    if !text.contains(&mark) {
        return;
    }
    let fits = |neighbour: Neighbour, at: usize| {
        neighbour.is_none_or(|fits| text.get(at).is_some_and(|&character| fits(character)))
    };
    let mut spaced = Vec::with_capacity(text.len() + text.len() / 4);
    let mut at = 0;
    while at < text.len() {
        let mark_at = at + usize::from(before.is_some());
        let end = mark_at + 1 + usize::from(after.is_some());
        if text.get(mark_at) == Some(&mark) && fits(before, at) && fits(after, mark_at + 1) {
            spaced.extend_from_slice(&text[at..mark_at]);
            spaced.extend(left.then_some(' '));
            spaced.push(mark);
            spaced.extend(right.then_some(' '));
            spaced.extend_from_slice(&text[mark_at + 1..end]);
            at = end;
        } else {
            spaced.push(text[at]);
            at += 1;
        }
    }
    *text = spaced;
}

/// Writes the characters that Moses keeps for itself as XML does.
fn escape(token: &str) -> String {
    let mut escaped = String::with_capacity(token.len());
    for character in token.chars() {
        match character {
            DOT_OF_MANY => escaped.push('.'),
            '&' => escaped.push_str("&amp;"),
            '|' => escaped.push_str("&#124;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&apos;"),
            '"' => escaped.push_str("&quot;"),
            '[' => escaped.push_str("&#91;"),
            ']' => escaped.push_str("&#93;"),
            _ => escaped.push(character),
        }
    }
    escaped
}
