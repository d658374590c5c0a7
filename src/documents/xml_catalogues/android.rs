//! Android's strings.xml: texts are written in place, for a folder such as `values-en`.

use super::message::{Element, Message};
use super::open;
use crate::Result;
use crate::documents::xml::inline::Space;
use crate::documents::xml::patch::{Patch, Patched};
use crate::documents::xml::{Kind, Xml, root};
use crate::documents::{Document, Format, Options, Shown};

/// Android's resources of strings.
pub(crate) struct Android;

impl Format for Android {
    fn name(&self) -> &'static str {
        "android"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["strings.xml"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        root(start).is_some_and(|root| root == "resources")
    }

    fn read(&self, bytes: &[u8], _: &Options) -> Result<Box<dyn Document>> {
        let (mut patch, root) = open(bytes, "resources", "a file of Android's strings")?;
        let mut skipped = 0;
        let children: Vec<usize> =
            root.map(|root| patch.xml.children(patch.xml.inside(root)).collect()).unwrap_or_default();
        for child in children {
            let xml = &patch.xml;
            let is_list = match xml.local(child) {
                "string" => false,
                "string-array" | "plurals" => true,
                "item" if xml.value(child, "type").as_deref() == Some("string") => false,
                _ => continue,
            };
            if xml.value(child, "translatable").as_deref() == Some("false") {
                skipped += 1;
                continue;
            }
            let name = xml.value(child, "name");
            let items: Vec<usize> = match is_list {
                true => xml.children(xml.inside(child)).filter(|token| xml.local(*token) == "item").collect(),
                false => vec![child],
            };
            for (number, item) in items.into_iter().enumerate() {
                let quantity = patch.xml.value(item, "quantity").unwrap_or_else(|| number.to_string());
                let name = name.as_ref().map(|name| if is_list { format!("{name}[{quantity}]") } else { name.clone() });
                text(&mut patch, item, name.as_deref());
            }
        }
        let mut notes = Vec::new();
        if skipped > 0 {
            notes.push(format!("strings that say they are not translatable stay as they are: {skipped}"));
        }
        Ok(Box::new(Patched { patch, notes }))
    }
}

fn text(patch: &mut Patch, item: usize, name: Option<&str>) {
    let tokens = patch.xml.inside(item);
    let data = patch.xml.all_data(tokens.clone());
    // References to other resources.
    let is_reference = data.trim().starts_with(['@', '?']) && !data.trim().contains(' ');
    if is_reference {
        return;
    }
    let from = patch.texts.len();
    let message = Message { is_android: true, ..Message::of(&patch.xml, tokens.clone()) };
    let chunks = message.add(patch, tokens, Space::Collapses, name, &element);
    let place = patch.xml.content(item);
    patch.unit(from, vec![(place, chunks)]);
}

/// Markup of Android and HTML; what `<xliff:g>` encloses stays.
fn element(xml: &Xml, token: usize) -> Element {
    match xml.name(token) {
        name if name.ends_with(":g") => Element::shown(&xml.all_data(xml.inside(token))),
        "br" => Element::Alone(Shown::Space),
        _ if xml.tokens[token].kind == Kind::Empty => Element::Alone(Shown::Nothing),
        _ => Element::Pair,
    }
}
