//! `generation_config.json`: how a model's author wants it to be searched.

use serde_json::{Value, json};

use crate::checkpoint::{Keys, ModelFiles};
use crate::{Error, Result};

/// When a sentence's beam may stop before its length limit (Hugging Face's `early_stopping`, and Marian's rule).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EarlyStopping {
    /// `false`: when the beam is full of finished hypotheses and the best running one, scored at its present length, is
    /// no better than the worst of them.
    #[default]
    Heuristic,
    /// `true`: as soon as the beam is full of finished hypotheses (also CTranslate2's rule).
    WhenFull,
    /// `"never"`: like `Heuristic`, but a running hypothesis is scored at the length that favours it most.
    Never,
    /// A finished hypothesis narrows the beam by one; stop when it is empty (Marian's rule, which Hugging Face has no name for).
    Shrink,
}

/// The widest beam; the memory of a search grows with it.
pub const MOST_BEAMS: usize = 1000;

/// Search settings. Keys about sampling are not read: translation searches, it does not draw, unless asked to.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationConfig {
    /// Beam width, 1 for greedy.
    pub num_beams: usize,
    /// Longest output in tokens, the start token counted.
    pub max_length: usize,
    /// Shortest output in tokens, the start token counted.
    pub min_length: usize,
    /// Exponent of the length a score is divided by.
    pub length_penalty: f32,
    /// When to stop.
    pub early_stopping: EarlyStopping,
    /// Tokens that are never produced (`bad_words_ids` of one token).
    pub banned_tokens: Vec<u32>,
    /// Sequences that are never produced (longer `bad_words_ids`).
    pub banned_sequences: Vec<Vec<u32>>,
    /// The token at `max_length`, whatever the model says.
    pub forced_eos_token_id: Option<u32>,
    /// The first token after the start, whatever the model says.
    pub forced_bos_token_id: Option<u32>,
    /// What the decoder is fed first, where it differs from the model's config.
    pub decoder_start_token_id: Option<u32>,
    /// Sentence end, where it differs from the model's config.
    pub eos_token_id: Option<u32>,
    /// Padding, where it differs from the model's config.
    pub pad_token_id: Option<u32>,
    /// Whether probabilities sum to 1 again after tokens were banned.
    pub renormalize_logits: bool,
    /// No run of this many tokens occurs twice; 0 for no such rule.
    pub no_repeat_ngram_size: usize,
    /// Divides the positive logits of tokens already produced; 1 for no such rule.
    pub repetition_penalty: f32,
    /// Tokens that are not the first one (`begin_suppress_tokens`).
    pub begin_banned_tokens: Vec<u32>,
    /// No run of this many tokens of the source is produced; 0 for no such rule.
    pub encoder_no_repeat_ngram_size: usize,
    /// After so many tokens the sentence end's score grows, by this factor to the power of the tokens since.
    pub exponential_decay: Option<(usize, f32)>,
    /// Keys that ask for something else than this program does.
    pub ignored: Vec<String>,
}

impl Default for GenerationConfig {
    fn default() -> Self {
        Self {
            num_beams: 1,
            max_length: 512,
            min_length: 0,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::Heuristic,
            banned_tokens: Vec::new(),
            banned_sequences: Vec::new(),
            forced_eos_token_id: None,
            forced_bos_token_id: None,
            decoder_start_token_id: None,
            eos_token_id: None,
            pad_token_id: None,
            renormalize_logits: false,
            no_repeat_ngram_size: 0,
            repetition_penalty: 1.0,
            begin_banned_tokens: Vec::new(),
            encoder_no_repeat_ngram_size: 0,
            exponential_decay: None,
            ignored: Vec::new(),
        }
    }
}

impl GenerationConfig {
    /// Reads the search settings as Hugging Face does: from `generation_config.json` alone where there is one, and
    /// from `config.json` otherwise. (Measured with transformers 5: with the former present, `num_beams` of the latter
    /// has no effect.) Token ids that are not given are those of the model's own config.
    /// `forced_end` is what the class of a configuration fills in for `forced_eos_token_id` where only an old config.json
    /// speaks.
    ///
    /// # Errors
    /// If a file is no JSON object or a key has the wrong type or an impossible value.
    pub fn read(files: &ModelFiles, forced_end: Option<u32>) -> Result<Self> {
        if let Some(keys) = Keys::read(files, "generation_config.json")? {
            return Self::from_keys(&keys);
        }
        let Some(keys) = Keys::read(files, "config.json")? else { return Ok(Self::default()) };
        let mut generation = Self::from_keys(&keys)?;
        generation.forced_eos_token_id = generation.forced_eos_token_id.or(forced_end);
        Ok(generation)
    }

