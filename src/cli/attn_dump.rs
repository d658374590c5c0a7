//! `translate attn-dump`: what the model looked at, while translating or along given translations.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};
use translate::Workspace;
use translate::inspect::align::{Link, Rule};
use translate::inspect::rank::{self, Ranking};
use translate::inspect::{
    AlignOn, AttentionMap, Format, HeadChoice, Kind, LayerChoice, RenderOptions, Selection, pharaoh, text,
};
use translate::model::Record;
use translate::pipeline::{BatchTranslator, Done, End, Input, Line, Output, Sink, Tokens};
use translate::search::SearchOptions;
use translate::{Error, Request, Result, SOURCE_LIMIT, Translator};

use super::Ending;
use super::advice::KeptWhole;
use super::attention::{AttentionWriter, best, record, shape, store};
use super::corpus::read_bytes;
use super::job::check_scores;
use super::message;
use super::options::{FileArguments, ModelOptions, SearchArguments, named_file};
use super::run::{self, Console, Plan};

const EXAMPLES: &str = "\
Examples:
  echo 'Ein Hund rennt.' | translate attn-dump --format text --words
                                    a heat map in the terminal
  translate attn-dump --format html -o attention.html captions.de
                                    a page to look around in, with every layer and head
  translate attn-dump --format pharaoh --target captions.en captions.de
                                    word alignments of a parallel text
  translate attn-dump --layer all --head all --format npz -o attention.npz captions.de
                                    everything, for NumPy
  translate attn-dump --best-layer --pairs pairs.tsv
                                    which layer and head aligns best";

const NOTES: &str = "\
Rows are target steps, the sentence end included; columns are source tokens, the sentence end included; every row sums
to 1. Row t holds the weights used while predicting piece t (--align-on input: while reading it, one step later).
Layers and heads are counted from 0. Without --layer and --head, what the model's config names as its best alignment is
shown, or else the mean of all.

--best-layer prints each layer and head with the agreement of both directions (how often the source word a target word
looks at most is looked at most by that same target word), the entropy of its rows (0 sharp, 1 even), and F1 if --gold
gives true links.";

/// Arguments of `attn-dump`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES, after_help = NOTES)]
pub(super) struct Arguments {
    #[command(flatten)]
    files: FileArguments,
    #[command(flatten)]
    model: ModelOptions,

    /// How attention is written; svg draws one sentence, or one file each into --output DIRECTORY/ [default: by the ending of
    /// --output, else json]
    #[arg(long, value_name = "FORMAT", value_parser = format_parser())]
    format: Option<Format>,

    /// Which attention: encoder-decoder (cross), or the Transformer's self-attention in encoder or decoder
    #[arg(long, value_name = "KIND", default_value = "cross", value_parser = kind_parser())]
    kind: Kind,

    /// Layer N from 0, all, mean or last [default: the model's best, else mean]
    #[arg(long, value_name = "LAYER", value_parser = parse::<LayerChoice>)]
    layer: Option<LayerChoice>,

    /// Head N from 0, all, mean or max [default: the model's best, else mean]
    #[arg(long, value_name = "HEAD", value_parser = parse::<HeadChoice>)]
    head: Option<HeadChoice>,

    /// Merge pieces into words: the sum over a word's columns, the mean over its rows
    #[arg(long)]
    words: bool,

    /// Leave out the column of the source's sentence end and scale rows to 1 again
    #[arg(long)]
    mask_eos: bool,

    /// Rows belong to the token a step predicts (output) or reads (input)
    #[arg(long, value_name = "SIDE", default_value = "output", value_parser = align_on_parser())]
    align_on: AlignOn,

    /// Link all words with at least this weight instead of each target word's strongest (format pharaoh)
    #[arg(long, value_name = "WEIGHT", value_parser = parse_rule)]
    threshold: Option<Rule>,

    /// Follow the translations in FILE, one a line, instead of searching for some
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    target: Option<PathBuf>,

    /// Each line is a source and a target separated by a tab; follow the target
    #[arg(long, conflicts_with = "target")]
    pairs: bool,

