//! Between lines and the translator: what a line of input asks for, and translating several at once.

use std::ops::Range;

use translate::Workspace;
use translate::inspect::align::{Link, Rule};
use translate::inspect::{AttentionMap, Kind, Selection};
use translate::model::Record;
use translate::pipeline::{BatchTranslator, Line, Tokens};
use translate::search::{Hypothesis, SearchOptions};
use translate::text::{Languages, join_sentences_at, split_sentences, word_ranges};

use translate::{Request, Result, SOURCE_LIMIT, Translation, Translator};

use super::request::{Fields, InputFormat, LineRequest};

/// Lines to be translated: everything that stays the same over a run.
pub(super) struct TranslationJob {
    pub(super) translator: Translator,
    pub(super) options: SearchOptions,
    pub(super) record: Record,
    pub(super) input: InputFormat,
    /// The languages asked for on the command line.
    pub(super) languages: (Option<String>, Option<String>),
    /// What every translation begins with, unless its line says otherwise.
    pub(super) prefix: Option<String>,
    /// Whether each line is translated sentence by sentence.
    pub(super) split_sentences: bool,
    /// Whether unknown pieces are replaced by the source words they looked at.
    pub(super) replace_unknown: bool,
    /// What else is made of the recorded attention.
    pub(super) attention: AttentionUse,
}

/// What is made of the cross-attention behind each translation, if it is recorded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AttentionUse {
    /// Hard word alignments, read from these layers and heads.
    pub(super) alignments: Option<Selection>,
    /// The whole map of each best translation.
    pub(super) maps: bool,
}

/// Most sentences translated together: a batch of lines may be a book when lines are split into sentences.
const SENTENCES_TOGETHER: usize = 128;

/// What became of one line.
#[derive(Clone, Debug, Default)]
pub(super) struct Translated {
    /// The JSON fields of the input line, to be passed through.
    pub(super) fields: Fields,
    /// Whether the line was too long to be read whole.
    pub(super) line_truncated: bool,
    /// What was to be translated, as it was given.
    pub(super) text: String,
    /// The translation of each sentence of the line; one, unless sentences are split.
    pub(super) sentences: Vec<Translation>,
    /// Where each sentence begins in the text.
    pub(super) starts: Vec<usize>,
    /// The source sentences with the white space between them, if there are several.
    pub(super) sources: Vec<String>,
    /// The word links of each translation of the whole line, best first, if asked for.
    pub(super) alignments: Vec<Vec<Link>>,
    /// The attention behind the best translation of each sentence, if asked for.
    pub(super) maps: Vec<AttentionMap>,
}

impl TranslationJob {
    /// Plain lines, each translated as a whole, for the text alone.
    pub(super) fn new(translator: Translator, options: SearchOptions) -> Self {
        Self {
            translator,
            options,
            record: Record::default(),
            input: InputFormat::Text,
            languages: (None, None),
            prefix: None,
            split_sentences: false,
            replace_unknown: false,
            attention: AttentionUse::default(),
        }
    }

    /// What is wrong with a prefix, if anything: decoding along one costs the square of its length.
    pub(super) fn prefix_problem(&self, prefix: &str) -> Option<String> {
        let limit = self.options.max_length.max(self.translator.search_options().max_length).min(SOURCE_LIMIT);
        let pieces = self.translator.target_ids(prefix).len();
        (pieces > limit).then(|| format!("the prefix has {pieces} pieces, but a whole translation has at most {limit}"))
    }

