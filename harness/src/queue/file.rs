//! A queue in one file, shared by all processes that can lock it.
//!
//! The file holds a header and the plan (`file/header.rs`), then a journal (`file/frame.rs`) to which every operation
//! appends one record under the file's lock. The state of a run follows from its journal alone; there is no separate
//! counter that could disagree. Every participant remembers how far it has read, so an operation costs what happened
//! since the last one, independent of the length of the plan.
//!
//! The lock is flock, held for one operation. Other locks, held until a process ends, show which participants are active
//! (`file/liveness.rs`). Nothing here uses a clock, a process id or a time-out.
//!
//! | fault | what happens |
//! |---|---|
//! | crash during an append | the next holder of the lock removes the partial record |
//! | crash with an open lease | [`lost`](Queue::lost) finds the lease at once |
//! | crash while a run is created or replaced | the next process creates it again |
//! | disk full | the journal is truncated to its last whole record; an error says so |
//! | the file is emptied, truncated, deleted, replaced or overwritten | an error for everyone who had joined |
//! | a file system without locks | refused |
//!
//! A run is replaced inside the file. The file itself is never deleted or renamed, because others may be waiting for
//! its lock.

mod cursor;
mod error;
mod fail;
mod frame;
mod header;
mod journal;
pub(super) mod liveness;
mod lock;
mod locked_file;
mod opening;
mod replay;
mod state;

#[cfg(test)]
mod damage;
#[cfg(test)]
mod entries;
#[cfg(test)]
mod faults;

use std::path::Path;
use std::sync::Arc;

pub use error::FileError;
#[cfg(feature = "postgres-queue")]
pub(super) use error::io;

use self::cursor::Cursor;
use self::frame::{Body, NOTHING, Op};
use self::journal::{Journal, Locked};
use self::liveness::{LivenessLock, LivenessLocks};
use self::state::Holder;
use super::{
    Claim, Event, Lease, Live, Lost, OpenOptions, Opened, Plan, PlanEntry, Progress, Queue, QueueError, Running,
    Snapshot,
};
use crate::outcome::{Attempt, Outcome};

/// The newest format version that can be read, and the one that is written.
const VERSION: u64 = 2;

/// One participant's access to a run that is kept in a file.
#[derive(Debug)]
pub struct FileQueue {
    journal: Journal,
    plan: Arc<Plan>,
    worker: u32,
    locks: LivenessLocks,
    alive: LivenessLock,
    /// How far [`Queue::poll`] has reported.
    reported: Cursor,
}

impl FileQueue {
    /// Joins the run in the file at `path`, or starts one with `plan`.
    ///
    /// Creates the file and its parent folders. What happens to an existing run:
    ///
    /// | existing run | no run id | same id | another id |
    /// |---|---|---|---|
    /// | has active participants | joined | joined | [`QueueError::OtherRun`] |
    /// | ended, complete | replaced | [`Opened::AlreadyFinished`] | replaced |
    /// | ended, incomplete | replaced; resumed with `resume` | resumed | replaced |
    /// | another plan | [`QueueError::OtherPlan`]; replaced if ended and `resume` is not given | [`QueueError::OtherPlan`] | as above |
    ///
    /// A complete run that is requested by its id is always [`Opened::AlreadyFinished`]. A [stopped](Queue::stop) run
    /// continues only with `resume`.
    pub fn open(path: &Path, plan: Plan, options: &OpenOptions) -> Result<(Self, Opened), QueueError> {
        let (entered, opened) = opening::open(path, plan, options)?;
        Ok((FileQueue::new(entered), opened))
    }

    /// Joins run `run_id` of the file at `path`, whatever its plan: for workers of a supervisor, which identifies them
    /// by label.
    pub fn join(path: &Path, run_id: &str, options: &OpenOptions) -> Result<Self, QueueError> {
        opening::join_run(path, run_id, options).map(FileQueue::new)
    }

