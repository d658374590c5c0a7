//! Lines of several sentences, and lines that are more or less than one.

use std::fs;
use std::path::Path;

use serde_json::Value;
use translate::text::split_sentences;

use crate::program::{Outcome, Program, model};

fn run(model: &str, options: &[&str], input: &str) -> Outcome {
    Program::with_model(model).args(options).run(input)
}

fn translate(model: &str, options: &[&str], input: &str) -> String {
    run(model, options, input).quiet()
}

const HOUSE: &str = "Der Hund schläft. Die Katze trinkt Milch. Mein Bruder liest ein Buch. Es schneit.";

#[test]
fn the_table_of_lines_is_cut_as_a_person_would_cut_them() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sentences.tsv");
    let table = fs::read_to_string(table).unwrap();
    let mut count = 0;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let (language, marked) = line.split_once('\t').unwrap();
        let expected: Vec<&str> = marked.split('¦').collect();
        let text = marked.replace('¦', "");
        assert_eq!(split_sentences(&text, Some(language).filter(|language| *language != "?")), expected, "{language}");
        count += 1;
    }
    assert!(count >= 60, "{count}");
}

#[test]
fn no_sentence_of_a_line_is_lost_with_the_built_in_models() {
    for model in ["transformer", "gru"] {
        let translation = translate(model, &[], HOUSE).to_lowercase();
        for word in ["dog", "cat", "brother", "snow"] {
            assert!(translation.contains(word), "{model}: {translation}");
        }
        assert_eq!(translation.lines().count(), 1);
    }
}

#[test]
fn a_line_is_translated_as_its_sentences_are_and_keeps_their_spacing() {
    let sentences = ["Der Hund schläft.", "Die Katze trinkt Milch.", "Es schneit."];
    let alone = translate("gru", &[], &sentences.join("\n"));
    let alone: Vec<&str> = alone.lines().collect();
    let line = format!("  {}   {}\t{} \n", sentences[0], sentences[1], sentences[2]);
    for options in [&[][..], &["--batch-size", "1"], &["--threads", "2", "--batch-size", "2"]] {
        let together = translate("gru", options, &line);
        assert_eq!(together, format!("{}   {}\t{}\n", alone[0], alone[1], alone[2]), "{options:?}");
    }
}

#[test]
fn the_last_of_both_options_counts() {
    let split = translate("gru", &[], HOUSE);
    let whole = translate("gru", &["--no-split-sentences", "-q"], HOUSE);
    assert_ne!(split, whole);
    assert_eq!(translate("gru", &["--no-split-sentences", "--split-sentences"], HOUSE), split);
    assert_eq!(translate("gru", &["--split-sentences", "--no-split-sentences", "-q"], HOUSE), whole);
}

#[test]
fn other_models_keep_a_line_whole_unless_told() {
    let directory = model("marian_relu");
    let directory = directory.to_str().unwrap();
    let line = "W010 w012 w013. W020 w021 w022!\n";
    let whole = run(directory, &["-q"], line).success();
    assert_eq!(run(directory, &["-q", "--no-split-sentences"], line).success(), whole);
    assert_ne!(run(directory, &["-q", "--split-sentences"], line).success(), whole);
}

#[test]
fn json_has_the_pieces_and_the_score_of_all_sentences() {
    let json = |options: &[&str], input: &str| -> Value {
        serde_json::from_str(&translate("gru", &[&["--format", "json"], options].concat(), input)).unwrap()
    };
    let object = json(&[], HOUSE);
    let ends = object["pieces"].as_array().unwrap().iter().filter(|piece| *piece == "</s>").count();
    assert_eq!(ends, 4);
    let sentences = HOUSE.replace(". ", ".\n");
    let alone = translate("gru", &["--scores"], &sentences);
    let sum: f64 = alone.lines().map(|line| line.split('\t').next().unwrap().parse::<f64>().unwrap()).sum();
    assert!((object["score"].as_f64().unwrap() - sum).abs() < 1e-4, "{object} {sum}");
    let number = "Er wohnt seit dem 3. Jahrhundert im 2. Stock und spielt beim 1. FC Nürnberg.";
    let one = json(&[], number);
    assert_eq!(one["pieces"].as_array().unwrap().iter().filter(|piece| *piece == "</s>").count(), 1);
}

#[test]
fn the_best_translations_of_a_line_are_the_best_combinations_of_its_sentences() {
    let sentences = ["Der Hund schläft.", "Die Katze trinkt Milch."];
    let options = ["--beam-size", "4", "--n-best", "4", "--format", "tsv"];
    let list = |input: &str| -> Vec<(f64, String)> {
        let output = translate("gru", &options, input);
        let fields = output.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        fields.map(|fields| (fields[2].parse().unwrap(), fields[3].to_owned())).collect()
    };
    let (first, second) = (list(sentences[0]), list(sentences[1]));
    let mut sums = Vec::new();
    for (score, text) in &first {
        sums.extend(second.iter().map(|(other, more)| (score + other, format!("{text} {more}"))));
    }
    sums.sort_by(|a, b| b.0.total_cmp(&a.0));
    let line = list(&sentences.join(" "));
    assert_eq!(line.len(), 4);
    for ((score, text), (sum, joined)) in line.iter().zip(&sums) {
        assert!((score - sum).abs() < 1e-5, "{score} {sum}");
        assert_eq!(text, joined);
    }
}

