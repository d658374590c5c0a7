//! The `translate` command.

#![warn(unreachable_pub)]

mod cli;

use std::process::ExitCode;

/// A batch walks through many megabytes, which is faster in large pages.
#[cfg(target_os = "linux")]
#[global_allocator]
static MEMORY: translate::kernels::LargePages = translate::kernels::LargePages::new();

fn main() -> ExitCode {
    cli::main()
}
