//! Layers: weights with a forward pass over row-major `f32` slices.
//!
//! A layer keeps no state between calls. Rows are positions (encoder) or hypotheses (decoder); nothing here knows which.

mod embedding;
mod gru;
mod linear;
mod norm;
mod slots;

pub use embedding::{Embedding, Positions};
pub use gru::GruCell;
pub use linear::Linear;
pub use norm::LayerNorm;
pub use slots::Slots;
