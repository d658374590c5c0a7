//! Texts of a document with inline marks while it is read, and translations in their place: what HTML and Markdown have in common.

use std::collections::HashMap;
use std::ops::Range;

use super::{Part, Segment, Shown, replace};

/// A mark's own text is seen by a translator up to so many bytes; a longer one is no part of a sentence.
const LONGEST_SHOWN: usize = 200;

/// The bytes of a mark: of its start tag or all of it, and of its end tag.
pub(super) type Tags = (Range<usize>, Range<usize>);

/// A text of a page and where it stands.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) segment: Segment,
    /// The bytes that a translation takes the place of.
    pub(super) range: Range<usize>,
    pub(super) marks: Vec<Tags>,
    /// Whether it is the value of an attribute.
    pub(super) is_attribute: bool,
}

/// Gathers one text after the other.
#[derive(Default)]
pub(super) struct Gathering {
    parts: Vec<Part>,
    /// The bytes of each part.
    ranges: Vec<Range<usize>>,
    marks: Vec<Tags>,
    /// Elements that are open: name, place among the parts, mark; `None` once they are no element any more.
    open: Vec<Option<(String, usize, usize)>>,
    by_name: HashMap<String, Vec<usize>>,
    /// Whether the text so far is empty or ends with a space.
    after_space: bool,
    /// Whether the last thing that shows is a line break.
    after_break: bool,
    pub(super) texts: Vec<Text>,
}

fn is_space(c: char) -> bool {
    c.is_ascii_whitespace()
}

impl Gathering {
    /// A piece of text that stands on `range`.
    pub(super) fn text(&mut self, value: &str, range: Range<usize>, source: &str) {
        let is_blank = value.bytes().all(|byte| byte.is_ascii_whitespace());
        if value.starts_with(is_space) || is_blank {
            self.space(range.clone(), is_blank, source);
        }
        if is_blank {
            return;
        }
        let mut text = String::with_capacity(value.len());
        let starts_in_word = !value.starts_with(is_space) || !self.after_space && !self.parts.is_empty();
        if starts_in_word && value.starts_with(is_space) {
            text.push(' ');
        }
        for (index, word) in value.split_ascii_whitespace().enumerate() {
            if index > 0 {
                text.push(' ');
            }
            text.push_str(word);
        }
        self.after_space = value.ends_with(is_space);
        if self.after_space {
            text.push(' ');
        }
        self.after_break = false;
        self.push(Part::Text(text), range);
    }

    /// Spaces that begin a text or are all of it: those after a mark that shows something belong to it where one is before it, too.
    fn space(&mut self, Range { start, end }: Range<usize>, is_blank: bool, source: &str) {
        if self.parts.is_empty() {
            return;
        }
        if self.after_space {
            if let (Some(Part::Alone(mark, _)), Some(range)) = (self.parts.last(), self.ranges.last_mut()) {
                // As they are written: spaces that are entities, or in a section of CDATA, stay with the text.
                let written = source[start..end].bytes().take_while(u8::is_ascii_whitespace).count();
                let length = if is_blank { end - start } else { written };
                if range.end == start {
                    range.end = start + length;
                    self.marks[*mark].0.end = start + length;
                }
            }
        } else if is_blank {
            self.after_space = true;
            self.push(Part::Text(" ".to_owned()), start..end);
        }
    }

    fn push(&mut self, part: Part, range: Range<usize>) {
        match (self.parts.last_mut(), &part) {
            (Some(Part::Text(last)), Part::Text(text)) => {
                last.push_str(text);
                if let Some(last) = self.ranges.last_mut() {
                    last.end = range.end;
                }
            }
            _ => {
                self.parts.push(part);
                self.ranges.push(range);
            }
        }
    }

    pub(super) fn open(&mut self, name: &str, range: Range<usize>) {
        let mark = self.marks.len();
        self.by_name.entry(name.to_owned()).or_default().push(self.open.len());
        self.open.push(Some((name.to_owned(), self.parts.len(), mark)));
        self.marks.push((range.clone(), 0..0));
        self.push(Part::Open(mark), range);
    }

