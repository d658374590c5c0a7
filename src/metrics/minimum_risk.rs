//! Minimum Bayes risk: of several translations the one that the others agree with most (Eikema and Aziz 2020; Fernandes et al.
//! 2022).

use super::Metric;

/// Ranks translations of one sentence by their mean score against all others, drawn ones as often as they were drawn. Gives the
/// places of the different ones, best first, each with its mean; of the same mean the earlier comes first.
pub fn rank_by_agreement(metric: &impl Metric, translations: &[&str]) -> Vec<(usize, f64)> {
    // Each different one with its first place and how often it is there.
    let mut different: Vec<(usize, f64)> = Vec::new();
    for (place, text) in translations.iter().enumerate() {
        match different.iter_mut().find(|(first, _)| translations[*first] == *text) {
            Some((_, times)) => *times += 1.0,
            None => different.push((place, 1.0)),
        }
    }
    let others = (translations.len() as f64 - 1.0).max(1.0);
    let mean = |&(own, own_times): &(usize, f64)| {
        let sum: f64 = different
            .iter()
            .map(|&(other, times)| {
                let times = if own == other { own_times - 1.0 } else { times };
                if times == 0.0 {
                    0.0
                } else {
                    times * metric.sentence_score(translations[own], &[translations[other]]).value
                }
            })
            .sum();
        (own, sum / others)
    };
    let mut ranked: Vec<(usize, f64)> = different.iter().map(mean).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Chrf;

    #[test]
    fn the_one_that_others_agree_with_comes_first() {
        let texts = ["A cat sleeps.", "A dog is running.", "A dog runs.", "A dog is running fast."];
        let ranked = rank_by_agreement(&Chrf::default(), &texts);
        // One by one: the mean over the three others.
        let agreement = |own: usize| {
            let others = (0..4).filter(|&other| other != own);
            others.map(|other| Chrf::default().sentence_score(texts[own], &[texts[other]]).value).sum::<f64>() / 3.0
        };
        for (place, mean) in &ranked {
            assert!((mean - agreement(*place)).abs() < 1e-9);
        }
        assert!(ranked.is_sorted_by(|one, next| one.1 >= next.1));
        assert_eq!(ranked[3].0, 0, "the cat has least in common with the others");
    }

    #[test]
    fn what_was_drawn_twice_agrees_with_itself_and_is_ranked_once() {
        let ranked = rank_by_agreement(&Chrf::default(), &["x", "a dog", "x", "a cat"]);
        assert_eq!(ranked.len(), 3);
        assert!(ranked.iter().any(|&(place, mean)| place == 0 && (mean - 100.0 / 3.0).abs() < 1e-9), "{ranked:?}");
        assert_eq!(rank_by_agreement(&Chrf::default(), &["alone"]), [(0, 0.0)]);
    }
}
