//! Layouts: how each family of checkpoints writes down its network, its tensors and its sentences.
//!
//! A family is one file here and one line in the list `LAYOUTS`. It reads its configuration into a [`Spec`], names its tensors
//! by rules, and says what stands around a sentence; the arithmetic is in [`crate::model`].

mod annotated_transformer;
mod bart;
mod convert;
mod ctranslate2;
mod describe;
mod fairseq;
mod fairseq_lstm;
mod fsmt;
mod generation;
mod gru_attention;
mod hugging_face;
mod joeynmt;
mod joeynmt_rnn;
mod keras_gru;
mod list;
mod m2m_100;
mod marian;
mod marian_native;
mod marian_recurrent;
mod marian_vocabulary;
mod mbart;
mod official_seq2seq;
mod opennmt_py;
mod opennmt_py_rnn;
mod pegasus;
mod plain_pytorch;
mod pytorch_transformer;
mod recurrent;
mod recurrent_attention;
mod rules;
mod sockeye;
mod t5;
mod t5_network;
mod text_defaults;
mod toolkits;
mod transformer;
mod tutorial_seq2seq;
mod tutorial_transformer;

use std::borrow::Cow;
use std::path::PathBuf;

use serde_json::{Map, Value};

pub use convert::{Form, convert};
pub use describe::{Description, describe, looks_like_model};
pub use generation::{EarlyStopping, GenerationConfig, MOST_BEAMS};
pub use list::{ModelSummary, WeightSummary, list_models};
pub use text_defaults::TextDefaults;

use crate::checkpoint::{Keys, ModelFiles, Parameters, Weights};
use crate::spec::{AlignmentHeads, HeadSet, Spec};
use crate::text::{Commas, Frame, Kind, Part, PieceList, Segmentation, Spellings, Task, Vocabularies};
use crate::{Error, Result};
use rules::Rule;

/// Every family.
static LAYOUTS: [&dyn Layout; 28] = [
    // These know their own files; their tensors may have the names of others.
    &ctranslate2::CTranslate2,
    &marian_recurrent::MarianRecurrent,
    &marian_native::MarianNative,
    &fairseq::Fairseq,
    &fairseq_lstm::FairseqLstm,
    &opennmt_py::OpenNmtPy,
    &opennmt_py_rnn::OpenNmtPyRnn,
    &joeynmt::JoeyNmt,
    &joeynmt_rnn::JoeyNmtRnn,
    &sockeye::Sockeye,
    &annotated_transformer::AnnotatedTransformer,
    &marian::Marian,
    &bart::Bart,
    &mbart::MBart,
    &m2m_100::M2M100,
    &pegasus::Pegasus,
    &t5_network::Class::T5,
    &t5_network::Class::Mt5,
    &t5_network::Class::Umt5,
    &fsmt::Fsmt,
    &tutorial_seq2seq::TutorialSeq2Seq,
    &gru_attention::GruAttention,
    &official_seq2seq::OfficialSeq2Seq,
    &keras_gru::KerasGru,
    &recurrent_attention::RecurrentAttention,
    &pytorch_transformer::PytorchTransformer,
    &tutorial_transformer::TutorialTransformer,
    &transformer::WrittenOut,
];

/// Translation models that are not supported, and what to use in their place.
const INSTEAD: [(&[&str], &str); 4] = [
    (&["nllb-moe", "nllb_moe"], "use an NLLB-200 without experts (facebook/nllb-200-3.3B and smaller)"),
    (&["longt5"], "use T5, Flan-T5 or mT5"),
    (&["t5gemma", "t5gemma2"], "use T5, Flan-T5 or MADLAD-400"),
    (&["encoder-decoder"], "use a model made as one and not of two others, such as Marian, NLLB-200 or mBART"),
];

/// The pieces of a model's source and target vocabulary; one list may serve both.
pub type Lists = (PieceList, Option<PieceList>);

