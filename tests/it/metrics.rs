//! BLEU, chrF, TER and paired bootstrap resampling against sacreBLEU: tests/reference/sacrebleu_reference.py wrote the expected lines.

use std::collections::BTreeMap;

use serde::Deserialize;
use translate::metrics::{Bleu, Chrf, Metric, PairedBootstrap, Ter, resampled_signature};

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
    comparisons: Vec<Comparison>,
}

/// Several systems and what sacreBLEU's paired bootstrap says of them.
#[derive(Deserialize)]
struct Comparison {
    seed: u64,
    resamples: usize,
    references: Vec<String>,
    systems: Vec<Vec<String>>,
    signatures: BTreeMap<String, String>,
    results: BTreeMap<String, Vec<ExpectedResult>>,
}

#[derive(Deserialize)]
struct ExpectedResult {
    p_value: Option<f64>,
    mean: f64,
    ci: f64,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    hypotheses: Vec<String>,
    references: Vec<Vec<String>>,
    scores: Vec<Expected>,
}

/// One metric's options and what sacreBLEU printed with them.
#[derive(Deserialize)]
struct Expected {
    metric: String,
    #[serde(default)]
    tokenize: String,
    #[serde(default)]
    smoothing: String,
    #[serde(default)]
    lowercase: bool,
    #[serde(default)]
    whitespace: bool,
    #[serde(default)]
    word_order: usize,
    #[serde(default)]
    normalized: bool,
    #[serde(default)]
    no_punct: bool,
    #[serde(default)]
    asian_support: bool,
    #[serde(default)]
    case_sensitive: bool,
    signature: String,
    corpus: String,
    value: f64,
    sentence_signature: String,
    sentences: Vec<String>,
}

impl Expected {
    /// Our metric with the same options.
    fn metric(&self, sentence_level: bool) -> Box<dyn Metric> {
        match self.metric.as_str() {
            "bleu" => Box::new(Bleu {
                tokenizer: self.tokenize.parse().unwrap(),
                lowercase: self.lowercase,
                smoothing: self.smoothing.parse().unwrap(),
                effective_order: sentence_level,
            }),
            "ter" => Box::new(Ter {
                normalized: self.normalized,
                no_punctuation: self.no_punct,
                asian_support: self.asian_support,
                case_sensitive: self.case_sensitive,
            }),
            _ => Box::new(Chrf {
                word_order: self.word_order,
                lowercase: self.lowercase,
                whitespace: self.whitespace,
                ..Chrf::default()
            }),
        }
    }
}

/// The committed cases, or those of the file that TRANSLATE_SACREBLEU_CASES names.
fn fixture() -> Fixture {
    let text = match std::env::var_os("TRANSLATE_SACREBLEU_CASES") {
        Some(path) => std::fs::read_to_string(path).unwrap(),
        None => include_str!("../fixtures/sacrebleu.json").to_owned(),
    };
    serde_json::from_str::<Fixture>(&text).unwrap()
}

fn cases() -> Vec<Case> {
    fixture().cases
}

/// Calls `check` with every case and every metric scored on it.
fn for_each(check: impl Fn(&Case, &Expected, &str)) {
    for case in cases() {
        for expected in &case.scores {
            check(&case, expected, &format!("{}: {}", case.name, expected.signature));
        }
    }
}

/// A signature without its version, which names the program and so must differ.
fn without_version(signature: &str) -> &str {
    signature.rsplit_once("|version:").expect("every signature ends with a version").0
}

#[test]
fn there_are_at_least_twenty_cases() {
    assert!(cases().len() >= 20);
}

#[test]
fn corpus_scores_equal_sacrebleu() {
    for_each(|case, expected, name| {
        let hypotheses: Vec<&str> = case.hypotheses.iter().map(String::as_str).collect();
        let references: Vec<Vec<&str>> =
            case.references.iter().map(|set| set.iter().map(String::as_str).collect()).collect();
        let score = expected.metric(false).corpus_score(&hypotheses, &references).unwrap();
        assert_eq!(score.format(2, None), expected.corpus, "{name}");
        assert!((score.value - expected.value).abs() < 1e-9, "{name}: {} instead of {}", score.value, expected.value);
    });
}

#[test]
fn sentence_scores_equal_sacrebleu() {
    for_each(|case, expected, name| {
        let metric = expected.metric(true);
        for (line, (hypothesis, printed)) in case.hypotheses.iter().zip(&expected.sentences).enumerate() {
            let references: Vec<&str> = case.references.iter().map(|set| set[line].as_str()).collect();
            let score = metric.sentence_score(hypothesis, &references);
            assert_eq!(&score.format(2, None), printed, "{name}, line {}", line + 1);
        }
    });
}

#[test]
fn signatures_equal_sacrebleu_but_for_the_version() {
    for_each(|case, expected, name| {
        for (sentence_level, signature) in [(false, &expected.signature), (true, &expected.sentence_signature)] {
            let ours = expected.metric(sentence_level).signature(case.references.len());
            assert_eq!(without_version(&ours), without_version(signature), "{name}");
            assert!(ours.ends_with(concat!("|version:translate-", env!("CARGO_PKG_VERSION"))), "{ours}");
        }
    });
}

/// The same lines are drawn, so the p-values are the same numbers, not similar ones. Means and intervals differ by the
/// 32-bit floats that sacreBLEU resamples with.
#[test]
fn paired_bootstrap_resampling_equals_sacrebleu() {
    for comparison in fixture().comparisons {
        for (name, results) in &comparison.results {
            let metric: Box<dyn Metric> = match name.as_str() {
                "BLEU" => Box::new(Bleu::default()),
                "TER" => Box::new(Ter::default()),
                _ => Box::new(Chrf::default()),
            };
            let statistics = |lines: &Vec<String>| {
                let pairs = lines.iter().zip(&comparison.references);
                pairs.map(|(line, reference)| metric.statistics(line, &[reference])).collect()
            };
            let systems: Vec<Vec<_>> = comparison.systems.iter().map(statistics).collect();
            let bootstrap = PairedBootstrap { resamples: comparison.resamples, seed: comparison.seed };
            for (number, (ours, expected)) in bootstrap.compare(&*metric, &systems).iter().zip(results).enumerate() {
                let case = format!("{name}, seed {}, system {number}", comparison.seed);
                // A resample more or less would change it by 1e-3; the last bit is what reading JSON may lose.
                let difference = ours.p_value.unwrap_or(-1.0) - expected.p_value.unwrap_or(-1.0);
                assert!(difference.abs() < 1e-12, "{case}: {:?} and {:?}", ours.p_value, expected.p_value);
                assert!((ours.mean - expected.mean).abs() < 1e-4, "{case}: {} and {}", ours.mean, expected.mean);
                assert!((ours.interval - expected.ci).abs() < 1e-4, "{case}: {} and {}", ours.interval, expected.ci);
            }
            let signature = resampled_signature(&metric.signature(1), bootstrap);
            assert_eq!(without_version(&signature), without_version(&comparison.signatures[name]));
        }
    }
}
