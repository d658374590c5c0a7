//! What a model is, in words: for `translate models`.

use super::list::languages;
use super::{Layout, Opened, WeightSummary, by_tensors};
use crate::checkpoint::{ModelFiles, Parameters, Weights};
use crate::compute::{Activation, NormKind};
use crate::layouts::hugging_face::activation_name;
use crate::model::EmbeddingNames;
use crate::spec::recurrent::{Attention, Cell, Choice, Directions, Feed, Layers, Query, Reach, Recurrent, Score};
use crate::spec::{Past, Positions, Spec, Transformer};

/// What can be said of a model, or of a file or directory that looks like one.
#[derive(Clone, Debug)]
pub struct Description {
    /// How a person names it.
    pub name: String,
    /// The toolkit that wrote it, with its version if the files say so.
    pub toolkit: Option<String>,
    /// The family, as config.json would call it.
    pub family: Option<&'static str>,
    /// The network, in one line.
    pub network: Option<String>,
    /// Source and target language, as far as the model says.
    pub languages: (Option<String>, Option<String>),
    /// Number of pieces of the source and the target vocabulary.
    pub vocabularies: Option<(usize, usize)>,
    /// The file of weights, or the first of several.
    pub file: Option<String>,
    /// The weights at a glance, if they can be read.
    pub weights: Option<WeightSummary>,
    /// Why the model cannot be used, if it cannot.
    pub problem: Option<String>,
    /// What a person should know of it, one line each.
    pub notes: Vec<String>,
}

/// Whether a directory or archive holds weights, of whatever family.
pub fn looks_like_model(files: &ModelFiles) -> bool {
    Weights::is_there(files)
}

/// Describes a model: as much as its files say, and the reason if it cannot be used.
pub fn describe(files: &ModelFiles) -> Description {
    let name = files.name().display().to_string();
    let languages = languages(&name, files);
    let mut description = Description {
        name,
        toolkit: None,
        family: None,
        network: None,
        languages,
        vocabularies: None,
        file: None,
        weights: None,
        problem: None,
        notes: Vec::new(),
    };
    match Opened::open(files) {
        Ok(opened) => {
            description.add(Some(opened.layout), files, opened.parameters.weights());
            description.network = Some(network(&opened.spec, &opened.parameters));
            let vocabularies = opened.vocabularies(files);
            description.vocabularies = vocabularies.as_ref().ok().map(|both| (both.source.size(), both.target.size()));
            let problem = opened.check_layers().err().or(vocabularies.err());
            description.problem = problem.map(|error| error.to_string());
            description.notes = opened.notes;
            description.notes.extend(opened.generation.notes(files));
            let (source, target) = description.languages;
            description.languages = (source.or(opened.languages.0), target.or(opened.languages.1));
        }
        Err(error) => {
            description.problem = Some(error.to_string());
            if let Ok((layout, keys, parameters)) = super::parameters(files) {
                description.add(Some(layout), files, parameters.weights());
                description.network = layout.spec(&keys, &parameters).ok().map(|spec| network(&spec, &parameters));
            } else if let Ok(weights) = Weights::open(files) {
                description.add(by_tensors(&weights), files, &weights);
            }
        }
    }
    description
}

impl Description {
    /// Adds what the weights say, and the family they are of.
    fn add(&mut self, layout: Option<&'static dyn Layout>, files: &ModelFiles, weights: &Weights) {
        self.family = layout.map(Layout::name);
        self.toolkit = layout.map(|layout| toolkit(layout, files, weights));
        self.file = weights.path().file_name().map(|name| name.to_string_lossy().into_owned());
        self.weights = Some(WeightSummary::of(weights, layout.map_or("unknown", Layout::network)));
    }
}

/// The toolkit of a model with its version.
fn toolkit(layout: &dyn Layout, files: &ModelFiles, weights: &Weights) -> String {
    match layout.toolkit(files, weights) {
        (name, Some(version)) => format!("{name} {version}"),
        (name, None) => name.to_owned(),
    }
}

fn network(spec: &Spec, parameters: &Parameters) -> String {
    match spec {
        Spec::Transformer(spec) => transformer(spec, parameters),
        Spec::Recurrent(spec) => recurrent(spec),
    }
}