    /// Takes the target-language token a text begins with (`>>fra<<`), if the model has it, off the text.
    fn own_language<'t>(&self, text: &'t str) -> (Option<Languages>, &'t str) {
        let end = text.find("<<").filter(|_| text.starts_with(">>")).map_or(0, |start| start + 2);
        let (token, rest) = text.split_at(end);
        let languages = self.translator.vocabularies().source.languages();
        match languages.iter().find(|language| end > 0 && language.token == token) {
            Some(language) => {
                let chosen = self.translator.languages().choose(None, Some(&language.code));
                (chosen.ok(), rest.trim_start())
            }
            None => (None, text),
        }
    }

    /// The languages a line says itself; each that it does not say is that of the run.
    fn line_languages(&self, (source, target): &(Option<String>, Option<String>)) -> Result<Option<Languages>> {
        if source.is_none() && target.is_none() {
            return Ok(None);
        }
        let (from, to) = &self.languages;
        let (source, target) = (source.as_deref().or(from.as_deref()), target.as_deref().or(to.as_deref()));
        self.translator.languages().choose(source, target).map(Some)
    }

    /// Fills in what is made of the attention of a line's sentences, whose texts are given.
    fn use_attention(&self, line: &Line, texts: &[String], translated: &mut Translated) -> Result<()> {
        let map = |text, sentence, rank| {
            AttentionMap::of(&self.translator, Kind::Cross, line.index + 1, text, sentence, rank)
        };
        // A blank sentence was not translated, so there is nothing to look at.
        let sentences = || {
            let places = translated.starts.iter().zip(0..);
            let all = texts.iter().zip(&translated.sentences).zip(places);
            all.filter(|((_, sentence), _)| !sentence.source.is_empty())
        };
        if let Some(selection) = self.attention.alignments {
            let source_words = word_ranges(&translated.text);
            let mut alignments = Vec::new();
            for rank in 0..translated.candidates() {
                let (translation, starts) = translated.text_at(rank);
                let target_words = word_ranges(&translation);
                let mut links = Vec::new();
                for ((text, sentence), (source, target)) in sentences() {
                    let map = map(text, sentence, rank.min(sentence.candidates.len().saturating_sub(1)))?;
                    for link in map.align(&selection, Rule::Argmax)? {
                        links.push(Link {
                            source: word_at(&source_words, source + map.source_words[link.source].bytes.start),
                            target: word_at(&target_words, starts[target] + map.target_words[link.target].bytes.start),
                        });
                    }
                }
                links.sort_unstable();
                links.dedup();
                alignments.push(links);
            }
            translated.alignments = alignments;
        }
        if self.attention.maps {
            translated.maps = sentences().map(|((text, sentence), _)| map(text, sentence, 0)).collect::<Result<_>>()?;
        }
        Ok(())
    }
}

/// Refuses what comes of scores that are no numbers: with them no token is better than another. A beam has no hypothesis then,
/// as it has none where every token is forbidden.
pub(super) fn check_scores(line: &Line, translation: &Translation) -> Result<()> {
    if translation.source.is_empty() {
        // A blank sentence was not translated.
        return Ok(());
    }
    let hypotheses = || translation.candidates.iter().map(|candidate| &candidate.hypothesis);
    if hypotheses().any(|hypothesis| !hypothesis.log_prob.is_finite() || hypothesis.score.is_nan()) {
        return Err(line.error("the model's scores for it are no numbers (NaN), so there is no translation"));
    }
    if hypotheses().all(|hypothesis| *hypothesis == Hypothesis::default()) {
        let problem =
            "there is no translation: the model's scores for it are no numbers (NaN), or every token is forbidden";
        return Err(line.error(problem));
    }
    Ok(())
}

/// Which word a byte of a text is in; of one between two words, the word after it.
fn word_at(words: &[Range<usize>], byte: usize) -> usize {
    words.partition_point(|word| word.end <= byte).min(words.len().saturating_sub(1))
}

impl BatchTranslator for TranslationJob {
    type Output = Translated;

