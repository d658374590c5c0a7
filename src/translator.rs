//! A loaded model with its vocabularies: translates, scores or aligns one batch of sentences.

mod constraints;
mod ensemble;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::checkpoint::ModelFiles;
use crate::compute::{BackendName, Compute, Device, Precision, Workspace};
use crate::layouts::{self, GenerationConfig, Opened, TextDefaults};
use crate::model::{self, Candidate, Record, Seq2Seq};
use crate::search::{self, Beginning, Hypothesis, OtherSource, SearchOptions, Source};
use crate::spec::{AlignmentHeads, Spec};
use crate::store;
use crate::store::hub::HubSettings;
use crate::text::{
    Commas, Frame, Languages, ModelLanguages, Normalized, Part, Segmentation, Spellings, TokenBoundaries, Vocabularies,
    is_in_capitals, join_sentences, normalize, split_sentences, with_clock_times, with_numbers, without_capitals,
};
use crate::{Error, Result};

/// A model ready to translate. Cheap to share between threads: nothing in it changes after loading.
///
/// ```
/// use translate::{Precision, Translator, Workspace};
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
    /// The network, or several.
    model: Arc<dyn Seq2Seq>,
    /// What the model is called.
    name: String,
    /// The other models that choose every token together with it, each with its own source side.
    members: Vec<Translator>,
    spec: Spec,
    frame: Frame,
    alignment: Option<AlignmentHeads>,
    generation: GenerationConfig,
    text_defaults: TextDefaults,
    /// How words are usually written, for lines that were typed carelessly.
    spellings: Option<Spellings>,
    /// Where a careless writer leaves out commas and capitals.
    commas: Option<Commas>,
    notes: Vec<String>,
    vocabularies: Vocabularies,
    languages: ModelLanguages,
    /// The languages of a sentence that says nothing of them; `None` if there is no telling.
    chosen: Option<Languages>,
    /// Whether texts are pieces between spaces, which may have their frame written out.
    pieces: bool,
    /// Where words of the target begin and end, once a translation had to have some.
    boundaries: OnceLock<Arc<TokenBoundaries>>,
    compute: Compute,
    threads: usize,
    /// Workspaces between two calls of [`Translator::translate_text`].
    workspaces: Mutex<Vec<Workspace>>,
}

/// What a [`Translator`] is to be made of; see [`Translator::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct TranslatorBuilder {
    model: String,
    files: Option<ModelFiles>,
    compute: Compute,
    /// If said.
    precision: Option<Precision>,
    threads: usize,
    pieces: bool,
    languages: (Option<String>, Option<String>),
    source_prefix: Option<String>,
    target_in_source: bool,
    segmentation: Segmentation,
    /// If said.
    split_sentences: Option<bool>,
    normalize: Option<bool>,
}

