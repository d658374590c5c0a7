//! Usual spellings: German that was typed without capitals, or without umlauts, read as it is usually written.
//!
//! A model may bring a list of words (`spellings` in its `text_defaults`), one a line, as each is written within a sentence:
//! `für`, `Haustür`, `gehen`. The lines are sorted by [`key`], in which the careless ways to type a word are one, and searched as
//! they lie in the file. Of words with one key the more frequent stands first.
//!
//! - [`Spellings::restored`] gives words their umlauts, accents and `ß`, where their writer used none: `fuer`, `fur` → `für`.
//! - [`Spellings::with_capitals`] gives nouns, names and the beginning of a sentence their capitals, where there are none. [`Commas`]
//!   tell from the words around which those are, better than a list can (`essen`, `Essen`; `sie`, `Sie`).
//!
//! Neither touches a text of which the list knows less than [`KNOWN`], as it is in another language.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;
use std::path::Path;

use unicode_normalization_alignments::UnicodeNormalization;

use super::{Commas, Normalized};
use crate::{Error, Result};

/// So many words of a text must be known, in tenths.
const KNOWN: usize = 6;

/// Letters of the shortest parts of a compound: before, and at its end, which decides on its case.
const PARTS: (usize, usize) = (3, 4);

/// Letters of the longest word that is looked at.
const LONGEST: usize = 48;

/// So many words are a sentence, whose first letter gets a capital.
const SENTENCE: usize = 3;

/// A list of usual spellings.
#[derive(Debug)]
pub struct Spellings {
    /// Words between line ends, sorted by [`key`].
    list: Cow<'static, str>,
}

/// What a word may have lost when it was typed.
#[derive(Clone, Copy, Default)]
struct Lost {
    /// Umlauts and accents.
    accents: bool,
    /// `ß`.
    sharp_s: bool,
}

/// A word in the list.
#[derive(Clone, Copy)]
struct Entry<'l> {
    word: &'l str,
    /// Its place among those with the same key: the less, the more frequent.
    rank: usize,
}

/// What the list has for a word as it was typed.
#[derive(Default)]
struct Found<'l> {
    /// The word itself, whatever its case.
    own: Option<Entry<'l>>,
    /// Words that it may be a careless form of, the most frequent first.
    meant: Vec<Entry<'l>>,
}

/// A word of a compound that was typed carelessly: where it stands, and how it is usually written.
type Part<'l> = (Range<usize>, &'l str);

