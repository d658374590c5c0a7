//! How text is cut before its pieces are looked up in a list: what a configuration or a command says of it, and what
//! lies with the model.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::moses::{Moses, Normalization, Truecaser};
use super::piece_list::{ListVocabulary, PieceList, PieceTable};
use super::segmenter::{Cut, Segmenter, Words};
use super::sentencepiece::SentencePiece;
use super::subwords::{Codes, pattern_of};
use super::{Side, Vocabulary};
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
    /// The SentencePiece model. This and other files are named relative to the model's directory.
    pub model: Option<PathBuf>,
    /// The codes of a byte pair encoding: subword-nmt's or fastBPE's.
    pub codes: Option<PathBuf>,
    /// The pieces that codes may give, with their counts.
    pub codes_vocabulary: Option<PathBuf>,
    /// The count from which a piece of that vocabulary is one.
    pub codes_vocabulary_threshold: Option<u64>,
    /// Words, or patterns of words, that codes never cut.
    pub glossary: Option<Vec<String>>,
    /// What cuts text into words first.
    pub pretokenize: Option<Pretokenizer>,
    /// The language whose rules do it (ISO 639-1).
    pub language: Option<String>,
    /// How punctuation is normalised; in all ways with Moses unless said, else not at all.
    pub normalize: Option<Normalization>,
    /// Whether hyphens inside words are words.
    pub split_hyphens: Option<bool>,
    /// Whether special characters are written as `&apos;` and the like.
    pub escape: Option<bool>,
    /// Patterns of what Moses never cuts, whatever their case.
    pub protected_patterns: Option<Vec<String>>,
    /// The usual case of words.
    pub truecase_model: Option<PathBuf>,
    /// Whether the first word of a sentence that comes out gets a capital; unless said, where there is a truecase model.
    pub detruecase: Option<bool>,
    /// Whether text is lower-cased once it is in words.
    pub lowercase: Option<bool>,
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
    /// What the codes of a byte pair encoding cut.
    Codes,
}

/// What cuts text into words before they are cut into pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pretokenizer {
    /// Nothing.
    None,
    /// The Moses tokenizer, whose detokenizer puts a translation together.
    Moses,
}

/// The most patterns in a list.
const MOST_PATTERNS: usize = 64;

const UNITS: [(&str, Unit); 4] = [
    ("words", Unit::Words),
    ("characters", Unit::Characters),
    ("sentencepiece", Unit::SentencePiece),
    ("codes", Unit::Codes),
];
const PRETOKENIZERS: [(&str, Pretokenizer); 2] = [("moses", Pretokenizer::Moses), ("none", Pretokenizer::None)];
const NORMALIZATIONS: [(&str, Normalization); 3] =
    [("all", Normalization::All), ("punctuation", Normalization::Punctuation), ("none", Normalization::None)];

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

    /// The key `segmentation` that says this, its files named as if they lay with the configuration.
    pub fn to_json(&self) -> Value {
        match self.source == self.target {
            true => Value::Object(self.source.to_json()),
            false => json!({"source": self.source.to_json(), "target": self.target.to_json()}),
        }
    }

    /// Whether it says anything.
    pub fn is_said(&self) -> bool {
        *self != Self::default()
    }
}

