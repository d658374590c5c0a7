//! The run itself: starts the reader and the workers, and writes their results in input order.

use super::batcher::{Queue, Weighed};
use super::input::{Input, Reader};
use super::interrupt::Interrupt;
use super::output::{Output, Sink};
use super::worker::{self, Message};
use super::{BatchTranslator, Line, Settings};
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

/// How many lines with replaced bytes are remembered by name.
const NAMED_LINES: usize = 10;

/// A run: lines from `inputs`, one after the other, to `output`.
pub struct Run {
    /// Where lines come from.
    pub inputs: Vec<Input>,
    /// Where results go.
    pub output: Output,
    /// How it is done.
    pub settings: Settings,
    /// How it can be stopped.
    pub interrupt: Interrupt,
}

/// What became of a line, for the caller's format.
#[derive(Debug)]
pub enum Done<'a, O> {
    /// There was nothing to translate.
    Blank,
    /// It was translated.
    Translated(&'a O),
    /// It could not be translated.
    Failed(&'a Error),
}

/// Something to show while the run goes on. Events come in input order, on the calling thread.
#[derive(Debug)]
pub enum Event<'a> {
    /// Some more lines are finished.
    Progress(&'a Progress),
    /// A line was longer than [`LONGEST_LINE`](super::LONGEST_LINE); the rest of it was dropped.
    Truncated(&'a Line),
    /// A line was read with invalid UTF-8 replaced.
    Replaced(&'a Line),
    /// A line could not be translated.
    Failed(&'a Line, &'a Error),
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Lines translated, whether or not their turn to be written has come.
    pub finished: u64,
    /// Lines written.
    pub written: u64,
    /// Bytes of input up to the last line written; compare with the sum of [`Input::size`].
    pub bytes: u64,
    /// Tokens the translator read.
    pub source_tokens: u64,
    /// Tokens the translator wrote.
    pub target_tokens: u64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every line is written.
    Complete,
    /// Whoever read the output went away (`| head -1`).
    OutputClosed,
    /// [`Interrupt`] stopped it; the lines counted are written.
    Interrupted,
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How it ended.
    pub end: End,
    /// Lines written.
    pub lines: u64,
    /// Blank lines among them.
    pub blank: u64,
    /// Lines among them that could not be translated.
    pub failed: u64,
    /// Lines that were in the output before, with [`Output::Resume`].
    pub resumed: u64,
    /// Tokens the translator read.
    pub source_tokens: u64,
    /// Tokens the translator wrote.
    pub target_tokens: u64,
    /// Lines with invalid UTF-8.
    pub replaced: Replaced,
    /// From the start to the end.
    pub duration: Duration,
}

/// The lines in which invalid UTF-8 was replaced. `Display` gives a warning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replaced {
    /// How many there are.
    pub count: u64,
    /// File and line number of the first ten.
    pub first: Vec<(Arc<str>, u64)>,
}

impl fmt::Display for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.count == 1 { "" } else { "s" };
        write!(f, "invalid UTF-8 replaced by U+FFFD in {} line{plural}", self.count)?;
        for (position, (name, number)) in self.first.iter().enumerate() {
            match position.checked_sub(1).map(|previous| &self.first[previous].0) {
                None => write!(f, ": {name} line {number}")?,
                Some(previous) if previous == name => write!(f, ", {number}")?,
                Some(_) => write!(f, ", {name} line {number}")?,
            }
        }
        if self.count > self.first.len() as u64 { write!(f, ", …") } else { Ok(()) }
    }
}

