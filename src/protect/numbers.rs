//! Numbers as German and English write them.

/// A number written with a decimal comma, as one with a decimal point writes it: `1.234,5` is `1,234.5`. Dates, clock times,
/// telephone numbers, versions and addresses stay what they are.
pub(super) fn with_decimal_point(number: &str) -> String {
    let (whole, decimals) = match number.split_once(',') {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (number, None),
    };
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let groups: Vec<&str> = whole.split(['.', '\'', '’', ' ', '\u{a0}', '\u{202f}', '\u{2009}']).collect();
    let is_grouped = groups.len() > 1
        && (1..=3).contains(&groups[0].len())
        && is_digits(groups[0])
        && !groups[0].starts_with('0')
        && groups[1..].iter().all(|group| group.len() == 3 && is_digits(group));
    // The four bytes of an address on the internet have no zeros before them.
    let is_byte = |group: &&str| group.parse::<u8>().is_ok() && (!group.starts_with('0') || *group == "0");
    let is_address = groups.len() == 4 && decimals.is_none() && groups.iter().all(is_byte);
    match decimals {
        Some(decimals) if !is_digits(decimals) || !(is_grouped || is_digits(whole)) => number.to_owned(),
        Some(decimals) => format!("{}.{decimals}", if is_grouped { groups.join(",") } else { whole.to_owned() }),
        None if is_grouped && !is_address => groups.join(","),
        None => number.to_owned(),
    }
}

/// The digits of a text.
pub(super) fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// Whether an English text has a small whole number in words, as `two` or `second`.
pub(super) fn is_in_words(number: &str, text: &str) -> bool {
    const WORDS: [&[&str]; 21] = [
        &["zero", "no"],
        &["one", "a", "an", "first", "once", "single"],
        &["two", "second", "twice", "both", "pair", "couple"],
        &["three", "third"],
        &["four", "fourth"],
        &["five", "fifth"],
        &["six", "sixth"],
        &["seven", "seventh"],
        &["eight", "eighth"],
        &["nine", "ninth"],
        &["ten", "tenth"],
        &["eleven", "eleventh"],
        &["twelve", "twelfth", "dozen"],
        &["thirteen", "thirteenth"],
        &["fourteen", "fourteenth"],
        &["fifteen", "fifteenth"],
        &["sixteen", "sixteenth"],
        &["seventeen", "seventeenth"],
        &["eighteen", "eighteenth"],
        &["nineteen", "nineteenth"],
        &["twenty", "twentieth"],
    ];
    const TENS: [(&str, &str); 8] = [
        ("30", "thirty"),
        ("40", "forty"),
        ("50", "fifty"),
        ("60", "sixty"),
        ("70", "seventy"),
        ("80", "eighty"),
        ("90", "ninety"),
        ("100", "hundred"),
    ];
    let small = number.parse::<usize>().ok().filter(|_| number.len() <= 2).and_then(|number| WORDS.get(number));
    let mut words = text.split(|c: char| !c.is_alphabetic()).map(str::to_lowercase);
    words.any(|word| {
        small.is_some_and(|names| names.contains(&word.as_str()))
            || TENS.iter().any(|&(tens, name)| tens == number && name == word)
    })
}

/// The ending of an English ordinal number (`1st`).
pub(super) fn ordinal_ending(number: &str) -> &'static str {
    let number = digits(number);
    let last = number.as_bytes().last().copied();
    if number.len() >= 2 && number.as_bytes()[number.len() - 2] == b'1' {
        return "th";
    }
    match last {
        Some(b'1') => "st",
        Some(b'2') => "nd",
        Some(b'3') => "rd",
        _ => "th",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_decimals_change_their_signs() {
        for (german, english) in [
            ("1.234,56", "1,234.56"),
            ("59.202.938", "59,202,938"),
            ("1.000.000.000", "1,000,000,000"),
            ("10\u{202f}000", "10,000"),
            ("10 000,5", "10,000.5"),
            ("1'250", "1,250"),
            ("3,5", "3.5"),
            ("0,853", "0.853"),
        ] {
            assert_eq!(with_decimal_point(german), english);
        }
    }

    #[test]
    fn what_is_no_quantity_keeps_its_signs() {
        for number in [
            "24.12.2023",
            "14:30",
            "0.85.3",
            "8.1",
            "192.168.100.100",
            "030 1234567",
            "0711/51221087",
            "00:00:02,830",
            "2013",
            "1,2,3",
        ] {
            assert_eq!(with_decimal_point(number), number);
        }
    }

    #[test]
    fn small_numbers_may_stand_in_words() {
        assert!(
            is_in_words("2", "Two dogs run.") && is_in_words("3", "the third day") && is_in_words("30", "thirty men")
        );
        assert!(!is_in_words("4", "Two dogs run.") && !is_in_words("02", "nothing") && !is_in_words("2345", "two"));
        assert_eq!(["1", "2", "13", "23", "111"].map(ordinal_ending), ["st", "nd", "th", "rd", "th"]);
    }
}