    /// An end tag: of the last element, or, where elements overlap, both of its tags are marks by themselves.
    pub(super) fn close(&mut self, name: &str, range: Range<usize>) {
        while self.open.last().is_some_and(Option::is_none) {
            self.open.pop();
        }
        let Some(index) = self.by_name.get_mut(name).and_then(Vec::pop) else {
            self.alone(range, Shown::Nothing);
            return;
        };
        let Some((_, place, mark)) = self.open[index].take() else { return };
        if index + 1 == self.open.len() {
            self.open.pop();
            self.marks[mark].1 = range.clone();
            self.push(Part::Close(mark), range);
        } else {
            self.parts[place] = Part::Alone(mark, Shown::Nothing);
            self.alone(range, Shown::Nothing);
        }
    }

    /// The end of an element that nothing overlaps: what was opened in it and is open is a mark by itself.
    #[cfg(feature = "markdown")]
    pub(super) fn close_whole(&mut self, name: &str, range: Range<usize>) {
        let start = self.by_name.get(name).and_then(|open| open.last()).copied();
        while start.is_some_and(|start| start + 1 < self.open.len()) {
            if let Some((inner, place, mark)) = self.open.pop().flatten() {
                self.parts[place] = Part::Alone(mark, Shown::Nothing);
                self.by_name.get_mut(&inner).and_then(Vec::pop);
            }
        }
        self.close(name, range);
    }

    pub(super) fn alone(&mut self, range: Range<usize>, shown: Shown) {
        let shown = match shown {
            Shown::Text(text) => match text.split_whitespace().collect::<Vec<_>>().join(" ") {
                text if text.is_empty() || text.len() > LONGEST_SHOWN => Shown::Nothing,
                text => Shown::Text(text),
            },
            other => other,
        };
        let mark = self.marks.len();
        match &shown {
            Shown::Text(_) => (self.after_space, self.after_break) = (false, false),
            _ if self.parts.is_empty() => {}
            Shown::Space => self.after_space = true,
            Shown::Nothing => {}
        }
        self.marks.push((range.clone(), 0..0));
        self.push(Part::Alone(mark, shown), range);
    }

    /// A line break; a second one ends the text. Spaces around it belong to it.
    pub(super) fn line_break(&mut self, mut range: Range<usize>, source: &str) {
        if self.after_break {
            self.flush(source);
        }
        if let (Some(Part::Text(last)), Some(last_range)) = (self.parts.last_mut(), self.ranges.last_mut()) {
            let raw = source[last_range.clone()].trim_end_matches(is_space);
            if last.ends_with(' ') && last_range.end == range.start && !raw.is_empty() {
                last.pop();
                last_range.end = last_range.start + raw.len();
                range.start = last_range.end;
            }
        }
        self.after_break = !self.parts.is_empty();
        self.alone(range, Shown::Space);
    }

    /// Ends the text.
    pub(super) fn flush(&mut self, source: &str) {
        for (_, place, mark) in self.open.drain(..).flatten() {
            self.parts[place] = Part::Alone(mark, Shown::Nothing);
        }
        self.by_name.clear();
        let (parts, ranges) = (std::mem::take(&mut self.parts), std::mem::take(&mut self.ranges));
        let marks = std::mem::take(&mut self.marks);
        (self.after_space, self.after_break) = (false, false);
        let has_words = |part: &Part| matches!(part, Part::Text(text) if text.contains(char::is_alphabetic));
        if parts.iter().any(has_words)
            && let Some((parts, range)) = trimmed(parts, ranges, source)
        {
            let parts_and_marks = renumbered(parts, &marks);
            let segment = Segment { parts: parts_and_marks.0, ..Segment::default() };
            self.texts.push(Text { segment, range, marks: parts_and_marks.1, is_attribute: false });
        }
    }

    /// The value of an attribute.
    pub(super) fn attribute(&mut self, name: &str, value: &str, range: Range<usize>) {
        let text = value.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.contains(char::is_alphabetic) {
            let segment = Segment { parts: vec![Part::Text(text)], line: 0, name: Some(name.to_owned()) };
            self.texts.push(Text { segment, range, marks: Vec::new(), is_attribute: true });
        }
    }
}

