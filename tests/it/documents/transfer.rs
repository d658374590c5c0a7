//! Marks around the words that their words became, with links made by hand and with any links.

use std::ops::Range;

use proptest::prelude::*;
use translate::documents::{Part, Segment, Shown, Transferred, Translated, transfer};

/// German sentences with inline markup, and for each element the English words that it may go around.
pub(crate) struct Inline {
    pub(crate) segment: Segment,
    wanted: Vec<Vec<String>>,
}

/// The sentences of `data/inline.txt`.
pub(crate) fn inline() -> Vec<Inline> {
    let lines = include_str!("data/inline.txt").lines().filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        let (drawing, wanted) = line.split_once(" ||| ").unwrap();
        let (segment, names) = segment(drawing);
        let wanted: Vec<Vec<String>> = wanted
            .split("; ")
            .zip(&names)
            .map(|(wanted, name)| {
                let (of, texts) = wanted.split_once(": ").unwrap();
                assert_eq!(of, name, "{line}");
                texts.split('|').map(str::to_owned).collect()
            })
            .collect();
        assert_eq!(wanted.len(), names.len(), "{line}");
        Inline { segment, wanted }
    };
    lines.map(read).collect()
}

impl Inline {
    /// Whether every element of a translation goes around words that it may go around.
    pub(crate) fn holds(&self, parts: &[Part]) -> bool {
        let (mut open, mut covered): (Vec<usize>, _) = (Vec::new(), vec![String::new(); self.wanted.len()]);
        for part in parts {
            match part {
                Part::Open(mark) => open.push(*mark),
                Part::Close(_) => drop(open.pop()),
                Part::Text(text) => open.iter().for_each(|mark| covered[*mark].push_str(text)),
                Part::Alone(..) => {}
            }
        }
        covered.iter().zip(&self.wanted).all(|(covered, wanted)| wanted.contains(covered))
    }
}

#[test]
fn the_list_of_sentences_is_whole() {
    let inline = inline();
    assert_eq!(inline.len(), 60);
    let (segment, _) = segment("Das ist ein <b>roter</b> Hund.");
    let dog = inline.iter().find(|inline| inline.segment == segment).unwrap();
    let links = vec![(0..3, 0..4), (4..7, 5..7), (8..11, 8..9), (12..17, 10..13), (18..23, 14..18)];
    assert!(dog.holds(&transfer(&segment, &Translated { text: "This is a red dog.".to_owned(), links }).parts));
    assert!(!dog.holds(&[
        Part::Text("This is a ".to_owned()),
        Part::Open(0),
        Part::Text("red dog".to_owned()),
        Part::Close(0)
    ]));
}

/// A segment out of a drawing: `<b>` and `</b>` are an element, `<x/>` stands by itself, `<_/>` for a space and `{…}` for its text.
fn segment(drawing: &str) -> (Segment, Vec<String>) {
    let (mut parts, mut names, mut open) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = drawing;
    while let Some(at) = rest.find(['<', '{']) {
        if at > 0 {
            parts.push(Part::Text(rest[..at].to_owned()));
        }
        let end = at + rest[at..].find(['>', '}']).unwrap();
        let name = &rest[at + 1..end];
        let mark = names.len();
        if rest[at..].starts_with('{') {
            parts.push(Part::Alone(mark, Shown::Text(name.to_owned())));
            names.push(format!("{{{name}}}"));
        } else if name.starts_with('/') {
            parts.push(Part::Close(open.pop().unwrap()));
        } else if let Some(alone) = name.strip_suffix('/') {
            parts.push(Part::Alone(mark, if alone == "_" { Shown::Space } else { Shown::Nothing }));
            names.push(format!("<{name}>"));
        } else {
            open.push(mark);
            parts.push(Part::Open(mark));
            names.push(name.to_owned());
        }
        rest = &rest[end + 1..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    (Segment { parts, ..Segment::default() }, names)
}

fn drawn(parts: &[Part], names: &[String]) -> String {
    let draw = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Open(mark) => format!("<{}>", names[*mark]),
        Part::Close(mark) => format!("</{}>", names[*mark]),
        Part::Alone(mark, _) => names[*mark].clone(),
    };
    parts.iter().map(draw).collect()
}

/// Words between spaces.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut words = Vec::new();
    for word in text.split(' ') {
        words.push(start..start + word.len());
        start += word.len() + 1;
    }
    words
}

