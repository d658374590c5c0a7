//! A large `tokenizer.json` in a form that is read in a fraction of the time.
//!
//! `tokenizer.compact` lies beside the `tokenizer.json` it was made of, which stays the truth: where the two do not belong
//! together, the compact one is passed over. All numbers are little-endian:
//!
//! - eight bytes, `TOKENS1` and a line feed;
//! - `u64` length and `u64` checksum of `tokenizer.json`;
//! - `u32` length of a JSON text and the text: `tokenizer.json` without the pieces and merges of its model;
//! - `u32` number of pieces; for each a `u64`, its id (byte-pair encoding) or the bits of its `f64` score (unigram), a `u32`
//!   length and the text;
//! - `u32` number of merges; for each two `u32`, the places of its halves among the pieces.

use serde_json::Value;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::models::unigram::Unigram;
use tokenizers::{AddedToken, ModelWrapper, Tokenizer};

use super::TokenizerJson;
use crate::checkpoint::ModelFiles;
use crate::{Error, Result};

/// The name of the file.
pub const FILE: &str = "tokenizer.compact";
/// How it begins: what it is, and the version of its form.
const MAGIC: &[u8; 8] = b"TOKENS1\n";

/// The vocabulary of a model whose `tokenizer.json` has a compact form beside it; `None` if there is none that belongs to it.
///
/// # Errors
/// If a file cannot be read, or the compact form is damaged.
pub(super) fn open(files: &ModelFiles) -> Result<Option<TokenizerJson>> {
    let Some(bytes) = files.read(FILE)? else { return Ok(None) };
    let Some(original) = files.read("tokenizer.json")? else { return Ok(None) };
    let problem =
        |problem: &str| Error::model(files.path(FILE), format!("{problem}; remove it, tokenizer.json says all"));
    let mut reader = Reader(&bytes);
    if reader.take(8) != Some(MAGIC) {
        return Err(problem("not a compact tokenizer of this version"));
    }
    if reader.u64() != Some(original.len() as u64) || reader.u64() != Some(checksum(&original)) {
        return Ok(None);
    }
    let tokenizer = std::panic::catch_unwind(|| read(reader).map(TokenizerJson::of)).ok().flatten();
    let tokenizer = tokenizer.ok_or_else(|| problem("the compact tokenizer is damaged"))?;
    tokenizer.map(Some).map_err(|unusable| problem(&unusable))
}

/// The compact form of a `tokenizer.json`, if it is of a kind that has one (byte-pair encoding or unigram) and is read back
/// as the same tokenizer.
pub fn write(json: &[u8]) -> Option<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(json).ok()?;
    let model = value.get_mut("model")?.as_object_mut()?;
    let is_unigram = model.get("type").and_then(Value::as_str) == Some("Unigram");
    let mut pieces: Vec<(u64, String)> = match model.remove("vocab")? {
        Value::Object(ids) => ids.into_iter().map(|(piece, id)| Some((id.as_u64()?, piece))).collect::<Option<_>>()?,
        Value::Array(scored) if is_unigram => scored
            .iter()
            .map(|pair| Some((pair.get(1)?.as_f64()?.to_bits(), pair.get(0)?.as_str()?.to_owned())))
            .collect::<Option<_>>()?,
        _ => return None,
    };
    if !is_unigram {
        pieces.sort_unstable();
    }
    let mut merges = Vec::new();
    if let Some(Value::Array(pairs)) = model.remove("merges") {
        let places: std::collections::HashMap<&str, u32> =
            pieces.iter().enumerate().map(|(place, (_, piece))| (piece.as_str(), place as u32)).collect();
        for pair in &pairs {
            let (left, right) = match pair {
                Value::String(pair) => pair.split_once(' ')?,
                pair => (pair.get(0)?.as_str()?, pair.get(1)?.as_str()?),
            };
            merges.push([*places.get(left)?, *places.get(right)?]);
        }
    }
    let mut out = MAGIC.to_vec();
    out.extend((json.len() as u64).to_le_bytes());
    out.extend(checksum(json).to_le_bytes());
    let rest = value.to_string();
    let count = |out: &mut Vec<u8>, count: usize| out.extend((count as u32).to_le_bytes());
    count(&mut out, rest.len());
    out.extend(rest.as_bytes());
    count(&mut out, pieces.len());
    for (number, piece) in &pieces {
        out.extend(number.to_le_bytes());
        count(&mut out, piece.len());
        out.extend(piece.as_bytes());
    }
    count(&mut out, merges.len());
    merges.iter().flatten().for_each(|place| out.extend(place.to_le_bytes()));

    let same = std::panic::catch_unwind(|| {
        let (ours, theirs) = (read(Reader(&out[24..]))?, Tokenizer::from_bytes(json).ok()?);
        let parts = |tokenizer: &Tokenizer| serde_json::to_value(tokenizer).ok();
        (parts(&ours)? == parts(&theirs)?).then_some(())
    });
    same.ok().flatten().map(|()| out)
}

