//! The tensors of a model, read one at a time and converted to `f32`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::bytes::{Bytes, SharedBytes};
use super::dtype::Dtype;
use super::files::BYTE_ORDER_MARK;
use super::int8::{self, Int8Part};
use super::row_file::RowFile;
use super::stored::{Divisor, Stored};
use super::{ModelFiles, container};
use crate::{Error, Result};

/// The files weights are looked for in, in this order: Hugging Face's, CTranslate2's (or Marian's), Sockeye's, JoeyNMT's and
/// fairseq's.
pub const WEIGHT_FILES: [&str; 8] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "model.bin",
    "params.best",
    "best.ckpt",
    "checkpoint_best.pt",
];

/// The endings of other files that may be weights.
const ENDINGS: [&str; 6] = [".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".npz"];

/// Files that have such an ending and are no weights: shortlists of Marian, vocabularies, and the state of a training.
const NO_WEIGHTS: [&str; 5] = ["lex.", "vocab.", "optimizer", "scheduler", "training_args"];

/// Bytes converted at a time, few enough for the cache: a tensor is never held both as stored and as `f32`.
const CHUNK: usize = 1 << 16;

struct Tensor {
    file: usize,
    /// The name in the file, for messages.
    stored_name: String,
    /// Its `shape` is that of the matrix where the values are in panels.
    stored: Stored,
    /// Where the scales and sums of the rows of an int8 matrix lie.
    rows: Option<int8::Rows>,
}

/// All tensors of a model under their stored names. Values stay in the file until asked for.
pub struct Weights {
    files: Vec<Arc<Bytes>>,
    tensors: BTreeMap<String, Tensor>,
    said: Map<String, Value>,
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Weights({} tensors in {})", self.tensors.len(), self.path().display())
    }
}

impl Weights {
    /// Opens the weights of a model: one of [`WEIGHT_FILES`], else the only file that may be weights by its ending. Reads
    /// headers only.
    ///
    /// # Errors
    /// If there are no weights, or a file is truncated, malformed, a Git LFS pointer, or of a format that is not read.
    pub fn open(files: &ModelFiles) -> Result<Self> {
        if let ModelFiles::Directory(directory) = files
            && !directory.is_dir()
        {
            return Err(Error::model(directory, "no such model directory"));
        }
        if let ModelFiles::File { weights, .. } = files {
            return Self::open_file(files, weights);
        }
        let chosen = [self::only_file(files)?];
        let chosen = chosen.iter().flatten().map(String::as_str);
        for name in WEIGHT_FILES.into_iter().chain(chosen) {
            let Some(bytes) = Bytes::open(files, name)? else { continue };
            if !WEIGHT_FILES.contains(&name) {
                return Self::open_file(files, name);
            }
            let shards = if name.ends_with(".index.json") { shards(files, &bytes)? } else { vec![bytes] };
            return Self::from_files(shards);
        }
        let names = WEIGHT_FILES[..4].join(", ");
        let directory = files.path("");
        if let Some((name, problem)) =
            files.names()?.iter().find_map(|name| Some((name.clone(), container::unreadable(Path::new(name))?)))
        {
            return Err(Error::model(files.path(name), problem));
        }
        Err(Error::model(directory, format!("no weights here: none of {names}; a model directory holds one of them")))
    }

    /// Whether there is a file that may be weights, of a format that is read or not.
    pub fn is_there(files: &ModelFiles) -> bool {
        let names = files.names().unwrap_or_default();
        let is_weights = |name: &String| {
            WEIGHT_FILES.contains(&name.as_str())
                || may_be_weights(name)
                || container::unreadable(Path::new(name)).is_some()
        };
        matches!(files, ModelFiles::Builtin { .. } | ModelFiles::File { .. }) || names.iter().any(is_weights)
    }

