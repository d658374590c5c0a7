//! Token embeddings and positions.

use std::sync::Arc;

use crate::Result;
use crate::checkpoint::Weights;
use crate::kernels::{PackedMatrix, add};

/// A table of vectors, one a token. It may be the very matrix of the output layer (tied embeddings).
#[derive(Debug)]
pub struct Embedding {
    matrix: Arc<PackedMatrix>,
    scale: f32,
}

impl Embedding {
    /// Looks tokens up in `matrix` `[vocabulary, width]` and multiplies each vector by `scale`.
    pub fn new(matrix: Arc<PackedMatrix>, scale: f32) -> Self {
        Self { matrix, scale }
    }

    /// Length of a vector.
    pub fn width(&self) -> usize {
        self.matrix.inputs()
    }

    /// The vector of `token` into `out` `[width]`.
    pub fn look_up(&self, token: u32, out: &mut [f32]) {
        self.matrix.row(token as usize, out);
        if self.scale != 1.0 {
            out.iter_mut().for_each(|x| *x *= self.scale);
        }
    }
}

/// Sinusoidal positions computed when a model is loaded; later ones are computed when they occur.
const PREPARED_POSITIONS: usize = 256;

/// `[sin(p·ω_0) … | cos(p·ω_0) …]` into `row` `[width]`.
fn write_sinusoids(position: usize, frequencies: &[f64], row: &mut [f32]) {
    let (sines, cosines) = row.split_at_mut(frequencies.len());
    for (x, frequency) in sines.iter_mut().zip(frequencies) {
        *x = (position as f64 * frequency).sin() as f32;
    }
    for (x, frequency) in cosines.iter_mut().zip(frequencies) {
        *x = (position as f64 * frequency).cos() as f32;
    }
}

/// What is added to an embedding to say where it stands.
#[derive(Debug)]
pub enum Positions {
    /// `[sin(p·ω_0) … sin(p·ω_{w/2-1}) | cos(p·ω_0) … ]` with `ω_k = 10000^(-2k/width)`: Vaswani et al. 2017, section 3.5,
    /// in the half-and-half order of Hugging Face Marian. Extends to any length.
    Sinusoidal {
        /// `ω_k`, `[ceil(width/2)]`.
        frequencies: Vec<f64>,
        /// The first positions, computed once, `[count, width]`.
        first: Vec<f32>,
        /// Length of a vector.
        width: usize,
    },
    /// One learned vector a position, `[count, width]`; later positions reuse the last.
    Learned {
        /// Row-major vectors.
        table: Vec<f32>,
        /// Length of a vector.
        width: usize,
    },
}

impl Positions {
    /// Sinusoidal positions of the given width.
    pub fn sinusoidal(width: usize) -> Self {
        let half = width.div_ceil(2);
        let frequencies: Vec<f64> = (0..half).map(|k| 1.0 / 10000f64.powf(2.0 * k as f64 / width as f64)).collect();
        let mut first = vec![0.0; PREPARED_POSITIONS * width];
        for (position, row) in first.chunks_exact_mut(width).enumerate() {
            write_sinusoids(position, &frequencies, row);
        }
        Self::Sinusoidal { frequencies, first, width }
    }

    /// Learned positions from the tensor `name`, `[count, width]`.
    ///
    /// # Errors
    /// If the tensor is missing or has another shape.
    pub fn learned(weights: &Weights, name: &str, count: usize, width: usize) -> Result<Self> {
        Ok(Self::Learned { table: weights.tensor(name, &[count, width])?, width })
    }

    /// Adds the vector of `position` (from 0) to `x` `[width]`.
    pub fn add(&self, position: usize, x: &mut [f32]) {
        match self {
            Self::Sinusoidal { frequencies, first, width } => match first.get(position * width..(position + 1) * width)
            {
                Some(row) => add(x, row),
                None => {
                    let mut row = vec![0.0; *width];
                    write_sinusoids(position, frequencies, &mut row);
                    add(x, &row);
                }
            },
            Self::Learned { table, width } => {
                let row = position.min(table.len() / width - 1);
                x.iter_mut().zip(&table[row * width..]).for_each(|(x, p)| *x += p);
            }
        }
    }
}
