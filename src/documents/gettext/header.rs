//! The header of a PO file: what it says, and what it lacks.

use std::ops::Range;

use super::parse::Entry;

/// What of the header may be filled in.
#[derive(Default)]
pub(super) struct Header {
    /// The number of forms that `msgid_plural` has translations in.
    pub(super) forms: Option<usize>,
    /// Where a language is missing.
    language: Option<Range<usize>>,
    /// The name of the charset.
    charset: Option<Range<usize>>,
    /// `nplurals=INTEGER; plural=EXPRESSION;`, or the end of a header that has not even that.
    pub(super) plural: Option<Range<usize>>,
    /// Whether the first form is for the number 1 alone.
    pub(super) first_is_one: bool,
}

impl Header {
    pub(super) fn of(source: &str, entries: &[Entry]) -> Self {
        let mut header = Self::default();
        let entry =
            entries.iter().find(|entry| entry.context.is_none() && entry.id.text.is_empty() && entry.plural.is_none());
        let Some((_, form)) = entry.and_then(|entry| entry.forms.first()) else { return header };
        let (range, said) = (form.strings.clone(), &form.text);
        let raw = &source[range.clone()];
        let field = |name: &str| {
            let start = raw.find(&format!("\"{name}:"))? + name.len() + 2;
            let end = raw[start..].find("\\n").map(|at| start + at)?;
            (!raw[start..end].contains('"')).then(|| range.start + start..range.start + end)
        };
        header.language = field("Language").filter(|range| source[range.clone()].trim().is_empty());
        header.charset = field("Content-Type").and_then(|range| {
            let at = source[range.clone()].find("charset=")?;
            Some(range.start + at + 8..range.end)
        });
        // A long rule goes over several strings, so it is read from what they say.
        let rule = said.lines().find_map(|line| line.strip_prefix("Plural-Forms:")).map(|rule| rule.replace(' ', ""));
        if let Some(rule) = &rule {
            let number = rule.split("nplurals=").nth(1).unwrap_or("");
            let digits = number.bytes().take_while(u8::is_ascii_digit).count();
            header.forms = number[..digits].parse().ok().filter(|forms| (1..=10).contains(forms));
            header.first_is_one =
                ["plural=(n!=1)", "plural=n!=1", "plural=n==1?0", "plural=(n==1?0", "plural=(n==1)?0"]
                    .iter()
                    .any(|one| rule.contains(one));
        }
        // Forms are added only to a file that has use for them.
        let has_plurals = entries.iter().any(|entry| entry.plural.is_some());
        header.plural = match rule {
            Some(rule) => field("Plural-Forms").filter(|_| rule.contains("INTEGER")),
            None => has_plurals.then_some(range.end..range.end),
        };
        header
    }

    /// What is filled in once something was translated. The text is written in another encoding if `is_utf8`.
    pub(super) fn edits(
        &self,
        source: &str,
        language: Option<&str>,
        is_utf8: bool,
        line_end: &str,
        edits: &mut Vec<(Range<usize>, String)>,
    ) {
        if let (Some(range), Some(language)) = (&self.language, language) {
            edits.push((range.clone(), format!(" {}", language.replace('-', "_"))));
        }
        if let Some(range) = &self.charset
            && (is_utf8 || &source[range.clone()] == "CHARSET")
        {
            edits.push((range.clone(), "UTF-8".to_owned()));
        }
        if let (Some(range), Some((_, plural))) = (&self.plural, language.and_then(plural_forms)) {
            let is_added = range.is_empty();
            edits.push((
                range.clone(),
                if is_added { format!("{line_end}\"Plural-Forms: {plural}\\n\"") } else { format!(" {plural}") },
            ));
        }
    }
}

/// How many plural forms a language has, and gettext's rule for them.
pub(super) fn plural_forms(language: &str) -> Option<(usize, &'static str)> {
    let primary = language.split(['-', '_']).next().unwrap_or(language);
    Some(match primary {
        "pt" if language.len() > 2 && language[3..].eq_ignore_ascii_case("br") => (2, "nplurals=2; plural=(n > 1);"),
        "fr" => (2, "nplurals=2; plural=(n > 1);"),
        "en" | "de" | "nl" | "sv" | "da" | "nb" | "nn" | "no" | "it" | "es" | "pt" | "fi" | "et" | "el" | "he"
        | "hu" | "bg" | "ca" | "eu" | "eo" | "tr" | "hi" | "sq" => (2, "nplurals=2; plural=(n != 1);"),
        "ja" | "zh" | "ko" | "vi" | "th" | "id" => (1, "nplurals=1; plural=0;"),
        "ru" | "uk" | "be" | "sr" | "hr" | "bs" => (
            3,
            "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);",
        ),
        "pl" => (3, "nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);"),
        "cs" | "sk" => (3, "nplurals=3; plural=(n==1) ? 0 : (n>=2 && n<=4) ? 1 : 2;"),
        "ro" => (3, "nplurals=3; plural=(n==1 ? 0 : (n==0 || (n%100 > 0 && n%100 < 20)) ? 1 : 2);"),
        "lt" => (3, "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && (n%100<10 || n%100>=20) ? 1 : 2);"),
        "ar" => {
            (6, "nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5);")
        }
        _ => return None,
    })
}
