//! The tensors of a network under the names it knows them by, whatever they are stored as.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::row_file::no_numbers;
use super::{Block, Dtype, Int8Part, Recipe, RowFile, Weights};
use crate::{Error, Result};

/// All tensors of a network by the names its layers ask for.
#[derive(Debug)]
pub struct Parameters {
    weights: Weights,
    recipes: BTreeMap<String, Recipe>,
    /// Names that were asked for.
    used: Mutex<BTreeSet<String>>,
}

impl Parameters {
    /// Tensors of `weights` made by `recipes`, by name.
    pub fn new(weights: Weights, recipes: BTreeMap<String, Recipe>) -> Self {
        Self { weights, recipes, used: Mutex::default() }
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
            Recipe::Rows { parts, .. } | Recipe::ByHead { parts, .. } => *shape.first_mut()? /= parts,
            Recipe::Transpose { .. } => shape.reverse(),
            Recipe::Stack { blocks } => {
                shape = blocks.first()?.shape(&shape)?;
                *shape.first_mut()? *= blocks.len();
            }
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
        let values = self.stored_tensor(name, shape)?;
        self.check_numbers(name, count_wrong(name, &values), values.len())?;
        Ok(values)
    }

    /// Refuses a tensor with values that are no numbers: whatever passes through it is none either.
    fn check_numbers(&self, name: &str, wrong: usize, count: usize) -> Result<()> {
        if wrong == 0 {
            return Ok(());
        }
        Err(Error::model(self.path(), no_numbers(self.find(name)?.stored(), wrong, count)))
    }