    fn new(entered: opening::Entered) -> Self {
        let opening::Entered { journal, plan, locks, alive, worker, joined_at } = entered;
        FileQueue { journal, plan: Arc::new(plan), worker, locks, alive, reported: joined_at }
    }

    fn lease(&self, entry: u32, sequence: u32) -> Lease {
        let PlanEntry { name, pass } = &self.plan.entries()[entry as usize];
        Lease {
            entry: entry as usize,
            name: name.clone(),
            pass: *pass,
            attempt: self.journal.state().entries()[entry as usize].attempts,
            worker: self.worker,
            sequence: u64::from(sequence),
        }
    }

    /// Ends an open lease with one record.
    fn close(&mut self, lease: &Lease, op: Op, body: Body<'_>) -> Result<(), QueueError> {
        let (worker, body) = (self.worker, body.to_json());
        let mut locked = self.journal.lock()?;
        let entry = locked.entry(lease, worker)?;
        locked.append(op, entry, worker, &body)?;
        drop(locked);
        self.alive.live.clear();
        Ok(())
    }
}

impl Locked<'_> {
    /// The entry of a lease, if it is open and belongs to `worker`.
    fn entry(&self, lease: &Lease, worker: u32) -> Result<u32, QueueError> {
        let entry = lease.entry as u32;
        let is_open = |holder: Holder| {
            (holder.worker, u64::from(holder.sequence)) == (lease.worker, lease.sequence) && lease.worker == worker
        };
        self.state().holder(entry).is_some_and(is_open).then_some(entry).ok_or_else(|| lease.stale())
    }

    /// The next entry to claim, or the answer to the claim if there is none.
    fn next(&self) -> Result<u32, Claim> {
        if self.state().is_complete() {
            return Err(Claim::Complete);
        }
        if let Some(why) = self.stopped() {
            return Err(Claim::Stopped { why: why.to_owned() });
        }
        self.state().next().ok_or(Claim::Wait)
    }
}

impl Queue for FileQueue {
    fn worker(&self) -> u32 {
        self.worker
    }

    fn run_id(&self) -> &str {
        &self.journal.header().run
    }

    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn claim(&mut self) -> Result<Claim, QueueError> {
        let mut locked = self.journal.lock()?;
        let entry = match locked.next() {
            Ok(entry) => entry,
            Err(claim) => return Ok(claim),
        };
        self.alive.live.clear();
        let sequence = locked.append(Op::Claim, entry, self.worker, NOTHING)?;
        drop(locked);
        Ok(Claim::Leased(self.lease(entry, sequence)))
    }

    fn finish(&mut self, lease: Lease, outcome: &Outcome) -> Result<(), QueueError> {
        lease.check(outcome)?;
        self.close(&lease, Op::Finish { next: None }, Body::Outcome { outcome })
    }

    fn finish_and_claim(&mut self, lease: Lease, outcome: &Outcome) -> Result<Claim, QueueError> {
        lease.check(outcome)?;
        let body = Body::Outcome { outcome }.to_json();
        let mut locked = self.journal.lock()?;
        let finished = locked.entry(&lease, self.worker)?;
        // What can be claimed does not depend on the entry that is being finished.
        let next = locked.next().ok();
        self.alive.live.clear();
        let sequence = locked.append(Op::Finish { next }, finished, self.worker, &body)?;
        match next {
            Some(entry) => {
                drop(locked);
                Ok(Claim::Leased(self.lease(entry, sequence)))
            }
            None => Ok(locked.next().expect_err("nothing has been given back meanwhile")),
        }
    }

    fn requeue(&mut self, lease: Lease, why: &str) -> Result<(), QueueError> {
        self.close(&lease, Op::Requeue, Body::Why { why })
    }

    fn retry(&mut self, lease: Lease, attempt: &Attempt) -> Result<(), QueueError> {
        self.close(&lease, Op::Requeue, Body::Attempt { why: &attempt.verdict.to_string(), attempt })
    }

