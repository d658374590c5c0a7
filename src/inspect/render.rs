//! All formats behind one door: maps in, bytes out.

use std::str::FromStr;

use super::align::{Rule, links};
use super::html::Html;
use super::map::AttentionMap;
use super::npz::Npz;
use super::select::Selection;
use super::{json, pharaoh, svg, text, tsv};
use crate::{Error, Result};

/// How attention is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A heat map for the terminal.
    Text,
    /// One JSON object a line.
    #[default]
    Json,
    /// One weight a line.
    Tsv,
    /// A NumPy archive.
    Npz,
    /// Hard word alignments, one line a sentence.
    Pharaoh,
    /// A picture of each sentence.
    Svg,
    /// One page for all sentences.
    Html,
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Ok(match name {
            "text" => Self::Text,
            "json" => Self::Json,
            "tsv" => Self::Tsv,
            "npz" => Self::Npz,
            "pharaoh" => Self::Pharaoh,
            "svg" => Self::Svg,
            "html" => Self::Html,
            _ => {
                let known = "text, json, tsv, npz, pharaoh, svg or html";
                return Err(Error::Usage(format!("`{name}` is no format of attention: use {known}")));
            }
        })
    }
}

/// What each format needs to know beside the maps.
#[derive(Clone, Debug, Default)]
pub struct RenderOptions {
    /// What of each map is shown. Pharaoh always goes by words; the HTML page only begins with it.
    pub selection: Selection,
    /// When words are linked (Pharaoh).
    pub rule: Rule,
    /// Colours and width (text).
    pub text: text::Options,
    /// The title of the page (HTML).
    pub title: String,
}

/// Turns maps into one of the formats, appending to a buffer that the caller empties as it likes.
pub struct Renderer {
    format: Format,
    options: RenderOptions,
    begun: bool,
    npz: Npz,
    html: Html,
}

impl Renderer {
    /// A renderer that has written nothing yet.
    pub fn new(format: Format, options: RenderOptions) -> Self {
        let html = Html::new(&options.title, options.selection);
        Self { format, options, begun: false, npz: Npz::default(), html }
    }

    /// Appends one sentence. The first one brings along what the format begins with.
    ///
    /// # Errors
    /// If the map is defective, or does not offer what was selected.
    pub fn add(&mut self, map: &AttentionMap, out: &mut Vec<u8>) -> Result<()> {
        let selection = Selection {
            words: self.options.selection.words || self.format == Format::Pharaoh,
            ..self.options.selection
        };
        if self.format == Format::Html {
            return self.html.add(map, out);
        }
        let selected = map.select(&selection)?;
        match self.format {
            Format::Text => out.extend(text::render(&selected, &self.options.text).into_bytes()),
            Format::Json => out.extend(json::render(&selected).into_bytes()),
            Format::Tsv => {
                self.begin(out);
                out.extend(tsv::render(&selected).into_bytes());
            }
            Format::Pharaoh => {
                out.extend(pharaoh::render(&links(&selected, self.options.rule)?).into_bytes());
                out.push(b'\n');
            }
            Format::Svg => out.extend(svg::render(&selected).into_bytes()),
            Format::Npz => self.npz.add(&selected, out)?,
            Format::Html => {}
        }
        Ok(())
    }

    /// Appends what stands for a line without a sentence: an empty line in Pharaoh, which has one a line of input, and
    /// nothing elsewhere.
    pub fn skip(&self, out: &mut Vec<u8>) {
        if self.format == Format::Pharaoh {
            out.push(b'\n');
        }
    }

    /// Appends what the format ends with.
    ///
    /// # Errors
    /// If an archive has become too large.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<()> {
        match self.format {
            Format::Tsv => self.begin(out),
            Format::Npz => self.npz.finish(out)?,
            Format::Html => self.html.finish(out),
            Format::Text | Format::Json | Format::Pharaoh | Format::Svg => {}
        }
        Ok(())
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            out.extend(tsv::HEADER.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::fixture;

    fn render(format: &str, maps: &[AttentionMap]) -> String {
        let mut renderer = Renderer::new(format.parse().unwrap(), RenderOptions::default());
        let mut bytes = Vec::new();
        for map in maps {
            renderer.add(map, &mut bytes).unwrap();
            renderer.skip(&mut bytes);
        }
        renderer.finish(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[test]
    fn a_heading_is_written_once() {
        let text = render("tsv", &[fixture::dog(), fixture::dog()]);
        assert_eq!(text.matches("line\tkind").count(), 1);
        assert_eq!(render("tsv", &[]), tsv::HEADER);
    }

    #[test]
    fn pharaoh_has_a_line_for_every_line_of_input() {
        assert_eq!(render("pharaoh", &[fixture::dog()]).matches('\n').count(), 2);
    }

    #[test]
    fn every_format_writes_a_sentence() {
        for (format, sign) in [
            ("text", "A dog runs."),
            ("json", "\"translation\":\"A dog runs.\""),
            ("npz", "1/attention.npy"),
            ("svg", "<svg"),
            ("html", "\"translation\":\"A dog runs.\""),
        ] {
            assert!(render(format, &[fixture::dog()]).contains(sign), "{format}");
        }
    }

    #[test]
    fn an_unknown_format_lists_the_known_ones() {
        assert!("png".parse::<Format>().unwrap_err().to_string().contains("pharaoh, svg or html"));
    }
}
