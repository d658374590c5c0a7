//! The queue between the reader and the workers: takes lines in, gives length-sorted batches out.
//!
//! Lines are sorted within a window: when the batches of the last window are all taken, whatever is waiting then (up to
//! the window's size) becomes the next window. Nobody ever waits for a window to fill.

use super::{Line, Settings};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of text that may be in flight. One line may always be, however long it is.
const MOST_BYTES: usize = 32 << 20;

/// In-flight lines for each line of the window: one window being translated, one waiting to be the next, and as much
/// again finished but waiting for an earlier line.
const WINDOWS_IN_FLIGHT: usize = 3;

/// A line with its [`BatchTranslator::weigh`](super::BatchTranslator::weigh).
pub(super) struct Weighed {
    pub(super) line: Line,
    pub(super) weight: usize,
}

/// A batch for one worker.
pub(super) struct Batch {
    pub(super) lines: Vec<Line>,
    /// How many threads the worker may use for it.
    pub(super) threads: usize,
}

pub(super) struct Queue {
    limits: Limits,
    state: Mutex<State>,
    /// Something changed that workers wait for.
    work: Condvar,
    /// Something changed that the reader waits for.
    room: Condvar,
}

#[derive(Clone, Copy)]
struct Limits {
    batch_size: usize,
    batch_weight: usize,
    /// Batches that one worker gets at once.
    at_once: usize,
    threads: usize,
    window: usize,
}

struct State {
    /// Lines not yet in a window, in input order.
    waiting: VecDeque<Weighed>,
    /// The batches of the current window nobody has taken yet.
    batches: VecDeque<Vec<Line>>,
    lines_in_flight: usize,
    bytes_in_flight: usize,
    idle_threads: usize,
    /// No more lines will come.
    ended: bool,
    /// The run is over; nobody is interested in what is left.
    closed: bool,
}

impl Queue {
    /// `at_once` as [`super::BatchTranslator::batches_at_once`] says.
    pub(super) fn new(settings: &Settings, at_once: usize) -> Self {
        let limits = Limits {
            batch_size: settings.batch_size.max(1),
            batch_weight: settings.batch_weight.max(1),
            at_once: at_once.max(1),
            threads: settings.threads.max(1),
            window: settings.window.max(settings.batch_size).max(1),
        };
        let state = State {
            waiting: VecDeque::new(),
            batches: VecDeque::new(),
            lines_in_flight: 0,
            bytes_in_flight: 0,
            idle_threads: limits.threads,
            ended: false,
            closed: false,
        };
        Self { limits, state: Mutex::new(state), work: Condvar::new(), room: Condvar::new() }
    }

    /// Most lines [`Queue::admit`] should be asked for at once.
    pub(super) fn group_size(&self) -> usize {
        self.limits.window.min(256)
    }

    /// Waits until there is room for so many more lines and bytes, and takes it. `false`: the run is over.
    pub(super) fn admit(&self, lines: usize, bytes: usize) -> bool {
        let most_lines = self.limits.window * WINDOWS_IN_FLIGHT;
        let mut state = self.lock();
        while !state.closed
            && state.lines_in_flight > 0
            && (state.lines_in_flight + lines > most_lines || state.bytes_in_flight + bytes > MOST_BYTES)
        {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.lines_in_flight += lines;
        state.bytes_in_flight += bytes;
        !state.closed
    }

    /// Gives back the room of lines that are written.
    pub(super) fn release(&self, lines: usize, bytes: usize) {
        let mut state = self.lock();
        state.lines_in_flight -= lines;
        state.bytes_in_flight -= bytes;
        self.room.notify_all();
    }

    /// Adds admitted lines.
    pub(super) fn push(&self, lines: Vec<Weighed>) {
        self.lock().waiting.extend(lines);
        self.work.notify_all();
    }

    /// Says that no more lines will come.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.work.notify_all();
    }

