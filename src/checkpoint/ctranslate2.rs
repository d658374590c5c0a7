//! CTranslate2's `model.bin`, binary versions 1 to 6.
//!
//! Little-endian and unaligned: `u32` version; from 2 on the name of the specification and its `u32` revision; `u32` count of
//! variables, each a name, `u8` rank, `u32` axes, the number format and `u32` bytes, then the values; from 3 on `u32` count of
//! aliases, each two names. A name is its `u16` length, that of the zero at its end included, and its bytes. The format is a
//! number from version 4 on (0 F32, 1 I8, 2 I16, 3 I32, 4 F16, 5 BF16); before it is the bytes of a value, and their count
//! follows. A matrix of I8 has a divisor for each row in `NAME_scale`, one of I16 has one for all.

use serde_json::{Number, Value, json};

use super::bytes::Bytes;
use super::dtype::Dtype;
use super::fields::Fields;
use super::stored::{Container, Divisor, Stored};
use crate::Result;

/// The newest binary version there is.
const NEWEST: u32 = 6;

/// More variables than any model has.
const MOST_VARIABLES: u32 = 100_000;

/// The largest table of integers that says something about a network (heads of attention), in values.
const MOST_SAID: usize = 4096;

/// What matrices of 16 bits were multiplied by before files said so.
const OLD_DIVISOR: f32 = 1000.0;

/// Whether a file that begins so is one.
pub(super) fn begins(head: &[u8; 16]) -> bool {
    let version = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let [length, first] = if version == 1 { [8, 10] } else { [4, 6] };
    // A name no longer than its length can say and with a letter at its beginning; Marian's files have zeros here.
    (1..100).contains(&version) && head[length..first] != [0, 0] && head[first].is_ascii_alphabetic()
}

/// Reads where every tensor is, and the scalars and aliases.
///
/// # Errors
/// If the file is of a version to come, malformed or truncated.
pub(super) fn read(bytes: &Bytes) -> Result<Container> {
    let mut fields = Fields::new(bytes);
    let version = fields.u32()?;
    if version > NEWEST {
        return Err(
            bytes.error(format!("is of CTranslate2's binary version {version}, and {NEWEST} is the newest known here"))
        );
    }
    let (spec, revision) = match version {
        1 => (String::new(), 1),
        _ => (name(&mut fields)?, fields.u32()?),
    };
    let mut contents = Container::default();
    contents.said.insert("binary_version".to_owned(), json!(version));
    contents.said.insert("spec".to_owned(), json!(spec));
    contents.said.insert("revision".to_owned(), json!(revision));
    let count = fields.u32()?;
    if count > MOST_VARIABLES {
        return Err(fields.malformed("more variables than any model has"));
    }
    for _ in 0..count {
        let stored_name = name(&mut fields)?;
        let name = if revision == 1 { name_since_revision_2(&stored_name) } else { stored_name };
        let stored = variable(&mut fields, version)?;
        match said(bytes, &name, &stored)? {
            Some(value) => drop(contents.said.insert(name, value)),
            None => drop(contents.tensors.insert(name, stored)),
        }
    }
    find_divisors(bytes, &mut contents)?;
    if version >= 3 {
        aliases(&mut fields, &mut contents)?;
    }
    Ok(contents)
}

fn name(fields: &mut Fields) -> Result<String> {
    let length = fields.u16()?;
    fields.name(length.into())
}

/// A variable after its name; its values are passed over.
fn variable(fields: &mut Fields, version: u32) -> Result<Stored> {
    let rank = fields.u8()?;
    let shape = (0..rank).map(|_| Ok(fields.u32()? as usize)).collect::<Result<Vec<_>>>()?;
    let format = fields.u8()?;
    let dtype = match (version, format) {
        (1..=3, 4) | (_, 0) => Ok(Dtype::F32),
        (_, 1) => Ok(Dtype::I8),
        (_, 2) => Ok(Dtype::I16),
        (4.., 3) => Err("I32".to_owned()),
        (_, 4) => Ok(Dtype::F16),
        (4.., 5) => Ok(Dtype::Bf16),
        _ => return Err(fields.malformed("a number format that is not known")),
    };
    let size = dtype.as_ref().map_or(4, |dtype| dtype.size() as u64);
    let len = u64::from(fields.u32()?) * if version < 4 { size } else { 1 };
    let wanted = shape.iter().try_fold(size, |size, &d| size.checked_mul(d as u64));
    if wanted != Some(len) {
        return Err(fields.malformed("a variable of another size than its shape says"));
    }
    let stored = Stored::contiguous(dtype, shape, fields.position());
    fields.skip(len)?;
    Ok(stored)
}

