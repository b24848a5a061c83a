//! What happens in a run, and who hears of it.

use crate::outcome::Failure;
use crate::script::Record;

/// Something that happens in a run, borrowed from where it happens.
///
/// Millions of records are announced in a run, so an event is `Copy`, and making one allocates nothing.
///
/// To add an event:
///
/// 1. Add a variant here that says what happened, not what to print. It borrows what it names.
/// 2. Report it where it happens: in `trial`, `worker`, `supervisor` or `libtest`.
/// 3. Add it to `trial/apart` if a trial reports it: an abandoned trial reports nothing more.
/// 4. Handle it in the reporters that show it. The others ignore it.
#[derive(Debug, Clone, Copy)]
pub enum Event<'e> {
    /// A record is about to run. If the process dies now, this record is the cause.
    RecordStarted {
        /// The file that holds the record; it may be included by the script.
        file: &'e str,
        /// Its line; 0 before the first record.
        line: u64,
        /// Its SQL.
        sql: &'e [u8],
        /// Whether the record is judged. Others prepare for the one that is.
        is_judged: bool,
    },
    /// A record has ended, or was skipped.
    RecordEnded {
        /// The file that holds the record.
        file: &'e str,
        /// The record.
        record: &'e Record<'e>,
        /// How it ended.
        ending: Ending<'e>,
    },
    /// A failure that is not a record's: of the whole script, or of its rewriting.
    ScriptFailed(&'e Failure),
    /// The script's database is kept; this is its name.
    DatabaseKept(&'e str),
}

/// How a record ended.
#[derive(Debug, Clone, Copy)]
pub enum Ending<'f> {
    /// It matched, or had nothing to check.
    Passed,
    /// Its conditions exclude this engine.
    Skipped,
    /// It did not match.
    Failed(&'f Failure),
    /// It did not match, and will be rewritten (`--bless`).
    Corrected(&'f Failure),
}

/// A reporter does something with the events of a run: prints them, counts them, or keeps them for a crash.
pub trait Reporter: Send + Sync {
    /// Called for each event as it happens, from the thread on which it happens.
    ///
    /// It runs before each record, so an event that the reporter ignores must cost nothing.
    fn report(&self, event: Event<'_>);
}

/// Ignores everything.
impl Reporter for () {
    fn report(&self, _: Event<'_>) {}
}