    fn stored_tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        match self.find(name)? {
            Recipe::Copy { stored } => self.weights.tensor(stored, shape),
            Recipe::Rows { stored, part, parts } => {
                let size = shape.iter().product::<usize>();
                let whole = self.weights.tensor(stored, &scaled(shape, *parts))?;
                Ok(whole[part * size..(part + 1) * size].to_vec())
            }
            Recipe::ByHead { stored, part, parts, before, heads } => {
                let whole = self.weights.tensor(stored, &scaled(shape, *parts))?;
                let size = shape.iter().product::<usize>();
                let of_head = size / heads;
                if of_head * heads != size {
                    return Err(self.weights.error(format!("tensor {stored} cannot be divided among {heads} heads")));
                }
                let start = |head: usize| before * size + (head * (parts - before) + part - before) * of_head;
                Ok((0..*heads).flat_map(|head| &whole[start(head)..start(head) + of_head]).copied().collect())
            }
            Recipe::Transpose { stored } => {
                let reversed: Vec<usize> = shape.iter().rev().copied().collect();
                let values = self.weights.tensor(stored, &reversed)?;
                let [rows, columns] = shape[..] else { return Ok(values) };
                Ok(transposed(&values, rows, columns))
            }
            Recipe::Stack { blocks } => self.stacked(name, blocks, shape),
        }
    }

    /// The blocks of a tensor, one above the other.
    fn stacked(&self, name: &str, blocks: &[Block], shape: &[usize]) -> Result<Vec<f32>> {
        self.check(name, shape)?;
        let mut values = Vec::with_capacity(shape.iter().product());
        for block in blocks {
            let stored = block.stored();
            let of_stored = self.weights.shape(stored).unwrap_or_default();
            let whole = self.weights.tensor(stored, of_stored)?;
            let columns = of_stored.last().copied().unwrap_or(1);
            match *block {
                Block::Columns { part, parts, .. } => {
                    let turned = transposed(&whole, columns, whole.len() / columns.max(1));
                    let size = turned.len() / parts;
                    values.extend_from_slice(&turned[part * size..(part + 1) * size]);
                }
                Block::InRow { row, part, parts, .. } => {
                    let size = columns / parts;
                    values.extend_from_slice(&whole[row * columns + part * size..row * columns + (part + 1) * size]);
                }
            }
        }
        Ok(values)
    }

    /// Checks that a tensor is there and has the given shape, axes of length 1 aside.
    ///
    /// # Errors
    /// As [`Parameters::tensor`].
    pub fn check(&self, name: &str, shape: &[usize]) -> Result<()> {
        match self.find(name)? {
            Recipe::Copy { stored } => self.weights.check(stored, shape),
            Recipe::Rows { stored, parts, .. } | Recipe::ByHead { stored, parts, .. } => {
                self.weights.check(stored, &scaled(shape, *parts))
            }
            Recipe::Transpose { stored } => {
                self.weights.check(stored, &shape.iter().rev().copied().collect::<Vec<_>>())
            }
            Recipe::Stack { blocks } => self.check_stack(blocks, shape),
        }
    }

    /// Checks that every block is as high as its share of a shape, and as wide as all of it.
    fn check_stack(&self, blocks: &[Block], shape: &[usize]) -> Result<()> {
        let plain = |shape: &[usize]| shape.iter().copied().filter(|&size| size != 1).collect::<Vec<_>>();
        for block in blocks {
            let stored = block.stored();
            let of_stored = self.weights.shape(stored).unwrap_or_default();
            let mut found = block.shape(of_stored).unwrap_or_default();
            if let Some(rows) = found.first_mut() {
                *rows *= blocks.len();
            }
            let (Block::Columns { parts, .. } | Block::InRow { parts, .. }) = block;
            let divides = of_stored.last().is_some_and(|columns| columns.is_multiple_of(*parts));
            if plain(&found) != plain(shape) || !divides {
                let problem = format!("tensor {stored} {of_stored:?} does not fit into one of shape {shape:?}");
                return Err(self.weights.error(problem));
            }
        }
        Ok(())
    }

    /// Reads a matrix `[rows, width]` and hands its rows on a few at a time, so that the whole of it is never in memory
    /// (unless it has to be transposed).
    ///
    /// # Errors
    /// As [`Parameters::tensor`].
    pub fn read_rows(&self, name: &str, shape: &[usize], sink: &mut dyn FnMut(&[f32])) -> Result<()> {
        let (mut wrong, mut count) = (0, 0);
        let mut counted = |values: &[f32]| {
            wrong += count_wrong(name, values);
            count += values.len();
            sink(values);
        };
        match self.find(name)? {
            Recipe::Copy { stored } => self.weights.read_rows(stored, shape, 0..shape[0], &mut counted)?,
            Recipe::Rows { stored, part, parts } => {
                let rows = part * shape[0]..(part + 1) * shape[0];
                self.weights.read_rows(stored, &scaled(shape, *parts), rows, &mut counted)?;
            }
            Recipe::ByHead { .. } | Recipe::Transpose { .. } | Recipe::Stack { .. } => {
                counted(&self.stored_tensor(name, shape)?)
            }
        }
        self.check_numbers(name, wrong, count)
    }

    /// The rows of a matrix `[rows, width]` for reading them at any time, if they are stored as they are in a file on disk.
    ///
    /// # Errors
    /// As [`Parameters::tensor`].
    pub fn row_file(&self, name: &str, shape: &[usize]) -> Result<Option<RowFile>> {
        match self.find(name)? {
            Recipe::Copy { stored } => self.weights.row_file(stored, shape, 0),
            Recipe::Rows { stored, part, parts } => {
                self.weights.row_file(stored, &scaled(shape, *parts), part * shape[0])
            }
            Recipe::ByHead { .. } | Recipe::Transpose { .. } | Recipe::Stack { .. } => Ok(None),
        }
    }

    /// A matrix `[outputs, inputs]` where it lies, if it is stored in int8 as it is.
    ///
    /// # Errors
    /// As [`Parameters::tensor`].
    pub fn int8(&self, name: &str, shape: &[usize]) -> Result<Option<Int8Part>> {
        let part = match (self.find(name)?, shape) {
            (Recipe::Copy { stored }, _) => self.weights.int8(stored, shape, 0..shape[0])?,
            (Recipe::Rows { stored, part, parts }, _) => {
                self.weights.int8(stored, &scaled(shape, *parts), part * shape[0]..(part + 1) * shape[0])?
            }
            (Recipe::Transpose { stored }, &[outputs, inputs]) => {
                self.weights.int8_of_columns(stored, [outputs, inputs])?
            }
            (Recipe::ByHead { .. } | Recipe::Transpose { .. } | Recipe::Stack { .. }, _) => None,
        };
        if let Some(part) = &part {
            self.check_numbers(name, count_wrong(name, &part.scales), part.scales.len())?;
        }
        Ok(part)
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
        let recipe = self.recipes.get(name).ok_or_else(|| self.missing(name))?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if !used.contains(name) {
            used.insert(name.to_owned());
        }
        Ok(recipe)
    }

    /// What a person should know of the tensors that a network made of these parameters leaves out, in one line.
    pub fn unused_note(&self) -> Option<String> {
        let unused = self.unused();
        let (first, more) = (unused.first()?, if unused.len() > 1 { ", …" } else { "" });
        let (path, count) = (self.path(), unused.len());
        Some(format!(
            "{}: {count} tensors are not used ({first}{more}); does config.json describe this network?",
            path.display()
        ))
    }

    /// The tensors that were never asked for and belong to a layer or are a matrix, sorted: what a network that was made of
    /// these parameters leaves out. Copies of embeddings and tables that are computed do not count.
    fn unused(&self) -> Vec<&str> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let is_spare = |name: &str| {
            ["embed", "lm_head", "logits_bias", "pos", "mask"].iter().any(|part| name.contains(part))
                || self.dtype(name).is_none()
        };
        let is_part = |name: &str| {
            name.contains("layers.") || self.shape(name).is_some_and(|shape| shape.len() > 1 && shape[0] > 1)
        };
        self.names().filter(|name| !used.contains(*name) && !is_spare(name) && is_part(name)).collect()
    }
}

/// How many values are no numbers. An output bias of minus infinity is one way to say that a token is never written.
fn count_wrong(name: &str, values: &[f32]) -> usize {
    let may_ban = name.ends_with("final_logits_bias");
    let is_fine = |value: &f32| value.is_finite() || (may_ban && *value == f32::NEG_INFINITY);
    values.iter().filter(|value| !is_fine(value)).count()
}

/// `values` `[columns, rows]` as `[rows, columns]`, a square of them at a time, so that neither is walked through in steps
/// that leave the cache.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const SIDE: usize = 32;
    let mut out = vec![0.0; rows * columns];
    for first_row in (0..rows).step_by(SIDE) {
        for first_column in (0..columns).step_by(SIDE) {
            for row in first_row..rows.min(first_row + SIDE) {
                for column in first_column..columns.min(first_column + SIDE) {
                    out[row * columns + column] = values[column * rows + row];
                }
            }
        }
    }
    out
}

/// The shape of `parts` tensors of a shape, one above the other.
fn scaled(shape: &[usize], parts: usize) -> Vec<usize> {
    let mut whole = shape.to_vec();
    if let Some(rows) = whole.first_mut() {
        *rows *= parts;
    }
    whole
}