    /// Sends everybody home: the reader and the workers stop at their next call.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
        self.room.notify_all();
    }

    /// The next batch for a worker, as soon as there is any line and a thread to translate it. `None`: go home.
    pub(super) fn take(&self) -> Option<Batch> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if state.idle_threads > 0 {
                // Enough batches for every idle thread, or as many as can be had.
                let idle = state.idle_threads;
                state.plan_batches(idle, self.limits);
                let threads = (state.idle_threads / state.batches.len().max(1)).max(1);
                if let Some(lines) = state.batches.pop_front() {
                    state.idle_threads -= threads;
                    return Some(Batch { lines, threads });
                }
                if state.ended {
                    return None;
                }
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Up to `most` lines of another batch for a worker that goes on with its threads; none if there are none yet. No more than it
    /// can begin with, so that near the end every worker has some.
    pub(super) fn take_more(&self, most: usize) -> Vec<Line> {
        let mut state = self.lock();
        if state.closed {
            return Vec::new();
        }
        state.plan_batches(1, self.limits);
        let Some(mut lines) = state.batches.pop_front() else { return Vec::new() };
        if lines.len() > most {
            let rest = lines.split_off(most);
            state.batches.push_front(rest);
        }
        lines
    }

    /// Gives back the threads of a finished batch.
    pub(super) fn finish(&self, threads: usize) {
        self.lock().idle_threads += threads;
        self.work.notify_all();
    }

    /// A panicking thread leaves counters and lines that are still whole: no lock is held while foreign code runs.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Makes batches of what waits until there are so many.
    fn plan_batches(&mut self, count: usize, limits: Limits) {
        while self.batches.len() < count && !self.waiting.is_empty() {
            let size = limits.window.min(self.waiting.len());
            let last = self.ended && size == self.waiting.len();
            let window = self.waiting.drain(..size).collect();
            self.batches.extend(plan(window, limits, last));
        }
    }
}

/// Items with their weights in batches, in order: of `size` items at most, and of no more weight than `most` but for one heavy item.
pub fn in_batches<T>(items: impl Iterator<Item = (T, usize)>, size: usize, most: usize) -> Vec<Vec<T>> {
    let mut batches: Vec<Vec<T>> = Vec::new();
    let mut sum = 0;
    for (item, weight) in items {
        match batches.last_mut() {
            Some(batch) if batch.len() < size && sum + weight <= most => {
                batch.push(item);
                sum += weight;
            }
            _ => {
                batches.push(vec![item]);
                sum = weight;
            }
        }
    }
    batches
}

