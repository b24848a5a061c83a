//! All processes of one run.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use super::guardian::Guardian;
use super::shared::{Adoption, Shared};
use super::table::{self, PATIENCE, Seen};
use super::{Child, Mark, ProcessError, Stdin, same_executable};

/// All processes of one run: children, their descendants, and the guardian, which ends last.
///
/// A supervisor has one. It calls [`tend`](Family::tend) regularly, and [`end`](Family::end) at the end. If the family
/// and its last child are dropped instead, the guardian does the work of `end`.
///
/// ```no_run
/// use slt_harness::unstable::process::{Family, Stdin, guardian, same_executable};
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

impl Family {
    /// Makes a family without children, and starts its guardian. The guardian runs this same program, whose `main` must first
    /// call [`enter_if_asked`](super::guardian::enter_if_asked).
    ///
    /// # Errors
    /// The guardian could not be started, or the program did not become one.
    pub fn new() -> Result<Family, ProcessError> {
        Family::with_guardian(same_executable)
    }

    /// Like [`new`](Family::new), for a program that becomes a guardian only with certain arguments.
    ///
    /// # Errors
    /// As for `new`.
    pub fn with_guardian(guardian_command: fn() -> Command) -> Result<Family, ProcessError> {
        heed_dead_children();
        let unique = Mark::unique();
        let mark = unique.map_err(|source| ProcessError::Setting { what: "get random numbers", source })?;
        let guardian = Guardian::start(guardian_command(), &mark)?;
        Ok(Family { shared: Arc::new(Shared::new(mark, guardian_command, guardian)) })
    }

    /// The token in the [`MARK`](super::MARK) of all processes of this family.
    pub fn token(&self) -> &str {
        self.shared.mark.token()
    }

    /// Starts a child in its own process group. Its standard output and error are appended to the file `log`.
    ///
    /// A child that calls [`die_with_parent`](super::die_with_parent) ends with the *thread* that started it, so call
    /// this on the main thread.
    ///
    /// # Errors
    /// The log cannot be opened, or the program cannot be started.
    pub fn spawn(&self, command: Command, log: &Path, stdin: Stdin) -> Result<Child, ProcessError> {
        let number = self.shared.children.fetch_add(1, Ordering::Relaxed) + 1;
        Child::spawn(command, log, stdin, &self.shared, number)
    }

    /// Whether the guardian is running; if not, [`tend`](Family::tend) starts another.
    pub fn has_guardian(&self) -> bool {
        self.shared.lock().guardian.as_mut().is_some_and(Guardian::is_alive)
    }

    /// The guardian's process id; `None` after a failed [`tend`](Family::tend).
    pub fn guardian_id(&self) -> Option<u32> {
        self.shared.lock().guardian.as_ref().map(Guardian::id)
    }

    /// Maintains the family: replaces a guardian that has ended, and reaps adopted orphans that have ended.
    ///
    /// Call it regularly. It costs a system call and, if there are adopted orphans, one look at the process table per
    /// second.
    ///
    /// # Errors
    /// No new guardian could be started. The next call tries again.
    pub fn tend(&self) -> Result<(), ProcessError> {
        let mut state = self.shared.lock();
        if !state.guardian.as_mut().is_some_and(Guardian::is_alive) {
            // Clean up the old one first, so that there are never two.
            state.guardian = None;
            let mut guardian = Guardian::start((self.shared.guardian_command)(), &self.shared.mark)?;
            state.groups.iter().for_each(|group| guardian.add(*group as u32));
            state.guardian = Some(guardian);
        }
        state.reap_orphans(Duration::from_secs(1));
        Ok(())
    }

    /// Makes this process the parent of all orphans among its descendants, so that [`end`](Family::end) finds those
    /// that left their group and emptied their environment.
    ///
    /// From now on, every new child of this process that this module did not start counts as an orphan:
    /// [`tend`](Family::tend) reaps it and `end` kills it. So call this only in a program that is purely a supervisor.
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

    /// Kills all remaining processes of the family, including running children, and ends the guardian. Returns whether
    /// everything was gone within some seconds.
    pub fn end(self) -> bool {
        let mut state = self.shared.lock();
        let is_over = table::kill_all(&self.shared.mark, PATIENCE, |seen_now| {
            let known = table::known();
            table::descendants(seen_now, |seen| seen.marked || state.is_orphan(seen, &known))
        });
        state.reap_orphans(Duration::ZERO);
        if let Some(guardian) = state.guardian.take() {
            guardian.finish();
        }
        is_over
    }
}

/// Makes sure that this process can wait for its children, even if a launcher started it with SIGCHLD ignored. Otherwise the
/// system would reap the children by itself, and their exits would be lost.
fn heed_dead_children() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Any handler works, and the flag is never read. Setting the handler is not known to fail. If it does, waiting for a
        // child fails with its own error.
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
