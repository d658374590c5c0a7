//! What has to come back as it was, through the real program and the built-in models.

use serde_json::Value;
use translate::model::Record;
use translate::protect::{Finish, Protected, Protection};
use translate::{Precision, Request, Translator, Workspace};

use crate::program::Program;

fn translate(model: &str, arguments: &[&str], lines: &[&str]) -> Vec<String> {
    let output = Program::with_model(model).arg("--quiet").args(arguments).run(lines.join("\n") + "\n").success();
    output.lines().map(str::to_owned).collect()
}

fn assert_copied(lines: &[(&str, &[&str])]) {
    for model in ["transformer", "gru"] {
        let sources: Vec<&str> = lines.iter().map(|(line, _)| *line).collect();
        let translations = translate(model, &[], &sources);
        for ((line, copies), translation) in lines.iter().zip(translations) {
            for copy in *copies {
                assert_eq!(
                    translation.matches(copy).count(),
                    line.matches(copy).count(),
                    "{model}: {line}: {translation}"
                );
            }
        }
    }
}

#[test]
fn addresses_files_names_and_placeholders_are_copied_as_often_as_they_occur() {
    assert_copied(&[
        (
            "Die Bilder liegen unter https://bilder.example.org/alben?jahr=2021&seite=3#oben.",
            &["https://bilder.example.org/alben?jahr=2021&seite=3#oben"],
        ),
        (
            "Antworten Sie bitte an paula.meier+neu@verein-nord.de, nicht an info@verein-nord.de.",
            &["paula.meier+neu@verein-nord.de", "info@verein-nord.de"],
        ),
        (
            "Ich habe C:\\Daten\\urlaub_2.xlsx und ~/briefe/oma.odt gelöscht.",
            &["C:\\Daten\\urlaub_2.xlsx", "~/briefe/oma.odt"],
        ),
        ("Hallo {vorname}, Sie haben %d neue Nachrichten von %1$s.", &["{vorname}", "%d", "%1$s"]),
        ("Starte das Programm mit --leise oder -q.", &["--leise", "-q"]),
        ("@lukas_9 Schönes Foto #bergsee", &["@lukas_9", "#bergsee"]),
        ("Die Seite www.rad-und-weg.de ist neu (www.rad-und-weg.de).", &["www.rad-und-weg.de"]),
        ("https://nur.example.net/eine/Adresse", &["https://nur.example.net/eine/Adresse"]),
    ]);
}

#[test]
fn a_sentence_is_translated_as_without_the_signs_that_stand_in_it() {
    let clean = "Zwei Kinder spielen am Strand.";
    let marked = [
        ("→ Zwei Kinder spielen am Strand.", "→ "),
        ("Zwei Kinder 🏖️ spielen am Strand.", "🏖️ "),
        ("Zwei Kinder spielen am Strand. 👨‍👩‍👧", " 👨‍👩‍👧"),
        ("Zwei Kinder ☂ spielen am Strand.", "☂ "),
        ("Zwei Kinder 海 spielen am Strand.", "海 "),
        ("Zwei Kinder || spielen am Strand.", "|| "),
    ];
    for model in ["transformer", "gru"] {
        let expected = translate(model, &[], &[clean]).concat();
        let lines = marked.map(|(line, _)| line);
        for ((line, sign), translation) in marked.iter().zip(translate(model, &[], &lines)) {
            assert_eq!(translation.replacen(sign, "", 1), expected, "{model}: {line}: {translation}");
        }
    }
}

#[test]
fn markup_stays_around_the_words_it_was_around() {
    for model in ["transformer", "gru"] {
        let lines = [
            "Zwei <b>Kinder</b> spielen am Strand.",
            "<p>Zwei Kinder spielen.</p>",
            "Zwei **Kinder** spielen am Strand.",
        ];
        let [tags, whole, stars] = &translate(model, &[], &lines)[..] else { panic!("three lines") };
        assert!(tags.contains("Two <b>children</b> "), "{model}: {tags}");
        assert!(whole.starts_with("<p>Two children") && whole.ends_with("</p>"), "{model}: {whole}");
        assert!(stars.contains("Two **children** "), "{model}: {stars}");
    }
}

