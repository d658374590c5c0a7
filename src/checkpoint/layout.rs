//! Layouts: which names a tensor goes by in the checkpoints people have, and which one our models ask for.
//!
//! The canonical names are those of Hugging Face `MarianMTModel` for the Transformer (`model.encoder.layers.0.…`,
//! `final_logits_bias`) and those of the current PyTorch sequence-to-sequence tutorial for the GRU
//! (`decoder.attention.attn_fc.weight`).

use super::Weights;
use crate::Result;

/// A family of checkpoints with its own naming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A Hugging Face Marian Transformer.
    Transformer,
    /// A bidirectional GRU encoder and a GRU decoder with additive attention.
    Gru,
}

/// Prefixes that say nothing about the tensor: PyTorch's `DataParallel` and compiled modules.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// Prefixes of a Marian model saved without its language-model head, and their canonical forms.
const BARE_MARIAN: [(&str, &str); 3] =
    [("shared.", "model.shared."), ("encoder.", "model.encoder."), ("decoder.", "model.decoder.")];

/// Names of earlier generations of the tutorial (whole module paths), and the current ones.
const TUTORIAL: [(&str, &str); 5] = [
    ("decoder.attention.attn.", "decoder.attention.attn_fc."),
    ("decoder.attention.v.", "decoder.attention.v_fc."),
    ("decoder.out.", "decoder.fc_out."),
    ("attention.attn.", "decoder.attention.attn_fc."),
    ("attention.v.", "decoder.attention.v_fc."),
];

impl Family {
    /// The family with this `model_type` in `config.json`.
    pub fn from_model_type(model_type: &str) -> Option<Self> {
        match model_type {
            "marian" => Some(Self::Transformer),
            "gru-attention" => Some(Self::Gru),
            _ => None,
        }
    }

    /// What is wrong with another `model_type`.
    pub fn unsupported(model_type: &str) -> String {
        let shown: String = model_type.chars().filter(|c| !c.is_control()).take(60).collect();
        format!("model_type \"{shown}\" is not supported; supported are \"marian\" and \"gru-attention\"")
    }

    /// Recognises a family by its tensor names; anything that is not the GRU is taken for the Transformer.
    pub fn detect<'a>(mut names: impl Iterator<Item = &'a str>) -> Self {
        let is_gru = names.any(|name| unwrap(name).starts_with("encoder.rnn."));
        if is_gru { Self::Gru } else { Self::Transformer }
    }

    /// The name our models know a stored tensor by.
    pub fn canonical(self, stored: &str) -> String {
        let name = unwrap(stored);
        if self == Self::Gru && name == "decoder.attention.v" {
            // The tutorial's first generation kept v as a bare parameter [hidden].
            return "decoder.attention.v_fc.weight".to_owned();
        }
        let table: &[(&str, &str)] = match self {
            Self::Transformer => &BARE_MARIAN,
            Self::Gru => &TUTORIAL,
        };
        let renamed = table.iter().find_map(|(from, to)| Some(format!("{to}{}", name.strip_prefix(from)?)));
        renamed.unwrap_or_else(|| name.to_owned())
    }
}

fn unwrap(mut name: &str) -> &str {
    while let Some(inner) = WRAPPERS.iter().find_map(|wrapper| name.strip_prefix(wrapper)) {
        name = inner;
    }
    name
}

/// The tensors a Transformer takes its three vocabulary-sized matrices from. Equal names mean one shared matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddingNames {
    /// Source embedding, `[source vocabulary, d_model]`.
    pub source: &'static str,
    /// Target embedding, `[target vocabulary, d_model]`.
    pub target: &'static str,
    /// Output projection, `[target vocabulary, d_model]`.
    pub output: &'static str,
}

const SHARED: &str = "model.shared.weight";
const ENCODER: &str = "model.encoder.embed_tokens.weight";
const DECODER: &str = "model.decoder.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// Decides from the stored tensors which embedding each side uses.
///
/// A tensor stored for a purpose is used for it, so a checkpoint whose `lm_head` differs from its embeddings is not
/// tied whatever its config says; copies with equal values are recognised and kept once. A matrix that is not stored is
/// taken from the one it is tied to.
///
/// # Errors
/// If no embedding is stored at all, or two cannot be compared.
pub fn embedding_names(weights: &Weights) -> Result<EmbeddingNames> {
    let first = |candidates: &[&'static str]| candidates.iter().copied().find(|name| weights.contains(name));
    let Some(source) = first(&[ENCODER, SHARED, DECODER, HEAD]) else {
        return Err(weights.missing(SHARED));
    };
    let target = match first(&[DECODER, SHARED, HEAD]) {
        Some(target) if target != source && !weights.same(target, source)? => target,
        _ => source,
    };
    let output = match first(&[HEAD]) {
        Some(head) if head != target && !weights.same(head, target)? => head,
        _ => target,
    };
    Ok(EmbeddingNames { source, target, output })
}
