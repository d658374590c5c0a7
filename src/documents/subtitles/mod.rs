//! Subtitles: SubRip, WebVTT and SubStation Alpha.
//!
//! ```text
//! file ─► cues (when, and where their text is) ─► tokens ─► pieces (who says it) ─► sentences, over several cues
//! sentence ─► translation ─► words ─► cut into cues where the marks between them went ─► cut into lines
//! ```
//!
//! A sentence that goes on in the next cue is one segment with a mark where one cue ends and the next begins. Time codes, numbers,
//! settings, comments, styles and names are not looked at further than needed, and stay as they are.

mod cues;
mod pieces;
mod split;
mod tokens;
mod write;

use std::ops::Range;

use unicode_width::UnicodeWidthStr;

use self::cues::Cue;
use self::pieces::Piece;
use self::tokens::Kind;
use super::source::{LineNumbers, Source};
use super::{Document, Encoding, Format, Options, Part, Segment, Shown};
use crate::Result;

/// How the text of cues is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syntax {
    SubRip,
    WebVtt,
    Substation,
}

/// SubRip, `.srt`.
pub(super) struct SubRip;
/// WebVTT, `.vtt`.
pub(super) struct WebVtt;
/// SubStation Alpha, `.ass` and `.ssa`.
pub(super) struct Substation;

/// The line that is as wide as the longest of its file is between these, in columns: what players have room for.
const WIDTHS: std::ops::RangeInclusive<usize> = 32..=42;

impl Format for SubRip {
    fn name(&self) -> &'static str {
        "srt"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["srt"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        cues::has_times(&Encoding::decode(start, None).1)
    }

    fn read(&self, bytes: &[u8], options: &Options) -> Result<Box<dyn Document>> {
        read(bytes, options, Syntax::SubRip)
    }
}

impl Format for WebVtt {
    fn name(&self) -> &'static str {
        "vtt"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["vtt"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start).starts_with(b"WEBVTT")
    }

    fn read(&self, bytes: &[u8], options: &Options) -> Result<Box<dyn Document>> {
        read(bytes, options, Syntax::WebVtt)
    }
}

impl Format for Substation {
    fn name(&self) -> &'static str {
        "ass"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["ass", "ssa"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        Encoding::decode(start, None).1.trim_start().to_lowercase().starts_with("[script info]")
    }

    fn read(&self, bytes: &[u8], options: &Options) -> Result<Box<dyn Document>> {
        read(bytes, options, Syntax::Substation)
    }
}

/// A file of subtitles.
struct Subtitles {
    source: Source,
    syntax: Syntax,
    segments: Vec<Segment>,
    /// Where each segment stands.
    places: Vec<Place>,
    /// Most columns of a line.
    width: usize,
    /// How lines end.
    line_end: &'static str,
    notes: Vec<String>,
}

/// Where a segment stands, and what its marks are.
struct Place {
    spots: Vec<Spot>,
    marks: Vec<Mark>,
}

/// The part of a segment that stands in one cue.
struct Spot {
    range: Range<usize>,
    /// The columns of its text.
    columns: usize,
    /// The columns before it in its first line.
    lead: usize,
    /// Most lines it may have.
    lines: usize,
}

enum Mark {
    /// Where its tags are. It is closed and opened again where a cue ends in it.
    Element {
        open: Range<usize>,
        close: Range<usize>,
    },
    Alone(Range<usize>),
    /// One cue ends, and the next begins.
    Border,
}

/// How wide a text is, in columns of a terminal, where Chinese letters are two.
fn columns(text: &str) -> usize {
    text.width()
}

fn read(bytes: &[u8], options: &Options, syntax: Syntax) -> Result<Box<dyn Document>> {
    let source = Source::read(bytes, None)?;
    let cues = cues::cues(&source.text, syntax);
    let (sentences, longest) = pieces::sentences(&source.text, &cues, syntax);
    let numbers = LineNumbers::of(&source.text);
    // SubStation Alpha breaks lines by itself where the file does not.
    let breaks_lines = syntax != Syntax::Substation || options.cue_width.is_some();
    let width = options.cue_width.unwrap_or(longest.clamp(*WIDTHS.start(), *WIDTHS.end())).max(1);
    let built = sentences.iter().map(|pieces| build(&source.text, &cues, pieces, &numbers, breaks_lines));
    let (segments, places) = built.unzip();
    let mut notes: Vec<String> = source.encoding_note().into_iter().collect();
    if cues.is_empty() && !source.text.trim().is_empty() {
        notes.push("no cues were found: no line has time codes as this format writes them".to_owned());
    }
    let line_end = match syntax {
        Syntax::Substation => "\\N",
        _ if source.text.contains("\r\n") => "\r\n",
        _ if source.text.contains('\n') => "\n",
        _ => "\r",
    };
    Ok(Box::new(Subtitles { source, syntax, segments, places, width, line_end, notes }))
}

