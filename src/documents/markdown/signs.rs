//! Signs that the parser does not know: tags of templates, directives, attributes of headings, and ends of links.

use std::ops::Range;

use pulldown_cmark::LinkType;

/// The longest tag of a template, in bytes.
const LONGEST_TEMPLATE: usize = 1000;

/// Tags of templates: `{{ … }}` and `{% … %}`, each in one paragraph.
pub(super) fn templates(source: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = source[at..].find('{').map(|start| at + start) {
        at = start + 1;
        if source[..start].ends_with('\\') {
            continue;
        }
        let close = match source.as_bytes().get(start + 1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            _ => continue,
        };
        let mut limit = source.len().min(start + LONGEST_TEMPLATE);
        while !source.is_char_boundary(limit) {
            limit -= 1;
        }
        let rest = &source[start + 2..limit.max(start + 2)];
        if let Some(end) =
            rest.find(close).filter(|&end| !rest[..end].contains("\n\n") && !rest[..end].contains("\r\n\r\n"))
        {
            let end = start + 2 + end + close.len();
            found.push(start..end);
            at = end;
        }
    }
    found
}

/// Where a link ends whose text is its label: its text must be another without its address being lost.
pub(super) fn label_of(raw: &str, link_type: LinkType) -> Option<usize> {
    match link_type {
        LinkType::Shortcut | LinkType::ShortcutUnknown => Some(raw.len() - 1),
        LinkType::Collapsed | LinkType::CollapsedUnknown => raw.len().checked_sub(3),
        _ => None,
    }
}

/// Where the attributes of a heading begin: `{#name .class key=value}`.
pub(super) fn attributes_at_end(text: &str) -> Option<usize> {
    let start = text.strip_suffix('}')?.rfind('{')?;
    let inner = text[start + 1..text.len() - 1].trim();
    let is_attribute = |word: &str| word.starts_with(['#', '.', ':']) || word.contains('=');
    let is_whole = !inner.contains('}') && !text[..start].ends_with('{');
    (is_whole && !inner.is_empty() && inner.split_whitespace().all(is_attribute)).then_some(start)
}

/// Lines that belong to the programs that make pages: containers, admonitions, lists of attributes, templates.
pub(super) fn is_directive(line: &str) -> bool {
    let line = line.trim();
    let is_template =
        (line.starts_with("{%") && line.ends_with("%}")) || (line.starts_with("{{") && line.ends_with("}}"));
    ["+++", ":::", "!!!", "???", "{:", "{::", "[TOC]", "[[_TOC_]]", "[[toc]]", "<!--"]
        .iter()
        .any(|start| line.starts_with(start))
        || is_template && !line[2..line.len() - 2].contains(['{', '}'])
}
