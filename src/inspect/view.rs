//! One translation of a line as one model made it, with all that was recorded about it.

use super::map::{AttentionMap, Kind};

/// What a page shows of one line side by side with others: other models, other hypotheses of a beam, a reference.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// What tells it from the views beside it: the name of a model, a place in the beam, `reference`.
    pub name: String,
    /// Its attention, one map a kind, all of the same source and translation; never empty.
    pub maps: Vec<AttentionMap>,
    /// What the model thought of each target token, `[target pieces]`; empty where nobody asked.
    pub tokens: Vec<TokenProbability>,
    /// The kinds of attention that the model does not have, each with the reason.
    pub missing: Vec<(Kind, String)>,
}

/// How probable a target token was, and what else the model would have said in its place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenProbability {
    /// Its log-probability; `None` for a token that was forced, whose probability nobody computed.
    pub log_prob: Option<f32>,
    /// The most probable tokens of this step, best first, as a person reads them, with their log-probabilities.
    pub alternatives: Vec<(String, f32)>,
}

impl From<AttentionMap> for View {
    fn from(map: AttentionMap) -> Self {
        Self { maps: vec![map], ..Self::default() }
    }
}
