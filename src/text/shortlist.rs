//! Marian's lexical shortlists (`lex.*.bin`): which target tokens a source token may become, so that the output layer of a
//! student computes a few hundred scores in place of all.
//!
//! Little-endian `u64`s: a magic number, a checksum, how many of the most frequent target tokens are always there, how many were
//! kept for each source token, the number of offsets and of targets; then the offsets, one more than there are source tokens,
//! and the targets in `u32`.

use std::path::Path;

use crate::{Error, Result};

/// How a file begins.
const MAGIC: u64 = 0xF11A_48D5_0134_17F5;

/// `u64`s before the offsets.
const HEADER: usize = 6;

/// The number of allowed tokens is made a multiple of this, as the products of Marian's students need it.
const MULTIPLE: usize = 8;

/// Which target tokens a source token may become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortlist {
    /// So many tokens, the most frequent ones, are always allowed.
    first: usize,
    /// Where the targets of each source token begin.
    offsets: Vec<usize>,
    targets: Vec<u32>,
    /// Whether both sides have one vocabulary: a token may stay what it is then.
    shared: bool,
}

impl Shortlist {
    /// Reads a file in binary form; `path` names it in messages, and `shared` says that both sides have one vocabulary.
    ///
    /// # Errors
    /// If it is no such file, or is damaged.
    pub fn parse(bytes: &[u8], path: impl AsRef<Path>, shared: bool) -> Result<Self> {
        let wrong = |problem: &str| Error::model(&path, format!("not a usable shortlist ({problem})"));
        let number = |at: usize| bytes.as_chunks().0.get(at).map(|&b| u64::from_le_bytes(b));
        if number(0) != Some(MAGIC) {
            return Err(wrong("it does not begin as Marian's lex.*.bin do; a text file has to be converted first"));
        }
        let size = |at: usize| number(at).and_then(|number| usize::try_from(number).ok());
        let header = size(2).zip(size(4)).zip(size(5));
        let ((first, offsets), targets) = header.ok_or_else(|| wrong("it is truncated"))?;
        let lists = HEADER.checked_add(offsets).and_then(|end| end.checked_mul(8));
        let end = lists.and_then(|lists| targets.checked_mul(4)?.checked_add(lists));
        let (Some(lists), true) = (lists, end == Some(bytes.len())) else {
            return Err(wrong("it is of another size than it says; download it again"));
        };
        let offsets: Vec<usize> = (HEADER..HEADER + offsets).filter_map(size).collect();
        if offsets.windows(2).any(|pair| pair[0] > pair[1]) || offsets.last().is_some_and(|&last| last > targets) {
            return Err(wrong("its lists overlap; download it again"));
        }
        let targets = bytes[lists..].as_chunks().0.iter().map(|&b| u32::from_le_bytes(b)).collect();
        Ok(Self { first, offsets, targets, shared })
    }

    /// Marks in `allowed`, which is made `vocabulary` long, the target tokens that a sentence of these source tokens may have.
    pub fn allowed(&self, source: &[u32], vocabulary: usize, allowed: &mut Vec<bool>) {
        allowed.clear();
        allowed.resize(vocabulary, false);
        let first = self.first.min(vocabulary);
        allowed[..first].fill(true);
        let mut allow = |token: u32| {
            if let Some(allowed) = allowed.get_mut(token as usize) {
                *allowed = true;
            }
        };
        for &token in source {
            if self.shared {
                allow(token);
            }
            if let Some(&[start, end]) = self.offsets.get(token as usize..).and_then(|rest| rest.first_chunk()) {
                self.targets[start..end].iter().for_each(|&target| allow(target));
            }
        }
        let missing = allowed.iter().filter(|&&allowed| allowed).count().wrapping_neg() % MULTIPLE;
        allowed[first..].iter_mut().filter(|allowed| !**allowed).take(missing).for_each(|allowed| *allowed = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(first: u64, offsets: &[u64], targets: &[u32]) -> Vec<u8> {
        let header = [MAGIC, 7, first, 2, offsets.len() as u64, targets.len() as u64];
        let numbers = header.iter().chain(offsets).flat_map(|number| number.to_le_bytes());
        numbers.chain(targets.iter().flat_map(|target| target.to_le_bytes())).collect()
    }

    fn allowed(list: &Shortlist, source: &[u32], vocabulary: usize) -> Vec<usize> {
        let mut allowed = Vec::new();
        list.allowed(source, vocabulary, &mut allowed);
        (0..vocabulary).filter(|&token| allowed[token]).collect()
    }

    #[test]
    fn a_sentence_may_have_the_frequent_tokens_and_those_of_its_own() {
        let bytes = file(2, &[0, 1, 4, 4], &[20, 9, 1, 12]);
        let list = Shortlist::parse(&bytes, "lex.bin", false).unwrap();
        // The first two, those of token 1, and as many more as make eight.
        assert_eq!(allowed(&list, &[1], 30), [0, 1, 2, 3, 4, 5, 9, 12]);
        assert_eq!(allowed(&list, &[0, 1, 0, 99], 30), [0, 1, 2, 3, 4, 9, 12, 20]);
        assert_eq!(allowed(&list, &[2], 5), [0, 1, 2, 3, 4]);
        let shared = Shortlist::parse(&bytes, "lex.bin", true).unwrap();
        assert_eq!(allowed(&shared, &[1, 25], 30), [0, 1, 2, 3, 4, 9, 12, 25]);
    }

    #[test]
    fn damaged_files_are_one_line() {
        let whole = file(2, &[0, 1, 4, 4], &[20, 9, 1, 12]);
        for bytes in
            [&whole[..40], &whole[..whole.len() - 1], b"text file", &file(1, &[0, 9], &[1]), &file(1, &[3, 1], &[1; 4])]
        {
            let message = Shortlist::parse(bytes, "lex.bin", false).unwrap_err().to_string();
            assert!(message.starts_with("lex.bin: not a usable shortlist") && !message.contains('\n'), "{message}");
        }
    }
}