/// Checks that both built-in models have in the translation of each line what stands beside it.
fn come_through(lines: &[(&str, &str)]) {
    let sources: Vec<&str> = lines.iter().map(|&(line, _)| line).collect();
    for model in ["transformer", "gru"] {
        for ((line, wanted), translation) in lines.iter().zip(translate(model, &[], &sources)) {
            assert!(translation.contains(wanted), "{model}: {line}: {translation}");
        }
    }
}

#[test]
fn numbers_keep_their_value_and_are_written_as_in_english() {
    let lines = [
        ("In dem Dorf leben 6.471 Menschen.", "6,471"),
        ("Die Karte kostet 1.038,50 Euro.", "1,038.50"),
        ("Der Turm ist 57,3 Meter hoch.", "57.3"),
        ("Meine Telefonnummer ist 0451 7730926.", "0451 7730926"),
        ("Er wurde am 07.11.1968 geboren.", "07.11.1968"),
        ("Der Zug fährt um 17:42 Uhr ab.", "17:42"),
        ("Version 4.17.2 ist da.", "4.17.2"),
        ("23.806.114", "23,806,114"),
    ];
    come_through(&lines);
}

#[test]
fn times_of_day_keep_their_value_and_their_sentence() {
    let lines = [
        ("Der Zug fährt um halb acht.", "7:30."),
        ("Es ist fünf nach halb zehn.", "9:35."),
        ("Um zwanzig Uhr ist Schluss.", "20:00"),
        ("Wir treffen uns um 8 Uhr 30.", "8:30."),
        ("WIR TREFFEN UNS UM HALB ACHT", "7:30"),
        ("wir treffen uns um halb acht", "7:30"),
    ];
    come_through(&lines);
    // The model makes it `6:00 p.m.`, which is right.
    let [hall, tomorrow, evening] = &translate(
        "transformer",
        &[],
        &[
            "Heute um 18:00 Uhr in der Stadthalle.",
            "Wir sehen uns morgen um 9 Uhr vor dem Rathaus.",
            "Ich komme um 9 Uhr abends.",
        ],
    )[..] else {
        panic!("three lines")
    };
    assert_eq!(hall, "Today at 18:00 in the city hall.");
    assert!(tomorrow.contains(" 9") && !tomorrow.contains("p.m."), "nobody said which half of the day: {tomorrow}");
    assert!(evening.contains("9 o'clock in the evening") || evening.contains("9 p.m."), "{evening}");
}

#[test]
fn numbers_in_words_keep_their_value() {
    let lines = [
        ("Sie ist siebenundvierzig Jahre alt.", "47"),
        ("Er zahlte zweihundertfünfzig Euro.", "250"),
        ("Im Jahr neunzehnhundertneunundachtzig fiel die Mauer.", "1989"),
        ("Wir warten seit anderthalb Stunden.", "1.5"),
        ("Der siebenundvierzigjährige Mann schläft.", "47-year-old"),
    ];
    come_through(&lines);
}

#[test]
fn lines_without_spans_are_translated_as_ever_and_other_models_protect_nothing_unasked() {
    let lines = ["Ein Hund läuft über eine Wiese.", "Wo ist der Bahnhof?", "Das gefällt mir sehr, danke!"];
    for model in ["transformer", "gru"] {
        assert_eq!(translate(model, &[], &lines), translate(model, &["--protect", "none"], &lines));
    }
    let model = crate::program::model("marian_relu");
    let json = Program::with_model(model).args(["--quiet", "--format", "json"]).run("w004 https://a.de 17\n").success();
    assert!(!json.contains("\"protected\""), "{json}");
}

