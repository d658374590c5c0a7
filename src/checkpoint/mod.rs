//! Finding, opening and reading model directories.

mod bytes;
mod dtype;
pub mod layout;
mod pickle;
mod pytorch;
mod resolve;
mod safetensors;
mod weights;

pub use dtype::Dtype;
pub use resolve::resolve;
pub use weights::{WEIGHT_FILES, Weights};

use std::borrow::Cow;
use std::path::PathBuf;

use crate::{Error, Result};

/// Where a model's files are: a directory, or compiled into the binary.
#[derive(Clone, Debug)]
pub enum ModelFiles {
    /// A directory on disk.
    Directory(PathBuf),
    /// A built-in model: its name and its files by name.
    Builtin {
        /// `transformer` or `gru`.
        name: &'static str,
        /// File names and contents.
        files: &'static [(&'static str, &'static [u8])],
    },
}

impl ModelFiles {
    /// The contents of a file, or `None` when there is none of that name.
    ///
    /// # Errors
    /// If the file is there but cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<Cow<'static, [u8]>>> {
        match self {
            Self::Directory(directory) => {
                let path = directory.join(name);
                match std::fs::read(&path) {
                    Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(Error::io(path, error)),
                }
            }
            Self::Builtin { files, .. } => Ok(files.iter().find(|(n, _)| *n == name).map(|(_, b)| Cow::Borrowed(*b))),
        }
    }

    /// How to name a file of this model in a message.
    pub fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Directory(directory) => directory.join(name),
            Self::Builtin { name: model, .. } => PathBuf::from(format!("built-in model {model}")).join(name),
        }
    }
}
