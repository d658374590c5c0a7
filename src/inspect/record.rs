//! From a translation with its recorded attention to a map.

use super::map::{AttentionMap, Kind, Meaning};
use crate::spec::Spec;
use crate::spec::recurrent::{Choice, Reach, Score};
use crate::text::{source_words, spelled, target_words};
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
        let prefix = translation.languages.prefix.as_deref().unwrap_or_default();
        let replaced = translator.replaced_unknown(source, translation, hypothesis);
        // What stands for unknown pieces, if they were replaced.
        let is_replaced = candidate.text != translator.plain_text(translation, hypothesis);
        let replaced = |at: usize| replaced.get(at).cloned().flatten().filter(|_| is_replaced);
        let read = translation.read(source);
        let mut source_words = source_words(&*vocabularies.source, prefix, read, &translation.source);
        for word in &mut source_words {
            word.text = source[word.bytes.clone()].to_owned();
        }
        let mut target_ids = hypothesis.ids.clone();
        target_ids.extend(hypothesis.ended.then(|| translator.search_options().end_token));
        let map = Self {
            line,
            kind,
            source: source.to_owned(),
            translation: candidate.text.clone(),
            score: Some(hypothesis.score),
            source_pieces: translator.source_pieces(&translation.source),
            target_pieces: translator.target_pieces(hypothesis),
            source_texts: spelled(&*vocabularies.source, &translation.source),
            target_texts: spelled(&*vocabularies.target, &target_ids),
            source_words,
            target_words: target_words(&*vocabularies.target, &candidate.text, &hypothesis.ids, replaced),
            start_piece: translator.target_piece(translator.search_options().start_token),
            end_piece: piece(translator.frame().end),
            attention: attention.clone().ok_or_else(missing)?,
            meaning: meaning(translator.spec()),
        };
        map.check()?;
        Ok(map)
    }
}

/// What the attention of a network is.
fn meaning(spec: &Spec) -> Meaning {
    let Spec::Recurrent(spec) = spec else { return Meaning::Weights };
    match spec.attention {
        Some(attention) if attention.choice != Choice::Soft => Meaning::Probabilities,
        Some(attention) if matches!(attention.reach, Reach::LocalPredictive { .. }) => Meaning::Partial,
        Some(attention) if matches!(attention.score, Score::Location { beyond: true, .. }) => Meaning::Partial,
        _ => Meaning::Weights,
    }
}
