//! Writing a clean model directory from any checkpoint we read.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::Opened;
use crate::checkpoint::{Dtype, ModelFiles, Parameters, SCALES, SUMS, ToWrite, Values, panel_shape, write_safetensors};
use crate::kernels::{PackedMatrix, Packer, Precision};
use crate::model::EmbeddingNames;
use crate::nn::stored_int8;
use crate::spec::{Positions, Spec};
use crate::store::VOCABULARY_FILES;
use crate::text::compact;
use crate::{Error, Result};

/// Writes `files` as a new model directory `out`: `model.safetensors` in `dtype` (F16, F32 or I8) under the names our layers
/// know, complete configs, and the vocabulary. No more than one tensor is in memory at a time, and `out` appears only when
/// it is complete.
///
/// In I8 the matrices are written as the kernels' `int8` precision packs them (`checkpoint::int8` says how), so that a start
/// only maps them into memory; all else is F32. Returns what a person should know of the model, one line each: settings and
/// weights without effect are not carried over.
///
/// # Errors
/// If `out` exists, a tensor cannot be read or does not fit the format, or a file cannot be written.
pub fn convert(files: &ModelFiles, out: &Path, dtype: Dtype) -> Result<Vec<String>> {
    if !matches!(dtype, Dtype::F16 | Dtype::F32 | Dtype::I8) {
        return Err(Error::Usage(format!("cannot write {}; F16, F32 and I8 can be written", dtype.name())));
    }
    if out.exists() {
        return Err(Error::model(out, "already exists; choose another directory"));
    }
    let opened = Opened::open(files)?;
    let mut config = opened.complete_config();
    // These say how to read the old files.
    ["vocabulary", "weights", "tensor_names"].iter().for_each(|key| drop(config.shift_remove(*key)));
    let planned = plan(&opened.parameters, &opened.spec, &mut config)?;
    let vocabulary = match &opened.vocabulary {
        Some(elsewhere) => files.directory(elsewhere)?,
        None => files.clone(),
    };
    let mut notes = opened.notes.clone();
    notes.extend(opened.generation.notes(files));
    let mut generation = opened.generation;
    // Other engines read token ids from here alone.
    generation.eos_token_id.get_or_insert(opened.frame.end);
    generation.pad_token_id.get_or_insert(opened.frame.padding);
    if let crate::text::Part::Id(start) = opened.frame.start {
        generation.decoder_start_token_id.get_or_insert(start);
    }

    let partial = Partial::create(out)?;
    write_weights(&partial.path.join("model.safetensors"), &opened.parameters, planned, dtype)?;
    let name = match dtype {
        Dtype::F16 => "float16",
        Dtype::I8 => "int8",
        _ => "float32",
    };
    config.insert("torch_dtype".to_owned(), json!(name));
    write_json(&partial.path.join("config.json"), &Value::Object(config))?;
    write_json(&partial.path.join("generation_config.json"), &generation.to_json())?;
    let mut copied = 0;
    for name in VOCABULARY_FILES {
        if let Some(bytes) = vocabulary.read(name)? {
            if let Some(compact) =
                (dtype == Dtype::I8 && name == "tokenizer.json").then(|| compact::write(&bytes)).flatten()
            {
                let path = partial.path.join(compact::FILE);
                fs::write(&path, compact).map_err(|error| Error::io(path, error))?;
            }
            let path = partial.path.join(name);
            fs::write(&path, bytes).map_err(|error| Error::io(path, error))?;
            copied += 1;
        }
    }
    if copied == 0 {
        return Err(Error::model(
            vocabulary.path(""),
            "no vocabulary here to copy (source.spm, tokenizer.json, vocab.txt, …)",
        ));
    }
    partial.finish(out)?;
    notes.extend(opened.parameters.unused_note());
    Ok(notes)
}

/// A tensor to write: its name in the new file, its name now, its shape.
type Planned = (String, String, Vec<usize>);

/// Which tensors a clean directory holds: each matrix once, under the name Hugging Face looks for.
fn plan(parameters: &Parameters, spec: &Spec, config: &mut Map<String, Value>) -> Result<Vec<Planned>> {
    let planned = |name: &str, from: &str| -> Planned {
        let mut shape = parameters.shape(from).unwrap_or_default();
        if name == "decoder.attention.v_fc.weight" && shape.len() == 1 {
            shape.insert(0, 1);
        }
        (name.to_owned(), from.to_owned(), shape)
    };
    let mut tensors = Vec::new();
    let mut done: Vec<&str> = Vec::new();
    if let Spec::Transformer(spec) = spec {
        let names = EmbeddingNames::decide(parameters)?;
        let [shared, encoder, decoder, head] = EmbeddingNames::ALL;
        let (is_shared, is_tied) = (names.source == names.target, names.output == names.target);
        if is_shared {
            tensors.push(planned(shared, names.source));
        } else {
            tensors.push(planned(encoder, names.source));
            tensors.push(planned(decoder, names.target));
        }
        if !is_tied {
            tensors.push(planned(head, names.output));
        }
        config.insert("share_encoder_decoder_embeddings".to_owned(), json!(is_shared));
        config.insert("tie_word_embeddings".to_owned(), json!(is_tied));
        done.extend(EmbeddingNames::ALL);
        if !matches!(spec.positions, Positions::Learned { .. }) {
            // Sinusoids are computed, not stored.
            done.extend(["model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight"]);
        }
    }
    // Tensors of integers are tables other tools keep; no model here has any.
    let others = parameters.names().filter(|name| !done.contains(name) && parameters.dtype(name).is_some());
    tensors.extend(others.map(|name| planned(name, name)));
    Ok(tensors)
}

