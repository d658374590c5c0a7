//! Words and punctuation of a text, as finely as marks may stand: what lies between two words is spaces and punctuation.

use std::ops::Range;

/// A text and its words.
pub(super) struct Words<'t> {
    pub(super) text: &'t str,
    pub(super) ranges: Vec<Range<usize>>,
}

impl Words<'_> {
    pub(super) fn get(&self, word: usize) -> &str {
        &self.text[self.ranges[word].clone()]
    }

    /// The words that have a byte in `bytes`.
    pub(super) fn within(&self, bytes: &Range<usize>) -> Range<usize> {
        let start = self.ranges.partition_point(|word| word.end <= bytes.start);
        let end = self.ranges.partition_point(|word| word.start < bytes.end);
        start..end.max(start)
    }
}

/// What a character is to a mark.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Digit,
    /// A word of its own: an ideograph, a sign, an emoji.
    Single,
    /// Belongs to the character before it.
    Mark,
    Other,
}

/// The words of `text` as ranges of bytes, in order. Ranges in `fixed` are one word each, whatever is in them; no word goes across a
/// place in `cuts`. Both are sorted.
pub(super) fn words(text: &str, fixed: &[Range<usize>], cuts: &[usize]) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut fixed = fixed.iter().peekable();
    let mut cuts = cuts.iter().copied().peekable();
    let mut open: Option<(usize, Kind)> = None;
    let mut skip_to = 0;
    let mut is_joined = false;
    for (at, c) in text.char_indices() {
        if at < skip_to {
            continue;
        }
        let mut is_cut = false;
        while cuts.next_if(|&cut| cut <= at).is_some_and(|cut| cut == at || is_cut) {
            is_cut = true;
        }
        if let Some(range) = fixed.next_if(|range| range.start == at) {
            words.extend(open.take().map(|(start, _)| start..at));
            words.push(range.clone());
            skip_to = range.end;
            continue;
        }
        if is_cut {
            words.extend(open.take().map(|(start, _)| start..at));
        }
        let kind = kind(c);
        let after = || text[at + c.len_utf8()..].chars().next().map_or(Kind::Other, self::kind);
        match (open, kind) {
            (Some(_), Kind::Mark) => {}
            (Some((_, Kind::Single)), _) if is_joined => {}
            (Some((start, Kind::Letter | Kind::Digit)), Kind::Letter | Kind::Digit) => open = Some((start, kind)),
            // don't; 3,5; 12:30
            (Some((_, Kind::Letter)), Kind::Other) if matches!(c, '\'' | '’') && after() == Kind::Letter => {}
            (Some((_, Kind::Digit)), Kind::Other) if matches!(c, '.' | ',' | ':') && after() == Kind::Digit => {}
            _ => {
                words.extend(open.take().map(|(start, _)| start..at));
                if kind != Kind::Other {
                    open = Some((at, if kind == Kind::Mark { Kind::Letter } else { kind }));
                }
            }
        }
        // The joiner of emoji.
        is_joined = c == '\u{200d}';
    }
    words.extend(open.map(|(start, _)| start..text.len()));
    words
}

fn kind(c: char) -> Kind {
    match c {
        '_' => Kind::Letter,
        '0'..='9' => Kind::Digit,
        'a'..='z' | 'A'..='Z' => Kind::Letter,
        '%' | '&' | '$' | '#' | '@' | '+' | '=' => Kind::Single,
        '\0'..='\x7f' => Kind::Other,
        '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{20e3}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{ad}' => {
            Kind::Mark
        }
        // Scripts that do without spaces.
        '\u{e00}'..='\u{eff}'
        | '\u{1000}'..='\u{109f}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}' => {
            if c.is_alphanumeric() {
                Kind::Single
            } else {
                Kind::Mark
            }
        }
        _ if c.is_numeric() => Kind::Digit,
        _ if c.is_alphabetic() => Kind::Letter,
        _ if c.is_whitespace() || c.is_control() => Kind::Other,
        '£' | '¢' | '¥' | '©' | '®' | '°' | '±' | '×' | '÷' | '§' | '¶' => Kind::Single,
        '\u{20a0}'..='\u{20cf}' | '\u{2100}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}' => Kind::Single,
        '\u{80}'..='\u{bf}'
        | '\u{2000}'..='\u{206f}'
        | '\u{2e00}'..='\u{2e7f}'
        | '\u{3000}'..='\u{303f}'
        | '\u{fe30}'..='\u{fe4f}'
        | '\u{ff00}'..='\u{ff0f}' => Kind::Other,
        // Punctuation of scripts that have their own.
        '\u{55a}'..='\u{55f}'
        | '\u{589}'
        | '\u{5be}'
        | '\u{5c0}'
        | '\u{5c3}'
        | '\u{60c}'
        | '\u{61b}'
        | '\u{61f}'
        | '\u{6d4}'
        | '\u{964}'
        | '\u{965}'
        | '\u{1361}'..='\u{1368}'
        | '\u{ff1a}'..='\u{ff20}' => Kind::Other,
        _ => Kind::Mark,
    }
}

/// One character for all that do the same work: `"` for quotation marks, `.` for what ends a sentence.
pub(super) fn class(c: char) -> char {
    match c {
        '"' | '\'' | '`' | '“' | '”' | '„' | '‟' | '«' | '»' | '‹' | '›' | '‘' | '’' | '‚' | '「' | '」' | '『'
        | '』' => '"',
        '.' | '…' | '!' | '?' | '。' | '！' | '？' | '؟' | '।' | '۔' => '.',
        ',' | ';' | '，' | '；' | '、' | '،' | '؛' => ',',
        ':' | '：' => ':',
        '-' | '–' | '—' | '―' | '‐' | '‑' => '-',
        '(' | '[' | '（' | '【' => '(',
        ')' | ']' | '）' | '】' => ')',
        other => other,
    }
}

/// Whether a class is one of those that end something: a sentence or a part of it.
pub(super) fn is_stop(class: char) -> bool {
    matches!(class, '.' | ',' | ':')
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_are_as_fine_as_marks_may_stand() {
        let cut =
            |text: &'static str| -> Vec<&str> { words(text, &[], &[]).into_iter().map(|word| &text[word]).collect() };
        assert_eq!(cut("„Haustür“, don't: 3,5 % E-Mail."), ["Haustür", "don't", "3,5", "%", "E", "Mail"]);
        assert_eq!(cut("他说 cafe\u{301} 👍🏽 x’"), ["他", "说", "cafe\u{301}", "👍🏽", "x"]);
        assert_eq!(words("H2O in `a b`", std::slice::from_ref(&(7..12)), &[1, 2]), [0..1, 1..2, 2..3, 4..6, 7..12]);
    }
}
