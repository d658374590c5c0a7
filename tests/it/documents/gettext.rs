//! gettext's catalogues: what has no translation gets one, and everything else stays.

use std::process::Command;

use proptest::prelude::*;
use translate::documents::{Options, Part, Segment, format, format_of};

use super::{comes_back, drawn, in_capitals, read, texts};

const PO: &str = r##"# Ein Kommentar
#, fuzzy
msgid ""
msgstr ""
"Project-Id-Version: demo\n"
"Language: \n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Content-Transfer-Encoding: 8bit\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"

#. Für den Titel
#: main.c:1
msgctxt "menu"
msgid "Datei"
msgstr ""

#: main.c:2
msgid "schon übersetzt"
msgstr "already"

#, fuzzy, c-format
#| msgid "%d alte"
msgid "Noch %d zu \"tun\"\n"
msgstr "%d old\n"

#, c-format
msgid "%d Hund"
msgid_plural "%d Hunde"
msgstr[0] ""
msgstr[1] ""

#~ msgid "alt"
#~ msgstr ""
"##;

const BROKEN: &[&str] = &[
    "",
    "\n\n",
    "# nur ein Kommentar",
    "msgid \"\"\nmsgstr \"\"\n",
    "msgid \"Hallo\"",
    "msgid \"Hallo\"\nmsgstr",
    "msgid \"Hallo\nmsgstr \"\"\n",
    "msgid \"Hallo\" kaputt\nmsgstr \"\"\n\nmsgid \"Gut\"\nmsgstr \"\"\n",
    "msgid \"a\"\nmsgstr \"\"\nmsgid \"b\"\nmsgstr \"\"\n#, fuzzy\nmsgid \"c\"\nmsgstr \"x\"",
    "\"Zeichenkette ohne Wort\"\n",
    "msgid \"a\"\nmsgid_plural \"b\"\nmsgstr[0] \"\"\nmsgstr[0] \"\"\n",
    "msgid \"a\"\nmsgid_plural \"b\"\nmsgstr[99999999999999999999] \"\"\n",
    "msgid \"\\x41\\101\\\\ \\q Wort\"\nmsgstr \"\"\n",
    "msgid \"\"\n\"Erste Zeile\\n\"\n\"zweite\\n\"\nmsgstr \"\"\n\"\"\n",
    "domain \"x\"\nmsgid \"Wort\"\nmsgstr \"\"\n",
];

fn all() -> Options {
    Options { all: true, ..Options::default() }
}

#[test]
fn every_catalogue_comes_back() {
    comes_back("po", PO.as_bytes());
    comes_back("po", PO.replace('\n', "\r\n").as_bytes());
    comes_back("po", format!("\u{feff}{PO}").as_bytes());
    comes_back("po", b"msgid \"\"\nmsgstr \"\"\n\"Content-Type: text/plain; charset=ISO-8859-15\\n\"\n\nmsgid \"\xa4 Gr\xf6\xdfe\"\nmsgstr \"\"\n");
    BROKEN.iter().for_each(|broken| comes_back("po", broken.as_bytes()));
    let long = format!("msgid \"{}\"\nmsgstr \"\"\n", "%s <b>Wort</b> { & ".repeat(50_000));
    comes_back("po", long.as_bytes());
    let deep = format!("msgid \"{}x{}\"\nmsgstr \"\"\n", "<b>a ".repeat(10_000), "</b>".repeat(10_000));
    in_capitals("po", deep.as_bytes(), &all());
    let many: String = (0..20_000).map(|n| format!("msgid \"Wort {n}\"\nmsgstr \"\"\n\n")).collect();
    comes_back("po", many.as_bytes());
}

#[test]
fn what_is_empty_or_fuzzy_is_translated() {
    let segments = |options: &Options| texts("po", PO.as_bytes(), options);
    assert_eq!(segments(&Options::default()), ["Datei", "Noch %d zu \"tun\"", "%d Hund", "%d Hunde"]);
    assert_eq!(segments(&all()), ["Datei", "schon übersetzt", "Noch %d zu \"tun\"", "%d Hund", "%d Hunde"]);
    let document = read("po", PO.as_bytes(), &Options::default());
    let first = &document.segments()[0];
    assert_eq!((first.line, first.name.as_deref()), (15, Some("menu")));
    assert_eq!(drawn(&document.segments()[1]), "Noch <0/{%d}> zu \"tun\"");
}

#[test]
fn a_translated_entry_is_no_longer_fuzzy() {
    let written =
        String::from_utf8(in_capitals("po", PO.as_bytes(), &Options { target_language: Some("en".into()), ..all() }))
            .unwrap();
    let expected = PO
        .replace("Language: \\n", "Language: en\\n")
        .replace("msgid \"Datei\"\nmsgstr \"\"", "msgid \"Datei\"\nmsgstr \"DATEI\"")
        .replace("msgstr \"already\"", "msgstr \"SCHON ÜBERSETZT\"")
        .replace("#, fuzzy, c-format\n#| msgid \"%d alte\"\n", "#, c-format\n")
        .replace("msgstr \"%d old\\n\"", "msgstr \"NOCH %d ZU \\\"TUN\\\"\\n\"")
        .replace("msgstr[0] \"\"", "msgstr[0] \"%d HUND\"")
        .replace("msgstr[1] \"\"", "msgstr[1] \"%d HUNDE\"");
    assert_eq!(written, expected);
}

