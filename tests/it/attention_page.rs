//! The HTML page in a real browser.

use std::path::Path;

use serde_json::{Value, json};
use translate::inspect::html::{Html, PageOptions};
use translate::inspect::{
    AlignOn, AttentionMap, HeadChoice, Kind, LayerChoice, Meaning, Selection, TokenProbability, View,
};
use translate::model::Attention;
use translate::text::Word;

use crate::webdriver::Browser;

/// Layers and heads of the maps of these tests.
const LAYERS: usize = 2;
const HEADS: usize = 3;

/// Pieces with the spaces they begin with: the first piece and every one with a space begins a word.
fn words(pieces: &[&str]) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        match words.last_mut() {
            Some(word) if !piece.starts_with(' ') => {
                word.text.push_str(piece);
                word.pieces.end = at + 1;
            }
            _ => words.push(Word { text: piece.trim().to_owned(), bytes: 0..0, pieces: at..at + 1 }),
        }
    }
    words
}

/// A map of pseudo-random weights, but for layer 1, head 2, which follows the pieces.
fn map(kind: Kind, line: u64, source: &[&str], target: &[&str]) -> AttentionMap {
    let ended =
        |pieces: &[&str]| pieces.iter().map(|&piece| piece.to_owned()).chain(["</s>".to_owned()]).collect::<Vec<_>>();
    let (source_texts, target_texts) = (ended(source), ended(target));
    let (rows, columns) = match kind {
        Kind::Cross => (target.len() + 1, source.len() + 1),
        Kind::Encoder => (source.len() + 1, source.len() + 1),
        Kind::Decoder => (target.len() + 1, target.len() + 1),
    };
    let mut state = (line * 3 + kind as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut weights = Vec::new();
    for matrix in 0..LAYERS * HEADS {
        for row in 0..rows {
            let mut values: Vec<f32> = (0..columns)
                .map(|column| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    let value = (state >> 40) as f32 / (1_u64 << 24) as f32;
                    if kind == Kind::Decoder && column > row { 0.0 } else { value + 1e-3 }
                })
                .collect();
            if matrix == 5 {
                values.iter_mut().for_each(|value| *value *= 0.01);
                values[row * (columns - 1) / (rows - 1)] += 1.0;
            }
            let sum: f32 = values.iter().sum();
            weights.extend(values.iter().map(|value| value / sum));
        }
    }
    let marked = |texts: &[String]| texts.iter().map(|text| text.replace(' ', "▁")).collect::<Vec<_>>();
    AttentionMap {
        line,
        kind,
        source: source.concat().trim().to_owned(),
        translation: target.concat().trim().to_owned(),
        score: Some(-1.0),
        source_words: words(source),
        target_words: words(target),
        source_pieces: marked(&source_texts),
        target_pieces: marked(&target_texts),
        source_texts,
        target_texts,
        start_piece: "<s>".to_owned(),
        end_piece: "</s>".to_owned(),
        attention: Attention { layers: LAYERS, heads: HEADS, rows, columns, weights },
        meaning: Meaning::Weights,
    }
}

const GERMAN: [&str; 6] = [" Ein", " klein", "er", " Hund", " läuft", "."];
const ENGLISH: [&str; 6] = [" A", " small", " dog", " run", "s", "."];
const OTHER: [&str; 5] = [" A", " little", " dog", " runs", "."];

fn dog(line: u64) -> View {
    map(Kind::Cross, line, &GERMAN, &ENGLISH).into()
}

/// All kinds, and what the model thought of each token.
fn whole(line: u64, name: &str, target: &[&str]) -> View {
    let maps = [Kind::Cross, Kind::Encoder, Kind::Decoder].map(|kind| map(kind, line, &GERMAN, target));
    let token = |at: usize| TokenProbability {
        log_prob: Some(-0.25 * at as f32),
        alternatives: vec![(" dog".to_owned(), -0.5), (" puppy".to_owned(), -2.0)],
    };
    View {
        name: name.to_owned(),
        maps: maps.to_vec(),
        tokens: (0..=target.len()).map(token).collect(),
        missing: Vec::new(),
    }
}

fn page(lines: &[Vec<View>], selection: Selection) -> Vec<u8> {
    let (mut html, mut bytes) =
        (Html::new(PageOptions { title: "Test".to_owned(), selection, alignment: None }), Vec::new());
    for views in lines {
        html.add(views, &mut bytes).unwrap();
    }
    html.finish(&mut bytes);
    bytes
}

/// A browser that shows the page of these lines, beginning with the words of layer 1, head 2.
fn open(lines: &[Vec<View>]) -> Option<(Browser, tempfile::TempDir)> {
    let browser = Browser::start()?;
    let selection =
        Selection { layer: LayerChoice::Index(1), head: HeadChoice::Index(2), words: true, ..Selection::default() };
    let directory = tempfile::tempdir().unwrap();
    show(&browser, directory.path(), &page(lines, selection));
    Some((browser, directory))
}

