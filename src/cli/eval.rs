//! `translate eval`: BLEU, chrF and TER of given translations, or of translations made on the spot.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};
use translate::metrics::{
    Bleu, Chrf, Metric, PairedBootstrap, Resampled, Score, Smoothing, Statistics, Ter, Tokenizer, resampled_signature,
};
use translate::model::Record;
use translate::pipeline::{Done, Input, Output};
use translate::protect::Protection;
use translate::{Error, Result};
use unicode_width::UnicodeWidthStr;

use super::Ending;
use super::advice::Advice;
use super::corpus::Corpus;
use super::job::TranslationJob;
use super::options::{ModelOptions, ResultArguments, SearchArguments, SentenceArguments, named_file};
use super::run::{self, Plan};

const EXAMPLES: &str = "\
Examples:
  translate eval --reference ref.txt hyp.txt
  translate eval --reference ref1.txt --reference ref2.txt --metric chrf++ < hyp.txt
  translate eval --source test.de --reference test.en --model gru --beam-size 5
  translate eval --reference ref.txt hyp.txt --sentence-level --format json
  translate eval --reference ref.txt baseline.txt better.txt --metric bleu --metric ter --paired-bootstrap

Of several systems the result is a table; the first is the baseline that --paired-bootstrap compares the others with: p
is the probability of a difference as large as theirs if both were equally good, and * marks p below 0.05.

The numbers are those of sacreBLEU 2.x, and so are the signatures; only their version names this program.";

/// Arguments of `eval`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Translations to evaluate, one a line; several files are compared; - or nothing means standard input
    #[arg(value_name = "HYPOTHESES", conflicts_with = "source")]
    hypotheses: Vec<PathBuf>,

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

    /// Let TER separate punctuation and undo SGML entities, as Tercom does
    #[arg(long)]
    ter_normalized: bool,

    /// Let TER leave out punctuation
    #[arg(long)]
    ter_no_punct: bool,

    /// Let --ter-normalized and --ter-no-punct treat Chinese and Japanese, too
    #[arg(long)]
    ter_asian_support: bool,

    /// Let TER distinguish capital and small letters
    #[arg(long, conflicts_with = "lowercase")]
    ter_case_sensitive: bool,

    /// Compare every system with the first by paired bootstrap resampling (Koehn 2004)
    #[arg(long, visible_alias = "paired-bs", conflicts_with_all = ["sentence_level", "source"])]
    paired_bootstrap: bool,

    /// How often --paired-bootstrap draws
    #[arg(long, value_name = "N", default_value_t = PairedBootstrap::default().resamples as u32, requires = "paired_bootstrap", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    resamples: u32,

    /// Start of its random numbers, which are those of sacreBLEU
    #[arg(long, value_name = "N", default_value_t = PairedBootstrap::default().seed, requires = "paired_bootstrap")]
    resample_seed: u64,

    /// Score each line on its own: one line of output a line, metrics separated by tabs (BLEU with effective order)
    #[arg(long)]
    sentence_level: bool,

    #[command(flatten)]
    results: ResultArguments,

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

    #[command(flatten)]
    sentences: SentenceArguments,

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
    /// TER: words to insert, delete, replace and move; lower is better
    Ter,
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
    if arguments.hypotheses.len() > 1 {
        if arguments.sentence_level {
            return Err(Error::Usage("--sentence-level is for one system: name one file of translations".to_owned()));
        }
    } else if arguments.paired_bootstrap {
        return Err(Error::Usage(
            "--paired-bootstrap compares systems: name two files of translations or more, the baseline first"
                .to_owned(),
        ));
    }
    let given: Vec<&Path> = match &arguments.source {
        Some(source) => vec![source],
        None if arguments.hypotheses.is_empty() => vec![Path::new("-")],
        None => arguments.hypotheses.iter().map(PathBuf::as_path).collect(),
    };
    let mut given = given.into_iter().map(Corpus::read).collect::<Result<Vec<_>>>()?;
    let must_match = |given: &[Corpus]| {
        given.iter().try_for_each(|given| references.iter().try_for_each(|reference| reference.must_match(given)))
    };
    must_match(&given)?;
    if given[0].lines().next().is_none() {
        return Err(Error::Usage(format!("{}: there are no lines to evaluate", given[0].name)));
    }
    let mut ending = Ending::Done;
    if arguments.source.is_some() {
        let translation;
        (translation, ending) = translate(&arguments, given.remove(0))?;
        given.push(translation);
    }
    if !matches!(ending, Ending::Interrupted(_)) {
        // Part of a translation (an --output pipe that closed early) must not be scored as if it were all of it.
        must_match(&given)?;
        match &given[..] {
            [one] => report(&arguments, one, &references)?,
            several => compare(&arguments, several, &references)?,
        }
    }
    Ok(ending)
}

