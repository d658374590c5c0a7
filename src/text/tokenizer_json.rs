//! A `tokenizer.json`, through the `tokenizers` crate.

use std::path::Path;

use serde_json::{Value, json};
use tokenizers::Tokenizer;

use super::spelling::byte_of;
use super::word_list::detokenize;
use super::{Language, Piece, Specials, Vocabulary, check_density, clean_up_spaces, specials_by_name};
use crate::{Error, Result};

/// A `tokenizer.json` of any kind the `tokenizers` crate reads. Its post-processor is not applied in encoding, but read as
/// a [template](Vocabulary::template): what stands around a sentence is the frame's business.
pub struct TokenizerJson {
    tokenizer: Tokenizer,
    /// The piece of every id; a gap has none.
    pieces: Vec<Option<Box<str>>>,
    specials: Specials,
    languages: Vec<Language>,
    style: Style,
    clean_up_spaces: bool,
    /// What stands before and after every text.
    template: Option<(Vec<u32>, Vec<u32>)>,
}

/// How pieces show where words begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// `▁word`, as SentencePiece does.
    SpaceSymbol,
    /// `Ġword`, as byte-level BPE does.
    ByteLevel,
    /// `word`, continued by `##s`, as WordPiece does.
    Continuation,
    /// Every piece is a character of the text, spaces included.
    Characters,
    /// Every piece is a word.
    WholeWords,
}

impl TokenizerJson {
    /// Reads the contents of a `tokenizer.json`; `path` names it in messages.
    ///
    /// # Errors
    /// If it is no tokenizer of a kind the `tokenizers` crate reads, or cannot encode every text.
    pub fn parse(bytes: &[u8], path: impl AsRef<Path>) -> Result<Self> {
        let problem = |problem: String| Error::model(&path, format!("not a usable tokenizer: {problem}"));
        // The crate panics on some of what is not even JSON, and on some of what is no tokenizer.
        let file = serde_json::from_slice::<Value>(bytes).map_err(|error| problem(error.to_string()))?;
        if let Some(token) = undefined_in_template(&file["post_processor"]) {
            return Err(problem(format!("its post_processor puts in `{token}` without saying what that is")));
        }
        let read = std::panic::catch_unwind(|| Tokenizer::from_bytes(bytes));
        let read = read.map_err(|_| problem("the tokenizers crate cannot read it".to_owned()))?;
        let tokenizer = read.map_err(|error| problem(error.to_string()))?;
        Self::of(tokenizer).map_err(problem)
    }

    /// The same with a space before every text, whatever the file says: `add_prefix_space` of a T5 tokenizer is newer than
    /// the file beside it, and Hugging Face makes the tokenizer anew for it.
    ///
    /// # Errors
    /// As [`TokenizerJson::parse`].
    pub fn parse_with_space_before(bytes: &[u8], path: impl AsRef<Path>) -> Result<Self> {
        let Ok(mut file) = serde_json::from_slice::<Value>(bytes) else { return Self::parse(bytes, path) };
        let steps = &mut file["pre_tokenizer"];
        let steps = match steps["pretokenizers"].is_array() {
            true => steps["pretokenizers"].as_array_mut().map(Vec::as_mut_slice).unwrap_or_default(),
            false => std::slice::from_mut(steps),
        };
        match steps.iter_mut().find(|step| step["type"] == "Metaspace" && step["prepend_scheme"] == "never") {
            None => Self::parse(bytes, path),
            Some(step) => {
                step["prepend_scheme"] = "always".into();
                Self::parse(file.to_string().as_bytes(), path)
            }
        }
    }