impl TranslatorBuilder {
    /// A built-in model (`transformer`, `gru`), a model directory, or a hub model that is at hand.
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.model = name.into();
        self
    }

    /// The files of a model, in place of its name.
    pub fn files(mut self, files: ModelFiles) -> Self {
        self.files = Some(files);
        self
    }

    /// The arithmetic of the matrix products; unless said, [`Precision::Int8`] on the kernels for a model whose weights are
    /// stored so, [`Precision::F32`] for any other.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = Some(precision);
        self
    }

    /// The implementation; the kernels on the CPU and candle elsewhere unless said.
    pub fn backend(mut self, backend: BackendName) -> Self {
        self.compute.backend = Some(backend);
        self
    }

    /// What computes; the processor unless said.
    pub fn device(mut self, device: Device) -> Self {
        self.compute.device = device;
        self
    }

    /// Processor threads; one unless said.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Whether texts, in and out, are pieces of the vocabulary with spaces between them.
    pub fn pieces(mut self, pieces: bool) -> Self {
        self.pieces = pieces;
        self
    }

    /// The languages of every sentence that does not say its own, each as the model writes it, as an ISO 639 code or as
    /// an English name.
    pub fn languages(mut self, source: Option<impl Into<String>>, target: Option<impl Into<String>>) -> Self {
        self.languages = (source.map(Into::into), target.map(Into::into));
        self
    }

    /// What is put before every text, as it stands: an instruction the model was trained with.
    pub fn source_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.source_prefix = Some(prefix.into());
        self
    }

    /// Whether the target's language stands before the source, whatever the files of the model say: so SMaLL-100 was
    /// trained, whose files cannot be told from M2M100's.
    pub fn target_language_in_source(mut self, in_source: bool) -> Self {
        self.target_in_source = in_source;
        self
    }

    /// How text is cut before its pieces are looked up, for a model whose vocabulary is a list of pieces; what this does not
    /// say the model's files do.
    pub fn segmentation(mut self, segmentation: Segmentation) -> Self {
        self.segmentation = segmentation;
        self
    }

    /// Whether [`Translator::translate_text`] and [`Translator::translate_lines`] translate sentence by sentence; what the
    /// model's [`TextDefaults`] say unless said.
    pub fn split_sentences(mut self, split: bool) -> Self {
        self.split_sentences = Some(split);
        self
    }

    /// Whether they take invisible characters out first ([`normalize`]); what the model's [`TextDefaults`] say unless said.
    pub fn normalize(mut self, normalize: bool) -> Self {
        self.normalize = Some(normalize);
        self
    }

    /// Loads the model.
    ///
    /// # Errors
    /// If the model has no such language, cannot be found, read or understood, its vocabulary does not fit its
    /// embeddings, or the backend or the device cannot be used.
    pub fn build(self) -> Result<Translator> {
        let files = match self.files {
            Some(files) => files,
            None => {
                let settings = HubSettings { refuses: layouts::refuses, ..HubSettings::from_environment() };
                store::resolve_with(&self.model, &settings, &mut |_| {})?
            }
        };
        let mut compute = Compute { threads: self.threads, ..self.compute };
        let backend = compute.backend()?;
        let mut opened = Opened::open(&files)?;
        opened.segmentation = self.segmentation.or(opened.segmentation);
        let is_int8 = || opened.parameters.weights().is_int8() && backend == BackendName::Kernels;
        compute.precision = self.precision.unwrap_or_else(|| if is_int8() { Precision::Int8 } else { Precision::F32 });
        let (from, to) = (self.languages.0.as_deref(), self.languages.1.as_deref());
        let is_normalized = self.normalize.unwrap_or(opened.text_defaults.normalize && !self.pieces);
        let load = || model::load(&opened.spec, &opened.parameters, &compute);
        let read = || -> Result<_> {
            let understood = Understood::new(&opened, &files, self.target_in_source, self.source_prefix)?;
            let chosen = understood.choose(&opened, &files, from, to)?;
            let spellings = if is_normalized { opened.spellings(&files)? } else { None };
            let commas = if is_normalized { opened.commas(&files)? } else { None };
            Ok((understood, chosen, spellings, commas))
        };
        // Reading vocabularies takes as long as packing the weights of a small model. What is wrong with a large one is told before
        // its weights are loaded.
        let (texts, model) = if opened.parameters.weights().size().1 <= LOADED_BESIDE {
            std::thread::scope(|scope| {
                let model = scope.spawn(load);
                (read(), model.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            })
        } else {
            let texts = read()?;
            (Ok(texts), load())
        };
        let (Understood { frame, vocabularies, languages }, chosen, spellings, commas) = texts?;
        let model = model?.into();
        let vocabularies = if self.pieces { vocabularies.of_pieces() } else { vocabularies };
        files.release();
        let unused = opened.parameters.unused_note();
        let Opened { spec, alignment, generation, mut text_defaults, mut notes, .. } = opened;
        // Pieces are what the model gets, and nobody else's affair.
        text_defaults.split_sentences = self.split_sentences.unwrap_or(text_defaults.split_sentences && !self.pieces);
        text_defaults.normalize = is_normalized;
        text_defaults.capitals &= text_defaults.normalize;
        text_defaults.numerals &= text_defaults.normalize;
        if !text_defaults.normalize {
            text_defaults.spellings = None;
            text_defaults.commas = None;
        }
        notes.extend(languages.notes(from, to));
        notes.extend(vocabularies.notes.iter().cloned());
        notes.extend(generation.notes(&files));
        notes.extend(unused);
        Ok(Translator {
            model,
            name: files.name().display().to_string(),
            members: Vec::new(),
            spec,
            frame,
            alignment,
            generation,
            text_defaults,
            spellings,
            commas,
            notes,
            vocabularies,
            languages,
            chosen,
            pieces: self.pieces,
            boundaries: OnceLock::new(),
            compute,
            threads: self.threads,
            workspaces: Mutex::default(),
        })
    }
}

/// What the files of a model say about its text.
struct Understood {
    frame: Frame,
    vocabularies: Vocabularies,
    languages: ModelLanguages,
}

impl Understood {
    fn new(opened: &Opened, files: &ModelFiles, target_in_source: bool, source_prefix: Option<String>) -> Result<Self> {
        let vocabularies = opened.vocabularies(files)?;
        let mut frame = opened.frame.clone();
        if target_in_source {
            frame.source = Some((vec![Part::TargetLanguage], vec![Part::Id(frame.end)]));
            frame.first = None;
        }
        let languages = ModelLanguages {
            tokens: vocabularies.source.languages().to_vec(),
            tasks: opened.tasks.clone(),
            source_in_frame: frame.has(Part::SourceLanguage),
            target_in_frame: frame.has(Part::TargetLanguage),
            defaults: opened.languages.clone(),
            pair: vocabularies.pair.clone(),
            has_fixed_target: frame.target.is_some(),
            source_prefix: source_prefix.map(Into::into),
        };
        Ok(Self { frame, vocabularies, languages })
    }

