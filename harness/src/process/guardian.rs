//! A process that kills the supervisor's children if the supervisor ends without warning, and then exits.
//!
//! It runs the supervisor's own program, with [`ASK`] in its environment, in its own session, so that neither Ctrl-C
//! nor a closed terminal reaches it. It reads what it needs to know as lines from a pipe on its standard input:
//!
//! ```text
//! family 3f9ac2d1886e04b7   the token in the mark of all its processes
//! +4711                     a process group that now exists
//! -4711                     it is gone; its pid may be reused
//! done                      the supervisor has ended everything itself
//! ```
//!
//! When the pipe closes without `done`, the supervisor has ended. The guardian then kills the remaining groups, all
//! processes with the family's mark, and their descendants, until it finds no more. Then it exits.
//!
//! It never kills a group by its number alone. While the supervisor ran, the number was the family's (the
//! supervisor sends `-` before it reaps the leader), and a number stays taken while its group has a member. So a group
//! still belongs to the family if a member has the mark, or started before the pipe closed.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::table::{self, Seen};
use super::{Mark, ProcessError};

/// The environment variable that makes a process a guardian.
pub const ASK: &str = "SLT_GUARDIAN";

/// The line that a guardian prints when it is ready. Other lines before it (of a test runner, say) are ignored.
const READY: &str = "slt guardian: ready";

/// How long a guardian may take to start on a busy machine.
const START: Duration = Duration::from_secs(30);

