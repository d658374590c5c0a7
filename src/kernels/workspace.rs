//! Threads and scratch memory handed through a forward pass.

/// Threads and scratch buffers of one worker. A forward pass borrows it mutably and allocates nothing else.
#[derive(Debug)]
pub struct Workspace {
    threads: usize,
}

impl Workspace {
    /// A workspace whose kernels may use `threads` threads (at least 1).
    pub fn new(threads: usize) -> Self {
        Self { threads: threads.max(1) }
    }

    /// How many threads kernels may use.
    pub fn threads(&self) -> usize {
        self.threads
    }
}
