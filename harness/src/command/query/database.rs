//! The recorded runs as tables of an SQLite database in memory, and one query over them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, Statement, params};

use crate::command::error::QueryError;
use crate::command::runs::{Recorded, RunsError};
use crate::outcome::{Outcome, Results, Verdict};
use crate::report::by_file::by_file;
use crate::report::clusters::{Example, causes};
use crate::report::words::{date, pass_rate};
use crate::suite::{Suite, category};

const SCHEMA: &str = "
CREATE TABLE test_runs (
  run INTEGER PRIMARY KEY, run_id TEXT, engine TEXT, started_at TEXT, duration_ms REAL, workers INTEGER,
  planned INTEGER, passed INTEGER, failing INTEGER, failed INTEGER, crashed INTEGER, timed_out INTEGER,
  out_of_memory INTEGER, unexpected_passes INTEGER, known_failures INTEGER, ignored INTEGER, not_run INTEGER, filtered_out INTEGER, scope TEXT,
  pass_rate REAL,
  records_passed INTEGER, records_failed INTEGER, records_skipped INTEGER);
CREATE TABLE test_files (
  file_path TEXT PRIMARY KEY, category TEXT, subcategory TEXT, verdict TEXT, passed INTEGER, failing INTEGER,
  last_run INTEGER, last_tested TEXT, last_passed TEXT, times_run INTEGER, times_passed INTEGER, times_failing INTEGER,
  duration_ms REAL) WITHOUT ROWID;
CREATE TABLE test_results (
  run INTEGER, file_path TEXT, category TEXT, pass INTEGER, verdict TEXT, detail TEXT, passed INTEGER, failing INTEGER,
  duration_ms REAL, engine_ms REAL, records_passed INTEGER, records_failed INTEGER, records_skipped INTEGER,
  attempt INTEGER, worker INTEGER, peak_bytes INTEGER, started_at TEXT, error_at TEXT, error_message TEXT, sql TEXT,
  cause TEXT);
";

/// A database whose tables are still empty, and a query that SQLite accepts.
#[derive(Debug)]
pub(super) struct Database<'q> {
    connection: Connection,
    sql: &'q str,
    /// The tables that the query reads.
    tables: BTreeSet<String>,
}

/// A database whose tables are filled, and the query to run.
#[derive(Debug)]
pub(super) struct Filled<'q>(Database<'q>);

impl<'q> Database<'q> {
    /// Checks the query before any run is read, and learns which tables it needs.
    pub(super) fn new(sql: &'q str) -> Result<Self, QueryError> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(SCHEMA)?;
        let mut database = Database { connection, sql, tables: BTreeSet::new() };
        database.tables = database.guard()?;
        let statement = database.prepare()?;
        // An empty query, or a statement that returns no rows.
        if statement.column_count() == 0 || !statement.readonly() {
            let empty = sql.trim().trim_matches(';').is_empty();
            return Err(if empty { QueryError::Empty } else { QueryError::NotASelect });
        }
        drop(statement);
        Ok(database)
    }

    /// Makes SQLite refuse everything except reading the tables; returns the tables that the query reads.
    fn guard(&self) -> Result<BTreeSet<String>, QueryError> {
        let tables = Arc::new(Mutex::new(BTreeSet::new()));
        let seen = Arc::clone(&tables);
        self.connection.authorizer(Some(move |context: AuthContext<'_>| match context.action {
            // A query can also read a pragma as a table.
            AuthAction::Read { table_name, .. } if !table_name.starts_with("pragma_") => {
                seen.lock().unwrap_or_else(PoisonError::into_inner).insert(table_name.to_owned());
                Authorization::Allow
            }
            AuthAction::Select | AuthAction::Recursive => Authorization::Allow,
            AuthAction::Function { function_name } if !function_name.eq_ignore_ascii_case("load_extension") => {
                Authorization::Allow
            }
            _ => Authorization::Deny,
        }))?;
        let _ = self.prepare()?;
        let tables = tables.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(tables.clone())
    }

    fn prepare(&self) -> Result<Statement<'_>, QueryError> {
        self.connection.prepare(self.sql).map_err(|error| match error {
            rusqlite::Error::SqlInputError { msg, sql, offset, .. } => {
                QueryError::Sql { message: msg, place: place(&sql, usize::try_from(offset).unwrap_or(0)) }
            }
            rusqlite::Error::MultipleStatement => QueryError::NotASelect,
            rusqlite::Error::SqliteFailure(code, _)
                if code.code == rusqlite::ErrorCode::AuthorizationForStatementDenied =>
            {
                QueryError::NotASelect
            }
            error => QueryError::Sqlite(error),
        })
    }

    /// Fills the tables that the query reads; a run that cannot be read is left out, with a note on standard error.
    pub(super) fn fill(mut self, recorded: &Recorded, roots: &[PathBuf]) -> Result<Filled<'q>, QueryError> {
        self.connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
        let reads = |table: &str| self.tables.contains(table);
        let (with_files, with_results) = (reads("test_files"), reads("test_results"));
        let transaction = self.connection.transaction()?;
        let mut files = BTreeMap::new();
        if !self.tables.is_empty() {
            let mut run = 0;
            each_run(recorded, |results| {
                run += 1;
                add_run(&transaction, run, results)?;
                if with_results {
                    add_results(&transaction, run, results)?;
                }
                if with_files {
                    learn(&mut files, run, results);
                }
                Ok(())
            })?;
        }
        if with_files {
            if !roots.is_empty() {
                for file in Suite::from_roots(roots.to_vec()).discover()? {
                    files.entry(file.name).or_default();
                }
            }
            add_files(&transaction, &files)?;
        }
        transaction.commit()?;
        self.guard()?;
        Ok(Filled(self))
    }
}

