//! One vocabulary over a list of pieces, as most toolkits outside Hugging Face keep theirs.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::segmenter::Segmenter;
use super::{Language, Piece, Specials, Vocabulary, specials_by_name};

/// Bare language codes (`deu_Latn`) are tokens only where there are this many: one may be a piece of text.
const MANY_LANGUAGES: usize = 10;

/// The pieces of one side in the order of their ids, and which of them are no text.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct PieceList {
    /// Every piece; of one that is listed twice the first counts.
    pub pieces: Vec<String>,
    /// The tokens that stand for no text, by what they are for.
    pub specials: Specials,
    /// Further tokens that are no text.
    #[serde(default)]
    pub hidden: BTreeSet<u32>,
    /// The file, for messages.
    #[serde(skip)]
    pub path: PathBuf,
}

impl PieceList {
    /// A list whose special tokens have the usual names: `<unk>`, `<pad>` or `<blank>`, `<s>`, `</s>` and the like.
    pub fn new(pieces: Vec<String>, path: impl Into<PathBuf>) -> Self {
        let id = |name: &str| pieces.iter().position(|piece| piece == name).map(|id| id as u32);
        let mut specials = specials_by_name(id);
        specials.padding = specials.padding.or_else(|| id("<blank>"));
        Self { pieces, specials, hidden: BTreeSet::new(), path: path.into() }
    }
}

/// A `tokenizer.json` for a list whose pieces stand between spaces, with tokens before and after every text.
pub fn word_level(list: &PieceList, before: &[u32], after: &[u32]) -> Value {
    let name = |id: u32| list.pieces.get(id as usize).cloned().unwrap_or_default();
    // Of a piece that is listed twice the first counts.
    let pieces = list.pieces.iter().enumerate().rev();
    let vocabulary: Map<String, Value> = pieces.map(|(id, piece)| (piece.clone(), id.into())).collect();
    let specials = [list.specials.unknown, list.specials.padding, list.specials.begin, list.specials.end];
    let specials: BTreeSet<u32> = specials.into_iter().flatten().chain(list.hidden.iter().copied()).collect();
    let added = |&id: &u32| {
        json!({"id": id, "content": name(id), "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
               "special": true})
    };
    let around =
        |ids: &[u32]| ids.iter().map(|&id| json!({"SpecialToken": {"id": name(id), "type_id": 0}})).collect::<Vec<_>>();
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let tokens: Map<String, Value> = before
        .iter()
        .chain(after)
        .map(|&id| (name(id), json!({"id": name(id), "ids": [id], "tokens": [name(id)]})))
        .collect();
    let second = json!({"Sequence": {"id": "B", "type_id": 1}});
    let single = [around(before), vec![text.clone()], around(after)].concat();
    let pair = [around(before), vec![text], around(after), vec![second], around(after)].concat();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
        "added_tokens": specials.iter().map(added).collect::<Vec<_>>(),
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": pair,
            "special_tokens": tokens,
        },
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": list.specials.unknown.map(name)},
    })
}

/// A list of pieces as a table in both directions.
#[derive(Debug)]
pub(super) struct PieceTable {
    pieces: Vec<String>,
    ids: HashMap<Box<str>, u32>,
    specials: Specials,
    hidden: BTreeSet<u32>,
    languages: Vec<Language>,
}

impl PieceTable {
    pub(super) fn new(list: PieceList) -> Self {
        let PieceList { pieces, specials, mut hidden, .. } = list;
        let mut ids = HashMap::with_capacity(pieces.len());
        for (id, piece) in pieces.iter().enumerate() {
            ids.entry(Box::from(piece.as_str())).or_insert(id as u32);
        }
        let mut languages = Language::all((0..).zip(pieces.iter().map(String::as_str)));
        let is_marked =
            |language: &Language| language.token.starts_with(['<', '>']) || language.token.starts_with("__");
        if languages.iter().filter(|language| !is_marked(language)).count() < MANY_LANGUAGES {
            languages.retain(is_marked);
        }
        hidden.extend(languages.iter().map(|language| language.id));
        Self { pieces, ids, specials, hidden, languages }
    }

