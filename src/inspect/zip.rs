//! Writing a ZIP archive of stored (uncompressed) entries piece by piece. The `zip` crate makes the bytes; every entry is
//! whole in memory before it is written, so its size stands before it and nothing is ever written twice: any output will
//! do, a pipe included.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, PreparedZipFile, System, ZipWriter};

/// An archive being written. What is to be written next is appended to a buffer; the caller empties it as it likes.
pub(super) struct Archive {
    writer: ZipWriter<StreamWriter<Written>>,
    written: Written,
}

impl Default for Archive {
    fn default() -> Self {
        let written = Written::default();
        Self { writer: ZipWriter::new(StreamWriter::new(written.clone())), written }
    }
}

impl Archive {
    /// Adds one file. `None` if it is longer than an entry can be, 4 GiB, or if the archive has one of this name;
    /// nothing is written then.
    #[must_use]
    pub(super) fn add(&mut self, name: &str, contents: &[u8], out: &mut Vec<u8>) -> Option<()> {
        if contents.len() as u64 >= zip::ZIP64_BYTES_THR {
            return None;
        }
        // The first day of MS-DOS and always the same system: archives of equal contents are equal.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::DEFAULT)
            .system(System::Unix);
        let file = PreparedZipFile::from_data(name, options, contents).ok()?;
        self.writer.add_prepared_file(file).ok()?;
        self.written.move_to(out);
        Some(())
    }

    /// Writes the central directory, which ends the archive.
    ///
    /// # Panics
    /// Never: a buffer takes everything.
    pub(super) fn finish(self, out: &mut Vec<u8>) {
        self.writer.finish().expect("a buffer takes everything");
        self.written.move_to(out);
    }
}

/// What the writer wrote since it was last emptied. Shared, because the writer lends its output to nobody.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn move_to(&self, out: &mut Vec<u8>) {
        out.append(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Read};

    fn archive(names: impl Iterator<Item = String>) -> Vec<u8> {
        let mut archive = Archive::default();
        let mut bytes = Vec::new();
        for name in names {
            archive.add(&name, name.as_bytes(), &mut bytes).unwrap();
        }
        archive.finish(&mut bytes);
        bytes
    }

    #[test]
    fn an_archive_ends_with_the_number_and_place_of_its_entries() {
        let bytes = archive(["first", "second"].map(str::to_owned).into_iter());
        let end = &bytes[bytes.len() - 22..];
        assert_eq!(end[..4], *b"PK\x05\x06");
        assert_eq!(end[10..12], 2_u16.to_le_bytes());
        let directory = u32::from_le_bytes(end[16..20].try_into().unwrap()) as usize;
        assert_eq!(bytes[directory..directory + 4], *b"PK\x01\x02");
    }

    #[test]
    fn more_entries_than_sixteen_bits_count_get_the_large_end_record() {
        let bytes = archive((0..70_000).map(|number| number.to_string()));
        let record = &bytes[bytes.len() - 22 - 20 - 56..];
        assert_eq!(record[..4], *b"PK\x06\x06");
        assert_eq!(record[32..40], 70_000_u64.to_le_bytes());
        assert_eq!(record[56..60], *b"PK\x06\x07");
    }

    #[test]
    fn every_entry_is_stored_with_its_size_before_it_and_equal_contents_give_equal_bytes() {
        let names = || ["first", "ä/zweite"].map(str::to_owned).into_iter();
        let bytes = archive(names());
        assert_eq!(bytes, archive(names()));
        // Flags: a UTF-8 name at most, never a size that follows the data; method 0; the size twice.
        assert_eq!(bytes[6..10], [0; 4]);
        assert_eq!((&bytes[18..22], &bytes[22..26]), (&[5, 0, 0, 0][..], &[5, 0, 0, 0][..]));
        let mut read = zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
        for name in names() {
            let mut contents = String::new();
            read.by_name(&name).unwrap().read_to_string(&mut contents).unwrap();
            assert_eq!(contents, name);
        }
    }

    #[test]
    fn what_is_handed_out_is_not_kept() {
        let (mut archive, mut bytes) = (Archive::default(), Vec::new());
        archive.add("a", b"12345", &mut bytes).unwrap();
        assert_eq!(bytes.len(), 30 + 1 + 5);
        assert!(archive.written.0.lock().unwrap().is_empty());
        assert!(archive.add("a", b"again", &mut bytes).is_none());
        assert_eq!(bytes.len(), 30 + 1 + 5);
    }
}
