//! From what a person types after `--model` to the files of a model.

use std::path::{Path, PathBuf};

use super::builtin;
use super::hub::{self, HubSettings, Progress};
use crate::checkpoint::ModelFiles;
use crate::{Error, Result};

/// Finds a model by name: a built-in one (`transformer`, `gru`), a directory, or a Hugging Face name (`org/name`) in the
/// local cache. With the cargo feature `hub`, files missing from the cache are downloaded.
///
/// # Errors
/// If there is no such model, or a Hugging Face model is neither cached nor can be downloaded.
pub fn resolve(name: &str) -> Result<ModelFiles> {
    resolve_with(name, &HubSettings::from_environment(), &mut |_| {})
}

/// [`resolve`] with explicit settings and a callback that is told how downloads go.
///
/// # Errors
/// As for [`resolve`].
pub fn resolve_with(name: &str, settings: &HubSettings, progress: &mut dyn FnMut(&Progress)) -> Result<ModelFiles> {
    if let Some(files) = builtin::find(name) {
        return Ok(files);
    }
    let path = Path::new(name);
    if path.is_dir() {
        return Ok(ModelFiles::Directory(path.to_owned()));
    }
    if path.exists() {
        return Err(Error::model(path, "is a file; name the model directory it is in"));
    }
    if hub::is_hub_name(name) {
        return hub::find(name, settings, progress).map(ModelFiles::Directory);
    }
    let builtin: Vec<&str> = builtin::names().collect();
    if builtin.is_empty() {
        let problem = "no such model directory, and this build has no built-in models: name a model with --model, a directory \
             or a Hugging Face name (org/name)";
        return Err(Error::model(PathBuf::from(name), problem));
    }
    Err(Error::model(
        PathBuf::from(name),
        format!("no such model directory; built-in models: {}; Hugging Face models: org/name", builtin.join(", ")),
    ))
}