#[test]
fn what_nobody_looked_at_is_marked_on_request() {
    let options = Options { mark_for_review: true, ..Options::default() };
    let written = String::from_utf8(in_capitals("po", PO.as_bytes(), &Options { all: true, ..options })).unwrap();
    assert!(written.contains("#: main.c:1\n#, fuzzy\nmsgctxt \"menu\"\n"), "{written}");
    assert!(written.contains("#, fuzzy, c-format\nmsgid \"Noch"), "{written}");
    assert!(written.contains("#, fuzzy, c-format\nmsgid \"%d Hund\""), "{written}");
    let indented = "  #, c-format\nmsgid \"Wort\"\nmsgstr \"\"\n";
    let options = Options { mark_for_review: true, ..Options::default() };
    let written = translated(indented, &options, |_| vec![Part::Text("word".to_owned())]);
    assert_eq!(written, "  #, fuzzy, c-format\nmsgid \"Wort\"\nmsgstr \"word\"\n");
}

fn translated(po: &str, options: &Options, translation: impl Fn(&Segment) -> Vec<Part>) -> String {
    let document = read("po", po.as_bytes(), options);
    let translations: Vec<_> = document.segments().iter().map(|segment| Some(translation(segment))).collect();
    String::from_utf8(document.write(&translations).unwrap()).unwrap()
}

#[test]
fn long_translations_are_wrapped_and_short_ones_are_not() {
    let long = "This is a translation that is longer than any line of the file may be, so it is broken at its spaces.";
    let to = |text: &'static str| move |_: &Segment| vec![Part::Text(text.to_owned())];
    assert_eq!(
        translated("msgid \"kurz\"\nmsgstr \"\"\n", &Options::default(), to(long)),
        "msgid \"kurz\"\nmsgstr \"\"\n\"This is a translation that is longer than any line of the file may be, so it \"\n\"is broken at its spaces.\"\n"
    );
    assert_eq!(
        translated("msgid \"\"\n\"lang \"\n\"war\"\nmsgstr \"\"\n", &Options::default(), to("a \"b\"\\")),
        "msgid \"\"\n\"lang \"\n\"war\"\nmsgstr \"a \\\"b\\\"\\\\\"\n"
    );
    // A file that is not wrapped stays so.
    let wide = format!("msgid \"{}\"\nmsgstr \"\"\n", "wörtchen ".repeat(30).trim());
    assert!(translated(&wide, &Options::default(), to(long)).ends_with(&format!("\nmsgstr \"{long}\"\n")));
}

#[test]
fn lines_of_a_message_stay_lines() {
    let po = "msgid \"Aufruf: x\\n\\n  -h\\tHilfe\\n\"\nmsgstr \"\"\n";
    assert_eq!(texts("po", po.as_bytes(), &Options::default()), ["Aufruf: x", "Hilfe"]);
    let written = String::from_utf8(in_capitals("po", po.as_bytes(), &all())).unwrap();
    assert!(written.ends_with("msgstr \"\"\n\"AUFRUF: X\\n\"\n\"\\n\"\n\"  -h\\tHILFE\\n\"\n"), "{written}");
}

#[test]
fn a_template_gets_what_its_header_lacks() {
    let pot = "#, fuzzy\nmsgid \"\"\nmsgstr \"\"\n\"Language: \\n\"\n\"Content-Type: text/plain; charset=CHARSET\\n\"\n\
               \"Plural-Forms: nplurals=INTEGER; plural=EXPRESSION;\\n\"\n\nmsgid \"%d dog\"\nmsgid_plural \"%d dogs\"\nmsgstr[0] \"\"\nmsgstr[1] \"\"\n";
    let options = Options { target_language: Some("pl".into()), ..all() };
    let written = String::from_utf8(in_capitals("po", pot.as_bytes(), &options)).unwrap();
    assert!(written.contains("Language: pl\\n") && written.contains("charset=UTF-8\\n"), "{written}");
    assert!(written.contains("nplurals=3; plural=(n==1 ? 0"), "{written}");
    assert!(written.ends_with("msgstr[0] \"%d DOG\"\nmsgstr[1] \"%d DOGS\"\nmsgstr[2] \"%d DOGS\"\n"), "{written}");
    // One form for all numbers is the one for many.
    let japanese = Options { target_language: Some("ja".into()), ..Options::default() };
    assert_eq!(texts("po", pot.as_bytes(), &japanese), ["%d dogs"]);
}

