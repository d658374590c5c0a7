//! `translate attn-dump`: what the model looked at, while translating or along given translations.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum, ValueHint};
use translate::Workspace;
use translate::inspect::align::{Link, Rule};
use translate::inspect::rank::{self, Ranking};
use translate::inspect::svg::Drawing;
use translate::inspect::{
    AlignOn, AttentionMap, Format, HeadChoice, Kind, LayerChoice, RenderOptions, Selection, TokenProbability, View,
    pharaoh, svg, text,
};
use translate::model::{Candidate, Record};
use translate::pipeline::{BatchTranslator, Done, End, Exchange, Input, Line, Output, ShardOptions, Sink, Tokens};
use translate::search::{Hypothesis, SearchOptions};
use translate::text::{Normalized, spelled};
use translate::{Error, Request, Result, SOURCE_LIMIT, Translation, Translator};

use super::Ending;
use super::advice::KeptWhole;
use super::attention::{AttentionWriter, record, shape, store, why_missing};
use super::browser;
use super::corpus::read_bytes;
use super::job::check_scores;
use super::message;
use super::options::{FileArguments, ModelOptions, SearchArguments, ShardArgument, named_file};
use super::run::{self, Console, Plan};
use super::translate::first_attention;

const EXAMPLES: &str = "\
Examples:
  echo 'Ein Hund rennt.' | translate attn-dump --format text --words
                                    a heat map in the terminal
  translate attn-dump --open captions.de
                                    a page to look around in, with every layer and head, in the browser
  translate attn-dump --kind all --n-best 4 -o attention.html captions.de
                                    the same to keep: all kinds of attention, four translations of each line
  translate attn-dump --compare gru -o both.html captions.de
                                    two models side by side, and where they differ
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
    shard: ShardArgument,
    #[command(flatten)]
    model: ModelOptions,

    /// How attention is written; svg, png and pdf draw one sentence, or one file each into --output DIRECTORY/ [default: by the
    /// ending of --output, else text on a terminal and json elsewhere]
    #[arg(long, value_name = "FORMAT", value_parser = format_parser())]
    format: Option<Format>,

    /// Which attention: encoder-decoder (cross), the Transformer's self-attention in encoder or decoder, or all the model has
    #[arg(long, value_name = "KIND", default_value = "cross", value_parser = kinds_parser())]
    kind: Kinds,

    /// Layer N from 0, all, mean or last [default: the model's best, else mean]
    #[arg(long, value_name = "LAYER", value_parser = parse::<LayerChoice>)]
    layer: Option<LayerChoice>,

    /// Head N from 0, several as N,N for their mean, all, mean or max [default: the model's best, else mean]
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
    #[arg(long, value_name = "FILE", conflicts_with = "shard", value_hint = ValueHint::FilePath)]
    target: Option<PathBuf>,

    /// Each line is a source and a target separated by a tab; follow the target
    #[arg(long, conflicts_with = "target")]
    pairs: bool,

    /// Beside --target or --pairs: also what the model itself says, beside what is followed (format html)
    #[arg(long)]
    search_too: bool,

    /// What this model says of the same lines, side by side with --model; may be repeated (format html)
    #[arg(long, value_name = "NAME|DIR")]
    compare: Vec<String>,

    /// The N best translations of each line side by side (format html)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    n_best: u16,

    /// Show the page in the browser; without --output it is a temporary file
    #[arg(long)]
    open: bool,

    /// What stands above a picture (formats svg, png, pdf)
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,

    /// Height of a picture's text in pixels; everything grows with it
    #[arg(long, value_name = "PIXELS", default_value = "13", value_parser = font_size)]
    font_size: f32,

    /// A picture's ground: light for paper, dark for slides
    #[arg(long, value_name = "THEME", value_enum, default_value = "light")]
    theme: Theme,

    /// What a picture shows of one matrix: a heat map, or two lines of words with links
    #[arg(long, value_name = "WHAT", value_enum, default_value = "matrix")]
    draw: Draw,

    /// Columns of the page (format text) [default: the terminal's, else 100]
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(20..))]
    width: Option<u16>,

    /// Rank layers and heads (with --head N,N also their mean) by how well they align, instead of writing attention
    #[arg(long, conflicts_with_all = ["format", "kind", "layer", "words", "threshold", "width", "compare", "n_best", "open"])]
    best_layer: bool,

    /// True word links of each line (0-0 1-2), to rank by F1 against them
    #[arg(long, value_name = "FILE", requires = "best_layer", conflicts_with = "shard", value_hint = ValueHint::FilePath)]
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

