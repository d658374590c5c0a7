//! Marks of a segment around the words that its words became.
//!
//! The translator saw no marks. Its links between words say where the words of an element went; an element is put around all of them
//! where little lies between, otherwise around the larger part. Elements keep their tree: what was inside stays inside, what was beside
//! stays beside. Punctuation that stood outside of an element stays outside, and no element begins or ends with a space.

mod links;
mod place;
mod point;
mod refine;
mod tree;
mod words;
mod write;

use super::{Part, Segment, Translated};

use links::Links;
use place::Placing;
use tree::Tree;
use words::Words;

/// A translation with the marks of its segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transferred {
    /// The text of the translation and the marks, each once and nested.
    pub parts: Vec<Part>,
    /// Numbers of the marks whose text ([`super::Shown::Text`]) the translation had lost: it was put in where it belongs.
    pub missing: Vec<usize>,
}

/// Puts the marks of `segment` into its translation. The parts are the text of the translation and nothing else, but for what is `missing`
/// and a space for a mark that stands for one where the translation has none.
pub fn transfer(segment: &Segment, translated: &Translated) -> Transferred {
    if !segment.has_marks() {
        let text = (!translated.text.is_empty()).then(|| Part::Text(translated.text.clone()));
        return Transferred { parts: text.into_iter().collect(), missing: Vec::new() };
    }
    let tree = Tree::new(segment);
    if tree.text == translated.text {
        return Transferred { parts: segment.parts.clone(), missing: Vec::new() };
    }
    let found = tree.find_shown(translated);
    let mut fixed: Vec<_> = found.iter().flatten().cloned().collect();
    fixed.sort_unstable_by_key(|range| range.start);
    let source = Words { text: &tree.text, ranges: words::words(&tree.text, &tree.shown_ranges(), &tree.borders()) };
    let cuts = cuts(&source, &translated.text, &fixed, &translated.links);
    let target = Words { text: &translated.text, ranges: words::words(&translated.text, &fixed, &cuts) };
    let sure = tree.sure(&source, &target, &found);
    let links = Links::new(&source, &target, &translated.links, &sure);
    Placing::new(&tree, &source, &target, &links, &found).parts()
}

/// Where words of the translation are divided: where links end (scripts without spaces), and where a mark divides a word of the source
/// that is the same in the translation (`H<sub>2</sub>O`).
fn cuts(
    source: &Words<'_>,
    target: &str,
    fixed: &[std::ops::Range<usize>],
    links: &[(std::ops::Range<usize>, std::ops::Range<usize>)],
) -> Vec<usize> {
    let mut cuts: Vec<usize> = links.iter().flat_map(|(_, to)| [to.start, to.end]).collect();
    // Words that lie side by side without anything between them were one.
    let mut divided: std::collections::HashMap<&str, Vec<usize>> = std::collections::HashMap::new();
    let mut first = 0;
    for word in 0..source.ranges.len() {
        let is_last = source.ranges.get(word + 1).is_none_or(|next| next.start != source.ranges[word].end);
        if is_last {
            if word > first {
                let start = source.ranges[first].start;
                let places = source.ranges[first..word].iter().map(|range| range.end - start).collect();
                divided.entry(&source.text[start..source.ranges[word].end]).or_insert(places);
            }
            first = word + 1;
        }
    }
    if !divided.is_empty() {
        for word in words::words(target, fixed, &[]) {
            if let Some(places) = divided.get(&target[word.clone()]) {
                cuts.extend(places.iter().map(|place| word.start + place));
            }
        }
    }
    cuts.retain(|&cut| target.is_char_boundary(cut));
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}
