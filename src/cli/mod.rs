//! The command line: what can be asked for, and how a run ends.
//!
//! Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted, 143 terminated. A closed pipe is a quiet end.

mod advice;
mod attention;
mod attn_dump;
mod batches;
mod bench;
mod browser;
mod complete;
mod completions;
mod constraints;
mod convert;
mod corpus;
mod document;
mod download;
mod environment;
mod eval;
mod format;
mod job;
mod lost;
mod man;
mod message;
mod models;
mod options;
mod profile;
mod progress;
mod request;
mod run;
mod score;
mod signals;
mod translate;

use std::io::Write;
use std::process::ExitCode;
use std::sync::LazyLock;

use ::translate::Error;
use ::translate::kernels;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  echo 'Ein Hund rennt durch den Schnee.' | translate
                                    translate a sentence with the built-in Transformer
  translate --model gru < input.txt > output.txt
                                    a whole file with the built-in GRU
  translate --model ./opus-mt-fr-en letter.txt notes.txt
                                    any OPUS-MT / Marian directory, several files
  tail -f log | translate           each line as soon as it is written
  translate --beam-size 5 --n-best 3 --format tsv < input.txt
                                    three translations a line, with their scores
  echo 'Ein Hund rennt.' | translate attn-dump --format text
                                    see which source pieces each target piece looked at";

const AFTER_HELP: &str = "\
Exit status:
  0 done; 1 failed; 2 wrong usage; 130 interrupted; 143 terminated. A closed pipe ends quietly.";

/// What `--version` prints; `-V` prints the number alone.
static LONG_VERSION: LazyLock<String> = LazyLock::new(|| {
    let kernels: Vec<String> = kernels::InstructionSet::available().map(|set| set.to_string()).collect();
    format!("{}\nkernels in use: {} (of {})", env!("CARGO_PKG_VERSION"), kernels::describe(), kernels.join(", "))
});

/// Offline neural translation: Transformer and GRU models, greedy or beam search, and the attention behind every word.
///
/// Reads lines from FILEs or standard input and writes one translation for each, in order.
#[derive(Debug, Parser)]
#[command(
    name = "translate",
    version,
    long_version = LONG_VERSION.as_str(),
    args_conflicts_with_subcommands = true,
    args_override_self = true,
    before_help = EXAMPLES,
    after_help = AFTER_HELP,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    translate: translate::Arguments,
    /// Colours in help and messages: where there is a terminal (and NO_COLOR is not set), everywhere, or nowhere
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    color: clap::ColorChoice,
}

/// What `--color` says, found before the rest is understood: help and errors come while it is.
fn color_of(mut arguments: impl Iterator<Item = std::ffi::OsString>) -> clap::ColorChoice {
    let mut choice = clap::ColorChoice::Auto;
    while let Some(argument) = arguments.next() {
        let argument = argument.to_string_lossy();
        let value = match argument.strip_prefix("--color") {
            Some("") => arguments.next().map(|value| value.to_string_lossy().into_owned()),
            Some(value) => value.strip_prefix('=').map(str::to_owned),
            None if argument == "--" => break,
            None => None,
        };
        choice = value.and_then(|value| clap::ValueEnum::from_str(&value, false).ok()).unwrap_or(choice);
    }
    choice
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what the model looked at: attention of every layer and head, as text, data, pictures or a page
    AttnDump(attn_dump::Arguments),
    /// Translate documents: web pages, Markdown, subtitles, catalogues of messages, Office files; all but the text stays
    Document(document::Arguments),
    /// Compute BLEU, chrF and TER of translations, given or made on the spot, and compare systems
    Eval(eval::Arguments),
    /// Compute the log-probability and perplexity of given translations
    Score(score::Arguments),
    /// Measure how fast a model translates: tokens a second, load time, peak memory
    Bench(bench::Arguments),
    /// Write a model as a clean directory: safetensors, complete configs, vocabulary
    Convert(convert::Arguments),
    /// List built-in, cached and local models
    Models(models::Arguments),
    /// Print a completion script for a shell
    Completions(completions::Arguments),
    /// Print the manual page
    Man(man::Arguments),
    /// What can stand at the cursor, for the completion scripts
    #[command(hide = true)]
    CompleteWords(complete::Arguments),
}

