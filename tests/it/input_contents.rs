//! What may be in an input file: text, packed or not; and what a file that is no text is called.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::program::{Program, model};

const TEXT: &str = "w010 w011\n\nw012 w013 w014\n";

fn translated(input: &[u8]) -> String {
    Program::with_model(model("marian_relu")).run(input).quiet()
}

/// `bytes` packed by a program of the system; `None` where it is not installed.
fn packed(program: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let started =
        Command::new(program).arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = started else {
        println!("SKIPPED: {program} is not installed");
        return None;
    };
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    Some(child.wait_with_output().unwrap().stdout)
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(unit).collect()
}

#[test]
fn compressed_text_is_read_by_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let plain = translated(TEXT.as_bytes());
    for program in ["gzip", "bzip2", "xz", "zstd"] {
        let Some(bytes) = packed(program, TEXT.as_bytes()) else { continue };
        assert_eq!(translated(&bytes), plain, "{program} on standard input");
        assert_eq!(translated(&[bytes.clone(), bytes.clone()].concat()), plain.repeat(2), "{program}, two members");
        // Its first bytes say what it is, not its name.
        let file = directory.path().join(program);
        fs::write(&file, &bytes).unwrap();
        assert_eq!(Program::with_model(model("marian_relu")).arg(&file).run("").quiet(), plain, "{program} in a file");
        let eval = |file: &PathBuf| Program::new().args(["eval", "--reference"]).args([file, file]).run("").success();
        let as_text = directory.path().join("text");
        fs::write(&as_text, TEXT).unwrap();
        assert_eq!(eval(&file), eval(&as_text), "{program} in eval");
        let pairs = TEXT.replace("w010 ", "w010\t").replace("w012 ", "w012\t");
        let score = |bytes: &[u8]| Program::new().arg("score").arg("-m").arg(model("marian_relu")).run(bytes).success();
        assert_eq!(score(&packed(program, pairs.as_bytes()).unwrap()), score(pairs.as_bytes()), "{program} in score");
        // Half a file gives its lines and says that something is missing.
        let long = "w010 w011\n".repeat(20_000);
        let half = packed(program, long.as_bytes()).unwrap();
        let outcome = Program::with_model(model("marian_relu")).args(["-b", "1", "-q"]).run(&half[..half.len() / 2]);
        assert_eq!(outcome.status, 1, "{program}");
        assert!(outcome.stderr.contains("standard input"), "{program}: {}", outcome.stderr);
    }
}

#[test]
fn utf16_with_a_byte_order_mark_is_read_by_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let windows = TEXT.replace('\n', "\r\n");
    for bytes in [utf16(&windows, u16::to_le_bytes), utf16(TEXT, u16::to_be_bytes)] {
        assert_eq!(translated(&bytes), translated(TEXT.as_bytes()));
        let file = directory.path().join("text");
        fs::write(&file, &bytes).unwrap();
        let outcome = Program::new().args(["eval", "--reference"]).args([&file, &file]).run("");
        assert!(outcome.success().contains("100.00"));
        if let Some(bytes) = packed("gzip", &bytes) {
            assert_eq!(translated(&bytes), translated(TEXT.as_bytes()), "and packed");
        }
    }
}

#[test]
fn a_file_that_is_no_text_is_refused_by_its_kind_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let good = directory.path().join("good");
    fs::write(&good, "w010\n").unwrap();
    for (bytes, kind) in [
        (&b"%PDF-1.7\n%\xe2\xe3\n1 0 obj\n"[..], "a PDF document"),
        (b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0[Content_Types].xml\0\0word/document.xml", "a Word document (DOCX)"),
        (b"\x7fELF\x02\x01\x01\0", "a program (ELF)"),
        (b"\x89PNG\r\n\x1a\n\0\0", "a picture (PNG)"),
    ] {
        let file = directory.path().join("file");
        fs::write(&file, bytes).unwrap();
        let mut translate = Program::with_model(model("marian_relu"));
        let outcomes = [
            translate.args([&good, &file]).run(""),
            Program::with_model(model("marian_relu")).run(bytes),
            Program::new().args(["eval", "--reference"]).args([&file, &good]).run(""),
            Program::new().arg("score").arg("-m").arg(model("marian_relu")).arg(&file).run(""),
        ];
        for outcome in outcomes {
            assert_eq!(outcome.status, 1, "{}", outcome.stderr);
            assert!(outcome.error().contains(&format!("is {kind}, not text")), "{}", outcome.error());
        }
    }
}

#[test]
fn nul_characters_are_named() {
    let outcome = Program::with_model(model("marian_relu")).run("w010\nw0\x0011\nw012\0\n");
    assert_eq!((outcome.status, outcome.stdout.lines().count()), (0, 3));
    assert_eq!(outcome.stderr, "translate: NUL characters (is this text?) in 2 lines: standard input line 2, 3\n");
}

