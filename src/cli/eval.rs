//! `translate eval`: BLEU and chrF of given translations, or of translations made on the spot.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};
use translate::metrics::{Bleu, Chrf, Metric, Score, Smoothing, Statistics, Tokenizer};
use translate::model::Record;
use translate::pipeline::{Done, Input, Output};
use translate::{Error, Result};

use super::Ending;
use super::corpus::Corpus;
use super::job::TranslationJob;
use super::options::{ModelOptions, SearchArguments, named_file};
use super::run::{self, Plan};

const EXAMPLES: &str = "\
Examples:
  translate eval --reference ref.txt hyp.txt
  translate eval --reference ref1.txt --reference ref2.txt --metric chrf++ < hyp.txt
  translate eval --source test.de --reference test.en --model gru --beam-size 5
  translate eval --reference ref.txt hyp.txt --sentence-level --json

The numbers are those of sacreBLEU 2.x, and so are the signatures; only their version names this program.";

/// Arguments of `eval`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Translations to evaluate, one a line; - or nothing means standard input
    #[arg(value_name = "HYPOTHESES", conflicts_with = "source")]
    hypotheses: Option<PathBuf>,

    /// Reference translations, line by line; repeat the option for several references
    #[arg(short, long, value_name = "FILE", required = true)]
    reference: Vec<PathBuf>,

    /// Translate FILE (- for standard input) with the model and evaluate that
    #[arg(short, long, value_name = "FILE")]
    source: Option<PathBuf>,

    /// Also write the translations made from --source to FILE
    #[arg(short, long, value_name = "FILE", requires = "source")]
    output: Option<PathBuf>,

    /// What to compute; may be repeated [default: bleu chrf]
    #[arg(long, value_enum, value_name = "METRIC")]
    metric: Vec<MetricName>,

    /// How BLEU splits lines into tokens
    #[arg(long, value_name = "NAME", default_value = "13a", value_parser = tokenizer_parser())]
    tokenize: Tokenizer,

    /// What BLEU puts in the place of a precision of zero: exp, none, floor[=VALUE] or add-k[=VALUE]
    #[arg(long, value_name = "METHOD", default_value = "exp")]
    smooth: Smoothing,

    /// Ignore case
    #[arg(long)]
    lowercase: bool,

    /// Let chrF count white space, too
    #[arg(long)]
    whitespace: bool,

    /// Score each line on its own: one line of output a line, metrics separated by tabs (BLEU with effective order)
    #[arg(long)]
    sentence_level: bool,

    /// Print one JSON object for each score, with sacreBLEU's keys
    #[arg(long)]
    json: bool,

    /// Decimals of the scores
    #[arg(short, long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(..=12))]
    width: u8,

    /// Print errors only: no progress bar, no warnings
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten, next_help_heading = "With --source")]
    model: ModelOptions,

    /// Most sentences translated together
    #[arg(long, value_name = "N", default_value_t = 32, env = "TRANSLATE_BATCH_SIZE", value_parser = clap::value_parser!(u16).range(1..))]
    batch_size: u16,

    /// Translate each line sentence by sentence and join the translations
    #[arg(long)]
    split_sentences: bool,

    /// Put the source word that got most attention in the place of each unknown word
    #[arg(long)]
    replace_unk: bool,

    #[command(flatten)]
    search: SearchArguments,
}

/// Metrics on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MetricName {
    /// BLEU over words
    Bleu,
    /// chrF2: F-score over characters
    Chrf,
    /// chrF2++: over characters and words
    #[value(name = "chrf++")]
    ChrfPlusPlus,
}

fn tokenizer_parser() -> impl TypedValueParser<Value = Tokenizer> {
    PossibleValuesParser::new(Tokenizer::ALL.map(Tokenizer::name)).try_map(|name| name.parse::<Tokenizer>())
}

/// Runs the command.
pub(super) fn run(arguments: Arguments) -> Result<Ending> {
    if arguments.output.is_some() && named_file(arguments.output.clone()).is_none() {
        return Err(Error::Usage("standard output is for the scores: name a file for the translations".to_owned()));
    }
    let references = arguments.reference.iter().map(|path| Corpus::read(path)).collect::<Result<Vec<_>>>()?;
    let given = arguments.source.as_deref().or(arguments.hypotheses.as_deref()).unwrap_or(Path::new("-"));
    let given = Corpus::read(given)?;
    for reference in &references {
        reference.must_match(&given)?;
    }
    if given.lines().next().is_none() {
        return Err(Error::Usage(format!("{}: there are no lines to evaluate", given.name)));
    }
    let (hypotheses, ending) =
        if arguments.source.is_some() { translate(&arguments, given)? } else { (given, Ending::Done) };
    if !matches!(ending, Ending::Interrupted(_)) {
        // Part of a translation (an --output pipe that closed early) must not be scored as if it were all of it.
        for reference in &references {
            reference.must_match(&hypotheses)?;
        }
        report(&arguments, &hypotheses, &references)?;
    }
    Ok(ending)
}