fn show(browser: &Browser, directory: &Path, page: &[u8]) {
    let path = directory.join("page.html");
    std::fs::write(&path, page).unwrap();
    browser.open(&format!("file://{}", path.display()));
    wait(browser, "document.documentElement.dataset.drawn");
}

/// Waits until a condition of JavaScript holds.
fn wait(browser: &Browser, condition: &str) {
    browser.run(&format!(
        "return new Promise((done) => {{ const wait = () => ({condition}) ? done(true) : setTimeout(wait, 5); wait(); }})"
    ));
}

/// Does something that draws the page anew, and waits for it.
fn redraw(browser: &Browser, script: &str) {
    browser.run("window.before = document.documentElement.dataset.drawn");
    browser.run(script);
    wait(browser, "document.documentElement.dataset.drawn !== window.before");
}

/// Shows what an address names.
fn go(browser: &Browser, address: &str) {
    // An address that is there already would change nothing.
    redraw(browser, &format!("history.replaceState(null, '', '#'); location.hash = {address:?}"));
}

/// The texts of the elements that a selector finds.
fn texts(browser: &Browser, selector: &str) -> Vec<String> {
    let script = format!("return [...document.querySelectorAll({selector:?})].map((found) => found.textContent)");
    serde_json::from_value(browser.run(&script)).unwrap()
}

/// Moves the mouse over a cell of the first heat map.
fn point_at_cell(browser: &Browser, row: usize, column: usize) {
    browser.run(&format!(
        "const canvas = document.querySelector('#side-0 canvas'); canvas.scrollIntoView(); \
         const box = canvas.getBoundingClientRect(); const {{ left, top, cell }} = canvas.dataset; \
         const at = (from, start, place) => from + Number(start) + (place + 0.5) * Number(cell); \
         canvas.dispatchEvent(new PointerEvent('pointermove', {{ bubbles: true, \
             clientX: at(box.left, left, {column}), clientY: at(box.top, top, {row}) }}))"
    ));
}

/// All numbers of the view, in per cent, from the table that the page makes of them.
fn numbers(browser: &Browser) -> Vec<f32> {
    texts(browser, "#numbers td").iter().map(|cell| cell.parse().unwrap()).collect()
}

