//! The models this machine has: built in, in the Hugging Face cache, in local directories.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::hub::{HubSettings, cached_snapshot};
use super::layout::Family;
use super::{Dtype, ModelFiles, WEIGHT_FILES, Weights, builtin};

/// Where a model was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// Compiled into the binary.
    Builtin,
    /// In the Hugging Face cache.
    Cached,
    /// In a directory.
    Local,
}

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
    /// The architecture.
    pub family: Family,
    /// Number of parameters as stored; a tied matrix counts once for each name it is stored under.
    pub parameters: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// The number format most of them are in.
    pub precision: Dtype,
}

/// Lists built-in models, those in the Hugging Face cache, and those in or directly below each of `directories`.
/// Only headers are read. Directories that hold no model are passed over; models that cannot be used are listed with
/// the reason.
pub fn list_models(settings: &HubSettings, directories: &[PathBuf]) -> Vec<ModelSummary> {
    let mut models = Vec::new();
    for name in builtin::names() {
        if let Some(files) = builtin::find(name) {
            models.push(summarise(name.to_owned(), Location::Builtin, &files));
        }
    }
    for repository in subdirectories(&settings.cache) {
        let folder = repository.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((organisation, name)) = folder.strip_prefix("models--").and_then(|id| id.split_once("--")) else {
            continue;
        };
        if let Some(snapshot) = cached_snapshot(&repository).filter(|snapshot| is_model(snapshot)) {
            let files = ModelFiles::Directory(snapshot);
            models.push(summarise(format!("{organisation}/{name}"), Location::Cached, &files));
        }
    }
    for directory in directories {
        let below = subdirectories(directory);
        for path in std::iter::once(directory.clone()).chain(below).filter(|path| is_model(path)) {
            let name = path.display().to_string();
            models.push(summarise(name, Location::Local, &ModelFiles::Directory(path)));
        }
    }
    models
}

/// Whether a directory holds a model of ours: a config that names a supported architecture, and weights. The cache is
/// full of other people's models, which are nobody's error.
fn is_model(directory: &Path) -> bool {
    let files = ModelFiles::Directory(directory.to_owned());
    let config = json(&files, "config.json");
    let model_type = config.as_ref().and_then(|config| config.get("model_type")?.as_str());
    model_type.and_then(Family::from_model_type).is_some()
        && WEIGHT_FILES.iter().any(|name| directory.join(name).exists())
}

fn subdirectories(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut paths: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    paths.sort();
    paths
}

fn json(files: &ModelFiles, name: &str) -> Option<Value> {
    serde_json::from_slice(&files.read(name).ok()??).ok()
}

fn summarise(name: String, location: Location, files: &ModelFiles) -> ModelSummary {
    let languages = languages(&name, files);
    let weights = Weights::open(files).map(|weights| weights.summary()).map_err(|error| error.to_string());
    ModelSummary { name, location, languages, weights }
}

/// What the tokenizer's config says, else what the name of an OPUS-MT model says (`opus-mt-tc-big-en-pt`).
fn languages(name: &str, files: &ModelFiles) -> (Option<String>, Option<String>) {
    let config = json(files, "config.json");
    let elsewhere = config.as_ref().and_then(|config| config.get("vocabulary")?.as_str());
    let vocabulary = elsewhere.map_or_else(|| Ok(files.clone()), |elsewhere| files.directory(elsewhere));
    if let Some(tokenizer) = vocabulary.ok().and_then(|vocabulary| json(&vocabulary, "tokenizer_config.json")) {
        let language = |key: &str| tokenizer.get(key)?.as_str().map(str::to_owned);
        if let (Some(source), Some(target)) = (language("source_lang"), language("target_lang")) {
            return (Some(source), Some(target));
        }
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