fn transferred(drawing: &str, text: &str, links: &[(usize, usize)]) -> (String, Transferred) {
    let (segment, names) = segment(drawing);
    let (from, to) = (words(&segment.text()), words(text));
    let link = |(s, t): &(usize, usize)| Some((from.get(*s)?.clone(), to.get(*t)?.clone()));
    let mut links: Vec<_> = links.iter().filter_map(link).collect();
    links.sort_by_key(|(from, to)| (from.start, to.start));
    let transferred = transfer(&segment, &Translated { text: text.to_owned(), links });
    (drawn(&transferred.parts, &names), transferred)
}

/// Asserts where the marks of a drawing go, with links between words that are counted from 0.
#[track_caller]
fn goes(drawing: &str, links: &[(usize, usize)], wanted: &str) {
    let text: String = {
        let (segment, _) = segment(wanted);
        segment.text()
    };
    let (drawn, transferred) = transferred(drawing, &text, links);
    assert_eq!(drawn, wanted);
    assert!(transferred.missing.is_empty());
}

const SAME: &[(usize, usize)] = &[(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)];

#[test]
fn an_element_goes_around_what_its_words_became() {
    goes("Ein <b>roter</b> Hund", SAME, "A <b>red</b> dog");
    goes("Die <a>Haustür</a> klemmt", &[(0, 0), (1, 1), (1, 2), (2, 3)], "The <a>front door</a> sticks");
    goes("<b>Gestern</b> kam <i>er</i>", &[(0, 2), (1, 1), (2, 0)], "<i>He</i> came <b>yesterday</b>");
    goes("Der <b><i>alte</i> Mann</b> liest", SAME, "The <b><i>old</i> man</b> reads");
}

#[test]
fn an_element_around_the_whole_text_goes_around_the_whole_text() {
    goes("<b>Guten Tag!</b>", &[], "<b>Hello there!</b>");
    goes("<b>Guten Tag</b>!", &[(0, 0)], "<b>Hello there</b>!");
    goes("<b><i>Guten Tag</i>.</b>", &[], "<b><i>Hello</i>.</b>");
}

#[test]
fn punctuation_and_spaces_stay_where_they_were() {
    goes("Das ist <b>gut</b>.", SAME, "That is <b>good</b>.");
    goes("Er sagt <b>nein.</b>", SAME, "He says <b>no.</b>");
    goes("Er kam (<i>leider</i>) spät", SAME, "He came (<i>alas</i>) late");
    goes("Er kam <i>(leider)</i> spät", SAME, "He came <i>(alas)</i> late");
    goes("Das <q>„rote“</q> Buch", SAME, "The <q>\"red\"</q> book");
    goes("<b>Hinweis:</b> nicht öffnen", SAME, "<b>Note:</b> never open");
    // No space at an edge, though there was one in the source.
    goes("Ein <b>roter </b>Hund", SAME, "A <b>red</b> dog");
    // American marks.
    goes("Er sagt <q>„nein“</q>.", SAME, "He says <q>\"no.\"</q>");
}

#[test]
fn a_split_element_takes_the_hull_or_the_larger_part() {
    goes(
        "Er <b>hat gut gegessen</b> heute",
        &[(0, 0), (1, 1), (2, 3), (4, 2), (3, 4)],
        "He <b>has today well eaten</b>",
    );
    let far = &[(0, 0), (1, 1), (2, 2), (3, 7), (4, 3), (5, 4), (6, 5), (7, 6)];
    goes("Er <b>geht gern hinaus</b> mit drei großen Hunden", far, "He <b>likes going</b> with three large dogs out");
}

#[test]
fn a_word_without_link_goes_with_its_neighbours() {
    goes("Wir <b>sehr alt</b> sind", &[(0, 0), (1, 2), (2, 4), (3, 1)], "We are <b>very very old</b>");
    goes("Das <b>Licht ausschalten</b> bitte", &[(0, 2), (1, 3), (3, 4)], "Do switch the <b>light</b> please");
}

