//! The `slt` command: the library's subcommands on embedded SQLite, if that is built in.

use std::process::ExitCode;

use slt_harness::Suite;
use slt_harness::unstable::{command, engine::Choice};

fn main() -> ExitCode {
    command::main(Suite::new("tests/corpus"), Choice::Sqlite.engine_or_refusal())
}
