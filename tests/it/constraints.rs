//! Words that translations must have: the search against looking at everything, and the real program.

use translate::Workspace;
use translate::model::Record;
use translate::search::{Constraints, EarlyStopping, Form, Hypothesis, SearchOptions, Source, search};

use crate::tiny_model::{END, TinyModel};

const LIMIT: usize = 5;

fn options(beam_size: usize) -> SearchOptions {
    let mut options = SearchOptions::default();
    (options.start_token, options.end_token) = (END, END);
    (options.beam_size, options.max_length) = (beam_size, LIMIT);
    // Nothing is given up before it cannot win.
    options.early_stopping = EarlyStopping::Never;
    options
}

/// The forms of a word, each of several tokens.
type Forms = Vec<Vec<u32>>;

fn constraints(words: &[Forms]) -> Constraints {
    let form = |tokens: &Vec<u32>| Form { tokens: tokens.clone(), ..Form::default() };
    Constraints::new(words.iter().map(|forms| forms.iter().map(form).collect()).collect(), Default::default(), LIMIT)
}

/// Whether a sentence has all words, none of whose tokens are those of another: each is there by itself as often as it is asked for.
fn has_all(words: &[Forms], sentence: &[u32]) -> bool {
    words.iter().all(|forms| {
        let wanted = words.iter().filter(|other| *other == forms).count();
        let ends = |at: usize| forms.iter().find(|form| sentence[at..].starts_with(form)).map(|form| at + form.len());
        let (mut at, mut count) = (0, 0);
        while at < sentence.len() {
            let end = ends(at);
            count += usize::from(end.is_some());
            at = end.unwrap_or(at + 1);
        }
        count >= wanted
    })
}

fn cases() -> Vec<Vec<Forms>> {
    vec![
        vec![vec![vec![2]]],
        vec![vec![vec![2, 3]]],
        vec![vec![vec![2, 2, 3]]],
        vec![vec![vec![1]], vec![vec![4, 3]]],
        vec![vec![vec![2]], vec![vec![2]]],
        vec![vec![vec![1, 2], vec![3]]],
        vec![vec![vec![1], vec![2]], vec![vec![3], vec![4, 4]]],
    ]
}

fn found(model: &TinyModel, sources: &[Source], options: &SearchOptions) -> Vec<Vec<Hypothesis>> {
    search(model, sources, options, Record::default(), &mut Workspace::new(1)).unwrap()
}

#[test]
fn a_beam_wide_enough_finds_the_best_of_all_sentences_with_the_words() {
    let options = options(2000);
    for seed in 0..4 {
        let model = TinyModel { vocabulary: 5, seed };
        for words in cases() {
            let source = Source { constraints: constraints(&words), ..TinyModel::sources(1).remove(0) };
            let all = model.everything(&source.ids, LIMIT);
            let having = all.iter().filter(|(sentence, ..)| has_all(&words, sentence));
            let best = having
                .map(|(sentence, sum, length)| (sum / *length as f32, sentence))
                .max_by(|a, b| a.0.total_cmp(&b.0));
            let (score, sentence) = best.unwrap();
            let own = &found(&model, &[source], &options)[0][0];
            assert_eq!(&own.ids, sentence, "seed {seed}, {words:?}");
            assert!((own.score - score).abs() < 1e-5, "{} and {score}", own.score);
        }
    }
}

#[test]
fn any_beam_has_the_words_and_nothing_depends_on_the_batch() {
    for beam_size in [1, 2, 3, 8] {
        let options = options(beam_size);
        let model = TinyModel { vocabulary: 5, seed: 7 };
        let mut sources = TinyModel::sources(3 * cases().len() as u32);
        // Every third sentence is free.
        let words = |at: usize| if !at.is_multiple_of(3) { cases().remove(at / 3) } else { Vec::new() };
        for (at, source) in sources.iter_mut().enumerate() {
            source.constraints = constraints(&words(at));
        }
        let together = found(&model, &sources, &options);
        for (at, source) in sources.iter().enumerate() {
            assert_eq!(found(&model, std::slice::from_ref(source), &options)[0], together[at]);
            assert!(
                has_all(&words(at), &together[at][0].ids),
                "beam {beam_size}, {:?}: {:?}",
                words(at),
                together[at][0].ids
            );
            if source.constraints.is_empty() {
                let free = Source { constraints: Constraints::default(), ..source.clone() };
                assert_eq!(found(&model, &[free], &options)[0], together[at], "as ever");
            }
        }
    }
}

#[test]
fn what_cannot_be_met_is_left_and_the_rest_is_met() {
    let model = TinyModel { vocabulary: 5, seed: 3 };
    let mut options = options(4);
    options.banned = vec![3];
    let source = |words: &[Forms]| Source { constraints: constraints(words), ..TinyModel::sources(1).remove(0) };
    let free = found(&model, &TinyModel::sources(1), &options);
    assert_eq!(found(&model, &[source(&[vec![vec![3]]])], &options), free, "as without");
    let words = [vec![vec![3]], vec![vec![4]]];
    let own = &found(&model, &[source(&words)], &options)[0][0];
    assert!(own.ids.contains(&4) && !own.ids.contains(&3), "{:?}", own.ids);
    let too_long = [vec![vec![1; 9]]];
    assert_eq!(found(&model, &[source(&too_long)], &options), free);
}

