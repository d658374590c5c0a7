//! What a model directory holds that cannot be used, or is not: it is said, and nothing is read without end.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::program::{Outcome, Program, model};

/// A copy of a small model that a test may change.
struct Copy(tempfile::TempDir);

impl Copy {
    fn of(path: impl AsRef<Path>) -> Self {
        let copy = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && !path.file_name().unwrap().to_str().unwrap().starts_with("expected") {
                fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
            }
        }
        Self(copy)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn change(&self, name: &str, changes: Value) {
        let mut json: Value = serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap();
        json.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        fs::write(self.path(name), json.to_string()).unwrap();
    }

    /// Overwrites one value of a tensor in 32-bit floats.
    fn poke(&self, tensor: &str, index: usize, value: f32) {
        let path = self.path("model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        assert_eq!(header[tensor]["dtype"], "F32");
        let at = 8 + length + header[tensor]["data_offsets"][0].as_u64().unwrap() as usize + 4 * index;
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        fs::write(path, bytes).unwrap();
    }

    fn translate(&self) -> Outcome {
        Program::with_model(self.0.path()).run("w010 w012\n")
    }

    /// What `translate models` says of it.
    fn listed(&self) -> Value {
        let listing = Program::new().args(["models", "--json"]).arg(self.0.path()).run("").success();
        let mut lines = listing.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.find(|line| line["where"] == "directory").unwrap_or_default()
    }

    /// Checks that neither command can use it, for a reason that has `part`.
    fn is_unusable(&self, part: &str) {
        let outcome = self.translate();
        assert_eq!(outcome.status, 1, "{}", outcome.stderr);
        assert!(outcome.error().contains(part), "{}", outcome.error());
        let listed = self.listed().to_string();
        assert!(listed.contains("problem") && listed.contains(part), "{listed}");
    }
}

#[test]
fn weights_that_are_no_numbers_are_named_at_loading() {
    let tensor = "model.encoder.layers.0.fc1.weight";
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let copy = Copy::of(model("marian_relu"));
        copy.poke(tensor, 5, value);
        copy.poke(tensor, 70, value);
        for arguments in [&[][..], &["--precision", "int8"], &["--backend", "candle"]] {
            let outcome = Program::with_model(copy.0.path()).args(arguments).run("w010\n");
            let message = format!("tensor {tensor}: 2 of 2048 values are no numbers");
            assert_eq!(outcome.status, 1);
            assert!(outcome.error().contains(&message), "{}", outcome.error());
        }
        let converted = copy.path("converted");
        let outcome = Program::new().arg("convert").arg(copy.0.path()).arg(&converted).run("");
        assert!(outcome.status == 1 && outcome.error().contains(tensor), "{}", outcome.stderr);
        assert!(!converted.exists());
    }
}

#[test]
fn scales_of_an_int8_directory_that_are_no_numbers_are_named_at_loading() {
    let copy = Copy::of(model("marian_relu"));
    let out = copy.path("int8");
    Program::new().arg("convert").arg(copy.0.path()).arg(&out).args(["--dtype", "int8"]).run("").success();
    let converted = Copy::of(&out);
    converted.poke("model.encoder.layers.0.fc1.weight.scales", 3, f32::NAN);
    let outcome = converted.translate();
    let message = "tensor model.encoder.layers.0.fc1.weight: 1 of 64 values are no numbers";
    assert!(outcome.status == 1 && outcome.error().contains(message), "{}", outcome.stderr);
}

#[test]
fn what_has_no_effect_is_said_by_every_command() {
    let copy = Copy::of(model("marian_relu"));
    copy.change("generation_config.json", json!({"num_beam_groups": 2}));
    let out = copy.path("out");
    let directory = copy.0.path();
    let note = "generation_config.json: `num_beam_groups` has no effect here";
    for (arguments, input) in [
        (&["--quiet"][..], "w010\n"),
        (&[], "w010\n"),
        (&["attn-dump"], "w010\n"),
        (&["bench"], "w010\n"),
        (&["score"], "w010\tw011\n"),
    ] {
        let outcome = Program::new().args(arguments).arg("--model").arg(directory).run(input);
        assert_eq!(outcome.status, 0, "{arguments:?}: {}", outcome.stderr);
        assert_eq!(outcome.stderr.contains(note), arguments != ["--quiet"], "{arguments:?}: {}", outcome.stderr);
    }
    let outcome = Program::new().arg("convert").arg(directory).arg(&out).run("");
    assert!(outcome.status == 0 && outcome.stderr.contains(note), "{}", outcome.stderr);
}

