//! Paragraphs that consist of runs, each a stretch of text with its formatting: DOCX, PPTX, XLSX. Adjacent runs that look the
//! same are one; what most of a paragraph looks like is not marked.

use std::collections::HashMap;
use std::ops::Range;

use super::fields::{Field, fields};
use super::{DEEPEST, Plain};
use crate::documents::Shown;
use crate::documents::xml::inline::{Code, Inline, Item, Space, shown};
use crate::documents::xml::patch::{Chunk, Patch, Writing};
use crate::documents::xml::{Kind, Xml, escape};

/// The formatting of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    /// Its properties without what nobody sees.
    key: String,
    /// Its properties.
    properties: Range<usize>,
}

/// A piece of a paragraph.
enum Atom {
    /// Words, or something within a run that stands by itself.
    Words(String, Look),
    InRun(Code, Shown),
    /// Something between runs that stands by itself.
    Between(Code, Shown),
    /// What groups runs begins or ends.
    Group(Item),
}

/// Adds all paragraphs of a part, elements with one of these names, and says how many lie too deep.
pub(super) fn add_paragraphs(patch: &mut Patch, names: &[&str]) -> usize {
    let fields = fields(&patch.xml);
    let (mut around, mut too_deep): (Vec<usize>, usize) = (Vec::new(), 0);
    for token in 0..patch.xml.tokens.len() {
        let xml = &patch.xml;
        if !matches!(xml.tokens[token].kind, Kind::Start) || !names.contains(&xml.local(token)) {
            continue;
        }
        while around.last().is_some_and(|outer| xml.tokens[*outer].pair < token) {
            around.pop();
        }
        match around.len() < DEEPEST {
            true => add_paragraph(patch, token, &fields),
            false => too_deep += 1,
        }
        around.push(token);
    }
    too_deep
}

fn add_paragraph(patch: &mut Patch, paragraph: usize, fields: &HashMap<usize, Field>) {
    let xml = &patch.xml;
    let is_plain = ["si", "is", "text"].contains(&xml.local(paragraph)) && xml.child(paragraph, "r").is_none();
    if is_plain {
        add_plain(patch, paragraph);
        return;
    }
    let reader = Reader { xml, fields, paragraph, atoms: Vec::new() };
    let Some((atoms, place)) = reader.read() else { return };
    let base = commonest(&atoms);
    let Some(base) = base else { return };
    let (items, looks) = marked(atoms, &base);
    let Some(inline) = Inline::new(items, Space::Counts) else { return };
    let run = xml.name(paragraph);
    let prefix = run.strip_suffix(xml.local(paragraph)).unwrap_or_default().to_owned();
    let looks = inline.items.iter().map(|item| looks.get(item).cloned()).collect();
    let writing = Runs { has_space_attribute: prefix != "a:", prefix, base: base.properties, looks };
    let at = xml.tokens[paragraph].range.start;
    let text = patch.add(inline, Box::new(writing), at, None);
    patch.unit(text, vec![(place, vec![Chunk::Text(text)])]);
}

/// The text of a cell or comment without runs.
fn add_plain(patch: &mut Patch, container: usize) {
    let xml = &patch.xml;
    let text = xml.child(container, "t").unwrap_or(container);
    if xml.children(xml.inside(text)).next().is_some() || xml.tokens[text].kind != Kind::Start {
        return;
    }
    let items = vec![Item::Text(sheet_text(&xml.all_data(xml.inside(text))))];
    let (place, at) = (xml.content(text), xml.tokens[container].range.start);
    let Some(inline) = Inline::new(items, Space::Counts) else { return };
    let text = patch.add(inline, Box::new(Plain), at, None);
    patch.unit(text, vec![(place, vec![Chunk::Text(text)])]);
}

struct Reader<'x> {
    xml: &'x Xml,
    fields: &'x HashMap<usize, Field>,
    paragraph: usize,
    atoms: Vec<Atom>,
}

/// An element whose content is read and which is written again around it.
struct Wrapper {
    /// The token at which it ends, what is written for that, and where reading goes on.
    end: usize,
    code: Code,
    next: usize,
}

