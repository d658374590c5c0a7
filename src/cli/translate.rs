//! The default command: lines in, one translation out for each.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum, ValueHint};
use translate::inspect::{Format as AttentionFormat, HeadChoice, Kind, LayerChoice, RenderOptions, Selection};
use translate::model::Record;
use translate::pipeline::{Done, End, Input, InvalidUtf8, Line, Output, ShardOptions};
use translate::protect::Protection;
use translate::search::GREEDY_BEAM;
use translate::{Error, Result, Translation, Translator};

use super::Ending;
use super::advice::Advice;
use super::attention::{AttentionWriter, why_missing};
use super::constraints::ConstraintArguments;
use super::format::{Beside, Format, Formatter};
use super::job::{AttentionUse, Translated, TranslationJob};
use super::lost;
use super::options::{FileArguments, ModelOptions, SearchArguments, SentenceArguments, ShardArgument, named_file};
use super::request::InputFormat;
use super::run::{self, Plan, ShownArguments};

/// Arguments of the default command.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    files: FileArguments,
    #[command(flatten)]
    shard: ShardArgument,
    #[command(flatten)]
    model: ModelOptions,

    /// Most sentences translated together
    #[arg(long, value_name = "N", default_value_t = 32, env = "TRANSLATE_BATCH_SIZE", value_parser = clap::value_parser!(u16).range(1..))]
    batch_size: u16,

    /// How results are written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,

    /// Read JSON lines: {"text": "…"}, optionally with "target_prefix", "max_length", "force" (a list of
    /// words), "source_lang" and "target_lang"; other fields are passed through
    #[arg(long, conflicts_with = "column")]
    json_input: bool,

    /// Translate column N of tab-separated lines
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    column: Option<u16>,

    /// With --column: print all columns, the translation in the place of its source
    #[arg(long, requires = "column")]
    keep_columns: bool,

    /// Print the source and a tab before each translation; in JSON as "source"
    #[arg(long, conflicts_with = "keep_columns")]
    with_source: bool,

    /// Print the K best translations of each line
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    n_best: u16,

    /// Choose the translation that the others agree with most, of those of the beam or of --sampling (minimum Bayes risk)
    #[arg(long, value_name = "METRIC", value_enum)]
    mbr: Option<Utility>,

    /// With --mbr: choose among N translations [default: as many as the beam is wide; with --sampling 32]
    #[arg(long, value_name = "N", requires = "mbr", value_parser = clap::value_parser!(u16).range(2..=1000))]
    mbr_candidates: Option<u16>,

    /// Print the score before each translation (format text; the others always have it)
    #[arg(long)]
    scores: bool,

    /// Print the log-probability of each generated piece
    #[arg(long)]
    word_scores: bool,

    /// Text every translation begins with
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,

    #[command(flatten)]
    sentences: SentenceArguments,

    /// Join the lines of each paragraph, up to a blank line, and write one line for it; a hyphen that divides a word goes
    #[arg(long, conflicts_with_all = ["column", "json_input"])]
    join_lines: bool,

    /// Carry over character by character: default (addresses, files, placeholders, markup, emoji, numbers and more), numbers,
    /// none, a REGEX, or a FILE of them; may be repeated and adds to what the model has by default; not with --n-best,
    /// --attention, --prefix and --pieces
    #[arg(long, value_name = "WHAT")]
    protect: Vec<String>,

    /// Add word alignments, source-target from 0: after |||, in a column, or as "alignment" in JSON
    #[arg(long)]
    alignments: bool,

    /// Also write the attention of every layer and head to FILE: NumPy arrays if it ends in .npz, else JSON lines
    #[arg(long, value_name = "FILE", conflicts_with_all = ["split_sentences", "resume"], value_hint = ValueHint::FilePath)]
    attention: Option<PathBuf>,

    /// Put the source word an unknown piece looked at most in its place
    #[arg(long)]
    replace_unk: bool,

    /// What to do with bytes that are not UTF-8
    #[arg(long, value_enum, default_value = "replace")]
    invalid_utf8: InvalidBytes,

    /// Go on with an --output FILE that an earlier run left unfinished
    #[arg(long, requires = "output")]
    resume: bool,

    #[command(flatten)]
    shown: ShownArguments,

    #[command(flatten)]
    search: SearchArguments,

    #[command(flatten)]
    constraints: ConstraintArguments,
}

/// Names of [`InvalidUtf8`] on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InvalidBytes {
    /// Put U+FFFD in their place and warn once
    Replace,
    /// Stop with an error that names the line
    Error,
}

