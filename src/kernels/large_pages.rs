//! Memory in pages of two megabytes, for everything large.
//!
//! A batch walks through weights, keys and activations of many megabytes. In pages of four kilobytes each of them costs a
//! look-up of its address and, when it is new, a visit to the kernel. Most Linux systems give large pages only to those who
//! ask (`madvise`), and the C library does not ask.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Requests below this many bytes go to the system's allocator.
const LEAST: usize = 16 << 10;
/// Requests from this many bytes on get a mapping of their own, which is given back when they are freed.
const ALONE: usize = 16 << 20;
/// What requests in between are cut from.
const REGION: usize = 32 << 20;
const PAGE: usize = 2 << 20;
/// Alignment of all blocks: a cache line, which is also the size of a [`Header`] and of a [`Region`].
const LINE: usize = 64;
/// Free blocks are listed by the logarithm of their size, from [`LEAST`] to [`REGION`].
const LISTS: usize = REGION.ilog2() as usize - LEAST.ilog2() as usize + 1;

/// A global allocator that keeps everything from 16 KB on in memory for which large pages were asked, and reuses it.
///
/// ```
/// #[global_allocator]
/// static MEMORY: translate::kernels::LargePages = translate::kernels::LargePages::new();
/// ```
#[derive(Debug)]
pub struct LargePages {
    heap: Mutex<Heap>,
}

impl LargePages {
    /// An allocator that holds nothing yet.
    pub const fn new() -> Self {
        Self { heap: Mutex::new(Heap { free: [None; LISTS], spare: None }) }
    }