#[test]
fn a_line_whose_scores_are_no_numbers_has_failed() {
    // Large enough that a product of two is infinite, and a difference of two of those no number.
    let copy = Copy::of(model("marian_relu"));
    for index in 0..64 {
        copy.poke("model.shared.weight", index * 32, if index % 2 == 0 { 3e38 } else { -3e38 });
    }
    for arguments in
        [&["--beam-size", "1"][..], &["--beam-size", "4"], &["--beam-size", "1", "--scores"], &["--sampling"]]
    {
        let outcome = Program::with_model(copy.0.path()).args(arguments).run("w010 w012\n\n");
        assert_eq!((outcome.status, outcome.stdout.as_str()), (1, "\n\n"), "{arguments:?}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains("line 1: ") && outcome.stderr.contains("scores for it are no numbers"),
            "{}",
            outcome.stderr
        );
    }
    for (command, input) in [("score", "w010\tw011\n"), ("attn-dump", "w010\n")] {
        let outcome = Program::new().arg(command).arg("--model").arg(copy.0.path()).run(input);
        assert_eq!(outcome.status, 1, "{command}");
        assert!(outcome.stderr.contains("no numbers"), "{command}: {}", outcome.stderr);
    }
}

#[test]
fn weights_that_are_not_used_are_named() {
    let copy = Copy::of(model("marian_relu"));
    assert_eq!(copy.translate().stderr, "");
    copy.change("config.json", json!({ "encoder_layers": 1 }));
    let outcome = copy.translate();
    assert_eq!(outcome.status, 0);
    assert!(outcome.stderr.contains("16 tensors are not used (model.encoder.layers.1."), "{}", outcome.stderr);
    let quiet = Program::with_model(copy.0.path()).arg("--quiet").run("w010\n");
    assert_eq!(quiet.stderr, "");
}

#[test]
fn no_fixture_has_weights_that_are_not_used() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
    for entry in fs::read_dir(models).unwrap() {
        let path = entry.unwrap().path();
        let outcome = Program::with_model(&path).args(["--max-length", "3"]).run("w010\n");
        assert!(!outcome.stderr.contains("not used"), "{}: {}", path.display(), outcome.stderr);
    }
}

#[test]
fn more_layers_than_there_are_is_an_error_in_both_commands() {
    let copy = Copy::of(model("marian_relu"));
    copy.change("config.json", json!({ "decoder_layers": 3 }));
    copy.is_unusable("model.decoder.layers.2.");
}

#[test]
fn a_list_of_models_calls_nothing_usable_that_is_not() {
    let copy = Copy::of(model("marian_relu"));
    assert!(copy.listed().get("problem").is_none(), "{}", copy.listed());
    fs::remove_file(copy.path("source_vocab.txt")).unwrap();
    copy.is_unusable("source_vocab.txt");
    let copy = Copy::of(model("marian_relu"));
    let words: String = (0..100).map(|word| format!("x{word}\n")).collect();
    let all = fs::read_to_string(copy.path("target_vocab.txt")).unwrap() + &words;
    fs::write(copy.path("target_vocab.txt"), all).unwrap();
    copy.is_unusable("vocabulary has 1");
}

