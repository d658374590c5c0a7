//! What a message holds besides words: placeholders of programs, tags and entities that are written as text.

/// Bytes of a placeholder that is looked for, and of a choice between several texts.
const LONGEST: usize = 200;
const LONGEST_CHOICE: usize = 5_000;

/// A tag of HTML in a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tag<'t> {
    pub(super) length: usize,
    pub(super) name: &'t str,
    pub(super) kind: TagKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TagKind {
    Open,
    Close,
    Alone,
}

/// The bytes of a placeholder of Qt, `%1`, `%L12`, `%n`.
pub(super) fn qt_placeholder(rest: &str) -> Option<usize> {
    let name = rest.strip_prefix('%')?;
    let name = name.strip_prefix('L').unwrap_or(name);
    let before = rest.len() - name.len();
    let digits = name.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let is_counted = name[digits..].starts_with('$');
    let length = if name.starts_with('n') { 1 } else { digits };
    (length > 0 && !is_counted).then_some(before + length)
}

/// The bytes of the placeholder that `rest` begins with; `before` is the character before it.
pub(super) fn placeholder(rest: &str, before: Option<char>) -> Option<usize> {
    match rest.as_bytes().first()? {
        b'%' => percent(rest, before),
        b'{' => braces(rest),
        b'$' | b'#' if rest[1..].starts_with('{') => Some(1 + braces(&rest[1..])?),
        b'$' if rest[1..].starts_with('(') => Some(2 + enclosed(&rest[2..], ')')?),
        _ => None,
    }
}

/// At most so many bytes of a text.
fn start(text: &str, length: usize) -> &str {
    let length = (0..=length.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..length.unwrap_or(0)]
}

/// The bytes of a name and the character that ends it.
fn enclosed(rest: &str, end: char) -> Option<usize> {
    let length = start(rest, LONGEST).find(end)?;
    let is_name = length > 0 && rest[..length].chars().all(|c| c.is_alphanumeric() || "_.-".contains(c));
    is_name.then_some(length + 1)
}

/// `%s`, `%1$d`, `%.2f`, `%@`, `%1`, `%L1`, `%n`, `%(name)s`, `%{name}`, `%name%`, `%%`.
fn percent(rest: &str, before: Option<char>) -> Option<usize> {
    let bytes = &rest.as_bytes()[1..];
    match bytes.first()? {
        b'%' => return Some(2),
        b'{' => return Some(1 + braces(&rest[1..])?),
        b'(' => {
            let length = 2 + enclosed(&rest[2..], ')')?;
            return rest[length..].starts_with(|c: char| c.is_ascii_alphabetic()).then_some(length + 1);
        }
        _ => {}
    }
    let digits = |at: usize| bytes[at.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = 0;
    let mut is_plain = true;
    if digits(0) > 0 && bytes.get(digits(0)) == Some(&b'$') {
        at = digits(0) + 1;
        is_plain = false;
    }
    let first = at;
    at += bytes[at..].iter().take_while(|byte| b"-+#0'".contains(byte)).count();
    at += if bytes.get(at) == Some(&b'*') { 1 } else { digits(at) };
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        at += if bytes.get(at) == Some(&b'*') { 1 } else { digits(at) };
    }
    is_plain &= at == first;
    at += bytes[at.min(bytes.len())..].iter().take(2).take_while(|byte| b"hlLqjzt".contains(byte)).count();
    let is_conversion = bytes.get(at).is_some_and(|byte| b"diouxXeEfFgGaAcsSpn@C".contains(byte));
    let word = start(&rest[1..], LONGEST).find('%').filter(|length| *length > 2 && *length != at + 1);
    if let Some(length) =
        word.filter(|length| rest[1..=*length].chars().all(|c| c.is_alphanumeric() || "_.-".contains(c)))
    {
        return Some(length + 2);
    }
    if is_conversion {
        // Per cent: 50%ige.
        let goes_on = rest[at + 2..].starts_with(char::is_alphabetic);
        return (!is_plain || !goes_on || !before.is_some_and(char::is_numeric)).then_some(at + 2);
    }
    // Qt's: a number of one or two digits.
    let local = usize::from(bytes.first() == Some(&b'L'));
    (digits(local) > 0).then(|| 1 + local + digits(local).min(2))
}

