//! Texts out of the tokens of a page.

use std::borrow::Cow;
use std::collections::HashMap;

use super::elements::{Role, is_read, is_void, role, translate};
use super::tokens::{Kind, Token, tokens};
use crate::documents::Shown;
use crate::documents::inline::{Gathering, Text, in_order};

/// What is known of each token before the texts are read.
struct Survey {
    /// For a start tag, the token of its end tag.
    end: Vec<Option<usize>>,
    /// How many tags of blocks, and how many that say `translate="yes"`, are before each token.
    blocks: Vec<u32>,
    wanted: Vec<u32>,
}

impl Survey {
    fn new(tokens: &[Token], is_xml: bool) -> Self {
        let mut survey = Survey { end: vec![None; tokens.len()], blocks: vec![0], wanted: vec![0] };
        let mut open: HashMap<&str, Vec<usize>> = HashMap::new();
        let (mut blocks, mut wanted) = (0, 0);
        for (index, token) in tokens.iter().enumerate() {
            match &token.kind {
                Kind::Start { name, is_closed, .. } => {
                    if *is_closed && (is_xml || matches!(&name[..], "svg" | "math")) {
                        survey.end[index] = Some(index);
                    } else if is_xml || !is_void(name) {
                        open.entry(name).or_default().push(index);
                    }
                    blocks += u32::from(is_block(name));
                    wanted += u32::from(translate(token) == Some(true));
                }
                Kind::End { name } => {
                    if let Some(start) = open.get_mut(&name[..]).and_then(Vec::pop) {
                        survey.end[start] = Some(index);
                    }
                    blocks += u32::from(is_block(name));
                }
                _ => {}
            }
            survey.blocks.push(blocks);
            survey.wanted.push(wanted);
        }
        survey
    }

    fn has_blocks(&self, start: usize, end: usize) -> bool {
        self.blocks[end + 1] > self.blocks[start]
    }

    fn is_wanted(&self, start: usize, end: usize) -> bool {
        self.wanted[end + 1] > self.wanted[start + 1]
    }
}

fn is_block(name: &str) -> bool {
    matches!(role(name), Role::Block | Role::BlockOpaque)
}

/// The texts of a page in their order, each with its line.
pub(super) fn texts(source: &str, tokens: &[Token], is_xml: bool) -> Vec<Text> {
    let survey = Survey::new(tokens, is_xml);
    let mut reading =
        Reading { source, tokens, survey, is_xml, gathering: Gathering::default(), is_on: true, regions: Vec::new() };
    let mut index = 0;
    while index < tokens.len() {
        index = reading.token(index);
    }
    reading.gathering.flush(source);
    let mut texts = reading.gathering.texts;
    in_order(&mut texts, source);
    texts
}

struct Reading<'a> {
    source: &'a str,
    tokens: &'a [Token],
    survey: Survey,
    is_xml: bool,
    gathering: Gathering,
    /// Whether what is read is to be translated.
    is_on: bool,
    /// Elements that said something about it: the token they end at, and what was before.
    regions: Vec<(usize, bool)>,
}

