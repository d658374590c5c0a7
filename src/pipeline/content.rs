//! What a file holds by its first bytes: text, text that is compressed or in UTF-16, or something that is no text at all.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Bytes that are looked at.
const START: usize = 4096;

/// Most memory for taking an xz file apart, in KiB; its largest preset asks for 64 MiB.
const XZ_MEMORY: u32 = 256 << 10;

/// What can be read as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Text,
    Gzip,
    Zstandard,
    Xz,
    Bzip2,
    Utf16 {
        big_endian: bool,
    },
    /// None of these, in words.
    Other(&'static str),
}

/// First bytes and what they mean. A beginning of another comes after it.
const MAGIC: [(&[u8], Content); 30] = [
    (b"\x1f\x8b", Content::Gzip),
    (b"\x28\xb5\x2f\xfd", Content::Zstandard),
    (b"\xfd7zXZ\0", Content::Xz),
    (b"BZh", Content::Bzip2),
    (b"\xff\xfe\0\0", Content::Other("UTF-32 text")),
    (b"\0\0\xfe\xff", Content::Other("UTF-32 text")),
    (b"\xff\xfe", Content::Utf16 { big_endian: false }),
    (b"\xfe\xff", Content::Utf16 { big_endian: true }),
    (b"%PDF-", Content::Other("a PDF document")),
    (b"PK\x03\x04", Content::Other("a ZIP archive")),
    (b"\x7fELF", Content::Other("a program (ELF)")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Content::Other("an old Office document (DOC, XLS or PPT)")),
    (b"{\\rtf", Content::Other("an RTF document")),
    (b"%!PS-", Content::Other("a PostScript document")),
    (b"\x89PNG\r\n", Content::Other("a picture (PNG)")),
    (b"\xff\xd8\xff", Content::Other("a picture (JPEG)")),
    (b"GIF87a", Content::Other("a picture (GIF)")),
    (b"GIF89a", Content::Other("a picture (GIF)")),
    (b"7z\xbc\xaf\x27\x1c", Content::Other("a 7z archive")),
    (b"Rar!\x1a\x07", Content::Other("a RAR archive")),
    (b"\x1f\x9d", Content::Other("compressed with compress (.Z)")),
    (b"\x04\x22\x4d\x18", Content::Other("compressed with lz4")),
    (b"LZIP\x01", Content::Other("compressed with lzip")),
    (b"SQLite format 3\0", Content::Other("an SQLite database")),
    (b"\xcf\xfa\xed\xfe", Content::Other("a program (Mach-O)")),
    (b"\xca\xfe\xba\xbe", Content::Other("a program (Mach-O or Java)")),
    (b"\0asm", Content::Other("a program (WebAssembly)")),
    (b"PAR1", Content::Other("a Parquet table")),
    (b"\x93NUMPY", Content::Other("a NumPy array")),
    (b"OggS\0", Content::Other("a sound (Ogg)")),
];

fn recognise(start: &[u8]) -> Content {
    let has = |part: &[u8]| start.windows(part.len()).any(|window| window == part);
    let found = MAGIC.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, content)| *content);
    match found {
        Some(Content::Other("a ZIP archive")) => {
            let kinds: [(&[u8], &str); 6] = [
                (b"word/", "a Word document (DOCX)"),
                (b"xl/", "an Excel workbook (XLSX)"),
                (b"ppt/", "a PowerPoint presentation (PPTX)"),
                (b"[Content_Types].xml", "an Office document (DOCX, XLSX or PPTX)"),
                (b"vnd.oasis.opendocument", "an OpenDocument file (ODT, ODS or ODP)"),
                (b"application/epub+zip", "an EPUB book"),
            ];
            let kind = kinds.iter().find(|(part, _)| has(part));
            Content::Other(kind.map_or("a ZIP archive", |(_, name)| name))
        }
        Some(content) => content,
        // Two letters that a text may begin with.
        None if start.starts_with(b"MZ") && start.contains(&0) => Content::Other("a program (EXE)"),
        None if start.get(257..262) == Some(b"ustar") => Content::Other("a tar archive"),
        None if start.get(4..8) == Some(b"ftyp") => Content::Other("a film or sound (MP4)"),
        None => Content::Text,
    }
}

