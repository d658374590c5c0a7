//! Byte pair encoding as `subword-nmt` and fastBPE apply it (Sennrich, Haddow and Birch 2016).
//!
//! | file of codes | what it is |
//! |---|---|
//! | `#version: 0.2`, then two pieces a line | subword-nmt; `</w>` ends a word's last character |
//! | two pieces a line | subword-nmt's first version; `</w>` is a piece of its own at first |
//! | two pieces and a count a line | fastBPE, which is like version 0.2 |
//!
//! Pieces equal those of subword-nmt 0.3.8.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use regex::{Regex, RegexBuilder};

use super::moses::{Merges, WORD_END};
use crate::{Error, Result};

/// What marks a piece that another of its word follows.
pub(super) const CONTINUED: &str = "@@";

/// The codes of a byte pair encoding, with what limits them.
#[derive(Debug, Default)]
pub struct Codes {
    merges: Merges,
    /// For every piece that a merge gives, how many of its bytes are the left half.
    halves: HashMap<Box<str>, usize>,
    /// If given, the pieces that may come out, those inside a word with their mark.
    vocabulary: Option<HashSet<Box<str>>>,
    glossary: Vec<Glossary>,
}

/// Something that is never cut and stands alone.
#[derive(Debug)]
struct Glossary {
    anywhere: Regex,
    whole: Regex,
}

/// The regular expression that a configuration gives as text, of which none may be large.
///
/// # Errors
/// If it is none; the message names it.
pub(super) fn pattern_of(pattern: &str, ignores_case: bool) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern).case_insensitive(ignores_case).size_limit(1 << 20).build();
    built.map_err(|error| {
        let (error, shown) = (error.to_string(), pattern.chars().take(60).collect::<String>());
        format!("{shown:?} is no regular expression: {}", error.lines().last().unwrap_or_default())
    })
}

impl Codes {
    /// Reads a file of codes; `path` names it in messages. Of a merge that is listed twice the first counts.
    ///
    /// # Errors
    /// If it is not valid UTF-8, is of another version, or a line has other than two pieces (and, in all lines, a
    /// count).
    pub fn parse(bytes: &[u8], path: impl AsRef<Path>) -> Result<Self> {
        let problem = |problem: String| Error::model(&path, format!("not usable codes: {problem}"));
        let text = std::str::from_utf8(bytes).map_err(|_| problem("it is not valid UTF-8; save it as UTF-8".into()))?;
        let (version, text) = match text.split_once('\n').unwrap_or((text, "")) {
            (first, rest) if first.starts_with("#version:") => (first.split_whitespace().last(), rest),
            _ => (None, text),
        };
        let has_first_version = match version.map(|version| version.trim_end_matches(".0")) {
            None | Some("0.1") => true,
            Some("0.2") => false,
            Some(other) => {
                return Err(problem(format!("it is of version {other}; 0.1 and 0.2 of subword-nmt are supported")));
            }
        };
        let first_line = 1 + usize::from(version.is_some());
        let lines = text.trim_end_matches(['\n', '\r']).split('\n').map(|line| line.trim_matches([' ', '\r']));
        let mut pairs = Vec::new();
        let mut counted = 0;
        for (at, line) in lines.enumerate() {
            let fields: Vec<&str> = line.split(' ').filter(|field| !field.is_empty()).collect();
            match fields[..] {
                [left, right] if counted == 0 => pairs.push((left, right)),
                [left, right, count] if counted == at && version.is_none() && count.parse::<u64>().is_ok() => {
                    counted += 1;
                    pairs.push((left, right));
                }
                _ => {
                    let (number, shown) = (first_line + at, line.chars().take(60).collect::<String>());
                    let form = if counted > 0 { "two pieces and a count" } else { "two pieces with a space between" };
                    return Err(problem(format!("line {number} is {shown:?}; it should be {form}")));
                }
            }
        }
        let mut halves = HashMap::with_capacity(pairs.len());
        let mut seen = HashSet::with_capacity(pairs.len());
        for (left, right) in pairs.iter().rev().filter(|pair| seen.insert(**pair)) {
            halves.insert(Box::from([*left, *right].concat()), left.len());
        }
        let merges = Merges::of_pairs(&pairs, counted == 0 && has_first_version);
        Ok(Self { merges, halves, ..Self::default() })
    }

