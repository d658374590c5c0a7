//! Spans that come back as they were: what a translation has to carry over character by character.
//!
//! ```text
//! text ─► spans ─► a variant for the model: marks cut out, words and numbers as they are
//!                    │ translated; is every word and number there as often as in the source?
//!                    ├─ yes: nothing of it is touched
//!                    └─ no: those that are not get a stand-in, another one, or are cut out, and it is translated again
//!                  marks and what was cut out are put back beside the words they stood with, by the attention;
//!                  stand-ins become what they stood for
//! ```
//!
//! A line without spans costs a search for patterns and is translated as ever. Nothing depends on other lines.

mod numbers;
mod patterns;
mod plan;
mod spans;
mod variant;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use regex::Regex;
use unicode_normalization_alignments::UnicodeNormalization;

use self::plan::{Judged, Plan};
use self::spans::Wanted;
pub use self::spans::{Role, Span};
use crate::text::Vocabulary;
use crate::translator::{CandidateTranslation, Request, Translation, Translator};
use crate::{Error, Result};

/// What is protected.
#[derive(Debug, Default)]
pub struct Protection {
    wanted: Wanted,
    /// Characters outside ASCII, and whether the vocabulary has them.
    known: RwLock<HashMap<char, bool>>,
}

/// A translation in which spans are protected.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Protected {
    /// The translation. Its text is whole; its pieces, scores and attention are those of what the model was given.
    pub translation: Translation,
    /// The spans that were to come back.
    pub spans: Vec<String>,
    /// Those of them that did not.
    pub lost: Vec<String>,
    /// Where text and translation differ from what the model was given and gave: bytes of the text, and of the translation, that
    /// belong together. Only where cross-attention is recorded.
    pub links: Option<Vec<(usize, usize)>>,
}

/// Takes the translation of a request by its number, and says what is translated because of it.
pub type Finish<'f> = dyn FnMut(usize, Translation) -> Result<Vec<Request>> + 'f;

/// The same with what is protected in it.
pub type FinishProtected<'f> = dyn FnMut(usize, Protected) -> Result<Vec<Request>> + 'f;

/// Ways to translate one text that are tried at once: none but the text itself where nothing of it is protected.
struct Tries {
    /// The number of the text, and what was asked for.
    number: usize,
    request: Request,
    plans: Vec<Plan>,
    translations: Vec<Option<Translation>>,
}

/// Texts on their way.
struct Sending<'p> {
    protection: &'p Protection,
    translator: &'p Translator,
    /// For each request that was sent, which of the tries it is, and which try of them.
    sent: Vec<(usize, usize)>,
    /// Those that are not done.
    tries: Vec<Option<Box<Tries>>>,
    /// Texts so far, and those whose translation is not there.
    count: usize,
    open: usize,
}

impl Sending<'_> {
    /// Begins with further texts.
    fn begin(&mut self, requests: Vec<Request>) -> Vec<Request> {
        let mut batch = Vec::with_capacity(requests.len());
        for request in requests {
            let plan = self.protection.plan(self.translator, &request);
            batch.extend(self.send(self.count, request, plan.into_iter().collect()));
            self.count += 1;
            self.open += 1;
        }
        batch
    }

    fn send(&mut self, number: usize, request: Request, plans: Vec<Plan>) -> Vec<Request> {
        let planned = |own: &Plan| Request {
            text: own.variant(self.translator),
            unrecorded: !own.needs_attention(),
            ..request.clone()
        };
        let batch: Vec<Request> = match plans.is_empty() {
            true => vec![Request { unrecorded: true, ..request.clone() }],
            false => plans.iter().map(planned).collect(),
        };
        self.sent.extend((0..batch.len()).map(|own| (self.tries.len(), own)));
        self.tries.push(Some(Box::new(Tries { number, request, plans, translations: vec![None; batch.len()] })));
        batch
    }
}

impl Protection {
    /// Reads what to protect; each value adds to those before it, and nothing is left of an empty list.
    ///
    /// `default` is everything this room knows, numbers included; `numbers` numbers alone; `none` takes back what was said
    /// before; the name of a file stands for its lines, each a regular expression or a term that has to match whole words; any
    /// other value is a regular expression.
    ///
    /// # Errors
    /// [`Error::Usage`] if a regular expression is none, or finds empty text; [`Error::Io`] if the file cannot be read.
    pub fn parse<S: AsRef<str>>(values: &[S]) -> Result<Option<Self>> {
        let mut wanted = Wanted::default();
        for value in values.iter().map(AsRef::as_ref) {
            match value {
                "default" => (wanted.common, wanted.numbers) = (true, true),
                "numbers" => wanted.numbers = true,
                "none" => wanted = Wanted::default(),
                _ if Path::new(value).is_file() => wanted.own.extend(read_patterns(value)?),
                _ => wanted.own.push((pattern(value, &format!("--protect {value}"))?, false)),
            }
        }
        let is_empty = !wanted.common && !wanted.numbers && wanted.own.is_empty();
        Ok((!is_empty).then(|| Self { wanted, ..Self::default() }))
    }

