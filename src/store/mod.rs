//! Which models there are, and getting them: built in, in a directory, in the Hugging Face cache, from the hub.

pub mod builtin;
pub mod hub;
mod resolve;

use std::fs;
use std::path::{Path, PathBuf};

pub use resolve::{at, resolve, resolve_with};

use crate::checkpoint::ModelFiles;
use hub::HubSettings;

/// The files a vocabulary may consist of.
pub const VOCABULARY_FILES: [&str; 25] = [
    "source.spm",
    "target.spm",
    "vocab.json",
    "target_vocab.json",
    "vocab-src.json",
    "vocab-tgt.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "sentencepiece.model",
    "added_tokens.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "source_tokenizer.json",
    "target_tokenizer.json",
    "vocab.txt",
    "source_vocab.txt",
    "target_vocab.txt",
    "shared_vocabulary.json",
    "shared_vocabulary.txt",
    "source_vocabulary.json",
    "source_vocabulary.txt",
    "target_vocabulary.json",
    "target_vocabulary.txt",
];

/// Keys of `text_defaults` that name a file, and what it is called where it lies beside a model.
pub const TEXT_FILES: [(&str, &str); 2] = [("spellings", "spellings.txt"), ("commas", "commas.bin")];

/// Where a model was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// Compiled into the binary.
    Builtin,
    /// In the Hugging Face cache.
    Cached,
    /// In a directory.
    Local,
}

/// A place where a model may be.
#[derive(Clone, Debug)]
pub struct Found {
    /// What to give `--model`.
    pub name: String,
    /// Where it was found.
    pub location: Location,
    /// Its files.
    pub files: ModelFiles,
}

/// The built-in models, everything in the Hugging Face cache, and each of `directories` and what lies directly below:
/// whatever may be a model, not looked into.
pub fn find_all(settings: &HubSettings, directories: &[PathBuf]) -> Vec<Found> {
    let mut found = Vec::new();
    for name in builtin::names() {
        if let Some(files) = builtin::find(name) {
            found.push(Found { name: name.to_owned(), location: Location::Builtin, files });
        }
    }
    for repository in subdirectories(&settings.cache) {
        let folder = repository.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((organisation, name)) = folder.strip_prefix("models--").and_then(|id| id.split_once("--")) else {
            continue;
        };
        if let Some(snapshot) = hub::cached_snapshot(&repository) {
            let (name, files) = (format!("{organisation}/{name}"), ModelFiles::Directory(snapshot));
            found.push(Found { name, location: Location::Cached, files });
        }
    }
    for directory in directories {
        let below = subdirectories(directory);
        for path in std::iter::once(directory.clone()).chain(below) {
            let name = path.display().to_string();
            found.push(Found { name, location: Location::Local, files: ModelFiles::Directory(path) });
        }
    }
    found
}

fn subdirectories(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut paths: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    paths.sort();
    paths
}
