//! CPU kernels: packed matrix products, attention, normalisation and vector mathematics on plain `f32` slices.
//!
//! Every function is row-independent: what it computes for one row never depends on how many rows it is given,
//! on their order, or on the number of threads. That is what makes a translation independent of its batch.
//! All `unsafe` code of the crate lives here (and in memory mapping), each block with its safety argument.

mod attention;
mod elementwise;
mod matrix;
mod workspace;

pub use attention::{KeyRows, attend, attend_additive};
pub use elementwise::{Activation, add_layer_norm, gru_gates, layer_norm, log_sum_exp, sigmoid, softmax, tanh};
pub use matrix::{PackedMatrix, Precision};
pub use workspace::Workspace;
