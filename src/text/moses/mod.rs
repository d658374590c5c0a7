//! Moses tokenisation and the vocabularies that rest on it, as the FSMT models of Hugging Face use them.
//!
//! Text is normalised (`punctuation.rs`), cut into tokens (`tokenize.rs`) and put together again (`detokenize.rs`) as the
//! scripts of the Moses toolkit do (Koehn et al. 2007), in the form that `sacremoses` 0.1.1 gives them; `truecase.rs`
//! gives words their usual case. The tokens are then cut into pieces that end with `</w>` where a token ends (Sennrich,
//! Haddow and Birch 2016; `merges.rs`).
//! Tokens equal those of `sacremoses`, with two exceptions in favour of the text: words that it uses as marks of its
//! own (`DOTMULTI`) are words, and Czech text on which it fails is put together as Moses does.

mod characters;
mod detokenize;
mod merges;
mod punctuation;
mod tokenize;
mod truecase;
mod vocabulary;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use regex::Regex;

use self::characters::{CharacterSet, sections, set};

pub use self::merges::Merges;
pub(super) use self::merges::WORD_END;
pub use self::punctuation::Normalization;
pub use self::truecase::{Truecaser, detruecase};
pub use self::vocabulary::MosesVocabulary;

/// Words before a full stop, each language's.
type Abbreviations = HashSet<&'static str>;

/// The abbreviations of every language (`de`), and those that are ones before numbers only (`de before numbers`).
static ABBREVIATIONS: LazyLock<HashMap<&str, Abbreviations>> = LazyLock::new(|| {
    sections(include_str!("abbreviations.txt")).map(|(name, entries)| (name, entries.collect())).collect()
});

/// The Moses rules of one language.
#[derive(Debug)]
pub struct Moses {
    language: String,
    /// Words that keep their full stop.
    abbreviations: Option<&'static Abbreviations>,
    /// Words that keep it before a number only.
    before_numbers: Option<&'static Abbreviations>,
    /// What counts as a letter.
    letters: Vec<&'static CharacterSet>,
    normalization: Normalization,
    splits_hyphens: bool,
    escapes: bool,
    /// What no token is cut in.
    protected: Vec<Regex>,
}

impl Moses {
    /// The rules of a language, named by its ISO 639-1 code (`de`). A language Moses has no abbreviations of gets
    /// the English ones. Text is normalised in all ways, hyphens are split and special characters escaped, unless said
    /// otherwise.
    pub fn new(language: &str) -> Self {
        let listed = if ABBREVIATIONS.contains_key(language) { language } else { "en" };
        let scripts: &[&str] = match language {
            "ko" => &["hangul"],
            "zh" => &["han"],
            "ja" => &["hiragana", "katakana", "han"],
            "cjk" => &["hangul", "han", "hiragana", "katakana"],
            _ => &[],
        };
        Self {
            language: language.to_owned(),
            abbreviations: ABBREVIATIONS.get(listed),
            before_numbers: ABBREVIATIONS.get(format!("{listed} before numbers").as_str()),
            letters: ["alphabetic", "joining marks"].iter().chain(scripts).map(|name| set(name)).collect(),
            normalization: Normalization::All,
            splits_hyphens: true,
            escapes: true,
            protected: Vec::new(),
        }
    }

    /// Whether they are the rules of any language.
    pub(super) fn has_language(&self) -> bool {
        !self.language.is_empty()
    }

    /// How punctuation is normalised.
    #[must_use]
    pub fn with_normalization(self, normalization: Normalization) -> Self {
        Self { normalization, ..self }
    }

    /// Whether hyphens inside words are tokens, `@-@` (`-a` of `tokenizer.perl`).
    #[must_use]
    pub fn with_hyphens_split(self, splits_hyphens: bool) -> Self {
        Self { splits_hyphens, ..self }
    }

    /// Whether characters that Moses keeps for itself are written as XML does, `&apos;` (off: `-no-escape`).
    #[must_use]
    pub fn with_escapes(self, escapes: bool) -> Self {
        Self { escapes, ..self }
    }

    /// What stays whole: whatever one of these patterns finds, the first thousand in a text.
    #[must_use]
    pub fn with_protected(self, protected: Vec<Regex>) -> Self {
        Self { protected, ..self }
    }

    /// The text with its punctuation normalised.
    pub fn normalize<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.normalization {
            Normalization::None => text.into(),
            kind => punctuation::normalize(text, &self.language, kind).into(),
        }
    }
}
