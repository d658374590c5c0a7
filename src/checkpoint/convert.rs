//! Writing a clean model directory from any checkpoint we read.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use half::f16;
use serde_json::{Map, Value, json};

use super::layout::{Family, embedding_names};
use super::{Dtype, ModelFiles, VOCABULARY_FILES, Weights};
use crate::{Error, Result};

/// A tensor to write: its name in the new file, its name among `Weights`, its shape.
struct Planned {
    name: String,
    from: String,
    shape: Vec<usize>,
}

/// Writes `files` as a new model directory `out`: `model.safetensors` in `dtype` (F16 or F32), the given configs, and
/// the vocabulary. One tensor is in memory at a time, and `out` appears only when it is complete.
///
/// `config` and `generation` are the complete contents of `config.json` and `generation_config.json`; what they say
/// about tied embeddings is corrected to what is stored, and a `vocabulary` elsewhere is moved in.
///
/// # Errors
/// If `out` exists, a tensor cannot be read or does not fit the format, or a file cannot be written.
pub fn convert(files: &ModelFiles, out: &Path, dtype: Dtype, config: &Value, generation: &Value) -> Result<()> {
    if !matches!(dtype, Dtype::F16 | Dtype::F32) {
        return Err(Error::Usage(format!("cannot write {}; F16 and F32 can be written", dtype.name())));
    }
    if out.exists() {
        return Err(Error::model(out, "already exists; choose another directory"));
    }
    let weights = Weights::open(files)?;
    let mut config = config.clone();
    let tensors = plan(&weights, &mut config)?;
    let vocabulary = match config.as_object_mut().and_then(|keys| keys.shift_remove("vocabulary")) {
        Some(Value::String(elsewhere)) => files.directory(&elsewhere)?,
        _ => files.clone(),
    };

    let partial = Partial::create(out)?;
    write_weights(&weights, &tensors, dtype, &partial.path.join("model.safetensors"))?;
    config["torch_dtype"] = json!(if dtype == Dtype::F16 { "float16" } else { "float32" });
    write_json(&partial.path.join("config.json"), &config)?;
    write_json(&partial.path.join("generation_config.json"), generation)?;
    let mut copied = 0;
    for name in VOCABULARY_FILES {
        if let Some(bytes) = vocabulary.read(name)? {
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
    partial.finish(out)
}

/// Which tensors a clean directory holds: each matrix once, under the name Hugging Face looks for.
fn plan(weights: &Weights, config: &mut Value) -> Result<Vec<Planned>> {
    let planned = |name: &str, from: &str| {
        let mut shape = weights.shape(from).unwrap_or_default().to_vec();
        if name == "decoder.attention.v_fc.weight" && shape.len() == 1 {
            shape.insert(0, 1);
        }
        Planned { name: name.to_owned(), from: from.to_owned(), shape }
    };
    let mut tensors = Vec::new();
    let mut embeddings: Vec<&str> = Vec::new();
    if weights.family() == Family::Transformer {
        let names = embedding_names(weights)?;
        let (shared, tied) = (names.source == names.target, names.output == names.target);
        if shared {
            tensors.push(planned("model.shared.weight", names.source));
        } else {
            tensors.push(planned("model.encoder.embed_tokens.weight", names.source));
            tensors.push(planned("model.decoder.embed_tokens.weight", names.target));
        }
        if !tied {
            tensors.push(planned("lm_head.weight", names.output));
        }
        config["share_encoder_decoder_embeddings"] = json!(shared);
        config["tie_word_embeddings"] = json!(tied);
        embeddings.extend([
            "model.shared.weight",
            "model.encoder.embed_tokens.weight",
            "model.decoder.embed_tokens.weight",
            "lm_head.weight",
        ]);
        if config["static_position_embeddings"] != json!(false) {
            // Sinusoids are computed, not stored.
            embeddings.extend(["model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight"]);
        }
    }
    // Tensors of integers are tables other tools keep; no model here has any.
    let others = weights.names().filter(|name| !embeddings.contains(name) && weights.dtype(name).is_some());
    tensors.extend(others.map(|name| planned(name, name)));
    Ok(tensors)
}

fn write_weights(weights: &Weights, tensors: &[Planned], dtype: Dtype, path: &Path) -> Result<()> {
    let mut header = Map::new();
    // transformers refuses a file that does not say which framework its layout is.
    header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut end = 0;
    for tensor in tensors {
        let start = end;
        end += tensor.shape.iter().product::<usize>() * dtype.size();
        let entry = json!({ "dtype": dtype.name(), "shape": tensor.shape, "data_offsets": [start, end] });
        header.insert(tensor.name.clone(), entry);
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');

    let io = |error| Error::io(path, error);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).map_err(io)?);
    file.write_all(&(header.len() as u64).to_le_bytes()).map_err(io)?;
    file.write_all(&header).map_err(io)?;
    for tensor in tensors {
        for value in weights.tensor(&tensor.from, &tensor.shape)? {
            if dtype == Dtype::F32 {
                file.write_all(&value.to_le_bytes()).map_err(io)?;
                continue;
            }
            let half = f16::from_f32(value);
            if value.is_finite() && !half.is_finite() {
                let problem = format!("tensor {} holds {value}, which is beyond F16; use F32", tensor.name);
                return Err(Error::model(weights.path(), problem));
            }
            file.write_all(&half.to_le_bytes()).map_err(io)?;
        }
    }
    let file = file.into_inner().map_err(|error| io(error.into_error()))?;
    file.sync_all().map_err(io)
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
