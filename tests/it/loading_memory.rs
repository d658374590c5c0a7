//! Loading a checkpoint of the usual OPUS-MT size takes little more memory than its weights.
//!
//! The file has the true size and shapes but holds only zeros, which most file systems store as nothing.
//! `tests/reference/loading_memory.py` measures real files in every format.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::program::{self, Program};

const WIDTH: usize = 512;
const INNER: usize = 2048;
const LAYERS: usize = 6;
const VOCABULARY: usize = 65_001;

/// Names and shapes of the tensors of a six-layer model with one shared embedding.
fn tensors() -> Vec<(String, Vec<usize>)> {
    let mut tensors = vec![("model.shared.weight".to_owned(), vec![VOCABULARY, WIDTH])];
    for (side, attentions) in [("encoder", &["self_attn"][..]), ("decoder", &["self_attn", "encoder_attn"])] {
        for layer in 0..LAYERS {
            let mut linear = |name: &str, outputs: usize, inputs: usize| {
                let prefix = format!("model.{side}.layers.{layer}.{name}");
                tensors.push((format!("{prefix}.weight"), vec![outputs, inputs]));
                tensors.push((format!("{prefix}.bias"), vec![outputs]));
            };
            for attention in attentions {
                for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                    linear(&format!("{attention}.{part}"), WIDTH, WIDTH);
                }
            }
            linear("fc1", INNER, WIDTH);
            linear("fc2", WIDTH, INNER);
            for norm in attentions.iter().copied().chain(["final"]) {
                let prefix = format!("model.{side}.layers.{layer}.{norm}_layer_norm");
                tensors.push((format!("{prefix}.weight"), vec![WIDTH]));
                tensors.push((format!("{prefix}.bias"), vec![WIDTH]));
            }
        }
    }
    tensors
}

/// Writes the model and returns the size of its weights in bytes.
fn write_model(directory: &Path) -> u64 {
    let mut header = Map::new();
    let mut end = 0;
    for (name, shape) in tensors() {
        let start = end;
        end += 4 * shape.iter().product::<usize>() as u64;
        header.insert(name, json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] }));
    }
    let header = Value::Object(header).to_string();
    let mut file = std::fs::File::create(directory.join("model.safetensors")).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len(8 + header.len() as u64 + end).unwrap();

    let config = json!({
        "model_type": "marian", "d_model": WIDTH, "vocab_size": VOCABULARY, "activation_function": "swish",
        "encoder_layers": LAYERS, "decoder_layers": LAYERS, "encoder_ffn_dim": INNER, "decoder_ffn_dim": INNER,
        "encoder_attention_heads": 8, "decoder_attention_heads": 8, "eos_token_id": 0, "pad_token_id": VOCABULARY - 1,
    });
    std::fs::write(directory.join("config.json"), config.to_string()).unwrap();
    let words: String =
        (0..VOCABULARY).map(|n| if n == 1 { "<unk>\n".to_owned() } else { format!("w{n}\n") }).collect();
    std::fs::write(directory.join("vocab.txt"), words).unwrap();
    end
}

/// The most memory (resident, in bytes) the program ever held when it has translated a line.
fn peak(directory: &Path, precision: &str) -> u64 {
    let mut program = Program::with_model(directory);
    let mut child = program.args(["--threads", "1", "--max-length", "2", "--quiet", "--precision", precision]).spawn();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"w5 w6\n").unwrap();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    // Its input is still open, so the process is there.
    let peak = program::peak_memory(&child);
    drop(input);
    assert!(child.wait().unwrap().success());
    peak
}

#[test]
fn loading_310_megabytes_peaks_below_1_3_times_that() {
    let directory = tempfile::tempdir().unwrap();
    let size = write_model(directory.path());
    assert!((305_000_000..315_000_000).contains(&size), "{size} bytes");
    let f32_peak = peak(directory.path(), "f32");
    assert!(f32_peak < size * 13 / 10, "{f32_peak} bytes for {size} bytes of f32");
    // A quarter of the weights, and the largest tensor as it is read.
    let int8_peak = peak(directory.path(), "int8");
    assert!(int8_peak < size * 3 / 4, "{int8_peak} bytes for {size} bytes as int8");
}
