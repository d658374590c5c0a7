//! How text is cut before its pieces are looked up in a list: what a configuration or a command says of it, and what
//! lies beside the model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::piece_list::{ListVocabulary, PieceList, PieceTable};
use super::segmenter::{Cut, Segmenter};
use super::sentencepiece::SentencePiece;
use super::{Side, Vocabularies, Vocabulary};
use crate::checkpoint::{Keys, ModelFiles};
use crate::{Error, Result};

/// How text is cut before its pieces are looked up: `segmentation` in config.json, and options of the command line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segmentation {
    /// Of the text to translate.
    pub source: SideSegmentation,
    /// Of the translation.
    pub target: SideSegmentation,
}

/// How the text of one side is cut. What is `None` is decided by the files that lie with the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SideSegmentation {
    /// What a piece is.
    pub unit: Option<Unit>,
    /// The SentencePiece model.
    pub model: Option<PathBuf>,
}

/// What the pieces of a list are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// What stands between spaces.
    Words,
    /// Characters.
    Characters,
    /// What a SentencePiece model cuts.
    SentencePiece,
}

impl Unit {
    const NAMES: [(&'static str, Self); 3] =
        [("words", Self::Words), ("characters", Self::Characters), ("sentencepiece", Self::SentencePiece)];
}

impl Segmentation {
    /// The same on both sides.
    pub fn both(side: SideSegmentation) -> Self {
        Self { source: side.clone(), target: side }
    }

    /// The key `segmentation` of a configuration: keys for both sides, which its sections `source` and `target` override.
    ///
    /// # Errors
    /// If a key is not known or has a value of another kind.
    pub fn read(keys: &Keys) -> Result<Self> {
        let Some(section) = keys.section("segmentation")? else { return Ok(Self::default()) };
        let both = SideSegmentation::read(&section, &["source", "target"])?;
        let side = |name| -> Result<SideSegmentation> {
            match section.section(name)? {
                Some(own) => Ok(SideSegmentation::read(&own, &[])?.or(both.clone())),
                None => Ok(both.clone()),
            }
        };
        Ok(Self { source: side("source")?, target: side("target")? })
    }

    /// What this says, and where it says nothing what `other` says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { source: self.source.or(other.source), target: self.target.or(other.target) }
    }

    /// Whether it says anything.
    pub fn is_said(&self) -> bool {
        *self != Self::default()
    }
}

impl SideSegmentation {
    fn read(keys: &Keys, sections: &[&str]) -> Result<Self> {
        const KNOWN: [&str; 2] = ["unit", "model"];
        if let Some(other) = keys.map().keys().find(|key| ![&KNOWN[..], sections].concat().contains(&key.as_str())) {
            return Err(keys.error(format!("`segmentation` has no key `{other}`; its keys are {}", KNOWN.join(", "))));
        }
        let unit = match keys.string("unit")? {
            None => None,
            Some(name) => match Unit::NAMES.iter().find(|(known, _)| *known == name) {
                Some((_, unit)) => Some(*unit),
                None => {
                    let known = Unit::NAMES.map(|(name, _)| name).join(", ");
                    return Err(keys.error(format!("`unit` of `segmentation` is {name:?}; known are {known}")));
                }
            },
        };
        Ok(Self { unit, model: keys.string("model")?.map(PathBuf::from) })
    }

