//! A reader of the protobuf wire format, as much of it as model files need.

/// What is wrong with the bytes; shown after the file's name.
pub(super) type Malformed = &'static str;

/// The value of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// Wire type 0: integers, booleans and enumerations.
    Integer(u64),
    /// Wire type 5: `float` and the fixed 32-bit integers, as their bits.
    Bits32(u32),
    /// Wire type 1: `double` and the fixed 64-bit integers.
    Bits64,
    /// Wire type 2: strings, bytes and embedded messages.
    Bytes(&'a [u8]),
}

/// Walks over the fields of one message.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of the message in `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field's number and value, or `None` at the end of the message.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.integer()?;
        let value = match key & 7 {
            0 => Value::Integer(self.integer()?),
            1 => {
                self.take(8)?;
                Value::Bits64
            }
            2 => {
                let length = self.integer()?;
                Value::Bytes(self.take(usize::try_from(length).unwrap_or(usize::MAX))?)
            }
            5 => {
                let bytes = self.take(4)?;
                Value::Bits32(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            }
            _ => return Err("a field has an unsupported wire type"),
        };
        match key >> 3 {
            0 => Err("a field has the number 0"),
            number => Ok(Some((number, value))),
        }
    }

    /// A base-128 integer of at most ten bytes.
    fn integer(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            // The tenth byte holds the 64th bit only; higher bits are dropped as other readers do.
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err("an integer runs past its end")
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or("it ends in the middle of a field")?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_wire_type() {
        let bytes = [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 0, 0, 0x80, 0x3f, 0x21, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut fields = Fields::new(&bytes);
        assert_eq!(fields.next(), Ok(Some((1, Value::Integer(150)))));
        assert_eq!(fields.next(), Ok(Some((2, Value::Bytes(b"hi")))));
        assert_eq!(fields.next(), Ok(Some((3, Value::Bits32(1.0_f32.to_bits())))));
        assert_eq!(fields.next(), Ok(Some((4, Value::Bits64))));
        assert_eq!(fields.next(), Ok(None));
    }

    #[test]
    fn truncated_and_overlong_fields_are_errors() {
        assert!(Fields::new(&[0x12, 200]).next().is_err());
        assert!(Fields::new(&[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).next().is_err());
        assert!(Fields::new(&[0x08]).next().is_err());
        assert!(Fields::new(&[0x80; 11]).next().is_err());
        assert!(Fields::new(&[0x0b]).next().is_err());
    }
}
