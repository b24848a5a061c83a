//! Data that a family and its children share.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Mark;
use super::guardian::Guardian;
use super::table::{self, Seen};

/// The part of a family that its children use.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) mark: Mark,
    pub(super) guardian_command: fn() -> Command,
    pub(super) children: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    /// `None` only while a new one starts, and after the end.
    pub(super) guardian: Option<Guardian>,
    /// The groups whose leaders are not yet reaped.
    pub(super) groups: BTreeSet<i32>,
    pub(super) adoption: Option<Adoption>,
}

/// The children of this process that it did not start.
#[derive(Debug)]
pub(super) struct Adoption {
    /// Children that existed before; they belong to other code.
    pub(super) earlier: Vec<(i32, u64)>,
    pub(super) reaped: Instant,
}

impl State {
    /// Whether this process has adopted `seen` as an orphan.
    pub(super) fn is_orphan(&self, seen: &Seen, known: &BTreeSet<i32>) -> bool {
        self.adoption.as_ref().is_some_and(|adoption| {
            seen.parent == std::process::id() as i32
                && !known.contains(&seen.pid)
                && !adoption.earlier.contains(&(seen.pid, seen.start))
        })
    }

    /// Reaps adopted orphans that have ended, if that was last done this long ago.
    pub(super) fn reap_orphans(&mut self, interval: Duration) {
        if self.adoption.as_ref().is_none_or(|adoption| adoption.reaped.elapsed() < interval) {
            return;
        }
        // Hold the lock throughout, so that no new child of ours counts as an orphan.
        let known = table::known();
        for orphan in table::look(None).iter().filter(|seen| seen.zombie && self.is_orphan(seen, &known)) {
            if let Some(pid) = rustix::process::Pid::from_raw(orphan.pid) {
                // Its exit status does not matter, and it may already be gone.
                let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG);
            }
        }
        if let Some(adoption) = &mut self.adoption {
            adoption.reaped = Instant::now();
        }
    }
}

impl Shared {
    /// A family without children.
    pub(super) fn new(mark: Mark, guardian_command: fn() -> Command, guardian: Guardian) -> Shared {
        let state = State { guardian: Some(guardian), groups: BTreeSet::new(), adoption: None };
        Shared { mark, guardian_command, children: AtomicU64::new(0), state: Mutex::new(state) }
    }

    /// Starts a child's process and registers it with the guardian.
    pub(super) fn start(&self, command: &mut Command) -> std::io::Result<std::process::Child> {
        let mut state = self.lock();
        let process = table::spawn(command)?;
        state.groups.insert(process.id() as i32);
        if let Some(guardian) = &mut state.guardian {
            guardian.add(process.id());
        }
        Ok(process)
    }

    /// Forgets a group. Call this before the group's leader is reaped: after that, its pid may be reused.
    pub(super) fn forget_group(&self, group: u32) {
        let mut state = self.lock();
        state.groups.remove(&(group as i32));
        if let Some(guardian) = &mut state.guardian {
            guardian.remove(group);
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