/// The whole of a family.
pub trait Layout: Sync {
    /// Its `model_type` in config.json.
    fn name(&self) -> &'static str;

    /// The network, for lists of models.
    fn network(&self) -> &'static str {
        "transformer"
    }

    /// The toolkit that writes it, and its version if the files say so. By default Hugging Face transformers.
    fn toolkit(&self, files: &ModelFiles, _weights: &Weights) -> (&'static str, Option<String>) {
        let config = Keys::read(files, "config.json").ok().flatten();
        ("Hugging Face transformers", config.and_then(|keys| keys.string("transformers_version").ok().flatten()))
    }

    /// Whether a checkpoint is this family's, where no configuration says so: by the names of its tensors, and by what the
    /// file itself says ([`Weights::said`]).
    fn recognises(&self, tensors: &[&str], said: &Map<String, Value>) -> bool;

    /// The options of the network where they do not come from a config.json: out of the file of weights, or a file of the
    /// toolkit's beside it. `None` where only a config.json can say them; one that is there overrides each of these.
    ///
    /// # Errors
    /// If a file cannot be read or is damaged.
    fn options(&self, _files: &ModelFiles, _weights: &Weights) -> Result<Option<Map<String, Value>>> {
        Ok(None)
    }

    /// The names of its tensors. A tensor that no rule names keeps its own name.
    fn rules(&self) -> &'static [Rule];

    /// The network. What is not supported is noted with [`Keys::refuse`], all of it.
    ///
    /// # Errors
    /// If a key has the wrong type or an impossible value.
    fn spec(&self, keys: &Keys, parameters: &Parameters) -> Result<Spec>;

    /// What stands around a sentence.
    ///
    /// # Errors
    /// If a key has the wrong type or names a token that does not exist.
    fn frame(&self, keys: &Keys, spec: &Spec) -> Result<Frame>;

    /// The kinds of vocabulary it may come with, the first that is there being the one.
    fn vocabulary(&self) -> &'static [Kind] {
        &[Kind::Marian, Kind::TokenizerJson, Kind::WordList]
    }

    /// The pieces of its vocabularies in the order of their ids, where the toolkit has files of its own for them; text is cut
    /// by what lies beside them. `None` where [`Layout::vocabulary`] says what to look for.
    ///
    /// # Errors
    /// If a file is missing or damaged.
    fn lists(&self, _files: &ModelFiles, _keys: &Keys) -> Result<Option<Lists>> {
        Ok(None)
    }

    /// How its toolkit searches where no generation_config.json says it.
    ///
    /// # Errors
    /// If a key has the wrong type.
    fn search(&self, _keys: &Keys, _generation: &mut GenerationConfig) -> Result<()> {
        Ok(())
    }

    /// The instructions it was trained to get before a text, one a pair of languages.
    fn tasks(&self, _keys: &Keys) -> Vec<Task> {
        Vec::new()
    }

    /// The characters of the target vocabulary in the order of their ids, where the configuration spells them out.
    ///
    /// # Errors
    /// If the key has the wrong type.
    fn target_characters(&self, _keys: &Keys) -> Result<Option<String>> {
        Ok(None)
    }

    /// Completes the keys of a configuration that is to be written anew, so that nothing in it rests on a default.
    fn complete(&self, _spec: &Spec, _frame: &Frame, _config: &mut Map<String, Value>) {}
}

/// The family with this `model_type`.
fn by_model_type(model_type: &str) -> Option<&'static dyn Layout> {
    LAYOUTS.into_iter().find(|layout| layout.name() == model_type)
}

/// The family whose tensors these are.
fn by_tensors(weights: &Weights) -> Option<&'static dyn Layout> {
    let names: Vec<&str> = weights.names().map(rules::unwrapped).collect();
    LAYOUTS.into_iter().find(|layout| layout.recognises(&names, weights.said()))
}