fn assert_quiet(browser: &Browser) {
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn pointing_at_a_word_lights_what_it_looked_at() {
    let Some((browser, _directory)) = open(&[vec![dog(1)], vec![dog(2)], vec![dog(3)]]) else { return };
    assert_eq!(texts(&browser, "#side-0 .top .token"), ["Ein", "kleiner", "Hund", "läuft.", "</s>"]);
    assert_eq!(texts(&browser, "#side-0 .bottom .token"), ["A", "small", "dog", "runs.", "</s>"]);

    browser.hover("#side-0 .bottom .token[data-i=\"2\"]");
    assert_eq!(texts(&browser, ".bottom .active"), ["dog"]);
    assert_eq!(texts(&browser, ".top .lit"), ["kleiner"]);
    assert!(texts(&browser, "#readout")[0].starts_with("dog looked at"), "{:?}", texts(&browser, "#readout"));

    browser.hover("#side-0 .top .token[data-i=\"3\"]");
    assert_eq!(texts(&browser, ".top .active"), ["läuft."]);
    assert!(texts(&browser, ".bottom .lit").contains(&"runs.".to_owned()));
    assert!(texts(&browser, "#readout")[0].starts_with("läuft. was looked at by"));

    point_at_cell(&browser, 1, 1);
    assert_eq!(texts(&browser, ".token.active"), ["kleiner", "small"]);
    assert!(texts(&browser, "#readout")[0].starts_with("small looked at kleiner with"));
    browser.hover("#all-note");
    assert_eq!(texts(&browser, ".token.active").len(), 0);
    assert_quiet(&browser);
}

#[test]
fn every_view_has_the_numbers_of_the_command_line() {
    let Some((browser, _directory)) = open(&[vec![whole(1, "", &ENGLISH)]]) else { return };
    browser.run("document.getElementById('numbers-box').open = true");
    let mut views = 0;
    for kind in [Kind::Cross, Kind::Encoder, Kind::Decoder] {
        let map = map(kind, 1, &GERMAN, &ENGLISH);
        // Chromium takes two hundred changes of the address in ten seconds, so not every choice of heads with every layer.
        for (layer, layer_name, several) in [(LayerChoice::Index(0), "0", "0,2"), (LayerChoice::Mean, "mean", "mean")] {
            for head_name in ["2", several, "max"] {
                let head: HeadChoice = head_name.parse().unwrap();
                for options in 0..8 {
                    let [words, mask_eos, input] = [1, 2, 4].map(|bit| options & bit != 0);
                    let align_on = if input { AlignOn::Input } else { AlignOn::Output };
                    let Ok(selected) = map.select(&Selection { layer, head, words, mask_eos, align_on }) else {
                        continue;
                    };
                    let mut address = format!("line=1&kind={kind}&layer={layer_name}&head={head_name}");
                    for (name, is_on) in [("words", words), ("mask", mask_eos), ("input", input)] {
                        if is_on {
                            address.push_str(&format!("&{name}=1"));
                        }
                    }
                    go(&browser, &address);
                    let shown = numbers(&browser);
                    let expected = &selected.matrices[0].weights;
                    assert_eq!(shown.len(), expected.len(), "{address}");
                    for (shown, expected) in shown.iter().zip(expected) {
                        assert!((shown - expected * 100.0).abs() < 0.6, "{address}: {shown} for {expected}");
                    }
                    views += 1;
                }
            }
        }
    }
    assert_eq!(views, 6 * (8 + 4 + 4));
    assert_quiet(&browser);
}

#[test]
fn an_address_counts_even_if_the_page_writes_its_own_before_it_is_told() {
    let Some((browser, _directory)) = open(&[vec![whole(1, "", &ENGLISH)]]) else { return };
    browser.run("document.getElementById('numbers-box').open = true");
    let [pieces, words] = ["", "&words=1"].map(|more| format!("line=1&kind=decoder&layer=0&head=2{more}"));
    go(&browser, &pieces);
    let of_pieces = numbers(&browser).len();
    redraw(&browser, &format!("location.hash = {words:?}; history.replaceState(null, '', '#{pieces}')"));
    assert!(numbers(&browser).len() < of_pieces);
}

#[test]
fn the_page_works_from_the_keyboard() {
    let lines: Vec<Vec<View>> = (1..=5).map(|line| vec![dog(line)]).collect();
    let Some((browser, _directory)) = open(&lines) else { return };
    let (down, up, right, enter, escape) = ('\u{E015}', '\u{E013}', '\u{E014}', '\u{E007}', '\u{E00C}');
    let selected = |browser: &Browser| texts(browser, "#list [aria-selected=true] .number");
    // Arrows work at once, with nothing focused.
    browser.press(down);
    browser.press(down);
    browser.press(up);
    assert_eq!(selected(&browser), ["2"]);
    browser.press(right);
    browser.press(right);
    assert_eq!(texts(&browser, ".bottom .token[aria-pressed=true]"), ["small"]);
    browser.press(escape);
    assert_eq!(texts(&browser, ".token[aria-pressed=true]").len(), 0);

    // A slash leads to the filter, arrow down from there to the list.
    browser.press('/');
    browser.run("document.activeElement.value = 'klein'; document.activeElement.dispatchEvent(new Event('input'))");
    assert_eq!(texts(&browser, "#count"), ["5 sentences"]);
    browser.run("document.activeElement.value = '4'; document.activeElement.dispatchEvent(new Event('input'))");
    assert_eq!(texts(&browser, "#count"), ["1 of 5 sentences"]);
    browser.press(down);
    assert_eq!(selected(&browser), ["4"]);

    browser.run("document.querySelector('#side-0 .bottom .token').focus()");
    browser.press(right);
    browser.press(right);
    assert_eq!(texts(&browser, ".bottom .active"), ["dog"]);
    browser.press(enter);
    assert_eq!(texts(&browser, ".token[aria-pressed=true]"), ["dog"]);
    browser.press(escape);

    browser.run("document.querySelector('#side-0 .scroller').focus()");
    browser.press(down);
    browser.press(right);
    assert_eq!(texts(&browser, ".token.active"), ["kleiner", "small"]);

    // A question mark shows the keys; letters are keys until they are switched off.
    browser.press('?');
    assert_eq!(browser.run("return document.getElementById('help').open"), true);
    browser.press(escape);
    browser.run("document.activeElement.blur()");
    let words = |browser: &Browser| browser.run("return document.getElementById('words').checked");
    browser.press('w');
    assert_eq!(words(&browser), false);
    browser.run("document.getElementById('letters').click()");
    browser.press('w');
    assert_eq!(words(&browser), false);
    assert_quiet(&browser);
}

#[test]
fn a_list_of_thousands_holds_only_the_rows_in_sight() {
    let lines: Vec<Vec<View>> = (1..=1000).map(|line| vec![dog(line)]).collect();
    let Some((browser, _directory)) = open(&lines) else { return };
    assert_eq!(texts(&browser, "#count"), ["1000 sentences"]);
    let rows = |browser: &Browser| texts(browser, "#list li .number");
    assert!((10..60).contains(&rows(&browser).len()));
    browser.run("document.getElementById('list').scrollTop = 500 * 54");
    wait(&browser, "document.getElementById('sentence-505')");
    assert!(rows(&browser).len() < 60 && rows(&browser).contains(&"510".to_owned()));
    redraw(&browser, "document.getElementById('sentence-505').click()");
    assert_eq!(texts(&browser, "#list [aria-selected=true] .number"), ["506"]);
    // The end of the list, from the keyboard.
    redraw(
        &browser,
        "document.getElementById('list').dispatchEvent(new KeyboardEvent('keydown', { key: 'End', bubbles: true }))",
    );
    assert_eq!(texts(&browser, "#list [aria-selected=true] .number"), ["1000"]);
    wait(&browser, "document.getElementById('multiples').dataset.ready");
    assert_eq!(texts(&browser, "#multiples canvas").len(), LAYERS * HEADS);
    for theme in ["dark", "light"] {
        browser.prefer("prefers-color-scheme", theme);
        let brightness = browser.run(
            "return getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number).reduce((a, b) => a + b)",
        );
        assert_eq!(brightness.as_u64().unwrap() > 380, theme == "light");
    }
    assert_quiet(&browser);
}

#[test]
fn a_long_sentence_is_two_paragraphs_and_a_map_of_its_own_size() {
    let long = |word: &'static str| -> Vec<&'static str> { std::iter::repeat_n(word, 250).collect() };
    let Some((browser, _directory)) = open(&[vec![map(Kind::Cross, 1, &long(" Wort"), &long(" word")).into()]]) else {
        return;
    };
    assert_eq!(browser.run("return document.querySelector('#side-0 .lines').classList.contains('long')"), true);
    // A canvas of the screen's size shows a map that is larger than the screen.
    let size = browser.run(
        "const scroller = document.querySelector('#side-0 .scroller'); \
         return [scroller.scrollWidth, scroller.querySelector('canvas').offsetWidth, scroller.clientWidth]",
    );
    let size: Vec<u64> = serde_json::from_value(size).unwrap();
    assert!(size[0] > 3000 && size[1] <= size[2], "{size:?}");
    // The last row is reached from the keyboard.
    browser.run("document.querySelector('#side-0 .scroller').focus()");
    for _ in 0..26 {
        browser.press('\u{E00F}');
    }
    assert!(texts(&browser, "#readout")[0].starts_with("</s> looked at"), "{:?}", texts(&browser, "#readout"));
    browser.run("document.getElementById('zoom-fit').click()");
    let fits =
        browser.run("const s = document.querySelector('#side-0 .scroller'); return s.scrollWidth <= s.clientWidth + 1");
    assert_eq!(fits, true);
    // The table shows a stretch of rows at a time.
    browser.run("document.getElementById('numbers-box').open = true");
    wait(&browser, "document.querySelector('#numbers td')");
    assert!(texts(&browser, "#numbers tbody tr").len() < 20);
    browser.run("document.getElementById('numbers-on').click()");
    assert!(
        texts(&browser, "#numbers-place")[0].starts_with("Rows 12 to 22 of 251"),
        "{:?}",
        texts(&browser, "#numbers-place")
    );
    assert_quiet(&browser);
}

/// Sentences of many scripts, in pieces with their spaces, and their English.
fn scripts() -> Vec<Vec<View>> {
    let english = [" A", " small", " dog", " runs", "."];
    let sources: [&[&str]; 9] = [
        &[" كلب", " صغير", " ير", "كض", " في", " الثلج", "."],
        &[" כלב", " קטן", " ר", "ץ", " ב", "שלג", "."],
        &[" एक", " छोटा", " कुत्", "ता", " दौड़", "ता", " है", "।"],
        &[" สุ", "นัข", "ตัว", "เล็ก", "วิ่ง"],
        &["一", "只", "小", "狗", "在", "雪", "中", "奔跑", "。"],
        &["小さな", "犬", "が", "雪", "の中", "を", "走る", "。"],
        &[" ትንሽ", " ውሻ", " በበረዶ", " ውስጥ", " ይሮ", "ጣል", "።"],
        &[" Un", " petit", " chien", " 🐕", " court", " cafe", "\u{301}", "."],
        &[" قال", " Hello", " World", " ثم", " ذهب", "."],
    ];
    let map = |(line, source): (u64, &&[&str])| vec![View::from(map(Kind::Cross, line, source, &english))];
    let mut lines: Vec<Vec<View>> = (1..).zip(&sources).map(map).collect();
    // Bytes: three of them are one character.
    let mut bytes = self::map(Kind::Cross, 10, &["", "", "大", "", "", "家"], &english);
    for (label, byte) in
        bytes.source_pieces.iter_mut().zip(["<0xE5>", "<0xA4>", "<0xA7>", "<0xE5>", "<0xAE>", "<0xB6>"])
    {
        *label = byte.to_owned();
    }
    bytes.source_words = vec![Word { text: "大家".to_owned(), bytes: 0..6, pieces: 0..6 }];
    lines.push(vec![bytes.into()]);
    lines
}

#[test]
fn every_script_is_shown_as_it_is_read() {
    let lines = scripts();
    let Some((browser, _directory)) = open(&lines) else { return };
    for (line, views) in (1..).zip(&lines) {
        let source = &views[0].maps[0];
        for words in ["&words=1", ""] {
            go(&browser, &format!("line={line}&kind=cross&layer=1&head=2{words}"));
            let text = browser.run("return document.querySelector('#side-0 .top').textContent");
            let text = text.as_str().unwrap().replace("</s>", "").replace('·', "");
            // The text of the line, letter by letter and space by space, whether in words or in pieces.
            assert_eq!(text.trim(), source.source, "line {line}");
            let turned = matches!(line, 1 | 2 | 9);
            let direction = if turned { "rtl" } else { "ltr" };
            assert_eq!(browser.run("return document.querySelector('#side-0 .top').dir"), direction, "line {line}");
            // The first word is at the side where reading begins.
            let order = browser.run(
                "const [first, second] = [...document.querySelectorAll('#side-0 .top .token')].map((token) => token.getBoundingClientRect().left); \
                 return first < second",
            );
            assert_eq!(order, !turned, "line {line}");
            if let Some(directory) = std::env::var_os("TRANSLATE_SCREENSHOTS") {
                browser.press('\u{E014}');
                browser.screenshot(
                    &Path::new(&directory)
                        .join(format!("script-{line}{}.png", if words.is_empty() { "-pieces" } else { "" })),
                );
            }
        }
    }
    // English words in an Arabic line stand in their own order.
    go(&browser, "line=9&kind=cross&layer=1&head=2&words=1");
    let lefts = browser.run(
        "return [...document.querySelectorAll('#side-0 .top .token')].map((token) => token.getBoundingClientRect().left)",
    );
    let lefts: Vec<f64> = serde_json::from_value(lefts).unwrap();
    assert!(lefts[1] < lefts[2] && lefts[0] > lefts[2] && lefts[3] < lefts[1], "{lefts:?}");
    // A character of three bytes is shown with its last one.
    go(&browser, "line=10&kind=cross&layer=1&head=2");
    assert_eq!(texts(&browser, "#side-0 .top .token"), ["·", "·", "大", "·", "·", "家", "</s>"]);
    // The first column of a heat map from right to left is the rightmost.
    go(&browser, "line=1&kind=cross&layer=1&head=2&words=1");
    let columns = words(&[" كلب", " صغير", " ير", "كض", " في", " الثلج", "."]).len() + 1;
    point_at_cell(&browser, 0, columns - 1);
    assert_eq!(texts(&browser, ".top .active"), ["كلب"]);
    assert_quiet(&browser);
}

#[test]
fn translations_stand_side_by_side_with_their_difference() {
    let lines = [vec![whole(1, "first", &ENGLISH), whole(2, "second", &OTHER)]];
    let Some((browser, _directory)) = open(&lines) else { return };
    assert_eq!(texts(&browser, "#views .pick b"), ["first", "second"]);
    assert_eq!(texts(&browser, "#views .pick .score"), ["-1.000", "-1.000"]);
    redraw(&browser, "document.querySelector('#views .beside[data-view=\"1\"]').click()");
    assert_eq!(texts(&browser, "#side-1 .bottom .token"), ["A", "little", "dog", "runs.", "</s>"]);
    assert_eq!(texts(&browser, "#difference-title"), ["first less second"]);
    // The difference has all words of both, and those of one alone once.
    let selection =
        Selection { layer: LayerChoice::Index(1), head: HeadChoice::Index(2), words: true, ..Selection::default() };
    let [first, second] = [&lines[0][0].maps[0], &lines[0][1].maps[0]];
    let (first, second) = (first.select(&selection).unwrap(), second.select(&selection).unwrap());
    browser.run("document.querySelector('#difference .scroller').focus()");
    // A, small (first alone), little (second alone), dog, runs., </s>
    let columns = first.columns.len();
    let expected = |row: usize| match row {
        1 => first.matrices[0].weights[columns],
        2 => -second.matrices[0].weights[columns],
        row => {
            let own = if row == 0 { 0 } else { row - 1 };
            first.matrices[0].weights[own * columns] - second.matrices[0].weights[own * columns]
        }
    };
    for row in 0..6 {
        let said = &texts(&browser, "#readout")[0];
        let (_, number) = said.rsplit_once(": ").unwrap();
        let number: f32 = number.split(' ').next().unwrap().replace('−', "-").parse().unwrap();
        assert!((number - 100.0 * expected(row)).abs() < 0.9, "row {row}: {said}, not {}", expected(row));
        browser.press('\u{E015}');
    }
    // Pointing at a word lights it on the other side as well.
    browser.hover("#side-0 .bottom .token[data-i=\"2\"]");
    assert_eq!(texts(&browser, ".bottom .active"), ["dog", "dog"]);
    // Probability and what else was likely.
    let likely = &texts(&browser, "#likely")[0];
    assert!(likely.starts_with("dog was said with 61%") && likely.contains("puppy 14%"), "{likely}");
    // The address restores it all.
    let address = browser.run("return new Promise((done) => setTimeout(() => done(location.hash), 200))");
    assert!(address.as_str().unwrap().contains("beside=1"), "{address}");
    assert_quiet(&browser);
}

#[test]
fn heads_have_their_entropy_and_agreement() {
    let Some((browser, _directory)) = open(&[vec![dog(1)]]) else { return };
    wait(&browser, "document.getElementById('multiples').dataset.ready");
    let found = browser.run(
        "return [...document.querySelectorAll('#multiples button')].map((button) => [Number(button.dataset.entropy), Number(button.dataset.agreement)])",
    );
    let found: Vec<(f64, f64)> = serde_json::from_value(found).unwrap();
    let map = map(Kind::Cross, 1, &GERMAN, &ENGLISH);
    let select = |layer, head| map.select(&Selection { layer, head, words: true, ..Selection::default() }).unwrap();
    let strongest = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a))).unwrap();
    let mean = select(LayerChoice::Mean, HeadChoice::Mean);
    for (at, (entropy, agreement)) in found.into_iter().enumerate() {
        let selected = select(LayerChoice::Index(at / HEADS), HeadChoice::Index(at % HEADS));
        let columns = selected.columns.len();
        let rows = || selected.matrices[0].weights.chunks_exact(columns).take(4);
        let nats = |row: &[f32]| row.iter().filter(|&&w| w > 0.0).map(|w| f64::from(-w * w.ln())).sum::<f64>();
        let expected = rows().map(nats).sum::<f64>() / 4.0 / (columns as f64).ln();
        assert!((entropy - expected).abs() < 0.01, "head {at}: {entropy}, not {expected}");
        let means = mean.matrices[0].weights.chunks_exact(columns);
        let same = rows().zip(means).filter(|(row, mean)| strongest(row) == strongest(mean)).count();
        assert!((agreement - same as f64 / 4.0).abs() < 0.26, "head {at}: {agreement}, not {same} of 4");
    }
    // The path: what each head of the layer looked at most.
    redraw(
        &browser,
        "document.getElementById('path-box').open = true; document.querySelector('input[name=layer][value=\"1\"]').click(); document.getElementById('words').click()",
    );
    wait(&browser, "document.querySelector('#path td')");
    assert_eq!(texts(&browser, "#path thead th"), ["Translation", "Head 0", "Head 1", "Head 2"]);
    assert_eq!(texts(&browser, "#path tbody tr").len(), 5);
    assert_quiet(&browser);
}