    /// What a person should know of these settings: the keys that have no effect, in one line.
    pub fn notes(&self, files: &ModelFiles) -> Vec<String> {
        if self.ignored.is_empty() {
            return Vec::new();
        }
        let is_separate = files.read("generation_config.json").is_ok_and(|found| found.is_some());
        let path = files.path(if is_separate { "generation_config.json" } else { "config.json" });
        let (keys, has) = (self.ignored.join(", "), if self.ignored.len() == 1 { "has" } else { "have" });
        vec![format!("{}: {keys} {has} no effect here", path.display())]
    }

    /// Checks the token ids against the size of the target vocabulary. Banned tokens beyond it are forgotten: nothing
    /// could produce them.
    ///
    /// # Errors
    /// If a token that is to be produced, or fed to the decoder, is outside the vocabulary.
    pub fn check(&mut self, files: &ModelFiles, vocabulary: usize) -> Result<()> {
        let is_in = |id: &u32| (*id as usize) < vocabulary;
        self.banned_tokens.retain(is_in);
        self.begin_banned_tokens.retain(is_in);
        self.banned_sequences.retain(|sequence| sequence.iter().all(is_in));
        let ids = [
            ("forced_eos_token_id", self.forced_eos_token_id),
            ("forced_bos_token_id", self.forced_bos_token_id),
            ("decoder_start_token_id", self.decoder_start_token_id),
            ("eos_token_id", self.eos_token_id),
        ];
        for (key, id) in ids {
            if let Some(id) = id.filter(|id| !is_in(id)) {
                let is_separate = files.read("generation_config.json")?.is_some();
                let path = files.path(if is_separate { "generation_config.json" } else { "config.json" });
                return Err(Error::model(path, format!("`{key}` {id} is outside the vocabulary of {vocabulary}")));
            }
        }
        Ok(())
    }

    fn from_keys(keys: &Keys) -> Result<Self> {
        let default = Self::default();
        let positive = |key: &str, default: usize| match keys.number(key)?.unwrap_or(default) {
            0 => Err(keys.error(format!("`{key}` is 0"))),
            number => Ok(number),
        };
        let early_stopping = match keys.value("early_stopping") {
            None | Some(Value::Bool(false)) => EarlyStopping::Heuristic,
            Some(Value::Bool(true)) => EarlyStopping::WhenFull,
            Some(Value::String(word)) if word == "never" => EarlyStopping::Never,
            // Of this program's own.
            Some(Value::String(text)) if text == "shrink" => EarlyStopping::Shrink,
            Some(other) => return Err(keys.wrong("early_stopping", other, "true, false or \"never\"")),
        };
        let (mut banned_tokens, mut banned_sequences) = (Vec::new(), Vec::new());
        if let Some(value) = keys.value("bad_words_ids") {
            let wrong = || keys.wrong("bad_words_ids", value, "a list of lists of token ids");
            for sequence in value.as_array().ok_or_else(wrong)? {
                let ids = sequence.as_array().ok_or_else(wrong)?.iter();
                let ids: Option<Vec<u32>> = ids.map(|id| id.as_u64().and_then(|id| u32::try_from(id).ok())).collect();
                match ids.ok_or_else(wrong)?.as_slice() {
                    [] => {}
                    &[token] => banned_tokens.push(token),
                    longer => banned_sequences.push(longer.to_vec()),
                }
            }
        }
        banned_tokens.extend(token_ids(keys, "suppress_tokens")?);
        let exponential_decay = match keys.value("exponential_decay_length_penalty") {
            None => None,
            Some(value) => {
                let pair = value.as_array().filter(|pair| pair.len() == 2);
                let pair =
                    pair.and_then(|pair| Some((usize::try_from(pair[0].as_u64()?).ok()?, pair[1].as_f64()? as f32)));
                let expected = "a start and a factor, [5, 1.1]";
                Some(pair.ok_or_else(|| keys.wrong("exponential_decay_length_penalty", value, expected))?)
            }
        };
        let repetition_penalty = keys.float("repetition_penalty")?.unwrap_or(default.repetition_penalty);
        if repetition_penalty <= 0.0 {
            return Err(keys.error(format!("`repetition_penalty` is {repetition_penalty}, but it must be positive")));
        }
        let num_beams = positive("num_beams", default.num_beams)?;
        if num_beams > MOST_BEAMS {
            return Err(keys.error(format!("`num_beams` is {num_beams}, but at most {MOST_BEAMS} are possible")));
        }
        Ok(Self {
            num_beams,
            // `max_new_tokens` does not count the start token, and has the last word.
            max_length: match keys.number("max_new_tokens")? {
                Some(new) => new + 1,
                None => positive("max_length", default.max_length)?,
            },
            // Likewise `min_new_tokens`.
            min_length: match keys.number("min_new_tokens")? {
                Some(new) => new + 1,
                None => keys.number("min_length")?.unwrap_or(default.min_length),
            },
            length_penalty: keys.float("length_penalty")?.unwrap_or(default.length_penalty),
            early_stopping,
            banned_tokens,
            banned_sequences,
            forced_eos_token_id: keys.id("forced_eos_token_id")?,
            forced_bos_token_id: keys.id("forced_bos_token_id")?,
            decoder_start_token_id: keys.id("decoder_start_token_id")?,
            eos_token_id: keys.id("eos_token_id")?,
            pad_token_id: keys.id("pad_token_id")?,
            renormalize_logits: keys.flag("renormalize_logits", default.renormalize_logits)?,
            no_repeat_ngram_size: keys.number("no_repeat_ngram_size")?.unwrap_or(default.no_repeat_ngram_size),
            repetition_penalty,
            begin_banned_tokens: token_ids(keys, "begin_suppress_tokens")?,
            encoder_no_repeat_ngram_size: keys.number("encoder_no_repeat_ngram_size")?.unwrap_or(0),
            exponential_decay,
            ignored: ignored(keys),
        })
    }