fn font_size(text: &str) -> Result<f32, String> {
    let size: f32 = text.parse().map_err(|_| "must be a number".to_owned())?;
    if (4.0..=96.0).contains(&size) { Ok(size) } else { Err("must be from 4 to 96".to_owned()) }
}

/// The ground of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Theme {
    Light,
    Dark,
}

/// What a picture shows of one matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Draw {
    Matrix,
    Links,
}

fn format_parser() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["text", "json", "tsv", "npz", "pharaoh", "svg", "png", "pdf", "html"])
        .try_map(|name| name.parse::<Format>())
}

fn kinds_parser() -> impl TypedValueParser<Value = Kinds> {
    let read = |name: String| if name == "all" { Ok(Kinds::All) } else { name.parse::<Kind>().map(Kinds::One) };
    PossibleValuesParser::new(["cross", "encoder", "decoder", "all"]).try_map(read)
}

/// Which kinds of attention are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kinds {
    One(Kind),
    /// Those the model has.
    All,
}

fn align_on_parser() -> impl TypedValueParser<Value = AlignOn> {
    PossibleValuesParser::new(["output", "input"]).try_map(|name| name.parse::<AlignOn>())
}

/// Runs the command.
pub(super) fn run(mut arguments: Arguments, colour: clap::ColorChoice) -> Result<Ending> {
    arguments.files.output = named_file(arguments.files.output.take());
    let is_terminal = arguments.files.output.is_none() && std::io::stdout().is_terminal();
    let format = match (arguments.format, arguments.files.output.as_deref()) {
        (Some(format), _) => format,
        (None, None) if arguments.open => Format::Html,
        (None, None) if is_terminal => Format::Text,
        (None, output) => format_of(output),
    };
    check_page_options(&arguments, format)?;
    let options = ShardOptions { numbered: true, ..ShardOptions::default() };
    let inputs = arguments.shard.inputs(&arguments.files.files, options)?;
    let own = Model::load(&arguments.model.model, &arguments)?;
    let selections = selections(&arguments, &own)?;
    let targets = match (&arguments.target, arguments.pairs) {
        (Some(path), _) => Targets::Lines { name: path.display().to_string(), lines: read_lines(path)? },
        (None, true) => Targets::SecondColumn,
        (None, false) => Targets::Search,
    };
    let others = arguments.compare.iter().map(|name| Model::load(name, &arguments));
    let models: Vec<Model> = std::iter::once(Ok(own)).chain(others).collect::<Result<_>>()?;
    let alignment = models[0].translator.alignment();
    let is_page = format == Format::Html;
    if !is_page {
        first_attention(&models[0].translator).iter().for_each(message::say);
    }
    let job = Arc::new(AttentionJob { models, targets, search_too: arguments.search_too, is_page });
    if arguments.best_layer {
        return rank(&job, inputs, arguments);
    }
    let width = arguments
        .width
        .map(usize::from)
        .or_else(|| is_terminal.then(terminal_size::terminal_size).flatten().map(|(width, _)| usize::from(width.0)));
    let (selection, self_attention) = selections;
    let render = RenderOptions {
        selection,
        self_attention,
        rule: arguments.threshold.unwrap_or_default(),
        text: text::Options::from_environment(
            match colour {
                clap::ColorChoice::Auto => None,
                clap::ColorChoice::Always => Some(true),
                clap::ColorChoice::Never => Some(false),
            },
            is_terminal,
            width,
        ),
        picture: svg::Options {
            title: arguments.title.clone(),
            font_size: arguments.font_size,
            dark: arguments.theme == Theme::Dark,
            drawing: if arguments.draw == Draw::Links { Drawing::Links } else { Drawing::Matrix },
        },
        title: arguments.title.clone().unwrap_or_else(|| format!("Attention of {}", arguments.model.model)),
        alignment,
    };
    if format == Format::Npz && is_terminal {
        return Err(Error::Usage("--format npz is no text for a terminal: add --output FILE".to_owned()));
    }
    if format == Format::Pharaoh {
        // What cannot be drawn as links is better said before the work than after.
        if arguments.kind != Kinds::One(Kind::Cross) {
            return Err(Error::Usage("--format pharaoh links source and target: it needs --kind cross".to_owned()));
        }
        if selection.layer == LayerChoice::All || selection.head == HeadChoice::All {
            return Err(Error::Usage("--format pharaoh needs one layer and head or their mean, not all".to_owned()));
        }
        if selection.mask_eos {
            message::say("the sentence end is masked: every target word is linked to a real source word");
        }
    }
    let page = arguments.open.then(|| arguments.files.output.clone().unwrap_or_else(browser::temporary_page));
    let mut writer = AttentionWriter::open(format, render, page.clone().or(arguments.files.output))?;
    let ended = run_job(&job, inputs, &arguments.model, |console, _, views| {
        let goes_on = match views {
            Some(views) => writer.add_views(views),
            None => writer.skip(),
        };
        if !goes_on {
            console.stop();
        }
    });
    let is_interrupted = matches!(ended, Ok(Ending::Interrupted(_)));
    let ending = writer.end(ended, is_interrupted)?;
    match page {
        Some(page) if !is_interrupted => browser::open(&page)?,
        _ => {}
    }
    Ok(ending)
}

