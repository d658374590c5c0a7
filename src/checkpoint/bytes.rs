//! Bytes read on demand: a file on disk or a slice compiled into the binary.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::archive::check_regular;
use super::files::{LFS_POINTER, ModelFiles, lfs_pointer};
use crate::{Error, Result};

/// Bytes of the binary that are read before they are released.
const RELEASED: u64 = 1 << 20;

/// A readable range of bytes. Nothing is kept in memory but what a caller asked for.
pub(super) struct Bytes {
    path: PathBuf,
    len: u64,
    storage: Storage,
    /// All of it, once somebody shares it.
    shared: OnceLock<SharedBytes>,
}

/// Bytes that may be shared and kept.
pub type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

enum Storage {
    File(File),
    Memory(&'static [u8]),
    /// A file out of an archive.
    Owned(Arc<Vec<u8>>),
}

impl Storage {
    /// The bytes, if they are in memory.
    fn in_memory(&self) -> Option<&[u8]> {
        match self {
            Self::Memory(bytes) => Some(bytes),
            Self::Owned(bytes) => Some(bytes),
            Self::File(_) => None,
        }
    }
}

/// Fills `buffer` from `offset`, whoever else reads the file at the same time.
#[cfg(unix)]
fn read_file_at(file: &File, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

/// Fills `buffer` from `offset`, whoever else reads the file at the same time.
#[cfg(not(unix))]
fn read_file_at(mut file: &File, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
    static SEEKING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    // A poisoned lock only means that another thread panicked between seeking and reading; we seek anew.
    let _seeking = SEEKING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(buffer)
}

impl Bytes {
    /// The same file, its contents no longer compressed.
    pub(super) fn inflated(&self, contents: Vec<u8>) -> Self {
        let (path, len) = (self.path.clone(), contents.len() as u64);
        Self { path, len, storage: Storage::Owned(Arc::new(contents)), shared: OnceLock::new() }
    }

    /// Opens a file of the model; `None` if there is none of that name.
    pub(super) fn open(files: &ModelFiles, name: &str) -> Result<Option<Self>> {
        let path = files.path(name);
        let bytes = match files {
            ModelFiles::Builtin { files, .. } => match files.iter().find(|(n, _)| *n == name) {
                None => return Ok(None),
                Some((_, bytes)) => {
                    Self { path, len: bytes.len() as u64, storage: Storage::Memory(bytes), shared: OnceLock::new() }
                }
            },
            ModelFiles::Archive { .. } => match files.read(name)? {
                None => return Ok(None),
                Some(bytes) => {
                    let (len, storage) = (bytes.len() as u64, Storage::Owned(Arc::new(bytes.into_owned())));
                    Self { path, len, storage, shared: OnceLock::new() }
                }
            },
            ModelFiles::Directory(_) | ModelFiles::File { .. } => {
                // A directory has a message of its own.
                let checked = if path.is_dir() { Ok(()) } else { check_regular(&path) };
                let opened = checked.and_then(|()| File::open(&path)).and_then(|file| Ok((file.metadata()?, file)));
                match opened {
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(Error::io(path, error)),
                    Ok((metadata, _)) if metadata.is_dir() => {
                        return Err(Error::model(path, "is a directory, but a file of weights is expected"));
                    }
                    Ok((metadata, file)) => {
                        Self { path, len: metadata.len(), storage: Storage::File(file), shared: OnceLock::new() }
                    }
                }
            }
        };
        bytes.refuse_lfs_pointer()?;
        Ok(Some(bytes))
    }

    /// Number of bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Whether this is a file on disk, and not in memory already.
    pub(super) fn is_on_disk(&self) -> bool {
        matches!(self.storage, Storage::File(_))
    }

    /// How to name the file in a message.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// An error about this file.
    pub(super) fn error(&self, problem: impl Into<String>) -> Error {
        Error::model(&self.path, problem)
    }

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// If the bytes end earlier, or the file cannot be read.
    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        match &self.storage {
            Storage::Memory(bytes) => buffer.copy_from_slice(self.within(bytes, offset, buffer.len())?),
            Storage::Owned(bytes) => buffer.copy_from_slice(self.within(bytes, offset, buffer.len())?),
            Storage::File(file) => match read_file_at(file, offset, buffer) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(self.truncated()),
                done => done.map_err(|error| Error::io(&self.path, error))?,
            },
        }
        Ok(())
    }

