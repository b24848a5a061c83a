//! A queue on a PostgreSQL server, shared by processes on any machine that can reach it.
//!
//! A run's plan, the state of its entries and its events are rows (`postgres/sql.rs` shows the tables). Every operation
//! is one statement and so one transaction: it takes effect fully or not at all, and only for a current participant.
//! Claims skip entries that others are claiming (`FOR UPDATE SKIP LOCKED`). The transaction that closes a lease writes
//! the outcome. The lease's sequence number is the fence: a participant that lost its lease changes nothing.
//!
//! # Who is active
//!
//! Only the server's clock counts.
//!
//! - Each participant's session holds an advisory lock under its own number. The server releases the lock when the
//!   session ends, like flock.
//! - A connection may break silently while its session stays. So each participant sends a heartbeat six times per lease
//!   (30 s; `slt_lease=SECONDS` in the URL of the process that starts the run), from its own thread; a supervisor sends
//!   it for its workers, which have no such thread.
//! - A participant without a session or a heartbeat has a third of a lease to reconnect, because connections are lost
//!   more often than processes. Then it is declared lost: it is marked, its session is ended, and nothing it sends has
//!   any effect. A worker is not declared lost while its supervisor is there.
//! - For a participant on the same machine and folder, the lock on its page shows at once whether its process has
//!   ended, as in a queue file. A participant that leaves says so.
//!
//! While a supervisor runs, only it takes the leases of its lost workers: it knows how they ended.
//!
//! | fault | what happens |
//! |---|---|
//! | a process crashes | its leases are lost: at once on its machine, otherwise when it has been missing for a third of a lease |
//! | a connection is cut | the participant reconnects for up to two leases; then an error says so |
//! | a connection hangs | the participant reconnects after half a lease; if it cannot, others have its leases after one and a third |
//! | a process that is not a supervised worker hangs for longer than that | its leases are lost; what it sends later is refused |
//! | the reply to a commit is lost | the participant looks for the event that the commit would have written |
//! | the server restarts with its data | all reconnect; nothing is lost |
//! | the server restarts without its data, or tables are emptied | an error for everyone who had joined |
//! | a newer program created the tables | refused |

mod error;
mod link;
mod liveness;
mod opening;
mod pages;
mod read;
mod sql;

#[cfg(test)]
mod entries;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod server;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

pub use error::ServerError;

use self::link::{Connection, Identity, Link};
use self::pages::Pages;
use super::{
    Claim, Event, Lease, Live, Lost, OpenOptions, Opened, Plan, PlanEntry, Progress, Queue, QueueError, Running,
    Snapshot,
};
use crate::engine::{ChoiceError, Url};
use crate::outcome::{Attempt, Outcome};

/// The newest format version that can be read, and the version that is written.
const FORMAT: i32 = 2;

/// The minimum time between two polls of the server.
const PACE: Duration = Duration::from_millis(200);

/// One participant's access to a run that is kept on a server.
#[derive(Debug)]
pub struct PostgresQueue {
    link: Link,
    identity: Identity,
    plan: Arc<Plan>,
    pages: Pages,
    /// How many events this participant has written.
    n: i64,
    /// The number of its join event.
    joined_at: i64,
    /// How many events of each participant [`Queue::poll`] has reported; `None` before its first call.
    reported: Option<HashMap<i32, i64>>,
}

/// What a claim found on the server.
enum Found {
    Leased(Row),
    /// This participant claimed an entry, but has lost the lease since.
    Lost,
    Nothing,
}

impl Found {
    /// The result of a claim that was sent before; `row` is the entry found for it.
    fn retried(row: Row) -> Self {
        if row.get(3) { Found::Leased(row) } else { Found::Lost }
    }
}

/// The status of the run for a participant that got no entry.
enum RunStatus {
    /// The run no longer exists, or this participant does not.
    Wiped,
    Gone,
    Stopped(String),
    Wait,
    /// Nothing is left; this many entries have their outcome.
    Finished(i64),
}

