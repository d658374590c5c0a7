//! XML as tokens with their places in the source, so that a few of them can be replaced and all others stay as they are.

pub(crate) mod inline;
pub(crate) mod patch;

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::Encoding;
use super::source::Source;
use crate::{Error, Result};

/// A file of XML.
pub(crate) struct Xml {
    bytes: Vec<u8>,
    encoding: Encoding,
    /// The file, decoded; all places are in it.
    pub(crate) text: String,
    /// They follow each other without gaps.
    pub(crate) tokens: Vec<Token>,
    /// Where lines end.
    line_ends: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Start,
    End,
    /// An element without content, `<a/>`.
    Empty,
    Text,
    CData,
    /// `&amp;`, `&#228;`, `&name;`.
    Reference,
    Comment,
    /// A declaration, a document type, a processing instruction.
    Other,
}

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
    /// The end tag of a start tag and the reverse; of others the token itself.
    pub(crate) pair: usize,
}

/// An attribute of a tag.
pub(crate) struct Attribute<'x> {
    pub(crate) name: &'x str,
    /// Its value without the quotation marks.
    pub(crate) range: Range<usize>,
    source: &'x str,
}

impl Attribute<'_> {
    /// Its value, with references resolved.
    pub(crate) fn value(&self) -> Cow<'_, str> {
        let source = &self.source[self.range.clone()];
        if source.contains('&') { quick_xml::escape::unescape(source).unwrap_or(source.into()) } else { source.into() }
    }
}

