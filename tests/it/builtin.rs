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
    let (careless, careful) = ("die haustuer fuer die strasse ist gross.", "Die Haustür für die Straße ist groß.");
    let run = |arguments: &[&str], line: &str| Program::new().args(arguments).run(format!("{line}\n")).success();
    for model in ["transformer", "gru"] {
        assert_eq!(translate(model, &[], careless), translate(model, &[], careful), "{model}");
        let [as_typed, careful] = [careless, careful].map(|line| translate(model, &["--no-normalize"], line));
        assert_ne!(as_typed, careful, "{model}");
    }
    let capitals = translate("transformer", &[], "DIE HAUSTÜR FÜR DIE STRASSE IST GROSS.");
    assert_eq!(capitals, translate("transformer", &[], careful).to_uppercase());
    // Words and their places are those of the line as it was given.
    for arguments in [&["attn-dump", "--format", "pharaoh"][..], &["translate", "--alignments"]] {
        assert_eq!(run(arguments, careless), run(arguments, careful), "{arguments:?}");
    }
    let words = run(&["attn-dump", "--words", "--format", "json"], careless);
    for (word, bytes) in [("haustuer", "4,12"), ("fuer", "13,17"), ("strasse", "22,29"), ("gross.", "34,40")] {
        assert!(words.contains(&format!(r#"{{"text":"{word}","bytes":[{bytes}],"#)), "{words}");
    }
    let json = run(&["translate", "--alignments", "--format", "json"], careless);
    assert!(json.contains(careless), "{json}");
    // Marks go to the words that their words became.
    let [careless, careful] = [
        "<p>die <b>haustuer</b> fuer die <i>strasse</i> ist gross.</p>",
        "<p>Die <b>Haustür</b> für die <i>Straße</i> ist groß.</p>",
    ]
    .map(|page| run(&["document", "--from", "html"], page));
    assert_eq!(careless, careful);
    assert!(careful.contains("<b>"), "{careful}");
}
