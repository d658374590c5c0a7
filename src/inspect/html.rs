//! One self-contained HTML page for many sentences: no network, no framework, light and dark.
//!
//! The page holds every layer and head of every kind that was recorded and lets its reader choose; the selection given here is
//! only where it begins. Only the sentence on show is ever unpacked and drawn, so a page of thousands opens as quickly as a page
//! of one.
//!
//! | part of the page | content |
//! |---|---|
//! | `#about` | where the page begins, as JSON |
//! | `.sentence`, one a line | texts, pieces, probabilities and where its matrices begin, as JSON |
//! | `.weights`, one a line and kind | base64 of deflated bytes: the matrices `[layers, heads, rows, columns]` of each view |
//! | `<noscript>`, one a line | the texts and the strongest links as a table, for readers without scripts |
//!
//! A weight is one byte: 0 is exactly 0 (what a decoder may not see), else it is `1 + round(254 √w)`. Rows are scaled to sum to 1
//! again when read: off by at most 0.3 percentage points before that, far below what a colour can show.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde_json::{Value, json};

use super::map::{AttentionMap, Kind};
use super::select::{AlignOn, Axis, HeadChoice, LayerChoice, Selection};
use super::svg::escape;
use super::view::{TokenProbability, View};
use crate::Result;
use crate::spec::AlignmentHeads;
use crate::text::Word;

const STYLE: &str = include_str!("html/page.css");
const BODY: &str = include_str!("html/body.html");
/// The script, a file for each of its concerns; together they are one function.
const SCRIPT: [&str; 9] = [
    include_str!("html/base.js"),
    include_str!("html/numbers.js"),
    include_str!("html/list.js"),
    include_str!("html/lines.js"),
    include_str!("html/heatmap.js"),
    include_str!("html/heads.js"),
    include_str!("html/tables.js"),
    include_str!("html/export.js"),
    include_str!("html/page.js"),
];

/// A page of more bytes than this is slow to send and to open.
const LARGE: u64 = 50_000_000;

/// What a page begins with, and what it says about itself.
#[derive(Clone, Debug, Default)]
pub struct PageOptions {
    /// Its title.
    pub title: String,
    /// What it shows first (`all` begins with the mean).
    pub selection: Selection,
    /// The cross-attention to read alignments from, if the model names one: what heads are compared with.
    pub alignment: Option<AlignmentHeads>,
}

/// A page being written, sentence by sentence, into the caller's buffer.
pub struct Html {
    options: PageOptions,
    begun: bool,
    /// Bytes of all lines, and those of them that are weights.
    written: u64,
    weights: u64,
}

impl Html {
    /// An empty page.
    pub fn new(options: PageOptions) -> Self {
        Self { options, begun: false, written: 0, weights: 0 }
    }

    /// Appends one line to `out`: its translations side by side, the first of which the page begins with.
    ///
    /// # Errors
    /// If a map is defective or does not offer what the selection asks for.
    ///
    /// # Panics
    /// If there is no view, or one without a map.
    pub fn add(&mut self, views: &[View], out: &mut Vec<u8>) -> Result<()> {
        let first = &views[0].maps[0];
        // Only a check: the page itself reduces the weights.
        first.select(&self.options.selection)?;
        let start = out.len();
        if !std::mem::replace(&mut self.begun, true) {
            self.begin(&first.end_piece, out);
        }
        let mut packed = [Kind::Cross, Kind::Encoder, Kind::Decoder].map(|kind| (kind, Packed::default()));
        let mut axes: Vec<Value> = Vec::new();
        let mut shared = |axis: Value| {
            axes.iter().position(|own| *own == axis).unwrap_or_else(|| {
                axes.push(axis);
                axes.len() - 1
            })
        };
        let mut shown = Vec::with_capacity(views.len());
        for view in views {
            let base = &view.maps[0];
            let mut kinds = serde_json::Map::new();
            for map in &view.maps {
                map.check()?;
                let attention = &map.attention;
                let Some((_, own)) = packed.iter_mut().find(|(kind, _)| *kind == map.kind) else { continue };
                let mut kind = json!({ "layers": attention.layers, "heads": attention.heads, "at": own.add(map) });
                if let Some(note) = map.meaning.note() {
                    kind["note"] = note.into();
                }
                kinds.insert(map.kind.name().to_owned(), kind);
            }
            let missing: serde_json::Map<String, Value> =
                view.missing.iter().map(|(kind, why)| (kind.name().to_owned(), why.as_str().into())).collect();
            shown.push(json!({
                "name": view.name,
                "translation": base.translation,
                "score": base.score,
                "source": shared(axis(&base.source_pieces, &base.source_texts, &base.source_words, &base.end_piece)),
                "target": shared(axis(&base.target_pieces, &base.target_texts, &base.target_words, &base.end_piece)),
                "start": base.start_piece,
                "kinds": kinds,
                "missing": missing,
                "tokens": view.tokens.iter().map(token).collect::<Vec<_>>(),
            }));
        }
        let sentence = json!({ "line": first.line, "source": first.source, "axes": axes, "views": shown });
        let sentence = in_script(&sentence);
        let line = first.line;
        let mut text =
            format!("<script type=\"application/json\" class=\"sentence\" data-line=\"{line}\">{sentence}</script>\n");
        for (kind, packed) in packed.iter().filter(|(_, packed)| !packed.bytes.is_empty()) {
            let deflated = base64(&packed.deflated());
            self.weights += deflated.len() as u64;
            let _ = writeln!(
                text,
                "<script type=\"text/plain\" class=\"weights\" data-line=\"{line}\" data-kind=\"{kind}\">{deflated}</script>"
            );
        }
        text.push_str(&plain_table(first, &self.options.selection)?);
        out.extend(text.into_bytes());
        self.written += (out.len() - start) as u64;
        Ok(())
    }

