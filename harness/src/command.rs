//! The `slt` command: subcommands over the same runs as a test target's.

use std::process::ExitCode;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{self, Flags};
use crate::engine::Engine;
use crate::process;
use crate::run::usage;
use crate::suite::Suite;
use crate::summary::ExitStatus;

mod merge;
mod run;
mod stubs;

/// Runs SQLLogicTest files against a SQL engine, each exactly once
#[derive(Debug, Parser)]
#[command(name = "slt", version, after_help = AFTER_HELP)]
struct Slt {
    #[command(subcommand)]
    action: Action,
}

const AFTER_HELP: &str = "\
Examples:
  slt run select                              files whose name contains `select`
  slt run --root path/to/files --format terse
  slt list --root path/to/files

Exit codes: 0 all planned files passed; 101 some failed; 3 none failed, but some were left unrun;
2 the command line or a variable cannot be used; 4 the harness itself could not go on.";

#[derive(Debug, Subcommand)]
enum Action {
    /// Run test files and show the results by category
    ///
    /// Example: slt run --root tests/corpus select
    Run(Flags),
    /// List the names of test files
    ///
    /// Example: slt list --root tests/corpus evidence/
    List(Flags),
    /// Write a Rust function for each test file, for editors that find tests by reading Rust
    ///
    /// Example: slt stubs && git add tests/slt/stubs.rs
    Stubs(stubs::Flags),
    /// Merge the results of several machines into one
    ///
    /// Exits as a run with all their files would: 0 only if all passed and no shard is missing.
    ///
    /// Example: slt merge shard-1/results.json shard-2/results.json --output results.json
    Merge(merge::MergeFlags),
}

/// The whole `main` of the `slt` command, with the suite and engine that it runs unless told otherwise.
pub fn main(suite: Suite, engine: Arc<dyn Engine>) -> ExitCode {
    if let Some(code) = process::guardian::enter_if_asked() {
        return code;
    }
    let mut command = Slt::command();
    for name in ["run", "list"] {
        command = command.mut_subcommand(name, config::readable_help);
    }
    let parsed = command.try_get_matches_from_mut(std::env::args_os());
    let checked = parsed.and_then(|matches| {
        if let Some((_, run)) = matches.subcommand().filter(|(name, _)| ["run", "list"].contains(name)) {
            config::check_typed(run).map_err(|message| command.error(ErrorKind::MissingRequiredArgument, message))?;
        }
        Slt::from_arg_matches(&matches)
    });
    match checked {
        Ok(slt) => act(slt.action, suite, engine).into(),
        Err(error) => usage(&error).into(),
    }
}

fn act(action: Action, suite: Suite, engine: Arc<dyn Engine>) -> ExitStatus {
    match action {
        Action::Run(flags) => run::run(flags, suite, engine),
        Action::List(flags) => run::list(flags, suite, engine),
        Action::Stubs(flags) => stubs::run(&flags, suite),
        Action::Merge(flags) => merge::run(&flags),
    }
}

/// Prints an error and hands back the exit code that goes with it.
fn complain(message: &str, status: ExitStatus) -> ExitStatus {
    eprintln!("error: {message}");
    status
}
