//! A translation back in the cues of its sentence.

use std::ops::Range;

use super::split::{Words, crowded};
use super::{Mark, Place, Spot, Syntax};
use crate::documents::Part;
use crate::documents::source::is_no_break;

/// How much the mark between two cues says about where the text is cut, beside the share of the text that the cue had.
const WEIGHT_OF_MARK: f64 = 3.;
const WEIGHT_OF_SHARE: f64 = 2.;
/// A cue's part of a sentence, beside the part it had, and how bad it is if it has less or more.
const LEAST_SHARE: f64 = 0.65;
const MOST_SHARE: f64 = 1.5;
const UNEVEN: f64 = 10.;
/// Lines of a cue are about equally long.
const WEIGHT_OF_LINE: f64 = 2.;

/// A translation as text, with its marks at bytes of it.
struct Flat {
    text: String,
    marks: Vec<(usize, Part)>,
    borders: Vec<usize>,
}

/// The text of each spot of a place.
pub(super) fn texts(
    source: &str,
    place: &Place,
    parts: &[Part],
    syntax: Syntax,
    width: usize,
    line_end: &str,
) -> Vec<String> {
    let flat = flatten(parts, &place.marks);
    let words = Words::of(&flat.text);
    let spots = &place.spots;
    let shares = shares(&words, &flat, spots, width);
    let mut events = flat.marks.iter().peekable();
    let mut open: Vec<usize> = Vec::new();
    let mut written: Vec<String> = Vec::with_capacity(spots.len());
    for (number, (spot, share)) in spots.iter().zip(&shares).enumerate() {
        let is_last = number + 1 == shares.len();
        if share.is_empty() && number > 0 {
            // Fewer words than cues: what is said stays where it is.
            written.push(plain(&flat.text, &words, &shares[..number], syntax));
            continue;
        }
        let bytes = match share.is_empty() {
            true => 0..0,
            false => words.spans[share.start].start..words.spans[share.end - 1].end,
        };
        let mut writer = Writer { source, place, syntax, line_end, text: &flat.text, written: String::new() };
        open.iter().for_each(|mark| writer.open(*mark));
        let breaks = breaks(&words, share.clone(), spot, width);
        let mut at = bytes.start;
        let rest_is_last = shares[number + 1..].iter().all(Range::is_empty);
        while let Some((byte, part)) = events.next_if(|(byte, part)| {
            is_last || rest_is_last || *byte < bytes.end || (*byte == bytes.end && !matches!(part, Part::Open(_)))
        }) {
            let byte = (*byte).clamp(at, bytes.end.max(at));
            writer.text(at..byte, &breaks);
            at = byte;
            match part {
                Part::Open(mark) => {
                    open.push(*mark);
                    writer.open(*mark);
                }
                Part::Close(mark) => {
                    open.pop();
                    writer.close(*mark);
                }
                Part::Alone(mark, _) => writer.alone(*mark),
                Part::Text(_) => {}
            }
        }
        writer.text(at..bytes.end, &breaks);
        open.iter().rev().for_each(|mark| writer.close(*mark));
        written.push(writer.written);
    }
    written
}

/// The words of the last cue that has some.
fn plain(text: &str, words: &Words, shares: &[Range<usize>], syntax: Syntax) -> String {
    let share = shares.iter().rev().find(|share| !share.is_empty()).cloned().unwrap_or_default();
    let mut written = String::new();
    for word in share {
        let separator = if written.is_empty() { "" } else { " " };
        written.push_str(separator);
        escape(&text[words.spans[word].clone()], syntax, &mut written);
    }
    written
}

/// Text with single spaces, and the marks in it.
fn flatten(parts: &[Part], known: &[Mark]) -> Flat {
    let mut flat = Flat { text: String::new(), marks: Vec::new(), borders: Vec::new() };
    let space = |text: &mut String| {
        if !text.is_empty() && !text.ends_with(' ') {
            text.push(' ');
        }
    };
    for part in parts {
        match part {
            Part::Text(text) => {
                for c in text.chars() {
                    match c.is_whitespace() && !is_no_break(c) {
                        true => space(&mut flat.text),
                        false => flat.text.push(c),
                    }
                }
            }
            Part::Alone(mark, _) if matches!(known.get(*mark), Some(Mark::Border)) => {
                if flat.text.ends_with(|c: char| c.is_ascii() || c.is_alphanumeric() && c < '\u{2e80}') {
                    space(&mut flat.text);
                }
                flat.borders.push(flat.text.len());
            }
            mark => flat.marks.push((flat.text.len(), mark.clone())),
        }
    }
    flat.text.truncate(flat.text.trim_end_matches(' ').len());
    flat
}

