//! From what a person types after `--model` to the files of a model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::builtin;
use super::hub::{self, HubSettings, Progress};
use crate::checkpoint::{Archive, ModelFiles, WEIGHT_FILES};
use crate::{Error, Result};

/// Finds a model by name: a built-in one (`transformer`, `gru`), a directory, a file of weights or a zip file, or a Hugging Face name (`org/name`) in the
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
    if path.exists() {
        return at(path);
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

/// The model at a path: a directory, a file of weights in one, or a zip file. The model of an Argos package is in a folder of
/// it.
///
/// # Errors
/// If a zip file is damaged, or the path cannot be read.
pub fn at(path: &Path) -> Result<ModelFiles> {
    let files = if path.is_dir() {
        ModelFiles::Directory(path.to_owned())
    } else if let Some(archive) = Archive::open(path)? {
        ModelFiles::Archive { archive: Arc::new(archive), folder: String::new() }
    } else {
        let weights = path.file_name().and_then(|name| name.to_str());
        let weights = weights.ok_or_else(|| Error::model(path, "is no name of a file"))?.to_owned();
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return Ok(ModelFiles::File { directory: directory.to_owned(), weights });
    };
    let is_package = matches!(files, ModelFiles::Archive { .. }) || path.join("model/model.bin").is_file();
    if is_package
        && !files.names()?.iter().any(|name| WEIGHT_FILES.contains(&name.as_str()))
        && let Ok(inner) = files.directory("model")
        && inner.names().is_ok_and(|names| names.iter().any(|name| name == "model.bin"))
    {
        return Ok(inner);
    }
    Ok(files)
}
