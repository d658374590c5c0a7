//! Matrices stored in int8, in the very form the kernels of every processor read, so that they are used where they lie.
//!
//! A matrix `NAME` `[outputs, inputs]` is three tensors of a safetensors file: `NAME`, I8, `[P, G, 16, 4]` with
//! `P = ⌈outputs / 16⌉` and `G = inputs / 4`, value `(o, i)` at `[o / 16, i / 4, o % 16, i % 4]` and zeros beyond the last
//! output; `NAME.scales`, F32, `[outputs]`, what the values of a row are multiplied by; `NAME.sums`, F32, `[outputs]`, the sum
//! of each row's values (whole numbers, which F32 holds exactly).

use std::ops::Range;

use super::bytes::SharedBytes;
use super::dtype::Dtype;
use super::stored::Stored;

/// Added to the name of a matrix: its rows' scales.
pub const SCALES: &str = ".scales";
/// Added to the name of a matrix: its rows' sums.
pub const SUMS: &str = ".sums";

/// Outputs of a panel.
const LANES: usize = 16;
/// Inputs that follow one another in a panel.
const GROUP: usize = 4;
/// The widest rows whose sums F32 holds for certain.
const WIDEST: usize = (1 << 24) / 127;

/// Where the scales and sums of a matrix lie.
pub(super) struct Rows {
    pub(super) scales: Stored,
    pub(super) sums: Stored,
}

impl Rows {
    /// The shape of the matrix whose panels are `panels`, or what is wrong with it.
    pub(super) fn matrix_shape(&self, panels: &Stored) -> Result<Vec<usize>, String> {
        for (name, rows) in [("scales", &self.scales), ("sums", &self.sums)] {
            if rows.dtype != Ok(Dtype::F32) || rows.shape.len() != 1 || rows.strides.is_some() {
                return Err(format!("has {name} that are not a vector of F32"));
            }
        }
        let outputs = self.scales.shape[0];
        let &[count, groups, LANES, GROUP] = &panels.shape[..] else {
            return Err(format!("has the shape {:?}, not [panels, groups, 16, 4]", panels.shape));
        };
        if self.sums.shape[0] != outputs || count != outputs.div_ceil(LANES) || groups > WIDEST / GROUP {
            return Err(format!("of shape {:?} has {outputs} scales and {} sums", panels.shape, self.sums.shape[0]));
        }
        Ok(vec![outputs, groups * GROUP])
    }
}

/// Shape of the panels of a matrix `[outputs, inputs]`; `None` if it cannot be stored so.
pub fn panel_shape(shape: &[usize]) -> Option<[usize; 4]> {
    match *shape {
        [outputs, inputs] if inputs.is_multiple_of(GROUP) && outputs > 0 && (1..=WIDEST).contains(&inputs) => {
            Some([outputs.div_ceil(LANES), inputs / GROUP, LANES, GROUP])
        }
        _ => None,
    }
}

/// Bytes of the panels of a matrix `[outputs, inputs]`.
pub(super) fn panel_bytes(shape: &[usize]) -> usize {
    panel_shape(shape).map_or(0, |shape| shape.iter().product())
}

/// A matrix stored in int8, where it lies.
#[derive(Clone)]
pub struct Int8Part {
    /// The file.
    pub bytes: SharedBytes,
    /// Where the values are in it.
    pub range: Range<usize>,
    /// Whether they are row-major, `[outputs, inputs]`, as other tools have them, and not in panels.
    pub row_major: bool,
    /// What the values of each row are multiplied by, `[outputs]`.
    pub scales: Vec<f32>,
    /// The sum of each row's values, `[outputs]`.
    pub sums: Vec<i32>,
}

impl Int8Part {
    /// Hands on the given rows, of `width` values each, in `f32`, one at a time. The values must be in panels.
    pub(super) fn read_rows(&self, width: usize, rows: Range<usize>, sink: &mut dyn FnMut(&[f32])) {
        let panels = &(*self.bytes).as_ref()[self.range.clone()];
        let mut values = vec![0.0; width];
        for row in rows {
            let panel = &panels[row / LANES * width * LANES..][..width * LANES];
            for (to, group) in values.chunks_exact_mut(GROUP).zip(panel.chunks_exact(LANES * GROUP)) {
                let from = &group[row % LANES * GROUP..][..GROUP];
                to.iter_mut().zip(from).for_each(|(to, &byte)| *to = f32::from(byte as i8) * self.scales[row]);
            }
            sink(&values);
        }
    }
}
