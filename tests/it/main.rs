//! The integration tests, one module a topic, in one binary so that the crate is linked once.

mod attention;
mod attention_page;
mod checkpoint;
mod checkpoint_errors;
mod cli;
mod convert;
mod eval;
#[cfg(feature = "hub")]
mod hub;
mod metrics;
mod pipeline;
mod program;
mod score;
mod text;
mod webdriver;
