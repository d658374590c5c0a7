//! What hypotheses have generated so far, shared between those with a common beginning.

use crate::model::{Attention, Decoder, Record};
use crate::search::Hypothesis;

/// How a hypothesis ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// Whether the sentence end was generated.
    pub(super) ended: bool,
    /// Whether it was the length limit that ended it.
    pub(super) truncated: bool,
}

/// A finished hypothesis: the last node of its path, and what it came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finished {
    pub(super) node: u32,
    pub(super) ending: Ending,
    pub(super) log_prob: f32,
    pub(super) score: f32,
    /// How many of the words it must have it lacks.
    pub(super) unmet: usize,
}

/// A token and what came before it.
#[derive(Clone, Copy, Debug)]
struct Node {
    parent: Option<u32>,
    token: u32,
    log_prob: f32,
    prefix: bool,
    /// Index into `attention` of the step that proposed the token.
    attention: u32,
}

/// The attention of one row in one step.
#[derive(Debug)]
struct StepAttention {
    cross: Option<Box<[f32]>>,
    decoder: Option<Box<[f32]>>,
}

/// Nodes that are not worth tidying.
const FEW: usize = 1 << 12;

/// The place of each among those that are kept.
fn places(kept: &[bool]) -> Vec<u32> {
    let place = |count: &mut u32, &kept: &bool| {
        let place = *count;
        *count += u32::from(kept);
        Some(place)
    };
    kept.iter().scan(0, place).collect()
}

/// The tree of everything generated for the sentences under way; a hypothesis is a path from the root to a node.
#[derive(Debug)]
pub(super) struct History {
    nodes: Vec<Node>,
    attention: Vec<StepAttention>,
    record: Record,
    /// Index of the first of the last step's rows in `attention`.
    step_start: usize,
    /// The number of nodes from which on it is worth forgetting some.
    tidy_from: usize,
    layers: usize,
    heads: usize,
}

impl History {
    pub(super) fn new(record: Record, decoder: &dyn Decoder) -> Self {
        let (layers, heads) = decoder.attention_shape();
        Self { nodes: Vec::new(), attention: Vec::new(), record, step_start: 0, tidy_from: FEW, layers, heads }
    }

    /// Takes over the attention of the step `decoder` has just made, of the rows that want it. Does nothing when none is recorded.
    pub(super) fn record_step(&mut self, decoder: &dyn Decoder, wanted: impl Iterator<Item = bool>) {
        if !self.record.cross && !self.record.decoder {
            return;
        }
        self.step_start = self.attention.len();
        self.attention.extend(wanted.take(decoder.rows()).enumerate().map(|(row, wanted)| StepAttention {
            cross: decoder.cross_attention(row).filter(|_| wanted).map(Into::into),
            decoder: decoder.self_attention(row).filter(|_| wanted).map(Into::into),
        }));
    }

    /// Adds `token`, proposed by decoder row `row` in the last recorded step, after `parent`.
    pub(super) fn push(&mut self, parent: Option<u32>, token: u32, log_prob: f32, prefix: bool, row: usize) -> u32 {
        self.nodes.push(Node { parent, token, log_prob, prefix, attention: (self.step_start + row) as u32 });
        (self.nodes.len() - 1) as u32
    }

    /// The tokens on the way to `node`, oldest first, into `tokens`.
    pub(super) fn tokens(&self, node: Option<u32>, tokens: &mut Vec<u32>) {
        tokens.clear();
        tokens.extend(self.path(node).map(|node| node.token));
        tokens.reverse();
    }

    /// The last token on the way to `node`; every running hypothesis has one.
    pub(super) fn last_token(&self, node: Option<u32>) -> u32 {
        self.path(node).next().map_or(0, |node| node.token)
    }

    /// Forgets, between two steps, what no hypothesis builds on, once that may be most of it. `nodes_in_use` calls what it gets with
    /// every node that is still needed, which changes where that is another one now.
    pub(super) fn tidy(&mut self, mut nodes_in_use: impl FnMut(&mut dyn FnMut(&mut u32))) {
        if self.nodes.len() < self.tidy_from {
            return;
        }
        let mut kept = vec![false; self.nodes.len()];
        nodes_in_use(&mut |node| kept[*node as usize] = true);
        let mut kept_attention = vec![false; self.attention.len()];
        // A node comes after its parent.
        for (at, node) in self.nodes.iter().enumerate().rev() {
            if !kept[at] {
                continue;
            }
            if let Some(parent) = node.parent {
                kept[parent as usize] = true;
            }
            if let Some(kept) = kept_attention.get_mut(node.attention as usize) {
                *kept = true;
            }
        }
        let (nodes, attention) = (places(&kept), places(&kept_attention));
        let renumber =
            |number: &mut u32, places: &[u32]| *number = places.get(*number as usize).copied().unwrap_or(*number);
        nodes_in_use(&mut |node| renumber(node, &nodes));
        let mut is_kept = kept.iter();
        self.nodes.retain(|_| is_kept.next().is_some_and(|kept| *kept));
        for node in &mut self.nodes {
            node.parent.iter_mut().for_each(|parent| renumber(parent, &nodes));
            renumber(&mut node.attention, &attention);
        }
        let mut is_kept = kept_attention.iter();
        self.attention.retain(|_| is_kept.next().is_some_and(|kept| *kept));
        self.tidy_from = FEW.max(2 * self.nodes.len());
    }

