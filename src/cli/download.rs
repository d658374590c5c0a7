//! Finding the model a person named, with a progress bar while a hub model is downloaded.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use translate::Result;
use translate::checkpoint::ModelFiles;
use translate::store::hub::{Announcement, HubSettings, Progress};
use translate::store::resolve_with;

/// Finds a model by name; unless `quiet`, a download is announced, and shows its progress on stderr if that is a terminal.
///
/// # Errors
/// If there is no such model, or it cannot be downloaded.
pub(super) fn find_model(name: &str, quiet: bool) -> Result<ModelFiles> {
    let mut bar: Option<(String, ProgressBar)> = None;
    let mut report = |progress: &Progress| {
        if quiet || !std::io::stderr().is_terminal() {
            return;
        }
        if bar.as_ref().is_none_or(|(file, _)| *file != progress.file) {
            bar = Some((progress.file.clone(), new_bar(progress)));
        }
        if let Some((_, bar)) = &bar {
            bar.set_position(progress.done);
            if progress.done == progress.total {
                bar.finish_and_clear();
            }
        }
    };
    let announce = if quiet { |_: &Announcement<'_>| {} } else { announce };
    let settings = HubSettings { refuses: translate::layouts::refuses, announce, ..HubSettings::from_environment() };
    let files = resolve_with(name, &settings, &mut report);
    if let Some((_, bar)) = bar {
        bar.finish_and_clear();
    }
    files
}

/// Says what a person is about to wait for, and under which licence it comes.
fn announce(model: &Announcement<'_>) {
    let size =
        model.bytes.map_or("of unknown size".to_owned(), |bytes| format!("{:.0} MB", (bytes as f64 / 1e6).ceil()));
    let licence = model.licence.unwrap_or("not named");
    super::message::say(format_args!("downloading {}: {size}, licence {licence}", model.name));
}

fn new_bar(progress: &Progress) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(progress.total), ProgressDrawTarget::stderr_with_hz(5));
    if let Ok(style) = ProgressStyle::with_template("{msg}  {bar:30} {bytes} of {total_bytes}, {eta} left") {
        bar.set_style(style);
    }
    bar.set_message(progress.file.clone());
    bar
}
