//! The HTML page in a real browser.

use serde_json::Value;
use translate::inspect::html::Html;
use translate::inspect::{AlignOn, AttentionMap, HeadChoice, Kind, LayerChoice, Selection};
use translate::model::Attention;
use translate::text::Word;

use crate::webdriver::Browser;

/// Two layers of three heads over `Ein kleiner Hund läuft.`; pseudo-random but for layer 1, head 2, which follows the words.
fn map(line: u64) -> AttentionMap {
    let strings = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
    let words = |list: &[(&str, usize, usize)]| {
        list.iter().map(|&(text, start, end)| Word { text: text.to_owned(), bytes: 0..0, pieces: start..end }).collect()
    };
    let source_pieces = strings(&["▁Ein", "▁klein", "er", "▁Hund", "▁läuft", ".", "</s>"]);
    let target_pieces = strings(&["▁A", "▁small", "▁dog", "▁run", "s", ".", "</s>"]);
    let (layers, heads, rows, columns) = (2, 3, target_pieces.len(), source_pieces.len());
    let mut state = line.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut weights = Vec::new();
    for matrix in 0..layers * heads {
        for row in 0..rows {
            let mut values: Vec<f32> = (0..columns)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    (state >> 40) as f32 / (1_u64 << 24) as f32
                })
                .collect();
            if matrix == 5 {
                values.iter_mut().for_each(|value| *value *= 0.01);
                values[[0, 1, 3, 4, 4, 5, 6][row]] += 1.0;
            }
            let sum: f32 = values.iter().sum();
            weights.extend(values.iter().map(|value| value / sum));
        }
    }
    AttentionMap {
        line,
        kind: Kind::Cross,
        source: format!("Ein kleiner Hund läuft. <{line}>"),
        translation: "A small dog runs.".to_owned(),
        score: Some(-1.0),
        source_words: words(&[("Ein", 0, 1), ("kleiner", 1, 3), ("Hund", 3, 4), ("läuft.", 4, 6)]),
        target_words: words(&[("A", 0, 1), ("small", 1, 2), ("dog", 2, 3), ("runs.", 3, 6)]),
        source_pieces,
        target_pieces,
        start_piece: "<s>".to_owned(),
        end_piece: "</s>".to_owned(),
        attention: Attention { layers, heads, rows, columns, weights },
    }
}

/// A browser that shows the page of `count` sentences, beginning with the words of layer 1, head 2.
fn open(count: u64) -> Option<(Browser, tempfile::TempDir)> {
    let browser = Browser::start()?;
    let selection =
        Selection { layer: LayerChoice::Index(1), head: HeadChoice::Index(2), words: true, ..Selection::default() };
    let (mut html, mut bytes) = (Html::new("Test", selection), Vec::new());
    for line in 1..=count {
        html.add(&map(line), &mut bytes).unwrap();
    }
    html.finish(&mut bytes);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("page.html");
    std::fs::write(&path, bytes).unwrap();
    browser.open(&format!("file://{}", path.display()));
    assert_eq!(browser.run("return document.documentElement.dataset.ready"), "true", "{:?}", browser.console());
    Some((browser, directory))
}

/// The texts of the elements that a selector finds.
fn texts(browser: &Browser, selector: &str) -> Vec<String> {
    let script = format!("return [...document.querySelectorAll({selector:?})].map((found) => found.textContent)");
    serde_json::from_value(browser.run(&script)).unwrap()
}

