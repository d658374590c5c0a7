//! Commas and capitals where a careless writer left them out, put in by a small network.
//!
//! A model may bring its file (`commas` in its `text_defaults`), which `training/tools/commas.py` trains. A text becomes words in small
//! letters and signs, without its commas. Each is the sum of three vectors: of the word, if it is a frequent one, of its last three
//! letters, and of its case. A GRU of each direction reads them; a layer over both tells whether a comma stood behind a word, another
//! whether a word had a capital.
//!
//! | part of the file, little-endian | |
//! |---|---|
//! | `commas 1` | what it is |
//! | hashes, `u32` `[WORDS - 1]` | FNV-1a of the frequent words, ascending |
//! | words `[WORDS, WIDTH]`, endings `[ENDINGS, WIDTH]`, cases `[3, WIDTH]` | each an `f32` scale and `i8`; row 0 is of an unknown word, and of a sign |
//! | GRU forwards, GRU backwards, `f32` | input `[WIDTH, 3 HIDDEN]`, recurrent `[HIDDEN, 3 HIDDEN]`, their biases `[3 HIDDEN]` |
//! | layer of commas, layer of capitals, `f32` | `[2 HIDDEN, HIDDEN]`, bias `[HIDDEN]`, output `[HIDDEN]`, bias `[1]` |
//!
//! Tables are read where they lie in the file.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use super::Normalized;
use crate::kernels::gru_gates;
use crate::{Error, Result};

const MAGIC: &[u8] = b"commas 1";
const WORDS: usize = 8192;
const ENDINGS: usize = 2048;
const WIDTH: usize = 16;
const HIDDEN: usize = 32;
const GATES: usize = 3 * HIDDEN;

/// Bytes of one hash, or of one number.
const NUMBER: usize = 4;

/// The score a comma needs: a probability of 0.8.
const SURE: f32 = 1.386;

/// So many words of a text must be frequent ones, in tenths: it is in another language otherwise.
const KNOWN: usize = 6;

/// Words and signs of the longest text that is looked at. What is longer and has no comma is no prose.
const LONGEST: usize = 1000;

/// The network, and the words it knows.
#[derive(Debug)]
pub struct Commas {
    bytes: Cow<'static, [u8]>,
    words: Table,
    endings: Table,
    cases: Table,
    forwards: Direction,
    backwards: Direction,
    commas: Layer,
    capitals: Layer,
}

/// Rows of [`WIDTH`] 8-bit numbers in the file.
#[derive(Debug)]
struct Table {
    start: usize,
    scale: f32,
}

#[derive(Debug)]
struct Direction {
    input: Vec<f32>,
    recurrent: Vec<f32>,
    input_bias: Vec<f32>,
    recurrent_bias: Vec<f32>,
}

#[derive(Debug)]
struct Layer {
    inner: Vec<f32>,
    bias: Vec<f32>,
    outer: Vec<f32>,
    outer_bias: f32,
}

/// A word or a sign of a text.
struct Item {
    place: Range<usize>,
    is_word: bool,
}

/// What the network sees of an item: rows of its tables.
struct Rows {
    word: usize,
    ending: usize,
    case: usize,
}

/// What the GRUs make of a text: `[items, HIDDEN]` each.
struct States {
    forwards: Vec<f32>,
    backwards: Vec<f32>,
}

