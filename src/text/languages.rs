//! The languages of a model: which it has, and which of them a person means.
//!
//! A model writes its languages as tokens (`deu_Latn`, `de_DE`, `__de__`, `>>deu<<`, `<2de>`) or as instructions put before
//! the text (`translate English to German: `). People may write them so, or as ISO 639 codes or English names.

use std::sync::{Arc, OnceLock};

use crate::{Error, Result};

/// A language as a vocabulary has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Language {
    /// What the model calls it, without the marks of a token: `deu_Latn`, `de_DE`, `de`.
    pub code: String,
    /// Its token as it is written in the vocabulary.
    pub token: String,
    /// The token's id.
    pub id: u32,
}

impl Language {
    /// The languages among some tokens, by code.
    pub(super) fn all<'a>(tokens: impl Iterator<Item = (u32, &'a str)>) -> Vec<Self> {
        let language = |(id, token): (u32, &str)| {
            let code = code_of(token)?.to_owned();
            Some(Self { code, token: token.to_owned(), id })
        };
        let mut languages: Vec<Self> = tokens.filter_map(language).collect();
        languages.sort_by(|a, b| a.code.cmp(&b.code));
        languages
    }
}

/// The language code in a token, if it is of a form that names languages.
fn code_of(token: &str) -> Option<&str> {
    let is_code = |code: &&str| {
        let mut parts = code.split(['_', '-', '.', '@']);
        parts
            .next()
            .is_some_and(|first| (2..=12).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_lowercase()))
            && parts.all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    let between = |before: &str, after: &str| token.strip_prefix(before)?.strip_suffix(after);
    if let Some(code) = between(">>", "<<") {
        // OPUS-MT has codes of every form.
        return (!code.is_empty()).then_some(code);
    }
    if let Some(code) = between("<2", ">").or_else(|| between("__", "__")) {
        return Some(code).filter(is_code);
    }
    // `deu_Latn`, `de_DE`, `en_XX`.
    let (language, region) = token.split_once('_')?;
    let is_bare = (2..=3).contains(&language.len())
        && language.bytes().all(|b| b.is_ascii_lowercase())
        && (2..=4).contains(&region.len())
        && region.as_bytes()[0].is_ascii_uppercase()
        && region.bytes().all(|b| b.is_ascii_alphabetic());
    is_bare.then_some(token)
}

/// An instruction that a model was trained to get before texts of one pair of languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Code of the source language.
    pub source: String,
    /// Code of the target language.
    pub target: String,
    /// What is put before the text, as it stands.
    pub prefix: String,
}

/// The languages chosen for a sentence, as the model is told them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Languages {
    /// The token of the source language.
    pub source: Option<u32>,
    /// The token of the target language.
    pub target: Option<u32>,
    /// What is put before the text.
    pub prefix: Option<Arc<str>>,
}

/// Languages that a message lists one and all.
const FEW: usize = 12;

/// Which side of a translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What is translated.
    Source,
    /// What it becomes.
    Target,
}

impl Side {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }

    fn option(self) -> &'static str {
        match self {
            Self::Source => "--from",
            Self::Target => "--to",
        }
    }
}

/// The languages a model has, and how it is told them.
#[derive(Clone, Debug, Default)]
pub struct ModelLanguages {
    /// Those of its vocabulary, by code.
    pub(crate) tokens: Vec<Language>,
    /// Those it knows by an instruction.
    pub(crate) tasks: Vec<Task>,
    /// Whether the token of the source has a place in the frame of a sentence.
    pub(crate) source_in_frame: bool,
    /// Whether the token of the target has one; else it is put before the text.
    pub(crate) target_in_frame: bool,
    /// What the files of the model say where nobody chooses: codes of source and target.
    pub(crate) defaults: (Option<String>, Option<String>),
    /// The one pair of languages a model without a choice is for, if it is known.
    pub(crate) pair: Option<(String, String)>,
    /// Whether the files of the model say what a translation begins with, so that no target need be chosen.
    pub(crate) has_fixed_target: bool,
    /// What the user wants before every text, in place of an instruction or a token there.
    pub(crate) source_prefix: Option<Arc<str>>,
}

