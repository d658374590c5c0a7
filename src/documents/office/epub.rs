//! EPUB: chapters in XHTML, the table of contents, the title.

use std::collections::BTreeSet;

use super::archive::Archive;
use super::{Bundle, Plain, begins_with_entry, within};
use crate::documents::html::{Markup, read_markup};
use crate::documents::xml::inline::{Inline, Item, Space};
use crate::documents::xml::patch::{Chunk, Patch, Patched};
use crate::documents::xml::{Kind, Xml, decode, escape};
use crate::documents::{Document, Encoding, Format, Options, Part, Segment};
use crate::{Error, Result};

/// Books.
pub(crate) struct Epub;

impl Format for Epub {
    fn name(&self) -> &'static str {
        "epub"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["epub"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        begins_with_entry(start, b"mimetypeapplication/epub+zip")
    }

    fn read(&self, bytes: &[u8], options: &Options) -> Result<Box<dyn Document>> {
        let archive = Archive::read(bytes)?;
        let package = package_name(&archive)?;
        let mut bundle = Bundle::new(archive);
        let (entry, mut package_file) = xml(&bundle.archive, &package)?;
        let files = files(&package_file.xml, &package);
        let encrypted = encrypted(&bundle.archive)?;
        add_metadata(&mut package_file, options);
        bundle.add_segments(entry, &package_file.segments);
        bundle.package = Some((entry, package_file));
        for (name, kind) in files {
            if encrypted.contains(&name) {
                return Err(Error::Text(format!("{name} is encrypted (copy protection); a book without it is needed")));
            }
            let Some(entry) = bundle.archive.find(&name) else {
                bundle.notes.push(format!("{name} is missing in the archive"));
                continue;
            };
            let document: Box<dyn Document> = match kind {
                FileKind::Contents => {
                    let mut contents = xml(&bundle.archive, &name)?.1;
                    add_labels(&mut contents);
                    Box::new(Patched { patch: contents, notes: Vec::new() })
                }
                FileKind::Chapter => {
                    let decoded = bundle.archive.content(entry).and_then(|content| decode(&content));
                    let (encoding, text) = decoded.map_err(|error| within(&name, error))?;
                    Box::new(Chapter { encoding, markup: read_markup(text, options, true) })
                }
            };
            bundle.add(entry, document);
        }
        Ok(Box::new(bundle))
    }
}

/// A file of XHTML.
struct Chapter {
    encoding: Encoding,
    markup: Markup,
}

impl Document for Chapter {
    fn segments(&self) -> &[Segment] {
        self.markup.segments()
    }

    fn write(&self, translations: &[Option<Vec<Part>>]) -> Result<Vec<u8>> {
        let text = self.markup.write(translations);
        Ok(self.encoding.encode(&text, |c| format!("&#{};", u32::from(c))))
    }
}

#[derive(Clone, Copy)]
enum FileKind {
    Chapter,
    /// `toc.ncx`.
    Contents,
}

/// An entry, read.
fn xml(archive: &Archive, name: &str) -> Result<(usize, Patch)> {
    let entry = archive.find(name).ok_or_else(|| Error::Text(format!("the book has no {name}")))?;
    let xml = archive.content(entry).and_then(|content| Xml::read(&content));
    Ok((entry, Patch::new(xml.map_err(|error| within(name, error))?)))
}

/// The file that lists all others.
fn package_name(archive: &Archive) -> Result<String> {
    let container = xml(archive, "META-INF/container.xml")?.1.xml;
    let named = (0..container.tokens.len()).find(|token| container.begins(*token, "rootfile"));
    let named = named.and_then(|token| container.value(token, "full-path"));
    named.ok_or_else(|| Error::Text("META-INF/container.xml names no package, so this is no book".to_owned()))
}

/// The files with texts, in the order of the package.
fn files(package: &Xml, package_name: &str) -> Vec<(String, FileKind)> {
    let folder = package_name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let items = (0..package.tokens.len()).filter(|token| package.begins(*token, "item"));
    let (mut files, mut seen) = (Vec::new(), BTreeSet::new());
    for item in items {
        let kind = match package.value(item, "media-type").as_deref() {
            Some("application/xhtml+xml") => FileKind::Chapter,
            Some("application/x-dtbncx+xml") => FileKind::Contents,
            _ => continue,
        };
        let Some(reference) = package.value(item, "href") else { continue };
        let name = resolved(folder, &reference);
        if seen.insert(name.clone()) {
            files.push((name, kind));
        }
    }
    files
}

/// A reference seen from a folder, as the name of an entry.
fn resolved(folder: &str, reference: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in reference.split('#').next().unwrap_or_default().split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let name = parts.join("/");
    // `%20` is a space.
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let code = (*first == b'%').then(|| others.get(..2)).flatten();
        let code = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &others[2..] } else { others };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Names of entries that are encrypted; fonts are in many books, and nobody reads them here.
fn encrypted(archive: &Archive) -> Result<BTreeSet<String>> {
    if archive.find("META-INF/encryption.xml").is_none() {
        return Ok(BTreeSet::new());
    }
    let list = xml(archive, "META-INF/encryption.xml")?.1.xml;
    let references = (0..list.tokens.len()).filter(|token| list.begins(*token, "CipherReference"));
    Ok(references.filter_map(|token| list.value(token, "URI")).map(|name| resolved("", &name)).collect())
}

/// Title and description; the language becomes the target's.
fn add_metadata(patch: &mut Patch, options: &Options) {
    for token in 0..patch.xml.tokens.len() {
        if patch.xml.tokens[token].kind != Kind::Start {
            continue;
        }
        match (patch.xml.name(token), &options.target_language) {
            ("dc:title" | "dc:description", _) => add_text(patch, token),
            ("dc:language", Some(language)) => {
                let place = patch.xml.content(token);
                if patch.xml.text[place.clone()].trim() != language {
                    patch.always.push((place, escape(language)));
                }
            }
            _ => {}
        }
    }
}

/// The labels of a table of contents.
fn add_labels(patch: &mut Patch) {
    for token in 0..patch.xml.tokens.len() {
        if patch.xml.begins(token, "text") && patch.xml.tokens[token].kind == Kind::Start {
            add_text(patch, token);
        }
    }
}

fn add_text(patch: &mut Patch, element: usize) {
    let xml = &patch.xml;
    if xml.children(xml.inside(element)).next().is_some() {
        return;
    }
    let items = vec![Item::Text(xml.all_data(xml.inside(element)))];
    let (place, at) = (xml.content(element), xml.tokens[element].range.start);
    let Some(inline) = Inline::new(items, Space::Collapses) else { return };
    let text = patch.add(inline, Box::new(Plain), at, None);
    patch.unit(text, vec![(place, vec![Chunk::Text(text)])]);
}
