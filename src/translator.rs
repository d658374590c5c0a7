//! A loaded model with its vocabularies: translates, scores or aligns one batch of sentences.

use std::sync::Arc;

use crate::checkpoint::{self, ModelFiles, Weights};
use crate::kernels::{Precision, Workspace};
use crate::model::config::{GruConfig, ModelConfig};
use crate::model::generation::GenerationConfig;
use crate::model::{Gru, Record, Seq2Seq, Transformer};
use crate::search::{self, Hypothesis, SearchOptions, Source};
use crate::text::Vocabularies;
use crate::{Error, Result};

/// A model ready to translate. Cheap to share between threads: nothing in it changes after loading.
///
/// ```
/// use translate::Translator;
/// use translate::kernels::{Precision, Workspace};
///
/// # fn main() -> translate::Result<()> {
/// # if !cfg!(feature = "builtin-models") { return Ok(()); }
/// let translator = Translator::load("transformer", Precision::F32)?;
/// let options = translator.search_options();
/// let mut workspace = Workspace::new(1);
/// let translation = &translator.translate(&["Ein Hund rennt.".into()], &options, Default::default(), &mut workspace)?[0];
/// assert!(!translation.text().is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Translator {
    model: Box<dyn Seq2Seq>,
    config: ModelConfig,
    generation: GenerationConfig,
    vocabularies: Vocabularies,
    /// The id that ends a source sentence.
    source_end: u32,
}

/// One sentence to translate, and what is special about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The source sentence; must not be blank.
    pub text: String,
    /// Text the translation must begin with.
    pub target_prefix: Option<String>,
    /// At most this many generated tokens for this sentence, sentence end included.
    pub max_length: Option<usize>,
}

impl From<&str> for Request {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }
}

/// What became of one sentence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Translation {
    /// Source piece ids as the model saw them, sentence end included.
    pub source: Vec<u32>,
    /// Whether the source was longer than [`SOURCE_LIMIT`] and was truncated.
    pub source_truncated: bool,
    /// The hypotheses, best first; never empty.
    pub candidates: Vec<CandidateTranslation>,
}

/// One hypothesis and its text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CandidateTranslation {
    /// The translation in normal spacing.
    pub text: String,
    /// Its pieces, scores and attention.
    pub hypothesis: Hypothesis,
}

impl Translation {
    /// The best translation.
    pub fn text(&self) -> &str {
        self.candidates.first().map_or("", |candidate| &candidate.text)
    }

    /// The best hypothesis, if the sentence was translated at all.
    pub fn best(&self) -> Option<&CandidateTranslation> {
        self.candidates.first()
    }

    /// Whether the source was truncated, or the length limit ended the best translation instead of the model.
    pub fn truncated(&self) -> bool {
        self.source_truncated || self.best().is_some_and(|best| best.hypothesis.truncated)
    }
}

/// Source pieces beyond this many are cut off (and [`Translation::source_truncated`] says so): encoder self-attention costs
/// the square of the length.
pub const SOURCE_LIMIT: usize = 4096;

impl Translator {
    /// Loads a built-in model by name (`transformer`, `gru`), a model directory, or a hub model that is at hand.
    ///
    /// # Errors
    /// If the model cannot be found, read or understood, or its vocabulary does not fit its embeddings.
    pub fn load(name: &str, precision: Precision) -> Result<Self> {
        Self::open(&checkpoint::resolve(name)?, precision)
    }

    /// Loads a model from its files.
    ///
    /// # Errors
    /// As [`Translator::load`].
    pub fn open(files: &ModelFiles, precision: Precision) -> Result<Self> {
        let weights = Weights::open(files)?;
        let config = ModelConfig::read(files, &weights)?;
        let mut generation = GenerationConfig::read(files)?;
        let vocabularies = match config.vocabulary() {
            Some(directory) => Vocabularies::open(&files.directory(directory)?)?,
            None => Vocabularies::open(files)?,
        };
        let sizes = config.vocabulary_sizes();
        for (side, vocabulary, size) in
            [("source", &vocabularies.source, sizes.0), ("target", &vocabularies.target, sizes.1)]
        {
            if vocabulary.size() > size {
                return Err(Error::model(
                    files.path("config.json"),
                    format!(
                        "the {side} vocabulary has {} entries but the embedding only {size} rows; \
                         the vocabulary files belong to another model",
                        vocabulary.size()
                    ),
                ));
            }
        }
        generation.check(files, sizes.1)?;
        // Only Marian directories may number the sentence end differently on the two sides.
        let source_end = match &config {
            ModelConfig::Transformer(_) => vocabularies.source.specials().end.unwrap_or(config.eos_token_id()),
            ModelConfig::Gru(config) => config.eos_token_id,
        };
        let model: Box<dyn Seq2Seq> = match &config {
            ModelConfig::Transformer(config) => Box::new(Transformer::load(config, &weights, precision)?),
            ModelConfig::Gru(config) => Box::new(Gru::load(config, &weights, precision)?),
        };
        Ok(Self { model, config, generation, vocabularies, source_end })
    }

