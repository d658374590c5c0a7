//! Plain text: paragraphs, lists, quotations, headings, verse and tables, told apart by how their lines look.
//!
//! | lines | segments | written |
//! |---|---|---|
//! | of about the same length, where the next word did not fit | one paragraph | wrapped again at their width, with their prefixes |
//! | that stand by themselves: headings, verse, long lines | one each | in their place |
//! | with gaps of two spaces, tabs, or `\|` | one for each cell | columns stay where they are, if there is room |
//!
//! A prefix is indentation, `> ` of quotations, `# `, and the bullet or number of a list, under which the next lines are indented.

use std::ops::Range;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::source::{Line, LineNumbers, Source, has_letters, is_no_break, lines};
use super::{Document, Format, Options, Part, Segment};
use crate::{Error, Result};

/// Plain text.
pub(super) struct Plain;

/// Lines shorter than this were not wrapped, they are short, in columns.
const NARROWEST: usize = 45;
/// From so many lines on, lines that all begin with a capital are verse.
const VERSE: usize = 4;

impl Format for Plain {
    fn name(&self) -> &'static str {
        "text"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["txt"]
    }

    fn recognises(&self, _start: &[u8]) -> bool {
        true
    }

    fn read(&self, bytes: &[u8], _options: &Options) -> Result<Box<dyn Document>> {
        let source = Source::read(bytes, None)?;
        if let Some(at) = source.text.find('\0') {
            let line = LineNumbers::of(&source.text).line(at);
            return Err(Error::Text(format!(
                "line {line}: a NUL byte, so this is no text; name its format if it has one"
            )));
        }
        let notes = source.encoding_note().into_iter().collect();
        let mut text = Text { source, segments: Vec::new(), places: Vec::new(), width: None, line_end: "\n", notes };
        text.take_apart();
        Ok(Box::new(text))
    }
}

struct Text {
    source: Source,
    segments: Vec<Segment>,
    places: Vec<Place>,
    /// The columns of its widest wrapped paragraph.
    width: Option<usize>,
    line_end: &'static str,
    notes: Vec<String>,
}

/// Where a segment stands.
struct Place {
    range: Range<usize>,
    layout: Layout,
}

enum Layout {
    /// Lines that were wrapped: the columns before the first, what stands before the others, and the columns of the longest.
    Wrapped { lead: usize, prefix: String, width: usize },
    /// A line: the columns before it, and what would stand before a second.
    Line { lead: usize, prefix: String },
    /// A cell, followed by this many spaces that belong to its column.
    Cell { gap: usize },
}

/// A line that is not blank.
struct Row<'t> {
    line: Line,
    /// Indentation and signs of quotation.
    lead: &'t str,
    /// A bullet with the space after it.
    bullet: &'t str,
    text: Range<usize>,
    /// Its columns with its prefix.
    width: usize,
    /// The columns of its first word.
    first: usize,
    is_table: bool,
}

impl<'t> Row<'t> {
    fn of(source: &'t str, line: &Line) -> Self {
        let whole = &source[line.range()];
        let signs = whole.find(|c: char| !c.is_whitespace() && c != '>').unwrap_or(whole.len());
        let hashes = whole[signs..].len() - whole[signs..].trim_start_matches('#').len();
        let hashes = if hashes > 0 && whole[signs + hashes..].starts_with(' ') { hashes } else { 0 };
        let after = &whole[signs + hashes..];
        let lead = signs + hashes + (after.len() - after.trim_start().len());
        let bullet = bullet(&whole[lead..]);
        let text = line.start + lead + bullet..line.start + whole.trim_end().len().max(lead + bullet);
        let words = &source[text.clone()];
        Self {
            line: line.clone(),
            lead: &whole[..lead],
            bullet: &whole[lead..lead + bullet],
            width: columns(&source[line.start..text.end]),
            first: words.split_whitespace().next().map_or(0, columns),
            is_table: !gaps(words).is_empty(),
            text,
        }
    }

    /// What stands before the lines that belong to it.
    fn hanging(&self) -> String {
        format!("{}{}", self.lead, " ".repeat(columns(self.bullet)))
    }
}

