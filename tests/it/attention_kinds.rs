//! The tiny models of docs/attention-kinds.md do what the page says.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::Program;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/attention-kinds")
}

/// The names of the models, in alphabetical order.
fn kinds() -> Vec<String> {
    let entries = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap());
    let directories = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = directories.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn each_turns_a_row_of_digits_around() {
    assert!(kinds().len() >= 12);
    for kind in kinds().iter().filter(|kind| *kind != "none") {
        let expected = if kind == "local-monotone" { "d b e b f j\n" } else { "9 5 1 4 1 3\n" };
        assert_eq!(Program::with_model(root().join(kind)).run("3 1 4 1 5 9\n").success(), expected, "{kind}");
    }
}

#[test]
fn soft_maps_show_the_row_turned_around() {
    for kind in ["additive", "dot", "general", "hard"] {
        let mut program = Program::new();
        program.args(["attn-dump", "--format", "json", "--model"]).arg(root().join(kind));
        let map: Value = serde_json::from_str(&program.run("3 1 4 1 5 9\n").success()).unwrap();
        let rows = map["matrix"].as_array().unwrap().iter().take(6);
        for (step, row) in rows.enumerate() {
            let weights = row.as_array().unwrap().iter().map(|weight| weight.as_f64().unwrap());
            let best = weights.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at);
            // The states of neighbours tell of a digit, too.
            assert!(best.is_some_and(|best| best.abs_diff(5 - step) <= 1), "{kind}, step {step}: {row}");
        }
    }
}

#[test]
fn the_page_names_every_model() {
    let page = std::fs::read_to_string(root().join("../../docs/attention-kinds.md")).unwrap();
    for kind in kinds() {
        assert!(page.contains(&format!("`{kind}`")), "{kind}");
    }
}
