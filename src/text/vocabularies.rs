//! Finding the vocabulary of a model directory.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use super::characters::Characters;
use super::compact;
use super::moses::{Merges, Moses, MosesVocabulary};
use super::numbering::{self, Numbering, TokenizerConfig};
use super::piece_list::PieceList;
use super::pieces::Pieces;
use super::segmentation::{Segmentation, Sides, open_lists, word_lists};
use super::sentencepiece::SentencePiece;
use super::{SentencePieceVocabulary, TokenizerJson, Utf8Bytes, Vocabulary, VocabularyTable, WordList};
use crate::checkpoint::ModelFiles;
use crate::{Error, Result};

/// A kind of vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `source.spm`, `target.spm`, `vocab.json` and, if the sides are numbered separately, `target_vocab.json`.
    Marian,
    /// `source_tokenizer.json` and `target_tokenizer.json`, or one `tokenizer.json` for both sides.
    TokenizerJson,
    /// A SentencePiece model for both sides, its pieces numbered as the family does.
    SentencePiece(Numbering),
    /// `vocab.json` and `merges.txt`: byte-level byte-pair encoding.
    ByteLevel,
    /// No file: the bytes of the text, where `tokenizer_config.json` names `ByT5Tokenizer`.
    Bytes,
    /// `vocab-src.json`, `vocab-tgt.json` and `merges.txt` for Moses tokens, whose `langs` and `do_lower_case`
    /// `tokenizer_config.json` tells.
    Moses,
    /// `source_vocab.txt` and `target_vocab.txt`, or one `vocab.txt`: one word a line.
    WordList,
}

/// The names a SentencePiece model has in published directories.
const SENTENCEPIECE_FILES: [&str; 3] = ["sentencepiece.bpe.model", "spiece.model", "sentencepiece.model"];

/// The vocabularies of a model's two sides; they may be one and the same.
#[derive(Clone)]
pub struct Vocabularies {
    /// Cuts the text to translate.
    pub source: Arc<dyn Vocabulary>,
    /// Puts the translation together.
    pub target: Arc<dyn Vocabulary>,
    /// The one pair of languages they are for, if their files say so.
    pub pair: Option<(String, String)>,
    /// What the user should be told about them, one line each.
    pub notes: Vec<String>,
    /// The files that cut text, relative to the model's, where the pieces come from elsewhere.
    pub files: Vec<PathBuf>,
    /// All that was decided of how text is cut, likewise.
    pub segmentation: Segmentation,
}

impl Vocabularies {
    /// Opens the first of the given kinds that lies with the model. A `tokenizer_config.json` may ask for
    /// `clean_up_tokenization_spaces`.
    ///
    /// # Errors
    /// If none is there, one is not complete (the missing file is named), or a file cannot be used.
    pub fn open(files: &ModelFiles, kinds: &[Kind]) -> Result<Self> {
        Self::open_segmented(files, kinds, &Segmentation::default())
    }

    /// The same where something is said of how text is cut: then word lists are lists of pieces
    /// ([`Vocabularies::of_lists`]).
    ///
    /// # Errors
    /// As [`Vocabularies::open`], and if the vocabulary says itself how text is cut.
    pub fn open_segmented(files: &ModelFiles, kinds: &[Kind], segmentation: &Segmentation) -> Result<Self> {
        let config = TokenizerConfig::read(files)?;
        for kind in kinds {
            let Some(found) = Self::open_kind(files, *kind, &config)? else { continue };
            let found = match kind {
                _ if !segmentation.is_said() => found,
                Kind::WordList => {
                    let (source, target) = word_lists(files)?;
                    Self::of_lists(files, source, target, segmentation)?
                }
                _ => {
                    return Err(Error::Usage(format!(
                        "{}: its vocabulary says itself how text is cut; --pretokenize, --codes, --truecase-model \
                         and `segmentation` are for models whose vocabulary is a list of pieces",
                        files.name().display()
                    )));
                }
            };
            return Ok(Self { pair: config.pair(), ..found });
        }
        let needs = |kind: &Kind| match kind {
            Kind::Marian => "source.spm, target.spm and vocab.json",
            Kind::TokenizerJson => "tokenizer.json",
            Kind::SentencePiece(Numbering::Table) => "sentencepiece.bpe.model and vocab.json",
            Kind::SentencePiece(Numbering::MBart | Numbering::Nllb) => "sentencepiece.bpe.model",
            Kind::SentencePiece(_) => "spiece.model",
            Kind::ByteLevel => "vocab.json and merges.txt",
            Kind::Bytes => "a tokenizer_config.json with the class ByT5Tokenizer",
            Kind::Moses => "vocab-src.json, vocab-tgt.json and merges.txt",
            Kind::WordList => "source_vocab.txt and target_vocab.txt",
        };
        let needed: Vec<&str> = kinds.iter().map(needs).collect();
        Err(Error::model(files.path(""), format!("no vocabulary: needs {}", needed.join(", or "))))
    }

