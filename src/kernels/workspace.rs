//! Threads and scratch memory handed through a forward pass.

use super::pool::Pool;
use super::simd::InstructionSet;

/// Threads and scratch buffers of one worker. A forward pass borrows it mutably; its buffers grow to the largest size
/// asked of them and stay, so that a decoding step allocates nothing.
#[derive(Debug)]
pub struct Workspace {
    pub(super) set: InstructionSet,
    pub(super) pool: Pool,
    pub(super) scratch: Scratch,
    /// Attention weights of the rows at hand.
    weights: Vec<f32>,
    /// What distances add to the scores of the query at hand.
    distances: Vec<f32>,
}

/// Buffers of the matrix products.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Quantised activations, `[rows, inputs rounded up to 4]`.
    pub(super) quantised: Vec<u8>,
    /// How each quantised row is read.
    pub(super) steps: Vec<super::digits::Steps>,
    /// Per task: products of one block of rows and outputs.
    pub(super) block: Vec<f32>,
    /// Per task, row and rank: the best tokens so far.
    pub(super) best: Vec<super::Scored>,
    /// Per row and block of outputs: largest score and sum of exponentials relative to it.
    pub(super) partial_sums: Vec<(f32, f32)>,
    pub(super) screen: super::screen_buffers::ScreenBuffers,
}

impl Workspace {
    /// A workspace whose kernels compute on up to `threads` threads (at least 1, the caller's included).
    pub fn new(threads: usize) -> Self {
        Self::with_instruction_set(threads, InstructionSet::detect())
    }

    pub(super) fn with_instruction_set(threads: usize, set: InstructionSet) -> Self {
        Self {
            set,
            pool: Pool::new(threads.max(1)),
            scratch: Scratch::default(),
            weights: Vec::new(),
            distances: Vec::new(),
        }
    }

    /// Buffers for attention weights and for what distances add to scores.
    pub(crate) fn attention(&mut self) -> (&mut Vec<f32>, &mut Vec<f32>) {
        (&mut self.weights, &mut self.distances)
    }

    /// How many threads kernels compute on.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }
}