/// Whether more bytes may make something else of these.
fn is_undecided(start: &[u8]) -> bool {
    MAGIC.iter().any(|(magic, _)| start.len() < magic.len() && magic.starts_with(start))
}

/// What is wrong with a file that begins so, if it is no text.
pub(super) fn refuse(start: &[u8]) -> io::Result<()> {
    match recognise(start) {
        Content::Other(what) => Err(not_text(what)),
        _ => Ok(()),
    }
}

fn not_text(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("is {what}, not text; convert it to plain text first"))
}

/// Whether a file that begins so is as long as its text in UTF-8.
pub(super) fn is_plain(start: &[u8]) -> bool {
    recognise(start) == Content::Text
}

/// The first bytes of a file.
pub(super) fn start_of(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    stream.take(START as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// The text of a stream in UTF-8 (or whatever it is, if nothing speaks against it being text). No more is read than what is
/// there, unless that may be the beginning of something else.
///
/// # Errors
/// If the stream cannot be read, or holds no text.
pub(super) fn text_of(stream: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let (content, stream) = look_into(stream)?;
    let unpacked: Box<dyn Read + Send> = match content {
        Content::Gzip => Box::new(flate2::read::MultiGzDecoder::new(stream)),
        Content::Zstandard => Box::new(Zstandard::new(stream)),
        Content::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(stream, true, XZ_MEMORY)),
        Content::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(stream)),
        content => return decoded(content, stream),
    };
    match look_into(unpacked)? {
        (Content::Gzip | Content::Zstandard | Content::Xz | Content::Bzip2, _) => Err(not_text("compressed twice")),
        (content, stream) => decoded(content, stream),
    }
}

fn decoded(content: Content, stream: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    match content {
        Content::Utf16 { big_endian } => Ok(Box::new(Utf16::new(stream, big_endian))),
        Content::Other(what) => Err(not_text(what)),
        _ => Ok(stream),
    }
}

/// Recognises what comes, and gives back the stream from its beginning.
fn look_into(mut stream: Box<dyn Read + Send>) -> io::Result<(Content, Box<dyn Read + Send>)> {
    let mut start = Vec::new();
    let mut buffer = vec![0; START];
    while start.is_empty() || is_undecided(&start) {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => start.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if matches!(recognise(&start), Content::Other(_)) {
        // It will be refused; what more of it there is says what to call it.
        stream.by_ref().take(START as u64).read_to_end(&mut start)?;
    }
    let content = recognise(&start);
    Ok((content, Box::new(Cursor::new(start).chain(stream))))
}

/// The frames of a Zstandard file, one after the other.
struct Zstandard<R> {
    source: BufReader<R>,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl<R: Read> Zstandard<R> {
    fn new(source: R) -> Self {
        Self { source: BufReader::new(source), decoder: FrameDecoder::new(), in_frame: false }
    }
}

impl<R: Read> Read for Zstandard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.in_frame {
                if self.source.fill_buf()?.is_empty() {
                    return Ok(0);
                }
                match self.decoder.init(&mut self.source) {
                    Ok(()) => self.in_frame = true,
                    Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                        length, ..
                    })) => {
                        io::copy(&mut self.source.by_ref().take(u64::from(length)), &mut io::sink())?;
                        continue;
                    }
                    Err(error) => return Err(io::Error::other(format!("damaged Zstandard file ({error})"))),
                }
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let decoded = self.decoder.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1));
                decoded.map_err(|error| io::Error::other(format!("damaged Zstandard file ({error})")))?;
            }
            match self.decoder.read(buffer)? {
                0 => self.in_frame = false,
                count => return Ok(count),
            }
        }
    }
}

/// UTF-16 as UTF-8, without the byte order mark. A surrogate without its other half becomes U+FFFD.
struct Utf16<R> {
    source: R,
    big_endian: bool,
    /// Half a unit, and a surrogate that waits for its second half.
    odd: Option<u8>,
    high: Option<u16>,
    /// What is decoded and not yet handed out.
    text: Cursor<Vec<u8>>,
    begun: bool,
}

impl<R: Read> Utf16<R> {
    fn new(source: R, big_endian: bool) -> Self {
        Self { source, big_endian, odd: None, high: None, text: Cursor::default(), begun: false }
    }

