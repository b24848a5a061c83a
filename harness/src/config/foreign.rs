//! Answers to flags of other runners.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Flags of DataFusion's runner and of `sqllogictest-bin`, each with the answer to it.
pub(super) const FOREIGN: &[(&str, &str)] = &[
    ("--complete", "`--bless` rewrites what failing records expect, `--bless=check` only shows it, `slt review` asks"),
    ("--override", "`--bless` rewrites what failing records expect, `--bless=check` only shows it, `slt review` asks"),
    ("--timing-summary", "`--report-time` shows each file's time, and every summary the slowest files"),
    ("--include-tpch", "all files of the suite run, but for those that `Suite::exclude` leaves out"),
    ("--include-sqlite", "`--root` names another folder of files; `Suite::exclude` leaves files out"),
    ("--postgres-runner", "`--engine postgres://…` runs the files on a server"),
    ("--substrait-round-trip", "`main_with` gives a test target flags of its own"),
    ("--jobs", "`--test-threads N`, or `--workers N`"),
    ("-j", "`--test-threads N`, or `--workers N`"),
    ("--junit", "each run writes `junit.xml` to its folder of results (`--results`)"),
    ("--partition-id", "`--shard K/N` runs one of N parts"),
    ("--partition-count", "`--shard K/N` runs one of N parts"),
    ("--host", "it is part of the URL that `--engine` takes"),
    ("--port", "it is part of the URL that `--engine` takes"),
    ("--db", "each file has a database of its own; the server is part of the URL that `--engine` takes"),
    ("--user", "it is part of the URL that `--engine` takes"),
    ("--pass", "it is part of the URL in the variable `SLT_ENGINE`"),
];

/// The answer to a flag of another runner; `None` if the error is not about such a flag.
pub(super) fn ours_for(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidArg) else { return None };
    let name = typed.split('=').next().unwrap_or_default();
    let (_, ours) = FOREIGN.iter().find(|(foreign, _)| *foreign == name)?;
    Some(format!("`{name}` is a flag of another runner: here, {ours}"))
}
