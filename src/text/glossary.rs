//! Terms and what they are to be in a translation.
//!
//! One term a line: the term, a tab, and what has to stand for it in the translation; several forms stand between `|`, and any of
//! them will do. Whatever is behind a second tab is for people, as are lines that begin with `#` and blank lines. A term is found
//! as whole words, its case as it is given but for the capital a sentence begins with; of two terms in one place the longer counts.

use std::collections::HashMap;
use std::ops::Range;

use super::boundaries::{ends_before_sentence, is_of_word};
use crate::{Error, Result};

/// A list of terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glossary {
    terms: Vec<Term>,
    /// The terms by what they begin with, the longest first.
    by_start: HashMap<String, Vec<usize>>,
}

/// A term and its forms in the translation, each of which will do.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    source: String,
    forms: Vec<String>,
}

/// A term in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTerm<'g> {
    /// Where it stands.
    pub bytes: Range<usize>,
    /// The term as the list has it.
    pub source: &'g str,
    /// What may stand for it in the translation.
    pub forms: &'g [String],
}

impl Glossary {
    /// Reads a list; `name` names it in messages, and `prepare` treats each term as the texts will be treated.
    ///
    /// # Errors
    /// [`Error::Usage`] with the number of the line if it has no tab, or nothing on one side of it; if there is no term at all.
    pub fn parse(text: &str, name: &str, prepare: impl Fn(&str) -> String) -> Result<Self> {
        let mut glossary = Self::default();
        let mut numbers: HashMap<String, usize> = HashMap::new();
        for (line, number) in text.trim_start_matches('\u{feff}').lines().zip(1..) {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |problem: &str| Error::Usage(format!("{name}: line {number}: {problem}"));
            let mut columns = line.split('\t');
            let source = single_spaced(&prepare(columns.next().unwrap_or_default()));
            let target =
                columns.next().ok_or_else(|| wrong("there is no tab; write the term, a tab and its translation"))?;
            let forms = forms(target);
            if source.is_empty() {
                return Err(wrong("there is no term before the tab"));
            }
            if forms.is_empty() {
                return Err(wrong("there is no translation of the term behind the tab"));
            }
            let Some(&term) = numbers.get(&source) else {
                numbers.insert(source.clone(), glossary.terms.len());
                let of_start = glossary.by_start.entry(start(&source).to_owned()).or_default();
                of_start.push(glossary.terms.len());
                glossary.terms.push(Term { source, forms });
                continue;
            };
            // Said twice, both will do.
            let known = &mut glossary.terms[term].forms;
            forms.into_iter().for_each(|form| {
                if !known.contains(&form) {
                    known.push(form);
                }
            });
        }
        if glossary.terms.is_empty() {
            return Err(Error::Usage(format!(
                "{name}: there is no term in it; write a term, a tab and its translation"
            )));
        }
        let terms = &glossary.terms;
        for own in glossary.by_start.values_mut() {
            own.sort_by_key(|&term| std::cmp::Reverse(terms[term].source.len()));
        }
        Ok(glossary)
    }

    /// The number of terms.
    pub fn len(&self) -> usize {
        self.terms.len()
    }

    /// Whether there is no term.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The terms in a text, in order and without overlap.
    pub fn find(&self, text: &str) -> Vec<FoundTerm<'_>> {
        let mut found = Vec::new();
        let mut next = 0;
        let mut before = None;
        for (at, character) in text.char_indices() {
            let is_inside = before.is_some_and(is_of_word) && is_of_word(character);
            before = Some(character);
            if at < next || is_inside || character.is_whitespace() {
                continue;
            }
            if let Some((term, length)) = self.find_at(text, at) {
                let Term { source, forms } = &self.terms[term];
                found.push(FoundTerm { bytes: at..at + length, source, forms });
                next = at + length;
            }
        }
        found
    }

    /// What a translation of a text has to have: the forms of each of its terms, as often as it has them.
    pub fn constraints(&self, text: &str) -> Vec<Vec<String>> {
        self.find(text).into_iter().map(|found| found.forms.to_vec()).collect()
    }

    /// The longest term that stands at a byte of a text, and how long it is there.
    fn find_at(&self, text: &str, at: usize) -> Option<(usize, usize)> {
        let rest = &text[at..];
        let own = start(rest);
        let longest = |start: &str, lowered: bool| {
            let terms = self.by_start.get(start)?.iter();
            terms.filter_map(|&term| Some((term, whole_word(&self.terms[term].source, rest, lowered)?))).next()
        };
        longest(own, false).or_else(|| {
            let lowered = with_first(own, |first| first.to_lowercase().collect());
            (lowered != own && ends_before_sentence(&text[..at])).then(|| longest(&lowered, true)).flatten()
        })
    }
}

/// The forms of a word that `a|b` means.
pub fn forms(text: &str) -> Vec<String> {
    text.split('|').map(single_spaced).filter(|form| !form.is_empty()).collect()
}

/// Which of several words a translation does not have: those no form of which stands in it as a whole word, as it is given or with
/// a capital. Each stands for one word of the translation, so that two of the same are there twice.
pub fn unmet(words: &[Vec<String>], translation: &str) -> Vec<usize> {
    // Long ones first, so that `York` does not take the place of `New York`.
    let mut order: Vec<usize> = (0..words.len()).collect();
    order.sort_by_key(|&word| std::cmp::Reverse(words[word].iter().map(String::len).max()));
    let mut taken: Vec<Range<usize>> = Vec::new();
    let mut unmet = Vec::new();
    for word in order {
        let place = translation.char_indices().find_map(|(at, _)| {
            let is_inside = translation[..at].chars().next_back().is_some_and(is_of_word);
            let rest = &translation[at..];
            let length = words[word].iter().filter_map(|form| {
                let is_inside = is_inside && form.starts_with(is_of_word);
                let capital = with_first(form, |first| first.to_uppercase().collect());
                let length = whole_word(form, rest, false).or_else(|| whole_word(&capital, rest, false));
                length.filter(|_| !is_inside)
            });
            let place = at..at + length.max()?;
            taken.iter().all(|other| other.end <= place.start || place.end <= other.start).then_some(place)
        });
        match place {
            Some(place) => taken.push(place),
            None => unmet.push(word),
        }
    }
    unmet.sort_unstable();
    unmet
}

