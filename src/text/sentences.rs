//! Cutting a line into sentences, and putting their translations back together.
//!
//! Places where a sentence may end are those of Unicode Standard Annex 29, from the `unicode-segmentation` crate: well kept, small,
//! and already in the dependency tree (`tokenizers` needs it). A few more are added that careless writing has (no capitals at all,
//! no space after the full stop), and many taken back by the table `abbreviations.tsv` and the rules below: the annex breaks after
//! every `Dr.`, after German ordinals (`im 19. Jahrhundert`) and inside addresses (`?q=`). Larger libraries were looked at:
//! `sentencex` knows ordinals before names of months only, as its German rules stand, and `srx` needs rules that somebody has
//! written; neither would have replaced the table.
//!
//! Where a full stop may belong to an abbreviation or a number, the next word decides: a word such as `Dann`, `Der` or `Es` with a
//! capital hardly ever stands inside a sentence. In doubt a sentence is not ended.

use std::collections::HashSet;
use std::sync::OnceLock;

use unicode_segmentation::UnicodeSegmentation;

use super::languages::same_language;

/// What is known of the sentences of one language, or of all.
#[derive(Debug, Default)]
struct Rules {
    never: Words,
    number: Words,
    maybe: Words,
    starter: Words,
    before_ordinal: HashSet<&'static str>,
    month: HashSet<&'static str>,
    /// Whether ordinal numbers are written with a full stop.
    has_ordinals: bool,
    /// Whether nouns have capitals, so that a capital says little about a beginning.
    has_capital_nouns: bool,
    /// Whether `I` is a word.
    has_i: bool,
}

/// Words of one kind.
#[derive(Debug, Default)]
struct Words {
    whole: HashSet<&'static str>,
    /// What ends others, as `str` does `Hauptstr`.
    ends: Vec<&'static str>,
    /// All of them in lower case, for texts without capitals.
    lower: HashSet<String>,
}

impl Words {
    fn add(&mut self, word: &'static str) {
        self.lower.insert(word.trim_start_matches('*').to_lowercase());
        match word.strip_prefix('*') {
            Some(end) => self.ends.push(end),
            None => drop(self.whole.insert(word)),
        }
    }

    /// Whether a word is one of them, perhaps with a capital where a sentence begins.
    fn contains(&self, word: &str, is_lower: bool) -> bool {
        if is_lower {
            return self.lower.contains(word);
        }
        let mut characters = word.chars();
        self.whole.contains(word)
            || self.ends.iter().any(|end| word.len() > end.len() && word.ends_with(end))
            || characters.next().is_some_and(|first| {
                first.is_uppercase()
                    && self.whole.contains(first.to_lowercase().chain(characters).collect::<String>().as_str())
            })
    }
}

const TABLE: &str = include_str!("abbreviations.tsv");

impl Rules {
    /// The rules of a language, given as a code of any form; those of all languages together where it is not known.
    fn of(language: Option<&str>) -> &'static Self {
        static ALL: OnceLock<Rules> = OnceLock::new();
        static EACH: OnceLock<Vec<(&str, Rules)>> = OnceLock::new();
        let each = EACH.get_or_init(|| {
            let mut codes: Vec<&str> = Self::rows().map(|(code, ..)| code).filter(|code| *code != "*").collect();
            codes.dedup();
            codes.into_iter().map(|code| (code, Self::read(Some(code)))).collect()
        });
        let known = language.and_then(|language| each.iter().find(|(code, _)| same_language(code, language)));
        known.map_or_else(|| ALL.get_or_init(|| Self::read(None)), |(_, rules)| rules)
    }

    /// Language, kind and words of each row of the table.
    fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let mut fields = line.split('\t');
            Some((fields.next()?, fields.next()?, fields.next()?))
        })
    }

    fn read(language: Option<&str>) -> Self {
        let mut rules = Self::default();
        let is_of = |code: &str| code == "*" || language.is_none_or(|language| language == code);
        for (_, kind, words) in Self::rows().filter(|(code, ..)| is_of(code)) {
            let words = words.split(' ');
            match kind {
                "never" => words.for_each(|word| rules.never.add(word)),
                "number" => words.for_each(|word| rules.number.add(word)),
                "maybe" => words.for_each(|word| rules.maybe.add(word)),
                "starter" => words.for_each(|word| rules.starter.add(word)),
                "before-ordinal" => rules.before_ordinal.extend(words),
                _ => rules.month.extend(words),
            }
        }
        rules.has_ordinals = !rules.before_ordinal.is_empty();
        rules.has_capital_nouns = language.is_none_or(|language| language == "de");
        rules.has_i = language.is_none_or(|language| language == "en");
        rules
    }
}

