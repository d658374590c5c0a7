//! NumPy archives: the matrices and their labels as named arrays, opened by `numpy.load`.
//!
//! For the sentence of input line `N`:
//!
//! | name | type | shape |
//! |---|---|---|
//! | `N/attention` | float32 | `[matrices, rows, columns]`, each row sums to 1 |
//! | `N/layers`, `N/heads` | string | `[matrices]`: which layer and head each is (`0`, `mean`, `max`) |
//! | `N/rows`, `N/columns` | string | `[rows]`, `[columns]`: the pieces or words |
//! | `N/source`, `N/translation` | string | scalar |
//! | `N/score` | float32 | scalar, NaN where no score was computed |
//!
//! Where all kinds are written, every name has its kind in it: `N/cross/attention`, `N/encoder/attention`.
//!
//! And for the whole file `lines` (int64, every `N`), `kind` (`cross`, `encoder`, `decoder`, `all`), `unit` (`pieces`,
//! `words`), `align_on` (`output`, `input`) and `eos` (`kept`, or `masked` where the sentence end's column was left out
//! and the rest rescaled).
//!
//! Format: NumPy's NEP 1 (NPY version 1.0) inside a ZIP of stored entries.

use super::select::Selected;
use super::zip::Archive;
use crate::{Error, Result};

/// An archive being written, sentence by sentence, into the caller's buffer.
#[derive(Default)]
pub struct Npz {
    /// Whether all kinds are written.
    all_kinds: bool,
    archive: Archive,
    lines: Vec<i64>,
    /// Kind, unit, reading and sentence end of the first sentence; all others share them.
    about: Option<[&'static str; 4]>,
}

impl Npz {
    /// An empty archive, of all kinds of attention or of one.
    pub fn new(all_kinds: bool) -> Self {
        Self { all_kinds, ..Self::default() }
    }

    /// Appends one sentence to `out`.
    ///
    /// # Errors
    /// If its weights take more than 4 GiB.
    pub fn add(&mut self, selected: &Selected, out: &mut Vec<u8>) -> Result<()> {
        let map = selected.map;
        let kind = if self.all_kinds { "all" } else { map.kind.name() };
        let about = [kind, selected.unit(), selected.selection.align_on.name(), selected.eos()];
        self.about.get_or_insert(about);
        let line = i64::try_from(map.line).unwrap_or(i64::MAX);
        if self.lines.last() != Some(&line) {
            self.lines.push(line);
        }
        let matrices = &selected.matrices;
        let shape = [matrices.len(), selected.rows.len(), selected.columns.len()];
        let weights = matrices.iter().flat_map(|matrix| &matrix.weights).flat_map(|weight| weight.to_le_bytes());
        let layers: Vec<String> = matrices.iter().map(|matrix| matrix.layer.to_string()).collect();
        let heads: Vec<String> = matrices.iter().map(|matrix| matrix.head.to_string()).collect();
        let score = map.score.unwrap_or(f32::NAN).to_le_bytes();
        let arrays = [
            ("attention", npy("<f4", &shape, weights)),
            ("layers", strings(&layers)),
            ("heads", strings(&heads)),
            ("rows", strings(&selected.rows.labels)),
            ("columns", strings(&selected.columns.labels)),
            ("source", string(&map.source)),
            ("translation", string(&map.translation)),
            ("score", npy("<f4", &[], score)),
        ];
        for (name, array) in arrays {
            let name = match self.all_kinds {
                true => format!("{}/{}/{name}", map.line, map.kind),
                false => format!("{}/{name}", map.line),
            };
            self.put(&name, &array, out).ok_or_else(|| Error::Attention(format!("{name} is larger than 4 GiB")))?;
        }
        Ok(())
    }

    /// Appends the arrays about the whole file and what ends the archive.
    ///
    /// # Errors
    /// If there are more than half a thousand million lines.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<()> {
        let lines = npy("<i8", &[self.lines.len()], self.lines.iter().flat_map(|line| line.to_le_bytes()));
        self.put("lines", &lines, out).ok_or_else(|| Error::Attention("too many lines for one archive".to_owned()))?;
        for (name, value) in ["kind", "unit", "align_on", "eos"].iter().zip(self.about.into_iter().flatten()) {
            self.put(name, &string(value), out).unwrap_or_default();
        }
        self.archive.finish(out);
        Ok(())
    }

    fn put(&mut self, name: &str, array: &[u8], out: &mut Vec<u8>) -> Option<()> {
        self.archive.add(&format!("{name}.npy"), array, out)
    }
}

/// A zero-dimensional array of one string.
fn string(text: &str) -> Vec<u8> {
    unicode(&[text], &[])
}

/// A one-dimensional array of strings.
fn strings(list: &[String]) -> Vec<u8> {
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    unicode(&list, &[list.len()])
}

/// NumPy's fixed-width strings: every one padded with zeros to the longest, four bytes a character.
fn unicode(list: &[&str], shape: &[usize]) -> Vec<u8> {
    let width = list.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
    let padded = list.iter().flat_map(|text| text.chars().map(u32::from).chain(std::iter::repeat(0)).take(width));
    npy(&format!("<U{width}"), shape, padded.flat_map(u32::to_le_bytes))
}

/// One array as an NPY file.
fn npy(kind: &str, shape: &[usize], data: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let shape: String = shape.iter().map(|size| format!("{size},")).collect();
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    // The data begins at a multiple of 64 bytes; 10 bytes precede the header, a newline ends it.
    let padding = 64 - (10 + header.len() + 1) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::{Selection, fixture};

    fn archive() -> Vec<u8> {
        let map = fixture::dog();
        let (mut npz, mut bytes) = (Npz::default(), Vec::new());
        npz.add(&map.select(&Selection::default()).unwrap(), &mut bytes).unwrap();
        npz.finish(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_documented_arrays_are_there() {
        let bytes = archive();
        let text = String::from_utf8_lossy(&bytes);
        for name in ["attention", "layers", "heads", "rows", "columns", "source", "translation", "score"] {
            assert!(text.contains(&format!("1/{name}.npy")), "{name}");
        }
        for name in ["lines", "kind", "unit", "align_on", "eos"] {
            assert!(text.contains(&format!("{name}.npy")), "{name}");
        }
    }

    #[test]
    fn an_array_header_is_aligned_and_tells_type_and_shape() {
        let bytes = npy("<f4", &[2, 3], [0; 24]);
        assert_eq!(bytes.len() % 64, 24);
        let header = String::from_utf8_lossy(&bytes[10..bytes.len() - 24]);
        assert!(header.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (2,3,), }"), "{header}");
        assert!(header.ends_with('\n'));
    }

    #[test]
    fn strings_are_padded_to_the_longest() {
        let bytes = strings(&["ä".to_owned(), "abc".to_owned()]);
        let data = &bytes[bytes.len() - 24..];
        assert_eq!(data[..4], [0xe4, 0, 0, 0]);
        assert_eq!(data[4..12], [0; 8]);
        assert_eq!(data[12..16], [b'a', 0, 0, 0]);
    }

    #[test]
    fn a_run_without_sentences_is_a_valid_archive() {
        let mut bytes = Vec::new();
        Npz::default().finish(&mut bytes).unwrap();
        assert_eq!(bytes[bytes.len() - 22..][..4], *b"PK\x05\x06");
    }
}
