//! `translate score`: how probable the model finds given translations.

use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::{Map, Value, json};
use translate::Workspace;
use translate::model::Record;
use translate::pipeline::{BatchTranslator, Done, End, Exchange, Input, Line, Output, ShardOptions, Tokens};
use translate::search::SearchOptions;
use translate::{Error, Result, SOURCE_LIMIT, Translation, Translator};

use super::Ending;
use super::advice::KeptWhole;
use super::corpus::Corpus;
use super::format::number;
use super::job::check_scores;
use super::options::{ModelOptions, ResultArguments, ShardArgument, named_file};
use super::run::{self, Plan};

const EXAMPLES: &str = "\
Examples:
  printf 'Ein Hund rennt.\\tA dog runs.\\n' | translate score
  translate score pairs.tsv --model gru --format json
  translate score test.de --target test.en --summary

One line a pair: log-probability of the target, a tab, its perplexity. The log-probability is the natural logarithm
of P(target | source), the sum over the target's pieces and its sentence end; perplexity is e^(-sum / pieces).";

/// Arguments of `score`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Lines with a source sentence, a tab and its translation, or source sentences alone if --target has the
    /// translations; - or nothing means standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    #[command(flatten)]
    shard: ShardArgument,

    /// The translations, line by line; both files are then held in memory, and tabs in them count as spaces
    #[arg(long, value_name = "FILE", conflicts_with = "shard")]
    target: Option<PathBuf>,

    /// Write to FILE instead of standard output; it appears when the run is complete
    #[arg(short, long, value_name = "FILE", conflicts_with = "summary")]
    output: Option<PathBuf>,

    /// Print only the sum over all pairs and their common perplexity
    #[arg(long)]
    summary: bool,

    /// Print the log-probability of each piece, too
    #[arg(long, conflicts_with = "summary")]
    word_scores: bool,

    #[command(flatten)]
    results: ResultArguments,

    #[command(flatten)]
    model: ModelOptions,

    /// Most pairs scored together
    #[arg(long, value_name = "N", default_value_t = 32, env = "TRANSLATE_BATCH_SIZE", value_parser = clap::value_parser!(u16).range(1..))]
    batch_size: u16,

    /// Print errors only: no progress bar, no warnings
    #[arg(short, long)]
    quiet: bool,
}

/// Scores batches of lines `source TAB target`.
struct Scorer {
    translator: Translator,
    options: SearchOptions,
}

impl BatchTranslator for Scorer {
    type Output = Translation;

    fn translate(
        &self,
        lines: Vec<Line>,
        exchange: &mut dyn Exchange<Translation>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let is_scorable = |target: &str| self.translator.target_ids(target).len() <= SOURCE_LIMIT;
        let pair = |line: &Line| {
            let (source, target) = line.text.split_once('\t').filter(|(_, target)| is_scorable(target))?;
            Some((self.translator.normalized(source).text, target.to_owned()))
        };
        let pairs: Vec<Option<(String, String)>> = lines.iter().map(pair).collect();
        let whole: Vec<(&str, &str)> =
            pairs.iter().flatten().map(|(source, target)| (&source[..], &target[..])).collect();
        let mut scored = if whole.is_empty() {
            Vec::new()
        } else {
            self.translator.align(&whole, &self.options, Record::default(), workspace)?
        }
        .into_iter();
        for (line, pair) in lines.iter().zip(&pairs) {
            let scored = pair.as_ref().and_then(|_| scored.next());
            let scored = scored.ok_or_else(|| match line.text.contains('\t') {
                true => line.error(format!("the translation has more than {SOURCE_LIMIT} pieces")),
                false => line.error("there is no tab; write the source sentence, a tab and the translation"),
            });
            exchange.done(line.index, scored.and_then(|scored| check_scores(line, &scored).map(|()| scored)));
        }
        Ok(())
    }

    fn tokens(&self, output: &Translation) -> Tokens {
        Tokens { source: output.source.len(), target: token_scores(output).len() }
    }
}

/// The log-probability of each target piece, sentence end included.
fn token_scores(translation: &Translation) -> &[f32] {
    translation.best().map_or(&[], |best| &best.hypothesis.token_log_probs)
}

/// A sum of log-probabilities.
#[derive(Clone, Copy, Default)]
struct Sum {
    log_prob: f64,
    pieces: usize,
    pairs: usize,
}

impl Sum {
    fn add(&mut self, scores: &[f32]) {
        self.log_prob += scores.iter().copied().map(f64::from).sum::<f64>();
        self.pieces += scores.len();
        self.pairs += 1;
    }

    fn perplexity(self) -> f64 {
        (-self.log_prob / self.pieces.max(1) as f64).exp()
    }

    /// The numbers as JSON has them: null for an infinite one.
    fn to_json(self) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("log_prob".into(), json!(self.log_prob));
        object.insert("perplexity".into(), json!(self.perplexity()));
        object.insert("tokens".into(), self.pieces.into());
        object
    }
}

