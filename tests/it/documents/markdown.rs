//! Markdown: what is text, what comes back, and that translations never become markup.

use proptest::prelude::*;
use translate::documents::{Options, Part, Shown, format};

use super::{comes_back, drawn, in_capitals, read};

fn segments(page: &str) -> Vec<String> {
    read("markdown", page.as_bytes(), &Options::default()).segments().iter().map(drawn).collect()
}

#[track_caller]
fn has(page: &str, wanted: &[&str]) {
    assert_eq!(segments(page), wanted, "{page}");
    comes_back("markdown", page.as_bytes());
}

#[track_caller]
fn becomes(page: &str, wanted: &str) {
    comes_back("markdown", page.as_bytes());
    assert_eq!(String::from_utf8(in_capitals("markdown", page.as_bytes(), &Options::default())).unwrap(), wanted);
}

/// The page with parts made by hand for its first text.
fn with(page: &str, parts: Vec<Part>) -> String {
    let document = read("markdown", page.as_bytes(), &Options::default());
    let mut translations = vec![None; document.segments().len()];
    translations[0] = Some(parts);
    String::from_utf8(document.write(&translations).unwrap()).unwrap()
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

/// The page with a text for its first one.
fn says(page: &str, translation: &str) -> String {
    with(page, vec![text(translation)])
}

const PAGE: &str = "---
title: Bleibt
---

# Ein *rotes* Haus {#haus}

Ein Absatz mit **fetten Worten**, `code()` und [einem Verweis](http://a.b/c_d \"Titel\")
über zwei Zeilen.  
Nach dem Umbruch[^1]. ![Ein Bild](bild.png)

> Ein Zitat,
> umbrochen.
> - [ ] Aufgabe
> - [x] erledigt

1. Eins
2. Zwei Zeilen
   noch zwei

| Kopf | Zahl |
|------|-----:|
| Zelle \\| eins | 12 |

```rust
let bleibt = 1;
```

    auch das

<div class=\"x\">HTML <b>hier</b></div>

[^1]: Die Fußnote.

[ref]: http://x.y \"Bleibt\"

Siehe [ref], [Text][ref] und <http://x.y>.

Zwei
====
";

#[test]
fn a_page_is_taken_apart() {
    has(
        PAGE,
        &[
            "Ein <0>rotes</0> Haus",
            "Ein Absatz mit <0>fetten Worten</0>, <1/{code()}> und <2>einem Verweis</2> über zwei Zeilen.<3/ >Nach dem Umbruch<4/>.",
            "Ein Bild",
            "Ein Zitat, umbrochen.",
            "Aufgabe",
            "erledigt",
            "Eins",
            "Zwei Zeilen noch zwei",
            "Kopf",
            "Zahl",
            "Zelle | eins",
            "HTML <0>hier</0>",
            "Die Fußnote.",
            "Siehe <0>ref</0>, <1>Text</1> und <2/{http://x.y}>.",
            "Zwei",
        ],
    );
    let notes = read("markdown", PAGE.as_bytes(), &Options::default()).notes().to_vec();
    assert!(notes.len() == 1 && notes[0].contains("front matter"), "{notes:?}");
}

#[test]
fn only_texts_change() {
    let mut wanted = PAGE.to_owned();
    for text in [
        "Ein *rotes* Haus",
        "Ein Absatz mit **fetten Worten**",
        "und [einem Verweis]",
        "über zwei Zeilen",
        "Nach dem Umbruch",
        "![Ein Bild]",
        "Ein Zitat",
        "umbrochen",
        "Aufgabe",
        "erledigt",
        "Eins",
        "Zwei Zeilen\n   noch zwei",
        "Kopf",
        "Zahl",
        "Zelle",
        "eins |",
        "HTML <b>hier",
        "Die Fußnote",
        "[Text]",
        "und <http",
        "Zwei\n==",
    ] {
        let mut loud = text.to_uppercase().replace("<B>", "<b>").replace("<HTTP", "<http");
        if text == "Die Fußnote" {
            loud = "DIE FUSSNOTE".to_owned();
        }
        wanted = wanted.replacen(text, &loud, 1);
    }
    wanted = wanted.replace("Siehe [ref],", "SIEHE [REF][ref],");
    becomes(PAGE, &wanted);
}

#[test]
fn paragraphs_are_wrapped_at_their_own_width() {
    let page = "- Ein Absatz, der hier\n  umbrochen ist\n  und endet.\n\n> Ein Zitat, das lang\n> ist.\n";
    let document = read("markdown", page.as_bytes(), &Options::default());
    let long = "one two three four five six seven eight nine - ten 1. eleven";
    let written = document.write(&[Some(vec![text(long)]), Some(vec![text("# one two three four five")])]).unwrap();
    assert_eq!(
        String::from_utf8(written).unwrap(),
        "- one two three four\n  five six seven eight\n  nine - ten 1. eleven\n\n> \\# one two three\n> four five\n"
    );
    // A line of nothing but such signs would be a rule, or make a heading or a table of the line before.
    for signs in ["---", "===", "___", "* * *", "- | -"] {
        let written = says("> Wort\n> hier\n", &format!("{signs} A"));
        let again = read("markdown", written.as_bytes(), &Options::default());
        assert_eq!(drawn(&again.segments()[0]), format!("{signs} A"), "{written}");
    }
    // What was one line stays one.
    assert_eq!(says("Eine Zeile", long), long);
    let windows = "Ein Absatz, der hier\r\numbrochen ist.\r\n";
    assert_eq!(says(windows, "one two three four five"), "one two three four\r\nfive\r\n");
}

#[test]
fn translations_are_no_markup() {
    assert_eq!(
        says("Wort", "# 5 * 3 *a* _b_ c_d `e` [f](g) <h> &amp; \\* ~x~ i < j"),
        "\\# 5 * 3 \\*a\\* \\_b\\_ c_d \\`e\\` \\[f\\](g) \\<h> \\&amp; \\\\\\* \\~x\\~ i < j"
    );
    for (translation, wanted) in [
        ("1. a", "1\\. a"),
        ("- a", "\\- a"),
        ("> a", "\\> a"),
        ("+ a", "\\+ a"),
        ("---", "\\---"),
        ("12) a", "12\\) a"),
        ("1.5 a", "1.5 a"),
        ("::: a", "\\::: a"),
    ] {
        assert_eq!(says("Wort", translation), wanted);
    }
    assert_eq!(says("# Wort", "1. C #"), "# 1. C \\#");
    assert_eq!(says("| a | b |\n|---|---|\n", "x | y"), "| x \\| y | b |\n|---|---|\n");
    // Backslashes of the source go with their signs.
    assert_eq!(says("\\# Wort", "a"), "a");
    assert_eq!(says("Wort\n\\[hier\\] steht", "one two three four"), "one two three\nfour");
    // As the source writes it.
    assert_eq!(says("Siehe [1] und 5 $ oder 6 $", "See [1] and $5 or $6"), "See [1] and $5 or $6");
    assert_eq!(
        with("Ja [das](x)", vec![text("Yes!"), Part::Open(0), text("th]at"), Part::Close(0)]),
        "Yes\\![th\\]at](x)"
    );
    assert_eq!(says("![Bild](x)", "a [b] *c*"), "![a \\[b\\] \\*c\\*](x)");
}

#[test]
fn emphasis_stays_emphasis() {
    let parts = |before: &str, inner: &str, after: &str| {
        let all = [text(before), Part::Open(0), text(inner), Part::Close(0), text(after)];
        all.into_iter().filter(|part| *part != text("")).collect::<Vec<_>>()
    };
    assert_eq!(with("Ein _rotes_ Haus", parts("A ", "red", " house")), "A _red_ house");
    assert_eq!(with("Ein _rotes_ Haus", parts("A", "red", " house")), "A*red* house");
    assert_eq!(with("Ein __rotes__ Haus", parts("A ", "red", "house")), "A **red**house");
    assert_eq!(with("Ein *rotes* Haus", parts("A", "(red)", "house")), "A<em>(red)</em>house");
    assert_eq!(with("Ein **rotes** Haus", vec![text("A house"), Part::Open(0), Part::Close(0)]), "A house");
    let beside = vec![Part::Open(0), text("a"), Part::Close(0), Part::Open(1), text("b"), Part::Close(1)];
    assert_eq!(with("*x* und *y*", beside), "*a*<em>b</em>");
    has("***beides*** hier **_a_ b** ~~weg~~", &["<0><1>beides</1></0> hier <2><3>a</3> b</2> <4>weg</4>"]);
    has("Ein *Vec<u8> und* <b>mehr *und</b> noch*", &["Ein <0>Vec<1/> und</0> <2/>mehr <3>und<4/> noch</3>"]);
    becomes("***beides*** hier **_a_ b** ~~weg~~ _x **y**_", "***BEIDES*** HIER **_A_ B** ~~WEG~~ _X **Y**_");
}

#[test]
fn links_keep_their_addresses() {
    let page = "Siehe [Haus] und [Hof][] und ![Bild].\n\n[Haus]: a\n[hof]: b\n[bild]: c\n";
    let wanted = "SIEHE [HAUS][Haus] UND [HOF][Hof] UND ![BILD][Bild].\n\n[Haus]: a\n[hof]: b\n[bild]: c\n";
    becomes(page, wanted);
    becomes(
        "## [**Neu**]\n\n**[Alt][]**\n\n[**Neu**]: a\n[Alt]: b\n",
        "## [**NEU**][**Neu**]\n\n**[ALT][Alt]**\n\n[**Neu**]: a\n[Alt]: b\n",
    );
}

#[test]
fn code_stays_apart() {
    let parts =
        vec![text("x "), Part::Alone(0, Shown::Text("a".to_owned())), Part::Alone(1, Shown::Text("b".to_owned()))];
    assert_eq!(with("Wort `a`/`b`", parts), "x `a` `b`");
}

#[test]
fn what_programs_read_is_left_alone() {
    has(
        "{% raw %}\nText {{ name }} und {% if x %}mehr{% endif %}\n{% endraw %}\n",
        &["Text <0/{{{ name }}}> und <1/{{% if x %}}>mehr<2/{{% endif %}}>"],
    );
    has(":::tip Titel\n\nText hier\n\n:::\n", &["Text hier"]);
    has(":::tip\nText hier\n:::\n", &["Text hier"]);
    has("!!! note \"Titel\"\n    Text hier\n", &["Text hier"]);
    let document = read("markdown", b"!!! note\n\n    Text hier\n", &Options::default());
    assert!(document.segments().is_empty() && document.notes()[0].contains("`!!!`"), "{:?}", document.notes());
    has("{: .klasse}\nText\n", &["Text"]);
    has(
        "Formel $a_b$ und <kbd>Strg</kbd> und <!-- nichts --> mehr",
        &["Formel <0/{a_b}> und <1>Strg</1> und <2/>mehr"],
    );
    has("Ein {{ *a* }} _{{ b }} c_", &["Ein <0/{{{ *a* }}}> <1><2/{{{ b }}}> c</1>"]);
}

#[test]
fn any_beginning_comes_back() {
    for page in [
        "",
        "\n\n",
        "Text",
        "#",
        "# ",
        "*",
        "**",
        "[",
        "[]",
        "[](",
        "![",
        "![]()",
        "`",
        "```",
        "~~~\na",
        "|",
        "|a|\n|-|",
        "> ",
        ">",
        "- ",
        "1. ",
        "---",
        "---\na: b\n",
        "---\na: b\n---\n",
        "+++\na = 1\n+++\nText\n",
        "<div>",
        "<div>\n*a*\n\n*b*\n</div>",
        "> <div>\n> a\n> </div>\n",
        "a  \n",
        "a\\\n",
        "a\\",
        "&amp; &#x41; &foo;",
        "\u{feff}# Größe\r\n\r\nText\r\nhier\r\n",
        "a\rb\r\rc",
        "[^1]\n\n[^1]: a\n    b\n",
        "*a **b* c**",
        "<b>*a</b> b*",
        "a<br>b<br/>c",
        "{{",
        "{% a",
        "{{ a\n\nb }}",
        "[![a](b)](c)",
        "![a *b* c](d)",
        "![a\nb](c)",
        "[a\nb](c\n\"d\")",
        "\ta\n\tb",
        "* a\n\n  b\n* c",
        "a\n===\nb\n---",
        "# a #\n## b ##",
        "# a {#b .c d=e}\n",
        "Wort\n- [ ] \\\n    - ",
        "\\# a",
        "| a \\| b |\n|--|\n| `c|d` |",
    ] {
        comes_back("markdown", page.as_bytes());
        in_capitals("markdown", page.as_bytes(), &Options::default());
    }
    comes_back("markdown", b"Gr\xf6\xdfe *\x80*\r\n");
}

#[test]
fn what_an_encoding_lacks_is_an_entity() {
    let document = read("markdown", b"Gr\xf6\xdfe", &Options::default());
    assert_eq!(document.write(&[Some(vec![text("ö→")])]).unwrap(), b"\xf6&#8594;");
}

#[test]
fn a_page_is_recognised() {
    let markdown = format("markdown").unwrap();
    for page in ["# Titel\n\nText", "---\ntitle: x\n---\n", "Titel\n=====\n"] {
        assert!(markdown.recognises(page.as_bytes()), "{page}");
    }
    for other in ["Nur Text", "#!/bin/sh\n", "# a\n# b\n", "#: src/a.c:1\nmsgid", "1\n00:00:01,000 --> 00:00:02,000\n"]
    {
        assert!(!markdown.recognises(other.as_bytes()), "{other}");
    }
}

#[test]
fn large_and_deep_pages() {
    let many = 5_000;
    for page in [
        "> ".repeat(many) + "Wort",
        "- ".repeat(many) + "Wort",
        "*a ".repeat(many) + &"b*".repeat(many),
        "Wort *und* [mehr](x) `code` ".repeat(many),
        "Wort\nund\n".repeat(many),
        "Wort {{ a }} ![Bild](x)\n\n".repeat(many),
        "{{ a }}Wort".repeat(many),
        "| a | b |\n|---|---|\n".to_owned() + &"| Wort | *zwei* |\n".repeat(many),
        "<p>Wort</p>\n\n".repeat(many),
    ] {
        comes_back("markdown", page.as_bytes());
        let document = read("markdown", page.as_bytes(), &Options::default());
        let loud: Vec<_> = document.segments().iter().map(|_| Some(vec![text("x")])).collect();
        document.write(&loud).unwrap();
    }
}

/// Pages out of pieces of pages.
fn any_page() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "Wort",
        "und",
        "a",
        " ",
        "  ",
        "\n",
        "\n\n",
        "\n> ",
        "\n- ",
        "\n1. ",
        "\n# ",
        "\n## ",
        "*",
        "**",
        "_",
        "__",
        "~~",
        "`",
        "``",
        "[",
        "]",
        "](x)",
        "][a]",
        "![",
        "[a]: b",
        "<b>",
        "</b>",
        "<br>",
        "<div>",
        "</div>",
        "<!-- x -->",
        "&amp;",
        "\\",
        "\\*",
        "|",
        "\n|---|\n",
        "| a | b |\n|---|---|\n| ",
        "{{ x }}",
        "{% y %}",
        "$",
        "[^1]",
        "\n[^1]: ",
        "  \n",
        "\\\n",
        "\r\n",
        "\t",
        "\n    ",
        "\n```\n",
        ":::",
        "<http://a.b>",
        "---\n",
        "(",
        ")",
        ".",
        "!",
        "ü",
        "\u{a0}",
        "#",
        "+",
        "-",
        "=",
        "1.",
        "- [ ] ",
        "\n===\n",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_page_comes_back(page in any_page()) {
        comes_back("markdown", page.as_bytes());
        let document = read("markdown", page.as_bytes(), &Options::default());
        // The parts in another order do no harm either.
        let turned: Vec<_> = document.segments().iter().map(|segment| Some(turned(&segment.parts))).collect();
        let written = document.write(&turned).unwrap();
        read("markdown", &written, &Options::default());
    }

    /// Whatever a translation says, it is text when it is read again.
    #[test]
    fn translations_are_text(translation in "[ a-zA-Z0-9*_`~#>+=.()!<&;:|$\\\\\\[\\]{}%^\"'-]{1,30}", place in 0..5_usize) {
        let translation = translation.split_whitespace().collect::<Vec<_>>().join(" ");
        prop_assume!(translation.contains(|c: char| c.is_alphabetic()));
        let page = ["Wort hier", "# Wort hier", "> Wort\n> hier", "| Wort hier |\n|---|\n", "Wort\n===\n"][place];
        let written = says(page, &translation);
        let again: Vec<String> = read("markdown", written.as_bytes(), &Options::default()).segments().iter().map(drawn).collect();
        prop_assert_eq!(again, [translation], "{}", written);
    }
}

/// The parts with texts and whole elements in the opposite order.
fn turned(parts: &[Part]) -> Vec<Part> {
    let (mut groups, mut depth): (Vec<Vec<Part>>, usize) = (Vec::new(), 0);
    for part in parts {
        if depth == 0 {
            groups.push(Vec::new());
        }
        depth += usize::from(matches!(part, Part::Open(_)));
        depth -= usize::from(matches!(part, Part::Close(_)));
        groups.last_mut().unwrap().push(part.clone());
    }
    groups.into_iter().rev().flatten().collect()
}

#[test]
fn marks_that_stand_alone_move_along() {
    let parts = vec![text("See "), Part::Alone(0, Shown::Text("x()".to_owned())), text(" now")];
    assert_eq!(with("Jetzt `x()` sehen", parts), "See `x()` now");
}
