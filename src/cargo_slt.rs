//! `slt` under the name that cargo looks for: `cargo slt`.

use std::process::ExitCode;

use slt_harness::Suite;
use slt_harness::unstable::{command, engine::Choice};

fn main() -> ExitCode {
    command::main(Suite::new("tests/corpus"), Choice::Sqlite.engine_or_refusal())
}