/// What agreement is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Utility {
    /// The mean chrF of each against all others
    Chrf,
}

/// Watches for sentences beyond what the model can take.
#[derive(Default)]
struct Limits {
    /// Source pieces beyond this many are cut off.
    source: usize,
    /// The longest source the model was made for, if it has such a limit.
    trained: Option<usize>,
    /// Whether the user knows that a sentence was longer.
    warned: bool,
    /// Lines whose translations repeat themselves; named together at the end.
    looping: Named,
    /// Lines whose translations are empty or far too long, likewise.
    unlikely: Named,
    /// Lines in whose translations protected spans are missing, likewise, and those that lack words they must have.
    lost: Named,
    unmet: Named,
    /// Whether the user does not know yet that a greedy search becomes a beam for such words.
    is_greedy: bool,
}

/// Lines that are named together.
#[derive(Default)]
struct Named {
    count: u64,
    /// The first of them.
    first: Vec<String>,
}

impl Named {
    /// Most lines that are named.
    const MOST: usize = 5;

    fn add(&mut self, line: &Line) {
        self.count += 1;
        if self.first.len() < Self::MOST {
            self.first.push(format!("{} line {}", line.name, line.number));
        }
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let more = if self.count > Self::MOST as u64 { ", …" } else { "" };
        write!(f, "{}{more}", self.first.join(", "))
    }
}

impl Limits {
    /// What is to be said of several lines at the end.
    fn last_warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let Self { looping, unlikely, lost, unmet, .. } = self;
        if looping.count == 1 {
            warnings.push(format!("1 translation repeats itself over and over ({looping}); try --no-repeat-ngram 4"));
        } else if looping.count > 1 {
            let count = looping.count;
            let what = "translations repeat themselves over and over";
            warnings.push(format!("{count} {what} ({looping}); try --no-repeat-ngram 4"));
        }
        if unlikely.count > 0 {
            let count = unlikely.count;
            let what = if count == 1 { "1 translation is".to_owned() } else { format!("{count} translations are") };
            warnings
                .push(format!("{what} empty or far longer than the line ({unlikely}); look at what was translated"));
        }
        if lost.count > 0 {
            let lines = if lost.count == 1 { "1 line".to_owned() } else { format!("{} lines", lost.count) };
            let what = "protected text is missing from the translation";
            warnings.push(format!("{what} of {lines} ({lost}); --format json names it as \"lost\""));
        }
        if unmet.count > 0 {
            let lines =
                if unmet.count == 1 { "1 line lacks".to_owned() } else { format!("{} lines lack", unmet.count) };
            let what = "words of --glossary, --force or \"force\"";
            warnings.push(format!("{lines} {what} ({unmet}); --format json names them as \"constraints_unmet\""));
        }
        warnings
    }

    fn warnings(&mut self, line: &Line, translated: &Translated) -> Vec<String> {
        if translated.looping() {
            self.looping.add(line);
        } else if translated.has_unlikely_length() {
            self.unlikely.add(line);
        }
        if !translated.lost.is_empty() {
            self.lost.add(line);
        }
        let mut warnings = Vec::new();
        if self.is_greedy && !translated.words.is_empty() {
            self.is_greedy = false;
            warnings.push(format!(
                "words that must appear are placed by a beam, so lines with such words have one of {GREEDY_BEAM} (said once)"
            ));
        }
        if !translated.unmet.is_empty() {
            self.unmet.add(line);
            let words: Vec<String> = translated.unmet.iter().map(|word| format!("`{word}`")).collect();
            warnings.push(format!("the translation lacks {}, which it must have", words.join(", ")));
        }
        if translated.sentences.iter().any(|sentence| sentence.source_truncated) {
            let limit = self.source;
            let advice = if translated.is_split() { "shorter sentences" } else { "--split-sentences" };
            warnings.push(format!("only the first {limit} source pieces are translated; try {advice}"));
        } else if translated.sentences.iter().any(Translation::truncated) {
            let more = if translated.is_split() { "" } else { "--split-sentences or " };
            warnings.push(format!("the translation is truncated at its length limit; try {more}--max-length"));
        }
        let longest = translated.sentences.iter().map(|sentence| sentence.source.len()).max().unwrap_or(0);
        if let Some(trained) = self.trained.filter(|&trained| longest > trained && !self.warned) {
            self.warned = true;
            warnings.push(format!(
                "{longest} source pieces are more than the {trained} this model was made for (said once); \
                 they are translated, but perhaps not well"
            ));
        }
        warnings
    }
}

