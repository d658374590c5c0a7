//! Words that a translation must have, as a search is told of them.

use std::sync::Arc;

use super::Translator;
use crate::search::{Constraints, Form};
use crate::text::{Place, TokenBoundaries, glossary};

impl Translator {
    /// Words as a search is told of them; what has an unknown piece cannot be generated.
    pub(super) fn constraints(&self, words: &[Vec<String>], limit: usize) -> Constraints {
        let target = &self.vocabularies.target;
        let boundaries = self.boundaries.get_or_init(|| Arc::new(TokenBoundaries::of(&**target)));
        let unknown = target.specials().unknown;
        let forms_of = |word: &String| {
            let capital = glossary::with_first(word, |first| first.to_uppercase().collect());
            let mut forms: Vec<Form> = Vec::new();
            let mut push = |tokens: Vec<u32>, place: Place| {
                let is_known = forms.iter().any(|form| form.tokens == tokens && form.place <= place);
                if !is_known && !tokens.is_empty() && !tokens.iter().any(|&token| Some(token) == unknown) {
                    forms.push(Form { tokens, place });
                }
            };
            for (word, place) in [(word, Place::Anywhere), (&capital, Place::SentenceStart)] {
                push(self.target_ids_inside(word), place);
                push(self.target_ids(word), Place::Beginning);
            }
            forms
        };
        let words = words.iter().map(|forms| forms.iter().flat_map(forms_of).collect());
        Constraints::new(words.collect(), Arc::clone(boundaries), limit.saturating_sub(1))
    }

    /// The pieces of a word behind another.
    fn target_ids_inside(&self, word: &str) -> Vec<u32> {
        let before = self.target_ids("a");
        let mut ids = self.target_ids(&format!("a {word}"));
        match ids.starts_with(&before) && !before.is_empty() {
            true => ids.split_off(before.len()),
            false => self.target_ids(word),
        }
    }
}
