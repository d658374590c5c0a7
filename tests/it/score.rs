//! `translate score` through the real program, against log-probabilities from PyTorch.

use serde::Deserialize;
use serde_json::Value;

use crate::program::{self, Program};

#[derive(Deserialize)]
struct Expected {
    sources: Vec<Vec<usize>>,
    forced: Vec<Forced>,
}

/// A target, sentence end included, and the sum of its log-probabilities.
#[derive(Deserialize)]
struct Forced {
    tokens: Vec<usize>,
    log_prob: f64,
}

/// A pair of lines and what the reference says of it.
struct Pair {
    source: String,
    target: String,
    tokens: usize,
    log_prob: f64,
}

/// The words with these numbers, the sentence end left out; `None` if a token is not a word.
fn words(vocabulary: &str, tokens: &[usize]) -> Option<String> {
    let vocabulary: Vec<&str> = vocabulary.lines().collect();
    let words: Option<Vec<&str>> = tokens[..tokens.len() - 1]
        .iter()
        .map(|&token| vocabulary.get(token).copied().filter(|word| !word.starts_with('<')))
        .collect();
    words.map(|words| words.join(" "))
}

/// The forced targets of a model that can be written as text.
fn pairs(name: &str) -> Vec<Pair> {
    let read = |file: &str| std::fs::read_to_string(program::model(name).join(file)).unwrap();
    let expected: Expected = serde_json::from_str(&read("expected.json")).unwrap();
    let (source_words, target_words) = (read("source_vocab.txt"), read("target_vocab.txt"));
    let pairs: Vec<Pair> = expected
        .sources
        .iter()
        .zip(expected.forced)
        .filter_map(|(source, forced)| {
            // The GRU's sources begin with a start token, which is not written.
            let source = if name == "gru" { &source[1..] } else { source };
            Some(Pair {
                source: words(&source_words, source)?,
                target: words(&target_words, &forced.tokens)?,
                tokens: forced.tokens.len(),
                log_prob: forced.log_prob,
            })
        })
        .collect();
    assert!(pairs.len() >= 3, "{name} has only {} pairs of plain words", pairs.len());
    pairs
}

/// Runs `score` and insists that it succeeds.
fn score(name: &str, options: &[&str], stdin: &str) -> String {
    Program::new().args(["score", "--model"]).arg(program::model(name)).args(options).run(stdin).success()
}

fn tab_separated(pairs: &[Pair]) -> String {
    pairs.iter().map(|pair| format!("{}\t{}\n", pair.source, pair.target)).collect()
}

#[test]
fn log_probabilities_equal_forced_decoding_in_the_reference() {
    for name in ["marian_relu", "marian_gelu_bias", "marian_swish_untied", "marian_unscaled", "gru"] {
        let pairs = pairs(name);
        let output = score(name, &[], &tab_separated(&pairs));
        assert_eq!(output.lines().count(), pairs.len());
        for (pair, line) in pairs.iter().zip(output.lines()) {
            let (log_prob, perplexity) = line.split_once('\t').unwrap();
            let (log_prob, perplexity): (f64, f64) = (log_prob.parse().unwrap(), perplexity.parse().unwrap());
            assert!((log_prob - pair.log_prob).abs() < 1e-4, "{name}: {log_prob} instead of {}", pair.log_prob);
            let expected = (-pair.log_prob / pair.tokens as f64).exp();
            assert!((perplexity / expected - 1.0).abs() < 1e-4, "{name}: {perplexity} instead of {expected}");
        }
    }
}

#[test]
fn two_files_score_like_tab_separated_lines() {
    let pairs = pairs("marian_relu");
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let lines = |text: fn(&Pair) -> &str| pairs.iter().map(|pair| format!("{}\n", text(pair))).collect::<String>();
    std::fs::write(path("source"), lines(|pair| &pair.source)).unwrap();
    std::fs::write(path("target"), lines(|pair| &pair.target)).unwrap();
    let together = score("marian_relu", &[], &tab_separated(&pairs));
    assert_eq!(score("marian_relu", &[&path("source"), "--target", &path("target")], ""), together);
}

#[test]
fn the_summary_adds_up_the_lines() {
    let pairs = pairs("gru");
    let output = score("gru", &["--summary", "--json"], &tab_separated(&pairs));
    let object: Value = serde_json::from_str(&output).unwrap();
    let log_prob: f64 = pairs.iter().map(|pair| pair.log_prob).sum();
    let tokens: usize = pairs.iter().map(|pair| pair.tokens).sum();
    assert!((object["log_prob"].as_f64().unwrap() - log_prob).abs() < 1e-3);
    assert_eq!(object["tokens"], tokens);
    assert_eq!(object["pairs"], pairs.len());
    let perplexity = (-log_prob / tokens as f64).exp();
    assert!((object["perplexity"].as_f64().unwrap() / perplexity - 1.0).abs() < 1e-4);
}

#[test]
fn word_scores_add_up_to_the_line() {
    let pair = &pairs("marian_relu")[1];
    let output = score("marian_relu", &["--json", "--word-scores"], &format!("{}\t{}\n", pair.source, pair.target));
    let object: Value = serde_json::from_str(&output).unwrap();
    let scores: Vec<f64> =
        object["word_scores"].as_array().unwrap().iter().map(|score| score.as_f64().unwrap()).collect();
    assert_eq!(scores.len(), pair.tokens);
    assert_eq!(object["pieces"].as_array().unwrap().len(), pair.tokens);
    assert!((scores.iter().sum::<f64>() - pair.log_prob).abs() < 1e-4);
}

#[test]
fn the_batch_does_not_change_the_scores() {
    let lines = tab_separated(&pairs("marian_relu"));
    assert_eq!(score("marian_relu", &["--batch-size", "1"], &lines), score("marian_relu", &[], &lines));
}

#[test]
fn a_line_without_a_tab_fails_alone_and_keeps_its_place() {
    let model = program::model("marian_relu").display().to_string();
    let outcome = program::run(&["score", "--model", &model], "w010\tw011\nw010 w011\n\nw010\tw011\n");
    assert_eq!(outcome.status, 1);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), 4);
    assert_eq!((lines[1], lines[2]), ("", ""));
    assert_eq!(lines[0], lines[3]);
    assert!(outcome.stderr.contains("standard input: line 2: there is no tab"), "{}", outcome.stderr);
}

#[test]
fn a_summary_of_nothing_is_an_error() {
    let model = program::model("gru").display().to_string();
    let outcome = program::run(&["score", "--summary", "--model", &model], "\n");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (2, ""));
    assert!(outcome.stderr.contains("there is no pair"), "{}", outcome.stderr);
}
