//! PyTorch checkpoints (`pytorch_model.bin`): the zip archive written since PyTorch 1.6 and the older plain format.
//!
//! Zip: `NAME/data.pkl` describes the state dict, `NAME/data/KEY` holds each storage, uncompressed. Older: five pickles
//! one after the other (magic number, protocol, system, state dict, storage keys), then every storage as an element
//! count and its values.

use std::collections::{BTreeMap, HashMap};
use std::io::{Error as IoError, Read, Seek, SeekFrom};

use super::bytes::Bytes;
use super::pickle::{Machine, Value};
use super::stored::Stored;
use crate::Result;

/// How a file of the older format begins: the pickled magic number.
const OLD_MAGIC: [u8; 14] = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Keys a training script may keep the state dict under.
const STATE_DICT_KEYS: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// Reads where every tensor of a checkpoint is.
///
/// # Errors
/// If the file is no PyTorch checkpoint, is damaged, or holds anything but tensors.
pub(super) fn read_tensors(bytes: &Bytes) -> Result<BTreeMap<String, Stored>> {
    let mut head = [0; OLD_MAGIC.len()];
    if bytes.len() < head.len() as u64 {
        return Err(bytes.truncated());
    }
    bytes.read_at(0, &mut head)?;
    if head.starts_with(b"PK\x03\x04") {
        read_zip(bytes)
    } else if head == OLD_MAGIC {
        read_old(bytes)
    } else {
        Err(bytes.error("is not a PyTorch checkpoint: neither a zip archive nor the format before PyTorch 1.6"))
    }
}

fn read_zip(bytes: &Bytes) -> Result<BTreeMap<String, Stored>> {
    let damaged = |error: zip::result::ZipError| {
        bytes.error(format!("the zip archive is truncated or damaged ({error}); download the file again"))
    };
    let mut archive = zip::ZipArchive::new(Cursor { bytes, position: 0 }).map_err(damaged)?;
    let mut entries = HashMap::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(damaged)?;
        let name = entry.name().map_err(damaged)?.into_owned();
        if entry.compression() != zip::CompressionMethod::Stored {
            return Err(bytes.error(format!("{name} is compressed inside the archive, which torch.save never does")));
        }
        let start = entry.data_start().unwrap_or(u64::MAX);
        let end = start.checked_add(entry.size()).filter(|&end| end <= bytes.len());
        entries.insert(name, (start, end.ok_or_else(|| bytes.truncated())?));
    }
    let pickle = entries.iter().find_map(|(name, &range)| Some((name.strip_suffix("data.pkl")?, range)));
    let Some((folder, (start, end))) = pickle else {
        return Err(bytes.error("is a zip archive without data.pkl, so not a PyTorch checkpoint"));
    };
    let mut machine = Machine::new(bytes, start, end);
    let root = machine.run()?;
    state_dict(&machine, root, |key| entries.get(&format!("{folder}data/{key}")).copied())
}

fn read_old(bytes: &Bytes) -> Result<BTreeMap<String, Stored>> {
    let mut machine = Machine::new(bytes, 0, bytes.len());
    let _magic = machine.run()?;
    let _protocol = machine.run()?;
    let _system = machine.run()?;
    let root = machine.run()?;
    let keys = machine.run()?;
    let Value::List(keys) = keys else { return Err(machine.malformed("no list of storages")) };
    let sizes: HashMap<&str, (u64, u8)> =
        machine.storages.iter().map(|storage| (storage.key.as_str(), (storage.len, storage.size))).collect();
    let mut position = machine.position();
    let mut ranges = HashMap::new();
    for key in &machine.lists[keys] {
        let key = match key {
            Value::Text(key) => machine.texts[*key].as_str(),
            _ => return Err(machine.malformed("a storage without a name")),
        };
        let &(len, size) = sizes.get(key).ok_or_else(|| machine.malformed("a storage no tensor uses"))?;
        let mut written = [0; 8];
        bytes.read_at(position, &mut written)?;
        if u64::from_le_bytes(written) != len {
            return Err(machine.malformed("a storage of another size than announced"));
        }
        let start = position + 8;
        let end = len.checked_mul(u64::from(size)).and_then(|len| start.checked_add(len));
        position = end.filter(|&end| end <= bytes.len()).ok_or_else(|| bytes.truncated())?;
        ranges.insert(key, (start, position));
    }
    state_dict(&machine, root, |key| ranges.get(key).copied())
}

/// The tensors of the state dict `root`; `range` finds a storage's bytes by its key.
fn state_dict(
    machine: &Machine,
    root: Value,
    range: impl Fn(&str) -> Option<(u64, u64)>,
) -> Result<BTreeMap<String, Stored>> {
    let entries = |value: Value| match value {
        Value::Dict(dict) => machine.dicts[dict].as_slice(),
        _ => &[],
    };
    let key_text = |key: &Value| match key {
        Value::Text(text) => Some(machine.texts[*text].as_str()),
        _ => None,
    };
    let nested = entries(root).iter().find_map(|(key, value)| {
        let is_state_dict = STATE_DICT_KEYS.contains(&key_text(key)?) && matches!(value, Value::Dict(_));
        is_state_dict.then_some(*value)
    });
    let mut tensors = BTreeMap::new();
    for (key, value) in entries(nested.unwrap_or(root)) {
        let (Some(name), Value::Tensor(tensor)) = (key_text(key), *value) else { continue };
        let view = &machine.tensors[tensor];
        let storage = &machine.storages[view.storage];
        let size = u64::from(storage.size);
        let (start, end) = range(&storage.key).ok_or_else(|| machine.malformed("a tensor without its storage"))?;
        if storage.len.checked_mul(size).is_none_or(|len| len > end - start) {
            return Err(machine.malformed(&format!("the storage of tensor {name} is too short")));
        }
        let dtype = storage.dtype.ok_or_else(|| "integers".to_owned());
        let contiguous = row_major(&view.shape) == view.strides || view.shape.iter().product::<usize>() <= 1;
        tensors.insert(
            name.to_owned(),
            Stored {
                dtype,
                shape: view.shape.clone(),
                offset: start + view.offset * size,
                strides: (!contiguous).then(|| view.strides.clone()),
                divisor: None,
            },
        );
    }
    if tensors.is_empty() {
        return Err(machine.malformed("no tensors in it; a state dict is expected"));
    }
    Ok(tensors)
}

fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis].max(1));
    }
    strides
}

/// A reading position, for the zip crate.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a Bytes,
    pub(super) position: u64,
}

impl Read for Cursor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.bytes.len().saturating_sub(self.position);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        self.bytes.read_at(self.position, &mut buffer[..count]).map_err(IoError::other)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Cursor<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.bytes.len().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| IoError::other("a position before the start"))?;
        Ok(self.position)
    }
}
