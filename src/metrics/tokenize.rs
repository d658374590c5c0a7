//! The tokenisers BLEU is defined over. Their output is only ever compared, never shown.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use regex::Regex;

use super::is_space;
use crate::{Error, Result};

/// How BLEU cuts a line into tokens; names and results are sacreBLEU's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tokenizer {
    /// `13a`: ASCII punctuation as in WMT's mteval-v13a script. The default.
    #[default]
    V13a,
    /// `intl`: all Unicode punctuation and symbols, as in mteval-v14's international mode.
    ///
    /// Character classes are those of Unicode 16; of all characters only punctuation and symbols assigned later are
    /// treated differently by a sacreBLEU with newer tables.
    Intl,
    /// `char`: every character that is not white space.
    Char,
    /// `zh`: every Chinese character, the rest as in `13a`.
    Zh,
    /// `none`: white space only, for text that is tokenised already.
    None,
}

/// A rewriting step: pattern and replacement.
pub(super) type Rule = (Regex, &'static str);

/// Compiles constant patterns.
pub(super) fn rules<const N: usize>(patterns: [(&str, &'static str); N]) -> [Rule; N] {
    patterns.map(|(pattern, replacement)| (Regex::new(pattern).expect("the pattern is a valid constant"), replacement))
}

/// mteval-v13a's language-dependent part: ASCII symbols; full stop and comma unless both neighbours are digits (in two
/// steps, which treat doubled marks differently); a dash after a digit.
static WESTERN: LazyLock<[Rule; 4]> = LazyLock::new(|| {
    rules([
        (r"([ -&(-+/:-@\[-`{-~])", " ${1} "),
        (r"([^0-9])([.,])", "${1} ${2} "),
        (r"([.,])([^0-9])", " ${1} ${2}"),
        (r"([0-9])(-)", "${1} ${2} "),
    ])
});

/// mteval-v14's international part: punctuation unless both neighbours are numbers; symbols always.
static INTERNATIONAL: LazyLock<[Rule; 3]> = LazyLock::new(|| {
    rules([(r"(\P{N})(\p{P})", "${1} ${2} "), (r"(\p{P})(\P{N})", " ${1} ${2}"), (r"(\p{S})", " ${1} ")])
});

/// Applies every rule once, in order, over the whole line.
pub(super) fn rewrite<'a>(line: Cow<'a, str>, rules: &[Rule]) -> Cow<'a, str> {
    rules.iter().fold(line, |line, (pattern, replacement)| match pattern.replace_all(&line, *replacement) {
        Cow::Borrowed(_) => line,
        Cow::Owned(rewritten) => Cow::Owned(rewritten),
    })
}

impl Tokenizer {
    /// The name in signatures and on the command line: `13a`, `intl`, `char`, `zh`, `none`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V13a => "13a",
            Self::Intl => "intl",
            Self::Char => "char",
            Self::Zh => "zh",
            Self::None => "none",
        }
    }

    /// All tokenisers, the default first.
    pub const ALL: [Self; 5] = [Self::V13a, Self::Intl, Self::Char, Self::Zh, Self::None];

    /// `line` with white space between its tokens (possibly several spaces, also at the ends).
    pub(super) fn apply<'a>(self, line: &'a str) -> Cow<'a, str> {
        match self {
            Self::V13a => rewrite(Cow::Owned(format!(" {} ", without_markup(line))), &*WESTERN),
            Self::Intl => rewrite(Cow::Borrowed(line), &*INTERNATIONAL),
            Self::Char => Cow::Owned(line.chars().flat_map(|character| [character, ' ']).collect()),
            Self::Zh => rewrite(Cow::Owned(space_chinese(line.trim_matches(is_space))), &*WESTERN),
            Self::None => Cow::Borrowed(line),
        }
    }
}

impl fmt::Display for Tokenizer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Tokenizer {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|tokenizer| tokenizer.name() == name)
            .ok_or_else(|| Error::Usage(format!("unknown tokeniser '{name}': use 13a, intl, char, zh or none")))
    }
}

