//! A model in a zip file, read as the directory it holds: the zips of OPUS-MT, and Argos packages.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use crate::{Error, Result};

/// The largest file taken out of an archive: it is held in memory.
const LARGEST: u64 = 8 << 30;

/// How a zip file begins.
const MAGIC: [u8; 4] = *b"PK\x03\x04";

/// A zip file and what it holds.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    /// Index of each file by its name below the archive's one folder, if it has one.
    entries: BTreeMap<String, usize>,
}

impl Archive {
    /// Reads the list of what a zip file holds; `None` if it is no zip file, or one that is itself a file of weights (PyTorch's
    /// and NumPy's are zip files, too).
    ///
    /// # Errors
    /// If the file cannot be read, or its list is damaged.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        check_regular(path).map_err(|error| Error::io(path, error))?;
        let mut file = File::open(path).map_err(|error| Error::io(path, error))?;
        let mut head = [0; MAGIC.len()];
        if file.read_exact(&mut head).is_err() || head != MAGIC {
            return Ok(None);
        }
        let mut archive = ZipArchive::new(file).map_err(|error| damaged(path, &error))?;
        let mut names = Vec::with_capacity(archive.len());
        for index in 0..archive.len() {
            let entry = archive.by_index_raw(index).map_err(|error| damaged(path, &error))?;
            names.push(entry.name().map_err(|error| damaged(path, &error))?.into_owned());
        }
        let is_weights = |name: &String| name.ends_with("data.pkl") || name.ends_with(".npy");
        if names.iter().any(is_weights) {
            return Ok(None);
        }
        // Archives that were made of a folder have its name before every other.
        let folder = names.first().and_then(|name| name.split_once('/')).map(|(folder, _)| format!("{folder}/"));
        let folder =
            folder.filter(|folder| names.iter().all(|name| name.starts_with(folder.as_str()))).unwrap_or_default();
        let mut entries = BTreeMap::new();
        for (index, name) in names.iter().enumerate() {
            let inside = &name[folder.len()..];
            if !inside.is_empty() && !inside.ends_with('/') {
                entries.insert(inside.to_owned(), index);
            }
        }
        Ok(Some(Self { path: path.to_owned(), entries }))
    }

    /// The zip file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all files, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The contents of a file; `None` if there is none of that name.
    ///
    /// # Errors
    /// If it is damaged, compressed in a way other than deflate, or too large.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(&index) = self.entries.get(name) else { return Ok(None) };
        let file = File::open(&self.path).map_err(|error| Error::io(&self.path, error))?;
        let mut archive = ZipArchive::new(file).map_err(|error| damaged(&self.path, &error))?;
        let entry = archive.by_index(index).map_err(|error| damaged(&self.path, &error))?;
        let size = entry.size();
        if size > LARGEST {
            let problem = format!("{name} in it has {size} bytes; unpack the archive and name the directory");
            return Err(Error::model(&self.path, problem));
        }
        let mut contents = Vec::new();
        // The size is only what the archive says; one byte more shows that it is wrong.
        let read = entry.take(size + 1).read_to_end(&mut contents);
        if read.is_err() || contents.len() as u64 != size {
            return Err(Error::model(&self.path, format!("{name} in it is damaged; download the archive again")));
        }
        Ok(Some(contents))
    }
}

/// Checks that a path leads to a regular file: a FIFO would be waited for, and a device read without end.
///
/// # Errors
/// If it does not, or there is nothing.
pub(super) fn check_regular(path: &Path) -> std::io::Result<()> {
    let found = std::fs::metadata(path)?;
    match found.is_file() {
        true => Ok(()),
        false if found.is_dir() => Err(std::io::ErrorKind::IsADirectory.into()),
        false => Err(std::io::Error::other("is not a regular file")),
    }
}

fn damaged(path: &Path, error: &zip::result::ZipError) -> Error {
    Error::model(path, format!("the zip archive is truncated or damaged ({error}); download it again"))
}
