//! The text of a file, and the same file with other texts in some places.

use std::ops::Range;

use super::Encoding;
use crate::{Error, Result};

/// A file that was decoded, and is written in the encoding that it had.
pub(crate) struct Source {
    /// What it says.
    pub(crate) text: String,
    /// How it is written.
    pub(crate) encoding: Encoding,
}

/// A line of a text: its bytes without and with the line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Where its first byte is.
    pub(crate) start: usize,
    /// Where its text ends.
    pub(crate) end: usize,
    /// Where the next line begins.
    pub(crate) next: usize,
}

impl Line {
    /// The bytes of its text.
    pub(crate) fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

impl Source {
    /// Decodes a file.
    ///
    /// # Errors
    /// If it has bytes that its encoding does not, for it could not be written as it was.
    pub(crate) fn read(bytes: &[u8], declared: Option<&str>) -> Result<Self> {
        let (encoding, text) = Encoding::decode(bytes, declared);
        if encoding.encode(&text, |_| String::new()) != bytes {
            let line = text.split('\u{fffd}').next().map_or(1, |before| before.matches('\n').count() + 1);
            let name = encoding.name();
            return Err(Error::Text(format!("line {line}: bytes that are no {name}; convert the file to UTF-8")));
        }
        Ok(Self { text: text.into_owned(), encoding })
    }

    /// The text with each range replaced, ranges in order.
    pub(crate) fn edited(&self, edits: impl IntoIterator<Item = (Range<usize>, String)>) -> String {
        let edits = edits.into_iter().map(|(range, text)| (range, text.into_bytes()));
        let edited = super::replace(self.text.as_bytes(), edits);
        String::from_utf8(edited).expect("texts in the place of texts")
    }

    /// `text` in the encoding of the file; as UTF-8 with a byte order mark if the encoding lacks some of its characters.
    pub(crate) fn encode_or_utf8(&self, text: &str) -> Vec<u8> {
        match self.encoding.has(text) {
            true => self.encoding.encode(text, String::from),
            false => format!("\u{feff}{text}").into_bytes(),
        }
    }

    /// What is to be said of a file whose encoding may lack characters of a translation.
    pub(crate) fn encoding_note(&self) -> Option<String> {
        let name = self.encoding.name();
        (!name.starts_with("UTF-")).then(|| {
            format!("written in {name} as it was, but in UTF-8 if a translation has characters that {name} lacks")
        })
    }
}

/// The lines of a text, which end in LF, CR LF or CR. The last is there if it is not empty.
pub(crate) fn lines(text: &str) -> Vec<Line> {
    let bytes = text.as_bytes();
    let (mut lines, mut start) = (Vec::new(), 0);
    while start < bytes.len() {
        let end =
            bytes[start..].iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(bytes.len(), |at| start + at);
        let next = match &bytes[end..] {
            [] => end,
            [b'\r', b'\n', ..] => end + 2,
            _ => end + 1,
        };
        lines.push(Line { start, end, next });
        start = next;
    }
    lines
}

/// Which line a byte of a text is in.
pub(crate) struct LineNumbers(Vec<usize>);

impl LineNumbers {
    pub(crate) fn of(text: &str) -> Self {
        Self(lines(text).iter().map(|line| line.next).collect())
    }

    /// The line of a byte, counted from 1.
    pub(crate) fn line(&self, byte: usize) -> usize {
        1 + self.0.partition_point(|next| *next <= byte)
    }
}

/// Whether a character is a space that no line is broken at.
pub(crate) fn is_no_break(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{202f}' | '\u{2007}')
}

/// Whether there is anything to translate in a text.
pub(crate) fn has_letters(text: &str) -> bool {
    text.chars().any(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_three_ways() {
        let text = "a\r\nb\rc\n\nd";
        let found: Vec<&str> = lines(text).iter().map(|line| &text[line.range()]).collect();
        assert_eq!(found, ["a", "b", "c", "", "d"]);
        assert!(lines("").is_empty());
        assert_eq!(lines("a\n").len(), 1);
        let numbers = LineNumbers::of(text);
        assert_eq!([0, 2, 3, 7].map(|byte| numbers.line(byte)), [1, 1, 2, 4]);
    }

    #[cfg(any(feature = "html", feature = "markdown", feature = "subtitles", feature = "catalogues"))]
    #[test]
    fn what_cannot_be_written_again_is_refused_with_its_line() {
        let error = Source::read(b"\xef\xbb\xbfa\nb\xff\n", None).err().unwrap();
        assert_eq!(error.to_string(), "line 2: bytes that are no UTF-8; convert the file to UTF-8");
    }
}
