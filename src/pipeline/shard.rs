//! One part of many, so that other processes, here or on other machines, can take the others.

use std::fmt;
use std::fs::{self, File};
use std::path::Path;
use std::str::FromStr;

use super::content;
use super::input::{Input, InvalidUtf8, Reader, STDIN_NAME};
use super::part::{Part, boundary};
use crate::error::{Error, Result};

/// Part `index`, counted from 1, of `count`: of files with S bytes together, one after the other, the lines that begin at or after
/// byte `⌊S·(index − 1) / count⌋` and before `⌊S·index / count⌋`.
///
/// The parts are whole lines, each line in one of them, in order; they depend on the bytes of the files and nothing else. A part
/// may be empty, if a line is longer than it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    count: u64,
}

/// How a part is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardOptions {
    /// Whether the lines before the part are counted, for results that have line numbers: those of the files are read up to there.
    /// If not, the first line of a part is line 1, and [`Line::name`](super::Line::name) says of which part.
    pub numbered: bool,
    /// Whether the lines of a paragraph will be joined; parts are then cut at the first blank line after the place.
    pub join_lines: bool,
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "part {} of {}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = Error;

    /// Reads `I/N`.
    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match numbers {
            None => Err(Error::Usage("must be I/N, which part of how many, as in 3/16".to_owned())),
            Some((0, count)) => Err(Error::Usage(format!(
                "parts are counted from 1 (1/{count} to {count}/{count}): add 1 to an index that is counted from 0"
            ))),
            Some((index, count)) if index > count => Err(Error::Usage(format!("there is no part {index} of {count}"))),
            Some((index, count)) => Ok(Self { index, count }),
        }
    }
}

impl Shard {
    /// What this part has of each input.
    ///
    /// # Errors
    /// - [`Error::Usage`] if one of them is no regular file of plain text, in which a part could be found by its bytes;
    /// - [`Error::Io`] if one cannot be read.
    pub fn of(self, inputs: &[Input], options: ShardOptions) -> Result<Vec<Input>> {
        let files: Vec<(&Path, u64)> = inputs.iter().map(plain_file).collect::<Result<_>>()?;
        let all: u64 = files.iter().map(|(_, size)| size).sum();
        let (from, to) = (self.cut(all, self.index - 1), self.cut(all, self.index));
        let mut parts = Vec::new();
        // All before the first line of this part.
        let mut earlier: Vec<Input> = Vec::new();
        let mut offset = 0;
        for (path, size) in files {
            let bound = |at: u64| boundary(path, size, at.saturating_sub(offset).min(size), options.join_lines);
            let range = bound(from).and_then(|start| Ok(start..bound(to)?)).map_err(|error| Error::io(path, error))?;
            offset += size;
            let mut part = Part::whole(path, size);
            if range.start > 0 && options.numbered {
                let before = Part { range: 0..range.start, ..part.clone() };
                part.lines_before = if range.is_empty() { 0 } else { count(vec![Input::Part(before.clone())], false)? };
                earlier.push(Input::Part(before));
            } else if range.start > 0 {
                part.name = format!("{} ({self})", part.name);
            }
            parts.push(Part { range, ..part });
        }
        let before = if options.numbered { count(earlier, options.join_lines)? } else { 0 };
        Ok(parts.into_iter().map(|part| Input::Part(Part { before, ..part })).collect())
    }

    /// Where part `index + 1` of `size` bytes begins.
    fn cut(self, size: u64, index: u64) -> u64 {
        // At most `size`.
        (u128::from(size) * u128::from(index) / u128::from(self.count)) as u64
    }
}

/// How many lines, or paragraphs and lines between them, there are.
fn count(inputs: Vec<Input>, join_lines: bool) -> Result<u64> {
    Reader::new(inputs, InvalidUtf8::Replace).joining(join_lines).skip(u64::MAX)
}

/// The path and size of an input that parts can be cut from.
fn plain_file(input: &Input) -> Result<(&Path, u64)> {
    input.check()?;
    let path = match input {
        Input::File(path) => path,
        Input::Stdin => return Err(no_parts(STDIN_NAME)),
        Input::Stream(name, _) => return Err(no_parts(name)),
        Input::Part(part) => return Err(no_parts(&part.name)),
    };
    let io = |error| Error::io(path, error);
    let found = fs::metadata(path).map_err(io)?;
    if !found.is_file() {
        return Err(no_parts(path.display()));
    }
    let start = File::open(path).and_then(|mut file| content::start_of(&mut file)).map_err(io)?;
    if !content::is_plain(&start) {
        let problem = "is compressed or UTF-16; parts are cut from plain UTF-8 text, so unpack or convert it first";
        return Err(Error::Usage(format!("{}: {problem}", path.display())));
    }
    // Files of /proc say that they are empty.
    if found.len() < start.len() as u64 {
        return Err(no_parts(path.display()));
    }
    Ok((path, found.len()))
}

