//! `translate attn-dump`, `--alignments` and `--attention` through the real program.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::Value;

use crate::program::{self, Outcome, Program};

const MODELS: [&str; 5] = ["gru", "marian_gelu_bias", "marian_relu", "marian_swish_untied", "marian_unscaled"];

fn dump(model: &str, arguments: &[&str], stdin: &str) -> Outcome {
    Program::new().arg("attn-dump").arg("--model").arg(program::model(model)).args(arguments).run(stdin)
}

fn translate(model: &str, arguments: &[&str], stdin: &str) -> Outcome {
    Program::with_model(program::model(model)).args(arguments).run(stdin)
}

/// The JSON objects of a run that must succeed.
fn objects(outcome: &Outcome) -> Vec<Value> {
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn matrix(object: &Value) -> Vec<f32> {
    let rows: Vec<Vec<f32>> = serde_json::from_value(object["matrix"].clone()).unwrap();
    rows.concat()
}

/// What the reference program says of a model.
struct Reference {
    expected: Value,
    attention: HashMap<String, Tensor>,
    source_words: Vec<String>,
    target_words: Vec<String>,
    /// The GRU's sources begin with a start token, which is not written.
    skip: usize,
}

impl Reference {
    fn of(model: &str) -> Self {
        let read = |name: &str| std::fs::read_to_string(program::model(model).join(name)).unwrap();
        let lines = |name| read(name).lines().map(str::to_owned).collect();
        let attention = program::model(model).join("expected.safetensors");
        Self {
            expected: serde_json::from_str(&read("expected.json")).unwrap(),
            attention: candle_core::safetensors::load(attention, &Device::Cpu).unwrap(),
            source_words: lines("source_vocab.txt"),
            target_words: lines("target_vocab.txt"),
            skip: usize::from(model == "gru"),
        }
    }

    fn text(&self, tokens: &Value, words: &[String], skip: usize) -> Option<String> {
        let tokens: Vec<usize> = serde_json::from_value(tokens.clone()).unwrap();
        let inner = &tokens[skip..tokens.len() - 1];
        let words: Option<Vec<&str>> =
            inner.iter().map(|&token| words.get(token).map(String::as_str).filter(|w| !w.starts_with('<'))).collect();
        words.map(|words| words.join(" ")).filter(|text| !text.is_empty())
    }

    /// Number and text of each source that can be written in plain words and whose attention is in the reference.
    fn sources(&self) -> Vec<(usize, String)> {
        let all = self.expected["sources"].as_array().unwrap();
        let written = |(number, tokens)| Some((number, self.text(tokens, &self.source_words, self.skip)?));
        let recorded = |number: &usize| self.attention.contains_key(&format!("beam_1.{number}.0.cross"));
        all.iter().enumerate().filter(|(number, _)| recorded(number)).filter_map(written).collect()
    }

    /// Asserts that the objects of one sentence, one for each layer and head, hold this reference tensor.
    fn assert_equal(&self, name: &str, objects: &[&Value]) {
        let Some(tensor) = self.attention.get(name) else { panic!("no {name}") };
        let expected: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
        let found: Vec<f32> = objects.iter().flat_map(|object| matrix(object)).collect();
        assert_eq!(found.len(), expected.len(), "{name}: {:?}", tensor.shape());
        let difference = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 1e-5, "{name} differs by {difference}");
    }
}

/// The objects of each line, in order.
fn by_line(objects: &[Value]) -> Vec<Vec<&Value>> {
    objects.chunk_by(|a, b| a["line"] == b["line"]).map(|chunk| chunk.iter().collect()).collect()
}

const EVERYTHING: [&str; 4] = ["--layer", "all", "--head", "all"];