impl Reader<'_> {
    /// The pieces of a paragraph and the place of all of them.
    fn read(mut self) -> Option<(Vec<Atom>, Range<usize>)> {
        let xml = self.xml;
        let inside = xml.inside(self.paragraph);
        let (mut at, mut place) = (inside.start, None::<Range<usize>>);
        let mut wrappers: Vec<Wrapper> = Vec::new();
        while at < inside.end {
            let token = at;
            at = xml.tokens[token].pair.max(token) + 1;
            if wrappers.last().is_some_and(|wrapper| wrapper.end == token) {
                let wrapper = wrappers.pop()?;
                if let Some(place) = &mut place {
                    place.end = place.end.max(xml.tokens[wrapper.next - 1].range.end);
                }
                self.atoms.push(Atom::Group(Item::Close(wrapper.code)));
                at = wrapper.next;
                continue;
            }
            let range = xml.element(token.min(xml.tokens[token].pair));
            if !matches!(xml.tokens[token].kind, Kind::Start | Kind::Empty) {
                continue;
            }
            let name = xml.local(token);
            // These stand before and behind everything.
            if wrappers.is_empty() && ["pPr", "endParaRPr", "rPh", "phoneticPr", "extLst"].contains(&name) {
                continue;
            }
            let place = place.get_or_insert(range.clone());
            place.end = place.end.max(range.end);
            match name {
                "r" => {
                    if let Some(next) = self.field(token, &mut wrappers) {
                        at = next;
                        place.end = place.end.max(xml.tokens[next - 1].range.end);
                    } else {
                        self.run(token);
                    }
                }
                "fld" | "fldSimple" => {
                    let text = xml.all_data(xml.inside(token));
                    self.atoms.push(Atom::Between(Code::Source(range), shown(&text)));
                }
                "hyperlink" | "ins" | "moveTo" | "smartTag" | "customXml" | "bdo" | "dir" | "sdt"
                    if xml.tokens[token].kind == Kind::Start =>
                {
                    let content = if name == "sdt" { xml.child(token, "sdtContent") } else { Some(token) };
                    let Some(content) = content.filter(|content| xml.tokens[*content].kind == Kind::Start) else {
                        self.atoms.push(Atom::Between(Code::Source(range), Shown::Nothing));
                        continue;
                    };
                    let (end, next) = (xml.tokens[content].pair, xml.tokens[token].pair + 1);
                    let code = |range: Range<usize>| Code::Source(range);
                    self.atoms.push(Atom::Group(Item::Open(code(range.start..xml.tokens[content].range.end))));
                    wrappers.push(Wrapper { end, code: code(xml.tokens[end].range.start..range.end), next });
                    at = content + 1;
                }
                "br" => self.atoms.push(Atom::Between(Code::Source(range), Shown::Space)),
                // Marks of the spelling that this text no longer has.
                "proofErr" | "lastRenderedPageBreak" => {}
                name => {
                    let code = Code::Source(range);
                    let key = |kind: &str| format!("{kind} {}", xml.value(token, "id").unwrap_or_default());
                    let kind = name.strip_suffix("Start").or_else(|| name.strip_suffix("End"));
                    self.atoms.push(match kind.filter(|kind| ["bookmark", "commentRange", "perm"].contains(kind)) {
                        Some(kind) if name.ends_with("Start") => Atom::Group(Item::Begin(key(kind), code)),
                        Some(kind) => Atom::Group(Item::End(key(kind), code)),
                        None => Atom::Between(code, Shown::Nothing),
                    });
                }
            }
        }
        Some((self.atoms, place?))
    }

    /// A field that begins in this run: where reading goes on.
    fn field(&mut self, run: usize, wrappers: &mut Vec<Wrapper>) -> Option<usize> {
        let (xml, field) = (self.xml, self.fields.get(&run)?);
        let start = xml.tokens[run].range.start;
        let end = xml.tokens[field.end].pair;
        let instruction = field.instruction.trim_start();
        match field.separate {
            Some(separate) if instruction.starts_with("HYPERLINK") && separate < field.end => {
                let code = Code::Source(start..xml.tokens[separate].range.end);
                self.atoms.push(Atom::Group(Item::Open(code)));
                wrappers.push(Wrapper { end: field.end, code: Code::Source(xml.element(field.end)), next: end + 1 });
                Some(separate + 1)
            }
            separate => {
                let result = separate.map(|separate| text_of(xml, separate..field.end)).unwrap_or_default();
                // A page's number belongs to no sentence.
                let result = if instruction.starts_with("PAGEREF") { Shown::Nothing } else { shown(&result) };
                self.atoms.push(Atom::Between(Code::Source(start..xml.tokens[end].range.end), result));
                Some(end + 1)
            }
        }
    }

    fn run(&mut self, run: usize) {
        let xml = self.xml;
        let properties = xml.children(xml.inside(run)).find(|token| xml.local(*token) == "rPr");
        let look = look(xml, properties);
        let is_hidden = properties.is_some_and(|properties| {
            let hidden = xml.child(properties, "vanish");
            hidden
                .is_some_and(|token| !["0", "false", "off"].contains(&&xml.value(token, "val").unwrap_or_default()[..]))
        });
        if is_hidden {
            self.atoms.push(Atom::Between(Code::Source(xml.element(run)), Shown::Nothing));
            return;
        }
        let is_sheet = ["si", "is", "text"].contains(&xml.local(self.paragraph));
        for child in xml.children(xml.inside(run)) {
            match xml.local(child) {
                "rPr" | "lastRenderedPageBreak" | "softHyphen" => {}
                "t" if xml.children(xml.inside(child)).next().is_none() => self.words(run, child, &look, is_sheet),
                "noBreakHyphen" => self.atoms.push(Atom::Words("\u{2011}".to_owned(), look.clone())),
                name => {
                    let shown = if ["tab", "ptab", "br", "cr"].contains(&name) { Shown::Space } else { Shown::Nothing };
                    self.atoms.push(Atom::InRun(in_run(xml, run, &look, Code::Source(xml.element(child))), shown));
                }
            }
        }
    }

    /// The text of a run; in a sheet its lines count.
    fn words(&mut self, run: usize, text: usize, look: &Look, is_sheet: bool) {
        let xml = self.xml;
        let words = sheet_text(&xml.all_data(xml.inside(text)));
        if !is_sheet {
            self.atoms.push(Atom::Words(words.replace('\n', " "), look.clone()));
            return;
        }
        for (number, line) in words.split('\n').enumerate() {
            if number > 0 {
                let end = format!("<{0} xml:space=\"preserve\">\n</{0}>", xml.name(text));
                self.atoms.push(Atom::InRun(in_run(xml, run, look, Code::Made(end)), Shown::Space));
            }
            if !line.is_empty() {
                self.atoms.push(Atom::Words(line.to_owned(), look.clone()));
            }
        }
    }
}

