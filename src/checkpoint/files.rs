//! Where the files of a model are.

use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::archive::{Archive, check_regular};
use crate::{Error, Result};

/// What Git puts in a repository in place of a large file.
pub(super) const LFS_POINTER: &[u8] = b"version https://git-lfs";

/// The UTF-8 byte order mark.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Where a model's files are: in a directory or a zip file, or compiled into the binary.
#[derive(Clone, Debug)]
pub enum ModelFiles {
    /// A directory on disk.
    Directory(PathBuf),
    /// A directory on disk and the one of its files that holds the weights.
    File {
        /// The directory.
        directory: PathBuf,
        /// The file of weights in it.
        weights: String,
    },
    /// A folder in a zip file.
    Archive {
        /// The zip file.
        archive: Arc<Archive>,
        /// The folder, empty or ending in a slash.
        folder: String,
    },
    /// A built-in model: its name and its files by name.
    Builtin {
        /// `transformer` or `gru`.
        name: &'static str,
        /// File names and contents.
        files: &'static [(&'static str, &'static [u8])],
        /// The vocabulary that the built-in models share, likewise.
        vocabulary: &'static [(&'static str, &'static [u8])],
    },
}

impl ModelFiles {
    /// The contents of a file, or `None` when there is none of that name.
    ///
    /// # Errors
    /// If the file is there but cannot be read, or is only a Git LFS pointer to its contents.
    pub fn read(&self, name: impl AsRef<Path>) -> Result<Option<Cow<'static, [u8]>>> {
        let name = name.as_ref();
        match self {
            Self::Archive { archive, folder } => Ok(archive.read(&in_folder(folder, name))?.map(Cow::Owned)),
            Self::Directory(directory) | Self::File { directory, .. } => {
                let path = directory.join(name);
                match check_regular(&path).and_then(|()| std::fs::read(&path)) {
                    Ok(bytes) if bytes.starts_with(LFS_POINTER) => Err(lfs_pointer(&path)),
                    // Editors on Windows put a byte order mark before JSON and text.
                    Ok(mut bytes) if bytes.starts_with(BYTE_ORDER_MARK) => {
                        bytes.drain(..BYTE_ORDER_MARK.len());
                        Ok(Some(Cow::Owned(bytes)))
                    }
                    Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(Error::io(path, error)),
                }
            }
            Self::Builtin { files, vocabulary, .. } => {
                let (files, name) = match name.parent().filter(|parent| is_vocabulary(parent)).and(name.file_name()) {
                    Some(inside) => (vocabulary, Path::new(inside)),
                    None => (files, name),
                };
                Ok(files.iter().find(|(own, _)| Path::new(own) == name).map(|(_, bytes)| Cow::Borrowed(*bytes)))
            }
        }
    }

    /// Takes the files of a built-in model out of memory: whoever read them has made of them what it needs.
    pub(crate) fn release(&self) {
        #[cfg(unix)]
        if let Self::Builtin { files, vocabulary, .. } = self {
            files.iter().chain(*vocabulary).for_each(|(_, bytes)| super::mapping::release(bytes));
        }
    }

    /// Whether there is a file of this name.
    pub fn has(&self, name: impl AsRef<Path>) -> bool {
        match self {
            Self::Directory(directory) | Self::File { directory, .. } => directory.join(name).is_file(),
            Self::Archive { archive, folder } => {
                let name = in_folder(folder, name);
                archive.names().any(|own| own == name)
            }
            Self::Builtin { files, .. } => files.iter().any(|(own, _)| Path::new(own) == name.as_ref()),
        }
    }

    /// The names of all files, in order, those of directories below left out, and names that are not valid UTF-8.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = match self {
            Self::Directory(directory) | Self::File { directory, .. } => {
                let entries = match std::fs::read_dir(directory) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
                    entries => entries.map_err(|error| Error::io(directory, error))?,
                };
                let entries = entries.filter_map(std::result::Result::ok).filter(|entry| !entry.path().is_dir());
                entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
            }
            Self::Archive { archive, folder } => {
                let inside = archive.names().filter_map(|name| name.strip_prefix(folder.as_str()));
                inside.filter(|name| !name.contains('/')).map(str::to_owned).collect()
            }
            Self::Builtin { files, .. } => files.iter().map(|(name, _)| (*name).to_owned()).collect(),
        };
        names.sort();
        Ok(names)
    }

    /// How to name a file of this model in a message.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        match self {
            Self::Directory(directory) | Self::File { directory, .. } => directory.join(name),
            Self::Archive { archive, folder } => archive.path().join(in_folder(folder, name)),
            Self::Builtin { name: model, .. } => PathBuf::from(format!("built-in model {model}")).join(name),
        }
    }

    /// The files in another directory, named relative to this model's (config.json's `vocabulary`).
    ///
    /// # Errors
    /// If there is no such directory.
    pub fn directory(&self, relative: &str) -> Result<Self> {
        match self {
            Self::Archive { archive, folder } => {
                let folder = format!("{}/", in_folder(folder, relative).trim_end_matches('/'));
                let folder = if folder == "/" { String::new() } else { folder };
                Ok(Self::Archive { archive: Arc::clone(archive), folder })
            }
            Self::Directory(directory) | Self::File { directory, .. } => {
                let path = directory.join(relative);
                if path.is_dir() {
                    return Ok(Self::Directory(path));
                }
                let problem = format!("no such directory, but config.json says that `vocabulary` is {relative:?}");
                Err(Error::model(path, problem))
            }
            Self::Builtin { name, files, vocabulary } => {
                let files = if is_vocabulary(Path::new(relative)) { vocabulary } else { files };
                Ok(Self::Builtin { name, files, vocabulary })
            }
        }
    }

    /// The directory or the zip file, how a person names the model.
    pub fn name(&self) -> PathBuf {
        match self {
            Self::Directory(directory) => directory.clone(),
            Self::File { directory, weights } => directory.join(weights),
            Self::Archive { archive, .. } => archive.path().to_owned(),
            Self::Builtin { name, .. } => PathBuf::from(format!("built-in model {name}")),
        }
    }
}

/// Whether a directory is that of the vocabulary which built-in models share. They lie in models/NAME, so it is ../../vocab.
fn is_vocabulary(directory: &Path) -> bool {
    directory.components().next_back() == Some(Component::Normal("vocab".as_ref()))
}

/// The name of a file in an archive, relative to a folder of it; `..` leads one folder up, and nowhere from the top.
fn in_folder(folder: &str, name: impl AsRef<Path>) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.as_ref().components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(part) => parts.push(part.to_str().unwrap_or_default()),
            _ => {}
        }
    }
    parts.join("/")
}

/// The error for a Git LFS pointer in place of a file.
pub(super) fn lfs_pointer(path: &Path) -> Error {
    Error::model(
        path,
        "is a Git LFS pointer, not the file itself; run `git lfs pull` in the model directory, or download the file from the \
         model's page",
    )
}
