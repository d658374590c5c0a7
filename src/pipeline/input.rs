//! Lines from files, standard input and other streams.
//!
//! A stream is only ever read forwards: it is never sized and never sought in, so pipes, FIFOs and terminals work like
//! files. A read that returns less than asked for is normal. Only the beginning of a [`Part`] is sought.

use super::part::{Part, skip_line};
use super::{Line, content};
use crate::error::{Error, Result};
use crate::text::append_line;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What standard input is called in messages.
pub const STDIN_NAME: &str = "standard input";

/// Bytes kept of one line, its line end not counted; the rest of a longer line is read and dropped. Ten times the Bible
/// fits, and input without any line end (`/dev/zero`) cannot fill the memory.
pub const LONGEST_LINE: usize = 1 << 24;

/// Bytes asked for at once.
const BUFFER: usize = 1 << 16;

/// The UTF-8 byte order mark.
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// What to do with bytes that are not UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InvalidUtf8 {
    /// Each invalid sequence becomes U+FFFD; [`Summary::replaced`](super::Summary::replaced) names the lines.
    #[default]
    Replace,
    /// The run ends at the line with an error, after all lines before it are out.
    Error,
}

/// Where lines come from.
pub enum Input {
    /// Standard input, to its end.
    Stdin,
    /// A file, FIFO or device: text, which may be compressed with gzip, Zstandard, xz or bzip2, or be UTF-16 with a byte
    /// order mark. So may standard input.
    File(PathBuf),
    /// Some lines of a file, taken as they are.
    Part(Part),
    /// Any other stream, taken as it is, with the name messages give it.
    Stream(String, Box<dyn Read + Send>),
}

impl Input {
    /// The inputs named on a command line: `-` is standard input, and so is no file at all.
    pub fn from_arguments<P: AsRef<Path>>(files: &[P]) -> Vec<Self> {
        if files.is_empty() {
            return vec![Self::Stdin];
        }
        let input = |file: &P| match file.as_ref() {
            path if path == Path::new("-") => Self::Stdin,
            path => Self::File(path.to_owned()),
        };
        files.iter().map(input).collect()
    }

    /// Size in bytes of a regular file of plain text or of a part of one, `None` for everything else.
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::File(path) => {
                let size = fs::metadata(path).ok().filter(|found| found.is_file())?.len();
                let start = File::open(path).and_then(|mut file| content::start_of(&mut file)).ok()?;
                content::is_plain(&start).then_some(size)
            }
            Self::Part(part) => Some(part.size()),
            Self::Stdin | Self::Stream(..) => None,
        }
    }

    /// Whether the input can be read, as far as can be told without reading it.
    ///
    /// # Errors
    /// [`Error::Io`] if a file is missing, is a directory, may not be read or is a document, picture or program and no text.
    pub fn check(&self) -> Result<()> {
        let Self::File(path) = self else { return Ok(()) };
        let found = fs::metadata(path).map_err(|source| Error::io(path, source))?;
        if found.is_dir() {
            return Err(Error::io(path, io::ErrorKind::IsADirectory.into()));
        }
        // Opening a FIFO and closing it again would break the pipe for whoever writes to it.
        if found.is_file() {
            let start = File::open(path).and_then(|mut file| content::start_of(&mut file));
            start.and_then(|start| content::refuse(&start)).map_err(|source| Error::io(path, source))?;
        }
        Ok(())
    }

    /// All of the input at once, and its name: what a run would read, in one piece.
    ///
    /// # Errors
    /// If it cannot be read, or holds no text.
    pub fn read_whole(self) -> Result<(String, Vec<u8>)> {
        let Open { name, mut stream, .. } = self.open()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).map_err(|source| Error::io(&*name, source))?;
        Ok((name.to_string(), bytes))
    }

    fn open(self) -> Result<Open> {
        let (mut number, mut is_start, mut before) = (0, true, 0);
        let (name, stream): (String, Box<dyn Read + Send>) = match self {
            Self::Stdin => {
                let text = content::text_of(Box::new(io::stdin())).map_err(|source| Error::io(STDIN_NAME, source))?;
                (STDIN_NAME.to_owned(), text)
            }
            Self::File(path) => {
                let file = File::open(&path).and_then(|file| content::text_of(Box::new(file)));
                let text = file.map_err(|source| Error::io(&path, source))?;
                (path.display().to_string(), text)
            }
            Self::Part(part) => {
                (number, is_start, before) = (part.lines_before, part.range.start == 0, part.before);
                let text = part.open().map_err(|source| Error::io(&part.path, source))?;
                (part.name, text)
            }
            Self::Stream(name, stream) => (name, stream),
        };
        let stream = BufReader::with_capacity(BUFFER, stream);
        Ok(Open { name: name.into(), stream, number, is_start, before })
    }
}