    fn or(self, other: Self) -> Self {
        Self { unit: self.unit.or(other.unit), model: self.model.or(other.model) }
    }
}

/// The names of a SentencePiece model, with `{side}` for `source` and `target`, best first.
const SENTENCEPIECE: [&str; 5] =
    ["{side}.spm", "spm.model", "sentencepiece.model", "sentencepiece.bpe.model", "spm.{side}.model"];

impl Vocabularies {
    /// The vocabularies of a model whose toolkit keeps a list of pieces: `source`, and `target` if that is another one.
    /// Text is cut as `segmentation` says, else by what lies with the model: a SentencePiece model, or nothing, and
    /// then pieces stand between spaces.
    ///
    /// # Errors
    /// If a list is empty, or a file that is needed is missing or cannot be used.
    pub fn of_lists(
        files: &ModelFiles,
        source: PieceList,
        target: Option<PieceList>,
        segmentation: &Segmentation,
    ) -> Result<Self> {
        let table = |list: PieceList| match list.pieces.is_empty() {
            true => Err(Error::model(list.path, "has no pieces; the file of a vocabulary has one for every id")),
            false => Ok(Arc::new(PieceTable::new(list))),
        };
        let source_table = table(source)?;
        let target_table = target.map_or_else(|| Ok(Arc::clone(&source_table)), table)?;
        let mut open = Opener { files, models: Vec::new() };
        let mut side = |side, table: Arc<PieceTable>, said| -> Result<Arc<dyn Vocabulary>> {
            let segmenter = open.segmenter(side, said, &table)?;
            Ok(Arc::new(ListVocabulary::new(table, segmenter)))
        };
        Ok(Self {
            source: side(Side::Source, source_table, &segmentation.source)?,
            target: side(Side::Target, target_table, &segmentation.target)?,
            pair: None,
        })
    }
}

/// Finds the files that cut text, and opens each once.
struct Opener<'f> {
    files: &'f ModelFiles,
    models: Vec<(PathBuf, Arc<SentencePiece>)>,
}

