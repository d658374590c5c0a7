//! The run itself: starts the reader and the workers, and writes their results in input order.

use super::batcher::{Queue, Weighed};
use super::input::{Input, Reader, STDIN_NAME};
use super::interrupt::Interrupt;
use super::output::{Output, Sink};
use super::worker::{self, Message};
use super::{BatchTranslator, Line, Settings};
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::PathBuf;
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
    /// Bytes of input in the lines finished, those before them included; compare with the sum of [`Input::size`].
    pub bytes: u64,
    /// Bytes of input that an earlier run had done.
    pub resumed_bytes: u64,
    /// Tokens the translator read in the lines finished.
    pub source_tokens: u64,
    /// Tokens the translator wrote for them.
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
    /// Lines with NUL characters, which text does not have.
    pub nul: Replaced,
    /// The file that was there before and that an interrupted run left as it was.
    pub restored: Option<PathBuf>,
    /// From the start to the end.
    pub duration: Duration,
}

/// Lines with something odd in them: with invalid UTF-8 that was replaced, of which `Display` warns, or with NUL characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replaced {
    /// How many there are.
    pub count: u64,
    /// File and line number of the first ten.
    pub first: Vec<(Arc<str>, u64)>,
}

impl fmt::Display for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "invalid UTF-8 replaced by U+FFFD")
    }
}

