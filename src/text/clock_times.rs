//! German times of day in words, read in digits: `halb acht` is `7:30 Uhr`, `um 20 Uhr` is `um 20:00 Uhr`.
//!
//! Half past in English is the hour before in German, and a small model learns from few examples that it is not the one it reads.
//! What stands in digits it carries over.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::Normalized;
use super::numerals::{SMALL, is_joint, number};

/// Hours behind the nineteenth.
const EVENING: [&str; 5] = ["zwanzig", "einundzwanzig", "zweiundzwanzig", "dreiundzwanzig", "vierundzwanzig"];

/// Minutes that are said behind `Uhr` and are not counts of something else.
const MINUTES: [&str; 9] = [
    "fünfzehn",
    "zwanzig",
    "fünfundzwanzig",
    "dreißig",
    "fünfunddreißig",
    "vierzig",
    "fünfundvierzig",
    "fünfzig",
    "fünfundfünfzig",
];

static TIME: LazyLock<Regex> = LazyLock::new(|| {
    let half_day = SMALL[1..=12].join("|");
    let late = [&SMALL[13..], &EVENING].concat().join("|");
    let minutes = MINUTES.join("|");
    let pattern = format!(
        r"(?i)\b(?:(?:(?<by>fünf|zehn|5|10)(?: Minuten)? (?<side>vor|nach) )?halb (?<half>{half_day}|1[0-2]|[1-9])(?: Uhr)?|(?<quarter>drei ?viertel|viertel) (?<of>{half_day})(?: Uhr)?|(?<hour>ein|{half_day}|{late}|2[0-4]|1[0-9]|0?[0-9]) Uhr (?<minute>{minutes}|[0-5][0-9])(?: Uhr)?|(?<late>null|{late}|2[0-4]|1[3-9]|0) Uhr)\b"
    );
    Regex::new(&pattern).expect("a valid pattern")
});

/// The text with its times of day in digits.
pub fn with_clock_times(text: Normalized) -> Normalized {
    let may_have = ["uhr", "Uhr", "UHR", "halb", "Halb", "HALB", "viertel", "VIERTEL"];
    if !may_have.iter().any(|word| text.text.contains(word)) {
        return text;
    }
    let edits: Vec<(Range<usize>, String)> =
        TIME.captures_iter(&text.text).filter_map(|found| in_digits(&text.text, &found)).collect();
    if edits.is_empty() { text } else { text.replaced(&edits) }
}

/// What is replaced, and by what; nothing where it may be something else than a time of day.
fn in_digits(text: &str, found: &Captures<'_>) -> Option<(Range<usize>, String)> {
    let bytes = found.get(0)?.range();
    let (before, after) = (text[..bytes.start].chars().next_back(), &text[bytes.end..]);
    let has_small = text.contains(char::is_lowercase);
    // Parts of a longer number, of a span of time or of a compound.
    let mut behind = after.chars();
    let ends_in_more = match behind.next() {
        Some('.' | ',' | ':') => behind.next().is_some_and(|next| next.is_ascii_digit()),
        Some(sign) => is_joint(sign),
        None => false,
    };
    if before.is_some_and(|sign| is_joint(sign) || ".,:".contains(sign)) || ends_in_more {
        return None;
    }
    let named = |name: &str| found.name(name).map(|part| part.as_str());
    let hour_before = |hour: &str| Some(if value(hour)? == 1 { 12 } else { value(hour)? - 1 });
    let next = after.trim_start().chars().next();
    let (hour, minute) = if let Some(half) = named("half") {
        let by = named("by").map_or(Some(0), value)?;
        let is_before = named("side").is_some_and(|side| side.eq_ignore_ascii_case("vor"));
        (hour_before(half)?, if is_before { 30 - by } else { 30 + by })
    } else if let (Some(quarter), Some(of)) = (named("quarter"), named("of")) {
        // A `Viertel` is a part of a town.
        if quarter.starts_with('V') && has_small {
            return None;
        }
        (hour_before(of)?, if quarter.len() > "viertel".len() { 45 } else { 15 })
    } else if let (Some(hour), Some(minute)) = (named("hour"), named("minute")) {
        // So many of something.
        if has_small && next.is_some_and(char::is_uppercase) {
            return None;
        }
        (value(hour)?, value(minute)?)
    } else {
        if next.is_some_and(|next| next.is_ascii_digit()) {
            return None;
        }
        (value(named("late")?)?, 0)
    };
    // Whether capitals are missing is decided by the whole line.
    let clock = match (text.contains(char::is_uppercase), has_small) {
        (false, _) => "uhr",
        (true, true) => "Uhr",
        (true, false) => "UHR",
    };
    Some((bytes, format!("{hour}:{minute:02} {clock}")))
}

/// A number in words or digits.
fn value(text: &str) -> Option<u32> {
    text.parse().ok().or_else(|| number(&text.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::normalize;

    fn read(text: &str) -> String {
        with_clock_times(normalize(text)).text
    }

    #[test]
    fn half_hours_and_quarters_are_of_the_hour_before() {
        for (typed, read_as) in [
            ("Der Zug fährt um halb acht.", "Der Zug fährt um 7:30 Uhr."),
            ("Es ist halb eins.", "Es ist 12:30 Uhr."),
            ("Komm um halb 3 Uhr!", "Komm um 2:30 Uhr!"),
            ("Es ist fünf nach halb zehn.", "Es ist 9:35 Uhr."),
            ("Zehn Minuten vor halb elf, oder 5 vor halb 8", "10:20 Uhr, oder 7:25 Uhr"),
            ("kurz nach dreiviertel acht, um viertel neun", "kurz nach 7:45 uhr, um 8:15 uhr"),
            ("UM HALB NEUN", "UM 8:30 UHR"),
        ] {
            assert_eq!(read(typed), read_as);
        }
    }

    #[test]
    fn minutes_behind_the_hour_and_late_hours_are_digits() {
        for (typed, read_as) in [
            ("Um 20 Uhr 15 beginnt er.", "Um 20:15 Uhr beginnt er."),
            ("Um sieben Uhr dreißig, um ein Uhr zwanzig", "Um 7:30 Uhr, um 1:20 Uhr"),
            ("Um 16 Uhr und um vierzehn Uhr", "Um 16:00 Uhr und um 14:00 Uhr"),
            ("Von 22 Uhr bis 6 Uhr morgens", "Von 22:00 Uhr bis 6 Uhr morgens"),
            ("um null uhr", "um 0:00 uhr"),
        ] {
            assert_eq!(read(typed), read_as);
        }
    }

    #[test]
    fn what_may_be_something_else_stays() {
        for text in [
            "Er ist halb so alt.",
            "Um acht Uhr, um 9 Uhr und um 20.15 Uhr.",
            "Wir haben 9–18 Uhr geöffnet.",
            "Die 20-Uhr-Nachrichten und 14 Uhren",
            "Im Viertel drei Häuser weiter, anderthalb acht",
            "Um 8 Uhr 30 Leute, um 20 Uhr 5 Leute",
            "halb 8,5 und halb acht-jährig",
            "Es ist Viertel nach drei.",
        ] {
            assert_eq!(read(text), text);
        }
    }

    #[test]
    fn places_are_those_of_the_text_as_it_was_given() {
        let read = with_clock_times(normalize("um halb acht los"));
        assert_eq!(read.text, "um 7:30 uhr los");
        let places = ["7", "los"].map(|word| read.offsets.original(read.text.find(word).unwrap()));
        assert_eq!(places, [3, 13]);
    }
}
