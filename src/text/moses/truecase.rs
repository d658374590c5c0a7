//! Truecasing: every word in the case it has most often, so that the first of a sentence is written like any other.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::characters::is_space;
use crate::{Error, Result};

/// What ends a sentence.
const ENDS: [&str; 4] = [".", ":", "?", "!"];
/// What may stand before the first word of a sentence.
const BEFORE_FIRST: [&str; 8] = ["(", "[", "\"", "'", "&apos;", "&quot;", "&#91;", "&#93;"];

static TAG: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"<\S[^>]*>").expect("the pattern is sound"));

/// The usual case of words (`truecase.perl`), from the file that `train-truecaser.perl` writes.
#[derive(Debug, Default)]
pub struct Truecaser {
    /// The usual form of a word in small letters.
    usual: HashMap<Box<str>, Box<str>>,
    /// The other forms.
    others: HashSet<Box<str>>,
}

impl Truecaser {
    /// Reads a truecase model; `path` names it in messages. Each line has the forms of one word with their counts, the
    /// first of them over that of all: `Hund (12/15) hund (3)`.
    ///
    /// # Errors
    /// If it is not valid UTF-8, or a line is of another form.
    pub fn parse(bytes: &[u8], path: impl AsRef<Path>) -> Result<Self> {
        let problem = |problem: String| Error::model(&path, format!("not a usable truecase model: {problem}"));
        let text = std::str::from_utf8(bytes).map_err(|_| problem("it is not valid UTF-8; save it as UTF-8".into()))?;
        let mut forms: HashMap<String, Vec<(&str, f64)>> = HashMap::new();
        for (at, line) in text.lines().enumerate() {
            let mut fields = line.split(is_space).filter(|field| !field.is_empty());
            while let Some(form) = fields.next() {
                let count = fields.next().and_then(count_of).ok_or_else(|| {
                    let number = at + 1;
                    problem(format!(
                        "line {number} has no count after {form:?}; it should be words with counts, such as \
                         `Hund (12/15) hund (3)`"
                    ))
                })?;
                let forms = forms.entry(form.to_lowercase()).or_default();
                match forms.iter_mut().find(|(known, _)| *known == form) {
                    Some(known) => known.1 = count,
                    None => forms.push((form, count)),
                }
            }
        }
        let mut truecaser = Self::default();
        for (word, forms) in forms {
            // Of two forms with the same count the first.
            let usual = (0..forms.len()).rev().max_by(|&a, &b| forms[a].1.total_cmp(&forms[b].1)).unwrap_or(0);
            truecaser.usual.insert(word.into(), forms[usual].0.into());
            let others = forms.iter().enumerate().filter(|(at, _)| *at != usual);
            truecaser.others.extend(others.map(|(_, (form, _))| Box::from(*form)));
        }
        Ok(truecaser)
    }

    /// Gives tokens their usual case: the first of a sentence always, others if their own is none they are known in.
    /// Markup stays as it is.
    pub fn truecase(&self, tokens: &mut [String]) {
        let mut is_first = true;
        for token in tokens {
            if TAG.is_match(token) || token.starts_with('|') {
                continue;
            }
            // Behind a bar stand factors.
            let word = token.split('|').next().unwrap_or_default();
            if let Some(usual) = self.usual.get(word.to_lowercase().as_str())
                && (is_first || !self.others.contains(word))
            {
                *token = [usual, &token[word.len()..]].concat();
            }
            is_first = begins_sentence_after(token, is_first);
        }
    }
}

/// Gives the first word of every sentence a capital (`detruecase.perl`).
pub fn detruecase(tokens: &mut [String]) {
    let mut is_first = true;
    for token in tokens {
        if is_first && let Some(first) = token.chars().next() {
            *token = first.to_uppercase().chain(token.chars().skip(1)).collect();
        }
        is_first = begins_sentence_after(token, is_first);
    }
}

fn begins_sentence_after(token: &str, is_first: bool) -> bool {
    ENDS.contains(&token) || is_first && BEFORE_FIRST.contains(&token)
}

/// `(12/15)` and `(12)` are 12.
fn count_of(field: &str) -> Option<f64> {
    let count = field.split('/').next()?.trim_matches(['(', ')']);
    count.parse().ok().filter(|count: &f64| count.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "der (70/80) Der (10)\nHund (12/12)\nLäuft (1/3) läuft (2)\n\n";

    fn truecased(text: &str) -> String {
        let mut tokens: Vec<String> = text.split(' ').map(str::to_owned).collect();
        Truecaser::parse(MODEL.as_bytes(), "model").unwrap().truecase(&mut tokens);
        tokens.join(" ")
    }

    #[test]
    fn the_first_word_gets_its_usual_case_and_others_unless_theirs_is_known() {
        assert_eq!(truecased("Der hund LÄUFT . &quot; Der Hund"), "der Hund läuft . &quot; der Hund");
        assert_eq!(truecased("Hund Der Läuft Katze"), "Hund Der Läuft Katze");
        assert_eq!(truecased("<B> Der|X | |Der hund|y"), "<B> der|X | |Der Hund|y");
    }

    #[test]
    fn the_first_word_of_a_sentence_gets_a_capital() {
        let mut tokens: Vec<String> = "( es läuft . ß : 'x ? &apos; a".split(' ').map(str::to_owned).collect();
        detruecase(&mut tokens);
        assert_eq!(tokens.join(" "), "( Es läuft . SS : 'x ? &apos; A");
    }

    #[test]
    fn unusable_models_are_errors() {
        for (bytes, problem) in
            [(&b"a (1/1)\nb c"[..], "line 2 has no count after \"b\""), (b"a", "line 1"), (b"\xff", "UTF-8")]
        {
            let error = Truecaser::parse(bytes, "m/truecase").unwrap_err().to_string();
            assert!(
                error.starts_with("m/truecase: not a usable truecase model: ") && error.contains(problem),
                "{error}"
            );
        }
    }
}
