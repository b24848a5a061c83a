//! `slt query`: runs SQL over all recorded runs.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::error::CommandError;
#[cfg(feature = "sqlite")]
use super::error::QueryError;
use super::runs::Recorded;
use crate::summary::ExitStatus;

#[cfg(feature = "sqlite")]
mod database;
#[cfg(feature = "sqlite")]
mod output;
mod presets;

#[derive(Debug, Args)]
pub(super) struct Flags {
    /// One SELECT in SQLite's dialect
    #[arg(value_name = "SQL", required_unless_present_any = ["preset", "list_presets"])]
    sql: Option<String>,

    /// Run a predefined query, by its name
    #[arg(long, value_name = "NAME", conflicts_with = "sql")]
    preset: Option<String>,

    /// Show the presets, each with its SQL
    #[arg(long)]
    list_presets: bool,

    /// The format of rows
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    format: Format,

    #[command(flatten)]
    recorded: Recorded,

    /// Folder with test files, or one such file: files that no run has seen are in `test_files` too (repeatable)
    #[arg(long = "root", value_name = "PATH", env = "SLT_CORPUS")]
    roots: Vec<PathBuf>,
}

/// The format of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns for people.
    Table,
    /// A line of names, and a line for each row; NULL is empty.
    Csv,
    /// An array with an object for each row.
    Json,
}

/// What `slt query --help` says after the flags.
pub(super) const AFTER_HELP: &str = "\
Examples:
  slt query --preset failed-files
  slt query --preset progress --format csv > progress.csv
  slt query \"SELECT cause, count(*) FROM test_results WHERE failing GROUP BY cause\"

Tables, filled from the results of the last hundred runs:

  test_runs     one row for each run, `run` 1 being the oldest
    run, run_id, engine, started_at, duration_ms, workers, planned, passed, failing,
    failed, crashed, timed_out, out_of_memory, unexpected_passes, known_failures, ignored,
    not_run, filtered_out, scope, pass_rate, records_passed, records_failed,
    records_skipped
  test_files    one row for each file, as of the last run that ran it
    file_path, category, subcategory, verdict, passed, failing, last_run, last_tested,
    last_passed, times_run, times_passed, times_failing, duration_ms
  test_results  one row for each file in each run (and pass, with --repeat)
    run, file_path, category, pass, verdict, detail, passed, failing, duration_ms,
    engine_ms, records_passed, records_failed, records_skipped, attempt, worker,
    peak_bytes, started_at, error_at, error_message, sql, cause

Times are in UTC. `passed` and `failing` of a file are 1 or 0; `error_at`, `error_message`
and `sql` are those of its first failure, `cause` is the message without names and
numbers.
Verdicts: passed, flaky, failed, crashed, timed_out, out_of_memory, unexpected_pass,
known_failure, ignored, not_run; `failing` are those that make a run fail.
The tables are a copy in memory: a query reads it and can change nothing.";

pub(super) fn run(flags: &Flags) -> Result<ExitStatus, CommandError> {
    if flags.list_presets {
        return super::print(&presets::list());
    }
    let sql = match (&flags.preset, &flags.sql) {
        (Some(name), _) => presets::sql(name)?,
        (None, Some(sql)) => sql,
        (None, None) => return super::print(&presets::list()),
    };
    answer(sql, flags)
}

#[cfg(feature = "sqlite")]
fn answer(sql: &str, flags: &Flags) -> Result<ExitStatus, CommandError> {
    let database = database::Database::new(sql)?;
    let database = database.fill(&flags.recorded, &crate::config::roots(flags.roots.clone()))?;
    let rows = |writer: &mut dyn std::io::Write| match flags.format {
        Format::Table => output::table(&database, writer),
        Format::Csv => output::csv(&database, writer),
        Format::Json => output::json(&database, writer),
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let written = rows(&mut out).and_then(|()| Ok(std::io::Write::flush(&mut out)?));
    match written {
        Err(QueryError::Write(source)) => super::unwritten(source),
        written => Ok(written.map(|()| ExitStatus::Passed)?),
    }
}

#[cfg(not(feature = "sqlite"))]
fn answer(_sql: &str, flags: &Flags) -> Result<ExitStatus, CommandError> {
    let _ = (&flags.recorded, &flags.roots, flags.format);
    Err(CommandError::NoSqlite)
}
