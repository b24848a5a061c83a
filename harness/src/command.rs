//! The `slt` command and its subcommands.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::Serialize;

use crate::action::{check, complain, fill, shrink, stubs, test};
use crate::config::{self, Flags, Read};
use crate::engine::Engine;
use crate::escape;
use crate::process;
use crate::report::files::replace;
use crate::run::{Target, leave, usage, with_causes};
use crate::suite::Suite;
use crate::summary::ExitStatus;

mod analyze;
mod cargo;
mod clean;
mod diff;
mod error;
mod generate;
mod handover;
mod merge;
mod punchlist;
mod query;
mod report;
mod review;
mod run;
mod runs;
mod status;
mod watch;

use error::CommandError;

/// Runs SQLLogicTest files against a SQL engine, each exactly once
#[derive(Debug, Parser)]
#[command(name = "slt", version, after_help = AFTER_HELP)]
struct Slt {
    #[command(subcommand)]
    action: Action,
}

const AFTER_HELP: &str = "\
Examples:
  slt run select                            files whose name contains `select`
  slt run --root path/to/files --format terse
  slt test path/to/one.slt                  one file, every record shown
  slt check path/to/files                   what is wrong in them, found without an engine
  slt list --root path/to/files
  slt status                                the last run at a glance

Exit codes: 0 all planned files passed; 101 some failed; 3 none failed, but some were not
run; 2 the command line or a variable is invalid; 4 the harness could not continue;
5 no file matches the filters, or nothing in the matching files could be checked;
6 the package's test target could not be built or started.";

/// What `slt` prints without a subcommand. It has done nothing, so this is not a success.
const FIRST: &str = "\
slt runs SQLLogicTest files, each exactly once. What to do first:

  slt list                 the files: those of the test target of the package here, or those in `tests/corpus`
  slt run                  run them
  slt run --root FOLDER    run the files in another folder
  slt test FILE            run one file, and show every record
  slt check FILE           find what is wrong in a file, without an engine
  slt status               the last run at a glance

`slt --help` lists all commands, `slt run --help` all flags. `slt.toml` can hold settings: `slt config` shows them.";

const AFTER_RUN: &str = "\
Examples:
  slt run --root tests/corpus select                 files whose name contains `select`
  slt run --workers 8 --time 300 --report
  slt run --known-failures known.toml --ratchet

Exit codes: 0 all planned files passed; 101 some failed; 3 none failed, but some were not
run; 2 the command line or a variable is invalid; 4 the harness could not continue;
5 no file matches the filters, or nothing in the matching files could be checked;
6 the package's test target could not be built or started.";