#[test]
fn words_with_letters_that_a_vocabulary_spells_in_bytes_are_translated() {
    let lines =
        ["Österreich ist ein schönes Land.", "Die Öffnungszeiten haben sich geändert.", "Das Café ist geschlossen."];
    for (translation, word) in translate("transformer", &[], &lines).iter().zip(["Austria", "pening", "closed"]) {
        assert!(translation.contains(word) && !translation.contains(['Ö', 'é']), "{translation}");
    }
    // Letters of other scripts come back as they are.
    let [translation] = &translate("transformer", &[], &["Er wohnt in Санкт-Петербург."])[..] else {
        panic!()
    };
    assert!(translation.contains("Санкт-Петербург"), "{translation}");
}

#[test]
fn the_result_of_a_line_does_not_depend_on_its_neighbours() {
    let lines = [
        "Es kostet 1.299 Euro.",
        "Sieh auf www.laden-ost.de nach.",
        "Ein Hund 🐕 läuft.",
        "Danke.",
        "Nimm {wert} mit.",
    ];
    let together = translate("gru", &[], &lines);
    let alone: Vec<String> =
        lines.iter().flat_map(|line| translate("gru", &["--batch-size", "1", "-t", "1"], &[line])).collect();
    assert_eq!(together, alone);
}

#[test]
fn what_to_protect_is_a_pattern_or_a_file_of_them_and_none_takes_it_back() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "Klingelmöller\n[A-Z]{2}-\\d+\n").unwrap();
    let path = file.path().to_str().unwrap();
    let line = "Frau Klingelmöller hat das Teil QX-77 bestellt.";
    let translation = translate("gru", &["--protect", path], &[line]).concat();
    assert!(translation.contains("Klingelmöller") && translation.contains("QX-77"), "{translation}");
    let translation = translate("gru", &["--protect", "none", "--protect", "Klingel\\w+"], &[line]).concat();
    assert!(translation.contains("Klingelmöller"), "{translation}");

    for (options, problem) in [
        (&["--protect", "(x"][..], "--protect (x: not a regular expression"),
        (&["--protect", "x?"], "--protect x?: the regular expression matches empty text"),
        (&["--protect", "numbers", "--n-best", "2"], "--n-best"),
        (&["--protect", "default", "--pieces"], "--pieces"),
    ] {
        let refused = Program::with_model("gru").args(options).run("Ja.\n");
        assert_eq!((refused.status, refused.stdout.as_str()), (2, ""), "{options:?}");
        assert!(refused.stderr.contains(problem), "{}", refused.stderr);
    }
}

#[test]
fn json_names_the_spans_and_alignments_count_them_as_words() {
    let line = "Sieh <b>heute</b> auf www.laden-ost.de nach 🐕 .";
    for model in ["transformer", "gru"] {
        let mut program = Program::with_model(model);
        let json = program.args(["--quiet", "--format", "json", "--alignments"]).run(line).success();
        let object: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(object["protected"], serde_json::json!(["<b>", "</b>", "www.laden-ost.de", "🐕"]));
        assert!(object.get("lost").is_none(), "{json}");
        let translation = object["translation"].as_str().unwrap();
        let pairs: Vec<(usize, usize)> = serde_json::from_value(object["alignment"].clone()).unwrap();
        let (sources, targets): (Vec<&str>, Vec<&str>) =
            (line.split_ascii_whitespace().collect(), translation.split_ascii_whitespace().collect());
        let linked = |word: &str| pairs.iter().any(|&(s, t)| sources[s].contains(word) && targets[t].contains(word));
        assert!(linked("www.laden-ost.de") && linked("🐕"), "{model}: {json}");
    }
}

#[test]
fn a_line_of_nothing_but_openings_costs_no_more_than_its_length() {
    for part in ["(", "<b>", "a/", "{{", "„", "[x](", "\"a ", "1.2,", "@a"] {
        let line = part.repeat(60_000 / part.len());
        let outcome =
            Program::with_model("gru").args(["--quiet", "--beam-size", "1", "--max-length", "5"]).run(line + "\n");
        assert_eq!((outcome.status, outcome.stdout.lines().count()), (0, 1), "{part}: {}", outcome.stderr);
    }
}

