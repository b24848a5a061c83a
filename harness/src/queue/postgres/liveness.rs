//! Decides which participants are lost, and takes over their leases.

use std::collections::HashSet;

use super::link::Identity;
use super::{PostgresQueue, sql};
use crate::queue::{Lost, QueueError};

/// A participant with a lease, or a supervisor of such a participant, as the server sees it.
struct Holder {
    worker: i32,
    parent: Option<i32>,
    place: String,
    /// Whether it has left, or was declared lost.
    gone: bool,
    /// Whether it has a lease itself.
    holds: bool,
    /// Whether its session or its heartbeat is missing, and for how long that has been noticed.
    missing: bool,
    marked: bool,
    overdue: bool,
}

/// Takes over every lease whose holder is lost.
pub(super) fn lost(queue: &mut PostgresQueue) -> Result<Vec<Lost>, QueueError> {
    let Identity { run, worker, timing, .. } = queue.identity.clone();
    let holders: Vec<Holder> = queue.link.call(async |connection, _| {
        let rows = connection.rows(sql::HOLDERS, &[&run, &worker, &timing.grace_ms()]).await?;
        Ok(rows.iter().map(holder).collect())
    })?;
    let (mut dead, mut ended, mut overdue, mut unmarked) = (HashSet::new(), Vec::new(), Vec::new(), Vec::new());
    for holder in &holders {
        if holder.gone {
            dead.insert(holder.worker);
        } else if queue.pages.has_died(holder.worker.cast_unsigned(), &holder.place)? {
            ended.push(holder.worker);
        } else if holder.missing && holder.overdue {
            overdue.push(holder.worker);
        } else if holder.missing && !holder.marked {
            unmarked.push(holder.worker);
        }
    }
    if !unmarked.is_empty() {
        queue.link.call(async |connection, _| connection.rows(sql::MARK, &[&run, &unmarked]).await)?;
    }
    if !ended.is_empty() || !overdue.is_empty() {
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] = [&run, &ended, &overdue, &timing.grace_ms()];
        let buried: Vec<i32> = queue.link.call(async |connection, again| {
            let rows = connection.rows(sql::BURY, &values).await?;
            // If the reply to this statement was lost, the retry finds nothing to mark; the next call of `lost` finds the
            // participants that it marked.
            Ok(if again { Vec::new() } else { rows.iter().map(|row| row.get(0)).collect() })
        })?;
        // The mark alone is enough: a participant marked as lost can change nothing. Ending its session only makes it notice.
        // So an error, for example because this user may not end sessions, is ignored.
        let _ = queue.link.call(async |connection, _| connection.rows(sql::END, &[&run, &buried]).await);
        dead.extend(buried);
    }
    // While a supervisor runs, only it takes over the leases of its lost workers.
    let is_free = |parent: Option<i32>| parent.is_none_or(|parent| parent == worker || dead.contains(&parent));
    let lost = holders.iter().filter(|holder| holder.holds && dead.contains(&holder.worker) && is_free(holder.parent));
    let lost: Vec<i32> = lost.map(|holder| holder.worker).collect();
    if lost.is_empty() {
        return Ok(Vec::new());
    }
    take(queue, &lost)
}

fn holder(row: &tokio_postgres::Row) -> Holder {
    Holder {
        worker: row.get(0),
        parent: row.get(1),
        place: row.get(2),
        gone: row.get(3),
        holds: row.get(4),
        missing: row.get(5),
        marked: row.get(6),
        overdue: row.get(7),
    }
}

/// Takes over all leases of these participants.
fn take(queue: &mut PostgresQueue, dead: &[i32]) -> Result<Vec<Lost>, QueueError> {
    let Identity { run, worker, .. } = queue.identity.clone();
    let rows = queue.link.call(async |connection, _| connection.rows(sql::CLAIMERS, &[&run, &dead]).await)?;
    let claimers: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    let mut lasts = Vec::with_capacity(claimers.len());
    for claimer in &claimers {
        let last = queue.pages.running(claimer.cast_unsigned())?;
        lasts.push(last.map(|last| serde_json::to_string(&last).expect("plain data becomes JSON in memory")));
    }
    let n = queue.n + 1;
    let rows = queue.link.call(async |connection, again| {
        if again {
            let taken = connection.rows(sql::TAKEN, &[&run, &worker, &n]).await?;
            if !taken.is_empty() {
                return Ok(taken);
            }
        }
        connection.rows(sql::TAKE, &[&run, &worker, &dead, &claimers, &lasts, &n]).await
    })?;
    queue.n += rows.len() as i64;
    let lost = rows.iter().map(|row| {
        let (entry, claimer, attempts): (i32, i32, i32) = (row.get(0), row.get(1), row.get(2));
        let (deaths, sequence): (i32, i64) = (row.get(3), row.get(4));
        let last = claimers.iter().position(|worker| *worker == claimer).and_then(|at| lasts[at].as_deref());
        Lost {
            lease: queue.lease(entry, attempts, sequence),
            worker: claimer.cast_unsigned(),
            deaths: deaths.cast_unsigned(),
            last: last.and_then(|json| serde_json::from_str(json).ok()),
            orphaned: row.get(5),
        }
    });
    Ok(lost.collect())
}
