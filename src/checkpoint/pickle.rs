//! A pickle reader that knows tensors and nothing else.
//!
//! A pickle is a program for a small stack machine that may name any Python function and call it. This reader runs that
//! machine over plain data only: the names it knows are the ones `torch.save` writes for a state dict, each has a fixed
//! meaning here, and any other name is an error. Nothing is ever imported or executed.
//!
//! The candle crate has such a reader too, but it stops at the older file format most OPUS-MT checkpoints of 2020 are
//! in, and a damaged file can make it panic or copy without bound. Here every value is a small copyable handle into
//! growing tables, so memory stays proportional to the bytes read and nothing nests.

use std::collections::HashMap;

use super::bytes::Bytes;
use super::dtype::Dtype;
use crate::{Error, Result};

/// The longest pickle read. A state dict of a thousand tensors is about 100 KB.
const MAX_PICKLE: u64 = 32 << 20;

/// A value on the machine's stack; everything of variable size is an index into a table of [`Machine`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Int(i64),
    /// A bool, a float or an object that means nothing to us.
    Other,
    Text(usize),
    Class(Class),
    Tuple(usize),
    List(usize),
    Dict(usize),
    Storage(usize),
    Tensor(usize),
    Mark,
}

/// The Python names that may occur.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Class {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// The element type of a storage: one we read, or only its size in bytes.
    Storage(Option<Dtype>, u8),
}

/// A flat run of numbers in the file, which tensors are views of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Storage {
    /// Its name in the archive.
    pub(super) key: String,
    pub(super) dtype: Option<Dtype>,
    /// Bytes per element.
    pub(super) size: u8,
    /// Number of elements.
    pub(super) len: u64,
}

/// A view of a storage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TensorView {
    /// Index into [`Machine::storages`].
    pub(super) storage: usize,
    /// First element.
    pub(super) offset: u64,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// The stack machine and everything it has built. Tables are shared by consecutive pickles of one file.
pub(super) struct Machine<'a> {
    bytes: &'a Bytes,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    buffer_start: u64,
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
    pub(super) texts: Vec<String>,
    pub(super) tuples: Vec<Vec<Value>>,
    pub(super) lists: Vec<Vec<Value>>,
    pub(super) dicts: Vec<Vec<(Value, Value)>>,
    pub(super) storages: Vec<Storage>,
    pub(super) tensors: Vec<TensorView>,
}

impl<'a> Machine<'a> {
    /// A machine that reads `bytes` from `start`, at most to `end`.
    pub(super) fn new(bytes: &'a Bytes, start: u64, end: u64) -> Self {
        Self {
            bytes,
            position: start,
            end: end.min(start.saturating_add(MAX_PICKLE)).min(bytes.len()),
            buffer: Vec::new(),
            buffer_start: start,
            stack: Vec::new(),
            memo: HashMap::new(),
            texts: Vec::new(),
            tuples: Vec::new(),
            lists: Vec::new(),
            dicts: Vec::new(),
            storages: Vec::new(),
            tensors: Vec::new(),
        }
    }

    /// Where the next byte is read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// An error about this pickle.
    pub(super) fn malformed(&self, problem: &str) -> Error {
        self.bytes.error(format!("malformed PyTorch checkpoint ({problem}); download the file again"))
    }