impl SideSegmentation {
    fn read(keys: &Keys, sections: &[&str]) -> Result<Self> {
        const KNOWN: [&str; 15] = [
            "unit",
            "model",
            "codes",
            "codes_vocabulary",
            "codes_vocabulary_threshold",
            "glossary",
            "pretokenize",
            "language",
            "normalize",
            "split_hyphens",
            "escape",
            "protected_patterns",
            "truecase_model",
            "detruecase",
            "lowercase",
        ];
        if let Some(other) = keys.map().keys().find(|key| ![&KNOWN[..], sections].concat().contains(&key.as_str())) {
            return Err(keys.error(format!("`segmentation` has no key `{other}`; its keys are {}", KNOWN.join(", "))));
        }
        let path = |key| Ok(keys.string(key)?.map(PathBuf::from));
        let flag = |key| keys.value(key).map(|_| keys.flag(key, false)).transpose();
        Ok(Self {
            unit: one_of(keys, "unit", &UNITS)?,
            model: path("model")?,
            codes: path("codes")?,
            codes_vocabulary: path("codes_vocabulary")?,
            codes_vocabulary_threshold: keys.number("codes_vocabulary_threshold")?.map(|count| count as u64),
            glossary: strings(keys, "glossary")?,
            pretokenize: one_of(keys, "pretokenize", &PRETOKENIZERS)?,
            language: keys.string("language")?,
            normalize: one_of(keys, "normalize", &NORMALIZATIONS)?,
            split_hyphens: flag("split_hyphens")?,
            escape: flag("escape")?,
            protected_patterns: strings(keys, "protected_patterns")?,
            truecase_model: path("truecase_model")?,
            detruecase: flag("detruecase")?,
            lowercase: flag("lowercase")?,
        })
    }

    fn to_json(&self) -> Map<String, Value> {
        let name = |path: &Option<PathBuf>| {
            let name = path.as_ref()?.file_name()?;
            Some(json!(name.to_string_lossy()))
        };
        let all = [
            ("unit", name_of(self.unit, &UNITS)),
            ("model", name(&self.model)),
            ("codes", name(&self.codes)),
            ("codes_vocabulary", name(&self.codes_vocabulary)),
            ("codes_vocabulary_threshold", self.codes_vocabulary_threshold.map(Value::from)),
            ("glossary", self.glossary.clone().map(Value::from)),
            ("pretokenize", name_of(self.pretokenize, &PRETOKENIZERS)),
            ("language", self.language.clone().map(Value::from)),
            ("normalize", name_of(self.normalize, &NORMALIZATIONS)),
            ("split_hyphens", self.split_hyphens.map(Value::from)),
            ("escape", self.escape.map(Value::from)),
            ("protected_patterns", self.protected_patterns.clone().map(Value::from)),
            ("truecase_model", name(&self.truecase_model)),
            ("detruecase", self.detruecase.map(Value::from)),
            ("lowercase", self.lowercase.map(Value::from)),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }

    /// What this says, and where it says nothing what `other` says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            unit: self.unit.or(other.unit),
            model: self.model.or(other.model),
            codes: self.codes.or(other.codes),
            codes_vocabulary: self.codes_vocabulary.or(other.codes_vocabulary),
            codes_vocabulary_threshold: self.codes_vocabulary_threshold.or(other.codes_vocabulary_threshold),
            glossary: self.glossary.or(other.glossary),
            pretokenize: self.pretokenize.or(other.pretokenize),
            language: self.language.or(other.language),
            normalize: self.normalize.or(other.normalize),
            split_hyphens: self.split_hyphens.or(other.split_hyphens),
            escape: self.escape.or(other.escape),
            protected_patterns: self.protected_patterns.or(other.protected_patterns),
            truecase_model: self.truecase_model.or(other.truecase_model),
            detruecase: self.detruecase.or(other.detruecase),
            lowercase: self.lowercase.or(other.lowercase),
        }
    }
}

