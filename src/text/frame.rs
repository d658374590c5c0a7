//! What stands around a sentence: the tokens before and after the source, and those a translation begins with.

use super::Vocabulary;

/// A token of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// This token.
    Id(u32),
    /// The sentence end as the source vocabulary numbers it, or [`Frame::end`] where it has none.
    SourceEnd,
    /// The language of the source, if one is chosen.
    SourceLanguage,
    /// The language of the target, if one is chosen.
    TargetLanguage,
}

/// The languages chosen for a sentence, as tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Languages {
    /// Of the source.
    pub source: Option<u32>,
    /// Of the target.
    pub target: Option<u32>,
}

/// The frame of a model's sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the encoder gets before and after a sentence; `None` where the vocabulary's template says so (the
    /// `post_processor` of a `tokenizer.json`), and a sentence end alone if it has none.
    pub source: Option<(Vec<Part>, Vec<Part>)>,
    /// What the decoder is fed first.
    pub start: Part,
    /// The first token of a translation, whatever the model says.
    pub first: Option<Part>,
    /// The token that ends a translation.
    pub end: u32,
    /// Padding; never produced.
    pub padding: u32,
    /// The last token within the length limit, where a configuration's class has one and no file says otherwise.
    pub forced_end: Option<u32>,
}

impl Frame {
    /// The tokens before and after a source sentence.
    pub fn around(&self, vocabulary: &dyn Vocabulary, languages: Languages) -> (Vec<u32>, Vec<u32>) {
        let all = |parts: &[Part]| parts.iter().filter_map(|&part| self.token(part, vocabulary, languages)).collect();
        match &self.source {
            Some((before, after)) => (all(before), all(after)),
            None => vocabulary.template().unwrap_or_else(|| (Vec::new(), vec![self.end])),
        }
    }

    /// The token a part stands for, or `None` for a language that is not chosen.
    pub fn token(&self, part: Part, vocabulary: &dyn Vocabulary, languages: Languages) -> Option<u32> {
        match part {
            Part::Id(id) => Some(id),
            Part::SourceEnd => Some(vocabulary.specials().end.unwrap_or(self.end)),
            Part::SourceLanguage => languages.source,
            Part::TargetLanguage => languages.target,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::WordList;

    fn frame(source: Option<(Vec<Part>, Vec<Part>)>) -> Frame {
        Frame { source, start: Part::Id(1), first: None, end: 9, padding: 0, forced_end: None }
    }

    #[test]
    fn a_language_decides_what_stands_around_a_sentence() {
        let words = WordList::parse(b"<pad>\n<unk>\n</s>\na", "vocab.txt").unwrap();
        let nllb = frame(Some((vec![Part::SourceLanguage], vec![Part::SourceEnd])));
        let german = Languages { source: Some(70), target: Some(80) };
        assert_eq!(nllb.around(&words, german), (vec![70], vec![2]));
        assert_eq!(nllb.around(&words, Languages::default()), (vec![], vec![2]));
        let mbart = Frame { first: Some(Part::TargetLanguage), ..nllb };
        assert_eq!(mbart.first.and_then(|part| mbart.token(part, &words, german)), Some(80));
    }

    #[test]
    fn without_a_template_a_sentence_ends_with_the_end_and_a_model_that_wants_nothing_gets_nothing() {
        let words = WordList::parse(b"<pad>\n<unk>\na", "vocab.txt").unwrap();
        assert_eq!(frame(None).around(&words, Languages::default()), (vec![], vec![9]));
        let nothing = frame(Some((vec![], vec![])));
        assert_eq!(nothing.around(&words, Languages::default()), (vec![], vec![]));
    }
}