/// Characters that may stand before the first letter of a sentence.
fn is_opener(character: char) -> bool {
    "([{\"'„“‚‘«»‹›¿¡–—-*•…".contains(character)
}

/// Characters that may stand between a full stop and the space after it.
fn is_closer(character: char) -> bool {
    ")]}\"'”“’‘»«›‹*".contains(character)
}

/// Longest stretch, in bytes, that is looked at for a word or an address.
const LONGEST_WORD: usize = 200;
/// Longest stretch in brackets that is held together, in bytes.
const LONGEST_BRACKET: usize = 600;

/// Cuts a text into sentences by the rules of its language, a code of any form (`de`, `deu_Latn`); those of all languages where it
/// is not known. Each sentence keeps the white space after it (the first also what is before it), so the sentences put end to end
/// are the text again; an empty text has none.
pub fn split_sentences<'t>(text: &'t str, language: Option<&str>) -> Vec<&'t str> {
    let splitter = Splitter {
        text,
        rules: Rules::of(language),
        is_lower: !text.contains(char::is_uppercase) && text.contains(char::is_lowercase),
    };
    splitter.split()
}

/// One text being cut.
struct Splitter<'t> {
    text: &'t str,
    rules: &'static Rules,
    /// Whether the text has no capitals at all.
    is_lower: bool,
}