/// Translates all of `source`.
fn translate(arguments: &Arguments, source: Corpus) -> Result<(Corpus, Ending)> {
    let (translator, _) = arguments.model.load(arguments.quiet)?;
    let options = arguments.search.options(&translator, 1)?;
    translator.chosen_languages()?;
    let protection = match arguments.model.pieces {
        true => None,
        false => Protection::parse(translator.text_defaults().protect.as_slice())?,
    };
    let job = Arc::new(TranslationJob {
        record: Record { cross: arguments.replace_unk, ..Record::default() },
        split_sentences: arguments.sentences.split(&translator),
        protection,
        batch_size: usize::from(arguments.batch_size),
        is_of_pieces: arguments.model.pieces,
        replace_unknown: arguments.replace_unk,
        ..TranslationJob::new(translator, options)
    });
    let inputs = vec![Input::Stream(source.name, Box::new(Cursor::new(source.text.into_bytes())))];
    let output = arguments.output.clone().map_or_else(run::nowhere, Output::File);
    let mut plan = Plan::new(inputs, output, &arguments.model, arguments.batch_size, arguments.quiet);
    plan.notes = job.translator.notes().to_vec();
    let mut text = String::new();
    let mut truncated = 0;
    let mut advice = Advice::new(&job);
    let finished = run::run(&job, plan, |console, line, done, buffer| {
        if let Done::Translated(translated) = done {
            if console.has_warnings() {
                advice.warnings(&job, translated).iter().for_each(|warning| console.warn_of(line, warning));
            }
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
            MetricName::Ter => Box::new(Ter {
                normalized: arguments.ter_normalized,
                no_punctuation: arguments.ter_no_punct,
                asian_support: arguments.ter_asian_support,
                case_sensitive: arguments.ter_case_sensitive,
            }),
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
        let text = if arguments.results.is_json() {
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

/// One system by one metric.
struct Cell {
    score: Score,
    resampled: Option<Resampled>,
}

/// Scores several systems and prints a table, or JSON.
fn compare(arguments: &Arguments, systems: &[Corpus], references: &[Corpus]) -> Result<()> {
    let bootstrap = arguments
        .paired_bootstrap
        .then_some(PairedBootstrap { resamples: arguments.resamples as usize, seed: arguments.resample_seed });
    let metrics = metrics(arguments);
    let signatures: Vec<String> = metrics
        .iter()
        .map(|metric| metric.signature(references.len()))
        .map(|plain| bootstrap.map_or(plain.clone(), |bootstrap| resampled_signature(&plain, bootstrap)))
        .collect();
    // One column a metric.
    let columns: Vec<Vec<Cell>> =
        metrics.iter().map(|metric| column(&**metric, bootstrap, systems, references)).collect();
    let width = usize::from(arguments.width);
    let text = if arguments.results.is_json() {
        let objects = systems.iter().enumerate().flat_map(|(number, system)| {
            let cells = columns.iter().map(move |column| &column[number]);
            cells.zip(&signatures).map(move |(cell, signature)| {
                let mut object = Map::from_iter([("system".to_owned(), Value::from(system.name.clone()))]);
                object.extend(score_fields(&cell.score, signature, width));
                if let Some(resampled) = cell.resampled {
                    object.insert("mean".into(), rounded(resampled.mean, width));
                    object.insert("ci".into(), rounded(resampled.interval, width));
                    object.insert("p_value".into(), resampled.p_value.map_or(Value::Null, |p| rounded(p, 4)));
                }
                Value::Object(object).to_string()
            })
        });
        objects.collect::<Vec<_>>().join("\n")
    } else {
        table(systems, &columns, &signatures, width)
    };
    writeln!(std::io::stdout(), "{text}").map_err(|source| Error::io("standard output", source))
}

/// All systems by one metric.
fn column(
    metric: &dyn Metric,
    bootstrap: Option<PairedBootstrap>,
    systems: &[Corpus],
    references: &[Corpus],
) -> Vec<Cell> {
    let statistics: Vec<Vec<Statistics>> = systems
        .iter()
        .map(|system| {
            let mut reference_lines: Vec<_> = references.iter().map(Corpus::lines).collect();
            let lines = system.lines().map(|hypothesis| {
                let references: Vec<&str> = reference_lines.iter_mut().filter_map(Iterator::next).collect();
                metric.statistics(hypothesis, &references)
            });
            lines.collect()
        })
        .collect();
    let resampled = bootstrap.map(|bootstrap| bootstrap.compare(metric, &statistics));
    let cells = statistics.iter().enumerate().map(|(number, lines)| {
        let mut sum = Statistics::default();
        lines.iter().for_each(|line| sum.add(line));
        Cell { score: metric.score(&sum), resampled: resampled.as_ref().map(|resampled| resampled[number]) }
    });
    cells.collect()
}

/// A row a system; columns are aligned and two spaces apart. The signatures follow.
fn table(systems: &[Corpus], columns: &[Vec<Cell>], signatures: &[String], width: usize) -> String {
    let mut rows = vec![vec!["System".to_owned()]];
    rows.extend(systems.iter().map(|system| vec![system.name.clone()]));
    for column in columns {
        rows[0].push(column[0].score.name.clone());
        if column[0].resampled.is_some() {
            rows[0].extend(["mean ± 95% CI".to_owned(), "p".to_owned()]);
        }
        for (row, cell) in rows[1..].iter_mut().zip(column) {
            row.push(format!("{:.width$}", cell.score.value));
            if let Some(Resampled { mean, interval, p_value }) = cell.resampled {
                row.push(format!("{mean:.width$} ± {interval:.width$}"));
                row.push(
                    p_value.map_or("baseline".to_owned(), |p| format!("{p:.4}{}", if p < 0.05 { "*" } else { " " })),
                );
            }
        }
    }
    let widest = |index: usize| rows.iter().map(|row| UnicodeWidthStr::width(&*row[index])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(widest).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width - UnicodeWidthStr::width(&**cell));
            // Names to the left, numbers to the right.
            line.push_str(&if index == 0 { format!("{cell}{padding}") } else { format!("  {padding}{cell}") });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for (column, signature) in columns.iter().zip(signatures) {
        text.push_str(&format!("\n{}|{signature}", column[0].score.name));
    }
    text
}

/// A number with so many decimals, as JSON has it.
fn rounded(value: f64, width: usize) -> Value {
    format!("{value:.width$}").parse::<f64>().map_or(Value::Null, Value::from)
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
        object.extend(score_fields(score, signature, width));
        Value::Object(object).to_string()
    });
    objects.collect::<Vec<_>>().join("\n")
}

/// A score and its signature, whole and in parts, with sacreBLEU's keys.
fn score_fields(score: &Score, signature: &str, width: usize) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("name".into(), score.name.clone().into());
    object.insert("score".into(), score.rounded(width).into());
    object.insert("signature".into(), signature.into());
    if !score.detail.is_empty() {
        object.insert("verbose_score".into(), score.detail.clone().into());
    }
    for (key, value) in signature.split('|').filter_map(|field| field.split_once(':')) {
        object.insert(key.into(), value.into());
    }
    object
}
