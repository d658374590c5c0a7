//! The real program: formats, options, and what it says when a model is broken.

use std::path::Path;

use serde_json::Value;

use crate::program::{Outcome, Program, model, run};

/// Runs `translate --model DIR ARGUMENTS` with `input` on standard input.
fn translate(directory: &Path, arguments: &[&str], input: &str) -> Outcome {
    Program::with_model(directory).args(arguments).run(input)
}

/// A copy of a fixture model that a test may break.
fn copy(name: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in ["config.json", "generation_config.json", "model.safetensors", "source_vocab.txt", "target_vocab.txt"] {
        std::fs::copy(model(name).join(file), directory.path().join(file)).unwrap();
    }
    directory
}

/// A copy of the fixture Transformer with `edit` applied to its safetensors header.
fn with_header(edit: impl Fn(&mut Value)) -> tempfile::TempDir {
    let directory = copy("marian_relu");
    let path = directory.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    edit(&mut header);
    let header = header.to_string();
    let mut edited = (header.len() as u64).to_le_bytes().to_vec();
    edited.extend_from_slice(header.as_bytes());
    edited.extend_from_slice(&bytes[8 + length..]);
    std::fs::write(&path, edited).unwrap();
    directory
}

const FC1: &str = "model.encoder.layers.0.fc1.weight";

#[test]
fn a_missing_model_directory_is_named() {
    let output = translate(Path::new("/no/such/model"), &[], "w010\n");
    assert_ne!(output.status, 0);
    assert!(output.error().contains("/no/such/model"), "{}", output.error());
}

#[test]
fn a_missing_tensor_is_named_with_its_file() {
    let directory = with_header(|header| {
        let tensors = header.as_object_mut().unwrap();
        let tensor = tensors.remove(FC1).unwrap();
        tensors.insert("unrelated".into(), tensor);
    });
    let output = translate(directory.path(), &[], "w010\n");
    assert_eq!(output.status, 1);
    let message = output.error();
    assert!(message.contains(FC1) && message.contains("model.safetensors"), "{message}");
}

#[test]
fn a_tensor_of_the_wrong_shape_is_named_with_both_shapes() {
    let directory = with_header(|header| {
        let shape = header[FC1]["shape"].as_array_mut().unwrap();
        shape.reverse();
    });
    let output = translate(directory.path(), &[], "w010\n");
    assert_eq!(output.status, 1);
    let message = output.error();
    assert!(message.contains(FC1) && message.contains("[64, 32]") && message.contains("[32, 64]"), "{message}");
}

#[test]
fn a_truncated_checkpoint_says_so() {
    let directory = copy("marian_relu");
    let path = directory.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let output = translate(directory.path(), &[], "w010\n");
    assert_eq!(output.status, 1);
    assert!(output.error().contains("truncated"), "{}", output.error());
}

#[test]
fn a_vocabulary_larger_than_the_embedding_is_refused() {
    let directory = copy("marian_relu");
    let path = directory.path().join("source_vocab.txt");
    let mut words = std::fs::read_to_string(&path).unwrap();
    (0..100).for_each(|n| words.push_str(&format!("more{n}\n")));
    std::fs::write(&path, words).unwrap();
    let output = translate(directory.path(), &[], "w010\n");
    assert_eq!(output.status, 1);
    assert!(output.error().contains("vocabulary"), "{}", output.error());
}

#[test]
fn a_directory_without_config_names_the_missing_file() {
    let directory = copy("gru");
    std::fs::remove_file(directory.path().join("config.json")).unwrap();
    let output = translate(directory.path(), &[], "w010\n");
    assert_eq!(output.status, 1);
    assert!(output.error().contains("config.json"), "{}", output.error());
}

#[test]
fn wrong_usage_ends_with_status_2() {
    for arguments in [&["--beam-size", "0"][..], &["--n-best", "3", "--beam-size", "2"], &["--column", "0"]] {
        assert_eq!(translate(&model("gru"), arguments, "").status, 2, "{arguments:?}");
    }
}

