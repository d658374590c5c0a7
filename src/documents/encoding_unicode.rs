//! How the text of a file is written where no format needs older encodings: UTF-8, with or without a byte order mark.

use std::borrow::Cow;

const MARK: &str = "\u{feff}";

/// The encoding of a file, kept so that it can be written as it was.
#[derive(Clone, Copy, Debug)]
pub struct Encoding {
    has_mark: bool,
}

impl Encoding {
    /// Decodes a file. The text has no byte order mark, and U+FFFD for what cannot be decoded.
    pub fn decode<'b>(bytes: &'b [u8], _declared: Option<&str>) -> (Self, Cow<'b, str>) {
        let rest = bytes.strip_prefix(MARK.as_bytes());
        (Self { has_mark: rest.is_some() }, String::from_utf8_lossy(rest.unwrap_or(bytes)))
    }

    /// Its name, as HTML and XML write it.
    pub fn name(self) -> &'static str {
        "UTF-8"
    }

    /// Whether every character of `text` can be written in it.
    pub fn has(self, _text: &str) -> bool {
        true
    }

    /// The text as bytes, with the byte order mark that the file had.
    pub fn encode(self, text: &str, _replacement: impl FnMut(char) -> String) -> Vec<u8> {
        let mark = if self.has_mark { MARK } else { "" };
        format!("{mark}{text}").into_bytes()
    }
}