impl PostgresQueue {
    /// Checks a URL without connecting.
    ///
    /// # Errors
    /// It is invalid.
    pub fn check(url: &Url) -> Result<(), ChoiceError> {
        link::read_url(url).map(|_| ())
    }

    /// Joins the run of `options.run_id` on the server at `url`, or starts it with `plan`.
    ///
    /// Creates the tables in the schema `slt_queue` of the URL's database if they do not exist. Does not touch runs of
    /// other ids.
    ///
    /// | existing run | |
    /// |---|---|
    /// | none | [`Opened::Started`] |
    /// | has active participants, or was stopped and `resume` is not given | [`Opened::Joined`] |
    /// | ended, incomplete | [`Opened::Resumed`] |
    /// | complete | [`Opened::AlreadyFinished`] |
    /// | another plan | [`QueueError::OtherPlan`] |
    ///
    /// # Errors
    /// An error of the table above; there is no run id; or the server cannot be used ([`ServerError`]).
    pub fn open(url: &Url, plan: Plan, options: &OpenOptions) -> Result<(Self, Opened), QueueError> {
        let (entered, opened) = opening::open(url, plan, options)?;
        Ok((PostgresQueue::new(entered), opened))
    }

    /// Joins run `run_id` on the server at `url`, whatever its plan: for workers of a supervisor, which identifies them
    /// by label.
    ///
    /// # Errors
    /// There is no such run, or the server cannot be used.
    pub fn join(url: &Url, run_id: &str, options: &OpenOptions) -> Result<Self, QueueError> {
        opening::join_run(url, run_id, options).map(PostgresQueue::new)
    }

    fn new(entered: opening::Entered) -> Self {
        let opening::Entered { link, identity, plan, pages, joined_at, n } = entered;
        PostgresQueue { link, identity, plan: Arc::new(plan), pages, n, joined_at, reported: None }
    }

    fn wiped(&self, how: &'static str) -> ServerError {
        ServerError::Wiped { queue: self.link.queue().to_owned(), run: self.identity.run_id.clone(), how }
    }

    fn damaged(&self, what: impl Into<String>) -> ServerError {
        let what = what.into();
        ServerError::Damaged { queue: self.link.queue().to_owned(), run: self.identity.run_id.clone(), what }
    }

    fn taken_for_dead(&self) -> ServerError {
        ServerError::TakenForDead { queue: self.link.queue().to_owned(), worker: self.worker() }
    }

    fn lease(&self, entry: i32, attempt: i32, sequence: i64) -> Lease {
        let PlanEntry { name, pass } = &self.plan.entries()[entry as usize];
        Lease {
            entry: entry as usize,
            name: name.clone(),
            pass: *pass,
            attempt: attempt.cast_unsigned(),
            worker: self.worker(),
            sequence: sequence.cast_unsigned(),
        }
    }

    /// Why this participant gets no entry.
    fn status(&self) -> Result<RunStatus, ServerError> {
        let Identity { run, worker, .. } = &self.identity;
        self.link.call(async |connection, _| {
            let rows = connection.rows(sql::STATUS, &[run, worker, &self.plan.hash()]).await?;
            let Some(row) = rows.first() else { return Ok(RunStatus::Wiped) };
            let (stopped, gone): (Option<String>, bool) = (row.get(0), row.get(1));
            let (waiting, leased): (bool, bool) = (row.get(2), row.get(3));
            Ok(match stopped {
                _ if gone => RunStatus::Gone,
                // An empty result may also mean that the run's entries were deleted, so count the finished ones.
                _ if !waiting && !leased => {
                    RunStatus::Finished(connection.rows(sql::FINISHED, &[run]).await?[0].get(0))
                }
                Some(why) => RunStatus::Stopped(why),
                None => RunStatus::Wait,
            })
        })
    }

