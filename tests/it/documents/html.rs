//! HTML: what is text, what comes back, what a translation may do to a page.

use proptest::prelude::*;
use translate::documents::{Options, Part, Shown, format};

use super::{comes_back, drawn, in_capitals, read, texts};

fn segments(page: &str) -> Vec<String> {
    read("html", page.as_bytes(), &Options::default()).segments().iter().map(drawn).collect()
}

#[track_caller]
fn has(page: &str, wanted: &[&str]) {
    assert_eq!(segments(page), wanted, "{page}");
    comes_back("html", page.as_bytes());
}

#[track_caller]
fn becomes(page: &str, wanted: &str) {
    comes_back("html", page.as_bytes());
    assert_eq!(String::from_utf8(in_capitals("html", page.as_bytes(), &Options::default())).unwrap(), wanted);
}

/// The page with parts made by hand for its only text.
fn with(page: &str, parts: Vec<Part>) -> String {
    let document = read("html", page.as_bytes(), &Options::default());
    assert_eq!(document.segments().len(), 1);
    String::from_utf8(document.write(&[Some(parts)]).unwrap()).unwrap()
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

const PAGE: &str = r#"<!DOCTYPE html>
<html lang="de">
<head>
  <meta charset="utf-8">
  <title>Ein &amp; alles</title>
  <meta name="description" content="Eine Seite über Hunde">
  <meta name=viewport content="width=device-width">
  <link rel="stylesheet" href="a.css" title="Haus">
  <style>p > a { color: red }</style>
  <script>if (a < b && c > d) document.write("<p>nicht</p>");</script>
</head>
<body class="x">
<h1 id=top>Der   <em>rote</em>
  Hund</h1>
<p>Ein Satz mit <a href="?a=1&b=2" title='Ein "Titel"'>einem Verweis</a> und <code>let x = 1;</code>.<br>
Zweite Zeile.<br /><br>Neuer Absatz &nbsp;
<!-- Kommentar --> hier.</p>
<ul><li>eins<li>zwei <b>fett</ul>
<table><tr><td>Zelle<td>12,5</table>
<pre>  bleibt   so </pre>
<img src=a.png alt=Hund><input type=submit value=Senden><input placeholder="Ihr Name" value="bleibt">
</body>
</html>
"#;

#[test]
fn a_page_is_taken_apart() {
    has(
        PAGE,
        &[
            "Ein & alles",
            "Eine Seite über Hunde",
            "Der <0>rote</0> Hund",
            "Ein Satz mit <0>einem Verweis</0> und <1/{let x = 1;}>.<2/ >Zweite Zeile.",
            "Ein \"Titel\"",
            "Neuer Absatz \u{a0} <0/>hier.",
            "eins",
            "zwei <0/>fett",
            "Zelle",
            "Hund",
            "Senden",
            "Ihr Name",
        ],
    );
}

#[test]
fn only_texts_change() {
    becomes(
        PAGE,
        &PAGE
            .replace("Ein &amp; alles", "EIN &amp; ALLES")
            .replace("Eine Seite über Hunde", "EINE SEITE ÜBER HUNDE")
            .replace("Der   <em>rote</em>\n  Hund", "DER <em>ROTE</em> HUND")
            .replace("Ein Satz mit", "EIN SATZ MIT")
            .replace("einem Verweis", "EINEM VERWEIS")
            .replace("> und <", "> UND <")
            .replace("'Ein \"Titel\"'", "'EIN \"TITEL\"'")
            .replace("Zweite Zeile", "ZWEITE ZEILE")
            .replace("Neuer Absatz &nbsp;\n<!-- Kommentar --> hier", "NEUER ABSATZ &nbsp; <!-- Kommentar --> HIER")
            .replace("<li>eins<li>zwei <b>fett", "<li>EINS<li>ZWEI <b>FETT")
            .replace("Zelle", "ZELLE")
            .replace("alt=Hund", "alt=HUND")
            .replace("Senden", "SENDEN")
            .replace("Ihr Name", "IHR NAME"),
    );
}

#[test]
fn fragments_and_broken_pages_come_back() {
    for page in [
        "",
        " \r\n ",
        "Nur Text",
        "<p>",
        "</p>",
        "<b>",
        "<",
        "<a href=",
        "a < b",
        "&",
        "&foo; &#0; &#xD800; &nbsp",
        "<p>Ende ohne",
        "<b>eins<i>zwei</b>drei</i>",
        "</b>eins</i>",
        "<p>eins<p>zwei</div>drei",
        "<table><tr>a<td>b",
        "<script>nie zu Ende",
        "<code>nie <p>zu Ende",
        "<!-- nie zu Ende <p>x",
        "<p title='a\nb' title=c alt>x</p>",
        "\u{feff}<p>Größe</p>",
        "<p>a\rb\r\nc</p>\r\n",
        "<svg><text>bleibt</text></svg>",
        "<p>&#32;&nbsp;a&#160;</p>",
        "<p>\u{a0}</p>",
        "<p \u{0}>\u{0}a</p>",
        "<textarea>a</textarea>b<xmp><p></xmp>",
        "<br><br><br>",
        "<b> </b>a<b> </b>",
        "<b><br>a</b> b<i><br></i>",
        "<p>x <img> y <img></p>",
        "<title>a<b>c</title>",
        "<plaintext>a<b>",
        "<div translate=no>a<p translate=yes>b</p>c</div>d",
        "<p translate=no>a<p>b",
        "<![CDATA[a]]>",
        "<?php echo '<p>'; ?>",
        "<a/b>c</a/>",
        "<?xml version='1.0'?><html><p>a<br/>b<i/>c<script/><![CDATA[d<e]]></p></html>",
        "<button>a</button><label>b<select><option>c",
    ] {
        comes_back("html", page.as_bytes());
    }
    comes_back("html", &b"<meta charset=iso-8859-1><p>Gr\xf6\xdfe \x80\x81</p>"[..]);
    comes_back("html", &"\u{feff}<p>Größe</p>".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
}

#[test]
fn what_people_do_not_read_is_left_alone() {
    has(
        "<script>a</script><style>b</style><svg><text>c</text></svg><math><mi>d</mi></math><textarea>e</textarea>",
        &[],
    );
    has("<pre>a</pre><p><code>b</code></p><td>12,50 €</td><iframe>c</iframe><!-- d -->", &[]);
    has(
        "<p class='a notranslate'>x</p><div translate=no title=nein>a<p translate=yes title=ja>b</p>c</div>d",
        &["ja", "b", "d"],
    );
    has(
        "<p>Die Firma <span translate=no>Müller <b>Söhne</b></span> liefert.</p>",
        &["Die Firma <0/{Müller Söhne}> liefert."],
    );
    has("<p>Drücken Sie <kbd>Strg</kbd> <ruby>漢<rt>kan</rt></ruby>!</p>", &["Drücken Sie <0/{Strg}> <1>漢<2/></1>!"]);
}

#[test]
fn references_to_notes_do_not_disturb() {
    has("<p>Weiß.<sup><a href='#1'>[1]</a></sup> Zehn m<sup>2</sup>.</p>", &["Weiß.<0/> Zehn m<1>2</1>."]);
}

#[test]
fn attributes_are_texts() {
    has(
        "<img alt='a &amp; b'><input type=submit value=c><input value=nein><p aria-label=d><track label=e><meta property=og:title content=f>\
         <meta name=robots content=nein><option label=g value=nein><th abbr=h><table summary=i><a href=nein title=''>",
        &["a & b", "c", "d", "e", "f", "g", "h", "i"],
    );
    becomes("<img alt=hund src=a>", "<img alt=HUND src=a>");
    let document = read("html", b"<img alt=hund src='a'><p title='x'>", &Options::default());
    let written =
        document.write(&[Some(vec![text("a dog's \"name\"")]), Some(vec![text("it's <b> & \"c\"")])]).unwrap();
    assert_eq!(
        String::from_utf8(written).unwrap(),
        "<img alt=\"a dog's &quot;name&quot;\" src='a'><p title='it&#39;s &lt;b&gt; &amp; \"c\"'>"
    );
}

#[test]
fn attributes_within_a_text_go_along_with_their_tag() {
    let page = "<p>Ein <img alt='Hund' src=a> bellt.</p>";
    let document = read("html", page.as_bytes(), &Options::default());
    let drawn: Vec<_> = document.segments().iter().map(drawn).collect();
    assert_eq!(drawn, ["Ein <0/>bellt.", "Hund"]);
    let sentence = vec![text("There "), Part::Alone(0, Shown::Nothing), text("barks one.")];
    let written = document.write(&[Some(sentence), Some(vec![text("dog")])]).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), "<p>There <img alt='dog' src=a> barks one.</p>");
    let written = document.write(&[None, Some(vec![text("dog")])]).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), page.replace("Hund", "dog"));
}

