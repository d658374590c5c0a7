//! Catalogues of messages in XML: XLIFF, TMX, Qt's TS, Android's strings.xml.

mod android;
mod message;
mod placeholder;
mod qt;
mod tmx;
mod xliff;

pub(super) use android::Android;
pub(super) use qt::Qt;
pub(super) use tmx::Tmx;
pub(super) use xliff::Xliff;

use std::ops::Range;

use super::xml::patch::{Chunk, Patch};
use super::xml::{Xml, escape_attribute};
use crate::{Error, Result};

/// The file with its outermost element, which has this name.
fn open(bytes: &[u8], name: &str, called: &str) -> Result<(Patch, Option<usize>)> {
    let xml = Xml::read(bytes)?;
    let root = xml.children(0..xml.tokens.len()).next();
    match root {
        Some(root) if xml.local(root) != name => {
            let (line, found) = (xml.line(xml.tokens[root].range.start), xml.local(root));
            Err(Error::Text(format!(
                "line {line}: <{found}> where {called} has <{name}>; --type says what kind of file it is"
            )))
        }
        // An empty file has no texts.
        None if !xml.text.trim().is_empty() => Err(Error::Text(format!("line 1: {called} without <{name}>"))),
        root => Ok((Patch::new(xml), root)),
    }
}

/// What makes an attribute of a tag this value, or takes it away.
fn set_attribute(xml: &Xml, token: usize, name: &str, value: Option<&str>) -> Option<(Range<usize>, String)> {
    let attribute = xml.attributes(token).find(|attribute| attribute.name == name);
    match (attribute, value) {
        (Some(attribute), Some(value)) if attribute.value() == value => None,
        (Some(attribute), Some(value)) => Some((attribute.range, escape_attribute(value))),
        (Some(attribute), None) => {
            let tag = xml.tokens[token].range.start;
            let before = xml.text[tag..attribute.range.start].rfind(name)?;
            let from = xml.text[..tag + before].trim_end().len();
            Some((from..attribute.range.end + 1, String::new()))
        }
        (None, None) => None,
        (None, Some(value)) => {
            let end = xml.tokens[token].range.end;
            let inside = xml.text[..end].trim_end_matches('>').trim_end_matches('/').trim_end().len();
            Some((inside..inside, format!(" {name}=\"{}\"", escape_attribute(value))))
        }
    }
}

/// An edit of an attribute as one of a unit.
fn edit((range, text): (Range<usize>, String)) -> (Range<usize>, Vec<Chunk>) {
    (range, vec![Chunk::made(text)])
}

/// Puts chunks in the place of an element's content. An element without content gets an end tag.
fn fill(xml: &Xml, token: usize, chunks: Vec<Chunk>) -> (Range<usize>, Vec<Chunk>) {
    if xml.tokens[token].pair != token {
        return (xml.content(token), chunks);
    }
    let range = xml.tokens[token].range.clone();
    let slash = xml.text[..range.end - 1].rfind('/').unwrap_or(range.end - 1);
    let from = xml.text[..slash].trim_end().len();
    let mut filled = vec![Chunk::made(">")];
    filled.extend(chunks);
    filled.push(Chunk::made(format!("</{}>", xml.name(token))));
    (from..range.end, filled)
}
