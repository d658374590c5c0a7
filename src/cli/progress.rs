//! The progress bar: on stderr, only when stderr is a terminal and the output is not.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use translate::pipeline::{Input, Progress};

/// A bar over the bytes of the input, or a line counter when its size is unknown.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar for a run over `inputs`; hidden when `wanted` is false or there is nobody to see it.
    pub(super) fn new(inputs: &[Input], output_is_file: bool, wanted: bool) -> Self {
        let visible = wanted && std::io::stderr().is_terminal() && (output_is_file || !std::io::stdout().is_terminal());
        if !visible {
            return Self(ProgressBar::hidden());
        }
        let size: Option<u64> = inputs.iter().map(Input::size).sum();
        let (bar, template) = match size {
            Some(size) => (ProgressBar::new(size), "{bar:30} {percent:>3}%  {msg}  {elapsed}, {eta} left"),
            None => (ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed}"),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(bar)
    }

    /// Shows how far the run is.
    pub(super) fn update(&self, progress: &Progress) {
        self.0.set_position(progress.bytes);
        self.0.set_message(format!("{} lines", progress.written));
    }

    /// Prints a line on stderr without tearing the bar.
    pub(super) fn print(&self, message: &str) {
        self.0.suspend(|| eprintln!("translate: {message}"));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