#[test]
fn marks_may_come_in_another_order() {
    let parts =
        vec![Part::Open(1), text("He"), Part::Close(1), text(" came "), Part::Open(0), text("<late>"), Part::Close(0)];
    assert_eq!(
        with("<p><b class=x>Spät</b> kam <i>er</i></p>", parts),
        "<p><i>He</i> came <b class=x>&lt;late&gt;</b></p>"
    );
}

#[test]
fn elements_that_overlap_or_never_end_do_not_get_worse() {
    has("<p><b>eins <i>zwei</b> drei</i> vier</p>", &["eins <0>zwei<1/> drei</0> vier"]);
    becomes("<p>a <b>eins <i>zwei</b> drei</i> vier</p>", "<p>A <b>EINS <i>ZWEI</b> DREI</i> VIER</p>");
    has("<a href=x><div>eins</div> zwei</a>", &["eins", "zwei"]);
    has("<p>eins <b>zwei<p>drei</b>", &["eins <0/>zwei", "drei"]);
}

#[test]
fn elements_around_the_whole_text_are_no_marks() {
    has("<p><b><i>eins</i></b></p><p> <a id=x></a> <img> zwei <b>drei</b> <br> </p>", &["eins", "zwei <0>drei</0>"]);
}

#[test]
fn entities_are_valid_on_the_way_out() {
    becomes("<p>a &lt; b &amp;&amp; c &nbsp;d &eacute; &copy;</p>", "<p>A &lt; B &amp;&amp; C &nbsp;D É ©</p>");
    becomes("<p>AT&T &nbsp;x</p>", "<p>AT&amp;T &nbsp;X</p>");
    // As the text has it: an entity, a number, the character.
    assert_eq!(with("<p>a&#160;b</p>", vec![text("x\u{a0}y")]), "<p>x&#160;y</p>");
    assert_eq!(with("<p>a\u{a0}b</p>", vec![text("x\u{a0}y")]), "<p>x\u{a0}y</p>");
    // What a space held together stays together.
    assert_eq!(with("<p>nach 10&nbsp;km links</p>", vec![text("left after 10 km")]), "<p>left after 10&nbsp;km</p>");
    assert_eq!(
        with("<?xml version='1.0'?><html><p>a</p></html>", vec![text("x\u{a0}y\u{1}")]),
        "<?xml version='1.0'?><html><p>x&#160;y</p></html>"
    );
}