/// Everything the files of a model say about it; no values are read yet.
pub struct Opened {
    /// The family.
    pub layout: &'static dyn Layout,
    /// The network.
    pub spec: Spec,
    /// What stands around a sentence.
    pub frame: Frame,
    /// Its tensors.
    pub parameters: Parameters,
    /// How it wants to be searched.
    pub generation: GenerationConfig,
    /// Directory of the vocabulary relative to the model's, if not the same.
    pub vocabulary: Option<String>,
    /// The instructions it was trained to get before a text.
    pub tasks: Vec<Task>,
    /// Codes of the source and the target language where nobody chooses.
    pub languages: (Option<String>, Option<String>),
    /// The characters of the target vocabulary, if the configuration spells them out.
    pub target_characters: Option<String>,
    /// The pieces of its vocabularies, where its toolkit has files of its own for them.
    pub lists: Option<Lists>,
    /// How text is cut into these pieces.
    pub segmentation: Segmentation,
    /// The cross-attention to read alignments from, if it was measured.
    pub alignment: Option<AlignmentHeads>,
    /// What is done to texts before and after it unless a command says otherwise.
    pub text_defaults: TextDefaults,
    /// What the user should be told about it, one line each.
    pub notes: Vec<String>,
    /// config.json as it is.
    config: Map<String, Value>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opened({}, {:?})", self.layout.name(), self.spec)
    }
}

impl Opened {
    /// Reads config.json, generation_config.json and the headers of the weights.
    ///
    /// # Errors
    /// If a file is missing or damaged, a key has the wrong type or an impossible value, or the family or an option is
    /// not supported.
    pub fn open(files: &ModelFiles) -> Result<Self> {
        let (layout, keys, parameters) = parameters(files)?;
        let spec = layout.spec(&keys, &parameters)?;
        keys.supported()?;
        let mut frame = layout.frame(&keys, &spec)?;
        let (_, target_size) = spec.vocabulary_sizes();
        let mut generation = GenerationConfig::read(files, frame.forced_end)?;
        if files.read("generation_config.json")?.is_none() {
            layout.search(&keys, &mut generation)?;
        }
        generation.check(files, target_size)?;
        // A model tuned for one direction says so in its settings.
        if frame.first == Some(Part::TargetLanguage) {
            frame.target = generation.forced_bos_token_id;
        } else if frame.start == Part::TargetLanguage {
            frame.target = generation.decoder_start_token_id.or(keys.id("decoder_start_token_id")?);
        }
        let alignment = match keys.section("alignment")? {
            None => None,
            Some(alignment) => {
                let layer = alignment.number("layer")?.ok_or_else(|| alignment.error("`layer` is missing"))?;
                let (layers, heads) = spec.attention_shape();
                let head = |head: &Value| head.as_u64().map(|head| head as usize).filter(|&head| head < heads);
                let chosen = match alignment.value("head") {
                    None => Some(None),
                    Some(Value::Array(list)) => {
                        list.iter().map(head).collect::<Option<Vec<_>>>().and_then(HeadSet::new).map(Some)
                    }
                    Some(value) => head(value).and_then(|head| HeadSet::new([head])).map(Some),
                };
                match chosen.filter(|_| layer < layers) {
                    Some(heads) => Some(AlignmentHeads { layer, heads }),
                    None => {
                        let problem = "`alignment` names a layer or head the decoder does not have";
                        return Err(keys.error(problem));
                    }
                }
            }
        };
        let vocabulary = keys.string("vocabulary")?;
        let target_characters = layout.target_characters(&keys)?;
        let tasks = layout.tasks(&keys);
        let languages = (keys.tokenizer_string("src_lang")?, keys.tokenizer_string("tgt_lang")?);
        let text_defaults = TextDefaults::read(&keys)?;
        let (lists, segmentation) = (layout.lists(files, &keys)?, Segmentation::read(&keys)?);
        let (notes, config) = (keys.notes(), keys.map().clone());
        Ok(Self {
            layout,
            spec,
            frame,
            parameters,
            generation,
            vocabulary,
            tasks,
            languages,
            target_characters,
            lists,
            segmentation,
            alignment,
            text_defaults,
            notes,
            config,
        })
    }

