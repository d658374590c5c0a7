//! What a page says of itself: its encoding, its language, its direction.

use super::tokens::{Attribute, Kind, Token};
use crate::documents::Options;
use crate::documents::inline::Edit;

/// The name of the encoding that a page says it is in, within its first bytes.
pub(super) fn declared_encoding(bytes: &[u8]) -> Option<String> {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]).to_ascii_lowercase();
    let after = |word: &str, within: &str| -> Option<String> {
        let rest = &within[within.find(word)? + word.len()..];
        let rest = rest.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_:.".contains(*c)).collect();
        (!name.is_empty()).then_some(name)
    };
    if start.starts_with("<?xml")
        && let Some(name) = after("encoding", &start[..start.find("?>").unwrap_or(start.len())])
    {
        return Some(name);
    }
    let metas = start.match_indices("<meta").map(|(at, _)| &start[at..]);
    let mut tags = metas.map(|meta| &meta[..meta.find('>').unwrap_or(meta.len())]);
    tags.find_map(|meta| after("charset", meta))
}

fn is_right_to_left(language: &str) -> bool {
    const RIGHT_TO_LEFT: &[&str] = &["ar", "arc", "ckb", "dv", "fa", "he", "iw", "ps", "sd", "syr", "ug", "ur", "yi"];
    let mut subtags = language.split(['-', '_']);
    let first = subtags.next().unwrap_or("").to_ascii_lowercase();
    let scripts: Vec<String> = subtags.map(str::to_ascii_lowercase).collect();
    match () {
        () if scripts.iter().any(|script| matches!(&script[..], "latn" | "cyrl")) => false,
        () if scripts.iter().any(|script| matches!(&script[..], "arab" | "hebr" | "thaa" | "syrc" | "nkoo")) => true,
        () => RIGHT_TO_LEFT.contains(&&first[..]),
    }
}

/// What changes in the page's tags once it is in the target language: `lang` of `html` if it says one, and `dir` if the direction changes.
pub(super) fn edits(source: &str, tokens: &[Token], options: &Options) -> Vec<Edit> {
    let Some(target) = options.target_language.as_deref().filter(|language| is_name(language)) else {
        return Vec::new();
    };
    let mut edits = Vec::new();
    let Some(html) = tokens.iter().find(|token| token.start() == Some("html")) else { return edits };
    let languages: Vec<&Attribute> = html
        .attributes()
        .iter()
        .filter(|a| matches!(&a.name[..], "lang" | "xml:lang") && !a.range.is_empty())
        .collect();
    edits.extend(languages.iter().map(|attribute| (attribute.range.clone(), target.to_owned())));
    let present = html.attributes().iter().find(|attribute| attribute.name == "dir");
    let language = options.source_language.as_deref().or(languages.first().map(|attribute| &attribute.value[..]));
    let was = match language {
        Some(language) => is_right_to_left(language),
        None => present.is_some_and(|attribute| attribute.value.eq_ignore_ascii_case("rtl")),
    };
    let is = is_right_to_left(target);
    let direction = if is { "rtl" } else { "ltr" };
    match (present, languages.first()) {
        (Some(present), _) if present.range.is_empty() || present.value.eq_ignore_ascii_case("auto") => {}
        (Some(present), _) if !present.value.eq_ignore_ascii_case(direction) && was != is => {
            edits.push((present.range.clone(), direction.to_owned()));
        }
        (None, Some(first)) if was != is => {
            // Behind the language, and its quotation mark.
            let end = first.range.end + usize::from(source[first.range.end..].starts_with(['"', '\'']));
            edits.push((end..end, format!(" dir=\"{direction}\"")));
        }
        _ => {}
    }
    for meta in tokens.iter().filter(|token| matches!(&token.kind, Kind::Start { name, .. } if name == "meta")) {
        if meta.attribute("http-equiv").is_some_and(|name| name.eq_ignore_ascii_case("content-language")) {
            let content =
                meta.attributes().iter().find(|attribute| attribute.name == "content" && !attribute.range.is_empty());
            edits.extend(content.map(|content| (content.range.clone(), target.to_owned())));
        }
    }
    edits
}

/// Whether something can be a language tag, so that no attribute breaks.
fn is_name(language: &str) -> bool {
    !language.is_empty() && language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