fn no_parts(name: impl fmt::Display) -> Error {
    Error::Usage(format!("{name}: a part is found by its place in a file on disk; give such a file by its name"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn shard(text: &str) -> Shard {
        text.parse().unwrap()
    }

    fn write(directory: &tempfile::TempDir, name: &str, contents: &[u8]) -> PathBuf {
        let path = directory.path().join(name);
        fs::write(&path, contents).unwrap();
        path
    }

    /// Name, number, place in all the input and text of every line.
    fn lines(inputs: Vec<Input>, join_lines: bool) -> Vec<(String, u64, u64, String)> {
        let mut reader = Reader::new(inputs, InvalidUtf8::Replace).joining(join_lines);
        let lines = std::iter::from_fn(|| reader.next().unwrap());
        lines.map(|line| (line.name.to_string(), line.number, line.position(), line.text.clone())).collect()
    }

    /// Lines of every kind: blank ones, long ones, line ends of two bytes, bytes that are no UTF-8, none at the end.
    const ODD: &[u8] =
        b"\xEF\xBB\xBFone\n\n\r\ntwo\r\nthree\rstill three\n\xFF\n  \na longer line than all of the others together\n\
        MZ\nfour\nfive\n\nsix without an end";

    #[test]
    fn the_parts_are_all_lines_with_their_numbers() {
        let directory = tempfile::tempdir().unwrap();
        let files = [("a", ODD), ("empty", b""), ("b", b"x\ny\n"), ("c", b"\n"), ("d", ODD)];
        let inputs = files.map(|(name, contents)| Input::File(write(&directory, name, contents)));
        for join_lines in [false, true] {
            let whole = lines(Input::from_arguments(&files.map(|(name, _)| directory.path().join(name))), join_lines);
            for count in 1..60 {
                let part = |index| {
                    let options = ShardOptions { numbered: true, join_lines };
                    lines(shard(&format!("{index}/{count}")).of(&inputs, options).unwrap(), join_lines)
                };
                let parts: Vec<_> = (1..=count).flat_map(part).collect();
                assert_eq!(parts, whole, "{count} parts");
            }
        }
    }

    #[test]
    fn a_part_has_the_lines_that_begin_in_it() {
        let directory = tempfile::tempdir().unwrap();
        // Lines begin at 0, 2, 8 and 9 of 10 bytes; parts at 0, 2, 5 and 7.
        let inputs = [Input::File(write(&directory, "in", b"a\nbcdef\n\nh"))];
        for (part, expected) in [("1/4", &["a"][..]), ("2/4", &["bcdef"]), ("3/4", &[]), ("4/4", &["", "h"])] {
            let found = lines(shard(part).of(&inputs, ShardOptions::default()).unwrap(), false);
            assert_eq!(found.iter().map(|(.., text)| text).collect::<Vec<_>>(), expected, "{part}");
        }
    }

    #[test]
    fn lines_that_are_not_counted_are_named_by_their_part() {
        let directory = tempfile::tempdir().unwrap();
        let path = write(&directory, "in", b"a\nb\nc\nd\n");
        let inputs = [Input::File(path.clone())];
        let name = path.display();
        let first = lines(shard("1/2").of(&inputs, ShardOptions::default()).unwrap(), false);
        assert_eq!(first[1], (name.to_string(), 2, 1, "b".to_owned()));
        let last = lines(shard("2/2").of(&inputs, ShardOptions::default()).unwrap(), false);
        assert_eq!(last[1], (format!("{name} (part 2 of 2)"), 2, 1, "d".to_owned()));
    }

    #[test]
    fn a_part_is_read_as_text_whatever_it_begins_with() {
        let directory = tempfile::tempdir().unwrap();
        let inputs = [Input::File(write(&directory, "in", b"text\nBZh is no archive\n"))];
        let found = lines(shard("2/4").of(&inputs, ShardOptions::default()).unwrap(), false);
        assert_eq!(found[0].3, "BZh is no archive");
    }

    #[test]
    fn what_parts_cannot_be_cut_from_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let compressed = Input::File(write(&directory, "in.gz", b"\x1f\x8b\x08\0"));
        let utf16 = Input::File(write(&directory, "in", b"\xff\xfea\0\n\0"));
        let stream = Input::Stream("stream".to_owned(), Box::new(std::io::empty()));
        let mut refused = vec![(compressed, "in.gz: is compressed or UTF-16"), (utf16, "in: is compressed or UTF-16")];
        refused.extend([(Input::Stdin, "standard input: a part is"), (stream, "stream: a part is found")]);
        #[cfg(target_os = "linux")]
        refused.extend(["/dev/null", "/proc/version"].map(|path| (Input::File(path.into()), "a file on disk")));
        for (input, expected) in refused {
            let error = shard("1/2").of(&[input], ShardOptions::default()).map(drop).unwrap_err();
            assert!(matches!(error, Error::Usage(_)) && error.to_string().contains(expected), "{error}");
        }
        assert!(shard("1/2").of(&[Input::File("no/such/file".into())], ShardOptions::default()).is_err());
    }

    #[test]
    fn a_part_is_told_as_which_of_how_many() {
        assert_eq!(shard("03/16").to_string(), "part 3 of 16");
        for (text, expected) in [
            ("0/4", "counted from 1 (1/4 to 4/4)"),
            ("5/4", "no part 5 of 4"),
            ("1/0", "no part 1 of 0"),
            ("3", "must be I/N"),
            ("-1/4", "must be I/N"),
            ("1/4/2", "must be I/N"),
            ("/", "must be I/N"),
        ] {
            let error = text.parse::<Shard>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn very_large_files_are_cut_without_overflow() {
        let shard = Shard { index: 3, count: u64::MAX };
        assert_eq!((shard.cut(u64::MAX, 0), shard.cut(u64::MAX, 7), shard.cut(u64::MAX, u64::MAX)), (0, 7, u64::MAX));
    }
}
