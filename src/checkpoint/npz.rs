//! NumPy archives (`.npz`) of tensors, as Marian writes them: a zip of `.npy` files, stored as they are or compressed.
//!
//! A `.npy` file is `\x93NUMPY`, two bytes of version, the length of its header (`u16`, from version 2 on `u32`), the header,
//! a Python dictionary (`{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`), and the values.

use std::io::Read;

use super::bytes::{Bytes, Cursor};
use super::dtype::Dtype;
use super::marian_binary;
use super::stored::{Container, Stored};
use crate::Result;

/// The member with the options of a Marian model.
const OPTIONS: &str = "special:model.yml";

/// More members than any model has.
const MOST_MEMBERS: usize = 100_000;

/// How many times larger than its file a compressed archive may be, and how much larger in any case: weights do not compress
/// much, and a few bytes can claim gigabytes.
const MOST_TIMES_LARGER: u64 = 32;
const ALWAYS_ALLOWED: u64 = 4 << 20;

/// The longest header of a member.
const LONGEST_HEADER: u64 = 1 << 16;

/// Reads where every tensor is, and a Marian model's options.
///
/// # Errors
/// If the archive is damaged, or a member is no array.
pub(super) fn read(bytes: &Bytes) -> Result<Container> {
    let damaged = |error: zip::result::ZipError| {
        bytes.error(format!("the archive is truncated or damaged ({error}); download the file again"))
    };
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    if archive.len() > MOST_MEMBERS {
        return Err(bytes.error(format!("has more than {MOST_MEMBERS} members, which no model has")));
    }
    let (mut members, mut inflated_size, mut is_compressed) = (Vec::new(), 0u64, false);
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(damaged)?;
        let name = entry.name().map_err(damaged)?.into_owned();
        let Some(name) = name.strip_suffix(".npy") else { continue };
        let start = entry.data_start().unwrap_or(u64::MAX);
        let end = start.checked_add(entry.compressed_size()).filter(|&end| end <= bytes.len());
        let end = end.ok_or_else(|| bytes.truncated())?;
        is_compressed |= entry.compression() != zip::CompressionMethod::Stored;
        inflated_size = inflated_size.saturating_add(entry.size());
        members.push((index, name.to_owned(), start, end));
    }
    let mut inflated = Vec::new();
    if is_compressed {
        if inflated_size > bytes.len().saturating_mul(MOST_TIMES_LARGER).saturating_add(ALWAYS_ALLOWED) {
            let problem = format!("claims {inflated_size} bytes when it is no longer compressed, which no weights do");
            return Err(bytes.error(problem));
        }
        for (index, name, start, end) in &mut members {
            *start = inflated.len() as u64;
            let entry = archive.by_index(*index).map_err(damaged)?;
            let size = entry.size();
            let read = entry.take(size).read_to_end(&mut inflated);
            read.map_err(|error| bytes.error(format!("{name} in it is damaged ({error})")))?;
            *end = inflated.len() as u64;
        }
    }
    let held = is_compressed.then(|| bytes.inflated(inflated));
    let source = held.as_ref().unwrap_or(bytes);
    let mut contents = Container::default();
    for (_, name, start, end) in members {
        let stored = array(source, &name, start, end)?;
        if name == OPTIONS {
            let yaml = source.read_range(stored.offset, end - stored.offset)?;
            contents.said = marian_binary::options(&yaml).map_err(|problem| bytes.error(problem))?;
        } else {
            contents.tensors.insert(name, stored);
        }
    }
    contents.inflated = held;
    Ok(contents)
}

/// The array of a member that lies between two bytes of `bytes`.
fn array(bytes: &Bytes, name: &str, start: u64, end: u64) -> Result<Stored> {
    let malformed = |problem: &str| bytes.error(format!("{name} in it is no NumPy array ({problem})"));
    let mut head = [0; 12];
    let length = 12.min(end - start) as usize;
    bytes.read_at(start, &mut head[..length])?;
    if length < 12 || head[..6] != *b"\x93NUMPY" {
        return Err(malformed("it begins in another way"));
    }
    let (header, len) = match head[6] {
        1 => (10, u64::from(u16::from_le_bytes([head[8], head[9]]))),
        _ => (12, u64::from(u32::from_le_bytes([head[8], head[9], head[10], head[11]]))),
    };
    let data = start + header + len;
    if len > LONGEST_HEADER || data > end {
        return Err(malformed("its header is longer than it"));
    }
    let text = bytes.read_range(start + header, len)?;
    let text = std::str::from_utf8(&text).map_err(|_| malformed("its header is no text"))?;
    let (descr, is_fortran, shape) = described(text).ok_or_else(|| malformed("its header says no type and shape"))?;
    let dtype = match descr {
        "<f4" => Ok(Dtype::F32),
        "<f2" => Ok(Dtype::F16),
        "<f8" => Ok(Dtype::F64),
        other => Err(format!("NumPy's {}", other.escape_default())),
    };
    if let Ok(dtype) = dtype {
        let wanted = shape.iter().try_fold(dtype.size() as u64, |size, &d| size.checked_mul(d as u64));
        if wanted != Some(end - data) {
            return Err(malformed("it is of another size than its shape says"));
        }
    }
    let strides = (is_fortran && shape.len() > 1).then(|| {
        let next = |stride: &mut usize, &d: &usize| {
            let own = *stride;
            *stride = own.saturating_mul(d.max(1));
            Some(own)
        };
        shape.iter().scan(1, next).collect()
    });
    Ok(Stored { strides, ..Stored::contiguous(dtype, shape, data) })
}

