//! Segmentation by byte-pair encoding: of all adjacent pairs that form a piece, the best-scored is merged first.
//!
//! Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units". A priority queue holds the
//! candidate merges; ones whose parts have changed meanwhile are dropped when they come up.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use super::normalizer::{character_length, longest_user_defined};
use super::proto::{PieceKind, Pieces};
use super::trie::Trie;

/// Pieces marked unused are cut again into the parts they were merged from, at most this deep.
const MAX_RESEGMENT_DEPTH: usize = 100;
const NOBODY: u32 = u32::MAX;

/// A stretch of the text that is, so far, one piece.
#[derive(Clone, Copy)]
struct Symbol {
    previous: u32,
    next: u32,
    start: u32,
    /// 0 once it has been merged into its left neighbour.
    length: u32,
    frozen: bool,
}

/// Two neighbours that together are a piece.
struct Merge {
    score: f32,
    left: u32,
    right: u32,
    length: u32,
}

impl Ord for Merge {
    /// The better score first, then the one further left.
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| other.left.cmp(&self.left))
    }
}

impl PartialOrd for Merge {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Merge {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Merge {}

/// One text being cut.
struct Segmentation<'a> {
    text: &'a [u8],
    trie: &'a Trie,
    pieces: &'a Pieces,
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Merge>,
    /// How unused pieces were put together: the length of the left part of the latest such merge.
    parts: HashMap<&'a [u8], u32>,
}

/// Appends the end of every piece in `text` and its id, `unknown` for what is no piece.
pub(super) fn segment(
    trie: &Trie,
    pieces: &Pieces,
    user_defined: Option<&Trie>,
    unknown: u32,
    text: &[u8],
    found: &mut Vec<(u32, u32)>,
) {
    let mut segmentation = Segmentation {
        text,
        trie,
        pieces,
        symbols: split_into_symbols(text, user_defined),
        queue: BinaryHeap::new(),
        parts: HashMap::new(),
    };
    for right in 1..segmentation.symbols.len() as u32 {
        segmentation.consider(right - 1, right);
    }
    segmentation.merge_all();
    let mut index = if text.is_empty() { NOBODY } else { 0 };
    while index != NOBODY {
        let symbol = segmentation.symbols[index as usize];
        segmentation.cut(symbol.start, symbol.start + symbol.length, unknown, 0, found);
        index = symbol.next;
    }
}

/// Characters, and user-defined pieces, which never merge.
fn split_into_symbols(text: &[u8], user_defined: Option<&Trie>) -> Vec<Symbol> {
    let mut symbols: Vec<Symbol> = Vec::with_capacity(text.len());
    let mut start = 0;
    while start < text.len() {
        let whole = user_defined.and_then(|pieces| longest_user_defined(pieces, &text[start..]));
        let length = whole.unwrap_or_else(|| character_length(text[start]).min(text.len() - start));
        let index = symbols.len() as u32;
        symbols.push(Symbol {
            previous: index.checked_sub(1).unwrap_or(NOBODY),
            next: if start + length < text.len() { index + 1 } else { NOBODY },
            start: start as u32,
            length: length as u32,
            frozen: whole.is_some(),
        });
        start += length;
    }
    symbols
}

impl<'a> Segmentation<'a> {
    /// Queues the merge of two neighbours if together they are a piece.
    fn consider(&mut self, left: u32, right: u32) {
        if left == NOBODY || right == NOBODY {
            return;
        }
        let (l, r) = (self.symbols[left as usize], self.symbols[right as usize]);
        if l.frozen || r.frozen {
            return;
        }
        let length = l.length + r.length;
        let merged = &self.text[l.start as usize..(l.start + length) as usize];
        let Some(id) = self.trie.get(merged) else { return };
        self.queue.push(Merge { score: self.pieces.scores[id as usize], left, right, length });
        if self.pieces.kinds[id as usize] == PieceKind::Unused {
            self.parts.insert(merged, l.length);
        }
    }

    fn merge_all(&mut self) {
        while let Some(Merge { left, right, length, .. }) = self.queue.pop() {
            let (l, r) = (self.symbols[left as usize], self.symbols[right as usize]);
            if l.length == 0 || r.length == 0 || l.length + r.length != length {
                continue;
            }
            self.symbols[left as usize].length = length;
            self.symbols[left as usize].next = r.next;
            if r.next != NOBODY {
                self.symbols[r.next as usize].previous = left;
            }
            self.symbols[right as usize].length = 0;
            self.consider(l.previous, left);
            self.consider(left, r.next);
        }
    }

    fn cut(&self, start: u32, end: u32, unknown: u32, depth: usize, found: &mut Vec<(u32, u32)>) {
        let text = &self.text[start as usize..end as usize];
        let Some(id) = self.trie.get(text) else {
            found.push((end, unknown));
            return;
        };
        if self.pieces.kinds[id as usize] != PieceKind::Unused || depth > MAX_RESEGMENT_DEPTH {
            found.push((end, id));
            return;
        }
        match self.parts.get(text) {
            Some(&left) => {
                self.cut(start, start + left, unknown, depth + 1, found);
                self.cut(start + left, end, unknown, depth + 1, found);
            }
            None => found.push((end, unknown)),
        }
    }
}
