//! How a process joins a run.

use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use super::QueueError;

const RUN_ID_BYTES: usize = 100;

/// Options for opening a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// The run to start or join; `None` means the live run or, if there is none, a new one.
    pub run_id: Option<String>,
    /// Continue an incomplete run whose participants are gone, instead of replacing it.
    pub resume: bool,
    /// The label of this participant; a supervisor identifies its workers by it.
    pub label: String,
    /// The supervisor that started this participant, by its number in the run. On a server, only that supervisor
    /// settles this participant's leases while it runs. Once it has ended, this participant's unfinished attempt does
    /// not count.
    pub parent: Option<u32>,
    /// When this participant stops waiting for the queue's lock; `None` means never.
    pub deadline: Option<Instant>,
    /// The folder where participants of a queue on a server write down what they are running.
    pub pages: PathBuf,
    /// How many runs a server keeps; `None` means all.
    pub keep_runs: Option<usize>,
}

/// Whether this is a valid run id.
pub(super) fn check_run_id(run: &str) -> Result<(), QueueError> {
    match !run.is_empty() && run.len() <= RUN_ID_BYTES && !run.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(QueueError::BadRunId(run.escape_debug().to_string())),
    }
}

/// Which run a process joined, and what happened to the previous one.
///
/// Its text is a sentence fragment, such as `resumed the run: 600 finished, 23 left`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// There was no run; this process started one.
    Started,
    /// A run is in progress; this process has joined it.
    Joined,
    /// All participants of an incomplete run were gone; the run continues.
    Resumed {
        /// How many entries have their outcome.
        finished: usize,
        /// How many have none.
        left: usize,
    },
    /// All participants of a complete run were gone; this process started a new one in its place.
    ReplacedComplete {
        /// The previous run.
        run: String,
    },
    /// All participants of an incomplete run were gone, and the user did not ask to resume it; this process started a new one.
    ReplacedIncomplete {
        /// The previous run.
        run: String,
        /// How many of its entries had their outcome.
        finished: usize,
        /// How many had none.
        left: usize,
        /// Whether its plan was different, so that it could not have been resumed.
        other_plan: bool,
    },
    /// The run that was requested by its id is complete: there is nothing left to claim.
    AlreadyFinished,
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Opened::Started => f.write_str("started a new run"),
            Opened::Joined => f.write_str("joined the run in progress"),
            Opened::Resumed { finished, left } => write!(f, "resumed the run: {finished} finished, {left} left"),
            Opened::ReplacedComplete { run } => write!(f, "started a new run; run `{run}` was complete"),
            Opened::ReplacedIncomplete { run, finished, left, other_plan } => {
                write!(f, "started a new run; run `{run}` was dropped with {finished} finished and {left} left")?;
                match other_plan {
                    true => f.write_str(" (its plan was another)"),
                    false => f.write_str(" (`--resume` continues such a run)"),
                }
            }
            Opened::AlreadyFinished => f.write_str("the run is already finished"),
        }
    }
}
