//! Finding the vocabulary of a model directory.

use std::borrow::Cow;
use std::sync::Arc;

use super::marian::VocabularyTable;
use super::sentencepiece::SentencePiece;
use super::{MarianVocabulary, TokenizerJson, Vocabulary, WordList};
use crate::checkpoint::ModelFiles;
use crate::{Error, Result};

/// The vocabularies of a model's two sides; they may be one and the same.
#[derive(Clone)]
pub struct Vocabularies {
    /// Cuts the text to translate.
    pub source: Arc<dyn Vocabulary>,
    /// Puts the translation together.
    pub target: Arc<dyn Vocabulary>,
}

impl Vocabularies {
    /// Opens whichever vocabulary lies with the model, the first of:
    ///
    /// 1. `source.spm`, `target.spm`, `vocab.json` and, if the sides are numbered separately, `target_vocab.json`; a
    ///    `tokenizer_config.json` may ask for `clean_up_tokenization_spaces`;
    /// 2. `source_tokenizer.json` and `target_tokenizer.json`, or one `tokenizer.json` for both sides;
    /// 3. `source_vocab.txt` and `target_vocab.txt`, or one `vocab.txt`: one word a line.
    ///
    /// # Errors
    /// If none is there, one is not complete (the missing file is named), or a file cannot be used.
    pub fn open(files: &ModelFiles) -> Result<Self> {
        if files.read("source.spm")?.is_some() || files.read("target.spm")?.is_some() {
            return Self::open_marian(files);
        }
        if let Some(pair) =
            open_pair(files, ["source_tokenizer.json", "target_tokenizer.json", "tokenizer.json"], |bytes, path| {
                Ok(Arc::new(TokenizerJson::parse(bytes, path)?))
            })?
        {
            return Ok(pair);
        }
        if let Some(pair) = open_pair(files, ["source_vocab.txt", "target_vocab.txt", "vocab.txt"], |bytes, path| {
            Ok(Arc::new(WordList::parse(bytes, path)?))
        })? {
            return Ok(pair);
        }
        let problem = "no vocabulary: needs source.spm, target.spm and vocab.json, or tokenizer.json, or source_vocab.txt \
                       and target_vocab.txt";
        Err(Error::model(files.path(""), problem))
    }

    fn open_marian(files: &ModelFiles) -> Result<Self> {
        let model = |name| SentencePiece::parse(&require(files, name)?, files.path(name)).map(Arc::new);
        let table = |name| VocabularyTable::parse(&require(files, name)?, files.path(name)).map(Arc::new);
        let source_table = table("vocab.json")?;
        let target_table = match files.read("target_vocab.json")? {
            Some(_) => table("target_vocab.json")?,
            None => Arc::clone(&source_table),
        };
        let clean_up = cleans_up_spaces(files)?;
        let side =
            |name, table| Ok(Arc::new(MarianVocabulary::new(model(name)?, table).with_clean_up_spaces(clean_up)));
        Ok(Self { source: side("source.spm", source_table)?, target: side("target.spm", target_table)? })
    }
}

/// Whether `tokenizer_config.json`, if there is one, asks for `clean_up_tokenization_spaces`.
fn cleans_up_spaces(files: &ModelFiles) -> Result<bool> {
    let name = "tokenizer_config.json";
    let Some(bytes) = files.read(name)? else { return Ok(false) };
    let config: serde_json::Value = serde_json::from_slice(&bytes)
        .map_err(|error| Error::model(files.path(name), format!("not valid JSON: {error}; fix or remove it")))?;
    Ok(config["clean_up_tokenization_spaces"] == true)
}

/// Opens the pair of `source` and `target` files, or the file both sides share.
fn open_pair(
    files: &ModelFiles,
    [source, target, shared]: [&str; 3],
    open: impl Fn(&[u8], std::path::PathBuf) -> Result<Arc<dyn Vocabulary>>,
) -> Result<Option<Vocabularies>> {
    if files.read(source)?.is_some() || files.read(target)?.is_some() {
        let side = |name| open(&require(files, name)?, files.path(name));
        return Ok(Some(Vocabularies { source: side(source)?, target: side(target)? }));
    }
    let Some(bytes) = files.read(shared)? else { return Ok(None) };
    let both = open(&bytes, files.path(shared))?;
    Ok(Some(Vocabularies { source: Arc::clone(&both), target: both }))
}

fn require(files: &ModelFiles, name: &str) -> Result<Cow<'static, [u8]>> {
    files.read(name)?.ok_or_else(|| Error::model(files.path(name), "this file of the vocabulary is missing; add it"))
}
