//! A queue shares a plan out over processes, so that each entry gets exactly one final outcome.
//!
//! Participants claim an entry, run it, and finish it. A participant that dies leaves its lease open; whoever looks
//! first finds it [`lost`](Queue::lost) and decides: once more, or a verdict. What is run may so be run again, but it
//! is finished once.
//!
//! ```text
//!                claim                   finish
//!   waiting ──────────────▶ leased ──────────────────▶ final
//!      ▲                    │    │ holder is dead        ▲
//!      │      requeue       │    ▼ lost                  │ finish
//!      ├────────────────────┘   leased to the taker ─────┤
//!      └────────────────────────────┘ requeue, release
//! ```
//!
//! This module is what any queue does; [`file`](mod@file) keeps one in a file, and `postgres` on a server, for several
//! machines. [`Place`] names either.

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
pub use plan::{CHECK, Plan, PlanEntry, PlanError, REWRITES, Settings};

use crate::outcome::{Attempt, Outcome};

/// A queue is one participant's access to a run that many share.
///
/// Dropping it is leaving the run. Leases that are then open are as lost as if the process had been killed.
pub trait Queue: Send {
    /// This participant's number in the run, counted from 1.
    fn worker(&self) -> u32;

    /// The id of the run.
    fn run_id(&self) -> &str;

    /// What the run is to do.
    fn plan(&self) -> &Plan;

    /// Takes the next entry: one that was given back, or else the first that nobody has claimed.
    ///
    /// The cost does not depend on the length of the plan.
    fn claim(&mut self) -> Result<Claim, QueueError>;

    /// Gives the leased entry its one final outcome.
    ///
    /// Refused if the lease is not the open one of its entry, or the outcome has another name or pass than the lease.
    fn finish(&mut self, lease: Lease, outcome: Outcome) -> Result<(), QueueError>;

    /// As [`finish`](Queue::finish), and then [`claim`](Queue::claim).
    ///
    /// Both in one go, where the queue can: that saves a lock, or a journey. After an error, the outcome may or may not
    /// have been taken.
    fn finish_and_claim(&mut self, lease: Lease, outcome: Outcome) -> Result<Claim, QueueError> {
        self.finish(lease, outcome)?;
        self.claim()
    }

    /// Gives the entry back without an outcome, to be claimed again by anybody. The attempt stays counted.
    fn requeue(&mut self, lease: Lease, why: &str) -> Result<(), QueueError>;

    /// Gives the entry back after an attempt that did not pass, and keeps what is known of that attempt.
    ///
    /// A queue that cannot keep it keeps how it ended, in words.
    fn retry(&mut self, lease: Lease, attempt: &Attempt) -> Result<(), QueueError> {
        self.requeue(lease, &attempt.verdict.to_string())
    }

    /// Gives the entry back as if the attempt had never begun: for one that ended because its run did.
    fn release(&mut self, lease: Lease, why: &str) -> Result<(), QueueError>;

    /// Takes over every lease whose holder is dead.
    ///
    /// The caller now holds these leases and is to requeue or to finish each. If it dies before that, they are lost
    /// again, and the next caller gets them. A holder counts as dead when its process has ended or it has dropped
    /// its queue. Time alone decides only where a process cannot be seen: see each kind of queue.
    fn lost(&mut self) -> Result<Vec<Lost>, QueueError>;

    /// Asks all participants to claim nothing more: `why` is a fragment such as `interrupted`.
    ///
    /// Open leases may still be finished. A second call changes nothing.
    fn stop(&mut self, why: &str) -> Result<(), QueueError>;

    /// Everything that is known about the run. Reads the whole run: for its end, not for every claim.
    fn snapshot(&mut self) -> Result<Snapshot, QueueError>;

    /// How far the run is. Costs what happened since the last call, whatever the length of the plan.
    fn progress(&mut self) -> Result<Progress, QueueError>;

    /// What happened since the last call; the first call tells what happened since this participant joined.
    fn poll(&mut self) -> Result<Vec<Event>, QueueError>;

    /// Where this participant notes what it runs.
    fn live(&self) -> Live;

    /// What `worker` is running, or was when it died; `None` if it is between two entries or never joined, or if its
    /// machine is another.
    fn running(&self, worker: u32) -> Result<Option<Running>, QueueError>;

    /// How long to wait at least between two looks at the queue for what others do: a look may cost more than the news
    /// are worth.
    fn pace(&self) -> Duration {
        Duration::ZERO
    }
}

