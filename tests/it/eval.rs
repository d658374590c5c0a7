//! `translate eval` through the real program. Expected lines are what sacreBLEU 2.6.0 prints for the same files (`-w 2
//! -f text`); `metrics` compares many more.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{self, Outcome, Program};

const HYPOTHESES: &str = "The cat sat on the mat.\n\nA dog runs through the deep snow.\n";
const REFERENCES: &str = "The cat sat on a mat.\n\nA dog is running through deep snow.\n";

/// A directory with the given files.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

/// Evaluates the two texts above with more options.
fn eval(options: &[&str]) -> Outcome {
    let directory = directory(&[("hyp", HYPOTHESES), ("ref", REFERENCES)]);
    let path = |name| directory.path().join(name).display().to_string();
    let (hypotheses, references) = (path("hyp"), path("ref"));
    let mut arguments = vec!["eval", &hypotheses, "--reference", &references];
    arguments.extend(options);
    let outcome = program::run(&arguments, "");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    outcome
}

/// An output without its versions, which change with every release.
fn without_versions(text: &str) -> String {
    text.replace(concat!("|version:translate-", env!("CARGO_PKG_VERSION")), "")
}

#[test]
fn the_default_is_bleu_and_chrf_aligned_like_sacrebleu() {
    assert_eq!(
        without_versions(&eval(&[]).stdout),
        "  BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp = 33.80 80.0/53.8/27.3/11.1 \
         (BP = 1.000 ratio = 1.000 hyp_len = 15 ref_len = 15)\n\
         chrF2|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no = 58.43\n"
    );
}

#[test]
fn hypotheses_come_from_standard_input_when_no_file_is_named() {
    let directory = directory(&[("ref", REFERENCES)]);
    let reference = directory.path().join("ref");
    let outcome = program::run(&["eval".as_ref(), "--reference".as_ref(), reference.as_os_str()], HYPOTHESES);
    assert_eq!(outcome.stdout, eval(&[]).stdout);
}

#[test]
fn metrics_are_printed_once_in_the_order_asked_for() {
    let outcome = eval(&["--metric", "chrf++", "--metric", "bleu", "--metric", "chrf++", "--width", "1"]);
    let names: Vec<&str> = outcome.stdout.lines().filter_map(|line| line.trim().split('|').next()).collect();
    assert_eq!(names, ["chrF2++", "BLEU"]);
}

#[test]
fn options_reach_the_signature() {
    let outcome = eval(&["--tokenize", "intl", "--lowercase", "--smooth", "floor=0.2", "--whitespace"]);
    assert!(outcome.stdout.contains("case:lc|eff:no|tok:intl|smooth:floor[0.20]"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("case:lc|eff:yes|nc:6|nw:0|space:yes"), "{}", outcome.stdout);
}

#[test]
fn sentence_level_gives_one_line_for_each_with_effective_order() {
    let outcome = eval(&["--sentence-level"]);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), 3);
    let scores = ["48.89 85.7/66.7/40.0/25.0", "0.00 0.0/0.0/0.0/0.0", "27.05 75.0/42.9/16.7/10.0"];
    for (line, score) in lines.iter().zip(scores) {
        let (bleu, chrf) = line.split_once('\t').unwrap();
        assert!(bleu.starts_with("BLEU|nrefs:1|case:mixed|eff:yes|tok:13a|"), "{bleu}");
        assert!(bleu.contains(&format!(" = {score} (BP = 1.000 ")), "{bleu}");
        assert!(chrf.starts_with("chrF2|"), "{chrf}");
    }
}

#[test]
fn json_has_sacrebleus_keys() {
    let outcome = eval(&["--json", "--metric", "bleu"]);
    let object: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(object["name"], "BLEU");
    assert_eq!(object["score"], 33.8);
    assert_eq!(object["verbose_score"], "80.0/53.8/27.3/11.1 (BP = 1.000 ratio = 1.000 hyp_len = 15 ref_len = 15)");
    assert_eq!((&object["nrefs"], &object["tok"], &object["smooth"]), (&"1".into(), &"13a".into(), &"exp".into()));
}

