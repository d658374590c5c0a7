//! Translation edit rate (Snover et al. 2006, "A Study of Translation Edit Rate with Targeted Human Annotation"): edits
//! to a reference, where moving a group of words counts as one.
//!
//! Finding the fewest edits with shifts is NP-complete. The search here is the greedy one of Tercom with sacreBLEU's
//! limits: the shift that lowers the edit distance most is made until none does; ties are broken as theirs are.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::LazyLock;

use super::tokenize::{Rule, rewrite, rules};
use super::{Metric, Score, Statistics, VERSION, case, is_space, words};

/// TER. The default is sacreBLEU's: case is ignored, and words are what stands between white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ter {
    /// Undoes SGML entities and separates punctuation, as Tercom's normalisation does.
    pub normalized: bool,
    /// Leaves out punctuation.
    pub no_punctuation: bool,
    /// With [`Ter::normalized`] makes each Chinese or Japanese character a word; with [`Ter::no_punctuation`] leaves out
    /// their punctuation, too.
    pub asian_support: bool,
    /// Distinguishes capital and small letters.
    pub case_sensitive: bool,
}

/// Tercom's rules for Western text, applied to a line with a space at either end: ASCII symbols; possessives; full stop
/// and comma unless both neighbours are digits; a dash after a digit.
static WESTERN: LazyLock<[Rule; 5]> = LazyLock::new(|| {
    rules([
        (r"([ -&(-+/:-@\[-`{-~])", " ${1} "),
        (r"'s ", " 's "),
        (r"([^0-9])([.,])", "${1} ${2} "),
        (r"([.,])([^0-9])", " ${1} ${2}"),
        (r"([0-9])(-)", "${1} ${2} "),
    ])
});

/// Tercom's rules for Asian text as sacreBLEU has them. Those for kana only apply at the beginning of a line, where the
/// Western rules leave a space, so there are none; the fourth range is wider than the enclosed letters it names.
static ASIAN: LazyLock<[Rule; 6]> = LazyLock::new(|| {
    rules([
        (r"([\u{4e00}-\u{9fff}\u{3400}-\u{4dbf}])", " ${1} "),
        (r"([\u{31c0}-\u{31ef}\u{2e80}-\u{2eff}])", " ${1} "),
        (r"([\u{3300}-\u{33ff}\u{f900}-\u{faff}\u{fe30}-\u{fe4f}])", " ${1} "),
        (r"([\u{3200}-\u{3f22}])", " ${1} "),
        (r"([\u{3001}\u{3002}\u{3008}-\u{3011}\u{3014}-\u{301f}\u{ff61}-\u{ff65}\u{30fb}])", " ${1} "),
        (r"([\u{ff0e}\u{ff0c}\u{ff1f}\u{ff1a}\u{ff1b}\u{ff01}\u{ff02}\u{ff08}\u{ff09}])", " ${1} "),
    ])
});

/// Whether [`Ter::no_punctuation`] leaves this out.
fn is_punctuation(character: char, asian: bool) -> bool {
    matches!(character, '.' | ',' | '?' | ':' | ';' | '!' | '"' | '(' | ')')
        || asian
            && matches!(
                character,
                '\u{3001}' | '\u{3002}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}' | '\u{ff61}'..='\u{ff65}'
                    | '\u{30fb}' | '\u{ff0e}' | '\u{ff0c}' | '\u{ff1f}' | '\u{ff1a}' | '\u{ff1b}' | '\u{ff01}'
                    | '\u{ff02}' | '\u{ff08}' | '\u{ff09}'
            )
}

/// Where [`Statistics`] keeps what.
const EDITS: usize = 0;
/// Words of all references together.
const REFERENCE_WORDS: usize = 1;
const REFERENCES: usize = 2;
const SENTENCES: usize = 3;

impl Ter {
    /// The line with white space between its words.
    fn tokenize<'a>(&self, line: &'a str) -> Cow<'a, str> {
        let line = line.trim_end_matches(is_space);
        let mut line = if self.case_sensitive { Cow::Borrowed(line) } else { Cow::Owned(line.to_lowercase()) };
        if line.is_empty() {
            return line;
        }
        if self.normalized {
            let plain = line.replace("\n-", "").replace('\n', " ");
            let plain = plain.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
            line = rewrite(Cow::Owned(format!(" {plain} ")), &*WESTERN);
            if self.asian_support {
                line = rewrite(line, &*ASIAN);
            }
        }
        if self.no_punctuation {
            line.to_mut().retain(|character| !is_punctuation(character, self.asian_support));
        }
        line
    }
}

