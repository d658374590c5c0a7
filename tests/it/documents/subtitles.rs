//! Subtitles: SubRip, WebVTT and SubStation Alpha come back as they were, and sentences go over cues.

use proptest::prelude::*;
use translate::documents::{Options, Part, Shown, format};

use super::{comes_back, drawn, in_capitals, read, texts};

const FILM: &str = "\
1
00:00:01,000 --> 00:00:03,000
Das ist ein langer Satz

2
00:00:03,040 --> 00:00:05,000
und geht in der <i>nächsten</i> Zeile weiter.

3
00:00:06,000 --> 00:00:08,000
- Kommst du mit?
- Nein.

4
00:00:09,000 --> 00:00:10,000
{\\an8}[Tür knallt] JOHN: Wer ist da?

5
00:00:11,000 --> 00:00:12,000
♪ La, la, wir singen ♪
";

const BROKEN: &[&str] = &[
    "",
    "\n\n\n",
    "1",
    "1\n00:00:01,000 --> 00:00:02,000",
    "1\n00:00:01,000 --> 00:00:02,000\n",
    "1\n00:00:01,000 --> 00:00:02,000\n\n2\n00:00:02,000 --> 00:00:03,000\nNach dem leeren.\n",
    "1\n00:00:01,000 --> 00:00:02,000\nOhne Leerzeile\n2\n00:00:02,000 --> 00:00:03,000\nder Zweite\n",
    "00:00:01,000 --> 00:00:02,000\nOhne Nummern\n\n00:00:02,000 --> 00:00:03,000\nbeide.\n",
    "1\n00:00:01,000 --> 00:00:02,000\nErst\n\n\nEin Absatz mittendrin\n\n2\n00:00:02.000-->00:00:03.000 X1:10 X2:20\nPunkt statt Komma\n",
    "1\r\n00:00:01,000 --> 00:00:02,000\r\nZeile eins\r\nund zwei\r\n\r\n2\r\n00:00:02,000 --> 00:00:03,000\r\nweiter.",
    "1\n99:99 -> 3\nkein Zeitcode\n",
    "1\n00:00:01,000 --> 00:00:02,000\n<i><b><u>Nur offen\n\n2\n00:00:02,000 --> 00:00:03,000\n</i></b>zu</u>\n",
    "1\n00:00:01,000 --> 00:00:02,000\n<i></i>\n<b>\n",
    "1\n00:00:01,000 --> 00:00:02,000\na < b > c <3 {nichts} { <font color=\"#ff0000\">rot</font>\n",
    "1\n00:00:01,000 --> 00:00:02,000\n42\n\n2\n00:00:02,000 --> 00:00:03,000\n1984\n3\n00:00:04,000 --> 00:00:05,000\nEnde\n",
    "Nur Text, gar keine Untertitel.\n",
];