/// Splits a window into batches of similar weight.
///
/// Batches are of about equal size, so that several threads get equal shares. The batch with the earliest line goes
/// first, because the writer is waiting for it; in the `last` window the heaviest goes first, so that no thread starts
/// on a long batch while the others have nothing left to do.
fn plan(mut window: Vec<Weighed>, limits: Limits, last: bool) -> Vec<Vec<Line>> {
    // Several at once for each worker only while there are enough for all of them.
    let count = window.len().div_ceil(limits.batch_size);
    let count = count.div_ceil(limits.at_once).max(count.min(2 * limits.threads));
    let size = window.len().div_ceil(count.max(1));
    let most_weight = limits.batch_weight.saturating_mul(limits.at_once);
    // Stable: lines of equal weight stay in input order.
    window.sort_by_key(|weighed| std::cmp::Reverse(weighed.weight));
    let lines = window.into_iter().map(|Weighed { line, weight }| (line, weight));
    let mut batches = in_batches(lines, size, most_weight);
    if !last {
        batches.sort_by_key(|batch| batch.iter().map(|line| line.index).min());
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(weights: &[usize]) -> Vec<Weighed> {
        let line = |index: usize| Line {
            index: index as u64,
            before: 0,
            name: "test".into(),
            number: index as u64 + 1,
            text: String::new(),
            replaced: false,
            truncated: false,
            end: 0,
        };
        weights.iter().enumerate().map(|(index, &weight)| Weighed { line: line(index), weight }).collect()
    }

    fn planned(weights: &[usize], batch_size: usize, batch_weight: usize, last: bool) -> Vec<Vec<u64>> {
        let limits = Limits { batch_size, batch_weight, at_once: 1, threads: 1, window: 100 };
        planned_within(weights, limits, last)
    }

    fn planned_within(weights: &[usize], limits: Limits, last: bool) -> Vec<Vec<u64>> {
        let batches = plan(window(weights), limits, last);
        batches.iter().map(|batch| batch.iter().map(|line| line.index).collect()).collect()
    }

    #[test]
    fn lines_of_similar_weight_travel_together() {
        assert_eq!(planned(&[1, 9, 2, 8], 2, 100, true), [[1, 3], [2, 0]]);
    }

    #[test]
    fn the_batch_the_writer_waits_for_goes_first_until_the_end_is_near() {
        assert_eq!(planned(&[1, 9, 2, 8], 2, 100, false), [[2, 0], [1, 3]]);
    }

    #[test]
    fn batches_are_of_equal_size() {
        let sizes: Vec<usize> = planned(&[1; 40], 32, 100, true).iter().map(Vec::len).collect();
        assert_eq!(sizes, [20, 20]);
    }

    #[test]
    fn a_worker_gets_several_batches_at_once_while_there_are_enough_for_all() {
        let limits = Limits { batch_size: 4, batch_weight: 100, at_once: 3, threads: 2, window: 100 };
        let sizes = |count: usize| -> Vec<usize> {
            planned_within(&vec![1; count], limits, true).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(60), [12; 5]);
        assert_eq!(sizes(12), [4; 3]);
        assert_eq!(sizes(3), [3]);
    }

    #[test]
    fn heavy_lines_make_small_batches() {
        assert_eq!(planned(&[60, 50, 5, 500], 4, 100, true), [vec![3], vec![0], vec![1, 2]]);
    }

    fn queue(threads: usize) -> Queue {
        Queue::new(&Settings { threads, batch_size: 2, window: 4, ..Settings::default() }, 1)
    }

    #[test]
    fn a_batch_that_is_alone_gets_all_threads() {
        let queue = queue(4);
        queue.push(window(&[1]));
        assert_eq!(queue.take().unwrap().threads, 4);
    }

    #[test]
    fn several_batches_share_the_threads() {
        let queue = queue(4);
        queue.push(window(&[1; 6]));
        let threads: Vec<usize> = (0..3).map(|_| queue.take().unwrap().threads).collect();
        assert_eq!(threads, [1, 1, 2]);
        queue.finish(2);
        queue.push(window(&[1; 2]));
        assert_eq!(queue.take().unwrap().threads, 2);
    }

    #[test]
    fn a_worker_that_goes_on_takes_part_of_a_batch() {
        let queue = queue(2);
        queue.push(window(&[1; 5]));
        let of = |lines: Vec<Line>| lines.iter().map(|line| line.index).collect::<Vec<_>>();
        assert_eq!(of(queue.take().unwrap().lines), [0, 1]);
        assert_eq!(of(queue.take_more(1)), [2]);
        assert_eq!(of(queue.take_more(9)), [3]);
        assert_eq!(of(queue.take_more(9)), [4]);
        assert_eq!(of(queue.take_more(9)), Vec::<u64>::new());
    }

    #[test]
    fn workers_go_home_at_the_end() {
        let queue = queue(1);
        queue.push(window(&[1]));
        queue.end();
        assert_eq!(queue.take().unwrap().lines.len(), 1);
        queue.finish(1);
        assert!(queue.take().is_none());
    }

    #[test]
    fn one_huge_line_is_admitted_alone() {
        let queue = queue(1);
        assert!(queue.admit(1, MOST_BYTES * 2));
        queue.release(1, MOST_BYTES * 2);
        assert!(queue.admit(4, 10));
    }
}
