//! Showing a page in the browser.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use translate::{Error, Result};

use super::message;

/// Where a page goes that nobody named a file for.
pub(super) fn temporary_page() -> PathBuf {
    std::env::temp_dir().join(format!("translate-attention-{}.html", std::process::id()))
}

/// Opens a page: with the program that `BROWSER` names, else with what the system opens pages with.
///
/// # Errors
/// If there is no such program; the message says where the page is.
pub(super) fn open(page: &Path) -> Result<()> {
    message::say(format_args!("the page is {}", page.display()));
    let chosen = std::env::var_os("BROWSER").filter(|name| !name.is_empty());
    let (name, arguments): (_, &[&str]) = match chosen {
        Some(name) => (name, &[]),
        None if cfg!(target_os = "macos") => ("open".into(), &[]),
        None if cfg!(windows) => ("cmd".into(), &["/C", "start", ""]),
        None => ("xdg-open".into(), &[]),
    };
    let mut command = Command::new(&name);
    command.args(arguments).arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // A browser may stay for as long as its window; nobody waits for it.
    command.spawn().map(drop).map_err(|error| {
        let name = name.to_string_lossy();
        Error::Usage(format!(
            "--open cannot start {name} ({error}): open the page yourself, or set BROWSER to a program"
        ))
    })
}