/// `{0}`, `{name}`, `{{name}}`, `{name, number}`, `{}`, and a whole `{count, plural, …}`.
fn braces(rest: &str) -> Option<usize> {
    if rest.starts_with("{{") {
        return start(rest, LONGEST).find("}}").map(|at| at + 2);
    }
    let at = 1 + start(&rest[1..], LONGEST).find(['{', '}'])?;
    let content = rest[1..at].trim();
    if rest[at..].starts_with('{') {
        let kind = content.split(',').nth(1)?.trim();
        if !["plural", "select", "selectordinal"].contains(&kind) {
            return None;
        }
        let mut depth = 0;
        for (at, byte) in start(rest, LONGEST_CHOICE).bytes().enumerate() {
            depth += i32::from(byte == b'{') - i32::from(byte == b'}');
            if depth == 0 {
                return Some(at + 1);
            }
        }
        return None;
    }
    let name = content.split([',', ':', '|']).next()?;
    let is_name = name.chars().all(|c| c.is_alphanumeric() || "_.-$@#[]()".contains(c));
    is_name.then_some(at + 1)
}

/// The tag that `rest` begins with.
pub(super) fn tag(rest: &str) -> Option<Tag<'_>> {
    let inside = rest.strip_prefix('<')?;
    let name = inside.strip_prefix('/').unwrap_or(inside);
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let length = name.find(|c: char| !(c.is_ascii_alphanumeric() || ":-".contains(c)))?;
    if !name[length..].starts_with(|c: char| c == '>' || c == '/' || c.is_ascii_whitespace()) {
        return None;
    }
    let end = 1 + start(&rest[1..], 10 * LONGEST).find(['<', '>'])?;
    if !rest[end..].starts_with('>') {
        return None;
    }
    let name = &name[..length];
    let is_void = ["br", "img", "hr", "input", "wbr"].contains(&name);
    let kind = match inside.starts_with('/') {
        true => TagKind::Close,
        false if is_void || rest[..end].ends_with('/') => TagKind::Alone,
        false => TagKind::Open,
    };
    Some(Tag { length: end + 1, name, kind })
}

/// Tags within lines and around paragraphs, of HTML and of Android.
const LINE_TAGS: [&str; 37] = [
    "a",
    "abbr",
    "annotation",
    "b",
    "bdi",
    "bdo",
    "big",
    "br",
    "center",
    "cite",
    "code",
    "del",
    "em",
    "font",
    "i",
    "img",
    "input",
    "ins",
    "kbd",
    "label",
    "mark",
    "nobr",
    "pre",
    "q",
    "s",
    "samp",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "tt",
    "u",
    "var",
    "wbr",
    "style",
];
const BLOCK_TAGS: [&str; 23] = [
    "p",
    "div",
    "li",
    "ul",
    "ol",
    "dl",
    "dt",
    "dd",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "table",
    "tr",
    "td",
    "th",
    "html",
    "head",
    "body",
    "blockquote",
    "hr",
];

/// Whether a tag (its name in lower case) is one of a line.
pub(super) fn is_line_tag(name: &str) -> bool {
    LINE_TAGS.contains(&name)
}

/// Whether a paragraph ends at a tag.
pub(super) fn is_block_tag(name: &str) -> bool {
    BLOCK_TAGS.contains(&name)
}

/// The bytes of the entity that `rest` begins with, and the character that it stands for if that is known.
pub(super) fn entity(rest: &str) -> Option<(usize, Option<char>)> {
    let name = rest.strip_prefix('&')?;
    let length = start(name, 32).find(';').filter(|length| *length > 1)?;
    let name = &name[..length];
    if let Some(number) = name.strip_prefix('#') {
        let number = match number.strip_prefix(['x', 'X']) {
            Some(number) => u32::from_str_radix(number, 16),
            None => number.parse(),
        };
        return Some((length + 2, Some(char::from_u32(number.ok()?).filter(|c| !c.is_control())?)));
    }
    let named = [
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("nbsp", '\u{a0}'),
        ("auml", 'ä'),
        ("ouml", 'ö'),
        ("uuml", 'ü'),
        ("Auml", 'Ä'),
        ("Ouml", 'Ö'),
        ("Uuml", 'Ü'),
        ("szlig", 'ß'),
        ("eacute", 'é'),
        ("egrave", 'è'),
        ("agrave", 'à'),
        ("hellip", '…'),
        ("ndash", '–'),
        ("mdash", '—'),
    ];
    let character = named.iter().find(|(known, _)| *known == name).map(|(_, character)| *character);
    name.chars().all(|c| c.is_ascii_alphanumeric()).then_some((length + 2, character))
}