impl ModelLanguages {
    /// The codes of one side, in alphabetical order; none if the model translates one pair of languages only.
    pub fn codes(&self, side: Side) -> Vec<&str> {
        let mut codes: Vec<&str> = match side {
            Side::Source if !self.source_in_frame => Vec::new(),
            _ => self.tokens.iter().map(|language| language.code.as_str()).collect(),
        };
        codes.extend(self.tasks.iter().map(|task| match side {
            Side::Source => task.source.as_str(),
            Side::Target => task.target.as_str(),
        }));
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    /// What the model is told of a sentence from one language into another, each as the model writes it, as an ISO 639
    /// code or as an English name; where one is not given, what the files of the model say.
    ///
    /// # Errors
    /// [`Error::Usage`] if the model has no such language (the nearest are named), or needs one that is not given.
    pub fn choose(&self, source: Option<&str>, target: Option<&str>) -> Result<Languages> {
        let chosen = |side, wanted: Option<&str>| wanted.map(|wanted| self.find(side, wanted)).transpose();
        // A fixed target is not a language the caller chose, so the file's own setting of it has the last word.
        let default = if self.has_fixed_target { None } else { self.defaults.1.as_deref() };
        let target_code = chosen(Side::Target, target.or(default))?;
        let source_code = match source {
            // Nothing is done with the source where neither frame nor instruction wants it.
            Some(_) if self.codes(Side::Source).is_empty() && !self.tokens.is_empty() => None,
            wanted => chosen(Side::Source, wanted.or(self.defaults.0.as_deref().filter(|_| self.source_in_frame)))?,
        };
        if self.source_prefix.is_none() && !self.tasks.is_empty() {
            return self.choose_task(source_code, target_code);
        }
        let token = |code: Option<&str>| self.tokens.iter().find(|language| Some(language.code.as_str()) == code);
        let (source, target) = (token(source_code), token(target_code));
        if self.source_in_frame && source.is_none() {
            return Err(self.missing(Side::Source));
        }
        if self.target_in_frame && target.is_none() && !self.has_fixed_target {
            return Err(self.missing(Side::Target));
        }
        let token_before = || target.filter(|_| !self.target_in_frame).map(|own| format!("{} ", own.token).into());
        let prefix = self.source_prefix.clone().or_else(token_before);
        Ok(Languages { source: source.map(|language| language.id), target: target.map(|language| language.id), prefix })
    }

    /// The code of the language a text is in, as far as it is known: the one that was chosen, or that of the one pair.
    pub fn source_of(&self, chosen: &Languages) -> Option<&str> {
        let task = self.tasks.iter().find(|task| chosen.prefix.as_deref() == Some(task.prefix.as_str()));
        let chosen = self.code_of_token(chosen.source).or(task.map(|task| task.source.as_str()));
        chosen.or(self.pair.as_ref().map(|(source, _)| source.as_str()))
    }

    /// The code of the language a text is translated into, likewise.
    pub fn target_of(&self, chosen: &Languages) -> Option<&str> {
        let task = self.tasks.iter().find(|task| chosen.prefix.as_deref() == Some(task.prefix.as_str()));
        let chosen = self.code_of_token(chosen.target).or(task.map(|task| task.target.as_str()));
        chosen.or(self.pair.as_ref().map(|(_, target)| target.as_str()))
    }

    fn code_of_token(&self, id: Option<u32>) -> Option<&str> {
        let language = self.tokens.iter().find(|language| Some(language.id) == id);
        language.map(|language| language.code.as_str())
    }

    /// What should be said of languages that nobody chose.
    pub(crate) fn notes(&self, source: Option<&str>, target: Option<&str>) -> Vec<String> {
        let mut notes = Vec::new();
        if let (None, true, Some(code)) = (source, self.source_in_frame, &self.defaults.0) {
            let own = "the source is taken to be";
            notes.push(format!("{own} {code}, as tokenizer_config.json says; --from chooses another"));
        }
        if let (None, false, Some(code)) = (target, self.has_fixed_target, &self.defaults.1)
            && !self.codes(Side::Target).is_empty()
        {
            notes.push(format!("the translation is into {code}, as tokenizer_config.json says; --to chooses another"));
        }
        if let (None, None, [task, ..], None) = (source, target, &self.tasks[..], &self.source_prefix) {
            notes.push(format!(
                "the model was trained with an instruction before the text, and none is put there; --from {} --to {} puts \
                 {:?}, --source-prefix any other",
                task.source, task.target, task.prefix
            ));
        }
        notes
    }

    fn choose_task(&self, source: Option<&str>, target: Option<&str>) -> Result<Languages> {
        let Some(target) = target else {
            return source.map_or_else(|| Ok(Languages::default()), |_| Err(self.missing(Side::Target)));
        };
        let fits = |task: &&Task| task.target == target && source.is_none_or(|source| task.source == source);
        let mut found = self.tasks.iter().filter(fits);
        match (found.next(), found.next()) {
            (Some(task), None) => Ok(Languages { prefix: Some(task.prefix.as_str().into()), ..Languages::default() }),
            (Some(_), Some(_)) => Err(self.missing(Side::Source)),
            (None, _) => {
                let pairs: Vec<String> =
                    self.tasks.iter().map(|task| format!("--from {} --to {}", task.source, task.target)).collect();
                let problem = format!("the model has no such pair of languages; it has {}", pairs.join(", "));
                Err(Error::Usage(problem))
            }
        }
    }

    fn missing(&self, side: Side) -> Error {
        let (name, option) = (side.name(), side.option());
        let codes = self.codes(side);
        let example = ["deu_Latn", "de_DE", "de", "deu"].into_iter().find(|code| codes.contains(code));
        let example = example.or(codes.first().copied()).unwrap_or("CODE");
        Error::Usage(format!(
            "the model has {} languages and is not told the {name}: give {option}, for example {option} {example} \
             (`translate models NAME --languages` lists them)",
            codes.len()
        ))
    }

    /// The code of the language that is meant.
    fn find(&self, side: Side, wanted: &str) -> Result<&str> {
        let (name, option) = (side.name(), side.option());
        let codes = self.codes(side);
        let shown: String = wanted.chars().filter(|c| !c.is_control()).take(60).collect();
        if codes.is_empty() {
            let known = self.pair.as_ref().map(|(source, target)| match side {
                Side::Source => source.as_str(),
                Side::Target => target.as_str(),
            });
            let problem = match known {
                Some(known) if matches!(resolve(&[known], wanted), Resolved::Code(_)) => return Ok(known),
                Some(known) => format!("the model has one {name} language, {known}"),
                None => format!("the model has one {name} language only; leave {option} out"),
            };
            return Err(Error::Usage(format!("{option} {shown}: {problem}")));
        }
        let own = |code: &str| self.codes(side).into_iter().find(|own| *own == code);
        match resolve(&codes, wanted) {
            Resolved::Code(code) => Ok(own(code).unwrap_or_default()),
            Resolved::Several(several) => {
                let problem = format!("{option} {shown} could be {}; say which", several.join(" or "));
                Err(Error::Usage(problem))
            }
            Resolved::None(nearest) => {
                let all = codes.len();
                let hint = match (all, &nearest[..]) {
                    (..=FEW, _) => format!("; it has {}", codes.join(", ")),
                    (_, []) => format!(" (`translate models NAME --languages` lists all {all})"),
                    (_, near) => {
                        let near = near.join(", ");
                        format!("; nearest are {near} (`translate models NAME --languages` lists all {all})")
                    }
                };
                Err(Error::Usage(format!("{option} {shown}: the model has no such {name} language{hint}")))
            }
        }
    }
}

/// One language of the table.
struct Known {
    /// ISO 639 codes and their likes, the usual one first.
    codes: Vec<&'static str>,
    /// English names, the usual one first.
    names: Vec<&'static str>,
    /// The script meant where none is said.
    script: Option<&'static str>,
}

/// Every language whose codes and names are known.
fn known() -> &'static [Known] {
    static KNOWN: OnceLock<Vec<Known>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let lines = include_str!("languages.tsv").lines().filter(|line| !line.starts_with('#'));
        let language = |line: &'static str| {
            let mut fields = line.split('\t');
            Some(Known {
                codes: fields.next()?.split(' ').collect(),
                names: fields.next()?.split(';').collect(),
                script: fields.next(),
            })
        };
        lines.filter_map(language).collect()
    })
}

