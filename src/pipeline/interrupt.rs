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
    /// An interrupt that only [`Interrupt::stop`] triggers.
    pub fn new() -> Self {
        Self::default()
    }

    /// An interrupt triggered by SIGINT, SIGTERM and SIGHUP, except those the process was told to ignore (as `nohup`
    /// does, and shells for background commands). A second signal ends the process at once.
    ///
    /// Elsewhere than on Unix this is [`Interrupt::new`], and the system's default stays.
    ///
    /// # Errors
    /// If the operating system refuses the handler or the thread that waits for it.
    #[cfg(unix)]
    pub fn on_signals() -> std::io::Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        use signal_hook::flag;
        use std::sync::atomic::AtomicBool;

        let interrupt = Self::new();
        let ignored = ignored_signals();
        let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
        let wanted: Vec<i32> = wanted.collect();
        let second = Arc::new(AtomicBool::new(false));
        for &signal in &wanted {
            // Handlers run in the order they are registered: the first signal only arms the flag.
            flag::register_conditional_default(signal, second.clone())?;
            flag::register(signal, second.clone())?;
        }
        let mut signals = signal_hook::iterator::Signals::new(&wanted)?;
        let waiting = interrupt.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                waiting.trigger(Some(signal));
            }
        })?;
        Ok(interrupt)
    }

    /// An interrupt that only [`Interrupt::stop`] triggers: this system's signals are left as they are.
    ///
    /// # Errors
    /// None.
    #[cfg(not(unix))]
    pub fn on_signals() -> std::io::Result<Self> {
        Ok(Self::new())
    }

    /// Stops the run that has this interrupt, or the next one.
    pub fn stop(&self) {
        self.trigger(None);
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

/// The signals this process ignores, bit `n - 1` for signal `n`; all but SIGINT and SIGTERM where that cannot be found
/// out.
#[cfg(unix)]
fn ignored_signals() -> u64 {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mask = super::process::process_status("SigIgn").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    mask.unwrap_or(!(1 << (SIGINT - 1) | 1 << (SIGTERM - 1)))
}