    /// The languages that are asked for, if the model can say them.
    fn choose(
        &self,
        opened: &Opened,
        files: &ModelFiles,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<Option<Languages>> {
        // That a language is missing is no error before a sentence misses it.
        let chosen = match from.or(to) {
            Some(_) => Some(self.languages.choose(from, to)?),
            None => self.languages.choose(None, None).ok(),
        };
        let around = self.frame.around(&*self.vocabularies.source, &chosen.clone().unwrap_or_default());
        let size = opened.spec.vocabulary_sizes().0;
        if let Some(id) = around.0.iter().chain(&around.1).find(|&&id| id as usize >= size) {
            let problem =
                format!("token {id}, which stands around every sentence, is outside the vocabulary of {size}");
            return Err(Error::model(files.path("config.json"), problem));
        }
        Ok(chosen)
    }
}

/// The languages of a model whose weights need not be loaded.
///
/// # Errors
/// If its files cannot be read or understood.
pub fn languages_of(files: &ModelFiles) -> Result<ModelLanguages> {
    Understood::new(&Opened::open(files)?, files, false, None).map(|understood| understood.languages)
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
    /// Its languages ([`ModelLanguages::choose`]), where they are not the translator's.
    pub languages: Option<Languages>,
    /// Words the translation must have, as [`Glossary::constraints`](crate::text::Glossary::constraints) gives them: each in any of several forms. Which of
    /// them it has not is for [`unmet`](crate::text::glossary::unmet) to say. A beam places them, also where the options have none; samples do without.
    pub force: Vec<Vec<String>>,
    /// Whether its attention is not kept, even if that of others is recorded.
    pub unrecorded: bool,
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
    /// The same as the other members of an ensemble saw it.
    pub others: Vec<OtherSource>,
    /// Whether the text was in capitals: then the model read it in small letters, and its answer was put into capitals.
    pub in_capitals: bool,
    /// The text as the model read it, where that is not the text of the request: in small letters, or with capitals that it
    /// lacked. Places in the two are the same.
    pub read: Option<String>,
    /// The languages the model was told.
    pub languages: Languages,
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
    /// A source as the model read it. Places in the two are the same.
    pub(crate) fn read<'t>(&'t self, source: &'t str) -> &'t str {
        self.read.as_deref().filter(|read| read.len() == source.len()).unwrap_or(source)
    }

    /// A text of the model as it is given to whoever asked.
    fn written(&self, text: String) -> String {
        if self.in_capitals { text.to_uppercase() } else { text }
    }

    /// Drops the attention that was recorded.
    pub fn forget_attention(&mut self) {
        for CandidateTranslation { hypothesis, .. } in &mut self.candidates {
            hypothesis.cross_attention = None;
            hypothesis.decoder_attention = None;
            hypothesis.encoder_attention = None;
        }
    }

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

/// Bytes of weights up to which vocabularies are read at the same time.
const LOADED_BESIDE: u64 = 256 << 20;

/// Sentences that [`Translator::translate_text`] and [`Translator::translate_lines`] translate together.
const TOGETHER: usize = 32;

/// Source pieces beyond this many are cut off whatever the model (and [`Translation::source_truncated`] says so): encoder
/// self-attention costs the square of the length.
pub const SOURCE_LIMIT: usize = 4096;

impl Translator {
    /// Begins with the built-in Transformer in `f32` on one thread of the CPU.
    ///
    /// ```
    /// # fn main() -> translate::Result<()> {
    /// # if !cfg!(feature = "builtin-models") { return Ok(()); }
    /// let translator = translate::Translator::builder().model("transformer").threads(2).build()?;
    /// assert_eq!(translator.translate_text("Ein Hund läuft.")?, "A dog is running.");
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> TranslatorBuilder {
        TranslatorBuilder {
            model: "transformer".to_owned(),
            files: None,
            compute: Compute::default(),
            precision: None,
            threads: 1,
            pieces: false,
            languages: (None, None),
            source_prefix: None,
            target_in_source: false,
            segmentation: Segmentation::default(),
            split_sentences: None,
            normalize: None,
        }
    }

    /// Loads a built-in model by name (`transformer`, `gru`), a model directory, or a hub model that is at hand.
    ///
    /// # Errors
    /// As [`TranslatorBuilder::build`].
    pub fn load(name: &str, precision: Precision) -> Result<Self> {
        Self::builder().model(name).precision(precision).build()
    }

    /// Loads a model from its files.
    ///
    /// # Errors
    /// As [`TranslatorBuilder::build`].
    pub fn open(files: &ModelFiles, precision: Precision) -> Result<Self> {
        Self::builder().files(files.clone()).precision(precision).build()
    }

    /// Translates one text with the model's own search settings, and treats it as [`Translator::text_defaults`] say.
    ///
    /// # Errors
    /// If the text cannot be expressed in the model's vocabulary, or the device fails.
    pub fn translate_text(&self, text: &str) -> Result<String> {
        Ok(self.translate_texts(&[text])?.pop().unwrap_or_default())
    }

    /// Translates lines as they come, in batches and in order, one translation a line; a blank line gives a blank line.
    /// They are treated as [`Translator::text_defaults`] say.
    ///
    /// The iterator takes as many lines as make a batch before it gives the first translation.
    pub fn translate_lines<'t, I>(&'t self, lines: I) -> impl Iterator<Item = Result<String>> + 't
    where
        I: IntoIterator<Item = String>,
        I::IntoIter: 't,
    {
        let mut lines = lines.into_iter();
        let mut ready = std::collections::VecDeque::new();
        std::iter::from_fn(move || {
            if ready.is_empty() {
                let batch: Vec<String> = lines.by_ref().take(TOGETHER).collect();
                if batch.is_empty() {
                    return None;
                }
                match self.translate_texts(&batch) {
                    Ok(translations) => ready.extend(translations),
                    Err(error) => return Some(Err(error)),
                }
            }
            ready.pop_front().map(Ok)
        })
    }

    /// Translates texts, each as [`Translator::text_defaults`] say.
    fn translate_texts<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<String>> {
        let chosen = self.chosen_languages()?;
        let normalized: Vec<Normalized> = texts.iter().map(|text| self.normalized(text.as_ref())).collect();
        let mut requests = Vec::new();
        let mut sentences = Vec::new();
        for Normalized { text, .. } in &normalized {
            let split = self.text_defaults.split_sentences && !text.trim().is_empty();
            let (languages, text) =
                if split && chosen.target.is_none() { self.own_language(text) } else { (None, &text[..]) };
            let own = match split {
                true => split_sentences(text.trim(), self.languages.source_of(languages.as_ref().unwrap_or(&chosen))),
                false => vec![text],
            };
            let of_sentence = |sentence: &&str| {
                let text = if own.len() > 1 { sentence.trim() } else { sentence };
                Request { languages: languages.clone(), ..text.into() }
            };
            requests.extend(own.iter().map(of_sentence));
            sentences.push(own);
        }
        let mut translations = Vec::with_capacity(requests.len());
        self.with_workspace(|workspace| {
            for requests in requests.chunks(TOGETHER) {
                translations.extend(self.translate(requests, &self.search_options(), Record::default(), workspace)?);
            }
            Ok(())
        })?;
        let mut translations = translations.iter().map(Translation::text);
        let line = |sentences: Vec<&str>| {
            let own: Vec<&str> = translations.by_ref().take(sentences.len()).collect();
            if let [one] = own[..] { one.to_owned() } else { join_sentences(&sentences, &own) }
        };
        Ok(sentences.into_iter().map(line).collect())
    }

    /// A text without what nobody sees, if the model wants it so, with the umlauts and accents that its words have lost, if the
    /// model has a list of [`Spellings`], with times of day and large numbers in digits, if its [`TextDefaults`] say so, and with the commas it lacks,
    /// if the model has [`Commas`].
    pub fn normalized(&self, text: &str) -> Normalized {
        let spelled = self.spelled(text);
        match &self.commas {
            Some(commas) => commas.restored(spelled),
            None => spelled,
        }
    }

    /// [`Translator::normalized`] for what is no sentence, such as a term of a glossary: without commas it does not have.
    pub fn spelled(&self, text: &str) -> Normalized {
        if !self.text_defaults.normalize {
            return Normalized { text: text.to_owned(), ..Normalized::default() };
        }
        let normalized = normalize(text);
        let spelled = match &self.spellings {
            Some(spellings) => spellings.restored(normalized),
            None => normalized,
        };
        if self.text_defaults.numerals { with_numbers(with_clock_times(spelled)) } else { spelled }
    }

    /// A text in small letters or, if `in_capitals`, in capitals as the model reads it; nothing if it reads it as it is.
    fn in_usual_case(&self, text: &str, in_capitals: bool) -> Option<String> {
        let small = if in_capitals { Cow::Owned(without_capitals(text)) } else { Cow::Borrowed(text) };
        let usual = self.spellings.as_ref().map(|spellings| spellings.with_capitals(&small, self.commas.as_ref()));
        match usual {
            Some(Cow::Owned(usual)) => Some(usual),
            _ => in_capitals.then(|| small.into_owned()),
        }
    }

    /// The languages that a text chooses by the token it begins with (`>>fra<<`), if the model has it and was told no target, and
    /// the text after it. Cut into sentences, all of them need it.
    pub fn own_language<'t>(&self, text: &'t str) -> (Option<Languages>, &'t str) {
        let end = text.find("<<").filter(|_| text.starts_with(">>")).map_or(0, |start| start + 2);
        let (token, rest) = text.split_at(end);
        let languages = self.vocabularies.source.languages();
        match languages.iter().find(|language| end > 0 && language.token == token) {
            Some(language) => (self.languages.choose(None, Some(&language.code)).ok(), rest.trim_start()),
            None => (None, text),
        }
    }