#[test]
fn what_is_exported_is_what_is_shown() {
    let Some((browser, _directory)) = open(&[vec![whole(1, "", &ENGLISH)]]) else { return };
    go(&browser, "line=1&kind=cross&layer=0&head=1");
    let saved = |what: &str| {
        browser.run(&format!(
            "return new Promise((done) => {{ \
                 HTMLAnchorElement.prototype.click = () => {{}}; \
                 URL.createObjectURL = (blob) => {{ (blob.type === 'image/png' ? blob.arrayBuffer().then((bytes) => [...new Uint8Array(bytes)]) : blob.text()).then(done); return 'about:blank#'; }}; \
                 document.querySelector('[data-save={what}]').click(); }})"
        ))
    };
    let map = map(Kind::Cross, 1, &GERMAN, &ENGLISH);
    let selected = map
        .select(&Selection { layer: LayerChoice::Index(0), head: HeadChoice::Index(1), ..Selection::default() })
        .unwrap();
    // The same keys and numbers as `--format json`.
    let expected: Value = serde_json::from_str(&translate::inspect::json::render(&selected)).unwrap();
    let found: Value = serde_json::from_str(saved("json").as_str().unwrap()).unwrap();
    for (key, value) in found.as_object().unwrap().iter().filter(|(key, _)| *key != "matrix") {
        // In JavaScript -1.0 is -1.
        let same_number = value.is_number() && value.as_f64() == expected[key].as_f64();
        assert!(same_number || value == &expected[key], "{key}: {value}, not {}", expected[key]);
    }
    let flat = |value: &Value| serde_json::from_value::<Vec<Vec<f32>>>(value["matrix"].clone()).unwrap().concat();
    for (found, expected) in flat(&found).iter().zip(flat(&expected)) {
        assert!((found - expected).abs() < 0.006);
    }
    let csv = saved("csv");
    let lines: Vec<&str> = csv.as_str().unwrap().lines().collect();
    assert_eq!((lines.len(), lines[0]), (8, ",Ein,klein,er,Hund,läuft,.,</s>"));
    assert_eq!(lines[1].split(',').count(), 8);
    let svg = saved("svg");
    let svg = svg.as_str().unwrap();
    assert!(svg.starts_with("<svg xmlns") && svg.contains(">Hund</text>") && svg.contains("layer 0, head 1"), "{svg}");
    let png: Vec<u8> = serde_json::from_value(saved("png")).unwrap();
    assert!(png.starts_with(b"\x89PNG") && png.len() > 2000);
    assert_quiet(&browser);
}

