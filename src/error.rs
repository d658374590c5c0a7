//! The one error type: every message says what is wrong, where, and what to do about it.

use std::path::{Path, PathBuf};

/// Characters of a message about a model.
const LONGEST_PROBLEM: usize = 800;

/// Everything that can go wrong below the command line.
///
/// `Display` gives one line, fit to be shown to the person as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked for something impossible (exit status 2 on the command line).
    #[error("{0}")]
    Usage(String),
    /// A model directory, checkpoint or vocabulary file is missing, damaged or of an unsupported kind.
    #[error("{}: {problem}", path.display())]
    Model {
        /// The file or directory the problem is in.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// One line of the input cannot be used.
    #[error("{name}: line {line}: {problem}")]
    Input {
        /// File name, or `standard input`.
        name: String,
        /// Counted from 1.
        line: u64,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The operating system refused a file operation.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file that was being read or written.
        path: PathBuf,
        /// The operating system's own reason.
        source: std::io::Error,
    },
    /// A text that cannot be expressed in the model's vocabulary.
    #[error("{0}")]
    Text(String),
    /// A device cannot be used, or failed.
    #[error("{device}: {problem}")]
    Device {
        /// Which one.
        device: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Recorded attention that does not fit its sentence or whose rows do not sum to 1.
    #[error("{0}")]
    Attention(String),
}

/// `std::result::Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A problem with a model file or directory.
    pub fn model(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        // Messages quote the file, which may contain anything; a message is one line all the same.
        let mut problem = problem.into().replace('\n', "\\n").replace('\r', "\\r");
        // A shape of a thousand axes is quoted as far as anybody reads.
        if let Some((end, _)) = problem.char_indices().nth(LONGEST_PROBLEM) {
            problem.truncate(end);
            problem.push('…');
        }
        Self::Model { path: path.as_ref().to_owned(), problem }
    }

    /// A device that cannot be used or failed, in one line.
    pub fn device(device: impl std::fmt::Display, problem: impl std::fmt::Display) -> Self {
        let problem = problem.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        Self::Device { device: device.to_string(), problem }
    }

    /// Where a device ran out of memory: says how many sentences were translated together.
    #[must_use]
    pub fn in_batch_of(self, sentences: usize) -> Self {
        match self {
            Self::Device { device, problem } if problem.to_lowercase().contains("memory") => {
                let problem = format!(
                    "out of memory with a batch of {sentences} sentences; try a smaller --batch-size or --beam-size ({problem})"
                );
                Self::Device { device, problem }
            }
            other => other,
        }
    }

    /// A refused file operation.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_owned(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_runs_out_names_the_batch() {
        let error =
            Error::device("cuda:0", "DriverError(CUDA_ERROR_OUT_OF_MEMORY,\n \"out of memory\")").in_batch_of(64);
        let message = error.to_string();
        assert!(message.starts_with("cuda:0: out of memory with a batch of 64 sentences"), "{message}");
        assert!(!message.contains('\n'));
        assert!(!Error::device("cuda:0", "no such device").in_batch_of(64).to_string().contains("batch"));
    }

    #[test]
    fn a_message_is_one_line_whatever_it_quotes() {
        let error = Error::model("source.spm", "piece `a\r\nb` is no piece");
        assert_eq!(error.to_string(), "source.spm: piece `a\\r\\nb` is no piece");
        let long = Error::model("model.safetensors", "ü".repeat(3000)).to_string();
        assert!(long.ends_with("ü…") && long.chars().count() < 1000);
    }
}
