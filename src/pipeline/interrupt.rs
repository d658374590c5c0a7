//! Stopping a run from outside.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A way to stop a run early: what is finished is written, in order, and the run returns
/// [`End::Interrupted`](super::End::Interrupted).
///
/// Clones stop the same run.
#[derive(Clone, Default)]
pub struct Interrupt {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    signal: Option<i32>,
    stopped: bool,
    wake: Option<Box<dyn Fn() + Send>>,
}

impl Interrupt {
    /// An interrupt that nobody has triggered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the run that has this interrupt, or the next one.
    pub fn stop(&self) {
        self.trigger(None);
    }

    /// Stops it because the process received a signal, whose number [`Interrupt::signal`] then gives.
    pub fn stop_on_signal(&self, signal: i32) {
        self.trigger(Some(signal));
    }

    /// The signal that triggered the interrupt, if one did; programs then end with status 128 + signal.
    pub fn signal(&self) -> Option<i32> {
        self.lock().signal
    }

    fn trigger(&self, signal: Option<i32>) {
        let mut state = self.lock();
        state.stopped = true;
        state.signal = state.signal.or(signal);
        if let Some(wake) = &state.wake {
            wake();
        }
    }

    /// Calls `wake` when the interrupt is triggered, at once if it was already.
    pub(super) fn attach(&self, wake: impl Fn() + Send + 'static) {
        let mut state = self.lock();
        if state.stopped {
            wake();
        }
        state.wake = Some(Box::new(wake));
    }

    /// Forgets the run.
    pub(super) fn detach(&self) {
        self.lock().wake = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
