//! Layers: weights with a forward pass over the rows of a backend.
//!
//! A layer keeps no state between calls. Rows are positions (encoder) or hypotheses (decoder); nothing here knows which.

mod embedding;
mod linear;
mod norm;
mod recurrent_cell;
mod relative_bias;

pub use embedding::{Embedding, Positions};
pub use linear::{Linear, load_matrix, load_output, stored_int8};
pub use norm::Norm;
pub use recurrent_cell::{CellScratch, CellState, RecurrentCell};
pub use relative_bias::{RelativeBias, load_relative_vectors};
