//! XLIFF, TMX, Qt's TS and Android's strings.

use proptest::prelude::*;
use translate::documents::{Options, Part, format};

use super::{comes_back, drawn, in_capitals, read, texts};

fn to_english() -> Options {
    Options { source_language: Some("de".to_owned()), target_language: Some("en".to_owned()), ..Options::default() }
}

/// The document in capitals, as text.
fn loud(kind: &str, source: &str, options: &Options) -> String {
    let document = read(kind, source.as_bytes(), options);
    let loud = |part: &Part| match part {
        Part::Text(text) => Part::Text(text.to_uppercase()),
        other => other.clone(),
    };
    let translations: Vec<_> =
        document.segments().iter().map(|segment| Some(segment.parts.iter().map(loud).collect())).collect();
    String::from_utf8(document.write(&translations).unwrap()).unwrap()
}

/// The first segment, drawn.
fn first(kind: &str, source: &str) -> String {
    drawn(&read(kind, source.as_bytes(), &to_english()).segments()[0])
}

/// A unit of XLIFF 1.2 in its file.
fn xliff(unit: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<xliff version=\"1.2\">\n  <file source-language=\"de\" original=\"a\">\n    <body>\n      {unit}\n    \
         </body>\n  </file>\n</xliff>\n"
    )
}

const XLIFF_2: &str = r#"<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="de">
 <file id="f"><unit id="u1">
  <notes><note>Nicht übersetzen</note></notes>
  <originalData><data id="d1">&lt;b&gt;</data></originalData>
  <segment id="s1"><source>Ein <pc id="1" dataRefStart="d1">roter</pc> Hund.</source></segment>
  <ignorable><source> </source></ignorable>
  <segment id="s2" state="initial"><source>Noch <ph id="2" disp="{{zahl}}"/> Hunde.</source><target/></segment>
  <segment id="s3" state="final"><source>Fertig</source><target>Done</target></segment>
 </unit>
 <unit id="u2" translate="no"><segment><source>Bleibt</source></segment></unit></file>
</xliff>
"#;

#[test]
fn xliff_gets_a_target_behind_its_source() {
    let source =
        xliff("<trans-unit id=\"1\">\n        <source>Hallo</source>\n        <note>n</note>\n      </trans-unit>");
    let written = loud("xliff", &source, &to_english());
    let expected = source
        .replace(
            "<source>Hallo</source>",
            "<source>Hallo</source>\n        <target state=\"translated\">HALLO</target>",
        )
        .replace("original=\"a\"", "original=\"a\" target-language=\"en\"");
    assert_eq!(written, expected);
    let review = Options { mark_for_review: true, ..to_english() };
    let written = loud("xliff", &source, &review);
    assert!(
        written.contains("<target state=\"needs-review-translation\" state-qualifier=\"mt-suggestion\">HALLO</target>")
    );
}

#[test]
fn xliff_leaves_what_is_translated() {
    let done = xliff(
        "<trans-unit id=\"1\" approved=\"yes\"><source>Hallo</source><target state=\"final\">Hello</target></trans-unit>",
    );
    assert_eq!(loud("xliff", &done, &to_english()), done);
    assert!(read("xliff", done.as_bytes(), &to_english()).notes()[0].contains("stay as they are: 1"));
    let all = Options { all: true, ..to_english() };
    let written = loud("xliff", &done, &all);
    assert!(
        written.contains("approved=\"no\"><source>Hallo</source><target state=\"translated\">HALLO</target>"),
        "{written}"
    );
    for (unit, expected) in [
        ("<source>Hallo</source><target/>", "<target state=\"translated\">HALLO</target>"),
        ("<source>Hallo</source><target state='new'>Hallo</target>", "<target state='translated'>HALLO</target>"),
        (
            "<source>Hallo</source><target state=\"new\" state-qualifier=\"x\" />",
            "<target state=\"translated\">HALLO</target>",
        ),
    ] {
        let written = loud("xliff", &xliff(&format!("<trans-unit id=\"1\">{unit}</trans-unit>")), &to_english());
        assert!(written.contains(expected), "{written}");
    }
}