fn transformer(spec: &Transformer, parameters: &Parameters) -> String {
    let (encoder, decoder) = (&spec.encoder, &spec.decoder);
    let both = |encoder: usize, decoder: usize| match encoder == decoder {
        true => encoder.to_string(),
        false => format!("{encoder} and {decoder}"),
    };
    let norm = match spec.norm.kind {
        NormKind::Rms => "root-mean-square ",
        _ => "",
    };
    let place = match (encoder.norm_before, decoder.norm_before) {
        (true, true) => "pre",
        (false, false) => "post",
        (true, false) => "pre- and in the decoder post",
        (false, true) => "post- and in the decoder pre",
    };
    let past = match spec.past {
        Past::Attention => "",
        Past::Ssru => ", SSRU in the decoder",
        Past::Average { .. } => ", average attention in the decoder",
    };
    let activation = match spec.activation {
        Activation::Identity => "linear",
        other => activation_name(other),
    };
    let positions = match (&spec.positions, &spec.relative_bias) {
        (_, Some(_)) => "relative position bias",
        (Positions::Sinusoidal { .. }, _) => "sinusoidal positions",
        (Positions::Learned { .. }, _) => "learned positions",
        (Positions::None, _) => "no positions added",
    };
    let tied = match EmbeddingNames::decide(parameters) {
        Ok(names) if names.source == names.target && names.target == names.output => {
            ", embeddings and output layer are one"
        }
        Ok(names) if names.target == names.output => ", target embedding and output layer are one",
        _ => "",
    };
    format!(
        "Transformer, {} + {} layers, width {}, {} heads, feed-forward {}{}, {norm}{place}-norm, {activation}, {positions}{past}{tied}",
        encoder.layers,
        decoder.layers,
        spec.width,
        both(encoder.heads, decoder.heads),
        both(encoder.inner, decoder.inner),
        if spec.gated { " gated" } else { "" },
    )
}

fn recurrent(spec: &Recurrent) -> String {
    let cell = |layers: &Layers| match layers.cell {
        Cell::RnnTanh | Cell::RnnRelu => "RNN",
        Cell::Gru | Cell::GruResetBefore => "GRU",
        Cell::Lstm => "LSTM",
    };
    let depth = |layers: &Layers| match layers.layers {
        1 => String::new(),
        layers => format!("{layers} layers of "),
    };
    let (both_ways, second) = match spec.directions {
        Directions::Forward => ("", String::new()),
        _ => ("bidirectional ", format!(" + {}", spec.encoder.hidden)),
    };
    format!(
        "{both_ways}{} encoder {}{}{second}, {} decoder {}{}, embeddings {} and {}, {}{}{}",
        cell(&spec.encoder),
        depth(&spec.encoder),
        spec.encoder.hidden,
        cell(&spec.decoder),
        depth(&spec.decoder),
        spec.decoder.hidden,
        spec.source_embedding,
        spec.target_embedding,
        spec.attention
            .as_ref()
            .map_or_else(|| "no attention".to_owned(), |attention| kind_of_attention(spec, attention)),
        match spec.feed {
            Feed::Nothing => "",
            Feed::Summary => ", the encoder's last state is fed",
            Feed::Context | Feed::Attentional | Feed::State => ", input feeding",
        },
        if spec.output.tied { ", target embedding and output layer are one" } else { "" },
    )
}

fn kind_of_attention(spec: &Recurrent, attention: &Attention) -> String {
    let score = match attention.score {
        Score::Dot { .. } if attention.query || attention.key => "general",
        Score::Dot { .. } => "dot",
        Score::Additive { normalised: true } => "normalised additive",
        Score::Additive { .. } => "additive",
        Score::Cosine { .. } => "cosine",
        Score::Location { .. } => "location",
    };
    let reach = match attention.reach {
        Reach::Global => "",
        Reach::LocalMonotone { .. } | Reach::LocalPredictive { .. } => "local ",
    };
    let choice = if attention.choice == Choice::Soft { "" } else { "hard " };
    let place = match attention.query_place {
        Query::Before => "",
        Query::After => " after the cells",
        Query::BetweenCells => " between two cells",
        Query::BetweenLayers => " between two layers",
    };
    let heads = if attention.heads > 1 { format!(", {} heads", attention.heads) } else { String::new() };
    let layers = if attention.every_layer && spec.decoder.layers > 1 { ", in every layer" } else { "" };
    format!("{choice}{reach}{score} attention{place}{heads}{layers}")
}