    /// Opens the list of usual spellings, if it has one.
    ///
    /// # Errors
    /// If it is missing or not in order.
    pub fn spellings(&self, files: &ModelFiles) -> Result<Option<Spellings>> {
        let list = self.text_file(files, "spellings")?;
        list.map(|(path, bytes)| Spellings::parse(bytes, path)).transpose()
    }

    /// Opens the network that puts in commas and capitals, if it has one.
    ///
    /// # Errors
    /// If it is missing or not such a network.
    pub fn commas(&self, files: &ModelFiles) -> Result<Option<Commas>> {
        let network = self.text_file(files, "commas")?;
        network.map(|(path, bytes)| Commas::parse(bytes, path)).transpose()
    }

    /// The file that a key of `text_defaults` names and how to name it in a message.
    fn text_file(&self, files: &ModelFiles, key: &str) -> Result<Option<(PathBuf, Cow<'static, [u8]>)>> {
        let own = &self.text_defaults;
        let Some(name) = (if key == "commas" { &own.commas } else { &own.spellings }) else { return Ok(None) };
        let path = files.path(name);
        let problem =
            format!("no such file, but config.json names it as `{key}` in `text_defaults`; add it, or remove the key");
        let bytes = files.read(name)?.ok_or_else(|| Error::model(&path, problem))?;
        Ok(Some((path, bytes)))
    }

    /// Opens the vocabularies and checks that they fit the network.
    ///
    /// # Errors
    /// If one is missing, cannot be used, or has more entries than its embedding has rows.
    pub fn vocabularies(&self, files: &ModelFiles) -> Result<Vocabularies> {
        let kinds = self.layout.vocabulary();
        let vocabularies = match (&self.lists, &self.vocabulary) {
            (Some((source, target)), _) => {
                Vocabularies::of_lists(files, source.clone(), target.clone(), &self.segmentation)?
            }
            (None, Some(directory)) => {
                Vocabularies::open_segmented(&files.directory(directory)?, kinds, &self.segmentation)?
            }
            (None, None) => Vocabularies::open_segmented(files, kinds, &self.segmentation)?,
        };
        let vocabularies = match &self.target_characters {
            Some(characters) => vocabularies.with_target_characters(characters),
            None => vocabularies,
        };
        let sizes = self.spec.vocabulary_sizes();
        for (side, vocabulary, size) in
            [("source", &vocabularies.source, sizes.0), ("target", &vocabularies.target, sizes.1)]
        {
            if vocabulary.size() > size {
                return Err(Error::model(
                    files.path("config.json"),
                    format!(
                        "the {side} vocabulary has {} entries but the embedding only {size} rows; \
                         the vocabulary files belong to another model",
                        vocabulary.size()
                    ),
                ));
            }
        }
        Ok(vocabularies)
    }

    /// Checks that every layer the configuration has is stored with all the tensors of the first. Reads no values.
    ///
    /// # Errors
    /// If one is missing; the message names it.
    pub fn check_layers(&self) -> Result<()> {
        let Spec::Transformer(spec) = &self.spec else { return Ok(()) };
        for (side, layers) in [("encoder", spec.encoder.layers), ("decoder", spec.decoder.layers)] {
            let first = format!("{side}.layers.0.");
            let mut of_first = self.parameters.names().filter(|name| name.contains(&first)).peekable();
            if of_first.peek().is_none() {
                return Err(self.parameters.missing(&format!("model.{first}self_attn.q_proj.weight")));
            }
            // What only the first layer has (T5's table of relative positions) is not among these.
            for name in of_first.filter(|name| name.contains("_proj.") || name.contains(".fc")) {
                let other = |layer| name.replace(&first, &format!("{side}.layers.{layer}."));
                if let Some(missing) = (1..layers).map(other).find(|name| !self.parameters.contains(name)) {
                    return Err(self.parameters.missing(&missing));
                }
            }
        }
        Ok(())
    }

