//! The `main` of a test target, and the commands of `slt` that need a suite or an engine.
//!
//! In a package with a test target, `slt` hands these commands over to that target, so that they use its suite and engine:
//! `slt` builds the target and starts it with `--handed-over ORDER` before all other arguments.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgMatches, Args, Command};
use serde::{Deserialize, Serialize};

use crate::config::{self, Config};
use crate::engine::IntoEngine;
use crate::process::{self, Interruption};
use crate::run::{self, Target, leave, usage};
use crate::suite::Suite;
use crate::summary::ExitStatus;

pub(crate) mod check;
pub(crate) mod fill;
mod paths;
#[cfg(feature = "commands")]
pub(crate) mod shrink;
pub(crate) mod stubs;
pub(crate) mod test;

/// Each test target contains this text. `slt` looks for it to recognize a test target without starting it: another program
/// might run its tests whatever its arguments are. The number changes with [`Order`].
pub(crate) const MARK: &str = "slt-harness test target that commands can be handed over to, version 1";

/// Begins a command line that `slt` hands over.
pub(crate) const HANDED_OVER: &str = "--handed-over";

/// The command that asks for the roots of the suite.
pub(crate) const ROOTS: &str = "roots";

/// What `slt` hands over besides the arguments.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The name of the command.
    pub command: String,
    /// The name of the test target in cargo.
    pub test: String,
    /// The command up to its flags, as a user types it to run a file again.
    pub typed: String,
}

/// The whole `main` of a test target: runs `suite` on `engine` as this process's command line and environment ask.
///
/// `--root` and `SLT_CORPUS` override the suite's roots. See [`ExitStatus`] for the exit codes, and [`Target`] for more
/// options of a target.
pub fn main<How>(suite: Suite, engine: impl IntoEngine<How>) -> ExitCode {
    Target::new(suite, engine).main()
}

impl Target {
    /// Runs the target as this process's command line and environment ask; see [`ExitStatus`] for the exit codes.
    pub fn main(self) -> ExitCode {
        main_with(|_: config::NoFlags| self)
    }
}

/// The whole `main` of a test target that has flags of its own.
///
/// They are parsed with all other flags and shown by `--help`. All processes that share a run must have the same values for
/// them. A runner that passes no flags on needs a variable for each (`env`).
///
/// ```no_run
/// # use slt_harness::{Suite, sqllogictest::{DB, DBOutput, DefaultColumnType}};
/// # struct MyDb;
/// # impl DB for MyDb {
/// #     type Error = std::io::Error;
/// #     type ColumnType = DefaultColumnType;
/// #     fn run(&mut self, _: &str) -> Result<DBOutput<DefaultColumnType>, std::io::Error> { Ok(DBOutput::StatementComplete(0)) }
/// # }
/// use slt_harness::{Target, clap};
///
/// #[derive(clap::Args)]
/// struct Own {
///     /// Run the files of TPC-H too
///     #[arg(long, env = "INCLUDE_TPCH")]
///     include_tpch: bool,
/// }
///
/// fn main() -> std::process::ExitCode {
///     slt_harness::main_with(|own: Own| {
///         let suite = Suite::new("tests/slt");
///         let suite = if own.include_tpch { suite } else { suite.exclude(["tpch/**"], "without `--include-tpch`") };
///         Target::new(suite, || Ok::<_, std::io::Error>(MyDb))
///     })
/// }
/// ```
pub fn main_with<A: Args>(target: impl FnOnce(A) -> Target) -> ExitCode {
    if let Some(code) = process::guardian::enter_if_asked() {
        return code;
    }
    // Keeps the text in the program: the compiler would remove it.
    std::hint::black_box(MARK.as_ptr());
    let mut arguments: Vec<OsString> = env::args_os().collect();
    let status = match taken(&mut arguments) {
        Ok(Some(order)) => obey(&order, arguments, target),
        Ok(None) => with_config(arguments, None, target, |target, config| target.run(config)),
        Err(error) => complain(&format!("`{HANDED_OVER}` is for `slt`: {error}"), ExitStatus::Usage),
    };
    leave(status)
}

/// Removes the order from the arguments and returns it; `None` if there is none.
fn taken(arguments: &mut Vec<OsString>) -> Result<Option<Order>, String> {
    if arguments.get(1).is_none_or(|first| first != HANDED_OVER) {
        return Ok(None);
    }
    let order = arguments.get(2).and_then(|order| order.to_str()).ok_or("it has no value")?;
    let order = serde_json::from_slice(order.as_bytes()).map_err(|error| error.to_string())?;
    arguments.drain(1..3);
    Ok(Some(order))
}

