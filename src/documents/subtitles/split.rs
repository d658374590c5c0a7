//! Where a translation is cut into cues and lines: near the wanted places, and where it reads well.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use super::columns;

/// A text in words, between which it can be cut.
pub(super) struct Words {
    /// The bytes of each word.
    pub(super) spans: Vec<Range<usize>>,
    /// The columns before each word, and before its end.
    columns: Vec<(usize, usize)>,
    /// How badly it reads if the text is cut before a word.
    badness: Vec<f64>,
}

/// The words around a wanted cut that are looked at.
const NEAR: usize = 40;

/// Short words that belong to what follows: a line does not end with them. German, English, French, Spanish, Italian, Dutch,
/// Portuguese.
static LEADING: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "the a an der die das den dem des ein eine einen einem einer eines le la les un une des du de l' d' el los las una \
     il lo gli i het een o os as um uma to of in on at by for with from into and or but if that which who whose when where because \
     zu von im in am an auf bei mit für aus nach vor über unter durch und oder aber wenn dass ob weil als wie der mein dein sein ihr \
     unser my your his her its our their à en dans sur pour par avec et ou mais que qui y con para por e che di da van op met voor \
     no not very mr. mrs. dr. herr frau"
        .split(' ')
        .collect()
});
/// Words that begin a part of a sentence: a line ends well before them.
static BEGINNING: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "and or but if that which who when where because so while und oder aber wenn dass ob weil als denn der die das \
     den the a an ein eine et ou mais que qui quand parce y o pero porque e ma che perché en of maar omdat to in on at for with \
     from zu von im mit für auf"
        .split(' ')
        .collect()
});

impl Words {
    /// Takes a text apart whose white space is single spaces.
    pub(super) fn of(text: &str) -> Self {
        let mut spans: Vec<Range<usize>> = Vec::new();
        let mut start = None;
        let mut before = ' ';
        for (at, c) in text.char_indices() {
            match start {
                _ if c == ' ' => spans.extend(start.take().map(|start| start..at)),
                // Scripts without spaces are cut between characters, though not before what closes or after what opens.
                Some(begin) if is_between(before, c) => {
                    spans.push(begin..at);
                    start = Some(at);
                }
                None => start = Some(at),
                Some(_) => {}
            }
            before = c;
        }
        spans.extend(start.map(|start| start..text.len()));
        let (mut columns_so_far, mut end, mut places) = (0, 0, Vec::with_capacity(spans.len()));
        for span in &spans {
            let begin = columns_so_far + (span.start - end);
            columns_so_far = begin + columns(&text[span.clone()]);
            end = span.end;
            places.push((begin, columns_so_far));
        }
        let word = |at: usize| &text[spans[at].clone()];
        let badness = (0..spans.len()).map(|at| if at == 0 { 0. } else { badness(word(at - 1), word(at)) }).collect();
        Self { spans, columns: places, badness }
    }

    /// The columns of some words.
    fn width(&self, words: Range<usize>) -> usize {
        if words.is_empty() { 0 } else { self.columns[words.end - 1].1 - self.columns[words.start].0 }
    }

    /// The column before a byte of the text.
    pub(super) fn column(&self, byte: usize) -> usize {
        let word = self.spans.partition_point(|span| span.start < byte);
        self.columns
            .get(word)
            .or(self.columns.last())
            .map_or(0, |(start, end)| if word < self.spans.len() { *start } else { *end })
    }

    /// All columns.
    pub(super) fn total(&self) -> usize {
        self.columns.last().map_or(0, |(_, end)| *end)
    }

    /// The fewest lines that `words` fit into, of which the first has `lead` columns less.
    pub(super) fn lines(&self, words: Range<usize>, width: usize, lead: usize) -> usize {
        let (mut lines, mut start, mut room) = (1, words.start, width.saturating_sub(lead));
        for word in words.clone() {
            if word > start && self.width(start..word + 1) > room {
                (lines, start, room) = (lines + 1, word, width);
            }
        }
        lines
    }

