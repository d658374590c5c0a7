//! Models by their Hugging Face name: the local cache, and (cargo feature `hub`) downloading into it.
//!
//! The cache is the one every Hugging Face tool shares: `models--ORG--NAME/refs/main` names a revision,
//! `snapshots/REVISION/` holds its files as links into `blobs/`.

#[cfg(feature = "hub")]
mod download;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::checkpoint::WEIGHT_FILES;
use crate::{Error, Result};

/// Where the cache is and how to reach the hub.
#[derive(Clone, Debug)]
pub struct HubSettings {
    /// The cache directory (`HF_HUB_CACHE`, else `HF_HOME/hub`, else `~/.cache/huggingface/hub`).
    pub cache: PathBuf,
    /// The hub's address (`HF_ENDPOINT`).
    pub endpoint: String,
    /// An access token (`HF_TOKEN`, or the file that `hf auth login` writes), sent to `endpoint` only.
    pub token: Option<String>,
    /// Never use the network (`HF_HUB_OFFLINE`).
    pub offline: bool,
    /// What is wrong with a `model_type`, if anything: asked before large files are downloaded.
    pub refuses: fn(&str) -> Option<String>,
    /// Told what is about to be downloaded, before its weights are.
    pub announce: fn(&Announcement<'_>),
    /// A server that says nothing for so long, or sends next to nothing in that time, is given up on.
    pub patience: Duration,
}

/// A model that is about to be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement<'a> {
    /// `org/name`.
    pub name: &'a str,
    /// Bytes of its weights, if the hub says.
    pub bytes: Option<u64>,
    /// The licence its authors name, as the hub abbreviates it (`apache-2.0`), if they do.
    pub licence: Option<&'a str>,
}

impl HubSettings {
    /// Settings from the environment variables every Hugging Face tool reads.
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let user_cache = || match variable("XDG_CACHE_HOME") {
            Some(directory) => PathBuf::from(directory),
            None => {
                let home = variable("HOME").or_else(|| variable("USERPROFILE")).unwrap_or_else(|| ".".to_owned());
                Path::new(&home).join(".cache")
            }
        };
        let home = variable("HF_HOME").map_or_else(|| user_cache().join("huggingface"), PathBuf::from);
        let saved_token = || {
            let path = variable("HF_TOKEN_PATH").map_or_else(|| home.join("token"), PathBuf::from);
            std::fs::read_to_string(path).ok()
        };
        let token = variable("HF_TOKEN").or_else(saved_token).map(|token| token.trim().to_owned());
        let is_true = |value: String| ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str());
        Self {
            cache: variable("HF_HUB_CACHE").map_or_else(|| home.join("hub"), PathBuf::from),
            endpoint: variable("HF_ENDPOINT").map_or_else(
                || "https://huggingface.co".to_owned(),
                |endpoint| endpoint.trim_end_matches('/').to_owned(),
            ),
            token: token.filter(|token| !token.is_empty()),
            offline: variable("HF_HUB_OFFLINE").is_some_and(is_true),
            refuses: |_| None,
            announce: |_| {},
            patience: Duration::from_secs(8),
        }
    }

    /// The cache directory of one model.
    fn repository(&self, name: &str) -> PathBuf {
        self.cache.join(format!("models--{}", name.replace('/', "--")))
    }
}

/// How far a download has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The file being downloaded.
    pub file: String,
    /// Bytes there, an earlier attempt's included.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Whether `name` has the form `org/name`.
pub fn is_hub_name(name: &str) -> bool {
    let is_part = |part: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.is_empty() && !part.starts_with('.') && !part.contains("..") && part.chars().all(allowed)
    };
    name.split_once('/').is_some_and(|(organisation, name)| is_part(organisation) && is_part(name))
}

/// The snapshot of a model that a revision name (a branch) points at in the cache.
pub(super) fn cached_snapshot(repository: &Path) -> Option<PathBuf> {
    let revision = std::fs::read_to_string(repository.join("refs/main")).ok()?;
    let revision = revision.trim();
    // A reference is a name, never a path.
    let is_name = !revision.is_empty() && revision.chars().all(|c| c.is_ascii_alphanumeric());
    Some(repository.join("snapshots").join(revision)).filter(|snapshot| is_name && snapshot.is_dir())
}

/// Each of these makes a vocabulary, or shows that there is one, without Marian's three files.
const VOCABULARIES: [&str; 9] = [
    "tokenizer.json",
    "source_tokenizer.json",
    "sentencepiece.bpe.model",
    "spiece.model",
    "sentencepiece.model",
    "merges.txt",
    "vocab-src.json",
    "vocab.txt",
    "source_vocab.txt",
];