    /// Closes an open lease by one statement, which returns a row on success. Its values are those of the lease, then `rest`,
    /// then the event count.
    fn close(&mut self, lease: &Lease, sql: &'static str, rest: &[&(dyn ToSql + Sync)]) -> Result<(), QueueError> {
        let Identity { run, worker, .. } = &self.identity;
        if lease.worker != self.worker() {
            return Err(lease.stale());
        }
        let (entry, sequence, n) = (lease.entry as i32, lease.sequence.cast_signed(), self.n + 1);
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![run, worker, &entry, &sequence];
        values.extend(rest);
        values.push(&n);
        let closed = self.link.call(async |connection, again| {
            Ok(again && happened(connection, *run, *worker, n).await?
                || !connection.rows(sql, &values).await?.is_empty())
        })?;
        if closed {
            self.n = n;
            self.pages.live().clear();
            return Ok(());
        }
        Err(self.not_closed(lease))
    }

    /// Why a lease could not be closed.
    fn not_closed(&self, lease: &Lease) -> QueueError {
        match self.status() {
            Ok(RunStatus::Wiped) => self.wiped("deleted").into(),
            Ok(_) => lease.stale(),
            Err(error) => error.into(),
        }
    }
}

/// Whether an event of this participant exists: then the statement that writes it took effect.
async fn happened(connection: &Connection, run: i64, worker: i32, n: i64) -> Result<bool, Error> {
    Ok(!connection.rows(sql::HAPPENED, &[&run, &worker, &n]).await?.is_empty())
}

impl Queue for PostgresQueue {
    fn worker(&self) -> u32 {
        self.identity.worker.cast_unsigned()
    }

    fn run_id(&self) -> &str {
        &self.identity.run_id
    }

    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn claim(&mut self) -> Result<Claim, QueueError> {
        self.pages.live().clear();
        loop {
            let Identity { run, worker, .. } = &self.identity;
            let n = self.n + 1;
            let found = self.link.call(async |connection, again| {
                if again && let Some(row) = connection.rows(sql::CLAIMED, &[run, worker, &n]).await?.pop() {
                    return Ok(Found::retried(row));
                }
                Ok(match connection.rows(sql::CLAIM, &[run, worker, &n]).await?.pop() {
                    Some(row) => Found::Leased(row),
                    None => Found::Nothing,
                })
            })?;
            let status = match found {
                Found::Leased(row) => {
                    self.n = n;
                    return Ok(Claim::Leased(self.lease(row.get(0), row.get(1), row.get(2))));
                }
                Found::Lost => {
                    self.n = n;
                    continue;
                }
                Found::Nothing => self.status()?,
            };
            return Ok(match status {
                RunStatus::Wiped => return Err(self.wiped("deleted").into()),
                RunStatus::Gone => return Err(self.taken_for_dead().into()),
                RunStatus::Finished(count) if count as usize == self.plan.len() => Claim::Complete,
                RunStatus::Finished(_) => return Err(self.wiped("emptied").into()),
                RunStatus::Stopped(why) => Claim::Stopped { why },
                RunStatus::Wait => Claim::Wait,
            });
        }
    }

    fn finish(&mut self, lease: Lease, outcome: &Outcome) -> Result<(), QueueError> {
        lease.check(outcome)?;
        let outcome = serde_json::to_string(outcome).expect("plain data becomes JSON in memory");
        self.close(&lease, sql::FINISH, &[&outcome])
    }

