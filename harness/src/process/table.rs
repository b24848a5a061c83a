//! Reads the system's table of processes, and kills some of them without harming unrelated ones.

use std::collections::BTreeSet;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Mark;
#[cfg(target_os = "linux")]
use super::proc::{self, Stat};

/// A process as it was found in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    /// The pid, which the system may reuse for another process …
    pub(super) pid: i32,
    /// … with another start time. In clock ticks since boot.
    pub(super) start: u64,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// Whether it has ended, and waits to be reaped.
    pub(super) zombie: bool,
    /// Whether it has the mark that was searched for.
    pub(super) marked: bool,
}

/// All processes, and whether they have the mark. Takes some tens of µs for each process.
#[cfg(target_os = "linux")]
pub(super) fn look(mark: Option<&Mark>) -> Vec<Seen> {
    // Leaves out processes that are gone by now or that we may not read: they are not to be killed.
    proc::pids().into_iter().filter_map(|pid| see(pid, mark)).collect()
}

#[cfg(target_os = "linux")]
fn see(pid: i32, mark: Option<&Mark>) -> Option<Seen> {
    let Stat { state, parent, group, start, .. } = Stat::of(pid)?;
    let zombie = matches!(state, 'Z' | 'X');
    let carries = |mark: &Mark| proc::variable(pid, super::MARK).is_some_and(|value| mark.is_in(&value));
    let marked = !zombie && mark.is_some_and(carries);
    Some(Seen { pid, start, parent, group, zombie, marked })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn look(_mark: Option<&Mark>) -> Vec<Seen> {
    Vec::new()
}

/// The current time in the unit of [`Seen::start`]; 0 if it is unknown.
pub(super) fn now() -> u64 {
    #[cfg(target_os = "linux")]
    return proc::now().unwrap_or(0);
    #[cfg(not(target_os = "linux"))]
    0
}

/// The running processes in `table` that descend from a process for which `is_root` returns true, including that process.
pub(super) fn descendants(table: &[Seen], is_root: impl Fn(&Seen) -> bool) -> Vec<Seen> {
    let mut pids: BTreeSet<i32> = table.iter().filter(|seen| is_root(seen)).map(|seen| seen.pid).collect();
    loop {
        let before = pids.len();
        pids.extend(table.iter().filter(|seen| pids.contains(&seen.parent)).map(|seen| seen.pid).collect::<Vec<_>>());
        if pids.len() == before {
            break;
        }
    }
    let me = std::process::id() as i32;
    table.iter().filter(|seen| pids.contains(&seen.pid) && !seen.zombie && seen.pid != me).copied().collect()
}

/// Kills a process that was found in the table, unless its pid has been reused.
#[cfg(target_os = "linux")]
pub(super) fn kill(seen: &Seen) {
    use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

    let Some(pid) = Pid::from_raw(seen.pid) else { return };
    let pidfd = pidfd_open(pid, PidfdFlags::empty());
    // From here on, the pidfd always means the same process. The start time shows whether it is the one that was found.
    if Stat::of(seen.pid).is_none_or(|stat| stat.start != seen.start) {
        return;
    }
    // If the process has ended meanwhile, or we may not signal it, nothing more can be done.
    let _ = match pidfd {
        Ok(pidfd) => pidfd_send_signal(pidfd, Signal::KILL),
        // Linux before 5.3 has no pidfds. A check just before the signal is the best alternative.
        Err(rustix::io::Errno::NOSYS) => kill_process(pid, Signal::KILL),
        Err(_) => Ok(()),
    };
}

#[cfg(not(target_os = "linux"))]
pub(super) fn kill(_seen: &Seen) {}

/// Kills the processes that `victims` selects from the table, again and again until it selects none or `patience` is over.
/// Returns whether it selects none any more.
///
/// More than one look is needed because a process may fork while it is being killed.
pub(super) fn kill_all(mark: &Mark, patience: Duration, victims: impl Fn(&[Seen]) -> Vec<Seen>) -> bool {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let found = victims(&look(Some(mark)));
        if found.is_empty() {
            return true;
        }
        if begun.elapsed() > patience {
            return false;
        }
        found.iter().for_each(kill);
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// How long to wait until killed processes are gone. Only a process stuck in the kernel takes longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The children that this module started and has not reaped, for all families in this process. Other code started all other
/// children.
static KNOWN: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Locks the set of children that this module started. While it is locked, the module starts no other child.
pub(super) fn known() -> MutexGuard<'static, BTreeSet<i32>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a child and registers it, so that it does not count as an orphan.
pub(super) fn spawn(command: &mut Command) -> std::io::Result<Child> {
    let mut known = known();
    let child = command.spawn()?;
    known.insert(child.id() as i32);
    Ok(child)
}

/// Removes a child from the set. Call this after the child is reaped.
pub(super) fn forget(pid: u32) {
    known().remove(&(pid as i32));
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn seen(pid: i32, parent: i32) -> Seen {
        Seen { pid, start: 1, parent, group: pid, zombie: false, marked: false }
    }

    #[test]
    fn descendants_are_found_in_any_order() {
        let table = [seen(104, 103), seen(103, 102), seen(102, 101), seen(101, 1), seen(105, 1)];
        let pids: Vec<i32> = descendants(&table, |seen| seen.pid == 102).iter().map(|seen| seen.pid).collect();
        assert_eq!(pids, [104, 103, 102]);
    }

    #[test]
    fn this_process_stands_in_the_table_and_started_in_the_past() {
        let me = look(None).into_iter().find(|seen| seen.pid == std::process::id() as i32).unwrap();
        assert!(me.start > 0 && me.start <= now(), "{me:?} {}", now());
    }

    #[test]
    fn a_process_that_is_not_the_one_that_was_seen_is_left_alone() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = child.id() as i32;
        let mut seen = look(None).into_iter().find(|seen| seen.pid == pid).unwrap();
        seen.start -= 1;
        kill(&seen);
        assert!(look(None).iter().any(|seen| seen.pid == pid && !seen.zombie));
        assert!(child.try_wait().unwrap().is_none());
        seen.start += 1;
        kill(&seen);
        assert!(!child.wait().unwrap().success());
    }
}
