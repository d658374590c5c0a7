//! OpenDocument: texts, sheets and presentations (ODT, ODS, ODP).

use std::collections::HashMap;

use super::archive::Archive;
use super::{Bundle, DEEPEST, Plain, SHEETS, begins_with_entry, too_deep, within};
use crate::documents::xml::inline::{Code, Inline, Item, Space, shown};
use crate::documents::xml::patch::{Chunk, Patch, Patched};
use crate::documents::xml::{Kind, Xml};
use crate::documents::{Document, Format, Options, Shown};
use crate::{Error, Result};

/// LibreOffice's kinds of documents.
pub(crate) struct OpenDocument;

impl Format for OpenDocument {
    fn name(&self) -> &'static str {
        "odt"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["odt", "ott", "ods", "ots", "odp", "otp"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        begins_with_entry(start, b"mimetypeapplication/vnd.oasis.opendocument.")
    }

    fn read(&self, bytes: &[u8], _: &Options) -> Result<Box<dyn Document>> {
        let archive = Archive::read(bytes)?;
        // A template may have styles only.
        if archive.find("content.xml").or_else(|| archive.find("styles.xml")).is_none() {
            return Err(Error::Text("the archive has no content.xml, so it is no OpenDocument".to_owned()));
        }
        refuse_encrypted(&archive)?;
        let mut bundle = Bundle::new(archive);
        for name in ["content.xml", "styles.xml"] {
            let Some(entry) = bundle.archive.find(name) else { continue };
            let xml = bundle.archive.content(entry).and_then(|content| Xml::read(&content));
            let mut patch = Patch::new(xml.map_err(|error| within(name, error))?);
            let mut notes: Vec<String> = too_deep(add_paragraphs(&mut patch)).into_iter().collect();
            if (0..patch.xml.tokens.len()).any(|token| patch.xml.begins(token, "spreadsheet")) {
                notes.push(SHEETS.to_owned());
            }
            bundle.add(entry, Box::new(Patched { patch, notes }));
        }
        if bundle.archive.find("META-INF/documentsignatures.xml").is_some() {
            bundle.notes.push("the document is signed, and the signature does not hold for a translation".to_owned());
        }
        Ok(Box::new(bundle))
    }
}

fn refuse_encrypted(archive: &Archive) -> Result<()> {
    let Some(entry) = archive.find("META-INF/manifest.xml") else { return Ok(()) };
    let manifest = archive.content(entry)?;
    let is_encrypted = manifest.windows(16).any(|window| window == b":encryption-data");
    match is_encrypted {
        true => Err(Error::Text("the document is protected by a password; save it without one".to_owned())),
        false => Ok(()),
    }
}

/// Adds all paragraphs of a part that are translated, and says how many lie too deep.
fn add_paragraphs(patch: &mut Patch) -> usize {
    let looks = looks(&patch.xml);
    let (mut around, mut too_deep): (Vec<usize>, usize) = (Vec::new(), 0);
    let mut token = 0;
    while token < patch.xml.tokens.len() {
        let xml = &patch.xml;
        let here = token;
        token += 1;
        if xml.tokens[here].kind != Kind::Start {
            continue;
        }
        match xml.name(here) {
            // What was deleted, and what an application made a cell's number of.
            "text:tracked-changes" => token = xml.tokens[here].pair,
            "table:table-cell" | "table:covered-table-cell" if !is_text(xml, here) => token = xml.tokens[here].pair,
            "text:p" | "text:h" => {
                while around.last().is_some_and(|outer| xml.tokens[*outer].pair < here) {
                    around.pop();
                }
                match around.len() < DEEPEST {
                    true => add_paragraph(patch, here, &looks),
                    false => too_deep += 1,
                }
                around.push(here);
            }
            _ => {}
        }
    }
    too_deep
}

/// Whether a cell holds a text of its own and no number, formula or value that is written twice.
fn is_text(xml: &Xml, cell: usize) -> bool {
    let mut attributes = xml.attributes(cell);
    !attributes.any(|attribute| match attribute.name {
        "office:value-type" => attribute.value() != "string",
        "table:formula" | "office:string-value" => true,
        _ => false,
    })
}

fn add_paragraph(patch: &mut Patch, paragraph: usize, looks: &HashMap<String, String>) {
    let xml = &patch.xml;
    let Some(inline) = Inline::new(items(xml, paragraph, looks), Space::Collapses) else { return };
    let (place, at) = (xml.content(paragraph), xml.tokens[paragraph].range.start);
    let text = patch.add(inline, Box::new(Plain), at, None);
    patch.unit(text, vec![(place, vec![Chunk::Text(text)])]);
}