/// What of an int8 model stays in floats though it is a matrix: what is added or divided into parts instead of multiplied.
const FLOATS: [&str; 4] = ["embed_positions", "relative_attention_bias", "attention.attn_fc", "attention.v_fc"];

fn write_weights(path: &Path, parameters: &Parameters, planned: Vec<Planned>, dtype: Dtype) -> Result<()> {
    // One row is a vector that somebody wrote with two axes.
    let is_int8 = |(name, _, shape): &Planned| {
        let is_matrix = panel_shape(shape).is_some() && shape[0] > 1;
        dtype == Dtype::I8 && is_matrix && !FLOATS.iter().any(|part| name.contains(part))
    };
    let (mut matrices, others): (Vec<Planned>, Vec<Planned>) = planned.into_iter().partition(is_int8);
    // Layers that are computed as one are to lie one behind the other: query, key and value, or key and value.
    let order = |name: &str| name.replace("q_proj", "1").replace("k_proj", "2").replace("v_proj", "3");
    matrices.sort_by_key(|(name, ..)| order(name));

    let floats = if dtype == Dtype::F16 { Dtype::F16 } else { Dtype::F32 };
    let of = |(name, _, shape): &Planned| match panel_shape(shape) {
        Some(panels) => (name.clone(), Dtype::I8, panels.to_vec()),
        None => (name.clone(), floats, shape.clone()),
    };
    let mut tensors: Vec<ToWrite> = matrices.iter().map(of).collect();
    for (name, _, shape) in &matrices {
        tensors.extend([SCALES, SUMS].map(|suffix| (format!("{name}{suffix}"), Dtype::F32, vec![shape[0]])));
    }
    tensors.extend(others.iter().map(|(name, _, shape)| (name.clone(), floats, shape.clone())));

    // Scales and sums of the matrices written so far.
    let mut rows: Vec<Vec<f32>> = Vec::new();
    write_safetensors(path, &tensors, |index, write| {
        if let Some((_, from, shape)) = matrices.get(index) {
            let packed = match parameters.int8(from, shape)? {
                Some(part) => PackedMatrix::from_stored(shape[1], &[stored_int8(part)]),
                None => {
                    let mut packer = Packer::new(shape[0], shape[1], Precision::Int8);
                    parameters.read_rows(from, shape, &mut |rows| packer.push(rows))?;
                    packer.finish()
                }
            };
            let Some((panels, scales, sums)) = packed.stored() else { return Ok(()) };
            rows.extend([scales.to_vec(), sums.into_iter().map(|sum| sum as f32).collect()]);
            return write(Values::I8(panels));
        }
        let Some((_, from, shape)) = others.get(index.wrapping_sub(3 * matrices.len())) else {
            return write(Values::F32(&rows[index - matrices.len()]));
        };
        if shape.len() < 2 {
            return write(Values::F32(&parameters.tensor(from, shape)?));
        }
        let mut outcome = Ok(());
        parameters.read_rows(from, shape, &mut |rows| {
            if outcome.is_ok() {
                outcome = write(Values::F32(rows));
            }
        })?;
        outcome
    })
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    // A pretty-printed `Value` cannot fail to serialise.
    fs::write(path, format!("{value:#}\n")).map_err(|error| Error::io(path, error))
}

/// A directory being written beside its final place; removed unless finished.
struct Partial {
    path: PathBuf,
    finished: bool,
}

impl Partial {
    fn create(out: &Path) -> Result<Self> {
        let name =
            out.file_name().ok_or_else(|| Error::Usage(format!("{} is no name for a directory", out.display())))?;
        let parent = out.parent().unwrap_or(Path::new(""));
        if !parent.as_os_str().is_empty() {
            fs::create_dir_all(parent).map_err(|error| Error::io(parent, error))?;
        }
        let path = parent.join(format!(".{}.partial-{}", name.to_string_lossy(), std::process::id()));
        fs::create_dir(&path).map_err(|error| Error::io(&path, error))?;
        Ok(Self { path, finished: false })
    }

    fn finish(mut self, out: &Path) -> Result<()> {
        fs::rename(&self.path, out).map_err(|error| Error::io(out, error))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: the error that brought us here is the one to report.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
