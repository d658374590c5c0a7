//! Several models that choose every token together: against the reference, and through the real program.

use std::path::Path;

use serde::Deserialize;
use translate::model::{Average, Record};
use translate::search::{SearchOptions, Source, force_decode, search};
use translate::{Precision, Translator, Workspace};

use crate::program::Program;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

#[derive(Deserialize)]
struct Expected {
    models: [String; 2],
    max_length: usize,
    beam_size: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    average: String,
    weights: Vec<f32>,
    source: Vec<u32>,
    greedy: Vec<u32>,
    beam: Vec<Hypothesis>,
    log_prob: f32,
}

#[derive(Deserialize)]
struct Hypothesis {
    tokens: Vec<u32>,
    score: f32,
}

fn load(name: &str) -> Translator {
    Translator::load(&format!("{FIXTURES}/models/{name}"), Precision::F32).unwrap()
}

fn together(names: &[&str], weights: &[f32], average: Average) -> translate::Result<Translator> {
    let others = names[1..].iter().map(|name| load(name)).collect();
    load(names[0]).with_ensemble(others, weights, average)
}

#[test]
fn an_ensemble_searches_and_scores_as_the_reference() {
    let file = std::fs::read(Path::new(FIXTURES).join("ensemble.json")).unwrap();
    let Expected { models, max_length, beam_size, cases } = serde_json::from_slice(&file).unwrap();
    let names = [models[0].as_str(), models[1].as_str()];
    let mut workspace = Workspace::new(1);
    for Case { average, weights, source, greedy, beam, log_prob } in &cases {
        let what = format!("{average}, {weights:?}, {source:?}");
        let average = if average == "probabilities" { Average::Probabilities } else { Average::LogProbabilities };
        let ensemble = together(&names, weights, average).unwrap();
        let mut options = ensemble.search_options();
        (options.beam_size, options.n_best, options.max_length) = (1, 1, max_length);
        (options.force_end, options.renormalise) = (false, false);
        let sources = [Source { ids: source.clone(), ..Source::default() }];
        let mut found = |options: &SearchOptions| {
            search(ensemble.model(), &sources, options, Record::default(), &mut workspace).unwrap().remove(0)
        };
        assert_eq!(&found(&options)[0].ids, greedy, "greedy, {what}");
        (options.beam_size, options.n_best) = (beam_size, beam_size);
        let hypotheses = found(&options);
        assert_eq!(hypotheses.len(), beam.len());
        for (own, expected) in hypotheses.iter().zip(beam) {
            assert_eq!(own.ids, expected.tokens, "beam, {what}");
            assert!((own.score - expected.score).abs() < 1e-5, "{} and {}, {what}", own.score, expected.score);
        }
        let pair = [(&source[..], &greedy[..])];
        options.banned.clear();
        let forced = force_decode(ensemble.model(), &pair, &options, Record::default(), &mut workspace).unwrap();
        assert!((forced[0].log_prob - log_prob).abs() < 1e-4, "{} and {log_prob}, {what}", forced[0].log_prob);
    }
}

#[test]
fn a_model_with_itself_is_itself() {
    let alone = load("marian_relu");
    let ensemble = together(&["marian_relu", "marian_relu"], &[2.0, 1.0], Average::Probabilities).unwrap();
    let text = "w010 w020 w030";
    assert_eq!(ensemble.translate_text(text).unwrap(), alone.translate_text(text).unwrap());
    assert_eq!(ensemble.members().len(), 1);
}

#[test]
fn target_vocabularies_that_differ_are_refused_with_the_first_difference() {
    let problem = together(&["marian_relu", "gru"], &[], Average::default()).err().unwrap().to_string();
    assert!(problem.contains("target piece 0 is `</s>` in one and `<unk>` in the other"), "{problem}");
    let problem = together(&["marian_relu", "marian_gelu_bias"], &[1.0], Average::default()).err().unwrap().to_string();
    assert!(problem.contains("2 models needs as many weights, not 1"), "{problem}");
}

#[test]
fn the_program_translates_scores_and_names_whose_attention_it_shows() {
    let model = |name: &str| format!("{FIXTURES}/models/{name}");
    let run = |arguments: &[&str], input: &str| {
        let mut program = Program::with_model(model("marian_relu"));
        program.arg("--ensemble").arg(model("marian_gelu_bias")).args(arguments).run(input)
    };
    let text = "w010 w020 w030\nw005\n";
    for arguments in
        [&["--beam-size", "1"][..], &["--beam-size", "3", "--batch-size", "1"], &["--sampling", "--seed", "3"]]
    {
        let outcome = run(arguments, text);
        assert_eq!((outcome.status, outcome.stdout.lines().count()), (0, 2), "{}", outcome.stderr);
    }
    assert_eq!(run(&["--batch-size", "1"], text).stdout, run(&[], text).stdout);
    let outcome = run(&["--alignments"], text);
    assert!(outcome.stderr.contains("marian_relu, the first model of the ensemble"), "{}", outcome.stderr);
    let mut program = Program::new();
    program.args(["score", "--model"]).arg(model("marian_relu")).arg("--ensemble").arg(model("marian_gelu_bias"));
    assert_eq!(program.run("w010\tw020\n").success().lines().count(), 1);
    let outcome = Program::with_model(model("marian_relu")).arg("--ensemble").arg(model("gru")).run("w010\n");
    assert_eq!(outcome.status, 2, "{}", outcome.stderr);
}

#[cfg(feature = "builtin-models")]
#[test]
fn models_of_different_vocabularies_are_refused() {
    let outcome = Program::with_model("transformer").args(["--ensemble", "gru"]).run("Zwei Kinder spielen.\n");
    assert_eq!(outcome.status, 2);
    assert!(outcome.error().contains("an ensemble needs one target vocabulary"), "{}", outcome.error());
}
