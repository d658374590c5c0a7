//! From scores to weights, on the host: what is in reach, and what is made of the probabilities.

use crate::compute::softmax;
use crate::spec::recurrent::{Choice, Reach, Score};

/// The positions in reach, and the centre and deviation of the bell their weights are multiplied by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    first: usize,
    end: usize,
    bell: Option<(f32, f32)>,
}

impl Window {
    /// The window of a step over a sentence so long; `centre` is where the state puts it, if that says it.
    pub(super) fn of(reach: Reach, step: usize, length: usize, centre: Option<f32>) -> Self {
        match reach {
            Reach::Global => Self { first: 0, end: length, bell: None },
            Reach::LocalMonotone { half } => {
                let centre = step.min(length - 1);
                Self {
                    first: centre.saturating_sub(half),
                    end: centre.saturating_add(half).saturating_add(1).min(length),
                    bell: None,
                }
            }
            Reach::LocalPredictive { half } => {
                let centre = centre.unwrap_or(0.0);
                let first = (centre - half as f32).ceil().max(0.0) as usize;
                let end = ((centre + half as f32).floor() as usize).saturating_add(1).min(length);
                let deviation = half as f32 / 2.0;
                Self { first: first.min(length - 1), end, bell: Some((centre, deviation)) }
            }
        }
    }
}

/// Makes scores the weights of positions in a window.
pub(super) fn probabilities(scores: &mut [f32], score: Score, window: Window, length: usize) {
    if let Score::Location { beyond: true, .. } = score {
        // Over all there are scores for, those without a position too.
        return softmax(scores);
    }
    let known = scores.len();
    let (first, end) = (window.first.min(known), window.end.min(known).min(length));
    scores[..first].fill(0.0);
    scores[end.max(first)..].fill(0.0);
    if first >= end {
        return;
    }
    softmax(&mut scores[first..end]);
    if let Some((centre, deviation)) = window.bell {
        for (at, weight) in scores.iter_mut().enumerate().take(end).skip(first) {
            let distance = (at as f32 - centre) / deviation;
            *weight *= (-0.5 * distance * distance).exp();
        }
    }
}

/// Makes of the probabilities of one head the weights of its values.
pub(super) fn choose(choice: Choice, weights: &mut [f32], draw: &dyn Fn() -> f32) {
    let chosen = match choice {
        Choice::Soft => return,
        Choice::Argmax => {
            let mut best = 0;
            (1..weights.len()).for_each(|at| best = if weights[at] > weights[best] { at } else { best });
            best
        }
        Choice::Sampled { .. } => {
            // What is not renormalised is drawn from as if it were.
            let mut left = draw() * weights.iter().sum::<f32>();
            let passes = |weight: &f32| {
                left -= weight;
                *weight > 0.0 && left < 0.0
            };
            let last = weights.iter().rposition(|&weight| weight > 0.0).unwrap_or(0);
            weights.iter().position(passes).unwrap_or(last)
        }
    };
    weights.fill(0.0);
    weights[chosen] = 1.0;
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOT: Score = Score::Dot { scale: crate::spec::recurrent::Scale::Fixed(1.0) };

    #[test]
    fn a_monotone_window_stands_at_the_step_and_stays_at_the_end() {
        let weights = |step: usize| {
            let mut scores = [0.0; 4];
            probabilities(&mut scores, DOT, Window::of(Reach::LocalMonotone { half: 1 }, step, 4, None), 4);
            scores
        };
        assert_eq!(weights(0), [0.5, 0.5, 0.0, 0.0]);
        assert_eq!(weights(2), [0.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0]);
        assert_eq!(weights(9), weights(3));
    }

    #[test]
    fn a_predicted_window_has_a_bell_and_is_not_made_to_sum_to_one() {
        let mut weights = [0.0; 6];
        probabilities(&mut weights, DOT, Window::of(Reach::LocalPredictive { half: 2 }, 0, 6, Some(2.5)), 6);
        // Positions 1 to 4 are within 2 of 2.5; the deviation is 1.
        let bell = |distance: f32| 0.25 * (-0.5 * distance * distance).exp();
        for (found, expected) in weights.iter().zip([0.0, bell(1.5), bell(0.5), bell(0.5), bell(1.5), 0.0]) {
            assert!((found - expected).abs() < 1e-6, "{weights:?}");
        }
    }

    #[test]
    fn a_choice_is_the_first_of_the_likeliest_or_drawn() {
        let mut weights = [0.2, 0.4, 0.4];
        choose(Choice::Argmax, &mut weights, &|| 0.0);
        assert_eq!(weights, [0.0, 1.0, 0.0]);
        for (draw, expected) in [(0.1, 0), (0.3, 1), (0.99, 2)] {
            let mut weights = [0.2, 0.4, 0.4];
            choose(Choice::Sampled { seed: 0 }, &mut weights, &|| draw);
            assert_eq!(weights.iter().position(|&weight| weight == 1.0), Some(expected), "{draw}");
        }
    }
}
