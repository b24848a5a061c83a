//! A queue distributes a plan over processes, so that each entry gets exactly one final outcome.
//!
//! Participants claim an entry, run it, and finish it. If a participant crashes, its lease stays open. The next
//! participant to check reclaims the lease ([`lost`](Queue::lost)) and decides: another attempt, or a verdict. So an
//! entry may run more than once, but it is finished once.
//!
//! ```text
//!                claim                   finish
//!   waiting ──────────────▶ leased ──────────────────▶ final
//!      ▲                    │    │ holder is lost        ▲
//!      │      requeue       │    ▼ lost                  │ finish
//!      ├────────────────────┘   leased to the taker ─────┤
//!      └────────────────────────────┘ requeue, release
//! ```
//!
//! This module defines what any queue does. [`file`](mod@file) keeps a queue in a file, and `postgres` keeps it on a
//! server, for several machines. [`Place`] names either.

mod difference;
mod error;
pub mod file;
mod live;
mod open;
mod place;
mod plan;
#[cfg(feature = "postgres-queue")]
pub mod postgres;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod model;
#[cfg(test)]
mod process;

use std::sync::Arc;
use std::time::Duration;

pub use error::QueueError;
pub use live::{Live, Running};
pub use open::{OpenOptions, Opened};
pub use place::{Place, PlaceError};
pub use plan::{CHECK, Plan, PlanEntry, PlanError, REVIEW, REWRITES, Settings};

use crate::outcome::{Attempt, Outcome};

/// One participant's access to a shared run.
///
/// Dropping it leaves the run. Leases that are still open are lost, as if the process had been killed.
pub trait Queue: Send {
    /// This participant's number in the run, counted from 1.
    fn worker(&self) -> u32;

    /// The id of the run.
    fn run_id(&self) -> &str;

    /// The plan of the run.
    fn plan(&self) -> &Plan;

    /// Takes the next entry: one that was given back, or else the first that was never claimed.
    ///
    /// The cost does not depend on the length of the plan.
    fn claim(&mut self) -> Result<Claim, QueueError>;

    /// Gives the leased entry its one final outcome.
    ///
    /// Fails if the lease is no longer the open one of its entry, or the outcome has another name or pass than the
    /// lease.
    fn finish(&mut self, lease: Lease, outcome: &Outcome) -> Result<(), QueueError>;

    /// Does [`finish`](Queue::finish), then [`claim`](Queue::claim).
    ///
    /// A queue may do both in one operation, which saves a lock or a round trip. After an error, the outcome may or may
    /// not have been recorded.
    fn finish_and_claim(&mut self, lease: Lease, outcome: &Outcome) -> Result<Claim, QueueError> {
        self.finish(lease, outcome)?;
        self.claim()
    }

    /// Gives the entry back without an outcome, for any participant to claim. The attempt counts.
    fn requeue(&mut self, lease: Lease, why: &str) -> Result<(), QueueError>;

    /// Gives the entry back after an attempt that did not pass, and keeps that attempt's outcome.
    ///
    /// A queue that cannot keep the outcome keeps its description.
    fn retry(&mut self, lease: Lease, attempt: &Attempt) -> Result<(), QueueError> {
        self.requeue(lease, &attempt.verdict.to_string())
    }

    /// Gives the entry back as if the attempt had never started. Used when the attempt ended because its run did.
    fn release(&mut self, lease: Lease, why: &str) -> Result<(), QueueError>;

    /// Takes over every lease whose holder is lost.
    ///
    /// The caller now holds these leases and must requeue or finish each. If it ends first, they are lost again and go
    /// to the next caller. A holder is lost when its process has ended or dropped its queue. Time alone decides only
    /// for processes that cannot be seen: see each kind of queue.
    fn lost(&mut self) -> Result<Vec<Lost>, QueueError>;

    /// Asks all participants to stop claiming; `why` is a fragment such as `interrupted`.
    ///
    /// Open leases may still be finished. A second call changes nothing.
    fn stop(&mut self, why: &str) -> Result<(), QueueError>;

    /// Everything that is known about the run. Reads the whole run: call it at the end, not at every claim.
    fn snapshot(&mut self) -> Result<Snapshot, QueueError>;

    /// The progress of the run. The cost depends on what happened since the last call, not on the length of the plan.
    fn progress(&mut self) -> Result<Progress, QueueError>;

    /// The events since the last call; the first call returns those since this participant joined.
    fn poll(&mut self) -> Result<Vec<Event>, QueueError>;

    /// Where this participant writes down what it is running.
    fn live(&self) -> Live;

    /// What `worker` is running, or was when it ended; `None` if it is between two entries, never joined, or is on
    /// another machine.
    fn running(&self, worker: u32) -> Result<Option<Running>, QueueError>;

    /// The minimum wait between two polls. A poll costs time even if it returns no events.
    fn pace(&self) -> Duration {
        Duration::ZERO
    }
}

/// What [`Queue::claim`] found.
#[derive(Debug)]
#[must_use]
pub enum Claim {
    /// The caller must now run this entry.
    Leased(Lease),
    /// All entries without an outcome are leased. Look for [lost](Queue::lost) leases, wait a little, claim again.
    Wait,
    /// Every entry of the plan has its outcome.
    Complete,
    /// A participant asked all to [stop](Queue::stop); entries without an outcome are left.
    Stopped {
        /// The reason.
        why: String,
    },
}

