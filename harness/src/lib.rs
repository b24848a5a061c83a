//! SQLLogicTest files as libtest trials, for any SQL engine.
//!
//! A test target with `harness = false` needs only this, where `MyDb` implements `sqllogictest::DB` or
//! `AsyncDB`:
//!
//! ```no_run
//! use slt_harness::{Suite, sqllogictest};
//! use sqllogictest::{DB, DBOutput, DefaultColumnType};
//! struct MyDb(/* a connection */);
//! impl DB for MyDb {
//!     type Error = std::io::Error;
//!     type ColumnType = DefaultColumnType;
//!     fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, std::io::Error> {
//!         Ok(DBOutput::StatementComplete(sql.len() as u64))
//!     }
//! }
//! fn main() -> std::process::ExitCode {
//!     slt_harness::main(Suite::new("tests/slt"), || Ok::<_, std::io::Error>(MyDb()))
//! }
//! ```
//!
//! Modules are in the order in which data flows: each imports only those above it.

/// Prints a line to standard error, escaped. If standard error is closed, the line is lost: `eprintln!` would panic
/// there, and abort a run whose terminal was closed.
macro_rules! note {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "{}", $crate::escape::text(&format!($($words)*)));
    }};
}

/// Prints a line to standard output, escaped, for the commands that print a few. If standard output is closed, it is
/// lost.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), "{}", $crate::escape::text(&format!($($words)*)));
    }};
}

mod escape;

mod diff;

mod environment;

pub mod suite;

pub mod script;

pub mod check;

pub mod engine;

pub mod outcome;

pub mod known;

mod crash;

pub mod trial;

pub mod history;

pub mod queue;

pub mod process;

pub mod worker;

pub mod summary;

pub mod supervisor;

#[cfg(feature = "commands")]
mod shrink;

pub mod report;

pub mod libtest;

pub mod config;

mod run;

mod action;

#[cfg(feature = "commands")]
pub mod command;

pub use action::{main, main_with};
pub use clap;
pub use engine::{Adapter, Skip};
pub use environment::run_value;
pub use run::{Target, run};
pub use sqllogictest;
pub use suite::Suite;
