//! TMX, a translation memory: units without the target language get a variant in it.

use super::message::Message;
use super::xliff::element;
use super::{fill, open};
use crate::Result;
use crate::documents::xml::inline::{Code, Space};
use crate::documents::xml::patch::{Chunk, Patched};
use crate::documents::xml::{Xml, escape_attribute, root};
use crate::documents::{Document, Format, Options};

/// TMX.
pub(crate) struct Tmx;

impl Format for Tmx {
    fn name(&self) -> &'static str {
        "tmx"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["tmx"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        root(start).is_some_and(|root| root == "tmx")
    }

    fn read(&self, bytes: &[u8], options: &Options) -> Result<Box<dyn Document>> {
        let (mut patch, root) = open(bytes, "tmx", "TMX")?;
        let mut notes = Vec::new();
        let Some(target) = &options.target_language else {
            notes.push("the target language is not known, so nothing is translated; --to says it".to_owned());
            return Ok(Box::new(Patched { patch, notes }));
        };
        let units: Vec<usize> = match root {
            Some(root) => (root..patch.xml.tokens[root].pair).filter(|token| patch.xml.begins(*token, "tu")).collect(),
            None => Vec::new(),
        };
        let header = root.and_then(|root| patch.xml.child(root, "header"));
        let declared = header.and_then(|header| patch.xml.value(header, "srclang")).filter(|name| name != "*all*");
        let (mut kept, mut without_source) = (0, 0);
        for unit in units {
            let variants: Vec<(usize, String)> = {
                let xml = &patch.xml;
                let variants = xml.children(xml.inside(unit)).filter(|token| xml.local(*token) == "tuv");
                variants.map(|token| (token, language(xml, token))).collect()
            };
            let own = patch.xml.value(unit, "srclang").filter(|name| name != "*all*");
            let source = options.source_language.clone().or(own).or_else(|| declared.clone());
            let existing = variants.iter().find(|(_, name)| same_language(name, target)).map(|(token, _)| *token);
            let source = match &source {
                Some(source) => variants.iter().find(|(_, name)| same_language(name, source)),
                None => variants.first(),
            };
            let source = source.map(|(token, _)| *token).filter(|token| Some(*token) != existing);
            let existing = existing.and_then(|token| patch.xml.child(token, "seg"));
            let is_empty = existing.is_none_or(|seg| patch.xml.text[patch.xml.content(seg)].trim().is_empty());
            if !is_empty && !options.all {
                kept += 1;
                continue;
            }
            let Some((variant, seg)) = source.and_then(|token| Some((token, patch.xml.child(token, "seg")?))) else {
                without_source += 1;
                continue;
            };
            let from = patch.texts.len();
            let name = patch.xml.value(unit, "tuid");
            let tokens = patch.xml.inside(seg);
            let message = Message::of(&patch.xml, tokens.clone());
            let chunks = message.add(&mut patch, tokens, Space::Counts, name.as_deref(), &element);
            let place = match existing {
                Some(seg) => fill(&patch.xml, seg, chunks),
                None => added(&patch.xml, variant, seg, target, chunks),
            };
            patch.unit(from, vec![place]);
        }
        if kept > 0 {
            notes.push(format!(
                "units that have the target language already stay as they are: {kept} (--all translates them again)"
            ));
        }
        if without_source > 0 {
            notes.push(format!("units without a text in the source language stay as they are: {without_source}"));
        }
        Ok(Box::new(Patched { patch, notes }))
    }
}

fn language(xml: &Xml, variant: usize) -> String {
    xml.value(variant, "lang").unwrap_or_default()
}

/// A variant like `variant`, behind it, in another language.
fn added(
    xml: &Xml,
    variant: usize,
    seg: usize,
    language: &str,
    chunks: Vec<Chunk>,
) -> (std::ops::Range<usize>, Vec<Chunk>) {
    let end = xml.element(variant).end;
    let attribute = xml.attribute(variant, "lang").map_or("xml:lang", |attribute| attribute.name);
    let language = escape_attribute(language);
    let before = format!(
        "{}<{} {attribute}=\"{language}\">{}<{}>",
        xml.indentation(variant),
        xml.name(variant),
        xml.indentation(seg),
        xml.name(seg)
    );
    let mut made = vec![Chunk::made(before)];
    made.extend(chunks);
    let last = xml.tokens[variant].pair;
    made.push(Chunk::Code(Code::Made(format!(
        "</{}>{}</{}>",
        xml.name(seg),
        xml.indentation(last),
        xml.name(variant)
    ))));
    (end..end, made)
}

/// How names of languages are compared: `de-DE` and `de_AT` are German.
fn same_language(one: &str, other: &str) -> bool {
    let primary = |name: &str| name.split(['-', '_']).next().unwrap_or_default().to_lowercase();
    primary(one) == primary(other)
}
