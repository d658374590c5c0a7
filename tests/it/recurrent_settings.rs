//! The settings of `recurrent-attention`: what is refused, what the JSON Schema says, and how kinds of attention are shown.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use translate::checkpoint::ModelFiles;
use translate::layouts::Opened;

use crate::program::Program;
use crate::recurrent::{Combination, grid, write};

fn combination(name: &str) -> Combination {
    grid().into_iter().find(|combination| combination.name == name).unwrap_or_else(|| panic!("no combination {name}"))
}

/// What is said of a combination whose settings were changed.
fn refusal(name: &str, change: impl Fn(&mut Combination)) -> String {
    let mut combination = combination(name);
    change(&mut combination);
    let directory = tempfile::tempdir().unwrap();
    let files = write(&combination, directory.path());
    Opened::open(&files).map_or_else(|error| error.to_string(), |_| "nothing".to_owned())
}

#[test]
fn nonsense_is_refused_in_one_sentence() {
    type Change = fn(&mut Combination);
    let cases: [(&str, Change, &str); 16] = [
        (
            "general-query after",
            |c| {
                c.config["attention"]["score"] = json!("dot");
                c.tensors.remove("decoder.attention.query.weight");
                c.tensors.insert("encoder.rnn.weight_hh_l0".to_owned(), vec![15, 5]);
                c.tensors.insert("encoder.rnn.weight_hh_l0_reverse".to_owned(), vec![15, 5]);
                c.config["encoder"]["cell"] = json!("gru");
            },
            "a dot product needs queries and keys of one width, and they are 8 and 10 wide",
        ),
        ("general-query after", |c| c.config["attention"]["heads"] = json!(3), "3 heads do not divide"),
        (
            "general-query after",
            |c| drop(c.tensors.remove("decoder.attention.query.weight")),
            "decoder.attention.query.weight",
        ),
        (
            "general-query after",
            |c| c.config["decoder"]["feed"] = json!("attentional"),
            "the attentional state is fed, but the output has no hidden layer",
        ),
        (
            "no attention, activated",
            |c| c.config["decoder"]["feed"] = json!("context"),
            "a context is fed, but there is no attention",
        ),
        (
            "no attention, activated",
            |c| c.config["output"]["parts"] = json!(["state", "context"]),
            "the output reads the context, but there is no attention",
        ),
        ("location after", |c| c.config["attention"]["heads"] = json!(2), "a location score has no keys"),
        (
            "general-query after",
            |c| c.config["attention"]["reach"] = json!("local-monotone"),
            "a window of 0 positions",
        ),
        (
            "general-query after",
            |c| c.config["attention"]["coverage"] = json!(true),
            "coverage belongs to an additive score",
        ),
        (
            "general-query after",
            |c| c.config["attention"]["query"] = json!("between-layers"),
            "a query between two layers needs a decoder of at least two",
        ),
        (
            "general-query after",
            |c| c.config["output"]["parts"] = json!(["state", "state"]),
            "the output reads one part twice",
        ),
        ("mean start lstm", |c| c.config["start"]["cell"] = json!("own"), "there is no mean of cell states"),
        ("bridge for each layer", |c| c.config["encoder"]["cell"] = json!("gru"), "`encoder.cell` has 3 gates"),
        ("general-query after", |c| c.config["attention"]["scores"] = json!("dot"), "`attention.scores` is no key"),
        ("general-query after", |c| c.config["attention"]["query"] = json!("behind"), "unknown variant `behind`"),
        (
            "general-query after",
            |c| c.config["attention"]["score"] = json!("multiplicative"),
            "\"multiplicative\" is not supported; dot, scaled-dot, general",
        ),
    ];
    for (name, change, expected) in cases {
        let said = refusal(name, change);
        assert!(said.contains(expected), "{name}: {said:?}, not {expected:?}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recurrent-attention.schema.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Whether a value is what a part of the schema allows, as far as this schema's keywords go.
fn fits(value: &Value, schema: &Value) -> bool {
    let is_type = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_u64(),
        Some("number") => value.is_number(),
        _ => true,
    };
    let is_one = schema["enum"].as_array().is_none_or(|list| list.contains(value));
    let properties = &schema["properties"];
    let is_closed = schema["additionalProperties"] == json!(false);
    let members = value.as_object().into_iter().flatten();
    let mut members = members.map(|(key, value)| (properties.get(key), value));
    let elements = value.as_array().into_iter().flatten();
    let mut elements = elements.map(|element| schema["items"].is_null() || fits(element, &schema["items"]));
    is_type
        && is_one
        && elements.all(|fits| fits)
        && members.all(|(property, value)| property.map_or(!is_closed, |property| fits(value, property)))
}

#[test]
fn the_schema_has_the_keys_of_the_layout_and_allows_every_fixture() {
    let schema = schema();
    for section in ["encoder", "decoder", "start", "attention", "output"] {
        let properties = schema["properties"][section]["properties"].as_object().unwrap();
        let said = refusal("general-query after", |c| c.config[section]["?"] = json!(1));
        let known = said.split(&format!("those of `{section}` are ")).nth(1).unwrap();
        let known: BTreeSet<&str> = known.split(", ").collect();
        assert_eq!(known, properties.keys().map(String::as_str).collect(), "{section}");
        // Each word of the schema is one the layout knows.
        for (key, property) in properties {
            for word in property["enum"].as_array().into_iter().flatten() {
                let said = refusal("general-query after", |c| c.config[section][key] = word.clone());
                let unknown = ["is not supported", "unknown variant"].iter().any(|problem| said.contains(problem));
                assert!(!unknown, "{section}.{key} {word}: {said}");
            }
        }
    }
    for combination in grid() {
        assert!(fits(&combination.config, &schema), "{}: {}", combination.name, combination.config);
    }
    assert!(!fits(&json!({"attention": {"score": "dots"}}), &schema));
    assert!(!fits(&json!({"attention": {"scores": "dot"}}), &schema));
}

#[test]
fn ones_own_names_are_mapped() {
    let mut combination = combination("general-query after");
    let directory = tempfile::tempdir().unwrap();
    combination.config["tensor_names"] = json!({"W_a": "decoder.attention.query.weight", "enc.": "encoder.rnn."});
    let renamed = |name: &str| match name {
        "decoder.attention.query.weight" => "W_a".to_owned(),
        _ => name.replace("encoder.rnn.", "enc."),
    };
    combination.tensors = combination.tensors.iter().map(|(name, shape)| (renamed(name), shape.clone())).collect();
    let files = write(&combination, directory.path());
    let opened = Opened::open(&files).unwrap();
    translate::model::load(&opened.spec, &opened.parameters, &translate::compute::Compute::default()).unwrap();
}

/// A directory that the program can run: pieces `<unk> <pad> <s> </s> a4 a5 …`.
fn directory(name: &str) -> (tempfile::TempDir, ModelFiles) {
    let mut combination = combination(name);
    let specials = ["<unk>", "<pad>", "<s>", "</s>"].map(str::to_owned);
    let pieces: Vec<String> = specials.into_iter().chain((4..20).map(|id| format!("a{id}"))).collect();
    combination.config["source_pieces"] = json!(pieces);
    combination.config["target_pieces"] = json!(pieces);
    let directory = tempfile::tempdir().unwrap();
    let files = write(&combination, directory.path());
    (directory, files)
}

fn dump(name: &str, arguments: &[&str]) -> crate::program::Outcome {
    let (directory, _) = directory(name);
    let mut program = Program::new();
    program.args(["attn-dump", "--model"]).arg(directory.path()).args(["--max-length", "5"]).args(arguments);
    program.run("a5 a6 a7 a8\n")
}

#[test]
fn maps_say_where_their_numbers_are_no_plain_weights() {
    let object = |name: &str| -> Value { serde_json::from_str(&dump(name, &["--format", "json"]).stdout).unwrap() };
    assert_eq!(object("additive after")["meaning"], Value::Null);
    for hard in ["additive argmax", "additive sampled"] {
        let object = object(hard);
        assert_eq!(object["meaning"], "probabilities of a hard choice");
        let soft = |weight: &Value| weight.as_f64().is_some_and(|weight| weight > 0.0 && weight < 1.0);
        assert!(object["matrix"][0].as_array().unwrap().iter().all(soft), "probabilities, not the choice");
        for format in ["text", "svg"] {
            let said = dump(hard, &["--format", format]).stdout;
            assert!(said.contains("probabilities by which one position is chosen"), "{format}: {said}");
        }
        let page = dump(hard, &["--format", "html"]).stdout;
        assert!(page.contains("\"note\":\"probabilities by which one position is chosen\""));
    }
    assert_eq!(object("additive local-predictive")["meaning"], "partial weights");
}

#[test]
fn outside_a_window_there_is_nothing() {
    let object: Value = serde_json::from_str(&dump("additive local-monotone", &["--format", "json"]).stdout).unwrap();
    for (step, row) in object["matrix"].as_array().unwrap().iter().enumerate() {
        for (at, weight) in row.as_array().unwrap().iter().enumerate() {
            // Four words and the sentence end; a window of two to either side.
            let within = at.abs_diff(step.min(4)) <= 2;
            assert_eq!(weight.as_f64() != Some(0.0), within, "step {step}, position {at}: {weight}");
        }
    }
}

#[test]
fn a_model_without_attention_translates_and_says_that_it_has_none() {
    let (directory, _) = directory("no attention");
    let mut program = Program::with_model(directory.path());
    program.args(["--max-length", "5", "--beam-size", "2"]);
    let outcome = program.run("a5 a6\n");
    assert_eq!((outcome.status, outcome.stdout.lines().count()), (0, 1), "{}", outcome.stderr);
    let outcome = dump("no attention", &["--format", "json"]);
    assert_ne!(outcome.status, 0);
    assert!(outcome.stderr.contains("this model has no attention"), "{}", outcome.stderr);
}
