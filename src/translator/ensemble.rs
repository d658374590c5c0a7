//! Translating with several models at once.

use std::sync::Arc;

use super::{CandidateTranslation, Translation, Translator};
use crate::compute::Workspace;
use crate::model::{Average, Ensemble, Record};
use crate::search::{self, OtherSource, Source};
use crate::text::Languages;
use crate::{Error, Result};

impl Translator {
    /// Has every token chosen together with other models, whose target vocabularies must be this one's; each cuts the source into
    /// pieces of its own. `weights` are one for this model and one for each other, or none for equal ones. Attention, search
    /// settings and how text is treated stay this model's.
    ///
    /// # Errors
    /// [`Error::Usage`] if a vocabulary is another one, with the first piece that differs, or the weights are unusable.
    pub fn with_ensemble(mut self, others: Vec<Translator>, weights: &[f32], average: Average) -> Result<Self> {
        let end = self.search_options().end_token;
        for other in &others {
            let differs = |problem: String| {
                Error::Usage(format!(
                    "{} and {} cannot choose words together: {problem}; an ensemble needs one target vocabulary",
                    self.name, other.name
                ))
            };
            let (own, theirs) = (&self.vocabularies.target, &other.vocabularies.target);
            let shown = |piece: Option<&str>| piece.map_or_else(|| "nothing".to_owned(), |piece| format!("`{piece}`"));
            let size = own.size().max(theirs.size()) as u32;
            if let Some(id) = (0..size).find(|&id| own.piece(id) != theirs.piece(id)) {
                let (own, theirs) = (shown(own.piece(id)), shown(theirs.piece(id)));
                return Err(differs(format!("target piece {id} is {own} in one and {theirs} in the other")));
            }
            let their_end = other.search_options().end_token;
            if their_end != end {
                return Err(differs(format!("sentences end with token {end} in one and {their_end} in the other")));
            }
        }
        let models = std::iter::once(&self).chain(&others).map(|own| Arc::clone(&own.model)).collect();
        self.model = Arc::new(Ensemble::new(models, weights, average)?);
        self.notes.extend(others.iter().flat_map(|other| &other.notes).cloned());
        self.members.extend(others);
        Ok(self)
    }

    /// The other models of the ensemble.
    pub fn members(&self) -> &[Translator] {
        &self.members
    }

    /// The candidates of an ensemble's translations as one of its other members, alone, goes along them: that member's log-probabilities
    /// and, if recorded, its attention.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If there is no such member.
    pub fn along_member(
        &self,
        member: usize,
        translations: &[Translation],
        record: Record,
        workspace: &mut Workspace,
    ) -> Result<Vec<Translation>> {
        let other = &self.members[member];
        let source = |translation: &Translation| {
            let ids = translation.others.get(member).map(|own| own.ids.clone()).unwrap_or_default();
            Source { ids, ..Source::default() }
        };
        let sources: Vec<Source> = translations.iter().map(source).collect();
        let pairs: Vec<(&Source, &[u32])> = translations
            .iter()
            .zip(&sources)
            .filter(|(_, source)| !source.ids.is_empty())
            .flat_map(|(translation, source)| {
                translation.candidates.iter().map(move |own| (source, &own.hypothesis.ids[..]))
            })
            .collect();
        let options = other.search_options();
        let forced = search::force_decode_with(&*other.model, &pairs, &options, record, 0, workspace)
            .map_err(|error| error.in_batch_of(pairs.len()))?;
        let mut forced = forced.into_iter().map(|forced| forced.hypothesis);
        let of_translation = |(translation, source): (&Translation, Source)| {
            let count = if source.ids.is_empty() { 0 } else { translation.candidates.len() };
            let candidates = translation.candidates.iter().zip(forced.by_ref().take(count));
            Translation {
                source: source.ids,
                source_truncated: translation.source_truncated,
                read: translation.read.clone(),
                languages: other.languages_as(self, &translation.languages),
                candidates: candidates
                    .map(|(own, hypothesis)| CandidateTranslation { text: own.text.clone(), hypothesis })
                    .collect(),
                ..Translation::default()
            }
        };
        Ok(translations.iter().zip(sources).map(of_translation).collect())
    }

    /// A text as the other members of an ensemble get it; `cut` becomes true if one of them had to cut it.
    pub(super) fn other_sources(&self, text: &str, languages: &Languages, cut: &mut bool) -> Vec<OtherSource> {
        let of_member = |member: &Translator| {
            let languages = member.languages_as(self, languages);
            let (ids, own_cut) = member.source_ids_in(text, &languages);
            *cut |= own_cut;
            OtherSource { ids, start: member.beginning(&languages).start }
        };
        self.members.iter().map(of_member).collect()
    }

    /// The languages that another model was told, as this one has them.
    fn languages_as(&self, other: &Translator, languages: &Languages) -> Languages {
        let own = self.chosen.clone().unwrap_or_default();
        if other.chosen.as_ref() == Some(languages) {
            return own;
        }
        let (theirs, ours) = (&other.vocabularies.source, &self.vocabularies.source);
        let token = |id: Option<u32>| theirs.piece(id?).and_then(|piece| ours.id(piece));
        Languages {
            source: token(languages.source).or(own.source),
            target: token(languages.target).or(own.target),
            prefix: own.prefix,
        }
    }
}
