//! The tensors of a network under the names it knows them by, whatever they are stored as.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Dtype, Int8Part, Weights};
use crate::{Error, Result};

/// How one tensor is made of a stored one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// As it is.
    Copy {
        /// The stored name.
        stored: String,
    },
    /// One of several equal blocks of rows.
    Rows {
        /// The stored name.
        stored: String,
        /// Which block, from 0.
        part: usize,
        /// How many there are.
        parts: usize,
    },
    /// Rows and columns exchanged.
    Transpose {
        /// The stored name.
        stored: String,
    },
}

impl Recipe {
    /// The stored tensor it is made of.
    pub fn stored(&self) -> &str {
        match self {
            Self::Copy { stored } | Self::Rows { stored, .. } | Self::Transpose { stored } => stored,
        }
    }
}

/// All tensors of a network by the names its layers ask for.
#[derive(Debug)]
pub struct Parameters {
    weights: Weights,
    recipes: BTreeMap<String, Recipe>,
}

impl Parameters {
    /// Tensors of `weights` made by `recipes`, by name.
    pub fn new(weights: Weights, recipes: BTreeMap<String, Recipe>) -> Self {
        Self { weights, recipes }
    }

    /// The stored tensors.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The weight file, or the first of several.
    pub fn path(&self) -> PathBuf {
        self.weights.path()
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.recipes.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.recipes.contains_key(name)
    }

    /// How many numbers in a row the names have in place of the asterisk of `pattern`, from 0: layers there are.
    pub fn count(&self, pattern: &str) -> usize {
        (0..).take_while(|index| self.contains(&pattern.replace('*', &format!("{index}")))).count()
    }

    /// The shape of a tensor, if there is one of this name.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let recipe = self.recipes.get(name)?;
        let mut shape = self.weights.shape(recipe.stored())?.to_vec();
        match recipe {
            Recipe::Copy { .. } => {}
            Recipe::Rows { parts, .. } => *shape.first_mut()? /= parts,
            Recipe::Transpose { .. } => shape.reverse(),
        }
        Some(shape)
    }

    /// The number format a tensor is stored in, if it is one we read.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.weights.dtype(self.recipes.get(name)?.stored())
    }

    /// Reads a tensor of the given shape, row-major. Axes of length 1 are not compared, so a bias stored as `[1, V]`
    /// is also a bias `[V]`.
    ///
    /// # Errors
    /// If the tensor is missing, has another shape or an unsupported number format, or the file cannot be read.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        match self.find(name)? {
            Recipe::Copy { stored } => self.weights.tensor(stored, shape),
            Recipe::Rows { stored, part, parts } => {
                let size = shape.iter().product::<usize>();
                let whole = self.weights.tensor(stored, &scaled(shape, *parts))?;
                Ok(whole[part * size..(part + 1) * size].to_vec())
            }
            Recipe::Transpose { stored } => {
                let reversed: Vec<usize> = shape.iter().rev().copied().collect();
                let values = self.weights.tensor(stored, &reversed)?;
                let [rows, columns] = shape[..] else { return Ok(values) };
                let at = |index: usize| values[index % columns * rows + index / columns];
                Ok((0..rows * columns).map(at).collect())
            }
        }
    }

    /// Checks that a tensor is there and has the given shape, axes of length 1 aside.
    ///
    /// # Errors
    /// As [`Parameters::tensor`].
    pub fn check(&self, name: &str, shape: &[usize]) -> Result<()> {
        match self.find(name)? {
            Recipe::Copy { stored } => self.weights.check(stored, shape),
            Recipe::Rows { stored, parts, .. } => self.weights.check(stored, &scaled(shape, *parts)),
            Recipe::Transpose { stored } => {
                self.weights.check(stored, &shape.iter().rev().copied().collect::<Vec<_>>())
            }
        }
    }

    /// Reads a matrix `[rows, width]` and hands its rows on a few at a time, so that the whole of it is never in memory
    /// (unless it has to be transposed).
    ///
    /// # Errors
    /// As [`Parameters::tensor`].
    pub fn read_rows(&self, name: &str, shape: &[usize], sink: &mut dyn FnMut(&[f32])) -> Result<()> {
        match self.find(name)? {
            Recipe::Copy { stored } => self.weights.read_rows(stored, shape, 0..shape[0], sink),
            Recipe::Rows { stored, part, parts } => {
                let rows = part * shape[0]..(part + 1) * shape[0];
                self.weights.read_rows(stored, &scaled(shape, *parts), rows, sink)
            }
            Recipe::Transpose { .. } => {
                sink(&self.tensor(name, shape)?);
                Ok(())
            }
        }
    }

    /// A matrix `[outputs, inputs]` where it lies, if it is stored in int8 as it is.
    ///
    /// # Errors
    /// As [`Parameters::tensor`].
    pub fn int8(&self, name: &str, shape: &[usize]) -> Result<Option<Int8Part>> {
        match self.find(name)? {
            Recipe::Copy { stored } => self.weights.int8(stored, shape),
            Recipe::Rows { .. } | Recipe::Transpose { .. } => Ok(None),
        }
    }

    /// Whether two tensors hold the same values.
    ///
    /// # Errors
    /// If one is missing or cannot be read.
    pub fn same(&self, a: &str, b: &str) -> Result<bool> {
        if let (Recipe::Copy { stored: a }, Recipe::Copy { stored: b }) = (self.find(a)?, self.find(b)?) {
            return self.weights.same(a, b);
        }
        let (left, right) = (self.shape(a).unwrap_or_default(), self.shape(b).unwrap_or_default());
        Ok(left == right && self.tensor(a, &left)? == self.tensor(b, &right)?)
    }

    /// The error for a tensor that is not there.
    pub fn missing(&self, name: &str) -> Error {
        self.weights.missing_among(name, self.names())
    }

    fn find(&self, name: &str) -> Result<&Recipe> {
        self.recipes.get(name).ok_or_else(|| self.missing(name))
    }
}

/// The shape of `parts` tensors of a shape, one above the other.
fn scaled(shape: &[usize], parts: usize) -> Vec<usize> {
    let mut whole = shape.to_vec();
    if let Some(rows) = whole.first_mut() {
        *rows *= parts;
    }
    whole
}