/// The input being read.
struct Open {
    name: Arc<str>,
    stream: BufReader<Box<dyn Read + Send>>,
    /// That of the line read last.
    number: u64,
    /// Whether a byte order mark may come.
    is_start: bool,
    /// [`Line::before`].
    before: u64,
}

/// Reads the lines of several inputs one after the other.
pub(super) struct Reader {
    inputs: VecDeque<Input>,
    open: Option<Open>,
    invalid_utf8: InvalidUtf8,
    index: u64,
    end: u64,
    bytes: Vec<u8>,
    /// Whether `bytes` is only the start of its line.
    truncated: bool,
    /// Whether the lines of a paragraph are one.
    join_lines: bool,
    /// The line after a paragraph, or why there is none.
    after: Option<Result<Option<Line>>>,
    /// Paragraphs and the lines between them so far.
    joined: u64,
}

impl Reader {
    pub(super) fn new(inputs: Vec<Input>, invalid_utf8: InvalidUtf8) -> Self {
        Self {
            inputs: inputs.into(),
            open: None,
            invalid_utf8,
            index: 0,
            end: 0,
            bytes: Vec::new(),
            truncated: false,
            join_lines: false,
            after: None,
            joined: 0,
        }
    }

    /// The same, reading each paragraph as one line if `join_lines` says so.
    pub(super) fn joining(self, join_lines: bool) -> Self {
        Self { join_lines, ..self }
    }

    /// Whether a whole line is already in memory, so that [`Reader::next`] will not wait.
    pub(super) fn is_ready(&self) -> bool {
        if self.join_lines {
            // Where a paragraph ends is only known after it.
            return matches!(&self.after, Some(Ok(Some(line))) if line.is_blank());
        }
        self.open.as_ref().is_some_and(|open| open.stream.buffer().contains(&b'\n'))
    }

    /// Passes over `count` lines and says how many there were.
    pub(super) fn skip(&mut self, count: u64) -> Result<u64> {
        for skipped in 0..count {
            let found = if self.join_lines { self.next()?.is_some() } else { self.advance()?.is_some() };
            if !found {
                return Ok(skipped);
            }
        }
        Ok(count)
    }

