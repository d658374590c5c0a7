//! Every way a model directory can be broken is one line that says what is wrong, where, and what to do.

use std::fs;
use std::path::{Path, PathBuf};

use translate::checkpoint::{ModelFiles, Weights};
use translate::layouts::{EarlyStopping, GenerationConfig, Opened, TextDefaults, open_parameters};
use translate::model::EmbeddingNames;
use translate::store::hub::HubSettings;
use translate::store::{resolve, resolve_with};

/// A model directory to break, removed at the end.
pub(crate) struct Scratch(pub PathBuf);

impl Scratch {
    /// An empty directory named after the test.
    pub(crate) fn empty(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("translate-checkpoint-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A copy of one of the checkpoint fixtures.
    pub(crate) fn copy(test: &str, fixture: &str) -> Self {
        let scratch = Self::empty(test);
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoint").join(fixture);
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, scratch.0.join(path.file_name().unwrap())).unwrap();
        }
        scratch
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.0.join(name), contents).unwrap();
    }

    pub(crate) fn files(&self) -> ModelFiles {
        ModelFiles::Directory(self.0.clone())
    }

    /// Opens the model, reads its config and every tensor.
    fn read_all(&self) -> Result<(), String> {
        let read = || {
            let Opened { parameters, .. } = Opened::open(&self.files())?;
            for name in parameters.names() {
                parameters.tensor(name, &parameters.shape(name).unwrap_or_default())?;
            }
            translate::Result::Ok(())
        };
        read().map_err(|error| one_line(&error))
    }

    fn error(&self) -> String {
        self.read_all().unwrap_err()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn one_line(error: &translate::Error) -> String {
    let message = error.to_string();
    assert!(!message.contains('\n'), "more than one line: {message}");
    message
}

#[track_caller]
fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn a_missing_directory() {
    let message = one_line(&resolve("./no-such-model").unwrap_err());
    says(&message, &["./no-such-model", "no such model directory"]);
    let files = ModelFiles::Directory("no-such-model".into());
    says(&one_line(&Weights::open(&files).unwrap_err()), &["no-such-model", "no such model directory"]);
}

#[test]
fn a_file_of_weights_stands_for_its_directory() {
    let scratch = Scratch::copy("file", "safetensors");
    let path = scratch.0.join("model.safetensors");
    let files = resolve(path.to_str().unwrap()).unwrap();
    assert_eq!(Weights::open(&files).unwrap().path(), path);
}

#[test]
fn a_directory_without_weights_or_config() {
    let scratch = Scratch::empty("empty");
    says(&scratch.error(), &["no weights here", "model.safetensors", "pytorch_model.bin"]);
    let scratch = Scratch::copy("no-config", "safetensors");
    fs::remove_file(scratch.0.join("config.json")).unwrap();
    says(&scratch.error(), &["config.json", "is missing"]);
}

#[test]
fn a_missing_tensor_is_named_with_the_closest_there_is() {
    let scratch = Scratch::copy("missing-tensor", "safetensors");
    let weights = Weights::open(&scratch.files()).unwrap();
    let error = weights.tensor("model.encoder.layers.0.fc3.weight", &[6, 4]).unwrap_err();
    let wanted = ["model.safetensors", "fc3.weight is missing", "closest is model.encoder.layers.0.fc1.weight"];
    says(&one_line(&error), &wanted);
}

#[test]
fn a_wrong_shape_is_told_with_both_shapes() {
    let scratch = Scratch::copy("shape", "safetensors");
    let weights = Weights::open(&scratch.files()).unwrap();
    let error = weights.tensor("model.encoder.layers.0.fc1.weight", &[8, 4]).unwrap_err();
    says(&one_line(&error), &["model.safetensors", "fc1.weight has shape [6, 4]", "asks for [8, 4]"]);
}

#[test]
fn a_number_format_that_is_no_float() {
    let scratch = Scratch::copy("dtype", "safetensors");
    let header = br#"{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
    scratch.write("model.safetensors", safetensors(header, &[0; 8]));
    says(&scratch.error(), &["tensor a is stored as I64", "F32, F16, BF16 and F64 are supported"]);
}

fn safetensors(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, data].concat()
}

