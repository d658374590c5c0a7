//! Markdown: CommonMark with tables, footnotes, task lists, strikethrough, mathematics, front matter and attributes of headings.
//!
//! Paragraphs, headings, cells of tables and texts of pictures are translated. Emphasis, links and inline HTML are marks; code,
//! mathematics, addresses and the tags of templates (`{{ name }}`, `{% if %}`) come back as they are. A paragraph that was wrapped by hand
//! is wrapped again at its own width, behind the same signs of lists and quotations. What a translation says never becomes markup.

mod blocks;
mod read;
mod signs;
mod write;

use super::inline::Text;
use super::source::Source;
use super::{Document, Encoding, Format, Options, Part, Segment};
use crate::Result;

/// The format.
pub(super) struct Markdown;

impl Format for Markdown {
    fn name(&self) -> &'static str {
        "markdown"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["md", "markdown", "mdown", "mkd", "mkdn", "mdx", "qmd", "rmd"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        let start = String::from_utf8_lossy(&start[..start.len().min(4096)]);
        let start = start.trim_start_matches('\u{feff}');
        let is_heading = |line: &str| {
            let level = line.len() - line.trim_start_matches('#').len();
            (1..=6).contains(&level) && line[level..].starts_with(' ')
        };
        let mut lines = start.lines().map(str::trim_end).skip_while(|line| line.is_empty());
        let Some(first) = lines.next() else { return false };
        // A shebang or a comment of a script begins like a heading, but its next line does, too.
        let has_front_matter = first == "---" && lines.clone().take(100).any(|line| line == "---");
        let next = lines.next().unwrap_or("");
        is_heading(first) && !next.starts_with('#') && next.is_empty()
            || has_front_matter
            || !first.is_empty() && next.len() >= 3 && next.bytes().all(|byte| byte == b'=')
    }

    fn read(&self, bytes: &[u8], options: &Options) -> Result<Box<dyn Document>> {
        let source = Source::read(bytes, None)?;
        Ok(Box::new(read::read(source.encoding, source.text, options)?))
    }
}

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a paragraph or an item of a list, where the signs that begin a line mean something.
    Block,
    /// In a heading behind `#`.
    Heading,
    /// In a heading above a line of `=` or `-`.
    Underlined,
    /// In a cell of a table.
    Cell,
}

/// What is known of a text besides its parts.
#[derive(Clone, Debug)]
struct Layout {
    place: Place,
    /// Whether it begins where a line could begin a block.
    begins_line: bool,
    /// A paragraph of several lines: what stands between two lines, and the characters of the longest one.
    wrapped: Option<(String, usize)>,
}

/// What a segment is.
enum Origin {
    Text(usize),
    /// The block of HTML and its segment.
    #[cfg_attr(not(feature = "html"), allow(dead_code))]
    Block(usize, usize),
}

struct Page {
    encoding: Encoding,
    source: String,
    segments: Vec<Segment>,
    origins: Vec<Origin>,
    texts: Vec<Text>,
    /// One for each text.
    layouts: Vec<Layout>,
    /// Ends of links and pictures whose address is their own text: what must stand there once the text is another. By their first byte.
    labels: std::collections::HashMap<usize, String>,
    #[cfg_attr(not(feature = "html"), allow(dead_code))]
    blocks: blocks::Blocks,
    notes: Vec<String>,
}

impl Document for Page {
    fn segments(&self) -> &[Segment] {
        &self.segments
    }

    fn write(&self, translations: &[Option<Vec<Part>>]) -> Result<Vec<u8>> {
        let text = write::write(self, translations);
        Ok(self.encoding.encode(&text, |c| format!("&#{};", u32::from(c))))
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }
}