#[test]
fn it_makes_no_difference_how_many_ways_are_tried_at_once() {
    let translator = Translator::load("gru", Precision::F32).unwrap();
    let protection = Protection::parse(&["default"]).unwrap().unwrap();
    let lines = [
        "Die Datei bericht_2019.pdf liegt in C:\\Alt\\Neu und in ~/x/y.tar.gz.",
        "Ruf 0171/2345678 oder +49 30 1234567 an, Kennwort %s-%d, Nr. 77/4-b.",
        "Zwei Kinder spielen am Strand.",
        "Er nennt sie @mara_88, sie ihn ${kosename}, beide nennen den Hund 海の犬.",
        "Version 10.4.7-rc2 braucht 12.345,67 Punkte am 3.4.2021 um 7.45 Uhr.",
    ];
    let requests: Vec<Request> = lines.iter().map(|&line| line.into()).collect();
    let mut options = translator.search_options();
    options.beam_size = 1;
    // The model, or one that never says anything but this.
    let translate = |together: usize, says: Option<&str>| {
        let (mut calls, mut sent) = (0, 0);
        let mut found = vec![(String::new(), Vec::new()); requests.len()];
        let translate = |requests: Vec<Request>, finish: &mut Finish<'_>| {
            let mut waiting: Vec<(usize, Request)> = requests.into_iter().enumerate().collect();
            sent = waiting.len();
            while !waiting.is_empty() {
                calls += 1;
                let batch: Vec<Request> = waiting.iter().map(|(_, request)| request.clone()).collect();
                let record = Record { cross: true, ..Record::default() };
                let mut done = translator.translate(&batch, &options, record, &mut Workspace::new(1))?;
                for (own, says) in done.iter_mut().flat_map(|own| &mut own.candidates).zip(says.into_iter().cycle()) {
                    own.text = says.to_owned();
                }
                let mut next = Vec::new();
                for ((number, _), translation) in waiting.into_iter().zip(done) {
                    for request in finish(number, translation)? {
                        next.push((sent, request));
                        sent += 1;
                    }
                }
                waiting = next;
            }
            Ok(())
        };
        let done = &mut |number: usize, own: Protected| {
            found[number] = (own.translation.text().to_owned(), own.lost);
            Ok(Vec::new())
        };
        protection.translate(&translator, requests.clone(), together, translate, done).unwrap();
        (found, calls, sent)
    };
    for says in [None, Some("Nothing of it.")] {
        let (one, calls_of_one, sent_of_one) = translate(1, says);
        for together in [8, 64] {
            let (several, calls, sent) = translate(together, says);
            assert_eq!(several, one, "{together} together");
            assert!(calls <= calls_of_one && sent >= sent_of_one, "{calls} of {calls_of_one} calls");
            assert!(says.is_none() || together < 64 || calls < calls_of_one, "{calls} calls: nothing was tried ahead");
        }
    }
}

#[test]
fn what_is_translated_again_has_its_attention_whatever_is_beside_it() {
    // Of the first the hour is cut out in the end, of the second a word gets a stand-in, the third has a sign to put back at once.
    let lines = [
        "Gegen 14 Uhr kam es am Montag am Flugplatz in Kottendorf zu einem Streit.",
        "Wir haben vergessen, Nattō zu holen.",
        "Ein Hund 👍 rennt.",
    ];
    let greedy =
        |more: &[&str], lines: &[&str]| translate("transformer", &[&["--beam-size", "1"], more].concat(), lines);
    let together = greedy(&[], &lines);
    let alone: Vec<String> = lines.iter().flat_map(|line| greedy(&[], &[line])).collect();
    assert_eq!(alone, together);
    assert!(together[0].contains("14:00 "), "the hour is beside a word and not at the end: {}", together[0]);
    for line in greedy(&["--format", "json", "--alignments"], &lines) {
        let line: Value = serde_json::from_str(&line).unwrap();
        assert!(!line["alignment"].as_array().unwrap().is_empty(), "{line}");
    }
}
