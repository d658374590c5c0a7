//! The SentencePiece normaliser: leftmost longest replacement rules, then white space.
//!
//! It works on bytes, as the reference library does: rules may start and end anywhere in a grapheme, so a combining
//! mark after a replaced character is kept.

use std::collections::BTreeMap;

use super::character_map::CharacterMap;
use super::proto::NormalizerSpec;
use super::protobuf::Malformed;
use super::trie::Trie;

/// U+2581, the visible form of a space inside pieces.
pub(super) const SPACE_SYMBOL: &str = "\u{2581}";
/// The reference library looks at most at this many user-defined pieces that match, shortest first.
const MAX_USER_DEFINED_MATCHES: usize = 64;

/// What is done about white space.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flags {
    pub(super) add_dummy_prefix: bool,
    pub(super) remove_extra_whitespaces: bool,
    pub(super) escape_whitespaces: bool,
    pub(super) treat_whitespace_as_suffix: bool,
}

/// Turns text into the form pieces are looked up in.
#[derive(Debug)]
pub(super) struct Normalizer {
    map: Option<CharacterMap>,
    user_defined: Option<Trie>,
    flags: Flags,
    space: &'static str,
    /// ASCII bytes that stand for themselves when another ASCII byte or nothing follows: no rule and no user-defined
    /// piece is, or could become, a match there. Most text is copied in runs of these.
    plain: [bool; 128],
    /// The same of the space.
    space_is_plain: bool,
}

impl Normalizer {
    /// Builds the normaliser a model file describes; `user_defined` pieces are kept as they are.
    pub(super) fn new(
        spec: &NormalizerSpec<'_>,
        treat_whitespace_as_suffix: bool,
        user_defined: Option<Trie>,
    ) -> Result<Self, Malformed> {
        let map = match spec.character_map {
            [] => None,
            bytes => Some(CharacterMap::parse(bytes)?),
        };
        let mut normalizer = Self {
            map,
            user_defined,
            flags: Flags {
                add_dummy_prefix: spec.add_dummy_prefix,
                remove_extra_whitespaces: spec.remove_extra_whitespaces,
                escape_whitespaces: spec.escape_whitespaces,
                treat_whitespace_as_suffix,
            },
            space: if spec.escape_whitespaces { SPACE_SYMBOL } else { " " },
            plain: [false; 128],
            space_is_plain: false,
        };
        normalizer.space_is_plain = normalizer.is_plain(b' ');
        for byte in 0..128_u8 {
            normalizer.plain[usize::from(byte)] = byte != b' ' && normalizer.is_plain(byte);
        }
        Ok(normalizer)
    }

    fn is_plain(&self, byte: u8) -> bool {
        let untouched_by_rules = self.map.as_ref().is_none_or(|map| {
            !map.has_prefix(&[byte])
                || (map.longest_prefix(&[byte]).is_none() && (0..128).all(|next| !map.has_prefix(&[byte, next])))
        });
        untouched_by_rules && self.user_defined.as_ref().is_none_or(|pieces| pieces.child(Trie::ROOT, byte).is_none())
    }

    /// What is done about white space.
    pub(super) fn flags(&self) -> Flags {
        self.flags
    }

    /// All replacement rules.
    pub(super) fn rules(&self) -> BTreeMap<Vec<u8>, String> {
        self.map.as_ref().map(CharacterMap::rules).unwrap_or_default()
    }

    /// Whether decoding drops a leading space symbol: the normaliser may have put it there.
    pub(super) fn drops_leading_space(&self) -> bool {
        self.flags.add_dummy_prefix || self.flags.remove_extra_whitespaces
    }

    /// Whether decoding drops every leading space symbol, not just the first.
    pub(super) fn drops_all_leading_spaces(&self) -> bool {
        self.flags.remove_extra_whitespaces
    }

