//! YAML as JSON values: the options inside Marian's files, `config.yaml` of JoeyNMT, `config` of Sockeye.
//!
//! Scalars without quotes follow the core schema of YAML 1.2, so `no` and `n` are text. Tags that name a class
//! (`!ModelConfig`, `!!python/tuple`) leave what they stand before as it is. What an alias stands for is copied, within a limit,
//! so that a short file cannot ask for more memory than its length says.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Number, Value};

use super::ModelFiles;
use crate::{Error, Result as Outcome};

/// The mapping in a YAML file of a model; `None` if there is no such file.
///
/// # Errors
/// If the file cannot be read, or is no YAML mapping.
pub fn read(files: &ModelFiles, name: &str) -> Outcome<Option<Map<String, Value>>> {
    let Some(bytes) = files.read(name)? else { return Ok(None) };
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::model(files.path(name), "is not valid UTF-8"))?;
    match parse(text) {
        Ok(Value::Object(map)) => Ok(Some(map)),
        Ok(_) => Err(Error::model(files.path(name), "is not a YAML mapping")),
        Err(problem) => Err(Error::model(files.path(name), format!("is not valid YAML ({problem})"))),
    }
}

/// Lists and mappings inside one another.
const DEEPEST: usize = 64;

/// Values, and bytes of text, that aliases may copy.
const MOST_COPIED: usize = 1 << 18;

/// The first document of `text`; an empty one is null.
///
/// # Errors
/// If it is not valid YAML, has a key that is no text, or is deeper or larger than any configuration.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| error.to_string())?;
        let at = |problem: String| format!("{problem} at line {}", span.start.line());
        match event {
            Event::DocumentEnd | Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => {}
            Event::Alias(anchor) => {
                let value = builder.anchored(anchor).map_err(at)?;
                builder.add(value, 0).map_err(at)?;
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_key = builder.expects_key();
                let value = match is_key {
                    true => Value::String(text.into_owned()),
                    false => scalar(text.into_owned(), style, tag.as_deref()),
                };
                builder.add(value, anchor).map_err(at)?;
            }
            Event::SequenceStart(anchor, _) => builder.open(Inside::Sequence(Vec::new()), anchor).map_err(at)?,
            Event::MappingStart(anchor, _) => builder.open(Inside::Mapping(Map::new(), None), anchor).map_err(at)?,
            Event::SequenceEnd | Event::MappingEnd => builder.close().map_err(at)?,
        }
    }
    Ok(builder.root.unwrap_or_default())
}

/// A list or mapping that has not ended.
enum Inside {
    Sequence(Vec<Value>),
    /// What is there, and the key whose value is awaited.
    Mapping(Map<String, Value>, Option<String>),
}

#[derive(Default)]
struct Builder {
    root: Option<Value>,
    open: Vec<(Inside, usize)>,
    /// What has an anchor, and its size.
    anchors: HashMap<usize, (Value, usize)>,
    copied: usize,
}

impl Builder {
    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some((Inside::Mapping(_, None), _)))
    }

    fn open(&mut self, inside: Inside, anchor: usize) -> Result<(), String> {
        if self.expects_key() {
            return Err("a key that is not text".to_owned());
        }
        if self.open.len() == DEEPEST {
            return Err(format!("more than {DEEPEST} levels"));
        }
        self.open.push((inside, anchor));
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        match self.open.pop() {
            Some((Inside::Sequence(values), anchor)) => self.add(Value::Array(values), anchor),
            Some((Inside::Mapping(map, _), anchor)) => self.add(Value::Object(map), anchor),
            None => Err("an end without a beginning".to_owned()),
        }
    }

    fn anchored(&mut self, anchor: usize) -> Result<Value, String> {
        // An alias inside of what it stands for finds nothing: that has not ended.
        let Some((value, size)) = self.anchors.get(&anchor) else { return Err("an alias of nothing".to_owned()) };
        self.copied = self.copied.saturating_add(*size);
        if self.copied > MOST_COPIED || self.open.len() + depth(value) > DEEPEST {
            return Err("aliases that make more of the file than any configuration is".to_owned());
        }
        Ok(value.clone())
    }

    fn add(&mut self, value: Value, anchor: usize) -> Result<(), String> {
        if anchor > 0 {
            let size = size(&value);
            self.copied = self.copied.saturating_add(size);
            if self.copied > MOST_COPIED {
                return Err("anchors of more than any configuration holds".to_owned());
            }
            self.anchors.insert(anchor, (value.clone(), size));
        }
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some((Inside::Sequence(values), _)) => values.push(value),
            Some((Inside::Mapping(map, key), _)) => match (key.take(), value) {
                (Some(key), value) => drop(map.insert(key, value)),
                (None, Value::String(text)) => *key = Some(text),
                (None, _) => return Err("a key that is not text".to_owned()),
            },
        }
        Ok(())
    }
}

