//! `translate document`: files whose texts are translated and whose everything else stays.

mod job;
mod report;
mod source;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueHint};
use translate::documents::{self, FORMATS, Text, transfer};
use translate::inspect::{Kind, Selection};
use translate::model::Record;
use translate::pipeline::{Done, End, Input, Line, Output, Sink};
use translate::protect::Protection;
use translate::text::language_tag;
use translate::{Error, Result, Translator};

use self::job::{Outcome, SegmentJob};
use self::report::{DocumentReport, Report};
use self::source::{Destination, Source};
use super::Ending;
use super::advice::Advice;
use super::attention::why_missing;
use super::constraints::GlossaryArgument;
use super::job::{AttentionUse, TranslationJob};
use super::options::{ModelOptions, SearchArguments, named_file};
use super::run::{self, Console, Plan, ShownArguments};

const EXAMPLES: &str = "\
Examples:
  translate document letter.docx -o letter.en.docx
  translate document --type srt < film.de.srt > film.en.srt
  translate document site/*.html -o site-en/ --report report.json
  translate document de.po -o en.po --mark-for-review --glossary terms.tsv

Everything but the text stays byte for byte; markup goes to the words that its words became.";

/// Arguments of `document`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Documents to translate; - or none means standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Write to FILE; or into a directory that is there or whose name ends in /, under the names of the documents
    #[arg(short, long, value_name = "FILE|DIR", value_hint = ValueHint::AnyPath)]
    output: Option<PathBuf>,

    /// What the documents are [default: by the ending of the name, else by the first bytes]
    #[arg(long = "type", value_name = "KIND", value_parser = PossibleValuesParser::new(FORMATS.iter().map(|format| format.name())))]
    kind: Option<String>,

    #[command(flatten)]
    model: ModelOptions,

    /// Most sentences translated together
    #[arg(long, value_name = "N", default_value_t = 32, env = "TRANSLATE_BATCH_SIZE", value_parser = clap::value_parser!(u16).range(1..))]
    batch_size: u16,

    /// Put the target language into the names of documents in a directory: page.html becomes page.en.html
    #[arg(long, requires = "output")]
    language_in_name: bool,

    /// Catalogues of messages: translate those that have a translation, too
    #[arg(long)]
    all: bool,

    /// Catalogues of messages: mark what is translated as not yet looked at by a person (fuzzy, needs review, unfinished)
    #[arg(long)]
    mark_for_review: bool,

    /// Subtitles: at most N characters a line [default: the longest of the document]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(8..))]
    cue_width: Option<u16>,

    /// Also carry over character by character: a REGEX, or a FILE of them or of terms; may be repeated. What is protected
    /// in lines by default always is in documents
    #[arg(long, value_name = "WHAT")]
    protect: Vec<String>,

    #[command(flatten)]
    glossary: GlossaryArgument,

    /// Translate paragraphs as a whole, not sentence by sentence
    #[arg(long)]
    no_split_sentences: bool,

    /// Write what was done as JSON: segments, words, what was protected, kept and looks suspicious
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    report: Option<PathBuf>,

    /// Note what is translated in a file beside the output (NAME.resume), and go on from there after an interruption
    #[arg(long, requires = "output")]
    resume: bool,

    #[command(flatten)]
    shown: ShownArguments,

    #[command(flatten)]
    search: SearchArguments,
}

/// The texts of all documents, each once, in the order they are met.
#[derive(Default)]
struct Texts {
    index: HashMap<String, usize>,
    texts: Vec<String>,
    /// The document and the line where each is met first.
    places: Vec<(Arc<str>, u64)>,
    /// Whether marks have to find their words in its translation.
    linked: Vec<bool>,
}

impl Texts {
    /// Takes a document's texts and says which is the last that it waits for.
    fn add(&mut self, document: &dyn documents::Document, name: &Arc<str>) -> Option<usize> {
        let mut last = None;
        // Attention is recorded for whole batches, so texts that need it stand together.
        let (marked, plain): (Vec<_>, Vec<_>) = document.segments().iter().partition(|segment| segment.has_marks());
        for segment in marked.into_iter().chain(plain) {
            let Some(Text { text, .. }) = Text::of(segment) else { continue };
            let place = self.texts.len();
            let at = *self.index.entry(text).or_insert_with_key(|text| {
                self.texts.push(text.clone());
                self.places.push((name.clone(), segment.line as u64));
                self.linked.push(false);
                place
            });
            self.linked[at] |= segment.has_marks();
            last = last.max(Some(at));
        }
        last
    }
}

/// A document that waits for its translations.
struct Waiting {
    source: Source,
    /// The last text it needs.
    last: Option<usize>,
}

/// Writes each document as soon as all its texts are translated.
struct Writer<'a> {
    waiting: std::vec::IntoIter<Waiting>,
    next: Option<Waiting>,
    index: &'a HashMap<String, usize>,
    options: &'a documents::Options,
    destination: &'a Destination,
    language: Option<&'a str>,
    report: Report,
    /// Whether a document could not be written.
    failed: bool,
}

impl Writer<'_> {
    /// Writes the documents that need no text after the first `count`.
    ///
    /// # Errors
    /// If standard output or the one output cannot be written.
    fn write_ready(&mut self, outcomes: &[Outcome], mut say: impl FnMut(&str)) -> Result<()> {
        loop {
            let Some(document) = self.next.take().or_else(|| self.waiting.next()) else { return Ok(()) };
            if document.last.is_some_and(|last| last >= outcomes.len()) {
                self.next = Some(document);
                return Ok(());
            }
            match self.write(&document.source, outcomes) {
                Ok(report) => {
                    say(&report.to_string());
                    self.report.add(report);
                }
                Err(error) if self.destination.is_directory() => {
                    self.failed = true;
                    super::message::say(&error);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn write(&self, source: &Source, outcomes: &[Outcome]) -> Result<DocumentReport> {
        let document = source.read(self.options)?;
        let mut report = DocumentReport::new(source.name(), source.format().name(), document.notes());
        let mut translations = Vec::with_capacity(document.segments().len());
        for segment in document.segments() {
            let Some(text) = Text::of(segment) else {
                report.keep();
                translations.push(None);
                continue;
            };
            let Some(outcome) = self.index.get(&text.text).and_then(|&at| outcomes.get(at)) else {
                return Err(Error::model(source.name(), "it changed while it was translated"));
            };
            report.count(segment, outcome);
            let Some(translated) = &outcome.translated else {
                translations.push(None);
                continue;
            };
            let (translated, mut missing) = text.restore(translated);
            let placed = transfer(segment, &translated);
            missing.retain(|missing| !translated.text.contains(missing.as_str()));
            report.look_at(segment, &translated.text, &missing, outcome);
            translations.push(Some(placed.parts));
        }
        let bytes = document.write(&translations).map_err(|error| source.problem(error))?;
        let output = self.destination.output(source, self.language);
        let (mut sink, _) = Sink::open(output)?;
        sink.pending().extend_from_slice(&bytes);
        sink.finish()?;
        Ok(report)
    }
}

/// Runs the command.
pub(super) fn run(mut arguments: Arguments) -> Result<Ending> {
    arguments.output = named_file(arguments.output);
    if arguments.resume && arguments.output.is_none() {
        return Err(Error::Usage("--resume goes on with a file: give --output, not standard output".into()));
    }
    if arguments.model.pieces {
        return Err(Error::Usage("--pieces is for lines; documents are text".into()));
    }
    let sources = Source::open_all(&arguments.files, arguments.kind.as_deref())?;
    let destination = Destination::new(arguments.output.clone(), &sources, arguments.language_in_name)?;
    let (translator, load_time) = arguments.model.load(arguments.shown.quiet)?;
    let languages = translator.chosen_languages()?;
    let code = |code: Option<&str>| code.map(language_tag);
    let options = documents::Options {
        source_language: code(translator.languages().source_of(&languages)),
        target_language: code(translator.languages().target_of(&languages)),
        all: arguments.all,
        mark_for_review: arguments.mark_for_review,
        cue_width: arguments.cue_width.map(usize::from),
    };
    if arguments.language_in_name && options.target_language.is_none() {
        let problem = "--language-in-name: the model does not say its target language; name it with --to";
        return Err(Error::Usage(problem.into()));
    }
    let mut texts = Texts::default();
    let mut waiting = Vec::new();
    let mut failed = false;
    for source in sources {
        match source.read(&options) {
            Ok(document) => {
                let last = texts.add(&*document, &source.name().into());
                waiting.push(Waiting { source, last });
            }
            // One that is damaged does not stop the others.
            Err(error) if destination.is_directory() => {
                failed = true;
                super::message::say(&error);
            }
            Err(error) => return Err(error),
        }
    }
    let journal = arguments.resume.then(|| destination.journal()).flatten();
    let mut outcomes = journal.as_deref().map_or(Ok(Vec::new()), |journal| job::read_journal(journal, &texts.texts))?;
    let inputs = vec![Input::Stream("documents".to_owned(), Box::new(std::io::Cursor::new(lines_of(&texts.texts))))];
    let output = journal.clone().map_or_else(run::nowhere, Output::Resume);
    let mut plan = Plan::new(inputs, output, &arguments.model, arguments.batch_size, arguments.shown.quiet);
    plan.notes = translator.notes().to_vec();
    if why_missing(translator.spec(), Kind::Cross).is_some() {
        plan.notes.push(
            "the model has no attention, so nothing says which word became which and where markup belongs".to_owned(),
        );
        texts.linked.fill(false);
    }
    arguments.shown.apply(&mut plan, translator.compute(), load_time);
    plan.shown.waiting = false;
    plan.shown.resuming = arguments.resume;
    let job = job(translator, &arguments)?;
    let job = Arc::new(SegmentJob { job, places: texts.places, linked: texts.linked });
    let mut writer = Writer {
        waiting: waiting.into_iter(),
        next: None,
        index: &texts.index,
        options: &options,
        destination: &destination,
        language: options.target_language.as_deref(),
        report: Report::default(),
        failed,
    };
    let mut advice = Advice::new(&job.job);
    let mut problem = writer
        .write_ready(&outcomes, |message| {
            if !arguments.shown.quiet {
                super::message::say(message)
            }
        })
        .err();
    let write = |console: &Console, line: &Line, done: Done<'_, _>, buffer: &mut Vec<u8>| {
        if let Done::Translated(translated) = &done
            && console.has_warnings()
        {
            advice.warnings(&job.job, translated).iter().for_each(|warning| console.warn_of(&job.place(line), warning));
        }
        let outcome = Outcome::of(&done);
        if journal.is_some() {
            outcome.write(&line.text, buffer);
        }
        // The last lines of a journal are made again to be compared.
        if line.index as usize >= outcomes.len() {
            outcomes.push(outcome);
        }
        if problem.is_none()
            && let Err(error) = writer.write_ready(&outcomes, |message| console.warn(message))
        {
            problem = Some(error);
            console.stop();
        }
    };
    let finished = run::run(&job, plan, write)?;
    if let Some(problem) = problem {
        return Err(problem);
    }
    let is_interrupted = finished.summary.end == End::Interrupted;
    if is_interrupted && !arguments.resume {
        finished.console.warn("interrupted: documents that were finished are written, others are not");
    }
    writer.report.warnings().iter().for_each(|warning| finished.console.warn(warning));
    if let Some(path) = &arguments.report {
        writer.report.write(path)?;
    }
    let failed = writer.failed;
    let ending = finished.close();
    if let Some(journal) = journal.filter(|_| !is_interrupted && ending == Ending::Done && !failed) {
        std::fs::remove_file(&journal).map_err(|error| Error::io(&journal, error))?;
    }
    Ok(if failed && ending == Ending::Done { Ending::SomeFailed } else { ending })
}

/// What translates the texts: sentence by sentence, with links of words and what is protected.
fn job(translator: Translator, arguments: &Arguments) -> Result<TranslationJob> {
    let options = arguments.search.options(&translator, 1)?;
    let glossary = arguments.glossary.read(&translator)?;
    let asked = arguments.protect.iter().filter(|value| !value.is_empty()).map(String::as_str);
    let protection = Protection::parse(&std::iter::once("default").chain(asked).collect::<Vec<_>>())?;
    let selection = Selection::aligning(translator.alignment());
    Ok(TranslationJob {
        record: Record { cross: true, ..Record::default() },
        split_sentences: !arguments.no_split_sentences,
        batch_size: usize::from(arguments.batch_size),
        protection,
        glossary,
        attention: AttentionUse { alignments: Some(selection), maps: false },
        languages: (arguments.model.from.clone(), arguments.model.to.clone()),
        ..TranslationJob::new(translator, options)
    })
}

/// Texts as the lines of one stream; none has a line end in it.
fn lines_of(texts: &[String]) -> Vec<u8> {
    texts.iter().flat_map(|text| [text.replace('\n', " "), "\n".to_owned()]).collect::<String>().into_bytes()
}