impl Replaced {
    /// A warning that `what` is in these lines.
    pub fn warning(&self, what: &str) -> String {
        struct Warning<'a>(&'a Replaced, &'a str);

        impl fmt::Display for Warning<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write(f, self.1)
            }
        }

        Warning(self, what).to_string()
    }

    fn add(&mut self, line: &Line) {
        self.count += 1;
        if self.first.len() < NAMED_LINES {
            self.first.push((line.name.clone(), line.number));
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, what: &str) -> fmt::Result {
        let plural = if self.count == 1 { "" } else { "s" };
        write!(f, "{what} in {} line{plural}", self.count)?;
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
/// - an outer error of the translator, or an output that cannot be written;
/// - an output to resume whose last lines are not what this run makes of the same lines of input.
pub fn run<T: BatchTranslator>(
    translator: Arc<T>,
    run: Run,
    format: impl FnMut(&Line, Done<'_, T::Output>, &mut Vec<u8>),
    observe: impl FnMut(Event<'_>),
) -> Result<Summary> {
    let start = Instant::now();
    let Run { inputs, output, mut settings, interrupt } = run;
    for input in &inputs {
        input.check()?;
        let path = match input {
            Input::File(path) => Some(path.as_path()),
            Input::Part(part) => Some(part.path.as_path()),
            Input::Stdin => None,
            Input::Stream(..) => continue,
        };
        if output.adds_to(path) {
            let name = path.map_or(STDIN_NAME.to_owned(), |path| path.display().to_string());
            return Err(Error::Usage(format!("{name}: the output would be added to the input")));
        }
    }
    if matches!(output, Output::Resume(_)) {
        // What is finished but waits for an earlier line is lost if the process is killed, so few lines may overtake.
        settings.window = settings.window.min(settings.threads.max(1) * settings.batch_size.max(1));
    }
    if settings.several_lines && matches!(output, Output::Resume(_)) {
        let problem = "a run can be resumed only if each line of input gives one line of output";
        return Err(Error::Usage(problem.to_owned()));
    }
    let (mut sink, resumed) = Sink::open(output)?;
    let compared = sink.take_last_lines();
    let first = resumed - compared.len() as u64;

    let (results, inbox) = mpsc::channel();
    let queue = Arc::new(Queue::new(&settings, translator.batches_at_once()));
    let reader = Reader::new(inputs, settings.invalid_utf8).joining(settings.join_lines);
    let threads = match start_threads(&translator, reader, first, resumed, &queue, &results, &settings) {
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
        compared,
        first,
        next: first,
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
            nul: Replaced::default(),
            restored: None,
            duration: Duration::ZERO,
        },
    };
    let ended = writer.serve(&inbox);
    queue.close();
    interrupt.detach();
    let OrderedWriter { sink, mut summary, .. } = writer;
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
    match summary.end {
        End::Complete => sink.finish()?,
        End::Interrupted => summary.restored = sink.interrupt()?,
        End::OutputClosed => {}
    }
    summary.duration = start.elapsed();
    Ok(summary)
}

/// Starts the reader and the workers.
fn start_threads<T: BatchTranslator>(
    translator: &Arc<T>,
    reader: Reader,
    skip: u64,
    resumed: u64,
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
        let (lines, ended) = match reader.skip(skip) {
            Ok(found) if found == skip => read(&*shared.translator, &mut reader, skip, &shared.queue, &results),
            Ok(found) => (found, Ok(())),
            Err(error) => (skip, Err(error)),
        };
        let ended = match ended {
            Ok(()) if lines < resumed => (lines, Err(too_short(resumed, lines))),
            ended => (lines, ended),
        };
        shared.queue.end();
        let _ = results.send(Message::End(ended.0, ended.1));
    };
    threads.push(std::thread::Builder::new().name("reader".to_owned()).spawn(read)?);
    Ok(threads)
}

fn too_short(resumed: u64, found: u64) -> Error {
    Error::Usage(format!(
        "the output to resume has {resumed} lines but the input only {found}: it was made from another input"
    ))
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
    /// The last lines that an earlier run wrote, not yet made again.
    compared: VecDeque<Vec<u8>>,
    /// Index of the first line that is read.
    first: u64,
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
        // With its line end.
        let bytes = line.text.len() as u64 + 1;
        if line.index == self.first {
            self.progress.resumed_bytes = line.end.saturating_sub(bytes);
            self.progress.bytes += self.progress.resumed_bytes;
        }
        self.progress.bytes += bytes;
        if let Some(Ok(output)) = &result {
            let tokens = self.translator.tokens(output);
            self.progress.source_tokens += tokens.source as u64;
            self.progress.target_tokens += tokens.target as u64;
        }
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
            if let Some(earlier) = self.compared.pop_front() {
                self.compare_line(&line, result, &earlier)?;
                continue;
            }
            self.write_line(&line, result);
            self.progress.written += 1;
            self.progress.bytes = self.progress.bytes.max(line.end);
            self.sink.write().map_err(Stop::Write)?;
        }
        if lines > 0 {
            self.queue.release(lines, bytes);
        }
        Ok(())
    }

    /// Compares what an earlier run wrote for a line with what this one makes of it.
    fn compare_line(&mut self, line: &Line, result: Option<Result<T::Output>>, earlier: &[u8]) -> Result<(), Stop> {
        let done = match &result {
            None => Done::Blank,
            Some(Ok(output)) => Done::Translated(output),
            // What was said of a failure names the file, which may have another name now.
            Some(Err(_)) => return Ok(()),
        };
        let mut text = Vec::new();
        (self.format)(line, done, &mut text);
        join_lines(&mut text);
        if text == earlier {
            return Ok(());
        }
        Err(Stop::Error(Error::Usage(format!(
            "{}: line {} is not what this run makes of that line of the input, so it was made with another model, other \
             options or another input; resume it with those, or write to another file",
            self.sink.path().display(),
            line.index + 1
        ))))
    }

    fn write_line(&mut self, line: &Line, result: Option<Result<T::Output>>) {
        self.summary.lines += 1;
        if line.truncated {
            (self.observe)(Event::Truncated(line));
        }
        if line.replaced {
            (self.observe)(Event::Replaced(line));
            self.summary.replaced.add(line);
        }
        if line.text.contains('\0') {
            self.summary.nul.add(line);
        }
        let done = match &result {
            None => {
                self.summary.blank += 1;
                Done::Blank
            }
            Some(Ok(output)) => {
                let tokens = self.translator.tokens(output);
                self.summary.source_tokens += tokens.source as u64;
                self.summary.target_tokens += tokens.target as u64;
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
            join_lines(&mut pending[start..]);
        }
        pending.push(b'\n');
    }
}

/// Makes one line of several.
fn join_lines(text: &mut [u8]) {
    text.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
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
