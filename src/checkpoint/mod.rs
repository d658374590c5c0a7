//! Tensors out of files under their stored names, and the JSON beside them. Knows no family of models and no kernel.

mod bytes;
mod dtype;
mod files;
mod keys;
mod parameters;
mod pickle;
mod pytorch;
mod safetensors;
mod stored;
mod weights;

pub use dtype::Dtype;
pub use files::ModelFiles;
pub use keys::Keys;
pub use parameters::{Parameters, Recipe};
pub use safetensors::write as write_safetensors;
pub use weights::{WEIGHT_FILES, Weights};