/// If this process was started as a guardian, does the guardian's work and returns the exit code.
///
/// Call it at the very beginning of `main`, before anything starts a thread, prints or reads arguments. A program that
/// starts a [`Family`](super::Family) without this call cannot have a guardian.
#[must_use = "a guardian must exit with this code"]
pub fn enter_if_asked() -> Option<ExitCode> {
    std::env::var_os(ASK)?;
    let mut output = io::stdout();
    Some(match guard(io::stdin().lock(), &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn guard(input: impl BufRead, output: &mut impl Write) -> io::Result<()> {
    // Fails only for a group leader, and a group leader does not receive a terminal's Ctrl-C anyway.
    let _ = rustix::process::setsid();
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
        // The flag is never read: this is the safe way to ignore a signal.
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    writeln!(output, "\n{READY}")?;
    output.flush()?;

    let mut mark = None;
    let mut groups = BTreeSet::new();
    for line in input.lines() {
        // A read of 0 bytes means that the other end is gone; so does any error.
        let Ok(line) = line else { break };
        match (line.as_bytes().first(), line.get(1..).map(str::parse::<i32>)) {
            (Some(b'+'), Some(Ok(group))) => drop(groups.insert(group)),
            (Some(b'-'), Some(Ok(group))) => drop(groups.remove(&group)),
            _ if line == "done" => return Ok(()),
            _ => mark = line.strip_prefix("family ").map(|token| Mark::of_family(token.to_owned())).or(mark),
        }
    }
    if let Some(mark) = mark {
        kill_survivors(&mark, &groups);
    }
    Ok(())
}

/// Kills all that is left of a family whose supervisor has just ended.
fn kill_survivors(mark: &Mark, groups: &BTreeSet<i32>) {
    let died = table::now();
    // Look twice: a process in the middle of `exec` has no environment at the first look.
    for _ in 0..2 {
        table::kill_all(mark, table::PATIENCE * 3, |table| {
            let (victims, groups) = victims(table, groups, died);
            for group in groups.into_iter().filter_map(Pid::from_raw) {
                // One signal to all members, so that none can escape by forking. It is fine if the group is already
                // gone.
                let _ = kill_process_group(group, Signal::KILL);
            }
            victims
        });
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The processes of a family whose supervisor ended at the time `died`, and those of its groups that still have members.
fn victims(table: &[Seen], groups: &BTreeSet<i32>, died: u64) -> (Vec<Seen>, BTreeSet<i32>) {
    let is_witness = |seen: &&Seen| groups.contains(&seen.group) && (seen.marked || seen.start <= died);
    let groups: BTreeSet<i32> = table.iter().filter(is_witness).map(|seen| seen.group).collect();
    let victims = table::descendants(table, |seen| seen.marked || groups.contains(&seen.group));
    let has_victim = |group: &i32| victims.iter().any(|seen| seen.group == *group);
    let groups = groups.into_iter().filter(has_victim).collect();
    (victims, groups)
}

/// The supervisor's end of the pipe, and the guardian process.
#[derive(Debug)]
pub(super) struct Guardian {
    process: std::process::Child,
    pipe: Option<ChildStdin>,
}

impl Guardian {
    /// Starts a guardian for a new family, and waits until it is ready.
    pub(super) fn start(mut command: Command, mark: &Mark) -> Result<Guardian, ProcessError> {
        let error = |reason: &str| ProcessError::Guardian { reason: reason.to_owned() };
        if std::env::var_os(ASK).is_some() {
            // Otherwise a program without `enter_if_asked` would start itself forever.
            return Err(error("this process was started as one; `main` must begin with `enter_if_asked`"));
        }
        command.env(ASK, "1").current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let spawned = table::spawn(&mut command);
        let program = command.get_program().to_string_lossy().into_owned();
        let mut process = spawned.map_err(|source| ProcessError::Spawn { program, source })?;
        let mut guardian = Guardian { pipe: process.stdin.take(), process };
        // A full pipe means that the guardian does not read; it must not block the supervisor.
        let nonblocking = guardian.pipe.as_ref().map_or(Ok(()), |pipe| rustix::io::ioctl_fionbio(pipe, true));
        nonblocking.map_err(|errno| error(&errno.to_string()))?;
        let is_ready = guardian.process.stdout.take().is_some_and(says_ready);
        if !is_ready || !guardian.send(&format!("family {}", mark.token())) {
            guardian.dismiss();
            return Err(error("the program, started as one, did not report that it is ready"));
        }
        Ok(guardian)
    }

    /// The guardian's process id.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether it is still running.
    pub(super) fn is_alive(&mut self) -> bool {
        self.pipe.is_some() && matches!(self.process.try_wait(), Ok(None))
    }

    /// Tells the guardian to kill this group if the supervisor ends.
    pub(super) fn add(&mut self, group: u32) {
        self.send(&format!("+{group}"));
    }

    /// Informs the guardian that this pid may now be reused.
    pub(super) fn remove(&mut self, group: u32) {
        self.send(&format!("-{group}"));
    }

    /// Ends the guardian normally: all its processes have ended.
    pub(super) fn finish(mut self) {
        self.send("done");
    }

    /// Writes a whole line or nothing, because it is much shorter than a pipe's atomic write. After a failure the
    /// guardian no longer knows all groups, so it must not kill anything.
    fn send(&mut self, line: &str) -> bool {
        let written = self.pipe.as_mut().is_some_and(|pipe| pipe.write_all(format!("{line}\n").as_bytes()).is_ok());
        if !written {
            self.dismiss();
        }
        written
    }

    /// Kills it before it can act.
    fn dismiss(&mut self) {
        // It may already have ended.
        let _ = self.process.kill();
        self.pipe = None;
    }
}

impl Drop for Guardian {
    /// Closes the pipe and waits. A guardian that got no `done` then kills the family first.
    fn drop(&mut self) {
        self.pipe = None;
        let begun = Instant::now();
        while let Ok(None) = self.process.try_wait() {
            if begun.elapsed() > table::PATIENCE * 7 {
                // Its work takes less time than this, so it must have been stopped by a signal.
                let _ = self.process.kill();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        table::forget(self.process.id());
    }
}

/// Whether [`READY`] arrives within [`START`].
fn says_ready(output: ChildStdout) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let deadline = Instant::now() + START;
    let mut reader = BufReader::new(output);
    let mut printed = Vec::new();
    while printed.len() < 4096 {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(reader.get_ref(), PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return false,
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return false,
            Ok(_) => {}
        }
        let mut some = [0; 512];
        match reader.get_mut().read(&mut some) {
            Ok(0) | Err(_) => return false,
            Ok(length) => printed.extend_from_slice(&some[..length]),
        }
        if memchr::memmem::find(&printed, READY.as_bytes()).is_some() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pid: i32, group: i32, start: u64, marked: bool) -> Seen {
        Seen { pid, start, parent: 1, group, zombie: false, marked }
    }

    #[test]
    fn a_group_whose_number_was_reused_is_not_killed() {
        let died = 100;
        let table = [
            seen(10, 10, 50, false),  // Its leader, without the mark.
            seen(20, 20, 101, false), // An unrelated process that reuses the number of an ended group.
            seen(31, 30, 101, true),  // A group whose leader has gone, known by one member …
            seen(32, 30, 101, false), // … and all of it.
            seen(40, 40, 50, false),  // A group that was never the family's.
            seen(51, 50, 101, true),  // A daemon.
        ];
        let (victims, groups) = victims(&table, &BTreeSet::from([10, 20, 30]), died);
        assert_eq!(victims.iter().map(|seen| seen.pid).collect::<Vec<_>>(), [10, 31, 32, 51]);
        assert_eq!(groups, BTreeSet::from([10, 30]));
    }

    #[test]
    fn an_unreaped_leader_identifies_its_group() {
        let leader = Seen { zombie: true, ..seen(10, 10, 50, false) };
        let table = [leader, seen(11, 10, 101, false)];
        let (victims, groups) = victims(&table, &BTreeSet::from([10]), 100);
        assert_eq!((victims, groups), (vec![table[1]], BTreeSet::from([10])));
    }
}