/// Runs the command.
pub(super) fn run(mut arguments: Arguments) -> Result<Ending> {
    arguments.files.output = named_file(arguments.files.output);
    if arguments.resume && arguments.files.output.is_none() {
        return Err(Error::Usage("--resume goes on with a file: give --output FILE, not standard output".into()));
    }
    lost::check_files(&arguments.files.files)?;
    if arguments.keep_columns && arguments.format != Format::Text {
        return Err(Error::Usage("--keep-columns prints lines as they came: leave out --format".into()));
    }
    if arguments.with_source && arguments.format == Format::MarianNbest {
        return Err(Error::Usage("--with-source is for the formats text, tsv and json".into()));
    }
    let formatter = Formatter {
        beside: Beside {
            source: arguments.with_source,
            columns: arguments.keep_columns,
            file: arguments.files.files.len() > 1,
        },
        format: arguments.format,
        n_best: usize::from(arguments.n_best),
        scores: arguments.scores,
        word_scores: arguments.word_scores,
        left_out: RefCell::default(),
    };
    if arguments.resume && formatter.several_lines() {
        return Err(Error::Usage("--resume needs one line of output a line: no --n-best, or --format json".into()));
    }
    // Text has no line numbers, the other formats and attention do.
    let numbered = arguments.format != Format::Text || arguments.attention.is_some();
    let parts = ShardOptions { numbered, join_lines: arguments.join_lines };
    let inputs = arguments.shard.inputs(&arguments.files.files, parts)?;
    // Before a large model is loaded in vain.
    inputs.iter().try_for_each(Input::check)?;
    let (translator, load_time) = arguments.model.load(arguments.shown.quiet)?;
    let candidates = candidates(&arguments, &translator)?;
    let mut options = arguments.search.options(&translator, candidates.unwrap_or(formatter.n_best))?;
    options.scores = arguments.scores || arguments.word_scores || arguments.format != Format::Text;
    if !arguments.json_input {
        // A line of JSON may say its languages itself.
        translator.chosen_languages()?;
    }
    let alignments = arguments.alignments.then(|| Selection::aligning(translator.alignment()));
    let options_of_attention = [
        ("--replace-unk", arguments.replace_unk),
        ("--alignments", arguments.alignments),
        ("--attention", arguments.attention.is_some()),
    ];
    if let Some((option, _)) = options_of_attention.iter().find(|&&(_, is_given)| is_given)
        && let Some(why) = why_missing(translator.spec(), Kind::Cross)
    {
        return Err(Error::Usage(format!("{option}: {why}")));
    }
    let protection = protection(&arguments, &translator)?;
    let job = Arc::new(TranslationJob {
        record: Record {
            cross: arguments.replace_unk || arguments.alignments || arguments.attention.is_some(),
            ..Record::default()
        },
        input: match (arguments.json_input, arguments.column) {
            (true, _) => InputFormat::Json,
            (false, Some(column)) => InputFormat::Column(usize::from(column)),
            (false, None) => InputFormat::Text,
        },
        prefix: arguments.prefix,
        n_best: candidates.map(|_| formatter.n_best),
        glossary: arguments.constraints.glossary.read(&translator)?,
        force: arguments.constraints.words()?,
        split_sentences: arguments.attention.is_none() && arguments.sentences.split(&translator),
        batch_size: usize::from(arguments.batch_size),
        is_of_pieces: arguments.model.pieces,
        protection,
        replace_unknown: arguments.replace_unk,
        attention: AttentionUse { alignments, maps: arguments.attention.is_some() },
        languages: (arguments.model.from.clone(), arguments.model.to.clone()),
        ..TranslationJob::new(translator, options)
    });
    if let Some(problem) = job.prefix.as_deref().and_then(|prefix| job.prefix_problem(prefix)) {
        return Err(Error::Usage(format!("--prefix: {problem}")));
    }
    let mut attention = arguments.attention.map(open_attention).transpose()?;

    let resuming = arguments.files.output.is_some() && !formatter.several_lines();
    let output = match (arguments.files.output, arguments.resume) {
        (Some(path), true) => Output::Resume(path),
        (Some(path), false) => Output::File(path),
        (None, _) => Output::Stdout,
    };
    let mut limits =
        Limits { source: job.translator.source_limit(), trained: job.translator.trained_length(), ..Limits::default() };
    limits.is_greedy = job.options.beam_size <= 1;
    let mut advice = Advice::new(&job);
    let mut plan = Plan::new(inputs, output, &arguments.model, arguments.batch_size, arguments.shown.quiet);
    plan.settings.join_lines = arguments.join_lines;
    plan.notes = job.translator.notes().to_vec();
    if job.record.cross {
        plan.notes.extend(first_attention(&job.translator));
    }
    arguments.shown.apply(&mut plan, job.translator.compute(), load_time);
    plan.shown.resuming = resuming;
    plan.settings.several_lines = formatter.several_lines();
    if arguments.invalid_utf8 == InvalidBytes::Error {
        plan.settings.invalid_utf8 = InvalidUtf8::Error;
    }
    if attention.is_some() {
        // The attention of a line may take megabytes, so few lines are in memory at a time.
        plan.settings.window = 32;
    }
    let ended = run::run(&job, plan, |console, line, done, buffer| {
        if let Done::Translated(translated) = done {
            let advice = if console.has_warnings() { advice.warnings(&job, translated) } else { Vec::new() };
            for warning in limits.warnings(line, translated).iter().chain(&advice) {
                console.warn_of(line, warning);
            }
            if let Some(attention) = &mut attention
                && !translated.maps.iter().all(|map| attention.add(map))
            {
                console.stop();
            }
        }
        formatter.write(&job, line, &done, buffer);
    });
    let finished = match attention {
        Some(attention) => {
            let is_interrupted = ended.as_ref().is_ok_and(|finished| finished.summary.end == End::Interrupted);
            attention.end(ended, is_interrupted)?
        }
        None => ended?,
    };
    if let Some(warning) = formatter.warning() {
        finished.console.warn(&warning);
    }
    limits.last_warnings().iter().for_each(|warning| finished.console.warn(warning));
    Ok(finished.close())
}

