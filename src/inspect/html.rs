//! One self-contained HTML page for many sentences: no network, no framework, light and dark.
//!
//! The page holds every layer and head of every sentence and lets its reader choose; the selection given here is only
//! where it begins. Weights are stored in one byte each, `round(255 √w)` in base64, and each row is scaled to sum to 1
//! again when read: off by at most 0.3 percentage points before that, far below what a colour can show. Only the
//! sentence on show is ever drawn, so a page of thousands opens as quickly as a page of one.

use serde_json::{Value, json};

use super::map::{AttentionMap, Kind};
use super::select::{AlignOn, Axis, HeadChoice, LayerChoice, Selection};
use super::svg::escape;
use crate::Result;
use crate::text::Word;

const STYLE: &str = include_str!("html/page.css");
const BODY: &str = include_str!("html/body.html");
const SCRIPT: &str = include_str!("html/page.js");

/// A page being written, sentence by sentence, into the caller's buffer.
pub struct Html {
    selection: Selection,
    title: String,
    begun: bool,
}

impl Html {
    /// An empty page that will begin with `selection` (`all` begins with the mean).
    pub fn new(title: &str, selection: Selection) -> Self {
        Self { selection, title: title.to_owned(), begun: false }
    }

    /// Appends one sentence to `out`.
    ///
    /// # Errors
    /// If the map is defective or does not offer what the selection asks for.
    pub fn add(&mut self, map: &AttentionMap, out: &mut Vec<u8>) -> Result<()> {
        // Only a check: the page itself reduces the weights.
        map.select(&self.selection)?;
        let pieces = map.select(&Selection { layer: LayerChoice::Last, head: HeadChoice::Index(0), ..PIECES })?;
        let (rows, columns) = match map.kind {
            Kind::Cross => (&map.target_words, &map.source_words),
            Kind::Encoder => (&map.source_words, &map.source_words),
            Kind::Decoder => (&map.target_words, &map.target_words),
        };
        let sentence = json!({
            "line": map.line,
            "source": map.source,
            "translation": map.translation,
            "score": map.score,
            "layers": map.attention.layers,
            "heads": map.attention.heads,
            "rows": axis(&pieces.rows, rows),
            "columns": axis(&pieces.columns, columns),
        });
        if !std::mem::replace(&mut self.begun, true) {
            self.begin(map.kind.name(), &map.end_piece, out);
        }
        let weights = base64(map.attention.weights.iter().map(|&weight| quantise(weight)));
        out.extend(
            format!(
                "<script type=\"application/json\" class=\"sentence\">{}</script>\n\
                 <script type=\"text/plain\" class=\"weights\">{weights}</script>\n",
                in_script(&sentence)
            )
            .into_bytes(),
        );
        Ok(())
    }

    /// Appends the end of the page.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if !self.begun {
            self.begin("cross", "</s>", out);
        }
        out.extend(format!("<script>\n{SCRIPT}</script>\n</body>\n</html>\n").into_bytes());
    }

    fn begin(&mut self, kind: &str, end_piece: &str, out: &mut Vec<u8>) {
        let about = json!({
            "kind": kind,
            "end": end_piece,
            "layer": match self.selection.layer {
                LayerChoice::Index(index) => Value::from(index),
                LayerChoice::Last => "last".into(),
                LayerChoice::All | LayerChoice::Mean => "mean".into(),
            },
            "head": match self.selection.head {
                HeadChoice::Index(index) => Value::from(index),
                HeadChoice::Max => "max".into(),
                HeadChoice::All | HeadChoice::Mean => "mean".into(),
            },
            "words": self.selection.words,
            "mask": self.selection.mask_eos,
            "input": self.selection.align_on == AlignOn::Input,
        });
        let (title, about) = (escape(&self.title), in_script(&about));
        out.extend(
            format!(
                "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
                 <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
                 <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
                 style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
                 <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{BODY}\
                 <script type=\"application/json\" id=\"about\">{about}</script>\n"
            )
            .into_bytes(),
        );
    }
}

const PIECES: Selection = Selection {
    layer: LayerChoice::Mean,
    head: HeadChoice::Mean,
    words: false,
    mask_eos: false,
    align_on: AlignOn::Output,
};

fn axis(axis: &Axis, words: &[Word]) -> Value {
    let names: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
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
        let (mut html, mut bytes) = (Html::new("Test", Selection::default()), Vec::new());
        html.add(map, &mut bytes).unwrap();
        html.finish(&mut bytes);
        String::from_utf8(bytes).unwrap()
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
        let mut bytes = Vec::new();
        Html::new("Empty", Selection::default()).finish(&mut bytes);
        let page = String::from_utf8(bytes).unwrap();
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    }
}
