//! Writing attention, for `attn-dump` and beside plain translations.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use translate::checkpoint::ModelFiles;
use translate::inspect::{AttentionMap, Format, Kind, RenderOptions, Renderer, View};
use translate::model::Record;
use translate::pipeline::{Output, Sink};
use translate::spec::{AlignmentHeads, Past, Spec};
use translate::{Error, Result};

use super::message;

/// A renderer and where its bytes go. The first error ends the writing; [`AttentionWriter::end`] reports it.
pub(super) struct AttentionWriter {
    format: Format,
    renderer: Renderer,
    destination: Destination,
    sentences: u64,
    error: Option<Error>,
}

enum Destination {
    /// One stream or file. `single` formats hold one sentence.
    Sink { sink: Sink, single: bool },
    /// A picture for each line.
    Directory(PathBuf),
}

impl AttentionWriter {
    /// Opens the output.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(super) fn open(format: Format, options: RenderOptions, output: Option<PathBuf>) -> Result<Self> {
        let is_directory = |path: &PathBuf| path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/");
        let destination = match output {
            Some(path) if format.is_picture() && is_directory(&path) => {
                std::fs::create_dir_all(&path).map_err(|source| Error::io(&path, source))?;
                Destination::Directory(path)
            }
            output => Destination::Sink {
                sink: Sink::open(output.map_or(Output::Stdout, Output::File))?.0,
                single: format.is_picture(),
            },
        };
        Ok(Self { format, renderer: Renderer::new(format, options), destination, sentences: 0, error: None })
    }

    /// Writes one sentence. Returns whether writing goes on.
    pub(super) fn add(&mut self, map: &AttentionMap) -> bool {
        self.attempt(|writer| writer.write(map, &map.line.to_string()))
    }

    /// Writes all of one line. Returns whether writing goes on.
    pub(super) fn add_views(&mut self, views: &[View]) -> bool {
        self.attempt(|writer| match &mut writer.destination {
            Destination::Sink { sink, single: false } => {
                writer.renderer.add_views(views, sink.pending())?;
                sink.flush().map_err(|source| Error::io(sink.path(), source))
            }
            _ => views.iter().try_for_each(|view| {
                let name = |map: &AttentionMap| match view.maps.len() {
                    1 => map.line.to_string(),
                    _ => format!("{}-{}", map.line, map.kind),
                };
                view.maps.iter().try_for_each(|map| writer.write(map, &name(map)))
            }),
        })
    }

    /// Writes one map; in a directory its file has this name.
    fn write(&mut self, map: &AttentionMap, name: &str) -> Result<()> {
        self.sentences += 1;
        match &mut self.destination {
            Destination::Directory(directory) => {
                let path = directory.join(format!("{name}.{}", self.format.name()));
                let mut picture = Sink::open(Output::File(path))?.0;
                if let Err(error) = self.renderer.add(map, picture.pending()) {
                    picture.abandon();
                    return Err(error);
                }
                picture.finish()
            }
            Destination::Sink { single: true, .. } if self.sentences > 1 => Err(Error::Usage(format!(
                "--format {} draws one picture a sentence and kind: name a directory for several, --output pictures/",
                self.format.name()
            ))),
            Destination::Sink { sink, .. } => {
                self.renderer.add(map, sink.pending())?;
                sink.flush().map_err(|source| Error::io(sink.path(), source))
            }
        }
    }

    /// Writes what stands for a line without a sentence. Returns whether writing goes on.
    pub(super) fn skip(&mut self) -> bool {
        self.attempt(|writer| match &mut writer.destination {
            Destination::Sink { sink, .. } => {
                writer.renderer.skip(sink.pending());
                sink.flush().map_err(|source| Error::io(sink.path(), source))
            }
            Destination::Directory(_) => Ok(()),
        })
    }

    fn attempt(&mut self, action: impl FnOnce(&mut Self) -> Result<()>) -> bool {
        if self.error.is_none() {
            self.error = action(self).err();
        }
        self.error.is_none()
    }

    /// Ends the output as the run ended whose attention it holds: after an error it is left as it was before the run, and
    /// after an interrupt as well, if there was a file.
    ///
    /// # Errors
    /// That of the run, or else the first of the writing.
    pub(super) fn end<T>(self, ended: Result<T>, is_interrupted: bool) -> Result<T> {
        let Self { renderer, destination, error, .. } = self;
        renderer.advice().iter().for_each(message::say);
        let ended = ended.and_then(|value| error.map_or(Ok(value), Err));
        let Destination::Sink { mut sink, .. } = destination else { return ended };
        match ended.and_then(|value| renderer.finish(sink.pending()).map(|()| value)) {
            Ok(value) if is_interrupted => {
                if let Some(path) = sink.interrupt()? {
                    message::say(format_args!("interrupted: {} is left as it was", path.display()));
                }
                Ok(value)
            }
            Ok(value) => sink.finish().map(|()| value),
            Err(error) => {
                sink.abandon();
                Err(error)
            }
        }
    }
}