    fn with_workspace<T>(&self, work: impl FnOnce(&mut Workspace) -> T) -> T {
        let lock = || self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        let mut workspace = lock().pop().unwrap_or_else(|| Workspace::new(self.threads));
        let result = work(&mut workspace);
        lock().push(workspace);
        result
    }

    /// What the model is called: its directory or its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the network is made of.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// What stands around a sentence.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// How and where the model is computed.
    pub fn compute(&self) -> &Compute {
        &self.compute
    }

    /// The cross-attention to read alignments from, if it was measured.
    pub fn alignment(&self) -> Option<AlignmentHeads> {
        self.alignment
    }

    /// The model's own generation settings.
    pub fn generation(&self) -> &GenerationConfig {
        &self.generation
    }

    /// What is done to texts: what the model's directory says, unless the builder was told otherwise. [`Translator::translate`]
    /// does nothing of it by itself.
    pub fn text_defaults(&self) -> &TextDefaults {
        &self.text_defaults
    }

    /// What the user should be told about the model, one line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The languages the model has.
    pub fn languages(&self) -> &ModelLanguages {
        &self.languages
    }

    /// The languages of a sentence that says nothing of its own.
    ///
    /// # Errors
    /// [`Error::Usage`] if the model needs to be told one and was not.
    pub fn chosen_languages(&self) -> Result<Languages> {
        self.chosen.clone().map_or_else(|| self.languages.choose(None, None), Ok)
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
        match &self.spec {
            Spec::Transformer(spec) => spec.trained_length,
            Spec::Recurrent(_) => None,
        }
    }