impl Filled<'_> {
    /// The query as a prepared statement.
    pub(super) fn statement(&self) -> Result<Statement<'_>, QueryError> {
        self.0.prepare()
    }
}

/// Where in the SQL an error is: the line, and a caret below the place.
fn place(sql: &str, offset: usize) -> String {
    let offset = (0..=offset.min(sql.len())).rev().find(|at| sql.is_char_boundary(*at)).unwrap_or(0);
    let before = &sql[..offset];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = sql[start..].lines().next().unwrap_or_default().replace('\t', " ");
    let column = before[start..].chars().count();
    let number = before.matches('\n').count() + 1;
    let blanks = " ".repeat(column);
    format!("  {line}\n  {blanks}^ line {number}, column {}", column + 1)
}

/// Reads all recorded runs, the oldest first, one at a time.
fn each_run(recorded: &Recorded, mut add: impl FnMut(&Results) -> Result<(), QueryError>) -> Result<(), QueryError> {
    let copies = recorded.copies()?;
    let mut last = None;
    let mut unreadable = Vec::new();
    for copy in &copies {
        match Results::read(&copy.path) {
            Ok(results) => {
                add(&results)?;
                last = Some((results.run_id, results.started_us));
            }
            Err(error) => {
                note!("warning: a run is left out: {}", crate::run::with_causes(&error));
                unreadable.push(error);
            }
        }
    }
    // The copy of the latest run may be missing, if its writer was killed after it wrote `results.json`.
    match recorded.find("latest") {
        Ok((latest, _)) if last.as_ref() != Some(&(latest.run_id.clone(), latest.started_us)) => add(&latest),
        Ok(_) => Ok(()),
        Err(error) if last.is_none() => Err(unreadable.pop().map_or(error, RunsError::Results).into()),
        Err(error) => {
            note!("warning: the latest run is left out: {}", crate::run::with_causes(&error));
            Ok(())
        }
    }
}

fn milliseconds(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// A count as an integer of SQLite.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn started(us: u64) -> Option<String> {
    (us > 0).then(|| date(us))
}

fn add_run(connection: &Connection, run: i64, results: &Results) -> Result<(), QueryError> {
    let total = &results.total;
    let marks = ["?"; 23].join(", ");
    connection.prepare_cached(&format!("INSERT INTO test_runs VALUES ({marks})"))?.execute(params![
        run,
        results.run_id,
        results.engine,
        started(results.started_us),
        milliseconds(results.wall_us),
        results.workers,
        integer(total.planned),
        integer(total.passed),
        integer(total.failures()),
        integer(total.failed),
        integer(total.crashed),
        integer(total.timed_out),
        integer(total.out_of_memory),
        integer(total.unexpected_passes),
        integer(total.known_failures),
        integer(total.ignored),
        integer(total.not_run),
        integer(results.filtered_out),
        results.portion().map(|portion| portion.to_string()),
        pass_rate(total),
        integer(total.records.passed),
        integer(total.records.failed),
        integer(total.records.skipped),
    ])?;
    Ok(())
}

fn add_results(connection: &Connection, run: i64, results: &Results) -> Result<(), QueryError> {
    let marks = ["?"; 21].join(", ");
    let mut insert = connection.prepare_cached(&format!("INSERT INTO test_results VALUES ({marks})"))?;
    for outcome in &results.outcomes {
        let Outcome { name, verdict, records, .. } = outcome;
        let first = causes(outcome).into_iter().next();
        let (cause, example) = match first {
            Some((cause, failure)) => (Some(cause), Example::new(name, outcome, failure)),
            None => (None, Example::default()),
        };
        let known = |text: String| (!text.is_empty()).then_some(text);
        let detail = !matches!(verdict, Verdict::Passed | Verdict::Failed);
        insert.execute(params![
            run,
            name,
            category(name),
            outcome.pass,
            verdict.name(),
            detail.then(|| verdict.to_string()),
            verdict.is_pass(),
            verdict.is_failure(),
            milliseconds(outcome.wall_us),
            milliseconds(outcome.engine_us),
            integer(records.passed),
            integer(records.failed),
            integer(records.skipped),
            outcome.attempt,
            outcome.worker,
            outcome.peak_bytes.map(integer),
            started(outcome.started_us),
            known(example.at),
            known(example.message),
            known(example.sql),
            cause,
        ])?;
    }
    Ok(())
}