/// Type, order and shape of a header: a Python dictionary of three keys.
fn described(header: &str) -> Option<(&str, bool, Vec<usize>)> {
    let after = |key: &str| {
        let (_, rest) = header.split_once(key)?;
        Some(rest.trim_start_matches(['\'', '"']).trim_start().strip_prefix(':')?.trim_start())
    };
    let descr = after("descr")?.strip_prefix(['\'', '"'])?;
    let descr = descr.split(['\'', '"']).next()?;
    let is_fortran = after("fortran_order")?.starts_with("True");
    let shape = after("shape")?.strip_prefix('(')?.split(')').next()?;
    let axes = shape.split(',').map(str::trim).filter(|axis| !axis.is_empty());
    Some((descr, is_fortran, axes.map(|axis| axis.parse().ok()).collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::json;

    use super::*;
    use crate::checkpoint::{ModelFiles, Weights};

    fn npy(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
    }

    /// A zip archive of members, deflated or not.
    fn archive(members: &[(&str, Vec<u8>)], deflate: bool) -> Vec<u8> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for (name, data) in members {
            let mut stored = data.clone();
            if deflate {
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(data).unwrap();
                stored = encoder.finish().unwrap();
            }
            let mut crc = flate2::Crc::new();
            crc.update(data);
            let common = [
                &[20, 0, 0, 0, if deflate { 8 } else { 0 }, 0, 0, 0, 0, 0][..],
                &crc.sum().to_le_bytes(),
                &(stored.len() as u32).to_le_bytes(),
                &(data.len() as u32).to_le_bytes(),
                &(name.len() as u16).to_le_bytes(),
                &[0, 0],
            ]
            .concat();
            let start = bytes.len() as u32;
            bytes.extend([b"PK\x03\x04", &common[..], name.as_bytes(), &stored].concat());
            let rest = [&[0; 10][..], &start.to_le_bytes(), name.as_bytes()].concat();
            directory.extend([b"PK\x01\x02\x14\0", &common[..], &rest].concat());
        }
        let (count, start, size) = (members.len() as u16, bytes.len() as u32, directory.len() as u32);
        bytes.extend(directory);
        let counts = [[0, 0], [0, 0], count.to_le_bytes(), count.to_le_bytes()].concat();
        bytes.extend([b"PK\x05\x06", &counts[..], &size.to_le_bytes(), &start.to_le_bytes(), &[0, 0]].concat());
        bytes
    }

    fn open(bytes: &[u8]) -> Result<Weights> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("model.npz"), bytes).unwrap();
        Weights::open_file(&ModelFiles::Directory(directory.path().to_owned()), "model.npz")
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn members_are_read_whether_they_are_compressed_or_not() {
        let members = [
            ("Wemb.npy", npy("<f4", "False", "(2, 3)", &floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))),
            ("columns.npy", npy("<f4", "True", "(2, 3)", &floats(&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]))),
            ("half.npy", npy("<f2", "False", "(1,)", &[0, 0x3c])),
            ("counts.npy", npy("<i8", "False", "(1,)", &[0; 8])),
            ("special:model.yml.npy", npy("|i1", "False", "(13,)", b"dim-emb: 512\0")),
            ("readme.txt", b"not an array".to_vec()),
        ];
        for deflate in [false, true] {
            let weights = open(&archive(&members, deflate)).unwrap();
            for name in ["Wemb", "columns"] {
                assert_eq!(weights.tensor(name, &[2, 3]).unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "{name} {deflate}");
            }
            assert_eq!(weights.tensor("half", &[1]).unwrap(), [1.0]);
            assert_eq!(weights.said()["dim-emb"], json!(512));
            let message = weights.tensor("counts", &[1]).unwrap_err().to_string();
            assert!(message.contains("NumPy's <i8"), "{message}");
        }
    }

    #[test]
    fn an_archive_that_claims_too_much_or_holds_no_arrays_is_one_line() {
        let zeros = npy("<f4", "False", "(4000000,)", &vec![0; 16_000_000]);
        let message = open(&archive(&[("bomb.npy", zeros)], true)).unwrap_err().to_string();
        assert!(message.contains("no weights do"), "{message}");
        for data in [b"text".to_vec(), npy("<f4", "False", "(3,)", &[0; 8]), npy("<f4", "False", "(3", &[0; 12])] {
            let message = open(&archive(&[("a.npy", data)], false)).unwrap_err().to_string();
            assert!(message.contains("no NumPy array") && !message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn a_header_says_type_order_and_shape_in_whatever_order() {
        let cnpy = "{'descr': '<f4', 'fortran_order': False, 'shape': (512, 2048), }   \n";
        assert_eq!(described(cnpy), Some(("<f4", false, vec![512, 2048])));
        let other = "{\"shape\": (7,), \"fortran_order\": True, \"descr\": \"<f2\"}";
        assert_eq!(described(other), Some(("<f2", true, vec![7])));
        assert_eq!(described("{'descr': '<f4', 'fortran_order': False, 'shape': ()}"), Some(("<f4", false, vec![])));
        assert_eq!(described("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"), None);
    }
}
