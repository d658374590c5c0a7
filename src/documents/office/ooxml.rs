//! DOCX, PPTX and XLSX: which parts of the archive have texts.

use std::collections::{HashMap, HashSet};

use super::archive::Archive;
use super::runs::add_paragraphs;
use super::{Bundle, SHEETS, begins_with_entry, too_deep, within};
use crate::documents::xml::Xml;
use crate::documents::xml::patch::{Patch, Patched};
use crate::documents::{Document, Format, Options};
use crate::{Error, Result};

/// Word.
pub(crate) struct Docx;
/// PowerPoint.
pub(crate) struct Pptx;
/// Excel.
pub(crate) struct Xlsx;

/// Types of parts, as the end of their name before `+xml`, and the elements that are paragraphs in them.
const PARTS: [(&str, &[&str]); 22] = [
    ("wordprocessingml.document.main", &["p"]),
    ("wordprocessingml.template.main", &["p"]),
    ("ms-word.document.macroEnabled.main", &["p"]),
    ("ms-word.template.macroEnabledTemplate.main", &["p"]),
    ("wordprocessingml.header", &["p"]),
    ("wordprocessingml.footer", &["p"]),
    ("wordprocessingml.footnotes", &["p"]),
    ("wordprocessingml.endnotes", &["p"]),
    ("wordprocessingml.comments", &["p"]),
    ("presentationml.slide", &["p"]),
    ("presentationml.notesSlide", &["p"]),
    ("presentationml.comments", &["text"]),
    ("spreadsheetml.sharedStrings", &["si"]),
    ("spreadsheetml.worksheet", &["is"]),
    ("spreadsheetml.comments", &["text"]),
    ("ms-excel.threadedcomments", &["text"]),
    ("ms-powerpoint.comments", &["p"]),
    // Pictures with texts.
    ("drawingml.chart", &["p"]),
    ("drawingml.diagramData", &["p"]),
    ("ms-office.drawingml.diagramDrawing", &["p"]),
    ("officedocument.drawing", &["p"]),
    ("drawingml.chartshapes", &["p"]),
];

/// Types of parts that call columns by the texts of cells.
const NAMES_IN_SHEETS: [&str; 2] = ["spreadsheetml.table", "spreadsheetml.pivotCacheDefinition"];

impl Format for Docx {
    fn name(&self) -> &'static str {
        "docx"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["docx", "docm", "dotx", "dotm"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        begins_with_entry(start, b"word/")
    }

    fn read(&self, bytes: &[u8], _: &Options) -> Result<Box<dyn Document>> {
        Ok(Box::new(read(bytes, ["wordprocessingml.", "ms-word."])?))
    }
}

impl Format for Pptx {
    fn name(&self) -> &'static str {
        "pptx"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["pptx", "pptm", "potx", "ppsx"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        begins_with_entry(start, b"ppt/")
    }

    fn read(&self, bytes: &[u8], _: &Options) -> Result<Box<dyn Document>> {
        Ok(Box::new(read(bytes, ["presentationml.", "ms-powerpoint."])?))
    }
}

impl Format for Xlsx {
    fn name(&self) -> &'static str {
        "xlsx"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["xlsx", "xlsm", "xltx", "xltm"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        begins_with_entry(start, b"xl/")
    }

    fn read(&self, bytes: &[u8], _: &Options) -> Result<Box<dyn Document>> {
        let mut bundle = read(bytes, ["spreadsheetml.", "ms-excel."])?;
        bundle.notes.push(SHEETS.to_owned());
        Ok(Box::new(bundle))
    }
}

