//! The fields of a SentencePiece `ModelProto` that decide how text is cut.

use super::protobuf::{Fields, Malformed, Value};

/// How a model cuts text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ModelType {
    /// The most probable path under a unigram language model.
    #[default]
    Unigram,
    /// Byte-pair encoding: the best-scored adjacent pair is merged first.
    Bpe,
    /// One piece a word.
    Word,
    /// One piece a character.
    Character,
}

/// What a piece is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PieceKind {
    /// An ordinary piece.
    #[default]
    Normal,
    /// `<unk>`.
    Unknown,
    /// `<s>`, `</s>` and the like: never found in text, decoded to nothing.
    Control,
    /// Always kept whole, in the normaliser too.
    UserDefined,
    /// In the table but never chosen.
    Unused,
    /// `<0x00>` to `<0xFF>`: one byte of a character that has no piece.
    Byte,
}

/// All pieces, their texts in one string: a table of 60,000 pieces is four allocations.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    text: String,
    ends: Vec<u32>,
    pub(super) scores: Vec<f32>,
    pub(super) kinds: Vec<PieceKind>,
}

impl Pieces {
    pub(super) fn len(&self) -> usize {
        self.kinds.len()
    }

    pub(super) fn get(&self, id: u32) -> Option<&str> {
        let id = id as usize;
        let end = *self.ends.get(id)? as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] as usize };
        self.text.get(start..end)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &str, PieceKind)> {
        (0..self.len() as u32).filter_map(|id| Some((id, self.get(id)?, self.kinds[id as usize])))
    }

    fn push(&mut self, piece: &str, score: f32, kind: PieceKind) -> Result<(), Malformed> {
        self.text.push_str(piece);
        self.ends.push(u32::try_from(self.text.len()).map_err(|_| "its pieces are longer than 4 GiB")?);
        self.scores.push(score);
        self.kinds.push(kind);
        Ok(())
    }
}

/// `NormalizerSpec`: how text is normalised before it is cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct NormalizerSpec<'a> {
    pub(super) character_map: &'a [u8],
    pub(super) add_dummy_prefix: bool,
    pub(super) remove_extra_whitespaces: bool,
    pub(super) escape_whitespaces: bool,
}

impl Default for NormalizerSpec<'_> {
    fn default() -> Self {
        Self { character_map: &[], add_dummy_prefix: true, remove_extra_whitespaces: true, escape_whitespaces: true }
    }
}

/// `ModelProto`, without what only training needs.
#[derive(Debug, Default)]
pub(super) struct ModelProto<'a> {
    pub(super) pieces: Pieces,
    pub(super) model_type: ModelType,
    pub(super) byte_fallback: bool,
    pub(super) treat_whitespace_as_suffix: bool,
    /// The text an unknown piece decodes to, if the file says so.
    pub(super) unknown_surface: Option<String>,
    pub(super) normalizer: NormalizerSpec<'a>,
    pub(super) denormalizer: Option<NormalizerSpec<'a>>,
}

impl<'a> ModelProto<'a> {
    /// Reads a whole `.spm` (or `.model`) file.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut model = Self::default();
        let mut fields = Fields::new(bytes);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (1, Value::Bytes(piece)) => parse_piece(piece, &mut model.pieces)?,
                (2, Value::Bytes(trainer)) => model.parse_trainer(trainer)?,
                (3, Value::Bytes(spec)) => parse_normalizer(spec, &mut model.normalizer)?,
                (5, Value::Bytes(spec)) => parse_normalizer(spec, model.denormalizer.get_or_insert_default())?,
                // Unknown fields, and known ones of another type, are skipped: that is protobuf's promise.
                _ => {}
            }
        }
        Ok(model)
    }

    fn parse_trainer(&mut self, bytes: &'a [u8]) -> Result<(), Malformed> {
        let mut fields = Fields::new(bytes);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (3, Value::Integer(1)) => self.model_type = ModelType::Unigram,
                (3, Value::Integer(2)) => self.model_type = ModelType::Bpe,
                (3, Value::Integer(3)) => self.model_type = ModelType::Word,
                (3, Value::Integer(4)) => self.model_type = ModelType::Character,
                (24, Value::Integer(flag)) => self.treat_whitespace_as_suffix = flag != 0,
                (35, Value::Integer(flag)) => self.byte_fallback = flag != 0,
                (44, Value::Bytes(text)) => self.unknown_surface = Some(String::from_utf8_lossy(text).into_owned()),
                _ => {}
            }
        }
        Ok(())
    }
}

fn parse_piece(bytes: &[u8], pieces: &mut Pieces) -> Result<(), Malformed> {
    let (mut text, mut score, mut kind) = (&[][..], 0.0, PieceKind::Normal);
    let mut fields = Fields::new(bytes);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Value::Bytes(bytes)) => text = bytes,
            (2, Value::Bits32(bits)) => score = f32::from_bits(bits),
            (3, Value::Integer(1)) => kind = PieceKind::Normal,
            (3, Value::Integer(2)) => kind = PieceKind::Unknown,
            (3, Value::Integer(3)) => kind = PieceKind::Control,
            (3, Value::Integer(4)) => kind = PieceKind::UserDefined,
            (3, Value::Integer(5)) => kind = PieceKind::Unused,
            (3, Value::Integer(6)) => kind = PieceKind::Byte,
            _ => {}
        }
    }
    pieces.push(std::str::from_utf8(text).map_err(|_| "a piece is not valid UTF-8")?, score, kind)
}

fn parse_normalizer<'a>(bytes: &'a [u8], spec: &mut NormalizerSpec<'a>) -> Result<(), Malformed> {
    let mut fields = Fields::new(bytes);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (2, Value::Bytes(map)) => spec.character_map = map,
            (3, Value::Integer(flag)) => spec.add_dummy_prefix = flag != 0,
            (4, Value::Integer(flag)) => spec.remove_extra_whitespaces = flag != 0,
            (5, Value::Integer(flag)) => spec.escape_whitespaces = flag != 0,
            _ => {}
        }
    }
    Ok(())
}