    /// The normalised text. Time and memory are linear in the input's length.
    pub(super) fn normalize(&self, text: &str) -> Vec<u8> {
        let mut input = text.as_bytes();
        let mut output = Vec::new();
        if self.flags.remove_extra_whitespaces {
            while !input.is_empty() {
                let (" ", length) = self.prefix(input) else { break };
                input = &input[length..];
            }
        }
        if input.is_empty() {
            return output;
        }
        output.reserve(input.len() + input.len() / 2 + 2 * self.space.len());
        if self.flags.add_dummy_prefix && !self.flags.treat_whitespace_as_suffix {
            output.extend_from_slice(self.space.as_bytes());
        }
        let mut after_space = self.flags.remove_extra_whitespaces;
        while !input.is_empty() {
            let run = self.plain_run(input);
            if run > 0 {
                output.extend_from_slice(&input[..run]);
                input = &input[run..];
                after_space = false;
                continue;
            }
            if self.space_is_plain && input[0] == b' ' && input.get(1).is_none_or(u8::is_ascii) {
                if !after_space {
                    output.extend_from_slice(self.space.as_bytes());
                }
                after_space = self.flags.remove_extra_whitespaces;
                input = &input[1..];
                continue;
            }
            let (mut replacement, length) = self.prefix(input);
            if after_space {
                replacement = replacement.trim_start_matches(' ');
            }
            if !replacement.is_empty() {
                self.push(replacement, &mut output);
                after_space = self.flags.remove_extra_whitespaces && replacement.ends_with(' ');
            }
            input = &input[length..];
        }
        if self.flags.remove_extra_whitespaces {
            while output.ends_with(self.space.as_bytes()) {
                output.truncate(output.len() - self.space.len());
            }
        }
        if self.flags.add_dummy_prefix && self.flags.treat_whitespace_as_suffix {
            output.extend_from_slice(self.space.as_bytes());
        }
        output
    }

    /// How many bytes at the start of `input` are plain, see [`Self::plain`].
    #[inline]
    fn plain_run(&self, input: &[u8]) -> usize {
        let is_plain = |&byte: &u8| byte < 128 && self.plain[usize::from(byte)];
        let run = input.iter().position(|byte| !is_plain(byte)).unwrap_or(input.len());
        // The last one may be the first letter of a rule such as `a` + combining ring.
        if input.get(run).is_some_and(|&next| next >= 128) { run.saturating_sub(1) } else { run }
    }

    fn push(&self, replacement: &str, output: &mut Vec<u8>) {
        for (index, part) in replacement.split(' ').enumerate() {
            if index > 0 {
                output.extend_from_slice(self.space.as_bytes());
            }
            output.extend_from_slice(part.as_bytes());
        }
    }

    /// What the start of `input`, which is not empty, becomes, and how many bytes it is.
    #[inline]
    fn prefix<'a>(&'a self, input: &'a [u8]) -> (&'a str, usize) {
        if let Some(length) = self.user_defined.as_ref().and_then(|pieces| longest_user_defined(pieces, input)) {
            // A user-defined piece is valid UTF-8, so the bytes equal to it are too.
            if let Ok(piece) = std::str::from_utf8(&input[..length]) {
                return (piece, length);
            }
        }
        if let Some((length, replacement)) = self.map.as_ref().and_then(|map| map.longest_prefix(input)) {
            return (replacement, length);
        }
        let length = character_length(input[0]).min(input.len());
        match std::str::from_utf8(&input[..length]) {
            Ok(character) => (character, length),
            // Only after a rule that ended inside a character: the rest of it is no text any more.
            Err(_) => ("\u{fffd}", 1),
        }
    }
}

/// The length of the longest user-defined piece that `input` starts with.
#[inline]
pub(super) fn longest_user_defined(pieces: &Trie, input: &[u8]) -> Option<usize> {
    let mut node = Trie::ROOT;
    let mut longest = None;
    let mut matches = 0;
    for (index, &byte) in input.iter().enumerate() {
        let Some(child) = pieces.child(node, byte) else { break };
        node = child;
        if pieces.value(node).is_some() {
            longest = Some(index + 1);
            matches += 1;
            if matches == MAX_USER_DEFINED_MATCHES {
                break;
            }
        }
    }
    longest
}

/// The length of the UTF-8 character that starts with this byte.
#[inline]
pub(super) fn character_length(first: u8) -> usize {
    match first {
        0..0xc0 => 1,
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
    }
}