#[test]
fn forced_attention_of_every_kind_equals_the_reference() {
    for model in MODELS {
        let reference = Reference::of(model);
        let forced = reference.expected["forced"].as_array().unwrap();
        let pairs: Vec<(usize, String)> = reference
            .sources()
            .into_iter()
            .filter_map(|(number, source)| {
                let target = reference.text(&forced.get(number)?["tokens"], &reference.target_words, 0)?;
                Some((number, format!("{source}\t{target}\n")))
            })
            .collect();
        assert!(pairs.len() >= 2, "{model}");
        let input: String = pairs.iter().map(|(_, pair)| pair.as_str()).collect();
        for kind in if model == "gru" { &["cross"][..] } else { &["cross", "encoder", "decoder"] } {
            let mut arguments = vec!["--pairs", "--kind", kind];
            arguments.extend(EVERYTHING);
            let objects = objects(&dump(model, &arguments, &input));
            let lines = by_line(&objects);
            assert_eq!(lines.len(), pairs.len());
            for ((number, _), objects) in pairs.iter().zip(lines) {
                reference.assert_equal(&format!("forced.{number}.{kind}"), &objects);
            }
        }
    }
}

#[test]
fn attention_under_greedy_and_beam_search_equals_the_reference() {
    for model in MODELS {
        let reference = Reference::of(model);
        let sources = reference.sources();
        let input: String = sources.iter().map(|(_, source)| format!("{source}\n")).collect();
        for beam in ["1", "4"] {
            let mut arguments = vec!["--beam-size", beam];
            arguments.extend(EVERYTHING);
            let objects = objects(&dump(model, &arguments, &input));
            for ((number, _), objects) in sources.iter().zip(by_line(&objects)) {
                reference.assert_equal(&format!("beam_{beam}.{number}.0.cross"), &objects);
            }
        }
    }
}

#[test]
fn the_attention_of_a_beam_search_is_that_of_forcing_its_winner() {
    for model in ["gru", "marian_relu"] {
        let reference = Reference::of(model);
        let input: String = reference.sources().iter().map(|(_, source)| format!("{source}\n")).collect();
        let searched = objects(&dump(model, &["--beam-size", "4"], &input));
        // The text leaves out unknown words, so it cannot force them.
        let written = |object: &&Value| !object["target_pieces"].as_array().unwrap().contains(&"<unk>".into());
        let pairs: String = searched
            .iter()
            .filter(written)
            .map(|object| {
                format!("{}\t{}\n", object["source"].as_str().unwrap(), object["translation"].as_str().unwrap())
            })
            .collect();
        let forced = objects(&dump(model, &["--pairs"], &pairs));
        for (searched, forced) in searched.iter().filter(written).zip(&forced) {
            assert_eq!(searched["target_pieces"], forced["target_pieces"]);
            for (a, b) in matrix(searched).iter().zip(matrix(forced)) {
                assert!((a - b).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn targets_may_come_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("targets");
    std::fs::write(&target, "w034 w044\nw034\n").unwrap();
    let target = target.to_str().unwrap();
    let from_file = dump("marian_relu", &["--target", target], "w004 w005\nw006 w007\n");
    let from_pairs = dump("marian_relu", &["--pairs"], "w004 w005\tw034 w044\nw006 w007\tw034\n");
    assert_eq!(objects(&from_file), objects(&from_pairs));

    let short = dump("marian_relu", &["--target", target], "w004\nw005\nw006\n");
    assert_eq!(short.status, 1);
    assert!(short.stderr.contains("line 3") && short.stderr.contains("has only 2 lines"), "{}", short.stderr);
    let long = dump("marian_relu", &["--target", target], "w004\n");
    assert_ne!(long.status, 0);
    assert!(long.stderr.contains("has 2 lines but the source only 1"), "{}", long.stderr);
}

#[test]
fn the_archive_opens_with_the_documented_names_and_shapes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("attention.npz");
    let mut arguments = vec!["--format", "npz", "--output", path.to_str().unwrap()];
    arguments.extend(EVERYTHING);
    let outcome = dump("marian_relu", &arguments, "w004 w005 w006\n\nw007\n");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""), "{}", outcome.stderr);
    // Line 2 is blank; candle's reader is not ours.
    let names = candle_core::npy::NpzTensors::new(&path).unwrap();
    let (shape, _) = names.get_shape_and_dtype("1/attention").unwrap();
    let [matrices, rows, columns] = shape.dims() else { panic!("{shape:?}") };
    assert_eq!((*matrices, *columns), (2 * 4, 4));
    let weights = names.get("1/attention").unwrap().unwrap();
    let sums: Vec<f32> = weights.sum(2).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(sums.len(), matrices * rows);
    assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-4));
    let lines: Vec<i64> = names.get("lines").unwrap().unwrap().to_vec1().unwrap();
    assert_eq!(lines, [1, 3]);
}