impl Opener<'_> {
    fn segmenter(&mut self, side: Side, said: &SideSegmentation, table: &PieceTable) -> Result<Segmenter> {
        let is_listed = |piece: &&str| table.pieces().iter().any(|listed| listed == piece);
        let cut = match (said.unit, &said.model) {
            (Some(Unit::Words), _) => Cut::Spaces,
            (Some(Unit::Characters), _) => {
                Cut::Characters(["\u{2581}", " ", "<space>"].into_iter().find(is_listed).unwrap_or(" "))
            }
            (None | Some(Unit::SentencePiece), Some(path)) => Cut::SentencePiece(self.model(path)?),
            (unit, None) => match (self.beside(side, &SENTENCEPIECE)?, unit) {
                (Some(path), _) => Cut::SentencePiece(self.model(&path)?),
                (None, None) => Cut::Spaces,
                (None, Some(_)) => {
                    let name = SENTENCEPIECE[0].replace("{side}", side.name());
                    let problem = "this SentencePiece model is missing; add it, or say its name as `model` of \
                                   `segmentation` in config.json";
                    return Err(Error::model(self.files.path(&name), problem));
                }
            },
        };
        Ok(Segmenter::new(cut, table.pieces()))
    }

    fn model(&mut self, path: &Path) -> Result<Arc<SentencePiece>> {
        if let Some((_, model)) = self.models.iter().find(|(known, _)| known == path) {
            return Ok(Arc::clone(model));
        }
        let name = self.files.path(path);
        let Some(bytes) = self.files.read(path)? else {
            return Err(Error::model(name, "no such file, but `segmentation` names it"));
        };
        let model = Arc::new(SentencePiece::parse(&bytes, name)?);
        self.models.push((path.to_owned(), Arc::clone(&model)));
        Ok(model)
    }

    /// The first of some names that a file with the model has; an Argos package has them one level up.
    fn beside(&self, side: Side, names: &[&str]) -> Result<Option<PathBuf>> {
        let is_package = self.files.read("../metadata.json")?.is_some();
        for directory in if is_package { &["", ".."][..] } else { &[""] } {
            for name in names {
                let path = Path::new(directory).join(name.replace("{side}", side.name()));
                if self.files.read(&path)?.is_some() {
                    return Ok(Some(path));
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Specials;

    fn list(pieces: &str) -> PieceList {
        PieceList::new(pieces.split('|').map(str::to_owned).collect(), "m/vocabulary.txt")
    }

    fn open(pieces: &str, unit: Option<Unit>) -> Arc<dyn Vocabulary> {
        let side = SideSegmentation { unit, ..SideSegmentation::default() };
        let files = ModelFiles::Directory(PathBuf::from("no such directory"));
        Vocabularies::of_lists(&files, list(pieces), None, &Segmentation::both(side)).unwrap().source
    }

    #[test]
    fn with_nothing_beside_pieces_stand_between_spaces_and_special_tokens_are_never_text() {
        let vocabulary = open("<blank>|<s>|</s>|<unk>|a|b@@|c", None);
        assert_eq!(vocabulary.encode(" a b@@  c </s> x\t<s>"), [4, 5, 6, 3, 3, 3]);
        assert_eq!(vocabulary.decode(&[1, 4, 5, 6, 3, 2, 99]), "a b@@ c");
        let specials = Specials { unknown: Some(3), padding: Some(0), begin: Some(1), end: Some(2) };
        assert_eq!((vocabulary.specials(), vocabulary.size()), (specials, 7));
        assert_eq!((vocabulary.id("</s>"), vocabulary.piece(2)), (Some(2), Some("</s>")));
        assert!(vocabulary.ends_word("a") && !vocabulary.ends_word("b@@") && !vocabulary.begins_word(4));
        assert_eq!((vocabulary.readable("b@@c").as_str(), vocabulary.unencodable("x")), ("bc", None));
    }

    #[test]
    fn characters_are_pieces_and_a_space_is_one_of_its_own() {
        let vocabulary = open("<unk>|</s>|a|ż|▁", Some(Unit::Characters));
        assert_eq!(vocabulary.encode(" a ża\u{a0}x"), [2, 4, 3, 2, 4, 0]);
        assert_eq!(vocabulary.decode(&[2, 4, 3, 2, 1]), "a ża");
        assert!(vocabulary.begins_word(3));
        assert_eq!(open("a|b", Some(Unit::Characters)).unencodable("abc"), Some("c".to_owned()));
        assert_eq!(open("a|b", Some(Unit::Characters)).encode("acb"), [0, 1]);
    }

    #[test]
    fn a_language_token_may_begin_a_text_and_comes_out_of_none() {
        let vocabulary = open("</s>|<unk>|>>fra<<|>>deu<<|a", None);
        assert_eq!(vocabulary.encode(">>fra<< a >>deu<<"), [2, 4, 1]);
        assert_eq!(vocabulary.encode(">>xyz<< a"), [1, 4]);
        assert_eq!(vocabulary.encode(">> so << a"), [1, 1, 1, 4]);
        assert_eq!(vocabulary.decode(&[2, 4]), "a");
        assert_eq!(vocabulary.languages().len(), 2);
        // Of bare codes there must be many, or they are text.
        assert_eq!(open("<unk>|de_DE|a", None).encode("de_DE"), [1]);
    }

    #[test]
    fn joiner_marks_hold_words_together() {
        let vocabulary = open("<unk>|a|￭.|(￭", None);
        assert!(vocabulary.begins_word(1) && !vocabulary.begins_word(2));
        assert_eq!(vocabulary.readable("(￭a￭."), "(a.");
    }

    #[test]
    fn an_empty_list_and_a_missing_model_are_errors_that_say_what_to_do() {
        let files = ModelFiles::Directory(PathBuf::from("m"));
        let empty = PieceList::new(Vec::new(), "m/vocabulary.txt");
        let error = Vocabularies::of_lists(&files, empty, None, &Segmentation::default()).err().unwrap().to_string();
        assert!(error.starts_with("m/vocabulary.txt: has no pieces"), "{error}");
        let side = SideSegmentation { unit: Some(Unit::SentencePiece), ..SideSegmentation::default() };
        let error = Vocabularies::of_lists(&files, list("a"), None, &Segmentation::both(side)).err().unwrap();
        assert!(error.to_string().starts_with("m/source.spm: this SentencePiece model is missing; add it"), "{error}");
        let side = SideSegmentation { model: Some(PathBuf::from("x.spm")), ..SideSegmentation::default() };
        let error = Vocabularies::of_lists(&files, list("a"), None, &Segmentation::both(side)).err().unwrap();
        assert!(error.to_string().starts_with("m/x.spm: no such file"), "{error}");
    }
}
