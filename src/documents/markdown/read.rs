//! Texts out of the events of pulldown-cmark.

use std::collections::HashMap;
use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, LinkType, Options as Extensions, Parser, Tag, TagEnd};

use super::signs::{attributes_at_end, is_directive, label_of, templates};
use super::{Layout, Page, Place, blocks};
use crate::documents::inline::{Gathering, Text, in_order};
use crate::documents::{Encoding, Options, Shown};
use crate::{Error, Result};

/// Attributes of headings are found here, because the parser panics on some of them.
fn extensions() -> Extensions {
    Extensions::ENABLE_TABLES
        | Extensions::ENABLE_FOOTNOTES
        | Extensions::ENABLE_STRIKETHROUGH
        | Extensions::ENABLE_TASKLISTS
        | Extensions::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Extensions::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS
        | Extensions::ENABLE_MATH
        | Extensions::ENABLE_GFM
}

/// Takes a page apart.
///
/// # Errors
/// If the parser fails.
pub(super) fn read(encoding: Encoding, source: String, options: &Options) -> Result<Page> {
    // The parser is known to panic now and then on pages that nobody writes.
    let page = std::panic::catch_unwind(|| parse(encoding, source, options));
    page.map_err(|_| Error::Text("the Markdown parser cannot read it; translate it as text (--type text)".to_owned()))
}

fn parse(encoding: Encoding, source: String, options: &Options) -> Page {
    let mut reading = Reading {
        source: &source,
        templates: templates(&source),
        gathering: Gathering::default(),
        layouts: HashMap::new(),
        labels: HashMap::new(),
        open: Vec::new(),
        place: Place::Block,
        start: None,
        end: 0,
        skip: 0,
        join: None,
        pending_break: None,
        html: None,
        blocks: Vec::new(),
        has_front_matter: false,
        after_admonition: false,
        has_admonition: false,
    };
    let mut events = Parser::new_ext(&source, extensions()).into_offset_iter();
    while let Some((event, range)) = events.next() {
        match event {
            Event::Start(Tag::Image { link_type, id, .. }) => {
                let mut inner = Vec::new();
                let mut depth = 1;
                for (event, range) in events.by_ref() {
                    match &event {
                        Event::Start(Tag::Image { .. }) => depth += 1,
                        Event::End(TagEnd::Image) => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                    inner.push((event, range));
                }
                reading.image(range, link_type, &id, &inner);
            }
            Event::Start(Tag::Link { link_type: LinkType::Autolink | LinkType::Email, .. }) => {
                for (event, _) in events.by_ref() {
                    if matches!(event, Event::End(TagEnd::Link)) {
                        break;
                    }
                }
                let text = source[range.clone()].trim_matches(['<', '>']).to_owned();
                reading.inline(range.clone());
                reading.gathering.alone(range, Shown::Text(text));
            }
            Event::Start(Tag::CodeBlock(_) | Tag::MetadataBlock(_)) => {
                let is_indented = matches!(event, Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)));
                reading.has_admonition |= is_indented && reading.after_admonition;
                reading.has_front_matter |= matches!(event, Event::Start(Tag::MetadataBlock(_)));
                reading.block(Place::Block);
                for (event, _) in events.by_ref() {
                    if matches!(event, Event::End(TagEnd::CodeBlock | TagEnd::MetadataBlock(_))) {
                        break;
                    }
                }
            }
            other => reading.event(other, range),
        }
    }
    reading.block(Place::Block);
    let Reading { gathering, mut layouts, labels, blocks, has_front_matter, has_admonition, .. } = reading;
    let mut texts = gathering.texts;
    in_order(&mut texts, &source);
    let plain = Layout { place: Place::Block, begins_line: false, wrapped: None };
    let layouts = texts.iter().map(|text| layouts.remove(&text.range.start).unwrap_or_else(|| plain.clone())).collect();
    let blocks = blocks::read(&source, blocks, options);
    let (segments, origins) = blocks::merged(&source, &mut texts, &blocks);
    let notes = [
        (has_front_matter, "the front matter (title, description and so on) is not translated"),
        (has_admonition, "what is indented under `!!!` and `???` is taken for code and not translated"),
    ];
    let notes = notes.iter().filter(|(is_so, _)| *is_so).map(|(_, note)| (*note).to_owned()).collect();
    Page { encoding, source, segments, origins, texts, layouts, labels, blocks, notes }
}