/// Runs the command.
pub(super) fn run(mut arguments: Arguments) -> Result<Ending> {
    arguments.output = named_file(arguments.output);
    let inputs = inputs(&arguments)?;
    let (translator, _) = arguments.model.load(arguments.quiet)?;
    // The plain softmax over the whole vocabulary: nothing is banned when nothing is searched.
    let mut options = translator.search_options();
    options.renormalise = false;
    options.banned.clear();
    translator.chosen_languages()?;
    let scorer = Arc::new(Scorer { translator, options });

    let output = match (&arguments.output, arguments.summary) {
        (Some(path), _) => Output::File(path.clone()),
        (None, true) => run::nowhere(),
        (None, false) => Output::Stdout,
    };
    let mut plan = Plan::new(inputs, output, &arguments.model, arguments.batch_size, arguments.quiet);
    plan.notes = scorer.translator.notes().to_vec();
    let mut total = Sum::default();
    let mut whole = KeptWhole::new(&scorer.translator, "score");
    let finished = run::run(&scorer, plan, |console, line, done, buffer| {
        if let Done::Translated(translation) = done {
            total.add(token_scores(translation));
            let source = line.text.split('\t').next().unwrap_or_default();
            let warning = whole.warning_of(&scorer.translator, source);
            warning.iter().for_each(|warning| console.warn_of(line, warning));
            if translation.source_truncated {
                console.warn_of(line, "the source is too long and was truncated");
            }
        }
        let text = if arguments.results.is_json() { json(&scorer, &done, &arguments) } else { text(&done, &arguments) };
        buffer.extend_from_slice(text.as_bytes());
    })?;
    let end = finished.summary.end;
    let ending = finished.close();
    if arguments.summary && end != End::Interrupted {
        if total.pairs == 0 {
            return Err(Error::Usage(
                "there is no pair to sum up: give lines with a sentence, a tab and its translation".into(),
            ));
        }
        print_total(total, arguments.results.is_json())?;
    }
    Ok(ending)
}

/// The lines to score, each `source TAB target`.
fn inputs(arguments: &Arguments) -> Result<Vec<Input>> {
    let file = arguments.file.clone().unwrap_or_else(|| "-".into());
    let Some(target) = &arguments.target else {
        // Messages in JSON are results with line numbers.
        let options = ShardOptions { numbered: arguments.results.is_json(), ..ShardOptions::default() };
        return arguments.shard.inputs(&[file], options);
    };
    let (sources, targets) = (Corpus::read(&file)?, Corpus::read(target)?);
    targets.must_match(&sources)?;
    let mut pairs = String::with_capacity(sources.text.len() + targets.text.len());
    for (source, target) in sources.lines().zip(targets.lines()) {
        pairs.push_str(&source.replace('\t', " "));
        pairs.push('\t');
        pairs.push_str(&target.replace('\t', " "));
        pairs.push('\n');
    }
    Ok(vec![Input::Stream(sources.name, Box::new(Cursor::new(pairs.into_bytes())))])
}

/// A line of the plain format; empty for a blank line and for one that could not be scored.
fn text(done: &Done<'_, Translation>, arguments: &Arguments) -> String {
    let Done::Translated(translation) = done else { return String::new() };
    let scores = token_scores(translation);
    let mut sum = Sum::default();
    sum.add(scores);
    let mut text = format!("{:.6}\t{:.6}", sum.log_prob, sum.perplexity());
    if arguments.word_scores {
        let scores: Vec<String> = scores.iter().map(|score| format!("{score:.5}")).collect();
        text.push('\t');
        text.push_str(&scores.join(" "));
    }
    text
}

/// A line of JSON.
fn json(scorer: &Scorer, done: &Done<'_, Translation>, arguments: &Arguments) -> String {
    let object = match done {
        Done::Blank => Map::from_iter([("log_prob".to_owned(), Value::Null)]),
        Done::Failed(error) => Map::from_iter([("error".to_owned(), error.to_string().into())]),
        Done::Translated(translation) => {
            let scores = token_scores(translation);
            let mut sum = Sum::default();
            sum.add(scores);
            let mut object = sum.to_json();
            if arguments.word_scores
                && let Some(best) = translation.best()
            {
                object.insert("pieces".into(), json!(scorer.translator.target_pieces(&best.hypothesis)));
                object.insert("word_scores".into(), scores.iter().map(|&score| number(score)).collect());
            }
            object.insert("truncated".into(), translation.source_truncated.into());
            object
        }
    };
    Value::Object(object).to_string()
}

/// Prints the sum over all pairs.
fn print_total(total: Sum, json: bool) -> Result<()> {
    let text = if json {
        let mut object = total.to_json();
        object.insert("pairs".into(), total.pairs.into());
        Value::Object(object).to_string()
    } else {
        format!(
            "log_prob = {:.6} perplexity = {:.6} tokens = {} pairs = {}",
            total.log_prob,
            total.perplexity(),
            total.pieces,
            total.pairs
        )
    };
    writeln!(std::io::stdout(), "{text}").map_err(|source| Error::io("standard output", source))
}
