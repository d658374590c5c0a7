//! `translate man`: manual pages made from the definition of the command line, the same on every machine.

use std::io::Write;
use std::path::PathBuf;

use clap::{Arg, Args, Command};
use clap_mangen::Man;
use translate::{Error, Result};

use super::Ending;

/// Arguments of `man`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Write one page for each command into DIR instead of the main page to standard output
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Variables that are no option's.
const VARIABLES: [(&str, &str); 6] = [
    ("HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME", "where the Hugging Face cache of models is"),
    ("HF_HUB_OFFLINE", "if set to 1, no model is downloaded"),
    ("HF_ENDPOINT", "the server that models come from"),
    ("HF_TOKEN", "what to show the server for models that are not public"),
    ("NO_COLOR", "if set, messages and help have no colours"),
    ("CLICOLOR_FORCE", "if set and not 0, they have colours wherever they go"),
];

/// What the program reads besides the files it is given.
const FILES: [(&str, &str); 1] =
    [("~/.cache/huggingface/hub", "models in the layout of Hugging Face's cache, which -m finds by their names")];

const STATUSES: [(&str, &str); 4] = [
    ("0", "done; also when whoever read the output closed it"),
    ("1", "failed, or some lines did; each is named on standard error"),
    ("2", "wrong usage; nothing was done"),
    ("128 + N", "stopped by signal N: 130 after Ctrl-C, 143 after SIGTERM"),
];

/// Prints the manual page, or writes all of them.
pub(super) fn run(arguments: &Arguments, mut command: Command) -> Result<Ending> {
    command.build();
    let Some(directory) = &arguments.directory else {
        let page = page(&command, "translate").map_err(|error| Error::io("standard output", error))?;
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(&page).and_then(|()| stdout.flush()).map_err(|error| Error::io("standard output", error))?;
        return Ok(Ending::Done);
    };
    std::fs::create_dir_all(directory).map_err(|error| Error::io(directory, error))?;
    let commands = command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help");
    let named = commands.map(|command| (format!("translate-{}", command.get_name()), command));
    for (name, command) in std::iter::once(("translate".to_owned(), &command)).chain(named) {
        let path = directory.join(format!("{name}.1"));
        page(command, &name).and_then(|page| std::fs::write(&path, page)).map_err(|error| Error::io(&path, error))?;
    }
    Ok(Ending::Done)
}

/// The page of one command. Nothing in it depends on the processor or on variables that are set: the long version of
/// `--version`, which names the kernels in use, has no place here.
fn page(command: &Command, name: &str) -> std::io::Result<Vec<u8>> {
    let man = Man::new(command.clone())
        .title(name.to_owned())
        .section("1")
        .source(concat!("translate ", env!("CARGO_PKG_VERSION")))
        .manual("translate");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().any(|command| !command.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    let text = [command.get_before_help(), command.get_after_help()];
    let text: Vec<String> = text.into_iter().flatten().map(ToString::to_string).collect();
    let mut sections = String::new();
    let mut notes = String::new();
    for paragraph in text.iter().flat_map(|text| text.split("\n\n")) {
        match paragraph.split_once('\n') {
            Some(("Examples:", examples)) => {
                sections.push_str(&format!(".SH EXAMPLES\n.nf\n{}\n.fi\n", escaped(examples)))
            }
            Some(("Exit status:", _)) => {}
            _ => notes.push_str(&format!(".PP\n{}\n", escaped(paragraph))),
        }
    }
    if !notes.is_empty() {
        sections.push_str(&format!(".SH NOTES\n{notes}"));
    }
    let own = command.get_arguments().filter(|argument| !argument.is_hide_set()).filter_map(variable);
    let others = VARIABLES.map(|(name, meaning)| (name.to_owned(), meaning.to_owned()));
    let variables: Vec<(String, String)> = own.chain(others).collect();
    let list =
        |entries: &[(&str, &str)]| entries.iter().map(|&(name, meaning)| entry(name, meaning)).collect::<String>();
    sections.push_str(".SH ENVIRONMENT\n");
    sections.extend(variables.iter().map(|(name, meaning)| entry(name, meaning)));
    sections.push_str(&format!(".SH FILES\n{}.SH \"EXIT STATUS\"\n{}", list(&FILES), list(&STATUSES)));
    page.extend_from_slice(sections.as_bytes());
    Ok(page)
}

/// The variable that sets an option.
fn variable(argument: &Arg) -> Option<(String, String)> {
    let name = argument.get_env()?.to_string_lossy().into_owned();
    Some((name, format!("the value of --{} where that is not given", argument.get_long()?)))
}

fn entry(name: &str, meaning: &str) -> String {
    format!(".TP\n\\fB{}\\fR\n{}\n", escaped(name), escaped(meaning))
}

/// Text as roff shows it unchanged.
fn escaped(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}
