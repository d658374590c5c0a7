//! Where the time of a model goes: what each kind of operation took on the kernels, how much it multiplied and what weights it
//! read. Off unless asked for; then every operation costs two looks at the clock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Rows of the embedding, positions added.
    Embedding,
    /// Matrix products but for the output layer, with their activations.
    Products,
    /// The product with the output layer, and what is best of it.
    Output,
    /// Laying out the keys and values of sentences.
    Memory,
    /// Attention to sentences: the encoder's own, and the decoder's to the source.
    Sentences,
    /// The decoder's attention to its own past.
    Past,
    /// Norms, with the sums before them.
    Norms,
    /// The gates of recurrent cells.
    Gates,
}

impl Step {
    /// All kinds, in the order of the enumeration.
    pub const ALL: [Self; 8] = [
        Self::Embedding,
        Self::Products,
        Self::Output,
        Self::Memory,
        Self::Sentences,
        Self::Past,
        Self::Norms,
        Self::Gates,
    ];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::Products => "products",
            Self::Output => "output layer",
            Self::Memory => "keys and values laid out",
            Self::Sentences => "attention to sentences",
            Self::Past => "attention to the past",
            Self::Norms => "norms",
            Self::Gates => "recurrent gates",
        }
    }
}

/// What a kind of operation cost since [`begin`], all threads together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// The kind.
    pub step: Step,
    /// Seconds.
    pub seconds: f64,
    /// How often.
    pub calls: u64,
    /// Multiplications, each with its addition, of matrix products.
    pub multiplications: u64,
    /// Bytes of weights that were read.
    pub weight_bytes: u64,
}

#[derive(Debug)]
struct Counter {
    nanoseconds: AtomicU64,
    calls: AtomicU64,
    multiplications: AtomicU64,
    weight_bytes: AtomicU64,
}

static IS_ON: AtomicBool = AtomicBool::new(false);
static COUNTERS: [Counter; Step::ALL.len()] = [const {
    Counter {
        nanoseconds: AtomicU64::new(0),
        calls: AtomicU64::new(0),
        multiplications: AtomicU64::new(0),
        weight_bytes: AtomicU64::new(0),
    }
}; Step::ALL.len()];

/// Counts from zero, from now on, in the whole process.
pub fn begin() {
    for counter in &COUNTERS {
        let Counter { nanoseconds, calls, multiplications, weight_bytes } = counter;
        for number in [nanoseconds, calls, multiplications, weight_bytes] {
            number.store(0, Ordering::Relaxed);
        }
    }
    IS_ON.store(true, Ordering::Relaxed);
}

/// Counts no more; what was counted, for each kind that occurred.
pub fn end() -> Vec<Cost> {
    IS_ON.store(false, Ordering::Relaxed);
    let costs = Step::ALL.into_iter().zip(&COUNTERS).map(|(step, counter)| Cost {
        step,
        seconds: counter.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9,
        calls: counter.calls.load(Ordering::Relaxed),
        multiplications: counter.multiplications.load(Ordering::Relaxed),
        weight_bytes: counter.weight_bytes.load(Ordering::Relaxed),
    });
    costs.filter(|cost| cost.calls > 0).collect()
}

/// An operation under way; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Running(Option<(Step, Instant)>);

/// Begins an operation.
#[inline]
pub(super) fn running(step: Step) -> Running {
    Running(IS_ON.load(Ordering::Relaxed).then(|| (step, Instant::now())))
}

impl Running {
    /// Says how much it multiplies, and how many bytes of weights it reads.
    pub(super) fn product(&self, multiplications: usize, weight_bytes: usize) {
        if let Some((step, _)) = self.0 {
            let counter = &COUNTERS[step as usize];
            counter.multiplications.fetch_add(multiplications as u64, Ordering::Relaxed);
            counter.weight_bytes.fetch_add(weight_bytes as u64, Ordering::Relaxed);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some((step, start)) = self.0 {
            let counter = &COUNTERS[step as usize];
            counter.nanoseconds.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
            counter.calls.fetch_add(1, Ordering::Relaxed);
        }
    }
}
