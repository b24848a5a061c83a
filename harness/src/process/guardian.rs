//! A process that outlives a supervisor which dies without warning, just long enough to end what that one started.
//!
//! It runs the supervisor's own program, with [`ASK`] in its environment, in a session of its own, so that neither
//! Ctrl-C nor a closing terminal reaches it. What it must know comes as lines through a pipe on its standard input:
//!
//! ```text
//! family 3f9ac2d1886e04b7   the token in the mark of all its processes
//! +4711                     a process group that lives from now on
//! -4711                     it is gone; what has its number from now on is a stranger
//! done                      the supervisor has ended everything itself
//! ```
//!
//! When the pipe closes without `done`, the supervisor is dead: the guardian kills the groups that live, and all
//! processes with the family's mark and what descends from them, until it finds no more. Then it exits.
//!
//! It never kills a group by its bare number. The number was the family's while the supervisor lived (which says `-`
//! before it reaps the leader), and a number stays taken for as long as its group has a member. So a group is still
//! the family's if it has a member with the mark, or one that started before the pipe closed.

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

/// What a guardian prints when it is on guard. Other lines before it (of a test runner, say) are passed over.
const READY: &str = "slt guardian: on guard";

/// How long a guardian may take to start, on a machine that is busy with other things.
const START: Duration = Duration::from_secs(30);

