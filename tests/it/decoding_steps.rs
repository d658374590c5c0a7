//! What a decoding step costs besides arithmetic: nothing.

use translate::model::{Normalise, Record, TopK};
use translate::{Precision, Workspace};
use translate::{Result, Translator};

use crate::allocations;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/models/");

/// Of 64 steps, those in which the past of a Transformer may grow: hypotheses take blocks of eight tokens, in two steps of eight since
/// one of a pair begins later, and the lists of slots grow by doubling.
const WITH_A_PAST: usize = 2 * 64 / 8 + 4;

/// How many of 64 decoding steps of a search over three sentences, two hypotheses each, allocate, after `first` of them, in
/// which buffers grow.
fn allocating_steps(model: &str, precision: Precision, normalise: Normalise, first: usize) -> Result<usize> {
    let translator = Translator::load(model, precision)?;
    let mut workspace = Workspace::new(1);
    let sources: [&[u32]; 3] = [&[5, 6, 7, 2], &[8, 2], &[9, 10, 11, 12, 13, 2]];
    let mut decoder = translator.model().start(&sources, Record::default(), &mut workspace).unwrap();
    let mut candidates = Vec::new();
    let request = TopK { k: 4, banned: &[0], normalise };
    let mut step = |tokens: &[u32], rows: &[usize]| {
        let ((), calls) = allocations::calls(|| {
            decoder.step(tokens, &mut workspace).unwrap();
            decoder.top_k(request, &mut candidates, &mut workspace).unwrap();
            decoder.select(rows).unwrap();
        });
        assert!(decoder.cross_attention(0).is_none(), "attention nobody asked for");
        usize::from(calls > 0)
    };
    step(&[4, 4, 4], &[0, 0, 1, 1, 2, 2]);
    for _ in 0..first {
        step(&[4, 5, 6, 7, 8, 9], &[0, 0, 2, 3, 5, 4]);
    }
    Ok((0..64).map(|_| step(&[4, 5, 6, 7, 8, 9], &[0, 0, 2, 3, 5, 4])).sum())
}

#[test]
fn a_decoding_step_allocates_nothing_and_no_attention_is_kept_unasked() {
    for precision in [Precision::F32, Precision::Int8, Precision::Int16] {
        let steps =
            |model: &str| allocating_steps(&format!("{FIXTURES}{model}"), precision, Normalise::All, 4).unwrap();
        assert_eq!(steps("gru"), 0, "GRU, {precision:?}");
        let steps = steps("marian_relu");
        assert!(steps <= WITH_A_PAST, "Transformer, {precision:?}: {steps} of 64 steps allocate");
    }
}

#[test]
fn what_stands_in_the_place_of_self_attention_allocates_nothing_either() {
    for (model, most) in [("marian/ssru", 10), ("marian/average", 10), ("ctranslate2/relative_positions", WITH_A_PAST)]
    {
        let steps = allocating_steps(&format!("{FIXTURES}../{model}"), Precision::F32, Normalise::All, 4).unwrap();
        // The lists of slots grow by doubling.
        assert!(steps <= most, "{model}: {steps} of 64 steps allocate");
    }
}

#[test]
fn a_screened_output_layer_allocates_nothing_either() {
    // The vocabulary of this model is large enough for a screen, which is made once it pays and then finds its way.
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/models/gru");
    assert_eq!(allocating_steps(model, Precision::F32, Normalise::Raw, 40).unwrap(), 0);
}