impl Metric for Ter {
    /// Against several references: the edits to the nearest, and the words of all of them for their mean length.
    fn statistics(&self, hypothesis: &str, references: &[&str]) -> Statistics {
        let hypothesis = self.tokenize(hypothesis);
        // sacreBLEU tokenises references a second time, which matters where they are normalised: of several commas or
        // full stops in a row the first pass separates only every other one.
        let twice = |reference: &str| {
            let once = words(&self.tokenize(reference)).collect::<Vec<_>>().join(" ");
            self.tokenize(&once).into_owned()
        };
        let references: Vec<String> = references.iter().map(|reference| twice(reference)).collect();
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut numbered = |line| -> Vec<u32> {
            words(line)
                .map(|word| {
                    let next = numbers.len() as u32;
                    *numbers.entry(word).or_insert(next)
                })
                .collect()
        };
        // Words are only ever compared.
        let hypothesis = numbered(&hypothesis);
        let references: Vec<Vec<u32>> = references.iter().map(|reference| numbered(reference)).collect();
        let fewest = references.iter().map(|reference| edits(&hypothesis, reference)).min();
        let mut counts = vec![0; SENTENCES + 1];
        counts[EDITS] = fewest.unwrap_or(hypothesis.len()) as u64;
        counts[REFERENCE_WORDS] = references.iter().map(|reference| reference.len() as u64).sum();
        counts[REFERENCES] = references.len() as u64;
        counts[SENTENCES] = 1;
        Statistics(counts)
    }

    /// Edits in per cent of the references' mean length; 100 for text against empty references.
    fn score(&self, statistics: &Statistics) -> Score {
        let edits = statistics.get(EDITS) as f64;
        let references = statistics.get(REFERENCES) as f64 / statistics.get(SENTENCES) as f64;
        let length = statistics.get(REFERENCE_WORDS) as f64 / references;
        let rate = if length > 0.0 {
            edits / length
        } else if edits > 0.0 {
            1.0
        } else {
            0.0
        };
        Score { name: "TER".into(), value: 100.0 * rate, detail: String::new() }
    }

    fn signature(&self, references: usize) -> String {
        let yes = |is: bool| if is { "yes" } else { "no" };
        format!(
            "nrefs:{references}|case:{}|tok:tercom|norm:{}|punct:{}|asian:{}|version:{VERSION}",
            case(!self.case_sensitive),
            yes(self.normalized),
            yes(!self.no_punctuation),
            yes(self.asian_support)
        )
    }
}

/// Most words moved by one shift.
const MOST_SHIFTED: usize = 10;
/// How far a group of words may be from where it matches.
const FARTHEST: usize = 50;
/// Shifts tried for one sentence; with so many the best of the last round is no longer made.
const MOST_TRIED: usize = 1000;
/// Cells of the edit distance's matrix that are computed to either side of its diagonal, at least.
const BEAM: usize = 25;

/// The edits, shifts included, that make `hypothesis` of words `[hypothesis_len]` into `reference` `[reference_len]`.
fn edits(hypothesis: &[u32], reference: &[u32]) -> usize {
    if reference.is_empty() {
        return hypothesis.len();
    }
    let mut distances = Distances::new(hypothesis.to_vec(), reference);
    let (mut shifts, mut tried) = (0, 0);
    while let Some(shifted) = best_shift(&distances, &mut tried) {
        if tried >= MOST_TRIED {
            break;
        }
        shifts += 1;
        distances = Distances::new(shifted, reference);
    }
    shifts + distances.distance()
}