/// The English name of the language a code is of, if it is known.
pub fn name_of(code: &str) -> Option<&'static str> {
    let (language, ..) = parts(code);
    known().iter().find(|known| known.codes.contains(&language.as_str())).map(|known| known.names[0])
}

/// Whether two codes, of any form, are of the same language.
pub fn same_language(one: &str, other: &str) -> bool {
    let ((one, ..), (other, ..)) = (parts(one), parts(other));
    let has_both = |known: &Known| [&one, &other].iter().all(|code| known.codes.contains(&code.as_str()));
    one == other || known().iter().any(has_both)
}

/// A code as documents write it (BCP 47): `deu_Latn` is `de`, `zho_Hant` `zh-Hant`, `pt_BR` `pt-BR`. A script is written where a
/// language has several and it is not the usual one.
pub fn language_tag(code: &str) -> String {
    let (language, script, region) = parts(code);
    let known = known().iter().find(|known| known.codes.contains(&language.as_str()));
    let shortest =
        known.and_then(|known| known.codes.iter().min_by_key(|code| code.len())).map(|code| (*code).to_owned());
    let usual = known.and_then(|known| known.script).map(str::to_lowercase);
    let mut tag = shortest.unwrap_or(language);
    if let Some(script) = script.filter(|script| usual.is_some_and(|usual| *script != usual)) {
        tag.push('-');
        tag.push_str(&script[..1].to_uppercase());
        tag.push_str(&script[1..]);
    }
    if let Some(region) = region.filter(|region| code.to_lowercase().contains(region.as_str())) {
        tag.push('-');
        tag.push_str(&region.to_uppercase());
    }
    tag
}

