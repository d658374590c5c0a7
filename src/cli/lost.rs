//! What a person probably meant who typed something that is not there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use translate::{Error, Result};

use super::Cli;

/// The names of all commands.
fn command_names() -> Vec<String> {
    Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// The command that a word looks like: itself, its beginning or what begins like it, or one with a letter wrong.
fn similar_command(word: &str) -> Option<String> {
    let word = word.to_lowercase().replace('_', "-");
    let names = command_names();
    let is_like = |name: &String| {
        word == **name
            || (word.len() >= 3 && name.starts_with(&word))
            || (name.len() >= 3 && word.starts_with(name.as_str()))
            || word.replace('-', "") == name.replace('-', "")
    };
    let spelt_alike = |name: &&String| strsim::damerau_levenshtein(&word, name) <= name.len() / 3;
    // `attention` begins as `attn-dump` does, and nothing else.
    let is_attention = word.len() >= 3 && "attention".starts_with(&word);
    let found = names.iter().find(|name| is_like(name)).or_else(|| {
        let closest = names.iter().filter(spelt_alike);
        closest.min_by_key(|name| strsim::damerau_levenshtein(&word, name))
    });
    found.cloned().or_else(|| is_attention.then(|| "attn-dump".to_owned()))
}

/// Says what to type instead where a file is not there and its name is a command, almost one, or text.
///
/// # Errors
/// [`Error::Usage`] with the hint, if there is one.
pub(super) fn check_files(files: &[PathBuf]) -> Result<()> {
    let is_missing = |file: &&PathBuf| file.as_os_str() != "-" && file.symlink_metadata().is_err();
    let Some(missing) = files.iter().find(is_missing) else { return Ok(()) };
    let Some(word) = missing.to_str() else { return Ok(()) };
    let shown = missing.display();
    if let Some(command) = similar_command(word) {
        let hint = if command == word { "the command comes first" } else { "perhaps a command is meant" };
        return Err(Error::Usage(format!("there is no file {shown}; {hint}: translate {command} [OPTIONS]")));
    }
    let is_text = word.chars().any(char::is_whitespace)
        || !word.contains(['/', '\\', '.']) && files.iter().all(|file| is_missing(&file));
    if !is_text {
        return Ok(());
    }
    let text: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
    let text: String = text.join(" ").chars().take(200).collect();
    let quoted = text.replace('\'', "'\\''");
    Err(Error::Usage(format!(
        "there is no file {word:?}; to translate text, send it to standard input: echo '{quoted}' | translate"
    )))
}

/// A hint for a wrong usage whose first word is neither a command nor a file, but looks like a command.
pub(super) fn command_after_options(arguments: impl Iterator<Item = OsString>) -> Option<String> {
    let first = arguments.take(1).find_map(|argument| argument.into_string().ok())?;
    if first.starts_with('-') || Path::new(&first).exists() || command_names().contains(&first) {
        return None;
    }
    similar_command(&first).map(|command| format!("Perhaps the command {command} is meant: translate {command} …"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_known_by_what_it_is_mistaken_for() {
        for (word, command) in [
            ("evaluate", "eval"),
            ("eval", "eval"),
            ("attn_dump", "attn-dump"),
            ("attndump", "attn-dump"),
            ("attn-dmup", "attn-dump"),
            ("attention", "attn-dump"),
            ("Models", "models"),
            ("scores", "score"),
            ("benchmark", "bench"),
            ("covnert", "convert"),
        ] {
            assert_eq!(similar_command(word).as_deref(), Some(command), "{word}");
        }
        for word in ["input", "Hallo", "Guten Morgen", "a", "notes.txt"] {
            assert_eq!(similar_command(word), None, "{word}");
        }
    }
}