#[test]
fn json_of_sentences_names_their_lines() {
    let outcome = eval(&["--json", "--sentence-level"]);
    let lines: Vec<u64> = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [1, 1, 2, 2, 3, 3]);
}

#[test]
fn several_references_are_counted() {
    let directory = directory(&[("hyp", "a b c d\n"), ("one", "a b x d\n"), ("two", "x b c d\n")]);
    let path = |name: &str| directory.path().join(name).display().to_string();
    let outcome = program::run(&["eval", &path("hyp"), "-r", &path("one"), "-r", &path("two"), "--metric", "bleu"], "");
    assert!(outcome.stdout.starts_with("BLEU|nrefs:2|"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains(" = 70.71 100.0/100.0/50.0/50.0 (BP = 1.000 "), "{}", outcome.stdout);
}

#[test]
fn a_missing_line_is_an_error_that_names_it() {
    let directory = directory(&[("hyp", "one\ntwo\nthree\n"), ("ref", "one\ntwo\n")]);
    let (hypotheses, reference) = (directory.path().join("hyp"), directory.path().join("ref"));
    let outcome = program::run(&["eval".as_ref(), hypotheses.as_os_str(), "-r".as_ref(), reference.as_os_str()], "");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (1, ""));
    assert_eq!(
        outcome.stderr,
        format!(
            "translate: {}: line 3: the file has 2 lines but {} has 3; line N must belong to line N\n",
            reference.display(),
            hypotheses.display()
        )
    );
}

#[test]
fn nothing_to_evaluate_is_an_error() {
    let directory = directory(&[("empty", "")]);
    let empty = directory.path().join("empty");
    let outcome = program::run(&["eval".as_ref(), empty.as_os_str(), "-r".as_ref(), empty.as_os_str()], "");
    assert_eq!(outcome.status, 2);
    assert!(outcome.stderr.contains("no lines to evaluate"), "{}", outcome.stderr);
}

#[test]
fn a_reference_is_required() {
    let outcome = program::run(&["eval"], "a\n");
    assert_eq!(outcome.status, 2);
    assert!(outcome.stderr.contains("--reference"), "{}", outcome.stderr);
}

/// Translating and evaluating in one go gives what both commands give one after the other.
#[test]
fn a_source_is_translated_on_the_fly() {
    for name in ["marian_relu", "gru"] {
        let model = program::model(name).display().to_string();
        let source = "w010 w020 w030\n\nw007 w008 w009 w011\n";
        let translations = program::run(&["--model", &model], source);
        assert_eq!(translations.status, 0, "{}", translations.stderr);
        let directory = directory(&[("source", source), ("ref", "w011 w021\n\nw007 w008 w012\n")]);
        let path = |name: &str| directory.path().join(name).display().to_string();
        let (source, reference, output) = (path("source"), path("ref"), path("out"));
        let given = program::run(&["eval", "-r", &reference], &translations.stdout);
        let made = program::run(&["eval", "-r", &reference, "--source", &source, "--model", &model, "-o", &output], "");
        assert_eq!(made.status, 0, "{}", made.stderr);
        assert_eq!(made.stdout, given.stdout);
        assert_eq!(std::fs::read_to_string(Path::new(&output)).unwrap(), translations.stdout);
    }
}

#[test]
fn translations_truncated_at_a_limit_are_reported() {
    let model = program::model("marian_relu").display().to_string();
    let directory = directory(&[("source", "w010 w020 w030\n"), ("ref", "w011\n")]);
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (source, reference) = (path("source"), path("ref"));
    let arguments = ["eval", "-r", &reference, "--source", &source, "--model", &model, "--max-length", "1"];
    let outcome = program::run(&[&arguments[..], &["--compat", "ctranslate2"]].concat(), "");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    assert_eq!(outcome.stderr, "translate: 1 of 1 translations are truncated at a length limit (see --max-length)\n");
}

