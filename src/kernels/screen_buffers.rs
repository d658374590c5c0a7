//! What screening keeps between two searches: candidates, and the norms their bounds are computed from.

use super::ranking::Scored;
use super::simd::LANES;

/// Norms of a row of activations.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowNorms {
    /// `‖x‖`.
    pub(super) x: f32,
    /// `‖x - x̂‖`.
    pub(super) error: f32,
}

/// Scratch of [`Screen::top_k`](super::Screen::top_k).
#[derive(Debug, Default)]
pub(super) struct ScreenBuffers {
    pub(super) norms: Vec<RowNorms>,
    /// Rows, each with what rounding takes from it.
    pub(super) digits: Vec<f32>,
    /// Per task: what the rounded rows alone score.
    pub(super) first_digit: Vec<f32>,
    /// Per task and row.
    pub(super) lists: Vec<List>,
    /// Of one row.
    pub(super) candidates: Vec<Candidate>,
    /// Rows whose lists overflowed, and their activations.
    pub(super) overflowed: Vec<usize>,
    pub(super) rows: Vec<f32>,
    /// A row of the matrix that was read.
    pub(super) weights: Vec<f32>,
    pub(super) best: Vec<Scored>,
}

/// Sixteen outputs, a panel of the matrix, and what the best of them scores at most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Candidate {
    pub(super) at_most: f32,
    pub(super) panel: u32,
    /// Which of the sixteen may be among the best, the lowest in the lowest bit.
    pub(super) lanes: u16,
}

impl Candidate {
    /// The outputs that may be among the best.
    pub(super) fn outputs(self) -> impl Iterator<Item = u32> {
        (0..LANES as u32)
            .filter(move |lane| self.lanes >> lane & 1 == 1)
            .map(move |lane| self.panel * LANES as u32 + lane)
    }
}

/// Candidates that fit a list. With more than that, a row is as quickly computed in full.
pub(super) const CAPACITY: usize = 256;

/// Candidates of a row.
#[derive(Clone, Debug)]
pub(super) struct List {
    pub(super) length: usize,
    /// Too many candidates: the list is useless.
    pub(super) overflowed: bool,
    pub(super) places: [Candidate; CAPACITY],
}

impl Default for List {
    fn default() -> Self {
        Self { length: 0, overflowed: false, places: [Candidate::default(); CAPACITY] }
    }
}

impl List {
    pub(super) fn clear(&mut self) {
        (self.length, self.overflowed) = (0, false);
    }

    pub(super) fn candidates(&self) -> &[Candidate] {
        &self.places[..self.length]
    }

    /// Adds a candidate; if there is no room, candidates that cannot reach `reach` make way.
    pub(super) fn push(&mut self, candidate: Candidate, reach: f32) {
        if self.length == CAPACITY {
            self.length = 0;
            for index in 0..CAPACITY {
                if self.places[index].at_most >= reach {
                    self.places[self.length] = self.places[index];
                    self.length += 1;
                }
            }
        }
        match self.places.get_mut(self.length) {
            Some(place) => {
                *place = candidate;
                self.length += 1;
            }
            None => self.overflowed = true,
        }
    }
}
