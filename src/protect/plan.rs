//! What is done about the spans of one text, try by try.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::numbers::{digits, is_in_words, ordinal_ending, with_decimal_point};
use super::spans::{Role, Side, Span, english_quote, sides};
use super::variant::{Aligned, Edits, Treatment, Variant};
use super::{Protected, copied};
use crate::Result;
use crate::inspect::align::Rule;
use crate::inspect::{AttentionMap, Kind, Selection};
use crate::text::word_ranges;
use crate::translator::{Request, Translation, Translator};

/// Names that small models copy where they stand, measured on the built-in ones; several, for several spans and further tries.
const NAMES: [(&str, &str); 8] = [
    ("Kyoto", "Kyoto"),
    ("Linda", "Linda"),
    ("Oslo", "Oslo"),
    ("Nancy", "Nancy"),
    ("Alice", "Alice"),
    ("Sami", "Sami"),
    ("Boston", "Boston"),
    ("Tom", "Tom"),
];
/// Numbers that they do.
const NUMBERS: [(&str, &str); 8] =
    [("200", "200"), ("34", "34"), ("9", "9"), ("300", "300"), ("42", "42"), ("30", "30"), ("8", "8"), ("500", "500")];
const YEARS: [(&str, &str); 6] =
    [("2013", "2013"), ("2010", "2010"), ("2005", "2005"), ("200", "200"), ("34", "34"), ("9", "9")];
const HOURS: [(&str, &str); 5] = [("9", "9"), ("8", "8"), ("10", "10"), ("4", "4"), ("11", "11")];
/// What a date is to a sentence, from German to English.
const DAYS: [(&str, &str); 3] = [("Montag", "Monday"), ("Freitag", "Friday"), ("Samstag", "Saturday")];

/// The most spans of one sentence that are protected: no sentence of a person has as many.
const MOST_SPANS: usize = 256;

/// Stand-ins that are tried before a span is cut out.
const TRIES: usize = 4;