    /// Opens one file of weights, with what lies beside it and belongs to it: OpenNMT-py's `X.pt` holds the options of the tensors
    /// in `X.safetensors`, or in `X.00.safetensors` and on.
    ///
    /// # Errors
    /// As [`Weights::open`].
    pub fn open_file(files: &ModelFiles, name: &str) -> Result<Self> {
        let missing = || Error::model(files.path(name), "there is no such file, but config.json names it as `weights`");
        let bytes = Bytes::open(files, name)?.ok_or_else(missing)?;
        let Some((options, mut tensors)) = parts(files, name)? else { return Self::from_files(vec![bytes]) };
        // A file of tensors of its own is whole.
        if name == options && container::read(&bytes).is_ok() {
            tensors.clear();
        }
        let open = |name: &String| Bytes::open(files, name)?.ok_or_else(missing);
        let mut weights = Self::from_files(match tensors.is_empty() {
            true => vec![bytes],
            false => tensors.iter().map(open).collect::<Result<_>>()?,
        })?;
        if !tensors.is_empty() {
            weights.said = container::said(&open(&options)?)?;
        }
        Ok(weights)
    }

    fn from_files(mut files: Vec<Bytes>) -> Result<Self> {
        let (mut stored, mut said) = (Vec::new(), Map::new());
        for (file, bytes) in files.iter_mut().enumerate() {
            let container = container::read(bytes)?;
            stored.extend(container.tensors.into_iter().map(|(name, stored)| (name, file, stored)));
            said.extend(container.said);
            if let Some(inflated) = container.inflated {
                *bytes = inflated;
            }
        }
        let tensors = stored
            .into_iter()
            .map(|(name, file, stored)| (name.clone(), Tensor { file, stored_name: name, stored, rows: None }));
        let files = files.into_iter().map(Arc::new).collect();
        let mut weights = Self { files, tensors: tensors.collect(), said };
        weights.find_int8()?;
        Ok(weights)
    }

    /// Finds the int8 matrices: the panels of each become a tensor of the matrix' shape, its scales and sums part of that.
    fn find_int8(&mut self) -> Result<()> {
        let is_int8 = |tensor: &Tensor| tensor.stored.dtype == Ok(Dtype::I8) && tensor.stored.divisor.is_none();
        let names: Vec<String> =
            self.tensors.iter().filter(|(_, tensor)| is_int8(tensor)).map(|(name, _)| name.clone()).collect();
        for name in names {
            let mut companion = |suffix| {
                let name = format!("{name}{suffix}");
                self.tensors.remove(&name).map(|tensor| (tensor.file, tensor.stored))
            };
            let (scales, sums) = (companion(int8::SCALES), companion(int8::SUMS));
            let Some(tensor) = self.tensors.get_mut(&name) else { continue };
            let file = &self.files[tensor.file];
            match (scales, sums) {
                (Some((a, scales)), Some((b, sums))) if (a, b) == (tensor.file, tensor.file) => {
                    let rows = int8::Rows { scales, sums };
                    tensor.stored.shape = rows.matrix_shape(&tensor.stored).map_err(|problem| {
                        file.error(format!("the int8 matrix {name} {problem}; convert the model again"))
                    })?;
                    tensor.rows = Some(rows);
                }
                // A table of integers of another tool, which no model asks for.
                _ => tensor.stored.dtype = Err("I8".to_owned()),
            }
        }
        Ok(())
    }

    /// The weight file, or the first of several.
    pub fn path(&self) -> PathBuf {
        self.files.first().map(|file| file.path().to_owned()).unwrap_or_default()
    }

