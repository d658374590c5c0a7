//! The text of a message: its inline elements, placeholders, tags that are written as text, accelerators, Android's escapes.

use std::ops::Range;

use super::placeholder::{
    TagKind, accelerator_place, entity, is_block_tag, is_line_tag, placeholder, qt_placeholder, tag,
};
use crate::documents::xml::inline::{Code, Inline, Item, Space, shown};
use crate::documents::xml::patch::{Chunk, Patch, Writing};
use crate::documents::xml::{Kind, Xml, escape};
use crate::documents::{Part, Shown};

/// How the text of a message is read and written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Message {
    /// With Android's escapes.
    pub(super) is_android: bool,
    /// As HTML: there are tags or entities in it.
    pub(super) is_rich: bool,
    /// In one section of CDATA.
    pub(super) is_cdata: bool,
    /// With Qt's placeholders.
    pub(super) is_qt: bool,
    /// Where lines of the file are lines of the text.
    pub(super) has_lines: bool,
    /// The letter before which there was an `&`.
    pub(super) accelerator: Option<char>,
}

/// What an inline element is.
pub(super) enum Element {
    Pair,
    Alone(Shown),
    /// It begins or ends what has this key.
    Begin(String),
    End(String),
}

impl Message {
    /// How the text within these tokens is written.
    pub(super) fn of(xml: &Xml, tokens: Range<usize>) -> Self {
        let is_cdata = tokens.len() == 1 && xml.tokens[tokens.start].kind == Kind::CData;
        let data = xml.all_data(tokens);
        let is_rich = data.match_indices(['<', '&']).any(|(at, _)| {
            let rest = &data[at..];
            tag(rest).is_some() || entity(rest).is_some()
        });
        Self { is_rich, is_cdata, ..Self::default() }
    }

    /// Adds the texts within these tokens, of which `element` knows what they are, and says how their place is written.
    pub(super) fn add(
        self,
        patch: &mut Patch,
        tokens: Range<usize>,
        space: Space,
        name: Option<&str>,
        element: &dyn Fn(&Xml, usize) -> Element,
    ) -> Vec<Chunk> {
        let at = patch.xml.tokens.get(tokens.start).map_or(0, |token| token.range.start);
        let message = Self { has_lines: space == Space::Counts, ..self };
        let items = message.items(&patch.xml, tokens, element);
        let (mut chunks, mut piece, mut depth) = (Vec::new(), Vec::new(), 0_usize);
        let end = |patch: &mut Patch, chunks: &mut Vec<Chunk>, piece: Vec<Item>| match Inline::new(piece.clone(), space)
        {
            Some(inline) => {
                let text = patch.add(inline, Box::new(self), at, name.map(str::to_owned));
                chunks.push(Chunk::Text(text));
            }
            None => piece.into_iter().for_each(|item| chunks.push(Chunk::Code(self.as_it_is(&patch.xml, item)))),
        };
        if self.is_cdata {
            chunks.push(Chunk::made("<![CDATA["));
        }
        for item in items {
            match &item {
                Item::Open(_) => depth += 1,
                Item::Close(_) => depth = depth.saturating_sub(1),
                Item::Break(code) if depth == 0 => {
                    let code = code.clone();
                    end(patch, &mut chunks, std::mem::take(&mut piece));
                    chunks.push(Chunk::Code(code));
                    continue;
                }
                _ => {}
            }
            piece.push(item);
        }
        end(patch, &mut chunks, piece);
        if self.is_cdata {
            chunks.push(Chunk::made("]]>"));
        }
        chunks
    }

    /// An item that no translation changes.
    fn as_it_is(self, xml: &Xml, item: Item) -> Code {
        match item {
            Item::Text(text) => Code::Made(self.escaped(xml, &text)),
            Item::Open(code) | Item::Close(code) | Item::Begin(_, code) | Item::End(_, code) => code,
            Item::Alone(code, _) | Item::Break(code) => code,
        }
    }

