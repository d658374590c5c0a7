//! Numbers for hard attention that is sampled: each is a function of the seed, the sentence, the tokens so far, the layer and
//! the head, so that neither the batch nor another hypothesis changes it.

/// One step of SplitMix64 (Steele, Lea and Flood 2014): a number's bits, well mixed.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// What the draws of a sentence are made of before its first token.
pub(super) fn of_sentence(seed: u64, source: &[u32]) -> u64 {
    source.iter().fold(mixed(seed), |state, &token| after(state, token))
}

/// What they are made of after one more token.
pub(super) fn after(state: u64, token: u32) -> u64 {
    mixed(state ^ u64::from(token))
}

/// A number in `[0, 1)` for one head of one attention.
pub(super) fn uniform(state: u64, layer: usize, head: usize) -> f32 {
    let bits = mixed(state ^ ((layer as u64 + 1) << 32 | head as u64));
    (bits >> 40) as f32 / (1u64 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_fill_the_interval_evenly_and_are_the_same_again() {
        let draw = |token: u32| uniform(after(of_sentence(7, &[3, 4]), token), 0, 1);
        let draws: Vec<f32> = (0..4000).map(draw).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        for tenth in 0..10u8 {
            let (from, to) = (f32::from(tenth) / 10.0, f32::from(tenth + 1) / 10.0);
            let count = draws.iter().filter(|&&draw| draw >= from && draw < to).count();
            assert!((320..480).contains(&count), "{count} of 4000 between {from} and {to}");
        }
        assert_eq!(draws[17], draw(17));
        assert_ne!(of_sentence(7, &[3, 4]), of_sentence(8, &[3, 4]));
        assert_ne!(of_sentence(7, &[3, 4]), of_sentence(7, &[4, 3]));
    }
}
