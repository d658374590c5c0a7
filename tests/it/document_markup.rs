//! Inline markup on the right words, with the built-in model's own alignment.

use crate::program::Program;

/// Sentences with markup, and for each element the texts it may go around.
fn sentences() -> Vec<(String, Vec<Vec<String>>)> {
    let element = |text: &str| {
        let (_, texts) = text.split_once(": ").expect("a name and texts");
        texts.split('|').map(|text| text.trim().to_lowercase()).collect()
    };
    let lines = include_str!("documents/data/inline.txt").lines();
    lines
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| line.split_once("|||").expect("a sentence and its elements"))
        .map(|(sentence, elements)| {
            (sentence.trim().to_owned(), elements.split(';').map(|e| element(e.trim())).collect())
        })
        .collect()
}

/// The text inside each element, in the order in which they begin.
fn inside(html: &str) -> Vec<String> {
    let (mut found, mut open): (Vec<String>, Vec<usize>) = Default::default();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        open.iter().for_each(|&element| found[element].push_str(&rest[..at]));
        let end = at + rest[at..].find('>').expect("a whole tag") + 1;
        match &rest[at..end] {
            tag if tag.starts_with("</") => drop(open.pop()),
            tag if tag.ends_with("/>") => {}
            _ => {
                open.push(found.len());
                found.push(String::new());
            }
        }
        rest = &rest[end..];
    }
    found
}

#[test]
fn markup_goes_to_the_words_that_its_words_became() {
    let sentences = sentences();
    let page: String = sentences.iter().map(|(sentence, _)| format!("<p>{sentence}</p>\n")).collect();
    let output = Program::new().args(["document", "--type", "html", "-q"]).run(page).quiet();
    let (mut right, mut all) = (0, 0);
    assert_eq!(output.lines().count(), sentences.len());
    for ((sentence, wanted), line) in sentences.iter().zip(output.lines()) {
        // The paragraph itself is the first element.
        let found = inside(line);
        assert_eq!(found.len(), wanted.len() + 1, "every element comes back: {line}");
        for (found, wanted) in found[1..].iter().zip(wanted) {
            all += 1;
            let found = found.trim().trim_end_matches(['.', ',', '!', '?']).to_lowercase();
            let is_right = wanted.iter().any(|wanted| wanted.trim_end_matches(['.', ',', '!', '?']) == found);
            right += usize::from(is_right);
            if !is_right {
                println!("{sentence}\n  {line}\n  wanted {wanted:?}");
            }
        }
    }
    println!("{right} of {all} elements are around the right words");
    assert!(sentences.len() >= 60 && right * 100 >= all * 85, "{right} of {all}");
}