/// Does a guardian's work, if this process was started to be one, and returns the code to exit with.
///
/// To be called at the very beginning of `main`, before any thread is started, anything is printed or any argument is
/// read: a program that starts a [`Family`](super::Family) and does not call this cannot have a guardian.
#[must_use = "a guardian has nothing to do but to exit with this code"]
pub fn enter_if_asked() -> Option<ExitCode> {
    std::env::var_os(ASK)?;
    let mut output = io::stdout();
    Some(match guard(io::stdin().lock(), &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn guard(input: impl BufRead, output: &mut impl Write) -> io::Result<()> {
    // Fails only for the leader of a group, which has no terminal's Ctrl-C to fear.
    let _ = rustix::process::setsid();
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
        // A flag that nobody reads: the safe way to ignore a signal.
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    writeln!(output, "\n{READY}")?;
    output.flush()?;

    let mut mark = None;
    let mut groups = BTreeSet::new();
    for line in input.lines() {
        // A pipe whose other end is gone reads as ended; any other error means as much.
        let Ok(line) = line else { break };
        match (line.as_bytes().first(), line.get(1..).map(str::parse::<i32>)) {
            (Some(b'+'), Some(Ok(group))) => drop(groups.insert(group)),
            (Some(b'-'), Some(Ok(group))) => drop(groups.remove(&group)),
            _ if line == "done" => return Ok(()),
            _ => mark = line.strip_prefix("family ").map(|token| Mark::of_family(token.to_owned())).or(mark),
        }
    }
    if let Some(mark) = mark {
        avenge(&mark, &groups);
    }
    Ok(())
}

/// Kills all that is left of a family whose supervisor has just died.
fn avenge(mark: &Mark, groups: &BTreeSet<i32>) {
    let died = table::now();
    // Twice, for a process that was between two programs at the first look had no environment to be known by.
    for _ in 0..2 {
        table::kill_all(mark, table::PATIENCE * 3, |table| {
            let (victims, groups) = victims(table, groups, died);
            for group in groups.into_iter().filter_map(Pid::from_raw) {
                // At once for all its members, so that none can fork out of reach. A group that is gone needs nothing.
                let _ = kill_process_group(group, Signal::KILL);
            }
            victims
        });
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The processes of a family whose supervisor died at that time, and which of its groups have any of them.
fn victims(table: &[Seen], groups: &BTreeSet<i32>, died: u64) -> (Vec<Seen>, BTreeSet<i32>) {
    let is_witness = |seen: &&Seen| groups.contains(&seen.group) && (seen.marked || seen.start <= died);
    let groups: BTreeSet<i32> = table.iter().filter(is_witness).map(|seen| seen.group).collect();
    let victims = table::descendants(table, |seen| seen.marked || groups.contains(&seen.group));
    let has_victim = |group: &i32| victims.iter().any(|seen| seen.group == *group);
    let groups = groups.into_iter().filter(has_victim).collect();
    (victims, groups)
}

/// A supervisor's end of the pipe, and the guardian at the other.
#[derive(Debug)]
pub(super) struct Guardian {
    process: std::process::Child,
    pipe: Option<ChildStdin>,
}

impl Guardian {
    /// Starts a guardian over an as yet empty family, and waits until it is on guard.
    pub(super) fn start(mut command: Command, mark: &Mark) -> Result<Guardian, ProcessError> {
        let error = |reason: &str| ProcessError::Guardian { reason: reason.to_owned() };
        if std::env::var_os(ASK).is_some() {
            // Else a program without `enter_if_asked` would start itself for ever.
            return Err(error("this process was to be one itself; `main` must begin with `enter_if_asked`"));
        }
        command.env(ASK, "1").current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let spawned = table::spawn(&mut command);
        let program = command.get_program().to_string_lossy().into_owned();
        let mut process = spawned.map_err(|source| ProcessError::Spawn { program, source })?;
        let mut guardian = Guardian { pipe: process.stdin.take(), process };
        // A full pipe means a guardian that does not read; it must not hold the supervisor up.
        let nonblocking = guardian.pipe.as_ref().map_or(Ok(()), |pipe| rustix::io::ioctl_fionbio(pipe, true));
        nonblocking.map_err(|errno| error(&errno.to_string()))?;
        let is_ready = guardian.process.stdout.take().is_some_and(says_ready);
        if !is_ready || !guardian.tell(&format!("family {}", mark.token())) {
            guardian.dismiss();
            return Err(error("the program, started as one, did not say that it is on guard"));
        }
        Ok(guardian)
    }

    /// The guardian's process id.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether it is still on guard.
    pub(super) fn is_alive(&mut self) -> bool {
        self.pipe.is_some() && matches!(self.process.try_wait(), Ok(None))
    }

    /// From now on this group is to be killed if the supervisor dies.
    pub(super) fn add(&mut self, group: u32) {
        self.tell(&format!("+{group}"));
    }

    /// From now on this number is a stranger's.
    pub(super) fn remove(&mut self, group: u32) {
        self.tell(&format!("-{group}"));
    }

    /// Sends it home: all that it guarded has ended.
    pub(super) fn farewell(mut self) {
        self.tell("done");
    }

    /// Writes a line, whole or not at all, for it is much shorter than what a pipe takes at once. After a failure the
    /// guardian knows too little to be let loose.
    fn tell(&mut self, line: &str) -> bool {
        let written = self.pipe.as_mut().is_some_and(|pipe| pipe.write_all(format!("{line}\n").as_bytes()).is_ok());
        if !written {
            self.dismiss();
        }
        written
    }

    /// Ends it before it can do anything.
    fn dismiss(&mut self) {
        // If it has ended already, so much the better.
        let _ = self.process.kill();
        self.pipe = None;
    }
}

impl Drop for Guardian {
    /// Closes the pipe, whereupon a guardian that got no farewell does its work, and waits until it has done it.
    fn drop(&mut self) {
        self.pipe = None;
        let begun = Instant::now();
        while let Ok(None) = self.process.try_wait() {
            if begun.elapsed() > table::PATIENCE * 7 {
                // It works for less long than this, so somebody has stopped it.
                let _ = self.process.kill();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        table::forget(self.process.id());
    }
}

/// Whether [`READY`] comes within [`START`].
fn says_ready(output: ChildStdout) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let deadline = Instant::now() + START;
    let mut reader = BufReader::new(output);
    let mut said = Vec::new();
    while said.len() < 4096 {
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
            Ok(length) => said.extend_from_slice(&some[..length]),
        }
        if memchr::memmem::find(&said, READY.as_bytes()).is_some() {
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
    fn a_group_whose_number_has_passed_on_is_spared() {
        let died = 100;
        let table = [
            seen(10, 10, 50, false),  // Its leader, without the mark.
            seen(20, 20, 101, false), // A stranger with the number of a group that has ended since.
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
    fn a_dead_leader_that_is_not_reaped_vouches_for_its_group() {
        let leader = Seen { zombie: true, ..seen(10, 10, 50, false) };
        let table = [leader, seen(11, 10, 101, false)];
        let (victims, groups) = victims(&table, &BTreeSet::from([10]), 100);
        assert_eq!((victims, groups), (vec![table[1]], BTreeSet::from([10])));
    }
}