/// One file in all recorded runs; `Default` if no run has run it.
#[derive(Debug, Default)]
struct FileRow {
    verdict: Option<Verdict>,
    last_run: Option<i64>,
    last_tested_us: u64,
    last_passed_us: Option<u64>,
    run: i64,
    passed: i64,
    failing: i64,
    wall_us: u64,
}

fn learn(files: &mut BTreeMap<String, FileRow>, run: i64, results: &Results) {
    for file in by_file(results) {
        let row = files.entry(file.name.to_owned()).or_default();
        let outcome = file.worst();
        if matches!(outcome.verdict, Verdict::NotRun { .. }) {
            continue;
        }
        let tested_us = if outcome.started_us > 0 { outcome.started_us } else { results.started_us };
        row.run += 1;
        row.passed += i64::from(outcome.verdict.is_pass());
        row.failing += i64::from(outcome.verdict.is_failure());
        row.last_run = Some(run);
        row.last_tested_us = tested_us;
        row.wall_us = file.wall_us();
        if outcome.verdict.is_pass() {
            row.last_passed_us = Some(tested_us);
        }
        row.verdict = Some(outcome.verdict.clone());
    }
}

fn add_files(connection: &Connection, files: &BTreeMap<String, FileRow>) -> Result<(), QueryError> {
    let marks = ["?"; 13].join(", ");
    let mut insert = connection.prepare(&format!("INSERT INTO test_files VALUES ({marks})"))?;
    for (name, row) in files {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let subcategory = folder.split_once('/').map(|(_, rest)| rest);
        insert.execute(params![
            name,
            category(name),
            subcategory,
            row.verdict.as_ref().map(Verdict::name),
            row.verdict.as_ref().is_some_and(Verdict::is_pass),
            row.verdict.as_ref().is_some_and(Verdict::is_failure),
            row.last_run,
            started(row.last_tested_us),
            row.last_passed_us.and_then(started),
            row.run,
            row.passed,
            row.failing,
            row.last_run.map(|_| milliseconds(row.wall_us)),
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_select_is_refused_before_any_run_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        let file = file.display();
        for sql in [
            "DELETE FROM test_runs",
            "INSERT INTO test_runs (run) VALUES (1) RETURNING run",
            "EXPLAIN DELETE FROM test_runs",
            "CREATE TABLE t (a)",
            "CREATE TEMP TABLE t AS SELECT 1",
            "DROP TABLE test_runs",
            &format!("ATTACH '{file}' AS other"),
            &format!("VACUUM INTO '{file}'"),
            "PRAGMA journal_mode = WAL",
            "PRAGMA user_version",
            "SELECT * FROM pragma_database_list",
            "BEGIN",
            "SELECT 1; SELECT 2",
            "WITH a AS (SELECT 1) DELETE FROM test_runs",
        ] {
            let error = Database::new(sql).unwrap_err();
            assert!(matches!(error, QueryError::NotASelect), "{sql}: {error:?}");
        }
        assert!(matches!(Database::new(" ;"), Err(QueryError::Empty)));
        let error = Database::new("SELECT load_extension('x')").unwrap_err();
        assert!(error.to_string().starts_with("not authorized to use function: load_extension\n"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_query_says_which_tables_it_needs() {
        for (sql, tables) in [
            ("SELECT count(*) FROM test_results", vec!["test_results"]),
            ("WITH r AS (SELECT * FROM test_runs) SELECT 1 FROM r, test_files", vec!["test_files", "test_runs"]),
            ("VALUES (1)", vec![]),
            ("EXPLAIN QUERY PLAN SELECT run FROM test_runs", vec!["test_runs"]),
            ("WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i FROM n;", vec![]),
        ] {
            let database = Database::new(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            let read: Vec<&str> =
                database.tables.iter().map(String::as_str).filter(|t| t.starts_with("test_")).collect();
            assert_eq!(read, tables, "{sql}");
        }
    }

    #[test]
    fn an_error_points_to_its_place() {
        let error = Database::new("SELECT run,\n  'ü', verdct\nFROM test_results").unwrap_err().to_string();
        assert_eq!(error, "no such column: verdct\n    'ü', verdct\n         ^ line 2, column 8");
        let error = Database::new("SELEC 1").unwrap_err().to_string();
        assert_eq!(error, "near \"SELEC\": syntax error\n  SELEC 1\n  ^ line 1, column 1");
        assert_eq!(place("a", 99), "  a\n   ^ line 1, column 2");
    }
}
