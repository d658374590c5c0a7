//! Between lines and the translator: what a line of input asks for, and translating several at once.

use std::ops::Range;

use translate::Workspace;
use translate::inspect::align::{Link, Rule};
use translate::inspect::{AttentionMap, Kind, Selection};
use translate::model::Record;
use translate::pipeline::{BatchTranslator, Exchange, Line, Tokens};
use translate::protect::{Protected, Protection};
use translate::search::{Hypothesis, SearchOptions, WORTH_JOINING};
use translate::text::{
    Glossary, Languages, Normalized, Offsets, glossary, join_sentences_at, split_sentences, word_ranges,
};

use translate::{CandidateTranslation, Request, Result, SOURCE_LIMIT, Translation, Translator};

use super::request::{Fields, InputFormat, LineRequest};

/// Batches that a worker gets at once where spans are protected, and else where sentences begin as others end.
const TOGETHER: usize = 8;
const FLOWING: usize = 2;
/// Lines of one call: a little of each is kept to its end.
const MOST_LINES: usize = 1 << 11;

/// Letters that a character of Chinese or Japanese may become.
const LETTERS_OF_AN_IDEOGRAPH: usize = 3;

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
    /// How many translations are kept of those a sentence has, the ones that the others agree with most; without, all as they come.
    pub(super) n_best: Option<usize>,
    /// How terms are to be translated, and words that every translation must have.
    pub(super) glossary: Option<Glossary>,
    pub(super) force: Vec<Vec<String>>,
    /// Whether each line is translated sentence by sentence.
    pub(super) split_sentences: bool,
    /// Most sentences translated together.
    pub(super) batch_size: usize,
    /// Whether lines are pieces of the vocabulary.
    pub(super) is_of_pieces: bool,
    /// What comes back as it is, if anything.
    pub(super) protection: Option<Protection>,
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

/// Most sentences of a line: all of them are in memory, a kilobyte each. A line as long as lines are read has fewer of prose.
const MOST_SENTENCES: usize = 1 << 18;

/// What became of one line.
#[derive(Clone, Debug, Default)]
pub(super) struct Translated {
    /// The JSON fields of the input line, to be passed through.
    pub(super) fields: Fields,
    /// Whether the line was too long to be read whole.
    pub(super) line_truncated: bool,
    /// What was to be translated, as it was given.
    pub(super) text: String,
    /// Where what the model got of it stood in it.
    offsets: Offsets,
    /// The languages of the line.
    pub(super) languages: Languages,
    /// Whether the line was kept whole, for the prefix or the words it must have, where others are split into sentences.
    pub(super) kept_whole: bool,
    /// The translation of each sentence of the line; one, unless sentences are split.
    pub(super) sentences: Vec<Translation>,
    /// Where each sentence begins in what the model got.
    starts: Vec<usize>,
    /// The source sentences with the white space between them, if there are several.
    pub(super) sources: Vec<String>,
    /// Which candidate of each sentence the translations of the whole line are made of, best first, where there are several
    /// sentences and translations.
    combinations: Vec<Vec<u16>>,
    /// The spans of the line that were to come back as they are, and those of them that did not.
    pub(super) protected: Vec<String>,
    pub(super) lost: Vec<String>,
    /// The words that the translation had to have, each in its forms, and those of them that it has not.
    pub(super) words: Vec<Vec<String>>,
    pub(super) unmet: Vec<String>,
    /// For each sentence the bytes of its text and of its translation that belong together, where those are not what the model
    /// was given and gave.
    links: Vec<Option<Vec<(usize, usize)>>>,
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
            n_best: None,
            glossary: None,
            force: Vec::new(),
            split_sentences: false,
            batch_size: 32,
            is_of_pieces: false,
            protection: None,
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