/// The value of a variable that is no weight: a number, a text, or a table of whole numbers.
fn said(bytes: &Bytes, name: &str, stored: &Stored) -> Result<Option<Value>> {
    let count: usize = stored.shape.iter().product();
    let is_weight = ["weight", "weight_scale", "weight_zero"].iter().any(|ending| name.ends_with(ending));
    let is_integer = matches!(stored.dtype, Err(_) | Ok(Dtype::I8 | Dtype::I16));
    if is_weight || count > MOST_SAID || !(is_integer || stored.shape.is_empty()) {
        return Ok(None);
    }
    if let (Ok(Dtype::I8), [_]) = (&stored.dtype, &stored.shape[..]) {
        let text = bytes.read_range(stored.offset, count as u64)?;
        return Ok(Some(json!(String::from_utf8_lossy(&text))));
    }
    let values: Vec<Value> = match &stored.dtype {
        Err(_) => {
            let bytes = bytes.read_range(stored.offset, 4 * count as u64)?;
            bytes.as_chunks().0.iter().map(|&b| json!(i32::from_le_bytes(b))).collect()
        }
        Ok(dtype) => {
            let mut values = Vec::with_capacity(count);
            dtype.extend_f32(&bytes.read_range(stored.offset, (dtype.size() * count) as u64)?, &mut values);
            let value = |&value: &f32| match is_integer {
                true => json!(value as i64),
                false => Number::from_f64(value.into()).map_or(Value::Null, Value::Number),
            };
            values.iter().map(value).collect()
        }
    };
    Ok(Some(if stored.shape.is_empty() { values.into_iter().next().unwrap_or_default() } else { Value::Array(values) }))
}

/// Gives the matrices of integers their divisors, which are no tensors of the network.
fn find_divisors(bytes: &Bytes, contents: &mut Container) -> Result<()> {
    let is_integer = |stored: &Stored| matches!(stored.dtype, Ok(Dtype::I8 | Dtype::I16));
    let of_integers = contents.tensors.iter().filter(|(_, stored)| is_integer(stored));
    let names: Vec<String> = of_integers.map(|(name, _)| name.clone()).collect();
    for name in names {
        let divisors = contents.tensors.remove(&format!("{name}_scale"));
        let has_zeros = contents.tensors.contains_key(&format!("{name}_zero"));
        let Some(stored) = contents.tensors.get_mut(&name) else { continue };
        let rows = stored.shape.first().copied().unwrap_or(1);
        stored.divisor = match divisors {
            _ if has_zeros => {
                let problem =
                    format!("{name} is quantised with zero points (AWQ), which is not supported; use int8 or float16");
                return Err(bytes.error(problem));
            }
            Some(Stored { dtype: Ok(Dtype::F32), shape, offset, .. }) => match shape.iter().product::<usize>() {
                1 => {
                    let value = bytes.read_range(offset, 4)?;
                    Some(Divisor::One(f32::from_le_bytes([value[0], value[1], value[2], value[3]])))
                }
                count if count == rows => Some(Divisor::Rows(offset)),
                count => {
                    return Err(
                        bytes.error(format!("{name} has {rows} rows and {count} scales; convert the model again"))
                    );
                }
            },
            None if stored.dtype == Ok(Dtype::I16) => Some(Divisor::One(OLD_DIVISOR)),
            _ => {
                stored.dtype = Err("I8 without scales".to_owned());
                None
            }
        };
    }
    Ok(())
}