/// Whether lines could be of one paragraph, by what stands before them.
fn belongs(paragraph: &[Row<'_>], next: &Row<'_>) -> bool {
    let signs = |row: &Row<'_>| row.lead.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let first = &paragraph[0];
    next.bullet.is_empty()
        && !next.is_table
        && !first.is_table
        && signs(first) == signs(next)
        && match paragraph {
            [_] => first.bullet.is_empty() || columns(next.lead) >= columns(first.lead),
            [_, second, ..] => second.lead == next.lead,
            [] => false,
        }
}

/// The length of a bullet or number with the space after it.
fn bullet(text: &str) -> usize {
    let mut characters = text.char_indices();
    let Some((_, first)) = characters.next() else { return 0 };
    let sign = match first {
        '-' | '*' | '+' | '•' | '–' | '·' | '‣' | '◦' | '▪' | '—' => first.len_utf8(),
        '0'..='9' => {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let is_number = digits <= 3 && text[digits..].starts_with(['.', ')']);
            if is_number { digits + 1 } else { return 0 }
        }
        'a'..='z' | 'A'..='Z' if text[1..].starts_with(')') => 2,
        _ => return 0,
    };
    let space = text[sign..].len() - text[sign..].trim_start_matches([' ', '\t']).len();
    if space > 0 && sign + space < text.len() { sign + space } else { 0 }
}

/// What separates the cells of a line; nothing if it is a line of text.
fn gaps(text: &str) -> Vec<Range<usize>> {
    let mut gaps: Vec<Range<usize>> = Vec::new();
    let is_sign = |c: char| c == '|' || ('\u{2500}'..='\u{257f}').contains(&c);
    let mut characters = text.char_indices().peekable();
    let mut before = ' ';
    while let Some((start, c)) = characters.next() {
        if !(c == ' ' || c == '\t' || is_sign(c)) {
            before = c;
            continue;
        }
        let (mut end, mut is_gap, mut spaces) = (start + c.len_utf8(), c != ' ', 1);
        while let Some((at, c)) = characters.next_if(|(_, c)| *c == ' ' || *c == '\t' || is_sign(*c)) {
            end = at + c.len_utf8();
            is_gap |= c != ' ';
            spaces += 1;
        }
        // Two spaces after a sentence are how some people type.
        if is_gap || spaces > 2 || (spaces == 2 && !".!?:".contains(before)) {
            gaps.push(start..end);
        }
    }
    gaps
}

impl Text {
    fn take_apart(&mut self) {
        let text = std::mem::take(&mut self.source.text);
        if text.contains("\r\n") {
            self.line_end = "\r\n";
        } else if text.contains('\r') && !text.contains('\n') {
            self.line_end = "\r";
        }
        let mut paragraph: Vec<Row<'_>> = Vec::new();
        let mut number = 1;
        for (at, line) in lines(&text).iter().enumerate() {
            if text[line.range()].trim().is_empty() {
                self.end(&text, &mut paragraph, number);
                continue;
            }
            let row = Row::of(&text, line);
            if paragraph.is_empty() || !belongs(&paragraph, &row) {
                self.end(&text, &mut paragraph, number);
                number = at + 1;
            }
            paragraph.push(row);
        }
        self.end(&text, &mut paragraph, number);
        self.source.text = text;
    }

    /// The lines of a paragraph become segments. The first has this number.
    fn end(&mut self, text: &str, paragraph: &mut Vec<Row<'_>>, number: usize) {
        let rows = std::mem::take(paragraph);
        let widest = rows.iter().map(|row| row.width).max().unwrap_or(0);
        let begins_loud = |row: &Row<'_>| {
            text[row.text.clone()].chars().find(|c| c.is_alphanumeric()).is_some_and(|c| !c.is_lowercase())
        };
        let is_shouted = !rows.iter().any(|row| text[row.text.clone()].contains(char::is_lowercase));
        let is_verse = widest < NARROWEST || (rows.len() >= VERSE && !is_shouted && rows.iter().all(begins_loud));
        let mut start = 0;
        for end in 1..=rows.len() {
            // The first word of the next line would have fitted into this one.
            let is_end = rows
                .get(end)
                .is_none_or(|next| is_verse || rows[end - 1].width + 1 + next.first + widest / 8 <= widest);
            if is_end {
                self.paragraph(text, &rows[start..end], number + start);
                start = end;
            }
        }
    }

    fn paragraph(&mut self, text: &str, rows: &[Row<'_>], line: usize) {
        let first = &rows[0];
        if first.is_table {
            let mut at = first.text.start;
            let gaps = gaps(&text[first.text.clone()]).into_iter().map(|gap| gap.start + at..gap.end + at);
            let gaps: Vec<_> = gaps.chain(std::iter::once(first.text.end..first.text.end)).collect();
            for gap in gaps {
                let is_spaces = !gap.is_empty() && text[gap.clone()].bytes().all(|byte| byte == b' ');
                let spaces = if is_spaces {
                    gap.len()
                } else {
                    text[gap.clone()].len() - text[gap.clone()].trim_start_matches(' ').len()
                };
                self.segment(text, at..gap.start, line, |_| Layout::Cell { gap: spaces });
                at = gap.end;
            }
            return;
        }
        let range = first.text.start..rows[rows.len() - 1].text.end;
        let lead = columns(&text[first.line.start..first.text.start]);
        match rows {
            [_] => self.segment(text, range, line, |_| Layout::Line { lead, prefix: first.hanging() }),
            [_, second, ..] => {
                let width = rows.iter().map(|row| row.width).max().unwrap_or(0);
                self.width = self.width.max(Some(width));
                self.joined(
                    text,
                    rows,
                    line,
                    Place { range, layout: Layout::Wrapped { lead, prefix: second.lead.to_owned(), width } },
                );
            }
            [] => {}
        }
    }

    fn joined(&mut self, text: &str, rows: &[Row<'_>], line: usize, place: Place) {
        let words = rows.iter().flat_map(|row| words(&text[row.text.clone()])).collect::<Vec<_>>().join(" ");
        if has_letters(&words) {
            self.segments.push(Segment { parts: vec![Part::Text(words)], line, name: None });
            self.places.push(place);
        }
    }

    fn segment(&mut self, text: &str, range: Range<usize>, line: usize, layout: impl FnOnce(&str) -> Layout) {
        let words = words(&text[range.clone()]).collect::<Vec<_>>().join(" ");
        let words = words.trim();
        if has_letters(words) {
            let layout = layout(words);
            self.segments.push(Segment { parts: vec![Part::Text(words.to_owned())], line, name: None });
            self.places.push(Place { range, layout });
        }
    }
}

/// The words of a text; a space that does not break stays within one.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.trim().split(|c: char| c.is_whitespace() && !is_no_break(c)).filter(|word| !word.is_empty())
}

fn columns(text: &str) -> usize {
    // A tab is as wide as it looks in most editors; what counts is that it is wider than a space.
    text.width() + 7 * text.bytes().filter(|byte| *byte == b'\t').count()
}

/// Words in lines.
fn wrap(text: &str, lead: usize, prefix: &str, width: usize, line_end: &str) -> String {
    let (mut written, mut column) = (String::with_capacity(text.len() + text.len() / 16), lead);
    let mut is_first = true;
    for word in words(text) {
        let fits = column + 1 + columns(word) <= width;
        // A line must not begin with what would be a bullet or a sign of quotation.
        let is_sign = bullet(&format!("{word} x")) > 0 || word.starts_with('>') || word.trim_matches('#').is_empty();
        if is_first || fits || is_sign {
            if !is_first {
                written.push(' ');
                column += 1;
            }
        } else {
            written.push_str(line_end);
            written.push_str(prefix);
            column = columns(prefix);
        }
        is_first = false;
        for c in word.chars() {
            let wide = c.width().unwrap_or(0);
            // Chinese and Japanese have no spaces to break at.
            if wide == 2
                && column + wide > width
                && column > columns(prefix)
                && !"、。，．：；？！」』）】〉》".contains(c)
            {
                written.push_str(line_end);
                written.push_str(prefix);
                column = columns(prefix);
            }
            written.push(c);
            column += wide;
        }
    }
    written
}

impl Document for Text {
    fn segments(&self) -> &[Segment] {
        &self.segments
    }

    fn write(&self, translations: &[Option<Vec<Part>>]) -> Result<Vec<u8>> {
        let mut edits = Vec::new();
        for ((segment, place), parts) in self.segments.iter().zip(&self.places).zip(translations) {
            let Some(parts) = parts.as_ref().filter(|parts| **parts != segment.parts) else { continue };
            let text = Segment { parts: parts.clone(), ..Segment::default() }.text();
            let text = words(&text).collect::<Vec<_>>().join(" ");
            let before = &self.source.text[place.range.clone()];
            let mut range = place.range.clone();
            let written = match &place.layout {
                Layout::Wrapped { lead, prefix, width } => wrap(&text, *lead, prefix, *width, self.line_end),
                Layout::Line { lead, prefix } => match self.width {
                    Some(width) if lead + columns(before) <= width => wrap(&text, *lead, prefix, width, self.line_end),
                    _ => text,
                },
                Layout::Cell { gap } => {
                    range.end += gap;
                    let room = columns(before) + gap;
                    let least = (*gap).min(2);
                    format!("{text}{}", " ".repeat(room.saturating_sub(columns(&text)).max(least).min(room.max(least))))
                }
            };
            edits.push((range, written));
        }
        Ok(self.source.encode_or_utf8(&self.source.edited(edits)))
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }
}
