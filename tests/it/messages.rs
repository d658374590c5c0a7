//! What is said, and that it costs nothing to say it where nobody can read it.

use std::io::{Read, Write};

use crate::program::{Outcome, Program, model, run};

const JSON: &str = "{\"nope\": 1}\n{\"text\": \"w010\"}\n{\"text\": \"w011\"}\n";

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_standard_error_costs_no_line() {
    for arguments in [&["--json-input", "--stats"][..], &["--json-input", "--invalid-utf8", "replace"]] {
        let mut program = Program::in_shell("exec \"$@\" 2>/dev/full");
        let outcome =
            program.arg("--model").arg(model("marian_relu")).args(arguments).run([JSON.as_bytes(), b"\xff\n"].concat());
        assert_eq!((outcome.status, outcome.stdout.lines().count()), (1, 4), "{arguments:?}");
    }
}

#[test]
fn a_reader_of_messages_that_went_away_costs_no_line() {
    let mut child = Program::with_model(model("marian_relu")).args(["--json-input", "--stats"]).spawn();
    drop(child.stderr.take());
    child.stdin.take().unwrap().write_all(JSON.as_bytes()).unwrap();
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert_eq!((child.wait().unwrap().code(), stdout.lines().count()), (Some(1), 3));
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_printed_to_a_full_disk_has_failed() {
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["--version"],
        &["score", "--help"],
        &["man"],
        &["completions", "bash"],
        &["models"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let outcome = Program::new().args(arguments).stdout(full).run("");
        assert_eq!(outcome.status, 1, "{arguments:?}");
        assert!(outcome.error().contains("standard output: No space left"), "{arguments:?}: {}", outcome.stderr);
    }
}

#[test]
fn help_to_a_closed_pipe_is_a_quiet_end() {
    let mut child = Program::new().arg("--help").spawn();
    drop(child.stdout.take());
    assert_eq!(Outcome::of(child).quiet(), "");
}

#[test]
fn control_characters_never_reach_the_terminal() {
    let name = "no\u{1b}[31m\u{7}such/file\u{9b}";
    for arguments in [&[name][..], &["--model", name], &["--target-lang", name], &["eval", "--reference", name]] {
        let outcome = run(arguments, "");
        assert_ne!(outcome.status, 0);
        assert!(!outcome.stderr.contains(|c: char| c.is_control() && c != '\n'), "{arguments:?}: {:?}", outcome.stderr);
    }
    let outcome = run(&["--beam-size", "\u{1b}[31m"], "");
    assert_eq!(outcome.status, 2);
    assert!(!outcome.stderr.contains('\u{1b}'), "{:?}", outcome.stderr);
}

#[test]
fn a_variable_with_a_wrong_value_is_named() {
    for (name, value) in [
        ("TRANSLATE_THREADS", "many"),
        ("TRANSLATE_BEAM_SIZE", "0"),
        ("TRANSLATE_BATCH_SIZE", "-1"),
        ("TRANSLATE_PRECISION", "f17"),
        ("TRANSLATE_BACKEND", "none"),
        ("TRANSLATE_DEVICE", "gpu"),
        ("TRANSLATE_MODEL", "no-such-model"),
    ] {
        let outcome = Program::new().env(name, value).run("w010\n");
        assert_ne!(outcome.status, 0, "{name}");
        assert!(outcome.stderr.contains(name), "{name}: {}", outcome.stderr);
    }
    // What was typed is not the variable's fault.
    let outcome = Program::new().env("TRANSLATE_THREADS", "2").args(["--threads", "many"]).run("w010\n");
    assert!(outcome.status == 2 && !outcome.stderr.contains("environment variable"), "{}", outcome.stderr);
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    let expected = Program::with_model(model("marian_relu")).run("w010 w011\n").quiet();
    for name in ["THREADS", "PRECISION", "BEAM_SIZE", "BATCH_SIZE", "BACKEND", "DEVICE", "MODEL"] {
        let mut program = Program::with_model(model("marian_relu"));
        assert_eq!(program.env(&format!("TRANSLATE_{name}"), "").run("w010 w011\n").quiet(), expected, "{name}");
    }
    for (command, input) in [("score", "w010\tw011\n"), ("attn-dump", "w010\n")] {
        Program::new()
            .arg(command)
            .arg("-m")
            .arg(model("marian_relu"))
            .env("TRANSLATE_THREADS", "")
            .run(input)
            .success();
    }
}

#[test]
fn of_an_option_given_twice_the_last_one_counts() {
    let translate =
        |arguments: &[&str]| Program::with_model(model("marian_relu")).args(arguments).run("w010 w012\n").success();
    assert_eq!(translate(&["-b", "1", "-b", "4", "--scores"]), translate(&["-b", "4", "--scores"]));
    assert_eq!(translate(&["-q", "-q", "-t", "1", "-t", "2", "--format", "json", "--format", "text"]), translate(&[]));
    // Options that gather values still do.
    let word = translate(&[]).split_whitespace().next().unwrap().to_owned();
    let without = translate(&["--suppress", &word, "--suppress", "w010"]);
    assert!(!without.split_whitespace().any(|other| other == word || other == "w010"), "{without}");
}

#[test]
fn a_name_after_stats_is_a_file() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("json"), "w010\n").unwrap();
    let mut program = Program::with_model(model("marian_relu"));
    let outcome = program.args(["--stats", "json"]).current_dir(&directory).run("");
    assert!(outcome.stderr.starts_with("1 lines; "), "{}", outcome.stderr);
    assert_eq!(outcome.success().lines().count(), 1);
}

