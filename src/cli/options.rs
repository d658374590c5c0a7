//! Options that several commands share, and what they come to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use translate::layouts::MOST_BEAMS;
use translate::model::Average;
use translate::pipeline::{Input, Shard, ShardOptions, descriptor_of};
use translate::search::{CoveragePenalty, EarlyStopping, Sampling, SearchOptions};
use translate::text::{Pretokenizer, Segmentation, Shortlist, SideSegmentation, Unit, Vocabularies, Vocabulary};
use translate::{BackendName, Device, Precision};
use translate::{Error, Result, Translator};

/// The most threads a run may be told to use; a system may refuse fewer.
const MOST_THREADS: i64 = 1024;

/// Which model, and how it computes.
#[derive(Clone, Debug, Args)]
pub(super) struct ModelOptions {
    /// A built-in model (transformer, gru), a model directory, or a hub name such as Helsinki-NLP/opus-mt-fr-en
    #[arg(short, long, value_name = "NAME|DIR", default_value = "transformer", env = "TRANSLATE_MODEL")]
    pub(super) model: String,

    /// Other models that choose every token together with the first: A,B; their target vocabulary must be the same
    #[arg(long, value_name = "NAME|DIR,…", value_delimiter = ',')]
    pub(super) ensemble: Vec<String>,

    /// With --ensemble: how much each model counts, --model first: 2,1 [default: all the same]
    #[arg(long, value_name = "W,…", value_delimiter = ',', requires = "ensemble", allow_negative_numbers = true, value_parser = positive)]
    ensemble_weights: Vec<f32>,

    /// With --ensemble: what is averaged
    #[arg(long, value_enum, value_name = "WHAT", default_value = "probabilities")]
    ensemble_average: AverageName,

    /// Arithmetic of the matrix products [default: int8 for a model that was converted to it, else f32]
    #[arg(long, value_enum, env = "TRANSLATE_PRECISION")]
    pub(super) precision: Option<PrecisionName>,

    /// What computes the model [default: kernels on the CPU, candle elsewhere]
    #[arg(long, value_enum, env = "TRANSLATE_BACKEND")]
    pub backend: Option<BackendChoice>,

    /// Where: cpu, or with candle cuda, cuda:N, metal, metal:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu", env = "TRANSLATE_DEVICE")]
    pub device: Device,

    /// Read and write pieces of the vocabulary with spaces between them, in place of text; what the model wants around a
    /// sentence is added unless it is there
    #[arg(long)]
    pub pieces: bool,

    /// Processor threads to use [default: all cores]
    #[arg(short, long, value_name = "N", env = "TRANSLATE_THREADS", value_parser = clap::value_parser!(u16).range(1..=MOST_THREADS))]
    pub(super) threads: Option<u16>,

    /// Language of the text, for models of several: as the model writes it (deu_Latn), as an ISO 639 code or in English
    #[arg(long, value_name = "LANGUAGE", visible_alias = "source-lang", env = "TRANSLATE_FROM")]
    pub(super) from: Option<String>,

    /// Language to translate into, likewise; `translate models NAME --languages` lists them
    #[arg(long, value_name = "LANGUAGE", visible_alias = "target-lang", env = "TRANSLATE_TO")]
    pub(super) to: Option<String>,

    /// Put TEXT before every source text, as it stands: an instruction the model was trained with
    #[arg(long, value_name = "TEXT")]
    pub(super) source_prefix: Option<String>,

    /// Where the target's language stands, if not where the model's files say
    #[arg(long, value_name = "WHERE", value_enum)]
    pub(super) language_token: Option<LanguageToken>,

    /// Where the model's vocabulary is a list of pieces: what cuts text into words first, moses or none, with the languages whose
    /// rules do it (moses:de-en, moses:de for both) [default: what the model's files say]
    #[arg(long, value_name = "HOW[:LANGUAGES]", value_parser = pretokenize)]
    pretokenize: Option<Pretokenize>,

    /// Likewise: cut words into pieces by these codes of a byte pair encoding (subword-nmt's or fastBPE's), after Moses unless
    /// --pretokenize says otherwise
    #[arg(long, value_name = "FILE")]
    codes: Option<PathBuf>,

    /// Likewise: give words their usual case by this model of Moses's truecaser, and sentences that come out a capital
    #[arg(long, value_name = "FILE")]
    truecase_model: Option<PathBuf>,

