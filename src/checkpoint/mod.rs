//! Tensors out of files under their stored names, and the JSON beside them. Knows no family of models and no kernel.

mod archive;
mod bytes;
mod container;
mod ctranslate2;
mod dtype;
mod fields;
mod files;
mod int8;
mod keys;
#[cfg(unix)]
mod mapping;
mod marian_binary;
mod npz;
mod parameters;
mod pickle;
mod pytorch;
mod recipe;
mod row_file;
mod safetensors;
mod stored;
mod weights;
mod yaml;

pub use archive::Archive;
pub use bytes::SharedBytes;
pub use container::read_pickle;
pub use dtype::Dtype;
pub use files::ModelFiles;
pub use int8::{Int8Part, SCALES, SUMS, panel_shape};
pub use keys::Keys;
pub use parameters::Parameters;
pub use recipe::{Block, Recipe};
pub use row_file::RowFile;
pub use safetensors::{ToWrite, Values, write as write_safetensors};
pub use weights::{WEIGHT_FILES, Weights};
pub use yaml::read as read_yaml;
