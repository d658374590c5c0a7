//! What self-attention adds to its scores for the distance between key and query.

/// A value for every head and distance: what is added to the score of a key that many places after its query.
#[derive(Clone, Copy, Debug)]
pub struct RelativeBias<'a> {
    /// `[heads, 2·reach + 1]`, from a key `reach` places before its query to one `reach` places after it.
    pub values: &'a [f32],
    /// The largest distance with a value of its own; keys further away get that of this one.
    pub reach: usize,
}

impl RelativeBias<'_> {
    /// Adds to the `scores` of a query at `position` and keys at 0, 1, … what `head` has for their distances.
    #[inline(always)]
    pub(super) fn add(&self, head: usize, position: usize, scores: &mut [f32]) {
        let count = 2 * self.reach + 1;
        let values = &self.values[head * count..][..count];
        let (before, rest) = scores.split_at_mut(position.saturating_sub(self.reach).min(scores.len()));
        let within = &values[(before.len() + self.reach).saturating_sub(position).min(count)..];
        let (near, after) = rest.split_at_mut(within.len().min(rest.len()));
        before.iter_mut().for_each(|score| *score += values[0]);
        near.iter_mut().zip(within).for_each(|(score, value)| *score += value);
        after.iter_mut().for_each(|score| *score += values[count - 1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_out_of_reach_get_what_the_furthest_within_get() {
        // Two heads; the second has ten times what the first has.
        let values = [-2.0, -1.0, 0.0, 1.0, 2.0, -20.0, -10.0, 0.0, 10.0, 20.0];
        let bias = RelativeBias { values: &values, reach: 2 };
        for (position, length) in [(0, 1), (0, 7), (3, 7), (6, 7), (9, 10), (2, 2), (9, 4)] {
            for head in 0..2 {
                let mut scores = vec![0.5; length];
                bias.add(head, position, &mut scores);
                let distance = |key: usize| (key as f32 - position as f32).clamp(-2.0, 2.0);
                let expected: Vec<f32> =
                    (0..length).map(|key| 0.5 + distance(key) * if head == 0 { 1.0 } else { 10.0 }).collect();
                assert_eq!(scores, expected, "position {position} of {length}, head {head}");
            }
        }
    }
}
