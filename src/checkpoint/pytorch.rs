//! PyTorch checkpoints (`pytorch_model.bin`): the zip archive written since PyTorch 1.6 and the older plain format.
//!
//! Zip: `NAME/data.pkl` describes the state dict, `NAME/data/KEY` holds each storage, uncompressed. Older: five pickles
//! one after the other (magic number, protocol, system, state dict, storage keys), then every storage as an element
//! count and its values.
//!
//! Training toolkits put more into such a file than tensors: the options of the network, vocabularies, the state of the
//! optimiser. All of that is read as data ([`Container::said`]) except for tensors, which are found wherever they are and read
//! only when somebody asks for them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Number, Value as Json};

use super::bytes::{Bytes, Cursor};
use super::pickle::{Class, Machine, Value};
use super::stored::{Container, Stored};
use crate::Result;

/// How a file of the older format begins: the pickled magic number.
const OLD_MAGIC: [u8; 14] = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Keys a training script may keep the state dict under.
const STATE_DICT_KEYS: [&str; 4] = ["state_dict", "model_state_dict", "model_state", "model"];

/// How a training script calls the state of its optimiser and of its stream of data, which are of no use here.
const TRAINING_KEYS: [&str; 5] = ["optim", "last_optimizer_state", "scheduler", "iter_state", "extra_state"];

/// Values that a pickle of no length may hold. Each byte of it adds one.
const SPARE_VALUES: usize = 10_000;

/// Bytes of text that count as one value.
const BYTES_OF_A_VALUE: usize = 8;

/// How deep values may lie in one another.
const DEEPEST: usize = 40;

/// What a file says that holds a list.
pub(super) const LIST: &str = "list";

/// Reads where every tensor of a checkpoint is, and what else it says.
///
/// # Errors
/// If the file is no PyTorch checkpoint, is damaged, or holds no tensors.
pub(super) fn read(bytes: &Bytes) -> Result<Container> {
    let (container, classes) = read_all(bytes)?;
    if container.tensors.is_empty() {
        let objects = match classes.is_empty() {
            true => String::new(),
            false => format!(", only objects ({}); nothing was executed", classes.join(", ")),
        };
        let advice = "save the model with torch.save(model.state_dict(), …) or as safetensors";
        return Err(bytes.error(format!("holds no tensors{objects}; {advice}")));
    }
    Ok(container)
}

