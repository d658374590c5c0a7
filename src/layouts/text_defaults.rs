//! `text_defaults` in `config.json`: what is done to texts around the model unless a command says otherwise.
//!
//! A published directory has no such key, and is run as its reference runs it: nothing is done. The built-in models were trained
//! on single, clean sentences and say so.

use crate::Result;
use crate::checkpoint::Keys;

/// What is done to texts before and after the model, where the command line does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextDefaults {
    /// Whether a line is cut into sentences, each translated on its own.
    pub split_sentences: bool,
    /// Whether invisible characters are taken out and spaces and accents made uniform.
    pub normalize: bool,
    /// Whether a text in capitals is translated as if it were in small letters, and its translation put into capitals.
    pub capitals: bool,
    /// The list of usual spellings with which lines that were typed carelessly are read, relative to the model's directory.
    pub spellings: Option<String>,
    /// The network that puts in what a careless writer leaves out, relative to the model's directory.
    pub commas: Option<String>,
    /// Whether German times of day and large numbers in words are read in digits (`halb acht` as `7:30 Uhr`).
    pub numerals: bool,
    /// What is carried into the translation character by character (`default`, `numbers`, …).
    pub protect: Option<String>,
}

impl TextDefaults {
    const KEYS: [&str; 7] = ["split_sentences", "normalize", "capitals", "spellings", "commas", "numerals", "protect"];

    /// Reads the key of a configuration, in which names it does not know are noted.
    ///
    /// # Errors
    /// If a value has the wrong type.
    pub(super) fn read(keys: &Keys) -> Result<Self> {
        let Some(own) = keys.section("text_defaults")? else { return Ok(Self::default()) };
        let is_unknown = |key: &&String| !Self::KEYS.contains(&key.as_str());
        let unknown: Vec<String> = own.map().keys().filter(is_unknown).map(|key| format!("`{key}`")).collect();
        if !unknown.is_empty() {
            keys.note(&format!("`text_defaults` has keys that have no effect: {}", unknown.join(", ")));
        }
        Ok(Self {
            split_sentences: own.flag("split_sentences", false)?,
            normalize: own.flag("normalize", false)?,
            capitals: own.flag("capitals", false)?,
            spellings: own.string("spellings")?,
            commas: own.string("commas")?,
            numerals: own.flag("numerals", false)?,
            protect: own.string("protect")?,
        })
    }
}