#[test]
fn pharaoh_has_a_line_for_each_of_a_thousand_and_links_only_words() {
    let sentences: Vec<String> = (0..1000)
        .map(|number| match number % 10 {
            9 => String::new(),
            words => {
                (0..=words).map(|word| format!("w{:03}", 4 + (number * 7 + word) % 50)).collect::<Vec<_>>().join(" ")
            }
        })
        .collect();
    let input = sentences.join("\n") + "\n";
    for model in ["gru", "marian_relu"] {
        let alignments = dump(model, &["--format", "pharaoh", "--mask-eos", "--beam-size", "1"], &input);
        let translations = translate(model, &["--beam-size", "1", "--format", "json"], &input);
        assert_eq!((alignments.status, alignments.stdout.lines().count()), (0, 1000), "{}", alignments.stderr);
        for ((source, target), links) in
            sentences.iter().zip(translations.stdout.lines()).zip(alignments.stdout.lines())
        {
            let sources = source.split_whitespace().count();
            // Unknown pieces, which the text leaves out, are no words of it.
            let target: Value = serde_json::from_str(target).unwrap();
            let targets = target["translation"].as_str().unwrap().split_whitespace().count();
            // With the sentence end masked, each target word has exactly one link.
            assert_eq!(links.split_whitespace().count(), targets, "{target}: {links}");
            for link in links.split_whitespace() {
                let (from, to) = link.split_once('-').unwrap();
                assert!(from.parse::<usize>().unwrap() < sources && to.parse::<usize>().unwrap() < targets, "{link}");
            }
        }
    }
}

#[test]
fn every_format_works_for_both_families() {
    let directory = tempfile::tempdir().unwrap();
    for model in ["gru", "marian_relu"] {
        let text = dump(model, &["--format", "text", "--width", "40"], "w004 w005 w006 w007 w008 w009 w010\n");
        assert!(text.stdout.contains("cross attention") && text.stdout.lines().all(|line| line.chars().count() <= 60));
        assert!(!text.stdout.contains('\x1b'), "no colour in a pipe");
        let tsv = dump(model, &["--format", "tsv"], "w004\n");
        assert!(tsv.stdout.starts_with("line\tkind\tlayer"), "{}", tsv.stdout);
        let svg = dump(model, &["--format", "svg"], "w004\n");
        assert!(svg.stdout.starts_with("<svg") && svg.stdout.trim_end().ends_with("</svg>"));
        let page = dump(model, &["--format", "html"], "w004\nw005\n");
        assert!(page.stdout.starts_with("<!doctype html>"));
        assert_eq!(page.stdout.matches("class=\"sentence\"").count(), 2);
        let pictures = directory.path().join(model);
        let output = format!("{}/", pictures.display());
        assert_eq!(dump(model, &["--format", "svg", "--output", &output], "w004\n\nw005\n").status, 0);
        let exists = |name: &str| Path::new(&pictures).join(name).is_file();
        assert_eq!([exists("1.svg"), exists("2.svg"), exists("3.svg")], [true, false, true]);
    }
}

