//! `translate convert`: any checkpoint we read, as a clean model directory.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use translate::Result;
use translate::checkpoint::Dtype;
use translate::layouts::{self, Form};

use super::Ending;
use super::download::find_model;
use super::message;

/// Arguments of `convert`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The model to convert: a directory, a hub name or a built-in model
    #[arg(value_name = "MODEL")]
    model: String,

    /// The directory to write; it must not exist yet and appears when it is complete
    #[arg(value_name = "OUT")]
    out: PathBuf,

    /// Number format of the weights
    #[arg(long, value_enum, default_value = "f16")]
    dtype: DtypeName,

    /// Form of the directory: that of its family, or that of a Hugging Face class that computes the same
    #[arg(long, value_enum, default_value = "own")]
    form: FormName,
}

/// Forms of a model directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormName {
    /// The family's where Hugging Face has a class for it, else this program's
    Own,
    /// MarianMTModel
    Marian,
    /// BartForConditionalGeneration
    Bart,
}

/// Formats weights can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DtypeName {
    /// 16-bit floats: half the size
    F16,
    /// 32-bit floats
    F32,
    /// 8-bit integers, ready for --precision int8: starts at once, whatever the size
    Int8,
}

/// Converts the model and says on stderr what was written.
pub(super) fn run(arguments: Arguments) -> Result<Ending> {
    let files = find_model(&arguments.model, false)?;
    let dtype = match arguments.dtype {
        DtypeName::F16 => Dtype::F16,
        DtypeName::F32 => Dtype::F32,
        DtypeName::Int8 => Dtype::I8,
    };
    let form = match arguments.form {
        FormName::Own => Form::Own,
        FormName::Marian => Form::Marian,
        FormName::Bart => Form::Bart,
    };
    layouts::convert(&files, &arguments.out, dtype, form)?.iter().for_each(message::say);
    message::say(format_args!("wrote {}", arguments.out.display()));
    Ok(Ending::Done)
}
