//! A Transformer written out: config.json holds the whole [`Spec`] and the frame of a sentence, the tensors have the names our
//! layers ask for, and `pieces.json` holds the vocabularies. `translate convert` writes checkpoints of other toolkits so, and
//! with it any network can be described that can be computed.

use serde_json::{Map, Value, json};

use super::rules::Rule;
use super::{Layout, Lists};
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights};
use crate::spec::{Spec, Transformer};
use crate::text::{Frame, Part, PieceList};
use crate::{Error, Result};

/// The file of the vocabularies.
pub(super) const PIECES: &str = "pieces.json";

/// The family.
pub(super) struct WrittenOut;

impl Layout for WrittenOut {
    fn name(&self) -> &'static str {
        "transformer"
    }

    fn toolkit(&self, _files: &ModelFiles, _weights: &Weights) -> (&'static str, Option<String>) {
        ("translate", None)
    }

    fn recognises(&self, _tensors: &[&str], _said: &Map<String, Value>) -> bool {
        false
    }

    fn rules(&self) -> &'static [Rule] {
        &[]
    }

    fn spec(&self, keys: &Keys, _parameters: &Parameters) -> Result<Spec> {
        let spec: Transformer = read(keys, "network")?;
        spec.check().map_err(|problem| keys.error(format!("`network`: {problem}")))?;
        Ok(Spec::Transformer(spec))
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        written_frame(keys, spec)
    }

    fn lists(&self, files: &ModelFiles, _keys: &Keys) -> Result<Option<Lists>> {
        let missing = || Error::model(files.path(PIECES), "this file of the vocabulary is missing; add it");
        pieces_file(files)?.map_or_else(|| Err(missing()), |lists| Ok(Some(lists)))
    }
}

/// The frame of a sentence by the key `frame`.
///
/// # Errors
/// If it is no frame, or names a token outside the vocabulary.
pub(super) fn written_frame(keys: &Keys, spec: &Spec) -> Result<Frame> {
    let frame: Frame = read(keys, "frame")?;
    let size = spec.vocabulary_sizes().1;
    keys.in_vocabulary("frame.end", frame.end, size)?;
    if let Part::Id(start) = frame.start {
        keys.in_vocabulary("frame.start", start, size)?;
    }
    Ok(frame)
}

/// The vocabularies in [`PIECES`], if there is such a file.
///
/// # Errors
/// If it is damaged.
pub(super) fn pieces_file(files: &ModelFiles) -> Result<Option<Lists>> {
    let path = files.path(PIECES);
    let Some(bytes) = files.read(PIECES)? else { return Ok(None) };
    let wrong = |error: String| Error::model(&path, format!("not a usable vocabulary: {error}"));
    let mut sides: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    let mut side = |name: &str| -> Result<Option<PieceList>> {
        let Some(side) = sides.remove(name) else { return Ok(None) };
        let list: PieceList = serde_json::from_value(side).map_err(|error| wrong(error.to_string()))?;
        Ok(Some(PieceList { path: path.clone(), ..list }))
    };
    let source = side("source")?.ok_or_else(|| wrong("it has no `source`".to_owned()))?;
    Ok(Some((source, side("target")?)))
}

/// A key as what it stands for.
fn read<T: serde::de::DeserializeOwned>(keys: &Keys, key: &str) -> Result<T> {
    let value = keys.value(key).cloned().ok_or_else(|| keys.error(format!("`{key}` is missing")))?;
    serde_json::from_value(value).map_err(|error| keys.error(format!("`{key}`: {error}")))
}

/// Keys that are kept of a configuration, whatever its family: they are this program's.
const KEPT: [&str; 5] = ["segmentation", "text_defaults", "alignment", "source_lang", "target_lang"];

/// The keys of a network and its frame; those by which its own toolkit described it are left out.
pub(super) fn config(spec: &Transformer, frame: &Frame, from: &str, own: &Map<String, Value>) -> Map<String, Value> {
    let mut config = described(WrittenOut.name(), from, own);
    config.insert("network".to_owned(), json!(spec));
    config.insert("frame".to_owned(), json!(frame));
    config
}

/// The keys that every written-out configuration begins with.
pub(super) fn described(model_type: &str, from: &str, own: &Map<String, Value>) -> Map<String, Value> {
    let keys = json!({"model_type": model_type, "converted_from": from, "is_encoder_decoder": true});
    let mut config = keys.as_object().cloned().unwrap_or_default();
    let kept = KEPT.iter().filter_map(|key| Some(((*key).to_owned(), own.get(*key)?.clone())));
    config.extend(kept);
    config
}

/// The contents of [`PIECES`].
pub(super) fn pieces((source, target): &Lists) -> Value {
    match target {
        Some(target) => json!({"source": source, "target": target}),
        None => json!({"source": source}),
    }
}
