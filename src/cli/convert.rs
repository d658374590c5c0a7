//! `translate convert`: any checkpoint we read, as a clean model directory.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use translate::Result;
use translate::checkpoint::Dtype;
use translate::layouts;

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
    layouts::convert(&files, &arguments.out, dtype)?.iter().for_each(message::say);
    message::say(format_args!("wrote {}", arguments.out.display()));
    Ok(Ending::Done)
}
