//! A file in memory that the system reads page by page as it is used, and that several processes share.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// A file mapped into memory, to be read only.
///
/// As with every mapped file, a process that uses it dies if somebody cuts the file short meanwhile. `translate convert`
/// therefore never writes into a directory that exists.
pub(super) struct Mapping {
    address: *mut libc::c_void,
    len: usize,
}

// SAFETY: the bytes are never written through the mapping.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of a file, which must be there.
    pub(super) fn new(file: &File, len: usize) -> io::Result<Self> {
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: a new mapping at an address the system chooses; the descriptor is open.
        let address =
            unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: this mapping; the advice, to begin reading, changes nothing about its contents, and if refused is no loss.
        unsafe { libc::madvise(address, len, libc::MADV_WILLNEED) };
        Ok(Self { address, len })
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the mapping has that many readable bytes until it is dropped, and nothing in this process writes them.
        unsafe { std::slice::from_raw_parts(self.address.cast(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; nothing borrows from it any more.
        unsafe { libc::munmap(self.address, self.len) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_mapped_file_reads_as_it_was_written() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..10_000u32).map(|n| (n % 251) as u8).collect();
        file.write_all(&bytes).unwrap();
        let mapping = Mapping::new(&file, bytes.len()).unwrap();
        drop(file);
        assert_eq!(mapping.as_ref(), bytes);
    }

    #[test]
    fn an_empty_file_is_no_mapping() {
        assert!(Mapping::new(&tempfile::tempfile().unwrap(), 0).is_err());
    }
}
