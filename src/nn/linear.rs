//! Fully connected layers.

use std::sync::Arc;

use crate::Result;
use crate::checkpoint::{Int8Part, Parameters};
use crate::compute::{Activation, Backend, LogSumExp, Scored, StoredInt8, Workspace};

/// `y = activation(x Wᵀ + b)` with `W` `[outputs, inputs]`.
#[derive(Debug)]
pub struct Linear<B: Backend> {
    matrix: Arc<B::Matrix>,
    bias: Option<B::Vector>,
}

impl<B: Backend> Linear<B> {
    /// Reads `PREFIX.weight` `[outputs, inputs]` and `PREFIX.bias` `[outputs]`, without `bias` only where it is stored.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(
        backend: &B,
        parameters: &Parameters,
        prefix: &str,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Result<Self> {
        Self::load_fused(backend, parameters, &[prefix], inputs, outputs, bias)
    }

    /// Several layers over the same input as one product: their outputs follow one another, `[prefixes · outputs]`.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load_fused(
        backend: &B,
        parameters: &Parameters,
        prefixes: &[&str],
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Result<Self> {
        let names: Vec<String> = prefixes.iter().map(|prefix| format!("{prefix}.weight")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let matrix = load_matrix(backend, parameters, &names, outputs, inputs)?;
        let stored = |prefix: &&str| bias || parameters.contains(&format!("{prefix}.bias"));
        if !prefixes.iter().any(stored) {
            return Ok(Self::new(Arc::new(matrix), None));
        }
        let mut values = vec![0.0; names.len() * outputs];
        for (prefix, values) in
            prefixes.iter().zip(values.chunks_exact_mut(outputs)).filter(|(prefix, _)| stored(prefix))
        {
            values.copy_from_slice(&parameters.tensor(&format!("{prefix}.bias"), &[outputs])?);
        }
        Ok(Self::new(Arc::new(matrix), Some(backend.vector(values)?)))
    }

    /// A layer over a matrix that is already loaded (and may be shared with an embedding).
    pub fn new(matrix: Arc<B::Matrix>, bias: Option<B::Vector>) -> Self {
        Self { matrix, bias }
    }

    /// Number of outputs.
    pub fn outputs(&self, backend: &B) -> usize {
        backend.outputs(&self.matrix)
    }

    /// Columns of its input.
    pub fn inputs(&self, backend: &B) -> usize {
        backend.inputs(&self.matrix)
    }

    /// `x` `[rows, inputs]` to `out` `[rows, outputs]`.
    ///
    /// # Errors
    /// As [`Backend`].
    pub fn forward(
        &self,
        backend: &B,
        workspace: &mut Workspace,
        x: &B::Rows,
        activation: Activation,
        out: &mut B::Rows,
    ) -> Result<()> {
        backend.linear(workspace, x, &self.matrix, self.bias.as_ref(), activation, out)
    }

    /// [`Backend::logits`] of this layer.
    ///
    /// # Errors
    /// As [`Backend`].
    pub fn logits(&self, backend: &B, workspace: &mut Workspace, x: &B::Rows, logits: &mut Vec<f32>) -> Result<()> {
        backend.logits(workspace, x, &self.matrix, self.bias.as_ref(), logits)
    }

    /// [`Backend::top_k`] of this layer.
    ///
    /// # Errors
    /// As [`Backend`].
    #[allow(clippy::too_many_arguments)]
    pub fn top_k(
        &self,
        backend: &B,
        workspace: &mut Workspace,
        x: &B::Rows,
        k: usize,
        banned: &[u32],
        normalise: LogSumExp,
        best: &mut Vec<Scored>,
        log_sum_exp: &mut Vec<f32>,
    ) -> Result<()> {
        let bias = self.bias.as_ref();
        backend.top_k(workspace, x, &self.matrix, bias, k, banned, normalise, best, log_sum_exp)
    }
}

/// Several tensors `[rows, width]` as one matrix, the rows of each following those of the one before.
///
/// # Errors
/// If a tensor is missing or has another shape.
pub fn load_matrix<B: Backend>(
    backend: &B,
    parameters: &Parameters,
    names: &[&str],
    rows: usize,
    width: usize,
) -> Result<B::Matrix> {
    // Only the stored tensors vouch for the sizes that the configuration claims.
    names.iter().try_for_each(|name| parameters.check(name, &[rows, width]))?;
    let int8 = |name: &&str| parameters.int8(name, &[rows, width]).transpose();
    let int8: Vec<_> = names.iter().filter_map(int8).collect::<Result<_>>()?;
    if int8.len() == names.len() {
        let parts: Vec<StoredInt8> = int8.into_iter().map(stored_int8).collect();
        if let Some(matrix) = backend.stored_int8(width, &parts) {
            return Ok(matrix);
        }
    }
    backend.matrix(names.len() * rows, width, &mut |sink| {
        names.iter().try_for_each(|name| parameters.read_rows(name, &[rows, width], sink))
    })
}

/// The matrix of an output layer `[outputs, inputs]`, which may be a table of vectors, too; it is left in its file where the backend
/// does that.
///
/// # Errors
/// If the tensor is missing or has another shape.
pub fn load_output<B: Backend>(
    backend: &B,
    parameters: &Parameters,
    name: &str,
    outputs: usize,
    inputs: usize,
) -> Result<B::Matrix> {
    if let Some(file) = parameters.row_file(name, &[outputs, inputs])?
        && let Some(matrix) = backend.stored_rows(outputs, inputs, Box::new(move |first, into| file.read(first, into)))
    {
        return Ok(matrix);
    }
    load_matrix(backend, parameters, &[name], outputs, inputs)
}

/// A part of a file as the kernels take it.
pub fn stored_int8(part: Int8Part) -> StoredInt8 {
    let Int8Part { bytes, range, row_major, scales, sums } = part;
    StoredInt8 { outputs: scales.len(), values: (bytes, range), row_major, scales, sums }
}