    /// Runs one pickle and returns what it left.
    pub(super) fn run(&mut self) -> Result<Value> {
        self.stack.clear();
        self.memo.clear();
        loop {
            let opcode = self.byte()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            // Protocol version and frames only matter to the writer.
            0x80 => return self.take(1).map(drop),
            0x95 => return self.take(8).map(drop),
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.class(&module, &name)?
            }
            b'(' => Value::Mark,
            b')' => self.new_tuple(Vec::new()),
            b']' => self.new_list(),
            b'}' => self.new_dict(),
            b'N' => Value::None,
            0x88 | 0x89 => Value::Other,
            b'G' => self.take(8).map(|_| Value::Other)?,
            b'K' => Value::Int(self.unsigned(1)? as i64),
            b'M' => Value::Int(self.unsigned(2)? as i64),
            b'J' => Value::Int(self.unsigned(4)? as u32 as i32 as i64),
            0x8a => self.long()?,
            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
            b't' => {
                let items = self.pop_to_mark()?;
                self.new_tuple(items)
            }
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let start = self.stack.len().checked_sub(count).ok_or_else(|| self.malformed("empty stack"))?;
                let items = self.stack.split_off(start);
                self.new_tuple(items)
            }
            b'Q' => self.storage()?,
            b'R' | 0x81 => self.call()?,
            b'h' | b'j' => {
                let key = self.unsigned(if opcode == b'h' { 1 } else { 4 })? as u32;
                *self.memo.get(&key).ok_or_else(|| self.malformed("a reference to nothing"))?
            }
            b'q' | b'r' | 0x94 => {
                let key = match opcode {
                    0x94 => self.memo.len() as u32,
                    _ => self.unsigned(if opcode == b'q' { 1 } else { 4 })? as u32,
                };
                let top = *self.stack.last().ok_or_else(|| self.malformed("empty stack"))?;
                self.memo.insert(key, top);
                return Ok(());
            }
            b'a' => {
                let item = self.pop()?;
                return self.append(vec![item]);
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                return self.append(items);
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                return self.set_items(vec![key, value]);
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                return self.set_items(items);
            }
            // BUILD: attributes of an ordered dict (its `_metadata`) say nothing about the tensors.
            b'b' => return self.pop().map(drop),
            other => return Err(self.malformed(&format!("pickle instruction {other:#04x} is not one of a state dict"))),
        };
        self.stack.push(value);
        Ok(())
    }

    /// The meaning of a Python name; an unknown one is where a hostile file is stopped.
    fn class(&self, module: &str, name: &str) -> Result<Value> {
        let class = match (module, name) {
            ("collections", "OrderedDict") => Class::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Class::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Class::RebuildParameter,
            ("torch", "FloatStorage") => Class::Storage(Some(Dtype::F32), 4),
            ("torch", "DoubleStorage") => Class::Storage(Some(Dtype::F64), 8),
            ("torch", "HalfStorage") => Class::Storage(Some(Dtype::F16), 2),
            ("torch", "BFloat16Storage") => Class::Storage(Some(Dtype::Bf16), 2),
            ("torch", "LongStorage") => Class::Storage(None, 8),
            ("torch", "IntStorage") => Class::Storage(None, 4),
            ("torch", "ShortStorage") => Class::Storage(None, 2),
            ("torch", "ByteStorage" | "CharStorage" | "BoolStorage") => Class::Storage(None, 1),
            _ => {
                let shown: String = format!("{module}.{name}").chars().filter(|c| !c.is_control()).take(100).collect();
                return Err(self.bytes.error(format!(
                    "the pickle refers to {shown}, which is no part of a state dict; nothing was executed, and only plain \
                     tensors are read: save the model with torch.save(model.state_dict(), …) or as safetensors"
                )));
            }
        };
        Ok(Value::Class(class))
    }

    /// REDUCE and NEWOBJ: the few calls that build tensors.
    fn call(&mut self) -> Result<Value> {
        let (args, callable) = (self.pop()?, self.pop()?);
        let args = match args {
            Value::Tuple(tuple) => self.tuples[tuple].clone(),
            _ => return Err(self.malformed("a call without arguments")),
        };
        match (callable, args.as_slice()) {
            (Value::Class(Class::OrderedDict), _) => Ok(self.new_dict()),
            (Value::Class(Class::RebuildParameter), [data @ Value::Tensor(_), ..]) => Ok(*data),
            (
                Value::Class(Class::RebuildTensor),
                &[Value::Storage(storage), Value::Int(offset), Value::Tuple(shape), Value::Tuple(strides), ..],
            ) => self.tensor(storage, offset, shape, strides),
            _ => Err(self.malformed("a call that builds no tensor")),
        }
    }

    /// `_rebuild_tensor_v2(storage, storage_offset, size, stride, …)`
    fn tensor(&mut self, storage: usize, offset: i64, shape: usize, strides: usize) -> Result<Value> {
        let numbers = |tuple: usize| -> Option<Vec<usize>> {
            let number = |value: &Value| match value {
                Value::Int(n) => usize::try_from(*n).ok(),
                _ => None,
            };
            self.tuples[tuple].iter().map(number).collect()
        };
        let view = (|| {
            let (shape, strides) = (numbers(shape)?, numbers(strides)?);
            let offset = u64::try_from(offset).ok()?;
            let len = self.storages[storage].len;
            let count = shape.iter().try_fold(1u64, |count, &d| count.checked_mul(d as u64))?;
            let mut end = offset.checked_add(u64::from(count > 0))?;
            if count > 0 {
                for (&d, &stride) in shape.iter().zip(&strides) {
                    end = end.checked_add((d as u64 - 1).checked_mul(stride as u64)?)?;
                }
            }
            let fits = shape.len() == strides.len() && count <= len && end <= len;
            fits.then_some(TensorView { storage, offset, shape, strides })
        })();
        self.tensors.push(view.ok_or_else(|| self.malformed("a tensor that does not fit its storage"))?);
        Ok(Value::Tensor(self.tensors.len() - 1))
    }

    /// BINPERSID: `('storage', class, key, location, element count[, view])`
    fn storage(&mut self) -> Result<Value> {
        let id = self.pop()?;
        let items = match id {
            Value::Tuple(tuple) => self.tuples[tuple].as_slice(),
            _ => &[],
        };
        let storage = match *items {
            [
                Value::Text(kind),
                Value::Class(Class::Storage(dtype, size)),
                Value::Text(key),
                Value::Text(_),
                Value::Int(len),
            ]
            | [
                Value::Text(kind),
                Value::Class(Class::Storage(dtype, size)),
                Value::Text(key),
                Value::Text(_),
                Value::Int(len),
                Value::None,
            ] if self.texts[kind] == "storage" && len >= 0 => {
                Storage { key: self.texts[key].clone(), dtype, size, len: len as u64 }
            }
            _ => return Err(self.malformed("a reference to something that is no storage")),
        };
        self.storages.push(storage);
        Ok(Value::Storage(self.storages.len() - 1))
    }

    fn append(&mut self, items: Vec<Value>) -> Result<()> {
        match self.stack.last() {
            Some(&Value::List(list)) => self.lists[list].extend(items),
            _ => return Err(self.malformed("an item outside a list")),
        }
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Value>) -> Result<()> {
        match self.stack.last() {
            Some(&Value::Dict(dict)) if items.len().is_multiple_of(2) => {
                self.dicts[dict].extend(items.as_chunks().0.iter().map(|&[key, value]| (key, value)));
            }
            _ => return Err(self.malformed("an item outside a dict")),
        }
        Ok(())
    }

    fn new_tuple(&mut self, items: Vec<Value>) -> Value {
        self.tuples.push(items);
        Value::Tuple(self.tuples.len() - 1)
    }

    fn new_list(&mut self) -> Value {
        self.lists.push(Vec::new());
        Value::List(self.lists.len() - 1)
    }

    fn new_dict(&mut self) -> Value {
        self.dicts.push(Vec::new());
        Value::Dict(self.dicts.len() - 1)
    }

    fn pop(&mut self) -> Result<Value> {
        self.stack.pop().ok_or_else(|| self.malformed("empty stack"))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.stack.iter().rposition(|&value| value == Value::Mark);
        let mark = mark.ok_or_else(|| self.malformed("a missing mark"))?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    /// LONG1: at most eight bytes make a number we can use; longer ones (the file's magic number) are skipped.
    fn long(&mut self) -> Result<Value> {
        let len = self.byte()?;
        let bytes = self.take(u64::from(len))?;
        if bytes.len() > 8 {
            return Ok(Value::Other);
        }
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut padded = [if negative { 0xff } else { 0 }; 8];
        padded[..bytes.len()].copy_from_slice(&bytes);
        Ok(Value::Int(i64::from_le_bytes(padded)))
    }

    fn text(&mut self, length_bytes: u64) -> Result<Value> {
        let len = self.unsigned(length_bytes)?;
        let bytes = self.take(len)?;
        self.texts.push(String::from_utf8(bytes).map_err(|_| self.malformed("text that is not UTF-8"))?);
        Ok(Value::Text(self.texts.len() - 1))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
                byte => line.push(byte),
            }
        }
    }

    fn unsigned(&mut self, bytes: u64) -> Result<u64> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)))
    }

    fn byte(&mut self) -> Result<u8> {
        if self.position >= self.end {
            return Err(self.bytes.truncated());
        }
        let at = (self.position - self.buffer_start) as usize;
        if let Some(&byte) = self.buffer.get(at) {
            self.position += 1;
            return Ok(byte);
        }
        self.buffer = self.bytes.read_range(self.position, (self.end - self.position).min(1 << 16))?;
        self.buffer_start = self.position;
        self.position += 1;
        Ok(self.buffer[0])
    }

    /// The next `count` bytes; never allocates more than the pickle has left.
    fn take(&mut self, count: u64) -> Result<Vec<u8>> {
        if count > self.end - self.position {
            return Err(self.bytes.truncated());
        }
        (0..count).map(|_| self.byte()).collect()
    }
}
