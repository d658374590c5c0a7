//! The number formats weights are stored in, and their conversion to `f32`.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// A stored number format. Every value is little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32.
    Bf16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// Signed bytes; in a matrix of [`super::Int8Part`]s each row has a scale.
    I8,
    /// Signed 16-bit integers, with a scale beside them.
    I16,
}

impl Dtype {
    /// Bytes per value.
    pub fn size(self) -> usize {
        match self {
            Self::I8 => 1,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// The name in a safetensors header.
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::F32 => "F32",
            Self::F64 => "F64",
            Self::I8 => "I8",
            Self::I16 => "I16",
        }
    }

    /// The name in options and lists.
    pub fn precision(self) -> String {
        if self == Self::I8 { "int8".to_owned() } else { self.name().to_lowercase() }
    }

    /// The format with this name in a safetensors header; 16-bit integers have no scale there, so they are none.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::F16, Self::Bf16, Self::F32, Self::F64, Self::I8].into_iter().find(|dtype| dtype.name() == name)
    }

    /// Appends the values in `bytes` (a whole number of them) to `out`.
    pub(super) fn extend_f32(self, bytes: &[u8], out: &mut Vec<f32>) {
        let start = out.len();
        out.resize(start + bytes.len() / self.size(), 0.0);
        self.write_f32(bytes, &mut out[start..]);
    }

    /// Writes the values in `bytes` into `out`, which is as long as there are values.
    pub(super) fn write_f32(self, bytes: &[u8], out: &mut [f32]) {
        fn each<const SIZE: usize>(bytes: &[u8], out: &mut [f32], value: impl Fn([u8; SIZE]) -> f32) {
            out.iter_mut().zip(bytes.as_chunks().0).for_each(|(out, &bytes)| *out = value(bytes));
        }
        match self {
            Self::F32 => each(bytes, out, f32::from_le_bytes),
            Self::I8 => each(bytes, out, |[byte]| f32::from(byte as i8)),
            Self::I16 => each(bytes, out, |bytes| f32::from(i16::from_le_bytes(bytes))),
            Self::F64 => each(bytes, out, |bytes| f64::from_le_bytes(bytes) as f32),
            Self::Bf16 => each(bytes, out, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            Self::F16 => {
                // In blocks, so that the processor's vector conversion is used.
                const BLOCK: usize = 1024;
                let mut halves = [f16::ZERO; BLOCK];
                for (from, to) in bytes.chunks(2 * BLOCK).zip(out.chunks_mut(BLOCK)) {
                    for (half, &b) in halves.iter_mut().zip(from.as_chunks().0) {
                        *half = f16::from_le_bytes(b);
                    }
                    halves[..to.len()].convert_to_f32_slice(to);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_reads_back_the_values_it_can_hold() {
        let values: Vec<f32> = (0..3000).map(|i| (i % 64) as f32 * 0.125 - 4.0).collect();
        let encode = |dtype: Dtype| -> Vec<u8> {
            let one = |&v: &f32| match dtype {
                Dtype::F16 => f16::from_f32(v).to_le_bytes().to_vec(),
                Dtype::Bf16 => bf16::from_f32(v).to_le_bytes().to_vec(),
                Dtype::F32 => v.to_le_bytes().to_vec(),
                Dtype::F64 => f64::from(v).to_le_bytes().to_vec(),
                Dtype::I8 => (v as i8).to_le_bytes().to_vec(),
                Dtype::I16 => (v as i16).to_le_bytes().to_vec(),
            };
            values.iter().flat_map(one).collect()
        };
        for dtype in [Dtype::F16, Dtype::Bf16, Dtype::F32, Dtype::F64] {
            let mut read = vec![7.0];
            dtype.extend_f32(&encode(dtype), &mut read);
            assert_eq!(read[0], 7.0);
            assert_eq!(read[1..], values, "{dtype:?}");
            assert_eq!(Dtype::from_name(dtype.name()), Some(dtype));
        }
    }
}
