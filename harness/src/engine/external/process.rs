//! A driver's process: its start, its end, and that nothing of it stays.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::{DATABASE, PROTOCOL};
use crate::engine::EngineError;
use crate::environment;

/// How long a driver may take to end when there is nothing more to read.
const GOODBYE: Duration = Duration::from_secs(2);

/// A driver's process, and all of its group; ended when this is dropped.
pub(super) struct Process {
    child: Child,
    /// Whom to kill, as long as the number is theirs.
    group: Arc<Mutex<Option<Pid>>>,
}

impl Process {
    /// Has bash run `command`, with the name of a database if there is one.
    pub(super) fn start(command: &str, stdin: Stdio, database: Option<&str>) -> Result<Process, EngineError> {
        let mut bash = Command::new("bash");
        environment::withhold(&mut bash);
        bash.args(["-c", command]).env(PROTOCOL, "1");
        if let Some(database) = database {
            bash.env(DATABASE, database);
        }
        // A group of its own, so that all that it starts can be ended; its complaints are for people to read.
        bash.process_group(0).stdin(stdin).stdout(Stdio::piped());
        #[cfg(target_os = "linux")]
        // SAFETY: between fork and exec it makes one system call and touches no memory.
        unsafe {
            // Whoever is busy with a query would not notice that nobody waits for the answer any more. The signal
            // comes when the thread ends that has called this, which is the one that uses the driver.
            bash.pre_exec(|| Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?));
        }
        let child = bash.spawn().map_err(|error| EngineError::new(format!("cannot start it with bash: {error}")))?;
        let group = Arc::new(Mutex::new(i32::try_from(child.id()).ok().and_then(Pid::from_raw)));
        Ok(Process { child, group })
    }

    /// The ends of its pipes that are here, once, where it was started with pipes.
    pub(super) fn pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>) {
        (self.child.stdin.take(), self.child.stdout.take())
    }

    /// What kills it and its group, from whatever thread.
    pub(super) fn killer(&self) -> impl Fn() + Send + Sync + 'static {
        let group = Arc::clone(&self.group);
        move || kill(&group)
    }

    /// Kills the driver when `limit` is over, unless what is returned has been dropped before.
    pub(super) fn fuse(&self, limit: Duration) -> mpsc::Sender<()> {
        let (burning, ended) = mpsc::channel::<()>();
        let kill = self.killer();
        thread::spawn(move || {
            if ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                kill();
            }
        });
        burning
    }

    /// What tells whether it has ended; the number stays its own.
    pub(super) fn watcher(&self) -> impl Fn() -> bool + 'static {
        let group = Arc::clone(&self.group);
        move || match *group.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(leader) => matches!(look(leader), Ok(true)),
            None => true,
        }
    }

    /// How the driver ended, in words, if it does within a while.
    pub(super) fn end(&mut self) -> Option<String> {
        let begun = Instant::now();
        while begun.elapsed() < GOODBYE {
            match self.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(1)),
                Ok(Some(status)) => return Some(format!("it ended ({status}{})", hint(status))),
                Err(error) => return Some(format!("it cannot be waited for: {error}")),
            }
        }
        None
    }

    /// How the driver ended, if it has; what is left of its group is killed before its number can pass on to others.
    fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let mut group = self.group.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leader) = *group {
            if !look(leader)? {
                return Ok(None);
            }
            // A group that has ended has nothing to be told.
            let _ = kill_process_group(leader, Signal::KILL);
            *group = None;
        }
        self.child.wait().map(Some)
    }
}

/// Whether the limit of a fuse was over; one that has not burned by now never will.
pub(super) fn has_burned(fuse: &mpsc::Sender<()>) -> bool {
    fuse.send(()).is_err()
}

/// Whether a child has ended; leaves it unreaped.
fn look(child: Pid) -> io::Result<bool> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(child), options) {
        Ok(status) => Ok(status.is_some()),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// What bash means by a status of its own.
fn hint(status: ExitStatus) -> &'static str {
    match status.code() {
        Some(126) => ": bash cannot run that command",
        Some(127) => ": bash finds no such command",
        _ => "",
    }
}

fn kill(group: &Mutex<Option<Pid>>) {
    if let Some(group) = *group.lock().unwrap_or_else(PoisonError::into_inner) {
        // As above.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.end().is_none() {
            kill(&self.group);
            let mut group = self.group.lock().unwrap_or_else(PoisonError::into_inner);
            // It was killed just now.
            let _ = self.child.wait();
            *group = None;
        }
    }
}
