//! SQLLogicTest files as libtest trials, for any SQL engine.
//!
//! A test target with `harness = false` needs only this code, where `MyDb` implements `sqllogictest::DB` or
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
//! [`Adapter`] configures an engine, [`Target`] a run, and [`Suite`] the files. [`engine`] is for engines that are not
//! adapters.

// Modules are in the order in which data flows: each imports only those above it.

// Code that only `slt` uses must not be reported as dead.
#![cfg_attr(not(feature = "unstable"), allow(dead_code, unused_imports))]

/// Prints a line to standard error, escaped. If standard error is closed, the line is lost: `eprintln!` would panic then,
/// and abort a run whose terminal was closed.
macro_rules! note {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "{}", $crate::escape::text(&format!($($words)*)));
    }};
}

/// Prints a line to standard output, escaped, for commands that print only a few lines. If standard output is closed, the
/// line is lost.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), "{}", $crate::escape::text(&format!($($words)*)));
    }};
}

mod escape;

mod temporary;

mod diff;

mod environment;

mod exchange;

mod script;

mod dialect;

mod suite;

mod check;

pub mod engine;

mod outcome;

mod known;

mod crash;

mod event;

mod trial;

mod history;

mod queue;

mod process;

mod worker;

mod summary;

mod supervisor;

#[cfg(feature = "commands")]
mod shrink;

mod report;

mod libtest;

mod config;

mod run;

mod action;

#[cfg(feature = "commands")]
mod command;

#[cfg(test)]
mod test_threads;

pub use action::{main, main_with};
pub use clap;
pub use dialect::Dialect;
pub use engine::{Adapter, Skip};
pub use environment::run_value;
pub use run::Target;
pub use sqllogictest;
pub use suite::Suite;

/// The types of `results.json`, which a run writes for programs that read it, and of a run's end.
pub mod results {
    pub use crate::outcome::{
        Attempt, Counts, CutShort, Failure, Outcome, Part, Portion, RecordCounts, RecordId, Results, ResultsError,
        Scope, Shard, Verdict,
    };
    pub use crate::summary::ExitStatus;
}

/// Every module, for the `slt` command and for this project's own tests and benchmarks. Anything here changes without
/// notice, in any version.
#[cfg(feature = "unstable")]
#[doc(hidden)]
pub mod unstable {
    pub use crate::run::run;
    pub mod check {
        pub use crate::check::*;
    }
    #[cfg(feature = "commands")]
    pub mod command {
        pub use crate::command::*;
    }
    pub mod config {
        pub use crate::config::*;
    }
    pub mod dialect {
        pub use crate::dialect::*;
    }
    pub mod event {
        pub use crate::event::*;
    }
    pub mod engine {
        pub use crate::engine::choice::*;
        pub use crate::engine::*;
    }
    pub mod history {
        pub use crate::history::*;
    }
    pub mod known {
        pub use crate::known::*;
    }
    pub mod libtest {
        pub use crate::libtest::*;
    }
    pub mod outcome {
        pub use crate::outcome::*;
    }
    pub mod process {
        pub use crate::process::*;
    }
    pub mod queue {
        pub use crate::queue::*;
    }
    pub mod report {
        pub use crate::report::*;
    }
    pub mod script {
        pub use crate::script::*;
    }
    pub mod suite {
        pub use crate::suite::*;
    }
    pub mod summary {
        pub use crate::summary::*;
    }
    pub mod supervisor {
        pub use crate::supervisor::*;
    }
    pub mod trial {
        pub use crate::trial::*;
    }
    pub mod worker {
        pub use crate::worker::*;
    }
}
