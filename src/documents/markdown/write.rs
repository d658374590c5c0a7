//! Translations as Markdown: what they say must not become markup, and marks must stay what they were.

use super::{Layout, Origin, Page, Place};
use crate::documents::Part;
use crate::documents::inline::{Edit, Text, WriteTag, translated};

pub(super) fn write(page: &Page, translations: &[Option<Vec<Part>>]) -> String {
    let mut changed: Vec<Option<&[Part]>> = vec![None; page.texts.len()];
    let mut more: Vec<Edit> = Vec::new();
    #[cfg(feature = "html")]
    let mut blocks: Vec<Vec<Option<Vec<Part>>>> =
        page.blocks.iter().map(|(_, markup)| vec![None; markup.segments().len()]).collect();
    // The segment of each text.
    let mut segments = vec![0; page.texts.len()];
    for (index, origin) in page.origins.iter().enumerate() {
        let parts =
            translations.get(index).and_then(Option::as_deref).filter(|parts| *parts != page.segments[index].parts);
        match origin {
            Origin::Text(text) => (changed[*text], segments[*text]) = (parts, index),
            #[cfg(feature = "html")]
            Origin::Block(block, number) => blocks[*block][*number] = parts.map(<[Part]>::to_vec),
            #[cfg(not(feature = "html"))]
            Origin::Block(..) => {}
        }
    }
    #[cfg(feature = "html")]
    for ((range, markup), translations) in page.blocks.iter().zip(&blocks) {
        if translations.iter().any(Option::is_some) {
            more.push((range.clone(), markup.write(translations)));
        }
    }
    // A link whose label was its text gets it back behind the text, once that is another; here those around a whole text.
    for (text, _) in page.texts.iter().zip(&changed).filter(|(text, parts)| parts.is_some() && !text.is_attribute) {
        let mut at = text.range.end;
        loop {
            let rest = &page.source[at..];
            match page.labels.get(&at) {
                Some(label) => {
                    let end = at + if rest.starts_with("][]") { 3 } else { 1 };
                    more.push((at..end, label.clone()));
                    at = end;
                }
                None if rest.starts_with(['*', '_', '~']) => at += 1,
                None => break,
            }
        }
    }
    let label = |end: usize| page.labels.get(&end);
    translated(
        &page.source,
        &page.texts,
        &changed,
        std::mem::take(&mut more),
        |text, translation| {
            let mut range = text.range.clone();
            let mut written = String::new();
            Escaping { in_link: true, in_cell: true, ..Escaping::default() }.text(translation, None, &mut written);
            if let Some(label) = label(range.end) {
                let rest = &page.source[range.end..];
                range.end += if rest.starts_with("][]") { 3 } else { 1 };
                written.push_str(label);
            }
            (range, written)
        },
        |index, parts, tag| {
            let text = &page.texts[index];
            let original = &page.segments[segments[index]].parts;
            let writing = Writing { page, text, layout: &page.layouts[index], parts, original, tag };
            writing.write()
        },
    )
}

/// What must be escaped where.
#[derive(Clone, Copy, Default)]
struct Escaping {
    in_link: bool,
    in_cell: bool,
    /// Signs that the source writes without a backslash, though they could be markup.
    keeps_brackets: bool,
    keeps_dollars: bool,
}

impl Escaping {
    /// Writes text; `next` is the character that comes after it.
    fn text(&self, text: &str, next: Option<char>, out: &mut String) {
        let mut rest = text.chars().peekable();
        let mut at = 0;
        while let Some(c) = rest.next() {
            at += c.len_utf8();
            let before = out.chars().next_back();
            let after = rest.peek().copied().or(next);
            let is_space = |c: Option<char>| c.is_none_or(char::is_whitespace);
            let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            let must = match c {
                '\\' => after.is_none_or(|c| c.is_ascii_punctuation() || c.is_whitespace()),
                '*' | '~' => !(is_space(before) && is_space(after)),
                '_' => !(is_space(before) && is_space(after) || is_word(before) && is_word(after)),
                '`' => true,
                '[' | ']' if self.in_link => true,
                '[' => !self.keeps_brackets,
                ']' => after.is_some_and(|c| matches!(c, '(' | '[' | ':')),
                '<' => after.is_some_and(|c| c.is_ascii_alphabetic() || "/!?".contains(c)),
                '!' => after == Some('['),
                '^' => before == Some('['),
                '|' => self.in_cell,
                '$' => !self.keeps_dollars,
                '{' => after.is_some_and(|c| matches!(c, '{' | '%')),
                '&' => {
                    let name = text[at..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '#'));
                    name.is_some_and(|end| end > 0 && text[at + end..].starts_with(';'))
                }
                _ => false,
            };
            if must {
                out.push('\\');
            }
            match c {
                '\n' | '\r' => out.push(' '),
                c if c.is_control() && c != '\t' => {}
                c => out.push(c),
            }
        }
    }
}