/// The hypothesis after the shift that lowers the edit distance most: then the longest, then the first group of words,
/// then the first target. None where nothing lowers it.
fn best_shift(distances: &Distances<'_>, tried: &mut usize) -> Option<Vec<u32>> {
    let (hypothesis, reference) = (&distances.hypothesis, distances.reference);
    let before = distances.distance();
    let alignment = distances.alignment();
    let mut best = None;
    'pairs: for start in 0..hypothesis.len() {
        for place in start.saturating_sub(FARTHEST)..reference.len().min(start + FARTHEST + 1) {
            let common = hypothesis[start..].iter().zip(&reference[place..]).take(MOST_SHIFTED);
            let common = common.take_while(|(left, right)| left == right).count();
            for length in 1..=common {
                // Both sides must be wrong somewhere, and the target outside of the group.
                let aligned = alignment.of_reference[place];
                if !alignment.wrong_hypothesis[start..start + length].contains(&true)
                    || !alignment.wrong_reference[place..place + length].contains(&true)
                    || (start + 1..=start + length).contains(&aligned)
                {
                    continue;
                }
                let mut previous = None;
                // Before the reference's group, and after each of its words.
                for position in place..=place + length {
                    let target = position.checked_sub(1).map_or(0, |position| alignment.of_reference[position]);
                    if previous.replace(target) == Some(target) {
                        continue;
                    }
                    let shifted = shift(hypothesis, start, length, target);
                    let gain = before as i64 - distances.of_other(&shifted) as i64;
                    *tried += 1;
                    let rank = (gain, length, Reverse(start), Reverse(target));
                    if best.as_ref().is_none_or(|(most, _)| rank > *most) {
                        best = Some((rank, shifted));
                    }
                }
                if *tried >= MOST_TRIED {
                    break 'pairs;
                }
            }
        }
    }
    best.filter(|((gain, ..), _)| *gain > 0).map(|(_, shifted)| shifted)
}

/// `words` with the `length` words from `start` moved before the word at `target`; a target within them counts from their
/// end.
fn shift(words: &[u32], start: usize, length: usize, target: usize) -> Vec<u32> {
    let end = start + length;
    let mut shifted = words.to_vec();
    if target < start {
        shifted[target..end].rotate_right(length);
    } else {
        let after = if target > end { target } else { (target + length).min(words.len()) };
        shifted[start..after].rotate_left(length);
    }
    shifted
}

/// How a cell of the matrix was reached.
#[derive(Clone, Copy, PartialEq)]
enum Edit {
    Keep,
    Substitute,
    /// A word of the reference that the hypothesis lacks.
    Insert,
    /// A word of the hypothesis that the reference lacks.
    Delete,
}

/// A row of the matrix: cells from column `first` on; all others are out of reach.
struct Row {
    first: usize,
    cells: Vec<(usize, Edit)>,
}

impl Row {
    fn cost(&self, column: usize) -> usize {
        column.checked_sub(self.first).and_then(|cell| self.cells.get(cell)).map_or(OUT_OF_REACH, |cell| cell.0)
    }
}

const OUT_OF_REACH: usize = usize::MAX / 2;

/// The edit distance of a hypothesis to a reference, computed near the diagonal of the matrix only.
struct Distances<'a> {
    hypothesis: Vec<u32>,
    reference: &'a [u32],
    /// `[hypothesis_len + 1]`
    rows: Vec<Row>,
}

/// Which words of two sentences belong together.
struct Alignment {
    /// For each word of the reference, how many words of the hypothesis lie before the end of what it belongs to.
    of_reference: Vec<usize>,
    wrong_reference: Vec<bool>,
    wrong_hypothesis: Vec<bool>,
}

impl<'a> Distances<'a> {
    fn new(hypothesis: Vec<u32>, reference: &'a [u32]) -> Self {
        let first = (0..=reference.len()).map(|column| (column, Edit::Insert)).collect();
        let mut distances = Self { hypothesis, reference, rows: vec![Row { first: 0, cells: first }] };
        for row in 1..=distances.hypothesis.len() {
            let next = distances.next_row(row, distances.hypothesis[row - 1], &distances.rows[row - 1]);
            distances.rows.push(next);
        }
        distances
    }

