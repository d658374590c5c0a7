//! The pipeline's promises, with translators that do nothing but misbehave in time.

use super::*;
use proptest::prelude::*;
use std::io::{self, BufRead, BufReader, Cursor, Read, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Translates to upper case, now and then slowly.
#[derive(Default)]
struct Upper {
    /// The longest a batch may take.
    delay: Duration,
    /// Sizes of the batches seen, and the threads they were given.
    batches: Mutex<Vec<(usize, usize)>>,
    weights: Mutex<Vec<Vec<usize>>>,
}

impl BatchTranslator for Upper {
    type Output = String;

    fn translate(
        &self,
        lines: Vec<Line>,
        exchange: &mut dyn Exchange<String>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        self.batches.lock().unwrap().push((lines.len(), workspace.threads()));
        self.weights.lock().unwrap().push(lines.iter().map(|line| self.weigh(&line.text)).collect());
        assert!(lines.iter().all(|line| !line.is_blank()), "a blank line reached the translator");
        if !self.delay.is_zero() {
            // A different time for each batch, the same in each run.
            let share = lines[0].index.wrapping_mul(2_654_435_761) % 100;
            std::thread::sleep(self.delay * share as u32 / 100);
        }
        give(&lines, exchange);
        Ok(())
    }

    fn tokens(&self, output: &String) -> Tokens {
        Tokens { source: output.len(), target: 1 }
    }
}

/// The same, the last line of several first, going on with further lines whenever there is room for them. Counts its calls.
#[derive(Default)]
struct GoesOn(AtomicUsize);

impl BatchTranslator for GoesOn {
    type Output = String;

    fn translate(&self, lines: Vec<Line>, exchange: &mut dyn Exchange<String>, _: &mut Workspace) -> Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let mut open = lines;
        while let Some(line) = open.pop() {
            // Some lines have no result.
            if !line.text.starts_with("LOSE") {
                exchange.done(line.index, upper(&line));
            }
            if open.len() < 3 {
                open.splice(0..0, exchange.more(2));
            }
        }
        Ok(())
    }

    fn tokens(&self, output: &String) -> Tokens {
        Tokens { source: output.len(), target: 1 }
    }
}

/// A line that begins with `FAIL` fails, one that begins with `PANIC` panics.
fn upper(line: &Line) -> Result<String> {
    assert!(!line.text.starts_with("PANIC"), "told to panic");
    if line.text.starts_with("FAIL") { Err(line.error("told to fail")) } else { Ok(line.text.to_uppercase()) }
}

/// Gives the results of lines, in order.
fn give(lines: &[Line], exchange: &mut dyn Exchange<String>) {
    lines.iter().for_each(|line| exchange.done(line.index, upper(line)));
}

/// A stream that can be looked at after it was given away.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stream(reader: impl Read + Send + 'static) -> Input {
    Input::Stream("test".to_owned(), Box::new(reader))
}

fn bytes(input: impl Into<Vec<u8>>) -> Vec<Input> {
    vec![stream(Cursor::new(input.into()))]
}

fn job(inputs: Vec<Input>, output: Output, settings: Settings) -> Run {
    Run { inputs, output, settings, interrupt: Interrupt::new() }
}

fn settings(threads: usize, batch_size: usize, window: usize) -> Settings {
    Settings { threads, batch_size, window, ..Settings::default() }
}

fn plain(_: &Line, done: Done<'_, String>, out: &mut Vec<u8>) {
    if let Done::Translated(text) = done {
        out.extend(text.as_bytes());
    }
}

fn run_plain<T: BatchTranslator<Output = String>>(translator: T, job: Run) -> Result<Summary> {
    run(Arc::new(translator), job, plain, |_| ())
}

/// Runs to the end over bytes in memory.
fn translated<T: BatchTranslator<Output = String>>(
    translator: T,
    input: impl Into<Vec<u8>>,
    settings: Settings,
) -> (Vec<u8>, Result<Summary>) {
    let output = Shared::default();
    let result = run_plain(translator, job(bytes(input), Output::Stream(Box::new(output.clone())), settings));
    let written = output.0.lock().unwrap().clone();
    (written, result)
}

/// What one line after the other would give.
fn expected(input: &[u8]) -> String {
    let input = input.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(input);
    let mut output = String::new();
    for line in input.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        let text = String::from_utf8_lossy(line);
        if !text.trim().is_empty() {
            output.push_str(&text.to_uppercase());
        }
        output.push('\n');
    }
    output
}