/// The name of a value that a key can have.
fn name_of<T: Copy + PartialEq>(value: Option<T>, names: &[(&'static str, T)]) -> Option<Value> {
    let value = value?;
    names.iter().find(|(_, known)| *known == value).map(|(name, _)| json!(name))
}

/// A key whose value is one of some names.
fn one_of<T: Copy>(keys: &Keys, key: &str, names: &[(&str, T)]) -> Result<Option<T>> {
    let Some(name) = keys.string(key)? else { return Ok(None) };
    match names.iter().find(|(known, _)| *known == name) {
        Some((_, value)) => Ok(Some(*value)),
        None => {
            let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
            let shown: String = name.chars().take(60).collect();
            Err(keys.error(format!("`{key}` of `segmentation` is {shown:?}; it can be {}", known.join(", "))))
        }
    }
}

/// A key whose value is a list of texts.
fn strings(keys: &Keys, key: &str) -> Result<Option<Vec<String>>> {
    let Some(value) = keys.value(key) else { return Ok(None) };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let list = value.as_array().and_then(|list| list.iter().map(text).collect::<Option<Vec<String>>>());
    let list = list.filter(|list| list.len() <= MOST_PATTERNS);
    list.map(Some).ok_or_else(|| keys.wrong(key, value, &format!("a list of at most {MOST_PATTERNS} texts")))
}

/// Names that files have in published directories, `{side}` being `source` or `target`, best first; then the ending that
/// one file may have, and what an Argos package calls it, one level up.
const SENTENCEPIECE: Names = Names {
    usual: &["{side}.spm", "spm.model", "sentencepiece.model", "sentencepiece.bpe.model", "spm.{side}.model"],
    ending: ".spm",
    package: "sentencepiece.model",
    what: "SentencePiece model",
    key: "model",
};
const CODES: Names = Names {
    usual: &["{side}.bpe", "bpe.codes", "bpecodes", "codes", "codes.bpe", "code", "{side}.codes"],
    ending: ".bpe",
    package: "bpe.model",
    what: "file of codes",
    key: "codes",
};

struct Names {
    usual: &'static [&'static str],
    ending: &'static str,
    package: &'static str,
    what: &'static str,
    /// How `segmentation` names it.
    key: &'static str,
}

/// The two sides of a model with lists of pieces, and what the user should be told.
pub(super) struct Sides {
    pub(super) source: Arc<dyn Vocabulary>,
    pub(super) target: Arc<dyn Vocabulary>,
    pub(super) notes: Vec<String>,
    /// The files that cut text.
    pub(super) files: Vec<PathBuf>,
    /// All that was decided.
    pub(super) segmentation: Segmentation,
}

/// Opens them; [`super::Vocabularies::of_lists`] says how.
///
/// # Errors
/// If a list is empty, or a file that is needed is missing or cannot be used.
pub(super) fn open_lists(
    files: &ModelFiles,
    source: PieceList,
    target: Option<PieceList>,
    segmentation: &Segmentation,
) -> Result<Sides> {
    let table = |list: PieceList| match list.pieces.is_empty() {
        true => Err(Error::model(list.path, "has no pieces; the file of a vocabulary has one for every id")),
        false => Ok(Arc::new(PieceTable::new(list))),
    };
    let source_table = table(source)?;
    let target_table = target.map_or_else(|| Ok(Arc::clone(&source_table)), table)?;
    let (models, codes, used) = (Vec::new(), Vec::new(), RefCell::default());
    let mut open = Opener { files, package: package(files)?, models, codes, used };
    let (source, of_source) = open.segmenter(Side::Source, &segmentation.source, source_table.pieces())?;
    let (target, of_target) = open.segmenter(Side::Target, &segmentation.target, target_table.pieces())?;
    let segmentation = Segmentation { source: of_source, target: of_target };
    let is_neutral = |segmenter: &Segmenter| segmenter.words.tokenizes && !segmenter.words.moses.has_language();
    let note = "text is cut and put together by the Moses rules of no language; --pretokenize moses:de-en names the two \
                languages, or `language` in `segmentation` of config.json";
    let notes = if is_neutral(&source) || is_neutral(&target) { vec![note.to_owned()] } else { Vec::new() };
    let side = |table, segmenter| -> Arc<dyn Vocabulary> { Arc::new(ListVocabulary::new(table, segmenter)) };
    let (source, target) = (side(source_table, source), side(target_table, target));
    Ok(Sides { source, target, notes, files: open.used.into_inner(), segmentation })
}

/// The word lists of a directory: one of both sides, or one of each.
pub(super) fn word_lists(files: &ModelFiles) -> Result<(PieceList, Option<PieceList>)> {
    let list = |name: &str| -> Result<Option<PieceList>> {
        let Some(bytes) = files.read(name)? else { return Ok(None) };
        let path = files.path(name);
        let text =
            std::str::from_utf8(&bytes).map_err(|_| Error::model(&path, "is not valid UTF-8; save it as UTF-8"))?;
        Ok(Some(PieceList::new(text.lines().map(str::to_owned).collect(), path)))
    };
    match (list("source_vocab.txt")?, list("target_vocab.txt")?) {
        (Some(source), target) => Ok((source, target)),
        (None, _) => Ok((list("vocab.txt")?.unwrap_or_default(), None)),
    }
}

/// The languages of the Argos package whose `model` folder these files are.
fn package(files: &ModelFiles) -> Result<Option<[Option<String>; 2]>> {
    let Some(keys) = Keys::read(files, "../metadata.json")? else { return Ok(None) };
    Ok(Some([keys.string("from_code")?, keys.string("to_code")?]))
}

/// Finds the files that cut text, and opens each once.
struct Opener<'f> {
    files: &'f ModelFiles,
    /// In an Argos package, its languages.
    package: Option<[Option<String>; 2]>,
    models: Vec<(PathBuf, Arc<SentencePiece>)>,
    codes: Vec<(PathBuf, Arc<Codes>)>,
    /// The files that were read.
    used: RefCell<Vec<PathBuf>>,
}

