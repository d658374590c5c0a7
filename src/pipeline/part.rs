//! A stretch of a file that begins and ends where lines do.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes of a line that are looked at to see whether it is blank; a longer one is not.
const LONGEST_BLANK: u64 = 1 << 12;

/// Whole lines of a file of plain text. [`Shard`](super::Shard) makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The file.
    pub(super) path: PathBuf,
    /// What it is called in messages.
    pub(super) name: String,
    /// Its bytes, from the beginning of a line to the beginning of another or the end of the file.
    pub(super) range: Range<u64>,
    /// Lines of the file before it, or 0 where they were not counted.
    pub(super) lines_before: u64,
    /// [`Line::before`](super::Line::before) of its lines.
    pub(super) before: u64,
}

impl Part {
    /// All of a file of `size` bytes.
    pub(super) fn whole(path: &Path, size: u64) -> Self {
        Self { path: path.to_owned(), name: path.display().to_string(), range: 0..size, lines_before: 0, before: 0 }
    }

    pub(super) fn size(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// Its bytes as they are: what a file begins with says what the whole of it is, not what a part is.
    pub(super) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.range.start))?;
        Ok(Box::new(file.take(self.size())))
    }
}

/// Where the first line begins at or after byte `at` of a file of `size` bytes; of paragraphs, the first blank line, since one is
/// never cut: it ends there, and what a blank line is does not depend on what is before it.
pub(super) fn boundary(path: &Path, size: u64, at: u64, paragraphs: bool) -> io::Result<u64> {
    if at == 0 || at >= size {
        return Ok(at.min(size));
    }
    let mut file = BufReader::new(File::open(path)?);
    // A line begins at `at` itself if a line feed is before it.
    file.seek(SeekFrom::Start(at - 1))?;
    let mut start = at - 1 + skip_line(&mut file)?.0;
    while paragraphs && start < size {
        let mut line = Vec::new();
        let mut length = file.by_ref().take(LONGEST_BLANK).read_until(b'\n', &mut line)? as u64;
        let is_whole = line.last() == Some(&b'\n') || length < LONGEST_BLANK;
        if is_whole && String::from_utf8_lossy(&line).trim().is_empty() {
            break;
        }
        if !is_whole {
            length += skip_line(&mut file)?.0;
        }
        start += length;
    }
    Ok(start.min(size))
}

/// Reads on to the end of a line and keeps nothing: how many bytes that were, and whether there was a line feed.
pub(super) fn skip_line(stream: &mut impl BufRead) -> io::Result<(u64, bool)> {
    let mut skipped = 0;
    loop {
        let buffer = match stream.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let line_feed = buffer.iter().position(|&byte| byte == b'\n');
        let count = line_feed.map_or(buffer.len(), |position| position + 1);
        stream.consume(count);
        skipped += count as u64;
        if line_feed.is_some() || count == 0 {
            return Ok((skipped, line_feed.is_some()));
        }
    }
}
