//! Token embeddings and positions.

use std::sync::Arc;

use crate::Result;
use crate::checkpoint::Parameters;
use crate::compute::Backend;
use crate::spec::{self, Frequencies, Order};

/// A table of vectors, one a token. It may be the very matrix of the output layer (tied embeddings).
#[derive(Debug)]
pub struct Embedding<B: Backend> {
    matrix: Arc<B::Matrix>,
    scale: f32,
}

impl<B: Backend> Embedding<B> {
    /// Looks tokens up in `matrix` `[vocabulary, width]` and multiplies each vector by `scale`.
    pub fn new(matrix: Arc<B::Matrix>, scale: f32) -> Self {
        Self { matrix, scale }
    }

    /// Vectors of zeros in place of those of `tokens`, to which `add` adds what it wants, into `out` `[tokens, width]`.
    ///
    /// # Errors
    /// As [`Backend`].
    pub fn zeros(
        &self,
        backend: &B,
        tokens: &[u32],
        add: &mut dyn FnMut(usize, &mut [f32]),
        out: &mut B::Rows,
    ) -> Result<()> {
        // No value of a table is infinite.
        backend.embed(&self.matrix, 0.0, tokens, add, out)
    }

    /// The vectors of `tokens`, to which `add` adds what it wants, into `out` `[tokens, width]`.
    ///
    /// # Errors
    /// As [`Backend`].
    pub fn look_up(
        &self,
        backend: &B,
        tokens: &[u32],
        add: &mut dyn FnMut(usize, &mut [f32]),
        out: &mut B::Rows,
    ) -> Result<()> {
        backend.embed(&self.matrix, self.scale, tokens, add, out)
    }
}

/// Sinusoidal positions computed when a model is loaded; later ones are computed when they occur.
const PREPARED_POSITIONS: usize = 256;

/// What is added to an embedding to say where it stands.
#[derive(Debug)]
pub enum Positions {
    /// Sines and cosines of `p · ω_k` (Vaswani et al. 2017, section 3.5). Extends to any length.
    Sinusoidal {
        /// `ω_k`, for half the columns.
        frequencies: Vec<f64>,
        /// How sines and cosines follow one another.
        order: Order,
        /// The number of a sentence's first token.
        first_index: usize,
        /// The first positions, computed once, `[count, width]`.
        first: Vec<f32>,
        /// Length of a vector.
        width: usize,
    },
    /// One learned vector a position, `[count, width]`; later positions reuse the last.
    Learned {
        /// Row-major vectors, from that of a sentence's first token on.
        table: Vec<f32>,
        /// Length of a vector.
        width: usize,
    },
    /// None.
    None,
}

impl Positions {
    /// The positions a spec asks for; a learned table is the tensor `name`, `[offset + rows, width]`.
    ///
    /// # Errors
    /// If the tensor is missing or has another shape.
    pub fn load(spec: &spec::Positions, parameters: &Parameters, name: &str, width: usize) -> Result<Self> {
        Ok(match *spec {
            spec::Positions::Sinusoidal { order, first_index, frequencies, .. } => {
                Self::sinusoidal(width, order, first_index, frequencies)
            }
            spec::Positions::Learned { rows, offset } => {
                // That of a decoder may be of another length.
                let stored = parameters.shape(name).and_then(|shape| shape.first()?.checked_sub(offset));
                let rows = stored.filter(|&stored| stored > 0 && name.contains("decoder")).unwrap_or(rows);
                let mut table = parameters.tensor(name, &[offset + rows, width])?;
                table.drain(..offset * width);
                Self::Learned { table, width }
            }
            spec::Positions::None => Self::None,
        })
    }

    /// Sinusoidal positions of the given width.
    pub fn sinusoidal(width: usize, order: Order, first_index: usize, frequencies: Frequencies) -> Self {
        let half = match frequencies {
            Frequencies::ByWidth => width.div_ceil(2),
            Frequencies::ByLastIndex => width / 2,
        };
        let frequencies: Vec<f64> = (0..half)
            .map(|k| match frequencies {
                Frequencies::ByWidth => 1.0 / 10000f64.powf(2.0 * k as f64 / width as f64),
                Frequencies::ByLastIndex => 10000f64.powf(-(k as f64) / (half as f64 - 1.0).max(1.0)),
            })
            .collect();
        let mut first = vec![0.0; PREPARED_POSITIONS * width];
        for (position, row) in first.chunks_exact_mut(width).enumerate() {
            write_sinusoids(first_index + position, &frequencies, order, row);
        }
        Self::Sinusoidal { frequencies, order, first_index, first, width }
    }

