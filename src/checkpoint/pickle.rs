//! A pickle reader for which everything is data.
//!
//! A pickle is a program for a small stack machine that may name any Python function and call it. This reader runs that
//! machine over plain data only: a few names have a fixed meaning here (those that build tensors and containers), and an object
//! of any other class stays closed: its class is a name, its arguments and attributes are values. Nothing is ever imported or
//! executed.
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
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A number that is too long for us.
    Other,
    Text(usize),
    Class(Class),
    /// An object of a class that means nothing here.
    Object(usize),
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
    /// A mapping made of its arguments: `OrderedDict`, `Counter`.
    Dict,
    /// `defaultdict`, whose first argument is no content.
    DefaultDict,
    /// A sequence made of its one argument: `list`, `tuple`, `set`, `torch.Size`.
    Sequence,
    RebuildTensor,
    RebuildParameter,
    /// `_rebuild_from_type_v2`: one of the two above, for a tensor with attributes.
    RebuildFromType,
    /// `_codecs.encode`: how Python 3 writes bytes for Python 2.
    Encode,
    /// `copyreg._reconstructor`: an object of the class that is its first argument.
    Reconstruct,
    /// The element type of a storage: one we read, or only its size in bytes.
    Storage(Option<Dtype>, u8),
    /// Any other; its name is that text.
    Unknown(usize),
}