    /// Byte-level byte-pair encoding (Radford et al. 2019) as BART's two files hold it: the ids of the pieces in
    /// `vocabulary` and the merges in `merges`, whose path is given for messages. `prefix_space` puts a space before every
    /// text.
    ///
    /// # Errors
    /// If the files do not fit each other.
    pub fn byte_level(vocabulary: &[u8], merges: &[u8], prefix_space: bool, path: impl AsRef<Path>) -> Result<Self> {
        let problem = |problem: String| Error::model(&path, format!("not usable merges: {problem}"));
        let ids: std::collections::HashMap<String, u32> = serde_json::from_slice(vocabulary)
            .map_err(|error| problem(format!("vocab.json beside it is no JSON object from pieces to ids: {error}")))?;
        let text = std::str::from_utf8(merges).map_err(|_| problem("it is not valid UTF-8".to_owned()))?;
        let merges = text.lines().filter(|line| !line.starts_with("#version") && !line.trim().is_empty());
        let names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];
        let special = |name: &str| {
            // The mask takes the space before it.
            let (id, left) = (ids.get(name)?, name == "<mask>");
            Some(json!({"id": id, "content": name, "special": true, "lstrip": left, "rstrip": false,
                        "single_word": false, "normalized": false}))
        };
        let level =
            json!({"type": "ByteLevel", "add_prefix_space": prefix_space, "trim_offsets": true, "use_regex": true});
        let around = ids.get("<s>").zip(ids.get("</s>")).map(|(begin, end)| {
            json!({"type": "RobertaProcessing", "sep": ["</s>", end], "cls": ["<s>", begin], "trim_offsets": true,
                   "add_prefix_space": prefix_space})
        });
        let tokenizer = json!({
            "version": "1.0",
            "added_tokens": names.into_iter().filter_map(special).collect::<Vec<_>>(),
            "pre_tokenizer": level,
            "post_processor": around,
            "decoder": level,
            "model": {"type": "BPE", "vocab": ids, "merges": merges.collect::<Vec<_>>()},
        });
        Self::parse(tokenizer.to_string().as_bytes(), path)
    }

    /// The vocabulary of a tokenizer.
    pub(super) fn of(mut tokenizer: Tokenizer) -> Result<Self, String> {
        // Files saved after training with fixed lengths would cut or fill up every sentence.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| error.to_string())?;
        if let Err(error) = tokenizer.encode_fast("\u{10fffd}", false) {
            return Err(format!("it cannot encode a character it has never seen ({error}); give it an unk_token"));
        }
        let vocabulary = tokenizer.get_vocab(true);
        let highest = vocabulary.values().copied().max().unwrap_or_default();
        check_density(highest, vocabulary.len())?;
        let mut pieces = vec![None; highest as usize + 1];
        for (piece, id) in vocabulary {
            pieces[id as usize] = Some(piece.into_boxed_str());
        }
        let begins = |mark: &str| pieces.iter().flatten().any(|piece| piece.starts_with(mark));
        let style = match () {
            () if begins("\u{2581}") => Style::SpaceSymbol,
            () if begins("\u{120}") => Style::ByteLevel,
            () if begins("##") => Style::Continuation,
            () if is_by_character(&tokenizer, &pieces) => Style::Characters,
            () => Style::WholeWords,
        };
        let specials = specials_by_name(|name| tokenizer.token_to_id(name));
        let added = tokenizer.get_added_tokens_decoder();
        let languages = Language::all(added.iter().map(|(&id, token)| (id, token.content.as_str())));
        let template = template(&tokenizer);
        Ok(Self { tokenizer, pieces, specials, languages, style, clean_up_spaces: false, template })
    }

    /// Whether decoding takes out spaces before English punctuation and clitics, as a `tokenizer_config.json` with
    /// `"clean_up_tokenization_spaces": true` asks for. Off unless said here.
    #[must_use]
    pub fn with_clean_up_spaces(mut self, clean_up_spaces: bool) -> Self {
        self.clean_up_spaces = clean_up_spaces;
        self
    }

    fn text(&self, ids: &[u32]) -> String {
        let kept: Vec<u32> = ids.iter().copied().filter(|&id| !self.specials.contains(id)).collect();
        if self.tokenizer.get_decoder().is_some() {
            return self.tokenizer.decode(&kept, true).unwrap_or_default().trim().to_owned();
        }
        let pieces: Vec<&str> = kept.iter().filter_map(|&id| self.piece(id)).collect();
        match self.style {
            Style::SpaceSymbol => pieces.concat().replace('\u{2581}', " ").trim().to_owned(),
            Style::ByteLevel => pieces.concat().replace('\u{120}', " ").trim().to_owned(),
            Style::Continuation => pieces.join(" ").replace(" ##", ""),
            Style::Characters => pieces.concat().trim().to_owned(),
            Style::WholeWords => detokenize(&pieces),
        }
    }
}

/// The byte that a character of byte-level byte-pair encoding stands for (Radford et al. 2019): printable Latin-1 characters stand
/// for themselves, the other bytes, in order, for U+0100 and on. Another character, of an added token, is itself.
fn byte_level_bytes(character: char) -> Vec<u8> {
    let is_printable = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let code = u32::from(character);
    let byte = match code {
        code if is_printable(code) => Some(code),
        0x100.. => (0..=255).filter(|&byte| !is_printable(byte)).nth((code - 0x100) as usize),
        _ => None,
    };
    byte.map_or_else(|| character.to_string().into_bytes(), |byte| vec![byte as u8])
}

