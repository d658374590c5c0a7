//! The two simple model types: one piece a word, one piece a character.

use super::normalizer::{SPACE_SYMBOL, character_length, longest_user_defined};
use super::trie::Trie;

/// Every word with the space symbol in front of it.
pub(super) fn words(trie: &Trie, unknown: u32, text: &[u8], found: &mut Vec<(u32, u32)>) {
    let mut start = 0;
    for end in 1..=text.len() {
        if end == text.len() || text[end..].starts_with(SPACE_SYMBOL.as_bytes()) {
            found.push((end as u32, trie.get(&text[start..end]).unwrap_or(unknown)));
            start = end;
        }
    }
}

/// Every character, or user-defined piece.
pub(super) fn characters(
    trie: &Trie,
    user_defined: Option<&Trie>,
    unknown: u32,
    text: &[u8],
    found: &mut Vec<(u32, u32)>,
) {
    let mut start = 0;
    while start < text.len() {
        let whole = user_defined.and_then(|pieces| longest_user_defined(pieces, &text[start..]));
        let end = start + whole.unwrap_or_else(|| character_length(text[start]).min(text.len() - start));
        found.push((end as u32, trie.get(&text[start..end]).unwrap_or(unknown)));
        start = end;
    }
}