    /// Appends the end of the page.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if !self.begun {
            self.begin("</s>", out);
        }
        let script = SCRIPT.concat();
        out.extend(
            format!("<script>\n\"use strict\";\n(() => {{\n{script}}})();\n</script>\n</body>\n</html>\n").into_bytes(),
        );
    }

    /// What to leave out of a page that has become large.
    pub fn advice(&self) -> Option<String> {
        let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
        (self.written > LARGE).then(|| {
            format!(
                "the page has {} MB, {} MB of it weights, and opens slowly: write fewer lines, leave out kinds (--kind cross), \
                 other models (--compare) or other translations (--n-best)",
                megabytes(self.written),
                megabytes(self.weights)
            )
        })
    }

    fn begin(&mut self, end_piece: &str, out: &mut Vec<u8>) {
        let PageOptions { title, selection, alignment } = &self.options;
        let head = |choice| match choice {
            HeadChoice::Index(index) => Value::from(index),
            HeadChoice::Several(heads) => heads.to_string().into(),
            HeadChoice::Max => "max".into(),
            HeadChoice::All | HeadChoice::Mean => "mean".into(),
        };
        let about = json!({
            "title": title,
            "end": end_piece,
            "layer": match selection.layer {
                LayerChoice::Index(index) => Value::from(index),
                LayerChoice::Last => "last".into(),
                LayerChoice::All | LayerChoice::Mean => "mean".into(),
            },
            "head": head(selection.head),
            "words": selection.words,
            "mask": selection.mask_eos,
            "input": selection.align_on == AlignOn::Input,
            "alignment": alignment.map(|own| json!({ "layer": own.layer, "head": head(own.heads.into()) })),
        });
        let (title, about) = (escape(title), in_script(&about));
        out.extend(
            format!(
                "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
                 <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
                 <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
                 style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
                 <title>{title}</title>\n<style>\n{STYLE}</style>\n\
                 <noscript><style>#app {{ display: none; }} body {{ overflow: auto; }}</style></noscript>\n\
                 </head>\n<body>\n{BODY}\
                 <script type=\"application/json\" id=\"about\">{about}</script>\n"
            )
            .into_bytes(),
        );
    }
}

/// The bytes of one line's matrices of one kind. Equal ones are stored once: all hypotheses of a beam share their encoder.
#[derive(Default)]
struct Packed<'m> {
    bytes: Vec<u8>,
    stored: Vec<(&'m AttentionMap, usize)>,
}

impl<'m> Packed<'m> {
    /// Where the matrices of `map` begin.
    fn add(&mut self, map: &'m AttentionMap) -> usize {
        let same = |(own, _): &&(&AttentionMap, usize)| own.kind == map.kind && own.attention == map.attention;
        if let Some(&(_, at)) = self.stored.iter().find(same) {
            return at;
        }
        let at = self.bytes.len();
        self.bytes.extend(map.attention.weights.iter().map(|&weight| quantise(weight)));
        self.stored.push((map, at));
        at
    }

    fn deflated(&self) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        // Memory takes everything.
        encoder.write_all(&self.bytes).and_then(|()| encoder.finish()).unwrap_or_default()
    }
}