impl Xml {
    /// Takes a file apart.
    ///
    /// # Errors
    /// In which line it is not well-formed.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        let (encoding, text) = decode(bytes)?;
        let line_ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
        let mut xml = Self { bytes: bytes.to_owned(), encoding, text: String::new(), tokens: Vec::new(), line_ends };
        xml.tokens = xml.scan(&text)?;
        xml.text = text;
        Ok(xml)
    }

    fn scan(&self, text: &str) -> Result<Vec<Token>> {
        let mut reader = Reader::from_str(text);
        let (mut tokens, mut open, mut from) = (Vec::<Token>::new(), Vec::new(), 0);
        let wrong = |at: usize, problem: &str| {
            // It quotes names, in which there may be line ends.
            let problem: String =
                problem.trim_end_matches('.').chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            Error::Text(format!("line {}: this is not well-formed XML ({problem}); mend it there", self.line(at)))
        };
        loop {
            let event = reader.read_event();
            let event = event.map_err(|error| wrong(reader.error_position() as usize, &error.to_string()))?;
            let to = reader.buffer_position() as usize;
            let mut pair = tokens.len();
            let kind = match event {
                Event::Start(tag) | Event::Empty(tag) if !has_attributes(tag.attributes_raw()) => {
                    return Err(wrong(from, "an attribute that is not name=\"value\""));
                }
                Event::Start(_) => {
                    open.push(tokens.len());
                    Kind::Start
                }
                Event::End(_) => {
                    pair = open.pop().ok_or_else(|| wrong(from, "an end tag without a start tag"))?;
                    tokens[pair].pair = tokens.len();
                    Kind::End
                }
                Event::Empty(_) => Kind::Empty,
                Event::Text(_) => Kind::Text,
                Event::CData(_) => Kind::CData,
                Event::GeneralRef(_) => Kind::Reference,
                Event::Comment(_) => Kind::Comment,
                Event::Decl(_) | Event::PI(_) | Event::DocType(_) => Kind::Other,
                Event::Eof => break,
            };
            tokens.push(Token { kind, range: from..to, pair });
            from = to;
        }
        match open.last() {
            None => Ok(tokens),
            Some(start) => Err(wrong(tokens[*start].range.start, "an element that does not end")),
        }
    }

    /// The line of a place, counted from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.line_ends.partition_point(|end| *end < at) + 1
    }

    /// The name of a tag, without its prefix.
    pub(crate) fn local(&self, token: usize) -> &str {
        local(self.name(token))
    }

    /// The name of a tag with its prefix.
    pub(crate) fn name(&self, token: usize) -> &str {
        let source = self.source(token).trim_start_matches('<').trim_start_matches('/');
        &source[..source.find(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>').unwrap_or(source.len())]
    }

    /// Whether a token begins an element, with or without content, of this name without prefix.
    pub(crate) fn begins(&self, token: usize, name: &str) -> bool {
        matches!(self.tokens[token].kind, Kind::Start | Kind::Empty) && self.local(token) == name
    }

    /// A token as it is written.
    pub(crate) fn source(&self, token: usize) -> &str {
        &self.text[self.tokens[token].range.clone()]
    }

    /// What an element that begins here contains, tags left out.
    pub(crate) fn content(&self, token: usize) -> Range<usize> {
        let (start, end) = (&self.tokens[token], &self.tokens[self.tokens[token].pair]);
        start.range.end..end.range.start.max(start.range.end)
    }

    /// The place of a whole element.
    pub(crate) fn element(&self, token: usize) -> Range<usize> {
        self.tokens[token].range.start..self.tokens[self.tokens[token].pair].range.end
    }

    /// The tokens between the tags of an element.
    pub(crate) fn inside(&self, token: usize) -> Range<usize> {
        token + 1..self.tokens[token].pair.max(token + 1)
    }

    /// The elements directly in a range of tokens, as their first tokens.
    pub(crate) fn children(&self, tokens: Range<usize>) -> impl Iterator<Item = usize> + '_ {
        let mut at = tokens.start;
        std::iter::from_fn(move || {
            while at < tokens.end {
                let token = at;
                at = self.tokens[token].pair.max(token) + 1;
                if matches!(self.tokens[token].kind, Kind::Start | Kind::Empty) {
                    return Some(token);
                }
            }
            None
        })
    }

    /// The first element of this name directly in another.
    pub(crate) fn child(&self, token: usize, name: &str) -> Option<usize> {
        self.children(self.inside(token)).find(|child| self.local(*child) == name)
    }

    /// The attributes of a tag, as far as they are well-formed.
    pub(crate) fn attributes(&self, token: usize) -> impl Iterator<Item = Attribute<'_>> {
        let end = self.tokens[token].range.end;
        let mut at = self.tokens[token].range.start + 1 + self.name(token).len();
        std::iter::from_fn(move || {
            let rest = &self.text[at..end];
            let name_at = at + rest.find(|c: char| !c.is_ascii_whitespace())?;
            let equals = name_at + self.text[name_at..end].find('=')?;
            let value = equals + 1 + self.text[equals + 1..end].find(['"', '\''])?;
            let quote = char::from(self.text.as_bytes()[value]);
            let range = value + 1..value + 1 + self.text[value + 1..end].find(quote)?;
            at = range.end + 1;
            Some(Attribute { name: self.text[name_at..equals].trim_end(), range, source: &self.text })
        })
    }

    /// The attribute of this name, with or without a prefix.
    pub(crate) fn attribute(&self, token: usize, name: &str) -> Option<Attribute<'_>> {
        self.attributes(token).find(|attribute| attribute.name == name || local(attribute.name) == name)
    }

    /// The value of an attribute.
    pub(crate) fn value(&self, token: usize, name: &str) -> Option<String> {
        self.attribute(token, name).map(|attribute| attribute.value().into_owned())
    }

    /// What a token of character data says, with references resolved and line ends as `\n`; `None` for tags, comments and for
    /// references whose meaning only the document type tells.
    pub(crate) fn data(&self, token: usize) -> Option<Cow<'_, str>> {
        let source = self.source(token);
        let data = match self.tokens[token].kind {
            Kind::Text => source,
            Kind::CData => source.strip_prefix("<![CDATA[")?.strip_suffix("]]>")?,
            Kind::Reference => return quick_xml::escape::unescape(source).ok(),
            _ => return None,
        };
        Some(if data.contains('\r') { data.replace("\r\n", "\n").replace('\r', "\n").into() } else { data.into() })
    }

    /// The character data in a range of tokens.
    pub(crate) fn all_data(&self, tokens: Range<usize>) -> String {
        tokens.filter_map(|token| self.data(token)).collect()
    }

    /// The white space between a token and what is before it, from the last end of a line on; empty if they touch.
    pub(crate) fn indentation(&self, token: usize) -> &str {
        let Some(before) = token.checked_sub(1).filter(|before| self.tokens[*before].kind == Kind::Text) else {
            return "";
        };
        let space = self.source(before);
        let space = &space[space.trim_end().len()..];
        &space[space.rfind('\n').unwrap_or(0)..]
    }

    /// Text for a section of CDATA, which is not begun or ended here.
    pub(crate) fn cdata(&self, text: &str) -> String {
        let text = text.replace("]]>", "]]]]><![CDATA[>");
        if self.encoding.has(&text) {
            return text.chars().map(allowed).collect();
        }
        let mut buffer = [0; 4];
        let character = |c: char| match self.encoding.has(c.encode_utf8(&mut buffer)) {
            true => allowed(c).to_string(),
            false => format!("]]>&#{};<![CDATA[", u32::from(c)),
        };
        text.chars().map(character).collect()
    }

    /// The file with some ranges replaced, in order; characters that its encoding lacks become references.
    pub(crate) fn write(&self, edits: Vec<(Range<usize>, String)>) -> Vec<u8> {
        if edits.is_empty() {
            return self.bytes.clone();
        }
        let is_crlf = self.line_ends.first().is_some_and(|end| self.text[..*end].ends_with('\r'));
        let edits = edits.into_iter().map(|(range, text)| match is_crlf {
            true => (range, text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes()),
            false => (range, text.into_bytes()),
        });
        let written = super::replace(self.text.as_bytes(), edits);
        let written = String::from_utf8(written).expect("ranges lie between characters");
        self.encoding.encode(&written, |c| format!("&#{};", u32::from(c)))
    }
}

