//! The GRU at the sizes of the classic Multi30k German-English setting: vocabularies 7853 and 5893, embedding 256, hidden
//! 512, a batch of 8 with 17 source and 15 target positions.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use translate::checkpoint::ModelFiles;
use translate::compute::{Compute, Workspace};
use translate::layouts::Opened;
use translate::model::{self, Record};

const SOURCE_VOCABULARY: usize = 7853;
const TARGET_VOCABULARY: usize = 5893;
const EMBEDDING: usize = 256;
const HIDDEN: usize = 512;
const BATCH: usize = 8;
const SOURCE_LENGTH: usize = 17;
const TARGET_LENGTH: usize = 15;

/// Writes a checkpoint of arbitrary weights under the tutorial's names.
fn write_checkpoint(directory: &Path) {
    let memory = 2 * HIDDEN;
    let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
    let mut gru = |prefix: &str, suffix: &str, input: usize| {
        shapes.push((format!("{prefix}.weight_ih_l0{suffix}"), vec![3 * HIDDEN, input]));
        shapes.push((format!("{prefix}.weight_hh_l0{suffix}"), vec![3 * HIDDEN, HIDDEN]));
        shapes.push((format!("{prefix}.bias_ih_l0{suffix}"), vec![3 * HIDDEN]));
        shapes.push((format!("{prefix}.bias_hh_l0{suffix}"), vec![3 * HIDDEN]));
    };
    gru("encoder.rnn", "", EMBEDDING);
    gru("encoder.rnn", "_reverse", EMBEDDING);
    gru("decoder.rnn", "", EMBEDDING + memory);
    for (name, shape) in [
        ("encoder.embedding.weight", vec![SOURCE_VOCABULARY, EMBEDDING]),
        ("encoder.fc.weight", vec![HIDDEN, memory]),
        ("encoder.fc.bias", vec![HIDDEN]),
        ("decoder.attention.attn_fc.weight", vec![HIDDEN, HIDDEN + memory]),
        ("decoder.attention.attn_fc.bias", vec![HIDDEN]),
        ("decoder.attention.v_fc.weight", vec![1, HIDDEN]),
        ("decoder.embedding.weight", vec![TARGET_VOCABULARY, EMBEDDING]),
        ("decoder.fc_out.weight", vec![TARGET_VOCABULARY, HIDDEN + memory + EMBEDDING]),
        ("decoder.fc_out.bias", vec![TARGET_VOCABULARY]),
    ] {
        shapes.push((name.to_owned(), shape));
    }
    let mut random = 1u32;
    let tensors: HashMap<String, Tensor> = shapes
        .into_iter()
        .map(|(name, shape)| {
            let values: Vec<f32> = (0..shape.iter().product())
                .map(|_| {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (random >> 8) as f32 / (1 << 24) as f32 * 0.1 - 0.05
                })
                .collect();
            (name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
        })
        .collect();
    std::fs::create_dir_all(directory).unwrap();
    candle_core::safetensors::save(&tensors, directory.join("model.safetensors")).unwrap();
    std::fs::write(directory.join("config.json"), r#"{"model_type": "gru-attention"}"#).unwrap();
}

#[test]
fn the_published_sizes_give_the_published_shapes() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gru-published-size");
    write_checkpoint(&directory);
    let files = ModelFiles::Directory(directory.clone());
    let opened = Opened::open(&files).unwrap();
    let model = model::load(&opened.spec, &opened.parameters, &Compute::default()).unwrap();
    drop(opened);
    std::fs::remove_dir_all(&directory).unwrap();

    let sources: Vec<Vec<u32>> = (0..BATCH)
        .map(|b| (0..SOURCE_LENGTH).map(|s| ((b * 997 + s * 131) % SOURCE_VOCABULARY) as u32).collect())
        .collect();
    let sources: Vec<&[u32]> = sources.iter().map(Vec::as_slice).collect();
    let mut workspace = Workspace::new(1);

    let mut decoder = model.start(&sources, Record { cross: true, ..Record::default() }, &mut workspace).unwrap();
    let mut logits = Vec::new();
    for position in 0..TARGET_LENGTH {
        decoder.step(&[position as u32 + 2; BATCH], &mut workspace).unwrap();
        decoder.logits(&mut logits, &mut workspace).unwrap();
        assert_eq!(logits.len(), BATCH * TARGET_VOCABULARY, "logits [8, 5893]");
        assert!(logits.iter().all(|logit| logit.is_finite()));
        let attention = decoder.cross_attention(BATCH - 1).unwrap();
        assert_eq!(attention.len(), SOURCE_LENGTH);
        assert!((attention.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
}
