//! Which entries of a self-attention cache belong to which hypothesis.

/// Consecutive slots handed out together, so that one hypothesis reads its past in long runs.
const BLOCK: usize = 8;

/// Assigns cache entries (slots) to the rows of a decoder and remembers each row's past as a list of slots.
///
/// Hypotheses with a common past share its slots; when rows are selected only these lists are copied. Slots that no
/// row's past contains any more are handed out again, so the cache of a beam search stays about as small as that of its
/// surviving hypotheses.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Slots of each row, oldest first: `[rows, capacity]`, of which `length` are used.
    pasts: Vec<u32>,
    /// The same of the rows selected last, to swap with.
    spare: Vec<u32>,
    capacity: usize,
    length: usize,
    /// What is left of the block each row is filling.
    cursors: Vec<Cursor>,
    spare_cursors: Vec<Cursor>,
    /// Blocks nobody uses.
    free: Vec<u32>,
    /// Blocks in all.
    blocks: usize,
    used: Vec<bool>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    next: u32,
    left: u32,
}

impl Slots {
    /// For `rows` hypotheses with no past.
    pub(super) fn new(rows: usize) -> Self {
        Self { cursors: vec![Cursor::default(); rows], ..Self::default() }
    }

    /// Number of positions in every row's past.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Number of slots the cache must have room for.
    pub(super) fn count(&self) -> usize {
        self.blocks * BLOCK
    }

    /// The slots of a row's past, oldest first, `[length]`.
    pub(super) fn past(&self, row: usize) -> &[u32] {
        &self.pasts[row * self.capacity..][..self.length]
    }

    /// Appends a slot to the past of every row.
    pub(super) fn push(&mut self) {
        let rows = self.cursors.len();
        if self.length == self.capacity {
            let capacity = (2 * self.capacity).max(32);
            self.spare.clear();
            self.spare.resize(rows * capacity, 0);
            for row in 0..rows {
                self.spare[row * capacity..][..self.length]
                    .copy_from_slice(&self.pasts[row * self.capacity..][..self.length]);
            }
            std::mem::swap(&mut self.pasts, &mut self.spare);
            self.capacity = capacity;
        }
        for (cursor, past) in self.cursors.iter_mut().zip(self.pasts.chunks_exact_mut(self.capacity)) {
            if cursor.left == 0 {
                let block = self.free.pop().unwrap_or_else(|| {
                    self.blocks += 1;
                    (self.blocks - 1) as u32
                });
                *cursor = Cursor { next: block * BLOCK as u32, left: BLOCK as u32 };
            }
            past[self.length] = cursor.next;
            cursor.next += 1;
            cursor.left -= 1;
        }
        self.length += 1;
    }

    /// Keeps the given rows in the given order; a row may be named several times.
    pub(super) fn select(&mut self, rows: &[usize]) {
        self.spare.clear();
        self.spare_cursors.clear();
        for &row in rows {
            self.spare.extend_from_slice(&self.pasts[row * self.capacity..][..self.capacity]);
            // The first continuation goes on filling the row's block, the others start their own.
            self.spare_cursors.push(std::mem::take(&mut self.cursors[row]));
        }
        std::mem::swap(&mut self.pasts, &mut self.spare);
        std::mem::swap(&mut self.cursors, &mut self.spare_cursors);

        self.used.clear();
        self.used.resize(self.blocks, false);
        for past in self.pasts.chunks_exact(self.capacity.max(1)) {
            past[..self.length].iter().for_each(|&slot| self.used[slot as usize / BLOCK] = true);
        }
        self.free.clear();
        // Last first, so that the lowest is taken first.
        self.free.extend((0..self.blocks as u32).rev().filter(|&block| !self.used[block as usize]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a search in which slot contents are the rows' whole histories, and checks every past after every step.
    fn play(rows: usize, selections: impl Fn(usize) -> Vec<usize>, steps: usize) -> usize {
        let mut slots = Slots::new(rows);
        let mut cache: Vec<(usize, usize)> = Vec::new();
        let mut histories: Vec<Vec<(usize, usize)>> = vec![Vec::new(); rows];
        for step in 0..steps {
            slots.push();
            cache.resize(slots.count(), (0, 0));
            for (row, history) in histories.iter_mut().enumerate() {
                cache[slots.past(row)[step] as usize] = (step, row);
                history.push((step, row));
            }
            for (row, history) in histories.iter().enumerate() {
                let found: Vec<_> = slots.past(row).iter().map(|&slot| cache[slot as usize]).collect();
                assert_eq!(&found, history, "row {row} after step {step}");
            }
            let selection = selections(step);
            slots.select(&selection);
            histories = selection.iter().map(|&row| histories[row].clone()).collect();
        }
        slots.count()
    }

    #[test]
    fn every_row_keeps_its_own_past() {
        play(3, |_| vec![0, 1, 2], 70);
        play(4, |step| (0..4).map(|row| (row * 7 + step * step) % 4).collect(), 70);
        play(2, |step| if step == 0 { vec![1, 1, 0, 0, 1] } else { vec![4, 0, 2, 2, 1] }, 70);
    }

    #[test]
    fn slots_of_dead_hypotheses_are_used_again() {
        let count = play(8, |_| vec![0; 8], 200);
        assert!(count < 2 * 200 + 8 * BLOCK * 2, "{count} slots for eight hypotheses that share all but one position");
    }

    #[test]
    fn finished_rows_leave_their_slots() {
        let mut slots = Slots::new(10);
        slots.push();
        slots.select(&[9]);
        let before = slots.count();
        (0..3 * BLOCK).for_each(|_| slots.push());
        assert_eq!(slots.count(), before);
    }
}
