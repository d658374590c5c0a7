//! Tags, texts and the rest of a page with the bytes they stand on, by html5gum.

use std::ops::Range;

use html5gum::emitters::callback::{Callback, CallbackEmitter, CallbackEvent};
use html5gum::{Emitter, ForwardingEmitter, Span, State, Tokenizer};

/// A piece of a page.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) range: Range<usize>,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Its name in lower case, and whether it is written `<name/>`.
    Start {
        name: String,
        is_closed: bool,
        attributes: Vec<Attribute>,
    },
    End {
        name: String,
    },
    /// With entities resolved.
    Text(String),
    /// A comment, a document type, a processing instruction, a tag that the end of the file cuts off.
    Other,
}

#[derive(Debug)]
pub(super) struct Attribute {
    /// In lower case.
    pub(super) name: String,
    /// With entities resolved.
    pub(super) value: String,
    /// The bytes of the value without quotes.
    pub(super) range: Range<usize>,
}

impl Token {
    pub(super) fn start(&self) -> Option<&str> {
        if let Kind::Start { name, .. } = &self.kind { Some(name) } else { None }
    }

    pub(super) fn attributes(&self) -> &[Attribute] {
        if let Kind::Start { attributes, .. } = &self.kind { attributes } else { &[] }
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes().iter().find(|attribute| attribute.name == name).map(|attribute| &attribute.value[..])
    }
}

/// All tokens of a page; together they are its bytes.
pub(super) fn tokens(text: &str, is_xml: bool) -> Vec<Token> {
    let tags = Tags { inner: CallbackEmitter::new(Collector::default()), is_xml };
    let mut tokens: Vec<Token> = Vec::new();
    let mut end = 0;
    let mut add = |range: Range<usize>, kind: Kind| {
        // What has no token of its own.
        if range.start > end {
            let gap = end..range.start;
            match tokens.last_mut() {
                // The end of a section that is text.
                Some(Token { range, kind: Kind::Text(_) }) if text[gap.clone()] == *"]]>" => range.end = gap.end,
                _ => tokens.push(Token { range: gap, kind: Kind::Other }),
            }
        }
        if range.start >= end && range.end > range.start {
            end = range.end;
            tokens.push(Token { range, kind });
        }
    };
    for Ok(Token { range, kind }) in Tokenizer::new_with_emitter(text, tags) {
        add(range, kind);
    }
    add(text.len()..text.len(), Kind::Other);
    tokens
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Makes tokens of events.
#[derive(Default)]
struct Collector {
    /// The start tag that is being read.
    start: usize,
    name: Option<String>,
    attributes: Vec<Attribute>,
    /// The name of the last start tag.
    last: String,
}

impl Callback<Token, usize> for Collector {
    fn handle_event(&mut self, event: CallbackEvent<'_>, span: Span<usize>) -> Option<Token> {
        let token = |kind| Some(Token { range: span.start..span.end, kind });
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.start = span.start;
                self.name = Some(text_of(name));
                self.attributes.clear();
                None
            }
            CallbackEvent::AttributeName { name } => {
                if self.name.is_some() {
                    let range = span.end..span.end;
                    self.attributes.push(Attribute { name: text_of(name), value: String::new(), range });
                }
                None
            }
            CallbackEvent::AttributeValue { value } => {
                if let (Some(attribute), true) = (self.attributes.last_mut(), self.name.is_some()) {
                    (attribute.value, attribute.range) = (text_of(value), span.start..span.end);
                }
                None
            }
            CallbackEvent::CloseStartTag { self_closing } => {
                let name = self.name.take().unwrap_or_default();
                self.last.clone_from(&name);
                let kind =
                    Kind::Start { name, is_closed: self_closing, attributes: std::mem::take(&mut self.attributes) };
                Some(Token { range: self.start..span.end, kind })
            }
            CallbackEvent::EndTag { name } => {
                self.name = None;
                token(Kind::End { name: text_of(name) })
            }
            CallbackEvent::String { value } => token(Kind::Text(text_of(value))),
            CallbackEvent::Comment { .. } | CallbackEvent::Doctype { .. } => token(Kind::Other),
            CallbackEvent::Error(_) => None,
        }
    }
}