impl Spellings {
    /// A list; `path` names it in messages. One that is compiled into the program is in order, as a test shows.
    ///
    /// # Errors
    /// If it is not UTF-8, or a line is not in order or not one word.
    pub fn parse(bytes: Cow<'static, [u8]>, path: impl AsRef<Path>) -> Result<Self> {
        let wrong = |line: usize, problem: &str| {
            Error::model(&path, format!("line {line}: {problem}; `python -m training spellings` writes such a list"))
        };
        let text = match bytes {
            Cow::Borrowed(bytes) => {
                std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| (error, bytes.to_vec()))
            }
            Cow::Owned(bytes) => {
                String::from_utf8(bytes).map(Cow::Owned).map_err(|error| (error.utf8_error(), error.into_bytes()))
            }
        };
        let list = text.map_err(|(error, bytes)| {
            let line = bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
            wrong(line, "it is not valid UTF-8")
        })?;
        let list = Self { list };
        if let Cow::Owned(_) = list.list
            && let Some((line, problem)) = list.disorder()
        {
            return Err(wrong(line, problem));
        }
        Ok(list)
    }

    /// The first line that is not as it must be, counted from 1.
    fn disorder(&self) -> Option<(usize, &'static str)> {
        let mut previous = "";
        for (word, line) in self.list.split_terminator('\n').zip(1..) {
            if word.is_empty() || !word.chars().all(char::is_alphabetic) {
                return Some((line, "it is not one word of letters alone"));
            }
            if key(previous).cmp(key(word)) == Ordering::Greater {
                return Some((line, "it does not stand behind the line before in the order of the list"));
            }
            previous = word;
        }
        None
    }

    /// The words with the key of a word.
    fn with_key_of<'l>(&'l self, typed: &str) -> impl Iterator<Item = Entry<'l>> {
        let list = &*self.list;
        let wanted: Vec<char> = key(typed).collect();
        let order = |word: &str| key(word).cmp(wanted.iter().copied());
        let end_of = |start: usize| list[start..].find('\n').map_or(list.len(), |length| start + length);
        let (mut low, mut high) = (0, list.len());
        while low < high {
            // Line ends are no part of a character, so bytes will do.
            let middle = low + (high - low) / 2;
            let before = &list.as_bytes()[low..middle];
            let start = before.iter().rposition(|&byte| byte == b'\n').map_or(low, |place| low + place + 1);
            let end = end_of(start);
            match order(&list[start..end]) {
                Ordering::Less => low = (end + 1).min(list.len()),
                _ => high = start,
            }
        }
        let same = list[low..].split_terminator('\n').take_while(move |word| key(word).eq(wanted.iter().copied()));
        same.zip(0..).map(|(word, rank)| Entry { word, rank })
    }

    fn find(&self, typed: &str, lost: Lost) -> Found<'_> {
        let mut found = Found::default();
        for entry in self.with_key_of(typed) {
            if small(entry.word).eq(small(typed)) {
                found.own = Some(entry);
            } else if is_meant(typed, entry.word, lost) {
                found.meant.push(entry);
            }
        }
        found
    }

    /// The two known words that an unknown one is made of, with the longest second, and perhaps an `s` between.
    fn compound<'l>(&'l self, typed: &str, lost: Lost) -> Option<[Part<'l>; 2]> {
        let places: Vec<usize> = typed.char_indices().map(|(place, _)| place).collect();
        let letters = places.len();
        if !(PARTS.0 + PARTS.1..=LONGEST).contains(&letters) {
            return None;
        }
        let word = |part: &str| {
            let found = self.find(part, lost);
            found.own.or(found.meant.first().copied()).map(|entry| entry.word)
        };
        for &place in &places[PARTS.0..=letters - PARTS.1] {
            let Some(second) = word(&typed[place..]) else { continue };
            let without_s = (place > places[PARTS.0] && typed[..place].ends_with('s')).then(|| place - 1);
            for end in [Some(place), without_s].into_iter().flatten() {
                if let Some(first) = word(&typed[..end]) {
                    return Some([(0..end, first), (place..typed.len(), second)]);
                }
            }
        }
        None
    }

    /// The text with the umlauts, accents and `ß` that its words have lost, each letter in the case it had. A text that has an
    /// umlaut lacks none, and one that has an `ß` lacks none.
    ///
    /// A word that is itself in the list stays, unless another is certainly without its umlauts and the word with them is the more
    /// frequent one (`mochte`, `möchte`).
    pub fn restored(&self, text: Normalized) -> Normalized {
        let lost = Lost { accents: !text.text.contains(is_umlaut), sharp_s: !text.text.contains('ß') };
        if !lost.accents && !(lost.sharp_s && (text.text.contains("ss") || text.text.contains("SS"))) {
            return text;
        }
        let edits = self.edits(&text.text, lost);
        if edits.is_empty() { text } else { text.replaced(&edits) }
    }

    /// The bytes of a text that become others.
    fn edits(&self, text: &str, lost: Lost) -> Vec<(Range<usize>, String)> {
        let mut places = words(text);
        places.retain(|place| is_long(&text[place.clone()]));
        let is_capital = |place: &Range<usize>| text[place.clone()].starts_with(char::is_uppercase);
        // Capitals tell nouns from other words where not every letter is one, and not at the beginning.
        let has_case =
            text.contains(char::is_uppercase) && text.contains(|letter: char| letter.is_lowercase() && letter != 'ß');
        let mut found: Vec<Found> = places.iter().map(|place| self.find(&text[place.clone()], lost)).collect();
        let known = found.iter().filter(|found| found.own.is_some() || !found.meant.is_empty()).count();
        if known * 10 < places.len() * KNOWN || known == 0 {
            return Vec::new();
        }
        for (found, place) in found.iter_mut().zip(&places).skip(1).filter(|_| has_case) {
            let is_same = |entry: &Entry| entry.word.starts_with(char::is_uppercase) == is_capital(place);
            if found.own.is_some() || found.meant.iter().any(is_same) {
                found.meant.retain(is_same);
            }
        }
        let is_certain = found.iter().any(|found| found.own.is_none() && !found.meant.is_empty());
        let mut edits = Vec::new();
        for (found, place) in found.iter().zip(&places) {
            let typed = &text[place.clone()];
            let mut push = |part: Range<usize>, word: &str| {
                for (own, letter) in changes(&typed[part.clone()], word, lost) {
                    edits.push((place.start + part.start + own.start..place.start + part.start + own.end, letter));
                }
            };
            match (found.own, found.meant.first()) {
                (None, Some(meant)) => push(0..typed.len(), meant.word),
                (Some(own), Some(meant)) if is_certain && meant.rank < own.rank => push(0..typed.len(), meant.word),
                (None, None) => {
                    let parts = self.compound(typed, lost);
                    // Without `ae` or `ss` in it, an unknown word is more often one of another language.
                    let is_sure = |(part, word): &Part| {
                        is_certain || changes(&typed[part.clone()], word, lost).iter().all(|(own, _)| own.len() > 1)
                    };
                    for (part, word) in parts.filter(|parts| parts.iter().all(is_sure)).into_iter().flatten() {
                        push(part, word);
                    }
                }
                _ => {}
            }
        }
        edits
    }

    /// A text in small letters with the capitals of its words, and at its beginning if it is a sentence. Each letter has as many
    /// bytes as before, so that places in the text stay what they are. Where there are [`Commas`], they decide on whole words.
    pub fn with_capitals<'t>(&self, text: &'t str, commas: Option<&Commas>) -> Cow<'t, str> {
        let mut places = words(text);
        let has_capital = |place: &Range<usize>| text[place.clone()].contains(char::is_uppercase);
        if places.iter().any(has_capital) {
            return text.into();
        }
        places.retain(|place| is_long(&text[place.clone()]));
        if places.is_empty() {
            return text.into();
        }
        let found: Vec<Option<&str>> = places
            .iter()
            .map(|place| self.find(&text[place.clone()], Lost::default()).own.map(|entry| entry.word))
            .collect();
        if found.iter().flatten().count() * 10 < places.len() * KNOWN {
            return text.into();
        }
        let decided = commas.map_or_else(Vec::new, |commas| commas.capitals(text));
        let mut written = text.to_owned();
        let mut write = |place: Range<usize>, spelling: &str| {
            if spelling.len() == place.len() {
                written.replace_range(place, spelling);
            }
        };
        for (found, place) in found.into_iter().zip(&places) {
            let typed = &text[place.clone()];
            let is_compound = || {
                let parts = self.compound(typed, Lost::default());
                parts.is_some_and(|[_, (_, last)]| last.starts_with(char::is_uppercase))
            };
            let is_decided = decided.binary_search_by_key(&place.start, |(place, _)| place.start);
            let decided = is_decided.ok().map(|at| &decided[at]).filter(|(whole, _)| whole == place);
            match found {
                // Of a name such as `USA` only the list knows.
                Some(word) if decided.is_none() || word.chars().skip(1).any(char::is_uppercase) => {
                    write(place.clone(), word);
                }
                _ if decided.is_some_and(|&(_, is_capital)| is_capital) => write(place.clone(), &capitalised(typed)),
                None if decided.is_none() && is_compound() => write(place.clone(), &capitalised(typed)),
                _ => {}
            }
        }
        if places.len() >= SENTENCE && !text[..places[0].start].contains(char::is_alphanumeric) {
            let first = capitalised(&written[places[0].clone()]);
            if first.len() == places[0].len() {
                written.replace_range(places[0].clone(), &first);
            }
        }
        if written == text { text.into() } else { written.into() }
    }
}