    fn heap(&self) -> MutexGuard<'_, Heap> {
        // Nothing in here panics; and if it did, memory would still be needed.
        self.heap.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for LargePages {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a request of this kind is served. It follows from the layout alone, so that freeing finds the same place.
#[derive(PartialEq)]
enum Place {
    System,
    Heap,
    Alone,
}

fn place(layout: Layout) -> Place {
    if layout.size() < LEAST || layout.align() > LINE {
        Place::System
    } else if layout.size() < ALONE {
        Place::Heap
    } else {
        Place::Alone
    }
}

// SAFETY: a block is at least as large and aligned as was asked, belongs to nobody else until it is freed, and keeps its
// contents when it is resized. Which of the three places a pointer comes from is a function of its layout.
unsafe impl GlobalAlloc for LargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match place(layout) {
            // SAFETY: the caller's promise.
            Place::System => unsafe { System.alloc(layout) },
            Place::Heap => self.heap().allocate(layout.size()).map_or(ptr::null_mut(), |(block, _)| block),
            Place::Alone => map(layout.size()).map_or(ptr::null_mut(), NonNull::as_ptr),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match place(layout) {
            // SAFETY: the caller's promise.
            Place::System => unsafe { System.alloc_zeroed(layout) },
            Place::Heap => {
                let Some((block, used)) = self.heap().allocate(layout.size()) else { return ptr::null_mut() };
                // SAFETY: `used` is at most the size of the block. What lies behind is as the kernel gave it: zeros.
                unsafe { block.write_bytes(0, used) };
                block
            }
            Place::Alone => map(layout.size()).map_or(ptr::null_mut(), NonNull::as_ptr),
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match place(layout) {
            // SAFETY: the caller's promise.
            Place::System => unsafe { System.dealloc(pointer, layout) },
            // SAFETY: the block came from this heap.
            Place::Heap => unsafe { self.heap().free(pointer) },
            // SAFETY: the mapping came from `map` or was resized to this size.
            Place::Alone => unsafe { unmap(pointer, layout.size()) },
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size`, rounded up to the alignment, does not overflow.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (place(layout), place(new)) {
            // SAFETY: the caller's promise.
            (Place::System, Place::System) => return unsafe { System.realloc(pointer, layout, size) },
            // SAFETY: the block came from this heap.
            (Place::Heap, Place::Heap) if unsafe { self.heap().resize(pointer, size) } => return pointer,
            (Place::Alone, Place::Alone) => {
                let (old, new) = (layout.size().next_multiple_of(PAGE), size.next_multiple_of(PAGE));
                // SAFETY: the mapping has that size, and nobody else knows of it.
                let moved = unsafe { libc::mremap(pointer.cast(), old, new, libc::MREMAP_MAYMOVE) };
                return if moved == libc::MAP_FAILED { ptr::null_mut() } else { moved.cast() };
            }
            _ => {}
        }
        // SAFETY: two blocks of these sizes; the old one is freed once its contents are copied.
        unsafe {
            let block = self.alloc(new);
            if !block.is_null() {
                block.copy_from_nonoverlapping(pointer, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
            block
        }
    }
}

/// New memory of at least `size` bytes, all zeros, at the beginning of a large page.
fn map(size: usize) -> Option<NonNull<u8>> {
    let size = size.checked_next_multiple_of(PAGE)?;
    let reserved = size.checked_add(PAGE)?;
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, wherever there is room.
    let start = unsafe { libc::mmap(ptr::null_mut(), reserved, access, kind, -1, 0) };
    if start == libc::MAP_FAILED {
        return None;
    }
    let start = start.cast::<u8>();
    let before = start.align_offset(PAGE);
    // SAFETY: everything lies in the new mapping: what is cut off before and behind, and what is kept, whose contents the
    // advice does not change. Where it is refused nothing is lost.
    unsafe {
        if before > 0 {
            libc::munmap(start.cast(), before);
        }
        libc::munmap(start.add(before + size).cast(), PAGE - before);
        libc::madvise(start.add(before).cast(), size, libc::MADV_HUGEPAGE);
        NonNull::new(start.add(before))
    }
}

/// # Safety
/// The memory must come from [`map`] with this size and not be used any more.
unsafe fn unmap(start: *mut u8, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { libc::munmap(start.cast(), size.next_multiple_of(PAGE)) };
}

/// What precedes every block. Blocks of a region lie one behind the other, and no two free ones are neighbours.
#[repr(C, align(64))]
struct Header {
    /// Bytes of the block, this header included.
    size: usize,
    /// Bytes of the block before it in the region, 0 for the first.
    before: usize,
    is_free: bool,
    is_last: bool,
    region: NonNull<Region>,
    /// Neighbours in the list of free blocks.
    next: Option<Block>,
    previous: Option<Block>,
}

/// The beginning of a region; its first block follows.
#[repr(C, align(64))]
struct Region {
    /// Bytes from its start that were ever written; zeros lie behind.
    used: usize,
}

const _: () = assert!(size_of::<Header>() == LINE && size_of::<Region>() == LINE);

/// A block of a region: where its header lies.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Block(NonNull<Header>);

/// Regions, and lists of what is free in them.
///
/// All blocks that it finds by following headers are valid while the heap is borrowed: they are written by it alone.
#[derive(Debug)]
struct Heap {
    free: [Option<Block>; LISTS],
    /// A region that is free as a whole and kept for the next time.
    spare: Option<Block>,
}

// SAFETY: its blocks belong to the heap, not to a thread.
unsafe impl Send for Heap {}

impl Block {
    #[expect(
        clippy::mut_from_ref,
        reason = "headers belong to the heap, which is borrowed mutably by all who call this"
    )]
    fn header(&self) -> &mut Header {
        // SAFETY: blocks are made by the heap and valid while their region is mapped; whoever holds a reference to a header uses
        // no other reference to the same one until it is done with it.
        unsafe { &mut *self.0.as_ptr() }
    }

    /// The block whose memory begins at `start`.
    ///
    /// # Safety
    /// `start` must come from [`Block::start`].
    unsafe fn of(start: *mut u8) -> Self {
        // SAFETY: the header lies before it.
        unsafe { Self(NonNull::new_unchecked(start.cast::<Header>().sub(1))) }
    }

    /// Says that all of the block, and the header behind it, may be other than zero from now on; how far the region may have been
    /// before.
    fn mark_used(self) -> usize {
        let header = self.header();
        let end = self.0.as_ptr() as usize + header.size + LINE - header.region.as_ptr() as usize;
        // SAFETY: the region of a block is mapped as long as the block is.
        let region = unsafe { header.region.as_mut() };
        let before = region.used;
        region.used = before.max(end.min(REGION));
        before
    }

    fn start(self) -> *mut u8 {
        self.0.as_ptr().wrapping_add(1).cast()
    }

    /// The block at a distance in bytes; there must be one.
    fn at(self, distance: isize) -> Self {
        // SAFETY: the caller has it from a header.
        unsafe { Self(self.0.byte_offset(distance)) }
    }

    fn after(self) -> Option<Self> {
        (!self.header().is_last).then(|| self.at(self.header().size as isize))
    }

    fn before(self) -> Option<Self> {
        let before = self.header().before;
        (before > 0).then(|| self.at(-(before as isize)))
    }
}

fn list(size: usize) -> usize {
    (size.max(LEAST).ilog2() - LEAST.ilog2()) as usize
}

/// Bytes of a block that holds `size` bytes.
fn with_header(size: usize) -> usize {
    size.next_multiple_of(LINE) + LINE
}

impl Heap {
    /// A block of `size` bytes, and how many of them may be other than zero.
    fn allocate(&mut self, size: usize) -> Option<(*mut u8, usize)> {
        let need = with_header(size);
        let block = self.find(need).or_else(|| self.new_region())?;
        self.remove(block);
        self.cut(block, need);
        block.header().is_free = false;
        let first = block.start() as usize - block.header().region.as_ptr() as usize;
        let dirty = block.mark_used().saturating_sub(first).min(size);
        Some((block.start(), dirty))
    }

    /// # Safety
    /// `pointer` must be a block of this heap that is not free.
    unsafe fn free(&mut self, pointer: *mut u8) {
        // SAFETY: the caller's promise.
        let mut block = unsafe { Block::of(pointer) };
        if let Some(after) = block.after().filter(|after| after.header().is_free) {
            self.join(block, after);
        }
        if let Some(before) = block.before().filter(|before| before.header().is_free) {
            self.remove(before);
            self.append(before, block);
            block = before;
        }
        self.insert(block);
        if block.before().is_none() && block.after().is_none() {
            match self.spare {
                Some(spare) if spare != block && spare.header().is_free && spare.after().is_none() => {
                    self.remove(block);
                    // SAFETY: a region holds nothing but this block, which is free.
                    unsafe { unmap(block.header().region.as_ptr().cast(), REGION) };
                }
                _ => self.spare = Some(block),
            }
        }
    }

    /// Whether the block holds `size` bytes now, at the same place.
    ///
    /// # Safety
    /// As for [`Self::free`].
    unsafe fn resize(&mut self, pointer: *mut u8, size: usize) -> bool {
        // SAFETY: the caller's promise.
        let block = unsafe { Block::of(pointer) };
        let need = with_header(size);
        if block.header().size < need {
            let Some(after) = block.after().filter(|after| after.header().is_free) else { return false };
            if block.header().size + after.header().size < need {
                return false;
            }
            self.join(block, after);
        }
        self.cut(block, need);
        block.mark_used();
        true
    }

    fn find(&self, need: usize) -> Option<Block> {
        let mut fitting = self.free[list(need)];
        while let Some(block) = fitting.filter(|block| block.header().size < need) {
            fitting = block.header().next;
        }
        fitting.or_else(|| self.free[list(need) + 1..].iter().flatten().next().copied())
    }

    /// A region that is one free block.
    fn new_region(&mut self) -> Option<Block> {
        let region = map(REGION)?.cast::<Region>();
        // SAFETY: new memory, large enough for a region's beginning and a header.
        unsafe {
            region.write(Region { used: 2 * LINE });
            let block = Block(region.add(1).cast());
            block.0.write(Header {
                size: REGION - LINE,
                before: 0,
                is_free: true,
                is_last: true,
                region,
                next: None,
                previous: None,
            });
            self.insert(block);
            Some(block)
        }
    }

    /// Makes what `block`, which is in no list, has beyond `need` bytes a free block, if that is worth it.
    fn cut(&mut self, block: Block, need: usize) {
        let (size, is_last, region) = (block.header().size, block.header().is_last, block.header().region);
        if size - need < LEAST + LINE {
            return;
        }
        let rest = block.at(need as isize);
        let header =
            Header { size: size - need, before: need, is_free: true, is_last, region, next: None, previous: None };
        // SAFETY: inside of the block, aligned as all sizes are.
        unsafe { rest.0.write(header) };
        block.header().size = need;
        block.header().is_last = false;
        match rest.after() {
            Some(after) if after.header().is_free => self.join(rest, after),
            Some(after) => after.header().before = size - need,
            None => {}
        }
        self.insert(rest);
    }

    /// Appends the free block `after` to `block`, which is in no list.
    fn join(&mut self, block: Block, after: Block) {
        self.remove(after);
        self.append(block, after);
    }

    /// Appends `after` to `block`, neither of them in a list.
    fn append(&mut self, block: Block, after: Block) {
        block.header().size += after.header().size;
        block.header().is_last = after.header().is_last;
        if let Some(next) = block.after() {
            next.header().before = block.header().size;
        }
    }

    fn insert(&mut self, block: Block) {
        let first = &mut self.free[list(block.header().size)];
        if let Some(first) = *first {
            first.header().previous = Some(block);
        }
        let header = block.header();
        (header.is_free, header.next, header.previous) = (true, *first, None);
        *first = Some(block);
    }

    fn remove(&mut self, block: Block) {
        let (next, previous) = (block.header().next, block.header().previous);
        match previous {
            Some(previous) => previous.header().next = next,
            None => self.free[list(block.header().size)] = next,
        }
        if let Some(next) = next {
            next.header().previous = previous;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A block and the byte it was filled with.
    struct Held {
        pointer: *mut u8,
        layout: Layout,
        byte: u8,
    }

    impl Held {
        fn contents(&self) -> &[u8] {
            // SAFETY: the block is held and was filled.
            unsafe { std::slice::from_raw_parts(self.pointer, self.layout.size()) }
        }

        fn fill(&mut self, byte: u8) {
            self.byte = byte;
            // SAFETY: the block is held.
            unsafe { self.pointer.write_bytes(byte, self.layout.size()) };
        }
    }

    fn of(size: usize) -> Layout {
        Layout::from_size_align(size, LINE).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn blocks_keep_what_is_written_and_zeroed_ones_are_zero(
            steps in prop::collection::vec((0..4u8, any::<prop::sample::Index>(), 0..25u32, 0.0..1.0f64), 1..60),
        ) {
            let memory = LargePages::new();
            let mut held: Vec<Held> = Vec::new();
            for (number, (action, which, power, part)) in steps.into_iter().enumerate() {
                let layout = of((f64::from(1 << power) * (1.0 + part)) as usize);
                let byte = number as u8 + 1;
                // SAFETY: layouts are not empty, and blocks are freed and resized with the layout they have.
                unsafe {
                    match action {
                        _ if held.is_empty() => held.push(Held { pointer: memory.alloc(layout), layout, byte }),
                        0 => held.push(Held { pointer: memory.alloc(layout), layout, byte }),
                        1 => {
                            let new = Held { pointer: memory.alloc_zeroed(layout), layout, byte: 0 };
                            prop_assert!(new.contents().iter().all(|&byte| byte == 0));
                            held.push(new);
                        }
                        2 => {
                            let index = which.index(held.len());
                            let old = held.swap_remove(index);
                            let pointer = memory.realloc(old.pointer, old.layout, layout.size());
                            let new = Held { pointer, layout, byte: old.byte };
                            let kept = old.layout.size().min(layout.size());
                            prop_assert!(new.contents()[..kept].iter().all(|&byte| byte == old.byte));
                            held.push(new);
                        }
                        _ => {
                            let index = which.index(held.len());
                            let old = held.swap_remove(index);
                            memory.dealloc(old.pointer, old.layout);
                            continue;
                        }
                    }
                }
                let new = held.last_mut().unwrap();
                prop_assert!(!new.pointer.is_null() && (new.pointer as usize).is_multiple_of(LINE));
                new.fill(byte);
                for held in &held {
                    prop_assert!(held.contents().iter().all(|&byte| byte == held.byte));
                }
            }
            for held in held {
                // SAFETY: held until now.
                unsafe { memory.dealloc(held.pointer, held.layout) };
            }
        }
    }

    #[test]
    fn what_was_freed_is_used_again() {
        let memory = LargePages::new();
        // SAFETY: each block is freed once, with its layout.
        unsafe {
            let blocks = [of(100 << 10), of(200 << 10), of(300 << 10)].map(|layout| (memory.alloc(layout), layout));
            for (pointer, layout) in blocks {
                memory.dealloc(pointer, layout);
            }
            // The three have become one again.
            let whole = memory.alloc(of(15 << 20));
            assert_eq!(whole, blocks[0].0);
            memory.dealloc(whole, of(15 << 20));
        }
    }

    #[test]
    fn threads_get_blocks_of_their_own() {
        let memory = LargePages::new();
        std::thread::scope(|scope| {
            for thread in 1..=4u8 {
                let memory = &memory;
                scope.spawn(move || {
                    for turn in 0..200 {
                        let layout = of(LEAST + turn * 1000 + usize::from(thread));
                        // SAFETY: allocated, filled, read and freed by this thread.
                        unsafe {
                            let mut held = Held { pointer: memory.alloc(layout), layout, byte: 0 };
                            held.fill(thread);
                            assert!(held.contents().iter().all(|&byte| byte == thread));
                            memory.dealloc(held.pointer, layout);
                        }
                    }
                });
            }
        });
    }
}
