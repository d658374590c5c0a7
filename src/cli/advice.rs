//! What is said of lines that do not look like what they are taken for: one sentence, in the model's language.

use translate::Translator;
use translate::text::{Languages, same_language, split_sentences};
use whatlang::Lang;

use super::job::{Translated, TranslationJob};

/// Says once that a line which looks like several sentences is kept whole, where the model's lines are split by default.
pub(super) struct KeptWhole {
    /// What keeps it whole; nothing is said without.
    what: Option<&'static str>,
}

impl KeptWhole {
    /// `what` names the command or the option in the message.
    pub(super) fn new(translator: &Translator, what: &'static str) -> Self {
        Self { what: translator.text_defaults().split_sentences.then_some(what) }
    }

    /// The warning about a source text, if it is the first of its kind.
    pub(super) fn warning(&mut self, translator: &Translator, languages: &Languages, text: &str) -> Option<String> {
        let what = self.what?;
        let count = split_sentences(text.trim(), translator.languages().source_of(languages)).len();
        if count < 2 {
            return None;
        }
        self.what = None;
        let advice = "give each a line of its own";
        Some(format!("it looks like {count} sentences, and {what} takes it whole; {advice} (said once)"))
    }

    /// The same of a text in the languages of the run.
    pub(super) fn warning_of(&mut self, translator: &Translator, text: &str) -> Option<String> {
        self.what?;
        self.warning(translator, &translator.chosen_languages().unwrap_or_default(), text)
    }
}

/// What `translate` and `eval` say of their lines, each thing once.
pub(super) struct Advice {
    attention: Option<KeptWhole>,
    prefix: KeptWhole,
    lost: bool,
    language: OtherLanguage,
}

impl Advice {
    /// For the lines of a job, all of which are kept whole where their `attention` is written.
    pub(super) fn new(job: &TranslationJob) -> Self {
        Self {
            attention: job.attention.maps.then(|| KeptWhole::new(&job.translator, "--attention")),
            prefix: KeptWhole { what: Some("a line with a \"target_prefix\" or words it must have") },
            lost: false,
            language: OtherLanguage::default(),
        }
    }

    /// The warnings about a line, in words.
    pub(super) fn warnings(&mut self, job: &TranslationJob, translated: &Translated) -> Vec<String> {
        // Pieces are not read as text.
        if job.is_of_pieces {
            return Vec::new();
        }
        let (translator, Translated { text, languages, .. }) = (&job.translator, translated);
        let mut warnings = Vec::new();
        if let Some(attention) = &mut self.attention {
            warnings.extend(attention.warning(translator, languages, text));
        } else if translated.kept_whole {
            warnings.extend(self.prefix.warning(translator, languages, text));
        }
        if !self.lost && !translated.is_split() && translated.sentences.iter().all(|sentence| !sentence.truncated()) {
            let own = translator.languages();
            let (source, target) = (own.source_of(languages), own.target_of(languages));
            let sentences = split_sentences(text.trim(), source);
            if sentences.len() > 1 && is_much_shorter(text, sentences.len(), &translated.text(0), target) {
                self.lost = true;
                let is_fixed = self.attention.is_some() || translated.kept_whole;
                let advice = if is_fixed { "give each a line of its own" } else { "try --split-sentences" };
                let count = sentences.len();
                let what = format!("it looks like {count} sentences, and the translation is much shorter");
                warnings.push(format!("{what}: something may be missing; {advice} (said once)"));
            }
        }
        warnings.extend(self.language.warning(translator, translated));
        warnings
    }
}

/// Whether a translation is so much shorter than a source of several sentences that one of them is probably missing.
fn is_much_shorter(source: &str, sentences: usize, translation: &str, target: Option<&str>) -> bool {
    // A Chinese or Japanese character says as much as several letters.
    let length = |text: &str| -> usize {
        let wide = |character: char| matches!(character, '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}');
        text.chars()
            .filter(|character| character.is_alphanumeric())
            .map(|character| if wide(character) { 3 } else { 1 })
            .sum()
    };
    let found = split_sentences(translation.trim(), target).len();
    // Measured on lines kept whole: of those more than a tenth shorter than their sentences give, the Transformer's are found
    // 11 times in 26 and the GRU's 56 in 81; of 400 human translations none is.
    found < sentences && 20 * length(translation) < 13 * length(source)
}

/// Says once that a line looks like another language than the one that the model translates.
#[derive(Default)]
struct OtherLanguage {
    /// The source language, as the model writes it, and what the guesser calls it.
    expected: Option<(String, Option<Lang>)>,
    /// Long lines seen.
    seen: u64,
    said: bool,
}

impl OtherLanguage {
    /// Fewer letters say too little of their language.
    const LETTERS: usize = 40;
    /// More characters say no more.
    const CHARACTERS: usize = 300;
    /// The first long lines are looked at, then one in so many: a guess takes a tenth of a millisecond.
    const FIRST: u64 = 4;
    const ONE_IN: u64 = 32;

