//! Finding the vocabulary of a model directory.

use std::borrow::Cow;
use std::sync::Arc;

use super::characters::Characters;
use super::marian::VocabularyTable;
use super::pieces::Pieces;
use super::sentencepiece::SentencePiece;
use super::{MarianVocabulary, TokenizerJson, Vocabulary, WordList};
use crate::checkpoint::ModelFiles;
use crate::{Error, Result};

/// A kind of vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `source.spm`, `target.spm`, `vocab.json` and, if the sides are numbered separately, `target_vocab.json`; a
    /// `tokenizer_config.json` may ask for `clean_up_tokenization_spaces`.
    Marian,
    /// `source_tokenizer.json` and `target_tokenizer.json`, or one `tokenizer.json` for both sides.
    TokenizerJson,
    /// `source_vocab.txt` and `target_vocab.txt`, or one `vocab.txt`: one word a line.
    WordList,
}

/// The vocabularies of a model's two sides; they may be one and the same.
#[derive(Clone)]
pub struct Vocabularies {
    /// Cuts the text to translate.
    pub source: Arc<dyn Vocabulary>,
    /// Puts the translation together.
    pub target: Arc<dyn Vocabulary>,
}

impl Vocabularies {
    /// Opens the first of the given kinds that lies with the model.
    ///
    /// # Errors
    /// If none is there, one is not complete (the missing file is named), or a file cannot be used.
    pub fn open(files: &ModelFiles, kinds: &[Kind]) -> Result<Self> {
        if kinds.contains(&Kind::TokenizerJson)
            && let Some(both) = super::compact::open(files)?
        {
            return Ok(Self { source: both.clone(), target: both });
        }
        for kind in kinds {
            let found = match kind {
                Kind::Marian if files.read("source.spm")?.is_some() || files.read("target.spm")?.is_some() => {
                    Some(Self::open_marian(files)?)
                }
                Kind::Marian => None,
                Kind::TokenizerJson => {
                    let names = ["source_tokenizer.json", "target_tokenizer.json", "tokenizer.json"];
                    open_pair(files, names, |bytes, path| Ok(Arc::new(TokenizerJson::parse(bytes, path)?)))?
                }
                Kind::WordList => {
                    let names = ["source_vocab.txt", "target_vocab.txt", "vocab.txt"];
                    open_pair(files, names, |bytes, path| Ok(Arc::new(WordList::parse(bytes, path)?)))?
                }
            };
            if let Some(found) = found {
                return Ok(found);
            }
        }
        let needs = |kind: &Kind| match kind {
            Kind::Marian => "source.spm, target.spm and vocab.json",
            Kind::TokenizerJson => "tokenizer.json",
            Kind::WordList => "source_vocab.txt and target_vocab.txt",
        };
        let needed: Vec<&str> = kinds.iter().map(needs).collect();
        Err(Error::model(files.path(""), format!("no vocabulary: needs {}", needed.join(", or "))))
    }

    /// The same source, and a target of single characters, in the order of their ids.
    #[must_use]
    pub fn with_target_characters(self, characters: &str) -> Self {
        let target = Characters::new(characters, &*self.source);
        Self { target: Arc::new(target), ..self }
    }

    /// The same vocabularies for text that is cut into pieces already, with spaces between them.
    #[must_use]
    pub fn of_pieces(self) -> Self {
        Self { source: Arc::new(Pieces(self.source)), target: Arc::new(Pieces(self.target)) }
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
