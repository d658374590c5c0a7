//! What stands around a sentence: the tokens before and after the source, and those a translation begins with.

use serde::{Deserialize, Serialize};

use super::{Languages, Vocabulary};

/// A token of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Part {
    /// This token.
    Id(u32),
    /// The sentence end as the source vocabulary numbers it, or [`Frame::end`] where it has none.
    SourceEnd,
    /// The language of the source, if one is chosen.
    SourceLanguage,
    /// The language of the target: that which is chosen, else the frame's own.
    TargetLanguage,
}

/// The frame of a model's sentences.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
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
    /// Padding.
    pub padding: u32,
    /// Whether padding is never produced. In most families nothing forbids it, and no trained model does it.
    pub bans_padding: bool,
    /// The target language's token where nobody chooses one.
    pub target: Option<u32>,
    /// The last token within the length limit, where a configuration's class has one and no file says otherwise.
    pub forced_end: Option<u32>,
    /// Whether the encoder reads a sentence from its end (Sutskever, Vinyals and Le 2014); what stands around it stays in place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reverses_source: bool,
    /// Tokens up to which every source is filled with padding, which such a model reads as any other token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padded_length: Option<usize>,
}

impl Frame {
    /// A frame without anything special: what stands around a source, what the decoder is fed first, the sentence end and padding.
    pub fn new(source: Option<(Vec<Part>, Vec<Part>)>, start: Part, end: u32, padding: u32) -> Self {
        Self {
            source,
            start,
            first: None,
            end,
            padding,
            bans_padding: false,
            target: None,
            forced_end: None,
            reverses_source: false,
            padded_length: None,
        }
    }

    /// The tokens before and after a source sentence.
    pub fn around(&self, vocabulary: &dyn Vocabulary, languages: &Languages) -> (Vec<u32>, Vec<u32>) {
        let all = |parts: &[Part]| parts.iter().filter_map(|&part| self.token(part, vocabulary, languages)).collect();
        match &self.source {
            Some((before, after)) => (all(before), all(after)),
            None => vocabulary.template().unwrap_or_else(|| (Vec::new(), vec![self.end])),
        }
    }

    /// Whether a part stands anywhere in the frame.
    pub fn has(&self, part: Part) -> bool {
        let around = self.source.iter().flat_map(|(before, after)| before.iter().chain(after));
        around.chain([&self.start]).chain(&self.first).any(|&own| own == part)
    }

    /// The token a part stands for, or `None` for a language that is not chosen.
    pub fn token(&self, part: Part, vocabulary: &dyn Vocabulary, languages: &Languages) -> Option<u32> {
        match part {
            Part::Id(id) => Some(id),
            Part::SourceEnd => Some(vocabulary.specials().end.unwrap_or(self.end)),
            Part::SourceLanguage => languages.source,
            Part::TargetLanguage => languages.target.or(self.target),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::WordList;

    fn frame(source: Option<(Vec<Part>, Vec<Part>)>) -> Frame {
        Frame { bans_padding: true, ..Frame::new(source, Part::Id(1), 9, 0) }
    }

    #[test]
    fn a_language_decides_what_stands_around_a_sentence() {
        let words = WordList::parse(b"<pad>\n<unk>\n</s>\na", "vocab.txt").unwrap();
        let nllb = frame(Some((vec![Part::SourceLanguage], vec![Part::SourceEnd])));
        let german = Languages { source: Some(70), target: Some(80), prefix: None };
        assert_eq!(nllb.around(&words, &german), (vec![70], vec![2]));
        assert_eq!(nllb.around(&words, &Languages::default()), (vec![], vec![2]));
        let mbart = Frame { first: Some(Part::TargetLanguage), ..nllb };
        let first =
            |frame: &Frame, languages: &Languages| frame.first.and_then(|part| frame.token(part, &words, languages));
        assert_eq!(first(&mbart, &german), Some(80));
        assert!(mbart.has(Part::SourceLanguage) && mbart.has(Part::TargetLanguage));
        let into_french = Frame { target: Some(90), ..mbart };
        assert_eq!(first(&into_french, &Languages::default()), Some(90));
        assert_eq!(first(&into_french, &german), Some(80));
    }

    #[test]
    fn without_a_template_a_sentence_ends_with_the_end_and_a_model_that_wants_nothing_gets_nothing() {
        let words = WordList::parse(b"<pad>\n<unk>\na", "vocab.txt").unwrap();
        assert_eq!(frame(None).around(&words, &Languages::default()), (vec![], vec![9]));
        let nothing = frame(Some((vec![], vec![])));
        assert_eq!(nothing.around(&words, &Languages::default()), (vec![], vec![]));
    }
}