    /// What the model is made of.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The model's own generation settings.
    pub fn generation(&self) -> &GenerationConfig {
        &self.generation
    }

    /// Source and target vocabulary.
    pub fn vocabularies(&self) -> &Vocabularies {
        &self.vocabularies
    }

    /// The model itself.
    pub fn model(&self) -> &dyn Seq2Seq {
        &*self.model
    }

    /// The number of source tokens a Transformer was made for (`max_position_embeddings`); longer sources are translated,
    /// since sinusoidal positions extend, but the model has never seen any. `None` for a GRU, which has no positions.
    pub fn trained_length(&self) -> Option<usize> {
        match &self.config {
            ModelConfig::Transformer(config) => Some(config.max_position_embeddings),
            ModelConfig::Gru(_) => None,
        }
    }

    /// Search options as the model's `generation_config.json` and `config.json` set them.
    pub fn search_options(&self) -> SearchOptions {
        let generation = &self.generation;
        let end_token = generation.eos_token_id.unwrap_or(self.config.eos_token_id());
        let pad = generation.pad_token_id.unwrap_or(self.config.pad_token_id());
        let mut banned = generation.banned_tokens.clone();
        if pad != end_token && (pad as usize) < self.model.target_vocabulary_size() {
            banned.push(pad);
        }
        // As in Hugging Face, the sentence end cannot be banned.
        banned.retain(|&token| token != end_token);
        banned.sort_unstable();
        banned.dedup();
        SearchOptions {
            beam_size: generation.num_beams,
            length_penalty: generation.length_penalty,
            early_stopping: generation.early_stopping,
            // Hugging Face's max_length counts the start token; ours counts generated tokens. min_length likewise, but
            // there the sentence end, which it does not count, makes up for it.
            max_length: generation.max_length.saturating_sub(1).max(1),
            min_length: generation.min_length,
            start_token: generation.decoder_start_token_id.unwrap_or(self.config.decoder_start_token_id()),
            end_token,
            force_end: generation.forced_eos_token_id.is_some(),
            force_begin: generation.forced_bos_token_id,
            banned,
            banned_sequences: generation.banned_sequences.clone(),
            renormalise: generation.renormalize_logits,
            no_repeat_ngram: generation.no_repeat_ngram_size,
            repetition_penalty: generation.repetition_penalty,
            ..SearchOptions::default()
        }
    }

    /// Translates a batch; one translation for each request, in order. Blank requests give empty translations.
    ///
    /// # Errors
    /// If a forced prefix or target cannot be expressed.
    pub fn translate(
        &self,
        requests: &[Request],
        options: &SearchOptions,
        record: Record,
        workspace: &mut Workspace,
    ) -> Result<Vec<Translation>> {
        let mut translations = vec![Translation::default(); requests.len()];
        let mut sources = Vec::with_capacity(requests.len());
        let mut places = Vec::with_capacity(requests.len());
        for (place, request) in requests.iter().enumerate() {
            if request.text.trim().is_empty() {
                translations[place].candidates.push(CandidateTranslation::default());
                continue;
            }
            let (ids, cut) = self.source_ids(&request.text);
            translations[place].source_truncated = cut;
            sources.push(Source {
                ids,
                prefix: request.target_prefix.as_deref().map_or_else(Vec::new, |prefix| self.target_ids(prefix)),
                max_length: request.max_length,
            });
            places.push(place);
        }
        if sources.is_empty() {
            return Ok(translations);
        }
        let results = search::search(&*self.model, &sources, options, record, workspace)?;
        for ((place, source), hypotheses) in places.into_iter().zip(sources).zip(results) {
            let translation = &mut translations[place];
            translation.source = source.ids;
            translation.candidates = hypotheses
                .into_iter()
                .map(|hypothesis| CandidateTranslation {
                    text: self.vocabularies.target.decode(&hypothesis.ids),
                    hypothesis,
                })
                .collect();
            if translation.candidates.is_empty() {
                // Every continuation was forbidden: an empty translation, marked as cut.
                translation.candidates.push(CandidateTranslation::default());
            }
        }
        Ok(translations)
    }