#[test]
fn hypotheses_and_a_source_exclude_each_other() {
    let outcome = program::run(&["eval", "hyp", "--source", "src", "-r", "ref"], "");
    assert_eq!(outcome.status, 2);
    assert!(outcome.stderr.contains("cannot be used with"), "{}", outcome.stderr);
}

#[test]
fn ter_has_the_options_of_sacrebleu() {
    let outcome = eval(&["--metric", "ter", "--ter-normalized", "--ter-no-punct", "--ter-asian-support"]);
    assert_eq!(
        without_versions(&outcome.stdout),
        "TER|nrefs:1|case:lc|tok:tercom|norm:yes|punct:no|asian:yes = 30.77\n"
    );
    let outcome = eval(&["--metric", "ter", "--ter-case-sensitive"]);
    assert_eq!(
        without_versions(&outcome.stdout),
        "TER|nrefs:1|case:mixed|tok:tercom|norm:no|punct:yes|asian:no = 30.77\n"
    );
}

/// Three systems: the baseline, itself again, and a better one.
fn compare(options: &[&str]) -> Outcome {
    let directory =
        directory(&[("base", HYPOTHESES), ("same", HYPOTHESES), ("better", REFERENCES), ("ref", REFERENCES)]);
    // Names without a directory, so that the table's widths do not depend on the machine.
    let arguments = ["eval", "base", "same", "better", "-r", "ref"];
    let outcome = Program::new().current_dir(directory.path()).args([&arguments[..], options].concat()).run("");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    outcome
}

#[test]
fn several_systems_are_a_table() {
    assert_eq!(
        without_versions(&compare(&["--metric", "bleu", "--metric", "ter"]).stdout),
        "System    BLEU    TER\n\
         base     33.80  30.77\n\
         same     33.80  30.77\n\
         better  100.00   0.00\n\
         \n\
         BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp\n\
         TER|nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no\n"
    );
}

#[test]
fn paired_bootstrap_puts_p_values_beside_the_scores() {
    let outcome = compare(&["--metric", "ter", "--paired-bootstrap", "--resamples", "200", "--resample-seed", "3"]);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert!(lines[0].starts_with("System    TER"), "{}", lines[0]);
    assert!(lines[1].ends_with("baseline"), "{}", lines[1]);
    assert!(lines[2].ends_with(" 0.0050*"), "{}", lines[2]);
    assert!(lines[5].starts_with("TER|nrefs:1|bs:200|seed:3|case:lc|"), "{}", lines[5]);
}

#[test]
fn json_of_several_systems_names_them() {
    let outcome = compare(&["--metric", "bleu", "--paired-bs", "--json"]);
    let objects: Vec<Value> = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let systems: Vec<&str> = objects.iter().map(|object| object["system"].as_str().unwrap()).collect();
    assert_eq!(systems, ["base", "same", "better"]);
    assert_eq!((&objects[0]["p_value"], &objects[1]["p_value"]), (&Value::Null, &0.001.into()));
    assert_eq!((&objects[1]["score"], &objects[1]["bs"]), (&33.8.into(), &"1000".into()));
    assert_eq!(objects[1]["mean"], objects[0]["mean"]);
}

#[test]
fn comparing_needs_two_systems_of_as_many_lines() {
    let directory = directory(&[("one", "a\nb\n"), ("two", "a\n"), ("ref", "a\nb\n")]);
    let refused = |arguments: &[&str]| {
        let outcome =
            Program::new().current_dir(directory.path()).args([&["eval", "-r", "ref"], arguments].concat()).run("");
        (outcome.status, outcome.stderr)
    };
    let (status, message) = refused(&["one", "--paired-bootstrap"]);
    assert!(status == 2 && message.contains("two files of translations or more"), "{message}");
    let (status, message) = refused(&["one", "one", "--sentence-level"]);
    assert!(status == 2 && message.contains("--sentence-level is for one system"), "{message}");
    let (status, message) = refused(&["one", "two"]);
    assert!(status == 1 && message.contains("ref: line 2"), "{message}");
}
