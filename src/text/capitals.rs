//! Text in capitals. Models see little of it, and their vocabularies have few pieces for it, so that words fall into letters.

use unicode_segmentation::UnicodeSegmentation;

/// Letters of the shortest word that is more than an abbreviation.
const WORD: usize = 4;

/// Whether a text is written in capitals: a whole word of them or several, and no small letter but `ß`, which for long had no
/// capital.
pub fn is_in_capitals(text: &str) -> bool {
    if text.chars().any(|letter| letter.is_lowercase() && letter != 'ß') {
        return false;
    }
    let letters = |word: &str| word.chars().filter(|letter| letter.is_uppercase()).count();
    let words = || text.unicode_words().map(letters).filter(|&letters| letters > 1);
    words().any(|letters| letters >= WORD) || words().count() > 1
}

/// The text in small letters, each of as many bytes as before, so that places in it stay what they are; a letter whose small
/// form is longer or shorter stays.
pub fn without_capitals(text: &str) -> String {
    let small = |letter: char| {
        let mut small = letter.to_lowercase();
        match (small.next(), small.next()) {
            (Some(small), None) if small.len_utf8() == letter.len_utf8() => small,
            _ => letter,
        }
    };
    text.chars().map(small).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_are_words_and_not_abbreviations() {
        for text in ["ACHTUNG", "DAS IST GROß!", "ES IST 12 UHR.", "NATO", "ÜBER ALLES", "WO?? DA"] {
            assert!(is_in_capitals(text), "{text}");
        }
        for text in ["EU", "USA!", "A 4", "Das IST groß", "", "123", "日本語", "iPHONE KAUFEN", "I. II."] {
            assert!(!is_in_capitals(text), "{text}");
        }
    }

    #[test]
    fn places_stay_where_they_were() {
        assert_eq!(without_capitals("ÄRGER IN DER STRAẞE, İZMIR"), "ärger in der straẞe, İzmir");
        assert_eq!(without_capitals("ÇA VA À ŁÓDŹ"), "ça va à łódź");
    }
}