    /// The complete `generation_config.json`, every key spelt out.
    pub fn to_json(&self) -> Value {
        let single = self.banned_tokens.iter().map(|&token| vec![token]);
        let banned: Vec<Vec<u32>> = single.chain(self.banned_sequences.iter().cloned()).collect();
        json!({
            "num_beams": self.num_beams,
            "max_length": self.max_length,
            "min_length": self.min_length,
            "length_penalty": self.length_penalty,
            "early_stopping": match self.early_stopping {
                EarlyStopping::Heuristic => json!(false),
                EarlyStopping::Shrink => json!("shrink"),
                EarlyStopping::WhenFull => json!(true),
                EarlyStopping::Never => json!("never"),
            },
            "bad_words_ids": if banned.is_empty() { Value::Null } else { json!(banned) },
            "forced_eos_token_id": self.forced_eos_token_id,
            "forced_bos_token_id": self.forced_bos_token_id,
            "decoder_start_token_id": self.decoder_start_token_id,
            "eos_token_id": self.eos_token_id,
            "pad_token_id": self.pad_token_id,
            "renormalize_logits": self.renormalize_logits,
            "no_repeat_ngram_size": self.no_repeat_ngram_size,
            "repetition_penalty": self.repetition_penalty,
            "begin_suppress_tokens": if self.begin_banned_tokens.is_empty() { Value::Null } else { json!(self.begin_banned_tokens) },
            "encoder_no_repeat_ngram_size": self.encoder_no_repeat_ngram_size,
            "exponential_decay_length_penalty": self.exponential_decay.map(|(start, factor)| json!([start, factor])),
        })
    }
}

/// A list of token ids.
fn token_ids(keys: &Keys, key: &str) -> Result<Vec<u32>> {
    let Some(value) = keys.value(key) else { return Ok(Vec::new()) };
    let ids = value.as_array().and_then(|ids| ids.iter().map(|id| u32::try_from(id.as_u64()?).ok()).collect());
    ids.ok_or_else(|| keys.wrong(key, value, "a list of token ids"))
}

/// The keys of Hugging Face's `GenerationConfig` that would change a translation there and do not here.
fn ignored(keys: &Keys) -> Vec<String> {
    /// Each with the value that changes nothing.
    const UNSUPPORTED: [(&str, Option<f64>); 17] = [
        ("num_beam_groups", Some(1.0)),
        ("diversity_penalty", Some(0.0)),
        ("encoder_repetition_penalty", Some(1.0)),
        ("guidance_scale", Some(1.0)),
        ("num_return_sequences", Some(1.0)),
        ("do_sample", None),
        ("sequence_bias", None),
        ("force_words_ids", None),
        ("constraints", None),
        ("forced_decoder_ids", None),
        ("penalty_alpha", Some(0.0)),
        ("dola_layers", None),
        ("stop_strings", None),
        ("max_time", None),
        ("watermarking_config", None),
        ("remove_invalid_values", None),
        ("prompt_lookup_num_tokens", None),
    ];
    let is_set = |key: &str, neutral: Option<f64>| match keys.value(key) {
        None | Some(Value::Bool(false)) => false,
        Some(value) => value.as_f64().is_none() || value.as_f64() != neutral,
    };
    let mut found: Vec<String> =
        UNSUPPORTED.iter().filter(|(key, neutral)| is_set(key, *neutral)).map(|(key, _)| format!("`{key}`")).collect();
    if keys.value("eos_token_id").and_then(Value::as_array).is_some_and(|ends| ends.len() > 1) {
        found.push("`eos_token_id` but for its first".to_owned());
    }
    found
}
