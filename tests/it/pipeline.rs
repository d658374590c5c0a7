//! One line in, one line out, through the real binary, with a tiny model that translates word 7 as readily as any.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::program::{self, Outcome, Program};

/// A directory with a seeded random Marian model over the words `w002` to `w062`.
fn model() -> PathBuf {
    program::model("marian_relu")
}

/// The program with the tiny model, two threads and a narrow beam.
fn translate() -> Program {
    let mut program = Program::with_model(model());
    // A random model repeats itself, of which it would warn.
    program.args(["--threads", "2", "--beam-size", "1", "--no-repeat-ngram", "3"]);
    program
}

/// The output of a run that must go well without a word on stderr.
fn translated(input: impl AsRef<[u8]>) -> String {
    translate().run(input).quiet()
}

/// `count` lines of different lengths, every tenth blank.
pub(crate) fn lines(count: usize) -> String {
    let word = |line: usize, position: usize| format!("w{:03}", 2 + (line * 31 + position * 17 + line / 7) % 61);
    let line = |line: usize| match line % 10 {
        3 => String::new(),
        _ => (0..1 + line * 7 % 12).map(|position| word(line, position)).collect::<Vec<_>>().join(" "),
    };
    (0..count).map(|number| line(number) + "\n").collect()
}

fn write(directory: &tempfile::TempDir, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.path().join(name);
    fs::write(&path, contents).unwrap();
    path
}

/// Names of the files in a directory, in order.
fn names(directory: &tempfile::TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn standard_input_and_files_give_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let input = lines(20);
    let expected = translated(input.as_bytes());
    assert_eq!(expected.lines().count(), 20);
    assert!(expected.lines().enumerate().all(|(number, line)| line.is_empty() == (number % 10 == 3)));
    let file = write(&directory, "input", &input);
    assert_eq!(translate().arg(&file).run("").quiet(), expected);
    assert_eq!(translate().arg("-").run(&input).quiet(), expected);
}

#[test]
fn several_files_are_one_input() {
    let directory = tempfile::tempdir().unwrap();
    let first = write(&directory, "first", "w010 w011\nw012");
    let empty = write(&directory, "empty", "");
    let last = write(&directory, "last", "w014\n");
    let output = translate().args([&first, &empty]).arg("-").arg(&last).run("w013\n");
    assert_eq!(output.quiet(), translated(b"w010 w011\nw012\nw013\nw014\n"));
}

#[test]
fn empty_input_gives_empty_output() {
    assert_eq!(translated(b""), "");
    assert_eq!(translated(b"\xEF\xBB\xBF"), "");
}

#[test]
fn blank_lines_stay_blank() {
    assert_eq!(translated("\n \t\n\u{a0}\n\r\n".as_bytes()), "\n\n\n\n");
}

#[test]
fn the_last_line_needs_no_newline() {
    assert_eq!(translated(b"w010\nw011"), translated(b"w010\nw011\n"));
}

#[test]
fn line_ends_and_a_byte_order_mark_are_no_text() {
    assert_eq!(translated(b"\xEF\xBB\xBFw010 w011\r\nw012\r\n"), translated(b"w010 w011\nw012\n"));
}

#[test]
fn odd_characters_cost_no_line() {
    let input = "w010\u{1}w011\n\u{1b}[1m\n🙂👩‍👩‍👧\nשלום עולם\n\u{2028}x\u{85}y\u{c}\nw012\n";
    assert_eq!(translated(input.as_bytes()).lines().count(), 6);
}

#[test]
fn a_line_of_three_thousand_words_is_one_line() {
    let long: Vec<String> = (0..3000).map(|word| format!("w{:03}", 2 + word * 17 % 61)).collect();
    let output = translate().run(format!("w010\n{}\nw011\n", long.join(" ")));
    assert_eq!(output.status, 0, "{}", output.stderr);
    assert_eq!(output.stdout.lines().count(), 3);
    // What was truncated, if anything was, is said with the number of the line.
    let warnings = output.stderr;
    assert!(warnings.lines().all(|warning| warning.contains("line 2")), "{warnings}");
}

