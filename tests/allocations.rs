//! A decoding step allocates nothing. In a binary of its own, because it replaces the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use translate::kernels::{Precision, Workspace};
use translate::model::{Normalise, Record, TopK};
use translate::{Result, Translator};

/// Passes everything on to the system and counts.
struct Counting;

thread_local! {
    /// Of this thread: the test harness has others.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has no counter any more.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every promise is the system allocator's own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise about `layout`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise that `pointer` came from here with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: as for `alloc` and `dealloc`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many of 64 decoding steps of a beam search over three sentences allocate, after the first, in which buffers grow.
fn allocating_steps(model: &str, precision: Precision) -> Result<usize> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/models/");
    let translator = Translator::load(&format!("{directory}{model}"), precision)?;
    let mut workspace = Workspace::new(1);
    let sources: [&[u32]; 3] = [&[5, 6, 7, 2], &[8, 2], &[9, 10, 11, 12, 13, 2]];
    let mut decoder = translator.model().start(&sources, Record::default(), &mut workspace);
    let mut candidates = Vec::new();
    let request = TopK { k: 4, banned: &[0], normalise: Normalise::All };
    let mut step = |tokens: &[u32], rows: &[usize]| {
        let before = ALLOCATIONS.get();
        decoder.step(tokens, &mut workspace);
        decoder.top_k(request, &mut candidates, &mut workspace);
        decoder.select(rows);
        usize::from(ALLOCATIONS.get() > before)
    };
    step(&[4, 4, 4], &[0, 0, 1, 1, 2, 2]);
    for _ in 0..4 {
        step(&[4, 5, 6, 7, 8, 9], &[0, 0, 2, 3, 5, 4]);
    }
    Ok((0..64).map(|_| step(&[4, 5, 6, 7, 8, 9], &[0, 0, 2, 3, 5, 4])).sum())
}

#[test]
fn a_decoding_step_allocates_nothing() {
    for precision in [Precision::F32, Precision::Int8] {
        assert_eq!(allocating_steps("gru", precision).unwrap(), 0, "GRU, {precision:?}");
        // The caches of a Transformer and the lists of their slots grow by doubling, each a few times in 64 steps.
        let steps = allocating_steps("marian_relu", precision).unwrap();
        assert!(steps <= 10, "Transformer, {precision:?}: {steps} of 64 steps allocate");
    }
}
