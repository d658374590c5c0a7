//! Catalogues of names and texts: properties, Apple's strings, JSON, ARB, YAML and Fluent.

use proptest::prelude::*;
use translate::documents::{Options, Part, Segment, format, format_of};

use super::{comes_back, drawn, in_capitals, read, texts};

fn capitals(kind: &str, file: &str) -> String {
    String::from_utf8(in_capitals(kind, file.as_bytes(), &Options::default())).unwrap()
}

fn all_texts(kind: &str, file: &str) -> Vec<String> {
    texts(kind, file.as_bytes(), &Options::default())
}

/// The document whose every segment becomes `text`.
fn translated(kind: &str, file: &[u8], options: &Options, text: &str) -> Vec<u8> {
    let document = read(kind, file, options);
    let translations = vec![Some(vec![Part::Text(text.to_owned())]); document.segments().len()];
    document.write(&translations).unwrap()
}

fn to(kind: &str, file: &str, text: &str) -> String {
    String::from_utf8(translated(kind, file.as_bytes(), &Options::default(), text)).unwrap()
}

/// Back as it was, with each way to end lines.
fn all_come_back(kind: &str, files: &[&str]) {
    for file in files {
        comes_back(kind, file.as_bytes());
        comes_back(kind, file.replace('\n', "\r\n").as_bytes());
        comes_back(kind, format!("\u{feff}{file}").as_bytes());
    }
}

const PROPERTIES: &str = "\
# Ein Kommentar
! noch einer
gruss = Gr\\u00fc\\u00dfe an {0}
a.b:ohne Leerzeichen
leer =
nur\\ Schl\\u00fcssel
lang = Ein langer Satz, der in der \\
       n\\u00e4chsten Zeile weitergeht
zahl = 12
apostroph = Das ist''s f\\u00fcr {0}
";

#[test]
fn properties() {
    all_come_back(
        "properties",
        &[PROPERTIES, "", "\n\n", "=", "a", "a=\\", "a=b\\\nc", "\\u12=x\\u", "a b", "# x", "a=\\u00zz Wort"],
    );
    comes_back("properties", b"gruss = Gr\xfc\xdfe\r\n");
    comes_back("properties", "gruss = Grüße".as_bytes());
    comes_back("properties", "a = b \\\n".repeat(100_000).as_bytes());
    assert_eq!(
        all_texts("properties", PROPERTIES),
        [
            "Grüße an {0}",
            "ohne Leerzeichen",
            "Ein langer Satz, der in der nächsten Zeile weitergeht",
            "Das ist's für {0}",
        ]
    );
    let document = read("properties", PROPERTIES.as_bytes(), &Options::default());
    let first = &document.segments()[0];
    assert_eq!((drawn(first), first.line, first.name.as_deref()), ("Grüße an <0/{{0}}>".to_owned(), 3, Some("gruss")));
    let written = capitals("properties", PROPERTIES);
    assert!(written.contains("gruss = GR\\u00dcSSE AN {0}\n"), "{written}");
    assert!(written.contains("DER IN DER \\\n       N\\u00c4CHSTEN ZEILE WEITERGEHT\n"), "{written}");
    assert!(written.contains("apostroph = DAS IST''S F\\u00dcR {0}\n"), "{written}");
    // A file of Latin-1 stays that; a file of UTF-8 has its characters as they are.
    assert_eq!(translated("properties", b"a=Gr\xfc\xdfe", &Options::default(), "ü → x"), b"a=\xfc \\u2192 x");
    assert_eq!(to("properties", "a=Gruß {0}", "don't"), "a=don''t");
    assert_eq!(to("properties", "a=Grüße", " ü – \\ x\n"), "a=\\ ü – \\\\ x ");
}

const APPLE: &str = "\
/* Ein \"Kommentar\" */
// noch einer
\"gruss\" = \"Hallo %@, du hast %1$ld \\\"Hunde\\\"\\n\";
knopf = \"Ja\";
\"Gr\\U00f6\\U00dfe\"=\"Gr\\U00f6\\U00dfe\";
\"zahl\" = \"12\";
";