/// What comes back as it is: what the model has by default and what was asked for, where there is one translation, of text.
fn protection(arguments: &Arguments, translator: &Translator) -> Result<Option<Protection>> {
    let asked = arguments.protect.iter().filter(|value| !value.is_empty());
    let own = translator.text_defaults().protect.iter();
    let protection = Protection::parse(&own.chain(asked.clone()).collect::<Vec<_>>())?;
    let against = [
        ("--n-best", arguments.n_best > 1),
        ("--attention", arguments.attention.is_some()),
        ("--prefix", arguments.prefix.is_some()),
        ("--pieces", arguments.model.pieces),
    ];
    match against.into_iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) if Protection::parse(&asked.collect::<Vec<_>>())?.is_some() => Err(Error::Usage(format!(
            "--protect changes translations after the model, which {option} does not allow for"
        ))),
        Some(_) => Ok(None),
        None => Ok(protection),
    }
}

/// Among how many translations --mbr chooses, if it does.
fn candidates(arguments: &Arguments, translator: &Translator) -> Result<Option<usize>> {
    if arguments.mbr.is_none() {
        return Ok(None);
    }
    let search = &arguments.search;
    let beam = || search.beam_size.map_or(translator.search_options().beam_size, usize::from);
    let own = || if search.sampling { SAMPLES } else { beam() };
    let candidates = arguments.mbr_candidates.map_or_else(own, usize::from);
    match usize::from(arguments.n_best) {
        _ if candidates < 2 => {
            Err(Error::Usage("--mbr chooses among several translations: give --beam-size or --sampling".into()))
        }
        n_best if n_best > candidates => {
            Err(Error::Usage(format!("--n-best {n_best} is more than the {candidates} that --mbr chooses among")))
        }
        _ => Ok(Some(candidates)),
    }
}

/// How many translations --mbr draws.
const SAMPLES: usize = 32;

/// Whose attention an ensemble shows where there is room for one.
pub(super) fn first_attention(translator: &Translator) -> Option<String> {
    let name = translator.name();
    (!translator.members().is_empty()).then(|| format!("attention is that of {name}, the first model of the ensemble"))
}

/// Opens the file that the attention of the whole run goes to; its name says in which format.
fn open_attention(path: PathBuf) -> Result<AttentionWriter> {
    let is_npz = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz"));
    let format = if is_npz { AttentionFormat::Npz } else { AttentionFormat::Json };
    let selection = Selection { layer: LayerChoice::All, head: HeadChoice::All, ..Selection::default() };
    AttentionWriter::open(format, RenderOptions { selection, ..RenderOptions::default() }, Some(path))
}