#[test]
fn what_cannot_be_shown_is_a_usage_error_that_says_why() {
    let cases: [(&str, &[&str], &str); 7] = [
        ("marian_relu", &["--layer", "2"], "layer 2 does not exist: this model has 0 to 1"),
        ("marian_relu", &["--head", "4"], "head 4 does not exist: this model has 0 to 3"),
        ("gru", &["--layer", "1"], "layer 1 does not exist: there is only 0"),
        ("gru", &["--kind", "encoder"], "is recurrent and has no self-attention"),
        ("marian_relu", &["--kind", "decoder", "--mask-eos"], "--mask-eos does not apply to decoder attention"),
        ("marian_relu", &["--format", "pharaoh", "--kind", "encoder"], "needs --kind cross"),
        ("marian_relu", &["--format", "svg"], "name a directory"),
    ];
    for (model, arguments, message) in cases {
        let outcome = dump(model, arguments, "w004\nw005\n");
        assert_eq!(outcome.status, 2, "{arguments:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(message), "{arguments:?}: {}", outcome.stderr);
    }
    for arguments in [["--layer", "first"], ["--threshold", "2"], ["--format", "gif"]] {
        assert_eq!(dump("marian_relu", &arguments, "").status, 2);
    }
}

#[test]
fn a_broken_pair_fails_alone() {
    let outcome = dump("marian_relu", &["--pairs"], "w004\tw034\nw005\nw006\tw034\n");
    assert_eq!((outcome.status, outcome.stdout.lines().count()), (1, 2));
    assert!(outcome.stderr.contains("line 2: --pairs needs a tab"), "{}", outcome.stderr);
}

#[test]
fn alignments_join_plain_translations() {
    for model in ["gru", "marian_relu"] {
        let input = "w004 w005 w006\n\nw007\n";
        let plain = translate(model, &[], input);
        let links = dump(model, &["--format", "pharaoh"], input);
        let aligned = translate(model, &["--alignments"], input);
        let lines: Vec<String> = plain
            .stdout
            .lines()
            .zip(links.stdout.lines())
            .map(|(text, links)| if text.is_empty() { String::new() } else { format!("{text} ||| {links}") })
            .collect();
        assert_eq!(aligned.stdout.lines().collect::<Vec<_>>(), lines);

        let json = translate(model, &["--alignments", "--format", "json"], "w004 w005 w006\n");
        let object: Value = serde_json::from_str(&json.stdout).unwrap();
        let pairs: Vec<(usize, usize)> = serde_json::from_value(object["alignment"].clone()).unwrap();
        let written: Vec<String> = pairs.iter().map(|(source, target)| format!("{source}-{target}")).collect();
        assert_eq!(written.join(" "), links.stdout.lines().next().unwrap());

        let list =
            translate(model, &["--alignments", "--format", "tsv", "--beam-size", "2", "--n-best", "2"], "w004\n");
        assert!(list.stdout.lines().all(|line| line.split('\t').count() == 5), "{}", list.stdout);
    }
}

#[test]
fn a_file_of_attention_leaves_the_translations_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let input = "w004 w005\n\nw006\n";
    for model in ["gru", "marian_relu"] {
        let plain = translate(model, &[], input);
        for name in ["attention.jsonl", "attention.npz"] {
            let path = directory.path().join(format!("{model}-{name}"));
            let beside = translate(model, &["--attention", path.to_str().unwrap()], input);
            assert_eq!((beside.status, &beside.stdout), (0, &plain.stdout), "{}", beside.stderr);
            if name.ends_with("npz") {
                let names = candle_core::npy::NpzTensors::new(&path).unwrap();
                assert_eq!(names.get("lines").unwrap().unwrap().to_vec1::<i64>().unwrap(), [1, 3]);
            } else {
                let mut arguments = EVERYTHING.to_vec();
                arguments.extend(["--format", "json"]);
                assert_eq!(std::fs::read_to_string(&path).unwrap(), dump(model, &arguments, input).stdout);
            }
        }
    }
}

/// A copy of a model that may be changed.
fn copy(name: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(program::model(name)).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), directory.path().join(file.file_name())).unwrap();
    }
    directory
}