#[cfg(feature = "builtin-models")]
mod program {
    use serde_json::Value;

    use crate::program::Program;

    fn run(model: &str, arguments: &[&str], glossary: &str, input: &str) -> (Vec<String>, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), glossary).unwrap();
        let mut program = Program::with_model(model);
        program.arg("--glossary").arg(file.path()).args(arguments);
        let outcome = program.run(input);
        assert_eq!(outcome.status, 0, "{}", outcome.stderr);
        (outcome.stdout.lines().map(str::to_owned).collect(), outcome.stderr)
    }

    #[test]
    fn a_glossary_decides_how_a_term_is_translated() {
        let glossary = "# German\tEnglish\nHund\thound\nStrand\tseashore|seaside\n";
        let input = "Ein Hund läuft am Strand.\nEine Katze schläft.\n\nHunde bellen.\n";
        for model in ["transformer", "gru"] {
            for beam in ["1", "5"] {
                let (lines, stderr) = run(model, &["--beam-size", beam], glossary, input);
                let has =
                    |word: &str| lines[0].to_lowercase().split(|c: char| !c.is_alphabetic()).any(|own| own == word);
                assert!(has("hound") && (has("seashore") || has("seaside")), "{model}: {}", lines[0]);
                let free = Program::with_model(model).args(["--beam-size", beam]).run(input).success();
                let free: Vec<&str> = free.lines().collect();
                assert_eq!(lines[1..], free[1..], "lines without a term are translated as ever");
                assert_eq!(stderr.contains("said once"), beam == "1", "{stderr}");
                assert!(!stderr.contains("lacks"), "{stderr}");
            }
        }
    }

    #[test]
    fn a_term_is_met_in_its_own_sentence_and_beside_protected_text() {
        let glossary = "Hund\thound\n";
        let input = "Die Katze schläft. Der Hund bellt laut. Siehe https://tiere.example.org/hund.html.\n";
        let (lines, _) = run("transformer", &[], glossary, input);
        let sentences: Vec<&str> = lines[0].split(". ").collect();
        assert!(!sentences[0].contains("hound") && sentences[1].contains("hound"), "{}", lines[0]);
        assert!(lines[0].contains("https://tiere.example.org/hund.html"), "{}", lines[0]);
    }

    #[test]
    fn a_line_of_json_says_its_own_words_and_what_is_not_met_is_said() {
        let input = "{\"text\": \"Ein Hund läuft.\", \"force\": [\"animal|beast\"]}\n\
                     {\"text\": \"Ein Hund läuft.\", \"force\": [\"a whole row of words\"], \"max_length\": 5, \"id\": 7}\n\
                     {\"text\": \"Ein Hund läuft.\", \"force\": \"animal\"}\n";
        let mut program = Program::with_model("transformer");
        let outcome = program.args(["--json-input", "--format", "json"]).run(input);
        let lines: Vec<Value> = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let translation = lines[0]["translation"].as_str().unwrap();
        assert!(translation.contains("animal") || translation.contains("beast"), "{translation}");
        assert!(lines[0].get("force").is_none() && lines[0].get("constraints_unmet").is_none(), "{}", lines[0]);
        assert_eq!(lines[1]["constraints_unmet"], serde_json::json!(["a whole row of words"]));
        assert_eq!((&lines[1]["translation"], &lines[1]["id"]), (&"A dog is running".into(), &7.into()), "as without");
        assert!(lines[2]["error"].as_str().unwrap().contains("\"force\" must be a list of words"), "{}", lines[2]);
        assert!(outcome.stderr.contains("line 2: the translation lacks `a whole row of words`"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("1 line lacks words of"), "{}", outcome.stderr);
    }

    #[test]
    fn a_forced_word_is_whole_and_any_batch_gives_the_same() {
        let input = "Ein Mann schläft.\nZwei Kinder spielen am Strand. Die Sonne scheint.\n".repeat(3);
        let run = |batch| {
            let mut program = Program::with_model("transformer");
            program.args(["--force", "dog", "--force", "very", "--batch-size", batch]).run(input.clone()).success()
        };
        let alone = run("1");
        assert_eq!(alone, run("32"));
        for line in alone.lines() {
            let words: Vec<&str> = line.split(|c: char| !c.is_alphabetic()).collect();
            assert!((words.contains(&"dog") || words.contains(&"Dog")) && words.contains(&"very"), "{line}");
        }
    }

    #[test]
    fn a_glossary_that_cannot_be_read_is_named_and_draws_are_refused() {
        let run = |glossary: &str, arguments: &[&str]| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), glossary).unwrap();
            Program::new().arg("--glossary").arg(file.path()).args(arguments).run("Ein Hund.\n")
        };
        let outcome = run("Hund\tdog\nKatze cat\n", &[]);
        assert_eq!(outcome.status, 2);
        assert!(outcome.stderr.contains("line 2: there is no tab"), "{}", outcome.stderr);
        assert_eq!(run("Hund\tdog\n", &["--sampling"]).status, 2);
    }
}
