//! Replays a journal from its start, with everything in its records.

use std::sync::Arc;

use super::frame::{Details, Frame, Op};
use super::journal::Journal;
use super::state::{Stage, State};
use crate::outcome::{Attempt, Outcome};
use crate::queue::{EntryState, EntryStatus, Event, Plan, QueueError, Snapshot};

/// Everything that is known about a run.
pub(super) fn snapshot(journal: &mut Journal, plan: &Arc<Plan>) -> Result<Snapshot, QueueError> {
    // Takes the lock once, which removes a lost participant's partial record. Otherwise reading would stop there and miss
    // whole records.
    drop(journal.lock()?);
    let mut state = State::new(plan.len());
    let mut outcomes: Vec<Option<Box<Outcome>>> = vec![None; plan.len()];
    let mut earlier: Vec<Vec<Attempt>> = vec![Vec::new(); plan.len()];
    let mut stopped = String::new();
    let mut cursor = journal.start();
    journal.replay(&mut cursor, |frame| {
        state.apply(&frame.head)?;
        match frame.head.op {
            Op::Finish { .. } => outcomes[frame.head.entry as usize] = Some(Box::new(outcome(frame)?)),
            Op::Stop => stopped = details(frame)?.why,
            Op::Requeue => earlier[frame.head.entry as usize].extend(details(frame)?.attempt),
            Op::Join | Op::Claim | Op::Release | Op::Lost | Op::Resume => {}
        }
        Ok(())
    })?;
    let entries = state.entries().iter().zip(outcomes).zip(earlier).map(|((entry, outcome), earlier)| EntryStatus {
        attempts: entry.attempts,
        deaths: entry.deaths,
        earlier,
        state: match (entry.stage, outcome) {
            (Stage::Leased(holder), _) => EntryState::Leased { worker: holder.worker },
            (Stage::Final, Some(outcome)) => EntryState::Final(outcome),
            (Stage::Final, None) | (Stage::Waiting, _) => EntryState::Waiting,
        },
    });
    Ok(Snapshot {
        run_id: journal.header().run.clone(),
        plan: Arc::clone(plan),
        entries: entries.collect(),
        workers: state.workers(),
        stopped: state.is_stopped().then_some(stopped),
    })
}

/// The event, or the two events, of one record.
pub(super) fn events_of(frame: &Frame<'_>, events: &mut Vec<Event>) -> Result<(), String> {
    let (worker, entry) = (frame.head.worker, frame.head.entry as usize);
    events.push(match frame.head.op {
        Op::Join => Event::Joined { worker, label: details(frame)?.label },
        Op::Claim => Event::Claimed { worker, entry },
        Op::Finish { .. } => Event::Finished { worker, entry, outcome: Box::new(outcome(frame)?) },
        Op::Requeue | Op::Release => Event::Requeued { worker, entry, why: details(frame)?.why },
        Op::Lost => {
            let Details { from, last, .. } = details(frame)?;
            Event::Lost { worker, entry, from, last }
        }
        Op::Stop => Event::Stopped { worker, why: details(frame)?.why },
        Op::Resume => Event::Resumed { worker },
    });
    if let Op::Finish { next: Some(next) } = frame.head.op {
        events.push(Event::Claimed { worker, entry: next as usize });
    }
    Ok(())
}

fn details(frame: &Frame<'_>) -> Result<Details, String> {
    frame.details().map_err(|error| format!("a record is not what it should be: {error}"))
}

fn outcome(frame: &Frame<'_>) -> Result<Outcome, String> {
    details(frame)?.outcome.ok_or_else(|| "a record has no outcome".to_owned())
}