impl Reading<'_> {
    /// Reads a token, and says which is next.
    fn token(&mut self, index: usize) -> usize {
        let token = &self.tokens[index];
        while let Some((_, before)) = self.regions.pop_if(|(end, _)| *end < index) {
            self.switch(before);
        }
        let next = match &token.kind {
            Kind::Text(value) => {
                if self.is_on {
                    self.gathering.text(&without_controls(value), token.range.clone(), self.source);
                }
                index + 1
            }
            Kind::Other => {
                if self.is_on {
                    self.gathering.alone(token.range.clone(), Shown::Nothing);
                }
                index + 1
            }
            Kind::End { name } => {
                match role(name) {
                    _ if !self.is_on => {}
                    Role::Block | Role::BlockOpaque => self.gathering.flush(self.source),
                    // Browsers take it for a line break.
                    Role::Break if !self.is_xml => self.gathering.line_break(token.range.clone(), self.source),
                    _ => self.gathering.close(name, token.range.clone()),
                }
                index + 1
            }
            Kind::Start { name, is_closed, .. } => self.start(index, name, *is_closed),
        };
        while let Some((_, before)) = self.regions.pop_if(|(end, _)| *end < next) {
            self.switch(before);
        }
        next
    }

    fn switch(&mut self, is_on: bool) {
        if self.is_on != is_on {
            self.gathering.flush(self.source);
            self.is_on = is_on;
        }
    }

    fn start(&mut self, index: usize, name: &str, is_closed: bool) -> usize {
        let token = &self.tokens[index];
        let is_empty = is_closed && self.is_xml || !self.is_xml && is_void(name);
        let end = self.survey.end[index];
        let role = role(name);
        match translate(token).filter(|wanted| *wanted != self.is_on) {
            Some(false) if is_empty => return self.untouched_void(index, role),
            Some(false) => {
                if let Some(end) = end.filter(|&end| !self.survey.is_wanted(index, end)) {
                    match self.survey.has_blocks(index, end) {
                        true => self.gathering.flush(self.source),
                        false => self.alone(index, end, true),
                    }
                    return end + 1;
                }
                self.region(index, end, false);
            }
            Some(true) => self.region(index, end, true),
            None => {}
        }
        if !self.is_on {
            // Scripts and the like hide tags.
            return index + 1;
        }
        // What is not text for people has no attributes for them either.
        match role {
            Role::Opaque | Role::Code | Role::BlockOpaque if !is_empty => {}
            _ => self.attributes(index),
        }
        match role {
            Role::Block => self.gathering.flush(self.source),
            Role::BlockOpaque => {
                self.gathering.flush(self.source);
                return end.map_or(self.tokens.len(), |end| end + 1);
            }
            Role::Break => self.gathering.line_break(token.range.clone(), self.source),
            _ if is_empty => self.gathering.alone(token.range.clone(), Shown::Nothing),
            Role::Opaque | Role::Code => match end {
                Some(end) if role == Role::Opaque || !self.survey.has_blocks(index, end) => {
                    self.alone(index, end, role == Role::Code);
                    return end + 1;
                }
                Some(end) => {
                    self.gathering.flush(self.source);
                    return end + 1;
                }
                // A script or a text area that never ends is all the rest.
                None if matches!(name, "script" | "style" | "textarea" | "iframe" | "noembed") && !self.is_xml => {
                    self.gathering.flush(self.source);
                    return self.tokens.len();
                }
                None => self.gathering.open(name, token.range.clone()),
            },
            Role::Inline if name == "sup" && self.is_reference(index, end) => {
                let end = end.unwrap_or(index);
                self.alone(index, end, false);
                return end + 1;
            }
            Role::Void | Role::Inline => self.gathering.open(name, token.range.clone()),
        }
        index + 1
    }

    fn untouched_void(&mut self, index: usize, role: Role) -> usize {
        let range = self.tokens[index].range.clone();
        match role {
            Role::Block | Role::BlockOpaque => self.gathering.flush(self.source),
            Role::Break => self.gathering.line_break(range, self.source),
            _ => self.gathering.alone(range, Shown::Nothing),
        }
        index + 1
    }

    /// An element that is translated, or not, unlike what is around it.
    fn region(&mut self, index: usize, end: Option<usize>, is_on: bool) {
        let before = self.is_on;
        self.switch(is_on);
        // Without an end tag: up to the next block.
        let next_block = || {
            let count = self.survey.blocks[index + 1];
            self.survey.blocks.partition_point(|blocks| *blocks <= count).saturating_sub(2)
        };
        let end = end.unwrap_or_else(next_block);
        // Within the one around it.
        let end = self.regions.last().map_or(end, |(outer, _)| end.min(*outer));
        self.regions.push((end, before));
    }

    /// Whether an element is a reference to a note, a link with a number, that would only disturb the sentence.
    fn is_reference(&self, start: usize, end: Option<usize>) -> bool {
        let Some(end) = end.filter(|&end| end < start + 12) else { return false };
        let inner = &self.tokens[start + 1..end];
        let is_letter = |token: &Token| matches!(&token.kind, Kind::Text(text) if text.contains(char::is_alphabetic));
        inner.iter().any(|token| token.start() == Some("a"))
            && !inner.iter().any(is_letter)
            && !self.survey.has_blocks(start, end)
    }

    /// An element with all that is in it as one mark, which is seen as its text if `is_text`.
    fn alone(&mut self, start: usize, end: usize, is_text: bool) {
        let range = self.tokens[start].range.start..self.tokens[end].range.end;
        let shown = match is_text {
            true => {
                let texts = self.tokens[start..=end].iter().filter_map(|token| match &token.kind {
                    Kind::Text(text) => Some(&text[..]),
                    _ => None,
                });
                Shown::Text(texts.collect())
            }
            false => Shown::Nothing,
        };
        self.gathering.alone(range, shown);
    }

    fn attributes(&mut self, index: usize) {
        let token = &self.tokens[index];
        for attribute in token.attributes() {
            if !attribute.range.is_empty() && is_read(token, &attribute.name) {
                let value = without_controls(&attribute.value);
                self.gathering.attribute(&attribute.name, &value, attribute.range.clone());
            }
        }
    }
}

/// Without characters that no page may hold.
fn without_controls(value: &str) -> Cow<'_, str> {
    let is_control = |c: char| c.is_control() && !c.is_whitespace();
    if value.contains(is_control) { value.replace(is_control, "").into() } else { value.into() }
}

/// The tokens of a page and its texts.
pub(super) fn read(source: &str, is_xml: bool) -> (Vec<Token>, Vec<Text>) {
    let tokens = tokens(source, is_xml);
    let texts = texts(source, &tokens, is_xml);
    (tokens, texts)
}