/// The same of a file that may hold no tensors, and the names of a few classes that mean nothing here.
///
/// # Errors
/// If the file is no PyTorch checkpoint, or is damaged.
pub(super) fn read_all(bytes: &Bytes) -> Result<(Container, Vec<String>)> {
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

fn read_zip(bytes: &Bytes) -> Result<(Container, Vec<String>)> {
    let damaged = |error: zip::result::ZipError| {
        bytes.error(format!("the zip archive is truncated or damaged ({error}); download the file again"))
    };
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
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
    contents(&machine, root, &|key| entries.get(&format!("{folder}data/{key}")).copied())
}

fn read_old(bytes: &Bytes) -> Result<(Container, Vec<String>)> {
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
    contents(&machine, root, &|key| ranges.get(key).copied())
}

/// What a checkpoint holds whose outermost value is `root`, and the names of a few classes that mean nothing here; `range` finds a
/// storage's bytes by its key.
fn contents(
    machine: &Machine,
    root: Value,
    range: &dyn Fn(&str) -> Option<(u64, u64)>,
) -> Result<(Container, Vec<String>)> {
    let left = usize::try_from(machine.position()).unwrap_or(usize::MAX).saturating_add(SPARE_VALUES);
    let mut reading = Reading { machine, range, tensors: BTreeMap::new(), left, around: Vec::new() };
    let own = machine.entries(root);
    let state_dict = own.iter().find_map(|&(key, value)| {
        let key = machine.text(key)?;
        (STATE_DICT_KEYS.contains(&key) && machine.holds_tensors(value)).then_some((key, value))
    });
    match state_dict {
        Some((found, value)) => {
            reading.tensors(value, "")?;
            // What stands beside the state dict: OpenNMT-py keeps its output layer there.
            for &(key, value) in own {
                let Some(key) = machine.text(key).filter(|key| *key != found && !is_training(key)) else { continue };
                reading.tensors(value, key)?;
            }
        }
        None => reading.tensors(root, "")?,
    }
    let said = match reading.json(root)? {
        Json::Object(said) => said,
        Json::Array(items) => [(LIST.to_owned(), Json::Array(items))].into_iter().collect(),
        _ => Map::new(),
    };
    Ok((Container { tensors: reading.tensors, said, inflated: None }, machine.unknown_classes()))
}

fn is_training(key: &str) -> bool {
    TRAINING_KEYS.iter().any(|training| key.contains(training))
}

impl Machine<'_> {
    /// The entries of a dict, or of what an object was given as attributes or entries.
    fn entries(&self, value: Value) -> &[(Value, Value)] {
        match value {
            Value::Dict(dict) => &self.dicts[dict],
            Value::Object(object) => {
                let object = &self.objects[object];
                match (object.entries, object.state) {
                    (Value::Dict(dict), _) | (_, Value::Dict(dict)) => &self.dicts[dict],
                    _ => &[],
                }
            }
            _ => &[],
        }
    }

    fn text(&self, value: Value) -> Option<&str> {
        match value {
            Value::Text(text) => Some(&self.texts[text]),
            _ => None,
        }
    }

    /// Whether a value is a state dict, or a whole module.
    fn holds_tensors(&self, value: Value) -> bool {
        let is_part = |&(key, value): &(Value, Value)| {
            matches!(value, Value::Tensor(_))
                || self.text(key).is_some_and(|key| ["_modules", "_parameters"].contains(&key))
        };
        self.entries(value).iter().any(is_part)
    }

    /// The names of the classes that mean nothing here, a few of them.
    fn unknown_classes(&self) -> Vec<String> {
        let name = |object: &super::pickle::Object| match object.class {
            Value::Class(Class::Unknown(name)) => {
                Some(self.texts[name].chars().filter(|c| !c.is_control()).take(80).collect())
            }
            _ => None,
        };
        let names: BTreeSet<String> = self.objects.iter().filter_map(name).take(1000).collect();
        names.into_iter().take(3).collect()
    }
}

/// Going through the values of a pickle.
struct Reading<'a> {
    machine: &'a Machine<'a>,
    range: &'a dyn Fn(&str) -> Option<(u64, u64)>,
    tensors: BTreeMap<String, Stored>,
    /// Values that may still be looked at: lists may hold one another many times over, and memory has to stay in proportion to
    /// the file.
    left: usize,
    /// The values that hold the one that is looked at.
    around: Vec<Value>,
}