    fn path(&self, node: Option<u32>) -> impl Iterator<Item = &Node> {
        std::iter::successors(node.map(|node| &self.nodes[node as usize]), |node| {
            node.parent.map(|parent| &self.nodes[parent as usize])
        })
    }

    /// How much attention each source token has received on the way to `node`: sums over steps of the mean over layers
    /// and heads, `[source length]`.
    pub(super) fn coverage(&self, node: u32) -> Vec<f32> {
        let mut coverage = Vec::new();
        for node in self.path(Some(node)) {
            let Some(cross) = self.attention.get(node.attention as usize).and_then(|step| step.cross.as_deref()) else {
                continue;
            };
            let maps = self.layers * self.heads;
            let columns = cross.len() / maps;
            coverage.resize(columns, 0.0);
            for map in cross.chunks_exact(columns) {
                coverage.iter_mut().zip(map).for_each(|(sum, weight)| *sum += weight / maps as f32);
            }
        }
        coverage
    }

    /// A finished hypothesis, its attention beside that of the encoder over its sentence.
    pub(super) fn hypothesis(&self, finished: &Finished, encoder_attention: Option<&Attention>) -> Hypothesis {
        let &Finished { node, ending, log_prob, score, .. } = finished;
        let mut path: Vec<&Node> = self.path(Some(node)).collect();
        path.reverse();
        let mut ids: Vec<u32> = path.iter().map(|node| node.token).collect();
        if ending.ended {
            ids.pop();
        }
        let steps: Vec<&StepAttention> =
            path.iter().filter_map(|node| self.attention.get(node.attention as usize)).collect();
        // A network may have none.
        let has_cross = self.record.cross && self.layers > 0;
        let cross = (has_cross && steps.iter().all(|step| step.cross.is_some())).then(|| {
            let rows: Vec<&[f32]> = steps.iter().filter_map(|step| step.cross.as_deref()).collect();
            self.assemble(&rows, rows.first().map_or(0, |row| row.len() / (self.layers * self.heads)))
        });
        let decoder = (self.record.decoder && steps.iter().all(|step| step.decoder.is_some())).then(|| {
            let rows: Vec<&[f32]> = steps.iter().filter_map(|step| step.decoder.as_deref()).collect();
            self.assemble(&rows, rows.len())
        });
        Hypothesis {
            ids,
            ended: ending.ended,
            truncated: ending.truncated,
            token_log_probs: path.iter().filter(|node| !node.prefix).map(|node| node.log_prob).collect(),
            log_prob,
            score,
            cross_attention: cross,
            decoder_attention: decoder,
            encoder_attention: encoder_attention.cloned(),
        }
    }

    /// Puts steps `[layers, heads, keys of that step]` together as `[layers, heads, steps, columns]`, zeros to the right
    /// of shorter steps.
    fn assemble(&self, rows: &[&[f32]], columns: usize) -> Attention {
        let maps = self.layers * self.heads;
        let mut weights = vec![0.0; maps * rows.len() * columns];
        for (step, row) in rows.iter().enumerate() {
            let keys = row.len() / maps;
            for (map, row) in row.chunks_exact(keys).enumerate() {
                weights[(map * rows.len() + step) * columns..][..keys].copy_from_slice(row);
            }
        }
        Attention { layers: self.layers, heads: self.heads, rows: rows.len(), columns, weights }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_still_needed_survives_tidying() {
        let record = Record { cross: true, ..Record::default() };
        let (nodes, attention) = (Vec::new(), Vec::new());
        let mut history = History { nodes, attention, record, step_start: 0, tidy_from: FEW, layers: 1, heads: 1 };
        // Two rows; the second goes on from the first once in ten steps, and the first ends there and begins anew.
        let mut rows: [Option<u32>; 2] = [None, None];
        let mut expected: [Vec<u32>; 2] = Default::default();
        for step in 0..20_000 {
            history.step_start = history.attention.len();
            let attention = |row: u32| StepAttention { cross: Some([(2 * step + row) as f32].into()), decoder: None };
            history.attention.extend([attention(0), attention(1)]);
            if step % 10 == 9 {
                rows = [None, rows[0]];
                expected = [Vec::new(), std::mem::take(&mut expected[0])];
            }
            for row in 0..2 {
                let from = if step % 10 == 9 { 1 - row } else { row };
                rows[row] = Some(history.push(rows[row], 2 * step + row as u32, 0.0, false, from));
                expected[row].push(2 * step + from as u32);
            }
            history.tidy(|visit| rows.iter_mut().filter_map(Option::as_mut).for_each(visit));
            for (row, expected) in rows.iter().zip(&expected) {
                let steps = history.path(*row).map(|node| &history.attention[node.attention as usize]);
                let mut seen: Vec<u32> = steps.filter_map(|step| Some(step.cross.as_ref()?[0] as u32)).collect();
                seen.reverse();
                assert_eq!(&seen, expected, "step {step}");
            }
        }
        assert!(history.nodes.len() <= FEW && history.attention.len() <= FEW, "{} nodes", history.nodes.len());
    }
}
