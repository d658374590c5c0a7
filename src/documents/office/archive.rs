//! A zip archive of which some entries are replaced and all others stay the bytes that they were: names, order, times, flags,
//! compressed data. (PKWARE's APPNOTE.TXT has the layout.)

use std::io::{Read, Write};
use std::ops::Range;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::{Error, Result};

/// Bytes of an entry that is read.
const LARGEST: u64 = 512 << 20;
/// How many times larger than its compressed data an entry may be.
const LARGEST_RATIO: u64 = 1000;
/// Bytes that are never too many.
const SMALL: u64 = 1 << 20;
/// Entries of an archive.
const MOST: usize = 100_000;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const LARGE_END: u32 = 0x0706_4b50;
/// What a compound file begins with: an encrypted document, or one in the format of before 2007.
const COMPOUND: [u8; 4] = [0xd0, 0xcf, 0x11, 0xe0];

pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    directory: Range<usize>,
    /// The record of the end, up to the end of the file.
    end: Range<usize>,
}

struct Entry {
    name: String,
    /// Its record in the directory.
    record: Range<usize>,
    /// Where its own header begins, and up to where the next thing begins.
    local: Range<usize>,
    flags: u16,
    method: u16,
    checksum: u32,
    compressed: u64,
    size: u64,
}

fn wrong(problem: impl std::fmt::Display) -> Error {
    Error::Text(format!("the archive is damaged ({problem}); open the document in its program and save it again"))
}

fn short(bytes: &[u8], at: usize) -> Result<u16> {
    let field = bytes.get(at..at + 2).ok_or_else(|| wrong("it ends too early"))?;
    Ok(u16::from_le_bytes([field[0], field[1]]))
}

fn long(bytes: &[u8], at: usize) -> Result<u32> {
    Ok(u32::from(short(bytes, at)?) | u32::from(short(bytes, at + 2)?) << 16)
}

