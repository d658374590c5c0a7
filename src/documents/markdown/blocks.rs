//! Blocks of HTML within Markdown, and all segments in the order of the file.

use std::ops::Range;

use super::Origin;
#[cfg(feature = "html")]
use crate::documents::html;
use crate::documents::inline::Text;
use crate::documents::{Options, Segment};

#[cfg(feature = "html")]
pub(super) type Blocks = Vec<(Range<usize>, html::Markup)>;
#[cfg(not(feature = "html"))]
pub(super) type Blocks = Vec<(Range<usize>, std::convert::Infallible)>;

#[cfg(feature = "html")]
pub(super) fn read(source: &str, blocks: Vec<Range<usize>>, options: &Options) -> Blocks {
    let options = Options { target_language: None, ..options.clone() };
    let read = |range: Range<usize>| {
        let markup = html::read_markup(source[range.clone()].to_owned(), &options, false);
        (range, markup)
    };
    blocks.into_iter().map(read).filter(|(_, markup)| !markup.segments().is_empty()).collect()
}

#[cfg(not(feature = "html"))]
pub(super) fn read(_: &str, _: Vec<Range<usize>>, _: &Options) -> Blocks {
    Vec::new()
}

/// All segments in the order of the file, and what each is.
pub(super) fn merged(source: &str, texts: &mut [Text], blocks: &Blocks) -> (Vec<Segment>, Vec<Origin>) {
    let mut all: Vec<_> = texts
        .iter_mut()
        .enumerate()
        .map(|(index, text)| (text.range.start, std::mem::take(&mut text.segment), Origin::Text(index)))
        .collect();
    #[cfg(feature = "html")]
    {
        let (mut line, mut at) = (0, 0);
        for (index, (range, markup)) in blocks.iter().enumerate() {
            line += source.as_bytes()[at..range.start].iter().filter(|&&byte| byte == b'\n').count();
            at = range.start;
            for (number, segment) in markup.segments().iter().enumerate() {
                let segment = Segment { line: segment.line + line, ..segment.clone() };
                all.push((range.start, segment, Origin::Block(index, number)));
            }
        }
    }
    #[cfg(not(feature = "html"))]
    let _ = (source, blocks);
    all.sort_by_key(|(start, ..)| *start);
    all.into_iter().map(|(_, segment, origin)| (segment, origin)).unzip()
}
