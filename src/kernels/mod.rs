//! CPU kernels: packed matrix products, attention, normalisation and vector mathematics on plain `f32` slices.
//!
//! Every function is row-independent: what it computes for one row never depends on how many rows it is given,
//! on their order, or on the number of threads. That is what makes a translation independent of its batch.
//! All `unsafe` code of the crate lives here (and in memory mapping), each block with its safety argument.
//! The kernels are compiled for several instruction sets and chosen at run time ([`describe`] says which).

mod attention;
mod attention_memory;
mod attention_scores;
mod digits;
mod elementwise;
#[cfg(target_os = "linux")]
mod large_pages;
mod math;
mod matrix;
#[cfg(test)]
mod plain;
mod pool;
mod ranking;
mod relative_bias;
mod relative_vectors;
mod screen;
mod screen_buffers;
mod simd;
#[cfg(test)]
mod tests;
mod tile;
#[cfg(any(test, all(target_arch = "x86_64", target_os = "linux")))]
mod tile_products;
mod top_k;
mod workspace;

pub use attention::{KeysAndValues, attend, attend_additive, attend_f16, to_f16};
pub use attention_memory::AttentionMemory;
pub use attention_scores::{Coverage, additive_scores, divide_by_lengths, dot_scores, weigh};
pub use elementwise::{
    Activation, add, add_layer_norm, deviation_norm, gru_gates, layer_norm, log_sum_exp, lstm_gates, rms_norm, sigmoid,
    softmax, ssru, tanh,
};
#[cfg(target_os = "linux")]
pub use large_pages::LargePages;
pub use matrix::{PackedMatrix, Packer, Precision, SharedBytes, StoredInt8};
pub use ranking::{LogSumExp, Scored};
pub use relative_bias::RelativeBias;
pub use relative_vectors::RelativeVectors;
pub use screen::Screen;
pub use simd::InstructionSet;

pub use workspace::Workspace;

/// The instruction set the kernels use on this processor, for people: `AVX-512 VNNI`, `AVX2`, `NEON`, `portable`.
pub fn describe() -> String {
    InstructionSet::detect().to_string()
}