/// Language, script and region of a code such as `zho_Hans`, `zh-TW`, `de_DE` or `deu`, in lower case.
fn parts(code: &str) -> (String, Option<String>, Option<String>) {
    let lower = code.trim().to_lowercase();
    let mut parts = lower.split(['_', '-']);
    let language = parts.next().unwrap_or_default().to_owned();
    let (mut script, mut region) = (None, None);
    for part in parts {
        match part.len() {
            4 => script = Some(part.to_owned()),
            // mBART writes XX for no region.
            2 | 3 if part != "xx" => region = Some(part.to_owned()),
            _ => {}
        }
    }
    if language == "zh" && script.is_none() {
        script = match region.as_deref() {
            Some("tw" | "hk" | "mo") => Some("hant".to_owned()),
            Some("cn" | "sg") => Some("hans".to_owned()),
            _ => None,
        };
    }
    (language, script, region)
}

/// What a wanted language may turn out to be among the codes of a model.
enum Resolved<'a> {
    Code(&'a str),
    Several(Vec<&'a str>),
    /// The codes and names that look most like it.
    None(Vec<String>),
}

fn resolve<'a>(codes: &[&'a str], wanted: &str) -> Resolved<'a> {
    // With the marks of a token, as some write them.
    let bare = wanted.trim();
    let bare = code_of(bare).unwrap_or(bare);
    if let Some(code) = codes.iter().find(|code| code.eq_ignore_ascii_case(bare)) {
        return Resolved::Code(code);
    }
    let (language, script, region) = parts(bare);
    let same_name = |known: &&Known| known.names.iter().any(|name| name.to_lowercase() == bare.to_lowercase());
    let by_code = || known().iter().find(|known| known.codes.contains(&language.as_str()));
    let by_name = || known().iter().find(same_name);
    let Some(meant) = by_code().or_else(by_name) else { return Resolved::None(nearest(codes, bare)) };
    let of_language: Vec<&str> =
        codes.iter().copied().filter(|code| meant.codes.contains(&parts(code).0.as_str())).collect();
    let fits = |code: &&str| {
        let (_, own_script, own_region) = parts(code);
        let same = |own: Option<String>, wanted: &Option<String>| own.is_none() || wanted.is_none() || own == *wanted;
        same(own_script, &script) && same(own_region, &region)
    };
    let mut found: Vec<&str> = of_language.iter().copied().filter(fits).collect();
    if found.len() > 1 && script.is_none() {
        let is_usual = |code: &&str| parts(code).1 == meant.script.map(str::to_lowercase);
        let usual: Vec<&str> = found.iter().copied().filter(is_usual).collect();
        found = if usual.is_empty() { found } else { usual };
    }
    match found[..] {
        [] if of_language.is_empty() => Resolved::None(nearest(codes, bare)),
        [] => Resolved::None(of_language.iter().map(|code| (*code).to_owned()).collect()),
        [code] => Resolved::Code(code),
        _ => Resolved::Several(found),
    }
}

