//! All formats behind one door: maps in, bytes out.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::align::{Rule, links};
use super::html::{Html, PageOptions};
use super::map::{AttentionMap, Kind};
use super::npz::Npz;
use super::picture::{self, Picture};
use super::printable;
use super::select::{AlignOn, Selection};
use super::view::View;
use super::{json, pharaoh, svg, text, tsv};
use crate::spec::AlignmentHeads;
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
    /// The same picture in pixels (cargo feature `pictures`).
    Png,
    /// The same picture for papers (cargo feature `pictures`).
    Pdf,
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
            "png" => Self::Png,
            "pdf" => Self::Pdf,
            "html" => Self::Html,
            _ => {
                let known = "text, json, tsv, npz, pharaoh, svg, png, pdf or html";
                return Err(Error::Usage(format!("`{name}` is no format of attention: use {known}")));
            }
        })
    }
}

impl Format {
    /// The name used on the command line and as the ending of files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Tsv => "tsv",
            Self::Npz => "npz",
            Self::Pharaoh => "pharaoh",
            Self::Svg => "svg",
            Self::Png => "png",
            Self::Pdf => "pdf",
            Self::Html => "html",
        }
    }

    /// Whether it draws one matrix, or some of one sentence, as a file of its own.
    pub fn is_picture(self) -> bool {
        matches!(self, Self::Svg | Self::Png | Self::Pdf)
    }
}

/// What each format needs to know beside the maps.
#[derive(Clone, Debug, Default)]
pub struct RenderOptions {
    /// What of each map is shown. Pharaoh always goes by words; the HTML page only begins with it.
    pub selection: Selection,
    /// What is shown of self-attention where all kinds are written, if not the same.
    pub self_attention: Option<Selection>,
    /// When words are linked (Pharaoh).
    pub rule: Rule,
    /// Colours and width (text).
    pub text: text::Options,
    /// How a picture is drawn (SVG, PNG, PDF).
    pub picture: svg::Options,
    /// The title of the page (HTML).
    pub title: String,
    /// The cross-attention that the model names for alignments (HTML).
    pub alignment: Option<AlignmentHeads>,
}

/// Turns maps into one of the formats, appending to a buffer that the caller empties as it likes.
pub struct Renderer {
    format: Format,
    options: RenderOptions,
    begun: bool,
    npz: Npz,
    html: Html,
    /// Characters that no font has.
    missing: BTreeSet<char>,
}

impl Renderer {
    /// A renderer that has written nothing yet.
    pub fn new(format: Format, options: RenderOptions) -> Self {
        let (title, selection, alignment) = (options.title.clone(), options.selection, options.alignment);
        let html = Html::new(PageOptions { title, selection, alignment });
        let npz = Npz::new(options.self_attention.is_some());
        Self { format, options, begun: false, npz, html, missing: BTreeSet::new() }
    }

    /// Appends one line: to a page all of its translations side by side, elsewhere one map after the other.
    ///
    /// # Errors
    /// As [`Renderer::add`].
    pub fn add_views(&mut self, views: &[View], out: &mut Vec<u8>) -> Result<()> {
        if self.format == Format::Html {
            return self.html.add(views, out);
        }
        views.iter().flat_map(|view| &view.maps).try_for_each(|map| self.add(map, out))
    }

    /// What the user should hear of what was written so far.
    pub fn advice(&self) -> Option<String> {
        if self.missing.is_empty() {
            return self.html.advice();
        }
        let some: String = self.missing.iter().take(12).collect();
        let more = if self.missing.len() > 12 { " and others" } else { "" };
        Some(format!(
            "no font of this machine has {}{more}: pictures lack them. Install one (Debian: fonts-noto-core, fonts-noto-cjk), or \
             use svg or html, drawn where the fonts are",
            printable(&some)
        ))
    }

    /// Appends one sentence. The first one brings along what the format begins with.
    ///
    /// # Errors
    /// If the map is defective, or does not offer what was selected.
    pub fn add(&mut self, map: &AttentionMap, out: &mut Vec<u8>) -> Result<()> {
        if self.format == Format::Html {
            return self.html.add(&[map.clone().into()], out);
        }
        let own = self.options.self_attention.filter(|_| map.kind != Kind::Cross).unwrap_or(self.options.selection);
        // What does not apply to a kind is not asked of it where all are written.
        let among_others = self.options.self_attention.is_some();
        let selection = Selection {
            words: own.words || self.format == Format::Pharaoh,
            mask_eos: own.mask_eos && !(among_others && map.kind == Kind::Decoder),
            align_on: if among_others && map.kind == Kind::Encoder { AlignOn::Output } else { own.align_on },
            ..own
        };
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
            Format::Svg => out.extend(svg::render(&selected, &self.options.picture).into_bytes()),
            Format::Png => self.draw(picture::png, &svg::render(&selected, &self.options.picture), out)?,
            Format::Pdf => self.draw(picture::pdf, &svg::render(&selected, &self.options.picture), out)?,
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
            Format::Text | Format::Json | Format::Pharaoh | Format::Svg | Format::Png | Format::Pdf => {}
        }
        Ok(())
    }

    fn draw(&mut self, paint: fn(&str) -> Result<Picture>, svg: &str, out: &mut Vec<u8>) -> Result<()> {
        let Picture { bytes, missing } = paint(svg)?;
        out.extend(bytes);
        self.missing.extend(missing);
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
        assert!("gif".parse::<Format>().unwrap_err().to_string().contains("pharaoh, svg, png, pdf or html"));
    }
}
