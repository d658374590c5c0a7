//! `translate bench`: how fast a model translates on this machine.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use clap::Args;
use serde_json::{Value, json};
use translate::compute::{BackendName, profile};
use translate::kernels::{self, Workspace};
use translate::model::Record;
use translate::pipeline::peak_memory;
use translate::search::SearchOptions;

use translate::{Error, Request, Result, Translator};

use super::Ending;
use super::advice::KeptWhole;
use super::corpus::Corpus;
use super::message;
use super::options::{ModelOptions, ResultFormat};
use super::profile::{Limits, lines, report};

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Lines to translate; - or none means standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    #[command(flatten)]
    model: ModelOptions,

    /// Hypotheses kept at each step; 1 is greedy search [default: the model's own]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    beam_size: Option<u16>,

    /// Sentences translated together
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    batch_size: u16,

    /// Batches translated at the same time; they share the threads [default: one a thread]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,

    /// Generate exactly N tokens for every line, so that runs can be compared whatever the model says [default: stop at
    /// the sentence end]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    fixed_length: Option<u16>,

    /// Measure N times and report the median
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,

    /// Also what each kind of operation takes, beside what this machine can multiply and read at most (kernels only)
    #[arg(long)]
    profile: bool,

    /// How the measurement is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "json")]
    format: ResultFormat,
}

/// Runs the command: one JSON object on standard output, or a line for each of its fields.
pub(super) fn run(arguments: Arguments) -> Result<Ending> {
    let (translator, load) = arguments.model.load(false)?;
    if arguments.profile && translator.compute().backend()? != BackendName::Kernels {
        return Err(Error::Usage("--profile is of the kernels; it knows nothing of candle".into()));
    }
    translator.notes().iter().for_each(message::say);
    let mut options = translator.search_options();
    if let Some(beam) = arguments.beam_size {
        options.beam_size = usize::from(beam);
    }
    // As for plain text output: a greedy search needs no probabilities.
    options.scores = false;
    if let Some(length) = arguments.fixed_length {
        options.max_length = usize::from(length);
        options.min_length = usize::from(length);
        options.force_end = false;
    }
    let batch_size = usize::from(arguments.batch_size);
    let threads = arguments.model.threads();
    let workers = arguments.workers.map_or(threads, usize::from);
    let mut requests = read(arguments.file.as_ref(), &translator)?;
    // Neighbours of equal length, as a run over a file arranges them.
    requests.sort_by_key(|request| std::cmp::Reverse(request.text.len()));
    let batches: Vec<&[Request]> = requests.chunks(batch_size).collect();
    let mut workspaces: Vec<Workspace> = (0..workers).map(|_| Workspace::new((threads / workers).max(1))).collect();

    translate(&translator, &options, &batches[..batches.len().min(workers)], &mut workspaces)?;
    let mut runs = Vec::new();
    for _ in 0..arguments.repeat {
        let start = Instant::now();
        let tokens = translate(&translator, &options, &batches, &mut workspaces)?;
        runs.push((start.elapsed().as_secs_f64(), tokens));
    }
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (seconds, tokens) = runs[runs.len() / 2];
    let profile = match arguments.profile {
        true => {
            profile::begin();
            let start = Instant::now();
            translate(&translator, &options, &batches, &mut workspaces)?;
            let seconds = start.elapsed().as_secs_f64() * workers as f64;
            Some(report(&profile::end(), seconds, &Limits::measure(translator.compute().precision, workers)))
        }
        false => None,
    };
    let mut measured = json!({
        "engine": "translate",
        "version": env!("CARGO_PKG_VERSION"),
        "kernels": kernels::describe(),
        "model": arguments.model.model,
        "backend": translator.compute().backend()?.to_string(),
        "device": translator.compute().device.to_string(),
        "precision": translator.compute().precision.to_string(),
        "beam": options.beam_size,
        "batch": batch_size,
        "workers": workers,
        "threads": threads,
        "sentences": requests.len(),
        "tokens": tokens,
        "seconds": (seconds * 1e3).round() / 1e3,
        "tokens_per_second": (tokens as f64 / seconds * 10.0).round() / 10.0,
        "load_seconds": (load.as_secs_f64() * 1e3).round() / 1e3,
        "peak_mb": peak_memory().map(|bytes| bytes >> 20),
    });
    let text = match arguments.format {
        ResultFormat::Text => {
            let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let fields = measured.as_object().into_iter().flatten();
            let fields = fields.map(|(name, value)| format!("{name:17}  {}", plain(value)));
            fields.chain(profile.iter().flat_map(lines)).collect::<Vec<_>>().join("\n")
        }
        ResultFormat::Json => {
            measured.as_object_mut().into_iter().for_each(|fields| fields.extend(profile.clone().unwrap_or_default()));
            measured.to_string()
        }
    };
    writeln!(std::io::stdout(), "{text}").map_err(|source| Error::io("standard output", source))?;
    Ok(Ending::Done)
}

/// Translates `batches`, whichever worker is free taking the next; the number of tokens generated.
fn translate(
    translator: &Translator,
    options: &SearchOptions,
    batches: &[&[Request]],
    workspaces: &mut [Workspace],
) -> Result<u64> {
    let next = AtomicUsize::new(0);
    let tokens = AtomicU64::new(0);
    let failure = Mutex::new(None);
    std::thread::scope(|scope| {
        for workspace in workspaces {
            scope.spawn(|| {
                while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match translator.translate(batch, options, Record::default(), workspace) {
                        Ok(translations) => {
                            let generated = translations
                                .iter()
                                .filter_map(|translation| translation.best())
                                .map(|best| best.hypothesis.token_log_probs.len() as u64);
                            tokens.fetch_add(generated.sum(), Ordering::Relaxed);
                        }
                        Err(error) => *failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(error),
                    }
                }
            });
        }
    });
    match failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        Some(error) => Err(error),
        None => Ok(tokens.into_inner()),
    }
}

/// The lines that are not blank. Each is measured whole, so that lines of any length can be.
fn read(file: Option<&PathBuf>, translator: &Translator) -> Result<Vec<Request>> {
    let Corpus { text, name } = Corpus::read(file.map_or(Path::new("-"), PathBuf::as_path))?;
    let mut whole = KeptWhole::new(translator, "bench");
    let mut requests: Vec<Request> = Vec::new();
    for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
        if let Some(warning) = whole.warning_of(translator, line) {
            message::say(format_args!("{name}: line {number}: {warning}"));
        }
        requests.push(translator.normalized(line).text.as_str().into());
    }
    // A line of nothing but invisible characters.
    requests.retain(|request| !request.text.trim().is_empty());
    if requests.is_empty() {
        return Err(Error::Usage("there are no lines to measure with; name a FILE that has some".into()));
    }
    Ok(requests)
}