/// Switches to the states in which a page is no markup: within scripts and the like. XML has none of them, but sections of CDATA.
struct Tags {
    inner: CallbackEmitter<Collector, Token, usize>,
    is_xml: bool,
}

impl ForwardingEmitter for Tags {
    type Token = Token;

    fn inner(&mut self) -> &mut impl Emitter<Token = Token> {
        &mut self.inner
    }

    fn emit_current_tag(&mut self) -> Option<State> {
        self.inner.callback_mut().last.clear();
        let _ = self.inner.emit_current_tag();
        let state = match &self.inner.callback_mut().last[..] {
            _ if self.is_xml => None,
            "textarea" | "title" => Some(State::RcData),
            "plaintext" => Some(State::PlainText),
            "script" => Some(State::ScriptData),
            "style" | "iframe" | "xmp" | "noembed" => Some(State::RawText),
            _ => None,
        };
        if state.is_some() {
            self.inner.init_string();
        }
        state
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&mut self) -> bool {
        self.is_xml
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, is_xml: bool) -> Result<(), String> {
        let mut end = 0;
        for token in tokens(text, is_xml) {
            if token.range.start != end {
                return Err(format!("gap at {end}: {token:?}"));
            }
            end = token.range.end;
            let Some(raw) = text.get(token.range.clone()) else { return Err(format!("within a character: {token:?}")) };
            let is_good = match &token.kind {
                Kind::Start { attributes, .. } => {
                    let end = if raw.ends_with('>') { 1 } else { 0 };
                    attributes.iter().all(|attribute| {
                        let Some(raw) = text.get(attribute.range.clone()) else { return false };
                        let same = raw.contains(['&', '\r', '\0']) || raw == attribute.value;
                        same && attribute.range.end <= token.range.end && attribute.range.start > token.range.start
                    }) && raw.starts_with('<')
                        && end == 1
                }
                Kind::End { .. } => raw.starts_with("</") && raw.ends_with('>'),
                Kind::Text(value) => raw.contains(['&', '\r', '\0']) || raw == value || is_xml && raw.contains("CDATA"),
                Kind::Other => true,
            };
            if !is_good {
                return Err(format!("{raw:?}: {token:?}"));
            }
        }
        if end == text.len() { Ok(()) } else { Err(format!("ends at {end} of {}", text.len())) }
    }

    #[test]
    fn tokens_are_the_bytes_of_the_page() {
        for text in [
            "a < b &amp; c <p class=x title='a \"b\"' alt = \"ü&quot;\" hidden>Größe &nbsp;x</P >\r\n<br/><!-- < --><!doctype html>",
            "<script>if (a<b) '</p>'</script>x<title>a<b>&lt;</title><textarea>\n<p></textarea><style>a>b</style>",
            "<a href=",
            "<a href='x",
            "<",
            "</",
            "</p",
            "<!",
            "<!--",
            "<!-- x",
            "<![CDATA[x]]>",
            "&",
            "&am",
            "&#x41;x&notit;",
            "<?php a > b ?>x",
            "<p\n\ntitle\n=\n'x\r\ny'\n>z",
            "<a/b=c/>",
            "<a 'b\"=c>",
            "</a b=c>",
            "<1>",
            "</1>",
            "</>x",
            "<>",
            "<a b=\"\">",
            "<a b=''c>",
            "\0<a\0b=\0>",
            "a\rb\r\nc",
            "<p x=&amp;y&lt;>",
        ] {
            check(text, false).unwrap();
            check(text, true).unwrap();
        }
        check("<p>a</p><![CDATA[ <b> ]]]> ]]>x<script/>y", true).unwrap();
    }
}
