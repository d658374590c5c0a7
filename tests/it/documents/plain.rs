//! Plain text comes back as it was, and in its own form.

use proptest::prelude::*;
use translate::documents::{Options, Part, format, format_of};

use super::{comes_back, in_capitals, read, texts};

const LETTER: &str = "\
Eine Überschrift
================

Das hier ist ein Absatz, der von Hand umbrochen worden ist, und zwar bei
zweiundsiebzig Zeichen, wie es sich für Texte gehört, die man in einem
Terminal liest.
  Noch einer, der eingerückt beginnt und danach wieder ganz links steht, so
wie in Büchern.

> Ein Zitat, das ebenfalls umbrochen wurde und dessen Zeilen alle mit einem
> Größerzeichen beginnen.

 1. Ein Punkt einer Liste, der länger als eine Zeile ist und deshalb in der
    nächsten weitergeht.
 2. Ein kurzer.
 - Noch einer

Rosen sind rot,
Veilchen sind blau.

Name        Farbe     Zahl
Hund        braun       12
| Katze | schwarz | 3 |
";

const BROKEN: &[&str] = &[
    "",
    "\n",
    "\n\n  \n",
    "ohne Ende",
    "  eingerückt  \r\n\r\nund CRLF\r\n",
    "alter\rMac\r\rText\r",
    "\u{feff}mit Marke\n",
    "gemischt\r\nund\nalles\r",
    "> > > tief\n>\n> zitiert\n",
    "----\n====\n12 34\n",
    "\u{a0}hart\u{a0}\n\u{2003}breit\u{2028}getrennt\n",
    "a\tb\tc\n\td\n",
    "- \n* \n1.\n1. \n# \n#\n",
];

#[test]
fn every_text_comes_back() {
    comes_back("text", LETTER.as_bytes());
    comes_back("text", LETTER.replace('\n', "\r\n").as_bytes());
    BROKEN.iter().for_each(|broken| comes_back("text", broken.as_bytes()));
    comes_back("text", "wort ".repeat(200_000).as_bytes());
    comes_back("text", "> ".repeat(10_000).as_bytes());
    comes_back("text", "a  b ".repeat(50_000).as_bytes());
    comes_back("text", "Zeile, die so lang ist, dass sie umbrochen wurde, und\n".repeat(20_000).as_bytes());
}

#[cfg(any(feature = "html", feature = "markdown", feature = "subtitles", feature = "catalogues"))]
#[test]
fn older_encodings_come_back() {
    comes_back("text", b"Gr\xf6\xdfe \x80\r\n");
    let document = read("text", b"Gr\xf6\xdfe\n", &Options::default());
    assert!(document.notes()[0].contains("windows-1252"));
}

#[test]
fn paragraphs_are_one_segment_and_lines_that_stand_alone_another() {
    assert_eq!(
        texts("text", LETTER.as_bytes(), &Options::default()),
        [
            "Eine Überschrift",
            "Das hier ist ein Absatz, der von Hand umbrochen worden ist, und zwar bei zweiundsiebzig Zeichen, wie es sich für Texte gehört, die man in einem Terminal liest.",
            "Noch einer, der eingerückt beginnt und danach wieder ganz links steht, so wie in Büchern.",
            "Ein Zitat, das ebenfalls umbrochen wurde und dessen Zeilen alle mit einem Größerzeichen beginnen.",
            "Ein Punkt einer Liste, der länger als eine Zeile ist und deshalb in der nächsten weitergeht.",
            "Ein kurzer.",
            "Noch einer",
            "Rosen sind rot,",
            "Veilchen sind blau.",
            "Name",
            "Farbe",
            "Zahl",
            "Hund",
            "braun",
            "Katze",
            "schwarz",
        ]
    );
    let document = read("text", LETTER.as_bytes(), &Options::default());
    let lines: Vec<usize> = document.segments().iter().map(|segment| segment.line).collect();
    assert_eq!(lines, [1, 4, 7, 10, 13, 15, 16, 18, 19, 21, 21, 21, 22, 22, 23, 23]);
}

#[test]
fn capitals_change_nothing_else() {
    let written = String::from_utf8(in_capitals("text", LETTER.as_bytes(), &Options::default())).unwrap();
    // One letter becomes two: STRASSE.
    let expected = LETTER.to_uppercase();
    assert_eq!(written, expected);
}

fn translated(text: &str, translation: &str) -> String {
    let document = read("text", text.as_bytes(), &Options::default());
    let mut translations = vec![None; document.segments().len()];
    translations[0] = Some(vec![Part::Text(translation.to_owned())]);
    String::from_utf8(document.write(&translations).unwrap()).unwrap()
}

#[test]
fn a_paragraph_is_wrapped_at_its_own_width_with_its_own_prefix() {
    let quoted = "  > - Ein Punkt, der bei fünfzig Zeichen umbrochen ist und\n  >   weitergeht.\r\n";
    let words = "some quite ordinary words that are many more than those that were there before - and so on";
    assert_eq!(
        translated(quoted, words),
        "  > - some quite ordinary words that are many more than\r\n  >   those that were there before - and so on\r\n"
    );
    // A line that becomes longer than the paragraphs of its file is wrapped, too.
    let two = "* Kurz\n\nEin langer Absatz, der bei etwa fünfzig Zeichen um-\nbrochen worden ist.\n";
    assert_eq!(
        translated(two, "A line that has become much longer than everything else here"),
        "* A line that has become much longer than\n  everything else here\n\nEin langer Absatz, der bei etwa fünfzig Zeichen um-\nbrochen worden ist.\n"
    );
    // Where nothing is wrapped, nothing is.
    let long = "word ".repeat(60);
    assert_eq!(translated("Eine einzige Zeile\n", &long), format!("{}\n", long.trim()));
}

#[test]
fn columns_of_tables_stay() {
    assert_eq!(translated("Hund      braun  4\n", "a dog"), "a dog     braun  4\n");
    assert_eq!(translated("Hund  braun\n", "a big dog"), "a big dog  braun\n");
    assert_eq!(translated("Hund |braun\n", "a big dog"), "a big dog |braun\n");
}

#[test]
fn everything_is_text_but_what_has_nul_bytes() {
    assert_eq!(format_of("LICENSE", b"Copyright").unwrap().name(), "text");
    let error = format("text").unwrap().read(b"a\nb\0", &Options::default()).err().unwrap();
    assert_eq!(error.to_string(), "line 2: a NUL byte, so this is no text; name its format if it has one");
}

proptest! {
    #[test]
    fn no_text_is_too_strange(
        parts in prop::collection::vec(prop::sample::select(vec![
            "\n", "\r\n", "\n\n", "> ", "# ", "- ", "1. ", "a) ", " ", "  ", "\t", "|", "─", "Wort", "ein langes Stück Text, das eine Zeile fast füllt",
            "Satz.", "\u{a0}", "字字", "===", "ß",
        ]), 0..60),
        words in "[A-Za-z0-9 .>#-]{0,80}",
    ) {
        let text = parts.concat();
        comes_back("text", text.as_bytes());
        let document = read("text", text.as_bytes(), &Options::default());
        let translations = vec![Some(vec![Part::Text(words)]); document.segments().len()];
        let written = document.write(&translations).unwrap();
        read("text", &written, &Options::default());
    }
}
