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

/// From this many places on, many scores are merged into a ranking at once: putting each in its place alone would take the
/// square of the places.
pub(super) const MERGED: usize = 64;

/// Puts all of `found`, best first, in their places, as [`insert`] would one by one.
pub(super) fn merge(ranking: &mut [Scored], found: &[Scored]) {
    let better = |a: &Scored, b: &Scored| a.value > b.value || (a.value == b.value && a.token < b.token);
    let found = &found[..found.partition_point(|scored| scored.value > f32::NEG_INFINITY)];
    let Some(best) = found.first() else { return };
    let first = ranking.partition_point(|other| !better(best, other));
    let ranking = &mut ranking[first..];
    // How many of either stay.
    let (mut old, mut new) = (0, 0);
    while old + new < ranking.len() {
        if new < found.len() && better(&found[new], &ranking[old]) { new += 1 } else { old += 1 }
    }
    for place in (0..ranking.len()).rev() {
        if new == 0 {
            break;
        }
        ranking[place] = if old > 0 && better(&found[new - 1], &ranking[old - 1]) {
            old -= 1;
            ranking[old]
        } else {
            new -= 1;
            found[new]
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_is_inserting_one_by_one() {
        let mut state = 1u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        for round in 0..200 {
            let places = 1 + random(90) as usize;
            let mut one_by_one = vec![EMPTY; places];
            let mut merged = one_by_one.clone();
            let mut token = 0;
            for _ in 0..3 {
                // Few different values, so that many are equal.
                let mut found: Vec<Scored> = (0..random(60))
                    .map(|_| {
                        token += 1;
                        Scored { value: random(20) as f32, token }
                    })
                    .collect();
                found.iter().for_each(|&scored| insert(&mut one_by_one, scored));
                found.sort_by(|a, b| b.value.total_cmp(&a.value).then(a.token.cmp(&b.token)));
                found.push(EMPTY);
                merge(&mut merged, &found);
                assert_eq!(one_by_one, merged, "round {round}");
            }
        }
    }
}