#[test]
fn what_an_encoding_lacks_is_an_entity() {
    let page = b"<meta charset=windows-1252><p title='\xfc'>Gr\xf6\xdfe</p>";
    let document = read("html", page, &Options::default());
    let written = document.write(&[Some(vec![text("→ü")]), Some(vec![text("Ж€")])]).unwrap();
    assert_eq!(written, b"<meta charset=windows-1252><p title='&#8594;\xfc'>&#1046;\x80</p>");
    // Bytes that are none of the encoding are refused rather than lost.
    let error = format("html").unwrap().read(b"<meta charset=shift_jis><p>\x83\xff\x81</p>", &Options::default());
    assert!(error.err().unwrap().to_string().contains("Shift_JIS"));
}

#[test]
fn the_page_says_its_language() {
    let to = |language: &str| Options { target_language: Some(language.to_owned()), ..Options::default() };
    let loud =
        |page: &str, language: &str| String::from_utf8(in_capitals("html", page.as_bytes(), &to(language))).unwrap();
    assert_eq!(loud("<html lang=\"de\" xml:lang='de'><p>a", "en"), "<html lang=\"en\" xml:lang='en'><p>A");
    assert_eq!(loud("<html lang=de><p>a", "ar"), "<html lang=ar dir=\"rtl\"><p>A");
    assert_eq!(loud("<html lang='he' dir='rtl'><p>a", "en"), "<html lang='en' dir='ltr'><p>A");
    assert_eq!(loud("<html dir=ltr><p lang=de>a", "en"), "<html dir=ltr><p lang=de>A");
    assert_eq!(loud("<html dir=rtl><p>a", "en"), "<html dir=ltr><p>A");
    // A page that is not translated keeps its language.
    let document = read("html", b"<html lang=de><p>a", &to("en"));
    assert_eq!(document.write(&[None]).unwrap(), b"<html lang=de><p>a");
}

