//! The `translate` command.

fn main() {}