/// The parts without what stands at their ends and has no text, and without elements around all of them; and the bytes of what is left.
fn trimmed(mut parts: Vec<Part>, mut ranges: Vec<Range<usize>>, source: &str) -> Option<(Vec<Part>, Range<usize>)> {
    // Where each mark that is opened is closed.
    let mut partner = vec![0; parts.len()];
    let mut open = Vec::new();
    let mut texts = vec![0];
    for (index, part) in parts.iter_mut().enumerate() {
        match part {
            Part::Open(_) => open.push(index),
            Part::Close(_) => {
                let start = open.pop()?;
                (partner[start], partner[index]) = (index, start);
            }
            _ => {}
        }
        let has_text = match part {
            Part::Text(text) => !text.trim().is_empty(),
            Part::Alone(_, Shown::Text(_)) => true,
            _ => false,
        };
        texts.push(texts[index] + usize::from(has_text));
    }
    let (mut start, mut end) = (0, parts.len());
    while start < end {
        let is_empty = |from: usize, to: usize| texts[to + 1] == texts[from];
        match (&parts[start], &parts[end - 1]) {
            (Part::Open(_), _) if partner[start] == end - 1 => (start, end) = (start + 1, end - 1),
            (Part::Open(_), _) if is_empty(start, partner[start]) => start = partner[start] + 1,
            (Part::Text(_) | Part::Alone(..), _) if is_empty(start, start) => start += 1,
            (_, Part::Close(_)) if is_empty(partner[end - 1], end - 1) => end = partner[end - 1],
            (_, Part::Text(_) | Part::Alone(..)) if is_empty(end - 1, end - 1) => end -= 1,
            _ => break,
        }
    }
    if start >= end {
        return None;
    }
    let first_text = (start..end).find(|&index| texts[index + 1] > texts[index])?;
    let last_text = (start..end).rev().find(|&index| texts[index + 1] > texts[index])?;
    let mut range = ranges[start].start..ranges[end - 1].end;
    // Spaces before the first word and after the last are none of its.
    for index in (start..end).filter(|&index| index <= first_text || index >= last_text) {
        let is_outer = (index < first_text) || (index > last_text);
        match &mut parts[index] {
            Part::Alone(_, shown @ Shown::Space) if is_outer => *shown = Shown::Nothing,
            Part::Text(text) if is_outer => text.clear(),
            Part::Text(text) => {
                let raw = &source[ranges[index].clone()];
                let (mut from, mut to) = (0, raw.len());
                if index == first_text {
                    *text = text.trim_start().to_owned();
                    from = leading_space(raw);
                }
                if index == last_text {
                    text.truncate(text.trim_end().len());
                    to = to.max(from) - trailing_space(&raw[from..]);
                }
                let outer = ranges[index].start;
                ranges[index] = outer + from..outer + to;
            }
            _ => {}
        }
    }
    if first_text == start {
        range.start = ranges[start].start;
    }
    if last_text == end - 1 {
        range.end = ranges[end - 1].end;
    }
    let parts = parts.drain(start..end).filter(|part| !matches!(part, Part::Text(text) if text.is_empty()));
    Some((parts.collect(), range))
}

/// Ways in which pages write a space that does not break; the first is the usual one.
pub(super) const NO_BREAK: &[&str] = &["&nbsp;", "&#160;", "&#xa0;", "&#xA0;", "&NonBreakingSpace;"];
const SPACES: &[&str] =
    &["&ensp;", "&emsp;", "&thinsp;", "&#32;", "&#x20;", "&#8194;", "&#8195;", "&#8201;", "&#9;", "&#10;", "&#13;"];

/// Bytes of the spaces that a text begins with, as they are written.
fn leading_space(raw: &str) -> usize {
    let mut rest = raw;
    loop {
        let trimmed = rest.trim_start();
        let entity = NO_BREAK.iter().chain(SPACES).find_map(|entity| trimmed.strip_prefix(entity));
        match entity {
            Some(after) => rest = after,
            None => return raw.len() - trimmed.len(),
        }
    }
}