    /// The spans of a text, in order and without overlap.
    pub fn spans(&self, text: &str, vocabulary: &dyn Vocabulary) -> Vec<Span> {
        self.wanted.spans(text, |character| self.knows(character, vocabulary))
    }

    /// Whether the vocabulary has a character, be it under another form.
    fn knows(&self, character: char, vocabulary: &dyn Vocabulary) -> bool {
        if let Some(&known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&character) {
            return known;
        }
        // One of bytes alone spells everything.
        const LETTERS: usize = 1000;
        let unknown = vocabulary.specials().unknown;
        let is_byte = |piece: &str| piece.len() == 6 && piece.starts_with("<0x") && piece.ends_with('>');
        let is_missing = |id: u32, piece: &str| Some(id) == unknown || is_byte(piece);
        let has = |character: char| {
            let pieces = vocabulary.segment(character.encode_utf8(&mut [0; 4]));
            !pieces.iter().any(|piece| is_missing(piece.id, &piece.text))
        };
        // A vocabulary may have `ö` and not `Ö`, or `e` and not `é`: words with them are words all the same, whose spelling in
        // bytes a model has learned.
        let is_western = ('À'..='ÿ').contains(&character) && character.is_alphabetic();
        let plain = || std::iter::once(character).nfd().next().map_or(character, |(plain, _)| plain);
        let known = vocabulary.size() < LETTERS || has(character) || is_western && has(plain());
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(character, known);
        known
    }

    /// Translates requests: each result goes to `done` when it is there, with the number of its request, and the requests that
    /// `done` returns are translated, too, numbered on from those so far. `translate` does the same with any number of requests:
    /// what it is told to go on with are further texts and those whose spans were not all in their translations. Requests
    /// whose translation has to begin with something
    /// are translated as they are. Up to `together` requests take about the time of one, so that several ways to go on are tried at
    /// once where few texts are left. Nothing but what is put back by attention is to have it recorded
    /// ([`Request::unrecorded`]).
    ///
    /// # Errors
    /// Those of `translate` and `done`.
    pub fn translate(
        &self,
        translator: &Translator,
        requests: Vec<Request>,
        together: usize,
        translate: impl FnOnce(Vec<Request>, &mut Finish<'_>) -> Result<()>,
        done: &mut FinishProtected<'_>,
    ) -> Result<()> {
        let mut sending =
            Sending { protection: self, translator, sent: Vec::new(), tries: Vec::new(), count: 0, open: 0 };
        let first = sending.begin(requests);
        translate(first, &mut |sent, translation| {
            let (tries, own) = sending.sent[sent];
            let is_done = |tries: &mut Box<Tries>| {
                tries.translations[own] = Some(translation);
                tries.translations.iter().all(Option::is_some)
            };
            let Some(tries) = sending.tries[tries].take_if(is_done) else { return Ok(Vec::new()) };
            let Tries { number, request, plans, translations } = *tries;
            let mut translations = translations.into_iter().flatten();
            let protected = if plans.is_empty() {
                translations.next().unwrap_or_default().into()
            } else {
                match Plan::judge(plans, translator, translations)? {
                    Judged::Done(done) => done,
                    Judged::Again(plan) => {
                        let count = (together / sending.open.max(1)).max(1);
                        return Ok(sending.send(number, request, plan.ahead(count)));
                    }
                }
            };
            sending.open -= 1;
            Ok(sending.begin(done(number, protected)?))
        })
    }

    fn plan(&self, translator: &Translator, request: &Request) -> Option<Plan> {
        if request.text.trim().is_empty() || request.target_prefix.is_some() {
            return None;
        }
        let mut spans = self.spans(&request.text, &*translator.vocabularies().source);
        // `>>fra<<` is for the model.
        let token = request.text.len() - translator.own_language(&request.text).1.len();
        spans.retain(|span| span.bytes.start >= token);
        Plan::new(translator, request, spans, self.wanted.common)
    }
}

/// A regular expression of the user's.
fn pattern(text: &str, place: &str) -> Result<Regex> {
    let pattern = Regex::new(text).map_err(|error| {
        // The last line of the message says what is wrong; those before it draw where.
        let problem = error.to_string();
        let problem = problem.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Error::Usage(format!("{place}: not a regular expression: {problem}"))
    })?;
    if pattern.is_match("") {
        return Err(Error::Usage(format!("{place}: the regular expression matches empty text, so it is everywhere")));
    }
    Ok(pattern)
}

/// The patterns of a file, one a line. What is no regular expression is the text itself, as is every line besides.
fn read_patterns(path: &str) -> Result<Vec<(Regex, bool)>> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::io(path, error))?;
    let mut patterns = Vec::new();
    for (line, number) in
        text.trim_start_matches('\u{feff}').lines().zip(1..).filter(|(line, _)| !line.trim().is_empty())
    {
        let line = line.trim();
        let place = format!("--protect {path}: line {number}");
        let escaped = regex::escape(line);
        let whole = if Regex::new(line).is_ok() { format!("{escaped}|(?:{line})") } else { escaped };
        if Regex::new(line).is_ok_and(|own| own.is_match("")) {
            pattern(line, &place)?;
        }
        patterns.push((pattern(&whole, &place)?, true));
    }
    if patterns.is_empty() {
        return Err(Error::Usage(format!("--protect {path}: there is no pattern in it")));
    }
    Ok(patterns)
}

