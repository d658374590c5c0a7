//! Marian's vocabularies: `.yml` (a token and its id on each line), `.txt` (a token a line), `.spm`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Lists;
use super::toolkits;
use crate::checkpoint::{Keys, ModelFiles, Weights};
use crate::text::sentencepiece::{PieceKind, SentencePiece};
use crate::text::{PieceList, Specials};
use crate::{Error, Result};

/// The names of the sentence end and of the unknown, Marian's first, then those of Nematus.
const ENDS: [&str; 2] = ["</s>", "eos"];
const UNKNOWNS: [&str; 2] = ["<unk>", "UNK"];

/// The files of both sides: those that the options name, by their last parts, since the rest is a path on the author's machine;
/// else those that lie with the model.
///
/// # Errors
/// If there are none.
pub(super) fn names(files: &ModelFiles, keys: &Keys) -> Result<(String, String)> {
    let named: Vec<&str> = match keys.value("vocabs") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let last = |path: &&str| path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    let named: Vec<String> = named.iter().map(last).collect();
    let mut there = files.names()?;
    there.retain(|name| {
        let is_vocabulary =
            name.contains("vocab") && [".yml", ".yaml", ".json", ".txt", ".spm"].iter().any(|end| name.ends_with(end));
        is_vocabulary || (name.ends_with(".spm") && !["source.spm", "target.spm"].contains(&name.as_str()))
    });
    // Nematus's are JSON; beside others such a file is something else.
    if there.iter().any(|name| !name.ends_with(".json")) {
        there.retain(|name| !name.ends_with(".json"));
    }
    let is_there = |name: &String| files.has(name);
    if let ([source, target], true) = (named.as_slice(), !named.is_empty() && named.iter().all(is_there)) {
        return Ok((source.clone(), target.clone()));
    }
    let of = |marks: &[&str]| there.iter().find(|name| marks.iter().any(|mark| name.contains(mark))).cloned();
    match (of(&["srcvocab", ".src.", "source"]), of(&["trgvocab", ".trg.", "target"]), there.as_slice()) {
        (Some(source), Some(target), _) => Ok((source, target)),
        (_, _, [both]) => Ok((both.clone(), both.clone())),
        _ => {
            let wanted = if named.is_empty() { "*.yml or *.spm".to_owned() } else { named.join(" and ") };
            Err(Error::model(
                files.path(""),
                format!("the vocabularies of this Marian model are missing ({wanted}); add them"),
            ))
        }
    }
}

/// Adds to the options of a model what its vocabularies say: their names, how text is cut, and the ids of the sentence end and of the
/// unknown.
///
/// # Errors
/// If a file is missing or damaged.
pub(super) fn options(files: &ModelFiles, weights: &Weights, options: &mut Map<String, Value>) -> Result<()> {
    let keys = Keys::of(weights.path(), options.clone());
    let (source, target) = names(files, &keys)?;
    let is_model = |name: &str| name.ends_with(".spm");
    if is_model(&source) && is_model(&target) {
        let side = |name: &str| json!({"unit": "sentencepiece", "model": name});
        options.insert("segmentation".to_owned(), json!({"source": side(&source), "target": side(&target)}));
    }
    options.insert("vocabs".to_owned(), json!([source, target]));
    let target = list(files, &target)?;
    options.insert("end_id".to_owned(), json!(target.specials.end));
    options.insert("unknown_id".to_owned(), json!(target.specials.unknown));
    Ok(())
}

/// The lists of both sides.
///
/// # Errors
/// If a file is missing or damaged.
pub(super) fn lists(files: &ModelFiles, keys: &Keys) -> Result<Lists> {
    let (source, target) = names(files, keys)?;
    let other = if target == source { None } else { Some(list(files, &target)?) };
    Ok((list(files, &source)?, other))
}

/// The list in a file.
///
/// # Errors
/// If it is missing or damaged.
pub(super) fn list(files: &ModelFiles, name: &str) -> Result<PieceList> {
    let path = files.path(name);
    if name.ends_with(".spm") {
        let missing = || Error::model(&path, "this SentencePiece model is missing; add it");
        let model = SentencePiece::parse(&files.read(name)?.ok_or_else(missing)?, &path)?;
        let ids = 0..model.size() as u32;
        let pieces = ids.clone().map(|id| model.piece(id).unwrap_or_default().to_owned()).collect();
        let hidden: BTreeSet<u32> = ids.filter(|&id| model.kind(id) == Some(PieceKind::Control)).collect();
        let end = model.id(ENDS[0]);
        let specials = Specials { unknown: model.unknown(), padding: None, begin: None, end };
        return Ok(PieceList { specials, hidden, ..PieceList::new(pieces, path) });
    }
    let text = toolkits::text(files, name)?;
    let pieces = if Path::new(name).extension().is_some_and(|ending| ending == "txt") {
        text.lines().map(str::to_owned).collect()
    } else {
        by_ids(&text).map_err(|problem| Error::model(&path, problem))?
    };
    let list = PieceList::new(pieces, path);
    let id = |names: &[&str]| {
        let found = names.iter().find_map(|name| list.pieces.iter().position(|piece| piece == name));
        found.map(|id| id as u32)
    };
    // Nematus leaves the first two ids without a name.
    let specials =
        Specials { unknown: id(&UNKNOWNS).or(Some(1)), padding: None, begin: None, end: id(&ENDS).or(Some(0)) };
    Ok(PieceList { specials, ..list })
}

