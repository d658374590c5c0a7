//! Which entries of a self-attention cache belong to which hypothesis.

/// Assigns cache entries (slots) to the rows of a decoder and remembers each row's past as a list of slots. They are handed out in
/// blocks, so that one hypothesis reads its past in long runs.
///
/// Hypotheses with a common past share its slots; when rows are selected only these lists are copied. Slots that no
/// row's past contains any more are handed out again, so the cache of a beam search stays about as small as that of its
/// surviving hypotheses.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Slots in a block.
    block: usize,
    /// Slots of each row, oldest first: `[rows, capacity]`, of which `lengths` are used.
    pasts: Vec<u32>,
    /// The same of the rows selected last, to swap with.
    spare: Vec<u32>,
    capacity: usize,
    lengths: Vec<usize>,
    spare_lengths: Vec<usize>,
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
    /// For `rows` hypotheses with no past, in blocks of `block` slots.
    pub(super) fn new(rows: usize, block: usize) -> Self {
        Self { block, cursors: vec![Cursor::default(); rows], lengths: vec![0; rows], ..Self::default() }
    }

    /// Adds `rows` hypotheses with no past behind the others.
    pub(super) fn join(&mut self, rows: usize) {
        self.pasts.resize(self.pasts.len() + rows * self.capacity, 0);
        self.lengths.resize(self.lengths.len() + rows, 0);
        self.cursors.resize(self.cursors.len() + rows, Cursor::default());
    }

    /// Number of blocks the cache must have.
    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }

    /// The slots of a row's past, oldest first.
    pub(super) fn past(&self, row: usize) -> &[u32] {
        &self.pasts[row * self.capacity..][..self.lengths[row]]
    }

    /// Appends a slot to the past of every row.
    pub(super) fn push(&mut self) {
        let rows = self.cursors.len();
        if self.lengths.iter().max() == Some(&self.capacity) {
            let capacity = (2 * self.capacity).max(32);
            self.spare.clear();
            self.spare.resize(rows * capacity, 0);
            for (row, &length) in self.lengths.iter().enumerate() {
                let past = &self.pasts[row * self.capacity..][..length];
                self.spare[row * capacity..][..length].copy_from_slice(past);
            }
            std::mem::swap(&mut self.pasts, &mut self.spare);
            self.capacity = capacity;
        }
        let pasts = self.pasts.chunks_exact_mut(self.capacity).zip(&mut self.lengths);
        for (cursor, (past, length)) in self.cursors.iter_mut().zip(pasts) {
            if cursor.left == 0 {
                let block = self.free.pop().unwrap_or_else(|| {
                    self.blocks += 1;
                    (self.blocks - 1) as u32
                });
                *cursor = Cursor { next: block * self.block as u32, left: self.block as u32 };
            }
            past[*length] = cursor.next;
            *length += 1;
            cursor.next += 1;
            cursor.left -= 1;
        }
    }

    /// Keeps the given rows in the given order; a row may be named several times.
    pub(super) fn select(&mut self, rows: &[usize]) {
        self.spare.clear();
        self.spare_cursors.clear();
        self.spare_lengths.clear();
        for &row in rows {
            self.spare_lengths.push(self.lengths[row]);
            self.spare.extend_from_slice(&self.pasts[row * self.capacity..][..self.capacity]);
            // The first continuation goes on filling the row's block, the others start their own.
            self.spare_cursors.push(std::mem::take(&mut self.cursors[row]));
        }
        std::mem::swap(&mut self.pasts, &mut self.spare);
        std::mem::swap(&mut self.cursors, &mut self.spare_cursors);
        std::mem::swap(&mut self.lengths, &mut self.spare_lengths);

        self.used.clear();
        self.used.resize(self.blocks, false);
        for (past, &length) in self.pasts.chunks_exact(self.capacity.max(1)).zip(&self.lengths) {
            past[..length].iter().for_each(|&slot| self.used[slot as usize / self.block] = true);
        }
        self.free.clear();
        // Last first, so that the lowest is taken first.
        self.free.extend((0..self.blocks as u32).rev().filter(|&block| !self.used[block as usize]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a search in which slot contents are the rows' whole histories, and checks every past after every step. After each
    /// selection rows join as `joining` says.
    fn play(
        rows: usize,
        selections: impl Fn(usize) -> Vec<usize>,
        joining: impl Fn(usize) -> usize,
        steps: usize,
        block: usize,
    ) -> usize {
        let mut slots = Slots::new(rows, block);
        let mut cache: Vec<(usize, usize)> = Vec::new();
        let mut histories: Vec<Vec<(usize, usize)>> = vec![Vec::new(); rows];
        for step in 0..steps {
            slots.push();
            cache.resize(slots.blocks() * block, (0, 0));
            for (row, history) in histories.iter_mut().enumerate() {
                cache[slots.past(row)[history.len()] as usize] = (step, row);
                history.push((step, row));
            }
            for (row, history) in histories.iter().enumerate() {
                let found: Vec<_> = slots.past(row).iter().map(|&slot| cache[slot as usize]).collect();
                assert_eq!(&found, history, "row {row} after step {step}");
            }
            let selection = selections(step);
            slots.select(&selection);
            histories = selection.iter().map(|&row| histories[row].clone()).collect();
            slots.join(joining(step));
            histories.resize(histories.len() + joining(step), Vec::new());
        }
        slots.blocks() * block
    }

    #[test]
    fn every_row_keeps_its_own_past() {
        for block in [2, 8] {
            play(3, |_| vec![0, 1, 2], |_| 0, 70, block);
            play(4, |step| (0..4).map(|row| (row * 7 + step * step) % 4).collect(), |_| 0, 70, block);
            let selections = |step| if step == 0 { vec![1, 1, 0, 0, 1] } else { vec![4, 0, 2, 2, 1] };
            play(2, selections, |_| 0, 70, block);
        }
    }

    #[test]
    fn rows_that_join_begin_with_an_empty_past() {
        // Three of the rows of each step go on, and another joins them.
        play(4, |step| [[0, 1, 3], [1, 2, 3], [3, 0, 2]][step % 3].to_vec(), |_| 1, 70, 8);
        play(1, |step| if step % 40 == 39 { vec![] } else { vec![0] }, |step| usize::from(step % 40 == 39), 100, 8);
    }

    #[test]
    fn slots_of_dead_hypotheses_are_used_again() {
        for block in [2, 8] {
            let count = play(8, |_| vec![0; 8], |_| 0, 200, block);
            let most = 2 * 200 + 8 * block * 2;
            assert!(count < most, "{count} slots for eight hypotheses that share all but one position");
        }
    }

    #[test]
    fn finished_rows_leave_their_slots() {
        let mut slots = Slots::new(10, 8);
        slots.push();
        slots.select(&[9]);
        let before = slots.blocks();
        (0..3 * 8).for_each(|_| slots.push());
        assert_eq!(slots.blocks(), before);
    }
}
