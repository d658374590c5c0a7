//! Writing a clean model directory from any checkpoint we read.
//!
//! A family of Hugging Face's is written as its class reads it, a checkpoint of another toolkit in this program's own form
//! ([`transformer`]), or in that of a Hugging Face class that computes the same.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{EarlyStopping, Layout, Opened, bart, gru_attention, marian, recurrent_attention, transformer};
use crate::checkpoint::{Dtype, ModelFiles, Parameters, SCALES, SUMS, ToWrite, Values, panel_shape, write_safetensors};
use crate::kernels::{PackedMatrix, Packer, Precision};
use crate::model::EmbeddingNames;
use crate::nn;
use crate::nn::stored_int8;
use crate::spec::{Positions, Spec, Transformer};
use crate::store::{TEXT_FILES, VOCABULARY_FILES};
use crate::text::{self, PieceList, compact};
use crate::{Error, Result};

/// The form a model directory is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// That of its own family where Hugging Face has a class for it, else this program's.
    #[default]
    Own,
    /// That of Hugging Face's `MarianMTModel`.
    Marian,
    /// That of Hugging Face's `BartForConditionalGeneration`.
    Bart,
}

/// The beginnings of the names of files that tell of a model, and of its licence.
const ABOUT: [&str; 7] = ["README", "LICENSE", "LICENCE", "COPYING", "NOTICE", "MODEL_CARD", "CITATION"];

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
pub fn convert(files: &ModelFiles, out: &Path, dtype: Dtype, form: Form) -> Result<Vec<String>> {
    if !matches!(dtype, Dtype::F16 | Dtype::F32 | Dtype::I8) {
        return Err(Error::Usage(format!("cannot write {}; F16, F32 and I8 can be written", dtype.name())));
    }
    if out.exists() {
        return Err(Error::model(out, "already exists; choose another directory"));
    }
    let opened = Opened::open(files)?;
    let mut config = config(&opened, form)?;
    // These say how to read the old files.
    ["vocabulary", "weights", "tensor_names"].iter().for_each(|key| drop(config.shift_remove(*key)));
    if form == Form::Own && (opened.lists.is_some() || opened.segmentation.is_said()) {
        // Nothing of how text is cut rests on where its files lay.
        config.insert("segmentation".to_owned(), opened.vocabularies(files)?.segmentation.to_json());
    }
    let mut text_files = Vec::new();
    for (key, name) in TEXT_FILES {
        let Some((_, contents)) = opened.text_file(files, key)? else { continue };
        if let Some(own) = config.get_mut("text_defaults").and_then(Value::as_object_mut) {
            own.insert(key.to_owned(), json!(name));
        }
        text_files.push((name, contents));
    }
    let mut planned = plan(&opened.parameters, &opened.spec, &mut config)?;
    if form == Form::Marian
        && let Spec::Transformer(spec) = &opened.spec
    {
        planned = as_marian(planned, &opened.parameters, spec, &mut config)?;
    }
    let vocabulary = match &opened.vocabulary {
        Some(elsewhere) => files.directory(elsewhere)?,
        None => files.clone(),
    };
    let mut notes = opened.notes.clone();
    notes.extend(opened.generation.notes(files));
    let mut generation = opened.generation.clone();
    let starts_from_zero = matches!(&opened.spec, Spec::Transformer(spec) if spec.starts_from_zero);
    if form == Form::Marian && starts_from_zero {
        let (_, padding) = opened.spec.vocabulary_sizes();
        let padding = u32::try_from(padding).unwrap_or(u32::MAX);
        (generation.pad_token_id, generation.decoder_start_token_id) = (Some(padding), Some(padding));
        generation.banned_tokens.push(padding);
    }
    if form != Form::Own && generation.early_stopping == EarlyStopping::Shrink {
        generation.early_stopping = EarlyStopping::Heuristic;
    }
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
    for (name, contents) in text_files {
        let path = partial.path.join(name);
        fs::write(&path, contents).map_err(|error| Error::io(path, error))?;
    }
    let mut copied = 0;
    for (name, contents) in vocabulary_files(files, &opened, form)? {
        let path = partial.path.join(name);
        fs::write(&path, contents).map_err(|error| Error::io(path, error))?;
        copied += 1;
    }
    for name in VOCABULARY_FILES.into_iter().filter(|_| opened.lists.is_none()) {
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
    copy_about(files, &partial.path)?;
    partial.finish(out)?;
    notes.extend(opened.parameters.unused_note());
    Ok(notes)
}

/// The configuration of a model in a form.
///
/// # Errors
/// If the network is not one of this form; the message says where it differs.
fn config(opened: &Opened, form: Form) -> Result<Map<String, Value>> {
    let Opened { spec, frame, lists, .. } = opened;
    let (class, differs): (&dyn Layout, _) = match (form, spec) {
        (Form::Own, Spec::Transformer(spec)) if lists.is_some() => {
            return Ok(transformer::config(spec, frame, opened.layout.name(), &opened.config));
        }
        (Form::Own, Spec::Recurrent(spec)) if !has_own_form(opened.layout) => {
            return Ok(recurrent_attention::config(spec, frame, opened.layout.name(), &opened.config));
        }
        (Form::Own, _) => return Ok(opened.complete_config()),
        (Form::Marian, Spec::Transformer(spec)) => (&marian::Marian, marian::differs(spec, frame)),
        (Form::Bart, Spec::Transformer(spec)) => (&bart::Bart, bart::differs(spec)),
        (Form::Marian, _) => (&marian::Marian, Some("it is no Transformer")),
        (Form::Bart, _) => (&bart::Bart, Some("it is no Transformer")),
    };
    let name = class.name();
    if let Some(problem) = differs {
        return Err(Error::Usage(format!("this network cannot be written in the form of {name}: {problem}")));
    }
    let mut config = Map::new();
    config.insert("model_type".to_owned(), name.into());
    class.complete(spec, frame, &mut config);
    Ok(config)
}

/// Whether a recurrent family is written as it is, and not spelt out.
fn has_own_form(layout: &dyn Layout) -> bool {
    [gru_attention::GruAttention.name(), recurrent_attention::RecurrentAttention.name()].contains(&layout.name())
}

/// The files of the vocabulary of a model that has lists of pieces.
///
/// # Errors
/// If a form needs a vocabulary that the lists do not make.
fn vocabulary_files(files: &ModelFiles, opened: &Opened, form: Form) -> Result<Vec<(String, Vec<u8>)>> {
    if opened.lists.is_none() && !opened.segmentation.is_said() {
        return Ok(Vec::new());
    }
    let place = match (&opened.lists, &opened.vocabulary) {
        (None, Some(elsewhere)) => files.directory(elsewhere)?,
        _ => files.clone(),
    };
    let mut segmenters = Vec::new();
    for path in opened.vocabularies(files)?.files {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        segmenters.push((name, place.read(&path)?.unwrap_or_default().into_owned()));
    }
    let Some(lists) = &opened.lists else { return Ok(segmenters) };
    let json = |value: Value| -> Vec<u8> { format!("{value:#}\n").into_bytes() };
    match form {
        Form::Own => {
            segmenters.push((transformer::PIECES.to_owned(), json(transformer::pieces(lists))));
            Ok(segmenters)
        }
        Form::Marian => {
            let (source, target) = match &segmenters[..] {
                [(_, both)] if is_sentencepiece(both) => (both.clone(), both.clone()),
                [(_, source), (_, target)] if is_sentencepiece(source) && is_sentencepiece(target) => {
                    (source.clone(), target.clone())
                }
                _ => return Err(Error::Usage("Marian's form needs text to be cut by SentencePiece models".to_owned())),
            };
            let starts_from_zero = matches!(&opened.spec, Spec::Transformer(spec) if spec.starts_from_zero);
            let table = |list: &PieceList| -> Vec<u8> {
                // Of a piece that is listed twice the first counts.
                let pieces = list.pieces.iter().enumerate().rev();
                let mut ids: Map<String, Value> = pieces.map(|(id, piece)| (piece.clone(), json!(id))).collect();
                if starts_from_zero {
                    ids.insert("<pad>".to_owned(), json!(list.pieces.len()));
                }
                json(Value::Object(ids))
            };
            let mut written = vec![("source.spm".to_owned(), source), ("target.spm".to_owned(), target)];
            written.push(("vocab.json".to_owned(), table(&lists.0)));
            if let Some(target) = &lists.1 {
                written.push(("target_vocab.json".to_owned(), table(target)));
            }
            let settings = json!({"tokenizer_class": "MarianTokenizer", "separate_vocabs": lists.1.is_some()});
            written.push(("tokenizer_config.json".to_owned(), json(settings)));
            Ok(written)
        }
        Form::Bart => {
            let vocabularies = opened.vocabularies(files)?;
            if !segmenters.is_empty() || lists.1.is_some() {
                let problem = "BART's form needs one vocabulary for both sides, whose pieces stand between spaces";
                return Err(Error::Usage(problem.to_owned()));
            }
            let (before, after) = opened.frame.around(&*vocabularies.source, &text::Languages::default());
            Ok(vec![("tokenizer.json".to_owned(), json(text::word_level(&lists.0, &before, &after)))])
        }
    }
}

/// The tensors of a network as Hugging Face's Marian class has them: positions as a table, and for a decoder that begins with no
/// token a token of zeros, padding, which is never produced.
fn as_marian(
    mut planned: Vec<Planned>,
    parameters: &Parameters,
    spec: &Transformer,
    config: &mut Map<String, Value>,
) -> Result<Vec<Planned>> {
    let is_bias = |tensor: &Planned| ["lm_head.bias", "final_logits_bias"].contains(&tensor.name.as_str());
    let (biases, others): (Vec<Planned>, Vec<Planned>) = planned.into_iter().partition(is_bias);
    planned = others;
    let mut bias = vec![0.0; spec.target_vocabulary];
    for Planned { name, .. } in &biases {
        let stored = parameters.tensor(name, &[spec.target_vocabulary])?;
        bias.iter_mut().zip(stored).for_each(|(sum, value)| *sum += value);
    }
    if let Positions::Sinusoidal { order, first_index, frequencies, .. } = spec.positions {
        let rows = spec.trained_length.unwrap_or(512).min(4096);
        let positions = nn::Positions::sinusoidal(spec.width, order, first_index, frequencies);
        let mut table = vec![0.0; rows * spec.width];
        table.chunks_exact_mut(spec.width).enumerate().for_each(|(place, row)| positions.add(place, row));
        for side in ["encoder", "decoder"] {
            let name = format!("model.{side}.embed_positions.weight");
            planned.push(Planned { name, shape: vec![rows, spec.width], from: From::Computed(table.clone()) });
        }
        config.insert("static_position_embeddings".to_owned(), json!(false));
        config.insert("max_position_embeddings".to_owned(), json!(rows));
    }
    if spec.starts_from_zero {
        let tables = EmbeddingNames::ALL;
        let sizes = (spec.source_vocabulary + 1, spec.target_vocabulary + 1);
        let pad = |tensor: Planned| match tensor.name.as_str() {
            name if name == tables[1] => tensor.padded(sizes.0),
            name if tables.contains(&name) => tensor.padded(sizes.1),
            _ => tensor,
        };
        planned = planned.into_iter().map(pad).collect();
        bias.push(0.0);
        config.insert("vocab_size".to_owned(), json!(sizes.0));
        config.insert("decoder_vocab_size".to_owned(), json!(sizes.1));
        for key in ["pad_token_id", "decoder_start_token_id"] {
            config.insert(key.to_owned(), json!(spec.target_vocabulary));
        }
    }
    let shape = vec![1, bias.len()];
    planned.push(Planned { name: "final_logits_bias".to_owned(), shape, from: From::Computed(bias) });
    Ok(planned)
}

fn is_sentencepiece(bytes: &[u8]) -> bool {
    text::sentencepiece::SentencePiece::parse(bytes, "").is_ok()
}

/// Copies what tells of a model and its licence, from its directory, or for an Argos package from the one above.
fn copy_about(files: &ModelFiles, to: &Path) -> Result<()> {
    let is_about = |name: &String| ABOUT.iter().any(|about| name.to_uppercase().starts_with(about));
    let above = files.has("../metadata.json").then(|| files.directory("..")).transpose()?;
    for place in above.iter().chain([files]) {
        for name in place.names()?.into_iter().filter(is_about) {
            if let Some(contents) = place.read(&name)? {
                let path = to.join(&name);
                fs::write(&path, contents).map_err(|error| Error::io(path, error))?;
            }
        }
    }
    Ok(())
}

/// A tensor to write.
struct Planned {
    /// Its name in the new file.
    name: String,
    shape: Vec<usize>,
    from: From,
}

/// Where the values of a tensor come from.
enum From {
    /// A tensor, under its name here.
    Stored(String),
    /// The rows of a tensor, and rows of zeros after them.
    Padded(String, usize),
    /// Nowhere: they are computed.
    Computed(Vec<f32>),
}

impl Planned {
    /// A tensor as it is, under another name.
    fn stored(parameters: &Parameters, name: &str, from: &str) -> Self {
        let mut shape = parameters.shape(from).unwrap_or_default();
        if name == "decoder.attention.v_fc.weight" && shape.len() == 1 {
            shape.insert(0, 1);
        }
        // Marian writes a vector as one row.
        if shape.len() == 2 && shape[0] == 1 && (name.ends_with(".bias") || name.contains("norm")) {
            shape.remove(0);
        }
        Self { name: name.to_owned(), shape, from: From::Stored(from.to_owned()) }
    }

    /// Gives a table of tokens rows of zeros up to a number of rows.
    fn padded(self, rows: usize) -> Self {
        let Self { name, mut shape, from } = self;
        match (from, shape.first_mut()) {
            (From::Stored(from), Some(stored)) if *stored < rows => {
                let from = From::Padded(from, std::mem::replace(stored, rows));
                Self { name, shape, from }
            }
            (from, _) => Self { name, shape, from },
        }
    }

    /// Hands the values on, row by row where they are stored so.
    fn read(&self, parameters: &Parameters, sink: &mut dyn FnMut(&[f32])) -> Result<()> {
        let stored = |from: &str, shape: &[usize], sink: &mut dyn FnMut(&[f32])| match shape.len() {
            0 | 1 => parameters.tensor(from, shape).map(|values| sink(&values)),
            _ => parameters.read_rows(from, shape, sink),
        };
        match &self.from {
            From::Stored(from) => stored(from, &self.shape, sink),
            From::Padded(from, rows) => {
                let mut shape = self.shape.clone();
                shape[0] = *rows;
                stored(from, &shape, sink)?;
                let zeros = vec![0.0; self.shape[1..].iter().product()];
                (*rows..self.shape[0]).for_each(|_| sink(&zeros));
                Ok(())
            }
            From::Computed(values) => {
                sink(values);
                Ok(())
            }
        }
    }
}

/// Which tensors a clean directory holds: each matrix once, under the name Hugging Face looks for.
fn plan(parameters: &Parameters, spec: &Spec, config: &mut Map<String, Value>) -> Result<Vec<Planned>> {
    let planned = |name: &str, from: &str| Planned::stored(parameters, name, from);
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
const FLOATS: [&str; 8] = [
    "embed_positions",
    "relative_attention_bias",
    "relative_keys",
    "relative_values",
    "attention.attn_fc",
    "attention.v_fc",
    "attention.coverage",
    "decoder.hidden_fc_",
];

fn write_weights(path: &Path, parameters: &Parameters, planned: Vec<Planned>, dtype: Dtype) -> Result<()> {
    // One row is a vector that somebody wrote with two axes.
    let is_int8 = |tensor: &Planned| {
        let is_matrix = panel_shape(&tensor.shape).is_some() && tensor.shape[0] > 1;
        dtype == Dtype::I8 && is_matrix && !FLOATS.iter().any(|part| tensor.name.contains(part))
    };
    let (mut matrices, others): (Vec<Planned>, Vec<Planned>) = planned.into_iter().partition(is_int8);
    // Layers that are computed as one are to lie one behind the other: query, key and value, or key and value.
    let order = |name: &str| name.replace("q_proj", "1").replace("k_proj", "2").replace("v_proj", "3");
    matrices.sort_by_key(|tensor| order(&tensor.name));

    let floats = if dtype == Dtype::F16 { Dtype::F16 } else { Dtype::F32 };
    let of = |Planned { name, shape, .. }: &Planned| match panel_shape(shape) {
        Some(panels) => (name.clone(), Dtype::I8, panels.to_vec()),
        None => (name.clone(), floats, shape.clone()),
    };
    let mut tensors: Vec<ToWrite> = matrices.iter().map(of).collect();
    for Planned { name, shape, .. } in &matrices {
        tensors.extend([SCALES, SUMS].map(|suffix| (format!("{name}{suffix}"), Dtype::F32, vec![shape[0]])));
    }
    tensors.extend(others.iter().map(|tensor| (tensor.name.clone(), floats, tensor.shape.clone())));

    // Scales and sums of the matrices written so far.
    let mut rows: Vec<Vec<f32>> = Vec::new();
    write_safetensors(path, &tensors, |index, write| {
        if let Some(tensor) = matrices.get(index) {
            let shape = &tensor.shape;
            let stored = match &tensor.from {
                From::Stored(from) => parameters.int8(from, shape)?,
                From::Padded(..) | From::Computed(_) => None,
            };
            let packed = match stored {
                Some(part) => PackedMatrix::from_stored(shape[1], &[stored_int8(part)]),
                None => {
                    let mut packer = Packer::new(shape[0], shape[1], Precision::Int8);
                    tensor.read(parameters, &mut |rows| packer.push(rows))?;
                    packer.finish()
                }
            };
            let Some((panels, scales, sums)) = packed.stored() else { return Ok(()) };
            rows.extend([scales.to_vec(), sums.into_iter().map(|sum| sum as f32).collect()]);
            return write(Values::I8(panels));
        }
        let Some(tensor) = others.get(index.wrapping_sub(3 * matrices.len())) else {
            return write(Values::F32(&rows[index - matrices.len()]));
        };
        let mut outcome = Ok(());
        tensor.read(parameters, &mut |rows| {
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