/// The pieces of a `.yml` in the order of their ids. Read line by line, because tokens that YAML takes for something else are
/// tokens here.
fn by_ids(text: &str) -> Result<Vec<String>, String> {
    let mut entries: Vec<(Cow<'_, str>, usize)> = Vec::new();
    if text.trim_start().starts_with('{') {
        let map: serde_json::Map<String, Value> =
            serde_json::from_str(text).map_err(|error| format!("is not valid JSON ({error})"))?;
        for (piece, id) in map {
            let id = id.as_u64().and_then(|id| usize::try_from(id).ok());
            entries.push((piece.clone().into(), id.ok_or_else(|| format!("{piece:?} in it has no id"))?));
        }
    } else {
        let mut key: Option<Cow<'_, str>> = None;
        for (index, line) in text.lines().enumerate() {
            let wrong = || format!("line {} is {:?}; it should be a token, a colon and its id", index + 1, shown(line));
            if line.trim().is_empty() || line == "---" || line == "..." {
                continue;
            }
            // A key of its own line, and what belongs to it.
            if let Some(long) = line.strip_prefix("? ") {
                key = Some(unquoted(long).ok_or_else(wrong)?);
                continue;
            }
            let (piece, id) = match (key.take(), line.strip_prefix(": ")) {
                (Some(key), Some(id)) => (key, id),
                _ => {
                    let (piece, id) = line.rsplit_once(": ").ok_or_else(wrong)?;
                    (unquoted(piece).ok_or_else(wrong)?, id)
                }
            };
            entries.push((piece, id.trim().parse().map_err(|_| wrong())?));
        }
    }
    let highest = entries.iter().map(|(_, id)| *id).max().ok_or("has no tokens")?;
    if highest > 2 * entries.len() + 65_536 {
        return Err(format!("has {} tokens, but one has the id {highest}; ids must count up from 0", entries.len()));
    }
    let mut pieces = vec![String::new(); highest + 1];
    for (piece, id) in entries {
        pieces[id] = piece.into_owned();
    }
    Ok(pieces)
}

fn shown(line: &str) -> String {
    line.chars().take(60).collect()
}

/// A token without its quotes; `None` if they do not end or hold an escape that is not known.
fn unquoted(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim_end();
    if let Some(inner) = text.strip_prefix('\'').filter(|_| text.len() > 1) {
        return Some(inner.strip_suffix('\'')?.replace("''", "'").into());
    }
    let Some(inner) = text.strip_prefix('"').filter(|_| text.len() > 1) else { return Some(text.into()) };
    let mut plain = String::new();
    let mut rest = inner.strip_suffix('"')?.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        let escape = rest.next()?;
        let mut code = |digits: usize| {
            let hexadecimal: String = rest.by_ref().take(digits).collect();
            char::from_u32(u32::from_str_radix(&hexadecimal, 16).ok()?)
        };
        plain.push(match escape {
            '0' => '\0',
            'a' => '\u{7}',
            'b' => '\u{8}',
            't' => '\t',
            'n' => '\n',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'r' => '\r',
            'e' => '\u{1b}',
            'N' => '\u{85}',
            '_' => '\u{a0}',
            'L' => '\u{2028}',
            'P' => '\u{2029}',
            'x' => code(2)?,
            'u' => code(4)?,
            'U' => code(8)?,
            other @ ('"' | '\\' | '/' | ' ') => other,
            _ => return None,
        });
    }
    Some(plain.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_token_is_read() {
        let text = "</s>: 0\n<unk>: 1\n\"\\\"\": 2\n'''': 3\n\"\\x84\": 4\n$: 5\n? \": \"\n: 6\n'a: b': 7\n~: 8\n\"\\u2581ein\": 9\n\
                    \"\\\\\": 10\n▁mit: 11\n':': 12\ntrue: 13\n";
        let expected =
            ["</s>", "<unk>", "\"", "'", "\u{84}", "$", ": ", "a: b", "~", "▁ein", "\\", "▁mit", ":", "true"];
        assert_eq!(by_ids(text).unwrap(), expected);
        assert_eq!(by_ids("{\"</s>\": 0, \"b\": 2, \"a\": 1}").unwrap(), ["</s>", "a", "b"]);
        assert_eq!(by_ids("eos: 3\na: 2\n").unwrap(), ["", "", "a", "eos"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, problem) in [
            ("</s>: 0\nno id\n", "line 2 is \"no id\""),
            ("a: x\n", "line 1"),
            ("\"\\q\": 1\n", "line 1"),
            ("a: 99999999\n", "count up from 0"),
            ("", "no tokens"),
            ("{\"a\": \"b\"}", "has no id"),
        ] {
            assert!(by_ids(text).unwrap_err().contains(problem), "{text:?}: {:?}", by_ids(text));
        }
    }
}
