//! Putting the lines of a paragraph together that were wrapped to fit a page.

use super::sentences::is_full_width;

/// Words before which a hyphen at the end of a line stands for a word that comes later: `Vor-` and `und Nachteile`.
const AFTER_SUSPENDED: [&str; 24] = [
    "und", "oder", "bzw", "sowie", "bis", "als", "noch", "statt", "and", "or", "to", "nor", "et", "ou", "y", "o", "e",
    "en", "of", "och", "eller", "og", "a", "i",
];

/// Appends the next line of a paragraph.
///
/// Lines are put together with one space, or none where Chinese or Japanese is written. A hyphen after a letter at the end of a line
/// - goes, with the space, where the next line goes on in lower case: it divides a word (`Versi-`, `cherung`);
/// - stays, with a space, before a word such as `und`: it stands for what the words share (`Vor-`, `und Nachteile`);
/// - stays, without a space, before anything else: it joins two words (`Goethe-`, `Institut`).
///
/// A soft hyphen at the end of a line always goes. A hyphen with a space before it is a dash, and stays as it is.
pub fn append_line(paragraph: &mut String, line: &str) {
    let line = line.trim();
    let end = paragraph.trim_end().len();
    paragraph.truncate(end);
    if line.is_empty() || paragraph.is_empty() {
        paragraph.push_str(line);
        return;
    }
    let mut last = paragraph.chars().rev();
    match (last.next(), last.next()) {
        (Some('\u{ad}'), _) => drop(paragraph.pop()),
        (Some('-' | '\u{2010}'), Some(before)) if before.is_alphanumeric() => {
            let word = line.split(|character: char| !character.is_alphabetic()).next().unwrap_or_default();
            if AFTER_SUSPENDED.contains(&word) {
                paragraph.push(' ');
            } else if before.is_alphabetic() && line.starts_with(char::is_lowercase) {
                paragraph.pop();
            }
        }
        (Some(last), _) if is_full_width(last) && line.starts_with(is_full_width) => {}
        _ => paragraph.push(' '),
    }
    paragraph.push_str(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_lines_become_one() {
        for (lines, paragraph) in [
            (&["Die Kinder  spielen", "im Schnee."][..], "Die Kinder  spielen im Schnee."),
            (&["  Eingerückt ", "\tund weiter.  "], "Eingerückt und weiter."),
            (&["Die Versi-", "cherung zahlt."], "Die Versicherung zahlt."),
            (&["Die Versi\u{ad}", "cherung zahlt."], "Die Versicherung zahlt."),
            (&["Die Ver\u{2010}", "si\u{2010}", "che-", "rung"], "Die Versicherung"),
            (&["Vor-", "und Nachteile"], "Vor- und Nachteile"),
            (&["Das Goethe-", "Institut"], "Das Goethe-Institut"),
            (&["Er kam -", "und ging."], "Er kam - und ging."),
            (&["Seiten 3-", "7"], "Seiten 3-7"),
            (&["今日は", "晴れ。"], "今日は晴れ。"),
            (&["", "a"], "a"),
        ] {
            let mut joined = String::new();
            lines.iter().for_each(|line| append_line(&mut joined, line));
            assert_eq!(joined, paragraph);
        }
    }
}
