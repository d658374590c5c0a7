//! Nothing that was there is lost: where results go, under whatever name, however a run ends.

#![cfg(unix)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::program::{self, Outcome, Program, model};

/// The arguments of each command that has an output, for the tiny model and pairs of a sentence and its translation.
const COMMANDS: [&[&str]; 3] = [&["--column", "1"], &["attn-dump", "--pairs", "--format", "tsv"], &["score"]];

fn program(command: &[&str]) -> Program {
    let mut program = Program::new();
    with_model(&mut program, command);
    program
}

/// Adds the arguments of a command; its name comes first.
fn with_model(program: &mut Program, command: &[&str]) {
    program.args(command).arg("--model").arg(model("marian_relu")).args(["--threads", "2"]);
}

const PAIRS: &str = "w010 w011\tw012\nw013\tw014 w015\n";

/// Names of the files in a directory, in order.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[cfg(target_os = "linux")]
#[test]
fn every_name_of_an_open_file_is_written_where_it_stands() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/stdout", directory.path().join("link")).unwrap();
    let log = directory.path().join("log");
    for command in COMMANDS {
        let expected = program(command).run(PAIRS).success();
        for (script, name) in [
            ("exec \"$@\" >> log", "/dev/stdout"),
            ("exec \"$@\" >> log", "/dev/fd/1"),
            ("exec \"$@\" >> log", "/proc/self/fd/1"),
            ("exec \"$@\" >> log", "link"),
            ("exec \"$@\" 3>> log", "/dev/fd/3"),
            ("exec 4>> log; exec \"$@\"", "/proc/self/fd/4"),
            ("exec \"$@\" 2>> log", "/dev/stderr"),
        ] {
            fs::write(&log, "before\n").unwrap();
            let mut run = Program::in_shell(script);
            with_model(&mut run, command);
            assert_eq!(run.args(["--output", name]).current_dir(&directory).run(PAIRS).success(), "");
            let written = fs::read_to_string(&log).unwrap();
            assert_eq!(written, format!("before\n{expected}"), "{command:?} {script} {name}");
        }
    }
    assert_eq!(names(directory.path()), ["link", "log"]);
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_shell_writes_after_the_run_comes_after_it() {
    let directory = tempfile::tempdir().unwrap();
    for command in COMMANDS {
        let expected = program(command).run(PAIRS).success();
        let mut run = Program::in_shell("exec 3> log; echo before >&3; \"$@\"; echo after >&3");
        with_model(&mut run, command);
        run.args(["--output", "/dev/fd/3"]).current_dir(&directory).run(PAIRS).success();
        let written = fs::read_to_string(directory.path().join("log")).unwrap();
        assert_eq!(written, format!("before\n{expected}after\n"), "{command:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_descriptor_that_is_not_open_is_an_error() {
    let mut run = program(COMMANDS[0]);
    let outcome = run.args(["--output", "/dev/fd/77"]).run(PAIRS);
    assert_eq!(outcome.status, 1);
    assert!(outcome.error().contains("/dev/fd/77: there is no such open file"), "{}", outcome.error());
}

/// Starts a run on pairs without end that writes to `out`, and waits until it has written something.
fn start(command: &[&str], directory: &Path) -> (Child, std::thread::JoinHandle<()>) {
    let mut run = program(command);
    run.args(["--output", "out", "--batch-size", "4"][..if command[..1] == ["attn-dump"] { 2 } else { 4 }].iter());
    let mut child = run.current_dir(directory).stdout(Stdio::null()).spawn();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || while stdin.write_all(PAIRS.as_bytes()).is_ok() {});
    let has_begun = || {
        let entries = fs::read_dir(directory).unwrap().flatten();
        let mut temporaries = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".tmp"));
        temporaries.any(|temporary| temporary.metadata().is_ok_and(|found| found.len() > 0))
    };
    while !has_begun() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    (child, feeder)
}

#[test]
fn a_signal_leaves_the_earlier_file_as_it_was() {
    program::handle_interrupts();
    for command in COMMANDS {
        for (signal, code) in [("INT", 130), ("TERM", 143)] {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join("out"), "earlier\n").unwrap();
            let (child, feeder) = start(command, directory.path());
            program::signal(signal, &child);
            let outcome = Outcome::of(child);
            feeder.join().unwrap();
            assert_eq!(outcome.status, code, "{command:?}: {}", outcome.stderr);
            assert_eq!(fs::read_to_string(directory.path().join("out")).unwrap(), "earlier\n", "{command:?}");
            assert_eq!(names(directory.path()), ["out"], "{command:?}");
            assert!(outcome.stderr.contains("left as it was"), "{command:?}: {}", outcome.stderr);
        }
    }
}

