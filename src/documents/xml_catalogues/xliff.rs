//! XLIFF 1.2 and 2.x: targets are written, sources and all else stay.

use std::ops::Range;

use super::message::{Element, Message};
use super::{edit, fill, open, set_attribute};
use crate::Result;
use crate::documents::xml::inline::{Code, Space};
use crate::documents::xml::patch::{Chunk, Patch, Patched};
use crate::documents::xml::{Kind, Xml, root};
use crate::documents::{Document, Format, Options, Shown};

/// XLIFF.
pub(crate) struct Xliff;

impl Format for Xliff {
    fn name(&self) -> &'static str {
        "xliff"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["xlf", "xliff", "sdlxliff", "mqxliff", "mxliff", "txlf"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        root(start).is_some_and(|root| root == "xliff")
    }

    fn read(&self, bytes: &[u8], options: &Options) -> Result<Box<dyn Document>> {
        let (patch, root) = open(bytes, "xliff", "XLIFF")?;
        let mut reader = Reader { patch, options, is_second: false, kept: 0 };
        if let Some(root) = root {
            reader.is_second = reader.patch.xml.value(root, "version").is_some_and(|version| version.starts_with('2'));
            reader.languages(root);
            let start = Inherited { is_translated: true, space: Space::Collapses };
            reader.walk(root, start);
        }
        let mut notes = Vec::new();
        if reader.kept > 0 {
            notes.push(format!(
                "units that are translated already stay as they are: {} (--all translates them again)",
                reader.kept
            ));
        }
        Ok(Box::new(Patched { patch: reader.patch, notes }))
    }
}

struct Reader<'o> {
    patch: Patch,
    options: &'o Options,
    /// Version 2.
    is_second: bool,
    kept: usize,
}

/// What elements hand on to those within them.
#[derive(Clone, Copy)]
struct Inherited {
    is_translated: bool,
    space: Space,
}

