//! The `TRANSLATE_…` variables: an empty one counts as unset, and one with a wrong value is named.

use std::env;
use std::ffi::OsStr;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use translate::kernels::InstructionSet;
use translate::{Error, Result};

/// Makes the kernels use the instruction set that `TRANSLATE_ISA` names, for measurements and reports of faults; whatever is
/// used, the translations are the same.
pub(super) fn choose_instruction_set() -> Result<()> {
    let Some(name) = env::var_os("TRANSLATE_ISA").filter(|name| !name.is_empty()) else { return Ok(()) };
    let mut here = InstructionSet::available();
    if here.any(|set| name.eq_ignore_ascii_case(set.name()) && set.choose()) {
        return Ok(());
    }
    let names: Vec<&str> = InstructionSet::available().map(InstructionSet::name).collect();
    let name = name.to_string_lossy().into_owned();
    Err(Error::Usage(format!("TRANSLATE_ISA={name:?}: the instruction sets of this machine are {}", names.join(", "))))
}

/// Every option's variable.
fn variables(command: &Command) -> Vec<(String, String)> {
    let all = std::iter::once(command).chain(command.get_subcommands());
    let options = all.flat_map(Command::get_arguments);
    let named =
        options.filter_map(|option| Some((option.get_id().to_string(), option.get_env()?.to_str()?.to_owned())));
    let mut found: Vec<(String, String)> = named.collect();
    found.sort();
    found.dedup();
    found
}

/// The command without the variables that `is_out` picks.
fn without(command: Command, is_out: fn(&OsStr) -> bool) -> Command {
    let strip = move |option: clap::Arg| match option.get_env().is_some_and(is_out) {
        true => option.env(Resettable::<clap::builder::OsStr>::Reset),
        false => option,
    };
    command.mut_args(strip).mut_subcommands(move |command| command.mut_args(strip))
}

/// The command with each variable that is set, but to nothing, left out: templates of job schedulers set such.
pub(super) fn without_empty(command: Command) -> Command {
    without(command, |name| env::var_os(name).is_some_and(|value| value.is_empty()))
}

/// The variable that a usage error is about, if the arguments alone would have been well, with its value.
pub(super) fn culprit(command: &Command, error: &clap::Error) -> Option<String> {
    if !matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation) {
        return None;
    }
    let (Some(ContextValue::String(option)), Some(ContextValue::String(value))) =
        (error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidValue))
    else {
        return None;
    };
    let is_about = |id: &str| option.split(' ').next() == Some(&format!("--{}", id.replace('_', "-")));
    let (_, name) =
        variables(command).into_iter().find(|(id, name)| is_about(id) && env::var(name).is_ok_and(|v| v == *value))?;
    let again = without(command.clone(), |_| true).try_get_matches();
    let same = again.err().is_some_and(|other| {
        other.get(ContextKind::InvalidArg) == error.get(ContextKind::InvalidArg)
            && other.get(ContextKind::InvalidValue) == error.get(ContextKind::InvalidValue)
    });
    (!same).then_some(name)
}

/// The variables that options were read from, ` (with NAME=VALUE from the environment)`, or nothing.
pub(super) fn in_force(command: &Command, matches: &ArgMatches) -> String {
    let levels = [Some(matches), matches.subcommand().map(|(_, matches)| matches)];
    let is_used = |id: &str| {
        levels.iter().flatten().any(|matches| {
            matches.try_contains_id(id).unwrap_or(false) && matches.value_source(id) == Some(ValueSource::EnvVariable)
        })
    };
    let used = variables(command).into_iter().filter(|(id, _)| is_used(id));
    let shown: Vec<String> =
        used.map(|(_, name)| format!("{name}={}", env::var_os(&name).unwrap_or_default().display())).collect();
    if shown.is_empty() { String::new() } else { format!(" (with {} from the environment)", shown.join(", ")) }
}