    fn items(self, xml: &Xml, tokens: Range<usize>, element: &dyn Fn(&Xml, usize) -> Element) -> Vec<Item> {
        let (mut items, mut text, mut at) = (Vec::new(), String::new(), tokens.start);
        while at < tokens.end {
            let token = at;
            at += 1;
            if let Some(data) = xml.data(token) {
                text.push_str(&data);
                continue;
            }
            self.scan(xml, &std::mem::take(&mut text), &mut items);
            let source = Code::Source(xml.tokens[token].range.clone());
            let whole = Code::Source(xml.element(token.min(xml.tokens[token].pair)));
            items.push(match xml.tokens[token].kind {
                Kind::Start | Kind::Empty => {
                    let next = xml.tokens[token].pair + 1;
                    match element(xml, token) {
                        Element::Pair if xml.tokens[token].kind == Kind::Start => Item::Open(source),
                        kind => {
                            at = next;
                            match kind {
                                Element::Pair => Item::Alone(whole, Shown::Nothing),
                                Element::Alone(shown) => Item::Alone(whole, shown),
                                Element::Begin(key) => Item::Begin(key, whole),
                                Element::End(key) => Item::End(key, whole),
                            }
                        }
                    }
                }
                Kind::End => Item::Close(source),
                Kind::Reference => Item::Alone(source, shown(xml.source(token))),
                _ => Item::Alone(source, Shown::Nothing),
            });
        }
        self.scan(xml, &text, &mut items);
        items
    }

    /// Text that is written as code.
    fn code(self, xml: &Xml, text: &str) -> Code {
        Code::Made(if self.is_cdata { xml.cdata(text) } else { escape(text) })
    }

    /// Takes a text apart into words and codes.
    fn scan(self, xml: &Xml, text: &str, items: &mut Vec<Item>) {
        let (mut words, mut at) = (String::new(), 0);
        while let Some(found) = text[at..].find(['%', '{', '$', '#', '<', '&', '\\', '"', '\n']) {
            words.push_str(&text[at..at + found]);
            at += found;
            let rest = &text[at..];
            let (length, item) = match self.special(xml, rest, &text[..at]) {
                Some((length, Special::Item(item))) => (length, Some(item)),
                Some((length, Special::Words(other))) => {
                    words.push_str(&other);
                    (length, None)
                }
                None => {
                    words.push_str(&rest[..1]);
                    (1, None)
                }
            };
            if let Some(item) = item {
                if !words.is_empty() {
                    items.push(Item::Text(std::mem::take(&mut words)));
                }
                items.push(item);
            }
            at += length;
        }
        words.push_str(&text[at..]);
        if !words.is_empty() {
            items.push(Item::Text(words));
        }
    }

