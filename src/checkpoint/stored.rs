//! Where a tensor lies in its file.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::bytes::Bytes;
use super::dtype::Dtype;

/// Where and how one tensor is stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    /// The number format, or the name of one we cannot read.
    pub(super) dtype: Result<Dtype, String>,
    /// The tensor's shape.
    pub(super) shape: Vec<usize>,
    /// Byte offset of the first value in the file.
    pub(super) offset: u64,
    /// Values between neighbours along each axis; `None` when row-major without gaps.
    pub(super) strides: Option<Vec<usize>>,
    /// What the stored values are divided by, where they are integers that stand for other numbers.
    pub(super) divisor: Option<Divisor>,
}

/// What stored integers are divided by.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Divisor {
    /// All by the same number.
    One(f32),
    /// Those of each row by a number of its own: a vector of F32 that begins at this byte of the file.
    Rows(u64),
}

impl Stored {
    pub(super) fn contiguous(dtype: Result<Dtype, String>, shape: Vec<usize>, offset: u64) -> Self {
        Self { dtype, shape, offset, strides: None, divisor: None }
    }
}

/// What a file of weights holds.
#[derive(Default)]
pub(super) struct Container {
    /// Where each tensor lies.
    pub(super) tensors: BTreeMap<String, Stored>,
    /// What the file itself says about the network, its options and vocabularies, as its toolkit wrote it.
    pub(super) said: Map<String, Value>,
    /// The file no longer compressed, where it is: places count in this.
    pub(super) inflated: Option<Bytes>,
}