#[test]
fn what_a_killed_run_leaves_is_removed_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let (mut child, feeder) = start(COMMANDS[0], directory.path());
        child.kill().unwrap();
        child.wait().unwrap();
        feeder.join().unwrap();
    }
    program(COMMANDS[0]).args(["-o", "out"]).current_dir(&directory).run(PAIRS).success();
    assert_eq!(names(directory.path()), ["out"]);
}

#[test]
fn two_runs_on_one_file_to_resume_do_not_mix() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let resume = || {
        let mut run = program(COMMANDS[0]);
        run.args(["--output", "out", "--resume"]).current_dir(&directory);
        run
    };
    let mut first = resume().spawn();
    let mut stdin = first.stdin.take().unwrap();
    stdin.write_all(PAIRS.as_bytes()).unwrap();
    while fs::metadata(&out).map_or(0, |found| found.len()) == 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    for arguments in [&["--output", "out", "--resume"][..], &["--output", "out"]] {
        let second = program(COMMANDS[0]).args(arguments).current_dir(&directory).run("w020\n");
        assert_eq!(second.status, 1);
        assert!(second.error().contains("out: another run is writing it"), "{}", second.error());
    }
    stdin.write_all(PAIRS.as_bytes()).unwrap();
    drop(stdin);
    Outcome::of(first).success();
    assert_eq!(fs::read_to_string(&out).unwrap(), program(COMMANDS[0]).run(PAIRS.repeat(2)).success());
}

#[test]
fn a_run_with_other_settings_does_not_go_on_with_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let resume = |model: &str, arguments: &[&str], input: &str| {
        let mut run = Program::with_model(program::model(model));
        run.args(["--output", "out", "--resume"]).args(arguments).current_dir(&directory).run(input)
    };
    let input = "w010 w011\n\nw012 w013 w014\n";
    resume("marian_relu", &[], input).success();
    let before = fs::read_to_string(directory.path().join("out")).unwrap();
    let longer = format!("{input}w015\n");
    for outcome in [
        resume("gru", &[], &longer),
        resume("marian_relu", &["--format", "json"], &longer),
        resume("marian_relu", &[], "w020 w021\nw022\nw023\nw024\n"),
    ] {
        assert_eq!(outcome.status, 2, "{}", outcome.stderr);
        assert!(outcome.error().contains("is not what this run makes of that line"), "{}", outcome.error());
        assert_eq!(fs::read_to_string(directory.path().join("out")).unwrap(), before);
    }
    resume("marian_relu", &[], &longer).success();
    let whole = Program::with_model(model("marian_relu")).run(&longer).success();
    assert_eq!(fs::read_to_string(directory.path().join("out")).unwrap(), whole);
}

#[test]
fn an_output_is_never_added_to_its_own_input() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("text");
    for (script, file) in [("exec \"$@\" >> text", Some("text")), ("exec \"$@\" < text >> text", None)] {
        fs::write(&path, PAIRS).unwrap();
        let mut run = Program::in_shell(script);
        with_model(&mut run, COMMANDS[0]);
        let outcome = run.args(file).current_dir(&directory).run("");
        assert_eq!(outcome.status, 2, "{script}: {}", outcome.stderr);
        assert_eq!(fs::read_to_string(&path).unwrap(), PAIRS);
    }
}

#[test]
fn attention_takes_the_format_of_its_files_ending() {
    let directory = tempfile::tempdir().unwrap();
    let dump = |arguments: &[&str]| {
        let mut run = Program::new();
        with_model(&mut run, &["attn-dump", "--pairs"]);
        run.args(arguments).current_dir(&directory).run("w010\tw011\n").success()
    };
    let read = |name: &str| fs::read(directory.path().join(name)).unwrap();
    for (name, format) in [("x.html", "html"), ("x.svg", "svg"), ("x.npz", "npz"), ("x.tsv", "tsv"), ("x", "json")] {
        dump(&["--output", name]);
        dump(&["--output", "given", "--format", format]);
        assert!(read(name) == read("given"), "{name}");
    }
    dump(&["--output", "x.html", "--format", "json"]);
    assert!(read("x.html").starts_with(b"{"), "a format that is given counts");
}