    /// The complete config.json of the model: what it says, and what its family fills in.
    pub fn complete_config(&self) -> Map<String, Value> {
        let mut config = self.config.clone();
        config.insert("model_type".to_owned(), self.layout.name().into());
        self.layout.complete(&self.spec, &self.frame, &mut config);
        config
    }
}

/// The family of a model, its configuration, and its tensors under the names our layers ask for.
fn parameters(files: &ModelFiles) -> Result<(&'static dyn Layout, Keys, Parameters)> {
    let config = Keys::read(files, "config.json")?;
    let said = config.as_ref().map(|keys| keys.string("weights")).transpose()?.flatten();
    let said = match said {
        // A file that a person names counts.
        None if !matches!(files, ModelFiles::File { .. }) => marian_native::weights(files)?,
        said => said,
    };
    let weights = match said {
        Some(name) => Weights::open_file(files, &name)?,
        None => Weights::open(files)?,
    };
    let named = config.as_ref().map(|keys| keys.string("model_type")).transpose()?.flatten();
    let error = |problem: String| match &config {
        Some(keys) => keys.error(problem),
        None => Error::model(weights.path(), problem),
    };
    let layout = match named {
        Some(name) => by_model_type(&name).ok_or_else(|| error(unsupported(&name)))?,
        None => by_tensors(&weights).ok_or_else(|| match &config {
            Some(keys) => keys.error(format!(
                "has no `model_type`, and the names of the tensors are of no known family; supported are {}",
                supported()
            )),
            None => {
                let example = weights.names().next().unwrap_or_default();
                let problem = format!(
                    "is missing, and the names of the tensors ({example}, …) are of no known family (docs/models.md says what \
                     to write)"
                );
                Error::model(files.path("config.json"), problem)
            }
        })?,
    };
    let keys = match (config, layout.options(files, &weights)?) {
        (Some(keys), Some(options)) => keys.over(options),
        (Some(keys), None) => keys,
        (None, Some(options)) => Keys::of(weights.path(), options),
        (None, None) => return Err(needs_config(files)),
    };
    let keys = keys.with_tokenizer(Keys::read(files, "tokenizer_config.json")?);
    let recipes = rules::recipes(&weights, layout.rules(), &keys)?;
    Ok((layout, keys, Parameters::new(weights, recipes)))
}

/// The error for a model whose options nothing says.
fn needs_config(files: &ModelFiles) -> Error {
    let problem = "is missing; a model directory needs it (docs/models.md says what to write)";
    Error::model(files.path("config.json"), problem)
}

/// The tensors of a model under the names our layers ask for; only headers are read.
///
/// # Errors
/// If config.json or the weights are missing or damaged, or of no supported family.
pub fn open_parameters(files: &ModelFiles) -> Result<Parameters> {
    parameters(files).map(|(_, _, parameters)| parameters)
}

fn supported() -> String {
    LAYOUTS.iter().map(|layout| format!("\"{}\"", layout.name())).collect::<Vec<_>>().join(", ")
}

/// What is wrong with a `model_type`, if anything.
pub fn refuses(model_type: &str) -> Option<String> {
    by_model_type(model_type).is_none().then(|| unsupported(model_type))
}

/// What is wrong with another `model_type`.
fn unsupported(model_type: &str) -> String {
    let shown: String = model_type.chars().filter(|c| !c.is_control()).take(60).collect();
    let advice = match INSTEAD.iter().find(|(names, _)| names.contains(&model_type)) {
        Some((_, advice)) => (*advice).to_owned(),
        None => format!("supported are {}", supported()),
    };
    format!("model_type \"{shown}\" is not supported; {advice}")
}
