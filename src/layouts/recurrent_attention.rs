//! A recurrent encoder-decoder written out: `config.json` says of every part of a step which kind it is (docs/models.md), the
//! tensors have the names of [`crate::spec::recurrent`], and sizes are theirs. Research checkpoints can be laid under it by hand,
//! and `translate convert` writes those of other toolkits so.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::rules::Rule;
use super::{Layout, Lists, hugging_face, plain_pytorch, transformer};
use crate::Result;
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights};
use crate::compute::Activation;
use crate::spec::Spec;
use crate::spec::recurrent::{
    Attention, Bridge, BridgeForm, Cell, CellStart, Choice, Directions, Feed, Hidden, InputLayer, Join, Layers, Output,
    Part, Query, Reach, Recurrent, Scale, Score, Start, StartFrom,
};
use crate::text::{Frame, PieceList};

/// The family.
pub(super) struct RecurrentAttention;

/// The sections of the configuration and the keys of each: an unknown one is an error, for a misspelt key would be ignored.
pub(super) const SECTIONS: [(&str, &[&str]); 5] = [
    ("encoder", &["cell", "residual_from", "transitions", "directions", "join"]),
    ("decoder", &["cell", "residual_from", "transitions", "feed", "input_activation", "starts_from_zero"]),
    ("start", &["from", "forward_only", "bridge", "bridge_form", "cell"]),
    (
        "attention",
        &[
            "score",
            "scale",
            "query",
            "reach",
            "half_window",
            "choice",
            "seed",
            "heads",
            "every_layer",
            "coverage",
            "embedding",
            "beyond",
        ],
    ),
    ("output", &["parts", "hidden_activation"]),
];

/// Names of scores.
const SCORES: &str = "dot, scaled-dot, general, additive, concat, normalised-additive, cosine, location and none";

impl Layout for RecurrentAttention {
    fn name(&self) -> &'static str {
        "recurrent-attention"
    }

    fn network(&self) -> &'static str {
        "recurrent"
    }

    fn toolkit(&self, _files: &ModelFiles, _weights: &Weights) -> (&'static str, Option<String>) {
        ("translate", None)
    }

    fn recognises(&self, _tensors: &[&str], _said: &Map<String, Value>) -> bool {
        false
    }

    fn rules(&self) -> &'static [Rule] {
        &[]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        let mut sections = Vec::new();
        for (name, known) in SECTIONS {
            let section = keys.section(name)?.unwrap_or_else(|| Keys::of(keys.path().to_owned(), Map::new()));
            for key in section.map().keys().filter(|key| !known.contains(&key.as_str())) {
                keys.refuse(format!("`{name}.{key}` is no key; those of `{name}` are {}", known.join(", ")));
            }
            sections.push(section);
        }
        let read = Reading { keys, parameters };
        let [encoder, decoder, start, attention, output] = &sections[..] else {
            unreachable!("there are five sections")
        };
        let (source_vocabulary, source_embedding) = read.table("encoder.embedding.weight")?;
        let (target_vocabulary, target_embedding) = read.table("decoder.embedding.weight")?;
        let backward = parameters.contains("encoder.rnn.weight_ih_l0_reverse");
        let directions = if backward { Directions::EachLayer } else { Directions::Forward };
        let decoder_layers = read.layers(decoder, "decoder")?;
        let spec = Recurrent {
            source_vocabulary,
            target_vocabulary,
            source_embedding,
            target_embedding,
            bias: false,
            encoder: read.layers(encoder, "encoder")?,
            directions: word(encoder, "encoder.directions", directions)?,
            join: word(encoder, "encoder.join", Join::Concatenated)?,
            decoder: decoder_layers,
            start: read.start(start, decoder_layers.cell)?,
            starts_from_zero: decoder.flag("starts_from_zero", false)?,
            input: read.input(decoder)?,
            feed: word(decoder, "decoder.feed", Feed::Nothing)?,
            attention: read.attention(attention, decoder_layers.hidden)?,
            output: read.output(output, attention)?,
        };
        keys.supported()?;
        spec.check().map_err(|problem| keys.error(format!("these settings are of no network: {problem}")))?;
        Ok(Spec::Recurrent(spec))
    }

    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame> {
        match keys.value("frame") {
            Some(_) => transformer::written_frame(keys, spec),
            None => plain_pytorch::frame(keys, spec),
        }
    }

    fn lists(&self, files: &ModelFiles, keys: &Keys) -> Result<Option<Lists>> {
        if let Some(lists) = transformer::pieces_file(files)? {
            return Ok(Some(lists));
        }
        let list = |key: &str| -> Result<Option<PieceList>> {
            let Some(value) = keys.value(key) else { return Ok(None) };
            let pieces = serde_json::from_value(value.clone());
            let pieces = pieces.map_err(|_| keys.wrong(key, value, "a list of texts"))?;
            Ok(Some(PieceList::new(pieces, keys.path())))
        };
        match (list("source_pieces")?, list("target_pieces")?) {
            (Some(source), target) => Ok(Some((source, target))),
            (None, Some(_)) => Err(keys.error("`target_pieces` is there, but `source_pieces` is missing")),
            (None, None) => Ok(None),
        }
    }
}

