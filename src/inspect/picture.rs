//! Pictures in pixels and for papers: what `svg` draws, as PNG and as PDF.
//!
//! resvg lays the text out with the fonts of the machine, and with the letters of Noto Sans that the program brings along (Latin,
//! Greek and Cyrillic), so that a picture has its text where no font is installed.

use crate::{Error, Result};

/// A picture, and the characters that no font had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Picture {
    /// The file.
    pub(super) bytes: Vec<u8>,
    /// What is drawn as a box or not at all.
    pub(super) missing: Vec<char>,
}

#[cfg(feature = "pictures")]
pub(super) use drawn::{pdf, png};

#[cfg(feature = "pictures")]
mod drawn {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex, OnceLock, PoisonError};

    use resvg::tiny_skia::{Pixmap, Transform};
    use resvg::usvg::{FallbackSelectionFn, FontResolver, Options, Tree, fontdb};

    use super::super::pdf;
    use super::{Error, Picture, Result};

    /// Noto Sans, its Latin, Greek and Cyrillic letters (`fonts/README.md`).
    const NOTO_SANS: &[u8] = include_bytes!("fonts/NotoSans-subset.ttf");
    const FAMILY: &str = "Noto Sans";
    /// Pixels of a PNG for one of the SVG: sharp on paper and on dense screens.
    const SCALE: f32 = 2.0;
    /// A side of more pixels than this is no picture that anybody can open.
    const LARGEST: f32 = 20_000.0;

    /// The fonts of this machine, looked up once.
    fn fonts() -> Arc<fontdb::Database> {
        static FONTS: OnceLock<Arc<fontdb::Database>> = OnceLock::new();
        let find = || {
            let mut fonts = fontdb::Database::new();
            fonts.load_font_data(NOTO_SANS.to_vec());
            fonts.load_system_fonts();
            fonts.set_sans_serif_family(FAMILY);
            fonts.set_serif_family(FAMILY);
            Arc::new(fonts)
        };
        Arc::clone(FONTS.get_or_init(find))
    }

    /// Whether a character is to be seen at all: no control, joiner or mark of direction.
    fn is_seen(character: char) -> bool {
        !character.is_control() && !matches!(character, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
    }

    /// A font that has a character, neither bold nor slanted nor monospaced if there is one.
    fn regular(
        usual: &FallbackSelectionFn,
        character: char,
        tried: &[fontdb::ID],
        fonts: &mut Arc<fontdb::Database>,
    ) -> Option<fontdb::ID> {
        let mut tried = tried.to_vec();
        let mut first = None;
        while let Some(found) = usual(character, &tried, fonts) {
            let face = fonts.face(found)?;
            let is_upright = face.style == fontdb::Style::Normal && face.stretch == fontdb::Stretch::Normal;
            if is_upright && face.weight == fontdb::Weight::NORMAL && !face.monospaced {
                return Some(found);
            }
            first.get_or_insert(found);
            tried.push(found);
        }
        first
    }

    /// Reads an SVG document, text and all; also the characters that no font has.
    fn read(svg: &str) -> Result<(Tree, Vec<char>)> {
        let missing = Mutex::new(BTreeSet::new());
        let usual = FontResolver::default_fallback_selector();
        let tree = {
            let select_fallback = |character: char, tried: &[fontdb::ID], fonts: &mut Arc<fontdb::Database>| {
                let found = regular(&usual, character, tried, fonts);
                if found.is_none() {
                    missing.lock().unwrap_or_else(PoisonError::into_inner).insert(character);
                }
                found
            };
            let options = Options {
                fontdb: fonts(),
                font_family: FAMILY.to_owned(),
                font_resolver: FontResolver {
                    select_font: FontResolver::default_font_selector(),
                    select_fallback: Box::new(select_fallback),
                },
                ..Options::default()
            };
            Tree::from_str(svg, &options)
                .map_err(|error| Error::Attention(format!("the picture cannot be drawn: {error}")))?
        };
        let missing = missing.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((tree, missing.into_iter().filter(|character| is_seen(*character)).collect()))
    }

    /// An SVG document as PNG, two pixels for one.
    ///
    /// # Errors
    /// If it is too large to be painted.
    pub(in super::super) fn png(svg: &str) -> Result<Picture> {
        let (tree, missing) = read(svg)?;
        let size = tree.size();
        let scale = SCALE.min(LARGEST / size.width().max(size.height()));
        let too_large = || {
            Error::Attention("the picture is too large for PNG: use svg or pdf, or fewer layers and heads".to_owned())
        };
        let side = |length: f32| (length * scale).ceil() as u32;
        let mut pixels = Pixmap::new(side(size.width()), side(size.height())).ok_or_else(too_large)?;
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
        let bytes =
            pixels.encode_png().map_err(|error| Error::Attention(format!("the picture cannot be written: {error}")))?;
        Ok(Picture { bytes, missing })
    }

    /// An SVG document as a PDF of one page. Letters are outlines: the file needs no fonts, and no reader can search it.
    ///
    /// # Errors
    /// If the document cannot be read.
    pub(in super::super) fn pdf(svg: &str) -> Result<Picture> {
        let (tree, missing) = read(svg)?;
        Ok(Picture { bytes: pdf::write(&tree), missing })
    }
}

