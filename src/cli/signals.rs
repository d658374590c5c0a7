//! Signals that stop a run: what is finished is written first.

use translate::pipeline::Interrupt;

/// An interrupt triggered by SIGINT, SIGTERM and SIGHUP, except those the process was told to ignore (as `nohup`
/// does, and shells for background commands). A second signal ends the process at once.
///
/// # Errors
/// If the operating system refuses the handler or the thread that waits for it.
#[cfg(unix)]
pub(super) fn interrupt() -> std::io::Result<Interrupt> {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::flag;

    let interrupt = Interrupt::new();
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
            waiting.stop_on_signal(signal);
        }
    })?;
    Ok(interrupt)
}

/// An interrupt that no signal triggers: this system's are left as they are.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub(super) fn interrupt() -> std::io::Result<Interrupt> {
    Ok(Interrupt::new())
}

/// The signals this process ignores, bit `n - 1` for signal `n`; all but SIGINT and SIGTERM where that cannot be found
/// out.
#[cfg(unix)]
fn ignored_signals() -> u64 {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or(!(1 << (SIGINT - 1) | 1 << (SIGTERM - 1)))
}
