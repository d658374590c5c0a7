//! Documents through translators that are none: one that changes nothing, and one that changes every letter.

#[cfg(feature = "catalogues")]
mod gettext;
#[cfg(feature = "html")]
mod html;
#[cfg(feature = "markdown")]
mod markdown;
#[cfg(feature = "office")]
mod office;
mod plain;
#[cfg(feature = "catalogues")]
mod strings;
#[cfg(feature = "subtitles")]
mod subtitles;
mod transfer;
#[cfg(feature = "catalogues")]
mod xml_catalogues;

use translate::documents::{Document, Options, Part, Segment, Shown, format};

/// The document, read.
pub(crate) fn read(kind: &str, bytes: &[u8], options: &Options) -> Box<dyn Document> {
    let document = format(kind).expect(kind).read(bytes, options).unwrap_or_else(|error| panic!("{kind}: {error}"));
    document.segments().iter().for_each(check);
    document
}

/// What every segment promises.
fn check(segment: &Segment) {
    let text = segment.text();
    assert!(!text.trim().is_empty(), "an empty segment: {segment:?}");
    assert_eq!(text.trim(), text, "white space at an end: {segment:?}");
    assert!(!text.contains(['\n', '\r']), "a line end in a segment: {segment:?}");
    let mut open = Vec::new();
    for part in &segment.parts {
        match part {
            Part::Open(mark) => open.push(*mark),
            Part::Close(mark) => assert_eq!(open.pop(), Some(*mark), "marks nest: {segment:?}"),
            Part::Text(text) => assert!(!text.is_empty(), "an empty text: {segment:?}"),
            Part::Alone(..) => {}
        }
    }
    assert!(open.is_empty(), "marks are closed: {segment:?}");
}

/// Asserts that a document which is not translated, or translated into itself, is the same bytes.
pub(crate) fn comes_back(kind: &str, bytes: &[u8]) {
    let document = read(kind, bytes, &Options::default());
    let same: Vec<_> = document.segments().iter().map(|segment| Some(segment.parts.clone())).collect();
    for translations in [vec![None; same.len()], same] {
        let written = document.write(&translations).unwrap();
        let (before, after) = (String::from_utf8_lossy(bytes), String::from_utf8_lossy(&written));
        assert_eq!(before, after, "{kind}");
        assert!(written == bytes, "{kind}: the same bytes");
    }
}

/// The document with every text in capitals, its marks where they were.
pub(crate) fn in_capitals(kind: &str, bytes: &[u8], options: &Options) -> Vec<u8> {
    let document = read(kind, bytes, options);
    let loud = |part: &Part| match part {
        Part::Text(text) => Part::Text(text.to_uppercase()),
        other => other.clone(),
    };
    let translations: Vec<_> =
        document.segments().iter().map(|segment| Some(segment.parts.iter().map(loud).collect())).collect();
    let written = document.write(&translations).unwrap();
    // It is still a document of its kind, with the same marks.
    let again = read(kind, &written, options);
    let marks = |document: &dyn Document| -> Vec<usize> {
        document
            .segments()
            .iter()
            .map(|segment| segment.parts.iter().filter(|part| !matches!(part, Part::Text(_))).count())
            .collect()
    };
    assert_eq!(marks(&*document), marks(&*again), "{kind}: {}", String::from_utf8_lossy(&written));
    written
}

/// The texts of a document as a translator sees them.
pub(crate) fn texts(kind: &str, bytes: &[u8], options: &Options) -> Vec<String> {
    read(kind, bytes, options).segments().iter().map(Segment::text).collect()
}

#[cfg_attr(not(feature = "all-documents"), allow(dead_code))]
/// A segment with its marks drawn: `<0>bold</0> and <1/>`, text that is shown for a mark in braces.
pub(crate) fn drawn(segment: &Segment) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Open(mark) => format!("<{mark}>"),
        Part::Close(mark) => format!("</{mark}>"),
        Part::Alone(mark, Shown::Nothing) => format!("<{mark}/>"),
        Part::Alone(mark, Shown::Space) => format!("<{mark}/ >"),
        Part::Alone(mark, Shown::Text(text)) => format!("<{mark}/{{{text}}}>"),
    };
    segment.parts.iter().map(part).collect()
}
