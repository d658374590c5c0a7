//! Seeing what the model looked at: attention maps, hard word alignments, and their pictures.
//!
//! An [`AttentionMap`] is everything recorded about one sentence: its pieces, its words and the weights of every layer
//! and head. [`select`](AttentionMap::select) reduces it to the matrices a person asked for, [`align`] turns those into
//! word links, and each output format has one file: `text`, `json`, `tsv`, `npz`, `pharaoh`, `svg` and `html`.
//!
//! Nothing here knows how attention was computed. Every map is checked on the way in: the weights must have the shape
//! the pieces promise, and every row must sum to 1.

mod map;
mod select;

pub mod json;
pub mod text;

#[cfg(test)]
mod fixture;

pub use map::{AttentionMap, Kind, Word};
pub use select::{AlignOn, Axis, Choice, HeadChoice, LayerChoice, Matrix, Selected, Selection};
