//! How the text of a file is written: UTF-8, UTF-16 or an older encoding, with or without a byte order mark.

use std::borrow::Cow;

use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// The encoding of a file, kept so that it can be written as it was.
#[derive(Clone, Copy, Debug)]
pub struct Encoding {
    encoding: &'static encoding_rs::Encoding,
    has_mark: bool,
}

impl Encoding {
    /// Decodes a file: by its byte order mark, as UTF-8 if it is that, as `declared` (a name such as `iso-8859-15`) if the file says so
    /// itself, and otherwise as Windows-1252. The text has no byte order mark, and U+FFFD for what cannot be decoded.
    pub fn decode<'b>(bytes: &'b [u8], declared: Option<&str>) -> (Self, Cow<'b, str>) {
        if let Some((encoding, length)) = encoding_rs::Encoding::for_bom(bytes) {
            let (text, _) = encoding.decode_without_bom_handling(&bytes[length..]);
            return (Self { encoding, has_mark: true }, text);
        }
        let declared = declared.and_then(|name| encoding_rs::Encoding::for_label(name.as_bytes()));
        if let Ok(text) = std::str::from_utf8(bytes) {
            // ASCII is all of them, and what is written into it has to be what the file says.
            let declared = declared.filter(|encoding| bytes.is_ascii() && encoding.is_ascii_compatible());
            return (Self { encoding: declared.unwrap_or(UTF_8), has_mark: false }, Cow::Borrowed(text));
        }
        let encoding = declared.filter(|encoding| *encoding != UTF_8).unwrap_or(WINDOWS_1252);
        (Self { encoding, has_mark: false }, encoding.decode_without_bom_handling(bytes).0)
    }

    /// Its name, as HTML and XML write it.
    pub fn name(self) -> &'static str {
        self.encoding.name()
    }

    /// Whether every character of `text` can be written in it.
    pub fn has(self, text: &str) -> bool {
        self.is_unicode() || !self.encoding.encode(text).2
    }

    /// The text as bytes, with the byte order mark that the file had. What the encoding lacks is written as `replacement` says.
    pub fn encode(self, text: &str, mut replacement: impl FnMut(char) -> String) -> Vec<u8> {
        let mark = if self.has_mark { "\u{feff}" } else { "" };
        let text: Cow<'_, str> = if mark.is_empty() { text.into() } else { format!("{mark}{text}").into() };
        if self.encoding == UTF_8 {
            return text.into_owned().into_bytes();
        }
        // The encoder of these writes UTF-8 instead, as forms of pages are sent.
        if self.encoding == UTF_16LE {
            return text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        }
        if self.encoding == UTF_16BE {
            return text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        }
        let (bytes, _, is_lossy) = self.encoding.encode(&text);
        if !is_lossy {
            return bytes.into_owned();
        }
        let mut written = Vec::with_capacity(text.len());
        let mut buffer = [0; 4];
        for character in text.chars() {
            let (bytes, _, is_missing) = self.encoding.encode(character.encode_utf8(&mut buffer));
            match is_missing {
                true => written.extend_from_slice(&self.encoding.encode(&replacement(character)).0),
                false => written.extend_from_slice(&bytes),
            }
        }
        written
    }

    fn is_unicode(self) -> bool {
        [UTF_8, UTF_16LE, UTF_16BE].contains(&self.encoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_as_it_was() {
        let utf16: Vec<u8> = "\u{feff}Größe".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in ["Größe".as_bytes(), "\u{feff}Größe".as_bytes(), b"Gr\xf6\xdfe \x80", &utf16] {
            let (encoding, text) = Encoding::decode(bytes, None);
            assert!(text.starts_with("Größe"), "{text}");
            assert_eq!(encoding.encode(&text, |_| "?".to_owned()), bytes);
        }
    }

    #[test]
    fn what_an_encoding_lacks_is_replaced() {
        let (encoding, text) = Encoding::decode(b"\xa4", Some("iso-8859-15"));
        assert_eq!((&text[..], encoding.has("€"), encoding.has("→")), ("€", true, false));
        assert_eq!(encoding.encode("€→", |c| format!("&#{};", u32::from(c))), b"\xa4&#8594;");
        // A file that is all ASCII is written as it says.
        let (encoding, _) = Encoding::decode(b"ASCII", Some("iso-8859-1"));
        assert_eq!(encoding.encode("\u{e4}", |_| String::new()), b"\xe4");
    }
}
