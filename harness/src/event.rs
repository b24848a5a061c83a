//! Events of a run, and the reporters that receive them.

use std::borrow::Cow;
use std::time::Duration;

use crate::outcome::{Failure, Outcome};
use crate::script::Record;

/// Something that happens in a run, borrowed from where it happens.
///
/// A run reports an event before each of millions of records, so an event is `Copy`, and making one allocates nothing.
///
/// To add an event:
///
/// 1. Add a variant here. It says what happened, not what to print, and borrows what it names.
/// 2. Report it where it happens: in `trial`, `worker`, `supervisor` or `libtest`.
/// 3. Handle it in the reporters that need it. The compiler names the printer (`report/libtest`); the others ignore what
///    they do not know: the bar (`report/progress`), the transcript of `slt test` (`report/transcript`), the history
///    (`run/parallel/reporters`), a worker's log (`run/parallel/crew`), its page for crashes (`worker`), and the counts of
///    an abandoned trial (`trial/apart`).
#[derive(Debug, Clone, Copy)]
pub enum Event<'e> {
    /// The run begins.
    RunStarted {
        /// How many trials will run.
        planned: u64,
    },
    /// A trial begins.
    TrialStarted {
        /// The trial.
        trial: TrialId<'e>,
        /// The number of the worker that runs it; 0 if this process does.
        worker: u32,
    },
    /// An attempt of a trial begins in this worker.
    AttemptStarted {
        /// The trial.
        trial: TrialId<'e>,
        /// The attempt, counted from 1.
        attempt: u32,
    },
    /// A trial has been running for longer than `limit`. Sent once for each attempt.
    TrialSlow {
        /// The trial.
        trial: TrialId<'e>,
        /// The time after which a trial is slow.
        limit: Duration,
    },
    /// A trial has no worker any more, and no outcome. It runs again, or not at all.
    TrialRequeued(TrialId<'e>),
    /// A trial has its final outcome.
    TrialEnded {
        /// The outcome.
        outcome: &'e Outcome,
        /// The digest of the file's content (`suite::content`) when the run was planned, if known.
        planned: Option<&'e str>,
    },
    /// For a while there has been nothing to claim, because other processes run all that is left.
    Waiting {
        /// The trials that they run.
        running: &'e [TrialId<'e>],
    },
    /// A message for the user.
    Notice(&'e str),
    /// A record is about to run. If the process ends now, this record is the cause.
    RecordStarted {
        /// The file that holds the record; it may be included by the script.
        file: &'e str,
        /// Its line; 0 before the first record.
        line: u64,
        /// The variables of the loops around it, as in `i=3`; empty outside of loops.
        pass: &'e str,
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

/// A trial's name and its pass over the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrialId<'e> {
    /// The name.
    pub name: &'e str,
    /// The pass, counted from 1.
    pub pass: u32,
}

impl<'e> TrialId<'e> {
    /// The trial that has this outcome.
    pub fn of(outcome: &'e Outcome) -> Self {
        TrialId { name: &outcome.name, pass: outcome.pass }
    }

    /// The name, with the pass if there are several.
    pub fn title(&self) -> Cow<'e, str> {
        match self.pass {
            1 => self.name.into(),
            pass => format!("{} (pass {pass})", self.name).into(),
        }
    }
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
    /// A run calls it before each record, so an event that the reporter ignores must cost nothing.
    fn report(&self, event: Event<'_>);
}

/// Reports to both, in this order.
impl<A: Reporter, B: Reporter> Reporter for (A, B) {
    fn report(&self, event: Event<'_>) {
        self.0.report(event);
        self.1.report(event);
    }
}

impl<R: Reporter + ?Sized> Reporter for &R {
    fn report(&self, event: Event<'_>) {
        (**self).report(event);
    }
}

/// Ignores everything.
impl Reporter for () {
    fn report(&self, _: Event<'_>) {}
}