#[test]
fn an_n_best_list_does_not_change_the_best() {
    for name in ["gru", "marian_relu"] {
        let input = "w010 w012 w007\nw020 w021\n";
        let one = translate(&model(name), &["--beam-size", "4"], input);
        let four = translate(&model(name), &["--beam-size", "4", "--n-best", "4", "--format", "tsv"], input);
        let first: Vec<&str> = four
            .stdout
            .lines()
            .map(|line| line.split('\t').collect::<Vec<_>>())
            .filter(|columns| columns[1] == "1")
            .map(|columns| columns[3])
            .collect();
        assert_eq!(one.stdout.lines().collect::<Vec<_>>(), first, "{name}");
    }
}

#[test]
fn json_lines_keep_their_fields_and_may_force_a_prefix() {
    let input = "{\"id\": 7, \"text\": \"w010 w012\", \"target_prefix\": \"w011\"}\n";
    let output = translate(&model("marian_relu"), &["--json-input", "--format", "json"], input);
    let line: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(line["id"], 7);
    assert!(line["translation"].as_str().unwrap().starts_with("w011"), "{line}");
    assert_eq!(line["truncated"], false);
}

#[test]
fn a_prefix_changes_nothing_for_its_neighbours() {
    let lines = ["w010 w012", "w020 w021 w022", "w013 w014 w030 w031"];
    let prefixes = [None, Some("w011"), Some("w011 w015")];
    let line = |text: &str, prefix: Option<&str>| match prefix {
        Some(prefix) => format!("{{\"text\": \"{text}\", \"target_prefix\": \"{prefix}\"}}\n"),
        None => format!("{{\"text\": \"{text}\"}}\n"),
    };
    let all: Vec<String> = lines.iter().flat_map(|text| prefixes.map(|prefix| line(text, prefix))).collect();
    for search in [&["--beam-size", "4"][..], &["--beam-size", "1"]] {
        for length in [&[][..], &["--min-length", "6"]] {
            let arguments = [&["--json-input", "--format", "json"], search, length].concat();
            // Line numbers aside.
            let scores = |input: &str| -> Vec<String> {
                let output = translate(&model("marian_relu"), &arguments, input).success();
                output
                    .lines()
                    .map(|line| line.split_once("\"line\"").map_or(line, |(before, _)| before).to_owned())
                    .collect()
            };
            let alone: Vec<String> = all.iter().flat_map(|line| scores(line)).collect();
            assert_eq!(scores(&all.concat()), alone, "{arguments:?}");
        }
    }
}

#[test]
fn a_line_that_is_not_json_fails_alone() {
    let output = translate(&model("gru"), &["--json-input", "--format", "json"], "{\"text\": \"w010\"}\nno json\n");
    assert_eq!(output.status, 1);
    let lines: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines[0]["translation"].is_string());
    assert!(lines[1]["error"].as_str().unwrap().contains("line 2"), "{}", lines[1]);
}

#[test]
fn a_column_of_a_table_is_translated() {
    let plain = translate(&model("gru"), &[], "w010 w012\n");
    let column = translate(&model("gru"), &["--column", "2"], "some id\tw010 w012\tmore\n");
    assert_eq!(plain.stdout, column.stdout);
}

#[test]
fn a_translation_cut_at_the_limit_is_marked() {
    for compat in ["hugging-face", "marian"] {
        let arguments = ["--format", "json", "--max-length", "1", "--compat", compat];
        let output = translate(&model("gru"), &arguments, "w010 w012 w013 w014\n");
        let line: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(line["truncated"], true, "{compat}: {line}");
        assert!(output.stderr.contains("line 1"), "and the user is warned: {}", output.stderr);
    }
}