    /// Hands the bytes of a range to `sink`, at most `step` at a time. What is compiled into the binary is handed on where it
    /// lies, and takes no memory of this process any more once it has been read.
    ///
    /// # Errors
    /// As [`Bytes::read_at`], and those of `sink`.
    pub(super) fn read_in_steps(
        &self,
        range: Range<u64>,
        step: usize,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let (mut buffer, mut start, mut kept) = (Vec::new(), range.start, range.start);
        while start < range.end {
            let len = (range.end - start).min(step as u64) as usize;
            match self.storage.in_memory() {
                Some(bytes) => sink(self.within(bytes, start, len)?)?,
                None => {
                    buffer.resize(len, 0);
                    self.read_at(start, &mut buffer)?;
                    sink(&buffer)?;
                }
            }
            start += len as u64;
            if start - kept >= RELEASED || start == range.end {
                #[cfg(unix)]
                if let Storage::Memory(bytes) = self.storage {
                    super::mapping::release(self.within(bytes, kept, (start - kept) as usize)?);
                }
                kept = start;
            }
        }
        Ok(())
    }

    /// A part of bytes in memory.
    fn within<'a>(&self, bytes: &'a [u8], offset: u64, len: usize) -> Result<&'a [u8]> {
        let start = usize::try_from(offset).ok();
        start.and_then(|start| bytes.get(start..)?.get(..len)).ok_or_else(|| self.truncated())
    }

    /// Reads `len` bytes from `offset`; the length is checked against the file before anything is allocated.
    pub(super) fn read_range(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(self.truncated());
        }
        let mut buffer = vec![0; usize::try_from(len).map_err(|_| self.truncated())?];
        self.read_at(offset, &mut buffer)?;
        Ok(buffer)
    }

    /// All bytes, to be read where they lie: a file is mapped into memory where the system can, and read elsewhere.
    ///
    /// # Errors
    /// If the file cannot be mapped or read.
    pub(super) fn share(&self) -> Result<SharedBytes> {
        if let Some(shared) = self.shared.get() {
            return Ok(Arc::clone(shared));
        }
        let shared: SharedBytes = match &self.storage {
            Storage::Memory(bytes) => Arc::new(*bytes),
            Storage::Owned(bytes) => Arc::clone(bytes) as SharedBytes,
            #[cfg(unix)]
            Storage::File(file) => {
                let len = usize::try_from(self.len).map_err(|_| self.truncated())?;
                Arc::new(super::mapping::Mapping::new(file, len).map_err(|error| Error::io(&self.path, error))?)
            }
            #[cfg(not(unix))]
            Storage::File(_) => Arc::new(self.read_range(0, self.len)?),
        };
        Ok(Arc::clone(self.shared.get_or_init(|| shared)))
    }

    /// The error for a file that ends too early.
    pub(super) fn truncated(&self) -> Error {
        self.error(format!("the file is truncated (it has only {} bytes); download it again", self.len))
    }

    fn refuse_lfs_pointer(&self) -> Result<()> {
        let mut head = [0; LFS_POINTER.len()];
        if self.len >= head.len() as u64 {
            self.read_at(0, &mut head)?;
            if head == LFS_POINTER {
                return Err(lfs_pointer(&self.path));
            }
        }
        Ok(())
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
        self.bytes.read_at(self.position, &mut buffer[..count]).map_err(std::io::Error::other)?;
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
        self.position = position.ok_or_else(|| std::io::Error::other("a position before the start"))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_memory(bytes: &'static [u8]) -> Result<Option<Bytes>> {
        let files = Box::leak(Box::new([("weights", bytes)]));
        Bytes::open(&ModelFiles::Builtin { name: "test", files, vocabulary: &[] }, "weights")
    }

    #[test]
    fn a_range_is_read_and_one_past_the_end_is_a_truncated_file() {
        let bytes = in_memory(b"0123456789").unwrap().unwrap();
        assert_eq!(bytes.read_range(3, 4).unwrap(), b"3456");
        for (offset, len) in [(8, 3), (u64::MAX, 2), (0, u64::MAX)] {
            assert!(bytes.read_range(offset, len).unwrap_err().to_string().contains("truncated"));
        }
    }

    #[test]
    fn a_git_lfs_pointer_is_named_as_such() {
        let error = in_memory(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n").err().unwrap();
        let message = error.to_string();
        assert!(message.contains("Git LFS pointer") && message.contains("git lfs pull"), "{message}");
        assert!(!message.contains('\n'));
    }
}