#[test]
fn xliff_keeps_inline_elements() {
    let unit = |source: &str| xliff(&format!("<trans-unit id=\"1\"><source>{source}</source></trans-unit>"));
    assert_eq!(
        first("xliff", &unit("Ein <g id=\"1\">roter</g> Hund<x id=\"2\"/> bellt.")),
        "Ein <0>roter</0> Hund<1/> bellt."
    );
    let native = "Ein <bpt id=\"1\">&lt;b></bpt>roter<ept id=\"1\">&lt;/b></ept> Hund<ph id=\"2\">%s</ph>!";
    assert_eq!(first("xliff", &unit(native)), "Ein <0>roter</0> Hund<1/{%s}>!");
    let written = loud("xliff", &unit(native), &to_english());
    assert!(written.contains(
        ">EIN <bpt id=\"1\">&lt;b></bpt>ROTER<ept id=\"1\">&lt;/b></ept> HUND<ph id=\"2\">%s</ph>!</target>"
    ));
    // What does not nest stands by itself.
    assert_eq!(first("xliff", &unit("a<bx id=\"1\"/>b<g id=\"2\">c<ex id=\"1\"/>d</g>e")), "a<0/>b<1>c<2/>d</1>e");
    let angular = "<x id=\"START_BOLD_TEXT\" equiv-text=\"&lt;b&gt;\"/>Hallo<x id=\"CLOSE_BOLD_TEXT\"/> \
        <x id=\"INTERPOLATION\" equiv-text=\"{{name}}\"/>!";
    assert_eq!(first("xliff", &unit(angular)), "<0>Hallo</0> <1/{{{name}}}>!");
    let segmented = xliff(
        "<trans-unit id=\"1\"><source>Eins. Zwei.</source><seg-source><mrk mtype=\"seg\" mid=\"1\">Eins.</mrk> \
         <mrk mtype=\"seg\" mid=\"2\">Zwei.</mrk></seg-source></trans-unit>",
    );
    assert_eq!(texts("xliff", segmented.as_bytes(), &to_english()), ["Eins.", "Zwei."]);
    assert!(loud("xliff", &segmented, &to_english()).contains(
        "</seg-source><target state=\"translated\"><mrk mtype=\"seg\" mid=\"1\">EINS.</mrk> <mrk mtype=\"seg\" mid=\"2\">ZWEI.</mrk></target>"
    ));
}

#[test]
fn xliff_2_is_translated_by_segments() {
    assert_eq!(texts("xliff", XLIFF_2.as_bytes(), &to_english()), ["Ein roter Hund.", "Noch {{zahl}} Hunde."]);
    let written = loud("xliff", XLIFF_2, &to_english());
    assert!(written.contains("srcLang=\"de\" trgLang=\"en\">"));
    assert!(written.contains(
        "<segment id=\"s1\" state=\"translated\"><source>Ein <pc id=\"1\" dataRefStart=\"d1\">roter</pc> Hund.</source>\
         <target>EIN <pc id=\"1\" dataRefStart=\"d1\">ROTER</pc> HUND.</target></segment>"
    ));
    assert!(
        written
            .contains("state=\"translated\"><source>Noch <ph id=\"2\" disp=\"{{zahl}}\"/> Hunde.</source><target>NOCH")
    );
    assert!(written.contains("<source>Fertig</source><target>Done</target>"));
}

#[test]
fn white_space_of_xliff_counts_where_it_says_so() {
    let unit = |space: &str| {
        let text = "  Zeile eins\n   und  zwei ";
        xliff(&format!("<trans-unit id=\"1\"{space}><source>{text}</source></trans-unit>"))
    };
    assert_eq!(first("xliff", &unit("")), "Zeile eins und zwei");
    assert_eq!(first("xliff", &unit(" xml:space=\"preserve\"")), "Zeile eins<0/ >und  zwei");
    let written = loud("xliff", &unit(" xml:space=\"preserve\""), &to_english());
    assert!(written.contains(">  ZEILE EINS\n   UND  ZWEI </target>"), "{written}");
}

#[test]
fn tmx_gets_variants() {
    let source = r#"<tmx version="1.4"><header srclang="de-DE" segtype="sentence"/><body>
  <tu tuid="a">
    <tuv xml:lang="de-DE">
      <seg>Guten <hi>Tag</hi>!</seg>
    </tuv>
  </tu>
  <tu><tuv xml:lang="de"><seg>Ja</seg></tuv><tuv xml:lang="en-US"><seg>Yes</seg></tuv></tu>
</body></tmx>"#;
    let written = loud("tmx", source, &to_english());
    let added = "    </tuv>\n    <tuv xml:lang=\"en\">\n      <seg>GUTEN <hi>TAG</hi>!</seg>\n    </tuv>\n  </tu>";
    assert_eq!(written, source.replace("    </tuv>\n  </tu>", added));
    let document = read("tmx", source.as_bytes(), &Options::default());
    assert!(document.segments().is_empty() && document.notes()[0].contains("--to"));
}

const QT: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1">
<context>
    <name>Fenster</name>
    <message>
        <location filename="a.cpp" line="1"/>
        <source>&amp;Datei</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>%n Datei(en) in %1</source>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>&lt;b&gt;Fehler:&lt;/b&gt; nicht&amp;nbsp;da.

Ende</source>
        <translation type="unfinished"/>
    </message>
    <message>
        <source>Fertig</source>
        <translation>Done</translation>
    </message>
    <message>
        <source>Alt</source>
        <translation type="vanished"></translation>
    </message>
