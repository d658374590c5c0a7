//! How wide the parts of a recurrent network are, and what reads what.

use super::recurrent::{Attention, Directions, Feed, InputLayer, Join, Output, Part, Query, Recurrent, StartFrom};

impl Recurrent {
    /// Whether the encoder's top layer reads both ways.
    pub fn both_ways(&self) -> bool {
        match self.directions {
            Directions::Forward => false,
            Directions::EachLayer | Directions::Towers => true,
            Directions::FirstLayer => self.encoder.layers == 1,
        }
    }

    /// Width of what two directions of a layer make together.
    pub fn joined(&self) -> usize {
        match self.join {
            Join::Concatenated => 2 * self.encoder.hidden,
            Join::Summed => self.encoder.hidden,
        }
    }

    /// Width of the memory `H`.
    pub fn memory(&self) -> usize {
        if self.both_ways() { self.joined() } else { self.encoder.hidden }
    }

    /// Width of the states of the encoder's layer that the decoder starts from, before the bridge.
    pub fn start_width(&self) -> usize {
        match self.start.from {
            StartFrom::Zero => self.decoder.hidden,
            StartFrom::Mean => self.memory(),
            StartFrom::EachLayer | StartFrom::TopLayer if self.start.forward_only => self.encoder.hidden,
            StartFrom::EachLayer | StartFrom::TopLayer => self.memory(),
        }
    }

    /// Width of the context, 0 without attention.
    pub fn context(&self) -> usize {
        let Some(attention) = &self.attention else { return 0 };
        // Not `output.or(value)`: of that rustc 1.95 (LLVM 22) makes a choice between two addresses, which it reads in optimised
        // builds before it knows that there is an attention, and the program crashes.
        attention.output.unwrap_or(attention.value.unwrap_or(self.memory()))
    }

    /// Width of what is fed beside the embedding.
    pub fn feed_width(&self) -> usize {
        match self.feed {
            Feed::Nothing => 0,
            Feed::Context => self.context(),
            Feed::Attentional => self.output.hidden.map_or(0, |hidden| hidden.width),
            Feed::State => self.decoder.hidden,
            Feed::Summary => self.memory(),
        }
    }

    /// Width of a part of the output.
    pub fn part(&self, part: Part) -> usize {
        match part {
            Part::State => self.decoder.hidden,
            Part::Context => self.context(),
            Part::Embedding => self.target_embedding,
            Part::Summary => self.memory(),
        }
    }

    /// Width of what the output matrix reads.
    pub fn features(&self) -> usize {
        let Output { parts, hidden, extra, .. } = &self.output;
        let parts = || parts.iter().map(|&part| self.part(part)).sum();
        extra.unwrap_or_else(|| hidden.map_or_else(parts, |hidden| hidden.width))
    }

    /// Width of what stands before the layer between the input of a step and the first cell, or that cell without one.
    pub fn step_width(&self) -> usize {
        let before = self.attention.is_some_and(|attention| attention.query_place == Query::Before);
        self.target_embedding + self.feed_width() + if before { self.context() } else { 0 }
    }

    /// Width of what the first cell of a layer of the decoder reads.
    pub fn layer_input(&self, layer: usize) -> usize {
        let place = self.attention.map(|attention| attention.query_place);
        match (layer, self.input) {
            (0, Some(InputLayer { width: Some(width), .. })) => width,
            (0, _) => self.step_width(),
            _ if place == Some(Query::Before) && self.has_every_attention() || self.reads_context_of_below() => {
                self.decoder.hidden + self.context()
            }
            _ => self.decoder.hidden,
        }
    }

    /// Whether every layer of the decoder has an attention of its own.
    pub fn has_every_attention(&self) -> bool {
        self.attention.is_some_and(|attention| attention.every_layer)
    }

    /// Whether a layer of the decoder reads the context that was made with the state of one below it.
    pub fn reads_context_of_below(&self) -> bool {
        self.attention.is_some_and(|attention| match attention.query_place {
            Query::After | Query::BetweenCells => attention.every_layer,
            Query::BetweenLayers => true,
            Query::Before => false,
        })
    }

    /// Columns that stand before the context where a cell reads it beside its input.
    pub fn columns_before_context(&self) -> usize {
        match self.attention {
            Some(Attention { query_place: Query::Before, every_layer, .. }) => {
                match every_layer && self.decoder.layers > 1 {
                    true => self.decoder.hidden,
                    false => self.target_embedding + self.feed_width(),
                }
            }
            _ => 0,
        }
    }

    /// Whether the input of a layer of the decoder is added to its output.
    pub fn is_residual(&self, layer: usize) -> bool {
        self.decoder.residual_from.is_some_and(|from| layer >= from)
    }

    /// Whether anything reads the encoder's last states in every step.
    pub fn reads_summary(&self) -> bool {
        self.feed == Feed::Summary || self.output.parts.contains(&Part::Summary)
    }

    /// Layers and heads of the attention; `(0, 0)` without.
    pub fn attention_shape(&self) -> (usize, usize) {
        self.attention
            .map_or((0, 0), |attention| (if attention.every_layer { self.decoder.layers } else { 1 }, attention.heads))
    }
}
