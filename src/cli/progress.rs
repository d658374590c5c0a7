//! The progress bar: on stderr, only when stderr is a terminal and the output is not.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use translate::pipeline::{Input, Progress};

use super::message;

/// A bar over the bytes of the input, or a line counter when its size is unknown.
pub(super) struct Bar {
    bar: ProgressBar,
    size: Option<u64>,
    start: Instant,
}

impl Bar {
    /// A bar for a run over `inputs`; hidden when `wanted` is false or there is nobody to see it.
    pub(super) fn new(inputs: &[Input], output_is_file: bool, wanted: bool) -> Self {
        let visible = wanted && std::io::stderr().is_terminal() && (output_is_file || !std::io::stdout().is_terminal());
        if !visible {
            return Self { bar: ProgressBar::hidden(), size: None, start: Instant::now() };
        }
        let size: Option<u64> = inputs.iter().map(Input::size).sum();
        let (bar, template) = match size {
            Some(size) => (ProgressBar::new(size), "{bar:30} {percent:>3}%  {msg}"),
            None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar, size, start: Instant::now() }
    }

    /// Shows how far the run is: by the lines that are finished, whether or not their turn to be written has come.
    pub(super) fn update(&self, progress: &Progress) {
        self.bar.set_position(progress.bytes);
        self.bar.set_message(describe(progress, self.size, self.start.elapsed()));
    }

    /// Prints a line on stderr without tearing the bar.
    pub(super) fn print(&self, message: &str) {
        self.bar.suspend(|| message::say(message));
    }
}

/// Lines, speed and time, in words.
fn describe(progress: &Progress, size: Option<u64>, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(1e-3);
    let tokens = progress.target_tokens as f64 / seconds;
    let mut text = format!("{} lines, {tokens:.0} tokens/s  {}", progress.finished, clock(elapsed));
    let done = progress.bytes.saturating_sub(progress.resumed_bytes);
    if let Some(size) = size.filter(|_| done > 0) {
        let left = size.saturating_sub(progress.bytes) as f64 / done as f64 * seconds;
        text.push_str(&format!(", {} left", clock(Duration::from_secs_f64(left.min(3.6e8).ceil()))));
    }
    text
}

/// `1:02:03`, or `2:03` within an hour.
fn clock(duration: Duration) -> String {
    let (minutes, seconds) = (duration.as_secs() / 60, duration.as_secs() % 60);
    match minutes / 60 {
        0 => format!("{minutes}:{seconds:02}"),
        hours => format!("{hours}:{:02}:{seconds:02}", minutes % 60),
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_that_of_the_lines_finished() {
        let progress = Progress { finished: 30, bytes: 300, target_tokens: 900, ..Progress::default() };
        let text = describe(&progress, Some(1200), Duration::from_secs(30));
        assert_eq!(text, "30 lines, 30 tokens/s  0:30, 1:30 left");
        // What an earlier run did says nothing of this one's speed.
        let resumed = Progress { resumed_bytes: 200, ..progress };
        assert!(describe(&resumed, Some(1200), Duration::from_secs(30)).ends_with("4:30 left"));
    }

    #[test]
    fn no_time_is_promised_before_anything_is_finished() {
        assert_eq!(describe(&Progress::default(), Some(1200), Duration::from_secs(5)), "0 lines, 0 tokens/s  0:05");
    }
}