impl Reader<'_> {
    /// The target language is set where it is missing.
    fn languages(&mut self, root: usize) {
        let Some(language) = &self.options.target_language else { return };
        let xml = &self.patch.xml;
        let name = if self.is_second { "trgLang" } else { "target-language" };
        let tags: Vec<usize> = match self.is_second {
            true => vec![root],
            false => xml.children(xml.inside(root)).filter(|token| xml.local(*token) == "file").collect(),
        };
        let tags = tags.into_iter().filter(|token| xml.value(*token, name).is_none_or(|value| value.is_empty()));
        self.patch.always = tags.filter_map(|token| set_attribute(xml, token, name, Some(language))).collect();
    }

    fn inherited(&self, token: usize, from: Inherited) -> Inherited {
        let xml = &self.patch.xml;
        let is_translated = match xml.value(token, "translate").as_deref() {
            Some("no") => false,
            Some("yes") => true,
            _ => from.is_translated,
        };
        let space = match xml.value(token, "xml:space").as_deref() {
            Some("preserve") => Space::Counts,
            Some("default") => Space::Collapses,
            _ => from.space,
        };
        Inherited { is_translated, space }
    }

    /// All units within an element.
    fn walk(&mut self, root: usize, start: Inherited) {
        let mut open = vec![start];
        let mut at = root + 1;
        while at < self.patch.xml.tokens[root].pair {
            let token = at;
            at += 1;
            match self.patch.xml.tokens[token].kind {
                Kind::End => drop(open.pop()),
                Kind::Start => {
                    let within = self.inherited(token, *open.last().unwrap_or(&start));
                    let is_unit = ["trans-unit", "segment"].contains(&self.patch.xml.local(token));
                    if is_unit {
                        self.unit(token, within);
                    }
                    // Matches and notes of other elements are no units; a unit's own content is not walked through.
                    if is_unit || ["matches", "alt-trans", "notes"].contains(&self.patch.xml.local(token)) {
                        at = self.patch.xml.tokens[token].pair + 1;
                    } else {
                        open.push(within);
                    }
                }
                _ => {}
            }
        }
    }

    /// A unit or segment: its source, and its target if it needs one.
    fn unit(&mut self, unit: usize, within: Inherited) {
        let xml = &self.patch.xml;
        let Some(source) = xml.child(unit, "source").filter(|_| within.is_translated) else { return };
        let target = xml.child(unit, "target");
        let states =
            if self.is_second { xml.value(unit, "state") } else { target.and_then(|token| xml.value(token, "state")) };
        let is_new = states.is_some_and(|state| ["new", "initial", "needs-translation"].contains(&&state[..]));
        let is_empty = target.is_none_or(|token| xml.text[xml.content(token)].trim().is_empty());
        if !self.options.all && !is_empty && !is_new {
            self.kept += 1;
            return;
        }
        let within = self.inherited(source, within);
        let segmented = xml.child(unit, "seg-source");
        let name = xml.value(unit, "resname").or_else(|| xml.value(unit, "id")).or_else(|| self.name_of_parent(unit));
        let from = self.patch.texts.len();
        let template = segmented.unwrap_or(source);
        let parts = self.segments(template);
        let chunks = self.chunks(template, &parts, within.space, name.as_deref());
        let edits = self.edits(unit, segmented.unwrap_or(source), target, chunks);
        self.patch.unit(from, edits);
    }

    /// A segment of version 2 is called as its unit.
    fn name_of_parent(&self, token: usize) -> Option<String> {
        let xml = &self.patch.xml;
        let parent = (0..token).rev().take(200).find(|before| xml.begins(*before, "unit"))?;
        xml.value(parent, "name").or_else(|| xml.value(parent, "id"))
    }

    /// The segments that `<mrk mtype="seg">` marks.
    fn segments(&self, template: usize) -> Vec<usize> {
        let xml = &self.patch.xml;
        let inside = xml.inside(template);
        let is_segment = |token: &usize| {
            xml.tokens[*token].kind == Kind::Start
                && xml.local(*token) == "mrk"
                && xml.value(*token, "mtype").as_deref() == Some("seg")
        };
        let mut end = 0;
        let outermost = |token: &usize| {
            let is_outermost = *token >= end;
            end = end.max(xml.tokens[*token].pair);
            is_outermost
        };
        inside.filter(is_segment).filter(outermost).collect()
    }

    /// The content of the source, with its segments as texts.
    fn chunks(&mut self, template: usize, parts: &[usize], space: Space, name: Option<&str>) -> Vec<Chunk> {
        if parts.is_empty() {
            return self.text(self.patch.xml.inside(template), space, name);
        }
        let content = self.patch.xml.content(template);
        let (mut chunks, mut at) = (Vec::new(), content.start);
        for part in parts {
            let inside = self.patch.xml.content(*part);
            chunks.push(Chunk::Code(Code::Source(at..inside.start)));
            let tokens = self.patch.xml.inside(*part);
            chunks.extend(self.text(tokens, space, name));
            at = inside.end;
        }
        chunks.push(Chunk::Code(Code::Source(at..content.end)));
        chunks
    }

    fn text(&mut self, tokens: Range<usize>, space: Space, name: Option<&str>) -> Vec<Chunk> {
        let message = Message::of(&self.patch.xml, tokens.clone());
        message.add(&mut self.patch, tokens, space, name, &element)
    }

    /// Where the target and what is said of it are written.
    fn edits(
        &self,
        unit: usize,
        after: usize,
        target: Option<usize>,
        chunks: Vec<Chunk>,
    ) -> Vec<(Range<usize>, Vec<Chunk>)> {
        let xml = &self.patch.xml;
        let review = self.options.mark_for_review;
        let state = if review && !self.is_second { "needs-review-translation" } else { "translated" };
        let mut edits = Vec::new();
        if self.is_second {
            edits.extend(set_attribute(xml, unit, "state", Some(state)).map(edit));
            edits.extend(set_attribute(xml, unit, "subState", None).map(edit));
        } else if xml.value(unit, "approved").as_deref() == Some("yes") {
            edits.extend(set_attribute(xml, unit, "approved", Some("no")).map(edit));
        }
        let Some(target) = target else {
            let end = xml.element(after).end;
            let state = if self.is_second { String::new() } else { format!(" state=\"{state}\"{}", qualifier(review)) };
            let prefix = xml.name(after).strip_suffix(xml.local(after)).unwrap_or_default();
            let mut made = vec![Chunk::made(format!("{}<{prefix}target{state}>", xml.indentation(after)))];
            made.extend(chunks);
            made.push(Chunk::made(format!("</{prefix}target>")));
            edits.push((end..end, made));
            return edits;
        };
        let (place, mut made) = fill(xml, target, chunks);
        if !self.is_second {
            let qualified = review.then_some("mt-suggestion");
            let set = [("state", Some(state)), ("state-qualifier", qualified)];
            let mut set: Vec<_> =
                set.iter().filter_map(|(name, value)| set_attribute(xml, target, name, *value)).collect();
            // Attributes that are added stand before the end of the tag, where an empty element is written anew.
            set.sort_by_key(|(range, _)| range.start);
            let (added, set): (Vec<_>, Vec<_>) = set.into_iter().partition(|(range, _)| range.is_empty());
            edits.extend(set.into_iter().map(edit));
            let added: String = added.into_iter().map(|(_, text)| text).collect();
            if xml.tokens[target].pair == target {
                made.insert(0, Chunk::made(added));
            } else if !added.is_empty() {
                let at = xml.tokens[target].range.end - 1;
                let at = xml.text[..at].trim_end().len();
                edits.push((at..at, vec![Chunk::made(added)]));
            }
        }
        edits.push((place, made));
        edits
    }
}

