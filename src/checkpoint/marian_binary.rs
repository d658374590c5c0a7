//! Marian's `.bin`, version 1, as its decoders map it into memory, and Bergamot's with 8-bit matrices.
//!
//! Little-endian: `u64` version and count; for each item `u64` bytes of its name with the zero at its end, type, axes and
//! bytes of its data; all names; all shapes in `i32`; `u64` bytes of padding and those; then the data of every item. The low
//! byte of a type is the size of a value. A matrix of intgemm's is architecture-independent integers, row-major for the
//! embeddings and column-major for all others, and then, still within its data, the F32 they were multiplied by.

use serde_json::Value;

use super::bytes::Bytes;
use super::dtype::Dtype;
use super::fields::Fields;
use super::stored::{Container, Divisor, Stored};
use super::yaml;
use crate::{Error, Result};

/// The item with the model's options.
const OPTIONS: &str = "special:model.yml";

/// More items than any model has.
const MOST_ITEMS: u64 = 100_000;

/// Whether a file that begins so is one.
pub(super) fn begins(head: &[u8; 16]) -> bool {
    (1..16).contains(&head[0]) && head[1..8] == [0; 7]
}

/// The header of an item.
struct Item {
    name: u64,
    kind: u64,
    axes: u64,
    len: u64,
}

/// Reads where every tensor is, and the options.
///
/// # Errors
/// If the file is of another version, malformed or truncated, or its matrices are packed for one kind of processor.
pub(super) fn read(bytes: &Bytes) -> Result<Container> {
    let mut fields = Fields::new(bytes);
    let version = fields.u64()?;
    if version != 1 {
        let what = if version == 2 { " (encrypted)" } else { "" };
        return Err(bytes.error(format!("is of Marian's binary version {version}{what}; only version 1 is supported")));
    }
    let count = fields.u64()?;
    if count > MOST_ITEMS {
        return Err(fields.malformed("more items than any model has"));
    }
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(Item { name: fields.u64()?, kind: fields.u64()?, axes: fields.u64()?, len: fields.u64()? });
    }
    let names = items.iter().map(|item| fields.name(item.name)).collect::<Result<Vec<_>>>()?;
    let mut shapes = Vec::new();
    for item in &items {
        if item.axes > 8 {
            return Err(fields.malformed("more axes than any tensor has"));
        }
        let axes = (0..item.axes).map(|_| Ok(usize::try_from(fields.u32()? as i32).unwrap_or(usize::MAX)));
        shapes.push(axes.collect::<Result<Vec<_>>>()?);
    }
    let padding = fields.u64()?;
    fields.skip(padding)?;
    let mut contents = Container::default();
    for ((item, name), shape) in items.iter().zip(names).zip(shapes) {
        let start = fields.position();
        fields.skip(item.len)?;
        if name == OPTIONS {
            contents.said = options(&bytes.read_range(start, item.len)?).map_err(|problem| bytes.error(problem))?;
        } else {
            let stored = stored(bytes, &name, item, shape, start)?;
            contents.tensors.insert(name, stored);
        }
    }
    Ok(contents)
}

/// The options of a model, which end at the first zero.
pub(super) fn options(bytes: &[u8]) -> Result<serde_json::Map<String, Value>, String> {
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    let text = std::str::from_utf8(text).map_err(|_| format!("{OPTIONS} in it is no text"))?;
    match yaml::parse(text) {
        Ok(Value::Object(options)) => Ok(options),
        Ok(_) => Err(format!("{OPTIONS} in it is no list of options")),
        Err(problem) => Err(format!("{OPTIONS} in it is not valid YAML ({problem})")),
    }
}

/// Where and how an item is stored whose data begin at `start`.
fn stored(bytes: &Bytes, name: &str, item: &Item, shape: Vec<usize>, start: u64) -> Result<Stored> {
    // Two ways to count intgemm's matrices: browsermt's and marian-dev's.
    let (dtype, is_intgemm) = match item.kind {
        0x0404 => (Ok(Dtype::F32), false),
        0x0402 => (Ok(Dtype::F16), false),
        0x0408 => (Ok(Dtype::F64), false),
        0x4101 | 0x10001 => (Ok(Dtype::I8), true),
        0x4102 | 0x10002 => (Ok(Dtype::I16), true),
        kind if kind & 0x0700 == 0 || kind >> 16 != 0 || kind & 0x3800 != 0 => {
            return Err(bytes.error(format!(
                "tensor {name} is packed for one kind of processor (type {kind:#x}); use the model's .npz, or its .bin for any \
                 processor (intgemm8)"
            )));
        }
        kind => (Err(format!("Marian's type {kind:#x}")), false),
    };
    let size = dtype.as_ref().map_or(1, |dtype| dtype.size() as u64);
    let values = shape.iter().try_fold(1u64, |count, &d| count.checked_mul(d as u64));
    let needed = values.and_then(|count| count.checked_mul(size)?.checked_add(if is_intgemm { 4 } else { 0 }));
    let Some(needed) = needed.filter(|&needed| needed <= item.len) else { return Err(wrong_size(bytes, name)) };
    let mut stored = Stored::contiguous(dtype, shape, start);
    if is_intgemm {
        let divisor = bytes.read_range(start + needed - 4, 4)?;
        stored.divisor = Some(Divisor::One(f32::from_le_bytes([divisor[0], divisor[1], divisor[2], divisor[3]])));
        if !name.contains("Wemb") {
            let &[inputs, _] = &stored.shape[..] else { return Err(wrong_size(bytes, name)) };
            stored.strides = Some(vec![1, inputs]);
        }
    }
    Ok(stored)
}

