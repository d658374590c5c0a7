//! Numbers that are written anew at every step.

use std::ops::{Deref, DerefMut};

/// A vector that keeps what it once had room for as numbers: in a step the same one is narrow and wide in turn, and a `Vec`
/// would fill it with zeros each time it grows, only for a product to write over them.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    kept: Vec<f32>,
    length: usize,
}

impl Buffer {
    /// Makes it that long, for somebody who writes all of it: it holds numbers, but not any in particular.
    pub(super) fn overwrite(&mut self, length: usize) -> &mut [f32] {
        if self.kept.len() < length {
            self.kept.resize(length, 0.0);
        }
        self.length = length;
        self
    }

    /// Makes it that long; what is new is zero.
    pub(super) fn resize(&mut self, length: usize) {
        let before = self.length.min(length);
        self.overwrite(length)[before..].fill(0.0);
    }

    pub(super) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    pub(super) fn extend_from_slice(&mut self, values: &[f32]) {
        let before = self.length;
        self.overwrite(before + values.len())[before..].copy_from_slice(values);
    }
}

impl From<&[f32]> for Buffer {
    fn from(values: &[f32]) -> Self {
        Self { kept: values.to_vec(), length: values.len() }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.kept[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.kept[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_grows_again_is_zero_only_where_that_was_asked() {
        let mut buffer = Buffer::from(&[1.0, 2.0, 3.0][..]);
        buffer.truncate(1);
        buffer.resize(3);
        assert_eq!(*buffer, [1.0, 0.0, 0.0]);
        buffer.clear();
        buffer.extend_from_slice(&[4.0, 5.0]);
        assert_eq!(*buffer, [4.0, 5.0]);
        assert_eq!(buffer.overwrite(5).len(), 5);
        assert_eq!(buffer[..2], [4.0, 5.0]);
    }
}