#[derive(Debug, Subcommand)]
enum Action {
    /// Run test files and show the results by category
    ///
    /// Example: slt run --root tests/corpus select
    Run(Flags),
    /// Run one test file and show every record as it ends
    ///
    /// Example: slt test tests/corpus/select/joins.test
    Test(test::TestFlags),
    /// Write what a reference engine returns into records that have no expected result yet
    ///
    /// Records with an expected result stay unchanged.
    Fill(fill::Flags),
    /// Make the shortest script that still fails the same way
    ///
    /// Removes records, then rows of INSERTs, then parts of the SQL, and runs each shorter script in its own process.
    Shrink(shrink::Flags),
    /// Check test files without an engine: syntax errors, and records that can never run
    Check(check::Flags),
    /// Rerun what changed or failed whenever a test file or the program of the test target changes
    ///
    /// Takes the filters and flags of `slt run`.
    Watch(watch::Flags),
    /// List the names of test files
    ///
    /// Example: slt list --root tests/corpus evidence/
    List(Flags),
    /// Show the effective settings, and where each comes from: a flag, a variable or `slt.toml`
    ///
    /// Takes the flags of `slt run`, and shows their effect.
    ///
    /// Example: slt config --profile ci --format json
    Config(Flags),
    /// Show the last run, or another one, at a glance
    ///
    /// Example: slt status
    Status(status::Flags),
    /// Write a checklist of failing files in Markdown, by first cause, the most frequent first; `slt analyze --markdown`
    ///
    /// Example: slt punchlist --from previous --output todo.md
    Punchlist(punchlist::Flags),
    /// Show failures by cause, and how many files each cause affects
    ///
    /// Example: slt analyze --top-fixes
    Analyze(analyze::Flags),
    /// Show what changed between two runs: what fails, passes or is slower now
    ///
    /// Example: slt diff previous latest
    Diff(diff::Flags),
    /// Query all recorded runs in SQL
    #[command(after_help = query::AFTER_HELP)]
    Query(query::Flags),
    /// Write the results of a run as one HTML page
    ///
    /// The page needs no network and no other file: it shows figures, what changed since the previous run, which
    /// worker ran what when, and each file with its failures.
    ///
    /// Example: slt report --open
    Report(report::Flags),
    /// Accept or reject the new results that `--bless=review` wrote, record by record
    ///
    /// Example: slt review select/joins.test
    Review(review::Flags),
    /// Write a Rust function for each test file, for editors that find tests by reading Rust
    ///
    /// Example: slt stubs && git add tests/slt/stubs.rs
    Stubs(stubs::Flags),
    /// Print a script that lets a shell complete `slt`
    ///
    /// Example: slt completions bash > ~/.local/share/bash-completion/completions/slt
    Completions(generate::Completions),
    /// Print the manual page of `slt`, or write a page for each command
    ///
    /// Example: slt man ~/.local/share/man/man1
    Man(generate::Man),
    /// Merge the results of several machines into one
    ///
    /// Exits as a run with all their files would: 0 only if all passed and no shard is missing.
    ///
    /// Example: slt merge shard-1/results.json shard-2/results.json --output results.json
    Merge(merge::MergeFlags),
    /// Drop the databases that killed runs left on a server
    ///
    /// Databases of active runs, and all that slt did not create, stay.
    ///
    /// Example: slt clean --engine postgres://me@127.0.0.1/test --dry-run
    Clean(clean::Flags),
}

/// The whole `main` of the `slt` command, with the suite and engine that it runs by default.
pub fn main(suite: Suite, engine: Arc<dyn Engine>) -> ExitCode {
    if let Some(code) = process::guardian::enter_if_asked() {
        return code;
    }
    if std::env::args_os().len() == 1 {
        note!("{FIRST}");
        return ExitStatus::Usage.into();
    }
    let (arguments, why) = match handover::attempt(std::env::args_os().collect()) {
        Ok(own) => own,
        Err(status) => return status.into(),
    };
    let mut command = built();
    let parsed = config::read(&mut command, &arguments).map_err(|error| with_suggestion(error, &command));
    let checked = parsed.and_then(|read| {
        let checked = match read.matches.subcommand() {
            Some(("run" | "list" | "config", flags)) => config::check_typed(flags),
            Some(("test", flags)) => config::check_bless(flags),
            Some(("shrink", flags)) => shrink::check(flags),
            _ => Ok(()),
        };
        checked.map_err(|message| read.error(&mut command, message))?;
        Ok((Slt::from_arg_matches(&read.matches)?, read))
    });
    match checked {
        Ok((slt, read)) => {
            let why = why.filter(|_| !names_engine(&read));
            leave(act(slt.action, read, suite, engine, why))
        }
        Err(error) => usage(&error).into(),
    }
}

/// Adds the command that an unknown one may be a misspelling of. clap suggests none for a short word with two letters in the
/// wrong order (`rnu`).
fn with_suggestion(mut error: clap::Error, command: &clap::Command) -> clap::Error {
    let typed = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(typed)) if error.get(ContextKind::SuggestedSubcommand).is_none() => typed.clone(),
        _ => return error,
    };
    let names = command.get_subcommands().map(clap::Command::get_name);
    let near = names.map(|name| (strsim::damerau_levenshtein(name, &typed), name)).min();
    if let Some((_, name)) = near.filter(|(distance, _)| *distance <= 1) {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![name.to_owned()]));
    }
    error
}

