//! Putting tokens together.

use std::collections::HashMap;

use super::Moses;
use super::characters::{is_cjk, is_space, set};

/// How the special characters are written in tokens, `&amp;` last; three of the names are old ones.
const ESCAPES: [(&str, &str); 11] = [
    ("&bar;", "|"),
    ("&#124;", "|"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&bra;", "["),
    ("&ket;", "]"),
    ("&quot;", "\""),
    ("&apos;", "'"),
    ("&#91;", "["),
    ("&#93;", "]"),
    ("&amp;", "&"),
];

/// On which side of a token a space may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spacing {
    /// Both.
    Word,
    /// Before it: the next token follows at once.
    Opens,
    /// After it: it follows the token before it at once.
    Closes,
}

impl Moses {
    /// The special characters of tokens as they are.
    pub(in crate::text) fn unescape(&self, mut text: String) -> String {
        for (escaped, character) in ESCAPES {
            if self.escapes && text.contains(escaped) {
                text = text.replace(escaped, character);
            }
        }
        text
    }

    /// The text that tokens stand for, with the language's spacing; hyphens and special characters are put back.
    pub fn detokenize(&self, tokens: &[&str]) -> String {
        let text = self.unescape(format!(" {} ", tokens.join(" ")).replace(" @-@ ", "-"));
        let tokens: Vec<&str> = text.split(is_space).filter(|token| !token.is_empty()).collect();
        // How many of each quotation mark came before.
        let mut quotes = HashMap::new();
        let mut text = String::new();
        let mut glued = true;
        let mut at = 0;
        while let Some(&token) = tokens.get(at) {
            let spacing = self.spacing(&tokens, at, &mut quotes);
            // The French put a space before these marks.
            let is_spaced = self.language == "fr" && matches!(token, "?" | "!" | ":" | ";" | "\\" | "%");
            if spacing != Spacing::Closes && !glued || is_spaced && !text.is_empty() {
                text.push(' ');
            }
            text.push_str(token);
            glued = spacing == Spacing::Opens;
            if self.joins_dash(&tokens, at) {
                at += 1;
                text.push_str(tokens[at]);
            }
            at += 1;
        }
        text
    }

    fn spacing<'t>(&self, tokens: &[&'t str], at: usize, quotes: &mut HashMap<&'t str, usize>) -> Spacing {
        let language = self.language.as_str();
        let token = tokens[at];
        let before = at.checked_sub(1).map(|before| tokens[before]);
        let is_letter = |character: Option<char>| character.is_some_and(|c| set("alphabetic").contains(c));
        let is_currency = |character| set("currency").contains(character) || "([{¿¡".contains(character);
        let is_number = |token: &str| token.bytes().all(|byte| byte.is_ascii_digit());

        let is_punctuation = || token.chars().all(|character| ",.?!:;\\%}])".contains(character));
        let is_english_clitic = || language == "en" && at > 0 && is_letter(token.strip_prefix('\'').and_then(first));
        // The end of all the tokens is looked at, not what stands before this one; so does sacremoses.
        let is_czech_fraction = || {
            let ends_so = matches!(tokens, [.., whole, "." | ","] if is_number(whole));
            language == "cs" && at > 1 && is_number(token) && ends_so
        };
        let is_elided = || {
            matches!(language, "fr" | "it" | "ga")
                && is_letter(token.strip_suffix('\'').and_then(last))
                && is_letter(tokens.get(at + 1).copied().and_then(first))
        };

        if language != "ko" && token.starts_with(is_cjk) {
            if before.is_some_and(|before| before.ends_with(is_cjk)) { Spacing::Closes } else { Spacing::Word }
        } else if token.chars().all(is_currency) {
            Spacing::Opens
        } else if is_punctuation() || is_english_clitic() || is_czech_fraction() {
            Spacing::Closes
        } else if is_elided() || self.joins_dash(tokens, at) {
            Spacing::Opens
        } else if token.chars().all(|character| "'\"„“`".contains(character)) {
            self.spacing_of_quote(token, before, quotes)
        } else {
            Spacing::Word
        }
    }

    /// Quotation marks open and close in turn.
    fn spacing_of_quote<'t>(
        &self,
        token: &'t str,
        before: Option<&str>,
        quotes: &mut HashMap<&'t str, usize>,
    ) -> Spacing {
        let is_curly = token.chars().all(|character| "„“".contains(character));
        let count = quotes.entry(if is_curly { "\"" } else { token }).or_default();
        match (self.language.as_str(), token) {
            ("cs", "„") => *count = 0,
            ("cs", "“") => *count = 1,
            _ => {}
        }
        let is_possessive = self.language == "en" && token == "'" && before.is_some_and(|word| word.ends_with('s'));
        match *count % 2 {
            0 if is_possessive => Spacing::Closes,
            0 => {
                *count += 1;
                Spacing::Opens
            }
            _ => {
                *count += 1;
                Spacing::Closes
            }
        }
    }

    /// Czech words that keep a dash: `je-li`, `e-mail`.
    fn joins_dash(&self, tokens: &[&str], at: usize) -> bool {
        self.language == "cs"
            && tokens[at].strip_suffix('\'').and_then(last).is_some_and(|c| set("alphabetic").contains(c))
            && matches!(tokens.get(at + 1), Some(&("-" | "–")))
            && tokens.get(at + 2).is_some_and(|word| {
                let word = word.to_lowercase();
                word == "li" || word.starts_with("mail")
            })
    }
}

fn first(text: &str) -> Option<char> {
    text.chars().next()
}

fn last(text: &str) -> Option<char> {
    text.chars().next_back()
}
