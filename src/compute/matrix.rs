//! A weight matrix of the CPU kernels, in memory or left where its rows can be read.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{ReadRows, profile};
use crate::Result;
use crate::kernels::{PackedMatrix, Precision, Screen};

/// Outputs from which on an `f32` layer is screened.
const WORTH_SCREENING: usize = 1024;

/// Searches of a layer after which its screen is made: about as many as pay for the making, so that a short run neither waits
/// for it nor takes its memory.
const SEARCHES_BEFORE_SCREENING: usize = 16;

/// A search of fewer rows than this feels the time that reading rows from a file takes, some percent of a decoding step.
const FEW_ROWS: usize = 4;

/// Such searches in a row after which a matrix is packed: more than the end of a large batch has, few where sentences are
/// translated one at a time.
const SEARCHES_BEFORE_PACKING: usize = 128;

/// A matrix, packed at once or when all of it is needed, and its screen once it is of use.
pub struct Matrix {
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    precision: Precision,
    /// Of a matrix that is left where it is: none until all of it is needed.
    packed: OnceLock<PackedMatrix>,
    /// Reads the rows of a matrix that is left where it is.
    stored: Option<ReadRows>,
    /// Held by whoever reads all of them.
    reading: Mutex<()>,
    screen: OnceLock<Screen>,
    /// Searches so far that a screen would have served; of a matrix that is left where it is, those of few rows in a row.
    searches: AtomicUsize,
}

impl Matrix {
    /// A matrix of that size, of which there is nothing yet.
    fn empty(outputs: usize, inputs: usize, precision: Precision) -> Self {
        let (packed, screen) = (OnceLock::new(), OnceLock::new());
        let (stored, reading, searches) = (None, Mutex::default(), AtomicUsize::new(0));
        Self { outputs, inputs, precision, packed, stored, reading, screen, searches }
    }

    /// A matrix in memory.
    pub(super) fn new(packed: PackedMatrix) -> Self {
        let empty = Self::empty(packed.outputs(), packed.inputs(), packed.precision());
        Self { packed: packed.into(), ..empty }
    }

    /// A matrix that is left where `read` finds its rows, if it is one that pays for.
    pub(super) fn stored(outputs: usize, inputs: usize, precision: Precision, read: ReadRows) -> Option<Self> {
        let empty = Self::empty(outputs, inputs, precision);
        empty.can_be_screened().then(|| Self { stored: Some(read), ..empty })
    }

    /// How its rows are read, as long as it is not packed.
    pub(super) fn reader(&self) -> Option<&ReadRows> {
        if self.packed.get().is_some() { None } else { self.stored.as_ref() }
    }

    /// The packed matrix. One that was left where it is is packed now, and stays so.
    pub(super) fn packed(&self) -> Result<&PackedMatrix> {
        self.once(&self.packed, |read| PackedMatrix::of_rows(self.outputs, self.inputs, self.precision, read))
    }

    /// What is in `place`; if there is nothing, `make` makes it of the rows that are left where they are, while others wait.
    fn once<'a, T>(&'a self, place: &'a OnceLock<T>, make: impl FnOnce(&ReadRows) -> Result<T>) -> Result<&'a T> {
        if let Some(made) = place.get() {
            return Ok(made);
        }
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = place.get() {
            return Ok(made);
        }
        let made = make(self.stored.as_ref().expect("a matrix is packed, or its rows can be read"))?;
        Ok(place.get_or_init(|| made))
    }

    /// Tells the profile of a product with `rows` rows.
    pub(super) fn count_product(&self, running: &profile::Running, rows: usize) {
        let elements = self.outputs * self.inputs;
        running.product(rows * elements, elements * self.precision.bytes());
    }

    fn can_be_screened(&self) -> bool {
        self.precision == Precision::F32
            && self.outputs >= WORTH_SCREENING
            && self.inputs <= Precision::Int8.most_inputs()
    }

    /// The screen of the packed matrix, if there is one by now. Whoever searches for the last time without makes it; nobody waits
    /// for him.
    pub(super) fn screen(&self, packed: &PackedMatrix) -> Option<&Screen> {
        if !self.can_be_screened() {
            return None;
        }
        self.screen.get().or_else(|| {
            let is_last = self.searches.fetch_add(1, Ordering::Relaxed) == SEARCHES_BEFORE_SCREENING;
            is_last.then(|| self.screen.get_or_init(|| Screen::new(packed)))
        })
    }

    /// What a search of so many rows needs where the matrix is left where it is; `None` if it is not, or it is time to pack it.
    pub(super) fn screened_rows(&self, rows: usize) -> Result<Option<(&Screen, &ReadRows)>> {
        let Some(read) = self.reader() else { return Ok(None) };
        if rows >= FEW_ROWS {
            self.searches.store(0, Ordering::Relaxed);
        } else if self.searches.fetch_add(1, Ordering::Relaxed) >= SEARCHES_BEFORE_PACKING {
            return Ok(None);
        }
        let screen = self.once(&self.screen, |read| Screen::of_rows(self.outputs, self.inputs, read))?;
        Ok(Some((screen, read)))
    }
}

impl fmt::Debug for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matrix([{}, {}] in {:?})", self.outputs, self.inputs, self.precision)
    }
}