/// What styles of characters look like, by their names; nothing where only the program's own notes of editing are in it.
fn looks(xml: &Xml) -> HashMap<String, String> {
    let mut looks = HashMap::new();
    for token in 0..xml.tokens.len() {
        if !xml.begins(token, "style") || xml.value(token, "style:family").as_deref() != Some("text") {
            continue;
        }
        let Some(name) = xml.value(token, "style:name") else { continue };
        let mut look = xml.value(token, "style:parent-style-name").unwrap_or_default();
        for child in xml.children(xml.inside(token)) {
            for attribute in xml.attributes(child).filter(|attribute| !attribute.name.ends_with("rsid")) {
                look.push_str(attribute.name);
                look.push_str(&xml.text[attribute.range.clone()]);
            }
            look.push_str(&xml.text[xml.content(child)]);
        }
        looks.insert(name, look);
    }
    looks
}

/// The pieces of a paragraph.
fn items(xml: &Xml, paragraph: usize, looks: &HashMap<String, String>) -> Vec<Item> {
    let inside = xml.inside(paragraph);
    let (mut items, mut at) = (Vec::new(), inside.start);
    // The looks of spans that are open; of other elements nothing.
    let mut open: Vec<Option<String>> = Vec::new();
    // The looks of spans that ended, and how many items there were then.
    let mut closed: Vec<(String, usize)> = Vec::new();
    let look = |token: usize| {
        let name = xml.value(token, "text:style-name").unwrap_or_default();
        looks.get(&name).cloned().unwrap_or(name)
    };
    let is_span = |token: usize| xml.tokens[token].kind == Kind::Start && xml.name(token) == "text:span";
    while at < inside.end {
        let token = at;
        at = xml.tokens[token].pair.max(token) + 1;
        if let Some(data) = xml.data(token) {
            items.push(Item::Text(data.into_owned()));
            continue;
        }
        let tag = Code::Source(xml.tokens[token].range.clone());
        if xml.tokens[token].kind == Kind::End {
            match open.pop().flatten() {
                Some(look) if look.is_empty() => {}
                look => {
                    items.push(Item::Close(tag));
                    closed.extend(look.map(|look| (look, items.len())));
                }
            }
            continue;
        }
        let whole = Code::Source(xml.element(token));
        let id = |name: &str| xml.value(token, name).unwrap_or_default();
        let content = || xml.all_data(xml.inside(token));
        items.push(match xml.name(token) {
            "text:span" if is_span(token) => {
                let look = look(token);
                at = token + 1;
                // What looks the same goes on.
                let goes_on = closed.pop_if(|closed| *closed == (look.clone(), items.len())).is_some();
                if goes_on {
                    items.pop();
                } else if !look.is_empty() {
                    closed.clear();
                    items.push(Item::Open(tag));
                }
                open.push(Some(look));
                continue;
            }
            "text:a" | "text:meta" if xml.tokens[token].kind == Kind::Start => {
                open.push(None);
                at = token + 1;
                Item::Open(tag)
            }
            "text:s" | "text:tab" | "text:line-break" => Item::Alone(whole, Shown::Space),
            // The program finds anew where pages end.
            "text:soft-page-break" => continue,
            "text:bookmark-start" | "text:reference-mark-start" => Item::Begin(id("text:name"), whole),
            "text:bookmark-end" | "text:reference-mark-end" => Item::End(id("text:name"), whole),
            "text:change-start" => Item::Begin(id("text:change-id"), whole),
            "text:change-end" => Item::End(id("text:change-id"), whole),
            "text:toc-mark-start" | "text:alphabetical-index-mark-start" | "text:user-index-mark-start" => {
                Item::Begin(id("text:id"), whole)
            }
            "text:toc-mark-end" | "text:alphabetical-index-mark-end" | "text:user-index-mark-end" => {
                Item::End(id("text:id"), whole)
            }
            "office:annotation" if !id("office:name").is_empty() => Item::Begin(id("office:name"), whole),
            "office:annotation-end" => Item::End(id("office:name"), whole),
            "text:hidden-text" | "text:hidden-paragraph" | "text:script" | "text:note" | "office:annotation" => {
                Item::Alone(whole, Shown::Nothing)
            }
            "text:ruby" => {
                let base = xml.child(token, "ruby-base").map(|base| xml.all_data(xml.inside(base)));
                Item::Alone(whole, shown(&base.unwrap_or_default()))
            }
            name if name.starts_with("text:") => Item::Alone(whole, shown(&content())),
            _ => Item::Alone(whole, Shown::Nothing),
        });
    }
    items
}