/// The words of each cue.
fn shares(words: &Words, flat: &Flat, spots: &[Spot], width: usize) -> Vec<Range<usize>> {
    let count = words.spans.len();
    if count < spots.len() {
        // As far as they go; the rest is empty.
        return (0..spots.len()).map(|at| at.min(count)..(at + 1).min(count)).collect();
    }
    let all: usize = spots.iter().map(|spot| spot.columns).sum();
    let (mut before, mut wanted) = (0, Vec::with_capacity(spots.len()));
    for (spot, border) in
        spots.iter().zip(flat.borders.iter().map(Some).chain(std::iter::repeat(None))).take(spots.len() - 1)
    {
        before += spot.columns;
        let share = words.total() as f64 * before as f64 / all.max(1) as f64;
        let mark = border.map(|byte| (words.column(*byte) as f64, WEIGHT_OF_MARK));
        wanted.push([(share, WEIGHT_OF_SHARE)].into_iter().chain(mark).collect());
    }
    let cost = |part: usize, width_of_part: usize| {
        let room = (width * spots[part].lines.max(1)).saturating_sub(spots[part].lead);
        // Nobody reads a cue in half of its time, and nobody waits for one with two words.
        let share = words.total() as f64 * spots[part].columns as f64 / all.max(1) as f64;
        let ratio = width_of_part as f64 / share.max(1.);
        let uneven = UNEVEN * ((LEAST_SHARE - ratio).max(0.).powi(2) + (ratio - MOST_SHARE).max(0.).powi(2));
        crowded(width_of_part, room) + uneven
    };
    let mut cuts = vec![0];
    cuts.extend(words.split(0..count, &wanted, cost));
    let ends = cuts.iter().skip(1).copied().chain([count]).collect::<Vec<_>>();
    cuts.into_iter().zip(ends).map(|(start, end)| start..end).collect()
}

/// The bytes before which a line of a cue ends.
fn breaks(words: &Words, share: Range<usize>, spot: &Spot, width: usize) -> Vec<usize> {
    let lines = words.lines(share.clone(), width, spot.lead).min(spot.lines).min(share.len());
    if lines < 2 {
        return Vec::new();
    }
    let (first, last) = (words.spans[share.start].start, words.spans[share.end - 1].end);
    let (from, to) = (words.column(first) as f64 - spot.lead as f64, words.column(last) as f64);
    let goal = |line: usize| vec![(from + (to - from) * line as f64 / lines as f64, WEIGHT_OF_LINE)];
    let wanted: Vec<_> = (1..lines).map(goal).collect();
    let room = |line: usize| if line == 0 { width.saturating_sub(spot.lead) } else { width };
    let cuts = words.split(share, &wanted, |line, width| crowded(width, room(line)));
    cuts.into_iter().map(|word| words.spans[word].start).collect()
}

struct Writer<'t> {
    source: &'t str,
    place: &'t Place,
    syntax: Syntax,
    line_end: &'t str,
    text: &'t str,
    written: String,
}

impl Writer<'_> {
    /// Some of the text, with line ends before the bytes `breaks`.
    fn text(&mut self, bytes: Range<usize>, breaks: &[usize]) {
        let mut at = bytes.start;
        let first = breaks.partition_point(|byte| *byte <= bytes.start);
        for &byte in breaks[first..].iter().take_while(|byte| **byte <= bytes.end) {
            escape(self.text[at..byte].trim_end_matches(' '), self.syntax, &mut self.written);
            // The space may have stood before a tag.
            self.written.truncate(self.written.trim_end_matches(' ').len());
            self.written.push_str(self.line_end);
            at = byte;
        }
        escape(&self.text[at..bytes.end], self.syntax, &mut self.written);
    }

    fn open(&mut self, mark: usize) {
        if let Some(Mark::Element { open, .. }) = self.place.marks.get(mark) {
            self.written.push_str(&self.source[open.clone()]);
        }
    }

    fn close(&mut self, mark: usize) {
        if let Some(Mark::Element { close, .. }) = self.place.marks.get(mark) {
            self.written.push_str(&self.source[close.clone()]);
        }
    }

    fn alone(&mut self, mark: usize) {
        if let Some(Mark::Alone(range)) = self.place.marks.get(mark) {
            self.written.push_str(&self.source[range.clone()]);
        }
    }
}

/// Writes text so that no character of it means anything.
fn escape(text: &str, syntax: Syntax, written: &mut String) {
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (syntax, c) {
            (Syntax::WebVtt, '&') => written.push_str("&amp;"),
            (Syntax::WebVtt, '<') => written.push_str("&lt;"),
            (Syntax::WebVtt, '>') => written.push_str("&gt;"),
            (Syntax::WebVtt, '\u{a0}') => written.push_str("&nbsp;"),
            (Syntax::Substation, '\u{a0}') => written.push_str("\\h"),
            // A word joiner keeps the backslash from meaning something.
            (Syntax::Substation, '\\') if rest.peek().is_some_and(|next| "Nnh{}".contains(*next)) => {
                written.push_str("\\\u{2060}")
            }
            (Syntax::Substation, '{') => written.push('｛'),
            (Syntax::Substation, '}') => written.push('｝'),
            // SubRip has no escapes.
            (Syntax::SubRip, '<') if rest.peek().is_some_and(|next| next.is_ascii_alphabetic() || *next == '/') => {
                written.push('‹')
            }
            (Syntax::SubRip, '{') if rest.peek() == Some(&'\\') => written.push('('),
            _ => written.push(c),
        }
    }
}
