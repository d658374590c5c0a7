//! Characters with a backslash, as Java, JavaScript and Objective-C write them.

/// A character by the numbers of its UTF-16: `prefix` is `\u` or `\U`.
pub(super) fn numbered(prefix: &str, c: char) -> String {
    let mut units = [0; 2];
    c.encode_utf16(&mut units).iter().map(|unit| format!("{prefix}{unit:04x}")).collect()
}

/// What a text with escapes says. Numbers of UTF-16 stand after one of `prefixes`; `named` says what any other character after
/// a backslash stands for, and may take more of the rest.
pub(super) fn resolved(text: &str, prefixes: &[&str], named: impl Fn(char, &mut &str) -> Option<char>) -> String {
    let mut said = String::with_capacity(text.len());
    // Two of them can be one character.
    let mut units: Vec<u16> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let number = prefixes.iter().find_map(|prefix| rest.strip_prefix(prefix)?.get(..4));
        if let Some(unit) = number.and_then(|number| u16::from_str_radix(number, 16).ok()) {
            units.push(unit);
            rest = &rest[6..];
            continue;
        }
        said.push_str(&String::from_utf16_lossy(&std::mem::take(&mut units)));
        rest = &rest[c.len_utf8()..];
        match rest.chars().next().filter(|_| c == '\\') {
            Some(escaped) => {
                rest = &rest[escaped.len_utf8()..];
                said.extend(named(escaped, &mut rest));
            }
            None => said.push(c),
        }
    }
    said + &String::from_utf16_lossy(&units)
}

/// The line ends and tabs that all of them name alike; other characters stand for themselves.
pub(super) fn common(c: char) -> char {
    match c {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        c => c,
    }
}