    /// The vocabularies of a model whose toolkit keeps a list of pieces: `source`, and `target` if that is another one.
    /// Text is cut as `segmentation` says, else by what lies with the model: a SentencePiece model; the codes of a byte
    /// pair encoding, and then by Moses first; or nothing, and then pieces stand between spaces.
    ///
    /// # Errors
    /// If a list is empty, or a file that is needed is missing or cannot be used.
    pub fn of_lists(
        files: &ModelFiles,
        source: PieceList,
        target: Option<PieceList>,
        segmentation: &Segmentation,
    ) -> Result<Self> {
        let Sides { source, target, notes, files, segmentation } = open_lists(files, source, target, segmentation)?;
        Ok(Self { source, target, pair: None, notes, files, segmentation })
    }

    /// The one pair of languages that the files of a vocabulary say it is for, whether it can be used or not.
    pub fn pair(files: &ModelFiles) -> Option<(String, String)> {
        TokenizerConfig::read(files).ok()?.pair()
    }

    /// Opens one kind, if it is there.
    fn open_kind(files: &ModelFiles, kind: Kind, config: &TokenizerConfig) -> Result<Option<Self>> {
        let clean_up = config.flag("clean_up_tokenization_spaces");
        let both = |vocabulary: Arc<dyn Vocabulary>| Self {
            source: Arc::clone(&vocabulary),
            target: vocabulary,
            pair: None,
            notes: Vec::new(),
            files: Vec::new(),
            segmentation: Segmentation::default(),
        };
        Ok(match kind {
            Kind::Marian if files.read("source.spm")?.is_some() || files.read("target.spm")?.is_some() => {
                Some(Self::open_marian(files, clean_up)?)
            }
            Kind::Marian => None,
            Kind::TokenizerJson => {
                let names = ["source_tokenizer.json", "target_tokenizer.json", "tokenizer.json"];
                let is_t5 = config.string("tokenizer_class").is_some_and(|class| class.starts_with("T5Tokenizer"));
                let space_before = is_t5 && config.flag("add_prefix_space");
                if let Some(compact) = (!space_before).then(|| compact::open(files)).transpose()?.flatten() {
                    return Ok(Some(both(Arc::new(compact.with_clean_up_spaces(clean_up)))));
                }
                open_pair(files, names, |bytes, path| {
                    let tokenizer = match space_before {
                        true => TokenizerJson::parse_with_space_before(bytes, path)?,
                        false => TokenizerJson::parse(bytes, path)?,
                    };
                    Ok(Arc::new(tokenizer.with_clean_up_spaces(clean_up)))
                })?
            }
            Kind::SentencePiece(numbering) => {
                let mut found = None;
                for name in SENTENCEPIECE_FILES {
                    found = found.or(files.read(name)?.map(|bytes| (name, bytes)));
                }
                let Some((name, bytes)) = found else { return Ok(None) };
                let table = match (numbering, files.read("vocab.json")?) {
                    (Numbering::Table, Some(table)) => Some(VocabularyTable::parse(&table, files.path("vocab.json"))?),
                    // Another family's numbering may do without.
                    (Numbering::Table, None) => return Ok(None),
                    _ => None,
                };
                let model = SentencePiece::parse(&bytes, files.path(name))?;
                let vocabulary = numbering::vocabulary(model, numbering, table, config, files)?;
                Some(both(Arc::new(vocabulary.with_clean_up_spaces(clean_up))))
            }
            Kind::ByteLevel => {
                let Some(merges) = files.read("merges.txt")? else { return Ok(None) };
                let (table, space) = (require(files, "vocab.json")?, config.flag("add_prefix_space"));
                let vocabulary = TokenizerJson::byte_level(&table, &merges, space, files.path("merges.txt"))?;
                Some(both(Arc::new(vocabulary.with_clean_up_spaces(clean_up))))
            }
            Kind::Bytes if config.string("tokenizer_class") == Some("ByT5Tokenizer") => {
                Some(both(Arc::new(Utf8Bytes::new(config.number("extra_ids").unwrap_or(125).min(1000) as usize))))
            }
            Kind::Bytes => None,
            Kind::Moses if files.read("vocab-src.json")?.is_some() || files.read("vocab-tgt.json")?.is_some() => {
                Some(Self::open_moses(files, config, clean_up)?)
            }
            Kind::Moses => None,
            Kind::WordList => {
                let names = ["source_vocab.txt", "target_vocab.txt", "vocab.txt"];
                open_pair(files, names, |bytes, path| Ok(Arc::new(WordList::parse(bytes, path)?)))?
            }
        })
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
        let (source, target) = (Arc::new(Pieces(self.source)), Arc::new(Pieces(self.target)));
        Self { source, target, notes: Vec::new(), ..self }
    }