#[test]
fn what_a_model_does_not_have_is_explained_in_its_place() {
    let mut view = dog(1);
    view.missing = vec![(Kind::Encoder, "a GRU has no self-attention".to_owned())];
    let Some((browser, _directory)) = open(&[vec![view]]) else { return };
    go(&browser, "line=1&kind=encoder");
    assert_eq!(texts(&browser, "#side-0 .why"), ["a GRU has no self-attention"]);
    assert_eq!(browser.run("return document.querySelector('#side-0 .lines').hidden"), true);
    go(&browser, "line=1&kind=cross");
    assert_eq!(texts(&browser, "#side-0 .why"), [""]);
    assert_quiet(&browser);
}

#[test]
fn hostile_text_is_text() {
    let attack = " <img/src=x/onerror=document.title='owned'>";
    let evil = [attack, "</script><script>document.title='owned'</script>", "<!--", "\u{202e}"];
    let Some((browser, _directory)) = open(&[vec![map(Kind::Cross, 1, &evil, &evil).into()], vec![dog(2)]]) else {
        return;
    };
    for box_id in ["links-box", "path-box", "numbers-box"] {
        browser.run(&format!("document.getElementById('{box_id}').open = true"));
    }
    browser.press('\u{E014}');
    assert_eq!(browser.run("return document.querySelectorAll('img').length"), 0);
    assert_eq!(browser.run("return document.title"), "Test");
    assert_quiet(&browser);
}