    fn warning(&mut self, translator: &Translator, translated: &Translated) -> Option<String> {
        let text = &translated.text;
        if self.said || text.len() < Self::LETTERS {
            return None;
        }
        // A line of JSON that says its own language knows better.
        let chosen = translator.chosen_languages().ok()?;
        if translated.languages.source != chosen.source || letters(text) < Self::LETTERS {
            return None;
        }
        self.seen += 1;
        if self.seen > Self::FIRST && !self.seen.is_multiple_of(Self::ONE_IN) {
            return None;
        }
        let code = translator.languages().source_of(&chosen)?;
        if self.expected.as_ref().is_none_or(|(known, _)| known != code) {
            let known = Lang::all().iter().copied().find(|language| same_language(language.code(), code));
            self.expected = Some((code.to_owned(), known));
        }
        let expected = self.expected.as_ref()?.1?;
        let start = text.char_indices().nth(Self::CHARACTERS).map_or(text.len(), |(end, _)| end);
        let guess = other_language(&text[..start], expected)?;
        self.said = true;
        let name = |language: Lang| translate::text::languages::name_of(language.code()).unwrap_or(language.eng_name());
        let (guess, expected) = (name(guess), name(expected));
        Some(format!("it looks like {guess}, and the model translates from {expected} (said once)"))
    }
}

fn letters(text: &str) -> usize {
    text.chars().filter(|character| character.is_alphabetic()).count()
}

/// The language a text is in, if that is clear and it is not `expected` or much like it.
fn other_language(text: &str, expected: Lang) -> Option<Lang> {
    /// With this confidence, 13 of 150,000 German lines are taken for others, some of which are, and three in four English ones
    /// are found.
    const CLEAR: f64 = 0.7;
    /// So alike that a guess says nothing.
    const ALIKE: [&[Lang]; 7] = [
        &[Lang::Nob, Lang::Dan, Lang::Swe],
        &[Lang::Ces, Lang::Slk],
        &[Lang::Hrv, Lang::Srp, Lang::Slv, Lang::Mkd, Lang::Bul],
        &[Lang::Rus, Lang::Ukr, Lang::Bel, Lang::Bul],
        &[Lang::Spa, Lang::Por, Lang::Cat],
        &[Lang::Nld, Lang::Afr],
        &[Lang::Ind, Lang::Jav],
    ];
    let guess = whatlang::detect(text)?;
    // No guess is needed where the letters are of another kind.
    let is_foreign = !guess.script().langs().contains(&expected);
    if guess.confidence() < CLEAR && !is_foreign {
        return None;
    }
    let guess = guess.lang();
    if guess == expected || ALIKE.iter().any(|alike| alike.contains(&guess) && alike.contains(&expected)) {
        return None;
    }
    if !is_foreign && text.contains(char::is_lowercase) {
        // Names and titles are in whatever language: the small words have to say the same.
        let small = |word: &&str| word.starts_with(char::is_lowercase);
        let small: Vec<&str> = text.split_whitespace().filter(small).collect();
        let small = small.join(" ");
        if letters(&small) < OtherLanguage::LETTERS / 2 || whatlang::detect_lang(&small) != Some(guess) {
            return None;
        }
    }
    Some(guess)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_language_is_noticed_where_it_is_clear() {
        let guess = |text| other_language(text, Lang::Deu);
        assert_eq!(guess("The children are playing in the garden because the weather is nice today."), Some(Lang::Eng));
        assert_eq!(guess("Les enfants jouent dans le jardin parce que le temps est très beau."), Some(Lang::Fra));
        assert_eq!(guess("Дети играют в саду, потому что сегодня хорошая погода."), Some(Lang::Rus));
        assert_eq!(guess("今日は天気がいいので、子供たちは庭で遊んでいます。とても楽しそうです。"), Some(Lang::Jpn));
        for german in [
            "Die Kinder spielen im Garten, weil das Wetter heute schön ist.",
            "Der Film „The Lord of the Rings: The Return of the King“ läuft im Kino.",
            "die kinder spielen im garten, weil das wetter heute schön ist.",
            "DIE KINDER SPIELEN IM GARTEN, WEIL DAS WETTER HEUTE SCHÖN IST.",
        ] {
            assert_eq!(guess(german), None, "{german}");
        }
        let bokmål = "Barna leker i hagen fordi været er så fint i dag, sier hun.";
        assert_eq!(other_language(bokmål, Lang::Dan), None);
    }

    #[test]
    fn a_translation_of_half_the_sentences_is_much_shorter() {
        let source = "Ein Hund rennt. Eine Katze schläft. Ein Vogel singt.";
        assert!(is_much_shorter(source, 3, "A dog is running.", Some("en")));
        assert!(!is_much_shorter(source, 3, "A dog runs. A cat sleeps. A bird sings.", Some("en")));
        assert!(!is_much_shorter(source, 3, "A dog runs, a cat sleeps, and a bird sings.", Some("en")));
        assert!(!is_much_shorter("A dog runs. A cat sleeps.", 2, "狗在跑，猫在睡觉。", Some("zh")));
    }
}