    /// The pieces in the order of their ids.
    pub(super) fn pieces(&self) -> &[String] {
        &self.pieces
    }

    /// Whether an id is a piece of text. A language is not.
    fn is_text(&self, id: u32) -> bool {
        !self.specials.contains(id) && !self.hidden.contains(&id)
    }

    /// The id of a piece of text, else that of the unknown: `</s>` in a text is no sentence end.
    fn id_of_text(&self, piece: &str) -> Option<u32> {
        self.ids.get(piece).copied().filter(|&id| self.is_text(id)).or(self.specials.unknown)
    }
}

/// One side of a model whose vocabulary is a list: text is cut by a segmenter, and the list numbers the pieces.
///
/// A text may begin with one language token such as `>>fra<<` where the list has such tokens; all other special tokens
/// that are written in a text are text.
#[derive(Debug)]
pub(super) struct ListVocabulary {
    table: Arc<PieceTable>,
    segmenter: Segmenter,
    splits_language: bool,
}

impl ListVocabulary {
    pub(super) fn new(table: Arc<PieceTable>, segmenter: Segmenter) -> Self {
        let splits_language = table.languages.iter().any(|language| language.token.starts_with(">>"));
        Self { table, segmenter, splits_language }
    }

    /// Splits `>>fra<<` off the start of a text, even one that the list does not have: it is unknown then.
    fn split_language<'t>(&self, text: &'t str) -> (Option<&'t str>, &'t str) {
        let end = match text.find("<<") {
            Some(start) if self.splits_language && text.starts_with(">>") => start + 2,
            _ => return (None, text),
        };
        let (token, rest) = text.split_at(end);
        let is_code_character = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.@".contains(&byte);
        let is_code = token.len() > 4 && token.bytes().skip(2).take(token.len() - 4).all(is_code_character);
        if is_code || self.table.ids.contains_key(token) { (Some(token), rest) } else { (None, text) }
    }

    /// Calls `emit` with every piece of a text and its id; `None` where there is none, nor an unknown.
    fn encode_with(&self, text: &str, mut emit: impl FnMut(Option<u32>, &str)) {
        let (language, text) = self.split_language(text);
        if let Some(language) = language {
            emit(self.table.ids.get(language).copied().or(self.table.specials.unknown), language);
        }
        self.segmenter.cut(text, &mut |piece| emit(self.table.id_of_text(piece), piece));
    }
}

impl Vocabulary for ListVocabulary {
    fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        self.encode_with(text, |id, _| ids.extend(id));
        ids
    }

    fn decode(&self, ids: &[u32]) -> String {
        let kept = ids.iter().filter(|&&id| self.table.is_text(id));
        let pieces: Vec<&str> = kept.filter_map(|&id| self.piece(id)).collect();
        self.segmenter.join(&pieces)
    }

    fn piece(&self, id: u32) -> Option<&str> {
        self.table.pieces.get(id as usize).map(String::as_str)
    }

    fn id(&self, piece: &str) -> Option<u32> {
        self.table.ids.get(piece).copied()
    }

    fn size(&self) -> usize {
        self.table.pieces.len()
    }

    fn begins_word(&self, id: u32) -> bool {
        self.piece(id).is_some_and(|piece| !self.table.is_text(id) || self.segmenter.begins_word(piece))
    }

    fn ends_word(&self, piece: &str) -> bool {
        self.segmenter.ends_word(piece)
    }

    fn readable(&self, word: &str) -> String {
        self.segmenter.readable(word)
    }

    fn segment(&self, text: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        self.encode_with(text, |id, piece| pieces.extend(id.map(|id| Piece { id, text: piece.to_owned() })));
        pieces
    }

    fn specials(&self) -> Specials {
        self.table.specials
    }

    fn unencodable(&self, text: &str) -> Option<String> {
        let mut missing = None;
        if self.table.specials.unknown.is_none() {
            self.encode_with(text, |id, piece| {
                if id.is_none() && missing.is_none() {
                    missing = Some(piece.to_owned());
                }
            });
        }
        missing
    }

    fn languages(&self) -> &[Language] {
        &self.table.languages
    }
}