#[test]
fn every_file_comes_back() {
    comes_back("srt", FILM.as_bytes());
    comes_back("srt", format!("\u{feff}{FILM}").as_bytes());
    comes_back("srt", FILM.replace('\n', "\r\n").as_bytes());
    comes_back("srt", FILM.replace('\n', "\r").as_bytes());
    comes_back("srt", b"1\r\n00:00:01,000 --> 00:00:02,000\r\n\xdcber Gr\xf6\xdfe, \x80 5\r\n");
    let utf16: Vec<u8> = format!("\u{feff}{FILM}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    comes_back("srt", &utf16);
    for broken in BROKEN {
        for kind in ["srt", "vtt", "ass"] {
            comes_back(kind, broken.as_bytes());
        }
    }
    comes_back("vtt", VTT.as_bytes());
    comes_back("vtt", VTT.replace('\n', "\r\n").as_bytes());
    comes_back("ass", ASS.as_bytes());
    comes_back("ass", ASS.replace('\n', "\r\n").as_bytes());
}

#[test]
fn a_sentence_over_two_cues_is_one_segment() {
    let document = read("srt", FILM.as_bytes(), &Options::default());
    let drawn: Vec<String> = document.segments().iter().map(drawn).collect();
    assert_eq!(
        drawn,
        [
            "Das ist ein langer Satz<0/ >und geht in der <1>nächsten</1> Zeile weiter.",
            "Kommst du mit?",
            "Nein.",
            "Tür knallt",
            "Wer ist da?",
            "La, la, wir singen",
        ]
    );
    let places: Vec<_> = document.segments().iter().map(|s| (s.line, s.name.clone().unwrap())).collect();
    assert_eq!(places[0], (3, "00:00:01,000".to_owned()));
    assert_eq!(places[2], (12, "00:00:06,000".to_owned()));
}

#[test]
fn what_surrounds_speech_stays() {
    let written = String::from_utf8(in_capitals("srt", FILM.as_bytes(), &Options::default())).unwrap();
    assert!(written.contains("03,000\nDAS IST EIN LANGER SATZ\n\n2\n"), "{written}");
    assert!(written.contains("UND GEHT IN DER <i>NÄCHSTEN</i> ZEILE WEITER.\n\n3\n"), "{written}");
    assert!(written.contains("- KOMMST DU MIT?\n- NEIN.\n"), "{written}");
    assert!(written.contains("{\\an8}[TÜR KNALLT] JOHN: WER IST DA?\n"), "{written}");
    assert!(written.contains("♪ LA, LA, WIR SINGEN ♪\n"), "{written}");
}

/// A file with these cues, one after the other.
fn film(cues: &[&str]) -> String {
    let cue = |(at, text): (usize, &&str)| format!("{}\n00:00:{at:02},000 --> 00:00:{:02},900\n{text}\n\n", at + 1, at);
    cues.iter().enumerate().map(cue).collect()
}

/// The texts of the cues after the one segment of a file was translated into `parts`.
fn translated(cues: &[&str], parts: Vec<Part>, options: &Options) -> Vec<String> {
    let file = film(cues);
    let document = read("srt", file.as_bytes(), options);
    assert_eq!(document.segments().len(), 1, "{:?}", texts("srt", file.as_bytes(), options));
    let written = String::from_utf8(document.write(&[Some(parts)]).unwrap()).unwrap();
    written.trim_end().split("\n\n").map(|cue| cue.splitn(3, '\n').nth(2).unwrap_or("").to_owned()).collect()
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

const BORDER: Part = Part::Alone(0, Shown::Space);

#[test]
fn the_border_moves_to_where_it_reads_well() {
    let cues = ["Ich habe gestern den Mann gesehen, der", "das Haus gekauft hat."];
    let parts = vec![text("Yesterday I saw the man who bought the"), BORDER, text("house.")];
    assert_eq!(translated(&cues, parts, &Options::default()), ["Yesterday I saw the man who bought", "the house."]);
}

#[test]
fn no_cue_is_empty_while_there_are_words() {
    let cues = ["Ach so ist das also", "und auch dies"];
    let parts = vec![BORDER, text("So that")];
    assert_eq!(translated(&cues, parts, &Options::default()), ["So", "that"]);
    // One word for two cues stays.
    let parts = vec![text("Really?"), BORDER];
    assert_eq!(translated(&cues, parts, &Options::default()), ["Really?", "Really?"]);
}

#[test]
fn an_element_is_opened_again_in_every_cue_it_spans() {
    let cues = ["Es war <i>ein schöner Tag</i>", "<i>an dem alle</i> lachten."];
    let document = read("srt", film(&cues).as_bytes(), &Options::default());
    assert_eq!(drawn(&document.segments()[0]), "Es war <0>ein schöner Tag<1/ >an dem alle</0> lachten.");
    let parts = vec![
        text("It was "),
        Part::Open(0),
        text("a beautiful day"),
        Part::Alone(1, Shown::Space),
        text("when everybody"),
        Part::Close(0),
        text(" laughed."),
    ];
    let written = translated(&cues, parts, &Options::default());
    assert_eq!(written, ["It was <i>a beautiful day</i>", "<i>when everybody</i> laughed."]);
}

#[test]
fn lines_are_broken_by_meaning_and_width() {
    let cues = ["Ein kurzer Satz hier."];
    let long = "This is a much longer sentence, and it has to be broken.";
    let written = translated(&cues, vec![text(long)], &Options::default());
    assert_eq!(written, ["This is a much longer sentence,\nand it has to be broken."]);
    let narrow = Options { cue_width: Some(20), ..Options::default() };
    let written = translated(&cues, vec![text("A rather long way to say something")], &narrow);
    assert_eq!(written, ["A rather long way\nto say something"]);
    // Two lines become one that is short enough.
    let written = translated(&["Das ist\nkurz."], vec![text("That is short.")], &Options::default());
    assert_eq!(written, ["That is short."]);
}

#[test]
fn sentences_end_where_they_end() {
    let segments = |cues: &[&str]| texts("srt", film(cues).as_bytes(), &Options::default());
    assert_eq!(segments(&["Am 3.", "Mai kam er"]), ["Am 3. Mai kam er"]);
    assert_eq!(segments(&["Er sagte:", "\"Komm.\"", "und ging"]), ["Er sagte:", "\"Komm.\"", "und ging"]);
    assert_eq!(segments(&["Ich wollte --", "Was denn"]), ["Ich wollte --", "Was denn"]);
    assert_eq!(segments(&["<i>Er dachte</i>", "<i>an sie.</i>"]), ["Er dachte an sie."]);
    assert_eq!(segments(&["Ja (lacht)", "- Nein", "OTTO: Doch"]), ["Ja", "lacht", "Nein", "Doch"]);
    assert_eq!(segments(&["Er wollte\n[hustet]", "nach Hause."]), ["Er wollte nach Hause.", "hustet"]);
    assert_eq!(segments(&["<i>\u{a0}Eins</i> und zwei"]), ["Eins und zwei"]);
    assert_eq!(segments(&["{\\an8}oben", "...", "12"]), ["oben"]);
    let late = "1\n00:00:01,000 --> 00:00:02,000\nEins\n\n2\n00:00:05,000 --> 00:00:06,000\nund zwei\n";
    assert_eq!(texts("srt", late.as_bytes(), &Options::default()), ["Eins", "und zwei"]);
}

#[test]
fn an_encoding_that_lacks_a_character_gives_way_to_utf_8() {
    let file = b"1\n00:00:01,000 --> 00:00:02,000\n\xdcber\n";
    let document = read("srt", file, &Options::default());
    assert!(document.notes()[0].contains("windows-1252"), "{:?}", document.notes());
    assert_eq!(document.write(&[Some(vec![text("Señor")])]).unwrap(), b"1\n00:00:01,000 --> 00:00:02,000\nSe\xf1or\n");
    let written = document.write(&[Some(vec![text("над")])]).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), "\u{feff}1\n00:00:01,000 --> 00:00:02,000\nнад\n");
}

