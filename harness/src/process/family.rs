//! All the processes of one run.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use super::guardian::Guardian;
use super::table::{self, PATIENCE, Seen};
use super::{Child, Mark, ProcessError, Stdin, same_executable};

/// A family is all the processes of one run: children, what those start, and the guardian that outlives them.
///
/// A supervisor has one, calls [`tend`](Family::tend) now and then, and [`end`](Family::end) at the end. If it is
/// dropped instead, once the last child is dropped too, the guardian does what `end` would have done.
///
/// ```no_run
/// use slt_harness::process::{Family, Stdin, guardian, same_executable};
/// use std::{path::Path, process::ExitCode, time::Duration};
///
/// fn main() -> ExitCode {
///     if let Some(code) = guardian::enter_if_asked() {
///         return code;
///     }
///     let family = Family::new().expect("a guardian");
///     let mut worker = same_executable();
///     worker.arg("--as-worker");
///     let mut child = family.spawn(worker, Path::new("worker.log"), Stdin::Null).expect("a worker");
///     let exit = child.wait_timeout(Duration::from_secs(10)).expect("it can be waited for");
///     println!("{}", exit.map_or("too slow".to_owned(), |exit| exit.to_string()));
///     drop(child);
///     family.end();
///     ExitCode::SUCCESS
/// }
/// ```
#[derive(Debug)]
pub struct Family {
    pub(super) shared: Arc<Shared>,
}

/// What a family's children need of it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) mark: Mark,
    guardian_command: fn() -> Command,
    children: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// None only while another is being started, and after the end.
    guardian: Option<Guardian>,
    /// The groups whose leaders are not reaped yet.
    groups: BTreeSet<u32>,
    adoption: Option<Adoption>,
}

/// What is known of the children that this process has and did not start.
#[derive(Debug)]
struct Adoption {
    /// Those that were there before; they are somebody else's business.
    earlier: BTreeSet<(i32, u64)>,
    reaped: Instant,
}

impl Family {
    /// A family with no child yet, and its guardian: this same program, which must begin with
    /// [`enter_if_asked`](super::guardian::enter_if_asked).
    ///
    /// # Errors
    /// The guardian could not be started, or the program, started as one, did something else.
    pub fn new() -> Result<Family, ProcessError> {
        Family::with_guardian(same_executable)
    }

    /// As [`new`](Family::new), for a program that becomes a guardian only when started with certain arguments.
    ///
    /// # Errors
    /// As for `new`.
    pub fn with_guardian(guardian_command: fn() -> Command) -> Result<Family, ProcessError> {
        heed_dead_children();
        let unique = Mark::unique();
        let mark = unique.map_err(|source| ProcessError::Setting { what: "get random numbers", source })?;
        let guardian = Some(Guardian::start(guardian_command(), &mark)?);
        let state = Mutex::new(State { guardian, groups: BTreeSet::new(), adoption: None });
        Ok(Family { shared: Arc::new(Shared { mark, guardian_command, children: AtomicU64::new(0), state }) })
    }

    /// The token that stands in [`MARK`](super::MARK) of all processes of this family.
    pub fn token(&self) -> &str {
        self.shared.mark.token()
    }

    /// Starts a child, in a process group of its own. Its standard output and error are appended to the file `log`.
    ///
    /// A child that calls [`die_with_parent`](super::die_with_parent) dies with the *thread* that started it, so
    /// this is to be called in one that lives until the end: the main thread.
    ///
    /// # Errors
    /// The log cannot be opened, or the program not be started.
    pub fn spawn(&self, command: Command, log: &Path, stdin: Stdin) -> Result<Child, ProcessError> {
        let number = self.shared.children.fetch_add(1, Ordering::Relaxed) + 1;
        Child::spawn(command, log, stdin, &self.shared, number)
    }

    /// Whether the guardian is on guard; if not, [`tend`](Family::tend) starts another.
    pub fn has_guardian(&self) -> bool {
        self.shared.lock().guardian.as_mut().is_some_and(Guardian::is_alive)
    }

    /// The guardian's process id; none after a failed [`tend`](Family::tend).
    pub fn guardian_id(&self) -> Option<u32> {
        self.shared.lock().guardian.as_ref().map(Guardian::id)
    }