/// What only a page can show.
fn check_page_options(arguments: &Arguments, format: Format) -> Result<()> {
    let follows = arguments.pairs || arguments.target.is_some();
    let wanted = [
        (!arguments.compare.is_empty(), "--compare"),
        (arguments.n_best > 1, "--n-best"),
        (arguments.search_too, "--search-too"),
        (arguments.open, "--open"),
    ];
    if let Some((_, option)) = wanted.iter().find(|(is_given, _)| *is_given && format != Format::Html) {
        return Err(Error::Usage(format!("{option} is about the page: it needs --format html")));
    }
    if arguments.search_too && !follows {
        return Err(Error::Usage("--search-too adds to --target or --pairs, and neither is given".to_owned()));
    }
    if arguments.n_best > 1 && follows && !arguments.search_too {
        return Err(Error::Usage(
            "--n-best is about searching, but a given target is followed: add --search-too".to_owned(),
        ));
    }
    Ok(())
}

/// What is shown of cross-attention, or of the one kind that is wanted; and of self-attention, if all are.
fn selections(arguments: &Arguments, own: &Model) -> Result<(Selection, Option<Selection>)> {
    let selection = |best: Selection| {
        let (layer, head) = match (arguments.layer, arguments.head) {
            (None, None) => (best.layer, best.head),
            (layer, head) => (layer.unwrap_or_default(), head.unwrap_or_default()),
        };
        Selection { layer, head, words: arguments.words, mask_eos: arguments.mask_eos, align_on: arguments.align_on }
    };
    let spec = own.translator.spec();
    let best = || Selection::aligning(own.translator.alignment());
    let check = |selection: &Selection, kind: Kind| {
        let (layers, heads) = shape(spec, kind)?;
        selection.check(kind, layers, heads)
    };
    match arguments.kind {
        Kinds::One(kind) => {
            let own = selection(if kind == Kind::Cross { best() } else { Default::default() });
            check(&own, kind)?;
            Ok((own, None))
        }
        Kinds::All => {
            let cross = selection(best());
            let others = selection(Default::default());
            for &kind in &own.kinds.kinds {
                let of_kind = if kind == Kind::Cross { cross } else { others };
                // What does not apply to a kind is left out of it.
                check(&Selection { mask_eos: false, align_on: AlignOn::Output, ..of_kind }, kind)?;
            }
            Ok((cross, Some(others)))
        }
    }
}

/// The format that the name of a file asks for.
fn format_of(output: Option<&Path>) -> Format {
    let ending = output.and_then(Path::extension).unwrap_or_default().to_string_lossy().to_lowercase();
    match ending.as_str() {
        "html" | "htm" => Format::Html,
        "svg" => Format::Svg,
        "png" => Format::Png,
        "pdf" => Format::Pdf,
        "npz" => Format::Npz,
        "tsv" => Format::Tsv,
        "txt" => Format::Text,
        "pharaoh" => Format::Pharaoh,
        _ => Format::Json,
    }
}