#[test]
fn a_rule_for_plurals_may_go_over_several_strings() {
    let po = "msgid \"\"\nmsgstr \"\"\n\"Plural-Forms: nplurals=3; plural=(n % 10 == 1 ? 0 : n < \"\n\"11 ? 1 : 2);\\n\"\n\n\
              msgid \"one dog\"\nmsgid_plural \"%d dogs\"\nmsgstr[0] \"\"\nmsgstr[1] \"\"\nmsgstr[2] \"\"\n";
    let options = Options { target_language: Some("pl".into()), ..Options::default() };
    // The first form is for 21 and 31, too.
    assert_eq!(texts("po", po.as_bytes(), &options), ["%d dogs"]);
    let written = translated(po, &options, |_| vec![Part::Text("psy".to_owned())]);
    assert_eq!(written, po.replace("] \"\"", "] \"psy\""));
}

#[test]
fn a_charset_that_lacks_a_character_gives_way() {
    let po = "msgid \"\"\nmsgstr \"\"\n\"Content-Type: text/plain; charset=ISO-8859-1\\n\"\n\nmsgid \"Größe\"\nmsgstr \"\"\n";
    let latin: Vec<u8> = po.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let document = read("po", &latin, &Options::default());
    assert_eq!(document.segments()[0].text(), "Größe");
    let write = |text: &str| document.write(&[Some(vec![Part::Text(text.to_owned())])]).unwrap();
    assert!(write("Señor").ends_with(b"msgstr \"Se\xf1or\"\n"));
    let cyrillic = String::from_utf8(write("размер")).unwrap();
    assert!(
        cyrillic.contains("charset=UTF-8\\n") && cyrillic.ends_with("msgid \"Größe\"\nmsgstr \"размер\"\n"),
        "{cyrillic}"
    );
}

#[test]
fn broken_entries_are_said_and_left() {
    let document = read("po", BROKEN[7].as_bytes(), &Options::default());
    assert_eq!(document.notes(), ["line 1: not understood, left as it is"]);
    assert_eq!(document.segments().iter().map(Segment::text).collect::<Vec<_>>(), ["Gut"]);
}

#[test]
fn placeholders_in_another_order_have_numbers_or_are_marked() {
    let turned = |segment: &Segment| segment.parts.iter().rev().cloned().collect();
    let c = "#, c-format\nmsgid \"%s von %d\"\nmsgstr \"\"\n";
    assert_eq!(translated(c, &Options::default(), turned), c.replace("msgstr \"\"", "msgstr \"%2$d von %1$s\""));
    let python = c.replace("c-format", "python-format");
    let marked = python.replace("#, python", "#, fuzzy, python").replace("msgstr \"\"", "msgstr \"%d von %s\"");
    assert_eq!(translated(&python, &Options::default(), turned), marked);
}

#[test]
fn catalogues_are_recognised() {
    assert_eq!(format_of("-", PO.as_bytes()).unwrap().name(), "po");
    assert_eq!(format_of("de.pot", b"").unwrap().name(), "po");
}

#[test]
fn msgfmt_accepts_what_is_written() {
    if Command::new("msgfmt").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no msgfmt here");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for (name, options) in [("all", all()), ("fuzzy", Options { mark_for_review: true, ..all() })] {
        let path = directory.path().join(name);
        let header = PO.replace("#, fuzzy\nmsgid \"\"", "msgid \"\"").replace(
            "\"Language: \\n\"",
            "\"PO-Revision-Date: 2024-01-01 00:00+0000\\n\"\n\"Last-Translator: A <a@example.org>\\n\"\n\"Language-Team: none\\n\"\n\"Language: \\n\"",
        );
        let options = Options { target_language: Some("en".into()), ..options };
        std::fs::write(&path, in_capitals("po", header.as_bytes(), &options)).unwrap();
        let output = Command::new("msgfmt").arg("-c").arg("-o").arg("/dev/null").arg(&path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

proptest! {
    #[test]
    fn no_catalogue_is_too_strange(
        parts in prop::collection::vec(prop::sample::select(vec![
            "\n", "\r\n", "\n\n", "msgid ", "msgid_plural ", "msgstr ", "msgstr[0] ", "msgstr[1] ", "msgctxt ", "\"", "\"\"\n", "\"Wort\"\n",
            "\"%s <b>x</b> {a} {{ }} &amp;\\n\\tmehr\"\n", "msgid \"Satz.\"\nmsgstr \"\"\n", "#, fuzzy\n", "#, c-format\n", "#, python-brace-format\n",
            "#| msgid \"x\"\n", "#~ ", "\\", "\\n", "\\x", "\\7", "nplurals=2;", "charset=ISO-8859-1", "\u{a0}", "%", "»", "%1", "&", "<", "$", "字",
        ]), 0..60),
        words in "[A-Za-zä%{} \"\\\\]{0,40}",
        options in (any::<bool>(), any::<bool>()).prop_map(|(all, mark_for_review)| Options { all, mark_for_review, ..Options::default() }),
    ) {
        let po = parts.concat();
        comes_back("po", po.as_bytes());
        let document = read("po", po.as_bytes(), &options);
        let translations = vec![Some(vec![Part::Text(words)]); document.segments().len()];
        let written = document.write(&translations).unwrap();
        let again = format("po").unwrap().read(&written, &options).unwrap();
        prop_assert_eq!(again.notes().len(), document.notes().len());
    }
}
