//! Writing a ZIP archive of stored (uncompressed) entries piece by piece, with the ZIP64 records that archives of many
//! entries or many gigabytes need. The layout follows PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3.

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

/// An archive being written. What is to be written next is appended to a buffer; the caller empties it as it likes.
#[derive(Default)]
pub(super) struct Archive {
    offset: u64,
    entries: Vec<Entry>,
}

impl Archive {
    /// Adds one file. `None` if it is longer than an entry can be, 4 GiB; nothing is written then.
    #[must_use]
    pub(super) fn add(&mut self, name: &str, contents: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let size = u32::try_from(contents.len()).ok()?;
        let crc = crc32(contents);
        let offset = self.offset;
        let start = out.len();
        put32(out, 0x0403_4b50);
        put16(out, 20);
        common(out, crc, size, name, 0);
        out.extend(name.as_bytes());
        out.extend(contents);
        self.offset += (out.len() - start) as u64;
        self.entries.push(Entry { name: name.to_owned(), crc, size, offset });
        Some(())
    }

    /// Writes the central directory, which ends the archive.
    pub(super) fn finish(self, out: &mut Vec<u8>) {
        let start = out.len();
        for entry in &self.entries {
            let far = u32::try_from(entry.offset).is_err();
            put32(out, 0x0201_4b50);
            put16(out, 45);
            put16(out, if far { 45 } else { 20 });
            common(out, entry.crc, entry.size, &entry.name, if far { 12 } else { 0 });
            // No comment, disk 0, no attributes.
            out.extend([0; 2 + 2 + 2 + 4]);
            put32(out, u32::try_from(entry.offset).unwrap_or(u32::MAX));
            out.extend(entry.name.as_bytes());
            if far {
                put16(out, 1);
                put16(out, 8);
                put64(out, entry.offset);
            }
        }
        let (count, size) = (self.entries.len() as u64, (out.len() - start) as u64);
        let end = self.offset + size;
        if count >= u64::from(u16::MAX) || end >= u64::from(u32::MAX) {
            put32(out, 0x0606_4b50);
            put64(out, 44);
            put16(out, 45);
            put16(out, 45);
            out.extend([0; 4 + 4]);
            put64(out, count);
            put64(out, count);
            put64(out, size);
            put64(out, self.offset);
            put32(out, 0x0706_4b50);
            put32(out, 0);
            put64(out, end);
            put32(out, 1);
        }
        put32(out, 0x0605_4b50);
        out.extend([0; 2 + 2]);
        put16(out, u16::try_from(count).unwrap_or(u16::MAX));
        put16(out, u16::try_from(count).unwrap_or(u16::MAX));
        put32(out, u32::try_from(size).unwrap_or(u32::MAX));
        put32(out, u32::try_from(self.offset).unwrap_or(u32::MAX));
        put16(out, 0);
    }
}

/// The fields that the local and the central header share, from the flags to the length of the extra field.
fn common(header: &mut Vec<u8>, crc: u32, size: u32, name: &str, extra: u16) {
    put16(header, FLAGS);
    // Method 0, stored; time 0.
    put16(header, 0);
    put16(header, 0);
    put16(header, DATE);
    put32(header, crc);
    put32(header, size);
    put32(header, size);
    // Names are made here, of a number and a word.
    put16(header, name.len() as u16);
    put16(header, extra);
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
}
