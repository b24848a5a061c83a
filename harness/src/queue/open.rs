//! How a process comes to take part in a run.

use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use super::QueueError;

const RUN_ID_BYTES: usize = 100;

/// How a queue is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// The run to start or to join; without one, whatever run is alive, or else a new one.
    pub run_id: Option<String>,
    /// Go on with a run that is incomplete and whose participants are gone, instead of replacing it.
    pub resume: bool,
    /// What this participant is known by to others; a supervisor tells its workers apart by it.
    pub label: String,
    /// The supervisor that started this participant, by its number in the run. On a server, while that lives, it alone
    /// settles what this one leaves. Once it is dead, the attempt that this one leaves does not count.
    pub parent: Option<u32>,
    /// When this participant gives up waiting for others to let go of the queue; without one, it waits for ever.
    pub deadline: Option<Instant>,
    /// The folder where participants of a queue on a server note what they run.
    pub pages: PathBuf,
    /// How many runs a server keeps, the latest; without a number, all.
    pub keep_runs: Option<usize>,
}

/// Whether a run can have that id.
pub(super) fn check_run_id(run: &str) -> Result<(), QueueError> {
    match !run.is_empty() && run.len() <= RUN_ID_BYTES && !run.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(QueueError::BadRunId(run.escape_debug().to_string())),
    }
}

/// Opened says which run a process came to take part in, and what became of the one before.
///
/// Its text is a sentence fragment for people, such as `resumed the run: 600 finished, 23 left`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// There was no run; this process began one.
    Started,
    /// A run is under way; this process takes part from now on.
    Joined,
    /// All participants of an incomplete run were gone; it goes on.
    Resumed {
        /// How many entries have their outcome.
        finished: usize,
        /// How many have none yet.
        left: usize,
    },
    /// All participants of a complete run were gone; this process began a new one in its place.
    ReplacedComplete {
        /// The run that was there.
        run: String,
    },
    /// All participants of an incomplete run were gone, and nobody asked to resume it; this process began a new one.
    ReplacedIncomplete {
        /// The run that was there.
        run: String,
        /// How many of its entries had their outcome.
        finished: usize,
        /// How many had none.
        left: usize,
        /// Whether its plan was another, so that it could not have been resumed.
        other_plan: bool,
    },
    /// The run that was asked for by its id is complete: there is nothing left to claim.
    AlreadyFinished,
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Opened::Started => f.write_str("started a new run"),
            Opened::Joined => f.write_str("joined the run under way"),
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
