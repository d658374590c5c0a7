//! The models compiled into the binary (cargo feature `builtin-models`).

use crate::checkpoint::ModelFiles;

/// File names and contents.
type Files = &'static [(&'static str, &'static [u8])];

#[cfg(feature = "builtin-models")]
mod included {
    use super::Files;
    // Written by build.rs from what lies in models/ and vocab/.
    include!(concat!(env!("OUT_DIR"), "/builtin.rs"));
}

#[cfg(not(feature = "builtin-models"))]
mod included {
    use super::Files;
    pub(super) static MODELS: &[(&str, Files)] = &[];
    pub(super) static VOCABULARY: Files = &[];
}

/// The names of the built-in models.
pub fn names() -> impl Iterator<Item = &'static str> {
    included::MODELS.iter().map(|(name, _)| *name)
}

/// The files of a built-in model.
pub fn find(name: &str) -> Option<ModelFiles> {
    let &(name, files) = included::MODELS.iter().find(|(builtin, _)| *builtin == name)?;
    Some(ModelFiles::Builtin { name, files, vocabulary: included::VOCABULARY })
}