/// How a command that did its work ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Everything is done.
    Done,
    /// The run went to its end, but something in it failed and was reported.
    SomeFailed,
    /// This signal stopped it.
    Interrupted(i32),
}

/// `--sampling --beam-size 4` contradicts itself; a beam size that comes from the environment does not.
fn refuse_beam_beside_sampling(matches: &ArgMatches) -> Result<(), clap::Error> {
    let is_given = |name| {
        matches.try_contains_id(name).unwrap_or(false) && matches.value_source(name) == Some(ValueSource::CommandLine)
    };
    if is_given("sampling") && is_given("beam_size") {
        let problem = "--sampling draws each token and keeps no beam, so it cannot be used with --beam-size\n";
        return Err(Cli::command().error(ErrorKind::ArgumentConflict, problem));
    }
    matches.subcommand().map_or(Ok(()), |(_, matches)| refuse_beam_beside_sampling(matches))
}

/// Parses the arguments, runs the command, and reports an error in one line on stderr.
pub(super) fn main() -> ExitCode {
    if let Err(error) = environment::choose_instruction_set() {
        message::say(error);
        return ExitCode::from(2);
    }
    let command = environment::without_empty(Cli::command()).color(color_of(std::env::args_os().skip(1)));
    let parsed = command.clone().try_get_matches().and_then(|matches| {
        refuse_beam_beside_sampling(&matches)?;
        Ok((Cli::from_arg_matches(&matches)?, matches))
    });
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return refuse(&command, &error),
    };
    let result = match cli.command {
        None => translate::run(cli.translate),
        Some(Command::AttnDump(arguments)) => attn_dump::run(arguments, cli.color),
        Some(Command::Document(arguments)) => document::run(arguments),
        Some(Command::Eval(arguments)) => eval::run(arguments),
        Some(Command::Score(arguments)) => score::run(arguments),
        Some(Command::Bench(arguments)) => bench::run(arguments),
        Some(Command::Convert(arguments)) => convert::run(arguments),
        Some(Command::Models(arguments)) => models::run(arguments),
        Some(Command::Completions(arguments)) => completions::run(&arguments, Cli::command()),
        Some(Command::Man(arguments)) => man::run(&arguments, Cli::command()),
        Some(Command::CompleteWords(arguments)) => complete::run(arguments, Cli::command()),
    };
    match result {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::SomeFailed) => ExitCode::FAILURE,
        // As shells report it: 130 after SIGINT, 143 after SIGTERM.
        Ok(Ending::Interrupted(signal)) => ExitCode::from(u8::try_from(128 + signal).unwrap_or(130)),
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // What a variable set somewhere else says is not on the command line that the person sees.
            let variables = match &error {
                Error::Usage(_) | Error::Model { .. } | Error::Device { .. } => {
                    environment::in_force(&command, &matches)
                }
                _ => String::new(),
            };
            message::say(format_args!("{error}{variables}"));
            ExitCode::from(if matches!(error, Error::Usage(_)) { 2 } else { 1 })
        }
    }
}

/// Prints what clap has to say: help and version on stdout with status 0, an error on stderr with status 2.
fn refuse(command: &clap::Command, error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return match error.print().and_then(|()| std::io::stdout().flush()) {
            Err(problem) if problem.kind() != std::io::ErrorKind::BrokenPipe => {
                message::say(Error::io("standard output", problem));
                ExitCode::FAILURE
            }
            _ => ExitCode::SUCCESS,
        };
    }
    let has_controls = std::env::args_os().any(|argument| argument.to_string_lossy().contains(char::is_control));
    if has_controls {
        // An argument is quoted in it, and must not reach the terminal as it is.
        error.to_string().lines().for_each(message::line);
    } else {
        // Where it cannot be written there is nobody to read it.
        let _ = error.print();
    }
    if let Some(variable) = environment::culprit(command, error) {
        message::line(format_args!("The value is that of the environment variable {variable}."));
    }
    if let Some(hint) = lost::command_after_options(std::env::args_os().skip(1)) {
        message::line(hint);
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