fn trailing_space(raw: &str) -> usize {
    let mut rest = raw;
    loop {
        let trimmed = rest.trim_end();
        let entity = NO_BREAK.iter().chain(SPACES).find_map(|entity| trimmed.strip_suffix(entity));
        match entity {
            Some(before) => rest = before,
            None => return raw.len() - trimmed.len(),
        }
    }
}

/// The marks that are left, numbered from 0.
fn renumbered(mut parts: Vec<Part>, marks: &[Tags]) -> (Vec<Part>, Vec<Tags>) {
    let mut numbers = vec![usize::MAX; marks.len()];
    let mut left = Vec::new();
    for part in &mut parts {
        if let Part::Open(mark) | Part::Close(mark) | Part::Alone(mark, _) = part {
            if numbers[*mark] == usize::MAX {
                numbers[*mark] = left.len();
                left.push(marks[*mark].clone());
            }
            *mark = numbers[*mark];
        }
    }
    (parts, left)
}

/// A change of the source: bytes, and what takes their place.
pub(super) type Edit = (Range<usize>, String);

/// Writes the bytes of a mark, with the changes of its attributes.
pub(super) type WriteTag<'a> = &'a dyn Fn(&Range<usize>, &mut String);

/// The source with its translations. `more` are other changes; `value` makes one of an attribute's translation, `content` writes the parts
/// of a text.
pub(super) fn translated(
    source: &str,
    texts: &[Text],
    changed: &[Option<&[Part]>],
    mut more: Vec<Edit>,
    value: impl Fn(&Text, &str) -> Edit,
    content: impl Fn(usize, &[Part], WriteTag<'_>) -> String,
) -> String {
    for (text, parts) in texts.iter().zip(changed).filter(|(text, _)| text.is_attribute) {
        more.extend(parts.map(|parts| value(text, &plain(parts))));
    }
    more.sort_by_key(|(range, _)| range.start);
    let mut edits: Vec<Edit> = Vec::new();
    let mut rest = more.iter().peekable();
    let write_tag = |range: &Range<usize>, out: &mut String| {
        let first = more.partition_point(|(edit, _)| edit.start < range.start);
        let last = more.partition_point(|(edit, _)| edit.start < range.end);
        match first == last {
            true => out.push_str(&source[range.clone()]),
            false => out.push_str(&with_edits(source, range.clone(), &more[first..last])),
        }
    };
    for (index, text) in texts.iter().enumerate().filter(|(_, text)| !text.is_attribute) {
        let Some(parts) = changed[index] else { continue };
        while let Some(edit) = rest.next_if(|(range, _)| range.start < text.range.start) {
            edits.push(edit.clone());
        }
        // Attributes within the text are written with its tags.
        while rest.next_if(|(range, _)| range.start < text.range.end).is_some() {}
        edits.push((text.range.clone(), content(index, parts, &write_tag)));
    }
    edits.extend(rest.cloned());
    with_edits(source, 0..source.len(), &edits)
}

fn with_edits(source: &str, range: Range<usize>, edits: &[Edit]) -> String {
    let edits =
        edits.iter().map(|(at, text)| (at.start - range.start..at.end - range.start, text.clone().into_bytes()));
    String::from_utf8_lossy(&replace(&source.as_bytes()[range.clone()], edits)).into_owned()
}

/// The texts of parts without their marks.
pub(super) fn plain(parts: &[Part]) -> String {
    parts.iter().map(|part| if let Part::Text(text) = part { &text[..] } else { "" }).collect()
}

/// Sorts texts as they stand in the source, and counts their lines.
pub(super) fn in_order(texts: &mut [Text], source: &str) {
    texts.sort_by_key(|text| text.range.start);
    let (mut line, mut at) = (1, 0);
    for text in texts {
        line += source.as_bytes()[at..text.range.start].iter().filter(|&&byte| byte == b'\n').count();
        at = text.range.start;
        text.segment.line = line;
    }
}