impl Reading<'_> {
    /// Counts a value with so many bytes of text.
    fn spend(&mut self, text: usize) -> Result<()> {
        let cost = 1 + text / BYTES_OF_A_VALUE;
        self.left = self.left.checked_sub(cost).ok_or_else(|| {
            self.machine.malformed("it holds the same values over and over, more of them than it has bytes")
        })?;
        Ok(())
    }

    /// Whether to look into a value: not into one that holds itself, and not too deep. If so, [`Reading::leave`] it afterwards.
    fn enter(&mut self, value: Value) -> bool {
        let enters = self.around.len() < DEEPEST && !self.around.contains(&value);
        if enters {
            self.around.push(value);
        }
        enters
    }

    fn leave(&mut self) {
        self.around.pop();
    }

    /// The tensors of a state dict, of dicts of them, and of modules that were saved whole, under dotted names.
    fn tensors(&mut self, value: Value, prefix: &str) -> Result<()> {
        if !self.enter(value) {
            return Ok(());
        }
        let machine = self.machine;
        for &(key, value) in machine.entries(value) {
            let Some(key) = machine.text(key) else { continue };
            let name = match key {
                // The parts of a module.
                "_parameters" | "_buffers" | "_modules" => prefix.to_owned(),
                key if prefix.is_empty() => key.to_owned(),
                key => format!("{prefix}.{key}"),
            };
            self.spend(name.len())?;
            match value {
                Value::Tensor(tensor) => {
                    let stored = self.stored(tensor, &name)?;
                    self.tensors.insert(name, stored);
                }
                Value::Dict(_) | Value::Object(_)
                    if self.around.len() == 1 && prefix.is_empty() && is_training(key) => {}
                Value::Dict(_) | Value::Object(_) => self.tensors(value, &name)?,
                _ => {}
            }
        }
        self.leave();
        Ok(())
    }

    fn stored(&self, tensor: usize, name: &str) -> Result<Stored> {
        let machine = self.machine;
        let view = &machine.tensors[tensor];
        let storage = &machine.storages[view.storage];
        let size = u64::from(storage.size);
        let (start, end) =
            (self.range)(&storage.key).ok_or_else(|| machine.malformed("a tensor without its storage"))?;
        if storage.len.checked_mul(size).is_none_or(|len| len > end - start) {
            return Err(machine.malformed(&format!("the storage of tensor {name} is too short")));
        }
        let dtype = storage.dtype.ok_or_else(|| "integers".to_owned());
        let contiguous = row_major(&view.shape) == view.strides || view.shape.iter().product::<usize>() <= 1;
        Ok(Stored {
            dtype,
            shape: view.shape.clone(),
            offset: start + view.offset * size,
            strides: (!contiguous).then(|| view.strides.clone()),
            divisor: None,
        })
    }

    /// A value as JSON: an object the dict of its attributes, and null what is none of its values: tensors, numbers that are none,
    /// what holds itself, and what lies too deep. The state of training is left out.
    fn json(&mut self, value: Value) -> Result<Json> {
        let machine = self.machine;
        self.spend(machine.text(value).map_or(0, str::len))?;
        Ok(match value {
            Value::Bool(flag) => flag.into(),
            Value::Int(number) => number.into(),
            Value::Float(number) => Number::from_f64(number).map_or(Json::Null, Json::Number),
            Value::Text(text) => machine.texts[text].as_str().into(),
            Value::None | Value::Other | Value::Class(_) | Value::Storage(_) | Value::Tensor(_) | Value::Mark => {
                Json::Null
            }
            _ if !self.enter(value) => Json::Null,
            _ => {
                let inside = self.json_inside(value)?;
                self.leave();
                inside
            }
        })
    }

    fn json_inside(&mut self, value: Value) -> Result<Json> {
        let machine = self.machine;
        match value {
            Value::Tuple(items) => self.json_list(&machine.tuples[items]),
            Value::List(items) => self.json_list(&machine.lists[items]),
            Value::Object(object) => {
                let object = &machine.objects[object];
                match (object.items, object.entries, object.state, object.arguments) {
                    (Value::List(items), ..) => self.json_list(&machine.lists[items]),
                    (_, Value::Dict(_), ..) | (_, _, Value::Dict(_), _) => self.json_map(value),
                    // A torchtext vocabulary before its attributes became a dict: the state is a tuple or a list.
                    (_, _, state @ (Value::Tuple(_) | Value::List(_)), _) => self.json(state),
                    (_, _, _, arguments @ (Value::Tuple(_) | Value::List(_))) => self.json(arguments),
                    _ => Ok(Json::Null),
                }
            }
            _ => self.json_map(value),
        }
    }

    fn json_list(&mut self, items: &[Value]) -> Result<Json> {
        items.iter().map(|&item| self.json(item)).collect()
    }

    fn json_map(&mut self, value: Value) -> Result<Json> {
        let is_outermost = self.around.len() == 1;
        let mut map = Map::new();
        for &(key, value) in self.machine.entries(value) {
            if matches!(value, Value::Tensor(_)) {
                continue;
            }
            let key = match key {
                Value::Text(text) => self.machine.texts[text].clone(),
                Value::Int(number) => number.to_string(),
                _ => continue,
            };
            self.spend(key.len())?;
            if !(is_outermost && is_training(&key)) {
                map.insert(key, self.json(value)?);
            }
        }
        Ok(Json::Object(map))
    }
}

fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis].max(1));
    }
    strides
}
