//! Every checkpoint format and naming people have reads as the same model.

use std::path::PathBuf;

use translate::checkpoint::layout::{Family, embedding_names};
use translate::checkpoint::{ModelFiles, Weights};
use translate::kernels::Activation;
use translate::model::config::ModelConfig;

fn fixture(name: &str) -> ModelFiles {
    ModelFiles::Directory(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoint").join(name))
}

fn open(name: &str) -> Weights {
    Weights::open(&fixture(name)).unwrap()
}

#[test]
fn every_format_of_a_marian_model_holds_the_same_tensors() {
    let reference = open("safetensors");
    let names: Vec<&str> = reference.names().collect();
    assert_eq!(names.len(), 44);
    let formats = [
        "sharded",
        "safetensors_float16",
        "safetensors_bfloat16",
        "safetensors_float64",
        "zip",
        "zip_half",
        "zip_views",
        "old",
        "sharded_bin",
    ];
    for format in formats {
        let weights = open(format);
        assert_eq!(weights.family(), Family::Transformer);
        for name in &names {
            let shape = reference.shape(name).unwrap();
            assert_eq!(weights.shape(name), Some(shape), "{format}: {name}");
            assert_eq!(
                weights.tensor(name, shape).unwrap(),
                reference.tensor(name, shape).unwrap(),
                "{format}: {name}"
            );
        }
    }
}

#[test]
fn every_generation_of_the_tutorial_gru_holds_the_same_tensors() {
    let reference = open("gru_current");
    assert_eq!(reference.shape("decoder.attention.v_fc.weight"), Some(&[1, 4][..]));
    for generation in ["gru_first", "gru_second"] {
        let weights = open(generation);
        assert_eq!(weights.family(), Family::Gru);
        for name in reference.names() {
            let shape = reference.shape(name).unwrap();
            assert_eq!(
                weights.tensor(name, shape).unwrap(),
                reference.tensor(name, shape).unwrap(),
                "{generation}: {name}"
            );
        }
    }
}

#[test]
fn a_marian_model_with_one_stored_embedding_is_tied_and_so_is_one_with_equal_copies() {
    for format in ["safetensors", "zip", "old", "sharded_bin"] {
        let names = embedding_names(&open(format)).unwrap();
        assert_eq!((names.source, names.target), (names.output, names.output), "{format}");
    }
}

#[test]
fn sizes_the_config_lacks_come_from_the_tensors() {
    let read = |name: &str| ModelConfig::read(&fixture(name), &open(name)).unwrap();
    let ModelConfig::Gru(gru) = read("gru_second") else { panic!("not a GRU") };
    assert_eq!((gru.source_vocab_size, gru.target_vocab_size), (9, 7));
    assert_eq!((gru.embedding_dim, gru.hidden_dim), (3, 4));
    let ModelConfig::Transformer(marian) = read("old") else { panic!("not a Transformer") };
    assert_eq!((marian.vocab_size, marian.decoder_vocab_size), (11, 11));
    assert_eq!(marian.activation_function, Activation::Swish);
}