    /// The same with a vocabulary (`subword-nmt get-vocab`: a piece and its count a line): merges that give a piece it
    /// lacks, or has fewer than `threshold` times, are taken back.
    ///
    /// # Errors
    /// If it is not valid UTF-8, or a line is of another form.
    pub fn with_vocabulary(self, bytes: &[u8], threshold: Option<u64>, path: impl AsRef<Path>) -> Result<Self> {
        let problem = |problem: String| Error::model(&path, format!("not a usable vocabulary of pieces: {problem}"));
        let text = std::str::from_utf8(bytes).map_err(|_| problem("it is not valid UTF-8; save it as UTF-8".into()))?;
        let mut pieces = HashSet::new();
        for (at, line) in text.lines().enumerate() {
            let fields = line.trim_matches([' ', '\r']).split_once(' ');
            let Some((piece, count)) = fields.and_then(|(piece, count)| Some((piece, count.parse::<u64>().ok()?)))
            else {
                let (number, shown) = (at + 1, line.chars().take(60).collect::<String>());
                return Err(problem(format!("line {number} is {shown:?}; it should be a piece and its count")));
            };
            if count >= threshold.unwrap_or(0) {
                pieces.insert(Box::from(piece));
            }
        }
        Ok(Self { vocabulary: Some(pieces), ..self })
    }

    /// The same with words, or patterns of words, that are never cut.
    ///
    /// # Errors
    /// If a pattern is no regular expression; the message names it.
    pub fn with_glossary(self, patterns: &[String]) -> Result<Self, String> {
        let expression = |pattern: &str| pattern_of(pattern, false);
        let glossary = |pattern: &String| {
            Ok(Glossary { anywhere: expression(pattern)?, whole: expression(&format!("^(?:{pattern})$"))? })
        };
        Ok(Self { glossary: patterns.iter().map(glossary).collect::<Result<_, String>>()?, ..self })
    }

    /// Calls `emit` with every piece of a word and whether it is the last. An empty word has none.
    pub fn cut(&self, word: &str, mut emit: impl FnMut(&str, bool)) {
        // Every piece, until it is known whether another follows.
        let mut waiting: Option<String> = None;
        let mut pass = |piece: &str| {
            if let Some(before) = waiting.replace(piece.to_owned()) {
                emit(&before, false);
            }
        };
        for part in self.parts(word) {
            self.cut_part(part, &mut pass);
        }
        // The mark alone is left where the last piece was taken apart.
        if let Some(last) = waiting.filter(|last| !last.is_empty()) {
            emit(&last, true);
        }
    }