#[test]
fn a_line_of_a_megabyte_is_one_line() {
    let output = translate().run(format!("w010\n{}\nw011\n", "w012".repeat(1 << 18)));
    assert_eq!(output.status, 0, "{}", output.stderr);
    assert_eq!(output.stdout.lines().count(), 3);
}

#[test]
fn invalid_utf8_is_replaced_with_one_warning() {
    let output = translate().run(b"w010\nw0\xFF11\n\nw012 \xC3\n");
    assert_eq!(output.status, 0);
    assert_eq!(output.stdout.lines().count(), 4);
    let warning = output.stderr;
    assert!(warning.contains("standard input line 2, 4") && warning.lines().count() == 1, "{warning}");
}

#[test]
fn invalid_utf8_can_be_an_error_that_names_the_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(&directory, "input", b"w010\nw0\xFF11\n");
    let output = translate().args(["--invalid-utf8", "error"]).arg(&file).run("");
    assert_eq!(output.status, 1);
    assert_eq!(output.stdout, translated(b"w010\n"));
    let error = output.stderr;
    assert!(error.contains("input: line 2: byte 3 (0xFF) is not UTF-8") && error.lines().count() == 1, "{error}");
}

#[test]
fn a_missing_file_is_noticed_before_anything_is_written() {
    let output = translate().args(["-", "no/such/file"]).run("w010\n");
    assert_eq!((output.status, output.stdout.as_str()), (1, ""));
    assert_eq!(output.stderr, "translate: no/such/file: No such file or directory (os error 2)\n");
}

#[test]
fn each_line_is_answered_before_the_next_is_written() {
    let mut child = translate().spawn();
    let mut to_child = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut together = String::new();
    for line in lines(50).lines() {
        writeln!(to_child, "{line}").unwrap();
        together += &(answers.next().unwrap().unwrap() + "\n");
    }
    drop(to_child);
    assert!(child.wait().unwrap().success());
    assert_eq!(together, translated(lines(50).as_bytes()));
}

#[test]
fn a_closed_output_is_a_quiet_end() {
    let mut child = translate().spawn();
    let mut stdin = child.stdin.take().unwrap();
    // Without end, until nobody reads it any more.
    let feeder = std::thread::spawn(move || while stdin.write_all(lines(100).as_bytes()).is_ok() {});
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    drop(stdout);
    assert_eq!(Outcome::of(child).quiet(), "");
    feeder.join().unwrap();
}