/// Whether the tokenizer cuts between all characters: no piece but special tokens is longer than one, and `a b` has three.
fn is_by_character(tokenizer: &Tokenizer, pieces: &[Option<Box<str>>]) -> bool {
    let is_special = |piece: &str| tokenizer.get_added_vocabulary().is_special_token(piece);
    let mut plain = pieces.iter().flatten().filter(|piece| !is_special(piece));
    plain.all(|piece| piece.chars().count() <= 1)
        && tokenizer.encode_fast("a b", false).is_ok_and(|encoding| encoding.get_ids().len() >= 2)
}

impl Vocabulary for TokenizerJson {
    fn encode(&self, text: &str) -> Vec<u32> {
        match self.tokenizer.encode_fast(text, false) {
            Ok(encoding) => encoding.get_ids().to_vec(),
            // `parse` has made sure that unknown text can be encoded; what else fails is an unknown word.
            Err(_) => self.specials.unknown.into_iter().collect(),
        }
    }

    fn decode(&self, ids: &[u32]) -> String {
        let text = self.text(ids);
        if self.clean_up_spaces { clean_up_spaces(text) } else { text }
    }

    fn piece(&self, id: u32) -> Option<&str> {
        self.pieces.get(id as usize)?.as_deref()
    }

    fn id(&self, piece: &str) -> Option<u32> {
        self.tokenizer.token_to_id(piece)
    }

    fn size(&self) -> usize {
        self.pieces.len()
    }

    fn begins_word(&self, id: u32) -> bool {
        self.piece(id).is_some_and(|piece| match self.style {
            Style::SpaceSymbol => piece.starts_with('\u{2581}'),
            Style::ByteLevel => piece.starts_with('\u{120}'),
            Style::Continuation => !piece.starts_with("##"),
            Style::Characters | Style::WholeWords => true,
        })
    }

    fn written(&self, piece: &str) -> Vec<u8> {
        match self.style {
            Style::ByteLevel => piece.chars().flat_map(byte_level_bytes).collect(),
            Style::Continuation => piece.strip_prefix("##").unwrap_or(piece).as_bytes().to_vec(),
            Style::Characters | Style::WholeWords => piece.as_bytes().to_vec(),
            Style::SpaceSymbol => match byte_of(piece) {
                Some(byte) => vec![byte],
                None => piece.replace('\u{2581}', " ").into_bytes(),
            },
        }
    }

    fn segment(&self, text: &str) -> Vec<Piece> {
        let Ok(encoding) = self.tokenizer.encode(text, false) else {
            return self.specials.unknown.map(|id| Piece { id, text: text.to_owned() }).into_iter().collect();
        };
        let piece = |((&id, token), &(start, end)): ((&u32, &String), &(usize, usize))| Piece {
            id,
            text: match text.get(start..end) {
                Some(surface) if Some(id) == self.specials.unknown => surface.to_owned(),
                _ => token.clone(),
            },
        };
        encoding.get_ids().iter().zip(encoding.get_tokens()).zip(encoding.get_offsets()).map(piece).collect()
    }

    fn specials(&self) -> Specials {
        self.specials
    }

    fn languages(&self) -> &[Language] {
        &self.languages
    }

    fn template(&self) -> Option<(Vec<u32>, Vec<u32>)> {
        self.template.clone()
    }
}

/// A token that a template names and does not define, on which the `tokenizers` crate panics.
fn undefined_in_template(processor: &Value) -> Option<&str> {
    let inner = processor["processors"].as_array().into_iter().flatten().find_map(undefined_in_template);
    let parts = processor["single"].as_array().into_iter().flatten();
    let mut tokens = parts.filter_map(|part| part["SpecialToken"]["id"].as_str());
    inner.or_else(|| tokens.find(|token| processor["special_tokens"].get(token).is_none()))
}

