//! Parts of files, made by processes that know nothing of each other, are together what one process makes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::pipeline::lines;
use crate::program::{Outcome, Program, model};

/// The tiny model on part of the files `in` and `more` of a directory, with other arguments.
fn program(directory: &Path, arguments: &[&str], files: &[&str]) -> Program {
    let mut program = Program::new();
    program.args(arguments).arg("--model").arg(model("marian_relu")).args(["--threads", "2"]).args(files);
    program.current_dir(directory);
    program
}

const PLAIN: [&str; 4] = ["--beam-size", "1", "--no-repeat-ngram", "3"];

/// A directory with two files of lines that are odd in some way.
fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let odd = "w010\r\n\n \r\nw011\rw012 w013\n{\"text\": \"w014\"}\nw015\tw016\nw017 w018 w019";
    fs::write(directory.path().join("in"), format!("\u{feff}{}{odd}", lines(40))).unwrap();
    fs::write(directory.path().join("more"), format!("{}{odd}\n", lines(15))).unwrap();
    let path = directory.path().to_owned();
    (directory, path)
}

/// What the parts of a run print one after the other; each must end as the whole does, or well.
fn parts(directory: &Path, arguments: &[&str], files: &[&str], count: usize) -> String {
    let run = |index| {
        let mut run = program(directory, arguments, files);
        let outcome = run.args(["--quiet", "--shard", &format!("{index}/{count}")]).run("");
        assert!(outcome.status < 2, "{}", outcome.stderr);
        outcome.stdout
    };
    (1..=count).map(run).collect()
}

#[test]
fn the_parts_of_every_format_are_the_whole() {
    let (_guard, directory) = directory();
    for format in [
        &["--scores"][..],
        &["--format", "json"],
        &["--format", "json", "--json-input"],
        &["--format", "tsv", "--with-source"],
        &["--format", "marian-nbest", "--beam-size", "2", "--n-best", "2"],
        &["--column", "2", "--keep-columns"],
        &["--join-lines"],
        &["--join-lines", "--format", "json"],
    ] {
        let arguments = [&PLAIN[..], format].concat();
        for files in [&["in"][..], &["more", "in"]] {
            let whole = program(&directory, &arguments, files).arg("--quiet").run("").stdout;
            assert!(whole.lines().count() > 10, "{format:?}");
            assert!(parts(&directory, &arguments, files, 3) == whole, "{format:?} {files:?}");
        }
    }
}

#[test]
fn scores_and_attention_are_those_of_the_whole() {
    let (_guard, directory) = directory();
    let pairs: String = (0..9).map(|number| format!("w01{number} w011\tw02{number}\n")).collect();
    fs::write(directory.join("pairs"), format!("{pairs}no tab\n")).unwrap();
    for command in [&["score"][..], &["score", "--json"]] {
        let whole = program(&directory, command, &["pairs"]).arg("--quiet").run("").stdout;
        assert_eq!(parts(&directory, command, &["pairs"], 4), whole, "{command:?}");
    }
    let attention = |shard: &str| {
        let command = ["attn-dump", "--pairs", "--format", "json", "--shard", shard];
        program(&directory, &command, &["pairs"]).run("").stdout
    };
    assert_eq!((1..=4).map(|index| attention(&format!("{index}/4"))).collect::<String>(), attention("1/1"));
}

#[test]
fn parts_that_are_killed_go_on_and_together_are_the_whole() {
    const COUNT: usize = 3;
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("in"), lines(600)).unwrap();
    let whole = program(directory.path(), &PLAIN, &["in"]).run("").quiet();
    let mut killed = 0;
    // Not in their order, as parts of other machines are not.
    for index in [2, 3, 1] {
        let out = directory.path().join(format!("part-{index}"));
        let part = || {
            let mut part = program(directory.path(), &PLAIN, &["in", "--resume"]);
            part.args(["--shard", &format!("{index}/{COUNT}"), "-o"]).arg(&out).stdout(Stdio::null());
            part
        };
        for enough in [whole.len() / 20, whole.len() / 6] {
            let mut child = part().spawn();
            let written = || fs::metadata(&out).map_or(0, |file| file.len()) as usize;
            while written() < enough && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            child.kill().unwrap();
            killed += u32::from(!child.wait().unwrap().success());
        }
        assert_eq!(Outcome::of(part().spawn()).quiet(), "");
        // Once more, as a scheduler may: nothing changes.
        assert_eq!(Outcome::of(part().spawn()).quiet(), "");
    }
    assert!(killed > 0, "no part was killed in the middle");
    let read = |index| fs::read_to_string(directory.path().join(format!("part-{index}"))).unwrap();
    assert!((1..=COUNT).map(read).collect::<String>() == whole);
}

#[test]
fn a_part_says_of_which_part_its_lines_are_numbered() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("in"), "w010\nw011\nw012\nw0\u{0}13\n").unwrap();
    let last = program(directory.path(), &PLAIN, &["in", "--shard", "2/2"]).run("");
    assert!(last.stderr.contains("in (part 2 of 2) line 2"), "{}", last.stderr);
    let last = program(directory.path(), &PLAIN, &["in", "--shard", "2/2", "--format", "json"]).run("");
    assert!(last.stderr.contains("in line 4"), "{}", last.stderr);
}

#[test]
fn what_has_no_parts_is_refused_before_the_model_is_loaded() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("in"), "w010\n").unwrap();
    fs::write(directory.path().join("packed"), b"\x1f\x8b\x08\0").unwrap();
    for (arguments, expected) in [
        (&["--shard", "1/2"][..], "standard input: a part is found by its place in a file on disk"),
        (&["--shard", "1/2", "in", "-"], "standard input: a part is found"),
        (&["--shard", "1/2", "packed"], "packed: is compressed or UTF-16"),
    ] {
        let mut run = Program::with_model("no/such/model");
        let outcome = run.args(arguments).current_dir(&directory).run("w010\n");
        assert_eq!(outcome.status, 2);
        assert!(outcome.error().contains(expected), "{}", outcome.error());
    }
    let outcome = program(directory.path(), &["--shard", "0/2"], &["in"]).run("");
    assert_eq!(outcome.status, 2);
    assert!(outcome.stderr.contains("add 1 to an index that is counted from 0"), "{}", outcome.stderr);
    let outcome = program(directory.path(), &["--shard", "1/2", "--resume", "-o", "in"], &["in"]).run("");
    assert_eq!(outcome.status, 2);
    assert!(outcome.error().contains("would be added to the input"), "{}", outcome.error());
}
