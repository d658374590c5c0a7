//! What is known of elements and attributes by their names.

use super::tokens::Token;

/// What an element is to the text around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Ends a text and begins another.
    Block,
    /// Like a block, and nothing in it is text for people.
    BlockOpaque,
    /// A mark around words.
    Inline,
    /// A mark by itself, without an end.
    Void,
    /// With its content a mark by itself, of which nothing is seen.
    Opaque,
    /// With its content a mark by itself, whose text is seen and comes back as it is.
    Code,
    /// The line break.
    Break,
}

pub(super) fn role(name: &str) -> Role {
    match name {
        "br" => Role::Break,
        "img" | "input" | "wbr" | "embed" | "area" | "basefont" | "bgsound" | "image" | "keygen" => Role::Void,
        "code" | "kbd" | "samp" | "var" => Role::Code,
        "script" | "style" | "svg" | "math" | "iframe" | "textarea" | "rt" | "rp" | "rtc" | "noembed" => Role::Opaque,
        "pre" | "listing" | "xmp" | "plaintext" => Role::BlockOpaque,
        "address" | "article" | "aside" | "audio" | "blockquote" | "body" | "button" | "canvas" | "caption"
        | "center" | "col" | "colgroup" | "datalist" | "dd" | "details" | "dialog" | "dir" | "div" | "dl" | "dt"
        | "fieldset" | "figcaption" | "figure" | "footer" | "form" | "frame" | "frameset" | "h1" | "h2" | "h3"
        | "h4" | "h5" | "h6" | "head" | "header" | "hgroup" | "hr" | "html" | "label" | "legend" | "li" | "link"
        | "main" | "menu" | "menuitem" | "meta" | "nav" | "noframes" | "noscript" | "object" | "ol" | "optgroup"
        | "option" | "p" | "param" | "search" | "section" | "select" | "source" | "summary" | "table" | "tbody"
        | "td" | "template" | "tfoot" | "th" | "thead" | "title" | "tr" | "track" | "ul" | "video" | "base" => {
            Role::Block
        }
        _ => Role::Inline,
    }
}

/// Whether the element of a name has no end tag in HTML.
pub(super) fn is_void(name: &str) -> bool {
    matches!(role(name), Role::Void | Role::Break)
        || matches!(name, "base" | "col" | "frame" | "hr" | "link" | "meta" | "param" | "source" | "track")
}

/// Whether the element says that it is, or is not, to be translated.
pub(super) fn translate(tag: &Token) -> Option<bool> {
    match tag.attribute("translate").map(str::to_ascii_lowercase).as_deref() {
        Some("no") => return Some(false),
        Some("yes" | "") => return Some(true),
        _ => {}
    }
    let class = tag.attribute("class")?;
    class.split_ascii_whitespace().any(|class| class == "notranslate").then_some(false)
}

/// Whether people read the value of an attribute.
pub(super) fn is_read(tag: &Token, attribute: &str) -> bool {
    let Some(name) = tag.start() else { return false };
    let is = |attribute: &str, values: &[&str]| {
        tag.attribute(attribute)
            .is_some_and(|value| values.iter().any(|other| value.trim().eq_ignore_ascii_case(other)))
    };
    match attribute {
        "title" => name != "link" || !is("rel", &["stylesheet", "alternate stylesheet"]),
        "alt"
        | "placeholder"
        | "aria-label"
        | "aria-description"
        | "aria-placeholder"
        | "aria-roledescription"
        | "aria-valuetext" => true,
        "label" => matches!(name, "track" | "option" | "optgroup"),
        "summary" => name == "table",
        "abbr" => name == "th",
        "value" => name == "input" && is("type", &["submit", "button", "reset"]),
        "content" => {
            const NAMES: &[&str] = &[
                "description",
                "keywords",
                "og:title",
                "og:description",
                "og:site_name",
                "og:image:alt",
                "twitter:title",
                "twitter:description",
                "twitter:image:alt",
            ];
            name == "meta" && (is("name", NAMES) || is("property", NAMES) || is("itemprop", NAMES))
        }
        _ => false,
    }
}