impl Commas {
    /// A file; `path` names it in messages.
    ///
    /// # Errors
    /// If it has another beginning or length, or numbers that are none.
    pub fn parse(bytes: Cow<'static, [u8]>, path: impl AsRef<Path>) -> Result<Self> {
        let wrong =
            |problem: &str| Error::model(&path, format!("{problem}; `python -m training commas` writes such a file"));
        if !bytes.starts_with(MAGIC) {
            return Err(wrong("it does not begin with `commas 1`"));
        }
        let mut parts = Parts { bytes: &bytes, at: MAGIC.len() + (WORDS - 1) * NUMBER, is_finite: true };
        let [words, endings, cases] = [WORDS, ENDINGS, 3].map(|rows| parts.table(rows));
        let [forwards, backwards] = [(); 2].map(|()| Direction {
            input: parts.numbers(WIDTH * GATES),
            recurrent: parts.numbers(HIDDEN * GATES),
            input_bias: parts.numbers(GATES),
            recurrent_bias: parts.numbers(GATES),
        });
        let [commas, capitals] = [(); 2].map(|()| Layer {
            inner: parts.numbers(2 * HIDDEN * HIDDEN),
            bias: parts.numbers(HIDDEN),
            outer: parts.numbers(HIDDEN),
            outer_bias: parts.number(),
        });
        let Parts { at: length, is_finite, .. } = parts;
        if bytes.len() != length {
            return Err(wrong(&format!("it has {} bytes, not {length}", bytes.len())));
        }
        if !is_finite {
            return Err(wrong("not all of its numbers are finite"));
        }
        let own = Self { words, endings, cases, forwards, backwards, commas, capitals, bytes };
        if (1..WORDS - 1).any(|place| own.hash(place - 1) > own.hash(place)) {
            return Err(wrong("its hashes are not in ascending order"));
        }
        Ok(own)
    }

    /// The text with the commas that it lacks, if it has none and is in the language of the network.
    pub fn restored(&self, text: Normalized) -> Normalized {
        let places = self.places(&text.text);
        if places.is_empty() {
            return text;
        }
        let edit = |end: usize| {
            let last = text.text[..end].chars().next_back().map_or(0, char::len_utf8);
            (end - last..end, format!("{},", &text.text[end - last..end]))
        };
        text.replaced(&places.into_iter().map(edit).collect::<Vec<_>>())
    }

    /// Where a text lacks a comma.
    fn places(&self, text: &str) -> Vec<usize> {
        // What stands in tags and placeholders is no text.
        if commas(text).next().is_some() || text.contains(['<', '>', '{', '}', '`']) {
            return Vec::new();
        }
        let Some((items, rows)) = self.rows(text) else { return Vec::new() };
        let may = |pair: &[Item]| may_have_comma(text, &pair[0], &pair[1]);
        if !items.windows(2).any(may) {
            return Vec::new();
        }
        let states = self.states(&rows);
        let is_sure = |place: &usize| states.score(&self.commas, *place, place + 1) > SURE;
        let gaps = (0..items.len() - 1).filter(|&place| may(&items[place..place + 2]));
        gaps.filter(is_sure).map(|place| items[place].place.end).collect()
    }

    /// Of the words of a text without capitals that stand behind another: where each is, and whether it usually has a capital there.
    /// Nothing of a text that is in another language.
    pub(super) fn capitals(&self, text: &str) -> Vec<(Range<usize>, bool)> {
        let Some((items, rows)) = self.rows(text) else { return Vec::new() };
        let states = self.states(&rows);
        let is_behind = |place: &usize| items[*place].is_word && items[place - 1].is_word;
        let decided = |place: usize| (items[place].place.clone(), states.score(&self.capitals, place, place) > 0.0);
        (1..items.len()).filter(is_behind).map(decided).collect()
    }

    /// The items of a text and what the network sees of them; nothing if it is too long, too short or in another language.
    fn rows(&self, text: &str) -> Option<(Vec<Item>, Vec<Rows>)> {
        let items: Vec<Item> = items(text).take(LONGEST + 1).collect();
        if items.len() > LONGEST {
            return None;
        }
        let has_case = text.contains(char::is_uppercase) && text.contains(char::is_lowercase);
        let rows: Vec<Rows> =
            items.iter().map(|item| self.rows_of(&text[item.place.clone()], item, has_case)).collect();
        let words = items.iter().filter(|item| item.is_word).count();
        let known = items.iter().zip(&rows).filter(|(item, rows)| item.is_word && rows.word > 0).count();
        (words > 1 && known * 10 >= words * KNOWN).then_some((items, rows))
    }

    fn rows_of(&self, typed: &str, item: &Item, has_case: bool) -> Rows {
        // All numbers are one.
        let word = if typed.contains(char::is_numeric) { "0".to_owned() } else { typed.to_lowercase() };
        let end = word.char_indices().nth_back(2).map_or(0, |(place, _)| place);
        Rows {
            word: self.word(hash(&word)),
            ending: if item.is_word { 1 + hash(&word[end..]) as usize % (ENDINGS - 1) } else { 0 },
            case: if has_case { usize::from(typed.starts_with(char::is_uppercase)) } else { 2 },
        }
    }

