//! SentencePiece models (`.spm`, `.model`), read and applied without the reference library.
//!
//! Pieces and ids equal those of the reference library (version 0.2.3) on every text: its normaliser with the
//! compiled character map, user-defined pieces, unigram and byte-pair segmentation, byte fallback and decoding are
//! followed to the order of floating-point additions. Kudo and Richardson 2018, "SentencePiece: A simple and language
//! independent subword tokenizer and detokenizer for Neural Text Processing".

mod bpe;
mod character_map;
mod decode;
mod normalizer;
mod plain;
mod proto;
mod protobuf;
#[cfg(test)]
mod tests;
mod trie;
mod unigram;
mod whole;

use std::collections::HashMap;
use std::path::Path;

use self::normalizer::Normalizer;
#[doc(hidden)]
pub use self::plain::PlainNormalizer;
use self::proto::{ModelProto, Pieces};
pub use self::proto::{ModelType, PieceKind};
use self::trie::Trie;
use self::unigram::Unigram;
use crate::{Error, Result};

/// What an unknown piece decodes to unless the model says otherwise.
const UNKNOWN_SURFACE: &str = " \u{2047} ";
/// Pieces this long or longer are refused, as the reference library does.
const MAX_PIECE_BYTES: usize = 8000;
/// Stands for "no piece" where the model has no unknown piece; never leaves this module.
const NO_PIECE: u32 = u32::MAX;

/// A SentencePiece model.
#[derive(Debug)]
pub struct SentencePiece {
    model_type: ModelType,
    pieces: Pieces,
    /// The pieces that can be found in text.
    trie: Trie,
    /// Ids of the pieces that cannot: unknown, control, byte and most unused ones.
    reserved: HashMap<Box<str>, u32>,
    user_defined: Option<Trie>,
    unigram: Unigram,
    unknown: Option<u32>,
    /// The ids of `<0x00>` to `<0xFF>`, if characters without piece are spelled in bytes.
    bytes: Option<Box<[u32; 256]>>,
    unknown_surface: String,
    normalizer: Normalizer,
    denormalizer: Option<Normalizer>,
}

/// One piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The piece's id in the model, not in any `vocab.json`.
    pub id: u32,
    /// The piece; where it is unknown, the (normalised) text it stands for.
    pub piece: String,
}