    /// Source pieces beyond this many are cut off: [`SOURCE_LIMIT`], or what a table of learned positions has room for.
    pub fn source_limit(&self) -> usize {
        let (before, after) = self.around(&Languages::default());
        // A language not chosen here takes its place in every sentence all the same.
        let around = before.len() + after.len() + usize::from(self.languages.source_in_frame);
        let table = self.spec.position_limit().map_or(SOURCE_LIMIT, |rows| rows.saturating_sub(around).max(1));
        SOURCE_LIMIT.min(table)
    }

    /// Tokens of a translation that a decoder's table of positions has room for: beyond it all would be the last, and the start
    /// token takes one. A decoder of states has no positions.
    fn target_positions(&self) -> usize {
        match &self.spec {
            Spec::Transformer(_) => self.spec.position_limit().map_or(usize::MAX, |rows| rows.saturating_sub(1).max(1)),
            Spec::Recurrent(_) => usize::MAX,
        }
    }

    /// Search options as the model's `generation_config.json` and `config.json` set them.
    pub fn search_options(&self) -> SearchOptions {
        let generation = &self.generation;
        let end_token = generation.eos_token_id.unwrap_or(self.frame.end);
        let pad = generation.pad_token_id.unwrap_or(self.frame.padding);
        let Beginning { start, first } = self.beginning(self.chosen.as_ref().unwrap_or(&Languages::default()));
        let models = std::iter::once(self).chain(&self.members);
        let most = models.map(Self::target_positions).min().unwrap_or(usize::MAX);
        let mut banned = generation.banned_tokens.clone();
        if self.frame.bans_padding && pad != end_token && (pad as usize) < self.model.target_vocabulary_size() {
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
            max_length: generation.max_length.saturating_sub(1).max(1).min(most),
            min_length: generation.min_length,
            start_token: start,
            end_token,
            force_end: generation.forced_eos_token_id.is_some(),
            force_begin: first,
            banned,
            banned_sequences: generation.banned_sequences.clone(),
            renormalise: generation.renormalize_logits,
            no_repeat_ngram: generation.no_repeat_ngram_size,
            repetition_penalty: generation.repetition_penalty,
            banned_at_begin: generation.begin_banned_tokens.clone(),
            encoder_no_repeat_ngram: generation.encoder_no_repeat_ngram_size,
            exponential_decay: generation.exponential_decay,
            ..SearchOptions::default()
        }
    }

