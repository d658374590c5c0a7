//! From a translation with its recorded attention to a map.

use super::map::{AttentionMap, Kind};
use crate::text::{Vocabulary, Word, is_special, words};
use crate::translator::{Translation, Translator};
use crate::{Error, Result};

impl AttentionMap {
    /// The attention of `kind` behind the `rank`-th best translation (from 0) of one sentence.
    ///
    /// `source` is the text that was translated; `line` is where it stood in the input, from 1.
    ///
    /// # Errors
    /// If attention of this kind was not recorded, or the map is defective (see [`AttentionMap::check`]).
    pub fn of(
        translator: &Translator,
        kind: Kind,
        line: u64,
        source: &str,
        translation: &Translation,
        rank: usize,
    ) -> Result<Self> {
        let missing = || Error::Attention(format!("line {line}: no {kind} attention was recorded"));
        let candidate = translation.candidates.get(rank).ok_or_else(missing)?;
        let hypothesis = &candidate.hypothesis;
        let attention = match kind {
            Kind::Cross => &hypothesis.cross_attention,
            Kind::Encoder => &hypothesis.encoder_attention,
            Kind::Decoder => &hypothesis.decoder_attention,
        };
        let vocabularies = translator.vocabularies();
        let piece = |id| translator.source_pieces(&[id]).concat();
        let mut source_words = real_words(&*vocabularies.source, &translation.source);
        let text = Translator::prefixed(source, &translation.languages);
        name_unknown(&*vocabularies.source, &text, &translation.source, &mut source_words);
        let map = Self {
            line,
            kind,
            source: source.to_owned(),
            translation: candidate.text.clone(),
            score: Some(hypothesis.score),
            source_pieces: translator.source_pieces(&translation.source),
            target_pieces: translator.target_pieces(hypothesis),
            source_words,
            target_words: real_words(&*vocabularies.target, &hypothesis.ids),
            start_piece: translator.target_piece(translator.search_options().start_token),
            end_piece: piece(translator.frame().end),
            attention: attention.clone().ok_or_else(missing)?,
        };
        map.check()?;
        Ok(map)
    }
}

/// The words of a sentence without special tokens.
fn real_words(vocabulary: &dyn Vocabulary, ids: &[u32]) -> Vec<Word> {
    let mut words = words(vocabulary, ids);
    words.retain(|word| !is_special(vocabulary, ids[word.pieces.start]));
    words
}

/// Gives source words of unknown pieces the text they stand for.
fn name_unknown(vocabulary: &dyn Vocabulary, source: &str, ids: &[u32], words: &mut [Word]) {
    let Some(unknown) = vocabulary.specials().unknown else { return };
    if !ids.contains(&unknown) {
        return;
    }
    let segments = vocabulary.segment(source);
    // Tokens that the translator puts before the sentence shift its pieces.
    let numbers: Vec<u32> = segments.iter().map(|segment| segment.id).collect();
    let Some(shift) = (0..=2).find(|&shift| ids.get(shift..).is_some_and(|ids| ids.starts_with(&numbers))) else {
        return;
    };
    for word in words {
        let pieces = word.pieces.clone();
        if ids[pieces.clone()].contains(&unknown) && pieces.start >= shift && pieces.end - shift <= segments.len() {
            let text: String =
                segments[pieces.start - shift..pieces.end - shift].iter().map(|s| s.text.as_str()).collect();
            word.text = text.trim_start_matches('▁').to_owned();
        }
    }
}
