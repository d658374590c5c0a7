//! Which recurrent networks there can be.

use super::recurrent::{
    BridgeForm, CellStart, Directions, Feed, Layers, Part, Query, Reach, Recurrent, Score, StartFrom,
};

impl Recurrent {
    /// Whether the parts fit together; the tensors are compared with the sizes later.
    ///
    /// # Errors
    /// What does not, in one sentence.
    pub fn check(&self) -> Result<(), String> {
        self.check_sizes()?;
        self.check_start()?;
        self.check_attention()?;
        self.check_step()
    }

    fn check_sizes(&self) -> Result<(), String> {
        const LARGEST: usize = 1 << 24;
        let of = |side: &str, layers: &Layers| {
            [
                (format!("the {side}'s hidden width"), layers.hidden),
                (format!("the number of {side} layers"), layers.layers),
            ]
        };
        let sizes = [
            ("the source vocabulary", self.source_vocabulary),
            ("the target vocabulary", self.target_vocabulary),
            ("the width of the source embedding", self.source_embedding),
            ("the width of the target embedding", self.target_embedding),
            ("the width of the input layer", self.input.and_then(|input| input.width).unwrap_or(1)),
            ("the width of the output's hidden layer", self.output.hidden.map_or(1, |hidden| hidden.width)),
            ("the width of the output's extra layer", self.output.extra.unwrap_or(1)),
        ];
        let sizes = sizes.map(|(name, size)| (name.to_owned(), size)).into_iter();
        let mut sizes = sizes.chain(of("encoder", &self.encoder)).chain(of("decoder", &self.decoder));
        if let Some((name, size)) = sizes.find(|&(_, size)| size == 0 || size > LARGEST) {
            return Err(format!("{name} is {size}, which no network has"));
        }
        let both_first = matches!(self.directions, Directions::EachLayer | Directions::FirstLayer);
        let first = if both_first { self.joined() } else { self.encoder.hidden };
        let sides = [
            ("encoder", self.encoder.residual_from, self.source_embedding, first),
            ("decoder", self.decoder.residual_from, self.step_input(), self.decoder.hidden),
        ];
        for (side, from, input, output) in sides {
            if from == Some(0) && input != output {
                return Err(format!(
                    "a residual around the {side}'s first layer needs an input as wide as its output, and they are {input} and \
                     {output} wide"
                ));
            }
        }
        let from = self.encoder.residual_from.filter(|&from| from <= 1 && self.encoder.layers > 1);
        if from.is_some() && self.directions == Directions::FirstLayer && first != self.encoder.hidden {
            return Err(
                "a residual around the encoder's second layer does not fit the two directions below it".to_owned()
            );
        }
        Ok(())
    }

    fn check_start(&self) -> Result<(), String> {
        let (start, decoder) = (&self.start, &self.decoder);
        if start.from == StartFrom::EachLayer && self.encoder.layers < decoder.layers {
            return Err(format!(
                "each of the decoder's {} layers starts from the encoder's layer beside it, but the encoder has {}",
                decoder.layers, self.encoder.layers
            ));
        }
        if start.from == StartFrom::EachLayer && self.directions == Directions::FirstLayer && self.encoder.layers > 1 {
            return Err(
                "the encoder's layers have states of different widths, so no decoder layer can start from each; \
                        start from the top layer or the mean"
                    .to_owned(),
            );
        }
        let width = self.start_width();
        match start.bridge {
            _ if start.from == StartFrom::Zero => {}
            None if width != decoder.hidden => {
                return Err(format!(
                    "the decoder's state is {} wide and what it starts from {width}, so there must be a bridge between",
                    decoder.hidden
                ));
            }
            Some(bridge)
                if bridge.form == BridgeForm::Viewed
                    && (start.from != StartFrom::EachLayer || width != decoder.hidden) =>
            {
                return Err(
                    "a bridge that views all states as rows needs a decoder that starts from each layer of an \
                            encoder of its own width"
                        .to_owned(),
                );
            }
            _ => {}
        }
        let is_lstm = |layers: &Layers| layers.cell.gates() == 4;
        if start.cell == CellStart::Own && is_lstm(decoder) {
            if start.from == StartFrom::Mean {
                return Err(
                    "there is no mean of cell states; an LSTM that starts from the mean of the memory has it for its \
                            cell state, too, or zeros"
                        .to_owned(),
                );
            }
            if !is_lstm(&self.encoder) && start.from != StartFrom::Zero {
                return Err(
                    "the decoder's cell state is to start from the encoder's, whose cells are no LSTM".to_owned()
                );
            }
        }
        Ok(())
    }