/// Translates all of `source`.
fn translate(arguments: &Arguments, source: Corpus) -> Result<(Corpus, Ending)> {
    let (translator, _) = arguments.model.load()?;
    let options = arguments.search.options(&translator, 1)?;
    translator.chosen_languages()?;
    let job = Arc::new(TranslationJob {
        record: Record { cross: arguments.replace_unk, ..Record::default() },
        split_sentences: arguments.split_sentences,
        replace_unknown: arguments.replace_unk,
        ..TranslationJob::new(translator, options)
    });
    let inputs = vec![Input::Stream(source.name, Box::new(Cursor::new(source.text.into_bytes())))];
    let output = arguments.output.clone().map_or_else(run::nowhere, Output::File);
    let mut plan = Plan::new(inputs, output, &arguments.model, arguments.batch_size, arguments.quiet);
    plan.notes = job.translator.notes().to_vec();
    let mut text = String::new();
    let mut truncated = 0;
    let finished = run::run(&job, plan, |_, _, done, buffer| {
        if let Done::Translated(translated) = done {
            truncated += usize::from(translated.truncated());
            let translation = translated.text(0).replace(['\n', '\r'], " ");
            buffer.extend_from_slice(translation.as_bytes());
            text.push_str(&translation);
        }
        text.push('\n');
    })?;
    if truncated > 0 {
        let lines = finished.summary.lines;
        finished
            .console
            .warn(&format!("{truncated} of {lines} translations are truncated at a length limit (see --max-length)"));
    }
    Ok((Corpus { name: "the translation".into(), text }, finished.close()))
}

/// The metrics asked for, each once.
fn metrics(arguments: &Arguments) -> Vec<Box<dyn Metric>> {
    let mut names = arguments.metric.clone();
    if names.is_empty() {
        names = vec![MetricName::Bleu, MetricName::Chrf];
    }
    let mut seen = Vec::new();
    names.retain(|name| {
        !seen.contains(name) && {
            seen.push(*name);
            true
        }
    });
    let chrf = Chrf { lowercase: arguments.lowercase, whitespace: arguments.whitespace, ..Chrf::default() };
    let metric = |name| -> Box<dyn Metric> {
        match name {
            MetricName::Bleu => Box::new(Bleu {
                tokenizer: arguments.tokenize,
                lowercase: arguments.lowercase,
                smoothing: arguments.smooth,
                effective_order: arguments.sentence_level,
            }),
            MetricName::Chrf => Box::new(chrf.clone()),
            MetricName::ChrfPlusPlus => Box::new(Chrf { word_order: 2, ..chrf.clone() }),
        }
    };
    names.into_iter().map(metric).collect()
}

/// Scores the hypotheses and prints the result.
fn report(arguments: &Arguments, hypotheses: &Corpus, references: &[Corpus]) -> Result<()> {
    let metrics = metrics(arguments);
    let signatures: Vec<String> = metrics.iter().map(|metric| metric.signature(references.len())).collect();
    let mut sums = vec![Statistics::default(); metrics.len()];
    let mut reference_lines: Vec<_> = references.iter().map(Corpus::lines).collect();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut print = |scores: Vec<Score>, line: Option<usize>| {
        let text = if arguments.json {
            json(&scores, &signatures, arguments.width.into(), line)
        } else {
            text(&scores, &signatures, arguments.width.into(), line)
        };
        writeln!(out, "{text}").map_err(|source| Error::io("standard output", source))
    };

    for (index, hypothesis) in hypotheses.lines().enumerate() {
        let line_references: Vec<&str> = reference_lines.iter_mut().filter_map(Iterator::next).collect();
        let statistics = metrics.iter().map(|metric| metric.statistics(hypothesis, &line_references));
        if arguments.sentence_level {
            print(metrics.iter().zip(statistics).map(|(metric, one)| metric.score(&one)).collect(), Some(index + 1))?;
        } else {
            sums.iter_mut().zip(statistics).for_each(|(sum, one)| sum.add(&one));
        }
    }
    if !arguments.sentence_level {
        print(metrics.iter().zip(&sums).map(|(metric, sum)| metric.score(sum)).collect(), None)?;
    }
    out.flush().map_err(|source| Error::io("standard output", source))
}

/// sacreBLEU's lines: for a corpus one below the other with equal signs aligned, for a sentence side by side.
fn text(scores: &[Score], signatures: &[String], width: usize, line: Option<usize>) -> String {
    let lines: Vec<String> =
        scores.iter().zip(signatures).map(|(score, signature)| score.format(width, Some(signature))).collect();
    if line.is_some() {
        return lines.join("\t");
    }
    let indent = |line: &str| line.find(" = ").unwrap_or(0);
    let widest = lines.iter().map(|line| indent(line)).max().unwrap_or(0);
    let aligned: Vec<String> =
        lines.iter().map(|line| format!("{}{line}", " ".repeat(widest - indent(line)))).collect();
    aligned.join("\n")
}

/// One object a score, on a line of its own: sacreBLEU's keys, and `line` for a sentence.
fn json(scores: &[Score], signatures: &[String], width: usize, line: Option<usize>) -> String {
    let objects = scores.iter().zip(signatures).map(|(score, signature)| {
        let mut object = Map::new();
        if let Some(line) = line {
            object.insert("line".into(), line.into());
        }
        object.insert("name".into(), score.name.clone().into());
        object.insert("score".into(), score.rounded(width).into());
        object.insert("signature".into(), signature.clone().into());
        if !score.detail.is_empty() {
            object.insert("verbose_score".into(), score.detail.clone().into());
        }
        for (key, value) in signature.split('|').filter_map(|field| field.split_once(':')) {
            object.insert(key.into(), value.into());
        }
        Value::Object(object).to_string()
    });
    objects.collect::<Vec<_>>().join("\n")
}