/// A text without carriage returns, which sheets write as `_x000D_`.
fn sheet_text(text: &str) -> String {
    text.replace("_x000D_", "").replace('\r', " ")
}

/// The words within tokens, without instructions and what was deleted.
fn text_of(xml: &Xml, tokens: Range<usize>) -> String {
    tokens.filter(|token| xml.begins(*token, "t")).map(|token| xml.all_data(xml.inside(token))).collect()
}

/// A run that holds nothing but this.
fn in_run(xml: &Xml, run: usize, look: &Look, content: Code) -> Code {
    let end = Code::Made(format!("</{}>", xml.name(run)));
    Code::Many(vec![Code::Source(xml.tokens[run].range.clone()), Code::Source(look.properties.clone()), content, end])
}

/// What the properties of a run look like.
fn look(xml: &Xml, properties: Option<usize>) -> Look {
    let Some(properties) = properties else { return Look { key: String::new(), properties: 0..0 } };
    let is_seen =
        |attribute: &&str| !["lang", "altLang", "dirty", "err", "smtClean", "noProof", "bmk"].contains(attribute);
    let mut key = String::new();
    for attribute in xml.attributes(properties).filter(|attribute| is_seen(&attribute.name)) {
        key.push_str(attribute.name);
        key.push_str(&xml.text[attribute.range.clone()]);
    }
    for child in xml.children(xml.inside(properties)).filter(|child| !["lang", "noProof"].contains(&xml.local(*child)))
    {
        key.push_str(&xml.text[xml.element(child)]);
    }
    Look { key, properties: xml.element(properties) }
}

