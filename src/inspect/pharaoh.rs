//! Pharaoh (Moses) alignments: `0-0 1-2`, source word and target word counted from 0, one line a sentence.

use super::align::Link;
use crate::{Error, Result};

/// The links of one sentence on one line, without the newline. A sentence without links is an empty line.
pub fn render(links: &[Link]) -> String {
    let pairs: Vec<String> = links.iter().map(|link| format!("{}-{}", link.source, link.target)).collect();
    pairs.join(" ")
}

/// Reads one line of `source-target` pairs.
///
/// # Errors
/// If a pair is not two numbers joined by a hyphen; the message names it.
pub fn parse(line: &str) -> Result<Vec<Link>> {
    line.split_whitespace()
        .map(|pair| {
            let numbers = pair
                .split_once('-')
                .and_then(|(source, target)| Some(Link { source: source.parse().ok()?, target: target.parse().ok()? }));
            numbers.ok_or_else(|| Error::Usage(format!("`{pair}` is no alignment: write source-target, such as 0-2")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_as_the_same_links() {
        let links = [Link { source: 0, target: 0 }, Link { source: 1, target: 2 }];
        assert_eq!(render(&links), "0-0 1-2");
        assert_eq!(parse("0-0 1-2").unwrap(), links);
        assert_eq!(render(&parse("").unwrap()), "");
    }

    #[test]
    fn anything_else_is_named() {
        assert!(parse("0-0 1?2").unwrap_err().to_string().contains("`1?2`"));
        assert!(parse("0--1").is_err());
    }
}
