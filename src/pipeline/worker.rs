//! One thread that translates batches until there are none left.

use super::batcher::Queue;
use super::{BatchTranslator, Line};
use crate::error::{Error, Result};
use crate::kernels::Workspace;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// What the reader and the workers tell the writer.
pub(super) enum Message<O> {
    /// Blank lines, which nobody translates.
    Blank(Vec<Line>),
    /// A translated batch.
    Finished(Vec<(Line, Result<O>)>),
    /// The translator cannot go on.
    Fatal(Error),
    /// There are no lines after this index, either because the input ended or because it cannot be read further.
    End(u64, Result<()>),
    /// Somebody asked the run to stop.
    Interrupted,
}

/// Translates batches of `queue` and sends the results.
pub(super) fn work<T: BatchTranslator>(translator: &T, queue: &Queue, results: &Sender<Message<T::Output>>) {
    let mut workspace = Workspace::new(1);
    while let Some(batch) = queue.take() {
        if workspace.threads() != batch.threads {
            workspace = Workspace::new(batch.threads);
        }
        let outcomes = translate(translator, &batch.lines, &mut workspace);
        queue.finish(batch.threads);
        let message = match outcomes {
            Ok(outcomes) => Message::Finished(batch.lines.into_iter().zip(outcomes).collect()),
            Err(error) => Message::Fatal(error),
        };
        // Nobody listens any more once the run is over; `take` says so too.
        let _ = results.send(message);
    }
}

/// Translates a batch. A defect in the translator (a panic, or the wrong number of results) costs only the line that
/// causes it: the lines are tried again one at a time.
fn translate<T: BatchTranslator>(
    translator: &T,
    lines: &[Line],
    workspace: &mut Workspace,
) -> Result<Vec<Result<T::Output>>> {
    match attempt(translator, lines, workspace) {
        Attempt::Done(outcomes) => outcomes,
        Attempt::Defect(problem) => match lines {
            [line] => Ok(vec![Err(line.error(format!("internal error, please report it: {problem}")))]),
            _ => {
                let mut outcomes = Vec::with_capacity(lines.len());
                for line in lines {
                    outcomes.extend(translate(translator, std::slice::from_ref(line), workspace)?);
                }
                Ok(outcomes)
            }
        },
    }
}

enum Attempt<O> {
    Done(Result<Vec<Result<O>>>),
    Defect(String),
}

fn attempt<T: BatchTranslator>(translator: &T, lines: &[Line], workspace: &mut Workspace) -> Attempt<T::Output> {
    match catch_unwind(AssertUnwindSafe(|| translator.translate(lines, workspace))) {
        Ok(Ok(outcomes)) if outcomes.len() != lines.len() => {
            Attempt::Defect(format!("{} results for {} lines", outcomes.len(), lines.len()))
        }
        Ok(outcomes) => Attempt::Done(outcomes),
        Err(panic) => {
            // Whatever the scratch memory was in the middle of is not to be relied on.
            *workspace = Workspace::new(workspace.threads());
            Attempt::Defect(panic_message(&*panic))
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    // One line: it becomes part of an error message.
    text.unwrap_or("the translator panicked").replace('\n', " ")
}

/// Starts `count` workers.
pub(super) fn start<T: BatchTranslator>(
    count: usize,
    translator: &Arc<T>,
    queue: &Arc<Queue>,
    results: &Sender<Message<T::Output>>,
) -> std::io::Result<Vec<std::thread::JoinHandle<()>>> {
    let worker = |number: usize| {
        let (translator, queue, results) = (translator.clone(), queue.clone(), results.clone());
        let builder = std::thread::Builder::new().name(format!("translate {number}"));
        builder.spawn(move || work(&*translator, &queue, &results))
    };
    (1..=count).map(worker).collect()
}
