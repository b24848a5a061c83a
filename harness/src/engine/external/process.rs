//! A driver's process: its start and its end. No process that it starts is left after it.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::{DATABASE, PROTOCOL};
use crate::engine::EngineError;
use crate::environment;

/// How long a driver may take to exit once its output has ended.
const GOODBYE: Duration = Duration::from_secs(2);

/// A driver's process, and its whole group; killed when this is dropped.
pub(super) struct Process {
    child: Child,
    /// The process group to kill; `None` once its pid may be reused.
    group: Arc<Mutex<Option<Pid>>>,
    /// Whether the wait for its end has timed out.
    stays: bool,
}

impl Process {
    /// Makes bash run `command`, with the name of the script's database, if there is one, in its environment.
    pub(super) fn start(command: &str, stdin: Stdio, database: Option<&str>) -> Result<Process, EngineError> {
        let mut bash = Command::new("bash");
        environment::withhold(&mut bash);
        bash.args(["-c", command]).env(PROTOCOL, "1");
        if let Some(database) = database {
            bash.env(DATABASE, database);
        }
        // A separate group, so that all its processes can be killed. The user sees its standard error.
        bash.process_group(0).stdin(stdin).stdout(Stdio::piped());
        #[cfg(target_os = "linux")]
        // SAFETY: between fork and exec it makes one system call and touches no memory.
        unsafe {
            // A driver that is busy with a query would not notice that its parent has ended. The kernel sends the signal
            // when the thread that started the driver ends, and that thread runs as long as this process.
            bash.pre_exec(|| Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?));
        }
        let child = spawn(bash).map_err(|error| EngineError::new(format!("cannot start it with bash: {error}")))?;
        let group = Arc::new(Mutex::new(i32::try_from(child.id()).ok().and_then(Pid::from_raw)));
        Ok(Process { child, group, stays: false })
    }

    /// This program's ends of the driver's pipes, if it was started with pipes. Only the first call returns them.
    pub(super) fn pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>) {
        (self.child.stdin.take(), self.child.stdout.take())
    }

    /// A function that kills the driver and its group, from any thread.
    pub(super) fn killer(&self) -> impl Fn() + Send + Sync + use<> + 'static {
        let group = Arc::clone(&self.group);
        move || kill(&group)
    }

    /// Kills the driver after `limit`, unless the returned guard is dropped first.
    pub(super) fn timeout_guard(&self, limit: Duration) -> mpsc::Sender<()> {
        let (guard, ended) = mpsc::channel::<()>();
        let kill = self.killer();
        thread::spawn(move || {
            if ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                kill();
            }
        });
        guard
    }

    /// A function that returns whether the driver has ended. The driver is not reaped, so its pid cannot be reused.
    pub(super) fn watcher(&self) -> impl Fn() -> bool + Send + 'static {
        let group = Arc::clone(&self.group);
        move || match *group.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(leader) => matches!(look(leader), Ok(true)),
            None => true,
        }
    }

    /// How the driver ended, as text, if it ends within [`GOODBYE`].
    pub(super) fn end(&mut self) -> Option<String> {
        match self.status()? {
            Ok(status) => Some(format!("it ended ({status}{})", hint(status))),
            Err(error) => Some(format!("it cannot be waited for: {error}")),
        }
    }

    /// How the driver failed, as text, if it fails within [`GOODBYE`].
    pub(super) fn failure(&mut self) -> Option<String> {
        match self.status()? {
            Ok(status) if status.success() => None,
            _ => self.end(),
        }
    }

    /// How the driver ended, if it ends within [`GOODBYE`]. Later calls after a timeout do not wait again.
    fn status(&mut self) -> Option<io::Result<ExitStatus>> {
        let begun = Instant::now();
        loop {
            match self.try_wait() {
                Ok(None) if self.stays => return None,
                Ok(None) => thread::sleep(Duration::from_millis(1)),
                ended => return ended.transpose(),
            }
            self.stays = begun.elapsed() >= GOODBYE;
        }
    }

    /// How the driver ended, if it has ended. The rest of its group is killed before its pid can be reused.
    fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let mut group = self.group.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leader) = *group {
            if !look(leader)? {
                return Ok(None);
            }
            // If the group is empty, the error does not matter.
            let _ = kill_process_group(leader, Signal::KILL);
            *group = None;
        }
        self.child.wait().map(Some)
    }
}

/// Starts a process on a thread that never ends: the driver may run longer than the thread of its script, because it
/// continues with other scripts.
fn spawn(mut command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static STARTER: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, received) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in received {
                // The caller waits for the answer.
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, answered) = mpsc::channel();
    let sent = starter.lock().unwrap_or_else(PoisonError::into_inner).send((command, answer));
    match sent {
        Ok(()) => answered.recv().unwrap_or_else(|_| Err(io::Error::other("the thread that starts drivers has ended"))),
        Err(mpsc::SendError((unsent, _))) => {
            command = unsent;
            command.spawn()
        }
    }
}

/// Whether the guard's limit has passed and the driver was killed; if not, the limit no longer applies.
pub(super) fn timed_out(guard: &mpsc::Sender<()>) -> bool {
    guard.send(()).is_err()
}

/// Whether a child has ended; does not reap it.
fn look(child: Pid) -> io::Result<bool> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(child), options) {
        Ok(status) => Ok(status.is_some()),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// The meaning of bash's own exit codes.
fn hint(status: ExitStatus) -> &'static str {
    match status.code() {
        Some(126) => ": bash cannot run that command",
        Some(127) => ": bash finds no such command",
        _ => "",
    }
}

fn kill(group: &Mutex<Option<Pid>>) {
    if let Some(group) = *group.lock().unwrap_or_else(PoisonError::into_inner) {
        // If the group is empty, the error does not matter.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.end().is_none() {
            kill(&self.group);
            let mut group = self.group.lock().unwrap_or_else(PoisonError::into_inner);
            // It has just been killed, so the wait is short.
            let _ = self.child.wait();
            *group = None;
        }
    }
}
