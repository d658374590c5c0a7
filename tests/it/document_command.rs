//! `translate document` as a person runs it, with the built-in model.

use std::path::Path;

use crate::program::Program;

const SUBTITLES: &str =
    "1\n00:00:01,000 --> 00:00:02,500\nEin Hund rennt.\n\n2\n00:00:03,000 --> 00:00:04,000\nDer Schnee ist weiß.\n";

fn document() -> Program {
    let mut program = Program::new();
    program.arg("document");
    program
}

fn write(directory: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_pipe_gets_the_document_and_standard_error_says_what_was_done() {
    let outcome = document().args(["--type", "srt"]).run(SUBTITLES);
    assert!(outcome.stdout.starts_with("1\n00:00:01,000 --> 00:00:02,500\nA dog "), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("standard input (srt): 2 segments, 7 words"), "{}", outcome.stderr);
    assert!(document().args(["--type", "srt", "--quiet"]).run(SUBTITLES).quiet().contains("\n\n2\n00:00:03,000 -->"));
}

#[test]
fn the_kind_is_found_by_name_or_content_and_the_output_keeps_the_name() {
    let directory = tempfile::tempdir().unwrap();
    let film = write(directory.path(), "film.srt", SUBTITLES);
    let page = write(directory.path(), "page.txt", "Ein Hund rennt.\n");
    let out = directory.path().join("out/");
    document().arg("-o").arg(&out).arg(film).arg(page).arg("--language-in-name").run("").success();
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    assert!(read("film.en.srt").contains("00:00:03,000 --> 00:00:04,000\n"));
    assert!(read("page.en.txt").starts_with("A dog "));
    let recognised = document().run(format!("WEBVTT\n\n{}", &SUBTITLES[2..].replace(',', "."))).success();
    assert!(recognised.starts_with("WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nA dog "), "{recognised}");
}

#[test]
fn a_damaged_document_costs_only_itself() {
    let directory = tempfile::tempdir().unwrap();
    let damaged = write(directory.path(), "letter.docx", "PK, but no archive");
    let film = write(directory.path(), "film.srt", SUBTITLES);
    let out = directory.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let outcome = document().arg("-o").arg(&out).arg(&damaged).arg(film).run("");
    assert_eq!(outcome.status, 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("letter.docx: "), "{}", outcome.stderr);
    assert!(out.join("film.srt").exists() && !out.join("letter.docx").exists());
    assert_eq!(document().arg(damaged).run("").status, 1);
}

#[test]
fn a_document_never_replaces_its_source() {
    let directory = tempfile::tempdir().unwrap();
    let film = write(directory.path(), "film.srt", SUBTITLES);
    for output in [film.clone(), directory.path().to_owned()] {
        let outcome = document().arg(&film).arg("-o").arg(output).run("");
        assert_eq!(outcome.status, 2);
        assert!(outcome.error().contains("would replace its source"), "{}", outcome.stderr);
    }
    assert_eq!(std::fs::read_to_string(film).unwrap(), SUBTITLES);
}

#[test]
fn what_is_no_document_is_refused_in_one_line() {
    let outcome = document().args(["--type", "tiff"]).run("x");
    assert_eq!(outcome.status, 2);
    assert!(outcome.stderr.contains("srt"), "the kinds are named: {}", outcome.stderr);
    assert_eq!(document().arg("no-such-file.srt").run("").status, 1);
}

#[test]
fn an_interrupted_run_goes_on_from_its_journal() {
    let directory = tempfile::tempdir().unwrap();
    let film = write(directory.path(), "film.srt", SUBTITLES);
    let out = directory.path().join("film.en.srt");
    let whole = document().arg(&film).arg("-q").run("").quiet();
    // What an earlier run finished, one line of which is made again; the second line was being written when it ended.
    let journal = directory.path().join("film.en.srt.resume");
    let entry = |text: &str, translation: &str| {
        format!(
            "{{\"text\":\"{text}\",\"translation\":\"{translation}\",\"links\":[],\"protected\":0,\"lost\":[],\"problem\":null}}\n"
        )
    };
    let first = whole.lines().nth(2).unwrap();
    std::fs::write(&journal, entry("Ein Hund rennt.", first) + "{\"text\":\"Der").unwrap();
    document().arg(&film).arg("-o").arg(&out).args(["--resume", "-q"]).run("").quiet();
    assert_eq!(std::fs::read_to_string(&out).unwrap(), whole);
    assert!(!journal.exists(), "it is of no use any more");
    std::fs::write(&journal, entry("Etwas anderes.", "Something else.")).unwrap();
    let outcome = document().arg(&film).arg("-o").arg(&out).arg("--resume").run("");
    assert_eq!(outcome.status, 1);
    assert!(outcome.error().contains("line 1 is not of a run with these documents"), "{}", outcome.stderr);
}

#[test]
fn a_report_counts_and_names_what_to_look_at() {
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("report.json");
    let page = "Der Befehl {name} hilft.\n\nDer Befehl {name} hilft.\n";
    let outcome = document().args(["--type", "text", "--report"]).arg(&report).run(page);
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    let of = |key: &str| report["documents"][0][key].as_u64();
    assert_eq!(
        (of("segments"), of("words"), of("protected"), of("kept")),
        (Some(2), Some(8), Some(2), Some(0)),
        "{report}"
    );
}

#[test]
fn a_model_without_attention_translates_documents_and_says_what_is_missing() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/attention-kinds/none");
    let outcome = document().args(["--type", "html", "--model", model]).run("<p>a <b>1</b> 2</p>\n");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.contains("<b>") && outcome.stdout.contains("</b>"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("the model has no attention"), "{}", outcome.stderr);
}
