//! Paired bootstrap resampling (Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation"): how
//! probable a difference as large as the one seen between two systems would be if they were equally good.
//!
//! The lines are drawn as sacreBLEU draws them, by the random numbers of NumPy's `default_rng(seed).choice`, so that the
//! same seed gives the same resamples and p-values.

use super::{Metric, Statistics};

/// How to resample. The default is sacreBLEU's: 1000 resamples, seed 12345.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairedBootstrap {
    /// How many corpora are drawn, each with as many lines as the real one; at least one is.
    pub resamples: usize,
    /// Start of the random numbers.
    pub seed: u64,
}

impl Default for PairedBootstrap {
    fn default() -> Self {
        Self { resamples: 1000, seed: 12345 }
    }
}

/// What resampling says of one system.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resampled {
    /// Mean score over all resamples.
    pub mean: f64,
    /// Half the width of the interval that holds 95 % of the resamples' scores.
    pub interval: f64,
    /// How probable a difference like that to the baseline is by chance; none for the baseline.
    pub p_value: Option<f64>,
}

impl PairedBootstrap {
    /// Compares `systems` `[systems][lines]` by one metric with the first of them, the baseline. Without systems the
    /// result is empty.
    ///
    /// # Panics
    /// If the systems do not have the same number of lines.
    pub fn compare(&self, metric: &dyn Metric, systems: &[Vec<Statistics>]) -> Vec<Resampled> {
        let Some(baseline) = systems.first() else { return Vec::new() };
        let lines = baseline.len();
        assert!(systems.iter().all(|system| system.len() == lines), "all systems have the same lines");
        let resamples = self.resamples.max(1);
        let mut random = Pcg64::seeded(self.seed);
        let mut scores = vec![Vec::with_capacity(resamples); systems.len()];
        let mut drawn = vec![0; lines];
        for _ in 0..resamples {
            drawn.fill_with(|| random.below(lines as u32) as usize);
            for (system, scores) in systems.iter().zip(&mut scores) {
                let mut sum = Statistics::default();
                drawn.iter().for_each(|&line| sum.add(&system[line]));
                scores.push(metric.score(&sum).value);
            }
        }
        let real: Vec<f64> = systems
            .iter()
            .map(|system| {
                let mut sum = Statistics::default();
                system.iter().for_each(|line| sum.add(line));
                metric.score(&sum).value
            })
            .collect();
        let compared = scores.iter().zip(&real).enumerate().map(|(number, (own, score))| Resampled {
            mean: mean(own),
            interval: interval(own),
            p_value: (number > 0).then(|| p_value(own, &scores[0], (score - real[0]).abs())),
        });
        compared.collect()
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Half the distance from the 2.5 % lowest to the 2.5 % highest.
fn interval(scores: &[f64]) -> f64 {
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    let left_out = sorted.len() / 40;
    (sorted[sorted.len() - left_out - 1] - sorted[left_out]) / 2.0
}

/// How often the resamples' difference, less its mean, exceeds the real one. One is added to both counts, so that the
/// result is never 0 (as in Clark et al. 2011, "Better Hypothesis Testing for Statistical Machine Translation").
fn p_value(scores: &[f64], baseline: &[f64], real: f64) -> f64 {
    let differences: Vec<f64> = scores.iter().zip(baseline).map(|(own, base)| (own - base).abs()).collect();
    let mean = mean(&differences);
    let larger = differences.iter().filter(|&difference| difference - mean > real).count();
    (larger + 1) as f64 / (differences.len() + 1) as f64
}

/// NumPy's default generator: PCG XSL RR 128/64 (O'Neill 2014), seeded through NumPy's `SeedSequence`.
struct Pcg64 {
    state: u128,
    increment: u128,
    /// The upper half of a number whose lower half was given out.
    half: Option<u32>,
}

impl Pcg64 {
    fn seeded(seed: u64) -> Self {
        let words = seed_words(seed);
        let wide = |high: usize| u128::from(words[high]) << 64 | u128::from(words[high + 1]);
        let mut random = Self { state: 0, increment: wide(2) << 1 | 1, half: None };
        random.step();
        random.state = random.state.wrapping_add(wide(0));
        random.step();
        random
    }

    fn step(&mut self) {
        const MULTIPLIER: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
    }

    fn next_u32(&mut self) -> u32 {
        if let Some(half) = self.half.take() {
            return half;
        }
        self.step();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        let number = folded.rotate_right((self.state >> 122) as u32);
        self.half = Some((number >> 32) as u32);
        number as u32
    }

    /// A number below `end`, all equally probable (Lemire 2019, "Fast Random Integer Generation in an Interval").
    fn below(&mut self, end: u32) -> u32 {
        if end <= 1 {
            return 0;
        }
        let threshold = end.wrapping_neg() % end;
        loop {
            let product = u64::from(self.next_u32()) * u64::from(end);
            if product as u32 >= threshold {
                return (product >> 32) as u32;
            }
        }
    }
}

/// What `SeedSequence(seed).generate_state(4, uint64)` gives.
fn seed_words(seed: u64) -> [u64; 4] {
    fn hash(value: u32, constant: &mut u32, multiplier: u32) -> u32 {
        let value = value ^ *constant;
        *constant = constant.wrapping_mul(multiplier);
        let value = value.wrapping_mul(*constant);
        value ^ value >> 16
    }
    const POOL: usize = 4;
    let mut constant = 0x43b0_d7e5;
    let entropy = [seed as u32, (seed >> 32) as u32, 0, 0];
    let mut pool: [u32; POOL] = entropy.map(|word| hash(word, &mut constant, 0x931e_8875));
    for from in 0..POOL {
        for to in (0..POOL).filter(|&to| to != from) {
            let hashed = hash(pool[from], &mut constant, 0x931e_8875);
            let mixed = 0xca01_f9dd_u32.wrapping_mul(pool[to]).wrapping_sub(0x4973_f715_u32.wrapping_mul(hashed));
            pool[to] = mixed ^ mixed >> 16;
        }
    }
    let mut constant = 0x8b51_f9dd;
    let mut next = pool.into_iter().cycle().map(|word| u64::from(hash(word, &mut constant, 0x58f3_8ded)));
    std::array::from_fn(|_| {
        let low = next.next().unwrap_or_default();
        low | next.next().unwrap_or_default() << 32
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Bleu;

    /// Written by `numpy.random.default_rng(seed).choice(end, 8)` of NumPy 2.4.
    #[test]
    fn numbers_are_those_of_numpy() {
        for (seed, end, expected) in [
            (12345, 2, [1, 0, 1, 0, 0, 1, 1, 1]),
            (12345, 1000, [699, 227, 788, 316, 204, 797, 642, 676]),
            (0, 7, [5, 4, 3, 1, 2, 0, 0, 0]),
            (
                42,
                3000000000,
                [267752861, 2321868145, 1963714555, 1316635318, 2575793759, 282532043, 1579436936, 2926867054],
            ),
            (9223372036854775813, 1, [0, 0, 0, 0, 0, 0, 0, 0]),
            (1099511627776, 100, [92, 36, 37, 62, 79, 99, 31, 15]),
        ] {
            let mut random = Pcg64::seeded(seed);
            assert_eq!(std::array::from_fn(|_| random.below(end)), expected, "{seed} {end}");
        }
    }

    #[test]
    fn a_system_does_not_differ_from_itself() {
        let bleu = Bleu::default();
        let line = |text| bleu.statistics(text, &["a b c d e f"]);
        let system = vec![line("a b c d e f"), line("a b c d f e"), line("f")];
        let [baseline, same] = PairedBootstrap::default().compare(&bleu, &[system.clone(), system])[..] else {
            panic!("there are two results");
        };
        assert_eq!((baseline.p_value, same.p_value), (None, Some(1.0 / 1001.0)));
        assert_eq!((baseline.mean, baseline.interval), (same.mean, same.interval));
    }
}