/// The pieces and words of one side. Texts that the labels tell (`▁` is a space) are left out.
fn axis(pieces: &[String], texts: &[String], words: &[Word], end_piece: &str) -> Value {
    let axis = Axis::of(pieces, texts, words, end_piece);
    let names: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let told = axis.labels.iter().zip(&axis.texts).all(|(label, text)| label.replace('\u{2581}', " ") == *text);
    let texts = if told { Vec::new() } else { axis.texts };
    json!({ "labels": axis.labels, "texts": texts, "words": axis.words, "names": names, "end": axis.end })
}

/// `[probability, [[alternative, probability], …]]` with five digits after the point; -1 where none was computed.
fn token(token: &TokenProbability) -> Value {
    let probability = |log_prob: f32| (f64::from(log_prob).exp() * 1e5).round() / 1e5;
    let alternatives: Vec<Value> =
        token.alternatives.iter().map(|(text, log_prob)| json!([text, probability(*log_prob)])).collect();
    json!([token.log_prob.map_or(-1.0, probability), alternatives])
}

/// The texts and each target word's strongest source words, for a reader whose browser runs no scripts.
fn plain_table(map: &AttentionMap, selection: &Selection) -> Result<String> {
    let single = Selection {
        words: true,
        layer: if selection.layer == LayerChoice::All { LayerChoice::Mean } else { selection.layer },
        head: if selection.head == HeadChoice::All { HeadChoice::Mean } else { selection.head },
        ..*selection
    };
    let selected = map.select(&single)?;
    let columns = selected.columns.len().max(1);
    let mut table = format!(
        "<noscript><section><h2>Line {}</h2><p dir=\"auto\">{}</p><p dir=\"auto\">{}</p>\
         <table><thead><tr><th>{}</th><th>Looked most at</th></tr></thead><tbody>",
        map.line,
        escape(&map.source),
        escape(&map.translation),
        if map.kind == Kind::Encoder { "Source" } else { "Translation" }
    );
    for (label, row) in selected.rows.labels.iter().zip(selected.matrices[0].weights.chunks_exact(columns)) {
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        let links = order.iter().take(3).filter(|&&column| row[column] >= 0.05);
        let links: Vec<String> = links
            .map(|&column| format!("{} {:.0}%", escape(&selected.columns.labels[column]), row[column] * 100.0))
            .collect();
        let _ = write!(table, "<tr><th>{}</th><td>{}</td></tr>", escape(label), links.join(", "));
    }
    table.push_str("</tbody></table></section></noscript>\n");
    Ok(table)
}

/// JSON that no HTML parser can take for the end of the script or for a comment.
fn in_script(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

fn quantise(weight: f32) -> u8 {
    if weight <= 0.0 { 0 } else { 1 + (weight.min(1.0).sqrt() * 254.0).round() as u8 }
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
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
        let (mut html, mut bytes) = (Html::new(PageOptions::default()), Vec::new());
        html.add(&[map.clone().into()], &mut bytes).unwrap();
        html.finish(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn base64_matches_the_published_vectors() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn quantising_is_off_by_less_than_a_third_of_a_percentage_point() {
        for step in 0..=1000 {
            let weight = step as f32 / 1000.0;
            let read = (f32::from(quantise(weight).saturating_sub(1)) / 254.0).powi(2);
            assert!((read - weight).abs() < 0.004, "{weight} reads {read}");
            assert_eq!(quantise(weight) == 0, weight == 0.0);
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
        map.translation = "</noscript><img onerror=alert(2)>".to_owned();
        let page = [page, self::page(&map)].concat();
        assert!(!page.contains("alert(1)</script>") && !page.contains("<img"));
        assert_eq!(page.matches("</script>").count(), 2 * 4, "about, sentence, weights and the page's own");
    }

    #[test]
    fn equal_matrices_are_stored_once() {
        let map = fixture::dog();
        let mut packed = Packed::default();
        let count = map.attention.weights.len();
        assert_eq!((packed.add(&map), packed.add(&map), packed.bytes.len()), (0, 0, count));
        let other = fixture::dog_decoder();
        assert_eq!(packed.add(&other), count);
    }

    #[test]
    fn a_large_page_says_what_to_leave_out() {
        let mut html = Html::new(PageOptions::default());
        assert_eq!(html.advice(), None);
        (html.written, html.weights) = (73_000_000, 70_000_000);
        let advice = html.advice().unwrap();
        assert!(
            advice.starts_with("the page has 73 MB, 70 MB of it weights") && advice.contains("--kind cross"),
            "{advice}"
        );
    }

    #[test]
    fn a_run_without_sentences_is_a_page_too() {
        let mut bytes = Vec::new();
        Html::new(PageOptions::default()).finish(&mut bytes);
        let page = String::from_utf8(bytes).unwrap();
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    }
}