    /// Columns of the page (format text) [default: the terminal's, else 100]
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(20..))]
    width: Option<u16>,

    /// Rank layers and heads by how well they align, instead of writing attention
    #[arg(long, conflicts_with_all = ["format", "kind", "layer", "head", "words", "threshold", "width"])]
    best_layer: bool,

    /// True word links of each line (0-0 1-2), to rank by F1 against them
    #[arg(long, value_name = "FILE", requires = "best_layer", value_hint = ValueHint::FilePath)]
    gold: Option<PathBuf>,

    /// Write the best layer and head into the model's config.json
    #[arg(long, requires = "best_layer")]
    store: bool,

    #[command(flatten)]
    search: SearchArguments,
}

fn parse<T: FromStr<Err = Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

fn parse_rule(text: &str) -> Result<Rule, String> {
    let value = text.parse().map_err(|_| "must be a number".to_owned())?;
    Rule::threshold(value).map_err(|error| error.to_string())
}

fn format_parser() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["text", "json", "tsv", "npz", "pharaoh", "svg", "html"])
        .try_map(|name| name.parse::<Format>())
}

fn kind_parser() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(["cross", "encoder", "decoder"]).try_map(|name| name.parse::<Kind>())
}

fn align_on_parser() -> impl TypedValueParser<Value = AlignOn> {
    PossibleValuesParser::new(["output", "input"]).try_map(|name| name.parse::<AlignOn>())
}

/// Runs the command.
pub(super) fn run(mut arguments: Arguments) -> Result<Ending> {
    arguments.files.output = named_file(arguments.files.output);
    let format = arguments.format.unwrap_or_else(|| format_of(arguments.files.output.as_deref()));
    let (translator, _) = arguments.model.load(false)?;
    translator.notes().iter().for_each(message::say);
    let (layers, heads) = shape(translator.spec(), arguments.kind)?;
    let (layer, head) = match (arguments.layer, arguments.head, arguments.kind) {
        (None, None, Kind::Cross) => best(&translator),
        (layer, head, _) => (layer.unwrap_or_default(), head.unwrap_or_default()),
    };
    let selection =
        Selection { layer, head, words: arguments.words, mask_eos: arguments.mask_eos, align_on: arguments.align_on };
    selection.check(arguments.kind, layers, heads)?;
    let mut options = arguments.search.options(&translator, 1)?;
    options.scores = true;
    let targets = match (&arguments.target, arguments.pairs) {
        (Some(path), _) => Targets::Lines { name: path.display().to_string(), lines: read_lines(path)? },
        (None, true) => Targets::SecondColumn,
        (None, false) => Targets::Search,
    };
    translator.chosen_languages()?;
    let record = record(arguments.kind);
    let job = Arc::new(AttentionJob { translator, options, record, kind: arguments.kind, targets });
    if arguments.best_layer {
        return rank(&job, arguments);
    }
    let is_terminal = arguments.files.output.is_none() && std::io::stdout().is_terminal();
    let width = arguments
        .width
        .map(usize::from)
        .or_else(|| is_terminal.then(terminal_size::terminal_size).flatten().map(|(width, _)| usize::from(width.0)));
    let render = RenderOptions {
        selection,
        rule: arguments.threshold.unwrap_or_default(),
        text: text::Options::from_environment(is_terminal, width),
        title: format!("Attention of {}", arguments.model.model),
    };
    if format == Format::Npz && is_terminal {
        return Err(Error::Usage("--format npz is no text for a terminal: add --output FILE".to_owned()));
    }
    if format == Format::Pharaoh {
        // What cannot be drawn as links is better said before the work than after.
        if arguments.kind != Kind::Cross {
            return Err(Error::Usage("--format pharaoh links source and target: it needs --kind cross".to_owned()));
        }
        if selection.layer == LayerChoice::All || selection.head == HeadChoice::All {
            return Err(Error::Usage("--format pharaoh needs one layer and head or their mean, not all".to_owned()));
        }
        if selection.mask_eos {
            message::say("the sentence end is masked: every target word is linked to a real source word");
        }
    }
    let mut writer = AttentionWriter::open(format, render, arguments.files.output)?;
    let ended = run_job(&job, &arguments.files.files, &arguments.model, |console, _, map| {
        let goes_on = match map {
            Some(map) => writer.add(map),
            None => writer.skip(),
        };
        if !goes_on {
            console.stop();
        }
    });
    let is_interrupted = matches!(ended, Ok(Ending::Interrupted(_)));
    writer.end(ended, is_interrupted)
}