/// What all careless forms of a word have in common: small letters without accents, `ss` for `ß`, and no `e` after `a`, `o` or
/// `u`, as it stands there in the place of two dots.
fn key(word: &str) -> Key<'_> {
    Key { letters: word.chars(), more: Vec::new(), after_vowel: false }
}

/// The letters of a key, made as they are wanted: two words differ after a few.
struct Key<'w> {
    letters: std::str::Chars<'w>,
    /// What the last letter makes besides, in reverse.
    more: Vec<char>,
    after_vowel: bool,
}

impl Iterator for Key<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        loop {
            let letter = match self.more.pop() {
                Some(letter) => letter,
                None => match self.letters.next()? {
                    letter if letter.is_ascii() => letter.to_ascii_lowercase(),
                    'ä' => 'a',
                    'ö' => 'o',
                    'ü' => 'u',
                    letter => {
                        self.more.extend(letter.to_lowercase().flat_map(folded).flatten());
                        self.more.reverse();
                        continue;
                    }
                },
            };
            let is_dropped = self.after_vowel && letter == 'e';
            self.after_vowel = is_dropped || matches!(letter, 'a' | 'o' | 'u');
            if !is_dropped {
                return Some(letter);
            }
        }
    }
}

fn small(word: &str) -> impl Iterator<Item = char> {
    word.chars().flat_map(char::to_lowercase)
}