struct Reading<'a> {
    source: &'a str,
    templates: Vec<Range<usize>>,
    gathering: Gathering,
    /// By the first byte of the text.
    layouts: HashMap<usize, Layout>,
    labels: HashMap<usize, String>,
    /// Elements that are open: their bytes, and where the last thing in them ended.
    open: Vec<Range<usize>>,
    place: Place,
    /// Where the text that is being read began, and where the last thing in it ended.
    start: Option<usize>,
    end: usize,
    /// What begins before this byte is not read: a line that is none of the text, a template.
    skip: usize,
    /// What stands between two lines of the text.
    join: Option<String>,
    /// The end of a line, until it is known what comes before the next word.
    pending_break: Option<(usize, bool)>,
    /// The block of HTML that is being read; none if it does not lie together.
    html: Option<Option<Range<usize>>>,
    blocks: Vec<Range<usize>>,
    has_front_matter: bool,
    /// Whether the last line of text was `!!! note`, and whether something was indented under one.
    after_admonition: bool,
    has_admonition: bool,
}

impl Reading<'_> {
    /// A block begins or ends.
    fn block(&mut self, next: Place) {
        self.flush();
        self.place = next;
    }

    fn flush(&mut self) {
        let before = self.gathering.texts.len();
        self.gathering.flush(self.source);
        let last = self.gathering.texts.get(before..).and_then(<[Text]>::last).filter(|text| !text.is_attribute);
        if let Some(text) = last {
            let range = text.range.clone();
            let line_of = |at: usize| self.source[..at].rfind(['\n', '\r']).map_or(0, |end| end + 1);
            let wrapped = self.join.take().map(|join| {
                let end = self.source[range.end..].find(['\n', '\r']).map_or(self.source.len(), |end| range.end + end);
                let lines = self.source[line_of(range.start)..end].lines();
                (join, lines.map(|line| line.trim_end().chars().count()).max().unwrap_or(0))
            });
            let begins_line = self.start == Some(range.start) && matches!(self.place, Place::Block | Place::Underlined);
            self.layouts.insert(range.start, Layout { place: self.place, begins_line, wrapped });
        }
        (self.start, self.join, self.pending_break) = (None, None, None);
        self.open.clear();
    }

    /// Something inline begins: the end of a line before it is complete, and a line of signs is left out.
    fn inline(&mut self, range: Range<usize>) {
        if let Some((start, is_hard)) = self.pending_break.take() {
            let raw = &self.source[start..range.start.max(start)];
            if self.join.is_none() {
                let line_end = raw.find(['\n', '\r']).unwrap_or(0);
                self.join = Some(raw[line_end..].to_owned());
            }
            match is_hard {
                true => self.gathering.line_break(start..range.start.max(start), self.source),
                false => self.gathering.text(" ", start..range.start.max(start), self.source),
            }
        }
        self.start.get_or_insert(range.start);
        self.end = range.end;
    }

    /// Whether an event stands in what is left out. A line of directives is left out when it begins.
    fn is_left_out(&mut self, range: &Range<usize>) -> bool {
        let begins_line = self.start.is_none() || self.pending_break.is_some();
        if begins_line && range.start >= self.skip && self.place == Place::Block {
            let rest = &self.source[range.start..];
            let line = &rest[..rest.find(['\n', '\r']).unwrap_or(rest.len())];
            let is_escaped = self.source[..range.start].ends_with('\\');
            if !is_escaped && is_directive(line) && self.open.is_empty() {
                let place = self.place;
                self.block(place);
                self.skip = range.start + line.len();
                self.after_admonition = line.starts_with(['!', '?']);
            }
        }
        if range.start >= self.skip {
            self.after_admonition = false;
            return false;
        }
        self.skip = self.skip.max(range.end);
        true
    }

    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(tag) => match tag {
                Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Superscript | Tag::Subscript => {
                    self.open_element(range, &tag)
                }
                Tag::Link { .. } => self.open_element(range, &tag),
                Tag::Heading { .. } => {
                    let is_marked = self.source[range.clone()].trim_start().starts_with('#');
                    self.block(if is_marked { Place::Heading } else { Place::Underlined });
                }
                Tag::TableCell => self.block(Place::Cell),
                Tag::HtmlBlock => {
                    self.block(Place::Block);
                    self.html = Some(None);
                }
                _ => self.block(Place::Block),
            },
            Event::End(tag) => match tag {
                TagEnd::Emphasis
                | TagEnd::Strong
                | TagEnd::Strikethrough
                | TagEnd::Superscript
                | TagEnd::Subscript
                | TagEnd::Link => self.close_element(range),
                TagEnd::HtmlBlock => {
                    let block = self.html.take().flatten();
                    self.blocks.extend(block.filter(|block| block.end > block.start));
                }
                _ => self.block(Place::Block),
            },
            Event::Text(text) => self.text(&text, range),
            Event::Html(_) => match &mut self.html {
                Some(Some(block)) if block.end == range.start => block.end = range.end,
                // Behind the signs of a quotation.
                Some(block @ Some(_)) => *block = Some(range.start..range.start),
                Some(block @ None) => *block = Some(range),
                None => {}
            },
            Event::Rule => self.block(Place::Block),
            Event::TaskListMarker(_) => self.flush(),
            Event::SoftBreak | Event::HardBreak => {
                if range.start >= self.skip && self.start.is_some() {
                    let is_hard = matches!(event, Event::HardBreak);
                    self.pending_break.get_or_insert((self.end.min(range.start), is_hard));
                } else if range.start < self.skip {
                    self.skip = self.skip.max(range.end);
                }
            }
            Event::Code(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::FootnoteReference(_)
            | Event::InlineHtml(_) => {
                if self.is_left_out(&range) {
                    return;
                }
                self.inline(range.clone());
                match event {
                    Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                        self.gathering.alone(range, Shown::Text(text.into_string()));
                    }
                    Event::InlineHtml(_) => self.inline_html(range),
                    _ => self.gathering.alone(range, Shown::Nothing),
                }
            }
        }
    }

    /// The bytes of a link or a picture; the parser leaves out the brackets of an empty label.
    fn with_label(&self, range: Range<usize>, link_type: LinkType) -> Range<usize> {
        let is_collapsed = matches!(link_type, LinkType::Collapsed | LinkType::CollapsedUnknown);
        let is_short = !self.source[range.clone()].ends_with("][]") && self.source[range.end..].starts_with("[]");
        range.start..range.end + if is_collapsed && is_short { 2 } else { 0 }
    }

    fn open_element(&mut self, range: Range<usize>, tag: &Tag<'_>) {
        if self.is_left_out(&range) {
            return;
        }
        let range = match tag {
            Tag::Link { link_type, .. } => self.with_label(range, *link_type),
            _ => range,
        };
        let raw = &self.source[range.clone()];
        let length = match tag {
            Tag::Strong => 2,
            Tag::Strikethrough => raw.bytes().take_while(|&byte| byte == b'~').count().min(2),
            _ => 1,
        };
        self.inline(range.start..range.start + length);
        if let Tag::Link { link_type, id, .. } = tag
            && let Some(at) = label_of(raw, *link_type)
        {
            self.labels.insert(range.start + at, format!("][{id}]"));
        }
        self.gathering.open(MARKUP, range.start..range.start + length);
        self.open.push(range);
    }

    fn close_element(&mut self, range: Range<usize>) {
        let Some(range) = self.open.pop_if(|open| open.start == range.start) else { return };
        // Its delimiter is what is left behind the last thing in it.
        let raw = &self.source[range.clone()];
        let start = match raw.as_bytes().first() {
            Some(b'[') => self.end.min(range.end),
            Some(b'~') => range.end - raw.bytes().take_while(|&byte| byte == b'~').count().min(2).min(raw.len() / 2),
            _ if raw.starts_with("**") || raw.starts_with("__") => {
                // Strong in emphasis and the other way round begin alike.
                range.end - self.end.min(range.end).abs_diff(range.end).clamp(1, 2)
            }
            _ => range.end - 1,
        };
        self.pending_break = None;
        self.gathering.close_whole(MARKUP, start..range.end);
        self.end = range.end;
    }

    fn text(&mut self, text: &str, range: Range<usize>) {
        if range.start < self.skip && range.end > self.skip && self.source[range.clone()] == *text {
            // Behind a template.
            let start = self.skip;
            return self.text(&self.source[start..range.end], start..range.end);
        }
        if self.is_left_out(&range) {
            return;
        }
        // The backslash of an escaped sign belongs to it.
        let is_escaped = self.source[..range.start].ends_with('\\') && range.start > self.end;
        let mut start = range.start - usize::from(is_escaped);
        self.inline(start..range.end);
        let (mut text, mut at) = (text, range.start);
        let is_plain = self.source[range.clone()] == *text;
        let mut next = self.templates.partition_point(|template| template.end <= range.start);
        while let Some(template) =
            self.templates.get(next).filter(|template| (at..range.end).contains(&template.start)).cloned()
            && is_plain
            && self.open.last().is_none_or(|outer| template.end < outer.end)
        {
            if template.start > at {
                self.gathering.text(&self.source[at..template.start], start..template.start, self.source);
            }
            self.gathering.alone(template.clone(), Shown::Text(self.source[template.clone()].to_owned()));
            (at, start, next) = (template.end, template.end, next + 1);
            (self.end, self.skip) = (self.end.max(at), at);
            if at >= range.end {
                return;
            }
            text = &self.source[at..range.end];
        }
        let ends_heading = || {
            let rest = self.source[range.end..].trim_start_matches([' ', '#']);
            rest.is_empty() || rest.starts_with(['\n', '\r'])
        };
        let is_heading = matches!(self.place, Place::Heading | Place::Underlined) && is_plain;
        match attributes_at_end(text).filter(|_| is_heading && ends_heading()) {
            Some(length) => {
                if length > 0 {
                    self.gathering.text(&text[..length], start..at + length, self.source);
                }
                self.gathering.alone(at + length..range.end, Shown::Nothing);
            }
            None => self.gathering.text(text, start..range.end, self.source),
        }
    }

    fn image(&mut self, range: Range<usize>, link_type: LinkType, id: &str, inner: &[(Event<'_>, Range<usize>)]) {
        if self.is_left_out(&range) {
            return;
        }
        let range = self.with_label(range, link_type);
        self.inline(range.clone());
        self.gathering.alone(range.clone(), Shown::Nothing);
        let mut text = String::new();
        for (event, _) in inner {
            match event {
                Event::Text(part) => text.push_str(part),
                Event::SoftBreak | Event::HardBreak => text.push(' '),
                // Markup within it stays as it is.
                _ => return,
            }
        }
        let (Some(first), Some(last)) = (inner.first(), inner.last()) else { return };
        let start = (range.start + 2).min(first.1.start);
        // The backslash before an escaped bracket.
        let bytes = start..last.1.end;
        if let Some(at) = label_of(&self.source[range.start + 1..range.end], link_type) {
            self.labels.insert(range.start + 1 + at, format!("][{id}]"));
        }
        let before = self.gathering.texts.len();
        self.gathering.attribute("alt", &text, bytes);
        if self.gathering.texts.len() > before {
            self.layouts.entry(start).or_insert(Layout { place: self.place, begins_line: false, wrapped: None });
        }
    }

    fn inline_html(&mut self, range: Range<usize>) {
        let raw = &self.source[range.clone()];
        let inner = raw.trim_start_matches('<').trim_end_matches('>');
        let (inner, is_end) = inner.strip_prefix('/').map_or((inner, false), |inner| (inner, true));
        let name: String = inner.chars().take_while(|c| c.is_ascii_alphanumeric() || "-:".contains(*c)).collect();
        let name = name.to_ascii_lowercase();
        match &name[..] {
            "" => self.gathering.alone(range, Shown::Nothing),
            "br" => self.gathering.line_break(range, self.source),
            _ if is_end => self.gathering.close(&name, range),
            "img" | "input" | "wbr" | "hr" | "embed" | "source" | "area" => self.gathering.alone(range, Shown::Nothing),
            _ if inner.ends_with('/') => self.gathering.alone(range, Shown::Nothing),
            _ => self.gathering.open(&name, range),
        }
    }
}

/// The name that elements of Markdown have among those of HTML.
const MARKUP: &str = "*";
