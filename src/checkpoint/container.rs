//! What a file of weights holds, whatever its format, and which format it has.

use std::collections::BTreeMap;
use std::io::{Error as IoError, Read, Seek, SeekFrom};
use std::path::Path;

use serde_json::{Map, Value};

use super::bytes::Bytes;
use super::stored::Stored;
use super::{ctranslate2, marian_binary, npz, pytorch, safetensors};
use crate::Result;

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

/// How a file of another format begins, and its ending in [`UNREADABLE`].
const OTHERS: [(&[u8], &str); 6] = [
    (b"\x89HDF\r\n\x1a\n", ".h5"),
    (b"GGUF", ".gguf"),
    (b"ET12", ".pte"),
    (b"TFL3", ".tflite"),
    (b"<!DO", ".html"),
    (b"\x1f\x8b\x08", ".gz"),
];

/// Formats that are not read, by the endings of their files: what they are, and the way out.
const UNREADABLE: [(&str, &str); 14] = [
    (
        ".h5",
        "is an HDF5 file, which Keras and TensorFlow write; save its tensors as safetensors (docs/models.md says how)",
    ),
    (".keras", "is a Keras model; save its tensors as safetensors (docs/models.md says how)"),
    (".onnx", "is an ONNX model, whose weights no longer have their names; use the checkpoint it was exported from"),
    (".gguf", "is a GGUF file, of llama.cpp; use the same model in safetensors form"),
    (".pte", "is an ExecuTorch program; use the checkpoint it was exported from"),
    (".tflite", "is a TensorFlow Lite model; use the checkpoint it was exported from"),
    (".msgpack", "holds weights of Flax; load them with transformers (from_flax=True) and save_pretrained() them"),
    (".ot", "holds weights of rust-bert; use the model's pytorch_model.bin or model.safetensors"),
    (".mlmodel", "is a Core ML model; use the checkpoint it was exported from"),
    (".pb", "is a TensorFlow graph; export the model with its toolkit, OpenNMT-tf's to CTranslate2 for example"),
    (
        ".ckpt.index",
        "is a TensorFlow checkpoint; export the model with its toolkit, OpenNMT-tf's to CTranslate2 for example",
    ),
    (
        ".index",
        "is a TensorFlow checkpoint; export the model with its toolkit, OpenNMT-tf's to CTranslate2 for example",
    ),
    (".gz", "is compressed with gzip; unpack it with gunzip"),
    (".html", "is a web page and not a model; download the file itself"),
];

/// What a file is that no reader is for, and what to do, by its name.
pub(super) fn unreadable(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?;
    UNREADABLE.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, problem)| *problem)
}

/// Reads the header of a file of weights. The format is told by the first bytes, safetensors by its name.
///
/// # Errors
/// If the file is of no known format, damaged or truncated.
pub(super) fn read(bytes: &Bytes) -> Result<Container> {
    let has_ending = |ending: &str| bytes.path().extension().is_some_and(|found| found == ending);
    if has_ending("safetensors") {
        return Ok(Container { tensors: safetensors::read_header(bytes)?, ..Container::default() });
    }
    let mut head = [0; 16];
    let len = head.len().min(usize::try_from(bytes.len()).unwrap_or(usize::MAX));
    bytes.read_at(0, &mut head[..len])?;
    let begins = |(magic, _): &&(&[u8], &'static str)| head.starts_with(magic) || head[4..].starts_with(magic);
    let by_content = OTHERS.iter().find(begins).and_then(|(_, ending)| unreadable(Path::new(&format!("x{ending}"))));
    if let Some(problem) = by_content.or_else(|| unreadable(bytes.path())) {
        return Err(bytes.error(problem));
    }
    if ctranslate2::begins(&head) {
        ctranslate2::read(bytes)
    } else if marian_binary::begins(&head) {
        marian_binary::read(bytes)
    } else if has_ending("npz") {
        npz::read(bytes)
    } else {
        pytorch::read(bytes)
    }
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