    /// Decodes along given translations: their log-probabilities and, if recorded, their attention. One translation with
    /// one candidate for each pair of source and target sentence, in order.
    ///
    /// # Errors
    /// None at present; kept for targets that cannot be expressed.
    pub fn align(
        &self,
        pairs: &[(&str, &str)],
        options: &SearchOptions,
        record: Record,
        workspace: &mut Workspace,
    ) -> Result<Vec<Translation>> {
        let sources: Vec<(Vec<u32>, bool)> = pairs.iter().map(|(source, _)| self.source_ids(source)).collect();
        let targets: Vec<Vec<u32>> = pairs.iter().map(|(_, target)| self.target_ids(target)).collect();
        let ids: Vec<(&[u32], &[u32])> =
            sources.iter().zip(&targets).map(|((source, _), target)| (&source[..], &target[..])).collect();
        let results = search::force_decode(&*self.model, &ids, options, record, workspace)?;
        Ok(sources
            .into_iter()
            .zip(results)
            .zip(pairs)
            .map(|(((source, source_truncated), hypothesis), (_, target))| Translation {
                source,
                source_truncated,
                candidates: vec![CandidateTranslation { text: (*target).to_owned(), hypothesis }],
            })
            .collect())
    }

    /// The text of a hypothesis in which every unknown piece is replaced by the source word it looked at most (Luong et
    /// al. 2015, section 2): names and numbers outside the vocabulary come through. Needs recorded cross-attention.
    pub fn text_replacing_unknown(&self, source: &str, hypothesis: &Hypothesis) -> String {
        let target = &self.vocabularies.target;
        let (Some(unknown), Some(attention)) = (target.specials().unknown, &hypothesis.cross_attention) else {
            return target.decode(&hypothesis.ids);
        };
        let words = self.source_words(source);
        let weights = attention.mean(self.config.alignment());
        let mut text = String::new();
        let mut step = 0;
        for run in hypothesis.ids.chunk_by(|a, b| *a != unknown && *b != unknown) {
            let part = if run[0] == unknown {
                let row = &weights[step * attention.columns..(step + 1) * attention.columns];
                let column = (0..words.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
                column.map_or_else(String::new, |column| words[column].clone())
            } else {
                target.decode(run)
            };
            step += run.len();
            if !text.is_empty() && !part.is_empty() {
                text.push(' ');
            }
            text.push_str(&part);
        }
        text
    }

    /// For each source id the model sees, except the sentence end, the whole word it belongs to.
    fn source_words(&self, source: &str) -> Vec<String> {
        let vocabulary = &self.vocabularies.source;
        let pieces = vocabulary.segment(source);
        let mut words: Vec<String> = Vec::new();
        if let ModelConfig::Gru(GruConfig { source_bos_token_id: Some(_), .. }) = self.config {
            words.push(String::new());
        }
        for (at, piece) in pieces.iter().enumerate() {
            let start = (0..=at).rev().find(|&at| vocabulary.begins_word(pieces[at].id)).unwrap_or(0);
            let end = (at + 1..pieces.len()).find(|&at| vocabulary.begins_word(pieces[at].id)).unwrap_or(pieces.len());
            debug_assert!(pieces[start..end].contains(piece));
            let word: String = pieces[start..end].iter().map(|piece| piece.text.as_str()).collect();
            words.push(word.trim_start_matches('▁').to_owned());
        }
        words.truncate(SOURCE_LIMIT);
        words
    }

    /// The pieces of the source as the model sees them, sentence tokens included, and whether they were cut.
    pub fn source_ids(&self, text: &str) -> (Vec<u32>, bool) {
        let mut ids = self.vocabularies.source.encode(text);
        let cut = ids.len() > SOURCE_LIMIT;
        ids.truncate(SOURCE_LIMIT);
        if let ModelConfig::Gru(config) = &self.config
            && let Some(start) = config.source_bos_token_id
        {
            ids.insert(0, start);
        }
        ids.push(self.source_end);
        (ids, cut)
    }

    /// The pieces of a target text, without sentence end.
    pub fn target_ids(&self, text: &str) -> Vec<u32> {
        self.vocabularies.target.encode(text)
    }

    /// The source pieces as they are written in the vocabulary.
    pub fn source_pieces(&self, ids: &[u32]) -> Vec<String> {
        pieces(&self.vocabularies.source, ids)
    }

    /// A target piece as it is written in the vocabulary.
    pub fn target_piece(&self, id: u32) -> String {
        pieces(&self.vocabularies.target, &[id]).concat()
    }

    /// The target pieces of a hypothesis as they are written in the vocabulary, sentence end included when it was generated.
    pub fn target_pieces(&self, hypothesis: &Hypothesis) -> Vec<String> {
        let mut ids = hypothesis.ids.clone();
        if hypothesis.ended {
            ids.push(self.search_options().end_token);
        }
        pieces(&self.vocabularies.target, &ids)
    }
}

fn pieces(vocabulary: &Arc<dyn crate::text::Vocabulary>, ids: &[u32]) -> Vec<String> {
    ids.iter().map(|&id| vocabulary.piece(id).map_or_else(|| format!("<{id}>"), str::to_owned)).collect()
}