    /// Cuts `words` into parts, none of them empty. `wanted` are the columns of each cut with their weights, and `cost` says how
    /// bad it is if a part is so many columns wide. Gives the word that each part but the first begins with.
    ///
    /// There must be as many words as parts.
    pub(super) fn split(
        &self,
        words: Range<usize>,
        wanted: &[Vec<(f64, f64)>],
        cost: impl Fn(usize, usize) -> f64,
    ) -> Vec<usize> {
        let parts = wanted.len() + 1;
        debug_assert!(words.len() >= parts);
        let unit = (self.width(words.clone()) as f64 / parts as f64).max(1.);
        let cost_of = |from: usize, to: usize, part: usize| cost(part, self.width(from..to));
        // The least cost of each place for the cut, and the place of the cut before.
        let mut table: Vec<Vec<(usize, f64, usize)>> = vec![vec![(words.start, 0., 0)]];
        for (number, wanted) in wanted.iter().enumerate() {
            let (first, last) = (words.start + number + 1, words.end - (parts - number - 1));
            let goal = wanted.iter().map(|(column, weight)| column * weight).sum::<f64>()
                / wanted.iter().map(|(_, weight)| weight).sum::<f64>();
            let near = self.columns.partition_point(|(start, _)| (*start as f64) < goal).clamp(first, last);
            let before = &table[number];
            let least = |word: usize| -> (usize, f64, usize) {
                let far =
                    |(column, weight): &(f64, f64)| weight * ((self.columns[word].0 as f64 - column) / unit).powi(2);
                let own = wanted.iter().map(far).sum::<f64>() + self.badness[word];
                let way = before.iter().enumerate().filter(|(_, (from, ..))| *from < word);
                let way = way.map(|(place, (from, cost, _))| (cost + cost_of(*from, word, number), place));
                let best = way.min_by(|a, b| a.0.total_cmp(&b.0));
                best.map_or((word, f64::INFINITY, 0), |(cost, place)| (word, cost + own, place))
            };
            let places = near.saturating_sub(NEAR).max(first)..=(near + NEAR).min(last);
            table.push(places.map(least).collect());
        }
        let last = table[parts - 1].iter().enumerate();
        let last = last.map(|(place, (from, cost, _))| (cost + cost_of(*from, words.end, parts - 1), place));
        let mut place = last.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(0, |(_, place)| place);
        let mut cuts = Vec::with_capacity(parts - 1);
        for row in table[1..].iter().rev() {
            cuts.push(row[place].0);
            place = row[place].2;
        }
        cuts.reverse();
        cuts
    }
}

/// How bad it is if a part has more columns than there is room.
pub(super) fn crowded(width: usize, room: usize) -> f64 {
    match width.saturating_sub(room) {
        0 => 0.,
        over => 3. + 10. * over as f64 / room.max(1) as f64,
    }
}

/// Whether a text may be cut between two characters without a space.
fn is_between(before: char, after: char) -> bool {
    let is_wide = |c: char| matches!(c, '\u{2e80}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}');
    let closes = "、。，．：；？！」』）】〉》”’ーぁぃぅぇぉっゃゅょァィゥェォッャュョ…,.!?:;)]";
    (is_wide(before) || is_wide(after)) && !closes.contains(after) && !"「『（【〈《“‘([".contains(before)
}

/// How badly it reads if a line ends after one word and the next begins with another.
fn badness(before: &str, after: &str) -> f64 {
    let is_one_of = |list: &HashSet<&str>, word: &str| word.len() <= 6 && list.contains(&word.to_lowercase()[..]);
    // A line that begins with a dash looks like somebody else's.
    if after.starts_with(['-', '–', '—', '♪', '‐']) {
        return 8.;
    }
    let end = before.trim_end_matches(['"', '\'', '”', '’', '“', '»', '«', ')', ']']);
    let punctuation = match end.chars().last() {
        Some('.' | '!' | '?' | '…' | '。' | '！' | '？') => -0.5,
        Some(',' | ';' | ':' | '–' | '—' | '、' | '，') => -0.35,
        _ => 0.,
    };
    let trailing = if punctuation == 0. && is_one_of(&LEADING, before) { 0.4 } else { 0. };
    let leading = if trailing == 0. && is_one_of(&BEGINNING, after) { -0.15 } else { 0. };
    punctuation + trailing + leading
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, wanted: &[f64], room: usize) -> Vec<String> {
        let words = Words::of(text);
        let wanted: Vec<_> = wanted.iter().map(|column| vec![(*column, 4.)]).collect();
        let mut cuts = vec![0];
        cuts.extend(words.split(0..words.spans.len(), &wanted, |_, width| crowded(width, room)));
        let ends = cuts.iter().skip(1).map(|cut| words.spans[cut - 1].end).chain([text.len()]);
        cuts.iter().zip(ends).map(|(cut, end)| text[words.spans[*cut].start..end].to_owned()).collect()
    }

    #[test]
    fn a_cut_moves_to_the_comma_and_before_the_article() {
        assert_eq!(cut("I saw him, the man of the house", &[13.], 40), ["I saw him,", "the man of the house"]);
        assert_eq!(cut("We looked at the old photograph", &[15.], 40), ["We looked", "at the old photograph"]);
    }

    #[test]
    fn no_part_is_empty_whatever_is_wanted() {
        assert_eq!(cut("a b c", &[100., 100.], 40), ["a", "b", "c"]);
        assert_eq!(cut("a b c", &[0., 0.], 40), ["a", "b", "c"]);
    }

    #[test]
    fn a_line_that_fits_is_better_than_one_that_is_where_it_should_be() {
        assert_eq!(cut("aaaa bbbb cccc dd", &[3.], 14), ["aaaa", "bbbb cccc dd"]);
        assert_eq!(cut("aaaa bbbb cccc dd", &[3.], 9), ["aaaa bbbb", "cccc dd"]);
    }

    #[test]
    fn chinese_is_cut_between_characters() {
        assert_eq!(cut("我们明天回家。他们不来。", &[12.], 40), ["我们明天回家。", "他们不来。"]);
    }
}