    /// What the file itself says about the network, its options and its vocabularies, as its toolkit wrote it.
    pub fn said(&self) -> &Map<String, Value> {
        &self.said
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of a tensor, if there is one of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| tensor.stored.shape.as_slice())
    }

    /// The number format a tensor is stored in, if it is one we read.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.tensors.get(name).and_then(|tensor| tensor.stored.dtype.clone().ok())
    }

    /// Reads a tensor of the given shape, row-major. Axes of length 1 are not compared, so a bias stored as `[1, V]`
    /// is also a bias `[V]`.
    ///
    /// # Errors
    /// If the tensor is missing, has another shape or an unsupported number format, or the file cannot be read.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.read(self.of_shape(name, shape)?)
    }

    /// Reads rows `first ..` of a matrix of the given shape `[rows, width]`, `count` of them, and hands them on a few at a
    /// time, so that the whole of it is never in memory.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub fn read_rows(
        &self,
        name: &str,
        shape: &[usize],
        rows: Range<usize>,
        sink: &mut dyn FnMut(&[f32]),
    ) -> Result<()> {
        let tensor = self.of_shape(name, shape)?;
        let width = shape[1..].iter().product::<usize>();
        if let Some(part) = self.panels(tensor)? {
            part.read_rows(width, rows, sink);
            return Ok(());
        }
        let Stored { dtype, offset, strides, .. } = &tensor.stored;
        let (Ok(dtype), None) = (dtype, strides) else {
            sink(&self.read(tensor)?[rows.start * width..rows.end * width]);
            return Ok(());
        };
        let size = (width * dtype.size()) as u64;
        let step = (CHUNK / size.max(1) as usize).max(1) * size as usize;
        let (mut row, mut values) = (rows.start, Vec::new());
        let bytes = offset + rows.start as u64 * size..offset + rows.end as u64 * size;
        self.files[tensor.file].read_in_steps(bytes, step, &mut |chunk| {
            values.clear();
            dtype.extend_f32(chunk, &mut values);
            self.divide(tensor, row, width, &mut values)?;
            row += values.len() / width;
            sink(&values);
            Ok(())
        })
    }

    /// Makes the numbers of integers that have a divisor; `values` are whole rows from `first` on, `[…, width]`.
    fn divide(&self, tensor: &Tensor, first: usize, width: usize, values: &mut [f32]) -> Result<()> {
        match tensor.stored.divisor {
            None => {}
            Some(Divisor::One(divisor)) => values.iter_mut().for_each(|value| *value /= divisor),
            Some(Divisor::Rows(offset)) => {
                let divisors = self.divisors(tensor, offset, first..first + values.len() / width.max(1))?;
                for (values, divisor) in values.chunks_mut(width).zip(divisors) {
                    values.iter_mut().for_each(|value| *value /= divisor);
                }
            }
        }
        Ok(())
    }

    /// The divisors of some rows, whose vector begins at `offset`.
    fn divisors(&self, tensor: &Tensor, offset: u64, rows: Range<usize>) -> Result<Vec<f32>> {
        read_values(&self.files[tensor.file], Dtype::F32, offset + 4 * rows.start as u64, rows.len())
    }

    /// The rows of a matrix of the given shape `[rows, width]` from row `first` on, if they follow one another in a file on disk as
    /// floating-point numbers.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub fn row_file(&self, name: &str, shape: &[usize], first: usize) -> Result<Option<RowFile>> {
        let Tensor { file, stored_name, stored, rows } = self.of_shape(name, shape)?;
        let (file, &[_, width]) = (&self.files[*file], shape) else { return Ok(None) };
        let is_plain = rows.is_none() && stored.strides.is_none() && stored.divisor.is_none();
        Ok(match stored.dtype {
            Ok(dtype @ (Dtype::F16 | Dtype::Bf16 | Dtype::F32)) if is_plain && file.is_on_disk() => {
                let offset = stored.offset + (first * width * dtype.size()) as u64;
                Some(RowFile { name: stored_name.clone(), file: Arc::clone(file), dtype, offset, width })
            }
            _ => None,
        })
    }

    /// The given rows of a matrix of the given shape `[outputs, inputs]` where they lie, if it is stored in int8.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub fn int8(&self, name: &str, shape: &[usize], rows: Range<usize>) -> Result<Option<Int8Part>> {
        let tensor = self.of_shape(name, shape)?;
        match shape {
            &[_, inputs] if tensor.stored.strides.is_none() && tensor.rows.is_none() => {
                self.row_major(tensor, inputs, rows)
            }
            _ if rows == (0..shape[0]) => self.panels(tensor),
            _ => Ok(None),
        }
    }

    /// A matrix `[outputs, inputs]` where it lies, if it is stored in int8 as that of shape `[inputs, outputs]` with its
    /// columns one after the other.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub fn int8_of_columns(&self, name: &str, [outputs, inputs]: [usize; 2]) -> Result<Option<Int8Part>> {
        let tensor = self.of_shape(name, &[inputs, outputs])?;
        match tensor.stored.strides.as_deref() {
            Some([1, stride]) if *stride == inputs => self.row_major(tensor, inputs, 0..outputs),
            _ => Ok(None),
        }
    }

    /// The given rows of a matrix in int8 whose rows of `inputs` values follow one another, if none of them has a value that
    /// the kernels do not know (-128).
    fn row_major(&self, tensor: &Tensor, inputs: usize, rows: Range<usize>) -> Result<Option<Int8Part>> {
        let Stored { dtype: Ok(Dtype::I8), offset, divisor: Some(divisor), .. } = &tensor.stored else {
            return Ok(None);
        };
        let divisors = match divisor {
            Divisor::One(divisor) => vec![*divisor; rows.len()],
            Divisor::Rows(offset) => self.divisors(tensor, *offset, rows.clone())?,
        };
        let file = &self.files[tensor.file];
        let bytes: SharedBytes = file.share()?;
        let start = *offset as usize;
        let range = start + rows.start * inputs..start + rows.end * inputs;
        let values = (*bytes).as_ref().get(range.clone()).ok_or_else(|| file.truncated())?;
        if values.contains(&0x80) {
            return Ok(None);
        }
        let sum = |row: &[u8]| row.iter().map(|&byte| i32::from(byte as i8)).sum();
        let sums = values.chunks_exact(inputs.max(1)).map(sum).collect();
        let scales = divisors.iter().map(|divisor| 1.0 / divisor).collect();
        Ok(Some(Int8Part { bytes, range, row_major: true, scales, sums }))
    }

    /// An int8 matrix in panels.
    fn panels(&self, tensor: &Tensor) -> Result<Option<Int8Part>> {
        let Some(rows) = &tensor.rows else { return Ok(None) };
        let file = &self.files[tensor.file];
        let read = |stored: &Stored| read_values(file, Dtype::F32, stored.offset, tensor.stored.shape[0]);
        let bytes: SharedBytes = file.share()?;
        let (start, len) = (tensor.stored.offset as usize, int8::panel_bytes(&tensor.stored.shape));
        if (*bytes).as_ref().len() < start + len {
            return Err(file.truncated());
        }
        let scales = read(&rows.scales)?;
        let sums = read(&rows.sums)?.into_iter().map(|sum| sum as i32).collect();
        Ok(Some(Int8Part { bytes, range: start..start + len, row_major: false, scales, sums }))
    }

    /// Checks that a tensor is there and has the given shape, axes of length 1 aside.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub fn check(&self, name: &str, shape: &[usize]) -> Result<()> {
        self.of_shape(name, shape).map(|_| ())
    }

    /// The tensor of a name, if it has the given shape.
    fn of_shape(&self, name: &str, shape: &[usize]) -> Result<&Tensor> {
        let tensor = self.find(name)?;
        let squeezed = |shape: &[usize]| -> Vec<usize> { shape.iter().copied().filter(|&d| d != 1).collect() };
        let fits = match tensor.rows {
            Some(_) => tensor.stored.shape == shape,
            None => squeezed(&tensor.stored.shape) == squeezed(shape),
        };
        if !fits {
            let file = &self.files[tensor.file];
            return Err(file.error(format!(
                "tensor {} has shape {:?}, but config.json asks for {shape:?}; the config and the weights do not belong together",
                tensor.stored_name, tensor.stored.shape
            )));
        }
        Ok(tensor)
    }

    /// Whether two tensors hold the same values: trivially when they are the same bytes of the same file, otherwise
    /// they are compared piece by piece.
    ///
    /// # Errors
    /// If one is missing or cannot be read.
    pub fn same(&self, a: &str, b: &str) -> Result<bool> {
        let (a, b) = (self.find(a)?, self.find(b)?);
        if a.file == b.file && a.stored == b.stored {
            return Ok(true);
        }
        if a.stored.shape != b.stored.shape {
            return Ok(false);
        }
        let (Ok(a_dtype), Ok(b_dtype)) = (&a.stored.dtype, &b.stored.dtype) else { return Ok(false) };
        let is_integer = [a, b].iter().any(|tensor| tensor.rows.is_some() || tensor.stored.divisor.is_some());
        if is_integer || a.stored.strides.is_some() || b.stored.strides.is_some() || a_dtype != b_dtype {
            return Ok(self.read(a)? == self.read(b)?);
        }
        let len = a.stored.shape.iter().product::<usize>() * a_dtype.size();
        let (mut left, mut right) = (vec![0; CHUNK.min(len)], vec![0; CHUNK.min(len)]);
        for start in (0..len).step_by(CHUNK) {
            let size = CHUNK.min(len - start);
            self.files[a.file].read_at(a.stored.offset + start as u64, &mut left[..size])?;
            self.files[b.file].read_at(b.stored.offset + start as u64, &mut right[..size])?;
            if left[..size] != right[..size] {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether there are int8 matrices.
    pub fn is_int8(&self) -> bool {
        let has_divisor = |stored: &Stored| stored.dtype == Ok(Dtype::I8) && stored.divisor.is_some();
        self.tensors.values().any(|tensor| tensor.rows.is_some() || has_divisor(&tensor.stored))
    }

    /// Number of parameters as stored, their size in bytes, and the format most of them are in.
    pub fn size(&self) -> (u64, u64, Dtype) {
        let mut count_by_dtype =
            [Dtype::I8, Dtype::I16, Dtype::F16, Dtype::Bf16, Dtype::F32, Dtype::F64].map(|dtype| (dtype, 0));
        let (mut parameters, mut bytes) = (0, 0);
        for tensor in self.tensors.values() {
            let Ok(dtype) = tensor.stored.dtype else { continue };
            let count = tensor.stored.shape.iter().product::<usize>() as u64;
            parameters += count;
            bytes += count * dtype.size() as u64;
            for (other, sum) in &mut count_by_dtype {
                *sum += if *other == dtype { count } else { 0 };
            }
        }
        let most = count_by_dtype.into_iter().max_by_key(|&(_, count)| count).map_or(Dtype::F32, |(dtype, _)| dtype);
        (parameters, bytes, most)
    }

    fn find(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).ok_or_else(|| self.missing(name))
    }

    /// An error about the weights.
    pub fn error(&self, problem: impl Into<String>) -> Error {
        Error::model(self.path(), problem)
    }

    /// The error for a tensor that is not there.
    pub fn missing(&self, name: &str) -> Error {
        self.missing_among(name, self.names())
    }

    /// [`Self::missing`] where tensors go by other names.
    pub(super) fn missing_among<'a>(&self, name: &str, names: impl Iterator<Item = &'a str>) -> Error {
        let closest = names.min_by_key(|candidate| strsim::levenshtein(name, candidate));
        let hint = closest.map(|closest| format!(" (the closest is {closest})")).unwrap_or_default();
        Error::model(
            self.path(),
            format!("tensor {name} is missing{hint}; the file is incomplete or of another architecture"),
        )
    }

    fn read(&self, tensor: &Tensor) -> Result<Vec<f32>> {
        if let (Some(part), &[rows, width]) = (self.panels(tensor)?, &tensor.stored.shape[..]) {
            let mut values = Vec::with_capacity(rows * width);
            part.read_rows(width, 0..rows, &mut |rows| values.extend_from_slice(rows));
            return Ok(values);
        }
        let file = &self.files[tensor.file];
        let Stored { dtype, shape, offset, strides, .. } = &tensor.stored;
        let dtype = match dtype {
            Ok(dtype) => *dtype,
            Err(other) => {
                let name = &tensor.stored_name;
                return Err(
                    file.error(format!("tensor {name} is stored as {other}; F32, F16, BF16 and F64 are supported"))
                );
            }
        };
        let count: usize = shape.iter().product();
        let mut values = match strides {
            None => read_values(file, dtype, *offset, count)?,
            Some(strides) => {
                let span =
                    if count == 0 { 0 } else { 1 + shape.iter().zip(strides).map(|(d, s)| (d - 1) * s).sum::<usize>() };
                let values = read_values(file, dtype, *offset, span)?;
                gather(&values, shape, strides, count)
            }
        };
        self.divide(tensor, 0, count / shape.first().copied().unwrap_or(1).max(1), &mut values)?;
        Ok(values)
    }
}