    /// How a translation into the chosen language begins.
    fn beginning(&self, languages: &Languages) -> Beginning {
        let token = |part| self.frame.token(part, &*self.vocabularies.source, languages);
        let Frame { start, first, end, .. } = self.frame;
        let own = &self.generation;
        let settings = (own.decoder_start_token_id, own.forced_bos_token_id);
        Beginning {
            start: match start {
                Part::TargetLanguage => token(start),
                _ => settings.0.or(token(start)),
            }
            .unwrap_or(own.eos_token_id.unwrap_or(end)),
            first: match first {
                Some(Part::TargetLanguage) => token(Part::TargetLanguage),
                _ => settings.1.or(first.and_then(token)),
            },
        }
    }

    /// What stands before and after a source sentence.
    fn around(&self, languages: &Languages) -> (Vec<u32>, Vec<u32>) {
        self.frame.around(&*self.vocabularies.source, languages)
    }

    /// A text as the vocabulary gets it: with what the languages put before it.
    pub(crate) fn prefixed<'t>(text: &'t str, languages: &Languages) -> Cow<'t, str> {
        match &languages.prefix {
            Some(prefix) => format!("{prefix}{text}").into(),
            None => text.into(),
        }
    }

    /// Whether [`Self::translate_on`] can begin with further requests as others end, so that it is worth giving it more of them.
    pub fn joins(&self) -> bool {
        self.model.joins()
    }

    /// Translates a batch; one translation for each request, in order. Blank requests give empty translations.
    ///
    /// # Errors
    /// If a text cannot be expressed, the model is not told a language it needs, or the device fails.
    pub fn translate(
        &self,
        requests: &[Request],
        options: &SearchOptions,
        record: Record,
        workspace: &mut Workspace,
    ) -> Result<Vec<Translation>> {
        let mut translations = vec![Translation::default(); requests.len()];
        self.translate_on(requests.to_vec(), options, record, workspace, &mut |place, translation| {
            translations[place] = translation;
            Ok(Vec::new())
        })?;
        Ok(translations)
    }

    /// The same, request by request: each translation goes to `finish` when it is ready, with the number of its request, and the
    /// requests that `finish` returns are translated, too, numbered on from those so far.
    ///
    /// # Errors
    /// As [`Self::translate`], and those of `finish`.
    pub fn translate_on(
        &self,
        requests: Vec<Request>,
        options: &SearchOptions,
        record: Record,
        workspace: &mut Workspace,
        finish: &mut dyn FnMut(usize, Translation) -> Result<Vec<Request>>,
    ) -> Result<()> {
        // What waits for its hypotheses: the number of each request, and its translation but for them.
        let mut pending: Vec<Option<(usize, Box<Translation>)>> = Vec::new();
        let mut count = 0;
        let mut begin =
            |requests: Vec<Request>, pending: &mut Vec<_>, finish: &mut dyn FnMut(usize, Translation) -> _| {
                let mut sources = Vec::with_capacity(requests.len());
                let mut waiting: VecDeque<Request> = requests.into();
                while let Some(request) = waiting.pop_front() {
                    let number = count;
                    count += 1;
                    if request.text.trim().is_empty() {
                        let candidates = vec![CandidateTranslation::default()];
                        // What comes of it is numbered behind what waits.
                        waiting.extend(finish(number, Translation { candidates, ..Translation::default() })?);
                        continue;
                    }
                    let (translation, source) = self.source_of(&request, options)?;
                    sources.push(source);
                    pending.push(Some((number, Box::new(translation))));
                }
                Ok::<_, Error>(sources)
            };
        let sources = begin(requests, &mut pending, finish)?;
        if sources.is_empty() {
            return Ok(());
        }
        let batch = sources.len().min(options.most_sentences);
        search::search_on(&*self.model, sources, options, record, workspace, &mut |sentence, hypotheses| {
            let (number, mut translation) = pending[sentence].take().expect("a sentence ends once");
            let candidate = |hypothesis: Hypothesis| CandidateTranslation {
                text: self.plain_text(&translation, &hypothesis),
                hypothesis,
            };
            let mut candidates: Vec<CandidateTranslation> = hypotheses.into_iter().map(candidate).collect();
            if candidates.is_empty() {
                // Every continuation was forbidden: an empty translation, marked as cut.
                candidates.push(CandidateTranslation::default());
            }
            translation.candidates = candidates;
            begin(finish(number, *translation)?, &mut pending, finish)
        })
        .map_err(|error| error.in_batch_of(batch))
    }

    /// What a search gets of a request, and its translation but for the hypotheses.
    fn source_of(&self, request: &Request, options: &SearchOptions) -> Result<(Translation, Source)> {
        self.check_text(&request.text)?;
        let languages = match &request.languages {
            Some(languages) => languages.clone(),
            None => self.chosen_languages()?,
        };
        // Words that were asked for are as they were asked for.
        let is_plain = request.target_prefix.is_none() && request.force.is_empty();
        let in_capitals = is_plain && self.text_defaults.capitals && is_in_capitals(&request.text);
        let read = self.in_usual_case(&request.text, in_capitals);
        let mut translation = Translation { in_capitals, read, ..Translation::default() };
        let text = translation.read(&request.text);
        let (ids, mut cut) = self.source_ids_in(text, &languages);
        let others = self.other_sources(text, &languages, &mut cut);
        let beginning = self.beginning(&languages);
        let mut prefix = request.target_prefix.as_deref().map_or_else(Vec::new, |prefix| self.target_ids(prefix));
        // A prefix takes the place of the first token, but a language goes before it.
        if !prefix.is_empty() && self.frame.first == Some(Part::TargetLanguage) {
            prefix.splice(0..0, beginning.first);
        }
        let beginning = request.languages.is_some().then_some(beginning);
        translation.source.clone_from(&ids);
        translation.others.clone_from(&others);
        translation.source_truncated = cut;
        translation.languages = languages;
        let (max_length, unrecorded) = (request.max_length, request.unrecorded);
        let mut source = Source { ids, prefix, max_length, beginning, others, unrecorded, ..Source::default() };
        if !request.force.is_empty() {
            source.constraints = self.constraints(&request.force, options.limit(&source));
        }
        Ok((translation, source))
    }

    /// Decodes along given translations: their log-probabilities and, if recorded, their attention. One translation with
    /// one candidate for each pair of source and target sentence, in order.
    ///
    /// # Errors
    /// If the model is not told a language it needs, or the device fails.
    pub fn align(
        &self,
        pairs: &[(&str, &str)],
        options: &SearchOptions,
        record: Record,
        workspace: &mut Workspace,
    ) -> Result<Vec<Translation>> {
        let languages = self.chosen_languages()?;
        let source = |text: &str| {
            let read = self.in_usual_case(text, false);
            let text = read.as_deref().unwrap_or(text);
            let (ids, mut cut) = self.source_ids_in(text, &languages);
            let others = self.other_sources(text, &languages, &mut cut);
            (Source { ids, others, ..Source::default() }, cut, read)
        };
        let sources: Vec<(Source, bool, Option<String>)> = pairs.iter().map(|(text, _)| source(text)).collect();
        let targets: Vec<Vec<u32>> = pairs.iter().map(|(_, target)| self.target_ids(target)).collect();
        let ids: Vec<(&Source, &[u32])> =
            sources.iter().zip(&targets).map(|((source, ..), target)| (source, &target[..])).collect();
        let results = search::force_decode_with(&*self.model, &ids, options, record, 0, workspace)
            .map_err(|error| error.in_batch_of(ids.len()))?;
        Ok(sources
            .into_iter()
            .zip(results.into_iter().map(|forced| forced.hypothesis))
            .zip(pairs)
            .map(|(((source, source_truncated, read), hypothesis), (_, target))| Translation {
                source: source.ids,
                others: source.others,
                source_truncated,
                in_capitals: false,
                read,
                languages: languages.clone(),
                candidates: vec![CandidateTranslation { text: (*target).to_owned(), hypothesis }],
            })
            .collect())
    }

    /// For each candidate of each translation, the `count` most probable tokens at each of its tokens, best first: what else the
    /// model would have said there. `[translations][candidates][tokens][≤ count]`; a translation of a blank text has none.
    ///
    /// # Errors
    /// If the device fails.
    pub fn alternatives(
        &self,
        translations: &[Translation],
        options: &SearchOptions,
        count: usize,
        workspace: &mut Workspace,
    ) -> Result<Vec<Vec<Vec<Vec<Candidate>>>>> {
        let translated = || translations.iter().filter(|translation| !translation.source.is_empty());
        let source = |translation: &Translation| {
            let (ids, others) = (translation.source.clone(), translation.others.clone());
            Source { ids, others, ..Source::default() }
        };
        let sources: Vec<Source> = translated().map(source).collect();
        let ids: Vec<(&Source, &[u32])> = translated()
            .zip(&sources)
            .flat_map(|(translation, source)| {
                translation.candidates.iter().map(move |own| (source, &own.hypothesis.ids[..]))
            })
            .collect();
        let forced = search::force_decode_with(&*self.model, &ids, options, Record::default(), count, workspace)
            .map_err(|error| error.in_batch_of(ids.len()))?;
        let mut forced = forced.into_iter().map(|forced| forced.alternatives);
        let of_translation = |translation: &Translation| {
            let count = if translation.source.is_empty() { 0 } else { translation.candidates.len() };
            forced.by_ref().take(count).collect()
        };
        Ok(translations.iter().map(of_translation).collect())
    }

    /// The text of a hypothesis in which every unknown piece is replaced by the source word it looked at most (Luong et
    /// al. 2015, section 2): names and numbers outside the vocabulary come through. Needs recorded cross-attention.
    pub fn text_replacing_unknown(&self, source: &str, translation: &Translation, hypothesis: &Hypothesis) -> String {
        let target = &self.vocabularies.target;
        let replaced = self.replaced_unknown(source, translation, hypothesis);
        if replaced.is_empty() {
            return self.plain_text(translation, hypothesis);
        }
        let unknown = target.specials().unknown;
        let mut text = String::new();
        let mut step = 0;
        for run in hypothesis.ids.chunk_by(|a, b| Some(*a) != unknown && Some(*b) != unknown) {
            let part = replaced[step].clone().unwrap_or_else(|| target.decode(run));
            step += run.len();
            if !text.is_empty() && !part.is_empty() {
                text.push(' ');
            }
            text.push_str(&part);
        }
        translation.written(text)
    }

    /// The text of a hypothesis of a translation, from its pieces alone.
    pub(crate) fn plain_text(&self, translation: &Translation, hypothesis: &Hypothesis) -> String {
        translation.written(self.vocabularies.target.decode(&hypothesis.ids))
    }

    /// For each piece of a hypothesis, if it is unknown, the source word it looked at most. Nothing if there is no unknown
    /// piece or no attention.
    pub(crate) fn replaced_unknown(
        &self,
        source: &str,
        translation: &Translation,
        hypothesis: &Hypothesis,
    ) -> Vec<Option<String>> {
        let (Some(unknown), Some(attention)) =
            (self.vocabularies.target.specials().unknown, &hypothesis.cross_attention)
        else {
            return Vec::new();
        };
        if !hypothesis.ids.contains(&unknown) {
            return Vec::new();
        }
        let words = self.source_words(translation.read(source), &translation.languages);
        let weights = attention.mean(self.alignment);
        let word = |(step, &id): (usize, &u32)| {
            let row = weights.get(step * attention.columns..(step + 1) * attention.columns)?;
            let column = (0..words.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
            (id == unknown).then(|| column.map_or_else(String::new, |column| words[column].clone()))
        };
        hypothesis.ids.iter().enumerate().map(word).collect()
    }

    /// For each source id the model sees, except the sentence end, the whole word it belongs to.
    fn source_words(&self, source: &str, languages: &Languages) -> Vec<String> {
        let vocabulary = &self.vocabularies.source;
        let pieces = vocabulary.segment(&Self::prefixed(source, languages));
        let begins_word =
            |at: usize| vocabulary.begins_word(pieces[at].id) || vocabulary.ends_word(&pieces[at - 1].text);
        let before = self.around(languages).0.len();
        let mut words: Vec<String> = vec![String::new(); before];
        for (at, piece) in pieces.iter().enumerate() {
            let start = (1..=at).rev().find(|&at| begins_word(at)).unwrap_or(0);
            let end = (at + 1..pieces.len()).find(|&at| begins_word(at)).unwrap_or(pieces.len());
            debug_assert!(pieces[start..end].contains(piece));
            let word: String = pieces[start..end].iter().map(|piece| piece.text.as_str()).collect();
            words.push(vocabulary.readable(&word));
        }
        words.truncate(before + self.source_limit());
        words
    }

    /// Whether a text can be expressed in the source vocabulary; only one without an unknown token may lack something.
    ///
    /// # Errors
    /// If it cannot; the message names the word.
    pub fn check_text(&self, text: &str) -> Result<()> {
        match self.vocabularies.source.unencodable(text) {
            None => Ok(()),
            Some(word) => {
                let word: String = word.chars().filter(|c| !c.is_control()).take(60).collect();
                Err(Error::Text(format!("`{word}` is not in the source vocabulary, which has no <unk> for it")))
            }
        }
    }

    /// The pieces of the source as the model sees them, sentence tokens included, and whether they were cut; without a
    /// language that the model was not told.
    pub fn source_ids(&self, text: &str) -> (Vec<u32>, bool) {
        self.source_ids_in(text, self.chosen.as_ref().unwrap_or(&Languages::default()))
    }

    fn source_ids_in(&self, text: &str, languages: &Languages) -> (Vec<u32>, bool) {
        let (before, after) = self.around(languages);
        let mut ids = self.vocabularies.source.encode(&Self::prefixed(text, languages));
        if self.pieces {
            // Where the frame is written out, it is not added once more.
            if !before.is_empty() && ids.starts_with(&before) {
                ids.drain(..before.len());
            }
            if !after.is_empty() && ids.ends_with(&after) {
                ids.truncate(ids.len() - after.len());
            }
        }
        let limit = self.source_limit();
        let cut = ids.len() > limit;
        ids.truncate(limit);
        if self.frame.reverses_source {
            ids.reverse();
        }
        ids.splice(0..0, before);
        ids.extend(after);
        if let Some(length) = self.frame.padded_length.filter(|&length| length > ids.len()) {
            ids.resize(length, self.frame.padding);
        }
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
