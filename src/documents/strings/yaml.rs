//! Catalogues in YAML, as Rails and many others have them.
//!
//! | value | written |
//! |---|---|
//! | `plain` | plain while that is safe, otherwise in quotation marks |
//! | `"double"`, `'single'` | in the same quotation marks |
//! | `\|` | line by line, with its indentation |
//! | `>` | wrapped at the width of its longest line |
//!
//! Comments, anchors, aliases, tags and keys stay. A file whose only root key is a language gets the target language there.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::super::source::Source;
use super::super::{Document, Format, Options};
use super::{Catalogue, guess};
use crate::{Error, Result};

/// YAML.
pub(in crate::documents) struct Yaml;

impl Format for Yaml {
    fn name(&self) -> &'static str {
        "yaml"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["yaml", "yml"]
    }

    fn recognises(&self, _start: &[u8]) -> bool {
        false
    }

    fn read(&self, bytes: &[u8], options: &Options) -> Result<Box<dyn Document>> {
        let source = Source::read(bytes, None)?;
        let text = source.text.clone();
        let mut catalogue = Catalogue::new(source, None);
        let scalars = scalars(&text)?;
        // A root key that is a language, if there is no other.
        let mut roots = scalars.iter().filter(|scalar| scalar.path.is_empty() && scalar.is_key);
        if let (Some(root), None, Some(language)) = (roots.next(), roots.next(), &options.target_language)
            && is_language(&root.text)
            && scalars.iter().any(|scalar| scalar.path.len() > 1)
        {
            // YAML takes some languages for truth values.
            let plain = ["no", "on", "y", "n"].contains(&language.as_str()).then(|| format!("\"{language}\""));
            let range = match root.style {
                ScalarStyle::Plain => root.range.clone(),
                _ => root.range.start + 1..root.range.end - 1,
            };
            let name = plain.filter(|_| root.style == ScalarStyle::Plain).unwrap_or_else(|| language.clone());
            let line = catalogue.numbers.line(range.start);
            catalogue.notes.push(format!("line {line}: the key `{}` becomes `{language}`", root.text));
            catalogue.renamed.push((range, name));
        }
        for scalar in scalars.into_iter().filter(|scalar| !scalar.is_key) {
            let (name, style, line) = (scalar.path.join("."), scalar.style, catalogue.numbers.line(scalar.range.start));
            match style {
                ScalarStyle::Plain if is_no_text(&scalar.text) => {}
                ScalarStyle::Plain | ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                    let in_flow = scalar.in_flow;
                    let written = move |text: &str| write(text, style, in_flow);
                    catalogue.add(&name, scalar.range, scalar.text, guess(), Box::new(written));
                }
                ScalarStyle::Literal | ScalarStyle::Folded => {
                    match block(&text, scalar.range.start, &scalar.text, style) {
                        Some(block) => {
                            let Block { range, said, indent, width } = block;
                            let line_end = catalogue.line_end;
                            let written = move |text: &str| write_block(text, indent, width, line_end);
                            catalogue.add(&name, range, said, guess(), Box::new(written));
                        }
                        None => catalogue.note(line, "a block of text with an indentation of its own is left as it is"),
                    }
                }
            }
        }
        Ok(Box::new(catalogue))
    }
}

/// A scalar of the file.
struct Scalar {
    range: Range<usize>,
    text: String,
    style: ScalarStyle,
    is_key: bool,
    in_flow: bool,
    /// The keys above it, and its own if it is a value.
    path: Vec<String>,
}

/// What is open: a mapping with the key of the value that comes next, or a list with its place.
enum Open {
    Mapping { key: Option<String>, in_flow: bool },
    Sequence { place: usize, in_flow: bool },
}