#[test]
fn a_truncated_file_of_every_format() {
    for (fixture, file) in
        [("safetensors", "model.safetensors"), ("zip", "pytorch_model.bin"), ("old", "pytorch_model.bin")]
    {
        let scratch = Scratch::copy(&format!("truncated-{fixture}"), fixture);
        let whole = fs::read(scratch.0.join(file)).unwrap();
        for kept in [0, 5, whole.len() / 2, whole.len() - 1] {
            scratch.write(file, &whole[..kept]);
            says(&scratch.error(), &[file, "truncated", "download"]);
        }
    }
}

#[test]
fn a_git_lfs_pointer_in_place_of_any_file() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 310000000\n";
    for file in ["model.safetensors", "config.json"] {
        let scratch = Scratch::copy(&format!("lfs-{file}"), "safetensors");
        scratch.write(file, pointer);
        says(&scratch.error(), &[file, "Git LFS pointer", "git lfs pull"]);
    }
}

#[test]
fn a_malformed_safetensors_header() {
    let scratch = Scratch::copy("header", "safetensors");
    let entry = |text: &str, data: usize| safetensors(format!("{{{text}}}").as_bytes(), &vec![0; data]);
    let a = r#""a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;
    let cases = [
        (safetensors(b"not json", &[]), "expected"),
        (safetensors(b"[]", &[]), "invalid type"),
        (u64::MAX.to_le_bytes().to_vec(), "claims 18446744073709551615 bytes"),
        ([&(1u64 << 40).to_le_bytes()[..], b"{}"].concat(), "claims 1099511627776 bytes"),
        (entry(r#""a":{"dtype":"F32","shape":[2]}"#, 8), "tensor \"a\""),
        (entry(r#""a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}"#, 8), "tensor \"a\""),
        (entry(r#""a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}"#, 8), "does not fit F32 [3]"),
        (entry(r#""a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}"#, 8), "does not fit"),
        (entry(r#""a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}"#, 8), "before it starts"),
        (entry(&format!(r#"{a},"b":{{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#), 12), "starts at 4"),
        (entry(&format!(r#"{a},"b":{{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}"#), 16), "starts at 12"),
        (entry(a, 12), "end at byte 8 of 12"),
    ];
    for (contents, expected) in cases {
        scratch.write("model.safetensors", contents);
        says(&scratch.error(), &["model.safetensors", "malformed safetensors header", expected, "download"]);
    }
}

#[test]
fn a_pickle_that_wants_more_than_tensors() {
    let scratch = Scratch::copy("hostile", "hostile");
    says(&scratch.error(), &["pytorch_model.bin", "eval", "nothing was executed", "state_dict"]);
    scratch.write("pytorch_model.bin", "just some text that is no checkpoint");
    says(&scratch.error(), &["pytorch_model.bin", "not a PyTorch checkpoint"]);
}

#[test]
fn a_missing_or_stray_shard() {
    let scratch = Scratch::copy("shards", "sharded");
    fs::remove_file(scratch.0.join("model-00002-of-00002.safetensors")).unwrap();
    says(&scratch.error(), &["model-00002-of-00002.safetensors", "missing"]);
    scratch.write("model.safetensors.index.json", r#"{"weight_map": {"a": "../../secret.safetensors"}}"#);
    says(&scratch.error(), &["model.safetensors.index.json", "outside the model directory"]);
    scratch.write("model.safetensors.index.json", "{}");
    says(&scratch.error(), &["model.safetensors.index.json", "no weight_map"]);
}

#[test]
fn an_unsupported_architecture_is_named_with_the_supported_ones() {
    let scratch = Scratch::copy("architecture", "safetensors");
    scratch.write("config.json", r#"{"model_type": "opt"}"#);
    says(
        &scratch.error(),
        &["config.json", "\"opt\" is not supported", "\"marian\", \"bart\", \"mbart\", \"m2m_100\""],
    );
}

#[test]
fn a_translation_model_that_is_not_supported_is_named_with_what_to_use_instead() {
    let scratch = Scratch::copy("instead", "safetensors");
    for (model_type, instead) in [
        ("nllb-moe", "use an NLLB-200 without experts"),
        ("nllb_moe", "use an NLLB-200 without experts"),
        ("longt5", "use T5, Flan-T5 or mT5"),
        ("t5gemma", "use T5, Flan-T5 or MADLAD-400"),
        ("encoder-decoder", "use a model made as one"),
    ] {
        scratch.write("config.json", format!(r#"{{"model_type": "{model_type}"}}"#));
        says(&scratch.error(), &["config.json", &format!("{model_type:?} is not supported; {instead}")]);
    }
}

#[test]
fn a_config_with_a_wrong_value_names_its_key() {
    let scratch = Scratch::copy("config", "safetensors");
    let cases = [
        ("[1]", "not a JSON object"),
        ("{", "not valid JSON"),
        (r#"{"model_type": 3}"#, "`model_type` is 3, but text is expected"),
        (r#"{"model_type": "marian", "d_model": "512"}"#, "`d_model` is \"512\", but a whole number is expected"),
        (r#"{"model_type": "marian", "d_model": 0}"#, "`d_model` is 0"),
        (r#"{"model_type": "marian", "encoder_attention_heads": 3}"#, "d_model 4 cannot be divided among 3"),
        (
            r#"{"model_type": "marian", "encoder_attention_heads": 2, "decoder_attention_heads": 2,
            "scale_embedding": 1}"#,
            "`scale_embedding` is 1, but true or false",
        ),
        (
            r#"{"model_type": "marian", "d_model": 4, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
            "activation_function": "tanh"}"#,
            "`activation_function` \"tanh\" is not supported; relu",
        ),
        (
            r#"{"model_type": "t5", "feed_forward_proj": "gated-mish", "relative_attention_num_buckets": 2}"#,
            "`feed_forward_proj` \"mish\" is not supported; relu, swish, silu, gelu and gelu_new are; \
             `relative_attention_num_buckets` 2",
        ),
        (
            r#"{"model_type": "marian", "encoder_attention_heads": 2, "decoder_attention_heads": 2,
            "eos_token_id": 99}"#,
            "`eos_token_id` 99 is outside the vocabulary of 11",
        ),
        (
            r#"{"model_type": "marian", "encoder_attention_heads": 2, "decoder_attention_heads": 2,
            "num_beams": -1}"#,
            "`num_beams` is -1, but a whole number",
        ),
        (
            r#"{"model_type": "marian", "encoder_attention_heads": 2, "decoder_attention_heads": 2,
            "early_stopping": "soon"}"#,
            "`early_stopping` is \"soon\", but true, false or \"never\"",
        ),
        (
            r#"{"model_type": "marian", "encoder_attention_heads": 2, "decoder_attention_heads": 2,
            "text_defaults": {"split_sentences": "yes"}}"#,
            "`split_sentences` is \"yes\", but true or false",
        ),
    ];
    for (config, expected) in cases {
        scratch.write("config.json", config);
        says(&scratch.error(), &["config.json", expected]);
    }
}

#[test]
fn text_defaults_that_are_not_known_are_named_and_without_the_key_everything_is_off() {
    let scratch = Scratch::copy("text_defaults", "safetensors");
    let opened = Opened::open(&scratch.files()).unwrap();
    assert_eq!(opened.text_defaults, TextDefaults::default());
    let config = std::fs::read_to_string(scratch.files().path("config.json")).unwrap();
    let with = r#"{"text_defaults": {"normalize": true, "protect": "numbers", "split": 1, "x": null},"#;
    scratch.write("config.json", config.replacen('{', with, 1));
    let opened = Opened::open(&scratch.files()).unwrap();
    let expected = TextDefaults { normalize: true, protect: Some("numbers".to_owned()), ..TextDefaults::default() };
    assert_eq!(opened.text_defaults, expected);
    let [note] = &opened.notes[..] else { panic!("{:?}", opened.notes) };
    says(note, &["config.json", "`text_defaults` has keys that have no effect: `split`, `x`"]);
}

#[test]
fn a_list_of_spellings_that_is_not_there_or_not_in_order() {
    let scratch = Scratch::copy("spellings", "safetensors");
    let config = std::fs::read_to_string(scratch.files().path("config.json")).unwrap();
    let with = r#"{"text_defaults": {"normalize": true, "spellings": "words.txt"},"#;
    scratch.write("config.json", config.replacen('{', with, 1));
    let opened = Opened::open(&scratch.files()).unwrap();
    let error = || one_line(&opened.spellings(&scratch.files()).unwrap_err());
    says(&error(), &["words.txt", "no such file", "`spellings`"]);
    scratch.write("words.txt", "am\nfür\nbin\n");
    says(&error(), &["words.txt", "line 3", "in the order of the list"]);
    scratch.write("words.txt", b"am\n\xfc\n");
    says(&error(), &["words.txt", "line 2", "not valid UTF-8"]);
    scratch.write("words.txt", "am\nfür\n");
    assert!(opened.spellings(&scratch.files()).unwrap().is_some());
}

#[test]
fn a_network_for_commas_that_is_not_there_or_none() {
    let scratch = Scratch::copy("commas", "safetensors");
    let config = std::fs::read_to_string(scratch.files().path("config.json")).unwrap();
    let with = r#"{"text_defaults": {"normalize": true, "commas": "own.bin"},"#;
    scratch.write("config.json", config.replacen('{', with, 1));
    let opened = Opened::open(&scratch.files()).unwrap();
    let error = || one_line(&opened.commas(&scratch.files()).unwrap_err());
    says(&error(), &["own.bin", "no such file", "`commas`"]);
    scratch.write("own.bin", "am\nfür\n");
    says(&error(), &["own.bin", "does not begin with `commas 1`", "training commas"]);
    scratch.write("own.bin", include_bytes!("../../vocab/commas.bin"));
    assert!(opened.commas(&scratch.files()).unwrap().is_some());
}

#[test]
fn a_vocabulary_directory_that_is_not_there() {
    let scratch = Scratch::copy("vocabulary", "safetensors");
    let error = scratch.files().directory("../vocab-of-nobody").unwrap_err();
    says(&one_line(&error), &["vocab-of-nobody", "no such directory", "`vocabulary`"]);
}

#[test]
fn damaged_bytes_never_panic_and_never_make_a_second_line() {
    for (fixture, file) in
        [("safetensors", "model.safetensors"), ("zip", "pytorch_model.bin"), ("old", "pytorch_model.bin")]
    {
        let scratch = Scratch::copy(&format!("fuzz-{fixture}"), fixture);
        let whole = fs::read(scratch.0.join(file)).unwrap();
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % below
        };
        for _ in 0..300 {
            let mut damaged = whole.clone();
            for _ in 0..1 + random(4) {
                // Structure lies at the start of every format, and at the end of an archive.
                let span = whole.len().min(3000);
                let at = if random(3) == 0 { whole.len() - 1 - random(span) } else { random(span) };
                damaged[at] = random(256) as u8;
            }
            scratch.write(file, &damaged);
            let _ = scratch.read_all();
        }
    }
}

#[test]
fn separate_embeddings_are_not_tied_whatever_the_config_says() {
    let tensor = |name: &str, start: usize| {
        format!(r#""{name}":{{"dtype":"F32","shape":[2,1],"data_offsets":[{start},{}]}}"#, start + 8)
    };
    let values = |numbers: &[f32]| -> Vec<u8> { numbers.iter().flat_map(|n| n.to_le_bytes()).collect() };
    let scratch = Scratch::empty("tying");
    scratch.write("config.json", r#"{"model_type": "marian"}"#);
    let cases: [(&[&str], &[f32], [&str; 3]); 5] = [
        (&["shared"], &[1., 2.], ["shared"; 3]),
        (&["shared", "lm_head"], &[1., 2., 1., 2.], ["shared"; 3]),
        (&["shared", "lm_head"], &[1., 2., 1., 3.], ["shared", "shared", "lm_head"]),
        (
            &["encoder.embed_tokens", "decoder.embed_tokens"],
            &[1., 2., 3., 4.],
            ["encoder.embed_tokens", "decoder.embed_tokens", "decoder.embed_tokens"],
        ),
        (&["encoder.embed_tokens", "lm_head"], &[1., 2., 3., 4.], ["encoder.embed_tokens", "lm_head", "lm_head"]),
    ];
    for (stored, numbers, expected) in cases {
        let full = |name: &str| format!("{}{name}.weight", if name == "lm_head" { "" } else { "model." });
        let entries: Vec<String> = stored.iter().enumerate().map(|(i, name)| tensor(&full(name), 8 * i)).collect();
        let header = format!("{{{}}}", entries.join(","));
        scratch.write("model.safetensors", safetensors(header.as_bytes(), &values(numbers)));
        let names = EmbeddingNames::decide(&open_parameters(&scratch.files()).unwrap()).unwrap();
        assert_eq!([names.source, names.target, names.output], expected.map(full), "{stored:?} {numbers:?}");
    }
}

#[test]
fn search_settings_come_from_the_generation_config_as_in_hugging_face() {
    let scratch = Scratch::empty("generation");
    scratch.write(
        "config.json",
        r#"{"model_type": "marian", "num_beams": 6, "max_length": 200, "bad_words_ids": [[10], [3, 4]], "eos_token_id": 7}"#,
    );
    let old = GenerationConfig::read(&scratch.files(), Some(7)).unwrap();
    assert_eq!((old.num_beams, old.max_length, old.forced_eos_token_id), (6, 200, Some(7)));
    assert_eq!((old.banned_tokens, old.banned_sequences), (vec![10], vec![vec![3, 4]]));

    scratch.write("generation_config.json", r#"{"num_beams": 4, "early_stopping": "never", "do_sample": null}"#);
    let new = GenerationConfig::read(&scratch.files(), Some(7)).unwrap();
    assert_eq!((new.num_beams, new.early_stopping, new.forced_eos_token_id), (4, EarlyStopping::Never, None));
    assert_eq!(new.max_length, 512);
}

#[test]
fn a_hub_model_is_found_in_the_cache_and_an_incomplete_one_says_what_it_lacks() {
    let cache = Scratch::empty("cache");
    let settings = HubSettings {
        cache: cache.0.clone(),
        endpoint: "http://127.0.0.1:9".to_owned(),
        token: None,
        offline: true,
        refuses: |_| None,
        ..HubSettings::from_environment()
    };
    let find = || resolve_with("someone/opus-mt-de-en", &settings, &mut |_| {});
    says(&one_line(&find().unwrap_err()), &["someone/opus-mt-de-en", "cache", "hf download someone/opus-mt-de-en"]);

    let snapshot = cache.0.join("models--someone--opus-mt-de-en/snapshots/abc");
    fs::create_dir_all(cache.0.join("models--someone--opus-mt-de-en/refs")).unwrap();
    cache.write("models--someone--opus-mt-de-en/refs/main", "abc\n");
    let model = Scratch::copy("cache-model", "old");
    fs::create_dir_all(snapshot.parent().unwrap()).unwrap();
    fs::rename(&model.0, &snapshot).unwrap();
    says(&one_line(&find().unwrap_err()), &["vocab.json is not in the Hugging Face cache", "hf download"]);

    fs::write(snapshot.join("tokenizer.json"), "{}").unwrap();
    assert_eq!(find().unwrap().path("config.json"), snapshot.join("config.json"));
}