#[test]
fn a_page_is_recognised() {
    let html = format("html").unwrap();
    for page in
        ["<!DOCTYPE html><p>", " \n<html>", "<p class=x>a", "<?xml version='1.0'?><html xmlns='x'>", "<!-- x --><HTML>"]
    {
        assert!(html.recognises(page.as_bytes()), "{page}");
    }
    for other in ["Nur Text", "<?xml version='1.0'?><xliff>", "<TS>", "<pre", "# <p>"] {
        assert!(!html.recognises(other.as_bytes()), "{other}");
    }
}

#[test]
fn lines_are_counted() {
    let lines: Vec<usize> =
        read("html", PAGE.as_bytes(), &Options::default()).segments().iter().map(|segment| segment.line).collect();
    assert_eq!(lines, [5, 6, 13, 15, 15, 16, 18, 18, 19, 21, 21, 21]);
    assert_eq!(texts("html", b"a", &Options::default()), ["a"]);
}

#[test]
fn large_and_deep_pages() {
    let many = 10_000;
    for page in [
        format!("{}Wort{}", "<b>".repeat(many), "</b>".repeat(many)),
        format!("{}Wort{}", "<div>".repeat(many), "</div>".repeat(many)),
        "<b>Wort <i>und".repeat(many),
        "<b><i>Wort</b>".repeat(many),
        "<code>Wort ".repeat(many),
        "<span translate=no>Wort <p translate=yes>und</p>".repeat(many),
        "<div translate=no>Wort".repeat(many),
        format!("<p>{}</p>", "Wort und <img alt=Bild> <br> ".repeat(many)),
        "Wort ".repeat(many * 10),
        "<p>Wort &amp; <b>Wort</b></p>\n".repeat(many),
    ] {
        comes_back("html", page.as_bytes());
        in_capitals("html", page.as_bytes(), &Options::default());
    }
}

/// Pages out of pieces of pages.
fn any_page() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "Wort",
        "und",
        " ",
        "\n",
        "&amp;",
        "&nbsp;",
        "&",
        "<",
        ">",
        "\"",
        "'",
        "=",
        "/",
        "<b>",
        "</b>",
        "<i>",
        "</i>",
        "<p>",
        "</p>",
        "<br>",
        "<br/>",
        "<img alt=x>",
        "<img alt='Ein \"Bild\"'>",
        "<a href=x title=y>",
        "</a>",
        "<code>",
        "</code>",
        "<span translate=no>",
        "</span>",
        "<div translate=yes>",
        "</div>",
        "<div class=notranslate>",
        "<script>",
        "</script>",
        "<pre>",
        "</pre>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?xml",
        "?>",
        "<svg>",
        "</svg>",
        "<svg/>",
        "<title>",
        "</title>",
        "<textarea>",
        "</textarea>",
        "\u{a0}",
        "\u{2003}",
        "ü",
        "\r\n",
        "\0",
        "<html lang=de>",
        "<li>",
        "<td>",
        "&#32;",
        "<ruby>",
        "<rt>",
        "</rt>",
    ]);
    let random = "[<>/a-z&;=\"' !-]{0,6}".prop_map(|text: String| text);
    prop::collection::vec(prop_oneof![8 => piece.prop_map(str::to_owned), 1 => random], 0..40)
        .prop_map(|pieces| pieces.concat())
}

#[test]
fn a_space_after_a_line_break_may_be_an_entity_or_in_a_section() {
    for (page, wanted) in [
        ("<p>a<br>&#32;b</p>", "<p>A<br>B</p>"),
        ("<p>a<br> &#32;b</p>", "<p>A<br> B</p>"),
        ("<?xml version='1.0'?><p>a<br/><![CDATA[ b]]></p>", "<?xml version='1.0'?><p>A<br/>B</p>"),
    ] {
        assert_eq!(String::from_utf8(in_capitals("html", page.as_bytes(), &Options::default())).unwrap(), wanted);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_page_comes_back(page in any_page(), is_xml in any::<bool>()) {
        let page = if is_xml { format!("<?xml version='1.0'?>{page}") } else { page };
        comes_back("html", page.as_bytes());
        in_capitals("html", page.as_bytes(), &Options::default());
    }
}
