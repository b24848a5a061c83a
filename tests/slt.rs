//! The files in `tests/corpus` (or those that `SLT_CORPUS` names) on embedded SQLite, one trial per file.

use slt_harness::{Suite, engine::sqlite::Sqlite};

// For rust-analyzer's test explorer; `slt stubs` writes it.
include!("slt/stubs.rs");

fn main() -> std::process::ExitCode {
    slt_harness::main(Suite::new("tests/corpus"), Sqlite)
}
