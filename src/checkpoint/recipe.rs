//! How the tensors of a network are made of stored ones.

use super::Weights;

/// How one tensor is made of a stored one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// As it is.
    Copy {
        /// The stored name.
        stored: String,
    },
    /// One of several equal blocks of rows.
    Rows {
        /// The stored name.
        stored: String,
        /// Which block, from 0.
        part: usize,
        /// How many there are.
        parts: usize,
    },
    /// One of several blocks of rows, all but the first of which lie in turn: the rows of each head of one block, then those of
    /// the same head of the next.
    ByHead {
        /// The stored name.
        stored: String,
        /// Which block, from 0.
        part: usize,
        /// How many there are.
        parts: usize,
        /// How many of them lie before the others, each in one piece.
        before: usize,
        /// How many heads each of the others has.
        heads: usize,
    },
    /// Rows and columns exchanged.
    Transpose {
        /// The stored name.
        stored: String,
    },
    /// Blocks of equal height, one above the other.
    Stack {
        /// The blocks.
        blocks: Vec<Block>,
    },
}

/// A block of rows in a tensor that is put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// One of several equal blocks of columns of a stored matrix, rows and columns exchanged; of a vector or a matrix of one row
    /// a block of its values.
    Columns {
        /// The stored name.
        stored: String,
        /// Which block, from 0.
        part: usize,
        /// How many there are.
        parts: usize,
    },
    /// The same of one row of a stored matrix alone; a vector is a matrix of one row.
    InRow {
        /// The stored name.
        stored: String,
        /// Which row, from 0.
        row: usize,
        /// Which block, from 0.
        part: usize,
        /// How many there are.
        parts: usize,
    },
}

impl Block {
    /// The stored tensor it is of.
    pub fn stored(&self) -> &str {
        match self {
            Self::Columns { stored, .. } | Self::InRow { stored, .. } => stored,
        }
    }

    /// The shape of the block, of the shape of what is stored.
    pub(super) fn shape(&self, stored: &[usize]) -> Option<Vec<usize>> {
        let (rows, columns) = match *stored {
            [columns] => (1, columns),
            [rows, columns] => (rows, columns),
            _ => return None,
        };
        match *self {
            Self::Columns { parts, .. } if rows == 1 => Some(vec![columns / parts]),
            Self::Columns { parts, .. } => Some(vec![columns / parts, rows]),
            Self::InRow { row, parts, .. } => (row < rows).then(|| vec![columns / parts]),
        }
    }
}

impl Recipe {
    /// The stored tensor it is made of, or the first of several.
    pub fn stored(&self) -> &str {
        match self {
            Self::Copy { stored }
            | Self::Rows { stored, .. }
            | Self::ByHead { stored, .. }
            | Self::Transpose { stored } => stored,
            Self::Stack { blocks } => blocks.first().map(Block::stored).unwrap_or_default(),
        }
    }

    /// Whether everything it is made of is among the stored tensors.
    pub fn is_possible(&self, weights: &Weights) -> bool {
        let Self::Stack { blocks } = self else { return true };
        let is_there = |block: &Block| weights.shape(block.stored()).is_some_and(|shape| block.shape(shape).is_some());
        blocks.iter().all(is_there)
    }
}