#[test]
fn a_prefix_longer_than_any_translation_is_refused() {
    let long = "w010 ".repeat(20_000);
    let mut translate = Program::with_model(model("marian_relu"));
    let json = serde_json::json!({ "text": "w010", "target_prefix": long }).to_string();
    let outcome =
        translate.args(["--json-input", "--max-length", "30"]).run(format!("{json}\n{{\"text\": \"w011\"}}\n"));
    assert_eq!((outcome.status, outcome.stdout.lines().count()), (1, 2));
    assert!(outcome.stderr.contains("line 1: the prefix has 20000 pieces, but a whole translation has at most 31"));
    let outcome = Program::with_model(model("marian_relu")).args(["--prefix", &long]).run("w010\n");
    assert!(outcome.status == 2 && outcome.error().contains("--prefix: the prefix has 20000 pieces"));
    let outcome =
        Program::new().arg("score").arg("-m").arg(model("marian_relu")).run(format!("w010\t{long}\nw010\tw011\n"));
    assert_eq!((outcome.status, outcome.stdout.lines().count()), (1, 2));
    assert!(outcome.stderr.contains("line 1: the translation has more than 4096 pieces"), "{}", outcome.stderr);
}

#[test]
fn more_tokens_to_draw_from_than_there_are_is_all_of_them() {
    let draw = |k: &str| {
        let mut translate = Program::with_model(model("marian_relu"));
        translate.args(["--sampling", "--top-k", k]).run(TEXT).success()
    };
    let all = draw("0");
    for k in ["64", "6000", "1000000000000", "18446744073709551615"] {
        assert_eq!(draw(k), all, "{k}");
    }
}

/// The result of a line of JSON.
fn json(input: &str) -> crate::program::Outcome {
    Program::with_model(model("marian_relu")).args(["--json-input", "--format", "json"]).run(input)
}

#[test]
fn fields_come_back_as_they_were_written() {
    let fields = r#""big":12345678901234567890123,"price":1.10,"e":1e2,"zero":-0,"huge":1e400,"\u00fcber":"\u00fc\/","a":{"b" : [1.0, {"c":2.50}]},"a":1"#;
    let line = json(&format!("{{{fields},\"text\":\"w010\"}}\n")).quiet();
    assert!(line.starts_with(&format!("{{{fields},\"text\":\"w010\",\"translation\":")), "{line}");
    // The order, too, when the text is in the middle, and of a line that fails.
    let line = json("{\"z\":1.50,\"text\":\"w010\",\"y\":2e0}\n").quiet();
    assert!(line.starts_with("{\"z\":1.50,\"text\":\"w010\",\"y\":2e0,\"translation\":"), "{line}");
    let failed = json("{\"z\":1.50,\"text\":5,\"y\":2e0}\n");
    assert!(failed.stdout.starts_with("{\"z\":1.50,\"text\":5,\"y\":2e0,\"error\":"), "{}", failed.stdout);
}

#[test]
fn a_field_that_a_result_has_the_name_of_is_left_out_with_a_word() {
    let outcome =
        json("{\"score\":7,\"translation\":\"mine\",\"id\":1,\"text\":\"w010\"}\n{\"score\":7,\"text\":\"w011\"}\n");
    assert_eq!(
        outcome.stderr,
        "translate: fields of the input are left out, as results have their names: \"score\", \"translation\"\n"
    );
    for line in outcome.success().lines() {
        assert_eq!((line.matches("\"score\"").count(), line.matches("\"translation\"").count()), (1, 1), "{line}");
        assert!(!line.contains("mine"), "{line}");
    }
}

#[test]
fn a_translation_that_repeats_itself_is_named_in_text_as_well() {
    let input = crate::pipeline::lines(250);
    let arguments = ["--beam-size", "1"];
    let translate = |more: &[&str]| Program::with_model(model("marian_relu")).args(arguments).args(more).run(&input);
    let loops = translate(&["--format", "json"]).stdout.matches("\"looping\":true").count();
    assert!(loops > 1, "the test needs some");
    let warnings = translate(&[]).stderr;
    assert!(warnings.contains(&format!("{loops} translations repeat themselves over and over")), "{warnings}");
    assert_eq!(translate(&["--quiet"]).stderr, "");
}

#[test]
fn translations_of_an_unlikely_length_are_named() {
    let arguments = ["--beam-size", "1", "--no-repeat-ngram", "3"];
    let input = crate::pipeline::lines(100);
    let translate = |more: &[&str]| Program::with_model(model("marian_relu")).args(arguments).args(more).run(&input);
    let unlikely = translate(&["--format", "json"]).stdout.matches("\"unlikely_length\":true").count();
    assert!(unlikely > 1, "the test needs some");
    let said = translate(&[]).odd_lengths;
    assert!(said.starts_with(&format!("translate: {unlikely} translations are empty or far longer")), "{said}");
    assert_eq!(translate(&["--quiet"]).odd_lengths, "");
    let likely = Program::new().run("Ein Hund.\n\u{200b}\n=\n");
    assert_eq!((likely.odd_lengths, likely.stdout.lines().count()), (String::new(), 3));
}