    /// The row of a word.
    fn word(&self, wanted: u32) -> usize {
        let (mut low, mut high) = (0, WORDS - 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.hash(middle) < wanted { low = middle + 1 } else { high = middle }
        }
        if low < WORDS - 1 && self.hash(low) == wanted { low + 1 } else { 0 }
    }

    fn hash(&self, place: usize) -> u32 {
        let start = MAGIC.len() + place * NUMBER;
        u32::from_le_bytes(std::array::from_fn(|byte| self.bytes[start + byte]))
    }

    fn states(&self, rows: &[Rows]) -> States {
        let vectors: Vec<[f32; WIDTH]> = rows.iter().map(|rows| self.vector(rows)).collect();
        let mut states = States { forwards: vec![0.0; rows.len() * HIDDEN], backwards: vec![0.0; rows.len() * HIDDEN] };
        let mut state = [0.0; HIDDEN];
        for (vector, row) in vectors.iter().zip(states.forwards.chunks_exact_mut(HIDDEN)) {
            self.forwards.step(vector, &mut state);
            row.copy_from_slice(&state);
        }
        state.fill(0.0);
        for (vector, row) in vectors.iter().zip(states.backwards.chunks_exact_mut(HIDDEN)).rev() {
            self.backwards.step(vector, &mut state);
            row.copy_from_slice(&state);
        }
        states
    }

    fn vector(&self, rows: &Rows) -> [f32; WIDTH] {
        let tables = [(&self.words, rows.word), (&self.endings, rows.ending), (&self.cases, rows.case)];
        let number = |table: &Table, row: usize, column: usize| {
            f32::from(i8::from_le_bytes([self.bytes[table.start + row * WIDTH + column]])) * table.scale
        };
        std::array::from_fn(|column| tables.iter().map(|&(table, row)| number(table, row, column)).sum())
    }
}

impl Direction {
    /// One step of a GRU in PyTorch's order and form.
    fn step(&self, vector: &[f32; WIDTH], state: &mut [f32; HIDDEN]) {
        let projected: [f32; GATES] = product(vector, &self.input, &self.input_bias);
        let recurrent: [f32; GATES] = product(state, &self.recurrent, &self.recurrent_bias);
        gru_gates(&projected, &recurrent, state, HIDDEN);
    }
}

impl States {
    /// What a layer says of the state before one item and that after another.
    fn score(&self, layer: &Layer, forwards: usize, backwards: usize) -> f32 {
        let mut both = [0.0; 2 * HIDDEN];
        both[..HIDDEN].copy_from_slice(&self.forwards[forwards * HIDDEN..][..HIDDEN]);
        both[HIDDEN..].copy_from_slice(&self.backwards[backwards * HIDDEN..][..HIDDEN]);
        let inner: [f32; HIDDEN] = product(&both, &layer.inner, &layer.bias);
        layer.outer_bias + inner.iter().zip(&layer.outer).map(|(value, weight)| value.max(0.0) * weight).sum::<f32>()
    }
}

/// `x W + b` with `W` `[x.len(), N]`.
fn product<const N: usize>(x: &[f32], weights: &[f32], bias: &[f32]) -> [f32; N] {
    let mut sums: [f32; N] = std::array::from_fn(|column| bias[column]);
    for (x, row) in x.iter().zip(weights.chunks_exact(N)) {
        for (sum, weight) in sums.iter_mut().zip(row) {
            *sum += x * weight;
        }
    }
    sums
}

/// The parts of a file, one after the other; zeros behind its end.
struct Parts<'b> {
    bytes: &'b [u8],
    at: usize,
    is_finite: bool,
}

impl Parts<'_> {
    fn number(&mut self) -> f32 {
        let bytes = self.bytes.get(self.at..self.at + NUMBER).and_then(|bytes| bytes.try_into().ok());
        self.at += NUMBER;
        let number = f32::from_le_bytes(bytes.unwrap_or_default());
        self.is_finite &= number.is_finite();
        number
    }

    fn numbers(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.number()).collect()
    }

    fn table(&mut self, rows: usize) -> Table {
        let scale = self.number();
        let table = Table { start: self.at, scale };
        self.at += rows * WIDTH;
        table
    }
}