/// What a snapshot lacks to be a model: `None` if nothing.
fn missing_file(snapshot: &Path) -> Option<&'static str> {
    let has = |name: &str| snapshot.join(name).exists();
    if !has("config.json") {
        return Some("config.json");
    }
    let Some(weights) = WEIGHT_FILES.iter().find(|name| has(name)) else { return Some("model.safetensors") };
    if weights.ends_with(".index.json") && !shard_names(snapshot, weights).iter().all(|name| has(name)) {
        return Some("a part of its weights");
    }
    let is_bytes = || {
        let config = std::fs::read_to_string(snapshot.join("tokenizer_config.json"));
        config.is_ok_and(|config| config.contains("ByT5Tokenizer"))
    };
    if VOCABULARIES.iter().any(|name| has(name)) || is_bytes() {
        return None;
    }
    ["vocab.json", "source.spm", "target.spm"].into_iter().find(|name| !has(name))
}

/// The files an index of sharded weights names; empty when it cannot be read.
fn shard_names(snapshot: &Path, index: &str) -> Vec<String> {
    let read = || -> Option<Vec<String>> {
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(snapshot.join(index)).ok()?).ok()?;
        let names = json.get("weight_map")?.as_object()?.values();
        Some(names.filter_map(|name| name.as_str().map(str::to_owned)).collect())
    };
    let mut names = read().unwrap_or_default();
    names.sort_unstable();
    names.dedup();
    names
}

/// The directory of a Hugging Face model, downloading what is missing where that is possible and allowed.
pub(super) fn find(name: &str, settings: &HubSettings, progress: &mut dyn FnMut(&Progress)) -> Result<PathBuf> {
    let snapshot = cached_snapshot(&settings.repository(name));
    let missing = match &snapshot {
        Some(snapshot) => missing_file(snapshot),
        None => Some("the model"),
    };
    match (snapshot, missing) {
        (Some(snapshot), None) => Ok(snapshot),
        (_, missing) => fetch(name, missing.unwrap_or("the model"), settings, progress),
    }
}

#[cfg(feature = "hub")]
fn fetch(name: &str, missing: &str, settings: &HubSettings, progress: &mut dyn FnMut(&Progress)) -> Result<PathBuf> {
    if settings.offline {
        return Err(not_cached(name, missing, "and HF_HUB_OFFLINE forbids downloading it"));
    }
    download::download(name, settings, progress)
}

#[cfg(not(feature = "hub"))]
fn fetch(name: &str, missing: &str, _: &HubSettings, _: &mut dyn FnMut(&Progress)) -> Result<PathBuf> {
    Err(not_cached(name, missing, "and this build does not download (cargo feature `hub`)"))
}

/// The one line for a model that is not in the cache and cannot be fetched.
fn not_cached(name: &str, missing: &str, why: &str) -> Error {
    Error::model(
        name,
        format!(
            "{missing} is not in the Hugging Face cache {why}; run `hf download {name}` where there is a network, or give \
             the directory of a copy"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> HubSettings {
        let find = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        HubSettings::from_variables(find)
    }

    #[test]
    fn the_cache_is_where_other_tools_keep_it() {
        let cache = |variables: &[(&str, &str)]| settings(variables).cache;
        assert_eq!(cache(&[("HOME", "/home/me")]), Path::new("/home/me/.cache/huggingface/hub"));
        assert_eq!(cache(&[("HOME", "/h"), ("HF_HOME", "/data/hf")]), Path::new("/data/hf/hub"));
        assert_eq!(cache(&[("HF_HOME", "/data/hf"), ("HF_HUB_CACHE", "/c")]), Path::new("/c"));
        assert_eq!(cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), Path::new("/x/huggingface/hub"));
    }

    #[test]
    fn the_hub_is_configured_like_other_tools() {
        let plain = settings(&[("HOME", "/nowhere")]);
        assert_eq!((plain.endpoint.as_str(), plain.token, plain.offline), ("https://huggingface.co", None, false));
        let set = settings(&[("HF_ENDPOINT", "http://mirror/"), ("HF_TOKEN", "secret\n"), ("HF_HUB_OFFLINE", "1")]);
        assert_eq!((set.endpoint.as_str(), set.token.as_deref(), set.offline), ("http://mirror", Some("secret"), true));
    }

    #[test]
    fn a_hub_name_is_an_organisation_and_a_name() {
        assert!(is_hub_name("Helsinki-NLP/opus-mt-fr-en"));
        for other in ["opus-mt", "a/b/c", "/a", "a/", "../a", "a/..", "a b/c", "./a"] {
            assert!(!is_hub_name(other), "{other}");
        }
    }
}