/// What [`Queue::claim`] found.
#[derive(Debug)]
#[must_use]
pub enum Claim {
    /// This entry is now the caller's to run.
    Leased(Lease),
    /// All entries that have no outcome are leased. Look for [lost](Queue::lost) ones, wait a little, claim again.
    Wait,
    /// Every entry of the plan has its outcome.
    Complete,
    /// Someone asked everybody to [stop](Queue::stop); entries without an outcome are left.
    Stopped {
        /// The reason given.
        why: String,
    },
}

/// A lease is the right to give one entry its outcome. Only a queue makes one, and nobody can copy it.
///
/// A lease that is dropped stays open for as long as its holder takes part in the run.
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

    /// How many times the entry has been claimed so far, this time included.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The number that tells this lease from all others of the run; a later lease has a higher one.
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

/// Lost is a lease whose holder died, now held by whoever got this from [`Queue::lost`].
#[derive(Debug)]
#[must_use]
pub struct Lost {
    /// The lease to requeue or to finish. Its attempt is the one that the dead worker made.
    pub lease: Lease,
    /// The worker that was running the entry.
    pub worker: u32,
    /// How many workers have died running this entry, this one included.
    pub deaths: u32,
    /// The record that was running, if the worker had come to one.
    pub last: Option<Running>,
    /// Whether the worker had a supervisor that has ended too: it was ended with that one, which is no fault of the entry.
    pub orphaned: bool,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many entries have their outcome.
    pub finished: usize,
    /// Whether somebody else than this participant holds an open lease.
    pub is_leased_elsewhere: bool,
    /// Whether somebody has asked everybody to stop.
    pub is_stopped: bool,
}

/// An event is one thing that happened in a run. Entries are indexes into the plan.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A participant joined.
    Joined {
        /// Its number.
        worker: u32,
        /// What it calls itself; empty if it does not say.
        label: String,
    },
    /// An entry was claimed.
    Claimed {
        /// By whom.
        worker: u32,
        /// Which.
        entry: usize,
    },
    /// An entry got its final outcome.
    Finished {
        /// From whom.
        worker: u32,
        /// Which.
        entry: usize,
        /// The outcome.
        outcome: Box<Outcome>,
    },
    /// An entry was given back.
    Requeued {
        /// By whom.
        worker: u32,
        /// Which.
        entry: usize,
        /// The reason given.
        why: String,
    },
    /// The holder of an entry was found dead.
    Lost {
        /// Who took the lease over.
        worker: u32,
        /// Which.
        entry: usize,
        /// Who was running it.
        from: u32,
        /// The record that was running.
        last: Option<Running>,
    },
    /// Someone asked everybody to stop.
    Stopped {
        /// Who.
        worker: u32,
        /// The reason given.
        why: String,
    },
    /// A run that had been left, and perhaps stopped, goes on.
    Resumed {
        /// Who resumed it.
        worker: u32,
    },
}

/// A snapshot is a run as it stands at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The id of the run.
    pub run_id: String,
    /// What it is to do.
    pub plan: Arc<Plan>,
    /// What has become of each entry of the plan, in its order.
    pub entries: Vec<EntryStatus>,
    /// How many participants have joined so far.
    pub workers: u32,
    /// Why everybody was asked to stop, if so.
    pub stopped: Option<String>,
}

/// What has become of one entry.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EntryStatus {
    /// How many times it was claimed.
    pub attempts: u32,
    /// How many of these ended with the worker's death.
    pub deaths: u32,
    /// The attempts that ended with [`Queue::retry`], the first first.
    pub earlier: Vec<Attempt>,
    /// Where it stands.
    pub state: EntryState,
}

/// Where an entry stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum EntryState {
    /// To be claimed.
    #[default]
    Waiting,
    /// With a worker.
    Leased {
        /// Whose lease it is.
        worker: u32,
    },
    /// Done.
    Final(Box<Outcome>),
}

impl Snapshot {
    /// Whether every entry of the plan has its outcome, and the plan is the one that the run was started with.
    ///
    /// An empty plan is complete, and an empty run has shown nothing: see [`Plan::is_empty`].
    pub fn is_complete(&self) -> bool {
        self.finished() == self.plan.len() && self.entries.len() == self.plan.len() && self.plan.is_intact()
    }

    /// Every outcome there is with all the attempts before it, in the order of the plan.
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

    /// The outcomes there are, in the order of the plan.
    pub fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.entries.iter().filter_map(|entry| match &entry.state {
            EntryState::Final(outcome) => Some(&**outcome),
            EntryState::Waiting | EntryState::Leased { .. } => None,
        })
    }
}