    fn translate(&self, lines: &[Line], workspace: &mut Workspace) -> Result<Vec<Result<Translated>>> {
        let mut requests = Vec::with_capacity(lines.len());
        let mut outcomes = Vec::with_capacity(lines.len());
        for line in lines {
            let LineRequest { fields, text, prefix, max_length, languages } = match LineRequest::parse(line, self.input)
            {
                Ok(parsed) => parsed,
                Err(error) => {
                    outcomes.push(Err(error));
                    continue;
                }
            };
            let usable = self.line_languages(&languages).and_then(|languages| {
                self.translator.check_text(&text)?;
                languages.map_or_else(|| self.translator.chosen_languages(), Ok)
            });
            let languages = match usable {
                Ok(languages) => languages,
                Err(error) => {
                    outcomes.push(Err(line.error(error.to_string())));
                    continue;
                }
            };
            let prefix = prefix.or_else(|| self.prefix.clone());
            if let Some(problem) = prefix.as_deref().and_then(|prefix| self.prefix_problem(prefix)) {
                outcomes.push(Err(line.error(problem)));
                continue;
            }
            let first = requests.len();
            let (mut sources, mut starts) = (Vec::new(), Vec::new());
            // Split into sentences, a line's own language token holds for each of them.
            let (own, rest) = match self.split_sentences && languages.target.is_none() {
                true => self.own_language(&text),
                false => (None, &text[..]),
            };
            let languages = Some(own.unwrap_or(languages));
            let mut start = text.len() - rest.len();
            let mut push = |sentence: &str, start: usize| {
                // A prefix begins the translation of the line, so only its first sentence.
                let target_prefix = if requests.len() == first { prefix.clone() } else { None };
                requests.push(Request {
                    text: sentence.to_owned(),
                    target_prefix,
                    max_length,
                    languages: languages.clone(),
                });
                starts.push(start);
            };
            if self.split_sentences && !rest.trim().is_empty() {
                for sentence in split_sentences(rest) {
                    sources.push(sentence.to_owned());
                    push(sentence.trim(), start + sentence.len() - sentence.trim_start().len());
                    start += sentence.len();
                }
            } else if rest.trim().is_empty() {
                requests.push(Request { text: rest.to_owned(), max_length, ..Request::default() });
                starts.push(start);
            } else {
                push(rest, start);
            }
            let count = requests.len() - first;
            let line_truncated = line.truncated;
            outcomes.push(Ok((
                Translated { fields, text, sources, starts, line_truncated, ..Translated::default() },
                count,
            )));
        }
        let mut translations = Vec::with_capacity(requests.len());
        for requests in requests.chunks(SENTENCES_TOGETHER) {
            translations.extend(self.translator.translate(requests, &self.options, self.record, workspace)?);
        }
        let mut translations = translations.into_iter();
        let mut requests = requests.into_iter();
        Ok(outcomes
            .into_iter()
            .zip(lines)
            .map(|(outcome, line)| {
                outcome.and_then(|(mut translated, count)| {
                    let mut texts = Vec::new();
                    let mut scores = Ok(());
                    for (request, mut translation) in requests.by_ref().zip(translations.by_ref()).take(count) {
                        if self.replace_unknown {
                            for candidate in &mut translation.candidates {
                                let hypothesis = &candidate.hypothesis;
                                let (text, languages) = (&request.text, &translation.languages);
                                candidate.text = self.translator.text_replacing_unknown(text, languages, hypothesis);
                            }
                        }
                        scores = scores.and_then(|()| check_scores(line, &translation));
                        translated.sentences.push(translation);
                        texts.push(request.text);
                    }
                    scores?;
                    self.use_attention(line, &texts, &mut translated)?;
                    Ok(translated)
                })
            })
            .collect())
    }

    fn tokens(&self, output: &Translated) -> Tokens {
        let mut tokens = Tokens::default();
        for sentence in &output.sentences {
            tokens.source += sentence.source.len();
            tokens.target += sentence.best().map_or(0, |best| best.hypothesis.token_log_probs.len());
        }
        tokens
    }
}

impl Translated {
    /// The `rank`-th translation of the whole line (from 0): that of each sentence, or its last if it has fewer.
    pub(super) fn text(&self, rank: usize) -> String {
        self.text_at(rank).0
    }

    /// The same, and where the translation of each sentence begins in it.
    pub(super) fn text_at(&self, rank: usize) -> (String, Vec<usize>) {
        let texts: Vec<&str> = self
            .sentences
            .iter()
            .map(|sentence| sentence.candidates.get(rank).or(sentence.candidates.last()).map_or("", |best| &best.text))
            .collect();
        match &texts[..] {
            [text] => ((*text).to_owned(), vec![0]),
            _ => join_sentences_at(&self.sources.iter().map(String::as_str).collect::<Vec<_>>(), &texts),
        }
    }

    /// The `rank`-th hypothesis of each sentence.
    pub(super) fn hypotheses(&self, rank: usize) -> impl Iterator<Item = &translate::search::Hypothesis> {
        self.sentences
            .iter()
            .filter_map(move |sentence| sentence.candidates.get(rank).or(sentence.candidates.last()))
            .map(|candidate| &candidate.hypothesis)
    }

    /// How many different translations the line has.
    pub(super) fn candidates(&self) -> usize {
        self.sentences.iter().map(|sentence| sentence.candidates.len()).max().unwrap_or(0)
    }

    /// The score of the `rank`-th translation: the sum over its sentences.
    pub(super) fn score(&self, rank: usize) -> f32 {
        self.hypotheses(rank).map(|hypothesis| hypothesis.score).sum()
    }

    /// Whether any sentence or translation was truncated.
    pub(super) fn truncated(&self) -> bool {
        self.line_truncated || self.sentences.iter().any(Translation::truncated)
    }

    /// Whether any translation repeats itself over and over.
    pub(super) fn looping(&self) -> bool {
        self.hypotheses(0).any(translate::search::Hypothesis::is_looping)
    }
}