    /// A word without what the glossary has in it, and that.
    fn parts<'w>(&self, word: &'w str) -> Vec<&'w str> {
        let mut parts = vec![word];
        for Glossary { anywhere, whole } in &self.glossary {
            let cut = |part: &'w str| {
                let mut cut = Vec::new();
                let mut end = 0;
                if !whole.is_match(part) {
                    for found in anywhere.find_iter(part).filter(|found| !found.is_empty()) {
                        cut.extend([&part[end..found.start()], found.as_str()]);
                        end = found.end();
                    }
                }
                cut.push(&part[end..]);
                cut.into_iter().filter(|part| !part.is_empty())
            };
            parts = parts.into_iter().flat_map(cut).collect();
        }
        parts
    }

    fn cut_part(&self, part: &str, emit: &mut dyn FnMut(&str)) {
        let is_whole = || part.chars().nth(1).is_none() || self.glossary.iter().any(|own| own.whole.is_match(part));
        if is_whole() {
            return emit(part);
        }
        let mut pieces: Vec<String> = Vec::new();
        self.merges.split(part, |piece| pieces.push(piece.to_owned()));
        // The mark at the end may be a piece of its own.
        if let Some(last) = pieces.last_mut() {
            last.truncate(last.strip_suffix(WORD_END).unwrap_or(last).len());
            if last.is_empty() {
                pieces.pop();
            }
        }
        let count = pieces.len();
        for (at, piece) in pieces.iter().enumerate() {
            self.take_apart(piece, at + 1 == count, emit);
        }
    }

    /// Emits a piece if the vocabulary has it, else the two it was put together from, and so on.
    fn take_apart(&self, piece: &str, is_last: bool, emit: &mut dyn FnMut(&str)) {
        let Some(vocabulary) = &self.vocabulary else { return emit(piece) };
        let mut waiting = vec![(piece.to_owned(), is_last)];
        while let Some((piece, is_last)) = waiting.pop() {
            let mark = if is_last { "" } else { CONTINUED };
            let is_listed = vocabulary.contains([&piece, mark].concat().as_str());
            let merged = if is_last { [&piece, WORD_END].concat() } else { piece.clone() };
            let halves = self.halves.get(merged.as_str()).map(|&half| merged.split_at(half));
            // The mark goes with the right half.
            let halves = halves.and_then(|(left, right)| match is_last {
                true => Some((left, right.strip_suffix(WORD_END)?)),
                false => Some((left, right)),
            });
            match halves {
                Some((left, right)) if !is_listed => {
                    waiting.push((right.to_owned(), is_last));
                    waiting.push((left.to_owned(), false));
                }
                _ => emit(&piece),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Codes {
        Codes::parse(text.as_bytes(), "codes").unwrap()
    }

    fn pieces(codes: &Codes, word: &str) -> String {
        let mut pieces = Vec::new();
        codes.cut(word, |piece, is_last| pieces.push(format!("{piece}{}", if is_last { "" } else { CONTINUED })));
        pieces.join(" ")
    }

    #[test]
    fn each_version_ends_words_in_its_own_way() {
        let second = codes("#version: 0.2\nl o\nlo w\ne r</w>\n");
        assert_eq!(
            (pieces(&second, "lower"), pieces(&second, "low"), pieces(&second, "o")),
            ("low@@ er".into(), "lo@@ w".into(), "o".into())
        );
        let first = codes("l o\nlo w\nlow </w>\ne r\n");
        assert_eq!(
            (pieces(&first, "lower"), pieces(&first, "low"), pieces(&first, "")),
            ("low@@ er".into(), "low".into(), String::new())
        );
        let counted = codes("l o 12\nlo w</w> 3\n");
        assert_eq!((pieces(&counted, "low"), pieces(&counted, "lows")), ("low".into(), "lo@@ w@@ s".into()));
    }

    #[test]
    fn of_a_merge_listed_twice_the_first_counts() {
        assert_eq!(pieces(&codes("#version: 0.2\na b\nb c\na b\n"), "abcd"), "ab@@ c@@ d");
    }

    #[test]
    fn pieces_that_a_vocabulary_lacks_are_taken_apart() {
        let text = "#version: 0.2\nl o\nlo w\nlow er</w>\ne r</w>\n";
        let with =
            |vocabulary: &[u8], threshold| codes(text).with_vocabulary(vocabulary, threshold, "vocabulary").unwrap();
        assert_eq!(pieces(&with(b"lower 1", None), "lower"), "lower");
        assert_eq!(pieces(&with(b"low@@ 9\ner 9\n", None), "lower"), "low@@ er");
        assert_eq!(pieces(&with(b"low@@ 9\ner 9\n", Some(10)), "lower"), "l@@ o@@ w@@ e@@ r");
    }

    #[test]
    fn words_of_the_glossary_stand_alone_and_whole() {
        let codes = codes("#version: 0.2\nU S\n1 9\n").with_glossary(&["USA".into(), r"\d{2}".into()]).unwrap();
        assert_eq!(pieces(&codes, "1934USABUS"), "19@@ 34@@ USA@@ B@@ U@@ S");
        assert_eq!(pieces(&codes, "USA"), "USA");
        let error = Codes::default().with_glossary(&["(".into()]).unwrap_err();
        assert!(error.starts_with("\"(\" is no regular expression: "), "{error}");
    }

    #[test]
    fn unusable_files_are_errors_that_name_the_line() {
        for (text, problem) in [
            ("#version: 0.3\na b\n", "it is of version 0.3; 0.1 and 0.2"),
            ("#version: 0.2\na b\nab\n", "line 3 is \"ab\"; it should be two pieces with a space"),
            ("a b\n\na b\n", "line 2 is \"\"; it should be"),
            ("a b 3\na b\n", "line 2 is \"a b\"; it should be two pieces and a count"),
            ("", "line 1 is \"\""),
        ] {
            let error = Codes::parse(text.as_bytes(), "m/codes").unwrap_err().to_string();
            assert!(error.starts_with("m/codes: not usable codes: ") && error.contains(problem), "{error}");
        }
        let error = codes("a b").with_vocabulary(b"a 1\nb\n", None, "m/vocabulary").unwrap_err().to_string();
        assert!(error.contains("line 2 is \"b\"; it should be a piece and its count"), "{error}");
    }
}
