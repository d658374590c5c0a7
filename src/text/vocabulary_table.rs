//! Tables from pieces to ids and back.

use std::collections::HashMap;
use std::path::Path;

use super::{Specials, check_density};
use crate::{Error, Result};

/// More entries than any vocabulary has.
const MOST_ENTRIES: usize = 2_000_000;

/// A piece-to-id table: a `vocab.json`, or the numbering of a family.
#[derive(Debug)]
pub struct VocabularyTable {
    ids: HashMap<String, u32>,
    /// The piece of every id; a gap has none.
    pieces: Vec<Option<Box<str>>>,
    unknown: u32,
}

impl VocabularyTable {
    /// Reads the contents of a `vocab.json`; `path` names it in messages.
    ///
    /// # Errors
    /// If it is not a JSON object from pieces to ids that count up from 0 (with few gaps), or has no `<unk>`.
    pub fn parse(bytes: &[u8], path: impl AsRef<Path>) -> Result<Self> {
        let problem = |problem: String| Error::model(&path, format!("not a usable vocabulary: {problem}"));
        // Each entry has a colon after its quotes, and a comma; what is beyond any vocabulary is not worth the memory.
        let commas = bytes.iter().filter(|&&byte| byte == b',').count();
        let entries = bytes.windows(2).filter(|pair| pair == b"\":").count();
        if entries.min(commas) > MOST_ENTRIES {
            return Err(problem(format!("it has more than {MOST_ENTRIES} entries, which no model has")));
        }
        let ids: HashMap<String, u32> = serde_json::from_slice(bytes)
            .map_err(|error| problem(format!("{error}; it should be a JSON object from pieces to ids")))?;
        let highest = ids.values().copied().max().unwrap_or_default();
        check_density(highest, ids.len()).map_err(problem)?;
        let unknown = *ids.get("<unk>").ok_or_else(|| problem("it has no `<unk>`".to_owned()))?;
        Ok(Self::of_ids(ids, unknown))
    }

    /// The table of these ids, of which `unknown` stands for every other piece.
    fn of_ids(ids: HashMap<String, u32>, unknown: u32) -> Self {
        let highest = ids.values().copied().max().unwrap_or_default();
        let mut pieces: Vec<Option<Box<str>>> = vec![None; highest as usize + 1];
        for (piece, &id) in &ids {
            // Should two pieces share an id, the choice must not depend on the hash map's order.
            let slot = &mut pieces[id as usize];
            if slot.as_deref().is_none_or(|other| piece.as_str() < other) {
                *slot = Some(Box::from(piece.as_str()));
            }
        }
        Self { ids, pieces, unknown }
    }

    /// A table of pieces in the order of their ids, gaps left out. Of a piece with two ids the first counts.
    pub(super) fn numbered(pieces: impl IntoIterator<Item = (u32, String)>, unknown: u32) -> Self {
        let mut ids = HashMap::new();
        for (id, piece) in pieces {
            ids.entry(piece).or_insert(id);
        }
        Self::of_ids(ids, unknown)
    }

    /// Gives a token an id, unless it has one or the id is taken; says whether the token has this id now.
    pub(super) fn add(&mut self, token: &str, id: u32) -> bool {
        if self.id(token).is_some() || self.piece(id).is_some() {
            return self.id(token) == Some(id);
        }
        self.pieces.resize((id as usize + 1).max(self.pieces.len()), None);
        self.pieces[id as usize] = Some(Box::from(token));
        self.ids.insert(token.to_owned(), id);
        true
    }

    /// The id that stands for every piece without one.
    pub fn unknown(&self) -> u32 {
        self.unknown
    }

    /// The special tokens under the names that Marian, fairseq and their heirs give them.
    pub fn specials(&self) -> Specials {
        Specials { unknown: Some(self.unknown), padding: self.id("<pad>"), begin: self.id("<s>"), end: self.id("</s>") }
    }

    /// Number of ids: one more than the highest.
    pub fn size(&self) -> usize {
        self.pieces.len()
    }

    /// Every id that has a piece, with it.
    pub fn pieces(&self) -> impl Iterator<Item = (u32, &str)> {
        self.pieces.iter().enumerate().filter_map(|(id, piece)| Some((id as u32, piece.as_deref()?)))
    }

    /// The id of a piece.
    pub fn id(&self, piece: &str) -> Option<u32> {
        self.ids.get(piece).copied()
    }

    /// The piece with this id.
    pub fn piece(&self, id: u32) -> Option<&str> {
        self.pieces.get(id as usize)?.as_deref()
    }
}