/// Translates all lines of a run.
///
/// `format` appends what is to be written for a line to a buffer, without the last line end. `observe` is told of
/// progress and trouble.
///
/// When the run ends early (interrupted, output closed, error), threads that are in the middle of a batch or of reading
/// are left to end by themselves.
///
/// # Errors
/// - an input that cannot be opened: before anything is written;
/// - an input that cannot be read further, or invalid UTF-8 where that is an error: after all lines before it are
///   written, unless the output is [`Output::File`], which is then left as it was;
/// - an outer error of the translator, or an output that cannot be written.
pub fn run<T: BatchTranslator>(
    translator: Arc<T>,
    run: Run,
    format: impl FnMut(&Line, Done<'_, T::Output>, &mut Vec<u8>),
    observe: impl FnMut(Event<'_>),
) -> Result<Summary> {
    let start = Instant::now();
    let Run { inputs, output, settings, interrupt } = run;
    for input in &inputs {
        input.check()?;
        if let Input::File(path) = input
            && output.adds_to(path)
        {
            return Err(Error::Usage(format!("{}: the output would be added to the input", path.display())));
        }
    }
    if settings.several_lines && matches!(output, Output::Resume(_)) {
        let problem = "a run can be resumed only if each line of input gives one line of output";
        return Err(Error::Usage(problem.to_owned()));
    }
    let (sink, resumed) = Sink::open(output)?;

    let (results, inbox) = mpsc::channel();
    let queue = Arc::new(Queue::new(&settings));
    let reader = Reader::new(inputs, settings.invalid_utf8);
    let threads = match start_threads(&translator, reader, resumed, &queue, &results, &settings) {
        Ok(threads) => threads,
        Err(source) => {
            queue.close();
            sink.abandon();
            return Err(Error::io("starting a thread", source));
        }
    };
    interrupt.attach(move || drop(results.send(Message::Interrupted)));

    let mut writer = OrderedWriter {
        translator,
        queue: &queue,
        several_lines: settings.several_lines,
        format,
        observe,
        sink,
        finished: VecDeque::new(),
        next: resumed,
        end: None,
        progress: Progress::default(),
        summary: Summary {
            end: End::Complete,
            lines: 0,
            blank: 0,
            failed: 0,
            resumed,
            source_tokens: 0,
            target_tokens: 0,
            replaced: Replaced::default(),
            duration: Duration::ZERO,
        },
    };
    let ended = writer.serve(&inbox);
    queue.close();
    interrupt.detach();
    let OrderedWriter { sink, mut summary, progress, .. } = writer;
    summary.end = match ended {
        Ok(end) => end,
        Err(Stop::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => End::OutputClosed,
        Err(Stop::Write(error)) => return Err(sink.fail(error)),
        Err(Stop::Error(error)) => {
            sink.abandon();
            return Err(error);
        }
    };
    if summary.end == End::Complete {
        // All of them are on their way home. A panic in a thread was dealt with where it happened.
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
    if summary.end != End::OutputClosed {
        sink.finish()?;
    }
    summary.source_tokens = progress.source_tokens;
    summary.target_tokens = progress.target_tokens;
    summary.duration = start.elapsed();
    Ok(summary)
}

/// Starts the reader and the workers.
fn start_threads<T: BatchTranslator>(
    translator: &Arc<T>,
    reader: Reader,
    skip: u64,
    queue: &Arc<Queue>,
    results: &Sender<Message<T::Output>>,
    settings: &Settings,
) -> io::Result<Vec<std::thread::JoinHandle<()>>> {
    let count = settings.threads.max(1);
    let shared = worker::Shared {
        translator: translator.clone(),
        queue: queue.clone(),
        workspaces: worker::Workspaces::new(count),
    };
    let shared = Arc::new(shared);
    let mut threads = worker::start(count, &shared, results)?;
    let results = results.clone();
    let read = move || {
        let mut reader = reader;
        let (lines, ended) = match skip_lines(&mut reader, skip) {
            Ok(()) => read(&*shared.translator, &mut reader, skip, &shared.queue, &results),
            Err(error) => (skip, Err(error)),
        };
        shared.queue.end();
        let _ = results.send(Message::End(lines, ended));
    };
    threads.push(std::thread::Builder::new().name("reader".to_owned()).spawn(read)?);
    Ok(threads)
}

/// Passes over the lines an earlier run has translated.
fn skip_lines(reader: &mut Reader, count: u64) -> Result<()> {
    match reader.skip(count)? {
        found if found == count => Ok(()),
        found => Err(Error::Usage(format!(
            "the output to resume has {count} lines but the input only {found}: it was made from another input"
        ))),
    }
}

/// Reads lines into the queue, as many at a time as can be had without waiting. Returns the index after the last line,
/// and why there are no more.
fn read<T: BatchTranslator>(
    translator: &T,
    reader: &mut Reader,
    first: u64,
    queue: &Queue,
    results: &Sender<Message<T::Output>>,
) -> (u64, Result<()>) {
    /// Bytes of lines collected before they are passed on.
    const GROUP_BYTES: usize = 1 << 20;

    let mut next = first;
    loop {
        let mut group = Vec::new();
        let mut bytes = 0;
        let ended = loop {
            match reader.next() {
                Ok(Some(line)) => {
                    bytes += line.text.len();
                    group.push(line);
                }
                Ok(None) => break Some(Ok(())),
                Err(error) => break Some(Err(error)),
            }
            if group.len() >= queue.group_size() || bytes >= GROUP_BYTES || !reader.is_ready() {
                break None;
            }
        };
        if !group.is_empty() {
            next += group.len() as u64;
            if !queue.admit(group.len(), bytes) {
                return (next, Ok(()));
            }
            let (blank, full): (Vec<Line>, Vec<Line>) = group.into_iter().partition(Line::is_blank);
            if !blank.is_empty() {
                let _ = results.send(Message::Blank(blank));
            }
            let weighed = full.into_iter().map(|line| Weighed { weight: translator.weigh(&line.text), line });
            queue.push(weighed.collect());
        }
        if let Some(ended) = ended {
            return (next, ended);
        }
    }
}

/// Why the writer stopped before its time.
enum Stop {
    Write(io::Error),
    Error(Error),
}

/// A line whose turn to be written has not come.
type Finished<O> = (Line, Option<Result<O>>);

/// Puts results back into input order and writes them.
struct OrderedWriter<'a, T: BatchTranslator, F, E> {
    translator: Arc<T>,
    queue: &'a Queue,
    several_lines: bool,
    format: F,
    observe: E,
    sink: Sink,
    /// Results by `index - next`.
    finished: VecDeque<Option<Finished<T::Output>>>,
    /// Index of the next line to write.
    next: u64,
    /// There are no lines from this index on.
    end: Option<(u64, Result<()>)>,
    progress: Progress,
    summary: Summary,
}

impl<T, F, E> OrderedWriter<'_, T, F, E>
where
    T: BatchTranslator,
    F: FnMut(&Line, Done<'_, T::Output>, &mut Vec<u8>),
    E: FnMut(Event<'_>),
{
    /// Writes what arrives until the end of the input or of the run.
    fn serve(&mut self, inbox: &Receiver<Message<T::Output>>) -> Result<End, Stop> {
        loop {
            let message = match inbox.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Empty) => {
                    // Nothing to do: let out what there is before waiting.
                    self.sink.flush().map_err(Stop::Write)?;
                    match inbox.recv() {
                        Ok(message) => message,
                        Err(_) => return Ok(End::Complete),
                    }
                }
                Err(TryRecvError::Disconnected) => return Ok(End::Complete),
            };
            match message {
                Message::Blank(lines) => lines.into_iter().for_each(|line| self.keep(line, None)),
                Message::Finished(lines) => lines.into_iter().for_each(|(line, result)| self.keep(line, Some(result))),
                Message::Fatal(error) => return Err(Stop::Error(error)),
                Message::Interrupted => return Ok(End::Interrupted),
                Message::End(index, why) => self.end = Some((index, why)),
            }
            self.write_ready()?;
            (self.observe)(Event::Progress(&self.progress));
            if let Some((_, why)) = self.end.take_if(|(index, _)| *index == self.next) {
                self.sink.flush().map_err(Stop::Write)?;
                return why.map(|()| End::Complete).map_err(Stop::Error);
            }
        }
    }

    /// Keeps a result until its turn comes.
    fn keep(&mut self, line: Line, result: Option<Result<T::Output>>) {
        let position = (line.index - self.next) as usize;
        if self.finished.len() <= position {
            self.finished.resize_with(position + 1, || None);
        }
        self.progress.finished += 1;
        self.finished[position] = Some((line, result));
    }

    /// Writes every line whose turn has come.
    fn write_ready(&mut self) -> Result<(), Stop> {
        let (mut lines, mut bytes) = (0, 0);
        while let Some(Some((line, result))) = self.finished.front_mut().map(Option::take) {
            self.finished.pop_front();
            lines += 1;
            bytes += line.text.len();
            self.next += 1;
            self.write_line(&line, result);
            self.progress.written += 1;
            self.progress.bytes = line.end;
            self.sink.write().map_err(Stop::Write)?;
        }
        if lines > 0 {
            self.queue.release(lines, bytes);
        }
        Ok(())
    }

    fn write_line(&mut self, line: &Line, result: Option<Result<T::Output>>) {
        self.summary.lines += 1;
        if line.truncated {
            (self.observe)(Event::Truncated(line));
        }
        if line.replaced {
            (self.observe)(Event::Replaced(line));
            self.summary.replaced.count += 1;
            if self.summary.replaced.first.len() < NAMED_LINES {
                self.summary.replaced.first.push((line.name.clone(), line.number));
            }
        }
        let done = match &result {
            None => {
                self.summary.blank += 1;
                Done::Blank
            }
            Some(Ok(output)) => {
                let tokens = self.translator.tokens(output);
                self.progress.source_tokens += tokens.source as u64;
                self.progress.target_tokens += tokens.target as u64;
                Done::Translated(output)
            }
            Some(Err(error)) => {
                self.summary.failed += 1;
                (self.observe)(Event::Failed(line, error));
                Done::Failed(error)
            }
        };
        let pending = self.sink.pending();
        let start = pending.len();
        (self.format)(line, done, pending);
        if !self.several_lines {
            for byte in &mut pending[start..] {
                if *byte == b'\n' {
                    *byte = b' ';
                }
            }
        }
        pending.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_lines_are_named_by_file() {
        let first = [("a", 3), ("a", 5), ("b", 1)].map(|(name, number)| (name.into(), number)).to_vec();
        let warning = Replaced { count: 3, first: first.clone() }.to_string();
        assert_eq!(warning, "invalid UTF-8 replaced by U+FFFD in 3 lines: a line 3, 5, b line 1");
        assert!(Replaced { count: 4, first }.to_string().ends_with("b line 1, …"));
    }
}