/// The definition of the whole command line, with its help texts.
fn built() -> clap::Command {
    let mut command = Slt::command();
    for (name, after) in [("run", AFTER_RUN), ("list", ""), ("config", "")] {
        command = command.mut_subcommand(name, |flags| config::readable_help(flags).after_long_help(after));
    }
    // A value may be a URL with a password.
    let commands: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in commands {
        command = command.mut_subcommand(name, |command| command.mut_args(|arg| arg.hide_env_values(true)));
    }
    for name in handover::COMMANDS {
        command = command.mut_subcommand(name, |command| {
            let after = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
            let after = after.filter(|after| !after.is_empty()).map(|after| after + "\n\n").unwrap_or_default();
            command.after_long_help(format!("{after}{}", cargo::HELP))
        });
    }
    config::with_profile(command)
}

/// Whether a flag, a variable or the settings name an engine.
fn names_engine(read: &Read) -> bool {
    read.matches.subcommand().is_some_and(|(_, flags)| matches!(flags.try_get_raw("engine"), Ok(Some(_))))
}

/// Runs a subcommand; `why` says why it runs on the engine of `slt`.
fn act(action: Action, read: Read, suite: Suite, engine: Arc<dyn Engine>, why: Option<String>) -> ExitStatus {
    let suite = match read.on(suite) {
        Ok(suite) => suite,
        Err(message) => return complain(&message, ExitStatus::Usage),
    };
    let runs = matches!(action, Action::Run(_) | Action::Test(_) | Action::Shrink(_));
    if let Some(why) = why.filter(|_| runs) {
        note!("running on {}: {why}", engine.name());
    }
    match action {
        Action::Run(flags) => run::run(flags, read, suite, engine),
        Action::Watch(_) => watch::run(suite, read.settings.as_deref()),
        Action::Config(flags) => run::config(flags, read, suite, engine),
        Action::Check(flags) => check::run(&flags, suite),
        Action::List(flags) => run::list(flags, read, suite, engine),
        Action::Status(flags) => concluded(status::run(&flags)),
        Action::Punchlist(flags) => concluded(punchlist::run(&flags)),
        Action::Analyze(flags) => concluded(analyze::run(&flags)),
        Action::Diff(flags) => concluded(diff::run(&flags)),
        Action::Query(flags) => concluded(query::run(&flags)),
        Action::Report(flags) => concluded(report::run(&flags)),
        Action::Review(flags) => review::run(&flags, suite),
        Action::Shrink(flags) => shrink::run(Target::new(suite, engine), flags),
        Action::Fill(flags) => fill::run(Target::new(suite, engine), flags),
        Action::Test(flags) => test::test(Target::new(suite, engine), flags),
        Action::Stubs(flags) => stubs::run(&flags, suite, "slt"),
        Action::Completions(flags) => concluded(generate::completions(&flags)),
        Action::Man(flags) => concluded(generate::man(&flags)),
        Action::Clean(flags) => clean::run(&flags),
        Action::Merge(flags) => merge::run(&flags),
    }
}

/// The exit code of a command. If the command has failed, this prints why.
fn concluded(result: Result<ExitStatus, CommandError>) -> ExitStatus {
    result.unwrap_or_else(|error| complain(&with_causes(&error), error.status()))
}

/// Prints a text to standard output, escaped.
fn print(text: &str) -> Result<ExitStatus, CommandError> {
    print_raw(&escape::text(text))
}

fn print_raw(text: &str) -> Result<ExitStatus, CommandError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(ExitStatus::Passed),
        Err(error) => unwritten(error),
    }
}

/// The result of a failed write: success if the reader has closed the pipe (`slt query … | head`), otherwise the error.
fn unwritten(error: io::Error) -> Result<ExitStatus, CommandError> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(ExitStatus::Passed),
        _ => Err(CommandError::Output(error)),
    }
}

/// Whether the path that the user names for a file is standard output.
fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Writes a file that the user wants, and creates its folder.
fn write(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    let written = folder.and_then(|()| replace(path, bytes));
    written.map_err(|source| CommandError::Write { path: path.display().to_string(), source })
}

/// Prints a value as JSON on several lines, for tools and for people.
fn print_json(value: &impl Serialize) -> Result<ExitStatus, CommandError> {
    print_raw(&escape::json(&json(value)))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("plain data becomes JSON in memory") + "\n"
}
