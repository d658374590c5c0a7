//! `translate attn-dump`: translations with the attention behind them.

use std::fmt::Write;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::json;
use translate::model::{Attention, Record};
use translate::pipeline::{self, Done, End, Event, Input, Interrupt, Output, Settings};
use translate::{Error, Result};

use super::Ending;
use super::job::{InputFormat, Job, Translated};
use super::options::{FileArguments, ModelOptions, SearchArguments};

/// Arguments of `attn-dump`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    files: FileArguments,
    #[command(flatten)]
    model: ModelOptions,

    /// How the attention is printed
    #[arg(long, value_enum, default_value = "json")]
    format: Format,

    #[command(flatten)]
    search: SearchArguments,
}

/// Formats of attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line
    Json,
    /// A table for people
    Text,
}

/// Runs the command.
pub fn run(arguments: Arguments) -> Result<Ending> {
    let (translator, _) = arguments.model.load()?;
    let options = arguments.search.options(&translator, 1)?;
    let language = arguments.model.language_token(&translator)?;
    let job = Arc::new(Job {
        translator,
        options,
        record: Record { cross: true, ..Record::default() },
        input: InputFormat::Text,
        language,
        prefix: None,
        split_sentences: false,
        replace_unknown: false,
    });
    let run = pipeline::Job {
        inputs: Input::from_arguments(&arguments.files.files),
        output: arguments.files.output.map_or(Output::Stdout, Output::File),
        settings: Settings { threads: arguments.model.threads(), several_lines: true, ..Settings::default() },
        interrupt: Interrupt::on_signals().map_err(|source| Error::io("signal handler", source))?,
    };
    let summary = pipeline::run(
        job.clone(),
        run,
        |_, done, buffer| {
            if let Done::Translated(translated) = done {
                buffer.extend_from_slice(render(&job, translated, arguments.format).as_bytes());
            }
        },
        |event| {
            if let Event::Failed(_, error) = event {
                eprintln!("translate: {error}");
            }
        },
    )?;
    Ok(match summary.end {
        End::Interrupted => Ending::Interrupted,
        _ if summary.failed > 0 => Ending::SomeFailed,
        End::Complete | End::OutputClosed => Ending::Done,
    })
}

fn render(job: &Job, translated: &Translated, format: Format) -> String {
    let (Some(sentence), Some(hypothesis)) = (translated.sentences.first(), translated.hypotheses(0).next()) else {
        return String::new();
    };
    let Some(attention) = &hypothesis.cross_attention else { return String::new() };
    let source = job.translator.source_pieces(&sentence.source);
    let target = job.translator.target_pieces(hypothesis);
    match format {
        Format::Json => json!({
            "source_pieces": source,
            "target_pieces": target,
            "translation": sentence.text(),
            "score": hypothesis.score,
            "layers": attention.layers,
            "heads": attention.heads,
            "cross_attention": (0..attention.layers)
                .map(|layer| (0..attention.heads).map(|head| rows(attention, layer, head)).collect())
                .collect::<Vec<Vec<_>>>(),
        })
        .to_string(),
        Format::Text => table(&source, &target, attention),
    }
}

fn rows(attention: &Attention, layer: usize, head: usize) -> Vec<&[f32]> {
    attention.matrix(layer, head).chunks_exact(attention.columns).collect()
}

/// The mean over heads of the last layer.
fn table(source: &[String], target: &[String], attention: &Attention) -> String {
    let mut text = format!("{:>12}", "");
    for piece in source {
        let _ = write!(text, " {piece:>7.7}");
    }
    for (row, piece) in target.iter().enumerate() {
        let _ = write!(text, "\n{piece:>12.12}");
        for column in 0..attention.columns {
            let sum: f32 = (0..attention.heads)
                .map(|head| attention.matrix(attention.layers - 1, head)[row * attention.columns + column])
                .sum();
            let _ = write!(text, " {:>7.3}", sum / attention.heads as f32);
        }
    }
    text.push('\n');
    text
}