    /// Row `row`, which ends with `word`, below `above`.
    fn next_row(&self, row: usize, word: u32, above: &Row) -> Row {
        let (rows, columns) = (self.hypothesis.len(), self.reference.len());
        let ratio = columns as f64 / rows as f64;
        // So wide that the parts of two rows always overlap.
        let half = ratio / 2.0;
        let beam = if half > BEAM as f64 { (half + BEAM as f64).ceil() as usize } else { BEAM };
        let diagonal = (row as f64 * ratio).floor() as usize;
        let first = diagonal.saturating_sub(beam);
        let end = if row == rows { columns + 1 } else { (columns + 1).min(diagonal + beam) };
        let mut cells: Vec<(usize, Edit)> = Vec::with_capacity(end.saturating_sub(first));
        for column in first..end {
            let Some(before) = column.checked_sub(1) else {
                cells.push((above.cost(0) + 1, Edit::Delete));
                continue;
            };
            // Of equal costs the first counts.
            let is_same = word == self.reference[before];
            let edit = if is_same { Edit::Keep } else { Edit::Substitute };
            let mut best = (above.cost(before) + usize::from(!is_same), edit);
            let deleted = above.cost(column) + 1;
            if deleted < best.0 {
                best = (deleted, Edit::Delete);
            }
            let inserted = cells.last().map_or(OUT_OF_REACH, |cell| cell.0) + 1;
            if inserted < best.0 {
                best = (inserted, Edit::Insert);
            }
            cells.push(best);
        }
        Row { first, cells }
    }

    /// The edit distance.
    fn distance(&self) -> usize {
        self.rows[self.hypothesis.len()].cost(self.reference.len())
    }

    /// The edit distance of another hypothesis of the same length, which begins with words of this one.
    fn of_other(&self, other: &[u32]) -> usize {
        let same = self.hypothesis.iter().zip(other).take_while(|(left, right)| left == right).count();
        let mut computed: Option<Row> = None;
        for row in same + 1..=other.len() {
            computed = Some(self.next_row(row, other[row - 1], computed.as_ref().unwrap_or(&self.rows[row - 1])));
        }
        computed.as_ref().unwrap_or(&self.rows[same]).cost(self.reference.len())
    }

    /// The edits, read backwards from the last cell.
    fn alignment(&self) -> Alignment {
        let (mut row, mut column) = (self.hypothesis.len(), self.reference.len());
        let mut alignment = Alignment {
            of_reference: vec![0; column],
            wrong_reference: vec![true; column],
            wrong_hypothesis: vec![true; row],
        };
        while row > 0 || column > 0 {
            let Row { first, cells } = &self.rows[row];
            match cells[column - first].1 {
                Edit::Insert => {
                    column -= 1;
                    alignment.of_reference[column] = row;
                }
                Edit::Delete => row -= 1,
                edit => {
                    alignment.of_reference[column - 1] = row;
                    row -= 1;
                    column -= 1;
                    alignment.wrong_reference[column] = edit == Edit::Substitute;
                    alignment.wrong_hypothesis[row] = edit == Edit::Substitute;
                }
            }
        }
        alignment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(hypothesis: &str, reference: &str) -> f64 {
        Ter::default().sentence_score(hypothesis, &[reference]).value
    }

    #[test]
    fn a_group_of_words_that_moved_is_one_edit() {
        assert_eq!(rate("c d e a b", "a b c d e"), 20.0);
    }

    #[test]
    fn each_word_too_many_too_few_or_wrong_is_one_edit() {
        assert_eq!(rate("a b c x", "a b c d"), 25.0);
        assert_eq!(rate("a b c", "a b c d"), 25.0);
        assert_eq!(rate("a b c d e", "a b c d"), 25.0);
    }

    #[test]
    fn an_empty_reference_makes_all_words_wrong() {
        assert_eq!((rate("a b", ""), rate("", ""), rate("", "a b")), (100.0, 0.0, 100.0));
    }

    #[test]
    fn lengths_of_several_references_are_averaged() {
        let found = Ter::default().sentence_score("a b c", &["a b c d", "a b"]).value;
        assert!((found - 100.0 / 3.0).abs() < 1e-9, "{found}");
    }

    /// The band of the matrix follows the diagonal, however far that is from the usual one.
    #[test]
    fn sentences_of_very_different_lengths_are_compared() {
        let long = "w ".repeat(2000);
        assert_eq!((rate("w", &long), rate(&long, "w")), (100.0 * 1999.0 / 2000.0, 199_900.0));
    }

    #[test]
    fn a_shift_moves_words_before_the_target() {
        let words = [0, 1, 2, 3, 4, 5];
        assert_eq!(shift(&words, 3, 2, 1), [0, 3, 4, 1, 2, 5]);
        assert_eq!(shift(&words, 1, 2, 5), [0, 3, 4, 1, 2, 5]);
        assert_eq!(shift(&words, 1, 2, 2), [0, 3, 1, 2, 4, 5]);
        assert_eq!(shift(&words, 3, 3, 6), [0, 1, 2, 3, 4, 5]);
    }
}