impl<'t> Splitter<'t> {
    fn split(&self) -> Vec<&'t str> {
        let text = self.text;
        let brackets = brackets(text);
        let mut brackets = brackets.iter().copied().peekable();
        // The first and the last character that is more than punctuation: no sentence is without one.
        let mut first_word = text.find(char::is_alphanumeric).unwrap_or(text.len());
        let last_word = text.rfind(char::is_alphanumeric).unwrap_or(0);
        let mut sentences = Vec::new();
        let mut start = 0;
        for position in self.places() {
            if first_word < start {
                first_word = text[start..].find(char::is_alphanumeric).map_or(text.len(), |found| start + found);
            }
            while brackets.next_if(|&(_, close)| close < position).is_some() {}
            let is_inside =
                brackets.peek().is_some_and(|&(open, _)| (start..position).contains(&open) && open > first_word);
            if first_word < position
                && position <= last_word
                && self.ends(&text[start..position], &text[position..], is_inside)
            {
                sentences.push(&text[start..position]);
                start = position;
            }
        }
        if start < text.len() {
            sentences.push(&text[start..]);
        }
        sentences
    }

    /// Where a sentence may end, in ascending order.
    fn places(&self) -> Vec<usize> {
        let mut places: Vec<usize> = self.text.split_sentence_bound_indices().skip(1).map(|(start, _)| start).collect();
        let annex = places.len();
        let mut rest = self.text.char_indices().peekable();
        while let Some((_, character)) = rest.next() {
            if character != '.' && character != '…' {
                continue;
            }
            while rest.next_if(|&(_, next)| next == '.' || next == '…' || is_closer(next)).is_some() {}
            while rest.next_if(|&(_, next)| next == ' ').is_some() {}
            if let Some(&(position, next)) = rest.peek()
                && (next.is_uppercase() || is_opener(next) || (self.is_lower && next.is_lowercase()))
            {
                places.push(position);
            }
        }
        if places.len() > annex {
            places.sort_unstable();
            places.dedup();
        }
        places
    }

    /// Whether a sentence ends between `before`, where it begins, and `after`. A line break always ends one.
    fn ends(&self, before: &str, after: &str, is_in_brackets: bool) -> bool {
        let content = before.trim_end();
        let space = &before[content.len()..];
        if space.contains(['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']) {
            return true;
        }
        let stem = content.trim_end_matches(is_closer);
        let is_closed = stem.len() < content.len();
        let opened = after.trim_start_matches(|character: char| is_opener(character) || character == ' ');
        let next = opened.chars().next().unwrap_or(' ');
        if is_in_brackets {
            return false;
        }
        match stem.chars().next_back() {
            Some('.' | '…') => {
                let without = stem.trim_end_matches(['.', '…']);
                if without.len() + 1 < stem.len() {
                    self.ends_after_dots(without, space, opened)
                } else {
                    self.ends_after_stop(without, space, is_closed, opened)
                }
            }
            Some('!' | '?') if space.is_empty() => {
                // `Wirklich?Ja!`, but not `/search?q=` or `Wert!=0`.
                next.is_alphabetic() && !next.is_lowercase() && !is_address(stem, opened)
            }
            // „Komm!“ rief sie.
            Some('!' | '?') => !(is_closed && next.is_lowercase()),
            _ => true,
        }
    }

    /// `Ich weiß nicht... Vielleicht`, but not `Der... Hund`.
    fn ends_after_dots(&self, without: &str, space: &str, opened: &str) -> bool {
        let is_capital = opened.starts_with(char::is_uppercase);
        let is_enough = !self.rules.has_capital_nouns && !space.is_empty();
        is_capital && !without.is_empty() && (is_enough || self.is_starter(opened))
    }

    /// Whether the one full stop after `before`, which begins with the sentence, ends it.
    fn ends_after_stop(&self, before: &str, space: &str, is_closed: bool, opened: &str) -> bool {
        let word = last_word(before);
        let bare = word.trim_start_matches(is_opener);
        let rest = before[..before.len() - word.len()].trim_end();
        let is_first = rest.trim_start_matches(is_opener).is_empty();
        let next = opened.chars().next().unwrap_or(' ');
        let is_word = bare.chars().all(char::is_alphabetic);
        let is_single = bare.chars().nth(1).is_none() && is_word && !bare.is_empty();
        let is_number = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
        let is_roman = !bare.is_empty() && bare.bytes().all(|byte| b"IVX".contains(&byte));
        if space.is_empty() && !is_closed {
            // A space was forgotten: `nach Hause.Es regnet`, but not `Node.Js` or `z.B.Der`.
            let end = opened.find(char::is_whitespace).unwrap_or(opened.len().min(LONGEST_WORD));
            let next_word = opened.get(..end).unwrap_or_default().trim_end_matches([',', '.', '!', '?']);
            return is_word
                && !is_single
                && next_word.chars().all(char::is_alphabetic)
                && self.is_starter(opened)
                && !self.is_abbreviation(bare);
        }
        if next.is_lowercase() {
            // Only a text without any capitals comes here.
            return self.is_lower
                && is_word
                && !is_single
                && (!self.is_abbreviation(bare) || self.is_maybe_before(bare, opened));
        }
        // `1. Öl wechseln.`, `a. Anfang`
        if is_first && (is_single || (is_roman && bare.len() < 6) || (is_number && bare.len() < 4)) {
            return false;
        }
        if let Some(joined) = self.abbreviation(before) {
            let rules = self.rules;
            if rules.never.contains(&joined, self.is_lower) {
                return false;
            }
            let is_before_number = next.is_numeric() || (is_numeral(opened) && !self.is_starter(opened));
            return !is_before_number && (rules.number.contains(&joined, self.is_lower) || self.is_starter(opened));
        }
        if bare == "I" && self.rules.has_i {
            return true;
        }
        if is_single {
            return self.is_starter(opened);
        }
        if is_number && self.rules.has_ordinals {
            return self.ends_after_number(bare, rest, opened);
        }
        if is_roman && self.rules.has_ordinals {
            return self.is_starter(opened);
        }
        true
    }

    /// Whether a sentence ends after a number and its full stop, in a language that writes ordinals so.
    fn ends_after_number(&self, number: &str, before: &str, opened: &str) -> bool {
        if self.is_starter(opened) {
            return true;
        }
        if opened.starts_with(|character: char| character.is_ascii_digit()) {
            // `3. 5. 2020`, `77. 000`
            let digits = opened.find(|character: char| !character.is_ascii_digit()).unwrap_or(opened.len());
            let is_date = number.len() <= 2 && (digits == 4 || (digits <= 2 && opened[digits..].starts_with('.')));
            return !is_date && digits != 3;
        }
        let next_word = opened.split(|character: char| !character.is_alphabetic()).next().unwrap_or_default();
        if self.rules.month.contains(next_word) {
            return number.len() > 2;
        }
        let previous = last_word(before);
        let is_before_ordinal = self.rules.before_ordinal.contains(previous.to_lowercase().as_str());
        match number.len() {
            // `um 8.`, `Zimmer 12.`: a number that counts nothing after it.
            1 | 2 => {
                let is_first = before.len() == previous.len();
                let is_noun = previous.starts_with(char::is_uppercase) && previous.ends_with(char::is_alphabetic);
                (is_noun && !is_first && !is_before_ordinal) || previous == "um"
            }
            3 | 4 => !is_before_ordinal,
            _ => true,
        }
    }

    /// Whether a text begins with a word that begins sentences.
    fn is_starter(&self, text: &str) -> bool {
        let end = text.find(|character: char| !character.is_alphabetic()).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        let is_short = word.chars().nth(2).is_none();
        if is_short && rest.starts_with(['\'', '’']) {
            // `L'homme`, `I'm`, `C’est`
            return !word.is_empty();
        }
        // `J. A. Silva`
        let is_initial = word.chars().nth(1).is_none() && rest.starts_with('.');
        let starters = &self.rules.starter;
        !is_initial && if self.is_lower { starters.lower.contains(word) } else { starters.whole.contains(word) }
    }

    /// Whether a word without its full stop is in the table of abbreviations, of any kind.
    fn is_abbreviation(&self, word: &str) -> bool {
        let Rules { never, number, maybe, .. } = self.rules;
        [never, number, maybe].into_iter().any(|words| words.contains(word, self.is_lower))
    }

    fn is_maybe_before(&self, word: &str, opened: &str) -> bool {
        let Rules { never, number, .. } = self.rules;
        let is_other = [never, number].into_iter().any(|words| words.contains(word, self.is_lower));
        !is_other && self.is_starter(opened)
    }

    /// The longest abbreviation at the end of a text that lacks its last full stop, without spaces: `z.B` of `Es ist z. B`. Letters
    /// with full stops between them are one, whether or not the table has it.
    fn abbreviation(&self, before: &str) -> Option<String> {
        let mut found = None;
        let mut joined = String::new();
        let mut rest = before;
        for _ in 0..4 {
            let word = last_word(rest);
            rest = rest[..rest.len() - word.len()].trim_end();
            let bare = word.trim_start_matches(is_opener);
            joined.insert_str(0, bare);
            let is_dotted = joined.contains('.') && joined.split('.').all(|part| part.chars().count() == 1);
            if self.is_abbreviation(&joined) || (is_dotted && joined.chars().any(char::is_alphabetic)) {
                found = Some(joined.clone());
            }
            if bare.len() < word.len() || !rest.ends_with('.') || joined.len() > 16 {
                break;
            }
        }
        found
    }
}