fn scalars(text: &str) -> Result<Vec<Scalar>> {
    // Marks count characters.
    let bytes: Vec<usize> = match text.is_ascii() {
        true => Vec::new(),
        false => text.char_indices().map(|(at, _)| at).chain([text.len()]).collect(),
    };
    let byte = |index: usize| bytes.get(index).copied().unwrap_or(index).min(text.len());
    let (mut open, mut scalars): (Vec<Open>, Vec<Scalar>) = (Vec::new(), Vec::new());
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            Error::Text(format!("line {}: no valid YAML ({})", error.marker().line(), error.info()))
        })?;
        let range = byte(span.start.index())..byte(span.end.index()).max(byte(span.start.index()));
        let in_flow = |open: &[Open]| match open.last() {
            Some(Open::Mapping { in_flow, .. } | Open::Sequence { in_flow, .. }) => *in_flow,
            None => false,
        };
        match event {
            Event::MappingStart(..) => {
                let in_flow = in_flow(&open) || text[range].starts_with('{');
                open.push(Open::Mapping { key: None, in_flow });
                continue;
            }
            Event::SequenceStart(..) => {
                let in_flow = in_flow(&open) || text[range].starts_with('[');
                open.push(Open::Sequence { place: 0, in_flow });
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => drop(open.pop()),
            Event::Scalar(said, style, _, tag) => {
                let is_key = matches!(open.last(), Some(Open::Mapping { key: None, .. }));
                let is_text = tag.as_ref().is_none_or(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                if let Some(range) = exact(text, range, style).filter(|_| is_text || is_key) {
                    let path = open.iter().filter_map(|open| match open {
                        Open::Mapping { key, .. } => key.clone(),
                        Open::Sequence { place, .. } => Some(place.to_string()),
                    });
                    let (in_flow, path) = (in_flow(&open), path.collect());
                    scalars.push(Scalar { range, text: said.to_string(), style, is_key, in_flow, path });
                }
                if is_key {
                    if let Some(Open::Mapping { key, .. }) = open.last_mut() {
                        *key = Some(said.to_string());
                    }
                    continue;
                }
            }
            Event::Alias(_) => {}
            _ => continue,
        }
        // A value is complete.
        match open.last_mut() {
            // A mapping can be a key itself.
            Some(Open::Mapping { key, .. }) => *key = if key.is_some() { None } else { Some(String::new()) },
            Some(Open::Sequence { place, .. }) => *place += 1,
            None => {}
        }
    }
    Ok(scalars)
}

/// The bytes of a scalar without anchor, tag and what follows it; `None` if they are not what they should be.
fn exact(text: &str, range: Range<usize>, style: ScalarStyle) -> Option<Range<usize>> {
    let (mut start, mut end) = (range.start, range.end);
    while text[start..end].starts_with(['&', '!']) && style != ScalarStyle::Literal && style != ScalarStyle::Folded {
        let word = text[start..end].find(char::is_whitespace)?;
        let rest = text[start + word..end].trim_start();
        start = end - rest.len();
    }
    match style {
        ScalarStyle::Plain => {
            // White space of other kinds belongs to it.
            end = start + text[start..end].trim_end_matches([' ', '\t', '\n', '\r']).len();
            return (start < end).then_some(start..end);
        }
        ScalarStyle::Literal | ScalarStyle::Folded => return Some(start..end),
        _ => {}
    }
    let quote = if style == ScalarStyle::DoubleQuoted { b'"' } else { b'\'' };
    let bytes = text.as_bytes();
    if bytes.get(start) != Some(&quote) {
        return None;
    }
    let mut at = start + 1;
    loop {
        match *bytes.get(at)? {
            b'\\' if quote == b'"' => at += 2,
            b'\'' if quote == b'\'' && bytes.get(at + 1) == Some(&b'\'') => at += 2,
            byte if byte == quote => return Some(start..at + 1),
            _ => at += 1,
        }
    }
}