fn qualifier(review: bool) -> &'static str {
    if review { " state-qualifier=\"mt-suggestion\"" } else { "" }
}

/// What the inline elements of XLIFF and TMX are.
pub(super) fn element(xml: &Xml, token: usize) -> Element {
    let value = |name: &str| xml.value(token, name);
    let key = |names: &[&str]| names.iter().find_map(|name| value(name)).unwrap_or_default();
    match xml.local(token) {
        "mrk" if value("mtype").as_deref() == Some("protected") || value("translate").as_deref() == Some("no") => {
            Element::shown(&xml.all_data(xml.inside(token)))
        }
        "g" | "mrk" | "pc" | "hi" => Element::Pair,
        "bpt" => Element::Begin(key(&["rid", "i", "id"])),
        "ept" => Element::End(key(&["rid", "i", "id"])),
        "bx" => Element::Begin(key(&["rid", "id"])),
        "ex" => Element::End(key(&["rid", "id"])),
        "sc" | "sm" => Element::Begin(format!("{}{}", &xml.local(token)[1..], key(&["id"]))),
        "ec" | "em" => Element::End(format!("{}{}", &xml.local(token)[1..], key(&["startRef", "id"]))),
        "x" | "ph" => {
            // Angular's tags: START_BOLD_TEXT, CLOSE_BOLD_TEXT.
            let id = key(&["equiv", "id"]);
            match (id.strip_prefix("START_"), id.strip_prefix("CLOSE_")) {
                (Some(key), _) => return Element::Begin(key.to_owned()),
                (_, Some(key)) => return Element::End(key.to_owned()),
                _ => {}
            }
            let content = xml.all_data(xml.inside(token));
            let shown = [value("disp"), value("equiv-text"), Some(content), value("equiv")];
            let shown = shown.into_iter().flatten().find(|shown| !shown.trim().is_empty()).unwrap_or_default();
            Element::Alone(match shown.trim().to_lowercase() {
                _ if ["lb", "x-br"].contains(&&key(&["ctype"])[..])
                    || value("subType").as_deref() == Some("xlf:lb") =>
                {
                    Shown::Space
                }
                tag if tag.starts_with("<br") => Shown::Space,
                code if code.starts_with(['%', '{', '$', '#', '@']) => return Element::shown(&shown),
                _ => Shown::Nothing,
            })
        }
        _ => Element::Alone(Shown::Nothing),
    }
}