fn wrong_size(bytes: &Bytes, name: &str) -> Error {
    bytes.error(format!("tensor {name} is of another size than its shape says; download the file again"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checkpoint::{ModelFiles, Weights};

    /// A file of items: name, type, shape, data.
    fn file(items: &[(&str, u64, &[u32], Vec<u8>)]) -> Vec<u8> {
        let mut bytes = [1, items.len() as u64].map(u64::to_le_bytes).concat();
        for (name, kind, shape, data) in items {
            let header = [name.len() as u64 + 1, *kind, shape.len() as u64, data.len() as u64];
            bytes.extend(header.map(u64::to_le_bytes).concat());
        }
        items.iter().for_each(|(name, ..)| bytes.extend([name.as_bytes(), &[0]].concat()));
        items.iter().flat_map(|(_, _, shape, _)| *shape).for_each(|axis| bytes.extend(axis.to_le_bytes()));
        let padding = (bytes.len() + 8).next_multiple_of(256) - bytes.len() - 8;
        bytes.extend((padding as u64).to_le_bytes());
        bytes.resize(bytes.len() + padding, 0);
        items.iter().for_each(|(.., data)| bytes.extend(data));
        bytes
    }

    /// Integers, what they were multiplied by, and padding.
    fn intgemm(values: &[u8], multiplier: f32) -> Vec<u8> {
        let mut data = [values, &multiplier.to_le_bytes()].concat();
        data.resize(data.len().next_multiple_of(256), 7);
        data
    }

    fn open(bytes: &[u8]) -> crate::Result<Weights> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("model.bin"), bytes).unwrap();
        Weights::open(&ModelFiles::Directory(directory.path().to_owned()))
    }

    #[test]
    fn matrices_of_integers_are_stored_by_columns_and_embeddings_by_rows() {
        for (kind8, kind16) in [(0x4101, 0x4102), (0x10001, 0x10002)] {
            let weights = open(&file(&[
                ("Wemb", kind8, &[3, 2], intgemm(&[2, 4, 6, 8, 0xfe, 0], 2.0)),
                ("encoder_l1_self_Wq", kind8, &[2, 3], intgemm(&[2, 4, 6, 8, 0xfe, 0], 4.0)),
                ("decoder_l1_rnn_W", kind16, &[1, 2], intgemm(&[0, 4, 0, 0xfc], 1024.0)),
                ("none_QuantMultA", 0x0404, &[1, 1], 7f32.to_le_bytes().to_vec()),
                (OPTIONS, 0x0101, &[12], b"dim-emb: 2\n\0".to_vec()),
            ]))
            .unwrap();
            assert_eq!(weights.tensor("Wemb", &[3, 2]).unwrap(), [1.0, 2.0, 3.0, 4.0, -1.0, 0.0]);
            // The transposed matrix is [[.5, 1], [1.5, 2], [-.5, 0]].
            assert_eq!(weights.tensor("encoder_l1_self_Wq", &[2, 3]).unwrap(), [0.5, 1.5, -0.5, 1.0, 2.0, 0.0]);
            assert_eq!(weights.tensor("decoder_l1_rnn_W", &[1, 2]).unwrap(), [1.0, -1.0]);
            assert_eq!(weights.tensor("none_QuantMultA", &[1]).unwrap(), [7.0]);
            assert_eq!(weights.said()["dim-emb"], json!(2));
            let part = weights.int8_of_columns("encoder_l1_self_Wq", [3, 2]).unwrap().unwrap();
            assert_eq!((part.scales, part.sums), (vec![0.25; 3], vec![6, 14, -2]));
            assert!(weights.int8("Wemb", &[3, 2], 0..3).unwrap().is_some());
            assert!(weights.int8("encoder_l1_self_Wq", &[2, 3], 0..2).unwrap().is_none());
        }
    }

    #[test]
    fn what_cannot_be_read_is_one_line() {
        let packed = open(&file(&[("Wemb", 0x1801, &[2, 2], vec![0; 8])])).unwrap_err().to_string();
        assert!(packed.contains("one kind of processor") && packed.contains(".npz"), "{packed}");
        let mut encrypted = file(&[("Wemb", 0x0404, &[1], vec![0; 4])]);
        encrypted[0] = 2;
        assert!(open(&encrypted).unwrap_err().to_string().contains("version 2 (encrypted)"));
        let whole = file(&[("Wemb", 0x0404, &[2, 2], vec![0; 16])]);
        for end in [9, 40, 60, whole.len() - 1] {
            let message = open(&whole[..end]).unwrap_err().to_string();
            assert!(message.contains("truncated") && !message.contains('\n'), "{message}");
        }
        let short = file(&[("Wemb", 0x0404, &[2, 3], vec![0; 16])]);
        assert!(open(&short).unwrap_err().to_string().contains("another size"));
    }
}