#[test]
fn an_element_whose_words_were_lost_is_kept() {
    // Something stands where it was; otherwise it is empty, once.
    goes("Er <b>schon</b> kommt", &[(0, 0), (2, 2)], "He <b>already</b> comes");
    goes("Es <b>regnet</b> nun<i>!</i>", &[(0, 0), (2, 1)], "It <b>now</b><i>!</i>");
}

#[test]
fn a_mark_within_a_word_goes_around_a_word() {
    goes("Die Haus<b>tür</b> klemmt", &[(0, 0), (1, 1), (1, 2), (2, 3)], "The front <b>door</b> sticks");
    goes("H<sub>2</sub>O ist nass", SAME, "H<sub>2</sub>O is wet");
    goes("Der CO<sub>2</sub>-Ausstoß sinkt", &[(1, 0), (1, 1), (2, 2)], "CO<sub>2</sub> emissions sink");
}

#[test]
fn what_stands_alone_goes_with_the_word_it_stood_by() {
    goes("Das Buch<n/> kam gestern", &[(0, 1), (1, 2), (2, 3), (3, 0)], "Yesterday the book<n/> came");
    goes("Er kam.<n/> Sie ging.", SAME, "He came.<n/> She left.");
    goes("<img/> Ein Hund", &[(1, 0), (2, 1)], "<img/>A dog");
    goes("Er las es<n/>.", &[(0, 0), (1, 2), (2, 1)], "He it read<n/>.");
    goes("Erste Zeile<_/>zweite Zeile", SAME, "First line<_/>second line");
    goes("Am Abend, Peter<_/>kam heim", &[(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)], "That evening Peter<_/>came home");
}

#[test]
fn text_of_a_mark_is_found_again() {
    goes("Öffnen Sie {a.txt} bitte", &[(0, 1), (2, 2), (3, 0)], "Please open {a.txt}");
    // Two that are the same, one of which is lost, and a longer word that holds it.
    goes("Der Index {i} zählt", SAME, "The index {i} is counting");
    let (drawn, transferred) = transferred("Erst {x} und dann {x} mehr", "Then x more", &[(3, 0), (4, 1), (5, 2)]);
    assert_eq!(drawn, "{x} Then {x} more");
    assert_eq!(transferred.missing, [0]);
}

#[test]
fn text_that_was_lost_is_put_in_and_reported() {
    let (drawn, transferred) = transferred("Starten Sie {make} jetzt.", "Start now.", &[(0, 0), (3, 1)]);
    assert_eq!(drawn, "Start {make} now.");
    assert_eq!(transferred.missing, [0]);
}

#[test]
fn a_text_that_is_not_changed_keeps_its_marks() {
    for drawing in ["Haus<b>tür</b> <i> </i>{x}<_/>", "<b></b>a<i/><c>b <d/></c>"] {
        let (segment, _) = segment(drawing);
        let transferred = transfer(&segment, &Translated { text: segment.text(), links: Vec::new() });
        assert_eq!(transferred.parts, segment.parts);
    }
}

#[test]
fn scripts_without_spaces_are_divided_where_links_end() {
    let (segment, names) = segment("Ein <b>roter</b> Hund");
    let links = vec![(0..3, 0..6), (4..9, 6..12), (10..14, 12..15)];
    let transferred = transfer(&segment, &Translated { text: "一只红色狗".to_owned(), links });
    assert_eq!(drawn(&transferred.parts, &names), "一只<b>红色</b>狗");
}

/// Any text: words, spaces, punctuation, other scripts.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[a-zäöüß]{1,7}",
        6 => Just(" ".to_owned()),
        1 => Just("\u{a0}".to_owned()),
        2 => "[.,:;!?()„“\"'’–-]",
        1 => "[0-9]{1,3}",
        1 => "[红色狗👍🏽\u{301}\u{200d}किताब]",
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

#[derive(Clone, Debug)]
enum Step {
    Text(String),
    Open,
    Close,
    Alone(Shown),
}