impl Archive {
    /// Reads what an archive contains.
    ///
    /// # Errors
    /// If it is no archive, damaged or encrypted.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        if bytes.starts_with(&COMPOUND) {
            let problem = "the document is protected by a password, or of the kind from before 2007; open it in its program and \
                           save it without a password in today's format";
            return Err(Error::Text(problem.to_owned()));
        }
        if !bytes.starts_with(b"PK") {
            return Err(Error::Text(
                "this is no zip archive, which documents of this kind are; is the ending right?".to_owned(),
            ));
        }
        let tail = bytes.len().saturating_sub(22 + usize::from(u16::MAX));
        let end = (tail..bytes.len().saturating_sub(21)).rev().find(|at| bytes[*at..].starts_with(&END.to_le_bytes()));
        let end = end.ok_or_else(|| wrong("its end is missing"))?;
        let count = usize::from(short(bytes, end + 10)?);
        let (size, start) = (long(bytes, end + 12)?, long(bytes, end + 16)?);
        if size == u32::MAX || start == u32::MAX || count == usize::from(u16::MAX) {
            return Err(Error::Text(
                "the archive has the form for more than 4 GiB (zip64), which is not read; save it again".to_owned(),
            ));
        }
        let directory = start as usize..start as usize + size as usize;
        if directory.end > end {
            return Err(wrong("its directory lies beyond its end"));
        }
        let mut archive =
            Self { bytes: bytes.to_owned(), entries: Vec::new(), directory: directory.clone(), end: end..bytes.len() };
        let mut at = directory.start;
        while archive.entries.len() < count.min(MOST) {
            let entry = archive.entry(at)?;
            at = entry.record.end;
            archive.entries.push(entry);
        }
        archive.boundaries()?;
        Ok(archive)
    }

    /// A record of the directory.
    fn entry(&self, at: usize) -> Result<Entry> {
        let bytes = &self.bytes[..self.directory.end];
        if long(bytes, at)? != CENTRAL {
            return Err(wrong("its directory is broken"));
        }
        let name_length = usize::from(short(bytes, at + 28)?);
        let extra_length = usize::from(short(bytes, at + 30)?);
        let end = at + 46 + name_length + extra_length + usize::from(short(bytes, at + 32)?);
        let name = bytes.get(at + 46..at + 46 + name_length).ok_or_else(|| wrong("a name ends too early"))?;
        if end > bytes.len() {
            return Err(wrong("its directory ends too early"));
        }
        let mut entry = Entry {
            name: String::from_utf8_lossy(name).into_owned(),
            record: at..end,
            local: 0..0,
            flags: short(bytes, at + 8)?,
            method: short(bytes, at + 10)?,
            checksum: long(bytes, at + 16)?,
            compressed: u64::from(long(bytes, at + 20)?),
            size: u64::from(long(bytes, at + 24)?),
        };
        let mut offset = u64::from(long(bytes, at + 42)?);
        // Numbers that are all ones stand in the extra field instead, in this order.
        let extra = &bytes[at + 46 + name_length..at + 46 + name_length + extra_length];
        let mut large = extra_fields(extra).find(|(id, _)| *id == 1).map_or(&[][..], |(_, field)| field);
        for number in [&mut entry.size, &mut entry.compressed, &mut offset] {
            if *number == u64::from(u32::MAX) {
                let (first, rest) = large.split_at_checked(8).ok_or_else(|| wrong("a size is missing"))?;
                *number = u64::from_le_bytes(first.try_into().unwrap_or_default());
                large = rest;
            }
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.directory.start);
        entry.local = start..start;
        Ok(entry)
    }

    /// Finds where entries end.
    fn boundaries(&mut self) -> Result<()> {
        let mut order: Vec<usize> = (0..self.entries.len()).collect();
        order.sort_by_key(|entry| self.entries[*entry].local.start);
        let mut end = self.directory.start;
        for index in order.into_iter().rev() {
            let entry = &mut self.entries[index];
            entry.local.end = end;
            end = entry.local.start;
            if entry.local.len() < 30 || long(&self.bytes, entry.local.start)? != LOCAL {
                return Err(wrong(format_args!("{} is not where it should be", entry.name)));
            }
            let needed = header_length(&self.bytes, entry.local.start)? as u64 + entry.compressed;
            if needed > entry.local.len() as u64 {
                return Err(wrong(format_args!("{} ends too early", entry.name)));
            }
        }
        Ok(())
    }

    /// The names of all entries, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| &entry.name[..])
    }

    /// The number of an entry; names are compared without regard to case, as its programs do.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let same = |compare: fn(&str, &str) -> bool| self.names().position(|entry| compare(entry, name));
        same(|entry, name| entry == name).or_else(|| same(str::eq_ignore_ascii_case))
    }

    /// The content of an entry.
    ///
    /// # Errors
    /// If it is damaged, encrypted, or would be very large.
    pub(super) fn content(&self, index: usize) -> Result<Vec<u8>> {
        let entry = &self.entries[index];
        if entry.flags & 1 != 0 {
            return Err(Error::Text(format!(
                "{} is protected by a password; save the document without one",
                entry.name
            )));
        }
        let is_bomb = entry.size > SMALL && entry.size > LARGEST_RATIO * entry.compressed.max(1);
        if entry.size > LARGEST || is_bomb {
            let size = entry.size >> 20;
            let problem =
                format!("{} would become {size} MiB: too large for a text, so the archive is refused", entry.name);
            return Err(Error::Text(problem));
        }
        let start = entry.local.start + header_length(&self.bytes, entry.local.start)?;
        let data = &self.bytes[start..start + entry.compressed as usize];
        let mut content = Vec::new();
        match entry.method {
            0 => content.extend_from_slice(data),
            8 => {
                let read = DeflateDecoder::new(data).take(entry.size + 1).read_to_end(&mut content);
                read.map_err(|error| wrong(format_args!("{}: {error}", entry.name)))?;
            }
            other => {
                let problem = format!(
                    "{} is compressed by method {other}, which is not read; save the document again",
                    entry.name
                );
                return Err(Error::Text(problem));
            }
        }
        let mut checksum = flate2::Crc::new();
        checksum.update(&content);
        if content.len() as u64 != entry.size || checksum.sum() != entry.checksum {
            return Err(wrong(format_args!("{} is not what it was", entry.name)));
        }
        Ok(content)
    }

    /// The archive with some entries' content replaced.
    ///
    /// # Errors
    /// If it would grow beyond 4 GiB.
    pub(super) fn write(&self, mut changed: Vec<(usize, Vec<u8>)>) -> Result<Vec<u8>> {
        if changed.is_empty() {
            return Ok(self.bytes.clone());
        }
        changed.sort_by_key(|(index, _)| self.entries[*index].local.start);
        let mut written = Vec::with_capacity(self.bytes.len() + self.bytes.len() / 8);
        // What is new of an entry: its flags, checksum, compressed size and size.
        let mut news: Vec<Option<[u32; 4]>> = vec![None; self.entries.len()];
        // Where bytes of the old archive went: from there on, so much further.
        let mut moved: Vec<(usize, i64)> = vec![(0, 0)];
        let mut at = 0;
        for (index, content) in changed {
            let entry = &self.entries[index];
            written.extend_from_slice(&self.bytes[at..entry.local.start]);
            news[index] = Some(self.replaced(entry, &content, &mut written)?);
            at = entry.local.end;
            moved.push((at, written.len() as i64 - at as i64));
        }
        written.extend_from_slice(&self.bytes[at..self.directory.start]);
        let directory = written.len();
        for (entry, news) in self.entries.iter().zip(news) {
            let shift = moved[moved.partition_point(|(from, _)| *from <= entry.local.start) - 1].1;
            self.record(entry, news, entry.local.start as i64 + shift, &mut written)?;
        }
        let mut end = self.bytes[self.end.clone()].to_vec();
        // What a large archive has there tells places that are no longer so, and a small one does without.
        let between = &self.bytes[self.directory.end..self.end.start];
        let between = if between.windows(4).any(|four| four == LARGE_END.to_le_bytes()) { &[][..] } else { between };
        let fields = [(12, written.len() - directory), (16, directory)];
        for (at, number) in fields {
            end[at..at + 4].copy_from_slice(&fits(number as u64)?.to_le_bytes());
        }
        written.extend_from_slice(between);
        written.extend_from_slice(&end);
        Ok(written)
    }

    /// Writes an entry with other content.
    fn replaced(&self, entry: &Entry, content: &[u8], written: &mut Vec<u8>) -> Result<[u32; 4]> {
        let mut checksum = flate2::Crc::new();
        checksum.update(content);
        let data = if entry.method == 8 { deflated(content) } else { content.to_vec() };
        // Sizes stand in the header, no longer behind the data.
        let flags = u32::from(entry.flags & !8);
        let news = [flags, checksum.sum(), fits(data.len() as u64)?, fits(content.len() as u64)?];
        let start = entry.local.start;
        let header = &self.bytes[start..start + header_length(&self.bytes, start)?];
        let name_length = usize::from(short(header, 26)?);
        let extra = without_large_sizes(&header[30 + name_length..]);
        let at = written.len();
        written.extend_from_slice(&header[..30 + name_length]);
        written[at + 6..at + 8].copy_from_slice(&(flags as u16).to_le_bytes());
        for (offset, number) in [(14, news[1]), (18, news[2]), (22, news[3])] {
            written[at + offset..at + offset + 4].copy_from_slice(&number.to_le_bytes());
        }
        written[at + 28..at + 30].copy_from_slice(&(extra.len() as u16).to_le_bytes());
        written.extend_from_slice(&extra);
        written.extend_from_slice(&data);
        Ok(news)
    }

    /// Writes a record of the directory.
    fn record(&self, entry: &Entry, news: Option<[u32; 4]>, offset: i64, written: &mut Vec<u8>) -> Result<()> {
        let record = &self.bytes[entry.record.clone()];
        let offset = fits(u64::try_from(offset).unwrap_or(u64::MAX))?.to_le_bytes();
        let at = written.len();
        let Some([flags, checksum, compressed, size]) = news else {
            written.extend_from_slice(record);
            if record[42..46] != [0xff; 4] {
                written[at + 42..at + 46].copy_from_slice(&offset);
                return Ok(());
            }
            return Err(Error::Text(
                "the archive has the form for more than 4 GiB (zip64), which is not written; save it again".to_owned(),
            ));
        };
        let name_end = 46 + usize::from(short(record, 28)?);
        let extra_end = name_end + usize::from(short(record, 30)?);
        let extra = without_large_sizes(&record[name_end..extra_end]);
        written.extend_from_slice(&record[..name_end]);
        written[at + 8..at + 10].copy_from_slice(&(flags as u16).to_le_bytes());
        written[at + 30..at + 32].copy_from_slice(&(extra.len() as u16).to_le_bytes());
        for (place, number) in [(16, checksum), (20, compressed), (24, size)] {
            written[at + place..at + place + 4].copy_from_slice(&number.to_le_bytes());
        }
        written[at + 42..at + 46].copy_from_slice(&offset);
        written.extend_from_slice(&extra);
        written.extend_from_slice(&record[extra_end..]);
        Ok(())
    }
}