/// The text after the last white space, or its last bytes.
fn last_word(text: &str) -> &str {
    let from = text.len().saturating_sub(LONGEST_WORD);
    let from = (from..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    text[from..].rsplit(char::is_whitespace).next().unwrap_or_default()
}

/// Whether a text begins with a Roman numeral.
fn is_numeral(text: &str) -> bool {
    let end = text.find(|character: char| !character.is_alphanumeric()).unwrap_or(text.len());
    end > 0 && text[..end].bytes().all(|byte| b"IVX".contains(&byte))
}

/// Whether what surrounds a mark without spaces looks like an address.
fn is_address(before: &str, after: &str) -> bool {
    let after = after.split(char::is_whitespace).next().unwrap_or_default();
    let is_mark = |text: &str| text.contains(['/', '@', '=', '&', '#', '%']) || text.contains("www.");
    let end = (0..=after.len().min(LONGEST_WORD)).rev().find(|&at| after.is_char_boundary(at)).unwrap_or(0);
    is_mark(last_word(before)) || is_mark(&after[..end])
}

/// The outermost pairs of brackets, in order, each with no more than [`LONGEST_BRACKET`] between them.
fn brackets(text: &str) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut previous = ' ';
    for (position, character) in text.char_indices() {
        match character {
            // Not the mouth of a `:-(`.
            '(' | '[' if !":;-=".contains(previous) => open.push(position),
            ')' | ']' => {
                if let Some(start) = open.pop()
                    && open.is_empty()
                    && position - start <= LONGEST_BRACKET
                {
                    pairs.push((start, position));
                }
            }
            _ => {}
        }
        previous = character;
        // What is not closed soon is no bracket.
        if open.first().is_some_and(|&start| position - start > LONGEST_BRACKET) {
            open.clear();
        }
    }
    pairs
}

