//! What a run did and what it cost.

use super::Summary;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// The figures of a finished run: `Display` gives one line of text, `serde` the same as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// Lines written.
    pub lines: u64,
    /// Blank lines among them.
    pub blank_lines: u64,
    /// Lines among them that could not be translated.
    pub failed_lines: u64,
    /// Lines passed over because an earlier run had written them.
    pub resumed_lines: u64,
    /// Tokens the translator read.
    pub source_tokens: u64,
    /// Tokens the translator wrote.
    pub target_tokens: u64,
    /// From the first read to the last write, loading not included.
    pub seconds: f64,
    /// Lines written in each of these seconds.
    pub lines_per_second: f64,
    /// Target tokens in each of these seconds.
    pub tokens_per_second: f64,
    /// Loading the model.
    pub load_seconds: f64,
    /// What computed, for people: `AMX kernels, int8`.
    pub computed_by: String,
    /// Most memory the process ever held, in bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
}

impl Stats {
    /// The figures of a run whose model took `load` to load and was computed by that. Peak memory is that of this moment.
    pub fn new(summary: &Summary, load: Duration, computed_by: String) -> Self {
        let seconds = summary.duration.as_secs_f64();
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        Self {
            lines: summary.lines,
            blank_lines: summary.blank,
            failed_lines: summary.failed,
            resumed_lines: summary.resumed,
            source_tokens: summary.source_tokens,
            target_tokens: summary.target_tokens,
            seconds,
            lines_per_second: per_second(summary.lines),
            tokens_per_second: per_second(summary.target_tokens),
            load_seconds: load.as_secs_f64(),
            computed_by,
            peak_memory_bytes: peak_memory(),
        }
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lines", self.lines)?;
        let parts = [(self.blank_lines, "blank"), (self.failed_lines, "failed"), (self.resumed_lines, "already there")];
        for (count, what) in parts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        write!(
            f,
            "; {} source and {} target tokens in {:.2} s ({:.1} lines/s, {:.1} tokens/s); loaded in {:.2} s; {}",
            self.source_tokens,
            self.target_tokens,
            self.seconds,
            self.lines_per_second,
            self.tokens_per_second,
            self.load_seconds,
            self.computed_by
        )?;
        match self.peak_memory_bytes {
            Some(bytes) => write!(f, "; peak memory {:.1} MiB", bytes as f64 / f64::from(1 << 20)),
            None => Ok(()),
        }
    }
}

/// The most memory (resident set, in bytes) this process ever held, where `/proc` tells.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = peak.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{End, Replaced};

    fn summary() -> Summary {
        Summary {
            end: End::Complete,
            lines: 10,
            blank: 1,
            failed: 0,
            resumed: 0,
            source_tokens: 90,
            target_tokens: 100,
            replaced: Replaced::default(),
            nul: Replaced::default(),
            restored: None,
            duration: Duration::from_secs(2),
        }
    }

    fn figures(summary: &Summary, load: Duration) -> Stats {
        Stats::new(summary, load, "AVX2 kernels, f32".to_owned())
    }

    #[test]
    fn text_names_the_figures() {
        let stats = Stats { peak_memory_bytes: Some(5 << 20), ..figures(&summary(), Duration::from_millis(250)) };
        assert_eq!(
            stats.to_string(),
            "10 lines, 1 blank; 90 source and 100 target tokens in 2.00 s (5.0 lines/s, 50.0 tokens/s); \
             loaded in 0.25 s; AVX2 kernels, f32; peak memory 5.0 MiB"
        );
    }

    #[test]
    fn json_has_the_same_figures() {
        let json: serde_json::Value = serde_json::from_str(&figures(&summary(), Duration::ZERO).to_json()).unwrap();
        assert_eq!((&json["lines"], &json["tokens_per_second"]), (&10.into(), &50.0.into()));
    }

    #[test]
    fn an_empty_run_has_no_speed() {
        let empty = Summary { lines: 0, target_tokens: 0, duration: Duration::ZERO, ..summary() };
        assert_eq!(figures(&empty, Duration::ZERO).tokens_per_second, 0.0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn peak_memory_is_known_on_linux() {
        assert!(peak_memory().unwrap() > 1 << 20);
    }
}
