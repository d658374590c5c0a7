//! What a file of weights holds, whatever its format, and which format it has.

use std::path::Path;

use serde_json::{Map, Value};

use super::ModelFiles;
use super::bytes::Bytes;
use super::stored::Container;
use super::{ctranslate2, marian_binary, npz, pytorch, safetensors};
use crate::Result;

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

/// What a PyTorch file that holds no weights says, or `None` if there is no such file; a list is under the key `list`.
///
/// # Errors
/// If it is of another format, or damaged.
pub fn read_pickle(files: &ModelFiles, name: &str) -> Result<Option<Map<String, Value>>> {
    Bytes::open(files, name)?.as_ref().map(said).transpose()
}

/// What a PyTorch file says beside its tensors, if it has any.
///
/// # Errors
/// If it is of another format, or damaged.
pub(super) fn said(bytes: &Bytes) -> Result<Map<String, Value>> {
    Ok(pytorch::read_all(bytes)?.0.said)
}