/// A small letter without its accent, `ß` as two.
fn folded(letter: char) -> [Option<char>; 2] {
    match letter {
        _ if letter.is_ascii() => [Some(letter), None],
        'ß' => [Some('s'), Some('s')],
        _ => [std::iter::once(letter).nfd().next().map(|(base, _)| base), None],
    }
}

fn is_umlaut(letter: char) -> bool {
    matches!(letter, 'ä' | 'ö' | 'ü' | 'Ä' | 'Ö' | 'Ü')
}

/// The text with its first letter large, if that takes as many bytes.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(char::to_uppercase).into_iter().flatten().chain(letters).collect()
}

/// Whether a word has more than one letter: those of one are abbreviations, or what an apostrophe cut off.
fn is_long(word: &str) -> bool {
    word.chars().nth(1).is_some()
}

/// The words of a text that may be looked up: of letters alone, and in nothing that is more than a word, such as an
/// address, a file name, a placeholder, a tag or a number.
pub(super) fn words(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut end = 0;
    for token in text.split_whitespace() {
        let start = end + text[end..].find(token).unwrap_or(0);
        end = start + token.len();
        let is_more = |letter: char| letter.is_numeric() || "_@/\\=%$#{}<>&".contains(letter);
        // Between letters.
        let has_dot = || {
            let letters: Vec<char> = token.chars().collect();
            letters.windows(3).any(|w| matches!(w[1], '.' | ':') && w[0].is_alphanumeric() && w[2].is_alphanumeric())
        };
        if token.contains(is_more) || has_dot() {
            continue;
        }
        let mut place = start;
        for part in token.split(|letter: char| !letter.is_alphabetic()) {
            if !part.is_empty() && part.chars().nth(LONGEST).is_none() {
                found.push(place..place + part.len());
            }
            place += part.len();
            place += text[place..].chars().next().map_or(0, char::len_utf8);
        }
    }
    found
}

/// Whether a text as it was typed is a careless form of a word.
fn is_meant(typed: &str, word: &str, lost: Lost) -> bool {
    forms(typed, word, lost).is_some()
}

/// How many bytes of a typed text stand for each letter of a word; nothing if it cannot be that word.
fn forms(typed: &str, word: &str, lost: Lost) -> Option<Vec<usize>> {
    fn go(typed: &str, mut word: std::str::Chars, lost: Lost, lengths: &mut Vec<usize>) -> bool {
        let Some(letter) = word.next() else { return typed.is_empty() };
        let letter = letter.to_lowercase().next().unwrap_or(letter);
        let mut letters = typed.chars();
        let Some(first) = letters.next() else { return false };
        let second = letters.next();
        let is = |typed: char, letter: char| typed.to_lowercase().eq(std::iter::once(letter));
        let two = |base: char, next: char| {
            let second = second.filter(|&second| is(first, base) && is(second, next))?;
            Some(first.len_utf8() + second.len_utf8())
        };
        let base = folded(letter)[0].unwrap_or(letter);
        let ways = match letter {
            'ß' => [None, two('s', 's').filter(|_| lost.sharp_s)],
            _ if letter == base || !lost.accents => [None, None],
            _ => [
                two(base, 'e').filter(|_| matches!(letter, 'ä' | 'ö' | 'ü')),
                is(first, base).then(|| first.len_utf8()),
            ],
        };
        for length in is(first, letter).then(|| first.len_utf8()).into_iter().chain(ways.into_iter().flatten()) {
            lengths.push(length);
            if go(&typed[length..], word.clone(), lost, lengths) {
                return true;
            }
            lengths.pop();
        }
        false
    }
    let mut lengths = Vec::new();
    go(typed, word.chars(), lost, &mut lengths).then_some(lengths)
}