/// What has to be recorded to show attention of this kind.
pub(super) fn record(kind: Kind) -> Record {
    Record { cross: kind == Kind::Cross, encoder: kind == Kind::Encoder, decoder: kind == Kind::Decoder }
}

/// Why a model has no attention of this kind, if it has none.
pub(super) fn why_missing(spec: &Spec, kind: Kind) -> Option<&'static str> {
    match (spec, kind) {
        (Spec::Recurrent(_), Kind::Encoder | Kind::Decoder) => {
            Some("this model is recurrent and has no self-attention; its only attention is --kind cross")
        }
        (Spec::Recurrent(spec), Kind::Cross) if spec.attention.is_none() => {
            Some("this model has no attention: its decoder starts from the encoder's last state and sees nothing else")
        }
        (Spec::Transformer(spec), Kind::Decoder) if spec.past != Past::Attention => Some(
            "this model's decoder has no self-attention (a recurrence or a mean stands in its place); use --kind cross or \
             --kind encoder",
        ),
        _ => None,
    }
}

/// Layers and heads of a model's attention of this kind.
///
/// # Errors
/// If the model has none.
pub(super) fn shape(spec: &Spec, kind: Kind) -> Result<(usize, usize)> {
    if let Some(why) = why_missing(spec, kind) {
        return Err(Error::Usage(format!("--kind {kind}: {why}")));
    }
    Ok(match (spec, kind) {
        (Spec::Transformer(spec), Kind::Encoder) => (spec.encoder.layers, spec.encoder.heads),
        (Spec::Transformer(spec), _) => (spec.decoder.layers, spec.decoder.heads),
        (Spec::Recurrent(spec), _) => spec.attention_shape(),
    })
}

/// Names a layer and its heads (or the mean of all) in the model's `config.json`, as `"alignment": {"layer", "head"}`.
/// All other keys stay as they are; the file is replaced as a whole or not at all. Returns what was done, in words.
///
/// # Errors
/// If the model is built in, or its config cannot be read or written.
pub(super) fn store(files: &ModelFiles, AlignmentHeads { layer, heads }: AlignmentHeads) -> Result<String> {
    let path = files.path("config.json");
    if !matches!(files, ModelFiles::Directory(_)) {
        return Err(Error::Usage("--store needs a model directory; a built-in model cannot be changed".to_owned()));
    }
    let bytes = files.read("config.json")?.ok_or_else(|| Error::model(&path, "there is none"))?;
    let mut config: Map<String, Value> =
        serde_json::from_slice(&bytes).map_err(|error| Error::model(&path, format!("not a JSON object: {error}")))?;
    let head = heads.map(|heads| match heads.single() {
        Some(head) => Value::from(head),
        None => heads.iter().collect::<Vec<_>>().into(),
    });
    config.insert("alignment".to_owned(), json!({ "layer": layer, "head": head }));
    let (mut sink, _) = Sink::open(Output::File(path.clone()))?;
    sink.pending().extend(format!("{:#}\n", Value::Object(config)).into_bytes());
    sink.finish()?;
    let head = heads.map_or("mean".to_owned(), |heads| heads.to_string());
    Ok(format!("{}: alignments are now read from layer {layer}, head {head}", path.display()))
}
