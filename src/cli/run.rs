//! The one way a command runs a pipeline: signals, progress bar, warnings, statistics, and how it ends.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use translate::compute::Compute;
use translate::pipeline::{
    self, BatchTranslator, Done, End, Event, Input, Interrupt, LONGEST_LINE, Line, Output, Settings, Stats, Summary,
};
use translate::{Error, Result};

use super::Ending;
use super::message;
use super::options::ModelOptions;
use super::progress::Bar;
use super::signals;

/// Lines to be run through a translator, and what is shown meanwhile.
pub(super) struct Plan {
    pub(super) inputs: Vec<Input>,
    pub(super) output: Output,
    pub(super) settings: Settings,
    pub(super) shown: Shown,
    /// What is to be said of the model before the first line.
    pub(super) notes: Vec<String>,
}

impl Plan {
    /// A run in batches of at most `batch_size` lines; `quiet` shows errors only.
    pub(super) fn new(inputs: Vec<Input>, output: Output, model: &ModelOptions, batch_size: u16, quiet: bool) -> Self {
        let settings =
            Settings { threads: model.threads(), batch_size: usize::from(batch_size), ..Settings::default() };
        let shown = Shown { progress: !quiet, warnings: !quiet, waiting: !quiet, ..Shown::default() };
        Self { inputs, output, settings, shown, notes: Vec::new() }
    }
}

/// The output of a run whose lines are only looked at.
pub(super) fn nowhere() -> Output {
    Output::Stream(Box::new(std::io::sink()))
}

/// What is shown on stderr besides errors.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    /// The progress bar, if there is somebody to see it.
    pub(super) progress: bool,
    /// Warnings.
    pub(super) warnings: bool,
    /// That lines are awaited from a terminal.
    pub(super) waiting: bool,
    /// What an interrupted run can be resumed with.
    pub(super) resuming: bool,
    /// The figures at the end, for a model that took this long to load and is computed by that.
    pub(super) statistics: Option<(StatsFormat, Duration, String)>,
}

/// What is said of a run on stderr.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct ShownArguments {
    /// Print lines, tokens, seconds, tokens/s, load time and peak memory on stderr at the end
    #[arg(long, value_name = "FORMAT", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    stats: Option<StatsFormat>,

    /// Draw no progress bar
    #[arg(long)]
    no_progress: bool,

    /// Print errors only: no progress bar, no warnings
    #[arg(short, long)]
    pub(super) quiet: bool,
}

impl ShownArguments {
    /// Says it to a plan, for a model that took `load_time` to load.
    pub(super) fn apply(self, plan: &mut Plan, compute: &Compute, load_time: Duration) {
        plan.shown.progress &= !self.no_progress;
        plan.shown.statistics = self.stats.map(|format| (format, load_time, compute.describe()));
    }
}

/// Formats of the final statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum StatsFormat {
    /// One readable line
    Text,
    /// One JSON object
    Json,
}

/// What a command may do while its lines come: say something, or stop.
pub(super) struct Console {
    bar: Bar,
    shown: Shown,
    interrupt: Interrupt,
}

impl Console {
    /// Prints a warning, if warnings are wanted.
    pub(super) fn warn(&self, message: &str) {
        if self.shown.warnings {
            self.bar.print(message);
        }
    }

    /// Whether warnings are wanted.
    pub(super) fn has_warnings(&self) -> bool {
        self.shown.warnings
    }

    /// Prints a warning about a line.
    pub(super) fn warn_of(&self, line: &Line, message: &str) {
        self.warn(&format!("{}: line {}: {message}", line.name, line.number));
    }

    /// Stops the run after the lines that are written.
    pub(super) fn stop(&self) {
        self.interrupt.stop();
    }

    fn show(&self, event: Event<'_>) {
        match event {
            Event::Progress(progress) => self.bar.update(progress),
            Event::Failed(_, error) => self.bar.print(&error.to_string()),
            Event::Truncated(line) => {
                let most = LONGEST_LINE >> 20;
                self.warn_of(line, &format!("only its first {most} MiB are read; put line breaks into the text"));
            }
            // Named together at the end.
            Event::Replaced(_) => {}
        }
    }
}

/// A run that went to its end, its output written.
pub(super) struct Finished {
    pub(super) summary: Summary,
    pub(super) console: Console,
}

/// Runs all lines through `translator`. `format` appends what is written for a line, as in [`pipeline::run`].
///
/// # Errors
/// As [`pipeline::run`].
pub(super) fn run<T: BatchTranslator>(
    translator: &Arc<T>,
    plan: Plan,
    mut format: impl FnMut(&Console, &Line, Done<'_, T::Output>, &mut Vec<u8>),
) -> Result<Finished> {
    let Plan { inputs, output, settings, shown, notes } = plan;
    let bar = Bar::new(&inputs, output.is_own_file(), shown.progress);
    if shown.waiting && inputs.iter().any(|input| matches!(input, Input::Stdin)) && std::io::stdin().is_terminal() {
        let end = if cfg!(windows) { "Ctrl-Z and Enter end" } else { "Ctrl-D ends" };
        bar.print(&format!("reading lines from the terminal; {end} the input, --help tells of more"));
    }
    let interrupt = signals::interrupt().map_err(|source| Error::io("signal handler", source))?;
    let run = pipeline::Run { inputs, output, settings, interrupt: interrupt.clone() };
    let console = Console { bar, shown, interrupt };
    notes.iter().for_each(|note| console.warn(note));
    let summary = pipeline::run(
        translator.clone(),
        run,
        |line, done, buffer| format(&console, line, done, buffer),
        |event| console.show(event),
    )?;
    Ok(Finished { summary, console })
}

impl Finished {
    /// Takes the bar away, says what is to be said of the whole run, and how it ended.
    pub(super) fn close(self) -> Ending {
        let Self { summary, console } = self;
        if summary.replaced.count > 0 {
            console.warn(&summary.replaced.to_string());
        }
        if summary.nul.count > 0 {
            console.warn(&summary.nul.warning("NUL characters (is this text?)"));
        }
        if let Some(path) = &summary.restored {
            let path = path.display();
            let advice = if console.shown.resuming { "; --resume would have kept what was finished" } else { "" };
            console.warn(&format!("interrupted after {} lines: {path} is left as it was{advice}", summary.lines));
        } else if summary.end == End::Interrupted && console.shown.resuming {
            let lines = summary.resumed + summary.lines;
            console.warn(&format!("interrupted after {lines} lines; --resume goes on from there"));
        }
        let Console { bar, shown, interrupt } = console;
        drop(bar);
        if let Some((format, load_time, computed_by)) = shown.statistics {
            let stats = Stats::new(&summary, load_time, computed_by);
            match format {
                StatsFormat::Text => message::line(stats),
                StatsFormat::Json => message::line(stats.to_json()),
            }
        }
        match (summary.end, interrupt.signal()) {
            (End::Interrupted, Some(signal)) => Ending::Interrupted(signal),
            // One that the program stopped by itself, without a signal, is done.
            _ if summary.failed > 0 => Ending::SomeFailed,
            _ => Ending::Done,
        }
    }
}