#[test]
fn a_line_with_a_prefix_of_its_own_is_kept_whole_and_that_is_said_once() {
    let line = "{\"text\": \"Der Hund schläft. Die Katze trinkt Milch.\", \"target_prefix\": \"The dog\"}\n";
    let outcome = run("gru", &["--json-input", "--format", "json"], &line.repeat(3));
    let first: Value = serde_json::from_str(outcome.stdout.lines().next().unwrap()).unwrap();
    assert!(first["translation"].as_str().unwrap().starts_with("The dog"), "{first}");
    assert_eq!(first["pieces"].as_array().unwrap().iter().filter(|piece| *piece == "</s>").count(), 1);
    let said: Vec<&str> = outcome.stderr.lines().filter(|line| line.contains("takes it whole")).collect();
    assert_eq!(said.len(), 1, "{}", outcome.stderr);
    assert!(said[0].contains("standard input: line 1: it looks like 2 sentences"), "{}", said[0]);
}

#[test]
fn commands_that_keep_a_line_whole_say_so_once_where_it_looks_like_several_sentences() {
    let directory = tempfile::tempdir().unwrap();
    let attention = directory.path().join("attention.json");
    let source = format!("Es schneit.\n{HOUSE}\n{HOUSE}\n");
    let pairs = source.replace('\n', "\tIt is snowing.\n");
    let attention = attention.to_str().unwrap();
    for (command, input, what) in [
        (&["attn-dump", "--format", "pharaoh", "-m", "gru"][..], &source, "attn-dump takes it whole"),
        (&["score", "-m", "gru"], &pairs, "score takes it whole"),
        (&["bench", "-m", "gru"], &source, "bench takes it whole"),
        (&["-m", "gru", "--attention", attention], &source, "--attention takes it whole"),
    ] {
        let outcome = Program::new().args(command).run(input);
        let said: Vec<&str> = outcome.stderr.lines().filter(|line| line.contains(what)).collect();
        assert_eq!((outcome.status, said.len()), (0, 1), "{command:?}: {}", outcome.stderr);
        assert!(said[0].contains("standard input: line 2: it looks like 4 sentences"), "{}", said[0]);
        // An ordinary line says nothing.
        let calm = Program::new().args(command).run(input.lines().next().unwrap());
        assert_eq!(calm.stderr, "", "{command:?}");
    }
    let refused = run("gru", &["--split-sentences", "--attention", attention], &source);
    assert_eq!(refused.status, 2);
}

#[test]
fn a_line_whose_sentences_may_be_missing_is_named_once() {
    let directory = model("marian_relu");
    let directory = directory.to_str().unwrap();
    // Nobody trained the model to translate so many.
    let line = "W010 w012 w013. W020 w021 w022! W010 w011? W030 w012. W017 w018 w019. ".repeat(3) + "\n";
    let input = format!("W010 w012.\n{line}{line}");
    let outcome = run(directory, &[], &input);
    let said: Vec<&str> = outcome.stderr.lines().filter(|line| line.contains("much shorter")).collect();
    assert_eq!(said.len(), 1, "{} {}", outcome.stderr, outcome.stdout);
    assert!(said[0].contains("standard input: line 2: it looks like 15 sentences"), "{}", said[0]);
    assert!(said[0].contains("try --split-sentences"), "{}", said[0]);
    assert!(!run(directory, &["--split-sentences"], &input).stderr.contains("much shorter"));
    run(directory, &["-q"], &input).quiet();
}

#[test]
fn a_line_of_more_sentences_than_memory_has_room_for_fails_alone() {
    let input = format!("{}\nEs schneit.\n", "Ja! ".repeat((1 << 18) + 1));
    let outcome = run("gru", &[], &input);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (1, "\nIt's snowing.\n"));
    assert!(outcome.stderr.contains("line 1: it has more than 262144 sentences"), "{}", outcome.stderr);
}

