//! Writing a ZIP archive of stored (uncompressed) entries as a stream, with the ZIP64 records that archives of many
//! entries or many gigabytes need. The layout follows PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3.

use std::io::{self, Write};

/// 1 January 1980, the first day of MS-DOS: archives of equal contents are equal.
const DATE: u16 = 0x21;
/// Names are UTF-8.
const FLAGS: u16 = 1 << 11;

struct Entry {
    name: String,
    crc: u32,
    size: u32,
    offset: u64,
}

/// An archive being written.
pub struct ZipWriter<W: Write> {
    out: W,
    offset: u64,
    entries: Vec<Entry>,
}

impl<W: Write> ZipWriter<W> {
    /// An empty archive.
    pub fn new(out: W) -> Self {
        Self { out, offset: 0, entries: Vec::new() }
    }

    /// Adds one file.
    ///
    /// # Errors
    /// If writing fails, or the file or its name is longer than an entry can be (4 GiB and 64 KiB).
    pub fn add(&mut self, name: &str, contents: &[u8]) -> io::Result<()> {
        let too_large = |_| io::Error::new(io::ErrorKind::InvalidInput, "one array is larger than 4 GiB");
        let size = u32::try_from(contents.len()).map_err(too_large)?;
        let crc = crc32(contents);
        let mut header = Vec::with_capacity(30 + name.len());
        put32(&mut header, 0x0403_4b50);
        put16(&mut header, 20);
        common(&mut header, crc, size, name, 0)?;
        header.extend(name.as_bytes());
        self.write(&header)?;
        self.write(contents)?;
        let offset = self.offset - header.len() as u64 - u64::from(size);
        self.entries.push(Entry { name: name.to_owned(), crc, size, offset });
        Ok(())
    }

    /// Writes the central directory, which ends the archive.
    ///
    /// # Errors
    /// If writing fails.
    pub fn finish(mut self) -> io::Result<W> {
        let directory = self.offset;
        let entries = std::mem::take(&mut self.entries);
        for entry in &entries {
            let far = u32::try_from(entry.offset).is_err();
            let mut header = Vec::with_capacity(46 + entry.name.len() + 12);
            put32(&mut header, 0x0201_4b50);
            put16(&mut header, 45);
            put16(&mut header, if far { 45 } else { 20 });
            common(&mut header, entry.crc, entry.size, &entry.name, if far { 12 } else { 0 })?;
            // No comment, disk 0, no attributes.
            header.extend([0; 2 + 2 + 2 + 4]);
            put32(&mut header, u32::try_from(entry.offset).unwrap_or(u32::MAX));
            header.extend(entry.name.as_bytes());
            if far {
                put16(&mut header, 1);
                put16(&mut header, 8);
                put64(&mut header, entry.offset);
            }
            self.write(&header)?;
        }
        let mut end = Vec::new();
        let (count, size) = (entries.len() as u64, self.offset - directory);
        if count >= u64::from(u16::MAX) || self.offset >= u64::from(u32::MAX) {
            let record = self.offset;
            put32(&mut end, 0x0606_4b50);
            put64(&mut end, 44);
            put16(&mut end, 45);
            put16(&mut end, 45);
            end.extend([0; 4 + 4]);
            put64(&mut end, count);
            put64(&mut end, count);
            put64(&mut end, size);
            put64(&mut end, directory);
            put32(&mut end, 0x0706_4b50);
            put32(&mut end, 0);
            put64(&mut end, record);
            put32(&mut end, 1);
        }
        put32(&mut end, 0x0605_4b50);
        end.extend([0; 2 + 2]);
        put16(&mut end, u16::try_from(count).unwrap_or(u16::MAX));
        put16(&mut end, u16::try_from(count).unwrap_or(u16::MAX));
        put32(&mut end, u32::try_from(size).unwrap_or(u32::MAX));
        put32(&mut end, u32::try_from(directory).unwrap_or(u32::MAX));
        put16(&mut end, 0);
        self.write(&end)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

/// The fields that the local and the central header share, from the flags to the length of the extra field.
fn common(header: &mut Vec<u8>, crc: u32, size: u32, name: &str, extra: u16) -> io::Result<()> {
    let too_long = |_| io::Error::new(io::ErrorKind::InvalidInput, "the name of an array is too long");
    put16(header, FLAGS);
    // Method 0, stored; time 0.
    put16(header, 0);
    put16(header, 0);
    put16(header, DATE);
    put32(header, crc);
    put32(header, size);
    put32(header, size);
    put16(header, u16::try_from(name.len()).map_err(too_long)?);
    put16(header, extra);
    Ok(())
}

fn put16(bytes: &mut Vec<u8>, value: u16) {
    bytes.extend(value.to_le_bytes());
}

fn put32(bytes: &mut Vec<u8>, value: u32) {
    bytes.extend(value.to_le_bytes());
}

fn put64(bytes: &mut Vec<u8>, value: u64) {
    bytes.extend(value.to_le_bytes());
}

/// The CRC-32 of ZIP (polynomial 0xEDB88320, reflected).
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut value = index as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { 0xEDB8_8320 ^ (value >> 1) } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(u32::MAX, |crc, &byte| TABLE[(crc as u8 ^ byte) as usize] ^ (crc >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn an_archive_ends_with_the_number_and_place_of_its_entries() {
        let mut zip = ZipWriter::new(Vec::new());
        zip.add("a", b"first").unwrap();
        zip.add("b", b"second").unwrap();
        let bytes = zip.finish().unwrap();
        let end = &bytes[bytes.len() - 22..];
        assert_eq!(end[..4], *b"PK\x05\x06");
        assert_eq!(end[10..12], 2_u16.to_le_bytes());
        let directory = u32::from_le_bytes(end[16..20].try_into().unwrap()) as usize;
        assert_eq!(bytes[directory..directory + 4], *b"PK\x01\x02");
    }

    #[test]
    fn more_entries_than_sixteen_bits_count_get_the_large_end_record() {
        let mut zip = ZipWriter::new(Vec::new());
        for number in 0..70_000 {
            zip.add(&number.to_string(), b"").unwrap();
        }
        let bytes = zip.finish().unwrap();
        let record = &bytes[bytes.len() - 22 - 20 - 56..];
        assert_eq!(record[..4], *b"PK\x06\x06");
        assert_eq!(record[32..40], 70_000_u64.to_le_bytes());
        assert_eq!(record[56..60], *b"PK\x06\x07");
    }
}