/// Up to three codes whose spelling, or whose language's name, looks most like what was wanted.
fn nearest(codes: &[&str], wanted: &str) -> Vec<String> {
    let wanted = wanted.to_lowercase();
    let likeness = |code: &str| {
        let by_code = strsim::jaro_winkler(&code.to_lowercase(), &wanted);
        name_of(code).map_or(by_code, |name| by_code.max(strsim::jaro_winkler(&name.to_lowercase(), &wanted)))
    };
    let mut ranked: Vec<(f64, &str)> = codes.iter().map(|code| (likeness(code), *code)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let shown =
        |&(_, code): &(f64, &str)| name_of(code).map_or_else(|| code.to_owned(), |name| format!("{code} ({name})"));
    ranked.iter().filter(|(likeness, _)| *likeness > 0.7).take(3).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(tokens: &[&str]) -> ModelLanguages {
        let tokens = Language::all(tokens.iter().enumerate().map(|(id, token)| (id as u32 + 100, *token)));
        ModelLanguages { tokens, source_in_frame: true, target_in_frame: true, ..ModelLanguages::default() }
    }

    fn found(codes: &[&str], wanted: &str) -> String {
        match resolve(codes, wanted) {
            Resolved::Code(code) => code.to_owned(),
            Resolved::Several(several) => format!("several: {}", several.join(" ")),
            Resolved::None(nearest) => format!("none: {}", nearest.join(", ")),
        }
    }

    #[test]
    fn tokens_of_every_family_name_their_language() {
        let tokens = [">>deu_Latn<<", "<2de>", "__de__", "deu_Latn", "de_DE", "en_XX", "<s>", "▁de", "<2>", "a_b", "_"];
        let codes: Vec<Option<&str>> = tokens.into_iter().map(code_of).collect();
        let named = ["deu_Latn", "de", "de", "deu_Latn", "de_DE", "en_XX"].map(Some);
        assert_eq!(codes[..6], named);
        assert!(codes[6..].iter().all(Option::is_none), "{codes:?}");
    }

    #[test]
    fn documents_write_the_shortest_code() {
        let tags = ["deu_Latn", "de_DE", "zho_Hant", "pt_BR", "rus_Cyrl", "en_XX", "xyz"].map(language_tag);
        assert_eq!(tags, ["de", "de-DE", "zh-Hant", "pt-BR", "ru", "en", "xyz"]);
    }

    #[test]
    fn a_language_is_found_by_its_own_code_an_iso_code_or_its_english_name() {
        let nllb = ["arb_Arab", "deu_Latn", "pes_Arab", "por_Latn", "zho_Hans", "zho_Hant", "zsm_Latn"];
        for (wanted, code) in [
            ("deu_Latn", "deu_Latn"),
            ("DEU_latn", "deu_Latn"),
            ("de", "deu_Latn"),
            ("ger", "deu_Latn"),
            ("de-AT", "deu_Latn"),
            ("German", "deu_Latn"),
            (" german ", "deu_Latn"),
            ("__de__", "deu_Latn"),
            ("ar", "arb_Arab"),
            ("Farsi", "pes_Arab"),
            ("ms", "zsm_Latn"),
            ("zh", "zho_Hans"),
            ("zh-TW", "zho_Hant"),
            ("zh_Hant", "zho_Hant"),
            ("Chinese", "zho_Hans"),
            ("pt-BR", "por_Latn"),
        ] {
            assert_eq!(found(&nllb, wanted), code, "{wanted}");
        }
        let mbart = ["de_DE", "en_XX", "pt_XX", "zh_CN"];
        assert_eq!(found(&mbart, "english"), "en_XX");
        assert_eq!(found(&mbart, "pt-BR"), "pt_XX");
        assert_eq!(found(&mbart, "zho"), "zh_CN");
    }

    #[test]
    fn a_language_the_model_lacks_is_not_guessed_and_the_nearest_are_named() {
        let codes = ["deu_Latn", "fra_Latn", "zho_Hans"];
        assert_eq!(found(&codes, "Germn"), "none: deu_Latn (German)");
        assert!(found(&codes, "frx_Latn").starts_with("none: fra_Latn (French)"));
        assert_eq!(found(&codes, "Klingonisch"), "none: ");
        assert_eq!(found(&codes, "zh_Hant"), "none: zho_Hans");
    }

    #[test]
    fn tokens_stand_in_the_frame_or_before_the_text() {
        let in_frame = model(&["deu_Latn", "eng_Latn"]);
        let chosen = in_frame.choose(Some("de"), Some("English")).unwrap();
        assert_eq!(chosen, Languages { source: Some(100), target: Some(101), prefix: None });
        assert_eq!((in_frame.source_of(&chosen), in_frame.target_of(&chosen)), (Some("deu_Latn"), Some("eng_Latn")));
        let before = ModelLanguages { source_in_frame: false, target_in_frame: false, ..model(&["<2de>", "<2en>"]) };
        let chosen = before.choose(None, Some("de")).unwrap();
        assert_eq!(chosen.prefix.as_deref(), Some("<2de> "));
        assert_eq!(before.choose(None, None).unwrap(), Languages::default());
        // The source goes without saying.
        assert_eq!(before.choose(Some("en"), Some("de")).unwrap().prefix.as_deref(), Some("<2de> "));
    }

    #[test]
    fn a_model_of_one_pair_may_be_told_it_and_no_other() {
        let model = ModelLanguages { pair: Some(("de".to_owned(), "en".to_owned())), ..ModelLanguages::default() };
        let chosen = Languages::default();
        assert_eq!((model.source_of(&chosen), model.target_of(&chosen)), (Some("de"), Some("en")));
        assert_eq!(model.choose(Some("German"), Some("eng")).unwrap(), Languages::default());
        let error = model.choose(None, Some("fr")).unwrap_err().to_string();
        assert_eq!(error, "--to fr: the model has one target language, en");
    }

    #[test]
    fn a_missing_language_says_how_to_give_it() {
        let model = model(&["deu_Latn", "eng_Latn"]);
        let error = model.choose(None, Some("de")).unwrap_err().to_string();
        assert!(error.contains("not told the source: give --from, for example --from deu_Latn"), "{error}");
        let fixed = ModelLanguages { has_fixed_target: true, defaults: (Some("eng_Latn".into()), None), ..model };
        assert_eq!(fixed.choose(None, None).unwrap(), Languages { source: Some(101), ..Languages::default() });
    }

    #[test]
    fn an_instruction_is_found_by_its_pair() {
        let task = |source: &str, target: &str| Task {
            source: source.to_owned(),
            target: target.to_owned(),
            prefix: format!("translate {source} to {target}: "),
        };
        let model = ModelLanguages { tasks: vec![task("en", "de"), task("en", "fr")], ..ModelLanguages::default() };
        let prefix = |source, target| {
            model.choose(source, target).map(|languages| languages.prefix.as_deref().map(str::to_owned))
        };
        assert_eq!(prefix(None, Some("German")).unwrap().unwrap(), "translate en to de: ");
        assert_eq!(prefix(None, None).unwrap(), None);
        assert_eq!(model.source_of(&model.choose(None, Some("de")).unwrap()), Some("en"));
        assert_eq!(model.source_of(&Languages::default()), None);
        let error = prefix(Some("de"), Some("en")).unwrap_err().to_string();
        assert_eq!(error, "--to en: the model has no such target language; it has de, fr");
    }

    #[test]
    fn codes_of_one_language_are_the_same_in_any_form() {
        for (one, other, is_same) in [
            ("de", "deu_Latn", true),
            ("de_DE", "ger", true),
            ("xx", "xx", true),
            ("cmn", "zh_CN", true),
            ("de", "nl", false),
            ("xx", "de", false),
        ] {
            assert_eq!(same_language(one, other), is_same, "{one} {other}");
        }
    }

    #[test]
    fn no_code_of_the_table_is_of_two_languages() {
        let mut codes: Vec<&str> = known().iter().flat_map(|known| known.codes.iter().copied()).collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}
