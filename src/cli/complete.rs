//! What can stand at the cursor of a command line: the scripts for bash, zsh and fish ask for it at every `<Tab>`, so that
//! all shells get the same answer, made from the command line's definition and from the models that are there.

use std::io::Write;
use std::path::PathBuf;

use clap::builder::ValueHint;
use clap::{Arg, Args, Command};
use translate::layouts::list_models;
use translate::store::hub::HubSettings;
use translate::{Error, Result};

use super::Ending;

/// Arguments of `complete-words`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The words after the program's name, the last of them being the one to complete
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// What can stand somewhere.
#[derive(Debug, Default, PartialEq)]
struct Candidates {
    /// Whole words and what they mean.
    words: Vec<(String, String)>,
    files: bool,
    directories: bool,
}

/// Prints one candidate a line, a tab and its description after it; `:files` and `:directories` stand for those.
pub(super) fn run(arguments: Arguments, command: Command) -> Result<Ending> {
    let candidates = candidates(command, arguments.words);
    let mut text = String::new();
    for (word, help) in &candidates.words {
        text.push_str(&format!("{word}\t{help}\n"));
    }
    let kinds = [(candidates.files, ":files\n"), (candidates.directories, ":directories\n")];
    kinds.iter().filter(|(is_wanted, _)| *is_wanted).for_each(|(_, kind)| text.push_str(kind));
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| Error::io("standard output", error))?;
    Ok(Ending::Done)
}

fn candidates(mut command: Command, words: Vec<String>) -> Candidates {
    command.build();
    let (mut words, split) = joined(words);
    let current = words.pop().unwrap_or_default();
    let mut command = &command;
    let mut is_first = true;
    for word in &words {
        // A command comes first.
        let found = is_first.then(|| command.find_subcommand(word)).flatten();
        is_first = found.is_some() && found.is_some_and(Command::has_subcommands);
        command = found.unwrap_or(command);
    }

    let mut found = Candidates::default();
    let only_operands = words.iter().any(|word| word == "--");
    if !only_operands && let Some((option, value)) = current.split_once('=').filter(|_| current.starts_with("--")) {
        if let Some(argument) = long_option(command, option) {
            found = values(argument);
            found.words.retain(|(word, _)| word.starts_with(value));
            if !split {
                found.words.iter_mut().for_each(|(word, _)| *word = format!("{option}={word}"));
            }
        }
        return found;
    }
    if let Some(argument) = words.last().filter(|_| !only_operands).and_then(|word| awaiting(command, word)) {
        found = values(argument);
    } else if current.starts_with('-') && !only_operands {
        found.words = options(command);
    } else {
        if is_first && !only_operands {
            let commands = command.get_subcommands().filter(|command| !command.is_hide_set());
            found.words = commands.map(|command| (command.get_name().to_owned(), line(command.get_about()))).collect();
        }
        for argument in command.get_positionals().filter(|argument| !argument.is_hide_set()) {
            let own = values(argument);
            found.words.extend(own.words);
            found.files |= own.files;
            found.directories |= own.directories;
        }
    }
    found.words.retain(|(word, _)| word.starts_with(&current));
    found
}

/// The words with `--option`, `=`, `value` as one, and whether the last was such: bash breaks words at `=`.
fn joined(words: Vec<String>) -> (Vec<String>, bool) {
    let mut joined: Vec<String> = Vec::new();
    let (mut after_equals, mut split) = (false, false);
    for word in words {
        let option = joined.last_mut().filter(|last| last.starts_with("--") && last.len() > 2);
        split = match option {
            Some(option) if after_equals || word == "=" && !option.contains('=') => {
                option.push_str(&word);
                true
            }
            _ => {
                joined.push(word.clone());
                false
            }
        };
        after_equals = split && word == "=";
    }
    (joined, split)
}

fn long_option<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let name = word.strip_prefix("--")?;
    command.get_arguments().find(|argument| {
        argument.get_long() == Some(name) || argument.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
    })
}

