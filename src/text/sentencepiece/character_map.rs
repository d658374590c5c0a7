//! The compiled character map of a SentencePiece normaliser: a double array from byte strings to replacements.
//!
//! The file format is that of Darts-clone: 32-bit units, each either a node (its label in the low byte, bit 8 set when
//! a key ends there, the distance to its children in the high bits) or a leaf (highest bit set, value in the others).

use std::collections::BTreeMap;

use super::protobuf::Malformed;

/// Byte-wise longest-prefix replacement rules.
#[derive(Debug)]
pub(super) struct CharacterMap {
    units: Vec<u32>,
    /// All replacements, each ended by a NUL.
    replacements: String,
}

/// The reference library collects at most this many matching rules, shortest first, before it takes the longest.
const MAX_MATCHES: usize = 32;
const LEAF: u32 = 1 << 31;

/// The byte a node stands for; no byte for a leaf.
fn label(unit: u32) -> u32 {
    unit & (LEAF | 0xff)
}

fn has_leaf(unit: u32) -> bool {
    unit & (1 << 8) != 0
}

fn offset(unit: u32) -> u32 {
    (unit >> 10) << ((unit & (1 << 9)) >> 6)
}

impl CharacterMap {
    /// Reads the map and checks that no step in it can leave its arrays.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let (size, rest) = bytes.split_first_chunk::<4>().ok_or("its character map is cut short")?;
        let size = u32::from_le_bytes(*size) as usize;
        if size < 1024 || !size.is_multiple_of(1024) {
            return Err("the trie of its character map has an impossible size");
        }
        let (trie, replacements) = rest.split_at_checked(size).ok_or("its character map is cut short")?;
        let replacements = std::str::from_utf8(replacements).map_err(|_| "its character map is not valid UTF-8")?;
        if !replacements.ends_with('\0') {
            return Err("the last replacement of its character map has no end");
        }
        let units: Vec<u32> =
            trie.chunks_exact(4).map(|unit| u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]])).collect();
        let map = Self { units, replacements: replacements.to_owned() };
        if map.is_sound() { Ok(map) } else { Err("the trie of its character map is damaged") }
    }

    /// Whether every child a node can have lies inside the array and every leaf points at the start of a character.
    fn is_sound(&self) -> bool {
        let root = self.units[0];
        if label(root) != 0 || has_leaf(root) || offset(root) == 0 {
            return false;
        }
        self.units.iter().enumerate().all(|(position, &unit)| {
            if label(unit) > 0xff {
                return self.replacements.is_char_boundary((unit & !LEAF) as usize)
                    && ((unit & !LEAF) as usize) < self.replacements.len();
            }
            let children = position ^ offset(unit) as usize;
            (children | 0xff) < self.units.len() && (!has_leaf(unit) || label(self.units[children]) > 0xff)
        })
    }

    /// The longest rule that matches the start of `input`: how many bytes it replaces, and by what.
    #[inline]
    pub(super) fn longest_prefix(&self, input: &[u8]) -> Option<(usize, &str)> {
        let mut position = offset(self.units[0]);
        let mut longest = None;
        let mut matches = 0;
        for (index, &byte) in input.iter().enumerate() {
            position ^= u32::from(byte);
            let unit = self.units[position as usize];
            if label(unit) != u32::from(byte) {
                break;
            }
            position ^= offset(unit);
            if has_leaf(unit) && matches < MAX_MATCHES {
                matches += 1;
                longest = Some((index + 1, self.units[position as usize] & !LEAF));
            }
        }
        let (length, start) = longest?;
        let tail = self.replacements.get(start as usize..)?;
        Some((length, tail.split_once('\0')?.0))
    }

    /// Whether a rule of exactly these bytes, or one that starts with them, exists.
    pub(super) fn has_prefix(&self, prefix: &[u8]) -> bool {
        let mut position = offset(self.units[0]);
        for &byte in prefix {
            position ^= u32::from(byte);
            let unit = self.units[position as usize];
            if label(unit) != u32::from(byte) {
                return false;
            }
            position ^= offset(unit);
        }
        true
    }

    /// All rules. The trie shares common endings, so it has more keys than units; the walk is bounded all the same,
    /// should a damaged file's trie lead back to itself.
    pub(super) fn rules(&self) -> BTreeMap<Vec<u8>, String> {
        let mut rules = BTreeMap::new();
        let mut open = vec![(Vec::new(), offset(self.units[0]))];
        let mut steps = 0_u32;
        while let Some((prefix, children)) = open.pop() {
            for byte in 0..=u8::MAX {
                let position = children ^ u32::from(byte);
                let unit = self.units[position as usize];
                if label(unit) != u32::from(byte) || prefix.len() >= 64 || steps > 1 << 22 {
                    continue;
                }
                steps += 1;
                let key = [&prefix[..], &[byte]].concat();
                if let Some((length, replacement)) = self.longest_prefix(&key).filter(|_| has_leaf(unit)) {
                    debug_assert_eq!(length, key.len());
                    rules.insert(key.clone(), replacement.to_owned());
                }
                open.push((key, position ^ offset(unit)));
            }
        }
        rules
    }
}
