//! Seeing what the model looked at: attention maps, hard word alignments, and their pictures.
//!
//! An [`AttentionMap`] is everything recorded about one sentence: its pieces, its words and the weights of every layer
//! and head. [`select`](AttentionMap::select) reduces it to the matrices a person asked for, [`align`] turns those into
//! word links, and each output format has one file: `text`, `json`, `tsv`, `npz`, `pharaoh`, `svg`, `picture` (what `svg`
//! draws, as PNG and PDF) and `html`.
//!
//! Nothing here knows how attention was computed. Every map is checked on the way in: the weights must have the shape
//! the pieces promise, and every row must sum to 1.

mod map;
mod record;
mod render;
mod select;

pub mod align;
pub mod html;
pub mod json;
pub mod npz;
#[cfg(feature = "pictures")]
mod pdf;
pub mod pharaoh;
mod picture;
pub mod rank;
pub mod svg;
pub mod text;
pub mod tsv;
mod view;
mod zip;

#[cfg(test)]
mod fixture;

pub use map::{AttentionMap, Kind, Meaning};
pub use render::{Format, RenderOptions, Renderer};
pub use select::{AlignOn, Axis, Choice, HeadChoice, LayerChoice, Matrix, Selected, Selection};
pub use view::{TokenProbability, View};

/// Whether a text runs from right to left: whether its first letter does.
pub(crate) fn is_right_to_left(text: &str) -> bool {
    let first = text.chars().find(|character| character.is_alphabetic());
    first.is_some_and(|letter| {
        matches!(u32::from(letter), 0x590..=0x8ff | 0xfb1d..=0xfdff | 0xfe70..=0xfeff | 0x10800..=0x10fff | 0x1e800..=0x1efff)
    })
}

/// The text with control characters (which could drive the terminal) shown as their pictures, `␛` for escape.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\0'..='\x1f' => char::from_u32(0x2400 + character as u32).unwrap_or('\u{fffd}'),
            '\x7f' => '\u{2421}',
            // C1 controls and the marks that reverse the direction of what follows.
            '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            other => other,
        })
        .collect()
}
