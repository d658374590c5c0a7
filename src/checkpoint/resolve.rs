//! From what a person calls a model to its files.

use std::path::Path;

use super::ModelFiles;
use crate::{Error, Result};

/// Finds the model `name`: a directory on disk.
///
/// # Errors
/// If there is no such model.
pub fn resolve(name: &str) -> Result<ModelFiles> {
    if Path::new(name).is_dir() {
        return Ok(ModelFiles::Directory(name.into()));
    }
    Err(Error::Usage(format!("--model {name}: there is no such directory")))
}

impl ModelFiles {
    /// The files in another directory, named relative to this model's.
    pub fn directory(&self, relative: &str) -> Result<Self> {
        match self {
            Self::Directory(directory) => Ok(Self::Directory(directory.join(relative))),
            Self::Builtin { .. } => Ok(self.clone()),
        }
    }
}
