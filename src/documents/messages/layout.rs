//! Where the layout of a message cuts it: blank lines, indentation, tabs, and columns of a help text.

use std::ops::Range;

use crate::documents::source::is_no_break;

/// A line shorter than this was not broken because it was full, in characters.
const FULL_LINE: usize = 40;

/// A stretch of text between layout.
pub(super) struct Chunk {
    pub(super) before: Range<usize>,
    pub(super) text: Range<usize>,
    /// Whether a gap in the line separates it from the one before.
    pub(super) is_cell: bool,
}

/// The stretches of a text. Lines that were full and go on are one stretch.
pub(super) fn chunks(text: &str) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    let (mut end, mut line_start) = (0, 0);
    for line in text.split_inclusive('\n') {
        let mut cells = cells(line).into_iter();
        // A paragraph that goes on, in a line that begins without indentation.
        let first = cells.next();
        if let (Some(first), Some(last)) = (&first, chunks.last_mut()) {
            let before = &text[last.text.clone()];
            let full = before.rsplit('\n').next().unwrap_or(before);
            let goes_on = first.start == 0
                && end > 0
                && text[last.text.end..line_start] == *"\n"
                && full.chars().count() >= FULL_LINE
                && !before.ends_with(['.', '!', '?', ':', ';'])
                && !line.starts_with(|c: char| !c.is_alphanumeric() && !"\"'(<{%$„“«&".contains(c))
                && !starts_with_number(line);
            if goes_on {
                last.text.end = line_start + first.end;
                end = last.text.end;
            } else {
                let range = line_start + first.start..line_start + first.end;
                chunks.push(Chunk { before: end..range.start, text: range.clone(), is_cell: false });
                end = range.end;
            }
        } else if let Some(first) = &first {
            let range = line_start + first.start..line_start + first.end;
            chunks.push(Chunk { before: end..range.start, text: range.clone(), is_cell: false });
            end = range.end;
        }
        for cell in cells {
            let range = line_start + cell.start..line_start + cell.end;
            chunks.push(Chunk { before: end..range.start, text: range.clone(), is_cell: true });
            end = range.end;
        }
        line_start += line.len();
    }
    chunks
}

fn starts_with_number(line: &str) -> bool {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && line[digits..].starts_with(['.', ')'])
}

/// The stretches of a line between tabs and gaps of two spaces, without white space around them.
fn cells(line: &str) -> Vec<Range<usize>> {
    let mut cells = Vec::new();
    let mut start: Option<usize> = None;
    // Where the last character that is no white space ends, and what it was.
    let (mut end, mut last) = (0, ' ');
    let (mut spaces, mut has_tab) = (0, false);
    for (at, c) in line.char_indices() {
        if c.is_whitespace() {
            spaces += usize::from(!is_no_break(c));
            has_tab |= c == '\t' || c == '\r';
            continue;
        }
        if let Some(begin) = start
            && (has_tab || spaces > 2 || (spaces == 2 && !".!?:".contains(last)))
        {
            cells.push(begin..end);
            start = None;
        }
        start = start.or(Some(at));
        (end, last, spaces, has_tab) = (at + c.len_utf8(), c, 0, false);
    }
    cells.extend(start.map(|start| start..end));
    cells
}