/// How the delimiters of an element are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    AsTheyWere,
    /// Asterisks in the place of underscores, which mean nothing within a word.
    Asterisks,
    /// `<em>` and the like, where no delimiter would be one.
    Html,
    /// Not at all: around nothing they are text.
    Nothing,
}

struct Writing<'a> {
    page: &'a Page,
    text: &'a Text,
    layout: &'a Layout,
    parts: &'a [Part],
    original: &'a [Part],
    tag: WriteTag<'a>,
}

impl Writing<'_> {
    fn raw(&self, mark: usize) -> &str {
        &self.page.source[self.text.marks[mark].0.clone()]
    }

    /// Whether a mark is emphasis and the like.
    fn is_emphasis(&self, mark: usize) -> bool {
        matches!(self.raw(mark), "*" | "_" | "**" | "__" | "~" | "~~")
    }

    /// The characters that are seen before and after each part, without delimiters.
    fn neighbours(&self) -> (Vec<Option<char>>, Vec<Option<char>>) {
        let source = &self.page.source;
        let first_of = |part: &Part| match part {
            Part::Text(text) => text.chars().next(),
            Part::Alone(mark, _) => self.raw(*mark).chars().next(),
            Part::Open(mark) if !self.is_emphasis(*mark) => self.raw(*mark).chars().next(),
            Part::Close(mark) if !self.is_emphasis(*mark) => Some(']').filter(|_| self.raw(*mark) == "[").or(Some('<')),
            _ => None,
        };
        let last_of = |part: &Part| match part {
            Part::Text(text) => text.chars().next_back(),
            Part::Alone(mark, _) => self.raw(*mark).chars().next_back(),
            Part::Open(mark) if !self.is_emphasis(*mark) => self.raw(*mark).chars().next_back(),
            Part::Close(mark) if !self.is_emphasis(*mark) => Some(')'),
            _ => None,
        };
        let mut before = Vec::with_capacity(self.parts.len());
        let mut last = source[..self.text.range.start].chars().next_back();
        for part in self.parts {
            before.push(last);
            last = last_of(part).or(last);
        }
        let mut after = vec![None; self.parts.len()];
        let mut next = source[self.text.range.end..].chars().next();
        for (index, part) in self.parts.iter().enumerate().rev() {
            after[index] = next;
            next = first_of(part).or(next);
        }
        (before, after)
    }

    /// How each mark is written.
    fn forms(&self, before: &[Option<char>], after: &[Option<char>]) -> Vec<Form> {
        let is_space = |c: Option<char>| c.is_none_or(char::is_whitespace);
        let is_sign = |c: Option<char>| c.is_some_and(|c| !c.is_alphanumeric() && !c.is_whitespace());
        let is_open_space = |c: Option<char>| is_space(c) || is_sign(c);
        let mut forms = vec![Form::AsTheyWere; self.text.marks.len()];
        let mut open: Vec<usize> = Vec::new();
        // How many parts before each are no delimiters.
        let mut contents = vec![0];
        for part in self.parts {
            contents.push(contents[contents.len() - 1] + usize::from(matches!(part, Part::Text(_) | Part::Alone(..))));
        }
        for (index, part) in self.parts.iter().enumerate() {
            let previous = index.checked_sub(1).map(|previous| &self.parts[previous]);
            match part {
                Part::Open(mark) => {
                    open.push(index);
                    if !self.is_emphasis(*mark) {
                        continue;
                    }
                    let (b, a) = (before[index], after[index]);
                    let opens = !is_space(a) && (!is_sign(a) || is_open_space(b));
                    let delimiter = self.raw(*mark);
                    // Delimiters that touch others of their kind are read in another way.
                    let touches = match previous {
                        Some(Part::Close(other)) => self.is_emphasis(*other),
                        Some(Part::Open(other)) => {
                            self.is_emphasis(*other) && self.raw(*other).chars().next() == delimiter.chars().next()
                        }
                        _ => false,
                    };
                    let was_touching = touches && self.touched_before(*mark, previous);
                    forms[*mark] = match () {
                        () if !opens || touches && !was_touching => Form::Html,
                        () if delimiter.starts_with('_') && !is_open_space(b) => Form::Asterisks,
                        () => Form::AsTheyWere,
                    };
                }
                Part::Close(mark) => {
                    let start = open.pop().unwrap_or(0);
                    if !self.is_emphasis(*mark) {
                        continue;
                    }
                    let is_empty = contents[index] == contents[start];
                    let (b, a) = (before[index], after[index]);
                    let closes = !is_space(b) && (!is_sign(b) || is_open_space(a));
                    let is_underscore = self.raw(*mark).starts_with('_');
                    forms[*mark] = match forms[*mark] {
                        _ if is_empty => Form::Nothing,
                        Form::Html => Form::Html,
                        _ if !closes => Form::Html,
                        _ if is_underscore && !is_open_space(a) => Form::Asterisks,
                        form => form,
                    };
                }
                _ => {}
            }
        }
        forms
    }

    /// Whether the source has the same mark before this one.
    fn touched_before(&self, mark: usize, previous: Option<&Part>) -> bool {
        let place = self.original.iter().position(|part| *part == Part::Open(mark));
        place.and_then(|place| self.original.get(place.checked_sub(1)?)) == previous
    }

    fn write(&self) -> String {
        let (before, after) = self.neighbours();
        let forms = self.forms(&before, &after);
        let original: String = crate::documents::inline::plain(self.original);
        let raw = &self.page.source[self.text.range.clone()];
        let mut escaping = Escaping {
            in_link: false,
            in_cell: self.layout.place == Place::Cell,
            keeps_brackets: original.contains('[') && !raw.contains("\\["),
            keeps_dollars: original.contains('$') && !raw.contains("\\$")
                || !original.contains('$') && self.dollars() < 2,
        };
        let mut out = String::with_capacity(self.text.range.len() * 5 / 4);
        // Where a line may end, and where words begin that nothing but text came before.
        let mut spaces: Vec<usize> = Vec::new();
        let mut links = 0;
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Text(text) => {
                    escaping.in_link = links > 0;
                    let start = out.len();
                    let next = match self.parts.get(index + 1) {
                        // An exclamation mark before a link would make a picture of it.
                        Some(Part::Open(mark)) if self.raw(*mark) == "[" => Some('['),
                        _ => after[index],
                    };
                    escaping.text(text, next, &mut out);
                    spaces.extend(out[start..].match_indices(' ').map(|(at, _)| start + at));
                }
                Part::Open(mark) | Part::Close(mark) if self.is_emphasis(*mark) => {
                    let is_open = matches!(part, Part::Open(_));
                    let delimiter = self.raw(*mark);
                    match forms[*mark] {
                        Form::AsTheyWere => out.push_str(delimiter),
                        Form::Asterisks => out.push_str(&delimiter.replace('_', "*")),
                        Form::Nothing => {}
                        Form::Html => {
                            let name = match delimiter {
                                "*" | "_" => "em",
                                "**" | "__" => "strong",
                                _ => "del",
                            };
                            out.push_str(if is_open { "<" } else { "</" });
                            out.push_str(name);
                            out.push('>');
                        }
                    }
                }
                Part::Open(mark) => {
                    links += usize::from(self.raw(*mark) == "[");
                    (self.tag)(&self.text.marks[*mark].0, &mut out);
                }
                Part::Close(mark) => {
                    links -= usize::from(self.raw(*mark) == "[");
                    let range = &self.text.marks[*mark].1;
                    match self.page.labels.get(&range.start) {
                        Some(label) => out.push_str(label),
                        None => (self.tag)(range, &mut out),
                    }
                }
                Part::Alone(mark, _) => {
                    // Two of them without anything between would be one.
                    if out.ends_with('`') && self.raw(*mark).starts_with('`') {
                        out.push(' ');
                    }
                    (self.tag)(&self.text.marks[*mark].0, &mut out);
                }
            }
        }
        self.lines(out, &spaces)
    }

    fn dollars(&self) -> usize {
        let count = |part: &Part| if let Part::Text(text) = part { text.matches('$').count() } else { 0 };
        self.parts.iter().map(count).sum()
    }

    /// The text in lines as long as those of the source, none of which begins with a sign that makes a block of it.
    fn lines(&self, text: String, spaces: &[usize]) -> String {
        // Signs that would begin a block, and those at the end of a heading, which are no part of it or its attributes.
        let (mut text, mut shift) = (text, 0);
        let is_heading = matches!(self.layout.place, Place::Heading | Place::Underlined);
        if is_heading && text.ends_with('}') && matches!(self.parts.last(), Some(Part::Text(_))) {
            text.insert(text.len() - 1, '\\');
        } else if self.layout.place == Place::Heading && text.ends_with('#') {
            text.insert(text.trim_end_matches('#').len(), '\\');
        }
        if self.layout.begins_line && begins_block(&text) {
            text.insert(text.bytes().take_while(u8::is_ascii_digit).count(), '\\');
            shift = 1;
        }
        self.wrapped(text, spaces, shift)
    }

    fn wrapped(&self, text: String, spaces: &[usize], shift: usize) -> String {
        let Some((join, width)) = &self.layout.wrapped else { return text };
        let start = self.page.source[..self.text.range.start].rfind(['\n', '\r']).map_or(0, |end| end + 1);
        let mut column = self.page.source[start..self.text.range.start].chars().count();
        let prefix = join.trim_start_matches(['\n', '\r']).chars().count();
        let mut out = String::with_capacity(text.len() + 16);
        let (mut at, mut line) = (0, 0);
        let mut space: Option<usize> = None;
        let ends = spaces.iter().map(|space| space + shift).chain([text.len()]);
        for end in ends {
            // The word from the last space to this one.
            let from = space.map_or(at, |space| space + 1);
            let word = &text[from..end];
            let length = word.chars().count();
            // Behind a line break that is a mark.
            let (tail, is_broken) = match word.rfind(['\n', '\r']) {
                Some(line_end) => (word[line_end + 1..].chars().count(), true),
                None => (length, false),
            };
            let first = word.split(['\n', '\r']).next().map_or(0, |line| line.trim_end().chars().count());
            match space {
                Some(_)
                    if column + 1 + first > *width
                        && column > prefix
                        && !begins_block(&text[from..])
                        && !is_rule(&out[line..])
                        && !word.is_empty() =>
                {
                    out.push_str(join);
                    line = out.len();
                    column = prefix + tail;
                }
                Some(_) => {
                    out.push(' ');
                    column = if is_broken { tail } else { column + 1 + length };
                }
                None => column = if is_broken { tail } else { column + length },
            }
            out.push_str(word);
            at = end;
            space = Some(end);
        }
        out
    }
}

/// Whether a line that begins like this is no text, but a heading, a list, a quotation, code or a rule.
fn begins_block(text: &str) -> bool {
    let line = text.split(['\n', '\r']).next().unwrap_or("");
    let is_end = |rest: &str| rest.is_empty() || rest.starts_with([' ', '\t']);
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let hashes = line.bytes().take_while(|&byte| byte == b'#').count();
    (1..=6).contains(&hashes) && is_end(&line[hashes..])
        || (1..=9).contains(&digits) && line[digits..].starts_with(['.', ')']) && is_end(&line[digits + 1..])
        || line.starts_with(['-', '+', '*']) && is_end(&line[1..])
        || line.starts_with('>')
        || ["```", "~~~", ":::", "!!!", "???", "{:", "+++"].iter().any(|fence| line.starts_with(fence))
        || is_rule(line)
        || line.starts_with('|')
}

/// Whether a line of nothing but such signs is a rule, the underline of a heading or the second row of a table.
fn is_rule(line: &str) -> bool {
    line.chars().all(|c| "-=*_:| ".contains(c)) && line.contains(['-', '=', '*', '_'])
}
