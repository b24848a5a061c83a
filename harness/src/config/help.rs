//! What `--help` says, and complaints about what came from the environment.

use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue};

/// A command that takes [`Flags`](super::Flags), with help for people who run SQLLogicTest files.
pub(crate) fn readable_help(command: Command) -> Command {
    command
        .help_template("{about-with-newline}\n{usage-heading} {usage}\n\n{all-args}{after-help}\n")
        .mut_args(|arg| arg.hide_env_values(true))
        .mut_arg("filter", |arg| arg.help("Run only files whose name contains this").long_help(None))
        .mut_arg("nocapture", |arg| arg.help("Accepted: nothing is captured in one process").long_help(None))
        .mut_arg("show_output", |arg| arg.hide(true))
        .mut_arg("unstable_flags", |arg| arg.value_name("FLAG").help("Accepted: `unstable-options`").long_help(None))
        .mut_arg("test", |arg| arg.help("Accepted: all files are tests").long_help(None))
        .mut_arg("bench", |arg| arg.help("Run benchmarks instead, of which there are none").long_help(None))
        .mut_arg("list", |arg| arg.help("List names instead of running the files").long_help(None))
        .mut_arg("ignored", |arg| arg.help("Run only files marked as ignored, of which there are none").long_help(None))
        .mut_arg("include_ignored", |arg| arg.help("Accepted: every file is run anyway").long_help(None))
        .mut_arg("exact", |arg| arg.help("Filters are whole names; one that names no file is an error").long_help(None))
        .mut_arg("quiet", |arg| {
            arg.help("One character for each file (`--format terse`) and no progress [env: SLT_QUIET]").long_help(None)
        })
        .mut_arg("skip", |arg| arg.help("Leave out files whose name contains this (repeatable)").long_help(None))
        .mut_arg("logfile", |arg| arg.help("Write the results to this file, not to standard output").long_help(None))
        .mut_arg("test_threads", |arg| {
            arg.value_name("N").help("How many files run at a time; default: the number of processors").long_help(None)
        })
        .mut_arg("color", |arg| {
            arg.hide_possible_values(true).help("When to colour the results; default: on a terminal").long_help(None)
        })
        .mut_arg("format", |arg| {
            arg.hide_possible_values(true).help("A line, a character or a JSON object for each file").long_help(None)
        })
}

pub(super) const AFTER_HELP: &str = "\
Exit codes: 0 all planned files passed; 101 some failed; 3 none failed, but some were left unrun;
2 the command line or a variable cannot be used; 4 the harness itself could not go on;
5 with --parallel: no file matches the filters, or nothing in those that do could be checked.

Examples:
  cargo test --test slt -- select1                       files whose name contains `select1`
  cargo test --test slt -- --exact select/joins.test     that file and no other
  SLT_CORPUS=target/corpus cargo test --release --test slt";

/// Adds the variable's name to a complaint about a value that came from the environment.
pub(super) fn name_variable(error: clap::Error, command: &Command, arguments: &[OsString]) -> clap::Error {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let flag = shown.split([' ', '[', '=']).next().unwrap_or_default();
    let typed = arguments.iter().filter_map(|argument| argument.to_str()).any(|argument| argument.starts_with(flag));
    let argument =
        command.get_arguments().find(|argument| argument.get_long().is_some_and(|long| flag == format!("--{long}")));
    let Some(variable) =
        argument.and_then(|argument| argument.get_env()).filter(|name| !typed && std::env::var_os(name).is_some())
    else {
        return error;
    };
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let first = text.lines().next().unwrap_or_default();
    let message = format!("{first} (from the environment variable `{}`)\n", variable.to_string_lossy());
    clap::Error::raw(error.kind(), message)
}
