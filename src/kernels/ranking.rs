//! Tokens and their scores, best first.

/// A token and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The score.
    pub value: f32,
    /// The token: an output of the matrix.
    pub token: u32,
}

/// A place in the ranking that no token has taken yet.
pub(super) const EMPTY: Scored = Scored { value: f32::NEG_INFINITY, token: u32::MAX };

impl Default for Scored {
    fn default() -> Self {
        EMPTY
    }
}

/// Over which tokens [`PackedMatrix::top_k`](super::PackedMatrix::top_k) normalises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogSumExp {
    /// Not computed.
    #[default]
    None,
    /// Over all tokens.
    All,
    /// Over the tokens that are not banned.
    Allowed,
}

/// Makes sure that no token of `banned` among `scores`, whose first belongs to token `first`, is chosen.
pub(super) fn ban(scores: &mut [f32], first: usize, banned: &[u32]) {
    for &token in banned {
        if let Some(score) = (token as usize).checked_sub(first).and_then(|at| scores.get_mut(at)) {
            *score = f32::NEG_INFINITY;
        }
    }
}

/// Puts `scored` in its place: behind what is better, and behind equals with a lower token.
#[inline(always)]
pub(super) fn insert(ranking: &mut [Scored], scored: Scored) {
    let better =
        |other: &Scored| scored.value > other.value || (scored.value == other.value && scored.token < other.token);
    let last = ranking.len() - 1;
    if scored.value > f32::NEG_INFINITY && better(&ranking[last]) {
        let mut place = last;
        while place > 0 && better(&ranking[place - 1]) {
            ranking[place] = ranking[place - 1];
            place -= 1;
        }
        ranking[place] = scored;
    }
}

/// Gives the places that nobody took to the lowest tokens not in the ranking.
pub(super) fn fill_up(ranking: &mut [Scored]) {
    let taken = ranking.iter().take_while(|scored| scored.token != u32::MAX).count();
    let mut token = 0;
    for place in taken..ranking.len() {
        while ranking[..place].iter().any(|scored| scored.token == token) {
            token += 1;
        }
        ranking[place].token = token;
    }
}
