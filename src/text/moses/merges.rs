//! Byte pair encoding with a mark at the end of words (`merges.txt`).

use std::collections::HashMap;
use std::path::Path;

use super::characters::is_space;
use crate::{Error, Result};

/// The mark after the last character of a token.
pub(in crate::text) const WORD_END: &str = "</w>";

/// Which pieces are put together, best first (Sennrich, Haddow and Birch 2016).
#[derive(Debug, Default)]
pub struct Merges {
    /// A number for every piece that is in a merge or comes out of one.
    symbols: HashMap<Box<str>, u32>,
    merges: HashMap<(u32, u32), Merge>,
    /// Whether [`WORD_END`] is a piece of its own at first, and not the end of a token's last character.
    end_is_piece: bool,
}

/// What becomes of a pair.
#[derive(Clone, Copy, Debug)]
struct Merge {
    /// The best is 0.
    rank: u32,
    /// The symbol that comes out.
    symbol: u32,
}

/// A piece in the making.
#[derive(Clone, Copy)]
struct Part {
    /// Where it ends in the token.
    end: usize,
    /// `None` for a character that is in no merge.
    symbol: Option<u32>,
    /// What becomes of it and the next piece.
    with_next: Option<Merge>,
}

impl Merges {
    /// Reads the contents of a `merges.txt`, two pieces a line and perhaps a count; `path` names it in messages. Of a
    /// merge listed twice the last line counts.
    ///
    /// # Errors
    /// If it is not valid UTF-8, or a line has one piece.
    pub fn parse(bytes: &[u8], path: impl AsRef<Path>) -> Result<Self> {
        let problem = |problem: String| Error::model(&path, format!("not a usable list of merges: {problem}"));
        let text = std::str::from_utf8(bytes).map_err(|_| problem("it is not valid UTF-8; save it as UTF-8".into()))?;
        let mut list = Self::default();
        for (rank, line) in text.lines().enumerate() {
            let mut fields = line.split(is_space).filter(|field| !field.is_empty());
            match (fields.next(), fields.next()) {
                (Some(left), Some(right)) => list.add(left, right, rank as u32),
                (Some(one), None) => {
                    let number = rank + 1;
                    return Err(problem(format!(
                        "line {number} is {one:?}; it should be two pieces with a space between"
                    )));
                }
                _ => {}
            }
        }
        Ok(list)
    }

    /// A list of these pairs, best first. Of a pair that is listed twice the first counts.
    pub(in crate::text) fn of_pairs(pairs: &[(&str, &str)], end_is_piece: bool) -> Self {
        let mut list = Self { end_is_piece, ..Self::default() };
        for (rank, (left, right)) in pairs.iter().enumerate().rev() {
            list.add(left, right, rank as u32);
        }
        list
    }

    fn add(&mut self, left: &str, right: &str, rank: u32) {
        let pair = (self.symbol(left), self.symbol(right));
        let merge = Merge { rank, symbol: self.symbol(&[left, right].concat()) };
        self.merges.insert(pair, merge);
    }

    fn symbol(&mut self, piece: &str) -> u32 {
        let next = self.symbols.len() as u32;
        *self.symbols.entry(Box::from(piece)).or_insert(next)
    }

    /// Calls `emit` with every piece of a token; the last one ends with [`WORD_END`], or is it. An empty token
    /// has none.
    ///
    /// The best pair is put together wherever it stands, from left to right, until no pair is in the list.
    pub(in crate::text) fn split(&self, token: &str, mut emit: impl FnMut(&str)) {
        let text = format!("{token}{WORD_END}");
        let mut parts = Vec::with_capacity(token.len() + 1);
        let part = |start: usize, end| {
            let symbol = self.symbols.get(&text[start..end]).copied();
            Part { end, symbol, with_next: None }
        };
        for (start, character) in token.char_indices() {
            let end = start + character.len_utf8();
            let end = if end == token.len() && !self.end_is_piece { text.len() } else { end };
            parts.push(part(start, end));
        }
        if self.end_is_piece && !token.is_empty() {
            parts.push(part(token.len(), text.len()));
        }
        (0..parts.len()).for_each(|at| parts[at].with_next = self.merge_at(&parts, at));
        while let Some(best) = parts.iter().filter_map(|part| part.with_next).min_by_key(|merge| merge.rank) {
            let mut changed = Vec::new();
            let (mut at, mut kept) = (0, 0);
            while at < parts.len() {
                parts[kept] = parts[at];
                if parts[at].with_next.is_some_and(|merge| merge.rank == best.rank) {
                    at += 1;
                    parts[kept] = Part { end: parts[at].end, symbol: Some(best.symbol), with_next: None };
                    changed.push(kept);
                }
                kept += 1;
                at += 1;
            }
            parts.truncate(kept);
            // No other piece has another neighbour now.
            for at in changed.into_iter().flat_map(|at| [at.saturating_sub(1), at]) {
                parts[at].with_next = self.merge_at(&parts, at);
            }
        }
        let mut start = 0;
        for part in parts {
            emit(&text[start..part.end]);
            start = part.end;
        }
    }

    /// What becomes of a piece and the next one.
    fn merge_at(&self, parts: &[Part], at: usize) -> Option<Merge> {
        let pair = (parts[at].symbol?, parts.get(at + 1)?.symbol?);
        self.merges.get(&pair).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(merges: &str, token: &str) -> Vec<String> {
        let mut pieces = Vec::new();
        Merges::parse(merges.as_bytes(), "merges.txt").unwrap().split(token, |piece| pieces.push(piece.to_owned()));
        pieces
    }

    #[test]
    fn the_best_pair_is_merged_everywhere_from_left_to_right() {
        assert_eq!(pieces("a a 7\naa a</w> 3\n", "aaaaaa"), ["aa", "aa", "a", "a</w>"]);
        assert_eq!(pieces("a a\naa aa\naa a</w>\n", "aaaaa"), ["aaaa", "a</w>"]);
        assert_eq!(pieces("b c</w>\na b\n", "abc"), ["a", "bc</w>"]);
        assert_eq!(pieces("a b\n\nb c</w>\n", "abc狗"), ["ab", "c", "狗</w>"]);
        assert_eq!((pieces("", "x"), pieces("", "").len()), (vec!["x</w>".to_owned()], 0));
    }

    #[test]
    fn unusable_lists_are_errors() {
        for (bytes, problem) in [(&b"a b\nab\n"[..], "line 2 is \"ab\"; it should be two pieces"), (b"\xff", "UTF-8")] {
            let error = Merges::parse(bytes, "m/merges.txt").unwrap_err().to_string();
            assert!(
                error.starts_with("m/merges.txt: not a usable list of merges: ") && error.contains(problem),
                "{error}"
            );
        }
    }
}