/// Where settings and sizes are read.
struct Reading<'a> {
    keys: &'a Keys,
    parameters: &'a Parameters,
}

impl Reading<'_> {
    /// Rows and columns of a matrix.
    fn table(&self, name: &str) -> Result<(usize, usize)> {
        match self.parameters.shape(name).as_deref() {
            Some(&[rows, columns]) => Ok((rows, columns)),
            Some(shape) => {
                Err(self.keys.error(format!("the tensor {name:?} has shape {shape:?}; a matrix was expected")))
            }
            None => Err(self.parameters.missing(name)),
        }
    }

    /// Rows of a matrix that may be missing.
    fn rows(&self, name: &str) -> Option<usize> {
        self.parameters.shape(name)?.first().copied()
    }

    fn layers(&self, keys: &Keys, side: &str) -> Result<Layers> {
        let (_, hidden) = self.table(&format!("{side}.rnn.weight_hh_l0"))?;
        let cell = word(keys, &format!("{side}.cell"), Cell::Gru)?;
        let (rows, expected) = (self.rows(&format!("{side}.rnn.weight_hh_l0")), cell.gates() * hidden);
        if rows != Some(expected) {
            self.keys.refuse(format!(
                "`{side}.cell` has {} gates, and {side}.rnn.weight_hh_l0 is not [{expected}, {hidden}] as theirs would be",
                cell.gates()
            ));
        }
        let has_second = self.parameters.contains(&format!("{side}.rnn.weight_ih_l0_cell2"));
        let first = if has_second { 3 } else { 2 };
        let stored =
            (first..).take_while(|number| self.parameters.contains(&format!("{side}.rnn.weight_hh_l0_cell{number}")));
        Ok(Layers {
            cell,
            layers: self.parameters.count(&format!("{side}.rnn.weight_hh_l*")),
            hidden,
            residual_from: keys.number("residual_from")?,
            transitions: keys.number("transitions")?.unwrap_or(stored.count()),
        })
    }

    fn start(&self, keys: &Keys, cell: Cell) -> Result<Start> {
        let per_layer = self.parameters.contains("encoder.fc_l0.weight");
        let stored = per_layer || self.parameters.contains("encoder.fc.weight");
        let form = if per_layer { BridgeForm::PerLayer } else { BridgeForm::Shared };
        let default = if stored { Activation::Tanh } else { Activation::Identity };
        let bridge = Bridge {
            activation: self.activation(keys, "start.bridge", default)?,
            form: word(keys, "start.bridge_form", form)?,
        };
        let own = matches!(cell, Cell::Lstm);
        Ok(Start {
            from: word(keys, "start.from", StartFrom::TopLayer)?,
            forward_only: keys.flag("forward_only", false)?,
            bridge: stored.then_some(bridge),
            cell: word(keys, "start.cell", if own { CellStart::Own } else { CellStart::Zero })?,
        })
    }

    fn input(&self, keys: &Keys) -> Result<Option<InputLayer>> {
        let width = self.rows("decoder.input_fc.weight");
        let named = keys.value("input_activation").is_some();
        let activation = self.activation(keys, "decoder.input_activation", Activation::Identity)?;
        Ok((width.is_some() || named).then_some(InputLayer { width, activation }))
    }

    fn attention(&self, keys: &Keys, hidden: usize) -> Result<Option<Attention>> {
        let every_layer = keys.flag("every_layer", false)?;
        let prefix = if every_layer { "decoder.attention.0." } else { "decoder.attention." };
        let stored = |name: &str| self.rows(&format!("{prefix}{name}.weight"));
        let both = stored("attn_fc");
        let (query, key) = (both.or(stored("query")), both.or(stored("key")));
        let width = query.or(key).unwrap_or(hidden);
        let heads = keys.size("heads", 1)?;
        let scale = || match keys.float("scale") {
            Ok(Some(scale)) => Ok(Scale::Fixed(scale)),
            Ok(None) if self.parameters.contains(&format!("{prefix}scale")) => Ok(Scale::Stored),
            other => other.map(|_| Scale::Fixed(1.0)),
        };
        let name = keys.string("score")?.unwrap_or_else(|| "additive".to_owned());
        let score = match name.as_str() {
            "none" => return Ok(None),
            "dot" => Score::Dot { scale: scale()? },
            "scaled-dot" => Score::Dot { scale: Scale::Fixed(1.0 / (width as f32 / heads as f32).sqrt()) },
            "general" if query.is_none() && key.is_none() => {
                return Err(self.parameters.missing(&format!("{prefix}query.weight")));
            }
            "general" => Score::Dot { scale: scale()? },
            "additive" | "concat" => Score::Additive { normalised: false },
            "normalised-additive" => Score::Additive { normalised: true },
            "cosine" => Score::Cosine { scale: scale()? },
            "location" => Score::Location {
                positions: self.table(&format!("{prefix}location.weight"))?.0,
                embedding: keys.flag("embedding", false)?,
                beyond: keys.flag("beyond", false)?,
            },
            other => {
                self.keys.refuse(format!("`attention.score` {other:?} is not supported; {SCORES} are"));
                return Ok(None);
            }
        };
        let half = || Ok::<_, crate::Error>(keys.number("half_window")?.unwrap_or(0));
        let reach = match keys.string("reach")?.as_deref().unwrap_or("global") {
            "global" => Reach::Global,
            "local-monotone" => Reach::LocalMonotone { half: half()? },
            "local-predictive" => Reach::LocalPredictive { half: half()? },
            other => {
                let known = "global, local-monotone and local-predictive";
                self.keys.refuse(format!("`attention.reach` {other:?} is not supported; {known} are"));
                Reach::Global
            }
        };
        let choice = match keys.string("choice")?.as_deref().unwrap_or("soft") {
            "soft" => Choice::Soft,
            "argmax" => Choice::Argmax,
            "sampled" => Choice::Sampled { seed: keys.number("seed")?.unwrap_or(0) as u64 },
            other => {
                self.keys
                    .refuse(format!("`attention.choice` {other:?} is not supported; soft, argmax and sampled are"));
                Choice::Soft
            }
        };
        let (query_place, coverage) = (word(keys, "attention.query", Query::Before)?, keys.flag("coverage", false)?);
        let (query, key, value, output) = (query.is_some(), key.is_some(), stored("value"), stored("output"));
        Ok(Some(Attention {
            query_place,
            score,
            reach,
            choice,
            heads,
            width,
            query,
            key,
            value,
            output,
            coverage,
            every_layer,
        }))
    }

    /// An activation of a section; another is noted as not supported.
    fn activation(&self, section: &Keys, path: &str, default: Activation) -> Result<Activation> {
        Ok(match section.string(last(path))?.as_deref() {
            None => default,
            Some("linear") => Activation::Identity,
            Some("tanh") => Activation::Tanh,
            Some("sigmoid") => Activation::Sigmoid,
            Some(name) => hugging_face::named_activation(self.keys, path, name),
        })
    }

    fn output(&self, keys: &Keys, attention: &Keys) -> Result<Output> {
        let hidden = ["", "_state", "_context", "_embedding", "_summary"]
            .iter()
            .find_map(|part| self.rows(&format!("decoder.hidden_fc{part}.weight")));
        let hidden = hidden.map(|width| {
            let activation = self.activation(keys, "output.hidden_activation", Activation::Tanh)?;
            Ok::<_, crate::Error>(Hidden { width, activation })
        });
        let without = attention.string("score")?.as_deref() == Some("none");
        let parts = if without { vec![Part::State] } else { vec![Part::State, Part::Context, Part::Embedding] };
        Ok(Output {
            parts: word(keys, "output.parts", parts)?,
            hidden: hidden.transpose()?,
            extra: self.rows("decoder.extra_fc.weight"),
            tied: !self.parameters.contains("decoder.fc_out.weight"),
        })
    }
}