/// The format that the name of a file asks for.
fn format_of(output: Option<&Path>) -> Format {
    let ending = output.and_then(Path::extension).unwrap_or_default().to_string_lossy().to_lowercase();
    match ending.as_str() {
        "html" | "htm" => Format::Html,
        "svg" => Format::Svg,
        "npz" => Format::Npz,
        "tsv" => Format::Tsv,
        "txt" => Format::Text,
        "pharaoh" => Format::Pharaoh,
        _ => Format::Json,
    }
}

/// Ranks layers and heads over all pairs.
fn rank(job: &Arc<AttentionJob>, arguments: Arguments) -> Result<Ending> {
    let gold = arguments.gold.as_deref().map(read_links).transpose()?;
    let mut ranking = Ranking::new(arguments.mask_eos);
    let mut failed = None;
    let ending = run_job(job, &arguments.files.files, &arguments.model, |console, line, map| {
        let (Some(map), None) = (map, &failed) else { return };
        let added = match &gold {
            None => ranking.add(map, None),
            Some(gold) => match gold.get(line.index as usize) {
                Some(links) => ranking.add(map, Some(links)),
                None => Err(line.error("--gold has no line for it")),
            },
        };
        if let Err(error) = added {
            failed = Some(error);
            console.stop();
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let ranks = ranking.finish();
    if ranks.is_empty() {
        return Err(Error::Usage("--best-layer needs sentences to measure; the input has none".to_owned()));
    }
    let (mut sink, _) = Sink::open(arguments.files.output.map_or(Output::Stdout, Output::File))?;
    sink.pending().extend(rank::render(&ranks).into_bytes());
    sink.finish()?;
    if arguments.store
        && let Some(best) = rank::best_single(&ranks)
    {
        message::say(store(&translate::store::resolve(&arguments.model.model)?, best)?);
    }
    Ok(ending)
}

/// Runs `job` over all lines and hands each line's map, or `None` for lines without one, to `each` in order.
fn run_job(
    job: &Arc<AttentionJob>,
    files: &[PathBuf],
    model: &ModelOptions,
    mut each: impl FnMut(&Console, &Line, Option<&AttentionMap>),
) -> Result<Ending> {
    // No bar. The attention of a line may take megabytes, so few lines are in memory at a time.
    let mut plan = Plan::new(Input::from_arguments(files), run::nowhere(), model, 8, true);
    plan.shown.warnings = true;
    plan.settings.window = 16;
    let mut lines = 0;
    let mut whole = KeptWhole::new(&job.translator, "attn-dump");
    let finished = run::run(job, plan, |console, line, done, _| {
        lines = line.index + 1;
        if let (Done::Translated(_), Ok((source, _))) = (&done, job.pair(line)) {
            let warning = whole.warning_of(&job.translator, source);
            warning.iter().for_each(|warning| console.warn_of(line, warning));
        }
        match done {
            Done::Translated(map) => each(console, line, Some(map)),
            Done::Blank | Done::Failed(_) => each(console, line, None),
        }
    })?;
    if let (Targets::Lines { name, lines: targets }, End::Complete) = (&job.targets, finished.summary.end)
        && targets.len() as u64 > lines
    {
        return Err(Error::Usage(format!("{name} has {} lines but the source only {lines}", targets.len())));
    }
    Ok(finished.close())
}

/// Where targets come from.
enum Targets {
    /// The model finds them.
    Search,
    /// They are the second tab-separated column.
    SecondColumn,
    /// They are these lines.
    Lines { name: String, lines: Vec<String> },
}

/// What stays the same over the run.
struct AttentionJob {
    translator: Translator,
    options: SearchOptions,
    record: Record,
    kind: Kind,
    targets: Targets,
}

impl AttentionJob {
    /// Source and, unless it is to be searched for, target of a line.
    fn pair<'l>(&'l self, line: &'l Line) -> Result<(&'l str, Option<&'l str>)> {
        let (source, target) = self.given_pair(line)?;
        if target.is_some_and(|target| self.translator.target_ids(target).len() > SOURCE_LIMIT) {
            return Err(line.error(format!("the translation has more than {SOURCE_LIMIT} pieces")));
        }
        Ok((source, target))
    }

    fn given_pair<'l>(&'l self, line: &'l Line) -> Result<(&'l str, Option<&'l str>)> {
        match &self.targets {
            Targets::Search => Ok((&line.text, None)),
            Targets::SecondColumn => match line.text.split_once('\t') {
                Some((source, _)) if source.trim().is_empty() => Err(line.error("the source before the tab is empty")),
                Some((source, target)) => Ok((source, Some(target))),
                None => Err(line.error("--pairs needs a tab between source and target; there is none")),
            },
            Targets::Lines { name, lines } => match lines.get(line.index as usize) {
                Some(target) => Ok((&line.text, Some(target))),
                None => Err(line.error(format!("{name} has only {} lines", lines.len()))),
            },
        }
    }
}

impl BatchTranslator for AttentionJob {
    type Output = AttentionMap;

    fn translate(&self, lines: &[Line], workspace: &mut Workspace) -> Result<Vec<Result<AttentionMap>>> {
        let pair = |line| {
            let (given, target) = self.pair(line)?;
            let source = self.translator.normalized(given);
            match source.text.trim() {
                "" => Err(line.error("it holds invisible characters and nothing else")),
                _ => Ok((given, source, target)),
            }
        };
        let (mut sources, mut targets) = (Vec::new(), Vec::new());
        let mut read = |line| {
            let (given, source, target) = pair(line)?;
            sources.push((given, source));
            targets.extend(target);
            Ok(())
        };
        let outcomes: Vec<Result<()>> = lines.iter().map(&mut read).collect();
        let translations = if matches!(self.targets, Targets::Search) {
            let requests: Vec<Request> = sources.iter().map(|(_, source)| source.text.as_str().into()).collect();
            self.translator.translate(&requests, &self.options, self.record, workspace)?
        } else {
            let pairs: Vec<(&str, &str)> = sources.iter().map(|(_, source)| &source.text[..]).zip(targets).collect();
            self.translator.align(&pairs, &self.options, self.record, workspace)?
        };
        let mut found = sources.iter().zip(&translations);
        let maps = outcomes.into_iter().zip(lines).map(|(outcome, line)| {
            outcome.and_then(|()| match found.next() {
                Some(((given, source), translation)) => {
                    check_scores(line, translation)?;
                    let text = &source.text;
                    let map = AttentionMap::of(&self.translator, self.kind, line.index + 1, text, translation, 0)?;
                    Ok(map.of_original(given, &source.offsets))
                }
                None => Err(line.error("no translation")),
            })
        });
        Ok(maps.collect())
    }

    fn tokens(&self, map: &AttentionMap) -> Tokens {
        Tokens { source: map.source_pieces.len(), target: map.target_pieces.len() }
    }
}

fn read_lines(path: &Path) -> Result<Vec<String>> {
    let (_, bytes) = read_bytes(path)?;
    Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
}

fn read_links(path: &Path) -> Result<Vec<Vec<Link>>> {
    let lines = read_lines(path)?;
    let parsed = lines.iter().zip(1..).map(|(line, number)| {
        pharaoh::parse(line).map_err(|error| Error::Input {
            name: path.display().to_string(),
            line: number,
            problem: error.to_string(),
        })
    });
    parsed.collect()
}