impl From<Translation> for Protected {
    fn from(translation: Translation) -> Self {
        Self { translation, ..Self::default() }
    }
}

/// A translation that no model made.
fn copied(text: String) -> Translation {
    let candidates = vec![CandidateTranslation { text, ..CandidateTranslation::default() }];
    Translation { candidates, ..Translation::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_is_none_or_matches_nothing_is_refused_by_name() {
        for (value, problem) in [("(a", "not a regular expression: unclosed group"), ("a*", "matches empty text")] {
            let error = Protection::parse(&[value]).unwrap_err().to_string();
            assert!(error.contains(&format!("--protect {value}")) && error.contains(problem), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_taken_apart(text in "(\\PC|[<>*()\"„“ .,:/@#%{}0-9a-zß]|\u{1f468}\u{200d}|\u{301}){0,40}") {
            let wanted = Protection::parse(&["default", "Haus|[a-c]+"]).unwrap().unwrap().wanted;
            let spans = wanted.spans(&text, |character| !(character as u32).is_multiple_of(3));
            proptest::prop_assert!(spans.windows(2).all(|pair| pair[0].bytes.end <= pair[1].bytes.start), "{:?}", spans);
            let sides: Vec<_> = spans::sides(&text, &spans).into_iter().map(|side| side.0).collect();
            for treatment in [variant::Treatment::Cut, variant::Treatment::StandIn("Oslo", "Oslo")] {
                let variant = variant::Variant::new(&text, &spans, &sides, &vec![treatment; spans.len()]);
                let source_words = crate::text::word_ranges(&variant.text);
                let target_words = source_words.clone();
                let links = (0..source_words.len()).map(|word| (word, word)).collect();
                let (source, target) = (variant.text.as_str(), variant.text.as_str());
                let aligned = variant::Aligned { source, target, source_words, target_words, links };
                for change in &variant.changes {
                    let (place, _) = aligned.place(change.new.start, sides[change.span], None);
                    proptest::prop_assert!(variant.text.is_char_boundary(place));
                    proptest::prop_assert!(variant.origin(change.new.start) <= text.len());
                }
            }
        }
    }

    #[test]
    fn letters_beside_a_sign_and_parts_of_a_word_in_another_script() {
        let protection = Protection::parse(&["default"]).unwrap().unwrap();
        let found = |text: &'static str, knows: fn(char) -> bool| -> Vec<&str> {
            protection.wanted.spans(text, knows).into_iter().map(|span| &text[span.bytes]).collect()
        };
        // The letters reach back to a joiner that belongs to the sign before them.
        let strange = found("👨\u{200d}𑌐𑦳𞺣", |character| !(character as u32).is_multiple_of(3));
        assert!(!strange.is_empty());
        assert_eq!(found("Er wohnt in Санкт-Петербург.", |character| character < 'Ѐ'), ["Санкт-Петербург"]);
    }

    #[test]
    fn values_add_up_and_none_takes_back() {
        assert!(Protection::parse(&["default", "none"]).unwrap().is_none());
        assert!(Protection::parse::<&str>(&[]).unwrap().is_none());
        let protection = Protection::parse(&["default", "none", "numbers", "[A-Z]+-\\d+"]).unwrap().unwrap();
        let text = "Nimm AB-12 und 7 von /tmp/x.";
        let found = protection.wanted.spans(text, |_| true);
        assert_eq!(found.iter().map(|span| &text[span.bytes.clone()]).collect::<Vec<_>>(), ["AB-12", "7"]);
    }

    #[test]
    fn lines_of_a_file_are_terms_or_expressions_and_match_whole_words() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "C++\nHaus [A-D]\n\n").unwrap();
        let protection = Protection::parse(&[file.path().to_str().unwrap()]).unwrap().unwrap();
        let text = "C++ in Haus B, Haus E und Chor";
        let found = protection.wanted.spans(text, |_| true);
        assert_eq!(found.iter().map(|span| &text[span.bytes.clone()]).collect::<Vec<_>>(), ["C++", "Haus B"]);
        std::fs::write(file.path(), "\nx*\n").unwrap();
        let error = Protection::parse(&[file.path().to_str().unwrap()]).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
