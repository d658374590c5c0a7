//! The Transformer of "The Annotated Transformer" (Rush 2018; Huang et al. 2022) and of the many programs that began with it: a state
//! dict that says nothing about itself. Sublayers are normalised before, by the standard deviation with n − 1.
//!
//! The number of heads is not in it; it is 8 unless config.json has `nhead`. Its vocabularies are `source_vocab.txt` and
//! `target_vocab.txt`, or `vocab.pt` with two lists of torchtext.

use serde_json::{Map, Value};

use super::rules::Rule;
use super::toolkits::{self, Tokens};
use super::{Layout, Lists};
use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights, read_pickle};
use crate::compute::NormKind;
use crate::spec::{Norm, Spec, Transformer};
use crate::text::{Frame, Part, PieceList};
use crate::{Error, Result};

/// The ids that both vocabularies begin with: `<s>`, `</s>`, `<blank>`, `<unk>`.
const TOKENS: Tokens = Tokens { begin: 0, end: 1, padding: 2, unknown: 3 };

/// The file of both vocabularies.
const VOCABULARY: &str = "vocab.pt";

/// The family.
pub(super) struct AnnotatedTransformer;

impl Layout for AnnotatedTransformer {
    fn name(&self) -> &'static str {
        "annotated-transformer"
    }

    fn toolkit(&self, _files: &ModelFiles, _weights: &Weights) -> (&'static str, Option<String>) {
        ("the Annotated Transformer", None)
    }

    fn recognises(&self, tensors: &[&str], _said: &Map<String, Value>) -> bool {
        tensors.contains(&"encoder.layers.0.sublayer.0.norm.a_2") && tensors.contains(&"src_embed.0.lut.weight")
    }

    fn options(&self, _files: &ModelFiles, _weights: &Weights) -> Result<Option<Map<String, Value>>> {
        Ok(Some(Map::new()))
    }

    fn rules(&self) -> &'static [Rule] {
        &[
            Rule::Ignore("{side}_embed.1.pe"),
            Rule::Copy("src_embed.0.lut.weight", &["model.encoder.embed_tokens.weight"]),
            Rule::Copy("tgt_embed.0.lut.weight", &["model.decoder.embed_tokens.weight"]),
            Rule::Copy("generator.proj.{part}", &["lm_head.{part}"]),
            Rule::Rename("{side}.norm.a_2", "{side}.layer_norm.weight"),
            Rule::Rename("{side}.norm.b_2", "{side}.layer_norm.bias"),
            Rule::Rename(
                "{side}.layers.{layer}.sublayer.{which}.norm.a_2",
                "{side}.layers.{layer}.norm.{which}.weight",
            ),
            Rule::Rename("{side}.layers.{layer}.sublayer.{which}.norm.b_2", "{side}.layers.{layer}.norm.{which}.bias"),
            Rule::Rename("{side}.layers.{layer}.norm.0.{part}", "{side}.layers.{layer}.self_attn_layer_norm.{part}"),
            Rule::Rename("encoder.layers.{layer}.norm.1.{part}", "encoder.layers.{layer}.final_layer_norm.{part}"),
            Rule::Rename(
                "decoder.layers.{layer}.norm.1.{part}",
                "decoder.layers.{layer}.encoder_attn_layer_norm.{part}",
            ),
            Rule::Rename("decoder.layers.{layer}.norm.2.{part}", "decoder.layers.{layer}.final_layer_norm.{part}"),
            Rule::Rename("decoder.layers.{layer}.src_attn.{rest}", "decoder.layers.{layer}.encoder_attn.{rest}"),
            Rule::Rename(
                "{side}.layers.{layer}.{attention}.linears.0.{part}",
                "{side}.layers.{layer}.{attention}.q_proj.{part}",
            ),
            Rule::Rename(
                "{side}.layers.{layer}.{attention}.linears.1.{part}",
                "{side}.layers.{layer}.{attention}.k_proj.{part}",
            ),
            Rule::Rename(
                "{side}.layers.{layer}.{attention}.linears.2.{part}",
                "{side}.layers.{layer}.{attention}.v_proj.{part}",
            ),
            Rule::Rename(
                "{side}.layers.{layer}.{attention}.linears.3.{part}",
                "{side}.layers.{layer}.{attention}.out_proj.{part}",
            ),
            Rule::Rename("{side}.layers.{layer}.feed_forward.w_1.{part}", "{side}.layers.{layer}.fc1.{part}"),
            Rule::Rename("{side}.layers.{layer}.feed_forward.w_2.{part}", "{side}.layers.{layer}.fc2.{part}"),
            Rule::Copy("encoder.{rest}", &["model.encoder.{rest}"]),
            Rule::Copy("decoder.{rest}", &["model.decoder.{rest}"]),
        ]
    }

    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec> {
        if keys.value("nhead").is_none() {
            keys.note("the weights do not say how many heads there are; it is 8 unless config.json has \"nhead\"");
        }
        let heads = keys.size("nhead", 8)?;
        let network = toolkits::transformer(keys, parameters)?;
        let width = network.width;
        let stack = |side| toolkits::stack(keys, parameters, side, width, heads, true, true);
        Ok(Spec::Transformer(Transformer {
            encoder: stack("encoder")?,
            decoder: stack("decoder")?,
            norm: Norm { kind: NormKind::Deviation, epsilon: 1e-6 },
            positions: toolkits::INTERLEAVED,
            ..network
        }))
    }

    fn frame(&self, _keys: &Keys, _spec: &Spec) -> Result<Frame> {
        let mut frame = TOKENS.frame(TOKENS.begin);
        frame.source = Some((vec![Part::Id(TOKENS.begin)], vec![Part::Id(TOKENS.end)]));
        frame.bans_padding = true;
        Ok(frame)
    }

    fn lists(&self, files: &ModelFiles, _keys: &Keys) -> Result<Option<Lists>> {
        if let Some(both) = read_pickle(files, VOCABULARY)? {
            let of = |index: usize| -> Result<PieceList> {
                let side = both.get("list").and_then(|sides| sides.get(index));
                // The vocabularies of torchtext since 0.12 keep theirs inside, and it among other things; those before, as it is.
                let pieces = side.and_then(|side| ["/vocab/2", "/itos"].iter().find_map(|path| side.pointer(path)));
                let pieces = pieces.and_then(Value::as_array).map(|pieces| pieces.iter().map(Value::as_str));
                let pieces = pieces.and_then(|pieces| pieces.map(|piece| piece.map(str::to_owned)).collect());
                let problem = "does not hold two vocabularies of torchtext; write source_vocab.txt and target_vocab.txt, a word a line";
                let path = files.path(VOCABULARY);
                let pieces = pieces.ok_or_else(|| Error::model(&path, problem))?;
                Ok(TOKENS.list(pieces, path))
            };
            return Ok(Some((of(0)?, Some(of(1)?))));
        }
        let list = |side: &str| -> Result<Option<Vec<String>>> {
            let name = format!("{side}_vocab.txt");
            Ok(if files.has(&name) {
                Some(toolkits::text(files, &name)?.lines().map(str::to_owned).collect())
            } else {
                None
            })
        };
        let (Some(source), Some(target)) = (list("source")?, list("target")?) else { return Ok(None) };
        let path = |side: &str| files.path(format!("{side}_vocab.txt"));
        Ok(Some((TOKENS.list(source, path("source")), Some(TOKENS.list(target, path("target"))))))
    }
}