const VTT: &str = "\
WEBVTT - Ein Titel

STYLE
::cue { color: red }

NOTE Eine Bemerkung
über zwei Zeilen

REGION
id:fred

intro
00:01.000 --> 00:03.000 line:0 align:start
<v Fred Meier>Guten <c.yellow>Tag</c> &amp; Abend &lt;hier&gt;</v>

00:03.100 --> 00:04.000 line:0 align:start
Das <00:00:03.500>geht <lang en>by&nbsp;now</lang>

2
00:05.000 --> 00:06.000
- Ja
<v Anna>Nein
";

#[test]
fn webvtt_keeps_what_is_not_text() {
    let document = read("vtt", VTT.as_bytes(), &Options::default());
    let drawn: Vec<String> = document.segments().iter().map(drawn).collect();
    assert_eq!(drawn, ["Guten <0>Tag</0> & Abend <hier><1/ >Das <2/>geht <3>by\u{a0}now</3>", "Ja", "Nein"]);
    let written = String::from_utf8(in_capitals("vtt", VTT.as_bytes(), &Options::default())).unwrap();
    let head = VTT.find("<v Fred").unwrap();
    assert_eq!(written[..head], VTT[..head]);
    assert!(written.contains("<v Fred Meier>GUTEN <c.yellow>TAG</c> &amp; ABEND &lt;HIER&gt;</v>\n"), "{written}");
    assert!(written.contains("DAS <00:00:03.500>GEHT <lang en>BY&nbsp;NOW</lang>\n"), "{written}");
    assert!(written.ends_with("- JA\n<v Anna>NEIN\n"), "{written}");
}

const ASS: &str = "\
[Script Info]
Title: Ein Titel
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname
Style: Default,Arial

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,Nur eine Bemerkung
Dialogue: 0,0:00:01.00,0:00:02.00,Default,Anna,0,0,0,,{\\an8\\fad(1,2)}Hallo, du,\\Nwie {\\i1}geht{\\i0}
Dialogue: 0,0:00:02.00,0:00:03.00,Default,Anna,0,0,0,,es{\\k20} dir\\hheute?
Dialogue: 0,0:00:02.00,0:00:03.00,Sign,,0,0,0,,{\\p1}m 0 0 l 100 0 100 100{\\p0}
Dialogue: 0,0:00:03.00,0:00:04.00,Sign,,0,0,0,,{\\p1}m 0 0 l 1{\\p0}Schild, mit Komma
Dialogue: kaputt
";