    /// Keeps the family in order: starts another guardian if it has died, and reaps adopted orphans that have ended.
    ///
    /// To be called every now and then; costs a system call, and once a second a look at the table of processes if
    /// there are adopted orphans.
    ///
    /// # Errors
    /// Another guardian could not be started. The next call tries again.
    pub fn tend(&self) -> Result<(), ProcessError> {
        let mut state = self.shared.lock();
        if !state.guardian.as_mut().is_some_and(Guardian::is_alive) {
            // First the old one's remains, so that at no time there are two.
            state.guardian = None;
            let mut guardian = Guardian::start((self.shared.guardian_command)(), &self.shared.mark)?;
            state.groups.iter().for_each(|group| guardian.add(*group));
            state.guardian = Some(guardian);
        }
        state.reap_orphans(Duration::from_secs(1));
        Ok(())
    }

    /// Makes this process the parent of all orphans among its descendants, so that [`end`](Family::end) can find
    /// those that left their group and emptied their environment.
    ///
    /// From now on every child of this process that neither this module started nor was there before counts as an
    /// orphan: it is reaped by [`tend`](Family::tend), and killed by `end`. So this is for a program that is a
    /// supervisor and nothing else.
    ///
    /// # Errors
    /// The system refused, or is not Linux.
    pub fn adopt_orphans(&self) -> Result<(), ProcessError> {
        let mut state = self.shared.lock();
        let known = table::known();
        let me = std::process::id() as i32;
        let is_earlier = |seen: &Seen| seen.parent == me && !known.contains(&seen.pid);
        let earlier = table::look(None).into_iter().filter(is_earlier).map(|seen| (seen.pid, seen.start)).collect();
        become_subreaper().map_err(|source| ProcessError::Setting { what: "adopt orphans", source })?;
        state.adoption = Some(Adoption { earlier, reaped: Instant::now() });
        Ok(())
    }

    /// Kills all that is left of the family, living children included, and sends the guardian home. Says whether
    /// everything was gone within some seconds.
    pub fn end(self) -> bool {
        let mut state = self.shared.lock();
        let is_over = table::kill_all(&self.shared.mark, PATIENCE, |seen_now| {
            let known = table::known();
            table::descendants(seen_now, |seen| seen.marked || state.is_orphan(seen, &known))
        });
        state.reap_orphans(Duration::ZERO);
        if let Some(guardian) = state.guardian.take() {
            guardian.farewell();
        }
        is_over
    }
}

impl State {
    fn is_orphan(&self, seen: &Seen, known: &BTreeSet<i32>) -> bool {
        self.adoption.as_ref().is_some_and(|adoption| {
            seen.parent == std::process::id() as i32
                && !known.contains(&seen.pid)
                && !adoption.earlier.contains(&(seen.pid, seen.start))
        })
    }

    fn reap_orphans(&mut self, interval: Duration) {
        if self.adoption.as_ref().is_none_or(|adoption| adoption.reaped.elapsed() < interval) {
            return;
        }
        // Locked all the while, so that no child of ours can be started and taken for an orphan.
        let known = table::known();
        for orphan in table::look(None).iter().filter(|seen| seen.zombie && self.is_orphan(seen, &known)) {
            if let Some(pid) = rustix::process::Pid::from_raw(orphan.pid) {
                // Nobody wants its exit status, and if it is gone that is as well.
                let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG);
            }
        }
        if let Some(adoption) = &mut self.adoption {
            adoption.reaped = Instant::now();
        }
    }
}

impl Shared {
    /// Starts a child's process and tells the guardian of it.
    pub(super) fn start(&self, command: &mut Command) -> std::io::Result<std::process::Child> {
        let mut state = self.lock();
        let process = table::spawn(command)?;
        state.groups.insert(process.id());
        if let Some(guardian) = &mut state.guardian {
            guardian.add(process.id());
        }
        Ok(process)
    }

    /// To be called before the leader of the group is reaped, for then its number may pass on.
    pub(super) fn forget_group(&self, group: u32) {
        let mut state = self.lock();
        state.groups.remove(&group);
        if let Some(guardian) = &mut state.guardian {
            guardian.remove(group);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets this process hear of its children's deaths even if it was started with SIGCHLD ignored, as some launchers do:
/// the system would reap them unasked, and their exits would be lost.
fn heed_dead_children() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // A flag that nobody reads: any handler will do. That a signal which exists could not be handled is not known
        // to happen; a child's exit would then be missed with an error of its own.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGCHLD, Arc::new(AtomicBool::new(false)));
    });
}

#[cfg(target_os = "linux")]
fn become_subreaper() -> std::io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

#[cfg(not(target_os = "linux"))]
fn become_subreaper() -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
