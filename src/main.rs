//! The `slt` command: the library's subcommands on embedded SQLite.

use std::process::ExitCode;
use std::sync::Arc;

use slt_harness::{Suite, command, engine::sqlite::Sqlite};

fn main() -> ExitCode {
    command::main(Suite::new("tests/corpus"), Arc::new(Sqlite))
}