/// Whether what stands behind the name of a tag is a list of attributes.
fn has_attributes(mut rest: &str) -> bool {
    loop {
        let trimmed = rest.trim_ascii_start();
        if trimmed.is_empty() {
            return true;
        }
        let Some((name, value)) = trimmed.split_once('=').filter(|_| trimmed.len() < rest.len()) else { return false };
        let value = value.trim_ascii_start();
        let Some(quote) = value.chars().next().filter(|c| ['"', '\''].contains(c)) else { return false };
        let name = name.trim_ascii_end();
        if name.is_empty() || name.contains(|c: char| c.is_ascii_whitespace() || "\"'<>/&".contains(c)) {
            return false;
        }
        let Some(end) = value[1..].find(quote) else { return false };
        rest = &value[end + 2..];
    }
}

/// Decodes a file by its byte order mark or its declaration.
///
/// # Errors
/// If it has bytes that its encoding does not have, which could not be written again.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Encoding, String)> {
    if bytes.starts_with(b"<\0") || bytes.starts_with(b"\0<") {
        return Err(Error::Text("line 1: UTF-16 without a byte order mark; save it with one, or as UTF-8".to_owned()));
    }
    let source = Source::read(bytes, declared_encoding(bytes))?;
    Ok((source.encoding, source.text))
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// The encoding that the declaration names.
fn declared_encoding(bytes: &[u8]) -> Option<&str> {
    let start = &bytes[..bytes.len().min(200)];
    let end = start.windows(2).position(|pair| pair == b"?>")?;
    let declaration = std::str::from_utf8(&start[..end]).ok()?;
    let (_, rest) = declaration.trim_start().strip_prefix("<?xml")?.split_once("encoding")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|c| ['"', '\''].contains(c))?;
    rest[1..].split(quote).next()
}

/// A character that XML may hold: others become U+FFFD.
fn allowed(character: char) -> char {
    match character {
        '\t' | '\n' | '\r' => character,
        c if c < ' ' || ['\u{fffe}', '\u{ffff}'].contains(&c) => '\u{fffd}',
        c => c,
    }
}

/// Text as character data.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\r' => escaped.push_str("&#13;"),
            other => escaped.push(allowed(other)),
        }
    }
    escaped
}

/// Text as the value of an attribute.
pub(crate) fn escape_attribute(text: &str) -> String {
    escape(text).replace('"', "&quot;").replace('\'', "&apos;").replace('\n', "&#10;").replace('\t', "&#9;")
}

/// The name, without prefix, of the outermost element of a file that begins with these bytes.
pub(crate) fn root(start: &[u8]) -> Option<String> {
    // An encoding of which only the beginning is here may end within a character.
    let (_, text) = Encoding::decode(start, declared_encoding(start));
    let mut reader = Reader::from_str(&text);
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) | Event::Empty(tag) => return Some(local(tag.name().as_ref()).to_owned()),
            Event::Text(text) if !text.trim_ascii().is_empty() => return None,
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_follow_each_other_without_gaps() {
        let source = "\u{feff}<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]>\r\n<a x = \"1 &lt; 2\" y:z='\"'>\
            t&amp;&#228;&b;<![CDATA[<&]]><!-- > --><e/></a>\n<?p ?>\n";
        let xml = Xml::read(source.as_bytes()).unwrap();
        assert_eq!(xml.tokens.iter().map(|token| &xml.text[token.range.clone()]).collect::<String>(), source[3..]);
        let tag = xml.tokens.iter().position(|token| token.kind == Kind::Start).unwrap();
        assert_eq!((xml.value(tag, "x"), xml.value(tag, "z")), (Some("1 < 2".to_owned()), Some("\"".to_owned())));
        assert_eq!((xml.all_data(xml.inside(tag)).as_str(), xml.line(xml.tokens[tag].range.start)), ("t&ä<&", 2));
        assert_eq!(xml.write(Vec::new()), source.as_bytes());
    }

    #[test]
    fn what_is_not_well_formed_names_its_line() {
        for source in [
            "<a>\n<b></a>",
            "<a>\n<b>",
            "<a/>\n</a>",
            "<a>\n&lt</a>",
            "<a>\n<!-- </a>",
            "<a\n b=\"\"\"c\"/>",
            "<a b/>",
            "<a b=1/>",
        ] {
            let error = Xml::read(source.as_bytes()).err().expect(source).to_string();
            assert!(error.starts_with("line ") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_file_keeps_the_encoding_that_it_declares() {
        let latin: Vec<u8> = b"<?xml version=\"1.0\" encoding='iso-8859-1'?><a>ASCII</a>".to_vec();
        let xml = Xml::read(&latin).unwrap();
        let at = xml.text.find("ASCII").unwrap();
        assert!(xml.write(vec![(at..at + 5, "ä→".to_owned())]).ends_with(b"<a>\xe4&#8594;</a>"));
        assert_eq!(xml.cdata("ä→"), "ä]]>&#8594;<![CDATA[");
    }
}
