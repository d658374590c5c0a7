//! The integration tests, one module a topic, in one binary so that the crate is linked once.

mod allocations;
mod architecture;
mod attention;
mod attention_kinds;
mod attention_page;
#[cfg(feature = "builtin-models")]
mod builtin;
mod checkpoint;
mod checkpoint_errors;
mod cli;
mod completions;
mod constraints;
mod convert;
mod decoding_steps;
mod directories;
#[cfg(feature = "builtin-models")]
mod document_command;
#[cfg(all(feature = "builtin-models", feature = "html"))]
mod document_markup;
mod documents;
mod engines;
mod ensemble;
mod eval;
mod families;
mod family_texts;
mod forms;
mod fuzz;
mod gru_published_size;
#[cfg(feature = "hub")]
mod hub;
mod input_contents;
mod instruction_sets;
mod layouts;
#[cfg(target_os = "linux")]
mod loading_memory;
mod messages;
mod metrics;
mod model_files;
mod moses;
mod outputs;
mod parity;
mod pickles;
mod pipeline;
mod pipeline_properties;
mod program;
#[cfg(feature = "builtin-models")]
mod protect;
mod recurrent;
mod recurrent_layouts;
mod recurrent_settings;
mod score;
mod search_variants;
mod segmentation;
#[cfg(feature = "builtin-models")]
mod sentences;
mod shards;
mod text;
mod tiny_model;
mod toolkits;
mod webdriver;
#[cfg(feature = "builtin-models")]
mod words;
