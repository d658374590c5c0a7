//! Fields of a binary file one after the other, little-endian, wherever they begin.

use super::bytes::Bytes;
use crate::{Error, Result};

/// Bytes read at a time.
const WINDOW: u64 = 4096;

/// A place in a file that moves forward with what is read.
pub(super) struct Fields<'a> {
    bytes: &'a Bytes,
    position: u64,
    window: Vec<u8>,
    /// Where the window begins.
    start: u64,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a Bytes) -> Self {
        Self { bytes, position: 0, window: Vec::new(), start: 0 }
    }

    /// Where the next field begins.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// An error about the file, at this place.
    pub(super) fn malformed(&self, problem: &str) -> Error {
        self.bytes.error(format!("malformed file ({problem}, at byte {}); download it again", self.position))
    }

    /// The next bytes.
    pub(super) fn take(&mut self, len: u64) -> Result<&[u8]> {
        let end = self.position.checked_add(len).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| self.bytes.truncated())?;
        if self.position < self.start || end > self.start + self.window.len() as u64 {
            let size = len.max(WINDOW).min(self.bytes.len() - self.position);
            self.window = self.bytes.read_range(self.position, size)?;
            self.start = self.position;
        }
        let from = (self.position - self.start) as usize;
        self.position = end;
        Ok(&self.window[from..from + len as usize])
    }

    /// Passes over bytes that must be there.
    pub(super) fn skip(&mut self, len: u64) -> Result<()> {
        let end = self.position.checked_add(len).filter(|&end| end <= self.bytes.len());
        self.position = end.ok_or_else(|| self.bytes.truncated())?;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A name of so many bytes, the last of them zero.
    pub(super) fn name(&mut self, len: u64) -> Result<String> {
        let bytes = self.take(len)?;
        let name = bytes.strip_suffix(&[0]).and_then(|name| std::str::from_utf8(name).ok()).map(str::to_owned);
        name.ok_or_else(|| self.malformed("a name that is no text"))
    }
}