#[test]
fn substation_translates_the_text_of_events() {
    let document = read("ass", ASS.as_bytes(), &Options::default());
    let drawn: Vec<String> = document.segments().iter().map(drawn).collect();
    assert_eq!(
        drawn,
        ["Hallo, du, wie <0>geht</0><1/ >es<2/> dir\u{a0}heute?", "Schild, mit Komma"],
        "a drawing is no text"
    );
    assert_eq!((document.segments()[1].line, &document.segments()[1].name), (15, &Some("0:00:03.00".to_owned())));
    let written = String::from_utf8(in_capitals("ass", ASS.as_bytes(), &Options::default())).unwrap();
    assert!(written.contains(",,{\\an8\\fad(1,2)}HALLO, DU, WIE {\\i1}GEHT{\\i0}\n"), "{written}");
    assert!(written.contains(",,ES{\\k20} DIR\\hHEUTE?\n"), "{written}");
    assert!(written.contains("{\\p1}m 0 0 l 1{\\p0}SCHILD, MIT KOMMA\nDialogue: kaputt\n"), "{written}");
}

#[test]
fn fields_of_events_in_another_order() {
    let file = "[Events]\nFormat: Start, End, Text\nDialogue: 0:00:01.00,0:00:02.00,Ja, das\nFormat: Text, Start\nDialogue: x,1\n";
    assert_eq!(texts("ass", file.as_bytes(), &Options::default()), ["Ja, das"]);
}

#[test]
fn formats_are_recognised() {
    use translate::documents::format_of;
    let name = |file: &str, start: &str| format_of(file, start.as_bytes()).map(|format| format.name());
    assert_eq!(name("a.SRT", ""), Some("srt"));
    assert_eq!(name("-", FILM), Some("srt"));
    assert_eq!(name("-", VTT), Some("vtt"));
    assert_eq!(name("-", ASS), Some("ass"));
}

#[test]
fn deep_and_long_files() {
    let deep = format!("1\n00:00:01,000 --> 00:00:02,000\n{}x{}\n", "<i>a ".repeat(10_000), "</i>".repeat(10_000));
    in_capitals("srt", deep.as_bytes(), &Options::default());
    let mixed = format!("1\n00:00:01,000 --> 00:00:02,000\n{}{}", "<b><i>a ".repeat(20_000), "</u></b>".repeat(20_000));
    comes_back("srt", mixed.as_bytes());
    for line in ["♪ a ", "( [ ", "{\\k1} a", "<a ", "- ", "A: ", "& ", "[a] "] {
        let long = format!("WEBVTT\n\n00:01.000 --> 00:02.000\n{}\n", line.repeat(20_000));
        comes_back("srt", long.as_bytes());
        comes_back("vtt", long.as_bytes());
    }
    let many: String = (0..5_000)
        .map(|n| {
            format!(
                "{n}\n00:{:02}:{:02},000 --> 00:{:02}:{:02},900\nein Satz ohne\nEnde und\n\n",
                n / 60 % 60,
                n % 60,
                n / 60 % 60,
                n % 60
            )
        })
        .collect();
    in_capitals("srt", many.as_bytes(), &Options::default());
}

proptest! {
    #[test]
    fn no_file_is_too_strange(
        kind in prop::sample::select(vec!["srt", "vtt", "ass"]),
        parts in prop::collection::vec(prop::sample::select(vec![
            "\n", "\r\n", "\n\n", "1\n", "00:00:01,000 --> 00:00:02,000\n", "00:01.000 --> 00:02.000 line:0\n", "WEBVTT\n\n", "<i>", "</i>",
            "<b>", "</b>", "<v Fred>", "{\\an8}", "{\\i1}", "{\\i0}", "{\\p1}", "{", "}", "<", ">", "&amp;", "&", ";", "- ", "JOHN: ", "♪",
            "[", "]", "(", ")", " ", "\u{a0}", "\t", "Wort", "Satz.", "\\N", "\\h", "[Events]\n", "Dialogue: 0,0:00:01.00,0:00:02.00,,,,,,,", "Format: Start, End, Text\n", ",", "#", "字字",
        ]), 0..60),
        words in prop::collection::vec("[A-Za-z.,]{1,8}", 0..12),
    ) {
        let file = parts.concat();
        comes_back(kind, file.as_bytes());
        // Other words between the same marks, and none at all.
        let document = read(kind, file.as_bytes(), &Options::default());
        for words in [words.join(" "), String::new()] {
            let other = |part: &Part| match part {
                Part::Text(_) => Part::Text(words.clone()),
                other => other.clone(),
            };
            let translations: Vec<_> =
                document.segments().iter().map(|segment| Some(segment.parts.iter().map(other).collect())).collect();
            let written = document.write(&translations).unwrap();
            format(kind).unwrap().read(&written, &Options::default()).unwrap();
        }
    }
}
