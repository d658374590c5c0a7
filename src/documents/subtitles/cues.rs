//! Where the cues of a file are, and when they are shown.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use super::Syntax;
use crate::documents::source::{Line, lines};

/// What is shown at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cue {
    /// Its text: lines, or the last field of an event.
    pub(super) text: Range<usize>,
    /// When it appears, as it is written.
    pub(super) time: Range<usize>,
    /// Milliseconds.
    pub(super) start: u64,
    pub(super) end: u64,
    /// The same for cues that look the same: their settings, style and speaker.
    pub(super) look: u64,
}

/// All cues of a file.
pub(super) fn cues(text: &str, syntax: Syntax) -> Vec<Cue> {
    let lines = lines(text);
    match syntax {
        Syntax::Substation => events(text, &lines),
        _ => timed_lines(text, &lines, syntax),
    }
}

/// Whether a file may be one of these: there is a time code near its beginning.
pub(super) fn has_times(text: &str) -> bool {
    lines(text).iter().take(20).any(|line| times(text, line).is_some())
}

/// SubRip and WebVTT: a line of time codes, and text up to a blank line.
///
/// Where blank lines are missing a cue ends before the next time codes (and the number before them); in SubRip, text after a
/// blank line still belongs to the cue, as there is nothing else it could be.
fn timed_lines(text: &str, lines: &[Line], syntax: Syntax) -> Vec<Cue> {
    let is_blank = |line: &Line| text[line.range()].trim().is_empty();
    let heads: Vec<usize> = (0..lines.len()).filter(|at| times(text, &lines[*at]).is_some()).collect();
    let mut cues = Vec::with_capacity(heads.len());
    for (number, &head) in heads.iter().enumerate() {
        let (mut first, mut end) = (head + 1, heads.get(number + 1).copied().unwrap_or(lines.len()));
        if end < lines.len() && end > first + 1 {
            let before = &text[lines[end - 1].range()];
            let is_number = !before.trim().is_empty() && before.trim().bytes().all(|byte| byte.is_ascii_digit());
            // A name before the time codes stands after a blank line.
            if is_number || (syntax == Syntax::WebVtt && is_blank(&lines[end - 2])) {
                end -= 1;
            }
        } else if end < lines.len() && end == first + 1 && number_only(&text[lines[first].range()]) {
            end = first;
        }
        if syntax == Syntax::WebVtt {
            end = (first..end).find(|at| is_blank(&lines[*at])).unwrap_or(end);
        }
        while end > first && is_blank(&lines[end - 1]) {
            end -= 1;
        }
        while first < end && is_blank(&lines[first]) {
            first += 1;
        }
        let Some(times) = times(text, &lines[head]).filter(|_| first < end) else { continue };
        cues.push(Cue {
            text: lines[first].start..lines[end - 1].end,
            time: times.text,
            start: times.start,
            end: times.end,
            look: hash(text[times.settings].trim()),
        });
    }
    cues
}

fn number_only(line: &str) -> bool {
    !line.trim().is_empty() && line.trim().bytes().all(|byte| byte.is_ascii_digit())
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

struct Times {
    text: Range<usize>,
    start: u64,
    end: u64,
    settings: Range<usize>,
}

/// The time codes of a line `00:00:01,000 --> 00:00:02,000 settings`.
fn times(text: &str, line: &Line) -> Option<Times> {
    let whole = &text[line.range()];
    let arrow = whole.find("-->")?;
    let before = &whole[..arrow];
    let begin = line.start + (before.len() - before.trim_start().len());
    let after = &whole[arrow + 3..];
    let end_code = after.split_whitespace().next()?;
    let end_at = arrow + 3 + (after.len() - after.trim_start().len());
    Some(Times {
        text: begin..begin + before.trim().len(),
        start: milliseconds(before.trim())?,
        end: milliseconds(end_code)?,
        settings: line.start + end_at + end_code.len()..line.end,
    })
}

/// `1:02:03,450`, `02:03.45` in milliseconds.
fn milliseconds(code: &str) -> Option<u64> {
    let (whole, fraction) = code.rsplit_once([',', '.']).unwrap_or((code, "0"));
    let is_short = |text: &str| text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut seconds = 0_u64;
    let fields: Vec<&str> = whole.split(':').map(str::trim).collect();
    if !(2..=3).contains(&fields.len()) || !is_short(fraction.trim()) {
        return None;
    }
    for field in fields {
        seconds = seconds * 60 + Some(field).filter(|f| is_short(f))?.parse::<u64>().ok()?;
    }
    let fraction: u64 = format!("{:0<3.3}", fraction.trim()).parse().ok()?;
    Some(seconds * 1000 + fraction)
}

/// SubStation Alpha: the lines `Dialogue:` of the section `[Events]`, their fields in the order of its line `Format:`.
fn events(text: &str, lines: &[Line]) -> Vec<Cue> {
    let mut cues = Vec::new();
    let mut is_events = false;
    let standard = ["layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text"];
    let mut fields: HashMap<String, usize> = standard.iter().map(|name| (*name).to_owned()).zip(0..).collect();
    for line in lines {
        let whole = &text[line.range()];
        if whole.trim_start().starts_with('[') {
            is_events = whole.trim().eq_ignore_ascii_case("[events]");
        } else if let Some(names) = whole.strip_prefix("Format:").filter(|_| is_events) {
            fields = names.split(',').map(|name| name.trim().to_lowercase()).zip(0..).collect();
        } else if let Some(event) = whole.strip_prefix("Dialogue:").filter(|_| is_events) {
            // Text may have commas, so it is the last field.
            let Some(last) = fields.get("text").copied().filter(|last| *last + 1 == fields.len()) else { continue };
            let parts: Vec<&str> = event.splitn(last + 1, ',').collect();
            let field = |name: &str| fields.get(name).and_then(|at| parts.get(*at)).map_or("", |part| part.trim());
            let (Some(start), Some(end)) = (milliseconds(field("start")), milliseconds(field("end"))) else { continue };
            if parts.len() <= last {
                continue;
            }
            let time = field("start").as_ptr() as usize - text.as_ptr() as usize;
            cues.push(Cue {
                text: line.end - parts[last].len()..line.end,
                time: time..time + field("start").len(),
                start,
                end,
                look: hash([field("layer"), field("style"), field("name"), field("actor"), field("effect")]),
            });
        }
    }
    cues
}