/// The one file of weights in a directory that has none under a usual name.
fn only_file(files: &ModelFiles) -> Result<Option<String>> {
    let mut names = files.names()?;
    if WEIGHT_FILES.iter().any(|usual| names.iter().any(|name| name == usual)) {
        return Ok(None);
    }
    names.retain(|name| may_be_weights(name));
    if let Some((options, tensors)) = names.first().map(|name| parts(files, name)).transpose()?.flatten()
        && names.iter().all(|name| *name == options || tensors.contains(name))
    {
        return Ok(Some(options));
    }
    if names.len() > 1 {
        let problem = format!(
            "several files may be the weights ({}); name one of them with --model, or in config.json: \"weights\": \"{}\"",
            names.join(", "),
            names[0]
        );
        return Err(Error::model(files.path(""), problem));
    }
    Ok(names.pop())
}

/// The file of options (`X.pt`) and those of tensors (`X.safetensors`, `X.00.safetensors`, …) that a file belongs to, where both
/// are there.
fn parts(files: &ModelFiles, name: &str) -> Result<Option<(String, Vec<String>)>> {
    let numberless = |stem: &str| match stem.rsplit_once('.') {
        Some((stem, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            stem.to_owned()
        }
        _ => stem.to_owned(),
    };
    let of_tensors = |name: &str| name.strip_suffix(".safetensors").map(numberless);
    let Some(stem) = name.strip_suffix(".pt").map(str::to_owned).or_else(|| of_tensors(name)) else { return Ok(None) };
    let options = format!("{stem}.pt");
    let names = files.names()?;
    let tensors: Vec<String> = names.iter().filter(|name| of_tensors(name).as_ref() == Some(&stem)).cloned().collect();
    let are_parts = names.contains(&options) && !tensors.is_empty() && !WEIGHT_FILES.contains(&name);
    Ok(are_parts.then_some((options, tensors)))
}

/// Whether the name of a file is one of weights.
fn may_be_weights(name: &str) -> bool {
    ENDINGS.iter().any(|ending| name.ends_with(ending)) && !NO_WEIGHTS.iter().any(|other| name.contains(other))
}

/// `count` values from a byte offset. The range was checked when the header was read.
fn read_values(file: &Bytes, dtype: Dtype, offset: u64, count: usize) -> Result<Vec<f32>> {
    let mut values = Vec::with_capacity(count);
    file.read_in_steps(offset..offset + (count * dtype.size()) as u64, CHUNK, &mut |chunk| {
        dtype.extend_f32(chunk, &mut values);
        Ok(())
    })?;
    Ok(values)
}

/// A strided tensor in row-major order.
fn gather(values: &[f32], shape: &[usize], strides: &[usize], count: usize) -> Vec<f32> {
    let mut index = vec![0; shape.len()];
    let mut out = Vec::with_capacity(count);
    for _ in 0..count {
        out.push(values[index.iter().zip(strides).map(|(i, s)| i * s).sum::<usize>()]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    out
}

/// Opens the files named by the `weight_map` of a sharded checkpoint's index.
fn shards(files: &ModelFiles, index: &Bytes) -> Result<Vec<Bytes>> {
    let malformed = |problem: &str| index.error(format!("malformed index ({problem}); download the file again"));
    let bytes = index.read_range(0, index.len())?;
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
    let json: Value = serde_json::from_slice(bytes).map_err(|error| malformed(&error.to_string()))?;
    let map = json.get("weight_map").and_then(Value::as_object).ok_or_else(|| malformed("it has no weight_map"))?;
    let mut names: Vec<&str> = Vec::new();
    for name in map.values() {
        let name = name.as_str().ok_or_else(|| malformed("weight_map names something that is not a file"))?;
        // A shard lies beside its index or below; any other path would let an index reach outside the model.
        let is_below = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if !is_below || name.contains('\\') {
            return Err(malformed("weight_map names a file outside the model directory"));
        }
        names.push(name);
    }
    names.sort_unstable();
    names.dedup();
    let open = |name: &str| {
        let missing = || Error::model(files.path(name), "this part of the weights is missing; download it again");
        Bytes::open(files, name)?.ok_or_else(missing)
    };
    names.into_iter().map(open).collect()
}