/// Numbers as a translation may write them.
static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\d+(?:[.,:/'’\u{a0}\u{202f} -]\d+)*").expect("a valid pattern"));
/// What an English clock time has behind it and one of 24 hours has not.
static HALF_DAY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(?i: o['’]clock| ?[ap][.?]?m\b\.?)").expect("a valid pattern"));
/// An English time of day of twelve hours.
static TWELVE_HOURS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)\b(\d{1,2})(?:[.:](\d\d))? ?([ap])[.?]?m\b\.?").expect("a valid pattern"));
/// What says in German which half of the day it is.
const PARTS_OF_DAY: [&str; 8] = ["orgens", "Morgen", "rüh", "mittag", "Mittag", "bend", "achts", "Nacht"];

/// One text on its way.
#[derive(Clone)]
pub(super) struct Plan {
    text: String,
    spans: Vec<Span>,
    sides: Vec<(Side, Option<usize>)>,
    treatments: Vec<Treatment>,
    tries: Vec<usize>,
    /// How often the whole text was tried before, and the spans that failed the last time.
    round: usize,
    failed: Vec<usize>,
    variant: Variant,
    /// Spans beyond [`MOST_SPANS`], which are left to the model.
    beyond: Vec<String>,
    /// Whether the text is nothing but spans.
    is_copied: bool,
    /// Whether decimal commas become points, and whether the translation is English.
    decimal_point: bool,
    is_english: bool,
}

/// What became of a text that was tried.
pub(super) enum Judged {
    Done(Protected),
    Again(Plan),
}

impl Plan {
    /// A plan, if there is anything to protect. A text without a letter outside its spans is copied if `copies`.
    pub(super) fn new(translator: &Translator, request: &Request, mut spans: Vec<Span>, copies: bool) -> Option<Self> {
        let text = request.text.clone();
        let mut at = 0;
        let mut has_letters = false;
        for span in &spans {
            has_letters |= text[at..span.bytes.start].contains(char::is_alphabetic);
            at = span.bytes.end;
        }
        has_letters |= text[at..].contains(char::is_alphabetic);
        if spans.is_empty() && (has_letters || !copies) {
            return None;
        }
        let (from, to) = languages(translator, request);
        let is = |code: &Option<String>, languages: &[&str]| {
            code.as_ref().is_some_and(|code| languages.iter().any(|language| code.to_lowercase().starts_with(language)))
        };
        let is_english = is(&to, &["en"]);
        // Languages that write 1.234,5; what is known of no language is left alone.
        let comma = [
            "de", "fr", "es", "it", "nl", "pt", "pl", "cs", "da", "sv", "nb", "fi", "ru", "uk", "tr", "id", "hu", "ro",
        ];
        let beyond = match has_letters {
            true => spans.split_off(spans.len().min(MOST_SPANS)),
            false => Vec::new(),
        };
        let sides = if has_letters { sides(&text, &spans) } else { vec![(Side::Alone, None); spans.len()] };
        let treatments = spans.iter().map(|span| match span.role {
            Role::Mark | Role::Quote => Treatment::Cut,
            Role::Word | Role::Number | Role::Quotation => Treatment::Keep,
        });
        let mut plan = Self {
            treatments: treatments.collect(),
            tries: vec![0; spans.len()],
            round: 0,
            failed: Vec::new(),
            is_copied: !has_letters,
            decimal_point: is_english && is(&from, &comma),
            is_english,
            variant: Variant::default(),
            beyond: beyond.into_iter().map(|span| text[span.bytes].to_owned()).collect(),
            text,
            spans,
            sides,
        };
        if has_letters {
            plan.build();
        }
        Some(plan)
    }

    fn build(&mut self) {
        let sides: Vec<Side> = self.sides.iter().map(|side| side.0).collect();
        self.variant = Variant::new(&self.text, &self.spans, &sides, &self.treatments);
    }

    /// Whether something has to be put back where attention says.
    pub(super) fn needs_attention(&self) -> bool {
        self.treatments.contains(&Treatment::Cut) && !self.is_copied
    }

    /// What the model gets; nothing for a text that is copied.
    pub(super) fn variant(&self, translator: &Translator) -> String {
        match self.is_copied || translator.check_text(&self.variant.text).is_err() {
            true => String::new(),
            false => self.variant.text.clone(),
        }
    }

    fn own(&self, span: usize) -> &str {
        &self.text[self.spans[span].bytes.clone()]
    }

    /// A span as it is to stand in the translation.
    fn written(&self, span: usize) -> String {
        let own = self.own(span);
        match self.spans[span].role {
            Role::Number if self.is_time(span) => own.replace('.', ":"),
            Role::Number if self.decimal_point && !self.is_version(span) => with_decimal_point(own),
            Role::Quote | Role::Quotation if self.is_english => english_quote(own, self.sides[span].0).to_owned(),
            _ => own.to_owned(),
        }
    }

    /// Hour and minute, if a number is the time of day.
    fn time(&self, span: usize) -> Option<(u32, u32)> {
        let after = self.text[self.spans[span].bytes.end..].trim_start();
        let own = self.own(span);
        let (hour, minute) = own.split_once(['.', ':'])?;
        let is_time = minute.len() == 2 && hour.len() <= 2 && (after.starts_with("Uhr") || own.contains(':'));
        Some((hour.parse().ok()?, minute.parse().ok()?)).filter(|_| is_time)
    }

    fn is_time(&self, span: usize) -> bool {
        self.time(span).is_some()
    }

    fn is_version(&self, span: usize) -> bool {
        let before = self.text[..self.spans[span].bytes.start].trim_end();
        before.ends_with("Version") || before.ends_with("version")
    }

    /// This try and those that follow if the spans that failed the last time go on failing: up to `count` in all.
    pub(super) fn ahead(&self, count: usize) -> Vec<Self> {
        let mut tries = vec![self.clone()];
        while let [.., last] = &tries[..]
            && tries.len() < count
            && last.failed.iter().any(|&span| last.treatments[span] != Treatment::Cut)
            && !last.is_last()
        {
            let mut next = last.clone();
            next.try_again(last.failed.clone());
            tries.push(next);
        }
        tries
    }

    /// Whether a translation is taken as it is.
    fn is_last(&self) -> bool {
        self.round > 2 * TRIES
    }

    /// Treats the spans that failed in another way.
    fn try_again(&mut self, failing: Vec<usize>) {
        for &span in &failing {
            self.tries[span] += 1;
            self.treatments[span] = self.treatment(span);
        }
        self.round += 1;
        self.failed = failing;
        self.build();
    }

    /// Takes the translations of tries made [ahead](Self::ahead), in their order: the result, or how the text is tried next.
    pub(super) fn judge(
        tries: Vec<Self>,
        translator: &Translator,
        translations: impl Iterator<Item = Translation>,
    ) -> Result<Judged> {
        let mut tries = tries.into_iter().peekable();
        for translation in translations {
            let mut own = tries.next().expect("a translation is of a try");
            match own.take(translator, translation)? {
                Ok(done) => return Ok(Judged::Done(done)),
                Err(failing) => {
                    if tries.peek().is_none_or(|next| next.failed != failing) {
                        own.try_again(failing);
                        return Ok(Judged::Again(own));
                    }
                }
            }
        }
        unreachable!("the last try is followed by another or none")
    }

    /// Takes a translation of the variant: the result, or the spans that fail in it.
    fn take(
        &self,
        translator: &Translator,
        translation: Translation,
    ) -> Result<std::result::Result<Protected, Vec<usize>>> {
        if self.is_copied {
            // Nothing can be missing.
            let mut text = Edits::default();
            self.copied_spans().for_each(|span| text.push(self.spans[span].bytes.clone(), self.written(span)));
            let words = word_ranges(&self.text);
            let linked = if self.spans.len() > MOST_SPANS { &[] } else { &words[..] };
            let links = linked.iter().map(|word| (word.start, text.place(word.start))).collect();
            let text = text.apply(self.text.trim_end());
            let translation = copied(text.trim_start().to_owned());
            let spans = self.copied_spans().map(|span| self.own(span).to_owned()).collect();
            return Ok(Ok(Protected { translation, spans, lost: Vec::new(), links: Some(links) }));
        }
        let (failing, edits) = self.check(translation.text());
        match failing.is_empty() || self.is_last() {
            true => self.finish(translator, translation, edits).map(Ok),
            false => Ok(Err(failing)),
        }
    }

    /// The spans that have to come back.
    fn copied_spans(&self) -> impl Iterator<Item = usize> {
        (0..self.spans.len()).filter(|&span| self.spans[span].role.is_copied())
    }

    /// The spans that are not in a translation as they have to be, and what is to be changed in it.
    fn check(&self, target: &str) -> (Vec<usize>, Edits) {
        let mut failing = Vec::new();
        let mut edits = Edits::default();
        for span in 0..self.spans.len() {
            let own = self.own(span);
            let same = |other: &usize| self.treatments[*other] == self.treatments[span] && self.own(*other) == own;
            let (count, rank) = ((0..self.spans.len()).filter(same).count(), (0..span).filter(same).count());
            match (self.treatments[span], self.spans[span].role) {
                (Treatment::Cut, _) => {}
                (Treatment::StandIn(_, name), _) => {
                    // The model may write a full hour so.
                    let hour = format!("{name}:00");
                    match (&occurrences(target, name)[..], &occurrences(target, &hour)[..]) {
                        (&[start], []) => self.swap(span, target, start..start + name.len(), &mut edits),
                        ([], &[start]) => self.swap(span, target, start..start + hour.len(), &mut edits),
                        _ => failing.push(span),
                    }
                }
                (Treatment::Keep, Role::Number) => {
                    let written = self.written(span);
                    let plain = written.replace(',', "");
                    let has = |form: &str| occurrences(target, form).len() >= count;
                    let full_hour = format!("{own}:00");
                    let is_there = has(&written)
                        || has(&plain)
                        || (self.is_hour(span) && has(&full_hour))
                        || (self.is_english && is_in_words(own, target));
                    // The same digits under other signs.
                    let mut others = NUMBER.find_iter(target).filter(|found| digits(found.as_str()) == digits(own));
                    match others.nth(rank) {
                        _ if is_there => {
                            let form = if has(&written) { &written } else { &full_hour };
                            let end = occurrences(target, form).get(rank).map(|start| start + form.len());
                            if let Some((place, instead)) = end.and_then(|end| self.half_day(span, target, end)) {
                                edits.push(place, instead);
                            }
                        }
                        Some(other) => edits.push(other.range(), written),
                        None => match self.in_twelve_hours(span, target, rank) {
                            Some(same) => edits.push(same, written),
                            None => failing.push(span),
                        },
                    }
                }
                (Treatment::Keep, Role::Quotation) => {
                    let is_quotation = |&other: &usize| self.spans[other].role == Role::Quotation;
                    let quotations = (0..self.spans.len()).filter(is_quotation).count();
                    if target.matches(['"', '“', '”', '„', '»', '«']).count() != quotations {
                        failing.push(span);
                    }
                }
                // It may also be part of another span: an address, and the same in brackets.
                (Treatment::Keep, _)
                    if occurrences(target, own).len() == occurrences(&self.variant.text, own).len() => {}
                (Treatment::Keep, _) => failing.push(span),
            }
        }
        (failing, edits)
    }

    /// Where an English translation has the time of a span in twelve hours, `6:00 p.m.` for `18:00`, after so many others.
    fn in_twelve_hours(&self, span: usize, target: &str, rank: usize) -> Option<Range<usize>> {
        let (hour, minute) = self.time(span).filter(|_| self.is_english)?;
        let is_same = |found: &Captures<'_>| {
            let number = |at: usize| found.get(at).map_or(Some(0), |part| part.as_str().parse::<u32>().ok());
            let afternoon = if found[3].eq_ignore_ascii_case("p") { 12 } else { 0 };
            let its = number(1).zip(number(2)).map(|(hour, minute)| (hour % 12 + afternoon, minute));
            its == Some((hour % 24, minute))
        };
        let found = TWELVE_HOURS.captures_iter(target).filter(is_same).nth(rank)?.get(0)?;
        Some(found.start()..without_full_stop(target, found.end()))
    }

    /// What a translation says of the half of the day behind a time that ends there, and the text does not, and what stands in its
    /// place: behind a time of 24 hours the wrong half, behind another hour either, where no word of the text tells which.
    fn half_day(&self, span: usize, target: &str, end: usize) -> Option<(Range<usize>, &'static str)> {
        let found = HALF_DAY.find(&target[end..]).filter(|_| self.is_english && self.is_hour(span))?;
        let half = found.as_str().trim_start().to_lowercase().chars().next();
        let (is_right, instead) = match self.time(span) {
            Some((hour, _)) => (half == Some('a') && hour < 12 || half == Some('p') && hour == 12, ""),
            None => {
                let is_told = half == Some('o') || PARTS_OF_DAY.iter().any(|part| self.text.contains(part));
                (is_told, if target[..end].ends_with(":00") { "" } else { " o'clock" })
            }
        };
        (!is_right).then(|| (end..without_full_stop(target, end + found.end()), instead))
    }

    /// Whether a number is the time of day or an hour of it.
    fn is_hour(&self, span: usize) -> bool {
        self.is_time(span) || self.text[self.spans[span].bytes.end..].trim_start().starts_with("Uhr")
    }

    /// Puts a span in the place of its stand-in.
    fn swap(&self, span: usize, target: &str, place: Range<usize>, edits: &mut Edits) {
        let mut written = self.written(span);
        let mut end = place.end;
        if self.spans[span].role == Role::Number && self.is_english {
            let rest = &target[end..];
            if let Some(found) = HALF_DAY.find(rest).filter(|_| self.is_time(span)) {
                // It was that of the stand-in.
                end = without_full_stop(target, end + found.end());
            } else if let Some((behind, instead)) = self.half_day(span, target, end) {
                end = behind.end;
                written += instead;
            } else if let Some(ending) = rest.get(..2).filter(|ending| ["st", "nd", "rd", "th"].contains(ending)) {
                end += ending.len();
                written += ordinal_ending(&written);
            }
        }
        edits.push(place.start..end, written);
    }

    /// What to try next with a span.
    fn treatment(&self, span: usize) -> Treatment {
        let tries = self.tries[span];
        let own = self.own(span);
        let role = self.spans[span].role;
        let is_number = role == Role::Number;
        if tries > TRIES || role == Role::Quotation || (!is_number && self.is_set_off(span)) {
            return Treatment::Cut;
        }
        let is_year = || own.len() == 4 && own.starts_with(['1', '2']) && own.bytes().all(|byte| byte.is_ascii_digit());
        let is_date =
            || self.decimal_point && own.matches('.').count() == 2 && with_decimal_point(own) == own && own.len() >= 8;
        let takes_number = || own.starts_with('%') && own.ends_with(['d', 'i', 'u', 'f']);
        let list: &[(&str, &str)] = match is_number {
            true if self.is_hour(span) => &HOURS,
            true if is_date() && tries <= DAYS.len() => &DAYS,
            true if is_year() => &YEARS,
            true => &NUMBERS,
            false if takes_number() => &NUMBERS,
            false => &NAMES,
        };
        let is_free = |&(word, name): &(&str, &str)| {
            let is_used =
                self.treatments.iter().any(|used| matches!(used, Treatment::StandIn(_, other) if *other == name));
            !is_used && occurrences(&self.text, word).is_empty() && occurrences(&self.text, name).is_empty()
        };
        let mut order = (0..list.len()).map(|at| list[(at + tries - 1) % list.len()]);
        order.find(is_free).map_or(Treatment::Cut, |(word, name)| Treatment::StandIn(word, name))
    }

    /// Whether a sentence does without a word: a name that is called, a hashtag, an address in brackets or behind a colon.
    fn is_set_off(&self, span: usize) -> bool {
        let Range { start, end } = self.spans[span].bytes;
        let (before, after) = (self.text[..start].trim_end(), self.text[end..].trim_start());
        let begins = before.is_empty() && after.starts_with(char::is_uppercase) && self.own(span).starts_with('@');
        let ends = !after.contains(char::is_alphanumeric)
            && (before.ends_with(['.', '!', '?', ':']) || self.own(span).starts_with('#'));
        begins || ends || self.own(span).starts_with(['(', '[', '<'])
    }

    /// Puts everything in its place.
    fn finish(&self, translator: &Translator, mut translation: Translation, mut edits: Edits) -> Result<Protected> {
        let target = translation.text().to_owned();
        let is_changed = !self.variant.changes.is_empty();
        let map = match is_changed {
            true => AttentionMap::of(translator, Kind::Cross, 0, &self.variant.text, &translation, 0).ok(),
            false => None,
        };
        let aligned = Aligned {
            source: &self.variant.text,
            target: &target,
            source_words: word_ranges(&self.variant.text),
            target_words: word_ranges(&target),
            links: map.as_ref().map_or_else(|| Ok(Vec::new()), |map| links(translator, map))?,
        };
        let place_of =
            |span: usize| self.variant.changes.iter().find(|change| change.span == span).map(|change| change.new.start);
        let mut marks = Vec::new();
        for change in self.variant.changes.iter().filter(|change| self.treatments[change.span] == Treatment::Cut) {
            let span = change.span;
            let (side, other) = self.sides[span];
            let pair = other.and_then(place_of).map(|other| other.min(change.new.start)..other.max(change.new.start));
            let (place, is_behind) = aligned.place(change.new.start, side, pair);
            let Range { start, end } = self.spans[span].bytes;
            let space = |text: &str| text.chars().take_while(|c| c.is_whitespace()).collect::<String>();
            let behind = self.text[..start].len() - self.text[..start].trim_end().len();
            let (before, after) = (&self.text[start - behind..start], space(&self.text[end..]));
            let written = self.written(span);
            let text = match is_behind {
                true => format!("{before}{written}"),
                false => format!("{written}{after}"),
            };
            marks.push((place, span, text, written));
        }
        let mut places = Vec::new();
        for (place, span, text, written) in marks {
            edits.push(place..place, text.clone());
            places.push((span, place, text.find(&written).unwrap_or(0)));
        }
        let text = edits.apply(&target).trim().to_owned();
        let links = map.is_some().then(|| {
            let words = aligned.links.iter().map(|&(source, target)| {
                let source = self.variant.origin(aligned.source_words[source].start);
                (source, edits.place(aligned.target_words[target].start))
            });
            let marks = places.iter().map(|&(span, place, _)| {
                let written = self.written(span);
                let near = edits.place(place).saturating_sub(written.len() + 1);
                let found = text.get(near..).and_then(|rest| rest.find(&written)).map_or(place, |at| near + at);
                (self.spans[span].bytes.start, found)
            });
            words.chain(marks).collect()
        });
        if let Some(best) = translation.candidates.first_mut() {
            best.text = text;
        }
        Ok(self.done(translation, links))
    }

    /// The result, with what is lost in it.
    fn done(&self, translation: Translation, links: Option<Vec<(usize, usize)>>) -> Protected {
        let text = translation.text();
        let mut result = Protected { links, ..Protected::default() };
        for span in self.copied_spans() {
            let own = self.own(span).to_owned();
            let written = self.written(span);
            let count = (0..self.spans.len()).filter(|&other| self.own(other) == own).count();
            let is_kept = match self.spans[span].role {
                Role::Number => {
                    let plain = written.replace(',', "");
                    text.contains(&written) || text.contains(&plain) || (self.is_english && is_in_words(&own, text))
                }
                _ => text.matches(&written).count() >= count,
            };
            if !is_kept {
                result.lost.push(own.clone());
            }
            result.spans.push(own);
        }
        result.lost.extend(self.beyond.iter().cloned());
        result.translation = translation;
        result
    }
}

/// Where a word or a number stands in a text and is not a part of a longer one.
fn occurrences(text: &str, word: &str) -> Vec<usize> {
    let is_number = word.starts_with(|c: char| c.is_ascii_digit());
    let ends_number = word.ends_with(|c: char| c.is_ascii_digit());
    let part = |c: Option<char>, next: Option<char>, digit: bool| match c {
        Some(c) if digit => c.is_ascii_digit() || (".,:".contains(c) && next.is_some_and(|next| next.is_ascii_digit())),
        Some(c) => c.is_alphanumeric(),
        None => false,
    };
    let is_whole = |&at: &usize| {
        let (mut before, mut after) = (text[..at].chars().rev(), text[at + word.len()..].chars());
        let starts = word.starts_with(char::is_alphanumeric) && part(before.next(), before.next(), is_number);
        let ends = word.ends_with(char::is_alphanumeric) && part(after.next(), after.next(), ends_number);
        !starts && !ends
    };
    text.match_indices(word).map(|(at, _)| at).filter(is_whole).collect()
}

/// The end of `p.m.`, whose last dot is that of the sentence if nothing follows.
fn without_full_stop(text: &str, end: usize) -> usize {
    let is_last = !text[end..].contains(char::is_alphanumeric);
    if is_last && text[..end].ends_with('.') { end - 1 } else { end }
}

/// The word links of a map, by the attention that aligns best.
fn links(translator: &Translator, map: &AttentionMap) -> Result<Vec<(usize, usize)>> {
    let selection = Selection { mask_eos: true, ..Selection::aligning(translator.alignment()) };
    let links = map.align(&selection, Rule::Argmax)?;
    Ok(links.into_iter().map(|link| (link.source, link.target)).collect())
}

/// The codes of the languages a request is translated from and into, if they are known.
fn languages(translator: &Translator, request: &Request) -> (Option<String>, Option<String>) {
    let model = translator.languages();
    let chosen = request.languages.clone().or_else(|| translator.chosen_languages().ok()).unwrap_or_default();
    let (source, target) = (model.source_of(&chosen), model.target_of(&chosen));
    let owned = |code: Option<&str>| code.map(str::to_owned);
    (owned(source).or_else(|| model.defaults.0.clone()), owned(target).or_else(|| model.defaults.1.clone()))
}