/// An object that stays closed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Object {
    /// Its class, or what was called to make it.
    pub(super) class: Value,
    /// What it was made with.
    pub(super) arguments: Value,
    /// What it was given afterwards, its attributes as a rule.
    pub(super) state: Value,
    /// Entries, where it is a mapping.
    pub(super) entries: Value,
    /// Items, where it is a sequence.
    pub(super) items: Value,
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
    pub(super) objects: Vec<Object>,
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
            objects: Vec::new(),
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
                self.class(&module, &name)
            }
            // STACK_GLOBAL
            0x93 => {
                let (name, module) = (self.pop_text()?, self.pop_text()?);
                self.class(&module, &name)
            }
            // INST and OBJ, of the first protocols
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                let (class, items) = (self.class(&module, &name), self.pop_to_mark()?);
                let arguments = self.new_tuple(items);
                self.new_object(class, arguments)
            }
            b'o' => {
                let mut items = self.pop_to_mark()?;
                if items.is_empty() {
                    return Err(self.malformed("an object without a class"));
                }
                let class = items.remove(0);
                let arguments = self.new_tuple(items);
                self.new_object(class, arguments)
            }
            b'0' => return self.pop().map(drop),
            b'1' => return self.pop_to_mark().map(drop),
            b'2' => *self.stack.last().ok_or_else(|| self.malformed("empty stack"))?,
            b'(' => Value::Mark,
            b')' => self.new_tuple(Vec::new()),
            // A set is a list here.
            b']' | 0x8f => self.new_list(),
            b'}' => self.new_dict(),
            b'l' | 0x91 => {
                let items = self.pop_to_mark()?;
                self.lists.push(items);
                Value::List(self.lists.len() - 1)
            }
            b'd' => {
                let items = self.pop_to_mark()?;
                let dict = self.new_dict();
                self.stack.push(dict);
                return self.set_items(items);
            }
            b'N' => Value::None,
            0x88 | 0x89 => Value::Bool(opcode == 0x88),
            b'G' => {
                let bytes = self.take(8)?;
                Value::Float(bytes.first_chunk().map_or(0.0, |&bytes| f64::from_be_bytes(bytes)))
            }
            b'F' => Value::Float(self.line()?.parse().map_err(|_| self.malformed("a number that is none"))?),
            b'I' | b'L' => match self.line()?.trim_end_matches('L') {
                "00" => Value::Bool(false),
                "01" => Value::Bool(true),
                number => number.parse().map_or(Value::Other, Value::Int),
            },
            b'S' => {
                let line = self.line()?;
                let quote = line.chars().next().filter(|quote| ['\'', '"'].contains(quote));
                let inside = quote.and_then(|quote| line.strip_prefix(quote)?.strip_suffix(quote));
                let text = unescaped(inside.ok_or_else(|| self.malformed("text without quotes"))?);
                self.new_text(text)
            }
            b'V' => {
                let text = unescaped(&self.line()?);
                self.new_text(text)
            }
            b'K' => Value::Int(self.unsigned(1)? as i64),
            b'M' => Value::Int(self.unsigned(2)? as i64),
            b'J' => Value::Int(self.unsigned(4)? as u32 as i32 as i64),
            0x8a => self.long(1)?,
            0x8b => self.long(4)?,
            b'X' => self.unicode(4)?,
            0x8c => self.unicode(1)?,
            0x8d => self.unicode(8)?,
            // Bytes: text as far as it is any, which the strings of Python 2 are.
            b'U' | b'C' => self.bytes(1)?,
            b'T' | b'B' => self.bytes(4)?,
            0x8e | 0x96 => self.bytes(8)?,
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
            b'Q' => self.persistent()?,
            b'R' | 0x81 => self.call()?,
            // NEWOBJ_EX: keyword arguments, too, which are left out
            0x92 => {
                self.pop()?;
                self.call()?
            }
            b'h' | b'j' | b'g' => {
                let key = match opcode {
                    b'g' => self.line()?.parse().map_err(|_| self.malformed("a reference to nothing"))?,
                    _ => self.unsigned(if opcode == b'h' { 1 } else { 4 })? as u32,
                };
                *self.memo.get(&key).ok_or_else(|| self.malformed("a reference to nothing"))?
            }
            b'q' | b'r' | b'p' | 0x94 => {
                let key = match opcode {
                    0x94 => self.memo.len() as u32,
                    b'p' => self.line()?.parse().map_err(|_| self.malformed("a reference that is no number"))?,
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
            b'e' | 0x90 => {
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
            // BUILD: the attributes of an object. Those of a dict (its `_metadata`) say nothing about the tensors.
            b'b' => {
                let state = self.pop()?;
                if let Some(&Value::Object(object)) = self.stack.last() {
                    self.objects[object].state = state;
                }
                return Ok(());
            }
            other => {
                return Err(self.malformed(&format!("pickle instruction {other:#04x} is not one that PyTorch writes")));
            }
        };
        self.stack.push(value);
        Ok(())
    }

    /// The meaning of a Python name.
    fn class(&mut self, module: &str, name: &str) -> Value {
        Value::Class(match (module, name) {
            ("collections", "OrderedDict" | "Counter") | ("builtins" | "__builtin__", "dict") => Class::Dict,
            ("collections", "defaultdict") => Class::DefaultDict,
            ("builtins" | "__builtin__", "list" | "tuple" | "set" | "frozenset") | ("torch", "Size") => Class::Sequence,
            ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => Class::RebuildTensor,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Class::RebuildParameter,
            ("torch._tensor", "_rebuild_from_type_v2") => Class::RebuildFromType,
            ("_codecs", "encode") => Class::Encode,
            ("copyreg" | "copy_reg", "_reconstructor") => Class::Reconstruct,
            ("torch" | "torch.cuda", "FloatStorage") => Class::Storage(Some(Dtype::F32), 4),
            ("torch" | "torch.cuda", "DoubleStorage") => Class::Storage(Some(Dtype::F64), 8),
            ("torch" | "torch.cuda", "HalfStorage") => Class::Storage(Some(Dtype::F16), 2),
            ("torch" | "torch.cuda", "BFloat16Storage") => Class::Storage(Some(Dtype::Bf16), 2),
            ("torch" | "torch.cuda", "LongStorage") => Class::Storage(None, 8),
            ("torch" | "torch.cuda", "IntStorage") => Class::Storage(None, 4),
            ("torch" | "torch.cuda", "ShortStorage") => Class::Storage(None, 2),
            ("torch" | "torch.cuda", "ByteStorage" | "CharStorage" | "BoolStorage") => Class::Storage(None, 1),
            _ => {
                self.texts.push(format!("{module}.{name}"));
                Class::Unknown(self.texts.len() - 1)
            }
        })
    }

    /// REDUCE and NEWOBJ: the few calls that build tensors and containers; of any other the arguments are kept.
    fn call(&mut self) -> Result<Value> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let args: Vec<Value> = match arguments {
            // No call that means anything has more.
            Value::Tuple(tuple) => self.tuples[tuple].iter().copied().take(7).collect(),
            _ => return Err(self.malformed("a call without arguments")),
        };
        let Value::Class(class) = callable else { return Ok(self.new_object(callable, arguments)) };
        Ok(match (class, args.as_slice()) {
            (Class::Dict, [dict @ Value::Dict(_), ..]) => *dict,
            (Class::Dict, [Value::List(pairs)]) => {
                let pairs = std::mem::take(&mut self.lists[*pairs]);
                let pair = |value: &Value| match value {
                    Value::Tuple(pair) => Some((*self.tuples[*pair].first()?, *self.tuples[*pair].get(1)?)),
                    Value::List(pair) => Some((*self.lists[*pair].first()?, *self.lists[*pair].get(1)?)),
                    _ => None,
                };
                let pairs = pairs.iter().filter_map(pair).collect();
                self.dicts.push(pairs);
                Value::Dict(self.dicts.len() - 1)
            }
            (Class::Dict | Class::DefaultDict, _) => self.new_dict(),
            (Class::Sequence, [items @ (Value::List(_) | Value::Tuple(_))]) => *items,
            (Class::Sequence, _) => self.new_list(),
            (Class::RebuildParameter, [data @ Value::Tensor(_), ..]) => *data,
            (
                Class::RebuildFromType,
                &[
                    of @ Value::Class(Class::RebuildTensor | Class::RebuildParameter),
                    _,
                    arguments @ Value::Tuple(_),
                    ..,
                ],
            ) => {
                self.stack.extend([of, arguments]);
                return self.call();
            }
            (Class::Encode, [text @ Value::Text(_), ..]) => *text,
            (Class::Reconstruct, [class, ..]) => self.new_object(*class, Value::None),
            (
                Class::RebuildTensor,
                &[Value::Storage(storage), Value::Int(offset), Value::Tuple(shape), Value::Tuple(strides), ..],
            ) => return self.tensor(storage, offset, shape, strides),
            (Class::RebuildTensor | Class::RebuildParameter, _) => {
                return Err(self.malformed("a call that builds no tensor"));
            }
            _ => self.new_object(callable, arguments),
        })
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

    /// BINPERSID: `('storage', class, key, location, element count[, view])`, and in old files
    /// `('module', class, file, source code)`, of which the class alone is of interest.
    fn persistent(&mut self) -> Result<Value> {
        let id = self.pop()?;
        let items = match id {
            Value::Tuple(tuple) => self.tuples[tuple].as_slice(),
            _ => &[],
        };
        let storage = match *items {
            [Value::Text(kind), class @ Value::Class(_), ..] if self.texts[kind] == "module" => return Ok(class),
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
        let list = match self.stack.last() {
            Some(&Value::List(list)) => list,
            Some(&Value::Object(object)) => match self.objects[object].items {
                Value::List(list) => list,
                _ => {
                    self.lists.push(Vec::new());
                    self.objects[object].items = Value::List(self.lists.len() - 1);
                    self.lists.len() - 1
                }
            },
            _ => return Err(self.malformed("an item outside a list")),
        };
        self.lists[list].extend(items);
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Value>) -> Result<()> {
        let dict = match self.stack.last() {
            Some(&Value::Dict(dict)) => dict,
            Some(&Value::Object(object)) => match self.objects[object].entries {
                Value::Dict(dict) => dict,
                _ => {
                    self.dicts.push(Vec::new());
                    self.objects[object].entries = Value::Dict(self.dicts.len() - 1);
                    self.dicts.len() - 1
                }
            },
            _ => return Err(self.malformed("an item outside a dict")),
        };
        if !items.len().is_multiple_of(2) {
            return Err(self.malformed("a key without a value"));
        }
        self.dicts[dict].extend(items.as_chunks().0.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    fn new_object(&mut self, class: Value, arguments: Value) -> Value {
        let (state, entries, items) = (Value::None, Value::None, Value::None);
        self.objects.push(Object { class, arguments, state, entries, items });
        Value::Object(self.objects.len() - 1)
    }

    fn new_text(&mut self, text: String) -> Value {
        self.texts.push(text);
        Value::Text(self.texts.len() - 1)
    }

    fn pop_text(&mut self) -> Result<String> {
        match self.pop()? {
            Value::Text(text) => Ok(self.texts[text].clone()),
            _ => Err(self.malformed("a name that is no text")),
        }
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

    /// LONG1 and LONG4: at most eight bytes make a number we can use; longer ones (the file's magic number) are skipped.
    fn long(&mut self, length_bytes: u64) -> Result<Value> {
        let len = self.unsigned(length_bytes)?;
        let bytes = self.take(len)?;
        if bytes.len() > 8 {
            return Ok(Value::Other);
        }
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut padded = [if negative { 0xff } else { 0 }; 8];
        padded[..bytes.len()].copy_from_slice(&bytes);
        Ok(Value::Int(i64::from_le_bytes(padded)))
    }

    fn unicode(&mut self, length_bytes: u64) -> Result<Value> {
        let len = self.unsigned(length_bytes)?;
        let bytes = self.take(len)?;
        let text = String::from_utf8(bytes).map_err(|_| self.malformed("text that is not UTF-8"))?;
        Ok(self.new_text(text))
    }

    fn bytes(&mut self, length_bytes: u64) -> Result<Value> {
        let len = self.unsigned(length_bytes)?;
        let bytes = self.take(len)?;
        Ok(self.new_text(String::from_utf8_lossy(&bytes).into_owned()))
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

/// Text whose unusual characters are written as `\\xe9` (a byte), `\\u00e9` (a character), `\\n` and the like, as protocol 0 has it.
fn unescaped(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        let number = |digits: usize| u32::from_str_radix(rest.get(1..=digits)?, 16).ok();
        let (length, character) = match rest.bytes().next() {
            Some(b'x') if number(2).is_some() => {
                bytes.extend(number(2).map(|byte| byte as u8));
                (3, None)
            }
            Some(b'u') => (5, number(4).and_then(char::from_u32)),
            Some(b'U') => (9, number(8).and_then(char::from_u32)),
            Some(b'n') => (1, Some('\n')),
            Some(b't') => (1, Some('\t')),
            Some(b'r') => (1, Some('\r')),
            Some(own @ (b'\\' | b'\'' | b'"')) => (1, Some(char::from(own))),
            // No escape: the backslash is one.
            _ => (0, Some('\\')),
        };
        if let Some(character) = character {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}