    /// Take invisible characters (soft hyphens, joiners, marks of direction) out of the source, make all spaces and accents alike;
    /// read carelessly typed lines as they are usually written, if the model has a list of spellings or a network for commas, and
    /// times of day and numbers in digits, if its config.json says so [default for the built-in models]
    #[arg(long, overrides_with = "no_normalize")]
    normalize: bool,

    /// Give the model every character as it is [default for other models]
    #[arg(long, overrides_with = "normalize")]
    no_normalize: bool,
}

/// Names of [`Average`] on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AverageName {
    /// The models' probabilities
    Probabilities,
    /// Their logarithms, which favours what no model finds unlikely
    LogProbabilities,
}

/// Whether lines are cut into sentences.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct SentenceArguments {
    /// Translate each line sentence by sentence and join the translations [default for the built-in models]
    #[arg(long, overrides_with = "no_split_sentences")]
    split_sentences: bool,

    /// Translate each line as a whole [default for other models]
    #[arg(long, overrides_with = "split_sentences")]
    no_split_sentences: bool,
}

impl SentenceArguments {
    /// What was said, or else what the model's directory says.
    pub(super) fn split(self, translator: &Translator) -> bool {
        self.split_sentences || (translator.text_defaults().split_sentences && !self.no_split_sentences)
    }
}

/// What `--pretokenize` says: `moses`, `none`, `moses:de-en`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pretokenize {
    pretokenizer: Pretokenizer,
    source: Option<String>,
    target: Option<String>,
}

fn pretokenize(text: &str) -> std::result::Result<Pretokenize, String> {
    let (how, languages) = text.split_once(':').map_or((text, None), |(how, languages)| (how, Some(languages)));
    let pretokenizer = match how {
        "moses" => Pretokenizer::Moses,
        "none" => Pretokenizer::None,
        _ => return Err("must be moses or none, with languages as in moses:de-en".to_owned()),
    };
    let is_code = |code: &&str| code.len() > 1 && code.bytes().all(|byte| byte.is_ascii_lowercase());
    let (source, target) = match languages.map(|languages| languages.split_once('-').unwrap_or((languages, languages)))
    {
        None => (None, None),
        Some((source, target)) if is_code(&source) && is_code(&target) => {
            (Some(source.to_owned()), Some(target.to_owned()))
        }
        Some(_) => {
            return Err("the languages must be two ISO 639 codes with a hyphen between, as in moses:de-en".to_owned());
        }
    };
    Ok(Pretokenize { pretokenizer, source, target })
}

/// Where the token of the target's language stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LanguageToken {
    /// Before the source, as SMaLL-100 was trained
    TargetPrefix,
}

/// Names of [`Precision`] on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PrecisionName {
    /// 32-bit floats, the reference
    F32,
    /// 8-bit integers: faster and smaller; kernels only
    Int8,
    /// 16-bit integers: less than a hundredth of int8's error, in half the memory of f32; kernels only
    Int16,
    /// 16-bit floats; GPUs only
    F16,
    /// 16-bit floats of a wide range; GPUs only
    Bf16,
}

/// Names of [`BackendName`] on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum BackendChoice {
    /// The kernels of this program: the fastest on the CPU, the same bits in any batch
    Kernels,
    /// candle tensors and layers, on the CPU or a GPU
    Candle,
}

impl ModelOptions {
    /// Loads the model, and those that choose words together with it; also says how long that took. With `quiet`, a download is
    /// not spoken of.
    pub(super) fn load(&self, quiet: bool) -> Result<(Translator, Duration)> {
        let start = Instant::now();
        let mut translator = self.load_one(&self.model, quiet)?;
        if !self.ensemble.is_empty() {
            let average = match self.ensemble_average {
                AverageName::Probabilities => Average::Probabilities,
                AverageName::LogProbabilities => Average::LogProbabilities,
            };
            let others: Vec<Translator> =
                self.ensemble.iter().map(|name| self.load_one(name, quiet)).collect::<Result<_>>()?;
            translator = translator.with_ensemble(others, &self.ensemble_weights, average)?;
        }
        Ok((translator, start.elapsed()))
    }