    fn finish_and_claim(&mut self, lease: Lease, outcome: &Outcome) -> Result<Claim, QueueError> {
        lease.check(outcome)?;
        if lease.worker != self.worker() {
            return Err(lease.stale());
        }
        let Identity { run, worker, .. } = &self.identity;
        let (entry, sequence) = (lease.entry as i32, lease.sequence.cast_signed());
        let (finished, claimed) = (self.n + 1, self.n + 2);
        let outcome = serde_json::to_string(outcome).expect("plain data becomes JSON in memory");
        // Otherwise a crash in the next trial would be attributed to the previous record.
        self.pages.live().clear();
        let both = self.link.call(async |connection, again| {
            if again && happened(connection, *run, *worker, finished).await? {
                let row = connection.rows(sql::CLAIMED, &[run, worker, &claimed]).await?.pop();
                return Ok(Some(row.map_or(Found::Nothing, Found::retried)));
            }
            let values: [&(dyn ToSql + Sync); 6] = [run, worker, &entry, &sequence, &outcome, &finished];
            let row = connection.rows(sql::FINISH_AND_CLAIM, &values).await?.pop();
            Ok(row.map(|row| match row.get::<_, Option<i32>>(0) {
                Some(_) => Found::Leased(row),
                None => Found::Nothing,
            }))
        })?;
        let Some(found) = both else { return Err(self.not_closed(&lease)) };
        self.n = if matches!(found, Found::Nothing) { finished } else { claimed };
        match found {
            Found::Leased(row) => Ok(Claim::Leased(self.lease(row.get(0), row.get(1), row.get(2)))),
            Found::Lost | Found::Nothing => self.claim(),
        }
    }

    fn requeue(&mut self, lease: Lease, why: &str) -> Result<(), QueueError> {
        self.close(&lease, sql::REQUEUE, &[&read::storable(why), &None::<String>])
    }

    fn retry(&mut self, lease: Lease, attempt: &Attempt) -> Result<(), QueueError> {
        let json = serde_json::to_string(attempt).expect("plain data becomes JSON in memory");
        self.close(&lease, sql::REQUEUE, &[&read::storable(&attempt.verdict.to_string()), &Some(json)])
    }

    fn release(&mut self, lease: Lease, why: &str) -> Result<(), QueueError> {
        self.close(&lease, sql::RELEASE, &[&read::storable(why)])
    }

    fn lost(&mut self) -> Result<Vec<Lost>, QueueError> {
        liveness::lost(self)
    }

    fn stop(&mut self, why: &str) -> Result<(), QueueError> {
        let Identity { run, worker, .. } = &self.identity;
        let n = self.n + 1;
        let why = read::storable(why);
        let stopped = self.link.call(async |connection, again| {
            let done = again && happened(connection, *run, *worker, n).await?;
            Ok(done || !connection.rows(sql::STOP, &[run, worker, &n, &why]).await?.is_empty())
        })?;
        if stopped {
            self.n = n;
            return Ok(());
        }
        match self.status()? {
            RunStatus::Wiped => Err(self.wiped("deleted").into()),
            RunStatus::Gone => Err(self.taken_for_dead().into()),
            // Another participant has already asked.
            RunStatus::Stopped(_) | RunStatus::Wait | RunStatus::Finished(_) => Ok(()),
        }
    }

    fn snapshot(&mut self) -> Result<Snapshot, QueueError> {
        read::snapshot(self)
    }

    fn progress(&mut self) -> Result<Progress, QueueError> {
        let Identity { run, worker, .. } = &self.identity;
        let row = self.link.call(async |connection, _| {
            Ok(connection.rows(sql::PROGRESS, &[run, worker, &self.plan.hash()]).await?.pop())
        })?;
        let row = row.ok_or_else(|| self.wiped("deleted"))?;
        Ok(Progress {
            finished: row.get::<_, i64>(0) as usize,
            is_leased_elsewhere: row.get(1),
            is_stopped: row.get(2),
        })
    }

    fn poll(&mut self) -> Result<Vec<Event>, QueueError> {
        read::poll(self)
    }

    fn live(&self) -> Live {
        self.pages.live()
    }

    fn running(&self, worker: u32) -> Result<Option<Running>, QueueError> {
        Ok(self.pages.running(worker)?)
    }

    fn pace(&self) -> Duration {
        PACE
    }
}

#[cfg(test)]
mod tests {
    use super::server::{TestRun, there};
    use super::*;
    use crate::queue::conformance::{Join, conformance};
    use crate::queue::model::model;

    /// A run in a folder that is deleted with its last participant.
    fn start(plan: Plan) -> Join {
        let place = TestRun::new();
        Box::new(move || Box::new(place.try_open(plan.clone(), true).unwrap().0))
    }

    conformance! { start, there }
    model! { start, there, 60 }
}
