//! One thread that translates batches until there are none left.

use super::batcher::{Batch, Queue};
use super::{BatchTranslator, Exchange, Line};
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

/// Results sent together, as each of them is a write where somebody waits for it.
const SENT_TOGETHER: usize = 16;

/// Translates batches of the queue and sends the results.
fn work<T: BatchTranslator>(shared: &Shared<T>, results: &Sender<Message<T::Output>>) {
    while let Some(Batch { lines, threads }) = shared.queue.take() {
        let mut workspace = shared.workspaces.take(threads);
        // With several threads the others could have begun with what comes.
        let queue = (threads == 1).then_some(&*shared.queue);
        let mut ongoing = Ongoing { queue, results, open: lines, done: Vec::new() };
        let ended = ongoing.translate(&*shared.translator, &mut workspace);
        shared.workspaces.give_back(workspace);
        // Before the last results are seen: whoever waits for them may write the next line at once.
        shared.queue.finish(threads);
        ongoing.send();
        if let Err(error) = ended {
            let _ = results.send(Message::Fatal(error));
        }
    }
}

/// Lines that a worker is translating.
struct Ongoing<'a, O> {
    /// Where more of them come from.
    queue: Option<&'a Queue>,
    results: &'a Sender<Message<O>>,
    /// Those without a result.
    open: Vec<Line>,
    /// Those whose result was not sent.
    done: Vec<(Line, Result<O>)>,
}

impl<O> Exchange<O> for Ongoing<'_, O> {
    fn more(&mut self, most: usize) -> Vec<Line> {
        let lines = self.queue.map(|queue| queue.take_more(most)).unwrap_or_default();
        if !lines.is_empty() {
            // Whoever waits for a line is not to wait for those behind it.
            self.send();
            self.open.extend_from_slice(&lines);
        }
        lines
    }

    fn done(&mut self, index: u64, result: Result<O>) {
        if let Some(at) = self.open.iter().position(|line| line.index == index) {
            self.done.push((self.open.swap_remove(at), result));
            if self.done.len() >= SENT_TOGETHER {
                self.send();
            }
        }
    }
}

impl<O> Ongoing<'_, O> {
    fn send(&mut self) {
        if !self.done.is_empty() {
            // Nobody listens any more once the run is over; `take` says so too.
            let _ = self.results.send(Message::Finished(std::mem::take(&mut self.done)));
        }
    }

    /// Translates what is open, and more. A defect in the translator (a panic, or no result) costs only the line that causes it:
    /// the lines are tried again one at a time.
    fn translate(&mut self, translator: &impl BatchTranslator<Output = O>, workspace: &mut Workspace) -> Result<()> {
        let lines = self.open.clone();
        if self.attempt(translator, lines, workspace)?.is_none() {
            return Ok(());
        }
        self.queue = None;
        let mut left = std::mem::take(&mut self.open);
        left.sort_unstable_by_key(|line| line.index);
        for line in left {
            self.open.push(line.clone());
            if let Some(problem) = self.attempt(translator, vec![line.clone()], workspace)? {
                self.done(line.index, Err(line.error(format!("internal error, please report it: {problem}"))));
            }
        }
        Ok(())
    }

    /// Translates lines that are open; what was wrong if that left any of them open.
    fn attempt(
        &mut self,
        translator: &impl BatchTranslator<Output = O>,
        lines: Vec<Line>,
        workspace: &mut Workspace,
    ) -> Result<Option<String>> {
        match catch_unwind(AssertUnwindSafe(|| translator.translate(lines, self, workspace))) {
            Ok(Ok(())) => Ok((!self.open.is_empty()).then(|| "the translator gave no result".to_owned())),
            Ok(Err(error)) => Err(error),
            Err(panic) => {
                // Whatever the scratch memory was in the middle of is not to be relied on.
                *workspace = Workspace::new(workspace.threads());
                Ok(Some(panic_message(&*panic)))
            }
        }
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
