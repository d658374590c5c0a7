//! The models this machine has, and what they are.

use std::path::PathBuf;

use serde_json::Value;

use super::{Opened, by_model_type, open_parameters};
use crate::checkpoint::{Dtype, ModelFiles, WEIGHT_FILES, Weights};
use crate::store::hub::HubSettings;
use crate::store::{Found, Location, find_all};
use crate::text::Vocabularies;

/// What `translate models` shows of one model.
#[derive(Clone, Debug)]
pub struct ModelSummary {
    /// What to give `--model`.
    pub name: String,
    /// Where it was found.
    pub location: Location,
    /// Source and target language, as far as the model says.
    pub languages: (Option<String>, Option<String>),
    /// What its weights are, or why they cannot be used (one line).
    pub weights: Result<WeightSummary, String>,
}

/// The weights of a model at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightSummary {
    /// The network: `transformer` or `gru`.
    pub network: &'static str,
    /// Number of parameters as stored; a tied matrix counts once for each name it is stored under.
    pub parameters: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// The number format most of them are in.
    pub precision: Dtype,
}

impl WeightSummary {
    /// The weights of a network.
    pub(super) fn of(weights: &Weights, network: &'static str) -> Self {
        let (parameters, bytes, precision) = weights.size();
        Self { network, parameters, bytes, precision }
    }
}

/// Lists built-in models, those in the Hugging Face cache, and those in or directly below each of `directories`.
/// Only headers are read. Directories that hold no model are passed over; models that cannot be used are listed with
/// the reason.
pub fn list_models(settings: &HubSettings, directories: &[PathBuf]) -> Vec<ModelSummary> {
    let found = find_all(settings, directories).into_iter();
    found.filter(|found| found.location == Location::Builtin || is_model(&found.files)).map(summarise).collect()
}

/// Whether a directory holds a model of ours: a config that names a supported family, and weights, or the weights of a toolkit
/// that needs no such config. The cache is full of other people's models, which are nobody's error.
fn is_model(files: &ModelFiles) -> bool {
    let config = json(files, "config.json");
    let model_type = config.as_ref().and_then(|config| config.get("model_type")?.as_str());
    let own_name = config.as_ref().and_then(|config| config.get("weights")?.as_str());
    match model_type {
        Some(model_type) => {
            by_model_type(model_type).is_some() && WEIGHT_FILES.into_iter().chain(own_name).any(|name| files.has(name))
        }
        None => open_parameters(files).is_ok(),
    }
}

fn json(files: &ModelFiles, name: &str) -> Option<Value> {
    serde_json::from_slice(&files.read(name).ok()??).ok()
}

fn summarise(found: Found) -> ModelSummary {
    let Found { name, location, files } = found;
    let languages = languages(&name, &files);
    let weights = weights(&files).map_err(|error| error.to_string());
    ModelSummary { name, location, languages, weights }
}

fn weights(files: &ModelFiles) -> crate::Result<WeightSummary> {
    // What it takes to be used, but for the values of the weights.
    let opened = Opened::open(files)?;
    opened.check_layers()?;
    opened.vocabularies(files)?;
    Ok(WeightSummary::of(opened.parameters.weights(), opened.layout.network()))
}

/// What the tokenizer's config says, else what the name of an OPUS-MT model says (`opus-mt-tc-big-en-pt`).
pub(super) fn languages(name: &str, files: &ModelFiles) -> (Option<String>, Option<String>) {
    let config = json(files, "config.json");
    let elsewhere = config.as_ref().and_then(|config| config.get("vocabulary")?.as_str());
    let vocabulary = elsewhere.map_or_else(|| Ok(files.clone()), |elsewhere| files.directory(elsewhere));
    if let Some((source, target)) = vocabulary.ok().as_ref().and_then(Vocabularies::pair) {
        return (Some(source), Some(target));
    }
    let parts: Vec<&str> = name.rsplit(['/', '\\']).next().unwrap_or_default().split('-').collect();
    match parts.as_slice() {
        ["opus", "mt", .., source, target] => (Some((*source).to_owned()), Some((*target).to_owned())),
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_opus_model_gives_its_languages_when_nothing_else_does() {
        let nowhere = ModelFiles::Directory(PathBuf::from("no-such-directory"));
        let pair = |name: &str| languages(name, &nowhere);
        let both = |source: &str, target: &str| (Some(source.to_owned()), Some(target.to_owned()));
        assert_eq!(pair("Helsinki-NLP/opus-mt-fr-en"), both("fr", "en"));
        assert_eq!(pair("models/opus-mt-tc-big-en-pt"), both("en", "pt"));
        assert_eq!(pair("my-model"), (None, None));
    }
}
