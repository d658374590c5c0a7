//! Qt's TS files: translations that are missing or unfinished are written.

use super::message::{Element, Message};
use super::placeholder::accelerator;
use super::{edit, fill, open, set_attribute};
use crate::Result;
use crate::documents::xml::inline::Space;
use crate::documents::xml::patch::{Chunk, Patched};
use crate::documents::xml::root;
use crate::documents::{Document, Format, Options, Shown};

/// Qt Linguist's files.
pub(crate) struct Qt;

/// Languages that have one form for every number.
const ONE_FORM: [&str; 9] = ["ja", "zh", "ko", "vi", "th", "id", "ms", "tr", "hu"];
/// Languages that have three.
const THREE_FORMS: [&str; 11] = ["ru", "uk", "be", "pl", "cs", "sk", "hr", "sr", "bs", "lt", "ro"];

impl Format for Qt {
    fn name(&self) -> &'static str {
        "qt"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["ts"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        root(start).is_some_and(|root| root == "TS")
    }

    fn read(&self, bytes: &[u8], options: &Options) -> Result<Box<dyn Document>> {
        let (mut patch, root) = open(bytes, "TS", "a file of Qt Linguist")?;
        let Some(root) = root else { return Ok(Box::new(Patched { patch, notes: Vec::new() })) };
        if let Some(language) = &options.target_language {
            let is_missing = patch.xml.value(root, "language").is_none_or(|value| value.is_empty());
            let set = set_attribute(&patch.xml, root, "language", Some(&language.replace('-', "_")));
            patch.always.extend(set.filter(|_| is_missing));
        }
        let language = patch
            .xml
            .value(root, "language")
            .filter(|value| !value.is_empty())
            .or_else(|| options.target_language.clone());
        let forms = forms(language.as_deref().unwrap_or("en"));
        let (mut kept, mut context) = (0, String::new());
        for token in root + 1..patch.xml.tokens[root].pair {
            if patch.xml.begins(token, "context") {
                let name = patch.xml.child(token, "name");
                context = name.map(|name| patch.xml.all_data(patch.xml.inside(name))).unwrap_or_default();
            }
            if !patch.xml.begins(token, "message") {
                continue;
            }
            let xml = &patch.xml;
            let Some(source) = xml.child(token, "source") else { continue };
            let translation = xml.child(token, "translation");
            let kind = translation.and_then(|token| xml.value(token, "type")).unwrap_or_default();
            let is_empty = translation.is_none_or(|token| xml.all_data(xml.inside(token)).trim().is_empty());
            if ["vanished", "obsolete"].contains(&&kind[..]) {
                continue;
            }
            if kind != "unfinished" && !is_empty && !options.all {
                kept += 1;
                continue;
            }
            let from = patch.texts.len();
            let tokens = xml.inside(source);
            let mut message = Message::of(xml, tokens.clone());
            message.is_qt = true;
            message.accelerator = accelerator(&xml.all_data(tokens.clone()));
            let is_numerus = xml.value(token, "numerus").as_deref() == Some("yes");
            let name = xml.value(token, "id").or(Some(context.clone()).filter(|context| !context.is_empty()));
            let chunks = message.add(&mut patch, tokens, Space::Counts, name.as_deref(), &element);
            let xml = &patch.xml;
            let mut edits = Vec::new();
            let mut filled = chunks;
            if is_numerus {
                let existing = translation.map_or(0, |token| xml.children(xml.inside(token)).count());
                let indentation = xml.indentation(translation.unwrap_or(source));
                filled = numerus(&filled, if existing > 0 { existing } else { forms }, indentation);
            }
            match translation {
                Some(token) => {
                    let kind = options.mark_for_review.then_some("unfinished");
                    let (place, mut made) = fill(xml, token, filled);
                    match set_attribute(xml, token, "type", kind) {
                        // The end of an empty element's tag is written anew.
                        Some((range, text))
                            if range.end > place.start || range.is_empty() && place.start == range.start =>
                        {
                            made.insert(0, Chunk::made(text));
                        }
                        set => edits.extend(set.map(edit)),
                    }
                    edits.push((place, made));
                }
                None => {
                    let end = xml.element(source).end;
                    let kind = if options.mark_for_review { " type=\"unfinished\"" } else { "" };
                    let mut made = vec![Chunk::made(format!("{}<translation{kind}>", xml.indentation(source)))];
                    made.extend(filled);
                    made.push(Chunk::made("</translation>"));
                    edits.push((end..end, made));
                }
            }
            patch.unit(from, edits);
        }
        let mut notes = Vec::new();
        if kept > 0 {
            notes.push(format!(
                "messages that are translated already stay as they are: {kept} (--all translates them again)"
            ));
        }
        Ok(Box::new(Patched { patch, notes }))
    }
}

/// How many forms a message with a number has in a language.
fn forms(language: &str) -> usize {
    let primary = language.split(['-', '_']).next().unwrap_or_default().to_lowercase();
    match primary {
        primary if ONE_FORM.contains(&&primary[..]) => 1,
        primary if THREE_FORMS.contains(&&primary[..]) => 3,
        _ => 2,
    }
}

/// The same text in each form.
fn numerus(text: &[Chunk], forms: usize, indentation: &str) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let deeper = match indentation.ends_with(['\n', '\r']) || indentation.is_empty() {
        true => indentation.to_owned(),
        false => format!("{indentation}{}", if indentation.ends_with('\t') { "\t" } else { "    " }),
    };
    for _ in 0..forms {
        chunks.push(Chunk::made(format!("{deeper}<numerusform>")));
        chunks.extend(text.iter().map(|chunk| match chunk {
            Chunk::Code(code) => Chunk::Code(code.clone()),
            Chunk::Text(text) => Chunk::Text(*text),
        }));
        chunks.push(Chunk::made("</numerusform>"));
    }
    chunks.push(Chunk::made(indentation));
    chunks
}

/// The only element within a text is a byte that XML cannot hold.
fn element(_: &crate::documents::xml::Xml, _: usize) -> Element {
    Element::Alone(Shown::Nothing)
}
