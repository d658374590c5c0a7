//! The integration tests, one module a topic, in one binary so that the crate is linked once.

mod checkpoint;
mod metrics;
mod text;
