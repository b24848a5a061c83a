//! One child: a process that leads a group. It is managed from its start until no process of the group is left.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::shared::Shared;
use super::table::{self, PATIENCE, Seen};
use super::{Exit, MARK, Mark, PARENT, ProcessError};

/// The standard input of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdin {
    /// Empty.
    Null,
    /// A pipe; [`Child::take_stdin`] returns the writing end.
    Pipe,
}

/// A process in its own group, started by [`Family::spawn`](super::Family::spawn).
///
/// When it ends, for whatever reason, the rest of its group, all processes with its mark, and their descendants are
/// killed too. Dropping it kills it.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    shared: Arc<Shared>,
    mark: Mark,
    /// Descendants seen when the child was asked to end; they are killed even without its mark.
    tree: Vec<Seen>,
    exit: Option<Exit>,
}

impl Child {
    pub(super) fn spawn(
        mut command: Command,
        log: &Path,
        stdin: Stdin,
        shared: &Arc<Shared>,
        number: u64,
    ) -> Result<Child, ProcessError> {
        let log_error = |source| ProcessError::Log { path: log.to_owned(), source };
        let stdout = File::options().append(true).create(true).open(log).map_err(log_error)?;
        let stderr = stdout.try_clone().map_err(log_error)?;
        let mark = shared.mark.of_child(number);
        command
            .env(MARK, mark.value())
            .env(PARENT, std::process::id().to_string())
            .process_group(0)
            .stdout(stdout)
            .stderr(stderr)
            .stdin(match stdin {
                Stdin::Null => Stdio::null(),
                Stdin::Pipe => Stdio::piped(),
            });
        let started = shared.start(&mut command);
        let program = command.get_program().to_string_lossy().into_owned();
        let process = started.map_err(|source| ProcessError::Spawn { program, source })?;
        Ok(Child { process, shared: Arc::clone(shared), mark, tree: Vec::new(), exit: None })
    }

    /// The child's process id, which is also its group id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Takes the writing end of its standard input, if it was started with [`Stdin::Pipe`].
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.process.stdin.take()
    }

    /// How the child ended; `None` while it runs. Does not block, with one exception: when it first finds that the child has
    /// ended, it kills all processes that the child started and that still run, which takes some milliseconds.
    ///
    /// # Errors
    /// The system does not know the child: other code in this process has reaped it.
    pub fn try_wait(&mut self) -> Result<Option<Exit>, ProcessError> {
        if self.exit.is_none() && self.is_dead()? {
            self.exit = Some(self.reap()?);
        }
        Ok(self.exit)
    }

    /// Waits until the child ends, but at most that long.
    ///
    /// # Errors
    /// As for [`try_wait`](Child::try_wait).
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<Exit>, ProcessError> {
        let begun = Instant::now();
        let mut pause = Duration::from_micros(500);
        loop {
            let exit = self.try_wait()?;
            let left = timeout.saturating_sub(begun.elapsed());
            if exit.is_some() || left.is_zero() {
                return Ok(exit);
            }
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Asks the child and its group to end, with SIGTERM, which they may ignore. Does not block.
    pub fn terminate(&mut self) {
        self.signal_group(Signal::TERM);
        // A stopped process does not receive SIGTERM until it continues.
        self.signal_group(Signal::CONT);
    }

    /// Kills the child and its group with SIGKILL. Does not block: [`try_wait`](Child::try_wait) reports the end.
    pub fn kill(&mut self) {
        self.signal_group(Signal::KILL);
    }

    /// Ends the child and its descendants: SIGTERM to its group, and SIGKILL after a grace period. Returns how the
    /// child ended, which may have been earlier.
    ///
    /// # Errors
    /// As for [`try_wait`](Child::try_wait); or the child still exists some seconds after SIGKILL, stuck in the kernel.
    pub fn kill_group(&mut self, grace: Duration) -> Result<Exit, ProcessError> {
        if !grace.is_zero() {
            self.terminate();
            if let Some(exit) = self.wait_timeout(grace)? {
                return Ok(exit);
            }
        }
        self.kill();
        self.wait_timeout(PATIENCE)?.ok_or_else(|| self.wait_error(std::io::ErrorKind::TimedOut.into()))
    }

    fn signal_group(&mut self, signal: Signal) {
        if self.exit.is_some() {
            return;
        }
        let pid = self.process.id() as i32;
        let descendants = table::descendants(&table::look(None), |seen| seen.pid == pid);
        self.tree.extend(descendants.into_iter().filter(|seen| seen.pid != pid));
        self.signal_own_group(signal);
    }

    /// Signals the group. Call it only while the child is unreaped: until then its pid cannot be reused.
    fn signal_own_group(&self, signal: Signal) {
        if let Some(group) = Pid::from_raw(self.process.id() as i32) {
            // A group without running members needs no signal.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Whether the child has ended; does not reap it.
    fn is_dead(&self) -> Result<bool, ProcessError> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match Pid::from_raw(self.process.id() as i32).map(|pid| waitid(WaitId::Pid(pid), options)) {
            Some(Ok(status)) => Ok(status.is_some()),
            Some(Err(rustix::io::Errno::INTR)) => Ok(false),
            Some(Err(errno)) => Err(self.wait_error(errno.into())),
            None => Ok(false),
        }
    }

    /// Reaps a child that has ended, after killing the processes that it started.
    fn reap(&mut self) -> Result<Exit, ProcessError> {
        self.signal_own_group(Signal::KILL);
        self.shared.forget_group(self.process.id());
        let status = self.process.wait().map_err(|source| self.wait_error(source))?;
        table::forget(self.process.id());
        let was_seen = |now: &Seen| self.tree.iter().any(|seen| (seen.pid, seen.start) == (now.pid, now.start));
        // A process that remains is stuck in the kernel, with SIGKILL pending. Here it only matters that the child has ended.
        table::kill_all(&self.mark, PATIENCE, |table| table::descendants(table, |seen| seen.marked || was_seen(seen)));
        Ok(Exit::from(status))
    }

    fn wait_error(&self, source: std::io::Error) -> ProcessError {
        ProcessError::Wait { pid: self.process.id(), source }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.exit.is_none() {
            // The guardian kills later what cannot be killed here.
            let _ = self.kill_group(Duration::ZERO);
        }
    }
}