/// The option that `word` leaves without its value.
fn awaiting<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let is_waiting = |argument: &Arg| {
        argument.get_action().takes_values()
            && !argument.is_require_equals_set()
            && argument.get_num_args().is_none_or(|number| number.min_values() > 0)
    };
    if word.starts_with("--") {
        return long_option(command, word).filter(|argument| is_waiting(argument));
    }
    let mut letters = word.strip_prefix('-')?.chars().peekable();
    while let Some(letter) = letters.next() {
        let argument = command.get_arguments().find(|argument| argument.get_short() == Some(letter))?;
        if is_waiting(argument) {
            // What follows in the same word is the value.
            return letters.peek().is_none().then_some(argument);
        }
    }
    None
}

/// All options of a command.
fn options(command: &Command) -> Vec<(String, String)> {
    let mut options = Vec::new();
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let help = line(argument.get_help());
        options.extend(argument.get_long().map(|name| (format!("--{name}"), help.clone())));
        options.extend(argument.get_short().map(|letter| (format!("-{letter}"), help)));
    }
    options
}

/// What can stand for an argument's value.
fn values(argument: &Arg) -> Candidates {
    let mut found = Candidates::default();
    if ["model", "ensemble"].contains(&argument.get_id().as_str()) {
        let models = list_models(&HubSettings::from_environment(), &[PathBuf::from(".")]);
        let usable = models.into_iter().filter(|model| model.weights.is_ok());
        found.words = usable.map(|model| (model.name, "a model".to_owned())).collect();
        found.directories = true;
        return found;
    }
    for value in argument.get_possible_values().iter().filter(|value| !value.is_hide_set()) {
        found.words.push((value.get_name().to_owned(), line(value.get_help())));
    }
    if found.words.is_empty() {
        let is_directory =
            argument.get_value_names().is_some_and(|names| names.iter().any(|name| name.contains("DIR")));
        match argument.get_value_hint() {
            ValueHint::DirPath => found.directories = true,
            ValueHint::AnyPath | ValueHint::FilePath => {
                found.directories = is_directory;
                found.files = !is_directory;
            }
            _ => {}
        }
    }
    found
}

/// A description's first line.
fn line(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default().lines().next().unwrap_or_default().replace('\t', " ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn complete(line: &str) -> Candidates {
        candidates(crate::cli::Cli::command(), line.split(' ').map(str::to_owned).collect())
    }

    fn words(line: &str) -> Vec<String> {
        complete(line).words.into_iter().map(|(word, _)| word).collect()
    }

    #[test]
    fn an_option_of_a_command_has_the_commands_own_values() {
        assert_eq!(words("--format "), ["text", "json", "tsv", "marian-nbest"]);
        assert_eq!(
            words("attn-dump --format "),
            ["text", "json", "tsv", "npz", "pharaoh", "svg", "png", "pdf", "html"]
        );
        assert_eq!(words("eval --metric c"), ["chrf", "chrf++"]);
    }

    #[test]
    fn values_follow_an_equals_sign_whether_the_shell_breaks_words_there_or_not() {
        assert_eq!(words("--format=t"), ["--format=text", "--format=tsv"]);
        assert_eq!(words("--format = t"), ["text", "tsv"]);
        assert_eq!(words("--format ="), ["text", "json", "tsv", "marian-nbest"]);
    }

    #[test]
    fn models_and_directories_follow_the_model_option() {
        for line in ["-m ", "--model ", "attn-dump --model ", "-qm "] {
            let found = complete(line);
            let names: Vec<&str> = found.words.iter().map(|(word, _)| word.as_str()).collect();
            if cfg!(feature = "builtin-models") {
                assert!(names.contains(&"transformer") && names.contains(&"gru"), "{line}: {names:?}");
            }
            assert!(found.directories && !found.files, "{line}");
        }
    }

    #[test]
    fn commands_come_first_and_files_anywhere() {
        assert!(words("").contains(&"attn-dump".to_owned()) && complete("").files);
        assert!(!words("letter.txt ").contains(&"attn-dump".to_owned()) && complete("letter.txt ").files);
        assert_eq!(words("attn"), ["attn-dump"]);
        assert!(!words("").iter().any(|word| word == "complete-words"));
        assert_eq!(words("-- --for"), [""; 0]);
    }

    #[test]
    fn options_are_those_of_the_command() {
        assert!(words("eval --ref").contains(&"--reference".to_owned()));
        assert!(words("--ref").is_empty());
        assert!(words("--beam-size ").is_empty(), "a number has no candidates");
    }
}
