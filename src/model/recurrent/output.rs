//! From the decoder's state to what the output matrix reads.

use std::sync::Arc;

use crate::Result;
use crate::checkpoint::Parameters;
use crate::compute::{Activation, Backend, Workspace};
use crate::nn::Linear;
use crate::spec::recurrent::{Hidden, Part, Recurrent};

/// The layers before the output matrix, and that.
#[derive(Debug)]
pub(super) struct Output<B: Backend> {
    hidden: Option<(Linear<B>, Activation)>,
    extra: Option<Linear<B>>,
    pub last: Linear<B>,
}

impl<B: Backend> Output<B> {
    /// `embedding` is the target embedding, for an output that is tied to it.
    pub(super) fn load(
        spec: &Recurrent,
        parameters: &Parameters,
        backend: &B,
        embedding: &Arc<B::Matrix>,
    ) -> Result<Self> {
        let parts: usize = spec.output.parts.iter().map(|&part| spec.part(part)).sum();
        let linear = |prefix: &str, inputs: usize, outputs: usize| {
            Linear::load(backend, parameters, prefix, inputs, outputs, spec.bias)
        };
        let hidden = match spec.output.hidden {
            None => None,
            Some(Hidden { width, activation }) => {
                let apart = |part: Part| format!("decoder.hidden_fc_{}", part.name());
                let is_apart = parameters.contains(&format!("{}.weight", apart(spec.output.parts[0])));
                let layer = match is_apart {
                    true => beside(spec, parameters, backend, width, &apart)?,
                    false => linear("decoder.hidden_fc", parts, width)?,
                };
                Some((layer, activation))
            }
        };
        let before = spec.output.hidden.map_or(parts, |hidden| hidden.width);
        let extra = spec.output.extra.map(|width| linear("decoder.extra_fc", before, width)).transpose()?;
        let last = match spec.output.tied {
            false => linear("decoder.fc_out", spec.features(), spec.target_vocabulary)?,
            true => {
                let name = "decoder.fc_out.bias";
                let bias = (spec.bias || parameters.contains(name)).then(|| {
                    let bias = parameters.tensor(name, &[spec.target_vocabulary])?;
                    backend.vector(bias)
                });
                Linear::new(embedding.clone(), bias.transpose()?)
            }
        };
        Ok(Self { hidden, extra, last })
    }

    /// The hidden layer over the parts put together, into `out`; `false` if there is none.
    pub(super) fn hidden(
        &self,
        backend: &B,
        workspace: &mut Workspace,
        parts: &B::Rows,
        out: &mut B::Rows,
    ) -> Result<bool> {
        let Some((hidden, activation)) = &self.hidden else { return Ok(false) };
        hidden.forward(backend, workspace, parts, *activation, out)?;
        Ok(true)
    }

    /// The extra layer, into `out`; `false` if there is none.
    pub(super) fn extra(&self, backend: &B, workspace: &mut Workspace, x: &B::Rows, out: &mut B::Rows) -> Result<bool> {
        let Some(extra) = &self.extra else { return Ok(false) };
        extra.forward(backend, workspace, x, Activation::Identity, out)?;
        Ok(true)
    }
}

/// Layers over each part, whose sum is one layer over the parts side by side.
fn beside<B: Backend>(
    spec: &Recurrent,
    parameters: &Parameters,
    backend: &B,
    width: usize,
    prefix: &dyn Fn(Part) -> String,
) -> Result<Linear<B>> {
    let columns: usize = spec.output.parts.iter().map(|&part| spec.part(part)).sum();
    let (mut weight, mut bias, mut has_bias) = (vec![0.0; width * columns], vec![0.0; width], false);
    let mut first = 0;
    for &part in &spec.output.parts {
        let own = spec.part(part);
        let values = parameters.tensor(&format!("{}.weight", prefix(part)), &[width, own])?;
        for (row, values) in weight.chunks_exact_mut(columns).zip(values.chunks_exact(own)) {
            row[first..first + own].copy_from_slice(values);
        }
        first += own;
        let name = format!("{}.bias", prefix(part));
        if spec.bias || parameters.contains(&name) {
            has_bias = true;
            bias.iter_mut().zip(parameters.tensor(&name, &[width])?).for_each(|(sum, bias)| *sum += bias);
        }
    }
    let matrix = backend.matrix(width, columns, &mut |sink| {
        sink(&weight);
        Ok(())
    })?;
    Ok(Linear::new(Arc::new(matrix), if has_bias { Some(backend.vector(bias)?) } else { None }))
}