    /// Decodes the next bytes; false at the end.
    fn advance(&mut self) -> io::Result<bool> {
        let mut bytes = vec![0; START];
        let count = match self.source.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            read => read?,
        };
        let is_end = count == 0;
        let bytes: Vec<u8> = self.odd.take().into_iter().chain(bytes[..count].iter().copied()).collect();
        let (pairs, rest) = bytes.as_chunks::<2>();
        self.odd = rest.first().copied();
        let unit = |pair: &[u8; 2]| if self.big_endian { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) };
        let mut units: Vec<u16> = self.high.take().into_iter().chain(pairs.iter().map(unit)).collect();
        if !is_end && units.last().is_some_and(|unit| (0xD800..0xDC00).contains(unit)) {
            self.high = units.pop();
        }
        if is_end && self.odd.take().is_some() {
            units.push(0xFFFD);
        }
        let mut text = String::from_utf16_lossy(&units);
        if !self.begun && !text.is_empty() {
            self.begun = true;
            text = text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned);
        }
        self.text = Cursor::new(text.into_bytes());
        Ok(!is_end)
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.text.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            if !self.advance()? {
                return self.text.read(buffer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that gives one byte a read.
    struct Trickle(Cursor<Vec<u8>>);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(1);
            self.0.read(&mut buffer[..length])
        }
    }

    fn text(bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        text_of(Box::new(Trickle(Cursor::new(bytes.to_vec()))))?.read_to_string(&mut text)?;
        let mut whole = String::new();
        text_of(Box::new(Cursor::new(bytes.to_vec())))?.read_to_string(&mut whole)?;
        assert_eq!(text, whole, "however it is read");
        Ok(text)
    }

    #[test]
    fn text_is_left_alone_whatever_it_begins_like() {
        for plain in ["", "B", "BZ", "P\n", "MZ ist ein Kürzel.\n", "%PDF", "7", "{\\r", "Ein Hund.\n"] {
            assert_eq!(text(plain.as_bytes()).unwrap(), plain);
        }
    }

    #[test]
    fn utf16_is_read_in_either_order_and_lone_surrogates_are_replaced() {
        let plain = "Über 🙂 den\r\nSchnee.\n";
        let units = || "\u{feff}".encode_utf16().chain(plain.encode_utf16());
        assert_eq!(text(&units().flat_map(u16::to_le_bytes).collect::<Vec<_>>()).unwrap(), plain);
        assert_eq!(text(&units().flat_map(u16::to_be_bytes).collect::<Vec<_>>()).unwrap(), plain);
        assert_eq!(text(b"\xff\xfea\0\x00\xd8b\0c").unwrap(), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn several_members_are_one_text() {
        use std::io::Write;
        let member = |text: &str| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        assert_eq!(text(&[member("Ein "), member("Hund.\n")].concat()).unwrap(), "Ein Hund.\n");
        let frame = |text: &str| {
            ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
        };
        let skipped = b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec();
        assert_eq!(text(&[frame("Ein "), skipped, frame("Hund.\n")].concat()).unwrap(), "Ein Hund.\n");
        let twice = {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&member("Hund")).unwrap();
            encoder.finish().unwrap()
        };
        assert!(text(&twice).unwrap_err().to_string().contains("compressed twice"));
        let whole = member("Ein Hund rennt durch den Schnee.\n");
        assert!(text(&whole[..whole.len() / 2]).is_err(), "half a file");
    }

    #[test]
    fn what_is_no_text_is_named() {
        for (bytes, name) in [
            (&b"%PDF-1.7\n"[..], "PDF"),
            (b"\x7fELF\x02\x01", "ELF"),
            (b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0[Content_Types].xml \xa2word/document.xml", "DOCX"),
            (b"PK\x03\x04\n\0\0\0mimetypeapplication/vnd.oasis.opendocument.text", "OpenDocument"),
            (b"PK\x03\x04\n\0\0\0a.txt", "ZIP"),
            (b"\x89PNG\r\n\x1a\n", "PNG"),
            (b"\xff\xfe\0\0H\0\0\0", "UTF-32"),
            (b"{\\rtf1\\ansi", "RTF"),
        ] {
            let error = text(bytes).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("not text"), "{error}");
        }
        // A text may begin with the same two letters, so this is seen only where more of it comes at once.
        assert_eq!(recognise(b"MZ\x90\0\x03\0"), Content::Other("a program (EXE)"));
    }
}