#[test]
fn suppressed_words_are_not_generated() {
    let input = "w010 w012 w007\n";
    let free = translate(&model("gru"), &[], input);
    let word = free.stdout.split_whitespace().next().unwrap();
    let without = translate(&model("gru"), &["--suppress", word], input);
    assert!(without.status == 0);
    assert!(!without.stdout.split_whitespace().any(|other| other == word), "{}", without.stdout);
}

#[test]
fn sampling_repeats_itself_with_the_same_seed_in_any_batch() {
    let input: String = (4..40).map(|n| format!("w0{n:02} w0{:02}\n", 44 - n)).collect();
    let run = |arguments: &[&str]| {
        let mut all = vec!["--sampling", "--temperature", "1.5"];
        all.extend_from_slice(arguments);
        translate(&model("marian_relu"), &all, &input).stdout
    };
    let first = run(&["--seed", "5", "--batch-size", "1"]);
    assert_eq!(first, run(&["--seed", "5", "--batch-size", "32", "--threads", "2"]));
    assert_ne!(first, run(&["--seed", "6"]));
}

#[test]
fn batches_and_threads_change_nothing() {
    let input: String = (0..200)
        .map(|n| (0..1 + n % 17).map(|k| format!("w0{:02} ", 4 + (n * 7 + k * 13) % 50)).collect::<String>() + "\n")
        .collect();
    for name in ["gru", "marian_relu"] {
        for beam in ["1", "4"] {
            let run = |batch: &str, threads: &str| {
                let arguments = ["--scores", "--beam-size", beam, "--batch-size", batch, "--threads", threads];
                translate(&model(name), &arguments, &input).stdout
            };
            let alone = run("1", "1");
            assert_eq!(alone.lines().count(), 200);
            for (batch, threads) in [("3", "1"), ("32", "1"), ("1", "2"), ("32", "2")] {
                assert_eq!(alone, run(batch, threads), "{name}, beam {beam}, batch {batch}, {threads} threads");
            }
        }
    }
}

#[test]
fn paragraphs_are_translated_sentence_by_sentence() {
    let alone = translate(&model("marian_relu"), &[], "W010 w012.\nW020 w021!\n").stdout;
    let together = translate(&model("marian_relu"), &["--split-sentences"], "W010 w012.  W020 w021!\n").stdout;
    assert_eq!(alone.lines().collect::<Vec<_>>().join("  ") + "\n", together);
}

#[test]
fn a_line_of_three_thousand_words_is_translated_with_one_warning_about_its_length() {
    let long = "w010 ".repeat(3000) + "\n";
    let output = translate(&model("marian_relu"), &["--max-length", "20"], &(long.clone() + &long));
    assert_eq!(output.stdout.lines().count(), 2);
    assert_eq!(output.stderr.matches("3001 source pieces are more than").count(), 1, "{}", output.stderr);
}

#[test]
fn a_hyphen_is_standard_output() {
    let plain = translate(&model("marian_relu"), &[], "w010\n").stdout;
    assert_eq!(translate(&model("marian_relu"), &["--output", "-"], "w010\n").stdout, plain);
    let resumed = translate(&model("marian_relu"), &["--output", "-", "--resume"], "w010\n");
    assert_eq!(resumed.status, 2, "{}", resumed.stderr);
}

#[test]
fn drawing_more_samples_does_not_change_the_first() {
    let input = "w010 w012 w007\nw020 w021\nw030\n";
    let run = |arguments: &[&str]| translate(&model("marian_relu"), &[&["--sampling"], arguments].concat(), input);
    let several = run(&["--n-best", "4", "--format", "tsv"]).stdout;
    let first = several.lines().filter_map(|line| line.split_once("\t1\t")?.1.split_once('\t'));
    let first: Vec<&str> = first.map(|(_, translation)| translation).collect();
    assert_eq!(run(&[]).stdout.lines().collect::<Vec<_>>(), first);
}