/// What the post-processor puts before and after a text.
fn template(tokenizer: &Tokenizer) -> Option<(Vec<u32>, Vec<u32>)> {
    tokenizer.get_post_processor()?;
    // Any text will do: it stands between what the template adds.
    let bare = tokenizer.encode_fast("a", false).ok()?.get_ids().to_vec();
    let whole = tokenizer.encode_fast("a", true).ok()?.get_ids().to_vec();
    let at = whole.windows(bare.len().max(1)).position(|window| window == bare)?;
    let (before, after) = (whole[..at].to_vec(), whole[at + bare.len()..].to_vec());
    (!before.is_empty() || !after.is_empty()).then_some((before, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer(rest: &str) -> TokenizerJson {
        TokenizerJson::parse(format!(r#"{{"version": "1.0", "added_tokens": [], {rest}}}"#).as_bytes(), "t.json")
            .unwrap()
    }

    #[test]
    fn whole_words_are_joined_with_normal_spacing() {
        let words = tokenizer(
            r#""pre_tokenizer": {"type": "Whitespace"}, "model": {"type": "WordLevel", "unk_token": "<unk>",
               "vocab": {"<unk>": 0, "</s>": 1, "a": 2, "dog": 3, ",": 4, ".": 5}}"#,
        );
        assert_eq!(words.encode("a dog, cat."), [2, 3, 4, 0, 5]);
        assert_eq!(words.decode(&[2, 3, 4, 0, 5, 1, 77]), "a dog,.");
        assert_eq!(words.segment("a cat")[1], Piece { id: 0, text: "cat".to_owned() });
        assert_eq!((words.size(), words.piece(3), words.id("dog")), (6, Some("dog"), Some(3)));
        assert!(words.begins_word(3));
        assert_eq!(words.specials().end, Some(1));
    }

    #[test]
    fn the_template_says_what_stands_around_a_text_and_is_not_applied_in_encoding() {
        let special =
            |id: u32, token: &str| format!(r#""{token}": {{"id": "{token}", "ids": [{id}], "tokens": ["{token}"]}}"#);
        let rest = format!(
            r#""post_processor": {{"type": "TemplateProcessing", "single": [{{"SpecialToken": {{"id": "<s>", "type_id": 0}}}},
               {{"Sequence": {{"id": "A", "type_id": 0}}}}, {{"SpecialToken": {{"id": "</s>", "type_id": 0}}}}],
               "pair": [{{"Sequence": {{"id": "A", "type_id": 0}}}}], "special_tokens": {{{}, {}}}}},
               "model": {{"type": "WordLevel", "unk_token": "<unk>", "vocab": {{"<unk>": 0, "<s>": 1, "</s>": 2, "a": 3}}}}"#,
            special(1, "<s>"),
            special(2, "</s>")
        );
        let words = tokenizer(&rest);
        assert_eq!(words.template(), Some((vec![1], vec![2])));
        assert_eq!(words.encode("a"), [3]);
        let plain = tokenizer(r#""model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": {"<unk>": 0, "a": 1}}"#);
        assert_eq!(plain.template(), None);
    }

    #[test]
    fn characters_are_joined_without_spaces() {
        let letters = tokenizer(
            r#""pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[\\s\\S]"}, "behavior": "Isolated", "invert": false},
               "model": {"type": "WordLevel", "unk_token": "?", "vocab": {"?": 0, "a": 1, "b": 2, " ": 3}}"#,
        );
        assert_eq!(letters.encode("ab a"), [1, 2, 3, 1]);
        assert_eq!(letters.decode(&[1, 2, 3, 1]), "ab a");
    }

    #[test]
    fn padding_truncation_and_special_tokens_of_the_file_are_not_applied() {
        let words = tokenizer(
            r#""truncation": {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0},
               "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                           "pad_type_id": 0, "pad_token": "<unk>"},
               "pre_tokenizer": {"type": "Whitespace"}, "model": {"type": "WordLevel", "unk_token": "<unk>",
               "vocab": {"<unk>": 0, "a": 1}}"#,
        );
        assert_eq!(words.encode("a a"), [1, 1]);
    }

    #[test]
    fn pieces_with_space_symbols_begin_words() {
        let unigram = tokenizer(
            r#""pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
               "model": {"type": "Unigram", "unk_id": 0,
               "vocab": [["<unk>", 0.0], ["▁", -2.0], ["▁the", -1.0], ["m", -3.0]]}"#,
        );
        assert_eq!(unigram.encode("them the"), [2, 3, 2]);
        assert_eq!(unigram.decode(&[2, 3, 2]), "them the");
        assert!(unigram.begins_word(2) && !unigram.begins_word(3));
    }

    #[test]
    fn unusable_files_are_errors() {
        let no_unknown =
            br#"{"version": "1.0", "added_tokens": [], "model": {"type": "WordLevel", "unk_token": "<unk>",
                              "vocab": {"a": 1}}}"#;
        let unknown_template = br#"{"version": "1.0", "added_tokens": [], "model": {"type": "WordLevel",
            "unk_token": "<unk>", "vocab": {"<unk>": 0, "a": 1}}, "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}], "special_tokens": {}}}"#;
        for bytes in [&b"{}"[..], b"", b"\xff", no_unknown, unknown_template] {
            let error = TokenizerJson::parse(bytes, "m/tokenizer.json").err().unwrap().to_string();
            assert!(
                error.starts_with("m/tokenizer.json: not a usable tokenizer: ") && !error.contains('\n'),
                "{error}"
            );
        }
    }
}
