//! `translate completions` and `translate man`: what shells and `man` know of the command line, made from its definition.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;
use translate::{Error, Result};

use super::Ending;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionArguments {
    /// The shell to complete for
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// Write one page for each command into DIR instead of the main page to standard output
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Prints the completion script.
pub(super) fn completions(arguments: &CompletionArguments, mut command: Command) -> Result<Ending> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "translate", &mut script);
    print(&script)
}

/// Prints the manual page, or writes all of them.
pub(super) fn man(arguments: &ManArguments, command: Command) -> Result<Ending> {
    if let Some(directory) = &arguments.directory {
        std::fs::create_dir_all(directory).map_err(|error| Error::io(directory, error))?;
        clap_mangen::generate_to(command, directory).map_err(|error| Error::io(directory, error))?;
        return Ok(Ending::Done);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(|error| Error::io("standard output", error))?;
    print(&page)
}

fn print(bytes: &[u8]) -> Result<Ending> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| Error::io("standard output", error))?;
    Ok(Ending::Done)
}
