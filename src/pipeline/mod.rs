//! Lines in, lines out: reading, batching, translating on several threads, and writing in input order.
//!
//! ```text
//! inputs ─► reader thread ─► queue ─► worker threads ─► ordered writer (the calling thread) ─► output
//!                              ▲                              │
//!                              └──── room for more lines ─────┘
//! ```
//!
//! The promises, whatever the input:
//!
//! - **One line in, one line out, in order.** A blank line gives an empty line and never reaches the translator. A line
//!   that the translator cannot translate gives what the caller's format writes for it (an empty line in plain text),
//!   is reported through [`Event::Failed`] and counted in [`Summary::failed`]; all other lines are unharmed.
//! - **No waiting.** A worker with nothing to do takes whatever lines are there. A slow producer gets each translation
//!   before it writes its next line; a fast one fills length-sorted batches.
//! - **Bounded memory.** Only so many lines (and bytes) are in flight between the reader and the writer; the reader waits
//!   for room. Of a line longer than [`LONGEST_LINE`] only the start is kept, and [`Event::Truncated`] tells.
//! - **The batch does not matter.** Which lines travel together depends on timing, so a [`BatchTranslator`] must
//!   translate each line as if it were alone.
//!
//! Nothing here prints, and nothing here knows what a model is.

mod batcher;
mod content;
mod descriptor;
mod input;
mod interrupt;
mod output;
mod part;
mod run;
mod shard;
mod stats;
mod worker;

#[cfg(test)]
mod tests;

use crate::compute::Workspace;
use crate::error::{Error, Result};
use std::sync::Arc;

pub use batcher::in_batches;
pub use descriptor::descriptor_of;
pub use input::{Input, InvalidUtf8, LONGEST_LINE, STDIN_NAME};
pub use interrupt::Interrupt;
pub use output::{Output, Sink};
pub use part::Part;
pub use run::{Done, End, Event, Progress, Replaced, Run, Summary, run};
pub use shard::{Shard, ShardOptions};
pub use stats::{Stats, peak_memory};

/// One line of input, without its line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Position in what is read, counted from 0 over all files.
    pub index: u64,
    /// Lines before the first one that is read, where the input is a counted [`Shard`]; else 0.
    pub before: u64,
    /// The file it came from, or [`STDIN_NAME`].
    pub name: Arc<str>,
    /// Position in its file, counted from 1.
    pub number: u64,
    /// The line itself. Control characters are kept.
    pub text: String,
    /// Whether invalid UTF-8 was replaced by U+FFFD.
    pub replaced: bool,
    /// Whether it (or its paragraph) was longer than [`LONGEST_LINE`] and only its start was kept.
    pub truncated: bool,
    /// Bytes of what is read up to and including this line and its line end.
    pub end: u64,
}

impl Line {
    /// Position in the whole input, counted from 0 over all files, also where only a [`Shard`] of it is read.
    pub fn position(&self) -> u64 {
        self.before + self.index
    }

    /// Whether there is nothing to translate: only Unicode white space, or nothing at all.
    pub fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// An error about this line: its file, its number and `problem`.
    pub fn error(&self, problem: impl Into<String>) -> Error {
        Error::Input { name: self.name.to_string(), line: self.number, problem: problem.into() }
    }
}

/// How many tokens one line was split into and how many were generated for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Source tokens.
    pub source: usize,
    /// Target tokens.
    pub target: usize,
}

/// Where a translator gets further lines, and where it gives its results.
pub trait Exchange<O> {
    /// Up to `most` more lines to translate, none blank; none at all if none are there yet.
    fn more(&mut self, most: usize) -> Vec<Line>;

    /// Takes the result of a line, which is named by its [`Line::index`]. An error is about that line; the others go on.
    fn done(&mut self, index: u64, result: Result<O>);
}

/// What the pipeline drives: something that translates several lines at once.
///
/// The result for a line must not depend on the lines it is translated with, on their order or on the number of
/// threads of the workspace.
pub trait BatchTranslator: Send + Sync + 'static {
    /// The result for one line.
    type Output: Send + 'static;

    /// A cheap estimate of the work a line makes, in units of the caller's choice (say characters or pieces). Lines of
    /// similar weight travel together and [`Settings::batch_weight`] limits the sum.
    fn weigh(&self, text: &str) -> usize {
        text.len()
    }

    /// How many batches a worker gets at once while there are enough for all workers: more than one for a translator that makes
    /// batches of its own and does part of the work again, but does not ask for more.
    fn batches_at_once(&self) -> usize {
        1
    }

    /// Translates `lines` (none blank, at least one) with the threads of `workspace`, and gives `exchange` a result for each, in
    /// any order. Where lines can begin as others end, it may ask `exchange` for more of them.
    ///
    /// # Errors
    /// What ends the whole run.
    fn translate(
        &self,
        lines: Vec<Line>,
        exchange: &mut dyn Exchange<Self::Output>,
        workspace: &mut Workspace,
    ) -> Result<()>;

    /// What [`Summary`] and [`Progress`] count for a result.
    fn tokens(&self, output: &Self::Output) -> Tokens;
}

/// The usual limit of the weight of a batch.
pub const BATCH_WEIGHT: usize = 16_384;

/// How lines are read, batched and spread over threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Processor cores to keep busy. With batches waiting, each core translates a batch of its own; a batch that is
    /// alone gets all cores.
    pub threads: usize,
    /// Most lines in a batch.
    pub batch_size: usize,
    /// Most weight (see [`BatchTranslator::weigh`]) in a batch of more than one line.
    pub batch_weight: usize,
    /// How many lines are sorted by length together. At most three times as many are in memory.
    pub window: usize,
    /// What to do with bytes that are not UTF-8.
    pub invalid_utf8: InvalidUtf8,
    /// Whether the lines of a paragraph, up to a blank line or the end of a file, are read as one line, with the number of its
    /// first. Blank lines stay. This is the one exception to a line for a line.
    pub join_lines: bool,
    /// Whether the format may write several lines for one (n-best lists, tables). If not, a line feed inside a
    /// result is written as a space, so that lines keep their numbers.
    pub several_lines: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            batch_size: 32,
            batch_weight: BATCH_WEIGHT,
            window: 1024,
            invalid_utf8: InvalidUtf8::Replace,
            join_lines: false,
            several_lines: false,
        }
    }
}
