//! Word numbers and byte ranges are those of the line as it was given, and of the translation as it is printed.

use serde_json::Value;

use crate::program::Program;

/// Lines in which the words between the spaces are not those of the normalised text, and how many there are.
const LINES: [(&str, usize); 14] = [
    ("Eine Katze schläft auf dem Sofa.", 6),
    ("Eine\u{a0}Katze schläft auf\u{202f}dem Sofa.", 4),
    ("Eine Katze\u{200b}schläft auf dem Sofa.", 5),
    ("Eine Katze\u{3000}schläft auf dem Sofa.", 5),
    ("  Eine Katze \t  schläft auf dem Sofa. ", 6),
    ("Eine Kat\u{ad}ze schläft … auf dem Sofa.", 7),
    ("Die Katze ½ trinkt ³ den Ka\u{fb00}ee.", 7),
    ("Eine Katze ´ ¨ schläft.", 5),
    ("Eine \u{200b} Katze schläft.", 4),
    ("Eine \u{2581} Katze schläft.", 4),
    ("Eine\u{2581}Katze schläft.", 2),
    ("Eine \u{ad} Katze \u{feff} schläft.", 5),
    ("Eine \u{7} Katze\u{2028}schläft.", 3),
    ("Die Ｋａｔｚｅ schläft.", 3),
];

fn input() -> String {
    LINES.map(|(line, _)| format!("{line}\n")).concat()
}

fn pairs(links: &str) -> Vec<(usize, usize)> {
    let number = |text: &str| text.parse().unwrap();
    links.split_whitespace().map(|link| link.split_once('-').unwrap()).map(|(s, t)| (number(s), number(t))).collect()
}

#[test]
fn alignments_count_the_words_between_the_spaces_of_the_line() {
    for model in ["transformer", "gru"] {
        let aligned = Program::with_model(model).args(["--alignments", "--quiet"]).run(input()).success();
        let dumped = Program::new().args(["attn-dump", "--format", "pharaoh", "-m", model]).run(input());
        for (((line, words), aligned), dumped) in LINES.iter().zip(aligned.lines()).zip(dumped.success().lines()) {
            let (translation, links) = aligned.split_once(" ||| ").unwrap();
            let targets = translation.split_ascii_whitespace().count();
            let links = pairs(links);
            assert!(!links.is_empty(), "{model}: {line:?}");
            for (source, target) in links {
                assert!(source < *words && target < targets, "{model}: {line:?}: {source}-{target}");
            }
            assert!(pairs(dumped).iter().all(|&(source, _)| source < *words), "{model}: {line:?}: {dumped}");
        }
    }
}

#[test]
fn a_word_that_the_vocabulary_does_not_see_shifts_no_other() {
    let lines = ["Eine Katze schläft.", "Eine \u{200b} Katze \u{7} \u{feff} schläft.", " Eine Katze  schläft. "];
    let aligned = Program::with_model("gru").args(["--alignments", "--quiet"]).run(lines.join("\n")).success();
    let links: Vec<_> = aligned.lines().map(|line| pairs(line.split_once(" ||| ").unwrap().1)).collect();
    let shifted = |(source, target): &(usize, usize)| ([0, 2, 5][*source], *target);
    assert_eq!(links[1], links[0].iter().map(shifted).collect::<Vec<_>>());
    assert_eq!(links[2], links[0]);
}

#[test]
fn word_numbers_count_on_through_the_sentences_of_a_line() {
    let line = "Eine Katze schläft. Ein Hund rennt.  Zwei Kinder spielen.";
    let aligned = Program::with_model("gru").args(["--alignments", "--split-sentences", "--quiet"]).run(line).success();
    let (translation, links) = aligned.trim_end().split_once(" ||| ").unwrap();
    let words: Vec<&str> = translation.split_ascii_whitespace().collect();
    let child = words.iter().position(|word| *word == "children").unwrap();
    assert!(pairs(links).contains(&(7, child)), "{aligned}");
}

#[test]
fn json_says_where_each_word_stands() {
    let line = "Eine\u{a0}Katze  schläft. Zwei Kinder spielen.";
    for options in [&["--alignments"][..], &["--alignments", "--split-sentences"]] {
        let mut program = Program::with_model("gru");
        let json = program.args(["--format", "json", "--quiet"]).args(options).run(line).success();
        let object: Value = serde_json::from_str(&json).unwrap();
        let words = |name: &str, text: &str| -> Vec<String> {
            let ranges: Vec<(usize, usize)> = serde_json::from_value(object[name].clone()).unwrap();
            ranges.into_iter().map(|(start, end)| text[start..end].to_owned()).collect()
        };
        assert_eq!(words("source_words", line), ["Eine\u{a0}Katze", "schläft.", "Zwei", "Kinder", "spielen."]);
        let translation = object["translation"].as_str().unwrap();
        assert_eq!(words("target_words", translation), translation.split_ascii_whitespace().collect::<Vec<_>>());
    }
}
