//! A double-array trie over bytes: the piece table, searched one byte at a time.
//!
//! Every node is one slot of an array; its child for byte `b` is slot `base ^ b`, and belongs to it if that slot names
//! it as its parent (Aoe 1989, "An Efficient Digital Search Algorithm by Using a Double-Array Structure").

const NONE: u32 = u32::MAX;
/// Slots are handed out in blocks of 256, so that `base ^ byte` never leaves the array.
const BLOCK: usize = 256;
/// How many of the newest blocks are searched for free slots; bounds the time to build a trie.
const OPEN_BLOCKS: usize = 16;

/// Set in the base of a node where a key ends.
const ENDS_KEY: u32 = 1 << 31;

/// Eight bytes, so that the walk over a text touches few cache lines.
#[derive(Clone, Copy, Debug)]
struct Slot {
    base: u32,
    parent: u32,
}

/// Maps byte strings to numbers. Their lengths together must stay below 2³⁰.
#[derive(Debug)]
pub(super) struct Trie {
    slots: Vec<Slot>,
    values: Vec<u32>,
}

impl Trie {
    /// The root, from which [`Trie::child`] starts.
    pub(super) const ROOT: u32 = 0;

    /// Builds the trie of these keys; of equal keys the last one counts. Empty keys are left out.
    pub(super) fn new<'k>(keys: impl IntoIterator<Item = (&'k str, u32)>) -> Self {
        let mut keys: Vec<(&[u8], u32)> =
            keys.into_iter().filter(|(key, _)| !key.is_empty()).map(|(key, value)| (key.as_bytes(), value)).collect();
        keys.sort_by_key(|(key, _)| *key);
        Builder::default().build(&keys)
    }

    /// The node reached from `node` over `byte`.
    #[inline]
    pub(super) fn child(&self, node: u32, byte: u8) -> Option<u32> {
        let child = (self.slots[node as usize].base & !ENDS_KEY) ^ u32::from(byte);
        (self.slots[child as usize].parent == node).then_some(child)
    }

    /// The number stored with the key that ends at `node`.
    #[inline]
    pub(super) fn value(&self, node: u32) -> Option<u32> {
        (self.slots[node as usize].base & ENDS_KEY != 0).then(|| self.values[node as usize])
    }

    /// The number stored with exactly this key.
    pub(super) fn get(&self, key: &[u8]) -> Option<u32> {
        let mut node = Self::ROOT;
        for &byte in key {
            node = self.child(node, byte)?;
        }
        self.value(node)
    }
}

/// The array under construction, with its free slots in a doubly linked list.
#[derive(Default)]
struct Builder {
    slots: Vec<Slot>,
    values: Vec<u32>,
    /// For a free slot, the next and previous free one.
    next: Vec<u32>,
    previous: Vec<u32>,
    first: u32,
    last: u32,
}

impl Builder {
    fn build(mut self, keys: &[(&[u8], u32)]) -> Trie {
        (self.first, self.last) = (NONE, NONE);
        self.grow();
        self.claim(Trie::ROOT, NONE - 1);
        // Nodes still to be given children: the node, the keys below it, and how many bytes of them lead to it.
        let mut open = vec![(Trie::ROOT, 0..keys.len(), 0_usize)];
        let mut labels = Vec::with_capacity(BLOCK);
        while let Some((node, mut range, depth)) = open.pop() {
            while range.start < range.end && keys[range.start].0.len() == depth {
                self.slots[node as usize].base |= ENDS_KEY;
                self.values[node as usize] = keys[range.start].1;
                range.start += 1;
            }
            labels.clear();
            labels.extend(keys[range.clone()].iter().map(|(key, _)| key[depth]));
            labels.dedup();
            if labels.is_empty() {
                continue;
            }
            let base = self.find_base(&labels);
            self.slots[node as usize].base |= base;
            let mut start = range.start;
            for &label in &labels {
                let child = base ^ u32::from(label);
                self.claim(child, node);
                let count = keys[start..range.end].partition_point(|(key, _)| key[depth] <= label);
                open.push((child, start..start + count, depth + 1));
                start += count;
            }
        }
        Trie { slots: self.slots, values: self.values }
    }

    /// A base whose slots for all `labels` are free.
    fn find_base(&mut self, labels: &[u8]) -> u32 {
        let mut free = self.first;
        while free != NONE {
            let base = free ^ u32::from(labels[0]);
            // Base 0 is what nodes without children have; the root's own slot must not be anybody's child.
            if labels.iter().all(|&label| self.slots[(base ^ u32::from(label)) as usize].parent == NONE) {
                return base;
            }
            free = self.next[free as usize];
        }
        let start = self.slots.len() as u32;
        self.grow();
        start
    }

    /// Adds a block of free slots, and takes the oldest open block's free slots out of the list.
    fn grow(&mut self) {
        let start = self.slots.len();
        if let Some(closed) = start.checked_sub(OPEN_BLOCKS * BLOCK) {
            for slot in closed..closed + BLOCK {
                if self.slots[slot].parent == NONE {
                    self.unlink(slot as u32);
                }
            }
        }
        self.slots.resize(start + BLOCK, Slot { base: 0, parent: NONE });
        self.values.resize(start + BLOCK, NONE);
        for slot in start as u32..(start + BLOCK) as u32 {
            self.previous.push(self.last);
            self.next.push(NONE);
            match self.last {
                NONE => self.first = slot,
                last => self.next[last as usize] = slot,
            }
            self.last = slot;
        }
    }

    fn claim(&mut self, slot: u32, parent: u32) {
        self.slots[slot as usize].parent = parent;
        // The slots of closed blocks are no longer in the list; claiming one would need `find_base` to return it.
        self.unlink(slot);
    }

    fn unlink(&mut self, slot: u32) {
        let (previous, next) = (self.previous[slot as usize], self.next[slot as usize]);
        match previous {
            NONE => self.first = next,
            previous => self.next[previous as usize] = next,
        }
        match next {
            NONE => self.last = previous,
            next => self.previous[next as usize] = previous,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_empty_trie_finds_nothing() {
        let trie = Trie::new([]);
        assert_eq!(trie.get(b""), None);
        assert_eq!(trie.get(b"a"), None);
        assert_eq!(trie.get(&[0]), None);
    }

    #[test]
    fn prefixes_are_met_on_the_way() {
        let trie = Trie::new([("▁", 5), ("▁the", 7), ("t", 1)]);
        assert_eq!(trie.get("▁".as_bytes()), Some(5));
        assert_eq!(trie.get("▁th".as_bytes()), None);
        assert_eq!(trie.get("▁the".as_bytes()), Some(7));
        assert_eq!(trie.get("▁them".as_bytes()), None);
    }

    proptest! {
        #[test]
        fn finds_exactly_its_keys(
            keys in prop::collection::btree_map("[a-c\u{0}\u{2581}é]{1,6}|\\PC{1,3}", 0_u32..1000, 0..400),
            others in prop::collection::vec("[a-c\u{0}\u{2581}é]{1,6}|\\PC{1,3}", 100),
        ) {
            let keys: BTreeMap<String, u32> = keys;
            let trie = Trie::new(keys.iter().map(|(key, value)| (key.as_str(), *value)));
            for key in keys.keys().chain(&others) {
                prop_assert_eq!(trie.get(key.as_bytes()), keys.get(key).copied());
            }
        }
    }
}