#[test]
fn alignments_are_read_from_the_mean_of_several_heads() {
    let directory = copy("marian_relu");
    let model = directory.path().to_str().unwrap();
    let rank = |more: &[&str]| {
        let mut arguments = vec!["attn-dump", "--model", model, "--best-layer"];
        arguments.extend(more);
        program::run(&arguments, "w004 w005\n")
    };
    let ranked = rank(&["--head", "0,2"]);
    assert_eq!(
        ranked.stdout.lines().filter(|line| line.split('\t').nth(2) == Some("0,2")).count(),
        4,
        "{}",
        ranked.stderr
    );
    assert_eq!((rank(&["--head", "1"]).status, rank(&["--head", "0,9"]).status), (2, 2));

    let path = directory.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let mut with = |head: Value| {
        config["alignment"] = serde_json::json!({"layer": 1, "head": head});
        std::fs::write(&path, config.to_string()).unwrap();
        program::run(&["attn-dump", "--model", model], "w004 w005\n")
    };
    let own = with(serde_json::json!([2, 0]));
    let asked = program::run(&["attn-dump", "--model", model, "--layer", "1", "--head", "0,2"], "w004 w005\n");
    assert_eq!((own.stdout.as_str(), objects(&own)[0]["head"].as_str()), (asked.stdout.as_str(), Some("0,2")));
    for wrong in [serde_json::json!([0, 9]), serde_json::json!([]), serde_json::json!("0")] {
        let outcome = with(wrong);
        assert!(outcome.stderr.contains("names a layer or head the decoder does not have"), "{}", outcome.stderr);
    }
}

#[test]
fn the_best_layer_is_ranked_and_stored() {
    let directory = copy("marian_relu");
    let gold = directory.path().join("gold");
    std::fs::write(&gold, "0-0\n1-0\n").unwrap();
    let model = directory.path().to_str().unwrap();
    let pairs = "w004 w005\tw034 w044\nw006 w007\tw034\n";
    let run = |more: &[&str]| {
        let mut arguments = vec!["attn-dump", "--model", model, "--best-layer", "--pairs"];
        arguments.extend(more);
        program::run(&arguments, pairs)
    };
    let ranked = run(&[]);
    assert_eq!(ranked.status, 0, "{}", ranked.stderr);
    // Two layers of four heads and their mean, and the mean of all; in both readings; and a heading.
    assert_eq!(ranked.stdout.lines().count(), 1 + 2 * (2 * 5 + 1));

    let stored = run(&["--gold", gold.to_str().unwrap(), "--store"]);
    assert_eq!(stored.status, 0, "{}", stored.stderr);
    let best: Vec<&str> = stored
        .stdout
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .find(|fields| fields[1] != "mean" && fields[3] == "output")
        .unwrap();
    let config: Value = serde_json::from_slice(&std::fs::read(directory.path().join("config.json")).unwrap()).unwrap();
    assert_eq!(config["alignment"]["layer"].to_string(), best[1]);
    assert_eq!(config["alignment"]["head"].as_u64().map_or("mean".to_owned(), |head| head.to_string()), best[2]);
    assert_eq!(config["d_model"], 32, "all else stays");
    // From now on it is the default.
    let shown = objects(&program::run(&["attn-dump", "--model", model], "w004 w005\n"));
    assert_eq!(shown[0]["layer"], config["alignment"]["layer"]);

    let builtin = program::run(&["attn-dump", "--best-layer", "--gold", "/nowhere"], "");
    assert_ne!(builtin.status, 0);
}

#[test]
fn all_kinds_are_written_one_after_the_other() {
    let outcome = dump("marian_relu", &["--kind", "all", "--mask-eos"], "w004 w005\n");
    let kinds: Vec<Value> = objects(&outcome).iter().map(|object| object["kind"].clone()).collect();
    assert_eq!(kinds, ["cross", "encoder", "decoder"]);
    // Each as it is alone.
    for (object, kind) in objects(&outcome).iter().zip(["cross", "encoder"]) {
        assert_eq!(
            matrix(object),
            matrix(&objects(&dump("marian_relu", &["--kind", kind, "--mask-eos"], "w004 w005\n"))[0])
        );
    }
    // A GRU has one.
    assert_eq!(objects(&dump("gru", &["--kind", "all"], "w004 w005\n")).len(), 1);

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("all.npz");
    let outcome = dump("marian_relu", &["--kind", "all", "--output", path.to_str().unwrap()], "w004 w005\nw006\n");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let names = candle_core::npy::NpzTensors::new(&path).unwrap();
    for kind in ["cross", "encoder", "decoder"] {
        names.get_shape_and_dtype(&format!("2/{kind}/attention")).unwrap();
    }
    assert_eq!(names.get("lines").unwrap().unwrap().to_vec1::<i64>().unwrap(), [1, 2]);
    let pictures = format!("{}/", directory.path().join("pictures").display());
    assert_eq!(dump("marian_relu", &["--kind", "all", "--format", "svg", "--output", &pictures], "w004\n").status, 0);
    assert!(Path::new(&pictures).join("1-encoder.svg").is_file());
}

