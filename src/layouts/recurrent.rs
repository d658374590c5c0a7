//! What the layouts of recurrent checkpoints share: a network as far as its tensors tell.

use super::toolkits;
use crate::Result;
use crate::checkpoint::{Keys, Parameters};
use crate::compute::Activation;
use crate::spec::Spec;
use crate::spec::recurrent::{
    Attention, Cell, CellStart, Choice, Directions, Feed, Hidden, Join, Layers, Output, Part, Query, Reach, Recurrent,
    Scale, Score, Start, StartFrom,
};

/// A network of one cell without attention, whose decoder starts from the layers beside its own and whose output reads its state
/// alone; to be changed where a family differs. Its widths and layers are those of the stored tensors.
///
/// # Errors
/// If one of these tensors is missing.
pub(super) fn network(parameters: &Parameters, cell: Cell) -> Result<Recurrent> {
    let size = |name: &str, axis: usize| -> Result<usize> {
        let size = parameters.shape(name).and_then(|shape| shape.get(axis).copied());
        size.ok_or_else(|| parameters.missing(name))
    };
    let layers = |side: &str| -> Result<Layers> {
        Ok(Layers {
            cell,
            layers: parameters.count(&format!("{side}.rnn.weight_hh_l*")),
            hidden: size(&format!("{side}.rnn.weight_hh_l0"), 1)?,
            residual_from: None,
            transitions: 0,
        })
    };
    let is_both = parameters.contains("encoder.rnn.weight_hh_l0_reverse");
    let decoder = layers("decoder")?;
    Ok(Recurrent {
        source_vocabulary: size("encoder.embedding.weight", 0)?,
        target_vocabulary: size("decoder.embedding.weight", 0)?,
        source_embedding: size("encoder.embedding.weight", 1)?,
        target_embedding: size("decoder.embedding.weight", 1)?,
        bias: false,
        encoder: layers("encoder")?,
        directions: if is_both { Directions::EachLayer } else { Directions::Forward },
        join: Join::Concatenated,
        decoder,
        start: Start { from: StartFrom::EachLayer, forward_only: false, bridge: None, cell: CellStart::Own },
        starts_from_zero: false,
        input: None,
        feed: Feed::Nothing,
        attention: None,
        output: Output { parts: vec![Part::State], hidden: None, extra: None, tied: false },
    })
}

/// Luong's order, as toolkits have it: attention after the cells, an attentional state of the given width over `parts`, which is
/// fed where the first matrix is wide enough. Without attention (`score` is `None`) the state takes its place.
pub(super) fn luong(
    spec: Recurrent,
    parameters: &Parameters,
    score: Option<Score>,
    activation: Activation,
    parts: [Part; 2],
) -> Recurrent {
    let columns = parameters.shape("decoder.rnn.weight_ih_l0").and_then(|shape| shape.get(1).copied());
    let is_fed = columns.is_some_and(|columns| columns > spec.target_embedding);
    let Some(score) = score else {
        return Recurrent { feed: if is_fed { Feed::State } else { Feed::Nothing }, ..spec };
    };
    let rows = parameters.shape("decoder.hidden_fc.weight").and_then(|shape| shape.first().copied());
    let hidden = Hidden { width: rows.unwrap_or(spec.decoder.hidden), activation };
    Recurrent {
        feed: if is_fed { Feed::Attentional } else { Feed::Nothing },
        attention: Some(attention(&spec, parameters, Query::After, score)),
        output: Output { parts: parts.to_vec(), hidden: Some(hidden), ..spec.output },
        ..spec
    }
}

/// Global, soft attention with one head and the projections that are stored.
pub(super) fn attention(spec: &Recurrent, parameters: &Parameters, query_place: Query, score: Score) -> Attention {
    let rows = |name: &str| parameters.shape(name).and_then(|shape| shape.first().copied());
    let (query, key) = (rows("decoder.attention.query.weight"), rows("decoder.attention.key.weight"));
    Attention {
        query_place,
        score,
        reach: Reach::Global,
        choice: Choice::Soft,
        heads: 1,
        width: query.or(key).unwrap_or(spec.decoder.hidden),
        query: query.is_some(),
        key: key.is_some(),
        value: rows("decoder.attention.value.weight"),
        output: None,
        coverage: false,
        every_layer: false,
    }
}

/// `q · k`.
pub(super) const DOT: Score = Score::Dot { scale: Scale::Fixed(1.0) };

/// `v · tanh(q + k)`.
pub(super) const ADDITIVE: Score = Score::Additive { normalised: false };

/// The network of a layout, if its parts fit together.
///
/// # Errors
/// If they do not; the message says which.
pub(super) fn checked(keys: &Keys, spec: Recurrent) -> Result<Spec> {
    keys.supported()?;
    spec.check().map_err(|problem| keys.error(problem))?;
    Ok(Spec::Recurrent(spec))
}

/// Notes every option that changes the network in a way that is not supported.
pub(super) fn refuse(keys: &Keys, options: &[&str]) {
    for key in options.iter().filter(|key| toolkits::is_on(keys, key)) {
        keys.refuse(format!("`{key}` is not supported with recurrent layers"));
    }
}