/// FNV-1a of 32 bits.
fn hash(text: &str) -> u32 {
    text.bytes().fold(2_166_136_261, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}

/// The commas before white space or the end: others stand in numbers.
fn commas(text: &str) -> impl Iterator<Item = usize> {
    let is_last = |&(place, _): &(usize, &str)| text[place + 1..].chars().next().is_none_or(char::is_whitespace);
    text.match_indices(',').filter(is_last).map(|(place, _)| place)
}

/// The words of a text, each with what joins its parts (`E-Mail`, `geht's`, `z.B`), and its signs, without its commas.
fn items(text: &str) -> impl Iterator<Item = Item> {
    let mut at = 0;
    let mut commas = commas(text).peekable();
    std::iter::from_fn(move || {
        loop {
            at += text[at..].find(|letter: char| !letter.is_whitespace())?;
            let start = at;
            let letters = |from: usize| {
                text[from..].find(|letter: char| !letter.is_alphanumeric()).map_or(text.len(), |length| from + length)
            };
            at = letters(start);
            let is_word = at > start;
            if !is_word {
                at += text[start..].chars().next().map_or(0, char::len_utf8);
                if commas.next_if_eq(&start).is_some() {
                    continue;
                }
                return Some(Item { place: start..at, is_word });
            }
            while let Some(joint) = text[at..].chars().next().filter(|letter| "-'’.".contains(*letter)) {
                let next = at + joint.len_utf8();
                if letters(next) == next {
                    break;
                }
                at = letters(next);
            }
            return Some(Item { place: start..at, is_word });
        }
    })
}

/// Whether a comma may stand behind an item: words on both sides, at most within quotation marks, and no address or file name.
fn may_have_comma(text: &str, item: &Item, next: &Item) -> bool {
    let [own, after] = [item, next].map(|item| &text[item.place.clone()]);
    let is_more = |text: &str| text.contains(['_', '@', '/', '\\', '=', '%', '$', '#', '&']);
    next.place.start > item.place.end
        && (item.is_word || "\"'“”«‘)".contains(own))
        && (next.is_word || "\"'„“»‚(".contains(after))
        && !text[..item.place.end].split_whitespace().next_back().is_some_and(is_more)
        && !text[next.place.start..].split_whitespace().next().is_some_and(is_more)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::normalize;

    fn file() -> Vec<u8> {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("vocab/commas.bin")).unwrap()
    }

    fn built_in() -> Commas {
        Commas::parse(Cow::Owned(file()), "vocab/commas.bin").unwrap()
    }

    fn restored(text: &str) -> String {
        built_in().restored(normalize(text)).text
    }

    #[test]
    fn a_text_without_commas_gets_those_between_its_clauses() {
        for written in [
            "Ich glaube, dass er morgen kommt.",
            "Wenn es regnet, bleiben wir zu Hause.",
            "wenn es regnet, bleiben wir zu hause",
            "Als wir ankamen, war niemand da.",
        ] {
            assert_eq!(restored(&written.replace(',', "")), written);
            // Once is enough.
            assert_eq!(restored(written), written);
        }
    }

    #[test]
    fn a_text_that_has_a_comma_or_needs_none_stays() {
        for text in [
            "Ich glaube, dass er sagt dass er morgen kommt.",
            "Wir gehen heute Abend ins Kino.",
            "Der Hund läuft über die Wiese und bellt",
            "Ja",
            "",
            " ",
        ] {
            assert_eq!(restored(text), text);
        }
        // A comma in a number is none between words.
        assert_eq!(restored("Ich glaube dass es 3,5 Grad sind."), "Ich glaube, dass es 3,5 Grad sind.");
    }

    #[test]
    fn other_languages_addresses_and_markup_stay() {
        for text in [
            "I think that he said that she will come when it rains",
            "je pense que tu viendras quand il pleut",
            "Ich glaube <b>dass er kommt</b>",
            "Ich glaube {was man weiß} dass er kommt",
            "siehe a@example.org www/dass /dass=1 der",
            "Я думаю что он придёт 私は 猫",
        ] {
            assert_eq!(restored(text), text);
        }
    }

    #[test]
    fn capitals_are_those_of_nouns_where_they_stand() {
        let text = "ich habe das essen schon gekauft und möchte jetzt essen";
        let capitals = built_in().capitals(text);
        let large: Vec<Range<usize>> =
            capitals.into_iter().filter(|(_, is_capital)| *is_capital).map(|(place, _)| place).collect();
        assert_eq!((large.len(), &large[0]), (1, &(13..18)));
    }

    #[test]
    fn places_lead_back_to_the_text_as_it_was_given() {
        let given = "Ich glau\u{ad}be\u{ad}\u{a0}dass sie u\u{308}bt.";
        let restored = built_in().restored(normalize(given));
        assert_eq!(restored.text, "Ich glaube, dass sie übt.");
        let original = |part: &str| restored.offsets.original(restored.text.find(part).unwrap());
        // A comma is nothing, behind its word.
        assert_eq!(&given[original("glaube")..original(",")], "glau\u{ad}be\u{ad}");
        assert_eq!(&given[original(", dass")..original(" dass")], "");
        assert!(given[original("dass")..].starts_with("dass"));
        assert!(given[original("übt")..].starts_with("u\u{308}bt"));
        assert_eq!(restored.offsets.original(restored.text.len()), given.len());
        // Nor where the letter before it was two characters.
        let given = "Wenn er sagt wu\u{308} weil er kommt dann gehen wir.";
        let restored = built_in().restored(normalize(given));
        for (place, _) in restored.text.char_indices() {
            assert!(given.is_char_boundary(restored.offsets.original(place)));
        }
    }

    #[test]
    fn items_are_words_with_their_joints_and_signs_without_commas() {
        let text = "„Geht's, z.B. mit E-Mail?“ 3,5 -x";
        let own: Vec<&str> = items(text).map(|item| &text[item.place]).collect();
        assert_eq!(own, ["„", "Geht's", "z.B", ".", "mit", "E-Mail", "?", "“", "3", ",", "5", "-", "x"]);
    }

    #[test]
    fn a_text_of_more_words_than_prose_has_stays() {
        let long = "ich glaube dass er kommt ".repeat(LONGEST);
        assert_eq!(restored(&long), long);
    }

    #[test]
    fn a_file_that_is_none_is_refused() {
        let spoilt = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = file();
            change(&mut bytes);
            Commas::parse(Cow::Owned(bytes), "own.bin").unwrap_err().to_string()
        };
        for (error, problem) in [
            (spoilt(&|bytes| bytes.clear()), "own.bin: it does not begin with `commas 1`"),
            (spoilt(&|bytes| bytes.truncate(100)), "own.bin: it has 100 bytes, not 251976"),
            (spoilt(&|bytes| bytes.push(0)), "own.bin: it has 251977 bytes, not 251976"),
            (spoilt(&|bytes| bytes[8..12].fill(255)), "own.bin: its hashes are not in ascending order"),
            (
                spoilt(&|bytes| bytes[251_972..].copy_from_slice(&f32::NAN.to_le_bytes())),
                "own.bin: not all of its numbers are finite",
            ),
        ] {
            assert!(error.contains(problem), "{error}");
            assert!(error.contains("training commas"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn nothing_but_commas_comes_and_it_comes_once(
            text in "(\\PC|[ ,.'’\u{ad}\u{a0}\u{301}ß]| (dass|wenn|der|die|ist|ich|weil|nicht|kommt|2,5|„ja“) ){0,40}",
        ) {
            let commas = built_in();
            let given = normalize(&text);
            let restored = commas.restored(given.clone());
            prop_assert_eq!(restored.text.replace(',', ""), given.text.replace(',', ""));
            prop_assert_eq!(&commas.restored(restored.clone()), &restored);
            let mut last = 0;
            for (place, _) in restored.text.char_indices() {
                let original = restored.offsets.original(place);
                prop_assert!(original >= last && text.is_char_boundary(original), "{} {}", original, last);
                last = original;
            }
            for (place, _) in commas.capitals(&given.text) {
                prop_assert!(given.text.get(place).is_some());
            }
        }
    }
}