/// Puts translated sentences together the way [`split_sentences`] took the text apart: each with the white space its
/// source sentence had around it.
///
/// Chinese and Japanese put no spaces between sentences and most other languages do, so a missing space is added before
/// a sentence that needs one, and a single one left out after full-width punctuation.
///
/// `translations` beyond the number of `sentences` are left out, and the other way round.
pub fn join_sentences<T: AsRef<str>>(sentences: &[&str], translations: &[T]) -> String {
    join_sentences_at(sentences, translations).0
}

/// The same, and where each translation begins in it.
pub fn join_sentences_at<T: AsRef<str>>(sentences: &[&str], translations: &[T]) -> (String, Vec<usize>) {
    let mut text = String::new();
    let mut starts = Vec::with_capacity(translations.len());
    let mut space = "";
    for (index, (sentence, translation)) in sentences.iter().zip(translations).enumerate() {
        let leading_space = translation.as_ref().len() - translation.as_ref().trim_start().len();
        let translation = translation.as_ref().trim();
        let content = sentence.trim();
        let leading = &sentence[..sentence.len() - sentence.trim_start().len()];
        if index == 0 {
            text.push_str(leading);
        } else if !translation.is_empty() {
            let after_full_width = text.ends_with(is_full_width);
            match space {
                "" if !after_full_width && !translation.starts_with(is_full_width) => text.push(' '),
                " " if after_full_width && translation.starts_with(is_full_width) => {}
                space => text.push_str(space),
            }
        }
        starts.push(text.len().saturating_sub(leading_space));
        text.push_str(translation);
        space = if content.is_empty() { "" } else { &sentence[leading.len() + content.len()..] };
    }
    (text + space, starts)
}

/// Whether a character is written without spaces around it: Chinese and Japanese letters and punctuation.
pub(super) fn is_full_width(character: char) -> bool {
    matches!(character, '\u{3000}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ff60}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keeps_the_white_space_after_each_sentence() {
        let split = |text| split_sentences(text, None);
        assert_eq!(split("It rains.  Really? Yes!"), ["It rains.  ", "Really? ", "Yes!"]);
        assert_eq!(split("  One. \n Two.\n\n"), ["  One. \n", " Two.\n\n"]);
        assert_eq!(split("你好。再见！"), ["你好。", "再见！"]);
        assert_eq!(split("यह है। वह है।"), ["यह है। ", "वह है।"]);
        assert!(split("").is_empty());
        assert_eq!(split("  "), ["  "]);
        assert_eq!(split("He met the Dr.\nThen he left."), ["He met the Dr.\n", "Then he left."]);
    }

    #[test]
    fn every_row_of_the_table_is_of_a_known_kind_and_language() {
        for (language, kind, words) in Rules::rows() {
            assert!(["never", "number", "maybe", "starter", "before-ordinal", "month"].contains(&kind), "{kind}");
            assert!(language == "*" || super::super::languages::name_of(language).is_some(), "{language}");
            assert!(words.split(' ').all(|word| !word.is_empty()), "{language} {kind}");
        }
        assert!(std::ptr::eq(Rules::of(Some("deu_Latn")), Rules::of(Some("de"))));
        assert!(std::ptr::eq(Rules::of(Some("xx")), Rules::of(None)));
    }

    #[test]
    fn joining_restores_the_spacing() {
        let split = |text| split_sentences(text, None);
        let sentences = split(" It rains.  Really? Yes!\n");
        assert_eq!(join_sentences(&sentences, &["Es regnet.", "Wirklich?", "Ja!"]), " Es regnet.  Wirklich? Ja!\n");
        assert_eq!(join_sentences(&split("你好。再见！"), &["Hello.", "Goodbye!"]), "Hello. Goodbye!");
        assert_eq!(join_sentences(&split("Hello. Goodbye!"), &["你好。", "再见！"]), "你好。再见！");
        assert_eq!(join_sentences::<&str>(&[], &[]), "");
        assert_eq!(join_sentences_at(&sentences, &["Es regnet.", "Wirklich?", "Ja!"]).1, [1, 13, 23]);
    }

    proptest! {
        #[test]
        fn sentences_are_the_text(text in "(\\PC|[.!?…] ?[A-Z(\")1-9]|\n|\r|  |z\\. B\\. |Dann |der 3\\. ){0,80}", language in 0..4_usize) {
            let language = [None, Some("de"), Some("en"), Some("cs")][language];
            let sentences = split_sentences(&text, language);
            prop_assert_eq!(sentences.concat(), text.as_str());
            prop_assert!(sentences.iter().all(|sentence| !sentence.is_empty()));
        }
    }
}
