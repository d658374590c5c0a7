//! One self-contained HTML page for many sentences: no network, no framework, light and dark.
//!
//! The page holds every layer and head of every sentence and lets its reader choose; the selection given here is only
//! where it begins. Weights are stored in one byte each, `round(255 √w)` in base64, and each row is scaled to sum to 1
//! again when read: off by at most 0.3 percentage points before that, far below what a colour can show. Only the
//! sentence on show is ever drawn, so a page of thousands opens as quickly as a page of one.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::map::AttentionMap;
use super::select::{Axis, HeadChoice, LayerChoice, Selection};
use super::svg::escape;
use crate::Result;

const STYLE: &str = include_str!("html/page.css");
const BODY: &str = include_str!("html/body.html");
const SCRIPT: &str = include_str!("html/page.js");

/// A page being written, sentence by sentence.
pub struct HtmlWriter<W: Write> {
    out: W,
    selection: Selection,
    title: String,
    begun: bool,
}

impl<W: Write> HtmlWriter<W> {
    /// An empty page that will begin with `selection` (`all` begins with the mean).
    pub fn new(out: W, title: &str, selection: Selection) -> Self {
        Self { out, selection, title: title.to_owned(), begun: false }
    }

    /// Adds one sentence.
    ///
    /// # Errors
    /// If the map is defective or does not offer what the selection asks for, or writing fails.
    pub fn add(&mut self, map: &AttentionMap) -> Result<io::Result<()>> {
        // Selecting checks the map and the selection; the page itself reduces the weights.
        let selected = map.select(&self.selection)?;
        drop(selected);
        let plain = map.select(&Selection { layer: LayerChoice::Index(0), head: HeadChoice::Index(0), ..PIECES })?;
        let (rows, columns) = match map.kind {
            super::Kind::Cross => (&map.target_words, &map.source_words),
            super::Kind::Encoder => (&map.source_words, &map.source_words),
            super::Kind::Decoder => (&map.target_words, &map.target_words),
        };
        let names = |words: &[super::Word]| words.iter().map(|word| word.text.clone()).collect::<Vec<_>>();
        let sentence = json!({
            "line": map.line,
            "source": map.source,
            "translation": map.translation,
            "score": map.score,
            "layers": map.attention.layers,
            "heads": map.attention.heads,
            "rows": axis(&plain.rows, names(rows)),
            "columns": axis(&plain.columns, names(columns)),
        });
        let weights = base64(map.attention.weights.iter().map(|&weight| quantise(weight)));
        let first = !std::mem::replace(&mut self.begun, true);
        Ok((|| {
            if first {
                self.begin(map.kind.name(), &map.end_piece)?;
            }
            writeln!(
                self.out,
                "<script type=\"application/json\" class=\"sentence\">{}</script>",
                in_script(&sentence)
            )?;
            writeln!(self.out, "<script type=\"text/plain\" class=\"weights\">{weights}</script>")
        })())
    }

    /// Ends the page.
    ///
    /// # Errors
    /// If writing fails.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.begun {
            self.begin("cross", "</s>")?;
        }
        writeln!(self.out, "<script>\n{SCRIPT}</script>\n</body>\n</html>")?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn begin(&mut self, kind: &str, end_piece: &str) -> io::Result<()> {
        let number = |index: usize| Value::from(index);
        let about = json!({
            "kind": kind,
            "end": end_piece,
            "layer": match self.selection.layer {
                LayerChoice::Index(index) => number(index),
                LayerChoice::Last => "last".into(),
                LayerChoice::All | LayerChoice::Mean => "mean".into(),
            },
            "head": match self.selection.head {
                HeadChoice::Index(index) => number(index),
                HeadChoice::Max => "max".into(),
                HeadChoice::All | HeadChoice::Mean => "mean".into(),
            },
            "words": self.selection.words,
            "mask": self.selection.mask_eos,
            "input": self.selection.align_on.name() == "input",
        });
        let title = escape(&self.title);
        write!(
            self.out,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
             script-src 'unsafe-inline'\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{BODY}\
             <script type=\"application/json\" id=\"about\">{}</script>\n",
            in_script(&about)
        )
    }
}

const PIECES: Selection = Selection {
    layer: LayerChoice::Mean,
    head: HeadChoice::Mean,
    words: false,
    mask_eos: false,
    align_on: super::AlignOn::Output,
};

fn axis(axis: &Axis, names: Vec<String>) -> Value {
    json!({ "labels": axis.labels, "words": axis.words, "names": names, "end": axis.end })
}

/// JSON that no HTML parser can take for the end of the script or for a comment.
fn in_script(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

fn quantise(weight: f32) -> u8 {
    (weight.clamp(0.0, 1.0).sqrt() * 255.0).round() as u8
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: impl Iterator<Item = u8>) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = bytes.collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, &byte| group << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            let symbol = ALPHABET[(group >> (18 - 6 * position) & 63) as usize];
            text.push(if position > chunk.len() { '=' } else { symbol as char });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::fixture;

    fn page(map: &AttentionMap) -> String {
        let mut html = HtmlWriter::new(Vec::new(), "Test", Selection::default());
        html.add(map).unwrap().unwrap();
        String::from_utf8(html.finish().unwrap()).unwrap()
    }

    #[test]
    fn base64_matches_the_published_vectors() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.bytes()), text);
        }
    }

    #[test]
    fn quantising_is_off_by_less_than_a_third_of_a_percentage_point() {
        for step in 0..=1000 {
            let weight = step as f32 / 1000.0;
            let read = (f32::from(quantise(weight)) / 255.0).powi(2);
            assert!((read - weight).abs() < 0.004, "{weight} reads {read}");
        }
    }

    #[test]
    fn the_page_asks_for_nothing_from_outside() {
        let page = page(&fixture::dog());
        for outside in ["http:", "https:", "src=", "@import", "url(", "<link"] {
            let found = page
                .replace("http://www.w3.org/2000/svg", "")
                .find(outside)
                .map(|at| page[at..].chars().take(60).collect::<String>());
            assert_eq!(found, None, "{outside}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn sentences_cannot_break_out_of_the_page() {
        let mut map = fixture::dog();
        map.source = "</script><script>alert(1)</script><!--".to_owned();
        map.source_words[0].text = "</script>".to_owned();
        let page = page(&map);
        assert!(!page.contains("alert(1)</script>"));
        assert_eq!(page.matches("</script>").count(), 4, "about, sentence, weights and the page's own");
    }

    #[test]
    fn a_run_without_sentences_is_a_page_too() {
        let html = HtmlWriter::new(Vec::new(), "Empty", Selection::default());
        let page = String::from_utf8(html.finish().unwrap()).unwrap();
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    }
}