/// The bytes of a typed word that are other letters where it is usually written, each in the case it had; `ß` has none.
fn changes(typed: &str, word: &str, lost: Lost) -> Vec<(Range<usize>, String)> {
    let mut start = 0;
    let mut changes = Vec::new();
    for (length, letter) in forms(typed, word, lost).unwrap_or_default().into_iter().zip(word.chars()) {
        let place = start..start + length;
        start = place.end;
        let own = &typed[place.clone()];
        if own.to_lowercase() == letter.to_lowercase().to_string() {
            continue;
        }
        let is_large = own.starts_with(char::is_uppercase) && letter != 'ß';
        changes.push((
            place,
            if is_large { letter.to_uppercase().to_string() } else { letter.to_lowercase().to_string() },
        ));
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::normalize;

    /// In the order of a list.
    const WORDS: &str = "am\nbin\nCafé\nden\nder\ndie\ner\nfür\ngroß\nHaus\nich\nist\nlöst\nmaß\nmüde\n\
                         möchte\nmochte\nneu\nneue\noffen\nschon\nschön\nSchlüssel\nsie\nStraße\nTür\nwar\n";

    fn list() -> Spellings {
        let mut words: Vec<&str> = WORDS.lines().collect();
        words.sort_by(|a, b| key(a).cmp(key(b)));
        Spellings::parse(Cow::Owned((words.join("\n") + "\n").into_bytes()), "list").unwrap()
    }

    fn restored(text: &str) -> String {
        list().restored(normalize(text)).text
    }

    fn with_capitals(text: &str) -> String {
        list().with_capitals(text, None).into_owned()
    }

    #[test]
    fn words_get_back_their_umlauts_accents_and_sharp_s_in_their_own_case() {
        for (typed, written) in [
            ("Die Tuer ist fuer sie schoen.", "Die Tür ist für sie schön."),
            ("die tur ist fur sie", "die tür ist für sie"),
            ("DIE STRASSE IST FUER SIE", "DIE STRAßE IST FÜR SIE"),
            ("er ist muede, die Strasse ist gross", "er ist müde, die Straße ist groß"),
            ("die Tuer; Cafe!", "die Tür; Café!"),
            // A compound that is not in the list, in which an s may stand.
            ("der Haustuerschluessel ist neu", "der Haustuerschluessel ist neu"),
            ("der Tuerschluessel ist neu", "der Türschlüssel ist neu"),
            ("der Strassenschluessel", "der Strassenschluessel"),
        ] {
            assert_eq!(restored(typed), written);
        }
    }

    #[test]
    fn words_that_may_be_what_they_are_stay() {
        for text in [
            "er ist schon der neue",
            // Its writer has umlauts.
            "Die Tür ist fuer sie",
            "er mochte sie",
            "",
            "Q",
        ] {
            assert_eq!(restored(text), text);
        }
        // Unless the line has none for certain, and the other word is the more frequent.
        assert_eq!(restored("er mochte fur sie"), "er möchte für sie");
        // An ß may be missing where umlauts are not, and the other way round.
        assert_eq!(restored("Die Tür der Strasse"), "Die Tür der Straße");
        assert_eq!(restored("Die Tuer der Straße"), "Die Tür der Straße");
    }

    #[test]
    fn other_languages_and_what_is_no_word_stay() {
        for text in [
            "The lost Tur is for sale",
            "die fuer@example.org ist",
            "fuer/die/Tuer",
            "die {fuer} <tuer> fuer2",
            "er.fuer",
        ] {
            assert_eq!(restored(text), text);
        }
        for text in ["the haus of cards is here", "I'm die tür", "https://haus.de/tür haus2"] {
            assert_eq!(with_capitals(text), text);
        }
    }

    #[test]
    fn nouns_and_sentences_get_capitals_where_there_are_none() {
        assert_eq!(with_capitals("die tür ist offen"), "Die Tür ist offen");
        assert_eq!(with_capitals("„die neue hausschlüssel?“"), "„Die neue Hausschlüssel?“");
        assert_eq!(with_capitals("schön"), "schön");
        assert_eq!(with_capitals("straße"), "Straße");
        for text in ["Die tür ist offen", "die Tür ist", "", "123"] {
            assert_eq!(with_capitals(text), text);
        }
    }

    #[test]
    fn words_around_tell_which_have_a_capital() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vocab/commas.bin");
        let commas = Commas::parse(Cow::Owned(std::fs::read(path).unwrap()), "vocab/commas.bin").unwrap();
        let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("vocab/spellings.txt")).unwrap();
        let list = Spellings::parse(Cow::Owned(bytes), "vocab/spellings.txt").unwrap();
        for (typed, written) in [
            ("können sie mir bitte helfen?", "Können Sie mir bitte helfen?"),
            ("das essen in den usa ist gut", "Das Essen in den USA ist gut"),
            ("wir essen um sieben", "Wir essen um sieben"),
        ] {
            assert_eq!(list.with_capitals(typed, Some(&commas)), written);
        }
    }

    #[test]
    fn places_lead_back_to_the_text_as_it_was_given() {
        let given = "die\u{ad} Tuer fuer\u{a0}die strasse der Schlu\u{ad}essel";
        let restored = list().restored(normalize(given));
        assert_eq!(restored.text, "die Tür für die straße der Schlüssel");
        for (word, original) in [
            ("Tür", "Tuer"),
            ("r für", "r fuer"),
            ("für", "fuer"),
            ("die st", "die st"),
            ("ße", "sse"),
            ("der", "der"),
            ("Schl", "Schl"),
            ("ssel", "ssel"),
        ] {
            let place = restored.offsets.original(restored.text.find(word).unwrap());
            assert!(given[place..].starts_with(original), "{word}: {}", &given[place..]);
        }
        assert_eq!(restored.offsets.original(restored.text.len()), given.len());
    }

    #[test]
    fn long_words_and_letters_of_any_script_are_no_trouble() {
        let long = "ae".repeat(100_000);
        assert_eq!(restored(&format!("die {long} ist")), format!("die {long} ist"));
        for text in ["İSTANBUL ǅ ﬁ die Ⅷ", "日本語 die ß ẞ SS ss", "e\u{301} die u\u{308}"] {
            let text = restored(text);
            assert_eq!(with_capitals(&text).len(), text.len());
        }
    }

    #[test]
    fn a_list_that_is_none_is_refused_with_its_line() {
        for (list, problem) in [
            (&b"am\nbin\n\xff\n"[..], "list.txt: line 3: it is not valid UTF-8"),
            (b"bin\nam\n", "list.txt: line 2: it does not stand behind the line before"),
            (b"am\n\nbin\n", "list.txt: line 2: it is not one word"),
            (b"am bin\n", "list.txt: line 1: it is not one word"),
        ] {
            let error = Spellings::parse(Cow::Owned(list.to_vec()), "list.txt").unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let empty = Spellings::parse(Cow::Owned(Vec::new()), "list.txt").unwrap();
        assert_eq!(empty.restored(normalize("die Tuer")).text, "die Tuer");
    }

    #[test]
    fn the_list_of_the_built_in_models_is_in_order() {
        let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("vocab/spellings.txt")).unwrap();
        let list = Spellings::parse(Cow::Owned(bytes), "vocab/spellings.txt").unwrap();
        for word in ["für", "schon", "schön", "Straße"] {
            assert_eq!(list.find(word, Lost::default()).own.map(|entry| entry.word), Some(word));
        }
        let text = list.restored(normalize("ich moechte am Samstag ueber die Strasse")).text;
        assert_eq!(text, "ich möchte am Samstag über die Straße");
        assert_eq!(list.with_capitals("wo ist die haustür?", None), "Wo ist die Haustür?");
    }
}