/// A segment, and where it stands.
fn build(source: &str, cues: &[Cue], pieces: &[Piece], numbers: &LineNumbers, breaks_lines: bool) -> (Segment, Place) {
    let mut builder = Builder { source, parts: Vec::new(), marks: Vec::new(), is_spaced: true };
    let mut spots = Vec::with_capacity(pieces.len());
    for (number, piece) in pieces.iter().enumerate() {
        let continued = if number > 0 { builder.border(piece) } else { Vec::new() };
        let before = builder.length();
        builder.piece(piece, continued);
        let lines =
            if breaks_lines || piece.tokens.iter().any(|token| token.kind == Kind::Break) { piece.lines } else { 1 };
        let columns = builder.length() - before;
        spots.push(Spot { range: piece.range(), columns, lead: piece.lead, lines });
    }
    let line = numbers.line(spots[0].range.start);
    let name = Some(source[cues[pieces[0].cue].time.clone()].to_owned());
    (Segment { parts: trimmed(builder.parts), line, name }, Place { spots, marks: builder.marks })
}

/// The parts without the white space at the end, which may stand within an element.
fn trimmed(mut parts: Vec<Part>) -> Vec<Part> {
    for at in (0..parts.len()).rev() {
        if let Part::Text(text) = &mut parts[at] {
            text.truncate(text.trim_end().len());
            if !text.is_empty() {
                break;
            }
        }
    }
    parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
    parts
}

struct Builder<'t> {
    source: &'t str,
    parts: Vec<Part>,
    marks: Vec<Mark>,
    /// Whether nothing was said yet, or a space last.
    is_spaced: bool,
}

impl Builder<'_> {
    /// The mark between two cues; an element that ends before it and begins again after it goes over it. Gives the elements that
    /// `piece` begins with and that are open already.
    fn border(&mut self, piece: &Piece) -> Vec<usize> {
        let mut continued = Vec::new();
        for token in piece.tokens.iter().take_while(|token| matches!(token.kind, Kind::Open(_))) {
            let Some(Part::Close(mark)) = self.parts.last() else { break };
            let Mark::Element { open, .. } = &self.marks[*mark] else { break };
            if self.source[open.clone()] != self.source[token.range.clone()] {
                break;
            }
            continued.push(*mark);
            self.parts.pop();
        }
        self.is_spaced = true;
        self.marks.push(Mark::Border);
        self.parts.push(Part::Alone(self.marks.len() - 1, Shown::Space));
        continued
    }

    fn piece(&mut self, piece: &Piece, continued: Vec<usize>) {
        let mut numbers = vec![0; piece.tokens.len()];
        for (at, token) in piece.tokens.iter().enumerate() {
            let range = token.range.clone();
            match (token.kind, piece.pairs[at]) {
                (Kind::Open(_), Some(pair)) => {
                    let close = piece.tokens[pair].range.clone();
                    let number = match continued.get(at) {
                        Some(number) => *number,
                        None => {
                            self.marks.push(Mark::Element { open: range, close });
                            self.parts.push(Part::Open(self.marks.len() - 1));
                            self.marks.len() - 1
                        }
                    };
                    numbers[pair] = number;
                }
                (Kind::Close(_), Some(_)) => self.parts.push(Part::Close(numbers[at])),
                (Kind::Open(_) | Kind::Close(_) | Kind::Alone | Kind::Voice, _) => {
                    self.marks.push(Mark::Alone(range));
                    self.parts.push(Part::Alone(self.marks.len() - 1, Shown::Nothing));
                }
                (Kind::Space | Kind::Break, _) => self.text(" "),
                (Kind::Character(c), _) => self.text(c.encode_utf8(&mut [0; 4])),
                _ => self.text(&self.source[range]),
            }
        }
    }

    /// More text; white space after white space, or where nothing was said, is left out.
    fn text(&mut self, text: &str) {
        let is_space = text.trim().is_empty();
        if is_space && self.is_spaced {
            return;
        }
        self.is_spaced = is_space;
        match self.parts.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ => self.parts.push(Part::Text(text.to_owned())),
        }
    }

    /// The columns so far.
    fn length(&self) -> usize {
        let text = |part: &Part| if let Part::Text(text) = part { columns(text) } else { 0 };
        self.parts.iter().map(text).sum()
    }
}

impl Document for Subtitles {
    fn segments(&self) -> &[Segment] {
        &self.segments
    }

    fn write(&self, translations: &[Option<Vec<Part>>]) -> Result<Vec<u8>> {
        let mut edits = Vec::new();
        for ((segment, place), parts) in self.segments.iter().zip(&self.places).zip(translations) {
            if let Some(parts) = parts.as_ref().filter(|parts| **parts != segment.parts) {
                let texts = write::texts(&self.source.text, place, parts, self.syntax, self.width, self.line_end);
                edits.extend(place.spots.iter().map(|spot| spot.range.clone()).zip(texts));
            }
        }
        // Sentences of two people may take turns.
        edits.sort_by_key(|(range, _)| range.start);
        Ok(self.source.encode_or_utf8(&self.source.edited(edits)))
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }
}
