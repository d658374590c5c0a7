//! The rows of a matrix that stay in their file.

use std::cell::RefCell;
use std::sync::Arc;

use super::bytes::Bytes;
use super::dtype::Dtype;
use crate::Result;

/// Rows of a matrix that stay in the file and can be read again at any time.
pub struct RowFile {
    /// What the tensor is called there, for messages.
    pub(super) name: String,
    pub(super) file: Arc<Bytes>,
    pub(super) dtype: Dtype,
    /// Where the first row begins, in bytes.
    pub(super) offset: u64,
    /// Values of a row.
    pub(super) width: usize,
}

thread_local! {
    /// Rows as they are stored, kept so that a decoding step allocates nothing.
    static BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl RowFile {
    /// Reads the rows from `first` on, as many as `into` `[rows, width]` holds.
    ///
    /// # Errors
    /// If the file cannot be read or no longer has them, or they have values that are no numbers.
    pub fn read(&self, first: usize, into: &mut [f32]) -> Result<()> {
        let start = (first * self.width * self.dtype.size()) as u64;
        BYTES.with_borrow_mut(|bytes| {
            bytes.resize(into.len() * self.dtype.size(), 0);
            self.file.read_at(self.offset + start, bytes)?;
            self.dtype.write_f32(bytes, into);
            Ok(())
        })?;
        match into.iter().filter(|value| !value.is_finite()).count() {
            0 => Ok(()),
            wrong => {
                let last = first + into.len() / self.width - 1;
                let rows = format!("{} (rows {first} to {last})", self.name);
                Err(self.file.error(no_numbers(&rows, wrong, into.len())))
            }
        }
    }
}

/// What is wrong with a tensor of which `wrong` of `count` values are no numbers.
pub(super) fn no_numbers(stored_name: &str, wrong: usize, count: usize) -> String {
    format!(
        "tensor {stored_name}: {wrong} of {count} values are no numbers (NaN or infinite), so nothing can be computed with \
         it; download or convert the model again"
    )
}