#[test]
fn apple_strings() {
    all_come_back(
        "strings",
        &[APPLE, "", "\n", "/* offen", "// offen", "a = b;", "\"a\" = ;", "= \"Wort\";", "\"a\" \"b\" = \"Wort\""],
    );
    let utf16: Vec<u8> = format!("\u{feff}{APPLE}").encode_utf16().flat_map(u16::to_be_bytes).collect();
    comes_back("strings", &utf16);
    comes_back("strings", "\"a\" = \"Wort %@\";\n".repeat(20_000).as_bytes());
    assert!(
        capitals("strings", "\"a\" = \"Wort \\u0000 da\";\n").contains("\"WORT \\U0000 DA\""),
        "no NUL in the file"
    );
    assert_eq!(all_texts("strings", APPLE), ["Hallo %@, du hast %1$ld \"Hunde\"", "Ja", "Größe"]);
    let written = capitals("strings", APPLE);
    assert!(
        written.contains("\"gruss\" = \"HALLO %@, DU HAST %1$ld \\\"HUNDE\\\"\\n\";\nknopf = \"JA\";\n"),
        "{written}"
    );
    let utf16 = translated("strings", &utf16, &Options::default(), "日本");
    assert!(
        String::from_utf16(&utf16.chunks(2).map(|b| u16::from_be_bytes([b[0], b[1]])).collect::<Vec<_>>())
            .unwrap()
            .contains("\"日本\"")
    );
    let error = |bytes: &[u8]| format("strings").unwrap().read(bytes, &Options::default()).err().unwrap().to_string();
    assert!(error(b"bplist00\x01").contains("plutil"));
    assert_eq!(error(b"\n\"a\" = \"b"), "line 2: a string does not end; close its quotation marks");
}

const JSON: &str = r#"{
  "titel": "Hallo {{name}}",
  "tief": {"knopf": ["Ja", "Nein\t\"doch\""], "zahl": 5, "nichts": null},
  "hunde_one": "{{count}} Hund", "hunde_other": "$t(viele) Hunde",
  "wahl": "{n, plural, one {# Hund} other {# Hunde und {x}}}",
  "satz": "Ich habe {n, plural, one {einen Hund} other {Hunde}}.",
  "adresse": "https://example.org/hallo", "html": "Ein <b>fetter</b> Satz", "leer": "", "pfad": "a\/b Wort"
}
"#;

