//! A queue on a PostgreSQL server, shared by all processes that reach it, on whatever machine.
//!
//! A run's plan, the state of its entries and its events are rows (`postgres/sql.rs` shows the tables). Every operation
//! is one statement, and so one transaction: it takes effect whole or not at all, and only for a participant that still
//! takes part. Claims pass over entries that others are claiming (`FOR UPDATE SKIP LOCKED`). An outcome is written by
//! the transaction that closes its lease, whose sequence number is the fence: whoever has lost the lease changes nothing.
//!
//! # Who is alive
//!
//! The server's clock is the only one that is asked.
//!
//! - Each participant's session holds an advisory lock under a number of its own. A session that is gone gives the lock
//!   back: the counterpart of flock.
//! - A connection may be cut off without a word, and its session stay. So each participant gives a sign of life six times
//!   in each lease (30 s; `slt_lease=SECONDS` in the URL of whoever begins the run), from a thread of its own; a supervisor
//!   gives it for its workers too, which have no such thread.
//! - Whoever is missing a session or a sign of life has a third of a lease to come back, for connections are lost more
//!   often than processes. Then it is taken for dead: it is marked so, its session is ended, and nothing that it sends
//!   has any effect from then on. A worker is not, while its supervisor is there.
//! - Of a participant on the same machine, in the same folder, it is known at once whether its process has ended: by the
//!   lock on its page, as in a queue that is a file. And who leaves says so.
//!
//! While a supervisor lives, only that one takes the leases of its dead workers: it knows how they died.
//!
//! | fault | what happens |
//! |---|---|
//! | a process dies | its leases are lost: at once on its machine, or else when it has been missing for a third of a lease |
//! | a connection is cut | it is made again for two leases; then an error says so |
//! | a connection stands still | the participant makes a new one after half a lease; if it cannot, others have its leases after one and a third |
//! | a process that is no worker of a supervisor stands still for longer than that | its leases are lost; what it sends afterwards is refused |
//! | the reply to a commit is lost | the participant looks for the event that the commit would have left |
//! | the server restarts with its data | everybody comes back; nothing is lost |
//! | the server restarts without its data, or tables are emptied | an error for everyone who had joined |
//! | a newer program has made the tables | refused |

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
use crate::engine::Url;
use crate::outcome::{Attempt, Outcome};

/// The newest format version that can be read, and the one that is written.
const FORMAT: i32 = 2;

/// How often it is worth asking the server for news.
const PACE: Duration = Duration::from_millis(200);

/// A PostgreSQL queue is one participant's access to a run that is kept on a server.
#[derive(Debug)]
pub struct PostgresQueue {
    link: Link,
    identity: Identity,
    plan: Arc<Plan>,
    pages: Pages,
    /// How many events this participant has made.
    n: i64,
    /// The number of the event of its joining.
    joined_at: i64,
    /// How many events of each participant [`Queue::poll`] has told; none before it is first called.
    told: Option<HashMap<i32, i64>>,
}

/// What a claim has found on the server.
enum Found {
    Leased(Row),
    /// This participant's claim of an entry that it has lost again since.
    Lost,
    Nothing,
}

impl Found {
    /// What a claim that was sent before has come to, of which `row` is found.
    fn again(row: Row) -> Self {
        if row.get(3) { Found::Leased(row) } else { Found::Lost }
    }
}

/// Why there is nothing for a participant.
enum Status {
    /// The run is not there any more, or this participant is not.
    Wiped,
    Gone,
    Stopped(String),
    Wait,
    /// Nothing is left; so many entries have their outcome.
    Finished(i64),
}

impl PostgresQueue {
    /// Takes part in the run of `options.run_id` on the server at `url`, or begins it with `plan`.
    ///
    /// Makes the tables, in the schema `slt_queue` of the URL's database, if nobody has. Runs of other ids are left alone.
    ///
    /// | the run there | |
    /// |---|---|
    /// | none | [`Opened::Started`] |
    /// | has living participants, or was stopped and `resume` is not given | [`Opened::Joined`] |
    /// | left, incomplete | [`Opened::Resumed`] |
    /// | complete | [`Opened::AlreadyFinished`] |
    /// | another plan | [`QueueError::OtherPlan`] |
    ///
    /// # Errors
    /// As above; there is no run id, or the server is of no use ([`ServerError`]).
    pub fn open(url: &Url, plan: Plan, options: &OpenOptions) -> Result<(Self, Opened), QueueError> {
        let (entered, opened) = opening::open(url, plan, options)?;
        Ok((PostgresQueue::new(entered), opened))
    }