/// Ranks layers and heads over all pairs.
fn rank(job: &Arc<AttentionJob>, inputs: Vec<Input>, arguments: Arguments) -> Result<Ending> {
    let gold = arguments.gold.as_deref().map(read_links).transpose()?;
    let several = match arguments.head {
        Some(HeadChoice::Several(heads)) => Some(heads),
        None => None,
        Some(_) => {
            let problem = "--best-layer ranks every head by itself; --head beside it names several, such as 0,2";
            return Err(Error::Usage(problem.to_owned()));
        }
    };
    let mut ranking = Ranking::new(arguments.mask_eos, several);
    let mut failed = None;
    let ending = run_job(job, inputs, &arguments.model, |console, line, views| {
        let (Some([View { maps, .. }]), None) = (views, &failed) else { return };
        let map = &maps[0];
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
        && let Some(best) = rank::best_of_a_layer(&ranks)
    {
        message::say(store(&translate::store::resolve(&arguments.model.model)?, best)?);
    }
    Ok(ending)
}

/// Runs `job` over all lines and hands each line's views, or `None` for lines without any, to `each` in order.
fn run_job(
    job: &Arc<AttentionJob>,
    inputs: Vec<Input>,
    model: &ModelOptions,
    mut each: impl FnMut(&Console, &Line, Option<&[View]>),
) -> Result<Ending> {
    // No bar. The attention of a line may take megabytes, so few lines are in memory at a time.
    let mut plan = Plan::new(inputs, run::nowhere(), model, 8, true);
    plan.shown.warnings = true;
    plan.settings.window = 16;
    let mut lines = 0;
    let translator = &job.models[0].translator;
    let mut whole = KeptWhole::new(translator, "attn-dump");
    let finished = run::run(job, plan, |console, line, done, _| {
        lines = line.index + 1;
        if let (Done::Translated(_), Ok((source, _))) = (&done, job.pair(line)) {
            let warning = whole.warning_of(translator, source);
            warning.iter().for_each(|warning| console.warn_of(line, warning));
        }
        match done {
            Done::Translated(views) => each(console, line, Some(views)),
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

/// A model and how it is asked.
struct Model {
    name: String,
    translator: Translator,
    options: SearchOptions,
    kinds: Shown,
    /// What the other members of its ensemble are called, and what they have to show.
    members: Vec<(String, Shown)>,
}

/// The kinds of attention that are shown of a model, and those it does not have, each with the reason.
#[derive(Clone, Debug, Default)]
struct Shown {
    kinds: Vec<Kind>,
    missing: Vec<(Kind, String)>,
}

impl Shown {
    /// Those of a model that are wanted.
    ///
    /// # Errors
    /// If only one is, and the model does not have it.
    fn of(translator: &Translator, name: &str, wanted: Kinds) -> Result<Self> {
        let all = match wanted {
            Kinds::One(kind) => vec![kind],
            Kinds::All => vec![Kind::Cross, Kind::Encoder, Kind::Decoder],
        };
        let mut own = Self::default();
        for kind in all {
            match why_missing(translator.spec(), kind) {
                // A page tells it where the picture would be.
                Some(why) if wanted == Kinds::All => own.missing.push((kind, why.to_owned())),
                Some(why) => return Err(Error::Usage(format!("--kind {kind}: {name}: {why}"))),
                None => own.kinds.push(kind),
            }
        }
        Ok(own)
    }

    fn record(&self) -> Record {
        self.kinds.iter().fold(Record::default(), |all, &kind| {
            let own = record(kind);
            Record {
                cross: all.cross || own.cross,
                encoder: all.encoder || own.encoder,
                decoder: all.decoder || own.decoder,
            }
        })
    }
}

/// The last part of a model's name.
fn short_name(name: &str) -> String {
    Path::new(name).file_name().map_or_else(|| name.to_owned(), |last| last.to_string_lossy().into_owned())
}

impl Model {
    fn load(name: &str, arguments: &Arguments) -> Result<Self> {
        let mut settings = arguments.model.clone();
        if name != settings.model {
            // What others are compared with, or what they choose words with.
            settings.ensemble.clear();
        }
        name.clone_into(&mut settings.model);
        let (translator, _) = settings.load(false)?;
        translator.notes().iter().for_each(message::say);
        translator.chosen_languages()?;
        let kinds = Shown::of(&translator, name, arguments.kind)?;
        let members = settings
            .ensemble
            .iter()
            .zip(translator.members())
            .map(|(name, member)| Ok((short_name(name), Shown::of(member, name, arguments.kind)?)));
        let members = members.collect::<Result<_>>()?;
        let mut options = arguments.search.options(&translator, usize::from(arguments.n_best))?;
        options.scores = true;
        Ok(Self { name: short_name(name), translator, options, kinds, members })
    }

    /// The views of one translated line, one a candidate.
    fn views(
        &self,
        member: Option<usize>,
        line: &Line,
        (given, source): (&str, &Normalized),
        translation: &Translation,
        alternatives: Vec<Vec<Vec<Candidate>>>,
        name: impl Fn(usize) -> String,
    ) -> Result<Vec<View>> {
        check_scores(line, translation)?;
        let mut alternatives = VecDeque::from(alternatives);
        let (translator, Shown { kinds, missing }) = match member {
            Some(member) => (&self.translator.members()[member], &self.members[member].1),
            None => (&self.translator, &self.kinds),
        };
        let view = |rank: usize| {
            let map = |&kind| {
                let map = AttentionMap::of(translator, kind, line.position() + 1, &source.text, translation, rank)?;
                Ok(map.of_original(given, &source.offsets))
            };
            let maps = kinds.iter().map(map).collect::<Result<_>>()?;
            let tokens =
                self.tokens(&translation.candidates[rank].hypothesis, alternatives.pop_front().unwrap_or_default());
            Ok(View { name: name(rank), maps, tokens, missing: missing.clone() })
        };
        (0..translation.candidates.len()).map(view).collect()
    }

    /// The probabilities of a hypothesis' tokens, and what else was likely in their places.
    fn tokens(&self, hypothesis: &Hypothesis, alternatives: Vec<Vec<Candidate>>) -> Vec<TokenProbability> {
        if alternatives.is_empty() {
            return Vec::new();
        }
        let target = &self.translator.vocabularies().target;
        let rows = hypothesis.ids.len() + usize::from(hypothesis.ended);
        // A forced beginning has no probability.
        let forced = rows.saturating_sub(hypothesis.token_log_probs.len());
        let log_probs = std::iter::repeat_n(None, forced).chain(hypothesis.token_log_probs.iter().copied().map(Some));
        let text = |candidate: &Candidate| {
            let text = spelled(&**target, &[candidate.token]).concat();
            let piece = || self.translator.target_piece(candidate.token);
            (if text.is_empty() || text.contains('\u{fffd}') { piece() } else { text }, candidate.log_prob)
        };
        let steps = log_probs.zip(alternatives).map(|(log_prob, alternatives)| TokenProbability {
            log_prob,
            alternatives: alternatives.iter().map(text).collect(),
        });
        steps.collect()
    }
}

/// How many of the likeliest tokens a page tells of each step.
const ALTERNATIVES: usize = 5;

/// What stays the same over the run.
struct AttentionJob {
    /// The model that was asked for, and those it is compared with.
    models: Vec<Model>,
    targets: Targets,
    search_too: bool,
    is_page: bool,
}

impl AttentionJob {
    /// Source and, unless it is to be searched for, target of a line.
    fn pair<'l>(&'l self, line: &'l Line) -> Result<(&'l str, Option<&'l str>)> {
        let (source, target) = self.given_pair(line)?;
        if target
            .is_some_and(|target| self.models.iter().any(|own| own.translator.target_ids(target).len() > SOURCE_LIMIT))
        {
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

    /// What one model makes of all lines that are good, in order.
    fn views_of(
        &self,
        own: &Model,
        lines: &[(&Line, &str, Option<&str>)],
        workspace: &mut Workspace,
    ) -> Result<Vec<Result<Vec<View>>>> {
        let translator = &own.translator;
        let sources: Vec<Normalized> = lines.iter().map(|(_, given, _)| translator.normalized(given)).collect();
        let mut passes: Vec<(bool, Vec<Translation>)> = Vec::new();
        let follows = !matches!(self.targets, Targets::Search);
        if follows {
            let pairs: Vec<(&str, &str)> = sources
                .iter()
                .zip(lines)
                .map(|(source, (_, _, target))| (&source.text[..], target.unwrap_or_default()))
                .collect();
            passes.push((true, translator.align(&pairs, &own.options, own.kinds.record(), workspace)?));
        }
        if !follows || self.search_too {
            let requests: Vec<Request> = sources.iter().map(|source| source.text.as_str().into()).collect();
            passes.push((false, translator.translate(&requests, &own.options, own.kinds.record(), workspace)?));
        }
        let mut views: Vec<Result<Vec<View>>> = lines.iter().map(|_| Ok(Vec::new())).collect();
        for (is_followed, translations) in passes {
            let alternatives = match self.is_page {
                true => translator.alternatives(&translations, &own.options, ALTERNATIVES, workspace)?,
                false => vec![Vec::new(); translations.len()],
            };
            let found = translations.iter().zip(alternatives).zip(lines.iter().zip(&sources));
            for (views, ((translation, alternatives), (&(line, given, _), source))) in views.iter_mut().zip(found) {
                let name = |rank| self.name(own, None, is_followed, translation.candidates.len(), rank);
                add(views, own.views(None, line, (given, source), translation, alternatives, name));
            }
            // Only a page has room for more than one model.
            for (member, (_, kinds)) in own.members.iter().enumerate().filter(|_| self.is_page) {
                let along = translator.along_member(member, &translations, kinds.record(), workspace)?;
                for (views, (translation, (&(line, given, _), source))) in
                    views.iter_mut().zip(along.iter().zip(lines.iter().zip(&sources)))
                {
                    let name = |rank| self.name(own, Some(member), is_followed, translation.candidates.len(), rank);
                    add(views, own.views(Some(member), line, (given, source), translation, Vec::new(), name));
                }
            }
        }
        Ok(views)
    }

    /// What tells a view from those beside it.
    fn name(&self, own: &Model, member: Option<usize>, is_followed: bool, candidates: usize, rank: usize) -> String {
        let mut parts = Vec::new();
        match member {
            Some(member) => parts.push(own.members[member].0.clone()),
            None if self.models.len() > 1 || !own.members.is_empty() => parts.push(own.name.clone()),
            None => {}
        }
        if self.search_too {
            parts.push(if is_followed { "reference" } else { "translation" }.to_owned());
        }
        if candidates > 1 {
            parts.push((rank + 1).to_string());
        }
        parts.join(" ")
    }
}

impl BatchTranslator for AttentionJob {
    type Output = Vec<View>;

    fn translate(
        &self,
        lines: Vec<Line>,
        exchange: &mut dyn Exchange<Vec<View>>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let mut good = Vec::new();
        let mut read = |line| {
            let (given, target) = self.pair(line)?;
            let is_blank = |own: &Model| own.translator.normalized(given).text.trim().is_empty();
            if self.models.iter().any(is_blank) {
                return Err(line.error("it holds invisible characters and nothing else"));
            }
            good.push((line, given, target));
            Ok(())
        };
        let outcomes: Vec<Result<()>> = lines.iter().map(&mut read).collect();
        let mut views: Vec<Result<Vec<View>>> = good.iter().map(|_| Ok(Vec::new())).collect();
        for own in &self.models {
            for (all, own) in views.iter_mut().zip(self.views_of(own, &good, workspace)?) {
                add(all, own);
            }
        }
        let mut views = views.into_iter();
        let of_line = |(outcome, line): (Result<()>, &Line)| {
            let views = outcome.and_then(|()| views.next().unwrap_or_else(|| Err(line.error("no translation"))));
            exchange.done(line.index, views);
        };
        outcomes.into_iter().zip(&lines).for_each(of_line);
        Ok(())
    }

    fn tokens(&self, views: &Vec<View>) -> Tokens {
        let first = views.first().and_then(|view| view.maps.first());
        first.map_or_else(Tokens::default, |map| Tokens {
            source: map.source_pieces.len(),
            target: map.target_pieces.len(),
        })
    }
}

/// Adds the views of a line to those it has, unless either has failed.
fn add(all: &mut Result<Vec<View>>, own: Result<Vec<View>>) {
    *all = std::mem::replace(all, Ok(Vec::new())).and_then(|mut all| {
        all.extend(own?);
        Ok(all)
    });
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