impl Opener<'_> {
    /// What cuts the text of one side, and all of it that was decided.
    fn segmenter(
        &mut self,
        side: Side,
        said: &SideSegmentation,
        pieces: &[String],
    ) -> Result<(Segmenter, SideSegmentation)> {
        let is_listed = |piece: &&str| pieces.iter().any(|listed| listed == piece);
        let unit = match (said.unit, &said.model, &said.codes) {
            (Some(unit), _, _) => Some(unit),
            (None, Some(_), _) => Some(Unit::SentencePiece),
            (None, None, Some(_)) => Some(Unit::Codes),
            (None, None, None) => None,
        };
        let mut is_of_package = false;
        let mut find = |own: &Option<PathBuf>, names: &Names| match own {
            Some(path) => Ok(Some(path.clone())),
            None => self.beside(side, names).inspect(|found| {
                is_of_package = found.as_ref().is_some_and(|path| path.starts_with(".."));
            }),
        };
        let model = match unit {
            None | Some(Unit::SentencePiece) => find(&said.model, &SENTENCEPIECE)?,
            _ => None,
        };
        let codes = match unit {
            None if model.is_none() => find(&said.codes, &CODES)?,
            Some(Unit::Codes) => find(&said.codes, &CODES)?,
            _ => None,
        };
        let cut = match (unit, &model, &codes) {
            (_, Some(path), _) => Cut::SentencePiece(self.model(path)?),
            (_, _, Some(path)) => Cut::Codes(self.codes(path, said)?),
            (Some(Unit::Characters), ..) => {
                Cut::Characters(["\u{2581}", " ", "<space>"].into_iter().find(is_listed).unwrap_or(" "))
            }
            (Some(Unit::SentencePiece), ..) => {
                return Err(self.missing(&SENTENCEPIECE, side));
            }
            (Some(Unit::Codes), ..) => return Err(self.missing(&CODES, side)),
            (None | Some(Unit::Words), ..) => Cut::Spaces,
        };
        // The BPE packages of Argos are normalised and cut in their own way.
        let of_package = is_of_package && codes.is_some();
        let default = if codes.is_some() { Pretokenizer::Moses } else { Pretokenizer::None };
        let pretokenize = said.pretokenize.unwrap_or(default);
        let tokenizes = pretokenize == Pretokenizer::Moses;
        let normalize = said.normalize.unwrap_or(match (tokenizes, of_package) {
            (false, _) => Normalization::None,
            (true, true) => Normalization::Punctuation,
            (true, false) => Normalization::All,
        });
        let of_side = |[source, target]: [Option<String>; 2]| if side == Side::Source { source } else { target };
        let decided = SideSegmentation {
            unit: Some(match cut {
                Cut::Spaces => Unit::Words,
                Cut::Characters(_) => Unit::Characters,
                Cut::SentencePiece(_) => Unit::SentencePiece,
                Cut::Codes(_) => Unit::Codes,
            }),
            model,
            codes,
            pretokenize: Some(pretokenize),
            language: said.language.clone().or_else(|| self.package.clone().and_then(of_side)),
            normalize: Some(normalize),
            split_hyphens: Some(said.split_hyphens.unwrap_or(!of_package)),
            escape: Some(said.escape.unwrap_or(true)),
            detruecase: Some(said.detruecase.unwrap_or(said.truecase_model.is_some())),
            lowercase: Some(said.lowercase.unwrap_or(false)),
            ..said.clone()
        };
        let moses = Moses::new(decided.language.as_deref().unwrap_or_default())
            .with_normalization(normalize)
            .with_hyphens_split(decided.split_hyphens == Some(true))
            .with_escapes(decided.escape == Some(true))
            .with_protected(self.patterns(said.protected_patterns.as_deref().unwrap_or_default())?);
        let truecaser = said.truecase_model.as_deref().map(|path| {
            let (bytes, name) = self.named(path)?;
            Truecaser::parse(&bytes, name).map(Arc::new)
        });
        let words = Words {
            moses,
            tokenizes,
            truecaser: truecaser.transpose()?,
            detruecases: decided.detruecase == Some(true),
            lower_case: decided.lowercase == Some(true),
        };
        Ok((Segmenter::new(words, cut, pieces), decided))
    }

    fn model(&mut self, path: &Path) -> Result<Arc<SentencePiece>> {
        if let Some((_, model)) = self.models.iter().find(|(known, _)| known == path) {
            return Ok(Arc::clone(model));
        }
        let (bytes, name) = self.named(path)?;
        let model = Arc::new(SentencePiece::parse(&bytes, name)?);
        self.models.push((path.to_owned(), Arc::clone(&model)));
        Ok(model)
    }

    fn codes(&mut self, path: &Path, said: &SideSegmentation) -> Result<Arc<Codes>> {
        let is_limited = said.codes_vocabulary.is_some() || said.glossary.is_some();
        if let Some((_, codes)) = self.codes.iter().find(|(known, _)| known == path && !is_limited) {
            return Ok(Arc::clone(codes));
        }
        let (bytes, name) = self.named(path)?;
        let mut codes = Codes::parse(&bytes, name)?;
        if let Some(path) = &said.codes_vocabulary {
            let (bytes, name) = self.named(path)?;
            codes = codes.with_vocabulary(&bytes, said.codes_vocabulary_threshold, name)?;
        }
        let glossary = said.glossary.as_deref().unwrap_or_default();
        let wrong = |problem| Error::model(self.files.path("config.json"), format!("`glossary`: {problem}"));
        let codes = Arc::new(codes.with_glossary(glossary).map_err(wrong)?);
        if !is_limited {
            self.codes.push((path.to_owned(), Arc::clone(&codes)));
        }
        Ok(codes)
    }

    fn patterns(&self, patterns: &[String]) -> Result<Vec<Regex>> {
        let patterns = patterns.iter().map(|pattern| pattern_of(pattern, true)).collect::<Result<_, String>>();
        patterns
            .map_err(|problem| Error::model(self.files.path("config.json"), format!("`protected_patterns`: {problem}")))
    }

    /// The contents of a file that was named, and its name for messages.
    fn named(&self, path: &Path) -> Result<(std::borrow::Cow<'static, [u8]>, PathBuf)> {
        // A file that a command names need not lie with the model.
        let anywhere = ModelFiles::Directory(PathBuf::new());
        let files = if path.is_absolute() { &anywhere } else { self.files };
        let name = files.path(path);
        match files.read(path)? {
            Some(bytes) => {
                if !path.is_absolute() {
                    self.used.borrow_mut().push(path.to_owned());
                }
                Ok((bytes, name))
            }
            None => Err(Error::model(name, "no such file, but text is to be cut with it")),
        }
    }

    fn missing(&self, names: &Names, side: Side) -> Error {
        let Names { what, key, .. } = names;
        let name = names.usual[0].replace("{side}", side.name());
        let problem = format!("this {what} is missing; add it, or name it as `{key}` of `segmentation` in config.json");
        Error::model(self.files.path(&name), problem)
    }

    /// The file with one of these names, if any.
    fn beside(&self, side: Side, names: &Names) -> Result<Option<PathBuf>> {
        let mut usual = names.usual.iter().map(|name| name.replace("{side}", side.name()));
        if let Some(name) = usual.find(|name| self.files.has(name)) {
            return Ok(Some(name.into()));
        }
        let package = Path::new("..").join(names.package);
        if self.package.is_some() && self.files.has(&package) {
            return Ok(Some(package));
        }
        let mut ending = self.files.names()?;
        ending.retain(|name| name.ends_with(names.ending));
        if ["source", "target"].iter().any(|side| ending.contains(&[side, names.ending].concat())) {
            return Err(self.missing(names, side));
        }
        match &ending[..] {
            [] => Ok(None),
            [one] => Ok(Some(one.into())),
            several => {
                let problem = format!(
                    "has several files that could cut text, {}; name one as `source.{ending}` and one as `target.{ending}`",
                    several.join(", "),
                    ending = &names.ending[1..]
                );
                Err(Error::model(self.files.path(""), problem))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Specials, Vocabularies};

    fn list(pieces: &str) -> PieceList {
        PieceList::new(pieces.split('|').map(str::to_owned).collect(), "m/vocabulary.txt")
    }

    fn open(pieces: &str, unit: Option<Unit>) -> Arc<dyn Vocabulary> {
        let side = SideSegmentation { unit, ..SideSegmentation::default() };
        let directory = tempfile::tempdir().unwrap();
        let files = ModelFiles::Directory(directory.path().to_owned());
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
    fn what_was_decided_reads_back_as_the_same() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("source.bpe"), "#version: 0.2\na b\n").unwrap();
        std::fs::write(directory.path().join("target.bpe"), "a b\n").unwrap();
        let files = ModelFiles::Directory(directory.path().to_owned());
        let said =
            SideSegmentation { language: Some("de".into()), lowercase: Some(true), ..SideSegmentation::default() };
        let decided =
            Vocabularies::of_lists(&files, list("a|b"), None, &Segmentation::both(said)).unwrap().segmentation;
        let expected = (Some(Unit::Codes), Some(PathBuf::from("target.bpe")), Some(Normalization::All), Some(true));
        let SideSegmentation { unit, codes, normalize, split_hyphens, .. } = decided.target.clone();
        assert_eq!((unit, codes, normalize, split_hyphens), expected);
        std::fs::write(directory.path().join("config.json"), json!({"segmentation": decided.to_json()}).to_string())
            .unwrap();
        let keys = Keys::read(&files, "config.json").unwrap().unwrap();
        assert_eq!(Segmentation::read(&keys).unwrap(), decided);
    }

    #[test]
    fn joiner_marks_hold_words_together() {
        let vocabulary = open("<unk>|a|￭.|(￭", None);
        assert!(vocabulary.begins_word(1) && !vocabulary.begins_word(2));
        assert_eq!(vocabulary.readable("(￭a￭."), "(a.");
    }

    #[test]
    fn an_empty_list_and_a_missing_model_are_errors_that_say_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let files = ModelFiles::Directory(directory.path().to_owned());
        let empty = PieceList::new(Vec::new(), "m/vocabulary.txt");
        let error = Vocabularies::of_lists(&files, empty, None, &Segmentation::default()).err().unwrap().to_string();
        assert!(error.starts_with("m/vocabulary.txt: has no pieces"), "{error}");
        let side = SideSegmentation { unit: Some(Unit::SentencePiece), ..SideSegmentation::default() };
        let error = Vocabularies::of_lists(&files, list("a"), None, &Segmentation::both(side)).err().unwrap();
        assert!(error.to_string().contains("source.spm: this SentencePiece model is missing; add it"), "{error}");
        let side = SideSegmentation { model: Some(PathBuf::from("x.spm")), ..SideSegmentation::default() };
        let error = Vocabularies::of_lists(&files, list("a"), None, &Segmentation::both(side)).err().unwrap();
        assert!(error.to_string().contains("x.spm: no such file"), "{error}");
    }
}