</context>
</TS>
"#;

#[test]
fn qt_keeps_placeholders_and_accelerators() {
    assert_eq!(
        texts("qt", QT.as_bytes(), &to_english()),
        ["Datei", "%n Datei(en) in %1", "Fehler: nicht\u{a0}da.", "Ende"]
    );
    let written = loud("qt", QT, &to_english());
    for expected in [
        "<TS version=\"2.1\" language=\"en\">",
        "<translation>&amp;DATEI</translation>",
        "<translation>\n            <numerusform>%n DATEI(EN) IN %1</numerusform>\n            <numerusform>%n DATEI",
        "<translation>&lt;b&gt;FEHLER:&lt;/b&gt; NICHT&amp;nbsp;DA.\n\nENDE</translation>",
        "<translation>Done</translation>",
        "<translation type=\"vanished\"></translation>",
    ] {
        assert!(written.contains(expected), "{expected}: {written}");
    }
    let written = loud("qt", QT, &Options { mark_for_review: true, ..to_english() });
    assert!(written.contains("<translation type=\"unfinished\">&amp;DATEI</translation>"));
    let document = read("qt", QT.as_bytes(), &to_english());
    let mut translations = vec![None; 4];
    translations[0] = Some(vec![Part::Text("View & edit".to_owned())]);
    let written = String::from_utf8(document.write(&translations).unwrap()).unwrap();
    assert!(written.contains("View &amp; e&amp;dit"), "{written}");
}

const ANDROID: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<resources xmlns:xliff="urn:oasis:names:tc:xliff:document:1.2">
    <!-- Ein Kommentar -->
    <string name="app" translatable="false">MeinName</string>
    <string name="gruss">Hallo, %1$s!\nWie geht\'s?</string>
    <string name="fett">Ein <b>rotes</b> Haus &amp; <xliff:g id="n" example="3">%2$d</xliff:g> Bäume</string>
    <string name="html"><![CDATA[<p>Ein <a href="x">Verweis</a></p>]]></string>
    <string name="ref">@string/gruss</string>
    <string name="anf">"Das ist's"</string>
    <string-array name="tage"><item>Montag</item><item>Dienstag</item></string-array>
    <plurals name="zahl">
        <item quantity="one">%d Tag</item>
        <item quantity="other">%d Tage</item>
    </plurals>
    <color name="rot">#ff0000</color>
</resources>
"#;

#[test]
fn android_keeps_escapes_and_markup() {
    let document = read("android", ANDROID.as_bytes(), &to_english());
    let all: Vec<String> = document.segments().iter().map(drawn).collect();
    assert_eq!(
        all,
        [
            "Hallo, <0/{%1$s}>!",
            "Wie geht's?",
            "Ein <0>rotes</0> Haus & <1/{%2$d}> Bäume",
            "Ein <0>Verweis</0>",
            "Das ist's",
            "Montag",
            "Dienstag",
            "<0/{%d}> Tag",
            "<0/{%d}> Tage",
        ]
    );
    assert_eq!(document.segments()[7].name.as_deref(), Some("zahl[one]"));
    let written = loud("android", ANDROID, &to_english());
    for expected in [
        ">HALLO, %1$s!\\nWIE GEHT\\'S?</string>",
        "EIN <b>ROTES</b> HAUS &amp; <xliff:g id=\"n\" example=\"3\">%2$d</xliff:g> BÄUME<",
        "<![CDATA[<p>EIN <a href=\"x\">VERWEIS</a></p>]]>",
        ">MeinName<",
        ">@string/gruss<",
        "<item quantity=\"one\">%d TAG</item>",
    ] {
        assert!(written.contains(expected), "{expected}: {written}");
    }
}

#[test]
fn lines_of_a_message_are_segments_where_they_end() {
    let source =
        r"<resources><string name='a'>Was: \n \n eine lange\nZeile.#\nNoch eine &lt;on&gt;</string></resources>";
    let source = &source.replace('#', "\n    ");
    let document = read("android", source.as_bytes(), &to_english());
    let all: Vec<String> = document.segments().iter().map(drawn).collect();
    assert_eq!(all, ["Was:", "eine lange<0/ >Zeile.", "Noch eine <0/{<on>}>"]);
    let written = loud("android", source, &to_english());
    assert!(written.contains(r"\n \n EINE LANGE\nZEILE."), "{written}");
    assert!(written.contains(r"\nNOCH EINE &lt;on&gt;<"), "{written}");
    assert_eq!(texts("android", written.as_bytes(), &to_english()), ["WAS:", "EINE LANGE ZEILE.", "NOCH EINE <on>"]);
}

