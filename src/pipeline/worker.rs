//! One thread that translates batches until there are none left.

use super::batcher::Queue;
use super::{BatchTranslator, Line};
use crate::compute::Workspace;
use crate::error::{Error, Result};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

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

/// What all workers of a run share.
pub(super) struct Shared<T: BatchTranslator> {
    pub(super) translator: Arc<T>,
    pub(super) queue: Arc<Queue>,
    pub(super) workspaces: Workspaces,
}

/// Translates batches of the queue and sends the results.
fn work<T: BatchTranslator>(shared: &Shared<T>, results: &Sender<Message<T::Output>>) {
    while let Some(batch) = shared.queue.take() {
        let mut workspace = shared.workspaces.take(batch.threads);
        let outcomes = translate(&*shared.translator, &batch.lines, &mut workspace);
        shared.workspaces.give_back(workspace);
        shared.queue.finish(batch.threads);
        let message = match outcomes {
            Ok(outcomes) => Message::Finished(batch.lines.into_iter().zip(outcomes).collect()),
            Err(error) => Message::Fatal(error),
        };
        // Nobody listens any more once the run is over; `take` says so too.
        let _ = results.send(message);
    }
}

/// Workspaces between two batches. They own threads and grown buffers, so they are used again, whichever worker comes
/// next.
pub(super) struct Workspaces {
    idle: Mutex<Vec<Workspace>>,
    /// Idle workspaces have at most this many threads together: enough for one of each core and one of all cores.
    most_threads: usize,
}

impl Workspaces {
    pub(super) fn new(threads: usize) -> Self {
        Self { idle: Mutex::default(), most_threads: 2 * threads }
    }

    fn take(&self, threads: usize) -> Workspace {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle.iter().rposition(|workspace| workspace.threads() == threads);
        let found = found.map(|position| idle.remove(position));
        drop(idle);
        found.unwrap_or_else(|| Workspace::new(threads))
    }

    fn give_back(&self, workspace: Workspace) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(workspace);
        while idle.iter().map(Workspace::threads).sum::<usize>() > self.most_threads {
            // The one that was not wanted for longest.
            idle.remove(0);
        }
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
    shared: &Arc<Shared<T>>,
    results: &Sender<Message<T::Output>>,
) -> std::io::Result<Vec<std::thread::JoinHandle<()>>> {
    let worker = |number: usize| {
        let (shared, results) = (shared.clone(), results.clone());
        let builder = std::thread::Builder::new().name(format!("translate {number}"));
        builder.spawn(move || work(&shared, &results))
    };
    (1..=count).map(worker).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspaces_are_used_again_but_not_hoarded() {
        let workspaces = Workspaces::new(2);
        let [one, other, both] = [1, 1, 2].map(|threads| workspaces.take(threads));
        for workspace in [one, other, both] {
            workspaces.give_back(workspace);
        }
        assert_eq!(workspaces.idle.lock().unwrap().len(), 3);
        assert_eq!(workspaces.take(2).threads(), 2);
        assert_eq!(workspaces.idle.lock().unwrap().len(), 2);
        workspaces.give_back(Workspace::new(4));
        assert_eq!(workspaces.idle.lock().unwrap().len(), 1);
    }
}
