//! The `slt` command: subcommands over the same runs as a test target's.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

mod test;

use test::TestFlags;

use crate::config::{self, Config, ENGINE, Flags, Secret, secret};
use crate::engine::{CleanError, Engine, Fate, Leftover};
use crate::process;
use crate::run::{run, usage};
use crate::suite::{Suite, stubs};
use crate::summary::ExitStatus;

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
  slt test path/to/one.slt                    one file, every record shown
  slt list --root path/to/files

Exit codes: 0 all planned files passed; 101 some failed; 3 none failed, but some were left unrun;
2 the command line or a variable cannot be used; 4 the harness itself could not go on.";

#[derive(Debug, Subcommand)]
enum Action {
    /// Run test files and show the results by category
    ///
    /// Example: slt run --root tests/corpus select
    Run(Flags),
    /// Run one test file and show every record as it ends
    ///
    /// Example: slt test tests/corpus/select/joins.test
    Test(TestFlags),
    /// List the names of test files
    ///
    /// Example: slt list --root tests/corpus evidence/
    List(Flags),
    /// Write a Rust function for each test file, for editors that find tests by reading Rust
    ///
    /// Example: slt stubs && git add tests/slt/stubs.rs
    Stubs(StubFlags),
    /// Drop the databases that killed runs have left on a server
    ///
    /// Those of runs that live, and all that slt did not make, stay.
    ///
    /// Example: slt clean --engine postgres://me@127.0.0.1/test --dry-run
    Clean(CleanFlags),
}

#[derive(Debug, Args)]
struct CleanFlags {
    /// The server: `postgres://…` or `mysql://…`
    #[arg(long, value_name = "ENGINE", env = ENGINE, value_parser = secret, hide_env_values = true)]
    engine: Secret,

    /// Drop nothing; say what would go
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct StubFlags {
    /// Folder with test files, or one such file (repeatable)
    #[arg(long = "root", value_name = "PATH", env = "SLT_CORPUS", value_delimiter = ':')]
    roots: Vec<PathBuf>,

    /// Where to write; the test target takes it in with `include!("slt/stubs.rs");`
    #[arg(long, value_name = "PATH", default_value = "tests/slt/stubs.rs")]
    output: PathBuf,

    /// Write nothing, and fail if the file is not up to date
    #[arg(long)]
    check: bool,
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
    command = command.mut_subcommand("test", |test| test.mut_args(|arg| arg.hide_env_values(true)));
    let parsed = command.try_get_matches_from_mut(std::env::args_os());
    let checked = parsed.and_then(|matches| {
        let checked = match matches.subcommand() {
            Some(("run" | "list", flags)) => config::check_typed(flags),
            Some(("test", flags)) => config::check_bless(flags),
            _ => Ok(()),
        };
        checked.map_err(|message| command.error(ErrorKind::MissingRequiredArgument, message))?;
        Slt::from_arg_matches(&matches)
    });
    match checked {
        Ok(slt) => act(slt.action, suite, engine).into(),
        Err(error) => usage(&error).into(),
    }
}

fn act(action: Action, suite: Suite, engine: Arc<dyn Engine>) -> ExitStatus {
    let (flags, list) = match action {
        Action::Run(flags) => (flags, false),
        Action::List(flags) => (flags, true),
        Action::Test(flags) => return test::test(suite, &engine, flags),
        Action::Stubs(flags) => return write_stubs(suite, &flags),
        Action::Clean(flags) => return clean(&flags),
    };
    match Config::from_flags(flags) {
        Ok(mut config) => {
            let list = list || config.list;
            if let Some(parallel) = &mut config.parallel {
                parallel.workers = parallel.workers.or(Some(config::cores()));
            }
            run(suite, engine, Config { list, table: !list, ..config })
        }
        Err(message) => complain(&message, ExitStatus::Usage),
    }
}

fn write_stubs(suite: Suite, flags: &StubFlags) -> ExitStatus {
    let suite = if flags.roots.is_empty() { suite } else { Suite::from_roots(flags.roots.clone()) };
    let files = match suite.discover() {
        Ok(files) => files,
        Err(error) => return complain(&error.to_string(), ExitStatus::Usage),
    };
    let (path, source) = (flags.output.display(), stubs(&files));
    let present = std::fs::read_to_string(&flags.output);
    if flags.check {
        return match present {
            Ok(present) if present == source => ExitStatus::Passed,
            Ok(_) => complain(&format!("`{path}` is not up to date: run `slt stubs`"), ExitStatus::Failed),
            Err(error) => complain(&format!("cannot read `{path}`: {error}; run `slt stubs`"), ExitStatus::Failed),
        };
    }
    if present.is_ok_and(|present| present == source) {
        println!("`{path}` is up to date: {} files", files.len());
        return ExitStatus::Passed;
    }
    let folder = flags.output.parent().map_or(Ok(()), std::fs::create_dir_all);
    match folder.and_then(|()| std::fs::write(&flags.output, source)) {
        Ok(()) => {
            println!("wrote `{path}`: {} files", files.len());
            ExitStatus::Passed
        }
        Err(error) => complain(&format!("cannot write `{path}`: {error}"), ExitStatus::Broken),
    }
}

fn clean(flags: &CleanFlags) -> ExitStatus {
    let choice = match config::chosen(&flags.engine) {
        Ok(choice) => choice,
        Err(message) => return complain(&message, ExitStatus::Usage),
    };
    let leftovers = match choice.clean(flags.dry_run) {
        Ok(leftovers) => leftovers,
        Err(error @ CleanError::Choice(_)) => return complain(&error.to_string(), ExitStatus::Usage),
        Err(error) => return complain(&error.to_string(), ExitStatus::Broken),
    };
    let mut status = ExitStatus::Passed;
    for Leftover { name, fate } in &leftovers {
        match fate {
            Fate::Dropped if flags.dry_run => println!("would drop {name}"),
            Fate::Dropped => println!("dropped {name}"),
            Fate::InUse => println!("left {name}: a run uses it"),
            Fate::Stays(why) => status = complain(&format!("cannot drop {name}: {why}"), ExitStatus::Broken),
        }
    }
    if leftovers.is_empty() {
        println!("nothing to drop on {choice}");
    }
    status
}

fn complain(message: &str, status: ExitStatus) -> ExitStatus {
    eprintln!("error: {message}");
    status
}
