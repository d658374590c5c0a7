//! The keys of a JSON file, read with errors that name the file and the key.

use std::cell::RefCell;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::ModelFiles;
use crate::{Error, Result};

/// The keys of a JSON file, read with errors that name the file and the key. `null` counts as absent.
#[derive(Debug)]
pub struct Keys {
    path: PathBuf,
    map: Map<String, Value>,
    refused: RefCell<Vec<String>>,
    notes: RefCell<Vec<String>>,
    tokenizer: Option<Box<Keys>>,
}

impl Keys {
    /// Reads a JSON object; `None` if there is no such file.
    ///
    /// # Errors
    /// If the file cannot be read or is no JSON object.
    pub fn read(files: &ModelFiles, name: &str) -> Result<Option<Self>> {
        let path = files.path(name);
        let Some(bytes) = files.read(name)? else { return Ok(None) };
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(map)) => Ok(Some(Self::of(path, map))),
            Ok(_) => Err(Error::model(path, "is not a JSON object")),
            Err(error) => Err(Error::model(path, format!("is not valid JSON ({error})"))),
        }
    }

    /// The keys that a file says in another form than JSON; `path` names it in messages.
    pub fn of(path: PathBuf, map: Map<String, Value>) -> Self {
        Self { path, map, refused: RefCell::default(), notes: RefCell::default(), tokenizer: None }
    }

    /// The same with keys of another file below them: what both have is as it is here.
    #[must_use]
    pub fn over(self, below: Map<String, Value>) -> Self {
        let mut map = below;
        map.extend(self.map);
        Self { map, ..self }
    }

    /// The same with the keys of the tokenizer beside it, if it has any.
    #[must_use]
    pub fn with_tokenizer(self, tokenizer: Option<Self>) -> Self {
        Self { tokenizer: tokenizer.map(Box::new), ..self }
    }

    /// A string of the configuration, else of the tokenizer's.
    ///
    /// # Errors
    /// If the key has a value of another kind.
    pub fn tokenizer_string(&self, key: &str) -> Result<Option<String>> {
        match (self.string(key)?, &self.tokenizer) {
            (None, Some(tokenizer)) => tokenizer.string(key),
            (own, _) => Ok(own),
        }
    }

    /// A flag of the configuration, else of the tokenizer's.
    ///
    /// # Errors
    /// If the key has a value of another kind.
    pub fn tokenizer_flag(&self, key: &str, default: bool) -> Result<bool> {
        match &self.tokenizer {
            Some(tokenizer) if self.value(key).is_none() => tokenizer.flag(key, default),
            _ => self.flag(key, default),
        }
    }

    /// All keys and their values.
    pub fn map(&self) -> &Map<String, Value> {
        &self.map
    }

    /// The file they come from.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// An error about this file.
    pub fn error(&self, problem: impl Into<String>) -> Error {
        Error::model(&self.path, problem)
    }

    /// Notes something that is not supported; [`Keys::supported`] says all of it at once.
    pub fn refuse(&self, problem: impl Into<String>) {
        self.refused.borrow_mut().push(problem.into());
    }

    /// Whether nothing was refused.
    ///
    /// # Errors
    /// If anything was; the message names all of it.
    pub fn supported(&self) -> Result<()> {
        match self.refused.borrow().as_slice() {
            [] => Ok(()),
            refused => Err(self.error(refused.join("; "))),
        }
    }

    /// Notes something that the user should be told, though it is no error.
    pub fn note(&self, note: &str) {
        self.notes.borrow_mut().push(format!("{}: {note}", self.path.display()));
    }

    /// What was noted, one line each.
    pub fn notes(&self) -> Vec<String> {
        self.notes.borrow().clone()
    }

    /// The value of a key.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// The error for a key of the wrong type.
    pub fn wrong(&self, key: &str, value: &Value, expected: &str) -> Error {
        let mut shown = value.to_string();
        if shown.chars().count() > 60 {
            shown = shown.chars().take(60).chain("…".chars()).collect();
        }
        self.error(format!("`{key}` is {shown}, but {expected} is expected"))
    }

    fn typed<T>(&self, key: &str, expected: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.value(key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.wrong(key, value, expected))
    }

    /// A whole number.
    ///
    /// # Errors
    /// If the key has a value of another kind.
    pub fn number(&self, key: &str) -> Result<Option<usize>> {
        // No size in a model needs more than 31 bits; larger ones would only overflow later.
        self.typed(key, "a whole number", |value| value.as_u64().filter(|&n| n < 1 << 31).map(|n| n as usize))
    }

    /// A positive number.
    ///
    /// # Errors
    /// If the key has a value of another kind, or 0.
    pub fn size(&self, key: &str, default: usize) -> Result<usize> {
        match self.number(key)?.unwrap_or(default) {
            0 => Err(self.error(format!("`{key}` is 0"))),
            size => Ok(size),
        }
    }

    /// A number.
    ///
    /// # Errors
    /// If the key has a value of another kind.
    pub fn float(&self, key: &str) -> Result<Option<f32>> {
        self.typed(key, "a number", |value| value.as_f64().map(|n| n as f32))
    }

    /// True or false.
    ///
    /// # Errors
    /// If the key has a value of another kind.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        Ok(self.typed(key, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    /// Text.
    ///
    /// # Errors
    /// If the key has a value of another kind.
    pub fn string(&self, key: &str) -> Result<Option<String>> {
        self.typed(key, "text", |value| value.as_str().map(str::to_owned))
    }

    /// A token id. Some configs list several sentence ends; the first is the one the model writes.
    ///
    /// # Errors
    /// If the key has a value of another kind.
    pub fn id(&self, key: &str) -> Result<Option<u32>> {
        self.typed(key, "a token id", |value| {
            let first = value.as_array().map_or(Some(value), |list| list.first())?;
            first.as_u64().and_then(|id| u32::try_from(id).ok())
        })
    }

    /// An object.
    ///
    /// # Errors
    /// If the key has a value of another kind.
    pub fn section(&self, key: &str) -> Result<Option<Self>> {
        let map = self.typed(key, "an object", |value| value.as_object().cloned())?;
        Ok(map.map(|map| Self::of(self.path.clone(), map)))
    }

    /// Checks that an id is below `size`.
    ///
    /// # Errors
    /// If it is not.
    pub fn in_vocabulary(&self, key: &str, id: u32, size: usize) -> Result<()> {
        if (id as usize) < size {
            return Ok(());
        }
        Err(self.error(format!("`{key}` {id} is outside the vocabulary of {size}")))
    }
}
