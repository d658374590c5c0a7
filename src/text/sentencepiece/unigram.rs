//! Segmentation by a unigram language model: the path with the highest sum of piece scores.
//!
//! Kudo 2018, "Subword Regularization". One pass over the text; every position remembers the best path that ends
//! there. Additions are in `f32` and in the reference library's order, and of equal paths the first found stays, so
//! that ties and rounding come out the same.

use super::normalizer::character_length;
use super::proto::{PieceKind, Pieces};
use super::trie::Trie;

/// How far below the worst piece an unknown character scores.
const UNKNOWN_PENALTY: f32 = 10.0;
/// Beyond this, scores are brought back to zero: `f32` would no longer tell paths of a very long text apart.
const SCORE_RESET: f32 = 100_000.0;
const NOWHERE: u32 = u32::MAX;

/// A unigram model over the pieces of a trie.
#[derive(Debug)]
pub(super) struct Unigram {
    /// The score of each id.
    scores: Vec<f32>,
    unknown_score: f32,
}

#[derive(Clone, Copy)]
struct Best {
    score: f32,
    start: u32,
    id: u32,
}

impl Unigram {
    /// Takes the scores; a user-defined piece scores higher than any path around it, the more so the longer it is.
    pub(super) fn new(pieces: &Pieces) -> Self {
        let normal = |(id, _, kind)| (kind == PieceKind::Normal).then(|| pieces.scores[id as usize]);
        let worst =
            pieces.iter().filter_map(normal).fold(f32::MAX, |worst, score| if score < worst { score } else { worst });
        let score = |(id, piece, kind): (u32, &str, PieceKind)| match kind {
            PieceKind::UserDefined => (0.1 * (piece.len() as f64 - 1.0)) as f32,
            _ => pieces.scores[id as usize],
        };
        Self { scores: pieces.iter().map(score).collect(), unknown_score: worst - UNKNOWN_PENALTY }
    }

    /// Appends the end of every piece in `text` and its id, `unknown` for a character without piece.
    pub(super) fn segment(&self, trie: &Trie, unknown: u32, text: &[u8], found: &mut Vec<(u32, u32)>) {
        let mut best = vec![Best { score: 0.0, start: NOWHERE, id: unknown }; text.len() + 1];
        let mut frontier = 0;
        let mut start = 0;
        while start < text.len() {
            if best[start].score.abs() > SCORE_RESET {
                let excess = best[start].score;
                best[start].score = 0.0;
                for later in best[start + 1..=frontier.max(start)].iter_mut().filter(|later| later.start != NOWHERE) {
                    later.score -= excess;
                }
            }
            let score_here = best[start].score;
            let mut reach = |end: usize, id: u32, score: f32| {
                let candidate = score + score_here;
                let node = &mut best[end];
                if node.start == NOWHERE || candidate > node.score {
                    *node = Best { score: candidate, start: start as u32, id };
                }
                frontier = frontier.max(end);
            };
            let character_end = (start + character_length(text[start])).min(text.len());
            let mut character_is_piece = false;
            let mut node = Trie::ROOT;
            for (index, &byte) in text[start..].iter().enumerate() {
                let Some(child) = trie.child(node, byte) else { break };
                node = child;
                if let Some(id) = trie.value(node) {
                    let end = start + index + 1;
                    reach(end, id, self.scores[id as usize]);
                    character_is_piece |= end == character_end;
                }
            }
            if !character_is_piece {
                reach(character_end, unknown, self.unknown_score);
            }
            start = character_end;
        }
        let first = found.len();
        let mut end = text.len();
        while end > 0 {
            found.push((end as u32, best[end].id));
            end = best[end].start as usize;
        }
        found[first..].reverse();
    }
}