/// The right to give one entry its outcome. Only a queue creates leases, and they cannot be copied.
///
/// A dropped lease stays open until its holder leaves the run.
#[derive(Debug)]
#[must_use]
pub struct Lease {
    entry: usize,
    name: String,
    pass: u32,
    attempt: u32,
    worker: u32,
    sequence: u64,
}

impl Lease {
    /// The entry's index in the plan.
    pub fn entry(&self) -> usize {
        self.entry
    }

    /// The trial's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The entry's pass over the suite, counted from 1.
    pub fn pass(&self) -> u32 {
        self.pass
    }

    /// How many times the entry has been claimed so far, including this time.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The sequence number of this lease in the run; later leases have higher numbers.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether `outcome` may be given to this entry.
    fn check(&self, outcome: &Outcome) -> Result<(), QueueError> {
        if (outcome.name.as_str(), outcome.pass) == (&self.name, self.pass) {
            return Ok(());
        }
        Err(QueueError::WrongOutcome {
            outcome: outcome.name.clone(),
            outcome_pass: outcome.pass,
            name: self.name.clone(),
            pass: self.pass,
        })
    }

    fn stale(&self) -> QueueError {
        QueueError::Stale { name: self.name.clone(), pass: self.pass, worker: self.worker, sequence: self.sequence }
    }
}

/// A lost lease: its holder has ended, and the caller of [`Queue::lost`] now holds it.
#[derive(Debug)]
#[must_use]
pub struct Lost {
    /// The lease to requeue or finish. Its attempt is the lost worker's.
    pub lease: Lease,
    /// The worker that was running the entry.
    pub worker: u32,
    /// How many workers have ended running this entry, including this one.
    pub deaths: u32,
    /// The record that was running, if the worker had reached one.
    pub last: Option<Running>,
    /// Whether the worker's supervisor has ended too. Then the worker ended because of that, not because of the entry.
    pub orphaned: bool,
}

/// The progress of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many entries have their outcome.
    pub finished: usize,
    /// Whether another participant holds an open lease.
    pub is_leased_elsewhere: bool,
    /// Whether a participant has asked all to stop.
    pub is_stopped: bool,
}

/// An event of a run. Entries are indexes into the plan.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A participant joined.
    Joined {
        /// Its number.
        worker: u32,
        /// Its label; empty if it has none.
        label: String,
    },
    /// An entry was claimed.
    Claimed {
        /// The worker.
        worker: u32,
        /// The entry.
        entry: usize,
    },
    /// An entry got its final outcome.
    Finished {
        /// The worker.
        worker: u32,
        /// The entry.
        entry: usize,
        /// The outcome.
        outcome: Box<Outcome>,
    },
    /// An entry was given back.
    Requeued {
        /// The worker.
        worker: u32,
        /// The entry.
        entry: usize,
        /// The reason.
        why: String,
    },
    /// The holder of an entry was found to be lost.
    Lost {
        /// The participant that took over the lease.
        worker: u32,
        /// The entry.
        entry: usize,
        /// The worker that was running it.
        from: u32,
        /// The record that was running.
        last: Option<Running>,
    },
    /// A participant asked all to stop.
    Stopped {
        /// The participant.
        worker: u32,
        /// The reason.
        why: String,
    },
    /// A run that had ended, and perhaps been stopped, continues.
    Resumed {
        /// The participant that resumed it.
        worker: u32,
    },
}

/// The state of a run at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The id of the run.
    pub run_id: String,
    /// The plan of the run.
    pub plan: Arc<Plan>,
    /// The status of each entry, in the order of the plan.
    pub entries: Vec<EntryStatus>,
    /// How many participants have joined so far.
    pub workers: u32,
    /// Why all were asked to stop, if they were.
    pub stopped: Option<String>,
}

/// The status of one entry.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EntryStatus {
    /// How many times it was claimed.
    pub attempts: u32,
    /// How many of these ended because the worker ended.
    pub deaths: u32,
    /// The attempts that ended with [`Queue::retry`], in order.
    pub earlier: Vec<Attempt>,
    /// Its state.
    pub state: EntryState,
}

/// The state of an entry.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum EntryState {
    /// Waiting to be claimed.
    #[default]
    Waiting,
    /// Leased to a worker.
    Leased {
        /// The holder of the lease.
        worker: u32,
    },
    /// Done.
    Final(Box<Outcome>),
}

impl Snapshot {
    /// Whether every entry of the plan has its outcome, and the plan is the one that the run was started with.
    ///
    /// An empty plan is complete, but an empty run proves nothing: see [`Plan::is_empty`].
    pub fn is_complete(&self) -> bool {
        self.finished() == self.plan.len() && self.entries.len() == self.plan.len() && self.plan.is_intact()
    }

    /// Every outcome with the attempts before it, in the order of the plan.
    pub fn whole_outcomes(&self) -> impl Iterator<Item = Outcome> {
        self.entries.iter().filter_map(|entry| {
            let EntryState::Final(outcome) = &entry.state else { return None };
            let mut outcome = (**outcome).clone();
            outcome.earlier.splice(0..0, entry.earlier.iter().cloned());
            Some(outcome)
        })
    }

    /// How many entries have their outcome.
    pub fn finished(&self) -> usize {
        self.outcomes().count()
    }

    /// The outcomes, in the order of the plan.
    pub fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.entries.iter().filter_map(|entry| match &entry.state {
            EntryState::Final(outcome) => Some(&**outcome),
            EntryState::Waiting | EntryState::Leased { .. } => None,
        })
    }
}
