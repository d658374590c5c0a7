//! Counts what a thread allocates, so that tests can say how much is too much.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    /// Bytes this thread has allocated and not freed; below zero if it frees what others allocated.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    /// The highest value of `LIVE` since [`peak`] began.
    static PEAK: Cell<isize> = const { Cell::new(0) };
    /// How often this thread asked for memory.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator with a count for each thread.
struct Counting;

fn count(bytes: isize) {
    let live = LIVE.get() + bytes;
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
    CALLS.set(CALLS.get() + usize::from(bytes > 0));
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract. Counting neither
// allocates nor panics: the thread-local numbers are constants at first and have no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as our caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as our caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // For a moment there may be both.
        count(size as isize);
        count(-(layout.size() as isize));
        // SAFETY: as our caller promised.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as our caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The most bytes this thread held at a time while `work` ran, beyond what it held before.
pub(crate) fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = work();
    (result, usize::try_from(PEAK.get() - before).unwrap_or(0))
}

/// How often this thread asked for memory while `work` ran.
pub(crate) fn calls<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = CALLS.get();
    let result = work();
    (result, CALLS.get() - before)
}

#[test]
fn the_peak_is_what_was_held_at_the_same_time() {
    let ((), bytes) = peak(|| {
        drop(vec![0_u8; 1000]);
        drop(vec![0_u8; 3000]);
    });
    assert_eq!(bytes, 3000);
}