fn obey<A: Args>(order: &Order, arguments: Vec<OsString>, target: impl FnOnce(A) -> Target) -> ExitStatus {
    let any = |_: &ArgMatches| Ok(());
    match order.command.as_str() {
        name @ ("run" | "list" | "config") => with_config(arguments, Some(&order.typed), target, |target, config| {
            let handed_over = Some(order.typed.clone());
            let config = as_command(Config { handed_over, ..config }, name == "list");
            target.run(Config { show_config: config.show_config || name == "config", ..config })
        }),
        "test" => with_flags("test", &arguments, config::check_bless, target, test::test),
        "fill" => with_flags("fill", &arguments, any, target, fill::run),
        "check" => with_flags("check", &arguments, any, target, |target, flags| check::run(&flags, target.suite)),
        "stubs" => {
            with_flags("stubs", &arguments, any, target, |target, flags| stubs::run(&flags, target.suite, &order.test))
        }
        ROOTS => with_flags("stubs", &arguments, any, target, |target, _: stubs::Flags| print_roots(&target.suite)),
        #[cfg(feature = "commands")]
        "shrink" => with_flags("shrink", &arguments, shrink::check, target, shrink::run),
        #[cfg(not(feature = "commands"))]
        "shrink" => {
            let words = format!(
                "`slt shrink` runs in the test target `{}`, which was built without it: in `Cargo.toml`, write \
                 `features = [\"commands\"]` for `slt-harness`",
                order.test
            );
            complain(&words, ExitStatus::Usage)
        }
        name => {
            let words = format!(
                "the test target `{}` has slt-harness {}, which does not know `{name}`",
                order.test,
                env!("CARGO_PKG_VERSION")
            );
            complain(&words, ExitStatus::Usage)
        }
    }
}

/// The roots of the suite as a list in JSON, for a command that needs nothing else of the target.
fn print_roots(suite: &Suite) -> ExitStatus {
    let here = env::current_dir().unwrap_or_default();
    let roots: Vec<_> = suite.roots().iter().map(|root| here.join(root)).collect();
    match serde_json::to_string(&roots) {
        Ok(roots) => {
            say!("{roots}");
            ExitStatus::Passed
        }
        Err(error) => complain(&format!("the roots of the suite: {error}"), ExitStatus::Usage),
    }
}

/// The config of `slt run` or `slt list`; with `--parallel`, there is a worker for each processor, unless
/// the command line says how many.
pub(crate) fn as_command(mut config: Config, list: bool) -> Config {
    if let Some(parallel) = &mut config.parallel {
        parallel.workers = parallel.workers.or(Some(config::cores()));
    }
    Config { list: list || config.list, slt: true, ..config }
}

/// Reads the flags of a run, and the target's own. `typed` is what the user typed before them; `None` for `cargo test`.
fn with_config<A: Args>(
    arguments: Vec<OsString>,
    typed: Option<&str>,
    target: impl FnOnce(A) -> Target,
    act: impl FnOnce(Target, Config) -> ExitStatus,
) -> ExitStatus {
    let read = match typed {
        Some(typed) => Config::with_own_as(arguments, typed),
        None => Config::with_own(arguments),
    };
    match read {
        Ok((config, own)) => act(target(own), config),
        Err(error) => usage(&error),
    }
}

/// Reads the flags of another command and the target's own, checks them, and acts.
fn with_flags<F: Args, A: Args>(
    name: &'static str,
    arguments: &[OsString],
    check: impl FnOnce(&ArgMatches) -> Result<(), String>,
    target: impl FnOnce(A) -> Target,
    act: impl FnOnce(Target, F) -> ExitStatus,
) -> ExitStatus {
    let flags = A::augment_args(F::augment_args(Command::new(name)).next_help_heading(config::OWN));
    let mut command = config::with_profile(Command::new("slt").subcommand(flags));
    let (program, rest) = arguments.split_at(1);
    let arguments = [program, &[name.into()], rest].concat();
    let parsed = config::read(&mut command, &arguments).and_then(|read| {
        let matches = read.matches.subcommand_matches(name).unwrap_or(&read.matches);
        check(matches).map_err(|message| read.error(&mut command, message))?;
        Ok((F::from_arg_matches(matches)?, A::from_arg_matches(matches)?, read))
    });
    let (flags, own, read) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return usage(&error),
    };
    let mut target = target(own);
    match read.on(target.suite) {
        Ok(suite) => target.suite = suite,
        Err(message) => return complain(&message, ExitStatus::Usage),
    }
    act(target, flags)
}

/// Listens for Ctrl-C while a command runs files one after another; `is_open` says whether a line of its output has no end yet.
///
/// The first one interrupts the engine, and the file has ten seconds to end, so that its database is removed. The second one
/// ends the wait.
///
/// # Errors
/// The system refused; this has been printed.
fn interruption(is_open: bool) -> Result<Interruption, ExitStatus> {
    run::interruption(GRACE, "the running file has", is_open)
        .map_err(|error| complain(&run::with_causes(&error), ExitStatus::Broken))
}

const GRACE: Duration = Duration::from_secs(10);

/// Prints an error and returns its exit code.
pub(crate) fn complain(message: &str, status: ExitStatus) -> ExitStatus {
    note!("error: {message}");
    status
}