/// The JSON that a page holds of each line.
fn page_lines(outcome: &Outcome) -> Vec<Value> {
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let parts = outcome.stdout.split("class=\"sentence\"").skip(1);
    parts
        .map(|part| serde_json::from_str(part.split_once('>').unwrap().1.split_once("</script>").unwrap().0).unwrap())
        .collect()
}

#[test]
fn a_page_holds_several_translations_of_a_line() {
    let names = |line: &Value| -> Vec<String> {
        line["views"].as_array().unwrap().iter().map(|view| view["name"].as_str().unwrap().to_owned()).collect()
    };
    let other = program::model("marian_gelu_bias");
    let other = other.to_str().unwrap();
    let beams = page_lines(&dump(
        "marian_relu",
        &["--format", "html", "--n-best", "3", "--beam-size", "4"],
        "w004 w005\n\nw006\n",
    ));
    assert_eq!(beams.iter().map(names).collect::<Vec<_>>(), [["1", "2", "3"], ["1", "2", "3"]]);
    assert_eq!(beams[1]["line"], 3);
    let list = translate("marian_relu", &["--n-best", "3", "--beam-size", "4", "--format", "json"], "w004 w005\n");
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    for (view, candidate) in beams[0]["views"].as_array().unwrap().iter().zip(list["translations"].as_array().unwrap())
    {
        assert_eq!(view["translation"], candidate["translation"]);
    }
    let models = page_lines(&dump("marian_relu", &["--format", "html", "--compare", other], "w004 w005\n"));
    assert_eq!(names(&models[0]), ["marian_relu", "marian_gelu_bias"]);
    let both = page_lines(&dump("marian_relu", &["--format", "html", "--pairs", "--search-too"], "w004 w005\tw034\n"));
    assert_eq!(names(&both[0]), ["reference", "translation"]);
    assert_eq!(both[0]["views"][0]["translation"], "w034");
    // A GRU in it says what it does not have.
    let gru = page_lines(&dump("gru", &["--format", "html", "--kind", "all"], "w004 w005\n"));
    assert!(gru[0]["views"][0]["missing"]["encoder"].as_str().unwrap().contains("no self-attention"));
}

#[test]
fn a_page_knows_how_probable_each_token_was_and_what_else() {
    let line = &page_lines(&dump("marian_relu", &["--format", "html", "--beam-size", "1"], "w004 w005 w006\n"))[0];
    let view = &line["views"][0];
    let tokens = view["tokens"].as_array().unwrap();
    let target = &line["axes"][view["target"].as_u64().unwrap() as usize];
    assert_eq!(tokens.len(), target["labels"].as_array().unwrap().len());
    for (token, text) in tokens.iter().zip(target["labels"].as_array().unwrap()) {
        let alternatives = token[1].as_array().unwrap();
        assert_eq!(alternatives.len(), 5);
        // Greedy search takes the likeliest.
        assert_eq!(alternatives[0][0].as_str().unwrap().trim(), text.as_str().unwrap().trim());
        assert!((alternatives[0][1].as_f64().unwrap() - token[0].as_f64().unwrap()).abs() < 1e-4);
    }
    let scores =
        translate("marian_relu", &["--beam-size", "1", "--format", "json", "--word-scores"], "w004 w005 w006\n");
    let scores: Value = serde_json::from_str(&scores.stdout).unwrap();
    let scores = scores["word_scores"].as_array().unwrap();
    assert_eq!(scores.len(), tokens.len());
    for (token, score) in tokens.iter().zip(scores) {
        assert!((token[0].as_f64().unwrap() - score.as_f64().unwrap().exp()).abs() < 1e-4);
    }
}

