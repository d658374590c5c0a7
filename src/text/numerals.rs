//! German numbers in words, read in digits: `siebenundvierzig` is `47`.
//!
//! A small model has seen most of them too seldom to know their values; what stands in digits it carries over. Small and round ones
//! it knows, and they stay.

use std::ops::Range;

use super::Normalized;
use super::spellings::words;

/// From 0 on.
pub(super) const SMALL: [&str; 20] = [
    "null",
    "eins",
    "zwei",
    "drei",
    "vier",
    "fünf",
    "sechs",
    "sieben",
    "acht",
    "neun",
    "zehn",
    "elf",
    "zwölf",
    "dreizehn",
    "vierzehn",
    "fünfzehn",
    "sechzehn",
    "siebzehn",
    "achtzehn",
    "neunzehn",
];
/// From 20 on.
const TENS: [&str; 8] = ["zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"];

/// Numbers that models take for others.
const ONE_AND_A_HALF: [&str; 2] = ["anderthalb", "eineinhalb"];

/// Letters of the shortest number that is replaced.
const SHORTEST: usize = 8;

/// The text with its large numbers in digits.
pub fn with_numbers(text: Normalized) -> Normalized {
    let edits: Vec<(Range<usize>, String)> = words(&text.text)
        .into_iter()
        .filter(|word| word.len() >= SHORTEST)
        .filter_map(|word| Some((word.clone(), in_digits(&text.text, word)?)))
        .collect();
    if edits.is_empty() { text } else { text.replaced(&edits) }
}

/// A word in digits, if it is a large number.
fn in_digits(text: &str, place: Range<usize>) -> Option<String> {
    let word = text[place.clone()].to_lowercase();
    let (before, after) = (text[..place.start].chars().next_back(), &text[place.end..]);
    if [before, after.chars().next()].into_iter().flatten().any(is_joint) {
        return None;
    }
    if ONE_AND_A_HALF.contains(&word.as_str()) {
        return Some("1,5".to_owned());
    }
    if let Some(number) = large(&word) {
        return Some(written(number));
    }
    if let Some(at) = word.find("jährig") {
        let ending = word[at..].chars().count();
        let typed = &text[place.clone()];
        let cut = typed.char_indices().rev().nth(ending - 1)?.0;
        let is_noun = typed.starts_with(char::is_uppercase) && place.start > 0;
        let ending = if is_noun { typed[cut..].replacen('j', "J", 1) } else { typed[cut..].to_owned() };
        return Some(format!("{}-{ending}", large(&word[..at])?));
    }
    // The day of a month, not the end of a sentence.
    let ordinal = ["ste", "sten", "ster", "stes", "stem"].iter().find_map(|ending| word.strip_suffix(ending))?;
    let is_before_noun = after.strip_prefix(' ').is_some_and(|after| after.starts_with(char::is_uppercase));
    number(ordinal).filter(|number| is_before_noun && number % 100 >= 20).map(|number| format!("{number}."))
}

/// What joins a number to what stands beside it.
pub(super) fn is_joint(sign: char) -> bool {
    sign.is_ascii_digit() || "-‐‑–—/+#@_%".contains(sign)
}

/// A number in words that is neither small nor round.
fn large(word: &str) -> Option<u32> {
    number(word).filter(|&number| number > 12 && number.to_string().trim_end_matches('0').len() > 1)
}

/// Digits as German writes them.
fn written(number: u32) -> String {
    if number < 10_000 { number.to_string() } else { format!("{}.{:03}", number / 1000, number % 1000) }
}

/// A whole number below a million in words, in small letters.
pub(super) fn number(word: &str) -> Option<u32> {
    let Some((thousands, rest)) = word.split_once("tausend") else { return below_thousand(word) };
    let thousands = if thousands.is_empty() { 1 } else { below_thousand(thousands).filter(|&count| count < 1000)? };
    let rest = rest.strip_prefix("und").unwrap_or(rest);
    Some(1000 * thousands + if rest.is_empty() { 0 } else { below_thousand(rest)? })
}

/// Or a year such as `neunzehnhundertneunundachtzig`.
fn below_thousand(word: &str) -> Option<u32> {
    let Some((hundreds, rest)) = word.split_once("hundert") else { return below_hundred(word) };
    let hundreds = if hundreds.is_empty() { 1 } else { small(hundreds)? };
    let rest = rest.strip_prefix("und").unwrap_or(rest);
    Some(100 * hundreds + if rest.is_empty() { 0 } else { below_hundred(rest)? })
}

fn below_hundred(word: &str) -> Option<u32> {
    if let Some(number) = small(word) {
        return Some(number);
    }
    let (tens, before) = TENS.iter().zip(2..).find_map(|(name, tens)| Some((tens, word.strip_suffix(name)?)))?;
    let units = if before.is_empty() { 0 } else { small(before.strip_suffix("und")?).filter(|units| *units < 10)? };
    Some(10 * tens + units)
}

/// `ein` is one in compounds.
fn small(word: &str) -> Option<u32> {
    let listed = SMALL.iter().position(|&name| name == word).map(|number| number as u32);
    listed.or_else(|| (word == "ein").then_some(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::normalize;

    fn read(text: &str) -> String {
        with_numbers(normalize(text)).text
    }

    #[test]
    fn numbers_have_their_value() {
        for (word, value) in [
            ("null", 0),
            ("zwölf", 12),
            ("einundzwanzig", 21),
            ("dreißig", 30),
            ("hunderteins", 101),
            ("zweihundertfünfzig", 250),
            ("hundertundzwei", 102),
            ("neunzehnhundertneunundachtzig", 1989),
            ("zweitausendvierundzwanzig", 2024),
            ("tausendundeins", 1001),
            ("siebenhundertzwölftausenddreihundertfünfundvierzig", 712_345),
        ] {
            assert_eq!(number(word), Some(value), "{word}");
        }
        for word in ["hund", "einzig", "und", "undzwanzig", "zwölfundzwanzig", "hunderte", "tausendfach", "vierund", ""]
        {
            assert_eq!(number(word), None, "{word}");
        }
    }

    #[test]
    fn large_numbers_are_read_in_digits() {
        for (typed, read_as) in [
            ("Sie ist siebenundvierzig Jahre alt.", "Sie ist 47 Jahre alt."),
            ("Fünfunddreißig Leute, zwölftausendfünfhundert Euro", "35 Leute, 12.500 Euro"),
            ("Es dauert anderthalb oder eineinhalb Stunden.", "Es dauert 1,5 oder 1,5 Stunden."),
            ("am dreiundzwanzigsten Mai", "am 23. Mai"),
            (
                "Der siebenundvierzigjährige Mann und die Fünfunddreißigjährige",
                "Der 47-jährige Mann und die 35-Jährige",
            ),
            ("SIEBENUNDVIERZIG", "47"),
            ("vor vierzehn Tagen", "vor 14 Tagen"),
            ("Am zwanzigsten Januar", "Am 20. Januar"),
        ] {
            assert_eq!(read(typed), read_as);
        }
    }

    #[test]
    fn small_and_round_numbers_and_other_words_stay() {
        for text in [
            "Zwei, zwölf, zwanzig, dreißig, hundert, zweihundert und tausend",
            "Hunderte, tausendfach, das Jahrhundert, jahrtausendelang, Bundestagspräsident",
            "Er ist am dreiundzwanzigsten.",
            "drei-und-zwanzig, A-siebenundvierzig-B",
        ] {
            assert_eq!(read(text), text);
        }
    }
}
