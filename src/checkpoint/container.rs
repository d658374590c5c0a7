//! What a file of weights holds, whatever its format, and which format it has.

use std::collections::BTreeMap;
use std::io::{Error as IoError, Read, Seek, SeekFrom};

use serde_json::{Map, Value};

use super::bytes::Bytes;
use super::stored::Stored;
use super::{pytorch, safetensors};
use crate::Result;

/// What a file of weights holds.
pub(super) struct Container {
    /// Where each tensor lies.
    pub(super) tensors: BTreeMap<String, Stored>,
    /// What the file itself says about the network, its options and vocabularies, as its toolkit wrote it.
    pub(super) said: Map<String, Value>,
}

/// How a file that is no weights begins, and what to do with it.
const OTHERS: [(&[u8], &str); 6] = [
    (b"\x89HDF\r\n\x1a\n", "is an HDF5 file, which Keras and TensorFlow write; save the tensors as safetensors (docs/models.md says how)"),
    (b"GGUF", "is a GGUF file; download the model in safetensors form"),
    (b"\x08\x00\x00\x00ET12", "is an ExecuTorch program; use the checkpoint it was exported from"),
    (b"TFL3", "is a TensorFlow Lite model; use the checkpoint it was exported from"),
    (b"<!DO", "is a web page and not a model; download the file itself"),
    (b"<htm", "is a web page and not a model; download the file itself"),
];

/// Reads the header of a file of weights. The format is told by the first bytes, safetensors by its name.
///
/// # Errors
/// If the file is of no known format, damaged or truncated.
pub(super) fn read(bytes: &Bytes) -> Result<Container> {
    let has_ending = |ending: &str| bytes.path().extension().is_some_and(|found| found == ending);
    if has_ending("safetensors") {
        return Ok(Container { tensors: safetensors::read_header(bytes)?, said: Map::new() });
    }
    let mut head = [0; 16];
    let len = head.len().min(usize::try_from(bytes.len()).unwrap_or(usize::MAX));
    bytes.read_at(0, &mut head[..len])?;
    if let Some((_, problem)) = OTHERS.iter().find(|(magic, _)| head.starts_with(magic) || head[4..].starts_with(magic)) {
        return Err(bytes.error(*problem));
    }
    if has_ending("onnx") {
        return Err(bytes.error("is an ONNX model; use the checkpoint it was exported from"));
    }
    pytorch::read(bytes)
}

/// A reading position, for the zip crate.
pub(super) struct Cursor<'a> {
    bytes: &'a Bytes,
    position: u64,
}

impl<'a> Cursor<'a> {
    /// The start.
    pub(super) fn new(bytes: &'a Bytes) -> Self {
        Self { bytes, position: 0 }
    }
}

impl Read for Cursor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.bytes.len().saturating_sub(self.position);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        self.bytes.read_at(self.position, &mut buffer[..count]).map_err(IoError::other)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Cursor<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.bytes.len().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| IoError::other("a position before the start"))?;
        Ok(self.position)
    }
}