#[test]
fn order_is_kept_whatever_the_timing() {
    let input: Vec<String> = (0..2000).map(|number| format!("line {number} {}\n", "x".repeat(number % 37))).collect();
    let input = input.concat();
    for (threads, batch_size) in [(1, 1), (8, 3), (16, 32)] {
        let translator = Upper { delay: Duration::from_millis(1), ..Upper::default() };
        let (output, summary) = translated(translator, input.clone(), settings(threads, batch_size, 200));
        assert!(output == input.to_uppercase().into_bytes(), "{threads} threads, batches of {batch_size}");
        assert_eq!(summary.unwrap().lines, 2000);
    }
}

/// Bytes that are often line ends, blanks and pieces of UTF-8.
fn arbitrary_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(b"\n".to_vec()),
        1 => Just(b"\r\n".to_vec()),
        1 => Just(b"\xEF\xBB\xBF".to_vec()),
        1 => Just(b" \t".to_vec()),
        1 => Just(b"\0".to_vec()),
        2 => any::<u8>().prop_map(|byte| vec![byte]),
        4 => "[a-zß-ÿ😀-😄 ]{1,12}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..200).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn one_line_in_one_line_out(
        input in arbitrary_bytes(), threads in 1usize..5, batch_size in 1usize..9, window in 1usize..40,
        batch_weight in 1usize..100,
    ) {
        let settings = Settings { batch_weight, ..settings(threads, batch_size, window) };
        let all_at_once = translated(Upper::default(), input.clone(), settings.clone());
        let going_on = translated(GoesOn::default(), input.clone(), settings);
        for (output, summary) in [all_at_once, going_on] {
            let output = String::from_utf8(output).unwrap();
            prop_assert_eq!(&output, &expected(&input));
            prop_assert_eq!(summary.unwrap().lines, output.matches('\n').count() as u64);
        }
    }
}

#[test]
fn a_worker_of_one_core_goes_on_while_there_are_lines() {
    let translator = Arc::new(GoesOn::default());
    let input = "a line\n".repeat(1000);
    let job = job(bytes(input), Output::Stream(Box::new(io::sink())), settings(2, 4, 64));
    assert_eq!(run(translator.clone(), job, plain, |_| ()).unwrap().lines, 1000);
    let calls = translator.0.load(Ordering::SeqCst);
    assert!(calls < 125, "{calls} calls, as many as without going on");
}

#[test]
fn a_translator_that_goes_on_answers_a_slow_producer_line_by_line() {
    let (input, mut to_input) = io::pipe().unwrap();
    let (from_output, output) = io::pipe().unwrap();
    let runner = std::thread::spawn(move || {
        run_plain(GoesOn::default(), job(vec![stream(input)], Output::Stream(Box::new(output)), settings(1, 32, 1024)))
    });
    let mut answers = BufReader::new(from_output).lines();
    for number in 0..50 {
        writeln!(to_input, "line {number}").unwrap();
        assert_eq!(answers.next().unwrap().unwrap(), format!("LINE {number}"));
    }
    drop(to_input);
    assert_eq!(runner.join().unwrap().unwrap().lines, 50);
}

#[test]
fn a_line_that_fails_or_has_no_result_costs_none_of_those_that_joined_it() {
    let lines = ["a", "FAIL b", "LOSE c", "PANIC d", "e", "f", "g"];
    let input = lines.map(|line| format!("{line}\n")).concat();
    let (output, summary) = translated(GoesOn::default(), input, settings(1, 2, 2));
    assert_eq!(output, b"A\n\n\n\nE\nF\nG\n");
    assert_eq!(summary.unwrap().failed, 3);
}

#[test]
fn a_slow_producer_is_answered_line_by_line() {
    let (input, mut to_input) = io::pipe().unwrap();
    let (from_output, output) = io::pipe().unwrap();
    let runner = std::thread::spawn(move || {
        let output = Output::Stream(Box::new(output));
        let translator = Arc::new(Upper::default());
        let summary = run(translator.clone(), job(vec![stream(input)], output, settings(4, 32, 1024)), plain, |_| ());
        (summary, translator)
    });
    let mut answers = BufReader::new(from_output).lines();
    for number in 0..50 {
        writeln!(to_input, "line {number}").unwrap();
        assert_eq!(answers.next().unwrap().unwrap(), format!("LINE {number}"));
    }
    drop(to_input);
    let (summary, translator) = runner.join().unwrap();
    assert_eq!(summary.unwrap().lines, 50);
    assert!(translator.batches.lock().unwrap().iter().all(|&batch| batch == (1, 4)), "one line, all threads");
}