impl SentencePiece {
    /// Reads a model file.
    ///
    /// # Errors
    /// If the file cannot be read, or as [`SentencePiece::parse`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::parse(&std::fs::read(path).map_err(|error| Error::io(path, error))?, path)
    }

    /// Reads the contents of a model file; `path` names it in messages.
    ///
    /// # Errors
    /// If the bytes are no SentencePiece model, are damaged, or have no unknown piece.
    pub fn parse(bytes: &[u8], path: impl AsRef<Path>) -> Result<Self> {
        Self::build(bytes).map_err(|problem| {
            let hint = "it should be the .spm or .model file a SentencePiece trainer wrote";
            Error::model(path, format!("not a usable SentencePiece model: {problem}; {hint}"))
        })
    }

    fn build(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() >= 1 << 30 {
            return Err("it is larger than 1 GiB".to_owned());
        }
        let proto = ModelProto::parse(bytes)?;
        let mut reserved = HashMap::new();
        let mut findable = Vec::new();
        let mut user_defined = Vec::new();
        let mut unknown = None;
        let mut byte_ids = [NO_PIECE; 256];
        for (id, piece, kind) in proto.pieces.iter() {
            if piece.is_empty() {
                return Err(format!("piece {id} is empty"));
            }
            if piece == "\0" && (kind == PieceKind::Unused || proto.byte_fallback) {
                continue;
            }
            if piece.len() >= MAX_PIECE_BYTES || piece.contains('\0') {
                return Err(format!("piece {id} is longer than {MAX_PIECE_BYTES} bytes or contains a NUL character"));
            }
            if proto.model_type == ModelType::Unigram && !proto.pieces.scores[id as usize].is_finite() {
                return Err(format!("piece {id} has no finite score"));
            }
            match kind {
                PieceKind::Unknown => {
                    if unknown.replace(id).is_some() {
                        return Err("it has two unknown pieces".to_owned());
                    }
                }
                PieceKind::Byte => {
                    let byte = byte_of(piece).filter(|_| proto.byte_fallback);
                    let byte = byte.ok_or_else(|| format!("piece {id}, `{piece}`, is no byte piece of this model"))?;
                    byte_ids[usize::from(byte)] = id;
                }
                PieceKind::UserDefined => user_defined.push((piece, id)),
                PieceKind::Normal | PieceKind::Control | PieceKind::Unused => {}
            }
            match kind {
                PieceKind::Normal | PieceKind::UserDefined | PieceKind::Unused => findable.push((piece, id)),
                PieceKind::Unknown | PieceKind::Control | PieceKind::Byte => {
                    if reserved.insert(Box::from(piece), id).is_some() {
                        return Err(format!("it has two pieces `{piece}`"));
                    }
                }
            }
        }
        if proto.byte_fallback && byte_ids.contains(&NO_PIECE) {
            return Err("it says that it falls back to bytes, but has not all 256 byte pieces".to_owned());
        }
        if unknown.is_none() && !proto.byte_fallback {
            return Err("it has no unknown piece".to_owned());
        }
        if findable.is_empty() {
            return Err("it has no pieces".to_owned());
        }
        findable.sort_unstable();
        if let Some(twice) = findable.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("it has two pieces `{}`", twice[0].0));
        }
        if proto.model_type != ModelType::Bpe {
            // Byte-pair encoding merges through unused pieces; elsewhere they are never met.
            findable.retain(|&(piece, id)| {
                let is_used = proto.pieces.kinds[id as usize] != PieceKind::Unused;
                if !is_used {
                    reserved.entry(Box::from(piece)).or_insert(id);
                }
                is_used
            });
        }
        let trie = Trie::new(findable);
        let user_defined = || (!user_defined.is_empty()).then(|| Trie::new(user_defined.iter().copied()));
        Ok(Self {
            model_type: proto.model_type,
            trie,
            reserved,
            user_defined: user_defined(),
            unigram: Unigram::new(&proto.pieces),
            unknown,
            bytes: proto.byte_fallback.then(|| Box::new(byte_ids)),
            unknown_surface: proto.unknown_surface.unwrap_or_else(|| UNKNOWN_SURFACE.to_owned()),
            normalizer: Normalizer::new(&proto.normalizer, proto.treat_whitespace_as_suffix, user_defined())?,
            denormalizer: match &proto.denormalizer {
                Some(spec) if !spec.character_map.is_empty() => Some(Normalizer::new(spec, false, None)?),
                _ => None,
            },
            pieces: proto.pieces,
        })
    }

    /// How the model cuts text.
    pub fn model_type(&self) -> ModelType {
        self.model_type
    }

    /// Number of pieces.
    pub fn size(&self) -> usize {
        self.pieces.len()
    }

    /// The piece with this id.
    pub fn piece(&self, id: u32) -> Option<&str> {
        self.pieces.get(id)
    }

    /// What the piece with this id is for.
    pub fn kind(&self, id: u32) -> Option<PieceKind> {
        self.pieces.kinds.get(id as usize).copied()
    }

    /// The id of a piece.
    pub fn id(&self, piece: &str) -> Option<u32> {
        self.reserved.get(piece).copied().or_else(|| self.trie.get(piece.as_bytes()))
    }

    /// The id of the unknown piece. Only a model with byte fallback may have none.
    pub fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    /// The text as the pieces are looked up in it: normalised, with U+2581 for spaces.
    pub fn normalize(&self, text: &str) -> String {
        into_text(self.normalizer.normalize(text))
    }

    /// Cuts a text into pieces.
    pub fn segment(&self, text: &str) -> Vec<Segment> {
        let mut segments = Vec::new();
        self.encode_with(text, |id, piece| segments.push(Segment { id, piece: piece.to_owned() }));
        segments
    }

    /// The ids of a text's pieces.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        self.encode_with(text, |id, _| ids.push(id));
        ids
    }

    /// Calls `emit` for every piece of a text with its id and itself (if unknown: the text it stands for).
    ///
    /// Neighbouring unknown characters are one piece; with byte fallback each is spelled in byte pieces instead.
    pub fn encode_with(&self, text: &str, mut emit: impl FnMut(u32, &str)) {
        let normalized = into_text(self.normalizer.normalize(text));
        let unknown = self.unknown.unwrap_or(NO_PIECE);
        let mut start = 0;
        let mut unknown_start = None;
        for (end, id) in self.cut(normalized.as_bytes(), unknown) {
            let end = end as usize;
            if id != unknown {
                if let Some(unknown_start) = unknown_start.take() {
                    emit(unknown, &normalized[unknown_start..start]);
                }
                emit(id, &normalized[start..end]);
            } else if let Some(bytes) = &self.bytes {
                for byte in &normalized.as_bytes()[start..end] {
                    let id = bytes[usize::from(*byte)];
                    emit(id, self.pieces.get(id).unwrap_or_default());
                }
            } else {
                unknown_start.get_or_insert(start);
            }
            start = end;
        }
        if let Some(unknown_start) = unknown_start {
            emit(unknown, &normalized[unknown_start..start]);
        }
    }

    /// The end and the id of every piece of a normalised text.
    fn cut(&self, text: &[u8], unknown: u32) -> Vec<(u32, u32)> {
        let mut found = Vec::with_capacity(text.len() / 3 + 1);
        match self.model_type {
            ModelType::Unigram => self.unigram.segment(&self.trie, unknown, text, &mut found),
            ModelType::Bpe => {
                let user_defined = self.user_defined.as_ref();
                bpe::segment(&self.trie, &self.pieces, user_defined, unknown, text, &mut found);
            }
            ModelType::Word => whole::words(&self.trie, unknown, text, &mut found),
            ModelType::Character => {
                whole::characters(&self.trie, self.user_defined.as_ref(), unknown, text, &mut found);
            }
        }
        found
    }
}

/// The byte a piece `<0x41>` stands for.
fn byte_of(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    let is_digit = |digit: u8| digit.is_ascii_digit() || (b'A'..=b'F').contains(&digit);
    (digits.len() == 2 && digits.bytes().all(is_digit)).then(|| u8::from_str_radix(digits, 16).ok())?
}

/// Normalised text is valid UTF-8 by construction; should that ever fail, replacement characters are better than a panic.
fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