/// A setting that is one of a few words, or a list of them.
fn word<T: DeserializeOwned>(section: &Keys, path: &str, default: T) -> Result<T> {
    let Some(value) = section.value(last(path)) else { return Ok(default) };
    serde_json::from_value(value.clone()).map_err(|error| section.error(format!("`{path}`: {error}")))
}

/// The key of `section.key`.
fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// The keys of a network and its frame, every setting spelt out; sizes are those of the tensors.
pub(super) fn config(spec: &Recurrent, frame: &Frame, from: &str, own: &Map<String, Value>) -> Map<String, Value> {
    let mut config = transformer::described(RecurrentAttention.name(), from, own);
    let layers = |layers: &Layers| json!({"cell": layers.cell, "residual_from": layers.residual_from, "transitions": layers.transitions});
    let mut encoder = layers(&spec.encoder);
    encoder["directions"] = json!(spec.directions);
    encoder["join"] = json!(spec.join);
    let mut decoder = layers(&spec.decoder);
    decoder["feed"] = json!(spec.feed);
    decoder["starts_from_zero"] = json!(spec.starts_from_zero);
    decoder["input_activation"] = json!(spec.input.map(|input| activation_name(input.activation)));
    let Start { from, forward_only, bridge, cell } = spec.start;
    let mut start = json!({"from": from, "forward_only": forward_only, "cell": cell});
    if let Some(bridge) = bridge {
        start["bridge"] = json!(activation_name(bridge.activation));
        start["bridge_form"] = json!(bridge.form);
    }
    let mut output = json!({"parts": spec.output.parts});
    if let Some(hidden) = spec.output.hidden {
        output["hidden_activation"] = json!(activation_name(hidden.activation));
    }
    let attention = spec.attention.as_ref().map_or(json!({"score": "none"}), attention_keys);
    let sections = [
        ("encoder", encoder),
        ("decoder", decoder),
        ("start", start),
        ("attention", attention),
        ("output", output),
        ("frame", json!(frame)),
    ];
    for (name, mut section) in sections {
        if let Value::Object(keys) = &mut section {
            keys.retain(|_, value| !value.is_null());
        }
        config.insert(name.to_owned(), section);
    }
    config
}