#[test]
fn a_fast_producer_fills_batches_of_lines_of_similar_length() {
    let input: String = (0..512).map(|number| format!("{}\n", "x".repeat(1 + number * 7 % 64))).collect();
    let translator = Arc::new(Upper::default());
    let output = Output::Stream(Box::new(io::sink()));
    run(translator.clone(), job(bytes(input), output, settings(2, 32, 256)), plain, |_| ()).unwrap();
    assert!(translator.batches.lock().unwrap().iter().all(|&(size, _)| size == 32), "a batch was not full");
    let spread = |batch: &Vec<usize>| batch.iter().max().unwrap() - batch.iter().min().unwrap();
    assert!(translator.weights.lock().unwrap().iter().map(spread).max().unwrap() <= 9);
}

/// Writes numbered lines without end, and counts them.
struct Generator {
    lines: u64,
    given: Arc<AtomicU64>,
    rest: Vec<u8>,
}

impl Read for Generator {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() && self.given.load(Ordering::SeqCst) < self.lines {
            self.rest = format!("{}\n", self.given.fetch_add(1, Ordering::SeqCst)).into_bytes();
        }
        let count = buffer.len().min(self.rest.len());
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.rest.drain(..count);
        Ok(count)
    }
}

#[test]
fn a_million_lines_take_the_room_of_a_few() {
    let given = Arc::new(AtomicU64::new(0));
    let input = Generator { lines: 1_000_000, given: given.clone(), rest: Vec::new() };
    let (mut written, mut most) = (0, 0);
    let format = |line: &Line, _: Done<'_, String>, out: &mut Vec<u8>| {
        most = most.max(given.load(Ordering::SeqCst) - written);
        written += 1;
        out.extend(line.text.as_bytes());
    };
    let job = job(vec![stream(input)], Output::Stream(Box::new(io::sink())), settings(2, 16, 64));
    let summary = run(Arc::new(Upper::default()), job, format, |_| ()).unwrap();
    assert_eq!(summary.lines, 1_000_000);
    // Three windows in flight, and a group the reader has in hand.
    assert!(most <= 4 * 64 + 1, "{most} lines between the reader and the writer");
}

#[test]
fn a_failing_line_costs_no_other() {
    let input = "a\nFAIL b\n\nPANIC c\nd\n";
    let mut failures = Vec::new();
    let output = Shared::default();
    let job = job(bytes(input), Output::Stream(Box::new(output.clone())), settings(1, 32, 32));
    let observe = |event: Event<'_>| {
        if let Event::Failed(_, error) = event {
            failures.push(error.to_string());
        }
    };
    let summary = run(Arc::new(Upper::default()), job, plain, observe).unwrap();
    assert_eq!(*output.0.lock().unwrap(), b"A\n\n\n\nD\n");
    assert_eq!((summary.lines, summary.failed, summary.blank), (5, 2, 1));
    assert_eq!(failures[0], "test: line 2: told to fail");
    assert_eq!(failures[1], "test: line 4: internal error, please report it: told to panic");
}

#[test]
fn a_line_feed_in_a_result_does_not_shift_lines() {
    let format = |_: &Line, _: Done<'_, String>, out: &mut Vec<u8>| out.extend(b"two\nlines");
    for (several_lines, expected) in [(false, "two lines\n"), (true, "two\nlines\n")] {
        let output = Shared::default();
        let settings = Settings { several_lines, ..settings(1, 1, 1) };
        let job = job(bytes("a\n"), Output::Stream(Box::new(output.clone())), settings);
        run(Arc::new(Upper::default()), job, format, |_| ()).unwrap();
        assert_eq!(*output.0.lock().unwrap(), expected.as_bytes());
    }
}

#[test]
fn replaced_lines_are_reported_by_number() {
    let (output, summary) = translated(Upper::default(), b"a\n\xFF\nb\xFF\n", settings(1, 4, 4));
    assert_eq!(output, "A\n\u{fffd}\nB\u{fffd}\n".as_bytes());
    let replaced = summary.unwrap().replaced;
    assert_eq!(replaced.to_string(), "invalid UTF-8 replaced by U+FFFD in 2 lines: test line 2, 3");
}