/// mteval-v13a's language-independent part: skip marks, words broken over lines, and SGML entities. The order matters:
/// `&amp;lt;` becomes `<`.
fn without_markup(line: &str) -> String {
    let line = line.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    if !line.contains('&') {
        return line;
    }
    line.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
}

/// Puts spaces around every Chinese character.
fn space_chinese(line: &str) -> String {
    let mut spaced = String::with_capacity(line.len() * 2);
    for character in line.chars() {
        if is_chinese(character) {
            spaced.extend([' ', character, ' ']);
        } else {
            spaced.push(character);
        }
    }
    spaced
}

/// Whether sacreBLEU's `zh` tokeniser takes the character for Chinese.
///
/// Its table means to hold the supplementary planes' ideographs (U+20000 to U+2A6D6) but compares their first four hex
/// digits only. So the range that counts is U+2001 to U+2A6D (general punctuation, arrows, mathematical symbols, …),
/// and no character above U+FFFF does. Kept, because the numbers must be equal.
fn is_chinese(character: char) -> bool {
    matches!(character,
        '\u{2001}'..='\u{2a6d}'
        | '\u{2e80}'..='\u{2fdf}' // radicals
        | '\u{2ff0}'..='\u{303f}' // description characters and punctuation
        | '\u{3100}'..='\u{312f}' // phonetic symbols
        | '\u{31a0}'..='\u{31bf}'
        | '\u{31c0}'..='\u{31ef}' // strokes
        | '\u{3200}'..='\u{33ff}' // enclosed and squared forms
        | '\u{3400}'..='\u{4db5}' // ideographs
        | '\u{4e00}'..='\u{9fbb}'
        | '\u{f900}'..='\u{fa2d}' // compatibility ideographs
        | '\u{fa30}'..='\u{fa6a}'
        | '\u{fa70}'..='\u{fad9}'
        | '\u{fe10}'..='\u{fe1f}' // vertical and compatibility forms
        | '\u{fe30}'..='\u{fe4f}'
        | '\u{ff00}'..='\u{ffef}') // full-width and half-width forms
}

#[cfg(test)]
mod tests {
    use super::super::words;
    use super::*;

    fn tokens(tokenizer: Tokenizer, line: &str) -> Vec<String> {
        words(&tokenizer.apply(line)).map(str::to_owned).collect()
    }

    #[test]
    fn v13a_keeps_numbers_whole_and_splits_other_punctuation() {
        assert_eq!(tokens(Tokenizer::V13a, "1,000.50 cats, 3-4."), ["1,000.50", "cats", ",", "3", "-", "4", "."]);
    }

    #[test]
    fn v13a_resolves_entities_once_in_order() {
        assert_eq!(tokens(Tokenizer::V13a, "&quot;a&quot; &amp;lt;"), ["\"", "a", "\"", "<"]);
    }

    #[test]
    fn intl_splits_punctuation_of_every_script() {
        assert_eq!(tokens(Tokenizer::Intl, "«Ja», 5€…"), ["«", "Ja", "»", ",", "5", "€", "…"]);
    }

    #[test]
    fn intl_leaves_a_full_stop_after_a_final_number() {
        assert_eq!(tokens(Tokenizer::Intl, "in 1999."), ["in", "1999."]);
    }

    #[test]
    fn char_drops_white_space() {
        assert_eq!(tokens(Tokenizer::Char, "a b\u{3000}ç"), ["a", "b", "ç"]);
    }

    #[test]
    fn zh_separates_ideographs_and_keeps_latin_words() {
        assert_eq!(tokens(Tokenizer::Zh, "我用Rust。"), ["我", "用", "Rust", "。"]);
        assert_eq!(tokens(Tokenizer::Zh, "\u{20001}\u{20001}"), ["\u{20001}\u{20001}"]);
    }

    #[test]
    fn names_read_back() {
        for tokenizer in Tokenizer::ALL {
            assert_eq!(tokenizer.name().parse::<Tokenizer>().unwrap(), tokenizer);
        }
        assert!("14b".parse::<Tokenizer>().unwrap_err().to_string().contains("14b"));
    }
}