/// Splits the weights into two files below a folder, with an index.
fn shard(copy: &Copy, folder: &str) {
    fs::create_dir(copy.path(folder)).unwrap();
    let bytes = fs::read(copy.path("model.safetensors")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Map<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let mut map = serde_json::Map::new();
    for part in 0..2 {
        let file = format!("{folder}/part-{part}.safetensors");
        let (mut entries, mut data) = (serde_json::Map::new(), Vec::new());
        for (name, entry) in header.iter().filter(|(name, _)| *name != "__metadata__").skip(part).step_by(2) {
            let [start, end] = [0, 1].map(|at| entry["data_offsets"][at].as_u64().unwrap() as usize);
            let offsets = [data.len(), data.len() + end - start];
            data.extend_from_slice(&bytes[8 + length + start..8 + length + end]);
            entries.insert(
                name.clone(),
                json!({ "dtype": entry["dtype"], "shape": entry["shape"], "data_offsets": offsets }),
            );
            map.insert(name.clone(), file.clone().into());
        }
        let entries = Value::Object(entries).to_string();
        let file = [&(entries.len() as u64).to_le_bytes()[..], entries.as_bytes(), &data].concat();
        fs::write(copy.path(&format!("{folder}/part-{part}.safetensors")), file).unwrap();
    }
    fs::remove_file(copy.path("model.safetensors")).unwrap();
    fs::write(copy.path("model.safetensors.index.json"), json!({ "weight_map": map }).to_string()).unwrap();
}

#[test]
fn parts_of_the_weights_may_lie_in_a_folder_of_the_model() {
    let copy = Copy::of(model("marian_relu"));
    let expected = copy.translate().success();
    shard(&copy, "w");
    assert_eq!(copy.translate().quiet(), expected);
    assert!(copy.listed().get("problem").is_none(), "{}", copy.listed());
    fs::remove_file(copy.path("w/part-1.safetensors")).unwrap();
    copy.is_unusable("part-1.safetensors");
    for outside in ["../w/part-0.safetensors", "/etc/passwd", "w/../../x.safetensors"] {
        fs::write(copy.path("model.safetensors.index.json"), json!({ "weight_map": { "a": outside } }).to_string())
            .unwrap();
        copy.is_unusable("outside the model directory");
    }
}

#[test]
fn a_byte_order_mark_before_json_is_passed_over() {
    let copy = Copy::of(model("marian_relu"));
    let expected = copy.translate().success();
    shard(&copy, "w");
    for name in ["config.json", "generation_config.json", "model.safetensors.index.json", "source_vocab.txt"] {
        let contents = fs::read(copy.path(name)).unwrap();
        fs::write(copy.path(name), [b"\xEF\xBB\xBF", &contents[..]].concat()).unwrap();
    }
    assert_eq!(copy.translate().quiet(), expected);
    assert!(copy.listed().get("problem").is_none(), "{}", copy.listed());
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_neither_waited_for_nor_read_without_end() {
    for name in ["config.json", "generation_config.json", "model.safetensors", "source_vocab.txt"] {
        for make in [&["mkfifo"][..], &["ln", "-s", "/dev/zero"]] {
            let copy = Copy::of(model("marian_relu"));
            fs::remove_file(copy.path(name)).unwrap();
            let status = std::process::Command::new(make[0]).args(&make[1..]).arg(copy.path(name)).status().unwrap();
            assert!(status.success());
            let outcome = copy.translate();
            assert_eq!(outcome.status, 1, "{name}");
            assert!(outcome.error().contains(&format!("{name}: is not a regular file")), "{}", outcome.error());
            Program::new().arg("models").arg(copy.0.path()).run("").success();
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_header_of_a_million_tensors_is_refused_for_its_number() {
    let copy = Copy::of(model("marian_relu"));
    let entry = |number: usize| format!("\"t{number}\":{{\"dtype\":\"F16\",\"shape\":[0],\"data_offsets\":[0,0]}}");
    let header = format!("{{{}}}", (0..1_000_000).map(entry).collect::<Vec<_>>().join(","));
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    fs::write(copy.path("model.safetensors"), &file).unwrap();
    // As the shell counts, in KiB: four times the file, and something for the program.
    let limit = 4 * file.len() / 1024 + 100_000;
    let mut program = Program::in_shell(&format!("ulimit -v {limit}; exec \"$@\""));
    let outcome = program.arg("--model").arg(copy.0.path()).args(["-t", "1"]).run("w010\n");
    assert_eq!(outcome.status, 1);
    assert!(outcome.error().contains("more than 100000 tensors"), "{}", outcome.error());
}

#[test]
fn keys_of_the_generation_config_are_honoured_as_hugging_face_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/generation/keys.json");
    let fixture: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let words = |ids: &Value| {
        let ids = ids.as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).filter(|id| *id != 0);
        ids.map(|id| if id == 1 { "<unk>".to_owned() } else { format!("w{id:03}") }).collect::<Vec<_>>().join(" ")
    };
    let lines = |lists: &Value| lists.as_array().unwrap().iter().map(|ids| words(ids) + "\n").collect::<String>();
    let input = lines(&fixture["sources"]);
    for run in fixture["runs"].as_array().unwrap() {
        let copy = Copy::of(model("marian_relu"));
        copy.change("generation_config.json", run["keys"].clone());
        for batch in ["1", "7"] {
            let mut program = Program::with_model(copy.0.path());
            let outcome = program.args(["--pieces", "--quiet", "--batch-size", batch]).run(&input);
            assert_eq!(outcome.quiet(), lines(&run["targets"]), "{} in batches of {batch}", run["keys"]);
        }
        // Written out in full, they say the same.
        let converted = copy.path("converted");
        Program::new().arg("convert").arg(copy.0.path()).arg(&converted).args(["--dtype", "f32"]).run("").success();
        let again = Program::with_model(&converted).args(["--pieces", "--quiet"]).run(&input).quiet();
        assert_eq!(again, lines(&run["targets"]), "{} converted", run["keys"]);
    }
}

#[test]
fn keys_of_the_generation_config_without_effect_are_named_once() {
    let copy = Copy::of(model("marian_relu"));
    let neutral = json!({ "num_beam_groups": 1, "diversity_penalty": 0.0, "do_sample": false, "guidance_scale": null });
    copy.change("generation_config.json", neutral);
    assert_eq!(copy.translate().stderr, "");
    let keys =
        json!({ "num_beam_groups": 2, "diversity_penalty": 0.5, "do_sample": true, "sequence_bias": [[[5], 1.0]] });
    copy.change("generation_config.json", keys);
    let warning = Program::with_model(copy.0.path()).run("w010\nw011\n").stderr;
    assert_eq!(warning.lines().count(), 1, "{warning}");
    for key in ["num_beam_groups", "diversity_penalty", "do_sample", "sequence_bias"] {
        assert!(warning.contains(key), "{warning}");
    }
    copy.change("generation_config.json", json!({ "suppress_tokens": "all" }));
    assert!(copy.translate().error().contains("`suppress_tokens` is \"all\", but a list of token ids is expected"));
}