/// The other names of variables.
fn aliases(fields: &mut Fields, contents: &mut Container) -> Result<()> {
    let count = fields.u32()?;
    if count > MOST_VARIABLES {
        return Err(fields.malformed("more aliases than any model has"));
    }
    for _ in 0..count {
        let (alias, target) = (name(fields)?, name(fields)?);
        if let Some(stored) = contents.tensors.get(&target).cloned() {
            contents.tensors.entry(alias).or_insert(stored);
        } else if let Some(value) = contents.said.get(&target).cloned() {
            contents.said.entry(alias).or_insert(value);
        }
    }
    Ok(())
}

/// The name of revision 2 for one of the first, which had OpenNMT-tf's.
fn name_since_revision_2(name: &str) -> String {
    let attention = if name.contains("encoder") {
        [("multi_head", "self_attention"); 2]
    } else {
        [("masked_multi_head", "self_attention"), ("multi_head", "attention")]
    };
    let parts = [
        ("transformer/", ""),
        (":0", ""),
        ("w_embs", "embeddings/weight"),
        ("kernel", "weight"),
        ("LayerNorm", "layer_norm"),
        ("dense", "projection"),
        ("conv1d_", "linear_"),
        ("conv1d", "linear_0"),
    ];
    let all = parts.into_iter().chain(attention);
    all.fold(name.to_owned(), |name, (old, new)| name.replacen(old, new, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{ModelFiles, Weights};

    fn text(text: &str) -> Vec<u8> {
        [&(text.len() as u16 + 1).to_le_bytes()[..], text.as_bytes(), &[0]].concat()
    }

    /// A variable of the given version: its name, axes, format as versions since 4 have it, bytes of a value, and values.
    fn variable(version: u32, name: &str, shape: &[u32], format: u8, size: usize, data: &[u8]) -> Vec<u8> {
        let mut bytes = [&text(name)[..], &[shape.len() as u8]].concat();
        shape.iter().for_each(|axis| bytes.extend(axis.to_le_bytes()));
        bytes.push(if version < 4 { size as u8 } else { format });
        bytes.extend((if version < 4 { data.len() / size } else { data.len() } as u32).to_le_bytes());
        bytes.extend(data);
        bytes
    }

    fn open(bytes: &[u8]) -> Result<Weights> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("model.bin"), bytes).unwrap();
        Weights::open(&ModelFiles::Directory(directory.path().to_owned()))
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// A file of one matrix in each format, with a scalar, a text and two aliases.
    fn file(version: u32) -> Vec<u8> {
        let mut variables = vec![
            variable(version, "a/weight", &[2, 2], 0, 4, &floats(&[1.0, -2.0, 3.5, 0.25])),
            variable(version, "b/weight", &[2, 3], 1, 1, &[1, 2, 0xff, 100, 0x9c, 0]),
            variable(version, "b/weight_scale", &[2], 0, 4, &floats(&[2.0, 50.0])),
            variable(version, "c/weight", &[1, 2], 2, 2, &[0, 4, 0, 0xfc]),
            variable(version, "c/weight_scale", &[], 0, 4, &floats(&[512.0])),
            variable(version, "d/weight", &[2], 2, 2, &[0xd0, 7, 0x18, 0xfc]),
            variable(version, "num_heads", &[], 1, 1, &[8]),
            variable(version, "unk_token", &[5], 1, 1, b"<unk>"),
        ];
        if version >= 4 {
            variables.push(variable(version, "e/weight", &[2], 4, 2, &[0, 0x3c, 0, 0xc0]));
            variables.push(variable(version, "f/weight", &[1], 5, 2, &[0x80, 0x3f]));
            variables.push(variable(version, "heads", &[2], 3, 4, &[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]));
        }
        let mut bytes = version.to_le_bytes().to_vec();
        if version >= 2 {
            bytes.extend(text("TransformerSpec"));
            bytes.extend(7u32.to_le_bytes());
        }
        bytes.extend((variables.len() as u32).to_le_bytes());
        bytes.extend(variables.concat());
        if version >= 3 {
            bytes.extend(2u32.to_le_bytes());
            for (alias, target) in [("g/weight", "b/weight"), ("encoder/num_heads", "num_heads")] {
                bytes.extend([text(alias), text(target)].concat());
            }
        }
        bytes
    }

    #[test]
    fn every_version_and_number_format_reads_as_the_numbers_it_stands_for() {
        for version in 1..=6 {
            let weights = open(&file(version)).unwrap();
            let tensor = |name: &str, shape: &[usize]| weights.tensor(name, shape).unwrap();
            assert_eq!(tensor("a/weight", &[2, 2]), [1.0, -2.0, 3.5, 0.25], "version {version}");
            let of_bytes = [0.5, 1.0, -0.5, 2.0, -2.0, 0.0];
            assert_eq!(tensor("b/weight", &[2, 3]), of_bytes);
            assert_eq!(tensor("c/weight", &[1, 2]), [2.0, -2.0]);
            assert_eq!(tensor("d/weight", &[2]), [2.0, -1.0]);
            let mut last = Vec::new();
            weights.read_rows("b/weight", &[2, 3], 1..2, &mut |rows| last.extend_from_slice(rows)).unwrap();
            assert_eq!(last, of_bytes[3..]);
            let part = weights.int8("b/weight", &[2, 3], 1..2).unwrap().unwrap();
            assert_eq!((part.scales, part.sums, part.row_major), (vec![0.02], vec![0], true));
            assert_eq!((&weights.said()["num_heads"], &weights.said()["unk_token"]), (&json!(8), &json!("<unk>")));
            assert!(!weights.contains("num_heads") && !weights.contains("b/weight_scale"));
            if version >= 3 {
                assert_eq!(tensor("g/weight", &[2, 3]), of_bytes);
                assert!(weights.same("g/weight", "b/weight").unwrap());
                assert_eq!(weights.said()["encoder/num_heads"], json!(8));
            }
            if version >= 4 {
                assert_eq!((tensor("e/weight", &[2]), tensor("f/weight", &[1])), (vec![1.0, -2.0], vec![1.0]));
                assert_eq!(weights.said()["heads"], json!([1, -1]));
            }
        }
    }

    #[test]
    fn a_value_that_the_kernels_do_not_know_is_read_as_a_number() {
        let mut bytes = file(6);
        let at = bytes.windows(6).position(|window| window == [1, 2, 0xff, 100, 0x9c, 0]).unwrap();
        bytes[at] = 0x80;
        let weights = open(&bytes).unwrap();
        assert!(weights.int8("b/weight", &[2, 3], 0..2).unwrap().is_none());
        assert_eq!(weights.tensor("b/weight", &[2, 3]).unwrap()[0], -64.0);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_one_line() {
        let whole = file(6);
        for end in [3, 20, 60, 100, whole.len() - 1] {
            let message = open(&whole[..end]).unwrap_err().to_string();
            assert!(!message.contains('\n'), "{message}");
        }
        let mut newer = whole;
        newer[0] = 7;
        assert!(open(&newer).unwrap_err().to_string().contains("binary version 7"));
    }

    #[test]
    fn the_names_of_the_first_revision_become_those_of_the_second() {
        for (old, new) in [
            ("transformer/encoder/w_embs:0", "encoder/embeddings/weight"),
            (
                "transformer/encoder/layer_0/multi_head/conv1d_1/kernel:0",
                "encoder/layer_0/self_attention/linear_1/weight",
            ),
            (
                "transformer/decoder/layer_0/masked_multi_head/conv1d/bias:0",
                "decoder/layer_0/self_attention/linear_0/bias",
            ),
            ("transformer/decoder/layer_5/multi_head/LayerNorm/beta:0", "decoder/layer_5/attention/layer_norm/beta"),
            ("transformer/decoder/dense/kernel:0", "decoder/projection/weight"),
        ] {
            assert_eq!(name_since_revision_2(old), new);
        }
    }
}