fn fits(number: u64) -> Result<u32> {
    let fits = u32::try_from(number).ok().filter(|number| *number != u32::MAX);
    fits.ok_or_else(|| Error::Text("the document would become larger than 4 GiB".to_owned()))
}

fn header_length(bytes: &[u8], at: usize) -> Result<usize> {
    Ok(30 + usize::from(short(bytes, at + 26)?) + usize::from(short(bytes, at + 28)?))
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).and_then(|()| encoder.finish()).expect("memory does not refuse")
}

/// The fields of an extra field: what they are, and their data.
fn extra_fields(mut extra: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (id, length) = (short(extra, 0).ok()?, usize::from(short(extra, 2).ok()?));
        let field = extra.get(4..4 + length)?;
        extra = &extra[4 + length..];
        Some((id, field))
    })
}

/// An extra field without sizes of 64 bits, which a changed entry does not need.
fn without_large_sizes(extra: &[u8]) -> Vec<u8> {
    if extra_fields(extra).all(|(id, _)| id != 1) {
        return extra.to_vec();
    }
    let kept = extra_fields(extra).filter(|(id, _)| *id != 1);
    kept.flat_map(|(id, field)| [&id.to_le_bytes()[..], &(field.len() as u16).to_le_bytes(), field].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipArchive, ZipWriter};

    fn archive() -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for (name, content, options) in [
            ("mimetype", "application/x", stored),
            ("a.xml", &"Text ".repeat(100)[..], SimpleFileOptions::default()),
            ("b.bin", "bytes", stored.large_file(true)),
            ("c.xml", "Ende", SimpleFileOptions::default().large_file(true)),
        ] {
            writer.start_file(name, options).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
        writer.set_comment("Anmerkung").unwrap();
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn only_changed_entries_change() {
        let before = archive();
        let archive = Archive::read(&before).unwrap();
        assert_eq!(archive.write(Vec::new()).unwrap(), before);
        let same = (0..4).map(|index| (index, archive.content(index).unwrap())).collect();
        let again = Archive::read(&archive.write(same).unwrap()).unwrap();
        assert!((0..4).all(|index| archive.content(index).unwrap() == again.content(index).unwrap()));
        let after = archive.write(vec![(3, b"anders".to_vec()), (1, b"neu".to_vec())]).unwrap();
        let mut read = ZipArchive::new(Cursor::new(&after[..])).unwrap();
        assert_eq!(read.comment(), b"Anmerkung");
        let texts: Vec<String> =
            (0..4).map(|index| std::io::read_to_string(read.by_index(index).unwrap()).unwrap()).collect();
        assert_eq!(texts, ["application/x", "neu", "bytes", "anders"]);
        let (old, new) = (&archive.entries[2].local, &Archive::read(&after).unwrap().entries[2].local);
        assert_eq!(before[old.clone()], after[new.clone()]);
    }

    #[test]
    fn damage_is_told_in_one_line() {
        let whole = archive();
        for length in 0..whole.len() {
            let Err(error) = Archive::read(&whole[..length]) else { continue };
            assert!(!error.to_string().contains('\n'));
        }
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 0xff;
            let Ok(archive) = Archive::read(&broken) else { continue };
            let contents: Vec<_> =
                (0..archive.entries.len()).filter_map(|index| Some((index, archive.content(index).ok()?))).collect();
            let _ = archive.write(contents);
        }
        let error = |bytes: &[u8]| Archive::read(bytes).err().unwrap().to_string();
        assert!(error(&COMPOUND).contains("password") && error(b"text").contains("no zip archive"));
    }

    #[test]
    fn a_bomb_is_refused() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file("word/document.xml", SimpleFileOptions::default()).unwrap();
        writer.write_all(&vec![b' '; 20 << 20]).unwrap();
        let bomb = writer.finish().unwrap().into_inner();
        let error = Archive::read(&bomb).unwrap().content(0).unwrap_err().to_string();
        assert!(error.contains("would become 20 MiB"), "{error}");
    }
}
