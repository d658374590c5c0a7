//! A small pool of threads for fork and join inside one matrix product.
//!
//! Whoever is free takes the next task, the forking thread included, so a worker that the operating system has not
//! scheduled delays nothing: the others do its share. Workers spin for some tens of microseconds after the last task,
//! long enough to catch the next product of the same decoding step, and then sleep.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::{fmt, hint, ptr};

/// How often an idle worker looks for work before it sleeps.
const SPINS: u32 = 2_000;

/// A task body: a pointer to the caller's closure and the function that calls it.
type Call = unsafe fn(*const (), usize);

struct Shared {
    /// Fork number in the high half, tasks not yet taken in the low half.
    tickets: AtomicU64,
    /// Tasks of the current fork that have not finished.
    unfinished: AtomicUsize,
    /// The closure of the current fork, and the `Call` that runs it.
    closure: AtomicPtr<()>,
    call: AtomicPtr<()>,
    panicked: AtomicBool,
    stop: AtomicBool,
    asleep: Vec<AtomicBool>,
}

/// `threads - 1` worker threads that help the thread that owns the pool.
pub(super) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<(JoinHandle<()>, Thread)>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").field("workers", &self.workers.len()).finish()
    }
}

impl Pool {
    /// A pool that computes on up to `threads` threads, the caller's among them. Where the system refuses a thread the
    /// pool is smaller.
    pub(super) fn new(threads: usize) -> Self {
        let helpers = threads.saturating_sub(1);
        let shared = Arc::new(Shared {
            tickets: AtomicU64::new(0),
            unfinished: AtomicUsize::new(0),
            closure: AtomicPtr::new(ptr::null_mut()),
            call: AtomicPtr::new(ptr::null_mut()),
            panicked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            asleep: (0..helpers).map(|_| AtomicBool::new(false)).collect(),
        });
        let workers = (0..helpers)
            .map_while(|index| {
                let shared = Arc::clone(&shared);
                let builder = thread::Builder::new().name(format!("kernel-{index}"));
                let handle = builder.spawn(move || shared.work(index)).ok()?;
                let thread = handle.thread().clone();
                Some((handle, thread))
            })
            .collect();
        Self { shared, workers }
    }

    /// Number of threads that compute, the caller's included.
    pub(super) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `task(0)` to `task(tasks - 1)`, each once, in any order and on any thread; returns when all have finished.
    ///
    /// # Panics
    /// If a task panics.
    pub(super) fn run<F: Fn(usize) + Sync>(&mut self, tasks: usize, task: F) {
        if tasks <= 1 || self.workers.is_empty() {
            (0..tasks).for_each(task);
            return;
        }
        unsafe fn call<F: Fn(usize)>(closure: *const (), index: usize) {
            // SAFETY: `closure` points to the `F` below, which lives until every task has finished.
            unsafe { (*closure.cast::<F>())(index) }
        }
        let shared = &*self.shared;
        shared.unfinished.store(tasks, Ordering::Relaxed);
        shared.closure.store(ptr::from_ref(&task).cast_mut().cast(), Ordering::Relaxed);
        shared.call.store(call::<F> as Call as *mut (), Ordering::Relaxed);
        let fork = (shared.tickets.load(Ordering::Relaxed) >> 32) + 1;
        shared.tickets.store((fork << 32) | tasks as u64, Ordering::SeqCst);
        for ((_, thread), asleep) in self.workers.iter().zip(&shared.asleep) {
            if asleep.load(Ordering::SeqCst) {
                thread.unpark();
            }
        }
        while shared.help() {}
        let mut spins = 0u32;
        while shared.unfinished.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins < SPINS { hint::spin_loop() } else { thread::yield_now() }
        }
        if shared.panicked.swap(false, Ordering::Relaxed) {
            resume_unwind(Box::new("a kernel task panicked"));
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for (handle, thread) in self.workers.drain(..) {
            thread.unpark();
            // A worker catches the panics of its tasks, so joining it cannot fail.
            let _ = handle.join();
        }
    }
}

impl Shared {
    /// Takes and runs one task; false when none is left.
    fn help(&self) -> bool {
        let seen = self.tickets.load(Ordering::Acquire);
        let left = seen & 0xffff_ffff;
        if left == 0 {
            return false;
        }
        let closure = self.closure.load(Ordering::Relaxed);
        let call = self.call.load(Ordering::Relaxed);
        if self.tickets.compare_exchange(seen, seen - 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return true;
        }
        // SAFETY: the fork number did not change between reading the two pointers and taking the ticket, and a fork
        // with tickets left has not returned, so both pointers belong to it; it does not return, and its closure lives,
        // until this task is counted as finished below. `call` was made from a `Call`.
        let outcome = catch_unwind(AssertUnwindSafe(|| unsafe {
            let call = std::mem::transmute::<*mut (), Call>(call);
            call(closure, left as usize - 1);
        }));
        if outcome.is_err() {
            self.panicked.store(true, Ordering::Relaxed);
        }
        self.unfinished.fetch_sub(1, Ordering::Release);
        true
    }

    /// The life of a worker.
    fn work(&self, index: usize) {
        let mut idle = 0u32;
        while !self.stop.load(Ordering::Relaxed) {
            if self.help() {
                idle = 0;
            } else if idle < SPINS {
                idle += 1;
                hint::spin_loop();
            } else {
                self.asleep[index].store(true, Ordering::SeqCst);
                // Look once more: a fork that began before `asleep` was visible did not wake this thread.
                if self.tickets.load(Ordering::SeqCst) & 0xffff_ffff == 0 && !self.stop.load(Ordering::SeqCst) {
                    thread::park();
                }
                self.asleep[index].store(false, Ordering::SeqCst);
                idle = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_every_task_once() {
        let mut pool = Pool::new(3);
        for tasks in [0, 1, 2, 3, 7, 100] {
            let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
            pool.run(tasks, |index| {
                counts[index].fetch_add(1, Ordering::Relaxed);
            });
            assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1), "{tasks} tasks");
        }
    }

    #[test]
    fn forks_again_after_sleeping() {
        let mut pool = Pool::new(2);
        let sum = AtomicUsize::new(0);
        for _ in 0..20 {
            pool.run(4, |index| {
                sum.fetch_add(index, Ordering::Relaxed);
            });
            thread::sleep(std::time::Duration::from_millis(1));
        }
        assert_eq!(sum.into_inner(), 20 * 6);
    }

    #[test]
    fn many_short_forks_finish() {
        let mut pool = Pool::new(4);
        let sum = AtomicUsize::new(0);
        for _ in 0..20_000 {
            pool.run(3, |_| {
                sum.fetch_add(1, Ordering::Relaxed);
            });
        }
        assert_eq!(sum.into_inner(), 60_000);
    }

    #[test]
    #[should_panic(expected = "a kernel task panicked")]
    fn passes_a_panic_on() {
        Pool::new(2).run(2, |index| assert_ne!(index, 1));
    }
}