#[test]
fn a_beam_size_from_the_environment_does_not_forbid_sampling() {
    let run = |arguments: &[&str], beam: Option<&str>| {
        let mut program = Program::with_model(model("gru"));
        beam.map(|beam| program.env("TRANSLATE_BEAM_SIZE", beam));
        program.args(arguments).run("").status
    };
    assert_eq!(run(&["--sampling"], Some("4")), 0);
    assert_eq!(run(&["--sampling", "--beam-size", "4"], None), 2);
}

#[test]
fn an_enormous_length_ratio_is_no_limit() {
    let output = translate(&model("marian_relu"), &["--max-length-ratio", "1e30"], "w010 w011\n");
    assert_eq!(output.stdout, translate(&model("marian_relu"), &[], "w010 w011\n").stdout);
    assert_eq!(output.status, 0);
}

#[test]
fn nothing_cannot_be_suppressed() {
    let output = translate(&model("gru"), &["--suppress", ""], "w010\n");
    assert_eq!(output.status, 2);
    assert!(output.error().contains("no word to suppress"), "{}", output.error());
}

#[test]
fn a_failed_json_line_keeps_its_fields() {
    let input = "{\"id\": 7, \"text\": 5, \"translation\": \"stale\"}\n";
    let output = translate(&model("gru"), &["--json-input", "--format", "json"], input);
    let line: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((&line["id"], line.get("translation")), (&7.into(), None));
    assert!(line["error"].as_str().unwrap().contains("no string in \"text\""), "{line}");
}

#[test]
fn colours_are_left_out_where_nobody_wants_them() {
    let help = |variable: &str| {
        let mut program = Program::new();
        program.arg("--help").env("CLICOLOR_FORCE", "1").env(variable, "1").run("").stdout.contains('\x1b')
    };
    assert!(help("CLICOLOR_FORCE"), "colours can be forced, so their absence says something");
    assert!(!help("NO_COLOR"));
}

/// A page of the manual as `translate man DIR` writes it.
fn manual_page(name: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(run(&["man", directory.path().to_str().unwrap()], "").status, 0);
    std::fs::read_to_string(directory.path().join(format!("{name}.1"))).unwrap()
}

#[test]
fn every_command_has_a_manual_page_with_all_sections() {
    for name in ["translate", "translate-score", "translate-eval", "translate-attn-dump", "translate-models"] {
        let page = manual_page(name);
        let title = format!(".TH {name} 1");
        assert!(page.contains(&title), "{name}: {}", page.lines().take(5).collect::<Vec<_>>().join("\n"));
        for section in [".SH ENVIRONMENT", ".SH FILES", ".SH \"EXIT STATUS\""] {
            assert!(page.contains(section), "{name}: {section}");
        }
    }
    for name in ["translate", "translate-score", "translate-eval", "translate-attn-dump"] {
        assert!(manual_page(name).contains(".SH EXAMPLES"), "{name}");
    }
    assert_eq!(run(&["man"], "").stdout, manual_page("translate"));
}

/// A distributor builds the page on one machine for all.
#[test]
fn manual_pages_say_nothing_of_the_machine_they_were_made_on() {
    let page = |variables: &[(&str, &str)]| {
        let mut program = Program::new();
        variables.iter().for_each(|(name, value)| {
            program.env(name, value);
        });
        program.arg("man").run("").stdout
    };
    let set = page(&[("TRANSLATE_MODEL", "gru"), ("TRANSLATE_THREADS", "3"), ("HF_HOME", "/elsewhere")]);
    assert_eq!(set, page(&[]));
    assert!(!set.to_lowercase().contains("avx") && !set.contains("kernels in use"), "{set}");
}

#[test]
fn the_source_can_stand_before_its_translation() {
    let plain = translate(&model("gru"), &[], "w010 w020\n\nw030\n");
    let both = translate(&model("gru"), &["--with-source"], "w010 w020\n\nw030\n");
    let expected: Vec<String> =
        plain.stdout.lines().zip(["w010 w020", "", "w030"]).map(|(line, source)| format!("{source}\t{line}")).collect();
    assert_eq!(both.stdout.lines().collect::<Vec<_>>(), expected);
    let line = translate(&model("gru"), &["--with-source", "--format", "json"], "w010 w020\n").stdout;
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["source"], "w010 w020");
    assert_eq!(translate(&model("gru"), &["--with-source", "--format", "marian-nbest"], "").status, 2);
}

