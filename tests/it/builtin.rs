//! The models inside the binary, on real sentences.

use std::path::Path;

use crate::program::Program;

/// Captions and everyday sentences, written for this project.
fn sentences() -> String {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    ["alignments/captions.de", "everyday.de"].map(|name| std::fs::read_to_string(data.join(name)).unwrap()).concat()
}

fn translate(model: &str, arguments: &[&str], input: &str) -> String {
    Program::with_model(model).arg("--quiet").args(arguments).run(input).success()
}

fn assert_independent_of_batch_and_threads(model: &str) {
    let input = sentences();
    assert_eq!(input.lines().count(), 200);
    let everything = [("3", "1"), ("32", "1"), ("1", "2"), ("3", "2"), ("32", "2")];
    for (beam, others) in [("1", &everything[..]), ("4", &everything[3..])] {
        let run = |batch, threads| {
            translate(model, &["--beam-size", beam, "--batch-size", batch, "--threads", threads], &input)
        };
        let expected = run("1", "1");
        assert_eq!(expected.lines().count(), 200);
        for (batch, threads) in others {
            assert!(run(batch, threads) == expected, "beam {beam}, batch {batch}, threads {threads}");
        }
    }
}

#[test]
fn the_transformer_gives_the_same_bytes_in_any_batch_on_any_number_of_threads() {
    assert_independent_of_batch_and_threads("transformer");
}

#[test]
fn the_gru_gives_the_same_bytes_in_any_batch_on_any_number_of_threads() {
    assert_independent_of_batch_and_threads("gru");
}

#[test]
fn int16_gives_the_translations_of_f32() {
    let input = sentences();
    for beam in ["1", "5"] {
        let run = |precision| translate("transformer", &["--beam-size", beam, "--precision", precision], &input);
        assert_eq!(run("int16"), run("f32"), "beam {beam}");
    }
}

#[test]
fn both_models_translate_a_caption() {
    for model in ["transformer", "gru"] {
        let translation = translate(model, &[], "Zwei Kinder spielen am Strand.\n");
        assert_eq!(translation, "Two children are playing on the beach.\n", "{model}");
    }
}

#[test]
fn a_line_in_capitals_has_the_words_and_the_attention_of_its_small_letters() {
    let (capitals, small) = ("DER ROTE BALL LIEGT IM GARTEN.", "der rote ball liegt im garten.");
    let alignments = |line: &str| {
        let arguments = ["attn-dump", "--format", "pharaoh"];
        Program::new().args(arguments).run(format!("{line}\n")).success()
    };
    assert_ne!(alignments(small).trim(), "");
    assert_eq!(alignments(capitals), alignments(small));
    assert_eq!(translate("transformer", &[], capitals), translate("transformer", &[], small).to_uppercase());
    let words =
        Program::new().args(["attn-dump", "--words", "--format", "json"]).run(format!("{capitals}\n")).success();
    assert!(words.contains(r#"{"text":"GARTEN.","bytes":[23,30],"#), "{words}");
}

#[test]
fn a_line_without_capitals_and_umlauts_is_read_as_it_is_usually_written() {
    let careless = "die haustuer fuer die strasse ist gross.";
    let three = format!("{careless}\nDie Haustür für die Straße ist groß.\nDIE HAUSTÜR FÜR DIE STRASSE IST GROSS.\n");
    let run = |arguments: &[&str], input: &str| Program::new().args(arguments).run(input).success();
    let lines = |arguments: &[&str]| -> Vec<String> { run(arguments, &three).lines().map(str::to_owned).collect() };
    let translations = lines(&["--quiet"]);
    assert_eq!(translations[0], translations[1]);
    assert_eq!(translations[2], translations[1].to_uppercase());
    let gru = translate("gru", &[], &three);
    assert_eq!(gru.lines().next(), gru.lines().nth(1));
    let as_typed = lines(&["--quiet", "--no-normalize"]);
    assert_ne!(as_typed[0], as_typed[1]);
    // Words and their places are those of the line as it was given.
    let links = lines(&["attn-dump", "--format", "pharaoh"]);
    assert_eq!((&links[0], &links[2]), (&links[1], &links[1]));
    let objects = lines(&["--alignments", "--format", "json"]);
    let field = |line: usize, key: &str| -> String {
        let object: serde_json::Value = serde_json::from_str(&objects[line]).unwrap();
        assert!(object[key].is_array(), "{key}: {object}");
        object[key].to_string()
    };
    assert_eq!(field(0, "alignment"), field(1, "alignment"));
    let words = &lines(&["attn-dump", "--words", "--format", "json"])[0];
    for (word, bytes) in [("haustuer", "4,12"), ("fuer", "13,17"), ("strasse", "22,29"), ("gross.", "34,40")] {
        assert!(words.contains(&format!(r#"{{"text":"{word}","bytes":[{bytes}],"#)), "{words}");
    }
    // Marks go to the words that their words became.
    let page = "<p>die <b>haustuer</b> fuer die <i>strasse</i> ist gross.</p>\n\
                <p>Die <b>Haustür</b> für die <i>Straße</i> ist groß.</p>\n";
    let page = run(&["document", "--type", "html"], page);
    let paragraphs: Vec<&str> = page.lines().collect();
    assert_eq!(paragraphs[0], paragraphs[1]);
    assert!(paragraphs[0].contains("<b>") && paragraphs[0].contains("<i>"), "{page}");
}