/// Values and bytes of text in a value.
fn size(value: &Value) -> usize {
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(size).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + size(value)).sum(),
        _ => 0,
    };
    inside + 1
}

/// Levels of lists and mappings in a value.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// A scalar by its tag, its quotes, or its form.
fn scalar(text: String, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let tag = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str());
    if tag == Some("str") || (tag.is_none() && style != ScalarStyle::Plain) {
        return Value::String(text);
    }
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(&text).map_or(Value::String(text), Value::Number),
    }
}

/// A number of the core schema; infinities and what is no number stay text, as JSON has none.
fn number(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    if let Some(digits) = unsigned.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(Into::into);
    }
    if let Some(digits) = unsigned.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().map(Into::into);
    }
    if !is_number {
        return None;
    }
    let whole = text.strip_prefix('+').unwrap_or(text);
    match (whole.parse::<u64>(), whole.parse::<i64>()) {
        (Ok(number), _) => Some(number.into()),
        (_, Ok(number)) => Some(number.into()),
        _ => text.parse().ok().and_then(Number::from_f64),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_options_of_a_marian_model_and_the_configuration_of_sockeye_become_json() {
        let marian = "dim-vocabs:\n  - 32000\n  - 32000\ntransformer-postprocess: dan\ntransformer-preprocess: n\nempty: \"\"\n\
                      tied-embeddings-all: true\nlabel-smoothing: 0.1\nepsilon: 1e-09\nversion: v1.9.56; 2020-08-05\n\
                      negative: -3\nnothing: ~\nlanguage: no\nbeyond: .inf\ncells: [ssru, '7', 0x10]\n";
        let expected = json!({
            "dim-vocabs": [32000, 32000], "transformer-postprocess": "dan", "transformer-preprocess": "n", "empty": "",
            "tied-embeddings-all": true, "label-smoothing": 0.1, "epsilon": 1e-9, "version": "v1.9.56; 2020-08-05",
            "negative": -3, "nothing": null, "language": "no", "beyond": ".inf", "cells": ["ssru", "7", 16],
        });
        assert_eq!(parse(marian), Ok(expected));
        let sockeye = "!ModelConfig\nbuckets:\n- !!python/tuple\n  - 8\n  - 8\nencoder: &a !TransformerConfig\n  dim: 16\n\
                       decoder: *a\nname: !!str 5\n7: seven\n";
        let expected = json!({
            "buckets": [[8, 8]], "encoder": {"dim": 16}, "decoder": {"dim": 16}, "name": "5", "7": "seven",
        });
        assert_eq!(parse(sockeye), Ok(expected));
        assert_eq!(parse(""), Ok(Value::Null));
    }

    #[test]
    fn a_short_file_cannot_ask_for_much() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..20 {
            let again = vec![format!("*a{}", level - 1); 9].join(", ");
            bomb += &format!("a{level}: &a{level} [{again}]\n");
        }
        assert!(parse(&bomb).unwrap_err().contains("than any configuration"));
        for deep in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(1000)] {
            let message = parse(&deep).unwrap_err();
            assert!(!message.contains('\n'), "{message}");
        }
        let mut nested = "a0: &a0 [x]\n".to_owned();
        (1..100).for_each(|level| nested += &format!("a{level}: &a{level} [*a{}]\n", level - 1));
        assert!(parse(&nested).unwrap_err().contains("aliases"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, expected) in [
            ("a: 1\nb: [1, 2", "line"),
            ("a: 1\n[1]: 2\n", "a key that is not text at line 2"),
            ("a: &x [*x]\n", "an alias of nothing at line 1"),
            ("a: *x\n", "line 1"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(expected) && !message.contains('\n'), "{text:?}: {message}");
        }
    }
}