/// Reads a document that has parts of one of these kinds.
fn read(bytes: &[u8], kinds: [&str; 2]) -> Result<Bundle> {
    let archive = Archive::read(bytes)?;
    let types = types(&archive)?;
    if !types.values().any(|name| kinds.iter().any(|kind| name.contains(kind))) {
        let problem = "it is a document of another program; --type says what kind of file it is";
        return Err(Error::Text(problem.to_owned()));
    }
    let fixed = fixed_names(&archive, &types)?;
    let mut bundle = Bundle::new(archive);
    let (names, mut kept): (Vec<String>, usize) = (bundle.archive.names().map(str::to_owned).collect(), 0);
    for (entry, name) in names.iter().enumerate() {
        let paragraphs =
            types.get(&name.to_lowercase()).and_then(|kind| PARTS.iter().find(|(part, _)| is_of(kind, part)));
        let Some((part, paragraphs)) = paragraphs else { continue };
        let mut patch = xml(&bundle.archive, entry)?;
        let mut notes: Vec<String> = too_deep(add_paragraphs(&mut patch, paragraphs)).into_iter().collect();
        if *part == "drawingml.chart" {
            notes.push("labels of charts that come from a sheet stay as they are".to_owned());
        }
        if part.starts_with("spreadsheetml") && !fixed.is_empty() {
            kept += patch.remove(|segment| fixed.contains(&segment.text()));
        }
        bundle.add(entry, Box::new(Patched { patch, notes }));
    }
    if kept > 0 {
        bundle.notes.push(format!("headings of tables stay as they are, since formulas refer to them: {kept}"));
    }
    if names.iter().any(|name| name.starts_with("_xmlsignatures/")) {
        bundle.notes.push("the document is signed, and the signature does not hold for a translation".to_owned());
    }
    Ok(bundle)
}

fn xml(archive: &Archive, entry: usize) -> Result<Patch> {
    let name = archive.names().nth(entry).unwrap_or_default();
    let xml = archive.content(entry).and_then(|content| Xml::read(&content));
    Ok(Patch::new(xml.map_err(|error| within(name, error))?))
}

/// Whether a type is `…PART+xml`.
fn is_of(kind: &str, part: &str) -> bool {
    kind.strip_suffix("+xml").is_some_and(|kind| kind.strip_suffix(part).is_some_and(|rest| rest.ends_with(['.', '-'])))
}

/// The types of all parts, by their names in lower case.
fn types(archive: &Archive) -> Result<HashMap<String, String>> {
    let Some(entry) = archive.find("[Content_Types].xml") else {
        return Err(Error::Text("the archive has no [Content_Types].xml, so it is no office document".to_owned()));
    };
    let xml = xml(archive, entry)?.xml;
    let (mut by_name, mut by_ending) = (HashMap::new(), HashMap::new());
    for token in 0..xml.tokens.len() {
        let Some(kind) =
            xml.value(token, "ContentType").filter(|_| xml.begins(token, "Override") || xml.begins(token, "Default"))
        else {
            continue;
        };
        if let Some(name) = xml.value(token, "PartName") {
            by_name.insert(name.trim_start_matches('/').to_lowercase(), kind);
        } else if let Some(ending) = xml.value(token, "Extension") {
            by_ending.insert(ending.to_lowercase(), kind);
        }
    }
    let mut types = HashMap::new();
    for name in archive.names().map(str::to_lowercase) {
        let ending = name.rsplit('.').next().unwrap_or_default();
        if let Some(kind) = by_name.get(&name).or_else(|| by_ending.get(ending)) {
            types.insert(name, kind.clone());
        }
    }
    Ok(types)
}

/// Texts of cells that are names, too: columns of tables and of pivot tables, which have to be the same.
fn fixed_names(archive: &Archive, types: &HashMap<String, String>) -> Result<HashSet<String>> {
    let mut fixed = HashSet::new();
    for (entry, name) in archive.names().enumerate() {
        if !types.get(&name.to_lowercase()).is_some_and(|kind| NAMES_IN_SHEETS.iter().any(|part| is_of(kind, part))) {
            continue;
        }
        let xml = xml(archive, entry)?.xml;
        let is_name = |token: &usize| xml.begins(*token, "tableColumn") || xml.begins(*token, "cacheField");
        fixed.extend((0..xml.tokens.len()).filter(is_name).filter_map(|token| xml.value(token, "name")));
    }
    Ok(fixed)
}