#[test]
fn documents_that_are_not_translated_come_back() {
    for (kind, source) in documents() {
        comes_back(kind, source.as_bytes());
        comes_back(kind, source.replace('\n', "\r\n").as_bytes());
        comes_back(kind, format!("\u{feff}{source}").as_bytes());
        let utf16: Vec<u8> = format!("\u{feff}{source}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        comes_back(kind, &utf16);
        in_capitals(kind, &utf16, &Options { all: true, ..Options::default() });
    }
}

fn documents() -> Vec<(&'static str, String)> {
    let deep = format!("{}tief{}", "<g id=\"1\">".repeat(10_000), "</g>".repeat(10_000));
    let unit = |source: &str| xliff(&format!("<trans-unit id=\"1\"><source>{source}</source></trans-unit>"));
    vec![
        ("xliff", XLIFF_2.to_owned()),
        ("xliff", unit("Hallo &amp; <g id='1'> du </g> da")),
        ("xliff", unit(&deep)),
        ("xliff", unit(&"sehr lange Zeile ".repeat(10_000))),
        ("xliff", unit("<x id=\"1\"/><g id=\"2\"/>")),
        ("xliff", unit("&unbekannt; Wort <!-- k --><![CDATA[ x < y ]]>")),
        ("xliff", String::new()),
        ("xliff", "<xliff/>".to_owned()),
        ("tmx", "<tmx><body><tu><tuv lang='de'><seg>Ja</seg></tuv></tu><tu/></body></tmx>".to_owned()),
        ("tmx", "<tmx/>".to_owned()),
        ("qt", QT.to_owned()),
        ("qt", "<TS><context><message><source>A</source></message></context></TS>".to_owned()),
        ("android", ANDROID.to_owned()),
        ("android", "<resources><string name='a'>\"  Leer  \" \\u00e4\\u12 \\</string></resources>".to_owned()),
        (
            "android",
            "<resources>\n<string name='a'>Ein\n  Wort <b/><i> da</i></string><string/></resources>".to_owned(),
        ),
    ]
}

#[test]
fn a_line_end_of_the_file_is_kept() {
    let source =
        xliff("<trans-unit id=\"1\">\n        <source>Hallo</source>\n      </trans-unit>").replace('\n', "\r\n");
    let written = loud("xliff", &source, &to_english());
    assert!(
        written.contains("</source>\r\n        <target") && !written.replace("\r\n", "").contains('\n'),
        "{written}"
    );
}

#[test]
fn files_of_another_kind_or_damaged_are_refused() {
    for (kind, source) in [
        ("xliff", "<tmx/>"),
        ("xliff", "kein XML"),
        ("android", "<resources><string></resources>"),
        ("qt", "<TS><message></TS>"),
        ("tmx", "\u{0}<tmx"),
    ] {
        let error = format(kind).unwrap().read(source.as_bytes(), &to_english()).err().expect(source).to_string();
        assert!(error.starts_with("line 1: ") && !error.contains('\n'), "{error}");
    }
    assert_eq!(translate::documents::format_of("a", b"<?xml version='1.0'?><!-- x -->\n<TS>").unwrap().name(), "qt");
}

#[test]
fn any_text_can_be_written() {
    for (kind, source) in documents() {
        let document = read(kind, source.as_bytes(), &to_english());
        for text in ["<&>]]>\"'\\\u{0}\u{1}\r@?%", "", "&", "äöü→😀"] {
            let translate = |segment: &translate::documents::Segment| {
                let parts = segment.parts.iter().map(|part| match part {
                    Part::Text(_) => Part::Text(text.to_owned()),
                    other => other.clone(),
                });
                Some(parts.collect())
            };
            let translations: Vec<_> = document.segments().iter().map(translate).collect();
            let written = document.write(&translations).unwrap();
            let again = format(kind).unwrap().read(&written, &Options { all: true, ..to_english() });
            assert!(again.is_ok(), "{kind}: {}", String::from_utf8_lossy(&written));
        }
    }
}

proptest! {
    #[test]
    fn mutated_catalogues_do_no_harm(which in 0..15_usize, cuts in prop::collection::vec((any::<prop::sample::Index>(), "[<>&;a/\"\\\\%{} =!\\[\\]-]{0,3}", 0..4_usize), 1..6)) {
        let (kind, mut source) = documents().swap_remove(which);
        source.truncate(3_000);
        for (at, inserted, removed) in cuts {
            let mut characters: Vec<char> = source.chars().collect();
            let at = if characters.is_empty() { 0 } else { at.index(characters.len()) };
            let end = (at + removed).min(characters.len());
            characters.splice(at..end, inserted.chars());
            source = characters.into_iter().collect();
        }
        if format(kind).unwrap().read(source.as_bytes(), &to_english()).is_ok() {
            comes_back(kind, source.as_bytes());
            // Marks may differ: an escaped letter behind a sign becomes a placeholder.
            read(kind, loud(kind, &source, &Options { all: true, ..to_english() }).as_bytes(), &to_english());
        }
    }
}