fn any_segment() -> impl Strategy<Value = Segment> {
    let shown = prop_oneof![Just(Shown::Nothing), Just(Shown::Space), "[a-z]{1,2}|".prop_map(Shown::Text)];
    let step = prop_oneof![
        3 => any_text().prop_map(Step::Text),
        2 => Just(Step::Open),
        2 => Just(Step::Close),
        2 => shown.prop_map(Step::Alone),
    ];
    prop::collection::vec(step, 0..24).prop_map(|steps| {
        let (mut parts, mut open, mut next) = (Vec::new(), Vec::new(), 0);
        for step in steps {
            match step {
                Step::Text(text) if text.is_empty() => {}
                Step::Text(text) => parts.push(Part::Text(text)),
                Step::Open => {
                    open.push(next);
                    parts.push(Part::Open(next));
                    next += 1;
                }
                Step::Close => parts.extend(open.pop().map(Part::Close)),
                Step::Alone(shown) => {
                    parts.push(Part::Alone(next, shown));
                    next += 1;
                }
            }
        }
        parts.extend(open.into_iter().rev().map(Part::Close));
        Segment { parts, ..Segment::default() }
    })
}

/// Each mark with the element around it, sorted; those with text of their own may be in another one.
fn tree(parts: &[Part]) -> Vec<(usize, Option<usize>)> {
    let (mut open, mut tree) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::Open(mark) => {
                tree.push((*mark, open.last().copied()));
                open.push(*mark);
            }
            Part::Close(mark) => assert_eq!(open.pop(), Some(*mark), "marks nest: {parts:?}"),
            Part::Alone(mark, Shown::Text(_)) => tree.push((*mark, None)),
            Part::Alone(mark, _) => tree.push((*mark, open.last().copied())),
            Part::Text(text) => assert!(!text.is_empty(), "{parts:?}"),
        }
    }
    assert!(open.is_empty(), "{parts:?}");
    tree.sort_unstable();
    tree
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn every_mark_comes_once_and_nested_and_the_text_is_the_translation(
        segment in any_segment(),
        text in any_text(),
        links in prop::collection::vec((any::<(prop::sample::Index, prop::sample::Index)>(), any::<(prop::sample::Index, prop::sample::Index)>()), 0..20),
    ) {
        // Links of any bytes, good or bad.
        let range = |length: usize, (a, b): (prop::sample::Index, prop::sample::Index)| {
            let (a, b) = (a.index(length + 1), b.index(length + 1));
            a.min(b)..a.max(b)
        };
        let source = segment.text();
        let mut links: Vec<_> = links.into_iter().map(|(from, to)| (range(source.len(), from), range(text.len(), to))).collect();
        links.sort_by_key(|(from, to)| (from.start, from.end, to.start));
        let Transferred { parts, missing } = transfer(&segment, &Translated { text: text.clone(), links });
        prop_assert_eq!(tree(&parts), tree(&segment.parts));
        let mut written = String::new();
        let mut has_space = false;
        for part in &parts {
            match part {
                Part::Text(part) => written.push_str(part),
                Part::Alone(mark, Shown::Text(part)) if !missing.contains(mark) => written.push_str(part),
                Part::Alone(_, Shown::Space) => has_space = true,
                _ => {}
            }
        }
        let solid = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        prop_assert_eq!(solid(&written), solid(&text));
        if !has_space && missing.is_empty() {
            prop_assert_eq!(written, text);
        }
    }
}

#[test]
fn many_marks_cost_no_more_each() {
    // Minutes if anything in it were quadratic.
    let many = 10_000;
    let nested = format!("{}Wort{}", "<b>".repeat(many), "</b>".repeat(many));
    let beside = "<b>Wort</b> und<n/> ".repeat(many);
    let lost = "<b>Wort</b><_/>".repeat(many);
    let narrower = format!("{}{}", "<b>Wort ".repeat(many), "</b> Wort".repeat(many));
    for drawing in [nested, beside, lost, narrower] {
        let (segment, _) = segment(&drawing);
        let text = "word and ".repeat(many);
        let (from, to) = (words(&segment.text()), words(&text));
        let links: Vec<_> = from.into_iter().zip(to).collect();
        let links = if drawing.contains("<_/>") { Vec::new() } else { links };
        let transferred = transfer(&segment, &Translated { text, links });
        assert_eq!(tree(&transferred.parts), tree(&segment.parts));
    }
}