    /// Takes part in run `run_id` on the server at `url`, with whatever plan it has: for workers of a supervisor, which
    /// knows them by their label.
    ///
    /// # Errors
    /// There is no such run, or the server is of no use.
    pub fn join(url: &Url, run_id: &str, options: &OpenOptions) -> Result<Self, QueueError> {
        opening::join_run(url, run_id, options).map(PostgresQueue::new)
    }

    fn new(entered: opening::Entered) -> Self {
        let opening::Entered { link, identity, plan, pages, joined_at, n } = entered;
        PostgresQueue { link, identity, plan: Arc::new(plan), pages, n, joined_at, told: None }
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

    /// Why there is nothing for this participant.
    fn status(&self) -> Result<Status, ServerError> {
        let Identity { run, worker, .. } = &self.identity;
        self.link.call(async |connection, _| {
            let rows = connection.rows(sql::STATUS, &[run, worker, &self.plan.hash()]).await?;
            let Some(row) = rows.first() else { return Ok(Status::Wiped) };
            let (stopped, gone): (Option<String>, bool) = (row.get(0), row.get(1));
            let (waiting, leased): (bool, bool) = (row.get(2), row.get(3));
            Ok(match stopped {
                _ if gone => Status::Gone,
                // Not to be told from a run whose entries were deleted, unless they are counted.
                _ if !waiting && !leased => Status::Finished(connection.rows(sql::FINISHED, &[run]).await?[0].get(0)),
                Some(why) => Status::Stopped(why),
                None => Status::Wait,
            })
        })
    }

    /// Closes an open lease by one statement, which returns a row if it did; `values` gets the count of the event.
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
            Ok(Status::Wiped) => self.wiped("deleted").into(),
            Ok(_) => lease.stale(),
            Err(error) => error.into(),
        }
    }
}

/// Whether an event of this participant is there: what would have made it took effect.
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
                    return Ok(Found::again(row));
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
                Status::Wiped => return Err(self.wiped("deleted").into()),
                Status::Gone => return Err(self.taken_for_dead().into()),
                Status::Finished(count) if count as usize == self.plan.len() => Claim::Complete,
                Status::Finished(_) => return Err(self.wiped("emptied").into()),
                Status::Stopped(why) => Claim::Stopped { why },
                Status::Wait => Claim::Wait,
            });
        }
    }

    fn finish(&mut self, lease: Lease, outcome: Outcome) -> Result<(), QueueError> {
        lease.check(&outcome)?;
        let outcome = serde_json::to_string(&outcome).expect("plain data becomes JSON in memory");
        self.close(&lease, sql::FINISH, &[&outcome])
    }

    fn finish_and_claim(&mut self, lease: Lease, outcome: Outcome) -> Result<Claim, QueueError> {
        lease.check(&outcome)?;
        if lease.worker != self.worker() {
            return Err(lease.stale());
        }
        let Identity { run, worker, .. } = &self.identity;
        let (entry, sequence) = (lease.entry as i32, lease.sequence.cast_signed());
        let (finished, claimed) = (self.n + 1, self.n + 2);
        let outcome = serde_json::to_string(&outcome).expect("plain data becomes JSON in memory");
        // What was run is not to be laid at the door of what comes next.
        self.pages.live().clear();
        let both = self.link.call(async |connection, again| {
            if again && happened(connection, *run, *worker, finished).await? {
                let row = connection.rows(sql::CLAIMED, &[run, worker, &claimed]).await?.pop();
                return Ok(Some(row.map_or(Found::Nothing, Found::again)));
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
            Status::Wiped => Err(self.wiped("deleted").into()),
            Status::Gone => Err(self.taken_for_dead().into()),
            // Somebody else has asked before.
            Status::Stopped(_) | Status::Wait | Status::Finished(_) => Ok(()),
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
    use super::server::{Place, there};
    use super::*;
    use crate::queue::conformance::{Join, conformance};
    use crate::queue::model::model;

    /// A run in a folder that is deleted after the last participant was made.
    fn start(plan: Plan) -> Join {
        let place = Place::new();
        Box::new(move || Box::new(place.try_open(plan.clone(), true).unwrap().0))
    }

    conformance! { start, there }
    model! { start, there, 60 }
}
