//! Beams in groups, patience, and choosing by agreement.

use std::path::Path;

use serde::Deserialize;
use translate::model::Record;
use translate::search::{EarlyStopping, Sampling, SearchOptions, Source, search};
use translate::{Precision, Request, Translator, Workspace};

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

/// A model whose sentences can join others, and one whose cannot.
const JOINING: [&str; 2] = ["transformer", "gru"];

#[test]
fn what_comes_of_a_translation_is_translated_as_if_it_had_been_there_from_the_start() {
    for model in JOINING {
        let translator = Translator::load(model, Precision::F32).unwrap();
        let texts = ["Ein Hund läuft.", "Zwei Kinder spielen am Strand.", "Hallo!", "Die Frau liest ein Buch im Park."];
        let mut variants = vec![("greedy", translator.search_options()); 4];
        for (at, (name, options)) in variants.iter_mut().enumerate() {
            options.beam_size = 1;
            match at {
                1 => (*name, options.beam_size, options.n_best) = ("beam", 3, 2),
                2 => (*name, options.beam_size, options.n_best, options.beam_groups) = ("groups", 4, 2, 2),
                3 => {
                    (*name, options.n_best) = ("samples", 3);
                    options.sampling = Some(Sampling { seed: 7, top_k: 5, top_p: 1.0, temperature: 1.0 });
                }
                _ => {}
            }
        }
        for (name, mut options) in variants {
            let workspace = &mut Workspace::new(1);
            let alone = |text: &str, workspace: &mut Workspace| {
                translator.translate(&[text.into()], &options, Record::default(), workspace).unwrap().remove(0)
            };
            let whole: Vec<_> = texts.iter().map(|text| alone(text, workspace)).collect();
            options.most_sentences = 2;
            // Of the first two sentences a blank one and both others come, of one of these a last one.
            let first: Vec<Request> = texts[..2].iter().map(|&text| text.into()).collect();
            let mut found = Vec::new();
            let mut sent = 2;
            let mut come = |number: usize, translation| {
                found.push((number, translation));
                let further: Vec<Request> = match number {
                    0 => vec![" ".into(), texts[2].into(), texts[3].into()],
                    _ if found.len() == 5 => vec![texts[0].into()],
                    _ => Vec::new(),
                };
                sent += further.len();
                Ok(further)
            };
            translator.translate_on(first, &options, Record::default(), workspace, &mut come).unwrap();
            found.sort_by_key(|&(number, _)| number);
            let expected = [Some(0), Some(1), None, Some(2), Some(3), Some(0)];
            assert_eq!((found.len(), sent), (expected.len(), expected.len()), "{model}, {name}");
            for ((at, (number, translation)), expected) in found.into_iter().enumerate().zip(expected) {
                assert_eq!(at, number);
                match expected {
                    Some(text) => assert!(translation == whole[text], "{model}, {name}: {}", translation.text()),
                    None => assert_eq!(translation.text(), ""),
                }
            }
        }
    }
}

#[test]
fn constraints_go_along_with_what_comes_of_a_translation() {
    let translator = Translator::load("transformer", Precision::F32).unwrap();
    let request = |text: &str, word: &str| Request { force: vec![vec![word.to_owned()]], ..text.into() };
    let (first, second) = (request("Ein Hund läuft.", "hound"), request("Zwei Kinder spielen.", "kids"));
    let (options, workspace) = (translator.search_options(), &mut Workspace::new(1));
    let mut texts = vec![String::new(); 3];
    let mut come = |number: usize, own: translate::Translation| {
        texts[number] = own.text().to_owned();
        Ok(if number == 1 { vec![second.clone()] } else { Vec::new() })
    };
    let sent = [first, "Ein Vogel singt.".into()];
    translator.translate_on(sent.to_vec(), &options, Record::default(), workspace, &mut come).unwrap();
    assert!(texts[0].contains("hound") && texts[2].contains("kids"), "{texts:?}");
}

#[test]
fn the_attention_of_some_sentences_can_be_left_out() {
    let translator = Translator::load("transformer", Precision::F32).unwrap();
    let record = Record { cross: true, ..Record::default() };
    for beam in [1, 3] {
        let mut options = translator.search_options();
        (options.beam_size, options.most_sentences) = (beam, 1);
        let quiet = Request { unrecorded: true, ..Request::from("Ein Hund läuft.") };
        let sent = ["Ein Hund läuft.".into(), quiet, "Zwei Kinder spielen.".into()];
        for coverage in [None, Some(translate::search::CoveragePenalty { weight: 0.2 })] {
            options.coverage_penalty = coverage;
            let found = translator.translate(&sent, &options, record, &mut Workspace::new(1)).unwrap();
            let has = |at: usize| found[at].best().unwrap().hypothesis.cross_attention.is_some();
            assert_eq!([0, 1, 2].map(has), [true, false, true], "beam {beam}");
            let score = |at: usize| found[at].best().unwrap().hypothesis.score;
            assert_eq!(score(0), score(1), "a coverage penalty has its attention all the same");
        }
    }
}