/// The look of most characters, of those that are in no link if there are any.
fn commonest(atoms: &[Atom]) -> Option<Look> {
    let mut counts: HashMap<&str, (usize, usize, usize, &Look)> = HashMap::new();
    let mut depth = 0_usize;
    for (number, atom) in atoms.iter().enumerate() {
        match atom {
            Atom::Group(Item::Open(_)) => depth += 1,
            Atom::Group(Item::Close(_)) => depth = depth.saturating_sub(1),
            Atom::Words(words, look) => {
                let count = counts.entry(&look.key).or_insert((0, 0, usize::MAX - number, look));
                let length = words.chars().count();
                count.1 += length;
                count.0 += if depth == 0 { length } else { 0 };
            }
            _ => {}
        }
    }
    let commonest = counts.into_values().max_by_key(|(outside, all, first, _)| (*outside, *all, *first));
    commonest.map(|(_, _, _, look)| look.clone())
}

/// The pieces with marks around what does not look like the others, and the properties of those marks by their items.
fn marked(atoms: Vec<Atom>, base: &Look) -> (Vec<Item>, HashMap<usize, Range<usize>>) {
    let (mut items, mut looks) = (Vec::<Item>::new(), HashMap::new());
    // Which look is open; what came since its last words.
    let mut open: Option<String> = None;
    let mut waiting: Vec<Item> = Vec::new();
    let close = |open: &mut Option<String>, items: &mut Vec<Item>| {
        if open.take().is_some() {
            items.push(Item::Close(Code::Nothing));
        }
    };
    for atom in atoms {
        match atom {
            Atom::Words(words, look) => {
                let is_same = open.as_ref().unwrap_or(&base.key) == &look.key;
                // White space looks like what is around it.
                if !is_same && !words.trim().is_empty() {
                    close(&mut open, &mut items);
                    items.append(&mut waiting);
                    if look.key != base.key {
                        looks.insert(items.len(), look.properties);
                        items.push(Item::Open(Code::Nothing));
                        open = Some(look.key);
                    }
                }
                items.append(&mut waiting);
                match items.last_mut() {
                    Some(Item::Text(text)) => text.push_str(&words),
                    _ => items.push(Item::Text(words)),
                }
            }
            Atom::InRun(code, shown) | Atom::Between(code, shown) => waiting.push(Item::Alone(code, shown)),
            Atom::Group(item) => {
                close(&mut open, &mut items);
                items.append(&mut waiting);
                items.push(item);
            }
        }
    }
    close(&mut open, &mut items);
    items.append(&mut waiting);
    (items, looks)
}

/// Writes text as runs.
struct Runs {
    /// Of the elements of runs: `w:`, `a:` or nothing.
    prefix: String,
    has_space_attribute: bool,
    base: Range<usize>,
    /// The properties of marks that are formatting.
    looks: Vec<Option<Range<usize>>>,
}

impl Writing for Runs {
    fn text(&self, xml: &Xml, text: &str, open: &[usize], written: &mut String) {
        // Formatting is always the innermost mark: links and changes are around it.
        let properties = open.last().and_then(|mark| self.looks[*mark].as_ref()).unwrap_or(&self.base);
        let prefix = &self.prefix;
        let space = if self.has_space_attribute && text.trim() != text { " xml:space=\"preserve\"" } else { "" };
        written.push_str(&format!("<{prefix}r>"));
        written.push_str(&xml.text[properties.clone()]);
        written.push_str(&format!("<{prefix}t{space}>{}</{prefix}t></{prefix}r>", escape(text)));
    }
}
