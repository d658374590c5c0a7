//! What spans that have to come back as they are look like.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

/// Addresses, names of files and variables, placeholders: what stands in a sentence as a word does.
const WORDS: &str = r#"(?x)
    # Addresses, to the next space
      (?i: https? | ftps? | sftp | file | git | ssh | wss? ) :// [^\s<>"“”„»«`]+
    | (?i: mailto | tel ) : [^\s<>"“”„»«`]+
    | [\p{L}\d] [\p{L}\d._%+-]* @ [\p{L}\d-]+ (?: \. [\p{L}\d-]+ )+
    | (?i: www ) \. [\p{L}\d-]+ (?: \. [\p{L}\d-]+ )+ (?: [/:?\#] [^\s<>"“”„»«`]* )?
    | [\p{L}\d] [\p{L}\d-]* (?: \. [\p{L}\d-]+ )* \. (?: de | com | org | net | eu | at | ch | io | info | edu | gov | uk | fr | nl | app | dev )
      \b (?: [/:?\#] [^\s<>"“”„»«`]* )?
    # Placeholders
    | \{\{ [^{}\n]* \}\} | \$\{ [^{}\s]+ \} | \{ [\w.,:;!\#+-]* \}
    | % (?: \( \w+ \) | \{ \w+ \} )? (?: \d+ \$ )? [-+0\#]* (?: \d+ | \* )? (?: \. \d+ )? (?: hh? | ll? | [Lzjt] )? [sdiufFeEgGxXocpa@] \b
    | %@ | % \d+ \b | % [A-Z] [A-Z\d_]+ %
    | \$ [A-Za-z_] \w* | \$ \d+ \b
    # Files and paths
    | [A-Za-z] :\\ [^\s"<>|*?]* | \\\\ [\w.-]+ \\ [^\s"<>|*?]+
    | (?: ~ | \.{1,2} )? / [\w.@~+%-]+ (?: / [\w.@~+%-]* )* | ~/
    | [\w.-]+ (?: / [\w.-]+ )+ \. [A-Za-z] \w{0,4} \b
    | [\w*] [\w.*-]* \. (?i: txt | pdf | docx? | xlsx? | pptx? | csv | tsv | json | xml | html? | md | png | jpe?g | gif | svg | webp
        | mp[34] | wav | avi | mov | zip | tar | gz | bz2 | xz | 7z | rar | exe | dll | py | rs | js | ts | java | cpp | sh | ini | cfg | conf
        | log | ya?ml | toml | sql | css | php | bak | od[tsp] | rtf | tex | iso | deb | rpm | apk | jar | epub | bat ) \b
    | \. [a-z] [\w-]{2,}
    # Code
    | ` [^`\n]+ `
    | \b _* [\p{L}\d]+ (?: _+ [\p{L}\d]+ )+ _* | \b __ [\p{L}\d]+ __
    | [A-Za-z_] [\w.]* \(\) | \w+ (?: :: \w+ )+
    | -- [A-Za-z\d] [\w-]* (?: = [^\s,;"“”„»«]+ )? | - [A-Za-z] \b
    # Names
    | @ [\w] (?: [\w.-]* \w )? | \# \w+
"#;

/// Markup and signs: what a sentence does without.
const MARKS: &str = r#"(?x)
      <!-- .*? -->
    | </? [A-Za-z\d] [^<>\n]{0,1000} > | </? [A-Za-z\d] >
    | & (?: \# \d{1,7} | \# [xX] [\dA-Fa-f]{1,6} | [A-Za-z] [A-Za-z\d]{1,31} ) ;
    # Emoji: flags, keycaps, and pictures with what modifies and joins them
    | (?: \p{Regional_Indicator}{2}
        | [\d\#*] \u{fe0f}? \u{20e3}
        | [\p{Extended_Pictographic}--[©®]] [\u{fe0f}\p{Emoji_Modifier}\u{e0020}-\u{e007f}]* (?: \u{200d} \p{Extended_Pictographic} [\u{fe0f}\p{Emoji_Modifier}]* )*
      )+
    | [<>]? [-=]{1,3} > | < [-=]{1,3}
    | [:;] -? [()DPp|/\\]
    | [\p{So}\p{Sm}--[°©®™+<=>|~±×÷¬]]+
    | [•‣⁃·∙]+ | \*+ | _+ | \|+ | ~+ | \^+ | \\+ | [<>]+ | \{+ | \}+ | \[+ | \]+ | `+ | =+ | \#+
    | ^ \s* (?: [-–—+] | [a-z] \) | \(? \d{1,3} \) | \d{1,3} \. ) \s+ \S
"#;

/// Numbers: telephone numbers and groups with spaces in them; whatever else has digits to its left and right.
const NUMBERS: &str = r"(?x)
      (?: \+ \d{1,3} | \(? 0 \d* \)? ) (?: \ ?[/\ -]\ ? \(? \d+ \)? )+
    | \d{1,3} (?: [\ \u{a0}\u{202f}\u{2009}] \d{3} )+ (?: , \d+ )?
    | \d+ (?: [.,:'’/-] \d+ )*
";

static WORD: LazyLock<Regex> = LazyLock::new(|| compile(WORDS));
static MARK: LazyLock<Regex> = LazyLock::new(|| compile(MARKS));
static NUMBER: LazyLock<Regex> = LazyLock::new(|| compile(NUMBERS));

/// What one of them may remember of the states it was in, for each thread.
const REMEMBERED: usize = 256 << 10;

fn compile(pattern: &str) -> Regex {
    RegexBuilder::new(pattern).dfa_size_limit(REMEMBERED).build().expect("a valid pattern")
}

/// Whether [`WORDS`] may find something: whether there is one of the signs that each of its alternatives has. Most lines have
/// none, and then the expression need not even be built, which takes longer than a short line's translation.
fn may_have_words(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii();
    bytes.iter().enumerate().any(|(at, byte)| {
        let next = bytes.get(at + 1).copied();
        match byte {
            b'@' | b'{' | b'%' | b'$' | b'\\' | b'/' | b'~' | b'`' | b'_' | b'#' | b'*' => true,
            b'.' => next.is_some_and(|next| is_word(next) || next == b'-'),
            b':' => next.is_some_and(|next| !next.is_ascii_whitespace()),
            b'(' => next == Some(b')'),
            b'-' => {
                !(at > 0 && bytes[at - 1].is_ascii_alphanumeric())
                    && next.is_some_and(|next| next == b'-' || next.is_ascii_alphanumeric())
            }
            _ => false,
        }
    })
}

/// The same for [`MARKS`].
fn may_have_marks(text: &str) -> bool {
    let start = text.trim_start();
    let mut first = start.chars();
    let is_point = match (first.next(), first.next()) {
        (Some('-' | '–' | '—' | '+' | '(' | '0'..='9'), _) => true,
        (Some(first), second) => first.is_numeric() || second == Some(')'),
        _ => false,
    };
    is_point
        || start.char_indices().any(|(at, c)| match c {
            ':' | ';' => start[at + 1..].starts_with(['-', '(', ')', 'D', 'P', 'p', '|', '/', '\\']),
            c if c.is_ascii() => "<>&*_|^~\\{}[]`=#".contains(c),
            // Pictures and mathematical signs are no letters of a script, and these are none of either.
            c => !(c < '\u{2000}' && c.is_alphabetic() || "„“”‚‘’»«–—…€°§´\u{a0}".contains(c)),
        })
}

/// The words of a text that are to be copied.
pub(super) fn words(text: &str) -> Vec<Range<usize>> {
    if !may_have_words(text) {
        return Vec::new();
    }
    find(&WORD, text, |found| {
        let before = text[..found.start].chars().next_back();
        let after = text[found.end..].chars().next();
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let follows_word = is_word(before);
        match text.as_bytes()[found.start] {
            // `100%ige`, `a@b`, `C#`, `Haus-a`, `und/oder`, `...und`
            b'%' | b'@' | b'#' | b'$' if follows_word => None,
            b'-' | b'.' | b'/' | b'~' | b'\\'
                if before.is_some_and(|c| !c.is_whitespace() && !"([{„“\"'`=:|,".contains(c)) =>
            {
                None
            }
            b'-' if after == Some('-') => None,
            b'/' if !is_path(&text[found.clone()]) => None,
            _ if follows_word && text[found.clone()].starts_with(|c: char| c.is_alphanumeric()) => None,
            _ => Some(found.start..found.start + trimmed(&text[found])),
        }
    })
}

/// A lone slash and a word is a path only where it could be nothing else.
fn is_path(found: &str) -> bool {
    found.matches('/').count() > 1
        || found.contains(['.', '_'])
        || found.bytes().skip(1).all(|b| b.is_ascii_lowercase())
}

/// How much of an address is not the punctuation of the sentence around it.
fn trimmed(found: &str) -> usize {
    let mut length = found.len();
    if found.starts_with(['{', '%', '`', '$']) || found.ends_with("()") {
        return length;
    }
    while let Some(last) = found[..length].chars().next_back() {
        let count = |c: char| found[..length].matches(c).count();
        let is_around = match last {
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '"' | '*' | '’' | '‘' | '…' => true,
            ')' => count(')') > count('('),
            ']' => count(']') > count('['),
            '}' => count('}') > count('{'),
            _ => false,
        };
        if !is_around || length == last.len_utf8() {
            break;
        }
        length -= last.len_utf8();
    }
    length
}

/// The markup and the signs of a text.
pub(super) fn marks(text: &str) -> Vec<Range<usize>> {
    if !may_have_marks(text) {
        return Vec::new();
    }
    find(&MARK, text, |found| {
        let is_alone = |at: Option<char>| at.is_none_or(|c| !c.is_alphanumeric());
        let (before, after) = (text[..found.start].chars().next_back(), text[found.end..].chars().next());
        match &text[found.clone()] {
            // `um 8:) Uhr` is no smile, nor is `C:\`.
            smile if smile.starts_with([':', ';']) && !(before.is_none_or(char::is_whitespace) && is_alone(after)) => {
                None
            }
            // Powers, products and equations.
            sign if sign.starts_with(['*', '^', '=', '<', '>', '#'])
                && sign.len() == 1
                && before.is_some_and(|c| c.is_ascii_digit())
                && after.is_some_and(|c| c.is_ascii_digit()) =>
            {
                None
            }
            // What a list has before its points, up to the first character of the point.
            point if point.contains(char::is_whitespace) && !point.starts_with('<') => {
                let start = found.start + point.len() - point.trim_start().len();
                let bullet = point.trim().split(char::is_whitespace).next().unwrap_or_default();
                let is_ordinal = bullet.ends_with('.') && !point.ends_with(char::is_uppercase);
                (!is_ordinal).then(|| start..start + bullet.len())
            }
            _ => Some(found),
        }
    })
}

/// The numbers of a text.
pub(super) fn numbers(text: &str) -> Vec<Range<usize>> {
    if !text.contains(char::is_numeric) {
        return Vec::new();
    }
    find(&NUMBER, text, |Range { start, end }| {
        let before = text[..start].chars().next_back();
        // `A4` and `H2O` are words.
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            return None;
        }
        // `12 3000` is no group of three.
        let goes_on = text[end..].starts_with(|c: char| c.is_ascii_digit());
        let first = text[start..end].find(|c: char| c.is_whitespace());
        Some(start..first.filter(|_| goes_on).map_or(end, |first| start + first))
    })
}

/// What `pattern` finds in `text`, as far as `check` lets it.
fn find(pattern: &Regex, text: &str, check: impl Fn(Range<usize>) -> Option<Range<usize>>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(place) = pattern.find_at(text, at) {
        let kept = check(place.range()).filter(|range| !range.is_empty());
        // Never back, so that no text costs more than its length.
        at = kept.as_ref().map_or(place.end(), |range| range.end);
        found.extend(kept);
        if at >= text.len() {
            break;
        }
    }
    found
}

/// Tags that stand for themselves, without an end.
pub(super) fn is_single_tag(tag: &str) -> bool {
    let name = tag.trim_start_matches('<').split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    tag.ends_with("/>")
        || tag.starts_with("<!")
        || ["br", "hr", "img", "input", "wbr"].contains(&name.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

        /// Nothing is passed over without looking that would be found.
        #[test]
        fn no_span_is_missed_by_the_look_at_its_signs(
            text in "[ a-dD.:;/@%$\\\\~`_#*<>&(){}\\[\\]|^+=0-9,!?ü–„°•😀©-]{0,12}",
            any in ".{0,6}",
        ) {
            let near = ["mailto:", "tel:", "www.", "x.de", "C:", "a) ", "- "];
            for text in near.iter().map(|near| format!("{near}{text}{any}")).chain([text.clone(), any.clone()]) {
                prop_assert!(may_have_words(&text) || !WORD.is_match(&text) || words(&text).is_empty(), "{text}");
                prop_assert!(may_have_marks(&text) || !MARK.is_match(&text), "{text}");
                prop_assert!(text.contains(char::is_numeric) || !NUMBER.is_match(&text), "{text}");
            }
        }

        /// Every character by itself, and before a word.
        #[test]
        fn no_character_is_missed(character in any::<char>()) {
            for text in [format!("{character}"), format!("a {character} b"), format!("a{character}b")] {
                prop_assert!(may_have_marks(&text) || !MARK.is_match(&text), "{text}");
                prop_assert!(text.contains(char::is_numeric) || !NUMBER.is_match(&text), "{text}");
            }
        }
    }

    fn texts(text: &str, find: impl Fn(&str) -> Vec<Range<usize>>) -> Vec<&str> {
        find(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn addresses_end_before_the_punctuation_of_the_sentence() {
        for (text, found) in [
            ("Siehe https://a.example/b_(c)?d=1&e=f#g.", "https://a.example/b_(c)?d=1&e=f#g"),
            ("(siehe http://a.example/b).", "http://a.example/b"),
            ("An frau.muster+1@post.example.org, bitte!", "frau.muster+1@post.example.org"),
            ("Auf www.garten-freunde.de/beete: neu", "www.garten-freunde.de/beete"),
            ("Bei wetter.net?", "wetter.net"),
        ] {
            assert_eq!(texts(text, words), [found], "{text}");
        }
    }

    #[test]
    fn files_options_names_and_placeholders_are_words() {
        for text in [
            "/etc/hosts",
            "/usr/lib/x86_64",
            "~/.bashrc",
            "../daten/liste.csv",
            "C:\\Users\\Anna\\brief.docx",
            "src/main.rs",
            "bericht-2.pdf",
            "*.txt",
            ".gitignore",
            "--verbose",
            "--farbe=immer",
            "-v",
            "%s",
            "%1$s",
            "%d",
            "%5.2f",
            "%(name)s",
            "{0}",
            "{name}",
            "{}",
            "{{ anrede }}",
            "${HOME}",
            "$PATH",
            "%APPDATA%",
            "@anna",
            "@team.nord",
            "#urlaub",
            "max_laenge",
            "main()",
            "std::fmt",
            "`ls -l`",
        ] {
            assert_eq!(texts(&format!("Nimm {text} dort."), words), [text]);
        }
    }

    #[test]
    fn ordinary_german_has_no_such_words() {
        for text in [
            "Haus- und Gartenarbeit, und/oder 50 % der Fläche, 100%ige km/h!",
            "Das ist z.B. so, d.h. gut.Das auch",
            "...und dann? -- Nein!",
            "Er/sie kauft C#-Bücher in der E-Mail-Liste; 5 % sind gut.",
            "Ein Hund (braun) läuft „schnell“ – sehr schnell.",
        ] {
            assert_eq!(texts(text, words), [""; 0], "{text}");
        }
    }

    #[test]
    fn markup_emoji_and_signs_are_marks() {
        for (text, found) in [
            ("<b>Ja</b> &amp; <br/>nein <a href=\"x y\">", &["<b>", "</b>", "&amp;", "<br/>", "<a href=\"x y\">"][..]),
            ("Gut 👍🏽 👨‍👩‍👧 🇩🇪 1️⃣ ❤️!", &["👍🏽", "👨‍👩‍👧", "🇩🇪", "1️⃣", "❤️"]),
            ("• Eins → zwei ** drei | vier", &["•", "→", "**", "|"]),
            ("- Ein Punkt :-) <3", &["-", ":-)", "<"]),
            ("2) Ein Punkt", &["2)"]),
            ("3. Ein Punkt", &["3."]),
            ("3. bis 5. Mai", &[]),
            ("Ein - Strich, 5*3, 20 °C und § 3 + 4: ja", &[]),
        ] {
            assert_eq!(texts(text, marks), found, "{text}");
        }
    }

    #[test]
    fn numbers_are_found_whole() {
        for text in [
            "1.234,56",
            "1.234.567",
            "10\u{202f}000",
            "3,5",
            "0.85.3",
            "24.12.2023",
            "14:30",
            "030 1234567",
            "+49 30 1234567",
            "0711/123456",
            "2023-12-24",
            "7",
            "00:00:02,830",
        ] {
            assert_eq!(texts(&format!("Es sind {text} hier."), numbers), [text]);
        }
        assert_eq!(texts("A4, H2O, 12 Äpfel, 3. Mai", numbers), ["12", "3"]);
    }
}