#[cfg(unix)]
#[test]
fn a_fifo_is_read_like_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let child = translate().arg(&fifo).spawn();
    let mut to_child = File::create(&fifo).unwrap();
    // Pieces that end in the middle of words and line ends.
    for piece in ["w0", "10 w01", "1\r", "\nw012"] {
        to_child.write_all(piece.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(to_child);
    assert_eq!(Outcome::of(child).quiet(), translated(b"w010 w011\nw012\n"));
}

#[cfg(unix)]
#[test]
fn an_interrupt_lets_out_what_is_finished() {
    program::handle_interrupts();
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let mut child = translate().spawn();
        let mut to_child = child.stdin.take().unwrap();
        let input = lines(100_000);
        let expected = translated(lines(2000).as_bytes());
        let feeder = std::thread::spawn(move || {
            // Until the program is gone; and the pipe stays open, so that it cannot have come to the end before.
            let _ = to_child.write_all(input.as_bytes());
            to_child
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut output = String::new();
        stdout.read_line(&mut output).unwrap();
        program::signal(name, &child);
        stdout.read_to_string(&mut output).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "SIG{name}");
        assert!(output.ends_with('\n'));
        assert!(expected.starts_with(&output) || output.starts_with(&expected), "lines lost or out of order");
        drop(feeder.join().unwrap());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    for arguments in [&["-o", "/dev/full"][..], &[]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = translate().args(arguments).stdout(full).run("w010\n");
        assert_eq!(output.status, 1);
        let error = output.stderr;
        assert!(error.contains("No space left on device") && error.lines().count() == 1, "{error}");
    }
}

/// Runs the program in a shell whose files may not grow beyond a few blocks.
#[cfg(unix)]
fn run_with_small_files(arguments: &[&str], directory: &tempfile::TempDir) -> Outcome {
    let mut program = Program::in_shell("trap '' XFSZ; ulimit -f 8; exec \"$@\"");
    program
        .arg("--model")
        .arg(model())
        .args(["--beam-size", "1", "--no-repeat-ngram", "3", "--threads", "2"])
        .args(arguments);
    program.current_dir(directory).run("")
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_finished_is_not_begun() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "in", lines(1000));
    write(&directory, "out", "old\n");
    let output = run_with_small_files(&["in", "-o", "out"], &directory);
    assert_eq!(output.status, 1);
    let error = output.stderr;
    assert!(error.contains("out: File too large") && error.lines().count() == 1, "{error}");
    assert_eq!(fs::read_to_string(directory.path().join("out")).unwrap(), "old\n");
    assert_eq!(names(&directory), ["in", "out"]);
    // A run that can be resumed keeps whole lines, and then goes on from there.
    fs::remove_file(directory.path().join("out")).unwrap();
    let output = run_with_small_files(&["in", "-o", "out", "--resume"], &directory);
    assert_eq!(output.status, 1);
    let expected = translated(lines(1000).as_bytes());
    let begun = fs::read_to_string(directory.path().join("out")).unwrap();
    assert!(begun.ends_with('\n') && expected.starts_with(&begun));
    let finished = translate().args(["in", "-o", "out", "--resume"]).current_dir(&directory).run("");
    assert_eq!(finished.quiet(), "");
    assert_eq!(fs::read_to_string(directory.path().join("out")).unwrap(), expected);
}

#[test]
fn an_output_file_gets_what_standard_output_gets() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    assert_eq!(translate().arg("--output").arg(&out).run(lines(30)).quiet(), "");
    assert_eq!(fs::read_to_string(&out).unwrap(), translated(lines(30).as_bytes()));
    assert_eq!(names(&directory), ["out"]);
}

#[test]
fn a_killed_run_is_resumed_to_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let (input, out) = (write(&directory, "in", lines(1000)), directory.path().join("out"));
    let expected = translate().arg(&input).run("").quiet();
    let mut program = translate();
    program.arg(&input).arg("--output").arg(&out).arg("--resume").stdout(Stdio::null());
    let mut partial = 0;
    for round in 0..20 {
        let mut child = program.spawn();
        // Killed once so much is written: some early, some late, none at the same moment, on a machine of any speed.
        let enough = (expected.len() * (round * 13 % 20) / 20) as u64;
        while fs::metadata(&out).map_or(0, |file| file.len()) < enough && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let written = fs::read(&out).unwrap_or_default();
        assert!(expected.as_bytes().starts_with(&written), "round {round}");
        partial += u32::from(!written.is_empty() && written.len() < expected.len());
        if round % 2 == 1 {
            let finished = translate().arg(&input).arg("--output").arg(&out).arg("--resume").run("");
            assert_eq!(finished.quiet(), "");
            assert!(fs::read(&out).unwrap() == expected.as_bytes(), "round {round}");
            fs::remove_file(&out).unwrap();
        }
    }
    assert!(partial > 0, "no run was killed in the middle");
}

#[test]
fn resuming_with_another_input_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let written = translated("w010\nw011\nw012\n");
    let out = write(&directory, "out", &written);
    let output = translate().arg("--output").arg(&out).arg("--resume").run("w010\n");
    assert_eq!(output.status, 2);
    assert!(output.stderr.contains("the output to resume has 3 lines but the input only 1"));
    assert_eq!(fs::read_to_string(out).unwrap(), written);
}