#[test]
fn strict_reading_ends_after_the_lines_before() {
    let settings = Settings { invalid_utf8: InvalidUtf8::Error, ..settings(2, 2, 4) };
    let (output, result) = translated(Upper::default(), b"a\nb\nc\n\xFF\nd\n", settings);
    assert_eq!(output, b"A\nB\nC\n");
    assert!(result.unwrap_err().to_string().starts_with("test: line 4: byte 1 (0xFF)"));
}

#[test]
fn a_missing_file_is_noticed_before_anything_is_written() {
    let output = Shared::default();
    let inputs = vec![stream(Cursor::new(b"a\n".to_vec())), Input::File("no/such/file".into())];
    let result =
        run_plain(Upper::default(), job(inputs, Output::Stream(Box::new(output.clone())), Settings::default()));
    assert!(result.unwrap_err().to_string().starts_with("no/such/file: "));
    assert!(output.0.lock().unwrap().is_empty());
}

/// Translates until it has seen as many lines as it should, then cannot go on.
struct Broken(AtomicUsize);

impl BatchTranslator for Broken {
    type Output = String;

    fn translate(&self, lines: Vec<Line>, exchange: &mut dyn Exchange<String>, _: &mut Workspace) -> Result<()> {
        let left = self.0.load(Ordering::SeqCst).checked_sub(lines.len());
        self.0.store(left.ok_or_else(|| Error::Usage("out of order".to_owned()))?, Ordering::SeqCst);
        give(&lines, exchange);
        Ok(())
    }

    fn tokens(&self, _: &String) -> Tokens {
        Tokens::default()
    }
}

#[test]
fn a_translator_that_cannot_go_on_ends_the_run() {
    let (output, result) = translated(Broken(AtomicUsize::new(2)), "a\nb\nc\nd\n", settings(1, 1, 4));
    assert_eq!(output, b"A\nB\n");
    assert_eq!(result.unwrap_err().to_string(), "out of order");
}

/// Takes a number of bytes, then refuses more.
struct Full(usize, io::ErrorKind);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.0);
        self.0 -= count;
        if count == 0 { Err(self.1.into()) } else { Ok(count) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closed_output_ends_the_run_quietly_and_a_full_one_does_not() {
    let endless = || stream(Generator { lines: u64::MAX, given: Arc::default(), rest: Vec::new() });
    let output = Output::Stream(Box::new(Full(100, io::ErrorKind::BrokenPipe)));
    let summary = run_plain(Upper::default(), job(vec![endless()], output, settings(2, 4, 8))).unwrap();
    assert_eq!(summary.end, End::OutputClosed);
    let output = Output::Stream(Box::new(Full(100, io::ErrorKind::StorageFull)));
    let error = run_plain(Upper::default(), job(vec![endless()], output, settings(2, 4, 8))).unwrap_err();
    assert_eq!(error.to_string(), "output: no storage space");
}

#[test]
fn an_interrupted_run_ends_at_once_with_the_finished_lines_out() {
    let (input, mut to_input) = io::pipe().unwrap();
    let (from_output, output) = io::pipe().unwrap();
    let interrupt = Interrupt::new();
    let stop = interrupt.clone();
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let output = Output::Stream(Box::new(output));
        let job = Run { inputs: vec![stream(input)], output, settings: settings(2, 4, 8), interrupt };
        ended.send(run_plain(Upper::default(), job)).unwrap();
    });
    writeln!(to_input, "a").unwrap();
    let mut answers = BufReader::new(from_output).lines();
    assert_eq!(answers.next().unwrap().unwrap(), "A");
    stop.stop();
    // The reader is waiting for a line that will not come: a run that waits with it never ends.
    let summary = end.recv_timeout(Duration::from_secs(600)).expect("the run waits for its reader").unwrap();
    assert_eq!((summary.end, summary.lines), (End::Interrupted, 1));
    drop(to_input);
}

#[test]
fn an_interrupted_file_keeps_the_finished_lines() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    let interrupt = Interrupt::new();
    let stop = interrupt.clone();
    let output = Output::File(path.clone());
    let inputs = vec![stream(Generator { lines: u64::MAX, given: Arc::default(), rest: Vec::new() })];
    let job = Run { inputs, output, settings: settings(2, 4, 8), interrupt };
    let stop_later = move |event: Event<'_>| {
        if matches!(event, Event::Progress(progress) if progress.written >= 100) {
            stop.stop();
        }
    };
    let summary = run(Arc::new(Upper::default()), job, plain, stop_later).unwrap();
    let expected: String = (0..summary.lines).map(|number| format!("{number}\n")).collect();
    assert_eq!(std::fs::read_to_string(path).unwrap(), expected);
}