#[test]
fn negative_numbers_are_values_and_not_options() {
    let scored = |arguments: &[&str]| Program::with_model(model("marian_relu")).args(arguments).run("w010 w012\n");
    scored(&["--coverage-penalty", "-3", "-b", "2"]).success();
    for option in ["--repetition-penalty", "--max-length-ratio"] {
        let outcome = scored(&[option, "-3"]);
        assert!(outcome.status == 2 && outcome.stderr.contains("must be above 0"), "{option}: {}", outcome.stderr);
    }
}

#[test]
fn there_is_a_word_to_suppress() {
    for word in ["", " "] {
        let outcome = Program::with_model(model("marian_relu")).args(["--suppress", word]).run("w010\n");
        assert_eq!(outcome.status, 2);
        assert!(outcome.error().contains("there is no word to suppress"), "{}", outcome.error());
    }
}

#[test]
fn more_threads_than_any_machine_has_are_refused_in_words() {
    let outcome = Program::with_model(model("marian_relu")).args(["-t", "60000"]).run("w010\n");
    assert_eq!(outcome.status, 2);
    assert!(outcome.stderr.contains("60000 is not in 1..=1024"), "{}", outcome.stderr);
    assert_eq!(Program::with_model(model("marian_relu")).args(["-t", "200"]).run("w010\n").quiet().lines().count(), 1);
}

#[test]
fn the_lost_are_told_what_to_type() {
    let directory = tempfile::tempdir().unwrap();
    let error = |arguments: &[&str]| {
        let outcome = Program::new().args(arguments).current_dir(&directory).run("");
        assert_eq!((outcome.status, outcome.stdout.as_str()), (2, ""), "{arguments:?}: {}", outcome.stderr);
        outcome.stderr
    };
    assert!(error(&["Guten Morgen"]).contains("echo 'Guten Morgen' | translate"));
    assert!(error(&["Guten", "Morgen"]).contains("echo 'Guten Morgen' | translate"));
    assert!(error(&["evaluate", "x"]).contains("translate eval"));
    assert!(error(&["-m", "gru", "attn-dump"]).contains("translate attn-dump"));
    for wrong in ["attn_dump", "attndump", "attention", "attn-dmp"] {
        assert!(error(&[wrong]).contains("translate attn-dump"), "{wrong}");
        assert!(error(&[wrong, "--kind", "cross", "-"]).contains("translate attn-dump"), "{wrong} with its options");
    }
    // A file is a file, whatever its name.
    std::fs::write(directory.path().join("evaluate"), "w010\n").unwrap();
    Program::with_model(model("gru")).arg("evaluate").current_dir(&directory).run("").success();
}

#[cfg(not(feature = "builtin-models"))]
#[test]
fn a_build_without_models_asks_for_one() {
    let outcome = run(&[""; 0], "w010\n");
    assert_eq!(outcome.status, 1);
    assert!(
        outcome.error().contains("no built-in models") && outcome.error().contains("--model"),
        "{}",
        outcome.error()
    );
}