#[test]
fn pointing_at_a_word_lights_what_it_looked_at() {
    let Some((browser, _directory)) = open(3) else { return };
    assert_eq!(texts(&browser, "#top-line .token"), ["Ein", "kleiner", "Hund", "läuft.", "</s>"]);
    assert_eq!(texts(&browser, "#bottom-line .token"), ["A", "small", "dog", "runs.", "</s>"]);

    browser.hover("#bottom-line .token[data-i=\"2\"]");
    assert_eq!(texts(&browser, "#bottom-line .active"), ["dog"]);
    assert_eq!(texts(&browser, "#top-line .lit"), ["Hund"]);
    assert_eq!(texts(&browser, "#grid tbody th.on"), ["dog"]);
    let on =
        browser.run("return [...document.querySelectorAll('#grid td.on')].every((cell) => cell.dataset.row === '2')");
    assert_eq!((on, texts(&browser, "#grid td.on").len()), (Value::Bool(true), 5));
    assert!(texts(&browser, "#readout")[0].starts_with("dog looked at"), "{:?}", texts(&browser, "#readout"));

    browser.hover("#top-line .token[data-i=\"3\"]");
    assert_eq!(texts(&browser, "#top-line .active"), ["läuft."]);
    assert_eq!(texts(&browser, "#bottom-line .lit"), ["runs."]);
    assert_eq!(texts(&browser, "#grid thead th.on"), ["läuft."]);

    browser.hover("#grid td[data-row=\"1\"][data-column=\"1\"]");
    assert_eq!(texts(&browser, ".token.active"), ["kleiner", "small"]);
    browser.hover("#map-note");
    assert_eq!(texts(&browser, "#grid td.on").len(), 0);
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn the_page_shows_the_numbers_of_the_command_line() {
    let Some((browser, _directory)) = open(1) else { return };
    let map = map(1);
    for (layer, layer_name) in [(LayerChoice::Index(0), "0"), (LayerChoice::Mean, "mean")] {
        for (head, head_name) in [(HeadChoice::Index(2), "2"), (HeadChoice::Mean, "mean"), (HeadChoice::Max, "max")] {
            for options in 0..8 {
                let [words, mask_eos, input] = [1, 2, 4].map(|bit| options & bit != 0);
                let align_on = if input { AlignOn::Input } else { AlignOn::Output };
                let selected = map.select(&Selection { layer, head, words, mask_eos, align_on }).unwrap();
                let mut address = format!("line=1&layer={layer_name}&head={head_name}");
                for (name, is_on) in [("words", words), ("mask", mask_eos), ("input", input)] {
                    if is_on {
                        address.push_str(&format!("&{name}=1"));
                    }
                }
                // The page follows its address on the next event, so ask in a promise.
                browser.run(&format!(
                    "location.hash = '{address}'; return new Promise((done) => setTimeout(() => done(1), 0))"
                ));
                let shown: Vec<f32> =
                    texts(&browser, "#grid td.cell").iter().map(|cell| cell.parse().unwrap()).collect();
                let expected = &selected.matrices[0].weights;
                assert_eq!(shown.len(), expected.len(), "{address}");
                for (shown, expected) in shown.iter().zip(expected) {
                    assert!((shown - expected * 100.0).abs() < 1.0, "{address}: {shown} for {expected}");
                }
            }
        }
    }
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn the_page_works_from_the_keyboard() {
    let Some((browser, _directory)) = open(5) else { return };
    let (down, right, enter, escape) = ('\u{E015}', '\u{E014}', '\u{E007}', '\u{E00C}');
    // A slash leads to the filter, arrow down from there to the list.
    browser.press('/');
    browser.run("document.activeElement.value = '<4>'; document.activeElement.dispatchEvent(new Event('input'))");
    assert_eq!(texts(&browser, "#count"), ["1 of 5 sentences"]);
    browser.press(down);
    assert_eq!(texts(&browser, "#list [aria-selected=true] .number"), ["4"]);

    browser.run("document.querySelector('#bottom-line .token').focus()");
    browser.press(right);
    browser.press(right);
    assert_eq!(texts(&browser, "#bottom-line .active"), ["dog"]);
    assert_eq!(texts(&browser, "#top-line .lit"), ["Hund"]);
    browser.press(enter);
    assert_eq!(texts(&browser, ".token[aria-pressed=true]"), ["dog"]);
    browser.press(escape);
    assert_eq!(texts(&browser, ".token[aria-pressed=true]").len(), 0);

    browser.run("document.querySelector('#grid td.cell').focus()");
    browser.press(down);
    browser.press(right);
    let place = browser.run("return [document.activeElement.dataset.row, document.activeElement.dataset.column]");
    assert_eq!(place, serde_json::json!(["1", "1"]));
    assert_eq!(browser.console(), Vec::<String>::new());
}

/// Moves through the list and tells the most that one click changed in the page: nodes, attributes and texts.
fn most_changes(browser: &Browser, count: usize) -> u64 {
    let script = format!(
        "const observer = new MutationObserver(() => {{}}); let most = 0; \
         observer.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }}); \
         for (let i = 1; i < 20; i++) {{ \
             document.getElementById('list').children[i * {}].click(); \
             const size = (change) => 1 + change.addedNodes.length + change.removedNodes.length; \
             most = Math.max(most, observer.takeRecords().reduce((sum, change) => sum + size(change), 0)); \
         }} \
         return most",
        count / 20
    );
    browser.run(&script).as_u64().unwrap()
}

#[test]
fn a_sentence_costs_as_much_among_a_thousand_as_among_twenty_and_both_themes_draw() {
    let Some((browser, directory)) = open(20) else { return };
    let among_twenty = most_changes(&browser, 20);
    drop((browser, directory));
    let Some((browser, _directory)) = open(1000) else { return };
    assert_eq!(texts(&browser, "#count"), ["1000 sentences"]);
    for theme in ["dark", "light"] {
        browser.prefer("prefers-color-scheme", theme);
        let brightness = browser.run(
            "return getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number).reduce((a, b) => a + b)",
        );
        assert_eq!(brightness.as_u64().unwrap() > 380, theme == "light");
    }
    // Moving through the list draws one sentence each time; the others cost nothing.
    let among_a_thousand = most_changes(&browser, 1000);
    assert!(among_twenty > 10 && among_a_thousand <= among_twenty, "{among_a_thousand} changes, not {among_twenty}");
    assert_eq!(texts(&browser, "#multiples canvas").len(), 6);
    assert_eq!(browser.console(), Vec::<String>::new());
}