    fn load_one(&self, name: &str, quiet: bool) -> Result<Translator> {
        let files = super::download::find_model(name, quiet)?;
        let mut builder = Translator::builder().files(files).device(self.device);
        if let Some(precision) = self.precision {
            builder = builder.precision(match precision {
                PrecisionName::F32 => Precision::F32,
                PrecisionName::Int8 => Precision::Int8,
                PrecisionName::Int16 => Precision::Int16,
                PrecisionName::F16 => Precision::F16,
                PrecisionName::Bf16 => Precision::Bf16,
            });
        }
        if let Some(backend) = self.backend {
            builder = builder.backend(match backend {
                BackendChoice::Kernels => BackendName::Kernels,
                BackendChoice::Candle => BackendName::Candle,
            });
        }
        builder = builder.languages(self.from.as_deref(), self.to.as_deref());
        builder = builder.target_language_in_source(self.language_token == Some(LanguageToken::TargetPrefix));
        if let Some(prefix) = &self.source_prefix {
            builder = builder.source_prefix(prefix);
        }
        if self.normalize || self.no_normalize {
            builder = builder.normalize(self.normalize);
        }
        builder = builder.segmentation(self.segmentation()?);
        builder.threads(self.threads()).pieces(self.pieces).build()
    }

    /// What was said of how text is cut.
    fn segmentation(&self) -> Result<Segmentation> {
        // Files are named from where the command runs, not from where the model is.
        let absolute = |path: &Option<PathBuf>| {
            let path = path.as_ref().map(|path| std::path::absolute(path).map_err(|error| Error::io(path, error)));
            path.transpose()
        };
        let codes = absolute(&self.codes)?;
        let how = self.pretokenize.clone();
        let both = SideSegmentation {
            unit: codes.is_some().then_some(Unit::Codes),
            codes,
            pretokenize: how.as_ref().map(|how| how.pretokenizer),
            ..SideSegmentation::default()
        };
        let (source, target) = how.map_or((None, None), |how| (how.source, how.target));
        let truecase_model = absolute(&self.truecase_model)?;
        let detruecase = truecase_model.is_some().then_some(true);
        Ok(Segmentation {
            source: SideSegmentation { language: source, truecase_model, ..both.clone() },
            target: SideSegmentation { language: target, detruecase, ..both },
        })
    }

    /// How many threads to use. A GPU is fed by one: several would only share its memory.
    pub(super) fn threads(&self) -> usize {
        if self.device != Device::Cpu {
            return 1;
        }
        self.threads.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
    }
}

/// How the translation is searched for.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Search")]
pub(super) struct SearchArguments {
    /// Hypotheses kept at each step; 1 is greedy search [default: the model's own]
    #[arg(short, long, value_name = "N", env = "TRANSLATE_BEAM_SIZE", value_parser = clap::value_parser!(u16).range(1..=MOST_BEAMS as i64))]
    pub(super) beam_size: Option<u16>,

    /// At most this many tokens a translation, sentence end included [default: the model's own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_length: Option<u32>,

    /// At most RATIO tokens for each source token, plus 10
    #[arg(long, value_name = "RATIO", allow_negative_numbers = true, value_parser = positive)]
    pub(super) max_length_ratio: Option<f32>,

    /// At least this many tokens a translation, sentence end included
    #[arg(long, value_name = "N")]
    pub(super) min_length: Option<u32>,

    /// Scores are log-probability / length^ALPHA: 0 favours short translations, above 1 long ones
    #[arg(long, value_name = "ALPHA", allow_negative_numbers = true, value_parser = finite)]
    pub(super) length_penalty: Option<f32>,

    /// Lower a translation's score by BETA for source tokens left without attention (Wu et al. 2016)
    #[arg(long, value_name = "BETA", allow_negative_numbers = true, value_parser = finite)]
    pub(super) coverage_penalty: Option<f32>,

    /// Never generate the same N tokens in a row twice
    #[arg(long, value_name = "N")]
    pub(super) no_repeat_ngram: Option<usize>,

    /// Lower the score of tokens generated before by the factor P (above 1 discourages repetition; Keskar et al. 2019)
    #[arg(long, value_name = "P", allow_negative_numbers = true, value_parser = positive)]
    pub(super) repetition_penalty: Option<f32>,

    /// Never generate this word; may be repeated
    #[arg(long, value_name = "WORD")]
    pub(super) suppress: Vec<String>,

    /// Generate only the tokens that a shortlist of Marian's (lex.*.bin) has for a sentence, as Firefox does
    #[arg(long, value_name = "FILE")]
    pub(super) shortlist: Option<PathBuf>,