/// The keys of an attention.
fn attention_keys(attention: &Attention) -> Value {
    let mut keys = json!({
        "query": attention.query_place,
        "heads": attention.heads,
        "every_layer": attention.every_layer,
        "coverage": attention.coverage,
    });
    let (score, scale) = match attention.score {
        Score::Dot { scale } => ("dot", Some(scale)),
        Score::Cosine { scale } => ("cosine", Some(scale)),
        Score::Additive { normalised: false } => ("additive", None),
        Score::Additive { normalised: true } => ("normalised-additive", None),
        Score::Location { embedding, beyond, .. } => {
            keys["embedding"] = json!(embedding);
            keys["beyond"] = json!(beyond);
            ("location", None)
        }
    };
    keys["score"] = json!(score);
    if let Some(Scale::Fixed(scale)) = scale {
        keys["scale"] = json!(scale);
    }
    let (reach, half) = match attention.reach {
        Reach::Global => ("global", None),
        Reach::LocalMonotone { half } => ("local-monotone", Some(half)),
        Reach::LocalPredictive { half } => ("local-predictive", Some(half)),
    };
    keys["reach"] = json!(reach);
    keys["half_window"] = json!(half);
    let (choice, seed) = match attention.choice {
        Choice::Soft => ("soft", None),
        Choice::Argmax => ("argmax", None),
        Choice::Sampled { seed } => ("sampled", Some(seed)),
    };
    keys["choice"] = json!(choice);
    keys["seed"] = json!(seed);
    keys
}

/// The name of an activation, that of none included.
fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Identity => "linear",
        other => hugging_face::activation_name(other),
    }
}
