//! Cutting a paragraph into sentences, and putting their translations back together.
//!
//! The boundaries are those of Unicode Standard Annex 29, from the `unicode-segmentation` crate: well kept, small, and
//! already in the dependency tree (`tokenizers` needs it), where a larger segmentation library would add its own data.
//! The annex knows no abbreviations and breaks after every `Dr.`; boundaries after a single letter, a common abbreviation
//! that does not end sentences, or a German day of the month are therefore taken back. Nothing is ever broken where the
//! annex does not break.

use unicode_segmentation::UnicodeSegmentation;

/// Abbreviations that hardly ever end a sentence, without their last full stop.
const ABBREVIATIONS: [&str; 49] = [
    // English
    "Mr", "Mrs", "Ms", "Dr", "Prof", "St", "Rev", "Gen", "Col", "Capt", "Lt", "Sgt", "Sen", "Rep", "Gov", "Messrs",
    "vs", "e.g", "i.e", "cf", "approx", "Fig", "Vol", "pp", // German
    "Hr", "Hrn", "Fr", "Nr", "Abs", "Art", "Abb", "Tab", "Kap", "ca", "bzw", "vgl", "z.B", "d.h", "u.a", "Str", "Bd",
    "Mio", // French, Spanish, Italian, Portuguese
    "Sr", "Sra", "Srta", "Sig", "Dra", "Mgr", "núm",
];

/// German month names: `3. Mai` is a day, not the end of a sentence.
const MONTHS: [&str; 14] = [
    "Januar",
    "Jänner",
    "Februar",
    "Feber",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
];

/// Cuts a text into sentences. Each keeps the white space after it (the first also what is before it), so the
/// sentences put end to end are the text again; an empty text has none.
pub fn split_sentences(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut start = 0;
    for (position, _) in text.split_sentence_bound_indices().skip(1) {
        let (before, after) = (&text[start..position], &text[position..]);
        let is_blank = before.trim().is_empty() || after.trim().is_empty();
        if !is_blank && !is_abbreviated(before, after) {
            sentences.push(before);
            start = position;
        }
    }
    if start < text.len() {
        sentences.push(&text[start..]);
    }
    sentences
}

/// Whether `before` ends in a full stop that is part of an abbreviation.
fn is_abbreviated(before: &str, after: &str) -> bool {
    // A line break ends a sentence, whatever stands before it.
    if before.trim_end_matches([' ', '\t']).ends_with(['\n', '\r', '\u{2028}', '\u{2029}', '\u{85}']) {
        return false;
    }
    let Some(stem) = before.trim_end().strip_suffix('.') else { return false };
    let word = stem.rsplit(|c: char| c.is_whitespace() || "([{\"'„“«".contains(c)).next().unwrap_or_default();
    let mut characters = word.chars();
    let is_initial = match (characters.next(), characters.next()) {
        // Initials and the parts of `z. B.`; but `So do I.` is a sentence.
        (Some(letter), None) => (letter.is_uppercase() || letter.is_lowercase()) && letter != 'I',
        _ => false,
    };
    let is_day = (1..=2).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_digit())
        && MONTHS.contains(&after.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default());
    let is_listed = ABBREVIATIONS.iter().any(|abbreviation| match stem.strip_suffix(abbreviation) {
        Some(rest) => !rest.ends_with(|c: char| c.is_alphanumeric() || c == '.'),
        None => false,
    });
    is_initial || is_day || is_listed
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
fn is_full_width(character: char) -> bool {
    matches!(character, '\u{3000}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ff60}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keeps_the_white_space_after_each_sentence() {
        assert_eq!(split_sentences("It rains.  Really? Yes!"), ["It rains.  ", "Really? ", "Yes!"]);
        assert_eq!(split_sentences("  One. \n Two.\n\n"), ["  One. \n", " Two.\n\n"]);
        assert_eq!(split_sentences("你好。再见！"), ["你好。", "再见！"]);
        assert_eq!(split_sentences("यह है। वह है।"), ["यह है। ", "वह है।"]);
        assert!(split_sentences("").is_empty());
        assert_eq!(split_sentences("  "), ["  "]);
    }

    #[test]
    fn abbreviations_do_not_end_sentences() {
        for whole in [
            "Dr. Smith met Mr. Jones.",
            "J. R. R. Tolkien wrote it.",
            "Am 3. Mai kam Hr. Müller.",
            "Es kostet ca. 5 Euro, z. B. Hier.",
            "See (cf. Smith) there.",
        ] {
            assert_eq!(split_sentences(whole), [whole]);
        }
        assert_eq!(split_sentences("So do I. You too."), ["So do I. ", "You too."]);
        assert_eq!(split_sentences("Es war 1990. Mai kam."), ["Es war 1990. ", "Mai kam."]);
        assert_eq!(split_sentences("He met the Dr.\nThen he left."), ["He met the Dr.\n", "Then he left."]);
    }

    #[test]
    fn joining_restores_the_spacing() {
        let sentences = split_sentences(" It rains.  Really? Yes!\n");
        assert_eq!(join_sentences(&sentences, &["Es regnet.", "Wirklich?", "Ja!"]), " Es regnet.  Wirklich? Ja!\n");
        assert_eq!(join_sentences(&split_sentences("你好。再见！"), &["Hello.", "Goodbye!"]), "Hello. Goodbye!");
        assert_eq!(join_sentences(&split_sentences("Hello. Goodbye!"), &["你好。", "再见！"]), "你好。再见！");
        assert_eq!(join_sentences::<&str>(&[], &[]), "");
        assert_eq!(join_sentences_at(&sentences, &["Es regnet.", "Wirklich?", "Ja!"]).1, [1, 13, 23]);
    }

    proptest! {
        #[test]
        fn sentences_are_the_text(text in "(\\PC|[.!?] [A-Z]|\n|\r|  ){0,80}") {
            let sentences = split_sentences(&text);
            prop_assert_eq!(sentences.concat(), text.as_str());
            prop_assert!(sentences.iter().all(|sentence| !sentence.is_empty()));
            prop_assert!(sentences.len() <= text.split_sentence_bound_indices().count());
        }
    }
}
