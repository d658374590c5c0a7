//! Offline neural translation: Transformer and GRU sequence-to-sequence models, batched greedy and beam search, and
//! the attention behind every word.
//!
//! One text:
//!
//! ```
//! # fn main() -> translate::Result<()> {
//! # if !cfg!(feature = "builtin-models") { return Ok(()); }
//! let translator = translate::Translator::builder().model("transformer").threads(2).build()?;
//! assert_eq!(translator.translate_text("Ein Hund läuft.")?, "A dog is running.");
//! # Ok(())
//! # }
//! ```
//!
//! Lines as they come, in batches and in order:
//!
//! ```
//! # fn main() -> translate::Result<()> {
//! # if !cfg!(feature = "builtin-models") { return Ok(()); }
//! use translate::{Precision, Translator};
//!
//! let translator = Translator::builder().model("gru").precision(Precision::Int8).build()?;
//! let lines = ["Ein Hund läuft.", "", "Zwei Kinder spielen."].map(str::to_owned);
//! let translations = translator.translate_lines(lines).collect::<translate::Result<Vec<String>>>()?;
//! assert_eq!(translations.len(), 3);
//! # Ok(())
//! # }
//! ```
//!
//! The attention behind a translation, `[layers, heads, target pieces, source pieces]`:
//!
//! ```
//! # fn main() -> translate::Result<()> {
//! # if !cfg!(feature = "builtin-models") { return Ok(()); }
//! use translate::model::Record;
//! use translate::{Translator, Workspace};
//!
//! let translator = Translator::builder().model("transformer").build()?;
//! let record = Record { cross: true, ..Record::default() };
//! let options = translator.search_options();
//! let translations = translator.translate(&["Ein Hund.".into()], &options, record, &mut Workspace::new(1))?;
//! let attention = translations[0].best().and_then(|best| best.hypothesis.cross_attention.as_ref()).expect("recorded");
//! assert_eq!(attention.columns, translations[0].source.len());
//! # Ok(())
//! # }
//! ```
//!
//! `examples/` has whole programs; ARCHITECTURE.md is the drawing of the house.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod checkpoint;
pub mod compute;
pub mod documents;
pub mod error;
pub mod inspect;
pub mod kernels;
pub mod layouts;
pub mod metrics;
pub mod model;
pub mod nn;
pub mod pipeline;
pub mod protect;
pub mod search;
pub mod spec;
pub mod store;
pub mod text;
mod translator;

pub use compute::{BackendName, Device, Precision, Workspace};
pub use error::{Error, Result};
pub use translator::{
    CandidateTranslation, Request, SOURCE_LIMIT, Translation, Translator, TranslatorBuilder, languages_of,
};