#[test]
fn without_scripts_there_is_a_plain_table() {
    let Some(browser) = Browser::start() else { return };
    let directory = tempfile::tempdir().unwrap();
    let selection = Selection { layer: LayerChoice::Index(1), head: HeadChoice::Index(2), ..Selection::default() };
    // What a browser without scripts sees: the page without its script, with all that stands in `noscript`.
    let page = String::from_utf8(page(&[vec![dog(1)], vec![dog(2)]], selection)).unwrap();
    let page = page[..page.rfind("<script>").unwrap()].replace("<noscript>", "").replace("</noscript>", "");
    let path = directory.path().join("page.html");
    std::fs::write(&path, page).unwrap();
    browser.open(&format!("file://{}", path.display()));
    assert_eq!(browser.run("return getComputedStyle(document.getElementById('app')).display"), "none");
    assert_eq!(texts(&browser, "section h2").iter().filter(|title| title.starts_with("Line ")).count(), 2);
    let rows = texts(&browser, "body > section tbody tr");
    assert!(rows.len() == 10 && rows[2].starts_with("dogkleiner 9"), "{rows:?}");
}

/// Everything that can be focused or clicked has a name, and every text has the contrast that WCAG AA asks for.
const OWN_CHECK: &str = r#"
const problems = [];
const visible = (one) => one.getClientRects().length > 0 && getComputedStyle(one).visibility !== "hidden";
for (const one of document.querySelectorAll("button, input, summary, [tabindex], [role=button], [role=option]")) {
  if (!visible(one)) continue;
  const name = one.getAttribute("aria-label") || one.textContent.trim() || one.closest("label")?.textContent.trim() || one.title;
  if (!name) problems.push(`no name: ${one.outerHTML.slice(0, 80)}`);
}
const numbers = (colour) => { const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number); return [r, g, b, a]; };
const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
const ground = (one) => {
  const layers = [];
  for (let at = one; at; at = at.parentElement) layers.push(numbers(getComputedStyle(at).backgroundColor));
  return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
};
const luminance = (colour) => {
  const [r, g, b] = colour.slice(0, 3).map((v) => (v / 255 <= 0.04045 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const one = node.parentElement;
  if (!node.data.trim() || !visible(one) || ["SCRIPT", "STYLE", "NOSCRIPT"].includes(one.tagName)) continue;
  const below = ground(one);
  const ink = over(numbers(getComputedStyle(one).color), below);
  const [high, low] = [luminance(ink), luminance(below)].sort((a, b) => b - a);
  const contrast = (high + 0.05) / (low + 0.05);
  if (contrast < 4.5) problems.push(`contrast ${contrast.toFixed(2)}: ${one.tagName}.${one.className} ${node.data.trim().slice(0, 30)}`);
}
return [...new Set(problems)];
"#;

#[test]
fn the_page_is_accessible_in_both_themes() {
    let lines = [vec![whole(1, "first", &ENGLISH), whole(2, "second", &OTHER)], vec![whole(3, "first", &ENGLISH)]];
    let Some((browser, _directory)) = open(&lines) else { return };
    for box_id in ["links-box", "path-box", "numbers-box", "export"] {
        browser.run(&format!("document.getElementById('{box_id}').open = true"));
    }
    browser.run("document.querySelector('#address').hidden = true");
    // axe-core is not part of this repository: CONTRIBUTING.md says where to get it.
    let axe =
        std::env::var_os("AXE_CORE").map(|path| std::fs::read_to_string(path).expect("AXE_CORE names axe.min.js"));
    if axe.is_none() {
        eprintln!("SKIPPED in part: AXE_CORE names no axe.min.js, so only names and contrast are checked");
    }
    for theme in ["light", "dark"] {
        browser.prefer("prefers-color-scheme", theme);
        for address in ["line=1&kind=cross&layer=1&head=2", "line=1&kind=decoder&layer=1&head=2&beside=1&words=1"] {
            go(&browser, address);
            wait(
                &browser,
                "document.getElementById('all').hidden || document.getElementById('multiples').dataset.ready",
            );
            // Colours change slowly.
            browser.run("for (const one of document.getAnimations()) one.finish()");
            browser.hover("#side-0 .bottom .token[data-i=\"1\"]");
            browser.run("for (const one of document.getAnimations()) one.finish()");
            assert_eq!(browser.run(OWN_CHECK), json!([]), "{theme} {address}");
            if let Some(axe) = &axe {
                let script = format!(
                    "{axe}; return axe.run(document, {{ resultTypes: ['violations'] }}).then((result) => result.violations.map((own) => \
                     [own.id, own.help, own.nodes.map((node) => node.html.slice(0, 120)).slice(0, 4)]))"
                );
                assert_eq!(browser.run(&script), json!([]), "{theme} {address}");
            }
        }
    }
    // The focus is always to be seen.
    browser.run("document.querySelector('#side-0 .token').focus()");
    browser.press('\u{E014}');
    assert_eq!(browser.run("return getComputedStyle(document.activeElement).outlineStyle"), "solid");
    assert_quiet(&browser);
}

#[test]
fn on_a_phone_the_list_is_behind_a_button() {
    let lines: Vec<Vec<View>> = (1..=9).map(|line| vec![dog(line)]).collect();
    let Some((browser, _directory)) = open(&lines) else { return };
    let size = json!({ "width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": true });
    browser.command("Emulation.setDeviceMetricsOverride", &size);
    let shown =
        |browser: &Browser| browser.run("return getComputedStyle(document.getElementById('index')).display !== 'none'");
    assert_eq!(shown(&browser), false);
    redraw(&browser, "document.getElementById('next').click()");
    assert_eq!(texts(&browser, "#place"), ["2 of 9"]);
    browser.run("document.getElementById('choose').click()");
    assert_eq!(shown(&browser), true);
    redraw(&browser, "document.getElementById('sentence-4').click()");
    assert_eq!((shown(&browser), texts(&browser, "#place")), (Value::Bool(false), vec!["5 of 9".to_owned()]));
    // Nothing is wider than the phone.
    assert_eq!(browser.run("return document.documentElement.scrollWidth"), 390);
    assert_quiet(&browser);
}

#[test]
fn a_printed_page_is_light_and_has_no_controls() {
    let Some((browser, _directory)) = open(&[vec![dog(1)], vec![dog(2)]]) else { return };
    browser.prefer("prefers-color-scheme", "dark");
    let printed = browser.command("Page.printToPDF", &json!({}));
    assert!(printed["data"].as_str().unwrap().len() > 10_000);
    browser.run("dispatchEvent(new Event('beforeprint'))");
    assert_eq!(
        browser.run("return getComputedStyle(document.documentElement).getPropertyValue('--paper').trim()"),
        "#ffffff"
    );
    redraw(&browser, "dispatchEvent(new Event('afterprint'))");
    assert_eq!(
        browser.run("return getComputedStyle(document.documentElement).getPropertyValue('--paper').trim()"),
        "#121317"
    );
    assert_quiet(&browser);
}
