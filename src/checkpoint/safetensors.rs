//! Reading the header of a safetensors file, strictly.
//!
//! The format: eight bytes of header length (little-endian), a JSON header naming each tensor's format, shape and byte
//! range, then the values, without holes. Only the header is read here; values are read tensor by tensor.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use half::f16;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value, json};

use super::bytes::Bytes;
use super::dtype::Dtype;
use super::stored::Stored;
use crate::{Error, Result};

/// More tensors than any model has; each takes memory however small it is.
const MOST_TENSORS: usize = 100_000;

/// One entry of the header as it is written.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// All entries by name, read one by one: a tree of the whole header takes many times its size.
struct Header(BTreeMap<String, Entry>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object from names to tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Header, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let entry =
                        map.next_value().map_err(|error| A::Error::custom(format!("tensor {name:?}: {error}")))?;
                    entries.insert(name, entry);
                    if entries.len() > MOST_TENSORS {
                        return Err(A::Error::custom(format!("more than {MOST_TENSORS} tensors, which no model has")));
                    }
                }
                Ok(Header(entries))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

/// Reads where every tensor is.
///
/// # Errors
/// If the header is malformed, ranges overlap, leave the file or do not match their shapes, or the file is truncated.
pub(super) fn read_header(bytes: &Bytes) -> Result<BTreeMap<String, Stored>> {
    let malformed = |problem: String| -> Error {
        bytes.error(format!("malformed safetensors header ({problem}); download the file again"))
    };
    if bytes.len() < 8 {
        return Err(bytes.truncated());
    }
    let mut length = [0; 8];
    bytes.read_at(0, &mut length)?;
    let header_len = u64::from_le_bytes(length);
    let data_start = match header_len.checked_add(8) {
        Some(start) if start <= bytes.len() => start,
        _ => {
            let file_len = bytes.len();
            return Err(malformed(format!(
                "it claims {header_len} bytes in a file of {file_len}, which is truncated?"
            )));
        }
    };
    let data_len = bytes.len() - data_start;
    let Header(header) =
        serde_json::from_slice(&bytes.read_range(8, header_len)?).map_err(|error| malformed(error.to_string()))?;

    let mut tensors = BTreeMap::new();
    let mut ranges = Vec::with_capacity(header.len());
    for (name, entry) in header {
        let (start, end) = entry.data_offsets;
        if start > end {
            return Err(malformed(format!("tensor {name:?} ends at {end} before it starts at {start}")));
        }
        if end > data_len {
            return Err(bytes.error(format!(
                "the file is truncated: tensor {name:?} ends at byte {end} of the data but only {data_len} are there; \
                 download it again"
            )));
        }
        ranges.push((start, end, name.clone()));
        // Formats we cannot read (an int64 position table, say) are no error unless a model asks for the tensor.
        let dtype = Dtype::from_name(&entry.dtype);
        if let Some(dtype) = dtype {
            let size = entry.shape.iter().try_fold(dtype.size() as u64, |size, &d| size.checked_mul(d));
            if size != Some(end - start) {
                let shape = &entry.shape;
                let range = end - start;
                return Err(malformed(format!(
                    "tensor {name:?} has {range} bytes, which does not fit {} {shape:?}",
                    entry.dtype
                )));
            }
        }
        let shape: Option<Vec<usize>> = entry.shape.iter().map(|&d| usize::try_from(d).ok()).collect();
        let shape = shape.ok_or_else(|| malformed(format!("tensor {name:?} is too large")))?;
        tensors.insert(name, Stored::contiguous(dtype.ok_or(entry.dtype), shape, data_start + start));
    }
    ranges.sort_unstable();
    let mut expected = 0;
    for (start, end, name) in ranges {
        if start != expected {
            return Err(malformed(format!(
                "tensor {name:?} starts at {start}, but the one before it ends at {expected}"
            )));
        }
        expected = end;
    }
    if expected != data_len {
        return Err(malformed(format!("its tensors end at byte {expected} of {data_len} bytes of data")));
    }
    Ok(tensors)
}

/// A tensor to write: its name, number format (F16, F32 or I8) and shape.
pub type ToWrite = (String, Dtype, Vec<usize>);

/// Some of a tensor's values, in order.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// For a tensor in F16 or F32.
    F32(&'a [f32]),
    /// For a tensor in I8.
    I8(&'a [i8]),
}

/// Writes a file of the given tensors in their order; `read` hands on the values of each in turn, any number at a time. The
/// values begin at a multiple of 64 bytes.
///
/// # Errors
/// If `read` fails, a value does not fit the format, or the file cannot be written.
pub fn write(
    path: &Path,
    tensors: &[ToWrite],
    mut read: impl FnMut(usize, &mut dyn FnMut(Values<'_>) -> Result<()>) -> Result<()>,
) -> Result<()> {
    let mut header = Map::new();
    // transformers refuses a file that does not say which framework its layout is.
    header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut end = 0;
    for (name, dtype, shape) in tensors {
        let start = end;
        end += shape.iter().product::<usize>() * dtype.size();
        let entry = json!({ "dtype": dtype.name(), "shape": shape, "data_offsets": [start, end] });
        header.insert(name.clone(), entry);
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize((8 + header.len()).next_multiple_of(64) - 8, b' ');

    let io = |error| Error::io(path, error);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).map_err(io)?);
    file.write_all(&(header.len() as u64).to_le_bytes()).map_err(io)?;
    file.write_all(&header).map_err(io)?;
    for (index, (name, dtype, _)) in tensors.iter().enumerate() {
        read(index, &mut |values| match values {
            Values::I8(values) => values.chunks(1 << 16).try_for_each(|values| {
                let bytes: Vec<u8> = values.iter().map(|&value| value as u8).collect();
                file.write_all(&bytes).map_err(io)
            }),
            Values::F32(values) if *dtype == Dtype::F32 => {
                values.iter().try_for_each(|value| file.write_all(&value.to_le_bytes())).map_err(io)
            }
            Values::F32(values) => values.iter().try_for_each(|&value| {
                let half = f16::from_f32(value);
                if value.is_finite() && !half.is_finite() {
                    let problem = format!("tensor {name} holds {value}, which is beyond F16; use F32");
                    return Err(Error::model(path, problem));
                }
                file.write_all(&half.to_le_bytes()).map_err(io)
            }),
        })?;
    }
    let file = file.into_inner().map_err(|error| io(error.into_error()))?;
    file.sync_all().map_err(io)
}
