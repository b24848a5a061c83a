//! The interface of a trial to the dialect of its script: a stage runs records on an engine, and enters how they end.
//!
//! A dialect whose scripts are lists of records passes each record to the stage ([`run`]), which judges it. A dialect that
//! judges its records itself [performs](Stage::perform) them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::complaint::Complaint;
use super::rewrite::{Correction, Edit, Revision};
use super::tags::Tags;
use crate::exchange::{Done, EngineError, Opening, Rows};
use crate::script::{Record, Step, SyntaxError};

/// Whether a script continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    GoesOn,
    Over,
}

/// How a record is treated if one record of a script is run instead of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Run it and judge it.
    Judged,
    /// Run it without judging it.
    Before,
    /// Do not run it.
    LeftOut,
    /// Do not run it or any later record.
    Over,
}

/// What the user allows and requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wishes<'s> {
    /// Whether scripts see environment variables.
    pub(crate) allow_env: bool,
    /// Whether to accept what the dialect's own runner accepts without a check.
    pub(crate) lenient: bool,
    /// How many records a script may run; `None` is the dialect's own limit.
    pub(crate) max_records: Option<u64>,
    /// Selects scripts by their tags.
    pub(crate) tags: &'s Tags,
}

/// The position of a record, for deciding its [`Turn`].
#[derive(Clone, Copy)]
pub(crate) struct At<'p> {
    /// Whether it is in the script itself, and not in a file that the script includes.
    pub(crate) is_own: bool,
    /// Its line.
    pub(crate) line: u64,
    /// Whether it only waits.
    pub(crate) is_sleep: bool,
    /// The pass of the loops around it; computed only on request.
    pub(crate) pass: &'p dyn Fn() -> Option<String>,
}

/// Runs and judges a record for a dialect that judges its records itself.
pub(crate) type Judge<'j, 'a> = dyn FnMut(&mut dyn Stage<'a>, &Record<'_>) -> Result<(), Complaint> + 'j;

/// The stage of a script that is being run. `'a` is the lifetime of the script's text.
pub(crate) trait Stage<'a> {
    /// Runs a record, judges it as all dialects do, and enters how it ended.
    fn record(&mut self, record: &Record<'a>) -> Flow;

    /// Enters how a record ended that `judge` runs and judges.
    fn perform(&mut self, record: &Record<'_>, judge: &mut Judge<'_, 'a>);

    /// Enters a record that does not apply.
    fn skip(&mut self, record: &Record<'_>);

    /// Ends the script, because it breaks a rule.
    fn fail(&mut self, error: SyntaxError);

    /// Ends the script, because the engine has failed.
    fn give_up(&mut self, error: SyntaxError);

    /// Ends the script, because a `halt` in this line says so.
    fn halt(&mut self, line: u64);

    /// Whether nothing more may run.
    fn is_over(&mut self) -> bool;

    /// Whether the file's time limit is over.
    fn is_late(&self) -> bool;

    /// What the user allows and requests.
    fn wishes(&self) -> Wishes<'_>;

    /// Reads the files that the script includes before anything runs, if they may be rewritten: another process may
    /// rewrite them too, and both must start with the same text.
    fn expect_files(&mut self, included: &mut dyn Iterator<Item = &Arc<str>>);

    /// Whether one record of the script is run instead of all.
    fn is_excerpt(&self) -> bool;

    /// Receives the first and the last line of each outermost loop, and of each record outside of loops.
    fn find(&mut self, spans: &mut dyn Iterator<Item = (u64, u64)>);

    /// How a record is treated.
    fn turn(&mut self, at: At<'_>) -> Turn;

    /// Runs the SQL of a record. The outer error is the runner's, the inner one the engine's.
    fn run(&mut self, record: &Record<'_>, letters: Option<&[u8]>) -> Result<Result<Done, EngineError>, Complaint>;

    /// The rows that the last SQL returned.
    fn rows(&self) -> &Rows;

    /// The values that the dialect's own query `sql` returns.
    ///
    /// # Errors
    /// The query failed.
    fn values(&mut self, sql: &str, connection: Option<&str>) -> Result<Vec<String>, String>;

    /// Waits this long, but stops at a time limit.
    fn sleep(&mut self, duration: Duration);

    /// Closes all connections, opens the database as requested, and connects again.
    ///
    /// # Errors
    /// The engine cannot do that.
    fn reopen(&mut self, opening: Opening<'_>) -> Result<(), String>;

    /// Replaces the default connection by a new one.
    ///
    /// # Errors
    /// The connection cannot be made.
    fn reconnect(&mut self) -> Result<(), String>;

    /// Closes a named connection, if it is open.
    fn disconnect(&mut self, name: &str);

    /// Tells the engine the script's temporary folder.
    fn scratch(&mut self, folder: &Path);

    /// Whether the engine has what the script requires.
    ///
    /// # Errors
    /// The engine cannot be asked.
    fn require(&mut self, words: &[&str]) -> Result<bool, String>;

    /// Opens connections that run SQL at the same time; returns whether the engine supports them.
    ///
    /// # Errors
    /// The engine cannot be asked.
    fn open_together(&mut self) -> Result<bool, String>;

    /// Begins a record on the connection with this number.
    ///
    /// # Errors
    /// The record could not be started.
    fn begin(&mut self, number: u64, record: &Record<'_>, letters: Option<&[u8]>) -> Result<(), EngineError>;

    /// Waits for the next record to end, and returns the number of its connection; the next [`run`](Stage::run) returns its
    /// result.
    ///
    /// # Errors
    /// The engine reports nothing more about any of the connections.
    fn wait(&mut self) -> Result<u64, EngineError>;

    /// Sets what the next [`run`](Stage::run) returns instead of running SQL; `None` makes it run SQL again.
    fn answer(&mut self, answer: Option<Result<Done, EngineError>>);

    /// Closes the connections that run SQL at the same time.
    fn close_together(&mut self);

    /// The edits that make a record pass, or the reason why there are none; `None` if records are not rewritten.
    fn revise(
        &mut self,
        record: &Record<'_>,
        correction: &Correction,
        revision: &dyn Revision,
    ) -> Option<Result<Vec<Edit>, String>>;

    /// Whether results are compared with those of another engine, so that they are needed in full.
    fn compares(&self) -> bool;

    /// Keeps for a comparison the lines of a record that passed, if the script does not list them.
    fn keep(&mut self, lines: Vec<Vec<u8>>);

    /// What the judged engine returned for a record that failed there, if this engine is the reference.
    fn judged(&self, record: &Record<'_>) -> Option<&Correction>;
}

/// Runs records to their end, a `halt`, or an error. Returns whether the script continues after them.
pub(crate) fn run<'a>(
    records: impl Iterator<Item = Result<Record<'a>, SyntaxError>>,
    stage: &mut dyn Stage<'a>,
) -> Flow {
    for record in records {
        match record {
            Ok(record) => {
                if stage.record(&record) == Flow::Over {
                    return Flow::Over;
                }
            }
            Err(error) => {
                stage.fail(error);
                return Flow::Over;
            }
        }
    }
    Flow::GoesOn
}

/// Whether a record only waits.
pub(crate) fn is_sleep(step: &Step<'_>) -> bool {
    matches!(step, Step::Sleep(_))
}