#[test]
fn json() {
    all_come_back(
        "json",
        &[
            JSON,
            "",
            "{}",
            "[]",
            "\"Wort\"",
            "[\"Wort\",]",
            "{\"a\" \"b\"}",
            "{\"a\":\"b\",,}",
            "// x\n{/* \"y */}",
            "nichts",
        ],
    );
    comes_back(
        "json",
        "[\"Wort\", "
            .repeat(10_000)
            .as_bytes()
            .iter()
            .copied()
            .chain("]".repeat(10_000).bytes())
            .collect::<Vec<_>>()
            .as_slice(),
    );
    let deep = format!("{}\"Wort\"{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    assert!(capitals("json", &deep).contains("\"WORT\""));
    let document = read("json", JSON.as_bytes(), &Options::default());
    let found: Vec<String> = document.segments().iter().map(drawn).collect();
    assert_eq!(
        found,
        [
            "Hallo <0/{{{name}}}>",
            "Ja",
            "Nein",
            "\"doch\"",
            "<0/{{{count}}}> Hund",
            "<0/{$t(viele)}> Hunde",
            "<0/{#}> Hund",
            "<0/{#}> Hunde und <1/{{x}}>",
            "Ein <0>fetter</0> Satz",
            "a/b Wort",
        ]
    );
    assert_eq!(document.segments()[1].name.as_deref(), Some("tief.knopf.0"));
    assert_eq!(
        document.notes(),
        ["line 6: a choice of forms within a sentence is left as it is; translate it by hand"]
    );
    let written = capitals("json", JSON);
    assert!(written.contains(r#"{"knopf": ["JA", "NEIN\t\"DOCH\""], "zahl": 5, "nichts": null},"#), "{written}");
    assert!(written.contains(r#""{n, plural, one {# HUND} other {# HUNDE UND {x}}}""#), "{written}");
    assert!(written.contains(r#""EIN <b>FETTER</b> SATZ", "leer": "", "pfad": "A\/B WORT""#), "{written}");
    // Escapes are as the file has them.
    assert_eq!(to("json", "{\"a\": \"Gr\\u00f6\\u00dfe\"}", "Größe😀"), "{\"a\": \"Gr\\u00f6\\u00dfe\\ud83d\\ude00\"}");
    assert_eq!(to("json", "{\"a\": \"Wort\"}", "Größe\u{1}"), "{\"a\": \"Größe\\u0001\"}");
    let error =
        |file: &str| format("json").unwrap().read(file.as_bytes(), &Options::default()).err().unwrap().to_string();
    assert_eq!(error("{\n\"a\": \"b\n}"), "line 2: a string does not end; close its quotation marks");
    assert_eq!(error("{\n]"), "line 2: `]` without `[`; mend the file");
    assert_eq!(error("{\n{"), "line 2: the file ends before all brackets are closed; it is cut off");
}

#[test]
fn messages_of_an_extension_have_descriptions() {
    let file = r#"{"a": {"message": "Hallo $NAME$", "description": "nicht dies", "placeholders": {"name": {"content": "$1", "example": "Otto"}}}}"#;
    assert_eq!(all_texts("json", file), ["Hallo $NAME$"]);
}

#[test]
fn arb() {
    let file = r#"{"@@locale": "de", "hallo": "Hallo {name}", "@hallo": {"description": "Gruß", "placeholders": {"name": {}}}}"#;
    comes_back("arb", file.as_bytes());
    let options = Options { target_language: Some("pt-BR".into()), ..Options::default() };
    let written = String::from_utf8(translated("arb", file.as_bytes(), &options, "Olá")).unwrap();
    assert_eq!(written, file.replace("\"de\"", "\"pt_BR\"").replace("Hallo {name}", "Olá"));
}

const YAML: &str = "\
# Ein Kommentar
de:
  titel: Ein Titel # noch einer
  doppelt: \"Gr\\u00f6\\xdfe %{count}\\n\"
  einfach: 'Das ist''s'
  wort: &anker Ja
  alias: *anker
  wahr: true
  zahl: 12
  datum: \"%d.%m.%Y\"
  liste: [eins zwei, \"drei\", 'vier']
  symbole:
    - :day
    - Ein Punkt
  block: |
    Erste Zeile
      eingerückt

    Letzte Zeile
  gefaltet: >-
    Ein langer Satz, der über
    zwei Zeilen geht.

    Noch ein Absatz.
  mehr: Ein Satz über
    zwei Zeilen
  etikett: !ruby/regexp Wort
";

#[test]
fn yaml() {
    all_come_back(
        "yaml",
        &[
            YAML,
            "",
            "\n",
            "# nur\n",
            "Wort",
            "- Wort\n-\n- ~\n",
            "? a\n: b\n",
            "{a: b c, d: [e]}",
            "---\na: b\n...\n---\nc: d e\n",
            "a: |2\n    Wort\n  x\n",
        ],
    );
    assert_eq!(
        all_texts("yaml", YAML),
        [
            "Ein Titel",
            "Größe %{count}",
            "Das ist's",
            "Ja",
            "eins zwei",
            "drei",
            "vier",
            "Ein Punkt",
            "Erste Zeile",
            "eingerückt",
            "Letzte Zeile",
            "Ein langer Satz, der über zwei Zeilen geht.",
            "Noch ein Absatz.",
            "Ein Satz über zwei Zeilen",
        ]
    );
    let document = read("yaml", YAML.as_bytes(), &Options::default());
    assert_eq!(document.segments()[7].name.as_deref(), Some("de.symbole.1"));
    let written = capitals("yaml", YAML);
    let expected = [
        "  titel: EIN TITEL # noch einer\n  doppelt: \"GRÖSSE %{count}\\n\"\n  einfach: 'DAS IST''S'\n  wort: &anker JA\n",
        "  liste: [EINS ZWEI, \"DREI\", 'VIER']\n",
        "  block: |\n    ERSTE ZEILE\n      EINGERÜCKT\n\n    LETZTE ZEILE\n",
        "  gefaltet: >-\n    EIN LANGER SATZ, DER ÜBER ZWEI ZEILEN\n    GEHT.\n\n    NOCH EIN ABSATZ.\n",
        "  mehr: EIN SATZ ÜBER ZWEI ZEILEN\n  etikett: !ruby/regexp Wort\n",
    ];
    expected.iter().for_each(|expected| assert!(written.contains(expected), "{expected}\n{written}"));
    let error = format("yaml").unwrap().read(b"a: b\nc: [", &Options::default()).err().unwrap().to_string();
    assert!(error.starts_with("line ") && error.contains("no valid YAML"), "{error}");
}

#[test]
fn yaml_has_quotation_marks_where_it_needs_them() {
    for unsafe_text in ["a: b", "- a", "yes", "12", "a #b", "[a]", "'a'", "a:", "%a", "@a", ""] {
        let written = to("yaml", "a: Wort\nb: c d\n", unsafe_text);
        assert!(written.starts_with(&format!("a: \"{unsafe_text}\"\n")), "{written}");
    }
    assert_eq!(to("yaml", "a: [Wort, x]\n", "b, c"), "a: [\"b, c\", \"b, c\"]\n");
    assert_eq!(to("yaml", "a: Wort\n", "it's \"so\" - or: not"), "a: \"it's \\\"so\\\" - or: not\"\n");
    assert_eq!(to("yaml", "a: Wort\n", "it's so-so"), "a: it's so-so\n");
    assert_eq!(to("yaml", "a: Wort\u{a0}\n", ""), "a: \"\u{a0}\"\n");
}

#[test]
fn a_root_key_that_is_a_language_becomes_the_target() {
    let options = Options { target_language: Some("en".into()), ..Options::default() };
    let file = "de:\n  a: Wort\n";
    assert_eq!(translated("yaml", file.as_bytes(), &options, "word"), b"en:\n  a: word\n");
    let document = read("yaml", file.as_bytes(), &options);
    assert_eq!(document.notes(), ["line 1: the key `de` becomes `en`"]);
    // Nothing is renamed where nothing is translated, or where there are other keys.
    assert_eq!(document.write(&[None]).unwrap(), file.as_bytes());
    assert_eq!(translated("yaml", b"de: {a: Wort}\nx: y z\n", &options, "w"), b"de: {a: w}\nx: w\n");
}

const FLUENT: &str = "\
### Eine Datei
# Ein Kommentar
-marke = Feuerfuchs
hallo = Hallo { $name }, hier ist { -marke }!
    .titel = Ein Titel
hunde = { $count ->
    [one] Ein Hund
   *[other] { $count } Hunde
}
satz = Ich habe { $count ->
    [one] einen Hund
   *[other] Hunde
} gern.
lang =
    Erste Zeile,
      eingerückt
    und { \"{\" } Klammer
leer = { \"\" }
zahl = { NUMBER($n, minimumFractionDigits: 2) } Euro
";

#[test]
fn fluent() {
    all_come_back(
        "ftl",
        &[
            FLUENT,
            "",
            "\n",
            "# nur",
            "a",
            "a =",
            "a = {",
            "a = }",
            "= b",
            "a = { $b ->\n",
            "a = {\n $b }\n",
            " a = Wort\n",
            "a = { $b ->\n [x] Wort\n",
        ],
    );
    comes_back("ftl", "a = { b { c\n".repeat(20_000).as_bytes());
    let document = read("ftl", FLUENT.as_bytes(), &Options::default());
    let found: Vec<String> = document.segments().iter().map(drawn).collect();
    assert_eq!(
        found,
        [
            "Feuerfuchs",
            "Hallo <0/{{ $name }}>, hier ist <1/{{ -marke }}>!",
            "Ein Titel",
            "Ein Hund",
            "<0/{{ $count }}> Hunde",
            "Erste Zeile,",
            "eingerückt",
            "und <0/{{ \"{\" }}> Klammer",
            "<0/{{ NUMBER($n, minimumFractionDigits: 2) }}> Euro",
        ]
    );
    assert_eq!(document.segments()[2].name.as_deref(), Some("hallo.titel"));
    assert_eq!(
        document.notes(),
        ["line 10: a choice of forms within a sentence is left as it is; translate it by hand"]
    );
    let written = capitals("ftl", FLUENT);
    assert!(
        written.contains(
            "    .titel = EIN TITEL\nhunde = { $count ->\n    [one] EIN HUND\n   *[other] { $count } HUNDE\n}\nsatz"
        ),
        "{written}"
    );
    assert!(
        written.contains("lang =\n    ERSTE ZEILE,\n      EINGERÜCKT\n    UND { \"{\" } KLAMMER\nleer"),
        "{written}"
    );
    assert_eq!(to("ftl", "a = Wort\n", "{x} .y"), "a = {\"{\"}x{\"}\"} .y\n");
    assert_eq!(to("ftl", "a =\n    Wort\n", ".y"), "a =\n    {\"\"}.y\n");
}

#[test]
fn choices_of_fluent_within_choices() {
    let file = "a = { $a ->\n    [x] { $b ->\n        [y] ja\n       *[z] nein { $n }\n    }\n   *[w] doch,\n       wirklich\n}\n";
    assert_eq!(all_texts("ftl", file), ["ja", "nein { $n }", "doch,", "wirklich"]);
    assert_eq!(
        capitals("ftl", file),
        file.replace("ja", "JA").replace("nein", "NEIN").replace("doch", "DOCH").replace("wirklich", "WIRKLICH")
    );
}

#[test]
fn formats_by_ending() {
    for (file, kind) in [
        ("a.properties", "properties"),
        ("A.strings", "strings"),
        ("de.json", "json"),
        ("app_de.arb", "arb"),
        ("de.yml", "yaml"),
        ("x.ftl", "ftl"),
    ] {
        assert_eq!(format_of(file, b"").unwrap().name(), kind);
    }
    assert_eq!(format_of("-", b"{\n  \"a\"").unwrap().name(), "json");
}

#[test]
fn a_choice_of_choices_has_all_its_texts() {
    let file = r#"{"a": "{g, select, f {{n, plural, one {eine} other {# viele}}} other {Leute}}", "b": "{n, plural, one {x} other {y", "c": "plural {x}"}"#;
    assert_eq!(all_texts("json", file), ["eine", "# viele", "Leute", "plural {x}"]);
}

proptest! {
    #[test]
    fn no_catalogue_is_too_strange(
        kind in prop::sample::select(vec!["properties", "strings", "json", "arb", "yaml", "ftl"]),
        parts in prop::collection::vec(prop::sample::select(vec![
            "\n", "\r\n", "a", "a = ", "a: ", "  ", "- ", "\"", "\"Wort\"", "'", "Wort", "ein Satz.", "{", "}", "[", "]", ",", ":", ";", "=", "\\", "\\u00e4",
            "\\n", "/*", "*/", "//", "#", "{n, plural, one {#} other {b}}", "{ $a ->\n", " [one] b\n", " *[other] c\n", "    .b = ", "|\n", ">\n", "&x ", "*x",
            "%s", "<b>", "</b>", "&amp;", "\u{a0}", "%", "»", "%1", "&", "<", "$", "字", "@@locale", "- Wort\n", "a: Wort\n", "\"a\": \"b c\",\n", "\"a\" = \"b c\";\n",
        ]), 0..40),
        words in "[A-Za-z%{} :#\"'\\\\-]{0,40}",
    ) {
        let file = parts.concat();
        let Ok(document) = format(kind).unwrap().read(file.as_bytes(), &Options::default()) else { return Ok(()) };
        comes_back(kind, file.as_bytes());
        let translations = vec![Some(vec![Part::Text(words)]); document.segments().len()];
        let written = document.write(&translations).unwrap();
        let again = format(kind).unwrap().read(&written, &Options::default());
        prop_assert!(again.is_ok(), "{kind}: {:?} became {:?}", file, String::from_utf8_lossy(&written));
    }

    /// What is written in the place of a value is what it says.
    #[test]
    fn a_value_says_what_it_was_given(
        (kind, file) in prop::sample::select(vec![
            ("properties", "a = Wort\n"), ("strings", "\"a\" = \"Wort\";\n"), ("json", "{\"a\": \"Wort\"}"), ("yaml", "a: Wort\n"), ("yaml", "a: 'Wort'\n"),
            ("yaml", "a: \"Wort\"\n"), ("yaml", "a: [Wort]\n"), ("yaml", "a: |\n  Wort\n"), ("yaml", "a: >\n  Wort\n"),
        ]),
        words in "[A-Za-zäß:#\"'\\\\,!?&*@-]{1,8}( [A-Za-zäß:#\"'\\\\,!?&*@.-]{1,8}){0,12}",
    ) {
        let words = format!("x{words}x");
        let written = translated(kind, file.as_bytes(), &Options::default(), &words);
        let again: Vec<String> = read(kind, &written, &Options::default()).segments().iter().map(Segment::text).collect();
        prop_assert_eq!(again, [words]);
    }
}
