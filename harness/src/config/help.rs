//! The texts of `--help`, and the names of variables in errors about their values.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command};

use super::headings::{EXPECTED, HOW, OUTPUT, SETTINGS, WHICH};
use super::number::positive;
use super::parallel::PARALLEL;

/// A command that takes [`Flags`](super::Flags), with help for people who run SQLLogicTest files.
pub(crate) fn readable_help(command: Command) -> Command {
    command
        .help_template("{about-with-newline}\n{usage-heading} {usage}\n\n{all-args}{after-help}\n")
        .after_help("`--help` shows all flags, the exit codes and examples.")
        // `mut_args` keeps the order of the flags, and so the order of the headings.
        .mut_args(|arg| {
            let is_short = IN_SHORT_HELP.contains(&arg.get_id().as_str());
            readable(arg.hide_env_values(true).hide_short_help(!is_short))
        })
}

/// A flag of libtest with a help text of this program; our own flags stay as they are.
fn readable(arg: Arg) -> Arg {
    match arg.get_id().as_str() {
        // These flags change nothing here; they are accepted because tools pass them. They come first, so their headings set
        // the order of all headings.
        "include_ignored" => arg.hide(true).help_heading(WHICH),
        "ignored" => arg.hide(true).help_heading(HOW),
        "test" => arg.hide(true).help_heading(EXPECTED),
        "bench" => arg.hide(true).help_heading(PARALLEL),
        "nocapture" => arg.hide(true).help_heading(OUTPUT),
        "show_output" => arg.hide(true).help_heading(SETTINGS),
        "no_capture" | "unstable_flags" => arg.hide(true),
        // libtest has one filter, and this program takes any number: the help shows them as one argument.
        "filter" => arg.hide(true),
        "list" => described(arg, WHICH, "List names instead of running the files"),
        "exact" => described(arg, WHICH, "Filters are whole names; one that names no file is an error"),
        "skip" => described(arg, WHICH, "Leave out files whose name contains this (repeatable)"),
        "test_threads" => {
            let arg = arg.value_name("N").value_parser(positive::<usize>).allow_negative_numbers(true);
            described(arg, HOW, "How many files run at a time; default: the number of processors")
        }
        "shuffle" | "shuffle_seed" => arg.help_heading(HOW),
        "report_time" => arg.help_heading(OUTPUT),
        "quiet" => {
            described(arg, OUTPUT, "One character for each file (`--format terse`) and no progress [env: SLT_QUIET]")
        }
        "logfile" => described(arg, OUTPUT, "Write the results to this file, not to standard output"),
        "color" => {
            described(arg.hide_possible_values(true), OUTPUT, "When to colour the results; default: on a terminal")
        }
        "format" => {
            described(arg.hide_possible_values(true), OUTPUT, "A line, a character or a JSON object for each file")
        }
        _ => arg,
    }
}

fn described(arg: Arg, heading: &'static str, words: &'static str) -> Arg {
    arg.help_heading(heading).help(words).long_help(None)
}

/// The flags that `-h` shows: those that are used often.
const IN_SHORT_HELP: [&str; 24] = [
    "more_filters",
    "exact",
    "skip",
    "list",
    "roots",
    "failed",
    "changed",
    "engine",
    "dialect",
    "labels",
    "file_timeout",
    "query_timeout",
    "test_threads",
    "known_failures",
    "bless",
    "format",
    "report",
    "results",
    "profile",
    "parallel",
    "workers",
    "time_budget",
    "retries",
    "help",
];

pub(super) const AFTER_HELP: &str = "\
Exit codes: 0 all planned files passed; 101 some failed; 3 none failed, but some were not
run; 2 the command line or a variable is invalid; 4 the harness could not continue;
5 with --parallel: no file matches the filters, or nothing in the matching files could be
checked.

Examples:
  cargo test --test slt -- select1                     files whose name contains `select1`
  cargo test --test slt -- --exact select/joins.test   that file and no other
  SLT_CORPUS=target/corpus cargo test --release --test slt";

/// Adds the variable's name to an error about a value from the environment.
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