#[test]
fn a_translated_column_stands_among_the_others() {
    let word = translate(&model("gru"), &[], "w010 w020\n").stdout.trim_end().to_owned();
    let input = "1\tw010 w020\tleft  as\tit was\nonly one\n\n2\tw010 w020\n3\t\tend\n";
    let output = translate(&model("gru"), &["--column", "2", "--keep-columns"], input);
    assert_eq!(output.stdout, format!("1\t{word}\tleft  as\tit was\nonly one\n\n2\t{word}\n3\t\tend\n"));
    assert_eq!(output.status, 1, "the line without the column has failed: {}", output.stderr);
    assert_eq!(translate(&model("gru"), &["--keep-columns"], "").status, 2);
}

#[test]
fn json_names_the_line_and_of_several_files_the_file() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        std::fs::write(directory.path().join(name), "w010\n\nw020\n").unwrap();
    }
    let places = |files: &[&str]| {
        let mut program = Program::with_model(model("gru"));
        let output = program.args(["--format", "json"]).args(files).current_dir(directory.path()).run("");
        let lines = output.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| (line["file"].as_str().map(str::to_owned), line["line"].as_u64())).collect::<Vec<_>>()
    };
    let file = |name: &str, line| (Some(name.to_owned()), Some(line));
    let expected = [file("one", 1), file("one", 2), file("one", 3), file("two", 1), file("two", 2), file("two", 3)];
    assert_eq!(places(&["one", "two"]), expected);
    assert_eq!(places(&["one"]), [(None, Some(1)), (None, Some(2)), (None, Some(3))]);
}

#[test]
fn format_json_is_a_switch_of_every_command_that_prints_results() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("text"), "a b\n").unwrap();
    let gru = model("gru").display().to_string();
    let json = ["--format", "json"];
    for (arguments, input) in [
        (&["eval", "text", "-r", "text"][..], ""),
        (&["score", "--model", &gru], "w010\tw011\n"),
        (&["models", "."], ""),
        (&["bench", "--model", &gru], "w010\n"),
        (&["--model", &gru], "w010\n"),
        (&["attn-dump", "--model", &gru], "w010\n"),
    ] {
        let output = Program::new().current_dir(directory.path()).args(arguments).args(json).run(input);
        assert_eq!(output.status, 0, "{arguments:?}: {}", output.stderr);
        for line in output.stdout.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok_and(|value| value.is_object()), "{arguments:?}: {line}");
        }
    }
    let both = |switch: &[&str]| {
        Program::new().current_dir(directory.path()).args(["eval", "text", "-r", "text"]).args(switch).run("").stdout
    };
    assert_eq!(both(&json), both(&["--json"]));
}

#[test]
fn colours_can_be_asked_for_and_refused() {
    let has_colours = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut program = Program::new();
        variables.iter().for_each(|(name, value)| {
            program.env(name, value);
        });
        let output = program.args(arguments).run("");
        output.stdout.contains('\x1b') || output.stderr.contains('\x1b')
    };
    for help in [&["--help"][..], &["eval", "--help"], &["--no-such-option"]] {
        let with = |color: &'static [&'static str]| [help, color].concat();
        assert!(!has_colours(help, &[]), "{help:?}: nobody sees them");
        assert!(has_colours(&with(&["--color=always"]), &[("NO_COLOR", "1")]), "{help:?}");
        assert!(!has_colours(&with(&["--color", "never"]), &[("CLICOLOR_FORCE", "1")]), "{help:?}");
        assert!(has_colours(&with(&["--color", "auto"]), &[("CLICOLOR_FORCE", "1")]), "{help:?}");
    }
    assert_eq!(run(&["--color", "sometimes"], "").status, 2);
}
