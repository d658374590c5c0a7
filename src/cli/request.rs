//! What one line of input asks for.
//!
//! Nothing here knows the rest of the command line: the fuzz targets compile this file on its own.

use serde_json::{Map, Value};
use translate::Result;
use translate::pipeline::Line;

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
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LineRequest {
    /// The JSON fields to be passed through.
    pub(super) fields: Map<String, Value>,
    /// What to translate; may be blank.
    pub(super) text: String,
    /// What the translation must begin with.
    pub(super) prefix: Option<String>,
    /// At most this many generated tokens.
    pub(super) max_length: Option<usize>,
    /// Source and target language.
    pub(super) languages: (Option<String>, Option<String>),
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
        let value: Value =
            serde_json::from_str(&line.text).map_err(|error| line.error(format!("not a JSON object: {error}")))?;
        let Value::Object(mut fields) = value else {
            return Err(line.error("not a JSON object; write {\"text\": \"…\"}"));
        };
        let text = match fields.get("text") {
            Some(Value::String(text)) => text.clone(),
            _ => return Err(line.error("the JSON object has no string in \"text\"")),
        };
        let mut string = |key: &str| match fields.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(value)) => Ok(Some(value)),
            Some(_) => Err(line.error(format!("\"{key}\" must be a string"))),
        };
        let prefix = string("target_prefix")?;
        let languages = (string("source_lang")?, string("target_lang")?);
        let max_length = match fields.remove("max_length") {
            None | Some(Value::Null) => None,
            Some(value) => match value.as_u64() {
                Some(length) if length > 0 => usize::try_from(length).ok(),
                _ => return Err(line.error("\"max_length\" must be a whole number above 0")),
            },
        };
        Ok(Self { fields, text, prefix, max_length, languages })
    }
}

/// The fields of a line that could not be translated, so that its record can still be told from others; none if the line
/// is no JSON object.
pub(super) fn fields_of_failed(line: &Line) -> Map<String, Value> {
    match serde_json::from_str(&line.text) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}