/// How many bytes of the beginning of a text a term is there, if it is, and ends where a word may end. White space of any length
/// stands for a space of the term; with `lowered` the text's first letter counts as a small one.
fn whole_word(term: &str, text: &str, lowered: bool) -> Option<usize> {
    let mut rest = text;
    let mut last = None;
    for (character, is_first) in term.chars().zip(std::iter::once(true).chain(std::iter::repeat(false))) {
        if character == ' ' {
            let shorter = rest.trim_start();
            if shorter.len() == rest.len() {
                return None;
            }
            rest = shorter;
            continue;
        }
        let own = rest.chars().next()?;
        let is_same = own == character || (lowered && is_first && own.to_lowercase().eq([character]));
        if !is_same {
            return None;
        }
        rest = &rest[own.len_utf8()..];
        last = Some(own);
    }
    let goes_on = last.is_some_and(is_of_word) && rest.starts_with(is_of_word);
    (!goes_on).then_some(text.len() - rest.len())
}

/// What a text is looked up by: the letters and digits it begins with, or its first character.
fn start(text: &str) -> &str {
    let word = text.find(|character| !is_of_word(character)).unwrap_or(text.len());
    let first = text.chars().next().map_or(0, char::len_utf8);
    &text[..word.max(first)]
}

/// A word with another first letter.
pub(crate) fn with_first(word: &str, change: impl Fn(char) -> String) -> String {
    let mut rest = word.chars();
    rest.next().map(change).unwrap_or_default() + rest.as_str()
}

/// A text with one space in the place of all white space inside, and none around.
fn single_spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glossary(text: &str) -> Glossary {
        Glossary::parse(text, "terms.tsv", str::to_owned).unwrap()
    }

    fn found(glossary: &Glossary, text: &str) -> Vec<String> {
        glossary.find(text).iter().map(|found| text[found.bytes.clone()].to_owned()).collect()
    }

    #[test]
    fn terms_are_whole_words_and_the_longest_counts() {
        let glossary = glossary("Staat\tstate\nVereinigte Staaten\tUnited States\nStaaten\tstates\n");
        let text = "Die Vereinigte  Staaten, Staaten und Kirchenstaaten im Staat";
        assert_eq!(found(&glossary, text), ["Vereinigte  Staaten", "Staaten", "Staat"]);
    }

    #[test]
    fn case_counts_but_for_the_capital_of_a_sentence() {
        let glossary = glossary("laufen\trun\nTom\tTom\n");
        assert_eq!(
            found(&glossary, "Laufen kann er. „Laufen!“ Das Laufen, laufen tom"),
            ["Laufen", "Laufen", "laufen"]
        );
    }

    #[test]
    fn signs_and_scripts_without_spaces_are_found() {
        let glossary = glossary("C++\tC++\n犬\tdog\n.NET\t.NET\n");
        assert_eq!(found(&glossary, "(C++) 大犬が.NET"), ["C++", "犬", ".NET"]);
    }

    #[test]
    fn forms_stand_between_bars_and_lines_of_one_term_add_up() {
        let glossary = glossary("\u{feff}# German\tEnglish\r\n\r\nHund\tdog|hound\tnoun\r\nHund\tdog | dogs\r\n");
        assert_eq!(glossary.constraints("Hund und Hund"), vec![vec!["dog", "hound", "dogs"]; 2]);
    }

    #[test]
    fn a_line_that_is_no_term_is_named() {
        let problem = |text| Glossary::parse(text, "terms.tsv", str::to_owned).unwrap_err().to_string();
        assert!(problem("a\tb\n\nHund dog\n").starts_with("terms.tsv: line 3: there is no tab"));
        assert!(problem("\tdog\n").starts_with("terms.tsv: line 1: there is no term"));
        assert!(problem("Hund\t | \n").starts_with("terms.tsv: line 1: there is no translation"));
        assert!(problem("# nothing\n").starts_with("terms.tsv: there is no term in it"));
    }

    #[test]
    fn a_translation_has_a_word_whole_and_as_often_as_it_was_asked_for() {
        let words = |words: &[&str]| words.iter().map(|word| forms(word)).collect::<Vec<_>>();
        assert_eq!(unmet(&words(&["dog", "New York|NYC", "York"]), "Dogs in New York"), [0, 2]);
        assert_eq!(unmet(&words(&["dog", "dog", "run|runs"]), "Dog sees a dog, he runs."), [0; 0]);
        assert_eq!(unmet(&words(&["dog", "dog"]), "a dog."), [1]);
        assert_eq!(unmet(&words(&["Dog"]), "a dog"), [0], "a capital that is asked for is not a small letter");
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_searched(text in "(\\PC|Hund|hund|[ .„“]|犬){0,20}", term in "(\\PC|Hund|hund){1,3}") {
            let list = format!("{}\tx\n", term.replace(['\t', '#'], "."));
            if let Ok(glossary) = Glossary::parse(&list, "terms.tsv", str::to_owned) {
                let found = glossary.find(&text);
                proptest::prop_assert!(found.windows(2).all(|pair| pair[0].bytes.end <= pair[1].bytes.start));
                unmet(&[vec![term]], &text);
            }
        }
    }
}