    fn release(&mut self, lease: Lease, why: &str) -> Result<(), QueueError> {
        self.close(&lease, Op::Release, Body::Why { why })
    }

    fn lost(&mut self) -> Result<Vec<Lost>, QueueError> {
        self.journal.follow()?;
        let mut holders: Vec<u32> = self.journal.state().open().iter().map(|(_, holder)| holder.worker).collect();
        holders.sort_unstable();
        holders.dedup();
        // A lost participant stays lost, so this can be checked without the queue's lock.
        let mut dead = Vec::new();
        for worker in holders {
            // While a worker's supervisor runs, only the supervisor takes over the worker's lease: it knows how the worker
            // ended.
            let supervisor = self.journal.parent(worker).filter(|parent| *parent != self.worker);
            let is_ours = |supervisor: Option<u32>| supervisor.map_or(Ok(true), |parent| self.locks.is_dead(parent));
            if worker != self.worker && self.locks.is_dead(worker)? && is_ours(supervisor)? {
                dead.push(worker);
            }
        }
        if dead.is_empty() {
            return Ok(Vec::new());
        }
        let mut taken = Vec::new();
        let mut locked = self.journal.lock()?;
        for (entry, holder) in locked.state().open() {
            if dead.contains(&holder.worker) {
                let last = self.locks.running(holder.claimer)?;
                let body = Body::From { from: holder.claimer, last: &last }.to_json();
                let sequence = locked.append(Op::Lost, entry, self.worker, &body)?;
                taken.push((entry, holder.claimer, sequence, last));
            }
        }
        drop(locked);
        let mut lost = Vec::with_capacity(taken.len());
        for (entry, worker, sequence, last) in taken {
            let deaths = self.journal.state().entries()[entry as usize].deaths;
            let orphaned = match self.journal.parent(worker) {
                Some(parent) => parent != self.worker && self.locks.is_dead(parent)?,
                None => false,
            };
            lost.push(Lost { lease: self.lease(entry, sequence), worker, deaths, last, orphaned });
        }
        Ok(lost)
    }

    fn stop(&mut self, why: &str) -> Result<(), QueueError> {
        let mut locked = self.journal.lock()?;
        if locked.stopped().is_none() {
            locked.append(Op::Stop, 0, self.worker, &Body::Why { why }.to_json())?;
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Snapshot, QueueError> {
        replay::snapshot(&mut self.journal, &self.plan)
    }

    fn progress(&mut self) -> Result<Progress, QueueError> {
        self.journal.follow()?;
        let state = self.journal.state();
        let own = self.worker;
        Ok(Progress {
            finished: state.finished(),
            is_leased_elsewhere: state.holders().any(|worker| worker != own),
            is_stopped: state.is_stopped(),
        })
    }

    fn poll(&mut self) -> Result<Vec<Event>, QueueError> {
        self.journal.follow()?;
        let mut reported = self.reported;
        let mut events = Vec::new();
        self.journal.replay(&mut reported, |frame| replay::events_of(frame, &mut events))?;
        self.reported = reported;
        Ok(events)
    }

    fn live(&self) -> Live {
        self.alive.live.clone()
    }

    fn running(&self, worker: u32) -> Result<Option<Running>, QueueError> {
        Ok(self.locks.running(worker)?)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::queue::conformance::{Join, conformance};
    use crate::queue::model::model;

    /// A run in a folder that is deleted with its last participant.
    fn start(plan: Plan) -> Join {
        let folder = tempfile::tempdir().unwrap();
        Box::new(move || {
            let path: PathBuf = folder.path().join("queue");
            let options = OpenOptions { run_id: None, resume: true, ..OpenOptions::default() };
            Box::new(FileQueue::open(&path, plan.clone(), &options).unwrap().0)
        })
    }

    conformance! { start }
    model! { start }
}