    /// Adds the vector of `position` (from 0, the sentence's first token) to `x` `[width]`.
    pub fn add(&self, position: usize, x: &mut [f32]) {
        match self {
            Self::Sinusoidal { frequencies, order, first_index, first, width } => {
                if let Some(row) = first.get(position * width..(position + 1) * width) {
                    x.iter_mut().zip(row).for_each(|(x, p)| *x += p);
                } else {
                    let mut row = vec![0.0; *width];
                    write_sinusoids(first_index + position, frequencies, *order, &mut row);
                    x.iter_mut().zip(&row).for_each(|(x, p)| *x += p);
                }
            }
            Self::Learned { table, width } => {
                let row = position.min(table.len() / width - 1);
                x.iter_mut().zip(&table[row * width..]).for_each(|(x, p)| *x += p);
            }
            Self::None => {}
        }
    }
}

/// The sinusoids of one position into `row` `[width]`.
fn write_sinusoids(position: usize, frequencies: &[f64], order: Order, row: &mut [f32]) {
    let mut angles = frequencies.iter().map(|frequency| position as f64 * frequency);
    match order {
        Order::Halves => {
            let (sines, cosines) = row.split_at_mut(frequencies.len());
            for ((angle, sine), cosine) in angles.clone().zip(sines).zip(cosines.iter_mut()) {
                *sine = angle.sin() as f32;
                *cosine = angle.cos() as f32;
            }
            // An odd width has one more sine than cosines.
            if let Some((sine, angle)) = row.get_mut(frequencies.len() - 1).zip(angles.next_back()) {
                *sine = angle.sin() as f32;
            }
        }
        Order::Interleaved => {
            for (angle, pair) in angles.zip(row.chunks_mut(2)) {
                pair[0] = angle.sin() as f32;
                if let Some(cosine) = pair.get_mut(1) {
                    *cosine = angle.cos() as f32;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(positions: &Positions, position: usize, width: usize) -> Vec<f32> {
        let mut x = vec![0.0; width];
        positions.add(position, &mut x);
        x
    }

    #[test]
    fn sines_and_cosines_lie_in_halves_or_in_turn_and_may_begin_at_another_number() {
        let halves = Positions::sinusoidal(4, Order::Halves, 0, Frequencies::ByWidth);
        let turn = Positions::sinusoidal(4, Order::Interleaved, 0, Frequencies::ByWidth);
        let (a, b) = (3f64, 3f64 / 100.0);
        assert_eq!(vector(&halves, 3, 4), [a.sin(), b.sin(), a.cos(), b.cos()].map(|x| x as f32));
        assert_eq!(vector(&turn, 3, 4), [a.sin(), a.cos(), b.sin(), b.cos()].map(|x| x as f32));
        let later = Positions::sinusoidal(4, Order::Halves, 2, Frequencies::ByWidth);
        assert_eq!(vector(&later, 1, 4), vector(&halves, 3, 4));
        // Beyond the prepared ones too.
        assert_eq!(vector(&later, 998, 4), vector(&halves, 1000, 4));
    }

    #[test]
    fn the_last_frequency_is_a_ten_thousandth_where_the_last_index_says_so() {
        let fairseq = Positions::sinusoidal(6, Order::Halves, 0, Frequencies::ByLastIndex);
        let expected = [1.0, 0.01, 0.0001].map(|omega: f64| (5.0 * omega).sin() as f32);
        let found = vector(&fairseq, 5, 6);
        found.iter().zip(expected).for_each(|(found, expected)| assert!((found - expected).abs() < 1e-7));
    }

    #[test]
    fn an_odd_width_of_fairseqs_ends_in_a_zero() {
        let fairseq = Positions::sinusoidal(5, Order::Halves, 2, Frequencies::ByLastIndex);
        let (a, b) = (5f64, 5f64 / 10000.0);
        assert_eq!(vector(&fairseq, 3, 5), [a.sin(), b.sin(), a.cos(), b.cos(), 0.0].map(|x| x as f32));
    }

    #[test]
    fn an_odd_width_has_one_sine_more() {
        for order in [Order::Halves, Order::Interleaved] {
            let positions = Positions::sinusoidal(3, order, 0, Frequencies::ByWidth);
            let slow = (7.0 / 10000f64.powf(2.0 / 3.0)).sin() as f32;
            assert_eq!(vector(&positions, 7, 3)[if order == Order::Halves { 1 } else { 2 }], slow);
        }
    }
}