/// The letter before which a text has its `&`, if it has one in the manner of menus.
pub(super) fn accelerator(text: &str) -> Option<char> {
    let at = text.find('&').filter(|at| !text[at + 1..].contains('&') && entity(&text[*at..]).is_none())?;
    let letter = text[at + 1..].chars().next().filter(|c| c.is_alphanumeric())?;
    // R&D is none.
    let is_name = letter.is_uppercase() && text[..at].ends_with(char::is_alphanumeric);
    (!is_name).then_some(letter)
}

/// Where an accelerator goes in a translation: to its letter at the beginning of a word, to its letter, to the first letter.
pub(super) fn accelerator_place(text: &str, letter: char) -> Option<usize> {
    let is_same = |c: char| c.to_lowercase().eq(letter.to_lowercase());
    let mut before = ' ';
    let mut begins = None;
    for (at, character) in text.char_indices() {
        if is_same(character) && !before.is_alphanumeric() {
            begins = Some(at);
            break;
        }
        before = character;
    }
    begins.or_else(|| text.find(is_same)).or_else(|| text.find(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found() {
        for whole in [
            "%s",
            "%1$s",
            "%.2f",
            "%-5d",
            "%ld",
            "%lld",
            "%@",
            "%2$@",
            "%1",
            "%L1",
            "%n",
            "%Ln",
            "%(name)s",
            "%{name}",
            "%count%",
            "%%",
            "{0}",
            "{}",
            "{name}",
            "{{ name }}",
            "{n, number}",
            "{0:N2}",
            "${x}",
            "#{x}",
            "$(x)",
            "{n, plural, one {# Tag} other {# Tage}}",
        ] {
            assert_eq!(placeholder(&format!("{whole} x"), None), Some(whole.len()), "{whole}");
        }
        assert_eq!(
            (qt_placeholder("%1dB"), qt_placeholder("%L10%"), qt_placeholder("%n")),
            (Some(2), Some(4), Some(2))
        );
        assert_eq!((qt_placeholder("%1$s"), qt_placeholder("%s")), (None, None));
        for none in ["% s", "{siehe oben}", "{", "%", "$5", "%ä", "{a {b} c}", "%("] {
            assert_eq!(placeholder(none, None), None, "{none}");
        }
        assert_eq!(placeholder("%ige Lösung", Some('0')), None);
        assert_eq!(placeholder("%s%d", None), Some(2));
        assert_eq!(placeholder("%lld%s", None), Some(4));
    }

    #[test]
    fn tags_and_entities_are_found() {
        assert_eq!(tag("<b>x"), Some(Tag { length: 3, name: "b", kind: TagKind::Open }));
        assert_eq!(tag("</b >"), Some(Tag { length: 5, name: "b", kind: TagKind::Close }));
        assert_eq!(tag("<br/>").map(|tag| tag.kind), Some(TagKind::Alone));
        assert_eq!((tag("<max@example.org>"), tag("< b"), tag("<b <i>"), tag("<b")), (None, None, None, None));
        assert_eq!(
            (entity("&auml;"), entity("&#228;x"), entity("&foo;"), entity("& x;")),
            (Some((6, Some('ä'))), Some((6, Some('ä'))), Some((5, None)), None)
        );
    }

    #[test]
    fn accelerators_go_to_their_letter() {
        assert_eq!(
            (accelerator("&Datei"), accelerator("R&D"), accelerator("Be&arbeiten")),
            (Some('D'), None, Some('a'))
        );
        assert_eq!((accelerator("A && B"), accelerator("&amp;"), accelerator("A & B")), (None, None, None));
        let place = |text: &str, letter| accelerator_place(text, letter);
        assert_eq!((place("Undo", 'd'), place("Old data", 'D'), place("File", 'D')), (Some(2), Some(4), Some(0)));
    }
}