fn resume(path: &Path, input: &str) -> Result<Summary> {
    run_plain(Upper::default(), job(bytes(input), Output::Resume(path.into()), settings(2, 4, 16)))
}

#[test]
fn a_resumed_run_gives_what_an_uninterrupted_one_gives() {
    let input = "ein hund\n\nFAIL\nüber\r\n  \nzwei hunde\nende";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    resume(&path, input).unwrap();
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(String::from_utf8_lossy(&whole), "EIN HUND\n\n\nÜBER\n\nZWEI HUNDE\nENDE\n");
    // Killed after any byte, even in the middle of a character.
    for length in 0..=whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let summary = resume(&path, input).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole, "cut after {length} bytes");
        assert_eq!(summary.lines + summary.resumed, 7);
    }
}

#[test]
fn resuming_with_another_input_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    resume(&path, "a\nb\nc\n").unwrap();
    let message = resume(&path, "a\n").unwrap_err().to_string();
    assert!(message.contains("3 lines") && message.contains("another input"), "{message}");
    let onto_itself = job(vec![Input::File(path.clone())], Output::Resume(path.clone()), Settings::default());
    assert!(run_plain(Upper::default(), onto_itself).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"A\nB\nC\n");
}

#[test]
fn progress_reaches_the_end_of_the_input() {
    let input = "a\n\nb\r\n";
    let mut last = Progress::default();
    let mut observe = |event: Event<'_>| {
        if let Event::Progress(progress) = event {
            last = *progress;
        }
    };
    let job = job(bytes(input), Output::Stream(Box::new(io::sink())), settings(1, 4, 4));
    run(Arc::new(Upper::default()), job, plain, &mut observe).unwrap();
    assert_eq!(
        last,
        Progress { finished: 3, written: 3, bytes: 6, resumed_bytes: 0, source_tokens: 2, target_tokens: 2 }
    );
}

#[test]
fn a_line_of_a_megabyte_and_odd_characters_pass_through() {
    let long = "wort ".repeat(1 << 18);
    let input = format!("{long}\na\0b\u{1b}\u{202e}שלום 👩‍👩‍👧\nende");
    let (output, _) = translated(Upper::default(), input.clone(), settings(2, 4, 8));
    assert!(output == format!("{}\n", input.to_uppercase()).into_bytes());
}

/// Translates nothing, and the first line last: notes how many lines were translated by then.
#[derive(Default)]
struct FirstIsSlow {
    translated: AtomicUsize,
    overtaken: AtomicUsize,
}

impl BatchTranslator for FirstIsSlow {
    type Output = String;

    fn translate(&self, lines: Vec<Line>, exchange: &mut dyn Exchange<String>, _: &mut Workspace) -> Result<()> {
        if lines.iter().any(|line| line.index == 0) {
            std::thread::sleep(Duration::from_millis(200));
            self.overtaken.store(self.translated.load(Ordering::SeqCst), Ordering::SeqCst);
        }
        self.translated.fetch_add(lines.len(), Ordering::SeqCst);
        give(&lines, exchange);
        Ok(())
    }

    fn tokens(&self, _: &String) -> Tokens {
        Tokens::default()
    }
}

#[test]
fn few_finished_lines_wait_for_an_earlier_one_in_a_run_that_can_be_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let translator = Arc::new(FirstIsSlow::default());
    let input = "a line\n".repeat(3000);
    let job = job(bytes(input), Output::Resume(directory.path().join("out")), settings(2, 4, 1024));
    run(translator.clone(), job, plain, |_| ()).unwrap();
    // What a kill would lose: three windows of a batch for each thread.
    let overtaken = translator.overtaken.load(Ordering::SeqCst);
    assert!((1..=3 * 2 * 4).contains(&overtaken), "{overtaken} lines");
}

#[test]
fn progress_counts_lines_that_wait_for_an_earlier_one() {
    let mut ahead = 0;
    let observe = |event: Event<'_>| {
        if let Event::Progress(progress) = event
            && progress.written == 0
        {
            assert_eq!(progress.bytes, 7 * progress.finished);
            ahead = ahead.max(progress.finished);
        }
    };
    let job = job(bytes("a line\n".repeat(300)), Output::Stream(Box::new(io::sink())), settings(2, 4, 1024));
    run(Arc::new(FirstIsSlow::default()), job, plain, observe).unwrap();
    assert!(ahead > 4, "{ahead} lines");
}