    /// What a text begins with that is no word, and its bytes.
    fn special(self, xml: &Xml, rest: &str, before: &str) -> Option<(usize, Special)> {
        let words = |length: usize, words: &str| Some((length, Special::Words(words.to_owned())));
        let item = |length: usize, item: fn(Code) -> Item| {
            Some((length, Special::Item(item(self.code(xml, &rest[..length])))))
        };
        match rest.as_bytes()[0] {
            b'\n' if self.is_android => None,
            b'\n' => {
                let length = rest.find(|c: char| !c.is_ascii_whitespace()).filter(|length| *length < rest.len())?;
                let is_break = rest[..length].matches('\n').count() > 1 || self.has_lines && ends_sentence(before);
                if is_break { item(length, Item::Break) } else { None }
            }
            b'"' if self.is_android => words(1, ""),
            b'\\' if self.is_android => {
                let escaped = rest[1..].chars().next()?;
                match escaped {
                    'n' => {
                        let length = line_ends(rest);
                        let is_break = rest[..length].matches('n').count() > 1 || ends_sentence(before);
                        item(length, if is_break { Item::Break } else { |code| Item::Alone(code, Shown::Space) })
                    }
                    't' => item(2, |code| Item::Alone(code, Shown::Space)),
                    'u' => {
                        let digits = rest.get(2..6)?;
                        match u32::from_str_radix(digits, 16).ok().and_then(char::from_u32) {
                            Some(character) if !character.is_control() => words(6, character.encode_utf8(&mut [0; 4])),
                            _ => item(6, |code| Item::Alone(code, Shown::Nothing)),
                        }
                    }
                    other => words(1 + other.len_utf8(), other.encode_utf8(&mut [0; 4])),
                }
            }
            b'<' => {
                let tag = tag(rest)?;
                let name = tag.name.to_lowercase();
                if is_block_tag(&name) || name == "br" && ends_sentence(before) {
                    return item(tag.length, Item::Break);
                }
                if !is_line_tag(&name) {
                    return Some((tag.length, self.shown(xml, &rest[..tag.length])));
                }
                let code = self.code(xml, &rest[..tag.length]);
                let made = match tag.kind {
                    TagKind::Open => Item::Begin(name, code),
                    TagKind::Close => Item::End(name, code),
                    TagKind::Alone if name == "br" => Item::Alone(code, Shown::Space),
                    TagKind::Alone => Item::Alone(code, Shown::Nothing),
                };
                Some((tag.length, Special::Item(made)))
            }
            b'&' if self.accelerator.is_some() => words(1, ""),
            b'&' if self.is_rich => match entity(rest)? {
                (length, Some(character)) => words(length, character.encode_utf8(&mut [0; 4])),
                (length, None) => Some((length, self.shown(xml, &rest[..length]))),
            },
            _ => {
                let qt = if self.is_qt { qt_placeholder(rest) } else { None };
                let length = qt.or_else(|| placeholder(rest, before.chars().next_back()))?;
                Some((length, self.shown(xml, &rest[..length])))
            }
        }
    }

    /// A code that is seen as it is.
    fn shown(self, xml: &Xml, text: &str) -> Special {
        Special::Item(Item::Alone(self.code(xml, text), shown(text)))
    }

    fn escaped(self, xml: &Xml, text: &str) -> String {
        let mut text = text.to_owned();
        if self.is_rich {
            text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\u{a0}', "&nbsp;");
        }
        if self.is_android {
            text = text.replace('\\', "\\\\").replace('\'', "\\'").replace('"', "\\\"");
            if text.starts_with(['@', '?']) {
                text.insert(0, '\\');
            }
        }
        if self.is_cdata { xml.cdata(&text) } else { escape(&text) }
    }
}

/// Whether a line that ends after this text is one by itself.
fn ends_sentence(before: &str) -> bool {
    before.trim_end().ends_with(['.', '!', '?', ':', ';', '…'])
}

/// The bytes of a text's ends of lines in Android's manner, `\n`, with white space between them.
fn line_ends(text: &str) -> usize {
    let mut length = 0;
    loop {
        let rest = &text[length..];
        let blank = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_whitespace()).len();
        match rest[blank..].starts_with("\\n") {
            true => length += blank + 2,
            false => return length,
        }
    }
}

enum Special {
    Item(Item),
    Words(String),
}

impl Element {
    /// A code that shows this text.
    pub(super) fn shown(text: &str) -> Self {
        Self::Alone(shown(text))
    }
}

impl Writing for Message {
    fn text(&self, xml: &Xml, text: &str, _open: &[usize], written: &mut String) {
        written.push_str(&self.escaped(xml, text));
    }

    fn prepared(&self, parts: &[Part]) -> Vec<Part> {
        let mut parts = parts.to_vec();
        let Some(letter) = self.accelerator else { return parts };
        let places = parts.iter().enumerate().filter_map(|(index, part)| match part {
            Part::Text(text) => accelerator_place(text, letter).map(|at| (index, at)),
            _ => None,
        });
        let place = places.min_by_key(|(index, at)| (!is_letter(&parts[*index], *at, letter), *index));
        if let Some((Part::Text(text), at)) = place.map(|(index, at)| (&mut parts[index], at)) {
            text.insert(at, '&');
        }
        parts
    }
}

/// Whether a text has this letter at a place.
fn is_letter(part: &Part, at: usize, letter: char) -> bool {
    let Part::Text(text) = part else { return false };
    text[at..].chars().next().is_some_and(|c| c.to_lowercase().eq(letter.to_lowercase()))
}