    fn check_attention(&self) -> Result<(), String> {
        let Some(attention) = &self.attention else { return Ok(()) };
        let (hidden, memory, width) = (self.decoder.hidden, self.memory(), attention.width);
        if attention.heads == 0 || width == 0 || attention.value == Some(0) || attention.output == Some(0) {
            return Err("an attention has at least one head and no width of 0".to_owned());
        }
        let values = attention.value.unwrap_or(memory);
        if !values.is_multiple_of(attention.heads) {
            return Err(format!("{} heads do not divide values of width {values}", attention.heads));
        }
        if let Score::Location { positions, beyond, .. } = attention.score {
            if positions == 0 {
                return Err("a location score needs at least one position".to_owned());
            }
            if attention.heads > 1 {
                return Err("a location score has no keys that heads could share".to_owned());
            }
            if attention.query || attention.key {
                return Err("a location score compares no query with keys, so there is nothing to project".to_owned());
            }
            if beyond && attention.reach != Reach::Global {
                return Err("scores beyond the sentence have no place in a window".to_owned());
            }
        } else {
            if !width.is_multiple_of(attention.heads) {
                return Err(format!("{} heads do not divide queries of width {width}", attention.heads));
            }
            let name = match attention.score {
                Score::Dot { .. } => "a dot product",
                Score::Additive { .. } => "an additive score",
                Score::Cosine { .. } => "a cosine",
                Score::Location { .. } => unreachable!("handled above"),
            };
            if !attention.query && hidden != width || !attention.key && memory != width {
                let query = if attention.query { width } else { hidden };
                let key = if attention.key { width } else { memory };
                return Err(format!(
                    "{name} needs queries and keys of one width, and they are {query} and {key} wide; project one of them"
                ));
            }
        }
        if attention.coverage && !matches!(attention.score, Score::Additive { .. }) {
            return Err("coverage belongs to an additive score".to_owned());
        }
        if attention.coverage && attention.heads > 1 {
            return Err("coverage counts the attention of one head, and there are several".to_owned());
        }
        match attention.reach {
            Reach::LocalMonotone { half: 0 } | Reach::LocalPredictive { half: 0 } => {
                return Err("a window of 0 positions to either side has nothing to weigh".to_owned());
            }
            _ => {}
        }
        if attention.query_place == Query::BetweenLayers && self.decoder.layers < 2 {
            return Err("a query between two layers needs a decoder of at least two".to_owned());
        }
        if attention.query_place == Query::BetweenLayers && attention.every_layer {
            return Err("a query between two layers is one for all of them, so not every layer has its own".to_owned());
        }
        Ok(())
    }

    fn check_step(&self) -> Result<(), String> {
        match self.feed {
            Feed::Context if self.attention.is_none() => {
                return Err("a context is fed, but there is no attention to make one".to_owned());
            }
            Feed::Attentional if self.output.hidden.is_none() => {
                return Err("the attentional state is fed, but the output has no hidden layer to make one".to_owned());
            }
            _ => {}
        }
        let Recurrent { output, .. } = self;
        if output.parts.is_empty() {
            return Err("the output reads nothing".to_owned());
        }
        if output.parts.iter().enumerate().any(|(at, part)| output.parts[..at].contains(part)) {
            return Err("the output reads one part twice".to_owned());
        }
        if output.parts.contains(&Part::Context) && self.attention.is_none() {
            return Err("the output reads the context, but there is no attention to make one".to_owned());
        }
        if output.tied && self.features() != self.target_embedding {
            return Err(format!(
                "an output matrix that is the target embedding needs {} columns, and the layer before it has {}",
                self.target_embedding,
                self.features()
            ));
        }
        Ok(())
    }

    /// Width of what a residual around the decoder's first layer adds: its input without the context.
    fn step_input(&self) -> usize {
        self.input.and_then(|input| input.width).unwrap_or(self.target_embedding)
    }
}
