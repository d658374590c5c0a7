//! Files in memory that the system reads page by page as they are used, and that several processes share: those of a model, and
//! the binary itself.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;

/// Takes bytes that are compiled into the binary out of the memory of this process. They are read from the file again if
/// somebody wants them again; other bytes, and the parts of pages at both ends, stay.
pub(super) fn release(bytes: &'static [u8]) {
    // SAFETY: the call only asks for a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.max(1) as usize;
    let start = (bytes.as_ptr() as usize).next_multiple_of(page);
    let end = (bytes.as_ptr() as usize + bytes.len()) / page * page;
    if start < end && files_in_memory().iter().any(|file| file.start <= start && end <= file.end) {
        // SAFETY: whole pages of a file that this process cannot write to, mapped for itself, so what is read there later is the
        // file's again. Where the system refuses nothing is lost.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}

/// Where files lie that this process only reads, as Linux tells; a binary that unpacked itself is not among them. Nothing
/// elsewhere.
fn files_in_memory() -> &'static [Range<usize>] {
    static FILES: OnceLock<Vec<Range<usize>>> = OnceLock::new();
    FILES.get_or_init(|| {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        maps.lines().filter_map(read_only_file).collect()
    })
}

/// The addresses of a line of `/proc/self/maps` (see proc_pid_maps(5)), if they are those of a file that cannot be written to.
fn read_only_file(line: &str) -> Option<Range<usize>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let (access, _offset, _device, inode) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let address = |text| usize::from_str_radix(text, 16).ok();
    (matches!(access, "r--p" | "r-xp") && inode != "0").then_some(address(start)?..address(end)?)
}

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
    fn what_the_binary_holds_is_the_same_after_it_was_released() {
        static BYTES: [u8; 1 << 18] = [0xA5; 1 << 18];
        release(std::hint::black_box(&BYTES));
        assert!(std::hint::black_box(&BYTES).iter().all(|&byte| byte == 0xA5));
    }

    #[test]
    fn memory_that_is_no_file_is_not_released() {
        let bytes = vec![0xA5; 1 << 18].leak();
        release(bytes);
        assert!(bytes.iter().all(|&byte| byte == 0xA5));
    }

    #[test]
    fn only_files_that_cannot_be_written_to_are_found() {
        let found = |line| read_only_file(line).is_some();
        assert!(found("55d0c0a00000-55d0c4e99000 r--p 00000000 fe:00 2360 /usr/bin/translate"));
        assert!(found("55d0c4e99000-55d0c5f00000 r-xp 04499000 fe:00 2360 /usr/bin/translate"));
        assert!(!found("55d0c5f00000-55d0c6000000 rw-p 05500000 fe:00 2360 /usr/bin/translate"));
        assert!(!found("7f0000000000-7f0000100000 r--s 00000000 fe:00 77 /tmp/shared"));
        assert!(!found("7f0000000000-7f0000100000 r--p 00000000 00:00 0"));
        assert!(!found("7f0000000000"));
    }

    #[test]
    fn an_empty_file_is_no_mapping() {
        assert!(Mapping::new(&tempfile::tempfile().unwrap(), 0).is_err());
    }
}
