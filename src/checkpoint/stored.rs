//! Where a tensor lies in its file.

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
}

impl Stored {
    pub(super) fn contiguous(dtype: Result<Dtype, String>, shape: Vec<usize>, offset: u64) -> Self {
        Self { dtype, shape, offset, strides: None }
    }
}