    fn open_marian(files: &ModelFiles, clean_up: bool) -> Result<Self> {
        let table = |name| VocabularyTable::parse(&require(files, name)?, files.path(name)).map(Arc::new);
        let source_table = table("vocab.json")?;
        let target_table = match files.read("target_vocab.json")? {
            Some(_) => table("target_vocab.json")?,
            None => Arc::clone(&source_table),
        };
        let side = |name, bytes: &[u8], table: &Arc<VocabularyTable>| -> Result<_> {
            let model = SentencePiece::parse(bytes, files.path(name)).map(Arc::new)?;
            let vocabulary = SentencePieceVocabulary::new(model, Arc::clone(table)).with_language_in_text();
            Ok(Arc::new(vocabulary.with_clean_up_spaces(clean_up)))
        };
        let (source_model, target_model) = (require(files, "source.spm")?, require(files, "target.spm")?);
        let source = side("source.spm", &source_model, &source_table)?;
        // Where both languages have one vocabulary, the files are copies, as Hugging Face's tokenizer wants them.
        let is_shared = target_model == source_model && Arc::ptr_eq(&source_table, &target_table);
        let target = if is_shared { Arc::clone(&source) } else { side("target.spm", &target_model, &target_table)? };
        Ok(Self {
            source,
            target,
            pair: None,
            notes: Vec::new(),
            files: Vec::new(),
            segmentation: Segmentation::default(),
        })
    }

    fn open_moses(files: &ModelFiles, config: &TokenizerConfig, clean_up: bool) -> Result<Self> {
        let needs = "needs `langs`, the source and the target language, as in \"langs\": [\"en\", \"de\"]";
        let pair = config.pair().ok_or_else(|| Error::model(files.path("tokenizer_config.json"), needs))?;
        let merges = Arc::new(Merges::parse(&require(files, "merges.txt")?, files.path("merges.txt"))?);
        let side = |name, language: &str| -> Result<Arc<dyn Vocabulary>> {
            let table = VocabularyTable::parse(&require(files, name)?, files.path(name))?;
            let vocabulary = MosesVocabulary::new(Moses::new(language), Arc::clone(&merges), table);
            let lower_case = config.flag("do_lower_case");
            Ok(Arc::new(vocabulary.with_lower_case(lower_case).with_clean_up_spaces(clean_up)))
        };
        Ok(Self {
            source: side("vocab-src.json", &pair.0)?,
            target: side("vocab-tgt.json", &pair.1)?,
            pair: None,
            notes: Vec::new(),
            files: Vec::new(),
            segmentation: Segmentation::default(),
        })
    }
}

/// Opens the pair of `source` and `target` files, or the file both sides share.
fn open_pair(
    files: &ModelFiles,
    [source, target, shared]: [&str; 3],
    open: impl Fn(&[u8], std::path::PathBuf) -> Result<Arc<dyn Vocabulary>>,
) -> Result<Option<Vocabularies>> {
    if files.read(source)?.is_some() || files.read(target)?.is_some() {
        let side = |name| open(&require(files, name)?, files.path(name));
        return Ok(Some(Vocabularies {
            source: side(source)?,
            target: side(target)?,
            pair: None,
            notes: Vec::new(),
            files: Vec::new(),
            segmentation: Segmentation::default(),
        }));
    }
    let Some(bytes) = files.read(shared)? else { return Ok(None) };
    let both = open(&bytes, files.path(shared))?;
    Ok(Some(Vocabularies {
        source: Arc::clone(&both),
        target: both,
        pair: None,
        notes: Vec::new(),
        files: Vec::new(),
        segmentation: Segmentation::default(),
    }))
}

fn require(files: &ModelFiles, name: &str) -> Result<Cow<'static, [u8]>> {
    files.read(name)?.ok_or_else(|| Error::model(files.path(name), "this file of the vocabulary is missing; add it"))
}