#[test]
fn invisible_characters_change_nothing_with_the_built_in_models() {
    let plain = "Der Briefträger bringt ein großes Paket.";
    let hidden = [
        "Der Brief\u{ad}trä\u{ad}ger bringt ein gro\u{ad}ßes Pa\u{ad}ket.",
        "Der Brief\u{200b}träger bringt ein großes Paket.",
        "Der Brief\u{200c}träger bringt\u{200d} ein großes Paket.",
        "\u{202a}Der Briefträger\u{202c} bringt ein \u{2066}großes\u{2069} Paket.",
        "Der Brief\u{2060}träger bringt ein gro\u{feff}ßes Paket.\u{200f}",
        "Der\u{a0}Briefträger\u{202f}bringt\u{2009}ein großes Paket.",
        "Der Brieftra\u{308}ger bringt ein großes Paket\u{fe0f}.",
    ];
    for model in ["transformer", "gru"] {
        let expected = translate(model, &[], plain);
        assert_eq!(translate(model, &[], &hidden.join("\n")), expected.repeat(hidden.len()), "{model}");
        let long =
            plain.chars().flat_map(|character| [character, '\u{ad}']).collect::<String>() + &"\u{ad}".repeat(200_000);
        assert_eq!(translate(model, &[], &long), expected);
    }
    assert_ne!(translate("gru", &["--no-normalize"], hidden[0]), translate("gru", &[], plain));
    assert_eq!(translate("gru", &["--no-normalize", "--normalize"], hidden[0]), translate("gru", &[], plain));
    assert_eq!(translate("gru", &[], "\u{200b}\u{ad}\n"), "\n");
    // Scores and attention are of the same text.
    let score =
        |source: &str| Program::new().args(["score", "-m", "gru"]).run(format!("{source}\tThe mailman")).quiet();
    assert_eq!(score(hidden[0]), score(plain));
}

#[test]
fn other_models_get_every_character_unless_told() {
    let directory = model("marian_relu");
    let directory = directory.to_str().unwrap();
    let (plain, hidden) = ("W010 w012 w013.", "W010\u{a0}w01\u{200b}2 w013\u{ad}.");
    let expected = translate(directory, &[], plain);
    assert_ne!(translate(directory, &[], hidden), expected);
    assert_eq!(translate(directory, &["--normalize"], hidden), expected);
}

#[test]
fn the_paragraphs_of_wrapped_text_are_joined_and_blank_lines_stay() {
    let wrapped = "Der Hund schläft auf dem\nweichen So-\nfa.\n\n \nDie Katze\r\ntrinkt Milch.\r\nEs schneit.";
    let joined = "Der Hund schläft auf dem weichen Sofa.\n\n \nDie Katze trinkt Milch. Es schneit.\n";
    assert_eq!(translate("gru", &["--join-lines"], wrapped), translate("gru", &[], joined));
    let json = translate("gru", &["--join-lines", "--format", "json", "--with-source"], wrapped);
    let objects: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<u64> = objects.iter().map(|object| object["line"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 4, 5, 6]);
    assert_eq!(objects[3]["source"], "Die Katze trinkt Milch. Es schneit.");
    for conflict in [["--column", "1"], ["--json-input", "--quiet"]] {
        let refused = Program::with_model("gru").arg("--join-lines").args(conflict).run(wrapped);
        assert_eq!((refused.status, refused.stdout.as_str()), (2, ""), "{}", refused.stderr);
    }
}

#[test]
fn a_run_of_paragraphs_can_be_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let [input, output] = ["input", "output"].map(|name| directory.path().join(name));
    fs::write(&input, "Der Hund\nschläft.\n\nDie Katze\ntrinkt Milch.\n\nEs\nschneit.\n").unwrap();
    let run =
        || Program::with_model("gru").args(["--join-lines", "--resume", "-o"]).args([&output, &input]).run("").quiet();
    run();
    let whole = fs::read_to_string(&output).unwrap();
    assert_eq!(whole.lines().count(), 5);
    fs::write(&output, whole.lines().take(3).map(|line| format!("{line}\n")).collect::<String>() + "half a li")
        .unwrap();
    run();
    assert_eq!(fs::read_to_string(&output).unwrap(), whole);
}

#[test]
fn another_language_than_the_model_s_is_said_once_and_translated_as_ever() {
    let english = "The children are playing in the garden because the weather is so nice today.";
    let french = "Les enfants jouent dans le jardin parce que le temps est très beau.";
    let input = format!("Die Kinder spielen im Garten, weil das Wetter schön ist.\nKurz.\n{english}\n{french}\n");
    let outcome = run("gru", &[], &input);
    assert_eq!(outcome.stdout.lines().count(), 4);
    let expected = "standard input: line 3: it looks like English, and the model translates from German (said once)";
    assert_eq!(outcome.stderr, format!("translate: {expected}\n"));
    assert_eq!(run("gru", &["--quiet"], &input).quiet(), outcome.stdout);
}

#[test]
fn evaluation_splits_lines_as_translation_does() {
    let directory = tempfile::tempdir().unwrap();
    let [source, reference] = ["source", "reference"].map(|name| directory.path().join(name));
    fs::write(&source, HOUSE).unwrap();
    fs::write(&reference, translate("gru", &[], HOUSE)).unwrap();
    let mut program = Program::new();
    let score = program.args(["eval", "-m", "gru", "--metric", "bleu", "-s"]).arg(&source).arg("-r").arg(&reference);
    let score = score.run("").quiet();
    assert!(score.contains("= 100.00"), "{score}");
}