/// Puts a tokenizer together from what follows the checksum.
fn read(mut reader: Reader<'_>) -> Option<Tokenizer> {
    let mut rest: Value = serde_json::from_slice(reader.text()?).ok()?;
    let added = rest.get_mut("added_tokens").map_or(Value::Null, Value::take);
    let options = rest.get_mut("model")?.take();
    let option = |key: &str| options.get(key).filter(|value| !value.is_null());
    let flag = |key: &str| option(key).and_then(Value::as_bool).unwrap_or(false);
    let text = |key: &str| option(key).and_then(Value::as_str).map(str::to_owned);
    let count = reader.u32()?;
    let mut pieces = Vec::with_capacity((count as usize).min(1 << 20));
    for _ in 0..count {
        let number = reader.u64()?;
        pieces.push((number, str::from_utf8(reader.text()?).ok()?));
    }
    let count = reader.u32()?;
    let mut merges = Vec::with_capacity((count as usize).min(1 << 20));
    for _ in 0..count {
        let mut half = || Some(pieces.get(reader.u32()? as usize)?.1.to_owned());
        merges.push((half()?, half()?));
    }
    let model: ModelWrapper = if text("type")? == "Unigram" {
        let scored = pieces.iter().map(|&(bits, piece)| (piece.to_owned(), f64::from_bits(bits))).collect();
        let unknown = option("unk_id").and_then(Value::as_u64).map(|id| id as usize);
        Unigram::from(scored, unknown, flag("byte_fallback")).ok()?.into()
    } else {
        let mut ids = Vocab::with_capacity(pieces.len());
        for &(id, piece) in &pieces {
            ids.insert(piece.to_owned(), u32::try_from(id).ok()?);
        }
        let mut builder = BPE::builder()
            .vocab_and_merges(ids, merges)
            .fuse_unk(flag("fuse_unk"))
            .byte_fallback(flag("byte_fallback"))
            .ignore_merges(flag("ignore_merges"));
        if let Some(dropout) = option("dropout").and_then(Value::as_f64) {
            builder = builder.dropout(dropout as f32);
        }
        if let Some(unknown) = text("unk_token") {
            builder = builder.unk_token(unknown);
        }
        if let Some(prefix) = text("continuing_subword_prefix") {
            builder = builder.continuing_subword_prefix(prefix);
        }
        if let Some(suffix) = text("end_of_word_suffix") {
            builder = builder.end_of_word_suffix(suffix);
        }
        builder.build().ok()?.into()
    };
    // Everything around the model, read with an empty one in its place.
    rest["model"] = serde_json::json!({ "type": "BPE", "vocab": {}, "merges": [] });
    rest["added_tokens"] = Value::Array(Vec::new());
    let mut tokenizer: Tokenizer = serde_json::from_value(rest).ok()?;
    tokenizer.with_model(model);
    let added: Vec<AddedToken> = if added.is_null() { Vec::new() } else { serde_json::from_value(added).ok()? };
    tokenizer.add_tokens(added).ok()?;
    Some(tokenizer)
}

/// Tells one `tokenizer.json` from another; no protection against anybody.
fn checksum(bytes: &[u8]) -> u64 {
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let (words, tail) = bytes.as_chunks::<8>();
    let sum = words.iter().fold(0, |sum, &word| mix(sum, u64::from_le_bytes(word)));
    tail.iter().fold(sum, |sum, &byte| mix(sum, u64::from(byte)))
}

/// What is left to read; every reading is `None` where the bytes end.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        self.0.split_off(..count)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    /// A `u32` length and as many bytes.
    fn text(&mut self) -> Option<&'a [u8]> {
        let count = self.u32()?;
        self.take(count as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Vocabulary;

    const BPE_JSON: &str = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [
        {"id": 1, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
        {"id": 7, "content": "deu", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
        "normalizer": {"type": "NFKC"}, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": false, "ignore_merges": false,
        "vocab": {"<unk>": 0, "</s>": 1, "a": 2, "b": 3, "ab": 4, "c": 5, "abc": 6}, "merges": [["a", "b"], ["ab", "c"]]}}"#;
    const UNIGRAM_JSON: &str = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": false,
        "vocab": [["<unk>", 0.0], ["a", -1.5], ["b", -2.25], ["ab", -3.0]]}}"#;

    fn directory(json: &str) -> (tempfile::TempDir, ModelFiles) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("tokenizer.json"), json).unwrap();
        std::fs::write(directory.path().join(FILE), write(json.as_bytes()).unwrap()).unwrap();
        let files = ModelFiles::Directory(directory.path().to_owned());
        (directory, files)
    }

    #[test]
    fn the_compact_form_is_the_same_tokenizer() {
        for json in [BPE_JSON, UNIGRAM_JSON] {
            let (_directory, files) = directory(json);
            let (compact, whole) =
                (open(&files).unwrap().unwrap(), TokenizerJson::parse(json.as_bytes(), "x").unwrap());
            assert_eq!(compact.size(), whole.size());
            for text in ["ab c abc", "deu ab</s>", "zab"] {
                assert_eq!(compact.encode(text), whole.encode(text), "{text}");
            }
        }
    }

    #[test]
    fn it_is_passed_over_beside_another_tokenizer() {
        let (directory, files) = directory(BPE_JSON);
        std::fs::write(directory.path().join("tokenizer.json"), UNIGRAM_JSON).unwrap();
        assert!(open(&files).unwrap().is_none());
    }

    #[test]
    fn damage_is_an_error_wherever_it_is() {
        let (directory, files) = directory(BPE_JSON);
        let bytes = write(BPE_JSON.as_bytes()).unwrap();
        for length in (0..8).chain(24..bytes.len()) {
            std::fs::write(directory.path().join(FILE), &bytes[..length]).unwrap();
            let error = open(&files).err().unwrap_or_else(|| panic!("{length} bytes"));
            assert!(error.to_string().contains("remove it"), "{error}");
        }
    }
}