#[test]
fn what_is_about_the_page_says_so() {
    let cases: [(&[&str], &str); 5] = [
        (&["--compare", "gru"], "--compare is about the page: it needs --format html"),
        (&["--n-best", "2"], "--n-best is about the page"),
        (&["--open", "--format", "json"], "--open is about the page"),
        (&["--format", "html", "--search-too"], "neither is given"),
        (&["--format", "html", "--pairs", "--n-best", "2"], "add --search-too"),
    ];
    for (arguments, message) in cases {
        let outcome = dump("marian_relu", arguments, "w004\tw034\n");
        assert_eq!(outcome.status, 2, "{arguments:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(message), "{arguments:?}: {}", outcome.stderr);
    }
}

#[cfg(feature = "pictures")]
#[test]
fn pictures_are_drawn_without_a_browser() {
    let directory = tempfile::tempdir().unwrap();
    for (name, sign) in [("picture.png", &b"\x89PNG"[..]), ("picture.pdf", b"%PDF-1.4")] {
        let path = directory.path().join(name);
        let arguments = [
            "--draw",
            "links",
            "--theme",
            "dark",
            "--title",
            "A title",
            "--font-size",
            "20",
            "--output",
            path.to_str().unwrap(),
        ];
        let outcome = dump("marian_relu", &arguments, "w004 w005\n");
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
        assert!(std::fs::read(&path).unwrap().starts_with(sign), "{name}");
    }
    let several =
        dump("marian_relu", &["--output", directory.path().join("two.png").to_str().unwrap()], "w004\nw005\n");
    assert_eq!(several.status, 2);
    assert!(several.stderr.contains("--format png draws one picture") && !directory.path().join("two.png").exists());
}

#[test]
fn colours_reach_a_pager_when_they_are_asked_for() {
    let coloured = dump("marian_relu", &["--format", "text", "--color", "always"], "w004 w005\n");
    assert!(coloured.stdout.contains("\x1b[48;"), "{:?}", coloured.stdout);
    assert!(!dump("marian_relu", &["--format", "text"], "w004 w005\n").stdout.contains('\x1b'));
}

#[cfg(unix)]
#[test]
fn the_page_opens_in_the_browser_that_the_environment_names() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let (browser, opened) = (directory.path().join("browser"), directory.path().join("opened"));
    std::fs::write(&browser, format!("#!/bin/sh\nhead -c 15 \"$1\" > {0}.part && mv {0}.part {0}\n", opened.display()))
        .unwrap();
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).unwrap();
    let page = directory.path().join("page.html");
    let run = |browser: &Path| {
        let mut program = Program::new();
        program.arg("attn-dump").arg("--model").arg(program::model("marian_relu"));
        program.args(["--open", "--output", page.to_str().unwrap()]).env("BROWSER", browser).run("w004\n")
    };
    let outcome = run(&browser);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""), "{}", outcome.stderr);
    // Nobody waits for a browser but this test.
    for _ in 0..6000 {
        if opened.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(std::fs::read_to_string(&opened).unwrap(), "<!doctype html>");
    let missing = run(Path::new("/nowhere/browser"));
    assert_ne!(missing.status, 0);
    assert!(missing.stderr.contains("open the page yourself") && page.exists(), "{}", missing.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_a_readable_map() {
    let is_there = std::process::Command::new("script").arg("--version").output().is_ok();
    if !is_there {
        eprintln!("SKIPPED: there is no `script`, which runs a program in a terminal");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("input");
    std::fs::write(&input, "w004 w005\n").unwrap();
    let model = program::model("marian_relu");
    let line = format!("{} attn-dump --model {} {}", env!("CARGO_BIN_EXE_translate"), model.display(), input.display());
    let output = std::process::Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("cross attention") && !shown.contains("\"matrix\""), "{shown}");
}