    /// What is wrong with the words that a line must have, if anything.
    fn force_problem(&self, words: &[Vec<String>]) -> Option<&'static str> {
        match self.options.sampling.is_some() || self.is_of_pieces {
            true if !words.is_empty() => Some("\"force\" does not go with --sampling and --pieces"),
            _ => None,
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

    /// Puts source words in the place of unknown pieces.
    pub(super) fn replace_unknown(&self, source: &str, translation: &mut Translation) {
        for rank in 0..translation.candidates.len() {
            let hypothesis = &translation.candidates[rank].hypothesis;
            let text = self.translator.text_replacing_unknown(source, translation, hypothesis);
            translation.candidates[rank].text = text;
        }
    }

    /// Fills in what is made of the attention of a line's sentences, whose texts are given.
    fn use_attention(&self, line: &Line, texts: &[String], translated: &mut Translated) -> Result<()> {
        let map = |text, sentence, rank| {
            AttentionMap::of(&self.translator, Kind::Cross, line.position() + 1, text, sentence, rank)
        };
        // A blank sentence was not translated, so there is nothing to look at.
        let sentences = || {
            let places = translated.starts.iter().copied().zip(0..);
            let all = texts.iter().zip(&translated.sentences).zip(places);
            all.filter(|((_, sentence), (_, at))| !sentence.source.is_empty() || translated.links[*at].is_some())
        };
        if let Some(selection) = self.attention.alignments {
            let source_words = word_ranges(&translated.text);
            let mut alignments = Vec::new();
            for rank in 0..translated.candidates() {
                let (translation, starts) = translated.text_at(rank);
                let target_words = word_ranges(&translation);
                let mut links = Vec::new();
                for ((text, sentence), (source, target)) in sentences() {
                    let pairs = match &translated.links[target] {
                        Some(pairs) => pairs.clone(),
                        None => {
                            let map = map(text, sentence, translated.candidate_of(target, rank))?;
                            let bytes = |link: Link| {
                                let (source, target) = (&map.source_words[link.source], &map.target_words[link.target]);
                                (source.bytes.start, target.bytes.start)
                            };
                            map.align(&selection, Rule::Argmax)?.into_iter().map(bytes).collect()
                        }
                    };
                    links.extend(pairs.into_iter().map(|pair| Link {
                        source: word_at(&source_words, translated.offsets.original(source + pair.0)),
                        target: word_at(&target_words, starts[target] + pair.1),
                    }));
                }
                links.sort_unstable();
                links.dedup();
                alignments.push(links);
            }
            translated.alignments = alignments;
        }
        if self.attention.maps {
            // Lines are whole then.
            let of_line = |map: AttentionMap| map.of_original(&translated.text, &translated.offsets);
            translated.maps =
                sentences().map(|((text, sentence), _)| map(text, sentence, 0).map(of_line)).collect::<Result<_>>()?;
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

/// Whether one to four words stand in a text four times on end.
fn repeats(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    (1..=4).any(|period| {
        words.windows(4 * period).any(|run| run.iter().zip(&run[period..]).all(|(word, again)| word == again))
    })
}

/// Which word a byte of a text is in; of one between two words, the word after it.
fn word_at(words: &[Range<usize>], byte: usize) -> usize {
    words.partition_point(|word| word.end <= byte).min(words.len().saturating_sub(1))
}

/// A line whose translations are not all there.
struct UnderWay {
    line: Line,
    translated: Translated,
    texts: Vec<String>,
    /// For each of its sentences, and how many are missing.
    found: Vec<Option<Protected>>,
    missing: usize,
}

/// Lines on their way.
struct Lines<'j, A> {
    job: &'j TranslationJob,
    /// Whether the attention of a line is looked at.
    is_attended: A,
    /// Lines so far; nothing of those that are done.
    lines: Vec<Option<Box<UnderWay>>>,
    /// For each request that was made, whose line it is of and which sentence of it.
    requests: Vec<(usize, usize)>,
    /// Requests that are not done.
    open: usize,
}

impl<A: Fn(&Line) -> bool> Lines<'_, A> {
    /// Begins with further lines; those that cannot be translated are done.
    fn begin(&mut self, lines: Vec<Line>, exchange: &mut dyn Exchange<Translated>) -> Vec<Request> {
        let mut all = Vec::new();
        for line in lines {
            let (translated, requests) = match self.job.read_line(&line) {
                Ok(read) => read,
                Err(error) => {
                    exchange.done(line.index, Err(error));
                    continue;
                }
            };
            self.requests.extend((0..requests.len()).map(|sentence| (self.lines.len(), sentence)));
            self.open += requests.len();
            let texts = requests.iter().map(|request| request.text.clone()).collect();
            let (found, missing) = (vec![None; requests.len()], requests.len());
            self.lines.push(Some(Box::new(UnderWay { line, translated, texts, found, missing })));
            all.extend(requests);
        }
        all
    }

    /// Takes the translation of a request by its number. The last one of a line makes it done.
    fn take(&mut self, number: usize, protected: Protected, exchange: &mut dyn Exchange<Translated>) {
        let (at, sentence) = self.requests[number];
        self.open -= 1;
        let is_done = |own: &mut Box<UnderWay>| {
            own.found[sentence] = Some(protected);
            own.missing -= 1;
            own.missing == 0
        };
        if let Some(own) = self.lines[at].take_if(is_done) {
            let UnderWay { line, translated, texts, found, .. } = *own;
            let found = found.into_iter().flatten();
            let result = self.job.put_together(&line, translated, &texts, found, (self.is_attended)(&line));
            exchange.done(line.index, result);
        }
    }
}

impl TranslationJob {
    /// Whether further lines may join those under way, where no attention is asked for.
    pub(super) fn may_go_on(&self) -> bool {
        self.flows() && self.translator.joins()
    }

    /// Translates lines, with the attention only of those that `is_attended` names: nothing is recorded where there are none, and only
    /// then are there further lines, if it `goes_on`.
    pub(super) fn translate_attending(
        &self,
        lines: Vec<Line>,
        is_attended: impl Fn(&Line) -> bool,
        goes_on: bool,
        exchange: &mut dyn Exchange<Translated>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let record = if lines.iter().any(&is_attended) { self.record } else { Record::default() };
        let goes_on = goes_on && record == Record::default();
        let mut under_way = Lines { job: self, is_attended, lines: Vec::new(), requests: Vec::new(), open: 0 };
        let first = under_way.begin(lines, exchange);
        self.translate_requests(first, record, workspace, &mut |number, protected| {
            under_way.take(number, protected, exchange);
            let room = self.batch_size.saturating_sub(under_way.open);
            // Fewer would only wait for more.
            if !goes_on || room < self.batch_size.div_ceil(WORTH_JOINING) || under_way.lines.len() >= MOST_LINES {
                return Ok(Vec::new());
            }
            Ok(under_way.begin(exchange.more(room), exchange))
        })
    }

    /// What a line asks for, and its sentences.
    fn read_line(&self, line: &Line) -> Result<(Translated, Vec<Request>)> {
        let LineRequest { fields, text, prefix, max_length, languages, mut force } =
            LineRequest::parse(line, self.input)?;
        let shown = self.translator.normalized(&text);
        let usable = self.line_languages(&languages).and_then(|languages| {
            self.translator.check_text(&shown.text)?;
            languages.map_or_else(|| self.translator.chosen_languages(), Ok)
        });
        let languages = usable.map_err(|error| line.error(error.to_string()))?;
        if let Some(problem) = self.force_problem(&force) {
            return Err(line.error(problem));
        }
        force.extend_from_slice(&self.force);
        // What a line's own prefix begins may be more than its first sentence, and a word may belong to any of them.
        let kept_whole = self.split_sentences && (prefix.is_some() || !force.is_empty());
        let split = self.split_sentences && !kept_whole;
        let prefix = prefix.or_else(|| self.prefix.clone());
        if let Some(problem) = prefix.as_deref().and_then(|prefix| self.prefix_problem(prefix)) {
            return Err(line.error(problem));
        }
        let Normalized { text: shown, offsets } = shown;
        // Split into sentences, a line's own language token holds for each of them.
        let (own, rest) = match split && languages.target.is_none() {
            true => self.translator.own_language(&shown),
            false => (None, &shown[..]),
        };
        let languages = own.unwrap_or(languages);
        let sentences = match split && !rest.trim().is_empty() {
            true => split_sentences(rest.trim(), self.translator.languages().source_of(&languages)),
            false => Vec::new(),
        };
        if sentences.len() > MOST_SENTENCES {
            return Err(
                line.error(format!("it has more than {MOST_SENTENCES} sentences; put line breaks into the text"))
            );
        }
        let (mut requests, mut sources, mut starts, mut words) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut start = shown.len() - rest.len();
        let mut push = |sentence: &str, start: usize| {
            // A prefix for every line begins its translation, so only its first sentence.
            let target_prefix = if requests.is_empty() { prefix.clone() } else { None };
            let terms = self.glossary.as_ref().map(|glossary| glossary.constraints(sentence)).unwrap_or_default();
            let force = [terms, force.clone()].concat();
            words.extend_from_slice(&force);
            requests.push(Request {
                text: sentence.to_owned(),
                target_prefix,
                max_length,
                languages: Some(languages.clone()),
                force,
                ..Request::default()
            });
            starts.push(start);
        };
        if rest.trim().is_empty() {
            requests.push(Request { text: rest.to_owned(), max_length, ..Request::default() });
            starts.push(start);
        } else if split {
            start += rest.len() - rest.trim_start().len();
            for sentence in sentences {
                sources.push(sentence.to_owned());
                push(sentence.trim(), start + sentence.len() - sentence.trim_start().len());
                start += sentence.len();
            }
        } else {
            push(rest, start);
        }
        let line_truncated = line.truncated;
        let translated = Translated {
            fields,
            text,
            offsets,
            languages,
            kept_whole,
            sources,
            starts,
            words,
            line_truncated,
            ..Translated::default()
        };
        Ok((translated, requests))
    }

    /// Makes a line of what its sentences, whose texts are given, became.
    fn put_together(
        &self,
        line: &Line,
        mut translated: Translated,
        texts: &[String],
        sentences: impl Iterator<Item = Protected>,
        is_attended: bool,
    ) -> Result<Translated> {
        for Protected { translation, spans, lost, links } in sentences {
            check_scores(line, &translation)?;
            translated.sentences.push(translation);
            translated.protected.extend(spans);
            translated.lost.extend(lost);
            translated.links.push(links);
        }
        let is_ranked = self.options.sampling.is_some() || self.n_best.is_some();
        translated.combine(self.options.n_best, is_ranked);
        translated.find_unmet();
        if is_attended {
            self.use_attention(line, texts, &mut translated)?;
        }
        Ok(translated)
    }
}

impl BatchTranslator for TranslationJob {
    type Output = Translated;

    fn batches_at_once(&self) -> usize {
        // Where sentences begin as others end there should be many, above all if some have to be translated again; but there
        // further lines may join.
        match (&self.protection, self.flows()) {
            _ if self.may_go_on() && self.record == Record::default() => 1,
            (Some(_), _) => TOGETHER,
            (None, true) => FLOWING,
            (None, false) => 1,
        }
    }

    fn translate(
        &self,
        lines: Vec<Line>,
        exchange: &mut dyn Exchange<Translated>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        self.translate_attending(lines, |_| true, self.may_go_on(), exchange, workspace)
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
    /// Finds the words that the best translation lacks.
    fn find_unmet(&mut self) {
        if !self.words.is_empty() {
            let unmet = glossary::unmet(&self.words, &self.text(0));
            self.unmet = unmet.into_iter().map(|word| self.words[word].join("|")).collect();
        }
    }

    /// Finds the best `count` translations of a line of several sentences: those with the largest sums of scores. Of those
    /// that are in another order, drawn or agreed on, each of the line is that of its sentences.
    fn combine(&mut self, count: usize, is_ranked: bool) {
        if self.sentences.len() < 2 || count < 2 || is_ranked {
            return;
        }
        let mut best: Vec<(f32, Vec<u16>)> = vec![(0.0, Vec::new())];
        for sentence in &self.sentences {
            let mut next = Vec::new();
            for (rank, (sum, chosen)) in best.iter().enumerate() {
                // Candidates come best first, so that no other can be among the best.
                for (own, candidate) in sentence.candidates.iter().enumerate().take(count / (rank + 1)) {
                    let mut chosen = chosen.clone();
                    chosen.push(u16::try_from(own).unwrap_or(u16::MAX));
                    next.push((sum + candidate.hypothesis.score, chosen));
                }
            }
            next.sort_by(|a, b| b.0.total_cmp(&a.0));
            next.truncate(count);
            best = next;
        }
        self.combinations = best.into_iter().map(|(_, chosen)| chosen).collect();
    }

    /// Which candidate of a sentence is part of the `rank`-th translation of the whole line (from 0); the last if it has fewer.
    fn candidate_of(&self, sentence: usize, rank: usize) -> usize {
        let last = self.sentences[sentence].candidates.len().saturating_sub(1);
        match self.combinations.get(rank) {
            Some(chosen) => usize::from(chosen[sentence]).min(last),
            None => rank.min(last),
        }
    }

    /// What the `rank`-th translation of the whole line is made of.
    fn parts(&self, rank: usize) -> impl Iterator<Item = Option<&CandidateTranslation>> {
        let sentences = self.sentences.iter().enumerate();
        sentences.map(move |(at, sentence)| sentence.candidates.get(self.candidate_of(at, rank)))
    }

    /// The `rank`-th translation of the whole line (from 0), put together of its sentences'.
    pub(super) fn text(&self, rank: usize) -> String {
        self.text_at(rank).0
    }

    /// The same, and where the translation of each sentence begins in it.
    pub(super) fn text_at(&self, rank: usize) -> (String, Vec<usize>) {
        let texts: Vec<&str> = self.parts(rank).map(|part| part.map_or("", |part| &part.text)).collect();
        match &texts[..] {
            [text] => ((*text).to_owned(), vec![0]),
            _ => join_sentences_at(&self.sources.iter().map(String::as_str).collect::<Vec<_>>(), &texts),
        }
    }

    /// The hypothesis of each sentence that the `rank`-th translation is made of.
    pub(super) fn hypotheses(&self, rank: usize) -> impl Iterator<Item = &Hypothesis> {
        self.parts(rank).flatten().map(|part| &part.hypothesis)
    }

    /// Whether the line was taken sentence by sentence, however many it has.
    pub(super) fn is_split(&self) -> bool {
        !self.sources.is_empty()
    }

    /// How many different translations the line has.
    pub(super) fn candidates(&self) -> usize {
        match self.combinations.len() {
            0 => self.sentences.iter().map(|sentence| sentence.candidates.len()).max().unwrap_or(0),
            several => several,
        }
    }

    /// The score of the `rank`-th translation: the sum over its sentences.
    pub(super) fn score(&self, rank: usize) -> f32 {
        self.hypotheses(rank).map(|hypothesis| hypothesis.score).sum()
    }

    /// Whether any sentence or translation was truncated.
    pub(super) fn truncated(&self) -> bool {
        self.line_truncated || self.sentences.iter().any(Translation::truncated)
    }

    /// Whether any translation repeats itself over and over: at its end, or one to four words four times where its source does not.
    pub(super) fn looping(&self) -> bool {
        self.hypotheses(0).any(Hypothesis::is_looping) || (repeats(&self.text(0)) && !repeats(&self.text))
    }

    /// Whether the translation of a text is empty, or far longer than any of a text so long.
    pub(super) fn has_unlikely_length(&self) -> bool {
        // A character of Chinese or Japanese is worth several letters.
        let letters = |character: char| if character < '\u{2e80}' { 1 } else { LETTERS_OF_AN_IDEOGRAPH };
        let source: usize = self.text.trim().chars().map(letters).sum();
        let target = self.text(0).trim().chars().count();
        (target == 0 && self.text.contains(char::is_alphanumeric)) || target > 3 * source + 40
    }
}
