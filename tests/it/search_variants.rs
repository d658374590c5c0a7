//! Beams in groups, patience, and choosing by agreement.

use std::path::Path;

use serde::Deserialize;
use translate::model::Record;
use translate::search::{EarlyStopping, SearchOptions, Source, search};
use translate::{Precision, Translator, Workspace};

use crate::tiny_model::{END, TinyModel};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

#[derive(Deserialize)]
struct Expected {
    model: String,
    max_length: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    beams: usize,
    groups: usize,
    diversity: f32,
    early_stopping: bool,
    source: Vec<u32>,
    hypotheses: Vec<Hypothesis>,
}

#[derive(Deserialize)]
struct Hypothesis {
    tokens: Vec<u32>,
    score: f32,
}

#[test]
fn groups_of_a_beam_search_as_the_reference_does() {
    let file = std::fs::read(Path::new(FIXTURES).join("diverse_beams.json")).unwrap();
    let Expected { model, max_length, cases } = serde_json::from_slice(&file).unwrap();
    let translator = Translator::load(&format!("{FIXTURES}/models/{model}"), Precision::F32).unwrap();
    for Case { beams, groups, diversity, early_stopping, source, hypotheses } in &cases {
        let what = format!("{beams} in {groups} groups, {diversity}, {early_stopping}, {source:?}");
        let mut options = translator.search_options();
        (options.beam_size, options.n_best, options.max_length) = (*beams, *beams, max_length);
        (options.beam_groups, options.diversity) = (*groups, *diversity);
        options.early_stopping = if *early_stopping { EarlyStopping::WhenFull } else { EarlyStopping::Heuristic };
        (options.force_end, options.renormalise) = (false, false);
        // In a batch with another sentence, on which nothing depends.
        let sources = [&source[..], &[5, 9, 0]].map(|ids| Source { ids: ids.to_vec(), ..Source::default() });
        let found = search(translator.model(), &sources, &options, Record::default(), &mut Workspace::new(1)).unwrap();
        let own: Vec<&[u32]> = found[0].iter().map(|own| &own.ids[..]).collect();
        assert_eq!(own, hypotheses.iter().map(|expected| &expected.tokens[..]).collect::<Vec<_>>(), "{what}");
        for (own, expected) in found[0].iter().zip(hypotheses) {
            assert!((own.score - expected.score).abs() < 1e-4, "{} and {}, {what}", own.score, expected.score);
            let sum: f32 = own.token_log_probs.iter().sum();
            assert!((own.log_prob - sum).abs() < 1e-4, "the model's own, without what avoiding others cost");
        }
    }
}

/// Beam search that stops once `patience` times its width have finished, as the paper writes it down: the best finished score.
fn first_come(model: &TinyModel, source: &[u32], width: usize, patience: f32, limit: usize) -> Vec<u32> {
    let mut running = vec![(Vec::new(), 0.0_f32)];
    let mut finished: Vec<(f32, Vec<u32>)> = Vec::new();
    for length in 1..=limit {
        let mut next: Vec<(Vec<u32>, f32)> = Vec::new();
        for (tokens, sum) in &running {
            for (token, log_prob) in (0..).zip(model.log_probs(source, tokens)) {
                next.push(([&tokens[..], &[token]].concat(), sum + log_prob));
            }
        }
        next.sort_by(|a, b| b.1.total_cmp(&a.1));
        running.clear();
        for (rank, (mut tokens, sum)) in next.into_iter().take(2 * width).enumerate() {
            let is_end = tokens.last() == Some(&END);
            if is_end || length == limit {
                if rank < width {
                    tokens.truncate(tokens.len() - usize::from(is_end));
                    finished.push((sum / length as f32, tokens));
                }
            } else if running.len() < width {
                running.push((tokens, sum));
            }
        }
        if finished.len() >= (patience * width as f32).ceil() as usize || running.is_empty() {
            break;
        }
    }
    finished.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap().1
}

#[test]
fn patience_waits_for_as_many_finished_translations_as_it_says() {
    let (mut differ, width, limit) = (0, 3, 8);
    for seed in 0..20 {
        let model = TinyModel { vocabulary: 5, seed };
        let sources = TinyModel::sources(2);
        let found = |patience| {
            let mut options = SearchOptions::default();
            (options.start_token, options.end_token) = (END, END);
            (options.beam_size, options.max_length, options.patience) = (width, limit, Some(patience));
            let found = search(&model, &sources, &options, Record::default(), &mut Workspace::new(1)).unwrap();
            found.into_iter().map(|mut own| own.remove(0).ids).collect::<Vec<_>>()
        };
        for patience in [0.3, 1.0, 2.0, 4.0] {
            let expected: Vec<Vec<u32>> =
                sources.iter().map(|source| first_come(&model, &source.ids, width, patience, limit)).collect();
            assert_eq!(found(patience), expected, "seed {seed}, patience {patience}");
        }
        differ += usize::from(found(0.3) != found(4.0));
    }
    assert!(differ > 0, "some are better for waiting");
}

#[cfg(feature = "builtin-models")]
mod program {
    use crate::program::Program;

    fn run(arguments: &[&str]) -> Vec<String> {
        let input = "Zwei Kinder spielen am Strand.\nEin alter Mann liest im Garten die Zeitung.\n";
        let mut program = Program::with_model("transformer");
        program.args(arguments).run(input).success().lines().map(str::to_owned).collect()
    }

    #[test]
    fn agreement_chooses_among_draws_and_beams_and_ranks_them() {
        let draws = ["--sampling", "--mbr", "chrf", "--mbr-candidates", "8"];
        let best = run(&draws);
        assert_eq!(best.len(), 2);
        assert_eq!(best, run(&[&draws[..], &["--batch-size", "1"]].concat()));
        let ranked = run(&[&draws[..], &["--n-best", "3", "--format", "tsv"]].concat());
        let first: Vec<&str> =
            ranked.iter().filter(|line| line.split('\t').nth(1) == Some("1")).map(String::as_str).collect();
        for (line, best) in first.iter().zip(&best) {
            assert!(line.ends_with(&format!("\t{best}")), "{line} and {best}");
        }
        assert_eq!(run(&["--mbr", "chrf", "--beam-size", "4"]).len(), 2);
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let problem = |arguments: &[&str]| {
            let outcome = Program::with_model("transformer").args(arguments).run("Ein Hund.\n");
            assert_eq!(outcome.status, 2, "{arguments:?}: {}", outcome.stderr);
            outcome.stderr
        };
        assert!(problem(&["--beam-size", "4", "--beam-groups", "3"]).contains("does not divide a beam of 4"));
        assert!(problem(&["--mbr", "chrf", "--beam-size", "1"]).contains("chooses among several"));
        assert!(problem(&["--mbr", "chrf", "--beam-size", "4", "--n-best", "5"]).contains("more than the 4"));
        problem(&["--diversity", "1"]);
    }
}
