//! Every checkpoint format and naming people have reads as the same model.

use std::path::PathBuf;

use translate::checkpoint::{ModelFiles, Parameters};
use translate::compute::Activation;
use translate::layouts::{Opened, open_parameters};
use translate::model::EmbeddingNames;
use translate::spec::Spec;

fn fixture(name: &str) -> ModelFiles {
    ModelFiles::Directory(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoint").join(name))
}

fn open(name: &str) -> Parameters {
    open_parameters(&fixture(name)).unwrap()
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
        for name in &names {
            let shape = reference.shape(name).unwrap();
            assert_eq!(weights.shape(name).as_ref(), Some(&shape), "{format}: {name}");
            assert_eq!(
                weights.tensor(name, &shape).unwrap(),
                reference.tensor(name, &shape).unwrap(),
                "{format}: {name}"
            );
        }
    }
}

#[test]
fn rows_that_stay_in_the_file_are_those_of_the_tensor() {
    let (name, shape) = ("model.shared.weight", open("safetensors").shape("model.shared.weight").unwrap());
    let width = shape[1];
    for format in ["safetensors", "sharded", "safetensors_float16", "safetensors_bfloat16", "zip", "zip_half"] {
        let weights = open(format);
        let tensor = weights.tensor(name, &shape).unwrap();
        let rows = weights.row_file(name, &shape).unwrap().expect(format);
        for (first, count) in [(0, shape[0]), (3, 2), (shape[0] - 1, 1)] {
            let mut read = vec![f32::NAN; count * width];
            rows.read(first, &mut read).unwrap();
            assert_eq!(read, tensor[first * width..][..count * width], "{format}: {count} rows from {first}");
        }
        assert!(rows.read(1 << 20, &mut vec![0.0; width]).is_err(), "{format}: there are no such rows");
    }
    // Numbers that are not those of the tensor as they lie there.
    assert!(open("safetensors_float64").row_file(name, &shape).unwrap().is_none());
}

#[test]
fn every_generation_of_the_tutorial_gru_holds_the_same_tensors() {
    let reference = open("gru_current");
    assert_eq!(reference.shape("decoder.attention.v_fc.weight"), Some(vec![1, 4]));
    for generation in ["gru_first", "gru_second"] {
        let weights = open(generation);
        for name in reference.names() {
            let shape = reference.shape(name).unwrap();
            assert_eq!(
                weights.tensor(name, &shape).unwrap(),
                reference.tensor(name, &shape).unwrap(),
                "{generation}: {name}"
            );
        }
    }
}

#[test]
fn a_marian_model_with_one_stored_embedding_is_tied_and_so_is_one_with_equal_copies() {
    for format in ["safetensors", "zip", "old", "sharded_bin"] {
        let names = EmbeddingNames::decide(&open(format)).unwrap();
        assert_eq!((names.source, names.target), (names.output, names.output), "{format}");
    }
}

#[test]
fn sizes_the_config_lacks_come_from_the_tensors() {
    let read = |name: &str| Opened::open(&fixture(name)).unwrap().spec;
    let Spec::Recurrent(gru) = read("gru_second") else { panic!("not a GRU") };
    assert_eq!((gru.source_vocabulary, gru.target_vocabulary), (9, 7));
    assert_eq!((gru.source_embedding, gru.encoder.hidden), (3, 4));
    let Spec::Transformer(marian) = read("old") else { panic!("not a Transformer") };
    assert_eq!((marian.source_vocabulary, marian.target_vocabulary), (11, 11));
    assert_eq!(marian.activation, Activation::Swish);
}