/// `de`, `pt-BR`, `zh_Hant`.
fn is_language(key: &str) -> bool {
    let mut parts = key.split(['-', '_']);
    let first = parts.next().unwrap_or("");
    (2..=3).contains(&first.len())
        && first.bytes().all(|byte| byte.is_ascii_lowercase())
        && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Whether a plain scalar is a truth value or nothing.
fn is_no_text(text: &str) -> bool {
    let names = ["true", "false", "yes", "no", "on", "off", "null", "y", "n", "~"];
    names.contains(&text.to_lowercase().as_str())
}

/// A scalar of one line.
fn write(text: &str, style: ScalarStyle, in_flow: bool) -> String {
    let has_controls = text.chars().any(char::is_control);
    match style {
        ScalarStyle::Plain if is_plain(text, in_flow) => text.to_owned(),
        ScalarStyle::SingleQuoted if !has_controls => format!("'{}'", text.replace('\'', "''")),
        _ => {
            let mut written = String::from("\"");
            for c in text.chars() {
                match c {
                    '"' => written.push_str("\\\""),
                    '\\' => written.push_str("\\\\"),
                    '\n' => written.push_str("\\n"),
                    '\t' => written.push_str("\\t"),
                    '\r' => written.push_str("\\r"),
                    '\u{2028}' | '\u{2029}' | '\u{85}' | '\u{feff}' => {
                        written.push_str(&format!("\\u{:04x}", u32::from(c)))
                    }
                    c if c.is_control() => written.push_str(&format!("\\x{:02x}", u32::from(c))),
                    c => written.push(c),
                }
            }
            written.push('"');
            written
        }
    }
}

/// Whether a text needs no quotation marks.
fn is_plain(text: &str, in_flow: bool) -> bool {
    let second = text.chars().nth(1).unwrap_or(' ');
    let begins_well = match text.chars().next() {
        Some('-' | '?' | ':') => {
            let is_sign = second.is_whitespace() || (in_flow && ",[]{}".contains(second));
            !is_sign && !text.starts_with("---")
        }
        Some(c) => !",[]{}#&*!|>'\"%@`.".contains(c),
        None => false,
    };
    begins_well
        && text.trim() == text
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with(':')
        && !text.chars().any(|c| c.is_control() || "\u{2028}\u{2029}\u{feff}".contains(c))
        && !(in_flow && text.contains([',', '[', ']', '{', '}']))
        && !(in_flow && text.contains(':'))
        && !is_no_text(text)
        && text.parse::<f64>().is_err()
        && text.contains(char::is_alphabetic)
}

/// A block of text: `|` or `>`.
struct Block {
    /// From its first character to the end of its last line.
    range: Range<usize>,
    said: String,
    indent: usize,
    /// For `>`, the columns of its longest line.
    width: Option<usize>,
}

/// The block whose first character is at `start`, if it says `said`.
fn block(text: &str, start: usize, said: &str, style: ScalarStyle) -> Option<Block> {
    let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let indent = start - begin;
    if !text[begin..start].bytes().all(|byte| byte == b' ') {
        return None;
    }
    let (mut lines, mut end, mut at) = (Vec::new(), start, begin);
    for line in text[begin..].split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let is_blank = content.trim_matches(' ').is_empty();
        if !is_blank && (content.len() < indent || content.as_bytes()[..indent].iter().any(|byte| *byte != b' ')) {
            break;
        }
        let content = content.get(indent..).unwrap_or("");
        lines.push(content);
        if !is_blank {
            end = at + indent + content.len();
        }
        at += line.len();
    }
    while lines.last().is_some_and(|line| line.trim_matches(' ').is_empty()) {
        lines.pop();
    }
    let same = |a: &str, b: &str| a.split_whitespace().eq(b.split_whitespace());
    let (found, width) = match style {
        ScalarStyle::Literal => (lines.join("\n"), None),
        _ => {
            let mut found = String::new();
            for (number, line) in lines.iter().enumerate() {
                // Lines of a paragraph are one line.
                let before = number.checked_sub(1).map_or("", |before| lines[before]);
                let goes_on = |line: &str| !line.is_empty() && !line.starts_with([' ', '\t']);
                if number > 0 {
                    found.push(if goes_on(before) && goes_on(line) { ' ' } else { '\n' });
                }
                found.push_str(line);
            }
            (found, lines.iter().map(|line| line.chars().count()).max())
        }
    };
    // `said` has the line ends of the block's own making.
    let is_same = match style {
        ScalarStyle::Literal => found.trim_end() == said.trim_end(),
        _ => same(&found, said),
    };
    (is_same && start < end).then_some(Block { range: start..end, said: found, indent, width })
}

/// A block without the indentation of its first line, which stands before it.
fn write_block(text: &str, indent: usize, width: Option<usize>, line_end: &str) -> String {
    let prefix = format!("{line_end}{}", " ".repeat(indent));
    let mut written = String::new();
    for (number, line) in text.split('\n').enumerate() {
        // The first line says how far all are indented.
        let line = if number == 0 || line.trim().is_empty() { line.trim_start() } else { line };
        if number > 0 {
            written.push_str(if line.is_empty() { line_end } else { &prefix });
        }
        let mut column = 0;
        for word in line.split_inclusive(' ') {
            let length = word.trim_end().chars().count();
            let fits = width.is_none_or(|width| column + length <= width.max(40));
            // Only a paragraph is wrapped, at single spaces.
            if column > 0 && !fits && !line.starts_with(' ') && length > 0 && !written.ends_with("  ") {
                written.truncate(written.trim_end_matches(' ').len());
                written.push_str(&prefix);
                column = 0;
            }
            written.push_str(word);
            column += word.chars().count();
        }
    }
    written
}
