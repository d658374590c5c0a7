//! What one line of input asks for.
//!
//! Nothing here knows the rest of the command line: the fuzz targets compile this file on its own.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use translate::Result;
use translate::pipeline::Line;
use translate::text::glossary;

/// How a line of input is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputFormat {
    /// The line is the sentence.
    Text,
    /// The line is a JSON object with the sentence in `text`.
    Json,
    /// The sentence is this tab-separated column, counted from 1.
    Column(usize),
}

/// The sentence of a line, and what the line itself says about its translation.
#[derive(Clone, Debug, Default)]
pub(super) struct LineRequest {
    /// The JSON fields to be passed through.
    pub(super) fields: Fields,
    /// What to translate; may be blank.
    pub(super) text: String,
    /// What the translation must begin with.
    pub(super) prefix: Option<String>,
    /// At most this many generated tokens.
    pub(super) max_length: Option<usize>,
    /// Source and target language.
    pub(super) languages: (Option<String>, Option<String>),
    /// Words the translation must have, each in its forms.
    pub(super) force: Vec<Vec<String>>,
}

impl LineRequest {
    /// Reads a line.
    ///
    /// # Errors
    /// If it has no such column, or is no JSON object with a string in `text` and options of the right types.
    pub(super) fn parse(line: &Line, format: InputFormat) -> Result<Self> {
        let plain = |text: &str| Self { text: text.to_owned(), ..Self::default() };
        match format {
            InputFormat::Text => Ok(plain(&line.text)),
            InputFormat::Column(column) => {
                let text = column.checked_sub(1).and_then(|column| line.text.split('\t').nth(column));
                text.map(plain).ok_or_else(|| {
                    let columns = line.text.split('\t').count();
                    line.error(format!("there is no column {column}; the line has {columns}"))
                })
            }
            InputFormat::Json => Self::parse_json(line),
        }
    }

    fn parse_json(line: &Line) -> Result<Self> {
        let problem = |error| line.error(format!("not a JSON object: {error}; write {{\"text\": \"…\"}}"));
        let mut fields: Fields = serde_json::from_str(&line.text).map_err(problem)?;
        let text = match fields.get("text").map(serde_json::from_str::<String>) {
            Some(Ok(text)) => text,
            Some(Err(error)) if !error.is_data() => return Err(line.error(format!("\"text\" cannot be read: {error}"))),
            _ => return Err(line.error("the JSON object has no string in \"text\"")),
        };
        let string = |key: &str| match fields.get(key).map(serde_json::from_str::<Option<String>>) {
            None => Ok(None),
            Some(Ok(value)) => Ok(value),
            Some(Err(_)) => Err(line.error(format!("\"{key}\" must be a string"))),
        };
        let prefix = string("target_prefix")?;
        let languages = (string("source_lang")?, string("target_lang")?);
        let max_length = match fields.get("max_length").map(serde_json::from_str::<Option<u64>>) {
            None | Some(Ok(None)) => None,
            Some(Ok(Some(length))) if length > 0 => usize::try_from(length).ok(),
            Some(_) => return Err(line.error("\"max_length\" must be a whole number above 0")),
        };
        let force = match fields.get("force").map(serde_json::from_str::<Option<Vec<String>>>) {
            None | Some(Ok(None)) => Vec::new(),
            Some(Ok(Some(words))) => words.iter().map(|word| glossary::forms(word)).collect(),
            Some(Err(_)) => return Err(line.error("\"force\" must be a list of words")),
        };
        if force.iter().any(Vec::is_empty) {
            return Err(line.error("\"force\" has a word without a letter or sign in it"));
        }
        let for_us = ["target_prefix", "source_lang", "target_lang", "max_length", "force"];
        fields.0.retain(|field| !for_us.contains(&field.name.as_str()));
        Ok(Self { fields, text, prefix, max_length, languages, force })
    }
}

/// The fields of a JSON object, in their order and as they were written: numbers keep their digits, texts their escapes.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<Field>);

#[derive(Clone, Debug)]
struct Field {
    /// The name itself.
    name: String,
    /// The name as it was written, in its quotes.
    key: Box<RawValue>,
    value: Box<RawValue>,
}

impl Fields {
    /// The value of a field as it was written; the last one if there are several of the name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|field| field.name == name).map(|field| field.value.get())
    }

    /// Appends `"name":value` of each field that `is_wanted` by its name, with commas between them.
    pub(super) fn write(&self, text: &mut String, mut is_wanted: impl FnMut(&str) -> bool) {
        for field in self.0.iter().filter(|field| is_wanted(&field.name)) {
            if !text.is_empty() && !text.ends_with('{') {
                text.push(',');
            }
            text.push_str(field.key.get());
            text.push(':');
            text.push_str(field.value.get());
        }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(key) = map.next_key::<Box<RawValue>>()? {
                    let name = serde_json::from_str(key.get()).map_err(serde::de::Error::custom)?;
                    fields.push(Field { name, key, value: map.next_value()? });
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// The fields of a line that could not be translated, so that its record can still be told from others; none if the line
/// is no JSON object.
pub(super) fn fields_of_failed(line: &Line) -> Fields {
    serde_json::from_str(&line.text).unwrap_or_default()
}
