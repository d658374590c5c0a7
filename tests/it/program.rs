//! Runs the built program as a person would.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A run to be: the program with its arguments, and with none of the caller's `TRANSLATE_*` and `HF_*` settings.
pub(crate) struct Program(Command);

/// What a run of the program left behind.
pub(crate) struct Outcome {
    pub stdout: String,
    pub stderr: String,
    /// What it says of translations of an unlikely length, which random models have again and again.
    pub odd_lengths: String,
    pub status: i32,
}

impl Program {
    /// `translate` without arguments.
    pub(crate) fn new() -> Self {
        Self::of(Command::new(env!("CARGO_BIN_EXE_translate")))
    }

    /// `translate --model MODEL`.
    pub(crate) fn with_model(model: impl AsRef<OsStr>) -> Self {
        let mut program = Self::new();
        program.arg("--model").arg(model);
        program
    }

    /// `translate`, started by a shell script that ends in `exec "$@"`.
    pub(crate) fn in_shell(script: &str) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh", env!("CARGO_BIN_EXE_translate")]);
        Self::of(shell)
    }

    fn of(mut command: Command) -> Self {
        let is_ours =
            |name: &OsStr| ["TRANSLATE_", "HF_"].iter().any(|start| name.to_string_lossy().starts_with(start));
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(name)) {
            command.env_remove(name);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command)
    }

    pub(crate) fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.0.arg(argument);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(&mut self, arguments: impl IntoIterator<Item = A>) -> &mut Self {
        self.0.args(arguments);
        self
    }

    pub(crate) fn env(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.0.current_dir(directory);
        self
    }

    /// Where standard output goes, if the test is not to see it.
    pub(crate) fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.0.stdout(stdout);
        self
    }

    /// Lets the program have small pages of memory alone, so that what it takes is known to four kilobytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn in_small_pages(&mut self) -> &mut Self {
        use std::os::unix::process::CommandExt;

        // SAFETY: between fork and exec there is one system call, which allocates nothing and takes no lock.
        unsafe {
            self.0.pre_exec(|| {
                libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
                Ok(())
            });
        }
        self
    }

    /// Starts the program, its three streams in the test's hands.
    pub(crate) fn spawn(&mut self) -> Child {
        self.0.spawn().unwrap()
    }

    /// Runs the program to its end with `input` on standard input.
    pub(crate) fn run(&mut self, input: impl AsRef<[u8]>) -> Outcome {
        let mut child = self.spawn();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.as_ref().to_vec();
        // The program may end before it has read everything.
        let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let outcome = Outcome::of(child);
        feeder.join().unwrap();
        outcome
    }
}

impl Outcome {
    /// Waits for the end of a program and takes what is left in its streams.
    pub(crate) fn of(child: Child) -> Self {
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let (odd_lengths, stderr) =
            stderr.split_inclusive('\n').partition(|line| line.ends_with("; look at what was translated\n"));
        Self {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr,
            odd_lengths,
            status: output.status.code().unwrap(),
        }
    }

    /// The output of a run that must go well.
    pub(crate) fn success(self) -> String {
        assert_eq!(self.status, 0, "{}", self.stderr);
        self.stdout
    }

    /// The output of a run that must go well without a word on stderr.
    pub(crate) fn quiet(self) -> String {
        assert_eq!(self.stderr, "");
        self.success()
    }

    /// The one line of an error message, when nothing was written.
    pub(crate) fn error(&self) -> &str {
        let text = self.stderr.trim_end();
        assert_eq!(text.lines().count(), 1, "an error is one line: {text}");
        assert_eq!(self.stdout, "", "standard output carries results only");
        text
    }
}

/// Runs `translate` with `arguments` and `stdin`.
pub(crate) fn run<A: AsRef<OsStr>>(arguments: &[A], stdin: &str) -> Outcome {
    Program::new().args(arguments).run(stdin)
}

/// The path of one of the small reference models.
pub(crate) fn model(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name)
}

/// Sends a signal by its name.
#[cfg(unix)]
pub(crate) fn signal(name: &str, child: &Child) {
    assert!(Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().unwrap().success());
}

/// Has signals that a background job ignores delivered to what is started from now on, as to what a person starts.
#[cfg(unix)]
pub(crate) fn handle_interrupts() {
    // A test run may be a background job, which is started with SIGINT ignored, and what it starts ignores it too, as it
    // should. A signal that a process handles is no longer ignored by what it starts.
    let always = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    signal_hook::flag::register_conditional_shutdown(signal_hook::consts::SIGINT, 130, always).unwrap();
}

/// The most memory (resident, in bytes) a process that is still there held so far.
#[cfg(target_os = "linux")]
pub(crate) fn peak_memory(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