    /// End a sentence once P times as many translations are finished as the beam is wide (Kasai et al. 2022)
    #[arg(long, value_name = "P", allow_negative_numbers = true, value_parser = positive, conflicts_with = "sampling")]
    pub(super) patience: Option<f32>,

    /// Divide the beam into G groups, each of which avoids the tokens of those before it (Vijayakumar et al. 2018)
    #[arg(long, value_name = "G", value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "sampling")]
    pub(super) beam_groups: Option<u16>,

    /// With --beam-groups: what a token costs for each hypothesis of another group that has it
    #[arg(long, value_name = "COST", default_value_t = 0.5, requires = "beam_groups", allow_negative_numbers = true, value_parser = positive)]
    pub(super) diversity: f32,

    /// Draw each token at random by its probability instead of taking the best
    #[arg(long)]
    pub(super) sampling: bool,

    /// Draw among the K most probable tokens only (0: all)
    #[arg(long, value_name = "K", default_value_t = 0, requires = "sampling")]
    pub(super) top_k: usize,

    /// Draw among the fewest tokens whose probabilities reach P (1: all)
    #[arg(long, value_name = "P", default_value_t = 1.0, requires = "sampling", allow_negative_numbers = true, value_parser = probability)]
    pub(super) top_p: f32,

    /// Divide scores by T before drawing: below 1 is more cautious, above 1 more daring
    #[arg(long, value_name = "T", default_value_t = 1.0, requires = "sampling", allow_negative_numbers = true, value_parser = positive)]
    pub(super) temperature: f32,

    /// Start of the random numbers; the same seed draws the same translation of a sentence
    #[arg(long, value_name = "N", default_value_t = 0, requires = "sampling")]
    pub(super) seed: u64,

    /// Follow another engine's stopping and scoring rules where they differ
    #[arg(long, value_name = "ENGINE", value_enum)]
    pub(super) compat: Option<Compat>,
}

/// Engines whose search rules can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Compat {
    /// Hugging Face generate(), which the default rules are
    HuggingFace,
    /// CTranslate2: stop as soon as the beam is full of finished translations; padding never counts; no translation is
    /// empty
    Ctranslate2,
    /// Marian: each finished translation narrows the beam, unknown words are never produced, scores are sums unless
    /// --length-penalty is given
    Marian,
}

impl SearchArguments {
    /// The model's own settings, changed by what was given.
    ///
    /// # Errors
    /// If a suppressed word is not in the vocabulary, or more hypotheses are asked for than the beam holds.
    pub(super) fn options(&self, translator: &Translator, n_best: usize) -> Result<SearchOptions> {
        let mut options = translator.search_options();
        if let Some(beam) = self.beam_size {
            options.beam_size = usize::from(beam);
        }
        // A sampled translation has no beam, whatever TRANSLATE_BEAM_SIZE or the model says.
        if !self.sampling && n_best > options.beam_size {
            // Widening the beam would change the first translation, and an n-best list never does that.
            return Err(Error::Usage(format!(
                "--n-best {n_best} needs --beam-size {n_best} or more (now {})",
                options.beam_size
            )));
        }
        options.n_best = n_best;
        options.patience = self.patience;
        if let Some(groups) = self.beam_groups.map(usize::from) {
            if !options.beam_size.is_multiple_of(groups) {
                let beam = options.beam_size;
                return Err(Error::Usage(format!(
                    "--beam-groups {groups} does not divide a beam of {beam} evenly; choose another --beam-size"
                )));
            }
            (options.beam_groups, options.diversity) = (groups, self.diversity);
        }
        if let Some(length) = self.max_length {
            options.max_length = length as usize;
        }
        options.max_length_ratio = self.max_length_ratio;
        if let Some(length) = self.min_length {
            options.min_length = length as usize;
        }
        if let Some(n) = self.no_repeat_ngram {
            options.no_repeat_ngram = n;
        }
        if let Some(penalty) = self.repetition_penalty {
            options.repetition_penalty = penalty;
        }
        if let Some(path) = &self.shortlist {
            let bytes = std::fs::read(path).map_err(|error| Error::io(path, error))?;
            let Vocabularies { source, target, .. } = translator.vocabularies();
            let size = source.size() as u32;
            let is_shared = size == target.size() as u32 && (0..size).all(|id| source.piece(id) == target.piece(id));
            options.shortlist = Some(Arc::new(Shortlist::parse(&bytes, path, is_shared)?));
        }
        options.coverage_penalty = self.coverage_penalty.map(|weight| CoveragePenalty { weight });
        options.sampling = self.sampling.then_some(Sampling {
            top_k: self.top_k,
            top_p: self.top_p,
            temperature: self.temperature,
            seed: self.seed,
        });
        let target = &translator.vocabularies().target;
        match self.compat {
            None | Some(Compat::HuggingFace) => {}
            Some(Compat::Ctranslate2) => {
                options.early_stopping = EarlyStopping::WhenFull;
                options.renormalise = true;
                options.force_end = false;
                // Its `min_decoding_length` is 1 unless told otherwise: a translation is never empty.
                if self.min_length.is_none() {
                    options.min_length = options.min_length.max(2);
                }
            }
            Some(Compat::Marian) => {
                options.early_stopping = EarlyStopping::Shrink;
                options.renormalise = true;
                options.force_end = false;
                options.length_penalty = 0.0;
                options.banned.extend(target.specials().unknown);
            }
        }
        if let Some(alpha) = self.length_penalty {
            options.length_penalty = alpha;
        }
        for word in &self.suppress {
            options.banned.extend(suppressed_ids(&**target, word)?);
        }
        options.banned.sort_unstable();
        options.banned.dedup();
        options.banned.retain(|&token| token != options.end_token);
        Ok(options)
    }
}

