//! Offline neural translation: Transformer and GRU sequence-to-sequence models, batched greedy and beam search, and
//! the attention behind every word.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod checkpoint;
pub mod compute;
pub mod error;
pub mod inspect;
pub mod kernels;
pub mod layouts;
pub mod metrics;
pub mod model;
pub mod nn;
pub mod pipeline;
pub mod search;
pub mod spec;
pub mod store;
pub mod text;
mod translator;

pub use compute::{BackendName, Device, Precision, Workspace};
pub use error::{Error, Result};
pub use translator::{CandidateTranslation, Request, SOURCE_LIMIT, Translation, Translator, TranslatorBuilder};
