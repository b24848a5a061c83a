//! What a dialect may ask of the trial that runs a script: a stage runs records on an engine, and enters how they end.
//!
//! A dialect whose scripts are lists of records hands each one over ([`run`]), and the stage judges it. One that judges its
//! records itself [performs](Stage::perform) them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::complaint::Complaint;
use super::rewrite::{Correction, Edit, Revision};
use super::tags::Tags;
use crate::exchange::{Done, EngineError, Opening, Rows};
use crate::script::{Record, Step, SyntaxError};

/// Whether a script goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    GoesOn,
    Over,
}

/// How a record is treated if one record of a script is run instead of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is run and judged.
    Judged,
    /// It is run.
    Before,
    /// It is not run.
    LeftOut,
    /// Nothing is run any more.
    Over,
}

/// What the user allows and requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wishes<'s> {
    /// Whether scripts see environment variables.
    pub(crate) allow_env: bool,
    /// Whether what the dialect's own runner lets pass unchecked passes here too.
    pub(crate) lenient: bool,
    /// How many records a script may run; none for the dialect's own limit.
    pub(crate) max_records: Option<u64>,
    /// Which scripts run, by their tags.
    pub(crate) tags: &'s Tags,
}

/// Where a record is, and which one it is.
#[derive(Clone, Copy)]
pub(crate) struct At<'p> {
    /// Whether it is in the script itself, and not in a file that this includes.
    pub(crate) is_own: bool,
    /// Its line.
    pub(crate) line: u64,
    /// Whether it only waits.
    pub(crate) is_sleep: bool,
    /// In which pass of the loops around it; worked out only where that is asked.
    pub(crate) pass: &'p dyn Fn() -> Option<String>,
}

/// A step that a dialect judges itself.
pub(crate) type Judge<'j, 'a> = dyn FnMut(&mut dyn Stage<'a>, &Record<'_>) -> Result<(), Complaint> + 'j;

/// A script that is being run. `'a` is the text of the script.
pub(crate) trait Stage<'a> {
    /// Runs a record, judges it as all dialects do, and enters how it ended.
    fn record(&mut self, record: &Record<'a>) -> Flow;

    /// Runs a record that `judge` runs and judges, and enters how it ended.
    fn perform(&mut self, record: &Record<'_>, judge: &mut Judge<'_, 'a>);

    /// Enters a record that does not apply.
    fn skip(&mut self, record: &Record<'_>);

    /// The script breaks a rule, and ends.
    fn fail(&mut self, error: SyntaxError);

    /// The engine has failed, and the script ends.
    fn give_up(&mut self, error: SyntaxError);

    /// The script ends here, because it says so in this line.
    fn halt(&mut self, line: u64);

    /// Whether nothing more may run.
    fn is_over(&mut self) -> bool;

    /// Whether the time limit of the file is over.
    fn is_late(&self) -> bool;

    /// What the user allows and requests.
    fn wishes(&self) -> Wishes<'_>;

    /// Reads the files that the script includes before anything runs, if they may be rewritten: another process may
    /// rewrite them too, and both must start with the same text.
    fn expect_files(&mut self, included: &mut dyn Iterator<Item = &Arc<str>>);

    /// Whether one record of the script is run instead of all.
    fn is_excerpt(&self) -> bool;

    /// The first and the last line of each loop that is in no other one, and of each record in none.
    fn find(&mut self, spans: &mut dyn Iterator<Item = (u64, u64)>);

    /// How a record is treated.
    fn turn(&mut self, at: At<'_>) -> Turn;

    /// Runs the SQL of a record; the outer error is ours, the inner one the engine's.
    fn run(&mut self, record: &Record<'_>, letters: Option<&[u8]>) -> Result<Result<Done, EngineError>, Complaint>;

    /// What the last SQL returned.
    fn rows(&self) -> &Rows;

    /// The values that a query of the dialect's own returns.
    ///
    /// # Errors
    /// It failed.
    fn values(&mut self, sql: &str, connection: Option<&str>) -> Result<Vec<String>, String>;

    /// Waits this long, but not longer than until a time limit.
    fn sleep(&mut self, duration: Duration);

    /// Closes all connections, opens the database as asked, and connects again.
    ///
    /// # Errors
    /// The engine cannot do that.
    fn reopen(&mut self, opening: Opening<'_>) -> Result<(), String>;

    /// Replaces the default connection by a new one.
    ///
    /// # Errors
    /// It cannot be made.
    fn reconnect(&mut self) -> Result<(), String>;

    /// Closes a named connection, if it is open.
    fn disconnect(&mut self, name: &str);

    /// Tells the engine the script's own folder.
    fn scratch(&mut self, folder: &Path);

    /// Whether the engine has what the script requires.
    ///
    /// # Errors
    /// It cannot be asked.
    fn require(&mut self, words: &[&str]) -> Result<bool, String>;

    /// Opens connections that run SQL at the same time; says whether the engine has them.
    ///
    /// # Errors
    /// It cannot be asked.
    fn open_together(&mut self) -> Result<bool, String>;

    /// Begins a record on the connection of this number.
    ///
    /// # Errors
    /// It could not be begun.
    fn begin(&mut self, number: u64, record: &Record<'_>, letters: Option<&[u8]>) -> Result<(), EngineError>;

    /// Waits for the record that ends next, and says on which connection; the next [`run`](Stage::run) returns its result.
    ///
    /// # Errors
    /// Nothing more can be learnt of any of them.
    fn wait(&mut self) -> Result<u64, EngineError>;

    /// Sets what the next [`run`](Stage::run) returns, or that it runs.
    fn answer(&mut self, answer: Option<Result<Done, EngineError>>);

    /// Closes the connections that run SQL at the same time.
    fn close_together(&mut self);

    /// The edits by which a record passes, or why there are none; nothing if records are not rewritten.
    fn revise(
        &mut self,
        record: &Record<'_>,
        correction: &Correction,
        revision: &dyn Revision,
    ) -> Option<Result<Vec<Edit>, String>>;

    /// Whether results are compared with those of another engine, so that they are wanted whole.
    fn compares(&self) -> bool;

    /// Keeps what a record returned as expected, for a comparison, where the script does not list it.
    fn keep(&mut self, lines: Vec<Vec<u8>>);

    /// What a record returned that failed on the judged engine, if this one is the reference.
    fn judged(&self, record: &Record<'_>) -> Option<&Correction>;
}

/// Runs records to their end, a `halt`, or an error. Says whether the script goes on behind them.
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