/// The pieces that are this whole word, inside a text and after another piece.
fn suppressed_ids(vocabulary: &dyn Vocabulary, word: &str) -> Result<Vec<u32>> {
    if word.trim().is_empty() {
        return Err(Error::Usage(format!("--suppress {word:?}: there is no word to suppress")));
    }
    let ids: Vec<u32> = [word.to_owned(), format!("▁{word}")].iter().filter_map(|piece| vocabulary.id(piece)).collect();
    if !ids.is_empty() {
        return Ok(ids);
    }
    let pieces = vocabulary.encode(word);
    if pieces.is_empty() {
        return Err(Error::Usage(format!("--suppress {word:?}: there is no word to suppress")));
    }
    let shown: Vec<&str> = pieces.iter().filter_map(|&id| vocabulary.piece(id)).collect();
    Err(Error::Usage(format!(
        "--suppress {word}: this model writes it in several pieces ({}); suppress one of them",
        shown.join(" ")
    )))
}

/// How a command prints its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ResultFormat {
    /// For people and line tools
    Text,
    /// One JSON object a line
    Json,
}

/// The switch between text and JSON.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct ResultArguments {
    /// How results are printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: ResultFormat,

    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl ResultArguments {
    pub(super) fn is_json(self) -> bool {
        self.json || self.format == ResultFormat::Json
    }
}

/// Where text comes from and goes to.
#[derive(Clone, Debug, Args)]
pub(super) struct FileArguments {
    /// Files to read; - or none means standard input
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,

    /// Write to FILE instead of standard output (-); it appears when the run is complete
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

/// Which part of the files is read.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct ShardArgument {
    /// Read part I of N only, counted from 1: whole lines, the same at every call; all parts together are the files, which must
    /// be plain text on disk
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
}

impl ShardArgument {
    /// The files named on a command line, or what this part has of them.
    pub(super) fn inputs<P: AsRef<Path>>(self, files: &[P], options: ShardOptions) -> Result<Vec<Input>> {
        let inputs = Input::from_arguments(files);
        match self.shard {
            Some(shard) => shard.of(&inputs, options),
            None => Ok(inputs),
        }
    }
}

/// The file that `--output` names; `-` is standard output, as it is standard input among the inputs, and so is every name
/// of its descriptor, such as `/dev/stdout`.
pub(super) fn named_file(output: Option<PathBuf>) -> Option<PathBuf> {
    output.filter(|path| path.as_os_str() != "-" && descriptor_of(path) != Some(1))
}

fn finite(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err("must be a number".to_owned()),
    }
}

fn positive(text: &str) -> Result<f32, String> {
    finite(text).and_then(|value| if value > 0.0 { Ok(value) } else { Err("must be above 0".to_owned()) })
}

fn probability(text: &str) -> Result<f32, String> {
    positive(text).and_then(|value| if value <= 1.0 { Ok(value) } else { Err("must be at most 1".to_owned()) })
}
