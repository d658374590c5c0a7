//! `translate completions`: the scripts that make shells ask `translate complete-words` what can stand at the cursor.

use std::io::Write;

use clap::{Args, Command};
use clap_complete::Shell;
use translate::{Error, Result};

use super::Ending;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell to complete for
    shell: Shell,
}

/// Prints the completion script.
pub(super) fn run(arguments: &Arguments, mut command: Command) -> Result<Ending> {
    let mut script = Vec::new();
    match arguments.shell {
        Shell::Bash => script.extend_from_slice(include_bytes!("completions/translate.bash")),
        Shell::Zsh => script.extend_from_slice(include_bytes!("completions/translate.zsh")),
        Shell::Fish => script.extend_from_slice(include_bytes!("completions/translate.fish")),
        other => clap_complete::generate(other, &mut command, "translate", &mut script),
    }
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&script).and_then(|()| stdout.flush()).map_err(|error| Error::io("standard output", error))?;
    Ok(Ending::Done)
}