#[cfg(unix)]
#[test]
fn a_model_directory_may_be_read_only_and_shared_by_two_processes() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(model()).unwrap() {
        let entry = entry.unwrap();
        let copy = directory.path().join(entry.file_name());
        fs::copy(entry.path(), &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o444)).unwrap();
    }
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let before = names(&directory);
    let input = lines(200);
    let mut program = Program::with_model(directory.path());
    program.args(["--beam-size", "1", "--no-repeat-ngram", "3"]);
    let mut children = [program.spawn(), program.spawn()];
    for child in &mut children {
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    }
    let expected = translated(input.as_bytes());
    for child in children {
        assert_eq!(Outcome::of(child).quiet(), expected);
    }
    assert_eq!(names(&directory), before);
    // So that it can be removed.
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn threads_and_batches_do_not_change_the_output() {
    let input = lines(300);
    let expected = translated(input.as_bytes());
    for (threads, batch) in [("1", "1"), ("1", "32"), ("3", "7")] {
        let mut program = Program::with_model(model());
        program.args(["--beam-size", "1", "--no-repeat-ngram", "3", "--threads", threads, "--batch-size", batch]);
        assert_eq!(program.run(&input).quiet(), expected, "{threads} threads, batches of {batch}");
    }
}

#[test]
fn statistics_are_one_line_on_stderr() {
    let output = translate().args(["--stats=json"]).run("w010 w011\n\nw012\n");
    let stats: serde_json::Value = serde_json::from_str(&output.stderr).unwrap();
    assert_eq!((&stats["lines"], &stats["blank_lines"], &stats["failed_lines"]), (&3.into(), &1.into(), &0.into()));
    // Two words and one, and two sentence ends.
    assert_eq!(stats["source_tokens"], 5);
    assert!(stats["seconds"].as_f64().unwrap() > 0.0);
    let output = translate().arg("--stats").run("w010\n");
    assert!(output.stderr.starts_with("1 lines; 2 source and "), "{}", output.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_flat_over_a_hundred_thousand_lines() {
    /// How often a line comes again; a prime, so that nothing else has its rhythm.
    const PERIOD: usize = 997;
    let some = lines(PERIOD);
    let arguments = ["--max-length", "8", "--quiet"];
    let expected = translate().args(arguments).run(&some).quiet();
    let expected: Vec<&str> = expected.lines().collect();
    // One large page more or less is half of what is allowed.
    let mut child = translate().args(arguments).in_small_pages().spawn();
    let mut to_child = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || {
        let mut input = some.repeat(100_000 / PERIOD);
        input.extend(some.split_inclusive('\n').take(100_000 % PERIOD));
        to_child.write_all(input.as_bytes())
    });
    let mut at_5000 = 0;
    let mut count = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        assert_eq!(line.unwrap(), expected[count % PERIOD], "line {}", count + 1);
        count += 1;
        if count == 5000 {
            at_5000 = program::peak_memory(&child);
        }
        if count == 95_000 {
            // More than a pipe holds is still to come, so the process is there.
            let at_end = program::peak_memory(&child);
            println!("peak memory after 5,000 lines: {at_5000} bytes, after 95,000: {at_end}");
            assert!(at_end as f64 <= 1.1 * at_5000 as f64, "{at_5000} bytes grew to {at_end}");
        }
    }
    assert_eq!(count, 100_000);
    feeder.join().unwrap().unwrap();
    assert_eq!(Outcome::of(child).quiet(), "");
}

#[cfg(target_os = "linux")]
#[test]
fn input_without_any_line_end_does_not_fill_the_memory() {
    let mut child = translate().args(["--stats=json", "--format", "json"]).spawn();
    let mut to_child = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || {
        for _ in 0..100 {
            to_child.write_all(&[b'x'; 1 << 20]).unwrap();
        }
        to_child.write_all(b"\nw010\n").unwrap();
    });
    let output = Outcome::of(child);
    feeder.join().unwrap();
    let json = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let results: Vec<_> = output.stdout.lines().map(json).collect();
    assert_eq!(results.len(), 2);
    assert_eq!((&results[0]["truncated"], &results[1]["truncated"]), (&true.into(), &false.into()));
    let errors = output.stderr;
    let (warning, stats) = errors.split_once('\n').unwrap();
    assert!(warning.contains("standard input: line 1: only its first 16 MiB are read"), "{warning}");
    let peak = json(stats)["peak_memory_bytes"].as_u64().unwrap();
    assert!(peak < 300 << 20, "{peak} bytes for a line of 100 MiB");
}
