//! Reads the state of a run, and its new events.

use std::collections::HashMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio_postgres::Row;

use super::link::Identity;
use super::{PostgresQueue, ServerError, sql};
use crate::queue::{EntryState, EntryStatus, Event, QueueError, Snapshot};

/// Replaces NUL characters in a text, because the server cannot store them.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Everything that is known about the run.
pub(super) fn snapshot(queue: &mut PostgresQueue) -> Result<Snapshot, QueueError> {
    let run = queue.identity.run;
    let rows = queue
        .link
        .call_long(async |connection, _| connection.rows(sql::SNAPSHOT, &[&run, &queue.plan.hash()]).await)?;
    let Some(first) = rows.first() else { return Err(queue.wiped("deleted").into()) };
    let (workers, stopped): (i32, Option<String>) = (first.get(0), first.get(1));
    let mut entries = Vec::with_capacity(queue.plan.len());
    for row in &rows {
        // A plan without entries yields a row without an entry.
        let Some(index) = row.get::<_, Option<i32>>(3) else { continue };
        let planned = queue.plan.entries().get(entries.len());
        let is_next = index as usize == entries.len()
            && planned
                .is_some_and(|entry| entry.name == row.get::<_, &str>(9) && entry.pass == row.get::<_, i32>(10) as u32);
        if !is_next {
            return Err(queue.damaged(format!("entry {index} is not the one that was planned")).into());
        }
        entries.push(status(queue, row)?);
    }
    if entries.len() != queue.plan.len() {
        return Err(queue.wiped("emptied").into());
    }
    Ok(Snapshot {
        run_id: queue.identity.run_id.clone(),
        plan: Arc::clone(&queue.plan),
        entries,
        workers: workers.cast_unsigned(),
        stopped,
    })
}

fn status(queue: &PostgresQueue, row: &Row) -> Result<EntryStatus, ServerError> {
    let (attempts, deaths): (i32, i32) = (row.get(5), row.get(6));
    let earlier: Option<Vec<String>> = row.get(11);
    let state = match row.get(4) {
        "waiting" => EntryState::Waiting,
        "leased" => EntryState::Leased { worker: row.get::<_, Option<i32>>(7).unwrap_or_default().cast_unsigned() },
        _ => EntryState::Final(Box::new(json(queue, row.get::<_, Option<&str>>(8))?)),
    };
    let earlier = earlier.into_iter().flatten().map(|attempt| json(queue, Some(&attempt)));
    Ok(EntryStatus {
        attempts: attempts.cast_unsigned(),
        deaths: deaths.cast_unsigned(),
        earlier: earlier.collect::<Result<_, _>>()?,
        state,
    })
}

/// The events since the last call.
pub(super) fn poll(queue: &mut PostgresQueue) -> Result<Vec<Event>, QueueError> {
    let Identity { run, worker, .. } = queue.identity.clone();
    let mut reported = match queue.reported.take() {
        Some(reported) => reported,
        None => {
            let before = queue.joined_at;
            let rows =
                queue.link.call_long(async |connection, _| connection.rows(sql::BEFORE, &[&run, &before]).await)?;
            rows.iter().map(|row| (row.get(0), row.get(1))).collect::<HashMap<i32, i64>>()
        }
    };
    // Participants that join later get higher numbers than all known ones.
    let last = reported.keys().copied().max().unwrap_or(0).max(worker);
    let workers: Vec<i32> = (1..=last).collect();
    let counts: Vec<i64> = workers.iter().map(|worker| reported.get(worker).copied().unwrap_or(0)).collect();
    let rows =
        queue.link.call_long(async |connection, _| connection.rows(sql::NEWS, &[&run, &workers, &counts, &last]).await);
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => {
            queue.reported = Some(reported);
            return Err(error.into());
        }
    };
    let mut events = Vec::with_capacity(rows.len());
    for row in &rows {
        let (worker, n): (i32, i64) = (row.get(0), row.get(1));
        events.push(event(queue, row)?);
        let count = reported.entry(worker).or_default();
        *count = n.max(*count);
    }
    queue.reported = Some(reported);
    Ok(events)
}

fn event(queue: &PostgresQueue, row: &Row) -> Result<Event, ServerError> {
    let worker = row.get::<_, i32>(0).cast_unsigned();
    let entry = row.get::<_, Option<i32>>(3).unwrap_or_default() as usize;
    let body: Option<&str> = row.get(5);
    let why = || body.unwrap_or_default().to_owned();
    Ok(match row.get(2) {
        "join" => Event::Joined { worker, label: why() },
        "claim" => Event::Claimed { worker, entry },
        "finish" => Event::Finished { worker, entry, outcome: Box::new(json(queue, row.get(6))?) },
        "requeue" => Event::Requeued { worker, entry, why: why() },
        "lost" => {
            let from = row.get::<_, Option<i32>>(4).unwrap_or_default().cast_unsigned();
            let last = body.map(|last| json(queue, Some(last))).transpose()?;
            Event::Lost { worker, entry, from, last }
        }
        "stop" => Event::Stopped { worker, why: why() },
        "resume" => Event::Resumed { worker },
        kind => return Err(queue.damaged(format!("there is no event `{kind}`"))),
    })
}

fn json<T: DeserializeOwned>(queue: &PostgresQueue, text: Option<&str>) -> Result<T, ServerError> {
    let text = text.ok_or_else(|| queue.damaged("an entry has no outcome"))?;
    serde_json::from_str(text).map_err(|error| queue.damaged(format!("a record is not what it should be: {error}")))
}