    /// The next line, or `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Line>> {
        if !self.join_lines {
            return self.next_line();
        }
        let Some(mut paragraph) = self.take_line()? else { return Ok(None) };
        while !paragraph.is_blank() {
            let next = self.take_line();
            let same_file = |line: &Line| line.number > paragraph.number && Arc::ptr_eq(&line.name, &paragraph.name);
            match next {
                Ok(Some(line)) if !line.is_blank() && same_file(&line) => {
                    paragraph.replaced |= line.replaced;
                    paragraph.truncated |= line.truncated || paragraph.text.len() + line.text.len() > LONGEST_LINE;
                    paragraph.end = line.end;
                    if !paragraph.truncated {
                        append_line(&mut paragraph.text, &line.text);
                    }
                }
                // An error comes after what was read before it.
                next => {
                    self.after = Some(next);
                    break;
                }
            }
        }
        paragraph.index = self.joined;
        self.joined += 1;
        Ok(Some(paragraph))
    }

    fn take_line(&mut self) -> Result<Option<Line>> {
        self.after.take().unwrap_or_else(|| self.next_line())
    }

    /// The next line as it stands in its file.
    fn next_line(&mut self) -> Result<Option<Line>> {
        let Some((name, number)) = self.advance()? else { return Ok(None) };
        let (text, replaced) = match String::from_utf8(std::mem::take(&mut self.bytes)) {
            Ok(text) => (text, false),
            Err(invalid) if self.invalid_utf8 == InvalidUtf8::Replace => {
                (String::from_utf8_lossy(invalid.as_bytes()).into_owned(), true)
            }
            Err(invalid) => {
                let position = invalid.utf8_error().valid_up_to();
                let byte = invalid.as_bytes().get(position).copied().unwrap_or_default();
                let problem = format!(
                    "byte {} (0x{byte:02X}) is not UTF-8; convert the text to UTF-8 or allow it to be replaced",
                    position + 1
                );
                return Err(Error::Input { name: name.to_string(), line: number, problem });
            }
        };
        let before = self.open.as_ref().map_or(0, |open| open.before);
        let (index, truncated, end) = (self.index - 1, self.truncated, self.end);
        Ok(Some(Line { index, before, name, number, text, replaced, truncated, end }))
    }

    /// Reads the bytes of the next line into `self.bytes`: no line end, no byte order mark.
    fn advance(&mut self) -> Result<Option<(Arc<str>, u64)>> {
        loop {
            let open = match &mut self.open {
                Some(open) => open,
                None => match self.inputs.pop_front() {
                    Some(input) => self.open.insert(input.open()?),
                    None => return Ok(None),
                },
            };
            self.bytes.clear();
            // Room for a line end of two bytes.
            let most = LONGEST_LINE as u64 + 2;
            let read = open.stream.by_ref().take(most).read_until(b'\n', &mut self.bytes);
            self.end += read.map_err(|source| Error::io(&*open.name, source))? as u64;
            let mut ended = self.bytes.last() == Some(&b'\n');
            let is_overlong = !ended && self.bytes.len() as u64 == most;
            if is_overlong {
                let (skipped, found) = skip_line(&mut open.stream).map_err(|source| Error::io(&*open.name, source))?;
                self.end += skipped;
                ended = found;
            } else if ended {
                self.bytes.pop();
                if self.bytes.last() == Some(&b'\r') {
                    self.bytes.pop();
                }
            }
            self.truncated = self.bytes.len() > LONGEST_LINE;
            if self.truncated {
                // Not in the middle of a character: what was valid UTF-8 stays so.
                let is_inside = |&byte: &u8| byte & 0xC0 == 0x80;
                let back = self.bytes[..=LONGEST_LINE].iter().rev().take(3).take_while(|byte| is_inside(byte)).count();
                self.bytes.truncate(LONGEST_LINE - back);
            }
            if std::mem::take(&mut open.is_start) && self.bytes.starts_with(BOM) {
                self.bytes.drain(..BOM.len());
            }
            if self.bytes.is_empty() && !ended {
                self.open = None;
                continue;
            }
            open.number += 1;
            self.index += 1;
            return Ok(Some((open.name.clone(), open.number)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that gives one byte a read, as a slow pipe may.
    struct Trickle(io::Cursor<Vec<u8>>);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(1);
            self.0.read(&mut buffer[..length])
        }
    }

    fn stream(bytes: &[u8]) -> Input {
        Input::Stream("test".to_owned(), Box::new(io::Cursor::new(bytes.to_vec())))
    }

    fn lines(inputs: Vec<Input>) -> Vec<String> {
        let mut reader = Reader::new(inputs, InvalidUtf8::Replace);
        std::iter::from_fn(|| reader.next().unwrap()).map(|line| line.text).collect()
    }

    #[test]
    fn the_last_line_needs_no_newline() {
        assert_eq!(lines(vec![stream(b"a\nb")]), ["a", "b"]);
        assert_eq!(lines(vec![stream(b"a\nb\n")]), ["a", "b"]);
        assert_eq!(lines(vec![stream(b"\n")]), [""]);
        assert!(lines(vec![stream(b"")]).is_empty());
    }

    #[test]
    fn files_do_not_run_into_each_other() {
        assert_eq!(lines(vec![stream(b"a"), stream(b""), stream(b"b\n\n"), stream(b"c")]), ["a", "b", "", "c"]);
    }

    #[test]
    fn one_carriage_return_before_a_newline_belongs_to_the_line_end() {
        assert_eq!(lines(vec![stream(b"a\r\nb\r\r\n\r\nc\rd\r")]), ["a", "b\r", "", "c\rd\r"]);
    }

    #[test]
    fn a_byte_order_mark_is_removed_at_the_start_of_a_file_only() {
        assert_eq!(
            lines(vec![stream(b"\xEF\xBB\xBFa\n\xEF\xBB\xBFb\n"), stream(b"\xEF\xBB\xBFc")]),
            ["a", "\u{feff}b", "c"]
        );
        assert!(lines(vec![stream(b"\xEF\xBB\xBF")]).is_empty());
        let slow = Input::Stream("slow".to_owned(), Box::new(Trickle(io::Cursor::new(b"\xEF\xBB\xBFa\r\nb".to_vec()))));
        assert_eq!(lines(vec![slow]), ["a", "b"]);
    }

    #[test]
    fn control_characters_are_kept() {
        assert_eq!(lines(vec![stream(b"a\0b\x1b\x0c\n")]), ["a\0b\x1b\x0c"]);
    }

    #[test]
    fn a_line_may_be_longer_than_the_buffer() {
        let long = "x".repeat(1 << 20);
        assert_eq!(lines(vec![stream(format!("a\n{long}\nb").as_bytes())]), ["a", &long, "b"]);
    }

    #[test]
    fn of_an_endless_line_the_start_is_kept() {
        // Two bytes a character, so the limit falls on a character's end or, one `x` later, inside one.
        for start in ["", "x"] {
            let long = format!("{start}{}", "é".repeat(LONGEST_LINE));
            let mut reader = Reader::new(vec![stream(format!("a\n{long}\r\nb").as_bytes())], InvalidUtf8::Error);
            let mut next = || reader.next().unwrap().unwrap();
            assert!(!next().truncated);
            let line = next();
            assert_eq!(
                (line.truncated, line.text.len(), line.end),
                (true, LONGEST_LINE - start.len(), long.len() as u64 + 4)
            );
            let last = next();
            assert_eq!((last.text.as_str(), last.number, last.truncated), ("b", 3, false));
        }
        for length in [LONGEST_LINE, LONGEST_LINE + 1] {
            for line_end in ["\r\n", "\n", ""] {
                let mut reader =
                    Reader::new(vec![stream(("x".repeat(length) + line_end).as_bytes())], InvalidUtf8::Error);
                let line = reader.next().unwrap().unwrap();
                assert_eq!(
                    (line.text.len(), line.truncated),
                    (LONGEST_LINE, length > LONGEST_LINE),
                    "{length} {line_end:?}"
                );
                assert!(reader.next().unwrap().is_none());
            }
        }
    }

    #[test]
    fn invalid_utf8_is_replaced_and_marked() {
        let mut reader = Reader::new(vec![stream(b"gr\xFC\xDFe\ngut\n")], InvalidUtf8::Replace);
        let line = reader.next().unwrap().unwrap();
        assert_eq!((line.text.as_str(), line.replaced), ("gr\u{fffd}\u{fffd}e", true));
        assert!(!reader.next().unwrap().unwrap().replaced);
    }

    #[test]
    fn invalid_utf8_can_be_an_error_that_names_file_line_and_byte() {
        let mut reader = Reader::new(vec![stream(b"gut\ngr\xFC\xDFe\n")], InvalidUtf8::Error);
        reader.next().unwrap();
        let message = reader.next().unwrap_err().to_string();
        assert!(message.starts_with("test: line 2: byte 3 (0xFC) is not UTF-8"), "{message}");
    }

    #[test]
    fn lines_know_where_they_come_from() {
        let mut reader = Reader::new(vec![stream(b"a\r\nb\n"), stream(b"c")], InvalidUtf8::Replace);
        let places = std::iter::from_fn(|| reader.next().unwrap()).map(|line| (line.index, line.number, line.end));
        assert_eq!(places.collect::<Vec<_>>(), [(0, 1, 3), (1, 2, 5), (2, 1, 6)]);
    }

    #[test]
    fn skipping_counts_the_lines_there_are() {
        let mut reader = Reader::new(vec![stream(b"a\n\xFF\nb\n"), stream(b"c")], InvalidUtf8::Error);
        assert_eq!(reader.skip(3).unwrap(), 3);
        assert_eq!(reader.next().unwrap().unwrap().text, "c");
        assert_eq!(reader.skip(2).unwrap(), 0);
    }

    #[test]
    fn paragraphs_are_read_as_one_line_and_blank_lines_stay() {
        let inputs = || vec![stream(b"a\nb-\nc\n\n \nd\n"), stream(b"e\n\nf\xFF"), stream(b"")];
        let mut reader = Reader::new(inputs(), InvalidUtf8::Replace).joining(true);
        let lines: Vec<Line> = std::iter::from_fn(|| reader.next().unwrap()).collect();
        let told: Vec<(&str, u64, u64, u64)> =
            lines.iter().map(|line| (line.text.as_str(), line.index, line.number, line.end)).collect();
        let expected = [
            ("a bc", 0, 1, 7),
            ("", 1, 4, 8),
            (" ", 2, 5, 10),
            ("d", 3, 6, 12),
            ("e", 4, 1, 14),
            ("", 5, 2, 15),
            ("f\u{fffd}", 6, 3, 17),
        ];
        assert_eq!(told, expected);
        assert!(lines[6].replaced && !lines[0].replaced);
        let mut reader = Reader::new(inputs(), InvalidUtf8::Replace).joining(true);
        assert_eq!(reader.skip(4).unwrap(), 4);
        assert_eq!(reader.next().unwrap().unwrap().text, "e");
        assert_eq!(reader.skip(9).unwrap(), 2);
    }

    #[test]
    fn a_paragraph_before_an_error_is_read_and_one_without_an_end_is_truncated() {
        let mut reader = Reader::new(vec![stream(b"a\nb\n\xFF\nc\n")], InvalidUtf8::Error).joining(true);
        assert_eq!(reader.next().unwrap().unwrap().text, "a b");
        assert!(reader.next().unwrap_err().to_string().starts_with("test: line 3"));
        let line = "x".repeat(1 << 20) + "\n";
        let mut reader = Reader::new(vec![stream(line.repeat(40).as_bytes())], InvalidUtf8::Error).joining(true);
        let paragraph = reader.next().unwrap().unwrap();
        assert!(paragraph.truncated && paragraph.text.len() <= LONGEST_LINE && paragraph.end == 40 * line.len() as u64);
        assert!(reader.next().unwrap().is_none());
    }

    #[test]
    fn a_missing_file_or_a_directory_is_noticed_before_reading() {
        let missing = Input::File("no/such/file".into()).check().unwrap_err().to_string();
        assert!(missing.starts_with("no/such/file: "), "{missing}");
        assert!(Input::File(std::env::temp_dir()).check().is_err());
    }

    #[test]
    fn no_file_means_standard_input() {
        assert!(matches!(Input::from_arguments::<&str>(&[])[..], [Input::Stdin]));
        assert!(matches!(Input::from_arguments(&["-", "a"])[..], [Input::Stdin, Input::File(_)]));
    }
}
