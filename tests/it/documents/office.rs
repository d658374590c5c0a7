//! DOCX, PPTX, XLSX, OpenDocument and EPUB: written by other libraries, and made by hand.

use std::io::{Cursor, Read, Write};

use proptest::prelude::*;
use translate::documents::{Options, Part, Segment, format, format_of};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::{comes_back, drawn, in_capitals, read};

const WORD: &[u8] = include_bytes!("data/word.docx");
const PRESENTATION: &[u8] = include_bytes!("data/presentation.pptx");
const SHEET: &[u8] = include_bytes!("data/sheet.xlsx");
const OPEN_TEXT: &[u8] = include_bytes!("data/text.odt");
const BOOK: &[u8] = include_bytes!("data/book.epub");
const OPEN_SHEET: &[u8] = include_bytes!("data/sheet.ods");

/// An archive of these entries.
fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        let method = if *name == "mimetype" { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn types(parts: &[(&str, &str)]) -> String {
    let part = |(name, kind): &(&str, &str)| {
        format!(
            "<Override PartName=\"/{name}\" ContentType=\"application/vnd.openxmlformats-officedocument.{kind}+xml\"/>"
        )
    };
    format!("<?xml version=\"1.0\"?><Types>{}</Types>", parts.iter().map(part).collect::<String>())
}

/// A Word document with this content.
fn word(body: &str) -> Vec<u8> {
    let document = format!("<?xml version=\"1.0\"?>\r\n<w:document xmlns:w=\"w\"><w:body>{body}</w:body></w:document>");
    let types = types(&[("word/document.xml", "wordprocessingml.document.main")]);
    archive(&[("[Content_Types].xml", &types), ("word/document.xml", &document), ("word/media/a.bin", "\u{1}\u{2}")])
}

/// A presentation with this slide.
fn slide(body: &str) -> Vec<u8> {
    let types = types(&[("ppt/slides/slide1.xml", "presentationml.slide")]);
    archive(&[
        ("[Content_Types].xml", &types),
        ("ppt/slides/slide1.xml", &format!("<p:sld xmlns:p=\"p\" xmlns:a=\"a\">{body}</p:sld>")),
    ])
}

/// An OpenDocument with this content.
fn open_document(content: &str) -> Vec<u8> {
    let content = format!(
        "<office:document-content xmlns:office=\"o\" xmlns:text=\"t\" xmlns:table=\"b\">{content}</office:document-content>"
    );
    archive(&[
        ("mimetype", "application/vnd.oasis.opendocument.text"),
        ("content.xml", &content),
        ("styles.xml", "<a/>"),
    ])
}

fn drawings(kind: &str, bytes: &[u8]) -> Vec<String> {
    read(kind, bytes, &Options::default()).segments().iter().map(drawn).collect()
}

/// An entry of an archive.
fn entry(bytes: &[u8], name: &str) -> String {
    let mut text = String::new();
    ZipArchive::new(Cursor::new(bytes)).unwrap().by_name(name).unwrap().read_to_string(&mut text).unwrap();
    text
}

/// The body of a Word document after all its texts were put in capitals.
fn loud(body: &str) -> String {
    entry(&in_capitals("docx", &word(body), &Options::default()), "word/document.xml")
}

#[test]
fn what_libraries_write_is_read() {
    assert_eq!(
        drawings("docx", WORD),
        [
            "Der Garten im Herbst",
            "Die <0>roten</0> Äpfel liegen im <1>Gras</1>.<2/ >Sie sind reif.",
            "Erster Punkt",
            "Baum",
            "Höhe",
            "Kopfzeile",
            "Fußzeile",
            "Stimmt das?",
        ]
    );
    assert_eq!(
        drawings("pptx", PRESENTATION),
        [
            "Unser Plan",
            "Zuerst messen wir",
            "Dann wird <0>alles</0> gebaut",
            "Monat",
            "Kosten",
            "Hier langsam sprechen."
        ]
    );
    let mut cells = drawings("xlsx", SHEET);
    cells.sort();
    assert_eq!(
        cells,
        [
            "Aus dem Keller",
            "Ein <0>schwerer</0> Stuhl",
            "Grüner Tisch",
            "Name",
            "Preis in Euro",
            "Zeile eins<0/ >Zeile zwei"
        ]
    );
    assert_eq!(
        drawings("odt", OPEN_TEXT),
        ["Der Winter", "Im <0>tiefen</0> Schnee<1/> liegt ein Schlitten.", "Eine Anmerkung."]
    );
    assert_eq!(drawings("odt", OPEN_SHEET), ["Guten Morgen"]);
    let mut book = drawings("epub", BOOK);
    book.sort();
    book.dedup();
    assert_eq!(book, ["Anfang", "Das kleine Buch", "Ende<0/ >gut", "Es war ein <0>kalter</0> Tag & niemand kam."]);
}

/// Documents of every kind.
fn documents() -> Vec<(&'static str, Vec<u8>)> {
    let nested = format!("{}tief{}", "<w:ins>".repeat(10_000), "</w:ins>".repeat(10_000));
    let boxes = "<w:p><w:r><w:t>a</w:t></w:r><w:r><w:pict>".repeat(1_000) + &"</w:pict></w:r></w:p>".repeat(1_000);
    let long = "<w:r><w:t>Wort </w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t>fett </w:t></w:r>".repeat(5_000);
    vec![
        ("docx", WORD.to_vec()),
        ("pptx", PRESENTATION.to_vec()),
        ("xlsx", SHEET.to_vec()),
        ("odt", OPEN_TEXT.to_vec()),
        ("odt", OPEN_SHEET.to_vec()),
        ("epub", BOOK.to_vec()),
        ("docx", word("")),
        ("docx", word("<w:p/><w:p><w:r/></w:p><w:p><w:r><w:t/></w:r></w:p><w:p><w:r><w:tab/></w:r></w:p>")),
        ("docx", word(&format!("<w:p>{}</w:p>", nested.replace("tief", "<w:r><w:t>tief</w:t></w:r>")))),
        ("docx", word(&boxes)),
        ("docx", word(&format!("<w:p>{long}</w:p>"))),
        ("docx", word(RICH)),
        ("docx", word(FIELDS)),
        ("pptx", slide(SLIDE)),
        ("odt", open_document(OPEN)),
        (
            "odt",
            open_document("<text:p>a<text:p>b</text:p></text:p><text:p> <text:span> b <text:s/></text:span> </text:p>"),
        ),
    ]
}

#[test]
fn documents_that_are_not_translated_come_back() {
    for (kind, bytes) in documents() {
        comes_back(kind, &bytes);
    }
}

#[test]
fn only_parts_with_texts_change() {
    // Left for tests/reference/office_opens.sh, which opens both in LibreOffice.
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("office");
    std::fs::create_dir_all(&directory).unwrap();
    for (name, (kind, before)) in ["a.docx", "b.pptx", "c.xlsx", "d.odt", "e.ods", "f.epub"].iter().zip(documents()) {
        let after = in_capitals(kind, &before, &Options::default());
        std::fs::write(directory.join(format!("before-{name}")), &before).unwrap();
        std::fs::write(directory.join(format!("after-{name}")), &after).unwrap();
        let (mut old, mut new) =
            (ZipArchive::new(Cursor::new(&before)).unwrap(), ZipArchive::new(Cursor::new(&after)).unwrap());
        assert_eq!(old.len(), new.len());
        let mut changed = 0;
        for index in 0..old.len() {
            let raw = |archive: &mut ZipArchive<Cursor<&Vec<u8>>>| {
                let mut entry = archive.by_index_raw(index).unwrap();
                let mut data = Vec::new();
                entry.read_to_end(&mut data).unwrap();
                (entry.name().unwrap().into_owned(), entry.compression(), entry.last_modified(), data)
            };
            let (old, new) = (raw(&mut old), raw(&mut new));
            assert_eq!((&old.0, old.1, old.2), (&new.0, new.1, new.2));
            changed += usize::from(old.3 != new.3);
        }
        assert!((1..=5).contains(&changed), "{name}: {changed}");
    }
}

const RICH: &str = concat!(
    "<w:p w:rsidR=\"1\"><w:pPr><w:jc/></w:pPr><w:bookmarkStart w:id=\"0\"/><w:r w:rsidR=\"2\"><w:t>Ein ro</w:t></w:r>",
    "<w:proofErr w:type=\"spellStart\"/><w:r><w:rPr><w:lang w:val=\"de\"/></w:rPr><w:t xml:space=\"preserve\">ter </w:t></w:r>",
    "<w:hyperlink r:id=\"r1\"><w:r><w:rPr><w:u/></w:rPr><w:t>Hund</w:t></w:r></w:hyperlink>",
    "<w:ins w:id=\"1\"><w:r><w:t xml:space=\"preserve\"> bellt</w:t></w:r></w:ins>",
    "<w:del w:id=\"2\"><w:r><w:delText> schweigt</w:delText></w:r></w:del>",
    "<w:r><w:t>.</w:t><w:footnoteReference w:id=\"3\"/></w:r><w:r><w:rPr><w:vanish/></w:rPr><w:t>geheim</w:t></w:r>",
    "<w:bookmarkEnd w:id=\"0\"/></w:p>",
    "<w:p><w:r><w:t>Vor </w:t></w:r><w:r><w:drawing><w:txbxContent><w:p><w:r><w:t>Im Kasten</w:t></w:r></w:p></w:txbxContent>",
    "</w:drawing></w:r><w:r><w:t xml:space=\"preserve\">und nach</w:t></w:r></w:p>",
    "<w:p><w:sdt><w:sdtPr><w:id/></w:sdtPr><w:sdtContent><w:r><w:t>Titel</w:t></w:r></w:sdtContent></w:sdt>",
    "<w:r><w:t xml:space=\"preserve\"> hier</w:t></w:r></w:p>",
);

#[test]
fn formatting_links_and_changes_of_word() {
    let texts = drawings("docx", &word(RICH));
    assert_eq!(texts[0], "Ein roter <0><1>Hund</1></0><2> bellt</2><3/>.");
    assert_eq!(texts[1..], ["Vor <0/>und nach", "Im Kasten", "<0>Titel</0> hier"]);
    let written = loud(RICH);
    for expected in [
        "<w:pPr><w:jc/></w:pPr><w:bookmarkStart w:id=\"0\"/><w:r><w:t xml:space=\"preserve\">EIN ROTER </w:t></w:r>",
        "<w:hyperlink r:id=\"r1\"><w:r><w:rPr><w:u/></w:rPr><w:t>HUND</w:t></w:r></w:hyperlink>",
        "<w:ins w:id=\"1\"><w:r><w:t xml:space=\"preserve\"> BELLT</w:t></w:r></w:ins>",
        "<w:del w:id=\"2\"><w:r><w:delText> schweigt</w:delText></w:r></w:del><w:r><w:t>.</w:t></w:r>",
        "<w:r><w:footnoteReference w:id=\"3\"/></w:r><w:r><w:rPr><w:vanish/></w:rPr><w:t>geheim</w:t></w:r>",
        "<w:drawing><w:txbxContent><w:p><w:r><w:t>IM KASTEN</w:t></w:r></w:p></w:txbxContent></w:drawing>",
        "<w:sdt><w:sdtPr><w:id/></w:sdtPr><w:sdtContent><w:r><w:t>TITEL</w:t></w:r></w:sdtContent></w:sdt>",
    ] {
        assert!(written.contains(expected), "{expected}\n{written}");
    }
}

const FIELDS: &str = concat!(
    "<w:p><w:r><w:t xml:space=\"preserve\">Siehe </w:t></w:r><w:r><w:fldChar w:fldCharType=\"begin\"/></w:r>",
    "<w:r><w:instrText> HYPERLINK \"x\" </w:instrText></w:r><w:r><w:fldChar w:fldCharType=\"separate\"/></w:r>",
    "<w:r><w:t>diese Seite</w:t></w:r><w:r><w:fldChar w:fldCharType=\"end\"/></w:r><w:r><w:t xml:space=\"preserve\"> auf </w:t></w:r>",
    "<w:r><w:fldChar w:fldCharType=\"begin\"/></w:r><w:r><w:instrText> PAGE </w:instrText></w:r>",
    "<w:r><w:fldChar w:fldCharType=\"separate\"/></w:r><w:r><w:t>3</w:t></w:r><w:r><w:fldChar w:fldCharType=\"end\"/></w:r>",
    "<w:r><w:t>!</w:t></w:r></w:p>",
    "<w:p><w:r><w:fldChar w:fldCharType=\"begin\"/><w:instrText>TOC</w:instrText></w:r><w:r><w:fldChar w:fldCharType=\"separate\"/></w:r>",
    "<w:hyperlink><w:r><w:t>Kapitel</w:t></w:r><w:r><w:tab/></w:r><w:r><w:fldChar w:fldCharType=\"begin\"/></w:r>",
    "<w:r><w:instrText>PAGEREF a</w:instrText></w:r><w:r><w:fldChar w:fldCharType=\"separate\"/></w:r><w:r><w:t>7</w:t></w:r>",
    "<w:r><w:fldChar w:fldCharType=\"end\"/></w:r></w:hyperlink></w:p><w:p><w:r><w:fldChar w:fldCharType=\"end\"/></w:r></w:p>",
);

#[test]
fn a_link_is_marked_and_not_what_is_around_it() {
    let link = "<w:hyperlink><w:r><w:rPr><w:u/></w:rPr><w:t>eine sehr lange Adresse</w:t></w:r></w:hyperlink>";
    let body = format!(
        "<w:p><w:bookmarkStart w:id=\"1\"/><w:bookmarkEnd w:id=\"1\"/><w:r><w:t>Da: </w:t></w:r>{link}<w:r><w:t>.</w:t></w:r></w:p>"
    );
    assert_eq!(drawings("docx", &word(&body)), ["Da: <0><1>eine sehr lange Adresse</1></0>."]);
}

#[test]
fn fields_of_word_keep_their_instructions() {
    assert_eq!(drawings("docx", &word(FIELDS)), ["Siehe <0>diese Seite</0> auf <1/{3}>!", "Kapitel"]);
    let written = loud(FIELDS);
    for expected in [
        "<w:fldChar w:fldCharType=\"separate\"/></w:r><w:r><w:t>DIESE SEITE</w:t></w:r><w:r><w:fldChar w:fldCharType=\"end\"/></w:r>",
        "<w:instrText> PAGE </w:instrText>",
        "<w:r><w:t>3</w:t></w:r><w:r><w:fldChar w:fldCharType=\"end\"/></w:r><w:r><w:t>!</w:t></w:r></w:p>",
        "<w:hyperlink><w:r><w:t>KAPITEL</w:t></w:r><w:r><w:tab/></w:r>",
    ] {
        assert!(written.contains(expected), "{expected}\n{written}");
    }
    assert_eq!(written.matches("instrText").count(), FIELDS.matches("instrText").count());
}

const SLIDE: &str = concat!(
    "<a:p><a:pPr/><a:r><a:rPr lang=\"de\" dirty=\"0\"/><a:t>Zeile</a:t></a:r><a:br/><a:r><a:rPr lang=\"en\"/><a:t>zwei </a:t></a:r>",
    "<a:r><a:rPr b=\"1\"/><a:t>fett</a:t></a:r><a:fld type=\"slidenum\"><a:t>4</a:t></a:fld><a:endParaRPr/></a:p>",
);

#[test]
fn slides_keep_breaks_and_numbers() {
    assert_eq!(drawings("pptx", &slide(SLIDE)), ["Zeile<0/ >zwei <1>fett</1><2/{4}>"]);
    let written = entry(&in_capitals("pptx", &slide(SLIDE), &Options::default()), "ppt/slides/slide1.xml");
    let expected = "<a:p><a:pPr/><a:r><a:rPr lang=\"de\" dirty=\"0\"/><a:t>ZEILE</a:t></a:r><a:br/><a:r><a:rPr lang=\"de\" dirty=\"0\"/>\
        <a:t>ZWEI </a:t></a:r><a:r><a:rPr b=\"1\"/><a:t>FETT</a:t></a:r><a:fld type=\"slidenum\"><a:t>4</a:t></a:fld><a:endParaRPr/></a:p>";
    assert!(written.contains(expected), "{written}");
}

const OPEN: &str = concat!(
    "<office:automatic-styles><style:style style:name=\"T1\" style:family=\"text\"><style:text-properties officeooo:rsid=\"1\"/></style:style>",
    "<style:style style:name=\"T2\" style:family=\"text\"><style:text-properties fo:font-weight=\"bold\"/></style:style>",
    "<style:style style:name=\"T3\" style:family=\"text\"><style:text-properties fo:font-weight=\"bold\" officeooo:rsid=\"2\"/></style:style>",
    "</office:automatic-styles><text:tracked-changes><text:p>Gelöscht</text:p></text:tracked-changes>",
    "<text:p>Ein <text:span text:style-name=\"T1\">ro</text:span><text:span text:style-name=\"T2\">ter</text:span>",
    "<text:span text:style-name=\"T3\"> Hund</text:span>\n <text:s text:c=\"2\"/>bellt<text:note><text:note-body><text:p>Laut.</text:p>",
    "</text:note-body></text:note> auf <text:page-number>3</text:page-number>.</text:p>",
    "<table:table-cell office:value-type=\"float\"><text:p>eins</text:p></table:table-cell>",
    "<table:table-cell table:formula=\"f\"><text:p>zwei</text:p></table:table-cell>",
    "<table:table-cell><text:p>drei</text:p></table:table-cell>",
);

#[test]
fn spans_of_open_document() {
    let texts = drawings("odt", &open_document(OPEN));
    assert_eq!(texts, ["Ein ro<0>ter Hund</0> <1/ >bellt<2/> auf <3/{3}>.", "Laut.", "drei"]);
    let written = entry(&in_capitals("odt", &open_document(OPEN), &Options::default()), "content.xml");
    assert!(written.contains(
        "<text:p>EIN RO<text:span text:style-name=\"T2\">TER HUND</text:span> <text:s text:c=\"2\"/>BELLT<text:note><text:note-body>\
         <text:p>LAUT.</text:p></text:note-body></text:note> AUF <text:page-number>3</text:page-number>.</text:p>"
    ));
    assert!(written.contains("Gelöscht") && written.contains(">eins<") && written.contains(">zwei<"));
}

#[test]
fn spans_that_look_the_same_are_one_at_every_depth() {
    let span = |style: &str, content: &str| format!("<text:span text:style-name=\"{style}\">{content}</text:span>");
    let text =
        format!("{}{}{} d", span("A", &span("B", "a ")), span("A", &span("B", "b ")), span("A", &span("C", "c")));
    assert_eq!(drawings("odt", &open_document(&format!("<text:p>{text}</text:p>"))), ["<0><1>a b </1><2>c</2></0> d"]);
}

#[test]
fn names_of_columns_stay() {
    let types = types(&[
        ("xl/sharedStrings.xml", "spreadsheetml.sharedStrings"),
        ("xl/tables/table1.xml", "spreadsheetml.table"),
    ]);
    let bytes = archive(&[
        ("[Content_Types].xml", &types),
        ("xl/sharedStrings.xml", "<sst><si><t>Preis</t></si><si><t>Tisch</t></si></sst>"),
        ("xl/tables/table1.xml", "<table><tableColumns><tableColumn id=\"1\" name=\"Preis\"/></tableColumns></table>"),
    ]);
    assert_eq!(drawings("xlsx", &bytes), ["Tisch"]);
    let document = read("xlsx", &bytes, &Options::default());
    assert!(
        document.notes().iter().any(|note| note.starts_with("headings of tables") && note.ends_with(": 1")),
        "{:?}",
        document.notes()
    );
    let written = entry(&in_capitals("xlsx", &bytes, &Options::default()), "xl/sharedStrings.xml");
    assert_eq!(written, "<sst><si><t>Preis</t></si><si><t>TISCH</t></si></sst>");
}

#[test]
fn a_book_is_in_its_new_language() {
    let english = Options { target_language: Some("en".to_owned()), ..Options::default() };
    let written = in_capitals("epub", BOOK, &english);
    assert!(entry(&written, "EPUB/content.opf").contains("<dc:language>en</dc:language>"));
    assert!(entry(&written, "EPUB/toc.ncx").contains("<text>ANFANG</text>"));
    let chapter = entry(&written, "EPUB/anfang.xhtml");
    assert!(chapter.contains("<p>ES WAR EIN <em>KALTER</em> TAG &amp; NIEMAND KAM.</p>"), "{chapter}");
    assert!(chapter.contains("<br/>") && chapter.contains("xml:lang=\"en\""), "{chapter}");
    let types = "<e><CipherReference URI=\"EPUB/anfang.xhtml\"/></e>";
    let locked = archive(&[
        ("META-INF/container.xml", "<c><rootfile full-path=\"EPUB/a.opf\"/></c>"),
        ("EPUB/a.opf", "<p><item href=\"anfang.xhtml\" media-type=\"application/xhtml+xml\"/></p>"),
        ("META-INF/encryption.xml", types),
    ]);
    let error = format("epub").unwrap().read(&locked, &english).err().unwrap().to_string();
    assert!(error.contains("EPUB/anfang.xhtml is encrypted"), "{error}");
}

#[test]
fn a_segment_is_named_by_its_part() {
    let document = read("docx", WORD, &Options::default());
    assert_eq!(document.segments()[0].name.as_deref(), Some("word/document.xml"));
    assert_eq!(format_of("a", WORD).unwrap().name(), "docx");
    assert_eq!(format_of("a", OPEN_SHEET).unwrap().name(), "odt");
    assert_eq!(format_of("Bericht.DOCX", b"").unwrap().name(), "docx");
}

#[test]
fn what_is_no_document_is_told_in_one_sentence() {
    let encrypted = archive(&[("content.xml", "<a/>"), ("META-INF/manifest.xml", "<m:encryption-data/>")]);
    let broken = archive(&[
        ("[Content_Types].xml", &types(&[("word/document.xml", "wordprocessingml.document.main")])),
        ("word/document.xml", "<w:p>"),
    ]);
    for (kind, bytes, expected) in [
        ("docx", b"" as &[u8], "no zip archive"),
        ("docx", b"PK\x03\x04", "its end is missing"),
        ("docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "password"),
        ("docx", SHEET, "another program"),
        ("docx", &archive(&[("a", "")]), "[Content_Types].xml"),
        ("docx", &broken, "word/document.xml: line 1: this is not well-formed XML"),
        ("odt", &encrypted, "password"),
        ("odt", WORD, "content.xml"),
    ] {
        let error = format(kind).unwrap().read(bytes, &Options::default()).err().expect(expected).to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn any_text_can_be_written() {
    for (kind, bytes) in documents() {
        let document = read(kind, &bytes, &Options::default());
        for text in ["<&>]]>\"'\u{0}\u{1}\r", "", " ", "äöü→😀"] {
            let part = |part: &Part| match part {
                Part::Text(_) => Part::Text(text.to_owned()),
                other => other.clone(),
            };
            let translate = |segment: &Segment| Some(segment.parts.iter().map(part).collect());
            let translations: Vec<_> = document.segments().iter().map(translate).collect();
            let written = document.write(&translations).unwrap();
            assert!(format(kind).unwrap().read(&written, &Options::default()).is_ok(), "{kind}");
        }
    }
}

proptest! {
    #[test]
    fn mutated_paragraphs_do_no_harm(which in 0..4_usize, order in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>()), 0..6)) {
        let source = [RICH, FIELDS, SLIDE, OPEN][which];
        let mut pieces: Vec<&str> = source.split_inclusive('>').collect();
        for (from, to, is_moved) in order {
            let piece = pieces[from.index(pieces.len())];
            if is_moved {
                pieces.remove(from.index(pieces.len()));
            }
            let at = to.index(pieces.len() + 1);
            pieces.insert(at, piece);
        }
        let body = pieces.concat();
        let (kind, bytes) = match which {
            0 | 1 => ("docx", word(&body)),
            2 => ("pptx", slide(&body)),
            _ => ("odt", open_document(&body)),
        };
        if format(kind).unwrap().read(&bytes, &Options::default()).is_ok() {
            comes_back(kind, &bytes);
            in_capitals(kind, &bytes, &Options::default());
        }
    }
}