/// Says that this program was built without pictures.
///
/// # Errors
/// Always.
#[cfg(not(feature = "pictures"))]
pub(super) fn png(_svg: &str) -> Result<Picture> {
    let problem = "this program was built without the feature `pictures`, which draws PNG and PDF: use --format svg";
    Err(Error::Usage(problem.to_owned()))
}

#[cfg(not(feature = "pictures"))]
pub(super) use png as pdf;

#[cfg(all(test, feature = "pictures"))]
mod tests {
    use super::*;
    use crate::inspect::{Selection, fixture, svg};

    fn drawing(word: &str) -> String {
        let mut map = fixture::dog();
        map.source_words[0].text = word.to_owned();
        svg::render(&map.select(&Selection { words: true, ..Selection::default() }).unwrap(), &svg::Options::default())
    }

    #[test]
    fn a_png_has_two_pixels_for_one() {
        let drawing = drawing("Ein");
        let side = |name: &str| {
            drawing.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().parse::<u32>().unwrap()
        };
        let picture = png(&drawing).unwrap();
        assert!(picture.bytes.starts_with(b"\x89PNG\r\n\x1a\n"));
        let number = |at: usize| u32::from_be_bytes(picture.bytes[at..at + 4].try_into().unwrap());
        assert_eq!((number(16), number(20)), (2 * side("width"), 2 * side("height")));
    }

    #[test]
    fn a_pdf_has_one_page_and_its_parts_where_it_says() {
        let picture = pdf(&drawing("Ein")).unwrap();
        let text = String::from_utf8_lossy(&picture.bytes);
        assert!(text.starts_with("%PDF-1.4") && text.trim_end().ends_with("%%EOF"));
        assert_eq!(text.matches("/Type /Page ").count(), 1);
        // The table at the end points at the objects.
        let position = |from: &[u8], what: &[u8]| from.windows(what.len()).position(|part| part == what).unwrap();
        let table = position(&picture.bytes, b"xref\n");
        let lines: Vec<&[u8]> = picture.bytes[table..].split(|&byte| byte == b'\n').skip(3).take(5).collect();
        for (number, line) in (1..).zip(lines) {
            let at: usize = std::str::from_utf8(&line[..10]).unwrap().parse().unwrap();
            assert!(picture.bytes[at..].starts_with(format!("{number} 0 obj").as_bytes()), "{number}");
        }
    }

    #[test]
    fn what_no_font_has_is_told() {
        assert_eq!(png(&drawing("Grüße")).unwrap().missing, []);
        // A character of a private area.
        assert_eq!(png(&drawing("a\u{f8ffe}b")).unwrap().missing, ['\u{f8ffe}']);
    }
}
